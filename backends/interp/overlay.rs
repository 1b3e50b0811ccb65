//! Guest memory as a rehearsal sees it: stores stay here, loads see them, and nothing else can tell.
//!
//! In: the accesses of a rehearsal. Out: what memory must hold once compiled code has done the same, and what was read
//! of it. What must hold: an access faults here where it faults there. A store therefore tries its pages, by writing
//! back to each what it holds, atomically.

use super::memory;
use crate::float_control::invalid_alone;
use philae_ir::Ty;
use philae_ir::execute::{Failed, Host};

/// Guest pages are 4 KiB.
const PAGE: u64 = 4096;

/// Stores that were not made, and loads that were.
#[derive(Debug, Default)]
pub struct Overlay {
    /// By address / 8, ascending.
    words: Vec<(u64, Word)>,
    reads: Vec<Access>,
    /// Pages that may be written.
    writable: Vec<u64>,
}

/// Eight bytes, of which those in `mask` (0xff in each byte) were stored.
#[derive(Clone, Copy, Default, Debug)]
struct Word {
    value: u64,
    mask: u64,
}

/// So many bytes of guest memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    /// Where they are.
    pub address: u64,
    /// What type they have.
    pub ty: Ty,
    /// What they held or must hold.
    pub value: u128,
}

impl Overlay {
    /// The stored bytes that memory does not hold, each as an access of one byte; the value is what was stored.
    pub fn missing(&self) -> Vec<Access> {
        let mut missing = Vec::new();
        for &(index, word) in self.words.iter().filter(|word| !is_stored(word)) {
            for byte in (0..8).filter(|byte| word.mask >> (8 * byte) & 0xff != 0) {
                let access = Access {
                    address: index * 8 + byte,
                    ty: Ty::I8,
                    value: u128::from(word.value >> (8 * byte) & 0xff),
                };
                if !access.holds() {
                    missing.push(access);
                }
            }
        }
        missing
    }

    /// What was read of memory, and of nothing that was stored before or after, and is not there any more: somebody
    /// else has changed it since.
    pub fn changed_reads(&self) -> Vec<Access> {
        let changed = |access: &Access| match memory::load(access.ty, access.address) {
            Ok(now) => (now ^ access.value) & !self.stored(access.ty, access.address) != 0,
            Err(_) => true,
        };
        self.reads.iter().copied().filter(changed).collect()
    }

    /// The addresses that were read or stored to.
    pub fn addresses(&self) -> impl Iterator<Item = u64> {
        self.reads.iter().map(|access| access.address).chain(self.words.iter().map(|(index, _)| index * 8))
    }

    /// The words that an access touches, by index.
    fn words_of(&self, ty: Ty, address: u64) -> impl Iterator<Item = (u64, Word)> {
        let last = address.wrapping_add(u64::from(ty.bytes()) - 1) / 8;
        (address / 8..=last)
            .map(|index| (index, self.find(index).map_or_else(|_| Word::default(), |at| self.words[at].1)))
    }

    /// The place of a word, or where it would be.
    fn find(&self, index: u64) -> Result<usize, usize> {
        self.words.binary_search_by_key(&index, |&(index, _)| index)
    }

    /// The bytes of an access that were stored.
    fn stored(&self, ty: Ty, address: u64) -> u128 {
        let masks = self.words_of(ty, address).map(|(index, word)| placed(word.mask, index, address));
        masks.fold(0, |all, mask| all | mask) & whole(ty)
    }

    /// `value`, which memory holds at `address`, with the stored bytes in their places.
    fn patched(&self, ty: Ty, address: u64, value: u128) -> u128 {
        let words = self.words_of(ty, address);
        let stored = words.fold(0, |all, (index, word)| all | placed(word.value & word.mask, index, address));
        (value & !self.stored(ty, address) | stored) & whole(ty)
    }

    /// Fails where a store would.
    fn try_store(&mut self, ty: Ty, address: u64) -> Result<(), Failed> {
        let last = address.wrapping_add(u64::from(ty.bytes()) - 1);
        for at in [address, last & !(PAGE - 1)] {
            let page = at / PAGE;
            if (at == address || page != address / PAGE) && !self.writable.contains(&page) {
                let held = memory::load(Ty::I8, at)?;
                memory::compare_and_swap(Ty::I8, at, held, held)?;
                self.writable.push(page);
            }
        }
        Ok(())
    }
}

/// Whether memory holds a word as it was stored.
fn is_stored(&(index, word): &(u64, Word)) -> bool {
    memory::load(Ty::I64, index * 8).is_ok_and(|now| (now as u64 ^ word.value) & word.mask == 0)
}

impl Access {
    /// Whether memory holds this.
    fn holds(&self) -> bool {
        memory::load(self.ty, self.address) == Ok(self.value)
    }
}

/// All the bytes of a type in memory.
fn whole(ty: Ty) -> u128 {
    u128::MAX >> (128 - 8 * ty.bytes())
}

/// The bits of the word with this index, as they lie in a value that starts at `address`.
fn placed(bits: u64, index: u64, address: u64) -> u128 {
    shifted(u128::from(bits), (index * 8).wrapping_sub(address) as i64)
}

/// `bits`, which start `distance` bytes behind where the result does.
fn shifted(bits: u128, distance: i64) -> u128 {
    match distance {
        16.. => 0,
        0..16 => bits << (8 * distance),
        -15..0 => bits >> (-8 * distance),
        _ => 0,
    }
}

impl Host for Overlay {
    fn load(&mut self, ty: Ty, address: u64) -> Result<u128, Failed> {
        let value = memory::load(ty, address)?;
        self.reads.push(Access { address, ty, value });
        Ok(if self.words.is_empty() { value } else { self.patched(ty, address, value) })
    }

    fn store(&mut self, ty: Ty, address: u64, value: u128) -> Result<(), Failed> {
        self.try_store(ty, address)?;
        for index in address / 8..=(address + u64::from(ty.bytes()) - 1) / 8 {
            let distance = address.wrapping_sub(index * 8) as i64;
            let at = self.find(index).unwrap_or_else(|at| {
                self.words.insert(at, (index, Word::default()));
                at
            });
            let word = &mut self.words[at].1;
            let mask = shifted(whole(ty), distance) as u64;
            word.mask |= mask;
            word.value = word.value & !mask | shifted(value, distance) as u64 & mask;
        }
        Ok(())
    }

    fn compare_and_swap(&mut self, ty: Ty, address: u64, expected: u128, new: u128) -> Result<u128, Failed> {
        self.try_store(ty, address)?;
        let seen = self.load(ty, address)?;
        if seen == expected & whole(ty) {
            self.store(ty, address, new)?;
        }
        Ok(seen)
    }

    fn invalid_alone(&mut self, f: &dyn Fn() -> u128) -> u128 {
        invalid_alone(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn loads_see_stores_of_every_place_and_size() {
        let before: [u64; 8] = std::array::from_fn(|i| 0x0101_0101_0101_0101 * i as u64);
        let memory = before.map(AtomicU64::new);
        let base = memory.as_ptr() as u64;
        let mut overlay = Overlay::default();
        let mut wanted: Vec<u8> = before.iter().flat_map(|word| word.to_le_bytes()).collect();
        let value = 0xf0e1_d2c3_b4a5_9687_7869_5a4b_3c2d_1e0f_u128;
        for (at, ty) in [(3, Ty::I16), (13, Ty::I64), (16, Ty::I8), (22, Ty::I128), (45, Ty::I32), (47, Ty::V128)] {
            overlay.store(ty, base + at, value).expect("our own memory");
            let bytes = ty.bytes() as usize;
            wanted[at as usize..][..bytes].copy_from_slice(&value.to_le_bytes()[..bytes]);
        }
        for ty in [Ty::I8, Ty::I16, Ty::I32, Ty::I64, Ty::I128] {
            let bytes = ty.bytes() as usize;
            for at in 0..=wanted.len() - bytes {
                let mut expected = [0; 16];
                expected[..bytes].copy_from_slice(&wanted[at..at + bytes]);
                assert_eq!(overlay.load(ty, base + at as u64), Ok(u128::from_le_bytes(expected)), "{ty:?} at {at}");
            }
        }
        assert_eq!(memory.each_ref().map(|word| word.load(Ordering::Relaxed)), before);
        let missing = overlay.missing();
        assert!(missing.iter().all(|access| access.value == u128::from(wanted[(access.address - base) as usize])));
        assert!(overlay.changed_reads().is_empty());
        memory[0].fetch_add(1, Ordering::Relaxed);
        assert!(overlay.changed_reads().iter().any(|access| access.address == base && access.ty == Ty::I8));
    }

    #[test]
    fn a_swap_needs_what_was_expected() {
        let memory = [5u64];
        let base = memory.as_ptr() as u64;
        let mut overlay = Overlay::default();
        assert_eq!(overlay.compare_and_swap(Ty::I64, base, 4, 6), Ok(5));
        assert_eq!(overlay.compare_and_swap(Ty::I64, base, 5, 6), Ok(5));
        assert_eq!(overlay.compare_and_swap(Ty::I64, base, 5, 7), Ok(6));
        assert_eq!(memory, [5]);
    }
}
