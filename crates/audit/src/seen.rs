//! What is compared over all logs: what records are searched by, running numbers, the API server's log.

use std::collections::{BTreeMap, HashMap, HashSet};

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::entry::{Columns, Entry, Mark};
use crate::findings::{Findings, MOST_FAULTS};
use crate::store::StoreError;
use crate::week::Week;
use crate::witness::Witness;

/// What was seen of all logs.
#[derive(Default)]
pub(crate) struct Seen<'a> {
    witness: Option<&'a Witness>,
    /// The ids of records that the witness has as well.
    witnessed: HashSet<String>,
    /// Notes on records that it has not.
    alone: Vec<String>,
    pub(crate) records: i64,
    pub(crate) rules: HashMap<String, i64>,
    /// Weeks that another log says it continues, each with the checkpoint that it names.
    pub(crate) continued: HashMap<String, String>,
    pub(crate) deleted: HashSet<String>,
    /// The running numbers of each replica: the first, the last, and how many.
    numbers: BTreeMap<String, (i64, i64, i64)>,
}

impl<'a> Seen<'a> {
    /// Nothing yet, to be compared with a witness.
    pub(crate) fn beside(witness: Option<&'a Witness>) -> Seen<'a> {
        Seen {
            witness,
            ..Seen::default()
        }
    }

    /// Notes an entry, and returns what a sentence calls it.
    pub(crate) fn entry(
        &mut self,
        row: &AnyRow,
        body: &[u8],
        week: Week,
        index: u64,
        findings: &mut Findings,
    ) -> Result<String, StoreError> {
        let stored: Option<String> = row.try_get("id")?;
        match Entry::parse(body) {
            Ok(Entry::Record(record)) => {
                let columns = Columns::of(&record);
                let name = format!("record {}", columns.id);
                match stored {
                    None => findings.fault(format!(
                        "{name} of {week} is not among those that can be searched"
                    )),
                    Some(_)
                        if stored_columns(row)?
                            != (Columns {
                                rules: Vec::new(),
                                ..columns.clone()
                            }) =>
                    {
                        findings.fault(format!(
                            "what {name} of {week} is searched by is not what it says"
                        ));
                    }
                    Some(_) => {}
                }
                self.record(columns);
                Ok(name)
            }
            Ok(Entry::Mark(Mark::Continues {
                week: before,
                checkpoint,
            })) => {
                self.continued.insert(before, checkpoint);
                Ok(format!("the mark that continues {week}"))
            }
            Ok(Entry::Mark(Mark::Deleted { weeks, .. })) => {
                self.deleted.extend(weeks);
                Ok("the mark of a deletion".to_owned())
            }
            Err(_) => {
                let name =
                    stored.map_or_else(|| format!("entry {index}"), |id| format!("record {id}"));
                findings.fault(format!("{name} of {week} cannot be read any more"));
                Ok(name)
            }
        }
    }

    fn record(&mut self, columns: Columns) {
        self.records += 1;
        for rule in columns.rules {
            *self.rules.entry(rule).or_default() += 1;
        }
        if columns.number > 0 {
            let number = columns.number;
            let known = self
                .numbers
                .entry(columns.replica)
                .or_insert((number, number, 0));
            *known = (known.0.min(number), known.1.max(number), known.2 + 1);
        }
        let Some(witness) = self.witness else {
            return;
        };
        if witness.records.contains_key(&columns.id) {
            self.witnessed.insert(columns.id);
        } else if let Some((first, last)) = witness.span
            && (first..=last).contains(&columns.time)
            && self.alone.len() < MOST_FAULTS
        {
            let id = columns.id;
            let note = format!("record {id} is here, and not in the API server's log");
            self.alone.push(note);
        }
    }

    /// What the running numbers and the API server's log say.
    pub(crate) fn tell(self, findings: &mut Findings) {
        for (replica, (first, last, count)) in &self.numbers {
            let lost = last - first + 1 - count;
            if lost > 0 {
                let note = format!(
                    "{lost} decisions of replica {replica:?} are not here: their running numbers are missing between \
                     {first} and {last}"
                );
                findings.notes.push(note);
            }
        }
        findings.notes.extend(self.alone);
        let Some(witness) = self.witness else {
            return;
        };
        let absent = witness
            .records
            .iter()
            .filter(|(id, _)| !self.witnessed.contains(*id));
        let mut absent: Vec<_> = absent.collect();
        absent.sort();
        for (id, event) in absent {
            findings.fault(format!(
                "record {id} is not here, and the API server's log has it: {event}"
            ));
        }
        for event in &witness.failed_open {
            findings.notes.push(format!(
                "keyguard was not asked, and the request went through: {event}"
            ));
        }
    }
}

fn stored_columns(row: &AnyRow) -> Result<Columns, StoreError> {
    let dry_run: i64 = row.try_get("dry_run")?;
    let id: String = row.try_get("id")?;
    Ok(Columns {
        // What is neither is found by no search, and fits no record.
        id: if (0..=1).contains(&dry_run) {
            id
        } else {
            String::new()
        },
        time: row.try_get("time")?,
        decision: row.try_get("decision")?,
        user: row.try_get("user_name")?,
        tool: row.try_get("tool")?,
        namespace: row.try_get("namespace")?,
        object: row.try_get("object")?,
        fingerprint: row.try_get("fingerprint")?,
        dry_run: dry_run == 1,
        replica: row.try_get("replica")?,
        number: row.try_get("number")?,
        rules: Vec::new(),
    })
}
