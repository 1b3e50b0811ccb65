//! Operands: registers, shifted and extended registers, encoded immediates.
//!
//! W registers are the low bits of X registers; to write one writes zeroes above. Number 31 is XZR in the plain functions
//! and SP in those that say so.

use super::word::Word;
use crate::lift::{Lift, LiftError};
use philae_ir::state::aarch64::{SP, V, X};
use philae_ir::{Sink, Ty, Value};

/// What a body gives back.
pub(super) type Lifted = Result<(), LiftError>;

/// An operand that may be reserved.
pub(super) type Operand = Result<Value, LiftError>;

/// Whether something is signed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// Two's complement.
    Signed,
    /// Unsigned.
    Unsigned,
}

/// Fails with [`LiftError::Undefined`] unless the encoding is one that exists.
pub(super) fn require(valid: bool) -> Lifted {
    if valid { Ok(()) } else { Err(LiftError::Undefined) }
}

/// Xn, or zero for 31.
pub(super) fn x(l: &mut Lift<impl Sink>, n: usize) -> Value {
    reg(l, Ty::I64, n)
}

/// Xn, or SP for 31.
pub(super) fn x_or_sp(l: &mut Lift<impl Sink>, n: usize) -> Value {
    reg_or_sp(l, Ty::I64, n)
}

/// Xn, or zero, in a narrower or equal type.
pub(super) fn reg(l: &mut Lift<impl Sink>, ty: Ty, n: usize) -> Value {
    if n == 31 { l.b.iconst(ty, 0) } else { l.b.get(ty, X[n]) }
}

/// Xn, or SP, in a narrower or equal type.
pub(super) fn reg_or_sp(l: &mut Lift<impl Sink>, ty: Ty, n: usize) -> Value {
    let slot = if n == 31 { SP } else { X[n] };
    l.b.get(ty, slot)
}

/// Writes Xn, zero-extending a narrower type; drops the value for 31.
pub(super) fn set_reg(l: &mut Lift<impl Sink>, ty: Ty, n: usize, value: Value) {
    if n != 31 {
        l.b.set(ty, X[n], value);
    }
}

/// Writes Xn, or SP for 31.
pub(super) fn set_reg_or_sp(l: &mut Lift<impl Sink>, ty: Ty, n: usize, value: Value) {
    let slot = if n == 31 { SP } else { X[n] };
    l.b.set(ty, slot, value);
}

/// The low bits of Vn as `ty`, whole for a vector shape.
pub(super) fn v(l: &mut Lift<impl Sink>, ty: Ty, n: usize) -> Value {
    l.b.get(ty.value(), V[n])
}

/// Writes Vn; what is above a narrower `ty` becomes zero.
pub(super) fn set_v(l: &mut Lift<impl Sink>, ty: Ty, n: usize, value: Value) {
    l.b.set(ty.value(), V[n], value);
}

/// Rm shifted as bits 23:22 and 15:10 say (LSL, LSR, ASR, ROR).
pub(super) fn shifted(w: Word, l: &mut Lift<impl Sink>, ty: Ty) -> Operand {
    let amount = w.bits(15, 10);
    require(amount < ty.bits())?;
    let m = reg(l, ty, w.rm());
    if amount == 0 {
        return Ok(m);
    }
    let amount = l.b.iconst(ty, u64::from(amount));
    Ok(match w.bits(23, 22) {
        0 => l.b.shl(ty, m, amount),
        1 => l.b.lshr(ty, m, amount),
        2 => l.b.ashr(ty, m, amount),
        _ => l.b.rotr(ty, m, amount),
    })
}

/// Rm extended to `ty` as the three bits `option` say (UXTB to SXTX), then shifted left.
///
/// A W index is extended from its 32 bits also where the encoding calls the extension LSL (Arm ARM, ExtendReg).
pub(super) fn extended(l: &mut Lift<impl Sink>, ty: Ty, m: usize, option: u32, shift: u32) -> Value {
    let from = Ty::int(8 << (option & 3));
    let value = if from.bits() >= ty.bits() {
        reg(l, ty, m)
    } else {
        let low = reg(l, from, m);
        if option & 4 == 0 { l.b.zext(ty, low) } else { l.b.sext(ty, low) }
    };
    if shift == 0 { value } else { l.b.shl_imm(ty, value, u64::from(shift)) }
}

/// The bitmask immediate in N:immr:imms (Arm ARM, DecodeBitMasks), or `None` if reserved.
pub(super) fn logical_immediate(w: Word, ty: Ty) -> Option<u64> {
    let (n, immr, imms) = (w.bits(22, 22), w.bits(21, 16), w.bits(15, 10));
    if n == 1 && ty == Ty::I32 {
        return None;
    }
    let length = 31u32.checked_sub((n << 6 | (!imms & 0x3f)).leading_zeros())?;
    if length == 0 {
        return None;
    }
    let size = 1 << length;
    let (ones, rotation) = (imms & (size - 1), immr & (size - 1));
    if ones == size - 1 {
        return None;
    }
    let element = (1u64 << (ones + 1)) - 1;
    let mask = u64::MAX >> (64 - size);
    let rotated = if rotation == 0 { element } else { (element >> rotation | element << (size - rotation)) & mask };
    let mut result = rotated;
    let mut width = size;
    while width < ty.bits() {
        result |= result << width;
        width *= 2;
    }
    Some(result & ty.mask() as u64)
}

/// The floating-point constant in eight bits, as the bits of `ty` (`f32` or `f64`).
pub(super) fn float_immediate(ty: Ty, imm8: u32) -> u64 {
    if ty.lane() == Ty::F64 { expand_immediate(11, 52, imm8) } else { expand_immediate(8, 23, imm8) }
}

/// The floating-point constant in eight bits, as the bits of a binary16.
pub(super) fn half_immediate(imm8: u32) -> u64 {
    expand_immediate(5, 10, imm8)
}

/// Arm ARM, VFPExpandImm.
fn expand_immediate(exponent_bits: u32, fraction_bits: u32, imm8: u32) -> u64 {
    let imm8 = u64::from(imm8);
    let (sign, top, rest) = (imm8 >> 7, imm8 >> 6 & 1, imm8 & 0x3f);
    let repeated = if top == 1 { (1 << (exponent_bits - 3)) - 1 } else { 0 };
    let exponent = (top ^ 1) << (exponent_bits - 1) | repeated << 2 | rest >> 4;
    sign << (exponent_bits + fraction_bits) | exponent << fraction_bits | (rest & 15) << (fraction_bits - 4)
}
