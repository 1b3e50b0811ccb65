//! Where jumps to computed addresses went: what a thread's baseline code notes, for who lifts what is hot.
//!
//! In: whence and whither each such jump goes, written by translated code. Out: where the jump at an address goes, as far as
//! it went there the last two times. That is a guess: whoever relies on it compares first.

use std::sync::atomic::{AtomicU32, Ordering};

/// How many jumps are remembered, a power of two: those of what runs at a time.
const PLACES: usize = 128;

/// What is known of one jump: the low halves of addresses. Others have the same place.
#[derive(Debug)]
#[repr(C)]
pub struct Place {
    /// Where the jump is.
    pub from: AtomicU32,
    /// Where it went.
    pub to: AtomicU32,
    /// Where it, or one that has the same place, went the time before.
    pub before: AtomicU32,
}

impl Place {
    const fn new() -> Place {
        Place { from: AtomicU32::new(0), to: AtomicU32::new(0), before: AtomicU32::new(0) }
    }
}

/// A thread's table of jumps.
#[derive(Debug)]
pub struct Went([Place; PLACES]);

/// What code writes to that runs outside of a thread.
pub static NOBODYS: Went = Went::new();

impl Went {
    /// An empty table.
    pub const fn new() -> Went {
        Went([const { Place::new() }; PLACES])
    }

    /// Where it is, for translated code.
    pub fn address(&self) -> u64 {
        self.0.as_ptr() as u64
    }

    /// The distance in bytes from the start of a table to the [`Place`] of the jump at `pc`.
    pub const fn offset(pc: u64) -> usize {
        Went::index(pc) * size_of::<Place>()
    }

    const fn index(pc: u64) -> usize {
        (pc ^ pc >> 2 ^ pc >> 9) as usize % PLACES
    }

    /// Where the jump at `pc` goes, if that is known, was the same two times, and is less than 2 GiB away.
    pub fn from(&self, pc: u64) -> Option<u64> {
        let Place { from, to, before } = &self.0[Went::index(pc)];
        let [from, to, before] = [from, to, before].map(|half| half.load(Ordering::Relaxed));
        let distance = to.wrapping_sub(from) as i32;
        (from == pc as u32 && to == before).then(|| pc.wrapping_add_signed(i64::from(distance)))
    }
}

impl Default for Went {
    fn default() -> Self {
        Went::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_times_make_a_guess() {
        let (from, to) = (0x5555_ffff_fff0_u64, 0x5556_0000_0010_u64);
        let table = Went::new();
        assert_eq!(table.from(from), None);
        let place = &table.0[Went::offset(from) / size_of::<Place>()];
        place.from.store(from as u32, Ordering::Relaxed);
        place.to.store(to as u32, Ordering::Relaxed);
        assert_eq!(table.from(from), None);
        place.before.store(to as u32, Ordering::Relaxed);
        assert_eq!((table.from(from), table.from(from + 1)), (Some(to), None));
        place.from.store(to as u32, Ordering::Relaxed);
        assert_eq!(table.from(from), None, "another jump's");
    }
}
