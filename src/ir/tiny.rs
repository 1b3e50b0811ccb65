//! Results that may be tiny for an AArch64 guest and not for the host's unit: below the smallest normal number before they
//! are rounded (Arm ARM, FPRoundBase), and that number after (SDM volume 1, 4.9.1.5).
//!
//! In: an instruction of a region. Out: whether its results have to be compared with the smallest normal number while the
//! host's unit keeps the guest's flags; the evaluator raises what the guest's does.
//!
//! Sums are exact where they are tiny, and quotients of two numbers of one format cannot come so near to the smallest normal
//! number from below. Conversions are made of others by the frontend.

use crate::ops::{NanRule, Op};
use crate::region::{Inst, Region, Value};
use crate::ty::Ty;

/// Whether a result of `inst` may have to raise an underflow that the host's unit does not find.
pub fn may_be_missed(region: &Region, inst: &Inst) -> bool {
    let may_round_up = match inst.op {
        Op::FmulAdd => true,
        Op::Fmul if inst.args[0] == inst.args[1] => false,
        Op::Fmul => !inst.operands().any(|factor| is_power_of_two(region, inst.ty, factor)),
        _ => false,
    };
    may_round_up && region.keeps_status_on_host() && NanRule::from_aux(inst.aux).may_differ_from_host()
}

/// Whether what `inst` makes has no sign, but where it is a NaN or a zero.
pub fn is_positive(region: &Region, inst: &Inst) -> bool {
    is_positive_within(region, inst, 4)
}

/// The same, as far as that is seen by going back to operands `depth` times.
fn is_positive_within(region: &Region, inst: &Inst, depth: u32) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    let [a, b, c] = inst.args;
    let is_positive = |value| is_positive_within(region, region.inst(value), depth);
    match inst.op {
        Op::Fabs | Op::Fsqrt => true,
        Op::Fadd | Op::Fdiv => is_positive(a) && is_positive(b),
        Op::Fmul => a == b || is_positive(a) && is_positive(b),
        Op::FmulAdd => (a == b || is_positive(a) && is_positive(b)) && is_positive(c),
        _ => false,
    }
}

/// Whether all lanes are constants without fraction bits: what is multiplied by them keeps its own.
fn is_power_of_two(region: &Region, ty: Ty, value: Value) -> bool {
    let inst = region.inst(value);
    let lane = ty.lane();
    let bits = match inst.op {
        Op::Const => u128::from(inst.imm),
        Op::WideConst => region.consts[inst.imm as usize],
        Op::Splat => return is_power_of_two(region, lane, inst.args[0]),
        _ => return false,
    };
    let fraction = if lane == Ty::F64 { (1 << 52) - 1 } else { (1 << 23) - 1 };
    let lanes = if ty.is_vector() { ty.lanes() } else { 1 };
    (0..lanes).all(|index| bits >> (index * lane.bits()) & fraction == 0)
}
