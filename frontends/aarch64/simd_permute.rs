//! AdvSIMD moves: copies of elements, constants, permutations, table look-ups.

use super::operand::{Lifted, float_immediate, half_immediate, reg, require, set_reg, set_v, v};
use super::simd::{BHSD, Form, integer, lane_mask, sources, splat, write};
use super::word::Word;
use crate::lift::{Lift, LiftError};
use philae_ir::{IntCond, Sink, Ty, Value};

/// The shape and the index in imm5, bits 20:16.
fn indexed(w: Word) -> Result<(Ty, u32), LiftError> {
    let imm5 = w.bits(20, 16);
    require(imm5 & 15 != 0)?;
    let size = imm5.trailing_zeros();
    Ok((Ty::int_vector(8 << size), imm5 >> (size + 1)))
}

fn require_fits(form: Form, ty: Ty) -> Lifted {
    require(!(form == Form::Half && ty == Ty::I64X2))
}

/// DUP (element); the scalar too.
pub(super) fn dup_element(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (ty, index) = indexed(w)?;
    let form = Form::of(w);
    require_fits(form, ty)?;
    let n = v(l, ty, w.rn());
    if form == Form::Scalar {
        let lane = l.b.extract_lane(ty, n, index);
        set_v(l, ty.lane(), w.rd(), lane);
        return Ok(());
    }
    let mask = lane_mask(ty.lane().bytes() as usize, |_| index as usize);
    let result = l.b.shuffle(n, n, mask);
    write(w, l, form, ty, result);
    Ok(())
}

/// DUP (general).
pub(super) fn dup_general(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (ty, _) = indexed(w)?;
    let form = Form::of(w);
    require_fits(form, ty)?;
    let lane = reg(l, ty.lane(), w.rn());
    let result = l.b.splat(ty, lane);
    write(w, l, form, ty, result);
    Ok(())
}

/// INS (general).
pub(super) fn ins_general(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (ty, index) = indexed(w)?;
    let lane = reg(l, ty.lane(), w.rn());
    insert(w, l, ty, index, lane);
    Ok(())
}

/// INS (element): imm4, bits 14:11, chooses the source.
pub(super) fn ins_element(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (ty, index) = indexed(w)?;
    let source = w.bits(14, 11) >> ty.lane().bytes().trailing_zeros();
    let n = v(l, ty, w.rn());
    let lane = l.b.extract_lane(ty, n, source);
    insert(w, l, ty, index, lane);
    Ok(())
}

fn insert(w: Word, l: &mut Lift<impl Sink>, ty: Ty, index: u32, lane: Value) {
    let d = v(l, ty, w.rd());
    let result = l.b.insert_lane(ty, d, index, lane);
    set_v(l, Ty::V128, w.rd(), result);
}

/// UMOV: a doubleword where Q is set, else less.
pub(super) fn umov(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (ty, index) = indexed(w)?;
    require((ty == Ty::I64X2) == w.is_set(30))?;
    let n = v(l, ty, w.rn());
    let lane = l.b.extract_lane(ty, n, index);
    set_reg(l, ty.lane(), w.rd(), lane);
    Ok(())
}

/// SMOV: extends to X where Q is set, else to W.
pub(super) fn smov(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (ty, index) = indexed(w)?;
    let to = if w.is_set(30) { Ty::I64 } else { Ty::I32 };
    require(ty.lane().bits() < to.bits())?;
    let n = v(l, ty, w.rn());
    let lane = l.b.extract_lane(ty, n, index);
    let wide = l.b.sext(to, lane);
    set_reg(l, to, w.rd(), wide);
    Ok(())
}

/// 64 bits of the constant that op, cmode and imm8 mean (Arm ARM, AdvSIMDExpandImm), not inverted.
fn expanded_immediate(w: Word) -> u64 {
    let imm8 = u64::from(w.bits(18, 16) << 5 | w.bits(9, 5));
    let cmode = w.bits(15, 12);
    let words = |word: u64| word << 32 | word;
    let halves = |half: u64| words(half << 16 | half);
    match (cmode, w.is_set(29)) {
        (0..=7, _) => words(imm8 << (8 * (cmode >> 1))),
        (8..=11, _) => halves(imm8 << (8 * (cmode >> 1 & 1))),
        (12, _) => words(imm8 << 8 | 0xff),
        (13, _) => words(imm8 << 16 | 0xffff),
        (14, false) => halves(imm8 << 8 | imm8),
        (14, true) => (0..8).filter(|i| imm8 >> i & 1 != 0).fold(0, |bits, i| bits | 0xff << (8 * i)),
        (_, false) => words(float_immediate(Ty::F32, imm8 as u32)),
        (_, true) => float_immediate(Ty::F64, imm8 as u32),
    }
}

/// MOVI, MVNI, FMOV, ORR, BIC (vector, immediate).
pub(super) fn modified_immediate(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (form, cmode, inverted) = (Form::of(w), w.bits(15, 12), w.is_set(29));
    // FMOV of doubles has no 64-bit form.
    require(!(cmode == 15 && inverted && form == Form::Half))?;
    let bits = expanded_immediate(w);
    let constant = splat(&mut l.b, Ty::I64X2, if inverted && cmode < 14 { !bits } else { bits });
    let combines = cmode < 12 && cmode & 1 == 1;
    let result = if combines {
        let d = v(l, Ty::V128, w.rd());
        if inverted { l.b.and(Ty::V128, d, constant) } else { l.b.or(Ty::V128, d, constant) }
    } else {
        constant
    };
    write(w, l, form, Ty::I64X2, result);
    Ok(())
}

/// FMOV (vector, immediate) of halves.
pub(super) fn fmov_halves(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let imm8 = w.bits(18, 16) << 5 | w.bits(9, 5);
    let constant = splat(&mut l.b, Ty::I16X8, half_immediate(imm8));
    write(w, l, Form::of(w), Ty::I16X8, constant);
    Ok(())
}

/// Lanes in what `form` counts, each of `bytes` bytes.
fn count(form: Form, bytes: usize) -> usize {
    if form == Form::Full { 16 / bytes } else { 8 / bytes }
}

/// Vd = lanes of Vn (from 0) and Vm (from `second`), as `choose` says of lane i, the lane count and `second`.
fn permute(w: Word, l: &mut Lift<impl Sink>, choose: impl Fn(usize, usize, usize) -> usize) -> Lifted {
    let (form, ty) = integer(w, BHSD)?;
    let bytes = ty.lane().bytes() as usize;
    let (lanes, second) = (count(form, bytes), 16 / bytes);
    let (n, m) = sources(w, l, ty);
    let mask = lane_mask(bytes, |i| choose(i % lanes, lanes, second));
    let result = l.b.shuffle(n, m, mask);
    write(w, l, form, ty, result);
    Ok(())
}

/// Which half of the lanes a permutation gives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// ZIP1, UZP1, TRN1.
    First = 0,
    /// ZIP2, UZP2, TRN2.
    Second = 1,
}

/// ZIP1, ZIP2.
pub(super) fn zip(w: Word, l: &mut Lift<impl Sink>, part: Part) -> Lifted {
    permute(w, l, |i, lanes, second| part as usize * lanes / 2 + i / 2 + i % 2 * second)
}

/// UZP1, UZP2.
pub(super) fn uzp(w: Word, l: &mut Lift<impl Sink>, part: Part) -> Lifted {
    permute(w, l, |i, lanes, second| {
        let from = 2 * i + part as usize;
        if from < lanes { from } else { from - lanes + second }
    })
}

/// TRN1, TRN2.
pub(super) fn trn(w: Word, l: &mut Lift<impl Sink>, part: Part) -> Lifted {
    permute(w, l, |i, _, second| i / 2 * 2 + part as usize + i % 2 * second)
}

/// EXT: bytes from imm4 (bits 14:11) on, of Vn and Vm in a row.
pub(super) fn ext(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let form = Form::of(w);
    let first = w.bits(14, 11) as usize;
    let lanes = count(form, 1);
    require(first < lanes)?;
    let (n, m) = sources(w, l, Ty::V128);
    let mask = lane_mask(1, |i| if first + i < lanes { first + i } else { first + i - lanes + 16 });
    let result = l.b.shuffle(n, m, mask);
    write(w, l, form, Ty::V128, result);
    Ok(())
}

/// TBL, TBX: bits 14:13 are the number of table registers less one; bit 12 keeps Vd where the index is too large.
pub(super) fn table(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let registers = w.bits(14, 13) as usize + 1;
    let index = v(l, Ty::V128, w.rm());
    let mut result = None;
    for i in 0..registers {
        let part = v(l, Ty::V128, (w.rn() + i) % 32);
        // An index below this register's first wraps to one above 15, which gives 0, as one beyond its last does.
        let first = splat(&mut l.b, Ty::I8X16, 16 * i as u64);
        let within = if i == 0 { index } else { l.b.sub(Ty::I8X16, index, first) };
        let found = l.b.table_lookup(part, within);
        result = Some(match result {
            None => found,
            Some(before) => l.b.or(Ty::V128, before, found),
        });
    }
    let mut result = result.ok_or(LiftError::Undefined)?;
    if w.is_set(12) {
        let d = v(l, Ty::V128, w.rd());
        let limit = splat(&mut l.b, Ty::I8X16, 16 * registers as u64);
        let inside = l.b.icmp(Ty::I8X16, IntCond::Ult, index, limit);
        result = l.b.bit_select(inside, result, d);
    }
    write(w, l, Form::of(w), Ty::V128, result);
    Ok(())
}
