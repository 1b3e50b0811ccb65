//! Calls out of units: helpers of the guest, and the evaluator for operations without a rule here. The stubs keep
//! every register; operands and result travel in `ctl.scratch`.

use super::assembler::{Gpr, Mem, Rm, Width, Xmm};
use super::lower::{Lower, regs};
use super::pins::Stub;
use super::registers::{Cleanness, Context, STATE, is_word};
use crate::callouts;
use crate::compiled::Refusal;
use crate::faster;
use philae_ir::ops::ImmKind;
use philae_ir::state::displacement;
use philae_ir::{CpuState, HelperEffect, Inst, Ty, Value};
use std::mem::offset_of;

/// Word `word` of entry `index` of the scratch space.
pub(super) fn scratch(index: usize, word: usize) -> Mem {
    Mem::At(STATE, displacement(offset_of!(CpuState, ctl.scratch) + 16 * index + 8 * word))
}

impl Lower<'_> {
    /// Any pure operation, by the evaluator.
    pub(super) fn evaluate(&mut self, value: Value, inst: &Inst) -> Result<(), Refusal> {
        if inst.op.info().imm == ImmKind::Const {
            return Err(Refusal(inst.op.info().name));
        }
        for (index, operand) in inst.operands().enumerate() {
            self.pass(index, operand);
        }
        self.registers.unlock();
        regs!(self.take(Gpr::RSI));
        self.call_evaluator(inst);
        self.fetch_result(value, inst.result().expect("a pure operation makes a value"));
        Ok(())
    }

    /// Stores an operand in the scratch space, in its own type.
    fn pass(&mut self, index: usize, operand: Value) {
        self.registers.unlock();
        let ty = self.ty(operand);
        if ty == Ty::Flags {
            let bits = self.flags_bits(operand);
            self.asm.store(Width::Q, scratch(index, 0), bits);
        } else if is_word(ty) {
            let from = self.gpr(operand);
            self.asm.store(Width::Q, scratch(index, 0), from);
        } else {
            let from = self.xmm(operand);
            self.pass_xmm(index, from);
        }
    }

    fn pass_xmm(&mut self, index: usize, from: Xmm) {
        self.asm.sse(0, 0x11, from, Rm::Mem(scratch(index, 0)));
    }

    /// The evaluator, operands in the scratch space; RSI is lost.
    fn call_evaluator(&mut self, inst: &Inst) {
        let from = inst.operands().next().map_or(inst.ty, |operand| self.ty(operand));
        self.asm.mov_imm(Gpr::RSI, callouts::packed(inst, from));
        self.asm.call_mem(Stub::Evaluate.mem());
    }

    fn fetch_result(&mut self, value: Value, ty: Ty) {
        if is_word(ty) {
            let to = self.result(value);
            self.asm.load(Width::Q, to, scratch(0, 0));
            self.define(value, to, Cleanness::Clean);
        } else {
            let to = regs!(self.take_any_xmm());
            self.asm.sse(0, 0x10, to, Rm::Mem(scratch(0, 0)));
            self.define_xmm(value, to);
        }
    }

    /// [`super::lower::Cold::Nan`]: the value of a floating-point operation, out of line; no register may change but
    /// the result's.
    pub(super) fn choose_nan(&mut self, value: Value, operands: [Xmm; 3], to: Xmm) {
        let count = self.region.insts[value.index()].operands().count();
        self.evaluate_out_of_line(value, &operands[..count]);
        self.asm.sse(0, 0x10, to, Rm::Mem(scratch(0, 0)));
    }

    /// An operation by the evaluator where all registers are to stay.
    pub(super) fn evaluate_out_of_line(&mut self, value: Value, operands: &[Xmm]) {
        for (index, &from) in operands.iter().enumerate() {
            self.pass_xmm(index, from);
        }
        // RSI may hold a value: it waits on the host's stack, which is what the stub's alignment needs another word for.
        self.asm.bytes.extend_from_slice(&[0x56, 0x56]);
        self.call_evaluator(&self.region.insts[value.index()]);
        self.asm.bytes.extend_from_slice(&[0x5e, 0x5e]);
    }

    /// [`philae_ir::Op::Call`].
    pub(super) fn call_helper(&mut self, value: Value, inst: &Inst) {
        let helper = self.region.helpers[inst.imm as usize];
        if let Some(stub) = faster::stub(helper) {
            return self.call_faster(value, inst, stub);
        }
        for (index, operand) in inst.operands().enumerate() {
            self.pass_extended(index, operand);
        }
        let stub = match helper.effect {
            HelperEffect::Pure => Stub::Helper,
            HelperEffect::State => {
                self.release_pinned();
                self.registers.forget_slots();
                Stub::StateHelper
            }
        };
        self.registers.unlock();
        regs!(self.take(Gpr::RSI));
        self.asm.mov_imm(Gpr::RSI, std::ptr::from_ref(helper) as u64);
        self.asm.call_mem(stub.mem());
        if self.analysis.of(value).last != 0 {
            self.fetch_result(value, helper.result);
        }
    }

    /// A helper that the host has instructions for: its stub keeps every register.
    fn call_faster(&mut self, value: Value, inst: &Inst, stub: u64) {
        for (index, operand) in inst.operands().enumerate() {
            self.pass(index, operand);
        }
        self.registers.unlock();
        regs!(self.take(Gpr::RSI));
        self.asm.mov_imm(Gpr::RSI, stub);
        self.asm.call(Gpr::RSI);
        self.fetch_result(value, Ty::V128);
    }

    /// Stores an operand in the scratch space, zero-extended to 128 bits.
    fn pass_extended(&mut self, index: usize, operand: Value) {
        self.registers.unlock();
        let ty = self.ty(operand);
        if ty.bits() == 128 {
            return self.pass(index, operand);
        }
        if ty == Ty::Flags {
            self.pass(index, operand);
            return self.asm.store_imm(Width::Q, scratch(index, 1), 0);
        }
        let from = self.zero_extended(ty, operand);
        self.pass_xmm(index, from);
    }
}
