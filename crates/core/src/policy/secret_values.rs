//! What stands in a Secret before and after a change: whether it works, by itself and by Argo CD's state.

use std::collections::{BTreeMap, BTreeSet};

use crate::argocd::verification::{Rejection, State};
use crate::credential::{Credential, Defect, defects, works};
use crate::policy::facts::CredentialFact;
use crate::runtime::name::Name;
use crate::runtime::secret_bytes::{SecretBytes, SecretData};
use crate::runtime::user::User;
use crate::runtime::value::{Role, examine};

/// The keys of the Secrets that a chart or Argo CD keeps a password in. A password cannot be told by its looks.
const PASSWORDS: [(&str, &str); 2] = [
    ("argocd-initial-admin-secret", "password"),
    ("gitops-runtime-argo-cd-password", "token"),
];

/// One key in one role, before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Values {
    /// What was there.
    pub before: CredentialFact,
    /// What will be there.
    pub after: CredentialFact,
    /// Whether what was there worked, and would after the next start of argocd-server.
    pub worked: bool,
    /// Why Argo CD refuses what will be there, now or after its next start; empty when it was not asked.
    pub rejections: Vec<Rejection>,
    /// Whether something else is there afterwards.
    pub changed: bool,
}

/// Argo CD's state as it is, and as it will be after the next start of argocd-server.
pub type States<'a> = [State<'a>; 2];

/// Whether the password under a key is that of an account, before and after; `None` when they were not compared.
pub type Compared = BTreeMap<(Name, String), [Option<bool>; 2]>;

/// Compares what a Secret held with what it will hold, for each key that `users` refer to, at `now` in Unix seconds;
/// with Argo CD's state too, when that is known: tokens, and passwords by the accounts of `compared`.
pub fn compare(
    secret: &Name,
    users: &[User],
    old: &SecretData,
    new: Option<&SecretData>,
    argocd: Option<(&States<'_>, &Compared)>,
    now: f64,
) -> BTreeMap<(Name, Role), Values> {
    let references = users
        .iter()
        .flat_map(|user| user.references_to(secret.as_str()));
    let wanted: BTreeSet<(Name, Role)> = references
        .map(|reference| (reference.key.clone(), reference.role))
        .collect();
    let values = wanted.into_iter().map(|(key, role)| {
        let before = fact(Some(old), key.as_str(), role, now);
        let after = fact(new, key.as_str(), role, now);
        let [old, new] = [Some(old), new].map(|data| data?.get(key.as_str()));
        let asked = |value, side| argocd.map(|known| Asked::of(&key, role, value, side, known));
        let [was, is] = [(old, 0), (new, 1)].map(|(value, side)| asked(value?, side));
        // One whose account is gone must not keep the others from being protected.
        let worked = was.map(|was| was.working(now)).unwrap_or_default();
        let values = Values {
            worked: !broken(&before, role) && (worked.is_empty() || worked.contains(&true)),
            rejections: is.map(|is| is.rejections(&worked, now)).unwrap_or_default(),
            changed: old.map(SecretBytes::expose) != new.map(SecretBytes::expose),
            before,
            after,
        };
        ((key, role), values)
    });
    values.collect()
}

/// What stands under one key in one role, as a credential of everybody whose it is, and the states to ask about it.
struct Asked<'a> {
    credentials: Vec<Credential<'a>>,
    states: &'a States<'a>,
}

impl<'a> Asked<'a> {
    fn of(
        key: &Name,
        role: Role,
        value: &'a SecretBytes,
        side: usize,
        (states, compared): (&'a States<'a>, &'a Compared),
    ) -> Asked<'a> {
        let credentials = match role {
            Role::Token => vec![Credential::Token(value)],
            Role::Password => {
                let ours = compared.iter().filter(|((name, _), _)| name == key);
                let credentials = ours.map(|((_, user), matches)| Credential::Password {
                    user,
                    value,
                    matches: matches.get(side).copied().flatten(),
                });
                credentials.collect()
            }
        };
        Asked {
            credentials,
            states,
        }
    }

    /// Whose credential works, of those whose it is.
    fn working(&self, now: f64) -> Vec<bool> {
        let credentials = self.credentials.iter();
        let working = credentials.map(|credential| {
            let mut states = self.states.iter();
            states.all(|state| works(credential, Some(state), now).is_ok())
        });
        working.collect()
    }

    /// What the first state tells that refuses one of them: of those that `worked`, where any did.
    fn rejections(&self, worked: &[bool], now: f64) -> Vec<Rejection> {
        let counts = |at: usize| !worked.contains(&true) || worked.get(at) == Some(&true);
        let all = self.states.iter().flat_map(|state| {
            let each = self.credentials.iter().enumerate();
            let each = each.filter(|(at, _)| counts(*at));
            each.map(move |(_, credential)| defects(credential, Some(state), now))
        });
        let mut all = all.map(|found| {
            let found = found.into_iter().filter_map(Defect::rejection);
            found.collect::<Vec<_>>()
        });
        all.find(|found| !found.is_empty()).unwrap_or_default()
    }
}

/// The keys that lose a credential, used or not: a token of Argo CD without another good one in its place, or a password in
/// a Secret that is known to hold one.
pub fn suspects(
    secret: &Name,
    old: &SecretData,
    new: Option<&SecretData>,
    now: f64,
) -> BTreeSet<Name> {
    let keys = old.iter().map(|(key, _)| key);
    let lost = keys.filter(|key| {
        let is_good = |data, role| !broken(&fact(data, key, role, now), role);
        let goes = |role| is_good(Some(old), role) && !is_good(new, role);
        goes(Role::Token) || (PASSWORDS.contains(&(secret.as_str(), key)) && goes(Role::Password))
    });
    lost.map(Name::from).collect()
}

fn fact(data: Option<&SecretData>, key: &str, role: Role, now: f64) -> CredentialFact {
    match data.map(|data| data.get(key)) {
        None => CredentialFact::SecretMissing,
        Some(None) => CredentialFact::KeyMissing,
        Some(Some(value)) => CredentialFact::Value(examine(role, value, now)),
    }
}

pub(super) fn is_there(fact: &CredentialFact) -> bool {
    matches!(fact, CredentialFact::Value(_))
}

/// Whether what is there does not work in this role.
pub(super) fn broken(fact: &CredentialFact, role: Role) -> bool {
    match fact {
        CredentialFact::Value(defects) => {
            let mut defects = defects.iter();
            defects.any(|defect| defect.stops(role))
        }
        _ => true,
    }
}
