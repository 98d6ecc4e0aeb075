//! Secrets in files whose users are in the cluster.

use crate::admission::lookups::unix_now;
use crate::check::found::{Found, Told};
use crate::check::judge::Judge;
use crate::check::object::Object;
use crate::report::Severity;
use crate::sources::source::Bound;
use keyguard_core::policy::rules::Rule;
use keyguard_core::runtime::secret_bytes::SecretBytes;
use keyguard_core::runtime::secret_maker::{Written, written};
use keyguard_core::runtime::user::User;
use keyguard_core::runtime::value::examine;

impl Judge {
    /// What workloads of the cluster could not use any more of a Secret that is applied.
    pub(crate) async fn users_of(&self, secret: &Object, told: &mut Told) {
        let (Some(namespace), true) = (&secret.namespace, secret.selected) else {
            return;
        };
        let bound = Bound {
            workloads: usize::MAX,
            bytes: usize::MAX,
        };
        let Some(read) = self.world.users(namespace, bound).await else {
            return;
        };
        if let Some((kind, unread)) = read.unread {
            let what = format!(
                "the {}s that may use Secret {:?}",
                kind.names().2,
                secret.name
            );
            told.unseen(&secret.node.at, what, unread.what());
        }
        let users = read.users.iter();
        let found = users.filter_map(|user| broken(secret, user));
        told.found.extend(found);
    }
}

/// What is wrong for one user, if anything.
fn broken(secret: &Object, user: &User) -> Option<Found> {
    let written = written(&secret.node);
    let references = user.references_to(&secret.name);
    let mut wrong = references
        .filter(|reference| !reference.optional)
        .filter_map(|reference| {
            let key = written
                .iter()
                .find(|(entry, _)| reference.key == *entry.key.as_str());
            let shown = reference.key.shown();
            match key {
                None => {
                    let what = format!("has no key \"{shown}\"");
                    let mend = format!("Keep the key \"{shown}\".");
                    Some((secret.node.at.clone(), "data".to_owned(), what, mend))
                }
                Some((entry, Written::Value(value))) => {
                    let value = SecretBytes::new(value.clone());
                    let defects = examine(reference.role, &value, unix_now());
                    let certain = defects
                        .iter()
                        .find(|defect| defect.is_certain(reference.role))?;
                    let what = format!("has at \"{shown}\" what cannot work");
                    let field = format!("data[{:?}]", entry.key);
                    Some((
                        entry.value.at.clone(),
                        field,
                        what,
                        certain.mend().to_owned(),
                    ))
                }
                Some(_) => None,
            }
        });
    let (at, field, what, mend) = wrong.next()?;
    let rule = Rule::SecretInUseBroken;
    Some(Found {
        rule: rule.id(),
        severity: Severity::Error,
        at,
        object: Some(secret.reference()),
        field,
        message: format!(
            "Secret {:?} {what}, and {user} of the cluster refers to it: {}. {mend} [{}]",
            secret.name,
            rule.why(),
            rule.id()
        ),
    })
}
