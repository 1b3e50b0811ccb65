//! AdvSIMD shifts: by a constant, by register, narrowing, widening; and moves between lane widths.

use super::exact;
use super::operand::{Lifted, Sign, require, set_v, v};
use super::simd::{BHS, BHSD, Form, Sizes, binary, integer, splat, unary, write, write_narrow, zero};
use super::word::Word;
use crate::lift::{Lift, LiftError};
use philae_ir::{Builder, IntCond, Sink, Ty, Value};

/// Whether bits shifted out on the right are rounded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rounding {
    /// Cut off.
    Truncate,
    /// To nearest, ties up.
    Round,
}

/// How lanes that do not fit are narrowed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Narrowing {
    /// Their low half.
    Wrap,
    /// Signed saturated to signed.
    SignedToSigned,
    /// Signed saturated to unsigned.
    SignedToUnsigned,
    /// Unsigned saturated to unsigned.
    UnsignedToUnsigned,
}

impl Narrowing {
    /// The sign of the lanes before.
    fn sign(self) -> Sign {
        match self {
            Narrowing::Wrap | Narrowing::UnsignedToUnsigned => Sign::Unsigned,
            Narrowing::SignedToSigned | Narrowing::SignedToUnsigned => Sign::Signed,
        }
    }

    /// The lanes of `value` narrowed to shape `ty`, in the low half.
    fn apply(self, b: &mut Builder<impl Sink>, ty: Ty, value: Value) -> Value {
        match self {
            Narrowing::Wrap => b.narrow(ty, value, value),
            Narrowing::SignedToSigned => b.narrow_sat_ss(ty, value, value),
            Narrowing::SignedToUnsigned => b.narrow_sat_su(ty, value, value),
            Narrowing::UnsignedToUnsigned => b.narrow_sat_uu(ty, value, value),
        }
    }
}

/// Lane width in bits and immh:immb, of which immh (bits 22:19) must not be 0.
fn immediate(w: Word) -> Result<(u32, u32), LiftError> {
    let immh = w.bits(22, 19);
    require(immh != 0)?;
    Ok((8 << immh.ilog2(), w.bits(22, 16)))
}

/// Form, shape and amount of a shift by a constant in lanes of the width that immh says.
fn lanes(w: Word, sizes: Sizes) -> Result<(Form, Ty, u32), LiftError> {
    let (bits, imm) = immediate(w)?;
    let form = Form::of(w);
    require(sizes.has(bits) && !(form == Form::Half && bits == 64))?;
    Ok((form, Ty::int_vector(bits), imm))
}

fn right_shift(w: Word, sizes: Sizes) -> Result<(Form, Ty, u32), LiftError> {
    let (form, ty, imm) = lanes(w, sizes)?;
    Ok((form, ty, 2 * ty.lane().bits() - imm))
}

fn left_shift(w: Word, sizes: Sizes) -> Result<(Form, Ty, u32), LiftError> {
    let (form, ty, imm) = lanes(w, sizes)?;
    Ok((form, ty, imm - ty.lane().bits()))
}

/// Lanes shifted right by 1 to their width.
fn shift_right(b: &mut Builder<impl Sink>, ty: Ty, sign: Sign, rounding: Rounding, value: Value, amount: u32) -> Value {
    let down = match sign {
        Sign::Signed => b.vashr_imm(ty, value, amount),
        Sign::Unsigned => logical_right(b, ty, value, amount),
    };
    if rounding == Rounding::Truncate {
        return down;
    }
    // The last bit shifted out is what rounding adds; so the sum cannot overflow.
    let bits = ty.lane().bits();
    let last = b.vshl_imm(ty, value, bits - amount);
    let last = b.vlshr_imm(ty, last, bits - 1);
    b.add(ty, down, last)
}

/// Lanes shifted right, zeroes coming in. Nothing of the operand is used where all of it goes, so that who makes it knows.
fn logical_right(b: &mut Builder<impl Sink>, ty: Ty, value: Value, amount: u32) -> Value {
    if amount == ty.lane().bits() { zero(b) } else { b.vlshr_imm(ty, value, amount) }
}

/// SSHR, USHR, SRSHR, URSHR.
pub(super) fn right(w: Word, l: &mut Lift<impl Sink>, sizes: Sizes, sign: Sign, rounding: Rounding) -> Lifted {
    let (form, ty, amount) = right_shift(w, sizes)?;
    let n = v(l, ty, w.rn());
    let result = shift_right(&mut l.b, ty, sign, rounding, n, amount);
    write(w, l, form, ty, result);
    Ok(())
}

/// SSRA, USRA, SRSRA, URSRA.
pub(super) fn right_accumulate(
    w: Word,
    l: &mut Lift<impl Sink>,
    sizes: Sizes,
    sign: Sign,
    rounding: Rounding,
) -> Lifted {
    let (form, ty, amount) = right_shift(w, sizes)?;
    let n = v(l, ty, w.rn());
    let d = v(l, ty, w.rd());
    let shifted = shift_right(&mut l.b, ty, sign, rounding, n, amount);
    let result = l.b.add(ty, d, shifted);
    write(w, l, form, ty, result);
    Ok(())
}

/// SRI.
pub(super) fn sri(w: Word, l: &mut Lift<impl Sink>, sizes: Sizes) -> Lifted {
    let (form, ty, amount) = right_shift(w, sizes)?;
    let n = v(l, ty, w.rn());
    let shifted = logical_right(&mut l.b, ty, n, amount);
    let mask = (ty.lane().mask() as u64).checked_shr(amount).unwrap_or(0);
    insert(w, l, form, ty, mask, shifted);
    Ok(())
}

/// SHL.
pub(super) fn shl(w: Word, l: &mut Lift<impl Sink>, sizes: Sizes) -> Lifted {
    let (form, ty, amount) = left_shift(w, sizes)?;
    let n = v(l, ty, w.rn());
    let result = l.b.vshl_imm(ty, n, amount);
    write(w, l, form, ty, result);
    Ok(())
}

/// SLI.
pub(super) fn sli(w: Word, l: &mut Lift<impl Sink>, sizes: Sizes) -> Lifted {
    let (form, ty, amount) = left_shift(w, sizes)?;
    let n = v(l, ty, w.rn());
    let shifted = l.b.vshl_imm(ty, n, amount);
    insert(w, l, form, ty, (ty.lane().mask() as u64) << amount, shifted);
    Ok(())
}

/// Writes Vd: `shifted` in the bits of each lane that `mask` has, Vd's own in the others.
fn insert(w: Word, l: &mut Lift<impl Sink>, form: Form, ty: Ty, mask: u64, shifted: Value) {
    let d = v(l, ty, w.rd());
    let mask = splat(&mut l.b, ty, mask);
    let kept = l.b.and_not(Ty::V128, d, mask);
    let result = l.b.or(Ty::V128, kept, shifted);
    write(w, l, form, ty, result);
}

/// What a left shift saturates to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LeftSaturation {
    /// Signed to signed (SQSHL).
    Signed,
    /// Unsigned to unsigned (UQSHL).
    Unsigned,
    /// Signed to unsigned (SQSHLU).
    SignedToUnsigned,
}

/// SQSHL, UQSHL, SQSHLU (immediate).
pub(super) fn saturating_left(w: Word, l: &mut Lift<impl Sink>, saturation: LeftSaturation) -> Lifted {
    let (form, ty, amount) = left_shift(w, BHSD)?;
    let n = v(l, ty, w.rn());
    let b = &mut l.b;
    let bits = ty.lane().bits();
    let sign = b.vashr_imm(ty, n, bits - 1);
    let n = if saturation == LeftSaturation::SignedToUnsigned { b.and_not(Ty::V128, n, sign) } else { n };
    let up = b.vshl_imm(ty, n, amount);
    let (back, limit) = if saturation == LeftSaturation::Signed {
        let most = splat(b, ty, (ty.lane().mask() >> 1) as u64);
        (b.vashr_imm(ty, up, amount), b.xor(Ty::V128, sign, most))
    } else {
        (b.vlshr_imm(ty, up, amount), splat(b, ty, u64::MAX))
    };
    let fits = b.icmp(ty, IntCond::Eq, back, n);
    // What SQSHLU takes for zero has saturated, too.
    let whole = v(l, ty, w.rn());
    let back_to_whole = l.b.xor(Ty::V128, back, whole);
    exact::saturated(l, form, ty, back_to_whole);
    let b = &mut l.b;
    let result = b.bit_select(fits, up, limit);
    write(w, l, form, ty, result);
    Ok(())
}

/// SHRN, RSHRN, SQSHRN, SQRSHRN, UQSHRN, UQRSHRN, SQSHRUN, SQRSHRUN; scalars too.
pub(super) fn right_narrow(w: Word, l: &mut Lift<impl Sink>, narrowing: Narrowing, rounding: Rounding) -> Lifted {
    let (bits, imm) = immediate(w)?;
    require(bits < 64)?;
    let (ty, wide) = (Ty::int_vector(bits), Ty::int_vector(2 * bits));
    let n = v(l, wide, w.rn());
    let shifted = shift_right(&mut l.b, wide, narrowing.sign(), rounding, n, 2 * bits - imm);
    let result = narrowing.apply(&mut l.b, ty, shifted);
    narrowing_saturates(w, l, ty, narrowing, shifted, result);
    finish_narrow(w, l, ty, result);
    Ok(())
}

/// What does not widen back to what it was has saturated.
fn narrowing_saturates(w: Word, l: &mut Lift<impl Sink>, ty: Ty, narrowing: Narrowing, value: Value, narrowed: Value) {
    if narrowing == Narrowing::Wrap {
        return;
    }
    let wide = Ty::int_vector(2 * ty.lane().bits());
    let back = match narrowing {
        Narrowing::SignedToSigned => l.b.widen_low_s(wide, narrowed),
        _ => l.b.widen_low_u(wide, narrowed),
    };
    let difference = l.b.xor(Ty::V128, back, value);
    let form = if Form::of(w) == Form::Scalar { Form::Scalar } else { Form::Full };
    exact::saturated(l, form, wide, difference);
}

fn finish_narrow(w: Word, l: &mut Lift<impl Sink>, ty: Ty, value: Value) {
    match Form::of(w) {
        Form::Scalar => write(w, l, Form::Scalar, ty, value),
        Form::Half | Form::Full => write_narrow(w, l, value),
    }
}

/// XTN, SQXTN, UQXTN, SQXTUN; scalars too.
pub(super) fn extract_narrow(w: Word, l: &mut Lift<impl Sink>, narrowing: Narrowing) -> Lifted {
    let size = w.bits(23, 22);
    require(size != 3)?;
    let ty = Ty::int_vector(8 << size);
    let n = v(l, Ty::V128, w.rn());
    let result = narrowing.apply(&mut l.b, ty, n);
    narrowing_saturates(w, l, ty, narrowing, n, result);
    finish_narrow(w, l, ty, result);
    Ok(())
}

/// The half of `value` that Q chooses, its lanes extended to the shape `wide`.
pub(super) fn widen(w: Word, l: &mut Lift<impl Sink>, wide: Ty, sign: Sign, value: Value) -> Value {
    match (w.is_set(30), sign) {
        (false, Sign::Signed) => l.b.widen_low_s(wide, value),
        (false, Sign::Unsigned) => l.b.widen_low_u(wide, value),
        (true, Sign::Signed) => l.b.widen_high_s(wide, value),
        (true, Sign::Unsigned) => l.b.widen_high_u(wide, value),
    }
}

/// SSHLL, USHLL.
pub(super) fn left_long(w: Word, l: &mut Lift<impl Sink>, sign: Sign) -> Lifted {
    let (bits, imm) = immediate(w)?;
    require(bits < 64)?;
    long(w, l, 2 * bits, sign, imm - bits)
}

/// SHLL.
pub(super) fn shll(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let size = w.bits(23, 22);
    require(size != 3)?;
    long(w, l, 16 << size, Sign::Unsigned, 8 << size)
}

fn long(w: Word, l: &mut Lift<impl Sink>, bits: u32, sign: Sign, amount: u32) -> Lifted {
    let wide = Ty::int_vector(bits);
    let n = v(l, Ty::V128, w.rn());
    let mut result = widen(w, l, wide, sign, n);
    if amount != 0 {
        result = l.b.vshl_imm(wide, result, amount);
    }
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

/// How far left each lane of Vm shifts, in its low byte; right where negative.
fn amounts(b: &mut Builder<impl Sink>, ty: Ty, m: Value) -> Value {
    let spare = ty.lane().bits() - 8;
    if spare == 0 {
        return m;
    }
    let up = b.vshl_imm(ty, m, spare);
    b.vashr_imm(ty, up, spare)
}

fn down(b: &mut Builder<impl Sink>, ty: Ty, sign: Sign, n: Value, amounts: Value) -> Value {
    match sign {
        Sign::Signed => b.vashr(ty, n, amounts),
        Sign::Unsigned => b.vlshr(ty, n, amounts),
    }
}

/// SSHL, USHL, SRSHL, URSHL.
pub(super) fn by_register(w: Word, l: &mut Lift<impl Sink>, sizes: Sizes, sign: Sign, rounding: Rounding) -> Lifted {
    binary(w, l, sizes, |b, ty, n, m| {
        let left = amounts(b, ty, m);
        // The amount of the other direction is beyond every width as an unsigned number.
        let up = b.vshl(ty, n, left);
        let down = right_by_register(b, ty, sign, rounding, n, left);
        if sign == Sign::Unsigned && rounding == Rounding::Truncate {
            return b.or(Ty::V128, up, down);
        }
        let zero = zero(b);
        let negative = b.icmp(ty, IntCond::Slt, left, zero);
        b.bit_select(negative, down, up)
    })
}

/// Lanes shifted right where `left` is negative.
fn right_by_register(
    b: &mut Builder<impl Sink>,
    ty: Ty,
    sign: Sign,
    rounding: Rounding,
    n: Value,
    left: Value,
) -> Value {
    let right = b.neg(ty, left);
    let shifted = down(b, ty, sign, n, right);
    if rounding == Rounding::Truncate {
        return shifted;
    }
    // The last bit shifted out is what rounding adds.
    let less = b.not(Ty::V128, left);
    let last = down(b, ty, sign, n, less);
    let one = splat(b, ty, 1);
    let last = b.and(Ty::V128, last, one);
    b.add(ty, shifted, last)
}

/// SQSHL, UQSHL, SQRSHL, UQRSHL (register): what does not come back from the left saturates.
pub(super) fn saturating_by_register(w: Word, l: &mut Lift<impl Sink>, sign: Sign, rounding: Rounding) -> Lifted {
    let (form, ty) = integer(w, BHSD)?;
    let (n, m) = (v(l, ty, w.rn()), v(l, ty, w.rm()));
    let b = &mut l.b;
    let left = amounts(b, ty, m);
    let up = b.vshl(ty, n, left);
    let back = down(b, ty, sign, up, left);
    let fits = b.icmp(ty, IntCond::Eq, back, n);
    let limit = match sign {
        Sign::Unsigned => splat(b, ty, u64::MAX),
        Sign::Signed => {
            let most = splat(b, ty, (ty.lane().mask() >> 1) as u64);
            let negative = b.vashr_imm(ty, n, ty.lane().bits() - 1);
            b.xor(Ty::V128, negative, most)
        }
    };
    let up = b.bit_select(fits, up, limit);
    let down = right_by_register(b, ty, sign, rounding, n, left);
    let zero = zero(b);
    let negative = b.icmp(ty, IntCond::Slt, left, zero);
    let result = b.bit_select(negative, down, up);
    let unsaturated = b.or(Ty::V128, fits, negative);
    let saturated = b.not(Ty::V128, unsaturated);
    exact::saturated(l, form, ty, saturated);
    write(w, l, form, ty, result);
    Ok(())
}

/// How the register's bytes lie in containers of `container` bytes: REV64, REV32, REV16.
pub(super) fn reverse(w: Word, l: &mut Lift<impl Sink>, container: usize) -> Lifted {
    let (_, ty) = integer(w, BHS)?;
    let bytes = ty.lane().bytes() as usize;
    require(bytes < container)?;
    let lanes = container / bytes;
    let mask = super::simd::lane_mask(bytes, |i| i / lanes * lanes + (lanes - 1 - i % lanes));
    unary(w, l, BHS, |b, _, n| b.shuffle(n, n, mask))
}
