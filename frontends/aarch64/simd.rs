//! What all AdvSIMD families share: which lanes an encoding means, how results go back into a register.
//!
//! 64-bit vector forms and scalar forms are computed in all 128 bits, and what does not count is cut off by the
//! write; nothing but the result can be seen of the lanes above.

use super::operand::{Lifted, require, set_v, v};
use super::word::Word;
use crate::lift::{Lift, LiftError};
use philae_ir::{Builder, Sink, Ty, Value};

/// How much of a vector register an instruction means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The lowest lane.
    Scalar,
    /// 64 bits.
    Half,
    /// 128 bits.
    Full,
}

impl Form {
    /// Scalar encodings have bit 28 set; in the others Q, bit 30, says.
    pub(super) fn of(w: Word) -> Form {
        match (w.is_set(28), w.is_set(30)) {
            (true, _) => Form::Scalar,
            (false, false) => Form::Half,
            (false, true) => Form::Full,
        }
    }
}

/// Lane sizes that an instruction exists for: bit n for lanes of 8 << n bits.
#[derive(Clone, Copy)]
pub(super) struct Sizes(u8);

impl Sizes {
    /// Whether lanes of `bits` bits are among them.
    pub(super) fn has(self, bits: u32) -> bool {
        (u32::from(self.0) << 3) & bits != 0
    }
}

/// Bytes.
pub(super) const B: Sizes = Sizes(0b0001);
/// Doublewords.
pub(super) const D: Sizes = Sizes(0b1000);
/// Halfwords and words.
pub(super) const HS: Sizes = Sizes(0b0110);
/// Bytes to words.
pub(super) const BHS: Sizes = Sizes(0b0111);
/// All.
pub(super) const BHSD: Sizes = Sizes(0b1111);

/// Form and shape, with the lane size in bits 23:22.
pub(super) fn integer(w: Word, sizes: Sizes) -> Result<(Form, Ty), LiftError> {
    let (form, size) = (Form::of(w), w.bits(23, 22));
    require(sizes.has(8 << size) && !(form == Form::Half && size == 3))?;
    Ok((form, Ty::int_vector(8 << size)))
}

/// Form and shape of a floating-point operation, with the lane size in bit 22.
pub(super) fn float_lanes(w: Word) -> Result<(Form, Ty), LiftError> {
    let form = Form::of(w);
    require(!(form == Form::Half && w.is_set(22)))?;
    Ok((form, if w.is_set(22) { Ty::F64X2 } else { Ty::F32X4 }))
}

/// As [`float_lanes`], but the scalar forms in a scalar type.
pub(super) fn float(w: Word) -> Result<(Form, Ty), LiftError> {
    let (form, ty) = float_lanes(w)?;
    Ok((form, if form == Form::Scalar { ty.lane() } else { ty }))
}

/// Writes what `form` means of `value` to Vd; what is above becomes zero.
pub(super) fn write(w: Word, l: &mut Lift<impl Sink>, form: Form, ty: Ty, value: Value) {
    match form {
        Form::Full => set_v(l, Ty::V128, w.rd(), value),
        Form::Half => {
            let low = l.b.low(Ty::V128, value);
            set_v(l, Ty::I64, w.rd(), low);
        }
        Form::Scalar if ty.is_vector() => {
            let lane = l.b.extract_lane(ty, value, 0);
            set_v(l, ty.lane(), w.rd(), lane);
        }
        Form::Scalar => set_v(l, ty, w.rd(), value),
    }
}

/// Writes the 64 low bits of `value`: to Vd whole where Q is clear, to its upper half where Q is set.
pub(super) fn write_narrow(w: Word, l: &mut Lift<impl Sink>, value: Value) {
    let low = l.b.low(Ty::V128, value);
    if w.is_set(30) {
        let old = v(l, Ty::V128, w.rd());
        let kept = l.b.low(Ty::V128, old);
        let both = l.b.concat(Ty::V128, kept, low);
        set_v(l, Ty::V128, w.rd(), both);
    } else {
        set_v(l, Ty::I64, w.rd(), low);
    }
}

/// Vn and Vm.
pub(super) fn sources(w: Word, l: &mut Lift<impl Sink>, ty: Ty) -> (Value, Value) {
    (v(l, ty, w.rn()), v(l, ty, w.rm()))
}

/// Vn for arithmetic on floats in lanes: those that `form` does not mean are copies of those that it means, so that they
/// raise nothing of their own.
pub(super) fn counted(l: &mut Lift<impl Sink>, form: Form, ty: Ty, n: usize) -> Value {
    match form {
        Form::Half => {
            let low = v(l, Ty::F64, n);
            l.b.splat(Ty::F64X2, low)
        }
        Form::Scalar if ty.is_vector() => {
            let lane = v(l, ty.lane(), n);
            l.b.splat(ty, lane)
        }
        Form::Scalar | Form::Full => v(l, ty, n),
    }
}

/// Vn and Vm for such arithmetic.
pub(super) fn counted_sources(w: Word, l: &mut Lift<impl Sink>, form: Form, ty: Ty) -> (Value, Value) {
    (counted(l, form, ty, w.rn()), counted(l, form, ty, w.rm()))
}

/// A 128-bit constant with `lane` in every lane.
pub(super) fn splat(b: &mut Builder<impl Sink>, ty: Ty, lane: u64) -> Value {
    let lane = u128::from(lane) & ty.lane().mask();
    let bits = ty.lane().bits();
    let all = (0..128).step_by(bits as usize).fold(0, |all, at| all | lane << at);
    b.wide_const(Ty::V128, all)
}

/// A zero vector.
pub(super) fn zero(b: &mut Builder<impl Sink>) -> Value {
    b.wide_const(Ty::V128, 0)
}

/// Vd = op(Vn, Vm) over integer lanes.
pub(super) fn binary<S: Sink>(
    w: Word,
    l: &mut Lift<S>,
    sizes: Sizes,
    op: impl Fn(&mut Builder<S>, Ty, Value, Value) -> Value,
) -> Lifted {
    let (form, ty) = integer(w, sizes)?;
    let (n, m) = sources(w, l, ty);
    let result = op(&mut l.b, ty, n, m);
    write(w, l, form, ty, result);
    Ok(())
}

/// Vd = op(Vn) over integer lanes.
pub(super) fn unary<S: Sink>(
    w: Word,
    l: &mut Lift<S>,
    sizes: Sizes,
    op: impl Fn(&mut Builder<S>, Ty, Value) -> Value,
) -> Lifted {
    let (form, ty) = integer(w, sizes)?;
    let n = v(l, ty, w.rn());
    let result = op(&mut l.b, ty, n);
    write(w, l, form, ty, result);
    Ok(())
}

/// Vd = op(Vd, Vn, Vm) over integer lanes.
pub(super) fn ternary<S: Sink>(
    w: Word,
    l: &mut Lift<S>,
    sizes: Sizes,
    op: impl Fn(&mut Builder<S>, Ty, [Value; 3]) -> Value,
) -> Lifted {
    let (form, ty) = integer(w, sizes)?;
    let (n, m) = sources(w, l, ty);
    let d = v(l, ty, w.rd());
    let result = op(&mut l.b, ty, [d, n, m]);
    write(w, l, form, ty, result);
    Ok(())
}

/// A shuffle mask that takes lanes of `bytes` bytes: lane i of the result is lane `lanes(i)` of both sources in a row.
pub(super) fn lane_mask(bytes: usize, lanes: impl Fn(usize) -> usize) -> [u8; 16] {
    std::array::from_fn(|i| {
        let at = lanes(i / bytes) * bytes + i % bytes;
        if at < 32 { at as u8 } else { 0xff }
    })
}
