//! Where values are while code is emitted: host registers, and homes on the frame for what does not fit.
//!
//! Some guest registers are *pinned*: they live in R8 to R15 throughout, in every unit. The other general registers
//! and the vector registers hold values of the current block, and remember which slot they equal, so that reading it
//! again costs nothing. A pinned register is one that always equals its slot.

use super::analysis::Analysis;
use super::assembler::{Assembler, Gpr, Mem, Rm, Width, Xmm};
use super::pins::{self, Pins};
use philae_ir::{CpuState, Op, Region, Slot, Ty, Value};

/// Registers for values, in the order in which they are taken.
const TEMPORARIES: [Gpr; 6] = [Gpr::RAX, Gpr::RDX, Gpr::RCX, Gpr::RSI, Gpr::RBX, Gpr::RBP];
/// The vector registers for values; the last is for what happens within one operation.
const VECTORS: u8 = 15;
/// The vector register that no value is in.
pub(super) const SCRATCH: Xmm = Xmm(15);
/// Bytes of a home.
const HOME: usize = 16;
/// Homes of a unit.
const HOMES: usize = super::SPILL_BYTES / HOME;
/// No home, no slot.
const NONE: u8 = u8::MAX;
const NO_SLOT: Slot = Slot(u16::MAX);

/// What a register holds.
#[derive(Clone, Copy, Debug)]
struct Holding {
    /// Values that are equal in as far as they are wide.
    values: [Value; 4],
    count: u8,
    /// The position of the last use of any of them.
    until: u32,
    /// The slot that it equals, in so many low bits.
    slot: Slot,
    slot_bits: u8,
}

impl Holding {
    const EMPTY: Holding = Holding { values: [Value::NONE; 4], count: 0, until: 0, slot: NO_SLOT, slot_bits: 0 };

    /// Holds nothing any more but what equals `slot`.
    fn clear(&mut self, slot: Slot) {
        self.count = 0;
        self.until = 0;
        self.slot = slot;
    }

    fn values(&self) -> &[Value] {
        &self.values[..usize::from(self.count)]
    }
}

/// A register of either kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Register {
    Gpr(Gpr),
    Xmm(Xmm),
}

/// Where one value is.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Its register, if `block` is the current one.
    register: Option<Register>,
    block: u32,
    home: u8,
    clean: Cleanness,
}

impl Place {
    const NOWHERE: Place = Place { register: None, block: u32::MAX, home: NONE, clean: Cleanness::Dirty };
}

/// Whether the bits above a value's type, up to 64, are zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cleanness {
    Clean,
    Dirty,
}

/// The allocation of one unit as it goes; kept from one to the next for its memory.
#[derive(Debug)]
pub(super) struct Registers {
    pins: &'static Pins,
    places: Vec<Place>,
    gprs: [Holding; 16],
    xmms: [Holding; 16],
    /// Registers that the current instruction works with, one bit each.
    locked_gprs: u16,
    locked_xmms: u16,
    /// A vector register was taken in this block.
    vectors_used: bool,
    /// The position of the last use of what is in each home that blocks use in turn: those before `passing_to`.
    homes: [u32; HOMES],
    passing_to: usize,
    /// The first of the homes of values that several blocks use.
    lasting_from: usize,
    /// The current block and position.
    block: u32,
    position: u32,
    /// There was no home for a value.
    pub(super) exhausted: bool,
}

/// What allocation looks at and emits to.
pub(super) struct Context<'a> {
    pub(super) region: &'a Region,
    pub(super) analysis: &'a Analysis,
    pub(super) asm: &'a mut Assembler,
}

/// The state's address.
pub(super) const STATE: Gpr = Gpr::RDI;

/// Where a slot is.
pub(super) fn slot_mem(slot: Slot) -> Mem {
    Mem::At(STATE, CpuState::displacement(slot))
}

fn home_mem(home: u8) -> Mem {
    Mem::At(Gpr::RSP, i32::from(home) * HOME as i32)
}

impl Registers {
    pub(super) fn new(pins: &'static Pins) -> Registers {
        Registers {
            pins,
            places: Vec::new(),
            gprs: [Holding::EMPTY; 16],
            xmms: [Holding::EMPTY; 16],
            locked_gprs: 0,
            locked_xmms: 0,
            vectors_used: false,
            homes: [0; HOMES],
            passing_to: 0,
            lasting_from: HOMES,
            block: 0,
            position: 0,
            exhausted: false,
        }
    }

    /// Starts a unit of so many instructions.
    pub(super) fn start(&mut self, insts: usize) {
        self.places.clear();
        self.places.resize(insts, Place::NOWHERE);
        self.passing_to = 0;
        self.lasting_from = HOMES;
        self.exhausted = false;
    }

    /// Starts a block: nothing is in registers but the pinned slots.
    pub(super) fn start_block(&mut self, block: u32) {
        self.block = block;
        self.gprs = [Holding::EMPTY; 16];
        if self.vectors_used {
            self.xmms = [Holding::EMPTY; 16];
            self.vectors_used = false;
        }
        for (number, &slot) in self.pins.slots.iter().enumerate() {
            self.gprs[pins::FIRST + number].slot = slot;
        }
    }

    /// Starts an instruction: no register is locked.
    pub(super) fn start_inst(&mut self, position: u32) {
        self.position = position;
        self.unlock();
    }

    /// The pinned register of a slot.
    pub(super) fn pinned(&self, slot: Slot) -> Option<Gpr> {
        let number = self.pins.registers[usize::from(slot.0)];
        (number != NONE).then_some(Gpr(number))
    }

    /// The current instruction works with no register any more.
    pub(super) fn unlock(&mut self) {
        self.locked_gprs = 0;
        self.locked_xmms = 0;
    }

    /// Whether the bits above the value's type are zero.
    pub(super) fn cleanness(&self, value: Value) -> Cleanness {
        self.places[value.index()].clean
    }

    /// The register that a value is in now.
    pub(super) fn register(&self, value: Value) -> Option<Register> {
        let place = &self.places[value.index()];
        place.register.filter(|_| place.block == self.block)
    }

    fn holding(&mut self, register: Register) -> &mut Holding {
        match register {
            Register::Gpr(gpr) => &mut self.gprs[gpr.index()],
            Register::Xmm(xmm) => &mut self.xmms[xmm.index()],
        }
    }

    /// The register is not given to anything else during this instruction.
    pub(super) fn lock(&mut self, register: Register) {
        match register {
            Register::Gpr(gpr) => self.locked_gprs |= 1 << gpr.0,
            Register::Xmm(xmm) => self.locked_xmms |= 1 << xmm.0,
        }
    }

    /// The value is in this register from now on, beside what is in it.
    pub(super) fn attach(&mut self, cx: &mut Context<'_>, value: Value, register: Register) {
        let last = cx.analysis.of(value).last;
        let holding = self.holding(register);
        let Some(name) = holding.values.get_mut(usize::from(holding.count)) else {
            return self.attach_to_many(cx, value, register);
        };
        *name = value;
        holding.count += 1;
        holding.until = holding.until.max(last);
        let block = self.block;
        let place = &mut self.places[value.index()];
        place.register = Some(register);
        place.block = block;
    }

    /// The same where the register has as many names as can be noted.
    #[cold]
    fn attach_to_many(&mut self, cx: &mut Context<'_>, value: Value, register: Register) {
        if self.make_room(cx, register) {
            return self.attach(cx, value, register);
        }
        // So many names for one thing: this one gets a home.
        let home = self.home(cx, value);
        store_home(cx.asm, home, register);
    }

    /// Drops the names of what a register holds that nobody uses any more; whether one more can be noted.
    fn make_room(&mut self, cx: &Context<'_>, register: Register) -> bool {
        let position = self.position;
        let holding = self.holding(register);
        let mut kept = 0;
        for index in 0..holding.values.len() {
            let value = holding.values[index];
            if cx.analysis.of(value).last >= position {
                holding.values[kept] = value;
                kept += 1;
            }
        }
        holding.count = kept as u8;
        kept < holding.values.len()
    }

    /// The value has just been made in this register, which held nothing that is still wanted.
    pub(super) fn define(&mut self, cx: &mut Context<'_>, value: Value, register: Register, clean: Cleanness) {
        let used = cx.analysis.of(value);
        let (last, crosses, block) = (used.last, used.crosses, self.block);
        let pinned = matches!(register, Register::Gpr(gpr) if pins::is_pinned(gpr));
        let holding = self.holding(register);
        holding.values[0] = value;
        holding.count = 1;
        holding.until = last;
        if !pinned {
            holding.slot = NO_SLOT;
        }
        let place = &mut self.places[value.index()];
        place.register = Some(register);
        place.block = block;
        place.clean = clean;
        if crosses {
            self.keep_for_other_blocks(cx, value, register);
        }
    }

    /// The value is what another one's register holds already.
    pub(super) fn share(&mut self, cx: &mut Context<'_>, value: Value, register: Register, clean: Cleanness) {
        let used = cx.analysis.of(value);
        let (last, crosses, block) = (used.last, used.crosses, self.block);
        let holding = self.holding(register);
        let count = usize::from(holding.count);
        if crosses || count == holding.values.len() {
            return self.share_with_more(cx, value, register, clean);
        }
        holding.values[count] = value;
        holding.count += 1;
        holding.until = holding.until.max(last);
        let place = &mut self.places[value.index()];
        place.register = Some(register);
        place.block = block;
        place.clean = clean;
    }

    /// The same where the value needs a home, or the register has as many names as can be noted.
    #[cold]
    #[inline(never)]
    fn share_with_more(&mut self, cx: &mut Context<'_>, value: Value, register: Register, clean: Cleanness) {
        self.attach(cx, value, register);
        self.places[value.index()].clean = clean;
        if cx.analysis.of(value).crosses {
            self.keep_for_other_blocks(cx, value, register);
        }
    }

    #[cold]
    fn keep_for_other_blocks(&mut self, cx: &mut Context<'_>, value: Value, register: Register) {
        let home = self.home(cx, value);
        store_home(cx.asm, home, register);
    }

    /// The home of a value. One that only its own block uses may have a home that others have later; the homes of those
    /// that other blocks use are theirs alone, because blocks do not run in the order in which they stand here.
    fn home(&mut self, cx: &Context<'_>, value: Value) -> u8 {
        let known = self.places[value.index()].home;
        if known != NONE {
            return known;
        }
        let used = cx.analysis.of(value);
        let home = if used.crosses { self.lasting_home() } else { self.passing_home(used.last) };
        self.places[value.index()].home = home as u8;
        home as u8
    }

    fn lasting_home(&mut self) -> usize {
        if self.lasting_from <= self.passing_to {
            self.exhausted = true;
            return 0;
        }
        self.lasting_from -= 1;
        self.lasting_from
    }

    fn passing_home(&mut self, until: u32) -> usize {
        let free = self.homes[..self.passing_to].iter().position(|&until| until < self.position);
        let home = free.unwrap_or(self.passing_to);
        if home == self.lasting_from {
            self.exhausted = true;
            return 0;
        }
        self.passing_to = self.passing_to.max(home + 1);
        self.homes[home] = until;
        home
    }

    /// Moves what is alive in a register to its home.
    fn evict(&mut self, cx: &mut Context<'_>, register: Register) {
        // One after another: a copy of the whole holding would wait for the narrow stores that came just before.
        for index in 0..usize::from(self.holding(register).count) {
            let value = self.holding(register).values[index];
            if self.places[value.index()].register != Some(register) {
                continue;
            }
            let last = cx.analysis.of(value).last;
            let rematerialised = cx.region.insts[value.index()].op == Op::Const;
            if last >= self.position && !rematerialised && self.places[value.index()].home == NONE {
                let home = self.home(cx, value);
                store_home(cx.asm, home, register);
            }
            self.places[value.index()].register = None;
        }
        self.holding(register).clear(NO_SLOT);
    }

    /// A general register that holds nothing, locked.
    pub(super) fn take_any(&mut self, cx: &mut Context<'_>) -> Gpr {
        let mut best = (u64::MAX, Gpr::RAX);
        for gpr in TEMPORARIES {
            if self.locked_gprs >> gpr.0 & 1 == 0 {
                let cost = self.cost(&self.gprs[gpr.index()]);
                if cost < best.0 {
                    best = (cost, gpr);
                }
                if cost == 0 {
                    break;
                }
            }
        }
        debug_assert!(best.0 != u64::MAX, "an instruction locks all registers, at {}\n{}", self.position, cx.region);
        self.evict(cx, Register::Gpr(best.1));
        self.lock(Register::Gpr(best.1));
        best.1
    }

    /// A vector register that holds nothing, locked.
    pub(super) fn take_any_xmm(&mut self, cx: &mut Context<'_>) -> Xmm {
        self.vectors_used = true;
        let mut best = (u64::MAX, Xmm(0));
        for xmm in (0..VECTORS).map(Xmm) {
            if self.locked_xmms >> xmm.0 & 1 == 0 {
                let cost = self.cost(&self.xmms[xmm.index()]);
                if cost < best.0 {
                    best = (cost, xmm);
                }
                if cost == 0 {
                    break;
                }
            }
        }
        self.evict(cx, Register::Xmm(best.1));
        self.lock(Register::Xmm(best.1));
        best.1
    }

    /// What taking a register away loses: nothing, a known slot, or values, the less the later they are used.
    fn cost(&self, holding: &Holding) -> u64 {
        if holding.count == 0 || holding.until < self.position {
            u64::from(holding.slot != NO_SLOT)
        } else {
            2 + u64::from(u32::MAX - holding.until)
        }
    }

    /// This very register, locked; what is alive in it moves to another or to its home.
    pub(super) fn take(&mut self, cx: &mut Context<'_>, gpr: Gpr) {
        self.lock(Register::Gpr(gpr));
        let holding = &self.gprs[gpr.index()];
        if holding.count != 0 && holding.until >= self.position {
            self.move_away(cx, gpr);
        } else {
            self.evict(cx, Register::Gpr(gpr));
        }
    }

    /// Moves the values of a register to another one, or to their homes where there is none to spare.
    fn move_away(&mut self, cx: &mut Context<'_>, gpr: Gpr) {
        let holding = self.gprs[gpr.index()];
        let spare = TEMPORARIES.into_iter().find(|&other| {
            let there = &self.gprs[other.index()];
            self.locked_gprs >> other.0 & 1 == 0 && (there.count == 0 || there.until < self.position)
        });
        let Some(other) = spare else { return self.evict(cx, Register::Gpr(gpr)) };
        self.evict(cx, Register::Gpr(other));
        cx.asm.mov(Width::Q, other, gpr);
        for &value in holding.values() {
            let place = &mut self.places[value.index()];
            if place.register == Some(Register::Gpr(gpr)) {
                place.register = Some(Register::Gpr(other));
            }
        }
        let slot = if pins::is_pinned(gpr) { NO_SLOT } else { holding.slot };
        self.gprs[other.index()] = Holding { slot, ..holding };
        self.gprs[gpr.index()] = Holding { slot: self.pinned_slot(gpr), ..Holding::EMPTY };
    }

    fn pinned_slot(&self, gpr: Gpr) -> Slot {
        if pins::is_pinned(gpr) { self.pins.slots[gpr.index() - pins::FIRST] } else { NO_SLOT }
    }

    /// A pinned register is about to be written: values that are still wanted move away.
    pub(super) fn before_write(&mut self, cx: &mut Context<'_>, gpr: Gpr) {
        let holding = &self.gprs[gpr.index()];
        if holding.count != 0 && holding.until > self.position {
            self.move_away(cx, gpr);
        }
        let slot = self.pinned_slot(gpr);
        for &value in self.gprs[gpr.index()].values() {
            if self.places[value.index()].register == Some(Register::Gpr(gpr)) {
                self.places[value.index()].register = None;
            }
        }
        self.gprs[gpr.index()].clear(slot);
    }

    /// Whether nothing in the register is used after the current instruction.
    pub(super) fn is_free_after(&self, gpr: Gpr) -> bool {
        let holding = &self.gprs[gpr.index()];
        holding.count == 0 || holding.until <= self.position
    }

    /// The general register that equals a slot of one word.
    pub(super) fn known_word(&self, slot: Slot) -> Option<Register> {
        let known = self.pinned(slot);
        let known = known.or_else(|| TEMPORARIES.into_iter().find(|gpr| self.gprs[gpr.index()].slot == slot));
        known.map(Register::Gpr)
    }

    /// The vector register that equals so many low bits of a slot.
    pub(super) fn known_vector(&self, slot: Slot, bits: u32) -> Option<Register> {
        let equals = |holding: &Holding| holding.slot == slot && u32::from(holding.slot_bits) >= bits;
        (0..VECTORS).map(Xmm).find(|xmm| equals(&self.xmms[xmm.index()])).map(Register::Xmm)
    }

    /// The register equals so many low bits of a slot from now on.
    pub(super) fn note_slot(&mut self, slot: Slot, register: Register, bits: u32) {
        if !matches!(register, Register::Gpr(gpr) if pins::is_pinned(gpr)) {
            let holding = self.holding(register);
            holding.slot = slot;
            holding.slot_bits = bits as u8;
        }
    }

    /// Whether the slot's type is a byte, above which its word is always zero.
    pub(super) fn is_byte(&self, slot: Slot) -> bool {
        self.pins.bytes.contains(&slot)
    }

    /// The slot in memory changes: no register equals it any more.
    pub(super) fn forget_slot(&mut self, slot: Slot) {
        for gpr in TEMPORARIES {
            let holding = &mut self.gprs[gpr.index()];
            if holding.slot == slot {
                holding.slot = NO_SLOT;
            }
        }
        if self.vectors_used {
            for holding in &mut self.xmms {
                if holding.slot == slot {
                    holding.slot = NO_SLOT;
                }
            }
        }
    }

    /// All slots may have changed. Pinned registers hold what they held.
    pub(super) fn forget_slots(&mut self) {
        for gpr in TEMPORARIES {
            self.gprs[gpr.index()].slot = NO_SLOT;
        }
        self.xmms.iter_mut().for_each(|holding| holding.slot = NO_SLOT);
    }

    /// The general register that holds a value, locked; loads it where it is in none.
    #[inline]
    pub(super) fn gpr(&mut self, cx: &mut Context<'_>, value: Value) -> Gpr {
        if let Some(Register::Gpr(gpr)) = self.register(value) {
            self.lock(Register::Gpr(gpr));
            return gpr;
        }
        self.gpr_loaded(cx, value)
    }

    /// A general register that a value is loaded into, locked. Apart, as most values are in one.
    #[inline(never)]
    fn gpr_loaded(&mut self, cx: &mut Context<'_>, value: Value) -> Gpr {
        let gpr = self.take_any(cx);
        let inst = &cx.region.insts[value.index()];
        if inst.op == Op::Const {
            cx.asm.mov_imm(gpr, inst.imm & inst.ty.mask() as u64);
            self.places[value.index()].clean = Cleanness::Clean;
        } else {
            let home = self.known_home(cx, value);
            cx.asm.load(Width::Q, gpr, home_mem(home));
        }
        self.attach(cx, value, Register::Gpr(gpr));
        gpr
    }

    /// The vector register that holds a value, locked; loads it where it is in none.
    pub(super) fn xmm(&mut self, cx: &mut Context<'_>, value: Value) -> Xmm {
        if let Some(Register::Xmm(xmm)) = self.register(value) {
            self.lock(Register::Xmm(xmm));
            return xmm;
        }
        let xmm = self.take_any_xmm(cx);
        let inst = &cx.region.insts[value.index()];
        if inst.op == Op::Const {
            let gpr = self.take_any(cx);
            cx.asm.mov_imm(gpr, inst.imm & inst.ty.mask() as u64);
            cx.asm.gpr_to_xmm(Width::Q, xmm, gpr);
        } else {
            let home = self.known_home(cx, value);
            cx.asm.sse(0, 0x10, xmm, Rm::Mem(home_mem(home)));
        }
        self.attach(cx, value, Register::Xmm(xmm));
        xmm
    }

    /// The home that a value is in, or will be in when the block that makes it has run.
    fn known_home(&mut self, cx: &Context<'_>, value: Value) -> u8 {
        let kept = self.places[value.index()].home != NONE || cx.analysis.of(value).crosses;
        debug_assert!(kept, "{value:?} is nowhere\n{}", cx.region);
        self.home(cx, value)
    }

    /// A register for a result of which operand `a` is the first, holding `a`; `target` is where it is wanted.
    pub(super) fn result_from(&mut self, cx: &mut Context<'_>, a: Value, target: Option<Gpr>) -> Gpr {
        if let Some(target) = target {
            let from = self.gpr(cx, a);
            if from != target {
                cx.asm.mov(Width::Q, target, from);
            }
            return target;
        }
        if let Some(Register::Gpr(gpr)) = self.register(a) {
            self.lock(Register::Gpr(gpr));
            if !pins::is_pinned(gpr) && self.is_free_after(gpr) {
                return gpr;
            }
            let to = self.take_any(cx);
            cx.asm.mov(Width::Q, to, gpr);
            return to;
        }
        let gpr = self.gpr(cx, a);
        if self.is_free_after(gpr) {
            return gpr;
        }
        let to = self.take_any(cx);
        cx.asm.mov(Width::Q, to, gpr);
        to
    }

    /// A vector register for a result of which operand `a` is the first, holding `a`.
    pub(super) fn xmm_result_from(&mut self, cx: &mut Context<'_>, a: Value) -> Xmm {
        let xmm = self.xmm(cx, a);
        let holding = &self.xmms[xmm.index()];
        if holding.until <= self.position {
            return xmm;
        }
        let to = self.take_any_xmm(cx);
        cx.asm.movaps(to, xmm);
        to
    }
}

/// Whether values of a type are in general registers.
pub(super) fn is_word(ty: Ty) -> bool {
    matches!(ty, Ty::I8 | Ty::I16 | Ty::I32 | Ty::I64 | Ty::Flags)
}

fn store_home(asm: &mut Assembler, home: u8, register: Register) {
    match register {
        Register::Gpr(gpr) => asm.store(Width::Q, home_mem(home), gpr),
        Register::Xmm(xmm) => asm.sse(0, 0x11, xmm, Rm::Mem(home_mem(home))),
    }
}
