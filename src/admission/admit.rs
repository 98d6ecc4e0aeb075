//! The pipeline: decode, plan, gather, decide, answer and record. One await.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use futures_util::future::join_all;
use tokio::time::Instant;
use tracing::Instrument;
use uuid::Uuid;

use crate::admission::lookups::{Admission, Outcome, unix_now};
use crate::admission::verification::Reads;
use crate::http::rejection::Rejection;
use crate::http::reviews::{Answer, ReviewMode, Reviewer};
use crate::sources::source::{SecretRead, Source};
use keyguard_core::argocd::settings::{ADMIN_PASSWORD, SECRET_NAME};
use keyguard_core::policy::cut::cut;
use keyguard_core::policy::facts::{CredentialFact, CredentialKey, Facts, ModeFact, Unread};
use keyguard_core::policy::plan::Lookups;
use keyguard_core::policy::verdict::Decision;
use keyguard_core::record::{Circumstances, Kept, Record};
use keyguard_core::review::reply::{self, OnRecord};
use keyguard_core::review::request::Request;
use keyguard_core::runtime::mode::{self, Maker};
use keyguard_core::runtime::name::Name;
use keyguard_core::runtime::value::{Role, examine};

/// The most of a review's uid in diagnostics; the API server's have 36 bytes.
const UID_BYTES: usize = 256;

impl<S: Source> Admission<S> {
    /// Decides on a request; after `answer_by`, if it says so, the API server waits no more.
    pub async fn admit(&self, mut request: Request, answer_by: Option<Instant>) -> Outcome {
        if let Some(search) = self.policy.plan_use(&request.case) {
            let change = std::mem::take(&mut request.secret);
            // What is rare is boxed: most reviews ask for nothing, and what a request may come to need is moved about
            // with it.
            return Box::pin(self.admit_in_use(request, change, search, answer_by)).await;
        }
        let lookups = self.policy.plan(&request.case);
        let secrets = lookups
            .as_ref()
            .map(|lookups| lookups.secrets.keys().cloned().collect());
        let facts = match lookups {
            Some(lookups) => {
                let gathered = self.gather_once(&request.case.namespace, lookups, answer_by);
                Some(Box::pin(gathered).await)
            }
            None => None,
        };
        let verdict = self.policy.decide(&request.case, facts.as_ref());
        Outcome {
            request,
            secrets: secrets.unwrap_or_default(),
            verdict,
        }
    }

    /// Gathers what is not known from reviews before.
    async fn gather_once(
        &self,
        namespace: &str,
        lookups: Lookups,
        answer_by: Option<Instant>,
    ) -> Facts {
        let Some(decided) = &self.decided else {
            return self.gather(namespace, lookups, answer_by).await;
        };
        let mut held = decided.hold(namespace, &lookups).await;
        let (lookups, known) = held.known(lookups);
        let mut facts = self.gather(namespace, lookups.clone(), answer_by).await;
        held.keep(&lookups, &facts);
        known.add_to(&mut facts);
        facts
    }

    /// Reads everything at the same time, within one deadline.
    async fn gather(&self, namespace: &str, lookups: Lookups, answer_by: Option<Instant>) -> Facts {
        let limit = self.limit(answer_by);
        let deadline = Instant::now() + limit;
        let now = unix_now();
        let secrets = join_all(lookups.secrets.iter().map(|(name, wanted)| async move {
            let keys: Vec<&str> = wanted.iter().map(|(key, _)| key.as_str()).collect();
            let read = self
                .read_secret(namespace, name.as_str(), &keys, limit)
                .await;
            (name.clone(), read)
        }));
        let (secrets, mode, argocd, user_names) = tokio::join!(
            secrets,
            self.mode(namespace, lookups.mode, limit),
            async {
                let namespace = lookups.argocd.as_deref()?;
                Some(self.argocd(namespace, deadline).await)
            },
            self.user_names(namespace, &lookups, deadline),
        );
        let secrets: BTreeMap<Name, SecretRead> = secrets.into_iter().collect();
        let mut credentials = BTreeMap::new();
        for (name, wanted) in &lookups.secrets {
            let Some(read) = secrets.get(name) else {
                continue;
            };
            credentials.extend(wanted.iter().map(|(key, role)| {
                let fact = fact(read, key.as_str(), *role, now);
                ((name.clone(), key.clone(), *role), fact)
            }));
        }
        let reads = Reads {
            namespace,
            secrets: &secrets,
            credentials: &credentials,
            user_names: &user_names,
            mode: &mode,
        };
        let verification = self.verification(&lookups, argocd, &reads, deadline).await;
        let initial_password_spent = self
            .initial_password_is_spent(namespace, &credentials, &mode, deadline)
            .await;
        let invalid = lookups.invalid.into_iter();
        credentials.extend(invalid.map(|named| (named, CredentialFact::NameInvalid)));
        let left = lookups.left.into_iter();
        credentials.extend(left.map(|named| (named, CredentialFact::Unread(Unread::TooMany))));
        Facts {
            credentials,
            mode,
            verification,
            initial_password_spent,
        }
    }

    /// Whether argocd-server has made its initial password in this namespace before, and it is gone.
    async fn initial_password_is_spent(
        &self,
        namespace: &str,
        credentials: &BTreeMap<CredentialKey, CredentialFact>,
        mode: &ModeFact,
        deadline: Instant,
    ) -> bool {
        let missing = |fact: &CredentialFact| {
            matches!(
                fact,
                CredentialFact::SecretMissing | CredentialFact::KeyMissing
            )
        };
        let wanted = credentials.iter().find(|((secret, key, _), fact)| {
            missing(fact)
                && mode::maker(mode.mode(), secret.as_str(), key.as_str()) == Maker::ArgoCd
        });
        let Some(((secret, key, _), _)) = wanted else {
            return false;
        };
        let left = || deadline.saturating_duration_since(Instant::now());
        let password = ADMIN_PASSWORD;
        let keys = [password];
        let read = self.read_secret(namespace, SECRET_NAME, &keys, left());
        let has_password = |read: &SecretRead| match read {
            SecretRead::Found(found) => {
                let password = found.get(password);
                password.is_some_and(|password| !password.expose().is_empty())
            }
            _ => false,
        };
        if !has_password(&read.await) {
            return false;
        }
        // argocd-server may have written both since the first look, the initial password before the other.
        let keys = [key.as_str()];
        let again = self.read_secret(namespace, secret.as_str(), &keys, left());
        match again.await {
            SecretRead::Missing => true,
            SecretRead::Found(found) => !found.contains_key(key.as_str()),
            SecretRead::Unread(_) => false,
        }
    }

    fn record(&self, outcome: &Outcome, id: String, duration: Duration) {
        let Outcome {
            request,
            secrets,
            verdict,
        } = outcome;
        let (webhook, operation) = (request.webhook, request.case.operation);
        let rules = verdict.rules();
        self.metrics.reviewed(webhook, duration);
        if rules.is_empty() {
            self.metrics
                .decided(webhook, operation, verdict.decision, None);
        }
        for rule in &rules {
            self.metrics
                .decided(webhook, operation, verdict.decision, Some(*rule));
        }
        let trail = self.trail.as_ref();
        let kept = trail.map(|trail| trail.kept(request, verdict));
        let circumstances = circumstances(id, duration, kept);
        self.put_on_record(Record::of(request, verdict, secrets, circumstances));
    }

    fn put_on_record(&self, record: Record) {
        let bytes = self.log.record(&record);
        if let Some(trail) = &self.trail {
            trail.keep(record, bytes);
        }
    }
}

impl<S: Source> Reviewer for Admission<S> {
    async fn review(&self, body: Bytes, mode: ReviewMode, answer_by: Option<Instant>) -> Answer {
        let started = Instant::now();
        let mut request = match Request::decode(&body, self.max_json_depth) {
            Ok(request) => request,
            Err(undecodable) => return Answer::Undecodable(undecodable.to_string()),
        };
        drop(body);
        request.case.for_the_record = mode == ReviewMode::Exempt;
        // A span is kept in memory for as long as its review takes.
        let span = tracing::info_span!("review", uid = &*cut(&request.uid, UID_BYTES));
        let answered = async {
            let outcome = self.admit(request, answer_by).await;
            let id = Uuid::now_v7().to_string();
            let checkpoint = self.trail.as_ref().and_then(|trail| trail.checkpoint());
            let checkpoint = checkpoint
                .as_ref()
                .map_or("", |checkpoint| checkpoint.as_str());
            let on_record = OnRecord {
                record: &id,
                checkpoint,
            };
            let reply = reply::encode(&outcome.request, &outcome.verdict, on_record);
            self.record(&outcome, id, started.elapsed());
            Answer::Review(reply.into())
        };
        answered.instrument(span).await
    }

    fn rejected(&self, rejection: &Rejection, took: Duration) {
        let decision = match rejection.is_shed() {
            true => Decision::Shed,
            false => Decision::Failed,
        };
        let kept = self.trail.as_ref().map(|trail| trail.numbered());
        let circumstances = circumstances(Uuid::now_v7().to_string(), took, kept);
        let why = rejection.to_string();
        self.put_on_record(Record::of_rejection(decision, &why, circumstances));
    }
}

fn circumstances(id: String, took: Duration, kept: Option<Kept>) -> Circumstances {
    Circumstances {
        id,
        time: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
        duration_seconds: took.as_secs_f64(),
        kept,
    }
}

fn fact(read: &SecretRead, key: &str, role: Role, now: f64) -> CredentialFact {
    match read {
        SecretRead::Missing => CredentialFact::SecretMissing,
        SecretRead::Unread(unread) => CredentialFact::Unread(unread.clone()),
        SecretRead::Found(found) => match found.get(key) {
            None => CredentialFact::KeyMissing,
            Some(value) => CredentialFact::Value(examine(role, value, now)),
        },
    }
}

#[cfg(test)]
#[path = "admit_tests.rs"]
pub(crate) mod tests;

#[cfg(test)]
#[path = "admit_secrecy_tests.rs"]
mod secrecy_tests;

#[cfg(test)]
#[path = "admit_series_tests.rs"]
mod series_tests;
