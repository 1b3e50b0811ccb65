//! The ways out of a region: through a link slot, through the slot in the jump cache, or back to the host.

use super::lower::Lower;
use super::stand_ins::OPERAND;
use crate::link::{
    JUMP_CACHE_DOWN, JUMP_CACHE_SCALE, JUMP_CACHE_WAYS, JumpCacheEntry, LinkSite, LinkSlot, leave_address,
};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, SourceLoc, Type, Value as Clif};
use philae_ir::state::{PC, displacement};
use philae_ir::{CpuState, ExitReason, Pc, Value};
use std::mem::offset_of;

const EXIT_REASON: i32 = displacement(offset_of!(CpuState, ctl.exit_reason));
const EXIT_ARGUMENT: i32 = displacement(offset_of!(CpuState, ctl.exit_argument));
const JUMP_CACHE: i32 = displacement(offset_of!(CpuState, ctl.jump_cache));
const JUMP_CACHE_MASK: i32 = displacement(offset_of!(CpuState, ctl.jump_cache_mask));
/// The displacement of what [`philae_ir::Op::PollPending`] looks at.
pub(super) const POLL: i32 = displacement(offset_of!(CpuState, ctl.poll));
const TARGET: i32 = offset_of!(LinkSlot, target) as i32;

impl Lower<'_, '_> {
    /// [`philae_ir::Op::PollPending`].
    pub(super) fn poll_pending(&mut self) -> Clif {
        let state = self.state;
        let poll = self.load_operand(I32, state, POLL);
        self.compare_with(IntCC::NotEqual, poll, 0)
    }

    /// Counts down at an address, and leaves below 0. Here, where the function starts, all places are in
    /// the state.
    pub(super) fn count_entry(&mut self, count: u64) {
        let count = self.address(count);
        let heat = self.b.ins().load(I32, MemFlagsData::trusted(), count, 0);
        let one = self.iconst(I32, 1);
        let left = self.b.ins().isub(heat, one);
        self.b.ins().store(MemFlagsData::trusted(), left, count, 0);
        let is_over = self.compare_with(IntCC::SignedLessThan, left, 0);
        let (leave, on) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(leave);
        self.b.ins().brif(is_over, leave, &[], on, &[]);
        self.b.seal_block(leave);
        self.b.seal_block(on);
        self.b.switch_to_block(leave);
        let pc = self.iconst(I64, self.region.pc);
        self.reported_exit(ExitReason::Jump, pc, Value::NONE);
        self.b.switch_to_block(on);
    }

    /// Leaves the region; the places are in the state already.
    pub(super) fn exit(&mut self, reason: ExitReason, pc: Pc, argument: Value) {
        match pc {
            Pc::Const(pc) if reason.is_jump() => self.linked_exit(LinkSite { pc, reason }),
            Pc::Dynamic(pc) if reason.is_jump() => {
                let pc = self.value(pc);
                self.looked_up_exit(reason, pc);
            }
            Pc::Const(pc) => {
                let pc = self.iconst(I64, pc);
                self.reported_exit(reason, pc, argument);
            }
            Pc::Dynamic(pc) => {
                let pc = self.value(pc);
                self.reported_exit(reason, pc, argument);
            }
        }
    }

    fn linked_exit(&mut self, site: LinkSite) {
        let slot = (self.links)(site);
        let slot = self.address(slot as u64);
        self.jump_through(slot);
    }

    /// Jumps to what the link slot at an address leads to.
    fn jump_through(&mut self, slot: Clif) {
        let target = self.b.ins().load(I64, MemFlagsData::trusted(), slot, TARGET);
        let (signature, state) = (self.signatures.linked, self.state);
        self.b.ins().return_call_indirect(signature, target, &[state, slot]);
    }

    /// Looks `pc` up in the jump cache; see [`crate::link::jump_cache_index`] for the place.
    fn looked_up_exit(&mut self, reason: ExitReason, pc: Clif) {
        let state = self.state;
        let cache = self.b.ins().load(I64, MemFlagsData::trusted(), state, JUMP_CACHE);
        let low = self.b.ins().ireduce(I32, pc);
        let down = self.iconst(I32, u64::from(JUMP_CACHE_DOWN));
        // The bits that come in from below are not looked at.
        let high = self.b.ins().rotr(low, down);
        let mixed = self.b.ins().bxor(high, low);
        let mask = self.load_operand(I32, state, JUMP_CACHE_MASK);
        let index = self.b.ins().band(mixed, mask);
        let (index, scale) = (self.b.ins().uextend(I64, index), self.iconst(I64, u64::from(JUMP_CACHE_SCALE)));
        let offset = self.b.ins().ishl(index, scale);
        let entry = self.b.ins().iadd(cache, offset);
        for way in 0..JUMP_CACHE_WAYS {
            self.entry_exit(entry, way, pc);
        }
        self.reported_exit(reason, pc, Value::NONE);
    }

    /// Goes where one of the entries at an address says, if it is that of `pc`; goes on in cold code otherwise, which
    /// all but the first entry are.
    fn entry_exit(&mut self, entry: Clif, way: usize, pc: Clif) {
        let flags = MemFlagsData::trusted();
        let at = (way * size_of::<JumpCacheEntry>()) as i32;
        let cached = self.load_operand(I64, entry, at + offset_of!(JumpCacheEntry, pc) as i32);
        let found = self.b.ins().icmp(IntCC::Equal, pc, cached);
        let (hit, miss) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(miss);
        if way > 0 {
            self.b.set_cold_block(hit);
        }
        self.b.ins().brif(found, hit, &[], miss, &[]);
        self.b.seal_block(hit);
        self.b.seal_block(miss);
        self.b.switch_to_block(hit);
        let slot = self.b.ins().load(I64, flags, entry, at + offset_of!(JumpCacheEntry, slot) as i32);
        self.jump_through(slot);
        self.b.switch_to_block(miss);
    }

    /// Loads what the next instruction alone takes, as its last operand.
    fn load_operand(&mut self, ty: Type, base: Clif, displacement: i32) -> Clif {
        self.b.set_srcloc(SourceLoc::new(OPERAND));
        let value = self.b.ins().load(ty, MemFlagsData::trusted(), base, displacement);
        self.b.set_srcloc(SourceLoc::default());
        value
    }

    fn reported_exit(&mut self, reason: ExitReason, pc: Clif, argument: Value) {
        let state = self.state;
        let flags = MemFlagsData::trusted();
        self.b.ins().store(flags, pc, state, CpuState::displacement(PC));
        let number = self.iconst(I32, u64::from(reason as u32));
        self.b.ins().store(flags, number, state, EXIT_REASON);
        if argument != Value::NONE {
            let argument = self.value(argument);
            self.b.ins().store(flags, argument, state, EXIT_ARGUMENT);
        }
        self.leave();
    }

    /// Goes back to the host.
    pub(super) fn leave(&mut self) {
        let (leave, state) = (self.address(leave_address()), self.state);
        let signature = self.signatures.unlinked;
        self.b.ins().return_call_indirect(signature, leave, &[state]);
    }
}
