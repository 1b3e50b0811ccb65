//! FEAT_BF16: binary32 without its 16 low bits.
//!
//! BFDOT and BFMMLA raise no status flags: whatever of them the host's unit computes is exact.

use super::exact::{self, Narrowed, Shape};
use super::float::power_of_two;
use super::helpers::helpers;
use super::operand::{Lifted, set_v, v};
use super::simd::{Form, counted, lane_mask, sources, splat, write, write_narrow, zero};
use super::simd_wide::element;
use super::softfloat::{BRAIN, SINGLE};
use super::word::Word;
use crate::lift::Lift;
use philae_ir::state::aarch64::FPCR;
use philae_ir::{CpuState, FloatCond, IntCond, NanRule, Op, Sink, Ty, Value};
use std::hint::black_box;

/// The bits of a single infinity.
const INFINITY: u32 = f32::INFINITY.to_bits();
/// FPCR.RMode.
const MODE: u64 = 3 << 22;

helpers! {
    /// BFDOT of Vd, Vn and Vm.
    DOT "a64_bfloat_dot" (3) -> V128, Pure, dot_lanes;
    /// BFMMLA of Vd, Vn and Vm.
    MATRIX "a64_bfloat_matrix" (3) -> V128, Pure, matrix_lanes;
}

/// Arm ARM, BFRound, of a number: rounded to odd, so that the last bit tells of inexactness; subnormals are flushed, what is
/// too large becomes an infinity. Like all that the helpers compute this raises nothing.
fn round_to_odd(value: f64) -> f32 {
    const BEYOND: u64 = (1 << 29) - 1;
    /// How much larger exponents of doubles are, in the place of a single's.
    const BIAS: u64 = (1023 - 127) << 23;
    let bits = value.to_bits();
    let sign = (bits >> 32) as u32 & 1 << 31;
    let magnitude = if value.abs() < f64::from(f32::MIN_POSITIVE) {
        0
    } else if value.abs() >= 2f64.powi(128) {
        INFINITY
    } else {
        // The bits that a single has not are gathered in the last that it has.
        let gathered = (bits | ((bits & BEYOND) + BEYOND)) & i64::MAX as u64;
        ((gathered >> 29) - BIAS) as u32
    };
    f32::from_bits(sign | magnitude)
}

/// The bits of a single but its sign.
fn size(bits: u32) -> u32 {
    bits & 0x7fff_ffff
}

/// The bits of a single without being subnormal.
fn flushed(bits: u32) -> u32 {
    if size(bits) < f32::MIN_POSITIVE.to_bits() { bits & 1 << 31 } else { bits }
}

/// `f` of two singles, or the default NaN where one of them is a NaN or they are `invalid` together. Bits are looked at,
/// and zeroes computed with then, as a host's unit raises something wherever it meets a NaN.
fn of_numbers([a, b]: [u32; 2], invalid: bool, f: impl Fn(f64, f64) -> f64) -> f32 {
    let nan = invalid || size(a).max(size(b)) > INFINITY;
    let [a, b] = if nan { [0, 0] } else { [a, b] };
    // The optimiser would see that it is the same without the zeroes.
    let [a, b] = black_box([a, b]).map(|bits| f64::from(f32::from_bits(bits)));
    let result = round_to_odd(f(a, b));
    if nan { f32::from_bits(0x7fc0_0000) } else { result }
}

/// Arm ARM, BFMulH: a double holds the product of two significands of eight bits.
fn multiply(a: u32, b: u32) -> f32 {
    let (a, b) = (flushed(a), flushed(b));
    let invalid = [size(a), size(b)] == [0, INFINITY] || [size(a), size(b)] == [INFINITY, 0];
    of_numbers([a, b], invalid, |a, b| a * b)
}

/// Arm ARM, BFAdd. Operands are no subnormals.
fn add(a: f32, b: f32) -> f32 {
    let (a, b) = (a.to_bits(), b.to_bits());
    let (a, b) = if size(a) < size(b) { (b, a) } else { (a, b) };
    let invalid = size(a) == INFINITY && b == a ^ 1 << 31;
    of_numbers([a, b], invalid, |a, b| {
        // So small a number beside a only makes the result inexact: a larger one, whose sum a double holds, will do.
        let least = a.abs() * 2f64.powi(-28);
        let b = if b != 0.0 && a.is_finite() && b.abs() < least { least.copysign(b) } else { b };
        let sum = a + black_box(b);
        // A sum of opposite numbers is +0, however the host rounds.
        if sum == 0.0 && !(a.is_sign_negative() && b.is_sign_negative()) { 0.0 } else { sum }
    })
}

/// The BFloat16 at place `i`, as the bits of a single.
fn lane(v: u128, i: usize) -> u32 {
    u32::from((v >> (16 * i)) as u16) << 16
}

/// Arm ARM, BFDotAdd: two products, from the lanes `i` of n and `j` of m on, and `addend`.
fn dot(addend: f32, n: u128, i: usize, m: u128, j: usize) -> f32 {
    let first = multiply(lane(n, i), lane(m, j));
    let second = multiply(lane(n, i + 1), lane(m, j + 1));
    add(f32::from_bits(flushed(addend.to_bits())), add(first, second))
}

fn singles(f: impl Fn(usize) -> f32) -> u128 {
    (0..4).fold(0, |all, i| all | u128::from(f(i).to_bits()) << (32 * i))
}

fn single(v: u128, i: usize) -> f32 {
    f32::from_bits((v >> (32 * i)) as u32)
}

fn dot_lanes(_state: &mut CpuState, [d, n, m]: [u128; 3]) -> u128 {
    singles(|i| dot(single(d, i), n, 2 * i, m, 2 * i))
}

fn matrix_lanes(_state: &mut CpuState, [d, n, m]: [u128; 3]) -> u128 {
    singles(|i| {
        let (row, column) = (i / 2 * 4, i % 2 * 4);
        let first = dot(single(d, i), n, row, m, column);
        dot(first, n, row + 2, m, column + 2)
    })
}

/// Singles rounded to BFloat16 in the low lanes, as FPCR says, zeroes above; NaNs are quieted and keep sign and the top of the
/// payload.
fn narrow<S: Sink>(l: &mut Lift<S>, n: Value) -> Value {
    const UP: u64 = 1 << 22;
    const ZERO: u64 = MODE;
    let fpcr = l.b.get(Ty::I32, FPCR);
    let mode = l.b.and_imm(Ty::I32, fpcr, MODE);
    let if_mode = |l: &mut Lift<S>, cond, rounding, bits| {
        let is = l.b.icmp_imm(Ty::I32, cond, mode, rounding);
        let (yes, no) = (l.b.iconst(Ty::I32, bits), l.b.iconst(Ty::I32, 0));
        let word = l.b.select(Ty::I32, is, yes, no);
        l.b.splat(Ty::I32X4, word)
    };
    // Directed roundings add all that is below where they go away from zero, to nearest adds less than half of it.
    let is_nearest = if_mode(l, IntCond::Eq, 0, u64::from(u32::MAX));
    let flipped = if_mode(l, IntCond::Eq, UP, u64::from(u32::MAX));
    let is_truncated = if_mode(l, IntCond::Eq, ZERO, u64::from(u32::MAX));
    let negative = l.b.vashr_imm(Ty::I32X4, n, 31);
    let away = l.b.xor(Ty::V128, negative, flipped);
    let away = l.b.and_not(Ty::V128, away, is_truncated);
    let below = splat(&mut l.b, Ty::I32X4, 0xffff);
    let directed = l.b.and(Ty::V128, away, below);
    let last = l.b.vlshr_imm(Ty::I32X4, n, 16);
    let one = splat(&mut l.b, Ty::I32X4, 1);
    let last = l.b.and(Ty::V128, last, one);
    let half = splat(&mut l.b, Ty::I32X4, 0x7fff);
    let nearest = l.b.add(Ty::I32X4, last, half);
    let more = l.b.bit_select(is_nearest, nearest, directed);
    let rounded = l.b.add(Ty::I32X4, n, more);
    raise_narrowing(l, n, rounded);

    // The comparison raises what signalling NaNs do.
    let is_nan = l.b.fcmp(Ty::F32X4, FloatCond::Un, n, n);
    let quiet = splat(&mut l.b, Ty::I32X4, 1 << 22);
    let quieted = l.b.or(Ty::V128, n, quiet);
    let result = l.b.bit_select(is_nan, quieted, rounded);
    l.b.shuffle(result, result, lane_mask(2, |i| if i < 4 { 2 * i + 1 } else { 16 }))
}

/// Raises what rounding singles to BFloat16 does; NaNs aside. `rounded` has the results' bits in the upper halves of its lanes.
fn raise_narrowing(l: &mut Lift<impl Sink>, n: Value, rounded: Value) {
    let [infinity, below, normal, largest] =
        [0x7f80_0000, 0xffff, 0x80_0000, u64::from(f32::MAX.to_bits())].map(|bits| splat(&mut l.b, Ty::I32X4, bits));
    let zero = zero(&mut l.b);
    let [size, rounded_size] = [n, rounded].map(|value| l.b.fabs(Ty::F32X4, value));
    let finite = l.b.icmp(Ty::I32X4, IntCond::Sgt, infinity, size);

    let lost = l.b.and(Ty::V128, n, below);
    let exact = l.b.icmp(Ty::I32X4, IntCond::Eq, lost, zero);
    let inexact = l.b.and_not(Ty::V128, finite, exact);
    let [one, little] = [0, -60].map(|power| {
        let number = splat(&mut l.b, Ty::F32X4, power_of_two(Ty::F32X4, power));
        l.b.and(Ty::V128, number, inexact)
    });
    l.b.float2(Op::Fadd, Ty::F32X4, NanRule::X86, one, little);

    // 2^-16 times a subnormal single is one if it has no bits that BFloat16 lacks.
    let is_small = l.b.icmp(Ty::I32X4, IntCond::Sgt, normal, size);
    let small = l.b.and(Ty::V128, size, is_small);
    let scale = splat(&mut l.b, Ty::F32X4, power_of_two(Ty::F32X4, -16));
    l.b.float2(Op::Fmul, Ty::F32X4, NanRule::X86, small, scale);

    let fits = l.b.icmp(Ty::I32X4, IntCond::Sgt, infinity, rounded_size);
    let overflows = l.b.and_not(Ty::V128, finite, fits);
    let large = l.b.and(Ty::V128, largest, overflows);
    l.b.float2(Op::Fmul, Ty::F32X4, NanRule::X86, large, large);
}

/// BFCVT.
pub(super) fn bfcvt(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    if exact::is_on(l) {
        let n = exact::whole(l, w.rn());
        let result = exact::convert(l, (SINGLE, BRAIN), 1, Narrowed::Rounded, n);
        return exact::write(w, l, Shape::scalar(16), result);
    }
    let n = counted(l, Form::Scalar, Ty::F32X4, w.rn());
    let result = narrow(l, n);
    let result = l.b.extract_lane(Ty::I16X8, result, 0);
    set_v(l, Ty::I16, w.rd(), result);
    Ok(())
}

/// BFCVTN, BFCVTN2.
pub(super) fn bfcvtn(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let n = v(l, Ty::V128, w.rn());
    let result =
        if exact::is_on(l) { exact::convert(l, (SINGLE, BRAIN), 4, Narrowed::Rounded, n) } else { narrow(l, n) };
    write_narrow(w, l, result);
    Ok(())
}

/// Whether all lanes that `form` means are zeroes or of a size that no sum or product of theirs overflows or becomes
/// subnormal, and the host rounds to nearest: then [`dot_of_ordinary`] is right.
fn are_ordinary(l: &mut Lift<impl Sink>, form: Form, [d, n, m]: [Value; 3]) -> Value {
    // From 2^-100 to 2^100, and from 2^-50 to 2^50, as bits.
    let singles = is_within(l, Ty::I32X4, [27 << 23, 227 << 23], d);
    let [n, m] = [n, m].map(|lanes| is_within(l, Ty::I16X8, [77 << 7, 177 << 7], lanes));
    let factors = l.b.and(Ty::V128, n, m);
    let all = l.b.and(Ty::V128, factors, singles);
    let mask = l.b.lane_mask(Ty::I8X16, all);
    let counted = if form == Form::Full { 0xffff } else { 0xff };
    let mask = l.b.and_imm(Ty::I32, mask, counted);
    let ordinary = l.b.icmp_imm(Ty::I32, IntCond::Eq, mask, counted);
    let fpcr = l.b.get(Ty::I32, FPCR);
    let mode = l.b.and_imm(Ty::I32, fpcr, MODE);
    let nearest = l.b.icmp_imm(Ty::I32, IntCond::Eq, mode, 0);
    l.b.and(Ty::I8, ordinary, nearest)
}

/// A mask of lanes that are zero, or whose magnitude is from the first bound on and below the second.
fn is_within(l: &mut Lift<impl Sink>, ty: Ty, [low, high]: [u64; 2], lanes: Value) -> Value {
    let magnitude = splat(&mut l.b, ty, (ty.lane().mask() >> 1) as u64);
    let size = l.b.and(Ty::V128, lanes, magnitude);
    let zero = zero(&mut l.b);
    let is_zero = l.b.icmp(ty, IntCond::Eq, size, zero);
    let low_lanes = splat(&mut l.b, ty, low);
    let from_low = l.b.sub(ty, size, low_lanes);
    let width = splat(&mut l.b, ty, high - low);
    let inside = l.b.icmp(ty, IntCond::Ult, from_low, width);
    l.b.or(Ty::V128, is_zero, inside)
}

/// Arm ARM, BFDotAdd: d and the sum of two products of each lane, both sums rounded to odd; products are exact.
fn dot_of_ordinary(l: &mut Lift<impl Sink>, d: Value, n: Value, m: Value) -> Value {
    let upper = splat(&mut l.b, Ty::I32X4, 0xffff_0000);
    let [first, second] = [n, m].map(|pairs| [l.b.vshl_imm(Ty::I32X4, pairs, 16), l.b.and(Ty::V128, pairs, upper)]);
    let [low, high] = [0, 1].map(|i| l.b.float2(Op::Fmul, Ty::F32X4, NanRule::X86, first[i], second[i]));
    let products = sum_to_odd(l, low, high);
    sum_to_odd(l, d, products)
}

/// The sum of two singles, rounded to odd. A double holds it, where the smaller one is not so much smaller that it only
/// makes the sum inexact; then it is replaced by a larger one that does the same.
fn sum_to_odd<S: Sink>(l: &mut Lift<S>, a: Value, b: Value) -> Value {
    const FAR: u64 = 28 << 23;
    let [a_size, b_size] = [a, b].map(|value| l.b.fabs(Ty::F32X4, value));
    let exchanged = l.b.icmp(Ty::I32X4, IntCond::Sgt, b_size, a_size);
    let large = l.b.bit_select(exchanged, b, a);
    let small = l.b.bit_select(exchanged, a, b);
    let [large_size, small_size] = [large, small].map(|value| l.b.fabs(Ty::F32X4, value));
    let far = splat(&mut l.b, Ty::I32X4, FAR);
    let least = l.b.sub(Ty::I32X4, large_size, far);
    let is_less = l.b.icmp(Ty::I32X4, IntCond::Sgt, least, small_size);
    let zero = zero(&mut l.b);
    let is_zero = l.b.icmp(Ty::I32X4, IntCond::Eq, small_size, zero);
    let is_far = l.b.and_not(Ty::V128, is_less, is_zero);
    let magnitudes = splat(&mut l.b, Ty::I32X4, 0x7fff_ffff);
    let sign = l.b.and_not(Ty::V128, small, magnitudes);
    let least = l.b.or(Ty::V128, least, sign);
    let small = l.b.bit_select(is_far, least, small);

    let [low, high] = [0, 8].map(|first| {
        let two = |l: &mut Lift<S>, value| {
            let lanes = l.b.shuffle(value, value, std::array::from_fn(|i| (first + i as u8) % 16));
            l.b.fpromote(Ty::F64X2, lanes)
        };
        let (large, small) = (two(l, large), two(l, small));
        let sum = l.b.float2(Op::Fadd, Ty::F64X2, NanRule::X86, large, small);
        doubles_to_odd(l, sum)
    });
    l.b.shuffle(low, high, lane_mask(8, |i| 2 * i))
}

/// Two doubles as singles, rounded to odd: the bits that a single has not are gathered in the last that it has.
fn doubles_to_odd(l: &mut Lift<impl Sink>, doubles: Value) -> Value {
    let beyond = splat(&mut l.b, Ty::I64X2, (1 << 29) - 1);
    let below = l.b.and(Ty::V128, doubles, beyond);
    let carry = l.b.add(Ty::I64X2, below, beyond);
    let gathered = l.b.or(Ty::V128, doubles, carry);
    let odd = l.b.and_not(Ty::V128, gathered, beyond);
    l.b.fdemote(Ty::F32X4, odd)
}

fn accumulate<S: Sink>(w: Word, l: &mut Lift<S>, n: Value, m: Value) -> Lifted {
    let d = v(l, Ty::V128, w.rd());
    let form = Form::of(w);
    let ordinary = are_ordinary(l, form, [d, n, m]);
    let fast = |l: &mut Lift<S>| {
        // Lanes that do not count are copies of those that do.
        let counted = |lanes| if form == Form::Full { lanes } else { l.b.shuffle(lanes, lanes, lane_mask(8, |_| 0)) };
        let [d, n, m] = [d, n, m].map(counted);
        let result = dot_of_ordinary(l, d, n, m);
        write(w, l, form, Ty::F32X4, result);
    };
    let any = |l: &mut Lift<S>| {
        let result = l.b.call(&DOT, &[d, n, m]);
        write(w, l, form, Ty::F32X4, result);
    };
    exact::either(l, ordinary, fast, any);
    Ok(())
}

/// BFDOT (vector).
pub(super) fn bfdot(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (n, m) = sources(w, l, Ty::V128);
    accumulate(w, l, n, m)
}

/// BFDOT (by element): the element is two BFloat16.
pub(super) fn bfdot_element(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let n = v(l, Ty::V128, w.rn());
    let m = element(w, l, Ty::I32X4);
    accumulate(w, l, n, m)
}

/// BFMMLA.
pub(super) fn bfmmla<S: Sink>(w: Word, l: &mut Lift<S>) -> Lifted {
    let (n, m) = sources(w, l, Ty::V128);
    let d = v(l, Ty::V128, w.rd());
    let ordinary = are_ordinary(l, Form::Full, [d, n, m]);
    let fast = |l: &mut Lift<S>| {
        // Pair `k` of the row and of the column of each lane.
        let result = [0, 1].into_iter().fold(d, |sum, k| {
            let rows = l.b.shuffle(n, n, lane_mask(4, |i| 2 * (i / 2) + k));
            let columns = l.b.shuffle(m, m, lane_mask(4, |i| 2 * (i % 2) + k));
            dot_of_ordinary(l, sum, rows, columns)
        });
        set_v(l, Ty::V128, w.rd(), result);
    };
    let any = |l: &mut Lift<S>| {
        let result = l.b.call(&MATRIX, &[d, n, m]);
        set_v(l, Ty::V128, w.rd(), result);
    };
    exact::either(l, ordinary, fast, any);
    Ok(())
}

/// The even lanes, or the odd ones where Q is set, as singles.
fn promoted(w: Word, l: &mut Lift<impl Sink>, value: Value) -> Value {
    if w.is_set(30) {
        let down = l.b.vlshr_imm(Ty::I32X4, value, 16);
        return l.b.vshl_imm(Ty::I32X4, down, 16);
    }
    l.b.vshl_imm(Ty::I32X4, value, 16)
}

fn multiply_add(w: Word, l: &mut Lift<impl Sink>, n: Value, m: Value) -> Lifted {
    let (n, m) = (promoted(w, l, n), promoted(w, l, m));
    let d = v(l, Ty::V128, w.rd());
    let result = if exact::is_on(l) {
        exact::fused_value(l, Shape::of(Form::Full, 32), d, n, m)
    } else {
        l.b.fmul_add(Ty::F32X4, NanRule::Arm, n, m, d)
    };
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

/// BFMLALB, BFMLALT (vector).
pub(super) fn bfmlal(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (n, m) = sources(w, l, Ty::V128);
    multiply_add(w, l, n, m)
}

/// BFMLALB, BFMLALT (by element).
pub(super) fn bfmlal_element(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let n = v(l, Ty::V128, w.rn());
    let index = w.bits(11, 11) << 2 | w.bits(21, 20);
    let m = v(l, Ty::V128, w.rm() & 15);
    let m = l.b.shuffle(m, m, lane_mask(2, |_| index as usize));
    multiply_add(w, l, n, m)
}
