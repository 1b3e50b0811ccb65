//! The table that indirect branches of translated code look into: one for each thread, and an empty one.

use super::arena::SlotPointer;
use philae_backends::link::{JUMP_CACHE_ENTRIES, JumpCacheEntry, jump_cache_index};
use std::sync::atomic::{AtomicU64, Ordering};

/// A thread's own: a direct-mapped table from guest addresses to their link slots. Its memory is touched where it is
/// used, so that a short life pays for little of it.
#[derive(Debug)]
pub struct JumpCache(Box<[[u64; 2]]>);

/// What stands first in an empty table: pc 4 is looked for elsewhere. Everywhere else stands pc 0, which is looked for
/// in the first place.
const FIRST: [u64; 2] = [4, 0];

impl JumpCache {
    /// An empty table.
    pub fn new() -> JumpCache {
        const { assert!(size_of::<JumpCacheEntry>() == size_of::<[u64; 2]>()) };
        let mut entries = vec![[0; 2]; JUMP_CACHE_ENTRIES];
        entries[0] = FIRST;
        JumpCache(entries.into_boxed_slice())
    }

    /// Where it is, for translated code.
    pub fn address(&self) -> u64 {
        self.0.as_ptr() as u64
    }

    /// Makes branches to `pc` go through `slot`.
    pub fn insert(&mut self, pc: u64, slot: SlotPointer) {
        let entry = &mut self.0[jump_cache_index(pc)];
        let wanted = [pc, slot.as_ptr() as u64];
        // A page that is not written stays shared after fork.
        if *entry != wanted {
            *entry = wanted;
        }
    }

    /// The link slot of `pc`, if it is here.
    pub fn get(&self, pc: u64) -> Option<SlotPointer> {
        let [known, slot] = self.0[jump_cache_index(pc)];
        // SAFETY: the address came out of such a pointer.
        (known == pc).then(|| unsafe { SlotPointer::from_address(slot) })
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = JumpCache::new();
    }
}

/// A table in which nothing is found, in memory that takes no room in the file.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct EmptyJumpCache([[AtomicU64; 2]; JUMP_CACHE_ENTRIES]);

/// The one that a thread which is to leave translated code is pointed to.
pub static EMPTY_JUMP_CACHE: EmptyJumpCache =
    EmptyJumpCache([const { [const { AtomicU64::new(0) }; 2] }; JUMP_CACHE_ENTRIES]);

impl EmptyJumpCache {
    /// Makes it one in which nothing is found at 0 either; whoever makes a cache does so.
    pub fn prepare(&self) {
        self.0[0][0].store(FIRST[0], Ordering::Relaxed);
    }

    /// Where it is, for translated code.
    pub fn address(&self) -> u64 {
        self.0.as_ptr() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_found_in_an_empty_table() {
        EMPTY_JUMP_CACHE.prepare();
        for (index, [pc, _]) in EMPTY_JUMP_CACHE.0.iter().enumerate() {
            assert_ne!(jump_cache_index(pc.load(Ordering::Relaxed)), index);
        }
    }
}
