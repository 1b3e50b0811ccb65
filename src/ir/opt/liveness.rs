//! Which slots will be read: backwards from the exits, where all guest slots are, and local ones are not.

use super::{Exactness, calls_state_helper, may_fault};
use crate::flow::Flow;
use crate::ops::Op;
use crate::region::{BlockId, Inst, Region, Terminator};
use crate::state::{Arch, Life, Slot, WORDS};

/// A set of slots.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct SlotSet([u64; WORDS.div_ceil(64)]);

impl SlotSet {
    /// The slots of `arch` that outlive a region.
    pub(super) fn guest(arch: Arch) -> SlotSet {
        let mut set = SlotSet::default();
        for info in arch.slots().iter().filter(|info| info.life == Life::Guest) {
            set.insert(info.slot);
        }
        set
    }

    pub(super) fn contains(&self, Slot(word): Slot) -> bool {
        self.0[word as usize / 64] >> (word % 64) & 1 == 1
    }

    pub(super) fn insert(&mut self, Slot(word): Slot) {
        self.0[word as usize / 64] |= 1 << (word % 64);
    }

    pub(super) fn remove(&mut self, Slot(word): Slot) {
        self.0[word as usize / 64] &= !(1 << (word % 64));
    }

    pub(super) fn union(self, other: SlotSet) -> SlotSet {
        self.combine(other, |a, b| a | b)
    }

    pub(super) fn minus(self, other: SlotSet) -> SlotSet {
        self.combine(other, |a, b| a & !b)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|&words| words == 0)
    }

    fn combine(self, other: SlotSet, f: impl Fn(u64, u64) -> u64) -> SlotSet {
        SlotSet(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

/// The live slots at the borders of blocks.
pub(super) struct Liveness {
    guest: SlotSet,
    exactness: Exactness,
    entry: Vec<SlotSet>,
}

impl Liveness {
    /// The liveness of `region`; `flow` is its flow graph.
    pub(super) fn new(region: &Region, flow: &Flow, exactness: Exactness) -> Liveness {
        let entry = vec![SlotSet::default(); region.blocks.len()];
        let mut liveness = Liveness { guest: SlotSet::guest(region.arch), exactness, entry };
        let summaries: Vec<_> = region.block_ids().map(|block| liveness.summary(region, block)).collect();
        let mut changed = true;
        while changed {
            changed = false;
            for &block in flow.order.iter().rev() {
                let (read, written) = summaries[block.index()];
                let live = read.union(liveness.at_end(region, block).minus(written));
                changed |= liveness.entry[block.index()] != live;
                liveness.entry[block.index()] = live;
            }
        }
        liveness
    }

    /// What a block reads before it writes it, and what it writes.
    fn summary(&self, region: &Region, block: BlockId) -> (SlotSet, SlotSet) {
        let (mut read, mut written) = (SlotSet::default(), SlotSet::default());
        for &value in region.block(block).insts.iter().rev() {
            let inst = region.inst(value);
            self.step_back(region, inst, &mut read);
            if inst.op == Op::Set {
                written.insert(inst.slot());
            }
        }
        (read, written)
    }

    /// What is live where `block` begins.
    pub(super) fn at_entry(&self, block: BlockId) -> SlotSet {
        self.entry[block.index()]
    }

    /// What is live at the terminator of `block`.
    pub(super) fn at_end(&self, region: &Region, block: BlockId) -> SlotSet {
        match region.block(block).end {
            Terminator::Exit { .. } => self.guest,
            end => end.successors().fold(SlotSet::default(), |live, to| live.union(self.at_entry(to))),
        }
    }

    /// From what is live after `inst` to what is live before it.
    pub(super) fn step_back(&self, region: &Region, inst: &Inst, live: &mut SlotSet) {
        match inst.op {
            Op::Set => live.remove(inst.slot()),
            Op::Get => live.insert(inst.slot()),
            op if self.exactness == Exactness::Exact && may_fault(op) => *live = live.union(self.guest),
            _ if calls_state_helper(region, inst) => *live = live.union(self.guest),
            _ => {}
        }
    }
}
