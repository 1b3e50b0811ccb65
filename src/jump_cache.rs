//! The table that indirect branches of translated code look into: one for each thread, and an empty one.

use crate::cache::SlotPointer;
use philae_backends::link::{JUMP_CACHE_ENTRIES, JumpCacheEntry, jump_cache_index};

/// A direct-mapped table from guest addresses to their link slots.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct JumpCache {
    entries: [JumpCacheEntry; JUMP_CACHE_ENTRIES],
}

/// The table in which nothing is found: a thread that is to leave translated code is pointed to it.
pub static EMPTY_JUMP_CACHE: JumpCache = JumpCache::new();

impl JumpCache {
    /// What stands where nothing is found: pc 4, which is looked for elsewhere; and elsewhere all bits set, which is
    /// looked for at 0.
    const EMPTY: [JumpCacheEntry; JUMP_CACHE_ENTRIES] = {
        let mut entries = [JumpCacheEntry::EMPTY; JUMP_CACHE_ENTRIES];
        entries[0].pc = 4;
        entries
    };

    /// An empty table.
    pub const fn new() -> JumpCache {
        JumpCache { entries: JumpCache::EMPTY }
    }

    /// Where it is, for translated code.
    pub fn address(&self) -> u64 {
        std::ptr::from_ref(self) as u64
    }

    /// Makes branches to `pc` go through `slot`.
    pub fn insert(&mut self, pc: u64, slot: SlotPointer) {
        self.entries[jump_cache_index(pc)] = JumpCacheEntry { pc, slot: slot.as_ptr() as u64 };
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries = JumpCache::EMPTY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_found_in_an_empty_table() {
        for (index, entry) in EMPTY_JUMP_CACHE.entries.iter().enumerate() {
            assert_ne!(jump_cache_index(entry.pc), index);
        }
    }
}
