//! The interpreter: every operation in the plainest Rust. The oracle for the compilers, and the tier for code that
//! runs once.
//!
//! In: a verified region and the guest's state. Out: the state after it, pc included, and why it ended. Guest
//! memory is touched only through the stubs of [`memory`]. At a fault the state is the one before the guest
//! instruction that faulted, because lifted code writes registers after its last access.

#[cfg(target_arch = "x86_64")]
#[path = "interp/memory_x86_64.rs"]
mod memory;

pub use memory::recovery;

use crate::Exit;
use memory::Failed;
use philae_ir::eval::{eval, eval_rmw, sign_extend};
use philae_ir::{Barrier, BlockId, CpuState, ExitReason, Inst, Op, Ordering, Pc, Region, RmwOp, Terminator, Ty, Value};
use std::sync::atomic::{self, fence};

/// Polls of one run after which it leaves as if asked to: whoever decides which code is worth compiling sees loops
/// only when they end.
const PATIENCE: u32 = 256;

/// Runs regions. It keeps the room for their values from one to the next.
#[derive(Debug, Default)]
pub struct Interpreter {
    values: Vec<u128>,
    /// The polls of this run so far.
    polls: u32,
}

impl Interpreter {
    /// Runs `region` from its entry until it is left, at the latest as [`ExitReason::Interrupted`] at its 256th poll.
    /// `cpu` is then the guest's state, its pc where the guest goes on.
    pub fn run(&mut self, region: &Region, cpu: &mut CpuState) -> Exit {
        self.polls = 0;
        if self.values.len() < region.insts.len() {
            self.values.resize(region.insts.len(), 0);
        }
        let mut block = BlockId::ENTRY;
        let mut pc = region.pc;
        loop {
            if let Err(Failed(address)) = self.run_block(region, block, &mut pc, cpu) {
                cpu.set_pc(pc);
                return Exit { reason: ExitReason::Fault, argument: address };
            }
            match region.block(block).end {
                Terminator::Jump(to) => block = to,
                Terminator::Branch { cond, then, other } => block = if self.get(cond) & 1 == 1 { then } else { other },
                Terminator::Exit { reason, pc, argument } => {
                    cpu.set_pc(match pc {
                        Pc::Const(pc) => pc,
                        Pc::Dynamic(pc) => self.get(pc) as u64,
                    });
                    let argument = if argument == Value::NONE { 0 } else { self.get(argument) as u64 };
                    return Exit { reason, argument };
                }
                Terminator::Open => panic!("{block:?} of the region at {:#x} has no end", region.pc),
            }
        }
    }

    fn run_block(&mut self, region: &Region, block: BlockId, pc: &mut u64, cpu: &mut CpuState) -> Result<(), Failed> {
        for &value in &region.block(block).insts {
            let inst = region.inst(value);
            let result = match inst.op {
                Op::Insn => {
                    *pc = inst.imm;
                    continue;
                }
                Op::Get => read_slot(cpu, inst),
                Op::Set => {
                    self.set(region, inst, cpu);
                    continue;
                }
                Op::SetLow => {
                    self.set_low(inst, cpu);
                    continue;
                }
                Op::PollPending => {
                    self.polls += 1;
                    u128::from(self.polls >= PATIENCE || cpu.ctl.poll.load(atomic::Ordering::Relaxed) != 0)
                }
                Op::Call => (region.helpers[inst.imm as usize].function)(cpu, self.operands(inst)),
                Op::Fence => {
                    order(Barrier::from_aux(inst.aux));
                    continue;
                }
                Op::Load | Op::LoadZext | Op::LoadSext | Op::AtomicLoad => self.load(inst)?,
                Op::Store | Op::AtomicStore => {
                    self.store(inst)?;
                    continue;
                }
                Op::AtomicRmw => self.read_modify_write(inst)?,
                Op::AtomicCas => {
                    let [address, expected, new] = self.operands(inst);
                    memory::compare_and_swap(inst.ty, address as u64, expected, new)?
                }
                _ => self.pure(region, inst),
            };
            self.values[value.index()] = result;
        }
        Ok(())
    }

    fn get(&self, value: Value) -> u128 {
        self.values[value.index()]
    }

    fn operands(&self, inst: &Inst) -> [u128; 3] {
        inst.args.map(|arg| self.values.get(arg.index()).copied().unwrap_or(0))
    }

    /// The operations that guest code is mostly made of, on the host's words; all others as [`eval`] says.
    fn pure(&self, region: &Region, inst: &Inst) -> u128 {
        if inst.ty as u8 > Ty::I64 as u8 {
            return eval(region, inst, self.operands(inst));
        }
        let a = || self.get(inst.args[0]) as u64;
        let b = || self.get(inst.args[1]) as u64;
        let mask = u64::MAX >> (64 - inst.ty.bits());
        u128::from(match inst.op {
            Op::Const => inst.imm & mask,
            Op::Add => a().wrapping_add(b()) & mask,
            Op::Sub => a().wrapping_sub(b()) & mask,
            Op::And => a() & b(),
            Op::Or => a() | b(),
            Op::Xor => a() ^ b(),
            Op::Zext => a(),
            Op::Trunc => a() & mask,
            _ => return eval(region, inst, self.operands(inst)),
        })
    }

    /// Writes a whole slot: the words above a narrower value become 0.
    fn set(&self, region: &Region, inst: &Inst, cpu: &mut CpuState) {
        let value = self.get(inst.args[0]);
        if region.arch.is_wide(inst.slot()) {
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

    fn load(&self, inst: &Inst) -> Result<u128, Failed> {
        let address = self.address(inst);
        let memory = match inst.op {
            Op::LoadZext | Op::LoadSext => Ty::from_aux(inst.aux),
            _ => inst.ty,
        };
        let bits = memory::load(memory, address)?;
        Ok(if inst.op == Op::LoadSext { sign_extend(memory, inst.ty, bits) } else { bits })
    }

    fn store(&self, inst: &Inst) -> Result<(), Failed> {
        let (address, value) = (self.address(inst), self.get(inst.args[1]));
        let ordered = inst.op == Op::AtomicStore && Ordering::from_aux(inst.aux) == Ordering::SeqCst;
        if ordered || inst.op == Op::AtomicStore && inst.ty == Ty::I128 {
            return read_modify_write(inst.ty, RmwOp::Xchg, address, value).map(|_| ());
        }
        memory::store(inst.ty, address, value)
    }

    fn read_modify_write(&self, inst: &Inst) -> Result<u128, Failed> {
        let [address, operand, _] = self.operands(inst);
        read_modify_write(inst.ty, RmwOp::from_aux(inst.aux), address as u64, operand)
    }

    /// Operand 0 plus the offset; atomic accesses have none.
    fn address(&self, inst: &Inst) -> u64 {
        let base = self.get(inst.args[0]) as u64;
        match inst.op {
            Op::Load | Op::LoadZext | Op::LoadSext | Op::Store => base.wrapping_add(inst.imm),
            _ => base,
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

fn read_modify_write(ty: Ty, op: RmwOp, address: u64, operand: u128) -> Result<u128, Failed> {
    let mut old = memory::load(ty, address)?;
    loop {
        let seen = memory::compare_and_swap(ty, address, old, eval_rmw(op, ty, old, operand))?;
        if seen == old {
            return Ok(old);
        }
        old = seen;
    }
}

#[cfg(test)]
#[path = "interp/tests.rs"]
mod tests;
