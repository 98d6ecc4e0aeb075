//! Whether anything was changed since it was written.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use futures_util::TryStreamExt as _;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::entry::{Columns, Entry, Mark};
use crate::merkle::{Edge, Hash, TILE_WIDTH, Tile, leaf};
use crate::note::{Checkpoint, VerifyingKey};
use crate::store::{Store, StoreError};
use crate::tiles::tile_of;
use crate::week::{Place, Week};
use crate::witness::Witness;

/// The most faults that are listed; the rest is counted.
const MOST_FAULTS: usize = 1_000;

/// What was found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Each sign that something was changed, in a sentence.
    pub faults: Vec<String>,
    /// How many more there are.
    pub more: usize,
    /// What is worth knowing and no sign of that.
    pub notes: Vec<String>,
    /// How many entries were read.
    pub entries: u64,
    /// How many logs.
    pub logs: usize,
}

impl Findings {
    fn fault(&mut self, fault: String) {
        match self.faults.len() < MOST_FAULTS {
            true => self.faults.push(fault),
            false => self.more += 1,
        }
    }
}

/// What is compared with the store.
pub struct Evidence<'a> {
    /// The key that checkpoints are signed by.
    pub key: &'a VerifyingKey,
    /// Checkpoints from before, as somebody kept them.
    pub older: &'a [String],
    /// Audit logs of the API server.
    pub witness: Option<&'a Witness>,
}

/// An entry that does not have the hash of its place.
struct Mismatch {
    index: u64,
    found: Hash,
    expected: Hash,
    name: String,
}

/// One log while it is read.
struct Reading<'a> {
    week: Week,
    checkpoint: Option<Checkpoint>,
    edge: Edge,
    mismatches: Vec<Mismatch>,
    /// Roots that the tree must have had, by size, each with who says so.
    pinned: BTreeMap<u64, Vec<(Hash, String)>>,
    /// The tile of each level that was read last.
    tiles: HashMap<u32, (u64, Vec<Hash>)>,
    findings: &'a mut Findings,
}

impl Store {
    /// Reads the whole store, and says what does not fit; `progress` is told how many entries were read so far.
    ///
    /// # Errors
    /// When the store does not answer: then it cannot be told.
    pub async fn verify(
        &self,
        evidence: &Evidence<'_>,
        mut progress: impl FnMut(u64),
    ) -> Result<Findings, StoreError> {
        let mut findings = Findings::default();
        let logs = self.logs().await?;
        findings.logs = logs.len();
        let mut pinned = pinned(evidence, &mut findings);
        let mut seen = Seen {
            witness: evidence.witness,
            ..Seen::default()
        };
        for (week, note) in &logs {
            let checkpoint = self.checkpoint(*week, note, evidence.key, &mut findings);
            let mut reading = Reading {
                week: *week,
                checkpoint,
                edge: Edge::default(),
                mismatches: Vec::new(),
                pinned: pinned.remove(&week.to_string()).unwrap_or_default(),
                tiles: HashMap::new(),
                findings: &mut findings,
            };
            self.read_log(&mut reading, &mut seen, &mut progress)
                .await?;
            reading.end();
        }
        let kept: HashSet<String> = logs.iter().map(|(week, _)| week.to_string()).collect();
        for (week, sizes) in pinned {
            if !seen.deleted.contains(&week) {
                let by = sizes.into_values().flatten().next();
                let by = by.map(|(_, by)| by).unwrap_or_default();
                findings.fault(format!(
                    "the log of {week} is missing, of which {by} has a checkpoint"
                ));
            }
        }
        for week in seen.continued.difference(&kept) {
            if !seen.deleted.contains(week) {
                findings.fault(format!(
                    "the log of {week} is missing, and no entry says that it was deleted"
                ));
            }
        }
        self.compare_columns(&seen, &mut findings).await?;
        seen.tell(&mut findings);
        Ok(findings)
    }

    fn checkpoint(
        &self,
        week: Week,
        note: &str,
        key: &VerifyingKey,
        findings: &mut Findings,
    ) -> Option<Checkpoint> {
        let parsed = Checkpoint::parse(note);
        let read = parsed.and_then(|read| Checkpoint::verify(note, &read.origin, key));
        match read {
            Ok(read) if read.origin.ends_with(&format!("/{week}")) => Some(read),
            Ok(_) => {
                findings.fault(format!("the checkpoint of {week} is that of another log"));
                None
            }
            Err(error) => {
                findings.fault(format!("the checkpoint of {week}: {error}"));
                None
            }
        }
    }

    async fn read_log(
        &self,
        reading: &mut Reading<'_>,
        seen: &mut Seen<'_>,
        progress: &mut impl FnMut(u64),
    ) -> Result<(), StoreError> {
        let week = reading.week;
        let entries = "SELECT e.position, e.body, r.id, r.time, r.decision, r.user_name, r.tool, r.namespace, r.object, \
                       r.fingerprint, r.dry_run, r.replica, r.number \
                       FROM entries e LEFT JOIN records r ON r.position = e.position \
                       WHERE e.position >= $1 AND e.position < $2 ORDER BY e.position";
        let start = Place { week, index: 0 }.position();
        let mut rows = sqlx::query(entries)
            .bind(start)
            .bind(start + (1 << 32))
            .fetch(&self.pool);
        let mut next = 0;
        while let Some(row) = rows.try_next().await? {
            let index = Place::at(row.try_get("position")?).map_or(0, |place| place.index);
            while next < index {
                self.missing(reading, next).await?;
                next += 1;
            }
            let body: Vec<u8> = row.try_get("body")?;
            let name = seen.entry(&row, &body, week, index, reading.findings)?;
            self.add(reading, index, leaf(&body), name).await?;
            next = index + 1;
            reading.findings.entries += 1;
            if reading.findings.entries.is_multiple_of(10_000) {
                progress(reading.findings.entries);
            }
        }
        let size = reading.checkpoint.as_ref().map_or(0, |it| it.size);
        // A log may have lost its end by millions: the first place tells enough.
        if next < size {
            let all = size - next;
            let fault = format!(
                "{all} entries are missing at the end of the log of {week}, from number {next} on"
            );
            reading.findings.fault(fault);
            for index in next..size {
                let Some(hash) = self.expected(reading, index).await? else {
                    break;
                };
                self.grow(reading, hash).await?;
            }
        }
        Ok(())
    }

    /// The hash that the tiles have for an entry.
    async fn expected(
        &self,
        reading: &mut Reading<'_>,
        index: u64,
    ) -> Result<Option<Hash>, StoreError> {
        let hashes = self.tile(reading, 0, index / TILE_WIDTH).await?;
        let place = usize::try_from(index % TILE_WIDTH).unwrap_or(usize::MAX);
        Ok(hashes.get(place).copied())
    }

    /// The hashes of a stored tile; none when it is missing or not whole.
    async fn tile<'a>(
        &self,
        reading: &'a mut Reading<'_>,
        level: u32,
        index: u64,
    ) -> Result<&'a [Hash], StoreError> {
        // One of each level at a time.
        if reading.tiles.get(&level).is_none_or(|(of, _)| *of != index) {
            let tile = "SELECT level, place, hashes FROM tiles WHERE week = $1 AND level = $2 AND place = $3";
            let row = sqlx::query(tile)
                .bind(reading.week.number())
                .bind(i64::from(level))
                .bind(i64::try_from(index).unwrap_or(i64::MAX))
                .fetch_optional(&self.pool)
                .await?;
            let hashes = match row.map(|row| tile_of(&row)) {
                Some(Ok(tile)) => tile.hashes,
                Some(Err(StoreError::Sql(error))) => return Err(error.into()),
                Some(Err(_)) | None => Vec::new(),
            };
            reading.tiles.insert(level, (index, hashes));
        }
        let tile = reading.tiles.get(&level);
        Ok(tile.map_or(&[][..], |(_, hashes)| hashes.as_slice()))
    }

    async fn missing(&self, reading: &mut Reading<'_>, index: u64) -> Result<(), StoreError> {
        let week = reading.week;
        reading
            .findings
            .fault(format!("entry {index} of the log of {week} was removed"));
        let hash = self.expected(reading, index).await?.unwrap_or_default();
        self.grow(reading, hash).await
    }

    async fn add(
        &self,
        reading: &mut Reading<'_>,
        index: u64,
        found: Hash,
        name: String,
    ) -> Result<(), StoreError> {
        let size = reading.checkpoint.as_ref().map(|it| it.size);
        if size.is_some_and(|size| index >= size) {
            let week = reading.week;
            let fault = format!("{name} was inserted behind the end of the log of {week}");
            reading.findings.fault(fault);
            return Ok(());
        }
        match self.expected(reading, index).await? {
            Some(expected) if expected == found => {}
            Some(expected) => reading.mismatches.push(Mismatch {
                index,
                found,
                expected,
                name,
            }),
            None => {
                let week = reading.week;
                let fault = format!(
                    "the tile with {name}, entry {index} of the log of {week}, is missing or too short"
                );
                reading.findings.fault(fault);
            }
        }
        self.grow(reading, found).await
    }

    /// Adds a hash to the tree, and compares the tiles that it makes full with those that are stored.
    async fn grow(&self, reading: &mut Reading<'_>, hash: Hash) -> Result<(), StoreError> {
        let mut full: Vec<Tile> = Vec::new();
        reading.edge.add(hash, |tile| full.push(tile));
        for tile in full.iter().filter(|tile| tile.level > 0) {
            self.compare(reading, tile).await?;
        }
        let size = reading.edge.size();
        if let Some(roots) = reading.pinned.remove(&size) {
            let root = reading.edge.root();
            for (_, by) in roots.iter().filter(|(pinned, _)| *pinned != root) {
                let week = reading.week;
                let fault = format!(
                    "the first {size} entries of the log of {week} are not those that {by} has a checkpoint of"
                );
                reading.findings.fault(fault);
            }
        }
        if reading
            .checkpoint
            .as_ref()
            .is_some_and(|it| it.size == size)
        {
            let partial: Vec<Tile> = reading.edge.tiles().filter(|tile| tile.level > 0).collect();
            for tile in &partial {
                self.compare(reading, tile).await?;
            }
        }
        Ok(())
    }

    async fn compare(&self, reading: &mut Reading<'_>, tile: &Tile) -> Result<(), StoreError> {
        let fits = self.tile(reading, tile.level, tile.index).await? == tile.hashes;
        if !fits && reading.mismatches.is_empty() {
            let (week, level, place) = (reading.week, tile.level, tile.index);
            let fault = format!(
                "tile {place} of level {level} of the log of {week} does not fit the entries below it"
            );
            reading.findings.fault(fault);
        }
        Ok(())
    }

    /// Compares what records are searched by with what they say.
    async fn compare_columns(
        &self,
        seen: &Seen<'_>,
        findings: &mut Findings,
    ) -> Result<(), StoreError> {
        let rows = sqlx::query("SELECT rule, COUNT(*) AS count FROM record_rules GROUP BY rule");
        let mut rules: HashMap<String, i64> = HashMap::new();
        for row in rows.fetch_all(&self.pool).await? {
            rules.insert(row.try_get("rule")?, row.try_get("count")?);
        }
        if rules != seen.rules {
            findings.fault(
                "the rules that records are searched by are not those of the records".to_owned(),
            );
        }
        let row = sqlx::query("SELECT COUNT(*) AS count FROM records")
            .fetch_one(&self.pool)
            .await?;
        let count: i64 = row.try_get("count")?;
        if count != seen.records {
            let fault = format!(
                "{count} records can be searched, and the log has {}",
                seen.records
            );
            findings.fault(fault);
        }
        Ok(())
    }
}

impl Reading<'_> {
    fn end(self) {
        let Reading {
            week,
            checkpoint,
            edge,
            mismatches,
            pinned,
            findings,
            ..
        } = self;
        let known = findings.faults.len();
        let expected: HashMap<Hash, u64> = mismatches
            .iter()
            .map(|it| (it.expected, it.index))
            .collect();
        for Mismatch {
            index, found, name, ..
        } in &mismatches
        {
            findings.fault(match expected.get(found) {
                Some(from) => format!(
                    "{name} was moved to entry {index} of the log of {week} from entry {from}"
                ),
                None => format!("{name}, entry {index} of the log of {week}, was changed"),
            });
        }
        let size = checkpoint.as_ref().map_or(0, |it| it.size);
        for (of, roots) in pinned {
            for (_, by) in roots {
                findings.fault(format!(
                    "the log of {week} was cut to {size} entries: {by} has a checkpoint of {of}"
                ));
            }
        }
        let Some(checkpoint) = checkpoint else {
            return;
        };
        if edge.root() != checkpoint.root && findings.faults.len() == known {
            findings.fault(format!(
                "the entries of the log of {week} do not fit its checkpoint"
            ));
        }
    }
}

/// What was seen of all logs.
#[derive(Default)]
struct Seen<'a> {
    witness: Option<&'a Witness>,
    /// The ids of records that the witness has as well.
    witnessed: HashSet<String>,
    /// Notes on records that it has not.
    alone: Vec<String>,
    records: i64,
    rules: HashMap<String, i64>,
    /// Weeks that another log says it continues.
    continued: HashSet<String>,
    deleted: HashSet<String>,
    /// The running numbers of each replica: the first, the last, and how many.
    numbers: BTreeMap<String, (i64, i64, i64)>,
}

impl Seen<'_> {
    /// Notes an entry, and returns what a sentence calls it.
    fn entry(
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
            Ok(Entry::Mark(Mark::Continues { week: before, .. })) => {
                self.continued.insert(before);
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
    fn tell(self, findings: &mut Findings) {
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
    Ok(Columns {
        id: row.try_get("id")?,
        time: row.try_get("time")?,
        decision: row.try_get("decision")?,
        user: row.try_get("user_name")?,
        tool: row.try_get("tool")?,
        namespace: row.try_get("namespace")?,
        object: row.try_get("object")?,
        fingerprint: row.try_get("fingerprint")?,
        dry_run: row.try_get::<i64, _>("dry_run")? != 0,
        replica: row.try_get("replica")?,
        number: row.try_get("number")?,
        rules: Vec::new(),
    })
}

/// The roots that the logs must have had, by week and size.
fn pinned(
    evidence: &Evidence<'_>,
    findings: &mut Findings,
) -> BTreeMap<String, BTreeMap<u64, Vec<(Hash, String)>>> {
    let mut pinned: BTreeMap<String, BTreeMap<u64, Vec<(Hash, String)>>> = BTreeMap::new();
    let mut pin = |week: &str, size: u64, root: Hash, by: String| {
        let sizes = pinned.entry(week.to_owned()).or_default();
        // An empty log fits everything.
        if size > 0 {
            sizes.entry(size).or_default().push((root, by));
        }
    };
    for note in evidence.older {
        let read = Checkpoint::parse(note);
        match read.and_then(|read| Checkpoint::verify(note, &read.origin, evidence.key)) {
            Ok(read) => {
                let week = read
                    .origin
                    .rsplit('/')
                    .next()
                    .unwrap_or_default()
                    .to_owned();
                pin(
                    &week,
                    read.size,
                    read.root,
                    "the older checkpoint".to_owned(),
                );
            }
            Err(error) => findings.fault(format!("the older checkpoint: {error}")),
        }
    }
    if let Some(witness) = evidence.witness {
        for ((week, size), roots) in &witness.checkpoints {
            for (root, event) in roots {
                pin(
                    week,
                    *size,
                    *root,
                    format!("the API server's event {event}"),
                );
            }
        }
    }
    pinned
}

impl fmt::Display for Findings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.faults {
            writeln!(formatter, "TAMPERED  {fault}")?;
        }
        if self.more > 0 {
            writeln!(formatter, "TAMPERED  {} more", self.more)?;
        }
        for note in &self.notes {
            writeln!(formatter, "note      {note}")?;
        }
        let (entries, logs) = (self.entries, self.logs);
        match self.faults.is_empty() {
            true => writeln!(
                formatter,
                "intact    {entries} entries in {logs} logs fit their checkpoints"
            ),
            false => Ok(()),
        }
    }
}
