//! Code by its host addresses: which guest address a piece was translated from, and which accesses in it may fault.
//!
//! In: pieces in the order of their addresses. Out: what a fault in one of them needs, stale pieces included. What is
//! known of an access takes eight bytes, in one list for all pieces.

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
    /// The place of its first access; those of the next unit begin where its own end.
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

/// An access that may fault, beside what its unit knows.
#[derive(Clone, Copy, Debug)]
struct Access {
    /// Its host instruction, from the start of its unit.
    offset: u32,
    /// Its guest instruction, from the guest address of its unit.
    distance: i32,
}

/// The translations of a half of the arena.
#[derive(Debug, Default)]
pub(super) struct Units {
    units: Vec<Unit>,
    accesses: Vec<Access>,
    /// How many units there is to be room for at once.
    room: usize,
}

impl Units {
    /// No translations yet; the first brings room for those of so many bytes of code, memory that is there when it is
    /// touched.
    pub(super) fn of(bytes: usize) -> Units {
        Units { room: (bytes / 128).min(1 << 15), ..Units::default() }
    }

    /// Notes a translation behind all others. Its accesses lie within 2 GiB of `pc`.
    pub(super) fn add(&mut self, start: u64, length: usize, maker: Maker, pc: u64, faults: &[FaultSite]) {
        debug_assert!(self.units.last().is_none_or(|last| last.end() <= start));
        if self.units.is_empty() {
            self.units.reserve(self.room);
            self.accesses.reserve(2 * self.room);
        }
        let first = self.accesses.len() as u32;
        self.accesses.extend(faults.iter().map(|site| {
            let distance = i32::try_from(site.pc.wrapping_sub(pc) as i64);
            Access { offset: site.offset, distance: distance.expect("a region's addresses lie close together") }
        }));
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
        let accesses = &self.accesses[unit.first as usize..last];
        let offset = (host_pc - unit.start) as u32;
        let found = accesses.binary_search_by_key(&offset, |access| access.offset).ok()?;
        let pc = unit.pc.wrapping_add_signed(i64::from(accesses[found].distance));
        Some(Site { pc, maker: unit.maker() })
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.units.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accesses_are_found_in_their_unit() {
        let mut units = Units::default();
        let site = |offset, pc| FaultSite { offset, pc };
        units.add(0x1000, 0x40, Maker::Cranelift, 0x40_0000, &[site(4, 0x40_0000), site(9, 0x3f_fff0)]);
        units.add(0x1040, 0x20, Maker::Cranelift, 0x50_0000, &[]);
        units.add(0x1080, 0x20, Maker::Baseline, 0x60_0000, &[site(0, 0x60_0004)]);
        let hot = |pc| Some(Site { pc, maker: Maker::Cranelift });
        let cold = Some(Site { pc: 0x60_0004, maker: Maker::Baseline });
        let sites = [0x1004, 0x1009, 0x1005, 0x1044, 0x1080, 0x1084].map(|host_pc| units.fault_site(host_pc));
        assert_eq!(sites, [hot(0x40_0000), hot(0x3f_fff0), None, None, cold, None]);
        let units = [0xfff, 0x103f, 0x1040, 0x1060, 0x109f, 0x10a0].map(|host_pc| units.unit_at(host_pc));
        assert_eq!(units, [None, Some(0x40_0000), Some(0x50_0000), None, Some(0x60_0000), None]);
    }
}
