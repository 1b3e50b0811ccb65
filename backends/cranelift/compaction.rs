//! Finished machine code made shorter: programs larger than the host's caches wait for instructions.
//!
//! In: a function's bytes, constants behind the code, the offset of its entry, and what of it refers to link slots and
//! counts by their addresses. Out: the same without what nothing leads to (what is left of frames, above all), with jumps
//! as short as they can be, with distances instead of addresses, and with jumps through link slots that may be made to go
//! straight; and where each instruction has gone.

use super::CompileError;
use super::instructions::{Flow, instruction};
use super::recovery_branch::{RECOVERY_LENGTH, is_recovery_branch};
use super::x86_64::JUMP_THROUGH_SLOT;
use crate::compiled::{ExitSite, Relocation};
use crate::link::{Entry, THROUGH_SLOT, leave_address, through_slot};
use rustc_hash::{FxHashMap, FxHashSet};

/// What a function is to be compacted by.
pub(super) struct Input<'a> {
    /// Its bytes.
    pub(super) bytes: &'a [u8],
    /// Where it is entered.
    pub(super) entry: usize,
    /// Loads of what the next instruction alone takes.
    pub(super) operands: &'a FxHashSet<usize>,
    /// Branches that are never taken, with the tests before them, and what they lead to.
    pub(super) never_taken: &'a FxHashMap<usize, usize>,
    /// The address of the count that it starts with, if it counts.
    pub(super) counter: Option<u64>,
    /// So many bytes that do nothing, in one instruction, are to be in front of everything else.
    pub(super) lead: usize,
}

/// A function that has been compacted.
pub(super) struct Compact {
    pub(super) bytes: Vec<u8>,
    /// What depends on where the bytes are.
    pub(super) relocations: Vec<Relocation>,
    /// The jumps through link slots.
    pub(super) exits: Vec<ExitSite>,
    pieces: Vec<Piece>,
}

/// One instruction, or a few that become one or two others.
#[derive(Clone, Copy)]
struct Piece {
    /// Where it was.
    from: usize,
    /// How long it was.
    length: usize,
    kind: Kind,
    /// Whether control may go on behind it.
    goes_on: bool,
    /// Whether it is behind everything else: it leads out of translated code.
    aside: bool,
    /// Whether its jump needs a distance of four bytes.
    long: bool,
    /// Where it is.
    to: usize,
}

/// What becomes of a piece. Targets are where instructions and constants were.
#[derive(Clone, Copy)]
enum Kind {
    /// It stays as it is.
    Plain,
    /// It refers to a constant that was at `target`, by the distance at `field`.
    Constant { field: usize, target: usize },
    /// It jumps to what was at `target`.
    Jump { target: usize },
    /// It branches to what was at `target`.
    Branch { condition: u8, target: usize },
    /// Nothing, though what was at `target` is there.
    Nothing { target: usize },
    /// Jumps to where the link slot at an address leads, by way of what jumps through it.
    Through { slot: u64 },
    /// Counts down at an address, and branches below 0.
    Count { count: u64, target: usize },
    /// Something else stands there.
    Other(Encoded),
}

/// An instruction's bytes, and how many they are.
#[derive(Clone, Copy)]
struct Encoded([u8; 15], usize);

impl Encoded {
    fn bytes(&self) -> &[u8] {
        &self.0[..self.1]
    }
}

/// `mov rsi, imm64`.
const SLOT: [u8; 2] = [0x48, 0xbe];
/// `sub dword [rip + disp32], 1`, the distance left out.
const COUNT: ([u8; 2], u8) = ([0x83, 0x2d], 1);
/// `js rel32`.
const BRANCH_BELOW_0: u8 = 0x88;

/// `mov r10, imm64`.
const LEAVE: [u8; 2] = [0x49, 0xba];

/// What code is aligned to that refers to constants.
const CONSTANTS: usize = 16;

/// A prefix that means nothing to jumps.
const PREFIX: u8 = 0x2e;

/// Bytes of a cache line.
pub(super) const LINE: usize = 64;
/// Loops of more bytes than these lie where they come to lie.
const SHORT: usize = 128;
/// Instructions that do nothing, by their lengths.
const NOPS: [&[u8]; 9] = [
    &[],
    &[0x90],
    &[0x66, 0x90],
    &[0x0f, 0x1f, 0x00],
    &[0x0f, 0x1f, 0x40, 0x00],
    &[0x0f, 0x1f, 0x44, 0x00, 0x00],
    &[0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00],
    &[0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00],
    &[0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
];

impl Piece {
    /// Where it ends.
    fn end(&self) -> usize {
        self.to + self.size()
    }

    /// How many bytes it takes.
    fn size(&self) -> usize {
        match self.kind {
            Kind::Plain | Kind::Constant { .. } => self.length,
            Kind::Nothing { .. } => 0,
            Kind::Jump { .. } if self.long => 5,
            Kind::Branch { .. } if self.long => 6,
            Kind::Jump { .. } | Kind::Branch { .. } => 2,
            Kind::Through { .. } => ExitSite::padding(self.to + 1) + 5,
            Kind::Count { .. } => 7 + 6,
            Kind::Other(other) => other.bytes().len(),
        }
    }

    /// What a fault of the access beside it leads to.
    fn recovery(&self) -> Option<usize> {
        match self.kind {
            Kind::Nothing { target } => Some(target),
            _ => None,
        }
    }

    /// What it may jump to.
    fn target(&self) -> Option<usize> {
        match self.kind {
            Kind::Jump { target } | Kind::Branch { target, .. } => Some(target),
            Kind::Nothing { target } | Kind::Count { target, .. } => Some(target),
            Kind::Plain | Kind::Constant { .. } | Kind::Through { .. } | Kind::Other(_) => None,
        }
    }
}

/// Compacts a function.
pub(super) fn compact(input: &Input<'_>) -> Result<Compact, CompileError> {
    let mut pieces = reached(input)?;
    set_aside(input.bytes, &mut pieces);
    settle(&mut pieces, input.lead);
    if place(&pieces, input.entry) != Some(input.lead) {
        return Err(CompileError::Cranelift("the entry is not where code starts".to_owned()));
    }
    let through = pieces.iter().map(Piece::end).max().unwrap_or(0);
    let throughs = pieces.iter().filter(|piece| matches!(piece.kind, Kind::Through { .. })).count();
    let code_end = through + throughs * THROUGH_SLOT;
    let constants = pieces.iter().filter_map(|piece| match piece.kind {
        Kind::Constant { target, .. } => Some(target),
        _ => None,
    });
    let constants = match constants.min() {
        Some(first) => Constants { from: first - first % CONSTANTS, to: code_end.next_multiple_of(CONSTANTS) },
        None => Constants { from: input.bytes.len(), to: code_end },
    };
    let bytes = Vec::with_capacity(code_end);
    let mut compact = Compact { bytes, relocations: Vec::new(), exits: Vec::new(), pieces };
    compact.encode(input, through, &constants)?;
    compact.encode_throughs();
    compact.bytes.resize(constants.to, 0);
    compact.bytes.extend_from_slice(&input.bytes[constants.from..]);
    Ok(compact)
}

/// Where a function's constants were, and where they are.
struct Constants {
    from: usize,
    to: usize,
}

impl Compact {
    /// Where the instruction has gone that was at `offset`; `None` if nothing leads to it.
    pub(super) fn place(&self, offset: usize) -> Option<usize> {
        place(&self.pieces, offset)
    }

    /// Whether it begins with counting.
    pub(super) fn counts(&self) -> bool {
        self.pieces.iter().any(|piece| piece.to == 0 && matches!(piece.kind, Kind::Count { .. }))
    }

    /// Writes what the pieces are; what jumps through link slots is to be at `through`.
    fn encode(&mut self, input: &Input<'_>, through: usize, constants: &Constants) -> Result<(), CompileError> {
        let mut pieces = self.pieces.clone();
        pieces.sort_unstable_by_key(|piece| piece.to);
        for piece in pieces {
            let old = &input.bytes[piece.from..piece.from + piece.length];
            let end = piece.end();
            let distance = match (piece.target(), piece.kind) {
                (Some(target), _) => self.place(target).ok_or_else(|| unknown(input.bytes, target))?,
                (None, Kind::Constant { target, .. }) => target - constants.from + constants.to,
                (None, Kind::Through { .. }) => through + self.exits.len() * THROUGH_SLOT,
                (None, _) => end,
            };
            let distance = (distance as i64 - end as i64) as i32;
            while self.bytes.len() < piece.to {
                let length = (piece.to - self.bytes.len()).min(NOPS.len() - 1);
                self.bytes.extend_from_slice(NOPS[length]);
            }
            self.encode_piece(piece, old, distance);
        }
        Ok(())
    }

    /// Writes what jumps through link slots, for each of the jumps that lead there.
    fn encode_throughs(&mut self) {
        for exit in &self.exits {
            let field = through_slot(&mut self.bytes, Entry::Memory);
            self.relocations.push(Relocation { offset: field as u32, target: exit.slot });
        }
    }

    /// Writes one piece; `distance` is from its end to what it refers to.
    fn encode_piece(&mut self, piece: Piece, old: &[u8], distance: i32) {
        let out = &mut self.bytes;
        match piece.kind {
            Kind::Plain => out.extend_from_slice(old),
            Kind::Other(other) => out.extend_from_slice(other.bytes()),
            Kind::Constant { field, .. } => {
                out.extend_from_slice(old);
                out[piece.to + field..][..4].copy_from_slice(&distance.to_le_bytes());
            }
            Kind::Jump { .. } if !piece.long => out.extend([0xeb, distance as u8]),
            Kind::Jump { .. } => {
                out.push(0xe9);
                out.extend(distance.to_le_bytes());
            }
            Kind::Branch { condition, .. } if !piece.long => out.extend([0x70 | condition, distance as u8]),
            Kind::Branch { condition, .. } => {
                out.extend([0x0f, 0x80 | condition]);
                out.extend(distance.to_le_bytes());
            }
            Kind::Nothing { .. } => (),
            Kind::Through { slot } => {
                out.extend(std::iter::repeat_n(PREFIX, ExitSite::padding(piece.to + 1)));
                out.push(0xe9);
                self.exits.push(ExitSite { offset: out.len() as u32, slot });
                out.extend(distance.to_le_bytes());
            }
            Kind::Count { count, .. } => {
                let (opcode, one) = COUNT;
                out.extend(opcode);
                // The immediate behind the distance is part of what it counts from.
                self.relocations.push(Relocation { offset: out.len() as u32, target: count - 1 });
                out.extend([0, 0, 0, 0, one, 0x0f, BRANCH_BELOW_0]);
                out.extend(distance.to_le_bytes());
            }
        }
    }
}

/// Where the piece is that was at `offset`.
fn place(pieces: &[Piece], offset: usize) -> Option<usize> {
    let index = pieces.binary_search_by_key(&offset, |piece| piece.from).ok()?;
    Some(pieces[index].to)
}

fn unknown(bytes: &[u8], offset: usize) -> CompileError {
    let start = &bytes[offset..bytes.len().min(offset + 8)];
    CompileError::Cranelift(format!("no instruction known in {start:02x?}"))
}

/// What can be reached from the entry, by rising offset.
fn reached(input: &Input<'_>) -> Result<Vec<Piece>, CompileError> {
    let bytes = input.bytes;
    let mut seen = vec![false; bytes.len()];
    let mut pieces = Vec::new();
    let mut open = vec![input.entry];
    while let Some(mut at) = open.pop() {
        while !std::mem::replace(seen.get_mut(at).ok_or_else(|| unknown(bytes, bytes.len()))?, true) {
            let piece = piece(input, at)?;
            pieces.push(piece);
            open.extend(piece.target());
            if !piece.goes_on {
                break;
            }
            at += piece.length;
        }
    }
    pieces.sort_unstable_by_key(|piece| piece.from);
    Ok(pieces)
}

/// What is at an offset.
fn piece(input: &Input<'_>, at: usize) -> Result<Piece, CompileError> {
    let bytes = &input.bytes[at..];
    let whole = |length, goes_on, kind| Piece { from: at, length, kind, goes_on, aside: false, long: false, to: 0 };
    if let (Some(count), true) = (input.counter, at == input.entry)
        && let Some((length, target)) = counting(bytes, count)
    {
        return Ok(whole(length, true, Kind::Count { count, target: at + target }));
    }
    if let (Some((length, other)), true) = (with_operand(bytes), input.operands.contains(&at)) {
        return Ok(whole(length, true, Kind::Other(other)));
    }
    if let (true, Some(&target)) = (is_recovery_branch(bytes), input.never_taken.get(&at)) {
        return Ok(whole(RECOVERY_LENGTH, true, Kind::Nothing { target }));
    }
    if let Some(slot) = slot_of_jump(bytes) {
        return Ok(whole(SLOT.len() + 8 + JUMP_THROUGH_SLOT.len(), false, Kind::Through { slot }));
    }
    let it = instruction(bytes).ok_or_else(|| unknown(input.bytes, at))?;
    if let (Some(other), None) = (with_short_constant(&bytes[..it.length]), it.rip) {
        return Ok(whole(it.length, true, Kind::Other(other)));
    }
    let target = |distance: i32| (at + it.length).wrapping_add_signed(distance as isize);
    let kind = match (it.flow, it.rip) {
        (Flow::Jump(distance), _) => Kind::Jump { target: target(distance) },
        (Flow::Branch(condition, distance), _) => Kind::Branch { condition, target: target(distance) },
        (_, Some(field)) => {
            let distance = bytes[field..].first_chunk().map_or(0, |&bytes| i32::from_le_bytes(bytes));
            Kind::Constant { field, target: target(distance) }
        }
        (Flow::Next | Flow::Elsewhere, None) => Kind::Plain,
    };
    Ok(whole(it.length, matches!(it.flow, Flow::Next | Flow::Branch(..)), kind))
}

/// The address of the link slot that `bytes` jump through.
fn slot_of_jump(bytes: &[u8]) -> Option<u64> {
    let (slot, rest) = bytes.strip_prefix(&SLOT)?.split_first_chunk()?;
    rest.starts_with(&JUMP_THROUGH_SLOT).then_some(u64::from_le_bytes(*slot))
}

/// How long the counting at an address is that `bytes` start with, and what it branches to, from their start:
/// `mov a, address; mov b, [a]; sub b, 1; mov [a], b; test b, b; jl`.
fn counting(bytes: &[u8], count: u64) -> Option<(usize, usize)> {
    let &[0x48 | 0x49, 0xb8..=0xbf, ref rest @ ..] = bytes else { return None };
    if u64::from_le_bytes(*rest.first_chunk()?) != count {
        return None;
    }
    let mut at = 2 + 8;
    for opcode in [0x8b, 0x83, 0x89, 0x85] {
        let rex = usize::from(bytes.get(at)? & 0xf0 == 0x40);
        if *bytes.get(at + rex)? != opcode {
            return None;
        }
        at += instruction(&bytes[at..])?.length;
    }
    let branch = instruction(&bytes[at..])?;
    let Flow::Branch(0xc, distance) = branch.flow else { return None };
    at += branch.length;
    Some((at, at.wrapping_add_signed(distance as isize)))
}

/// A load and a comparison, AND or test of what it loads, as one instruction, and the length of the two.
fn with_operand(bytes: &[u8]) -> Option<(usize, Encoded)> {
    let split_rex = |bytes: &[u8]| {
        let rex = bytes.first().copied().filter(|byte| byte & 0xf0 == 0x40);
        (rex.unwrap_or(0x40), usize::from(rex.is_some()))
    };
    let length = instruction(bytes)?.length;
    let ((rex, at), next) = (split_rex(bytes), &bytes[length..]);
    let (next_rex, next_at) = split_rex(next);
    let (&[0x8b, modrm, ref address @ ..], &[opcode, taken, ..]) = (&bytes[at..length], &next[next_at..]) else {
        return None;
    };
    let loaded = (rex & 4) << 1 | modrm >> 3 & 7;
    let [first, operand] = [(next_rex & 4) << 1 | taken >> 3 & 7, (next_rex & 1) << 3 | taken & 7];
    if modrm >= 0xc0 || taken < 0xc0 || loaded != operand || (rex ^ next_rex) & 8 != 0 {
        return None;
    }
    // What tests against itself compares with 0: number 7 of the group of comparisons with a constant.
    let (opcode, first, zero) = match opcode {
        0x23 | 0x3b => (opcode, first, None),
        0x85 if first == loaded => (0x83, 7, Some(0)),
        _ => return None,
    };
    // The first operand's register is the instruction's, the address is the load's.
    let rex = rex & 0x4b | first >> 1 & 4;
    let start = (rex != 0x40).then_some(rex).into_iter().chain([opcode, modrm & 0xc7 | first << 3 & 0x38]);
    let mut encoded = Encoded([0; 15], 0);
    for (to, byte) in encoded.0.iter_mut().zip(start.chain(address.iter().copied()).chain(zero)) {
        *to = byte;
        encoded.1 += 1;
    }
    Some((length + next_at + 2, encoded))
}

/// An addition, comparison or the like with a constant of four bytes, of which one is enough.
fn with_short_constant(bytes: &[u8]) -> Option<Encoded> {
    let rex = usize::from(bytes.first()? & 0xf0 == 0x40);
    let (instruction, constant) = bytes.split_last_chunk()?;
    let constant = i8::try_from(i32::from_le_bytes(*constant)).ok()?;
    if *instruction.get(rex)? != 0x81 {
        return None;
    }
    let mut encoded = Encoded([0; 15], instruction.len() + 1);
    encoded.0[..instruction.len()].copy_from_slice(instruction);
    encoded.0[rex] = 0x83;
    encoded.0[instruction.len()] = constant as u8;
    Some(encoded)
}

/// Puts what only leads out of translated code behind everything else, and what only a fault leads to.
fn set_aside(bytes: &[u8], pieces: &mut [Piece]) {
    let (opcode, address) = (LEAVE, leave_address().to_le_bytes());
    let leaves =
        |piece: &Piece| bytes[piece.from..].strip_prefix(&opcode).is_some_and(|rest| rest.starts_with(&address));
    let recoveries: FxHashSet<usize> = pieces.iter().filter_map(Piece::recovery).collect();
    // Straight ways to such an end, which are entered by a jump.
    let mut start = pieces.len();
    for index in 0..pieces.len() {
        let piece = pieces[index];
        let recovers = start < index && recoveries.contains(&pieces[start].from);
        if piece.target().is_some() && !recovers {
            start = pieces.len();
        }
        if piece.goes_on {
            continue;
        }
        if start < index && (recovers || leaves(&pieces[index - 1])) {
            pieces[start..=index].iter_mut().for_each(|piece| piece.aside = true);
        }
        start = index + 1;
    }
}

/// Gives every piece its place, jumps as short as these allow. Short loops lie in as few of the host's cache lines as they
/// fit into: the processor fetches a line at a time.
fn settle(pieces: &mut [Piece], lead: usize) {
    let loops = short_loops(pieces);
    lay_out(pieces, lead, &[]);
    let mut grown = true;
    while std::mem::take(&mut grown) {
        let length = |&(head, last): &(usize, usize)| (head, pieces[last].end() - pieces[head].to);
        let lengths: Vec<_> = loops.iter().map(length).collect();
        lay_out(pieces, lead, &lengths);
        for index in 0..pieces.len() {
            let piece = pieces[index];
            let (Kind::Jump { target } | Kind::Branch { target, .. }, false) = (piece.kind, piece.long) else {
                continue;
            };
            let to = place(pieces, target).unwrap_or(piece.to);
            let distance = to as i64 - piece.end() as i64;
            pieces[index].long = i8::try_from(distance).is_err();
            grown |= pieces[index].long;
        }
    }
}

/// Puts one piece behind the other, the first at `lead`; `loops` are the first pieces of short ones, and their lengths.
fn lay_out(pieces: &mut [Piece], lead: usize, loops: &[(usize, usize)]) {
    let mut loops = loops.iter().peekable();
    let mut end = lead;
    for (index, piece) in pieces.iter_mut().enumerate().filter(|(_, piece)| !piece.aside) {
        let length = loops.next_if(|&&(head, _)| head == index);
        piece.to = length.map_or(end, |&(_, length)| end + padding(end, length));
        end = piece.end();
    }
    for piece in pieces.iter_mut().filter(|piece| piece.aside) {
        piece.to = end;
        end = piece.end();
    }
}

/// The first and the last piece of each loop that may be short, by its first.
fn short_loops(pieces: &[Piece]) -> Vec<(usize, usize)> {
    let back = |(index, piece): (usize, &Piece)| {
        let target = piece.target().filter(|&target| target <= piece.from && piece.from - target <= SHORT)?;
        let head = pieces.binary_search_by_key(&target, |piece| piece.from).ok()?;
        (!piece.aside && !pieces[head].aside).then_some((head, index))
    };
    let mut loops: Vec<_> = pieces.iter().enumerate().filter_map(back).collect();
    loops.sort_unstable();
    // Of those with one head the longest.
    loops.reverse();
    loops.dedup_by_key(|&mut (head, _)| head);
    loops.reverse();
    loops
}

/// How many bytes to fill with no-ops at `start`, so that so many bytes behind them lie in fewer cache lines.
fn padding(start: usize, length: usize) -> usize {
    let lines = (start % LINE + length).div_ceil(LINE);
    if lines > length.div_ceil(LINE) { start.next_multiple_of(LINE) - start } else { 0 }
}
