//! Integer arithmetic, comparison and condition flags: scalars of 8 to 128 bits, and the same lane by lane.

use super::vector::{lanes1, lanes2};
use crate::ops::{Carry, IntCond, Op};
use crate::ty::Ty;

/// `bits` low bits of `a`, sign-extended to 128.
pub(super) fn sign_extend(bits: u32, a: u128) -> u128 {
    let unused = 128 - bits;
    ((a << unused) as i128 >> unused) as u128
}

/// An operation of two integers, lane by lane.
pub(super) fn binary(op: Op, ty: Ty, a: u128, b: u128) -> u128 {
    match ty.lane().bits() {
        128 => wide::binary(op, 128, a, b),
        bits => lanes2(ty, a, b, |a, b| narrow::binary(op, bits, a, b)),
    }
}

/// An operation of one integer, lane by lane.
pub(super) fn unary(op: Op, ty: Ty, a: u128) -> u128 {
    match ty.lane().bits() {
        128 => wide::unary(op, 128, a),
        bits => lanes1(ty, a, |a| narrow::unary(op, bits, a)),
    }
}

/// A comparison: a truth value for scalars, masks for vectors.
pub(super) fn compare(cond: IntCond, ty: Ty, a: u128, b: u128) -> u128 {
    match ty.lane().bits() {
        128 => u128::from(wide::holds(cond, 128, a, b)),
        bits if ty.is_vector() => lanes2(ty, a, b, |a, b| if narrow::holds(cond, bits, a, b) { u64::MAX } else { 0 }),
        bits => u128::from(narrow::holds(cond, bits, a as u64, b as u64)),
    }
}

/// The same operations on `u64`, for widths up to 64 bits, and on `u128`. Operands are zero-extended; of the
/// results only the low `bits` count.
macro_rules! width {
    ($name:ident $U:ident $S:ident) => {
        mod $name {
            use crate::ops::{IntCond, Op};

            fn signed(bits: u32, a: $U) -> $S {
                let unused = $U::BITS - bits;
                (a << unused) as $S >> unused
            }

            pub(super) fn binary(op: Op, bits: u32, a: $U, b: $U) -> $U {
                let (sa, sb) = (signed(bits, a), signed(bits, b));
                let shift = b as u32 & (bits - 1);
                match op {
                    Op::Add => a.wrapping_add(b),
                    Op::Sub => a.wrapping_sub(b),
                    Op::Mul => a.wrapping_mul(b),
                    Op::UmulHigh => (u128::from(a).wrapping_mul(u128::from(b)) >> bits) as $U,
                    Op::SmulHigh => (i128::from(sa).wrapping_mul(i128::from(sb)) >> bits) as $U,
                    Op::Udiv => a.checked_div(b).unwrap_or(0),
                    Op::Urem => a.checked_rem(b).unwrap_or(a),
                    Op::Sdiv if b == 0 => 0,
                    Op::Sdiv => sa.wrapping_div(sb) as $U,
                    Op::Srem if b == 0 => a,
                    Op::Srem => sa.wrapping_rem(sb) as $U,
                    Op::Shl => a << shift,
                    Op::Lshr => a >> shift,
                    Op::Ashr => (sa >> shift) as $U,
                    Op::Rotr if shift == 0 => a,
                    Op::Rotr => a >> shift | a << (bits - shift),
                    Op::Umin => a.min(b),
                    Op::Umax => a.max(b),
                    Op::Smin => sa.min(sb) as $U,
                    Op::Smax => sa.max(sb) as $U,
                    other => panic!("{other:?} does not take two integers"),
                }
            }

            pub(super) fn unary(op: Op, bits: u32, a: $U) -> $U {
                let unused = $U::BITS - bits;
                let sa = signed(bits, a);
                match op {
                    Op::Neg => a.wrapping_neg(),
                    Op::Abs => sa.wrapping_abs() as $U,
                    Op::Clz => (a.leading_zeros() - unused) as $U,
                    Op::Ctz => a.trailing_zeros().min(bits) as $U,
                    Op::Cls => ((if sa < 0 { !sa } else { sa }).leading_zeros() - unused - 1) as $U,
                    Op::Popcnt => a.count_ones() as $U,
                    Op::Bswap => a.swap_bytes() >> unused,
                    Op::Rbit => a.reverse_bits() >> unused,
                    other => panic!("{other:?} does not take one integer"),
                }
            }

            pub(super) fn holds(cond: IntCond, bits: u32, a: $U, b: $U) -> bool {
                let (sa, sb) = (signed(bits, a), signed(bits, b));
                match cond {
                    IntCond::Eq => a == b,
                    IntCond::Ne => a != b,
                    IntCond::Ult => a < b,
                    IntCond::Ule => a <= b,
                    IntCond::Ugt => a > b,
                    IntCond::Uge => a >= b,
                    IntCond::Slt => sa < sb,
                    IntCond::Sle => sa <= sb,
                    IntCond::Sgt => sa > sb,
                    IntCond::Sge => sa >= sb,
                }
            }
        }
    };
}

width!(narrow u64 i64);
width!(wide u128 i128);

/// The flags of a + b + carry, for widths up to 64 bits.
pub(super) fn flags_add(ty: Ty, a: u128, b: u128, carry: u128) -> u128 {
    let sum = a + b + carry;
    let result = sum & ty.mask();
    let overflow = (a ^ result) & (b ^ result);
    flags_logic(ty, result) | u128::from(sum != result) << 1 | top(ty, overflow)
}

/// The flags of a − b − borrow, for widths up to 64 bits.
pub(super) fn flags_sub(ty: Ty, sense: Carry, a: u128, b: u128, borrow: u128) -> u128 {
    let result = a.wrapping_sub(b).wrapping_sub(borrow) & ty.mask();
    let overflow = (a ^ b) & (a ^ result);
    let borrowed = a < b + borrow;
    let c = match sense {
        Carry::Borrow => borrowed,
        Carry::NotBorrow => !borrowed,
    };
    flags_logic(ty, result) | u128::from(c) << 1 | top(ty, overflow)
}

/// The borrow that a carry of this sense stands for.
pub(super) fn borrow(sense: Carry, carry: u128) -> u128 {
    match sense {
        Carry::Borrow => carry & 1,
        Carry::NotBorrow => carry & 1 ^ 1,
    }
}

/// N and Z of a.
pub(super) fn flags_logic(ty: Ty, a: u128) -> u128 {
    top(ty, a) << 3 | u128::from(a == 0) << 2
}

fn top(ty: Ty, a: u128) -> u128 {
    a >> (ty.bits() - 1) & 1
}

/// The carry-less product.
pub(super) fn clmul(a: u64, b: u64) -> u128 {
    (0..64).filter(|bit| b >> bit & 1 == 1).fold(0, |sum, bit| sum ^ u128::from(a) << bit)
}
