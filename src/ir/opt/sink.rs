//! Moves the writing of condition flags, and what is computed only for it, to where the flags are needed.
//!
//! A write of such a slot is taken out and becomes *pending*: it happens where the slot is read, where the region is
//! left, before an access that can fault if state has to be exact, and on an edge to a block where other ways
//! bring something else and the slot is live. Another write before that makes it nothing. No way through the region
//! executes more writes than before; loops mostly execute none. What may raise floating-point status flags is computed
//! where it was.

use super::liveness::{Liveness, SlotSet};
use super::{Exactness, calls_state_helper, is_pure, may_fault, raising};
use crate::flow::Flow;
use crate::ops::Op;
use crate::region::{Block, BlockId, Inst, Region, Terminator, Value};
use crate::state::{Life, Slot, SlotInfo};
use crate::ty::Ty;
use std::ops::Range;

/// The pass.
pub(super) fn run(region: &mut Region, exactness: Exactness) {
    let slots = sinkable_slots(region);
    if slots.is_empty() {
        return;
    }
    let flow = Flow::new(region);
    let liveness = Liveness::new(region, &flow, exactness);
    let mut writes = Vec::new();
    let events = Events::new(region, &slots, exactness);
    for &slot in &slots {
        let mut sink = Sink { region, flow: &flow, liveness: &liveness, events: &events, slot, writes: &mut writes };
        let entries = sink.pending_at_entries();
        sink.place_writes(&entries);
    }
    let taken_out = taken_out(region, &flow, &slots);
    let sole = only_for_writes(region, exactness, &writes, &taken_out);
    apply(region, writes, &sole);
    for block in &mut region.blocks {
        block.insts.retain(|value| !taken_out.get(value.index()).copied().unwrap_or(false));
    }
}

/// The slots that guest code writes far more often than it reads: flags, what flags derive from, and bytes.
fn sinkable_slots(region: &Region) -> Vec<Slot> {
    let (mut whole, mut low) = (SlotSet::default(), SlotSet::default());
    for &value in region.blocks.iter().flat_map(|block| &block.insts) {
        let inst = region.inst(value);
        match inst.op {
            Op::Set => whole.insert(inst.slot()),
            Op::SetLow => low.insert(inst.slot()),
            _ => {}
        }
    }
    let rows = region.arch.slots().iter();
    let is_of_flags = |info: &SlotInfo| matches!(info.ty, Ty::Flags | Ty::I8) || region.arch.derives_flag(info.slot);
    let candidates = rows.filter(|info| info.life == Life::Guest && is_of_flags(info));
    candidates.map(|info| info.slot).filter(|&slot| whole.contains(slot) && !low.contains(slot)).collect()
}

/// What an instruction means for pending writes.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The slot is to hold this value.
    Written(Slot, Value),
    /// The slot is read.
    Read(Slot),
    /// Every slot has to be right.
    AllRead,
}

/// The events of a region's blocks, each with its place in the block.
struct Events {
    list: Vec<(usize, Event)>,
    /// Where those of each block are in the list.
    of: Vec<Range<usize>>,
}

impl Events {
    fn new(region: &Region, slots: &[Slot], exactness: Exactness) -> Events {
        let mut events = Events { list: Vec::new(), of: Vec::with_capacity(region.blocks.len()) };
        for block in &region.blocks {
            let first = events.list.len();
            for (place, &value) in block.insts.iter().enumerate() {
                let inst = region.inst(value);
                let event = match inst.op {
                    Op::Set if slots.contains(&inst.slot()) => Event::Written(inst.slot(), inst.args[0]),
                    Op::Get if slots.contains(&inst.slot()) => Event::Read(inst.slot()),
                    op if exactness == Exactness::Exact && may_fault(op) => Event::AllRead,
                    _ if calls_state_helper(region, inst) => Event::AllRead,
                    _ => continue,
                };
                events.list.push((place, event));
            }
            events.of.push(first..events.list.len());
        }
        events
    }
}

/// Whether the slot's contents are in the slot.
#[derive(Clone, Copy, PartialEq, Debug)]
enum State {
    /// No way here is known yet.
    Unknown,
    /// They are.
    Settled,
    /// They are still to be written.
    Pending(Value),
}

/// Where a write is to happen.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Place {
    /// Before the instruction at this place of the block.
    Before(BlockId, usize),
    /// Before the terminator.
    AtEnd(BlockId),
    /// On the way from one block to the other.
    OnEdge(BlockId, BlockId),
}

#[derive(Clone, Copy, Debug)]
struct Write {
    place: Place,
    slot: Slot,
    ty: Ty,
    value: Value,
}

struct Sink<'a> {
    region: &'a Region,
    flow: &'a Flow,
    liveness: &'a Liveness,
    events: &'a Events,
    slot: Slot,
    writes: &'a mut Vec<Write>,
}

impl Sink<'_> {
    /// The state in which each block begins.
    fn pending_at_entries(&mut self) -> Vec<State> {
        let blocks = self.region.blocks.len();
        let (mut entries, mut ends) = (vec![State::Unknown; blocks], vec![State::Unknown; blocks]);
        let mut changed = true;
        while changed {
            changed = false;
            for &block in &self.flow.order {
                let entry = self.meet(block, &ends);
                let end = self.walk(block, entry, |_, _| {});
                changed |= end != ends[block.index()];
                entries[block.index()] = entry;
                ends[block.index()] = end;
            }
        }
        entries
    }

    /// What the ways to `block` agree on.
    fn meet(&self, block: BlockId, ends: &[State]) -> State {
        let start = if block == BlockId::ENTRY { State::Settled } else { State::Unknown };
        let ways = self.flow.predecessors(block).iter().map(|from| ends[from.index()]);
        ways.fold(start, |known, way| match (known, way) {
            (State::Unknown, other) | (other, State::Unknown) => other,
            (a, b) if a == b => a,
            _ => State::Settled,
        })
    }

    /// The state at the end of `block`; `write` is told before which instruction a value has to be written.
    fn walk(&self, block: BlockId, entry: State, mut write: impl FnMut(usize, Value)) -> State {
        let mut state = entry;
        for &(place, event) in &self.events.list[self.events.of[block.index()].clone()] {
            match (event, state) {
                (Event::Written(slot, value), _) if slot == self.slot => state = State::Pending(value),
                (Event::Written(..), _) => {}
                (Event::Read(slot), _) if slot != self.slot => {}
                (Event::Read(_) | Event::AllRead, State::Pending(value)) => {
                    write(place, value);
                    state = State::Settled;
                }
                (Event::Read(_) | Event::AllRead, State::Settled | State::Unknown) => {}
            }
        }
        state
    }

    fn place_writes(&mut self, entries: &[State]) {
        let flow = self.flow;
        for &block in &flow.order {
            let mut found = Vec::new();
            let end = self.walk(block, entries[block.index()], |place, value| found.push((place, value)));
            for (place, value) in found {
                self.write(Place::Before(block, place), value);
            }
            let State::Pending(value) = end else { continue };
            if let Terminator::Exit { .. } = self.region.block(block).end {
                self.write(Place::AtEnd(block), value);
            }
            for to in self.region.block(block).end.successors() {
                let agreed = entries[to.index()] == end;
                if !agreed && self.liveness.at_entry(to).contains(self.slot) {
                    self.write(Place::OnEdge(block, to), value);
                }
            }
        }
    }

    fn write(&mut self, place: Place, value: Value) {
        let ty = self.region.ty(value);
        self.writes.push(Write { place, slot: self.slot, ty, value });
    }
}

/// For each instruction whether it is a write that is pending instead.
fn taken_out(region: &Region, flow: &Flow, slots: &[Slot]) -> Vec<bool> {
    let mut taken_out = vec![false; region.insts.len()];
    for &value in flow.order.iter().flat_map(|&block| &region.block(block).insts) {
        let inst = region.inst(value);
        taken_out[value.index()] = inst.op == Op::Set && slots.contains(&inst.slot());
    }
    taken_out
}

/// For each value whether it is computed, by pure instructions, for nothing but the pending writes.
fn only_for_writes(region: &Region, exactness: Exactness, writes: &[Write], taken_out: &[bool]) -> Vec<bool> {
    let mut uses = vec![0u32; region.insts.len()];
    for block in &region.blocks {
        let left = block.insts.iter().filter(|value| !taken_out[value.index()]);
        let operands = left.flat_map(|&value| region.inst(value).operands());
        for value in operands.chain(block.end.operands()) {
            uses[value.index()] += 1;
        }
    }
    let mut sole = vec![false; region.insts.len()];
    let mut work: Vec<Value> = writes.iter().map(|write| write.value).collect();
    while let Some(value) = work.pop() {
        let inst = region.inst(value);
        if uses[value.index()] > 0 || sole[value.index()] || !is_pure(region, inst) {
            continue;
        }
        sole[value.index()] = true;
        for operand in inst.operands() {
            uses[operand.index()] -= 1;
            work.push(operand);
        }
    }
    for block in region.block_ids() {
        let kept = raising::kept_for_flags(region, block, exactness, |value| uses[value.index()] > 0);
        kept.into_iter().for_each(|value| stay(region, value, &mut sole));
    }
    sole
}

/// `value` and what it is computed from stay where they are.
fn stay(region: &Region, value: Value, sole: &mut [bool]) {
    if std::mem::replace(&mut sole[value.index()], false) {
        region.inst(value).operands().for_each(|operand| stay(region, operand, sole));
    }
}

/// Puts the writes in place, from the last place of each block to its first so that places stay right.
fn apply(region: &mut Region, mut writes: Vec<Write>, sole: &[bool]) {
    writes.sort_by_key(|write| match write.place {
        Place::Before(_, place) => std::cmp::Reverse(place),
        Place::AtEnd(_) | Place::OnEdge(..) => std::cmp::Reverse(usize::MAX),
    });
    let mut edges: Vec<(Place, BlockId)> = Vec::new();
    for write in writes {
        let mut new = Vec::new();
        compute_and_set(region, &write, sole, &mut new);
        let (block, place) = match write.place {
            Place::Before(block, place) => (block, place),
            Place::AtEnd(block) => (block, region.block(block).insts.len()),
            Place::OnEdge(from, to) => {
                let known = edges.iter().find(|(edge, _)| *edge == write.place);
                let block = known.map(|(_, block)| *block).unwrap_or_else(|| split_edge(region, from, to));
                edges.push((write.place, block));
                (block, region.block(block).insts.len())
            }
        };
        region.blocks[block.index()].insts.splice(place..place, new);
    }
}

/// Appends to `list` the write, and copies of the instructions that compute its value for nothing else.
fn compute_and_set(region: &mut Region, write: &Write, sole: &[bool], list: &mut Vec<Value>) {
    let mut copies = Vec::new();
    let value = copy(region, write.value, sole, &mut copies, list);
    let mut set = Inst::new(Op::Set, write.ty);
    set.args[0] = value;
    set.imm = u64::from(write.slot.0);
    list.push(Value(region.insts.len() as u32));
    region.insts.push(set);
}

fn copy(
    region: &mut Region,
    value: Value,
    sole: &[bool],
    copies: &mut Vec<(Value, Value)>,
    list: &mut Vec<Value>,
) -> Value {
    if !sole[value.index()] {
        return value;
    }
    if let Some((_, known)) = copies.iter().find(|(original, _)| *original == value) {
        return *known;
    }
    let mut inst = *region.inst(value);
    for arg in inst.args.iter_mut().filter(|arg| **arg != Value::NONE) {
        *arg = copy(region, *arg, sole, copies, list);
    }
    let new = Value(region.insts.len() as u32);
    region.insts.push(inst);
    list.push(new);
    copies.push((value, new));
    new
}

/// A block on the edge; the source itself if it has no other.
fn split_edge(region: &mut Region, from: BlockId, to: BlockId) -> BlockId {
    if region.block(from).end == Terminator::Jump(to) {
        return from;
    }
    let new = BlockId(region.blocks.len() as u32);
    region.blocks.push(Block { insts: Vec::new(), end: Terminator::Jump(to) });
    let end = &mut region.blocks[from.index()].end;
    *end = super::map_successors(*end, |old| if old == to { new } else { old });
    new
}
