//! Every pure operation in every type it is defined for, against the evaluator.

use super::*;
use crate::FloatControl;
use philae_ir::eval::eval_op;
use philae_ir::ops::{AuxKind, ImmKind, Makes, OPS, OpInfo, Takes};
use philae_ir::state::aarch64;
use philae_ir::{Barrier, Carry, Cond, Effect, FloatCond, Inst, IntCond, NanRule, Op, Ordering, RmwOp, Rounding, Ty};

const SCALARS: &[Ty] = &[Ty::I8, Ty::I16, Ty::I32, Ty::I64, Ty::I128];
const WORDS: &[Ty] = &[Ty::I8, Ty::I16, Ty::I32, Ty::I64];
const VECTORS: &[Ty] = &[Ty::I8X16, Ty::I16X8, Ty::I32X4, Ty::I64X2];
const INTEGERS: &[Ty] = &[Ty::I8, Ty::I16, Ty::I32, Ty::I64, Ty::I128, Ty::I8X16, Ty::I16X8, Ty::I32X4, Ty::I64X2];
const BITS: &[Ty] = &[Ty::I8, Ty::I16, Ty::I32, Ty::I64, Ty::I128, Ty::V128, Ty::I8X16, Ty::F64X2];
const FLOATS: &[Ty] = &[Ty::F32, Ty::F64, Ty::F32X4, Ty::F64X2];
const SHAPES: &[Ty] = &[Ty::I8X16, Ty::I16X8, Ty::I32X4, Ty::I64X2, Ty::F32X4, Ty::F64X2];
const WIDE: &[Ty] = &[Ty::I128, Ty::V128];
const FLAGS: &[Ty] = &[Ty::Flags];
const V128: &[Ty] = &[Ty::V128];

/// The pairs (type, type of operand 0) that an operation is defined for.
pub(super) fn types(op: Op) -> Vec<(Ty, Ty)> {
    let pairs = |of: &dyn Fn(Ty, Ty) -> bool| {
        let all = Ty::NAMES.iter().map(|&(ty, _)| ty).filter(|&ty| ty != Ty::Flags);
        all.clone().flat_map(|ty| all.clone().map(move |from| (ty, from))).filter(|&(ty, from)| of(ty, from)).collect()
    };
    let single: &[Ty] = match op {
        Op::Zext | Op::Sext => return pairs(&|ty, from| ty.is_int() && from.is_int() && ty.bits() > from.bits()),
        Op::Trunc => return pairs(&|ty, from| ty.is_int() && from.is_int() && ty.bits() < from.bits()),
        Op::Bitcast => {
            return pairs(&|ty, from| ty.bits() == from.bits() && ty.value() == ty && from.value() == from);
        }
        Op::Fpromote => return vec![(Ty::F64, Ty::F32), (Ty::F64X2, Ty::V128)],
        Op::Fdemote => return vec![(Ty::F32, Ty::F64), (Ty::F32X4, Ty::V128)],
        Op::FtoSint | Op::FtoUint => {
            let scalars = pairs(&|ty, from| ty.is_int() && from.is_float());
            return scalars.into_iter().chain([(Ty::I32X4, Ty::V128), (Ty::I64X2, Ty::V128)]).collect();
        }
        Op::SintToF | Op::UintToF => {
            let scalars = pairs(&|ty, from| ty.is_float() && from.is_int());
            return scalars.into_iter().chain([(Ty::F32X4, Ty::V128), (Ty::F64X2, Ty::V128)]).collect();
        }
        Op::Add | Op::Sub | Op::Mul | Op::Neg | Op::Abs | Op::Umin | Op::Umax | Op::Smin | Op::Smax => INTEGERS,
        Op::Icmp | Op::Clz | Op::Ctz | Op::Cls | Op::Popcnt | Op::Rbit => INTEGERS,
        Op::UmulHigh | Op::SmulHigh => WORDS,
        Op::Udiv | Op::Sdiv | Op::Urem | Op::Srem | Op::Shl | Op::Lshr | Op::Ashr | Op::Rotr | Op::Bswap => SCALARS,
        Op::And | Op::Or | Op::Xor | Op::AndNot | Op::Not => BITS,
        Op::Select => &[Ty::I8, Ty::I16, Ty::I32, Ty::I64, Ty::I128, Ty::F32, Ty::F64, Ty::V128, Ty::Flags],
        Op::Concat | Op::Low | Op::High => WIDE,
        Op::FlagsAdd | Op::FlagsAdc | Op::FlagsSub | Op::FlagsSbc | Op::FlagsLogic => WORDS,
        Op::FlagsFcmp => &[Ty::F32, Ty::F64],
        Op::FlagsWithC | Op::FlagsWithV | Op::FlagsFromBits | Op::FlagsToBits | Op::FlagsTest => FLAGS,
        Op::Fadd | Op::Fsub | Op::Fmul | Op::Fdiv | Op::Fsqrt | Op::FmulAdd | Op::Fneg | Op::Fabs => FLOATS,
        Op::Fmin | Op::Fmax | Op::FminNum | Op::FmaxNum | Op::Fcmp | Op::Fround => FLOATS,
        Op::Splat | Op::ExtractLane | Op::InsertLane | Op::LaneMask => SHAPES,
        Op::FpromoteHalf | Op::FwidenHalf | Op::FdemoteHalf => &[Ty::F32X4],
        Op::Shuffle | Op::TableLookup | Op::BitSelect | Op::ClmulLow => V128,
        Op::AesRound | Op::AesLastRound | Op::AesMix => V128,
        Op::AesInverseRound | Op::AesInverseLastRound | Op::AesInverseMix => V128,
        Op::VshlImm | Op::VlshrImm | Op::VashrImm | Op::Vshl | Op::Vlshr | Op::Vashr => VECTORS,
        Op::AddSatS | Op::AddSatU | Op::SubSatS | Op::SubSatU | Op::AvgU | Op::AddPairs => VECTORS,
        Op::DotPairsS | Op::WidenLowS | Op::WidenHighS | Op::WidenLowU | Op::WidenHighU => &VECTORS[1..],
        Op::Narrow | Op::NarrowSatSS | Op::NarrowSatSU | Op::NarrowSatUU => &VECTORS[..3],
        Op::Const | Op::WideConst => &[],
        Op::Get | Op::Set | Op::SetLow | Op::Insn | Op::PollPending | Op::Load | Op::LoadZext | Op::LoadSext => &[],
        Op::Store
        | Op::AtomicLoad
        | Op::AtomicStore
        | Op::AtomicRmw
        | Op::AtomicCas
        | Op::Fence
        | Op::Prefetch
        | Op::Call => &[],
    };
    single.iter().map(|&ty| (ty, ty)).collect()
}

pub(super) fn auxes(row: &OpInfo) -> Vec<u8> {
    let count = match row.aux {
        AuxKind::IntCond => IntCond::ALL.len(),
        AuxKind::FloatCond => FloatCond::ALL.len(),
        AuxKind::Cond => Cond::ALL.len(),
        AuxKind::Rounding => Rounding::ALL.len(),
        // All but the last one, which promises something of the operands.
        AuxKind::Nan => NanRule::Agreed as usize,
        AuxKind::Carry => Carry::ALL.len(),
        _ => 1,
    };
    (0..count as u8).collect()
}

const SHUFFLES: [[u8; 16]; 5] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    [16, 0, 17, 1, 18, 2, 19, 3, 20, 4, 21, 5, 22, 6, 23, 7],
    [0, 255, 1, 255, 2, 255, 3, 255, 31, 32, 30, 77, 29, 128, 15, 16],
    [8, 9, 10, 11, 12, 13, 14, 15, 255, 255, 255, 255, 255, 255, 255, 255],
    [40, 16, 40, 17, 31, 31, 40, 40, 30, 29, 28, 27, 26, 25, 24, 23],
];

pub(super) fn imms(row: &OpInfo, ty: Ty) -> Vec<u64> {
    let bits = u64::from(ty.lane().bits());
    match row.imm {
        ImmKind::Lane if matches!(row.op, Op::ExtractLane | Op::InsertLane) => (0..u64::from(ty.lanes())).collect(),
        ImmKind::Lane => vec![0, 1, bits / 2, bits - 1, bits],
        // AArch64 FCMP, x86 UCOMISD, and one that tells all relations apart.
        ImmKind::Relations => vec![0x3268, 0x5410, 0x8421, 0x7bde],
        ImmKind::Const => (0..SHUFFLES.len() as u64).collect(),
        _ => vec![0],
    }
}

/// What operands are taken from: memory, so that the compiler knows nothing of them.
#[repr(C, align(16))]
struct Operands {
    values: [u128; 3],
    result: u128,
}

/// How the operands reach the operation.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Way {
    /// Loaded just before.
    Memory,
    /// Loaded in another block, so that no load becomes an operand.
    Register,
    /// Operand 1 is this constant.
    Constant(u128),
}

fn build(row: &OpInfo, inst: Inst, from: Ty, operands: u64, way: Way) -> Region {
    region(|b| {
        let mut args = Vec::new();
        for (index, &takes) in row.takes.iter().enumerate() {
            let ty = takes.ty(inst.ty).unwrap_or(from);
            let address = b.c64(operands + 16 * index as u64);
            let plain = if ty == Ty::Flags { Ty::I32 } else { ty };
            let value = match way {
                Way::Constant(bits) if index == 1 && ty.bits() == 128 => b.wide_const(plain, bits),
                Way::Constant(bits) if index == 1 => b.iconst(plain, bits as u64),
                _ => b.load(plain, address, 0),
            };
            args.push(if ty == Ty::Flags { b.flags_from_bits(value) } else { value });
        }
        if way == Way::Register {
            let next = b.new_block();
            b.jump(next);
            b.switch_to(next);
        }
        let mut inst = inst;
        inst.args[..args.len()].copy_from_slice(&args);
        if row.imm == ImmKind::Const {
            inst.imm = b.sink.region.intern_const(u128::from_le_bytes(SHUFFLES[inst.imm as usize]));
        }
        let result = b.push(inst);
        let ty = inst.result().expect("pure operations make values");
        let address = b.c64(operands + 48);
        match ty {
            Ty::Flags => {
                let bits = b.flags_to_bits(result);
                b.store(Ty::I32, address, 0, bits);
            }
            _ => b.store(ty, address, 0, result),
        }
    })
}

fn interesting(lane: Ty) -> Vec<u128> {
    let bits = lane.bits();
    let integers = [0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 63, 64, 0x7f, 0x80, 0xff, 0x100];
    let mut all: Vec<u128> = integers.iter().map(|&n| n & lane.mask()).collect();
    all.extend([lane.mask(), lane.mask() - 1, lane.mask() >> 1, (lane.mask() >> 1) + 1]);
    if matches!(bits, 32 | 64) {
        let floats = [
            0.0f64,
            -0.0,
            1.0,
            -1.0,
            0.5,
            -0.5,
            1.5,
            2.5,
            -2.5,
            0.1,
            3e38,
            1e-310,
            -1e-45,
            1e300,
            127.5,
            32768.0,
            2147483647.0,
            2147483648.0,
            -2147483649.0,
            4294967295.5,
            4294967296.0,
            9.2e18,
            9223372036854775808.0,
            1.8446744073709552e19,
            -9.3e18,
            4503599627370497.5,
            0.49999999999999994,
            8388609.0,
            1e40,
            -1e40,
        ];
        let wide = bits == 64;
        let one = |f: f64| if wide { u128::from(f.to_bits()) } else { u128::from((f as f32).to_bits()) };
        all.extend(floats.map(one));
        all.extend([f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, f64::MAX].map(one));
        let nans: [u64; 6] = if wide {
            [0x7ff8 << 48, 0xfff8 << 48, 0x7ff8_0000_1234_5678, 0x7ff0_0000_0000_0001, 0xfff4 << 48, 0xfff9 << 48]
        } else {
            [0x7fc0_0000, 0xffc0_0000, 0x7fc1_2345, 0x7f80_0001, 0xffa0_0000, 0xffc5_0000]
        };
        all.extend(nans.map(u128::from));
    }
    all
}

pub(super) fn pick(random: &mut Random, ty: Ty, lane: Ty) -> u128 {
    let edges = interesting(lane);
    let mut bits = 0;
    let lanes = ty.bits().div_ceil(lane.bits());
    for index in 0..lanes {
        let value = match random.below(3) {
            0 => (u128::from(random.next()) | u128::from(random.next()) << 64) & lane.mask(),
            _ => edges[random.below(edges.len())],
        };
        bits |= value << (index * lane.bits());
    }
    bits & ty.mask()
}

fn pick_operand(random: &mut Random, takes: Takes, ty: Ty, from: Ty) -> u128 {
    let operand = takes.ty(ty).unwrap_or(from);
    match takes {
        Takes::Bool => u128::from(random.next() & 1),
        Takes::Flags => u128::from(random.next() & 15),
        _ if operand.is_vector() => {
            let lane = match ty.lane() {
                Ty::V128 | Ty::Flags => Ty::I8,
                Ty::I128 => Ty::I64,
                lane => [lane, lane, Ty::int(lane.bits() / 2 % 33 + lane.bits() / 64 * 32 + lane.bits() / 8 % 2 * 4)]
                    [random.below(2)],
            };
            pick(random, operand, lane)
        }
        _ => pick(random, operand, operand),
    }
}

#[test]
fn every_operation_is_the_evaluator_s() {
    let mut compiler = Compiler::new();
    let mut random = Random(1);
    let mut operands = Box::new(Operands { values: [0; 3], result: 0 });
    let address = std::ptr::from_mut(&mut *operands) as u64;
    let mut compiled = 0;
    for row in OPS.iter().filter(|row| row.effect == Effect::Pure) {
        let mut arena = Arena::new();
        for (ty, from) in types(row.op) {
            for aux in auxes(row) {
                for imm in imms(row, ty) {
                    let inst = Inst { aux, imm, ..Inst::new(row.op, ty) };
                    let mut ways = vec![Way::Memory, Way::Register];
                    if row.takes.len() == 2 && row.takes[1] != Takes::Flags {
                        ways.extend(
                            [0, 1, 2].map(|_| Way::Constant(pick_operand(&mut random, row.takes[1], ty, from))),
                        );
                    }
                    for way in ways {
                        let region = build(row, inst, from, address, way);
                        let code = arena.add(&compile(&mut compiler, &region));
                        compiled += 1;
                        check(row, inst, from, way, code, &mut operands, &mut random, &compiler);
                    }
                }
            }
        }
    }
    assert!(compiled > 1000, "{compiled} regions");
}

#[allow(clippy::too_many_arguments, reason = "one call")]
fn check(
    row: &OpInfo,
    inst: Inst,
    from: Ty,
    way: Way,
    code: *const u8,
    operands: &mut Operands,
    random: &mut Random,
    compiler: &Compiler,
) {
    let imm = match row.imm {
        ImmKind::Const => u128::from_le_bytes(SHUFFLES[inst.imm as usize]),
        _ => u128::from(inst.imm),
    };
    let result_type = inst.result().expect("pure operations make values");
    let mut cpu = CpuState::default();
    for round in 0..60 {
        // Most in the usual rounding mode; FPCR.RMode is bits 22 and 23.
        cpu.set(aarch64::FPCR, if round % 8 < 4 { round % 8 } else { 0 } << 22);
        for (index, &takes) in row.takes.iter().enumerate() {
            operands.values[index] = match way {
                Way::Constant(bits) if index == 1 => bits,
                _ => pick_operand(random, takes, inst.ty, from),
            };
        }
        operands.result = 0;
        let control = FloatControl::of(Arch::Aarch64, &cpu);
        control.set();
        let reason = run(code, &mut cpu);
        let expected = eval_op(inst.op, inst.ty, from, inst.aux, imm, operands.values);
        control.reset();
        assert_eq!(reason, ExitReason::Syscall);
        // SAFETY: translated code wrote there.
        let result = unsafe { std::ptr::from_ref(&operands.result).read_volatile() };
        assert_eq!(
            result,
            expected & result_type.mask(),
            "{result:#x} is not {expected:#x}: {} {:?} from {from:?} aux {} imm {:#x} {way:x?} of {:x?}, {control:?}\n{}",
            row.name,
            inst.ty,
            inst.aux,
            inst.imm,
            operands.values,
            compiler.clif_text()
        );
    }
}

/// Every condition on every producer of flags, as a truth value and as a branch.
#[test]
fn conditions_hold_as_the_evaluator_says() {
    let mut compiler = Compiler::new();
    let mut random = Random(2);
    let mut operands = Box::new(Operands { values: [0; 3], result: 0 });
    let address = std::ptr::from_mut(&mut *operands) as u64;
    for row in OPS.iter().filter(|row| row.makes == Makes::Flags) {
        let mut arena = Arena::new();
        for (ty, from) in types(row.op) {
            for aux in auxes(row) {
                for imm in imms(row, ty) {
                    let flags = Inst { aux, imm, ..Inst::new(row.op, ty) };
                    for &cond in Cond::ALL {
                        for constant in [None, Some(1), Some(ty.mask() >> 1), Some((ty.mask() >> 1) + 1)] {
                            if constant.is_some() && (row.takes.len() != 2 || row.takes[1] != Takes::Same) {
                                continue;
                            }
                            let region = condition(row, flags, cond, address, constant);
                            let code = arena.add(&compile(&mut compiler, &region));
                            for _ in 0..40 {
                                check_condition(row, flags, from, cond, constant, code, &mut operands, &mut random);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Stores the condition as a truth value, and 2 + it by way of a branch.
fn condition(row: &OpInfo, flags: Inst, cond: Cond, operands: u64, constant: Option<u128>) -> Region {
    region(|b| {
        let mut flags = flags;
        for (index, &takes) in row.takes.iter().enumerate() {
            let ty = takes.ty(flags.ty).unwrap_or(flags.ty);
            let address = b.c64(operands + 16 * index as u64);
            let plain = if ty == Ty::Flags { Ty::I32 } else { ty };
            let value = match constant {
                Some(bits) if index == 1 => b.iconst(plain, bits as u64),
                _ => b.load(plain, address, 0),
            };
            flags.args[index] = if ty == Ty::Flags { b.flags_from_bits(value) } else { value };
        }
        let flags = b.push(flags);
        let truth = b.flags_test(flags, cond);
        let result = b.c64(operands + 48);
        b.store(Ty::I8, result, 0, truth);
        let (then, other) = (b.new_block(), b.new_block());
        let again = b.flags_test(flags, cond);
        b.branch(again, then, other);
        for (block, number) in [(then, 3), (other, 2)] {
            b.switch_to(block);
            let number = b.iconst(Ty::I8, number);
            b.store(Ty::I8, result, 1, number);
            b.exit(ExitReason::Syscall, Pc::Const(PC + 4), Value::NONE);
        }
    })
}

#[allow(clippy::too_many_arguments, reason = "one call")]
fn check_condition(
    row: &OpInfo,
    flags: Inst,
    from: Ty,
    cond: Cond,
    constant: Option<u128>,
    code: *const u8,
    operands: &mut Operands,
    random: &mut Random,
) {
    for (index, &takes) in row.takes.iter().enumerate() {
        operands.values[index] = pick_operand(random, takes, flags.ty, from);
    }
    if let Some(bits) = constant {
        operands.values[1] = bits;
    } else if random.below(4) == 0 {
        operands.values[1] = operands.values[0];
    }
    if row.takes.get(1) == Some(&Takes::Bool) {
        operands.values[1] &= 1;
    }
    operands.result = 0;
    run(code, &mut CpuState::default());
    let nzcv = eval_op(flags.op, flags.ty, from, flags.aux, u128::from(flags.imm), operands.values) as u8;
    let holds = u128::from(cond.holds(nzcv));
    // SAFETY: translated code wrote there.
    let result = unsafe { std::ptr::from_ref(&operands.result).read_volatile() };
    assert_eq!(
        result,
        holds | (2 + holds) << 8,
        "{} {:?} aux {} imm {:#x} {cond:?} of {:x?}: nzcv {nzcv:04b}",
        row.name,
        flags.ty,
        flags.aux,
        flags.imm,
        operands.values
    );
}

/// Loads, stores and atomics of every type, in one region each.
#[test]
fn memory_is_read_and_written() {
    let mut compiler = Compiler::new();
    let mut random = Random(3);
    let mut arena = Arena::new();
    let mut operands = Box::new(Operands { values: [0; 3], result: 0 });
    let address = std::ptr::from_mut(&mut *operands) as u64;
    let mut try_region = |operands: &mut Operands, build: &dyn Fn(&mut RegionBuilder<'_>)| {
        let code = arena.add(&compile(&mut compiler, &region(build)));
        operands.values = [0; 3].map(|_| u128::from(random.next()) | u128::from(random.next()) << 64);
        operands.result = u128::from(random.next()) | u128::from(random.next()) << 64;
        let before = operands.values;
        let old = operands.result;
        assert_eq!(run(code, &mut CpuState::default()), ExitReason::Syscall);
        (before, old)
    };
    for &ty in &[Ty::I8, Ty::I16, Ty::I32, Ty::I64, Ty::I128, Ty::F32, Ty::F64, Ty::V128] {
        let (before, old) = try_region(&mut operands, &|b| {
            let base = b.c64(address.wrapping_sub(1 << 40));
            let value = b.load(ty, base, (1 << 40) + 3);
            let result = b.c64(address + 64);
            b.store(ty, result, -16, value);
        });
        assert_eq!(operands.result & ty.mask(), (before[0] >> 24 | before[1] << 104) & ty.mask(), "{ty:?}");
        assert_eq!(operands.result & !ty.mask(), old & !ty.mask(), "{ty:?}");
    }
    for &memory in WORDS {
        for &ty in SCALARS.iter().filter(|ty| ty.bits() > memory.bits()) {
            let (before, _) = try_region(&mut operands, &|b| {
                let base = b.c64(address);
                let (zext, sext) = (b.load_zext(ty, memory, base, 1), b.load_sext(ty, memory, base, 1));
                b.store(ty, base, 16, zext);
                b.store(ty, base, 32, sext);
            });
            let low = before[0] >> 8 & memory.mask();
            assert_eq!(operands.values[1] & ty.mask(), low, "{memory:?} to {ty:?}");
            let signed = philae_ir::eval::sign_extend(memory, ty, low);
            assert_eq!(operands.values[2] & ty.mask(), signed, "{memory:?} to {ty:?}");
        }
    }
    for &ty in SCALARS {
        for &ordering in Ordering::ALL {
            let (before, old) = try_region(&mut operands, &|b| {
                let base = b.c64(address);
                let value = b.atomic_load(ty, ordering, base);
                b.fence(Barrier::Full);
                b.fence(Barrier::Load);
                let result = b.c64(address + 48);
                b.atomic_store(ty, ordering, result, value);
            });
            assert_eq!(operands.result, before[0] & ty.mask() | old & !ty.mask());
        }
        for &op in RmwOp::ALL {
            let (before, old) = try_region(&mut operands, &|b| {
                let base = b.c64(address);
                let operand = b.load(ty, base, 16);
                let result = b.c64(address + 48);
                let old = b.atomic_rmw(ty, op, result, operand);
                b.store(ty, base, 0, old);
            });
            let (old_low, operand) = (old & ty.mask(), before[1] & ty.mask());
            let new = philae_ir::eval::eval_rmw(op, ty, old_low, operand);
            assert_eq!(operands.result, new | old & !ty.mask(), "{op:?} {ty:?}");
            assert_eq!(operands.values[0] & ty.mask(), old_low, "{op:?} {ty:?}");
        }
        for same in [false, true] {
            let (before, old) = try_region(&mut operands, &|b| {
                let base = b.c64(address);
                let result = b.c64(address + 48);
                let expected = if same { b.load(ty, result, 0) } else { b.load(ty, base, 16) };
                let new = b.load(ty, base, 32);
                let old = b.atomic_cas(ty, result, expected, new);
                b.store(ty, base, 0, old);
            });
            let swapped = before[2] & ty.mask() | old & !ty.mask();
            let hit = same || before[1] & ty.mask() == old & ty.mask();
            assert_eq!(operands.result, if hit { swapped } else { old }, "{ty:?} {same}");
            assert_eq!(operands.values[0] & ty.mask(), old & ty.mask(), "{ty:?} {same}");
        }
    }
}
