//! The Cranelift backend: a [`Region`] comes in, relocation-free machine code for this host goes out.
//!
//! One region is one function `(state: &mut CpuState, link)` of the `tail` calling convention. The bytes may be
//! copied anywhere; they start with the memory entry of [`crate::link`], whose contract they keep, and its first instruction
//! is long enough for a jump in its place.
//!
//! A host fault inside the bytes is at one of [`Code::faults`]; the signal handler continues at its recovery, or if it has
//! none at [`fault_exit_address`](crate::link::fault_exit_address), with the state's address in the first argument register,
//! and [`enter`](crate::link::enter) returns. With [`Recovery::Never`] there are no recoveries.
//!
//! What must hold: the region verifies, and addresses given by the caller of [`Compiler::compile`] outlive the code.

mod carries;
mod compaction;
mod exits;
mod flags;
mod float;
mod instructions;
mod loops;
mod lower;
mod memory;
mod outcall;
mod places;
mod recovery;
mod recovery_branch;
mod rounds;
mod scalar;
mod stand_ins;
mod status;
mod stored_flags;
#[cfg(test)]
mod tests;
mod vector;
mod x86_64;

pub use crate::compiled::{Code, CompileError, FaultSite};
pub use philae_ir::opt::Exactness;

use crate::link::{LinkSite, LinkSlot};
use compaction::Input;
use cranelift_codegen::Context;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::{AbiParam, Function, Opcode, Signature, SourceLoc, Type, types};
use cranelift_codegen::isa::{CallConv, OwnedTargetIsa};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use lower::{Lower, Lowered, PREFETCH};
use philae_ir::{Region, Ty};
use places::Plan;
use recovery::{Failures, Recoveries};
use stand_ins::OPERAND;
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use x86_64::Forms;

/// What code is to be aligned to: short loops do not straddle cache lines then.
pub const ALIGNMENT: usize = compaction::LINE;

/// Bytes of the instruction that does nothing with which code begins that does not count its entries: who comes straight
/// to code that goes out of use is sent elsewhere by a jump in its place.
const LEAD: usize = 8;

/// How to compile.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Options {
    /// What must hold at a fault.
    pub exactness: Exactness,
    /// The address of the count that goes down with each entry; below 0 the code leaves at once, for whoever makes
    /// better code of what runs so often.
    pub counter: Option<u64>,
}

/// What exact accesses in loops do about their faults.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Recovery {
    /// As all others: they write the guest's registers back first.
    Never,
    /// They have code of their own for it.
    InLoops,
}

/// A compiler of regions, to be reused: it keeps its memory from one region to the next.
pub struct Compiler {
    isa: OwnedTargetIsa,
    features: x86_64::Features,
    /// For regions with instructions that have no form of three operands.
    legacy: (OwnedTargetIsa, x86_64::Features),
    recovery: Recovery,
    context: Context,
    builder: FunctionBuilderContext,
    control: ControlPlane,
}

impl Compiler {
    /// A compiler for the processor that it runs on, whose accesses do not recover.
    pub fn new() -> Compiler {
        Compiler::with_recovery(Recovery::Never)
    }

    /// A compiler for the processor that it runs on.
    pub fn with_recovery(recovery: Recovery) -> Compiler {
        let (isa, features) = x86_64::host_isa(Forms::All);
        Compiler {
            isa,
            features,
            legacy: x86_64::host_isa(Forms::Legacy),
            recovery,
            context: Context::new(),
            builder: FunctionBuilderContext::new(),
            control: ControlPlane::default(),
        }
    }

    /// Compiles `region`. `links` gives the link slot of each exit to a constant pc; it may be asked more than once
    /// for an exit, and may give the same slot for equal sites.
    pub fn compile(
        &mut self,
        region: &Region,
        options: Options,
        links: &mut dyn FnMut(LinkSite) -> *const LinkSlot,
    ) -> Result<Code, CompileError> {
        // Cranelift panics for types that it has no rule for.
        let result = catch_unwind(AssertUnwindSafe(|| self.compile_region(region, options, links)));
        result.unwrap_or_else(|panic| {
            self.builder = FunctionBuilderContext::new();
            self.context = Context::new();
            let message = panic.downcast_ref::<String>().cloned();
            let message = message.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(CompileError::Cranelift(message.unwrap_or_default()))
        })
    }

    /// The CLIF of the last region compiled, for dumps.
    pub fn clif_text(&self) -> String {
        self.context.func.display().to_string()
    }

    fn compile_region(
        &mut self,
        region: &Region,
        options: Options,
        links: &mut dyn FnMut(LinkSite) -> *const LinkSlot,
    ) -> Result<Code, CompileError> {
        let mut failures = Failures::default();
        let is_legacy = self.legacy.1.sha && region.helpers.iter().any(|helper| stand_ins::is_legacy(helper));
        let forms = if is_legacy { Forms::Legacy } else { Forms::All };
        loop {
            let plan = Plan::new(region, options.exactness, self.recovery, &failures);
            let lowered = self.lower(region, &plan, options.counter, forms, links)?;
            match self.emit(&plan, &lowered, options.counter, forms)? {
                Ok(code) => return Ok(code),
                Err(more) => failures.extend(more),
            }
        }
    }

    /// Builds the function.
    fn lower(
        &mut self,
        region: &Region,
        plan: &Plan,
        counter: Option<u64>,
        forms: Forms,
        links: &mut dyn FnMut(LinkSite) -> *const LinkSlot,
    ) -> Result<Lowered, CompileError> {
        self.context.clear();
        let mut signature = Signature::new(CallConv::Tail);
        signature.params = vec![AbiParam::new(types::I64); 2];
        self.context.func.signature = signature;
        let builder = FunctionBuilder::new(&mut self.context.func, &mut self.builder);
        let (isa, features) = match forms {
            Forms::All => (&self.isa, self.features),
            Forms::Legacy => (&self.legacy.0, self.legacy.1),
        };
        let lowered = Lower::new(region, plan, builder, features, links).run(&**isa, counter);
        if lowered.is_err() {
            self.builder = FunctionBuilderContext::new();
        }
        lowered
    }

    /// Compiles the function; returns the code, or the accesses that cannot recover as they were to.
    fn emit(
        &mut self,
        plan: &Plan,
        lowered: &Lowered,
        counter: Option<u64>,
        forms: Forms,
    ) -> Result<Result<Code, Failures>, CompileError> {
        let isa = match forms {
            Forms::All => &self.isa,
            Forms::Legacy => &self.legacy.0,
        };
        let compiled = self.context.compile(&**isa, &mut self.control);
        compiled.map_err(|error| CompileError::Cranelift(format!("{:?}", error.inner)))?;
        let tail_jumps = tail_jumps(&self.context.func);
        let compiled = self.context.compiled_code().expect("it was just compiled");
        if !compiled.buffer.relocs().is_empty() {
            return Err(CompileError::Cranelift("the code needs relocations".to_owned()));
        }
        let mut bytes = compiled.code_buffer().to_vec();
        let ends = compiled.buffer.call_sites().map(|site| site.ret_addr);
        let entry = x86_64::drop_frames(&mut bytes, ends, tail_jumps)?;
        let mut accesses = Vec::with_capacity(compiled.buffer.traps().len());
        for trap in compiled.buffer.traps() {
            if trap.code == PREFETCH {
                x86_64::make_prefetch(&mut bytes[trap.offset as usize..])?;
                continue;
            }
            let code = usize::from(trap.code.as_raw().get());
            let Some(&(pc, recovers)) = lowered.fault_pcs.get(code - 1) else { continue };
            accesses.push((trap.offset as usize, pc, recovers));
        }
        let locations = compiled.buffer.get_srclocs_sorted().iter();
        let locations: Vec<_> =
            locations.map(|location| (location.start as usize..location.end as usize, location.loc)).collect();
        for (range, location) in &locations {
            if let Some(stand_in) = stand_ins::stand_in(&lowered.stand_ins, *location) {
                x86_64::replace_stand_in(&mut bytes[range.clone()], stand_in)?;
            }
        }
        let recovering = accesses.iter().filter(|&&(_, _, recovers)| recovers).map(|&(offset, ..)| offset);
        match Recoveries::find(&bytes, recovering, &locations, plan)? {
            Ok(recoveries) => Finished { bytes, entry, accesses, counter }.compact(&recoveries, &locations).map(Ok),
            Err(failed) => Ok(Err(failed)),
        }
    }
}

/// A function whose instructions are the right ones.
struct Finished {
    bytes: Vec<u8>,
    /// Where it is entered.
    entry: usize,
    /// The accesses that may fault: where each is, the guest's pc, and whether it has code of its own for its fault.
    accesses: Vec<(usize, u64, bool)>,
    /// The address of the count that it starts with.
    counter: Option<u64>,
}

impl Finished {
    /// Its code, made shorter.
    fn compact(self, recoveries: &Recoveries, locations: &[(Range<usize>, SourceLoc)]) -> Result<Code, CompileError> {
        let Finished { bytes: old, entry, accesses, counter } = self;
        let operands = locations.iter().filter(|(_, location)| location.bits() == OPERAND);
        let operands = operands.map(|(range, _)| range.start).collect();
        let never_taken = recoveries.branches();
        // The count's instruction is long enough for a jump in its place.
        let lead = if counter.is_some() { 0 } else { LEAD };
        let input = Input { bytes: &old, entry, operands: &operands, never_taken: &never_taken, counter, lead };
        let mut compact = compaction::compact(&input)?;
        if never_taken.keys().any(|&test| compact.place(test).is_none()) {
            return Err(CompileError::Cranelift("a branch is not where it was found".to_owned()));
        }
        if counter.is_some() && !compact.counts() {
            return Err(CompileError::Cranelift("it does not start with its count".to_owned()));
        }
        let mut bytes = std::mem::take(&mut compact.bytes);
        let mut faults: Vec<_> = Vec::with_capacity(accesses.len());
        for (access, pc, _) in accesses {
            if let Some(offset) = compact.place(access) {
                let recovery = recoveries.place(access, &old, &mut bytes, |offset| compact.place(offset));
                faults.push(FaultSite { offset: offset as u32, recovery, pc });
            }
        }
        faults.sort_unstable_by_key(|site| site.offset);
        Ok(Code { bytes, faults, relocations: compact.relocations, exits: compact.exits, ..Code::default() })
    }
}

impl Default for Compiler {
    fn default() -> Self {
        Compiler::new()
    }
}

impl fmt::Debug for Compiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiler").field("features", &self.features).finish_non_exhaustive()
    }
}

/// How many tail jumps a function has, once what cannot be reached is gone.
fn tail_jumps(function: &Function) -> usize {
    let ends = function.layout.blocks().filter_map(|block| function.layout.last_inst(block));
    ends.filter(|&inst| function.dfg.insts[inst].opcode() == Opcode::ReturnCallIndirect).count()
}

/// The CLIF type of values of a type; vectors without a shape are bytes, flags are not values of their own.
fn clif_type(ty: Ty) -> Type {
    match ty {
        Ty::I8 => types::I8,
        Ty::I16 => types::I16,
        Ty::I32 | Ty::Flags => types::I32,
        Ty::I64 => types::I64,
        Ty::I128 => types::I128,
        Ty::F32 => types::F32,
        Ty::F64 => types::F64,
        Ty::V128 | Ty::I8X16 => types::I8X16,
        Ty::I16X8 => types::I16X8,
        Ty::I32X4 => types::I32X4,
        Ty::I64X2 => types::I64X2,
        Ty::F32X4 => types::F32X4,
        Ty::F64X2 => types::F64X2,
    }
}
