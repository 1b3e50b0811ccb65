//! The branches beside accesses in machine code, which lead to their recoveries.
//!
//! In: a function's bytes and where an access is. Out: where its branch is and leads, if nothing stands between the two but
//! moves that the register allocator put there, and that do no harm.

use super::x86_64::operand_length;
use std::ops::Range;

/// `test r, r` and `jz rel32`: the branch beside an access.
pub(super) const RECOVERY_LENGTH: usize = 9;
/// At most so many moves are between an access and its branch.
const MOST_MOVES: usize = 4;
/// `jmp rel32`.
pub(super) const JUMP: u8 = 0xe9;

/// The way from an access to where it recovers.
pub(super) struct RecoveryBranch {
    /// The moves between the access and the branch behind it: what loads of spilled values and stores of results take.
    pub(super) moves: Range<usize>,
    /// Where the branch starts, with its test.
    pub(super) test: usize,
    /// Where it leads.
    pub(super) target: usize,
}

/// The branch that ends where the access at `offset` begins, if there is one.
pub(super) fn recovery_branch_before(bytes: &[u8], offset: usize) -> Option<RecoveryBranch> {
    let test = offset.checked_sub(RECOVERY_LENGTH)?;
    let target = offset.wrapping_add_signed(recovery_distance(&bytes[test..])? as isize);
    Some(RecoveryBranch { moves: offset..offset, test, target })
}

/// The branch behind the access at `offset`, if there is one.
pub(super) fn recovery_branch_behind(bytes: &[u8], offset: usize) -> Option<RecoveryBranch> {
    let start = offset + access_length(&bytes[offset..])?;
    let mut at = start;
    for _ in 0..=MOST_MOVES {
        if let Some(distance) = recovery_distance(&bytes[at..]) {
            let target = (at + RECOVERY_LENGTH).wrapping_add_signed(distance as isize);
            return Some(RecoveryBranch { moves: start..at, test: at, target });
        }
        at += private_move_length(&bytes[at..])?;
    }
    None
}

/// Whether `bytes` start with a branch like those beside accesses, with its test.
pub(super) fn is_recovery_branch(bytes: &[u8]) -> bool {
    recovery_distance(bytes).is_some()
}

/// How far the branch leads that `bytes` start with.
fn recovery_distance(bytes: &[u8]) -> Option<i32> {
    let [rex, 0x85, modrm, 0x0f, 0x84, d0, d1, d2, d3, ..] = *bytes else { return None };
    let (register, other) = (modrm >> 3 & 7, modrm & 7);
    let is_recovery = modrm >> 6 == 3 && register == other && (rex == 0x48 || rex == 0x4d);
    is_recovery.then_some(i32::from_le_bytes([d0, d1, d2, d3]))
}

/// The SIB byte of RSP as a base without an index.
const ON_STACK: u8 = 0x24;

/// What a move moves from or to, beside a register.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operand {
    /// A register.
    Register,
    /// A place relative to RSP: the frame.
    Frame,
    /// Another place in memory.
    Memory,
}

/// The length of a plain access to memory: the moves that Cranelift makes for loads and stores, and no others.
fn access_length(bytes: &[u8]) -> Option<usize> {
    parse_move(bytes).filter(|&(operand, _)| operand != Operand::Register).map(|(_, length)| length)
}

/// The length of a move between registers, or between one and the frame.
pub(super) fn private_move_length(bytes: &[u8]) -> Option<usize> {
    parse_move(bytes).filter(|&(operand, _)| operand != Operand::Memory).map(|(_, length)| length)
}

/// The operand and the length of a move.
fn parse_move(bytes: &[u8]) -> Option<(Operand, usize)> {
    let mut at = 0;
    let mut operand16 = false;
    // Whether the base is one of the upper registers.
    let mut upper = false;
    while let [0x66 | 0xf2 | 0xf3, ..] = bytes[at..] {
        operand16 |= bytes[at] == 0x66;
        at += 1;
    }
    let map = match bytes[at..] {
        [0xc5, ..] => {
            at += 2;
            1
        }
        [0xc4, map, ..] => {
            upper = map & 0x20 == 0;
            at += 3;
            map & 0x1f
        }
        [0x62, map, ..] => {
            upper = map & 0x20 == 0;
            at += 4;
            map & 7
        }
        [first, ..] => {
            let rex = first & 0xf0 == 0x40;
            upper = rex && first & 1 == 1;
            at += usize::from(rex);
            let escape = *bytes.get(at)? == 0x0f;
            at += usize::from(escape);
            u8::from(escape)
        }
        [] => return None,
    };
    let opcode = *bytes.get(at)?;
    let immediate = match (map, opcode) {
        // mov, movsxd
        (0, 0x88..=0x8b | 0x63) => 0,
        (0, 0xc6) => 1,
        (0, 0xc7) => {
            if operand16 {
                2
            } else {
                4
            }
        }
        // movups, movss, movsd, movlps, movhps, movaps; movd, movq, movdqu; movzx, movsx
        (1, 0x10..=0x13 | 0x16 | 0x17 | 0x28 | 0x29) => 0,
        (1, 0x6e | 0x6f | 0x7e | 0x7f | 0xd6 | 0xb6 | 0xb7 | 0xbe | 0xbf) => 0,
        // pextrb, pextrw, pextrd, extractps
        (3, 0x14..=0x17) => 1,
        _ => return None,
    };
    let modrm = *bytes.get(at + 1)?;
    let (mode, base) = (modrm >> 6, modrm & 7);
    if mode == 3 {
        // In this form the others move halves, or are no moves.
        let whole = matches!((map, opcode), (0, 0x88..=0x8b) | (1, 0x10 | 0x11 | 0x28 | 0x29 | 0x6f | 0x7f));
        return whole.then_some((Operand::Register, at + 2));
    }
    let indexed = base == 4;
    let index = if indexed { *bytes.get(at + 2)? } else { 0 };
    let operand = if index == ON_STACK && !upper { Operand::Frame } else { Operand::Memory };
    Some((operand, at + 1 + operand_length(&bytes[at + 1..])? + immediate))
}
