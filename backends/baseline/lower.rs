//! The one pass: blocks in their order, instructions in theirs; what is rare comes behind all blocks.

use super::Features;
use super::analysis::{Analysis, is_lazy, is_nothing};
use super::assembler::{Alu, Assembler, Gpr, Mem, Rm, Shift, Width, Xmm};
use super::registers::{Cleanness, Context, Register, Registers, SCRATCH, is_word, slot_mem};
use crate::compiled::{CompileError, ExitSite, FaultSite, Refusal, Relocation};
use crate::link::{LinkSite, LinkSlot};
use philae_ir::{BlockId, ExitReason, Inst, Op, Pc, Region, Slot, Terminator, Ty, Value};

/// What is collected beside the code; kept from one unit to the next for its memory.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) faults: Vec<FaultSite>,
    pub(super) relocations: Vec<Relocation>,
    pub(super) exits: Vec<ExitSite>,
    pub(super) far_fields: Vec<u32>,
    /// Where each block starts.
    pub(super) blocks: Vec<usize>,
    /// Displacements that lead to blocks.
    branches: Vec<(usize, BlockId)>,
    /// 128-bit constants, and the displacements that lead to them.
    pub(super) literals: Vec<(usize, u128)>,
    /// What comes behind all blocks, and goes back to them.
    pub(super) cold: Vec<Cold>,
    /// What comes behind that, and does not come back.
    pub(super) far: Vec<Far>,
}

impl Tables {
    pub(super) fn clear(&mut self) {
        self.faults.clear();
        self.relocations.clear();
        self.exits.clear();
        self.far_fields.clear();
        self.blocks.clear();
        self.branches.clear();
        self.literals.clear();
        self.cold.clear();
        self.far.clear();
    }
}

/// Code that is rarely reached, from the displacement `from`, and ends the unit.
#[derive(Clone, Copy, Debug)]
pub(super) enum Far {
    /// The unit has run often enough: it leaves for its own pc.
    Hot { from: usize, own: u64 },
    /// A jump through a link slot, as long as it does not go straight to what the slot leads to.
    Through { from: usize, slot: u64 },
    /// The same, of a block that is nothing else.
    ThroughAs { from: usize, slot: u64, block: BlockId },
    /// A block that does nothing but leave because someone asks for it.
    InterruptedAs { from: usize, slot: u64, block: BlockId },
    /// The pc in RAX is not where the jump cache has it first.
    Missed { from: usize, reason: ExitReason },
}

/// Code that is rarely reached: from the displacement `from`, and back to `back`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cold {
    /// The flags in memory are a comparison: they are settled, and read into a register.
    Settle { from: usize, back: usize, to: Gpr },
    /// The result of floating-point arithmetic is a NaN: the evaluator chooses it. The operands are still in their
    /// registers.
    Nan { from: usize, back: usize, value: Value, operands: [Xmm; 3], to: Xmm },
    /// A float does not fit an integer: the evaluator converts it. It is still in its register.
    Misfit { from: usize, back: usize, value: Value, operand: Xmm, to: Gpr },
}

/// A region on its way to code.
pub(super) struct Lower<'a> {
    pub(super) region: &'a Region,
    pub(super) analysis: &'a Analysis,
    pub(super) asm: &'a mut Assembler,
    pub(super) registers: &'a mut Registers,
    pub(super) tables: &'a mut Tables,
    pub(super) features: Features,
    pub(super) links: &'a mut dyn FnMut(LinkSite) -> *const LinkSlot,
    /// The current guest instruction.
    pub(super) pc: u64,
    pub(super) block: usize,
    /// A block that has become part of the branch before it.
    pub(super) merged: Option<BlockId>,
}

/// Calls a method of the registers with what it looks at and emits to.
macro_rules! regs {
    ($self:ident.$method:ident($($arg:expr),*)) => {
        $self.registers.$method(
            &mut Context { region: $self.region, analysis: $self.analysis, asm: &mut *$self.asm },
            $($arg),*
        )
    };
}
pub(super) use regs;

impl Lower<'_> {
    /// Emits the unit, and gives how many bytes at its end are hardly ever run.
    pub(super) fn run(mut self, own: *const LinkSlot, count: u64) -> Result<usize, CompileError> {
        self.registers.start(self.region.insts.len());
        self.entries(own, count);
        for number in 0..self.region.blocks.len() {
            self.block(number)?;
        }
        self.cold_code();
        self.literals();
        let near = self.asm.position();
        self.far_code();
        self.resolve(near);
        if self.registers.exhausted { Err(CompileError::TooManyValues) } else { Ok(self.asm.position() - near) }
    }

    fn block(&mut self, number: usize) -> Result<(), Refusal> {
        let block = &self.region.blocks[number];
        self.tables.blocks.push(self.asm.position());
        if self.merged == Some(BlockId(number as u32)) {
            return Ok(());
        }
        self.block = number;
        self.pc = self.analysis.pc(number).unwrap_or(self.region.pc);
        if is_nothing(block) {
            self.end(number, block.end);
            return Ok(());
        }
        self.registers.start_block(number as u32);
        let analysis = self.analysis;
        for &(value, position) in analysis.live(number) {
            self.registers.start_inst(position);
            let inst = &self.region.insts[value.index()];
            // The commonest apart: they need little of what the others have to put aside.
            match inst.op {
                Op::Insn => self.pc = inst.imm,
                Op::Get => self.get(value, inst),
                Op::Set => self.set(inst),
                _ => self.inst(value, inst)?,
            }
        }
        self.registers.start_inst(analysis.start(number) + block.insts.len() as u32);
        self.end(number, block.end);
        Ok(())
    }

    fn end(&mut self, number: usize, end: Terminator) {
        match end {
            Terminator::Jump(to) => self.go(number, to),
            Terminator::Branch { cond, then, other } => {
                let cc = self.condition(cond);
                if let (Some(exit), true) = (self.sole_exit(then), then.index() == number + 1) {
                    self.merged = Some(then);
                    self.exit_if(cc, exit, then);
                    self.go(number + 1, other);
                } else if then.index() == number + 1 {
                    let field = self.asm.jcc(cc.inverted());
                    self.tables.branches.push((field, other));
                } else {
                    let field = self.asm.jcc(cc);
                    self.tables.branches.push((field, then));
                    self.go(number, other);
                }
            }
            Terminator::Exit { reason, pc, argument } => self.exit(reason, pc, argument),
            Terminator::Open => panic!("block {number} of the region at {:#x} has no end", self.region.pc),
        }
    }

    /// The exit to a constant pc that a block is, if it is nothing else and leads through a link slot.
    fn sole_exit(&self, block: BlockId) -> Option<LinkSite> {
        let block = self.region.block(block);
        let linked = |reason: ExitReason| reason.is_jump() || reason == ExitReason::Interrupted;
        match block.end {
            Terminator::Exit { reason, pc: Pc::Const(pc), .. } if linked(reason) && block.insts.is_empty() => {
                Some(LinkSite { pc, reason })
            }
            _ => None,
        }
    }

    fn go(&mut self, from: usize, to: BlockId) {
        if to.index() != from + 1 {
            let field = self.asm.jmp();
            self.tables.branches.push((field, to));
        }
    }

    fn resolve(&mut self, near: usize) {
        for &(field, to) in &self.tables.branches {
            let target = self.tables.blocks[to.index()];
            self.asm.patch(field, target);
            if target >= near {
                self.tables.far_fields.push(field as u32);
            }
        }
    }

    fn literals(&mut self) {
        for &(field, bits) in &self.tables.literals {
            self.asm.patch_here(field);
            self.asm.bytes.extend_from_slice(&bits.to_le_bytes());
        }
    }

    fn inst(&mut self, value: Value, inst: &Inst) -> Result<(), Refusal> {
        match inst.op {
            Op::Const => {}
            Op::SetLow => self.set_low(inst),
            Op::Load | Op::LoadZext | Op::LoadSext | Op::Store => self.access(value, inst),
            Op::AtomicLoad | Op::AtomicStore | Op::AtomicRmw | Op::AtomicCas => return self.atomic(value, inst),
            Op::Fence => self.fence(inst),
            Op::Prefetch => self.prefetch(inst),
            Op::Call => self.call_helper(value, inst),
            Op::FlagsTest | Op::PollPending => self.truth(value),
            Op::Icmp if is_lazy(inst) => self.truth(value),
            Op::FlagsToBits => self.flags_to_bits(value, inst),
            Op::FlagsAdd | Op::FlagsAdc | Op::FlagsSub | Op::FlagsSbc | Op::FlagsLogic => self.make_flags(value, inst),
            Op::FlagsFcmp | Op::FlagsWithC | Op::FlagsWithV | Op::FlagsFromBits => self.make_flags(value, inst),
            Op::Select if inst.ty == Ty::Flags => self.make_flags(value, inst),
            // The commonest of those that are found below: each look into a table is one more that the processor has to
            // guess the end of.
            Op::Add if is_word(inst.ty) => self.add(value, inst),
            Op::Sub if is_word(inst.ty) => self.arithmetic(value, inst, Alu::Sub),
            Op::And if is_word(inst.ty) => self.arithmetic(value, inst, Alu::And),
            Op::Or if is_word(inst.ty) => self.arithmetic(value, inst, Alu::Or),
            Op::Shl if is_word(inst.ty) => self.shift(value, inst, Shift::Shl),
            Op::Lshr if is_word(inst.ty) => self.shift(value, inst, Shift::Shr),
            Op::Zext => self.zext(value, inst),
            Op::Trunc => self.trunc(value, inst),
            _ => {
                let done = self.integer(value, inst) || self.vector(value, inst) || self.float(value, inst);
                if !done {
                    return self.evaluate(value, inst);
                }
            }
        }
        Ok(())
    }

    /// The type of a value.
    pub(super) fn ty(&self, value: Value) -> Ty {
        self.region.ty(value)
    }

    /// The bits of a constant of up to 64 bits.
    pub(super) fn constant(&self, value: Value) -> Option<u64> {
        let inst = &self.region.insts[value.index()];
        (inst.op == Op::Const).then(|| inst.imm & inst.ty.mask() as u64)
    }

    /// A constant that an instruction can hold, as a sign-extended immediate of a type's width.
    pub(super) fn immediate(&self, ty: Ty, value: Value) -> Option<i32> {
        let bits = self.constant(value)?;
        match ty {
            Ty::I8 => Some(i32::from(bits as i8)),
            Ty::I16 => Some(i32::from(bits as i16)),
            Ty::I32 => Some(bits as i32),
            _ => i32::try_from(bits as i64).ok(),
        }
    }

    pub(super) fn gpr(&mut self, value: Value) -> Gpr {
        regs!(self.gpr(value))
    }

    pub(super) fn xmm(&mut self, value: Value) -> Xmm {
        regs!(self.xmm(value))
    }

    pub(super) fn define(&mut self, value: Value, gpr: Gpr, clean: Cleanness) {
        regs!(self.define(value, Register::Gpr(gpr), clean));
    }

    pub(super) fn define_xmm(&mut self, value: Value, xmm: Xmm) {
        regs!(self.define(value, Register::Xmm(xmm), Cleanness::Clean));
    }

    /// A register to make `value` in: the pinned one that it is written to next, or any.
    pub(super) fn result(&mut self, value: Value) -> Gpr {
        match self.target(value) {
            Some(target) => target,
            None => regs!(self.take_any()),
        }
    }

    /// The pinned register that a value is written to next, if it can be made there.
    pub(super) fn target(&self, value: Value) -> Option<Gpr> {
        let target = Gpr(self.analysis.of(value).target);
        (target.0 != u8::MAX && self.registers.is_free_after(target)).then_some(target)
    }

    /// Reads a slot.
    #[inline]
    fn get(&mut self, value: Value, inst: &Inst) {
        match self.registers.pinned(inst.slot()) {
            Some(pinned) if is_word(inst.ty) => {
                let clean = if inst.ty == Ty::I64 { Cleanness::Clean } else { Cleanness::Dirty };
                regs!(self.share(value, Register::Gpr(pinned), clean));
            }
            _ => self.get_unpinned(value, inst),
        }
    }

    /// Reads a slot in memory, or a pinned one as something else than a word.
    #[inline(never)]
    fn get_unpinned(&mut self, value: Value, inst: &Inst) {
        let (ty, slot) = (inst.ty, inst.slot());
        if ty == Ty::Flags {
            return self.get_flags(value);
        }
        if is_word(ty) {
            let wide = self.region.arch.is_wide(slot);
            let known = if wide { None } else { self.registers.known_word(slot) };
            let clean = if ty == Ty::I64 { Cleanness::Clean } else { Cleanness::Dirty };
            if let Some(register) = known {
                return regs!(self.share(value, register, clean));
            }
            let to = self.result(value);
            self.asm.load(Width::Q, to, slot_mem(slot));
            self.define(value, to, clean);
            if !wide && !super::pins::is_pinned(to) {
                self.registers.note_slot(slot, Register::Gpr(to), 64);
            }
            return;
        }
        if let Some(register) = self.registers.known_vector(slot, ty.bits()) {
            return regs!(self.share(value, register, Cleanness::Clean));
        }
        // No more than the value: a wider load would wait for narrower stores before it to reach the cache.
        let to = regs!(self.take_any_xmm());
        self.asm.sse(move_prefix(ty), 0x10, to, Rm::Mem(slot_mem(slot)));
        self.define_xmm(value, to);
        self.registers.note_slot(slot, Register::Xmm(to), ty.bits());
    }

    /// Writes a whole slot.
    #[inline]
    fn set(&mut self, inst: &Inst) {
        match self.registers.pinned(inst.slot()) {
            Some(pinned) => self.set_pinned(inst.ty, pinned, inst.args[0]),
            None => self.set_unpinned(inst),
        }
    }

    /// Writes a whole slot in memory.
    #[inline(never)]
    fn set_unpinned(&mut self, inst: &Inst) {
        let (ty, slot, value) = (inst.ty, inst.slot(), inst.args[0]);
        match ty {
            Ty::Flags => self.set_flags(value),
            _ if self.region.arch.is_wide(slot) => self.set_wide(ty, slot, value),
            _ => self.set_word(ty, slot, value),
        }
    }

    /// Writes a slot of two words; what is above the value becomes zero.
    fn set_wide(&mut self, ty: Ty, slot: Slot, value: Value) {
        self.registers.forget_slot(slot);
        if ty.bits() == 128 {
            let from = self.xmm(value);
            self.asm.sse(0, 0x11, from, Rm::Mem(slot_mem(slot)));
            self.registers.note_slot(slot, Register::Xmm(from), 128);
            return;
        }
        let extended = self.zero_extended(ty, value);
        self.asm.sse(0, 0x11, extended, Rm::Mem(slot_mem(slot)));
        if !is_word(ty) {
            let from = self.xmm(value);
            self.registers.note_slot(slot, Register::Xmm(from), ty.bits());
        }
    }

    /// Writes the low bits of a slot.
    fn set_low(&mut self, inst: &Inst) {
        let (ty, slot, value) = (inst.ty, inst.slot(), inst.args[0]);
        let pinned = self.registers.pinned(slot);
        if let (Some(pinned), false) = (pinned, ty == Ty::I64) {
            let from = self.gpr(value);
            regs!(self.before_write(pinned));
            self.asm.mov(width(ty), pinned, from);
            return;
        }
        if ty.bits() == 128 || pinned.is_some() {
            return self.set(inst);
        }
        self.registers.forget_slot(slot);
        if is_word(ty) {
            let from = self.gpr(value);
            self.asm.store(width(ty), slot_mem(slot), from);
        } else {
            let from = self.xmm(value);
            self.asm.sse(move_prefix(ty), 0x11, from, Rm::Mem(slot_mem(slot)));
            self.registers.note_slot(slot, Register::Xmm(from), ty.bits());
        }
    }

    /// Writes a slot that lives in a host register.
    #[inline]
    fn set_pinned(&mut self, ty: Ty, pinned: Gpr, value: Value) {
        let here = self.registers.register(value) == Some(Register::Gpr(pinned));
        if here && (ty == Ty::I64 || (self.registers.cleanness(value) == Cleanness::Clean)) {
            return;
        }
        self.move_to_pinned(ty, pinned, value);
    }

    /// The same where the value is not there yet.
    #[inline(never)]
    fn move_to_pinned(&mut self, ty: Ty, pinned: Gpr, value: Value) {
        if let Some(bits) = self.constant(value) {
            regs!(self.before_write(pinned));
            self.asm.mov_imm(pinned, bits);
            // Other blocks make it themselves.
            if !self.analysis.of(value).crosses {
                regs!(self.share(value, Register::Gpr(pinned), Cleanness::Clean));
            }
            return;
        }
        if !is_word(ty) {
            let from = self.zero_extended(ty, value);
            regs!(self.before_write(pinned));
            return self.asm.xmm_to_gpr(Width::Q, pinned, from);
        }
        let from = self.gpr(value);
        regs!(self.before_write(pinned));
        match ty {
            Ty::I8 | Ty::I16 => self.asm.movzx(width(ty), pinned, Rm::Gpr(from)),
            _ => self.asm.mov(width(ty), pinned, from),
        }
    }

    /// Writes a slot of one word in memory.
    fn set_word(&mut self, ty: Ty, slot: Slot, value: Value) {
        self.registers.forget_slot(slot);
        let whole = if ty == Ty::I8 && self.registers.is_byte(slot) { Width::B } else { Width::Q };
        if !is_word(ty) {
            let from = self.zero_extended(ty, value);
            return self.asm.sse(0x66, 0xd6, from, Rm::Mem(slot_mem(slot)));
        }
        if let Some(imm) = self.constant(value).and_then(|bits| i32::try_from(bits as i64).ok()) {
            return self.asm.store_imm(whole, slot_mem(slot), imm);
        }
        let mut from = self.gpr(value);
        let extended = ty == Ty::I64 || (self.registers.cleanness(value) == Cleanness::Clean);
        if !extended && whole == Width::Q {
            let to = regs!(self.take_any());
            self.zero_extend(ty, to, from);
            from = to;
        }
        self.asm.store(whole, slot_mem(slot), from);
        if extended && whole == Width::Q {
            self.registers.note_slot(slot, Register::Gpr(from), 64);
        }
    }

    /// `to` := the value of a type in `from`, zeroes above.
    pub(super) fn zero_extend(&mut self, ty: Ty, to: Gpr, from: Gpr) {
        match ty {
            Ty::I8 | Ty::I16 => self.asm.movzx(width(ty), to, Rm::Gpr(from)),
            _ => self.asm.mov(width(ty), to, from),
        }
    }

    /// A value of less than 128 bits in the scratch vector register, zeroes above.
    pub(super) fn zero_extended(&mut self, ty: Ty, value: Value) -> Xmm {
        match ty {
            Ty::F32 => {
                let from = self.xmm(value);
                self.asm.sse(0, 0x57, SCRATCH, Rm::Xmm(SCRATCH));
                self.asm.sse(0xf3, 0x10, SCRATCH, Rm::Xmm(from));
            }
            Ty::F64 => {
                let from = self.xmm(value);
                self.asm.sse(0xf3, 0x7e, SCRATCH, Rm::Xmm(from));
            }
            _ => {
                let mut from = self.gpr(value);
                if matches!(ty, Ty::I8 | Ty::I16) && !(self.registers.cleanness(value) == Cleanness::Clean) {
                    let to = regs!(self.take_any());
                    self.zero_extend(ty, to, from);
                    from = to;
                }
                let width = if ty == Ty::I64 { Width::Q } else { Width::D };
                self.asm.gpr_to_xmm(width, SCRATCH, from);
            }
        }
        SCRATCH
    }

    /// A displacement that leads to a constant.
    pub(super) fn literal(&mut self, field: usize, bits: u128) {
        self.tables.literals.push((field, bits));
    }

    /// Puts a 128-bit constant into a vector register.
    pub(super) fn load_literal(&mut self, to: Xmm, bits: u128) {
        if bits == 0 {
            return self.asm.sse(0x66, 0xef, to, Rm::Xmm(to));
        }
        self.asm.sse(0, 0x10, to, Rm::Mem(Mem::Rip));
        let field = self.asm.position() - 4;
        self.literal(field, bits);
    }
}

/// The width of operations on an integer type of up to 64 bits.
pub(super) fn width(ty: Ty) -> Width {
    match ty {
        Ty::I8 => Width::B,
        Ty::I16 => Width::W,
        Ty::I32 | Ty::F32 | Ty::Flags => Width::D,
        _ => Width::Q,
    }
}

/// The prefix of the move between memory and a vector register that moves a value of this type.
pub(super) fn move_prefix(ty: Ty) -> u8 {
    match ty {
        Ty::F32 => 0xf3,
        Ty::F64 => 0xf2,
        _ => 0,
    }
}
