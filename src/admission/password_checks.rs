//! Comparing passwords with their bcrypt hashes, which is slow by design: one at a time, away from the threads that
//! answer reviews, in turns that namespaces take, and never twice for what did not change.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use zeroize::Zeroizing;

use keyguard_core::argocd::password::PasswordHash;
use keyguard_core::policy::facts::Unverified;
use keyguard_core::runtime::secret_bytes::SecretBytes;

/// Comparisons at once: the other thread of a small machine is for the reviews.
const AT_ONCE: usize = 1;
/// Passwords of one namespace that are compared or wait for it. Each keeps a review from its answer, and there is room
/// for so many reviews only.
const MOST_IN_NAMESPACE: usize = 32;
/// The same of all namespaces together, well below the default of `limits.maxConcurrentRequests`.
const MOST: usize = 48;
/// The highest cost of a hash that is compared with: 2 s or so.
const MOST_COST: u32 = 15;
/// Verdicts that are remembered.
const REMEMBERED: usize = 256;
/// The bytes of a password that count.
const MOST_PASSWORD: usize = 72;

/// Compares passwords for all reviews.
pub struct PasswordChecks {
    turns: Arc<Semaphore>,
    namespaces: Mutex<BTreeMap<String, Weak<Semaphore>>>,
    verdicts: Arc<Mutex<Verdicts>>,
    key: [[u8; 8]; 4],
}

/// A password that is to be compared.
pub struct Candidate<'a> {
    /// The namespace of its Secret.
    pub namespace: &'a str,
    /// The key in its Secret.
    pub key: &'a str,
    /// The password.
    pub password: &'a SecretBytes,
}

impl Default for PasswordChecks {
    fn default() -> PasswordChecks {
        PasswordChecks {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            namespaces: Mutex::default(),
            verdicts: Arc::default(),
            key: [(); 4].map(|()| RandomState::new().hash_one(0).to_be_bytes()),
        }
    }
}

impl PasswordChecks {
    /// Whether this is the hash of a password. Waits for its turn for as long as the caller waits.
    ///
    /// # Errors
    /// When it is not compared.
    pub async fn matches(
        &self,
        hash: PasswordHash,
        candidate: &Candidate<'_>,
    ) -> Result<bool, Unverified> {
        if hash.cost() > MOST_COST {
            return Err(Unverified::Cost(hash.cost()));
        }
        let name = self.name(&hash, candidate);
        if let Some(matches) = self.known(name.as_ref()) {
            return Ok(matches);
        }
        // Who has many to compare waits for themselves first, and then for one of everybody else's.
        let in_namespace = self
            .namespace(candidate.namespace)
            .ok_or(Unverified::Busy)?;
        let in_namespace = in_namespace.acquire_owned().await;
        let in_namespace = in_namespace.map_err(|_| Unverified::Time)?;
        if let Some(matches) = self.known(name.as_ref()) {
            return Ok(matches);
        }
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turns = [turn.map_err(|_| Unverified::Time)?, in_namespace];
        let password = candidate.password.expose();
        let counts = password.get(..MOST_PASSWORD).unwrap_or(password);
        let password = Zeroizing::new(counts.to_vec());
        self.compare(hash, password, name, turns).await
    }

    /// Goes on to its end, and remembers the verdict, when nobody waits for it any more.
    async fn compare(
        &self,
        hash: PasswordHash,
        password: Zeroizing<Vec<u8>>,
        name: Option<[u8; 32]>,
        turns: [OwnedSemaphorePermit; 2],
    ) -> Result<bool, Unverified> {
        let (send, verdict) = oneshot::channel();
        // A thread for each: its priority cannot be raised again.
        let thread = std::thread::Builder::new().name("keyguard-compare".to_owned());
        let started = thread.spawn(move || {
            lower_priority();
            let _ = send.send(hash.matches(&password));
        });
        started.map_err(|_| Unverified::Time)?;
        let verdicts = Arc::clone(&self.verdicts);
        let compared = tokio::spawn(async move {
            let matches = verdict.await;
            if let (Some(name), Ok(matches)) = (name, &matches) {
                lock(&verdicts).remember(name, *matches);
            }
            drop(turns);
            matches
        });
        match compared.await {
            Ok(Ok(matches)) => Ok(matches),
            _ => Err(Unverified::Time),
        }
    }

    fn known(&self, name: Option<&[u8; 32]>) -> Option<bool> {
        lock(&self.verdicts).of(name?)
    }

    /// Where to wait for a turn of a namespace; `None` when too many do.
    fn namespace(&self, namespace: &str) -> Option<Arc<Semaphore>> {
        let mut namespaces = lock(&self.namespaces);
        namespaces.retain(|_, turn| turn.strong_count() > 0);
        // Those that wait or have the turn hold a reference to it, and nobody else does.
        let all: usize = namespaces.values().map(Weak::strong_count).sum();
        if all >= MOST {
            return None;
        }
        if let Some(turn) = namespaces.get(namespace).and_then(Weak::upgrade) {
            // This one among them.
            return (Arc::strong_count(&turn) <= MOST_IN_NAMESPACE).then_some(turn);
        }
        let turn = Arc::new(Semaphore::new(1));
        namespaces.insert(namespace.to_owned(), Arc::downgrade(&turn));
        Some(turn)
    }

    /// What a verdict is remembered under: the hash, and the version of the Secret that holds the password, under a
    /// key of this process. Neither hash nor password can be told from it. `None` when the version is not known.
    fn name(&self, hash: &PasswordHash, candidate: &Candidate<'_>) -> Option<[u8; 32]> {
        let version = candidate.password.version()?;
        let key = self.key.as_flattened();
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).ok()?;
        let hash: Zeroizing<Vec<u8>> = Zeroizing::new(hash.identity().collect());
        mac.update(&hash);
        for text in [&version.uid, &version.resource_version, candidate.key] {
            mac.update(&text.len().to_be_bytes());
            mac.update(text.as_bytes());
        }
        Some(mac.finalize().into_bytes().into())
    }
}

/// The last verdicts, the oldest first.
#[derive(Default)]
struct Verdicts(VecDeque<([u8; 32], bool)>);

impl Verdicts {
    fn of(&self, name: &[u8; 32]) -> Option<bool> {
        let known = self.0.iter().find(|(known, _)| known == name);
        known.map(|(_, matches)| *matches)
    }

    fn remember(&mut self, name: [u8; 32], matches: bool) {
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back((name, matches));
    }
}

/// Lets the threads that answer reviews go first. What refuses it, such as a sandbox, costs them time and nothing else.
#[cfg(target_os = "linux")]
fn lower_priority() {
    // On Linux without a process it is that of the calling thread.
    let _ = rustix::process::setpriority_process(None, 19);
}

/// Elsewhere it would be that of the whole process.
#[cfg(not(target_os = "linux"))]
fn lower_priority() {}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "password_checks_tests.rs"]
mod tests;
