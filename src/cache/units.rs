//! Code by its host addresses: which guest address a piece was translated from, and which accesses in it may fault.
//!
//! In: pieces in the order of their addresses. Out: what a fault in one of them needs, stale pieces included. What is
//! known of an access takes eight bytes, in one list for all pieces.

use philae_backends::cranelift::FaultSite;

/// One translation.
#[derive(Clone, Copy, Debug)]
struct Unit {
    /// Its first host address.
    start: u64,
    /// The guest address it starts at.
    pc: u64,
    length: u32,
    /// The place of its first access; those of the next unit begin where its own end.
    first: u32,
}

/// An access that may fault.
#[derive(Clone, Copy, Debug)]
struct Site {
    /// Its host instruction, from the start of its unit.
    offset: u32,
    /// Its guest instruction, from the guest address of its unit.
    distance: i32,
}

/// The translations of a half of the arena.
#[derive(Debug, Default)]
pub(super) struct Units {
    units: Vec<Unit>,
    sites: Vec<Site>,
}

impl Units {
    /// Notes a translation behind all others. Its accesses lie within 2 GiB of `pc`.
    pub(super) fn add(&mut self, start: u64, length: usize, pc: u64, faults: &[FaultSite]) {
        debug_assert!(self.units.last().is_none_or(|last| last.start + u64::from(last.length) <= start));
        let first = self.sites.len() as u32;
        self.sites.extend(faults.iter().map(|site| {
            let distance = i32::try_from(site.pc.wrapping_sub(pc) as i64);
            Site { offset: site.offset, distance: distance.expect("a region's addresses lie close together") }
        }));
        self.units.push(Unit { start, pc, length: length as u32, first });
    }

    fn index_of(&self, host_pc: u64) -> Option<usize> {
        let index = self.units.partition_point(|unit| unit.start <= host_pc).checked_sub(1)?;
        (host_pc - self.units[index].start < u64::from(self.units[index].length)).then_some(index)
    }

    /// The guest address of the unit that a host address lies in.
    pub(super) fn unit_at(&self, host_pc: u64) -> Option<u64> {
        Some(self.units[self.index_of(host_pc)?].pc)
    }

    /// The guest pc of the access whose host instruction starts at a host address.
    pub(super) fn fault_pc(&self, host_pc: u64) -> Option<u64> {
        let index = self.index_of(host_pc)?;
        let unit = self.units[index];
        let last = self.units.get(index + 1).map_or(self.sites.len(), |next| next.first as usize);
        let sites = &self.sites[unit.first as usize..last];
        let site = sites.binary_search_by_key(&(host_pc - unit.start), |site| u64::from(site.offset)).ok()?;
        Some(unit.pc.wrapping_add_signed(i64::from(sites[site].distance)))
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
        units.add(0x1000, 0x40, 0x40_0000, &[site(4, 0x40_0000), site(9, 0x3f_fff0)]);
        units.add(0x1040, 0x20, 0x50_0000, &[]);
        units.add(0x1080, 0x20, 0x60_0000, &[site(0, 0x60_0004)]);
        let pcs = [0x1004, 0x1009, 0x1005, 0x1044, 0x1080, 0x1084].map(|host_pc| units.fault_pc(host_pc));
        assert_eq!(pcs, [Some(0x40_0000), Some(0x3f_fff0), None, None, Some(0x60_0004), None]);
        let units = [0xfff, 0x103f, 0x1040, 0x1060, 0x109f, 0x10a0].map(|host_pc| units.unit_at(host_pc));
        assert_eq!(units, [None, Some(0x40_0000), Some(0x50_0000), None, Some(0x60_0000), None]);
    }
}
