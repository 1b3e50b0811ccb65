//! What has to be executed for the floating-point status flags that it may raise, whatever becomes of its result.
//!
//! In: a block and what of it somebody uses. Out: the instructions beside those that have to stay where they are. Of
//! comparisons that look at the same operands in the same way one is enough.

use crate::ops::{FloatCond, Op, SIGNALS};
use crate::region::{BlockId, Inst, Region, Value};

/// The instructions of `block` that are to be executed though they are not `used`, last ones first.
pub(super) fn kept_for_flags(region: &Region, block: BlockId, used: impl Fn(Value) -> bool) -> Vec<Value> {
    let insts = &region.block(block).insts;
    let mut kept: Vec<Value> = Vec::new();
    for &value in insts.iter().rev().filter(|&&value| region.inst(value).op.raises() && !used(value)) {
        let inst = region.inst(value);
        let is_alike = |other: Value| other != value && alike(inst, region.inst(other));
        let covered = is_comparison(inst)
            && (kept.iter().any(|&other| is_alike(other)) || insts.iter().any(|&other| used(other) && is_alike(other)));
        if !covered {
            kept.push(value);
        }
    }
    kept
}

fn is_comparison(inst: &Inst) -> bool {
    matches!(inst.op, Op::Fcmp | Op::FlagsFcmp)
}

/// Whether two comparisons raise the same.
fn alike(a: &Inst, b: &Inst) -> bool {
    is_comparison(b) && a.ty == b.ty && a.args == b.args && is_quiet(a) == is_quiet(b)
}

/// Whether quiet NaNs are valid operands of a comparison.
fn is_quiet(inst: &Inst) -> bool {
    match inst.op {
        Op::FlagsFcmp => inst.imm & SIGNALS == 0,
        _ => {
            !inst.ty.is_vector()
                || matches!(FloatCond::from_aux(inst.aux), FloatCond::Eq | FloatCond::Un | FloatCond::Ne)
        }
    }
}
