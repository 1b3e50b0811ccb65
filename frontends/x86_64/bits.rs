//! Single bits, bit scans and counts.

use super::operand::{Address, Lifted, Place, X86};
use crate::lift::LiftError;
use philae_ir::{IntCond, RmwOp, Sink, Ty, Value};

/// What BT and its like do to the bit after copying it to CF.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum BitChange {
    Keep,
    Set,
    Reset,
    Complement,
}

/// BT, BTS, BTR, BTC. Only CF changes.
pub(super) fn bit_test(x: &mut X86<impl Sink>, change: BitChange) -> Lifted {
    let ty = x.ty(0)?;
    let index = x.value(1, ty)?;
    let place = bit_place(x, ty, index)?;
    let one = x.iconst(ty, 1);
    let mask = x.shl(ty, one, index);
    let old = match place {
        Place::Memory(at) if x.insn.has_lock_prefix() => {
            let pointer = x.pointer(at);
            let op = match change {
                BitChange::Set => RmwOp::Or,
                BitChange::Reset => RmwOp::AndNot,
                BitChange::Complement => RmwOp::Xor,
                BitChange::Keep => return Err(LiftError::Undefined),
            };
            x.atomic_rmw(ty, op, pointer, mask)
        }
        _ => {
            let old = x.read(place, ty);
            let new = match change {
                BitChange::Keep => None,
                BitChange::Set => Some(x.or(ty, old, mask)),
                BitChange::Reset => Some(x.and_not(ty, old, mask)),
                BitChange::Complement => Some(x.xor(ty, old, mask)),
            };
            if let Some(new) = new {
                x.write(place, ty, new);
            }
            old
        }
    };
    let shifted = x.lshr(ty, old, index);
    let carry = x.low_bit(ty, shifted);
    x.set_carry(carry);
    Ok(())
}

/// Where the bit is: an index in a register reaches beyond the memory operand, in both directions.
fn bit_place(x: &mut X86<impl Sink>, ty: Ty, index: Value) -> Result<Place, LiftError> {
    let place = x.place(0)?;
    let Place::Memory(at) = place else { return Ok(place) };
    if !x.is_register(1) {
        return Ok(place);
    }
    let wide = x.sext_from(ty, Ty::I64, index);
    let units = x.ashr_imm(Ty::I64, wide, u64::from(ty.bits().trailing_zeros()));
    let distance = x.shl_imm(Ty::I64, units, u64::from(ty.bytes().trailing_zeros()));
    Ok(Place::Memory(Address { base: x.add(Ty::I64, at.base, distance), offset: at.offset }))
}

/// From which end BSF and BSR look.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Low,
    High,
}

/// BSF and BSR: a source of 0 leaves the destination, which AMD documents and Intel does.
pub(super) fn scan(x: &mut X86<impl Sink>, end: End) -> Lifted {
    let ty = x.ty(0)?;
    let source = x.value(1, ty)?;
    let found = match end {
        End::Low => x.ctz(ty, source),
        End::High => {
            let leading = x.clz(ty, source);
            let top = x.iconst(ty, u64::from(ty.bits()) - 1);
            x.sub(ty, top, leading)
        }
    };
    let zero = x.icmp_imm(ty, IntCond::Eq, source, 0);
    let Place::Low(slot) = x.place(0)? else { return Err(LiftError::Undefined) };
    if ty == Ty::I16 {
        let old = x.get(ty, slot);
        let value = x.select(ty, zero, old, found);
        x.write_gpr(slot, ty, value);
    } else {
        // All 64 bits stay, also for a 32-bit operand.
        let old = x.get(Ty::I64, slot);
        let found = x.zext_from(ty, Ty::I64, found);
        let value = x.select(Ty::I64, zero, old, found);
        x.set(Ty::I64, slot, value);
    }
    // ZF alone is defined; the others are AMD's: PF from the result, the rest clear.
    let any = x.bool_not(zero);
    let flags = x.flags_logic(Ty::I8, any);
    x.set_flags(flags);
    x.set_parity(ty, found);
    x.clear_adjust();
    Ok(())
}

/// TZCNT and LZCNT: CF says that the source was 0, ZF that the result is.
pub(super) fn count_zeros(x: &mut X86<impl Sink>, end: End) -> Lifted {
    let ty = x.ty(0)?;
    let source = x.value(1, ty)?;
    let count = match end {
        End::Low => x.ctz(ty, source),
        End::High => x.clz(ty, source),
    };
    x.write_operand(0, ty, count)?;
    let empty = x.icmp_imm(ty, IntCond::Eq, source, 0);
    let flags = x.flags_logic(ty, count);
    let flags = x.flags_with_c(flags, empty);
    x.set_flags(flags);
    let clear = x.bool_const(0);
    x.set_parity_flag(clear);
    x.clear_adjust();
    Ok(())
}

pub(super) fn popcnt(x: &mut X86<impl Sink>) -> Lifted {
    let ty = x.ty(0)?;
    let source = x.value(1, ty)?;
    let count = x.popcnt(ty, source);
    x.write_operand(0, ty, count)?;
    // ZF from the source; the others clear.
    let flags = x.flags_logic(ty, count);
    x.set_flags(flags);
    let clear = x.bool_const(0);
    x.set_parity_flag(clear);
    x.clear_adjust();
    Ok(())
}
