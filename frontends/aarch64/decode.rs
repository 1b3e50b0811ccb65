//! From an instruction word to its row: an index over the bits that tell most instructions apart, made at compile time.
//!
//! The order of the rows is kept: of two that fit, the first counts.

use super::lift::{ROWS, Row};
use super::word::Word;

/// Bits 29 to 21 and 13 to 10 number the buckets.
const KEY_MASK: u32 = 0x1ff << 21 | 0xf << 10;
const BUCKETS: usize = 1 << 13;

const fn key(word: u32) -> usize {
    ((word >> 21 & 0x1ff) << 4 | word >> 10 & 0xf) as usize
}

/// The rows of each bucket, as numbers, one bucket after another.
struct Index {
    starts: [u16; BUCKETS + 1],
    rows: [u16; ENTRIES],
}

/// Calls for every bucket that a row can be in: the submasks of the key bits that its pattern leaves free.
macro_rules! for_each_bucket {
    ($row:expr, $bucket:ident, $body:block) => {
        let free = KEY_MASK & !$row.mask;
        let mut bits = 0u32;
        loop {
            let $bucket = key($row.value & KEY_MASK | bits);
            $body
            bits = bits.wrapping_sub(free) & free;
            if bits == 0 {
                break;
            }
        }
    };
}

const ENTRIES: usize = {
    let (mut count, mut i) = (0, 0);
    while i < ROWS.len() {
        count += 1usize << (KEY_MASK & !ROWS[i].mask).count_ones();
        i += 1;
    }
    count
};

static INDEX: Index = {
    let mut starts = [0u16; BUCKETS + 1];
    let mut i = 0;
    while i < ROWS.len() {
        for_each_bucket!(ROWS[i], bucket, { starts[bucket + 1] += 1 });
        i += 1;
    }
    i = 0;
    while i < BUCKETS {
        starts[i + 1] += starts[i];
        i += 1;
    }
    let mut next = starts;
    let mut rows = [0u16; ENTRIES];
    i = 0;
    while i < ROWS.len() {
        for_each_bucket!(ROWS[i], bucket, {
            rows[next[bucket] as usize] = i as u16;
            next[bucket] += 1;
        });
        i += 1;
    }
    Index { starts, rows }
};

/// The first row whose pattern `word` fits.
pub(super) fn find(word: Word) -> Option<&'static Row> {
    let bucket = key(word.0);
    let rows = &INDEX.rows[INDEX.starts[bucket] as usize..INDEX.starts[bucket + 1] as usize];
    rows.iter().map(|&row| &ROWS[row as usize]).find(|row| word.0 & row.mask == row.value)
}
