//! The interpreter: every operation in the plainest Rust. The oracle for the compilers, and the tier for code that
//! runs once.
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
use memory::Failed;
use philae_ir::eval::{eval_inst, eval_rmw, sign_extend};
use philae_ir::state::aarch64;
use philae_ir::{
    Arch, Barrier, BlockId, CpuState, Effect, ExitReason, Helper, Inst, IntCond, Op, Ordering, Pc, Region, RmwOp,
    Rounding, Terminator, Ty, Value,
};
use std::sync::atomic::{self, fence};

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
}

impl Interpreter {
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

    fn run_in(&mut self, memory: &mut impl Memory, program: &impl Program, cpu: &mut CpuState, patience: u32) -> Exit {
        let text = program.text();
        let count = text.insts.len();
        if self.values.len() < count {
            self.values.resize(count, 0);
        }
        let mut frame = Frame { text, memory, values: &mut self.values[..count], polls: patience };
        let mut block = BlockId::ENTRY;
        let mut pc = text.pc;
        loop {
            if let Err(Failed(address)) = frame.run(program.places(block), &mut pc, cpu) {
                cpu.set_pc(pc);
                return Exit { reason: ExitReason::Fault, argument: address };
            }
            match program.end(block) {
                Terminator::Jump(to) => block = to,
                Terminator::Branch { cond, then, other } => block = if frame.get(cond) & 1 == 1 { then } else { other },
                Terminator::Exit { reason, pc, argument } => {
                    cpu.set_pc(match pc {
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

/// How a run touches guest memory.
trait Memory {
    /// Reads a value of type `ty`.
    fn load(&mut self, ty: Ty, address: u64) -> Result<u128, Failed>;
    /// Writes a value of type `ty`.
    fn store(&mut self, ty: Ty, address: u64, value: u128) -> Result<(), Failed>;
    /// If the integer at `address` equals `expected`, replaces it by `new`; the value seen.
    fn compare_and_swap(&mut self, ty: Ty, address: u64, expected: u128, new: u128) -> Result<u128, Failed>;
}

/// Guest memory itself.
struct Direct;

impl Memory for Direct {
    fn load(&mut self, ty: Ty, address: u64) -> Result<u128, Failed> {
        memory::load(ty, address)
    }

    fn store(&mut self, ty: Ty, address: u64, value: u128) -> Result<(), Failed> {
        memory::store(ty, address, value)
    }

    fn compare_and_swap(&mut self, ty: Ty, address: u64, expected: u128, new: u128) -> Result<u128, Failed> {
        memory::compare_and_swap(ty, address, expected, new)
    }
}

/// The values of a run so far.
struct Frame<'a, M> {
    text: Text<'a>,
    memory: &'a mut M,
    values: &'a mut [u128],
    /// The polls until the run is left.
    polls: u32,
}

impl<M: Memory> Frame<'_, M> {
    /// Runs a block; `pc` follows the markers.
    fn run(&mut self, places: impl Iterator<Item = usize>, pc: &mut u64, cpu: &mut CpuState) -> Result<(), Failed> {
        for place in places {
            let inst = &self.text.insts[place];
            let narrow = inst.ty as u8 <= Ty::I64 as u8;
            let mask = || u64::MAX >> (64 - inst.ty.bits());
            let (a, b) = (|| self.get(inst.args[0]) as u64, || self.get(inst.args[1]) as u64);
            let result = match inst.op {
                Op::Insn => {
                    *pc = inst.imm;
                    continue;
                }
                Op::Get if inst.ty == Ty::I64 => u128::from(cpu.get(inst.slot())),
                Op::Get => read_slot(cpu, inst),
                Op::Set => {
                    self.set(inst, cpu);
                    continue;
                }
                Op::SetLow => {
                    self.set_low(inst, cpu);
                    continue;
                }
                // What guest code is mostly made of, on the host's words; all others as `eval_inst` says.
                Op::Const => u128::from(inst.imm) & inst.ty.mask(),
                Op::Add if narrow => u128::from(a().wrapping_add(b()) & mask()),
                Op::Sub if narrow => u128::from(a().wrapping_sub(b()) & mask()),
                Op::And => self.get(inst.args[0]) & self.get(inst.args[1]),
                Op::Or => self.get(inst.args[0]) | self.get(inst.args[1]),
                Op::Xor => self.get(inst.args[0]) ^ self.get(inst.args[1]),
                Op::Shl if narrow => u128::from(a() << (b() as u32 & (inst.ty.bits() - 1)) & mask()),
                Op::Lshr if narrow => u128::from(a() >> (b() as u32 & (inst.ty.bits() - 1))),
                Op::Zext => self.get(inst.args[0]),
                Op::Trunc => self.get(inst.args[0]) & inst.ty.mask(),
                Op::Icmp if narrow && inst.aux == IntCond::Eq as u8 => u128::from(a() == b()),
                Op::Icmp if narrow && inst.aux == IntCond::Ne as u8 => u128::from(a() != b()),
                Op::Select => self.get(inst.args[if a() & 1 == 1 { 1 } else { 2 }]),
                Op::PollPending => {
                    self.polls -= 1;
                    u128::from(self.polls == 0 || cpu.ctl.poll.load(atomic::Ordering::Relaxed) != 0)
                }
                Op::Call => (self.text.helpers[inst.imm as usize].function)(cpu, self.operands(inst)),
                Op::Fence => {
                    order(Barrier::from_aux(inst.aux));
                    continue;
                }
                Op::Prefetch => continue,
                Op::Load | Op::LoadZext | Op::LoadSext | Op::AtomicLoad => self.load(inst)?,
                Op::Store | Op::AtomicStore => {
                    self.store(inst)?;
                    continue;
                }
                Op::AtomicRmw => self.read_modify_write(inst)?,
                Op::AtomicCas => {
                    let [_, expected, new] = self.operands(inst);
                    self.memory.compare_and_swap(inst.ty, self.address(inst), expected, new)?
                }
                // The evaluator finds the host's rounding mode by sums that are inexact.
                Op::Fround if inst.aux == Rounding::Current as u8 => {
                    let operands = self.operands(inst);
                    invalid_alone(|| eval_inst(self.text.insts, self.text.consts, inst, operands))
                }
                _ => eval_inst(self.text.insts, self.text.consts, inst, self.operands(inst)),
            };
            self.values[place] = result;
        }
        Ok(())
    }

    fn get(&self, value: Value) -> u128 {
        self.values[value.index()]
    }

    fn operands(&self, inst: &Inst) -> [u128; 3] {
        inst.args.map(|arg| self.values.get(arg.index()).copied().unwrap_or(0))
    }

    /// Writes a whole slot: the words above a narrower value become 0.
    fn set(&self, inst: &Inst, cpu: &mut CpuState) {
        let value = self.get(inst.args[0]);
        if self.text.arch.is_wide(inst.slot()) {
            cpu.set128(inst.slot(), value);
        } else {
            cpu.set(inst.slot(), value as u64);
        }
    }

    fn set_low(&self, inst: &Inst, cpu: &mut CpuState) {
        let value = self.get(inst.args[0]);
        if inst.ty.bits() == 128 {
            cpu.set128(inst.slot(), value);
        } else {
            let mask = inst.ty.mask() as u64;
            cpu.set(inst.slot(), cpu.get(inst.slot()) & !mask | value as u64);
        }
    }

    fn load(&mut self, inst: &Inst) -> Result<u128, Failed> {
        let address = self.address(inst);
        let memory = match inst.op {
            Op::LoadZext | Op::LoadSext => Ty::from_aux(inst.aux),
            _ => inst.ty,
        };
        let bits = self.memory.load(memory, address)?;
        Ok(if inst.op == Op::LoadSext { sign_extend(memory, inst.ty, bits) } else { bits })
    }

    fn store(&mut self, inst: &Inst) -> Result<(), Failed> {
        let (address, value) = (self.address(inst), self.get(inst.args[1]));
        let ordered = inst.op == Op::AtomicStore && Ordering::from_aux(inst.aux) == Ordering::SeqCst;
        if ordered || inst.op == Op::AtomicStore && inst.ty == Ty::I128 {
            return read_modify_write(self.memory, inst.ty, RmwOp::Xchg, address, value).map(|_| ());
        }
        self.memory.store(inst.ty, address, value)
    }

    fn read_modify_write(&mut self, inst: &Inst) -> Result<u128, Failed> {
        let (address, operand) = (self.address(inst), self.get(inst.args[1]));
        read_modify_write(self.memory, inst.ty, RmwOp::from_aux(inst.aux), address, operand)
    }

    /// Operand 0 plus the offset, as far as the guest looks at it; atomic accesses have no offset.
    fn address(&self, inst: &Inst) -> u64 {
        let base = self.get(inst.args[0]) as u64;
        let address = match inst.op {
            Op::Load | Op::LoadZext | Op::LoadSext | Op::Store => base.wrapping_add(inst.imm),
            _ => base,
        };
        match self.text.arch {
            Arch::Aarch64 => aarch64::untagged(address),
            Arch::X86_64 => address,
        }
    }
}

fn read_slot(cpu: &CpuState, inst: &Inst) -> u128 {
    if inst.ty.bits() == 128 { cpu.get128(inst.slot()) } else { u128::from(cpu.get(inst.slot())) & inst.ty.mask() }
}

fn order(barrier: Barrier) {
    fence(match barrier {
        Barrier::Full => atomic::Ordering::SeqCst,
        Barrier::Load => atomic::Ordering::Acquire,
        Barrier::Store => atomic::Ordering::Release,
    });
}

fn read_modify_write<M: Memory>(
    memory: &mut M,
    ty: Ty,
    op: RmwOp,
    address: u64,
    operand: u128,
) -> Result<u128, Failed> {
    let mut old = memory.load(ty, address)?;
    loop {
        let seen = memory.compare_and_swap(ty, address, old, eval_rmw(op, ty, old, operand))?;
        if seen == old {
            return Ok(old);
        }
        old = seen;
    }
}

#[cfg(test)]
#[path = "interp/tests.rs"]
mod tests;
