//! Rules for floating point. The host computes; where its NaNs may not be the guest's, a NaN result is tested for
//! and made again by the evaluator, in a cold block. So is the smallest normal number, where it may have underflowed
//! for the guest only, for what the evaluator raises.

use super::clif_type;
use super::lower::{Lower, Unusual, Usual};
use super::x86_64::StandIn;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::types::{F32, F32X4, F64, F64X2, I16, I32, I32X4, I64, I64X2};
use cranelift_codegen::ir::{InstBuilder, Opcode, SourceLoc, Type, Value as Clif};
use philae_ir::ops::SIGNALS;
use philae_ir::state::FloatLimits;
use philae_ir::{Arch, FloatCond, Inst, NanRule, Op, Rounding, Ty, Value, tiny};

impl Lower<'_, '_> {
    /// The rule for an operation whose type is a scalar float.
    pub(super) fn scalar_float(&mut self, inst: &Inst) -> Option<Clif> {
        match inst.op {
            Op::Fpromote => {
                let a = self.value(inst.args[0]);
                Some(self.b.ins().fpromote(F64, a))
            }
            Op::Fdemote => {
                let a = self.value(inst.args[0]);
                Some(self.b.ins().fdemote(F32, a))
            }
            Op::SintToF | Op::UintToF => self.int_to_float(inst),
            Op::Bitcast => Some(self.convert(inst)),
            Op::Select => Some(self.select(inst)),
            _ => self.float(inst),
        }
    }

    /// The rules that scalars and vectors share.
    pub(super) fn float(&mut self, inst: &Inst) -> Option<Clif> {
        let result = match inst.op {
            Op::Fneg => {
                let a = self.arg(inst, 0);
                self.b.ins().fneg(a)
            }
            Op::Fabs => {
                let a = self.arg(inst, 0);
                self.b.ins().fabs(a)
            }
            Op::Fcmp => {
                let (a, b) = (self.arg(inst, 0), self.arg(inst, 1));
                match FloatCond::from_aux(inst.aux) {
                    // Cranelift would make a selection on it of the same operands the host's minimum, which signals NaNs.
                    FloatCond::Lt if self.is_quiet_for_arm(inst) => self.b.ins().fcmp(FloatCC::GreaterThan, b, a),
                    relation => self.b.ins().fcmp(float_cc(relation), a, b),
                }
            }
            Op::Fround => {
                let a = self.arg(inst, 0);
                self.round(a, Rounding::from_aux(inst.aux))?
            }
            _ => return None,
        };
        Some(result)
    }

    /// Whether a comparison is what a FCMP of AArch64 came to, not a FCMPE.
    fn is_quiet_for_arm(&self, inst: &Inst) -> bool {
        let insts = self.region.block(self.block).insts.iter().map(|&value| self.region.inst(value));
        let signals = |other: &Inst| other.op == Op::FlagsFcmp && other.imm & SIGNALS != 0 && other.args == inst.args;
        self.region.arch == Arch::Aarch64 && !inst.ty.is_vector() && !insts.into_iter().any(signals)
    }

    /// Arithmetic that can make NaNs.
    pub(super) fn arithmetic(&mut self, value: Value, inst: &Inst) -> Option<Clif> {
        let a = self.arg(inst, 0);
        let b = if inst.op == Op::Fsqrt { a } else { self.arg(inst, 1) };
        if inst.ty.is_vector() && is_extreme(inst.op) {
            return Some(self.vector_extreme(inst, a, b));
        }
        let orders_nans = self.makes_x86_nans(inst);
        if orders_nans {
            self.keep_operand_order(a);
        }
        let result = match inst.op {
            Op::Fadd => self.b.ins().fadd(a, b),
            Op::Fsub => self.b.ins().fsub(a, b),
            Op::Fmul => self.b.ins().fmul(a, b),
            Op::Fdiv => self.b.ins().fdiv(a, b),
            Op::Fsqrt => self.b.ins().sqrt(a),
            Op::Fmin | Op::FminNum => self.b.ins().fmin(a, b),
            Op::Fmax | Op::FmaxNum => self.b.ins().fmax(a, b),
            _ if self.features.fma => {
                let c = self.arg(inst, 2);
                self.b.ins().fma(a, b, c)
            }
            _ => return None,
        };
        if orders_nans || NanRule::from_aux(inst.aux) == NanRule::Agreed {
            return Some(result);
        }
        if self.is_left_to_user(self.position) {
            self.unrepaired.insert(value);
            return Some(result);
        }
        Some(self.repair_nan(inst, result))
    }

    /// [`Op::FpromoteHalf`], [`Op::FwidenHalf`]: the host quiets NaNs.
    pub(super) fn promote_halves(&mut self, value: Value, inst: &Inst) -> Option<Clif> {
        let result = self.halves_to_singles(inst)?;
        if inst.op == Op::FpromoteHalf {
            return Some(result);
        }
        if self.is_left_to_user(self.position) {
            self.unrepaired.insert(value);
            return Some(result);
        }
        Some(self.repair_nan(inst, result))
    }

    /// The larger or smaller of each pair of lanes. Where one is a NaN, the evaluator makes all of them, and repairs what
    /// was left to `inst`: the host's comparisons of order take a quiet NaN for an invalid operand.
    fn vector_extreme(&mut self, inst: &Inst, a: Clif, b: Clif) -> Clif {
        let unordered = self.b.ins().fcmp(FloatCC::Unordered, a, b);
        let any = self.b.ins().vhigh_bits(I32, unordered);
        let extreme = |this: &mut Self| {
            Some(match inst.op {
                Op::Fmin | Op::FminNum => this.b.ins().fmin(a, b),
                _ => this.vector_maximum(a, b),
            })
        };
        self.repair_where(Unusual::Where(any), inst, Usual::Otherwise, extreme).expect("there is a result")
    }

    /// The larger of each pair of lanes of numbers, +0 of zeroes. Cranelift's own makes +0 by a subtraction, which makes
    /// -0 where the guest rounds down.
    fn vector_maximum(&mut self, a: Clif, b: Clif) -> Clif {
        let ty = self.type_of(a);
        // Both are the larger lane; where lanes are equal, they are one lane each.
        let larger = [(a, b), (b, a)].map(|(a, b)| {
            let is_larger = self.b.ins().fcmp(FloatCC::LessThan, b, a);
            let mask = self.cast(is_larger, ty);
            self.b.ins().bitselect(mask, a, b)
        });
        self.b.ins().band(larger[0], larger[1])
    }

    /// Whether a later instruction repairs the result at `position` of the block.
    fn is_left_to_user(&self, position: usize) -> bool {
        self.repaired_at(position) != position
    }

    /// Where the result at `position` of the block is repaired: where its next use is, if that is arithmetic that makes a
    /// NaN of a NaN or a comparison that signals NaNs, as one test serves both; or where that one's result is, if nobody
    /// else looks until there. Writing the result to slots is not a use.
    fn repaired_at(&self, position: usize) -> usize {
        let insts = &self.region.block(self.block).insts;
        let (value, inst) = (insts[position], self.region.inst(insts[position]));
        // Behind other arithmetic nobody knows the smallest normal number again.
        if tiny::may_be_missed(self.region, inst) {
            return position;
        }
        let (mut slots, mut repair) = (Vec::new(), None);
        for (index, &next) in insts.iter().enumerate().skip(position + 1) {
            if repair == Some(index) {
                return index;
            }
            let user = self.region.inst(next);
            match user.op {
                Op::Set if user.args[0] == value && user.ty == inst.ty.value() => slots.push(user.slot()),
                Op::Get | Op::SetLow if slots.contains(&user.slot()) => return position,
                _ if self.plan.is_exact_access(user) && !slots.is_empty() => return position,
                _ if user.operands().any(|operand| operand == value) => {
                    if repair.is_some() || !self.repairs_for(user, inst) {
                        return position;
                    }
                    match self.repaired_at(index) {
                        at if at == index => return index,
                        later => repair = Some(later),
                    }
                }
                _ => (),
            }
        }
        position
    }

    /// Whether a NaN that `inst` makes is found and repaired where `user` works on it.
    fn repairs_for(&self, user: &Inst, inst: &Inst) -> bool {
        let repairs = |inst: &Inst| NanRule::from_aux(inst.aux).may_differ_from_host();
        let keeps_nans = match user.op {
            Op::Fadd | Op::Fsub | Op::Fmul | Op::Fdiv | Op::Fsqrt => repairs(user),
            Op::Fmin | Op::Fmax | Op::FminNum | Op::FmaxNum => repairs(user),
            Op::FmulAdd => self.features.fma && repairs(user),
            Op::FlagsFcmp => user.imm & SIGNALS != 0,
            _ => false,
        };
        keeps_nans && user.ty == inst.ty && repairs(inst)
    }

    /// The results that were left to `inst`, directly or through its operands, operands last.
    pub(super) fn left_to(&self, inst: &Inst) -> Vec<Value> {
        let own: Vec<Value> = inst.operands().filter(|operand| self.unrepaired.contains(operand)).collect();
        let deeper = own.iter().flat_map(|&operand| self.left_to(self.region.inst(operand)));
        own.iter().copied().chain(deeper).collect()
    }

    /// Whether the host instruction makes the NaN that its architecture says for operands in this order.
    fn makes_x86_nans(&self, inst: &Inst) -> bool {
        let ordered = matches!(inst.op, Op::Fadd | Op::Fsub | Op::Fmul | Op::Fdiv | Op::Fsqrt);
        ordered && NanRule::from_aux(inst.aux) == NanRule::X86
    }

    /// Cranelift exchanges the operands of a commutative operation if the first is a load in the same block, to
    /// make it an operand in memory, and the NaN of the other would count first.
    fn keep_operand_order(&mut self, a: Clif) {
        if self.is_load_here(a) {
            self.start_block();
        }
    }

    fn is_load_here(&self, value: Clif) -> bool {
        match self.opcode_here(value) {
            Some(Opcode::Bitcast) => self.is_load_here(self.cast_source(value)),
            made_by => made_by == Some(Opcode::Load),
        }
    }

    /// `result`, or what the evaluator makes where it is a NaN or may have underflowed unseen; also repairs the results that
    /// were left to `inst`.
    fn repair_nan(&mut self, inst: &Inst, result: Clif) -> Clif {
        let has_sign = !tiny::is_positive(self.region, inst);
        let unusual = if !tiny::may_be_missed(self.region, inst) {
            let is_nan = self.b.ins().fcmp(FloatCC::Unordered, result, result);
            Unusual::Where(self.any_lane(is_nan))
        } else if inst.op == Op::FmulAdd && !inst.ty.is_vector() && has_sign {
            Unusual::Perhaps(self.is_small_or_nan(result), result)
        } else {
            let is_unusual = self.is_smallest_or_nan(result, has_sign);
            Unusual::Where(self.any_lane(is_unusual))
        };
        self.repair_where(unusual, inst, Usual::Always, |_| Some(result)).expect("there is a result")
    }

    /// A truth value, or whether one of a vector is true: the lanes' signs into a register and a test of it are an
    /// operation less than PTEST.
    fn any_lane(&mut self, truth: Clif) -> Clif {
        if self.type_of(truth).is_vector() { self.b.ins().vhigh_bits(I32, truth) } else { truth }
    }

    /// Whether `result`, or a lane of it, is a NaN or has the magnitude of the smallest normal number.
    pub(super) fn is_smallest_or_nan(&mut self, result: Clif, has_sign: bool) -> Clif {
        let ty = self.type_of(result);
        let [magnitude, smallest] = self.magnitude_and_smallest(ty);
        let size = if has_sign { self.b.ins().band(result, magnitude) } else { result };
        if !ty.is_vector() {
            return self.b.ins().fcmp(FloatCC::UnorderedOrEqual, size, smallest);
        }
        if self.features.avx {
            // The predicate EQ_UQ (SDM volume 2, CMPPD): equal or unordered.
            return self.compare_lanes(StandIn::CMP(8), size, smallest);
        }
        let equal = self.b.ins().fcmp(FloatCC::Equal, size, smallest);
        let unordered = self.b.ins().fcmp(FloatCC::Unordered, result, result);
        self.b.ins().bor(equal, unordered)
    }

    /// Whether a scalar is a NaN, or no larger than the smallest normal number, in general registers: where much is computed
    /// code waits for the vector unit, and this takes one operation of that instead of two. Zeroes are rare as results of
    /// fused multiply-adds; they are not as products.
    fn is_small_or_nan(&mut self, result: Clif) -> Clif {
        let bits = self.as_int(result);
        let doubled = self.b.ins().iadd(bits, bits);
        let [taken, largest] = if self.type_of(doubled) == I32 {
            FloatLimits::doubled_singles().map(|limit| self.iconst(I32, limit.into()))
        } else {
            FloatLimits::doubled_displacements().map(|offset| self.entry_load(I64, offset))
        };
        let above = self.b.ins().isub(doubled, taken);
        self.b.ins().icmp(IntCC::UnsignedGreaterThan, above, largest)
    }

    /// All bits of a float or of the lanes of a vector but the sign, and the smallest normal number.
    fn magnitude_and_smallest(&mut self, ty: Type) -> [Clif; 2] {
        let (lane, vector) = if ty.lane_type() == F32 { (Ty::F32, F32X4) } else { (Ty::F64, F64X2) };
        FloatLimits::displacements(lane).map(|offset| {
            let lanes = self.entry_load(vector, offset);
            // The lowest lane is where a scalar is: both need one register, and no instruction.
            if ty == vector { lanes } else { self.b.ins().extractlane(lanes, 0) }
        })
    }

    /// Has the evaluator execute `inst` where its result is `unusual`, for its result if `usual` makes one, and the
    /// operations whose results were left to it before.
    fn repair_where(
        &mut self,
        unusual: Unusual,
        inst: &Inst,
        when: Usual,
        usual: impl FnOnce(&mut Self) -> Option<Clif>,
    ) -> Option<Clif> {
        let left = self.left_to(inst);
        // What nobody else uses is not needed behind this.
        let mut kept: Vec<Value> = left.iter().copied().filter(|value| self.uses[value.index()] > 1).collect();
        kept.dedup();
        let raw: Vec<Clif> = kept.iter().map(|&value| self.value(value)).collect();

        // Flags are not made here.
        let has_result = inst.op != Op::FlagsFcmp;
        let values = |this: &mut Self| usual(this).into_iter().chain(raw.iter().copied()).collect();
        let evaluate = |this: &mut Self| {
            for &value in left.iter().rev() {
                let exact = this.evaluate(this.region.inst(value));
                this.set_value(value, exact);
            }
            let exact = this.evaluate(inst);
            has_result.then_some(exact).into_iter().chain(kept.iter().map(|&value| this.value(value))).collect()
        };
        let mut repaired = self.or_in_cold_block(unusual, when, values, evaluate).into_iter();
        let result = if has_result { repaired.next() } else { None };
        for ((&value, raw), repaired) in kept.iter().zip(raw).zip(repaired) {
            self.set_value(value, repaired);
            self.replace_held(raw, repaired);
        }
        left.iter().for_each(|value| _ = self.unrepaired.remove(value));
        result
    }

    /// Compared NaNs are invalid operands, which Cranelift's comparisons do not tell the host's unit.
    pub(super) fn signal_nans(&mut self, inst: &Inst) {
        let (a, b) = (self.value(inst.args[0]), self.value(inst.args[1]));
        let unordered = self.b.ins().fcmp(FloatCC::Unordered, a, b);
        self.repair_where(Unusual::Where(unordered), inst, Usual::Always, |_| None);
    }

    /// Whether an operand of `inst` is to be repaired by it.
    pub(super) fn repairs_operands(&self, inst: &Inst) -> bool {
        inst.operands().any(|operand| self.unrepaired.contains(&operand))
    }

    /// To an integral value; NaNs are quieted and kept. That the value was none is raised where `rounding` says so.
    fn round(&mut self, a: Clif, rounding: Rounding) -> Option<Clif> {
        if !self.features.rounding {
            return None;
        }
        // The immediate (SDM volume 2, ROUNDPD): the mode, 4 for MXCSR's, and 8 for not raising that it is inexact.
        let immediate = match rounding {
            Rounding::Nearest => 8,
            Rounding::Floor => 9,
            Rounding::Ceil => 10,
            Rounding::Zero => 11,
            Rounding::Current => 12,
            Rounding::CurrentExact => 4,
            Rounding::Away => return self.round_away(a, Inexact::Quiet),
        };
        self.mark(StandIn::ROUND(immediate));
        let rounded = self.b.ins().nearest(a);
        self.b.set_srcloc(SourceLoc::default());
        Some(rounded)
    }

    /// To the nearest integral value, halves away from zero: the integral part, and one more if what was cut off is a
    /// half or more. Each step is exact, so that the host's rounding mode does not matter and nothing is raised; what is
    /// integral by its size, and NaNs, are kept out of the steps.
    fn round_away(&mut self, a: Clif, inexact: Inexact) -> Option<Clif> {
        let ty = self.type_of(a);
        if !ty.is_vector() {
            let lanes = self.b.ins().scalar_to_vector(if ty == F32 { F32X4 } else { F64X2 }, a);
            let rounded = self.round_away(lanes, inexact)?;
            return Some(self.b.ins().extractlane(rounded, 0));
        }
        let (lane, half, one, integral, sign) = match ty.lane_type() {
            F32 => (
                Ty::F32,
                0.5f32.to_bits().into(),
                1f32.to_bits().into(),
                f32::EPSILON.recip().to_bits().into(),
                1 << 31,
            ),
            _ => (
                Ty::F64,
                0.5f64.to_bits().into(),
                1f64.to_bits().into(),
                f64::EPSILON.recip().to_bits().into(),
                1 << 63,
            ),
        };
        let [half, one, sign] = [half, one, sign].map(|bits| self.splat_constant(lane, ty, bits));
        let ints = ty.as_int();
        let integral = self.splat_constant(lane, ints, integral);
        let size = self.b.ins().fabs(a);
        let size = self.cast(size, ints);
        let is_small = self.b.ins().icmp(IntCC::SignedLessThan, size, integral);
        let is_small = self.cast(is_small, ty);
        let truncated = match inexact {
            Inexact::Quiet => self.round(a, Rounding::Zero)?,
            Inexact::Raised => self.b.ins().trunc(a),
        };
        let [small, whole] = [a, truncated].map(|value| self.b.ins().band(value, is_small));
        let cut_off = self.b.ins().fsub(small, whole);
        let cut_off = self.b.ins().fabs(cut_off);
        let more = self.b.ins().fcmp(FloatCC::GreaterThanOrEqual, cut_off, half);
        let more = self.cast(more, ty);
        let sign = self.b.ins().band(a, sign);
        let one = self.b.ins().bor(one, sign);
        let next = self.b.ins().fadd(whole, one);
        Some(self.b.ins().bitselect(more, next, truncated))
    }

    /// A constant in all lanes of `ty`, which may be a scalar.
    pub(super) fn splat_constant(&mut self, lane: Ty, ty: Type, bits: u128) -> Clif {
        if !ty.is_vector() {
            return self.constant(lane, bits);
        }
        let all = (0..128 / lane.bits()).fold(0, |all, index| all | bits << (index * lane.bits()));
        let all = self.vector_constant(all);
        self.cast(all, ty)
    }

    /// [`Op::FtoSint`] and [`Op::FtoUint`] to a scalar.
    pub(super) fn float_to_int(&mut self, inst: &Inst) -> Option<Clif> {
        let a = self.value(inst.args[0]);
        let ty = clif_type(inst.ty);
        if !(32..=64).contains(&ty.bits()) || !self.type_of(a).is_float() || !self.rounds(inst) {
            return None;
        }
        let truncates = Rounding::from_aux(inst.aux) == Rounding::Zero;
        match (inst.op, self.type_of(a), ty) {
            // Behind the largest integer are fractions, which may be rounded up.
            (Op::FtoUint, F64, I32) => return Some(self.convert_up_to(inst, a, f64::from(u32::MAX).to_bits())),
            (Op::FtoUint, F64, I64) => return Some(self.convert_up_to(inst, a, 2f64.powi(63).to_bits() - 1)),
            (Op::FtoUint, _, I32) => return Some(self.convert_up_to(inst, a, (2f32.powi(32).to_bits() - 1).into())),
            (Op::FtoUint, _, I64) => return Some(self.convert_up_to(inst, a, (2f32.powi(63).to_bits() - 1).into())),
            (Op::FtoSint, F64, I32) if !truncates => {
                return Some(self.convert_up_to(inst, a, f64::from(i32::MAX).to_bits()));
            }
            _ => (),
        }
        let rounded = self.rounded(a, inst)?;
        Some(self.b.ins().fcvt_to_sint_sat(ty, rounded))
    }

    /// Converts what is, in the order of floats of one sign, which is that of their bits, at most `largest` as a signed
    /// number. The evaluator sees to all else, of which the host's unit would raise other things than the guest's.
    fn convert_up_to(&mut self, inst: &Inst, a: Clif, largest: u64) -> Clif {
        let size = if inst.op == Op::FtoSint { self.b.ins().fabs(a) } else { a };
        let bits = self.as_int(size);
        let unusual = self.compare_with(IntCC::UnsignedGreaterThan, bits, largest);
        let convert = |this: &mut Self| {
            let rounded = this.rounded(a, inst).expect("the host rounds");
            let wide = this.b.ins().fcvt_to_sint_sat(I64, rounded);
            vec![this.low_part(wide, clif_type(inst.ty))]
        };
        self.or_in_cold_block(Unusual::Where(unusual), Usual::Otherwise, convert, |this| vec![this.evaluate(inst)])[0]
    }

    /// Whether [`Lower::rounded`] has a rule.
    fn rounds(&self, inst: &Inst) -> bool {
        self.features.rounding || Rounding::from_aux(inst.aux) == Rounding::Zero
    }

    /// To an integral value, before it becomes an integer: that it was none is raised.
    fn rounded(&mut self, a: Clif, inst: &Inst) -> Option<Clif> {
        Some(match Rounding::from_aux(inst.aux) {
            Rounding::Zero => a,
            _ if !self.features.rounding => return None,
            Rounding::Current | Rounding::CurrentExact => self.round(a, Rounding::CurrentExact)?,
            Rounding::Nearest => self.b.ins().nearest(a),
            Rounding::Floor => self.b.ins().floor(a),
            Rounding::Ceil => self.b.ins().ceil(a),
            Rounding::Away => self.round_away(a, Inexact::Raised)?,
        })
    }

    fn int_to_float(&mut self, inst: &Inst) -> Option<Clif> {
        let a = self.value(inst.args[0]);
        let from = self.type_of(a);
        if from.bits() > 64 {
            return None;
        }
        let ty = clif_type(inst.ty);
        Some(if inst.op == Op::SintToF {
            let a = if from.bits() < I32.bits() { self.b.ins().sextend(I32, a) } else { a };
            self.b.ins().fcvt_from_sint(ty, a)
        } else {
            let a = if from.bits() <= I16.bits() { self.zero_extend(a, I32) } else { a };
            self.b.ins().fcvt_from_uint(ty, a)
        })
    }

    /// Conversions between vectors of integers and floats of the same width.
    pub(super) fn vector_conversion(&mut self, inst: &Inst) -> Option<Clif> {
        let (from, ty) = match inst.ty {
            Ty::I32X4 => (Ty::F32X4, inst.ty),
            Ty::I64X2 => (Ty::F64X2, inst.ty),
            Ty::F32X4 => (Ty::I32X4, inst.ty),
            Ty::F64X2 => (Ty::I64X2, inst.ty),
            _ => return None,
        };
        let a = self.vector_arg(inst, 0, from);
        let clif = clif_type(ty);
        match inst.op {
            Op::FtoSint | Op::FtoUint if !self.rounds(inst) => None,
            Op::FtoSint if ty == Ty::I32X4 => Some(self.singles_to_signed(inst, a)),
            Op::FtoSint => {
                let a = self.rounded(a, inst)?;
                Some(self.each_lane(a, |this, lane| this.b.ins().fcvt_to_sint_sat(I64, lane)))
            }
            Op::FtoUint => Some(self.lanes_to_unsigned(inst, a)),
            Op::SintToF if ty == Ty::F32X4 => Some(self.b.ins().fcvt_from_sint(clif, a)),
            Op::SintToF => Some(self.each_lane(a, |this, lane| this.b.ins().fcvt_from_sint(F64, lane))),
            _ if ty == Ty::F32X4 => Some(self.b.ins().fcvt_from_uint(clif, a)),
            _ => Some(self.each_lane(a, |this, lane| this.b.ins().fcvt_from_uint(F64, lane))),
        }
    }

    /// What `convert` makes of both lanes.
    fn each_lane(&mut self, a: Clif, convert: impl Fn(&mut Self, Clif) -> Clif) -> Clif {
        let [low, high] = [0, 1].map(|lane| {
            let one = self.b.ins().extractlane(a, lane);
            convert(self, one)
        });
        let shape = if self.type_of(low) == I64 { I64X2 } else { F64X2 };
        let vector = self.b.ins().scalar_to_vector(shape, low);
        self.b.ins().insertlane(vector, high, 1)
    }

    /// Four binary32 lanes to signed integers. The host makes the most negative one of what does not fit: where there is
    /// one, the evaluator makes all of them.
    fn singles_to_signed(&mut self, inst: &Inst, a: Clif) -> Clif {
        let rounded = self.rounded(a, inst).expect("the host rounds");
        let result = self.b.ins().x86_cvtt2dq(I32X4, rounded);
        let least = self.splat_constant(Ty::I32, I32X4, 1 << 31);
        let is_least = self.b.ins().icmp(IntCC::Equal, result, least);
        let any = self.b.ins().vhigh_bits(I32, is_least);
        self.or_in_cold_block(Unusual::Where(any), Usual::Always, |_| vec![result], |this| vec![this.evaluate(inst)])[0]
    }

    /// Lanes to unsigned integers, saturating. Those that are positive and below the top half of the integers are
    /// converted as signed numbers, as by [`Lower::convert_up_to`].
    fn lanes_to_unsigned(&mut self, inst: &Inst, a: Clif) -> Clif {
        let (lane, ints, too_large) = match self.type_of(a) {
            F32X4 => (Ty::I32, I32X4, u128::from(2f32.powi(31).to_bits())),
            _ => (Ty::I64, I64X2, u128::from(2f64.powi(63).to_bits())),
        };
        // What is too large gets a sign by this sum, and what is negative has one.
        let up_to_sign = (1 << (lane.bits() - 1)) - too_large;
        let up_to_sign = self.splat_constant(lane, ints, up_to_sign);
        let bits = self.cast(a, ints);
        let raised = self.b.ins().iadd(bits, up_to_sign);
        let either = self.b.ins().bor(raised, bits);
        let any = self.b.ins().vhigh_bits(I32, either);
        let convert = |this: &mut Self| {
            let rounded = this.rounded(a, inst).expect("the host rounds");
            vec![if lane == Ty::I32 {
                this.b.ins().x86_cvtt2dq(I32X4, rounded)
            } else {
                this.each_lane(rounded, |this, lane| this.b.ins().fcvt_to_sint_sat(I64, lane))
            }]
        };
        self.or_in_cold_block(Unusual::Where(any), Usual::Otherwise, convert, |this| vec![this.evaluate(inst)])[0]
    }
}

/// Whether it is raised that a value was no integral one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Inexact {
    Quiet,
    Raised,
}

/// Whether an operation makes the larger or smaller of two floats.
fn is_extreme(op: Op) -> bool {
    matches!(op, Op::Fmin | Op::FminNum | Op::Fmax | Op::FmaxNum)
}

fn float_cc(cond: FloatCond) -> FloatCC {
    match cond {
        FloatCond::Eq => FloatCC::Equal,
        FloatCond::Lt => FloatCC::LessThan,
        FloatCond::Le => FloatCC::LessThanOrEqual,
        FloatCond::Gt => FloatCC::GreaterThan,
        FloatCond::Ge => FloatCC::GreaterThanOrEqual,
        FloatCond::Un => FloatCC::Unordered,
        FloatCond::Ne => FloatCC::NotEqual,
    }
}
