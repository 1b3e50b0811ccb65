//! Lanes: applying scalar meanings to each, and the operations that move data between them.

use crate::ops::Op;
use crate::ty::Ty;

/// Applies `f` to each lane of `a`; a scalar is one lane. Lanes have up to 64 bits and come zero-extended.
pub(super) fn lanes1(ty: Ty, a: u128, f: impl Fn(u64) -> u64) -> u128 {
    lanes2(ty, a, 0, |a, _| f(a))
}

/// Applies `f` to each pair of lanes of `a` and `b`.
pub(super) fn lanes2(ty: Ty, a: u128, b: u128, f: impl Fn(u64, u64) -> u64) -> u128 {
    let bits = ty.lane().bits();
    let mask = u64::MAX >> (64 - bits);
    if !ty.is_vector() {
        return u128::from(f(a as u64 & mask, b as u64 & mask) & mask);
    }
    let half = |a: u64, b: u64| {
        let shifts = (0..64).step_by(bits as usize);
        shifts.fold(0, |all, shift| all | (f(a >> shift & mask, b >> shift & mask) & mask) << shift)
    };
    u128::from(half(a as u64, b as u64)) | u128::from(half((a >> 64) as u64, (b >> 64) as u64)) << 64
}

/// Lane `index` of shape `ty`.
pub(super) fn extract(ty: Ty, a: u128, index: u32) -> u128 {
    a >> (index * ty.lane().bits()) & ty.lane().mask()
}

/// `a` with lane `index` replaced.
pub(super) fn insert(ty: Ty, a: u128, index: u32, lane: u128) -> u128 {
    let shift = index * ty.lane().bits();
    a & !(ty.lane().mask() << shift) | (lane & ty.lane().mask()) << shift
}

/// A vector of lanes made one by one.
fn build(ty: Ty, lane: impl Fn(u32) -> u128) -> u128 {
    (0..ty.lanes()).fold(0, |all, index| all | (lane(index) & ty.lane().mask()) << (index * ty.lane().bits()))
}

pub(super) fn splat(ty: Ty, scalar: u128) -> u128 {
    build(ty, |_| scalar)
}

pub(super) fn shuffle(a: u128, b: u128, mask: u128) -> u128 {
    build(Ty::I8X16, |index| match extract(Ty::I8X16, mask, index) as u32 {
        from @ 0..16 => extract(Ty::I8X16, a, from),
        from @ 16..32 => extract(Ty::I8X16, b, from - 16),
        _ => 0,
    })
}

pub(super) fn table_lookup(table: u128, indices: u128) -> u128 {
    shuffle(table, 0, indices)
}

pub(super) fn lane_mask(ty: Ty, a: u128) -> u128 {
    let top = ty.lane().bits() - 1;
    (0..ty.lanes()).fold(0, |all, index| all | (extract(ty, a, index) >> top & 1) << index)
}

/// `Vshl`, `Vlshr` and `Vashr`.
pub(super) fn shift(op: Op, ty: Ty, a: u128, amounts: u128) -> u128 {
    let bits = ty.lane().bits();
    lanes2(ty, a, amounts, |a, amount| {
        let inside = amount < u64::from(bits);
        match op {
            Op::Vshl if inside => a << amount,
            Op::Vlshr if inside => a >> amount,
            Op::Vshl | Op::Vlshr => 0,
            _ => (signed(bits, a) >> amount.min(63)) as u64,
        }
    })
}

/// The saturating sums and differences, and the average.
pub(super) fn saturating(op: Op, ty: Ty, a: u128, b: u128) -> u128 {
    let bits = ty.lane().bits();
    let (unsigned_max, signed_max) = (ty.lane().mask() as i128, ty.lane().mask() as i128 >> 1);
    lanes2(ty, a, b, |a, b| {
        let (ua, ub) = (i128::from(a), i128::from(b));
        let (sa, sb) = (i128::from(signed(bits, a)), i128::from(signed(bits, b)));
        let result = match op {
            Op::AddSatS => (sa + sb).clamp(!signed_max, signed_max),
            Op::SubSatS => (sa - sb).clamp(!signed_max, signed_max),
            Op::AddSatU => (ua + ub).min(unsigned_max),
            Op::SubSatU => (ua - ub).max(0),
            _ => (ua + ub + 1) >> 1,
        };
        result as u64
    })
}

pub(super) fn add_pairs(ty: Ty, a: u128, b: u128) -> u128 {
    let half = ty.lanes() / 2;
    build(ty, |index| {
        let (from, pair) = if index < half { (a, index) } else { (b, index - half) };
        extract(ty, from, 2 * pair) + extract(ty, from, 2 * pair + 1)
    })
}

pub(super) fn dot_pairs(ty: Ty, a: u128, b: u128) -> u128 {
    let (from, bits) = (ty.narrower(), ty.lane().bits() / 2);
    let lane = |v, index| i128::from(signed(bits, extract(from, v, index) as u64));
    let product = |index| lane(a, index) * lane(b, index);
    build(ty, |index| (product(2 * index) + product(2 * index + 1)) as u128)
}

/// Lanes of shape `ty` out of the lanes of half the width in `half`.
pub(super) fn widen_signed(ty: Ty, half: u64) -> u128 {
    let from = ty.narrower();
    build(ty, |index| signed(from.lane().bits(), extract(from, u128::from(half), index) as u64) as i128 as u128)
}

/// Lanes of shape `ty` out of the lanes of half the width in `half`.
pub(super) fn widen_unsigned(ty: Ty, half: u64) -> u128 {
    build(ty, |index| extract(ty.narrower(), u128::from(half), index))
}

/// Lanes of shape `ty` out of the lanes of twice the width in `a`, then `b`.
pub(super) fn narrow(op: Op, ty: Ty, a: u128, b: u128) -> u128 {
    let (bits, half) = (ty.lane().bits(), ty.lanes() / 2);
    let from = Ty::int_vector(2 * bits);
    let (unsigned_max, signed_max) = (ty.lane().mask() as i128, ty.lane().mask() as i128 >> 1);
    build(ty, |index| {
        let (vector, index) = if index < half { (a, index) } else { (b, index - half) };
        let lane = extract(from, vector, index);
        let value = i128::from(signed(2 * bits, lane as u64));
        match op {
            Op::NarrowSatSS => value.clamp(!signed_max, signed_max) as u128,
            Op::NarrowSatSU => value.clamp(0, unsigned_max) as u128,
            Op::NarrowSatUU => lane.min(unsigned_max as u128),
            _ => lane,
        }
    })
}

fn signed(bits: u32, a: u64) -> i64 {
    (a << (64 - bits)) as i64 >> (64 - bits)
}
