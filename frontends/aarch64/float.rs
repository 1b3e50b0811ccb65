//! Scalar floating point: arithmetic, comparison, selection, moves, conversions.
//!
//! NaNs follow FPProcessNaNs; results are rounded to nearest even, whatever FPCR.RMode says, except where the
//! instruction names its rounding. Halves are computed as singles: see [`half_lanes`].

use super::exact::{self, Operation, Shape};
use super::flags::{holds, set, set_if};
use super::half_lanes::{self, Four, Nans, Small};
use super::operand::{Lifted, Sign, float_immediate, half_immediate, reg, require, set_reg, set_v, v, x};
use super::simd_float;
use super::softfloat;
use super::word::Word;
use crate::lift::{Lift, LiftError};
use philae_ir::{Builder, IntCond, NanRule, Op, Rounding, Sink, Ty, Value};

/// NZCV of a comparison: less, equal, greater, unordered (Arm ARM, FPCompare).
const RELATIONS: [u8; 4] = [0b1000, 0b0110, 0b0010, 0b0011];

/// A floating-point format.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    /// binary16.
    Half,
    /// binary32.
    Single,
    /// binary64.
    Double,
}

impl Format {
    /// The format in ftype, bits 23:22.
    fn of(w: Word) -> Result<Format, LiftError> {
        match w.bits(23, 22) {
            0 => Ok(Format::Single),
            1 => Ok(Format::Double),
            2 => Err(LiftError::Undefined),
            _ => Ok(Format::Half),
        }
    }

    /// The type that it is computed in.
    fn ty(self) -> Ty {
        match self {
            Format::Half | Format::Single => Ty::F32,
            Format::Double => Ty::F64,
        }
    }

    /// The type of its bits in a register.
    fn stored(self) -> Ty {
        match self {
            Format::Half => Ty::I16,
            Format::Single => Ty::F32,
            Format::Double => Ty::F64,
        }
    }
}

/// Vn in the type that `format` is computed in; `nans` are those of halves, others stay as they are.
fn read(l: &mut Lift<impl Sink>, format: Format, nans: Nans, n: usize) -> Value {
    if format == Format::Half { half_lanes::read(l, nans, n) } else { v(l, format.ty(), n) }
}

/// Writes Vd, rounding a half.
fn write(l: &mut Lift<impl Sink>, (format, small): (Format, Small), d: usize, value: Value) {
    if format == Format::Half {
        let half = half_lanes::stored(l, small, value);
        set_v(l, Ty::V128, d, half);
    } else {
        set_v(l, format.ty(), d, value);
    }
}

/// The type in ftype where halves have no such instruction.
fn ftype(w: Word) -> Result<Ty, LiftError> {
    let format = Format::of(w)?;
    require(format != Format::Half)?;
    Ok(format.ty())
}

/// Whether more of FPCR counts than the host's unit follows.
fn is_soft(l: &Lift<impl Sink>, format: Format) -> bool {
    exact::is_soft(l) || format == Format::Half && exact::is_on(l)
}

/// FADD, FSUB, FMUL, FDIV, FMAX, FMIN, FMAXNM, FMINNM.
pub(super) fn binary(w: Word, l: &mut Lift<impl Sink>, op: Op) -> Lifted {
    let format = Format::of(w)?;
    let sum = matches!(op, Op::Fadd | Op::Fsub);
    if is_soft(l, format) || exact::is_on(l) && !sum {
        return exact::sources(w, l, Shape::of_scalar(w), Operation::of(op));
    }
    let n = read(l, format, Nans::Kept, w.rn());
    let m = read(l, format, Nans::Kept, w.rm());
    let result = l.b.float2(op, format.ty(), NanRule::Arm, n, m);
    write(l, (format, half_lanes::small_results(op)), w.rd(), result);
    Ok(())
}

/// FNMUL: the sign changes after the product is rounded, a NaN's too.
pub(super) fn fnmul(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let format = Format::of(w)?;
    if exact::is_on(l) {
        let shape = Shape::of_scalar(w);
        let (n, m) = (exact::whole(l, w.rn()), exact::whole(l, w.rm()));
        return exact::negated_product(w, l, shape, n, m);
    }
    let n = read(l, format, Nans::Kept, w.rn());
    let m = read(l, format, Nans::Kept, w.rm());
    let product = l.b.float2(Op::Fmul, format.ty(), NanRule::Arm, n, m);
    if format == Format::Half {
        let rounded = half_lanes::stored(l, Small::Rounded, product);
        let sign = l.b.wide_const(Ty::V128, 0x8000);
        let result = l.b.xor(Ty::V128, rounded, sign);
        set_v(l, Ty::V128, w.rd(), result);
    } else {
        let result = l.b.fneg(format.ty(), product);
        set_v(l, format.ty(), w.rd(), result);
    }
    Ok(())
}

/// FSQRT, FRINT*.
fn unary<S: Sink>(w: Word, l: &mut Lift<S>, op: impl Fn(&mut Builder<S>, Ty, Value) -> Value) -> Lifted {
    let format = Format::of(w)?;
    let n = read(l, format, Nans::Quieted, w.rn());
    let result = op(&mut l.b, format.ty(), n);
    write(l, (format, Small::Exact), w.rd(), result);
    Ok(())
}

/// FMOV (register), FABS, FNEG: operations on bits, which leave NaNs as they are.
pub(super) fn bitwise<S: Sink>(w: Word, l: &mut Lift<S>, op: impl Fn(&mut Builder<S>, Ty, Value) -> Value) -> Lifted {
    let ty = Format::of(w)?.stored();
    let n = v(l, ty, w.rn());
    let result = op(&mut l.b, ty, n);
    set_v(l, ty, w.rd(), result);
    Ok(())
}

/// FABS.
pub(super) fn fabs(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    bitwise(w, l, |b, ty, n| if ty == Ty::I16 { b.and_imm(ty, n, 0x7fff) } else { b.fabs(ty, n) })
}

/// FNEG.
pub(super) fn fneg(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    bitwise(w, l, negated)
}

/// The bits of a float with the other sign.
fn negated(b: &mut Builder<impl Sink>, ty: Ty, value: Value) -> Value {
    if ty == Ty::I16 { b.with_imm(ty, value, 0x8000, Builder::xor) } else { b.fneg(ty, value) }
}

/// FSQRT.
pub(super) fn fsqrt(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let format = Format::of(w)?;
    if is_soft(l, format) {
        return exact::root(w, l, Shape::of_scalar(w));
    }
    unary(w, l, |b, ty, n| b.fsqrt(ty, NanRule::Arm, n))
}

/// FRINTN, FRINTP, FRINTM, FRINTZ, FRINTA, FRINTX, FRINTI.
pub(super) fn round(w: Word, l: &mut Lift<impl Sink>, rounding: Rounding) -> Lifted {
    let format = Format::of(w)?;
    if is_soft(l, format) {
        let operation = if w.bits(17, 15) == 0b110 { Operation::RoundExact } else { Operation::Round };
        return exact::rounded(w, l, Shape::of_scalar(w), operation, rounding);
    }
    unary(w, l, |b, ty, n| b.fround(ty, rounding, n))
}

/// FMADD, FMSUB, FNMADD, FNMSUB: o1 (bit 21) negates the addend, o1 ≠ o0 (bit 15) the first factor.
pub(super) fn multiply_add(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let format = Format::of(w)?;
    if exact::is_on(l) {
        return multiply_add_exactly(w, l, format);
    }
    if format == Format::Half {
        return multiply_add_halves(w, l);
    }
    let ty = format.ty();
    let [mut n, m, mut a] = [w.rn(), w.rm(), w.ra()].map(|register| v(l, ty, register));
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

fn multiply_add_halves(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let [mut n, m, mut a] = [w.rn(), w.rm(), w.ra()].map(|register| v(l, Ty::V128, register));
    if w.is_set(21) != w.is_set(15) {
        n = exact::negated(l, 16, n);
    }
    if w.is_set(21) {
        a = exact::negated(l, 16, a);
    }
    let [n, m, a] = [n, m, a].map(|halves| half_lanes::widen(l, Nans::Kept, Four::First, halves));
    let sums = half_lanes::fused_to_odd(l, n, m, a);
    let result = half_lanes::stored_first(l, Small::Rounded, sums);
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

fn multiply_add_exactly(w: Word, l: &mut Lift<impl Sink>, format: Format) -> Lifted {
    let (shape, bits) = (Shape::of_scalar(w), format.stored().bits());
    let [mut n, m, mut a] = [w.rn(), w.rm(), w.ra()].map(|register| exact::whole(l, register));
    if w.is_set(21) != w.is_set(15) {
        n = exact::negated(l, bits, n);
    }
    if w.is_set(21) {
        a = exact::negated(l, bits, a);
    }
    exact::fused(w, l, shape, [a, n, m])
}

/// FCMP, FCMPE: with Rm, or with zero where bit 3 is set.
pub(super) fn compare(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let format = Format::of(w)?;
    if is_soft(l, format) {
        compare_exactly(w, l, format);
        return Ok(());
    }
    let n = read(l, format, Nans::Quieted, w.rn());
    let m = if w.is_set(3) { l.b.iconst(format.ty(), 0) } else { read(l, format, Nans::Quieted, w.rm()) };
    let flags = flags_of(w, l, format.ty(), n, m);
    set(l, flags);
    Ok(())
}

/// The flags of a comparison: bit 4 tells FCMPE and FCCMPE, for which every NaN is invalid.
fn flags_of(w: Word, l: &mut Lift<impl Sink>, ty: Ty, n: Value, m: Value) -> Value {
    if w.is_set(4) { l.b.flags_fcmp_signalling(ty, n, m, RELATIONS) } else { l.b.flags_fcmp(ty, n, m, RELATIONS) }
}

fn compare_exactly<S: Sink>(w: Word, l: &mut Lift<S>, format: Format) {
    let exactly = |l: &mut Lift<S>| {
        let n = exact::whole(l, w.rn());
        let m = if w.is_set(3) { l.b.wide_const(Ty::V128, 0) } else { exact::whole(l, w.rm()) };
        let bits = exact::compare(w, l, n, m, None);
        let flags = l.b.flags_from_bits(bits);
        set(l, flags);
    };
    if format == Format::Half {
        return exactly(l);
    }
    let ty = format.ty();
    let n = v(l, ty, w.rn());
    let m = if w.is_set(3) { l.b.iconst(ty, 0) } else { v(l, ty, w.rm()) };
    let natively = |l: &mut Lift<S>| {
        let flags = l.b.flags_fcmp(ty, n, m, RELATIONS);
        set(l, flags);
    };
    let quiet = exact::compares_quietly(l, ty, n, m);
    exact::either(l, quiet, natively, exactly);
}

/// FCCMP, FCCMPE.
pub(super) fn conditional_compare(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let format = Format::of(w)?;
    if is_soft(l, format) {
        let (n, m) = (exact::whole(l, w.rn()), exact::whole(l, w.rm()));
        let takes_place = holds(l, w.bits(15, 12));
        let bits = exact::compare(w, l, n, m, Some(takes_place));
        let flags = l.b.flags_from_bits(bits);
        set_if(w, l, flags);
        return Ok(());
    }
    // Where the condition fails nothing is compared: zeroes raise nothing.
    let takes_place = holds(l, w.bits(15, 12));
    let [n, m] = [w.rn(), w.rm()].map(|register| {
        let operand = v(l, format.stored(), register);
        let zero = l.b.iconst(format.stored(), 0);
        let operand = l.b.select(format.stored(), takes_place, operand, zero);
        if format == Format::Half { half_lanes::of_bits(l, Nans::Quieted, operand) } else { operand }
    });
    let flags = flags_of(w, l, format.ty(), n, m);
    set_if(w, l, flags);
    Ok(())
}

/// FCSEL.
pub(super) fn fcsel(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let ty = Format::of(w)?.stored();
    let n = v(l, ty, w.rn());
    let m = v(l, ty, w.rm());
    let holds = holds(l, w.bits(15, 12));
    let result = l.b.select(ty, holds, n, m);
    set_v(l, ty, w.rd(), result);
    Ok(())
}

/// FMOV (scalar, immediate).
pub(super) fn fmov_immediate(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (ty, imm8) = (Format::of(w)?.stored(), w.bits(20, 13));
    let bits = if ty == Ty::I16 { half_immediate(imm8) } else { float_immediate(ty, imm8) };
    let value = l.b.iconst(ty, bits);
    set_v(l, ty, w.rd(), value);
    Ok(())
}

/// FMOV from a general register of the same width.
pub(super) fn fmov_from_general(w: Word, l: &mut Lift<impl Sink>, ty: Ty) -> Lifted {
    let value = reg(l, ty.as_int(), w.rn());
    let value = l.b.bitcast(ty, value);
    set_v(l, ty, w.rd(), value);
    Ok(())
}

/// FMOV to a general register of the same width.
pub(super) fn fmov_to_general(w: Word, l: &mut Lift<impl Sink>, ty: Ty) -> Lifted {
    let value = v(l, ty, w.rn());
    let value = l.b.bitcast(ty.as_int(), value);
    set_reg(l, ty.as_int(), w.rd(), value);
    Ok(())
}

/// FMOV Hd, Wn or Xn.
pub(super) fn fmov_half_from_general(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let value = reg(l, Ty::I16, w.rn());
    set_v(l, Ty::I16, w.rd(), value);
    Ok(())
}

/// FMOV Wd or Xd, Hn.
pub(super) fn fmov_half_to_general(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let value = v(l, Ty::I16, w.rn());
    set_reg(l, Ty::I16, w.rd(), value);
    Ok(())
}

/// FMOV Vd.D[1], Xn.
pub(super) fn fmov_to_high(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let high = x(l, w.rn());
    let old = v(l, Ty::V128, w.rd());
    let result = l.b.insert_lane(Ty::I64X2, old, 1, high);
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

/// FMOV Xd, Vn.D[1].
pub(super) fn fmov_from_high(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let whole = v(l, Ty::V128, w.rn());
    let high = l.b.extract_lane(Ty::I64X2, whole, 1);
    set_reg(l, Ty::I64, w.rd(), high);
    Ok(())
}

/// FCVT between single and double.
pub(super) fn fcvt(w: Word, l: &mut Lift<impl Sink>, to: Ty) -> Lifted {
    let from = ftype(w)?;
    if exact::is_soft(l) || exact::is_on(l) && to == Ty::F32 {
        return convert_exactly(w, l, (from.bits(), to.bits()));
    }
    let n = v(l, from, w.rn());
    let result = if to == Ty::F64 {
        l.b.fpromote(to, n)
    } else {
        let doubles = l.b.splat(Ty::F64X2, n);
        let singles = simd_float::demoted(&mut l.b, doubles);
        l.b.extract_lane(Ty::F32X4, singles, 0)
    };
    set_v(l, to, w.rd(), result);
    Ok(())
}

fn convert_exactly(w: Word, l: &mut Lift<impl Sink>, (from, to): (u32, u32)) -> Lifted {
    exact::convert_scalar(w, l, (softfloat::Format::of(from), softfloat::Format::of(to)))
}

/// FCVT from half precision.
pub(super) fn fcvt_from_half(w: Word, l: &mut Lift<impl Sink>, to: Ty) -> Lifted {
    if exact::is_on(l) {
        return convert_exactly(w, l, (16, to.bits()));
    }
    let single = half_lanes::read(l, Nans::Quieted, w.rn());
    let result = if to == Ty::F64 { l.b.fpromote(to, single) } else { single };
    set_v(l, to, w.rd(), result);
    Ok(())
}

/// FCVT to half precision.
pub(super) fn fcvt_to_half(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let from = ftype(w)?;
    if exact::is_on(l) {
        return convert_exactly(w, l, (from.bits(), 16));
    }
    let n = v(l, from, w.rn());
    let result =
        if from == Ty::F64 { half_lanes::stored_double(l, n) } else { half_lanes::stored(l, Small::Rounded, n) };
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

/// FCVTNS to FCVTZU into a general register.
pub(super) fn to_integer(w: Word, l: &mut Lift<impl Sink>, sign: Sign, rounding: Rounding) -> Lifted {
    let (to, format) = (w.sf(), Format::of(w)?);
    if is_soft(l, format) {
        return to_fixed_exactly(w, l, sign, rounding, 0);
    }
    let n = read(l, format, Nans::Quieted, w.rn());
    let result = round_to(l, to, sign, rounding, n);
    set_reg(l, to, w.rd(), result);
    Ok(())
}

/// A scalar as an integer with `fraction` bits behind the point in a general register.
fn to_fixed_exactly<S: Sink>(w: Word, l: &mut Lift<S>, sign: Sign, rounding: Rounding, fraction: u32) -> Lifted {
    let (to, format) = (w.sf(), Format::of(w)?);
    let exactly = |l: &mut Lift<S>| {
        let n = exact::whole(l, w.rn());
        let result = exact::to_fixed(l, Shape::of_scalar(w), sign, rounding, (to.bits(), fraction), n);
        let result = exact::integer(l, to.bits(), result);
        set_reg(l, to, w.rd(), result);
    };
    // Other roundings would have to know that a denormal is flushed first.
    let flushing = !exact::keeps_flags(l) && rounding != Rounding::Zero;
    if format == Format::Half || fraction != 0 || flushing || w.rd() == 31 {
        exactly(l);
        return Ok(());
    }
    let n = v(l, format.ty(), w.rn());
    let native = round_to(l, to, sign, rounding, n);
    let fits = exact::fits(l, (to, sign, native), (format.ty(), n));
    exact::either(l, fits, |l| set_reg(l, to, w.rd(), native), exactly);
    Ok(())
}

/// A general register, an integer with `fraction` bits behind the point, as a scalar.
fn from_fixed_exactly(w: Word, l: &mut Lift<impl Sink>, sign: Sign, fraction: u32) -> Lifted {
    let n = reg(l, w.sf(), w.rn());
    exact::from_fixed(w, l, Shape::of_scalar(w), sign, (w.sf().bits(), fraction), n)
}

/// `value` as an integer of the type or shape `to`.
pub(super) fn round_to(l: &mut Lift<impl Sink>, to: Ty, sign: Sign, rounding: Rounding, value: Value) -> Value {
    match sign {
        Sign::Signed => l.b.fto_sint(to, rounding, value),
        Sign::Unsigned => l.b.fto_uint(to, rounding, value),
    }
}

/// SCVTF, UCVTF from a general register.
pub(super) fn from_integer(w: Word, l: &mut Lift<impl Sink>, sign: Sign) -> Lifted {
    let format = Format::of(w)?;
    // A word is exact as a double.
    if is_soft(l, format) && !(format == Format::Double && w.sf() == Ty::I32) {
        return from_fixed_exactly(w, l, sign, 0);
    }
    if format == Format::Half {
        half_from_fixed(w, l, sign, 0);
        return Ok(());
    }
    let n = reg(l, w.sf(), w.rn());
    let result = convert_to(l, format.ty(), sign, n);
    set_v(l, format.ty(), w.rd(), result);
    Ok(())
}

/// SCVTF, UCVTF of a general register with so many fraction bits to a half, by way of a double.
fn half_from_fixed(w: Word, l: &mut Lift<impl Sink>, sign: Sign, fraction: u32) {
    /// The first integer behind which doubles have gaps.
    const GAPS: u64 = 1 << 53;
    let n = reg(l, w.sf(), w.rn());
    let double = match (w.sf(), sign) {
        (Ty::I64, Sign::Signed) => {
            let from_least = l.b.add_imm(Ty::I64, n, GAPS);
            let large = l.b.icmp_imm(Ty::I64, IntCond::Ugt, from_least, 2 * GAPS);
            let odd = half_lanes::integer_to_odd(l, large, n);
            l.b.sint_to_f(Ty::F64, odd)
        }
        (Ty::I64, Sign::Unsigned) => {
            let large = l.b.icmp_imm(Ty::I64, IntCond::Ugt, n, GAPS);
            let odd = half_lanes::integer_to_odd(l, large, n);
            l.b.uint_to_f(Ty::F64, odd)
        }
        (_, Sign::Signed) => l.b.sint_to_f(Ty::F64, n),
        (_, Sign::Unsigned) => {
            let wide = l.b.zext(Ty::I64, n);
            l.b.sint_to_f(Ty::F64, wide)
        }
    };
    let scale = l.b.iconst(Ty::F64, power_of_two(Ty::F64, -(fraction as i32)));
    let scaled = l.b.float2(Op::Fmul, Ty::F64, NanRule::X86, double, scale);
    let result = half_lanes::stored_double(l, scaled);
    set_v(l, Ty::V128, w.rd(), result);
}

/// The integer `value` as a float of the type or shape `to`.
pub(super) fn convert_to(l: &mut Lift<impl Sink>, to: Ty, sign: Sign, value: Value) -> Value {
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

/// FCVTZS, FCVTZU (scalar, fixed-point). Scaling is exact; what is too large without it stays as it is.
pub(super) fn to_fixed(w: Word, l: &mut Lift<impl Sink>, sign: Sign) -> Lifted {
    let (format, to, fraction) = (Format::of(w)?, w.sf(), fraction_bits(w)?);
    if is_soft(l, format) {
        return to_fixed_exactly(w, l, sign, Rounding::Zero, fraction);
    }
    let from = format.ty();
    let n = read(l, format, Nans::Quieted, w.rn());
    let size = l.b.fabs(from, n);
    let size = l.b.bitcast(from.as_int(), size);
    let is_small = l.b.icmp_imm(from.as_int(), IntCond::Ult, size, power_of_two(from, 64));
    let [scale, one] = [fraction, 0].map(|power| l.b.iconst(from, power_of_two(from, power as i32)));
    let scale = l.b.select(from, is_small, scale, one);
    let scaled = l.b.float2(Op::Fmul, from, NanRule::X86, n, scale);
    let result = round_to(l, to, sign, Rounding::Zero, scaled);
    set_reg(l, to, w.rd(), result);
    Ok(())
}

/// SCVTF, UCVTF (scalar, fixed-point). The one rounding is that of the conversion: scaling down stays normal.
pub(super) fn from_fixed(w: Word, l: &mut Lift<impl Sink>, sign: Sign) -> Lifted {
    let (format, from, fraction) = (Format::of(w)?, w.sf(), fraction_bits(w)?);
    if is_soft(l, format) {
        return from_fixed_exactly(w, l, sign, fraction);
    }
    if format == Format::Half {
        half_from_fixed(w, l, sign, fraction);
        return Ok(());
    }
    let to = format.ty();
    let n = reg(l, from, w.rn());
    let whole = convert_to(l, to, sign, n);
    let scale = l.b.iconst(to, power_of_two(to, -(fraction as i32)));
    let result = l.b.float2(Op::Fmul, to, NanRule::Arm, whole, scale);
    set_v(l, to, w.rd(), result);
    Ok(())
}

/// FRINT32Z, FRINT32X, FRINT64Z, FRINT64X: what does not fit an integer of so many bits becomes its smallest.
pub(super) fn round_within(w: Word, l: &mut Lift<impl Sink>, rounding: Rounding, bits: u32) -> Lifted {
    let ty = ftype(w)?;
    if exact::is_on(l) {
        return exact::rounded(w, l, Shape::of_scalar(w), Operation::round_within(bits), rounding);
    }
    let n = v(l, ty, w.rn());
    let lanes = if ty == Ty::F64 { Ty::F64X2 } else { Ty::F32X4 };
    let n = l.b.splat(lanes, n);
    let result = simd_float::rounded_within(l, lanes, rounding, bits, n);
    let result = l.b.extract_lane(lanes, result, 0);
    set_v(l, ty, w.rd(), result);
    Ok(())
}

/// FJCVTZS: the low 32 bits of the truncated number; Z tells whether that is the number itself, which -0 is not.
pub(super) fn fjcvtzs(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let n = v(l, Ty::F64, w.rn());
    let (result, exact) = if exact::is_on(l) {
        let both = exact::call(l, &exact::JAVASCRIPT, &[n]);
        let exact = l.b.lshr_imm(Ty::I64, both, 32);
        (l.b.trunc(Ty::I32, both), l.b.trunc(Ty::I32, exact))
    } else {
        javascript(&mut l.b, n)
    };
    let bits = l.b.shl_imm(Ty::I32, exact, 2);
    let flags = l.b.flags_from_bits(bits);
    set_reg(l, Ty::I32, w.rd(), result);
    set(l, flags);
    Ok(())
}

/// The low 32 bits of a truncated double, and 1 if they are the number itself.
fn javascript(b: &mut Builder<impl Sink>, n: Value) -> (Value, Value) {
    let bits = b.bitcast(Ty::I64, n);
    // That what does not fit is invalid, and what is no integer inexact, this conversion raises.
    let whole = b.fto_sint(Ty::I32, Rounding::Zero, n);
    // From 2^31 on the significand moves right, from 2^53 on left; from 2^84 on, for infinities and for NaNs, none of it is left.
    let exponent = b.lshr_imm(Ty::I64, bits, 52);
    let exponent = b.and_imm(Ty::I64, exponent, 0x7ff);
    let fraction = b.and_imm(Ty::I64, bits, (1 << 52) - 1);
    let significand = b.with_imm(Ty::I64, fraction, 1 << 52, Builder::or);
    let distance = b.add_imm(Ty::I64, exponent, 1075u64.wrapping_neg());
    let left = b.shl(Ty::I64, significand, distance);
    let back = b.neg(Ty::I64, distance);
    let right = b.lshr(Ty::I64, significand, back);
    let is_left = b.icmp_imm(Ty::I64, IntCond::Ult, distance, 32);
    let is_right = b.icmp_imm(Ty::I64, IntCond::Slt, distance, 0);
    let none = b.c64(0);
    let moved = b.select(Ty::I64, is_left, left, none);
    let moved = b.select(Ty::I64, is_right, right, moved);
    let negated = b.neg(Ty::I64, moved);
    let is_negative = b.icmp_imm(Ty::I64, IntCond::Slt, bits, 0);
    let beyond = b.select(Ty::I64, is_negative, negated, moved);
    let beyond = b.trunc(Ty::I32, beyond);
    let is_beyond = b.icmp_imm(Ty::I64, IntCond::Uge, exponent, 1023 + 31);
    let result = b.select(Ty::I32, is_beyond, beyond, whole);

    let back = b.sint_to_f(Ty::F64, result);
    let back = b.bitcast(Ty::I64, back);
    let exact = b.icmp(Ty::I64, IntCond::Eq, back, bits);
    (result, b.zext(Ty::I32, exact))
}
