//! Changes of Secrets: whether a workload loses the credential that it reads from one.

use std::collections::{BTreeMap, BTreeSet};

use crate::policy::credentials::OnError;
use crate::policy::facts::{CredentialFact, ModeFact, Unread, Unverified};
use crate::policy::rules::Rule;
use crate::policy::secret_values::{Values, broken, is_there};
use crate::policy::users::{Need, Unlisted, Users, named, need};
use crate::policy::verdict::{Finding, Severity};
use crate::policy::verification::{NOT_FOUND, mend, unread_argocd};
use crate::runtime::controller::Controller;
use crate::runtime::mode;
use crate::runtime::name::Name;
use crate::runtime::user::User;
use crate::runtime::value::{Role, ValueDefect};

/// What is known when a change of a Secret is judged; of what it holds, only what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretUse {
    /// Workloads of the Secret's namespace that refer to a credential.
    pub users: Users,
    /// Whether the namespace is known to be on its way out.
    pub namespace_ends: bool,
    /// The Runtime's mode.
    pub mode: ModeFact,
    /// Each key that is referred to, in each role that it is referred to in.
    pub values: BTreeMap<(Name, Role), Values>,
    /// Keys that a credential goes from, by their looks alone.
    pub suspects: BTreeSet<Name>,
    /// Why it could not be found out whether Argo CD accepts what will be there.
    pub unverified: Option<Unasked>,
}

/// Why it could not be found out whether Argo CD accepts a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unasked {
    /// There is no `argocd-secret` in this namespace.
    NotFound(String),
    /// An object of this namespace could not be read.
    Argocd(&'static str, String, Unread),
    /// A password could not be compared, or whose it is could not be read.
    Password(Unverified),
}

/// Whether the Runtime's mode matters for the Secret of this name.
pub fn mode_matters(secret: &str) -> bool {
    ["token", "password"]
        .iter()
        .any(|key| mode::may_be_self_made(secret, key))
}

/// Everything that is wrong with a change of the Secret `name` in `namespace`; without facts nothing is assumed good.
pub fn judge(
    name: &Name,
    namespace: &str,
    controller: Option<&Controller>,
    facts: Option<&SecretUse>,
    on_error: OnError,
) -> Vec<Finding> {
    let change = Change {
        name,
        namespace,
        controller,
    };
    let Some(facts) = facts else {
        return vec![change.unknown(&Unlisted::nothing(), &BTreeSet::new(), on_error)];
    };
    if facts.namespace_ends {
        return Vec::new();
    }
    let mut findings: Vec<Finding> = change.deleted(facts).into_iter().collect();
    for (named, values) in &facts.values {
        findings.extend(change.broken(named, values, facts));
    }
    let refused = findings
        .iter()
        .any(|finding| finding.severity == Severity::Refusal);
    if let Some(untold) = facts.unverified.as_ref().filter(|_| !refused) {
        findings.extend(change.unverified(untold, facts, on_error));
    }
    if let Some(unlisted) = facts.users.unlisted.as_ref().filter(|_| !refused) {
        let severity = if facts.suspects.is_empty() {
            OnError::Allow
        } else {
            on_error
        };
        findings.push(change.unknown(unlisted, &facts.suspects, severity));
    }
    findings
}

struct Change<'a> {
    name: &'a Name,
    namespace: &'a str,
    controller: Option<&'a Controller>,
}

impl Change<'_> {
    fn secret(&self) -> String {
        format!("Secret {} in namespace {:?}", self.name, self.namespace)
    }

    /// The Secret goes: one finding, whatever is in it.
    fn deleted(&self, facts: &SecretUse) -> Option<Finding> {
        let gone = facts.values.iter().filter(|(_, values)| {
            values.after == CredentialFact::SecretMissing && is_there(&values.before)
        });
        let mut fields = BTreeSet::new();
        let (mut stopped, mut others) = (Vec::new(), Vec::new());
        for ((key, role), values) in gone {
            let (strict, lenient) = self.users(key, *role, facts);
            if strict.is_empty() && lenient.is_empty() {
                continue;
            }
            fields.insert(data_field(key));
            // What did not work before does not stop working.
            others.extend(lenient);
            for user in strict {
                match values.worked && !self.is_unresolved(user, key, *role, &values.before) {
                    true => stopped.push(user),
                    false => others.push(user),
                }
            }
        }
        // A Job runs once.
        let maker = self.controller.filter(|it| it.kind != *"Job");
        let (severity, users) = match (stopped.is_empty(), maker) {
            (true, _) => (Severity::Warning, once(others)),
            (false, Some(_)) => (Severity::Warning, once(stopped)),
            (false, None) => (Severity::Refusal, once(stopped)),
        };
        let mend = match maker {
            Some(controller) => format!("{controller} controls it and makes it again."),
            None => "No controller makes it again: delete these workloads first, or let them refer to another Secret; to \
                     exchange the credential, change the Secret in place."
                .to_owned(),
        };
        (!users.is_empty()).then(|| Finding {
            rule: Rule::SecretInUseDeleted,
            severity,
            what: format!(
                "{} would be deleted, and {} would be left without it",
                self.secret(),
                named(&users)
            ),
            mend,
            fields: fields.into_iter().collect(),
        })
    }

    /// The Secret stays, and one of its keys goes or is left with something that cannot work.
    fn broken(
        &self,
        (key, role): &(Name, Role),
        values: &Values,
        facts: &SecretUse,
    ) -> Vec<Finding> {
        let (mut strict, mut lenient) = self.users(key, *role, facts);
        let works = values.worked;
        let unresolved = |user: &&User| self.is_unresolved(user, key, *role, &values.after);
        let strict_by_name = strict.iter().any(unresolved);
        if strict_by_name {
            strict.retain(unresolved);
            lenient.clear();
        }
        let (severity, users) = match (strict.is_empty(), lenient.is_empty()) {
            (true, true) => return Vec::new(),
            (true, false) => (Severity::Warning, lenient),
            (false, _) if works => (Severity::Refusal, strict),
            (false, _) => (Severity::Warning, strict),
        };
        let users = named(&once(users));
        let noun = match role {
            Role::Token => "token",
            Role::Password => "password",
        };
        let finding = |severity, what, mend: &str| Finding {
            rule: Rule::SecretInUseBroken,
            severity,
            what,
            mend: mend.to_owned(),
            fields: vec![data_field(key)],
        };
        match &values.after {
            CredentialFact::KeyMissing if is_there(&values.before) => vec![finding(
                severity,
                format!(
                    "{} loses its key {key}, which has the {noun} of {users}",
                    self.secret()
                ),
                "Keep the key; to exchange the credential, put another good one in its place.",
            )],
            CredentialFact::Value(defects) => {
                let known = match &values.before {
                    CredentialFact::Value(defects) => defects.as_slice(),
                    _ => &[],
                };
                let what = |defect: &ValueDefect| {
                    format!(
                        "the {noun} of {users} in {}, key {key}, {defect}",
                        self.secret()
                    )
                };
                let shown = defects
                    .iter()
                    .filter(|defect| defect.is_certain(*role) || !known.contains(defect))
                    .map(|defect| {
                        let unresolved = *defect == ValueDefect::VaultReference && strict_by_name;
                        let severity = match defect.stops(*role) || unresolved {
                            true => severity,
                            false => Severity::Warning,
                        };
                        finding(severity, what(defect), defect.mend())
                    });
                let rejected = values.rejections.iter().map(|rejection| {
                    let what = format!(
                        "the {noun} of {users} in {}, key {key}, {rejection}",
                        self.secret()
                    );
                    finding(severity, what, &mend(*role, rejection))
                });
                shown.chain(rejected).collect()
            }
            _ => Vec::new(),
        }
    }

    /// A credential is exchanged for one that looks as good, and Argo CD could not be asked about it.
    fn unverified(
        &self,
        untold: &Unasked,
        facts: &SecretUse,
        on_error: OnError,
    ) -> Option<Finding> {
        let exchanged = facts.values.iter().filter(|((_, role), values)| {
            values.changed && values.worked && !broken(&values.after, *role)
        });
        let of_password = matches!(untold, Unasked::Password(_));
        let exchanged = exchanged.filter(|((_, role), _)| !of_password || *role == Role::Password);
        let (mut fields, mut users) = (Vec::new(), Vec::new());
        for ((key, role), _) in exchanged {
            let (strict, _) = self.users(key, *role, facts);
            if !strict.is_empty() {
                fields.push(data_field(key));
                users.extend(strict);
            }
        }
        if users.is_empty() {
            return None;
        }
        let (rule, severity, why, mend) = match untold {
            Unasked::NotFound(namespace) => (
                Rule::ArgocdNotFound,
                Severity::Warning,
                format!("there is no Secret \"argocd-secret\" in namespace {namespace:?}"),
                NOT_FOUND.to_owned(),
            ),
            Unasked::Argocd(object, namespace, unread) => {
                let (why, mend) = unread_argocd(object, namespace, unread);
                (Rule::ArgocdUnreadable, on_error.severity(), why, mend)
            }
            Unasked::Password(unverified) => {
                let (why, mend) = unverified.told();
                (
                    Rule::ArgocdUnreadable,
                    on_error.severity(),
                    why,
                    mend.to_owned(),
                )
            }
        };
        Some(Finding {
            rule,
            severity,
            what: format!(
                "{} gets another credential for {}, and whether Argo CD accepts it could not be told: {why}",
                self.secret(),
                named(&once(users))
            ),
            mend,
            fields,
        })
    }

    /// Whether what stands there is a reference that only a container resolves, and this workload reads it by name.
    fn is_unresolved(&self, user: &User, key: &Name, role: Role, fact: &CredentialFact) -> bool {
        let CredentialFact::Value(defects) = fact else {
            return false;
        };
        let mut references = user.references_to(self.name.as_str());
        defects.contains(&ValueDefect::VaultReference)
            && references.any(|it| it.key == *key && it.role == role && it.is_by_name())
    }

    /// Those who cannot do without this key in this role, and those who may be able to.
    fn users<'a>(
        &self,
        key: &Name,
        role: Role,
        facts: &'a SecretUse,
    ) -> (Vec<&'a User>, Vec<&'a User>) {
        let (mut strict, mut lenient) = (Vec::new(), Vec::new());
        for user in &facts.users.found {
            let references = user.references_to(self.name.as_str());
            let references =
                references.filter(|reference| reference.key == *key && reference.role == role);
            match references
                .filter_map(|reference| need(reference, facts.mode.mode()))
                .max()
            {
                Some(Need::Certain) => strict.push(user),
                Some(Need::Uncertain) => lenient.push(user),
                None => {}
            }
        }
        (strict, lenient)
    }

    fn unknown(
        &self,
        unlisted: &Unlisted,
        suspects: &BTreeSet<Name>,
        on_error: OnError,
    ) -> Finding {
        let fields: Vec<String> = match suspects.is_empty() {
            true => vec!["data".to_owned()],
            false => suspects.iter().map(data_field).collect(),
        };
        Finding {
            rule: Rule::InUseUnknown,
            severity: on_error.severity(),
            what: format!(
                "{} would be changed or deleted, and {}",
                self.secret(),
                unlisted.what()
            ),
            mend: unlisted.mend().to_owned(),
            fields,
        }
    }
}

fn once(mut users: Vec<&User>) -> Vec<&User> {
    let mut seen = BTreeSet::new();
    users.retain(|user| seen.insert((user.kind.names().2, user.name.as_str())));
    users
}

fn data_field(key: &Name) -> String {
    format!("data[{key}]")
}

#[cfg(test)]
#[path = "secrets_in_use_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "secrets_in_use_verified_tests.rs"]
mod verified_tests;
