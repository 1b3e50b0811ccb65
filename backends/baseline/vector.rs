//! Vectors of 128 bits: what SSE does in a few instructions. The rest is the evaluator's.

use super::assembler::{Encoding, Map, Rm, Width, Xmm};
use super::lower::{Lower, regs};
use super::registers::{Cleanness, Context, SCRATCH, is_word};
use philae_ir::{Inst, IntCond, Op, Ty, Value};

/// An instruction `op to, from` with prefix 66.
type Opcode = (Map, u8);

const TWO: Map = Map::Two;
const THREE: Map = Map::Three8;

/// The instruction that does an operation on a shape, with its first operand as destination.
fn binary(op: Op, ty: Ty) -> Option<Opcode> {
    let by_lane = |codes: [Option<Opcode>; 4]| match ty {
        Ty::I8X16 => codes[0],
        Ty::I16X8 => codes[1],
        Ty::I32X4 => codes[2],
        Ty::I64X2 => codes[3],
        _ => None,
    };
    match op {
        Op::And => Some((TWO, 0xdb)),
        Op::Or => Some((TWO, 0xeb)),
        Op::Xor => Some((TWO, 0xef)),
        Op::Add => by_lane([Some((TWO, 0xfc)), Some((TWO, 0xfd)), Some((TWO, 0xfe)), Some((TWO, 0xd4))]),
        Op::Sub => by_lane([Some((TWO, 0xf8)), Some((TWO, 0xf9)), Some((TWO, 0xfa)), Some((TWO, 0xfb))]),
        Op::Mul => by_lane([None, Some((TWO, 0xd5)), Some((THREE, 0x40)), None]),
        Op::Umin => by_lane([Some((TWO, 0xda)), Some((THREE, 0x3a)), Some((THREE, 0x3b)), None]),
        Op::Umax => by_lane([Some((TWO, 0xde)), Some((THREE, 0x3e)), Some((THREE, 0x3f)), None]),
        Op::Smin => by_lane([Some((THREE, 0x38)), Some((TWO, 0xea)), Some((THREE, 0x39)), None]),
        Op::Smax => by_lane([Some((THREE, 0x3c)), Some((TWO, 0xee)), Some((THREE, 0x3d)), None]),
        Op::AddSatS => by_lane([Some((TWO, 0xec)), Some((TWO, 0xed)), None, None]),
        Op::AddSatU => by_lane([Some((TWO, 0xdc)), Some((TWO, 0xdd)), None, None]),
        Op::SubSatS => by_lane([Some((TWO, 0xe8)), Some((TWO, 0xe9)), None, None]),
        Op::SubSatU => by_lane([Some((TWO, 0xd8)), Some((TWO, 0xd9)), None, None]),
        Op::AvgU => by_lane([Some((TWO, 0xe0)), Some((TWO, 0xe3)), None, None]),
        Op::AddPairs => by_lane([None, Some((THREE, 0x01)), Some((THREE, 0x02)), None]),
        Op::DotPairsS => by_lane([None, None, Some((TWO, 0xf5)), None]),
        Op::NarrowSatSS => by_lane([Some((TWO, 0x63)), Some((TWO, 0x6b)), None, None]),
        Op::NarrowSatSU => by_lane([Some((TWO, 0x67)), Some((THREE, 0x2b)), None, None]),
        _ => None,
    }
}

/// The instruction that compares lanes for equality, or signed for greater.
fn comparison(cond: IntCond, ty: Ty) -> Option<Opcode> {
    let equal = matches!(cond, IntCond::Eq | IntCond::Ne);
    Some(match (equal, ty) {
        (true, Ty::I8X16) => (TWO, 0x74),
        (true, Ty::I16X8) => (TWO, 0x75),
        (true, Ty::I32X4) => (TWO, 0x76),
        (true, Ty::I64X2) => (THREE, 0x29),
        (false, Ty::I8X16) => (TWO, 0x64),
        (false, Ty::I16X8) => (TWO, 0x65),
        (false, Ty::I32X4) => (TWO, 0x66),
        (false, Ty::I64X2) => (THREE, 0x37),
        _ => return None,
    })
}

impl Lower<'_> {
    /// Emits an operation on vectors; false if it is none, or the evaluator's.
    pub(super) fn vector(&mut self, value: Value, inst: &Inst) -> bool {
        if !self.features.sse41 || inst.ty == Ty::I128 {
            return self.wide_constant(value, inst);
        }
        if let (true, Some(opcode)) = (inst.ty.bits() == 128, binary(inst.op, inst.ty)) {
            return self.binary(value, inst, opcode);
        }
        match inst.op {
            Op::WideConst => return self.wide_constant(value, inst),
            Op::Mul if inst.ty == Ty::I64X2 => self.multiply_words(value, inst),
            Op::AndNot if inst.ty.bits() == 128 => self.vector_and_not(value, inst),
            Op::Not if inst.ty.bits() == 128 => self.vector_not(value, inst),
            Op::Neg if inst.ty.bits() == 128 => self.negate(value, inst),
            Op::Abs if inst.ty.bits() == 128 => self.absolute(value, inst),
            Op::NarrowSatUU if inst.ty != Ty::I32X4 => self.narrow_unsigned(value, inst),
            Op::Icmp => return self.vector_compare(value, inst),
            Op::Splat => self.splat(value, inst),
            Op::ExtractLane => self.extract_lane(value, inst),
            Op::InsertLane => self.insert_lane(value, inst),
            Op::Shuffle => {
                let mask = self.region.consts[inst.imm as usize].to_le_bytes();
                self.shuffle(value, inst.args[0], inst.args[1], mask);
            }
            Op::Narrow => self.shuffle(value, inst.args[0], inst.args[1], narrowing(inst.ty)),
            Op::TableLookup => self.table_lookup(value, inst),
            Op::BitSelect => self.bit_select(value, inst),
            Op::LaneMask => return self.lane_mask(value, inst),
            Op::VshlImm | Op::VlshrImm | Op::VashrImm => self.shift_by_constant(value, inst),
            Op::Vshl | Op::Vlshr | Op::Vashr if self.features.avx2 => self.shift_by_lanes(value, inst),
            Op::WidenLowS => return self.widen(value, inst, 0x20, 0),
            Op::WidenLowU => return self.widen(value, inst, 0x30, 0),
            Op::WidenHighS => return self.widen(value, inst, 0x20, 8),
            Op::WidenHighU => return self.widen(value, inst, 0x30, 8),
            Op::ClmulLow if self.features.pclmulqdq => self.carry_less_product(value, inst),
            Op::AesRound | Op::AesLastRound | Op::AesMix if self.features.aes => self.aes(value, inst),
            Op::AesInverseRound | Op::AesInverseLastRound | Op::AesInverseMix if self.features.aes => {
                self.aes(value, inst);
            }
            _ => return false,
        }
        true
    }

    /// `op to, from` with prefix 66.
    fn packed(&mut self, (map, opcode): Opcode, to: Xmm, from: Xmm) {
        self.asm.plain(Encoding { prefix: 0x66, map, opcode, wide: false }, to.0, Rm::Xmm(from));
    }

    fn wide_constant(&mut self, value: Value, inst: &Inst) -> bool {
        if inst.op != Op::WideConst {
            return false;
        }
        let to = regs!(self.take_any_xmm());
        self.load_literal(to, self.region.consts[inst.imm as usize]);
        self.define_xmm(value, to);
        true
    }

    fn binary(&mut self, value: Value, inst: &Inst, opcode: Opcode) -> bool {
        let b = self.xmm(inst.args[1]);
        let to = regs!(self.xmm_result_from(inst.args[0]));
        self.packed(opcode, to, b);
        self.define_xmm(value, to);
        true
    }

    /// Products of 64 bits from those of 32: the low ones, and the two mixed ones 32 bits higher.
    fn multiply_words(&mut self, value: Value, inst: &Inst) {
        let (a, b) = (self.xmm(inst.args[0]), self.xmm(inst.args[1]));
        let (to, mixed) = (regs!(self.take_any_xmm()), regs!(self.take_any_xmm()));
        const PMULUDQ: Opcode = (TWO, 0xf4);
        const PADDQ: Opcode = (TWO, 0xd4);
        self.asm.movaps(mixed, a);
        self.shift_words(mixed, 2, 32);
        self.packed(PMULUDQ, mixed, b);
        self.asm.movaps(SCRATCH, b);
        self.shift_words(SCRATCH, 2, 32);
        self.packed(PMULUDQ, SCRATCH, a);
        self.packed(PADDQ, mixed, SCRATCH);
        self.shift_words(mixed, 6, 32);
        self.asm.movaps(to, a);
        self.packed(PMULUDQ, to, b);
        self.packed(PADDQ, to, mixed);
        self.define_xmm(value, to);
    }

    /// `psrlq` (2) or `psllq` (6).
    fn shift_words(&mut self, to: Xmm, extension: u8, amount: u8) {
        let encoding = Encoding { prefix: 0x66, map: TWO, opcode: 0x73, wide: false };
        self.asm.with_imm8(encoding, extension, Rm::Xmm(to), amount);
    }

    fn vector_and_not(&mut self, value: Value, inst: &Inst) {
        let a = self.xmm(inst.args[0]);
        let to = regs!(self.xmm_result_from(inst.args[1]));
        self.packed((TWO, 0xdf), to, a);
        self.define_xmm(value, to);
    }

    fn vector_not(&mut self, value: Value, inst: &Inst) {
        let to = regs!(self.xmm_result_from(inst.args[0]));
        self.invert(to);
        self.define_xmm(value, to);
    }

    fn invert(&mut self, to: Xmm) {
        self.packed((TWO, 0x76), SCRATCH, SCRATCH);
        self.packed((TWO, 0xef), to, SCRATCH);
    }

    fn vector_compare(&mut self, value: Value, inst: &Inst) -> bool {
        let cond = IntCond::from_aux(inst.aux);
        let Some(opcode) = comparison(cond, inst.ty) else { return false };
        let (first, second) = match cond {
            IntCond::Eq | IntCond::Ne | IntCond::Sgt | IntCond::Sle => (inst.args[0], inst.args[1]),
            IntCond::Slt | IntCond::Sge => (inst.args[1], inst.args[0]),
            IntCond::Ult | IntCond::Ule | IntCond::Ugt | IntCond::Uge => {
                return self.unsigned_compare(value, inst, cond);
            }
        };
        let second = self.xmm(second);
        let to = regs!(self.xmm_result_from(first));
        self.packed(opcode, to, second);
        if matches!(cond, IntCond::Ne | IntCond::Sle | IntCond::Sge) {
            self.invert(to);
        }
        self.define_xmm(value, to);
        true
    }

    /// A lane is not above another if it is the smaller of both.
    fn unsigned_compare(&mut self, value: Value, inst: &Inst, cond: IntCond) -> bool {
        let extreme = if matches!(cond, IntCond::Ule | IntCond::Ugt) { Op::Umin } else { Op::Umax };
        let (Some(extreme), Some(equal)) = (binary(extreme, inst.ty), comparison(IntCond::Eq, inst.ty)) else {
            return false;
        };
        let (a, b) = (self.xmm(inst.args[0]), self.xmm(inst.args[1]));
        let to = regs!(self.take_any_xmm());
        self.asm.movaps(to, a);
        self.packed(extreme, to, b);
        self.packed(equal, to, a);
        if matches!(cond, IntCond::Ult | IntCond::Ugt) {
            self.invert(to);
        }
        self.define_xmm(value, to);
        true
    }

    fn negate(&mut self, value: Value, inst: &Inst) {
        let from = self.xmm(inst.args[0]);
        let to = regs!(self.take_any_xmm());
        self.packed((TWO, 0xef), to, to);
        self.packed(binary(Op::Sub, inst.ty).expect("lanes have a difference"), to, from);
        self.define_xmm(value, to);
    }

    /// `pabs`; words are inverted and counted up where they are negative.
    fn absolute(&mut self, value: Value, inst: &Inst) {
        let from = self.xmm(inst.args[0]);
        let to = regs!(self.take_any_xmm());
        match inst.ty {
            Ty::I8X16 => self.packed((THREE, 0x1c), to, from),
            Ty::I16X8 => self.packed((THREE, 0x1d), to, from),
            Ty::I32X4 => self.packed((THREE, 0x1e), to, from),
            _ => {
                self.packed((TWO, 0xef), SCRATCH, SCRATCH);
                self.packed((THREE, 0x37), SCRATCH, from);
                self.asm.movaps(to, from);
                self.packed((TWO, 0xef), to, SCRATCH);
                self.packed((TWO, 0xfb), to, SCRATCH);
            }
        }
        self.define_xmm(value, to);
    }

    /// `packuswb` or `packusdw`, which take lanes for signed, of what is limited before.
    fn narrow_unsigned(&mut self, value: Value, inst: &Inst) {
        let (minimum, limit, pack) = match inst.ty {
            Ty::I8X16 => (0x3a, u128::MAX / 0xffff * 0xff, (TWO, 0x67)),
            _ => (0x3b, u128::MAX / 0xffff_ffff * 0xffff, (THREE, 0x2b)),
        };
        let (a, b) = (self.xmm(inst.args[0]), self.xmm(inst.args[1]));
        let (to, high) = (regs!(self.take_any_xmm()), regs!(self.take_any_xmm()));
        self.load_literal(SCRATCH, limit);
        for (to, from) in [(to, a), (high, b)] {
            self.asm.movaps(to, from);
            self.packed((THREE, minimum), to, SCRATCH);
        }
        self.packed(pack, to, high);
        self.define_xmm(value, to);
    }

    fn splat(&mut self, value: Value, inst: &Inst) {
        let scalar = inst.args[0];
        let to = if is_word(self.ty(scalar)) {
            let from = self.gpr(scalar);
            let to = regs!(self.take_any_xmm());
            let width = if inst.ty == Ty::I64X2 { Width::Q } else { Width::D };
            self.asm.gpr_to_xmm(width, to, from);
            to
        } else {
            regs!(self.xmm_result_from(scalar))
        };
        match inst.ty {
            Ty::I8X16 => {
                self.packed((TWO, 0xef), SCRATCH, SCRATCH);
                self.packed((THREE, 0x00), to, SCRATCH);
            }
            Ty::I16X8 => {
                self.asm.with_imm8(
                    Encoding { prefix: 0xf2, map: TWO, opcode: 0x70, wide: false },
                    to.0,
                    Rm::Xmm(to),
                    0,
                );
                self.shuffle_words(to, to, 0);
            }
            Ty::I32X4 | Ty::F32X4 => self.shuffle_words(to, to, 0),
            _ => self.shuffle_words(to, to, 0x44),
        }
        self.define_xmm(value, to);
    }

    /// `pshufd`.
    fn shuffle_words(&mut self, to: Xmm, from: Xmm, order: u8) {
        self.asm.with_imm8(Encoding { prefix: 0x66, map: TWO, opcode: 0x70, wide: false }, to.0, Rm::Xmm(from), order);
    }

    fn extract_lane(&mut self, value: Value, inst: &Inst) {
        let from = self.xmm(inst.args[0]);
        let lane = inst.imm as u8;
        if matches!(inst.ty, Ty::F32X4 | Ty::F64X2) {
            let to = regs!(self.take_any_xmm());
            let order = if inst.ty == Ty::F32X4 { lane } else { 0x44 | (0xaa * lane) };
            self.shuffle_words(to, from, order);
            return self.define_xmm(value, to);
        }
        let to = self.result(value);
        let (map, opcode) = match inst.ty {
            Ty::I8X16 => (Map::Three3a, 0x14),
            Ty::I16X8 => (Map::Three3a, 0x15),
            _ => (Map::Three3a, 0x16),
        };
        let encoding = Encoding { prefix: 0x66, map, opcode, wide: inst.ty == Ty::I64X2 };
        self.asm.with_imm8(encoding, from.0, Rm::Gpr(to), lane);
        self.define(value, to, Cleanness::Clean);
    }

    fn insert_lane(&mut self, value: Value, inst: &Inst) {
        let [vector, scalar, _] = inst.args;
        let lane = inst.imm as u8;
        if matches!(inst.ty, Ty::F32X4 | Ty::F64X2) {
            let from = self.xmm(scalar);
            let to = regs!(self.xmm_result_from(vector));
            match (inst.ty, lane) {
                (Ty::F32X4, _) => {
                    let encoding = Encoding { prefix: 0x66, map: Map::Three3a, opcode: 0x21, wide: false };
                    self.asm.with_imm8(encoding, to.0, Rm::Xmm(from), lane << 4);
                }
                (_, 0) => self.asm.sse(0xf2, 0x10, to, Rm::Xmm(from)),
                (_, _) => self.asm.sse(0x66, 0x14, to, Rm::Xmm(from)),
            }
            return self.define_xmm(value, to);
        }
        let from = self.gpr(scalar);
        let to = regs!(self.xmm_result_from(vector));
        let (map, opcode) = match inst.ty {
            Ty::I8X16 => (Map::Three3a, 0x20),
            Ty::I16X8 => (TWO, 0xc4),
            _ => (Map::Three3a, 0x22),
        };
        let encoding = Encoding { prefix: 0x66, map, opcode, wide: inst.ty == Ty::I64X2 };
        self.asm.with_imm8(encoding, to.0, Rm::Gpr(from), lane);
        self.define_xmm(value, to);
    }

    /// Bytes of `a` and `b` by a constant mask: each is shuffled by itself, zero where the other's bytes go.
    fn shuffle(&mut self, value: Value, a: Value, b: Value, mask: [u8; 16]) {
        let part = |first: u8| u128::from_le_bytes(mask.map(|m| if m & 0xf0 == first { m & 15 } else { 0x80 }));
        let (of_a, of_b) = (part(0), part(16));
        const NOTHING: u128 = u128::MAX / 255 * 0x80;
        if of_b == NOTHING {
            let to = regs!(self.xmm_result_from(a));
            self.shuffle_bytes(to, of_a);
            return self.define_xmm(value, to);
        }
        let from_b = self.xmm(b);
        let to = regs!(self.take_any_xmm());
        self.asm.movaps(to, from_b);
        self.shuffle_bytes(to, of_b);
        if of_a != NOTHING {
            let from_a = self.xmm(a);
            let other = regs!(self.take_any_xmm());
            self.asm.movaps(other, from_a);
            self.shuffle_bytes(other, of_a);
            self.packed((TWO, 0xeb), to, other);
        }
        self.define_xmm(value, to);
    }

    /// `pshufb` by a constant.
    fn shuffle_bytes(&mut self, to: Xmm, mask: u128) {
        const IDENTITY: u128 = u128::from_le_bytes([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        if mask != IDENTITY {
            self.load_literal(SCRATCH, mask);
            self.packed((THREE, 0x00), to, SCRATCH);
        }
    }

    fn table_lookup(&mut self, value: Value, inst: &Inst) {
        let index = self.xmm(inst.args[1]);
        // An index above 15 gets its top bit set, which makes PSHUFB give zero.
        self.load_literal(SCRATCH, u128::MAX / 255 * 0x70);
        self.packed((TWO, 0xdc), SCRATCH, index);
        let to = regs!(self.xmm_result_from(inst.args[0]));
        self.packed((THREE, 0x00), to, SCRATCH);
        self.define_xmm(value, to);
    }

    fn bit_select(&mut self, value: Value, inst: &Inst) {
        let [mask, a, b] = inst.args.map(|operand| self.xmm(operand));
        let to = regs!(self.take_any_xmm());
        self.asm.movaps(to, mask);
        self.packed((TWO, 0xdb), to, a);
        self.asm.movaps(SCRATCH, mask);
        self.packed((TWO, 0xdf), SCRATCH, b);
        self.packed((TWO, 0xeb), to, SCRATCH);
        self.define_xmm(value, to);
    }

    /// `pmovmskb`, `movmskps`, `movmskpd`.
    fn lane_mask(&mut self, value: Value, inst: &Inst) -> bool {
        let (prefix, opcode) = match inst.ty {
            Ty::I8X16 => (0x66, 0xd7),
            Ty::I32X4 | Ty::F32X4 => (0, 0x50),
            Ty::I64X2 | Ty::F64X2 => (0x66, 0x50),
            _ => return false,
        };
        let from = self.xmm(inst.args[0]);
        let to = self.result(value);
        self.asm.plain(Encoding { prefix, map: TWO, opcode, wide: false }, to.0, Rm::Xmm(from));
        self.define(value, to, Cleanness::Clean);
        true
    }

    /// `pmovsx` or `pmovzx` of the half that starts at byte `from`.
    fn widen(&mut self, value: Value, inst: &Inst, first_opcode: u8, from: u8) -> bool {
        let opcode = match inst.ty {
            Ty::I16X8 => first_opcode,
            Ty::I32X4 => first_opcode + 3,
            Ty::I64X2 => first_opcode + 5,
            _ => return false,
        };
        let mut source = self.xmm(inst.args[0]);
        let to = regs!(self.take_any_xmm());
        if from != 0 {
            self.shuffle_words(to, source, 0xee);
            source = to;
        }
        self.packed((THREE, opcode), to, source);
        self.define_xmm(value, to);
        true
    }

    /// `pclmulqdq`.
    fn carry_less_product(&mut self, value: Value, inst: &Inst) {
        let b = self.xmm(inst.args[1]);
        let to = regs!(self.xmm_result_from(inst.args[0]));
        let encoding = Encoding { prefix: 0x66, map: Map::Three3a, opcode: 0x44, wide: false };
        self.asm.with_imm8(encoding, to.0, Rm::Xmm(b), 0);
        self.define_xmm(value, to);
    }

    /// `aesenc` and its like, under keys of zeroes; a last round of decryption undoes all of a round of encryption but
    /// its MixColumns.
    fn aes(&mut self, value: Value, inst: &Inst) {
        let to = regs!(self.xmm_result_from(inst.args[0]));
        self.packed((TWO, 0xef), SCRATCH, SCRATCH);
        match inst.op {
            Op::AesRound => self.packed((THREE, 0xdc), to, SCRATCH),
            Op::AesLastRound => self.packed((THREE, 0xdd), to, SCRATCH),
            Op::AesInverseRound => self.packed((THREE, 0xde), to, SCRATCH),
            Op::AesInverseLastRound => self.packed((THREE, 0xdf), to, SCRATCH),
            Op::AesInverseMix => self.packed((THREE, 0xdb), to, to),
            _ => {
                self.packed((THREE, 0xdf), to, SCRATCH);
                self.packed((THREE, 0xdc), to, SCRATCH);
            }
        }
        self.define_xmm(value, to);
    }

    /// The upper half of a vector in a general register.
    pub(super) fn extract_high(&mut self, to: super::assembler::Gpr, from: Xmm) {
        let encoding = Encoding { prefix: 0x66, map: Map::Three3a, opcode: 0x16, wide: true };
        self.asm.with_imm8(encoding, from.0, Rm::Gpr(to), 1);
    }

    /// The upper half of `to` := a general register.
    pub(super) fn insert_high(&mut self, to: Xmm, from: super::assembler::Gpr) {
        let encoding = Encoding { prefix: 0x66, map: Map::Three3a, opcode: 0x22, wide: true };
        self.asm.with_imm8(encoding, to.0, Rm::Gpr(from), 1);
    }
}

/// The bytes that narrowing to a shape keeps: the low halves of lanes twice as wide, of two vectors.
fn narrowing(ty: Ty) -> [u8; 16] {
    let lane = (ty.lane().bits() / 8) as u8;
    std::array::from_fn(|byte| {
        let (number, within) = (byte as u8 / lane, byte as u8 % lane);
        number * 2 * lane + within
    })
}
