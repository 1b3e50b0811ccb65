//! Regions: one entry, any number of blocks, typed exits; and the builder that frontends append to them with.
//!
//! A value is the number of the instruction that makes it. Every use of a value is dominated by it; there are no
//! block parameters: what differs by path travels in slots. Instructions live in one arena and blocks list them,
//! so a pass can drop, replace or move one without touching the others.

use crate::guards::Guards;
use crate::helper::Helper;
use crate::ops::{Barrier, Carry, Cond, FloatCond, FlowHint, IntCond, NanRule, Op, Ordering, RmwOp, Rounding, SIGNALS};
use crate::processor::{MAX, Model};
use crate::state::{Arch, Slot};
use crate::ty::Ty;
use std::ops::Range;

/// The result of an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Value(pub u32);

impl Value {
    /// No operand.
    pub const NONE: Value = Value(u32::MAX);

    /// The index of the instruction that makes this value.
    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A block of a region; block 0 is the entry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct BlockId(pub u32);

impl BlockId {
    /// The entry.
    pub const ENTRY: BlockId = BlockId(0);

    /// The index into [`Region::blocks`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One instruction. What `aux` and `imm` mean is in the operation's row.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Inst {
    /// What it does.
    pub op: Op,
    /// The type or shape it does it in.
    pub ty: Ty,
    /// A small parameter.
    pub aux: u8,
    /// The operands; the unused ones are [`Value::NONE`].
    pub args: [Value; 3],
    /// A wide parameter.
    pub imm: u64,
}

impl Inst {
    /// An instruction of this operation and type without operands.
    pub fn new(op: Op, ty: Ty) -> Inst {
        Inst { op, ty, aux: 0, args: [Value::NONE; 3], imm: 0 }
    }

    /// The operands that are used.
    pub fn operands(&self) -> impl Iterator<Item = Value> + '_ {
        self.args.iter().copied().filter(|&arg| arg != Value::NONE)
    }

    /// The slot of a `Get`, `Set` or `SetLow`.
    #[inline]
    pub fn slot(&self) -> Slot {
        Slot(self.imm as u16)
    }

    /// The type of the value it makes, if any.
    pub fn result(&self) -> Option<Ty> {
        self.op.info().result(self.ty)
    }
}

/// Where the guest goes on after an exit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pc {
    /// At a known address.
    Const(u64),
    /// At the address in an `i64` value.
    Dynamic(Value),
}

/// Why a region ends.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u32)]
pub enum ExitReason {
    /// The guest goes on elsewhere: linkable where the pc is constant, looked up where it is not.
    Jump = 0,
    /// As `Jump`, by a call instruction.
    Call = 1,
    /// As `Jump`, by a return instruction.
    Return = 2,
    /// A system call; the pc is that of the next instruction.
    Syscall = 3,
    /// An undefined instruction at the pc.
    Undefined = 4,
    /// A breakpoint instruction; the pc is what the guest's kernel reports (AArch64 BRK: its own; x86 INT3: the next).
    Breakpoint = 5,
    /// x86 #DE at the pc.
    DivideError = 6,
    /// A misaligned access that the guest's machine refuses; the argument is its address.
    Misaligned = 7,
    /// x86 #GP at the pc.
    Protection = 8,
    /// The guest declares code stale (AArch64 `IC IVAU`), the pc being that of the next instruction; or a block that
    /// starts at the pc has found that its own bytes changed. The argument is an address in what is stale.
    StaleCode = 9,
    /// The instruction at the pc cannot be fetched; the argument is the address that failed.
    FetchFault = 10,
    /// Someone asked the thread to leave; the pc is where it goes on.
    Interrupted = 11,
    /// A memory access at the pc failed; only backends make this one. The argument is the address.
    Fault = 12,
    /// The instruction at the pc, of four bytes, writes the argument to the floating-point flags, which are not kept; if
    /// that takes some away, it has to be lifted under [`Floats::Exact`].
    ExactFloats = 13,
    /// The instruction at the pc writes this to FPCR, which needs [`Floats::Flushing`] or [`Floats::Modes`].
    FloatModes = 14,
    /// The guest reads its floating-point flags into the general register that the argument numbers, where they are
    /// not kept; the pc is that of the next instruction.
    FloatStatus = 15,
    /// The guest wants a random number in the general register that the argument numbers, and whether it got one in
    /// NZCV (AArch64 RNDR); the pc is that of the next instruction.
    RandomNumber = 16,
    /// The instruction at the pc is no landing pad for the kind of branch that came to it (AArch64 FEAT_BTI).
    BranchTarget = 17,
}

impl ExitReason {
    /// Every reason with the name that text uses for it, in the order of their numbers.
    pub const NAMES: [(ExitReason, &'static str); 18] = [
        (ExitReason::Jump, "jump"),
        (ExitReason::Call, "call"),
        (ExitReason::Return, "return"),
        (ExitReason::Syscall, "syscall"),
        (ExitReason::Undefined, "undefined"),
        (ExitReason::Breakpoint, "breakpoint"),
        (ExitReason::DivideError, "divide_error"),
        (ExitReason::Misaligned, "misaligned"),
        (ExitReason::Protection, "protection"),
        (ExitReason::StaleCode, "stale_code"),
        (ExitReason::FetchFault, "fetch_fault"),
        (ExitReason::Interrupted, "interrupted"),
        (ExitReason::Fault, "fault"),
        (ExitReason::ExactFloats, "exact_floats"),
        (ExitReason::FloatModes, "float_modes"),
        (ExitReason::FloatStatus, "float_status"),
        (ExitReason::RandomNumber, "random_number"),
        (ExitReason::BranchTarget, "branch_target"),
    ];

    /// The name in text.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize].1
    }

    /// The reason with this name.
    pub fn parse(name: &str) -> Option<ExitReason> {
        Self::NAMES.iter().find(|(_, n)| *n == name).map(|(reason, _)| *reason)
    }

    /// The reason with this number, as [`crate::state::Control::exit_reason`] holds it.
    pub fn from_number(number: u32) -> ExitReason {
        Self::NAMES[number as usize].0
    }

    /// Whether the guest simply goes on at the exit's pc.
    pub fn is_jump(self) -> bool {
        matches!(self, ExitReason::Jump | ExitReason::Call | ExitReason::Return)
    }

    /// The reason of an indirect branch with this hint.
    pub fn from_hint(hint: FlowHint) -> ExitReason {
        match hint {
            FlowHint::Jump => ExitReason::Jump,
            FlowHint::Call => ExitReason::Call,
            FlowHint::Return => ExitReason::Return,
        }
    }
}

/// How a block ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Terminator {
    /// Not yet.
    Open,
    /// Goes to a block of this region.
    Jump(BlockId),
    /// Goes to `then` if `cond` is 1, else to `other`.
    Branch {
        /// A truth value.
        cond: Value,
        /// Where to if it is 1.
        then: BlockId,
        /// Where to if it is 0.
        other: BlockId,
    },
    /// Leaves the region.
    Exit {
        /// Why.
        reason: ExitReason,
        /// Where the guest goes on.
        pc: Pc,
        /// An `i64`, or [`Value::NONE`].
        argument: Value,
    },
}

impl Terminator {
    /// The blocks it can go to.
    pub fn successors(&self) -> impl Iterator<Item = BlockId> + use<> {
        let (first, second) = match *self {
            Terminator::Jump(to) => (Some(to), None),
            Terminator::Branch { then, other, .. } => (Some(then), Some(other)),
            Terminator::Open | Terminator::Exit { .. } => (None, None),
        };
        first.into_iter().chain(second)
    }

    /// The values it uses.
    pub fn operands(&self) -> impl Iterator<Item = Value> + use<> {
        let (first, second) = match *self {
            Terminator::Branch { cond, .. } => (cond, Value::NONE),
            Terminator::Exit { pc: Pc::Dynamic(pc), argument, .. } => (pc, argument),
            Terminator::Exit { argument, .. } => (argument, Value::NONE),
            Terminator::Open | Terminator::Jump(_) => (Value::NONE, Value::NONE),
        };
        [first, second].into_iter().filter(|&value| value != Value::NONE)
    }
}

/// A straight run of instructions.
#[derive(Clone, PartialEq, Debug)]
pub struct Block {
    /// In order of execution.
    pub insts: Vec<Value>,
    /// What comes after.
    pub end: Terminator,
}

/// How much of the guest's floating-point environment lifted code keeps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
#[repr(u8)]
pub enum Floats {
    /// Rounding modes. Cumulative flags are not kept: the guest has never written them, to ask later what came since.
    #[default]
    Plain,
    /// Rounding modes, and that denormal numbers are zeroes (FPCR.FZ), which the host's unit sees to; flags are not kept.
    Flushing,
    /// Every mode; flags are not kept.
    Modes,
    /// Every mode and every flag.
    Exact,
}

/// What lifted code does about the top byte of an address, which AArch64 ignores (Arm ARM D8.8, under Linux always on).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
#[repr(u8)]
pub enum Tags {
    /// Nothing: an access with one faults, and the runtime sees to it.
    #[default]
    Fault,
    /// It takes the byte away before each access.
    Removed,
}

/// Guest code that the runtime has put there: one instruction, which is none anywhere else, calls it.
#[derive(Clone, Debug)]
pub struct RuntimePage {
    /// Where it is.
    pub range: Range<u64>,
    /// What the instruction calls: two numbers in, two words out, low one first.
    pub call: &'static Helper,
}

/// Guest code as data: one entry, many blocks, typed exits.
#[derive(Clone, Debug)]
pub struct Region {
    /// The guest.
    pub arch: Arch,
    /// Where the guest enters it.
    pub pc: u64,
    /// How floating point is lifted.
    pub floats: Floats,
    /// How addresses are lifted.
    pub tags: Tags,
    /// Where landing pads are asked for.
    pub guards: Guards,
    /// The runtime's own page among the guest's code, if there is one.
    pub runtime_page: Option<RuntimePage>,
    /// The processor that it is lifted for, if the guest is AArch64.
    pub processor: &'static Model,
    /// The arena of instructions; a [`Value`] is an index.
    pub insts: Vec<Inst>,
    /// The blocks; 0 is the entry.
    pub blocks: Vec<Block>,
    /// 128-bit constants.
    pub consts: Vec<u128>,
    /// The helpers it calls.
    pub helpers: Vec<&'static Helper>,
    /// Whether some instruction may read the flags' slot; false only where a builder knows that none does.
    pub reads_flags: bool,
    /// Empty lists for the blocks to come.
    spare: Vec<Vec<Value>>,
}

impl Region {
    /// An empty region without blocks.
    pub fn new(arch: Arch, pc: u64) -> Region {
        let (insts, blocks, spare) = (Vec::new(), Vec::new(), Vec::new());
        Region {
            arch,
            pc,
            floats: Floats::Plain,
            tags: Tags::Fault,
            guards: Guards::Unknown,
            runtime_page: None,
            processor: &MAX,
            insts,
            blocks,
            consts: Vec::new(),
            helpers: Vec::new(),
            reads_flags: true,
            spare,
        }
    }

    /// Makes it an empty region for another address, in the memory that it has.
    pub fn reset(&mut self, pc: u64) {
        self.pc = pc;
        self.insts.clear();
        self.consts.clear();
        self.helpers.clear();
        self.reads_flags = false;
        self.spare.extend(self.blocks.drain(..).map(|mut block| {
            block.insts.clear();
            block.insts
        }));
    }

    /// The instruction that makes `value`.
    #[inline]
    pub fn inst(&self, value: Value) -> &Inst {
        &self.insts[value.index()]
    }

    /// The block.
    pub fn block(&self, id: BlockId) -> &Block {
        &self.blocks[id.index()]
    }

    /// The type of a value; panics for an instruction that makes none.
    pub fn ty(&self, value: Value) -> Ty {
        let inst = self.inst(value);
        inst.result().unwrap_or_else(|| panic!("{:?} makes no value", inst.op))
    }

    /// The bits of the value if it is a constant.
    pub fn constant(&self, value: Value) -> Option<u128> {
        let inst = self.inst(value);
        match inst.op {
            Op::Const => Some(u128::from(inst.imm) & inst.ty.mask()),
            Op::WideConst => Some(self.consts[inst.imm as usize]),
            _ => None,
        }
    }

    /// The numbers of all blocks, entry first.
    pub fn block_ids(&self) -> impl DoubleEndedIterator<Item = BlockId> + use<> {
        (0..self.blocks.len() as u32).map(BlockId)
    }

    /// Puts a 128-bit constant into the pool, once.
    pub fn intern_const(&mut self, bits: u128) -> u64 {
        let known = self.consts.iter().position(|&c| c == bits);
        known.unwrap_or_else(|| {
            self.consts.push(bits);
            self.consts.len() - 1
        }) as u64
    }

    /// Puts a helper into the list, once.
    pub fn intern_helper(&mut self, helper: &'static Helper) -> u64 {
        let known = self.helpers.iter().position(|&h| std::ptr::eq(h, helper));
        known.unwrap_or_else(|| {
            self.helpers.push(helper);
            self.helpers.len() - 1
        }) as u64
    }
}

/// Appends instructions to the current block of a region.
#[derive(Debug)]
pub struct Builder<'a> {
    /// The region under construction.
    pub region: &'a mut Region,
    current: BlockId,
    /// The flags that a block has in its slot from the last write to it on, as long as nobody else may have written there.
    flags: Option<(BlockId, Value)>,
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

impl<'a> Builder<'a> {
    /// A builder that appends to a new first or next block of `region`.
    pub fn new(region: &'a mut Region) -> Builder<'a> {
        let mut builder = Builder { region, current: BlockId(0), flags: None };
        builder.current = builder.new_block();
        builder
    }

    /// A new empty block.
    pub fn new_block(&mut self) -> BlockId {
        let insts = self.region.spare.pop().unwrap_or_default();
        self.region.blocks.push(Block { insts, end: Terminator::Open });
        BlockId(self.region.blocks.len() as u32 - 1)
    }

    /// Appends to `block` from now on.
    pub fn switch_to(&mut self, block: BlockId) {
        self.current = block;
    }

    /// The block that instructions are appended to.
    pub fn current(&self) -> BlockId {
        self.current
    }

    /// Whether the current block has its terminator.
    pub fn is_closed(&self) -> bool {
        self.region.block(self.current).end != Terminator::Open
    }

    /// Appends an instruction as it stands.
    #[inline]
    pub fn push(&mut self, inst: Inst) -> Value {
        let value = Value(self.region.insts.len() as u32);
        self.region.insts.push(inst);
        self.region.blocks[self.current.index()].insts.push(value);
        value
    }

    fn emit(&mut self, op: Op, ty: Ty, args: &[Value]) -> Value {
        self.emit_with(op, ty, args, 0, 0)
    }

    #[inline]
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
        let index = self.region.intern_const(bits);
        self.emit_with(Op::WideConst, ty, &[], 0, index)
    }

    /// Reads the low bits of a slot. Flags that this block has written are these.
    #[inline]
    pub fn get(&mut self, ty: Ty, slot: Slot) -> Value {
        if ty == Ty::Flags {
            if let Some((block, flags)) = self.flags
                && block == self.current
            {
                return flags;
            }
            self.region.reads_flags = true;
        }
        self.emit_with(Op::Get, ty, &[], 0, u64::from(slot.0))
    }

    /// Forgets which flags a block has written: they are taken back.
    pub fn forget_flags(&mut self) {
        self.flags = None;
    }

    /// Writes a slot, zero-extending a value of a narrower type `ty`.
    pub fn set(&mut self, ty: Ty, slot: Slot, value: Value) {
        if ty == Ty::Flags {
            self.flags = Some((self.current, value));
        }
        self.emit_with(Op::Set, ty, &[value], 0, u64::from(slot.0));
    }

    /// Writes the low bits of a slot and keeps the others.
    pub fn set_low(&mut self, ty: Ty, slot: Slot, value: Value) {
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
        match self.region.tags {
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
        let relations = nzcv.iter().rev().fold(0, |bits, &f| bits << 4 | u64::from(f));
        self.emit_with(Op::FlagsFcmp, ty, &[a, b], 0, relations)
    }

    /// As [`Builder::flags_fcmp`], but every NaN raises that the operation is invalid.
    pub fn flags_fcmp_signalling(&mut self, ty: Ty, a: Value, b: Value, nzcv: [u8; 4]) -> Value {
        let flags = self.flags_fcmp(ty, a, b, nzcv);
        self.region.insts[flags.index()].imm |= SIGNALS;
        flags
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
        let index = self.region.intern_const(u128::from_le_bytes(mask));
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
        self.flags = None;
        let index = self.region.intern_helper(helper);
        self.emit_with(Op::Call, helper.result, args, 0, index)
    }

    /// The operation whose result the guest instruction before this one has put into a slot at last.
    pub fn just_made(&self, slot: Slot) -> Option<&Inst> {
        let insts = &self.region.blocks[self.current.index()].insts;
        let set = insts.iter().rev().map(|&value| self.region.inst(value)).find(|inst| inst.op != Op::Insn)?;
        (set.op == Op::Set && set.imm == u64::from(slot.0)).then(|| self.region.inst(set.args[0]))
    }

    /// Ends the current block.
    pub fn terminate(&mut self, end: Terminator) {
        debug_assert!(!self.is_closed(), "block {:?} ends twice", self.current);
        self.region.blocks[self.current.index()].end = end;
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
