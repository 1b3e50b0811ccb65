//! Scalar floating point: arithmetic, comparison, selection, moves, conversions.
//!
//! NaNs follow FPProcessNaNs; results are rounded to nearest even, whatever FPCR.RMode says, except where the
//! instruction names its rounding. Half precision exists in conversions only.

use super::flags::{holds, set, set_if};
use super::helpers;
use super::operand::{Lifted, Sign, float_immediate, reg, require, set_reg, set_v, v, x};
use super::word::Word;
use crate::lift::{Lift, LiftError};
use philae_ir::state::aarch64::V;
use philae_ir::{Builder, NanRule, Op, Rounding, Ty, Value};

/// NZCV of a comparison: less, equal, greater, unordered (Arm ARM, FPCompare).
const RELATIONS: [u8; 4] = [0b1000, 0b0110, 0b0010, 0b0011];

/// The type in ftype, bits 23:22.
fn ftype(w: Word) -> Result<Ty, LiftError> {
    match w.bits(23, 22) {
        0 => Ok(Ty::F32),
        1 => Ok(Ty::F64),
        _ => Err(LiftError::Undefined),
    }
}

/// FADD, FSUB, FMUL, FDIV, FMAX, FMIN, FMAXNM, FMINNM.
pub(super) fn binary(w: Word, l: &mut Lift<'_>, op: Op) -> Lifted {
    let ty = ftype(w)?;
    let n = v(l, ty, w.rn());
    let m = v(l, ty, w.rm());
    let result = l.b.float2(op, ty, NanRule::Arm, n, m);
    set_v(l, ty, w.rd(), result);
    Ok(())
}

/// FNMUL: the sign changes after the product, a NaN's too.
pub(super) fn fnmul(w: Word, l: &mut Lift<'_>) -> Lifted {
    let ty = ftype(w)?;
    let n = v(l, ty, w.rn());
    let m = v(l, ty, w.rm());
    let product = l.b.float2(Op::Fmul, ty, NanRule::Arm, n, m);
    let result = l.b.fneg(ty, product);
    set_v(l, ty, w.rd(), result);
    Ok(())
}

/// FMOV (register), FABS, FNEG, FSQRT, FRINT*.
pub(super) fn unary<'a>(w: Word, l: &mut Lift<'a>, op: impl Fn(&mut Builder<'a>, Ty, Value) -> Value) -> Lifted {
    let ty = ftype(w)?;
    let n = v(l, ty, w.rn());
    let result = op(&mut l.b, ty, n);
    set_v(l, ty, w.rd(), result);
    Ok(())
}

/// FSQRT.
pub(super) fn fsqrt(w: Word, l: &mut Lift<'_>) -> Lifted {
    unary(w, l, |b, ty, n| b.fsqrt(ty, NanRule::Arm, n))
}

/// FRINTN, FRINTP, FRINTM, FRINTZ, FRINTA, FRINTX, FRINTI.
pub(super) fn round(w: Word, l: &mut Lift<'_>, rounding: Rounding) -> Lifted {
    unary(w, l, |b, ty, n| b.fround(ty, rounding, n))
}

/// FMADD, FMSUB, FNMADD, FNMSUB: o1 (bit 21) negates the addend, o1 ≠ o0 (bit 15) the first factor.
pub(super) fn multiply_add(w: Word, l: &mut Lift<'_>) -> Lifted {
    let ty = ftype(w)?;
    let mut n = v(l, ty, w.rn());
    let m = v(l, ty, w.rm());
    let mut a = v(l, ty, w.ra());
    if w.is_set(21) != w.is_set(15) {
        n = l.b.fneg(ty, n);
    }
    if w.is_set(21) {
        a = l.b.fneg(ty, a);
    }
    let result = l.b.fmul_add(ty, NanRule::Arm, n, m, a);
    set_v(l, ty, w.rd(), result);
    Ok(())
}

/// FCMP, FCMPE: with Rm, or with zero where bit 3 is set.
pub(super) fn compare(w: Word, l: &mut Lift<'_>) -> Lifted {
    let ty = ftype(w)?;
    let n = v(l, ty, w.rn());
    let m = if w.is_set(3) { l.b.iconst(ty, 0) } else { v(l, ty, w.rm()) };
    let flags = l.b.flags_fcmp(ty, n, m, RELATIONS);
    set(l, flags);
    Ok(())
}

/// FCCMP, FCCMPE.
pub(super) fn conditional_compare(w: Word, l: &mut Lift<'_>) -> Lifted {
    let ty = ftype(w)?;
    let n = v(l, ty, w.rn());
    let m = v(l, ty, w.rm());
    let flags = l.b.flags_fcmp(ty, n, m, RELATIONS);
    set_if(w, l, flags);
    Ok(())
}

/// FCSEL.
pub(super) fn fcsel(w: Word, l: &mut Lift<'_>) -> Lifted {
    let ty = ftype(w)?;
    let n = v(l, ty, w.rn());
    let m = v(l, ty, w.rm());
    let holds = holds(l, w.bits(15, 12));
    let result = l.b.select(ty, holds, n, m);
    set_v(l, ty, w.rd(), result);
    Ok(())
}

/// FMOV (scalar, immediate).
pub(super) fn fmov_immediate(w: Word, l: &mut Lift<'_>) -> Lifted {
    let ty = ftype(w)?;
    let value = l.b.iconst(ty, float_immediate(ty, w.bits(20, 13)));
    set_v(l, ty, w.rd(), value);
    Ok(())
}

/// FMOV from a general register of the same width.
pub(super) fn fmov_from_general(w: Word, l: &mut Lift<'_>, ty: Ty) -> Lifted {
    let value = reg(l, ty.as_int(), w.rn());
    let value = l.b.bitcast(ty, value);
    set_v(l, ty, w.rd(), value);
    Ok(())
}

/// FMOV to a general register of the same width.
pub(super) fn fmov_to_general(w: Word, l: &mut Lift<'_>, ty: Ty) -> Lifted {
    let value = v(l, ty, w.rn());
    let value = l.b.bitcast(ty.as_int(), value);
    set_reg(l, ty.as_int(), w.rd(), value);
    Ok(())
}

/// FMOV Vd.D[1], Xn.
pub(super) fn fmov_to_high(w: Word, l: &mut Lift<'_>) -> Lifted {
    let high = x(l, w.rn());
    let old = v(l, Ty::V128, w.rd());
    let result = l.b.insert_lane(Ty::I64X2, old, 1, high);
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

/// FMOV Xd, Vn.D[1].
pub(super) fn fmov_from_high(w: Word, l: &mut Lift<'_>) -> Lifted {
    let whole = v(l, Ty::V128, w.rn());
    let high = l.b.extract_lane(Ty::I64X2, whole, 1);
    set_reg(l, Ty::I64, w.rd(), high);
    Ok(())
}

/// FCVT between single and double.
pub(super) fn fcvt(w: Word, l: &mut Lift<'_>, to: Ty) -> Lifted {
    let from = ftype(w)?;
    let n = v(l, from, w.rn());
    let result = if to == Ty::F64 { l.b.fpromote(to, n) } else { l.b.fdemote(to, n) };
    set_v(l, to, w.rd(), result);
    Ok(())
}

/// FCVT from half precision.
pub(super) fn fcvt_from_half(w: Word, l: &mut Lift<'_>, to: Ty) -> Lifted {
    let n = l.b.get(Ty::I16, V[w.rn()]);
    let helper = if to == Ty::F64 { &helpers::HALF_TO_DOUBLE } else { &helpers::HALF_TO_SINGLE };
    let result = l.b.call(helper, &[n]);
    set_v(l, to, w.rd(), result);
    Ok(())
}

/// FCVT to half precision.
pub(super) fn fcvt_to_half(w: Word, l: &mut Lift<'_>) -> Lifted {
    let from = ftype(w)?;
    let n = v(l, from, w.rn());
    let helper = if from == Ty::F64 { &helpers::DOUBLE_TO_HALF } else { &helpers::SINGLE_TO_HALF };
    let result = l.b.call(helper, &[n]);
    set_v(l, Ty::I16, w.rd(), result);
    Ok(())
}

/// FCVTNS to FCVTZU into a general register.
pub(super) fn to_integer(w: Word, l: &mut Lift<'_>, sign: Sign, rounding: Rounding) -> Lifted {
    let (from, to) = (ftype(w)?, w.sf());
    let n = v(l, from, w.rn());
    let result = round_to(l, to, sign, rounding, n);
    set_reg(l, to, w.rd(), result);
    Ok(())
}

/// `value` as an integer of the type or shape `to`.
pub(super) fn round_to(l: &mut Lift<'_>, to: Ty, sign: Sign, rounding: Rounding, value: Value) -> Value {
    match sign {
        Sign::Signed => l.b.fto_sint(to, rounding, value),
        Sign::Unsigned => l.b.fto_uint(to, rounding, value),
    }
}

/// SCVTF, UCVTF from a general register.
pub(super) fn from_integer(w: Word, l: &mut Lift<'_>, sign: Sign) -> Lifted {
    let to = ftype(w)?;
    let n = reg(l, w.sf(), w.rn());
    let result = convert_to(l, to, sign, n);
    set_v(l, to, w.rd(), result);
    Ok(())
}

/// The integer `value` as a float of the type or shape `to`.
pub(super) fn convert_to(l: &mut Lift<'_>, to: Ty, sign: Sign, value: Value) -> Value {
    match sign {
        Sign::Signed => l.b.sint_to_f(to, value),
        Sign::Unsigned => l.b.uint_to_f(to, value),
    }
}

/// How many fraction bits the fixed-point number in a general register has.
fn fraction_bits(w: Word) -> Result<u32, LiftError> {
    let bits = 64 - w.bits(15, 10);
    require(bits <= w.sf().bits())?;
    Ok(bits)
}

/// 2 to the power `exponent`, as the bits of an `f32` or `f64` (or of one lane).
pub(super) fn power_of_two(ty: Ty, exponent: i32) -> u64 {
    if ty.lane() == Ty::F64 { ((1023 + exponent) as u64) << 52 } else { ((127 + exponent) as u64) << 23 }
}

/// FCVTZS, FCVTZU (scalar, fixed-point). Scaling is exact, or overflows to an infinity that saturates as well.
pub(super) fn to_fixed(w: Word, l: &mut Lift<'_>, sign: Sign) -> Lifted {
    let (from, to, fraction) = (ftype(w)?, w.sf(), fraction_bits(w)?);
    let n = v(l, from, w.rn());
    let scale = l.b.iconst(from, power_of_two(from, fraction as i32));
    let scaled = l.b.float2(Op::Fmul, from, NanRule::Arm, n, scale);
    let result = round_to(l, to, sign, Rounding::Zero, scaled);
    set_reg(l, to, w.rd(), result);
    Ok(())
}

/// SCVTF, UCVTF (scalar, fixed-point). The one rounding is that of the conversion: scaling down stays normal.
pub(super) fn from_fixed(w: Word, l: &mut Lift<'_>, sign: Sign) -> Lifted {
    let (to, from, fraction) = (ftype(w)?, w.sf(), fraction_bits(w)?);
    let n = reg(l, from, w.rn());
    let whole = convert_to(l, to, sign, n);
    let scale = l.b.iconst(to, power_of_two(to, -(fraction as i32)));
    let result = l.b.float2(Op::Fmul, to, NanRule::Arm, whole, scale);
    set_v(l, to, w.rd(), result);
    Ok(())
}
