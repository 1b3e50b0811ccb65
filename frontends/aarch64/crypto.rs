//! Instructions of the cryptographic extensions, and of SHA3, on whole vector registers; SHA-512 (FIPS 180-4) in parts.

use super::operand::{Lifted, set_v, v};
use super::simd::sources;
use super::word::Word;
use crate::lift::Lift;
use philae_ir::state::aarch64::V;
use philae_ir::{Builder, Helper, Op, Sink, Ty, Value};

/// AESE, AESD: a last round of Vd with the key in Vn added first.
pub(super) fn aes_key(w: Word, l: &mut Lift<impl Sink>, last: Op) -> Lifted {
    let (d, n) = (v(l, Ty::V128, w.rd()), v(l, Ty::V128, w.rn()));
    let state = l.b.xor(Ty::V128, d, n);
    let result = l.b.aes(last, state);
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

/// AESMC, AESIMC. Hosts have one instruction for it and the last round before, which processors run as a pair.
pub(super) fn aes_mix(w: Word, l: &mut Lift<impl Sink>, mix: Op, [last, whole]: [Op; 2]) -> Lifted {
    let before = l.b.just_made(V[w.rn()]).filter(|inst| inst.op == last).map(|inst| inst.args[0]);
    let result = match before {
        Some(state) => l.b.aes(whole, state),
        None => {
            let n = v(l, Ty::V128, w.rn());
            l.b.aes(mix, n)
        }
    };
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

/// Vd = helper(Vd, Vn).
pub(super) fn update(w: Word, l: &mut Lift<impl Sink>, helper: &'static Helper) -> Lifted {
    let (d, n) = (v(l, Ty::V128, w.rd()), v(l, Ty::V128, w.rn()));
    let result = l.b.call(helper, &[d, n]);
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

/// Vd = helper(Vd, Vn, Vm).
pub(super) fn update_with(w: Word, l: &mut Lift<impl Sink>, helper: &'static Helper) -> Lifted {
    let (n, m) = sources(w, l, Ty::V128);
    let d = v(l, Ty::V128, w.rd());
    let result = l.b.call(helper, &[d, n, m]);
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

/// SHA1H.
pub(super) fn sha1h(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let n = l.b.get(Ty::I32, V[w.rn()]);
    // Left by 30.
    let result = l.b.with_imm(Ty::I32, n, 2, Builder::rotr);
    set_v(l, Ty::I32, w.rd(), result);
    Ok(())
}

/// A doubleword rotated right by three amounts, and the three added without carries.
fn big_sigma(l: &mut Lift<impl Sink>, word: Value, amounts: [u64; 3]) -> Value {
    let [a, b, c] = amounts.map(|amount| l.b.with_imm(Ty::I64, word, amount, Builder::rotr));
    let two = l.b.xor(Ty::I64, a, b);
    l.b.xor(Ty::I64, two, c)
}

/// Doublewords rotated right by two amounts and shifted right by a third, and the three added without carries.
fn small_sigma(l: &mut Lift<impl Sink>, words: Value, [first, second]: [u32; 2], shift: u32) -> Value {
    let (a, b) = (rotate_right(l, Ty::I64X2, words, first), rotate_right(l, Ty::I64X2, words, second));
    let c = l.b.vlshr_imm(Ty::I64X2, words, shift);
    let two = l.b.xor(Ty::V128, a, b);
    l.b.xor(Ty::V128, two, c)
}

/// Both doublewords of Vd, Vn and Vm.
fn halves(w: Word, l: &mut Lift<impl Sink>) -> [[Value; 2]; 3] {
    [w.rd(), w.rn(), w.rm()].map(|register| {
        let whole = v(l, Ty::V128, register);
        [0, 1].map(|lane| l.b.extract_lane(Ty::I64X2, whole, lane))
    })
}

fn set_halves(w: Word, l: &mut Lift<impl Sink>, [low, high]: [Value; 2]) {
    let zero = l.b.wide_const(Ty::V128, 0);
    let lower = l.b.insert_lane(Ty::I64X2, zero, 0, low);
    let result = l.b.insert_lane(Ty::I64X2, lower, 1, high);
    set_v(l, Ty::V128, w.rd(), result);
}

fn sum(l: &mut Lift<impl Sink>, parts: [Value; 3]) -> Value {
    let two = l.b.add(Ty::I64, parts[0], parts[1]);
    l.b.add(Ty::I64, two, parts[2])
}

/// SHA512H: the sums T1 of two rounds (FIPS 180-4, 6.4.2), as far as they do not depend on a to d.
pub(super) fn sha512h<S: Sink>(w: Word, l: &mut Lift<S>) -> Lifted {
    let [[w0, w1], [x0, x1], [y0, y1]] = halves(w, l);
    let round = |l: &mut Lift<S>, e, f, g, word| {
        let differ = l.b.xor(Ty::I64, f, g);
        let chosen = l.b.and(Ty::I64, differ, e);
        let choice = l.b.xor(Ty::I64, chosen, g);
        let sigma = big_sigma(l, e, [14, 18, 41]);
        sum(l, [choice, sigma, word])
    };
    let high = round(l, y1, x0, x1, w1);
    let e = l.b.add(Ty::I64, high, y0);
    let low = round(l, e, y1, x0, w0);
    set_halves(w, l, [low, high]);
    Ok(())
}

/// SHA512H2: the words a of two rounds.
pub(super) fn sha512h2<S: Sink>(w: Word, l: &mut Lift<S>) -> Lifted {
    let [[w0, w1], [x0, _], [y0, y1]] = halves(w, l);
    let round = |l: &mut Lift<S>, a, b, c, word| {
        let (both, either) = (l.b.and(Ty::I64, b, c), l.b.or(Ty::I64, b, c));
        let one = l.b.and(Ty::I64, either, a);
        let majority = l.b.or(Ty::I64, both, one);
        let sigma = big_sigma(l, a, [28, 34, 39]);
        sum(l, [majority, sigma, word])
    };
    let high = round(l, y0, y1, x0, w1);
    let low = round(l, high, y0, y1, w0);
    set_halves(w, l, [low, high]);
    Ok(())
}

/// SHA512SU0: two words of the message schedule, their first two parts.
pub(super) fn sha512su0(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (d, n) = (v(l, Ty::V128, w.rd()), v(l, Ty::V128, w.rn()));
    let next = l.b.shuffle(d, n, std::array::from_fn(|i| i as u8 + 8));
    let sigma = small_sigma(l, next, [1, 8], 7);
    let result = l.b.add(Ty::I64X2, d, sigma);
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

/// SHA512SU1: two words of the message schedule, their last two parts.
pub(super) fn sha512su1(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (n, m) = sources(w, l, Ty::V128);
    let d = v(l, Ty::V128, w.rd());
    let sigma = small_sigma(l, n, [19, 61], 6);
    let two = l.b.add(Ty::I64X2, d, sigma);
    let result = l.b.add(Ty::I64X2, two, m);
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

/// Vd = Vn ^ op(Vm, Va): EOR3, BCAX.
pub(super) fn xor_with<S: Sink>(
    w: Word,
    l: &mut Lift<S>,
    op: impl Fn(&mut Builder<S>, Ty, Value, Value) -> Value,
) -> Lifted {
    let (n, m) = sources(w, l, Ty::V128);
    let a = v(l, Ty::V128, w.ra());
    let combined = op(&mut l.b, Ty::V128, m, a);
    let result = l.b.xor(Ty::V128, n, combined);
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

/// Lanes rotated right, by more than 0.
pub(super) fn rotate_right(l: &mut Lift<impl Sink>, ty: Ty, value: Value, amount: u32) -> Value {
    let right = l.b.vlshr_imm(ty, value, amount);
    let left = l.b.vshl_imm(ty, value, ty.lane().bits() - amount);
    l.b.or(Ty::V128, right, left)
}

/// RAX1: Vd = Vn ^ doublewords of Vm rotated left by 1.
pub(super) fn rax1(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (n, m) = sources(w, l, Ty::V128);
    let rotated = rotate_right(l, Ty::I64X2, m, 63);
    let result = l.b.xor(Ty::V128, n, rotated);
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

/// XAR: doublewords of Vn ^ Vm rotated right by imm6 (bits 15:10).
pub(super) fn xar(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (n, m) = sources(w, l, Ty::V128);
    let mixed = l.b.xor(Ty::V128, n, m);
    let amount = w.bits(15, 10);
    let result = if amount == 0 { mixed } else { rotate_right(l, Ty::I64X2, mixed, amount) };
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}
