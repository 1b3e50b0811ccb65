//! Regions: one entry, any number of blocks, typed exits.
//!
//! A value is the number of the instruction that makes it. Every use of a value is dominated by it; there are no
//! block parameters: what differs by path travels in slots. Instructions live in one arena and blocks list them,
//! so a pass can drop, replace or move one without touching the others.

use crate::guards::Guards;
use crate::helper::Helper;
use crate::ops::{FlowHint, Op};
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
    #[inline]
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
    /// Empty lists for the blocks to come.
    pub(crate) spare: Vec<Vec<Value>>,
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
            spare,
        }
    }

    /// Makes it an empty region for another address, in the memory that it has.
    pub fn reset(&mut self, pc: u64) {
        self.pc = pc;
        self.insts.clear();
        self.consts.clear();
        self.helpers.clear();
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
