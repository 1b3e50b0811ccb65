//! Which parts of which slots a region works on, in what type, and where their values are needed.
//!
//! Guest registers live in SSA values inside a region. A slot is cut into *places*, each one value: general
//! registers are one place, a vector register is one of 16 bytes, or, where the region looks only at its low 8 or
//! 4 bytes, that scalar and the rest, so that scalar floating-point loops run on plain scalars. Out come, for each
//! block, the places whose value may differ from memory and the places whose value is needed.

use super::loops::Loops;
use super::recovery::{Branch, Failures};
use super::rounds::Rounds;
use super::{Exactness, Recovery};
use cranelift_codegen::ir::{Type, types};
use philae_ir::flow::Flow;
use philae_ir::state::Life;
use philae_ir::{BlockId, CpuState, Effect, Inst, Op, Region, Slot, Terminator, Ty, Value};
use rustc_hash::{FxHashMap, FxHashSet};

/// The index of a place.
pub(super) type PlaceId = usize;

/// At most this many places are in one region: 32 vector registers in three parts, and every other slot.
const MAX_PLACES: usize = 256;

/// As many slots a loop works on at most if it is tight.
const TIGHT: usize = 10;
/// As many operations are in a region at most if it is small.
const SMALL: usize = 1000;

/// A set of places.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct PlaceSet([u64; MAX_PLACES / 64]);

impl PlaceSet {
    pub(super) fn insert(&mut self, place: PlaceId) {
        self.0[place / 64] |= 1 << (place % 64);
    }

    pub(super) fn contains(&self, place: PlaceId) -> bool {
        self.0[place / 64] >> (place % 64) & 1 != 0
    }

    pub(super) fn union(&mut self, other: &PlaceSet) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
    }

    pub(super) fn intersect(&mut self, other: &PlaceSet) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word &= other);
    }

    pub(super) fn subtract(&mut self, other: &PlaceSet) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word &= !other);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = PlaceId> + use<> {
        self.0.into_iter().enumerate().flat_map(|(index, mut word)| {
            std::iter::from_fn(move || {
                let place = (word != 0).then_some(64 * index + word.trailing_zeros() as usize);
                word &= word.wrapping_sub(1);
                place
            })
        })
    }
}

/// A part of a slot that is one value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Where it is in [`CpuState`], in bytes.
    pub(super) offset: i32,
    /// The type of its value.
    pub(super) ty: Type,
}

/// How a slot is cut into places.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Layout {
    /// One place as wide as the slot.
    Whole,
    /// Two places of 64 bits.
    Halves,
    /// 64 bits, and the 64 above.
    Low64,
    /// 32 bits, and the 32 and the 64 above.
    Low32,
    /// The flags: see [`super::stored_flags`].
    Flags,
}

/// The places of a slot: `first` and those after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlotPlaces {
    pub(super) first: PlaceId,
    pub(super) count: usize,
    pub(super) layout: Layout,
}

/// The places of a region and the flow of their values.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) places: Vec<Place>,
    /// By slot, of those that the region names.
    slots: Vec<Option<SlotPlaces>>,
    /// Places of guest slots; the others are dead outside the region.
    guest: PlaceSet,
    exactness: Exactness,
    /// The first of the three places of the flags, if the region names them.
    pub(super) flags: Option<PlaceId>,
    /// By value, for accesses that leave the state as it is: where one faults, code of its own writes it.
    recovering: Vec<Option<Branch>>,
    /// What recoveries make of other places.
    pub(super) rounds: Rounds,
    /// Reachable blocks in reverse post-order: a value's block comes before those that use it.
    pub(super) order: Vec<BlockId>,
    /// Its loops.
    pub(super) loops: Loops,
    /// For each block, how many edges lead to it from reachable blocks.
    pub(super) predecessors: Vec<usize>,
    /// For each block, the places that may differ from memory where it starts.
    pub(super) dirty_in: Vec<PlaceSet>,
    /// For each block, the places whose value is needed where it starts.
    pub(super) live_in: Vec<PlaceSet>,
}

/// How wide a region looks into a slot, and as what.
#[derive(Clone, Copy, Default)]
struct Access {
    bits: u32,
    floats: u32,
    integers: u32,
}

impl Plan {
    /// Analyses `region`. `failures` are the ways to recover that did not do.
    pub(super) fn new(region: &Region, exactness: Exactness, recovery: Recovery, failures: &Failures) -> Plan {
        let flow = Flow::new(region);
        let predecessors = region.block_ids().map(|block| flow.predecessors(block).len()).collect();
        let loops = Loops::new(region, &flow);
        let order = flow.order.clone();
        let blocks = region.blocks.len();
        let mut plan = Plan {
            places: Vec::new(),
            slots: Vec::new(),
            guest: PlaceSet::default(),
            exactness,
            flags: None,
            recovering: vec![None; region.insts.len()],
            rounds: Rounds::default(),
            order,
            loops,
            predecessors,
            dirty_in: vec![PlaceSet::default(); blocks],
            live_in: vec![PlaceSet::default(); blocks],
        };
        let recovers = exactness == Exactness::Exact && recovery == Recovery::InLoops;
        if recovers {
            plan.find_recovering(region, failures);
        }
        plan.cut_slots(region);
        plan.flow_dirty(region);
        if recovers {
            plan.rounds = Rounds::new(region, &flow, &plan);
        }
        plan.flow_live(region);
        if plan.rounds.carry(&plan.live_in) {
            plan.live_in.fill(PlaceSet::default());
            plan.flow_live(region);
        }
        plan
    }

    /// The places of a slot that the region names.
    pub(super) fn slot(&self, slot: Slot) -> SlotPlaces {
        self.slots[usize::from(slot.0)].expect("a slot that the region names")
    }

    /// The places that `inst`, a `Get` or `SetLow`, reads.
    pub(super) fn reads(&self, inst: &Inst) -> PlaceSet {
        let mut set = PlaceSet::default();
        let places = self.slot(inst.slot());
        let covered = self.covered(places, inst.ty.bits());
        match inst.op {
            Op::Get => covered.for_each(|place| set.insert(place)),
            Op::SetLow if self.is_partial(places, inst.ty.bits()) => set.insert(covered.end - 1),
            _ => (),
        }
        set
    }

    /// The places that `inst`, a `Set` or `SetLow`, writes.
    pub(super) fn writes(&self, inst: &Inst) -> PlaceSet {
        let mut set = PlaceSet::default();
        let places = self.slot(inst.slot());
        match inst.op {
            Op::Set => (places.first..places.first + places.count).for_each(|place| set.insert(place)),
            Op::SetLow => self.covered(places, inst.ty.bits()).for_each(|place| set.insert(place)),
            _ => (),
        }
        set
    }

    /// Whether the dirty places have to be somewhere where a fault of `inst` finds them.
    pub(super) fn is_exact_access(&self, inst: &Inst) -> bool {
        self.exactness == Exactness::Exact && may_fault(inst)
    }

    /// Where the branch to its recovery is, if an exact access has code of its own for its fault.
    pub(super) fn recovery(&self, value: Value) -> Option<Branch> {
        self.recovering[value.index()]
    }

    /// In loops, plain accesses that are one host instruction.
    fn find_recovering(&mut self, region: &Region, failures: &Failures) {
        let tight = self.tight_loops(region);
        for &block in self.order.iter().filter(|&&block| self.loops.contain(block)) {
            for &value in &region.block(block).insts {
                let inst = region.inst(value);
                let ways = match inst.op {
                    _ if inst.ty == Ty::I128 => &[][..],
                    Op::Load | Op::LoadZext | Op::LoadSext if tight[block.index()] => &[Branch::Before, Branch::Behind],
                    Op::Load | Op::LoadZext | Op::LoadSext | Op::Store => &[Branch::Behind],
                    _ => &[],
                };
                let way = ways.iter().find(|&&way| !failures.contains(&(value, way)));
                self.recovering[value.index()] = way.copied();
            }
        }
    }

    /// For each block whether it is in an innermost loop of a small region that works on few slots. In others a value that
    /// has been put aside comes back where it is used, and then a branch cannot stand before the access that uses it.
    fn tight_loops(&self, region: &Region) -> Vec<bool> {
        let mut tight = vec![false; region.blocks.len()];
        if region.insts.len() > SMALL {
            return tight;
        }
        for (_, members) in self.loops.innermost() {
            let inside = || region.block_ids().filter(|block| members[block.index()]);
            let insts = inside().flat_map(|block| &region.block(block).insts).map(|&value| region.inst(value));
            let slots: FxHashSet<Slot> = insts
                .filter(|inst| matches!(inst.op, Op::Get | Op::Set | Op::SetLow))
                .map(|inst| inst.slot())
                .collect();
            if slots.len() <= TIGHT {
                inside().for_each(|block| tight[block.index()] = true);
            }
        }
        tight
    }

    /// The places that must be in memory at an exit or an exact access where `dirty` may differ from it.
    pub(super) fn to_store(&self, dirty: &PlaceSet) -> PlaceSet {
        let mut set = *dirty;
        set.intersect(&self.guest);
        set
    }

    /// The places that a block of the guest's slots starts with in memory.
    pub(super) fn is_guest(&self, place: PlaceId) -> bool {
        self.guest.contains(place)
    }

    /// All of those.
    pub(super) fn guest_places(&self) -> PlaceSet {
        self.guest
    }

    /// The places that may differ from memory where a block ends.
    pub(super) fn dirty_out(&self, region: &Region, block: BlockId) -> PlaceSet {
        let mut dirty = self.dirty_in[block.index()];
        region.block(block).insts.iter().for_each(|&value| self.step_dirty(region, value, &mut dirty));
        dirty
    }

    /// What is dirty after `inst`.
    pub(super) fn step_dirty(&self, region: &Region, value: Value, dirty: &mut PlaceSet) {
        let inst = region.inst(value);
        match inst.op {
            Op::Set | Op::SetLow => dirty.union(&self.writes(inst)),
            _ if self.is_exact_access(inst) && self.recovery(value).is_none() => dirty.subtract(&self.guest),
            _ => (),
        }
    }

    /// The places that hold any of the low `bits` of a slot.
    fn covered(&self, places: SlotPlaces, bits: u32) -> std::ops::Range<PlaceId> {
        if places.layout == Layout::Flags {
            return places.first..places.first + places.count;
        }
        let mut end = places.first;
        let mut left = bits as i64;
        while left > 0 && end < places.first + places.count {
            left -= i64::from(self.places[end].ty.bits());
            end += 1;
        }
        places.first..end
    }

    /// Whether the low `bits` of a slot end inside a place.
    fn is_partial(&self, places: SlotPlaces, bits: u32) -> bool {
        let covered = self.covered(places, bits);
        covered.map(|place| self.places[place].ty.bits()).sum::<u32>() > bits
    }

    fn cut_slots(&mut self, region: &Region) {
        let mut accesses: FxHashMap<Slot, Access> = FxHashMap::default();
        let mut named = Vec::new();
        for inst in self.order.iter().flat_map(|&block| &region.block(block).insts).map(|&v| region.inst(v)) {
            if !matches!(inst.op, Op::Get | Op::Set | Op::SetLow) {
                continue;
            }
            let access = accesses.entry(inst.slot()).or_insert_with(|| {
                named.push(inst.slot());
                Access::default()
            });
            access.bits = access.bits.max(inst.ty.bits());
            access.floats += u32::from(inst.ty.is_float());
            access.integers += u32::from(inst.ty.is_int());
        }
        for slot in named {
            let info = region.arch.slot(slot);
            if info.ty == Ty::Flags {
                self.cut_flags(slot);
                continue;
            }
            let (layout, parts) = cut(info.ty, accesses[&slot]);
            let first = self.places.len();
            self.name(slot, SlotPlaces { first, count: parts.len(), layout });
            let mut offset = CpuState::displacement(slot);
            for ty in parts {
                if info.life == Life::Guest {
                    self.guest.insert(self.places.len());
                }
                self.places.push(Place { offset, ty });
                offset += ty.bytes() as i32;
            }
        }
    }

    fn name(&mut self, slot: Slot, places: SlotPlaces) {
        let index = usize::from(slot.0);
        self.slots.resize(self.slots.len().max(index + 1), None);
        self.slots[index] = Some(places);
    }

    fn cut_flags(&mut self, slot: Slot) {
        let first = self.places.len();
        self.flags = Some(first);
        let places = super::stored_flags::places();
        self.name(slot, SlotPlaces { first, count: places.len(), layout: Layout::Flags });
        (first..first + places.len()).for_each(|place| self.guest.insert(place));
        self.places.extend(places);
    }

    fn flow_dirty(&mut self, region: &Region) {
        let mut changed = true;
        while changed {
            changed = false;
            for index in 0..self.order.len() {
                let block = self.order[index];
                let dirty = self.dirty_out(region, block);
                for to in region.block(block).end.successors() {
                    let before = self.dirty_in[to.index()];
                    self.dirty_in[to.index()].union(&dirty);
                    changed |= before != self.dirty_in[to.index()];
                }
            }
        }
    }

    /// Backward: an access or exit needs what it has to store, `Get` and partial writes need what they read.
    fn flow_live(&mut self, region: &Region) {
        let transfers: Vec<(PlaceSet, PlaceSet)> = self.order.iter().map(|&id| self.needs(region, id)).collect();
        let mut changed = true;
        while changed {
            changed = false;
            for (index, &id) in self.order.iter().enumerate().rev() {
                let (needed, defined) = transfers[index];
                let mut live = PlaceSet::default();
                region.block(id).end.successors().for_each(|to| live.union(&self.live_at(id, to)));
                live.subtract(&defined);
                live.union(&needed);
                changed |= live != self.live_in[id.index()];
                self.live_in[id.index()] = live;
            }
        }
    }

    /// The places whose value is needed at the edge from one block to another.
    pub(super) fn live_at(&self, from: BlockId, to: BlockId) -> PlaceSet {
        let mut live = self.live_in[to.index()];
        live.union(&self.rounds.entries(from, to));
        live
    }

    /// The places whose value at the start of a block is needed in it, and those that it writes whole.
    fn needs(&self, region: &Region, id: BlockId) -> (PlaceSet, PlaceSet) {
        let (mut needed, mut defined) = (PlaceSet::default(), PlaceSet::default());
        let mut dirty = self.dirty_in[id.index()];
        let mut need = |places: &PlaceSet, defined: &PlaceSet| {
            let mut places = *places;
            places.subtract(defined);
            needed.union(&places);
        };
        let block = region.block(id);
        for &value in &block.insts {
            let inst = region.inst(value);
            if matches!(inst.op, Op::Get | Op::Set | Op::SetLow) {
                need(&self.reads(inst), &defined);
                defined.union(&self.writes(inst));
            } else if self.is_exact_access(inst) {
                let mut recovered = self.to_store(&dirty);
                recovered.subtract(&self.rounds.derived(value));
                need(&recovered, &defined);
            }
            self.step_dirty(region, value, &mut dirty);
        }
        if let Terminator::Exit { .. } = block.end {
            need(&self.to_store(&dirty), &defined);
        }
        (needed, defined)
    }
}

/// Whether the instruction touches guest memory.
pub(super) fn may_fault(inst: &Inst) -> bool {
    matches!(inst.op.info().effect, Effect::Load | Effect::Store | Effect::Atomic)
}

fn cut(slot: Ty, access: Access) -> (Layout, Vec<Type>) {
    let float = access.floats >= access.integers && access.floats > 0;
    match slot {
        Ty::I128 => (Layout::Halves, vec![types::I64, types::I64]),
        _ if !slot.is_vector() => (Layout::Whole, vec![super::clif_type(slot)]),
        _ if access.bits <= 32 => {
            (Layout::Low32, vec![if float { types::F32 } else { types::I32 }, types::I32, types::I64])
        }
        _ if access.bits <= 64 => (Layout::Low64, vec![if float { types::F64 } else { types::I64 }, types::I64]),
        _ => (Layout::Whole, vec![types::I8X16]),
    }
}
