//! What is compared over all logs: what records are searched by, running numbers, the API server's log.

use std::collections::{BTreeMap, HashMap, HashSet};

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::counts::{Hours, RowSum, count};
use crate::entry::{Columns, Entry, Mark};
use crate::evidence::Evidence;
use crate::findings::{Findings, MOST_FAULTS};
use crate::numbers::Numbers;
use crate::store::{StoreError, damage};
use crate::week::{Place, Week};
use crate::witness::{Witness, Witnessed};

/// What was seen of all logs.
#[derive(Default)]
pub(crate) struct Seen<'a> {
    witness: Option<&'a Witness>,
    /// The ids of records that the witness has as well.
    witnessed: HashSet<String>,
    /// Notes on records that it has not.
    alone: Vec<String>,
    /// The rows that rules lead to records by.
    pub(crate) rules: RowSum,
    pub(crate) hours: Hours,
    /// Weeks that another log says it continues, each with the checkpoint that it names.
    pub(crate) continued: HashMap<String, String>,
    /// The last week that an entry says was deleted: those before it were deleted before.
    pub(crate) deleted: Option<Week>,
    /// The running numbers of each replica.
    numbers: BTreeMap<String, Numbers>,
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
        let stored = match stored_columns(row) {
            Ok(stored) => stored.map(Some),
            Err(error) => {
                damage(error)?;
                Some(None)
            }
        };
        match Entry::parse(body) {
            Ok(Entry::Record(record)) => {
                let columns = Columns::of(&record);
                let name = format!("record {}", columns.id);
                let searched = Columns {
                    rules: Vec::new(),
                    ..columns.clone()
                };
                match stored {
                    None => findings.fault(format!(
                        "{name} of {week} is not among those that can be searched"
                    )),
                    Some(stored) if stored != Some(searched) => findings.fault(format!(
                        "what {name} of {week} is searched by is not what it says"
                    )),
                    Some(_) => {}
                }
                self.record(columns, Place { week, index });
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
                let last = weeks.iter().filter_map(|week| Week::named(week)).max();
                self.deleted = self.deleted.max(last);
                Ok("the mark of a deletion".to_owned())
            }
            Ok(Entry::Mark(Mark::Looked { user, time, .. })) => {
                Ok(format!("the mark that {user} looked at {time}"))
            }
            Err(_) => {
                let name = match stored.flatten() {
                    Some(stored) => format!("record {}", stored.id),
                    None => format!("entry {index}"),
                };
                findings.fault(format!("{name} of {week} cannot be read any more"));
                Ok(name)
            }
        }
    }

    fn record(&mut self, columns: Columns, place: Place) {
        for rule in &columns.rules {
            self.rules.add(rule, columns.time, place.position());
        }
        count(&mut self.hours, &columns);
        if columns.number > 0 {
            let known = self.numbers.entry(columns.replica).or_default();
            known.add(columns.number);
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

    /// Whether the log of a week was deleted, as an entry says.
    pub(crate) fn is_deleted(&self, week: &str) -> bool {
        self.deleted
            .is_some_and(|last| Week::named(week).is_some_and(|week| week <= last))
    }

    /// What the running numbers and the API server's log say.
    pub(crate) fn tell(self, evidence: &Evidence<'_>, findings: &mut Findings) {
        for (replica, numbers) in &self.numbers {
            if let Some((lost, (from, to))) = numbers.missing() {
                findings.notes.push(format!(
                    "{lost} decisions of replica {replica:?} are not here: their running numbers are missing, the first from \
                     {from} to {to}"
                ));
            }
            if numbers.repeated > 0 {
                findings.notes.push(format!(
                    "{} running numbers of replica {replica:?} come again: the file that keeps the number was lost, or another \
                     replica has the same name",
                    numbers.repeated
                ));
            }
        }
        let last = self.numbers.values().filter_map(Numbers::last).max();
        if let (Some(given), Some(last)) = (evidence.last_number, last)
            && given > last
        {
            findings.notes.push(format!(
                "the last decision had the running number {given}, and {last} is the last that is here: what came between was \
                 lost, or is not written yet"
            ));
        }
        if let Some(last) = self.deleted {
            findings.notes.push(format!(
                "the logs up to {last} were deleted, as an entry says"
            ));
        }
        findings.notes.extend(self.alone);
        let Some(witness) = self.witness else {
            return;
        };
        let (records, checkpoints) = (witness.records.len(), witness.checkpoints.len());
        findings.notes.push(match records + checkpoints {
            0 => "the API server's log has no annotation of keyguard, so it proves nothing".to_owned(),
            _ => format!("{records} records and {checkpoints} checkpoints of the API server's log were compared"),
        });
        let is_own = |witnessed: &Witnessed| {
            let log = witnessed.log.as_deref();
            log.is_none_or(|log| evidence.origin_of(log).is_some())
        };
        let (own, others): (Vec<_>, Vec<_>) = witness
            .records
            .iter()
            .partition(|(_, witnessed)| is_own(witnessed));
        if !others.is_empty() {
            let note = format!(
                "{} records of the API server's log are of other stores",
                others.len()
            );
            findings.notes.push(note);
        }
        let absent = own
            .into_iter()
            .filter(|(id, _)| !self.witnessed.contains(*id));
        // The first records of a store come before its first checkpoint.
        let (absent, nameless): (Vec<_>, Vec<_>) =
            absent.partition(|(_, witnessed)| witnessed.log.is_some());
        let absent = absent.into_iter();
        if let Some(first) = nameless.iter().map(|(id, _)| *id).min() {
            findings.notes.push(format!(
                "{} records of the API server's log are not here, and it does not say of which store they are; the first is {first}",
                nameless.len()
            ));
        }
        let kept_from = self.deleted.map_or(i64::MIN, Week::end);
        let (mut absent, too_old): (Vec<_>, Vec<_>) =
            absent.partition(|(_, witnessed)| witnessed.time.is_none_or(|time| time >= kept_from));
        if !too_old.is_empty() {
            let note = format!(
                "{} records of the API server's log are older than what is kept",
                too_old.len()
            );
            findings.notes.push(note);
        }
        absent.sort_by_key(|(id, _)| *id);
        for (id, Witnessed { event, .. }) in absent {
            findings.fault(format!(
                "record {id} is not here, and the API server's log has it: {event}; it was removed, or lost when keyguard was \
                 killed or had no room for it, which its metrics and log would tell"
            ));
        }
        if witness.torn > 0 {
            findings
                .notes
                .push("the last line of an audit log is not whole yet, and is left out".to_owned());
        }
        for event in &witness.failed_open {
            findings.notes.push(format!(
                "keyguard was not asked, and the request went through: {event}"
            ));
        }
    }
}

/// What a record is searched by; nothing when it cannot be searched at all.
fn stored_columns(row: &AnyRow) -> Result<Option<Columns>, sqlx::Error> {
    let Some(id) = row.try_get::<Option<String>, _>("id")? else {
        return Ok(None);
    };
    let dry_run: i64 = row.try_get("dry_run")?;
    Ok(Some(Columns {
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
    }))
}
