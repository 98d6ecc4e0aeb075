//! The log of a week as the files that other tools read.
//!
//! Source: C2SP `tlog-tiles`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sqlx::Row as _;
use thiserror::Error;

use crate::merkle::{TILE_WIDTH, Tile};
use crate::note::{Checkpoint, VerifyingKey};
use crate::store::{Store, StoreError, damage, unpacked};
use crate::week::Week;

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
        for path in paths(checkpoint.size) {
            let file = self.log_file(&week.to_string(), &path).await?;
            let missing = || StoreError::Damaged(format!("the log of {week} has no {path}"));
            write(folder, &path, &file.ok_or_else(missing)?)?;
        }
        let key = key.to_text(&checkpoint.origin);
        write(folder, KEY_FILE, key.as_bytes())?;
        // The checkpoint comes last: by it a reader of the folder knows which files are there.
        write(folder, CHECKPOINT, note.as_bytes())?;
        Ok(checkpoint)
    }
}

/// The paths of all tiles and entries of a log of so many.
pub fn paths(size: u64) -> Vec<String> {
    let of_level = |level: &str, count: u64| -> Vec<String> {
        let tiles = 0..count.div_ceil(TILE_WIDTH);
        let width = |index| TILE_WIDTH.min(count - index * TILE_WIDTH);
        tiles
            .map(|index| tile_path(level, index, width(index)))
            .collect()
    };
    let mut paths = of_level("entries", size);
    let (mut level, mut count) = (0, size);
    while count > 0 {
        paths.extend(of_level(&format!("{level}"), count));
        (level, count) = (level + 1, count / TILE_WIDTH);
    }
    paths
}

/// Writes one of the files of a log.
///
/// # Errors
/// When it cannot be written.
pub fn write(folder: &Path, path: &str, bytes: &[u8]) -> Result<(), ExportError> {
    let path: PathBuf = folder.join(path);
    let parent = path.parent().map_or(Ok(()), fs::create_dir_all);
    let written = parent.and_then(|()| fs::write(&path, bytes));
    written.map_err(|source| ExportError::File {
        path: path.display().to_string(),
        source,
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_log_are_those_of_its_size() {
        assert_eq!(paths(0), [""; 0]);
        assert_eq!(paths(3), ["tile/entries/000.p/3", "tile/0/000.p/3"]);
        assert_eq!(
            paths(513),
            [
                "tile/entries/000",
                "tile/entries/001",
                "tile/entries/002.p/1",
                "tile/0/000",
                "tile/0/001",
                "tile/0/002.p/1",
                "tile/1/000.p/2",
            ]
        );
    }

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
