//! What is typed of the webhook of `keyguard audit serve`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use strum::VariantArray as _;

use keyguard_core::policy::rules::Rule;
use keyguard_core::policy::verdict::Decision;

/// Records for a chat, a pager or anything else that takes an HTTPS POST.
#[derive(Debug, Args)]
pub struct Webhook {
    /// A folder, such as a mounted Secret, with the files url, to which records are posted in batches of JSON, and where
    /// they are wanted key, which signs as Standard Webhooks has it, and ca.crt, which verifies the other end
    #[arg(long = "webhook", value_name = "DIR", env = "KEYGUARD_AUDIT_WEBHOOK")]
    pub folder: Option<PathBuf>,
    /// A decision that is posted; may be repeated
    #[arg(
        long = "webhook-decision",
        value_name = "DECISION",
        env = "KEYGUARD_AUDIT_WEBHOOK_DECISION",
        value_delimiter = ',',
        default_value = "deny,break-glass",
        value_parser = decision
    )]
    pub decision: Vec<Decision>,
    /// A rule of which a record must have one; may be repeated
    #[arg(
        long = "webhook-rule",
        value_name = "RULE",
        env = "KEYGUARD_AUDIT_WEBHOOK_RULE",
        value_delimiter = ',',
        requires = "folder",
        value_parser = rule
    )]
    pub rule: Vec<Rule>,
    /// What is posted
    #[arg(
        long = "webhook-format",
        value_name = "FORMAT",
        env = "KEYGUARD_AUDIT_WEBHOOK_FORMAT",
        default_value = "json"
    )]
    pub format: WebhookFormat,
}

/// What the body of a post is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WebhookFormat {
    /// An object with the records, and what they say in words as `text`, as chats show it
    Json,
    /// An array of events of OCSF 1.8.0, API Activity
    Ocsf,
}

/// Reads a decision by its name.
pub(super) fn decision(name: &str) -> Result<Decision, String> {
    let known = Decision::VARIANTS;
    let found = known.iter().find(|decision| decision.name() == name);
    found.copied().ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|decision| decision.name()).collect();
        format!("one of {}", names.join(", "))
    })
}

/// Reads a rule by its id.
pub(super) fn rule(id: &str) -> Result<Rule, String> {
    Rule::from_id(id).ok_or_else(|| {
        "a rule is written as accounts/api-key-removed; docs/rules.md lists them all".to_owned()
    })
}
