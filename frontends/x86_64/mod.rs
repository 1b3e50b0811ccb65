//! The x86_64 guest: bytes in, operations out.
//!
//! iced-x86 decodes; its types stay in this folder. [`lift`] holds the table from mnemonics to bodies, the family
//! files hold the bodies, and [`operand`] and [`flags`] the words that the bodies are written in.
//! A body writes registers only after its last access that can fault.

mod alu;
mod atomic;
mod bits;
mod branch;
mod extended;
mod flags;
mod lift;
mod muldiv;
mod operand;
mod segment;
mod shift;
mod sse_float;
mod sse_int;
mod stack;
mod string;
mod system;
#[cfg(test)]
mod tests;
mod transcendental;
mod x87;
mod x87_unit;

use crate::lift::{Decoded, Flow, Guest, Lift, LiftError, RegionLift};
use iced_x86::{Decoder, DecoderError, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind};
use philae_ir::now::Now;
pub use segment::faults_by_stack;
pub use system::cpuid_leaf;

/// The x86_64 guest.
#[derive(Clone, Copy, Debug)]
pub struct X86_64;

impl Guest for X86_64 {
    type Insn = Instruction;
    const MAX_LENGTH: usize = 15;

    type Decoder<'c> = (Decoder<'c>, &'c [u8]);

    fn decoder(pc: u64, code: &[u8]) -> Self::Decoder<'_> {
        (Decoder::with_ip(64, code, pc, DecoderOptions::NONE), code)
    }

    fn decode_next((decoder, code): &mut Self::Decoder<'_>) -> Decoded<Instruction> {
        let rest = &code[decoder.position()..];
        let insn = decoder.decode();
        if insn.is_invalid() {
            let starved = decoder.last_error() == DecoderError::NoMoreBytes && rest.len() < Self::MAX_LENGTH;
            return if starved && may_become_valid(rest) { Decoded::Truncated } else { Decoded::Undefined };
        }
        Decoded::Insn { insn, length: insn.len() as u8, flow: flow(&insn) }
    }

    fn jump_pointer(run: &[(u64, Instruction)]) -> Option<u64> {
        let (_, insn) = run.last()?;
        let through_memory = insn.mnemonic() == Mnemonic::Jmp && insn.is_ip_rel_memory_operand();
        through_memory.then(|| insn.ip_rel_memory_address())
    }

    fn lift(insn: &Instruction, lift: &mut RegionLift<'_>) -> Result<(), LiftError> {
        lift::say(insn, lift)
    }

    fn execute(insn: &Instruction, lift: &mut Lift<Now<'_>>) -> Result<(), LiftError> {
        lift::say(insn, lift)
    }
}

/// Whether more bytes can make an instruction of a start: the decoder asks for a ModRM byte before it refuses.
fn may_become_valid(bytes: &[u8]) -> bool {
    let mut padded = [0; X86_64::MAX_LENGTH];
    padded[..bytes.len()].copy_from_slice(bytes);
    !Decoder::new(64, &padded, DecoderOptions::NONE).decode().is_invalid()
}

/// Where control goes. What iced calls a call includes SYSCALL; all of that leaves.
fn flow(insn: &Instruction) -> Flow {
    let near = insn.op0_kind() == OpKind::NearBranch64;
    match insn.flow_control() {
        FlowControl::Next => Flow::Next,
        FlowControl::UnconditionalBranch if near => Flow::Jump(insn.near_branch64()),
        FlowControl::ConditionalBranch if near => Flow::Branch(insn.near_branch64()),
        FlowControl::Call if near => Flow::Call(insn.near_branch64()),
        FlowControl::Return if insn.mnemonic() == Mnemonic::Ret => Flow::Return,
        FlowControl::IndirectBranch | FlowControl::IndirectCall => Flow::Computed,
        _ => Flow::Leave,
    }
}
