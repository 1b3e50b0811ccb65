//! Lanes of vectors that were put together of scalars: nothing needs to go through a vector register.
//!
//! Where such a vector is shuffled by halves, or added to another, the scalars are followed there: a guest that computes
//! with pairs of words computes with the words.

use super::{Fold, Rewrite, binary};
use crate::ops::Op;
use crate::region::{Inst, Value};
use crate::ty::Ty;

/// How many operations between the scalars and the lane are looked through.
const DEPTH: u32 = 4;

impl Fold<'_> {
    /// A lane that is known as a scalar already, or can be computed of scalars.
    pub(super) fn lane(&mut self, value: Value, inst: &Inst) -> Option<Rewrite> {
        let (vector, lane) = (inst.args[0], inst.imm as usize);
        if inst.ty == Ty::I64X2 {
            if let Some(&known) = self.lanes.get(&(vector, lane)) {
                return Some(Rewrite::Same(self.same[known.index()]));
            }
            self.lanes.insert((vector, lane), value);
        }
        let inner = *self.region.inst(vector);
        match inner.op {
            Op::Splat if inner.ty == inst.ty => Some(Rewrite::Same(inner.args[0])),
            Op::InsertLane if inner.ty == inst.ty && inner.imm == inst.imm => Some(Rewrite::Same(inner.args[1])),
            Op::InsertLane if inner.ty == inst.ty => Some(Rewrite::Become(extract(inst, inner.args[0], inst.imm))),
            _ if inst.ty == Ty::I64X2 => self.half_of(inst, &inner),
            _ => None,
        }
    }

    /// A lane of 64 bits of what `inner` makes.
    fn half_of(&mut self, inst: &Inst, inner: &Inst) -> Option<Rewrite> {
        let lane = inst.imm as usize;
        match inner.op {
            Op::Concat => Some(Rewrite::Same(inner.args[lane])),
            Op::Shuffle => {
                let (source, from) = self.shuffled_half(inner, lane)?;
                Some(Rewrite::Become(extract(inst, source, from as u64)))
            }
            _ if is_by_halves(inner) && self.is_of_scalars(inst.args[0], lane, DEPTH) => {
                let [a, b] = [inner.args[0], inner.args[1]].map(|arg| self.emit_inst(extract(inst, arg, inst.imm)));
                Some(Rewrite::Become(binary(inner.op, Ty::I64, a, b)))
            }
            _ => None,
        }
    }

    /// The half that a shuffle puts into a half, if it moves one whole.
    fn shuffled_half(&self, shuffle: &Inst, lane: usize) -> Option<(Value, usize)> {
        let mask = self.region.consts[shuffle.imm as usize].to_le_bytes();
        let bytes = &mask[8 * lane..8 * lane + 8];
        let first = usize::from(bytes[0]);
        let whole = first % 8 == 0 && first < 32;
        let moved = whole && bytes.iter().enumerate().all(|(index, &byte)| usize::from(byte) == first + index);
        moved.then(|| (shuffle.args[first / 16], first / 8 % 2))
    }

    /// Whether a half of a vector was a scalar, or is computed of such.
    fn is_of_scalars(&self, vector: Value, lane: usize, depth: u32) -> bool {
        let inst = self.region.inst(vector);
        match inst.op {
            _ if depth == 0 => false,
            Op::Concat => true,
            Op::InsertLane if inst.ty == Ty::I64X2 => {
                inst.imm as usize == lane || self.is_of_scalars(inst.args[0], lane, depth - 1)
            }
            Op::Shuffle => {
                self.shuffled_half(inst, lane).is_some_and(|(source, from)| self.is_of_scalars(source, from, depth - 1))
            }
            _ if is_by_halves(inst) => inst.args[..2].iter().any(|&arg| self.is_of_scalars(arg, lane, depth - 1)),
            _ => false,
        }
    }
}

/// Whether each half of the result depends on the same halves of two operands, as a scalar operation of the same name.
fn is_by_halves(inst: &Inst) -> bool {
    match inst.op {
        Op::Add | Op::Sub => inst.ty == Ty::I64X2,
        Op::And | Op::Or | Op::Xor | Op::AndNot => inst.ty.bits() == 128 && !inst.ty.is_int(),
        _ => false,
    }
}

/// Another lane of another vector.
fn extract(like: &Inst, vector: Value, lane: u64) -> Inst {
    Inst { args: [vector, Value::NONE, Value::NONE], imm: lane, ..*like }
}
