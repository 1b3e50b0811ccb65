//! Condition flags: conditions, conditional select, conditional compare, and the flag manipulation of FEAT_FlagM.

use super::operand::{Lifted, reg, set_reg, x};
use super::word::Word;
use crate::lift::Lift;
use philae_ir::state::NZCV;
use philae_ir::{Builder, Carry, Cond, Sink, Ty, Value};

/// The truth of a condition code; 14 and 15 always hold.
pub(super) fn holds(l: &mut Lift<impl Sink>, code: u32) -> Value {
    let cond = match code {
        0 => Cond::Eq,
        1 => Cond::Ne,
        2 => Cond::Cs,
        3 => Cond::Cc,
        4 => Cond::Mi,
        5 => Cond::Pl,
        6 => Cond::Vs,
        7 => Cond::Vc,
        8 => Cond::Hi,
        9 => Cond::Ls,
        10 => Cond::Ge,
        11 => Cond::Lt,
        12 => Cond::Gt,
        13 => Cond::Le,
        _ => return l.b.bool_const(1),
    };
    test(l, cond)
}

/// C, as a truth value.
pub(super) fn carry(l: &mut Lift<impl Sink>) -> Value {
    test(l, Cond::Cs)
}

fn test(l: &mut Lift<impl Sink>, cond: Cond) -> Value {
    let flags = l.b.get(Ty::Flags, NZCV);
    l.b.flags_test(flags, cond)
}

/// Writes NZCV.
pub(super) fn set(l: &mut Lift<impl Sink>, flags: Value) {
    l.b.set(Ty::Flags, NZCV, flags);
}

/// Writes NZCV: `flags` if condition bits 15:12 hold, else bits 3:0. The end of CCMP, CCMN, FCCMP.
pub(super) fn set_if(w: Word, l: &mut Lift<impl Sink>, flags: Value) {
    let holds = holds(l, w.bits(15, 12));
    let bits = l.b.iconst(Ty::I32, u64::from(w.bits(3, 0)));
    let other = l.b.flags_from_bits(bits);
    let result = l.b.select(Ty::Flags, holds, flags, other);
    set(l, result);
}

/// CCMP.
pub(super) fn ccmp(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    conditional_compare(w, l, |b, ty, n, m| b.flags_sub(ty, Carry::NotBorrow, n, m))
}

/// CCMN.
pub(super) fn ccmn(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    conditional_compare(w, l, |b, ty, n, m| b.flags_add(ty, n, m))
}

/// Compares Rn with Rm, or with the number in its place where bit 11 is set.
fn conditional_compare<S: Sink>(
    w: Word,
    l: &mut Lift<S>,
    compare: impl Fn(&mut Builder<S>, Ty, Value, Value) -> Value,
) -> Lifted {
    let ty = w.sf();
    let n = reg(l, ty, w.rn());
    let m = if w.is_set(11) { l.b.iconst(ty, u64::from(w.bits(20, 16))) } else { reg(l, ty, w.rm()) };
    let flags = compare(&mut l.b, ty, n, m);
    set_if(w, l, flags);
    Ok(())
}

/// CSEL, CSINC, CSINV, CSNEG: `other` is what becomes of Rm where the condition fails.
pub(super) fn conditional_select<S: Sink>(
    w: Word,
    l: &mut Lift<S>,
    other: impl Fn(&mut Builder<S>, Ty, Value) -> Value,
) -> Lifted {
    let ty = w.sf();
    let n = reg(l, ty, w.rn());
    let m = reg(l, ty, w.rm());
    let m = other(&mut l.b, ty, m);
    let holds = holds(l, w.bits(15, 12));
    let result = l.b.select(ty, holds, n, m);
    set_reg(l, ty, w.rd(), result);
    Ok(())
}

/// NZCV as an `i32`, as MRS has them but at the bottom.
fn bits(l: &mut Lift<impl Sink>) -> Value {
    let flags = l.b.get(Ty::Flags, NZCV);
    l.b.flags_to_bits(flags)
}

fn set_bits(l: &mut Lift<impl Sink>, bits: Value) -> Lifted {
    let flags = l.b.flags_from_bits(bits);
    set(l, flags);
    Ok(())
}

/// CFINV.
pub(super) fn cfinv(_w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let old = bits(l);
    let new = l.b.with_imm(Ty::I32, old, 2, Builder::xor);
    set_bits(l, new)
}

/// RMIF: the flags that bits 3:0 choose become the low bits of Xn rotated right by imm6.
pub(super) fn rmif(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let mask = u64::from(w.bits(3, 0));
    let n = x(l, w.rn());
    let rotated = l.b.with_imm(Ty::I64, n, u64::from(w.bits(20, 15)), Builder::rotr);
    let low = l.b.trunc(Ty::I32, rotated);
    let new = l.b.and_imm(Ty::I32, low, mask);
    let old = bits(l);
    let kept = l.b.and_imm(Ty::I32, old, 15 & !mask);
    let all = l.b.or(Ty::I32, kept, new);
    set_bits(l, all)
}

/// SETF8, SETF16: N, Z and V of the low `width` bits of Wn, V from the bit above them; C stays.
pub(super) fn setf(w: Word, l: &mut Lift<impl Sink>, width: u32) -> Lifted {
    let n = reg(l, Ty::I32, w.rn());
    let shifted = l.b.shl_imm(Ty::I32, n, u64::from(32 - width));
    let logic = l.b.flags_logic(Ty::I32, shifted);
    let carry = carry(l);
    let logic = l.b.flags_with_c(logic, carry);
    let above = l.b.lshr_imm(Ty::I32, n, 1);
    let differ = l.b.xor(Ty::I32, n, above);
    let differ = l.b.lshr_imm(Ty::I32, differ, u64::from(width - 1));
    let differ = l.b.and_imm(Ty::I32, differ, 1);
    let overflow = l.b.trunc(Ty::I8, differ);
    let flags = l.b.flags_with_v(logic, overflow);
    set(l, flags);
    Ok(())
}

/// Replaces NZCV by `table`'s entry for them.
fn translate(l: &mut Lift<impl Sink>, table: impl Fn([bool; 4]) -> [bool; 4]) -> Lifted {
    let packed = (0..16u64).fold(0, |packed, old| {
        let new = table([3, 2, 1, 0].map(|bit| old >> bit & 1 == 1));
        packed | new.into_iter().fold(0, |bits, flag| bits << 1 | u64::from(flag)) << (4 * old)
    });
    let old = bits(l);
    let old = l.b.zext(Ty::I64, old);
    let place = l.b.shl_imm(Ty::I64, old, 2);
    let table = l.b.c64(packed);
    let down = l.b.lshr(Ty::I64, table, place);
    let low = l.b.trunc(Ty::I32, down);
    let new = l.b.and_imm(Ty::I32, low, 15);
    set_bits(l, new)
}

/// AXFLAG: a floating-point comparison's flags, from Arm's format to the other.
pub(super) fn axflag(_w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    translate(l, |[_, z, c, v]| [false, z || v, c && !v, false])
}

/// XAFLAG: back to Arm's format.
pub(super) fn xaflag(_w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    translate(l, |[_, z, c, _]| [!c && !z, z && c, c || z, !c && z])
}
