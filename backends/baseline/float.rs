//! Floating point: what SSE does as the guest's machine does it, but for the choice of a NaN, which the evaluator makes
//! where the result is one.

use super::assembler::{Cc, Encoding, Map, Rm, Width, Xmm};
use super::lower::{Cold, Lower, regs};
use super::registers::{Cleanness, Context, SCRATCH, is_word};
use philae_ir::{FloatCond, Inst, NanRule, Op, Rounding, Ty, Value};

/// The prefix that selects scalar or packed, single or double.
fn prefix(ty: Ty) -> u8 {
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
            Op::Fpromote => self.convert(value, inst, if inst.ty == Ty::F64 { 0xf3 } else { 0 }, 0x5a),
            Op::Fdemote => self.convert(value, inst, if inst.ty == Ty::F32 { 0xf2 } else { 0x66 }, 0x5a),
            Op::FpromoteHalf | Op::FwidenHalf if self.features.f16c => self.promote_halves(value, inst),
            Op::FdemoteHalf if self.features.f16c => self.demote_to_halves(value, inst),
            Op::SintToF => return self.signed_to_float(value, inst),
            Op::Fround => return self.round(value, inst),
            _ => return false,
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
            self.repair_nan(value, inst.ty, operands, to);
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
        self.repair_nan(value, inst.ty, operands, to);
        self.define_xmm(value, to);
    }

    /// Where the result is a NaN, the evaluator says which.
    fn repair_nan(&mut self, value: Value, ty: Ty, operands: [Xmm; 3], to: Xmm) {
        let from = self.jump_if_nan(ty, to);
        self.tables.cold.push(Cold::Nan { from, back: self.asm.position(), value, operands, to });
    }

    fn jump_if_nan(&mut self, ty: Ty, of: Xmm) -> usize {
        if !ty.is_vector() {
            self.asm.sse(if ty == Ty::F32 { 0 } else { 0x66 }, 0x2e, of, Rm::Xmm(of));
            return self.asm.jcc(Cc::P);
        }
        self.asm.movaps(SCRATCH, of);
        self.compare_packed(ty, SCRATCH, of, 3);
        let test = Encoding { prefix: 0x66, map: Map::Three8, opcode: 0x17, wide: false };
        self.asm.plain(test, SCRATCH.0, Rm::Xmm(SCRATCH));
        self.asm.jcc(Cc::Ne)
    }

    /// `cmpps` or `cmppd`.
    fn compare_packed(&mut self, ty: Ty, to: Xmm, from: Xmm, relation: u8) {
        let encoding = Encoding { prefix: prefix(ty), map: Map::Two, opcode: 0xc2, wide: false };
        self.asm.with_imm8(encoding, to.0, Rm::Xmm(from), relation);
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
        self.compare_packed(inst.ty, to, second, relation);
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
        self.compare_floats(inst.ty, first, second);
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

    fn convert(&mut self, value: Value, inst: &Inst, prefix: u8, opcode: u8) {
        let from = self.xmm(inst.args[0]);
        let to = regs!(self.take_any_xmm());
        self.asm.sse(prefix, opcode, to, Rm::Xmm(from));
        self.define_xmm(value, to);
    }

    /// The host quiets NaNs.
    fn promote_halves(&mut self, value: Value, inst: &Inst) {
        let from = self.xmm(inst.args[0]);
        let to = regs!(self.take_any_xmm());
        self.asm.half_to_single(to, from);
        if inst.op == Op::FwidenHalf {
            self.repair_nan(value, inst.ty, [from, SCRATCH, SCRATCH], to);
        }
        self.define_xmm(value, to);
    }

    fn demote_to_halves(&mut self, value: Value, inst: &Inst) {
        let from = self.xmm(inst.args[0]);
        let to = regs!(self.take_any_xmm());
        self.asm.single_to_half(to, from);
        self.define_xmm(value, to);
    }

    /// `cvtsi2ss`, `cvtsi2sd` or `cvtdq2ps`.
    fn signed_to_float(&mut self, value: Value, inst: &Inst) -> bool {
        let operand = inst.args[0];
        if inst.ty == Ty::F32X4 {
            self.convert(value, inst, 0, 0x5b);
            return true;
        }
        if !is_word(self.ty(operand)) || !matches!(self.ty(operand), Ty::I32 | Ty::I64) || inst.ty.is_vector() {
            return false;
        }
        let from = self.gpr(operand);
        let to = regs!(self.take_any_xmm());
        let wide = self.ty(operand) == Ty::I64;
        self.asm.plain(Encoding { prefix: prefix(inst.ty), map: Map::Two, opcode: 0x2a, wide }, to.0, Rm::Gpr(from));
        self.define_xmm(value, to);
        true
    }

    /// `roundss` and its like.
    fn round(&mut self, value: Value, inst: &Inst) -> bool {
        if !self.features.sse41 {
            return false;
        }
        let mode = match Rounding::from_aux(inst.aux) {
            Rounding::Nearest => 8,
            Rounding::Floor => 9,
            Rounding::Ceil => 10,
            Rounding::Zero => 11,
            Rounding::Current => 12,
            Rounding::Away => return false,
        };
        let opcode = match inst.ty {
            Ty::F32X4 => 0x08,
            Ty::F64X2 => 0x09,
            Ty::F32 => 0x0a,
            _ => 0x0b,
        };
        let from = self.xmm(inst.args[0]);
        let to = regs!(self.take_any_xmm());
        let encoding = Encoding { prefix: 0x66, map: Map::Three3a, opcode, wide: false };
        self.asm.with_imm8(encoding, to.0, Rm::Xmm(from), mode);
        self.define_xmm(value, to);
        true
    }
}
