//! AdvSIMD floating point, lane by lane and pairwise, with the scalar forms of the same encodings.

use super::exact::{self, Narrowed, Operation, Shape};
use super::float::{convert_to, power_of_two, round_to};
use super::flushing::has_flushed;
use super::half;
use super::half_lanes::{self, Small};
use super::operand::{Lifted, Sign, require, set_v, v};
use super::simd::{
    Form, counted, counted_sources, float, float_lanes, lane_mask, sources, splat, write, write_narrow, zero,
};
use super::simd_arith::neighbours_of_sources;
use super::simd_wide::{element, scalar_element};
use super::softfloat::{DOUBLE, HALF, SINGLE};
use super::word::Word;
use crate::lift::{Lift, LiftError};
use philae_ir::{Builder, FloatCond, IntCond, NanRule, Op, Rounding, Sink, Ty, Value};

/// Whether the host's unit does not follow FPCR for `op` of lanes.
fn needs_more(l: &Lift<impl Sink>, op: Op) -> bool {
    exact::is_soft(l) || exact::is_on(l) && !matches!(op, Op::Fadd | Op::Fsub)
}

/// Vd = op(Vn, Vm): FADD, FSUB, FMUL, FDIV, FMAX, FMIN, FMAXNM, FMINNM.
pub(super) fn binary(w: Word, l: &mut Lift<impl Sink>, op: Op) -> Lifted {
    let (form, ty) = float(w)?;
    if needs_more(l, op) {
        return exact::sources(w, l, Shape::of_vector(w), Operation::of(op));
    }
    let (n, m) = counted_sources(w, l, form, ty);
    let result = l.b.float2(op, ty, NanRule::Arm, n, m);
    write(w, l, form, ty, result);
    Ok(())
}

/// FABD.
pub(super) fn fabd(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (form, ty) = float(w)?;
    if exact::is_soft(l) {
        return absolute_difference_exactly(w, l, Shape::of_vector(w));
    }
    let (n, m) = counted_sources(w, l, form, ty);
    let difference = l.b.float2(Op::Fsub, ty, NanRule::Arm, n, m);
    let result = l.b.fabs(ty, difference);
    write(w, l, form, ty, result);
    Ok(())
}

pub(super) fn absolute_difference_exactly(w: Word, l: &mut Lift<impl Sink>, shape: Shape) -> Lifted {
    let (n, m) = sources(w, l, Ty::V128);
    let difference = exact::two(l, shape, Operation::Sub, 0, n, m);
    let result = exact::absolute(l, shape.bits(), difference);
    exact::write(w, l, shape, result)
}

/// The bits of a float lane but its sign; of its infinity; of 2.0.
fn lane_bits(ty: Ty) -> [u64; 3] {
    let double = ty.lane() == Ty::F64;
    let (magnitude, infinity) = if double { (u64::MAX >> 1, 0x7ff << 52) } else { (0x7fff_ffff, 0xff << 23) };
    [magnitude, infinity, power_of_two(ty, 1)]
}

/// A mask of the lanes where one factor is zero and the other infinite.
pub(super) fn zero_times_infinity(b: &mut Builder<impl Sink>, ty: Ty, n: Value, m: Value) -> Value {
    let [magnitude, infinity, _] = lane_bits(ty);
    let lanes = ty.as_int();
    let magnitude = splat(b, lanes, magnitude);
    let infinity = splat(b, lanes, infinity);
    let zero = zero(b);
    let [(n_zero, n_infinite), (m_zero, m_infinite)] = [n, m].map(|factor| {
        let size = b.and(Ty::V128, factor, magnitude);
        (b.icmp(lanes, IntCond::Eq, size, zero), b.icmp(lanes, IntCond::Eq, size, infinity))
    });
    let one = b.and(Ty::V128, n_zero, m_infinite);
    let other = b.and(Ty::V128, n_infinite, m_zero);
    b.or(Ty::V128, one, other)
}

/// FMULX of lanes: a product, but 0 × ∞ is 2 with the sign of the product.
pub(super) fn multiply_extended(b: &mut Builder<impl Sink>, ty: Ty, n: Value, m: Value) -> Value {
    let [magnitude, _, two] = lane_bits(ty);
    let special = zero_times_infinity(b, ty, n, m);
    let signs = b.xor(Ty::V128, n, m);
    let [n, m] = [n, m].map(|factor| b.and_not(Ty::V128, factor, special));
    let product = b.float2(Op::Fmul, ty, NanRule::Arm, n, m);
    let magnitude = splat(b, ty, magnitude);
    let sign = b.and_not(Ty::V128, signs, magnitude);
    let two = splat(b, ty, two);
    let two = b.or(Ty::V128, two, sign);
    b.bit_select(special, two, product)
}

/// FMULX.
pub(super) fn fmulx(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (form, ty) = float_lanes(w)?;
    if exact::is_on(l) {
        return exact::sources(w, l, Shape::of_vector(w), Operation::MulExtended);
    }
    let (n, m) = counted_sources(w, l, form, ty);
    let result = multiply_extended(&mut l.b, ty, n, m);
    write(w, l, form, ty, result);
    Ok(())
}

/// FRECPS: 2 − n × m, rounded once; 0 × ∞ counts as 0.
pub(super) fn frecps(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (form, ty) = float_lanes(w)?;
    if exact::is_on(l) {
        return exact::sources(w, l, Shape::of_vector(w), Operation::RecipStep);
    }
    let (n, m) = counted_sources(w, l, form, ty);
    let [_, _, two] = lane_bits(ty);
    let special = zero_times_infinity(&mut l.b, ty, n, m);
    let [n, m] = [n, m].map(|factor| l.b.and_not(Ty::V128, factor, special));
    let two = splat(&mut l.b, ty, two);
    let n = l.b.fneg(ty, n);
    let result = l.b.fmul_add(ty, NanRule::Arm, n, m, two);
    write(w, l, form, ty, result);
    Ok(())
}

/// (3 − n × m) / 2, rounded once; 0 × ∞ counts as 0. Where n is not below 1, it is halved first, and the constant: the
/// product may be twice what the format holds. Where it is, the difference is halved, which is exact.
fn rsqrt_step(b: &mut Builder<impl Sink>, ty: Ty, n: Value, m: Value) -> Value {
    let [one_and_a_half, three] = if ty == Ty::F64X2 {
        [1.5f64.to_bits(), 3f64.to_bits()]
    } else {
        [u64::from(1.5f32.to_bits()), u64::from(3f32.to_bits())]
    };
    let [half, one, one_and_a_half, three] =
        [power_of_two(ty, -1), power_of_two(ty, 0), one_and_a_half, three].map(|bits| splat(b, ty, bits));
    let special = zero_times_infinity(b, ty, n, m);
    let [n, m] = [n, m].map(|factor| b.and_not(Ty::V128, factor, special));
    let n = b.fneg(ty, n);
    // Of NaNs, too, though they do not compare.
    let size = b.fabs(ty, n);
    let small = b.icmp(ty.as_int(), IntCond::Sgt, one, size);
    let first = b.bit_select(small, one, half);
    let last = b.bit_select(small, half, one);
    let constant = b.bit_select(small, three, one_and_a_half);
    let keeping = NanRule::X86;
    let scaled = b.float2(Op::Fmul, ty, keeping, n, first);
    // A signalling NaN stays one: the sum chooses among NaNs.
    let number = b.fcmp(ty, FloatCond::Eq, n, n);
    let n = b.bit_select(number, scaled, n);
    let step = b.fmul_add(ty, NanRule::Arm, n, m, constant);
    b.float2(Op::Fmul, ty, keeping, step, last)
}

/// FRSQRTS.
pub(super) fn frsqrts(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (form, ty) = float_lanes(w)?;
    if exact::is_on(l) {
        return exact::sources(w, l, Shape::of_vector(w), Operation::RsqrtStep);
    }
    let (n, m) = counted_sources(w, l, form, ty);
    let result = rsqrt_step(&mut l.b, ty, n, m);
    write(w, l, form, ty, result);
    Ok(())
}

/// FRECPX of lanes whose infinity has these bits: the exponent inverted, but the largest number's for a zero.
pub(super) fn recip_exponent(b: &mut Builder<impl Sink>, ty: Ty, infinity: u64, n: Value) -> Value {
    let lowest = infinity & infinity.wrapping_neg();
    let sign = 1 << (ty.lane().bits() - 1);
    let [infinity, largest, quiet, sign, magnitude] =
        [infinity, infinity - lowest, lowest >> 1, sign, sign - 1].map(|bits| splat(b, ty, bits));
    let zero = zero(b);
    let exponent = b.and(Ty::V128, n, infinity);
    let inverted = b.and_not(Ty::V128, infinity, n);
    let is_zero = b.icmp(ty, IntCond::Eq, exponent, zero);
    let result = b.bit_select(is_zero, largest, inverted);
    let sign = b.and(Ty::V128, n, sign);
    let result = b.or(Ty::V128, result, sign);
    let size = b.and(Ty::V128, n, magnitude);
    let is_nan = b.icmp(ty, IntCond::Sgt, size, infinity);
    let quieted = b.or(Ty::V128, n, quiet);
    b.bit_select(is_nan, quieted, result)
}

/// FRECPX.
pub(super) fn frecpx(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (form, ty) = float_lanes(w)?;
    if exact::is_on(l) {
        return exact::source(w, l, Shape::of_vector(w), Operation::RecipExponent);
    }
    let n = counted(l, form, ty, w.rn());
    let [_, infinity, _] = lane_bits(ty);
    // A signalling NaN raises that the operation is invalid.
    let one = splat(&mut l.b, ty, power_of_two(ty, 0));
    l.b.float2(Op::Fmul, ty, NanRule::X86, n, one);
    let result = recip_exponent(&mut l.b, ty.as_int(), infinity, n);
    write(w, l, form, ty, result);
    Ok(())
}

/// Whether a fused product is added or subtracted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fused {
    /// Vd + Vn × Vm.
    Add,
    /// Vd + (−Vn) × Vm.
    Sub,
}

/// FMLA, FMLS (vector).
pub(super) fn fused(w: Word, l: &mut Lift<impl Sink>, kind: Fused) -> Lifted {
    let (form, ty) = float(w)?;
    if exact::is_on(l) {
        let (n, m) = sources(w, l, Ty::V128);
        return exact::fused_lanes(w, l, Shape::of_vector(w), kind, n, m);
    }
    let (n, m) = counted_sources(w, l, form, ty);
    accumulate(w, l, (form, ty), kind, [n, m]);
    Ok(())
}

fn accumulate(w: Word, l: &mut Lift<impl Sink>, (form, ty): (Form, Ty), kind: Fused, [n, m]: [Value; 2]) {
    let n = if kind == Fused::Sub { l.b.fneg(ty, n) } else { n };
    let d = counted(l, form, ty, w.rd());
    let result = l.b.fmul_add(ty, NanRule::Arm, n, m, d);
    write(w, l, form, ty, result);
}

/// Form, type, and the operands Vn and the element of Vm in all lanes, or as a scalar.
fn with_element(w: Word, l: &mut Lift<impl Sink>) -> Result<(Form, Ty, [Value; 2]), LiftError> {
    let (form, ty) = float(w)?;
    // Doublewords have no L.
    require(!(w.is_set(22) && w.is_set(21)))?;
    let n = counted(l, form, ty, w.rn());
    let lanes = if w.is_set(22) { Ty::F64X2 } else { Ty::F32X4 };
    let m = if ty.is_vector() { element(w, l, lanes) } else { scalar_element(w, l, lanes) };
    Ok((form, ty, [n, m]))
}

/// Vn and the element of Vm in all lanes.
fn exact_element(w: Word, l: &mut Lift<impl Sink>) -> Result<[Value; 2], LiftError> {
    let (_, lanes) = float_lanes(w)?;
    require(!(w.is_set(22) && w.is_set(21)))?;
    let n = v(l, lanes, w.rn());
    Ok([n, element(w, l, lanes)])
}

/// Vd = operation(Vn, element of Vm).
fn binary_element_exactly(w: Word, l: &mut Lift<impl Sink>, operation: Operation) -> Lifted {
    let [n, m] = exact_element(w, l)?;
    exact::binary_of(w, l, Shape::of_vector(w), operation, n, m)
}

/// FMLA, FMLS (by element).
pub(super) fn fused_element(w: Word, l: &mut Lift<impl Sink>, kind: Fused) -> Lifted {
    if exact::is_on(l) {
        let [n, m] = exact_element(w, l)?;
        return exact::fused_lanes(w, l, Shape::of_vector(w), kind, n, m);
    }
    let (form, ty, sources) = with_element(w, l)?;
    accumulate(w, l, (form, ty), kind, sources);
    Ok(())
}

/// FMUL (by element).
pub(super) fn fmul_element(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    if exact::is_on(l) {
        return binary_element_exactly(w, l, Operation::Mul);
    }
    let (form, ty, [n, m]) = with_element(w, l)?;
    let result = l.b.float2(Op::Fmul, ty, NanRule::Arm, n, m);
    write(w, l, form, ty, result);
    Ok(())
}

/// FMULX (by element).
pub(super) fn fmulx_element(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    if exact::is_on(l) {
        return binary_element_exactly(w, l, Operation::MulExtended);
    }
    let (form, lanes) = float_lanes(w)?;
    require(!(w.is_set(22) && w.is_set(21)))?;
    let n = counted(l, form, lanes, w.rn());
    let m = element(w, l, lanes);
    let result = multiply_extended(&mut l.b, lanes, n, m);
    write(w, l, form, lanes, result);
    Ok(())
}

/// Vd = masks of the lanes where `cond` holds for n and m.
pub(super) fn compare_exactly(
    w: Word,
    l: &mut Lift<impl Sink>,
    shape: Shape,
    cond: FloatCond,
    n: Value,
    m: Value,
) -> Lifted {
    let result = exact::two(l, shape, Operation::Compare, cond as u8, n, m);
    exact::write(w, l, shape, result)
}

/// FCMEQ, FCMGE, FCMGT (register).
pub(super) fn compare(w: Word, l: &mut Lift<impl Sink>, cond: FloatCond) -> Lifted {
    let (form, ty) = float_lanes(w)?;
    let (n, m) = counted_sources(w, l, form, ty);
    if exact::is_soft(l) {
        return compare_exactly(w, l, Shape::of_vector(w), cond, n, m);
    }
    let result = l.b.fcmp(ty, cond, n, m);
    write(w, l, form, ty, result);
    Ok(())
}

/// FCMGT, FCMGE, FCMEQ, FCMLE, FCMLT (zero).
pub(super) fn compare_zero(w: Word, l: &mut Lift<impl Sink>, cond: FloatCond) -> Lifted {
    let (form, ty) = float_lanes(w)?;
    let n = counted(l, form, ty, w.rn());
    let zero = zero(&mut l.b);
    if exact::is_soft(l) {
        return compare_exactly(w, l, Shape::of_vector(w), cond, n, zero);
    }
    let result = l.b.fcmp(ty, cond, n, zero);
    write(w, l, form, ty, result);
    Ok(())
}

/// FACGE, FACGT.
pub(super) fn compare_absolute(w: Word, l: &mut Lift<impl Sink>, cond: FloatCond) -> Lifted {
    let (form, ty) = float_lanes(w)?;
    let (n, m) = counted_sources(w, l, form, ty);
    let (n, m) = (l.b.fabs(ty, n), l.b.fabs(ty, m));
    if exact::is_soft(l) {
        return compare_exactly(w, l, Shape::of_vector(w), cond, n, m);
    }
    let result = l.b.fcmp(ty, cond, n, m);
    write(w, l, form, ty, result);
    Ok(())
}

/// Vd = op(Vn): FABS, FNEG, FSQRT, FRINT*.
pub(super) fn unary<S: Sink>(w: Word, l: &mut Lift<S>, op: impl Fn(&mut Builder<S>, Ty, Value) -> Value) -> Lifted {
    let (form, ty) = float(w)?;
    let n = counted(l, form, ty, w.rn());
    let result = op(&mut l.b, ty, n);
    write(w, l, form, ty, result);
    Ok(())
}

/// FSQRT.
pub(super) fn fsqrt(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    float_lanes(w)?;
    if exact::is_soft(l) {
        return exact::root(w, l, Shape::of_vector(w));
    }
    unary(w, l, |b, ty, n| b.fsqrt(ty, NanRule::Arm, n))
}

/// FRINTN, FRINTP, FRINTM, FRINTZ, FRINTA, FRINTX, FRINTI.
pub(super) fn round(w: Word, l: &mut Lift<impl Sink>, rounding: Rounding) -> Lifted {
    float_lanes(w)?;
    if exact::is_soft(l) {
        return round_exactly(w, l, Shape::of_vector(w), rounding);
    }
    unary(w, l, |b, ty, n| b.fround(ty, rounding, n))
}

/// FRINTX, which tells inexactness, has U, bit 29, and an odd opcode, but not bit 23.
pub(super) fn round_exactly(w: Word, l: &mut Lift<impl Sink>, shape: Shape, rounding: Rounding) -> Lifted {
    let tells = w.is_set(29) && !w.is_set(23) && w.is_set(12);
    exact::rounded(w, l, shape, if tells { Operation::RoundExact } else { Operation::Round }, rounding)
}

/// FRINT32Z, FRINT32X, FRINT64Z, FRINT64X: what does not fit an integer of so many bits becomes its smallest.
pub(super) fn round_within(w: Word, l: &mut Lift<impl Sink>, rounding: Rounding, bits: u32) -> Lifted {
    let (form, ty) = float_lanes(w)?;
    if exact::is_on(l) {
        return exact::rounded(w, l, Shape::of_vector(w), Operation::round_within(bits), rounding);
    }
    let n = counted(l, form, ty, w.rn());
    let result = rounded_within(l, ty, rounding, bits, n);
    write(w, l, form, ty, result);
    Ok(())
}

/// Integral lanes, of which what does not fit an integer of so many bits, and NaNs, become its smallest.
pub(super) fn rounded_within(l: &mut Lift<impl Sink>, ty: Ty, rounding: Rounding, bits: u32, n: Value) -> Value {
    let b = &mut l.b;
    let quietly = if rounding == Rounding::CurrentExact { Rounding::Current } else { rounding };
    let integral = b.fround(ty, quietly, n);
    let [magnitude, ..] = lane_bits(ty);
    let [limit, magnitude] = [power_of_two(ty, bits as i32 - 1), magnitude].map(|bits| splat(b, ty, bits));
    let smallest = b.fneg(ty, limit);
    // The smallest itself may be taken for one that does not fit, but raises nothing.
    let size = b.and(Ty::V128, integral, magnitude);
    let fits = b.icmp(ty.as_int(), IntCond::Sgt, limit, size);
    let is_smallest = b.icmp(ty.as_int(), IntCond::Eq, integral, smallest);
    let valid = b.or(Ty::V128, fits, is_smallest);
    let same = b.icmp(ty.as_int(), IntCond::Eq, integral, n);
    let inexact = b.and_not(Ty::V128, valid, same);
    raise_by_lane(b, ty, valid, inexact);
    b.bit_select(fits, integral, smallest)
}

/// Raises that the lanes that are not `valid` are invalid, and that those which are `inexact` are.
pub(super) fn raise_by_lane(b: &mut Builder<impl Sink>, ty: Ty, valid: Value, inexact: Value) {
    let [_, infinity, _] = lane_bits(ty);
    let infinity = splat(b, ty, infinity);
    // Differences of infinities are invalid, one of numbers so far apart is inexact, zeroes raise nothing.
    let infinite = b.and_not(Ty::V128, infinity, valid);
    let [large, small] = [0, -60].map(|exponent| {
        let number = splat(b, ty, power_of_two(ty, exponent));
        let number = b.and(Ty::V128, number, inexact);
        b.or(Ty::V128, infinite, number)
    });
    b.float2(Op::Fsub, ty, NanRule::X86, large, small);
}

/// FCVTNS to FCVTZU, lane by lane.
pub(super) fn to_integer(w: Word, l: &mut Lift<impl Sink>, sign: Sign, rounding: Rounding) -> Lifted {
    let (form, ty) = float(w)?;
    if exact::is_soft(l) {
        return exact::lanes_to_fixed(w, l, Shape::of_vector(w), sign, rounding, 0);
    }
    let n = counted(l, form, ty, w.rn());
    let result = round_to(l, ty.as_int(), sign, rounding, n);
    write(w, l, form, ty.as_int(), result);
    Ok(())
}

/// SCVTF, UCVTF, lane by lane.
pub(super) fn from_integer(w: Word, l: &mut Lift<impl Sink>, sign: Sign) -> Lifted {
    let (form, ty) = float(w)?;
    if exact::is_soft(l) {
        return exact::lanes_from_fixed(w, l, Shape::of_vector(w), sign, 0);
    }
    let n = counted(l, form, ty.as_int(), w.rn());
    let result = convert_to(l, ty, sign, n);
    write(w, l, form, ty, result);
    Ok(())
}

/// Form, float shape and fraction bits of a conversion from or to fixed point, in lanes of 32 or 64 bits.
fn fixed(w: Word) -> Result<(Form, Ty, u32), LiftError> {
    let (form, immh) = (Form::of(w), w.bits(22, 19));
    require(immh >= 4 && !(form == Form::Half && immh >= 8))?;
    let ty = if immh >= 8 { Ty::F64X2 } else { Ty::F32X4 };
    Ok((form, ty, 2 * ty.lane().bits() - w.bits(22, 16)))
}

/// The fraction bits of such a conversion where its lanes are halves.
fn half_fraction(w: Word) -> Option<u32> {
    (w.bits(22, 20) == 1).then(|| 32 - w.bits(22, 16))
}

/// FCVTZS, FCVTZU (vector, fixed-point). Scaling is exact; what is too large without it stays as it is.
pub(super) fn to_fixed(w: Word, l: &mut Lift<impl Sink>, sign: Sign) -> Lifted {
    if let Some(fraction) = half_fraction(w) {
        return half::to_fixed(w, l, sign, Rounding::Zero, fraction);
    }
    let (form, ty, fraction) = fixed(w)?;
    if exact::is_soft(l) {
        return exact::lanes_to_fixed(w, l, Shape::of(form, ty.lane().bits()), sign, Rounding::Zero, fraction);
    }
    let n = counted(l, form, ty, w.rn());
    let size = l.b.fabs(ty, n);
    let [limit, scale, one] = [64, fraction as i32, 0].map(|power| splat(&mut l.b, ty, power_of_two(ty, power)));
    let is_small = l.b.icmp(ty.as_int(), IntCond::Sgt, limit, size);
    let scale = l.b.bit_select(is_small, scale, one);
    let scaled = l.b.float2(Op::Fmul, ty, NanRule::X86, n, scale);
    let result = round_to(l, ty.as_int(), sign, Rounding::Zero, scaled);
    write(w, l, form, ty.as_int(), result);
    Ok(())
}

/// SCVTF, UCVTF (vector, fixed-point).
pub(super) fn from_fixed(w: Word, l: &mut Lift<impl Sink>, sign: Sign) -> Lifted {
    if let Some(fraction) = half_fraction(w) {
        return half::from_fixed(w, l, sign, fraction);
    }
    let (form, ty, fraction) = fixed(w)?;
    if exact::is_soft(l) {
        return exact::lanes_from_fixed(w, l, Shape::of(form, ty.lane().bits()), sign, fraction);
    }
    let n = counted(l, form, ty.as_int(), w.rn());
    let whole = convert_to(l, ty, sign, n);
    let scale = splat(&mut l.b, ty, power_of_two(ty, -(fraction as i32)));
    let result = l.b.float2(Op::Fmul, ty, NanRule::Arm, whole, scale);
    write(w, l, form, ty, result);
    Ok(())
}

/// FCVTL, FCVTL2: bit 22 chooses single to double, else half to single.
pub(super) fn fcvtl(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let mut n = v(l, Ty::V128, w.rn());
    if w.is_set(30) {
        let high = std::array::from_fn(|i| (i % 8 + 8) as u8);
        n = l.b.shuffle(n, n, high);
    }
    if exact::is_soft(l) || exact::is_on(l) && !w.is_set(22) {
        let (formats, lanes) = if w.is_set(22) { ((SINGLE, DOUBLE), 2) } else { ((HALF, SINGLE), 4) };
        let result = exact::convert(l, formats, lanes, Narrowed::Rounded, n);
        set_v(l, Ty::V128, w.rd(), result);
        return Ok(());
    }
    let result = if w.is_set(22) { l.b.fpromote(Ty::F64X2, n) } else { l.b.fpromote_half(Ty::F32X4, n) };
    set_v(l, Ty::V128, w.rd(), result);
    Ok(())
}

/// FCVTN, FCVTN2: bit 22 chooses double to single, else single to half.
pub(super) fn fcvtn(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let n = v(l, Ty::V128, w.rn());
    if exact::flushes(l) && w.is_set(22) {
        narrow_flushing(w, l, n);
        return Ok(());
    }
    if exact::is_on(l) {
        let (formats, lanes) = if w.is_set(22) { ((DOUBLE, SINGLE), 2) } else { ((SINGLE, HALF), 4) };
        let result = exact::convert(l, formats, lanes, Narrowed::Rounded, n);
        write_narrow(w, l, result);
        return Ok(());
    }
    let result =
        if w.is_set(22) { l.b.fdemote(Ty::F32X4, n) } else { half_lanes::narrow(l, Small::Rounded, (n, None)) };
    write_narrow(w, l, result);
    Ok(())
}

/// FCVTN, FCVTN2 to singles, where denormals are flushed.
fn narrow_flushing<S: Sink>(w: Word, l: &mut Lift<S>, n: Value) {
    let native = l.b.fdemote(Ty::F32X4, n);
    let fast = has_flushed(l, Shape::lanes(32, 2), native);
    let exactly = |l: &mut Lift<S>| {
        let result = exact::convert(l, (DOUBLE, SINGLE), 2, Narrowed::Rounded, n);
        write_narrow(w, l, result);
    };
    exact::either(l, fast, |l| write_narrow(w, l, native), exactly);
}

/// Two doubles as singles, zeroes above. That a result was tiny before it was rounded, which the host's unit does not look
/// at, is raised apart: 2^-925 times what is a multiple of the smallest single, and nothing else, is one of the smallest double.
pub(super) fn demoted(b: &mut Builder<impl Sink>, n: Value) -> Value {
    let [limit, scale] = [-126, -925].map(|power| splat(b, Ty::F64X2, power_of_two(Ty::F64X2, power)));
    let size = b.fabs(Ty::F64X2, n);
    let is_small = b.icmp(Ty::I64X2, IntCond::Sgt, limit, size);
    let small = b.and(Ty::V128, size, is_small);
    b.float2(Op::Fmul, Ty::F64X2, NanRule::X86, small, scale);
    b.fdemote(Ty::F32X4, n)
}

/// Two doubles as singles, truncated, and the last bit set where that was inexact (Arm ARM, FPRounding_ODD); zeroes above.
fn demoted_to_odd(b: &mut Builder<impl Sink>, n: Value) -> Value {
    let [magnitude, ..] = lane_bits(Ty::F64X2);
    let singles = demoted(b, n);
    let back = b.fpromote(Ty::F64X2, singles);
    let magnitude = splat(b, Ty::I64X2, magnitude);
    let [size, back_size] = [n, back].map(|value| b.and(Ty::V128, value, magnitude));
    let same = b.icmp(Ty::I64X2, IntCond::Eq, size, back_size);
    let is_nan = b.fcmp(Ty::F64X2, FloatCond::Un, back, back);
    let kept = b.or(Ty::V128, same, is_nan);
    let larger = b.icmp(Ty::I64X2, IntCond::Sgt, back_size, size);
    let [kept, larger] =
        [kept, larger].map(|mask| b.shuffle(mask, mask, lane_mask(4, |i| if i < 2 { 2 * i } else { 8 })));
    // One less is one step nearer to zero.
    let truncated = b.add(Ty::I32X4, singles, larger);
    let one = b.wide_const(Ty::V128, 1 << 32 | 1);
    let odd = b.or(Ty::V128, truncated, one);
    b.bit_select(kept, singles, odd)
}

/// FCVTXN, FCVTXN2; the scalar too.
pub(super) fn fcvtxn(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    require(w.is_set(22))?;
    let form = Form::of(w);
    let result = if exact::is_on(l) {
        let n = v(l, Ty::V128, w.rn());
        let lanes = if form == Form::Scalar { 1 } else { 2 };
        exact::convert(l, (DOUBLE, SINGLE), lanes, Narrowed::ToOdd, n)
    } else {
        let n = counted(l, if form == Form::Scalar { form } else { Form::Full }, Ty::F64X2, w.rn());
        demoted_to_odd(&mut l.b, n)
    };
    match Form::of(w) {
        Form::Scalar => write(w, l, Form::Scalar, Ty::F32X4, result),
        Form::Half | Form::Full => write_narrow(w, l, result),
    }
    Ok(())
}

/// The even and the odd lanes of Vn and Vm; what they do not fill is copies.
fn float_neighbours(w: Word, l: &mut Lift<impl Sink>, form: Form, ty: Ty) -> (Value, Value) {
    let (even, odd) = neighbours_of_sources(w, l, form, ty);
    if form != Form::Half {
        return (even, odd);
    }
    let low = |i| (i % 8) as u8;
    (l.b.shuffle(even, even, std::array::from_fn(low)), l.b.shuffle(odd, odd, std::array::from_fn(low)))
}

/// FADDP, FMAXP, FMINP, FMAXNMP, FMINNMP (vector).
pub(super) fn pairwise(w: Word, l: &mut Lift<impl Sink>, op: Op) -> Lifted {
    let (form, ty) = float_lanes(w)?;
    let (even, odd) = float_neighbours(w, l, form, ty);
    if needs_more(l, op) {
        return exact::binary_of(w, l, Shape::of_vector(w), Operation::of(op), even, odd);
    }
    let result = l.b.float2(op, ty, NanRule::Arm, even, odd);
    write(w, l, form, ty, result);
    Ok(())
}

/// Vd = so many lowest lanes of `value`, combined by pairs (Arm ARM, Reduce).
pub(super) fn reduce_exactly(
    w: Word,
    l: &mut Lift<impl Sink>,
    ty: Ty,
    mut lanes: usize,
    operation: Operation,
    mut value: Value,
) -> Lifted {
    let bits = ty.lane().bits();
    while lanes > 1 {
        lanes /= 2;
        let [even, odd] =
            [0, 1].map(|parity| l.b.shuffle(value, value, lane_mask(bits as usize / 8, |i| 2 * i + parity)));
        value = exact::two(l, Shape::lanes(bits, lanes as u32), operation, 0, even, odd);
    }
    exact::write(w, l, Shape::scalar(bits), value)
}

/// FADDP, FMAXP, FMINP, FMAXNMP, FMINNMP (scalar).
pub(super) fn pairwise_scalar(w: Word, l: &mut Lift<impl Sink>, op: Op) -> Lifted {
    let (_, ty) = float_lanes(w)?;
    let n = v(l, ty, w.rn());
    if needs_more(l, op) {
        return reduce_exactly(w, l, ty.as_int(), 2, Operation::of(op), n);
    }
    let (first, second) = (l.b.extract_lane(ty, n, 0), l.b.extract_lane(ty, n, 1));
    let result = l.b.float2(op, ty.lane(), NanRule::Arm, first, second);
    set_v(l, ty.lane(), w.rd(), result);
    Ok(())
}

/// FMAXV, FMINV, FMAXNMV, FMINNMV: four single lanes, by pairs (Arm ARM, Reduce).
pub(super) fn across(w: Word, l: &mut Lift<impl Sink>, op: Op) -> Lifted {
    require(w.is_set(30) && !w.is_set(22))?;
    let n = v(l, Ty::F32X4, w.rn());
    if exact::is_on(l) {
        return reduce_exactly(w, l, Ty::I32X4, 4, Operation::of(op), n);
    }
    let lanes: [Value; 4] = std::array::from_fn(|i| l.b.extract_lane(Ty::F32X4, n, i as u32));
    let low = l.b.float2(op, Ty::F32, NanRule::Arm, lanes[0], lanes[1]);
    let high = l.b.float2(op, Ty::F32, NanRule::Arm, lanes[2], lanes[3]);
    let result = l.b.float2(op, Ty::F32, NanRule::Arm, low, high);
    set_v(l, Ty::F32, w.rd(), result);
    Ok(())
}
