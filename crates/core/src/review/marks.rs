//! Where strings end or are interrupted, looked for many bytes at once.

use wide::u8x16;

/// Which bytes of a block are quotes or backslashes; the block that was looked at last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    start: usize,
    /// A bit a byte, the first the lowest.
    bits: u64,
}

/// How many bytes are looked at together.
const BLOCK: usize = u64::BITS as usize;

impl Marks {
    /// Of the block of `bytes` that begins at `start`. What lies behind the end is marked, so that every search ends.
    #[inline(never)]
    pub(super) fn of(bytes: &[u8], start: usize) -> Self {
        let rest = bytes.get(start..).unwrap_or_default();
        let bits = match rest.first_chunk() {
            Some(block) => marked(block),
            None => {
                let mut block = [b'"'; BLOCK];
                for (byte, of_rest) in block.iter_mut().zip(rest) {
                    *byte = *of_rest;
                }
                marked(&block)
            }
        };
        Marks { start, bits }
    }

    /// Where the next one is, from `from` on.
    #[inline(always)]
    pub(super) fn next(&mut self, bytes: &[u8], from: usize) -> usize {
        let within = from % BLOCK;
        let start = from - within;
        if start != self.start {
            *self = Marks::of(bytes, start);
        }
        let mut ahead = self.bits >> within << within;
        while ahead == 0 {
            *self = Marks::of(bytes, self.start + BLOCK);
            ahead = self.bits;
        }
        self.start + ahead.trailing_zeros() as usize
    }
}

#[inline]
fn marked(block: &[u8; BLOCK]) -> u64 {
    let (sixteens, _) = block.as_chunks::<16>();
    sixteens.iter().rev().fold(0, |marks, sixteen| {
        let bytes = u8x16::new(*sixteen);
        let quotes = bytes.simd_eq(u8x16::splat(b'"'));
        let backslashes = bytes.simd_eq(u8x16::splat(b'\\'));
        marks << 16 | u64::from((quotes | backslashes).to_bitmask())
    })
}
