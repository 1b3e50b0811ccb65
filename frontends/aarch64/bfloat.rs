//! FEAT_BF16: binary32 without its 16 low bits.

use super::exact::{self, Narrowed, Shape};
use super::helpers::{helpers, odd_single, round_to_format};
use super::operand::{Lifted, set_v, v};
use super::simd::{Form, lane_mask, sources, write, write_narrow};
use super::simd_wide::element;
use super::softfloat::{BRAIN, SINGLE};
use super::word::Word;
use crate::lift::Lift;
use philae_ir::{CpuState, NanRule, Ty, Value};

helpers! {
    /// binary32 to BFloat16.
    NARROW "a64_bfloat_narrow" (1) -> I16, Pure, |_, [a, ..]| u128::from(narrow(a as u32));
    /// Four binary32 lanes to BFloat16, zeroes above.
    NARROW_LANES "a64_bfloat_narrow_lanes" (1) -> V128, Pure, |_, [a, ..]| {
        (0..4).fold(0, |all, i| all | u128::from(narrow((a >> (32 * i)) as u32)) << (16 * i))
    };
    /// BFDOT of Vd, Vn and Vm.
    DOT "a64_bfloat_dot" (3) -> V128, Pure, dot_lanes;
    /// BFMMLA of Vd, Vn and Vm.
    MATRIX "a64_bfloat_matrix" (3) -> V128, Pure, matrix_lanes;
}

/// Rounded as the host rounds now; NaNs are quieted and keep sign and the top of the payload.
fn narrow(single: u32) -> u16 {
    let value = f32::from_bits(single);
    let top = (single >> 16) as u16;
    if value.is_nan() {
        return top | 0x40;
    }
    if value.is_infinite() {
        return top;
    }
    top & 0x8000 | round_to_format(f64::from(value), -126, 7) as u16
}

/// Arm ARM, BFRound: rounded to odd, so that the last bit tells of inexactness; subnormals are flushed, what is too large
/// becomes an infinity, NaNs are the default one.
fn round_to_odd(value: f64) -> f32 {
    if value.is_nan() {
        return f32::from_bits(0x7fc0_0000);
    }
    let sign = if value.is_sign_negative() { -1f32 } else { 1f32 };
    if value.abs() < f64::from(f32::MIN_POSITIVE) {
        return 0f32.copysign(sign);
    }
    if value.abs() >= 2f64.powi(128) {
        return f32::INFINITY.copysign(sign);
    }
    f32::from_bits(odd_single(value.to_bits()))
}

fn flushed(bits: u32) -> f64 {
    let value = f32::from_bits(bits);
    f64::from(if value.is_subnormal() { 0f32.copysign(value) } else { value })
}

/// Arm ARM, BFMulH: a double holds the product of two significands of eight bits.
fn multiply(a: u32, b: u32) -> f32 {
    round_to_odd(flushed(a) * flushed(b))
}

/// Arm ARM, BFAdd. Operands are no subnormals.
fn add(a: f32, b: f32) -> f32 {
    let (a, b) = if a.abs() < b.abs() { (f64::from(b), f64::from(a)) } else { (f64::from(a), f64::from(b)) };
    // So small a number beside a only makes the result inexact: a larger one, whose sum a double holds, will do.
    let least = a.abs() * 2f64.powi(-28);
    let b = if b != 0.0 && a.is_finite() && b.abs() < least { least.copysign(b) } else { b };
    let sum = a + b;
    // A sum of opposite numbers is +0, however the host rounds.
    round_to_odd(if sum == 0.0 && !(a.is_sign_negative() && b.is_sign_negative()) { 0.0 } else { sum })
}

/// The BFloat16 at place `i`, as the bits of a single.
fn lane(v: u128, i: usize) -> u32 {
    u32::from((v >> (16 * i)) as u16) << 16
}

/// Arm ARM, BFDotAdd: two products, from the lanes `i` of n and `j` of m on, and `addend`.
fn dot(addend: f32, n: u128, i: usize, m: u128, j: usize) -> f32 {
    let first = multiply(lane(n, i), lane(m, j));
    let second = multiply(lane(n, i + 1), lane(m, j + 1));
    add(flushed(addend.to_bits()) as f32, add(first, second))
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

/// BFCVT.
pub(super) fn bfcvt(w: Word, l: &mut Lift<'_>) -> Lifted {
    if exact::is_on(l) {
        let n = exact::whole(l, w.rn());
        let result = exact::convert(l, (SINGLE, BRAIN), 1, Narrowed::Rounded, n);
        return exact::write(w, l, Shape::scalar(16), result);
    }
    let n = v(l, Ty::F32, w.rn());
    let result = l.b.call(&NARROW, &[n]);
    set_v(l, Ty::I16, w.rd(), result);
    Ok(())
}

/// BFCVTN, BFCVTN2.
pub(super) fn bfcvtn(w: Word, l: &mut Lift<'_>) -> Lifted {
    let n = v(l, Ty::V128, w.rn());
    let result = if exact::is_on(l) {
        exact::convert(l, (SINGLE, BRAIN), 4, Narrowed::Rounded, n)
    } else {
        l.b.call(&NARROW_LANES, &[n])
    };
    write_narrow(w, l, result);
    Ok(())
}

fn accumulate(w: Word, l: &mut Lift<'_>, n: Value, m: Value) -> Lifted {
    let d = v(l, Ty::V128, w.rd());
    let result = l.b.call(&DOT, &[d, n, m]);
    write(w, l, Form::of(w), Ty::F32X4, result);
    Ok(())
}

/// BFDOT (vector).
pub(super) fn bfdot(w: Word, l: &mut Lift<'_>) -> Lifted {
    let (n, m) = sources(w, l, Ty::V128);
    accumulate(w, l, n, m)
}

/// BFDOT (by element): the element is two BFloat16.
pub(super) fn bfdot_element(w: Word, l: &mut Lift<'_>) -> Lifted {
    let n = v(l, Ty::V128, w.rn());
    let m = element(w, l, Ty::I32X4);
    accumulate(w, l, n, m)
}

/// BFMMLA.
pub(super) fn bfmmla(w: Word, l: &mut Lift<'_>) -> Lifted {
    let (n, m) = sources(w, l, Ty::V128);
    let d = v(l, Ty::V128, w.rd());
    let result = l.b.call(&MATRIX, &[d, n, m]);
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

/// The even lanes, or the odd ones where Q is set, as singles.
fn promoted(w: Word, l: &mut Lift<'_>, value: Value) -> Value {
    if w.is_set(30) {
        let down = l.b.vlshr_imm(Ty::I32X4, value, 16);
        return l.b.vshl_imm(Ty::I32X4, down, 16);
    }
    l.b.vshl_imm(Ty::I32X4, value, 16)
}

fn multiply_add(w: Word, l: &mut Lift<'_>, n: Value, m: Value) -> Lifted {
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
pub(super) fn bfmlal(w: Word, l: &mut Lift<'_>) -> Lifted {
    let (n, m) = sources(w, l, Ty::V128);
    multiply_add(w, l, n, m)
}

/// BFMLALB, BFMLALT (by element).
pub(super) fn bfmlal_element(w: Word, l: &mut Lift<'_>) -> Lifted {
    let n = v(l, Ty::V128, w.rn());
    let index = w.bits(11, 11) << 2 | w.bits(21, 20);
    let m = v(l, Ty::V128, w.rm() & 15);
    let m = l.b.shuffle(m, m, lane_mask(2, |_| index as usize));
    multiply_add(w, l, n, m)
}
