//! From a region's blocks to CLIF: control flow, the values of places, and which rule lowers an instruction.
//!
//! Within a block a place's value is held in whatever type it was written; where blocks meet it is a variable of
//! the place's own type. Every pure operation without a rule of its own goes through [`super::outcall`].

use super::carries::Carries;
use super::places::{Layout, PlaceId, PlaceSet, Plan};
use super::status::Raising;
use super::x86_64::{Features, StandIn};
use super::{CompileError, clif_type, stand_ins};
use crate::link::{LinkSite, LinkSlot};
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{self, F32, F32X4, F64, F64X2, I8, I8X16, I32, I32X4, I64, I64X2, I128};
use cranelift_codegen::ir::{
    self, BlockArg, Endianness, InstBuilder, MemFlagsData, Opcode, SigRef, TrapCode, Type, Value as Clif, ValueDef,
};
use cranelift_codegen::isa::TargetIsa;
use cranelift_frontend::{FunctionBuilder, Variable};
use philae_ir::uses::count_uses;
use philae_ir::{BlockId, ExitReason, Inst, Op, Region, Terminator, Ty, Value};
use rustc_hash::{FxHashMap, FxHashSet};

/// The most trap codes that one function can tell apart.
const MAX_FAULT_CODES: usize = 249;
/// The trap code of loads that become prefetches: see [`super::x86_64::make_prefetch`].
pub(super) const PREFETCH: TrapCode = TrapCode::unwrap_user(MAX_FAULT_CODES as u8 + 1);

/// What a block holds of a place.
#[derive(Clone, Copy, Default)]
struct Held {
    /// A value of any type whose bits, zero-extended, are the place's.
    narrow: Option<Clif>,
    /// The value in the place's type.
    whole: Option<Clif>,
    /// For the flags: what they will be computed from.
    flags: Option<Value>,
    /// Differs from the variable.
    changed: bool,
}

/// When the usual values of [`Lower::or_in_cold_block`] are computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Usual {
    /// Before the test.
    Always,
    /// Where they are wanted.
    Otherwise,
}

/// Where [`Lower::or_in_cold_block`] leaves what is usual.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unusual {
    /// Where this is not 0.
    Where(Clif),
    /// The same, if this scalar then is a NaN or the smallest normal number.
    Perhaps(Clif, Clif),
}

/// The functions that regions call and jump to, imported once for each function.
pub(super) struct Signatures {
    /// A jump through a link slot: (state, link).
    pub(super) linked: SigRef,
    /// Any other jump to a region or a stub: (state).
    pub(super) unlinked: SigRef,
    /// Calls of helpers, by the number of their operands.
    pub(super) helpers: [SigRef; 4],
    /// Calls of the evaluator.
    pub(super) evaluator: SigRef,
    /// Calls to settle the flags in memory.
    pub(super) settle: SigRef,
}

/// What the machine code of a region will be finished with.
pub(super) struct Lowered {
    /// For each trap code, from code 1, the guest pc and whether its accesses recover.
    pub(super) fault_pcs: Vec<(u64, bool)>,
    /// The instructions that others stand for, in the order of their source locations.
    pub(super) stand_ins: Vec<StandIn>,
}

/// A region being lowered.
pub(super) struct Lower<'a, 'b> {
    pub(super) region: &'a Region,
    pub(super) plan: &'a Plan,
    pub(super) b: FunctionBuilder<'b>,
    pub(super) features: Features,
    pub(super) links: &'a mut dyn FnMut(LinkSite) -> *const LinkSlot,
    pub(super) state: Clif,
    /// The CLIF block that the function starts with.
    entry: ir::Block,
    constants: FxHashMap<(ir::Block, Type, u64), Clif>,
    pub(super) signatures: Signatures,
    /// For each trap code, from code 1, the guest pc and whether its accesses recover.
    pub(super) fault_pcs: Vec<(u64, bool)>,
    fault_codes: FxHashMap<(u64, bool), TrapCode>,
    fault_pc: u64,
    /// For each block, the guest pc it starts in.
    block_pcs: Vec<Option<u64>>,
    values: Vec<Option<Clif>>,
    /// For values that are flags: where they come from, if not from their own instruction.
    flag_sources: FxHashMap<Value, Value>,
    /// How many operands are each value.
    pub(super) uses: Vec<u32>,
    /// Results whose NaNs are not the guest's yet: the next user repairs them.
    pub(super) unrepaired: FxHashSet<Value>,
    /// 32-bit values known zero-extended.
    wide: FxHashMap<Clif, Clif>,
    /// Differences computed in this block.
    pub(super) differences: FxHashMap<(Clif, Clif), Clif>,
    /// Carries that are made with their sums.
    pub(super) carries: Carries,
    /// Flags computed in this block.
    pub(super) nibbles: FxHashMap<Value, Clif>,
    /// The condition of the block's branch, if the comparison that it is made of has to signal NaNs.
    pub(super) signalling: Option<Value>,
    /// The comparison whose NaNs are left to that edge of the block's branch on which there may be some.
    pub(super) left_to_edge: Option<&'a Inst>,
    /// What is known of values in this block that stand-ins have to do with.
    pub(super) known: stand_ins::Known,
    /// The instructions that others stand for, in the order of their source locations.
    pub(super) stand_ins: Vec<StandIn>,
    /// What has to be executed for the flags that it raises.
    pub(super) raising: Raising,
    pub(super) block: BlockId,
    /// The place of the current instruction in its block.
    pub(super) position: usize,
    blocks: Vec<Option<ir::Block>>,
    variables: Vec<Option<Variable>>,
    /// For places whose value where a loop is entered is needed in it: that.
    pub(super) entry_values: Vec<Option<Variable>>,
    /// For loops, by their numbers in the plan: whether they have gone round, if that is to be told.
    pub(super) signs: Vec<Option<Variable>>,
    /// Where recoveries leave, if there are some.
    pub(super) fault_exit: Option<ir::Block>,
    held: Vec<Held>,
    touched: Vec<PlaceId>,
    pub(super) dirty: PlaceSet,
}

impl<'a, 'b> Lower<'a, 'b> {
    /// Starts in a builder whose function has the region's signature.
    pub(super) fn new(
        region: &'a Region,
        plan: &'a Plan,
        mut b: FunctionBuilder<'b>,
        features: Features,
        links: &'a mut dyn FnMut(LinkSite) -> *const LinkSlot,
    ) -> Self {
        let entry = b.create_block();
        b.append_block_params_for_function_params(entry);
        b.switch_to_block(entry);
        b.seal_block(entry);
        let state = b.block_params(entry)[0];
        let signatures = super::outcall::signatures(&mut b);
        let uses = count_uses(region, plan.order.iter().copied());
        Lower {
            region,
            plan,
            b,
            features,
            links,
            state,
            entry,
            constants: FxHashMap::default(),
            signatures,
            fault_pcs: Vec::new(),
            fault_codes: FxHashMap::default(),
            fault_pc: region.pc,
            block_pcs: vec![None; region.blocks.len()],
            values: vec![None; region.insts.len()],
            flag_sources: FxHashMap::default(),
            uses,
            unrepaired: FxHashSet::default(),
            wide: FxHashMap::default(),
            differences: FxHashMap::default(),
            carries: Carries::of(region, &plan.order),
            nibbles: FxHashMap::default(),
            signalling: None,
            left_to_edge: None,
            known: stand_ins::Known::default(),
            stand_ins: Vec::new(),
            raising: Raising::default(),
            block: BlockId::ENTRY,
            position: 0,
            blocks: vec![None; region.blocks.len()],
            variables: vec![None; plan.places.len()],
            entry_values: vec![None; plan.places.len()],
            signs: vec![None; plan.rounds.count()],
            fault_exit: None,
            held: vec![Held::default(); plan.places.len()],
            touched: Vec::new(),
            dirty: PlaceSet::default(),
        }
    }

    /// Lowers the whole region. `counter` is the address where entries are counted.
    pub(super) fn run(mut self, isa: &dyn TargetIsa, counter: Option<u64>) -> Result<Lowered, CompileError> {
        let plan = self.plan;
        if let Some(count) = counter {
            self.count_entry(count);
        }
        for &block in &plan.order {
            self.blocks[block.index()] = Some(self.b.create_block());
        }
        self.load_live_places();
        self.set_signs(None, BlockId::ENTRY);
        let first = self.clif_block(BlockId::ENTRY);
        self.b.ins().jump(first, &[]);
        self.block_pcs[0] = Some(self.region.pc);
        // A block is sealed when all edges to it exist: where it starts, or at the last edge back to it.
        let mut edges_left = plan.predecessors.clone();
        let mut started = vec![false; self.region.blocks.len()];
        for &id in &plan.order {
            started[id.index()] = true;
            if edges_left[id.index()] == 0 {
                let block = self.clif_block(id);
                self.b.seal_block(block);
            }
            self.block(id)?;
            for to in self.region.block(id).end.successors() {
                edges_left[to.index()] -= 1;
                self.block_pcs[to.index()].get_or_insert(self.fault_pc);
                if edges_left[to.index()] == 0 && started[to.index()] {
                    let to = self.clif_block(to);
                    self.b.seal_block(to);
                }
            }
        }
        if let Some(fault_exit) = self.fault_exit {
            // The runtime knows of the fault, and of its pc.
            self.b.seal_block(fault_exit);
            self.b.set_cold_block(fault_exit);
            self.b.switch_to_block(fault_exit);
            self.leave();
        }
        let heads = self.blocks.iter().copied().flatten().collect();
        self.execute_raising(&heads);
        self.b.finalize(isa.frontend_config());
        Ok(Lowered { fault_pcs: self.fault_pcs, stand_ins: self.stand_ins })
    }

    /// Gives every place that crosses a block border a variable, and those needed at the entry their values.
    fn load_live_places(&mut self) {
        let plan = self.plan;
        let mut crossing = PlaceSet::default();
        plan.order.iter().for_each(|block| crossing.union(&plan.live_in[block.index()]));
        for place in plan.rounds.all_entries().iter() {
            self.entry_values[place] = Some(self.b.declare_var(plan.places[place].ty));
        }
        for place in crossing.iter() {
            let ty = plan.places[place].ty;
            let variable = self.b.declare_var(ty);
            self.variables[place] = Some(variable);
            if plan.live_in[BlockId::ENTRY.index()].contains(place) {
                let value = if plan.is_guest(place) { self.load_place(place) } else { self.zero(ty) };
                self.b.def_var(variable, value);
            }
        }
    }

    pub(super) fn load_place(&mut self, place: PlaceId) -> Clif {
        let place = self.plan.places[place];
        let state = self.state;
        self.b.ins().load(place.ty, MemFlagsData::trusted(), state, place.offset)
    }

    fn clif_block(&self, block: BlockId) -> ir::Block {
        self.blocks[block.index()].expect("a reachable block")
    }

    fn block(&mut self, id: BlockId) -> Result<(), CompileError> {
        let block = self.region.block(id);
        self.block = id;
        let clif = self.clif_block(id);
        self.b.switch_to_block(clif);
        if self.is_cold(id) {
            self.b.set_cold_block(clif);
        }
        self.dirty = self.plan.dirty_in[id.index()];
        self.fault_pc = self.block_pcs[id.index()].unwrap_or(self.region.pc);
        self.forget_block();
        for (position, &value) in block.insts.iter().enumerate() {
            self.position = position;
            self.inst(value)?;
        }
        self.terminator(id);
        Ok(())
    }

    /// Exits are out of the way of the blocks that run more often: of loops, and of what goes on as usual.
    fn is_cold(&self, id: BlockId) -> bool {
        let Terminator::Exit { reason, .. } = self.region.block(id).end else { return false };
        let usual = reason.is_jump() || reason == ExitReason::Syscall || reason == ExitReason::Interrupted;
        id != BlockId::ENTRY && reason != ExitReason::Interrupted && (self.plan.loops.exist() || !usual)
    }

    fn forget_block(&mut self) {
        for place in self.touched.drain(..) {
            self.held[place] = Held::default();
        }
        self.differences.clear();
        self.carries.forget_block();
        self.nibbles.clear();
        self.known = stand_ins::Known::default();
        self.signalling = None;
    }

    fn terminator(&mut self, id: BlockId) {
        match self.region.block(id).end {
            Terminator::Open => unreachable!("an open block in a verified region"),
            Terminator::Jump(to) => {
                self.publish(id);
                let to = self.clif_block(to);
                self.b.ins().jump(to, &[]);
            }
            Terminator::Branch { cond, then, other } => match self.left_to_edge.take() {
                Some(compare) => self.branch_before_nans(id, compare),
                None => {
                    self.publish(id);
                    let to = [then, other].map(|to| self.clif_block(to));
                    self.branch_in_order(id, cond, to);
                }
            },
            Terminator::Exit { reason, pc, argument } => {
                let dirty = self.dirty;
                self.store_places(&dirty);
                self.exit(reason, pc, argument);
            }
        }
    }

    /// Ends block `id` with its branch, to `to` where `cond` holds or does not.
    fn branch_in_order(&mut self, id: BlockId, cond: Value, to: [ir::Block; 2]) {
        let Terminator::Branch { then, other, .. } = self.region.block(id).end else { unreachable!("a branch") };
        // What goes on in the innermost loop is to follow: Cranelift has the second block behind the branch.
        let loops = &self.plan.loops;
        let stays = [then, other].map(|to| !loops.are_left(id, to));
        let follows = stays[0] && (!stays[1] || loops.are_shorter(self.region, id, then, other));
        if follows {
            self.branch_opposite(cond, to[0], to[1]);
        } else {
            self.branch(cond, to[0], to[1]);
        }
    }

    /// Ends block `id` with its branch on a relation that holds for numbers only, and leaves to the other edge what has to
    /// be done where `compare` finds a NaN.
    fn branch_before_nans(&mut self, id: BlockId, compare: &Inst) {
        let Terminator::Branch { cond, then, other } = self.region.block(id).end else { unreachable!("a branch") };
        let edges = [self.b.create_block(), self.b.create_block()];
        self.branch_in_order(id, cond, edges);
        edges.iter().for_each(|&edge| self.b.seal_block(edge));
        self.aside(|this| {
            this.b.switch_to_block(edges[0]);
            this.publish(id);
            let then = this.clif_block(then);
            this.b.ins().jump(then, &[]);
        });
        // Flags that other blocks make of the operands are the same before they are repaired.
        let raw: Vec<(Value, Clif)> = self.left_to(compare).iter().map(|&left| (left, self.value(left))).collect();
        self.b.switch_to_block(edges[1]);
        self.signal_nans(compare);
        self.publish(id);
        let other = self.clif_block(other);
        self.b.ins().jump(other, &[]);
        raw.into_iter().for_each(|(left, raw)| self.set_value(left, raw));
    }

    /// Does what fills a block that does not dominate what follows: what it computes is forgotten.
    pub(super) fn aside(&mut self, fill: impl FnOnce(&mut Self)) {
        let known = (self.held.clone(), self.touched.clone(), self.differences.clone(), self.nibbles.clone());
        fill(self);
        (self.held, self.touched, self.differences, self.nibbles) = known;
    }

    /// Gives the variables what the block changed and its successors need.
    fn publish(&mut self, id: BlockId) {
        let mut live = PlaceSet::default();
        let successors = || self.region.block(id).end.successors();
        successors().for_each(|to| live.union(&self.plan.live_in[to.index()]));
        for place in self.touched.clone() {
            if self.held[place].changed && live.contains(place) && !self.keeps_anything(place) {
                let value = self.whole(place);
                let variable = self.variables[place].expect("a place that is live across blocks has a variable");
                self.b.def_var(variable, value);
            }
        }
        for place in successors().flat_map(|to| self.plan.rounds.entries(id, to).iter()) {
            let value = self.whole(place);
            let variable = self.entry_values[place].expect("a variable for each value that a recovery needs");
            self.b.def_var(variable, value);
        }
        successors().for_each(|to| self.set_signs(Some(id), to));
    }

    /// Says of the loop that an edge leads to the start of, or the way into the region, whether it goes round.
    fn set_signs(&mut self, from: Option<BlockId>, to: BlockId) {
        for (index, goes_round) in self.plan.rounds.signs(from, to) {
            let variable = *self.signs[index].get_or_insert_with(|| self.b.declare_var(I32));
            let sign = self.iconst(I32, u64::from(goes_round));
            self.b.def_var(variable, sign);
        }
    }

    /// Whether it does not matter what the place holds: to give its variable another value than it has would take an
    /// instruction in each round of a loop.
    fn keeps_anything(&self, place: PlaceId) -> bool {
        let held = self.held[place];
        let idle = |flags| !self.matters(flags, self.flags_index(place));
        held.whole.is_none() && held.flags.is_some_and(idle)
    }

    /// Writes those of the dirty places that outlive the region to the state.
    fn store_places(&mut self, dirty: &PlaceSet) {
        self.store_all(&self.plan.to_store(dirty));
    }

    pub(super) fn store_all(&mut self, places: &PlaceSet) {
        for place in places.iter() {
            let held = self.held[place];
            let value = match held.flags {
                // Operands of flags are stored in their own types, and where there are none nothing is.
                Some(flags) if held.whole.is_none() => self.flags_part(flags, self.flags_index(place)),
                _ => Some(self.whole(place)),
            };
            if let Some(value) = value {
                let (state, offset) = (self.state, self.plan.places[place].offset);
                self.b.ins().store(MemFlagsData::trusted(), value, state, offset);
            }
        }
    }

    fn hold(&mut self, place: PlaceId, held: Held) {
        self.touched.push(place);
        self.held[place] = held;
    }

    /// The value of a place in its own type.
    pub(super) fn whole(&mut self, place: PlaceId) -> Clif {
        let held = self.held[place];
        if let Some(value) = held.whole {
            return value;
        }
        let value = if let Some(flags) = held.flags {
            let ty = self.plan.places[place].ty;
            match self.flags_part(flags, self.flags_index(place)) {
                Some(part) => self.zero_extend(part, ty),
                None => self.zero(ty),
            }
        } else if let Some(narrow) = held.narrow {
            self.zero_extend(narrow, self.plan.places[place].ty)
        } else {
            let variable = self.variables[place].expect("a place that is read is live");
            self.b.use_var(variable)
        };
        self.hold(place, Held { whole: Some(value), ..held });
        value
    }

    /// Which of the flags' places a place is.
    fn flags_index(&self, place: PlaceId) -> usize {
        place - self.plan.flags.expect("only the flags' places hold flags")
    }

    fn write_place(&mut self, place: PlaceId, value: Clif) {
        let whole = (self.type_of(value) == self.plan.places[place].ty).then_some(value);
        self.hold(place, Held { narrow: Some(value), whole, flags: None, changed: true });
    }

    /// The low part of a place as type `ty`.
    fn read_place(&mut self, place: PlaceId, ty: Type) -> Clif {
        if let Some(narrow) = self.held[place].narrow {
            let held = self.type_of(narrow);
            if held == ty {
                return narrow;
            }
            if held.is_int() && ty.is_int() && held.bits() > ty.bits() {
                return self.b.ins().ireduce(ty, narrow);
            }
        }
        let whole = self.whole(place);
        self.low_part(whole, ty)
    }

    fn get(&mut self, value: Value, inst: &Inst) {
        let places = self.plan.slot(inst.slot());
        if inst.ty == Ty::Flags {
            return self.get_flags(value, places.first);
        }
        let ty = clif_type(inst.ty);
        let low = |this: &mut Self, ty| this.read_place(places.first, ty);
        let result = match places.layout {
            Layout::Halves if ty.bits() > 64 => {
                let (lo, hi) = (low(self, I64), self.read_place(places.first + 1, I64));
                self.concat(ty, lo, hi)
            }
            Layout::Whole | Layout::Halves | Layout::Low64 | Layout::Low32 | Layout::Flags => low(self, ty),
        };
        self.values[value.index()] = Some(result);
    }

    fn get_flags(&mut self, value: Value, first: PlaceId) {
        let held = self.held[first];
        if let Some(source) = held.flags {
            self.flag_sources.insert(value, source);
            return;
        }
        let parts = [0, 1, 2].map(|part| self.whole(first + part));
        let bits = self.settled_flags(parts);
        self.hold(first, Held { whole: Some(bits), ..held });
        self.values[value.index()] = Some(bits);
    }

    fn set(&mut self, inst: &Inst) {
        let places = self.plan.slot(inst.slot());
        if inst.ty == Ty::Flags {
            let flags = self.flag_source(inst.args[0]);
            for place in places.first..places.first + places.count {
                self.hold(place, Held { narrow: None, whole: None, flags: Some(flags), changed: true });
            }
            return;
        }
        let value = self.value(inst.args[0]);
        let mut rest = places.first + 1;
        if places.layout == Layout::Halves && inst.ty.bits() > 64 {
            let (lo, hi) = self.split(value);
            self.write_place(places.first, lo);
            self.write_place(rest, hi);
            rest += 1;
        } else {
            self.write_place(places.first, value);
        }
        for place in rest..places.first + places.count {
            let zero = self.entry_zero(self.plan.places[place].ty);
            self.write_place(place, zero);
        }
    }

    fn set_low(&mut self, inst: &Inst) {
        let places = self.plan.slot(inst.slot());
        let value = self.value(inst.args[0]);
        let ty = self.plan.places[places.first].ty;
        let value_type = self.type_of(value);
        if value_type.bits() > ty.bits() {
            let (lo, hi) = self.split(value);
            self.write_place(places.first, lo);
            self.write_place(places.first + 1, hi);
        } else if value_type.bits() == ty.bits() {
            self.write_place(places.first, value);
        } else {
            let old = self.whole(places.first);
            let merged = self.replace_low(old, value);
            self.write_place(places.first, merged);
        }
    }

    fn inst(&mut self, value: Value) -> Result<(), CompileError> {
        let inst = self.region.inst(value);
        let recovery = self.plan.recovery(value);
        if self.plan.is_exact_access(inst) && recovery.is_none() {
            let dirty = self.dirty;
            self.store_places(&dirty);
        }
        self.plan.step_dirty(self.region, value, &mut self.dirty);
        match inst.op {
            Op::Get => self.get(value, inst),
            Op::Set => self.set(inst),
            Op::SetLow => self.set_low(inst),
            Op::Insn => self.fault_pc = inst.imm,
            Op::PollPending => self.values[value.index()] = Some(self.poll_pending()),
            Op::Load | Op::LoadZext | Op::LoadSext | Op::AtomicLoad | Op::AtomicRmw | Op::AtomicCas => {
                let flags = self.guest_memory(recovery.is_some())?;
                let access = self.recovering(value, |this| this.load(inst, flags));
                self.values[value.index()] = Some(self.loaded(inst, access));
            }
            Op::Store | Op::AtomicStore => {
                let flags = self.guest_memory(recovery.is_some())?;
                self.recovering(value, |this| this.store(inst, flags));
            }
            Op::Fence => self.fence(inst),
            Op::Prefetch => self.prefetch(inst),
            Op::Call => self.values[value.index()] = Some(self.call_helper(inst)),
            Op::FlagsFcmp => self.compare_for_flags(value, inst),
            Op::FlagsAdd | Op::FlagsAdc | Op::FlagsSub | Op::FlagsSbc | Op::FlagsLogic => (),
            Op::FlagsWithC | Op::FlagsWithV | Op::FlagsFromBits => (),
            Op::Select if inst.ty == Ty::Flags => (),
            // The branch at the end of the block computes it.
            Op::FlagsTest if self.uses[value.index()] == 1 && self.ends_in(value) => (),
            _ => {
                let made = self.pure(value, inst);
                if let Some(result) = made.filter(|_| self.region.raises(inst)) {
                    self.note_raising(result);
                }
                self.values[value.index()] = Some(made.unwrap_or_else(|| self.evaluate(inst)));
            }
        }
        Ok(())
    }

    /// Whether `value` is the condition of the current block's branch.
    pub(super) fn ends_in(&self, value: Value) -> bool {
        matches!(self.region.block(self.block).end, Terminator::Branch { cond, .. } if cond == value)
    }

    /// Makes `clif` what `value` means from here on.
    pub(super) fn set_value(&mut self, value: Value, clif: Clif) {
        self.values[value.index()] = Some(clif);
    }

    /// Whether a place that `inst` reads holds this.
    pub(super) fn reads_held(&self, inst: &Inst, held: Clif) -> bool {
        let mut places = self.plan.reads(inst).iter();
        places.any(|place| [self.held[place].narrow, self.held[place].whole].contains(&Some(held)))
    }

    /// Puts `new` for `old` wherever a place holds it.
    pub(super) fn replace_held(&mut self, old: Clif, new: Clif) {
        for &place in &self.touched {
            let held = &mut self.held[place];
            for value in [&mut held.narrow, &mut held.whole] {
                if *value == Some(old) {
                    *value = Some(new);
                }
            }
        }
    }

    /// The rule for a pure operation, or `None` where this host has none.
    fn pure(&mut self, value: Value, inst: &Inst) -> Option<Clif> {
        match inst.op {
            Op::Fadd | Op::Fsub | Op::Fmul | Op::Fdiv | Op::Fsqrt | Op::FmulAdd => self.arithmetic(value, inst),
            Op::Fmin | Op::Fmax | Op::FminNum | Op::FmaxNum => self.arithmetic(value, inst),
            Op::Const => Some(self.constant(inst.ty, u128::from(inst.imm))),
            Op::WideConst => Some(self.constant(inst.ty, self.region.consts[inst.imm as usize])),
            Op::FlagsTest | Op::FlagsToBits => Some(self.flags_result(inst)),
            Op::FpromoteHalf | Op::FwidenHalf => self.promote_halves(value, inst),
            Op::FdemoteHalf => self.demote_to_halves(inst),
            Op::ClmulLow => self.carry_less_product(inst),
            Op::AesRound | Op::AesLastRound | Op::AesMix => self.aes(inst),
            Op::AesInverseRound | Op::AesInverseLastRound | Op::AesInverseMix => self.aes(inst),
            _ if inst.ty.is_vector() => self.vector(inst),
            _ => self.scalar(inst),
        }
    }

    /// The CLIF value of `value`, which is not flags.
    pub(super) fn value(&self, value: Value) -> Clif {
        self.values[value.index()].unwrap_or_else(|| panic!("{value:?} has no value"))
    }

    /// The CLIF value of `value` if it has one: flags have one when they came out of memory.
    pub(super) fn known_value(&self, value: Value) -> Option<Clif> {
        self.values[value.index()]
    }

    /// The flags that `value` stands for: itself, or those that a slot held.
    pub(super) fn flag_source(&self, value: Value) -> Value {
        self.flag_sources.get(&value).copied().unwrap_or(value)
    }

    /// Operand `index` of `inst`, vectors in its shape.
    pub(super) fn arg(&mut self, inst: &Inst, index: usize) -> Clif {
        let value = self.value(inst.args[index]);
        if self.type_of(value).is_vector() && inst.ty.is_vector() {
            self.cast(value, clif_type(inst.ty))
        } else {
            value
        }
    }

    /// Operand `index` of `inst`, a vector, in a shape.
    pub(super) fn vector_arg(&mut self, inst: &Inst, index: usize, shape: Ty) -> Clif {
        let value = self.value(inst.args[index]);
        self.cast(value, clif_type(shape))
    }

    /// The type of a CLIF value.
    pub(super) fn type_of(&self, value: Clif) -> Type {
        self.b.func.dfg.value_type(value)
    }

    /// What makes a value, if it is an instruction.
    pub(super) fn opcode(&self, value: Clif) -> Option<Opcode> {
        let value = self.b.func.dfg.resolve_aliases(value);
        self.b.func.dfg.value_def(value).inst().map(|inst| self.b.func.dfg.insts[inst].opcode())
    }

    /// What makes a value, if it is an instruction of the current CLIF block.
    pub(super) fn opcode_here(&self, value: Clif) -> Option<Opcode> {
        match self.b.func.dfg.value_def(value) {
            ValueDef::Result(inst, _) if self.b.func.layout.inst_block(inst) == self.b.current_block() => {
                Some(self.b.func.dfg.insts[inst].opcode())
            }
            _ => None,
        }
    }

    /// What a value made by `bitcast` was made of.
    pub(super) fn cast_source(&self, value: Clif) -> Clif {
        let inst = self.b.func.dfg.value_def(value).unwrap_inst();
        self.b.func.dfg.resolve_aliases(self.b.func.dfg.inst_args(inst)[0])
    }

    /// What `usual` makes, or, where it is `unusual`, what `make` does, as many of the same types, in a cold block.
    pub(super) fn or_in_cold_block(
        &mut self,
        unusual: Unusual,
        when: Usual,
        usual: impl FnOnce(&mut Self) -> Vec<Clif>,
        make: impl FnOnce(&mut Self) -> Vec<Clif>,
    ) -> Vec<Clif> {
        let args = |values: &[Clif]| values.iter().map(|&value| BlockArg::Value(value)).collect::<Vec<_>>();
        let (cold, join) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(cold);
        let (Unusual::Where(condition) | Unusual::Perhaps(condition, _)) = unusual;
        let values = match when {
            Usual::Always => {
                let values = usual(self);
                self.b.ins().brif(condition, cold, &[], join, &args(&values));
                values
            }
            Usual::Otherwise => {
                let block = self.b.create_block();
                self.b.ins().brif(condition, cold, &[], block, &[]);
                self.b.seal_block(block);
                self.b.switch_to_block(block);
                let values = usual(self);
                self.b.ins().jump(join, &args(&values));
                values
            }
        };
        let types: Vec<Type> = values.iter().map(|&value| self.type_of(value)).collect();
        let results = types.iter().map(|&ty| self.b.append_block_param(join, ty)).collect();
        self.b.seal_block(cold);
        self.b.switch_to_block(cold);
        if let Unusual::Perhaps(_, result) = unusual {
            let certainly = self.is_smallest_or_nan(result, true);
            let (made, join_args) = (self.b.create_block(), args(&values));
            self.b.set_cold_block(made);
            self.b.ins().brif(certainly, made, &[], join, &join_args);
            self.b.seal_block(made);
            self.b.switch_to_block(made);
        }
        let made = make(self).into_iter().zip(types).map(|(value, ty)| self.cast(value, ty)).collect::<Vec<_>>();
        self.b.ins().jump(join, &args(&made));
        self.b.seal_block(join);
        self.b.switch_to_block(join);
        results
    }

    /// The flags of accesses to guest memory by the current guest instruction.
    fn guest_memory(&mut self, recovers: bool) -> Result<MemFlagsData, CompileError> {
        let code = match self.fault_codes.get(&(self.fault_pc, recovers)) {
            Some(&code) => code,
            None if self.fault_pcs.len() == MAX_FAULT_CODES => return Err(CompileError::TooManyFaults),
            None => {
                self.fault_pcs.push((self.fault_pc, recovers));
                let code = TrapCode::unwrap_user(self.fault_pcs.len() as u8);
                self.fault_codes.insert((self.fault_pc, recovers), code);
                code
            }
        };
        Ok(MemFlagsData::new().with_trap_code(Some(code)))
    }

    /// Remembers that `wide` is `narrow` zero-extended to 64 bits.
    pub(super) fn remember_wide(&mut self, narrow: Clif, wide: Clif) {
        self.wide.insert(narrow, wide);
    }

    /// A constant of a value type.
    pub(super) fn constant(&mut self, ty: Ty, bits: u128) -> Clif {
        let ty = clif_type(ty.value());
        match ty {
            F32 => self.b.ins().f32const(ir::immediates::Ieee32::with_bits(bits as u32)),
            F64 => self.b.ins().f64const(ir::immediates::Ieee64::with_bits(bits as u64)),
            I128 => {
                let (lo, hi) = (self.iconst(I64, bits as u64), self.iconst(I64, (bits >> 64) as u64));
                self.b.ins().iconcat(lo, hi)
            }
            I8X16 => self.vector_constant(bits),
            _ => self.iconst(ty, bits as u64),
        }
    }

    /// The integer 0 made at the function's entry: where all that meet in a block are it, no value is needed there.
    fn entry_zero(&mut self, ty: Type) -> Clif {
        let (entry, func) = (self.entry, &mut *self.b.func);
        let make = || FuncCursor::new(func).at_first_insertion_point(entry).ins().iconst(ty, 0);
        *self.constants.entry((entry, ty, 0)).or_insert_with(make)
    }

    /// What lies at `offset` of the state and never changes, loaded at the function's entry.
    pub(super) fn entry_load(&mut self, ty: Type, offset: i32) -> Clif {
        let (entry, state, func) = (self.entry, self.state, &mut *self.b.func);
        let make = || {
            let mut cursor = FuncCursor::new(func).at_first_insertion_point(entry);
            cursor.ins().load(ty, MemFlagsData::trusted(), state, offset)
        };
        *self.constants.entry((entry, ty, offset as u64)).or_insert_with(make)
    }

    /// A vector constant, as `I8X16`.
    pub(super) fn vector_constant(&mut self, bits: u128) -> Clif {
        let constant = self.b.func.dfg.constants.insert(bits.to_le_bytes().to_vec().into());
        self.b.ins().vconst(I8X16, constant)
    }

    /// An integer constant of up to 64 bits, made once in each CLIF block.
    pub(super) fn iconst(&mut self, ty: Type, bits: u64) -> Clif {
        let bits = bits & (u64::MAX >> (64 - ty.bits()));
        let block = self.b.current_block().expect("a block is being filled");
        let b = &mut self.b;
        *self.constants.entry((block, ty, bits)).or_insert_with(|| b.ins().iconst(ty, bits as i64))
    }

    /// An address that outlives the code.
    pub(super) fn address(&mut self, address: u64) -> Clif {
        self.iconst(I64, address)
    }

    /// All bits clear.
    pub(super) fn zero(&mut self, ty: Type) -> Clif {
        match ty {
            F32 => self.constant(Ty::F32, 0),
            F64 => self.constant(Ty::F64, 0),
            I128 => self.constant(Ty::I128, 0),
            _ if ty.is_vector() => {
                let zero = self.vector_constant(0);
                self.cast(zero, ty)
            }
            _ => self.iconst(ty, 0),
        }
    }

    /// The same bits in another type of the same width; not between vectors and `I128`.
    pub(super) fn cast(&mut self, value: Clif, ty: Type) -> Clif {
        if self.type_of(value) == ty {
            return value;
        }
        self.b.ins().bitcast(ty, MemFlagsData::new().with_endianness(Endianness::Little), value)
    }

    /// A 128-bit value of two halves.
    pub(super) fn concat(&mut self, ty: Type, lo: Clif, hi: Clif) -> Clif {
        if ty == I128 {
            return self.b.ins().iconcat(lo, hi);
        }
        let low = self.b.ins().scalar_to_vector(I64X2, lo);
        self.b.ins().insertlane(low, hi, 1)
    }

    /// The two halves of a 128-bit value.
    pub(super) fn split(&mut self, value: Clif) -> (Clif, Clif) {
        if self.type_of(value) == I128 {
            return self.b.ins().isplit(value);
        }
        let lanes = self.cast(value, I64X2);
        (self.b.ins().extractlane(lanes, 0), self.b.ins().extractlane(lanes, 1))
    }

    /// The integer of the same width as a scalar.
    pub(super) fn as_int(&mut self, value: Clif) -> Clif {
        let ty = self.type_of(value);
        self.cast(value, if ty.is_float() { Type::int(ty.bits() as u16).expect("a scalar") } else { ty })
    }

    /// `value`'s bits, zero-extended to the type `ty`, which is not narrower.
    pub(super) fn zero_extend(&mut self, value: Clif, ty: Type) -> Clif {
        let from = self.type_of(value);
        if from == ty || from.is_vector() && ty.is_vector() {
            return self.cast(value, ty);
        }
        if from.is_vector() || from == I128 {
            let (lo, hi) = self.split(value);
            return self.concat(ty, lo, hi);
        }
        if ty.is_vector() {
            return self.scalar_to_vector(value, ty);
        }
        let bits = self.as_int(value);
        let int = Type::int(ty.bits() as u16).expect("a scalar");
        let extended = self.extend_int(bits, int);
        self.cast(extended, ty)
    }

    fn extend_int(&mut self, value: Clif, ty: Type) -> Clif {
        match self.wide.get(&value) {
            _ if self.type_of(value) == ty => value,
            Some(&wide) if ty == I64 => wide,
            Some(_) | None => self.b.ins().uextend(ty, value),
        }
    }

    /// A vector of a scalar with zeroes above.
    fn scalar_to_vector(&mut self, value: Clif, ty: Type) -> Clif {
        let value = match self.type_of(value) {
            types::I8 | types::I16 => self.extend_int(value, I32),
            _ => value,
        };
        let vector = self.type_of(value).by(128 / self.type_of(value).bits()).expect("a shape of scalars");
        let vector = self.b.ins().scalar_to_vector(vector, value);
        self.cast(vector, ty)
    }

    /// The low bits of `value` as a type that is not wider.
    pub(super) fn low_part(&mut self, value: Clif, ty: Type) -> Clif {
        let from = self.type_of(value);
        if from.bits() == ty.bits() && from.is_vector() == ty.is_vector() {
            return self.cast(value, ty);
        }
        if from.bits() < ty.bits() {
            return self.zero_extend(value, ty);
        }
        if ty.bits() == 128 || from == I128 {
            let (lo, hi) = self.split(value);
            return if ty.bits() == 128 { self.concat(ty, lo, hi) } else { self.low_part(lo, ty) };
        }
        if from.is_vector() {
            let shape = match ty {
                F32 => F32X4,
                F64 => F64X2,
                I64 => I64X2,
                _ => I32X4,
            };
            let lanes = self.cast(value, shape);
            let lane = self.b.ins().extractlane(lanes, 0);
            return self.low_part(lane, ty);
        }
        let bits = self.as_int(value);
        if let Some(int) = Type::int(ty.bits() as u16).filter(|&int| int != self.type_of(bits)) {
            let low = self.b.ins().ireduce(int, bits);
            return self.cast(low, ty);
        }
        self.cast(bits, ty)
    }

    /// `old` with its low bits replaced by `value`, which is narrower.
    fn replace_low(&mut self, old: Clif, value: Clif) -> Clif {
        let (whole, part) = (self.type_of(old), self.type_of(value));
        if whole.is_vector() {
            let shape = part.by(128 / part.bits()).expect("a shape of scalars");
            let lanes = self.cast(old, shape);
            return self.b.ins().insertlane(lanes, value, 0);
        }
        let (old, value) = (self.as_int(old), self.as_int(value));
        let int = self.type_of(old);
        let mask = self.iconst(int, u64::MAX << part.bits());
        let high = self.b.ins().band(old, mask);
        let low = self.extend_int(value, int);
        let merged = self.b.ins().bor(high, low);
        self.cast(merged, whole)
    }

    /// A truth value that is never 0 or always 0, where known.
    pub(super) fn bool_constant(&mut self, value: bool) -> Clif {
        self.iconst(I8, u64::from(value))
    }

    /// Compares with a constant.
    pub(super) fn compare_with(&mut self, cond: IntCC, value: Clif, bits: u64) -> Clif {
        let constant = self.iconst(self.type_of(value), bits);
        self.b.ins().icmp(cond, value, constant)
    }
}
