//! Every setting with its default and its range. The reference in `docs/operations.md`, the chart's values and its schema
//! are printed from here: what a field's comment says is what an operator reads.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounded::{Count, Time};
use super::names::{AccountName, Namespace, NamespaceOrEmpty, SubjectName};
use keyguard_core::policy::credentials::OnError;
use keyguard_core::policy::decide::{DryRun, Policy};
use keyguard_core::policy::guard;
use keyguard_core::policy::namespace_label::NamespaceLabel;
use keyguard_core::policy::rules::{Mode, Rule};
use keyguard_core::review::request::DEEPEST;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// What keyguard decides, and how
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// Accounts of Argo CD whose API key and login are kept
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub protected_accounts: Vec<AccountName>,
    /// What happens to a change when a Secret that it depends on cannot be read
    pub on_error: OnError,
    /// What a dry run is refused for: with `warn` not for what depends on other objects, which the same change may
    /// bring
    pub dry_run: DryRun,
    /// Rules that do not enforce: each id with `warn` (allow, and warn) or `audit` (allow, and put on record); see
    /// [rules.md](rules.md)
    #[schemars(extend("propertyNames" = {"enum": rule_ids()}))]
    pub rules: BTreeMap<Rule, Mode>,
    /// Users whose requests are not judged
    pub exempt_users: Vec<SubjectName>,
    /// Groups whose members' requests are not judged
    pub exempt_groups: Vec<SubjectName>,
    /// Namespaces in which nothing is judged
    pub exempt_namespaces: Vec<Namespace>,
    /// Labels of further namespaces in which nothing is judged, each as `KEY=VALUE`; one is enough
    pub exempt_namespace_labels: Vec<NamespaceLabel>,
    /// Groups whose members may lift rules for one change: see [Break glass](#break-glass)
    pub break_glass_groups: Vec<SubjectName>,
    /// What is guarded besides; the chart brings the webhooks and rights that it needs
    pub guard: Guard,
    /// Whether credentials are also verified with Argo CD's own state
    pub verify: Verify,
    /// How much is accepted
    pub limits: Limits,
    /// How long anything may take
    pub timeouts: Timeouts,
    /// How the certificate is kept up to date
    pub certificates: Certificates,
}

/// What is guarded besides `argocd-cm` and workloads
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(inline)]
pub struct Guard {
    /// Guard Secrets that a workload refers to: see [What is in use](#what-is-in-use)
    pub secrets: bool,
    /// Protect the accounts that the tokens of workloads name, too
    pub accounts_in_use: bool,
    /// Guard Argo CD's own Secret against changes by which the token of a workload stops to work
    pub argocd_secret: bool,
    /// The namespaces of the Runtimes, in which workloads are looked for; every namespace when empty
    pub runtime_namespaces: Vec<Namespace>,
}

/// Whose own state tells whether credentials work
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(inline)]
pub struct Verify {
    /// The namespace of the Argo CD whose own state tells whether credentials work: see
    /// [Deep verification](#deep-verification); not asked when empty
    pub argocd_namespace: NamespaceOrEmpty,
}

/// How much is accepted
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(inline)]
pub struct Limits {
    /// Bytes of one body; a review carries the object and the old object
    pub max_body_bytes: Count<KIB, { 256 * MIB }, { 8 * MIB }>,
    /// Bytes of the bodies of all requests together; more get HTTP 429; at least `maxBodyBytes`
    pub max_body_bytes_in_flight: Count<KIB, { 4096 * MIB }, { 64 * MIB }>,
    /// Levels of nesting of a body
    pub max_json_depth: Count<16, DEEPEST, DEEPEST>,
    /// Connections at once; beyond it one that asks nothing is closed
    pub max_connections: Count<1, 65_536, 1024>,
    /// Reviews at once; more get HTTP 429
    pub max_concurrent_requests: Count<1, 65_536, 256>,
    /// Secrets read for one workload
    pub max_secret_reads: Count<1, 1024, 32>,
    /// Secrets read at once for all reviews; more wait for their turn within `timeouts.lookup`
    pub max_concurrent_secret_reads: Count<1, 1024, 32>,
    /// Bytes of one Secret or ConfigMap as the API server sends it
    pub max_secret_bytes: Count<KIB, { 64 * MIB }, { 2 * MIB }>,
    /// Workloads looked through for one request, of all kinds together
    pub max_workloads: Count<1, 100_000, 1000>,
    /// Bytes of the workloads that are looked through for one request, as the API server sends them
    pub max_workload_bytes: Count<KIB, { 256 * MIB }, { 16 * MIB }>,
}

/// A time that one step may take.
type Step<const DEFAULT: u64> = Time<0, { 10 * MINUTE }, DEFAULT>;

/// How long anything may take
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(inline)]
pub struct Timeouts {
    /// A TLS handshake
    pub tls_handshake: Step<{ 5 * SECOND }>,
    /// An HTTP/1 connection without a request, or with a header that does not end; more than the 90 s for which
    /// kube-apiserver keeps one
    pub idle: Step<{ 2 * MINUTE }>,
    /// The body of a request
    pub body: Step<{ 3 * SECOND }>,
    /// All reads of one review together; always less than the API server still waits when they begin
    pub lookup: Step<{ 3 * SECOND }>,
    /// After SIGTERM, how long to go on as before, but not ready
    pub drain_grace: Step<{ 5 * SECOND }>,
    /// After `drainGrace`, how long requests in flight may take to finish
    pub drain: Step<{ 20 * SECOND }>,
}

/// How long what keyguard issues is valid.
type Lifetime<const DEFAULT: u64> = Time<{ 3 * SECOND }, { 87_600 * HOUR }, DEFAULT>;

/// How the certificate is kept up to date
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(inline)]
pub struct Certificates {
    /// A CA that keyguard makes
    pub ca_lifetime: Lifetime<{ 8760 * HOUR }>,
    /// A certificate that keyguard makes; it ends with its CA at the latest
    pub lifetime: Lifetime<{ 2160 * HOUR }>,
    /// How long two CAs are in the `caBundle` before one takes over: at least three times `checkInterval`, at most a
    /// sixth of `caLifetime`
    pub overlap: Time<30, { 24 * HOUR }, { 5 * MINUTE }>,
    /// From one look at the certificate's files, or at the Secret and the webhook configuration, to the next
    pub check_interval: Time<10, { 10 * MINUTE }, SECOND>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            protected_accounts: vec![AccountName::admin()],
            on_error: OnError::default(),
            dry_run: DryRun::default(),
            rules: BTreeMap::new(),
            exempt_users: Vec::new(),
            exempt_groups: Vec::new(),
            exempt_namespaces: Vec::new(),
            exempt_namespace_labels: Vec::new(),
            break_glass_groups: Vec::new(),
            guard: Guard::default(),
            verify: Verify::default(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            certificates: Certificates::default(),
        }
    }
}

impl Config {
    /// What is decided, and how.
    pub fn policy(&self) -> Policy {
        fn texts<T: ToString>(names: &[T]) -> Vec<String> {
            names.iter().map(ToString::to_string).collect()
        }
        Policy {
            protected_accounts: texts(&self.protected_accounts),
            on_error: self.on_error,
            modes: self.rules.clone().into(),
            exempt_users: texts(&self.exempt_users),
            exempt_groups: texts(&self.exempt_groups),
            exempt_namespaces: texts(&self.exempt_namespaces),
            exempt_namespace_labels: self.exempt_namespace_labels.clone(),
            break_glass_groups: texts(&self.break_glass_groups),
            max_secret_reads: *self.limits.max_secret_reads,
            dry_run: self.dry_run,
            guard: guard::Guard {
                secrets: self.guard.secrets,
                accounts_in_use: self.guard.accounts_in_use,
                argocd_secret: self.guard.argocd_secret,
                runtime_namespaces: texts(&self.guard.runtime_namespaces),
            },
            argocd_namespace: Some(self.verify.argocd_namespace.to_string())
                .filter(|name| !name.is_empty()),
        }
    }

    /// What does not fit together, each with its place.
    pub(super) fn contradictions(&self) -> Vec<String> {
        let Config {
            protected_accounts: accounts,
            limits,
            certificates,
            ..
        } = self;
        let mut faults = Vec::new();
        if accounts.is_empty() {
            faults.push(
                "protectedAccounts: must name at least one account; to refuse no change of argocd-cm, set the mode of \
                 the rules accounts/… to warn or audit instead"
                    .to_owned(),
            );
        }
        for (index, account) in accounts.iter().enumerate() {
            if accounts.iter().take(index).any(|before| before == account) {
                let account: &str = account;
                faults.push(format!(
                    "protectedAccounts: {account:?} is there twice; name it once"
                ));
            }
        }
        let table = [
            (
                *limits.max_body_bytes_in_flight < *limits.max_body_bytes,
                "limits.maxBodyBytesInFlight: must be at least maxBodyBytes, or no body of that length is ever read",
            ),
            (
                *certificates.overlap < *certificates.check_interval * 3,
                "certificates.overlap: must be at least three times checkInterval, so that every replica has looked",
            ),
            (
                *certificates.overlap * 6 > *certificates.ca_lifetime,
                "certificates.overlap: must be at most a sixth of caLifetime, so that it fits into the last third",
            ),
        ];
        let told = table.into_iter().filter(|(is_so, _)| *is_so);
        faults.extend(told.map(|(_, fault)| fault.to_owned()));
        faults
    }
}

fn rule_ids() -> Vec<&'static str> {
    Rule::ALL.iter().map(|rule| rule.id()).collect()
}
