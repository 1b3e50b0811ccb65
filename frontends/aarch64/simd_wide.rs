//! AdvSIMD operations whose operands and results differ in width ("three different"), and products by element.

use super::exact;
use super::operand::{Lifted, Sign, require, set_v, v};
use super::simd::{BHS, Form, HS, Sizes, integer, lane_mask, sources, splat, write, write_narrow, zero};
use super::simd_arith::{Rounded, both_smallest_saturate, difference, double_multiply_high};
use super::simd_shift::{Rounding, widen};
use super::word::Word;
use crate::lift::{Lift, LiftError};
use philae_ir::{Builder, Sink, Ty, Value};

/// The shape with lanes of the size in bits 23:22, and the one of twice that.
fn shapes(w: Word, sizes: Sizes) -> Result<(Ty, Ty), LiftError> {
    let size = w.bits(23, 22);
    require(sizes.has(8 << size))?;
    Ok((Ty::int_vector(8 << size), Ty::int_vector(16 << size)))
}

/// Vd = op(extended Vn, extended Vm): SADDL, SSUBL, SABDL, SMULL and the unsigned ones.
pub(super) fn long<S: Sink>(
    w: Word,
    l: &mut Lift<S>,
    sign: Sign,
    op: impl Fn(&mut Builder<S>, Ty, Value, Value) -> Value,
) -> Lifted {
    let (_, wide) = shapes(w, BHS)?;
    let (n, m) = extended_sources(w, l, wide, sign);
    let result = op(&mut l.b, wide, n, m);
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

fn extended_sources(w: Word, l: &mut Lift<impl Sink>, wide: Ty, sign: Sign) -> (Value, Value) {
    let (n, m) = sources(w, l, Ty::V128);
    (widen(w, l, wide, sign, n), widen(w, l, wide, sign, m))
}

/// Vd = Vd + or − op(extended Vn, extended Vm): SMLAL, SMLSL, SABAL and the unsigned ones.
pub(super) fn long_accumulate<S: Sink>(
    w: Word,
    l: &mut Lift<S>,
    sign: Sign,
    accumulate: impl Fn(&mut Builder<S>, Ty, Value, Value) -> Value,
    op: impl Fn(&mut Builder<S>, Ty, Value, Value) -> Value,
) -> Lifted {
    let (_, wide) = shapes(w, BHS)?;
    let (n, m) = extended_sources(w, l, wide, sign);
    let d = v(l, wide, w.rd());
    let addend = op(&mut l.b, wide, n, m);
    let result = accumulate(&mut l.b, wide, d, addend);
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

/// |n − m| of lanes already extended, whose difference cannot overflow.
pub(super) fn wide_difference(b: &mut Builder<impl Sink>, ty: Ty, n: Value, m: Value) -> Value {
    if ty == Ty::I64X2 {
        let difference = b.sub(ty, n, m);
        return b.abs(ty, difference);
    }
    difference(b, ty, Sign::Signed, n, m)
}

/// SADDW, SSUBW and the unsigned ones: Vn is already wide.
pub(super) fn wide<S: Sink>(
    w: Word,
    l: &mut Lift<S>,
    sign: Sign,
    op: impl Fn(&mut Builder<S>, Ty, Value, Value) -> Value,
) -> Lifted {
    let (_, wide) = shapes(w, BHS)?;
    let (n, m) = sources(w, l, Ty::V128);
    let m = widen(w, l, wide, sign, m);
    let result = op(&mut l.b, wide, n, m);
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

/// ADDHN, SUBHN, RADDHN, RSUBHN: the high halves of sums or differences.
pub(super) fn high_narrow<S: Sink>(
    w: Word,
    l: &mut Lift<S>,
    rounding: Rounding,
    op: impl Fn(&mut Builder<S>, Ty, Value, Value) -> Value,
) -> Lifted {
    let (ty, wide) = shapes(w, BHS)?;
    let (n, m) = sources(w, l, Ty::V128);
    let mut result = op(&mut l.b, wide, n, m);
    let bits = ty.lane().bits();
    if rounding == Rounding::Round {
        let half = splat(&mut l.b, wide, 1 << (bits - 1));
        result = l.b.add(wide, result, half);
    }
    let high = l.b.vlshr_imm(wide, result, bits);
    let result = l.b.narrow(ty, high, high);
    write_narrow(w, l, result);
    Ok(())
}

/// What happens to a doubled product.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Accumulate {
    /// It is the result.
    No,
    /// It is added to Vd, saturating.
    Add,
    /// It is subtracted from Vd, saturating.
    Sub,
}

/// SQDMULL, SQDMLAL, SQDMLSL; scalars too.
pub(super) fn sqdmull(w: Word, l: &mut Lift<impl Sink>, accumulate: Accumulate) -> Lifted {
    let (ty, _) = shapes(w, HS)?;
    let (n, m) = sources(w, l, Ty::V128);
    double_long(w, l, ty, accumulate, [n, m])
}

fn double_long(w: Word, l: &mut Lift<impl Sink>, ty: Ty, accumulate: Accumulate, [n, m]: [Value; 2]) -> Lifted {
    let wide = Ty::int_vector(2 * ty.lane().bits());
    let form = if Form::of(w) == Form::Scalar { Form::Scalar } else { Form::Full };
    // A scalar is lane 0; bit 30 is set in its encodings but says nothing.
    let (n, m) = if form == Form::Scalar {
        (l.b.widen_low_s(wide, n), l.b.widen_low_s(wide, m))
    } else {
        (widen(w, l, wide, Sign::Signed, n), widen(w, l, wide, Sign::Signed, m))
    };
    let product = l.b.mul(wide, n, m);
    let doubled = l.b.add_sat_s(wide, product, product);
    let d = v(l, wide, w.rd());
    let result = match accumulate {
        Accumulate::No => doubled,
        Accumulate::Add => l.b.add_sat_s(wide, d, doubled),
        Accumulate::Sub => l.b.sub_sat_s(wide, d, doubled),
    };
    let twice = l.b.add(wide, product, product);
    let wrapped = match accumulate {
        Accumulate::No => doubled,
        Accumulate::Add => l.b.add(wide, d, doubled),
        Accumulate::Sub => l.b.sub(wide, d, doubled),
    };
    for (saturated, wrapped) in [(doubled, twice), (result, wrapped)] {
        let difference = l.b.xor(Ty::V128, saturated, wrapped);
        exact::saturated(l, form, wide, difference);
    }
    write(w, l, form, wide, result);
    Ok(())
}

/// PMULL, PMULL2 of bytes.
pub(super) fn pmull_bytes(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (n, m) = chosen_halves(w, l);
    let [n, m] = [n, m].map(|value| l.b.widen_low_u(Ty::I16X8, value));
    let result = carry_less_products(&mut l.b, n, m);
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

/// Carry-less products of bytes, zero-extended to halfwords.
fn carry_less_products(b: &mut Builder<impl Sink>, n: Value, m: Value) -> Value {
    let lanes = Ty::I16X8;
    (0..8).fold(zero(b), |sum, bit| {
        let top = b.vshl_imm(lanes, m, 15 - bit);
        let is_set = b.vashr_imm(lanes, top, 15);
        let moved = b.vshl_imm(lanes, n, bit);
        let part = b.and(Ty::V128, moved, is_set);
        b.xor(Ty::V128, sum, part)
    })
}

/// PMULL, PMULL2 of doublewords.
pub(super) fn pmull_doublewords(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (n, m) = chosen_halves(w, l);
    let result = l.b.clmul_low(n, m);
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

/// The halves of Vn and Vm that Q chooses, at the bottom.
fn chosen_halves(w: Word, l: &mut Lift<impl Sink>) -> (Value, Value) {
    let (n, m) = sources(w, l, Ty::V128);
    if !w.is_set(30) {
        return (n, m);
    }
    let high = std::array::from_fn(|i| (i % 8 + 8) as u8);
    (l.b.shuffle(n, n, high), l.b.shuffle(m, m, high))
}

/// PMUL.
pub(super) fn pmul(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (form, ty) = integer(w, super::simd::B)?;
    let (n, m) = sources(w, l, ty);
    let [n, m] = [n, m].map(|value| [l.b.widen_low_u(Ty::I16X8, value), l.b.widen_high_u(Ty::I16X8, value)]);
    let [low, high] = [0, 1].map(|half| carry_less_products(&mut l.b, n[half], m[half]));
    let result = l.b.narrow(ty, low, high);
    write(w, l, form, ty, result);
    Ok(())
}

/// The register and the lane number that Rm, H, L and M (bits 11, 21, 20) mean. Halfwords leave Rm four bits.
fn element_place(w: Word, ty: Ty) -> (usize, u32) {
    let (h, low, m) = (w.bits(11, 11), w.bits(21, 21), w.bits(20, 20));
    match ty.lane().bits() {
        16 => (w.rm() & 15, h << 2 | low << 1 | m),
        32 => (w.rm(), h << 1 | low),
        _ => (w.rm(), h),
    }
}

/// The element of Vm in all lanes of the shape `ty`.
pub(super) fn element(w: Word, l: &mut Lift<impl Sink>, ty: Ty) -> Value {
    let (register, index) = element_place(w, ty);
    let whole = v(l, Ty::V128, register);
    let mask = lane_mask(ty.lane().bytes() as usize, |_| index as usize);
    l.b.shuffle(whole, whole, mask)
}

/// The element of Vm as a scalar.
pub(super) fn scalar_element(w: Word, l: &mut Lift<impl Sink>, ty: Ty) -> Value {
    let (register, index) = element_place(w, ty);
    let whole = v(l, Ty::V128, register);
    l.b.extract_lane(ty, whole, index)
}

/// MUL, MLA, MLS, SQDMULH, SQRDMULH (by element): `op` takes Vd, Vn and the element.
pub(super) fn by_element<S: Sink>(
    w: Word,
    l: &mut Lift<S>,
    op: impl Fn(&mut Builder<S>, Ty, [Value; 3]) -> Value,
) -> Lifted {
    let (form, ty) = integer(w, HS)?;
    let n = v(l, ty, w.rn());
    let m = element(w, l, ty);
    let d = v(l, ty, w.rd());
    let result = op(&mut l.b, ty, [d, n, m]);
    write(w, l, form, ty, result);
    Ok(())
}

/// SQDMULH, SQRDMULH (by element).
pub(super) fn sqdmulh_element(w: Word, l: &mut Lift<impl Sink>, rounded: Rounded) -> Lifted {
    let (form, ty) = integer(w, HS)?;
    let (n, m) = (v(l, ty, w.rn()), element(w, l, ty));
    both_smallest_saturate(l, form, ty, n, m);
    by_element(w, l, |b, ty, [_, n, m]| double_multiply_high(b, ty, rounded, n, m))
}

/// SQRDMLAH, SQRDMLSH: the high half of d × 2^bits ± 2 × n × m, rounded and saturated.
fn round_double(
    w: Word,
    l: &mut Lift<impl Sink>,
    (form, ty): (Form, Ty),
    accumulate: Accumulate,
    [d, n, m]: [Value; 3],
) {
    let wide = Ty::int_vector(2 * ty.lane().bits());
    // Half of all: so it fits.
    let shift = ty.lane().bits() - 1;
    let b = &mut l.b;
    let [d, n, m] = [d, n, m].map(|value| [b.widen_low_s(wide, value), b.widen_high_s(wide, value)]);
    let [low, high] = [0, 1].map(|half| {
        let product = b.mul(wide, n[half], m[half]);
        let up = b.vshl_imm(wide, d[half], shift);
        let rounding = splat(b, wide, 1 << (shift - 1));
        let up = b.add(wide, up, rounding);
        let sum = match accumulate {
            Accumulate::Sub => b.sub(wide, up, product),
            _ => b.add(wide, up, product),
        };
        b.vashr_imm(wide, sum, shift)
    });
    let result = b.narrow_sat_ss(ty, low, high);
    let wrapped = b.narrow(ty, low, high);
    let difference = b.xor(Ty::V128, result, wrapped);
    exact::saturated(l, form, ty, difference);
    write(w, l, form, ty, result);
}

/// SQRDMLAH, SQRDMLSH (vector); scalars too.
pub(super) fn sqrdmlah(w: Word, l: &mut Lift<impl Sink>, accumulate: Accumulate) -> Lifted {
    let shape = integer(w, HS)?;
    let (n, m) = sources(w, l, shape.1);
    let d = v(l, shape.1, w.rd());
    round_double(w, l, shape, accumulate, [d, n, m]);
    Ok(())
}

/// SQRDMLAH, SQRDMLSH (by element); scalars too.
pub(super) fn sqrdmlah_element(w: Word, l: &mut Lift<impl Sink>, accumulate: Accumulate) -> Lifted {
    let shape = integer(w, HS)?;
    let operands = [v(l, shape.1, w.rd()), v(l, shape.1, w.rn()), element(w, l, shape.1)];
    round_double(w, l, shape, accumulate, operands);
    Ok(())
}

/// SMULL, SMLAL, SMLSL and the unsigned ones (by element): `accumulate` takes Vd and the product.
pub(super) fn long_by_element<S: Sink>(
    w: Word,
    l: &mut Lift<S>,
    sign: Sign,
    accumulate: impl Fn(&mut Builder<S>, Ty, Value, Value) -> Value,
) -> Lifted {
    let (ty, wide) = shapes(w, HS)?;
    let n = v(l, ty, w.rn());
    let m = element(w, l, ty);
    let (n, m) = (widen(w, l, wide, sign, n), widen(w, l, wide, sign, m));
    let d = v(l, wide, w.rd());
    let product = l.b.mul(wide, n, m);
    let result = accumulate(&mut l.b, wide, d, product);
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

/// SQDMULL, SQDMLAL, SQDMLSL (by element); scalars too.
pub(super) fn sqdmull_element(w: Word, l: &mut Lift<impl Sink>, accumulate: Accumulate) -> Lifted {
    let (ty, _) = shapes(w, HS)?;
    let n = v(l, ty, w.rn());
    let m = element(w, l, ty);
    double_long(w, l, ty, accumulate, [n, m])
}
