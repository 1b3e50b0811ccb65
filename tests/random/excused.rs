//! Flags of FPSR that are not exact before the guest first writes FPSR, while the host's unit keeps them.
//!
//! Arm finds a result tiny before it is rounded (Arm ARM, FPRoundBase), x86 after (SDM volume 1, 4.9.1.5). So a product, a
//! quotient or a fused sum of singles or doubles that is below the smallest normal number and rounded to it underflows
//! for the guest and not for the host. To find that would take a test of each result.
//!
//! In: a piece, what the oracle says. Out: bits of FPSR that may differ. What is not here is compared.

use crate::draw::Piece;
use crate::wire::Machine;
use philae_frontends::aarch64::class_of;

const UFC: u64 = 1 << 3;

/// What multiplies or divides, by the first word of its row.
const ROUNDED: [&str; 9] = ["BFMLALB", "FCMLA", "FDIV", "FMADD", "FMLA", "FMLS", "FMUL", "FMULX", "FNMUL"];

/// The bits that are not compared. What a sequence has made on its way is not known.
pub(crate) fn flags(piece: &Piece, wanted: &Machine) -> u64 {
    let found = piece.is_sequence() || has_smallest_normal(wanted.v[piece.word as usize & 31]);
    if found && piece.words().any(may_underflow) { UFC } else { 0 }
}

fn may_underflow(word: u32) -> bool {
    ROUNDED.contains(&mnemonic(word)) && class_of(word).is_some_and(|class| !class.name.contains("half"))
}

/// The first word of the row that `word` belongs to.
fn mnemonic(word: u32) -> &'static str {
    class_of(word).and_then(|class| class.name.split([' ', ',']).next()).unwrap_or_default()
}

fn has_smallest_normal(v: u128) -> bool {
    let singles = (0..4).any(|lane| (v >> (32 * lane)) as u32 & 0x7fff_ffff == 0x80_0000);
    singles || (0..2).any(|lane| (v >> (64 * lane)) as u64 & (u64::MAX >> 1) == 1 << 52)
}
