//! Who uses a credential: how much they need it, who could not be found, and how they are named.

use std::fmt::Display;

use crate::policy::facts::Unread;
use crate::runtime::credential::Reference;
use crate::runtime::mode::{self, Maker, Mode};
use crate::runtime::user::User;
use crate::runtime::workload::WorkloadKind;

/// The most workloads that a message names.
const NAMED: usize = 5;

/// How much a reference needs what it refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// It may do without, or it cannot be told.
    Uncertain,
    /// Nothing works without, and nobody makes it again.
    Certain,
}

/// How much a reference needs what it refers to, in this mode; `None` when App Proxy makes it again by itself, or the
/// same reference stands there as a token's already.
pub fn need(reference: &Reference, mode: Mode) -> Option<Need> {
    let maker = |mode| mode::maker_of(reference, mode);
    if reference.made_by_a_person {
        // As a password it is only there beside the token.
        return (!reference.optional).then_some(Need::Certain);
    }
    let is_app_proxys = maker(Mode::BuiltIn) == Maker::AppProxy;
    match maker(mode) {
        Maker::AppProxy => None,
        Maker::Unknown if is_app_proxys => Some(Need::Uncertain),
        _ if reference.optional => Some(Need::Uncertain),
        _ => Some(Need::Certain),
    }
}

/// Workloads that refer to a credential, as far as could be found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users {
    /// Those that were found.
    pub found: Vec<User>,
    /// Why there may be others.
    pub unlisted: Option<Unlisted>,
}

/// Workloads that could not be looked through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unlisted {
    /// Their kind; `None` when it is not one kind's fault.
    pub kind: Option<WorkloadKind>,
    /// Where; `None` for all namespaces.
    pub namespace: Option<String>,
    /// Why.
    pub why: Unread,
}

impl Unlisted {
    /// Nobody looked.
    pub fn nothing() -> Unlisted {
        Unlisted {
            kind: None,
            namespace: None,
            why: Unread::Timeout,
        }
    }

    /// Whether there are more than are looked through, rather than something being wrong.
    pub fn is_beyond_the_bound(&self) -> bool {
        matches!(self.why, Unread::TooMany | Unread::TooLarge)
    }

    /// What happened, a clause.
    pub fn what(&self) -> String {
        let resource = self.kind.map_or("workloads", |kind| kind.names().3);
        let place = match &self.namespace {
            Some(namespace) => format!("in namespace {namespace:?}"),
            None => "of all namespaces".to_owned(),
        };
        let why = match &self.why {
            Unread::Forbidden => "keyguard's service account may not list them".to_owned(),
            Unread::TooMany => "there are more workloads than limits.maxWorkloads".to_owned(),
            Unread::TooLarge => "the workloads are larger than limits.maxWorkloadBytes".to_owned(),
            why => why.what(),
        };
        format!("the {resource} {place} could not be looked through ({why})")
    }

    /// How to mend it, a sentence.
    pub fn mend(&self) -> &'static str {
        match self.why {
            Unread::Forbidden => {
                "Give keyguard's service account the right to list workloads, as docs/operations.md has it."
            }
            Unread::TooMany => {
                "Raise limits.maxWorkloads, or name the namespaces of your Runtimes in guard.runtimeNamespaces."
            }
            Unread::TooLarge => {
                "Raise limits.maxWorkloadBytes, or name the namespaces of your Runtimes in guard.runtimeNamespaces."
            }
            ref why => why.mend(),
        }
    }
}

/// Why not everybody was found who uses something.
pub(super) struct Gap {
    /// What happened, a clause.
    pub(super) what: String,
    /// How to mend it, a sentence.
    pub(super) mend: &'static str,
    /// Whether there is only more than is looked at, rather than something being wrong.
    pub(super) is_beyond_the_bound: bool,
}

impl Gap {
    /// What was not looked through comes before what could not be read; `None` when there was neither.
    pub(super) fn of(unlisted: &[Unlisted], unread: Option<&Unread>) -> Option<Gap> {
        match (unlisted.first(), unread) {
            (Some(first), _) => Some(Gap {
                what: first.what(),
                mend: first.mend(),
                is_beyond_the_bound: unlisted.iter().all(Unlisted::is_beyond_the_bound),
            }),
            (None, Some(Unread::TooMany)) => Some(Gap {
                what: "workloads refer to more Secrets than limits.maxSecretReads".to_owned(),
                mend: "Raise limits.maxSecretReads.",
                is_beyond_the_bound: true,
            }),
            (None, Some(unread)) => Some(Gap {
                what: format!(
                    "a Secret that a workload refers to could not be read ({})",
                    unread.what()
                ),
                mend: unread.mend(),
                is_beyond_the_bound: false,
            }),
            (None, None) => None,
        }
    }
}

/// Workloads by kind and name, the first few of them: all in one namespace, which the sentence names.
pub fn named(users: &[&User]) -> String {
    list(users, |user| user.to_string())
}

/// The same with the namespace of each.
pub fn named_with_namespace(users: &[&User]) -> String {
    list(users, |user| {
        format!("{user} in namespace {:?}", user.namespace)
    })
}

fn list<T: Display>(users: &[&User], shown: impl Fn(&User) -> T) -> String {
    let mut names: Vec<String> = Vec::new();
    for user in users.iter().take(NAMED) {
        names.push(shown(user).to_string());
    }
    match users.len().saturating_sub(NAMED) {
        0 => {}
        more => names.push(format!("{more} more")),
    }
    match names.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_few_workloads_are_named_and_the_rest_counted() {
        let all: Vec<User> = (0..7)
            .map(|number| User {
                kind: WorkloadKind::Deployment,
                namespace: "gitops".to_owned(),
                name: format!("d{number}"),
                references: Vec::new(),
            })
            .collect();
        let users: Vec<&User> = all.iter().collect();
        let named = |count: usize| named(&users[..count]);
        assert_eq!(named(0), "");
        assert_eq!(named(1), "Deployment \"d0\"");
        assert_eq!(named(2), "Deployment \"d0\" and Deployment \"d1\"");
        assert!(named(5).ends_with("\"d3\" and Deployment \"d4\""));
        assert!(named(7).ends_with("Deployment \"d4\" and 2 more"));
        assert_eq!(
            named_with_namespace(&users[..1]),
            "Deployment \"d0\" in namespace \"gitops\""
        );
    }

    #[test]
    fn what_could_not_be_looked_through_is_told_with_its_remedy() {
        let table = [
            (Unread::Forbidden, "may not list", "right to list", false),
            (
                Unread::TooMany,
                "limits.maxWorkloads",
                "limits.maxWorkloads",
                true,
            ),
            (
                Unread::TooLarge,
                "limits.maxWorkloadBytes",
                "limits.maxWorkloadBytes",
                true,
            ),
            (Unread::Timeout, "in time", "Try again", false),
        ];
        for (why, what, mend, beyond) in table {
            let unlisted = Unlisted {
                kind: Some(WorkloadKind::Rollout),
                namespace: None,
                why,
            };
            assert!(unlisted.what().contains(what), "{}", unlisted.what());
            assert!(
                unlisted
                    .what()
                    .starts_with("the rollouts of all namespaces")
            );
            assert!(unlisted.mend().contains(mend), "{}", unlisted.mend());
            assert_eq!(unlisted.is_beyond_the_bound(), beyond);
        }
    }
}
