//! The interpreter: one operation after another, as [`philae_ir::execute`] says. The oracle for the compilers, and the tier
//! for code that runs rarely.
//!
//! In: a verified region and the guest's state. Out: the state after it, pc included, and why it ended. Guest
//! memory is touched only through the stubs of [`memory`]. At a fault the state is the one before the guest
//! instruction that faulted, because lifted code writes registers after its last access. A rehearsal does all of
//! that without changing guest memory: its stores stay in an [`Overlay`].

#[cfg(target_arch = "x86_64")]
#[path = "interp/memory_x86_64.rs"]
mod memory;
#[path = "interp/overlay.rs"]
mod overlay;

pub use memory::recovery;
pub use overlay::Overlay;

use crate::Exit;
use crate::float_control::invalid_alone;
use philae_ir::execute::{Failed, Host, Machine, Operands};
use philae_ir::now::{Now, Room};
use philae_ir::{Arch, BlockId, CpuState, Effect, ExitReason, Helper, Inst, Op, Pc, Region, Terminator, Ty, Value};

/// Polls of one run after which it leaves as if asked to: whoever decides which code is worth compiling sees loops
/// only when they end.
const PATIENCE: u32 = 256;

/// A region in the form that runs: all instructions in a row, those of one block behind those of another. A value is
/// the place of the one that makes it.
#[derive(Debug)]
pub struct Steps {
    arch: Arch,
    pc: u64,
    insts: Box<[Inst]>,
    blocks: Box<[Stretch]>,
    consts: Box<[u128]>,
    helpers: Box<[&'static Helper]>,
}

/// A block of [`Steps`].
#[derive(Debug)]
struct Stretch {
    /// The place of its first instruction, and the one behind its last.
    first: u32,
    last: u32,
    end: Terminator,
}

impl Steps {
    /// The steps of a region that verifies.
    pub fn new(region: &Region) -> Steps {
        let mut order = Vec::with_capacity(region.insts.len());
        let mut blocks = Vec::with_capacity(region.blocks.len());
        for block in &region.blocks {
            let first = order.len() as u32;
            list(region, &block.insts, block.end, &mut order);
            blocks.push(Stretch { first, last: order.len() as u32, end: block.end });
        }
        let mut places = vec![Value::NONE; region.insts.len()];
        for (place, value) in (0..).zip(&order) {
            places[value.index()] = Value(place);
        }
        let place = |value: Value| if value == Value::NONE { value } else { places[value.index()] };
        let step = |value: &Value| Inst { args: region.inst(*value).args.map(place), ..*region.inst(*value) };
        for block in &mut blocks {
            block.end = map_operands(block.end, place);
        }
        Steps {
            arch: region.arch,
            pc: region.pc,
            insts: order.iter().map(step).collect(),
            blocks: blocks.into_boxed_slice(),
            consts: region.consts.as_slice().into(),
            helpers: region.helpers.as_slice().into(),
        }
    }
}

/// Appends a block's instructions to `order`, less the markers that nobody asks for: the next comes before anything
/// that can fault.
fn list(region: &Region, insts: &[Value], end: Terminator, order: &mut Vec<Value>) {
    let mut marker = None;
    for &value in insts {
        match region.inst(value).op.info().effect {
            Effect::Marker => {
                marker = Some(value);
                continue;
            }
            Effect::Load | Effect::Store | Effect::Atomic => order.extend(marker.take()),
            Effect::Pure | Effect::ReadSlot | Effect::WriteSlot => {}
            Effect::Fence | Effect::Hint | Effect::Helper | Effect::Poll => {}
        }
        order.push(value);
    }
    if !matches!(end, Terminator::Exit { .. }) {
        order.extend(marker);
    }
}

fn map_operands(end: Terminator, f: impl Fn(Value) -> Value) -> Terminator {
    match end {
        Terminator::Branch { cond, then, other } => Terminator::Branch { cond: f(cond), then, other },
        Terminator::Exit { reason, pc, argument } => {
            let pc = match pc {
                Pc::Const(pc) => Pc::Const(pc),
                Pc::Dynamic(pc) => Pc::Dynamic(f(pc)),
            };
            Terminator::Exit { reason, pc, argument: f(argument) }
        }
        Terminator::Open | Terminator::Jump(_) => end,
    }
}

/// Runs regions. It keeps the room for their values from one to the next.
#[derive(Debug, Default)]
pub struct Interpreter {
    values: Vec<u128>,
    room: Box<Room>,
    host: Direct,
}

impl Interpreter {
    /// What executes operations on `cpu` as they are said, of a block of the address and guest of `settings`, a region
    /// that holds nothing.
    pub fn now<'a>(&'a mut self, settings: &'a Region, cpu: &'a mut CpuState) -> Now<'a> {
        Now::new(settings, cpu, &mut self.host, &mut self.room)
    }

    /// As [`Interpreter::run_steps`], for a region that verifies and is run once: who runs it often makes [`Steps`] of it.
    pub fn run(&mut self, region: &Region, cpu: &mut CpuState) -> Exit {
        self.run_in(&mut Direct, region, cpu, PATIENCE)
    }

    /// Runs a region from its entry until it is left, at the latest as [`ExitReason::Interrupted`] at its 256th poll.
    /// `cpu` is then the guest's state, its pc where the guest goes on.
    pub fn run_steps(&mut self, steps: &Steps, cpu: &mut CpuState) -> Exit {
        self.run_in(&mut Direct, steps, cpu, PATIENCE)
    }

    /// As [`Interpreter::run_steps`], with stores kept in `overlay`, and left at the latest at the given poll.
    pub fn rehearse(&mut self, steps: &Steps, cpu: &mut CpuState, overlay: &mut Overlay, polls: u32) -> Exit {
        self.run_in(overlay, steps, cpu, polls)
    }

    fn run_in(&mut self, host: &mut impl Host, program: &impl Program, cpu: &mut CpuState, polls: u32) -> Exit {
        let text = program.text();
        let count = text.insts.len();
        if self.values.len() < count {
            self.values.resize(count, 0);
        }
        let mut machine = Machine { arch: text.arch, cpu, host, polls };
        let mut frame = Frame { text, values: &mut self.values[..count] };
        let mut block = BlockId::ENTRY;
        let mut pc = text.pc;
        loop {
            if let Err(Failed(address)) = frame.run(program.places(block), &mut pc, &mut machine) {
                machine.cpu.set_pc(pc);
                return Exit { reason: ExitReason::Fault, argument: address };
            }
            match program.end(block) {
                Terminator::Jump(to) => block = to,
                Terminator::Branch { cond, then, other } => block = if frame.get(cond) & 1 == 1 { then } else { other },
                Terminator::Exit { reason, pc, argument } => {
                    machine.cpu.set_pc(match pc {
                        Pc::Const(pc) => pc,
                        Pc::Dynamic(pc) => frame.get(pc) as u64,
                    });
                    let argument = if argument == Value::NONE { 0 } else { frame.get(argument) as u64 };
                    return Exit { reason, argument };
                }
                Terminator::Open => panic!("{block:?} of the region at {:#x} has no end", text.pc),
            }
        }
    }
}

/// What runs, but for its blocks.
#[derive(Clone, Copy)]
struct Text<'a> {
    arch: Arch,
    pc: u64,
    insts: &'a [Inst],
    consts: &'a [u128],
    helpers: &'a [&'static Helper],
}

/// What can run.
trait Program {
    fn text(&self) -> Text<'_>;
    /// The instructions of a block.
    fn places(&self, block: BlockId) -> impl Iterator<Item = usize>;
    /// Where control goes behind them.
    fn end(&self, block: BlockId) -> Terminator;
}

impl Program for Steps {
    fn text(&self) -> Text<'_> {
        let Steps { arch, pc, insts, consts, helpers, .. } = self;
        Text { arch: *arch, pc: *pc, insts, consts, helpers }
    }

    fn places(&self, block: BlockId) -> impl Iterator<Item = usize> {
        let Stretch { first, last, .. } = self.blocks[block.index()];
        first as usize..last as usize
    }

    fn end(&self, block: BlockId) -> Terminator {
        self.blocks[block.index()].end
    }
}

impl Program for Region {
    fn text(&self) -> Text<'_> {
        let Region { arch, pc, insts, consts, helpers, .. } = self;
        Text { arch: *arch, pc: *pc, insts, consts, helpers }
    }

    fn places(&self, block: BlockId) -> impl Iterator<Item = usize> {
        self.block(block).insts.iter().map(|value| value.index())
    }

    fn end(&self, block: BlockId) -> Terminator {
        self.block(block).end
    }
}

/// The host itself.
#[derive(Clone, Copy, Default, Debug)]
struct Direct;

impl Host for Direct {
    fn load(&mut self, ty: Ty, address: u64) -> Result<u128, Failed> {
        memory::load(ty, address)
    }

    fn store(&mut self, ty: Ty, address: u64, value: u128) -> Result<(), Failed> {
        memory::store(ty, address, value)
    }

    fn compare_and_swap(&mut self, ty: Ty, address: u64, expected: u128, new: u128) -> Result<u128, Failed> {
        memory::compare_and_swap(ty, address, expected, new)
    }

    fn invalid_alone(&mut self, f: &dyn Fn() -> u128) -> u128 {
        invalid_alone(f)
    }
}

/// The values of a run so far.
struct Frame<'a> {
    text: Text<'a>,
    values: &'a mut [u128],
}

impl Operands for Frame<'_> {
    #[inline(always)]
    fn get(&self, value: Value) -> u128 {
        self.values[value.index()]
    }

    fn ty(&self, value: Value) -> Ty {
        self.text.insts[value.index()].result().expect("an operand is a value")
    }

    fn constant(&self, number: u64) -> u128 {
        self.text.consts[number as usize]
    }

    fn helper(&self, number: u64) -> &'static Helper {
        self.text.helpers[number as usize]
    }
}

impl Frame<'_> {
    /// Runs a block; `pc` follows the markers.
    fn run(
        &mut self,
        places: impl Iterator<Item = usize>,
        pc: &mut u64,
        machine: &mut Machine<'_, impl Host>,
    ) -> Result<(), Failed> {
        for place in places {
            let inst = &self.text.insts[place];
            if inst.op == Op::Insn {
                *pc = inst.imm;
            } else {
                self.values[place] = machine.execute(inst, self)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "interp/tests.rs"]
mod tests;
