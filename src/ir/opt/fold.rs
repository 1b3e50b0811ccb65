//! Computes what is known, simplifies what is left, fuses flags with their tests, and merges what is computed twice
//! in a block.
//!
//! Floating-point arithmetic is left alone. An instruction is rewritten in its own place; what a rewrite needs
//! beside goes in front of it and through the same rules.

mod flags;
mod integers;
mod lanes;

use super::{Exactness, is_pure, map_operands};
use crate::eval::eval;
use crate::flow::Flow;
use crate::ops::{IntCond, Op};
use crate::region::{BlockId, Inst, Region, Terminator, Value};
use crate::ty::Ty;
use crate::uses::count_uses;
use std::collections::HashMap;

/// How far back a block is searched for the same computation.
const WINDOW: usize = 32;

/// The pass.
pub(super) fn run(region: &mut Region, _: Exactness) {
    let flow = Flow::new(region);
    let uses = count_uses(region, region.block_ids());
    let same = (0..region.insts.len() as u32).map(Value).collect();
    let mut fold = Fold { region, same, uses, insts: Vec::new(), window: Vec::new(), lanes: HashMap::new() };
    for &block in &flow.order {
        fold.block(block);
    }
}

/// What becomes of an instruction.
enum Rewrite {
    /// The value it makes is this one.
    Same(Value),
    /// It is this instruction instead, which may be rewritten again.
    Become(Inst),
}

struct Fold<'a> {
    region: &'a mut Region,
    /// What each value is called now.
    same: Vec<Value>,
    /// How often each value is used; an estimate once rewriting has begun.
    uses: Vec<u32>,
    /// The new list of the current block.
    insts: Vec<Value>,
    /// Its last pure instructions.
    window: Vec<Value>,
    /// The lanes of 64 bits that are scalars in this block.
    lanes: HashMap<(Value, usize), Value>,
}

impl Fold<'_> {
    fn block(&mut self, block: BlockId) {
        self.window.clear();
        self.lanes.clear();
        for value in std::mem::take(&mut self.region.blocks[block.index()].insts) {
            self.visit(value);
        }
        let end = map_operands(self.region.block(block).end, |value| self.same[value.index()]);
        self.region.blocks[block.index()].end = self.terminator(end);
        self.region.blocks[block.index()].insts = std::mem::take(&mut self.insts);
    }

    /// Branches on constants and on complements.
    fn terminator(&self, end: Terminator) -> Terminator {
        let Terminator::Branch { cond, then, other } = end else { return end };
        if let Some(known) = self.region.constant(cond) {
            return Terminator::Jump(if known & 1 == 1 { then } else { other });
        }
        match self.complemented(cond) {
            Some(cond) => self.terminator(Terminator::Branch { cond, then: other, other: then }),
            None => end,
        }
    }

    /// The truth value that `value` is the complement of.
    fn complemented(&self, value: Value) -> Option<Value> {
        let inst = self.region.inst(value);
        let flips = inst.op == Op::Xor && inst.ty == Ty::I8 && self.region.constant(inst.args[1]) == Some(1);
        flips.then_some(inst.args[0])
    }

    /// Simplifies an instruction and lists what is left of it; what its value is called now.
    fn visit(&mut self, value: Value) -> Value {
        for arg in self.region.insts[value.index()].args.iter_mut().filter(|arg| **arg != Value::NONE) {
            *arg = self.same[arg.index()];
        }
        loop {
            match self.rewrite(value) {
                Some(Rewrite::Become(inst)) => self.region.insts[value.index()] = inst,
                Some(Rewrite::Same(known)) => {
                    self.same[value.index()] = known;
                    return known;
                }
                None => break,
            }
        }
        let inst = *self.region.inst(value);
        if is_pure(self.region, &inst) && inst.op != Op::Call {
            if let Some(&known) = self.window.iter().rev().take(WINDOW).find(|v| *self.region.inst(**v) == inst) {
                self.same[value.index()] = known;
                return known;
            }
            self.window.push(value);
        }
        self.insts.push(value);
        value
    }

    /// Puts an instruction in front of the current one.
    fn emit(&mut self, op: Op, ty: Ty, aux: u8, args: &[Value]) -> Value {
        let mut inst = Inst::new(op, ty);
        inst.aux = aux;
        inst.args[..args.len()].copy_from_slice(args);
        self.emit_inst(inst)
    }

    fn emit_inst(&mut self, inst: Inst) -> Value {
        let value = Value(self.region.insts.len() as u32);
        for arg in inst.operands() {
            self.uses[arg.index()] += 1;
        }
        self.region.insts.push(inst);
        self.same.push(value);
        self.uses.push(1);
        self.visit(value)
    }

    fn constant(&mut self, ty: Ty, bits: u128) -> Value {
        let inst = self.constant_inst(ty, bits);
        self.emit_inst(inst)
    }

    fn constant_inst(&mut self, ty: Ty, bits: u128) -> Inst {
        let wide = ty.bits() == 128;
        let mut inst = Inst::new(if wide { Op::WideConst } else { Op::Const }, ty);
        inst.imm = if wide { self.region.intern_const(bits) } else { (bits & ty.mask()) as u64 };
        inst
    }

    fn rewrite(&mut self, value: Value) -> Option<Rewrite> {
        let inst = *self.region.inst(value);
        self.evaluated(&inst).or_else(|| match inst.op {
            Op::Load | Op::LoadZext | Op::LoadSext | Op::Store => self.address(&inst),
            Op::FlagsTest => self.flags_test(&inst),
            Op::Select => self.select(&inst),
            Op::ExtractLane => self.lane(value, &inst),
            _ => self.integer(&inst),
        })
    }

    /// The constant that a pure instruction makes out of constants.
    fn evaluated(&mut self, inst: &Inst) -> Option<Rewrite> {
        let ty = inst.result()?;
        let makes_constants = is_pure(self.region, inst) && !matches!(inst.op, Op::Const | Op::WideConst | Op::Call);
        if !makes_constants || ty == Ty::Flags || inst.op.raises() {
            return None;
        }
        let mut args = [0; 3];
        for (arg, bits) in inst.operands().zip(&mut args) {
            *bits = self.region.constant(arg)?;
        }
        let bits = eval(self.region, inst, args);
        Some(Rewrite::Become(self.constant_inst(ty, bits)))
    }

    /// A constant added to an address that nothing else uses goes into the access's offset.
    fn address(&mut self, inst: &Inst) -> Option<Rewrite> {
        let add = *self.region.inst(inst.args[0]);
        if add.op != Op::Add || self.uses[inst.args[0].index()] > 1 {
            return None;
        }
        let offset = inst.imm.wrapping_add(self.region.constant(add.args[1])? as u64);
        i32::try_from(offset as i64).ok()?;
        let mut inst = *inst;
        (inst.args[0], inst.imm) = (add.args[0], offset);
        self.uses[add.args[0].index()] += 1;
        Some(Rewrite::Become(inst))
    }

    fn select(&mut self, inst: &Inst) -> Option<Rewrite> {
        let [cond, a, b] = inst.args;
        if a == b {
            return Some(Rewrite::Same(a));
        }
        if let Some(known) = self.region.constant(cond) {
            return Some(Rewrite::Same(if known & 1 == 1 { a } else { b }));
        }
        if let Some(cond) = self.complemented(cond) {
            return Some(Rewrite::Become(Inst { args: [cond, b, a], ..*inst }));
        }
        if inst.ty != Ty::I8 || !self.is_truth(cond) {
            return None;
        }
        // Of truth values: what a chain of conditional compares is made of.
        let known = (self.region.constant(a), self.region.constant(b));
        let binary = |op, a, b| Some(Rewrite::Become(binary(op, Ty::I8, a, b)));
        match known {
            (Some(1), Some(0)) => Some(Rewrite::Same(cond)),
            (Some(0), Some(1)) => {
                let one = self.constant(Ty::I8, 1);
                binary(Op::Xor, cond, one)
            }
            (_, Some(0)) if self.is_truth(a) => binary(Op::And, cond, a),
            (Some(1), _) if self.is_truth(b) => binary(Op::Or, cond, b),
            (Some(0), _) if self.is_truth(b) => binary(Op::AndNot, b, cond),
            _ => None,
        }
    }

    /// Whether `value` is surely 0 or 1.
    fn is_truth(&self, value: Value) -> bool {
        let inst = self.region.inst(value);
        match inst.op {
            Op::Icmp | Op::Fcmp => !inst.ty.is_vector(),
            Op::FlagsTest | Op::PollPending => true,
            Op::Const => inst.imm <= 1,
            Op::And => self.is_truth(inst.args[0]) || self.is_truth(inst.args[1]),
            Op::AndNot => self.is_truth(inst.args[0]),
            Op::Or | Op::Xor => self.is_truth(inst.args[0]) && self.is_truth(inst.args[1]),
            Op::Select => self.is_truth(inst.args[1]) && self.is_truth(inst.args[2]),
            _ => false,
        }
    }
}

fn binary(op: Op, ty: Ty, a: Value, b: Value) -> Inst {
    Inst { args: [a, b, Value::NONE], ..Inst::new(op, ty) }
}

fn icmp(cond: IntCond, ty: Ty, a: Value, b: Value) -> Inst {
    Inst { aux: cond as u8, ..binary(Op::Icmp, ty, a, b) }
}

/// The relation that holds where `cond` does not.
fn inverse(cond: IntCond) -> IntCond {
    match cond {
        IntCond::Eq => IntCond::Ne,
        IntCond::Ne => IntCond::Eq,
        IntCond::Ult => IntCond::Uge,
        IntCond::Ule => IntCond::Ugt,
        IntCond::Ugt => IntCond::Ule,
        IntCond::Uge => IntCond::Ult,
        IntCond::Slt => IntCond::Sge,
        IntCond::Sle => IntCond::Sgt,
        IntCond::Sgt => IntCond::Sle,
        IntCond::Sge => IntCond::Slt,
    }
}
