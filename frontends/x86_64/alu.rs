//! Moves, sums, differences, logic and conversions between integer widths.

use super::atomic::{update, update_by};
use super::operand::{Lifted, Place, RAX, RBX, RDX, X86};
use crate::lift::LiftError;
use iced_x86::Register;
use philae_ir::state::x86_64::DF;
use philae_ir::{Carry, ExitReason, RmwOp, Sink, Ty, Value};

/// The selectors that Linux gives user code (arch/x86/include/asm/segment.h); the others are 0.
const USER_CS: u64 = 0x33;
const USER_SS: u64 = 0x2b;

pub(super) fn mov(x: &mut X86<impl Sink>) -> Lifted {
    for n in 0..2 {
        let register = if x.is_register(n) { x.register(n) } else { Register::None };
        if register.is_cr() || register.is_dr() || register.is_tr() {
            x.lift.leave(ExitReason::Protection, x.lift.pc);
            return Ok(());
        }
        if register.is_segment_register() {
            return if n == 1 { mov_from_segment(x, register) } else { Err(LiftError::Undefined) };
        }
    }
    let ty = x.ty(0)?;
    let value = x.value(1, ty)?;
    x.write_operand(0, ty, value)
}

/// The selector in a segment register.
pub(super) fn selector(register: Register) -> u64 {
    match register {
        Register::CS => USER_CS,
        Register::SS => USER_SS,
        _ => 0,
    }
}

fn mov_from_segment(x: &mut X86<impl Sink>, register: Register) -> Lifted {
    let ty = if x.is_register(0) { x.ty(0)? } else { Ty::I16 };
    let value = x.iconst(ty, selector(register));
    x.write_operand(0, ty, value)
}

pub(super) fn movzx(x: &mut X86<impl Sink>) -> Lifted {
    let (to, from) = (x.ty(0)?, x.ty(1)?);
    // A write of 32 bits clears the upper half: extend to all 64 at once.
    let to = if to == Ty::I32 { Ty::I64 } else { to };
    let value = match x.place(1)? {
        Place::Memory(at) => x.load_zext(to, from, at.base, at.offset),
        place => {
            let value = x.read(place, from);
            x.zext_from(from, to, value)
        }
    };
    match x.place(0)? {
        Place::Low(slot) => x.write_gpr(slot, to, value),
        Place::HighByte(_) | Place::Memory(_) => return Err(LiftError::Undefined),
    }
    Ok(())
}

/// MOVSX and MOVSXD.
pub(super) fn movsx(x: &mut X86<impl Sink>) -> Lifted {
    let (to, from) = (x.ty(0)?, x.ty(1)?);
    // MOVSXD r16, r/m16 and r16, r/m32 truncate; SDM.
    let from = if from.bits() > to.bits() { to } else { from };
    let value = match x.place(1)? {
        Place::Memory(at) => x.load_sext(to, from, at.base, at.offset),
        place => {
            let value = x.read(place, from);
            x.sext_from(from, to, value)
        }
    };
    x.write_operand(0, to, value)
}

pub(super) fn lea(x: &mut X86<impl Sink>) -> Lifted {
    let ty = x.ty(0)?;
    let at = x.effective_address();
    let address = x.pointer(at);
    let value = x.trunc_from(Ty::I64, ty, address);
    x.write_operand(0, ty, value)
}

pub(super) fn movbe(x: &mut X86<impl Sink>) -> Lifted {
    let ty = x.ty(0)?;
    let value = x.value(1, ty)?;
    let swapped = x.bswap(ty, value);
    x.write_operand(0, ty, swapped)
}

pub(super) fn bswap(x: &mut X86<impl Sink>) -> Lifted {
    let ty = x.ty(0)?;
    let value = x.value(0, ty)?;
    // Of 16 bits undefined; processors swap the zero-extended register.
    let swapped = if ty == Ty::I16 { x.iconst(ty, 0) } else { x.bswap(ty, value) };
    x.write_operand(0, ty, swapped)
}

pub(super) fn xchg(x: &mut X86<impl Sink>) -> Lifted {
    let ty = x.ty(0)?;
    // The decoder gives memory as operand 0 where there is memory.
    let (first, second) = (x.place(0)?, x.place(1)?);
    let b = x.read(second, ty);
    let a = match first {
        Place::Memory(at) => {
            let pointer = x.pointer(at);
            x.atomic_rmw(ty, RmwOp::Xchg, pointer, b)
        }
        Place::Low(_) | Place::HighByte(_) => {
            let a = x.read(first, ty);
            x.write(first, ty, b);
            a
        }
    };
    x.write(second, ty, a);
    Ok(())
}

pub(super) fn add(x: &mut X86<impl Sink>) -> Lifted {
    let ty = x.ty(0)?;
    let b = x.value(1, ty)?;
    let (a, result) = update_by(x, ty, RmwOp::Add, b, |x, a| x.add(ty, a, b))?;
    let flags = x.flags_add(ty, a, b);
    x.arithmetic_flags(ty, flags, a, b, result);
    Ok(())
}

pub(super) fn sub(x: &mut X86<impl Sink>) -> Lifted {
    let ty = x.ty(0)?;
    let b = x.value(1, ty)?;
    let (a, result) = if x.insn.has_lock_prefix() {
        let minus = x.neg(ty, b);
        update_by(x, ty, RmwOp::Add, minus, |x, a| x.sub(ty, a, b))?
    } else {
        update(x, ty, |x, a| x.sub(ty, a, b))?
    };
    x.subtraction_flags(ty, a, b, result);
    Ok(())
}

pub(super) fn cmp(x: &mut X86<impl Sink>) -> Lifted {
    let ty = x.ty(0)?;
    let a = x.value(0, ty)?;
    let b = x.value(1, ty)?;
    let result = x.sub(ty, a, b);
    x.subtraction_flags(ty, a, b, result);
    Ok(())
}

pub(super) fn adc(x: &mut X86<impl Sink>) -> Lifted {
    let ty = x.ty(0)?;
    let b = x.value(1, ty)?;
    let carry = x.carry();
    let wide = x.zext_from(Ty::I8, ty, carry);
    let addend = x.add(ty, b, wide);
    let (a, result) = update_by(x, ty, RmwOp::Add, addend, |x, a| x.add(ty, a, addend))?;
    let flags = x.flags_adc(ty, a, b, carry);
    x.arithmetic_flags(ty, flags, a, b, result);
    Ok(())
}

pub(super) fn sbb(x: &mut X86<impl Sink>) -> Lifted {
    let ty = x.ty(0)?;
    let b = x.value(1, ty)?;
    let carry = x.carry();
    let wide = x.zext_from(Ty::I8, ty, carry);
    let subtrahend = x.add(ty, b, wide);
    let (a, result) = if x.insn.has_lock_prefix() {
        let minus = x.neg(ty, subtrahend);
        update_by(x, ty, RmwOp::Add, minus, |x, a| x.sub(ty, a, subtrahend))?
    } else {
        update(x, ty, |x, a| x.sub(ty, a, subtrahend))?
    };
    let flags = x.flags_sbc(ty, Carry::Borrow, a, b, carry);
    x.arithmetic_flags(ty, flags, a, b, result);
    Ok(())
}

pub(super) fn inc(x: &mut X86<impl Sink>) -> Lifted {
    let ty = x.ty(0)?;
    let one = x.iconst(ty, 1);
    let (a, result) = update_by(x, ty, RmwOp::Add, one, |x, a| x.add(ty, a, one))?;
    let flags = x.flags_add(ty, a, one);
    keep_carry(x, ty, flags, [a, one, result]);
    Ok(())
}

pub(super) fn dec(x: &mut X86<impl Sink>) -> Lifted {
    let ty = x.ty(0)?;
    let one = x.iconst(ty, 1);
    let minus = x.iconst(ty, u64::MAX);
    let (a, result) = update_by(x, ty, RmwOp::Add, minus, |x, a| x.add(ty, a, minus))?;
    let flags = x.flags_sub(ty, Carry::Borrow, a, one);
    keep_carry(x, ty, flags, [a, one, result]);
    Ok(())
}

/// INC and DEC leave CF as it was.
fn keep_carry(x: &mut X86<impl Sink>, ty: Ty, flags: Value, [a, b, result]: [Value; 3]) {
    let carry = x.carry();
    let flags = x.flags_with_c(flags, carry);
    x.arithmetic_flags(ty, flags, a, b, result);
}

pub(super) fn neg(x: &mut X86<impl Sink>) -> Lifted {
    let ty = x.ty(0)?;
    let (a, result) = update(x, ty, |x, a| x.neg(ty, a))?;
    let zero = x.iconst(ty, 0);
    x.subtraction_flags(ty, zero, a, result);
    Ok(())
}

pub(super) fn not(x: &mut X86<impl Sink>) -> Lifted {
    let ty = x.ty(0)?;
    let ones = x.iconst(ty, u64::MAX);
    update_by(x, ty, RmwOp::Xor, ones, |x, a| x.not(ty, a))?;
    Ok(())
}

pub(super) fn and(x: &mut X86<impl Sink>) -> Lifted {
    let ty = x.ty(0)?;
    let b = x.value(1, ty)?;
    let (_, result) = update_by(x, ty, RmwOp::And, b, |x, a| x.and(ty, a, b))?;
    x.logic_flags(ty, result);
    Ok(())
}

pub(super) fn or(x: &mut X86<impl Sink>) -> Lifted {
    let ty = x.ty(0)?;
    let b = x.value(1, ty)?;
    let (_, result) = update_by(x, ty, RmwOp::Or, b, |x, a| x.or(ty, a, b))?;
    x.logic_flags(ty, result);
    Ok(())
}

pub(super) fn xor(x: &mut X86<impl Sink>) -> Lifted {
    let ty = x.ty(0)?;
    if x.is_register(1) && x.register(0) == x.register(1) {
        let zero = x.iconst(ty, 0);
        x.write_operand(0, ty, zero)?;
        x.logic_flags(ty, zero);
        return Ok(());
    }
    let b = x.value(1, ty)?;
    let (_, result) = update_by(x, ty, RmwOp::Xor, b, |x, a| x.xor(ty, a, b))?;
    x.logic_flags(ty, result);
    Ok(())
}

pub(super) fn test(x: &mut X86<impl Sink>) -> Lifted {
    let ty = x.ty(0)?;
    let a = x.value(0, ty)?;
    let same = x.is_register(0) && x.is_register(1) && x.register(0) == x.register(1);
    let result = if same {
        a
    } else {
        let b = x.value(1, ty)?;
        x.and(ty, a, b)
    };
    x.logic_flags(ty, result);
    Ok(())
}

/// CBW, CWDE, CDQE: sign-extends the lower half of RAX's `to` bits.
pub(super) fn extend_accumulator(x: &mut X86<impl Sink>, to: Ty) -> Lifted {
    let half = x.get(Ty::int(to.bits() / 2), RAX);
    let value = x.sext(to, half);
    x.write_gpr(RAX, to, value);
    Ok(())
}

/// CWD, CDQ, CQO: fills RDX with the sign of RAX.
pub(super) fn sign_into_rdx(x: &mut X86<impl Sink>, ty: Ty) -> Lifted {
    let value = x.get(ty, RAX);
    let sign = x.ashr_imm(ty, value, u64::from(ty.bits()) - 1);
    x.write_gpr(RDX, ty, sign);
    Ok(())
}

pub(super) fn cmov(x: &mut X86<impl Sink>) -> Lifted {
    let ty = x.ty(0)?;
    // The source is read, and may fault, whatever the condition; a 32-bit destination is zero-extended either way.
    let new = x.value(1, ty)?;
    let old = x.value(0, ty)?;
    let cond = x.condition(x.insn.condition_code());
    let value = x.select(ty, cond, new, old);
    x.write_operand(0, ty, value)
}

pub(super) fn set(x: &mut X86<impl Sink>) -> Lifted {
    let cond = x.condition(x.insn.condition_code());
    x.write_operand(0, Ty::I8, cond)
}

pub(super) fn xlat(x: &mut X86<impl Sink>) -> Lifted {
    let address32 = x.insn.memory_base() == Register::EBX;
    let index = x.get(Ty::I8, RAX);
    let index = x.zext(Ty::I64, index);
    let table = x.get(Ty::I64, RBX);
    let mut at = x.add(Ty::I64, table, index);
    if address32 {
        at = x.and_imm(Ty::I64, at, u64::from(u32::MAX));
    }
    if let Some(slot) = x.segment_base() {
        let base = x.get(Ty::I64, slot);
        at = x.add(Ty::I64, base, at);
    }
    let value = x.load(Ty::I8, at, 0);
    x.write_gpr(RAX, Ty::I8, value);
    Ok(())
}

pub(super) fn lahf(x: &mut X86<impl Sink>) -> Lifted {
    let bits = x.low_rflags();
    let byte = x.trunc(Ty::I8, bits);
    x.write(Place::HighByte(RAX), Ty::I8, byte);
    Ok(())
}

pub(super) fn sahf(x: &mut X86<impl Sink>) -> Lifted {
    let byte = x.read(Place::HighByte(RAX), Ty::I8);
    let bits = x.zext(Ty::I64, byte);
    let flags = x.flags();
    let overflow = x.flags_test(flags, philae_ir::Cond::Vs);
    x.set_low_rflags(bits, overflow);
    Ok(())
}

/// CLC and STC.
pub(super) fn set_carry_to(x: &mut X86<impl Sink>, bit: u64) -> Lifted {
    let carry = x.bool_const(bit);
    x.set_carry(carry);
    Ok(())
}

pub(super) fn cmc(x: &mut X86<impl Sink>) -> Lifted {
    let carry = x.carry();
    let inverse = x.bool_not(carry);
    x.set_carry(inverse);
    Ok(())
}

/// CLD and STD.
pub(super) fn set_direction_to(x: &mut X86<impl Sink>, bit: u64) -> Lifted {
    let direction = x.bool_const(bit);
    x.set(Ty::I8, DF, direction);
    Ok(())
}
