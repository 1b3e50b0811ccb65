//! Sums with a carry in whose carry out is wanted too: one addition on the host that takes the carry and makes the next,
//! where apart they are two additions, two comparisons and what joins these.
//!
//! In: a region's flags of sums and who tests their carry; an addition of the form (a + b) + carry, or
//! (a + not b) + carry. Out: its value, and its carry for tests in the same block. What must hold: flags that find no
//! such addition in front of them are computed as ever.

use super::lower::Lower;
use cranelift_codegen::ir::types::{I8, I64};
use cranelift_codegen::ir::{InstBuilder, Value as Clif};
use philae_ir::{BlockId, Carry, Cond, Inst, Op, Region, Ty, Value};
use rustc_hash::{FxHashMap, FxHashSet};

/// What is added to the first summand, besides the carry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Addend {
    This(Value),
    NotThis(Value),
}

/// A sum of two and a carry.
type Sum = (Value, Addend, Value);

/// The flags of a region whose carries are made with their sums.
#[derive(Debug, Default)]
pub(super) struct Carries {
    /// Whose carry is tested in their block, by what they are the flags of.
    wanted: FxHashMap<Sum, Value>,
    /// Those that the current block has made, by their flags.
    made: FxHashMap<Value, Clif>,
}

impl Carries {
    /// Finds the flags of these blocks.
    pub(super) fn of(region: &Region, blocks: &[BlockId]) -> Carries {
        let mut wanted = FxHashMap::default();
        for &block in blocks {
            let mut tested = FxHashSet::default();
            for &value in region.block(block).insts.iter().rev() {
                let inst = region.inst(value);
                if inst.op == Op::FlagsTest && matches!(Cond::from_aux(inst.aux), Cond::Cs | Cond::Cc) {
                    tested.insert(inst.args[0]);
                }
                if tested.contains(&value) {
                    wanted.extend(summed(inst).map(|sum| (sum, value)));
                }
            }
        }
        Carries { wanted, made: FxHashMap::default() }
    }

    /// Forgets what a block has made: it need not be there in others.
    pub(super) fn forget_block(&mut self) {
        self.made.clear();
    }

    /// The carry of these flags, if it is there.
    pub(super) fn made(&self, flags: Value) -> Option<Clif> {
        self.made.get(&flags).copied()
    }
}

/// What these are the flags of, if that is a sum with a carry.
fn summed(flags: &Inst) -> Option<Sum> {
    let [a, b, carry] = flags.args;
    match flags.op {
        _ if flags.ty != Ty::I64 => None,
        Op::FlagsAdc => Some((a, Addend::This(b), carry)),
        // a − b − !carry = a + not b + carry.
        Op::FlagsSbc if Carry::from_aux(flags.aux) == Carry::NotBorrow => Some((a, Addend::NotThis(b), carry)),
        _ => None,
    }
}

impl Lower<'_, '_> {
    /// An addition whose carry is wanted.
    pub(super) fn sum_with_carry(&mut self, inst: &Inst) -> Option<Clif> {
        if inst.ty != Ty::I64 || self.carries.wanted.is_empty() {
            return None;
        }
        let [partial, wide_carry] = [inst.args[0], inst.args[1]].map(|value| self.region.inst(value));
        if (partial.op, wide_carry.op) != (Op::Add, Op::Zext) {
            return None;
        }
        let (a, b, carry) = (partial.args[0], partial.args[1], wide_carry.args[0]);
        let plain = self.carries.wanted.get(&(a, Addend::This(b), carry));
        let flags = plain.or_else(|| {
            let inverted = self.region.inst(b);
            let addend = (inverted.op == Op::Not).then(|| Addend::NotThis(inverted.args[0]))?;
            self.carries.wanted.get(&(a, addend, carry))
        });
        let flags = *flags?;
        let (a, b, carry) = (self.value(a), self.value(b), self.value(carry));
        if self.type_of(carry) != I8 {
            return None;
        }
        let (sum, carry) = self.add_with_carry(a, b, carry);
        self.carries.made.insert(flags, carry);
        Some(sum)
    }

    /// a + b + carry and the carry of that: the upper halves of a sum of 128 bits, in which the lower ones, carry and all
    /// bits set, carry if the carry is 1.
    fn add_with_carry(&mut self, a: Clif, b: Clif, carry: Clif) -> (Clif, Clif) {
        let carry = self.zero_extend(carry, I64);
        let ones = self.iconst(I64, u64::MAX);
        let (left, right) = (self.b.ins().iconcat(carry, a), self.b.ins().iconcat(ones, b));
        let (sum, carry) = self.b.ins().uadd_overflow(left, right);
        let (_, sum) = self.b.ins().isplit(sum);
        (sum, carry)
    }
}
