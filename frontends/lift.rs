//! From addresses to a region: one body after another; where control can go about inside ([`crate::graph`]), after
//! discovery of what belongs to it.
//!
//! A guest's folder implements [`Guest`]; its bodies say what an instruction means to a [`Lift`], which knows where control
//! can go inside the region, and puts a poll on every edge that goes back, so that every cycle has one. What a body says is
//! appended to a region or executed at once ([`crate::execute`]). So, whoever listens:
//!
//! - It writes guest registers only after its last access that can fault: at a fault the state is the one before the
//!   instruction.
//! - It finds its operands reserved before it writes anything.
//! - Blocks come in an order that control can take, and one that goes back polls first, where it can start again.

use crate::graph::{self, Wanted};
use crate::{Changes, Coverage, Fetch, Run, Shape};
use philae_ir::now::Now;
use philae_ir::{
    Append, BlockId, Builder, Effect, ExitReason, FlowHint, Helper, IntCond, Pc, Region, RegionBuilder, Sink,
    Terminator, Ty, Value,
};
use std::ops::ControlFlow;

/// Where control can go after an instruction, as far as its bytes tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// To the next instruction.
    Next,
    /// To one known address.
    Jump(u64),
    /// To a known address or to the next instruction.
    Branch(u64),
    /// To a known address, from where a return comes back to the next instruction.
    Call(u64),
    /// Back to where the function was called.
    Return,
    /// To a computed address.
    Computed,
    /// Out of the region: system calls, traps.
    Leave,
}

/// What a decoder says of some bytes.
#[derive(Clone, Copy, Debug)]
pub enum Decoded<I> {
    /// An instruction.
    Insn {
        /// What the guest's `lift` wants to know of it.
        insn: I,
        /// Its length in bytes.
        length: u8,
        /// Where control goes.
        flow: Flow,
    },
    /// No instruction of this guest.
    Undefined,
    /// More bytes are needed.
    Truncated,
}

/// Why an instruction has no meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LiftError {
    /// It decodes but has no body yet, or its operands are reserved.
    Undefined,
}

/// A guest's decoder and bodies.
pub trait Guest {
    /// A decoded instruction.
    type Insn: Copy;
    /// The longest instruction in bytes.
    const MAX_LENGTH: usize;

    /// What decodes one instruction after another.
    type Decoder<'c>;

    /// A decoder of `code`, which lies at `pc`.
    fn decoder(pc: u64, code: &[u8]) -> Self::Decoder<'_>;

    /// Decodes the next instruction: the one after the last, which must have been one.
    fn decode_next(decoder: &mut Self::Decoder<'_>) -> Decoded<Self::Insn>;

    /// Decodes the instruction at the start of `code`, which lies at `pc`.
    fn decode(pc: u64, code: &[u8]) -> Decoded<Self::Insn> {
        Self::decode_next(&mut Self::decoder(pc, code))
    }

    /// The address of the pointer that the last of these instructions jumps through, if they are what linkers make for calls
    /// of other files' functions.
    fn jump_pointer(run: &[(u64, Self::Insn)]) -> Option<u64>;

    /// Appends the instruction's meaning. It may close the current block, through the methods of [`Lift`] that
    /// transfer control; if it does not, control goes to the next instruction.
    fn lift(insn: &Self::Insn, lift: &mut RegionLift<'_>) -> Result<(), LiftError>;

    /// The same for an instruction that branches to registers may go to: [`Lift::arrive`].
    fn lift_arrival(insn: &Self::Insn, lift: &mut RegionLift<'_>) -> Result<(), LiftError> {
        Self::lift(insn, lift)
    }

    /// Does what [`Guest::lift`] would append.
    fn execute(insn: &Self::Insn, lift: &mut Lift<Now<'_>>) -> Result<(), LiftError>;

    /// Does what [`Guest::lift_arrival`] would append.
    fn execute_arrival(insn: &Self::Insn, lift: &mut Lift<Now<'_>>) -> Result<(), LiftError> {
        Self::execute(insn, lift)
    }
}

/// How control comes to an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Arrival {
    /// From the one before or by a direct branch.
    #[default]
    Known,
    /// Perhaps by a branch to a register.
    Any,
}

/// A region being lifted: the builder, the current instruction's place, and the region's own addresses.
pub struct Lift<'a, S> {
    /// What bodies say their operations to.
    pub b: Builder<S>,
    /// The address of the current instruction.
    pub pc: u64,
    /// The address after it.
    pub next: u64,
    /// Where control can go inside the region from here.
    ways: Ways<'a>,
    arrival: Arrival,
}

/// Where control can go inside a region.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ways<'a> {
    /// Jumps, by address.
    pub(crate) blocks: &'a [(u64, BlockId)],
    /// Calls, by the address of the call.
    pub(crate) calls: &'a [(u64, BlockId)],
    /// The return, to this address.
    pub(crate) back: Option<(u64, BlockId)>,
    /// Jumps to computed addresses, by address: where they are expected to go.
    pub(crate) expected: &'a [(u64, u64)],
}

/// One that appends to a region.
pub type RegionLift<'a> = Lift<'a, Append<'a>>;

impl<'a, S: Sink> Lift<'a, S> {
    /// For what starts at `pc`.
    pub(crate) fn new(b: Builder<S>, pc: u64) -> Lift<'a, S> {
        Lift { b, pc, next: pc, ways: Ways::default(), arrival: Arrival::Known }
    }

    /// The instruction that comes next may be the target of a branch to a register.
    pub(crate) fn arrive(&mut self) {
        self.arrival = Arrival::Any;
    }

    /// What is appended from here on goes these ways.
    pub(crate) fn set_ways(&mut self, ways: Ways<'a>) {
        self.ways = ways;
    }

    /// Goes on at a known address, inside the region or out of it.
    pub fn go(&mut self, target: u64) {
        let block = self.edge(target, ExitReason::Jump);
        self.b.jump(block);
    }

    /// Calls a known address; the body has stored the return address. A call that stays in the region needs no poll:
    /// a function is taken in at one call after another, and what it returns to is ahead of the call.
    pub fn call(&mut self, target: u64) {
        let inside = find(self.ways.calls, self.pc);
        let block = inside.unwrap_or_else(|| self.edge(target, ExitReason::Call));
        self.b.jump(block);
    }

    /// Goes to a known address if `cond` is 1, else on to the next instruction.
    pub fn go_if(&mut self, cond: Value, target: u64) {
        let taken = self.edge(target, ExitReason::Jump);
        let next = self.edge(self.next, ExitReason::Jump);
        self.b.branch(cond, taken, next);
    }

    /// Goes to an address that is only known when the guest gets here, and may be expected.
    pub fn go_indirect(&mut self, target: Value, hint: FlowHint) {
        if let (FlowHint::Return, Some((back, block))) = (hint, self.ways.back) {
            let elsewhere = self.b.new_block();
            let expected = self.b.icmp_imm(Ty::I64, IntCond::Eq, target, back);
            self.b.branch(expected, block, elsewhere);
            self.b.switch_to(elsewhere);
        }
        if let Some(expected) = find(self.ways.expected, self.pc) {
            let there = self.edge(expected, ExitReason::Jump);
            let elsewhere = self.b.new_block();
            let as_expected = self.b.icmp_imm(Ty::I64, IntCond::Eq, target, expected);
            self.b.branch(as_expected, there, elsewhere);
            self.b.switch_to(elsewhere);
        }
        self.b.exit(ExitReason::from_hint(hint), Pc::Dynamic(target), Value::NONE);
    }

    /// What the runtime's own instruction calls, if this is its page.
    pub fn runtime_call(&self) -> Option<&'static Helper> {
        let page = self.b.region().runtime_page.as_ref()?;
        page.range.contains(&self.pc).then_some(page.call)
    }

    /// Leaves the region for a reason, to go on at `pc`.
    pub fn leave(&mut self, reason: ExitReason, pc: u64) {
        self.b.exit(reason, Pc::Const(pc), Value::NONE);
    }

    /// Leaves the region for a reason with an argument.
    pub fn leave_with(&mut self, reason: ExitReason, pc: u64, argument: Value) {
        self.b.exit(reason, Pc::Const(pc), argument);
    }

    /// Leaves the region at `at`, where there is no instruction.
    pub(crate) fn leave_at_end<I>(&mut self, at: u64, found: &Found<I>) {
        match found.decoded {
            Decoded::Insn { .. } | Decoded::Undefined => self.leave(ExitReason::Undefined, at),
            Decoded::Truncated => {
                let address = self.b.c64(at.wrapping_add(found.fetched as u64));
                self.leave_with(ExitReason::FetchFault, at, address);
            }
        }
    }

    /// Leaves the region for `reason` at the current instruction if `cond` is 1, else stays: the current block
    /// is then one where it was 0.
    pub fn leave_if(&mut self, cond: Value, reason: ExitReason, argument: Value) {
        let leave = self.b.new_block();
        let stay = self.b.new_block();
        self.b.branch(cond, leave, stay);
        self.b.switch_to(leave);
        self.leave_with(reason, self.pc, argument);
        self.b.switch_to(stay);
    }

    /// The block that stands for going to `target` from the current instruction: polled if that is not forward.
    fn edge(&mut self, target: u64, reason: ExitReason) -> BlockId {
        let inside = if reason == ExitReason::Jump { find(self.ways.blocks, target) } else { None };
        let backward = target <= self.pc;
        if let (Some(block), false) = (inside, backward) {
            return block;
        }
        let here = self.b.current();
        let edge = self.b.new_block();
        self.b.switch_to(edge);
        if backward && S::POLLS {
            self.poll(target);
        }
        match inside {
            Some(block) => self.b.jump(block),
            None => self.b.exit(reason, Pc::Const(target), Value::NONE),
        }
        self.b.switch_to(here);
        edge
    }

    /// The block of this region that the instruction after the current one starts.
    pub(crate) fn next_block(&self) -> Option<BlockId> {
        find(self.ways.blocks, self.next)
    }

    /// Leaves the region, to go on at `pc`, if someone asks the thread to; bodies that loop by themselves poll so too.
    pub fn poll(&mut self, pc: u64) {
        let pending = self.b.poll_pending();
        let leave = self.b.new_block();
        let stay = self.b.new_block();
        self.b.branch(pending, leave, stay);
        self.b.switch_to(leave);
        self.leave(ExitReason::Interrupted, pc);
        self.b.switch_to(stay);
    }
}

/// What an address leads to, out of a sorted list.
fn find<T: Copy>(ways: &[(u64, T)], pc: u64) -> Option<T> {
    let place = ways.binary_search_by_key(&pc, |&(pc, _)| pc).ok()?;
    Some(ways[place].1)
}

/// Bytes of code that are fetched at once: as many as most blocks have, of a cold line or two.
const WINDOW: usize = 64;

/// What was found at an address.
pub(crate) struct Found<I> {
    pub(crate) decoded: Decoded<I>,
    /// How many bytes could be fetched, up to the length of the longest instruction.
    pub(crate) fetched: usize,
}

/// Lifts what this shape describes at the address of `region`, which is empty.
pub(crate) fn lift<G: Guest>(region: &mut Region, shape: Shape<'_>, fetch: Fetch<'_>) -> Coverage {
    match shape {
        Shape::Instruction => straight::<G>(region, 1, fetch, |_, _| false).into(),
        Shape::Block { limit, changes } => block::<G>(region, limit, changes, fetch).into(),
        Shape::Graph { limit, wanted, called, ends, pointer, went } => {
            graph::lift::<G>(region, limit, Wanted { wanted, called, ends, pointer, went }, fetch)
        }
    }
}

/// Lifts a [`Shape::Block`] at the address of `region`, which is empty.
pub(crate) fn block<G: Guest>(region: &mut Region, limit: usize, changes: Changes, fetch: Fetch<'_>) -> Run {
    match changes {
        Changes::Announced => straight::<G>(region, limit, fetch, |_, _| false),
        Changes::AtOnce => straight::<G>(region, limit, fetch, ends_with_write),
        Changes::Unannounced => guarded::<G>(region, limit, fetch),
    }
}

/// Hands instructions to `visit`, from the one at `pc` on, until it wants no more or comes to what is none.
pub(crate) fn decode_run<G: Guest>(
    mut pc: u64,
    fetch: Fetch<'_>,
    mut visit: impl FnMut(u64, Found<G::Insn>) -> ControlFlow<()>,
) {
    let mut window = [0; WINDOW];
    loop {
        let length = fetch(pc, &mut window);
        let mut decoder = G::decoder(pc, &window[..length]);
        let mut at = 0;
        while at == 0 || length < WINDOW || at + G::MAX_LENGTH <= WINDOW {
            let decoded = G::decode_next(&mut decoder);
            let found = Found { decoded, fetched: (length - at).min(G::MAX_LENGTH) };
            let Decoded::Insn { length, .. } = decoded else {
                let _ = visit(pc, found);
                return;
            };
            if visit(pc, found).is_break() {
                return;
            }
            pc = pc.wrapping_add(u64::from(length));
            at += usize::from(length);
        }
    }
}

/// A run of instructions, one block. It goes to itself by leaving: whoever runs it wants to count how often.
fn straight<G: Guest>(
    region: &mut Region,
    limit: usize,
    fetch: Fetch<'_>,
    is_last: impl Fn(&Region, usize) -> bool,
) -> Run {
    let pc = region.pc;
    let mut lift = Lift::new(RegionBuilder::new(region), pc);
    run::<G>(&mut lift, limit, fetch, is_last)
}

/// Appends a run of instructions up to a transfer of control, or one of whose operations, which start at the given
/// place of the region, `is_last` says so.
fn run<G: Guest>(
    lift: &mut RegionLift<'_>,
    limit: usize,
    fetch: Fetch<'_>,
    is_last: impl Fn(&Region, usize) -> bool,
) -> Run {
    let pc = lift.pc;
    let (mut end, mut instructions) = (pc, 0);
    lift.arrive();
    decode_run::<G>(pc, fetch, |at, found| {
        instructions += 1;
        end = at.wrapping_add(found.length());
        let first = lift.b.sink.region.insts.len();
        append::<G>(lift, at, &found)?;
        if found.flow() == Flow::Next && instructions < limit && !is_last(lift.b.region(), first) {
            return ControlFlow::Continue(());
        }
        lift.leave(ExitReason::Jump, lift.next);
        ControlFlow::Break(())
    });
    Run { instructions, range: pc..end }
}

/// A block that the guest may change unannounced: see [`Changes::Unannounced`].
fn guarded<G: Guest>(region: &mut Region, limit: usize, fetch: Fetch<'_>) -> Run {
    let pc = region.pc;
    let mut bytes = Vec::new();
    let mut recorded = |at: u64, buffer: &mut [u8]| {
        let length = fetch(at, buffer);
        bytes.truncate(at.wrapping_sub(pc) as usize);
        bytes.extend_from_slice(&buffer[..length]);
        length
    };
    let mut b = RegionBuilder::new(region);
    let (entry, body) = (b.current(), b.new_block());
    b.switch_to(body);
    let mut lift = Lift::new(b, pc);
    let whole = run::<G>(&mut lift, limit, &mut recorded, ends_with_write);
    bytes.truncate(whole.range.end.wrapping_sub(pc) as usize);
    lift.b.switch_to(entry);
    lift.pc = pc;
    guard(&mut lift.b, pc, &bytes);
    whole
}

/// Ends the entry: leaves if the bytes at `pc` are not these any more, else goes on behind it.
fn guard(b: &mut RegionBuilder<'_>, pc: u64, bytes: &[u8]) {
    b.insn(pc, 0);
    let here = b.c64(pc);
    let (ty, size) = match bytes.len() {
        8.. => (Ty::I64, 8),
        4.. => (Ty::I32, 4),
        2.. => (Ty::I16, 2),
        _ => (Ty::I8, 1),
    };
    let mut differences = None;
    let pieces = bytes.len().div_ceil(size);
    for number in 0..pieces {
        // The last may overlap the one before.
        let at = (number * size).min(bytes.len() - size);
        let old = bytes[at..at + size].iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
        let now = b.load(ty, here, at as i64);
        let old = b.iconst(ty, old);
        let difference = b.xor(ty, now, old);
        differences = Some(differences.map_or(difference, |others| b.or(ty, others, difference)));
    }
    let differences = differences.unwrap_or_else(|| b.iconst(ty, 0));
    let changed = b.icmp_imm(ty, IntCond::Ne, differences, 0);
    let (body, leave) = (BlockId(BlockId::ENTRY.0 + 1), b.new_block());
    b.branch(changed, leave, body);
    b.switch_to(leave);
    b.exit(ExitReason::StaleCode, Pc::Const(pc), here);
}

/// Whether an instruction whose operations start here may have written to memory.
fn ends_with_write(region: &Region, first: usize) -> bool {
    region.insts[first..].iter().any(|inst| match inst.op.info().effect {
        Effect::Store | Effect::Atomic => true,
        Effect::Pure | Effect::Marker | Effect::ReadSlot | Effect::WriteSlot | Effect::Helper => false,
        Effect::Load | Effect::Poll | Effect::Fence | Effect::Hint => false,
    })
}

/// Appends what was found at `at`; breaks if the block has ended with it.
pub(crate) fn append<G: Guest>(lift: &mut RegionLift<'_>, at: u64, found: &Found<G::Insn>) -> ControlFlow<()> {
    lift.pc = at;
    match &found.decoded {
        Decoded::Insn { insn, length, .. } => {
            lift.next = at.wrapping_add(u64::from(*length));
            if lift_one::<G>(lift, insn, *length).is_err() {
                lift.leave(ExitReason::Undefined, at);
            }
        }
        Decoded::Undefined | Decoded::Truncated => lift.leave_at_end(at, found),
    }
    if lift.b.is_closed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// Appends one instruction, or leaves the region as it was.
fn lift_one<G: Guest>(lift: &mut RegionLift<'_>, insn: &G::Insn, length: u8) -> Result<(), LiftError> {
    let block = lift.b.current();
    let blocks = lift.b.sink.region.blocks.len();
    let insts = lift.b.sink.region.insts.len();
    let in_block = lift.b.sink.region.block(block).insts.len();
    lift.b.insn(lift.pc, length);
    let lifted = match std::mem::take(&mut lift.arrival) {
        Arrival::Known => G::lift(insn, lift),
        Arrival::Any => G::lift_arrival(insn, lift),
    };
    if lifted.is_err() {
        forget(&mut lift.b, block, Sizes { blocks, insts, in_block });
    }
    lifted
}

/// How much there was before an instruction that cannot be lifted.
struct Sizes {
    blocks: usize,
    insts: usize,
    in_block: usize,
}

/// Takes back what came after `before`, when `block` was the current one.
#[cold]
#[inline(never)]
fn forget(b: &mut RegionBuilder<'_>, block: BlockId, before: Sizes) {
    b.sink.region.insts.truncate(before.insts);
    b.sink.region.blocks.truncate(before.blocks);
    b.sink.region.blocks[block.index()].insts.truncate(before.in_block);
    b.sink.region.blocks[block.index()].end = Terminator::Open;
    b.forget();
    b.switch_to(block);
}

impl<I> Found<I> {
    /// How many bytes decided what was found.
    pub(crate) fn length(&self) -> u64 {
        match self.decoded {
            Decoded::Insn { length, .. } => u64::from(length),
            Decoded::Undefined | Decoded::Truncated => self.fetched as u64,
        }
    }

    /// Where control goes from here.
    pub(crate) fn flow(&self) -> Flow {
        match self.decoded {
            Decoded::Insn { flow, .. } => flow,
            Decoded::Undefined | Decoded::Truncated => Flow::Leave,
        }
    }
}
