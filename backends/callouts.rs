//! What translated code calls: operands in `ctl.scratch`, the result in its first entry; every register is kept.

use crate::float_control::invalid_alone;
use crate::stored_flags::settle;
use philae_ir::eval::eval_op;
use philae_ir::ops::{ImmKind, OPS};
use philae_ir::state::StateAddress;
use philae_ir::{Helper, Inst, Op, Rounding, Ty};

#[cfg(target_arch = "x86_64")]
#[path = "callouts_x86_64.rs"]
mod host;

pub(crate) use host::{evaluator_address, helper, settler_address};

/// What the evaluator's stub is told of an operation whose first operand is of type `from`: see [`evaluate_scratch`].
pub(crate) fn packed(inst: &Inst, from: Ty) -> u64 {
    assert!(inst.op.info().imm != ImmKind::Const, "{:?} has a rule", inst.op);
    let imm = u32::try_from(inst.imm).expect("an operation with a wide constant has a rule");
    let description = u32::from_le_bytes([inst.op as u8, inst.ty as u8, from as u8, inst.aux]);
    u64::from(description) | u64::from(imm) << 32
}

/// What the evaluator's stub calls: `packed` is operation, type, type of operand 0 and aux, a byte each, and the
/// immediate. Operands are stored in their own types, so what is above them in the scratch space means nothing.
unsafe extern "sysv64" fn evaluate_scratch(state: StateAddress, packed: u64) {
    // SAFETY: translated code passes its own state, which nothing else refers to while it runs.
    let scratch = unsafe { &mut (*state.state()).ctl.scratch };
    let [op, ty, from, aux, ..] = packed.to_le_bytes();
    let (row, ty, from) = (&OPS[usize::from(op)], Ty::from_aux(ty), Ty::from_aux(from));
    let mut args = [0; 3];
    for ((arg, words), &takes) in args.iter_mut().zip(*scratch).zip(row.takes) {
        *arg = (u128::from(words[0]) | u128::from(words[1]) << 64) & takes.ty(ty).unwrap_or(from).mask();
    }
    let evaluate = || eval_op(row.op, ty, from, aux, u128::from(packed >> 32), args);
    // The evaluator finds the host's rounding mode by sums that are inexact.
    let is_quiet = row.op == Op::Fround && aux == Rounding::Current as u8;
    let result = if is_quiet { invalid_alone(evaluate) } else { evaluate() };
    scratch[0] = [result as u64, (result >> 64) as u64];
}

/// What the stub for regions calls.
unsafe extern "sysv64" fn settle_state(state: StateAddress) {
    // SAFETY: translated code passes its own state, which nothing else refers to while it runs.
    settle(unsafe { &mut *state.state() });
}

/// What the stub for helpers calls: operands are zero-extended, and so is the result.
unsafe extern "sysv64" fn call_helper(state: StateAddress, helper: *const Helper) {
    // SAFETY: translated code passes its own state, which nothing else refers to while it runs, and a helper, which is
    // static.
    let (state, helper) = unsafe { (&mut *state.state(), &*helper) };
    let operands = std::array::from_fn(|index| {
        let [low, high] = state.ctl.scratch[index];
        u128::from(low) | u128::from(high) << 64
    });
    let result = (helper.function)(state, operands);
    state.ctl.scratch[0] = [result as u64, (result >> 64) as u64];
}
