//! The ways into code of another compiler that the cache adds to it: a register entry for baseline code, and what sends
//! elsewhere who comes straight to code that is out of use.
//!
//! Baseline code could as well go through the link slot's stub, but that is one indirect jump for all there is to go to,
//! which processors hardly ever foretell.

use super::assembler::{Assembler, Gpr, Mem, Width};
use super::pins::{FIRST, PINNED, Pins};
use super::registers::{STATE, slot_mem};
use crate::compiled::{Code, Relocation};
use crate::link::{Entry, LinkSlot, THROUGH_SLOT, through_slot};
use philae_ir::state::displacement;
use philae_ir::{Arch, CpuState};
use std::mem::offset_of;

const HOST_STACK: Mem = Mem::At(STATE, displacement(offset_of!(CpuState, ctl.host_stack)));

/// Bytes of a row that is written at once.
const ROW: usize = 8;
/// Bytes of the jump that closes an entry: no more than its first instruction has.
const JUMP: usize = 5;
/// How far behind the start of a bridge who comes to it when it is closed goes on, with a jump through the link slot:
/// behind the load of RBP, the stores of the pinned registers, and the jump to the memory entry.
const REGISTERS_THROUGH: usize = 7 + PINNED * 4 + JUMP;
/// The same for the memory entry.
const MEMORY_THROUGH: usize = REGISTERS_THROUGH + THROUGH_SLOT;

/// Puts a bridge behind finished code for a guest that is reached through `slot`, and gives where it starts. The code is
/// to be placed at a multiple of eight, and to start with an instruction of five bytes at least.
pub fn append(code: &mut Code, arch: Arch, slot: *const LinkSlot) -> usize {
    let mut asm = Assembler::default();
    std::mem::swap(&mut asm.bytes, &mut code.bytes);
    asm.bytes.resize(asm.position().next_multiple_of(ROW), 0xcc);
    let start = asm.position();
    // First, as it is longer than the jump that may take its place.
    asm.load(Width::Q, Gpr::RBP, HOST_STACK);
    for (number, &pinned) in Pins::of(arch).slots.iter().enumerate() {
        asm.store(Width::Q, slot_mem(pinned), Gpr((FIRST + number) as u8));
    }
    let field = asm.jmp();
    asm.patch(field, 0);
    for (entry, at) in [(Entry::Register, REGISTERS_THROUGH), (Entry::Memory, MEMORY_THROUGH)] {
        debug_assert_eq!(asm.position() - start, at);
        let field = through_slot(&mut asm.bytes, entry);
        code.relocations.push(Relocation { offset: field as u32, target: slot as u64 });
    }
    std::mem::swap(&mut asm.bytes, &mut code.bytes);
    start
}

/// The first eight bytes of an entry, from what they are now, when those who come to it are to go on through the link
/// slot; `bridge` is how far behind it the bridge starts. They can be stored while it runs.
pub fn closed(entry: Entry, start: [u8; ROW], bridge: usize) -> u64 {
    let through = match entry {
        Entry::Register => REGISTERS_THROUGH,
        Entry::Memory => bridge + MEMORY_THROUGH,
    };
    let [d0, d1, d2, d3] = ((through - JUMP) as i32).to_le_bytes();
    // The last may belong to the second instruction, which somebody may have come to.
    u64::from_le_bytes([0xe9, d0, d1, d2, d3, 0x90, 0x90, start[ROW - 1]])
}
