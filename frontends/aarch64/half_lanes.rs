//! binary16 computed as binary32, four lanes at a time: operands are widened, results rounded back.
//!
//! A single has enough bits that a sum, product, quotient or root of halves, rounded to it, is rounded back as the exact
//! one would be (24 ≥ 2 × 11 + 2). A fused sum is first rounded to odd, as it is not. The products of halves are exact.

use super::operand::v;
use super::simd::{Form, lane_mask, splat, zero};
use super::word::Word;
use crate::lift::Lift;
use philae_ir::{FloatCond, NanRule, Op, Ty, Value};

/// What becomes of signalling NaNs on the way to singles.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Nans {
    /// They stay signalling, for operations that choose among NaNs.
    Kept,
    /// They become quiet, which costs less.
    Quieted,
}

/// Which four of a register's eight lanes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Four {
    /// The low ones.
    Low,
    /// The high ones.
    High,
    /// The lowest one, four times: nothing else may make a NaN.
    First,
}

/// Four halves as singles.
pub(super) fn widen(l: &mut Lift<'_>, nans: Nans, four: Four, halves: Value) -> Value {
    let lanes = match four {
        Four::Low => halves,
        Four::High => l.b.shuffle(halves, halves, lane_mask(8, |_| 1)),
        Four::First => l.b.shuffle(halves, halves, lane_mask(2, |_| 0)),
    };
    match nans {
        Nans::Kept => l.b.fwiden_half(Ty::F32X4, lanes),
        Nans::Quieted => l.b.fpromote_half(Ty::F32X4, lanes),
    }
}

/// `f` of the lanes that `form` means, widened: the first four, and the others if there are more.
pub(super) fn by_fours<const N: usize>(
    l: &mut Lift<'_>,
    form: Form,
    nans: Nans,
    sources: [Value; N],
    f: impl Fn(&mut Lift<'_>, [Value; N]) -> Value,
) -> (Value, Option<Value>) {
    let mut of = |four| {
        let widened = sources.map(|halves| widen(l, nans, four, halves));
        f(l, widened)
    };
    match form {
        Form::Scalar => (of(Four::First), None),
        Form::Half => (of(Four::Low), None),
        Form::Full => (of(Four::Low), Some(of(Four::High))),
    }
}

/// Singles rounded to halves.
pub(super) fn narrow(l: &mut Lift<'_>, (low, high): (Value, Option<Value>)) -> Value {
    let low = l.b.fdemote_half(Ty::F32X4, low);
    let Some(high) = high else { return low };
    let high = l.b.fdemote_half(Ty::F32X4, high);
    l.b.shuffle(low, high, lane_mask(8, |i| 2 * i))
}

/// `f` of the lanes that `form` means, computed as singles.
pub(super) fn compute<const N: usize>(
    l: &mut Lift<'_>,
    form: Form,
    nans: Nans,
    sources: [Value; N],
    f: impl Fn(&mut Lift<'_>, [Value; N]) -> Value,
) -> Value {
    let singles = by_fours(l, form, nans, sources, f);
    narrow(l, singles)
}

/// `op` of lanes.
pub(super) fn binary(l: &mut Lift<'_>, form: Form, op: Op, n: Value, m: Value) -> Value {
    compute(l, form, Nans::Kept, [n, m], |l, [n, m]| l.b.float2(op, Ty::F32X4, NanRule::Arm, n, m))
}

/// d + n × m of lanes, rounded once.
pub(super) fn fused(l: &mut Lift<'_>, form: Form, n: Value, m: Value, d: Value) -> Value {
    compute(l, form, Nans::Kept, [n, m, d], |l, [n, m, d]| fused_to_odd(l, n, m, d))
}

/// d + n × m of singles that halves hold, rounded so that rounding it to a half is as good as rounding the exact sum: to
/// odd where the host rounds to nearest. In the other modes rounding twice is no worse than once; what is lost then has the
/// sign of the exact remainder or is 0, so that the result is not moved across a half.
pub(super) fn fused_to_odd(l: &mut Lift<'_>, n: Value, m: Value, d: Value) -> Value {
    let sum = l.b.fmul_add(Ty::F32X4, NanRule::Arm, n, m, d);
    let product = l.b.float2(Op::Fmul, Ty::F32X4, NanRule::X86, n, m);
    to_odd(l, sum, [product, d])
}

/// The sum of two singles where the host rounds to nearest, rounded to odd instead.
pub(super) fn sum_to_odd(l: &mut Lift<'_>, a: Value, b: Value) -> Value {
    let sum = l.b.float2(Op::Fadd, Ty::F32X4, NanRule::X86, a, b);
    to_odd(l, sum, [a, b])
}

/// A sum and what it is of, rounded to odd.
fn to_odd(l: &mut Lift<'_>, sum: Value, [a, b]: [Value; 2]) -> Value {
    let two = |l: &mut Lift<'_>, op, a, b| l.b.float2(op, Ty::F32X4, NanRule::X86, a, b);
    // What the sum lost (Knuth, TwoSum); a NaN where there is no number.
    let second = two(l, Op::Fsub, sum, a);
    let first = two(l, Op::Fsub, sum, second);
    let of_first = two(l, Op::Fsub, a, first);
    let of_second = two(l, Op::Fsub, b, second);
    let lost = two(l, Op::Fadd, of_first, of_second);

    let size = l.b.fabs(Ty::F32X4, lost);
    let zero = zero(&mut l.b);
    let inexact = l.b.fcmp(Ty::F32X4, FloatCond::Gt, size, zero);
    // Where the sum is too large, its magnitude counts down, unless it is odd.
    let signs = l.b.xor(Ty::V128, sum, lost);
    let differ = l.b.vashr_imm(Ty::I32X4, signs, 31);
    let down = l.b.and(Ty::V128, differ, inexact);
    let truncated = l.b.add(Ty::I32X4, sum, down);
    let odd = l.b.vlshr_imm(Ty::I32X4, inexact, 31);
    l.b.or(Ty::V128, truncated, odd)
}

/// Hn as a single.
pub(super) fn read(l: &mut Lift<'_>, nans: Nans, n: usize) -> Value {
    let singles = read_four(l, nans, n);
    l.b.extract_lane(Ty::F32X4, singles, 0)
}

/// Hn as a single, four times.
pub(super) fn read_four(l: &mut Lift<'_>, nans: Nans, n: usize) -> Value {
    let halves = v(l, Ty::V128, n);
    widen(l, nans, Four::First, halves)
}

/// A single rounded to a half, zeroes above.
pub(super) fn stored(l: &mut Lift<'_>, single: Value) -> Value {
    let singles = l.b.splat(Ty::F32X4, single);
    stored_first(l, singles)
}

/// The first of four singles rounded to a half, zeroes above.
pub(super) fn stored_first(l: &mut Lift<'_>, singles: Value) -> Value {
    let halves = l.b.fdemote_half(Ty::F32X4, singles);
    l.b.shuffle(halves, halves, lane_mask(2, |i| if i == 0 { 0 } else { 16 }))
}

/// A double rounded to a half, zeroes above: the bits that a single has not are gathered in the last that it has.
pub(super) fn stored_double(l: &mut Lift<'_>, double: Value) -> Value {
    const BEYOND: u64 = (1 << 29) - 1;
    let bits = l.b.bitcast(Ty::I64, double);
    let beyond = l.b.and_imm(Ty::I64, bits, BEYOND);
    let carry = l.b.add_imm(Ty::I64, beyond, BEYOND);
    let gathered = l.b.or(Ty::I64, bits, carry);
    let odd = l.b.and_imm(Ty::I64, gathered, !BEYOND);
    let odd = l.b.bitcast(Ty::F64, odd);
    let single = l.b.fdemote(Ty::F32, odd);
    stored(l, single)
}

/// An integer of 64 bits without the bits that a double has not, the last that it has being odd if they were not 0.
/// `large` tells whether it has so many.
pub(super) fn integer_to_odd(l: &mut Lift<'_>, large: Value, integer: Value) -> Value {
    const BEYOND: u64 = (1 << 11) - 1;
    let beyond = l.b.and_imm(Ty::I64, integer, BEYOND);
    let carry = l.b.add_imm(Ty::I64, beyond, BEYOND);
    let gathered = l.b.or(Ty::I64, integer, carry);
    let odd = l.b.and_imm(Ty::I64, gathered, !BEYOND);
    l.b.select(Ty::I64, large, odd, integer)
}

/// A constant in four lanes.
pub(super) fn four(l: &mut Lift<'_>, constant: f32) -> Value {
    splat(&mut l.b, Ty::F32X4, u64::from(constant.to_bits()))
}

/// Whether Q is set, which four lanes the second half of an instruction's operand is: FMLAL2 has but two for a clear Q.
pub(super) fn second(w: Word, l: &mut Lift<'_>, halves: Value) -> Value {
    let first = if w.is_set(30) { 4 } else { 2 };
    l.b.shuffle(halves, halves, lane_mask(2, |i| (first + i) % 8))
}
