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

/// An entry of the table: the low half of an address, so that most of what is not looked for is passed by without a look
/// at its place, and the place's number plus 1, or 0 where there is none.
#[derive(Clone, Copy, Default, Debug)]
struct Entry {
    low: u32,
    number: u32,
}

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
            let Entry { low, number } = self.table[at];
            if number == 0 || low == pc as u32 && self.all[number as usize - 1].pc == pc {
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
        self.table[self.position(pc)].number.checked_sub(1).map(PlaceId)
    }

    /// The number of an address, which gets one.
    pub(super) fn add(&mut self, pc: u64) -> PlaceId {
        if 2 * self.all.len() >= self.table.len() {
            self.grow();
        }
        let at = self.position(pc);
        if self.table[at].number == 0 {
            let new = Place { pc, slot: None, unit: 0, length: 0, copies: 0, block: Block::Unknown };
            self.all.push(new);
            self.table[at] = Entry { low: pc as u32, number: self.all.len() as u32 };
        }
        PlaceId(self.table[at].number - 1)
    }

    fn grow(&mut self) {
        if self.all.capacity() == 0 {
            // So much at once is memory that is there when it is touched; to grow would copy it again and again.
            self.all.reserve(1 << 15);
        }
        let size = (2 * self.table.len()).max(4096);
        self.table.clear();
        self.table.resize(size, Entry::default());
        for number in 0..self.all.len() {
            let pc = self.all[number].pc;
            let at = self.position(pc);
            self.table[at] = Entry { low: pc as u32, number: number as u32 + 1 };
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
