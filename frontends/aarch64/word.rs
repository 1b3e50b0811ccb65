//! The fields of an A64 instruction word, under the names of the Arm ARM.

use philae_ir::Ty;

/// A 32-bit instruction word.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word(pub(super) u32);

impl Word {
    /// Bits `high` to `low`, both included, at the bottom.
    pub(super) fn bits(self, high: u32, low: u32) -> u32 {
        self.0 << (31 - high) >> (31 - high + low)
    }

    /// Bits `high` to `low` as a two's complement number.
    pub(super) fn signed(self, high: u32, low: u32) -> i64 {
        i64::from((self.0 << (31 - high)) as i32 >> (31 - high + low))
    }

    /// Whether bit `n` is set.
    pub(super) fn is_set(self, n: u32) -> bool {
        self.0 >> n & 1 != 0
    }

    /// Rd: bits 4 to 0.
    pub(super) fn rd(self) -> usize {
        self.bits(4, 0) as usize
    }

    /// Rt, in the place of Rd.
    pub(super) fn rt(self) -> usize {
        self.rd()
    }

    /// Rn: bits 9 to 5.
    pub(super) fn rn(self) -> usize {
        self.bits(9, 5) as usize
    }

    /// Rm: bits 20 to 16.
    pub(super) fn rm(self) -> usize {
        self.bits(20, 16) as usize
    }

    /// Rs, in the place of Rm.
    pub(super) fn rs(self) -> usize {
        self.rm()
    }

    /// Ra: bits 14 to 10.
    pub(super) fn ra(self) -> usize {
        self.bits(14, 10) as usize
    }

    /// Rt2, in the place of Ra.
    pub(super) fn rt2(self) -> usize {
        self.ra()
    }

    /// The width that sf (bit 31) chooses: W or X registers.
    pub(super) fn sf(self) -> Ty {
        if self.is_set(31) { Ty::I64 } else { Ty::I32 }
    }

    /// The integer type that bits 31 and 30 of a memory access choose.
    pub(super) fn access(self) -> Ty {
        Ty::int(8 << self.bits(31, 30))
    }
}

/// The mask and the value of a row's pattern: 32 symbols from bit 31 down, `0` and `1` fixed, letters free.
/// Spaces separate fields and count for nothing.
pub(super) const fn pattern(text: &str) -> (u32, u32) {
    let text = text.as_bytes();
    let (mut mask, mut value, mut count, mut i) = (0u32, 0u32, 0, 0);
    while i < text.len() {
        if text[i] != b' ' {
            mask = mask << 1 | matches!(text[i], b'0' | b'1') as u32;
            value = value << 1 | (text[i] == b'1') as u32;
            count += 1;
        }
        i += 1;
    }
    assert!(count == 32, "a pattern has 32 symbols");
    (mask, value)
}
