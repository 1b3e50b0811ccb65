//! Random regions: structured control flow with loops that end, every pure operation, slots, and a little memory.
//!
//! The register in [`base`] holds the address of [`MEMORY_WORDS`] words, which is all that a region touches.

use philae_ir::ops::{AuxKind, ImmKind, OPS, Takes};
use philae_ir::state::{LOCALS, Life, SlotInfo, aarch64, x86_64};
use philae_ir::verify::{converts, has_type};
use philae_ir::{
    Arch, BlockId, CpuState, Effect, ExitReason, Helper, Inst, IntCond, Op, Pc, Region, RegionBuilder, Slot, Ty, Value,
};

/// Words of memory that a region may touch.
pub(crate) const MEMORY_WORDS: usize = 40;

/// An address that is never mapped.
const NOWHERE: u64 = 0x10;

/// A xorshift generator; the seed must not be 0.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        ((self.next() >> 32) as usize * limit) >> 32
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Numbers at the edges more often than chance has it.
    pub(crate) fn interesting(&mut self) -> u64 {
        let edges = [0, 1, u64::MAX, 1 << 31, 1 << 63, 0x7ff0_0000_0000_0001, 0xffff_ffff, 0x3ff0_0000_0000_0000];
        match self.below(3) {
            0 => self.pick(&edges),
            1 => self.next() >> self.below(64),
            _ => self.next(),
        }
    }
}

/// The register that no random region writes.
fn base(arch: Arch) -> Slot {
    match arch {
        Arch::Aarch64 => aarch64::X[28],
        Arch::X86_64 => x86_64::GPR[15],
    }
}

/// The slots that outlive a region.
pub(crate) fn guest_slots(arch: Arch) -> impl Iterator<Item = &'static SlotInfo> {
    arch.slots().iter().filter(|info| info.life == Life::Guest)
}

/// A random state of the guest.
pub(crate) fn fill_state(random: &mut Random, arch: Arch, cpu: &mut CpuState, memory: u64) {
    for info in guest_slots(arch) {
        let bits = u128::from(random.interesting()) | u128::from(random.interesting()) << 64;
        if info.ty.bits() == 128 {
            cpu.set128(info.slot, bits);
        } else {
            cpu.set(info.slot, (bits & info.ty.mask()) as u64);
        }
    }
    cpu.set(base(arch), memory);
}

/// The region of this seed. It calls `helper`, which is pure and takes one operand.
pub(crate) fn region(seed: u64, helper: &'static Helper) -> Region {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let arch = random.pick(&[Arch::Aarch64, Arch::X86_64]);
    let mut region = Region::new(arch, 0x40_0000);
    let mut writer =
        Writer { random, arch, helper, b: RegionBuilder::new(&mut region), pc: 0x40_0000, values: Vec::new() };
    writer.statements(0);
    writer.leave();
    region
}

struct Writer<'a> {
    random: Random,
    arch: Arch,
    helper: &'static Helper,
    b: RegionBuilder<'a>,
    pc: u64,
    /// The values that dominate the current place.
    values: Vec<Value>,
}

impl Writer<'_> {
    fn statements(&mut self, depth: usize) {
        for _ in 0..2 + self.random.below(8) {
            self.pc += 4;
            self.b.insn(self.pc, 4);
            match self.random.below(if depth < 3 { 16 } else { 13 }) {
                0..6 => self.pure(),
                6..9 => self.read_slot(),
                9..12 => self.write_slot(),
                12 => self.memory(),
                13 => self.choice(depth),
                14 => self.repetition(depth),
                _ => self.side_exit(),
            }
        }
    }

    fn keep(&mut self, value: Value) {
        if self.b.region().inst(value).result().is_some() {
            self.values.push(value);
        }
    }

    /// A value of this type, new or known.
    fn operand(&mut self, ty: Ty) -> Value {
        let known: Vec<Value> = self.values.iter().copied().filter(|&value| self.b.ty(value) == ty).collect();
        if !known.is_empty() && self.random.below(8) > 0 {
            // The latest are the ones that real code uses.
            let last = known.len().min(6);
            return known[known.len() - 1 - self.random.below(last)];
        }
        let bits = self.random.interesting();
        let value = match ty {
            Ty::Flags => {
                let bits = self.operand(Ty::I32);
                self.b.flags_from_bits(bits)
            }
            Ty::I128 | Ty::V128 => {
                self.b.wide_const(ty, u128::from(bits) << 64 | u128::from(self.random.interesting()))
            }
            _ => self.b.iconst(ty, bits),
        };
        self.keep(value);
        value
    }

    fn truth(&mut self) -> Value {
        let ty = self.random.pick(&[Ty::I8, Ty::I32, Ty::I64]);
        let (a, b) = (self.operand(ty), self.operand(ty));
        if self.random.below(2) == 0 {
            let cond = self.random.pick(IntCond::ALL);
            return self.b.icmp(ty, cond, a, b);
        }
        let flags = if self.random.below(2) == 0 { self.operand(Ty::Flags) } else { self.flags(ty, a, b) };
        let cond = self.random.pick(philae_ir::Cond::ALL);
        self.b.flags_test(flags, cond)
    }

    /// New flags of two operands, of which passes know more than of any flags.
    fn flags(&mut self, ty: Ty, a: Value, b: Value) -> Value {
        let b = match self.random.below(4) {
            0 => a,
            1 => self.b.iconst(ty, 0),
            _ => b,
        };
        let sense = self.random.pick(philae_ir::Carry::ALL);
        let flags = match self.random.below(4) {
            0 => self.b.flags_add(ty, a, b),
            1 => self.b.flags_sub(ty, sense, a, b),
            2 => self.b.flags_logic(ty, a),
            _ => {
                let (a, b) = (self.operand(Ty::F64), self.operand(Ty::F64));
                let relations = self.random.next() as u16;
                self.b.flags_fcmp(Ty::F64, a, b, [0, 4, 8, 12].map(|place| (relations >> place & 15) as u8))
            }
        };
        self.values.push(flags);
        flags
    }

    fn pure(&mut self) {
        let common =
            [Op::Zext, Op::Sext, Op::Trunc, Op::Add, Op::Sub, Op::And, Op::Xor, Op::Icmp, Op::Select, Op::FlagsWithC];
        let rows: Vec<_> = OPS.iter().filter(|row| row.effect == Effect::Pure).collect();
        let row = if self.random.below(2) == 0 { self.random.pick(&common).info() } else { self.random.pick(&rows) };
        let types: Vec<Ty> = Ty::NAMES.iter().map(|(ty, _)| *ty).filter(|&ty| has_type(row.op, ty)).collect();
        let ty = self.random.pick(&types);
        let mut inst = Inst::new(row.op, ty);
        for (place, takes) in row.takes.iter().enumerate() {
            inst.args[place] = match takes {
                Takes::Same => self.operand(ty.value()),
                Takes::Bool => self.truth(),
                Takes::I32 => self.operand(Ty::I32),
                Takes::I64 => self.operand(Ty::I64),
                Takes::I128 => self.operand(Ty::I128),
                Takes::V128 => self.operand(Ty::V128),
                Takes::Flags => self.operand(Ty::Flags),
                Takes::Lane => self.operand(ty.lane()),
                Takes::Any => {
                    let values = Ty::NAMES.iter().map(|(ty, _)| *ty).filter(|ty| ty.value() == *ty && *ty != Ty::Flags);
                    let from: Vec<Ty> = values.filter(|&from| converts(row.op, from, ty)).collect();
                    if from.is_empty() {
                        return;
                    }
                    let from = self.random.pick(&from);
                    self.operand(from)
                }
            };
        }
        inst.aux = self.small_parameter(row.aux);
        inst.imm = self.wide_parameter(row.imm, row.op, ty);
        let value = self.b.push(inst);
        self.keep(value);
    }

    fn small_parameter(&mut self, kind: AuxKind) -> u8 {
        self.random.below(match kind {
            AuxKind::IntCond => 10,
            AuxKind::FloatCond => 7,
            AuxKind::Cond => 16,
            AuxKind::Rounding => 5,
            AuxKind::Nan => 3,
            AuxKind::Carry => 2,
            _ => 1,
        }) as u8
    }

    fn wide_parameter(&mut self, kind: ImmKind, op: Op, ty: Ty) -> u64 {
        let bits = self.random.interesting();
        match kind {
            ImmKind::Bits => bits & ty.mask() as u64,
            ImmKind::Const if op == Op::Shuffle => {
                let mask = (0..16).map(|_| self.random.below(34) as u8).collect::<Vec<_>>();
                self.b.sink.region.intern_const(u128::from_le_bytes(mask.try_into().expect("sixteen bytes")))
            }
            ImmKind::Const => self.b.sink.region.intern_const(bits.into()),
            ImmKind::Lane if matches!(op, Op::ExtractLane | Op::InsertLane) => bits % u64::from(ty.lanes()),
            ImmKind::Lane => bits % u64::from(ty.lane().bits() + 1),
            ImmKind::Relations => bits & 0xffff,
            _ => 0,
        }
    }

    /// A slot of few, so that reads meet writes, and a type that it can hold.
    fn slot(&mut self) -> (Slot, Ty) {
        let slots: Vec<_> = guest_slots(self.arch).filter(|info| info.slot != base(self.arch)).collect();
        let few = [0, 1, 2, 3, slots.len() / 2, slots.len() / 2 + 1, slots.len() - 1];
        let info = if self.random.below(3) == 0 {
            *self.arch.slot(philae_ir::state::NZCV)
        } else {
            *slots[self.random.pick(&few)]
        };
        if info.ty == Ty::Flags {
            return (info.slot, Ty::Flags);
        }
        let types = [info.ty, Ty::I8, Ty::I16, Ty::I32, Ty::I64, Ty::F32, Ty::F64, Ty::I128, Ty::V128];
        let fitting: Vec<Ty> = types.into_iter().filter(|ty| ty.bits() <= info.ty.bits()).collect();
        let ty = if self.random.below(2) == 0 { info.ty } else { self.random.pick(&fitting) };
        (info.slot, ty)
    }

    fn read_slot(&mut self) {
        let (slot, ty) = self.slot();
        let value = self.b.get(ty, slot);
        self.keep(value);
    }

    fn write_slot(&mut self) {
        let (slot, ty) = self.slot();
        let value = self.operand(ty);
        if self.random.below(4) == 0 {
            self.b.set_low(ty, slot, value);
        } else {
            self.b.set(ty, slot, value);
        }
    }

    fn memory(&mut self) {
        if self.random.below(12) == 0 {
            let nowhere = self.b.c64(NOWHERE);
            let value = self.b.load(Ty::I32, nowhere, 0);
            return self.keep(value);
        }
        let base = self.b.get(Ty::I64, base(self.arch));
        let index = self.operand(Ty::I64);
        let index = self.b.and_imm(Ty::I64, index, 0xf0);
        let address = self.b.add(Ty::I64, base, index);
        let offset = self.random.below(16) as i64;
        let ty = self.random.pick(&[Ty::I8, Ty::I16, Ty::I32, Ty::I64, Ty::I128, Ty::F64, Ty::V128]);
        let value = match self.random.below(5) {
            0 => {
                let value = self.operand(ty);
                return self.b.store(ty, address, offset, value);
            }
            1 => self.b.load(ty, address, offset),
            2 => self.b.load_sext(Ty::I64, Ty::I16, address, offset),
            3 => {
                let operand = self.operand(Ty::I32);
                let op = self.random.pick(philae_ir::RmwOp::ALL);
                self.b.atomic_rmw(Ty::I32, op, address, operand)
            }
            _ => {
                let operand = self.operand(Ty::I64);
                self.b.call(self.helper, &[operand])
            }
        };
        self.keep(value);
    }

    fn choice(&mut self, depth: usize) {
        let cond = self.truth();
        let (then, other, join) = (self.b.new_block(), self.b.new_block(), self.b.new_block());
        self.b.branch(cond, then, other);
        let known = self.values.len();
        for block in [then, other] {
            self.b.switch_to(block);
            if self.random.below(4) > 0 {
                self.statements(depth + 1);
            }
            self.b.jump(join);
            self.values.truncate(known);
        }
        self.b.switch_to(join);
    }

    /// A loop of a few rounds, counted in a local slot, polled, perhaps left in the middle.
    fn repetition(&mut self, depth: usize) {
        let rounds = self.random.below(4) as u64 + 1;
        let count = self.b.c64(rounds);
        self.b.set(Ty::I64, LOCALS[depth], count);
        let (head, poll, after) = (self.b.new_block(), self.b.new_block(), self.b.new_block());
        self.b.jump(head);
        self.b.switch_to(head);
        let known = self.values.len();
        self.statements(depth + 1);
        let count = self.b.get(Ty::I64, LOCALS[depth]);
        let one = self.b.c64(1);
        let left = self.b.sub(Ty::I64, count, one);
        self.b.set(Ty::I64, LOCALS[depth], left);
        let flags = self.b.flags_sub(Ty::I64, philae_ir::Carry::Borrow, count, one);
        self.b.set(Ty::Flags, philae_ir::state::NZCV, flags);
        let more = self.b.flags_test(flags, philae_ir::Cond::Ne);
        self.b.branch(more, poll, after);
        self.b.switch_to(poll);
        let pending = self.b.poll_pending();
        let leave = self.exit_block(ExitReason::Interrupted);
        self.b.branch(pending, leave, head);
        self.values.truncate(known);
        self.b.switch_to(after);
    }

    fn side_exit(&mut self) {
        let cond = self.truth();
        let leave = self.exit_block(ExitReason::Jump);
        let stay = self.b.new_block();
        self.b.branch(cond, leave, stay);
        self.b.switch_to(stay);
    }

    fn exit_block(&mut self, reason: ExitReason) -> BlockId {
        let (here, block) = (self.b.current(), self.b.new_block());
        self.b.switch_to(block);
        self.b.exit(reason, Pc::Const(self.pc), Value::NONE);
        self.b.switch_to(here);
        block
    }

    fn leave(&mut self) {
        let (target, argument) = (self.operand(Ty::I64), self.operand(Ty::I64));
        match self.random.below(3) {
            0 => self.b.exit(ExitReason::Jump, Pc::Dynamic(target), Value::NONE),
            1 => self.b.exit(ExitReason::Misaligned, Pc::Const(self.pc), argument),
            _ => self.b.exit(ExitReason::Syscall, Pc::Const(self.pc), Value::NONE),
        }
    }
}
