//! The ways into a unit and out of it: its entries, link slots, the jump cache, and back to the host.

use super::assembler::{Alu, Cc, Gpr, Mem, Rm, Shift, Width};
use super::lower::{Cold, Far, Lower, regs};
use super::pins::Stub;
use super::registers::{Context, STATE, slot_mem};
use crate::compiled::{ExitSite, Relocation};
use crate::link::{
    Entry, JUMP_CACHE_DOWN, JUMP_CACHE_SCALE, JUMP_CACHE_WAYS, JumpCacheEntry, LinkSite, LinkSlot, jump_through_slot,
    load_slot, through_slot,
};
use philae_ir::state::{PC, displacement};
use philae_ir::went::{Place, Went};
use philae_ir::{BlockId, CpuState, ExitReason, Op, Pc, Value};
use std::mem::offset_of;

const EXIT_REASON: Mem = Mem::At(STATE, displacement(offset_of!(CpuState, ctl.exit_reason)));
const EXIT_ARGUMENT: Mem = Mem::At(STATE, displacement(offset_of!(CpuState, ctl.exit_argument)));
const JUMP_CACHE: Mem = Mem::At(STATE, displacement(offset_of!(CpuState, ctl.jump_cache)));
const JUMP_CACHE_MASK: Mem = Mem::At(STATE, displacement(offset_of!(CpuState, ctl.jump_cache_mask)));
const WENT: Mem = Mem::At(STATE, displacement(offset_of!(CpuState, ctl.went)));
/// Where [`Lower::looked_up_exit`] has how far into [`CACHE`] the first entry is that may be the one.
const INDEX: Gpr = Gpr::RCX;
/// Where it has the jump cache.
const CACHE: Gpr = Gpr::RDX;
const _: () = assert!(JUMP_CACHE_SCALE == 3, "Mem::Eightfold");
const POLL: Mem = Mem::At(STATE, displacement(offset_of!(CpuState, ctl.poll)));

/// `call [rdi + Stub::Load]`; `sub dword [rip], 1`; `js`: what units start with.
const ENTRIES: [u8; super::HEAD] = {
    let Mem::At(STATE, load) = Stub::Load.mem() else { panic!("stubs are in the state") };
    assert!(load == load as i8 as i32);
    [0xff, 0x57, load as u8, 0x83, 0x2d, 0, 0, 0, 0, 1, 0x0f, 0x88, 0, 0, 0, 0]
};
/// Where the displacement of the count is in it.
const ENTRIES_COUNT: usize = 5;
impl Lower<'_> {
    /// The memory entry, the register entry, and the count.
    pub(super) fn entries(&mut self, own: *const LinkSlot, count: u64) {
        self.asm.fixed(ENTRIES);
        // The displacement is followed by the immediate, one byte, from whose end it counts.
        self.relocate(ENTRIES_COUNT, count - 1);
        let from = super::HEAD - 4;
        self.tables.far.push(Far::Hot { from, own: own as u64 });
    }

    fn relocate(&mut self, offset: usize, target: u64) {
        self.tables.relocations.push(Relocation { offset: offset as u32, target });
    }

    /// Whether someone asks the thread to leave: what `Op::PollPending` looks at.
    pub(super) fn compare_poll(&mut self) -> Cc {
        self.asm.alu_imm(Width::D, Alu::Cmp, Rm::Mem(POLL), 0);
        Cc::Ne
    }

    /// Leaves the unit.
    pub(super) fn exit(&mut self, reason: ExitReason, pc: Pc, argument: Value) {
        match pc {
            Pc::Const(pc) if reason.is_jump() => self.linked_exit(LinkSite { pc, reason }),
            Pc::Dynamic(pc) if reason.is_jump() => self.looked_up_exit(reason, pc),
            Pc::Const(pc) if reason == ExitReason::Interrupted => {
                let slot = (self.links)(LinkSite { pc, reason: ExitReason::Jump });
                self.leave_for(slot as u64, reason);
            }
            Pc::Const(pc) => {
                self.store_argument(argument);
                self.asm.mov_imm(Gpr::RAX, pc);
                self.reported_exit(reason);
            }
            Pc::Dynamic(pc) => {
                self.store_argument(argument);
                self.move_to_rax(pc);
                self.reported_exit(reason);
            }
        }
    }

    fn store_argument(&mut self, argument: Value) {
        if argument != Value::NONE {
            let argument = self.gpr(argument);
            self.asm.store(Width::Q, EXIT_ARGUMENT, argument);
        }
    }

    fn move_to_rax(&mut self, value: Value) {
        let from = self.gpr(value);
        if from != Gpr::RAX {
            self.asm.mov(Width::Q, Gpr::RAX, from);
        }
    }

    fn linked_exit(&mut self, site: LinkSite) {
        let slot = (self.links)(site) as u64;
        self.asm.align_field(1);
        let from = self.asm.jmp();
        self.tables.exits.push(ExitSite { offset: from as u32, slot });
        self.tables.far.push(Far::Through { from, slot });
    }

    /// The exit that `block` is, on a condition.
    pub(super) fn exit_if(&mut self, cc: Cc, exit: LinkSite, block: BlockId) {
        if exit.reason == ExitReason::Interrupted {
            let slot = (self.links)(LinkSite { reason: ExitReason::Jump, ..exit }) as u64;
            let from = self.asm.jcc(cc);
            return self.tables.far.push(Far::InterruptedAs { from, slot, block });
        }
        let slot = (self.links)(exit) as u64;
        self.asm.align_field(2);
        let from = self.asm.jcc(cc);
        self.tables.exits.push(ExitSite { offset: from as u32, slot });
        self.tables.far.push(Far::ThroughAs { from, slot, block });
    }

    /// To where a slot leads.
    fn go_through(&mut self, slot: u64) {
        let field = through_slot(&mut self.asm.bytes, Entry::Register);
        self.relocate(field, slot);
    }

    /// Leaves for the host, to go on at the pc of a slot.
    fn leave_for(&mut self, slot: u64, reason: ExitReason) {
        self.load_slot(slot);
        if reason == ExitReason::Jump {
            self.asm.alu(Width::D, Alu::Xor, Gpr::RAX, Gpr::RAX);
        } else {
            self.asm.mov_imm(Gpr::RAX, reason as u64);
        }
        self.asm.jmp_mem(Stub::LeaveFor.mem());
    }

    /// The address of a slot in RSI.
    fn load_slot(&mut self, slot: u64) {
        let field = load_slot(&mut self.asm.bytes);
        self.relocate(field, slot);
    }

    /// Looks a pc up in the jump cache; see [`crate::link::jump_cache_index`] for the place.
    fn looked_up_exit(&mut self, reason: ExitReason, pc: Value) {
        self.move_to_rax(pc);
        self.note_target();
        self.asm.mov(Width::D, INDEX, Gpr::RAX);
        self.asm.shift_imm(Width::D, Shift::Shr, INDEX, JUMP_CACHE_DOWN as u8);
        self.asm.alu(Width::D, Alu::Xor, INDEX, Gpr::RAX);
        self.asm.alu_mem(Width::D, Alu::And, INDEX, JUMP_CACHE_MASK);
        self.asm.load(Width::Q, CACHE, JUMP_CACHE);
        let from = self.entry_exit(0);
        self.tables.far.push(Far::Missed { from, reason });
    }

    /// Notes where the jump to the computed address in RAX goes. It is the unit's last instruction.
    fn note_target(&mut self) {
        let last = self.region.insts.iter().rev().find(|inst| inst.op == Op::Insn);
        let from = last.map_or(self.region.pc, |inst| inst.imm);
        let at = |field: usize| Mem::At(CACHE, (Went::offset(from) + field) as i32);
        let to = at(offset_of!(Place, to));
        self.asm.load(Width::Q, CACHE, WENT);
        self.asm.load(Width::D, INDEX, to);
        self.asm.store(Width::D, at(offset_of!(Place, before)), INDEX);
        self.asm.store(Width::D, to, Gpr::RAX);
        self.asm.store_imm(Width::D, at(offset_of!(Place, from)), from as i32);
    }

    /// Goes where an entry of the pair at [`INDEX`] says, if it is that of the pc in RAX; where control is otherwise is
    /// still to be patched.
    fn entry_exit(&mut self, way: usize) -> usize {
        let at = |field: usize| Mem::Eightfold(CACHE, INDEX, (way * size_of::<JumpCacheEntry>() + field) as i8);
        self.asm.alu_mem(Width::Q, Alu::Cmp, Gpr::RAX, at(offset_of!(JumpCacheEntry, pc)));
        let other = self.asm.jcc(Cc::Ne);
        self.asm.load(Width::Q, Gpr::RSI, at(offset_of!(JumpCacheEntry, slot)));
        self.asm.fixed(jump_through_slot(Entry::Register));
        other
    }

    /// Leaves for the host; the pc is in RAX.
    fn reported_exit(&mut self, reason: ExitReason) {
        self.asm.store(Width::Q, slot_mem(PC), Gpr::RAX);
        self.asm.store_imm(Width::D, EXIT_REASON, reason as i32);
        self.asm.jmp_mem(Stub::Leave.mem());
    }

    /// What comes behind all blocks.
    pub(super) fn cold_code(&mut self) {
        for index in 0..self.tables.cold.len() {
            match self.tables.cold[index] {
                Cold::Settle { from, back, to } => self.settle_flags(from, back, to),
                Cold::Nan { from, back, value, operands, to } => {
                    self.asm.patch_here(from);
                    self.choose_nan(value, operands, to);
                    self.jump_back(back);
                }
                Cold::Misfit { from, back, value, operand, to } => {
                    self.asm.patch_here(from);
                    self.convert_out_of_line(value, operand, to);
                    self.jump_back(back);
                }
            }
        }
    }

    /// What comes behind that, and may be placed elsewhere.
    pub(super) fn far_code(&mut self) {
        for index in 0..self.tables.far.len() {
            match self.tables.far[index] {
                Far::Hot { from, own } => {
                    // The bypass: see `super::closed`.
                    self.go_through(own);
                    self.enter_far(from);
                    self.leave_for(own, ExitReason::Jump);
                }
                Far::Through { from, slot } => {
                    self.enter_far(from);
                    self.go_through(slot);
                }
                Far::ThroughAs { from, slot, block } => {
                    self.tables.blocks[block.index()] = self.asm.position();
                    self.enter_far(from);
                    self.go_through(slot);
                }
                Far::InterruptedAs { from, slot, block } => {
                    self.tables.blocks[block.index()] = self.asm.position();
                    self.enter_far(from);
                    self.leave_for(slot, ExitReason::Interrupted);
                }
                Far::Missed { mut from, reason } => {
                    self.tables.far_fields.push(from as u32);
                    for way in 1..JUMP_CACHE_WAYS {
                        self.asm.patch_here(from);
                        from = self.entry_exit(way);
                    }
                    self.asm.patch_here(from);
                    self.reported_exit(reason);
                }
            }
        }
    }

    /// Lets a displacement in front of the far code lead to what follows.
    fn enter_far(&mut self, from: usize) {
        self.asm.patch_here(from);
        self.tables.far_fields.push(from as u32);
    }

    pub(super) fn jump_back(&mut self, to: usize) {
        let field = self.asm.jmp();
        self.asm.patch(field, to);
    }

    /// All values that other code may have to find in memory leave the pinned registers.
    pub(super) fn release_pinned(&mut self) {
        for gpr in (super::pins::FIRST..16).map(|number| Gpr(number as u8)) {
            regs!(self.before_write(gpr));
        }
    }
}
