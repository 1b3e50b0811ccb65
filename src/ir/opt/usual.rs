//! Makes two of the end of a block in which many floating-point results would have to be tested: one for numbers of
//! usual size, whose results need no test, and one for all others.
//!
//! What decides are a few values from which the block computes the others. That they are of usual size is tested in
//! general registers, once for all of them. A block is left as it is if its end computes what other blocks use
//! and cannot be computed before it.

use super::ranges::{Format, Ranges, Roots};
use super::{Exactness, calls_state_helper, is_pure, map_operands, renamed};
use crate::builder::RegionBuilder;
use crate::ops::{Effect, IntCond, NanRule, Op};
use crate::region::{Block, BlockId, Region, Terminator, Value};
use crate::tiny;
use crate::ty::Ty;
use crate::uses::count_uses;
use std::collections::{HashMap, HashSet};

/// How many tests a root must save.
const WORTH_A_ROOT: usize = 2;

/// How many more tests there must be than roots.
const WORTH: usize = 4;

/// The longest end of which two are made, in instructions.
const LONGEST: usize = 200;

/// The pass.
pub(super) fn run(region: &mut Region, _: Exactness) {
    for id in region.block_ids() {
        let Some(plan) = Format::ALL.iter().find_map(|&format| plan(region, id, format)) else { continue };
        if let Some(kept) = kept_in_head(region, id, &plan) {
            split(region, id, &plan, &kept);
        }
    }
}

/// How a block is split.
struct Plan {
    format: Format,
    /// The place in the block where its end begins.
    end: usize,
    /// What is to be of usual size.
    roots: Vec<Value>,
    /// What needs no test then.
    agreed: HashSet<Value>,
}

/// An operation of a block on which machines agree because of its roots.
struct Agreed {
    value: Value,
    place: usize,
    roots: Roots,
    is_tested: bool,
}

impl Agreed {
    /// Whether it is in the end that begins at `end`, and `roots` are enough for it.
    fn is_covered(&self, roots: Roots, end: usize) -> bool {
        self.place >= end && self.roots & !roots == 0
    }
}

/// The split of block `id` that saves most tests of numbers of this format, if that is worth while.
fn plan(region: &Region, id: BlockId, format: Format) -> Option<Plan> {
    let insts = &region.block(id).insts;
    let (values, agreed) = candidates(region, insts, format)?;
    let ends: Vec<usize> = values.iter().map(|&root| first_place_behind(region, insts, root)).collect();
    let saved = |roots: Roots, end: usize| {
        agreed.iter().filter(|operation| operation.is_tested && operation.is_covered(roots, end)).count()
    };
    // What is best for an end that begins at `end`: how many more tests than roots that is, and the roots.
    let best = |end: usize| {
        let there = ends.iter().enumerate().filter(|&(_, &at)| at <= end);
        let mut roots = there.fold(0, |roots, (number, _)| roots | 1 << number);
        while let Some(idle) = idle_root(roots, |roots| saved(roots, end)) {
            roots &= !idle;
        }
        (saved(roots, end).saturating_sub(roots.count_ones() as usize), roots)
    };
    let ((gain, roots), end) = ends.iter().map(|&end| (best(end), end)).max_by_key(|&((gain, _), _)| gain)?;
    let covered = agreed.iter().filter(|operation| operation.is_covered(roots, end));
    let first = covered.clone().map(|operation| operation.place).min()?;
    if gain < WORTH || insts.len() - first > LONGEST {
        return None;
    }
    let is_root = |number: &usize| roots >> number & 1 != 0;
    Some(Plan {
        format,
        end: first,
        roots: (0..values.len()).filter(is_root).map(|number| values[number]).collect(),
        agreed: covered.map(|operation| operation.value).collect(),
    })
}

/// The possible roots of a block, and on what machines agree because of them, if there is much to test.
fn candidates(region: &Region, insts: &[Value], format: Format) -> Option<(Vec<Value>, Vec<Agreed>)> {
    let is_tested = |value: Value| tiny::may_be_missed(region, region.inst(value));
    let tested: Vec<Value> = insts.iter().copied().filter(|&value| is_tested(value)).collect();
    if tested.len() < WORTH {
        return None;
    }
    let mut ranges = Ranges::new(region, format);
    tested.iter().for_each(|&value| ranges.add_roots(region.inst(value)));
    let agreed = insts.iter().enumerate().filter_map(|(place, &value)| {
        let roots = ranges.agreement(region.inst(value))?;
        Some(Agreed { value, place, roots, is_tested: is_tested(value) })
    });
    let agreed = agreed.collect();
    Some((ranges.roots, agreed))
}

/// The root of `roots` that saves least, if that is not worth its test.
fn idle_root(roots: Roots, saved: impl Fn(Roots) -> usize) -> Option<Roots> {
    let all = saved(roots);
    let each = (0..Roots::BITS).map(|number| 1 << number).filter(|root| roots & root != 0);
    let (lost, root) = each.map(|root| (all - saved(roots & !root), root)).min()?;
    (lost < WORTH_A_ROOT).then_some(root)
}

/// The first place in a block of `insts` where `root` can be known: those of other blocks are from the start, and what the
/// block only reads of slots can be, too.
fn first_place_behind(region: &Region, insts: &[Value], root: Value) -> usize {
    let Some(place) = insts.iter().position(|&value| value == root) else { return 0 };
    let get = region.inst(root);
    let is_written = |value: &Value| {
        let inst = region.inst(*value);
        inst.op.info().effect == Effect::WriteSlot && inst.slot() == get.slot() || calls_state_helper(region, inst)
    };
    if get.op == Op::Get && !insts[..place].iter().any(is_written) { 0 } else { place + 1 }
}

/// What of the block's end its roots are, or other blocks use, with what it is computed of, if all of it can be there before
/// the end begins.
fn kept_in_head(region: &Region, id: BlockId, plan: &Plan) -> Option<Vec<Value>> {
    let uses = count_uses(region, region.block_ids().filter(|&other| other != id));
    let insts = &region.block(id).insts[plan.end..];
    let mut kept: HashSet<Value> = HashSet::new();
    for &value in insts.iter().rev() {
        let inst = region.inst(value);
        if plan.roots.contains(&value) {
            kept.insert(value);
        } else if uses[value.index()] > 0 || kept.contains(&value) {
            if !is_pure(region, inst) || region.raises(inst) {
                return None;
            }
            kept.insert(value);
            kept.extend(inst.operands());
        }
    }
    Some(insts.iter().copied().filter(|value| kept.contains(value)).collect())
}

/// Ends the block with a test of the roots, and makes its end twice.
fn split(region: &mut Region, id: BlockId, plan: &Plan, kept: &[Value]) {
    let block = &mut region.blocks[id.index()];
    let mut insts = block.insts.split_off(plan.end);
    insts.retain(|value| !kept.contains(value));
    block.insts.extend(kept);
    let end = std::mem::replace(&mut block.end, Terminator::Open);
    let mut b = RegionBuilder::new(region);
    let (usual, other) = (b.current(), b.new_block());
    b.switch_to(id);
    let are_usual = test_roots(&mut b, plan);
    b.branch(are_usual, usual, other);
    b.switch_to(usual);
    let copies = copy_agreed(&mut b, &insts, &plan.agreed);
    region.blocks[usual.index()].end = map_operands(end, |value| copies.get(&value).copied().unwrap_or(value));
    region.blocks[other.index()] = Block { insts, end };
}

/// Whether all roots are of usual size: bits without the sign and the exponents below usual ones are all in range.
fn test_roots(b: &mut RegionBuilder<'_>, plan: &Plan) -> Value {
    let ty = if plan.format.ty == Ty::F64 { Ty::I64 } else { Ty::I32 };
    let smallest = b.iconst(ty, plan.format.usual_doubled());
    let mut above = None;
    for &root in &plan.roots {
        let bits = b.bitcast(ty, root);
        let doubled = b.add(ty, bits, bits);
        let offset = b.sub(ty, doubled, smallest);
        above = Some(above.map_or(offset, |above| b.or(ty, above, offset)));
    }
    b.icmp_imm(ty, IntCond::Ult, above.expect("a plan has roots"), plan.format.usual_span())
}

/// Appends copies of `insts`, and says what each is a copy of.
fn copy_agreed(b: &mut RegionBuilder<'_>, insts: &[Value], agreed: &HashSet<Value>) -> HashMap<Value, Value> {
    let mut copies: HashMap<Value, Value> = HashMap::new();
    for &value in insts {
        let mut inst = renamed(b.region().inst(value), &copies);
        if agreed.contains(&value) {
            inst.aux = NanRule::Agreed as u8;
        }
        copies.insert(value, b.push(inst));
    }
    copies
}
