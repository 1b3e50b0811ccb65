//! The way from baseline code into code of another compiler: a register entry for what has a memory entry alone.
//!
//! Baseline code could as well go through the link slot's stub, but that is one indirect jump for all there is to go to,
//! which processors hardly ever foretell.

use super::assembler::{Assembler, Gpr, Mem, Width};
use super::exits::through_slot;
use super::pins::{FIRST, Pins};
use super::registers::{STATE, slot_mem};
use crate::compiled::{Code, Relocation};
use crate::link::LinkSlot;
use philae_ir::state::displacement;
use philae_ir::{Arch, CpuState};
use std::mem::offset_of;

const HOST_STACK: Mem = Mem::At(STATE, displacement(offset_of!(CpuState, ctl.host_stack)));

/// What the address of a bridge is a multiple of.
const ALIGNMENT: usize = 8;
/// How many bytes there are before the jump through the slot that a closed bridge goes to: RBP, the pinned registers, and
/// the jump to the memory entry.
const BYPASS_AT: usize = 7 + 8 * 4 + 5;
/// Bytes of the jump that closes it.
const JUMP: usize = 5;

/// Puts a bridge behind finished code for a guest that is reached through `slot`, and gives where it starts. The code is
/// to be placed at a multiple of eight.
pub fn append(code: &mut Code, arch: Arch, slot: *const LinkSlot) -> usize {
    let mut asm = Assembler::default();
    std::mem::swap(&mut asm.bytes, &mut code.bytes);
    asm.bytes.resize(asm.position().next_multiple_of(ALIGNMENT), 0xcc);
    let start = asm.position();
    // First, as it is longer than the jump that may take its place: see `closed`.
    asm.load(Width::Q, Gpr::RBP, HOST_STACK);
    for (number, &pinned) in Pins::of(arch).slots.iter().enumerate() {
        asm.store(Width::Q, slot_mem(pinned), Gpr((FIRST + number) as u8));
    }
    let field = asm.jmp();
    asm.patch(field, code.entry);
    debug_assert_eq!(asm.position() - start, BYPASS_AT);
    let field = through_slot(&mut asm);
    code.relocations.push(Relocation { offset: field as u32, target: slot as u64 });
    std::mem::swap(&mut asm.bytes, &mut code.bytes);
    start
}

/// The first eight bytes of a bridge, from what they are now, when those who come to it are to go on through the link
/// slot. They can be stored while it runs.
pub fn closed(start: [u8; 8]) -> u64 {
    let [.., last] = start;
    let [d0, d1, d2, d3] = ((BYPASS_AT - JUMP) as i32).to_le_bytes();
    u64::from_le_bytes([0xe9, d0, d1, d2, d3, 0x90, 0x90, last])
}
