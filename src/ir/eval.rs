//! The plainest meaning of every pure operation: operand bits in, result bits out.
//!
//! Bits are zero-extended to 128: integers and floats by their width, vectors whole, flags as four bits
//! (3 = N, 2 = Z, 1 = C, 0 = V). The interpreter runs on this, folding uses it, and the compilers are tested
//! against it. Floating-point results do not depend on how the host chooses NaNs; they do assume that the host
//! rounds to nearest even and keeps subnormals, as Rust does everywhere.

mod aes;
mod float;
mod half;
mod int;
mod vector;

use crate::ops::{Carry, Cond, ImmKind, IntCond, Op, RmwOp, Takes};
use crate::region::{Inst, Region, Value};
use crate::ty::Ty;

/// The result of `inst`, a pure instruction of `region`, for these operands.
pub fn eval(region: &Region, inst: &Inst, args: [u128; 3]) -> u128 {
    eval_inst(inst, args, |value| region.ty(value), |number| region.consts[number as usize])
}

/// The result of `inst`, a pure instruction, for these operands: `ty` has the type of one, `constant` the 128-bit
/// constants that instructions name by number.
pub fn eval_inst(inst: &Inst, args: [u128; 3], ty: impl Fn(Value) -> Ty, constant: impl Fn(u64) -> u128) -> u128 {
    let row = inst.op.info();
    let imm = if row.imm == ImmKind::Const { constant(inst.imm) } else { u128::from(inst.imm) };
    let from = if row.takes.first() == Some(&Takes::Any) { ty(inst.args[0]) } else { inst.ty };
    eval_op(inst.op, inst.ty, from, inst.aux, imm, args)
}

/// The result of a pure operation of type `ty`. `from` is the type of operand 0, which conversions need; `imm` is
/// the instruction's, or what it names in the pool of constants. Panics for operations that are not pure.
pub fn eval_op(op: Op, ty: Ty, from: Ty, aux: u8, imm: u128, args: [u128; 3]) -> u128 {
    let [a, b, c] = args;
    match op {
        Op::Const => imm & ty.mask(),
        Op::WideConst => imm,

        Op::Add | Op::Sub | Op::Mul | Op::UmulHigh | Op::SmulHigh => int::binary(op, ty, a, b),
        Op::Udiv | Op::Sdiv | Op::Urem | Op::Srem => int::binary(op, ty, a, b),
        Op::And => a & b,
        Op::Or => a | b,
        Op::Xor => a ^ b,
        Op::AndNot => a & !b,
        Op::Not => !a & ty.mask(),
        Op::Shl | Op::Lshr | Op::Ashr | Op::Rotr => int::binary(op, ty, a, b),
        Op::Umin | Op::Umax | Op::Smin | Op::Smax => int::binary(op, ty, a, b),
        Op::Neg | Op::Abs | Op::Clz | Op::Ctz | Op::Cls | Op::Popcnt | Op::Bswap | Op::Rbit => int::unary(op, ty, a),
        Op::Icmp => int::compare(IntCond::from_aux(aux), ty, a, b),
        Op::Select => {
            if a & 1 == 1 {
                b
            } else {
                c
            }
        }

        Op::Zext | Op::Bitcast => a,
        Op::Sext => int::sign_extend(from.bits(), a) & ty.mask(),
        Op::Trunc => a & ty.mask(),
        Op::Concat => a | b << 64,
        Op::Low => u128::from(a as u64),
        Op::High => a >> 64,

        Op::FlagsAdd | Op::FlagsSub | Op::FlagsLogic | Op::FlagsFcmp => eval_flags(op, ty, aux, imm, [a, b]),
        Op::FlagsAdc => int::flags_add(ty, a, b, c),
        Op::FlagsSbc => int::flags_sub(ty, Carry::from_aux(aux), a, b, int::borrow(Carry::from_aux(aux), c)),
        Op::FlagsWithC => a & !2 | (b & 1) << 1,
        Op::FlagsWithV => a & !1 | (b & 1),
        Op::FlagsFromBits | Op::FlagsToBits => a & 15,
        Op::FlagsTest => u128::from(Cond::from_aux(aux).holds(a as u8)),

        Op::Fadd | Op::Fsub | Op::Fmul | Op::Fdiv | Op::Fmin | Op::Fmax | Op::FminNum | Op::FmaxNum => {
            float::arithmetic(op, ty, aux, args)
        }
        Op::Fsqrt | Op::FmulAdd => float::arithmetic(op, ty, aux, args),
        Op::Fneg | Op::Fabs => float::sign(op, ty, a),
        Op::Fcmp => float::compare(ty, aux, a, b),
        Op::Fround => float::round(ty, aux, a),
        Op::Fpromote => float::promote(ty, a),
        Op::Fdemote => float::demote(ty, a),
        Op::FpromoteHalf => half::promote(a),
        Op::FwidenHalf => half::widen(a),
        Op::FdemoteHalf => half::demote(a),
        Op::FtoSint | Op::FtoUint => float::to_int(op, ty, from, aux, a),
        Op::SintToF | Op::UintToF => float::from_int(op, ty, from, a),

        Op::Splat => vector::splat(ty, a),
        Op::ExtractLane => vector::extract(ty, a, imm as u32),
        Op::InsertLane => vector::insert(ty, a, imm as u32, b),
        Op::Shuffle => vector::shuffle(a, b, imm),
        Op::TableLookup => vector::table_lookup(a, b),
        Op::BitSelect => a & b | !a & c,
        Op::LaneMask => vector::lane_mask(ty, a),
        Op::VshlImm => vector::shift(Op::Vshl, ty, a, vector::splat(ty, imm)),
        Op::VlshrImm => vector::shift(Op::Vlshr, ty, a, vector::splat(ty, imm)),
        Op::VashrImm => vector::shift(Op::Vashr, ty, a, vector::splat(ty, imm)),
        Op::Vshl | Op::Vlshr | Op::Vashr => vector::shift(op, ty, a, b),
        Op::AddSatS | Op::AddSatU | Op::SubSatS | Op::SubSatU | Op::AvgU => vector::saturating(op, ty, a, b),
        Op::AddPairs => vector::add_pairs(ty, a, b),
        Op::DotPairsS => vector::dot_pairs(ty, a, b),
        Op::WidenLowS => vector::widen_signed(ty, a as u64),
        Op::WidenHighS => vector::widen_signed(ty, (a >> 64) as u64),
        Op::WidenLowU => vector::widen_unsigned(ty, a as u64),
        Op::WidenHighU => vector::widen_unsigned(ty, (a >> 64) as u64),
        Op::Narrow | Op::NarrowSatSS | Op::NarrowSatSU | Op::NarrowSatUU => vector::narrow(op, ty, a, b),
        Op::ClmulLow => int::clmul(a as u64, b as u64),
        Op::AesRound => aes::mix(aes::substitute(a)),
        Op::AesLastRound => aes::substitute(a),
        Op::AesMix => aes::mix(a),
        Op::AesInverseRound => aes::inverse_mix(aes::inverse_substitute(a)),
        Op::AesInverseLastRound => aes::inverse_substitute(a),
        Op::AesInverseMix => aes::inverse_mix(a),

        Op::Get | Op::Set | Op::SetLow | Op::Insn | Op::PollPending | Op::Load | Op::LoadZext | Op::LoadSext => {
            impure(op)
        }
        Op::Store
        | Op::AtomicLoad
        | Op::AtomicStore
        | Op::AtomicRmw
        | Op::AtomicCas
        | Op::Fence
        | Op::Prefetch
        | Op::Call => impure(op),
    }
}

/// The same for the four that produce flags from operands alone; others panic. It is apart because flags are settled
/// wherever translated code is left, and a child of fork pays for each page of code that it comes to.
pub fn eval_flags(op: Op, ty: Ty, aux: u8, imm: u128, [a, b]: [u128; 2]) -> u128 {
    match op {
        Op::FlagsAdd => int::flags_add(ty, a, b, 0),
        Op::FlagsSub => int::flags_sub(ty, Carry::from_aux(aux), a, b, 0),
        Op::FlagsLogic => int::flags_logic(ty, a),
        Op::FlagsFcmp => float::flags(ty, imm as u32, a, b),
        _ => panic!("{op:?} does not produce flags from operands alone"),
    }
}

/// What [`Op::AtomicRmw`] leaves in memory where it found `old`.
pub fn eval_rmw(op: RmwOp, ty: Ty, old: u128, operand: u128) -> u128 {
    let pure = match op {
        RmwOp::Xchg => return operand,
        RmwOp::Add => Op::Add,
        RmwOp::And => Op::And,
        RmwOp::AndNot => Op::AndNot,
        RmwOp::Or => Op::Or,
        RmwOp::Xor => Op::Xor,
        RmwOp::Smin => Op::Smin,
        RmwOp::Smax => Op::Smax,
        RmwOp::Umin => Op::Umin,
        RmwOp::Umax => Op::Umax,
    };
    eval_op(pure, ty, ty, 0, 0, [old, operand, 0])
}

/// `bits` sign-extended from type `from` to type `to`.
pub fn sign_extend(from: Ty, to: Ty, bits: u128) -> u128 {
    int::sign_extend(from.bits(), bits) & to.mask()
}

fn impure(op: Op) -> ! {
    panic!("{op:?} is not a function of its operands")
}

#[cfg(test)]
mod tests;
