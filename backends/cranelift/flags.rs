//! Flags are computed where they are used: a condition on a comparison's flags is one compare, a branch on it one
//! compare and branch, and the four bits are made only where they go to memory or to another block.

use super::lower::Lower;
use super::x86_64::StandIn;
use cranelift_codegen::ir::condcodes::{CondCode, FloatCC, IntCC};
use cranelift_codegen::ir::types::{I8, I32};
use cranelift_codegen::ir::{self, InstBuilder, InstructionData, Opcode, SourceLoc, Value as Clif};
use philae_ir::ops::SIGNALS;
use philae_ir::{BlockId, Carry, Cond, Effect, FloatCond, Inst, Op, Terminator, Value};

/// A truth value that may be known while compiling.
#[derive(Clone, Copy)]
enum Truth {
    Known(bool),
    Value(Clif),
}

/// The bits of NZCV.
const BIT_N: u64 = 3;
const BIT_Z: u64 = 2;
const BIT_C: u64 = 1;
const BIT_V: u64 = 0;

impl Lower<'_, '_> {
    /// [`Op::FlagsTest`] and [`Op::FlagsToBits`].
    pub(super) fn flags_result(&mut self, inst: &Inst) -> Clif {
        match inst.op {
            Op::FlagsTest => {
                let truth = self.test(inst.args[0], Cond::from_aux(inst.aux));
                self.truth_value(truth)
            }
            _ => self.flag_bits(inst.args[0]),
        }
    }

    /// Branches on `cond`, a truth value of the region.
    pub(super) fn branch(&mut self, cond: Value, then: ir::Block, other: ir::Block) {
        let inst = self.region.inst(cond);
        if inst.op == Op::FlagsTest {
            return self.branch_on_flags(inst.args[0], Cond::from_aux(inst.aux), then, other);
        }
        let signals = self.signalling == Some(cond);
        let cond = self.value(cond);
        if signals {
            self.mark(StandIn::COMIS);
        }
        self.b.ins().brif(cond, then, &[], other, &[]);
        self.b.set_srcloc(SourceLoc::default());
    }

    /// The same branch with `then` second, unless that would take what signals NaNs from it.
    pub(super) fn branch_opposite(&mut self, cond: Value, then: ir::Block, other: ir::Block) {
        let inst = self.region.inst(cond);
        if inst.op == Op::FlagsTest {
            return self.branch_on_flags(inst.args[0], opposite(Cond::from_aux(inst.aux)), other, then);
        }
        if self.signalling == Some(cond) {
            return self.branch(cond, then, other);
        }
        let value = self.value(cond);
        let unless = self.opposite_value(value);
        self.b.ins().brif(unless, other, &[], then, &[]);
    }

    /// 1 where a truth value is 0. Cranelift does not see through a comparison of a comparison with 0.
    fn opposite_value(&mut self, value: Clif) -> Clif {
        let maker = self.b.func.dfg.value_def(value).inst();
        match maker.map(|maker| self.b.func.dfg.insts[maker]) {
            Some(InstructionData::IntCompare { cond, args: [a, b], .. }) => self.b.ins().icmp(cond.complement(), a, b),
            Some(InstructionData::FloatCompare { cond, args: [a, b], .. }) => {
                self.b.ins().fcmp(cond.complement(), a, b)
            }
            _ => self.compare_with(IntCC::Equal, value, 0),
        }
    }

    /// Flags chosen between two comparisons branch on the choice first: two fused branches instead of bit logic.
    fn branch_on_flags(&mut self, flags: Value, cond: Cond, then: ir::Block, other: ir::Block) {
        let flags = self.flag_source(flags);
        let inst = self.region.inst(flags);
        if inst.op == Op::Select && self.known_value(flags).is_none() {
            let chosen = self.value(inst.args[0]);
            let (first, second) = (self.arm_block(inst.args[1], cond), self.arm_block(inst.args[2], cond));
            let block = |arm: Result<ir::Block, bool>| match arm {
                Ok(block) => block,
                Err(true) => then,
                Err(false) => other,
            };
            self.b.ins().brif(chosen, block(first), &[], block(second), &[]);
            // What one arm computes does not dominate the other.
            let known = (self.differences.clone(), self.nibbles.clone());
            for (arm, flags) in [(first, inst.args[1]), (second, inst.args[2])] {
                if let Ok(block) = arm {
                    (self.differences, self.nibbles) = known.clone();
                    self.b.switch_to_block(block);
                    self.b.seal_block(block);
                    self.branch_on_flags(flags, cond, then, other);
                }
            }
            return;
        }
        match self.test(flags, cond) {
            Truth::Known(known) => _ = self.b.ins().jump(if known { then } else { other }, &[]),
            Truth::Value(value) => _ = self.b.ins().brif(value, then, &[], other, &[]),
        }
    }

    /// A block to test an arm's flags in, or what the test gives where that is known.
    fn arm_block(&mut self, flags: Value, cond: Cond) -> Result<ir::Block, bool> {
        match self.constant_flags(flags) {
            Some(bits) => Err(cond.holds(bits)),
            None => Ok(self.b.create_block()),
        }
    }

    fn constant_flags(&self, flags: Value) -> Option<u8> {
        let inst = self.region.inst(self.flag_source(flags));
        match inst.op {
            Op::FlagsFromBits => self.region.constant(inst.args[0]).map(|bits| bits as u8 & 15),
            _ => None,
        }
    }

    fn truth_value(&mut self, truth: Truth) -> Clif {
        match truth {
            Truth::Known(known) => self.bool_constant(known),
            Truth::Value(value) => value,
        }
    }

    fn not(&mut self, truth: Truth) -> Truth {
        match truth {
            Truth::Known(known) => Truth::Known(!known),
            Truth::Value(value) => Truth::Value(self.compare_with(IntCC::Equal, value, 0)),
        }
    }

    fn and(&mut self, a: Truth, b: Truth) -> Truth {
        match (a, b) {
            (Truth::Known(false), _) | (_, Truth::Known(false)) => Truth::Known(false),
            (Truth::Known(true), other) | (other, Truth::Known(true)) => other,
            (Truth::Value(a), Truth::Value(b)) => Truth::Value(self.b.ins().band(a, b)),
        }
    }

    fn or(&mut self, a: Truth, b: Truth) -> Truth {
        match (a, b) {
            (Truth::Known(true), _) | (_, Truth::Known(true)) => Truth::Known(true),
            (Truth::Known(false), other) | (other, Truth::Known(false)) => other,
            (Truth::Value(a), Truth::Value(b)) => Truth::Value(self.b.ins().bor(a, b)),
        }
    }

    fn xor(&mut self, a: Truth, b: Truth) -> Truth {
        match (a, b) {
            (Truth::Known(false), other) | (other, Truth::Known(false)) => other,
            (Truth::Known(true), other) | (other, Truth::Known(true)) => self.not(other),
            (Truth::Value(a), Truth::Value(b)) => Truth::Value(self.b.ins().bxor(a, b)),
        }
    }

    /// Whether `cond` holds for `flags`.
    fn test(&mut self, flags: Value, cond: Cond) -> Truth {
        let flags = self.flag_source(flags);
        if let Some(bits) = self.known_value(flags) {
            return Truth::Value(self.test_bits(bits, cond));
        }
        let inst = self.region.inst(flags);
        match inst.op {
            Op::FlagsSub => self.test_difference(inst, cond),
            Op::FlagsAdd => self.test_sum(flags, cond),
            Op::FlagsLogic => self.test_logic(inst, cond),
            Op::FlagsFcmp => self.test_floats(inst, cond),
            Op::FlagsFromBits => match self.constant_flags(flags) {
                Some(bits) => Truth::Known(cond.holds(bits)),
                None => {
                    let bits = self.value(inst.args[0]);
                    Truth::Value(self.test_bits(bits, cond))
                }
            },
            Op::Select => {
                let chosen = self.value(inst.args[0]);
                let (a, b) = (self.test(inst.args[1], cond), self.test(inst.args[2], cond));
                self.choose(chosen, a, b)
            }
            _ => self.test_parts(flags, cond),
        }
    }

    fn choose(&mut self, chosen: Clif, a: Truth, b: Truth) -> Truth {
        let yes = Truth::Value(chosen);
        match (a, b) {
            (Truth::Known(a), Truth::Known(b)) if a == b => Truth::Known(a),
            (Truth::Known(true), _) => self.or(yes, b),
            (Truth::Known(false), _) => {
                let no = self.not(yes);
                self.and(no, b)
            }
            (_, Truth::Known(true)) => {
                let no = self.not(yes);
                self.or(no, a)
            }
            (_, Truth::Known(false)) => self.and(yes, a),
            (Truth::Value(a), Truth::Value(b)) => Truth::Value(self.b.ins().select(chosen, a, b)),
        }
    }

    /// A condition on four bits: one bit tested, or the bits as an index into the condition's truth table.
    fn test_bits(&mut self, bits: Clif, cond: Cond) -> Clif {
        let (bit, set) = match cond {
            Cond::Eq => (BIT_Z, true),
            Cond::Ne => (BIT_Z, false),
            Cond::Cs => (BIT_C, true),
            Cond::Cc => (BIT_C, false),
            Cond::Mi => (BIT_N, true),
            Cond::Pl => (BIT_N, false),
            Cond::Vs => (BIT_V, true),
            Cond::Vc => (BIT_V, false),
            Cond::Hi | Cond::Ls | Cond::Ge | Cond::Lt | Cond::Gt | Cond::Le | Cond::Be | Cond::A => {
                let table = (0..16).filter(|&bits| cond.holds(bits)).fold(0u64, |table, bits| table | 1 << bits);
                let table = self.iconst(I32, table);
                // A shift amount counts modulo 32: the bits above the four would select outside of the table.
                let fifteen = self.iconst(I32, 15);
                let index = self.b.ins().band(bits, fifteen);
                let shifted = self.b.ins().ushr(table, index);
                let one = self.iconst(I32, 1);
                let bit = self.b.ins().band(shifted, one);
                return self.b.ins().ireduce(I8, bit);
            }
        };
        let mask = self.iconst(I32, 1 << bit);
        let masked = self.b.ins().band(bits, mask);
        self.compare_with(if set { IntCC::NotEqual } else { IntCC::Equal }, masked, 0)
    }

    fn test_difference(&mut self, inst: &Inst, cond: Cond) -> Truth {
        let (a, b) = (self.value(inst.args[0]), self.value(inst.args[1]));
        let borrow = Carry::from_aux(inst.aux) == Carry::Borrow;
        let by_sense = |on_borrow, on_not_borrow| if borrow { on_borrow } else { on_not_borrow };
        let relation = match cond {
            Cond::Eq => IntCC::Equal,
            Cond::Ne => IntCC::NotEqual,
            Cond::Cs => by_sense(IntCC::UnsignedLessThan, IntCC::UnsignedGreaterThanOrEqual),
            Cond::Cc => by_sense(IntCC::UnsignedGreaterThanOrEqual, IntCC::UnsignedLessThan),
            Cond::Hi => by_sense(IntCC::UnsignedLessThan, IntCC::UnsignedGreaterThan),
            Cond::Ls => by_sense(IntCC::UnsignedGreaterThanOrEqual, IntCC::UnsignedLessThanOrEqual),
            Cond::Be => by_sense(IntCC::UnsignedLessThanOrEqual, IntCC::UnsignedGreaterThanOrEqual),
            Cond::A => by_sense(IntCC::UnsignedGreaterThan, IntCC::UnsignedLessThan),
            Cond::Ge => IntCC::SignedGreaterThanOrEqual,
            Cond::Lt => IntCC::SignedLessThan,
            Cond::Gt => IntCC::SignedGreaterThan,
            Cond::Le => IntCC::SignedLessThanOrEqual,
            Cond::Mi | Cond::Pl => {
                let difference = self.difference(a, b);
                let sign = if cond == Cond::Mi { IntCC::SignedLessThan } else { IntCC::SignedGreaterThanOrEqual };
                return Truth::Value(self.compare_with(sign, difference, 0));
            }
            Cond::Vs | Cond::Vc => {
                let overflow = Truth::Value(self.subtract_overflow(a, b));
                return if cond == Cond::Vs { overflow } else { self.not(overflow) };
            }
        };
        // With the difference at hand, comparing it with zero frees the registers of the operands.
        if matches!(cond, Cond::Eq | Cond::Ne)
            && let Some(&difference) = self.differences.get(&(a, b))
        {
            return Truth::Value(self.compare_with(relation, difference, 0));
        }
        Truth::Value(self.b.ins().icmp(relation, a, b))
    }

    fn difference(&mut self, a: Clif, b: Clif) -> Clif {
        if let Some(&known) = self.differences.get(&(a, b)) {
            return known;
        }
        let difference = self.b.ins().isub(a, b);
        self.differences.insert((a, b), difference);
        difference
    }

    /// a + constant has the flags of a − (−constant) where the carry is the absence of a borrow.
    fn test_sum(&mut self, flags: Value, cond: Cond) -> Truth {
        let inst = self.region.inst(flags);
        let constant = self.region.constant(inst.args[1]);
        let simple = constant.filter(|&bits| inst.ty.bits() <= 64 && bits << 1 & inst.ty.mask() != 0);
        let Some(bits) = simple else { return self.test_parts(flags, cond) };
        let a = self.value(inst.args[0]);
        let negated = self.iconst(self.type_of(a), (bits as u64).wrapping_neg());
        let relation = match cond {
            Cond::Eq => IntCC::Equal,
            Cond::Ne => IntCC::NotEqual,
            Cond::Cs => IntCC::UnsignedGreaterThanOrEqual,
            Cond::Cc => IntCC::UnsignedLessThan,
            Cond::Hi => IntCC::UnsignedGreaterThan,
            Cond::Ls => IntCC::UnsignedLessThanOrEqual,
            Cond::Be => IntCC::UnsignedGreaterThanOrEqual,
            Cond::A => IntCC::UnsignedLessThan,
            Cond::Ge => IntCC::SignedGreaterThanOrEqual,
            Cond::Lt => IntCC::SignedLessThan,
            Cond::Gt => IntCC::SignedGreaterThan,
            Cond::Le => IntCC::SignedLessThanOrEqual,
            Cond::Mi | Cond::Pl | Cond::Vs | Cond::Vc => return self.test_parts(flags, cond),
        };
        Truth::Value(self.b.ins().icmp(relation, a, negated))
    }

    fn test_logic(&mut self, inst: &Inst, cond: Cond) -> Truth {
        let a = self.value(inst.args[0]);
        let relation = match cond {
            Cond::Cs | Cond::Vs | Cond::Hi => return Truth::Known(false),
            Cond::Cc | Cond::Vc | Cond::Ls => return Truth::Known(true),
            Cond::Eq | Cond::Be => IntCC::Equal,
            Cond::Ne | Cond::A => IntCC::NotEqual,
            Cond::Mi | Cond::Lt => IntCC::SignedLessThan,
            Cond::Pl | Cond::Ge => IntCC::SignedGreaterThanOrEqual,
            Cond::Gt => IntCC::SignedGreaterThan,
            Cond::Le => IntCC::SignedLessThanOrEqual,
        };
        Truth::Value(self.compare_with(relation, a, 0))
    }

    fn test_floats(&mut self, inst: &Inst, cond: Cond) -> Truth {
        let holds = |relation: u32| cond.holds((inst.imm >> (4 * relation)) as u8 & 15);
        let relation = match [holds(0), holds(1), holds(2), holds(3)] {
            // less, equal, greater, unordered
            [false, false, false, false] => return Truth::Known(false),
            [true, true, true, true] => return Truth::Known(true),
            [true, true, true, false] => FloatCC::Ordered,
            [false, false, false, true] => FloatCC::Unordered,
            [false, true, false, false] => FloatCC::Equal,
            [true, false, true, true] => FloatCC::NotEqual,
            [true, false, true, false] => FloatCC::OrderedNotEqual,
            [false, true, false, true] => FloatCC::UnorderedOrEqual,
            [true, false, false, false] => FloatCC::LessThan,
            [true, true, false, false] => FloatCC::LessThanOrEqual,
            [false, false, true, false] => FloatCC::GreaterThan,
            [false, true, true, false] => FloatCC::GreaterThanOrEqual,
            [true, false, false, true] => FloatCC::UnorderedOrLessThan,
            [true, true, false, true] => FloatCC::UnorderedOrLessThanOrEqual,
            [false, false, true, true] => FloatCC::UnorderedOrGreaterThan,
            [false, true, true, true] => FloatCC::UnorderedOrGreaterThanOrEqual,
        };
        let (a, b) = (self.value(inst.args[0]), self.value(inst.args[1]));
        Truth::Value(self.b.ins().fcmp(relation, a, b))
    }

    /// A condition out of single flags, for producers without a shorter way.
    fn test_parts(&mut self, flags: Value, cond: Cond) -> Truth {
        match cond {
            Cond::Eq => self.flag(flags, BIT_Z),
            Cond::Cs => self.flag(flags, BIT_C),
            Cond::Mi => self.flag(flags, BIT_N),
            Cond::Vs => self.flag(flags, BIT_V),
            Cond::Hi => {
                let (c, z) = (self.flag(flags, BIT_C), self.flag(flags, BIT_Z));
                let nonzero = self.not(z);
                self.and(c, nonzero)
            }
            Cond::Be => {
                let (c, z) = (self.flag(flags, BIT_C), self.flag(flags, BIT_Z));
                self.or(c, z)
            }
            Cond::Lt => {
                let (n, v) = (self.flag(flags, BIT_N), self.flag(flags, BIT_V));
                self.xor(n, v)
            }
            Cond::Le => {
                let (less, z) = (self.test_parts(flags, Cond::Lt), self.flag(flags, BIT_Z));
                self.or(less, z)
            }
            Cond::Ne | Cond::Cc | Cond::Pl | Cond::Vc | Cond::Ls | Cond::A | Cond::Ge | Cond::Gt => {
                let opposite = self.test_parts(flags, opposite(cond));
                self.not(opposite)
            }
        }
    }

    /// One flag.
    fn flag(&mut self, flags: Value, bit: u64) -> Truth {
        let flags = self.flag_source(flags);
        let single = match bit {
            BIT_N => Cond::Mi,
            BIT_Z => Cond::Eq,
            BIT_C => Cond::Cs,
            _ => Cond::Vs,
        };
        if self.known_value(flags).is_some() {
            return self.test(flags, single);
        }
        if let (BIT_C, Some(carry)) = (bit, self.carries.made(flags)) {
            return Truth::Value(carry);
        }
        let inst = self.region.inst(flags);
        match inst.op {
            Op::FlagsWithC if bit == BIT_C => Truth::Value(self.value(inst.args[1])),
            Op::FlagsWithV if bit == BIT_V => Truth::Value(self.value(inst.args[1])),
            Op::FlagsWithC | Op::FlagsWithV => self.flag(inst.args[0], bit),
            Op::FlagsAdd | Op::FlagsAdc => {
                let summands = [self.value(inst.args[0]), self.value(inst.args[1])];
                let carry = (inst.op == Op::FlagsAdc).then(|| self.value(inst.args[2]));
                self.sum_flag(summands, carry, bit)
            }
            Op::FlagsSbc => self.borrowing_flag(inst, bit),
            _ => self.test(flags, single),
        }
    }

    /// The four bits of a + b.
    pub(super) fn sum_bits(&mut self, a: Clif, b: Clif) -> Clif {
        let no_bits = self.iconst(I32, 0);
        [BIT_N, BIT_Z, BIT_C, BIT_V].iter().fold(no_bits, |bits, &bit| {
            let flag = self.sum_flag([a, b], None, bit);
            self.place_bit(bits, flag, bit)
        })
    }

    /// A flag of a + b + carry.
    fn sum_flag(&mut self, [a, b]: [Clif; 2], carry: Option<Clif>, bit: u64) -> Truth {
        let ty = self.type_of(a);
        let plain = self.b.ins().iadd(a, b);
        let sum = match carry {
            Some(carry) => {
                let carry = self.zero_extend(carry, ty);
                self.b.ins().iadd(plain, carry)
            }
            None => plain,
        };
        Truth::Value(match bit {
            BIT_N => self.compare_with(IntCC::SignedLessThan, sum, 0),
            BIT_Z => self.compare_with(IntCC::Equal, sum, 0),
            BIT_C => {
                let first = self.b.ins().icmp(IntCC::UnsignedLessThan, plain, a);
                match carry {
                    Some(_) => {
                        let second = self.b.ins().icmp(IntCC::UnsignedLessThan, sum, plain);
                        self.b.ins().bor(first, second)
                    }
                    None => first,
                }
            }
            _ => {
                // Overflow: the operands agree in sign and the sum does not.
                let (from_a, from_b) = (self.b.ins().bxor(a, sum), self.b.ins().bxor(b, sum));
                let both = self.b.ins().band(from_a, from_b);
                self.compare_with(IntCC::SignedLessThan, both, 0)
            }
        })
    }

    /// A flag of a − b − borrow: of a + not b + not borrow, whose carry is the absence of a borrow.
    fn borrowing_flag(&mut self, inst: &Inst, bit: u64) -> Truth {
        let (a, b) = (self.value(inst.args[0]), self.value(inst.args[1]));
        let ty = self.type_of(a);
        let carry = Truth::Value(self.value(inst.args[2]));
        let sense = Carry::from_aux(inst.aux);
        let borrow = match sense {
            Carry::Borrow => carry,
            Carry::NotBorrow => self.not(carry),
        };
        let borrow = self.truth_value(borrow);
        let plain = self.difference(a, b);
        let wide = self.zero_extend(borrow, ty);
        let difference = self.b.ins().isub(plain, wide);
        let value = match bit {
            BIT_N => self.compare_with(IntCC::SignedLessThan, difference, 0),
            BIT_Z => self.compare_with(IntCC::Equal, difference, 0),
            BIT_C => {
                let first = self.b.ins().icmp(IntCC::UnsignedLessThan, a, b);
                let second = self.b.ins().icmp(IntCC::UnsignedLessThan, plain, wide);
                let borrowed = Truth::Value(self.b.ins().bor(first, second));
                return if sense == Carry::Borrow { borrowed } else { self.not(borrowed) };
            }
            _ => {
                let (operands, result) = (self.b.ins().bxor(a, b), self.b.ins().bxor(a, difference));
                let both = self.b.ins().band(operands, result);
                self.compare_with(IntCC::SignedLessThan, both, 0)
            }
        };
        Truth::Value(value)
    }

    /// Overflow of a − b: the operands differ in sign and the difference has b's.
    fn subtract_overflow(&mut self, a: Clif, b: Clif) -> Clif {
        let difference = self.difference(a, b);
        let (operands, result) = (self.b.ins().bxor(a, b), self.b.ins().bxor(a, difference));
        let both = self.b.ins().band(operands, result);
        self.compare_with(IntCC::SignedLessThan, both, 0)
    }

    /// A comparison of floats is made where its flags are tested. What it raises is raised here if nothing else does.
    pub(super) fn compare_for_flags(&mut self, value: Value, inst: &Inst) {
        if self.repairs_operands(inst) {
            return self.signal_nans_on_edge(value);
        }
        if !self.region.raises(inst) {
            return;
        }
        if inst.imm & SIGNALS == 0 {
            let [a, b] = [0, 1].map(|index| self.value(inst.args[index]));
            return self.compare_for_status(a, b);
        }
        self.signalling = self.branch_that_signals(inst);
        if self.signalling.is_none() {
            self.signal_nans_on_edge(value);
        }
    }

    /// Signals NaNs in a comparison, and repairs them, on that edge of the block's branch on which there may be some, if
    /// it can wait for that.
    fn signal_nans_on_edge(&mut self, value: Value) {
        let inst = self.region.inst(value);
        if self.is_proven_by_branch(value) {
            self.left_to_edge = Some(inst);
        } else {
            self.signal_nans(inst);
        }
    }

    /// Whether the block's branch compares what `value` does, goes on where the operands are numbers, and nobody looks at
    /// the status, or at what is left to be repaired, before it.
    fn is_proven_by_branch(&self, value: Value) -> bool {
        let inst = self.region.inst(value);
        let rest = &self.region.block(self.block).insts[self.position + 1..];
        let Terminator::Branch { cond, then, .. } = self.region.block(self.block).end else { return false };
        let test = self.region.inst(cond);
        if test.op != Op::Fcmp || test.ty.is_vector() || test.args != inst.args {
            return false;
        }
        if matches!(FloatCond::from_aux(test.aux), FloatCond::Un | FloatCond::Ne) {
            return false;
        }
        let left = self.left_to(inst);
        let looks_at_left = |other: &Inst| match other.op.info().effect {
            Effect::Pure => other.operands().any(|operand| left.contains(&operand)),
            Effect::ReadSlot => left.iter().any(|&value| self.reads_held(other, self.value(value))),
            Effect::WriteSlot => other.op == Op::SetLow,
            Effect::Marker => false,
            _ => true,
        };
        rest.contains(&cond)
            && !rest.iter().any(|&later| later != cond && looks_at_left(self.region.inst(later)))
            && left.iter().all(|&value| !makes_numbers_of_nans(self.region.inst(value).op))
            && left.iter().all(|&value| self.is_used_only_until(value, then))
    }

    /// Whether all instructions that look at `value` are in the current block, or in `next` if one comes there from nowhere
    /// else.
    fn is_used_only_until(&self, value: Value, next: BlockId) -> bool {
        let is_next = self.plan.predecessors[next.index()] == 1;
        let blocks = [Some(self.block), is_next.then_some(next)].into_iter().flatten();
        let users = blocks.flat_map(|block| &self.region.block(block).insts);
        let operands = users.flat_map(|&user| self.region.inst(user).operands());
        operands.filter(|&operand| operand == value).count() == self.uses[value.index()] as usize
    }

    /// The condition of the block's branch, if that compares what `inst` does, nothing looks at the status in between, and
    /// the host's comparison can be made one that signals: it is the first instruction of the branch if no operand is made
    /// there.
    fn branch_that_signals(&self, inst: &Inst) -> Option<Value> {
        let block = self.region.block(self.block);
        let Terminator::Branch { cond, .. } = block.end else { return None };
        let test = self.region.inst(cond);
        let compares = test.op == Op::Fcmp && !test.ty.is_vector() && test.args == inst.args;
        let is_made_here = block.insts[self.position..].contains(&cond) && self.uses[cond.index()] == 1;
        let is_quiet = |&value: &Value| {
            matches!(
                self.region.inst(value).op.info().effect,
                Effect::Pure | Effect::WriteSlot | Effect::Marker | Effect::ReadSlot
            )
        };
        let in_registers = inst.operands().all(|operand| {
            let value = self.value(operand);
            !matches!(self.opcode(value), Some(Opcode::F32const | Opcode::F64const))
        });
        (compares && is_made_here && in_registers && block.insts[self.position..].iter().all(is_quiet)).then_some(cond)
    }

    /// Flags as four bits of an `I32`.
    pub(super) fn flag_bits(&mut self, flags: Value) -> Clif {
        let flags = self.flag_source(flags);
        if let Some(bits) = self.known_value(flags) {
            return bits;
        }
        if let Some(&known) = self.nibbles.get(&flags) {
            return known;
        }
        let inst = self.region.inst(flags);
        let no_bits = self.iconst(I32, 0);
        let bits = match inst.op {
            Op::FlagsFromBits => {
                let bits = self.value(inst.args[0]);
                let mask = self.iconst(I32, 15);
                self.b.ins().band(bits, mask)
            }
            Op::Select => {
                let chosen = self.value(inst.args[0]);
                let (a, b) = (self.flag_bits(inst.args[1]), self.flag_bits(inst.args[2]));
                self.b.ins().select(chosen, a, b)
            }
            Op::FlagsWithC => self.bits_with(inst, BIT_C),
            Op::FlagsWithV => self.bits_with(inst, BIT_V),
            Op::FlagsFcmp => self.relation_bits(inst),
            _ => [BIT_N, BIT_Z, BIT_C, BIT_V].iter().fold(no_bits, |bits, &bit| {
                let flag = self.flag(flags, bit);
                self.place_bit(bits, flag, bit)
            }),
        };
        self.nibbles.insert(flags, bits);
        bits
    }

    /// `bits`, whose bit `bit` is clear, with that bit.
    fn place_bit(&mut self, bits: Clif, flag: Truth, bit: u64) -> Clif {
        let flag = match flag {
            Truth::Known(false) => return bits,
            Truth::Known(true) => self.iconst(I32, 1 << bit),
            Truth::Value(value) => {
                let wide = self.b.ins().uextend(I32, value);
                let amount = self.iconst(I32, bit);
                if bit == 0 { wide } else { self.b.ins().ishl(wide, amount) }
            }
        };
        self.b.ins().bor(bits, flag)
    }

    fn bits_with(&mut self, inst: &Inst, bit: u64) -> Clif {
        let bits = self.flag_bits(inst.args[0]);
        let mask = self.iconst(I32, 15 & !(1 << bit));
        let others = self.b.ins().band(bits, mask);
        let flag = Truth::Value(self.value(inst.args[1]));
        self.place_bit(others, flag, bit)
    }

    /// Chooses among the four relations of two floats.
    fn relation_bits(&mut self, inst: &Inst) -> Clif {
        let (a, b) = (self.value(inst.args[0]), self.value(inst.args[1]));
        let nzcv = |relation: u32| inst.imm >> (4 * relation) & 15;
        let mut bits = self.iconst(I32, nzcv(3));
        for (relation, cond) in [(2, FloatCC::GreaterThan), (1, FloatCC::Equal), (0, FloatCC::LessThan)] {
            let holds = self.b.ins().fcmp(cond, a, b);
            let instead = self.iconst(I32, nzcv(relation));
            bits = self.b.ins().select(holds, instead, bits);
        }
        bits
    }
}

/// Whether the guest may have a number where the host has a NaN.
fn makes_numbers_of_nans(op: Op) -> bool {
    matches!(op, Op::FminNum | Op::FmaxNum)
}

/// The condition that holds where `cond` does not.
fn opposite(cond: Cond) -> Cond {
    match cond {
        Cond::Eq => Cond::Ne,
        Cond::Ne => Cond::Eq,
        Cond::Cs => Cond::Cc,
        Cond::Cc => Cond::Cs,
        Cond::Mi => Cond::Pl,
        Cond::Pl => Cond::Mi,
        Cond::Vs => Cond::Vc,
        Cond::Vc => Cond::Vs,
        Cond::Hi => Cond::Ls,
        Cond::Ls => Cond::Hi,
        Cond::Ge => Cond::Lt,
        Cond::Lt => Cond::Ge,
        Cond::Gt => Cond::Le,
        Cond::Le => Cond::Gt,
        Cond::Be => Cond::A,
        Cond::A => Cond::Be,
    }
}
