//! Guest bytes in, regions out, or their effect at once. Decoders stay behind this crate's doors.
//!
//! [`lift_region`] finds the instructions that belong to a region and has the guest's own folder say the
//! meaning of each; what an instruction does is written there and nowhere else. [`execute_block`] has it done at once.

#![forbid(unsafe_code)]

pub mod aarch64;
mod execute;
mod graph;
mod lift;
pub mod x86_64;

pub use lift::{Decoded, Flow, Guest, Lift, LiftError, RegionLift};

use philae_ir::now::{Now, Outcome};
use philae_ir::{Arch, Region, Sink};
use std::ops::Range;

/// Reads guest code: fills `buffer` with what can be fetched from an address on and says how many bytes that is.
pub type Fetch<'a> = &'a mut dyn FnMut(u64, &mut [u8]) -> usize;

/// What a [`Fetch`] from `pc` on does where `code` lies at `start` and nothing else is.
pub fn fetch_from(code: &[u8], start: u64, pc: u64, buffer: &mut [u8]) -> usize {
    let rest = code.get(pc.wrapping_sub(start) as usize..).unwrap_or_default();
    let length = rest.len().min(buffer.len());
    buffer[..length].copy_from_slice(&rest[..length]);
    length
}

/// Which instructions a region takes in.
#[derive(Clone, Copy)]
pub enum Shape<'a> {
    /// One instruction.
    Instruction,
    /// From the entry to the first transfer of control, `limit` instructions at most.
    Block {
        /// The most instructions.
        limit: usize,
        /// How the guest may change them.
        changes: Changes,
    },
    /// What direct jumps and branches reach from the entry, and the functions called there.
    Graph {
        /// The most instructions.
        limit: usize,
        /// Whether a block that starts at this address is worth taking in.
        wanted: &'a dyn Fn(u64) -> bool,
        /// Whether a function that starts at this address is worth taking in where it is called, or a block of it.
        called: &'a dyn Fn(u64) -> bool,
        /// Whether straight code ends in front of this address, for what follows is a region of its own, or better starts
        /// one than what comes later. It may go on for half as many instructions as the limit when that is reached.
        ends: &'a dyn Fn(u64, Room) -> bool,
        /// The pointer at this address of the guest's memory, if it may be what a jump through it finds again.
        pointer: &'a dyn Fn(u64) -> Option<u64>,
        /// Where the jump to a computed address at this one went, if it may go there again.
        went: &'a dyn Fn(u64) -> Option<u64>,
    },
}

/// Whether a region has as many instructions as it is to have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Room {
    /// Not yet.
    Left,
    /// It has.
    Used,
}

/// How a guest changes its code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Changes {
    /// It tells, or is caught at it: what was lifted is forgotten then.
    Announced,
    /// It may just write. The block starts by comparing its own bytes, and leaves with
    /// [`philae_ir::ExitReason::StaleCode`] at its own pc, which is the argument too, if they are others; and it ends
    /// behind the first instruction that writes to memory, because that may write to the next.
    Unannounced,
    /// The same, where the block runs at once, and once: it compares nothing.
    AtOnce,
}

/// What [`lift_region`] took in.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    /// How many guest instructions.
    pub instructions: usize,
    /// The bytes they occupy, sorted, merged.
    pub ranges: Vec<Range<u64>>,
    /// Where the blocks of a [`Shape::Graph`] start, the entry first, without those of functions that it calls.
    pub blocks: Vec<u64>,
}

/// A straight run of instructions that was lifted.
#[derive(Clone, Debug)]
pub struct Run {
    /// How many guest instructions.
    pub instructions: usize,
    /// The bytes they occupy.
    pub range: Range<u64>,
}

impl From<Run> for Coverage {
    fn from(run: Run) -> Coverage {
        Coverage { instructions: run.instructions, ranges: vec![run.range], blocks: Vec::new() }
    }
}

/// Lifts the region that `shape` describes at `pc`. The result always has exits: what cannot be decoded or is
/// not implemented becomes an [`philae_ir::ExitReason::Undefined`] at its own address.
pub fn lift_region(arch: Arch, pc: u64, shape: Shape<'_>, fetch: Fetch<'_>) -> (Region, Coverage) {
    let mut region = Region::new(arch, pc);
    let coverage = lift_into(&mut region, shape, fetch);
    (region, coverage)
}

/// Does what [`lift_region`] does in an empty region, for its guest and its address.
pub fn lift_into(region: &mut Region, shape: Shape<'_>, fetch: Fetch<'_>) -> Coverage {
    match region.arch {
        Arch::Aarch64 => lift::lift::<aarch64::Aarch64>(region, shape, fetch),
        Arch::X86_64 => lift::lift::<x86_64::X86_64>(region, shape, fetch),
    }
}

/// What [`lift_into`] does for a [`Shape::Block`], without taking memory.
pub fn lift_block(region: &mut Region, limit: usize, changes: Changes, fetch: Fetch<'_>) -> Run {
    match region.arch {
        Arch::Aarch64 => lift::block::<aarch64::Aarch64>(region, limit, changes, fetch),
        Arch::X86_64 => lift::block::<x86_64::X86_64>(region, limit, changes, fetch),
    }
}

/// Executes at once what [`lift_block`] would append to the region whose settings `now` has.
pub fn execute_block(now: Now<'_>, limit: usize, changes: Changes, fetch: Fetch<'_>) -> (Run, Outcome) {
    match now.region().arch {
        Arch::Aarch64 => execute::block::<aarch64::Aarch64>(now, limit, changes, fetch),
        Arch::X86_64 => execute::block::<x86_64::X86_64>(now, limit, changes, fetch),
    }
}

/// How many bytes the instruction at the start of `bytes` has, or `None` if it is no instruction.
pub fn instruction_length(arch: Arch, pc: u64, bytes: &[u8]) -> Option<u8> {
    let length = match arch {
        Arch::Aarch64 => decoded_length::<aarch64::Aarch64>(pc, bytes),
        Arch::X86_64 => decoded_length::<x86_64::X86_64>(pc, bytes),
    };
    length.filter(|&length| usize::from(length) <= bytes.len())
}

fn decoded_length<G: Guest>(pc: u64, bytes: &[u8]) -> Option<u8> {
    match G::decode(pc, bytes) {
        Decoded::Insn { length, .. } => Some(length),
        Decoded::Undefined | Decoded::Truncated => None,
    }
}
