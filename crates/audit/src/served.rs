//! The log of a week as files that are asked for one by one.
//!
//! Source: C2SP `tlog-tiles`.

use sqlx::Row as _;

use crate::merkle::TILE_WIDTH;
use crate::store::{Store, StoreError, packed};
use crate::tiles::{CHECKPOINT, bundle, tile_of};
use crate::week::{Place, Week};

/// What a path of a log asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Checkpoint,
    /// So many hashes of a tile.
    Tile {
        level: u32,
        index: u64,
        width: u64,
    },
    /// So many of the entries below a tile of level 0.
    Entries {
        index: u64,
        width: u64,
    },
}

impl Asked {
    fn parse(path: &str) -> Option<Asked> {
        if path == CHECKPOINT {
            return Some(Asked::Checkpoint);
        }
        let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => (
                index,
                number(width).filter(|it| (1..TILE_WIDTH).contains(it))?,
            ),
            None => (rest, TILE_WIDTH),
        };
        let mut groups = index.split('/').rev();
        let last = groups.next().filter(|group| group.len() == 3)?;
        let mut index = number(last)?;
        let mut unit = 1_000_u64;
        for group in groups {
            let group = group.strip_prefix('x').filter(|group| group.len() == 3)?;
            index = index.checked_add(number(group)?.checked_mul(unit)?)?;
            unit = unit.checked_mul(1_000)?;
        }
        match level {
            "entries" => Some(Asked::Entries { index, width }),
            level => {
                let level = u32::try_from(number(level).filter(|level| *level < 64)?).ok()?;
                Some(Asked::Tile {
                    level,
                    index,
                    width,
                })
            }
        }
    }
}

/// Digits and nothing else.
fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

impl Store {
    /// The file of the log of `week`, such as `2026-W48`, at a path of `tlog-tiles`; nothing when there is none.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn log_file(&self, week: &str, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(asked) = Asked::parse(path) else {
            return Ok(None);
        };
        let logs = self.logs().await?;
        let Some((week, note)) = logs.into_iter().find(|(of, _)| of.to_string() == week) else {
            return Ok(None);
        };
        match asked {
            Asked::Checkpoint => Ok(Some(note.into_bytes())),
            Asked::Tile {
                level,
                index,
                width,
            } => self.tile_file(week, level, index, width).await,
            Asked::Entries { index, width } => self.entries_file(week, index, width).await,
        }
    }

    async fn tile_file(
        &self,
        week: Week,
        level: u32,
        index: u64,
        width: u64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let tile =
            "SELECT level, place, hashes FROM tiles WHERE week = $1 AND level = $2 AND place = $3";
        let row = sqlx::query(tile)
            .bind(week.number())
            .bind(i64::from(level))
            .bind(i64::try_from(index).unwrap_or(i64::MAX))
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let mut tile = tile_of(&row)?;
        let width = usize::try_from(width).unwrap_or(usize::MAX);
        // It may have grown since the checkpoint that names this width.
        let is_there = tile.hashes.len() >= width;
        tile.hashes.truncate(width);
        Ok(is_there.then(|| packed(&tile)))
    }

    async fn entries_file(
        &self,
        week: Week,
        index: u64,
        width: u64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(start) = index
            .checked_mul(TILE_WIDTH)
            .filter(|start| *start <= u64::from(u32::MAX))
        else {
            return Ok(None);
        };
        let at = |index| Place { week, index }.position();
        let entries =
            "SELECT body FROM entries WHERE position >= $1 AND position < $2 ORDER BY position";
        let rows = sqlx::query(entries)
            .bind(at(start))
            .bind(at(start) + i64::try_from(width).unwrap_or(0))
            .fetch_all(&self.pool)
            .await?;
        let bodies: Result<Vec<Vec<u8>>, sqlx::Error> =
            rows.iter().map(|row| row.try_get("body")).collect();
        let bodies = bodies?;
        let is_there = u64::try_from(bodies.len()) == Ok(width);
        Ok(is_there.then(|| bundle(bodies.iter().map(Vec::as_slice))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiles::tile_path;

    #[test]
    fn paths_are_read_as_they_are_written_and_nothing_else_is_one() {
        for (index, width) in [(0, 256), (7, 1), (1_234_067, 255), (999_999, 256)] {
            let path = tile_path("3", index, width);
            let tile = Asked::Tile {
                level: 3,
                index,
                width,
            };
            assert_eq!(Asked::parse(&path), Some(tile), "{path}");
            let path = tile_path("entries", index, width);
            let entries = Asked::Entries { index, width };
            assert_eq!(Asked::parse(&path), Some(entries), "{path}");
        }
        for path in [
            "",
            "/checkpoint",
            "tile/0",
            "tile/0/00",
            "tile/0/0000",
            "tile/0/+00",
            "tile/64/000",
            "tile/0/000.p/256",
            "tile/0/000.p/0",
            "tile/0/001/000",
            "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
            "tile/../checkpoint",
        ] {
            assert_eq!(Asked::parse(path), None, "{path}");
        }
    }
}
