//! Integers of up to 64 bits, and the seams between them and vectors.

use super::assembler::{Alu, Cc, Gpr, Mem, Rm, Shift, Wide, Width, Xmm};
use super::lower::{Lower, regs, width};
use super::registers::{Cleanness, Context, Register, is_word};
use philae_ir::{Inst, Op, Ty, Value};

impl Lower<'_> {
    /// Emits a scalar operation; false if it is none, or the evaluator's.
    pub(super) fn integer(&mut self, value: Value, inst: &Inst) -> bool {
        match inst.op {
            Op::Select => self.select(value, inst),
            Op::Sext => return self.sext(value, inst),
            Op::Bitcast => self.bitcast(value, inst),
            Op::Low => self.low(value, inst),
            Op::High => return self.high(value, inst),
            Op::Concat => return self.concat(value, inst),
            _ if !is_word(inst.ty) => return false,
            Op::Xor => self.arithmetic(value, inst, Alu::Xor),
            Op::AndNot => self.and_not(value, inst),
            Op::Not | Op::Neg => self.unary(value, inst),
            Op::Mul => self.multiply(value, inst),
            Op::Ashr => self.shift(value, inst, Shift::Sar),
            Op::Rotr => self.shift(value, inst, Shift::Ror),
            Op::Umin => return self.minimum(value, inst, Cc::B),
            Op::Umax => return self.minimum(value, inst, Cc::A),
            Op::Smin => return self.minimum(value, inst, Cc::L),
            Op::Smax => return self.minimum(value, inst, Cc::G),
            _ if !matches!(inst.ty, Ty::I32 | Ty::I64) => return false,
            Op::UmulHigh => return self.multiply_high(value, inst, Wide::Mul),
            Op::SmulHigh => return self.multiply_high(value, inst, Wide::Imul),
            Op::Udiv | Op::Urem | Op::Sdiv | Op::Srem => self.divide(value, inst),
            Op::Clz if self.features.lzcnt => self.count(value, inst, 0xbd),
            Op::Ctz if self.features.bmi1 => self.count(value, inst, 0xbc),
            Op::Popcnt if self.features.popcnt => self.count(value, inst, 0xb8),
            Op::Bswap => self.bswap(value, inst),
            Op::Rbit => self.reverse_bits(value, inst),
            _ => return false,
        }
        true
    }

    /// The pinned register for a result that is made step by step from its first operand: none of the others may be in
    /// it.
    fn step_target(&self, value: Value, inst: &Inst) -> Option<Gpr> {
        let target = self.target(value)?;
        let in_the_way = |&operand: &Value| {
            operand != Value::NONE && self.registers.register(operand) == Some(Register::Gpr(target))
        };
        (!inst.args[1..].iter().any(in_the_way)).then_some(target)
    }

    /// A register with operand `a` in it, for the result.
    fn result_from(&mut self, value: Value, inst: &Inst, a: Value) -> Gpr {
        let target = self.step_target(value, inst);
        regs!(self.result_from(a, target))
    }

    fn define_arithmetic(&mut self, value: Value, to: Gpr, ty: Ty) {
        let clean = if matches!(ty, Ty::I32 | Ty::I64) { Cleanness::Clean } else { Cleanness::Dirty };
        self.define(value, to, clean);
    }

    /// Sums: to another register by `lea`, else in place.
    pub(super) fn add(&mut self, value: Value, inst: &Inst) {
        let width = at_least_32(inst.ty);
        let [a, b, _] = inst.args;
        let imm = self.immediate(inst.ty, b);
        if imm == Some(0) && inst.ty == Ty::I64 {
            return self.copy(value, a);
        }
        let from = self.gpr(a);
        let target = self.target(value);
        let in_place = target.map_or_else(|| self.can_overwrite(from), |target| target == from);
        if in_place {
            return self.arithmetic(value, inst, Alu::Add);
        }
        let sum = match imm {
            Some(imm) => Mem::At(from, imm),
            None => Mem::Sum(from, self.gpr(b)),
        };
        let to = target.unwrap_or_else(|| regs!(self.take_any()));
        self.asm.lea(width, to, sum);
        self.define_arithmetic(value, to, inst.ty);
    }

    fn can_overwrite(&self, gpr: Gpr) -> bool {
        !super::pins::is_pinned(gpr) && self.registers.is_free_after(gpr)
    }

    /// The result is what the operand is.
    fn copy(&mut self, value: Value, operand: Value) {
        let from = self.gpr(operand);
        if let Some(target) = self.target(value).filter(|&target| target != from) {
            self.asm.mov(Width::Q, target, from);
            return self.define(value, target, Cleanness::Clean);
        }
        let clean = self.registers.cleanness(operand);
        regs!(self.share(value, Register::Gpr(from), clean));
    }

    pub(super) fn arithmetic(&mut self, value: Value, inst: &Inst, op: Alu) {
        let [a, b, _] = inst.args;
        let imm = self.immediate(inst.ty, b);
        let operand = if imm.is_none() { Some(self.gpr(b)) } else { None };
        let to = self.result_from(value, inst, a);
        let width = at_least_32(inst.ty);
        match (imm, operand) {
            (Some(imm), _) => self.asm.alu_imm(width, op, Rm::Gpr(to), imm),
            (None, Some(operand)) => self.asm.alu(width, op, to, operand),
            (None, None) => unreachable!("an operand is a constant or in a register"),
        }
        self.define_arithmetic(value, to, inst.ty);
    }

    fn and_not(&mut self, value: Value, inst: &Inst) {
        let [a, b, _] = inst.args;
        let (kept, cleared) = (self.gpr(a), self.gpr(b));
        let to = regs!(self.take_any());
        self.asm.mov(Width::Q, to, cleared);
        self.asm.not(Width::Q, to);
        self.asm.alu(at_least_32(inst.ty), Alu::And, to, kept);
        self.define_arithmetic(value, to, inst.ty);
    }

    fn unary(&mut self, value: Value, inst: &Inst) {
        let to = self.result_from(value, inst, inst.args[0]);
        match inst.op {
            Op::Not => self.asm.not(at_least_32(inst.ty), to),
            _ => self.asm.neg(at_least_32(inst.ty), to),
        }
        self.define_arithmetic(value, to, inst.ty);
    }

    fn multiply(&mut self, value: Value, inst: &Inst) {
        let [a, b, _] = inst.args;
        let width = at_least_32(inst.ty);
        if let Some(imm) = self.immediate(inst.ty, b) {
            let from = self.gpr(a);
            let to = self.result(value);
            self.asm.imul_imm(width, to, from, imm);
            return self.define_arithmetic(value, to, inst.ty);
        }
        let by = self.gpr(b);
        let to = self.result_from(value, inst, a);
        self.asm.imul(width, to, by);
        self.define_arithmetic(value, to, inst.ty);
    }

    /// Shifts and rotations by a constant or by CL, modulo the width.
    pub(super) fn shift(&mut self, value: Value, inst: &Inst, op: Shift) {
        let [a, b, _] = inst.args;
        let narrow = matches!(inst.ty, Ty::I8 | Ty::I16);
        if let Some(amount) = self.constant(b) {
            let to = self.result_from(value, inst, a);
            self.widen_for(op, inst.ty, to);
            let amount = amount as u8 & (inst.ty.bits() - 1) as u8;
            self.asm.shift_imm(shift_width(op, inst.ty), op, to, amount);
            return self.define_arithmetic(value, to, inst.ty);
        }
        regs!(self.take(Gpr::RCX));
        let amount = self.gpr(b);
        self.asm.mov(Width::D, Gpr::RCX, amount);
        if narrow {
            self.asm.alu_imm(Width::D, Alu::And, Rm::Gpr(Gpr::RCX), inst.ty.bits() as i32 - 1);
        }
        let to = self.result_from(value, inst, a);
        self.widen_for(op, inst.ty, to);
        self.asm.shift_cl(shift_width(op, inst.ty), op, to);
        self.define_arithmetic(value, to, inst.ty);
    }

    /// Brings the bits above a narrow value into the shape that a shift to the right lets in.
    fn widen_for(&mut self, op: Shift, ty: Ty, to: Gpr) {
        if matches!(ty, Ty::I8 | Ty::I16) {
            match op {
                Shift::Shr => self.asm.movzx(width(ty), to, Rm::Gpr(to)),
                Shift::Sar => self.asm.movsx(width(ty), to, Rm::Gpr(to)),
                Shift::Shl | Shift::Ror => {}
            }
        }
    }

    /// `a` if the comparison `a cc b` holds, else `b`.
    fn minimum(&mut self, value: Value, inst: &Inst, cc: Cc) -> bool {
        if !matches!(inst.ty, Ty::I32 | Ty::I64) {
            return false;
        }
        let (a, b) = (self.gpr(inst.args[0]), self.gpr(inst.args[1]));
        let to = regs!(self.take_any());
        self.asm.mov(Width::Q, to, b);
        self.asm.alu(width(inst.ty), Alu::Cmp, a, b);
        self.asm.cmov(width(inst.ty), cc, to, a);
        self.define(value, to, Cleanness::Clean);
        true
    }

    fn multiply_high(&mut self, value: Value, inst: &Inst, op: Wide) -> bool {
        regs!(self.take(Gpr::RAX));
        regs!(self.take(Gpr::RDX));
        let (a, b) = (self.gpr(inst.args[0]), self.gpr(inst.args[1]));
        self.asm.mov(Width::Q, Gpr::RAX, a);
        self.asm.wide(width(inst.ty), op, b);
        self.define(value, Gpr::RDX, Cleanness::Clean);
        true
    }

    /// Quotient or remainder; a divisor of 0 gives 0 or the dividend.
    fn divide(&mut self, value: Value, inst: &Inst) {
        regs!(self.take(Gpr::RAX));
        regs!(self.take(Gpr::RDX));
        let (a, b) = (self.gpr(inst.args[0]), self.gpr(inst.args[1]));
        let width = width(inst.ty);
        self.asm.mov(width, Gpr::RDX, a);
        self.asm.mov_imm(Gpr::RAX, 0);
        self.asm.test(width, b, b);
        let zero = self.asm.jcc(Cc::E);
        self.asm.mov(width, Gpr::RAX, a);
        match inst.op {
            Op::Udiv | Op::Urem => {
                self.asm.mov_imm(Gpr::RDX, 0);
                self.asm.wide(width, Wide::Div, b);
            }
            _ => self.divide_signed(width, b),
        }
        self.asm.patch_here(zero);
        let result = if matches!(inst.op, Op::Udiv | Op::Sdiv) { Gpr::RAX } else { Gpr::RDX };
        self.define(value, result, Cleanness::Clean);
    }

    /// RAX by `b`; a divisor of −1, for which MIN would trap, negates and leaves 0.
    fn divide_signed(&mut self, width: Width, b: Gpr) {
        self.asm.alu_imm(width, Alu::Cmp, Rm::Gpr(b), -1);
        let other = self.asm.jcc(Cc::Ne);
        self.asm.neg(width, Gpr::RAX);
        self.asm.mov_imm(Gpr::RDX, 0);
        let done = self.asm.jmp();
        self.asm.patch_here(other);
        self.asm.sign_into_rdx(width);
        self.asm.wide(width, Wide::Idiv, b);
        self.asm.patch_here(done);
    }

    fn count(&mut self, value: Value, inst: &Inst, opcode: u8) {
        let from = self.gpr(inst.args[0]);
        let to = self.result(value);
        self.asm.count(width(inst.ty), opcode, to, from);
        self.define(value, to, Cleanness::Clean);
    }

    fn bswap(&mut self, value: Value, inst: &Inst) {
        let to = self.result_from(value, inst, inst.args[0]);
        self.asm.bswap(width(inst.ty), to);
        self.define(value, to, Cleanness::Clean);
    }

    /// Bytes in reverse order, then within each the halves, the pairs and the bits.
    fn reverse_bits(&mut self, value: Value, inst: &Inst) {
        let from = self.gpr(inst.args[0]);
        let [to, other, mask] = [(); 3].map(|()| regs!(self.take_any()));
        let width = width(inst.ty);
        self.asm.mov(width, to, from);
        self.asm.bswap(width, to);
        for (distance, kept) in [(4, 0x0f), (2, 0x33), (1, 0x55)] {
            let kept = u64::MAX / 255 * kept;
            self.asm.mov_imm(mask, if inst.ty == Ty::I64 { kept } else { kept & u64::from(u32::MAX) });
            self.asm.mov(width, other, to);
            self.asm.shift_imm(width, Shift::Shr, other, distance);
            self.asm.alu(width, Alu::And, other, mask);
            self.asm.alu(width, Alu::And, to, mask);
            self.asm.shift_imm(width, Shift::Shl, to, distance);
            self.asm.alu(width, Alu::Or, to, other);
        }
        self.define(value, to, Cleanness::Clean);
    }

    fn select(&mut self, value: Value, inst: &Inst) {
        let [cond, a, b] = inst.args;
        // Nothing but moves comes between the comparison and its use.
        let cc = self.condition(cond);
        if !is_word(inst.ty) {
            return self.select_vector(value, cc, a, b);
        }
        let (if_true, if_false) = (self.gpr(a), self.gpr(b));
        let to = regs!(self.take_any());
        self.asm.mov(Width::Q, to, if_false);
        self.asm.cmov(at_least_32(inst.ty), cc, to, if_true);
        self.define_arithmetic(value, to, inst.ty);
    }

    fn select_vector(&mut self, value: Value, cc: Cc, a: Value, b: Value) {
        let (if_true, if_false) = (self.xmm(a), self.xmm(b));
        let to = regs!(self.take_any_xmm());
        self.asm.movaps(to, if_true);
        let done = self.asm.jcc(cc);
        self.asm.movaps(to, if_false);
        self.asm.patch_here(done);
        self.define_xmm(value, to);
    }

    pub(super) fn zext(&mut self, value: Value, inst: &Inst) {
        let operand = inst.args[0];
        let from_ty = self.ty(operand);
        if !is_word(inst.ty) {
            let low = self.zero_extended(from_ty, operand);
            let to = regs!(self.take_any_xmm());
            self.asm.movaps(to, low);
            return self.define_xmm(value, to);
        }
        let from = self.gpr(operand);
        if self.registers.cleanness(operand) == Cleanness::Clean {
            return regs!(self.share(value, Register::Gpr(from), Cleanness::Clean));
        }
        let to = self.result(value);
        self.zero_extend(from_ty, to, from);
        self.define(value, to, Cleanness::Clean);
    }

    fn sext(&mut self, value: Value, inst: &Inst) -> bool {
        let operand = inst.args[0];
        if !is_word(inst.ty) || !is_word(self.ty(operand)) {
            return false;
        }
        let from = self.gpr(operand);
        let to = self.result(value);
        self.asm.movsx(width(self.ty(operand)), to, Rm::Gpr(from));
        if inst.ty == Ty::I32 {
            self.asm.mov(Width::D, to, to);
        }
        self.define_arithmetic(value, to, inst.ty);
        true
    }

    pub(super) fn trunc(&mut self, value: Value, inst: &Inst) {
        let operand = inst.args[0];
        if is_word(self.ty(operand)) {
            let from = self.gpr(operand);
            return regs!(self.share(value, Register::Gpr(from), Cleanness::Dirty));
        }
        let from = self.xmm(operand);
        let to = self.result(value);
        self.asm.xmm_to_gpr(Width::Q, to, from);
        self.define(value, to, if inst.ty == Ty::I64 { Cleanness::Clean } else { Cleanness::Dirty });
    }

    fn bitcast(&mut self, value: Value, inst: &Inst) {
        let operand = inst.args[0];
        match (is_word(self.ty(operand)), is_word(inst.ty)) {
            (true, true) => {
                let (from, clean) = (self.gpr(operand), self.registers.cleanness(operand));
                regs!(self.share(value, Register::Gpr(from), clean));
            }
            (false, false) => {
                let from = self.xmm(operand);
                regs!(self.share(value, Register::Xmm(from), Cleanness::Clean));
            }
            (true, false) => {
                let from = self.gpr(operand);
                let to = regs!(self.take_any_xmm());
                self.asm.gpr_to_xmm(width(inst.ty), to, from);
                self.define_xmm(value, to);
            }
            (false, true) => {
                let from = self.xmm(operand);
                let to = self.result(value);
                self.asm.xmm_to_gpr(width(inst.ty), to, from);
                self.define(value, to, Cleanness::Clean);
            }
        }
    }

    fn low(&mut self, value: Value, inst: &Inst) {
        let from = self.xmm(inst.args[0]);
        let to = self.result(value);
        self.asm.xmm_to_gpr(Width::Q, to, from);
        self.define(value, to, Cleanness::Clean);
    }

    fn high(&mut self, value: Value, inst: &Inst) -> bool {
        if !self.features.sse41 {
            return false;
        }
        let from = self.xmm(inst.args[0]);
        let to = self.result(value);
        self.extract_high(to, from);
        self.define(value, to, Cleanness::Clean);
        true
    }

    fn concat(&mut self, value: Value, inst: &Inst) -> bool {
        if !self.features.sse41 {
            return false;
        }
        let (low, high) = (self.gpr(inst.args[0]), self.gpr(inst.args[1]));
        let to = regs!(self.take_any_xmm());
        self.asm.gpr_to_xmm(Width::Q, to, low);
        self.insert_high(to, high);
        self.define_xmm(value, to);
        true
    }

    /// The upper half of `to` := a general register.
    pub(super) fn append_high(&mut self, to: Xmm, high: Gpr) {
        self.asm.gpr_to_xmm(Width::Q, super::registers::SCRATCH, high);
        self.asm.sse(0x66, 0x6c, to, Rm::Xmm(super::registers::SCRATCH));
    }
}

/// The width in which narrow integers are worked on: what is above them means nothing.
fn at_least_32(ty: Ty) -> Width {
    if ty == Ty::I64 { Width::Q } else { Width::D }
}

/// Rotations need the width itself.
fn shift_width(op: Shift, ty: Ty) -> Width {
    if op == Shift::Ror { width(ty) } else { at_least_32(ty) }
}
