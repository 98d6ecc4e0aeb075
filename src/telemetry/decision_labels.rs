//! How often what was decided.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use strum::VariantArray;

use super::readable::{Each, Read};
use keyguard_core::policy::rules::Rule;
use keyguard_core::policy::subject::Operation;
use keyguard_core::policy::verdict::Decision;
use keyguard_core::review::request::Webhook;

/// What stands for the rule where none found anything.
pub(super) const NO_RULE: &str = "none";

/// By what decisions are counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct DecisionLabels {
    pub(super) webhook: &'static str,
    pub(super) operation: &'static str,
    pub(super) decision: &'static str,
    pub(super) rule: &'static str,
}

impl Read for Family<DecisionLabels, Counter> {
    const IS_COUNTER: bool = true;

    /// Of what may be decided, what has been.
    fn read(&self, each: Each<'_>) {
        let rules = Rule::ALL.iter().map(|rule| rule.id());
        let rules: Vec<&str> = rules.chain([NO_RULE]).collect();
        for webhook in Webhook::VARIANTS.iter().map(|webhook| webhook.name()) {
            for operation in Operation::VARIANTS.iter().map(|it| it.name()) {
                for decision in Decision::VARIANTS.iter().map(|it| it.name()) {
                    for rule in &rules {
                        let labels = DecisionLabels {
                            webhook,
                            operation,
                            decision,
                            rule,
                        };
                        if let Some(count) = self.get(&labels) {
                            let labels = [
                                ("webhook", webhook),
                                ("operation", operation),
                                ("decision", decision),
                                ("rule", rule),
                            ];
                            each(&labels, count.get().cast_signed());
                        }
                    }
                }
            }
        }
    }
}
