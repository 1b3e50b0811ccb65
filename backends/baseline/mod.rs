//! The baseline compiler: a [`Region`] comes in, machine code for an x86-64 host goes out, in one pass.
//!
//! It is for code that has hardly run yet: it costs little, and the guest's state is exact at every fault. Slots are
//! written where the region writes them, to memory or to the host register that they are pinned to ([`pins`]);
//! [`analysis`] drops writes that nobody sees. Values live in the other host registers ([`registers`]).
//! Comparisons, flags among them, are not computed but where somebody looks at them; what flags come from is stored in
//! their place, as [`crate::stored_flags`] says.
//!
//! A *unit* starts with its memory entry, a call of the stub that loads the pinned registers; the register entry
//! follows [`REGISTER_ENTRY`] bytes later. It counts the executions down in its link slot's count; when that is
//! negative, the unit leaves with reason `Jump` to its own pc. It refers to link slots relative to its own address:
//! [`Code::relocations`] are to be applied where the bytes are placed.

mod analysis;
mod assembler;
mod convert;
mod exits;
mod flags;
mod float;
mod integer;
mod lower;
mod memory;
mod outcall;
mod pins;
mod registers;
mod shifts;
#[cfg(test)]
mod tests;
mod vector;

use crate::compiled::{Code, CompileError};
use crate::link::{LinkSite, LinkSlot, SPILL_BYTES};
use analysis::Analysis;
use assembler::Assembler;
use lower::{Lower, Tables};
use philae_ir::opt::Exactness;
use philae_ir::state::Control;
use philae_ir::{Arch, Region};
use pins::Pins;
use registers::Registers;

pub use pins::{spill_address, store_pinned};

/// How many bytes behind the memory entry the register entry is.
pub const REGISTER_ENTRY: usize = 3;

/// Parts of the instruction set that change what is emitted.
#[derive(Clone, Copy, Debug)]
struct Features {
    /// PSHUFB, PEXTRQ, PINSRQ and the minima, maxima and extensions of SSE4.1.
    sse41: bool,
    /// LZCNT.
    lzcnt: bool,
    /// TZCNT.
    bmi1: bool,
    /// PEXT.
    bmi2: bool,
    /// POPCNT.
    popcnt: bool,
    /// VFMADD213PD and its like.
    fma: bool,
    /// VPSLLVD and its like.
    avx2: bool,
    /// VCVTPH2PS, VCVTPS2PH.
    f16c: bool,
    /// AESENC and its like.
    aes: bool,
    /// PCLMULQDQ.
    pclmulqdq: bool,
}

impl Features {
    fn detect() -> Features {
        Features {
            sse41: is_x86_feature_detected!("sse4.1") && is_x86_feature_detected!("sse4.2"),
            lzcnt: is_x86_feature_detected!("lzcnt"),
            bmi1: is_x86_feature_detected!("bmi1"),
            bmi2: is_x86_feature_detected!("bmi2"),
            popcnt: is_x86_feature_detected!("popcnt"),
            fma: is_x86_feature_detected!("fma"),
            avx2: is_x86_feature_detected!("avx2"),
            f16c: is_x86_feature_detected!("f16c"),
            aes: is_x86_feature_detected!("aes"),
            pclmulqdq: is_x86_feature_detected!("pclmulqdq"),
        }
    }
}

/// A compiler of units, to be reused: it keeps its memory from one unit to the next.
#[derive(Debug)]
pub struct Compiler {
    features: Features,
    analysis: Analysis,
    assembler: Assembler,
    registers: Registers,
    tables: Tables,
    code: Code,
}

impl Compiler {
    /// A compiler of a guest's units for the processor that it runs on.
    pub fn new(arch: Arch) -> Compiler {
        Compiler {
            features: Features::detect(),
            analysis: Analysis::default(),
            assembler: Assembler::default(),
            registers: Registers::new(Pins::of(arch)),
            tables: Tables::default(),
            code: Code::default(),
        }
    }

    /// Compiles `region`. `links` gives the link slot of each exit to a constant pc, `own` is the slot of the unit
    /// itself, `count` the address of its count. The code is to be copied before the next unit is compiled. An error says
    /// that the region needs something that this compiler does not do.
    pub fn compile(
        &mut self,
        region: &Region,
        exactness: Exactness,
        links: &mut dyn FnMut(LinkSite) -> *const LinkSlot,
        own: *const LinkSlot,
        count: u64,
    ) -> Result<&mut Code, CompileError> {
        self.analysis.analyse(region, exactness, Pins::of(region.arch));
        self.assembler.bytes.clear();
        self.tables.clear();
        let lower = Lower {
            region,
            analysis: &self.analysis,
            asm: &mut self.assembler,
            registers: &mut self.registers,
            tables: &mut self.tables,
            features: self.features,
            links,
            pc: region.pc,
            block: 0,
        };
        lower.run(own, count)?;
        // The buffers change places: what is returned stays until the next unit.
        std::mem::swap(&mut self.code.bytes, &mut self.assembler.bytes);
        std::mem::swap(&mut self.code.faults, &mut self.tables.faults);
        std::mem::swap(&mut self.code.relocations, &mut self.tables.relocations);
        Ok(&mut self.code)
    }
}

/// Fills in where code of a guest finds the stubs that it calls and jumps to.
pub fn prepare(control: &mut Control, arch: Arch) {
    control.stubs = pins::stubs(arch);
}
