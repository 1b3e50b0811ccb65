//! What a loop need not carry round for the recovery of its accesses.
//!
//! An access that recovers needs every slot that the loop writes, as the round before has left it. Many of these are known
//! without being carried: constants (the kind of a comparison, the upper half of a scalar), and what is at a fixed distance
//! from something else that is carried (the operand of a comparison with the counter). Only in the first round they are
//! what they were before the loop. Which round it is shows a counter of the loop, one that each round adds the same to: it
//! is what it was before the loop in the first round only. A loop without one has a sign made for it, if that replaces more.
//!
//! In: a region, its loops, the accesses that recover, the places that may differ from memory. Out: for each such access the
//! places that its recovery makes of others.

use super::places::{PlaceId, PlaceSet, Plan};
use crate::stored_flags::describe;
use cranelift_codegen::ir::types;
use philae_ir::flow::Flow;
use philae_ir::{BlockId, Inst, Op, Region, Ty, Value};
use rustc_hash::{FxHashMap, FxHashSet};

/// What is known of the rounds of a region's loops.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    loops: Vec<Round>,
    accesses: FxHashMap<Value, Recovered>,
}

/// A loop some of whose accesses make places of others.
#[derive(Debug)]
struct Round {
    head: BlockId,
    members: Vec<bool>,
    /// Places that may differ from memory where the loop is entered.
    dirty: PlaceSet,
    /// Those of them whose value there its recoveries need.
    entries: PlaceSet,
    /// Whether they need a sign.
    has_sign: bool,
}

/// How an access recovers.
#[derive(Debug)]
pub(super) struct Recovered {
    /// What tells the first round from others.
    pub(super) tell: Tell,
    /// The places that are made of others.
    pub(super) derived: Vec<(PlaceId, Recipe)>,
    /// Which of the loops of [`Rounds`] it is in.
    pub(super) round: usize,
}

/// What tells the first round of a loop from others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tell {
    /// A counter: a place, and how much more that is at the access than where the round began.
    Counter(PlaceId, u64),
    /// A sign, which is set where a round ends.
    Sign,
}

/// What a place holds in all rounds but the first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Recipe {
    /// A constant.
    Constant(u64),
    /// What another place holds at the access, and so much more.
    Sum(PlaceId, u64),
    /// A value from before the loop, zero-extended to 64 bits, and so much more.
    Before(Value, u64),
}

/// What is known of a place's value at some point of a round.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Known {
    Nothing,
    Constant(u64),
    /// So much more than where the round began a place held.
    Head(PlaceId, u64),
    /// So much more than a value, zero-extended to 64 bits.
    Value(Value, u64),
}

impl Known {
    fn plus(self, more: u64) -> Known {
        match self {
            Known::Nothing => Known::Nothing,
            Known::Constant(constant) => Known::Constant(constant.wrapping_add(more)),
            Known::Head(place, by) => Known::Head(place, by.wrapping_add(more)),
            Known::Value(value, by) => Known::Value(value, by.wrapping_add(more)),
        }
    }

    /// How much more this is than `other`, if both are so much more than the same.
    fn above(self, other: Known) -> Option<u64> {
        match (self, other) {
            (Known::Head(place, by), Known::Head(of, other)) if place == of => Some(by.wrapping_sub(other)),
            (Known::Value(value, by), Known::Value(of, other)) if value == of => Some(by.wrapping_sub(other)),
            _ => None,
        }
    }
}

/// A counter goes through at least 2 to the power of so many values before it comes back to one.
const COUNTER_BITS: u32 = 56;

impl Rounds {
    /// Finds what the recoveries of `plan` need not have carried round.
    pub(super) fn new(region: &Region, flow: &Flow, plan: &Plan) -> Rounds {
        let mut rounds = Rounds::default();
        for (head, members) in plan.loops.innermost() {
            let inside = |block: &BlockId| members[block.index()];
            let is_natural = |&block: &BlockId| block == head || flow.predecessors(block).iter().all(inside);
            let blocks: Vec<BlockId> = plan.order.iter().copied().filter(inside).collect();
            if blocks[0] == head && blocks.iter().all(is_natural) && only_recovers(region, plan, &blocks) {
                rounds.add_loop(region, flow, plan, head, members, &blocks);
            }
        }
        rounds.find_entries();
        rounds
    }

    /// How an access recovers, if it makes places of others.
    pub(super) fn recovered(&self, access: Value) -> Option<&Recovered> {
        self.accesses.get(&access)
    }

    /// The places that an access makes of others to recover.
    pub(super) fn derived(&self, access: Value) -> PlaceSet {
        let mut places = PlaceSet::default();
        let derived = self.recovered(access).map_or(&[][..], |recovered| &recovered.derived);
        derived.iter().for_each(|&(place, _)| places.insert(place));
        places
    }

    /// The places whose value at the edge from `from` to `to`, which enters a loop, recoveries in the loop need.
    pub(super) fn entries(&self, from: BlockId, to: BlockId) -> PlaceSet {
        let round = self.loops.iter().find(|round| round.head == to && !round.members[from.index()]);
        round.map_or(PlaceSet::default(), |round| round.entries)
    }

    /// The loops, by their numbers, that the edge from `from`, or the way into the region, to `to` enters or goes round again
    /// in, and that have a sign; whether it goes round.
    pub(super) fn signs(&self, from: Option<BlockId>, to: BlockId) -> impl Iterator<Item = (usize, bool)> {
        let ends = move |(index, round): (usize, &Round)| {
            let goes_round = from.is_some_and(|from| round.members[from.index()]);
            (round.has_sign && round.head == to).then_some((index, goes_round))
        };
        self.loops.iter().enumerate().filter_map(ends)
    }

    /// How many loops there are.
    pub(super) fn count(&self) -> usize {
        self.loops.len()
    }

    /// All places whose value where a loop is entered is needed in it.
    pub(super) fn all_entries(&self) -> PlaceSet {
        let mut all = PlaceSet::default();
        self.loops.iter().for_each(|round| all.union(&round.entries));
        all
    }

    /// Whether a place may differ from memory where the loop of an access is entered.
    pub(super) fn is_dirty_at_entry(&self, recovered: &Recovered, place: PlaceId) -> bool {
        self.loops[recovered.round].dirty.contains(place)
    }

    /// Has those places carried round that are needed round anyway, by `live_in`, what is needed where blocks start; whether
    /// that changes anything.
    pub(super) fn carry(&mut self, live_in: &[PlaceSet]) -> bool {
        let mut changed = false;
        for recovered in self.accesses.values_mut() {
            let live = &live_in[self.loops[recovered.round].head.index()];
            let before = recovered.derived.len();
            recovered.derived.retain(|&(place, _)| !live.contains(place));
            changed |= recovered.derived.len() != before;
        }
        // A sign is an instruction more in each round.
        let is_worth_it = |_: &Value, recovered: &mut Recovered| {
            let keeps = recovered.derived.len() > usize::from(recovered.tell == Tell::Sign);
            changed |= !keeps && !recovered.derived.is_empty();
            keeps
        };
        self.accesses.retain(is_worth_it);
        self.find_entries();
        changed
    }

    fn find_entries(&mut self) {
        for (index, round) in self.loops.iter_mut().enumerate() {
            (round.entries, round.has_sign) = (PlaceSet::default(), false);
            for recovered in self.accesses.values().filter(|recovered| recovered.round == index) {
                let counter = match recovered.tell {
                    Tell::Counter(place, _) => Some(place),
                    Tell::Sign => None,
                };
                round.has_sign |= counter.is_none();
                let places = recovered.derived.iter().map(|&(place, _)| place).chain(counter);
                places.filter(|&place| round.dirty.contains(place)).for_each(|place| round.entries.insert(place));
            }
        }
    }

    fn add_loop(
        &mut self,
        region: &Region,
        flow: &Flow,
        plan: &Plan,
        head: BlockId,
        members: &[bool],
        blocks: &[BlockId],
    ) {
        let mut walk = Walk::new(region, plan);
        let places = plan.places.len();
        let mut starts: FxHashMap<BlockId, Vec<Known>> = FxHashMap::default();
        starts.insert(head, (0..places).map(|place| Known::Head(place, 0)).collect());
        let mut end: Option<Vec<Known>> = None;
        for &block in blocks {
            let state = walk.block(block, starts[&block].clone());
            for to in region.block(block).end.successors().filter(|to| members[to.index()]) {
                if to == head {
                    end = Some(end.map_or(state.clone(), |end| meet(end, &state)));
                } else {
                    let start = starts.remove(&to).map_or(state.clone(), |start| meet(start, &state));
                    starts.insert(to, start);
                }
            }
        }
        let Some(end) = end else { return };
        let mut carried = plan.dirty_in[head.index()];
        carried.intersect(&plan.guest_places());
        // What the loop reads is carried anyway: others are made of that.
        let mut carried: Vec<PlaceId> = carried.iter().collect();
        carried.sort_by_key(|&place| !walk.read.contains(place));
        let counters: Vec<PlaceId> = carried.iter().copied().filter(|&place| counts(plan, &end, place)).collect();
        let ends: Vec<_> =
            carried.iter().filter_map(|&place| Some((place, walk.at_end(&end, &carried, place)?))).collect();
        let round = self.loops.len();
        for (access, state) in std::mem::take(&mut walk.accesses) {
            let at = |place: PlaceId| match state[place] {
                Known::Head(of, by) if of == place => Some(by),
                _ => None,
            };
            let tell = counters.iter().find_map(|&place| Some(Tell::Counter(place, at(place)?))).unwrap_or(Tell::Sign);
            let recipe = |&(place, end): &(PlaceId, Recipe)| match end {
                Recipe::Sum(of, more) => Some((place, Recipe::Sum(of, more.wrapping_sub(at(of)?)))),
                Recipe::Constant(_) | Recipe::Before(..) => Some((place, end)),
            };
            let unchanged = ends.iter().filter(|&&(place, _)| at(place) == Some(0) && tell != Tell::Counter(place, 0));
            let derived = unchanged.filter_map(recipe).collect();
            self.accesses.insert(access, Recovered { tell, derived, round });
        }
        let mut dirty = PlaceSet::default();
        for &from in flow.predecessors(head).iter().filter(|from| !members[from.index()]) {
            dirty.union(&plan.dirty_out(region, from));
        }
        self.loops.push(Round {
            head,
            members: members.to_vec(),
            dirty,
            entries: PlaceSet::default(),
            has_sign: false,
        });
    }
}

/// Whether a place is a counter, by what is known where rounds end.
fn counts(plan: &Plan, end: &[Known], place: PlaceId) -> bool {
    let Known::Head(of, step) = end[place] else { return false };
    let comes_back = step.trailing_zeros() + COUNTER_BITS > u64::BITS;
    of == place && !comes_back && plan.places[place].ty == types::I64
}

/// Whether accesses in a loop recover, and none writes the guest's registers to the state.
fn only_recovers(region: &Region, plan: &Plan, blocks: &[BlockId]) -> bool {
    let values = || blocks.iter().flat_map(|&block| &region.block(block).insts);
    let writes = |&value: &Value| plan.is_exact_access(region.inst(value)) && plan.recovery(value).is_none();
    !values().any(writes) && values().any(|&value| plan.recovery(value).is_some())
}

fn meet(mut states: Vec<Known>, others: &[Known]) -> Vec<Known> {
    for (state, other) in states.iter_mut().zip(others) {
        if state != other {
            *state = Known::Nothing;
        }
    }
    states
}

/// A walk through the blocks of a round.
struct Walk<'a> {
    region: &'a Region,
    plan: &'a Plan,
    /// What is known of values.
    values: FxHashMap<Value, Known>,
    /// The places that are read.
    read: PlaceSet,
    /// The values that are made in a round.
    inside: FxHashSet<Value>,
    /// What is known of places at the accesses that recover.
    accesses: Vec<(Value, Vec<Known>)>,
}

impl<'a> Walk<'a> {
    fn new(region: &'a Region, plan: &'a Plan) -> Walk<'a> {
        let (values, inside) = (FxHashMap::default(), FxHashSet::default());
        Walk { region, plan, values, read: PlaceSet::default(), inside, accesses: Vec::new() }
    }

    /// What is known behind a block.
    fn block(&mut self, block: BlockId, mut state: Vec<Known>) -> Vec<Known> {
        for &value in &self.region.block(block).insts {
            let inst = self.region.inst(value);
            self.inside.insert(value);
            match inst.op {
                Op::Get => {
                    self.read.union(&self.plan.reads(inst));
                    self.get(value, inst, &mut state);
                }
                Op::Set => self.set(inst, &mut state),
                Op::SetLow => self.plan.writes(inst).iter().for_each(|place| state[place] = Known::Nothing),
                _ if self.plan.recovery(value).is_some() => self.accesses.push((value, state.clone())),
                _ => (),
            }
        }
        state
    }

    /// Whether an integer is made before the loop: a value that a round uses and does not make.
    fn is_before(&self, value: Value) -> bool {
        self.region.ty(value).is_int() && !self.inside.contains(&value)
    }

    /// What a place could be made of where rounds end.
    fn at_end(&self, end: &[Known], carried: &[PlaceId], place: PlaceId) -> Option<Recipe> {
        let is_word = |place: PlaceId| self.plan.places[place].ty == types::I64;
        match end[place] {
            Known::Constant(constant) => self.plan.places[place].ty.is_int().then_some(Recipe::Constant(constant)),
            _ if !is_word(place) => None,
            Known::Value(value, more) if self.is_before(value) => Some(Recipe::Before(value, more)),
            known => {
                // Of places each of which could be made of the others, the first is carried.
                let is_alike = |of: PlaceId| Some((of, known.above(end[of]).filter(|_| is_word(of))?));
                let (of, more) = carried.iter().find_map(|&of| is_alike(of))?;
                (of != place).then_some(Recipe::Sum(of, more))
            }
        }
    }

    fn get(&mut self, value: Value, inst: &Inst, state: &mut [Known]) {
        let places = self.plan.slot(inst.slot());
        if inst.ty != Ty::I64 || places.count != 1 {
            return;
        }
        let known = &mut state[places.first];
        if *known == Known::Nothing {
            *known = Known::Value(value, 0);
        }
        self.values.insert(value, *known);
    }

    fn set(&mut self, inst: &Inst, state: &mut [Known]) {
        let places = self.plan.slot(inst.slot());
        let all = places.first..places.first + places.count;
        if inst.ty == Ty::Flags {
            state[all].copy_from_slice(&self.flags(inst.args[0]));
            return;
        }
        let first = self.plan.places[places.first].ty;
        let fits = inst.ty.bits() <= first.bits();
        state[all].fill(if fits { Known::Constant(0) } else { Known::Nothing });
        state[places.first] = if fits && first.is_int() { self.value(inst.args[0]) } else { Known::Nothing };
    }

    /// What the places of the flags hold after flags were set that are always described.
    fn flags(&self, flags: Value) -> [Known; 3] {
        let always = matches!(self.region.inst(flags).op, Op::FlagsAdd | Op::FlagsSub | Op::FlagsLogic);
        let described = describe(self.region, flags, |value| value).filter(|_| always);
        let Some(described) = described else { return [Known::Nothing; 3] };
        let operand = |index: usize| described.operands[index].map_or(Known::Nothing, |operand| self.value(operand));
        [Known::Constant(described.word.into()), operand(0), operand(1)]
    }

    /// What is known of a value of an integer type, zero-extended.
    fn value(&self, value: Value) -> Known {
        let inst = self.region.inst(value);
        let constant = |value: Value| self.region.constant(value).map(|constant| constant as u64);
        if let Some(constant) = constant(value) {
            return Known::Constant(constant);
        }
        match inst.op {
            Op::Add if inst.ty == Ty::I64 => match (constant(inst.args[0]), constant(inst.args[1])) {
                (_, Some(more)) => self.value(inst.args[0]).plus(more),
                (Some(more), _) => self.value(inst.args[1]).plus(more),
                _ => Known::Value(value, 0),
            },
            Op::Sub if inst.ty == Ty::I64 => match constant(inst.args[1]) {
                Some(less) => self.value(inst.args[0]).plus(less.wrapping_neg()),
                None => Known::Value(value, 0),
            },
            _ => self.values.get(&value).copied().unwrap_or(Known::Value(value, 0)),
        }
    }
}
