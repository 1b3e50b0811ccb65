//! FEAT_SM3 and FEAT_SM4: steps of the hash of GB/T 32905 and the cipher of GB/T 32907, as the Arm ARM cuts them. Those of the
//! cipher are helpers: each is four rounds of look-ups, one after another.

use super::crypto::rotate_right;
use super::helpers::helpers;
use super::operand::{Lifted, set_v, v};
use super::sha::{first_as_last, vector, words};
use super::simd::{lane_mask, sources};
use super::word::Word;
use crate::lift::Lift;
use philae_ir::{Builder, Ty, Value};

helpers! {
    /// SM4E: four rounds on Vd with the keys in Vn.
    SM4E "a64_sm4e" (2) -> V128, Pure, |_, [d, n, _]| sm4_rounds(d, n, |t| {
        t ^ t.rotate_left(2) ^ t.rotate_left(10) ^ t.rotate_left(18) ^ t.rotate_left(24)
    });
    /// SM4EKEY: four round keys after those in Vn, with the constants in Vm.
    SM4EKEY "a64_sm4ekey" (2) -> V128, Pure, |_, [n, m, _]| sm4_rounds(n, m, |t| t ^ t.rotate_left(13) ^ t.rotate_left(23));
}

/// Lanes rotated left.
fn rotate_left(l: &mut Lift<'_>, value: Value, amount: u32) -> Value {
    rotate_right(l, Ty::I32X4, value, 32 - amount)
}

/// P1 of GB/T 32905, 4.4, of lanes.
fn p1(l: &mut Lift<'_>, words: Value) -> Value {
    let [a, b] = [15, 23].map(|amount| rotate_left(l, words, amount));
    let two = l.b.xor(Ty::V128, words, a);
    l.b.xor(Ty::V128, two, b)
}

/// What the first of four words, rotated by 15, adds to the last by way of P1.
fn first_into_last(l: &mut Lift<'_>, words: Value) -> Value {
    let first = first_as_last(l, words);
    let rotated = rotate_left(l, first, 15);
    p1(l, rotated)
}

/// SM3PARTW1: P1 of four words, of which the last needs the first result.
pub(super) fn sm3partw1(w: Word, l: &mut Lift<'_>) -> Lifted {
    let (n, m) = sources(w, l, Ty::V128);
    let d = v(l, Ty::V128, w.rd());
    let last = l.b.shuffle(m, m, lane_mask(4, |i| if i < 3 { i + 1 } else { 8 }));
    let last = rotate_left(l, last, 15);
    let two = l.b.xor(Ty::V128, d, n);
    let mixed = l.b.xor(Ty::V128, two, last);
    let result = p1(l, mixed);
    let into_last = first_into_last(l, result);
    let result = l.b.xor(Ty::V128, result, into_last);
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

/// SM3PARTW2.
pub(super) fn sm3partw2(w: Word, l: &mut Lift<'_>) -> Lifted {
    let (n, m) = sources(w, l, Ty::V128);
    let d = v(l, Ty::V128, w.rd());
    let rotated = rotate_left(l, m, 7);
    let mixed = l.b.xor(Ty::V128, n, rotated);
    let into_last = first_into_last(l, mixed);
    let result = l.b.xor(Ty::V128, d, mixed);
    let result = l.b.xor(Ty::V128, result, into_last);
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

/// SM3SS1: lane 3, zeroes below.
pub(super) fn sm3ss1(w: Word, l: &mut Lift<'_>) -> Lifted {
    let (n, m) = sources(w, l, Ty::V128);
    let a = v(l, Ty::V128, w.ra());
    let rotated = rotate_left(l, n, 12);
    let sum = l.b.add(Ty::I32X4, rotated, m);
    let sum = l.b.add(Ty::I32X4, sum, a);
    let rotated = rotate_left(l, sum, 7);
    let result = l.b.shuffle(rotated, rotated, lane_mask(4, |i| if i == 3 { 3 } else { 8 }));
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

/// A function of three words.
type Mix = fn(&mut Builder<'_>, [Value; 3]) -> Value;

/// x ⊕ y ⊕ z.
pub(super) fn parity(b: &mut Builder<'_>, [x, y, z]: [Value; 3]) -> Value {
    let two = b.xor(Ty::I32, x, y);
    b.xor(Ty::I32, two, z)
}

/// The bits that two of three have.
pub(super) fn majority(b: &mut Builder<'_>, [x, y, z]: [Value; 3]) -> Value {
    let (both, either) = (b.and(Ty::I32, x, y), b.or(Ty::I32, x, y));
    let one = b.and(Ty::I32, either, z);
    b.or(Ty::I32, both, one)
}

/// The bits of y where z is set, else of x.
pub(super) fn choice(b: &mut Builder<'_>, [x, y, z]: [Value; 3]) -> Value {
    let differ = b.xor(Ty::I32, x, y);
    let chosen = b.and(Ty::I32, differ, z);
    b.xor(Ty::I32, chosen, x)
}

fn rotated(l: &mut Lift<'_>, word: Value, left: u64) -> Value {
    l.b.with_imm(Ty::I32, word, 32 - left, Builder::rotr)
}

/// The words of Vd, the last of Vn, and that of Vm in bits 13:12.
fn round_words(w: Word, l: &mut Lift<'_>) -> ([Value; 4], Value, Value) {
    let (n, m) = sources(w, l, Ty::V128);
    let d = v(l, Ty::V128, w.rd());
    let n = l.b.extract_lane(Ty::I32X4, n, 3);
    let m = l.b.extract_lane(Ty::I32X4, m, w.bits(13, 12));
    ([0, 1, 2, 3].map(|lane| l.b.extract_lane(Ty::I32X4, d, lane)), n, m)
}

/// Vd = its words moved down, the third rotated, and `last`.
fn finish_round(w: Word, l: &mut Lift<'_>, third: Value, last: Value) -> Lifted {
    let d = v(l, Ty::V128, w.rd());
    let moved = l.b.shuffle(d, d, lane_mask(4, |i| (i + 1) % 4));
    let with_third = l.b.insert_lane(Ty::I32X4, moved, 1, third);
    let result = l.b.insert_lane(Ty::I32X4, with_third, 3, last);
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

fn sum(l: &mut Lift<'_>, words: [Value; 4]) -> Value {
    let [a, b, c, d] = words;
    let (ab, cd) = (l.b.add(Ty::I32, a, b), l.b.add(Ty::I32, c, d));
    l.b.add(Ty::I32, ab, cd)
}

/// SM3TT1A, SM3TT1B.
pub(super) fn sm3tt1(w: Word, l: &mut Lift<'_>, mix: Mix) -> Lifted {
    let ([d0, d1, d2, d3], n, m) = round_words(w, l);
    let turned = rotated(l, d3, 12);
    let second = l.b.xor(Ty::I32, n, turned);
    let mixed = mix(&mut l.b, [d1, d2, d3]);
    let last = sum(l, [mixed, d0, second, m]);
    let third = rotated(l, d2, 9);
    finish_round(w, l, third, last)
}

/// SM3TT2A, SM3TT2B: with P0 of the sum.
pub(super) fn sm3tt2(w: Word, l: &mut Lift<'_>, mix: Mix) -> Lifted {
    let ([d0, d1, d2, d3], n, m) = round_words(w, l);
    let mixed = mix(&mut l.b, [d1, d2, d3]);
    let sum = sum(l, [mixed, d0, n, m]);
    let last = parity_of_rotated(l, sum, [9, 17]);
    let third = rotated(l, d2, 19);
    finish_round(w, l, third, last)
}

/// A word and its rotations, added without carries.
fn parity_of_rotated(l: &mut Lift<'_>, word: Value, left: [u64; 2]) -> Value {
    let [a, b] = left.map(|amount| rotated(l, word, amount));
    parity(&mut l.b, [word, a, b])
}

fn sm4_rounds(state: u128, keys: u128, linear: fn(u32) -> u32) -> u128 {
    let mut state = words(state);
    for key in words(keys) {
        let mixed = (state[1] ^ state[2] ^ state[3] ^ key).to_le_bytes();
        let substituted = u32::from_le_bytes(mixed.map(|byte| SBOX[usize::from(byte)]));
        state = [state[1], state[2], state[3], state[0] ^ linear(substituted)];
    }
    vector(state)
}

/// GB/T 32907, 6.2.
#[rustfmt::skip]
static SBOX: [u8; 256] = [
    0xd6, 0x90, 0xe9, 0xfe, 0xcc, 0xe1, 0x3d, 0xb7, 0x16, 0xb6, 0x14, 0xc2, 0x28, 0xfb, 0x2c, 0x05,
    0x2b, 0x67, 0x9a, 0x76, 0x2a, 0xbe, 0x04, 0xc3, 0xaa, 0x44, 0x13, 0x26, 0x49, 0x86, 0x06, 0x99,
    0x9c, 0x42, 0x50, 0xf4, 0x91, 0xef, 0x98, 0x7a, 0x33, 0x54, 0x0b, 0x43, 0xed, 0xcf, 0xac, 0x62,
    0xe4, 0xb3, 0x1c, 0xa9, 0xc9, 0x08, 0xe8, 0x95, 0x80, 0xdf, 0x94, 0xfa, 0x75, 0x8f, 0x3f, 0xa6,
    0x47, 0x07, 0xa7, 0xfc, 0xf3, 0x73, 0x17, 0xba, 0x83, 0x59, 0x3c, 0x19, 0xe6, 0x85, 0x4f, 0xa8,
    0x68, 0x6b, 0x81, 0xb2, 0x71, 0x64, 0xda, 0x8b, 0xf8, 0xeb, 0x0f, 0x4b, 0x70, 0x56, 0x9d, 0x35,
    0x1e, 0x24, 0x0e, 0x5e, 0x63, 0x58, 0xd1, 0xa2, 0x25, 0x22, 0x7c, 0x3b, 0x01, 0x21, 0x78, 0x87,
    0xd4, 0x00, 0x46, 0x57, 0x9f, 0xd3, 0x27, 0x52, 0x4c, 0x36, 0x02, 0xe7, 0xa0, 0xc4, 0xc8, 0x9e,
    0xea, 0xbf, 0x8a, 0xd2, 0x40, 0xc7, 0x38, 0xb5, 0xa3, 0xf7, 0xf2, 0xce, 0xf9, 0x61, 0x15, 0xa1,
    0xe0, 0xae, 0x5d, 0xa4, 0x9b, 0x34, 0x1a, 0x55, 0xad, 0x93, 0x32, 0x30, 0xf5, 0x8c, 0xb1, 0xe3,
    0x1d, 0xf6, 0xe2, 0x2e, 0x82, 0x66, 0xca, 0x60, 0xc0, 0x29, 0x23, 0xab, 0x0d, 0x53, 0x4e, 0x6f,
    0xd5, 0xdb, 0x37, 0x45, 0xde, 0xfd, 0x8e, 0x2f, 0x03, 0xff, 0x6a, 0x72, 0x6d, 0x6c, 0x5b, 0x51,
    0x8d, 0x1b, 0xaf, 0x92, 0xbb, 0xdd, 0xbc, 0x7f, 0x11, 0xd9, 0x5c, 0x41, 0x1f, 0x10, 0x5a, 0xd8,
    0x0a, 0xc1, 0x31, 0x88, 0xa5, 0xcd, 0x7b, 0xbd, 0x2d, 0x74, 0xd0, 0x12, 0xb8, 0xe5, 0xb4, 0xb0,
    0x89, 0x69, 0x97, 0x4a, 0x0c, 0x96, 0x77, 0x7e, 0x65, 0xb9, 0xf1, 0x09, 0xc5, 0x6e, 0xc6, 0x84,
    0x18, 0xf0, 0x7d, 0xec, 0x3a, 0xdc, 0x4d, 0x20, 0x79, 0xee, 0x5f, 0x3e, 0xd7, 0xcb, 0x39, 0x48,
];
