//! Floating point, bit for bit: the host's arithmetic gives numbers, [`NanRule`] gives NaNs.
//!
//! What an operation raises, the host's unit raises: its own arithmetic where that makes the result, else
//! [`raise_invalid`] and its like. The host finds underflow after rounding; where the rule is Arm's, products and fused
//! sums raise it as Arm does, before (Arm ARM, FPRoundBase).

use super::vector::{extract, lanes1, lanes2};
use crate::ops::{FloatCond, NanRule, Op, Rounding, SIGNALS};
use crate::ty::Ty;
use std::hint::black_box;
use std::ops::{Add, Div, Mul, Sub};

/// binary32 or binary64; bits are zero-extended to 64.
pub(super) trait Float:
    Copy + PartialOrd + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    /// The sign bit.
    const SIGN: u64;
    /// The bits of +∞: NaNs are above, the sign aside.
    const INFINITY: u64;
    /// The top bit of the fraction, set in quiet NaNs.
    const QUIET: u64;

    fn of(bits: u64) -> Self;
    fn bits(self) -> u64;
    fn sqrt(self) -> Self;
    fn mul_add(self, b: Self, c: Self) -> Self;
    /// To an integral value in the host's current rounding mode.
    fn round_current(self) -> Self;
    fn from_signed(a: i128) -> Self;
    fn from_unsigned(a: u128) -> Self;
}

macro_rules! float {
    ($F:ident $U:ident $fraction:literal) => {
        impl Float for $F {
            const SIGN: u64 = 1 << ($U::BITS - 1);
            const INFINITY: u64 = Self::SIGN - (1 << $fraction);
            const QUIET: u64 = 1 << ($fraction - 1);

            fn of(bits: u64) -> $F {
                $F::from_bits(bits as $U)
            }

            fn bits(self) -> u64 {
                u64::from(self.to_bits())
            }

            fn sqrt(self) -> $F {
                $F::sqrt(self)
            }

            fn mul_add(self, b: $F, c: $F) -> $F {
                $F::mul_add(self, b, c)
            }

            // From this size on every value is integral; below it, a sum of this size is rounded to an integral value
            // as the processor rounds now.
            fn round_current(self) -> $F {
                let integral: $F = 1.0 / $F::EPSILON;
                let rounded = (self.abs() < integral).then(|| {
                    let large = integral.copysign(self);
                    (black_box(self + large) - large).copysign(self)
                });
                rounded.unwrap_or(self)
            }

            // What fits 63 bits is an instruction, which rounds as the host does now; conversions made of several
            // need not: rounding down, that of an unsigned zero makes a negative one.
            fn from_signed(a: i128) -> $F {
                i64::try_from(a).map_or(a as $F, |a| a as $F)
            }

            fn from_unsigned(a: u128) -> $F {
                match (i64::try_from(a), u64::try_from(a)) {
                    (Ok(a), _) => a as $F,
                    // Half of it, and what that loses as a last bit.
                    (_, Ok(a)) => (a >> 1 | a & 1) as i64 as $F * 2.0,
                    _ => a as $F,
                }
            }
        }
    };
}

float!(f32 u32 23);
float!(f64 u64 52);

/// Raises what an invalid operation raises.
pub(super) fn raise_invalid() {
    black_box(black_box(f32::INFINITY) * black_box(0.0));
}

/// Raises what an inexact result raises.
pub(super) fn raise_inexact() {
    black_box(black_box(1.0) + black_box(f32::MIN_POSITIVE));
}

/// Raises what a result raises that is tiny and inexact.
fn raise_underflow() {
    black_box(black_box(f32::MIN_POSITIVE) * black_box(f32::MIN_POSITIVE));
}

/// Raises what signalling operands raise.
fn raise_for_operands<F: Float>(operands: &[u64]) {
    if operands.iter().any(|&a| is_signalling::<F>(a)) {
        raise_invalid();
    }
}

/// Calls a function that is generic over [`Float`] for the lane type of `$ty`.
macro_rules! by_lane {
    ($ty:expr, $function:ident($($arg:expr),*)) => {
        match $ty.lane() {
            Ty::F32 => $function::<f32>($($arg),*),
            Ty::F64 => $function::<f64>($($arg),*),
            other => panic!("{other:?} is no floating-point type"),
        }
    };
}

/// The operations of which `aux` is a [`NanRule`], lane by lane.
pub(super) fn arithmetic(op: Op, ty: Ty, aux: u8, args: [u128; 3]) -> u128 {
    by_lane!(ty, arithmetic_lanes(op, ty, NanRule::from_aux(aux), args))
}

fn arithmetic_lanes<F: Float>(op: Op, ty: Ty, rule: NanRule, [a, b, c]: [u128; 3]) -> u128 {
    match op {
        Op::Fsqrt => lanes1(ty, a, |a| square_root::<F>(rule, a)),
        Op::FmulAdd if ty.is_vector() => (0..ty.lanes()).fold(0, |all, index| {
            let lane = |v| extract(ty, v, index) as u64;
            all | u128::from(fused::<F>(rule, lane(a), lane(b), lane(c))) << (index * ty.lane().bits())
        }),
        Op::FmulAdd => u128::from(fused::<F>(rule, a as u64, b as u64, c as u64)),
        _ => lanes2(ty, a, b, |a, b| binary::<F>(op, rule, a, b)),
    }
}

fn binary<F: Float>(op: Op, rule: NanRule, a: u64, b: u64) -> u64 {
    // Arm ARM, FPMinNum and FPMaxNum: a quiet NaN beside a number stands for the infinity that loses.
    let (a, b) = match op {
        Op::FminNum => without_quiet_nan::<F>(a, b, F::INFINITY),
        Op::FmaxNum => without_quiet_nan::<F>(a, b, F::SIGN | F::INFINITY),
        _ => (a, b),
    };
    if let Some(nan) = operand_nan::<F>(rule, &[a, b]) {
        return nan;
    }
    let (x, y) = (F::of(a), F::of(b));
    let zeroes = (a | b) & !F::SIGN == 0;
    match op {
        Op::Fadd => made(rule, x + y),
        Op::Fsub => made(rule, x - y),
        Op::Fmul => rounded(rule, x * y, [a, b, 0]),
        Op::Fdiv => made(rule, x / y),
        Op::Fmin | Op::FminNum if zeroes => a | b,
        Op::Fmax | Op::FmaxNum if zeroes => a & b,
        Op::Fmin | Op::FminNum => (if x < y { x } else { y }).bits(),
        Op::Fmax | Op::FmaxNum => (if x > y { x } else { y }).bits(),
        other => panic!("{other:?} does not take two floats"),
    }
}

fn square_root<F: Float>(rule: NanRule, a: u64) -> u64 {
    operand_nan::<F>(rule, &[a]).unwrap_or_else(|| made(rule, F::of(a).sqrt()))
}

/// a × b + c, rounded once.
fn fused<F: Float>(rule: NanRule, a: u64, b: u64, c: u64) -> u64 {
    let nan = match rule {
        // Arm ARM, FPMulAdd: the addend's NaN counts first, but ∞ × 0 beside a quiet one makes the default NaN.
        NanRule::Arm | NanRule::Agreed if is_quiet::<F>(c) && is_invalid_product::<F>(a, b) => {
            raise_invalid();
            Some(default_nan::<F>(rule))
        }
        NanRule::Arm | NanRule::ArmDefault | NanRule::Agreed => operand_nan::<F>(rule, &[c, a, b]),
        NanRule::X86 => operand_nan::<F>(rule, &[a, b, c]),
    };
    nan.unwrap_or_else(|| rounded(rule, F::of(a).mul_add(F::of(b), F::of(c)), [a, b, c]))
}

/// The bits of a × b + c, all numbers, of which the host has made `result`.
fn rounded<F: Float>(rule: NanRule, result: F, operands: [u64; 3]) -> u64 {
    let bits = made(rule, result);
    let is_smallest = bits & !F::SIGN == F::QUIET << 1;
    if rule != NanRule::X86 && is_smallest && is_rounded_up::<F>(bits & F::SIGN != 0, operands) {
        raise_underflow();
    }
    bits
}

/// Whether the magnitude of a × b + c is below that of the smallest normal number, which it is rounded to.
pub(super) fn is_rounded_up<F: Float>(negative: bool, [a, b, c]: [u64; 3]) -> bool {
    /// An addend of so many places above the smallest numbers is one of two that cancel out, and their sum is exact.
    const EXACT: i32 = 60;
    // The smallest number is 2 to the power of -`places`.
    let places = (1 << (F::INFINITY.count_ones() - 1)) - 1 + F::QUIET.trailing_zeros() as i32;
    let [(a, a_power), (b, b_power), (c, c_power)] = [a, b, c].map(|bits| in_smallest::<F>(bits));
    if c_power > EXACT {
        return false;
    }
    let sign = if negative { -1 } else { 1 };
    let missing = i128::from(F::QUIET << 1) - sign * (c << c_power);
    let (product, power) = (sign * a * b, a_power + b_power - places);
    // Rounded down, it is below an integer if it was. Where it is shifted to the left by much, it is 0.
    let product = if power < 0 { product >> (-power).min(127) } else { product << power.min(127) };
    product < missing
}

/// A number as an integer times a power of two times the smallest number.
fn in_smallest<F: Float>(bits: u64) -> (i128, i32) {
    let lowest = F::QUIET << 1;
    let magnitude = bits & !F::SIGN;
    let (exponent, fraction) = (magnitude / lowest, magnitude % lowest);
    let significand = i128::from(if exponent == 0 { fraction } else { fraction | lowest });
    (if bits == magnitude { significand } else { -significand }, exponent.max(1) as i32 - 1)
}

fn is_invalid_product<F: Float>(a: u64, b: u64) -> bool {
    let (a, b) = (a & !F::SIGN, b & !F::SIGN);
    a == F::INFINITY && b == 0 || a == 0 && b == F::INFINITY
}

fn is_nan<F: Float>(a: u64) -> bool {
    a & !F::SIGN > F::INFINITY
}

fn is_quiet<F: Float>(a: u64) -> bool {
    is_nan::<F>(a) && a & F::QUIET != 0
}

fn is_signalling<F: Float>(a: u64) -> bool {
    is_nan::<F>(a) && !is_quiet::<F>(a)
}

fn default_nan<F: Float>(rule: NanRule) -> u64 {
    let positive = F::INFINITY | F::QUIET;
    match rule {
        NanRule::Arm | NanRule::ArmDefault | NanRule::Agreed => positive,
        NanRule::X86 => F::SIGN | positive,
    }
}

/// The NaN that an operation makes because operands are NaNs, in the order in which they count; raises what they do.
fn operand_nan<F: Float>(rule: NanRule, operands: &[u64]) -> Option<u64> {
    let first = operands.iter().copied().find(|&a| is_nan::<F>(a))?;
    let signalling = operands.iter().copied().find(|&a| is_signalling::<F>(a));
    raise_for_operands::<F>(operands);
    Some(match rule {
        NanRule::Arm | NanRule::Agreed => signalling.unwrap_or(first) | F::QUIET,
        NanRule::ArmDefault => default_nan::<F>(rule),
        NanRule::X86 => first | F::QUIET,
    })
}

/// The bits of a result whose operands were numbers.
fn made<F: Float>(rule: NanRule, result: F) -> u64 {
    if is_nan::<F>(result.bits()) { default_nan::<F>(rule) } else { result.bits() }
}

fn without_quiet_nan<F: Float>(a: u64, b: u64, instead: u64) -> (u64, u64) {
    if is_quiet::<F>(a) && !is_nan::<F>(b) {
        (instead, b)
    } else if is_quiet::<F>(b) && !is_nan::<F>(a) {
        (a, instead)
    } else {
        (a, b)
    }
}

/// `Fneg` and `Fabs`.
pub(super) fn sign(op: Op, ty: Ty, a: u128) -> u128 {
    let sign = 1 << (ty.lane().bits() - 1);
    lanes1(ty, a, |a| if op == Op::Fneg { a ^ sign } else { a & !sign })
}

/// A comparison: a truth value for scalars, masks for vectors.
pub(super) fn compare(ty: Ty, aux: u8, a: u128, b: u128) -> u128 {
    by_lane!(ty, compare_lanes(ty, FloatCond::from_aux(aux), a, b))
}

fn compare_lanes<F: Float>(ty: Ty, cond: FloatCond, a: u128, b: u128) -> u128 {
    let yes = if ty.is_vector() { u64::MAX } else { 1 };
    let orders = matches!(cond, FloatCond::Lt | FloatCond::Le | FloatCond::Gt | FloatCond::Ge);
    lanes2(ty, a, b, |a, b| {
        if ty.is_vector() && orders && (is_nan::<F>(a) || is_nan::<F>(b)) {
            raise_invalid();
        }
        raise_for_operands::<F>(&[a, b]);
        if holds(cond, F::of(a), F::of(b)) { yes } else { 0 }
    })
}

fn holds<F: Float>(cond: FloatCond, a: F, b: F) -> bool {
    match cond {
        FloatCond::Eq => a == b,
        FloatCond::Lt => a < b,
        FloatCond::Le => a <= b,
        FloatCond::Gt => a > b,
        FloatCond::Ge => a >= b,
        FloatCond::Un => a.partial_cmp(&b).is_none(),
        FloatCond::Ne => a != b,
    }
}

/// The NZCV that `relations` gives for the relation of a and b; see [`Op::FlagsFcmp`].
pub(super) fn flags(ty: Ty, relations: u32, a: u128, b: u128) -> u128 {
    let place = by_lane!(ty, relation(a as u64, b as u64));
    if place == UNORDERED && u64::from(relations) & SIGNALS != 0 {
        raise_invalid();
    }
    u128::from(relations >> (4 * place) & 15)
}

/// The place of unordered operands among the relations.
const UNORDERED: u32 = 3;

/// 0 for less, 1 for equal, 2 for greater, 3 for unordered.
fn relation<F: Float>(a: u64, b: u64) -> u32 {
    raise_for_operands::<F>(&[a, b]);
    F::of(a).partial_cmp(&F::of(b)).map_or(UNORDERED, |order| (order as i8 + 1) as u32)
}

/// To integral values.
pub(super) fn round(ty: Ty, aux: u8, a: u128) -> u128 {
    by_lane!(ty, round_lanes(ty, Rounding::from_aux(aux), a))
}

fn round_lanes<F: Float>(ty: Ty, rounding: Rounding, a: u128) -> u128 {
    lanes1(ty, a, |a| {
        raise_for_operands::<F>(&[a]);
        if is_nan::<F>(a) {
            return a | F::QUIET;
        }
        let rounded = round_number::<F>(a, rounding);
        if rounding == Rounding::CurrentExact && rounded != a {
            raise_inexact();
        }
        rounded
    })
}

/// A number to an integral value; what is no number stays. The library's functions are right in one rounding mode of
/// the host only; this one looks at the bits, and only whether denormal numbers count as zero is the host's to say.
fn round_number<F: Float>(a: u64, rounding: Rounding) -> u64 {
    let fraction = F::QUIET.trailing_zeros() + 1;
    let one = (F::INFINITY / 2) & !F::QUIET;
    let sign = a & F::SIGN;
    let magnitude = a - sign;
    if magnitude >= one + (u64::from(fraction) << fraction) {
        return a;
    }
    if black_box(F::of(magnitude)) == F::of(0) {
        return sign;
    }
    // The integral magnitudes below and above, whether the one below is odd, and where the half between them lies.
    let (below, above, odd, to_half) = if magnitude < one {
        (0, one, false, magnitude.cmp(&(one - (1 << fraction))))
    } else {
        let unit = 1 << (fraction - ((magnitude - one) >> fraction) as u32);
        let rest = magnitude & (unit - 1);
        if rest == 0 {
            return a;
        }
        let below = magnitude - rest;
        (below, below + unit, below & unit != 0, rest.cmp(&(unit / 2)))
    };
    let goes_above = match rounding {
        Rounding::Nearest => to_half.is_gt() || to_half.is_eq() && odd,
        Rounding::Floor => sign != 0,
        Rounding::Ceil => sign == 0,
        Rounding::Zero => false,
        Rounding::Away => to_half.is_ge(),
        Rounding::Current | Rounding::CurrentExact => return F::of(a).round_current().bits(),
    };
    sign | if goes_above { above } else { below }
}

/// binary32 to binary64, one or two of them.
pub(super) fn promote(ty: Ty, a: u128) -> u128 {
    let one = |index| u128::from(promote_one(extract(Ty::F32X4, a, index) as u32));
    if ty.is_vector() { one(0) | one(1) << 64 } else { one(0) }
}

fn promote_one(a: u32) -> u64 {
    if !is_nan::<f32>(u64::from(a)) {
        return f64::from(f32::from_bits(a)).to_bits();
    }
    raise_for_operands::<f32>(&[u64::from(a)]);
    let (sign, fraction) = (u64::from(a >> 31), u64::from(a & 0x7f_ffff));
    sign << 63 | f64::INFINITY.to_bits() | <f64 as Float>::QUIET | fraction << 29
}

/// binary64 to binary32, one or two of them.
pub(super) fn demote(ty: Ty, a: u128) -> u128 {
    let one = |index| u128::from(demote_one(extract(Ty::F64X2, a, index) as u64));
    if ty.is_vector() { one(0) | one(1) << 32 } else { one(0) }
}

fn demote_one(a: u64) -> u32 {
    if !is_nan::<f64>(a) {
        return (f64::from_bits(a) as f32).to_bits();
    }
    raise_for_operands::<f64>(&[a]);
    let (sign, fraction) = ((a >> 63) as u32, (a >> 29) as u32 & 0x7f_ffff);
    sign << 31 | f32::INFINITY.to_bits() | <f32 as Float>::QUIET as u32 | fraction
}

/// `FtoSint` and `FtoUint`, from a scalar of type `from` or from lanes as wide as those of `ty`.
pub(super) fn to_int(op: Op, ty: Ty, from: Ty, aux: u8, a: u128) -> u128 {
    let rounding = Rounding::from_aux(aux);
    let (wide, bits) = (lane_type(ty, from) == Ty::F64, ty.lane().bits());
    let one = |a: u64| {
        if wide { to_int_one::<f64>(op, bits, rounding, a) } else { to_int_one::<f32>(op, bits, rounding, a) }
    };
    if ty.is_vector() { lanes1(ty, a, |a| one(a) as u64) } else { one(a as u64) }
}

fn to_int_one<F: Float>(op: Op, bits: u32, rounding: Rounding, a: u64) -> u128 {
    if is_nan::<F>(a) {
        raise_invalid();
        return 0;
    }
    let rounded = round_number::<F>(a, rounding);
    let max = u128::MAX >> (128 - bits);
    let negative = rounded & F::SIGN != 0;
    let limit = match (op, negative) {
        (Op::FtoUint, true) => 0,
        (Op::FtoUint, false) => max,
        (_, true) => (max >> 1) + 1,
        (_, false) => max >> 1,
    };
    let magnitude = integral_magnitude::<F>(rounded);
    if magnitude > limit {
        raise_invalid();
    } else if rounded != a {
        raise_inexact();
    }
    let magnitude = magnitude.min(limit);
    (if negative { magnitude.wrapping_neg() } else { magnitude }) & max
}

/// The magnitude of an integral value, or the largest number where it is beyond that. The library's conversion may raise
/// that it is inexact.
fn integral_magnitude<F: Float>(a: u64) -> u128 {
    let fraction = F::QUIET.trailing_zeros() + 1;
    let magnitude = a & !F::SIGN;
    let bias = i64::from(F::INFINITY.count_ones() - 1);
    let exponent = (magnitude >> fraction) as i64 - ((1 << bias) - 1) - i64::from(fraction);
    let significand = u128::from(magnitude & ((1 << fraction) - 1) | 1 << fraction);
    match exponent {
        _ if magnitude == 0 => 0,
        // Integral values have no bits below the point.
        ..0 => significand >> (-exponent).min(127),
        0.. if exponent + i64::from(fraction) < 128 => significand << exponent,
        _ => u128::MAX,
    }
}

/// `SintToF` and `UintToF`, from a scalar of type `from` or from lanes as wide as those of `ty`.
pub(super) fn from_int(op: Op, ty: Ty, from: Ty, a: u128) -> u128 {
    by_lane!(ty, from_int_lanes(op, ty, from, a))
}

fn from_int_lanes<F: Float>(op: Op, ty: Ty, from: Ty, a: u128) -> u128 {
    let bits = if ty.is_vector() { ty.lane().bits() } else { from.bits() };
    let one = |a: u128| match op {
        Op::UintToF => F::from_unsigned(a).bits(),
        _ => F::from_signed(super::int::sign_extend(bits, a) as i128).bits(),
    };
    if ty.is_vector() { lanes1(ty, a, |a| one(u128::from(a))) } else { u128::from(one(a)) }
}

/// The type of the floats that are converted to `ty`.
fn lane_type(ty: Ty, from: Ty) -> Ty {
    match (ty.is_vector(), ty.lane().bits()) {
        (false, _) => from,
        (true, 32) => Ty::F32,
        (true, _) => Ty::F64,
    }
}
