//! FEAT_SM3 and FEAT_SM4: steps of the hash of GB/T 32905 and the cipher of GB/T 32907, as the Arm ARM cuts them.

use super::crypto::rotate_right;
use super::operand::{Lifted, set_v, v};
use super::sha::first_as_last;
use super::simd::{lane_mask, sources};
use super::word::Word;
use crate::lift::Lift;
use philae_ir::{Builder, Op, Sink, Ty, Value};

/// Lanes rotated left.
fn rotate_left(l: &mut Lift<impl Sink>, value: Value, amount: u32) -> Value {
    rotate_right(l, Ty::I32X4, value, 32 - amount)
}

/// P1 of GB/T 32905, 4.4, of lanes.
fn p1(l: &mut Lift<impl Sink>, words: Value) -> Value {
    let [a, b] = [15, 23].map(|amount| rotate_left(l, words, amount));
    let two = l.b.xor(Ty::V128, words, a);
    l.b.xor(Ty::V128, two, b)
}

/// What the first of four words, rotated by 15, adds to the last by way of P1.
fn first_into_last(l: &mut Lift<impl Sink>, words: Value) -> Value {
    let first = first_as_last(l, words);
    let rotated = rotate_left(l, first, 15);
    p1(l, rotated)
}

/// SM3PARTW1: P1 of four words, of which the last needs the first result.
pub(super) fn sm3partw1(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
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
pub(super) fn sm3partw2(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
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
pub(super) fn sm3ss1(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
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
type Mix<S> = fn(&mut Builder<S>, [Value; 3]) -> Value;

/// x ⊕ y ⊕ z.
pub(super) fn parity(b: &mut Builder<impl Sink>, [x, y, z]: [Value; 3]) -> Value {
    let two = b.xor(Ty::I32, x, y);
    b.xor(Ty::I32, two, z)
}

/// The bits that two of three have.
pub(super) fn majority(b: &mut Builder<impl Sink>, [x, y, z]: [Value; 3]) -> Value {
    let (both, either) = (b.and(Ty::I32, x, y), b.or(Ty::I32, x, y));
    let one = b.and(Ty::I32, either, z);
    b.or(Ty::I32, both, one)
}

/// The bits of y where z is set, else of x.
pub(super) fn choice(b: &mut Builder<impl Sink>, [x, y, z]: [Value; 3]) -> Value {
    let differ = b.xor(Ty::I32, x, y);
    let chosen = b.and(Ty::I32, differ, z);
    b.xor(Ty::I32, chosen, x)
}

fn rotated(l: &mut Lift<impl Sink>, word: Value, left: u64) -> Value {
    l.b.with_imm(Ty::I32, word, 32 - left, Builder::rotr)
}

/// The words of Vd, the last of Vn, and that of Vm in bits 13:12.
fn round_words(w: Word, l: &mut Lift<impl Sink>) -> ([Value; 4], Value, Value) {
    let (n, m) = sources(w, l, Ty::V128);
    let d = v(l, Ty::V128, w.rd());
    let n = l.b.extract_lane(Ty::I32X4, n, 3);
    let m = l.b.extract_lane(Ty::I32X4, m, w.bits(13, 12));
    ([0, 1, 2, 3].map(|lane| l.b.extract_lane(Ty::I32X4, d, lane)), n, m)
}

/// Vd = its words moved down, the third rotated, and `last`.
fn finish_round(w: Word, l: &mut Lift<impl Sink>, third: Value, last: Value) -> Lifted {
    let d = v(l, Ty::V128, w.rd());
    let moved = l.b.shuffle(d, d, lane_mask(4, |i| (i + 1) % 4));
    let with_third = l.b.insert_lane(Ty::I32X4, moved, 1, third);
    let result = l.b.insert_lane(Ty::I32X4, with_third, 3, last);
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

fn sum(l: &mut Lift<impl Sink>, words: [Value; 4]) -> Value {
    let [a, b, c, d] = words;
    let (ab, cd) = (l.b.add(Ty::I32, a, b), l.b.add(Ty::I32, c, d));
    l.b.add(Ty::I32, ab, cd)
}

/// SM3TT1A, SM3TT1B.
pub(super) fn sm3tt1<S: Sink>(w: Word, l: &mut Lift<S>, mix: Mix<S>) -> Lifted {
    let ([d0, d1, d2, d3], n, m) = round_words(w, l);
    let turned = rotated(l, d3, 12);
    let second = l.b.xor(Ty::I32, n, turned);
    let mixed = mix(&mut l.b, [d1, d2, d3]);
    let last = sum(l, [mixed, d0, second, m]);
    let third = rotated(l, d2, 9);
    finish_round(w, l, third, last)
}

/// SM3TT2A, SM3TT2B: with P0 of the sum.
pub(super) fn sm3tt2<S: Sink>(w: Word, l: &mut Lift<S>, mix: Mix<S>) -> Lifted {
    let ([d0, d1, d2, d3], n, m) = round_words(w, l);
    let mixed = mix(&mut l.b, [d1, d2, d3]);
    let sum = sum(l, [mixed, d0, n, m]);
    let last = parity_of_rotated(l, sum, [9, 17]);
    let third = rotated(l, d2, 19);
    finish_round(w, l, third, last)
}

/// A word and its rotations, added without carries.
fn parity_of_rotated(l: &mut Lift<impl Sink>, word: Value, left: [u64; 2]) -> Value {
    let [a, b] = left.map(|amount| rotated(l, word, amount));
    parity(&mut l.b, [word, a, b])
}

/// The S-box of GB/T 32907, 6.2, is that of AES between two affine maps, as both invert in the field of 256 elements. Of
/// each map what the lower and the upper half of a byte add to its value.
const INTO_AES: [u128; 2] = [0x9814_a824_1d91_2da1_078b_37bb_820e_b23e, 0x3fe3_11cd_fa26_d408_37eb_19c5_f22e_dc00];
/// See [`INTO_AES`].
const OUT_OF_AES: [u128; 2] = [0x47ff_8d35_79c1_b30b_2098_ea52_1ea6_d46c, 0xed0d_bd5d_7090_20c0_2dcd_7d9d_b050_e000];

/// Bytes mapped by two tables of their halves.
fn mapped(b: &mut Builder<impl Sink>, tables: [u128; 2], bytes: Value) -> Value {
    let [low, high] = tables.map(|table| b.wide_const(Ty::V128, table));
    let half = b.wide_const(Ty::V128, u128::MAX / 17);
    let lower = b.and(Ty::V128, bytes, half);
    let moved = b.vlshr_imm(Ty::I16X8, bytes, 4);
    let upper = b.and(Ty::V128, moved, half);
    let (lower, upper) = (b.table_lookup(low, lower), b.table_lookup(high, upper));
    b.xor(Ty::V128, lower, upper)
}

/// The bytes of a word through the S-box. In four equal columns AES moves no byte to another value's place.
fn substituted(b: &mut Builder<impl Sink>, word: Value) -> Value {
    let words = b.splat(Ty::I32X4, word);
    let inside = mapped(b, INTO_AES, words);
    let inside = b.aes(Op::AesLastRound, inside);
    let result = mapped(b, OUT_OF_AES, inside);
    b.extract_lane(Ty::I32X4, result, 0)
}

/// Four rounds of the cipher on `state`, with the words of `keys` and a linear map: the sum of a word and its rotations.
fn sm4_rounds<const N: usize>(l: &mut Lift<impl Sink>, state: Value, keys: Value, rotations: [u64; N]) -> Value {
    let mut words = [0, 1, 2, 3].map(|lane| l.b.extract_lane(Ty::I32X4, state, lane));
    for lane in 0..4 {
        let key = l.b.extract_lane(Ty::I32X4, keys, lane);
        let three = parity(&mut l.b, [words[1], words[2], words[3]]);
        let mixed = l.b.xor(Ty::I32, three, key);
        let word = substituted(&mut l.b, mixed);
        let sum = rotations.into_iter().fold(word, |sum, left| {
            let turned = rotated(l, word, left);
            l.b.xor(Ty::I32, sum, turned)
        });
        let new = l.b.xor(Ty::I32, words[0], sum);
        words = [words[1], words[2], words[3], new];
    }
    let first = l.b.splat(Ty::I32X4, words[0]);
    (1..4).fold(first, |vector, lane| l.b.insert_lane(Ty::I32X4, vector, lane, words[lane as usize]))
}

/// SM4E: four rounds on Vd with the keys in Vn.
pub(super) fn sm4e(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (d, n) = (v(l, Ty::V128, w.rd()), v(l, Ty::V128, w.rn()));
    let result = sm4_rounds(l, d, n, [2, 10, 18, 24]);
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

/// SM4EKEY: four round keys after those in Vn, with the constants in Vm.
pub(super) fn sm4ekey(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (n, m) = sources(w, l, Ty::V128);
    let result = sm4_rounds(l, n, m, [13, 23]);
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}
