//! What the folder promises without a backend: flow and length of encodings, no panic and no malformed region for
//! any bytes, and the arithmetic of the 80-bit format, whose rows a processor has computed.

use super::X86_64;
use super::extended::{Context, Extended, QuotientRule};
use super::transcendental::Angle;
use super::x87_unit;
use crate::lift::{Decoded, Flow, Guest};
use crate::{Shape, lift_region};
use philae_ir::state::x86_64::{X87_CONTROL, X87_STATUS, X87_TAGS};
use philae_ir::verify::verify;
use philae_ir::{Arch, CpuState, ExitReason, Region, Terminator};
use std::time::{Duration, Instant};

const PC: u64 = 0x40_0000;

fn lifted(bytes: &[u8]) -> Region {
    let mut fetch = |at: u64, buffer: &mut [u8]| {
        let rest = &bytes[((at - PC) as usize).min(bytes.len())..];
        let count = buffer.len().min(rest.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        count
    };
    lift_region(Arch::X86_64, PC, Shape::Instruction, &mut fetch).0
}

/// Whether the region does nothing but leave for `reason`.
fn only_leaves(region: &Region, reason: ExitReason) -> bool {
    matches!(region.blocks[..], [ref block] if matches!(block.end, Terminator::Exit { reason: r, .. } if r == reason))
}

#[test]
fn flow_and_length() {
    let rows: [(&[u8], u8, Flow); 14] = [
        (&[0x90], 1, Flow::Next),
        (&[0xf3, 0xa4], 2, Flow::Next),
        (&[0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8], 10, Flow::Next),
        (&[0xeb, 0x10], 2, Flow::Jump(PC + 0x12)),
        (&[0xe9, 0xfb, 0xff, 0xff, 0xff], 5, Flow::Jump(PC)),
        (&[0x74, 0xfe], 2, Flow::Branch(PC)),
        (&[0x0f, 0x85, 0, 1, 0, 0], 6, Flow::Branch(PC + 0x106)),
        (&[0xe2, 0x00], 2, Flow::Branch(PC + 2)),
        (&[0xe3, 0x05], 2, Flow::Branch(PC + 7)),
        (&[0xe8, 0, 0, 0, 0], 5, Flow::Call(PC + 5)),
        (&[0xff, 0xe0], 2, Flow::Computed),
        (&[0xc3], 1, Flow::Return),
        (&[0x0f, 0x05], 2, Flow::Leave),
        (&[0xcc], 1, Flow::Leave),
    ];
    for (bytes, length, flow) in rows {
        match X86_64::decode(PC, bytes) {
            Decoded::Insn { length: l, flow: f, .. } => assert_eq!((l, f), (length, flow), "{bytes:02x?}"),
            other => panic!("{bytes:02x?}: {other:?}"),
        }
    }
}

#[test]
fn undefined_and_truncated() {
    assert!(matches!(X86_64::decode(PC, &[]), Decoded::Truncated));
    assert!(matches!(X86_64::decode(PC, &[0x48]), Decoded::Truncated));
    assert!(matches!(X86_64::decode(PC, &[0xe8, 0, 0]), Decoded::Truncated));
    assert!(matches!(X86_64::decode(PC, &[0x06]), Decoded::Undefined));
    assert!(matches!(X86_64::decode(PC, &[0x66; 15]), Decoded::Undefined));
}

#[test]
fn traps_leave_with_their_reason() {
    assert!(only_leaves(&lifted(&[0x0f, 0x0b]), ExitReason::Undefined));
    assert!(only_leaves(&lifted(&[0xc4, 0xe2, 0x79, 0x18, 0xc0]), ExitReason::Undefined));
    assert!(only_leaves(&lifted(&[0xcd, 0x80]), ExitReason::Undefined));
    assert!(only_leaves(&lifted(&[0xcc]), ExitReason::Breakpoint));
    assert!(only_leaves(&lifted(&[0xf4]), ExitReason::Protection));
    assert!(only_leaves(&lifted(&[0x0f, 0x05]), ExitReason::Syscall));
}

#[test]
fn any_bytes_make_a_region_that_verifies() {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    };
    let end = Instant::now() + Duration::from_secs(1);
    while Instant::now() < end {
        for _ in 0..100 {
            let mut bytes: [u8; 16] = (u128::from(random()) << 64 | u128::from(random())).to_le_bytes();
            // Half of them in the map where most of SSE is, an eighth of them x87.
            match random() >> 61 {
                0..4 => bytes[1] = 0x0f,
                4 => bytes[0] = 0xd8 | bytes[0] & 7,
                _ => {}
            }
            let region = lifted(&bytes[..15]);
            if let Err(error) = verify(&region) {
                panic!("{bytes:02x?}: {error}\n{region:#?}");
            }
        }
    }
}

#[test]
fn every_opcode_of_the_first_two_maps_verifies() {
    for prefix in [None, Some(0x66), Some(0xf2), Some(0xf3), Some(0xf0), Some(0x48), Some(0x67), Some(0x65)] {
        for map in [&[][..], &[0x0f], &[0x0f, 0x38], &[0x0f, 0x3a]] {
            for opcode in 0..=255 {
                for modrm in (0..=255).step_by(5).chain([0xc0, 0xc8, 0x44]) {
                    let mut bytes: Vec<u8> = prefix.into_iter().collect();
                    bytes.extend(map);
                    bytes.extend([opcode, modrm, 0x24, 1, 2, 3, 4, 5, 6, 7, 8]);
                    let region = lifted(&bytes);
                    assert_eq!(verify(&region).err(), None, "{bytes:02x?}");
                }
            }
        }
    }
}

#[test]
fn the_stack_faults_and_recovers() {
    let mut cpu = CpuState::default();
    let call = |cpu: &mut CpuState, helper: &philae_ir::Helper, args: [u128; 3]| (helper.function)(cpu, args);
    call(&mut cpu, &x87_unit::INITIALISE, [0; 3]);
    assert_eq!(cpu.get(X87_CONTROL), 0x37f);
    for _ in 0..8 {
        call(&mut cpu, &x87_unit::LOAD_CONSTANT, [0; 3]);
    }
    assert_eq!((cpu.get(X87_TAGS), cpu.get(X87_STATUS)), (0xff, 0));
    call(&mut cpu, &x87_unit::LOAD_CONSTANT, [0; 3]);
    // Invalid, stack fault, C1 for overflow, TOP 7.
    assert_eq!(cpu.get(X87_STATUS), 0x3a41);
    call(&mut cpu, &x87_unit::CLEAR, [0; 3]);
    for _ in 0..8 {
        call(&mut cpu, &x87_unit::POP, [0; 3]);
    }
    assert_eq!(cpu.get(X87_TAGS), 0);
    assert_eq!(call(&mut cpu, &x87_unit::TAG_WORD, [0; 3]), 0xffff);
    assert_eq!(call(&mut cpu, &x87_unit::CONVERT, [2, 0, 0]), 0xfff8_0000_0000_0000);
}

enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Sqrt,
    Round,
    Scale,
    Prem,
    Prem1,
}

enum Transcendental {
    Exp2MinusOne,
    Sine,
    Cosine,
    Tangent,
    ArcTangent,
    YLog2X,
    YLog2XPlusOne,
}

#[test]
fn arithmetic_as_a_processor_does_it() {
    for (control, op, a, b, expected, raised) in ARITHMETIC {
        let mut context = Context::new(control);
        let (a, b) = (Extended::from_bits(a), Extended::from_bits(b));
        let value = match op {
            Op::Add => context.add(a, b),
            Op::Sub => context.sub(a, b),
            Op::Mul => context.mul(a, b),
            Op::Div => context.div(a, b),
            Op::Sqrt => context.sqrt(a),
            Op::Round => context.round_to_integral(a),
            Op::Scale => context.scale(a, b),
            Op::Prem => context.remainder(a, b, QuotientRule::Truncated).value,
            Op::Prem1 => context.remainder(a, b, QuotientRule::Nearest).value,
        };
        let row = format!("{control:#x} {a:x?} {b:x?}");
        assert_eq!((value, context.raised), (Extended::from_bits(expected), raised), "{row}");
    }
}

#[test]
fn transcendentals_within_one_unit_of_a_processor() {
    for (op, a, b, expected) in TRANSCENDENTAL {
        let mut context = Context::new(0x37f);
        let (a, b) = (Extended::from_bits(a), Extended::from_bits(b));
        let known = |context: &mut Context| match context.angle(a) {
            Angle::Known(angle) => angle,
            Angle::TooLarge | Angle::None(_) => panic!("{a:x?}"),
        };
        let value = match op {
            Transcendental::Exp2MinusOne => context.exp2_minus_1(a),
            Transcendental::Sine => {
                let angle = known(&mut context);
                context.sine(angle)
            }
            Transcendental::Cosine => {
                let angle = known(&mut context);
                context.cosine(angle)
            }
            Transcendental::Tangent => {
                let angle = known(&mut context);
                context.tangent(angle)
            }
            Transcendental::ArcTangent => context.arc_tangent(a, b),
            Transcendental::YLog2X => context.y_log2_x(a, b),
            Transcendental::YLog2XPlusOne => context.y_log2_x_plus_1(a, b),
        };
        assert!(value.to_bits().abs_diff(expected) <= 1, "{a:x?} {b:x?}: {value:x?}, not {expected:x}");
    }
}

/// Operation, operands in ST(0) and ST(1), result: what an x86 processor computed.
#[rustfmt::skip]
const TRANSCENDENTAL: [(Transcendental, u128, u128, u128); 28] = [
    (Transcendental::Exp2MinusOne, 0x3ffe8000000000000000, 0x3ffbc90fdaa22168c235, 0x3ffdd413cccfe7799211),
    (Transcendental::Exp2MinusOne, 0x3ffbc90fdaa22168c235, 0x3fc08000000000000000, 0x3ffb903780a9ee359480),
    (Transcendental::Exp2MinusOne, 0x3ffdaaaaaaaaaaaaaaab, 0x3ffbc90fdaa22168c235, 0x3ffd85145f31ae515c45),
    (Transcendental::Exp2MinusOne, 0xbffbcccccccccccccccd, 0x3fc08000000000000000, 0xbffb8925ffba153b7c98),
    (Transcendental::Sine, 0x4000c90fdaa22168c235, 0x3ffbc90fdaa22168c235, 0xbfbf8000000000000000),
    (Transcendental::Sine, 0xc010e000000000000001, 0x3fc08000000000000000, 0xbffee4a8e2c1b557bd53),
    (Transcendental::Sine, 0x403d9249249249249249, 0x3ffbc90fdaa22168c235, 0xbffb921334eedf9e0279),
    (Transcendental::Sine, 0x3ffdaaaaaaaaaaaaaaab, 0x3fc08000000000000000, 0x3ffda786103454063563),
    (Transcendental::Cosine, 0xc010e000000000000001, 0x3ffbc90fdaa22168c235, 0xbffde63943d51d503949),
    (Transcendental::Cosine, 0x403d9249249249249249, 0x3fc08000000000000000, 0x3ffeff5915c20def73d7),
    (Transcendental::Cosine, 0x3ffdaaaaaaaaaaaaaaab, 0x3ffbc90fdaa22168c235, 0x3ffef1e8b2cc8cc1656b),
    (Transcendental::Cosine, 0x4005c800000000000000, 0x3fc08000000000000000, 0x3ffedcc0edfb32fefb21),
    (Transcendental::Tangent, 0x403d9249249249249249, 0x3ffbc90fdaa22168c235, 0xbffb9272b14e1e2518a7),
    (Transcendental::Tangent, 0x3ffdaaaaaaaaaaaaaaab, 0x3fc08000000000000000, 0x3ffdb148252e8b2e6bd0),
    (Transcendental::Tangent, 0x4005c800000000000000, 0x3ffbc90fdaa22168c235, 0xbffe9653a6b15ae9bd79),
    (Transcendental::Tangent, 0x4000c90fdaa22168c235, 0x3fc08000000000000000, 0x3fbf8000000000000000),
    (Transcendental::ArcTangent, 0x3ffdaaaaaaaaaaaaaaab, 0x3ffbc90fdaa22168c235, 0x3ffd92a6633cbbc2d69d),
    (Transcendental::ArcTangent, 0x4005c800000000000000, 0x3fc08000000000000000, 0x3fb9a3d70a3d70a3d70a),
    (Transcendental::ArcTangent, 0x4000c90fdaa22168c235, 0x3ffbc90fdaa22168c235, 0x3ff9ffeaaddd4bb12542),
    (Transcendental::ArcTangent, 0xc010e000000000000001, 0x3fc08000000000000000, 0x4000c90fdaa22168c235),
    (Transcendental::YLog2X, 0x4005c800000000000000, 0x3ffbc90fdaa22168c235, 0x3ffea6fa7312c06b3aec),
    (Transcendental::YLog2X, 0x4000c90fdaa22168c235, 0x3fc08000000000000000, 0x3fc0d36439a4c6efbad9),
    (Transcendental::YLog2X, 0x4000c90fdaa22168c235, 0x3ffbc90fdaa22168c235, 0x3ffca606c8aafaf319f1),
    (Transcendental::YLog2X, 0x403d9249249249249249, 0x3fc08000000000000000, 0x3fc5f8c544c055fde993),
    (Transcendental::YLog2XPlusOne, 0x3ffe8000000000000000, 0x3ffbc90fdaa22168c235, 0x3ffaeb3a357afb246c76),
    (Transcendental::YLog2XPlusOne, 0x3ffbc90fdaa22168c235, 0x3fc08000000000000000, 0x3fbd8a59aa656c21a198),
    (Transcendental::YLog2XPlusOne, 0x3ffdaaaaaaaaaaaaaaab, 0x3ffbc90fdaa22168c235, 0x3ffaa6e57fc947ad17f4),
    (Transcendental::YLog2XPlusOne, 0xbffbcccccccccccccccd, 0x3fc08000000000000000, 0xbfbd9ba6b2ecf30472e8),
];

/// Control word, operation, operands in ST(0) and ST(1), result, exceptions: what an x86 processor computed.
#[rustfmt::skip]
const ARITHMETIC: [(u16, Op, u128, u128, u128, u16); 120] = [
    (0x27f, Op::Add, 0xbffbcccccccccccccccd, 0x3ffdaaaaaaaaaaaaaaab, 0x3ffceeeeeeeeeeeef000, 0x20),
    (0x27f, Op::Sub, 0x3fff4000000000000000, 0x403e9249249249249249, 0xffffc000000000000000, 0x01),
    (0x37f, Op::Mul, 0x7fffc000000000000123, 0x3fff8000000000000000, 0x7fffc000000000000123, 0x00),
    (0x37f, Op::Div, 0xffff8000000000000000, 0x3ffdaaaaaaaaaaaaaaab, 0xffff8000000000000000, 0x00),
    (0x37f, Op::Sqrt, 0x3ffdaaaaaaaaaaaaaaab, 0x00000000000000000001, 0x3ffe93cd3a2c8198e269, 0x20),
    (0x37f, Op::Round, 0x7fff8000000000000000, 0x4000c90fdaa22168c235, 0x7fff8000000000000000, 0x00),
    (0x37f, Op::Scale, 0x4000c90fdaa22168c235, 0x00000000000000000000, 0x4000c90fdaa22168c235, 0x00),
    (0x37f, Op::Prem, 0x3ffdaaaaaaaaaaaaaaab, 0x4015b504f333f9de6484, 0x3ffdaaaaaaaaaaaaaaab, 0x00),
    (0x37f, Op::Prem1, 0x403e9249249249249249, 0x4015b504f333f9de6484, 0x4013c47cdcb8b68a6fc0, 0x00),
    (0xb7f, Op::Add, 0x00000000000000000000, 0x3fff8000000000000000, 0x3fff8000000000000000, 0x00),
    (0x37f, Op::Sub, 0x403e9249249249249249, 0x00000000000000000001, 0x403e9249249249249249, 0x22),
    (0xf7f, Op::Mul, 0x7fff8000000000000000, 0x00000000000000000001, 0x7fff8000000000000000, 0x02),
    (0x37f, Op::Div, 0x3ffdaaaaaaaaaaaaaaab, 0x00000000000000000000, 0x7fff8000000000000000, 0x04),
    (0x07f, Op::Sqrt, 0x3ffeffffffffffffffff, 0xffff8000000000000000, 0x3fff8000000000000000, 0x20),
    (0x37f, Op::Round, 0x403e9249249249249249, 0x4015b504f333f9de6484, 0x403e9249249249249249, 0x00),
    (0x77f, Op::Scale, 0x7ffeffffffffffffffff, 0x3ffeffffffffffffffff, 0x7ffeffffffffffffffff, 0x00),
    (0x77f, Op::Prem, 0xffff8000000000000000, 0x00000000000000000001, 0xffffc000000000000000, 0x01),
    (0x37f, Op::Prem1, 0x3fff8000000000000000, 0x7fffc000000000000123, 0x7fffc000000000000123, 0x00),
    (0x77f, Op::Add, 0xffff8000000000000000, 0x7ffeffffffffffffffff, 0xffff8000000000000000, 0x00),
    (0xf7f, Op::Sub, 0x7fffc000000000000123, 0x7fff8000000000000000, 0x7fffc000000000000123, 0x00),
    (0x77f, Op::Mul, 0x7fff8000000000000000, 0xbffbcccccccccccccccd, 0xffff8000000000000000, 0x00),
    (0x27f, Op::Div, 0x7fffc000000000000123, 0x00018000000000000000, 0x7fffc000000000000123, 0x00),
    (0x27f, Op::Sqrt, 0x7fffc000000000000123, 0x3fff8000000000000000, 0x7fffc000000000000123, 0x00),
    (0x77f, Op::Round, 0xffff8000000000000456, 0xbffbcccccccccccccccd, 0xffffc000000000000456, 0x01),
    (0x37f, Op::Scale, 0x3fff4000000000000000, 0x3ffdaaaaaaaaaaaaaaab, 0xffffc000000000000000, 0x01),
    (0xb7f, Op::Prem, 0xffff8000000000000000, 0x7fffc000000000000123, 0x7fffc000000000000123, 0x00),
    (0x07f, Op::Prem1, 0x00000000000000000001, 0x3ffdaaaaaaaaaaaaaaab, 0x00000000000000000001, 0x02),
    (0xb7f, Op::Add, 0x3ffdaaaaaaaaaaaaaaab, 0x3ffeffffffffffffffff, 0x3fffaaaaaaaaaaaaaaab, 0x20),
    (0xb7f, Op::Sub, 0x4015b504f333f9de6484, 0x403e9249249249249249, 0xc03e9249249248ca0fcf, 0x20),
    (0xb7f, Op::Mul, 0x4000c90fdaa22168c235, 0x7ffeffffffffffffffff, 0x7fff8000000000000000, 0x28),
    (0x27f, Op::Div, 0xffff8000000000000000, 0x3fff4000000000000000, 0xffffc000000000000000, 0x01),
    (0x37f, Op::Sqrt, 0x00000000000000000001, 0x7fffc000000000000123, 0x1fe0b504f333f9de6484, 0x22),
    (0x27f, Op::Round, 0x7fffc000000000000123, 0x3ffeffffffffffffffff, 0x7fffc000000000000123, 0x00),
    (0x37f, Op::Scale, 0x403e9249249249249249, 0x3fff4000000000000000, 0xffffc000000000000000, 0x01),
    (0x27f, Op::Prem, 0x7fffc000000000000123, 0x00018000000000000000, 0x7fffc000000000000123, 0x00),
    (0x77f, Op::Prem1, 0x3ffeffffffffffffffff, 0x7ffeffffffffffffffff, 0x3ffeffffffffffffffff, 0x00),
    (0x37f, Op::Add, 0x4000c90fdaa22168c235, 0x00018000000000000000, 0x4000c90fdaa22168c235, 0x20),
    (0x07f, Op::Sub, 0x00000000000000000001, 0x3fff8000000000000000, 0xbfff8000000000000000, 0x22),
    (0x37f, Op::Mul, 0xbffbcccccccccccccccd, 0x00018000000000000000, 0x80000ccccccccccccccd, 0x30),
    (0x37f, Op::Div, 0xffff8000000000000456, 0x00000000000000000000, 0xffffc000000000000456, 0x01),
    (0x37f, Op::Sqrt, 0xffff8000000000000000, 0xffff8000000000000000, 0xffffc000000000000000, 0x01),
    (0x37f, Op::Round, 0x4015b504f333f9de6484, 0x3fff4000000000000000, 0x4015b504f40000000000, 0x20),
    (0xb7f, Op::Scale, 0x00018000000000000000, 0xffff8000000000000000, 0x00000000000000000000, 0x00),
    (0x77f, Op::Prem, 0x3fff8000000000000000, 0x7ffeffffffffffffffff, 0x3fff8000000000000000, 0x00),
    (0x27f, Op::Prem1, 0xffff8000000000000000, 0x3fff8000000000000000, 0xffffc000000000000000, 0x01),
    (0x37f, Op::Add, 0xbffbcccccccccccccccd, 0xbffbcccccccccccccccd, 0xbffccccccccccccccccd, 0x00),
    (0x37f, Op::Sub, 0x7fffc000000000000123, 0x7ffeffffffffffffffff, 0x7fffc000000000000123, 0x00),
    (0x37f, Op::Mul, 0x3ffdaaaaaaaaaaaaaaab, 0x00018000000000000000, 0x00002aaaaaaaaaaaaaab, 0x30),
    (0x37f, Op::Div, 0x3fff4000000000000000, 0x3ffdaaaaaaaaaaaaaaab, 0xffffc000000000000000, 0x01),
    (0x37f, Op::Sqrt, 0xffff8000000000000000, 0x00018000000000000000, 0xffffc000000000000000, 0x01),
    (0x37f, Op::Round, 0xffff8000000000000000, 0x7ffeffffffffffffffff, 0xffff8000000000000000, 0x00),
    (0x37f, Op::Scale, 0xffff8000000000000000, 0x3ffdaaaaaaaaaaaaaaab, 0xffff8000000000000000, 0x00),
    (0x37f, Op::Prem, 0x3ffdaaaaaaaaaaaaaaab, 0x3fff8000000000000000, 0x3ffdaaaaaaaaaaaaaaab, 0x00),
    (0x37f, Op::Prem1, 0x3fff8000000000000000, 0x4000c90fdaa22168c235, 0x3fff8000000000000000, 0x00),
    (0x37f, Op::Add, 0x00018000000000000000, 0x4015b504f333f9de6484, 0x4015b504f333f9de6484, 0x20),
    (0x37f, Op::Sub, 0xffff8000000000000000, 0x3fff8000000000000000, 0xffff8000000000000000, 0x00),
    (0xf7f, Op::Mul, 0x4015b504f333f9de6484, 0xffff8000000000000456, 0xffffc000000000000456, 0x01),
    (0x77f, Op::Div, 0x4015b504f333f9de6484, 0x00018000000000000000, 0x7ffeffffffffffffffff, 0x28),
    (0x37f, Op::Sqrt, 0x00018000000000000000, 0x00018000000000000000, 0x20008000000000000000, 0x00),
    (0xb7f, Op::Round, 0x00018000000000000000, 0x7ffeffffffffffffffff, 0x3fff8000000000000000, 0x20),
    (0x77f, Op::Scale, 0x00018000000000000000, 0x00000000000000000000, 0x00018000000000000000, 0x00),
    (0x37f, Op::Prem, 0x7ffeffffffffffffffff, 0x7fffc000000000000123, 0x7fffc000000000000123, 0x00),
    (0x37f, Op::Prem1, 0x00000000000000000000, 0x403e9249249249249249, 0x00000000000000000000, 0x00),
    (0x77f, Op::Add, 0x4000c90fdaa22168c235, 0x3fff4000000000000000, 0xffffc000000000000000, 0x01),
    (0x37f, Op::Sub, 0xffff8000000000000456, 0x403e9249249249249249, 0xffffc000000000000456, 0x01),
    (0x37f, Op::Mul, 0xbffbcccccccccccccccd, 0x7ffeffffffffffffffff, 0xfffbcccccccccccccccc, 0x20),
    (0x77f, Op::Div, 0xbffbcccccccccccccccd, 0x3ffdaaaaaaaaaaaaaaab, 0xbffd999999999999999a, 0x20),
    (0x07f, Op::Sqrt, 0x403e9249249249249249, 0x3fff4000000000000000, 0x401ec1848f0000000000, 0x20),
    (0x37f, Op::Round, 0x4000c90fdaa22168c235, 0x00018000000000000000, 0x4000c000000000000000, 0x20),
    (0x37f, Op::Scale, 0xffff8000000000000456, 0x4015b504f333f9de6484, 0xffffc000000000000456, 0x01),
    (0x37f, Op::Prem, 0x3fff8000000000000000, 0xffff8000000000000456, 0xffffc000000000000456, 0x01),
    (0x27f, Op::Prem1, 0x3fff4000000000000000, 0x4000c90fdaa22168c235, 0xffffc000000000000000, 0x01),
    (0x37f, Op::Add, 0x00000000000000000000, 0x4000c90fdaa22168c235, 0x4000c90fdaa22168c235, 0x00),
    (0x37f, Op::Sub, 0x4000c90fdaa22168c235, 0x3ffeffffffffffffffff, 0x4000890fdaa22168c235, 0x20),
    (0x77f, Op::Mul, 0x7ffeffffffffffffffff, 0x3fff4000000000000000, 0xffffc000000000000000, 0x01),
    (0x07f, Op::Div, 0x7fff8000000000000000, 0xbffbcccccccccccccccd, 0xffff8000000000000000, 0x00),
    (0xf7f, Op::Sqrt, 0x7fffc000000000000123, 0x7fffc000000000000123, 0x7fffc000000000000123, 0x00),
    (0xf7f, Op::Round, 0x7fff8000000000000000, 0x7ffeffffffffffffffff, 0x7fff8000000000000000, 0x00),
    (0x77f, Op::Scale, 0x3ffeffffffffffffffff, 0x7fffc000000000000123, 0x7fffc000000000000123, 0x00),
    (0x37f, Op::Prem, 0x00018000000000000000, 0xbffbcccccccccccccccd, 0x00018000000000000000, 0x00),
    (0x07f, Op::Prem1, 0x3fff4000000000000000, 0x00000000000000000001, 0xffffc000000000000000, 0x01),
    (0xf7f, Op::Add, 0x00000000000000000000, 0xbffbcccccccccccccccd, 0xbffbcccccccccccccccd, 0x00),
    (0x37f, Op::Sub, 0x4015b504f333f9de6484, 0xbffbcccccccccccccccd, 0x4015b504f3672d1197b7, 0x20),
    (0xb7f, Op::Mul, 0xbffbcccccccccccccccd, 0x7fff8000000000000000, 0xffff8000000000000000, 0x00),
    (0x77f, Op::Div, 0x403e9249249249249249, 0x3fff4000000000000000, 0xffffc000000000000000, 0x01),
    (0x37f, Op::Sqrt, 0x4000c90fdaa22168c235, 0x7fff8000000000000000, 0x3fffe2dfc48da77b553d, 0x20),
    (0x77f, Op::Round, 0x3fff4000000000000000, 0x4000c90fdaa22168c235, 0xffffc000000000000000, 0x01),
    (0x07f, Op::Scale, 0x00018000000000000000, 0x7fffc000000000000123, 0x7fffc000000000000123, 0x00),
    (0xb7f, Op::Prem, 0x403e9249249249249249, 0x00018000000000000000, 0x3fff8000000000000000, 0x00),
    (0x27f, Op::Prem1, 0x7fffc000000000000123, 0x4015b504f333f9de6484, 0x7fffc000000000000123, 0x00),
    (0x37f, Op::Add, 0x3ffeffffffffffffffff, 0xffff8000000000000456, 0xffffc000000000000456, 0x01),
    (0xf7f, Op::Sub, 0x7fff8000000000000000, 0x4015b504f333f9de6484, 0x7fff8000000000000000, 0x00),
    (0x77f, Op::Mul, 0x3fff4000000000000000, 0x7fff8000000000000000, 0xffffc000000000000000, 0x01),
    (0x77f, Op::Div, 0xffff8000000000000000, 0x403e9249249249249249, 0xffff8000000000000000, 0x00),
    (0x07f, Op::Sqrt, 0x7ffeffffffffffffffff, 0x7fffc000000000000123, 0x5fff8000000000000000, 0x20),
    (0x07f, Op::Round, 0x3ffeffffffffffffffff, 0x4015b504f333f9de6484, 0x3fff8000000000000000, 0x20),
    (0xf7f, Op::Scale, 0x7ffeffffffffffffffff, 0xffff8000000000000456, 0xffffc000000000000456, 0x01),
    (0x37f, Op::Prem, 0x3ffeffffffffffffffff, 0x7fffc000000000000123, 0x7fffc000000000000123, 0x00),
    (0x37f, Op::Prem1, 0x7fff8000000000000000, 0x7ffeffffffffffffffff, 0xffffc000000000000000, 0x01),
    (0x07f, Op::Add, 0x7ffeffffffffffffffff, 0x4000c90fdaa22168c235, 0x7fff8000000000000000, 0x28),
    (0x37f, Op::Sub, 0x7fffc000000000000123, 0x00000000000000000001, 0x7fffc000000000000123, 0x00),
    (0x07f, Op::Mul, 0x3ffeffffffffffffffff, 0x00018000000000000000, 0x00018000000000000000, 0x20),
    (0x07f, Op::Div, 0x3ffeffffffffffffffff, 0x00018000000000000000, 0x7ffd8000000000000000, 0x20),
    (0x37f, Op::Sqrt, 0xffff8000000000000000, 0x7ffeffffffffffffffff, 0xffffc000000000000000, 0x01),
    (0x27f, Op::Round, 0x00000000000000000001, 0x00018000000000000000, 0x00000000000000000000, 0x22),
    (0xf7f, Op::Scale, 0x4000c90fdaa22168c235, 0x4000c90fdaa22168c235, 0x4003c90fdaa22168c235, 0x00),
    (0x27f, Op::Prem, 0x7ffeffffffffffffffff, 0xffff8000000000000000, 0x7ffeffffffffffffffff, 0x00),
    (0x77f, Op::Prem1, 0x00018000000000000000, 0x403e9249249249249249, 0x00018000000000000000, 0x00),
    (0x07f, Op::Add, 0x3fff4000000000000000, 0x00000000000000000001, 0xffffc000000000000000, 0x01),
    (0xb7f, Op::Sub, 0x3fff4000000000000000, 0x403e9249249249249249, 0xffffc000000000000000, 0x01),
    (0x07f, Op::Mul, 0x4015b504f333f9de6484, 0x7ffeffffffffffffffff, 0x7fff8000000000000000, 0x28),
    (0x27f, Op::Div, 0x3ffeffffffffffffffff, 0x4015b504f333f9de6484, 0x3fe8b504f333f9de6800, 0x20),
    (0x37f, Op::Sqrt, 0x7fff8000000000000000, 0x00000000000000000000, 0x7fff8000000000000000, 0x00),
    (0x37f, Op::Round, 0x3ffeffffffffffffffff, 0xffff8000000000000000, 0x3fff8000000000000000, 0x20),
    (0xb7f, Op::Scale, 0x403e9249249249249249, 0x3fff4000000000000000, 0xffffc000000000000000, 0x01),
    (0x37f, Op::Prem, 0x00000000000000000000, 0x3fff8000000000000000, 0x00000000000000000000, 0x00),
    (0x37f, Op::Prem1, 0x3fff4000000000000000, 0x7fff8000000000000000, 0xffffc000000000000000, 0x01),
    (0xf7f, Op::Add, 0x7fffc000000000000123, 0x00000000000000000001, 0x7fffc000000000000123, 0x00),
    (0x77f, Op::Sub, 0x3fff4000000000000000, 0x00000000000000000001, 0xffffc000000000000000, 0x01),
    (0x37f, Op::Mul, 0x4015b504f333f9de6484, 0xbffbcccccccccccccccd, 0xc01290d0c28ffb18506a, 0x20),
];
