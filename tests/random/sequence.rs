//! Random sequences of A64 instructions: several in a row that read what those before have made, with branches over one
//! of them, memory, and faults in between; once, or in a loop.
//!
//! In: the classes to draw from. Out: a piece of several words. Registers are few, so that instructions meet; those that
//! hold addresses are never written, so that every access stays in the window.

use crate::draw::{Form, Piece, Random, is_literal, is_memory};
use crate::sandbox::WINDOW;
use crate::wire::Machine;
use philae_frontends::aarch64::Class;

/// The most instructions of a sequence.
pub(crate) const LONGEST: usize = 8;
/// Draws for one instruction before another class is taken.
const TRIES: usize = 8;

/// The registers that hold addresses: of sixteen bytes; of any; of nothing, to fault; and a small index.
const ALIGNED: u32 = 20;
const ANYWHERE: u32 = 21;
const NOWHERE: u32 = 22;
const INDEX: u32 = 23;
/// One access of so many faults.
const FAULTS: u64 = 24;
/// An address that is not mapped.
const HOLE: u64 = 0x1000;

/// A sequence of instructions of these classes.
pub(crate) fn draw(classes: &[Class], form: Form, random: &mut Random, is_defined: impl Fn(&Piece) -> bool) -> Piece {
    let length = 2 + random.below(LONGEST as u64 - 1) as usize;
    let mut pieces: Vec<Piece> = Vec::new();
    while pieces.len() < length {
        let class = classes[random.below(classes.len() as u64) as usize];
        let drawn = (0..TRIES).find_map(|_| instruction(class, form, random).filter(&is_defined));
        // What skips an instruction is not the last one: behind that the loop is counted.
        pieces.extend(drawn.filter(|piece| pieces.len() + 1 < length || !piece.is_branch()));
    }
    let mut whole = pieces[0];
    for (place, piece) in whole.more.iter_mut().zip(&pieces[1..]) {
        *place = piece.word;
    }
    whole
}

/// One that can stand in a sequence.
fn instruction(class: Class, form: Form, random: &mut Random) -> Option<Piece> {
    // Not what leaves a region, nor what depends on where it is, nor the exclusive monitor.
    let leaves = matches!(class.name, "B" | "BL" | "MRS" | "MSR (register)");
    let exclusive = class.name.contains("XR") || class.name.contains("XP");
    if leaves || exclusive || is_literal(&class) || class.name.starts_with("DC ") {
        return None;
    }
    let mut piece = Piece::draw(class, Form::Once, random)?;
    let registers = [(); 3].map(|()| if random.below(16) == 0 { 31 } else { random.below(6) as u32 });
    let mut put =
        |at: u32, register: u32| piece.word = (piece.word & !(31 << at) | register << at) & !class.mask | class.value;
    // Branches and system instructions name one register.
    let fields: &[u32] = if class.value >> 26 & 7 == 5 { &[0] } else { &[0, 5, 16] };
    fields.iter().zip(registers).for_each(|(&at, register)| put(at, register));
    if is_memory(&class) {
        let base = match random.below(FAULTS) {
            0 => NOWHERE,
            1..=8 => ALIGNED,
            _ => ANYWHERE,
        };
        put(5, if Piece::is_aligned(&class) && base == ANYWHERE { ALIGNED } else { base });
        if class.value >> 27 & 7 == 5 {
            put(10, random.below(6) as u32);
        }
        match class.name {
            // The fields of ones are reserved.
            "STLR" | "LDAR" | "STLLR" | "LDLAR" => piece.word |= 0x1f << 16 | 0x1f << 10,
            // Unsigned offsets stay small.
            _ if class.value >> 27 & 7 == 7 && piece.word >> 24 & 1 == 1 => piece.word &= !(0x3f << 16),
            // Unscaled offsets that keep accesses aligned.
            _ if class.value >> 24 & 0x3f == 0b011001 => piece.word &= !(0xf << 12),
            _ => {}
        }
        if has_index(piece.word) {
            piece.word = piece.word & !(31 << 16) | INDEX << 16;
        }
    }
    let leaves_counter = form == Form::Once || !piece.names_counter();
    (piece.is_valid() && piece.keeps_addresses() && leaves_counter).then_some(Piece { form, ..piece })
}

fn piece_field(word: u32, low: u32) -> u32 {
    word >> low & 31
}

/// Whether an access adds a register to its base.
fn has_index(word: u32) -> bool {
    matches!(word >> 24 & 0x3f, 0b111000 | 0b111100) && word >> 21 & 1 == 1 && word >> 10 & 3 == 2
}

impl Piece {
    /// Whether it leaves the registers that hold addresses alone, and the base of an access where it is.
    fn keeps_addresses(&self) -> bool {
        let fields = [0, 10].map(|at| piece_field(self.word, at));
        let is_address = |register: &u32| (ALIGNED..=INDEX).contains(register);
        let status = is_memory(&self.class) && !has_index(self.word) && is_address(&piece_field(self.word, 16));
        !(fields.iter().any(is_address) || status || is_memory(&self.class) && self.writes_back())
    }

    /// Whether an access moves its base.
    fn writes_back(&self) -> bool {
        let w = self.word;
        match w >> 24 & 0x3f {
            0b101000 | 0b101100 | 0b101001 | 0b101101 => w >> 23 & 1 == 1,
            0b111000 | 0b111100 => w >> 21 & 1 == 0 && w >> 10 & 1 == 1,
            // AdvSIMD structures: post-indexed.
            0b001100 | 0b001101 => w >> 23 & 1 == 1,
            _ => false,
        }
    }

    /// Addresses for a sequence.
    pub(crate) fn point_sequence(machine: &mut Machine, random: &mut Random) {
        let middle = WINDOW + 0x8000;
        machine.x[ALIGNED as usize] = middle + 16 * random.below(16);
        // Half of them close to the border of two pages.
        let anywhere = if random.below(2) == 0 { random.below(256) } else { random.below(24).wrapping_sub(20) };
        machine.x[ANYWHERE as usize] = middle.wrapping_add(anywhere);
        machine.x[NOWHERE as usize] = HOLE;
        machine.x[INDEX as usize] = random.below(32);
    }
}
