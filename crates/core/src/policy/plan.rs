//! What must be looked up before a workload can be judged: each Secret once, and how many at most.

use std::collections::{BTreeMap, BTreeSet};

use crate::policy::verification::{self};

use crate::policy::facts::VerifiedKey;
use crate::runtime::credential::Reference;
use crate::runtime::mode;
use crate::runtime::name::Name;
use crate::runtime::user_name::{Holder, UserName};
use crate::runtime::value::Role;

/// The reads for one request, all in one namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lookups {
    /// Secrets to read, each with the keys wanted and the roles they are wanted in.
    pub secrets: BTreeMap<Name, BTreeSet<(Name, Role)>>,
    /// References to names that no Secret can have: there is nothing to read.
    pub invalid: BTreeSet<(Name, Name, Role)>,
    /// References beyond the limit, left unread.
    pub left: BTreeSet<(Name, Name, Role)>,
    /// Whether the Runtime's mode matters, so that `cap-app-proxy-cm` is to be read.
    pub mode: bool,
    /// Where Argo CD's own state is, when it is to be asked.
    pub argocd: Option<String>,
    /// The credentials that it is asked about.
    pub verified: BTreeSet<VerifiedKey>,
}

impl Lookups {
    /// The same with what verifying `references` with the Argo CD in `namespace` takes besides: its state, and the
    /// mode, which tells a Runtime with an Argo CD of its own.
    pub fn verifying(mut self, references: &[Reference], namespace: &str) -> Lookups {
        // What is read as the token too is no password: charts of March to October 2025 have it so in token mode.
        let asked = references
            .iter()
            .filter(|reference| reference.role == Role::Token || !reference.made_by_a_person);
        self.argocd = Some(namespace.to_owned());
        self.mode = true;
        self.verified = asked.map(verification::key).collect();
        self
    }

    /// The objects that hold the names of accounts whose passwords are verified, as many as Secrets may be read.
    pub fn user_names(&self, most: usize) -> BTreeSet<(Holder, Name, Name)> {
        let user_names = self
            .verified
            .iter()
            .filter_map(|(_, user_name)| match user_name {
                Some(UserName::From(holder, object, key)) => {
                    Some((*holder, object.clone(), key.clone()))
                }
                _ => None,
            });
        let can_be = user_names.filter(|(_, object, _)| is_object_name(object.as_str()));
        can_be.take(most).collect()
    }
}

/// Plans the reads for `references`, at most `max_secrets` of them.
pub fn lookups(references: &[Reference], max_secrets: usize) -> Lookups {
    let mut lookups = Lookups::default();
    for reference in references {
        let wanted = (reference.key.clone(), reference.role);
        let named = (reference.secret.clone(), wanted.0.clone(), wanted.1);
        if !is_object_name(reference.secret.as_str()) {
            lookups.invalid.insert(named);
            continue;
        }
        lookups.mode |= mode::may_be_self_made(reference.secret.as_str(), reference.key.as_str());
        let planned = lookups.secrets.len();
        match lookups.secrets.get_mut(&reference.secret) {
            Some(keys) => {
                keys.insert(wanted);
            }
            None if planned < max_secrets => {
                lookups
                    .secrets
                    .insert(reference.secret.clone(), BTreeSet::from([wanted]));
            }
            None => {
                lookups.left.insert(named);
            }
        }
    }
    lookups
}

/// Whether `name` is a DNS-1123 subdomain, as the names of Secrets, ConfigMaps and namespaces are.
///
/// Anything else must not be put into a request path.
pub fn is_object_name(name: &str) -> bool {
    let edge = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.len() <= 253
        && name.split('.').all(|label| {
            let bytes = label.as_bytes();
            matches!((bytes.first(), bytes.last()), (Some(first), Some(last)) if edge(*first) && edge(*last))
                && bytes.iter().all(|byte| edge(*byte) || *byte == b'-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::credential::TOKEN;

    fn reference(role: Role, secret: &str, key: &str) -> Reference {
        Reference {
            role,
            variable: TOKEN,
            secret: Name::from(secret),
            key: Name::from(key),
            optional: false,
            made_by_a_person: false,
            user_name: None,
            field: "spec".to_owned(),
        }
    }

    #[test]
    fn each_secret_is_read_once_for_all_its_keys() {
        let lookups = lookups(
            &[
                reference(Role::Token, "a", "token"),
                reference(Role::Token, "a", "token"),
                reference(Role::Password, "a", "password"),
                reference(Role::Token, "b", "token"),
            ],
            8,
        );
        assert_eq!(lookups.secrets.len(), 2);
        assert_eq!(lookups.secrets["a"].len(), 2);
        assert!(!lookups.mode);
    }

    #[test]
    fn the_mode_matters_only_for_secrets_that_may_be_self_made() {
        assert!(lookups(&[reference(Role::Token, "argocd-token", "token")], 8).mode);
        assert!(!lookups(&[reference(Role::Token, "argocd-token", "other")], 8).mode);
    }

    #[test]
    fn no_more_than_the_limit_is_read_and_the_rest_is_named() {
        let all: Vec<_> = ["a", "b", "c", "a"]
            .iter()
            .map(|name| reference(Role::Token, name, "token"))
            .collect();
        let lookups = lookups(&all, 2);
        assert_eq!(lookups.secrets.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(lookups.left.len(), 1);
    }

    #[test]
    fn a_name_that_no_object_can_have_is_never_looked_up() {
        for name in [
            "",
            "../configmaps/x",
            "A",
            "a/b",
            "a?b",
            "-a",
            "a-",
            "a..b",
            "a b",
            "ä",
            ".",
            &"a".repeat(254),
        ] {
            assert!(!is_object_name(name), "{name}");
            let lookups = lookups(&[reference(Role::Token, name, "token")], 8);
            assert!(lookups.secrets.is_empty());
            assert_eq!(lookups.invalid.len(), 1);
        }
        for name in ["a", "argocd-token", "a.b-c.0", "0"] {
            assert!(is_object_name(name), "{name}");
        }
    }
}
