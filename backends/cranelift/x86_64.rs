//! What is particular to x86_64 hosts: the processor's features, the removal of frames, and stubs for calls.
//!
//! Translated code runs with rdi = state and rsp = rbp = the frame that [`crate::link::enter`] made, 16-byte aligned. Cranelift
//! begins every function with `push rbp; mov rbp, rsp`, room for its values on the stack and saves of registers, and undoes that
//! before every tail jump. Skipping the first and dropping the second keeps the invariant from one region to the next.

use super::CompileError;
use super::recovery_branch::private_move_length;
use crate::link::{Entry, LinkSlot, jump_through_slot};
use cranelift_codegen::isa::{self, OwnedTargetIsa};
use cranelift_codegen::settings::{self, Configurable, Flags};
use std::mem::offset_of;
use std::ops::Range;

/// Parts of the instruction set that change what Cranelift can compile without calls to a library.
#[derive(Clone, Copy, Debug)]
pub(super) struct Features {
    /// Rounding to integral values (SSE4.1).
    pub(super) rounding: bool,
    /// Instructions of three operands.
    pub(super) avx: bool,
    /// Fused multiply-add.
    pub(super) fma: bool,
    /// The AES instructions, and those of SSSE3 that stand for them.
    pub(super) aes: bool,
    /// The SHA-256 instructions, and those of SSE4.1 that stand for them; in code without AVX only.
    pub(super) sha: bool,
    /// The carry-less product.
    pub(super) carry_less: bool,
    /// Conversions between binary16 and binary32.
    pub(super) f16c: bool,
    /// Shifts of words and doublewords by those of another vector.
    pub(super) avx2: bool,
    /// PSHUFB.
    pub(super) bytes: bool,
    /// Rotations of lanes of 32 and 64 bits, and arithmetic shifts of the latter, which stand for them.
    pub(super) rotations: bool,
}

/// Which forms of vector instructions code may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Forms {
    /// All that the processor has.
    All,
    /// Those of SSE, whose result is their first operand.
    Legacy,
}

/// Cranelift's description of this processor.
pub(super) fn host_isa(forms: Forms) -> (OwnedTargetIsa, Features) {
    let mut flags = settings::builder();
    let verifier = if cfg!(debug_assertions) { "true" } else { "false" };
    for (name, value) in [
        ("opt_level", "none"),
        ("regalloc_algorithm", "backtracking"),
        ("enable_alias_analysis", "false"),
        ("enable_verifier", verifier),
        ("preserve_frame_pointers", "true"),
        ("unwind_info", "false"),
        ("enable_probestack", "false"),
        ("enable_heap_access_spectre_mitigation", "false"),
        ("enable_table_access_spectre_mitigation", "false"),
    ] {
        flags.set(name, value).expect("a Cranelift setting");
    }
    let mut builder = isa::lookup_by_name("x86_64").expect("Cranelift compiles for this host");
    for (name, present) in detected(forms) {
        builder.set(name, if present { "true" } else { "false" }).expect("a Cranelift x64 setting");
    }
    let isa = builder.finish(Flags::new(flags)).expect("consistent Cranelift settings");
    let ssse3 = is_x86_feature_detected!("ssse3");
    let sse41 = is_x86_feature_detected!("sse4.1");
    let avx = forms == Forms::All && is_x86_feature_detected!("avx");
    let features = Features {
        rounding: sse41,
        avx,
        fma: avx && is_x86_feature_detected!("fma"),
        aes: ssse3 && is_x86_feature_detected!("aes"),
        sha: forms == Forms::Legacy && sse41 && ssse3 && is_x86_feature_detected!("sha"),
        f16c: avx && is_x86_feature_detected!("f16c"),
        avx2: avx && is_x86_feature_detected!("avx2"),
        bytes: ssse3,
        rotations: forms == Forms::All && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl"),
        carry_less: ssse3 && is_x86_feature_detected!("pclmulqdq"),
    };
    (isa, features)
}

fn detected(forms: Forms) -> [(&'static str, bool); 17] {
    let avx = forms == Forms::All && is_x86_feature_detected!("avx");
    let avx512 = avx && is_x86_feature_detected!("avx512f");
    [
        ("has_sse3", is_x86_feature_detected!("sse3")),
        ("has_ssse3", is_x86_feature_detected!("ssse3")),
        ("has_cmpxchg16b", is_x86_feature_detected!("cmpxchg16b")),
        ("has_sse41", is_x86_feature_detected!("sse4.1")),
        ("has_sse42", is_x86_feature_detected!("sse4.2")),
        ("has_avx", avx),
        ("has_avx2", avx && is_x86_feature_detected!("avx2")),
        ("has_fma", avx && is_x86_feature_detected!("fma")),
        ("has_avx512f", avx512),
        ("has_avx512vl", avx512 && is_x86_feature_detected!("avx512vl")),
        ("has_avx512dq", avx512 && is_x86_feature_detected!("avx512dq")),
        ("has_avx512bitalg", avx512 && is_x86_feature_detected!("avx512bitalg")),
        ("has_avx512vbmi", avx512 && is_x86_feature_detected!("avx512vbmi")),
        ("has_popcnt", is_x86_feature_detected!("popcnt")),
        ("has_bmi1", is_x86_feature_detected!("bmi1")),
        ("has_bmi2", is_x86_feature_detected!("bmi2")),
        ("has_lzcnt", is_x86_feature_detected!("lzcnt")),
    ]
}

/// `push rbp; mov rbp, rsp`.
const FRAME_SETUP: [u8; 4] = [0x55, 0x48, 0x89, 0xe5];
/// `mov rsp, rbp; pop rbp`.
const FRAME_RESTORE: [u8; 4] = [0x48, 0x89, 0xec, 0x5d];

/// `mov r10, [rsi + LinkSlot::target]`. Where it stands before a tail jump it is that: constants there are addresses and
/// places in the frame, none of which ends like this.
const LOAD_TARGET: [u8; 4] = [0x4c, 0x8b, 0x56, offset_of!(LinkSlot, target) as u8];
/// `jmp r10`.
const JUMP_TO_TARGET: [u8; 3] = [0x41, 0xff, 0xe2];
/// `jmp [rsi + LinkSlot::target]`, for the two.
pub(super) const JUMP_THROUGH_SLOT: [u8; 3] = jump_through_slot(Entry::Memory);

/// Makes a `prefetcht0` of the load of a byte, zero-extended, that `bytes` start with: but for the opcode and the register
/// they are the same.
pub(super) fn make_prefetch(bytes: &mut [u8]) -> Result<(), CompileError> {
    let start = usize::from(bytes[0] & 0xf0 == 0x40);
    let [0x0f, opcode @ 0xb6, modrm, ..] = &mut bytes[start..] else {
        return Err(CompileError::Cranelift("a prefetch is no load of a byte".to_owned()));
    };
    *opcode = 0x18;
    *modrm = *modrm & !0x38 | 1 << 3;
    Ok(())
}

/// An instruction that Cranelift does not know; one that it knows stands for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(clippy::upper_case_acronyms, reason = "names as in the manual")]
pub(super) enum StandIn {
    /// PSHUFB stands for it, as for the next three.
    AESENC,
    /// The last round.
    AESENCLAST,
    /// Decryption.
    AESDEC,
    /// Its last round.
    AESDECLAST,
    /// PABSB stands for it.
    AESIMC,
    /// PALIGNR stands for it.
    PCLMULQDQ,
    /// PSHUFB stands for it.
    SHA256MSG1,
    /// PSHUFB stands for it.
    SHA256MSG2,
    /// PBLENDVB stands for it, whose third operand is XMM0 as well.
    SHA256RNDS2,
    /// VPSRAQ stands for it, as for the next.
    VPROLD,
    /// Of 64 bits.
    VPROLQ,
    /// VPMOVSXWD stands for it.
    VCVTPH2PS,
    /// VROUNDPS stands for it, which has its operands the other way round; MXCSR says how it rounds.
    VCVTPS2PH,
    /// VPSHUFB stands for it, as for the next four.
    VPSLLVD,
    /// Right.
    VPSRLVD,
    /// With the sign.
    VPSRAVD,
    /// Left, of 64 bits.
    VPSLLVQ,
    /// Right, of 64 bits.
    VPSRLVQ,
    /// COMISS or COMISD, for which every NaN is invalid: UCOMIS stands for it.
    COMIS,
    /// ROUNDSS and its like with this immediate: the same with another stands for it.
    ROUND(u8),
    /// VCMPPS or VCMPPD with this predicate: the same with another stands for it.
    CMP(u8),
}

impl StandIn {
    /// The map and opcode of what is emitted, the opcode to put for it, and whether that is without a 66 prefix.
    fn opcodes(self) -> (u8, u8, u8, bool) {
        match self {
            StandIn::AESENC => (0x38, 0x00, 0xdc, false),
            StandIn::AESENCLAST => (0x38, 0x00, 0xdd, false),
            StandIn::AESDEC => (0x38, 0x00, 0xde, false),
            StandIn::AESDECLAST => (0x38, 0x00, 0xdf, false),
            StandIn::AESIMC => (0x38, 0x1c, 0xdb, false),
            StandIn::PCLMULQDQ => (0x3a, 0x0f, 0x44, false),
            StandIn::SHA256MSG1 => (0x38, 0x00, 0xcc, true),
            StandIn::SHA256MSG2 => (0x38, 0x00, 0xcd, true),
            StandIn::SHA256RNDS2 => (0x38, 0x10, 0xcb, true),
            // The opcode stays: it is a group's, and ModRM and the size of lanes tell which of it.
            StandIn::VPROLD | StandIn::VPROLQ => (0x0f, 0x72, 0x72, false),
            StandIn::VCVTPH2PS => (0x38, 0x23, 0x13, false),
            StandIn::VCVTPS2PH => (0x3a, 0x08, 0x1d, false),
            StandIn::VPSRLVD | StandIn::VPSRLVQ => (0x38, 0x00, 0x45, false),
            StandIn::VPSRAVD => (0x38, 0x00, 0x46, false),
            StandIn::VPSLLVD | StandIn::VPSLLVQ => (0x38, 0x00, 0x47, false),
            StandIn::COMIS | StandIn::ROUND(_) | StandIn::CMP(_) => unreachable!("their prefixes differ"),
        }
    }
}

/// A prefix that means nothing here: the DS segment.
const NO_PREFIX: u8 = 0x3e;

/// Makes the instruction that `stand_in` stands for of the first one in `bytes`, its source location's, that is not there
/// for its operands.
pub(super) fn replace_stand_in(bytes: &mut [u8], stand_in: StandIn) -> Result<(), CompileError> {
    let prepared = preparation(bytes);
    let bytes = &mut bytes[prepared..];
    match stand_in {
        StandIn::COMIS => return signal_nans(bytes),
        StandIn::ROUND(immediate) => return round_by(bytes, immediate),
        StandIn::CMP(predicate) => return compare_by(bytes, predicate),
        _ => (),
    }
    let (map, old, new, unprefixed) = stand_in.opcodes();
    let vex_map = if map == 0x38 { 2 } else { 3 };
    let start: Vec<u8> = bytes.iter().take(6).copied().collect();
    let nothing = || CompileError::Cranelift(format!("no {stand_in:?} out of {start:02x?}"));
    match bytes {
        [0x62, second, third, _, opcode, modrm, ..]
            if map == 0x0f && *second & 7 == 1 && *third & 0x83 == 0x81 && *opcode == old && *modrm >> 3 & 7 == 4 =>
        {
            *modrm = *modrm & !0x38 | 1 << 3;
            if stand_in == StandIn::VPROLD {
                *third &= 0x7f;
            }
            Ok(())
        }
        // The third byte has the size of vectors in bit 2 and the prefix in the low ones.
        [0xc4, second, third, opcode, ..]
            if *second & 0x1f == vex_map && *third & 7 == 1 && *opcode == old && !unprefixed =>
        {
            *opcode = new;
            match stand_in {
                // W.
                StandIn::VPSLLVQ | StandIn::VPSRLVQ => *third |= 0x80,
                StandIn::VCVTPS2PH => return exchange_operands(bytes),
                _ => (),
            }
            Ok(())
        }
        [prefix @ 0x66, rest @ ..] => {
            let rex = usize::from(rest.first().is_some_and(|byte| byte & 0xf0 == 0x40));
            match &mut rest[rex..] {
                [0x0f, escape, opcode, ..] if *escape == map && *opcode == old => {
                    *opcode = new;
                    if unprefixed {
                        *prefix = NO_PREFIX;
                    }
                    Ok(())
                }
                _ => Err(nothing()),
            }
        }
        _ => Err(nothing()),
    }
}

/// The length of what brings operands where the instruction behind it takes them: moves, constants, a register cleared.
fn preparation(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(length) = private_move_length(&bytes[at..]).or_else(|| constant_length(&bytes[at..])) {
        at += length;
    }
    at
}

/// The length of an instruction that makes a constant in a register.
fn constant_length(bytes: &[u8]) -> Option<usize> {
    match *bytes {
        // mov
        [0x48..=0x4f, 0xb8..=0xbf, ..] => Some(10),
        [0x41, 0xb8..=0xbf, ..] => Some(6),
        [0xb8..=0xbf, ..] => Some(5),
        [0x48..=0x4f, 0xc7, 0xc0..=0xc7, ..] => Some(7),
        // xor
        [0x40..=0x4f, 0x33, 0xc0..=0xff, ..] => Some(3),
        [0x33, 0xc0..=0xff, ..] => Some(2),
        // xorps, xorpd, pxor
        [0xc5, _, 0x57 | 0xef, 0xc0..=0xff, ..] | [0x40..=0x4f, 0x0f, 0x57, 0xc0..=0xff, ..] => Some(4),
        [0xc4, _, _, 0x57 | 0xef, 0xc0..=0xff, ..] => Some(5),
        [0x0f, 0x57, 0xc0..=0xff, ..] => Some(3),
        _ => None,
    }
}

/// Gives the rounding that `bytes` start with its immediate.
fn round_by(bytes: &mut [u8], immediate: u8) -> Result<(), CompileError> {
    // ROUNDPS, ROUNDPD, ROUNDSS, ROUNDSD.
    let operand = match bytes {
        [0xc4, second, _, 8..=11, ..] if *second & 0x1f == 3 => 4,
        [0x66, 0x0f, 0x3a, 8..=11, ..] => 4,
        [0x66, 0x40..=0x4f, 0x0f, 0x3a, 8..=11, ..] => 5,
        _ => 0,
    };
    set_immediate(bytes, operand, immediate)
}

/// Gives the comparison of lanes that `bytes` start with its predicate.
fn compare_by(bytes: &mut [u8], predicate: u8) -> Result<(), CompileError> {
    let operand = match bytes {
        [0xc5, _, 0xc2, ..] => 3,
        [0xc4, _, _, 0xc2, ..] => 4,
        _ => 0,
    };
    set_immediate(bytes, operand, predicate)
}

/// Gives the instruction that `bytes` start with, whose operand is at `operand`, another immediate; 0 is for an
/// instruction that was not expected.
fn set_immediate(bytes: &mut [u8], operand: usize, immediate: u8) -> Result<(), CompileError> {
    let place = bytes.get(operand..).and_then(operand_length).map(|length| operand + length);
    match place.and_then(|place| bytes.get_mut(place)) {
        Some(place) if operand > 0 => *place = immediate,
        _ => return Err(CompileError::Cranelift(format!("no instruction with an immediate in {bytes:02x?}"))),
    }
    Ok(())
}

/// Makes a comparison that signals of the quiet one that `bytes` start with.
fn signal_nans(bytes: &mut [u8]) -> Result<(), CompileError> {
    let prefixes = match bytes {
        [0xc5, ..] => 2,
        // Map 1, which other instructions write 0f.
        [0xc4, second, ..] if *second & 0x1f == 1 => 3,
        [0x62, second, ..] if *second & 7 == 1 => 4,
        _ => {
            let size = usize::from(bytes.starts_with(&[0x66]));
            let rex = usize::from(bytes[size..].first().is_some_and(|byte| byte & 0xf0 == 0x40));
            size + rex + usize::from(bytes[size + rex..].starts_with(&[0x0f]))
        }
    };
    match bytes.get_mut(prefixes) {
        Some(opcode @ 0x2e) => *opcode = 0x2f,
        _ => return Err(CompileError::Cranelift(format!("no comparison in {:02x?}", &bytes[..bytes.len().min(6)]))),
    }
    Ok(())
}

/// Makes VCVTPS2PH's operands of VROUNDPS's, which are registers: R and B extend ModRM's fields. The immediate says that MXCSR
/// rounds.
fn exchange_operands(bytes: &mut [u8]) -> Result<(), CompileError> {
    let [_, second, _, _, modrm @ 0xc0..=0xff, immediate, ..] = bytes else {
        return Err(CompileError::Cranelift("what is rounded to a half is in memory".to_owned()));
    };
    *second = *second & 0x5f | (*second & 0x80) >> 2 | (*second & 0x20) << 2;
    *modrm = 0xc0 | (*modrm & 7) << 3 | *modrm >> 3 & 7;
    *immediate = 4;
    Ok(())
}

/// Drops what every function does about its frame, and gives the offset of the entry that is left. `call_ends` is where
/// calls and tail jumps end, `tail_jumps` how many of the latter there must be.
///
/// The entry is behind the frame's setup and the saves of registers that a function of the host would have to keep: only
/// [`crate::link::enter`] has to. Tail jumps move to where the restores began, and become one instruction with the load of
/// their target. The stack pointer stays where it is, too, if the values on the stack fit into what the one frame has for
/// them.
pub(super) fn drop_frames(
    bytes: &mut [u8],
    call_ends: impl Iterator<Item = u32>,
    tail_jumps: usize,
) -> Result<usize, CompileError> {
    let frame = FrameCode::at_start_of(bytes).ok_or(CompileError::Frame)?;
    let mut dropped = 0;
    for end in call_ends {
        let Some(jump) = tail_jump(bytes, end as usize) else { continue };
        let restores = jump.start.checked_sub(frame.restores.len()).ok_or(CompileError::Frame)?;
        if bytes[restores..jump.start] != frame.restores {
            return Err(CompileError::Frame);
        }
        dropped += 1;
        if !frame.keeps_stack {
            bytes[restores..restores + frame.release.len()].copy_from_slice(&frame.release);
            bytes.copy_within(jump, restores + frame.release.len());
        } else if bytes[jump.clone()] == JUMP_TO_TARGET && bytes[..restores].ends_with(&LOAD_TARGET) {
            let load = restores - LOAD_TARGET.len();
            bytes[load..load + JUMP_THROUGH_SLOT.len()].copy_from_slice(&JUMP_THROUGH_SLOT);
        } else {
            bytes.copy_within(jump, restores);
        }
    }
    if dropped != tail_jumps {
        return Err(CompileError::Frame);
    }
    if frame.keeps_stack {
        return Ok(frame.end);
    }
    let entry = frame.end - frame.reserve.len();
    bytes[entry..frame.end].copy_from_slice(&frame.reserve);
    Ok(entry)
}

/// What a function does about its frame.
struct FrameCode {
    /// Where its own code starts.
    end: usize,
    /// `sub rsp, size`, or nothing.
    reserve: Vec<u8>,
    /// `add rsp, size`, or nothing.
    release: Vec<u8>,
    /// Everything before a tail jump.
    restores: Vec<u8>,
    /// Whether what it has on the stack fits into the frame that all code shares.
    keeps_stack: bool,
}

impl FrameCode {
    fn at_start_of(bytes: &[u8]) -> Option<FrameCode> {
        let after_setup = bytes.strip_prefix(&FRAME_SETUP)?;
        let (reserve, size) = match *after_setup {
            [0x48, 0x83, 0xec, size, ..] => (after_setup[..4].to_vec(), i32::from(size as i8)),
            [0x48, 0x81, 0xec, a, b, c, d, ..] => (after_setup[..7].to_vec(), i32::from_le_bytes([a, b, c, d])),
            _ => (Vec::new(), 0),
        };
        let mut release = reserve.clone();
        if let [_, _, modrm, ..] = release.as_mut_slice() {
            *modrm = 0xc4;
        }
        let mut end = FRAME_SETUP.len() + reserve.len();
        let mut restores = Vec::new();
        while let Some(length) = save_length(&bytes[end..]) {
            let save = &bytes[end..end + length];
            restores.extend_from_slice(&[save[0], 0x8b]);
            restores.extend_from_slice(&save[2..]);
            end += length;
        }
        restores.extend_from_slice(&release);
        restores.extend_from_slice(&FRAME_RESTORE);
        let keeps_stack = usize::try_from(size).is_ok_and(|size| size <= crate::link::SPILL_BYTES);
        Some(FrameCode { end, reserve, release, restores, keeps_stack })
    }
}

/// The length of `mov [rsp + displacement], r` with one of rbx and r12 to r15, if `bytes` start with that: where a function
/// starts these registers hold nothing yet, so that it saves them.
fn save_length(bytes: &[u8]) -> Option<usize> {
    let &[rex, 0x89, modrm, 0x24, ..] = bytes else { return None };
    let register = (rex & 4) << 1 | modrm >> 3 & 7;
    let saved = (rex == 0x48 || rex == 0x4c) && modrm & 7 == 4 && (register == 3 || (12..16).contains(&register));
    match modrm >> 6 {
        0 if saved => Some(4),
        1 if saved => Some(5),
        2 if saved => Some(8),
        _ => None,
    }
}

/// The indirect jump that ends at `end`, if that is one and a frame restoration precedes it.
fn tail_jump(bytes: &[u8], end: usize) -> Option<Range<usize>> {
    let start = [2, 3].into_iter().filter_map(|length| end.checked_sub(length)).find(|&start| {
        let register_jump = match bytes[start..end] {
            [0xff, modrm] => modrm & 0xf8 == 0xe0,
            [0x41, 0xff, modrm] => modrm & 0xf8 == 0xe0,
            _ => false,
        };
        register_jump && bytes[..start].ends_with(&FRAME_RESTORE)
    })?;
    Some(start..end)
}

/// The length of the operand whose ModRM byte comes first: that, SIB and displacement.
pub(super) fn operand_length(bytes: &[u8]) -> Option<usize> {
    let (mode, base) = (bytes.first()? >> 6, bytes.first()? & 7);
    let indexed = mode != 3 && base == 4;
    let base = if indexed { *bytes.get(1)? & 7 } else { base };
    let displacement = match mode {
        3 => 0,
        0 if base == 5 => 4,
        0 => 0,
        1 => 1,
        _ => 4,
    };
    Some(1 + usize::from(indexed) + displacement)
}
