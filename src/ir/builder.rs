//! What frontends and passes say: one method for each operation, whatever becomes of it.
//!
//! A [`Builder`] hands operations to a [`Sink`]. [`Append`] puts them into a region, for the compilers and the
//! interpreter; [`crate::now::Now`] executes them at once, for guest code that is executed for the first time.

use crate::helper::Helper;
use crate::ops::{Barrier, Carry, Cond, FloatCond, IntCond, NanRule, Op, Ordering, RmwOp, Rounding, SIGNALS};
use crate::region::{Block, BlockId, ExitReason, Inst, Pc, Region, Tags, Terminator, Value};
use crate::state::{PC, Slot};
use crate::ty::Ty;

/// What becomes of operations. Those between two [`Sink::switch_to`] belong to one block.
pub trait Sink {
    /// Whether the thread can be asked to leave in the middle of what is built.
    const POLLS: bool;

    /// How to lift, and for which processor; what it holds is nobody's business but the sink's.
    fn region(&self) -> &Region;
    /// Takes an operation; gives the value that it makes.
    fn push(&mut self, inst: Inst) -> Value;
    /// The type of a value; any where it is not executed.
    fn ty(&self, value: Value) -> Ty;
    /// The number of a 128-bit constant, for operations that name one.
    fn intern_const(&mut self, bits: u128) -> u64;
    /// The number of a helper, for calls of it.
    fn intern_helper(&mut self, helper: &'static Helper) -> u64;
    /// The value of this type and of the current block that a slot holds, if that is known; asked for before it is read.
    fn known(&mut self, ty: Ty, slot: Slot) -> Option<Value>;
    /// A slot holds this value from here on, zero-extended, or its low bits are the value.
    fn note(&mut self, ty: Ty, slot: Slot, value: Value);
    /// What slots hold is not known any more.
    fn forget(&mut self);
    /// The bits of a constant, where more is made of it than of another value.
    fn constant(&self, value: Value) -> Option<u128>;
    /// The operation whose result the guest instruction before this one has put into a slot at last, if that is known.
    fn just_made(&self, slot: Slot) -> Option<&Inst>;
    /// A new empty block.
    fn new_block(&mut self) -> BlockId;
    /// What comes from now on belongs to `block`.
    fn switch_to(&mut self, block: BlockId);
    /// The block that operations belong to.
    fn current(&self) -> BlockId;
    /// Whether the current block has its end.
    fn is_closed(&self) -> bool;
    /// Ends the current block.
    fn terminate(&mut self, end: Terminator);
}

/// Appends to the current block of a region.
#[derive(Debug)]
pub struct Append<'a> {
    /// The region under construction.
    pub region: &'a mut Region,
    current: BlockId,
    /// What blocks have last read from general registers and the flags, or written to them, by slot.
    known: [Known; KEPT],
}

/// The slots whose values are kept in mind are those before this one.
const KEPT: usize = PC.0 as usize;

/// What a block knows of a slot.
#[derive(Clone, Copy, Debug)]
struct Known {
    block: BlockId,
    value: Value,
    ty: Ty,
}

impl Known {
    const NOTHING: Known = Known { block: BlockId(u32::MAX), value: Value::NONE, ty: Ty::I64 };
}

impl Sink for Append<'_> {
    const POLLS: bool = true;

    fn region(&self) -> &Region {
        self.region
    }

    #[inline(always)]
    fn push(&mut self, inst: Inst) -> Value {
        let value = Value(self.region.insts.len() as u32);
        self.region.insts.push(inst);
        self.region.blocks[self.current.index()].insts.push(value);
        value
    }

    fn ty(&self, value: Value) -> Ty {
        self.region.ty(value)
    }

    fn intern_const(&mut self, bits: u128) -> u64 {
        self.region.intern_const(bits)
    }

    fn intern_helper(&mut self, helper: &'static Helper) -> u64 {
        self.region.intern_helper(helper)
    }

    #[inline]
    fn known(&mut self, ty: Ty, slot: Slot) -> Option<Value> {
        let known = self.known.get(usize::from(slot.0))?;
        (known.block == self.current && known.ty == ty).then_some(known.value)
    }

    #[inline]
    fn note(&mut self, ty: Ty, slot: Slot, value: Value) {
        if let Some(known) = self.known.get_mut(usize::from(slot.0)) {
            *known = Known { block: self.current, value, ty };
        }
    }

    fn forget(&mut self) {
        self.known = [Known::NOTHING; KEPT];
    }

    fn constant(&self, value: Value) -> Option<u128> {
        self.region.constant(value)
    }

    fn just_made(&self, slot: Slot) -> Option<&Inst> {
        let insts = &self.region.blocks[self.current.index()].insts;
        let set = insts.iter().rev().map(|&value| self.region.inst(value)).find(|inst| inst.op != Op::Insn)?;
        (set.op == Op::Set && set.imm == u64::from(slot.0)).then(|| self.region.inst(set.args[0]))
    }

    fn new_block(&mut self) -> BlockId {
        let insts = self.region.spare.pop().unwrap_or_default();
        self.region.blocks.push(Block { insts, end: Terminator::Open });
        BlockId(self.region.blocks.len() as u32 - 1)
    }

    fn switch_to(&mut self, block: BlockId) {
        self.current = block;
    }

    fn current(&self) -> BlockId {
        self.current
    }

    fn is_closed(&self) -> bool {
        self.region.block(self.current).end != Terminator::Open
    }

    fn terminate(&mut self, end: Terminator) {
        debug_assert!(!self.is_closed(), "block {:?} ends twice", self.current);
        self.region.blocks[self.current.index()].end = end;
    }
}

/// Makes operations.
#[derive(Debug)]
pub struct Builder<S> {
    /// Where they go.
    pub sink: S,
}

/// A builder that appends to a region.
pub type RegionBuilder<'a> = Builder<Append<'a>>;

impl<'a> RegionBuilder<'a> {
    /// A builder that appends to a new first or next block of `region`.
    pub fn new(region: &'a mut Region) -> RegionBuilder<'a> {
        let known = [Known::NOTHING; KEPT];
        let mut sink = Append { region, current: BlockId::ENTRY, known };
        sink.current = sink.new_block();
        Builder { sink }
    }
}

macro_rules! unary {
    ($($(#[$doc:meta])* $name:ident $op:ident;)*) => { $(
        $(#[$doc])*
        pub fn $name(&mut self, ty: Ty, a: Value) -> Value {
            self.emit(Op::$op, ty, &[a])
        }
    )* };
}

macro_rules! binary {
    ($($(#[$doc:meta])* $name:ident $op:ident;)*) => { $(
        $(#[$doc])*
        pub fn $name(&mut self, ty: Ty, a: Value, b: Value) -> Value {
            self.emit(Op::$op, ty, &[a, b])
        }
    )* };
}

impl<S: Sink> Builder<S> {
    /// How to lift, and for which processor.
    pub fn region(&self) -> &Region {
        self.sink.region()
    }

    /// The type of a value.
    pub fn ty(&self, value: Value) -> Ty {
        self.sink.ty(value)
    }

    /// A new empty block.
    pub fn new_block(&mut self) -> BlockId {
        self.sink.new_block()
    }

    /// What comes from now on belongs to `block`.
    pub fn switch_to(&mut self, block: BlockId) {
        self.sink.switch_to(block);
    }

    /// The block that operations belong to.
    pub fn current(&self) -> BlockId {
        self.sink.current()
    }

    /// Whether the current block has its end.
    pub fn is_closed(&self) -> bool {
        self.sink.is_closed()
    }

    /// [`Sink::push`].
    #[inline(always)]
    pub fn push(&mut self, inst: Inst) -> Value {
        self.sink.push(inst)
    }

    #[inline(always)]
    fn emit(&mut self, op: Op, ty: Ty, args: &[Value]) -> Value {
        self.emit_with(op, ty, args, 0, 0)
    }

    #[inline(always)]
    fn emit_with(&mut self, op: Op, ty: Ty, args: &[Value], aux: u8, imm: u64) -> Value {
        let mut inst = Inst::new(op, ty);
        inst.args[..args.len()].copy_from_slice(args);
        inst.aux = aux;
        inst.imm = imm;
        self.push(inst)
    }

    /// A scalar constant of up to 64 bits; for floats the bits.
    pub fn iconst(&mut self, ty: Ty, bits: u64) -> Value {
        self.emit_with(Op::Const, ty, &[], 0, bits & ty.mask() as u64)
    }

    /// A constant of type `i64`.
    pub fn c64(&mut self, bits: u64) -> Value {
        self.iconst(Ty::I64, bits)
    }

    /// A truth value.
    pub fn bool_const(&mut self, bit: u64) -> Value {
        self.iconst(Ty::I8, bit)
    }

    /// A 128-bit constant: `i128` or `v128`.
    pub fn wide_const(&mut self, ty: Ty, bits: u128) -> Value {
        let index = self.sink.intern_const(bits);
        self.emit_with(Op::WideConst, ty, &[], 0, index)
    }

    /// Reads the low bits of a slot.
    #[inline]
    pub fn get(&mut self, ty: Ty, slot: Slot) -> Value {
        if let Some(value) = self.sink.known(ty, slot) {
            return value;
        }
        let value = self.emit_with(Op::Get, ty, &[], 0, u64::from(slot.0));
        self.sink.note(ty, slot, value);
        value
    }

    /// Forgets what slots hold: what was written to them is taken back, or others may have written to them.
    pub fn forget(&mut self) {
        self.sink.forget();
    }

    /// Writes a slot, zero-extending a value of a narrower type `ty`.
    pub fn set(&mut self, ty: Ty, slot: Slot, value: Value) {
        self.sink.note(ty, slot, value);
        self.emit_with(Op::Set, ty, &[value], 0, u64::from(slot.0));
    }

    /// Writes the low bits of a slot and keeps the others.
    pub fn set_low(&mut self, ty: Ty, slot: Slot, value: Value) {
        self.sink.note(ty, slot, value);
        self.emit_with(Op::SetLow, ty, &[value], 0, u64::from(slot.0));
    }

    /// What follows belongs to the guest instruction at `pc`, `length` bytes long.
    pub fn insn(&mut self, pc: u64, length: u8) {
        self.emit_with(Op::Insn, Ty::I64, &[], length, pc);
    }

    /// 1 if the thread is asked to leave translated code.
    pub fn poll_pending(&mut self) -> Value {
        self.emit(Op::PollPending, Ty::I8, &[])
    }

    /// Reads a `ty` at `address` + `offset`.
    pub fn load(&mut self, ty: Ty, address: Value, offset: i64) -> Value {
        let address = self.untagged(address);
        self.emit_with(Op::Load, ty, &[address], 0, offset as u64)
    }

    /// Reads an integer of type `memory` and zero-extends it to `ty`.
    pub fn load_zext(&mut self, ty: Ty, memory: Ty, address: Value, offset: i64) -> Value {
        if ty == memory {
            return self.load(ty, address, offset);
        }
        let address = self.untagged(address);
        self.emit_with(Op::LoadZext, ty, &[address], memory as u8, offset as u64)
    }

    /// Reads an integer of type `memory` and sign-extends it to `ty`.
    pub fn load_sext(&mut self, ty: Ty, memory: Ty, address: Value, offset: i64) -> Value {
        if ty == memory {
            return self.load(ty, address, offset);
        }
        let address = self.untagged(address);
        self.emit_with(Op::LoadSext, ty, &[address], memory as u8, offset as u64)
    }

    /// Writes a `ty` at `address` + `offset`.
    pub fn store(&mut self, ty: Ty, address: Value, offset: i64, value: Value) {
        let address = self.untagged(address);
        self.emit_with(Op::Store, ty, &[address, value], 0, offset as u64);
    }

    /// Reads an aligned integer in one step.
    pub fn atomic_load(&mut self, ty: Ty, ordering: Ordering, address: Value) -> Value {
        let address = self.untagged(address);
        self.emit_with(Op::AtomicLoad, ty, &[address], ordering as u8, 0)
    }

    /// Writes an aligned integer in one step.
    pub fn atomic_store(&mut self, ty: Ty, ordering: Ordering, address: Value, value: Value) {
        let address = self.untagged(address);
        self.emit_with(Op::AtomicStore, ty, &[address, value], ordering as u8, 0);
    }

    /// Replaces an integer in memory by `op`(old, `value`); makes the old one.
    pub fn atomic_rmw(&mut self, ty: Ty, op: RmwOp, address: Value, value: Value) -> Value {
        let address = self.untagged(address);
        self.emit_with(Op::AtomicRmw, ty, &[address, value], op as u8, 0)
    }

    /// Replaces an integer in memory by `new` if it equals `expected`; makes the old one.
    pub fn atomic_cas(&mut self, ty: Ty, address: Value, expected: Value, new: Value) -> Value {
        let address = self.untagged(address);
        self.emit(Op::AtomicCas, ty, &[address, expected, new])
    }

    /// What an access to `address` goes to.
    fn untagged(&mut self, address: Value) -> Value {
        match self.sink.region().tags {
            Tags::Fault => address,
            Tags::Removed => self.without_tag(address),
        }
    }

    /// [`crate::state::aarch64::untagged`].
    pub fn without_tag(&mut self, address: Value) -> Value {
        let up = self.shl_imm(Ty::I64, address, 8);
        let extended = self.ashr_imm(Ty::I64, up, 8);
        self.and(Ty::I64, address, extended)
    }

    /// Orders memory accesses.
    pub fn fence(&mut self, barrier: Barrier) {
        self.emit_with(Op::Fence, Ty::I64, &[], barrier as u8, 0);
    }

    /// [`Op::Prefetch`].
    pub fn prefetch(&mut self, address: Value, offset: i64) {
        self.emit_with(Op::Prefetch, Ty::I64, &[address], 0, offset as u64);
    }

    unary! {
        /// [`Op::Neg`].
        neg Neg;
        /// [`Op::Abs`].
        abs Abs;
        /// [`Op::Not`].
        not Not;
        /// [`Op::Clz`].
        clz Clz;
        /// [`Op::Ctz`].
        ctz Ctz;
        /// [`Op::Cls`].
        cls Cls;
        /// [`Op::Popcnt`].
        popcnt Popcnt;
        /// [`Op::Bswap`].
        bswap Bswap;
        /// [`Op::Rbit`].
        rbit Rbit;
        /// [`Op::Zext`] to `ty`.
        zext Zext;
        /// [`Op::Sext`] to `ty`.
        sext Sext;
        /// [`Op::Trunc`] to `ty`.
        trunc Trunc;
        /// [`Op::Bitcast`] to `ty`.
        bitcast Bitcast;
        /// [`Op::Low`].
        low Low;
        /// [`Op::High`].
        high High;
        /// [`Op::FlagsLogic`].
        flags_logic FlagsLogic;
        /// [`Op::Fneg`].
        fneg Fneg;
        /// [`Op::Fabs`].
        fabs Fabs;
        /// [`Op::Fpromote`] to `ty`.
        fpromote Fpromote;
        /// [`Op::Fdemote`] to `ty`.
        fdemote Fdemote;
        /// [`Op::FpromoteHalf`].
        fpromote_half FpromoteHalf;
        /// [`Op::FwidenHalf`].
        fwiden_half FwidenHalf;
        /// [`Op::FdemoteHalf`].
        fdemote_half FdemoteHalf;
        /// [`Op::SintToF`] to `ty`.
        sint_to_f SintToF;
        /// [`Op::UintToF`] to `ty`.
        uint_to_f UintToF;
        /// [`Op::Splat`].
        splat Splat;
        /// [`Op::LaneMask`].
        lane_mask LaneMask;
        /// [`Op::WidenLowS`] to `ty`.
        widen_low_s WidenLowS;
        /// [`Op::WidenHighS`] to `ty`.
        widen_high_s WidenHighS;
        /// [`Op::WidenLowU`] to `ty`.
        widen_low_u WidenLowU;
        /// [`Op::WidenHighU`] to `ty`.
        widen_high_u WidenHighU;
    }

    binary! {
        /// [`Op::Add`].
        add Add;
        /// [`Op::Sub`].
        sub Sub;
        /// [`Op::Mul`].
        mul Mul;
        /// [`Op::UmulHigh`].
        umul_high UmulHigh;
        /// [`Op::SmulHigh`].
        smul_high SmulHigh;
        /// [`Op::Udiv`].
        udiv Udiv;
        /// [`Op::Sdiv`].
        sdiv Sdiv;
        /// [`Op::Urem`].
        urem Urem;
        /// [`Op::Srem`].
        srem Srem;
        /// [`Op::And`].
        and And;
        /// [`Op::Or`].
        or Or;
        /// [`Op::Xor`].
        xor Xor;
        /// [`Op::AndNot`]: a and not b.
        and_not AndNot;
        /// [`Op::Shl`].
        shl Shl;
        /// [`Op::Lshr`].
        lshr Lshr;
        /// [`Op::Ashr`].
        ashr Ashr;
        /// [`Op::Rotr`].
        rotr Rotr;
        /// [`Op::Umin`].
        umin Umin;
        /// [`Op::Umax`].
        umax Umax;
        /// [`Op::Smin`].
        smin Smin;
        /// [`Op::Smax`].
        smax Smax;
        /// [`Op::Concat`] to `ty`: low half, high half.
        concat Concat;
        /// [`Op::FlagsAdd`].
        flags_add FlagsAdd;
        /// [`Op::Vshl`].
        vshl Vshl;
        /// [`Op::Vlshr`].
        vlshr Vlshr;
        /// [`Op::Vashr`].
        vashr Vashr;
        /// [`Op::AddSatS`].
        add_sat_s AddSatS;
        /// [`Op::AddSatU`].
        add_sat_u AddSatU;
        /// [`Op::SubSatS`].
        sub_sat_s SubSatS;
        /// [`Op::SubSatU`].
        sub_sat_u SubSatU;
        /// [`Op::AvgU`].
        avg_u AvgU;
        /// [`Op::AddPairs`].
        add_pairs AddPairs;
        /// [`Op::DotPairsS`].
        dot_pairs_s DotPairsS;
        /// [`Op::Narrow`] to `ty`.
        narrow Narrow;
        /// [`Op::NarrowSatSS`] to `ty`.
        narrow_sat_ss NarrowSatSS;
        /// [`Op::NarrowSatSU`] to `ty`.
        narrow_sat_su NarrowSatSU;
        /// [`Op::NarrowSatUU`] to `ty`.
        narrow_sat_uu NarrowSatUU;
    }

    /// Shifts left by a constant below the width.
    pub fn shl_imm(&mut self, ty: Ty, a: Value, amount: u64) -> Value {
        self.with_imm(ty, a, amount, Self::shl)
    }

    /// Shifts right, zeroes in, by a constant below the width.
    pub fn lshr_imm(&mut self, ty: Ty, a: Value, amount: u64) -> Value {
        self.with_imm(ty, a, amount, Self::lshr)
    }

    /// Shifts right, sign in, by a constant below the width.
    pub fn ashr_imm(&mut self, ty: Ty, a: Value, amount: u64) -> Value {
        self.with_imm(ty, a, amount, Self::ashr)
    }

    /// Adds a constant.
    pub fn add_imm(&mut self, ty: Ty, a: Value, imm: u64) -> Value {
        self.with_imm(ty, a, imm, Self::add)
    }

    /// Ands with a constant.
    pub fn and_imm(&mut self, ty: Ty, a: Value, imm: u64) -> Value {
        self.with_imm(ty, a, imm, Self::and)
    }

    /// `op` with a scalar integer constant of type `ty`, up to 64 bits, as its second operand.
    pub fn with_imm(&mut self, ty: Ty, a: Value, imm: u64, op: impl Fn(&mut Self, Ty, Value, Value) -> Value) -> Value {
        if imm == 0 && ty == Ty::I128 {
            let zero = self.wide_const(ty, 0);
            return op(self, ty, a, zero);
        }
        let b = if ty == Ty::I128 { self.wide_const(ty, u128::from(imm)) } else { self.iconst(ty, imm) };
        op(self, ty, a, b)
    }

    /// Compares integers; a truth value, or a mask for a vector shape.
    pub fn icmp(&mut self, ty: Ty, cond: IntCond, a: Value, b: Value) -> Value {
        self.emit_with(Op::Icmp, ty, &[a, b], cond as u8, 0)
    }

    /// Compares a scalar integer of up to 64 bits with a constant.
    pub fn icmp_imm(&mut self, ty: Ty, cond: IntCond, a: Value, imm: u64) -> Value {
        let b = self.iconst(ty, imm);
        self.icmp(ty, cond, a, b)
    }

    /// `a` if `cond` is 1, else `b`.
    pub fn select(&mut self, ty: Ty, cond: Value, a: Value, b: Value) -> Value {
        self.emit(Op::Select, ty, &[cond, a, b])
    }

    /// Inverts a truth value.
    pub fn bool_not(&mut self, a: Value) -> Value {
        let one = self.bool_const(1);
        self.xor(Ty::I8, a, one)
    }

    /// The flags of a + b + carry.
    pub fn flags_adc(&mut self, ty: Ty, a: Value, b: Value, carry: Value) -> Value {
        self.emit(Op::FlagsAdc, ty, &[a, b, carry])
    }

    /// The flags of a − b.
    pub fn flags_sub(&mut self, ty: Ty, sense: Carry, a: Value, b: Value) -> Value {
        self.emit_with(Op::FlagsSub, ty, &[a, b], sense as u8, 0)
    }

    /// The flags of a − b − borrow; `carry` and the C made have the given sense.
    pub fn flags_sbc(&mut self, ty: Ty, sense: Carry, a: Value, b: Value, carry: Value) -> Value {
        self.emit_with(Op::FlagsSbc, ty, &[a, b, carry], sense as u8, 0)
    }

    /// The flags of a floating-point comparison: NZCV (4 bits each) for less, equal, greater, unordered.
    pub fn flags_fcmp(&mut self, ty: Ty, a: Value, b: Value, nzcv: [u8; 4]) -> Value {
        self.emit_with(Op::FlagsFcmp, ty, &[a, b], 0, relations(nzcv))
    }

    /// As [`Builder::flags_fcmp`], but every NaN raises that the operation is invalid.
    pub fn flags_fcmp_signalling(&mut self, ty: Ty, a: Value, b: Value, nzcv: [u8; 4]) -> Value {
        self.emit_with(Op::FlagsFcmp, ty, &[a, b], 0, relations(nzcv) | SIGNALS)
    }

    /// Flags with C replaced.
    pub fn flags_with_c(&mut self, flags: Value, c: Value) -> Value {
        self.emit(Op::FlagsWithC, Ty::Flags, &[flags, c])
    }

    /// Flags with V replaced.
    pub fn flags_with_v(&mut self, flags: Value, v: Value) -> Value {
        self.emit(Op::FlagsWithV, Ty::Flags, &[flags, v])
    }

    /// Flags out of an `i32` whose low bits are N Z C V.
    pub fn flags_from_bits(&mut self, bits: Value) -> Value {
        self.emit(Op::FlagsFromBits, Ty::Flags, &[bits])
    }

    /// Flags as an `i32` whose low bits are N Z C V.
    pub fn flags_to_bits(&mut self, flags: Value) -> Value {
        self.emit(Op::FlagsToBits, Ty::Flags, &[flags])
    }

    /// Whether a condition holds.
    pub fn flags_test(&mut self, flags: Value, cond: Cond) -> Value {
        self.emit_with(Op::FlagsTest, Ty::Flags, &[flags], cond as u8, 0)
    }

    /// Floating-point arithmetic of two operands: `Fadd`, `Fsub`, `Fmul`, `Fdiv`, `Fmin`, `Fmax`, `FminNum`, `FmaxNum`.
    pub fn float2(&mut self, op: Op, ty: Ty, nan: NanRule, a: Value, b: Value) -> Value {
        self.emit_with(op, ty, &[a, b], nan as u8, 0)
    }

    /// Square root.
    pub fn fsqrt(&mut self, ty: Ty, nan: NanRule, a: Value) -> Value {
        self.emit_with(Op::Fsqrt, ty, &[a], nan as u8, 0)
    }

    /// a × b + c, rounded once.
    pub fn fmul_add(&mut self, ty: Ty, nan: NanRule, a: Value, b: Value, c: Value) -> Value {
        self.emit_with(Op::FmulAdd, ty, &[a, b, c], nan as u8, 0)
    }

    /// Compares floats; a truth value, or a mask for a vector shape.
    pub fn fcmp(&mut self, ty: Ty, cond: FloatCond, a: Value, b: Value) -> Value {
        self.emit_with(Op::Fcmp, ty, &[a, b], cond as u8, 0)
    }

    /// Rounds to an integral value.
    pub fn fround(&mut self, ty: Ty, rounding: Rounding, a: Value) -> Value {
        self.emit_with(Op::Fround, ty, &[a], rounding as u8, 0)
    }

    /// Float to signed integer of type `ty`, saturating.
    pub fn fto_sint(&mut self, ty: Ty, rounding: Rounding, a: Value) -> Value {
        self.emit_with(Op::FtoSint, ty, &[a], rounding as u8, 0)
    }

    /// Float to unsigned integer of type `ty`, saturating.
    pub fn fto_uint(&mut self, ty: Ty, rounding: Rounding, a: Value) -> Value {
        self.emit_with(Op::FtoUint, ty, &[a], rounding as u8, 0)
    }

    /// Lane `lane` of a vector of shape `ty`.
    pub fn extract_lane(&mut self, ty: Ty, a: Value, lane: u32) -> Value {
        self.emit_with(Op::ExtractLane, ty, &[a], 0, u64::from(lane))
    }

    /// The vector with lane `lane` replaced by a scalar.
    pub fn insert_lane(&mut self, ty: Ty, a: Value, lane: u32, scalar: Value) -> Value {
        self.emit_with(Op::InsertLane, ty, &[a, scalar], 0, u64::from(lane))
    }

    /// Byte i of the result is byte `mask[i]` of a (0–15) or b (16–31), or 0 above.
    pub fn shuffle(&mut self, a: Value, b: Value, mask: [u8; 16]) -> Value {
        let index = self.sink.intern_const(u128::from_le_bytes(mask));
        self.emit_with(Op::Shuffle, Ty::V128, &[a, b], 0, index)
    }

    /// Byte i is byte `index`[i] of `table`, or 0 if that is above 15.
    pub fn table_lookup(&mut self, table: Value, index: Value) -> Value {
        self.emit(Op::TableLookup, Ty::V128, &[table, index])
    }

    /// Bits of `a` where `mask` is set, else of `b`.
    pub fn bit_select(&mut self, mask: Value, a: Value, b: Value) -> Value {
        self.emit(Op::BitSelect, Ty::V128, &[mask, a, b])
    }

    /// Shifts lanes left by a constant, at most the lane width.
    pub fn vshl_imm(&mut self, ty: Ty, a: Value, amount: u32) -> Value {
        self.emit_with(Op::VshlImm, ty, &[a], 0, u64::from(amount))
    }

    /// Shifts lanes right, zeroes in, by a constant, at most the lane width.
    pub fn vlshr_imm(&mut self, ty: Ty, a: Value, amount: u32) -> Value {
        self.emit_with(Op::VlshrImm, ty, &[a], 0, u64::from(amount))
    }

    /// Shifts lanes right, sign in, by a constant, at most the lane width.
    pub fn vashr_imm(&mut self, ty: Ty, a: Value, amount: u32) -> Value {
        self.emit_with(Op::VashrImm, ty, &[a], 0, u64::from(amount))
    }

    /// Carry-less product of the low halves.
    pub fn clmul_low(&mut self, a: Value, b: Value) -> Value {
        self.emit(Op::ClmulLow, Ty::V128, &[a, b])
    }

    /// A step of AES: [`Op::AesRound`] and its like.
    pub fn aes(&mut self, op: Op, a: Value) -> Value {
        self.emit(op, Ty::V128, &[a])
    }

    /// Calls a helper; `args` are as many as it declares.
    pub fn call(&mut self, helper: &'static Helper, args: &[Value]) -> Value {
        debug_assert_eq!(args.len(), usize::from(helper.operands), "{}", helper.name);
        self.forget();
        let index = self.sink.intern_helper(helper);
        self.emit_with(Op::Call, helper.result, args, 0, index)
    }

    /// [`Sink::constant`].
    pub fn constant(&self, value: Value) -> Option<u128> {
        self.sink.constant(value)
    }

    /// [`Sink::just_made`].
    pub fn just_made(&self, slot: Slot) -> Option<&Inst> {
        self.sink.just_made(slot)
    }

    /// Ends the current block.
    pub fn terminate(&mut self, end: Terminator) {
        self.sink.terminate(end);
    }

    /// Goes to a block of this region.
    pub fn jump(&mut self, to: BlockId) {
        self.terminate(Terminator::Jump(to));
    }

    /// Goes to `then` if `cond` is 1, else to `other`.
    pub fn branch(&mut self, cond: Value, then: BlockId, other: BlockId) {
        self.terminate(Terminator::Branch { cond, then, other });
    }

    /// Leaves the region.
    pub fn exit(&mut self, reason: ExitReason, pc: Pc, argument: Value) {
        self.terminate(Terminator::Exit { reason, pc, argument });
    }
}

/// The parameter of [`Op::FlagsFcmp`].
fn relations(nzcv: [u8; 4]) -> u64 {
    nzcv.iter().rev().fold(0, |bits, &flags| bits << 4 | u64::from(flags))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::helper::HelperEffect;
    use crate::state::{Arch, aarch64::X};

    #[test]
    fn a_block_reads_a_register_once_while_nothing_changes_it() {
        static HELPER: Helper =
            Helper { name: "helper", function: |_, _| 0, operands: 0, result: Ty::I64, effect: HelperEffect::State };
        let mut region = Region::new(Arch::Aarch64, 0x400);
        let mut b = RegionBuilder::new(&mut region);
        let first = b.get(Ty::I64, X[0]);
        assert_eq!(b.get(Ty::I64, X[0]), first);
        let low = b.get(Ty::I32, X[0]);
        assert!(low != first && b.get(Ty::I32, X[0]) == low);
        let eight = b.c64(8);
        b.set(Ty::I64, X[0], eight);
        assert_eq!((b.get(Ty::I64, X[0]), b.constant(eight)), (eight, Some(8)));
        b.call(&HELPER, &[]);
        let after = b.get(Ty::I64, X[0]);
        assert!(after != eight && after != first);
        let next = b.new_block();
        b.jump(next);
        b.switch_to(next);
        assert_ne!(b.get(Ty::I64, X[0]), after);
        b.forget();
        assert_eq!(b.constant(after), None);
        b.exit(ExitReason::Jump, Pc::Const(0x404), Value::NONE);
        assert_eq!(crate::verify::verify(&region), Ok(()));
    }
}
