//! Shifts of vector lanes, by a constant and by the lanes of another vector.

use super::assembler::{Encoding, Map, Rm, Width, Xmm};
use super::lower::{Lower, regs};
use super::registers::{Context, SCRATCH};
use philae_ir::{Inst, Op, Ty, Value};

/// The extension of `psllw` and its like that shifts left.
const LEFT: u8 = 6;
/// Right, zeroes in.
const RIGHT: u8 = 2;
/// Right, sign in.
const ARITHMETIC: u8 = 4;

/// `pmovzxbw` and `pmovsxbw`; those of wider lanes follow.
const ZERO_EXTEND: u8 = 0x30;
const SIGN_EXTEND: u8 = 0x20;

impl Lower<'_> {
    /// [`Op::VshlImm`] and its like.
    pub(super) fn shift_by_constant(&mut self, value: Value, inst: &Inst) {
        let to = regs!(self.xmm_result_from(inst.args[0]));
        let amount = inst.imm as u8;
        match (inst.op, inst.ty) {
            (_, Ty::I8X16) => self.shift_bytes(inst.op, to, amount),
            (Op::VshlImm, ty) => self.shift_all(ty, LEFT, to, amount),
            (Op::VlshrImm, ty) => self.shift_all(ty, RIGHT, to, amount),
            (_, Ty::I64X2) => {
                self.signs_of_words(to);
                self.packed_two(0xef, to, SCRATCH);
                self.shift_all(Ty::I64X2, RIGHT, to, amount.min(63));
                self.packed_two(0xef, to, SCRATCH);
            }
            (_, ty) => self.shift_all(ty, ARITHMETIC, to, amount),
        }
        self.define_xmm(value, to);
    }

    fn shift_all(&mut self, ty: Ty, extension: u8, to: Xmm, amount: u8) {
        let opcode = match ty {
            Ty::I16X8 => 0x71,
            Ty::I32X4 => 0x72,
            _ => 0x73,
        };
        let encoding = Encoding { prefix: 0x66, map: Map::Two, opcode, wide: false };
        self.asm.with_imm8(encoding, extension, Rm::Xmm(to), amount);
    }

    /// Bytes are shifted in halfwords, and what came from the neighbour is cut off; a sign is spread by a subtraction.
    fn shift_bytes(&mut self, op: Op, to: Xmm, amount: u8) {
        let amount = if op == Op::VashrImm { amount.min(7) } else { amount };
        let all = |byte: u8| u128::MAX / 255 * u128::from(byte);
        let kept =
            if op == Op::VshlImm { 0xffu8.checked_shl(amount.into()) } else { 0xffu8.checked_shr(amount.into()) };
        self.shift_all(Ty::I16X8, if op == Op::VshlImm { LEFT } else { RIGHT }, to, amount);
        self.load_literal(SCRATCH, all(kept.unwrap_or(0)));
        self.packed_two(0xdb, to, SCRATCH);
        if op == Op::VashrImm {
            self.load_literal(SCRATCH, all(0x80 >> amount));
            self.packed_two(0xef, to, SCRATCH);
            self.packed_two(0xf8, to, SCRATCH);
        }
    }

    /// The scratch register := all ones where a lane of 64 bits is negative.
    fn signs_of_words(&mut self, of: Xmm) {
        self.packed_two(0xef, SCRATCH, SCRATCH);
        self.asm.plain(Encoding { prefix: 0x66, map: Map::Three8, opcode: 0x37, wide: false }, SCRATCH.0, Rm::Xmm(of));
    }

    fn packed_two(&mut self, opcode: u8, to: Xmm, from: Xmm) {
        self.asm.sse(0x66, opcode, to, Rm::Xmm(from));
    }

    /// [`Op::Vshl`] and its like, with AVX2's shifts of words; narrower lanes are shifted as words.
    pub(super) fn shift_by_lanes(&mut self, value: Value, inst: &Inst) {
        let (a, amounts) = (self.xmm(inst.args[0]), self.xmm(inst.args[1]));
        let to = match inst.ty {
            Ty::I64X2 if inst.op == Op::Vashr => {
                let to = regs!(self.take_any_xmm());
                self.signs_of_words(a);
                self.asm.movaps(to, a);
                self.packed_two(0xef, to, SCRATCH);
                self.asm.shift_lanes(RIGHT_BY_LANES, Width::Q, to, to, amounts);
                self.packed_two(0xef, to, SCRATCH);
                to
            }
            Ty::I64X2 | Ty::I32X4 => {
                let to = regs!(self.take_any_xmm());
                let width = if inst.ty == Ty::I64X2 { Width::Q } else { Width::D };
                self.asm.shift_lanes(by_lanes(inst.op), width, to, a, amounts);
                to
            }
            Ty::I16X8 => self.shift_halfwords(inst.op, a, amounts),
            _ => self.shift_each_byte(inst.op, a, amounts),
        };
        self.define_xmm(value, to);
    }

    /// Four lanes of `a`, from the word `quarter` on, as words shifted by those of `amounts`, cut to the lanes' width.
    fn shift_four(&mut self, op: Op, from_bytes: Bytes, word: u8, [a, amounts]: [Xmm; 2]) -> Xmm {
        let to = regs!(self.take_any_xmm());
        let extend = if op == Op::Vashr { SIGN_EXTEND } else { ZERO_EXTEND };
        for (to, from, extend) in [(to, a, extend), (SCRATCH, amounts, ZERO_EXTEND)] {
            let encoding = Encoding { prefix: 0x66, map: Map::Two, opcode: 0x70, wide: false };
            // `pshufd` brings the lanes to the bottom.
            self.asm.with_imm8(encoding, to.0, Rm::Xmm(from), word | ((word + 1) % 4) << 2);
            let opcode = extend + if from_bytes == Bytes::One { 1 } else { 3 };
            self.asm.plain(Encoding { prefix: 0x66, map: Map::Three8, opcode, wide: false }, to.0, Rm::Xmm(to));
        }
        self.asm.shift_lanes(by_lanes(op), Width::D, to, to, SCRATCH);
        let spare = if from_bytes == Bytes::One { 24 } else { 16 };
        if op == Op::Vshl {
            self.shift_all(Ty::I32X4, LEFT, to, spare);
            self.shift_all(Ty::I32X4, RIGHT, to, spare);
        }
        to
    }

    fn shift_halfwords(&mut self, op: Op, a: Xmm, amounts: Xmm) -> Xmm {
        let [low, high] = [0, 2].map(|word| self.shift_four(op, Bytes::Two, word, [a, amounts]));
        self.pack_words(op, low, high);
        low
    }

    /// `packssdw` or `packusdw`: nothing saturates.
    fn pack_words(&mut self, op: Op, to: Xmm, high: Xmm) {
        if op == Op::Vashr {
            self.packed_two(0x6b, to, high);
        } else {
            self.asm.plain(Encoding { prefix: 0x66, map: Map::Three8, opcode: 0x2b, wide: false }, to.0, Rm::Xmm(high));
        }
    }

    fn shift_each_byte(&mut self, op: Op, a: Xmm, amounts: Xmm) -> Xmm {
        let [low, second, third, high] = [0, 1, 2, 3].map(|word| self.shift_four(op, Bytes::One, word, [a, amounts]));
        self.pack_words(op, low, second);
        self.pack_words(op, third, high);
        self.packed_two(if op == Op::Vashr { 0x63 } else { 0x67 }, low, third);
        low
    }
}

/// How many bytes a narrow lane has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bytes {
    One,
    Two,
}

const RIGHT_BY_LANES: u8 = 0x45;

/// `vpsllvd`, `vpsrlvd`, `vpsravd`.
fn by_lanes(op: Op) -> u8 {
    match op {
        Op::Vshl => 0x47,
        Op::Vlshr => RIGHT_BY_LANES,
        _ => 0x46,
    }
}
