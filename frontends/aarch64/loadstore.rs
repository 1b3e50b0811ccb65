//! Loads and stores of general and SIMD registers, single and in pairs, in every addressing form.
//!
//! Registers, the base included, are written after the last access.

use super::operand::{Lifted, extended, reg, require, set_reg, set_reg_or_sp, set_v, v, x_or_sp};
use super::word::Word;
use crate::lift::{Lift, LiftError};
use philae_ir::{Sink, Ty, Value};

/// How a loaded integer fills its register.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Extend {
    /// Zeroes above.
    Zero,
    /// Its sign up to bit 31, zeroes above.
    Sign32,
    /// Its sign up to bit 63.
    Sign64,
}

/// Where an access goes, and what becomes of the base register.
struct Place {
    base: Value,
    offset: i64,
    /// The base register and what is added to it, for pre- and post-indexed forms.
    writeback: Option<(usize, i64)>,
}

impl Place {
    /// Adds to the base register, if the form says so.
    fn write_back(&self, l: &mut Lift<impl Sink>) {
        if let Some((n, offset)) = self.writeback {
            let new = l.b.add_imm(Ty::I64, self.base, offset as u64);
            set_reg_or_sp(l, Ty::I64, n, new);
        }
    }
}

/// The address forms of a single register access of 1 << `scale` bytes: unsigned offset, register offset,
/// and under bits 11:10 unscaled, post-indexed, unprivileged (general registers only), pre-indexed.
fn place(w: Word, l: &mut Lift<impl Sink>, scale: u32) -> Result<Place, LiftError> {
    let n = w.rn();
    if w.is_set(24) {
        let offset = i64::from(w.bits(21, 10) << scale);
        return Ok(Place { base: x_or_sp(l, n), offset, writeback: None });
    }
    if w.is_set(21) {
        // Only option values with a W or X index exist.
        require(w.bits(11, 10) == 2 && w.is_set(14))?;
        let shift = if w.is_set(12) { scale } else { 0 };
        let base = x_or_sp(l, n);
        let index = extended(l, Ty::I64, w.rm(), w.bits(15, 13), shift);
        return Ok(Place { base: l.b.add(Ty::I64, base, index), offset: 0, writeback: None });
    }
    let offset = w.signed(20, 12);
    let (offset, writeback) = match w.bits(11, 10) {
        0 => (offset, None),
        1 => (0, Some((n, offset))),
        2 => {
            require(!w.is_set(26))?;
            (offset, None)
        }
        _ => (offset, Some((n, offset))),
    };
    Ok(Place { base: x_or_sp(l, n), offset, writeback })
}

/// Base and loaded register may not be the same in indexed forms (CONSTRAINED UNPREDICTABLE; here undefined).
fn require_apart(place: &Place, t: usize) -> Lifted {
    require(place.writeback.is_none_or(|(n, _)| n != t || n == 31))
}

/// LDR, LDRB, LDRH, LDRSB, LDRSH, LDRSW and their LDUR and LDTR forms.
pub(super) fn load(w: Word, l: &mut Lift<impl Sink>, extend: Extend) -> Lifted {
    let memory = w.access();
    let place = place(w, l, w.bits(31, 30))?;
    require_apart(&place, w.rt())?;
    let value = load_extended(l, memory, extend, place.base, place.offset);
    set_reg(l, Ty::I64, w.rt(), value);
    place.write_back(l);
    Ok(())
}

fn load_extended(l: &mut Lift<impl Sink>, memory: Ty, extend: Extend, base: Value, offset: i64) -> Value {
    match extend {
        Extend::Zero => l.b.load_zext(Ty::I64, memory, base, offset),
        Extend::Sign64 => l.b.load_sext(Ty::I64, memory, base, offset),
        Extend::Sign32 => {
            let word = l.b.load_sext(Ty::I32, memory, base, offset);
            l.b.zext(Ty::I64, word)
        }
    }
}

/// STR, STRB, STRH and their STUR and STTR forms.
pub(super) fn store(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let memory = w.access();
    let place = place(w, l, w.bits(31, 30))?;
    let value = reg(l, memory, w.rt());
    l.b.store(memory, place.base, place.offset, value);
    place.write_back(l);
    Ok(())
}

/// PRFM, PRFUM: nothing that a program can see, once the address form is a valid one. Those for data (bits 4:3 are PLD or
/// PST) are passed on.
pub(super) fn prefetch(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let place = place(w, l, 3)?;
    require(place.writeback.is_none() && (w.is_set(24) || w.is_set(21) || w.bits(11, 10) == 0))?;
    if matches!(w.bits(4, 3), 0b00 | 0b10) {
        l.b.prefetch(place.base, place.offset);
    }
    Ok(())
}

/// LDR (literal).
pub(super) fn load_literal(w: Word, l: &mut Lift<impl Sink>, memory: Ty, extend: Extend) -> Lifted {
    let address = literal(w, l);
    let value = load_extended(l, memory, extend, address, 0);
    set_reg(l, Ty::I64, w.rt(), value);
    Ok(())
}

/// LDR (literal, SIMD and FP).
pub(super) fn load_literal_simd(w: Word, l: &mut Lift<impl Sink>, memory: Ty) -> Lifted {
    let address = literal(w, l);
    let value = l.b.load(memory, address, 0);
    set_v(l, memory, w.rt(), value);
    Ok(())
}

fn literal(w: Word, l: &mut Lift<impl Sink>) -> Value {
    l.b.c64(l.pc.wrapping_add((w.signed(23, 5) * 4) as u64))
}

/// The type of a SIMD register access: size in bits 31:30, and 128 bits for 00 where bit 23 is set.
fn simd_access(w: Word) -> Result<(Ty, u32), LiftError> {
    match (w.is_set(23), w.bits(31, 30)) {
        (false, 0) => Ok((Ty::I8, 0)),
        (false, 1) => Ok((Ty::I16, 1)),
        (false, 2) => Ok((Ty::F32, 2)),
        (false, _) => Ok((Ty::F64, 3)),
        (true, 0) => Ok((Ty::V128, 4)),
        (true, _) => Err(LiftError::Undefined),
    }
}

/// LDR, LDUR (SIMD and FP).
pub(super) fn load_simd(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (memory, scale) = simd_access(w)?;
    let place = place(w, l, scale)?;
    let value = l.b.load(memory, place.base, place.offset);
    set_v(l, memory, w.rt(), value);
    place.write_back(l);
    Ok(())
}

/// STR, STUR (SIMD and FP).
pub(super) fn store_simd(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (memory, scale) = simd_access(w)?;
    let place = place(w, l, scale)?;
    let value = v(l, memory, w.rt());
    l.b.store(memory, place.base, place.offset, value);
    place.write_back(l);
    Ok(())
}

/// The address forms of a pair of registers of `bytes` each: no-allocate, post-indexed, offset, pre-indexed.
fn pair_place(w: Word, l: &mut Lift<impl Sink>, bytes: u32) -> Place {
    let n = w.rn();
    let offset = w.signed(21, 15) * i64::from(bytes);
    let (offset, writeback) = match w.bits(24, 23) {
        1 => (0, Some((n, offset))),
        3 => (offset, Some((n, offset))),
        _ => (offset, None),
    };
    Place { base: x_or_sp(l, n), offset, writeback }
}

/// LDP, LDNP, LDPSW.
pub(super) fn load_pair(w: Word, l: &mut Lift<impl Sink>, memory: Ty, extend: Extend) -> Lifted {
    require(w.rt() != w.rt2() && (extend == Extend::Zero || w.bits(24, 23) != 0))?;
    let place = pair_place(w, l, memory.bytes());
    require_apart(&place, w.rt())?;
    require_apart(&place, w.rt2())?;
    let first = load_extended(l, memory, extend, place.base, place.offset);
    let second = load_extended(l, memory, extend, place.base, place.offset + i64::from(memory.bytes()));
    set_reg(l, Ty::I64, w.rt(), first);
    set_reg(l, Ty::I64, w.rt2(), second);
    place.write_back(l);
    Ok(())
}

/// STP, STNP.
pub(super) fn store_pair(w: Word, l: &mut Lift<impl Sink>, memory: Ty) -> Lifted {
    let place = pair_place(w, l, memory.bytes());
    let first = reg(l, memory, w.rt());
    let second = reg(l, memory, w.rt2());
    l.b.store(memory, place.base, place.offset, first);
    l.b.store(memory, place.base, place.offset + i64::from(memory.bytes()), second);
    place.write_back(l);
    Ok(())
}

/// LDP, LDNP (SIMD and FP).
pub(super) fn load_pair_simd(w: Word, l: &mut Lift<impl Sink>, memory: Ty) -> Lifted {
    require(w.rt() != w.rt2())?;
    let place = pair_place(w, l, memory.bytes());
    let first = l.b.load(memory, place.base, place.offset);
    let second = l.b.load(memory, place.base, place.offset + i64::from(memory.bytes()));
    set_v(l, memory, w.rt(), first);
    set_v(l, memory, w.rt2(), second);
    place.write_back(l);
    Ok(())
}

/// STP, STNP (SIMD and FP).
pub(super) fn store_pair_simd(w: Word, l: &mut Lift<impl Sink>, memory: Ty) -> Lifted {
    let place = pair_place(w, l, memory.bytes());
    let first = v(l, memory, w.rt());
    let second = v(l, memory, w.rt2());
    l.b.store(memory, place.base, place.offset, first);
    l.b.store(memory, place.base, place.offset + i64::from(memory.bytes()), second);
    place.write_back(l);
    Ok(())
}
