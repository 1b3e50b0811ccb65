//! FEAT_FCMA: complex numbers in pairs of lanes, the real part below the imaginary one.

use super::exact::{self, Operation, Shape};
use super::half_lanes;
use super::operand::{Lifted, require, v};
use super::simd::{Form, counted, counted_sources, lane_mask, write};
use super::word::Word;
use crate::lift::{Lift, LiftError};
use philae_ir::{NanRule, Op, Sink, Ty, Value};

/// The float lanes in size, bits 23:22, by their integer shape.
fn shape(w: Word) -> Result<(Form, Ty), LiftError> {
    let (form, size) = (Form::of(w), w.bits(23, 22));
    require(size != 0 && !(form == Form::Half && size == 3))?;
    Ok((form, Ty::int_vector(8 << size)))
}

/// The float shape of the lanes; halves have none.
fn float_shape(ty: Ty) -> Option<Ty> {
    match ty {
        Ty::I32X4 => Some(Ty::F32X4),
        Ty::I64X2 => Some(Ty::F64X2),
        _ => None,
    }
}

/// Inverts the signs of the real or of the imaginary lanes: those of this parity.
fn negate(l: &mut Lift<impl Sink>, ty: Ty, parity: u32, value: Value) -> Value {
    let bits = ty.lane().bits();
    let signs = (0..ty.lanes()).filter(|i| i % 2 == parity).fold(0u128, |all, i| all | 1 << (bits * (i + 1) - 1));
    let signs = l.b.wide_const(Ty::V128, signs);
    l.b.xor(Ty::V128, value, signs)
}

/// Lane i of `value` replaced by the lane `from(i)`.
fn rearrange(l: &mut Lift<impl Sink>, ty: Ty, value: Value, from: impl Fn(usize) -> usize) -> Value {
    l.b.shuffle(value, value, lane_mask(ty.lane().bytes() as usize, from))
}

/// FCADD: Vn + Vm rotated by 90 degrees, or by 270 where bit 12 is set.
pub(super) fn fcadd(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (form, ty) = shape(w)?;
    let (n, m) = counted_sources(w, l, form, Ty::V128);
    let swapped = rearrange(l, ty, m, |i| i ^ 1);
    let rotated = negate(l, ty, w.bits(12, 12), swapped);
    if exact::is_soft(l) || exact::is_on(l) && ty == Ty::I16X8 {
        let shape = Shape::of(form, ty.lane().bits());
        let result = exact::two(l, shape, Operation::Add, 0, n, rotated);
        return exact::write(w, l, shape, result);
    }
    let result = match float_shape(ty) {
        Some(float) => l.b.float2(Op::Fadd, float, NanRule::Arm, n, rotated),
        None => half_lanes::binary(l, form, Op::Fadd, n, rotated),
    };
    write(w, l, form, ty, result);
    Ok(())
}

/// Vd + the real or imaginary lanes of Vn, doubled, times Vm rotated, under `rotation` in quarters.
fn multiply_add(w: Word, l: &mut Lift<impl Sink>, (form, ty): (Form, Ty), rotation: u32, n: Value, m: Value) -> Lifted {
    let odd = rotation & 1;
    let factor = rearrange(l, ty, n, |i| i & !1 | odd as usize);
    let mut rotated = if odd == 1 { rearrange(l, ty, m, |i| i ^ 1) } else { m };
    // 90: the real sum loses; 180: both; 270: the imaginary one.
    if matches!(rotation, 1 | 2) {
        rotated = negate(l, ty, 0, rotated);
    }
    if matches!(rotation, 2 | 3) {
        rotated = negate(l, ty, 1, rotated);
    }
    let d = counted(l, form, Ty::V128, w.rd());
    if exact::is_on(l) {
        let shape = Shape::of(form, ty.lane().bits());
        let result = exact::fused_value(l, shape, d, factor, rotated);
        return exact::write(w, l, shape, result);
    }
    let result = match float_shape(ty) {
        Some(float) => l.b.fmul_add(float, NanRule::Arm, factor, rotated, d),
        None => half_lanes::fused(l, form, factor, rotated, d),
    };
    write(w, l, form, ty, result);
    Ok(())
}

/// FCMLA (vector).
pub(super) fn fcmla(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let shape = shape(w)?;
    let (n, m) = counted_sources(w, l, shape.0, Ty::V128);
    multiply_add(w, l, shape, w.bits(12, 11), n, m)
}

/// FCMLA (by element): the element is a complex number.
pub(super) fn fcmla_element(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (form, ty) = shape(w)?;
    let (h, low) = (w.bits(11, 11), w.bits(21, 21));
    let index = match ty {
        Ty::I16X8 => {
            require(form == Form::Full || h == 0)?;
            h << 1 | low
        }
        Ty::I32X4 => {
            require(form == Form::Full && low == 0)?;
            h
        }
        _ => return Err(LiftError::Undefined),
    };
    let n = counted(l, form, Ty::V128, w.rn());
    let m = v(l, Ty::V128, w.rm());
    let element = rearrange(l, ty, m, |i| 2 * index as usize + i % 2);
    multiply_add(w, l, (form, ty), w.bits(14, 13), n, element)
}
