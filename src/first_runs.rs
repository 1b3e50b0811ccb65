//! Where a thread has been: which guest addresses it executes for the first time.
//!
//! In: addresses of blocks. Out: whether each is new. Of many thousands, some are taken for known: who asks loses
//! nothing but time by that.

/// A set of guest addresses that only grows, as one bit for each hash. It has no room before something is put into it.
#[derive(Debug, Default)]
pub struct FirstRuns(Vec<u64>);

impl FirstRuns {
    /// As many as keep a program of a hundred thousand blocks from being taken for known altogether; memory that is
    /// there when it is touched.
    const BITS: u32 = 18;

    /// Puts an address in, and gives whether it was not in before.
    pub fn is_first(&mut self, pc: u64) -> bool {
        if self.0.is_empty() {
            self.0 = vec![0; 1 << (FirstRuns::BITS - 6)];
        }
        // Fibonacci hashing: programs and libraries lie at like distances.
        let hash = pc.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - FirstRuns::BITS);
        let word = &mut self.0[(hash >> 6) as usize];
        let bit = 1 << (hash & 63);
        let first = *word & bit == 0;
        *word |= bit;
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_addresses_are_new_once() {
        let mut runs = FirstRuns::default();
        let addresses = || (0..10_000).map(|n| 0x40_0000 + 20 * n);
        let new = addresses().filter(|&pc| runs.is_first(pc)).count();
        assert!(new > 9_500, "{new}");
        assert!(!addresses().any(|pc| runs.is_first(pc)));
    }
}
