//! What has to be executed for the floating-point status flags that it may raise, whatever becomes of its result.
//!
//! In: a block and what of it somebody uses. Out: the instructions beside those that have to stay where they are. Of
//! comparisons that look at the same operands in the same way one is enough, unless an access between them shows flags.

use super::{Exactness, may_fault};
use crate::ops::{FloatCond, Op, SIGNALS};
use crate::region::{BlockId, Floats, Inst, Region, Value};
use crate::state::Arch;

impl Region {
    /// Whether the status flags of the host's floating-point unit are the guest's: until it writes those itself.
    pub fn keeps_status_on_host(&self) -> bool {
        self.arch == Arch::Aarch64 && self.floats == Floats::Plain
    }

    /// Whether `inst` may raise flags that the guest sees: it is to be executed though nobody wants its result.
    pub fn raises(&self, inst: &Inst) -> bool {
        inst.op.raises() && self.keeps_status_on_host()
    }
}

/// The instructions of `block` that are to be executed though they are not `used`, last ones first.
pub(super) fn kept_for_flags(
    region: &Region,
    block: BlockId,
    exactness: Exactness,
    used: impl Fn(Value) -> bool,
) -> Vec<Value> {
    let insts = &region.block(block).insts;
    let mut kept: Vec<Value> = Vec::new();
    // How many accesses lie before each instruction at whose faults the guest sees what has been raised.
    let shows = |value: &Value| exactness == Exactness::Exact && may_fault(region.inst(*value).op);
    let mut stretch = insts.iter().filter(|value| shows(value)).count();
    // The comparisons that are executed.
    let mut compared: Vec<(usize, Value)> = Vec::new();
    let mut before = 0;
    for &value in insts {
        before += usize::from(shows(&value));
        if is_comparison(region.inst(value)) && used(value) {
            compared.push((before, value));
        }
    }
    for value in insts.iter().rev() {
        let inst = region.inst(*value);
        if region.raises(inst) && !used(*value) {
            let covers = |&(there, other): &(usize, Value)| there == stretch && alike(inst, region.inst(other));
            if !is_comparison(inst) {
                kept.push(*value);
            } else if !compared.iter().any(covers) {
                compared.push((stretch, *value));
                kept.push(*value);
            }
        }
        stretch -= usize::from(shows(value));
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
