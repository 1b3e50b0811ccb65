//! Conversions between floats, integers and floats of other widths. What the host answers with its "indefinite" integer, for
//! what does not fit, the evaluator makes out of line.

use super::assembler::{Alu, Cc, Encoding, Gpr, Map, Rm, Shift, Width, Xmm};
use super::float::{prefix, rounding_mode};
use super::lower::{Cold, Lower, regs};
use super::registers::{Cleanness, Context, SCRATCH, is_word};
use philae_ir::{Inst, Op, Rounding, Ty, Value};

impl Lower<'_> {
    /// Emits a conversion; false if it is none, or the evaluator's.
    pub(super) fn conversion(&mut self, value: Value, inst: &Inst) -> bool {
        match inst.op {
            Op::Fpromote => self.convert(value, inst, if inst.ty == Ty::F64 { 0xf3 } else { 0 }, 0x5a),
            Op::Fdemote => self.convert(value, inst, if inst.ty == Ty::F32 { 0xf2 } else { 0x66 }, 0x5a),
            Op::FpromoteHalf | Op::FwidenHalf if self.features.f16c => self.promote_halves(value, inst),
            Op::FdemoteHalf if self.features.f16c => self.demote_to_halves(value, inst),
            Op::SintToF => return self.signed_to_float(value, inst),
            Op::UintToF => return self.unsigned_to_float(value, inst),
            Op::FtoSint if inst.ty == Ty::I32X4 => return self.lanes_to_signed(value, inst),
            Op::FtoSint | Op::FtoUint => return self.float_to_integer(value, inst),
            _ => return false,
        }
        true
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
            self.repair_nan(value, inst, [from, SCRATCH, SCRATCH], to);
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
        self.word_to_float(value, inst, self.ty(operand) == Ty::I64, from);
        true
    }

    fn word_to_float(&mut self, value: Value, inst: &Inst, wide: bool, from: Gpr) {
        let to = regs!(self.take_any_xmm());
        self.asm.plain(Encoding { prefix: prefix(inst.ty), map: Map::Two, opcode: 0x2a, wide }, to.0, Rm::Gpr(from));
        self.define_xmm(value, to);
    }

    /// 32 bits without a sign are a number of 64 bits with one.
    fn unsigned_to_float(&mut self, value: Value, inst: &Inst) -> bool {
        let operand = inst.args[0];
        if self.ty(operand) != Ty::I32 || inst.ty.is_vector() {
            return false;
        }
        let from = self.gpr(operand);
        let extended = regs!(self.take_any());
        self.asm.mov(Width::D, extended, from);
        self.word_to_float(value, inst, true, extended);
        true
    }

    /// `cvttss2si` or `cvttsd2si`. They may raise other things than the operation where the operand does not fit their
    /// result, or its rounded value not the operation's: there the evaluator takes its place.
    fn float_to_integer(&mut self, value: Value, inst: &Inst) -> bool {
        let operand = inst.args[0];
        let from = self.ty(operand);
        let rounding = Rounding::from_aux(inst.aux);
        if !matches!(inst.ty, Ty::I32 | Ty::I64) || !self.rounds(rounding) {
            return false;
        }
        let a = self.xmm(operand);
        let to = self.result(value);
        // The first sizes that are too large, as the upper words of floats.
        let beyond = match (inst.op, from, inst.ty) {
            (Op::FtoUint, Ty::F64, Ty::I32) => Some(f64::from(u32::MAX).to_bits() >> 32),
            (Op::FtoUint, Ty::F64, _) => Some(2f64.powi(63).to_bits() >> 32),
            (Op::FtoUint, _, Ty::I32) => Some(2f32.powi(32).to_bits().into()),
            (Op::FtoUint, ..) => Some(2f32.powi(63).to_bits().into()),
            (_, Ty::F64, Ty::I32) if rounding != Rounding::Zero => Some(f64::from(i32::MAX).to_bits() >> 32),
            _ => None,
        };
        let misfit = beyond.map(|beyond| self.jump_if_beyond(inst.op, (a, from), beyond as i32, to));
        let source = if rounding == Rounding::Zero { a } else { SCRATCH };
        self.round_into(source, a, from, rounding);
        // What fits 32 bits without a sign fits 64 with one.
        let wide = inst.ty == Ty::I64 || inst.op == Op::FtoUint;
        self.asm.plain(Encoding { prefix: prefix(from), map: Map::Two, opcode: 0x2c, wide }, to.0, Rm::Xmm(source));
        let misfit = misfit.unwrap_or_else(|| {
            // Only the indefinite integer, the smallest, overflows.
            self.asm.alu_imm(if wide { Width::Q } else { Width::D }, Alu::Cmp, Rm::Gpr(to), 1);
            self.asm.jcc(Cc::O)
        });
        self.tables.cold.push(Cold::Misfit { from: misfit, back: self.asm.position(), value, operand: a, to });
        self.define(value, to, Cleanness::Clean);
        true
    }

    /// Jumps where the upper word of a float is from `beyond` on, or, if the integer has no sign, the float has one.
    fn jump_if_beyond(&mut self, op: Op, (a, from): (Xmm, Ty), beyond: i32, word: Gpr) -> usize {
        let width = if from == Ty::F64 { Width::Q } else { Width::D };
        self.asm.xmm_to_gpr(width, word, a);
        if from == Ty::F64 {
            self.asm.shift_imm(Width::Q, Shift::Shr, word, 32);
        }
        if op == Op::FtoSint {
            self.asm.alu_imm(Width::D, Alu::And, Rm::Gpr(word), i32::MAX);
        }
        self.asm.alu_imm(Width::D, Alu::Cmp, Rm::Gpr(word), beyond);
        self.asm.jcc(Cc::Ae)
    }

    /// `cvttps2dq`, whose indefinite integer becomes 0 for NaNs, and the largest for what is too large.
    fn lanes_to_signed(&mut self, value: Value, inst: &Inst) -> bool {
        const TOO_LARGE: u128 = 0x4f00_0000_4f00_0000_4f00_0000_4f00_0000;
        let rounding = Rounding::from_aux(inst.aux);
        if !self.rounds(rounding) {
            return false;
        }
        let a = self.xmm(inst.args[0]);
        let to = regs!(self.take_any_xmm());
        self.round_into(to, a, Ty::F32X4, rounding);
        self.load_literal(SCRATCH, TOO_LARGE);
        self.compare_packed(Ty::F32X4, SCRATCH, Rm::Xmm(to), 2);
        self.asm.sse(0xf3, 0x5b, to, Rm::Xmm(to));
        self.asm.sse(0x66, 0xef, to, Rm::Xmm(SCRATCH));
        self.asm.movaps(SCRATCH, a);
        self.compare_packed(Ty::F32X4, SCRATCH, Rm::Xmm(SCRATCH), 7);
        self.asm.sse(0, 0x54, to, Rm::Xmm(SCRATCH));
        self.define_xmm(value, to);
        true
    }

    /// Whether the host rounds so in one instruction.
    fn rounds(&self, rounding: Rounding) -> bool {
        rounding == Rounding::Zero || rounding != Rounding::Away && self.features.sse41
    }

    /// `to` := `from`, rounded to integral values where a conversion does not do that.
    fn round_into(&mut self, to: Xmm, from: Xmm, ty: Ty, rounding: Rounding) {
        match rounding {
            Rounding::Zero if to == from => {}
            Rounding::Zero => self.asm.movaps(to, from),
            // A conversion tells that it was inexact.
            _ => self.round_to(to, from, ty, rounding_mode(rounding) & 7),
        }
    }

    /// [`Cold::Misfit`]: no register may change but the result's.
    pub(super) fn convert_out_of_line(&mut self, value: Value, operand: Xmm, to: Gpr) {
        self.evaluate_out_of_line(value, &[operand]);
        self.asm.load(Width::Q, to, super::outcall::scratch(0, 0));
    }
}
