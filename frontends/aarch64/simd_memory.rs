//! AdvSIMD structure loads and stores: LD1 to LD4, ST1 to ST4, of whole registers, single lanes, and replicated.
//!
//! All of memory is read before the first register is written.

use super::operand::{Lifted, require, set_reg_or_sp, set_v, v, x, x_or_sp};
use super::word::Word;
use crate::lift::{Lift, LiftError};
use philae_ir::{Sink, Ty, Value};

/// Adds the bytes accessed, or Xm, to the base of a post-indexed form (bit 23).
fn write_back(w: Word, l: &mut Lift<impl Sink>, base: Value, bytes: usize) {
    if w.is_set(23) {
        let amount = if w.rm() == 31 { l.b.c64(bytes as u64) } else { x(l, w.rm()) };
        let new = l.b.add(Ty::I64, base, amount);
        set_reg_or_sp(l, Ty::I64, w.rn(), new);
    }
}

/// A multiple-structure access: so many registers, of whose lanes so many follow each other in memory.
struct Multiple {
    registers: usize,
    /// 1 for LD1 and ST1, whatever the number of registers.
    interleave: usize,
    /// Bytes in a lane.
    lane: usize,
    /// Bytes of a register that count.
    width: usize,
}

fn multiple(w: Word) -> Result<Multiple, LiftError> {
    let (registers, interleave) = match w.bits(15, 12) {
        0b0000 => (4, 4),
        0b0010 => (4, 1),
        0b0100 => (3, 3),
        0b0110 => (3, 1),
        0b0111 => (1, 1),
        0b1000 => (2, 2),
        0b1010 => (2, 1),
        _ => return Err(LiftError::Undefined),
    };
    let width = if w.is_set(30) { 16 } else { 8 };
    let lane = 1 << w.bits(11, 10);
    require(interleave == 1 || lane < width)?;
    Ok(Multiple { registers, interleave, lane, width })
}

/// Register number `i` after Vt.
fn register(w: Word, i: usize) -> usize {
    (w.rt() + i) % 32
}

/// Sixteen bytes put together from bytes of the vectors `from`: byte i is byte `place(i)`.1 of vector `place(i)`.0,
/// or anything where that is `None`.
fn gather(l: &mut Lift<impl Sink>, from: &[Value], place: impl Fn(usize) -> Option<(usize, usize)>) -> Value {
    let byte_of =
        |number: usize, i: usize| place(i).filter(|&(source, _)| source == number).map(|(_, byte)| byte as u8);
    let mut used = (0..from.len()).filter(|&number| (0..16).any(|i| byte_of(number, i).is_some()));
    let first = used.next().unwrap_or(0);
    let second = used.next().unwrap_or(first);
    let mask = std::array::from_fn(|i| {
        let low = byte_of(first, i);
        low.or(byte_of(second, i).map(|byte| byte + 16)).unwrap_or(0xff)
    });
    let mut result = l.b.shuffle(from[first], from[second], mask);
    for number in used {
        let mask = std::array::from_fn(|i| byte_of(number, i).map_or(i as u8, |byte| byte + 16));
        result = l.b.shuffle(result, from[number], mask);
    }
    result
}

/// The bytes of memory that a multiple-structure access means, in vectors; the last may count for 8 bytes only.
fn load_all(l: &mut Lift<impl Sink>, base: Value, bytes: usize) -> [Value; 4] {
    let mut vectors = [base; 4];
    for (i, vector) in vectors.iter_mut().enumerate().take(bytes.div_ceil(16)) {
        let offset = 16 * i as i64;
        *vector = if bytes - 16 * i >= 16 {
            l.b.load(Ty::V128, base, offset)
        } else {
            let low = l.b.load(Ty::I64, base, offset);
            let high = l.b.c64(0);
            l.b.concat(Ty::V128, low, high)
        };
    }
    vectors
}

/// LD1, LD2, LD3, LD4 (multiple structures).
pub(super) fn load_multiple(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let Multiple { registers, interleave, lane, width } = multiple(w)?;
    let base = x_or_sp(l, w.rn());
    let ty = if width == 16 { Ty::V128 } else { Ty::I64 };
    let mut values = [base; 4];
    if interleave == 1 {
        for (i, value) in values.iter_mut().enumerate().take(registers) {
            *value = l.b.load(ty, base, (i * width) as i64);
        }
    } else {
        let memory = load_all(l, base, registers * width);
        let memory = &memory[..(registers * width).div_ceil(16)];
        for (r, value) in values.iter_mut().enumerate().take(registers) {
            let whole = gather(l, memory, |i| {
                let at = (i / lane * interleave + r) * lane + i % lane;
                (i < width).then_some((at / 16, at % 16))
            });
            *value = if width == 16 { whole } else { l.b.low(Ty::V128, whole) };
        }
    }
    for (i, &value) in values.iter().enumerate().take(registers) {
        set_v(l, ty, register(w, i), value);
    }
    write_back(w, l, base, registers * width);
    Ok(())
}

/// ST1, ST2, ST3, ST4 (multiple structures).
pub(super) fn store_multiple(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let Multiple { registers, interleave, lane, width } = multiple(w)?;
    let base = x_or_sp(l, w.rn());
    if interleave == 1 {
        let ty = if width == 16 { Ty::V128 } else { Ty::I64 };
        for i in 0..registers {
            let value = v(l, ty, register(w, i));
            l.b.store(ty, base, (i * width) as i64, value);
        }
    } else {
        let mut values = [base; 4];
        for (i, value) in values.iter_mut().enumerate().take(registers) {
            *value = v(l, Ty::V128, register(w, i));
        }
        let bytes = registers * width;
        for start in (0..bytes).step_by(16) {
            let piece = gather(l, &values[..registers], |i| {
                let (element, byte) = ((start + i) / lane, (start + i) % lane);
                (start + i < bytes).then_some((element % interleave, element / interleave * lane + byte))
            });
            if bytes - start >= 16 {
                l.b.store(Ty::V128, base, start as i64, piece);
            } else {
                let low = l.b.low(Ty::V128, piece);
                l.b.store(Ty::I64, base, start as i64, low);
            }
        }
    }
    write_back(w, l, base, registers * width);
    Ok(())
}

/// A single-structure access: so many registers, the shape of their lanes, and which lane of each.
struct Single {
    registers: usize,
    ty: Ty,
    lane: u32,
}

/// Bits 15:14 scale; R (bit 21) and bit 13 count registers; Q, S and size make the lane number.
fn single(w: Word) -> Result<Single, LiftError> {
    let registers = (w.bits(13, 13) << 1 | w.bits(21, 21)) as usize + 1;
    let (q, s, size) = (w.bits(30, 30), w.bits(12, 12), w.bits(11, 10));
    let index = q << 3 | s << 2 | size;
    let (ty, lane) = match w.bits(15, 14) {
        0 => (Ty::I8X16, index),
        1 => {
            require(size & 1 == 0)?;
            (Ty::I16X8, index >> 1)
        }
        2 if size == 0 => (Ty::I32X4, index >> 2),
        2 => {
            require(size == 1 && s == 0)?;
            (Ty::I64X2, q)
        }
        _ => return Err(LiftError::Undefined),
    };
    Ok(Single { registers, ty, lane })
}

/// LD1, LD2, LD3, LD4 (single structure).
pub(super) fn load_single(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let Single { registers, ty, lane } = single(w)?;
    let base = x_or_sp(l, w.rn());
    let loaded = load_lanes(l, ty, base, registers);
    for (i, &scalar) in loaded.iter().enumerate().take(registers) {
        let old = v(l, ty, register(w, i));
        let new = l.b.insert_lane(ty, old, lane, scalar);
        set_v(l, ty, register(w, i), new);
    }
    write_back(w, l, base, registers * ty.lane().bytes() as usize);
    Ok(())
}

fn load_lanes(l: &mut Lift<impl Sink>, ty: Ty, base: Value, registers: usize) -> [Value; 4] {
    let mut loaded = [base; 4];
    for (i, scalar) in loaded.iter_mut().enumerate().take(registers) {
        *scalar = l.b.load(ty.lane(), base, i as i64 * i64::from(ty.lane().bytes()));
    }
    loaded
}

/// ST1, ST2, ST3, ST4 (single structure).
pub(super) fn store_single(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let Single { registers, ty, lane } = single(w)?;
    let base = x_or_sp(l, w.rn());
    for i in 0..registers {
        let value = v(l, ty, register(w, i));
        let scalar = l.b.extract_lane(ty, value, lane);
        l.b.store(ty.lane(), base, i as i64 * i64::from(ty.lane().bytes()), scalar);
    }
    write_back(w, l, base, registers * ty.lane().bytes() as usize);
    Ok(())
}

/// LD1R, LD2R, LD3R, LD4R.
pub(super) fn load_replicate(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let registers = (w.bits(13, 13) << 1 | w.bits(21, 21)) as usize + 1;
    let ty = Ty::int_vector(8 << w.bits(11, 10));
    let base = x_or_sp(l, w.rn());
    let loaded = load_lanes(l, ty, base, registers);
    for (i, &scalar) in loaded.iter().enumerate().take(registers) {
        let all = l.b.splat(ty, scalar);
        if w.is_set(30) {
            set_v(l, ty, register(w, i), all);
        } else {
            let low = l.b.low(Ty::V128, all);
            set_v(l, Ty::I64, register(w, i), low);
        }
    }
    write_back(w, l, base, registers * ty.lane().bytes() as usize);
    Ok(())
}
