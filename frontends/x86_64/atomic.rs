//! Operations that read and write one place: plainly, or in one step under LOCK.

use super::operand::{Lifted, Place, RAX, RBX, RCX, RDX, X86};
use crate::lift::LiftError;
use philae_ir::state::LOCALS;
use philae_ir::{ExitReason, IntCond, RmwOp, Sink, Ty, Value};

/// Replaces operand 0 by `new`(old) and makes old and new.
pub(super) fn update<S: Sink>(
    x: &mut X86<S>,
    ty: Ty,
    new: impl Fn(&mut X86<S>, Value) -> Value,
) -> Result<(Value, Value), LiftError> {
    let place = x.place(0)?;
    match place {
        Place::Memory(at) if x.insn.has_lock_prefix() => {
            let pointer = x.pointer(at);
            Ok(compare_and_swap_loop(x, ty, pointer, new))
        }
        _ => {
            let old = x.read(place, ty);
            let result = new(x, old);
            x.write(place, ty, result);
            Ok((old, result))
        }
    }
}

/// As [`update`], where `new`(old) is what `op` makes of old and `operand`.
pub(super) fn update_by<S: Sink>(
    x: &mut X86<S>,
    ty: Ty,
    op: RmwOp,
    operand: Value,
    new: impl Fn(&mut X86<S>, Value) -> Value,
) -> Result<(Value, Value), LiftError> {
    if !x.insn.has_lock_prefix() {
        return update(x, ty, new);
    }
    let at = x.address();
    let pointer = x.pointer(at);
    let old = x.atomic_rmw(ty, op, pointer, operand);
    let result = new(x, old);
    Ok((old, result))
}

/// Tries until no other thread comes between reading and writing.
fn compare_and_swap_loop<S: Sink>(
    x: &mut X86<S>,
    ty: Ty,
    pointer: Value,
    new: impl Fn(&mut X86<S>, Value) -> Value,
) -> (Value, Value) {
    let (attempt, again, done) = (x.new_block(), x.new_block(), x.new_block());
    let expected = LOCALS[0];
    let first = x.load(ty, pointer, 0);
    x.set(ty, expected, first);
    x.jump(attempt);
    x.switch_to(attempt);
    let old = x.get(ty, expected);
    let result = new(x, old);
    let seen = x.atomic_cas(ty, pointer, old, result);
    x.set(ty, expected, seen);
    let swapped = x.icmp(ty, IntCond::Eq, seen, old);
    x.branch(swapped, done, again);
    x.switch_to(again);
    x.lift.poll(x.lift.pc);
    x.jump(attempt);
    x.switch_to(done);
    (old, result)
}

pub(super) fn xadd(x: &mut X86<impl Sink>) -> Lifted {
    let ty = x.ty(0)?;
    let source = x.place(1)?;
    let b = x.read(source, ty);
    let target = x.place(0)?;
    let (a, result) = if let (Place::Memory(at), true) = (target, x.insn.has_lock_prefix()) {
        let pointer = x.pointer(at);
        let a = x.atomic_rmw(ty, RmwOp::Add, pointer, b);
        (a, x.add(ty, a, b))
    } else {
        let a = x.read(target, ty);
        (a, x.add(ty, a, b))
    };
    if let (Place::Memory(_), false) = (target, x.insn.has_lock_prefix()) {
        x.write(target, ty, result);
    }
    x.write(source, ty, a);
    if let Place::Low(_) | Place::HighByte(_) = target {
        x.write(target, ty, result);
    }
    let flags = x.flags_add(ty, a, b);
    x.arithmetic_flags(ty, flags, a, b, result);
    Ok(())
}

pub(super) fn cmpxchg(x: &mut X86<impl Sink>) -> Lifted {
    let ty = x.ty(0)?;
    let new = x.value(1, ty)?;
    let expected = x.get(ty, RAX);
    let target = x.place(0)?;
    let old = match target {
        // Also without LOCK: one step is what one processor does between two instructions.
        Place::Memory(at) => {
            let pointer = x.pointer(at);
            x.atomic_cas(ty, pointer, expected, new)
        }
        Place::Low(_) | Place::HighByte(_) => x.read(target, ty),
    };
    let result = x.sub(ty, expected, old);
    let equal = x.icmp(ty, IntCond::Eq, expected, old);
    // One of both is written, whole; the other keeps its upper half.
    match target {
        Place::Low(slot) | Place::HighByte(slot) => {
            let before = [slot, RAX].map(|slot| x.get(Ty::I64, slot));
            x.write_gpr(RAX, ty, old);
            let failed = x.get(Ty::I64, RAX);
            x.set(Ty::I64, RAX, before[1]);
            x.write(target, ty, new);
            let exchanged = x.get(Ty::I64, slot);
            let after = x.select(Ty::I64, equal, exchanged, before[0]);
            x.set(Ty::I64, slot, after);
            let accumulator = x.get(Ty::I64, RAX);
            let after = x.select(Ty::I64, equal, accumulator, failed);
            x.set(Ty::I64, RAX, after);
        }
        Place::Memory(_) => {
            let before = x.get(Ty::I64, RAX);
            x.write_gpr(RAX, ty, old);
            let failed = x.get(Ty::I64, RAX);
            let after = x.select(Ty::I64, equal, before, failed);
            x.set(Ty::I64, RAX, after);
        }
    }
    x.subtraction_flags(ty, expected, old, result);
    Ok(())
}

/// CMPXCHG8B and CMPXCHG16B: RDX:RAX against memory, RCX:RBX into it.
pub(super) fn cmpxchg_pair(x: &mut X86<impl Sink>, half: Ty) -> Lifted {
    let whole = Ty::int(2 * half.bits());
    let at = x.address();
    let pointer = x.pointer(at);
    if whole == Ty::I128 {
        let low = x.and_imm(Ty::I64, pointer, 15);
        let misaligned = x.icmp_imm(Ty::I64, IntCond::Ne, low, 0);
        x.lift.leave_if(misaligned, ExitReason::Protection, Value::NONE);
    }
    let expected = join(x, half, RAX, RDX);
    let new = join(x, half, RBX, RCX);
    let old = x.atomic_cas(whole, pointer, expected, new);
    let equal = x.icmp(whole, IntCond::Eq, expected, old);
    let (low, high) = if half == Ty::I64 {
        (x.low(Ty::I128, old), x.high(Ty::I128, old))
    } else {
        let high = x.lshr_imm(Ty::I64, old, 32);
        (x.and_imm(Ty::I64, old, u64::from(u32::MAX)), high)
    };
    for (slot, seen) in [(RAX, low), (RDX, high)] {
        let before = x.get(Ty::I64, slot);
        let after = x.select(Ty::I64, equal, before, seen);
        x.set(Ty::I64, slot, after);
    }
    // ZF alone changes.
    let flags = x.flags();
    let bits = x.flags_to_bits(flags);
    let others = x.and_imm(Ty::I32, bits, 0b1011);
    let zero = x.zext(Ty::I32, equal);
    let zero = x.shl_imm(Ty::I32, zero, 2);
    let bits = x.or(Ty::I32, others, zero);
    let flags = x.flags_from_bits(bits);
    x.set_flags(flags);
    Ok(())
}

/// Two registers' halves as one integer.
fn join(x: &mut X86<impl Sink>, half: Ty, low: philae_ir::Slot, high: philae_ir::Slot) -> Value {
    let (low, high) = (x.get(half, low), x.get(half, high));
    if half == Ty::I64 {
        return x.concat(Ty::I128, low, high);
    }
    let low = x.zext(Ty::I64, low);
    let high = x.zext(Ty::I64, high);
    let high = x.shl_imm(Ty::I64, high, 32);
    x.or(Ty::I64, low, high)
}
