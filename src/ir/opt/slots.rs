//! Reads of slots whose contents are known become those values, and writes that nobody reads are dropped.
//!
//! A slot's contents are known from the last write or read that dominates the place, if no other write can come
//! between; that is looked up along the dominator tree, and forgotten where the dominance frontier says that
//! writes meet. What remains of a write's use is found by liveness.

use super::liveness::{Liveness, SlotSet};
use super::{Exactness, calls_state_helper, map_operands};
use crate::flow::Flow;
use crate::ops::Op;
use crate::region::{BlockId, Inst, Region, Value};
use crate::state::{Slot, WORDS};
use crate::ty::Ty;

/// The pass.
pub(super) fn run(region: &mut Region, exactness: Exactness) {
    let flow = Flow::new(region);
    forward(region, &flow);
    drop_unread(region, &flow, exactness);
}

/// What is known of a slot.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Known {
    Nothing,
    /// Its low bits are this value; the others can be anything.
    Low(Value),
    /// It is this value, zero-extended.
    Whole(Value),
}

type State = [Known; WORDS];

/// What becomes of an instruction.
enum Fate {
    Keep,
    Drop,
    /// Other instructions use this value instead.
    Same(Value),
    /// It is computed in another way.
    Become(Inst),
}

fn forward(region: &mut Region, flow: &Flow) {
    let merges = merges(region, flow);
    let guest = SlotSet::guest(region.arch);
    let mut same: Vec<Value> = (0..region.insts.len() as u32).map(Value).collect();
    let mut ends: Vec<Option<Box<State>>> = vec![None; region.blocks.len()];
    for &block in &flow.order {
        let mut state = match flow.immediate_dominator(block) {
            Some(above) => ends[above.index()].clone().expect("dominators come first"),
            None => Box::new([Known::Nothing; WORDS]),
        };
        forget(&mut state, &merges[block.index()]);
        let mut insts = std::mem::take(&mut region.blocks[block.index()].insts);
        insts.retain(|&value| {
            let inst = &mut region.insts[value.index()];
            for arg in inst.args.iter_mut().filter(|arg| **arg != Value::NONE) {
                *arg = same[arg.index()];
            }
            match visit(region, value, &mut state, &guest) {
                Fate::Keep => true,
                Fate::Drop => false,
                Fate::Same(known) => {
                    same[value.index()] = known;
                    false
                }
                Fate::Become(inst) => {
                    region.insts[value.index()] = inst;
                    true
                }
            }
        });
        region.blocks[block.index()].insts = insts;
        region.blocks[block.index()].end = map_operands(region.block(block).end, |value| same[value.index()]);
        ends[block.index()] = Some(state);
    }
}

fn visit(region: &Region, value: Value, state: &mut State, guest: &SlotSet) -> Fate {
    let inst = region.inst(value);
    let slot = inst.slot().0 as usize;
    match inst.op {
        Op::Get => match read(region, inst, state[slot]) {
            Fate::Keep => {
                let whole = inst.ty.bits() == region.arch.slot(inst.slot()).ty.bits();
                state[slot] = if whole { Known::Whole(value) } else { Known::Low(value) };
                Fate::Keep
            }
            fate => fate,
        },
        Op::Set if state[slot] == Known::Whole(inst.args[0]) => Fate::Drop,
        Op::Set => {
            state[slot] = Known::Whole(inst.args[0]);
            Fate::Keep
        }
        Op::SetLow => {
            state[slot] = Known::Low(inst.args[0]);
            Fate::Keep
        }
        _ if calls_state_helper(region, inst) => {
            forget(state, guest);
            Fate::Keep
        }
        _ => Fate::Keep,
    }
}

fn forget(state: &mut State, slots: &SlotSet) {
    if slots.is_empty() {
        return;
    }
    for (word, known) in (0..).zip(state) {
        if slots.contains(Slot(word)) {
            *known = Known::Nothing;
        }
    }
}

/// How a read finds what it reads in what is known.
fn read(region: &Region, inst: &Inst, known: Known) -> Fate {
    let (value, whole) = match known {
        Known::Nothing => return Fate::Keep,
        Known::Low(value) => (value, false),
        Known::Whole(value) => (value, true),
    };
    let (from, to) = (region.ty(value), inst.ty);
    let convert = |op, ty| {
        let mut inst = Inst::new(op, ty);
        inst.args[0] = value;
        Fate::Become(inst)
    };
    if from == to {
        return Fate::Same(value);
    }
    match (from, to) {
        (Ty::V128, Ty::F32) => convert(Op::ExtractLane, Ty::F32X4),
        (Ty::V128, Ty::F64) => convert(Op::ExtractLane, Ty::F64X2),
        (Ty::V128, Ty::I8 | Ty::I16 | Ty::I32 | Ty::I64) => convert(Op::ExtractLane, Ty::int_vector(to.bits())),
        _ if from == Ty::Flags || to == Ty::Flags => Fate::Keep,
        _ if from.bits() == to.bits() => convert(Op::Bitcast, to),
        _ if !from.is_int() || !to.is_int() => Fate::Keep,
        _ if from.bits() > to.bits() => convert(Op::Trunc, to),
        _ if whole => convert(Op::Zext, to),
        _ => Fate::Keep,
    }
}

/// For each block the slots that may have been written in different ways on the ways to it.
fn merges(region: &Region, flow: &Flow) -> Vec<SlotSet> {
    let mut written: Vec<SlotSet> = region.block_ids().map(|block| written_in(region, block)).collect();
    let mut merges = vec![SlotSet::default(); region.blocks.len()];
    let frontiers = flow.dominance_frontiers();
    let mut work = flow.order.clone();
    while let Some(block) = work.pop() {
        for &join in &frontiers[block.index()] {
            let new = written[block.index()].minus(merges[join.index()]);
            if !new.is_empty() {
                merges[join.index()] = merges[join.index()].union(new);
                written[join.index()] = written[join.index()].union(new);
                work.push(join);
            }
        }
    }
    merges
}

fn written_in(region: &Region, block: BlockId) -> SlotSet {
    let mut written = SlotSet::default();
    for &value in &region.block(block).insts {
        let inst = region.inst(value);
        match inst.op {
            Op::Set | Op::SetLow => written.insert(inst.slot()),
            _ if calls_state_helper(region, inst) => written = written.union(SlotSet::guest(region.arch)),
            _ => {}
        }
    }
    written
}

fn drop_unread(region: &mut Region, flow: &Flow, exactness: Exactness) {
    let liveness = Liveness::new(region, flow, exactness);
    for &block in &flow.order {
        let mut live = liveness.at_end(region, block);
        let mut insts = std::mem::take(&mut region.blocks[block.index()].insts);
        insts.reverse();
        insts.retain(|&value| {
            let inst = region.inst(value);
            let unread = matches!(inst.op, Op::Set | Op::SetLow) && !live.contains(inst.slot());
            liveness.step_back(region, inst, &mut live);
            !unread
        });
        insts.reverse();
        region.blocks[block.index()].insts = insts;
    }
}
