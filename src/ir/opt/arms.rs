//! Moves selections on the condition of a block's branch to the branch's edges, where the condition is known, with what
//! is computed from them.
//!
//! Only conditions that are comparisons of floats: each use of those is a comparison of its own on the host, and one that
//! is used by the branch alone can be the one that signals NaNs, too. A selection moves if nobody looks at it, or at a slot
//! that it goes to, before the block ends.

use super::{Exactness, is_pure, renamed};
use crate::ops::{Effect, Op};
use crate::region::{Block, BlockId, Inst, Region, Terminator, Value};
use crate::uses::count_uses;
use std::collections::{HashMap, HashSet};

/// The pass.
pub(super) fn run(region: &mut Region, _: Exactness) {
    let is_candidate = |id: &BlockId| branch_on_floats(region, *id).is_some();
    let candidates: Vec<BlockId> = region.block_ids().filter(is_candidate).collect();
    if candidates.is_empty() {
        return;
    }
    let uses = count_uses(region, region.block_ids());
    for id in candidates {
        let moved = moved(region, id, &uses);
        if !moved.is_empty() {
            move_to_edges(region, id, &moved);
        }
    }
}

/// The condition of the block's branch, if that compares floats.
fn branch_on_floats(region: &Region, id: BlockId) -> Option<Value> {
    let Terminator::Branch { cond, .. } = region.block(id).end else { return None };
    (region.inst(cond).op == Op::Fcmp).then_some(cond)
}

/// The selections on the branch's condition and all that is computed from them, in order; none if one of these is wanted
/// in the block itself, or behind it.
fn moved(region: &Region, id: BlockId, uses: &[u32]) -> Vec<Value> {
    let Some(cond) = branch_on_floats(region, id) else { return Vec::new() };
    let insts = &region.block(id).insts;
    let mut moved: Vec<Value> = Vec::new();
    let mut wanted = 0;
    for (place, &value) in insts.iter().enumerate() {
        let inst = region.inst(value);
        let from_moved = inst.operands().filter(|operand| moved.contains(operand)).count();
        let selects = inst.op == Op::Select && inst.args[0] == cond;
        if from_moved == 0 && !selects {
            continue;
        }
        let moves = match inst.op {
            Op::Set => is_last_look(region, &insts[place + 1..], inst),
            _ => is_pure(region, inst) && !region.raises(inst),
        };
        if !moves {
            return Vec::new();
        }
        wanted += from_moved;
        moved.push(value);
    }
    let all_wanted: u32 = moved.iter().map(|value| uses[value.index()]).sum();
    if all_wanted as usize == wanted { moved } else { Vec::new() }
}

/// Whether none of `rest`, what follows `set` in its block, has to do with its slot, or shows the guest's state.
fn is_last_look(region: &Region, rest: &[Value], set: &Inst) -> bool {
    rest.iter().map(|&value| region.inst(value)).all(|inst| match inst.op.info().effect {
        Effect::ReadSlot | Effect::WriteSlot => inst.slot() != set.slot(),
        Effect::Marker => true,
        _ => is_pure(region, inst),
    })
}

/// Takes `moved` out of the block and puts copies on both edges, where selections are the arm that is chosen.
fn move_to_edges(region: &mut Region, id: BlockId, moved: &[Value]) {
    let Terminator::Branch { cond, then, other } = region.block(id).end else { return };
    let [then, other] = [(then, 1), (other, 2)].map(|(to, arm)| {
        let mut block = Block { insts: Vec::new(), end: Terminator::Jump(to) };
        let mut copies: HashMap<Value, Value> = HashMap::new();
        for &value in moved {
            let inst = renamed(region.inst(value), &copies);
            let copy = if inst.op == Op::Select && inst.args[0] == cond {
                inst.args[arm]
            } else {
                region.insts.push(inst);
                block.insts.push(Value(region.insts.len() as u32 - 1));
                Value(region.insts.len() as u32 - 1)
            };
            copies.insert(value, copy);
        }
        region.blocks.push(block);
        BlockId(region.blocks.len() as u32 - 1)
    });
    let moved: HashSet<Value> = moved.iter().copied().collect();
    let block = &mut region.blocks[id.index()];
    block.insts.retain(|value| !moved.contains(value));
    block.end = Terminator::Branch { cond, then, other };
}
