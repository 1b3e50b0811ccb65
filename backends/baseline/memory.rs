//! Guest memory: plain and atomic accesses, fences. Guest addresses are host addresses.

use super::assembler::{Alu, Cc, Gpr, Mem, Rm, Width};
use super::lower::{Lower, move_prefix, regs, width};
use super::registers::{Cleanness, Context, is_word};
use crate::compiled::{FaultSite, Refusal};
use philae_ir::{Barrier, Inst, Op, Ordering, RmwOp, Ty, Value};

impl Lower<'_> {
    /// The next instruction may fault.
    fn fault_site(&mut self) {
        self.tables.faults.push(FaultSite { offset: self.asm.position() as u32, recovery: None, pc: self.pc });
    }

    /// Operand 0 and the offset of a plain access.
    fn address(&mut self, inst: &Inst) -> Mem {
        let base = self.gpr(inst.args[0]);
        let offset = inst.imm as i64;
        if let Ok(offset) = i32::try_from(offset) {
            return Mem::At(base, offset);
        }
        let sum = regs!(self.take_any());
        self.asm.mov_imm(sum, offset as u64);
        self.asm.alu(Width::Q, Alu::Add, sum, base);
        Mem::At(sum, 0)
    }

    /// A plain access.
    pub(super) fn access(&mut self, value: Value, inst: &Inst) {
        let from = self.address(inst);
        match inst.op {
            Op::Store => self.store(inst, from),
            Op::Load if is_word(inst.ty) => self.load_word(value, inst.ty, from, Cleanness::Clean),
            Op::LoadZext if is_word(inst.ty) => self.load_word(value, Ty::from_aux(inst.aux), from, Cleanness::Clean),
            Op::LoadSext if is_word(inst.ty) => self.load_sign_extended(value, inst, from),
            _ => self.load_vector(value, inst, from),
        }
    }

    fn load_word(&mut self, value: Value, memory: Ty, from: Mem, clean: Cleanness) {
        let to = self.result(value);
        self.fault_site();
        self.asm.load(width(memory), to, from);
        self.define(value, to, clean);
    }

    fn load_sign_extended(&mut self, value: Value, inst: &Inst, from: Mem) {
        let to = self.result(value);
        self.fault_site();
        self.asm.movsx(width(Ty::from_aux(inst.aux)), to, Rm::Mem(from));
        if inst.ty == Ty::I32 {
            // The sign went to all 64 bits.
            self.asm.mov(Width::D, to, to);
        }
        let clean = if matches!(inst.ty, Ty::I32 | Ty::I64) { Cleanness::Clean } else { Cleanness::Dirty };
        self.define(value, to, clean);
    }

    fn load_vector(&mut self, value: Value, inst: &Inst, from: Mem) {
        let memory = if inst.op == Op::Load { inst.ty } else { Ty::from_aux(inst.aux) };
        if inst.op == Op::LoadSext || !matches!(memory, Ty::F32 | Ty::F64) && memory.bits() < 128 {
            return self.load_wide_integer(value, inst, memory, from);
        }
        let to = regs!(self.take_any_xmm());
        self.fault_site();
        self.asm.sse(move_prefix(memory), 0x10, to, Rm::Mem(from));
        self.define_xmm(value, to);
    }

    /// An integer of up to 64 bits in memory, extended to 128.
    fn load_wide_integer(&mut self, value: Value, inst: &Inst, memory: Ty, from: Mem) {
        let low = regs!(self.take_any());
        self.fault_site();
        if inst.op == Op::LoadSext && memory != Ty::I64 {
            self.asm.movsx(width(memory), low, Rm::Mem(from));
        } else {
            self.asm.load(width(memory), low, from);
        }
        let to = regs!(self.take_any_xmm());
        self.asm.gpr_to_xmm(Width::Q, to, low);
        if inst.op == Op::LoadSext {
            self.asm.shift_imm(Width::Q, super::assembler::Shift::Sar, low, 63);
            self.append_high(to, low);
        }
        self.define_xmm(value, to);
    }

    fn store(&mut self, inst: &Inst, to: Mem) {
        let value = inst.args[1];
        if !is_word(inst.ty) {
            let from = self.xmm(value);
            self.fault_site();
            return self.asm.sse(move_prefix(inst.ty), 0x11, from, Rm::Mem(to));
        }
        if let Some(imm) = self.immediate(inst.ty, value) {
            self.fault_site();
            return self.asm.store_imm(width(inst.ty), to, imm);
        }
        let from = self.gpr(value);
        self.fault_site();
        self.asm.store(width(inst.ty), to, from);
    }

    /// Orders memory accesses: of those that x86-64 reorders, a store and a later load, only a full barrier keeps.
    pub(super) fn fence(&mut self, inst: &Inst) {
        if Barrier::from_aux(inst.aux) == Barrier::Full {
            self.asm.mfence();
        }
    }

    pub(super) fn prefetch(&mut self, inst: &Inst) {
        let from = self.address(inst);
        self.asm.prefetch(from);
    }

    /// An access in one step.
    pub(super) fn atomic(&mut self, value: Value, inst: &Inst) -> Result<(), Refusal> {
        if inst.ty == Ty::I128 {
            return Err(Refusal("an atomic access of 128 bits"));
        }
        match inst.op {
            Op::AtomicLoad => {
                let from = self.gpr(inst.args[0]);
                self.load_word(value, inst.ty, Mem::At(from, 0), Cleanness::Clean);
            }
            Op::AtomicStore => self.atomic_store(inst),
            Op::AtomicCas => self.compare_and_swap(value, inst),
            _ => match RmwOp::from_aux(inst.aux) {
                RmwOp::Add | RmwOp::Xchg => self.exchange(value, inst),
                op => return self.read_modify_write(value, inst, op),
            },
        }
        Ok(())
    }

    fn atomic_store(&mut self, inst: &Inst) {
        let (to, from) = (self.gpr(inst.args[0]), self.gpr(inst.args[1]));
        if Ordering::from_aux(inst.aux) == Ordering::SeqCst {
            let copy = regs!(self.take_any());
            self.asm.mov(Width::Q, copy, from);
            self.fault_site();
            self.asm.xchg(width(inst.ty), Mem::At(to, 0), copy);
        } else {
            self.fault_site();
            self.asm.store(width(inst.ty), Mem::At(to, 0), from);
        }
    }

    /// `xadd` or `xchg`.
    fn exchange(&mut self, value: Value, inst: &Inst) {
        let (address, operand) = (self.gpr(inst.args[0]), self.gpr(inst.args[1]));
        let old = regs!(self.take_any());
        self.asm.mov(Width::Q, old, operand);
        self.fault_site();
        if RmwOp::from_aux(inst.aux) == RmwOp::Add {
            self.asm.lock_xadd(width(inst.ty), Mem::At(address, 0), old);
        } else {
            self.asm.xchg(width(inst.ty), Mem::At(address, 0), old);
        }
        self.define(value, old, cleanness(inst.ty));
    }

    fn compare_and_swap(&mut self, value: Value, inst: &Inst) {
        regs!(self.take(Gpr::RAX));
        let [address, expected, new] = inst.args.map(|operand| self.gpr(operand));
        self.asm.mov(Width::Q, Gpr::RAX, expected);
        self.fault_site();
        self.asm.lock_cmpxchg(width(inst.ty), Mem::At(address, 0), new);
        self.define(value, Gpr::RAX, cleanness(inst.ty));
    }

    /// What has no instruction of its own: try until nobody came between.
    fn read_modify_write(&mut self, value: Value, inst: &Inst, op: RmwOp) -> Result<(), Refusal> {
        let narrow = matches!(inst.ty, Ty::I8 | Ty::I16);
        if narrow && matches!(op, RmwOp::Smin | RmwOp::Smax | RmwOp::Umin | RmwOp::Umax) {
            return Err(Refusal("an atomic minimum or maximum of less than 32 bits"));
        }
        regs!(self.take(Gpr::RAX));
        let (address, operand) = (self.gpr(inst.args[0]), self.gpr(inst.args[1]));
        let new = regs!(self.take_any());
        let width = width(inst.ty);
        self.fault_site();
        self.asm.load(width, Gpr::RAX, Mem::At(address, 0));
        let again = self.asm.position();
        self.combine(width, op, new, operand);
        self.fault_site();
        self.asm.lock_cmpxchg(width, Mem::At(address, 0), new);
        let field = self.asm.jcc(Cc::Ne);
        self.asm.patch(field, again);
        self.define(value, Gpr::RAX, Cleanness::Clean);
        Ok(())
    }

    /// `new` := RAX `op` operand.
    fn combine(&mut self, width: Width, op: RmwOp, new: Gpr, operand: Gpr) {
        let at_least_32 = if width == Width::Q { Width::Q } else { Width::D };
        let mut arithmetic = |op| {
            self.asm.mov(Width::Q, new, Gpr::RAX);
            self.asm.alu(at_least_32, op, new, operand);
        };
        let keeps_old = match op {
            RmwOp::And => return arithmetic(Alu::And),
            RmwOp::Or => return arithmetic(Alu::Or),
            RmwOp::Xor => return arithmetic(Alu::Xor),
            RmwOp::Add => return arithmetic(Alu::Add),
            RmwOp::AndNot => {
                self.asm.mov(Width::Q, new, operand);
                self.asm.not(Width::Q, new);
                return self.asm.alu(at_least_32, Alu::And, new, Gpr::RAX);
            }
            RmwOp::Xchg => return self.asm.mov(Width::Q, new, operand),
            RmwOp::Smin => Cc::L,
            RmwOp::Smax => Cc::G,
            RmwOp::Umin => Cc::B,
            RmwOp::Umax => Cc::A,
        };
        self.asm.mov(Width::Q, new, operand);
        self.asm.alu(at_least_32, Alu::Cmp, Gpr::RAX, operand);
        self.asm.cmov(at_least_32, keeps_old, new, Gpr::RAX);
    }
}

/// What an instruction of this width leaves above its result.
fn cleanness(ty: Ty) -> Cleanness {
    if matches!(ty, Ty::I32) {
        Cleanness::Dirty
    } else if ty == Ty::I64 {
        Cleanness::Clean
    } else {
        Cleanness::Dirty
    }
}
