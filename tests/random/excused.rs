//! Flags of FPSR that are not exact before the guest first writes FPSR, while the host's unit keeps them.
//!
//! In: a piece, the engine that ran it, what the oracle says. Out: bits of FPSR that may differ. This is the whole list:
//! what is not here is compared.

use crate::draw::Piece;
use crate::engines::Engine;
use crate::wire::Machine;

const IOC: u64 = 1 << 0;
const OFC: u64 = 1 << 2;
const UFC: u64 = 1 << 3;
const IXC: u64 = 1 << 4;
const ALL: u64 = 0x9f;

/// The bits that are not compared.
pub(crate) fn flags(piece: &Piece, engine: Engine, wanted: &Machine) -> u64 {
    let name = piece.class.name;
    let mut flags = 0;
    if works_on_halves(piece) || name.starts_with("BF") {
        flags |= ALL;
    }
    // Tiny before rounding and not after it: the host's unit looks after it.
    if has_smallest_normal(wanted.v[piece.word as usize & 31]) {
        flags |= UFC;
    }
    // Compared whether the condition holds or not, and quietly.
    if name.starts_with("FCCMP") {
        flags |= IOC;
    }
    // Scaled by a multiplication, which may overflow.
    if name.starts_with("FCVTZ") && name.contains("fixed-point") {
        flags |= OFC | IXC;
    }
    // By sums.
    if name.starts_with("FRINTI") && matches!(engine, Engine::Interpreter | Engine::Optimised) {
        flags |= IXC;
    }
    // Rounded first, also what does not fit.
    if name.starts_with("FRINT32X") && piece.word >> 22 & 1 == 1 {
        flags |= IXC;
    }
    // Rounded first, also what does not fit; by the host's conversion to more bits, with a sign.
    if engine == Engine::Baseline && name.starts_with("FCVT") && is_to_integer(name) {
        flags |= IXC | if name.as_bytes()[5] == b'U' { IOC } else { 0 };
    }
    // By quotients of singles.
    if ["FRECPE", "FRSQRTE", "URECPE", "URSQRTE"].iter().any(|estimate| name.starts_with(estimate)) {
        flags |= IXC;
    }
    // By conversions and scaled products of other widths or sizes than the instruction's.
    if name == "FJCVTZS" || name.starts_with("FRSQRTS") {
        flags |= IOC | OFC | UFC | IXC;
    }
    flags
}

/// FCVTNS to FCVTZU.
fn is_to_integer(name: &str) -> bool {
    matches!(name.as_bytes(), [_, _, _, _, b'A' | b'M' | b'N' | b'P' | b'Z', b'S' | b'U', ..])
}

fn has_smallest_normal(v: u128) -> bool {
    let singles = (0..4).any(|lane| (v >> (32 * lane)) as u32 & 0x7fff_ffff == 0x80_0000);
    singles || (0..2).any(|lane| (v >> (64 * lane)) as u64 & (u64::MAX >> 1) == 1 << 52)
}

fn works_on_halves(piece: &Piece) -> bool {
    let (name, word) = (piece.class.name, piece.word);
    let scalar = word >> 24 & 0x1f == 0x1e || word >> 24 & 0x1f == 0x1f;
    name.contains("half")
        || scalar && word >> 30 & 1 == 0 && word >> 22 & 3 == 3
        || name.starts_with("FMLAL")
        || name.starts_with("FMLSL")
        || (name == "FCVTL" || name == "FCVTN") && word >> 22 & 1 == 0
        || (name.starts_with("FCMLA") || name.starts_with("FCADD")) && word >> 22 & 3 == 1
        || name.contains("fixed-point") && word >> 20 & 7 == 1
}
