//! The aarch64 guest: instruction words in, operations out.
//!
//! [`lift`] holds one row per instruction: its pattern of bits and its body. A word that no row fits is undefined,
//! and so is one whose body finds its operands reserved.

mod atomic;
mod bfloat;
mod bitfield;
mod branch;
mod crypto;
mod data;
mod decode;
mod exact;
mod features;
mod flags;
mod float;
mod flushing;
mod half;
mod half_lanes;
mod helpers;
mod landing;
mod lift;
mod loadstore;
mod operand;
mod pauth;
mod sha;
mod simd;
mod simd_arith;
mod simd_complex;
mod simd_dot;
mod simd_estimate;
mod simd_float;
mod simd_memory;
mod simd_permute;
mod simd_shift;
mod simd_wide;
mod sm;
mod softfloat;
mod system;
#[cfg(test)]
mod tests;
mod word;

use crate::lift::{Decoded, Guest, Lift, LiftError, RegionLift};
use features::Known;
use lift::Target;
use philae_ir::now::Now;
use word::Word;

/// The aarch64 guest.
#[derive(Clone, Copy, Debug)]
pub struct Aarch64;

/// Takes one word after another.
#[derive(Clone, Copy, Debug)]
pub struct Words<'c> {
    pc: u64,
    code: &'c [u8],
}

/// A decoded instruction: its word and its body.
#[derive(Clone, Copy, Debug)]
pub struct Insn {
    word: Word,
    row: &'static lift::Row,
}

/// An instruction of the table, or a family of them that share a row: what tests draw encodings from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Class {
    /// Its name in the Arm ARM.
    pub name: &'static str,
    /// The fixed bits.
    pub mask: u32,
    /// What they are.
    pub value: u32,
}

impl Class {
    fn of(row: &lift::Row) -> Class {
        Class { name: row.name, mask: row.mask, value: row.value }
    }
}

/// Every class, in the order of the table.
pub fn classes() -> impl Iterator<Item = Class> {
    lift::ROWS.iter().map(Class::of)
}

/// The class that `word` belongs to, if it has one; its operands may still be reserved.
pub fn class_of(word: u32) -> Option<Class> {
    decode::find(Word(word)).map(Class::of)
}

impl Guest for Aarch64 {
    type Insn = Insn;
    const MAX_LENGTH: usize = 4;

    type Decoder<'c> = Words<'c>;

    fn decoder(pc: u64, code: &[u8]) -> Words<'_> {
        Words { pc, code }
    }

    fn decode_next(words: &mut Words<'_>) -> Decoded<Insn> {
        let Some((&bytes, rest)) = words.code.split_first_chunk() else { return Decoded::Truncated };
        let (pc, word) = (words.pc, Word(u32::from_le_bytes(bytes)));
        *words = Words { pc: pc.wrapping_add(4), code: rest };
        match decode::find(word) {
            Some(row) => Decoded::Insn { insn: Insn { word, row }, length: 4, flow: branch::flow(pc, word) },
            None => Decoded::Undefined,
        }
    }

    fn jump_pointer(run: &[(u64, Insn)]) -> Option<u64> {
        branch::jump_pointer(run.iter().map(|&(pc, insn)| (pc, insn.word)))
    }

    fn lift(insn: &Insn, lift: &mut RegionLift<'_>) -> Result<(), LiftError> {
        say(insn, lift)
    }

    fn lift_arrival(insn: &Insn, lift: &mut RegionLift<'_>) -> Result<(), LiftError> {
        landing::say(insn, lift)
    }

    fn execute(insn: &Insn, lift: &mut Lift<Now<'_>>) -> Result<(), LiftError> {
        say(insn, lift)
    }

    fn execute_arrival(insn: &Insn, lift: &mut Lift<Now<'_>>) -> Result<(), LiftError> {
        landing::say(insn, lift)
    }
}

/// Says what an instruction means on the processor that there is.
fn say(insn: &Insn, lift: &mut Lift<impl Target>) -> Result<(), LiftError> {
    match features::known(lift.b.region().processor.features, insn.row, insn.word) {
        Known::Yes => Target::run(insn.row, insn.word, lift),
        Known::AsHint => Ok(()),
        Known::No => Err(LiftError::Undefined),
    }
}
