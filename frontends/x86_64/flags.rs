//! RFLAGS: SF, ZF, CF and OF are one flags value per producer in the slot NZCV; PF and AF are kept as what they
//! derive from (PF is the even parity of the lowest byte of one, AF is bit 4 of the other).

use super::operand::X86;
use iced_x86::ConditionCode;
use philae_ir::state::NZCV;
use philae_ir::state::x86_64::{ADJUST, DF, PARITY, RFLAGS_OTHER};
use philae_ir::{Carry, Cond, Sink, Ty, Value};

/// RFLAGS bits that are always 1 for user code: bit 1, and IF.
const RFLAGS_FIXED: u64 = 0x202;
/// RFLAGS bits without a slot of their own that user code can change: NT, AC, ID.
const RFLAGS_REST: u64 = 0x24_4000;

impl<S: Sink> X86<'_, '_, S> {
    /// SF, ZF, CF, OF.
    pub(super) fn flags(&mut self) -> Value {
        self.get(Ty::Flags, NZCV)
    }

    /// Sets SF, ZF, CF, OF.
    pub(super) fn set_flags(&mut self, flags: Value) {
        self.set(Ty::Flags, NZCV, flags);
    }

    /// CF.
    pub(super) fn carry(&mut self) -> Value {
        let flags = self.flags();
        self.flags_test(flags, Cond::Cs)
    }

    /// Sets CF and leaves the others.
    pub(super) fn set_carry(&mut self, carry: Value) {
        let flags = self.flags();
        let new = self.flags_with_c(flags, carry);
        self.set_flags(new);
    }

    /// Sets PF from the low byte of a result.
    pub(super) fn set_parity(&mut self, ty: Ty, result: Value) {
        self.set(ty, PARITY, result);
    }

    /// Clears AF.
    pub(super) fn clear_adjust(&mut self) {
        let zero = self.iconst(Ty::I8, 0);
        self.set(Ty::I8, ADJUST, zero);
    }

    /// Sets all flags after `result` = `a` ± `b`, given the value for SF, ZF, CF, OF.
    pub(super) fn arithmetic_flags(&mut self, ty: Ty, flags: Value, a: Value, b: Value, result: Value) {
        self.set_flags(flags);
        self.set_parity(ty, result);
        let operands = self.xor(ty, a, b);
        let carries = self.xor(ty, operands, result);
        let byte = self.trunc_from(ty, Ty::I8, carries);
        self.set(Ty::I8, ADJUST, byte);
    }

    /// Sets all flags after the subtraction `result` = `a` − `b`.
    pub(super) fn subtraction_flags(&mut self, ty: Ty, a: Value, b: Value, result: Value) {
        let flags = self.flags_sub(ty, Carry::Borrow, a, b);
        self.arithmetic_flags(ty, flags, a, b, result);
    }

    /// Sets all flags after a logical operation: CF, OF and AF clear.
    pub(super) fn logic_flags(&mut self, ty: Ty, result: Value) {
        let flags = self.flags_logic(ty, result);
        self.set_flags(flags);
        self.set_parity(ty, result);
        self.clear_adjust();
    }

    /// PF.
    pub(super) fn parity(&mut self) -> Value {
        let byte = self.get(Ty::I8, PARITY);
        let ones = self.popcnt(Ty::I8, byte);
        let odd = self.and_imm(Ty::I8, ones, 1);
        self.bool_not(odd)
    }

    /// Whether a condition holds.
    pub(super) fn condition(&mut self, code: ConditionCode) -> Value {
        let cond = match code {
            ConditionCode::o => Cond::Vs,
            ConditionCode::no => Cond::Vc,
            ConditionCode::b => Cond::Cs,
            ConditionCode::ae => Cond::Cc,
            ConditionCode::e => Cond::Eq,
            ConditionCode::ne => Cond::Ne,
            ConditionCode::be => Cond::Be,
            ConditionCode::a => Cond::A,
            ConditionCode::s => Cond::Mi,
            ConditionCode::ns => Cond::Pl,
            ConditionCode::l => Cond::Lt,
            ConditionCode::ge => Cond::Ge,
            ConditionCode::le => Cond::Le,
            ConditionCode::g => Cond::Gt,
            ConditionCode::p => return self.parity(),
            ConditionCode::np => {
                let parity = self.parity();
                return self.bool_not(parity);
            }
            ConditionCode::None => return self.bool_const(1),
        };
        let flags = self.flags();
        self.flags_test(flags, cond)
    }

    /// SF, ZF, AF, PF, CF at their places in the low byte of RFLAGS, bit 1 set; an `i64`.
    pub(super) fn low_rflags(&mut self) -> Value {
        let flags = self.flags();
        let adjust = self.get(Ty::I8, ADJUST);
        let adjust = self.zext(Ty::I64, adjust);
        let mut bits = self.and_imm(Ty::I64, adjust, 0x10);
        let parity = self.parity();
        bits = self.place_bit(bits, parity, 2);
        for (cond, place) in [(Cond::Cs, 0), (Cond::Eq, 6), (Cond::Mi, 7)] {
            let bit = self.flags_test(flags, cond);
            bits = self.place_bit(bits, bit, place);
        }
        self.with_imm(Ty::I64, bits, 2, philae_ir::Builder::or)
    }

    /// RFLAGS as PUSHF and SYSCALL see it; an `i64`.
    pub(super) fn rflags(&mut self) -> Value {
        let mut bits = self.low_rflags();
        let flags = self.flags();
        let overflow = self.flags_test(flags, Cond::Vs);
        bits = self.place_bit(bits, overflow, 11);
        let direction = self.get(Ty::I8, DF);
        bits = self.place_bit(bits, direction, 10);
        let rest = self.get(Ty::I32, RFLAGS_OTHER);
        let rest = self.zext(Ty::I64, rest);
        bits = self.or(Ty::I64, bits, rest);
        self.with_imm(Ty::I64, bits, RFLAGS_FIXED, philae_ir::Builder::or)
    }

    fn place_bit(&mut self, bits: Value, bit: Value, place: u64) -> Value {
        let wide = self.zext(Ty::I64, bit);
        let placed = if place == 0 { wide } else { self.shl_imm(Ty::I64, wide, place) };
        self.or(Ty::I64, bits, placed)
    }

    /// Bit `place` of an `i64` as a truth value.
    pub(super) fn bit_at(&mut self, bits: Value, place: u64) -> Value {
        let shifted = if place == 0 { bits } else { self.lshr_imm(Ty::I64, bits, place) };
        self.low_bit(Ty::I64, shifted)
    }

    /// Sets SF, ZF, AF, PF, CF from the low byte of an `i64`, and OF to a truth value.
    pub(super) fn set_low_rflags(&mut self, bits: Value, overflow: Value) {
        let mut nzcv = self.zext(Ty::I64, overflow);
        for (place, to) in [(0, 1), (6, 2), (7, 3)] {
            let bit = self.bit_at(bits, place);
            nzcv = self.place_bit(nzcv, bit, to);
        }
        let nzcv = self.trunc(Ty::I32, nzcv);
        let flags = self.flags_from_bits(nzcv);
        self.set_flags(flags);
        let adjust = self.trunc(Ty::I8, bits);
        self.set(Ty::I8, ADJUST, adjust);
        let parity = self.bit_at(bits, 2);
        self.set_parity_flag(parity);
    }

    /// Sets PF to a truth value: a byte with no bit set has even parity.
    pub(super) fn set_parity_flag(&mut self, parity: Value) {
        let byte = self.bool_not(parity);
        self.set(Ty::I8, PARITY, byte);
    }

    /// Sets RFLAGS as POPF does for user code; `bits` is an `i64`, of which a 16-bit POPF changes the low half.
    pub(super) fn set_rflags(&mut self, ty: Ty, bits: Value) {
        let overflow = self.bit_at(bits, 11);
        self.set_low_rflags(bits, overflow);
        let direction = self.bit_at(bits, 10);
        self.set(Ty::I8, DF, direction);
        let changed = RFLAGS_REST & ty.mask() as u64;
        let old = self.get(Ty::I32, RFLAGS_OTHER);
        let old = self.and_imm(Ty::I32, old, !changed);
        let new = self.trunc(Ty::I32, bits);
        let new = self.and_imm(Ty::I32, new, changed);
        let rest = self.or(Ty::I32, old, new);
        self.set(Ty::I32, RFLAGS_OTHER, rest);
    }
}
