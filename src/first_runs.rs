//! Where the process has been: which guest addresses it executes for the first time.
//!
//! In: addresses of blocks, from all threads: what each of many executes once is executed often. Out: whether each is new. Of
//! many thousands, some are taken for known: who asks loses nothing but time by that.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bits of the hash of an address: as many as keep a program of a hundred thousand blocks from being taken for known
/// altogether.
const BITS: u32 = 18;

/// A set of guest addresses that only grows, as one bit for each hash, in memory that takes no room in the file.
#[derive(Debug)]
pub struct FirstRuns([AtomicU64; 1 << (BITS - 6)]);

/// The one of the process.
pub static FIRST_RUNS: FirstRuns = FirstRuns::new();

impl FirstRuns {
    const fn new() -> FirstRuns {
        FirstRuns([const { AtomicU64::new(0) }; 1 << (BITS - 6)])
    }

    /// Puts an address in, and gives whether it was not in before. What two threads put in at the same time may be lost.
    pub fn is_first(&self, pc: u64) -> bool {
        let (word, bit) = self.place(pc);
        let before = word.load(Ordering::Relaxed);
        if before & bit == 0 {
            word.store(before | bit, Ordering::Relaxed);
        }
        before & bit == 0
    }

    /// Takes out the addresses of a range at which AArch64's instructions can start, and others with the same hashes.
    pub fn forget(&self, range: Range<u64>) {
        for pc in range.step_by(4) {
            let (word, bit) = self.place(pc);
            word.store(word.load(Ordering::Relaxed) & !bit, Ordering::Relaxed);
        }
    }

    /// The word of an address and its bit there.
    fn place(&self, pc: u64) -> (&AtomicU64, u64) {
        // Fibonacci hashing: programs and libraries lie at like distances.
        let hash = pc.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - BITS);
        (&self.0[(hash >> 6) as usize], 1 << (hash & 63))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_addresses_are_new_once() {
        static RUNS: FirstRuns = FirstRuns::new();
        let addresses = || (0..10_000).map(|n| 0x40_0000 + 20 * n);
        let new = addresses().filter(|&pc| RUNS.is_first(pc)).count();
        assert!(new > 9_500, "{new}");
        assert!(!addresses().any(|pc| RUNS.is_first(pc)));
        RUNS.forget(0x40_0000..0x40_0040);
        assert_eq!([0x40_0000, 0x40_0014, 0x40_0000].map(|pc| RUNS.is_first(pc)), [true, true, false]);
    }
}
