//! Bitfield moves and EXTR.

use super::operand::{Lifted, reg, require, set_reg};
use super::word::Word;
use crate::lift::{Lift, LiftError};
use philae_ir::{Builder, Sink, Ty, Value};

/// immr and imms, if N and their top bits fit sf.
fn fields(w: Word) -> Result<(Ty, u32, u32), LiftError> {
    let ty = w.sf();
    let (immr, imms) = (w.bits(21, 16), w.bits(15, 10));
    require(w.is_set(22) == w.is_set(31) && immr < ty.bits() && imms < ty.bits())?;
    Ok((ty, immr, imms))
}

fn low_mask(bits: u32) -> u64 {
    u64::MAX >> (64 - bits)
}

/// UBFM: LSL, LSR, UBFX, UBFIZ, UXTB, UXTH.
pub(super) fn ubfm(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (ty, immr, imms) = fields(w)?;
    let n = reg(l, ty, w.rn());
    let top = ty.bits() - 1;
    let result = if imms >= immr {
        let down = if immr == 0 { n } else { l.b.lshr_imm(ty, n, u64::from(immr)) };
        if imms == top { down } else { l.b.and_imm(ty, down, low_mask(imms - immr + 1)) }
    } else {
        let shift = ty.bits() - immr;
        // LSL: the bits above the field fall out by the shift alone.
        let field = if imms + shift == top { n } else { l.b.and_imm(ty, n, low_mask(imms + 1)) };
        l.b.shl_imm(ty, field, u64::from(shift))
    };
    set_reg(l, ty, w.rd(), result);
    Ok(())
}

/// SBFM: ASR, SBFX, SBFIZ, SXTB, SXTH, SXTW.
pub(super) fn sbfm(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (ty, immr, imms) = fields(w)?;
    let n = reg(l, ty, w.rn());
    let result = if immr == 0 && matches!(imms, 7 | 15 | 31) && imms < ty.bits() - 1 {
        let low = l.b.trunc(Ty::int(imms + 1), n);
        l.b.sext(ty, low)
    } else {
        // The field's top bit goes to the top of the register, then down to where it belongs.
        let up = ty.bits() - 1 - imms;
        let down = if imms >= immr { up + immr } else { immr - imms - 1 };
        let high = shift(l, ty, n, up, Builder::shl);
        shift(l, ty, high, down, Builder::ashr)
    };
    set_reg(l, ty, w.rd(), result);
    Ok(())
}

fn shift<S: Sink>(
    l: &mut Lift<S>,
    ty: Ty,
    value: Value,
    amount: u32,
    op: impl Fn(&mut Builder<S>, Ty, Value, Value) -> Value,
) -> Value {
    if amount == 0 { value } else { l.b.with_imm(ty, value, u64::from(amount), op) }
}

/// BFM: BFI, BFXIL, BFC.
pub(super) fn bfm(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (ty, immr, imms) = fields(w)?;
    let old = reg(l, ty, w.rd());
    let n = reg(l, ty, w.rn());
    let (mask, placed) = if imms >= immr {
        let mask = low_mask(imms - immr + 1);
        let down = shift(l, ty, n, immr, Builder::lshr);
        (mask, l.b.and_imm(ty, down, mask))
    } else {
        let place = ty.bits() - immr;
        let field = l.b.and_imm(ty, n, low_mask(imms + 1));
        (low_mask(imms + 1) << place, l.b.shl_imm(ty, field, u64::from(place)))
    };
    let kept = l.b.and_imm(ty, old, !mask);
    let result = l.b.or(ty, kept, placed);
    set_reg(l, ty, w.rd(), result);
    Ok(())
}

/// EXTR: also ROR (immediate).
pub(super) fn extr(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let ty = w.sf();
    let lsb = w.bits(15, 10);
    require(w.is_set(22) == w.is_set(31) && lsb < ty.bits())?;
    let low = reg(l, ty, w.rm());
    let result = if lsb == 0 {
        low
    } else if w.rn() == w.rm() {
        l.b.with_imm(ty, low, u64::from(lsb), Builder::rotr)
    } else {
        let high = reg(l, ty, w.rn());
        let low = l.b.lshr_imm(ty, low, u64::from(lsb));
        let high = l.b.shl_imm(ty, high, u64::from(ty.bits() - lsb));
        l.b.or(ty, low, high)
    };
    set_reg(l, ty, w.rd(), result);
    Ok(())
}
