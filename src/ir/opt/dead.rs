//! Drops what nobody uses, and makes straight runs of blocks one block.
//!
//! Instructions whose result is unused go if they do nothing else; guest memory accesses always stay, and so does what
//! may raise floating-point status flags. A marker
//! goes if the next one comes before anything that asks which guest instruction it belongs to. Blocks that are
//! empty are jumped over, those that the entry does not reach go, and the others are renumbered.

use super::{Exactness, is_pure, map_successors, may_fault, raising};
use crate::flow::Flow;
use crate::ops::{Effect, Op};
use crate::region::{BlockId, Region, Terminator, Value};

/// The pass.
pub(super) fn run(region: &mut Region, exactness: Exactness) {
    skip_empty_blocks(region);
    join_blocks(region);
    drop_unreachable(region);
    drop_unused(region, exactness);
    drop_markers(region);
}

/// Retargets edges to empty blocks that only jump on.
fn skip_empty_blocks(region: &mut Region) {
    for id in region.block_ids() {
        let end = map_successors(region.block(id).end, |to| behind_empty_blocks(region, to));
        region.blocks[id.index()].end = match end {
            Terminator::Branch { then, other, .. } if then == other => Terminator::Jump(then),
            end => end,
        };
    }
}

/// Where one gets to from `to` without executing anything; the blocks of an empty cycle stay where they are.
fn behind_empty_blocks(region: &Region, to: BlockId) -> BlockId {
    let mut at = to;
    for _ in 0..region.blocks.len() {
        match region.block(at).end {
            Terminator::Jump(next) if region.block(at).insts.is_empty() => at = next,
            _ => return at,
        }
    }
    to
}

/// Appends a block to the only one that leads to it, if that leads nowhere else.
fn join_blocks(region: &mut Region) {
    let flow = Flow::new(region);
    // Backwards, so that a chain has been joined when its head takes it.
    for &from in flow.order.iter().rev() {
        while let Terminator::Jump(to) = region.block(from).end {
            if to == BlockId::ENTRY || to == from || flow.predecessors(to).len() != 1 {
                break;
            }
            let tail = std::mem::take(&mut region.blocks[to.index()].insts);
            let end = std::mem::replace(&mut region.blocks[to.index()].end, Terminator::Jump(to));
            region.blocks[from.index()].insts.extend(tail);
            region.blocks[from.index()].end = end;
        }
    }
}

/// Keeps the blocks that the entry reaches, in their order.
fn drop_unreachable(region: &mut Region) {
    let flow = Flow::new(region);
    if flow.order.len() == region.blocks.len() {
        return;
    }
    let mut number = vec![BlockId::ENTRY; region.blocks.len()];
    for (kept, id) in (0..).zip(region.block_ids().filter(|&id| flow.is_reachable(id))) {
        number[id.index()] = BlockId(kept);
    }
    let mut id = 0..;
    region.blocks.retain(|_| flow.is_reachable(BlockId(id.next().expect("an endless range"))));
    for block in &mut region.blocks {
        block.end = map_successors(block.end, |to| number[to.index()]);
    }
}

fn drop_unused(region: &mut Region, exactness: Exactness) {
    let mut used = vec![false; region.insts.len()];
    let mut work: Vec<Value> = Vec::new();
    for block in &region.blocks {
        work.extend(block.end.operands());
        work.extend(block.insts.iter().filter(|&&value| acts(region, value)));
    }
    spread(region, work, &mut used);
    // From the last block on: what one keeps for its flags may use what those before it make.
    for block in region.block_ids().rev() {
        let kept = raising::kept_for_flags(region, block, exactness, |value| used[value.index()]);
        spread(region, kept, &mut used);
    }
    for block in &mut region.blocks {
        block.insts.retain(|value| used[value.index()]);
    }
}

/// Marks values, and what they are computed from, as used.
fn spread(region: &Region, mut work: Vec<Value>, used: &mut [bool]) {
    while let Some(value) = work.pop() {
        if !std::mem::replace(&mut used[value.index()], true) {
            work.extend(region.inst(value).operands());
        }
    }
}

/// Whether an instruction does something beside making its result.
pub(super) fn acts(region: &Region, value: Value) -> bool {
    let inst = region.inst(value);
    !is_pure(region, inst) && !matches!(inst.op.info().effect, Effect::ReadSlot | Effect::Poll)
}

fn drop_markers(region: &mut Region) {
    let insts = &region.insts;
    for block in &mut region.blocks {
        let mut next_counts = true;
        block.insts.reverse();
        block.insts.retain(|value| {
            let op = insts[value.index()].op;
            let keep = op != Op::Insn || next_counts;
            next_counts = op != Op::Insn && (next_counts || may_fault(op) || op == Op::Call);
            keep
        });
        block.insts.reverse();
    }
}

#[cfg(test)]
mod tests {
    use super::{Exactness, run};
    use crate::text::parse;

    #[test]
    fn an_empty_cycle_survives() {
        let text = "region aarch64 0x0\nb0:\n  jump b1\nb1:\n  jump b0\n";
        let mut region = parse(text, &[]).unwrap();
        run(&mut region, Exactness::Relaxed);
        assert!(!region.blocks.is_empty());
        crate::verify::verify(&region).unwrap();
    }
}
