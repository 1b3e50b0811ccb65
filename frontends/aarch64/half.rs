//! FEAT_FP16 in vectors, and FEAT_FHM: lanes of binary16.

use super::exact::{self, Operation, Shape};
use super::float::{convert_to, power_of_two, round_to};
use super::half_lanes::{Four, Nans, Small, by_fours, compute, four_from, fused_to_odd, narrow, widen};
use super::half_lanes::{binary as binary_lanes, four, fused as fused_lanes};
use super::operand::{Lifted, Sign, v};
use super::simd::{Form, counted, lane_mask, sources, splat, write};
use super::simd_arith::neighbours_of_sources;
use super::simd_float::{
    Fused, absolute_difference_exactly, compare_exactly, multiply_extended, raise_by_lane, recip_exponent,
    reduce_exactly, round_exactly, zero_times_infinity,
};
use super::word::Word;
use crate::lift::Lift;
use philae_ir::{FloatCond, IntCond, NanRule, Op, Rounding, Sink, Ty, Value};

const SIGN: u16 = 0x8000;
const SHAPE: Ty = Ty::I16X8;

fn finish(w: Word, l: &mut Lift<impl Sink>, result: Value) -> Lifted {
    write(w, l, Form::of(w), SHAPE, result);
    Ok(())
}

/// Vd = op(Vn, Vm): FADD, FSUB, FMUL, FDIV, FMAX, FMIN, FMAXNM, FMINNM.
pub(super) fn binary(w: Word, l: &mut Lift<impl Sink>, op: Op) -> Lifted {
    if exact::is_on(l) {
        return exact::sources(w, l, Shape::of_halves(w), Operation::of(op));
    }
    let (n, m) = sources(w, l, SHAPE);
    let result = binary_lanes(l, Form::of(w), op, n, m);
    finish(w, l, result)
}

/// FMULX.
pub(super) fn fmulx(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    if exact::is_on(l) {
        return exact::sources(w, l, Shape::of_halves(w), Operation::MulExtended);
    }
    let (n, m) = sources(w, l, SHAPE);
    let result = extended_product(w, l, n, m);
    finish(w, l, result)
}

fn extended_product<S: Sink>(w: Word, l: &mut Lift<S>, n: Value, m: Value) -> Value {
    let product = |l: &mut Lift<S>, [n, m]: [Value; 2]| multiply_extended(&mut l.b, Ty::F32X4, n, m);
    compute(l, (Form::of(w), Small::Rounded), Nans::Kept, [n, m], product)
}

/// (`from` − n × m) × `scale`, rounded once; 0 × ∞ counts as 0.
fn step(w: Word, l: &mut Lift<impl Sink>, operation: Operation, from: f32, scale: f32) -> Lifted {
    if exact::is_on(l) {
        return exact::sources(w, l, Shape::of_halves(w), operation);
    }
    let (n, m) = sources(w, l, SHAPE);
    let n = negated(l, n);
    // Differences that are small are exact: the product has no bit below 2^-20 then.
    let result = compute(l, (Form::of(w), Small::Exact), Nans::Kept, [n, m], |l, [n, m]| {
        let constant = four(l, from);
        let special = zero_times_infinity(&mut l.b, Ty::F32X4, n, m);
        let [n, m] = [n, m].map(|factor| l.b.and_not(Ty::V128, factor, special));
        let difference = fused_to_odd(l, n, m, constant);
        let scale = four(l, scale);
        l.b.float2(Op::Fmul, Ty::F32X4, NanRule::X86, difference, scale)
    });
    finish(w, l, result)
}

/// FRECPS.
pub(super) fn frecps(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    step(w, l, Operation::RecipStep, 2.0, 1.0)
}

/// FRSQRTS.
pub(super) fn frsqrts(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    step(w, l, Operation::RsqrtStep, 3.0, 0.5)
}

fn absolute(l: &mut Lift<impl Sink>, value: Value) -> Value {
    let magnitude = splat(&mut l.b, SHAPE, u64::from(!SIGN));
    l.b.and(Ty::V128, value, magnitude)
}

fn negated(l: &mut Lift<impl Sink>, value: Value) -> Value {
    let signs = splat(&mut l.b, SHAPE, u64::from(SIGN));
    l.b.xor(Ty::V128, value, signs)
}

/// FABS.
pub(super) fn fabs(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let n = v(l, SHAPE, w.rn());
    let result = absolute(l, n);
    finish(w, l, result)
}

/// FNEG.
pub(super) fn fneg(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let n = v(l, SHAPE, w.rn());
    let result = negated(l, n);
    finish(w, l, result)
}

/// FABD.
pub(super) fn fabd(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    if exact::is_on(l) {
        return absolute_difference_exactly(w, l, Shape::of_halves(w));
    }
    let (n, m) = sources(w, l, SHAPE);
    let difference = binary_lanes(l, Form::of(w), Op::Fsub, n, m);
    let result = absolute(l, difference);
    finish(w, l, result)
}

/// FSQRT.
pub(super) fn fsqrt<S: Sink>(w: Word, l: &mut Lift<S>) -> Lifted {
    if exact::is_on(l) {
        return exact::source(w, l, Shape::of_halves(w), Operation::Sqrt);
    }
    let n = v(l, SHAPE, w.rn());
    let root = |l: &mut Lift<S>, [n]: [Value; 1]| l.b.fsqrt(Ty::F32X4, NanRule::Arm, n);
    let result = compute(l, (Form::of(w), Small::Exact), Nans::Quieted, [n], root);
    finish(w, l, result)
}

/// FRECPX.
pub(super) fn frecpx(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    if exact::is_on(l) {
        return exact::source(w, l, Shape::of_halves(w), Operation::RecipExponent);
    }
    let n = v(l, SHAPE, w.rn());
    // A signalling NaN raises that the operation is invalid.
    by_fours(l, Form::of(w), Nans::Quieted, [n], |_, [n]| n);
    let result = recip_exponent(&mut l.b, SHAPE, 0x7c00, n);
    finish(w, l, result)
}

fn multiply_add(w: Word, l: &mut Lift<impl Sink>, kind: Fused, n: Value, m: Value) -> Lifted {
    if exact::is_on(l) {
        return exact::fused_lanes(w, l, Shape::of_halves(w), kind, n, m);
    }
    let n = if kind == Fused::Sub { negated(l, n) } else { n };
    let d = v(l, SHAPE, w.rd());
    let result = fused_lanes(l, Form::of(w), n, m, d);
    finish(w, l, result)
}

/// FMLA, FMLS (vector).
pub(super) fn fused(w: Word, l: &mut Lift<impl Sink>, kind: Fused) -> Lifted {
    let (n, m) = sources(w, l, SHAPE);
    multiply_add(w, l, kind, n, m)
}

/// The element of Vm (four bits of Rm) that H, L and M (bits 11, 21, 20) choose, in all lanes.
fn element(w: Word, l: &mut Lift<impl Sink>) -> Value {
    let index = w.bits(11, 11) << 2 | w.bits(21, 20);
    let whole = v(l, SHAPE, w.rm() & 15);
    l.b.shuffle(whole, whole, lane_mask(2, |_| index as usize))
}

/// FMLA, FMLS (by element).
pub(super) fn fused_element(w: Word, l: &mut Lift<impl Sink>, kind: Fused) -> Lifted {
    let n = v(l, SHAPE, w.rn());
    let m = element(w, l);
    multiply_add(w, l, kind, n, m)
}

fn binary_exactly(w: Word, l: &mut Lift<impl Sink>, operation: Operation, n: Value, m: Value) -> Lifted {
    let shape = Shape::of_halves(w);
    let result = exact::two(l, shape, operation, 0, n, m);
    exact::write(w, l, shape, result)
}

/// FMUL (by element).
pub(super) fn fmul_element(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let n = v(l, SHAPE, w.rn());
    let m = element(w, l);
    if exact::is_on(l) {
        return binary_exactly(w, l, Operation::Mul, n, m);
    }
    let result = binary_lanes(l, Form::of(w), Op::Fmul, n, m);
    finish(w, l, result)
}

/// FMULX (by element).
pub(super) fn fmulx_element(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let n = v(l, SHAPE, w.rn());
    let m = element(w, l);
    if exact::is_on(l) {
        return binary_exactly(w, l, Operation::MulExtended, n, m);
    }
    let result = extended_product(w, l, n, m);
    finish(w, l, result)
}

/// Whether a comparison looks at signs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Magnitude {
    /// FCMEQ, FCMGE, FCMGT.
    Signed,
    /// FACGE, FACGT.
    Absolute,
}

/// Vd = masks of the lanes where `cond` holds.
fn compare_lanes<S: Sink>(w: Word, l: &mut Lift<S>, cond: FloatCond, n: Value, m: Value) -> Lifted {
    let compare = |l: &mut Lift<S>, [n, m]: [Value; 2]| l.b.fcmp(Ty::F32X4, cond, n, m);
    let (low, high) = by_fours(l, Form::of(w), Nans::Quieted, [n, m], compare);
    let result = l.b.narrow_sat_ss(SHAPE, low, high.unwrap_or(low));
    finish(w, l, result)
}

/// FCMEQ, FCMGE, FCMGT, FACGE, FACGT (register).
pub(super) fn compare(w: Word, l: &mut Lift<impl Sink>, magnitude: Magnitude, cond: FloatCond) -> Lifted {
    let (mut n, mut m) = sources(w, l, SHAPE);
    if magnitude == Magnitude::Absolute {
        (n, m) = (absolute(l, n), absolute(l, m));
    }
    if exact::is_on(l) {
        return compare_exactly(w, l, Shape::of_halves(w), cond, n, m);
    }
    compare_lanes(w, l, cond, n, m)
}

/// FCMGT, FCMGE, FCMEQ, FCMLE, FCMLT (zero).
pub(super) fn compare_zero(w: Word, l: &mut Lift<impl Sink>, cond: FloatCond) -> Lifted {
    let n = v(l, SHAPE, w.rn());
    let zero = l.b.wide_const(Ty::V128, 0);
    if exact::is_on(l) {
        return compare_exactly(w, l, Shape::of_halves(w), cond, n, zero);
    }
    compare_lanes(w, l, cond, n, zero)
}

/// FRINTN, FRINTP, FRINTM, FRINTZ, FRINTA, FRINTX, FRINTI.
pub(super) fn round<S: Sink>(w: Word, l: &mut Lift<S>, rounding: Rounding) -> Lifted {
    if exact::is_on(l) {
        return round_exactly(w, l, Shape::of_halves(w), rounding);
    }
    let n = v(l, SHAPE, w.rn());
    let round = |l: &mut Lift<S>, [n]: [Value; 1]| l.b.fround(Ty::F32X4, rounding, n);
    let result = compute(l, (Form::of(w), Small::Exact), Nans::Quieted, [n], round);
    finish(w, l, result)
}

/// Singles times 2 to a power, which is exact.
fn scaled(l: &mut Lift<impl Sink>, value: Value, power: i32) -> Value {
    if power == 0 {
        return value;
    }
    let scale = splat(&mut l.b, Ty::F32X4, power_of_two(Ty::F32X4, power));
    l.b.float2(Op::Fmul, Ty::F32X4, NanRule::X86, value, scale)
}

/// Singles that are halves, or such ones scaled up, to integers, which are still to be narrowed. They may be too large for 16
/// bits and not for 32, so that what they raise is raised apart.
fn to_halfwords(l: &mut Lift<impl Sink>, sign: Sign, rounding: Rounding, n: Value) -> Value {
    const WORDS: Ty = Ty::I32X4;
    let integral = l.b.fround(Ty::F32X4, rounding, n);
    let result = round_to(l, WORDS, Sign::Signed, Rounding::Zero, integral);
    let low = l.b.vshl_imm(WORDS, result, 16);
    let extended = match sign {
        Sign::Signed => l.b.vashr_imm(WORDS, low, 16),
        Sign::Unsigned => l.b.vlshr_imm(WORDS, low, 16),
    };
    // What the conversion to a word finds invalid it raises itself; of a NaN it makes 0.
    let valid = l.b.icmp(WORDS, IntCond::Eq, result, extended);
    // NaNs are quiet already, and stay as they are.
    let same = l.b.icmp(WORDS, IntCond::Eq, integral, n);
    let inexact = l.b.and_not(Ty::V128, valid, same);
    raise_by_lane(&mut l.b, Ty::F32X4, valid, inexact);
    result
}

/// FCVTNS to FCVTZU of Vn with `fraction` fraction bits.
pub(super) fn to_fixed(w: Word, l: &mut Lift<impl Sink>, sign: Sign, rounding: Rounding, fraction: u32) -> Lifted {
    if exact::is_on(l) {
        return exact::lanes_to_fixed(w, l, Shape::of_halves(w), sign, rounding, fraction);
    }
    let n = v(l, SHAPE, w.rn());
    let (low, high) = by_fours(l, Form::of(w), Nans::Quieted, [n], |l, [n]| {
        let scaled = scaled(l, n, fraction as i32);
        to_halfwords(l, sign, rounding, scaled)
    });
    let high = high.unwrap_or(low);
    let result = match sign {
        Sign::Signed => l.b.narrow_sat_ss(SHAPE, low, high),
        Sign::Unsigned => l.b.narrow_sat_su(SHAPE, low, high),
    };
    finish(w, l, result)
}

/// SCVTF, UCVTF of Vn with `fraction` fraction bits.
pub(super) fn from_fixed<S: Sink>(w: Word, l: &mut Lift<S>, sign: Sign, fraction: u32) -> Lifted {
    if exact::is_on(l) {
        return exact::lanes_from_fixed(w, l, Shape::of_halves(w), sign, fraction);
    }
    let n = counted(l, Form::of(w), SHAPE, w.rn());
    let of = |l: &mut Lift<S>, four| {
        let whole = match (sign, four) {
            (Sign::Signed, Four::High) => l.b.widen_high_s(Ty::I32X4, n),
            (Sign::Signed, _) => l.b.widen_low_s(Ty::I32X4, n),
            (Sign::Unsigned, Four::High) => l.b.widen_high_u(Ty::I32X4, n),
            (Sign::Unsigned, _) => l.b.widen_low_u(Ty::I32X4, n),
        };
        let float = convert_to(l, Ty::F32X4, Sign::Signed, whole);
        scaled(l, float, -(fraction as i32))
    };
    let low = of(l, Four::Low);
    let high = (Form::of(w) == Form::Full).then(|| of(l, Four::High));
    let result = narrow(l, Small::Exact, (low, high));
    finish(w, l, result)
}

/// FADDP, FMAXP, FMINP, FMAXNMP, FMINNMP (vector).
pub(super) fn pairwise(w: Word, l: &mut Lift<impl Sink>, op: Op) -> Lifted {
    let (even, odd) = neighbours_of_sources(w, l, Form::of(w), SHAPE);
    if exact::is_on(l) {
        return binary_exactly(w, l, Operation::of(op), even, odd);
    }
    let result = binary_lanes(l, Form::of(w), op, even, odd);
    finish(w, l, result)
}

/// `op` of neighbouring ones of so many lanes: half as many results, and copies of them.
fn fold(l: &mut Lift<impl Sink>, op: Op, lanes: usize, value: Value) -> Value {
    let [even, odd] = [0, 1].map(|parity| l.b.shuffle(value, value, lane_mask(2, |i| (2 * i + parity) % lanes)));
    binary_lanes(l, Form::Half, op, even, odd)
}

fn write_scalar(w: Word, l: &mut Lift<impl Sink>, value: Value) -> Lifted {
    write(w, l, Form::Scalar, SHAPE, value);
    Ok(())
}

/// FADDP, FMAXP, FMINP, FMAXNMP, FMINNMP (scalar).
pub(super) fn pairwise_scalar(w: Word, l: &mut Lift<impl Sink>, op: Op) -> Lifted {
    let n = v(l, SHAPE, w.rn());
    if exact::is_on(l) {
        return reduce_exactly(w, l, SHAPE, 2, Operation::of(op), n);
    }
    let result = fold(l, op, 2, n);
    write_scalar(w, l, result)
}

/// FMAXV, FMINV, FMAXNMV, FMINNMV: by pairs (Arm ARM, Reduce).
pub(super) fn across(w: Word, l: &mut Lift<impl Sink>, op: Op) -> Lifted {
    let mut result = v(l, SHAPE, w.rn());
    if exact::is_on(l) {
        return reduce_exactly(w, l, SHAPE, if w.is_set(30) { 8 } else { 4 }, Operation::of(op), result);
    }
    let mut lanes = if w.is_set(30) { 8 } else { 4 };
    while lanes > 1 {
        result = fold(l, op, lanes, result);
        lanes /= 2;
    }
    write_scalar(w, l, result)
}

/// Which half of Vn and Vm FMLAL and FMLSL read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lanes {
    /// The low half of what Q counts.
    First,
    /// The high half (FMLAL2, FMLSL2).
    Second,
}

/// Lanes of `value` as singles: two, which come twice, where Q is clear.
fn widened(w: Word, l: &mut Lift<impl Sink>, lanes: Lanes, value: Value) -> Value {
    let first = match lanes {
        Lanes::First => 0,
        Lanes::Second if w.is_set(30) => 4,
        Lanes::Second => 2,
    };
    let lanes = four_from(w, l, first, value);
    widen(l, Nans::Kept, Four::Low, lanes)
}

fn multiply_add_long(w: Word, l: &mut Lift<impl Sink>, n: Value, m: Value) -> Lifted {
    let d = counted(l, Form::of(w), Ty::F32X4, w.rd());
    let result = l.b.fmul_add(Ty::F32X4, NanRule::Arm, n, m, d);
    write(w, l, Form::of(w), Ty::F32X4, result);
    Ok(())
}

/// FMLAL, FMLSL, FMLAL2, FMLSL2 (vector).
pub(super) fn fused_long(w: Word, l: &mut Lift<impl Sink>, lanes: Lanes, kind: Fused) -> Lifted {
    let (n, m) = sources(w, l, SHAPE);
    if exact::is_on(l) {
        let (n, m) = (exact::halves(w, l, lanes, n), exact::halves(w, l, lanes, m));
        return exact::fused_long_lanes(w, l, kind, n, m);
    }
    let n = if kind == Fused::Sub { negated(l, n) } else { n };
    let (n, m) = (widened(w, l, lanes, n), widened(w, l, lanes, m));
    multiply_add_long(w, l, n, m)
}

/// FMLAL, FMLSL, FMLAL2, FMLSL2 (by element).
pub(super) fn fused_long_element(w: Word, l: &mut Lift<impl Sink>, lanes: Lanes, kind: Fused) -> Lifted {
    let n = v(l, SHAPE, w.rn());
    if exact::is_on(l) {
        let (n, m) = (exact::halves(w, l, lanes, n), element(w, l));
        return exact::fused_long_lanes(w, l, kind, n, m);
    }
    let n = if kind == Fused::Sub { negated(l, n) } else { n };
    let n = widened(w, l, lanes, n);
    let m = element(w, l);
    let m = widen(l, Nans::Kept, Four::Low, m);
    multiply_add_long(w, l, n, m)
}
