//! Calls out of translated code: helpers of the guest, and the evaluator for operations without a rule here.
//!
//! Helpers are called by the C convention, operands and result as pairs of 64-bit words. The evaluator is called
//! where calls are rare (NaNs, exotic shapes), by a convention that keeps every register, so that the values around
//! the call stay where they are; operands and result travel in `ctl.scratch`.

use super::clif_type;
use super::lower::{Lower, Signatures};
use crate::callouts;
use crate::faster;
use cranelift_codegen::ir::types::{I64, I128};
use cranelift_codegen::ir::{AbiParam, InstBuilder, MemFlagsData, Signature, Value as Clif};
use cranelift_codegen::isa::CallConv;
use cranelift_frontend::FunctionBuilder;
use philae_ir::state::{StateAddress, displacement};
use philae_ir::{CpuState, Helper, Inst, Op, Ty, Value};
use std::mem::offset_of;

/// Where operands and results travel.
pub(super) const SCRATCH: i32 = displacement(offset_of!(CpuState, ctl.scratch));

/// Imports the signatures of everything that regions call.
pub(super) fn signatures(b: &mut FunctionBuilder<'_>) -> Signatures {
    let mut import = |convention, params: usize, results: usize| {
        let mut signature = Signature::new(convention);
        signature.params = vec![AbiParam::new(I64); params];
        signature.returns = vec![AbiParam::new(I64); results];
        b.import_signature(signature)
    };
    Signatures {
        linked: import(CallConv::Tail, 2, 0),
        unlinked: import(CallConv::Tail, 1, 0),
        helpers: [0, 1, 2, 3].map(|operands| import(CallConv::SystemV, 2 + 2 * operands, 2)),
        evaluator: import(CallConv::PreserveAll, 2, 0),
        settle: import(CallConv::PreserveAll, 1, 0),
    }
}

impl Lower<'_, '_> {
    /// [`philae_ir::Op::Call`].
    pub(super) fn call_helper(&mut self, inst: &Inst) -> Clif {
        let helper: &'static Helper = self.region.helpers[inst.imm as usize];
        if let Some(result) = self.host_instructions(helper, inst) {
            return result;
        }
        if let Some(stub) = faster::stub(helper) {
            return self.call_stub(inst, helper.result, stub);
        }
        let operands = usize::from(helper.operands);
        let thunk = match operands {
            0 => call0 as *const () as u64,
            1 => call1 as *const () as u64,
            2 => call2 as *const () as u64,
            _ => call3 as *const () as u64,
        };
        let mut args = vec![self.state, self.address(std::ptr::from_ref(helper) as u64)];
        for index in 0..operands {
            let value = self.value(inst.args[index]);
            let wide = self.zero_extend(value, I128);
            let (lo, hi) = self.split(wide);
            args.extend([lo, hi]);
        }
        let thunk = self.address(thunk);
        let call = self.b.ins().call_indirect(self.signatures.helpers[operands], thunk, &args);
        let (lo, hi) = (self.b.inst_results(call)[0], self.b.inst_results(call)[1]);
        let ty = clif_type(helper.result);
        if ty.bits() == 128 { self.concat(ty, lo, hi) } else { self.low_part(lo, ty) }
    }

    /// Puts an instruction's operands into the scratch space, in their own types.
    fn pass_operands(&mut self, inst: &Inst) {
        for (index, operand) in inst.operands().enumerate() {
            let value = self.passed(operand);
            self.b.ins().store(MemFlagsData::trusted(), value, self.state, SCRATCH + 16 * index as i32);
        }
    }

    /// The bits of an operand. A negation is made anew, so that the one which a fused multiply-add does with it is not
    /// made for a call that hardly happens; by bits, as Cranelift would make the two one again.
    fn passed(&mut self, operand: Value) -> Clif {
        let inst = self.region.inst(operand);
        if inst.op != Op::Fneg {
            return self.value(operand);
        }
        let negated = self.value(inst.args[0]);
        let lane = inst.ty.lane();
        let sign = 1 << (lane.bits() - 1);
        if inst.ty.is_vector() {
            let signs = self.splat_constant(lane, clif_type(inst.ty).as_int(), sign);
            let bits = self.cast(negated, clif_type(inst.ty).as_int());
            return self.b.ins().bxor(bits, signs);
        }
        let bits = self.as_int(negated);
        let sign = self.iconst(self.type_of(bits), sign as u64);
        self.b.ins().bxor(bits, sign)
    }

    /// Calls a stub that takes vectors out of the scratch space, leaves its result there and keeps every register.
    fn call_stub(&mut self, inst: &Inst, result: Ty, stub: u64) -> Clif {
        self.pass_operands(inst);
        let stub = self.address(stub);
        self.b.ins().call_indirect(self.signatures.settle, stub, &[self.state]);
        self.b.ins().load(clif_type(result), MemFlagsData::trusted(), self.state, SCRATCH)
    }

    /// Any pure operation that does not take or make flags, by the evaluator.
    pub(super) fn evaluate(&mut self, inst: &Inst) -> Clif {
        let state = self.state;
        let flags = MemFlagsData::trusted();
        self.pass_operands(inst);
        let from = inst.operands().next().map_or(inst.ty, |operand| self.region.ty(operand));
        let packed = self.iconst(I64, callouts::packed(inst, from));
        let stub = self.address(callouts::evaluator_address());
        self.b.ins().call_indirect(self.signatures.evaluator, stub, &[state, packed]);
        let result = inst.result().expect("a pure operation makes a value");
        self.b.ins().load(clif_type(result), flags, state, SCRATCH)
    }
}

macro_rules! thunks {
    ($($name:ident($($lo:ident $hi:ident),*) [$($arg:expr),*];)*) => { $(
        #[allow(improper_ctypes_definitions, reason = "u128 is two registers in this convention")]
        unsafe extern "sysv64" fn $name(state: StateAddress, helper: &'static Helper, $($lo: u64, $hi: u64),*) -> u128 {
            // SAFETY: translated code passes its own state, which nothing else refers to while it runs.
            let state = unsafe { &mut *state.state() };
            (helper.function)(state, [$($arg),*])
        }
    )* };
}

thunks! {
    call0() [0, 0, 0];
    call1(a b) [wide(a, b), 0, 0];
    call2(a b, c d) [wide(a, b), wide(c, d), 0];
    call3(a b, c d, e f) [wide(a, b), wide(c, d), wide(e, f)];
}

fn wide(lo: u64, hi: u64) -> u128 {
    u128::from(lo) | u128::from(hi) << 64
}
