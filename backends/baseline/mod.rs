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
//! [`Code::relocations`] are to be applied where the bytes are placed, at a multiple of [`ALIGNMENT`].
//!
//! Exits lead through link slots, or straight to register entries ([`Code::exits`]). Who comes to the register entry of a
//! unit that is not to be run any more is sent through its link slot: [`closed`], [`open`].

mod analysis;
mod assembler;
pub mod bridge;
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
use crate::known_features::Features;
use crate::link::{LinkSite, LinkSlot, SPILL_BYTES, THROUGH_SLOT};
use analysis::Analysis;
use assembler::Assembler;
use lower::{Lower, Tables};
use philae_ir::opt::Exactness;
use philae_ir::state::Control;
use philae_ir::went::NOBODYS;
use philae_ir::{Arch, Region};
use pins::Pins;
use registers::Registers;

pub use pins::{spill_address, store_pinned};

/// How many bytes behind the memory entry the register entry is.
pub const REGISTER_ENTRY: usize = 3;
/// What the address of a unit is a multiple of.
pub const ALIGNMENT: usize = 8;
/// Bytes that all units start with: the call of the memory entry, the count, and the jump to what leaves for the own pc.
pub const HEAD: usize = 16;

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
            merged: None,
        };
        self.code.far = lower.run(own, count)?;
        // The buffers change places: what is returned stays until the next unit.
        std::mem::swap(&mut self.code.bytes, &mut self.assembler.bytes);
        std::mem::swap(&mut self.code.faults, &mut self.tables.faults);
        std::mem::swap(&mut self.code.relocations, &mut self.tables.relocations);
        std::mem::swap(&mut self.code.exits, &mut self.tables.exits);
        std::mem::swap(&mut self.code.far_fields, &mut self.tables.far_fields);
        Ok(&mut self.code)
    }
}

/// The first eight bytes of a unit, by its head, when its register entry is to go on through its own link slot. They can be
/// stored while it runs.
pub fn closed(head: [u8; HEAD]) -> u64 {
    // The last field leads from the end of the head to what is behind the jump through the own link slot.
    let hot = i32::from_le_bytes([head[12], head[13], head[14], head[15]]);
    replaced(head, hot + (HEAD - THROUGH_SLOT) as i32)
}

/// The same when its register entry is to go on at another one, so far from the unit.
pub fn replaced(head: [u8; HEAD], distance: i32) -> u64 {
    // A jump counts from its end.
    let [d0, d1, d2, d3] = (distance - 8).to_le_bytes();
    u64::from_le_bytes([head[0], head[1], head[2], 0xe9, d0, d1, d2, d3])
}

/// The first eight bytes of the unit at `unit`, by its head and the address of its count, when its register entry is to
/// run it.
pub fn open(head: [u8; HEAD], unit: u64, count: u64) -> u64 {
    // `sub dword [count], 1`, whose displacement is from its end and has a byte behind these eight.
    let [d0, d1, d2, _] = (count.wrapping_sub(unit + 10) as i32).to_le_bytes();
    u64::from_le_bytes([head[0], head[1], head[2], 0x83, 0x2d, d0, d1, d2])
}

/// Fills in where code of a guest finds the stubs that it calls and jumps to, and what nobody reads of what it notes.
pub fn prepare(control: &mut Control, arch: Arch) {
    control.stubs = pins::stubs(arch);
    control.went = NOBODYS.address();
}
