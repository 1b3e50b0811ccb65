//! Random pieces of A64 code and random states to run them from, each the same for the same seed.
//!
//! A class is a row of the frontend's table. A piece is one instruction of a class, or several of different classes
//! ([`crate::sequence`]), executed once or in a loop of its own; its place has sixteen words. Registers hold edges, special floats of the width that the instruction takes, or
//! anything; the base of a memory access points into the part of memory that is compared.

use crate::sandbox::{CODE, WINDOW};
use crate::sequence::LONGEST;
use crate::wire::Machine;
use philae_frontends::aarch64::{Class, class_of};

/// Bytes of a piece's place.
pub(crate) const PLACE: u64 = 64;
/// How many places there are.
pub(crate) const PLACES: usize = 1024;
/// Where the exits lie: a piece leaves by a branch to one of them.
pub(crate) const EXITS: [u64; 2] = [CODE + 0x1_0000, CODE + 0x1_0400];
/// The part of the window that is compared.
pub(crate) const COMPARED: std::ops::Range<usize> = 0x7800..0x8800;
/// How often a loop executes its instruction.
const ROUNDS: u64 = 6;
/// The register that counts the rounds; instructions that name it are not drawn for loops.
const COUNTER: u32 = 28;

/// What FPCR holds here: not what later architectures have added.
pub(crate) const FPCR: u64 = 0x07c8_0000;
/// What FPSR holds: not the flags of AArch32.
pub(crate) const FPSR: u64 = 0x0800_009f;

/// Classes that are not compared: what leaves the piece (system calls, breakpoints, indirect branches), what differs
/// between processors by right (counters, identification, signatures, the size of DC ZVA's block).
const SKIPPED: [&str; 20] = [
    "SVC", "BRK", "BR", "BLR", "RET", "BRAAZ", "BLRAAZ", "RETAA", "BRAA", "BLRAA", "BRABZ", "BLRABZ", "RETAB", "BRAB",
    "BLRAB", "LDRAA", "LDRAB", "IC IVAU", "DC ZVA", "CNTD",
];
/// The registers that MSR and MRS name here: NZCV, FPCR, FPSR as op0 to op2 in bits 19 to 5.
const SYSTEM_REGISTERS: [u32; 3] = [0xda10, 0xda20, 0xda21];

/// A generator of random numbers (splitmix64).
pub(crate) struct Random(u64);

impl Random {
    /// The generator of a seed.
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    fn bits(&mut self, count: u32) -> u64 {
        if count == 0 { 0 } else { self.next() >> (64 - count) }
    }

    /// An integer; those at the edges more often than chance has it.
    fn integer(&mut self) -> u64 {
        match self.below(8) {
            0 => self.pick(&[0, 1, 2, u64::MAX, 1 << 63, (1 << 63) - 1]),
            1 => self.pick(&[0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]),
            2 => self.next() >> self.below(64),
            3 => !(self.next() >> self.below(64)),
            4 => self.below(130),
            _ => self.next(),
        }
    }

    /// A float of this width: zeroes, infinities, NaNs, denormals, halves, the borders of integers, and numbers near 1. Some
    /// have products just below the smallest normal number, or just below what the largest denormal one lacks to it.
    fn float(&mut self, bits: u32) -> u64 {
        let fraction_bits = match bits {
            16 => 10,
            32 => 23,
            _ => 52,
        };
        let top = (1u64 << (bits - 1 - fraction_bits)) - 1;
        let (bias, sign) = (top >> 1, self.bits(1) << (bits - 1));
        let fraction = self.bits(fraction_bits);
        let ones = (1 << fraction_bits) - 1;
        // Just above a power of two, or as much below one.
        let little = 1u64 << ((fraction >> 3) % (u64::from(fraction_bits) / 2));
        let near_power = [fraction, little, ones + 1 - 2 * little][(fraction % 3) as usize];
        let make = |exponent: u64, fraction: u64| sign | exponent << fraction_bits | fraction & ones;
        match self.below(24) {
            0 => make(0, 0),
            1 => make(top, 0),
            2 => make(top, fraction | 1 << (fraction_bits - 1)),
            3 => make(top, fraction >> 1 | 1),
            4 => make(0, [fraction, fraction, 1, ones][(fraction % 4) as usize]),
            5 => make(0, fraction >> self.below(u64::from(fraction_bits))),
            6 => make(1, self.pick(&[0, 1, ones])),
            7 => make(top - 1, self.pick(&[ones, ones - 1, 0])),
            8 => make(bias, self.pick(&[0, 0, 1, ones])),
            9 => make(bias - 1, self.pick(&[0, 1, ones])),
            10 => make(bias + self.below(5), 1 << (fraction_bits - 1 - self.below(6) as u32)),
            11 => make(
                (bias + self.pick(&[7, 8, 14, 15, 16, 30, 31, 32, 62, 63, 64])).min(top - 1),
                self.pick(&[0, 1, ones]),
            ),
            12 => {
                make((bias + 10 + self.below(58)).min(top - 1), fraction & ones << self.below(u64::from(fraction_bits)))
            }
            13 | 14 => make(1 + self.below(top - 1), fraction),
            15 => make(1 + self.below(u64::from(fraction_bits) + 4).min(top - 2), fraction),
            16 => make((bias / 2 + self.below(3)).max(1), near_power),
            17 => make((bias + bias / 2 + self.below(4)).min(top - 1), fraction),
            _ => make((bias + self.below(20)).saturating_sub(8).clamp(1, top - 1), fraction),
        }
    }

    fn lanes(&mut self, bits: u32, mut lane: impl FnMut(&mut Random) -> u64) -> u128 {
        (0..128).step_by(bits as usize).fold(0, |all, at| all | u128::from(lane(self) & u64::MAX >> (64 - bits)) << at)
    }

    fn vector(&mut self, kind: Contents) -> u128 {
        match kind {
            Contents::Floats(bits) => self.lanes(bits, |random| random.float(bits)),
            Contents::Brain => self.lanes(16, |random| random.float(32) >> 16),
            Contents::Integers(bits) => self.lanes(bits, |random| match random.below(3) {
                0 => random.next(),
                _ => {
                    let top = 1 << (bits - 1);
                    random.pick(&[
                        0,
                        1,
                        2,
                        top,
                        top - 1,
                        top + 1,
                        u64::MAX,
                        u64::MAX - 1,
                        top | top >> 1,
                        7,
                        bits.into(),
                    ])
                }
            }),
            Contents::Anything => u128::from(self.next()) | u128::from(self.next()) << 64,
        }
    }
}

/// What a vector register holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Contents {
    /// Floats of this width.
    Floats(u32),
    /// The format of FEAT_BF16.
    Brain,
    /// Integers of this width.
    Integers(u32),
    /// Any bits.
    Anything,
}

/// How an instruction is executed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// Once.
    Once,
    /// Several times, in a loop.
    Loop,
}

/// One instruction to execute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    /// Its class.
    pub(crate) class: Class,
    /// Its word.
    pub(crate) word: u32,
    /// How it is executed.
    pub(crate) form: Form,
    /// The words of those after it in a sequence, then zeroes.
    pub(crate) more: [u32; LONGEST - 1],
}

fn field(word: u32, low: u32) -> u32 {
    word >> low & 31
}

/// Whether instructions of this class take part.
pub(crate) fn is_compared(class: &Class) -> bool {
    let signs = class.name.starts_with("PAC") || class.name.starts_with("AUT");
    !signs && !SKIPPED.contains(&class.name)
}

/// Whether the word is in the group "loads and stores" (Arm ARM C4.1), or DC.
pub(crate) fn is_memory(class: &Class) -> bool {
    class.value >> 25 & 5 == 4 || class.name.starts_with("DC ")
}

/// Whether its address is one near the instruction.
pub(crate) fn is_literal(class: &Class) -> bool {
    class.name.contains("(literal")
}

/// Loads and stores whose address must be aligned to what they access: group 001000 and 011001, and FEAT_LSE.
fn is_aligned(class: &Class) -> bool {
    let op = class.value >> 24 & 0x3f;
    op == 0b001000 || op == 0b011001 || op == 0b111000 && class.value >> 21 & 1 == 1 && class.mask >> 10 & 3 == 3
}

impl Piece {
    /// A random instruction of this class; `None` if what was drawn is none, or one whose outcome the manual leaves open.
    pub(crate) fn draw(class: Class, form: Form, random: &mut Random) -> Option<Piece> {
        let mut word = random.next() as u32 & !class.mask | class.value;
        if random.one_in(4) {
            // Destination and source the same.
            word = (word & !31 | field(word, 5)) & !class.mask | class.value;
        }
        let words_ahead = |bits: u32| 2u32 & ((1 << bits) - 1);
        match class.name {
            "B" | "BL" => word = class.value | words_ahead(26),
            "B.cond" | "CBZ" | "CBNZ" => word = word & !(0x7_ffff << 5) | words_ahead(19) << 5,
            "TBZ" | "TBNZ" => word = word & !(0x3fff << 5) | words_ahead(14) << 5,
            "MRS" | "MSR (register)" => word = word & !(0x7fff << 5) | (random.pick(&SYSTEM_REGISTERS) & 0x7fff) << 5,
            // The fields of ones are reserved.
            "SMULH" | "UMULH" => word |= 0x1f << 10,
            "STLR" | "LDAR" | "STLLR" | "LDLAR" => word |= 0x1f << 16 | 0x1f << 10,
            _ if is_literal(&class) => word = word & !(0x7_ffff << 5) | (7 + random.below(3) as u32) << 5,
            // Unsigned offsets stay small.
            _ if is_memory(&class) && class.value >> 27 & 7 == 7 && word >> 24 & 1 == 1 => word &= !(0x3f << 16),
            _ => {}
        }
        let piece = Piece::one(class, word, form);
        piece.is_valid().then_some(piece)
    }

    /// One instruction.
    pub(crate) fn one(class: Class, word: u32, form: Form) -> Piece {
        Piece { class, word, form, more: [0; LONGEST - 1] }
    }

    /// The words of its instructions.
    pub(crate) fn words(&self) -> impl Iterator<Item = u32> {
        [self.word].into_iter().chain(self.more.into_iter().take_while(|&word| word != 0))
    }

    /// Whether it is more than one instruction.
    pub(crate) fn is_sequence(&self) -> bool {
        self.more[0] != 0
    }

    /// Whether it touches memory.
    pub(crate) fn touches_memory(&self) -> bool {
        self.words().filter_map(class_of).any(|class| is_memory(&class))
    }

    /// Whether its one instruction is of its class, and its outcome defined.
    pub(crate) fn is_valid(&self) -> bool {
        class_of(self.word) == Some(self.class) && !self.is_unpredictable() && self.fits_form()
    }

    /// See the function of this name.
    pub(crate) fn is_aligned(class: &Class) -> bool {
        is_aligned(class)
    }

    /// Where the manual lets a processor choose: a base that is written back and transferred, a register loaded twice,
    /// a store-exclusive whose status is one of its operands. Also what has its base as index, twice the address, and
    /// cache maintenance of address 0, which the emulator leaves out.
    fn is_unpredictable(&self) -> bool {
        if !is_memory(&self.class) || is_literal(&self.class) {
            return false;
        }
        let (w, name) = (self.word, self.class.name);
        let (t, n, t2, s) = (field(w, 0), field(w, 5), field(w, 10), field(w, 16));
        let vector = w >> 26 & 1 == 1;
        let load = w >> 22 & 1 == 1;
        if name.starts_with("DC ") {
            return t == 31;
        }
        match w >> 24 & 0x3f {
            0b111000 | 0b111100 if w >> 21 & 1 == 1 && w >> 10 & 3 == 2 => s == n,
            // Pairs: bit 23 is writeback.
            0b101000 | 0b101001 | 0b101100 | 0b101101 => {
                let writeback = w >> 23 & 1 == 1 && !(w >> 24 & 1 == 0 && w >> 23 & 3 == 0);
                load && t == t2 || !vector && writeback && n != 31 && (t == n || t2 == n)
            }
            // One register, bit 21 clear, bit 10 set: with writeback.
            0b111000 if w >> 21 & 1 == 0 && w >> 10 & 1 == 1 => t == n && n != 31,
            0b001000 if name.starts_with("ST") && name.contains("X") => {
                s == t || s == n && n != 31 || name.contains("XP") && s == t2
            }
            0b001000 if name.contains("XP") => t == t2,
            _ => false,
        }
    }

    fn fits_form(&self) -> bool {
        if self.form == Form::Once {
            return true;
        }
        let (word, memory) = (self.word, is_memory(&self.class));
        // The base stays what it is: no writeback, and nothing is loaded into it.
        let post = self.class.name.contains("post");
        let changes_base = [0, 10].iter().any(|&at| field(word, at) == field(word, 5));
        let moves_base = post || word >> 10 & 1 == 1 || word >> 23 & 1 == 1 || changes_base;
        let branches = self.is_branch() || self.class.name.starts_with("MSR");
        !(branches || self.names_counter() || memory && moves_base)
    }

    /// Whether it is in the group of branches and system instructions.
    pub(crate) fn is_branch(&self) -> bool {
        self.class.value >> 26 & 7 == 5
    }

    /// Whether it may have to do with the register that counts the rounds of loops.
    pub(crate) fn names_counter(&self) -> bool {
        [0, 5, 10, 16].iter().any(|&at| field(self.word, at) | 1 == COUNTER | 1)
    }

    /// The words of its place, which lies at `pc`; the instruction itself is the second.
    pub(crate) fn code(&self, pc: u64) -> [u32; 16] {
        let branch = |at: u64, exit: usize| 0x1400_0000 | ((EXITS[exit] - (pc + 4 * at)) / 4) as u32 & 0x03ff_ffff;
        let mut words = [0; 16];
        words[0] = 0xd53b_d05e; // mrs x30, tpidr_el0
        let mut end = 1;
        for word in self.words() {
            words[end] = word;
            end += 1;
        }
        match self.form {
            Form::Once => (words[end], words[end + 1]) = (branch(end as u64, 0), branch(end as u64 + 1, 1)),
            Form::Loop => {
                // From the second word after the sequence back to its start.
                let back = (0u32.wrapping_sub(end as u32) & 0x7_ffff) << 5;
                words[end] = 0xd100_0400 | COUNTER << 5 | COUNTER; // sub x28, x28, #1
                words[end + 1] = 0xb500_0000 | back | COUNTER; // cbnz x28, to the first instruction
                words[end + 2] = branch(end as u64 + 2, 0);
            }
        }
        let mut random = Random::new(u64::from(self.word));
        words[8.max(end + 3)..].fill_with(|| random.next() as u32);
        words
    }

    /// The state that a seed stands for.
    pub(crate) fn state(&self, seed: u32) -> Machine {
        let mut random = Random::new(u64::from(self.word) << 32 | u64::from(seed));
        let mut machine = Machine::new();
        machine.x = std::array::from_fn(|_| random.integer());
        let main = self.contents(&mut random);
        machine.v = std::array::from_fn(|_| {
            let kind = if random.one_in(8) { any_contents(&mut random) } else { main };
            random.vector(kind)
        });
        machine.sp = WINDOW + 0x8000 + 16 * random.below(16);
        machine.nzcv = random.bits(4) << 28;
        machine.fpcr = match random.below(4) {
            0 | 1 => 0,
            2 => random.bits(2) << 22,
            _ => random.next() & FPCR,
        };
        let status = random.next() & FPSR;
        machine.fpsr = random.pick(&[0, 0, 0x10, status]);
        if self.is_sequence() {
            Piece::point_sequence(&mut machine, &mut random);
        } else if is_memory(&self.class) {
            self.point_into_memory(&mut machine, &mut random);
        }
        if self.form == Form::Loop {
            machine.x[COUNTER as usize] = ROUNDS;
        }
        machine
    }

    /// The base in the middle of what is compared, an index small enough to stay there.
    fn point_into_memory(&self, machine: &mut Machine, random: &mut Random) {
        let step = if is_aligned(&self.class) { 16 } else { random.pick(&[1, 4, 8, 16]) };
        let index = if is_literal(&self.class) { 31 } else { field(self.word, 16) as usize };
        if index < 31 {
            let small = random.below(64);
            machine.x[index] = match random.below(4) {
                0 => small.wrapping_neg(),
                1 => small | random.next() << 32,
                _ => small,
            };
            // Aligned accesses read an operand there, and no index.
            if is_aligned(&self.class) {
                machine.x[index] = random.integer();
            }
        }
        let base = if self.class.name.starts_with("DC ") { field(self.word, 0) } else { field(self.word, 5) } as usize;
        if base < 31 && !is_literal(&self.class) {
            machine.x[base] = WINDOW + 0x8000 + step * random.below(256 / step);
        }
        // With their offset the unscaled accesses that have to be aligned are.
        if self.class.value >> 24 & 0x3f == 0b011001 {
            let offset = ((self.word << 11) as i32 >> 23) as i64 as u64;
            let base = if base == 31 { &mut machine.sp } else { &mut machine.x[base] };
            *base = base.wrapping_sub(offset & 15);
        }
    }

    /// What most vector registers hold, for this instruction.
    fn contents(&self, random: &mut Random) -> Contents {
        match self.float_bits() {
            Some(bits) if !random.one_in(6) => Contents::Floats(bits),
            _ if self.class.name.starts_with("BF") && !random.one_in(4) => Contents::Brain,
            _ => any_contents(random),
        }
    }

    /// The width of the floats that it takes.
    fn float_bits(&self) -> Option<u32> {
        let (w, name) = (self.word, self.class.name);
        if name.contains("half") && !name.contains("to half") || name.starts_with("FMLAL") || name.starts_with("FMLSL")
        {
            return Some(16);
        }
        if !name.starts_with('F') {
            return None;
        }
        let by_size = |size: u32| Some(16 << size.saturating_sub(1));
        match w >> 24 & 0x5f {
            0x1e | 0x1f => [Some(32), Some(64), None, Some(16)][(w >> 22 & 3) as usize],
            _ if name.starts_with("FCMLA") || name.starts_with("FCADD") => by_size(w >> 22 & 3),
            _ if name.starts_with("FCVTL") => Some(if w >> 22 & 1 == 1 { 32 } else { 16 }),
            _ => Some(if w >> 22 & 1 == 1 { 64 } else { 32 }),
        }
    }
}

fn any_contents(random: &mut Random) -> Contents {
    let bits = random.pick(&[8, 16, 32, 64]);
    match random.below(4) {
        0 => Contents::Floats(bits.max(16)),
        1 | 2 => Contents::Integers(bits),
        _ => Contents::Anything,
    }
}
