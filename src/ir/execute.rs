//! What every operation does to a machine, at once: pure ones as [`crate::eval`] says, all others here.
//!
//! In: an operation and the bits of its operands, zero-extended to 128. Out: the bits of its result, or the address at
//! which guest memory failed; the machine is then as it was before the operation.

use crate::eval::{eval_inst, eval_rmw, sign_extend};
use crate::helper::Helper;
use crate::ops::{Barrier, IntCond, Op, Ordering, RmwOp, Rounding};
use crate::region::{Inst, Value};
use crate::state::{Arch, CpuState, aarch64};
use crate::ty::Ty;
use std::sync::atomic::{self, fence};

/// The guest address at which an access failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failed(pub u64);

/// What executing takes of the host.
pub trait Host {
    /// Reads a value of type `ty` of guest memory.
    fn load(&mut self, ty: Ty, address: u64) -> Result<u128, Failed>;
    /// Writes a value of type `ty`.
    fn store(&mut self, ty: Ty, address: u64, value: u128) -> Result<(), Failed>;
    /// If the integer at `address` equals `expected`, replaces it by `new`; the value seen.
    fn compare_and_swap(&mut self, ty: Ty, address: u64, expected: u128, new: u128) -> Result<u128, Failed>;
    /// What `f` gives, which raises nothing on the host's floating-point unit but that an operation is invalid.
    fn invalid_alone(&mut self, f: &dyn Fn() -> u128) -> u128;
}

/// What the operands of operations are.
pub trait Operands {
    /// The bits of a value.
    fn get(&self, value: Value) -> u128;
    /// Its type.
    fn ty(&self, value: Value) -> Ty;
    /// The 128-bit constant of this number.
    fn constant(&self, number: u64) -> u128;
    /// The helper of this number.
    fn helper(&self, number: u64) -> &'static Helper;
}

/// What operations are executed on.
pub struct Machine<'a, H: ?Sized> {
    /// Whose instructions they come from.
    pub arch: Arch,
    /// The guest's registers.
    pub cpu: &'a mut CpuState,
    /// Guest memory.
    pub host: &'a mut H,
    /// The polls until one says that the thread is to leave, whether it is asked to or not.
    pub polls: u32,
}

impl<H: Host + ?Sized> Machine<'_, H> {
    /// Executes an operation, any but [`Op::Insn`]; gives its result, or 0 if it makes none.
    #[inline(always)]
    pub fn execute(&mut self, inst: &Inst, operands: &impl Operands) -> Result<u128, Failed> {
        let narrow = inst.ty as u8 <= Ty::I64 as u8;
        let mask = || u64::MAX >> (64 - inst.ty.bits());
        let wide = |number: usize| operands.get(inst.args[number]);
        let (a, b) = (|| wide(0) as u64, || wide(1) as u64);
        Ok(match inst.op {
            Op::Get if narrow => u128::from(self.cpu.get(inst.slot()) & mask()),
            Op::Set if narrow && !self.arch.is_wide(inst.slot()) => {
                self.cpu.set(inst.slot(), a());
                0
            }
            // What guest code is mostly made of, on the host's words; all others as `eval_inst` says.
            Op::Const => u128::from(inst.imm) & inst.ty.mask(),
            Op::Add if narrow => u128::from(a().wrapping_add(b()) & mask()),
            Op::Sub if narrow => u128::from(a().wrapping_sub(b()) & mask()),
            Op::And => wide(0) & wide(1),
            Op::Or => wide(0) | wide(1),
            Op::Xor => wide(0) ^ wide(1),
            Op::Shl if narrow => u128::from(a() << (b() as u32 & (inst.ty.bits() - 1)) & mask()),
            Op::Lshr if narrow => u128::from(a() >> (b() as u32 & (inst.ty.bits() - 1))),
            Op::Zext => wide(0),
            Op::Trunc => wide(0) & inst.ty.mask(),
            Op::Icmp if narrow && inst.aux == IntCond::Eq as u8 => u128::from(a() == b()),
            Op::Icmp if narrow && inst.aux == IntCond::Ne as u8 => u128::from(a() != b()),
            Op::Select => wide(if a() & 1 == 1 { 1 } else { 2 }),
            Op::Load | Op::LoadZext | Op::LoadSext => self.load(inst, a())?,
            Op::Store => {
                let address = self.address(a().wrapping_add(inst.imm));
                self.host.store(inst.ty, address, wide(1))?;
                0
            }
            _ => self.execute_rare(inst, operands)?,
        })
    }

    /// The same for what is rare.
    #[inline(never)]
    fn execute_rare(&mut self, inst: &Inst, operands: &impl Operands) -> Result<u128, Failed> {
        let args = inst.args.map(|arg| if arg == Value::NONE { 0 } else { operands.get(arg) });
        let address = self.address(args[0] as u64);
        Ok(match inst.op {
            Op::Get => read_slot(self.cpu, inst),
            Op::Set => {
                self.set(inst, args[0]);
                0
            }
            Op::SetLow => {
                self.set_low(inst, args[0]);
                0
            }
            Op::PollPending => {
                self.polls -= 1;
                u128::from(self.polls == 0 || self.cpu.ctl.poll.load(atomic::Ordering::Relaxed) != 0)
            }
            Op::Call => (operands.helper(inst.imm).function)(self.cpu, args),
            Op::Fence => {
                order(Barrier::from_aux(inst.aux));
                0
            }
            Op::Prefetch => 0,
            Op::AtomicLoad => self.host.load(inst.ty, address)?,
            Op::AtomicStore => {
                self.atomic_store(inst, address, args[1])?;
                0
            }
            Op::AtomicRmw => self.read_modify_write(inst.ty, RmwOp::from_aux(inst.aux), address, args[1])?,
            Op::AtomicCas => self.host.compare_and_swap(inst.ty, address, args[1], args[2])?,
            // The evaluator finds the host's rounding mode by sums that are inexact.
            Op::Fround if inst.aux == Rounding::Current as u8 => {
                self.host.invalid_alone(&|| evaluate(inst, operands, args))
            }
            _ => evaluate(inst, operands, args),
        })
    }

    /// Writes a whole slot: the words above a narrower value become 0.
    fn set(&mut self, inst: &Inst, value: u128) {
        if self.arch.is_wide(inst.slot()) {
            self.cpu.set128(inst.slot(), value);
        } else {
            self.cpu.set(inst.slot(), value as u64);
        }
    }

    fn set_low(&mut self, inst: &Inst, value: u128) {
        if inst.ty.bits() == 128 {
            self.cpu.set128(inst.slot(), value);
        } else {
            let mask = inst.ty.mask() as u64;
            self.cpu.set(inst.slot(), self.cpu.get(inst.slot()) & !mask | value as u64);
        }
    }

    fn load(&mut self, inst: &Inst, base: u64) -> Result<u128, Failed> {
        let address = self.address(base.wrapping_add(inst.imm));
        let memory = if inst.op == Op::Load { inst.ty } else { Ty::from_aux(inst.aux) };
        let bits = self.host.load(memory, address)?;
        Ok(if inst.op == Op::LoadSext { sign_extend(memory, inst.ty, bits) } else { bits })
    }

    fn atomic_store(&mut self, inst: &Inst, address: u64, value: u128) -> Result<(), Failed> {
        if Ordering::from_aux(inst.aux) == Ordering::SeqCst || inst.ty == Ty::I128 {
            return self.read_modify_write(inst.ty, RmwOp::Xchg, address, value).map(|_| ());
        }
        self.host.store(inst.ty, address, value)
    }

    fn read_modify_write(&mut self, ty: Ty, op: RmwOp, address: u64, operand: u128) -> Result<u128, Failed> {
        let mut old = self.host.load(ty, address)?;
        loop {
            let seen = self.host.compare_and_swap(ty, address, old, eval_rmw(op, ty, old, operand))?;
            if seen == old {
                return Ok(old);
            }
            old = seen;
        }
    }

    /// An address, as far as the guest looks at it.
    fn address(&self, address: u64) -> u64 {
        match self.arch {
            Arch::Aarch64 => aarch64::untagged(address),
            Arch::X86_64 => address,
        }
    }
}

fn evaluate(inst: &Inst, operands: &impl Operands, args: [u128; 3]) -> u128 {
    eval_inst(inst, args, |value| operands.ty(value), |number| operands.constant(number))
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
