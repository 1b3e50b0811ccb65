//! Floating point: what SSE does as the guest's machine does it, but for the choice of a NaN, which the evaluator makes
//! where the result is one, and underflow of what is rounded to the smallest normal number, which it raises.

use super::assembler::{Cc, Encoding, Map, Mem, Rm, Width, Xmm};
use super::lower::{Cold, Lower, regs};
use super::registers::{Cleanness, Context, SCRATCH, STATE};
use philae_ir::state::FloatLimits;
use philae_ir::{FloatCond, Inst, NanRule, Op, Rounding, Ty, Value, tiny};

/// The prefix that selects scalar or packed, single or double.
pub(super) fn prefix(ty: Ty) -> u8 {
    match ty {
        Ty::F32 => 0xf3,
        Ty::F64 => 0xf2,
        Ty::F32X4 => 0,
        _ => 0x66,
    }
}

impl Lower<'_> {
    /// Emits a floating-point operation; false if it is none, or the evaluator's.
    pub(super) fn float(&mut self, value: Value, inst: &Inst) -> bool {
        match inst.op {
            Op::Fadd => self.arithmetic_float(value, inst, 0x58),
            Op::Fmul => self.arithmetic_float(value, inst, 0x59),
            Op::Fsub => self.arithmetic_float(value, inst, 0x5c),
            Op::Fdiv => self.arithmetic_float(value, inst, 0x5e),
            Op::Fsqrt => self.arithmetic_float(value, inst, 0x51),
            Op::FmulAdd if self.features.fma => self.multiply_add(value, inst),
            Op::Fneg => self.change_sign(value, inst, 0x57, |sign| sign),
            Op::Fabs => self.change_sign(value, inst, 0x54, |sign| !sign),
            Op::Fcmp if inst.ty.is_vector() => self.compare_lanes(value, inst),
            Op::Fcmp => self.compare_scalars(value, inst),
            Op::Fmin | Op::FminNum => self.float_extreme(value, inst, 0x5d, 0x56),
            Op::Fmax | Op::FmaxNum => self.float_extreme(value, inst, 0x5f, 0x54),
            Op::Fround => return self.round(value, inst),
            _ => return self.conversion(value, inst),
        }
        true
    }

    /// Operands stay where they are until the result is known not to be a NaN.
    fn arithmetic_float(&mut self, value: Value, inst: &Inst, opcode: u8) {
        let mut operands = [SCRATCH; 3];
        for (register, operand) in operands.iter_mut().zip(inst.operands()) {
            *register = self.xmm(operand);
        }
        let [a, b, _] = operands;
        let to = regs!(self.take_any_xmm());
        if inst.op == Op::Fsqrt {
            self.asm.sse(prefix(inst.ty), opcode, to, Rm::Xmm(a));
        } else {
            self.asm.movaps(to, a);
            self.asm.sse(prefix(inst.ty), opcode, to, Rm::Xmm(b));
        }
        // x86's own rule is what the instruction does with its first operand as destination.
        if NanRule::from_aux(inst.aux) != NanRule::X86 {
            self.repair_nan(value, inst, operands, to);
        }
        self.define_xmm(value, to);
    }

    fn multiply_add(&mut self, value: Value, inst: &Inst) {
        let operands = inst.args.map(|operand| self.xmm(operand));
        let [a, b, c] = operands;
        let to = regs!(self.take_any_xmm());
        let opcode = if inst.ty.is_vector() { 0xa8 } else { 0xa9 };
        let width = if matches!(inst.ty, Ty::F32 | Ty::F32X4) { Width::D } else { Width::Q };
        self.asm.movaps(to, a);
        self.asm.fused(opcode, width, to, b, c);
        self.repair_nan(value, inst, operands, to);
        self.define_xmm(value, to);
    }

    /// Where the result is a NaN, the evaluator says which; where it may have underflowed unseen, that is raised.
    pub(super) fn repair_nan(&mut self, value: Value, inst: &Inst, operands: [Xmm; 3], to: Xmm) {
        let from = if tiny::may_be_missed(self.region, inst) {
            self.jump_if_smallest_or_nan(inst.ty, to)
        } else {
            self.jump_if_unordered(inst.ty, to, to)
        };
        self.tables.cold.push(Cold::Nan { from, back: self.asm.position(), value, operands, to });
    }

    /// Jumps where a lane is a NaN, or has the magnitude of the smallest normal number.
    fn jump_if_smallest_or_nan(&mut self, ty: Ty, result: Xmm) -> usize {
        let [magnitude, smallest] = FloatLimits::displacements(ty.lane()).map(|at| Rm::Mem(Mem::At(STATE, at)));
        self.asm.movaps(SCRATCH, result);
        self.asm.sse(0, 0x54, SCRATCH, magnitude);
        if !ty.is_vector() {
            // ZF is set for unordered operands, too.
            self.asm.sse(if ty == Ty::F32 { 0 } else { 0x66 }, 0x2e, SCRATCH, smallest);
            return self.asm.jcc(Cc::E);
        }
        // All bits where they are equal: a NaN.
        self.compare_packed(ty, SCRATCH, smallest, 0);
        self.asm.sse(0, 0x56, SCRATCH, Rm::Xmm(result));
        self.jump_if_unordered_lanes(ty, SCRATCH)
    }

    /// Jumps where one of two floats is a NaN.
    fn jump_if_unordered(&mut self, ty: Ty, a: Xmm, b: Xmm) -> usize {
        if !ty.is_vector() {
            self.asm.sse(if ty == Ty::F32 { 0 } else { 0x66 }, 0x2e, a, Rm::Xmm(b));
            return self.asm.jcc(Cc::P);
        }
        self.asm.movaps(SCRATCH, a);
        self.jump_if_unordered_lanes(ty, b)
    }

    /// Jumps where one of a lane of `b` and one of the scratch register is a NaN.
    fn jump_if_unordered_lanes(&mut self, ty: Ty, b: Xmm) -> usize {
        self.compare_packed(ty, SCRATCH, Rm::Xmm(b), 3);
        let test = Encoding { prefix: 0x66, map: Map::Three8, opcode: 0x17, wide: false };
        self.asm.plain(test, SCRATCH.0, Rm::Xmm(SCRATCH));
        self.asm.jcc(Cc::Ne)
    }

    /// `cmpps` or `cmppd`.
    pub(super) fn compare_packed(&mut self, ty: Ty, to: Xmm, from: Rm, relation: u8) {
        let encoding = Encoding { prefix: prefix(ty), map: Map::Two, opcode: 0xc2, wide: false };
        self.asm.with_imm8(encoding, to.0, from, relation);
    }

    /// A bitwise operation with the sign bits of all lanes, or with all others.
    fn change_sign(&mut self, value: Value, inst: &Inst, opcode: u8, mask: impl Fn(u128) -> u128) {
        let single = matches!(inst.ty, Ty::F32 | Ty::F32X4);
        let signs = if single { 0x8000_0000_8000_0000_8000_0000_8000_0000 } else { 1 << 127 | 1 << 63 };
        self.load_literal(SCRATCH, mask(signs));
        let to = regs!(self.xmm_result_from(inst.args[0]));
        self.asm.sse(0, opcode, to, Rm::Xmm(SCRATCH));
        self.define_xmm(value, to);
    }

    fn compare_lanes(&mut self, value: Value, inst: &Inst) {
        let [a, b, _] = inst.args;
        let (first, second, relation) = match FloatCond::from_aux(inst.aux) {
            FloatCond::Eq => (a, b, 0),
            FloatCond::Lt => (a, b, 1),
            FloatCond::Le => (a, b, 2),
            FloatCond::Gt => (b, a, 1),
            FloatCond::Ge => (b, a, 2),
            FloatCond::Un => (a, b, 3),
            FloatCond::Ne => (a, b, 4),
        };
        let second = self.xmm(second);
        let to = regs!(self.xmm_result_from(first));
        self.compare_packed(inst.ty, to, Rm::Xmm(second), relation);
        self.define_xmm(value, to);
    }

    fn compare_scalars(&mut self, value: Value, inst: &Inst) {
        let [a, b, _] = inst.args;
        let (first, second, cc) = match FloatCond::from_aux(inst.aux) {
            FloatCond::Eq => (a, b, Cc::E),
            FloatCond::Ne => (a, b, Cc::Ne),
            FloatCond::Lt => (b, a, Cc::A),
            FloatCond::Le => (b, a, Cc::Ae),
            FloatCond::Gt => (a, b, Cc::A),
            FloatCond::Ge => (a, b, Cc::Ae),
            FloatCond::Un => (a, b, Cc::P),
        };
        let to = regs!(self.take_any());
        self.compare_floats(inst, first, second);
        self.asm.set(cc, to);
        if matches!(cc, Cc::E | Cc::Ne) {
            // Unordered sets ZF as well; PF tells.
            let other = regs!(self.take_any());
            let (unordered, op) =
                if cc == Cc::E { (Cc::Np, super::assembler::Alu::And) } else { (Cc::P, super::assembler::Alu::Or) };
            self.asm.set(unordered, other);
            self.asm.alu(Width::B, op, to, other);
        }
        self.asm.movzx(Width::B, to, Rm::Gpr(to));
        self.define(value, to, Cleanness::Clean);
    }

    /// `roundss` and its like.
    fn round(&mut self, value: Value, inst: &Inst) -> bool {
        let rounding = Rounding::from_aux(inst.aux);
        if !self.features.sse41 || rounding == Rounding::Away {
            return false;
        }
        let from = self.xmm(inst.args[0]);
        let to = regs!(self.take_any_xmm());
        self.round_to(to, from, inst.ty, rounding_mode(rounding));
        self.define_xmm(value, to);
        true
    }

    /// `roundss` and its like with this mode.
    pub(super) fn round_to(&mut self, to: Xmm, from: Xmm, ty: Ty, mode: u8) {
        let opcode = match ty {
            Ty::F32X4 => 0x08,
            Ty::F64X2 => 0x09,
            Ty::F32 => 0x0a,
            _ => 0x0b,
        };
        let encoding = Encoding { prefix: 0x66, map: Map::Three3a, opcode, wide: false };
        self.asm.with_imm8(encoding, to.0, Rm::Xmm(from), mode);
    }

    /// `minps` or `maxps` (`opcode`) both ways round, as of zeroes one may be negative, put together by `orps` or `andps`.
    /// Where an operand is a NaN the evaluator makes the result: these instructions take every NaN for invalid.
    fn float_extreme(&mut self, value: Value, inst: &Inst, opcode: u8, together: u8) {
        let (a, b) = (self.xmm(inst.args[0]), self.xmm(inst.args[1]));
        let to = regs!(self.take_any_xmm());
        let from = self.jump_if_unordered(inst.ty, a, b);
        self.asm.movaps(to, a);
        self.asm.sse(prefix(inst.ty), opcode, to, Rm::Xmm(b));
        self.asm.movaps(SCRATCH, b);
        self.asm.sse(prefix(inst.ty), opcode, SCRATCH, Rm::Xmm(a));
        self.asm.sse(0, together, to, Rm::Xmm(SCRATCH));
        self.tables.cold.push(Cold::Nan { from, back: self.asm.position(), value, operands: [a, b, SCRATCH], to });
        self.define_xmm(value, to);
    }
}

/// The mode of `roundss` that does not tell inexactness, or does where `rounding` says so; not for [`Rounding::Away`].
pub(super) fn rounding_mode(rounding: Rounding) -> u8 {
    match rounding {
        Rounding::Nearest | Rounding::Away => 8,
        Rounding::Floor => 9,
        Rounding::Ceil => 10,
        Rounding::Zero => 11,
        Rounding::Current => 12,
        Rounding::CurrentExact => 4,
    }
}
