//! The table that indirect branches of translated code look into: one for each thread, and an empty one.

use super::arena::SlotPointer;
use philae_backends::link::{
    JUMP_CACHE_WAYS, JumpCacheEntry, LARGEST_JUMP_CACHE, LEAST_JUMP_CACHE, jump_cache_index, jump_cache_mask,
};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, compiler_fence};

/// A thread's own: a table from guest addresses to their link slots, with two places for each address. It is small as
/// long as there is little in it: a short life pays for few pages.
#[derive(Debug)]
pub struct JumpCache {
    /// With one more than it says it has, so that pairs can be where they start a half of a line of the host's cache.
    entries: Box<[[u64; 2]]>,
    /// Where the table starts in `entries`.
    first: usize,
    /// How many entries had to go for others since the table has this size.
    displaced: usize,
    /// A place is being written: a table whose thread was killed then is no good to another.
    torn: AtomicBool,
}

/// What stands first in an empty table, twice: pc 4 is looked for elsewhere. Everywhere else stands pc 0, which is
/// looked for there.
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
        let entries = vec![[0; 2]; size + 1].into_boxed_slice();
        let first = entries.as_ptr() as usize / size_of::<JumpCacheEntry>() % JUMP_CACHE_WAYS;
        let mut table = JumpCache { entries, first, displaced: 0, torn: AtomicBool::new(false) };
        *table.pair_mut(0) = [FIRST; JUMP_CACHE_WAYS];
        table
    }

    fn size(&self) -> usize {
        self.entries.len() - 1
    }

    /// The two places of `pc`.
    fn pair(&self, pc: u64) -> &[[u64; 2]; JUMP_CACHE_WAYS] {
        let start = self.first + jump_cache_index(pc, self.size());
        (&self.entries[start..start + JUMP_CACHE_WAYS]).try_into().expect("as many")
    }

    fn pair_mut(&mut self, pc: u64) -> &mut [[u64; 2]; JUMP_CACHE_WAYS] {
        let start = self.first + jump_cache_index(pc, self.size());
        (&mut self.entries[start..start + JUMP_CACHE_WAYS]).try_into().expect("as many")
    }

    /// Where it is, for translated code.
    pub fn address(&self) -> u64 {
        self.entries[self.first..].as_ptr() as u64
    }

    /// How large it is, for translated code.
    pub fn mask(&self) -> u64 {
        jump_cache_mask(self.size())
    }

    /// Makes branches to `pc` go through `slot`.
    pub fn insert(&mut self, pc: u64, slot: SlotPointer) {
        self.torn.store(true, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        self.put([pc, slot.as_ptr() as u64]);
        compiler_fence(Ordering::SeqCst);
        self.torn.store(false, Ordering::Relaxed);
    }

    /// Whether its thread was killed while it wrote to it, so that an address may stand beside another one's slot.
    pub fn is_torn(&self) -> bool {
        self.torn.load(Ordering::Relaxed)
    }

    fn put(&mut self, wanted: [u64; 2]) {
        let pair = self.pair_mut(wanted[0]);
        // A page that is not written stays shared after fork.
        if pair.contains(&wanted) {
            return;
        }
        if let Some(known) = pair.iter_mut().find(|entry| entry[0] == wanted[0]) {
            *known = wanted;
            return;
        }
        // What has been here for long makes room.
        let [last, lost] = *pair;
        *pair = [wanted, last];
        self.displaced += usize::from(lost[1] != 0);
    }

    /// The link slot of `pc`, if it is here.
    pub fn get(&self, pc: u64) -> Option<SlotPointer> {
        let &[_, slot] = self.pair(pc).iter().find(|[known, _]| *known == pc)?;
        // SAFETY: the address came out of such a pointer.
        Some(unsafe { SlotPointer::from_address(slot) })
    }

    /// Whether a larger table would keep what this one has lost, and is worth its pages.
    pub fn is_crowded(&self) -> bool {
        self.displaced > self.size() / 16 && self.size() < LARGEST_JUMP_CACHE
    }

    /// Makes a crowded table larger.
    pub fn make_room(&mut self) {
        if !self.is_crowded() {
            return;
        }
        let mut larger = JumpCache::of((GROWTH * self.size()).min(LARGEST_JUMP_CACHE));
        self.entries.iter().rev().filter(|[_, slot]| *slot != 0).for_each(|&entry| larger.put(entry));
        *self = JumpCache { displaced: 0, ..larger };
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = JumpCache::of(self.size());
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
        self.0[..JUMP_CACHE_WAYS].iter().for_each(|[pc, _]| pc.store(FIRST[0], Ordering::Relaxed));
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
                let sought = jump_cache_index(pc.load(Ordering::Relaxed), size);
                assert!(!(sought..sought + JUMP_CACHE_WAYS).contains(&index));
            }
        }
        assert!([0, 4].into_iter().all(|pc| JumpCache::new().get(pc).is_none()));
    }

    #[test]
    fn of_three_addresses_with_the_same_places_two_are_kept() {
        let mut arena = Arena::map(1 << 20, 0).unwrap();
        let slots: Vec<SlotPointer> = (0..3).map(|pc| arena.add_slot(LinkSlot::new(pc, 0)).unwrap()).collect();
        let mut cache = JumpCache::new();
        assert_eq!(cache.address() % 32, 0);
        let pcs: Vec<u64> =
            (1..).map(|n| n << 4).filter(|&pc| jump_cache_index(pc, LEAST_JUMP_CACHE) == 8).take(3).collect();
        for (&pc, &slot) in pcs.iter().zip(&slots) {
            cache.insert(pc, slot);
        }
        let found =
            |cache: &JumpCache| pcs.iter().map(|&pc| cache.get(pc).map(SlotPointer::as_ptr)).collect::<Vec<_>>();
        assert_eq!(found(&cache), [None, Some(slots[1].as_ptr()), Some(slots[2].as_ptr())]);
        cache.insert(pcs[1], slots[0]);
        assert_eq!(found(&cache), [None, Some(slots[0].as_ptr()), Some(slots[2].as_ptr())]);
        assert_eq!(cache.displaced, 1);
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
