//! From addresses to a region: discovery of the instructions, then one body after another.
//!
//! A guest's folder implements [`Guest`]; its bodies append to a [`Lift`], which knows where control can go
//! inside the region, and puts a poll on every edge that goes back, so that every cycle has one.
//! A body writes guest registers only after its last access that can fault: at a fault the state is the one before the instruction.

use crate::{Coverage, Fetch, Shape};
use philae_ir::{Arch, BlockId, Builder, ExitReason, FlowHint, Pc, Region, Value};
use std::collections::{BTreeMap, HashMap};

/// Where control can go after an instruction, as far as its bytes tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// To the next instruction.
    Next,
    /// To one known address.
    Jump(u64),
    /// To a known address or to the next instruction.
    Branch(u64),
    /// Out of the region: calls, indirect branches, system calls, traps.
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

/// Why an instruction was not lifted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LiftError {
    /// It decodes but has no body yet, or its operands are reserved.
    Undefined,
}

/// A guest's decoder and bodies.
pub trait Guest {
    /// A decoded instruction.
    type Insn: Copy;
    /// Which guest.
    const ARCH: Arch;
    /// The longest instruction in bytes.
    const MAX_LENGTH: usize;

    /// Decodes the instruction at the start of `bytes`, which lie at `pc`.
    fn decode(pc: u64, bytes: &[u8]) -> Decoded<Self::Insn>;

    /// Appends the instruction's meaning. It may close the current block, through the methods of [`Lift`] that
    /// transfer control; if it does not, control goes to the next instruction.
    fn lift(insn: &Self::Insn, lift: &mut Lift<'_>) -> Result<(), LiftError>;
}

/// A region being lifted: the builder, the current instruction's place, and the region's own addresses.
pub struct Lift<'a> {
    /// Where bodies append.
    pub b: Builder<'a>,
    /// The address of the current instruction.
    pub pc: u64,
    /// The address after it.
    pub next: u64,
    blocks: &'a HashMap<u64, BlockId>,
}

impl Lift<'_> {
    /// Goes on at a known address, inside the region or out of it.
    pub fn go(&mut self, target: u64) {
        let block = self.edge(target, ExitReason::Jump);
        self.b.jump(block);
    }

    /// Calls a known address; the body has stored the return address.
    pub fn call(&mut self, target: u64) {
        let block = self.edge(target, ExitReason::Call);
        self.b.jump(block);
    }

    /// Goes to a known address if `cond` is 1, else on to the next instruction.
    pub fn go_if(&mut self, cond: Value, target: u64) {
        let taken = self.edge(target, ExitReason::Jump);
        let next = self.edge(self.next, ExitReason::Jump);
        self.b.branch(cond, taken, next);
    }

    /// Goes to an address that is only known when the guest gets here.
    pub fn go_indirect(&mut self, target: Value, hint: FlowHint) {
        self.b.exit(ExitReason::from_hint(hint), Pc::Dynamic(target), Value::NONE);
    }

    /// Leaves the region for a reason, to go on at `pc`.
    pub fn leave(&mut self, reason: ExitReason, pc: u64) {
        self.b.exit(reason, Pc::Const(pc), Value::NONE);
    }

    /// Leaves the region for a reason with an argument.
    pub fn leave_with(&mut self, reason: ExitReason, pc: u64, argument: Value) {
        self.b.exit(reason, Pc::Const(pc), argument);
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
        let inside = if reason == ExitReason::Jump { self.blocks.get(&target).copied() } else { None };
        let backward = target <= self.pc;
        if let (Some(block), false) = (inside, backward) {
            return block;
        }
        let here = self.b.current();
        let edge = self.b.new_block();
        self.b.switch_to(edge);
        if backward {
            self.poll(target);
        }
        match inside {
            Some(block) => self.b.jump(block),
            None => self.b.exit(reason, Pc::Const(target), Value::NONE),
        }
        self.b.switch_to(here);
        edge
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

/// What discovery found at an address.
struct Found<I> {
    decoded: Decoded<I>,
    /// How many bytes could be fetched.
    fetched: usize,
}

/// Lifts the region of this shape at `pc`.
pub(crate) fn lift<G: Guest>(pc: u64, shape: Shape<'_>, fetch: Fetch<'_>) -> (Region, Coverage) {
    let (found, leaders) = discover::<G>(pc, shape, fetch);
    let mut region = Region::new(G::ARCH, pc);
    let mut blocks = HashMap::new();
    let mut builder = Builder::new(&mut region);
    blocks.insert(pc, BlockId::ENTRY);
    for &leader in leaders.iter().filter(|&&leader| leader != pc) {
        blocks.insert(leader, builder.new_block());
    }
    // A lone block goes to itself by leaving: whoever runs it wants to count how often.
    let inside = if matches!(shape, Shape::Graph { .. }) { blocks.clone() } else { HashMap::new() };
    let mut lift = Lift { b: builder, pc, next: pc, blocks: &inside };
    for &leader in &leaders {
        lift.b.switch_to(blocks[&leader]);
        lift_block::<G>(&mut lift, leader, &found);
    }
    let coverage = coverage(&found);
    (region, coverage)
}

/// The instructions that belong to the region, and the addresses where its blocks start, entry first.
fn discover<G: Guest>(pc: u64, shape: Shape<'_>, fetch: Fetch<'_>) -> (BTreeMap<u64, Found<G::Insn>>, Vec<u64>) {
    let limit = match shape {
        Shape::Instruction => 1,
        Shape::Block { limit } | Shape::Graph { limit, .. } => limit,
    };
    let mut found = BTreeMap::new();
    let mut leaders = vec![pc];
    let mut next_leader = 0;
    while let Some(&leader) = leaders.get(next_leader) {
        next_leader += 1;
        let mut at = leader;
        while found.len() < limit && !found.contains_key(&at) {
            let mut bytes = [0u8; 16];
            let fetched = fetch(at, &mut bytes[..G::MAX_LENGTH]);
            let decoded = G::decode(at, &bytes[..fetched]);
            found.insert(at, Found { decoded, fetched });
            let Decoded::Insn { length, flow, .. } = decoded else { break };
            let next = at.wrapping_add(u64::from(length));
            if let Shape::Graph { wanted, .. } = shape {
                let targets = match flow {
                    Flow::Next | Flow::Leave => [None, None],
                    Flow::Jump(target) => [Some(target), None],
                    Flow::Branch(target) => [Some(next), Some(target)],
                };
                for target in targets.into_iter().flatten() {
                    if wanted(target) && !leaders.contains(&target) {
                        leaders.push(target);
                    }
                }
            }
            if flow != Flow::Next {
                break;
            }
            at = next;
        }
    }
    leaders.retain(|leader| *leader == pc || found.contains_key(leader));
    (found, leaders)
}

/// Appends the instructions from `leader` up to the next leader or transfer of control.
fn lift_block<G: Guest>(lift: &mut Lift<'_>, leader: u64, found: &BTreeMap<u64, Found<G::Insn>>) {
    let mut at = leader;
    loop {
        lift.pc = at;
        let Some(Found { decoded, fetched }) = found.get(&at) else {
            return lift.leave(ExitReason::Jump, at);
        };
        let (insn, length) = match decoded {
            Decoded::Insn { insn, length, .. } => (insn, *length),
            Decoded::Undefined => return lift.leave(ExitReason::Undefined, at),
            Decoded::Truncated => {
                let address = lift.b.c64(at.wrapping_add(*fetched as u64));
                return lift.leave_with(ExitReason::FetchFault, at, address);
            }
        };
        lift.next = at.wrapping_add(u64::from(length));
        if lift_one::<G>(lift, insn, length).is_err() {
            return lift.leave(ExitReason::Undefined, at);
        }
        if lift.b.is_closed() {
            return;
        }
        at = lift.next;
        if let Some(&block) = lift.blocks.get(&at) {
            return lift.b.jump(block);
        }
    }
}

/// Appends one instruction, or leaves the region as it was.
fn lift_one<G: Guest>(lift: &mut Lift<'_>, insn: &G::Insn, length: u8) -> Result<(), LiftError> {
    let block = lift.b.current();
    let blocks = lift.b.region.blocks.len();
    let insts = lift.b.region.insts.len();
    let in_block = lift.b.region.block(block).insts.len();
    lift.b.insn(lift.pc, length);
    G::lift(insn, lift).inspect_err(|_| {
        lift.b.region.insts.truncate(insts);
        lift.b.region.blocks.truncate(blocks);
        lift.b.region.blocks[block.index()].insts.truncate(in_block);
        lift.b.region.blocks[block.index()].end = philae_ir::Terminator::Open;
        lift.b.switch_to(block);
    })
}

/// The bytes of the instructions found.
fn coverage<I>(found: &BTreeMap<u64, Found<I>>) -> Coverage {
    let mut coverage = Coverage { instructions: found.len(), ranges: Vec::new() };
    for (&pc, found) in found {
        let length = match found.decoded {
            Decoded::Insn { length, .. } => u64::from(length),
            Decoded::Undefined | Decoded::Truncated => found.fetched as u64,
        };
        match coverage.ranges.last_mut() {
            Some(last) if last.end >= pc => last.end = last.end.max(pc.wrapping_add(length)),
            _ => coverage.ranges.push(pc..pc.wrapping_add(length)),
        }
    }
    coverage
}
