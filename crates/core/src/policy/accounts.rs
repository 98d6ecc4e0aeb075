//! Changes of `argocd-cm`: whether an account that is protected, or in use, loses its API key or its login.

use crate::argocd::accounts::ADMIN;
use crate::argocd::claims::Capability;
use crate::policy::accounts_change::{
    AccountsConfigMap, Change, PART_OF_LABEL, PART_OF_VALUE, State, accounts,
};
use crate::policy::accounts_in_use::AccountsUse;
use crate::policy::accounts_keys::{
    capabilities_key, changed_switch_key, key_of_capability, label_field, transition, value,
};
use crate::policy::accounts_missing::{MOST_KEYS, missing, not_usable, unlabelled};
use crate::policy::break_glass::ANNOTATION;
use crate::policy::cut::{data_field, quoted};
use crate::policy::rules::Rule;
use crate::policy::users::named_with_namespace;
use crate::policy::verdict::{Finding, Severity};
use crate::runtime::controller::Controller;
use crate::runtime::user::User;

/// What the verdict on a change depends on besides the change.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// Where `argocd-cm` is.
    pub namespace: &'a str,
    /// The accounts whose API key and login are kept, used or not.
    pub protected: &'a [String],
    /// Who uses which account, when that was to be found out.
    pub known: Option<&'a AccountsUse>,
    /// Whether somebody may break the glass, so that saying how is advice.
    pub glass: bool,
    /// Whether what depends on other objects is only warned of.
    pub lenient: bool,
    /// The controller that writes `argocd-cm`, if one does.
    pub controller: Option<&'a Controller>,
}

/// Everything that is wrong with a change.
pub fn judge(change: Change<'_>, circumstances: &Circumstances<'_>) -> Vec<Finding> {
    match change {
        Change::Create(new) => missing(circumstances.namespace, circumstances.protected, new),
        Change::Update(old, new) => circumstances.update(old, new),
        Change::Delete(old) => circumstances.delete(old),
    }
}

/// An account that a change takes something from.
struct Loser<'a> {
    name: &'a str,
    severity: Severity,
}

impl<'a> Circumstances<'a> {
    /// Every account that is kept: those that are protected, and those in use.
    fn names(&self) -> impl Iterator<Item = &'a str> {
        let protected = self.protected;
        let known = self.known.into_iter();
        let used = known.flat_map(|known| {
            let others = known.uncertain.keys();
            let others = others.filter(|name| !known.users.contains_key(*name));
            known.users.keys().chain(others).map(String::as_str)
        });
        let listed = protected.iter().map(String::as_str);
        listed.chain(used.filter(move |name| !self.is_protected(name)))
    }

    fn is_protected(&self, name: &str) -> bool {
        self.protected.iter().any(|protected| protected == name)
    }

    fn users(&self, name: &str, capability: Capability) -> impl Iterator<Item = &'a User> {
        let known = self.known.and_then(|known| known.users.get(name));
        let users = known.map(Vec::as_slice).unwrap_or_default().iter();
        let certain = users
            .filter(move |(_, needed)| capability == Capability::ApiKey || *needed == capability)
            .map(|(user, _)| user);
        let others = self.known.filter(|_| capability == Capability::ApiKey);
        let others = others.and_then(|known| known.uncertain.get(name));
        certain.chain(others.into_iter().flatten())
    }

    /// What it means that an account loses its API key: who uses it is another object's word.
    fn lost_api_key(&self, name: &str) -> Severity {
        let known = self.known;
        let in_use = known.is_some_and(|known| known.users.contains_key(name));
        match self.is_protected(name) || (in_use && !self.lenient) {
            true => Severity::Refusal,
            false => Severity::Warning,
        }
    }

    /// What it means that an account that `before` had loses its login. `admin` never does.
    fn lost_login(&self, name: &str, before: &State<'_>) -> Option<Severity> {
        if name == ADMIN || !before.can_log_in(name) {
            return None;
        }
        let in_use = self.users(name, Capability::Login).next().is_some();
        match self.known {
            _ if in_use && before.can_use_api_key(name) && !self.lenient => Some(Severity::Refusal),
            Some(_) if in_use => Some(Severity::Warning),
            None if self.is_protected(name) => Some(Severity::Refusal),
            // Who was not found may log in as it.
            Some(known) if self.is_protected(name) => Some(match known.is_incomplete() {
                true => Severity::Refusal,
                false => Severity::Warning,
            }),
            _ => None,
        }
    }

    /// The accounts that can do something before, for a change that leaves none.
    fn losers(&self, before: &State<'_>) -> Vec<Loser<'a>> {
        let losers = self.names().filter_map(|name| {
            let severity = match before.can_use_api_key(name) {
                true => self.lost_api_key(name),
                false => self.lost_login(name, before)?,
            };
            Some(Loser { name, severity })
        });
        losers.collect()
    }

    fn update(&self, old: &AccountsConfigMap, new: &AccountsConfigMap) -> Vec<Finding> {
        if old == new {
            return Vec::new();
        }
        let before = State::of(old);
        let losers = self.losers(&before);
        let mut findings = Vec::new();
        if !new.labelled {
            if losers.is_empty() {
                return vec![unlabelled(self.namespace)];
            }
            findings.push(self.label_removed(&losers));
        }
        let after = State::read(new);
        match &after {
            State::Unreadable(keys) if !losers.is_empty() => {
                let keys = keys.iter().take(MOST_KEYS);
                findings.extend(keys.map(|key| self.unreadable(new, key, &losers)));
            }
            State::Unreadable(_) | State::Unseen => {
                findings.extend(missing(self.namespace, self.protected, new))
            }
            State::Readable(_) => {
                for name in self.names() {
                    let losses = self.losses(name, (old, &before), (new, &after));
                    // A change of something else is not told of it each time.
                    let changed = before.get(name) != after.get(name);
                    let told = changed && losses.is_empty() && self.is_protected(name);
                    if told && !after.can_use_api_key(name) {
                        findings.push(not_usable(self.namespace, name, &after, new));
                    }
                    findings.extend(losses);
                }
            }
        }
        findings
    }

    /// What one account loses when the second state can be read.
    fn losses(
        &self,
        name: &str,
        (old, before): (&AccountsConfigMap, &State<'_>),
        (new, after): (&AccountsConfigMap, &State<'_>),
    ) -> Vec<Finding> {
        let lost_api_key = before.can_use_api_key(name) && !after.can_use_api_key(name);
        let lost_login = match after.can_log_in(name) {
            true => None,
            false => self.lost_login(name, before),
        };
        let mut findings = Vec::new();
        let account = after.get(name);
        let lost_api_key = lost_api_key.then(|| self.lost_api_key(name));
        let severity = lost_api_key.or(lost_login);
        if let Some(account) = account.filter(|account| !account.enabled)
            && let Some(severity) = severity
        {
            let key = changed_switch_key(name, before.get(name), account, old, new);
            let what = format!(
                "account {} in namespace {:?} is switched off ({}){}",
                quoted(name),
                self.namespace,
                transition(old, new, &key),
                self.in_use_by(&[name], Capability::ApiKey)
            );
            let mend = format!("Keep it on: {} must be \"true\".", data_field(&key));
            let fields = vec![data_field(&key)];
            findings.push(self.finding(Rule::AccountDisabled, severity, what, mend, fields));
        }
        let lost = [
            (
                Rule::ApiKeyRemoved,
                Capability::ApiKey,
                lost_api_key,
                account.is_some_and(|account| account.api_key),
            ),
            (
                Rule::LoginRemoved,
                Capability::Login,
                lost_login,
                account.is_some_and(|account| account.login),
            ),
        ];
        for (rule, capability, severity, kept) in lost {
            let Some(severity) = severity.filter(|_| !kept) else {
                continue;
            };
            let key = key_of_capability(name, capability.name(), old);
            let what = format!(
                "account {} in namespace {:?} loses {capability} ({}){}",
                quoted(name),
                self.namespace,
                transition(old, new, &key),
                self.in_use_by(&[name], capability)
            );
            let mend = format!("Keep {capability} in {}.", data_field(&key));
            findings.push(self.finding(rule, severity, what, mend, vec![data_field(&key)]));
        }
        findings
    }

    fn delete(&self, old: &AccountsConfigMap) -> Vec<Finding> {
        let before = State::of(old);
        let losers: Vec<&str> = self
            .names()
            .filter(|name| before.can_use_api_key(name))
            .collect();
        if losers.is_empty() {
            return Vec::new();
        }
        let what = format!(
            "argocd-cm in namespace {:?} gives {} its API key and would be deleted{}",
            self.namespace,
            accounts(&losers),
            self.in_use_by(&losers, Capability::ApiKey)
        );
        let mend = "Keep argocd-cm; change it in place instead of deleting it.".to_owned();
        let fields = losers
            .iter()
            .map(|name| data_field(&capabilities_key(name)));
        let fields = fields.collect();
        let severities = losers.iter().map(|name| self.lost_api_key(name));
        let severity = severities.max().unwrap_or(Severity::Warning);
        vec![self.finding(Rule::ConfigMapDeleted, severity, what, mend, fields)]
    }

    fn label_removed(&self, losers: &[Loser<'_>]) -> Finding {
        let names = names(losers);
        let what = format!(
            "argocd-cm in namespace {:?}, which {} comes from, loses its label ({}){}",
            self.namespace,
            accounts(&names),
            label_field(),
            self.in_use_by(&names, Capability::ApiKey)
        );
        let mend = format!("Keep the label {PART_OF_LABEL}: {PART_OF_VALUE}.");
        self.finding(
            Rule::LabelMissing,
            worst(losers),
            what,
            mend,
            vec![label_field()],
        )
    }

    fn unreadable(&self, new: &AccountsConfigMap, key: &str, losers: &[Loser<'_>]) -> Finding {
        let names = names(losers);
        let what = format!(
            "Argo CD in namespace {:?} cannot parse {} ({}), which takes {} with it{}",
            self.namespace,
            data_field(key),
            value(new, key),
            accounts(&names),
            self.in_use_by(&names, Capability::ApiKey)
        );
        let mend = format!("Write \"true\" or \"false\" into {}.", data_field(key));
        let fields = vec![data_field(key)];
        self.finding(Rule::Unreadable, worst(losers), what, mend, fields)
    }

    /// Who uses these accounts, behind what is said of them; nothing when nobody is known to.
    fn in_use_by(&self, names: &[&str], capability: Capability) -> String {
        let mut users: Vec<&User> = Vec::new();
        for name in names {
            users.extend(self.users(name, capability));
        }
        match users.is_empty() {
            true => String::new(),
            false => format!("; in use by {}", named_with_namespace(&users)),
        }
    }

    /// A finding with the way out that there is, for who needs one.
    fn finding(
        &self,
        rule: Rule,
        severity: Severity,
        what: String,
        mut mend: String,
        fields: Vec<String>,
    ) -> Finding {
        let operator = self.controller.filter(|it| it.kind == *"ArgoCD");
        if let Some(controller) = operator.filter(|_| rule != Rule::ConfigMapDeleted) {
            mend.push_str(&format!(
                " {controller} writes argocd-cm: change it there, in spec.extraConfig."
            ));
        }
        if severity == Severity::Refusal {
            let namespace = self.namespace;
            mend.push_str(&match what.contains("; in use by ") {
                true => " To remove the Runtime, delete these workloads first.".to_owned(),
                false => format!(
                    " When no GitOps Runtime uses this Argo CD, or its Runtime is removed, list {namespace:?} in \
                     exemptNamespaces of keyguard's configuration."
                ),
            });
            if self.glass {
                let id = rule.id();
                mend.push_str(&format!(
                    " For this one change, a member of breakGlassGroups can annotate argocd-cm with {ANNOTATION}: \
                     \"{id}: <reason>\"."
                ));
            }
        }
        Finding {
            rule,
            severity,
            what,
            mend,
            fields,
        }
    }
}

fn names<'a>(losers: &[Loser<'a>]) -> Vec<&'a str> {
    losers.iter().map(|loser| loser.name).collect()
}

fn worst(losers: &[Loser<'_>]) -> Severity {
    let severities = losers.iter().map(|loser| loser.severity);
    severities.max().unwrap_or(Severity::Warning)
}

#[cfg(test)]
#[path = "accounts_tests.rs"]
mod tests;
