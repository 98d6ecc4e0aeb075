//! Hashes of a Merkle tree, and the right edge that it grows at.
//!
//! Source: RFC 6962, section 2.1; C2SP `tlog-tiles`.

use sha2::{Digest as _, Sha256};

/// The hash of an entry, or of a subtree.
pub type Hash = [u8; 32];

/// How many hashes a full tile has.
pub const TILE_WIDTH: u64 = 256;

/// The root of a tree without entries.
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// The hash of an entry.
pub fn leaf(entry: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([0]);
    hasher.update(entry);
    hasher.finalize().into()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([1]);
    hasher.update(left);
    hasher.update(right);
    hasher.finalize().into()
}

/// A tile: hashes of one level, side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    /// The level; 0 has the hashes of entries, each further one those of full tiles.
    pub level: u32,
    /// Which tile of the level, from the left.
    pub index: u64,
    /// The hashes, at most [`TILE_WIDTH`].
    pub hashes: Vec<Hash>,
}

/// A tree that grows at its right edge: how many entries it has, and the tile at the edge of each level.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    /// The hashes of the tile that is not full, by level.
    levels: Vec<Vec<Hash>>,
}

impl Edge {
    /// The edge of a tree of this size, from the hashes that the tile at the edge has at each level; `None` when they are
    /// not as many as the size says.
    pub fn of(size: u64, mut at_edge: impl FnMut(u32, u64) -> Option<Vec<Hash>>) -> Option<Edge> {
        let mut levels = Vec::new();
        let (mut level, mut count) = (0, size);
        while count > 0 {
            let width = usize::try_from(count % TILE_WIDTH).ok()?;
            let hashes = match width {
                0 => Vec::new(),
                _ => at_edge(level, count / TILE_WIDTH)?,
            };
            if hashes.len() != width {
                return None;
            }
            levels.push(hashes);
            (level, count) = (level + 1, count / TILE_WIDTH);
        }
        Some(Edge { size, levels })
    }

    /// How many entries the tree has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds the hash of an entry, and hands over every tile that it makes full.
    pub fn add(&mut self, hash: Hash, mut full: impl FnMut(Tile)) {
        self.size += 1;
        let (mut hash, mut level, mut count) = (hash, 0_u32, self.size);
        loop {
            let place = usize::try_from(level).unwrap_or(usize::MAX);
            if self.levels.len() <= place {
                self.levels.push(Vec::new());
            }
            let Some(hashes) = self.levels.get_mut(place) else {
                return;
            };
            hashes.push(hash);
            if count % TILE_WIDTH != 0 {
                return;
            }
            let hashes = std::mem::take(hashes);
            hash = perfect(&hashes);
            count /= TILE_WIDTH;
            let index = count - 1;
            full(Tile {
                level,
                index,
                hashes,
            });
            level += 1;
        }
    }

    /// The tiles at the edge that are not full.
    pub fn tiles(&self) -> impl Iterator<Item = Tile> + '_ {
        let levels = (0_u32..).zip(&self.levels);
        let partial = levels.filter(|(_, hashes)| !hashes.is_empty());
        partial.map(|(level, hashes)| Tile {
            level,
            index: self.size / TILE_WIDTH.saturating_pow(level + 1),
            hashes: hashes.clone(),
        })
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        let mut root: Option<Hash> = None;
        for hashes in &self.levels {
            let mut rest = hashes.as_slice();
            let mut subtrees = Vec::new();
            while !rest.is_empty() {
                let width = 1 << rest.len().ilog2();
                let (subtree, after) = rest.split_at(width);
                subtrees.push(perfect(subtree));
                rest = after;
            }
            for subtree in subtrees.iter().rev() {
                root = Some(match root {
                    None => *subtree,
                    Some(right) => node(subtree, &right),
                });
            }
        }
        root.unwrap_or_else(empty_root)
    }
}

/// The hash over a power of two of hashes.
fn perfect(hashes: &[Hash]) -> Hash {
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        row = row
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => node(left, right),
                [alone] => *alone,
                _ => empty_root(),
            })
            .collect();
    }
    row.first().copied().unwrap_or_else(empty_root)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6962 as it is written.
    fn by_the_book(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty_root(),
            [leaf] => *leaf,
            leaves => {
                let split = leaves.len().next_power_of_two() / 2;
                let (left, right) = leaves.split_at(split);
                node(&by_the_book(left), &by_the_book(right))
            }
        }
    }

    #[test]
    fn the_root_of_any_size_is_that_of_the_rfc_and_the_edge_is_restored_from_tiles() {
        let leaves: Vec<Hash> = (0..70_000_u32).map(|it| leaf(&it.to_be_bytes())).collect();
        let (mut edge, mut tiles) = (Edge::default(), Vec::new());
        let mut sizes = vec![
            0, 1, 2, 3, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 70_000,
        ];
        sizes.reverse();
        for size in 0..=leaves.len() {
            if sizes.last() == Some(&size) {
                sizes.pop();
                assert_eq!(edge.root(), by_the_book(&leaves[..size]), "{size}");
                let at_edge: Vec<Tile> = edge.tiles().collect();
                let find = |level, index| {
                    let tile = at_edge
                        .iter()
                        .find(|it| (it.level, it.index) == (level, index));
                    tile.map(|tile| tile.hashes.clone())
                };
                assert_eq!(Edge::of(size as u64, find).as_ref(), Some(&edge), "{size}");
            }
            if let Some(leaf) = leaves.get(size) {
                edge.add(*leaf, |tile| tiles.push(tile));
            }
        }
        let full = |level| tiles.iter().filter(|it| it.level == level).count();
        assert_eq!([full(0), full(1), full(2)], [273, 1, 0]);
        assert!(tiles.iter().all(|tile| tile.hashes.len() == 256));
    }
}
