//! The stack: PUSH, POP, their flags forms, ENTER and LEAVE.

use super::alu::selector;
use super::operand::{Lifted, Place, RBP, RSP, X86};
use crate::lift::LiftError;
use iced_x86::Register;
use philae_ir::{RmwOp, Sink, Ty, Value};

/// Stores below the stack pointer, then moves it.
fn push_value(x: &mut X86<impl Sink>, ty: Ty, value: Value) {
    let stack = x.get(Ty::I64, RSP);
    x.store(ty, stack, -i64::from(ty.bytes()), value);
    let below = x.add_imm(Ty::I64, stack, u64::from(ty.bytes()).wrapping_neg());
    x.set(Ty::I64, RSP, below);
}

/// The width that a stack operation of no general register has: what the stack pointer moves by.
fn width(x: &X86<impl Sink>) -> Ty {
    Ty::int(8 * x.insn.stack_pointer_increment().unsigned_abs())
}

pub(super) fn push(x: &mut X86<impl Sink>) -> Lifted {
    let ty = width(x);
    let value = if x.is_register(0) && x.register(0).is_segment_register() {
        let selector = selector(x.register(0));
        x.iconst(ty, selector)
    } else {
        x.value(0, ty)?
    };
    push_value(x, ty, value);
    Ok(())
}

pub(super) fn pop(x: &mut X86<impl Sink>) -> Lifted {
    let ty = width(x);
    if x.is_register(0) && x.register(0).is_segment_register() {
        return Err(LiftError::Undefined);
    }
    let stack = x.get(Ty::I64, RSP);
    let value = x.load(ty, stack, 0);
    let above = x.add_imm(Ty::I64, stack, u64::from(ty.bytes()));
    match x.place(0)? {
        Place::Memory(mut at) => {
            // SDM: an address that RSP takes part in is computed after RSP has moved.
            if x.insn.memory_base() == Register::RSP {
                at.offset = at.offset.wrapping_add(i64::from(ty.bytes()));
            }
            x.store(ty, at.base, at.offset, value);
            x.set(Ty::I64, RSP, above);
        }
        place => {
            x.set(Ty::I64, RSP, above);
            x.write(place, ty, value);
        }
    }
    Ok(())
}

/// PUSHF and PUSHFQ.
pub(super) fn pushf(x: &mut X86<impl Sink>) -> Lifted {
    let ty = width(x);
    let flags = x.rflags();
    let flags = x.trunc_from(Ty::I64, ty, flags);
    push_value(x, ty, flags);
    Ok(())
}

/// POPF and POPFQ.
pub(super) fn popf(x: &mut X86<impl Sink>) -> Lifted {
    let ty = width(x);
    let stack = x.get(Ty::I64, RSP);
    let bits = x.load_zext(Ty::I64, ty, stack, 0);
    let above = x.add_imm(Ty::I64, stack, u64::from(ty.bytes()));
    x.set(Ty::I64, RSP, above);
    x.set_rflags(ty, bits);
    Ok(())
}

pub(super) fn leave(x: &mut X86<impl Sink>) -> Lifted {
    let ty = width_of_leave(x);
    let frame = x.get(Ty::I64, RBP);
    let saved = x.load(ty, frame, 0);
    let above = x.add_imm(Ty::I64, frame, u64::from(ty.bytes()));
    x.set(Ty::I64, RSP, above);
    x.write_gpr(RBP, ty, saved);
    Ok(())
}

fn width_of_leave(x: &X86<impl Sink>) -> Ty {
    if x.insn.code() == iced_x86::Code::Leavew { Ty::I16 } else { Ty::I64 }
}

/// ENTER: pushes RBP, copies the outer frames' pointers for a nesting level, makes room.
pub(super) fn enter(x: &mut X86<impl Sink>) -> Lifted {
    if x.insn.code() != iced_x86::Code::Enterq_imm16_imm8 {
        return Err(LiftError::Undefined);
    }
    let (room, level) = (u64::from(x.insn.immediate16()), x.insn.immediate8_2nd() & 31);
    let stack = x.get(Ty::I64, RSP);
    let old = x.get(Ty::I64, RBP);
    x.store(Ty::I64, stack, -8, old);
    let frame = x.add_imm(Ty::I64, stack, 8u64.wrapping_neg());
    let mut pushed = 8;
    if level > 0 {
        for outer in 1..i64::from(level) {
            let pointer = x.load(Ty::I64, old, -8 * outer);
            pushed += 8;
            x.store(Ty::I64, stack, -pushed, pointer);
        }
        pushed += 8;
        x.store(Ty::I64, stack, -pushed, frame);
    }
    let below = x.add_imm(Ty::I64, stack, (pushed as u64 + room).wrapping_neg());
    // SDM: faults as a write at the final stack pointer would.
    let zero = x.iconst(Ty::I8, 0);
    x.atomic_rmw(Ty::I8, RmwOp::Or, below, zero);
    x.set(Ty::I64, RSP, below);
    x.set(Ty::I64, RBP, frame);
    Ok(())
}
