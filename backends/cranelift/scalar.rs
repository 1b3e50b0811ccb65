//! Rules for scalar integers. What has no rule here goes through the evaluator.

use super::clif_type;
use super::lower::Lower;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I8, I32, I64, I128};
use cranelift_codegen::ir::{BlockArg, InstBuilder, Type, Value as Clif};
use philae_ir::{Inst, IntCond, Op};

/// What a division makes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Quotient,
    Remainder,
}

impl Lower<'_, '_> {
    /// The rule for an operation whose type is a scalar.
    pub(super) fn scalar(&mut self, inst: &Inst) -> Option<Clif> {
        if inst.ty.is_float() {
            return self.scalar_float(inst);
        }
        match inst.op {
            Op::FtoSint | Op::FtoUint => return self.float_to_int(inst),
            Op::Zext | Op::Sext | Op::Trunc | Op::Bitcast => return Some(self.convert(inst)),
            Op::Concat => {
                let (lo, hi) = (self.value(inst.args[0]), self.value(inst.args[1]));
                return Some(self.concat(clif_type(inst.ty), lo, hi));
            }
            Op::Select => return Some(self.select(inst)),
            _ => (),
        }
        match inst.op.info().takes.len() {
            1 => self.unary(inst),
            2 if inst.op == Op::Add => self.sum_with_carry(inst).or_else(|| self.binary(inst)),
            2 => self.binary(inst),
            _ => None,
        }
    }

    /// [`Op::Select`] of anything but flags.
    pub(super) fn select(&mut self, inst: &Inst) -> Clif {
        let cond = self.value(inst.args[0]);
        let (a, b) = (self.value(inst.args[1]), self.value(inst.args[2]));
        let b = self.cast(b, self.type_of(a));
        self.b.ins().select(cond, a, b)
    }

    /// Conversions that do not round, to scalars and between scalars and vectors.
    pub(super) fn convert(&mut self, inst: &Inst) -> Clif {
        let value = self.value(inst.args[0]);
        let (from, ty) = (self.type_of(value), clif_type(inst.ty));
        match inst.op {
            Op::Sext if from != ty => self.b.ins().sextend(ty, value),
            Op::Sext | Op::Zext => self.zero_extend(value, ty),
            _ => self.low_part(value, ty),
        }
    }

    fn unary(&mut self, inst: &Inst) -> Option<Clif> {
        let a = self.value(inst.args[0]);
        let ty = self.type_of(a);
        Some(match inst.op {
            Op::Neg => self.b.ins().ineg(a),
            Op::Not => self.b.ins().bnot(a),
            Op::Abs if ty == I128 => {
                let places = self.iconst(I64, 127);
                let sign = self.b.ins().sshr(a, places);
                let flipped = self.b.ins().bxor(a, sign);
                self.b.ins().isub(flipped, sign)
            }
            Op::Abs => self.b.ins().iabs(a),
            Op::Clz => self.b.ins().clz(a),
            Op::Ctz => self.b.ins().ctz(a),
            Op::Cls if ty == I128 => return None,
            Op::Cls => self.b.ins().cls(a),
            Op::Popcnt => self.b.ins().popcnt(a),
            Op::Bswap if ty == I8 => a,
            Op::Bswap => self.b.ins().bswap(a),
            Op::Rbit => self.b.ins().bitrev(a),
            Op::Low => self.split(a).0,
            Op::High => self.split(a).1,
            _ => return None,
        })
    }

    fn binary(&mut self, inst: &Inst) -> Option<Clif> {
        let (a, b) = (self.value(inst.args[0]), self.value(inst.args[1]));
        let ty = self.type_of(a);
        Some(match inst.op {
            Op::Add => self.b.ins().iadd(a, b),
            Op::Sub => {
                let difference = self.b.ins().isub(a, b);
                self.differences.insert((a, b), difference);
                difference
            }
            Op::Mul => self.b.ins().imul(a, b),
            Op::UmulHigh if ty != I128 => self.b.ins().umulhi(a, b),
            Op::SmulHigh if ty != I128 => self.b.ins().smulhi(a, b),
            Op::Udiv | Op::Sdiv | Op::Urem | Op::Srem if ty == I128 => self.wide_division(inst, a, b),
            Op::Udiv => self.unsigned_division(inst, a, b, Part::Quotient),
            Op::Urem => self.unsigned_division(inst, a, b, Part::Remainder),
            Op::Sdiv => self.signed_division(inst, a, b, Part::Quotient),
            Op::Srem => self.signed_division(inst, a, b, Part::Remainder),
            Op::And => self.b.ins().band(a, b),
            Op::Or => self.b.ins().bor(a, b),
            Op::Xor => self.b.ins().bxor(a, b),
            Op::AndNot => {
                let inverse = self.b.ins().bnot(b);
                self.b.ins().band(a, inverse)
            }
            Op::Shl => {
                let amount = self.shift_amount(b);
                self.b.ins().ishl(a, amount)
            }
            Op::Lshr => {
                let amount = self.shift_amount(b);
                self.b.ins().ushr(a, amount)
            }
            Op::Ashr => {
                let amount = self.shift_amount(b);
                self.b.ins().sshr(a, amount)
            }
            Op::Rotr => {
                let amount = self.shift_amount(b);
                self.b.ins().rotr(a, amount)
            }
            Op::Umin => self.pick(IntCC::UnsignedLessThan, a, b),
            Op::Umax => self.pick(IntCC::UnsignedGreaterThan, a, b),
            Op::Smin => self.pick(IntCC::SignedLessThan, a, b),
            Op::Smax => self.pick(IntCC::SignedGreaterThan, a, b),
            Op::Icmp => self.b.ins().icmp(int_cc(IntCond::from_aux(inst.aux)), a, b),
            Op::AddSatU | Op::SubSatU | Op::AddSatS | Op::SubSatS if ty != I128 => {
                self.scalar_saturating(inst.op, a, b)
            }
            _ => return None,
        })
    }

    /// A shift amount counts modulo the width, of which every type's lowest bits are enough.
    fn shift_amount(&mut self, amount: Clif) -> Clif {
        if self.type_of(amount) == I128 { self.split(amount).0 } else { amount }
    }

    fn pick(&mut self, first_if: IntCC, a: Clif, b: Clif) -> Clif {
        let first = self.b.ins().icmp(first_if, a, b);
        self.b.ins().select(first, a, b)
    }

    fn unsigned_division(&mut self, inst: &Inst, a: Clif, b: Clif, part: Part) -> Clif {
        let ty = self.type_of(a);
        if self.region.constant(inst.args[1]).is_some_and(|divisor| divisor != 0) {
            return self.divide_unsigned(a, b, part);
        }
        let by_zero = self.compare_with(IntCC::Equal, b, 0);
        let one = self.iconst(ty, 1);
        let divisor = self.b.ins().select(by_zero, one, b);
        let result = self.divide_unsigned(a, divisor, part);
        let instead = self.divided_by_zero(a, part);
        self.b.ins().select(by_zero, instead, result)
    }

    fn divide_unsigned(&mut self, a: Clif, b: Clif, part: Part) -> Clif {
        match part {
            Part::Quotient => self.b.ins().udiv(a, b),
            Part::Remainder => self.b.ins().urem(a, b),
        }
    }

    /// The host traps for MIN / −1 as for a divisor of 0: both are divided by 1 and chosen among afterwards.
    fn signed_division(&mut self, inst: &Inst, a: Clif, b: Clif, part: Part) -> Clif {
        let ty = self.type_of(a);
        let harmless = |bits: u128| bits != 0 && bits != inst.ty.mask();
        if self.region.constant(inst.args[1]).is_some_and(harmless) {
            return self.divide_signed(a, b, part);
        }
        let by_zero = self.compare_with(IntCC::Equal, b, 0);
        let by_minus_one = self.compare_with(IntCC::Equal, b, u64::MAX);
        let one = self.iconst(ty, 1);
        let nonzero = self.b.ins().select(by_zero, one, b);
        let divisor = self.b.ins().select(by_minus_one, one, nonzero);
        let result = self.divide_signed(a, divisor, part);
        // The remainder of a division by 1 is that of a division by −1.
        let result = if part == Part::Quotient {
            let negated = self.b.ins().ineg(a);
            self.b.ins().select(by_minus_one, negated, result)
        } else {
            result
        };
        let instead = self.divided_by_zero(a, part);
        self.b.ins().select(by_zero, instead, result)
    }

    fn divide_signed(&mut self, a: Clif, b: Clif, part: Part) -> Clif {
        match part {
            Part::Quotient => self.b.ins().sdiv(a, b),
            Part::Remainder => self.b.ins().srem(a, b),
        }
    }

    fn divided_by_zero(&mut self, a: Clif, part: Part) -> Clif {
        match part {
            Part::Quotient => self.zero(self.type_of(a)),
            Part::Remainder => a,
        }
    }

    /// A division of 128 bits is one of 64 where both operands are extended from 64 bits and the host does not trap:
    /// so for nearly all divisions that x86 guests make of RDX:RAX.
    fn wide_division(&mut self, inst: &Inst, a: Clif, b: Clif) -> Clif {
        let signed = matches!(inst.op, Op::Sdiv | Op::Srem);
        let ((a_low, a_high), (b_low, b_high)) = (self.split(a), self.split(b));
        let [a_narrow, b_narrow] = [(a_low, a_high), (b_low, b_high)].map(|(low, high)| {
            let extension = if signed { self.sign_of(low) } else { self.iconst(I64, 0) };
            self.b.ins().bxor(high, extension)
        });
        let wide = self.b.ins().bor(a_narrow, b_narrow);
        let narrow = self.compare_with(IntCC::Equal, wide, 0);
        // Signed: neither 0 nor −1, which one comparison tells. Unsigned: not 0.
        let safe = if signed {
            let one = self.iconst(I64, 1);
            let next = self.b.ins().iadd(b_low, one);
            self.compare_with(IntCC::UnsignedGreaterThan, next, 1)
        } else {
            self.compare_with(IntCC::NotEqual, b_low, 0)
        };
        let short = self.b.ins().band(narrow, safe);
        let (fast, slow, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(slow);
        let (low, high) = (self.b.append_block_param(join, I64), self.b.append_block_param(join, I64));
        self.b.ins().brif(short, fast, &[], slow, &[]);
        self.b.seal_block(fast);
        self.b.seal_block(slow);
        self.b.switch_to_block(fast);
        let part = if matches!(inst.op, Op::Udiv | Op::Sdiv) { Part::Quotient } else { Part::Remainder };
        let result =
            if signed { self.divide_signed(a_low, b_low, part) } else { self.divide_unsigned(a_low, b_low, part) };
        let extension = if signed { self.sign_of(result) } else { self.iconst(I64, 0) };
        self.b.ins().jump(join, &[BlockArg::Value(result), BlockArg::Value(extension)]);
        self.b.switch_to_block(slow);
        let result = self.evaluate(inst);
        let (result_low, result_high) = self.split(result);
        self.b.ins().jump(join, &[BlockArg::Value(result_low), BlockArg::Value(result_high)]);
        self.b.seal_block(join);
        self.b.switch_to_block(join);
        self.b.ins().iconcat(low, high)
    }

    /// 64 copies of the sign bit.
    fn sign_of(&mut self, value: Clif) -> Clif {
        let places = self.iconst(I32, 63);
        self.b.ins().sshr(value, places)
    }

    fn scalar_saturating(&mut self, op: Op, a: Clif, b: Clif) -> Clif {
        let ty = self.type_of(a);
        let sum = matches!(op, Op::AddSatU | Op::AddSatS);
        let plain = if sum { self.b.ins().iadd(a, b) } else { self.b.ins().isub(a, b) };
        match op {
            Op::AddSatU => {
                let over = self.b.ins().icmp(IntCC::UnsignedLessThan, plain, a);
                let max = self.iconst(ty, u64::MAX);
                self.b.ins().select(over, max, plain)
            }
            Op::SubSatU => {
                let under = self.b.ins().icmp(IntCC::UnsignedLessThan, a, b);
                let zero = self.iconst(ty, 0);
                self.b.ins().select(under, zero, plain)
            }
            _ => {
                // Overflow of a sum: the result's sign differs from both; of a difference: from a's, as b's does.
                let other = if sum { plain } else { a };
                let (first, second) = (self.b.ins().bxor(a, plain), self.b.ins().bxor(b, other));
                let both = self.b.ins().band(first, second);
                let over = self.compare_with(IntCC::SignedLessThan, both, 0);
                let limit = self.signed_limit(a, ty);
                self.b.ins().select(over, limit, plain)
            }
        }
    }

    /// The most positive value if `a` is not negative, else the most negative.
    fn signed_limit(&mut self, a: Clif, ty: Type) -> Clif {
        let places = self.iconst(I32, u64::from(ty.bits() - 1));
        let sign = self.b.ins().sshr(a, places);
        let max = self.iconst(ty, u64::MAX >> (65 - ty.bits()));
        self.b.ins().bxor(sign, max)
    }
}

/// Cranelift's name of a relation.
pub(super) fn int_cc(cond: IntCond) -> IntCC {
    match cond {
        IntCond::Eq => IntCC::Equal,
        IntCond::Ne => IntCC::NotEqual,
        IntCond::Ult => IntCC::UnsignedLessThan,
        IntCond::Ule => IntCC::UnsignedLessThanOrEqual,
        IntCond::Ugt => IntCC::UnsignedGreaterThan,
        IntCond::Uge => IntCC::UnsignedGreaterThanOrEqual,
        IntCond::Slt => IntCC::SignedLessThan,
        IntCond::Sle => IntCC::SignedLessThanOrEqual,
        IntCond::Sgt => IntCC::SignedGreaterThan,
        IntCond::Sge => IntCC::SignedGreaterThanOrEqual,
    }
}
