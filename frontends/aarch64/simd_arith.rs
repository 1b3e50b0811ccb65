//! AdvSIMD integer arithmetic and logic, lane by lane: three registers of one shape, and one register.

use super::exact;
use super::operand::{Lifted, Sign, set_v, v};
use super::simd::{
    B, BHS, BHSD, Form, HS, Sizes, binary, integer, lane_mask, sources, splat, ternary, unary, write, zero,
};
use super::word::Word;
use crate::lift::Lift;
use philae_ir::{Builder, IntCond, Sink, Ty, Value};

/// Bitwise operations of Vn and Vm: AND, BIC, ORR, ORN, EOR.
pub(super) fn logic<S: Sink>(
    w: Word,
    l: &mut Lift<S>,
    op: impl Fn(&mut Builder<S>, Ty, Value, Value) -> Value,
) -> Lifted {
    let (n, m) = sources(w, l, Ty::V128);
    let result = op(&mut l.b, Ty::V128, n, m);
    write(w, l, Form::of(w), Ty::V128, result);
    Ok(())
}

/// ORR (vector), of which MOV is the commonest use.
pub(super) fn orr(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    if w.rn() != w.rm() {
        return logic(w, l, Builder::or);
    }
    let n = v(l, Ty::V128, w.rn());
    write(w, l, Form::of(w), Ty::V128, n);
    Ok(())
}

/// Bitwise operations that read Vd: BSL, BIT, BIF.
pub(super) fn select<S: Sink>(w: Word, l: &mut Lift<S>, op: impl Fn(&mut Builder<S>, [Value; 3]) -> Value) -> Lifted {
    let (n, m) = sources(w, l, Ty::V128);
    let d = v(l, Ty::V128, w.rd());
    let result = op(&mut l.b, [d, n, m]);
    write(w, l, Form::of(w), Ty::V128, result);
    Ok(())
}

/// NOT.
pub(super) fn not(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let n = v(l, Ty::V128, w.rn());
    let result = l.b.not(Ty::V128, n);
    write(w, l, Form::of(w), Ty::V128, result);
    Ok(())
}

/// RBIT (vector), whose size bits say 01 for bytes.
pub(super) fn rbit(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let n = v(l, Ty::V128, w.rn());
    let result = l.b.rbit(Ty::I8X16, n);
    write(w, l, Form::of(w), Ty::V128, result);
    Ok(())
}

/// CMGT, CMGE, CMHI, CMHS, CMEQ (register).
pub(super) fn compare(w: Word, l: &mut Lift<impl Sink>, sizes: Sizes, cond: IntCond) -> Lifted {
    binary(w, l, sizes, |b, ty, n, m| b.icmp(ty, cond, n, m))
}

/// CMGT, CMGE, CMEQ, CMLE, CMLT (zero).
pub(super) fn compare_zero(w: Word, l: &mut Lift<impl Sink>, sizes: Sizes, cond: IntCond) -> Lifted {
    unary(w, l, sizes, |b, ty, n| {
        let zero = zero(b);
        b.icmp(ty, cond, n, zero)
    })
}

/// CMTST.
pub(super) fn cmtst(w: Word, l: &mut Lift<impl Sink>, sizes: Sizes) -> Lifted {
    binary(w, l, sizes, |b, ty, n, m| {
        let both = b.and(Ty::V128, n, m);
        let zero = zero(b);
        b.icmp(ty, IntCond::Ne, both, zero)
    })
}

/// Half of a sum or difference is taken from its bits where they differ, and its carries or borrows.
fn half_difference(b: &mut Builder<impl Sink>, ty: Ty, sign: Sign, n: Value, m: Value) -> Value {
    let differ = b.xor(Ty::V128, n, m);
    match sign {
        Sign::Signed => b.vashr_imm(ty, differ, 1),
        Sign::Unsigned => b.vlshr_imm(ty, differ, 1),
    }
}

/// SHADD, UHADD.
pub(super) fn halving_add(w: Word, l: &mut Lift<impl Sink>, sign: Sign) -> Lifted {
    binary(w, l, BHS, |b, ty, n, m| {
        let half = half_difference(b, ty, sign, n, m);
        let common = b.and(Ty::V128, n, m);
        b.add(ty, common, half)
    })
}

/// SRHADD, URHADD.
pub(super) fn rounding_halving_add(w: Word, l: &mut Lift<impl Sink>, sign: Sign) -> Lifted {
    binary(w, l, BHS, |b, ty, n, m| {
        if sign == Sign::Unsigned && ty != Ty::I32X4 {
            return b.avg_u(ty, n, m);
        }
        let half = half_difference(b, ty, sign, n, m);
        let either = b.or(Ty::V128, n, m);
        b.sub(ty, either, half)
    })
}

/// SHSUB, UHSUB.
pub(super) fn halving_sub(w: Word, l: &mut Lift<impl Sink>, sign: Sign) -> Lifted {
    binary(w, l, BHS, |b, ty, n, m| {
        let half = half_difference(b, ty, sign, n, m);
        let borrow = b.and_not(Ty::V128, m, n);
        b.sub(ty, half, borrow)
    })
}

/// |n − m| of lanes.
pub(super) fn difference(b: &mut Builder<impl Sink>, ty: Ty, sign: Sign, n: Value, m: Value) -> Value {
    let (larger, smaller) = match sign {
        Sign::Signed => (b.smax(ty, n, m), b.smin(ty, n, m)),
        Sign::Unsigned => (b.umax(ty, n, m), b.umin(ty, n, m)),
    };
    b.sub(ty, larger, smaller)
}

/// SABD, UABD.
pub(super) fn absolute_difference(w: Word, l: &mut Lift<impl Sink>, sign: Sign) -> Lifted {
    binary(w, l, BHS, |b, ty, n, m| difference(b, ty, sign, n, m))
}

/// SABA, UABA.
pub(super) fn absolute_difference_accumulate(w: Word, l: &mut Lift<impl Sink>, sign: Sign) -> Lifted {
    ternary(w, l, BHS, |b, ty, [d, n, m]| {
        let difference = difference(b, ty, sign, n, m);
        b.add(ty, d, difference)
    })
}

/// MLA, MLS.
pub(super) fn multiply_accumulate<S: Sink>(
    w: Word,
    l: &mut Lift<S>,
    op: impl Fn(&mut Builder<S>, Ty, Value, Value) -> Value,
) -> Lifted {
    ternary(w, l, BHS, |b, ty, [d, n, m]| {
        let product = b.mul(ty, n, m);
        op(b, ty, d, product)
    })
}

/// Whether the product's lost half is rounded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rounded {
    /// Cut off.
    No,
    /// To nearest, ties up.
    Yes,
}

/// The high half of 2 × n × m, saturated: SQDMULH and SQRDMULH of halfword or word lanes.
pub(super) fn double_multiply_high(b: &mut Builder<impl Sink>, ty: Ty, rounded: Rounded, n: Value, m: Value) -> Value {
    let wide = Ty::int_vector(2 * ty.lane().bits());
    let shift = ty.lane().bits() - 1;
    let mut halves = [b.widen_low_s(wide, n), b.widen_high_s(wide, n)];
    let factors = [b.widen_low_s(wide, m), b.widen_high_s(wide, m)];
    for (half, factor) in halves.iter_mut().zip(factors) {
        let mut product = b.mul(wide, *half, factor);
        if rounded == Rounded::Yes {
            let rounding = splat(b, wide, 1 << (shift - 1));
            product = b.add(wide, product, rounding);
        }
        *half = b.vashr_imm(wide, product, shift);
    }
    b.narrow_sat_ss(ty, halves[0], halves[1])
}

/// SQDMULH, SQRDMULH (vector).
pub(super) fn sqdmulh(w: Word, l: &mut Lift<impl Sink>, rounded: Rounded) -> Lifted {
    let (form, ty) = integer(w, HS)?;
    let (n, m) = sources(w, l, ty);
    both_smallest_saturate(l, form, ty, n, m);
    binary(w, l, HS, |b, ty, n, m| double_multiply_high(b, ty, rounded, n, m))
}

/// A doubled product of lanes saturates where both are the smallest.
pub(super) fn both_smallest_saturate(l: &mut Lift<impl Sink>, form: Form, ty: Ty, n: Value, m: Value) {
    let smallest = splat(&mut l.b, ty, 1 << (ty.lane().bits() - 1));
    let [n, m] = [n, m].map(|value| l.b.icmp(ty, IntCond::Eq, value, smallest));
    let both = l.b.and(Ty::V128, n, m);
    exact::saturated(l, form, ty, both);
}

/// The smallest has no opposite.
fn smallest_saturates(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (form, ty) = integer(w, BHSD)?;
    let n = v(l, ty, w.rn());
    both_smallest_saturate(l, form, ty, n, n);
    Ok(())
}

/// SQADD, UQADD, SQSUB, UQSUB: `wrapping` does the same without saturation.
pub(super) fn saturating<S: Sink>(
    w: Word,
    l: &mut Lift<S>,
    op: impl Fn(&mut Builder<S>, Ty, Value, Value) -> Value,
    wrapping: impl Fn(&mut Builder<S>, Ty, Value, Value) -> Value,
) -> Lifted {
    let (form, ty) = integer(w, BHSD)?;
    let (n, m) = sources(w, l, ty);
    let result = op(&mut l.b, ty, n, m);
    let wrapped = wrapping(&mut l.b, ty, n, m);
    let difference = l.b.xor(Ty::V128, result, wrapped);
    exact::saturated(l, form, ty, difference);
    write(w, l, form, ty, result);
    Ok(())
}

/// SQABS.
pub(super) fn sqabs(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    smallest_saturates(w, l)?;
    unary(w, l, BHSD, |b, ty, n| {
        let zero = zero(b);
        let negated = b.sub_sat_s(ty, zero, n);
        let negative = b.icmp(ty, IntCond::Slt, n, zero);
        b.bit_select(negative, negated, n)
    })
}

/// SQNEG.
pub(super) fn sqneg(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    smallest_saturates(w, l)?;
    unary(w, l, BHSD, |b, ty, n| {
        let zero = zero(b);
        b.sub_sat_s(ty, zero, n)
    })
}

/// SUQADD: Vd, signed, plus Vn, unsigned. With its sign bit inverted Vd counts from the smallest on.
pub(super) fn suqadd(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (form, ty) = integer(w, BHSD)?;
    let n = v(l, ty, w.rn());
    let d = v(l, ty, w.rd());
    let sign = splat(&mut l.b, ty, 1 << (ty.lane().bits() - 1));
    let from_least = l.b.xor(Ty::V128, d, sign);
    let sum = l.b.add_sat_u(ty, from_least, n);
    let wrapped = l.b.add(ty, from_least, n);
    let difference = l.b.xor(Ty::V128, sum, wrapped);
    exact::saturated(l, form, ty, difference);
    let result = l.b.xor(Ty::V128, sum, sign);
    write(w, l, form, ty, result);
    Ok(())
}

/// USQADD: Vd, unsigned, plus Vn, signed.
pub(super) fn usqadd(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (form, ty) = integer(w, BHSD)?;
    let n = v(l, ty, w.rn());
    let d = v(l, ty, w.rd());
    let zero = zero(&mut l.b);
    let negative = l.b.icmp(ty, IntCond::Slt, n, zero);
    let size = l.b.neg(ty, n);
    let less = l.b.sub_sat_u(ty, d, size);
    let more = l.b.add_sat_u(ty, d, n);
    let result = l.b.bit_select(negative, less, more);
    let wrapped = l.b.add(ty, d, n);
    let difference = l.b.xor(Ty::V128, result, wrapped);
    exact::saturated(l, form, ty, difference);
    write(w, l, form, ty, result);
    Ok(())
}

/// CNT.
pub(super) fn cnt(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    unary(w, l, B, Builder::popcnt)
}

/// The even and the odd lanes of Vn and Vm in a row: those of n in the low half of what counts, m's above.
fn neighbours(l: &mut Lift<impl Sink>, form: Form, ty: Ty, n: Value, m: Value) -> (Value, Value) {
    let bytes = ty.lane().bytes() as usize;
    let [even, odd] = [0, 1].map(|parity| lane_mask(bytes, |i| pair_lane(form, bytes, i, parity)));
    (l.b.shuffle(n, m, even), l.b.shuffle(n, m, odd))
}

/// Where lane i of the even (0) or odd (1) lanes of two vectors lies.
fn pair_lane(form: Form, bytes: usize, i: usize, parity: usize) -> usize {
    let lane = 2 * i + parity;
    let half = 8 / bytes;
    // The second vector starts at byte 16, also where only 8 bytes of the first count.
    if form == Form::Half && lane >= half { lane + half } else { lane }
}

/// ADDP, SMAXP, SMINP, UMAXP, UMINP (vector).
pub(super) fn pairwise<S: Sink>(
    w: Word,
    l: &mut Lift<S>,
    sizes: Sizes,
    op: impl Fn(&mut Builder<S>, Ty, Value, Value) -> Value,
) -> Lifted {
    let (form, ty) = integer(w, sizes)?;
    let (n, m) = sources(w, l, ty);
    let (even, odd) = neighbours(l, form, ty, n, m);
    let result = op(&mut l.b, ty, even, odd);
    write(w, l, form, ty, result);
    Ok(())
}

/// FADDP, FMAXP and their like use the same neighbours.
pub(super) fn neighbours_of_sources(w: Word, l: &mut Lift<impl Sink>, form: Form, ty: Ty) -> (Value, Value) {
    let (n, m) = sources(w, l, ty);
    neighbours(l, form, ty, n, m)
}

/// ADDP (scalar).
pub(super) fn addp_scalar(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let n = v(l, Ty::V128, w.rn());
    let (low, high) = (l.b.low(Ty::V128, n), l.b.high(Ty::V128, n));
    let sum = l.b.add(Ty::I64, low, high);
    set_v(l, Ty::I64, w.rd(), sum);
    Ok(())
}

/// Neighbouring lanes, extended to twice their width and added.
fn long_pairs(b: &mut Builder<impl Sink>, ty: Ty, sign: Sign, n: Value) -> Value {
    let bits = ty.lane().bits();
    let wide = Ty::int_vector(2 * bits);
    let up = b.vshl_imm(wide, n, bits);
    let (even, odd) = match sign {
        Sign::Signed => (b.vashr_imm(wide, up, bits), b.vashr_imm(wide, n, bits)),
        Sign::Unsigned => (b.vlshr_imm(wide, up, bits), b.vlshr_imm(wide, n, bits)),
    };
    b.add(wide, even, odd)
}

/// SADDLP, UADDLP.
pub(super) fn add_long_pairs(w: Word, l: &mut Lift<impl Sink>, sign: Sign) -> Lifted {
    unary(w, l, BHS, |b, ty, n| long_pairs(b, ty, sign, n))
}

/// SADALP, UADALP.
pub(super) fn add_long_pairs_accumulate(w: Word, l: &mut Lift<impl Sink>, sign: Sign) -> Lifted {
    let (form, ty) = integer(w, BHS)?;
    let n = v(l, ty, w.rn());
    let d = v(l, ty, w.rd());
    let sums = long_pairs(&mut l.b, ty, sign, n);
    let result = l.b.add(Ty::int_vector(2 * ty.lane().bits()), d, sums);
    write(w, l, form, ty, result);
    Ok(())
}

/// The lanes that count of `value`, combined by an associative operation into lane 0.
fn reduce<S: Sink>(
    l: &mut Lift<S>,
    form: Form,
    ty: Ty,
    value: Value,
    op: impl Fn(&mut Builder<S>, Ty, Value, Value) -> Value,
) -> Value {
    let mut result = value;
    let mut bytes = if form == Form::Full { 8 } else { 4 };
    while bytes >= ty.lane().bytes() as usize {
        let upper = std::array::from_fn(|i| if i < bytes { (i + bytes) as u8 } else { 0xff });
        let upper = l.b.shuffle(result, result, upper);
        result = op(&mut l.b, ty, result, upper);
        bytes /= 2;
    }
    l.b.extract_lane(ty, result, 0)
}

/// The shapes that have a reduction: all but two words.
fn reducible(w: Word) -> Result<(Form, Ty), crate::lift::LiftError> {
    let (form, ty) = integer(w, BHS)?;
    super::operand::require(ty != Ty::I32X4 || form == Form::Full)?;
    Ok((form, ty))
}

/// ADDV, SMAXV, SMINV, UMAXV, UMINV.
pub(super) fn across<S: Sink>(
    w: Word,
    l: &mut Lift<S>,
    op: impl Fn(&mut Builder<S>, Ty, Value, Value) -> Value,
) -> Lifted {
    let (form, ty) = reducible(w)?;
    let n = v(l, ty, w.rn());
    let result = reduce(l, form, ty, n, op);
    set_v(l, ty.lane(), w.rd(), result);
    Ok(())
}

/// SADDLV, UADDLV.
pub(super) fn add_long_across(w: Word, l: &mut Lift<impl Sink>, sign: Sign) -> Lifted {
    let (form, ty) = reducible(w)?;
    let n = v(l, ty, w.rn());
    let sums = long_pairs(&mut l.b, ty, sign, n);
    let wide = Ty::int_vector(2 * ty.lane().bits());
    let result = reduce(l, form, wide, sums, Builder::add);
    set_v(l, wide.lane(), w.rd(), result);
    Ok(())
}
