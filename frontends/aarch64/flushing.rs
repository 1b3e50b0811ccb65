//! Floats under FPCR.FZ alone: the host's unit treats denormal numbers as zeroes, too, and what it makes is what the guest's
//! makes, or can be told from it.
//!
//! In: operands, or what the host's unit made of them. Out: whether that is the guest's result. Where it is not,
//! [`super::exact`] makes it.

use super::exact::Shape;
use super::float::power_of_two;
use super::simd::splat;
use crate::lift::Lift;
use philae_ir::{FloatCond, IntCond, NanRule, Op, Sink, Ty, Value};

/// Where denormals are flushed, whether the host's unit has done what the guest's does: 1 if no lane is the smallest
/// normal number, which may have been tiny before it was rounded.
pub(super) fn has_flushed(l: &mut Lift<impl Sink>, shape: Shape, native: Value) -> Value {
    let f = shape.format();
    let smallest = 1u64 << f.fraction_bits();
    if shape.count() == 1 {
        let ty = Ty::int(shape.bits());
        let bits = l.b.bitcast(ty, native);
        let magnitude = l.b.and_imm(ty, bits, f.sign() - 1);
        return l.b.icmp_imm(ty, IntCond::Ne, magnitude, smallest);
    }
    let ty = Ty::int_vector(shape.bits());
    let [magnitudes, smallest] = [f.sign() - 1, smallest].map(|lane| splat(&mut l.b, ty, lane));
    let magnitude = l.b.and(Ty::V128, native, magnitudes);
    let unclear = l.b.icmp(ty, IntCond::Eq, magnitude, smallest);
    let unclear = l.b.lane_mask(ty, unclear);
    l.b.icmp_imm(Ty::I32, IntCond::Eq, unclear, 0)
}

/// Whether no operand is a NaN, and their extreme then. The host's comparison flushes operands, what it passes on is as
/// it was: so they are flushed before, by a product.
pub(super) fn flushed_extreme(l: &mut Lift<impl Sink>, ty: Ty, op: Op, operands: [Value; 2]) -> (Value, Value) {
    let one = power_of_two(ty, 0);
    let one = if ty.is_vector() { splat(&mut l.b, ty, one) } else { l.b.iconst(ty, one) };
    let [a, b] = operands.map(|operand| l.b.float2(Op::Fmul, ty, NanRule::X86, operand, one));
    let native = l.b.float2(op, ty, NanRule::Arm, a, b);
    let fast = are_numbers(l, ty, native);
    (fast, native)
}

/// As [`has_flushed`] of d + n × m: and it is no NaN. Zero times infinity makes another one than its addend, and a denormal
/// number counts as zero then.
pub(super) fn fused_has_flushed(l: &mut Lift<impl Sink>, shape: Shape, ty: Ty, native: Value) -> Value {
    let flushed = has_flushed(l, shape, native);
    let numbers = are_numbers(l, ty, native);
    l.b.and(Ty::I8, flushed, numbers)
}

/// Whether no lane is a NaN.
fn are_numbers(l: &mut Lift<impl Sink>, ty: Ty, value: Value) -> Value {
    let nan = l.b.fcmp(ty, FloatCond::Un, value, value);
    if ty.is_vector() {
        let nans = l.b.lane_mask(ty.as_int(), nan);
        return l.b.icmp_imm(Ty::I32, IntCond::Eq, nans, 0);
    }
    let one = l.b.iconst(Ty::I8, 1);
    l.b.xor(Ty::I8, nan, one)
}
