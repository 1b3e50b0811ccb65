//! The guest machine's state: one array of 64-bit words, named by slots, behind what translated code needs to
//! find its way out.
//!
//! A [`Slot`] is the index of its first word, so `CpuState::words` + 8 × slot is where a backend finds it. Translated code
//! points into the middle of what it names most, which a displacement of one byte reaches from there: [`displacement`].
//! Slots of guest registers are live at every exit; *local* slots carry values between the blocks of one region
//! and are dead outside it.

use crate::ty::Ty;
use std::mem::offset_of;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// A guest architecture.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Arch {
    /// AArch64, little-endian, EL0.
    Aarch64,
    /// x86-64, 64-bit mode, ring 3.
    X86_64,
}

impl Arch {
    /// The name that `uname -m` prints on this machine.
    pub fn name(self) -> &'static str {
        match self {
            Arch::Aarch64 => "aarch64",
            Arch::X86_64 => "x86_64",
        }
    }

    /// The architecture with this name.
    pub fn parse(name: &str) -> Option<Arch> {
        [Arch::Aarch64, Arch::X86_64].into_iter().find(|arch| arch.name() == name)
    }

    /// The slots of this guest, locals included, in the order of their words.
    pub fn slots(self) -> &'static [SlotInfo] {
        match self {
            Arch::Aarch64 => &AARCH64_SLOTS,
            Arch::X86_64 => &X86_64_SLOTS,
        }
    }

    /// What is known of `slot`; panics if this guest has no such slot.
    pub fn slot(self, slot: Slot) -> &'static SlotInfo {
        self.find_slot(|info| info.slot == slot).unwrap_or_else(|| panic!("{} has no slot {slot:?}", self.name()))
    }

    /// Whether the slot holds what a flag derives from, beside the slots whose type is [`Ty::Flags`].
    pub fn derives_flag(self, slot: Slot) -> bool {
        self == Arch::X86_64 && [x86_64::PARITY, x86_64::ADJUST].contains(&slot)
    }

    /// The slot with this name.
    pub fn slot_named(self, name: &str) -> Option<&'static SlotInfo> {
        self.find_slot(|info| info.name == name)
    }

    /// Whether `slot` has two words.
    pub fn is_wide(self, slot: Slot) -> bool {
        static AARCH64: [bool; WORDS] = wide_slots(&AARCH64_SLOTS);
        static X86_64: [bool; WORDS] = wide_slots(&X86_64_SLOTS);
        match self {
            Arch::Aarch64 => AARCH64[slot.0 as usize],
            Arch::X86_64 => X86_64[slot.0 as usize],
        }
    }

    /// The words of [`CpuState`] that outlive a region: all ones in theirs, 0 in the others.
    fn lasting_words(self) -> &'static [u64; WORDS] {
        static AARCH64: [u64; WORDS] = lasting_words(&AARCH64_SLOTS);
        static X86_64: [u64; WORDS] = lasting_words(&X86_64_SLOTS);
        match self {
            Arch::Aarch64 => &AARCH64,
            Arch::X86_64 => &X86_64,
        }
    }

    fn find_slot(self, wanted: impl Fn(&SlotInfo) -> bool) -> Option<&'static SlotInfo> {
        self.slots().iter().find(|info| wanted(info))
    }
}

/// A named place in [`CpuState`]: the index of its first 64-bit word.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Slot(pub u16);

/// How long the value of a slot lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Life {
    /// Guest state: live at every exit from a region.
    Guest,
    /// Carries a value between blocks of one region; undefined at its entry, dead at its exits.
    Local,
}

/// One row of a guest's slot table.
#[derive(Clone, Copy, Debug)]
pub struct SlotInfo {
    /// The place.
    pub slot: Slot,
    /// The widest type that the slot holds.
    pub ty: Ty,
    /// The register's name in its manual, lower case.
    pub name: &'static str,
    /// Guest state or region-local.
    pub life: Life,
}

/// Stubs of the baseline compiler's code.
pub const STUBS: usize = 7;
/// Words in [`CpuState`].
pub const WORDS: usize = 168;
/// The guest's program counter, whatever the guest.
pub const PC: Slot = Slot(33);
/// The condition flags ([`Ty::Flags`]; in memory bit 3 = N, 2 = Z, 1 = C, 0 = V), whatever the guest.
/// x86: N is SF, Z is ZF, C is CF (set on borrow), V is OF.
pub const NZCV: Slot = Slot(16);
/// Region-local integers `t0`…`t15`.
pub const LOCALS: [Slot; 16] = slots(112, 1);
/// Region-local vectors `tv0`…`tv7`.
pub const VECTOR_LOCALS: [Slot; 8] = slots(128, 2);

const fn slots<const N: usize>(first: u16, words: u16) -> [Slot; N] {
    let mut all = [Slot(first); N];
    let mut i = 0;
    while i < N {
        all[i] = Slot(first + i as u16 * words);
        i += 1;
    }
    all
}

const fn wide_slots(table: &[SlotInfo]) -> [bool; WORDS] {
    let mut wide = [false; WORDS];
    let mut i = 0;
    while i < table.len() {
        wide[table[i].slot.0 as usize] = matches!(table[i].ty, Ty::V128 | Ty::I128);
        i += 1;
    }
    wide
}

const fn lasting_words(table: &[SlotInfo]) -> [u64; WORDS] {
    let wide = wide_slots(table);
    let mut lasting = [0; WORDS];
    let mut i = 0;
    while i < table.len() {
        if matches!(table[i].life, Life::Guest) {
            let first = table[i].slot.0 as usize;
            lasting[first] = u64::MAX;
            if wide[first] {
                lasting[first + 1] = u64::MAX;
            }
        }
        i += 1;
    }
    lasting
}

/// Slots of the AArch64 guest.
pub mod aarch64 {
    use super::{CpuState, Slot, slots};
    /// General registers X0 to X30; those come first that code of Debian's programs names most.
    pub const X: [Slot; 31] = {
        let words = [
            0, 1, 2, 3, 4, 5, 6, 7, 8, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 9, 10, 11, 12, 13, 14, 15, 17, 18, 19,
            20, 21,
        ];
        let mut all = [Slot(0); 31];
        let mut i = 0;
        while i < all.len() {
            all[i] = Slot(words[i]);
            i += 1;
        }
        all
    };
    /// The stack pointer.
    pub const SP: Slot = Slot(22);
    /// TPIDR_EL0.
    pub const TPIDR: Slot = Slot(34);
    /// FPCR, 32 bits.
    pub const FPCR: Slot = Slot(35);
    /// The bits of FPCR that [`crate::Floats::Plain`] does not follow: AHP, DN, FZ, FZ16 (Arm ARM C5.2.8).
    pub const SPECIAL_FPCR: u64 = 0x0708_0000;
    /// The one of them that [`crate::Floats::Flushing`] follows: FZ.
    pub const FLUSH: u64 = 1 << 24;
    /// FPSR, 32 bits.
    pub const FPSR: Slot = Slot(36);
    /// Flags in the places of FPSR that helpers have raised and that are not in FPSR yet; instructions never name it.
    pub const RAISED: Slot = Slot(39);
    /// Address of the exclusive monitor's reservation, valid while [`EXCLUSIVE_SIZE`] is not 0.
    pub const EXCLUSIVE_ADDRESS: Slot = Slot(37);
    /// Size in bytes of the reservation; 0 when the monitor is clear.
    pub const EXCLUSIVE_SIZE: Slot = Slot(38);
    /// The value (up to 128 bits) that the reservation's load saw.
    pub const EXCLUSIVE_VALUE: Slot = Slot(40);
    /// Not all zero where an instruction has saturated and QC is not in FPSR yet.
    pub const SATURATED: Slot = Slot(44);
    /// QC of FPSR: something has saturated.
    pub const QC: u64 = 1 << 27;
    /// Bits of the processor's state that user code can write and that have no slot of their own, in the places of
    /// SPSR_EL1 (Arm ARM C5.2.18): [`DIT`], [`SSBS`].
    pub const PSTATE: Slot = Slot(42);
    /// Data-independent timing. Nothing here depends on it.
    pub const DIT: u64 = 1 << 24;
    /// Speculative store bypass is safe; set in a new program, as Linux does where it mitigates on request.
    pub const SSBS: u64 = 1 << 12;
    /// PSTATE.BTYPE: what kind of branch to a register the last instruction was (Arm ARM D8.4.7), 0 if it was none. Kept
    /// where there are guarded pages alone ([`crate::Guards`]).
    pub const BTYPE: Slot = Slot(43);
    /// BTYPE after BLR, and at the start of a signal handler.
    pub const BTYPE_CALL: u64 = 0b10;
    /// Where BTYPE is in SPSR_EL1.
    pub const BTYPE_SHIFT: u32 = 10;
    /// SIMD and floating-point registers V0 to V31.
    pub const V: [Slot; 32] = slots(48, 2);
    /// What the thread's keys for pointers (APIAKey, APIBKey, APDAKey, APDBKey, APGAKey) differ in from those of a new
    /// program.
    pub const KEYS: [Slot; 5] = slots(148, 1);

    /// FPSR with everything that has been raised, but for what only the host's units know.
    pub fn float_status(cpu: &CpuState) -> u64 {
        let saturated = if cpu.get128(SATURATED) == 0 { 0 } else { QC };
        cpu.get(FPSR) | cpu.get(RAISED) | saturated
    }

    /// What code has to follow where this is FPCR.
    pub fn floats_for(fpcr: u64) -> crate::Floats {
        match fpcr & SPECIAL_FPCR {
            0 => crate::Floats::Plain,
            FLUSH => crate::Floats::Flushing,
            _ => crate::Floats::Modes,
        }
    }

    /// Writes FPSR.
    pub fn set_float_status(cpu: &mut CpuState, status: u64) {
        cpu.set(FPSR, status);
        cpu.set(RAISED, 0);
        cpu.set128(SATURATED, 0);
    }

    /// The address without the byte that accesses ignore; what lies in the kernel's half keeps it, as Linux says in
    /// si_addr (`untagged_addr` of arch/arm64/include/asm/uaccess.h).
    pub const fn untagged(address: u64) -> u64 {
        address & ((address << 8) as i64 >> 8) as u64
    }
}

/// Slots of the x86-64 guest.
pub mod x86_64 {
    use super::{Slot, slots};
    /// RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15: the order of the instruction encoding.
    pub const GPR: [Slot; 16] = slots(0, 1);
    /// PF is the even parity of the lowest byte of this.
    pub const PARITY: Slot = Slot(17);
    /// The byte (8 bits) whose bit 4 is AF. A whole result, as [`PARITY`] holds, would make clearing it longer.
    pub const ADJUST: Slot = Slot(18);
    /// DF: 0 or 1.
    pub const DF: Slot = Slot(19);
    /// The base address of FS.
    pub const FS_BASE: Slot = Slot(20);
    /// The base address of GS.
    pub const GS_BASE: Slot = Slot(21);
    /// MXCSR, 32 bits.
    pub const MXCSR: Slot = Slot(22);
    /// The RFLAGS bits that have no slot of their own and that user code can change: AC (18), ID (21), in place.
    pub const RFLAGS_OTHER: Slot = Slot(23);
    /// XMM0 to XMM15.
    pub const XMM: [Slot; 16] = slots(48, 2);
    /// The eight physical x87 registers, 80 bits each in two words.
    pub const X87: [Slot; 8] = slots(144, 2);
    /// The x87 control word.
    pub const X87_CONTROL: Slot = Slot(160);
    /// The x87 status word, TOP included.
    pub const X87_STATUS: Slot = Slot(161);
    /// One bit for each physical x87 register: 1 = in use (the abridged tag of FXSAVE).
    pub const X87_TAGS: Slot = Slot(162);
}

macro_rules! slot_table {
    ($($name:literal $ty:ident $word:literal $life:ident;)*) => {
        [$(SlotInfo { slot: Slot($word), ty: Ty::$ty, name: $name, life: Life::$life }),*]
    };
}

static AARCH64_SLOTS: [SlotInfo; 106] = slot_table! {
    "x0" I64 0 Guest; "x1" I64 1 Guest; "x2" I64 2 Guest; "x3" I64 3 Guest; "x4" I64 4 Guest; "x5" I64 5 Guest;
    "x6" I64 6 Guest; "x7" I64 7 Guest; "x8" I64 8 Guest; "x9" I64 23 Guest; "x10" I64 24 Guest;
    "x11" I64 25 Guest; "x12" I64 26 Guest; "x13" I64 27 Guest; "x14" I64 28 Guest; "x15" I64 29 Guest;
    "x16" I64 30 Guest; "x17" I64 31 Guest; "x18" I64 32 Guest; "x19" I64 9 Guest; "x20" I64 10 Guest;
    "x21" I64 11 Guest; "x22" I64 12 Guest; "x23" I64 13 Guest; "x24" I64 14 Guest; "x25" I64 15 Guest;
    "x26" I64 17 Guest; "x27" I64 18 Guest; "x28" I64 19 Guest; "x29" I64 20 Guest; "x30" I64 21 Guest;
    "sp" I64 22 Guest; "pc" I64 33 Guest; "nzcv" Flags 16 Guest;
    "tpidr_el0" I64 34 Guest; "fpcr" I32 35 Guest; "fpsr" I32 36 Guest;
    "exclusive_address" I64 37 Guest; "exclusive_size" I64 38 Guest; "exclusive_value" I128 40 Guest;
    "pstate" I64 42 Guest; "btype" I64 43 Guest; "saturated" V128 44 Guest;
    "v0" V128 48 Guest; "v1" V128 50 Guest; "v2" V128 52 Guest; "v3" V128 54 Guest; "v4" V128 56 Guest;
    "v5" V128 58 Guest; "v6" V128 60 Guest; "v7" V128 62 Guest; "v8" V128 64 Guest; "v9" V128 66 Guest;
    "v10" V128 68 Guest; "v11" V128 70 Guest; "v12" V128 72 Guest; "v13" V128 74 Guest; "v14" V128 76 Guest;
    "v15" V128 78 Guest; "v16" V128 80 Guest; "v17" V128 82 Guest; "v18" V128 84 Guest; "v19" V128 86 Guest;
    "v20" V128 88 Guest; "v21" V128 90 Guest; "v22" V128 92 Guest; "v23" V128 94 Guest; "v24" V128 96 Guest;
    "v25" V128 98 Guest; "v26" V128 100 Guest; "v27" V128 102 Guest; "v28" V128 104 Guest; "v29" V128 106 Guest;
    "v30" V128 108 Guest; "v31" V128 110 Guest;
    "t0" I64 112 Local; "t1" I64 113 Local; "t2" I64 114 Local; "t3" I64 115 Local; "t4" I64 116 Local;
    "t5" I64 117 Local; "t6" I64 118 Local; "t7" I64 119 Local; "t8" I64 120 Local; "t9" I64 121 Local;
    "t10" I64 122 Local; "t11" I64 123 Local; "t12" I64 124 Local; "t13" I64 125 Local; "t14" I64 126 Local;
    "t15" I64 127 Local; "tv0" V128 128 Local; "tv1" V128 130 Local; "tv2" V128 132 Local; "tv3" V128 134 Local;
    "tv4" V128 136 Local; "tv5" V128 138 Local; "tv6" V128 140 Local; "tv7" V128 142 Local;
    "th0" I128 144 Local; "th1" I128 146 Local;
    "apiakey" I64 148 Guest; "apibkey" I64 149 Guest; "apdakey" I64 150 Guest; "apdbkey" I64 151 Guest;
    "apgakey" I64 152 Guest;
};

static X86_64_SLOTS: [SlotInfo; 76] = slot_table! {
    "rax" I64 0 Guest; "rcx" I64 1 Guest; "rdx" I64 2 Guest; "rbx" I64 3 Guest; "rsp" I64 4 Guest; "rbp" I64 5 Guest;
    "rsi" I64 6 Guest; "rdi" I64 7 Guest; "r8" I64 8 Guest; "r9" I64 9 Guest; "r10" I64 10 Guest; "r11" I64 11 Guest;
    "r12" I64 12 Guest; "r13" I64 13 Guest; "r14" I64 14 Guest; "r15" I64 15 Guest;
    "parity" I64 17 Guest; "adjust" I8 18 Guest; "df" I8 19 Guest; "fs_base" I64 20 Guest; "gs_base" I64 21 Guest;
    "mxcsr" I32 22 Guest; "rflags_other" I32 23 Guest; "rip" I64 33 Guest; "nzcv" Flags 16 Guest;
    "xmm0" V128 48 Guest; "xmm1" V128 50 Guest; "xmm2" V128 52 Guest; "xmm3" V128 54 Guest; "xmm4" V128 56 Guest;
    "xmm5" V128 58 Guest; "xmm6" V128 60 Guest; "xmm7" V128 62 Guest; "xmm8" V128 64 Guest; "xmm9" V128 66 Guest;
    "xmm10" V128 68 Guest; "xmm11" V128 70 Guest; "xmm12" V128 72 Guest; "xmm13" V128 74 Guest;
    "xmm14" V128 76 Guest; "xmm15" V128 78 Guest;
    "t0" I64 112 Local; "t1" I64 113 Local; "t2" I64 114 Local; "t3" I64 115 Local; "t4" I64 116 Local;
    "t5" I64 117 Local; "t6" I64 118 Local; "t7" I64 119 Local; "t8" I64 120 Local; "t9" I64 121 Local;
    "t10" I64 122 Local; "t11" I64 123 Local; "t12" I64 124 Local; "t13" I64 125 Local; "t14" I64 126 Local;
    "t15" I64 127 Local; "tv0" V128 128 Local; "tv1" V128 130 Local; "tv2" V128 132 Local; "tv3" V128 134 Local;
    "tv4" V128 136 Local; "tv5" V128 138 Local; "tv6" V128 140 Local; "tv7" V128 142 Local;
    "st_0" V128 144 Guest; "st_1" V128 146 Guest; "st_2" V128 148 Guest; "st_3" V128 150 Guest;
    "st_4" V128 152 Guest; "st_5" V128 154 Guest; "st_6" V128 156 Guest; "st_7" V128 158 Guest;
    "x87_control" I16 160 Guest; "x87_status" I16 161 Guest; "x87_tags" I8 162 Guest;
};

/// What translated code needs beside the guest's registers. Offsets are part of the contract with the backends.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct Control {
    /// What results of floating point are compared with.
    pub float_limits: FloatLimits,
    /// Where translated code passes operands to [`crate::eval`] and to helpers, and finds their results: vectors, which
    /// instructions of the host may take for aligned operands.
    pub scratch: [[u64; 2]; 3],
    /// The host registers in which baseline code keeps guest registers, as a fault found them.
    pub pinned: [u64; 8],
    /// The exit's argument, for reasons that have one.
    pub exit_argument: u64,
    /// Address of the link slot through which translated code left; 0 if it left by another way.
    pub exit_link: u64,
    /// The host's stack pointer while translated code runs.
    pub host_stack: u64,
    /// Host addresses of stubs that the baseline compiler's code jumps to, the last two from every unit.
    pub stubs: [u64; STUBS],
    /// The operands of the comparison that the flags come from, where the flags' slot describes one.
    pub flag_operands: [u64; 2],
    /// Not 0 asks translated code to leave at its next poll.
    pub poll: AtomicU32,
    /// Why translated code left: an [`crate::ExitReason`] as a number.
    pub exit_reason: u32,
    /// Address of the jump cache that indirect branches look into: the thread's own, or an empty one to make them leave.
    pub jump_cache: AtomicU64,
    /// Which bits of a distance from its start lead to an entry of it.
    pub jump_cache_mask: u64,
    /// Address of the [`crate::went::Went`] in which baseline code notes where computed jumps go.
    pub went: u64,
}

const _: () = assert!(offset_of!(Control, scratch).is_multiple_of(16));

/// Constants that translated code compares results of floating point with, in all lanes of a vector.
#[derive(Debug)]
#[repr(C, align(16))]
pub struct FloatLimits {
    /// All bits of a single but its sign.
    pub single_magnitude: [u32; 4],
    /// The smallest normal single.
    pub single_smallest: [u32; 4],
    /// All bits of a double but its sign.
    pub double_magnitude: [u64; 2],
    /// The smallest normal double.
    pub double_smallest: [u64; 2],
    /// For the bits of a double shifted left by one, without the sign: what to take from them, and the largest difference
    /// that is then no NaN and has a magnitude above that of the smallest normal number.
    pub doubled: [u64; 2],
}

impl Default for FloatLimits {
    fn default() -> Self {
        FloatLimits {
            single_magnitude: [u32::MAX >> 1; 4],
            single_smallest: [f32::MIN_POSITIVE.to_bits(); 4],
            double_magnitude: [u64::MAX >> 1; 2],
            double_smallest: [f64::MIN_POSITIVE.to_bits(); 2],
            doubled: doubled_limits(f64::MIN_POSITIVE.to_bits(), f64::INFINITY.to_bits()),
        }
    }
}

impl FloatLimits {
    /// The displacements of the magnitude and the smallest normal number for lanes of this type.
    pub fn displacements(lane: Ty) -> [i32; 2] {
        let [magnitude, smallest] = match lane {
            Ty::F32 => [offset_of!(FloatLimits, single_magnitude), offset_of!(FloatLimits, single_smallest)],
            _ => [offset_of!(FloatLimits, double_magnitude), offset_of!(FloatLimits, double_smallest)],
        };
        [magnitude, smallest].map(|offset| displacement(offset_of!(CpuState, ctl.float_limits) + offset))
    }

    /// The displacements of the two numbers of [`FloatLimits::doubled`].
    pub fn doubled_displacements() -> [i32; 2] {
        let first = displacement(offset_of!(CpuState, ctl.float_limits.doubled));
        [first, first + size_of::<u64>() as i32]
    }

    /// The like of [`FloatLimits::doubled`] for singles.
    pub fn doubled_singles() -> [u32; 2] {
        doubled_limits(f32::MIN_POSITIVE.to_bits().into(), f32::INFINITY.to_bits().into()).map(|limit| limit as u32)
    }
}

const fn doubled_limits(smallest: u64, infinity: u64) -> [u64; 2] {
    let taken = (smallest << 1) + 1;
    [taken, (infinity << 1) - taken]
}

/// A guest thread's registers and the control words of the code that runs it.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct CpuState {
    /// What translated code needs to find its way out.
    pub ctl: Control,
    words: [u64; WORDS],
}

/// How far behind the start of a [`CpuState`] translated code's address of it points: a displacement of one byte reaches
/// the end of [`Control`], from its last two stubs on, and the first 24 words.
const BIAS: usize = offset_of!(CpuState, words) + 64;

const _: () = assert!(displacement(offset_of!(CpuState, ctl.stubs) + 8 * (STUBS - 2)) == i8::MIN as i32);

/// How far what is `offset` bytes behind the start of a [`CpuState`] is from where translated code's address of it points.
pub const fn displacement(offset: usize) -> i32 {
    offset as i32 - BIAS as i32
}

/// The address of a [`CpuState`] as translated code has it.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct StateAddress(*mut CpuState);

impl StateAddress {
    /// That of a state.
    pub const fn of(state: *mut CpuState) -> StateAddress {
        StateAddress(state.wrapping_byte_add(BIAS))
    }

    /// The state.
    pub const fn state(self) -> *mut CpuState {
        self.0.wrapping_byte_sub(BIAS)
    }

    /// What the host register holds.
    pub fn bits(self) -> u64 {
        self.0 as u64
    }
}

impl Default for CpuState {
    fn default() -> Self {
        CpuState { ctl: Control::default(), words: [0; WORDS] }
    }
}

impl CpuState {
    /// The [`displacement`] of `slot`.
    pub const fn displacement(slot: Slot) -> i32 {
        displacement(offset_of!(CpuState, words) + 8 * slot.0 as usize)
    }

    /// The low 64 bits of a slot.
    pub fn get(&self, slot: Slot) -> u64 {
        self.words[slot.0 as usize]
    }

    /// Writes the low 64 bits of a slot.
    pub fn set(&mut self, slot: Slot, value: u64) {
        self.words[slot.0 as usize] = value;
    }

    /// A slot of two words.
    pub fn get128(&self, slot: Slot) -> u128 {
        let word = slot.0 as usize;
        u128::from(self.words[word]) | u128::from(self.words[word + 1]) << 64
    }

    /// Writes a slot of two words.
    pub fn set128(&mut self, slot: Slot, value: u128) {
        let word = slot.0 as usize;
        self.words[word] = value as u64;
        self.words[word + 1] = (value >> 64) as u64;
    }

    /// The guest's program counter.
    pub fn pc(&self) -> u64 {
        self.get(PC)
    }

    /// Sets the guest's program counter.
    pub fn set_pc(&mut self, pc: u64) {
        self.set(PC, pc);
    }

    /// Whether everything that outlives a region is the same in another state of this guest.
    pub fn same_guest(&self, other: &CpuState, guest: Arch) -> bool {
        let words = self.words.iter().zip(&other.words).zip(guest.lasting_words());
        words.fold(0, |differing, ((ours, theirs), lasting)| differing | (ours ^ theirs) & lasting) == 0
    }

    /// Takes over the registers of another state; the control words stay.
    pub fn restore(&mut self, other: &CpuState) {
        self.words = other.words;
    }

    /// A copy of the registers for a new thread or a saved context; its control words start afresh.
    pub fn fork(&self) -> CpuState {
        CpuState { ctl: Control::default(), words: self.words }
    }
}
