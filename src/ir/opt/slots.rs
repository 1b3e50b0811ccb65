//! Reads of slots whose contents are known become those values, and writes that nobody reads are dropped.
//!
//! A slot's contents are known from the last write or read that dominates the place, if no other write can come
//! between; that is looked up along the dominator tree, and forgotten where the dominance frontier says that
//! writes meet. What remains of a write's use is found by liveness.

use super::liveness::{Liveness, SlotSet};
use super::{Exactness, calls_state_helper, map_operands};
use crate::flow::{Dominators, Flow};
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

/// What is known of the slots that a region names.
struct Knowledge {
    /// Which slots those are.
    slots: Vec<Slot>,
    /// The place of each slot among them.
    place: [u8; WORDS],
    /// What is known at the current place.
    now: Vec<Known>,
    /// What is known at the end of each block.
    ends: Vec<Known>,
}

impl Knowledge {
    fn new(region: &Region) -> Knowledge {
        let mut knowledge = Knowledge { slots: Vec::new(), place: [u8::MAX; WORDS], now: Vec::new(), ends: Vec::new() };
        for &value in region.blocks.iter().flat_map(|block| &block.insts) {
            let inst = region.inst(value);
            let named = matches!(inst.op, Op::Get | Op::Set | Op::SetLow);
            if named && knowledge.place[inst.imm as usize] == u8::MAX {
                knowledge.place[inst.imm as usize] = knowledge.slots.len() as u8;
                knowledge.slots.push(inst.slot());
            }
        }
        knowledge.now = vec![Known::Nothing; knowledge.slots.len()];
        knowledge.ends = vec![Known::Nothing; knowledge.slots.len() * region.blocks.len()];
        knowledge
    }

    fn enter(&mut self, above: Option<BlockId>, merges: &SlotSet) {
        match above {
            Some(above) => self.now.copy_from_slice(&self.ends[above.index() * self.slots.len()..][..self.slots.len()]),
            None => self.now.fill(Known::Nothing),
        }
        self.forget(merges);
    }

    fn leave(&mut self, block: BlockId) {
        self.ends[block.index() * self.slots.len()..][..self.slots.len()].copy_from_slice(&self.now);
    }

    fn of(&mut self, inst: &Inst) -> &mut Known {
        &mut self.now[self.place[inst.imm as usize] as usize]
    }

    fn forget(&mut self, slots: &SlotSet) {
        if !slots.is_empty() {
            for (known, _) in self.now.iter_mut().zip(&self.slots).filter(|(_, slot)| slots.contains(**slot)) {
                *known = Known::Nothing;
            }
        }
    }
}

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
    let dominators = Dominators::new(flow);
    let merges = merges(region, flow, &dominators);
    let guest = SlotSet::guest(region.arch);
    let mut knowledge = Knowledge::new(region);
    let mut same: Vec<Value> = (0..region.insts.len() as u32).map(Value).collect();
    for &block in &flow.order {
        knowledge.enter(dominators.immediate(block), &merges[block.index()]);
        let mut insts = std::mem::take(&mut region.blocks[block.index()].insts);
        insts.retain(|&value| {
            let inst = &mut region.insts[value.index()];
            for arg in inst.args.iter_mut().filter(|arg| **arg != Value::NONE) {
                *arg = same[arg.index()];
            }
            match visit(region, value, &mut knowledge, &guest) {
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
        knowledge.leave(block);
    }
}

fn visit(region: &Region, value: Value, knowledge: &mut Knowledge, guest: &SlotSet) -> Fate {
    let inst = region.inst(value);
    match inst.op {
        Op::Get => {
            let known = knowledge.of(inst);
            let fate = read(region, inst, *known);
            if let Fate::Keep = fate {
                let whole = inst.ty.bits() == region.arch.slot(inst.slot()).ty.bits();
                *known = if whole { Known::Whole(value) } else { Known::Low(value) };
            }
            return fate;
        }
        Op::Set if *knowledge.of(inst) == Known::Whole(inst.args[0]) => return Fate::Drop,
        Op::Set => *knowledge.of(inst) = Known::Whole(inst.args[0]),
        Op::SetLow => *knowledge.of(inst) = Known::Low(inst.args[0]),
        _ if calls_state_helper(region, inst) => knowledge.forget(guest),
        _ => {}
    }
    Fate::Keep
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
fn merges(region: &Region, flow: &Flow, dominators: &Dominators<'_>) -> Vec<SlotSet> {
    let mut written = vec![SlotSet::default(); region.blocks.len()];
    for &block in &flow.order {
        written[block.index()] = written_in(region, block);
    }
    let mut merges = vec![SlotSet::default(); region.blocks.len()];
    let frontiers = dominators.frontiers();
    let mut changed = true;
    while changed {
        changed = false;
        for (block, join) in &frontiers {
            let new = written[block.index()].minus(merges[join.index()]);
            if !new.is_empty() {
                changed = true;
                merges[join.index()] = merges[join.index()].union(new);
                written[join.index()] = written[join.index()].union(new);
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
