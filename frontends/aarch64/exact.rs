//! Floating point and saturation beyond [`Floats::Plain`]: every bit of FPCR honoured, and under [`Floats::Exact`] every
//! flag of FPSR raised.
//!
//! Bodies ask [`is_on`] and come here. Numbers are made by calls of [`super::softfloat`], which knows all modes. What
//! they raise is collected in a slot of its own and moved to FPSR after each call. The common operations try the host's
//! unit first (`guarded`): where its result is an ordinary number, the mode made no difference, and where inexactness
//! has been raised already and nothing is flushed, nothing new is to be raised.
//!
//! An operation and its lanes travel in one number, [`Shape`] and what the operation needs.

use super::flushing::{flushed_extreme, fused_has_flushed, has_flushed};
use super::half::Lanes;
use super::helpers::helpers;
use super::operand::{Lifted, Sign, v};
use super::simd::Form;
use super::simd_float::Fused;
use super::softfloat::{
    BRAIN, DOUBLE, Environment, Estimated, Exact, Extended, Extreme, FZ, Fixed, Format, HALF, IXC, Mode, SINGLE, Signal,
};
use super::word::Word;
use crate::lift::Lift;
use philae_ir::state::aarch64::{FLUSH, FPCR, FPSR, QC, RAISED, SATURATED, SPECIAL_FPCR, V};
use philae_ir::{CpuState, FloatCond, Floats, Helper, IntCond, NanRule, Op, Rounding, Sink, Ty, Value};

helpers! {
    /// An [`Operation`] of two operands, by lane.
    BINARY "a64_exact_binary" (3) -> V128, State, binary_lanes;
    /// An [`Operation`] of one operand, by lane.
    UNARY "a64_exact_unary" (2) -> V128, State, unary_lanes;
    /// d + n × m of scalars: half, single, double.
    FUSED_HALF_1 "a64_exact_fused_half_1" (3) -> V128, State, fused_by_lane::<16, 1>;
    /// As above.
    FUSED_SINGLE_1 "a64_exact_fused_single_1" (3) -> V128, State, fused_by_lane::<32, 1>;
    /// As above.
    FUSED_DOUBLE_1 "a64_exact_fused_double_1" (3) -> V128, State, fused_by_lane::<64, 1>;
    /// d + n × m of lanes.
    FUSED_HALF_4 "a64_exact_fused_half_4" (3) -> V128, State, fused_by_lane::<16, 4>;
    /// As above.
    FUSED_HALF_8 "a64_exact_fused_half_8" (3) -> V128, State, fused_by_lane::<16, 8>;
    /// As above.
    FUSED_SINGLE_2 "a64_exact_fused_single_2" (3) -> V128, State, fused_by_lane::<32, 2>;
    /// As above.
    FUSED_SINGLE_4 "a64_exact_fused_single_4" (3) -> V128, State, fused_by_lane::<32, 4>;
    /// As above.
    FUSED_DOUBLE_2 "a64_exact_fused_double_2" (3) -> V128, State, fused_by_lane::<64, 2>;
    /// d + n × m of singles, n and m being the low halves: two lanes.
    FUSED_LONG_2 "a64_exact_fused_long_2" (3) -> V128, State, fused_long::<2>;
    /// As above, four lanes.
    FUSED_LONG_4 "a64_exact_fused_long_4" (3) -> V128, State, fused_long::<4>;
    /// NZCV of a comparison: a, b, the shape with bit 63 for FCMPE and bit 62 for one that takes place.
    COMPARE "a64_exact_compare" (3) -> I32, State, compare_flags;
    /// Lanes of one format to another, from the bottom.
    CONVERT "a64_exact_convert" (2) -> V128, State, convert_lanes;
    /// FJCVTZS: the result, and Z in bit 32.
    JAVASCRIPT "a64_exact_javascript" (1) -> I64, State, |cpu, [a, ..]| {
        with(cpu, |e| u128::from(e.javascript(a as u64)))
    };
    /// What helpers have raised since the last call.
    TAKE_FLAGS "a64_exact_take_flags" (0) -> I32, State, |cpu, _| {
        let raised = cpu.get(RAISED);
        cpu.set(RAISED, 0);
        u128::from(raised)
    };
}

/// Whether FPCR has to be followed in full.
pub(super) fn is_on(l: &Lift<impl Sink>) -> bool {
    l.b.region().floats != Floats::Plain
}

/// Whether, of FPCR's special bits, only FZ has to be followed. The host's unit treats denormal numbers as zeroes then,
/// as the guest's does, but for results that are tiny before rounding and not after it, and where bits of operands are
/// looked at.
pub(super) fn flushes(l: &Lift<impl Sink>) -> bool {
    l.b.region().floats == Floats::Flushing
}

/// Whether more of FPCR has to be followed than the host's unit does.
pub(super) fn is_soft(l: &Lift<impl Sink>) -> bool {
    l.b.region().floats > Floats::Flushing
}

/// The bits of FPCR that code lifted as now does not follow.
pub(super) fn unfollowed(l: &Lift<impl Sink>) -> Option<u64> {
    match l.b.region().floats {
        Floats::Plain => Some(SPECIAL_FPCR),
        Floats::Flushing => Some(SPECIAL_FPCR & !FLUSH),
        Floats::Modes | Floats::Exact => None,
    }
}

/// Whether FPSR has to be followed.
pub(super) fn keeps_flags(l: &Lift<impl Sink>) -> bool {
    l.b.region().floats == Floats::Exact
}

/// Calls a helper of this file and adds to FPSR what it raises, unless flags are not kept.
pub(super) fn call(l: &mut Lift<impl Sink>, helper: &'static Helper, operands: &[Value]) -> Value {
    let result = l.b.call(helper, operands);
    if keeps_flags(l) || !is_on(l) {
        let raised = l.b.call(&TAKE_FLAGS, &[]);
        let status = l.b.get(Ty::I32, FPSR);
        let status = l.b.or(Ty::I32, status, raised);
        l.b.set(Ty::I32, FPSR, status);
    }
    result
}

/// The lanes that an instruction computes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Width of a lane.
    bits: u32,
    /// How many.
    lanes: u32,
}

impl Shape {
    /// A scalar of this width.
    pub(super) fn scalar(bits: u32) -> Shape {
        Shape { bits, lanes: 1 }
    }

    /// Lanes of this width, as many as `form` means.
    pub(super) fn of(form: Form, bits: u32) -> Shape {
        let lanes = match form {
            Form::Scalar => 1,
            Form::Half => 64 / bits,
            Form::Full => 128 / bits,
        };
        Shape { bits, lanes }
    }

    /// So many lanes of this width.
    pub(super) fn lanes(bits: u32, lanes: u32) -> Shape {
        Shape { bits, lanes }
    }

    /// How many lanes.
    pub(super) fn count(self) -> u32 {
        self.lanes
    }

    /// The width of a lane.
    pub(super) fn bits(self) -> u32 {
        self.bits
    }

    /// The scalar in ftype, bits 23:22, which is not the reserved one.
    pub(super) fn of_scalar(w: Word) -> Shape {
        Shape::scalar([32, 64, 0, 16][w.bits(23, 22) as usize])
    }

    /// AdvSIMD lanes of 32 or 64 bits, as bit 22 says.
    pub(super) fn of_vector(w: Word) -> Shape {
        Shape::of(Form::of(w), if w.is_set(22) { 64 } else { 32 })
    }

    /// AdvSIMD lanes of halves.
    pub(super) fn of_halves(w: Word) -> Shape {
        Shape::of(Form::of(w), 16)
    }

    fn pack(self) -> u64 {
        u64::from(self.bits) | u64::from(self.lanes) << 8
    }

    fn unpack(packed: u64) -> Shape {
        Shape { bits: packed as u32 & 0xff, lanes: (packed >> 8) as u32 & 0xff }
    }

    /// The format of a lane.
    pub(super) fn format(self) -> Format {
        Format::of(self.bits)
    }

    fn places(self) -> impl Iterator<Item = u32> {
        (0..self.lanes).map(move |lane| lane * self.bits)
    }

    /// The lanes of `value` that count.
    fn mask(self) -> u128 {
        u128::MAX >> (128 - self.bits * self.lanes)
    }
}

/// What is done with lanes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Operation {
    /// FADD.
    Add,
    /// FSUB.
    Sub,
    /// FMUL.
    Mul,
    /// FDIV.
    Div,
    /// FMAX.
    Max,
    /// FMIN.
    Min,
    /// FMAXNM.
    MaxNum,
    /// FMINNM.
    MinNum,
    /// FMULX.
    MulExtended,
    /// FRECPS.
    RecipStep,
    /// FRSQRTS.
    RsqrtStep,
    /// A comparison under the [`FloatCond`] that goes with it, to masks.
    Compare,
    /// FSQRT.
    Sqrt,
    /// FRINTN and its like, by [`Rounding`].
    Round,
    /// FRINTX.
    RoundExact,
    /// FRINT32Z, FRINT32X, by [`Rounding`].
    Round32,
    /// FRINT64Z, FRINT64X, by [`Rounding`].
    Round64,
    /// FRECPE.
    RecipEstimate,
    /// FRSQRTE.
    RsqrtEstimate,
    /// FRECPX.
    RecipExponent,
    /// To a signed integer of the lane's or another width, by [`Rounding`], with fraction bits.
    ToSigned,
    /// To an unsigned one.
    ToUnsigned,
    /// From a signed integer.
    FromSigned,
    /// From an unsigned one.
    FromUnsigned,
}

impl Operation {
    const ALL: [Operation; 24] = [
        Operation::Add,
        Operation::Sub,
        Operation::Mul,
        Operation::Div,
        Operation::Max,
        Operation::Min,
        Operation::MaxNum,
        Operation::MinNum,
        Operation::MulExtended,
        Operation::RecipStep,
        Operation::RsqrtStep,
        Operation::Compare,
        Operation::Sqrt,
        Operation::Round,
        Operation::RoundExact,
        Operation::Round32,
        Operation::Round64,
        Operation::RecipEstimate,
        Operation::RsqrtEstimate,
        Operation::RecipExponent,
        Operation::ToSigned,
        Operation::ToUnsigned,
        Operation::FromSigned,
        Operation::FromUnsigned,
    ];

    /// FRINT32Z and its like, to integers of so many bits.
    pub(super) fn round_within(bits: u32) -> Operation {
        if bits == 32 { Operation::Round32 } else { Operation::Round64 }
    }

    /// The operation that `op` is of numbers.
    pub(super) fn of(op: Op) -> Operation {
        match op {
            Op::Fadd => Operation::Add,
            Op::Fsub => Operation::Sub,
            Op::Fmul => Operation::Mul,
            Op::Fdiv => Operation::Div,
            Op::Fmax => Operation::Max,
            Op::Fmin => Operation::Min,
            Op::FmaxNum => Operation::MaxNum,
            Op::FminNum => Operation::MinNum,
            other => panic!("{other:?} is no arithmetic of two floats"),
        }
    }
}

/// An operation as a number: lanes, what it is, a rounding or condition, integer width, fraction bits.
fn describe(shape: Shape, operation: Operation, how: u8, width: u32, fraction: u32) -> u64 {
    shape.pack() | (operation as u64) << 16 | u64::from(how) << 24 | u64::from(width) << 32 | u64::from(fraction) << 40
}

fn raise(cpu: &mut CpuState, flags: u32) {
    let raised = cpu.get(RAISED) | u64::from(flags);
    cpu.set(RAISED, raised);
}

fn with<T>(cpu: &mut CpuState, f: impl FnOnce(&mut Environment) -> T) -> T {
    let mut environment = Environment::new(cpu.get(FPCR) as u32);
    let result = f(&mut environment);
    raise(cpu, environment.flags);
    result
}

/// `f` of the lanes of `shape`, of which the result's are `bits` wide.
fn by_lane(shape: Shape, bits: u32, mut f: impl FnMut(u32) -> u64) -> u128 {
    let lanes = shape.places().enumerate();
    lanes.fold(0, |all, (lane, place)| all | u128::from(f(place)) << (bits * lane as u32))
}

fn binary_lanes(cpu: &mut CpuState, [a, b, description]: [u128; 3]) -> u128 {
    let description = description as u64;
    let shape = Shape::unpack(description);
    let operation = Operation::ALL[(description >> 16) as usize & 0xff];
    let how = (description >> 24) as u8;
    let f = shape.format();
    with(cpu, |e| {
        by_lane(shape, shape.bits, |at| {
            binary(e, f, operation, how, (a >> at) as u64 & f.mask(), (b >> at) as u64 & f.mask())
        })
    })
}

fn binary(e: &mut Environment, f: Format, operation: Operation, how: u8, a: u64, b: u64) -> u64 {
    match operation {
        Operation::Add => e.add(f, a, b),
        Operation::Sub => e.sub(f, a, b),
        Operation::Mul => e.mul(f, a, b, Extended::No),
        Operation::Div => e.div(f, a, b),
        Operation::Max => e.extreme(f, a, b, Extreme::Max),
        Operation::Min => e.extreme(f, a, b, Extreme::Min),
        Operation::MaxNum => e.extreme_number(f, a, b, Extreme::Max),
        Operation::MinNum => e.extreme_number(f, a, b, Extreme::Min),
        Operation::MulExtended => e.mul(f, a, b, Extended::Yes),
        Operation::RecipStep => e.step(f, a, b, Estimated::Reciprocal),
        Operation::RsqrtStep => e.step(f, a, b, Estimated::Root),
        Operation::Compare if e.holds(f, a, b, FloatCond::from_aux(how)) => f.mask(),
        Operation::Compare => 0,
        other => panic!("{other:?} does not take two operands"),
    }
}

fn unary_lanes(cpu: &mut CpuState, [a, description, _]: [u128; 3]) -> u128 {
    let description = description as u64;
    let shape = Shape::unpack(description);
    let operation = Operation::ALL[(description >> 16) as usize & 0xff];
    let how = (description >> 24) as u8;
    let (bits, fraction) = ((description >> 32) as u32 & 0xff, (description >> 40) as u32 & 0xff);
    let from_integer = matches!(operation, Operation::FromSigned | Operation::FromUnsigned);
    // Integers may be of another width only where there is one lane.
    let result_bits = if from_integer { shape.bits } else { bits };
    let mask = u64::MAX >> (64 - if from_integer { bits } else { shape.bits });
    let f = shape.format();
    with(cpu, |e| {
        by_lane(shape, result_bits, |at| unary(e, f, operation, how, (bits, fraction), (a >> at) as u64 & mask))
    })
}

fn unary(e: &mut Environment, f: Format, operation: Operation, how: u8, (bits, fraction): (u32, u32), a: u64) -> u64 {
    let mode = |e: &Environment| e.named(Rounding::from_aux(how));
    let fixed = |signed| Fixed { bits, fraction, signed };
    match operation {
        Operation::Sqrt => e.sqrt(f, a),
        Operation::Round => e.round_integral(f, a, mode(e), Exact::No),
        Operation::RoundExact => e.round_integral(f, a, mode(e), Exact::Yes),
        Operation::Round32 => e.round_within(f, a, mode(e), 32),
        Operation::Round64 => e.round_within(f, a, mode(e), 64),
        Operation::RecipEstimate => e.recip_estimate(f, a),
        Operation::RsqrtEstimate => e.rsqrt_estimate(f, a),
        Operation::RecipExponent => e.recip_exponent(f, a),
        Operation::ToSigned => e.fix(f, a, mode(e), fixed(true)),
        Operation::ToUnsigned => e.fix(f, a, mode(e), fixed(false)),
        Operation::FromSigned => e.float(f, a, fixed(true)),
        Operation::FromUnsigned => e.float(f, a, fixed(false)),
        other => panic!("{other:?} does not take one operand"),
    }
}

fn fused_by_lane<const BITS: u32, const LANES: u32>(cpu: &mut CpuState, operands: [u128; 3]) -> u128 {
    let shape = Shape { bits: BITS, lanes: LANES };
    let f = shape.format();
    with(cpu, |e| {
        by_lane(shape, BITS, |at| {
            let [d, n, m] = operands.map(|v| (v >> at) as u64 & f.mask());
            e.mul_add(f, d, n, m)
        })
    })
}

fn fused_long<const LANES: u32>(cpu: &mut CpuState, [d, n, m]: [u128; 3]) -> u128 {
    with(cpu, |e| {
        by_lane(Shape { bits: 32, lanes: LANES }, 32, |at| {
            let half = |v: u128| (v >> (at / 2)) as u64 & 0xffff;
            e.mul_add_halves((d >> at) as u64 & SINGLE.mask(), half(n), half(m))
        })
    })
}

/// NZCV of less, equal, greater, unordered (Arm ARM, FPCompare).
const RELATIONS: [u128; 4] = [0b1000, 0b0110, 0b0010, 0b0011];
const SIGNALS: u64 = 1 << 63;
const TAKES_PLACE: u64 = 1 << 62;

fn compare_flags(cpu: &mut CpuState, [a, b, description]: [u128; 3]) -> u128 {
    let description = description as u64;
    if description & TAKES_PLACE == 0 {
        return 0;
    }
    let f = Shape::unpack(description).format();
    let signal = if description & SIGNALS != 0 { Signal::AllNans } else { Signal::SignallingNans };
    with(cpu, |e| RELATIONS[e.relation(f, a as u64 & f.mask(), b as u64 & f.mask(), signal)])
}

/// The format in two bits of a conversion's number.
fn conversion_format(code: u64) -> Format {
    [HALF, SINGLE, DOUBLE, BRAIN][code as usize & 3]
}

fn convert_lanes(cpu: &mut CpuState, [a, description, _]: [u128; 3]) -> u128 {
    let description = description as u64;
    let (from, to) = (conversion_format(description), conversion_format(description >> 2));
    let shape = Shape { bits: from.bits, lanes: (description >> 8) as u32 };
    with(cpu, |e| {
        let mode = if description >> 4 & 1 == 1 { Mode::Odd } else { e.mode() };
        by_lane(shape, to.bits, |at| e.convert(from, to, (a >> at) as u64 & from.mask(), mode))
    })
}

/// A register whole.
pub(super) fn whole(l: &mut Lift<impl Sink>, n: usize) -> Value {
    v(l, Ty::V128, n)
}

/// Writes the lanes of `shape` to Vd; what is above becomes zero.
pub(super) fn write(w: Word, l: &mut Lift<impl Sink>, shape: Shape, value: Value) -> Lifted {
    set_lanes(w, l, shape, value);
    Ok(())
}

fn set_lanes(w: Word, l: &mut Lift<impl Sink>, shape: Shape, value: Value) {
    let bits = shape.bits * shape.lanes;
    if bits == 128 {
        l.b.set(Ty::V128, V[w.rd()], value);
    } else {
        let low = integer(l, bits, value);
        l.b.set(Ty::int(bits), V[w.rd()], low);
    }
}

/// The lowest bits of a vector as an integer.
pub(super) fn integer(l: &mut Lift<impl Sink>, bits: u32, value: Value) -> Value {
    let low = l.b.low(Ty::V128, value);
    if bits == 64 { low } else { l.b.trunc(Ty::int(bits), low) }
}

/// The lanes of `operation`, of two operands; `how` is the condition of a comparison.
pub(super) fn two(l: &mut Lift<impl Sink>, shape: Shape, operation: Operation, how: u8, n: Value, m: Value) -> Value {
    let description = l.b.c64(describe(shape, operation, how, shape.bits, 0));
    call(l, &BINARY, &[n, m, description])
}

/// The type in which the host's unit has the lanes; `None` for halves.
fn native_type(shape: Shape) -> Option<Ty> {
    match (shape.bits, shape.lanes) {
        (32, 1) => Some(Ty::F32),
        (32, _) => Some(Ty::F32X4),
        (64, 1) => Some(Ty::F64),
        (64, _) => Some(Ty::F64X2),
        _ => None,
    }
}

/// What keeps a lane from being an ordinary number: its sign aside, a place from the smallest normal number down, or
/// from the largest up, which may stand for more. Zero is ordinary where it is exact.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Zeroes {
    /// A sum's: exact.
    Exact,
    /// Others may be all that is left of a product.
    Unclear,
}

fn are_ordinary(l: &mut Lift<impl Sink>, shape: Shape, zeroes: Zeroes, value: Value) -> Value {
    let f = shape.format();
    let (smallest, largest) = (1 << f.fraction_bits(), f.infinity_bits() - 1);
    if shape.lanes == 1 {
        let ty = Ty::int(shape.bits);
        let bits = l.b.bitcast(ty, value);
        let magnitude = l.b.and_imm(ty, bits, f.sign() - 1);
        let above = l.b.add_imm(ty, magnitude, (smallest + 1u64).wrapping_neg() & f.mask());
        let ordinary = l.b.icmp_imm(ty, IntCond::Ult, above, largest - smallest - 1);
        return if zeroes == Zeroes::Exact {
            let zero = l.b.icmp_imm(ty, IntCond::Eq, magnitude, 0);
            l.b.or(Ty::I8, ordinary, zero)
        } else {
            ordinary
        };
    }
    let ty = Ty::int_vector(shape.bits);
    let [magnitudes, smallest, largest] =
        [f.sign() - 1, smallest, largest].map(|lane| super::simd::splat(&mut l.b, ty, lane));
    let magnitude = l.b.and(Ty::V128, value, magnitudes);
    let above = l.b.icmp(ty, IntCond::Slt, smallest, magnitude);
    let below = l.b.icmp(ty, IntCond::Slt, magnitude, largest);
    let mut ordinary = l.b.and(Ty::V128, above, below);
    if zeroes == Zeroes::Exact {
        let zero = super::simd::zero(&mut l.b);
        let zero = l.b.icmp(ty, IntCond::Eq, magnitude, zero);
        ordinary = l.b.or(Ty::V128, ordinary, zero);
    }
    all_lanes(l, shape, ty, ordinary)
}

/// Whether a mask of the lanes is set in all that count.
fn all_lanes(l: &mut Lift<impl Sink>, shape: Shape, ty: Ty, mask: Value) -> Value {
    let all = (1 << shape.lanes) - 1;
    let set = l.b.lane_mask(ty, mask);
    let set = if shape.lanes == ty.lanes() { set } else { l.b.and_imm(Ty::I32, set, all) };
    l.b.icmp_imm(Ty::I32, IntCond::Eq, set, all)
}

/// Whether FPCR.FZ is clear: 1 where it is.
fn keeps_denormals(l: &mut Lift<impl Sink>) -> Value {
    let control = l.b.get(Ty::I32, FPCR);
    let flushes = l.b.and_imm(Ty::I32, control, u64::from(FZ));
    l.b.icmp_imm(Ty::I32, IntCond::Eq, flushes, 0)
}

/// `ordinary`, and where flags are kept also: that inexactness would not be news, and nothing is flushed.
fn raises_nothing(l: &mut Lift<impl Sink>, ordinary: Value) -> Value {
    if !keeps_flags(l) {
        return ordinary;
    }
    let status = l.b.get(Ty::I32, FPSR);
    let inexact = l.b.and_imm(Ty::I32, status, u64::from(IXC));
    let control = l.b.get(Ty::I32, FPCR);
    let flushes = l.b.lshr_imm(Ty::I32, control, u64::from(FZ.ilog2() - IXC.ilog2()));
    let free = l.b.and_not(Ty::I32, inexact, flushes);
    let free = l.b.icmp_imm(Ty::I32, IntCond::Ne, free, 0);
    l.b.and(Ty::I8, ordinary, free)
}

/// Goes one of two ways and on from both.
pub(super) fn either<S: Sink>(
    l: &mut Lift<S>,
    cond: Value,
    then: impl FnOnce(&mut Lift<S>),
    other: impl FnOnce(&mut Lift<S>),
) {
    let [yes, no, join] = [(); 3].map(|()| l.b.new_block());
    l.b.branch(cond, yes, no);
    l.b.switch_to(yes);
    then(l);
    l.b.jump(join);
    l.b.switch_to(no);
    other(l);
    l.b.jump(join);
    l.b.switch_to(join);
}

/// Vd = `native`, of the host's unit, where that is an ordinary number, else `exact`.
fn guarded<S: Sink>(
    w: Word,
    l: &mut Lift<S>,
    shape: Shape,
    (zeroes, native): (Zeroes, Value),
    exact: impl FnOnce(&mut Lift<S>) -> Value,
) -> Lifted {
    let ordinary = are_ordinary(l, shape, zeroes, native);
    let fast = raises_nothing(l, ordinary);
    choose(w, l, shape, (fast, native), exact);
    Ok(())
}

/// Vd = `native`, of the host's unit, if `fast`, else `exact`.
fn choose<S: Sink>(
    w: Word,
    l: &mut Lift<S>,
    shape: Shape,
    (fast, native): (Value, Value),
    exact: impl FnOnce(&mut Lift<S>) -> Value,
) {
    let write_native = |l: &mut Lift<S>| match (shape.lanes, shape.bits * shape.lanes) {
        (1, _) | (_, 128) => l.b.set(l.b.ty(native), V[w.rd()], native),
        _ => {
            let low = l.b.low(Ty::V128, native);
            l.b.set(Ty::I64, V[w.rd()], low);
        }
    };
    let write_exact = |l: &mut Lift<S>| {
        let value = exact(l);
        set_lanes(w, l, shape, value);
    };
    either(l, fast, write_native, write_exact);
}

/// Vd = `native`, of the host's unit, where that has flushed what the guest's does, else `exact`.
fn flushed<S: Sink>(
    w: Word,
    l: &mut Lift<S>,
    shape: Shape,
    native: Value,
    exact: impl FnOnce(&mut Lift<S>) -> Value,
) -> Lifted {
    let fast = has_flushed(l, shape, native);
    choose(w, l, shape, (fast, native), exact);
    Ok(())
}

/// The operation of the host's unit, and what a zero that it makes means.
fn native_binary(operation: Operation) -> Option<(Op, Zeroes)> {
    match operation {
        Operation::Add => Some((Op::Fadd, Zeroes::Exact)),
        Operation::Sub => Some((Op::Fsub, Zeroes::Exact)),
        Operation::Mul => Some((Op::Fmul, Zeroes::Unclear)),
        Operation::Div => Some((Op::Fdiv, Zeroes::Unclear)),
        _ => None,
    }
}

/// As [`native_binary`], where denormals are flushed. Of numbers, both kinds of extremes are the same.
fn flushing_binary(operation: Operation) -> Option<(Op, Zeroes)> {
    match operation {
        Operation::Max | Operation::MaxNum => Some((Op::Fmax, Zeroes::Unclear)),
        Operation::Min | Operation::MinNum => Some((Op::Fmin, Zeroes::Unclear)),
        other => native_binary(other),
    }
}

/// A vector's lowest lane where the lanes are one, else all of it.
fn operand(l: &mut Lift<impl Sink>, ty: Ty, value: Value) -> Value {
    let vector = if ty.lane() == Ty::F64 { Ty::F64X2 } else { Ty::F32X4 };
    if ty.is_vector() { value } else { l.b.extract_lane(vector, value, 0) }
}

/// Vd = operation(n, m).
pub(super) fn binary_of<S: Sink>(
    w: Word,
    l: &mut Lift<S>,
    shape: Shape,
    operation: Operation,
    n: Value,
    m: Value,
) -> Lifted {
    let slow = move |l: &mut Lift<S>| two(l, shape, operation, 0, n, m);
    let known = if flushes(l) { flushing_binary(operation) } else { native_binary(operation) };
    let Some((ty, (op, zeroes))) = native_type(shape).zip(known) else {
        let value = slow(l);
        return write(w, l, shape, value);
    };
    let [a, b] = [n, m].map(|value| operand(l, ty, value));
    if flushes(l) {
        if matches!(op, Op::Fmax | Op::Fmin) {
            let (fast, native) = flushed_extreme(l, ty, op, [a, b]);
            choose(w, l, shape, (fast, native), slow);
            return Ok(());
        }
        let native = l.b.float2(op, ty, NanRule::Arm, a, b);
        return flushed(w, l, shape, native, slow);
    }
    let native = l.b.float2(op, ty, NanRule::X86, a, b);
    guarded(w, l, shape, (zeroes, native), slow)
}

/// FNMUL: Vd = −(n × m), of scalars.
pub(super) fn negated_product<S: Sink>(w: Word, l: &mut Lift<S>, shape: Shape, n: Value, m: Value) -> Lifted {
    let slow = move |l: &mut Lift<S>| {
        let product = two(l, shape, Operation::Mul, 0, n, m);
        negated(l, shape.bits, product)
    };
    let Some(ty) = native_type(shape).filter(|_| flushes(l)) else {
        let value = slow(l);
        return write(w, l, shape, value);
    };
    let [a, b] = [n, m].map(|value| operand(l, ty, value));
    let product = l.b.float2(Op::Fmul, ty, NanRule::Arm, a, b);
    let native = l.b.fneg(ty, product);
    flushed(w, l, shape, native, slow)
}

/// Vd = operation(Vn, Vm).
pub(super) fn sources(w: Word, l: &mut Lift<impl Sink>, shape: Shape, operation: Operation) -> Lifted {
    let (n, m) = (whole(l, w.rn()), whole(l, w.rm()));
    binary_of(w, l, shape, operation, n, m)
}

/// FSQRT.
pub(super) fn root(w: Word, l: &mut Lift<impl Sink>, shape: Shape) -> Lifted {
    let Some(ty) = native_type(shape) else { return source(w, l, shape, Operation::Sqrt) };
    let n = whole(l, w.rn());
    let a = operand(l, ty, n);
    let native = l.b.fsqrt(ty, NanRule::X86, a);
    let description = describe(shape, Operation::Sqrt, 0, shape.bits, 0);
    guarded(w, l, shape, (Zeroes::Unclear, native), |l| one(l, description, n))
}

/// Vd = d + n × m.
pub(super) fn fused<S: Sink>(w: Word, l: &mut Lift<S>, shape: Shape, [d, n, m]: [Value; 3]) -> Lifted {
    let slow = move |l: &mut Lift<S>| fused_value(l, shape, d, n, m);
    let Some(ty) = native_type(shape) else {
        let value = slow(l);
        return write(w, l, shape, value);
    };
    let [c, a, b] = [d, n, m].map(|value| operand(l, ty, value));
    if flushes(l) {
        let native = l.b.fmul_add(ty, NanRule::Arm, a, b, c);
        let fast = fused_has_flushed(l, shape, ty, native);
        choose(w, l, shape, (fast, native), slow);
        return Ok(());
    }
    let native = l.b.fmul_add(ty, NanRule::X86, a, b, c);
    guarded(w, l, shape, (Zeroes::Unclear, native), slow)
}

/// Vd = a scalar in another format, single or double.
pub(super) fn convert_scalar<S: Sink>(w: Word, l: &mut Lift<S>, (from, to): (Format, Format)) -> Lifted {
    let n = whole(l, w.rn());
    let shape = Shape::scalar(to.bits);
    let slow = move |l: &mut Lift<S>| convert(l, (from, to), 1, Narrowed::Rounded, n);
    let native = match (from, to) {
        (SINGLE, DOUBLE) => {
            let a = operand(l, Ty::F32, n);
            l.b.fpromote(Ty::F64, a)
        }
        (DOUBLE, SINGLE) => {
            let a = operand(l, Ty::F64, n);
            l.b.fdemote(Ty::F32, a)
        }
        _ => {
            let value = slow(l);
            return write(w, l, shape, value);
        }
    };
    if flushes(l) {
        return flushed(w, l, shape, native, slow);
    }
    guarded(w, l, shape, (Zeroes::Unclear, native), slow)
}

/// Whether comparing scalars raises nothing, by the host's unit: 1 where no NaN is among them and nothing is flushed.
pub(super) fn compares_quietly(l: &mut Lift<impl Sink>, ty: Ty, a: Value, b: Value) -> Value {
    let unordered = l.b.fcmp(ty, FloatCond::Un, a, b);
    let one = l.b.iconst(Ty::I8, 1);
    let ordered = l.b.xor(Ty::I8, unordered, one);
    if !keeps_flags(l) {
        return ordered;
    }
    let keeps = keeps_denormals(l);
    l.b.and(Ty::I8, ordered, keeps)
}

/// Whether an integer that the host's unit made of the float `from`, saturating, is neither the smallest nor the
/// largest, nor what a NaN gives.
pub(super) fn fits(l: &mut Lift<impl Sink>, (ty, sign, value): (Ty, Sign, Value), (float, from): (Ty, Value)) -> Value {
    let smallest = if sign == Sign::Signed { 1u64 << (ty.bits() - 1) } else { 0 };
    let up = l.b.add_imm(ty, value, (smallest + 1).wrapping_neg() & ty.mask() as u64);
    let fits = l.b.icmp_imm(ty, IntCond::Ult, up, ty.mask() as u64 - 1);
    let number = l.b.fcmp(float, FloatCond::Eq, from, from);
    let fits = l.b.and(Ty::I8, fits, number);
    raises_nothing(l, fits)
}

/// The lanes of `operation`, of one operand: `how` is a rounding, `width` and `fraction` an integer's.
fn one(l: &mut Lift<impl Sink>, description: u64, n: Value) -> Value {
    let description = l.b.c64(description);
    call(l, &UNARY, &[n, description])
}

/// Vd = operation(Vn).
pub(super) fn source(w: Word, l: &mut Lift<impl Sink>, shape: Shape, operation: Operation) -> Lifted {
    rounded(w, l, shape, operation, Rounding::Current)
}

/// As [`source`], which nothing keeps from being lifted.
pub(super) fn source_lanes(w: Word, l: &mut Lift<impl Sink>, shape: Shape, operation: Operation) {
    let n = whole(l, w.rn());
    let result = one(l, describe(shape, operation, Rounding::Current as u8, shape.bits, 0), n);
    set_lanes(w, l, shape, result);
}

/// Vd = operation(Vn) with a rounding.
pub(super) fn rounded(
    w: Word,
    l: &mut Lift<impl Sink>,
    shape: Shape,
    operation: Operation,
    rounding: Rounding,
) -> Lifted {
    let n = whole(l, w.rn());
    let result = one(l, describe(shape, operation, rounding as u8, shape.bits, 0), n);
    write(w, l, shape, result)
}

/// Lanes of `n` as integers of `width` bits with `fraction` bits behind the point.
pub(super) fn to_fixed(
    l: &mut Lift<impl Sink>,
    shape: Shape,
    sign: Sign,
    rounding: Rounding,
    (width, fraction): (u32, u32),
    n: Value,
) -> Value {
    let operation = if sign == Sign::Signed { Operation::ToSigned } else { Operation::ToUnsigned };
    one(l, describe(shape, operation, rounding as u8, width, fraction), n)
}

/// Vd = the lanes of Vn as integers of their width with `fraction` bits behind the point.
pub(super) fn lanes_to_fixed(
    w: Word,
    l: &mut Lift<impl Sink>,
    shape: Shape,
    sign: Sign,
    rounding: Rounding,
    fraction: u32,
) -> Lifted {
    let n = whole(l, w.rn());
    let result = to_fixed(l, shape, sign, rounding, (shape.bits, fraction), n);
    write(w, l, shape, result)
}

/// Vd = the integers `n`, of `width` bits with `fraction` bits behind the point, as floats.
pub(super) fn from_fixed(
    w: Word,
    l: &mut Lift<impl Sink>,
    shape: Shape,
    sign: Sign,
    (width, fraction): (u32, u32),
    n: Value,
) -> Lifted {
    let operation = if sign == Sign::Signed { Operation::FromSigned } else { Operation::FromUnsigned };
    let result = one(l, describe(shape, operation, 0, width, fraction), n);
    write(w, l, shape, result)
}

/// Vd = the integers in the lanes of Vn as floats.
pub(super) fn lanes_from_fixed(w: Word, l: &mut Lift<impl Sink>, shape: Shape, sign: Sign, fraction: u32) -> Lifted {
    let n = whole(l, w.rn());
    from_fixed(w, l, shape, sign, (shape.bits, fraction), n)
}

/// d + n × m, by lane.
pub(super) fn fused_value(l: &mut Lift<impl Sink>, shape: Shape, d: Value, n: Value, m: Value) -> Value {
    let helper = match (shape.bits, shape.lanes) {
        (16, 1) => &FUSED_HALF_1,
        (16, 4) => &FUSED_HALF_4,
        (16, _) => &FUSED_HALF_8,
        (32, 1) => &FUSED_SINGLE_1,
        (32, 2) => &FUSED_SINGLE_2,
        (32, _) => &FUSED_SINGLE_4,
        (_, 1) => &FUSED_DOUBLE_1,
        _ => &FUSED_DOUBLE_2,
    };
    call(l, helper, &[d, n, m])
}

/// Vd += n × m, or −n × m.
pub(super) fn fused_lanes(w: Word, l: &mut Lift<impl Sink>, shape: Shape, kind: Fused, n: Value, m: Value) -> Lifted {
    let n = if kind == Fused::Sub { negated(l, shape.bits, n) } else { n };
    let d = whole(l, w.rd());
    fused(w, l, shape, [d, n, m])
}

/// Vd += n × m, or −n × m, where n and m are the low halves of lanes of singles.
pub(super) fn fused_long_lanes(w: Word, l: &mut Lift<impl Sink>, kind: Fused, n: Value, m: Value) -> Lifted {
    let n = if kind == Fused::Sub { negated(l, 16, n) } else { n };
    let d = whole(l, w.rd());
    let full = w.is_set(30);
    let helper = if full { &FUSED_LONG_4 } else { &FUSED_LONG_2 };
    let result = call(l, helper, &[d, n, m]);
    write(w, l, Shape { bits: 32, lanes: if full { 4 } else { 2 } }, result)
}

/// All lanes with the other sign.
pub(super) fn negated(l: &mut Lift<impl Sink>, bits: u32, value: Value) -> Value {
    let signs = signs(l, bits);
    l.b.xor(Ty::V128, value, signs)
}

/// All lanes without their sign.
pub(super) fn absolute(l: &mut Lift<impl Sink>, bits: u32, value: Value) -> Value {
    let signs = signs(l, bits);
    l.b.and_not(Ty::V128, value, signs)
}

fn signs(l: &mut Lift<impl Sink>, bits: u32) -> Value {
    super::simd::splat(&mut l.b, Ty::int_vector(bits), 1 << (bits - 1))
}

/// NZCV, as an `i32`, of a comparison of scalars: by FCMPE if bit 4 is set; `takes_place` may say that there is none.
pub(super) fn compare(w: Word, l: &mut Lift<impl Sink>, n: Value, m: Value, takes_place: Option<Value>) -> Value {
    let signals = if w.is_set(4) { SIGNALS } else { 0 };
    let description = Shape::of_scalar(w).pack() | signals;
    let description = match takes_place {
        None => l.b.c64(description | TAKES_PLACE),
        Some(condition) => {
            let wide = l.b.zext(Ty::I64, condition);
            let place = l.b.shl_imm(Ty::I64, wide, 62);
            let description = l.b.c64(description);
            l.b.or(Ty::I64, place, description)
        }
    };
    call(l, &COMPARE, &[n, m, description])
}

/// How lanes are rounded to a narrower format.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Narrowed {
    /// As FPCR says.
    Rounded,
    /// To odd.
    ToOdd,
}

/// So many lowest lanes of one format as lanes of another.
pub(super) fn convert(
    l: &mut Lift<impl Sink>,
    (from, to): (Format, Format),
    lanes: u64,
    how: Narrowed,
    n: Value,
) -> Value {
    let code = |format: Format| (0..4).find(|&code| conversion_format(code) == format).expect("one of four");
    let odd = u64::from(how == Narrowed::ToOdd) << 4;
    let description = l.b.c64(code(from) | code(to) << 2 | odd | lanes << 8);
    call(l, &CONVERT, &[n, description])
}

/// Raises QC where the lanes of `form` of `difference` are not all zero. This costs little, and is done whatever is
/// kept of the rest of FPSR.
pub(super) fn saturated(l: &mut Lift<impl Sink>, form: Form, ty: Ty, difference: Value) {
    let mask = Shape::of(form, ty.lane().bits()).mask();
    let counted = if mask == u128::MAX {
        difference
    } else {
        let mask = l.b.wide_const(Ty::V128, mask);
        l.b.and(Ty::V128, difference, mask)
    };
    raise_saturation(l, counted);
}

fn raise_saturation(l: &mut Lift<impl Sink>, difference: Value) {
    let before = l.b.get(Ty::V128, SATURATED);
    let both = l.b.or(Ty::V128, before, difference);
    l.b.set(Ty::V128, SATURATED, both);
}

/// FPSR, where its flags are kept.
pub(super) fn status(l: &mut Lift<impl Sink>) -> Value {
    let word = l.b.get(Ty::I32, FPSR);
    let saturated = l.b.get(Ty::V128, SATURATED);
    let (low, high) = (l.b.low(Ty::V128, saturated), l.b.high(Ty::V128, saturated));
    let any = l.b.or(Ty::I64, low, high);
    let any = l.b.icmp_imm(Ty::I64, IntCond::Ne, any, 0);
    let any = l.b.zext(Ty::I32, any);
    let raised = l.b.shl_imm(Ty::I32, any, u64::from(QC.trailing_zeros()));
    l.b.or(Ty::I32, word, raised)
}

/// Writes FPSR, where its flags are kept.
pub(super) fn set_status(l: &mut Lift<impl Sink>, word: Value) {
    l.b.set(Ty::I32, FPSR, word);
    let none = l.b.wide_const(Ty::V128, 0);
    l.b.set(Ty::V128, SATURATED, none);
}

/// The halves that FMLAL reads, at the bottom.
pub(super) fn halves(w: Word, l: &mut Lift<impl Sink>, lanes: Lanes, value: Value) -> Value {
    let first = match (lanes, w.is_set(30)) {
        (Lanes::First, _) => return value,
        (Lanes::Second, true) => 4,
        (Lanes::Second, false) => 2,
    };
    l.b.shuffle(value, value, super::simd::lane_mask(2, |i| (first + i) % 8))
}
