//! Instructions of the cryptographic extensions, and of SHA3, on whole vector registers.

use super::operand::{Lifted, set_v, v};
use super::simd::sources;
use super::word::Word;
use crate::lift::Lift;
use philae_ir::state::aarch64::V;
use philae_ir::{Builder, Helper, Ty, Value};

/// Vd = helper(Vn): AESMC, AESIMC.
pub(super) fn unary(w: Word, l: &mut Lift<'_>, helper: &'static Helper) -> Lifted {
    let n = v(l, Ty::V128, w.rn());
    let result = l.b.call(helper, &[n]);
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

/// Vd = helper(Vd, Vn).
pub(super) fn update(w: Word, l: &mut Lift<'_>, helper: &'static Helper) -> Lifted {
    let (d, n) = (v(l, Ty::V128, w.rd()), v(l, Ty::V128, w.rn()));
    let result = l.b.call(helper, &[d, n]);
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

/// Vd = helper(Vn, Vm): SM4EKEY.
pub(super) fn binary(w: Word, l: &mut Lift<'_>, helper: &'static Helper) -> Lifted {
    let (n, m) = sources(w, l, Ty::V128);
    let result = l.b.call(helper, &[n, m]);
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

/// Vd = helper(Vd, Vn, Vm).
pub(super) fn update_with(w: Word, l: &mut Lift<'_>, helper: &'static Helper) -> Lifted {
    let (n, m) = sources(w, l, Ty::V128);
    let d = v(l, Ty::V128, w.rd());
    let result = l.b.call(helper, &[d, n, m]);
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

/// SHA1H.
pub(super) fn sha1h(w: Word, l: &mut Lift<'_>) -> Lifted {
    let n = l.b.get(Ty::I32, V[w.rn()]);
    // Left by 30.
    let result = l.b.with_imm(Ty::I32, n, 2, Builder::rotr);
    set_v(l, Ty::I32, w.rd(), result);
    Ok(())
}

/// SM3SS1: Vd = helper(Vn, Vm, Va).
pub(super) fn sm3ss1(w: Word, l: &mut Lift<'_>, helper: &'static Helper) -> Lifted {
    let (n, m) = sources(w, l, Ty::V128);
    let a = v(l, Ty::V128, w.ra());
    let result = l.b.call(helper, &[n, m, a]);
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

/// SM3TT1A, SM3TT1B, SM3TT2A, SM3TT2B: the word of Vm is that of bits 13:12.
pub(super) fn sm3tt(w: Word, l: &mut Lift<'_>, helper: &'static Helper) -> Lifted {
    let (n, m) = sources(w, l, Ty::V128);
    let d = v(l, Ty::V128, w.rd());
    let word = l.b.extract_lane(Ty::I32X4, m, w.bits(13, 12));
    let result = l.b.call(helper, &[d, n, word]);
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

/// Vd = Vn ^ op(Vm, Va): EOR3, BCAX.
pub(super) fn xor_with<'a>(
    w: Word,
    l: &mut Lift<'a>,
    op: impl Fn(&mut Builder<'a>, Ty, Value, Value) -> Value,
) -> Lifted {
    let (n, m) = sources(w, l, Ty::V128);
    let a = v(l, Ty::V128, w.ra());
    let combined = op(&mut l.b, Ty::V128, m, a);
    let result = l.b.xor(Ty::V128, n, combined);
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

/// Doublewords rotated right by 1 to 63.
fn rotate_right(l: &mut Lift<'_>, value: Value, amount: u32) -> Value {
    let right = l.b.vlshr_imm(Ty::I64X2, value, amount);
    let left = l.b.vshl_imm(Ty::I64X2, value, 64 - amount);
    l.b.or(Ty::V128, right, left)
}

/// RAX1: Vd = Vn ^ doublewords of Vm rotated left by 1.
pub(super) fn rax1(w: Word, l: &mut Lift<'_>) -> Lifted {
    let (n, m) = sources(w, l, Ty::V128);
    let rotated = rotate_right(l, m, 63);
    let result = l.b.xor(Ty::V128, n, rotated);
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

/// XAR: doublewords of Vn ^ Vm rotated right by imm6 (bits 15:10).
pub(super) fn xar(w: Word, l: &mut Lift<'_>) -> Lifted {
    let (n, m) = sources(w, l, Ty::V128);
    let mixed = l.b.xor(Ty::V128, n, m);
    let amount = w.bits(15, 10);
    let result = if amount == 0 { mixed } else { rotate_right(l, mixed, amount) };
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}
