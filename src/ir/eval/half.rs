//! binary16, four lanes at a time, to and from binary32. What an operation raises, the host's unit raises.

use super::float::raise_invalid;
use std::hint::black_box;

const SIGN: u16 = 0x8000;
const INFINITY: u16 = 0x7c00;
const QUIET: u32 = 1 << 22;

/// `FpromoteHalf`.
pub(super) fn promote(a: u128) -> u128 {
    each(a, 16, 32, |half| promote_one(half as u16))
}

/// `FwidenHalf`.
pub(super) fn widen(a: u128) -> u128 {
    each(a, 16, 32, |half| widen_one(half as u16))
}

/// `FdemoteHalf`.
pub(super) fn demote(a: u128) -> u128 {
    each(a, 32, 16, |single| u32::from(demote_one(single)))
}

/// `f` of the four low lanes of width `from`, in lanes of width `to`.
fn each(a: u128, from: u32, to: u32, f: impl Fn(u32) -> u32) -> u128 {
    (0..4).fold(0, |all, lane| all | u128::from(f((a >> (from * lane)) as u32)) << (to * lane))
}

fn promote_one(half: u16) -> u32 {
    widen_one(half) | if half & !SIGN > INFINITY { QUIET } else { 0 }
}

fn widen_one(half: u16) -> u32 {
    if half & !SIGN > INFINITY && half & 0x200 == 0 {
        raise_invalid();
    }
    let sign = u32::from(half & SIGN) << 16;
    let fraction = u32::from(half & 0x3ff);
    sign | match half >> 10 & 31 {
        31 => f32::INFINITY.to_bits() | fraction << 13,
        0 => (fraction as f32 * 2f32.powi(-24)).to_bits(),
        exponent => (u32::from(exponent) + 127 - 15) << 23 | fraction << 13,
    }
}

/// Rounded as the host rounds now.
fn demote_one(single: u32) -> u16 {
    let value = f32::from_bits(single);
    let sign = (single >> 16) as u16 & SIGN;
    if value.is_nan() {
        if single & QUIET == 0 {
            raise_invalid();
        }
        return sign | INFINITY | 0x200 | (single >> 13) as u16 & 0x1ff;
    }
    if value.is_infinite() {
        return sign | INFINITY;
    }
    if value.abs() >= 65536.0 {
        return sign | if overflows(sign) { INFINITY } else { INFINITY - 1 };
    }
    // 2^-125 times what is a multiple of the smallest half, and nothing else, is one of the smallest single.
    if value.abs() < 2f32.powi(-14) {
        black_box(black_box(value) * black_box(f32::MIN_POSITIVE * 2.0));
    }
    let magnitude = round(f64::from(value));
    if magnitude == INFINITY {
        overflows(sign);
    }
    sign | magnitude
}

/// Whether what is too large becomes an infinity, rather than the largest number of its sign, as the host rounds now.
/// Raises what it does.
fn overflows(sign: u16) -> bool {
    let largest = if sign == 0 { f64::MAX } else { f64::MIN };
    black_box(black_box(largest) * 2.0).is_infinite()
}

/// The magnitude of a number below 65536. One that rounds beyond the largest becomes an infinity.
fn round(value: f64) -> u16 {
    let exponent = (value.to_bits() >> 52 & 0x7ff) as i32 - 1023;
    let unit = exponent.max(-14) - 10;
    // A double of this size has its last bit where the half has.
    let large = (1.5 * 2f64.powi(unit + 52)).copysign(value);
    let rounded = black_box(value + large) - large;
    // The leading bit of the significand counts the exponent up by one.
    let significand = (rounded.abs() * 2f64.powi(-unit)) as u16;
    (((unit + 24) as u16) << 10) + significand
}
