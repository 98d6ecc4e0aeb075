//! Whether anything was changed since it was written.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures_util::TryStreamExt as _;
use sqlx::Row as _;

use crate::evidence::Evidence;
use crate::findings::Findings;
use crate::merkle::{Edge, Hash, TILE_WIDTH, Tile, leaf};
use crate::note::{Checkpoint, VerifyingKey};
use crate::seen::Seen;
use crate::store::{Store, StoreError, damage};
use crate::tiles::tile_of;
use crate::week::{Place, Week};

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
        progress: impl FnMut(u64),
    ) -> Result<Findings, StoreError> {
        let mut findings = Findings::default();
        let verified = self.verify_all(evidence, progress, &mut findings).await;
        match verified {
            Ok(()) => Ok(findings),
            // What was found stands, also when the rest cannot be read.
            Err(StoreError::Damaged(what)) => {
                findings.fault(what);
                Ok(findings)
            }
            Err(StoreError::Sql(error)) if !findings.faults.is_empty() => {
                findings.fault(format!("the rest cannot be read: {error}"));
                Ok(findings)
            }
            Err(error) => Err(error),
        }
    }

    async fn verify_all(
        &self,
        evidence: &Evidence<'_>,
        mut progress: impl FnMut(u64),
        findings: &mut Findings,
    ) -> Result<(), StoreError> {
        let mut pinned = evidence.pinned(findings)?;
        self.compare_schema(findings).await?;
        let logs = self.logs().await?;
        findings.logs = logs.len();
        if logs.is_empty() && pinned.is_empty() && findings.faults.is_empty() {
            return Err(StoreError::Nothing);
        }
        let mut sizes = BTreeMap::new();
        let mut seen = Seen::beside(evidence.witness);
        for (week, note) in &logs {
            let checkpoint = self.checkpoint(*week, note, evidence.key, findings);
            sizes.insert(week.number(), checkpoint.as_ref().map_or(0, |it| it.size));
            let mut reading = Reading {
                week: *week,
                checkpoint,
                edge: Edge::default(),
                mismatches: Vec::new(),
                pinned: pinned.remove(&week.to_string()).unwrap_or_default(),
                tiles: HashMap::new(),
                findings: &mut *findings,
            };
            self.read_log(&mut reading, &mut seen, &mut progress)
                .await?;
            reading.end();
        }
        let kept: HashSet<String> = logs.iter().map(|(week, _)| week.to_string()).collect();
        for (week, sizes) in pinned {
            if !seen.is_deleted(&week) {
                let by = sizes.into_values().flatten().next();
                let by = by.map(|(_, by)| by).unwrap_or_default();
                findings.fault(format!("the log of {week} is missing, which {by} is of"));
            }
        }
        for week in seen.continued.keys().filter(|week| !kept.contains(*week)) {
            if !seen.is_deleted(week) {
                findings.fault(format!(
                    "the log of {week} is missing, and no entry says that it was deleted"
                ));
            }
        }
        for (week, note) in &logs {
            let continued = seen.continued.get(&week.to_string());
            // A log ends when the next one begins: an older checkpoint of it is signed as well.
            if continued.is_some_and(|of| Checkpoint::parse(of) != Checkpoint::parse(note)) {
                findings.fault(format!(
                    "the checkpoint of {week} is not the one with which the next log continues it"
                ));
            }
        }
        self.compare_tiles(&sizes, findings).await?;
        self.compare_entries(findings).await?;
        self.compare_with_log(&mut seen, findings).await?;
        if self.logs().await? != logs {
            return Err(StoreError::Growing);
        }
        seen.tell(evidence, findings);
        Ok(())
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
            let size = reading.checkpoint.as_ref().map_or(0, |it| it.size);
            while next < index.min(size) {
                self.missing(reading, next).await?;
                next += 1;
            }
            let body: Vec<u8> = row
                .try_get("body")
                .or_else(|error| damage(error).map(|()| Vec::new()))?;
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
                Some(Err(StoreError::Sql(error))) => {
                    damage(error)?;
                    Vec::new()
                }
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
                    "the first {size} entries of the log of {week} are not those that {by} is of"
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
                    "the log of {week} was cut to {size} entries: {by} is of {of}"
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
