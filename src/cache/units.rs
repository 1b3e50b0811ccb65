//! Code by its host addresses: which guest address a piece was translated from, and which accesses in it may fault.
//!
//! In: pieces in the order of their addresses. Out: what a fault in one of them needs, stale pieces included. What is
//! known of an access takes two bytes as a rule, in one list for all pieces: how far it is from the one before. A third one
//! tells of those in the optimising compiler's code how far it is to where they recover.

use philae_backends::compiled::FaultSite;

/// Who made a translation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Maker {
    /// The baseline compiler: some guest registers are in host registers.
    Baseline,
    /// The optimising compiler.
    Cranelift,
    /// The optimising compiler, of code that the guest writes without announcing it: the host catches that, and the
    /// registers are exact at every access, so that the code can be left there.
    Watched,
}

/// An access that may fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Site {
    /// Its guest instruction.
    pub pc: u64,
    /// Whose code it is in.
    pub maker: Maker,
    /// The host address where the code goes on if it faults; see [`FaultSite::recovery`].
    pub recovery: Option<u64>,
}

/// One translation.
#[derive(Clone, Copy, Debug)]
struct Unit {
    /// Its first host address.
    start: u64,
    /// The guest address it starts at.
    pc: u64,
    /// Its length, and [`BASELINE`] or [`WATCHED`].
    length: u32,
    /// The place in the list of what is known of its accesses; that of the next unit's begins where its own ends.
    first: u32,
}

/// In a length: the baseline compiler's.
const BASELINE: u32 = 1 << 31;
/// In a length: of code that is watched.
const WATCHED: u32 = 1 << 30;

impl Unit {
    fn end(&self) -> u64 {
        self.start + u64::from(self.length & !(BASELINE | WATCHED))
    }

    fn maker(&self) -> Maker {
        match self.length & (BASELINE | WATCHED) {
            0 => Maker::Cranelift,
            WATCHED => Maker::Watched,
            _ => Maker::Baseline,
        }
    }
}

/// The translations of a half of the arena.
#[derive(Debug, Default)]
pub(super) struct Units {
    units: Vec<Unit>,
    /// Two numbers for each access: the distance of its host instruction from that of the one before, and the distance of
    /// its guest instruction, whose sign is the lowest bit. The first access is told from the start of its unit. Behind these,
    /// if the optimising compiler made the unit, the distance to where the access recovers, or 0, and its sign.
    accesses: Vec<u8>,
    /// How many units there is to be room for at once.
    room: usize,
}

impl Units {
    /// No translations yet; the first brings room for those of so many bytes of code, memory that is there when it is
    /// touched.
    pub(super) fn of(bytes: usize) -> Units {
        Units { room: (bytes / 128).min(1 << 15), ..Units::default() }
    }

    /// Notes a translation behind all others, its accesses in their order.
    pub(super) fn add(&mut self, start: u64, length: usize, maker: Maker, pc: u64, faults: &[FaultSite]) {
        debug_assert!(self.units.last().is_none_or(|last| last.end() <= start));
        if self.units.is_empty() {
            self.units.reserve(self.room);
            self.accesses.reserve(4 * self.room);
        }
        let first = self.accesses.len() as u32;
        let mut before = FaultSite { offset: 0, recovery: None, pc };
        for &site in faults {
            push_number(&mut self.accesses, u64::from(site.offset - before.offset));
            push_number(&mut self.accesses, sign_last(site.pc.wrapping_sub(before.pc)));
            if maker != Maker::Baseline {
                let distance = site.recovery.map_or(0, |to| i64::from(to.get()) - i64::from(site.offset));
                push_number(&mut self.accesses, sign_last(distance as u64));
            }
            before = site;
        }
        let mark = match maker {
            Maker::Baseline => BASELINE,
            Maker::Cranelift => 0,
            Maker::Watched => WATCHED,
        };
        self.units.push(Unit { start, pc, length: length as u32 | mark, first });
    }

    fn index_of(&self, host_pc: u64) -> Option<usize> {
        let index = self.units.partition_point(|unit| unit.start <= host_pc).checked_sub(1)?;
        (host_pc < self.units[index].end()).then_some(index)
    }

    /// The guest address of the unit that a host address lies in.
    pub(super) fn unit_at(&self, host_pc: u64) -> Option<u64> {
        Some(self.units[self.index_of(host_pc)?].pc)
    }

    /// The access whose host instruction starts at a host address.
    pub(super) fn fault_site(&self, host_pc: u64) -> Option<Site> {
        let index = self.index_of(host_pc)?;
        let unit = self.units[index];
        let last = self.units.get(index + 1).map_or(self.accesses.len(), |next| next.first as usize);
        let mut accesses = self.accesses[unit.first as usize..last].iter();
        let (mut at, mut pc) = (unit.start, unit.pc);
        loop {
            at += take_number(&mut accesses)?;
            pc = pc.wrapping_add(sign_first(take_number(&mut accesses)?));
            let recovery = match unit.maker() {
                Maker::Baseline => 0,
                Maker::Cranelift | Maker::Watched => sign_first(take_number(&mut accesses)?),
            };
            if at == host_pc {
                let recovery = (recovery != 0).then(|| at.wrapping_add(recovery));
                return Some(Site { pc, maker: unit.maker(), recovery });
            }
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.units.len()
    }
}

/// Appends a number: seven bits a byte, low ones first, and the eighth where more follow.
fn push_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Takes the next one, if there is one.
fn take_number<'a>(bytes: &mut impl Iterator<Item = &'a u8>) -> Option<u64> {
    let (mut number, mut shift) = (0, 0);
    loop {
        let &byte = bytes.next()?;
        number |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            return Some(number);
        }
    }
}

/// A number in two's complement with its sign as the lowest bit, so that small ones of either sign are short.
fn sign_last(number: u64) -> u64 {
    number << 1 ^ (number as i64 >> 63) as u64
}

/// The number that [`sign_last`] was given.
fn sign_first(number: u64) -> u64 {
    number >> 1 ^ (number & 1).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    #[test]
    fn accesses_are_found_in_their_unit() {
        let mut units = Units::default();
        let site = |offset, pc| FaultSite { offset, recovery: NonZeroU32::new(3 * offset % 24), pc };
        units.add(0x1000, 0x40, Maker::Cranelift, 0x40_0000, &[site(4, 0x40_0000), site(8, 7), site(9, u64::MAX)]);
        units.add(0x1040, 0x20, Maker::Cranelift, 0x50_0000, &[]);
        units.add(0x1080, 0x20, Maker::Baseline, 0x60_0000, &[site(0, 0x60_0004)]);
        let hot = |pc, recovery| Some(Site { pc, maker: Maker::Cranelift, recovery });
        let cold = Some(Site { pc: 0x60_0004, maker: Maker::Baseline, recovery: None });
        let sites = [0x1004, 0x1008, 0x1009].map(|host_pc| units.fault_site(host_pc));
        assert_eq!(sites, [hot(0x40_0000, Some(0x100c)), hot(7, None), hot(u64::MAX, Some(0x1003))]);
        let sites = [0x1005, 0x1044, 0x1080, 0x1084].map(|host_pc| units.fault_site(host_pc));
        assert_eq!(sites, [None, None, cold, None]);
        let units = [0xfff, 0x103f, 0x1040, 0x1060, 0x109f, 0x10a0].map(|host_pc| units.unit_at(host_pc));
        assert_eq!(units, [None, Some(0x40_0000), Some(0x50_0000), None, Some(0x60_0000), None]);
    }
    #[test]
    fn numbers_are_taken_as_they_were_pushed() {
        let numbers = [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, u64::MAX >> 1, 1 << 63, u64::MAX];
        let mut bytes = Vec::new();
        numbers.iter().for_each(|&number| push_number(&mut bytes, sign_last(number)));
        let mut bytes = bytes.iter();
        assert_eq!(numbers.map(|_| take_number(&mut bytes).map(sign_first)), numbers.map(Some));
        assert_eq!(take_number(&mut bytes), None);
        assert_eq!([0, 1, u64::MAX, 64, 64u64.wrapping_neg()].map(sign_last), [0, 2, 1, 128, 127]);
    }
}
