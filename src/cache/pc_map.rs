//! Maps by guest address.
//!
//! Addresses are no secret and nobody chooses them to collide: one multiplication spreads them well enough.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map from guest addresses, or numbers of guest pages.
pub(super) type PcMap<T> = HashMap<u64, T, BuildHasherDefault<PcHasher>>;

/// Hashes one number.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct PcHasher(u64);

impl Hasher for PcHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    // The product's high bits depend on all of the number; the table wants good low ones.
    fn finish(&self) -> u64 {
        self.0.rotate_left(32)
    }
}
