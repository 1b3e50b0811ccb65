//! What is known of guest addresses, each under a small number, found by one multiplication.
//!
//! In: guest addresses, as code comes to exist at them or to exit to them. Out: a [`Place`] for each, which stays where
//! it is until everything is forgotten. There are hundreds of thousands in a large program, most of them used once: a
//! place is kept small, and what few have is kept elsewhere.

use super::arena::SlotPointer;
use std::ops::{Index, IndexMut};

/// The number of a place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct PlaceId(pub(super) u32);

/// What is executed at a guest address if it has no compiled region.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Block {
    /// It was not translated.
    Unknown,
    /// The interpreter's steps.
    Steps,
    /// The baseline compiler's code.
    Unit,
}

/// How a guest address fares that code starts at or exits to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The address.
    pub(super) pc: u64,
    /// Its link slot; none if the arena was full.
    pub(super) slot: Option<SlotPointer>,
    /// The unit's code, by its distance from the start of the arena.
    pub(super) unit: u32,
    /// How many guest bytes the block came from.
    pub(super) length: u16,
    /// In how many compiled regions a block starts here; of more than can be counted, fewer.
    pub(super) copies: u8,
    /// What its block is.
    pub(super) block: Block,
}

const _: () = assert!(size_of::<Place>() == 24);

impl Place {
    /// The guest bytes that its block came from.
    pub(super) fn range(&self) -> std::ops::Range<u64> {
        self.pc..self.pc.wrapping_add(u64::from(self.length))
    }
}

/// An entry of the table: the number of a place plus 1, or 0 where there is none, and below it the low bits of the
/// address, so that most of what is not looked for is passed by without a look at its place.
#[derive(Clone, Copy, Default, Debug)]
struct Entry(u32);

impl Entry {
    const LOW_BITS: u32 = 7;
    /// How many places there can be. An arena of 2 GiB has room for the slots of fewer, and the code that exits to them.
    const MOST: usize = (1 << (32 - Entry::LOW_BITS)) - 1;

    fn new(pc: u64, number: usize) -> Entry {
        Entry((number as u32 + 1) << Entry::LOW_BITS | Entry::low(pc))
    }

    fn low(pc: u64) -> u32 {
        pc as u32 & ((1 << Entry::LOW_BITS) - 1)
    }

    fn place(self) -> Option<PlaceId> {
        (self.0 >> Entry::LOW_BITS).checked_sub(1).map(PlaceId)
    }

    fn may_be(self, pc: u64) -> bool {
        (self.0 ^ Entry::low(pc)) & ((1 << Entry::LOW_BITS) - 1) == 0
    }
}

/// Tables of so many entries are large.
const LARGE: usize = 1 << 16;

/// All places.
#[derive(Debug, Default)]
pub(super) struct Places {
    all: Vec<Place>,
    /// In the order of their hashes as far as there is room; at least twice as many as places, and a power of two.
    table: Vec<Entry>,
}

impl Places {
    /// Where in the table an address belongs: those of 256 bytes of code lie together, because they are looked for
    /// together.
    fn home(&self, pc: u64) -> usize {
        let scattered = (pc >> 8).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - self.table.len().trailing_zeros());
        (scattered ^ (pc >> 2 & 63)) as usize
    }

    /// Where in the table an address is, or the free entry where it would be.
    fn position(&self, pc: u64) -> usize {
        let mut at = self.home(pc);
        loop {
            let entry = self.table[at];
            let Some(PlaceId(number)) = entry.place() else { return at };
            if entry.may_be(pc) && self.all[number as usize].pc == pc {
                return at;
            }
            at = (at + 1) & (self.table.len() - 1);
        }
    }

    /// The number of an address.
    pub(super) fn find(&self, pc: u64) -> Option<PlaceId> {
        if self.table.is_empty() {
            return None;
        }
        self.table[self.position(pc)].place()
    }

    /// The number of an address, which gets one.
    pub(super) fn add(&mut self, pc: u64) -> PlaceId {
        if 2 * self.all.len() >= self.table.len() {
            self.grow();
        }
        let at = self.position(pc);
        if let Some(known) = self.table[at].place() {
            return known;
        }
        let number = self.all.len();
        assert!(number < Entry::MOST, "more places than memory for their slots");
        self.all.push(Place { pc, slot: None, unit: 0, length: 0, copies: 0, block: Block::Unknown });
        self.table[at] = Entry::new(pc, number);
        PlaceId(number as u32)
    }

    fn grow(&mut self) {
        if self.all.capacity() == 0 {
            // So much at once is memory that is there when it is touched; to grow would copy it again and again.
            self.all.reserve(1 << 15);
        }
        // New memory, which is zero when it is touched: what the old table holds is not wanted in it. Growing less often
        // saves small programs time, growing by less saves large ones memory.
        let times = if self.table.len() < LARGE { 4 } else { 2 };
        self.table = vec![Entry::default(); (times * self.table.len()).max(4096)];
        for number in 0..self.all.len() {
            let pc = self.all[number].pc;
            let at = self.position(pc);
            self.table[at] = Entry::new(pc, number);
        }
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Place> {
        self.all.iter()
    }
}

impl Index<PlaceId> for Places {
    type Output = Place;

    fn index(&self, id: PlaceId) -> &Place {
        &self.all[id.0 as usize]
    }
}

impl IndexMut<PlaceId> for Places {
    fn index_mut(&mut self, id: PlaceId) -> &mut Place {
        &mut self.all[id.0 as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_has_its_own_place() {
        let mut places = Places::default();
        assert_eq!(places.find(0), None);
        let addresses: Vec<u64> = (0..5000).map(|n| ((n % 7) << 40) | (n * 4)).collect();
        let numbers: Vec<PlaceId> = addresses.iter().map(|&pc| places.add(pc)).collect();
        for (&pc, &number) in addresses.iter().zip(&numbers) {
            assert_eq!((places.find(pc), places.add(pc), places[number].pc), (Some(number), number, pc));
        }
        assert_eq!(places.find(2), None);
        assert_eq!(places.iter().count(), 5000);
    }
}
