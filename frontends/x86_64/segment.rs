//! Through which segment an instruction accesses memory: addresses that are not canonical fault by it (SDM volume 3,
//! 6.15, interrupts 12 and 13).

use iced_x86::{Code, Decoder, DecoderOptions, OpKind, Register};
use philae_ir::CpuState;
use philae_ir::state::x86_64::GPR;

/// Whether the instruction at the start of `code`, which has failed at an address that is not canonical, has done so in the
/// stack segment: by an operand based on RSP or RBP, or by pushing, popping, calling or returning where RSP is no address.
pub fn faults_by_stack(code: &[u8], cpu: &CpuState) -> bool {
    let insn = Decoder::new(64, code, DecoderOptions::NONE).decode();
    let has_operand = (0..insn.op_count()).any(|number| insn.op_kind(number) == OpKind::Memory);
    // LEAVE takes RBP for the stack pointer first.
    let top = cpu.get(GPR[if insn.code() == Code::Leaveq { 5 } else { 4 }]);
    let has_stack = is_canonical(top) && is_canonical(top.wrapping_sub(8));
    // The prefixes of the other segments mean nothing in 64-bit mode.
    let is_prefixed = matches!(insn.memory_segment(), Register::FS | Register::GS);
    let on_stack = matches!(insn.memory_base(), Register::RSP | Register::RBP | Register::ESP | Register::EBP);
    has_operand && on_stack && !is_prefixed || insn.is_stack_instruction() && !has_stack
}

fn is_canonical(address: u64) -> bool {
    (address << 16) as i64 >> 16 == address as i64
}
