//! Integer data processing: sums, differences, logic, constants, products, quotients, shifts, counts, CRC.

use super::flags;
use super::operand::{
    Lifted, Sign, extended, logical_immediate, reg, reg_or_sp, require, set_reg, set_reg_or_sp, shifted,
};
use super::word::Word;
use crate::lift::{Lift, LiftError};
use philae_ir::{Builder, Carry, Sink, Ty, Value};

/// Sum or difference.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sum {
    /// a + b.
    Add,
    /// a − b.
    Sub,
}

/// What an instruction does to NZCV.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flags {
    /// Nothing.
    Keep,
    /// Writes it.
    Set,
}

fn sum(l: &mut Lift<impl Sink>, ty: Ty, op: Sum, a: Value, b: Value) -> Value {
    match op {
        Sum::Add => l.b.add(ty, a, b),
        Sum::Sub => l.b.sub(ty, a, b),
    }
}

fn sum_flags(l: &mut Lift<impl Sink>, ty: Ty, op: Sum, a: Value, b: Value) {
    let flags = match op {
        Sum::Add => l.b.flags_add(ty, a, b),
        Sum::Sub => l.b.flags_sub(ty, Carry::NotBorrow, a, b),
    };
    flags::set(l, flags);
}

/// ADD, SUB, ADDS, SUBS (immediate).
pub(super) fn sum_immediate(w: Word, l: &mut Lift<impl Sink>, op: Sum, flags: Flags) -> Lifted {
    let imm = w.bits(21, 10) << if w.is_set(22) { 12 } else { 0 };
    let ty = w.sf();
    let n = reg_or_sp(l, ty, w.rn());
    let known = match (imm, flags, op) {
        (_, Flags::Set, _) => None,
        // MOV (to/from SP).
        (0, ..) => Some(n),
        // As behind ADRP.
        (_, _, Sum::Add) => l.b.constant(n).map(|n| l.b.iconst(ty, (n as u64).wrapping_add(u64::from(imm)))),
        (_, _, Sum::Sub) => None,
    };
    if let Some(result) = known {
        set_reg_or_sp(l, ty, w.rd(), result);
        return Ok(());
    }
    let m = l.b.iconst(ty, u64::from(imm));
    sum_to_sp(w, l, op, flags, [n, m]);
    Ok(())
}

/// ADD, SUB, ADDS, SUBS (extended register).
pub(super) fn sum_extended(w: Word, l: &mut Lift<impl Sink>, op: Sum, flags: Flags) -> Lifted {
    require(w.bits(12, 10) <= 4)?;
    let ty = w.sf();
    let n = reg_or_sp(l, ty, w.rn());
    let m = extended(l, ty, w.rm(), w.bits(15, 13), w.bits(12, 10));
    sum_to_sp(w, l, op, flags, [n, m]);
    Ok(())
}

/// Rd is SP for 31 where flags are kept, and XZR where they are written.
fn sum_to_sp(w: Word, l: &mut Lift<impl Sink>, op: Sum, flags: Flags, [n, m]: [Value; 2]) {
    let ty = w.sf();
    let result = sum(l, ty, op, n, m);
    match flags {
        Flags::Keep => set_reg_or_sp(l, ty, w.rd(), result),
        Flags::Set => {
            sum_flags(l, ty, op, n, m);
            set_reg(l, ty, w.rd(), result);
        }
    }
}

/// ADD, SUB, ADDS, SUBS (shifted register).
pub(super) fn sum_shifted(w: Word, l: &mut Lift<impl Sink>, op: Sum, flags: Flags) -> Lifted {
    require(w.bits(23, 22) != 3)?;
    let ty = w.sf();
    let n = reg(l, ty, w.rn());
    let m = shifted(w, l, ty)?;
    let result = sum(l, ty, op, n, m);
    if flags == Flags::Set {
        sum_flags(l, ty, op, n, m);
    }
    set_reg(l, ty, w.rd(), result);
    Ok(())
}

/// ADC, SBC, ADCS, SBCS.
pub(super) fn sum_carry(w: Word, l: &mut Lift<impl Sink>, op: Sum, flags: Flags) -> Lifted {
    let ty = w.sf();
    let n = reg(l, ty, w.rn());
    let m = reg(l, ty, w.rm());
    let carry = flags::carry(l);
    // a − b − !C = a + !b + C.
    let addend = if op == Sum::Add { m } else { l.b.not(ty, m) };
    let partial = l.b.add(ty, n, addend);
    let wide_carry = l.b.zext(ty, carry);
    let result = l.b.add(ty, partial, wide_carry);
    if flags == Flags::Set {
        let flags = match op {
            Sum::Add => l.b.flags_adc(ty, n, m, carry),
            Sum::Sub => l.b.flags_sbc(ty, Carry::NotBorrow, n, m, carry),
        };
        flags::set(l, flags);
    }
    set_reg(l, ty, w.rd(), result);
    Ok(())
}

/// AND, ORR, EOR, ANDS (immediate): Rd is SP for 31 unless flags are written.
pub(super) fn logic_immediate<S: Sink>(
    w: Word,
    l: &mut Lift<S>,
    flags: Flags,
    op: impl Fn(&mut Builder<S>, Ty, Value, Value) -> Value,
) -> Lifted {
    let ty = w.sf();
    let imm = logical_immediate(w, ty).ok_or(LiftError::Undefined)?;
    let n = reg(l, ty, w.rn());
    let m = l.b.iconst(ty, imm);
    let result = op(&mut l.b, ty, n, m);
    match flags {
        Flags::Keep => set_reg_or_sp(l, ty, w.rd(), result),
        Flags::Set => set_logic(w, l, result),
    }
    Ok(())
}

/// AND, BIC, ORR, ORN, EOR, EON, ANDS, BICS (shifted register).
pub(super) fn logic_shifted<S: Sink>(
    w: Word,
    l: &mut Lift<S>,
    flags: Flags,
    op: impl Fn(&mut Builder<S>, Ty, Value, Value) -> Value,
) -> Lifted {
    let ty = w.sf();
    let n = reg(l, ty, w.rn());
    let m = shifted(w, l, ty)?;
    let result = op(&mut l.b, ty, n, m);
    match flags {
        Flags::Keep => set_reg(l, ty, w.rd(), result),
        Flags::Set => set_logic(w, l, result),
    }
    Ok(())
}

/// ORR (shifted register), of which MOV is the commonest use.
pub(super) fn orr_shifted(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    if w.rn() != 31 {
        return logic_shifted(w, l, Flags::Keep, Builder::or);
    }
    let ty = w.sf();
    let m = shifted(w, l, ty)?;
    set_reg(l, ty, w.rd(), m);
    Ok(())
}

fn set_logic(w: Word, l: &mut Lift<impl Sink>, result: Value) {
    let ty = w.sf();
    let flags = l.b.flags_logic(ty, result);
    flags::set(l, flags);
    set_reg(l, ty, w.rd(), result);
}

/// MOVZ.
pub(super) fn movz(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (imm, shift) = wide_immediate(w)?;
    let value = l.b.c64(imm << shift);
    set_reg(l, Ty::I64, w.rd(), value);
    Ok(())
}

/// MOVN.
pub(super) fn movn(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (imm, shift) = wide_immediate(w)?;
    let value = l.b.c64(!(imm << shift) & w.sf().mask() as u64);
    set_reg(l, Ty::I64, w.rd(), value);
    Ok(())
}

/// MOVK.
pub(super) fn movk(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (imm, shift) = wide_immediate(w)?;
    let ty = w.sf();
    let old = reg(l, ty, w.rd());
    let kept = l.b.and_imm(ty, old, !(0xffff << shift));
    let new = l.b.iconst(ty, imm << shift);
    let result = l.b.or(ty, kept, new);
    set_reg(l, ty, w.rd(), result);
    Ok(())
}

fn wide_immediate(w: Word) -> Result<(u64, u32), LiftError> {
    let shift = 16 * w.bits(22, 21);
    require(shift < w.sf().bits())?;
    Ok((u64::from(w.bits(20, 5)), shift))
}

/// ADR.
pub(super) fn adr(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let value = l.b.c64(l.pc.wrapping_add(page_offset(w) as u64));
    set_reg(l, Ty::I64, w.rd(), value);
    Ok(())
}

/// ADRP.
pub(super) fn adrp(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let value = l.b.c64((l.pc & !0xfff).wrapping_add((page_offset(w) as u64) << 12));
    set_reg(l, Ty::I64, w.rd(), value);
    Ok(())
}

fn page_offset(w: Word) -> i64 {
    w.signed(23, 5) << 2 | i64::from(w.bits(30, 29))
}

/// MADD, MSUB.
pub(super) fn multiply_add(w: Word, l: &mut Lift<impl Sink>, op: Sum) -> Lifted {
    let ty = w.sf();
    let n = reg(l, ty, w.rn());
    let m = reg(l, ty, w.rm());
    let product = l.b.mul(ty, n, m);
    accumulate(w, l, ty, op, product)
}

/// SMADDL, SMSUBL, UMADDL, UMSUBL.
pub(super) fn multiply_add_long(w: Word, l: &mut Lift<impl Sink>, op: Sum, sign: Sign) -> Lifted {
    let n = long_factor(l, w.rn(), sign);
    let m = long_factor(l, w.rm(), sign);
    let product = l.b.mul(Ty::I64, n, m);
    accumulate(w, l, Ty::I64, op, product)
}

fn long_factor(l: &mut Lift<impl Sink>, n: usize, sign: Sign) -> Value {
    let low = reg(l, Ty::I32, n);
    match sign {
        Sign::Signed => l.b.sext(Ty::I64, low),
        Sign::Unsigned => l.b.zext(Ty::I64, low),
    }
}

fn accumulate(w: Word, l: &mut Lift<impl Sink>, ty: Ty, op: Sum, product: Value) -> Lifted {
    let result = if w.ra() == 31 && op == Sum::Add {
        product
    } else {
        let a = reg(l, ty, w.ra());
        sum(l, ty, op, a, product)
    };
    set_reg(l, ty, w.rd(), result);
    Ok(())
}

/// Rd = op(Rn, Rm): UDIV, SDIV, LSLV, LSRV, ASRV, RORV, and with sf = 1 SMULH and UMULH.
pub(super) fn binary<S: Sink>(
    w: Word,
    l: &mut Lift<S>,
    op: impl Fn(&mut Builder<S>, Ty, Value, Value) -> Value,
) -> Lifted {
    let ty = w.sf();
    let n = reg(l, ty, w.rn());
    let m = reg(l, ty, w.rm());
    let result = op(&mut l.b, ty, n, m);
    set_reg(l, ty, w.rd(), result);
    Ok(())
}

/// Rd = op(Rn): RBIT, CLZ, CLS, REV.
pub(super) fn unary<S: Sink>(w: Word, l: &mut Lift<S>, op: impl Fn(&mut Builder<S>, Ty, Value) -> Value) -> Lifted {
    let ty = w.sf();
    let n = reg(l, ty, w.rn());
    let result = op(&mut l.b, ty, n);
    set_reg(l, ty, w.rd(), result);
    Ok(())
}

/// REV16: the bytes of each halfword swapped.
pub(super) fn rev16(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    const LOW: u64 = 0x00ff_00ff_00ff_00ff;
    unary(w, l, |b, ty, n| {
        let down = b.lshr_imm(ty, n, 8);
        let down = b.and_imm(ty, down, LOW);
        let up = b.and_imm(ty, n, LOW);
        let up = b.shl_imm(ty, up, 8);
        b.or(ty, down, up)
    })
}

/// REV32: the bytes of each word of an X register reversed.
pub(super) fn rev32(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    unary(w, l, |b, ty, n| {
        let all = b.bswap(ty, n);
        b.with_imm(ty, all, 32, Builder::rotr)
    })
}

/// The numbers with which a checksum is reduced by carry-less products, bits in reverse order as the instructions have
/// them (Barrett): 64 bits A of a message, the first in bit 0, leave A x^32 mod P, which is what Q P has below x^32,
/// where the quotient Q is the upper half of A floor(x^96 / P).
pub(super) struct Checksum {
    /// floor(x^96 / P), in such an order that the lower half of the product is Q. Its lowest coefficient adds nothing.
    quotient: u64,
    /// P.
    polynomial: u64,
}

/// CRC-32: polynomial 0x04c11db7.
pub(super) const IEEE: Checksum = Checksum::new(0x04c1_1db7);
/// CRC-32C: polynomial 0x1edc6f41.
pub(super) const CASTAGNOLI: Checksum = Checksum::new(0x1edc_6f41);

impl Checksum {
    /// For x^32 and this below it.
    const fn new(polynomial: u32) -> Checksum {
        let divisor = 1 << 32 | polynomial as u128;
        let (mut rest, mut quotient, mut place) = (1u128 << 96, 0, 64);
        while place > 0 {
            if rest >> (place + 32) & 1 != 0 {
                rest ^= divisor << place;
                quotient |= 1u128 << place;
            }
            place -= 1;
        }
        let reversed = (quotient as u64).reverse_bits();
        Checksum { quotient: reversed << 1 | 1, polynomial: (polynomial.reverse_bits() as u64) << 1 | 1 }
    }
}

/// CRC32B to CRC32CX: bits 11:10 are the size of the data, and sf says X.
pub(super) fn crc32(w: Word, l: &mut Lift<impl Sink>, checksum: &Checksum) -> Lifted {
    let size = w.bits(11, 10);
    require((size == 3) == w.is_set(31))?;
    let bits = 8 << size;
    let old = reg(l, Ty::I32, w.rn());
    let data = reg(l, Ty::I64, w.rm());
    let wide = l.b.zext(Ty::I64, old);
    let mixed = l.b.xor(Ty::I64, wide, data);
    // Narrow data are the end of a message of 64 bits.
    let message = if bits < 64 { l.b.shl_imm(Ty::I64, mixed, 64 - bits) } else { mixed };
    let [quotient, polynomial] =
        [checksum.quotient, checksum.polynomial].map(|number| l.b.wide_const(Ty::V128, u128::from(number)));
    let zero = l.b.c64(0);
    let message = l.b.concat(Ty::V128, message, zero);
    let quotient = l.b.clmul_low(message, quotient);
    let product = l.b.clmul_low(quotient, polynomial);
    let rest = l.b.high(Ty::V128, product);
    let mut result = l.b.trunc(Ty::I32, rest);
    if bits < 32 {
        // What narrow data do not reach of the old checksum moves down.
        let left = l.b.lshr_imm(Ty::I32, old, bits);
        result = l.b.xor(Ty::I32, result, left);
    }
    set_reg(l, Ty::I32, w.rd(), result);
    Ok(())
}
