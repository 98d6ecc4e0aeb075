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
    /// The ids of the records that were annotated, each with the event that has it.
    pub(crate) records: HashMap<String, String>,
    /// The checkpoints that were annotated: by week and size, each root with an event that has it.
    pub(crate) checkpoints: BTreeMap<(String, u64), Vec<(Hash, String)>>,
    /// The requests that keyguard was never asked about.
    pub(crate) failed_open: Vec<String>,
    /// The times of the first and last event with a record, in milliseconds since 1970.
    pub(crate) span: Option<(i64, i64)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(default, rename = "auditID")]
    audit_id: String,
    #[serde(default)]
    stage: String,
    #[serde(default)]
    verb: String,
    #[serde(default)]
    user: User,
    #[serde(default)]
    object_ref: Option<ObjectReference>,
    #[serde(default)]
    stage_timestamp: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
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
    /// Adds the events of a log: JSON lines of `audit.k8s.io/v1`.
    ///
    /// # Errors
    /// When it cannot be read, or a line is no event; the error says which.
    pub fn read(&mut self, log: impl BufRead) -> io::Result<()> {
        for (number, line) in (1..).zip(log.lines()) {
            let line = line?;
            if line.trim().is_empty() {
                continue;
            }
            let event: Event = serde_json::from_str(&line).map_err(|_| {
                io::Error::other(format!("line {number} is no event of audit.k8s.io/v1"))
            })?;
            if event.stage != "RequestReceived" {
                self.add(&event);
            }
        }
        Ok(())
    }

    fn add(&mut self, event: &Event) {
        for (name, value) in &event.annotations {
            if name.starts_with(FAILED_OPEN) && value.ends_with(".keyguard.dev") {
                self.failed_open.push(event.shown());
            }
            match name.split_once(OURS) {
                Some((_, "record")) => {
                    self.records.insert(value.clone(), event.shown());
                    if let Some(time) = milliseconds(&event.stage_timestamp) {
                        let (first, last) = self.span.unwrap_or((time, time));
                        self.span = Some((first.min(time), last.max(time)));
                    }
                }
                Some((_, "checkpoint")) => {
                    if let Some((week, size, root)) = checkpoint(value) {
                        let roots = self.checkpoints.entry((week, size)).or_default();
                        if roots.iter().all(|(known, _)| *known != root) {
                            roots.push((root, event.shown()));
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

/// Reads the annotation: week, size and root.
fn checkpoint(text: &str) -> Option<(String, u64, Hash)> {
    let mut parts = text.split(' ');
    let (week, size, root) = (parts.next()?, parts.next()?, parts.next()?);
    let root = STANDARD.decode(root).ok()?.try_into().ok()?;
    Some((week.to_owned(), size.parse().ok()?, root))
}

impl Event {
    fn shown(&self) -> String {
        let object = self.object_ref.as_ref().map_or_else(String::new, |object| {
            format!(" {} {}/{}", object.resource, object.namespace, object.name)
        });
        format!(
            "{} {}{object} by {:?} at {}",
            self.audit_id, self.verb, self.user.username, self.stage_timestamp
        )
    }
}
