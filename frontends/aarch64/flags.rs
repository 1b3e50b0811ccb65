//! Condition flags: conditions, conditional select, conditional compare.

use super::operand::{Lifted, reg, set_reg};
use super::word::Word;
use crate::lift::Lift;
use philae_ir::state::NZCV;
use philae_ir::{Builder, Carry, Cond, Ty, Value};

/// The truth of a condition code; 14 and 15 always hold.
pub(super) fn holds(l: &mut Lift<'_>, code: u32) -> Value {
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
pub(super) fn carry(l: &mut Lift<'_>) -> Value {
    test(l, Cond::Cs)
}

fn test(l: &mut Lift<'_>, cond: Cond) -> Value {
    let flags = l.b.get(Ty::Flags, NZCV);
    l.b.flags_test(flags, cond)
}

/// Writes NZCV.
pub(super) fn set(l: &mut Lift<'_>, flags: Value) {
    l.b.set(Ty::Flags, NZCV, flags);
}

/// Writes NZCV: `flags` if condition bits 15:12 hold, else bits 3:0. The end of CCMP, CCMN, FCCMP.
pub(super) fn set_if(w: Word, l: &mut Lift<'_>, flags: Value) {
    let holds = holds(l, w.bits(15, 12));
    let bits = l.b.iconst(Ty::I32, u64::from(w.bits(3, 0)));
    let other = l.b.flags_from_bits(bits);
    let result = l.b.select(Ty::Flags, holds, flags, other);
    set(l, result);
}

/// CCMP.
pub(super) fn ccmp(w: Word, l: &mut Lift<'_>) -> Lifted {
    conditional_compare(w, l, |b, ty, n, m| b.flags_sub(ty, Carry::NotBorrow, n, m))
}

/// CCMN.
pub(super) fn ccmn(w: Word, l: &mut Lift<'_>) -> Lifted {
    conditional_compare(w, l, |b, ty, n, m| b.flags_add(ty, n, m))
}

/// Compares Rn with Rm, or with the number in its place where bit 11 is set.
fn conditional_compare<'a>(
    w: Word,
    l: &mut Lift<'a>,
    compare: impl Fn(&mut Builder<'a>, Ty, Value, Value) -> Value,
) -> Lifted {
    let ty = w.sf();
    let n = reg(l, ty, w.rn());
    let m = if w.is_set(11) { l.b.iconst(ty, u64::from(w.bits(20, 16))) } else { reg(l, ty, w.rm()) };
    let flags = compare(&mut l.b, ty, n, m);
    set_if(w, l, flags);
    Ok(())
}

/// CSEL, CSINC, CSINV, CSNEG: `other` is what becomes of Rm where the condition fails.
pub(super) fn conditional_select<'a>(
    w: Word,
    l: &mut Lift<'a>,
    other: impl Fn(&mut Builder<'a>, Ty, Value) -> Value,
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
