//! The table that indirect branches of translated code look into: one for each thread, and an empty one.

use super::arena::SlotPointer;
use philae_backends::link::{JumpCacheEntry, LARGEST_JUMP_CACHE, LEAST_JUMP_CACHE, jump_cache_index, jump_cache_mask};
use std::sync::atomic::{AtomicU64, Ordering};

/// A thread's own: a direct-mapped table from guest addresses to their link slots. It is small as long as there is little
/// in it: a short life pays for few pages.
#[derive(Debug)]
pub struct JumpCache {
    entries: Box<[[u64; 2]]>,
    /// How many entries had to go for others since the table has this size.
    displaced: usize,
}

/// What stands first in an empty table: pc 4 is looked for elsewhere. Everywhere else stands pc 0, which is looked for
/// in the first place.
const FIRST: [u64; 2] = [4, 0];

/// By how much a table grows.
const GROWTH: usize = 4;

impl JumpCache {
    /// An empty table.
    pub fn new() -> JumpCache {
        JumpCache::of(LEAST_JUMP_CACHE)
    }

    fn of(size: usize) -> JumpCache {
        const { assert!(size_of::<JumpCacheEntry>() == size_of::<[u64; 2]>()) };
        let mut entries = vec![[0; 2]; size];
        entries[0] = FIRST;
        JumpCache { entries: entries.into_boxed_slice(), displaced: 0 }
    }

    /// Where it is, for translated code.
    pub fn address(&self) -> u64 {
        self.entries.as_ptr() as u64
    }

    /// How large it is, for translated code.
    pub fn mask(&self) -> u64 {
        jump_cache_mask(self.entries.len())
    }

    /// Makes branches to `pc` go through `slot`.
    pub fn insert(&mut self, pc: u64, slot: SlotPointer) {
        let entry = &mut self.entries[jump_cache_index(pc, self.entries.len())];
        let wanted = [pc, slot.as_ptr() as u64];
        // A page that is not written stays shared after fork.
        if *entry != wanted {
            self.displaced += usize::from(entry[1] != 0 && entry[0] != pc);
            *entry = wanted;
        }
    }

    /// The link slot of `pc`, if it is here.
    pub fn get(&self, pc: u64) -> Option<SlotPointer> {
        let [known, slot] = self.entries[jump_cache_index(pc, self.entries.len())];
        // SAFETY: the address came out of such a pointer.
        (known == pc).then(|| unsafe { SlotPointer::from_address(slot) })
    }

    /// Whether a larger table would keep what this one has lost, and is worth its pages.
    pub fn is_crowded(&self) -> bool {
        self.displaced > self.entries.len() / 8 && self.entries.len() < LARGEST_JUMP_CACHE
    }

    /// Makes a crowded table larger.
    pub fn make_room(&mut self) {
        if !self.is_crowded() {
            return;
        }
        let mut larger = JumpCache::of((GROWTH * self.entries.len()).min(LARGEST_JUMP_CACHE));
        for &[pc, slot] in self.entries.iter().filter(|[_, slot]| *slot != 0) {
            larger.entries[jump_cache_index(pc, larger.entries.len())] = [pc, slot];
        }
        *self = larger;
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = JumpCache::of(self.entries.len());
    }
}

/// A table in which nothing is found, in memory that takes no room in the file. It has room for the distances of all
/// sizes.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct EmptyJumpCache([[AtomicU64; 2]; LARGEST_JUMP_CACHE]);

/// The one that a thread which is to leave translated code is pointed to.
pub static EMPTY_JUMP_CACHE: EmptyJumpCache =
    EmptyJumpCache([const { [const { AtomicU64::new(0) }; 2] }; LARGEST_JUMP_CACHE]);

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
    use super::super::arena::Arena;
    use super::*;
    use philae_backends::link::LinkSlot;

    #[test]
    fn nothing_is_found_in_an_empty_table() {
        EMPTY_JUMP_CACHE.prepare();
        for size in [LEAST_JUMP_CACHE, LARGEST_JUMP_CACHE] {
            for (index, [pc, _]) in EMPTY_JUMP_CACHE.0[..size].iter().enumerate() {
                assert_ne!(jump_cache_index(pc.load(Ordering::Relaxed), size), index);
            }
        }
    }

    #[test]
    fn a_crowded_table_grows_with_what_is_in_it() {
        let mut arena = Arena::map(1 << 20, 0).unwrap();
        let slots: Vec<SlotPointer> = (0..8192).map(|pc| arena.add_slot(LinkSlot::new(pc, 0)).unwrap()).collect();
        let mut cache = JumpCache::new();
        let pc = |number: u64| 0x40_0000 + number * 20;
        let mut number = 0;
        while !cache.is_crowded() {
            cache.insert(pc(number), slots[number as usize]);
            number += 1;
        }
        let kept: Vec<u64> = (0..number).filter(|&number| cache.get(pc(number)).is_some()).collect();
        cache.make_room();
        assert_eq!((cache.mask(), cache.is_crowded()), (jump_cache_mask(GROWTH * LEAST_JUMP_CACHE), false));
        for &number in &kept {
            let found = cache.get(pc(number)).map(SlotPointer::as_ptr);
            assert_eq!(found, Some(slots[number as usize].as_ptr()));
        }
        assert!(kept.len() > LEAST_JUMP_CACHE / 4);
    }
}
