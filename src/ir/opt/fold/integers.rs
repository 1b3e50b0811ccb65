//! Identities of integers and vectors' bits.

use super::{Fold, Rewrite, binary, icmp, inverse};
use crate::ops::{IntCond, Op};
use crate::region::{Inst, Value};
use crate::ty::Ty;

impl Fold<'_> {
    /// One step of simplification of an instruction that is no access, test or selection.
    pub(super) fn integer(&mut self, inst: &Inst) -> Option<Rewrite> {
        match inst.op {
            Op::Add | Op::Mul | Op::And | Op::Or | Op::Xor => self.commutative(inst),
            Op::Sub | Op::AndNot => self.difference(inst),
            Op::Shl | Op::Lshr | Op::Ashr | Op::Rotr => self.shift(inst),
            Op::Not | Op::Neg | Op::Bswap | Op::Rbit | Op::Fneg => self.involution(inst),
            Op::Clz => self.reversed(inst),
            Op::Icmp if !inst.ty.is_vector() => self.comparison(inst),
            Op::Zext | Op::Sext | Op::Trunc | Op::Bitcast => self.conversion(inst),
            Op::Low | Op::High => self.half(inst),
            _ => None,
        }
    }

    fn commutative(&mut self, inst: &Inst) -> Option<Rewrite> {
        let [a, b, _] = inst.args;
        if self.region.constant(a).is_some() && self.region.constant(b).is_none() {
            return Some(Rewrite::Become(binary(inst.op, inst.ty, b, a)));
        }
        if a == b {
            match inst.op {
                Op::And | Op::Or => return Some(Rewrite::Same(a)),
                Op::Xor => return Some(self.known(inst.ty, 0)),
                _ => {}
            }
        }
        let known = self.region.constant(b)?;
        let all = inst.ty.mask();
        match inst.op {
            Op::Add | Op::Or | Op::Xor if known == 0 => Some(Rewrite::Same(a)),
            Op::And | Op::Mul if known == 0 => Some(Rewrite::Same(b)),
            Op::And if known == all || known == 1 && self.is_truth(a) => Some(Rewrite::Same(a)),
            Op::Or if known == all => Some(Rewrite::Same(b)),
            Op::Mul if known == 1 && !inst.ty.is_vector() => Some(Rewrite::Same(a)),
            Op::Xor if known == 1 && inst.ty == Ty::I8 => self.complement(a),
            _ => self.reassociated(inst, a, known),
        }
    }

    /// The complement of a truth value that is a comparison, or a complement itself.
    fn complement(&mut self, a: Value) -> Option<Rewrite> {
        if let Some(a) = self.complemented(a) {
            return Some(Rewrite::Same(a));
        }
        let inst = *self.region.inst(a);
        let scalar = inst.op == Op::Icmp && !inst.ty.is_vector();
        let inverted = || icmp(inverse(IntCond::from_aux(inst.aux)), inst.ty, inst.args[0], inst.args[1]);
        scalar.then(|| Rewrite::Become(inverted()))
    }

    /// (x op c) op d, where nothing else uses the first step.
    fn reassociated(&mut self, inst: &Inst, a: Value, d: u128) -> Option<Rewrite> {
        let inner = *self.region.inst(a);
        if inner.op != inst.op || inner.ty != inst.ty || inst.ty.is_vector() || self.uses[a.index()] > 1 {
            return None;
        }
        let c = self.region.constant(inner.args[1])?;
        let both = match inst.op {
            Op::Add => c.wrapping_add(d) & inst.ty.mask(),
            Op::And => c & d,
            Op::Or => c | d,
            Op::Xor => c ^ d,
            _ => return None,
        };
        let both = self.constant(inst.ty, both);
        self.uses[inner.args[0].index()] += 1;
        Some(Rewrite::Become(binary(inst.op, inst.ty, inner.args[0], both)))
    }

    fn difference(&mut self, inst: &Inst) -> Option<Rewrite> {
        let [a, b, _] = inst.args;
        if a == b {
            return Some(self.known(inst.ty, 0));
        }
        let known = self.region.constant(b)?;
        if known == 0 || inst.op == Op::AndNot && known & !self.shifted_out(a) == 0 {
            return Some(Rewrite::Same(a));
        }
        // One form for constants, so that they meet in addresses.
        if inst.op == Op::Sub && matches!(inst.ty, Ty::I32 | Ty::I64) {
            let negated = self.constant(inst.ty, known.wrapping_neg() & inst.ty.mask());
            return Some(Rewrite::Become(binary(Op::Add, inst.ty, a, negated)));
        }
        None
    }

    /// The bits that are surely clear in a vector, because its lanes were shifted.
    fn shifted_out(&self, value: Value) -> u128 {
        let inst = self.region.inst(value);
        if !matches!(inst.op, Op::VshlImm | Op::VlshrImm) {
            return 0;
        }
        let (lane, amount) = (inst.ty.lane().mask(), inst.imm as u32);
        let kept = match inst.op {
            Op::VshlImm => lane.checked_shl(amount).unwrap_or(0) & lane,
            _ => lane.checked_shr(amount).unwrap_or(0),
        };
        (0..inst.ty.lanes()).fold(0, |all, index| all | (lane & !kept) << (index * inst.ty.lane().bits()))
    }

    fn shift(&mut self, inst: &Inst) -> Option<Rewrite> {
        let amount = self.region.constant(inst.args[1])?;
        (amount & u128::from(inst.ty.bits() - 1) == 0).then_some(Rewrite::Same(inst.args[0]))
    }

    /// The zeroes at the top of bits in reverse order are those at the bottom: AArch64 counts these so.
    fn reversed(&mut self, inst: &Inst) -> Option<Rewrite> {
        let inner = self.region.inst(inst.args[0]);
        let is_reversed = inner.op == Op::Rbit && inner.ty == inst.ty && !inst.ty.is_vector();
        is_reversed.then(|| Rewrite::Become(Inst { args: inner.args, ..Inst::new(Op::Ctz, inst.ty) }))
    }

    fn involution(&mut self, inst: &Inst) -> Option<Rewrite> {
        let inner = self.region.inst(inst.args[0]);
        (inner.op == inst.op && inner.ty == inst.ty).then_some(Rewrite::Same(inner.args[0]))
    }

    fn comparison(&mut self, inst: &Inst) -> Option<Rewrite> {
        let [a, b, _] = inst.args;
        let cond = IntCond::from_aux(inst.aux);
        if a == b {
            let holds = matches!(cond, IntCond::Eq | IntCond::Ule | IntCond::Uge | IntCond::Sle | IntCond::Sge);
            return Some(self.known(Ty::I8, holds.into()));
        }
        let known = self.region.constant(b)?;
        let equality = match (cond, known) {
            (IntCond::Ne, 0) | (IntCond::Eq, 1) => true,
            (IntCond::Eq, 0) | (IntCond::Ne, 1) => false,
            (IntCond::Ult, 0) => return Some(self.known(Ty::I8, 0)),
            (IntCond::Uge, 0) => return Some(self.known(Ty::I8, 1)),
            _ => return None,
        };
        let truth = self.truth_behind(a)?;
        if equality {
            return Some(Rewrite::Same(truth));
        }
        let one = self.constant(Ty::I8, 1);
        Some(Rewrite::Become(binary(Op::Xor, Ty::I8, truth, one)))
    }

    /// The truth value that an integer is, perhaps widened.
    fn truth_behind(&self, value: Value) -> Option<Value> {
        let inst = self.region.inst(value);
        let narrow = if inst.op == Op::Zext { inst.args[0] } else { value };
        (self.region.ty(narrow) == Ty::I8 && self.is_truth(narrow)).then_some(narrow)
    }

    fn conversion(&mut self, inst: &Inst) -> Option<Rewrite> {
        let inner = *self.region.inst(inst.args[0]);
        let origin = inner.args[0];
        let again =
            |op| Some(Rewrite::Become(Inst { args: [origin, Value::NONE, Value::NONE], ..Inst::new(op, inst.ty) }));
        match (inst.op, inner.op) {
            (Op::Zext, Op::Zext) | (Op::Sext, Op::Sext) | (Op::Trunc, Op::Trunc) => again(inner.op),
            // A zero-extended value has a clear sign bit.
            (Op::Sext, Op::Zext) => again(Op::Zext),
            (Op::Bitcast, Op::Bitcast) if self.region.ty(origin) == inst.ty => Some(Rewrite::Same(origin)),
            (Op::Bitcast, Op::Bitcast) => again(Op::Bitcast),
            (Op::Trunc, Op::Zext | Op::Sext) => match self.region.ty(origin) {
                ty if ty == inst.ty => Some(Rewrite::Same(origin)),
                ty if ty.bits() > inst.ty.bits() => again(Op::Trunc),
                _ => again(inner.op),
            },
            (Op::Trunc, Op::Concat) if inst.ty == Ty::I64 => Some(Rewrite::Same(origin)),
            (Op::Trunc, Op::Concat) => again(Op::Trunc),
            (Op::Trunc, Op::And) => {
                let kept = self.region.constant(inner.args[1])? & inst.ty.mask();
                if kept == inst.ty.mask() { again(Op::Trunc) } else { None }
            }
            _ => None,
        }
    }

    fn half(&mut self, inst: &Inst) -> Option<Rewrite> {
        let inner = self.region.inst(inst.args[0]);
        let half = usize::from(inst.op == Op::High);
        (inner.op == Op::Concat).then_some(Rewrite::Same(inner.args[half]))
    }

    fn known(&mut self, ty: Ty, bits: u128) -> Rewrite {
        Rewrite::Become(self.constant_inst(ty.value(), bits))
    }
}
