//! Shifts and rotates. The count is masked to 5 bits, 6 for 64-bit operands; a count of 0 leaves every flag.
//!
//! Operands below 32 bits are computed in 64 bits, because counts up to 31 pass their width. OF is defined for
//! counts of 1; for others it is what the same formula gives.

use super::operand::{Lifted, Place, RCX, X86};
use crate::lift::LiftError;
use philae_ir::state::x86_64::PARITY;
use philae_ir::{IntCond, Sink, Ty, Value};

/// The masked count.
#[derive(Clone, Copy)]
enum Count {
    /// An immediate.
    Known(u32),
    /// CL, masked; an `i64`.
    Dynamic(Value),
}

impl Count {
    fn is_zero(self) -> bool {
        matches!(self, Count::Known(0))
    }
}

/// What a shift makes: the result, CF and OF.
struct Shifted {
    result: Value,
    carry: Value,
    overflow: Value,
}

/// Operand `n` as a count for an operand of type `ty`.
fn count(x: &mut X86<impl Sink>, n: u32, ty: Ty) -> Count {
    let mask = if ty == Ty::I64 { 63 } else { 31 };
    if x.is_register(n) {
        let cl = x.get(Ty::I8, RCX);
        let wide = x.zext(Ty::I64, cl);
        Count::Dynamic(x.and_imm(Ty::I64, wide, mask))
    } else {
        Count::Known((x.insn.immediate(n) & mask) as u32)
    }
}

/// The count as a value of type `ty`.
fn amount(x: &mut X86<impl Sink>, ty: Ty, count: Count) -> Value {
    match count {
        Count::Known(n) => x.iconst(ty, u64::from(n)),
        Count::Dynamic(value) => x.trunc_from(Ty::I64, ty, value),
    }
}

/// Reads operand 0, shifts it and writes it; returns what flags derive from, unless they stay.
fn shift<S: Sink>(
    x: &mut X86<S>,
    counted_by: u32,
    compute: impl Fn(&mut X86<S>, Ty, Value, Count) -> Shifted,
) -> Result<Option<(Ty, Count, Shifted)>, LiftError> {
    let ty = x.ty(0)?;
    let count = count(x, counted_by, ty);
    let place: Place = x.place(0)?;
    let old = x.read(place, ty);
    if count.is_zero() {
        x.write(place, ty, old);
        return Ok(None);
    }
    let shifted = compute(x, ty, old, count);
    x.write(place, ty, shifted.result);
    Ok(Some((ty, count, shifted)))
}

/// 1 if the count is 0, for counts that are not known.
fn is_zero(x: &mut X86<impl Sink>, count: Count) -> Option<Value> {
    match count {
        Count::Known(_) => None,
        Count::Dynamic(count) => Some(x.icmp_imm(Ty::I64, IntCond::Eq, count, 0)),
    }
}

/// Flags of SHL, SHR, SAR, SHLD, SHRD: all but AF.
fn shift_flags(x: &mut X86<impl Sink>, shifted: Option<(Ty, Count, Shifted)>) {
    let Some((ty, count, Shifted { result, carry, overflow })) = shifted else { return };
    let zero = is_zero(x, count);
    let new = x.flags_logic(ty, result);
    let new = x.flags_with_c(new, carry);
    let new = x.flags_with_v(new, overflow);
    let parity = x.trunc_from(ty, Ty::I8, result);
    let (flags, parity) = match zero {
        None => (new, parity),
        Some(zero) => {
            let (old, old_parity) = (x.flags(), x.get(Ty::I8, PARITY));
            (x.select(Ty::Flags, zero, old, new), x.select(Ty::I8, zero, old_parity, parity))
        }
    };
    x.set_flags(flags);
    x.set(Ty::I8, PARITY, parity);
}

/// Flags of the rotates: CF and OF only.
fn rotate_flags(x: &mut X86<impl Sink>, shifted: Option<(Ty, Count, Shifted)>) {
    let Some((_, count, Shifted { carry, overflow, .. })) = shifted else { return };
    let zero = is_zero(x, count);
    let old = x.flags();
    let new = x.flags_with_c(old, carry);
    let new = x.flags_with_v(new, overflow);
    let flags = match zero {
        None => new,
        Some(zero) => x.select(Ty::Flags, zero, old, new),
    };
    x.set_flags(flags);
}

/// The two top bits of a value differ.
fn top_bits_differ(x: &mut X86<impl Sink>, ty: Ty, value: Value) -> Value {
    let doubled = x.shl_imm(ty, value, 1);
    let both = x.xor(ty, value, doubled);
    x.sign_bit(ty, both)
}

/// The type to compute in: counts stay below its width.
fn working(ty: Ty) -> Ty {
    if ty.bits() < 32 { Ty::I64 } else { ty }
}

pub(super) fn shl(x: &mut X86<impl Sink>) -> Lifted {
    let shifted = shift(x, 1, |x, ty, old, count| {
        let work = working(ty);
        let wide = x.zext_from(ty, work, old);
        let by = amount(x, work, count);
        let result = x.shl(work, wide, by);
        let carry = if work == ty {
            // Bit width − count; a rotation's operand is modulo the width.
            let back = x.neg(ty, by);
            let out = x.lshr(ty, old, back);
            x.low_bit(ty, out)
        } else {
            let out = x.lshr_imm(work, result, u64::from(ty.bits()));
            x.low_bit(work, out)
        };
        let result = x.trunc_from(work, ty, result);
        let sign = x.sign_bit(ty, result);
        let overflow = x.xor(Ty::I8, sign, carry);
        Shifted { result, carry, overflow }
    })?;
    shift_flags(x, shifted);
    Ok(())
}

pub(super) fn shr(x: &mut X86<impl Sink>) -> Lifted {
    let shifted = shift(x, 1, |x, ty, old, count| {
        let work = working(ty);
        let wide = x.zext_from(ty, work, old);
        let by = amount(x, work, count);
        let result = x.lshr(work, wide, by);
        let before = x.add_imm(work, by, u64::MAX);
        let out = x.lshr(work, wide, before);
        let carry = x.low_bit(work, out);
        let result = x.trunc_from(work, ty, result);
        let overflow = top_bits_differ(x, ty, result);
        Shifted { result, carry, overflow }
    })?;
    shift_flags(x, shifted);
    Ok(())
}

pub(super) fn sar(x: &mut X86<impl Sink>) -> Lifted {
    let shifted = shift(x, 1, |x, ty, old, count| {
        let work = working(ty);
        let wide = x.sext_from(ty, work, old);
        let by = amount(x, work, count);
        let result = x.ashr(work, wide, by);
        let before = x.add_imm(work, by, u64::MAX);
        let out = x.ashr(work, wide, before);
        let carry = x.low_bit(work, out);
        let result = x.trunc_from(work, ty, result);
        let overflow = x.bool_const(0);
        Shifted { result, carry, overflow }
    })?;
    shift_flags(x, shifted);
    Ok(())
}

pub(super) fn rol(x: &mut X86<impl Sink>) -> Lifted {
    let shifted = shift(x, 1, |x, ty, old, count| {
        let by = amount(x, ty, count);
        let back = x.neg(ty, by);
        let result = x.rotr(ty, old, back);
        let carry = x.low_bit(ty, result);
        let sign = x.sign_bit(ty, result);
        let overflow = x.xor(Ty::I8, sign, carry);
        Shifted { result, carry, overflow }
    })?;
    rotate_flags(x, shifted);
    Ok(())
}

pub(super) fn ror(x: &mut X86<impl Sink>) -> Lifted {
    let shifted = shift(x, 1, |x, ty, old, count| {
        let by = amount(x, ty, count);
        let result = x.rotr(ty, old, by);
        let carry = x.sign_bit(ty, result);
        let overflow = top_bits_differ(x, ty, result);
        Shifted { result, carry, overflow }
    })?;
    rotate_flags(x, shifted);
    Ok(())
}

pub(super) fn rcl(x: &mut X86<impl Sink>) -> Lifted {
    let shifted = shift(x, 1, |x, ty, old, count| {
        let (result, carry) = rotate_through_carry(x, ty, old, count, Direction::Left);
        let sign = x.sign_bit(ty, result);
        let overflow = x.xor(Ty::I8, sign, carry);
        Shifted { result, carry, overflow }
    })?;
    rotate_flags(x, shifted);
    Ok(())
}

pub(super) fn rcr(x: &mut X86<impl Sink>) -> Lifted {
    let shifted = shift(x, 1, |x, ty, old, count| {
        let (result, carry) = rotate_through_carry(x, ty, old, count, Direction::Right);
        let overflow = top_bits_differ(x, ty, result);
        Shifted { result, carry, overflow }
    })?;
    rotate_flags(x, shifted);
    Ok(())
}

enum Direction {
    Left,
    Right,
}

/// Rotates CF:operand, one bit wider than the operand; makes the operand and CF.
fn rotate_through_carry(
    x: &mut X86<impl Sink>,
    ty: Ty,
    old: Value,
    count: Count,
    direction: Direction,
) -> (Value, Value) {
    let carry = x.carry();
    let by = amount(x, Ty::I64, count);
    if ty == Ty::I64 {
        return rotate_65(x, old, carry, by, direction);
    }
    let bits = u64::from(ty.bits());
    let period = x.c64(bits + 1);
    let by = x.urem(Ty::I64, by, period);
    let rest = x.sub(Ty::I64, period, by);
    let low = x.zext(Ty::I64, old);
    let high = x.zext(Ty::I64, carry);
    let high = x.shl_imm(Ty::I64, high, bits);
    let whole = x.or(Ty::I64, low, high);
    let (left, right) = match direction {
        Direction::Left => (by, rest),
        Direction::Right => (rest, by),
    };
    let up = x.shl(Ty::I64, whole, left);
    let down = x.lshr(Ty::I64, whole, right);
    let turned = x.or(Ty::I64, up, down);
    let out = x.lshr_imm(Ty::I64, turned, bits);
    (x.trunc(ty, turned), x.low_bit(Ty::I64, out))
}

/// The same for 64 bits; the result and CF are of no use for a count of 0 except that the result is then `old`.
fn rotate_65(x: &mut X86<impl Sink>, old: Value, carry: Value, by: Value, direction: Direction) -> (Value, Value) {
    let ty = Ty::I64;
    let carry = x.zext(ty, carry);
    let before = x.add_imm(ty, by, u64::MAX);
    let back = x.neg(ty, by);
    let (result, out) = match direction {
        Direction::Left => {
            // old << n, CF at bit n − 1, and below it the bits that CF pushed out: old >> (65 − n).
            let up = x.shl(ty, old, by);
            let middle = x.shl(ty, carry, before);
            let half = x.lshr_imm(ty, old, 1);
            let down = x.lshr(ty, half, back);
            let result = x.or(ty, up, middle);
            (x.or(ty, result, down), x.lshr(ty, old, back))
        }
        Direction::Right => {
            let down = x.lshr(ty, old, by);
            let middle = x.shl(ty, carry, back);
            let double = x.shl_imm(ty, old, 1);
            let up = x.shl(ty, double, back);
            let result = x.or(ty, down, middle);
            (x.or(ty, result, up), x.lshr(ty, old, before))
        }
    };
    let zero = x.icmp_imm(ty, IntCond::Eq, by, 0);
    (x.select(ty, zero, old, result), x.low_bit(ty, out))
}

pub(super) fn shld(x: &mut X86<impl Sink>) -> Lifted {
    let ty = x.ty(0)?;
    let filler = x.value(1, ty)?;
    let shifted = shift(x, 2, |x, ty, old, count| {
        if ty == Ty::I16 {
            return shift_pair_16(x, old, filler, count, Direction::Left);
        }
        let by = amount(x, ty, count);
        let back = x.neg(ty, by);
        let up = x.shl(ty, old, by);
        let half = x.lshr_imm(ty, filler, 1);
        let less = x.add_imm(ty, back, u64::MAX);
        let down = x.lshr(ty, half, less);
        let result = x.or(ty, up, down);
        let out = x.lshr(ty, old, back);
        let carry = x.low_bit(ty, out);
        let sign = x.sign_bit(ty, result);
        let overflow = x.xor(Ty::I8, sign, carry);
        Shifted { result, carry, overflow }
    })?;
    shift_flags(x, shifted);
    Ok(())
}

pub(super) fn shrd(x: &mut X86<impl Sink>) -> Lifted {
    let ty = x.ty(0)?;
    let filler = x.value(1, ty)?;
    let shifted = shift(x, 2, |x, ty, old, count| {
        if ty == Ty::I16 {
            return shift_pair_16(x, old, filler, count, Direction::Right);
        }
        let by = amount(x, ty, count);
        let back = x.neg(ty, by);
        let down = x.lshr(ty, old, by);
        let double = x.shl_imm(ty, filler, 1);
        let less = x.add_imm(ty, back, u64::MAX);
        let up = x.shl(ty, double, less);
        let result = x.or(ty, up, down);
        let before = x.add_imm(ty, by, u64::MAX);
        let out = x.lshr(ty, old, before);
        let carry = x.low_bit(ty, out);
        let overflow = top_bits_differ(x, ty, result);
        Shifted { result, carry, overflow }
    })?;
    shift_flags(x, shifted);
    Ok(())
}

/// SHLD and SHRD of 16 bits. Counts above 16 are undefined; AMD's processors go on with the filler again.
fn shift_pair_16(x: &mut X86<impl Sink>, old: Value, filler: Value, count: Count, direction: Direction) -> Shifted {
    let ty = Ty::I64;
    let (own, filler) = (x.zext(ty, old), x.zext(ty, filler));
    let (low, high) = match direction {
        Direction::Left => (filler, own),
        Direction::Right => (own, filler),
    };
    let middle = x.shl_imm(ty, filler, 16);
    let high = x.shl_imm(ty, high, 32);
    let ends = x.or(ty, low, high);
    let whole = x.or(ty, ends, middle);
    let by = amount(x, ty, count);
    let (turned, out) = match direction {
        Direction::Left => {
            let turned = x.shl(ty, whole, by);
            (x.lshr_imm(ty, turned, 32), x.lshr_imm(ty, turned, 48))
        }
        Direction::Right => {
            let before = x.add_imm(ty, by, u64::MAX);
            (x.lshr(ty, whole, by), x.lshr(ty, whole, before))
        }
    };
    let result = x.trunc(Ty::I16, turned);
    let carry = x.low_bit(ty, out);
    let overflow = match direction {
        Direction::Left => {
            let sign = x.sign_bit(Ty::I16, result);
            x.xor(Ty::I8, sign, carry)
        }
        Direction::Right => top_bits_differ(x, Ty::I16, result),
    };
    Shifted { result, carry, overflow }
}
