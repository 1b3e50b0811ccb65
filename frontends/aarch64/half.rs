//! FEAT_FP16 in vectors, and FEAT_FHM: lanes of binary16.
//!
//! Lanes are computed as doubles, which hold every sum, product and fused sum of halves closely enough that the one
//! rounding back to a half is the right one, and keep sign, payload and kind of NaNs.

use super::exact::{self, Operation, Shape};
use super::float::power_of_two;
use super::helpers::{double_to_half, helpers, widen_half};
use super::operand::{Lifted, Sign, v};
use super::simd::{Form, lane_mask, sources, splat, write};
use super::simd_arith::neighbours_of_sources;
use super::simd_float::{Fused, absolute_difference_exactly, compare_exactly, reduce_exactly, round_exactly};
use super::word::Word;
use crate::lift::Lift;
use philae_ir::eval::eval_op;
use philae_ir::ops::OPS;
use philae_ir::{CpuState, FloatCond, Helper, NanRule, Op, Rounding, Ty, Value};

helpers! {
    /// Lanes of a and b under the operation of this number.
    BINARY "a64_half_binary" (3) -> V128, Pure, |_, [a, b, op]| {
        let op = OPS[op as usize].op;
        lanes2(a, b, |a, b| arithmetic(op, [widen_half(a), widen_half(b), 0]))
    };
    /// a × b + c of lanes, rounded once.
    FUSED "a64_half_fused" (3) -> V128, Pure, fused_lanes;
    /// Square roots of lanes.
    ROOT "a64_half_root" (1) -> V128, Pure, |_, [a, ..]| lanes1(a, |a| arithmetic(Op::Fsqrt, [widen_half(a), 0, 0]));
    /// FMULX of lanes.
    MULTIPLY_EXTENDED "a64_half_multiply_extended" (2) -> V128, Pure, |_, [a, b, _]| lanes2(a, b, multiply_extended);
    /// FRECPS of lanes.
    RECIP_STEP "a64_half_recip_step" (2) -> V128, Pure, |_, [a, b, _]| lanes2(a, b, |a, b| step(a, b, 2.0, 1.0));
    /// FRSQRTS of lanes.
    RSQRT_STEP "a64_half_rsqrt_step" (2) -> V128, Pure, |_, [a, b, _]| lanes2(a, b, |a, b| step(a, b, 3.0, 0.5));
    /// Masks of the lanes where the relation of this number holds.
    COMPARE "a64_half_compare" (3) -> V128, Pure, |_, [a, b, cond]| lanes2(a, b, |a, b| {
        let holds = eval_op(Op::Fcmp, Ty::F64, Ty::F64, cond as u8, 0, [widen_half(a).into(), widen_half(b).into(), 0]);
        if holds == 1 { 0xffff } else { 0 }
    });
    /// Lanes rounded to integral values as the rounding of this number says.
    ROUND "a64_half_round" (2) -> V128, Pure, |_, [a, rounding, _]| lanes1(a, |a| {
        let rounded = eval_op(Op::Fround, Ty::F64, Ty::F64, rounding as u8, 0, [widen_half(a).into(), 0, 0]);
        double_to_half(rounded as u64)
    });
    /// Lanes times 2 to a power, as signed integers, rounded as the rounding of this number says.
    TO_SIGNED "a64_half_to_signed" (3) -> V128, Pure, |_, [a, r, power]| lanes1(a, |a| to_integer(Op::FtoSint, a, r, power));
    /// As `TO_SIGNED`, unsigned.
    TO_UNSIGNED "a64_half_to_unsigned" (3) -> V128, Pure, |_, [a, r, power]| lanes1(a, |a| to_integer(Op::FtoUint, a, r, power));
    /// Signed lanes divided by 2 to a power.
    FROM_SIGNED "a64_half_from_signed" (2) -> V128, Pure, |_, [a, power, _]| {
        lanes1(a, |a| from_integer(i128::from(a as i16), power as i32))
    };
    /// Unsigned lanes divided by 2 to a power.
    FROM_UNSIGNED "a64_half_from_unsigned" (2) -> V128, Pure, |_, [a, power, _]| {
        lanes1(a, |a| from_integer(i128::from(a), power as i32))
    };
    /// A signed integer of 64 bits divided by 2 to a power.
    FROM_WIDE_SIGNED "a64_half_from_wide_signed" (2) -> I16, Pure, |_, [a, power, _]| {
        u128::from(from_integer(i128::from(a as i64), power as i32))
    };
    /// An unsigned integer of 64 bits divided by 2 to a power.
    FROM_WIDE_UNSIGNED "a64_half_from_wide_unsigned" (2) -> I16, Pure, |_, [a, power, _]| {
        u128::from(from_integer(a as i128, power as i32))
    };
    /// binary16 to binary64, NaNs as they are.
    WIDEN "a64_half_widen" (1) -> F64, Pure, |_, [a, ..]| u128::from(widen_half(a as u16));
    /// Four low binary16 lanes to binary32, NaNs as they are.
    WIDEN_LANES "a64_half_widen_lanes" (1) -> V128, Pure, |_, [a, ..]| {
        (0..4).fold(0, |all, i| all | u128::from(widen_to_single((a >> (16 * i)) as u16)) << (32 * i))
    };
}

fn lanes1(a: u128, f: impl Fn(u16) -> u16) -> u128 {
    lanes2(a, 0, |a, _| f(a))
}

fn lanes2(a: u128, b: u128, f: impl Fn(u16, u16) -> u16) -> u128 {
    (0..128).step_by(16).fold(0, |all, at| all | u128::from(f((a >> at) as u16, (b >> at) as u16)) << at)
}

/// An operation of doubles, rounded to a half.
fn arithmetic(op: Op, operands: [u64; 3]) -> u16 {
    let result = eval_op(op, Ty::F64, Ty::F64, NanRule::Arm as u8, 0, operands.map(u128::from));
    double_to_half(result as u64)
}

fn fused_lanes(_state: &mut CpuState, [a, b, c]: [u128; 3]) -> u128 {
    (0..128).step_by(16).fold(0, |all, at| {
        let operands = [a, b, c].map(|v| widen_half((v >> at) as u16));
        all | u128::from(arithmetic(Op::FmulAdd, operands)) << at
    })
}

const SIGN: u16 = 0x8000;
const INFINITY: u16 = 0x7c00;

fn is_zero_times_infinity(a: u16, b: u16) -> bool {
    let (a, b) = (a & !SIGN, b & !SIGN);
    a == 0 && b == INFINITY || a == INFINITY && b == 0
}

fn multiply_extended(a: u16, b: u16) -> u16 {
    if is_zero_times_infinity(a, b) {
        return (a ^ b) & SIGN | 0x4000;
    }
    arithmetic(Op::Fmul, [widen_half(a), widen_half(b), 0])
}

/// (`from` − a × b) × `scale`, rounded once; 0 × ∞ counts as 0. Doubles hold every intermediate value exactly.
fn step(a: u16, b: u16, from: f64, scale: f64) -> u16 {
    if is_zero_times_infinity(a, b) {
        return double_to_half((from * scale).to_bits());
    }
    let fused = [widen_half(a ^ SIGN), widen_half(b), from.to_bits()].map(u128::from);
    let difference = eval_op(Op::FmulAdd, Ty::F64, Ty::F64, NanRule::Arm as u8, 0, fused);
    arithmetic(Op::Fmul, [difference as u64, scale.to_bits(), 0])
}

fn to_integer(op: Op, a: u16, rounding: u128, power: u128) -> u16 {
    let scaled = f64::from_bits(widen_half(a)) * f64::from_bits(power_of_two(Ty::F64, power as i32));
    eval_op(op, Ty::I16, Ty::F64, rounding as u8, 0, [u128::from(scaled.to_bits()), 0, 0]) as u16
}

/// An integer of at most 64 bits divided by 2 to `power`, rounded once.
fn from_integer(value: i128, power: i32) -> u16 {
    // What a double would lose is kept as a sticky bit, far below what the half can have.
    let sticky = value.unsigned_abs() >> 53 != 0 && value & 0x7ff != 0;
    let kept = if value.unsigned_abs() >> 53 != 0 { value & !0x7ff | i128::from(sticky) << 11 } else { value };
    double_to_half((kept as f64 * 2f64.powi(-power)).to_bits())
}

fn widen_to_single(half: u16) -> u32 {
    if half & !SIGN > INFINITY {
        return u32::from(half & SIGN) << 16 | 0x7f80_0000 | u32::from(half & 0x3ff) << 13;
    }
    (f64::from_bits(widen_half(half)) as f32).to_bits()
}

const SHAPE: Ty = Ty::I16X8;

/// `op` of the lanes of n and m.
fn compute(l: &mut Lift<'_>, op: Op, n: Value, m: Value) -> Value {
    let op = l.b.c64(op as u64);
    l.b.call(&BINARY, &[n, m, op])
}

fn finish(w: Word, l: &mut Lift<'_>, result: Value) -> Lifted {
    write(w, l, Form::of(w), SHAPE, result);
    Ok(())
}

/// Vd = op(Vn, Vm): FADD, FSUB, FMUL, FDIV, FMAX, FMIN, FMAXNM, FMINNM.
pub(super) fn binary(w: Word, l: &mut Lift<'_>, op: Op) -> Lifted {
    if exact::is_on(l) {
        return exact::sources(w, l, Shape::of_halves(w), Operation::of(op));
    }
    let (n, m) = sources(w, l, SHAPE);
    let result = compute(l, op, n, m);
    finish(w, l, result)
}

/// Vd = helper(Vn, Vm): FMULX, FRECPS, FRSQRTS.
pub(super) fn binary_helper(w: Word, l: &mut Lift<'_>, helper: &'static Helper) -> Lifted {
    if exact::is_on(l) {
        return exact::sources(w, l, Shape::of_halves(w), Operation::step(helper));
    }
    let (n, m) = sources(w, l, SHAPE);
    let result = l.b.call(helper, &[n, m]);
    finish(w, l, result)
}

fn absolute(l: &mut Lift<'_>, value: Value) -> Value {
    let magnitude = splat(&mut l.b, SHAPE, u64::from(!SIGN));
    l.b.and(Ty::V128, value, magnitude)
}

fn negated(l: &mut Lift<'_>, value: Value) -> Value {
    let signs = splat(&mut l.b, SHAPE, u64::from(SIGN));
    l.b.xor(Ty::V128, value, signs)
}

/// FABS.
pub(super) fn fabs(w: Word, l: &mut Lift<'_>) -> Lifted {
    let n = v(l, SHAPE, w.rn());
    let result = absolute(l, n);
    finish(w, l, result)
}

/// FNEG.
pub(super) fn fneg(w: Word, l: &mut Lift<'_>) -> Lifted {
    let n = v(l, SHAPE, w.rn());
    let result = negated(l, n);
    finish(w, l, result)
}

/// FABD.
pub(super) fn fabd(w: Word, l: &mut Lift<'_>) -> Lifted {
    if exact::is_on(l) {
        return absolute_difference_exactly(w, l, Shape::of_halves(w));
    }
    let (n, m) = sources(w, l, SHAPE);
    let difference = compute(l, Op::Fsub, n, m);
    let result = absolute(l, difference);
    finish(w, l, result)
}

/// FSQRT.
pub(super) fn fsqrt(w: Word, l: &mut Lift<'_>) -> Lifted {
    if exact::is_on(l) {
        return exact::source(w, l, Shape::of_halves(w), Operation::Sqrt);
    }
    let n = v(l, SHAPE, w.rn());
    let result = l.b.call(&ROOT, &[n]);
    finish(w, l, result)
}

/// FRECPE, FRSQRTE, FRECPX: helpers that take the lane width.
pub(super) fn estimate(w: Word, l: &mut Lift<'_>, helper: &'static Helper) -> Lifted {
    if exact::is_on(l) {
        return exact::source(w, l, Shape::of_halves(w), Operation::estimate(helper));
    }
    let n = v(l, SHAPE, w.rn());
    let bits = l.b.c64(16);
    let result = l.b.call(helper, &[n, bits]);
    finish(w, l, result)
}

fn multiply_add(w: Word, l: &mut Lift<'_>, kind: Fused, n: Value, m: Value) -> Lifted {
    if exact::is_on(l) {
        return exact::fused_lanes(w, l, Shape::of_halves(w), kind, n, m);
    }
    let n = if kind == Fused::Sub { negated(l, n) } else { n };
    let d = v(l, SHAPE, w.rd());
    let result = l.b.call(&FUSED, &[n, m, d]);
    finish(w, l, result)
}

/// FMLA, FMLS (vector).
pub(super) fn fused(w: Word, l: &mut Lift<'_>, kind: Fused) -> Lifted {
    let (n, m) = sources(w, l, SHAPE);
    multiply_add(w, l, kind, n, m)
}

/// The element of Vm (four bits of Rm) that H, L and M (bits 11, 21, 20) choose, in all lanes.
fn element(w: Word, l: &mut Lift<'_>) -> Value {
    let index = w.bits(11, 11) << 2 | w.bits(21, 20);
    let whole = v(l, SHAPE, w.rm() & 15);
    l.b.shuffle(whole, whole, lane_mask(2, |_| index as usize))
}

/// FMLA, FMLS (by element).
pub(super) fn fused_element(w: Word, l: &mut Lift<'_>, kind: Fused) -> Lifted {
    let n = v(l, SHAPE, w.rn());
    let m = element(w, l);
    multiply_add(w, l, kind, n, m)
}

fn binary_exactly(w: Word, l: &mut Lift<'_>, operation: Operation, n: Value, m: Value) -> Lifted {
    let shape = Shape::of_halves(w);
    let result = exact::two(l, shape, operation, 0, n, m);
    exact::write(w, l, shape, result)
}

/// FMUL (by element).
pub(super) fn fmul_element(w: Word, l: &mut Lift<'_>) -> Lifted {
    let n = v(l, SHAPE, w.rn());
    let m = element(w, l);
    if exact::is_on(l) {
        return binary_exactly(w, l, Operation::Mul, n, m);
    }
    let result = compute(l, Op::Fmul, n, m);
    finish(w, l, result)
}

/// FMULX (by element).
pub(super) fn fmulx_element(w: Word, l: &mut Lift<'_>) -> Lifted {
    let n = v(l, SHAPE, w.rn());
    let m = element(w, l);
    if exact::is_on(l) {
        return binary_exactly(w, l, Operation::MulExtended, n, m);
    }
    let result = l.b.call(&MULTIPLY_EXTENDED, &[n, m]);
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

/// FCMEQ, FCMGE, FCMGT, FACGE, FACGT (register).
pub(super) fn compare(w: Word, l: &mut Lift<'_>, magnitude: Magnitude, cond: FloatCond) -> Lifted {
    let (mut n, mut m) = sources(w, l, SHAPE);
    if magnitude == Magnitude::Absolute {
        (n, m) = (absolute(l, n), absolute(l, m));
    }
    if exact::is_on(l) {
        return compare_exactly(w, l, Shape::of_halves(w), cond, n, m);
    }
    let cond = l.b.c64(cond as u64);
    let result = l.b.call(&COMPARE, &[n, m, cond]);
    finish(w, l, result)
}

/// FCMGT, FCMGE, FCMEQ, FCMLE, FCMLT (zero).
pub(super) fn compare_zero(w: Word, l: &mut Lift<'_>, cond: FloatCond) -> Lifted {
    let n = v(l, SHAPE, w.rn());
    let zero = l.b.wide_const(Ty::V128, 0);
    if exact::is_on(l) {
        return compare_exactly(w, l, Shape::of_halves(w), cond, n, zero);
    }
    let cond = l.b.c64(cond as u64);
    let result = l.b.call(&COMPARE, &[n, zero, cond]);
    finish(w, l, result)
}

/// FRINTN, FRINTP, FRINTM, FRINTZ, FRINTA, FRINTX, FRINTI.
pub(super) fn round(w: Word, l: &mut Lift<'_>, rounding: Rounding) -> Lifted {
    if exact::is_on(l) {
        return round_exactly(w, l, Shape::of_halves(w), rounding);
    }
    let n = v(l, SHAPE, w.rn());
    let rounding = l.b.c64(rounding as u64);
    let result = l.b.call(&ROUND, &[n, rounding]);
    finish(w, l, result)
}

/// FCVTNS to FCVTZU of Vn with `fraction` fraction bits.
pub(super) fn to_fixed(w: Word, l: &mut Lift<'_>, sign: Sign, rounding: Rounding, fraction: u32) -> Lifted {
    if exact::is_on(l) {
        return exact::lanes_to_fixed(w, l, Shape::of_halves(w), sign, rounding, fraction);
    }
    let n = v(l, SHAPE, w.rn());
    let rounding = l.b.c64(rounding as u64);
    let power = l.b.c64(u64::from(fraction));
    let helper = if sign == Sign::Signed { &TO_SIGNED } else { &TO_UNSIGNED };
    let result = l.b.call(helper, &[n, rounding, power]);
    finish(w, l, result)
}

/// SCVTF, UCVTF of Vn with `fraction` fraction bits.
pub(super) fn from_fixed(w: Word, l: &mut Lift<'_>, sign: Sign, fraction: u32) -> Lifted {
    if exact::is_on(l) {
        return exact::lanes_from_fixed(w, l, Shape::of_halves(w), sign, fraction);
    }
    let n = v(l, SHAPE, w.rn());
    let power = l.b.c64(u64::from(fraction));
    let helper = if sign == Sign::Signed { &FROM_SIGNED } else { &FROM_UNSIGNED };
    let result = l.b.call(helper, &[n, power]);
    finish(w, l, result)
}

/// FADDP, FMAXP, FMINP, FMAXNMP, FMINNMP (vector).
pub(super) fn pairwise(w: Word, l: &mut Lift<'_>, op: Op) -> Lifted {
    let (even, odd) = neighbours_of_sources(w, l, Form::of(w), SHAPE);
    if exact::is_on(l) {
        return binary_exactly(w, l, Operation::of(op), even, odd);
    }
    let result = compute(l, op, even, odd);
    finish(w, l, result)
}

/// `op` of neighbouring lanes, in the low half.
fn fold(l: &mut Lift<'_>, op: Op, value: Value) -> Value {
    let [even, odd] = [0, 1].map(|parity| l.b.shuffle(value, value, lane_mask(2, |i| 2 * i + parity)));
    compute(l, op, even, odd)
}

fn write_scalar(w: Word, l: &mut Lift<'_>, value: Value) -> Lifted {
    write(w, l, Form::Scalar, SHAPE, value);
    Ok(())
}

/// FADDP, FMAXP, FMINP, FMAXNMP, FMINNMP (scalar).
pub(super) fn pairwise_scalar(w: Word, l: &mut Lift<'_>, op: Op) -> Lifted {
    let n = v(l, SHAPE, w.rn());
    if exact::is_on(l) {
        return reduce_exactly(w, l, SHAPE, 2, Operation::of(op), n);
    }
    let result = fold(l, op, n);
    write_scalar(w, l, result)
}

/// FMAXV, FMINV, FMAXNMV, FMINNMV: by pairs (Arm ARM, Reduce).
pub(super) fn across(w: Word, l: &mut Lift<'_>, op: Op) -> Lifted {
    let mut result = v(l, SHAPE, w.rn());
    if exact::is_on(l) {
        return reduce_exactly(w, l, SHAPE, if w.is_set(30) { 8 } else { 4 }, Operation::of(op), result);
    }
    for _ in 0..if w.is_set(30) { 3 } else { 2 } {
        result = fold(l, op, result);
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

/// Lanes of `value` as singles.
fn widened(w: Word, l: &mut Lift<'_>, lanes: Lanes, value: Value) -> Value {
    let first = match (lanes, w.is_set(30)) {
        (Lanes::First, _) => return l.b.call(&WIDEN_LANES, &[value]),
        (Lanes::Second, true) => 4,
        (Lanes::Second, false) => 2,
    };
    let moved = l.b.shuffle(value, value, lane_mask(2, |i| (first + i) % 8));
    l.b.call(&WIDEN_LANES, &[moved])
}

fn multiply_add_long(w: Word, l: &mut Lift<'_>, kind: Fused, n: Value, m: Value) -> Lifted {
    let n = if kind == Fused::Sub { l.b.fneg(Ty::F32X4, n) } else { n };
    let d = v(l, Ty::F32X4, w.rd());
    let result = l.b.fmul_add(Ty::F32X4, NanRule::Arm, n, m, d);
    write(w, l, Form::of(w), Ty::F32X4, result);
    Ok(())
}

/// FMLAL, FMLSL, FMLAL2, FMLSL2 (vector).
pub(super) fn fused_long(w: Word, l: &mut Lift<'_>, lanes: Lanes, kind: Fused) -> Lifted {
    let (n, m) = sources(w, l, SHAPE);
    if exact::is_on(l) {
        let (n, m) = (exact::halves(w, l, lanes, n), exact::halves(w, l, lanes, m));
        return exact::fused_long_lanes(w, l, kind, n, m);
    }
    let (n, m) = (widened(w, l, lanes, n), widened(w, l, lanes, m));
    multiply_add_long(w, l, kind, n, m)
}

/// FMLAL, FMLSL, FMLAL2, FMLSL2 (by element).
pub(super) fn fused_long_element(w: Word, l: &mut Lift<'_>, lanes: Lanes, kind: Fused) -> Lifted {
    let n = v(l, SHAPE, w.rn());
    if exact::is_on(l) {
        let (n, m) = (exact::halves(w, l, lanes, n), element(w, l));
        return exact::fused_long_lanes(w, l, kind, n, m);
    }
    let n = widened(w, l, lanes, n);
    let m = element(w, l);
    let m = l.b.call(&WIDEN_LANES, &[m]);
    multiply_add_long(w, l, kind, n, m)
}

/// d + n × m of lanes, rounded once.
pub(super) fn fused_value(l: &mut Lift<'_>, n: Value, m: Value, d: Value) -> Value {
    l.b.call(&FUSED, &[n, m, d])
}

/// The sum of lanes.
pub(super) fn sum(l: &mut Lift<'_>, n: Value, m: Value) -> Value {
    compute(l, Op::Fadd, n, m)
}
