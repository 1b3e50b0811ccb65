//! Edges of the meanings that are easy to get wrong; expectations follow the rows in `ops.rs` and the manuals.

use super::float::is_rounded_up;
use super::{eval_op, eval_rmw};
use crate::ops::{Carry, FloatCond, IntCond, NanRule, Op, RmwOp, Rounding};
use crate::ty::Ty;

fn int(op: Op, ty: Ty, a: u128, b: u128) -> u128 {
    eval_op(op, ty, ty, 0, 0, [a, b, 0])
}

fn float(op: Op, ty: Ty, rule: NanRule, args: [u128; 3]) -> u128 {
    eval_op(op, ty, ty, rule as u8, 0, args)
}

fn f(value: f64) -> u128 {
    u128::from(value.to_bits())
}

const QUIET: u128 = 0x7ff8_0000_0000_0001;
const SIGNALLING: u128 = 0x7ff0_0000_0000_0002;
const ARM_DEFAULT: u128 = 0x7ff8_0000_0000_0000;
const X86_DEFAULT: u128 = 0xfff8_0000_0000_0000;

#[test]
fn integers_wrap_and_stay_in_their_width() {
    assert_eq!(int(Op::Add, Ty::I8, 0xff, 2), 1);
    assert_eq!(int(Op::Sub, Ty::I32, 0, 1), 0xffff_ffff);
    assert_eq!(int(Op::Mul, Ty::I128, u128::MAX, 3), u128::MAX - 2);
    assert_eq!(int(Op::UmulHigh, Ty::I64, u64::MAX.into(), u64::MAX.into()), u128::from(u64::MAX - 1));
    assert_eq!(int(Op::SmulHigh, Ty::I32, 0xffff_ffff, 5), 0xffff_ffff);
    assert_eq!(int(Op::Sdiv, Ty::I32, 0x8000_0000, 0xffff_ffff), 0x8000_0000);
    assert_eq!(int(Op::Srem, Ty::I64, 1 << 63, u64::MAX.into()), 0);
    assert_eq!(int(Op::Sdiv, Ty::I64, 7, 0), 0);
    assert_eq!(int(Op::Urem, Ty::I64, 7, 0), 7);
    assert_eq!(int(Op::Srem, Ty::I8, 0xf9, 2), 0xff);
    assert_eq!(int(Op::Neg, Ty::I16, 0x8000, 0), 0x8000);
    assert_eq!(int(Op::Abs, Ty::I8X16, 0x80ff, 0), 0x8001);
    assert_eq!(int(Op::Shl, Ty::I32, 1, 33), 2);
    assert_eq!(int(Op::Ashr, Ty::I8, 0x80, 7), 0xff);
    assert_eq!(int(Op::Rotr, Ty::I8, 0x81, 1), 0xc0);
    assert_eq!(int(Op::Rotr, Ty::I128, 1, 1), 1 << 127);
    assert_eq!(int(Op::Clz, Ty::I16, 1, 0), 15);
    assert_eq!(int(Op::Ctz, Ty::I32, 0, 0), 32);
    assert_eq!(int(Op::Cls, Ty::I64, u64::MAX.into(), 0), 63);
    assert_eq!(int(Op::Rbit, Ty::I8, 1, 0), 0x80);
    assert_eq!(int(Op::Bswap, Ty::I32, 0x0102_0304, 0), 0x0403_0201);
    assert_eq!(int(Op::ClmulLow, Ty::V128, 3, 3), 5);
}

#[test]
fn comparisons_make_truth_values_and_masks() {
    let icmp = |ty, cond: IntCond, a, b| eval_op(Op::Icmp, ty, ty, cond as u8, 0, [a, b, 0]);
    assert_eq!(icmp(Ty::I8, IntCond::Slt, 0x80, 0), 1);
    assert_eq!(icmp(Ty::I8, IntCond::Ult, 0x80, 0), 0);
    assert_eq!(icmp(Ty::I32X4, IntCond::Eq, 7, 7), u128::MAX);
    assert_eq!(icmp(Ty::I32X4, IntCond::Sgt, 1 << 32, 0), 0xffff_ffff << 32);
    let fcmp = |cond: FloatCond, a, b| eval_op(Op::Fcmp, Ty::F64, Ty::F64, cond as u8, 0, [a, b, 0]);
    assert_eq!(fcmp(FloatCond::Ne, QUIET, QUIET), 1);
    assert_eq!(fcmp(FloatCond::Un, QUIET, 0), 1);
    assert_eq!(fcmp(FloatCond::Eq, f(-0.0), f(0.0)), 1);
}

#[test]
fn flags_follow_the_processors() {
    let flags = |op, aux: Carry, a, b, c| eval_op(op, Ty::I32, Ty::I32, aux as u8, 0, [a, b, c]);
    let max = 0x7fff_ffff;
    assert_eq!(flags(Op::FlagsAdd, Carry::Borrow, max, 1, 0), 0b1001);
    assert_eq!(flags(Op::FlagsAdd, Carry::Borrow, 0xffff_ffff, 1, 0), 0b0110);
    assert_eq!(flags(Op::FlagsAdc, Carry::Borrow, 0xffff_ffff, 0xffff_ffff, 1), 0b1010);
    assert_eq!(flags(Op::FlagsSub, Carry::Borrow, 0, 1, 0), 0b1010);
    assert_eq!(flags(Op::FlagsSub, Carry::NotBorrow, 0, 1, 0), 0b1000);
    assert_eq!(flags(Op::FlagsSub, Carry::NotBorrow, 5, 5, 0), 0b0110);
    assert_eq!(flags(Op::FlagsSbc, Carry::NotBorrow, 5, 5, 0), 0b1000);
    assert_eq!(flags(Op::FlagsSbc, Carry::Borrow, 0, 0xffff_ffff, 1), 0b0110);
    assert_eq!(flags(Op::FlagsLogic, Carry::Borrow, 0, 0, 0), 0b0100);
    let relations = 0b0011_0010_0110_1000;
    let fcmp = |a, b| eval_op(Op::FlagsFcmp, Ty::F64, Ty::F64, 0, relations, [a, b, 0]);
    assert_eq!([fcmp(f(1.0), f(2.0)), fcmp(f(1.0), f(1.0))], [0b1000, 0b0110]);
    assert_eq!([fcmp(f(2.0), f(1.0)), fcmp(f(2.0), QUIET)], [0b0010, 0b0011]);
}

#[test]
fn nans_are_chosen_by_the_rule() {
    let add = |rule, a, b| float(Op::Fadd, Ty::F64, rule, [a, b, 0]);
    assert_eq!(add(NanRule::Arm, QUIET, SIGNALLING), SIGNALLING | 1 << 51);
    assert_eq!(add(NanRule::X86, QUIET, SIGNALLING), QUIET);
    assert_eq!(add(NanRule::X86, f(1.0), SIGNALLING), SIGNALLING | 1 << 51);
    assert_eq!(add(NanRule::ArmDefault, QUIET, f(1.0)), ARM_DEFAULT);
    assert_eq!(add(NanRule::Arm, f(f64::INFINITY), f(f64::NEG_INFINITY)), ARM_DEFAULT);
    assert_eq!(add(NanRule::X86, f(f64::INFINITY), f(f64::NEG_INFINITY)), X86_DEFAULT);
    assert_eq!(float(Op::Fsqrt, Ty::F64, NanRule::X86, [f(-1.0), 0, 0]), X86_DEFAULT);
    let fused = |rule, a, b, c| float(Op::FmulAdd, Ty::F64, rule, [a, b, c]);
    assert_eq!(fused(NanRule::Arm, QUIET, f(1.0), QUIET | 8), QUIET | 8);
    assert_eq!(fused(NanRule::Arm, f(f64::INFINITY), 0, QUIET), ARM_DEFAULT);
    assert_eq!(fused(NanRule::Arm, f(f64::INFINITY), 0, SIGNALLING), SIGNALLING | 1 << 51);
    assert_eq!(fused(NanRule::X86, f(f64::INFINITY), 0, QUIET), QUIET);
}

#[test]
fn fused_rounds_once() {
    let a = 1.0 + f64::EPSILON;
    let fused = float(Op::FmulAdd, Ty::F64, NanRule::Arm, [f(a), f(a), f(-1.0 - 2.0 * f64::EPSILON)]);
    assert_eq!(fused, f(f64::EPSILON * f64::EPSILON));
}

#[test]
fn what_is_rounded_up_to_the_smallest_normal_number_is_told() {
    let single = |operands: [f32; 3]| is_rounded_up::<f32>(false, operands.map(|a| a.to_bits().into()));
    let (half, little) = (2f32.powi(-63), 2f32.powi(-14));
    let (smallest, denormal) = (f32::MIN_POSITIVE, f32::from_bits(1));
    assert!(single([half * (1.0 + little), half * (1.0 - little), 0.0]));
    assert!(single([denormal, 1.0 - f32::EPSILON / 2.0, smallest - denormal]));
    assert!(!single([half, half, 0.0]));
    assert!(!single([denormal, 1.0, smallest - denormal]));
    assert!(!single([denormal, 1.0 + f32::EPSILON, smallest - denormal]));
    assert!(!single([0.0, 1e30, smallest]));
    assert!(!single([1e30, 1.0, -1e30]));
    let negative = [-half * (1.0 + little), half * (1.0 - little), -0.0].map(|a| a.to_bits().into());
    assert!(is_rounded_up::<f32>(true, negative));
}

#[test]
fn minima_order_zeroes_and_skip_quiet_nans() {
    let min = |op, a, b| float(op, Ty::F64, NanRule::Arm, [a, b, 0]);
    assert_eq!(min(Op::Fmin, f(0.0), f(-0.0)), f(-0.0));
    assert_eq!(min(Op::Fmax, f(-0.0), f(0.0)), f(0.0));
    assert_eq!(min(Op::Fmin, QUIET, f(1.0)), QUIET);
    assert_eq!(min(Op::FminNum, QUIET, f(-0.0)), f(-0.0));
    assert_eq!(min(Op::FmaxNum, f(f64::NEG_INFINITY), QUIET), f(f64::NEG_INFINITY));
    assert_eq!(min(Op::FmaxNum, f(1.0), SIGNALLING), SIGNALLING | 1 << 51);
}

#[test]
fn conversions_saturate_and_round() {
    let to = |op, ty, rounding: Rounding, a: f64| eval_op(op, ty, Ty::F64, rounding as u8, 0, [f(a), 0, 0]);
    assert_eq!(to(Op::FtoSint, Ty::I32, Rounding::Nearest, 2.5), 2);
    assert_eq!(to(Op::FtoSint, Ty::I32, Rounding::Away, 2.5), 3);
    assert_eq!(to(Op::FtoSint, Ty::I32, Rounding::Zero, -1e30), 0x8000_0000);
    assert_eq!(to(Op::FtoSint, Ty::I64, Rounding::Zero, 1e30), i64::MAX as u128);
    assert_eq!(to(Op::FtoUint, Ty::I64, Rounding::Zero, 1e30), u64::MAX.into());
    assert_eq!(to(Op::FtoUint, Ty::I32, Rounding::Floor, -0.5), 0);
    assert_eq!(to(Op::FtoSint, Ty::I64, Rounding::Zero, f64::NAN), 0);
    let from = |op, a: u64| eval_op(op, Ty::F32, Ty::I64, 0, 0, [a.into(), 0, 0]) as u32;
    assert_eq!(from(Op::UintToF, u64::MAX), 0x5f80_0000);
    assert_eq!(from(Op::SintToF, u64::MAX), (-1.0_f32).to_bits());
    assert_eq!(eval_op(Op::Fpromote, Ty::F64, Ty::F32, 0, 0, [0xff80_0001, 0, 0]), 0xfff8_0000_2000_0000);
    assert_eq!(eval_op(Op::Fdemote, Ty::F32, Ty::F64, 0, 0, [SIGNALLING | 1 << 40, 0, 0]), 0x7fc0_0800);
    assert_eq!(eval_op(Op::Sext, Ty::I64, Ty::I8, 0, 0, [0x80, 0, 0]), 0xffff_ffff_ffff_ff80);
    assert_eq!(eval_op(Op::Fround, Ty::F64, Ty::F64, Rounding::Ceil as u8, 0, [f(-0.5), 0, 0]), f(-0.0));
}

#[test]
fn numbers_round_to_integral_values_as_the_library_rounds_them() {
    type Library = fn(f64) -> f64;
    let modes: [(Rounding, Library); 6] = [
        (Rounding::Nearest, f64::round_ties_even),
        (Rounding::Floor, f64::floor),
        (Rounding::Ceil, f64::ceil),
        (Rounding::Zero, f64::trunc),
        (Rounding::Away, f64::round),
        (Rounding::Current, f64::round_ties_even),
    ];
    let edges =
        [0.0, f64::MIN_POSITIVE, f64::INFINITY, 0.5, 1.0, 1.5, 2.5, 8.49, 4503599627370496.5, 9007199254740991.0];
    let near = edges.into_iter().flat_map(|edge: f64| [edge.next_down(), edge, edge.next_up()]);
    let numbers: Vec<f64> = near.chain((0..400).map(|step| f64::from(step) / 8.0)).filter(|a| !a.is_nan()).collect();
    for (rounding, library) in modes {
        for a in numbers.iter().flat_map(|&a| [a, -a]) {
            let rounded = eval_op(Op::Fround, Ty::F64, Ty::F64, rounding as u8, 0, [f(a), 0, 0]);
            assert_eq!(rounded, f(library(a)), "{rounding:?} {a:e}");
            let single = u128::from((a as f32).to_bits());
            let rounded = eval_op(Op::Fround, Ty::F32, Ty::F32, rounding as u8, 0, [single, 0, 0]);
            assert_eq!(rounded as u32, (library(f64::from(a as f32)) as f32).to_bits(), "{rounding:?} {a:e}");
        }
    }
}

#[test]
fn lanes_move_as_the_rows_say() {
    let mask = u128::from_le_bytes([0, 16, 32, 1, 255, 17, 15, 31, 0, 0, 0, 0, 0, 0, 0, 0]);
    let (a, b) = (u128::from_le_bytes(*b"abcdefghijklmnop"), u128::from_le_bytes(*b"ABCDEFGHIJKLMNOP"));
    let shuffled = eval_op(Op::Shuffle, Ty::V128, Ty::V128, 0, mask, [a, b, 0]);
    assert_eq!(&shuffled.to_le_bytes(), b"aA\0b\0BpPaaaaaaaa");
    assert_eq!(int(Op::NarrowSatSU, Ty::I8X16, 0x0100_ffff_007f, 0), 0xff_00_7f);
    assert_eq!(int(Op::NarrowSatUU, Ty::I8X16, 0xffff, 0), 0xff);
    assert_eq!(int(Op::NarrowSatSS, Ty::I32X4, 1 << 40, 0), 0x7fff_ffff);
    assert_eq!(int(Op::WidenHighS, Ty::I16X8, 0x80 << 64, 0), 0xff80);
    assert_eq!(int(Op::DotPairsS, Ty::I32X4, 0x0002_ffff, 0x0003_0001), 5);
    assert_eq!(int(Op::DotPairsS, Ty::I32X4, 0x8000_8000, 0x8000_8000), 0x8000_0000);
    assert_eq!(int(Op::AddPairs, Ty::I64X2, 1 | 2 << 64, 3 | 4 << 64), 3 | 7 << 64);
    assert_eq!(int(Op::AddSatS, Ty::I64X2, i64::MAX as u128, 1), i64::MAX as u128);
    assert_eq!(int(Op::SubSatU, Ty::I8X16, 0x0105, 0x0206), 0);
    assert_eq!(int(Op::AvgU, Ty::I8X16, 0xff, 0xfe), 0xff);
    assert_eq!(int(Op::Vashr, Ty::I8X16, 0x80, 9), 0xff);
    assert_eq!(int(Op::Vshl, Ty::I64X2, 1, 64), 0);
    assert_eq!(eval_op(Op::VlshrImm, Ty::I16X8, Ty::V128, 0, 16, [u128::MAX, 0, 0]), 0);
    assert_eq!(int(Op::LaneMask, Ty::F64X2, 1 << 127, 0), 2);
    assert_eq!(eval_op(Op::InsertLane, Ty::I16X8, Ty::V128, 0, 7, [0, 0xabcd, 0]), 0xabcd << 112);
    assert_eq!(eval_rmw(RmwOp::Smax, Ty::I8, 0x80, 1), 1);
}

/// IEEE 754-2008, 3.4 and 4.3.1: edges of binary16 and of rounding to it.
#[test]
fn halves_widen_exactly_and_round_once() {
    let of = |op, a| eval_op(op, Ty::F32X4, Ty::V128, 0, 0, [a, 0, 0]);
    let lanes = |lanes: [u32; 4]| lanes.into_iter().rev().fold(0, |all, lane| all << 32 | u128::from(lane));
    let halves = 0x7e01_7c01_8001_3c00;
    let singles = lanes([1f32.to_bits(), (-(2f32.powi(-24))).to_bits(), 0x7f80_2000, 0x7fc0_2000]);
    assert_eq!(of(Op::FwidenHalf, halves), singles);
    assert_eq!(of(Op::FpromoteHalf, halves), singles | 0x40_0000 << 64);
    let large = [65519.0, 65520.0, -1e9, f32::INFINITY].map(f32::to_bits);
    assert_eq!(of(Op::FdemoteHalf, lanes(large)), 0x7c00_fc00_7c00_7bff);
    let small = [2f32.powi(-25), 2f32.powi(-25) * 1.5, -2f32.powi(-14) + 2f32.powi(-26), 1.0 + 2f32.powi(-11)];
    assert_eq!(of(Op::FdemoteHalf, lanes(small.map(f32::to_bits))), 0x3c00_8400_0001_0000);
    assert_eq!(of(Op::FdemoteHalf, lanes([0x7f80_2000, 0xff80_0001, 0, 1 << 31])), 0x8000_0000_fe00_7e01);
}

/// FIPS 197, appendix B, round 1.
#[test]
fn rounds_of_aes_are_those_of_the_standard() {
    let of = |op, a: u128| eval_op(op, Ty::V128, Ty::V128, 0, 0, [a, 0, 0]);
    let [start, shifted, mixed] = [
        0x193d_e3be_a0f4_e22b_9ac6_8d2a_e9f8_4808u128,
        0xd4bf_5d30_e0b4_52ae_b841_11f1_1e27_98e5,
        0x0466_81e5_e0cb_199a_48f8_d37a_2806_264c,
    ]
    .map(u128::swap_bytes);
    assert_eq!(of(Op::AesLastRound, start), shifted);
    assert_eq!(of(Op::AesMix, shifted), mixed);
    assert_eq!(of(Op::AesRound, start), mixed);
    assert_eq!(of(Op::AesInverseMix, mixed), shifted);
    assert_eq!(of(Op::AesInverseLastRound, shifted), start);
    assert_eq!(of(Op::AesInverseRound, shifted), of(Op::AesInverseMix, start));
}
