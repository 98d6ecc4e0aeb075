//! The log of a week as the files that other tools read.
//!
//! Source: C2SP `tlog-tiles`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use futures_util::TryStreamExt as _;
use sqlx::Row as _;
use thiserror::Error;

use crate::merkle::{TILE_WIDTH, Tile};
use crate::note::{Checkpoint, VerifyingKey};
use crate::store::{Store, StoreError, damage, packed, unpacked};
use crate::week::{Place, Week};

/// The file with the public key, as note verifiers read it.
pub const KEY_FILE: &str = "key.pub";
/// The file with the last checkpoint.
pub const CHECKPOINT: &str = "checkpoint";

/// Why a log is not written as files.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such log.
    #[error("the store has no log of that week")]
    NoLog,
    /// A file.
    #[error("{path} cannot be written")]
    File {
        /// Its path.
        path: String,
        /// Why.
        source: io::Error,
    },
}

/// The path of a tile with so many hashes; `level` is `entries` for those of entries themselves.
pub fn tile_path(level: &str, index: u64, width: u64) -> String {
    let mut groups = vec![format!("{:03}", index % 1000)];
    let mut rest = index / 1000;
    while rest > 0 {
        groups.push(format!("x{:03}", rest % 1000));
        rest /= 1000;
    }
    groups.reverse();
    let path = groups.join("/");
    match width {
        TILE_WIDTH => format!("tile/{level}/{path}"),
        width => format!("tile/{level}/{path}.p/{width}"),
    }
}

/// Entries one after the other, each after its length in two bytes.
pub fn bundle<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut bundle = Vec::new();
    for entry in entries {
        let length = u16::try_from(entry.len()).unwrap_or(u16::MAX);
        bundle.extend(length.to_be_bytes());
        bundle.extend(entry);
    }
    bundle
}

impl Store {
    /// The weeks that have a log, the oldest first, each with its last checkpoint.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn logs(&self) -> Result<Vec<(Week, String)>, StoreError> {
        let rows = sqlx::query("SELECT week, note FROM checkpoints ORDER BY week");
        let rows = rows.fetch_all(&self.pool).await?;
        let logs = rows.iter().map(|row| {
            let read = row
                .try_get("week")
                .and_then(|week| Ok((week, row.try_get("note")?)));
            let (week, note) = match read {
                Ok(read) => read,
                Err(error) => {
                    damage(error)?;
                    return Err(StoreError::Damaged(
                        "a checkpoint has values of other types".to_owned(),
                    ));
                }
            };
            let week = Week::numbered(week);
            let week = week.ok_or_else(|| {
                StoreError::Damaged("a checkpoint is of a week without a name".to_owned())
            });
            Ok((week?, note))
        });
        logs.collect()
    }

    /// Writes the log of a week, or the last one, into `folder`, with the key as others read it.
    ///
    /// # Errors
    /// When there is no such log, the store does not answer, or a file cannot be written.
    pub async fn export(
        &self,
        week: Option<&str>,
        key: &VerifyingKey,
        folder: &Path,
    ) -> Result<Checkpoint, ExportError> {
        let logs = self.logs().await?;
        let mut wanted = logs.into_iter().rev();
        let (week, note) = wanted
            .find(|(of, _)| week.is_none_or(|week| of.to_string() == week))
            .ok_or(ExportError::NoLog)?;
        let checkpoint = Checkpoint::parse(&note).map_err(StoreError::from)?;
        let files = Files { folder };
        let tiles = "SELECT level, place, hashes FROM tiles WHERE week = $1 ORDER BY level, place";
        let mut tiles = sqlx::query(tiles).bind(week.number()).fetch(&self.pool);
        while let Some(row) = tiles.try_next().await.map_err(StoreError::from)? {
            let mut tile = tile_of(&row)?;
            // The log may have grown since the checkpoint.
            let of_level = checkpoint.size / TILE_WIDTH.saturating_pow(tile.level);
            let width = of_level
                .saturating_sub(tile.index * TILE_WIDTH)
                .min(TILE_WIDTH);
            if width == 0 {
                continue;
            }
            tile.hashes
                .truncate(usize::try_from(width).unwrap_or(usize::MAX));
            let path = tile_path(&tile.level.to_string(), tile.index, width);
            files.write(&path, &packed(&tile))?;
        }
        let mut start = 0;
        while start < checkpoint.size {
            let end = checkpoint.size.min(start + TILE_WIDTH);
            let entries = self.entries(week, start, end).await?;
            let path = tile_path("entries", start / TILE_WIDTH, end - start);
            files.write(&path, &bundle(entries.iter().map(Vec::as_slice)))?;
            start = end;
        }
        files.write(KEY_FILE, key.to_text(&checkpoint.origin).as_bytes())?;
        // The checkpoint comes last: by it a reader of the folder knows which files are there.
        files.write(CHECKPOINT, note.as_bytes())?;
        Ok(checkpoint)
    }

    async fn entries(&self, week: Week, start: u64, end: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        let at = |index| Place { week, index }.position();
        let entries =
            "SELECT body FROM entries WHERE position >= $1 AND position < $2 ORDER BY position";
        let rows = sqlx::query(entries).bind(at(start)).bind(at(end));
        let rows = rows.fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok(row.try_get("body")?)).collect()
    }
}

/// A stored tile.
pub(crate) fn tile_of(row: &sqlx::any::AnyRow) -> Result<Tile, StoreError> {
    let damaged = || StoreError::Damaged("a tile is not whole".to_owned());
    let number = |name| -> Result<u64, StoreError> {
        u64::try_from(row.try_get::<i64, _>(name)?).map_err(|_| damaged())
    };
    let hashes: Vec<u8> = row.try_get("hashes")?;
    Ok(Tile {
        level: u32::try_from(number("level")?).map_err(|_| damaged())?,
        index: number("place")?,
        hashes: unpacked(&hashes).ok_or_else(damaged)?,
    })
}

struct Files<'a> {
    folder: &'a Path,
}

impl Files<'_> {
    fn write(&self, path: &str, bytes: &[u8]) -> Result<(), ExportError> {
        let path: PathBuf = self.folder.join(path);
        let parent = path.parent().map_or(Ok(()), fs::create_dir_all);
        let written = parent.and_then(|()| fs::write(&path, bytes));
        written.map_err(|source| ExportError::File {
            path: path.display().to_string(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        let table = [
            (("0", 0, 256), "tile/0/000"),
            (("1", 1_234_067, 256), "tile/1/x001/x234/067"),
            (("entries", 1234, 7), "tile/entries/x001/234.p/7"),
        ];
        for ((level, index, width), expected) in table {
            assert_eq!(tile_path(level, index, width), expected);
        }
    }
}
