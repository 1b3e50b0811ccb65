//! x86_64 machine code one instruction after another: how long each is, where it goes, what it refers to by its own
//! place. Known is what Cranelift makes (SDM volume 2, chapter 2 and appendix A); of the rest nothing is said.

use super::x86_64::operand_length;

/// Where control goes after an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flow {
    /// To the next one.
    Next,
    /// So far from its end.
    Jump(i32),
    /// So far from its end on a condition, which is the number in the low four bits of its opcode, or to the next one.
    Branch(u8, i32),
    /// To none that can be told.
    Elsewhere,
}

/// What is to be known of an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Instruction {
    /// Its length in bytes.
    pub(super) length: usize,
    /// Where control goes from it.
    pub(super) flow: Flow,
    /// Where in it the distance from its end is to what it reads or writes, if that is how it says so.
    pub(super) rip: Option<usize>,
}

/// What follows an opcode.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A ModRM byte with what belongs to it, and so many bytes of an immediate.
    Operand(usize),
    /// So many bytes of an immediate.
    Immediate(usize),
}

/// The instruction that `bytes` start with.
pub(super) fn instruction(bytes: &[u8]) -> Option<Instruction> {
    let mut at = 0;
    let mut short = false;
    while let 0x66 | 0xf2 | 0xf3 | 0xf0 | 0x3e = *bytes.get(at)? {
        short |= bytes[at] == 0x66;
        at += 1;
    }
    let mut wide = false;
    let map = match bytes[at..] {
        [0xc5, ..] => {
            at += 2;
            1
        }
        [0xc4, map, ..] => {
            at += 3;
            map & 0x1f
        }
        [0x62, map, ..] => {
            at += 4;
            map & 7
        }
        [first, ..] => {
            let rex = first & 0xf0 == 0x40;
            wide = rex && first & 8 != 0;
            at += usize::from(rex);
            match bytes[at..] {
                [0x0f, 0x38, ..] => {
                    at += 2;
                    2
                }
                [0x0f, 0x3a, ..] => {
                    at += 2;
                    3
                }
                [0x0f, ..] => {
                    at += 1;
                    1
                }
                _ => 0,
            }
        }
        [] => return None,
    };
    let opcode = *bytes.get(at)?;
    at += 1;
    let word = if short { 2 } else { 4 };
    let form = match map {
        0 => one_byte_form(opcode, bytes.get(at).copied(), word, wide)?,
        1 => two_byte_form(opcode)?,
        2 => Form::Operand(0),
        3 => Form::Operand(1),
        _ => return None,
    };
    let (length, rip) = match form {
        Form::Immediate(size) => (at + size, None),
        Form::Operand(size) => {
            let from_rip = *bytes.get(at)? & 0xc7 == 5;
            (at + operand_length(&bytes[at..])? + size, from_rip.then_some(at + 1))
        }
    };
    let whole = bytes.get(..length)?;
    Some(Instruction { length, flow: flow(map, opcode, &whole[at..]), rip })
}

/// What follows an opcode without an escape; `next` is the byte behind it, `word` how long an immediate is that can be shortened.
fn one_byte_form(opcode: u8, next: Option<u8>, word: usize, wide: bool) -> Option<Form> {
    // Some of a group have an immediate: TEST of F6 and F7.
    let tests = || Some(next? >> 3 & 7 < 2);
    Some(match opcode {
        0x00..=0x3f => match opcode & 7 {
            0..=3 => Form::Operand(0),
            4 => Form::Immediate(1),
            5 => Form::Immediate(word),
            _ => return None,
        },
        0x50..=0x5f | 0x90..=0x99 | 0x9c..=0x9f | 0xc3 | 0xcc => Form::Immediate(0),
        0x63 | 0x84..=0x8b | 0x8d | 0xd0..=0xd3 | 0xfe | 0xff => Form::Operand(0),
        0x68 | 0xa9 => Form::Immediate(word),
        0x6a | 0xa8 | 0xb0..=0xb7 | 0x70..=0x7f | 0xeb => Form::Immediate(1),
        0x69 | 0x81 | 0xc7 => Form::Operand(word),
        0x6b | 0x80 | 0x83 | 0xc0 | 0xc1 | 0xc6 => Form::Operand(1),
        0xb8..=0xbf => Form::Immediate(if wide { 8 } else { word }),
        0xe9 => Form::Immediate(4),
        0xf6 => Form::Operand(usize::from(tests()?)),
        0xf7 => Form::Operand(if tests()? { word } else { 0 }),
        _ => return None,
    })
}

/// What follows an opcode behind 0F, or of the map that VEX and EVEX have for it.
fn two_byte_form(opcode: u8) -> Option<Form> {
    Some(match opcode {
        0x0b | 0x77 | 0xc8..=0xcf => Form::Immediate(0),
        0x80..=0x8f => Form::Immediate(4),
        0x70..=0x73 | 0xa4 | 0xac | 0xba | 0xc2 | 0xc4..=0xc6 => Form::Operand(1),
        0x10..=0x17 | 0x18 | 0x1f | 0x28..=0x2f | 0x40..=0x6f | 0x74..=0x76 | 0x78..=0x7f => Form::Operand(0),
        0x90..=0x9f | 0xa3 | 0xa5 | 0xab | 0xad..=0xc1 | 0xc3 | 0xc7 | 0xd0..=0xfe => Form::Operand(0),
        _ => return None,
    })
}

/// Where control goes after an opcode that `rest` follows.
fn flow(map: u8, opcode: u8, rest: &[u8]) -> Flow {
    let far = || rest.first_chunk().map_or(0, |&bytes| i32::from_le_bytes(bytes));
    match (map, opcode, rest) {
        (0, 0x70..=0x7f, &[near, ..]) => Flow::Branch(opcode & 15, i32::from(near as i8)),
        (0, 0xeb, &[near, ..]) => Flow::Jump(i32::from(near as i8)),
        (0, 0xe9, _) => Flow::Jump(far()),
        (1, 0x80..=0x8f, _) => Flow::Branch(opcode & 15, far()),
        (0, 0xc3 | 0xcc, _) | (1, 0x0b, _) => Flow::Elsewhere,
        // JMP of the group.
        (0, 0xff, &[modrm, ..]) if modrm >> 3 & 7 == 4 => Flow::Elsewhere,
        _ => Flow::Next,
    }
}
