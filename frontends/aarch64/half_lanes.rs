//! binary16 computed as binary32, four lanes at a time: operands are widened, results rounded back.
//!
//! A single has enough bits that a sum, product, quotient or root of halves, rounded to it, is rounded back as the exact
//! one would be (24 ≥ 2 × 11 + 2). A fused sum is first rounded to odd, as it is not. The products of halves are exact.
//!
//! The host's unit raises what the guest's does: a single is inexact only where the half is, and no lane but those that
//! count, or copies of them, is computed. What it does not see, that a result was tiny before it was rounded, is
//! raised apart: see [`Small`].

use super::operand::v;
use super::simd::{Form, lane_mask, splat, zero};
use super::word::Word;
use crate::lift::Lift;
use philae_ir::{IntCond, NanRule, Op, Sink, Ty, Value};

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

/// What may be lost of a result that is smaller than a normal half.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Small {
    /// Nothing: it is a multiple of the smallest half, as sums, roots and integers are.
    Exact,
    /// Bits: where they are, the result underflows, though it be rounded to a normal number (Arm ARM, FPRoundBase), which
    /// the host's unit does not count.
    Rounded,
}

/// Four halves as singles.
pub(super) fn widen(l: &mut Lift<impl Sink>, nans: Nans, four: Four, halves: Value) -> Value {
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
pub(super) fn by_fours<S: Sink, const N: usize>(
    l: &mut Lift<S>,
    form: Form,
    nans: Nans,
    sources: [Value; N],
    f: impl Fn(&mut Lift<S>, [Value; N]) -> Value,
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
pub(super) fn narrow(l: &mut Lift<impl Sink>, small: Small, (low, high): (Value, Option<Value>)) -> Value {
    let low = demote(l, small, low);
    let Some(high) = high else { return low };
    let high = demote(l, small, high);
    l.b.shuffle(low, high, lane_mask(8, |i| 2 * i))
}

/// Four singles rounded to halves in the low lanes, zeroes above.
fn demote(l: &mut Lift<impl Sink>, small: Small, singles: Value) -> Value {
    if small == Small::Rounded {
        raise_underflow(l, singles);
    }
    l.b.fdemote_half(Ty::F32X4, singles)
}

/// Raises that a single below the normal halves underflows if a half cannot hold it: 2^-125 times what is a multiple of the
/// smallest half, and nothing else, is one of the smallest single.
fn raise_underflow(l: &mut Lift<impl Sink>, singles: Value) {
    /// 2^-14, the smallest normal half.
    const NORMAL: u64 = 113 << 23;
    const SCALE: u64 = 2 << 23;
    let limit = splat(&mut l.b, Ty::I32X4, NORMAL);
    let size = l.b.fabs(Ty::F32X4, singles);
    let is_small = l.b.icmp(Ty::I32X4, IntCond::Sgt, limit, size);
    let small = l.b.and(Ty::V128, size, is_small);
    let scale = splat(&mut l.b, Ty::F32X4, SCALE);
    l.b.float2(Op::Fmul, Ty::F32X4, NanRule::X86, small, scale);
}

/// `f` of the lanes that `form` means, computed as singles.
pub(super) fn compute<S: Sink, const N: usize>(
    l: &mut Lift<S>,
    (form, small): (Form, Small),
    nans: Nans,
    sources: [Value; N],
    f: impl Fn(&mut Lift<S>, [Value; N]) -> Value,
) -> Value {
    let singles = by_fours(l, form, nans, sources, f);
    narrow(l, small, singles)
}

/// What may be lost of small results of an operation on two halves.
pub(super) fn small_results(op: Op) -> Small {
    if matches!(op, Op::Fmul | Op::Fdiv) { Small::Rounded } else { Small::Exact }
}

/// `op` of lanes.
pub(super) fn binary(l: &mut Lift<impl Sink>, form: Form, op: Op, n: Value, m: Value) -> Value {
    let how = (form, small_results(op));
    compute(l, how, Nans::Kept, [n, m], |l, [n, m]| l.b.float2(op, Ty::F32X4, NanRule::Arm, n, m))
}

/// d + n × m of lanes, rounded once.
pub(super) fn fused(l: &mut Lift<impl Sink>, form: Form, n: Value, m: Value, d: Value) -> Value {
    compute(l, (form, Small::Rounded), Nans::Kept, [n, m, d], |l, [n, m, d]| fused_to_odd(l, n, m, d))
}

/// d + n × m of singles that halves hold, rounded so that rounding it to a half is as good as rounding the exact sum: to
/// odd where the host rounds to nearest. In the other modes rounding twice is no worse than once; what is lost then has the
/// sign of the exact remainder or is 0, so that the result is not moved across a half.
pub(super) fn fused_to_odd(l: &mut Lift<impl Sink>, n: Value, m: Value, d: Value) -> Value {
    let sum = l.b.fmul_add(Ty::F32X4, NanRule::Arm, n, m, d);
    let product = l.b.float2(Op::Fmul, Ty::F32X4, NanRule::X86, n, m);
    to_odd(l, sum, [product, d])
}

/// A sum of numbers that halves hold or are products of such ones, and what it is of, rounded to odd.
fn to_odd<S: Sink>(l: &mut Lift<S>, sum: Value, [a, b]: [Value; 2]) -> Value {
    // Only where there is a number: differences of infinities would be invalid.
    let size = l.b.fabs(Ty::F32X4, sum);
    let infinity = splat(&mut l.b, Ty::I32X4, u64::from(f32::INFINITY.to_bits()));
    let finite = l.b.icmp(Ty::I32X4, IntCond::Sgt, infinity, size);
    let [a, b, total] = [a, b, sum].map(|value| l.b.and(Ty::V128, value, finite));
    let two = |l: &mut Lift<S>, op, a, b| l.b.float2(op, Ty::F32X4, NanRule::X86, a, b);
    // What the sum lost (Knuth, TwoSum): steps that are exact if the sum is.
    let second = two(l, Op::Fsub, total, a);
    let first = two(l, Op::Fsub, total, second);
    let of_first = two(l, Op::Fsub, a, first);
    let of_second = two(l, Op::Fsub, b, second);
    let lost = two(l, Op::Fadd, of_first, of_second);

    let size = l.b.fabs(Ty::F32X4, lost);
    let zero = zero(&mut l.b);
    let inexact = l.b.icmp(Ty::I32X4, IntCond::Ne, size, zero);
    // Where the sum is too large, its magnitude counts down, unless it is odd.
    let signs = l.b.xor(Ty::V128, sum, lost);
    let differ = l.b.vashr_imm(Ty::I32X4, signs, 31);
    let down = l.b.and(Ty::V128, differ, inexact);
    let truncated = l.b.add(Ty::I32X4, sum, down);
    let odd = l.b.vlshr_imm(Ty::I32X4, inexact, 31);
    l.b.or(Ty::V128, truncated, odd)
}

/// Hn as a single.
pub(super) fn read(l: &mut Lift<impl Sink>, nans: Nans, n: usize) -> Value {
    let singles = read_four(l, nans, n);
    l.b.extract_lane(Ty::F32X4, singles, 0)
}

/// A half in an integer as a single.
pub(super) fn of_bits(l: &mut Lift<impl Sink>, nans: Nans, half: Value) -> Value {
    let halves = l.b.splat(Ty::I16X8, half);
    let singles = widen(l, nans, Four::Low, halves);
    l.b.extract_lane(Ty::F32X4, singles, 0)
}

/// Hn as a single, four times.
pub(super) fn read_four(l: &mut Lift<impl Sink>, nans: Nans, n: usize) -> Value {
    let halves = v(l, Ty::V128, n);
    widen(l, nans, Four::First, halves)
}

/// A single rounded to a half, zeroes above.
pub(super) fn stored(l: &mut Lift<impl Sink>, small: Small, single: Value) -> Value {
    let singles = l.b.splat(Ty::F32X4, single);
    stored_first(l, small, singles)
}

/// The first of four singles, which are the same, rounded to a half, zeroes above.
pub(super) fn stored_first(l: &mut Lift<impl Sink>, small: Small, singles: Value) -> Value {
    let halves = demote(l, small, singles);
    l.b.shuffle(halves, halves, lane_mask(2, |i| if i == 0 { 0 } else { 16 }))
}

/// A double rounded to a half, zeroes above: the bits that a single has not are gathered in the last that it has.
pub(super) fn stored_double(l: &mut Lift<impl Sink>, double: Value) -> Value {
    const BEYOND: u64 = (1 << 29) - 1;
    let bits = l.b.bitcast(Ty::I64, double);
    let beyond = l.b.and_imm(Ty::I64, bits, BEYOND);
    let carry = l.b.add_imm(Ty::I64, beyond, BEYOND);
    let gathered = l.b.or(Ty::I64, bits, carry);
    let odd = l.b.and_imm(Ty::I64, gathered, !BEYOND);
    let odd = l.b.bitcast(Ty::F64, odd);
    let single = l.b.fdemote(Ty::F32, odd);
    stored(l, Small::Rounded, single)
}

/// An integer of 64 bits without the bits that a double has not, the last that it has being odd if they were not 0.
/// `large` tells whether it has so many.
pub(super) fn integer_to_odd(l: &mut Lift<impl Sink>, large: Value, integer: Value) -> Value {
    const BEYOND: u64 = (1 << 11) - 1;
    let beyond = l.b.and_imm(Ty::I64, integer, BEYOND);
    let carry = l.b.add_imm(Ty::I64, beyond, BEYOND);
    let gathered = l.b.or(Ty::I64, integer, carry);
    let odd = l.b.and_imm(Ty::I64, gathered, !BEYOND);
    l.b.select(Ty::I64, large, odd, integer)
}

/// A constant in four lanes.
pub(super) fn four(l: &mut Lift<impl Sink>, constant: f32) -> Value {
    splat(&mut l.b, Ty::F32X4, u64::from(constant.to_bits()))
}

/// The four lanes from `first` on, or the two of them that count where Q is clear, twice.
pub(super) fn four_from(w: Word, l: &mut Lift<impl Sink>, first: usize, halves: Value) -> Value {
    let count = if w.is_set(30) { 4 } else { 2 };
    l.b.shuffle(halves, halves, lane_mask(2, |i| first + i % count))
}
