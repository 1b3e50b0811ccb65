//! Drops writes of slots that another one follows in their block before anything looks at the slot.
//!
//! [`super::slots`] leaves such writes where what looked at them turns out to be dead itself. Compilers that keep slots in
//! values would not execute them, nor what they are of, whatever status flags that raises: without its last use, `dead`
//! sees that it is to be kept for its flags. What nobody uses goes on the way, as it may be what looks at a slot.

use super::dead::acts;
use super::liveness::SlotSet;
use super::{Exactness, calls_state_helper, may_fault};
use crate::ops::Op;
use crate::region::{Region, Value};

/// The pass.
pub(super) fn run(region: &mut Region, exactness: Exactness) {
    let mut uses = count_uses(region);
    for id in region.block_ids().rev() {
        let mut insts = std::mem::take(&mut region.blocks[id.index()].insts);
        let mut written = SlotSet::default();
        insts.reverse();
        insts.retain(|&value| {
            let inst = region.inst(value);
            let idle = uses[value.index()] == 0 && !acts(region, value) && !region.raises(inst);
            if idle || inst.op == Op::Set && written.contains(inst.slot()) {
                inst.operands().for_each(|operand| uses[operand.index()] -= 1);
                return false;
            }
            match inst.op {
                Op::Set => written.insert(inst.slot()),
                Op::Get | Op::SetLow => written.remove(inst.slot()),
                op if exactness == Exactness::Exact && may_fault(op) => written = SlotSet::default(),
                _ if calls_state_helper(region, inst) => written = SlotSet::default(),
                _ => {}
            }
            true
        });
        insts.reverse();
        region.blocks[id.index()].insts = insts;
    }
}

/// How often each value is used.
fn count_uses(region: &Region) -> Vec<u32> {
    let mut uses = vec![0; region.insts.len()];
    let mut count = |value: Value| uses[value.index()] += 1;
    for block in &region.blocks {
        block.insts.iter().flat_map(|&value| region.inst(value).operands()).for_each(&mut count);
        block.end.operands().for_each(&mut count);
    }
    uses
}
