//! Transfers of control.

use super::operand::{Lifted, RCX, RSP, X86};
use crate::lift::LiftError;
use iced_x86::{ConditionCode, OpKind};
use philae_ir::{FlowHint, IntCond, Sink, Ty, Value};

pub(super) fn jmp(x: &mut X86<impl Sink>) -> Lifted {
    if x.insn.op0_kind() == OpKind::NearBranch64 {
        x.lift.go(x.insn.near_branch64());
        return Ok(());
    }
    let target = indirect_target(x)?;
    x.lift.go_indirect(target, FlowHint::Jump);
    Ok(())
}

/// The 64-bit operand of an indirect branch; far ones, and those of 16 bits, are undefined.
fn indirect_target(x: &mut X86<impl Sink>) -> Result<Value, LiftError> {
    match x.ty(0)? {
        Ty::I64 if !x.insn.is_jmp_far_indirect() && !x.insn.is_call_far_indirect() => x.value(0, Ty::I64),
        _ => Err(LiftError::Undefined),
    }
}

pub(super) fn jcc(x: &mut X86<impl Sink>) -> Lifted {
    near(x)?;
    let cond = x.condition(x.insn.condition_code());
    x.lift.go_if(cond, x.insn.near_branch64());
    Ok(())
}

fn near(x: &X86<impl Sink>) -> Lifted {
    if x.insn.op0_kind() == OpKind::NearBranch64 { Ok(()) } else { Err(LiftError::Undefined) }
}

/// JRCXZ and JECXZ.
pub(super) fn jump_if_count_zero(x: &mut X86<impl Sink>, ty: Ty) -> Lifted {
    near(x)?;
    let count = x.get(ty, RCX);
    let zero = x.icmp_imm(ty, IntCond::Eq, count, 0);
    x.lift.go_if(zero, x.insn.near_branch64());
    Ok(())
}

/// LOOP, LOOPE, LOOPNE: counts RCX (ECX with a 67 prefix) down and goes on while it is not 0.
pub(super) fn r#loop(x: &mut X86<impl Sink>, also: ConditionCode) -> Lifted {
    near(x)?;
    let ty = if is_counted_by_ecx(x) { Ty::I32 } else { Ty::I64 };
    let count = x.get(ty, RCX);
    let count = x.add_imm(ty, count, u64::MAX);
    x.write_gpr(RCX, ty, count);
    let more = x.icmp_imm(ty, IntCond::Ne, count, 0);
    let cond = match also {
        ConditionCode::None => more,
        _ => {
            let also = x.condition(also);
            x.and(Ty::I8, more, also)
        }
    };
    x.lift.go_if(cond, x.insn.near_branch64());
    Ok(())
}

/// Whether a LOOP has an address size of 32 bits, which iced tells by the code alone.
fn is_counted_by_ecx(x: &X86<impl Sink>) -> bool {
    use iced_x86::Code;
    matches!(x.insn.code(), Code::Loop_rel8_64_ECX | Code::Loope_rel8_64_ECX | Code::Loopne_rel8_64_ECX)
}

pub(super) fn call(x: &mut X86<impl Sink>) -> Lifted {
    let direct = x.insn.op0_kind() == OpKind::NearBranch64;
    let target = if direct { None } else { Some(indirect_target(x)?) };
    let stack = x.get(Ty::I64, RSP);
    let next = x.lift.next;
    let back = x.c64(next);
    x.store(Ty::I64, stack, -8, back);
    let below = x.add_imm(Ty::I64, stack, 8u64.wrapping_neg());
    x.set(Ty::I64, RSP, below);
    match target {
        None => x.lift.call(x.insn.near_branch64()),
        Some(target) => x.lift.go_indirect(target, FlowHint::Call),
    }
    Ok(())
}

/// RET, with the number of bytes of arguments to drop.
pub(super) fn ret(x: &mut X86<impl Sink>) -> Lifted {
    let drop = match x.insn.op_count() {
        0 => 0,
        _ => u64::from(x.insn.immediate16()),
    };
    let stack = x.get(Ty::I64, RSP);
    let target = x.load(Ty::I64, stack, 0);
    let above = x.add_imm(Ty::I64, stack, 8 + drop);
    x.set(Ty::I64, RSP, above);
    x.lift.go_indirect(target, FlowHint::Return);
    Ok(())
}
