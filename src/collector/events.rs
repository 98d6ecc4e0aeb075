//! Events about objects of which a change was refused, for those who look there: `kubectl events`.
//!
//! Source: `events.k8s.io/v1`, whose series stands for what happens again.

use std::collections::HashMap;
use std::time::Duration;

use hyper::{Method, Request, StatusCode};
use keyguard_audit::entry::milliseconds;
use keyguard_audit::follower::Follower;
use keyguard_audit::store::{Store, StoreError};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::sleep;
use zeroize::Zeroizing;

use super::following::{Failure, follow, readable};
use crate::clock;
use crate::report::visible::visible;
use crate::sources::cluster::Cluster;
use keyguard_core::policy::cut::cut;
use keyguard_core::policy::facts::Unread;
use keyguard_core::policy::subject::Operation;
use keyguard_core::policy::verdict::Decision;
use keyguard_core::record::Record;

/// The name by which the store knows how far it has got.
pub const FOLLOWER: &str = "events";
/// How many records are read at once.
const READ: u32 = 100;
/// From one write to the next, so that a flood of refusals is none of writes.
const INTERVAL: Duration = Duration::from_millis(100);
/// From one try to the next, when the API server could not make one.
const RETRY: Duration = Duration::from_secs(5);
/// What is older is no news any more: after so many seconds nobody is told.
const NEWS_SECONDS: i64 = 600;
/// How many seconds after the last one of a series another begins, as it is with kubectl and the kubelet.
const SERIES_SECONDS: i64 = 360;
/// The most series that are known.
const MOST_SERIES: usize = 1_000;
/// The most Events of a namespace within the time of a series: a flood there must not silence the others.
const MOST_OF_NAMESPACE: u32 = 25;
/// The most bytes of a note, which the API server checks.
const NOTE_BYTES: usize = 1_024;
/// The API server takes no Event without; objects without a namespace have theirs here.
const DEFAULT_NAMESPACE: &str = "default";

/// An Event that stands for several.
struct Series {
    namespace: String,
    name: String,
    count: u64,
    last: i64,
}

impl Series {
    fn goes_on(&self, now: i64) -> bool {
        now - self.last < SERIES_SECONDS
    }

    /// How many there are, for an Event.
    fn told(&self) -> Value {
        json!({"count": self.count, "lastObservedTime": micros(self.last)})
    }
}

/// How many Events each namespace has had, and since when.
#[derive(Default)]
struct Spent(HashMap<String, (i64, u32)>);

impl Spent {
    /// One more of a namespace; the number of it within the time of a series.
    fn add(&mut self, namespace: &str, now: i64) -> u32 {
        self.0.retain(|_, (since, _)| now - *since < SERIES_SECONDS);
        let (_, count) = self.0.entry(namespace.to_owned()).or_insert((now, 0));
        *count = count.saturating_add(1);
        *count
    }
}

/// Makes Events.
pub struct Events {
    cluster: Cluster,
    known: HashMap<String, Series>,
    spent: Spent,
    said: String,
}

impl Events {
    /// Makes them in this cluster.
    pub fn new(cluster: Cluster) -> Events {
        Events {
            cluster,
            known: HashMap::new(),
            spent: Spent::default(),
            said: String::new(),
        }
    }

    /// Makes them of what is new in the store, for ever; `added` tells that there is something.
    pub async fn run(mut self, store: Store, added: watch::Receiver<()>) {
        follow(FOLLOWER, added, async || self.tell_all(&store).await).await;
    }

    async fn tell_all(&mut self, store: &Store) -> Result<(), StoreError> {
        let mut follower = Follower::open(store.clone(), FOLLOWER).await?;
        loop {
            let found = follower.next(READ).await?;
            let Some(last) = found.last() else {
                return Ok(());
            };
            let mut again: Vec<(Record, u64)> = Vec::new();
            for record in readable(FOLLOWER, &found) {
                if !is_news(&record) || record.decision != Decision::Deny || record.dry_run {
                    continue;
                }
                // The same attempts of a batch are one write.
                let same = |(other, _): &&mut (Record, u64)| {
                    !other.fingerprint.is_empty() && key(other) == key(&record)
                };
                match again.iter_mut().find(same) {
                    Some((_, count)) => *count += 1,
                    None => again.push((record, 1)),
                }
            }
            for (record, count) in again {
                if !self.stands(&record) && !self.has_room(&record) {
                    continue;
                }
                while let Err(failure) = self.tell(&record, count).await {
                    let is_over = failure.is_final || !is_news(&record);
                    self.say(failure.what);
                    if is_over {
                        break;
                    }
                    sleep(RETRY).await;
                }
                sleep(INTERVAL).await;
            }
            follower.has(last).await?;
        }
    }

    /// Whether an Event stands for the same already.
    fn stands(&self, record: &Record) -> bool {
        let series = self.known.get(&key(record));
        !record.fingerprint.is_empty() && series.is_some_and(|series| series.goes_on(clock::now()))
    }

    /// Whether the namespace has had few Events; that it has had too many is said once.
    fn has_room(&mut self, record: &Record) -> bool {
        let namespace = namespace(record);
        let count = self.spent.add(namespace, clock::now());
        if count == MOST_OF_NAMESPACE + 1 {
            tracing::warn!(
                namespace,
                "so much is refused there that for some minutes no more Events are made about it"
            );
        }
        count <= MOST_OF_NAMESPACE
    }

    /// Makes an Event of attempts, or lets one that stands for the same stand for them as well.
    ///
    /// # Errors
    /// When the API server does not make it.
    async fn tell(&mut self, record: &Record, count: u64) -> Result<(), Failure> {
        let now = clock::now();
        if self.known.len() >= MOST_SERIES {
            self.known.clear();
        }
        let key = key(record);
        let series = match self.stands(record) {
            true => self.known.get_mut(&key),
            false => None,
        };
        let written = match series {
            Some(series) => {
                series.count += count;
                series.last = now;
                let path = format!("{}/{}", path(&series.namespace), series.name);
                let patch =
                    json!({"series": {"count": series.count, "lastObservedTime": micros(now)}});
                write(&self.cluster, Method::PATCH, &path, &patch).await
            }
            None => {
                let series = Series {
                    namespace: namespace(record).to_owned(),
                    name: format!("keyguard.{}", record.id),
                    count,
                    last: now,
                };
                let event = event(record, &series);
                let path = path(&series.namespace);
                let written = write(&self.cluster, Method::POST, &path, &event).await;
                if written.is_ok() {
                    self.known.insert(key.clone(), series);
                }
                written
            }
        };
        match &written {
            Ok(()) => self.said.clear(),
            Err(_) => drop(self.known.remove(&key)),
        }
        written
    }

    fn say(&mut self, reason: String) {
        if self.said != reason {
            tracing::error!(reason, "an Event about a refused change cannot be made");
            self.said = reason;
        }
    }
}

/// By what attempts are known that one Event stands for: the same, by the same user.
fn key(record: &Record) -> String {
    format!("{} {}", record.fingerprint, record.user.name)
}

fn is_news(record: &Record) -> bool {
    let time = milliseconds(&record.time).unwrap_or_default();
    clock::now() - time / 1000 < NEWS_SECONDS
}

fn path(namespace: &str) -> String {
    format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events")
}

/// A moment with the microseconds that Events have.
fn micros(seconds: i64) -> String {
    clock::rfc3339(seconds).replace('Z', ".000000Z")
}

/// Where the Event about an object is.
fn namespace(record: &Record) -> &str {
    match record.object.namespace.as_str() {
        "" => DEFAULT_NAMESPACE,
        namespace => namespace,
    }
}

fn event(record: &Record, series: &Series) -> Value {
    let object = &record.object;
    let message = record.findings.first().map_or("", |it| &it.message);
    let said = format!("{} is refused: {message}", visible(&record.user.name, &[]));
    let mut event = json!({
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": series.name, "namespace": series.namespace},
        "eventTime": micros(series.last),
        "type": "Warning",
        "reason": "Refused",
        "action": record.operation.map_or("", Operation::name),
        "note": cut(&said, NOTE_BYTES),
        "regarding": {
            "apiVersion": object.api_version, "kind": object.kind, "namespace": object.namespace, "name": object.name,
        },
        "reportingController": "keyguard.dev/keyguard",
        "reportingInstance": record.replica,
    });
    // Two at least make a series.
    if let (2.., Some(event)) = (series.count, event.as_object_mut()) {
        event.insert("series".to_owned(), series.told());
    }
    event
}

async fn write(cluster: &Cluster, method: Method, path: &str, body: &Value) -> Result<(), Failure> {
    let media_type = match method {
        Method::PATCH => "application/merge-patch+json",
        _ => "application/json",
    };
    let request = Request::builder().method(method).uri(path);
    let body = Zeroizing::new(body.to_string().into_bytes());
    let sent = cluster.send_json(request, media_type, body).await;
    let response = sent.map_err(|unread: Unread| Failure::passing(unread.what().to_owned()))?;
    let what = match response.status() {
        // After a restart in between it may be there already.
        status if status.is_success() || status == StatusCode::CONFLICT => return Ok(()),
        StatusCode::FORBIDDEN => {
            "the namespace is ending, or the collector may not create and patch events.k8s.io, which audit.events of the \
             chart gives the right to"
                .to_owned()
        }
        status => format!("the API server answers {status}"),
    };
    Err(Failure {
        what,
        // The namespace is gone or ends, it is no Event, or the right is not there.
        is_final: response.status().is_client_error()
            && !matches!(
                response.status(),
                StatusCode::UNAUTHORIZED
                    | StatusCode::REQUEST_TIMEOUT
                    | StatusCode::TOO_MANY_REQUESTS
            ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_in_one_namespace_leaves_room_for_the_others_and_ends() {
        let mut spent = Spent::default();
        let counts: Vec<u32> = (0..1_000)
            .map(|second| spent.add("flood", second / 10))
            .collect();
        assert_eq!(counts.last(), Some(&1_000));
        assert_eq!(spent.add("victim", 100), 1);
        assert_eq!(spent.add("flood", SERIES_SECONDS), 1);
        assert_eq!(spent.0.len(), 2);
    }
}
