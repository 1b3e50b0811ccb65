//! Conditions and flags: computed where they are looked at, by the host's own flags where these say the same.

use super::analysis::{compares_bits, is_lazy, masks_bits};
use super::assembler::{Alu, Cc, Gpr, Mem, Rm, Shift, Width};
use super::lower::{Cold, Lower, move_prefix, regs, width};
use super::pins::Stub;
use super::registers::{Cleanness, Context, Register, STATE, is_word, slot_mem};
use crate::stored_flags::{self, Described, OPERANDS};
use philae_ir::ops::SIGNALS;
use philae_ir::state::NZCV;
use philae_ir::{Carry, Cond, Inst, IntCond, Op, Ty, Value};

/// N, Z, C and V in AX after LAHF and SETO AL.
const NZCV_OF_AX: u64 = 0xc101;

impl Lower<'_> {
    /// Makes the host's flags say whether a truth value is 1, as the condition returned.
    pub(super) fn condition(&mut self, value: Value) -> Cc {
        let inst = &self.region.insts[value.index()];
        if self.is_here(value) {
            match inst.op {
                Op::Icmp if is_lazy(inst) => return self.compare(inst),
                Op::FlagsTest => return self.flags_condition(inst.args[0], Cond::from_aux(inst.aux)),
                Op::PollPending => return self.compare_poll(),
                Op::And if !self.analysis.of(value).eager && masks_bits(self.region, inst) => {
                    return self.test_bits(inst);
                }
                _ => {}
            }
        }
        let truth = self.gpr(value);
        self.asm.test(Width::B, truth, truth);
        Cc::Ne
    }

    /// A truth value as 0 or 1 in a register.
    pub(super) fn truth(&mut self, value: Value) {
        let cc = self.condition(value);
        let to = regs!(self.take_any());
        self.asm.set(cc, to);
        self.asm.movzx(Width::B, to, Rm::Gpr(to));
        self.define(value, to, Cleanness::Clean);
    }

    /// Whether the current block makes the value, so that its operands can still be asked for.
    fn is_here(&self, value: Value) -> bool {
        self.analysis.of(value).block == self.block as u32
    }

    /// Whether the value can be had in this block.
    fn is_kept(&self, value: Value) -> bool {
        self.is_here(value) || self.analysis.of(value).crosses || self.constant(value).is_some()
    }

    fn compare(&mut self, inst: &Inst) -> Cc {
        let first = inst.args[0];
        if compares_bits(self.region, inst) && self.is_here(first) && !self.analysis.of(first).eager {
            let some = self.test_bits(&self.region.insts[first.index()]);
            return if IntCond::from_aux(inst.aux) == IntCond::Ne { some } else { some.inverted() };
        }
        self.compare_operands(inst);
        match IntCond::from_aux(inst.aux) {
            IntCond::Eq => Cc::E,
            IntCond::Ne => Cc::Ne,
            IntCond::Ult => Cc::B,
            IntCond::Ule => Cc::Be,
            IntCond::Ugt => Cc::A,
            IntCond::Uge => Cc::Ae,
            IntCond::Slt => Cc::L,
            IntCond::Sle => Cc::Le,
            IntCond::Sgt => Cc::G,
            IntCond::Sge => Cc::Ge,
        }
    }

    /// Tests the bits that an instruction leaves; what holds if there are any.
    fn test_bits(&mut self, inst: &Inst) -> Cc {
        let a = self.gpr(inst.args[0]);
        let mask = self.constant(inst.args[1]).unwrap_or(0) & inst.ty.mask() as u64;
        if mask.is_power_of_two() {
            self.asm.bt_imm(a, mask.trailing_zeros() as u8);
            return Cc::B;
        }
        self.asm.test_imm(a, mask as u32);
        Cc::Ne
    }

    /// `cmp` of the first two operands.
    fn compare_operands(&mut self, inst: &Inst) {
        let a = self.gpr(inst.args[0]);
        match self.immediate(inst.ty, inst.args[1]) {
            Some(0) => self.asm.test(width(inst.ty), a, a),
            Some(imm) => self.asm.alu_imm(width(inst.ty), Alu::Cmp, Rm::Gpr(a), imm),
            None => {
                let b = self.gpr(inst.args[1]);
                self.asm.alu(width(inst.ty), Alu::Cmp, a, b);
            }
        }
    }

    /// Makes the host's flags say whether a condition holds for flags.
    fn flags_condition(&mut self, flags: Value, cond: Cond) -> Cc {
        let inst = &self.region.insts[flags.index()];
        if !self.is_here(flags) || inst.ty.bits() > 64 {
            return self.tested_bits(flags, cond);
        }
        let known = match inst.op {
            Op::FlagsSub => of_difference(cond, Carry::from_aux(inst.aux)),
            Op::FlagsAdd => of_sum(cond),
            Op::FlagsLogic => of_logic(cond),
            Op::FlagsFcmp => return self.float_condition(flags, inst, cond),
            Op::FlagsWithC => return self.condition_with_carry(flags, inst, cond),
            _ => None,
        };
        let Some(cc) = known else { return self.tested_bits(flags, cond) };
        self.host_flags(inst);
        cc
    }

    /// Flags whose C is that of another: conditions that look at only one of the two.
    fn condition_with_carry(&mut self, flags: Value, inst: &Inst, cond: Cond) -> Cc {
        match cond {
            Cond::Cs | Cond::Cc => {
                let carry = self.gpr(inst.args[1]);
                self.asm.test(Width::B, carry, carry);
                if cond == Cond::Cs { Cc::Ne } else { Cc::E }
            }
            Cond::Hi | Cond::Ls | Cond::Be | Cond::A => self.tested_bits(flags, cond),
            Cond::Eq | Cond::Ne | Cond::Mi | Cond::Pl | Cond::Vs | Cond::Vc => self.flags_condition(inst.args[0], cond),
            Cond::Ge | Cond::Lt | Cond::Gt | Cond::Le => self.flags_condition(inst.args[0], cond),
        }
    }

    /// Any condition, by the four bits: a table of 16 answers.
    fn tested_bits(&mut self, flags: Value, cond: Cond) -> Cc {
        let bits = self.flags_bits(flags);
        let table = (0..16).filter(|&nzcv| cond.holds(nzcv)).fold(0, |table, nzcv| table | 1u64 << nzcv);
        let answers = regs!(self.take_any());
        self.asm.mov_imm(answers, table);
        self.asm.bt(answers, bits);
        Cc::B
    }

    /// A condition on compared floats: what holds for the four relations decides which comparison says it.
    fn float_condition(&mut self, flags: Value, inst: &Inst, cond: Cond) -> Cc {
        let truth = (0..4).filter(|relation| cond.holds((inst.imm >> (4 * relation)) as u8 & 15));
        let truth = truth.fold(0u8, |set, relation| set | 1 << relation);
        // Bits: less, equal, greater, unordered.
        let (cc, reversed) = match truth {
            0b0100 => (Cc::A, false),
            0b0110 => (Cc::Ae, false),
            0b1001 => (Cc::B, false),
            0b1011 => (Cc::Be, false),
            0b1010 => (Cc::E, false),
            0b0101 => (Cc::Ne, false),
            0b1000 => (Cc::P, false),
            0b0111 => (Cc::Np, false),
            0b0001 => (Cc::A, true),
            0b0011 => (Cc::Ae, true),
            0b1100 => (Cc::B, true),
            0b1110 => (Cc::Be, true),
            _ => return self.tested_bits(flags, cond),
        };
        let (a, b) = if reversed { (inst.args[1], inst.args[0]) } else { (inst.args[0], inst.args[1]) };
        self.compare_floats(inst, a, b);
        cc
    }

    /// `ucomiss` or `ucomisd`; `comiss` or `comisd`, for which every NaN is invalid, where the flags that `inst` makes
    /// say so.
    pub(super) fn compare_floats(&mut self, inst: &Inst, a: Value, b: Value) {
        let (a, b) = (self.xmm(a), self.xmm(b));
        let signals = inst.op == Op::FlagsFcmp && inst.imm & SIGNALS != 0;
        self.asm.sse(if inst.ty == Ty::F32 { 0 } else { 0x66 }, if signals { 0x2f } else { 0x2e }, a, Rm::Xmm(b));
    }

    /// Makes the host's flags those of a producer on integers; C may have the other sense.
    fn host_flags(&mut self, inst: &Inst) {
        match inst.op {
            Op::FlagsSub => self.compare_operands(inst),
            Op::FlagsLogic => {
                let a = self.gpr(inst.args[0]);
                self.asm.test(width(inst.ty), a, a);
            }
            _ => {
                let a = self.gpr(inst.args[0]);
                let sum = regs!(self.take_any());
                self.asm.mov(Width::Q, sum, a);
                self.carry_in(inst);
                let op = match inst.op {
                    Op::FlagsAdd => Alu::Add,
                    Op::FlagsAdc => Alu::Adc,
                    _ => Alu::Sbb,
                };
                match self.immediate(inst.ty, inst.args[1]) {
                    Some(imm) => self.asm.alu_imm(width(inst.ty), op, Rm::Gpr(sum), imm),
                    None => {
                        let b = self.gpr(inst.args[1]);
                        self.asm.alu(width(inst.ty), op, sum, b);
                    }
                }
            }
        }
    }

    /// CF as `adc` or `sbb` wants it.
    fn carry_in(&mut self, inst: &Inst) {
        if inst.op == Op::FlagsAdd {
            return;
        }
        let carry = self.gpr(inst.args[2]);
        self.asm.bt_imm(carry, 0);
        if inst.op == Op::FlagsSbc && Carry::from_aux(inst.aux) == Carry::NotBorrow {
            self.asm.complement_carry();
        }
    }

    /// Flags as four bits in a register.
    pub(super) fn flags_bits(&mut self, flags: Value) -> Gpr {
        let inst = &self.region.insts[flags.index()];
        let made = !is_lazy(inst) || self.analysis.of(flags).eager || !self.is_here(flags);
        if made {
            return self.gpr(flags);
        }
        // What the computation worked with is of no use any more: flags are looked at before anything else.
        let bits = self.computed_bits(inst);
        self.registers.unlock();
        self.registers.lock(Register::Gpr(bits));
        bits
    }

    /// An operation that makes flags, where somebody wants the bits.
    pub(super) fn make_flags(&mut self, value: Value, inst: &Inst) {
        let bits = self.computed_bits(inst);
        self.define(value, bits, Cleanness::Clean);
    }

    /// The four bits of flags that an instruction makes, in a register that nothing else is in.
    fn computed_bits(&mut self, inst: &Inst) -> Gpr {
        match inst.op {
            Op::FlagsAdd | Op::FlagsAdc | Op::FlagsSub | Op::FlagsSbc | Op::FlagsLogic => self.integer_bits(inst),
            Op::FlagsFcmp => self.float_bits(inst),
            Op::FlagsWithC => self.replaced_bit(inst, 1),
            Op::FlagsWithV => self.replaced_bit(inst, 0),
            Op::FlagsFromBits => {
                let from = self.gpr(inst.args[0]);
                let to = regs!(self.take_any());
                self.asm.mov(Width::D, to, from);
                self.asm.alu_imm(Width::D, Alu::And, Rm::Gpr(to), 15);
                to
            }
            Op::Select => {
                // Nothing but moves comes between the comparison and its use.
                let cc = self.condition(inst.args[0]);
                let (a, b) = (self.flags_bits(inst.args[1]), self.flags_bits(inst.args[2]));
                let to = regs!(self.take_any());
                self.asm.mov(Width::D, to, b);
                self.asm.cmov(Width::D, cc, to, a);
                to
            }
            op => panic!("{op:?} makes no flags"),
        }
    }

    fn integer_bits(&mut self, inst: &Inst) -> Gpr {
        regs!(self.take(Gpr::RAX));
        self.host_flags(inst);
        self.asm.lahf();
        self.asm.set(Cc::O, Gpr::RAX);
        let mask = regs!(self.take_any());
        self.gather_nzcv(mask);
        let inverted = matches!(inst.op, Op::FlagsSub | Op::FlagsSbc) && Carry::from_aux(inst.aux) == Carry::NotBorrow;
        if inverted {
            self.asm.alu_imm(Width::D, Alu::Xor, Rm::Gpr(Gpr::RAX), 2);
        }
        Gpr::RAX
    }

    /// From AX, as LAHF and SETO AL leave it, to the four bits in RAX.
    fn gather_nzcv(&mut self, other: Gpr) {
        if self.features.bmi2 {
            self.asm.mov_imm(other, NZCV_OF_AX);
            self.asm.pext(Gpr::RAX, Gpr::RAX, other);
            return;
        }
        // AX: N at 15, Z at 14, C at 8, V at 0. The first two go to 3 and 2, the third to 1.
        self.asm.mov(Width::D, other, Gpr::RAX);
        self.asm.shift_imm(Width::D, Shift::Shr, other, 12);
        self.asm.alu_imm(Width::D, Alu::And, Rm::Gpr(other), 12);
        self.asm.alu_imm(Width::D, Alu::And, Rm::Gpr(Gpr::RAX), 0x101);
        self.asm.alu(Width::D, Alu::Or, other, Gpr::RAX);
        self.asm.shift_imm(Width::D, Shift::Shr, Gpr::RAX, 7);
        self.asm.alu(Width::D, Alu::Or, Gpr::RAX, other);
        self.asm.alu_imm(Width::D, Alu::And, Rm::Gpr(Gpr::RAX), 15);
    }

    fn float_bits(&mut self, inst: &Inst) -> Gpr {
        let to = regs!(self.take_any());
        self.compare_floats(inst, inst.args[0], inst.args[1]);
        let [less, equal, greater, unordered] = [0, 4, 8, 12].map(|shift| inst.imm >> shift & 15);
        let mut done = [0; 3];
        for (field, (bits, cc)) in done.iter_mut().zip([(unordered, Cc::P), (less, Cc::B), (equal, Cc::E)]) {
            self.asm.mov_imm(to, bits);
            *field = self.asm.jcc(cc);
        }
        self.asm.mov_imm(to, greater);
        done.into_iter().for_each(|field| self.asm.patch_here(field));
        to
    }

    /// Flags with one bit replaced by a truth value.
    fn replaced_bit(&mut self, inst: &Inst, bit: u8) -> Gpr {
        let flags = self.flags_bits(inst.args[0]);
        let to = regs!(self.take_any());
        self.asm.mov(Width::D, to, flags);
        self.asm.alu_imm(Width::D, Alu::And, Rm::Gpr(to), 15 & !(1 << bit));
        let truth = self.gpr(inst.args[1]);
        let shifted = regs!(self.take_any());
        self.asm.movzx(Width::B, shifted, Rm::Gpr(truth));
        if bit != 0 {
            self.asm.shift_imm(Width::D, Shift::Shl, shifted, bit);
        }
        self.asm.alu(Width::D, Alu::Or, to, shifted);
        to
    }

    /// [`Op::FlagsToBits`].
    pub(super) fn flags_to_bits(&mut self, value: Value, inst: &Inst) {
        let bits = self.flags_bits(inst.args[0]);
        let to = self.result(value);
        self.asm.mov(Width::D, to, bits);
        self.define(value, to, Cleanness::Clean);
    }

    /// Writes the flags: what they come from, where that can be said, else the bits.
    pub(super) fn set_flags(&mut self, flags: Value) {
        self.registers.forget_slot(NZCV);
        let described =
            if self.is_here(flags) { stored_flags::describe(self.region, flags, |value| value) } else { None };
        // A block that adds a carry to flags of another has not what those come from.
        let described =
            described.filter(|described| described.operands.into_iter().flatten().all(|of| self.is_kept(of)));
        let Some(Described { word, operands }) = described else {
            let bits = self.flags_bits(flags);
            return self.asm.store(Width::D, slot_mem(NZCV), bits);
        };
        for (index, operand) in operands.into_iter().enumerate() {
            if let Some(operand) = operand {
                self.store_flags_operand(index, operand);
            }
        }
        self.asm.store_imm(Width::D, slot_mem(NZCV), word as i32);
        // Whether or not somebody ever looks at them, the guest gets what the comparison raises.
        let inst = self.region.inst(flags);
        if inst.op == Op::FlagsFcmp && self.region.raises(inst) {
            self.compare_floats(inst, inst.args[0], inst.args[1]);
        }
    }

    fn store_flags_operand(&mut self, index: usize, operand: Value) {
        let place = Mem::At(STATE, OPERANDS + 8 * index as i32);
        let ty = self.ty(operand);
        if !is_word(ty) {
            let from = self.xmm(operand);
            return self.asm.sse(move_prefix(ty), 0x11, from, Rm::Mem(place));
        }
        let imm = self.constant(operand).and_then(|bits| i32::try_from(bits as i64).ok());
        if let Some(imm) = imm {
            return self.asm.store_imm(Width::Q, place, imm);
        }
        let from = self.gpr(operand);
        self.asm.store(Width::Q, place, from);
    }

    /// Reads the flags that code before this unit wrote.
    pub(super) fn get_flags(&mut self, value: Value) {
        let to = regs!(self.take_any());
        self.asm.load(Width::D, to, slot_mem(NZCV));
        self.asm.alu_imm(Width::D, Alu::Cmp, Rm::Gpr(to), 15);
        let from = self.asm.jcc(Cc::A);
        self.tables.cold.push(Cold::Settle { from, back: self.asm.position(), to });
        self.define(value, to, Cleanness::Clean);
    }

    /// [`Cold::Settle`].
    pub(super) fn settle_flags(&mut self, from: usize, back: usize, to: Gpr) {
        self.asm.patch_here(from);
        self.asm.call_mem(Stub::Settle.mem());
        self.asm.load(Width::D, to, slot_mem(NZCV));
        self.jump_back(back);
    }
}

/// After `cmp`.
fn of_difference(cond: Cond, carry: Carry) -> Option<Cc> {
    Some(match (cond, carry) {
        (Cond::Eq, _) => Cc::E,
        (Cond::Ne, _) => Cc::Ne,
        (Cond::Mi, _) => Cc::S,
        (Cond::Pl, _) => Cc::Ns,
        (Cond::Vs, _) => Cc::O,
        (Cond::Vc, _) => Cc::No,
        (Cond::Ge, _) => Cc::Ge,
        (Cond::Lt, _) => Cc::L,
        (Cond::Gt, _) => Cc::G,
        (Cond::Le, _) => Cc::Le,
        (Cond::Cs, Carry::NotBorrow) | (Cond::Cc, Carry::Borrow) => Cc::Ae,
        (Cond::Cc, Carry::NotBorrow) | (Cond::Cs, Carry::Borrow) => Cc::B,
        (Cond::Hi, Carry::NotBorrow) | (Cond::A, Carry::Borrow) => Cc::A,
        (Cond::Ls, Carry::NotBorrow) | (Cond::Be, Carry::Borrow) => Cc::Be,
        (Cond::Hi | Cond::Ls, Carry::Borrow) | (Cond::Be | Cond::A, Carry::NotBorrow) => return None,
    })
}

/// After `add`.
fn of_sum(cond: Cond) -> Option<Cc> {
    match cond {
        Cond::Hi | Cond::Ls => None,
        _ => of_difference(cond, Carry::Borrow),
    }
}

/// After `test`, which clears CF and OF as these operations clear C and V.
fn of_logic(cond: Cond) -> Option<Cc> {
    of_sum(cond)
}
