//! Estimates of reciprocals and of reciprocal square roots, bit for bit those of the Arm ARM (FPRecipEstimate,
//! FPRSqrtEstimate, and their like for fixed point).
//!
//! The tables of the manual are quotients and roots of small integers, truncated. They are computed as integers, as nothing
//! is to be raised: by a polynomial whose truncated value is one too much or too little at most, and is mended then. Lanes
//! of any format are computed as words that have the sign, the exponent and the top of the fraction. Where one of them is
//! no normal number, or its estimate is none, a helper makes all.

use super::exact::{self, Operation, Shape, either};
use super::operand::{Lifted, v};
use super::simd::{Form, float_lanes, lane_mask, splat, write, zero};
use super::softfloat::Estimated;
use super::word::Word;
use crate::lift::Lift;
use philae_ir::{Builder, IntCond, Sink, Ty, Value};

const WORDS: Ty = Ty::I32X4;

/// Where the upper word of a float has its exponent, and that of the largest number plus one.
#[derive(Clone, Copy)]
struct Format {
    fraction_bits: u32,
    top_exponent: u64,
}

impl Format {
    /// That of lanes of this type; halves are the upper halves of words.
    fn of(ty: Ty) -> Format {
        match ty.lane().bits() {
            16 => Format { fraction_bits: 26, top_exponent: 31 },
            32 => Format { fraction_bits: 23, top_exponent: 255 },
            _ => Format { fraction_bits: 20, top_exponent: 2047 },
        }
    }

    fn exponent(self, exponent: u64) -> u64 {
        exponent << self.fraction_bits
    }
}

fn constant(b: &mut Builder<impl Sink>, value: u64) -> Value {
    splat(b, WORDS, value)
}

fn plus(b: &mut Builder<impl Sink>, value: Value, more: u64) -> Value {
    let more = constant(b, more);
    b.add(WORDS, value, more)
}

fn only(b: &mut Builder<impl Sink>, value: Value, bits: u64) -> Value {
    let bits = constant(b, bits);
    b.and(Ty::V128, value, bits)
}

/// A polynomial of how far words are from the middle of their range, its coefficients from the lowest power on, 12 bits
/// behind the point, for a distance of which `unit` bits are.
struct Polynomial<const N: usize> {
    middle: u64,
    unit: u32,
    coefficients: [i64; N],
}

/// 2^19 / a between 513 and 1023.
const QUOTIENT: Polynomial<5> =
    Polynomial { middle: 768, unit: 8, coefficients: [2_796_203, -927_980, 309_327, -119_589, 39_863] };

/// 2^14 / √a between 257 and 1022.
const ROOT: Polynomial<6> =
    Polynomial { middle: 640, unit: 9, coefficients: [2_654_182, -1_062_280, 590_106, -388_661, 496_791, -364_938] };

impl<const N: usize> Polynomial<N> {
    /// Its integral values for words.
    fn of(&self, b: &mut Builder<impl Sink>, a: Value) -> Value {
        let distance = plus(b, a, self.middle.wrapping_neg());
        let [coefficients @ .., last] = &self.coefficients[..] else { panic!("a polynomial has coefficients") };
        let highest = constant(b, *last as u64);
        let value = coefficients.iter().rev().fold(highest, |value, &coefficient| {
            let product = b.mul(WORDS, value, distance);
            let product = b.vashr_imm(WORDS, product, self.unit);
            plus(b, product, coefficient as u64)
        });
        b.vlshr_imm(WORDS, value, 12)
    }
}

/// Arm ARM, RecipEstimate: words from 513 on, odd (twice 256 to 511, plus one), in; 256 to 511 out.
fn reciprocals(b: &mut Builder<impl Sink>, a: Value) -> Value {
    let quotient = QUOTIENT.of(b, a);
    let product = b.mul(WORDS, quotient, a);
    let dividend = constant(b, 1 << 19);
    let rest = b.sub(WORDS, dividend, product);
    let too_large = b.vashr_imm(WORDS, rest, 31);
    let fits = b.icmp(WORDS, IntCond::Sgt, a, rest);
    let quotient = b.add(WORDS, quotient, too_large);
    half_of_next(b, quotient, fits)
}

/// Arm ARM, RecipSqrtEstimate: words from 257 to 511, odd, or twice such ones, in; 256 to 511 out.
fn root_reciprocals<S: Sink>(b: &mut Builder<S>, a: Value) -> Value {
    const LIMIT: u64 = 1 << 28;
    let limit = constant(b, LIMIT);
    let reaches = |b: &mut Builder<S>, root| {
        let square = b.mul(WORDS, root, root);
        let product = b.mul(WORDS, square, a);
        b.icmp(WORDS, IntCond::Sge, product, limit)
    };
    let root = ROOT.of(b, a);
    let too_large = reaches(b, root);
    let next = plus(b, root, 1);
    let is_last = reaches(b, next);
    let root = b.add(WORDS, root, too_large);
    half_of_next(b, root, is_last)
}

/// Half of a number plus one, or plus two where it is not the right one yet.
fn half_of_next(b: &mut Builder<impl Sink>, number: Value, is_right: Value) -> Value {
    let two = plus(b, number, 2);
    let more = b.add(WORDS, two, is_right);
    b.vlshr_imm(WORDS, more, 1)
}

/// 257 plus twice the seven bits of `fraction` from bit `lowest` on, and that twice where `doubled` is all ones.
fn root_operand(b: &mut Builder<impl Sink>, fraction: Value, lowest: u32, doubled: Value) -> Value {
    let moved = b.vlshr_imm(WORDS, fraction, lowest - 1);
    let even = only(b, moved, 0xfe);
    let odd = plus(b, even, 257);
    let again = b.and(Ty::V128, odd, doubled);
    b.add(WORDS, odd, again)
}

/// The estimates of floats in words, and masks of those that are right.
fn estimates(b: &mut Builder<impl Sink>, format: Format, what: Estimated, n: Value) -> (Value, Value) {
    let Format { fraction_bits, top_exponent } = format;
    let infinity = format.exponent(top_exponent);
    let smallest = format.exponent(1).wrapping_neg();
    match what {
        Estimated::Reciprocal => {
            let size = only(b, n, 0x7fff_ffff);
            let from_smallest = plus(b, size, smallest);
            let limit = constant(b, format.exponent(top_exponent - 3));
            let normal = b.icmp(WORDS, IntCond::Ult, from_smallest, limit);
            let moved = b.vlshr_imm(WORDS, n, fraction_bits - 9);
            let fraction = only(b, moved, 0x1fe);
            let a = plus(b, fraction, 513);
            let estimate = reciprocals(b, a);
            let exponent = only(b, n, infinity);
            let from = constant(b, format.exponent(top_exponent - 2));
            let exponent = b.sub(WORDS, from, exponent);
            let sign = only(b, n, 0x8000_0000);
            let upper = b.or(Ty::V128, sign, exponent);
            (with_fraction(b, format, upper, estimate), normal)
        }
        Estimated::Root => {
            let from_smallest = plus(b, n, smallest);
            let limit = constant(b, format.exponent(top_exponent - 1));
            let normal = b.icmp(WORDS, IntCond::Ult, from_smallest, limit);
            let exponent = b.vlshr_imm(WORDS, n, fraction_bits);
            let odd = only(b, exponent, 1);
            let is_even = plus(b, odd, u64::MAX);
            let a = root_operand(b, n, fraction_bits - 7, is_even);
            let estimate = root_reciprocals(b, a);
            let from = constant(b, 3 * (top_exponent >> 1) - 1);
            let twice = b.sub(WORDS, from, exponent);
            let exponent = b.vlshr_imm(WORDS, twice, 1);
            let upper = b.vshl_imm(WORDS, exponent, fraction_bits);
            (with_fraction(b, format, upper, estimate), normal)
        }
    }
}

/// Sign and exponent, and an estimate below its leading bit.
fn with_fraction(b: &mut Builder<impl Sink>, format: Format, upper: Value, estimate: Value) -> Value {
    let fraction = only(b, estimate, 0xff);
    let fraction = b.vshl_imm(WORDS, fraction, format.fraction_bits - 8);
    b.or(Ty::V128, upper, fraction)
}

/// The estimates of lanes of `ty`, and a truth value: that those which `form` means are right.
fn lanes<S: Sink>(b: &mut Builder<S>, (form, ty): (Form, Ty), what: Estimated, n: Value) -> (Value, Value) {
    let format = Format::of(ty);
    let counted = match form {
        Form::Scalar => 1,
        Form::Half => 64 / ty.lane().bits(),
        Form::Full => 128 / ty.lane().bits(),
    };
    // The upper half of a lane is in a word's upper half, or is a word.
    let words = |b: &mut Builder<S>, first: usize| match ty.lane().bits() {
        16 => b.shuffle(n, n, lane_mask(2, |i| if i % 2 == 1 { first + i / 2 } else { 16 })),
        32 => n,
        _ => b.shuffle(n, n, lane_mask(4, |i| 2 * (i % 2) + 1)),
    };
    let low = words(b, 0);
    let (low, mut normal) = estimates(b, format, what, low);
    let mut high = low;
    if counted > 4 {
        let words = words(b, 4);
        let (upper, also) = estimates(b, format, what, words);
        (high, normal) = (upper, b.and(Ty::V128, normal, also));
    }
    let result = match ty.lane().bits() {
        16 => b.shuffle(low, high, lane_mask(2, |i| 2 * i + 1)),
        32 => low,
        _ => b.shuffle(low, low, lane_mask(4, |i| if i % 2 == 1 { i / 2 } else { 8 })),
    };
    let all = (1 << counted.min(4)) - 1;
    let mask = b.lane_mask(WORDS, normal);
    let mask = b.and_imm(Ty::I32, mask, all);
    (result, b.icmp_imm(Ty::I32, IntCond::Eq, mask, all))
}

fn estimate_lanes<S: Sink>(w: Word, l: &mut Lift<S>, (form, ty): (Form, Ty), shape: Shape, what: Estimated) -> Lifted {
    let operation = match what {
        Estimated::Reciprocal => Operation::RecipEstimate,
        Estimated::Root => Operation::RsqrtEstimate,
    };
    if exact::is_on(l) {
        return exact::source(w, l, shape, operation);
    }
    let n = v(l, ty, w.rn());
    let (result, all_right) = lanes(&mut l.b, (form, ty), what, n);
    let exactly = |l: &mut Lift<S>| exact::source_lanes(w, l, shape, operation);
    either(l, all_right, |l| write(w, l, form, ty, result), exactly);
    Ok(())
}

/// FRECPE, FRSQRTE of singles and doubles.
pub(super) fn estimate(w: Word, l: &mut Lift<impl Sink>, what: Estimated) -> Lifted {
    let lanes = float_lanes(w)?;
    estimate_lanes(w, l, lanes, Shape::of_vector(w), what)
}

/// FRECPE, FRSQRTE of halves.
pub(super) fn estimate_halves(w: Word, l: &mut Lift<impl Sink>, what: Estimated) -> Lifted {
    estimate_lanes(w, l, (Form::of(w), Ty::I16X8), Shape::of_halves(w), what)
}

/// URECPE: all ones for what is below a half.
pub(super) fn urecpe(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let n = v(l, Ty::V128, w.rn());
    let b = &mut l.b;
    let moved = b.vlshr_imm(WORDS, n, 22);
    let fraction = only(b, moved, 0x1fe);
    let a = plus(b, fraction, 513);
    let estimate = reciprocals(b, a);
    let is_large = b.vashr_imm(WORDS, n, 31);
    finish_unsigned(w, l, is_large, estimate)
}

/// URSQRTE: all ones for what is below a quarter.
pub(super) fn ursqrte(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let n = v(l, Ty::V128, w.rn());
    let b = &mut l.b;
    let is_half = b.vashr_imm(WORDS, n, 31);
    let doubled = b.vshl_imm(WORDS, n, 1);
    let fraction = b.bit_select(is_half, n, doubled);
    let a = root_operand(b, fraction, 24, is_half);
    let estimate = root_reciprocals(b, a);
    let top = b.vlshr_imm(WORDS, n, 30);
    let zero = zero(b);
    let is_large = b.icmp(WORDS, IntCond::Ne, top, zero);
    finish_unsigned(w, l, is_large, estimate)
}

fn finish_unsigned(w: Word, l: &mut Lift<impl Sink>, is_large: Value, estimate: Value) -> Lifted {
    let estimate = l.b.vshl_imm(WORDS, estimate, 23);
    let ones = constant(&mut l.b, u64::MAX);
    let result = l.b.bit_select(is_large, estimate, ones);
    write(w, l, Form::of(w), WORDS, result);
    Ok(())
}
