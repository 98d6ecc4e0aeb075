//! The API server's own audit log, which keyguard cannot write: what it pins of the history.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufRead};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::entry::milliseconds;
use crate::merkle::Hash;

/// How the names of keyguard's annotations end.
const OURS: &str = ".keyguard.dev/";
/// How the API server calls a webhook that it could not ask.
const FAILED_OPEN: &str = "failed-open.validating.webhook.admission.k8s.io/";

/// What audit logs of the API server say about keyguard.
#[derive(Debug, Default)]
pub struct Witness {
    /// The ids of the records that were annotated.
    pub(crate) records: HashMap<String, Witnessed>,
    /// The checkpoints that were annotated: by log and size, each root with an event that has it.
    pub(crate) checkpoints: BTreeMap<(String, u64), Vec<(Hash, String)>>,
    /// The requests that keyguard was never asked about.
    pub(crate) failed_open: Vec<String>,
    /// The times of the first and last event with a record, in milliseconds since 1970.
    pub(crate) span: Option<(i64, i64)>,
    /// How many logs end with a line that is not whole yet.
    pub(crate) torn: usize,
}

/// A record as the API server's log has it.
#[derive(Debug)]
pub(crate) struct Witnessed {
    /// The event.
    pub(crate) event: String,
    /// The log that it was to go into, if that had a checkpoint then.
    pub(crate) log: Option<String>,
    /// When it was answered, in milliseconds since 1970.
    pub(crate) time: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    items: Vec<Event>,
    #[serde(default, rename = "auditID")]
    audit_id: String,
    #[serde(default)]
    stage: String,
    #[serde(default)]
    verb: String,
    #[serde(default)]
    user: Option<User>,
    #[serde(default)]
    object_ref: Option<ObjectReference>,
    #[serde(default)]
    stage_timestamp: String,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Default, Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Deserialize)]
struct ObjectReference {
    #[serde(default)]
    resource: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    name: String,
}

impl Witness {
    /// Adds the events of a log: JSON lines of `audit.k8s.io/v1`, each an Event or an EventList.
    ///
    /// # Errors
    /// When it cannot be read, or a line is no event; the error says which.
    pub fn read(&mut self, mut log: impl BufRead) -> io::Result<()> {
        let mut line = String::new();
        for number in 1.. {
            line.clear();
            if log.read_line(&mut line)? == 0 {
                break;
            }
            let text = line.trim_start_matches('\u{feff}').trim();
            if text.is_empty() {
                continue;
            }
            match serde_json::from_str::<Event>(text) {
                Ok(event) if event.kind == "Event" => self.add(&event),
                Ok(list) if list.kind == "EventList" => {
                    list.items.iter().for_each(|event| self.add(event));
                }
                // The API server may be writing it.
                Err(_) if !line.ends_with('\n') && number > 1 => self.torn += 1,
                _ => {
                    let wrong = format!("line {number} is no event of audit.k8s.io/v1");
                    return Err(io::Error::other(wrong));
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, event: &Event) {
        if event.stage == "RequestReceived" {
            return;
        }
        let annotations = event.annotations.iter().flatten();
        let mut of_keyguard = annotations.clone().filter_map(|(name, value)| {
            let (_, name) = name.split_once(OURS)?;
            Some((name, value.as_str()))
        });
        for (name, value) in annotations {
            if name.starts_with(FAILED_OPEN) && value.ends_with(".keyguard.dev") {
                self.failed_open.push(event.shown());
            }
        }
        let pinned = of_keyguard
            .clone()
            .find_map(|(name, value)| (name == "checkpoint").then(|| checkpoint(value))?);
        if let Some((log, size, root)) = &pinned {
            let roots = self.checkpoints.entry((log.clone(), *size)).or_default();
            if roots.iter().all(|(known, _)| known != root) {
                roots.push((*root, event.shown()));
            }
        }
        if let Some((_, id)) = of_keyguard.find(|(name, _)| *name == "record") {
            let time = milliseconds(&event.stage_timestamp);
            let witnessed = Witnessed {
                event: event.shown(),
                log: pinned.map(|(log, ..)| log),
                time,
            };
            self.records.insert(id.to_owned(), witnessed);
            if let Some(time) = time {
                let (first, last) = self.span.unwrap_or((time, time));
                self.span = Some((first.min(time), last.max(time)));
            }
        }
    }
}

/// Reads the annotation: log, size and root.
fn checkpoint(text: &str) -> Option<(String, u64, Hash)> {
    let mut parts = text.split(' ');
    let (log, size, root) = (parts.next()?, parts.next()?, parts.next()?);
    let root = STANDARD.decode(root).ok()?.try_into().ok()?;
    Some((log.to_owned(), size.parse().ok()?, root))
}

impl Event {
    fn shown(&self) -> String {
        let object = self.object_ref.as_ref().map_or_else(String::new, |object| {
            format!(" {} {}/{}", object.resource, object.namespace, object.name)
        });
        let user = self.user.as_ref().map_or("", |user| &user.username);
        format!(
            "{} {}{object} by {user:?} at {}",
            self.audit_id, self.verb, self.stage_timestamp
        )
    }
}
