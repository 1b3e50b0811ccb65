//! FEAT_SHA1, FEAT_SHA256: steps of the hashes of FIPS 180-4, as the Arm ARM cuts them. Most are helpers, which hosts
//! have instructions for.

use super::crypto::rotate_right;
use super::helpers::helpers;
use super::operand::{Lifted, set_v, v};
use super::simd::{lane_mask, sources};
use super::word::Word;
use crate::lift::Lift;
use philae_ir::{Sink, Ty, Value};

helpers! {
    /// SHA1C.
    SHA1C "a64_sha1c" (3) -> V128, Pure, |_, [d, n, m]| sha1_rounds(d, n, m, choose);
    /// SHA1P.
    SHA1P "a64_sha1p" (3) -> V128, Pure, |_, [d, n, m]| sha1_rounds(d, n, m, |x, y, z| x ^ y ^ z);
    /// SHA1M.
    SHA1M "a64_sha1m" (3) -> V128, Pure, |_, [d, n, m]| sha1_rounds(d, n, m, majority);
    /// SHA256H.
    SHA256H "a64_sha256h" (3) -> V128, Pure, |_, [d, n, m]| sha256_rounds(d, n, m)[0];
    /// SHA256H2.
    SHA256H2 "a64_sha256h2" (3) -> V128, Pure, |_, [d, n, m]| sha256_rounds(n, d, m)[1];
    /// SHA256SU0.
    SHA256SU0 "a64_sha256su0" (2) -> V128, Pure, |_, [d, n, _]| sha256_schedule0(d, n);
    /// SHA256SU1.
    SHA256SU1 "a64_sha256su1" (3) -> V128, Pure, |_, [d, n, m]| sha256_schedule1(d, n, m);
}

/// The four words of a vector, lowest first.
pub(super) fn words(v: u128) -> [u32; 4] {
    std::array::from_fn(|i| (v >> (32 * i)) as u32)
}

/// The vector of four words.
pub(super) fn vector(words: [u32; 4]) -> u128 {
    words.into_iter().rev().fold(0, |v, word| v << 32 | u128::from(word))
}

fn choose(x: u32, y: u32, z: u32) -> u32 {
    (y ^ z) & x ^ z
}

fn majority(x: u32, y: u32, z: u32) -> u32 {
    x & y | (x | y) & z
}

/// Four rounds: d holds a to d, n holds e.
fn sha1_rounds(d: u128, n: u128, m: u128, mix: fn(u32, u32, u32) -> u32) -> u128 {
    let [mut a, mut b, mut c, mut d] = words(d);
    let mut e = n as u32;
    for w in words(m) {
        let sum = e.wrapping_add(a.rotate_left(5)).wrapping_add(mix(b, c, d)).wrapping_add(w);
        (e, d, c, b, a) = (d, c, b.rotate_left(30), a, sum);
    }
    vector([a, b, c, d])
}

/// Four rounds; x holds a to d, y holds e to h.
fn sha256_rounds(x: u128, y: u128, w: u128) -> [u128; 2] {
    let (mut x, mut y) = (words(x), words(y));
    for w in words(w) {
        let sigma1 = y[0].rotate_right(6) ^ y[0].rotate_right(11) ^ y[0].rotate_right(25);
        let t = y[3].wrapping_add(sigma1).wrapping_add(choose(y[0], y[1], y[2])).wrapping_add(w);
        let sigma0 = x[0].rotate_right(2) ^ x[0].rotate_right(13) ^ x[0].rotate_right(22);
        let first = t.wrapping_add(sigma0).wrapping_add(majority(x[0], x[1], x[2]));
        y = [x[3].wrapping_add(t), y[0], y[1], y[2]];
        x = [first, x[0], x[1], x[2]];
    }
    [vector(x), vector(y)]
}

fn sha256_schedule0(d: u128, n: u128) -> u128 {
    let (old, next) = (words(d), words(d >> 32 | n << 96));
    vector(std::array::from_fn(|i| {
        let t = next[i];
        old[i].wrapping_add(t.rotate_right(7) ^ t.rotate_right(18) ^ t >> 3)
    }))
}

fn sha256_schedule1(d: u128, n: u128, m: u128) -> u128 {
    let (old, between, last) = (words(d), words(n >> 32 | m << 96), words(m >> 64));
    let mut result = [0; 4];
    for i in 0..4 {
        let t = if i < 2 { last[i] } else { result[i - 2] };
        let sigma = t.rotate_right(17) ^ t.rotate_right(19) ^ t >> 10;
        result[i] = sigma.wrapping_add(old[i]).wrapping_add(between[i]);
    }
    vector(result)
}

/// Lane 0 in lane 3, zeroes elsewhere.
pub(super) fn first_as_last(l: &mut Lift<impl Sink>, words: Value) -> Value {
    l.b.shuffle(words, words, lane_mask(4, |i| if i == 3 { 0 } else { 8 }))
}

/// SHA1SU0: the message schedule but for its last word and the rotation.
pub(super) fn sha1su0(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (n, m) = sources(w, l, Ty::V128);
    let d = v(l, Ty::V128, w.rd());
    let between = l.b.shuffle(d, n, lane_mask(8, |i| i + 1));
    let two = l.b.xor(Ty::V128, between, d);
    let result = l.b.xor(Ty::V128, two, m);
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

/// SHA1SU1: its last word, which for the fourth is the first of this result, and the rotation.
pub(super) fn sha1su1(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (d, n) = (v(l, Ty::V128, w.rd()), v(l, Ty::V128, w.rn()));
    let last = l.b.shuffle(n, n, lane_mask(4, |i| if i < 3 { i + 1 } else { 8 }));
    let mixed = l.b.xor(Ty::V128, d, last);
    let rotated = rotate_right(l, Ty::I32X4, mixed, 31);
    let first = first_as_last(l, rotated);
    let first = rotate_right(l, Ty::I32X4, first, 31);
    let result = l.b.xor(Ty::V128, rotated, first);
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}
