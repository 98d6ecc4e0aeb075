//! What was decided of Secrets before: for many reviews in a row, each Secret is read once. No value is kept.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use keyguard_core::policy::facts::{
    CredentialFact, CredentialKey, Facts, Verification, VerifiedKey,
};
use keyguard_core::policy::plan::Lookups;
use keyguard_core::runtime::name::Name;

/// The most Secrets that are remembered: some 100 MB. What comes behind them is read each time.
const MOST: usize = 100_000;

/// What was decided of Secrets. It lives for one scan: nothing is ever looked at again.
#[derive(Default)]
pub struct Decided {
    secrets: Mutex<HashMap<(String, Name), Arc<AsyncMutex<OfSecret>>>>,
}

/// What was decided of one Secret.
#[derive(Default)]
struct OfSecret {
    credentials: BTreeMap<CredentialKey, CredentialFact>,
    asked: BTreeSet<VerifiedKey>,
    /// What Argo CD's own state says of it; nothing before it was asked.
    verification: Option<Verification>,
    initial_password_spent: bool,
}

/// The Secrets of one review, which no other review reads meanwhile.
pub(crate) struct Held(BTreeMap<Name, OwnedMutexGuard<OfSecret>>);

impl Decided {
    /// Waits until nobody else reads the Secrets of a review.
    pub(crate) async fn hold(&self, namespace: &str, lookups: &Lookups) -> Held {
        let mut held = BTreeMap::new();
        // All take them in the same order, so that none waits for another in a circle.
        for name in lookups.secrets.keys() {
            if let Some(secret) = self.of(namespace, name) {
                held.insert(name.clone(), secret.lock_owned().await);
            }
        }
        Held(held)
    }

    fn of(&self, namespace: &str, name: &Name) -> Option<Arc<AsyncMutex<OfSecret>>> {
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (namespace.to_owned(), name.clone());
        if secrets.len() >= MOST {
            return secrets.get(&key).cloned();
        }
        Some(Arc::clone(secrets.entry(key).or_default()))
    }
}

impl Held {
    /// The lookups that are left, and what is known of the others.
    pub(crate) fn known(&self, mut lookups: Lookups) -> (Lookups, Known) {
        let mut known = Known::default();
        let all = std::mem::take(&mut lookups.secrets);
        let any = !all.is_empty();
        for (name, wanted) in all {
            let verified = lookups.verified.iter();
            let verified: BTreeSet<VerifiedKey> = verified
                .filter(|((secret, ..), _)| *secret == name)
                .cloned()
                .collect();
            let keys = wanted
                .iter()
                .map(|(key, role)| (name.clone(), key.clone(), *role));
            let decided = self.0.get(&name).filter(|decided| {
                keys.clone()
                    .all(|key| decided.credentials.contains_key(&key))
                    && (lookups.argocd.is_none()
                        || decided.verification.is_some() && verified.is_subset(&decided.asked))
            });
            let Some(decided) = decided else {
                lookups.secrets.insert(name, wanted);
                continue;
            };
            let facts =
                keys.filter_map(|key| Some((key.clone(), decided.credentials.get(&key)?.clone())));
            known.credentials.extend(facts);
            known.initial_password_spent |= decided.initial_password_spent;
            if lookups.argocd.is_some() {
                let verification = decided.verification.as_ref();
                known
                    .verifications
                    .extend(verification.map(|it| only(it, &verified)));
            }
            lookups.verified.retain(|key| !verified.contains(key));
        }
        if any && lookups.secrets.is_empty() {
            lookups.argocd = None;
        }
        (lookups, known)
    }

    /// Remembers what was gathered by `lookups`.
    pub(crate) fn keep(&mut self, lookups: &Lookups, facts: &Facts) {
        for (name, wanted) in &lookups.secrets {
            let Some(secret) = self.0.get_mut(name) else {
                continue;
            };
            for (key, role) in wanted {
                let key = (name.clone(), key.clone(), *role);
                if let Some(fact) = facts.credentials.get(&key) {
                    secret.credentials.insert(key, fact.clone());
                }
            }
            secret.initial_password_spent |= facts.initial_password_spent;
            if lookups.argocd.is_none() {
                continue;
            }
            let verified = lookups.verified.iter();
            let verified = verified.filter(|((secret, ..), _)| secret == name);
            let verified: BTreeSet<VerifiedKey> = verified.cloned().collect();
            let before = secret.verification.take();
            let now = only(&facts.verification, &verified);
            secret.verification = Some(before.map_or(now.clone(), |before| both(before, now)));
            secret.asked.extend(verified);
        }
    }
}

/// What is known without looking.
#[derive(Default)]
pub(crate) struct Known {
    credentials: BTreeMap<CredentialKey, CredentialFact>,
    verifications: Vec<Verification>,
    initial_password_spent: bool,
}

impl Known {
    /// Adds it to what was gathered.
    pub(crate) fn add_to(self, facts: &mut Facts) {
        facts.credentials.extend(self.credentials);
        facts.initial_password_spent |= self.initial_password_spent;
        for verification in self.verifications {
            let gathered = std::mem::take(&mut facts.verification);
            facts.verification = both(gathered, verification);
        }
    }
}

/// Of a verification, what it says of `keys`.
fn only(verification: &Verification, keys: &BTreeSet<VerifiedKey>) -> Verification {
    match verification {
        Verification::Known(verified) => {
            let verified = verified.iter().filter(|(key, _)| keys.contains(key));
            Verification::Known(
                verified
                    .map(|(key, it)| (key.clone(), it.clone()))
                    .collect(),
            )
        }
        other => other.clone(),
    }
}

/// Two verifications in the same namespace: that Argo CD's state cannot be seen is so for all of it.
fn both(one: Verification, other: Verification) -> Verification {
    match (one, other) {
        (Verification::Known(mut one), Verification::Known(other)) => {
            one.extend(other);
            Verification::Known(one)
        }
        (Verification::NotAsked, other) | (other, Verification::NotAsked) => other,
        (Verification::Known(_), other) | (other, _) => other,
    }
}
