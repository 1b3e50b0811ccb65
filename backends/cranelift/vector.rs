//! Rules for 128-bit vectors. What has no rule here goes through the evaluator.

use super::clif_type;
use super::lower::Lower;
use super::scalar::int_cc;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I8X16, I16X8, I32, I32X4, I64X2};
use cranelift_codegen::ir::{InstBuilder, Type, Value as Clif};
use philae_ir::{Inst, IntCond, Op, Ty};

impl Lower<'_, '_> {
    /// The rule for an operation whose type is a vector shape.
    pub(super) fn vector(&mut self, inst: &Inst) -> Option<Clif> {
        match inst.op {
            Op::Bitcast | Op::Zext => Some(self.convert(inst)),
            Op::Select => Some(self.select(inst)),
            Op::Concat => {
                let (lo, hi) = (self.value(inst.args[0]), self.value(inst.args[1]));
                Some(self.concat(I64X2, lo, hi))
            }
            Op::Low | Op::High => {
                let lanes = self.vector_arg(inst, 0, Ty::I64X2);
                Some(self.b.ins().extractlane(lanes, u8::from(inst.op == Op::High)))
            }
            Op::FtoSint | Op::FtoUint | Op::SintToF | Op::UintToF => self.vector_conversion(inst),
            Op::Fpromote => {
                let a = self.vector_arg(inst, 0, Ty::F32X4);
                Some(self.b.ins().fvpromote_low(a))
            }
            Op::Fdemote => {
                let a = self.vector_arg(inst, 0, Ty::F64X2);
                Some(self.b.ins().fvdemote(a))
            }
            Op::And | Op::Or | Op::Xor | Op::AndNot | Op::Not | Op::BitSelect => Some(self.bitwise(inst)),
            Op::Splat | Op::ExtractLane | Op::InsertLane => Some(self.lane(inst)),
            Op::Shuffle | Op::TableLookup | Op::LaneMask => Some(self.permutation(inst)),
            Op::WidenLowS | Op::WidenHighS | Op::WidenLowU | Op::WidenHighU => Some(self.widen(inst)),
            Op::Narrow | Op::NarrowSatSS | Op::NarrowSatSU | Op::NarrowSatUU => Some(self.narrow(inst)),
            Op::DotPairsS => self.dot_pairs(inst),
            _ if inst.ty.lane().is_float() => self.float(inst),
            _ if inst.ty == Ty::V128 => None,
            Op::VshlImm | Op::VlshrImm | Op::VashrImm => Some(self.shift_imm(inst)),
            Op::Vshl | Op::Vlshr | Op::Vashr => self.shift_lanes(inst),
            _ => self.lanewise(inst),
        }
    }

    fn bitwise(&mut self, inst: &Inst) -> Clif {
        if let Some(rotated) = self.rotation(inst) {
            return rotated;
        }
        let a = self.vector_arg(inst, 0, Ty::V128);
        if inst.op == Op::Not {
            return self.b.ins().bnot(a);
        }
        let b = self.vector_arg(inst, 1, Ty::V128);
        match inst.op {
            Op::And => self.b.ins().band(a, b),
            Op::Or => self.b.ins().bor(a, b),
            Op::Xor => self.with_key(a, b).unwrap_or_else(|| self.b.ins().bxor(a, b)),
            Op::AndNot => {
                let inverse = self.b.ins().bnot(b);
                self.b.ins().band(a, inverse)
            }
            _ => {
                let c = self.vector_arg(inst, 2, Ty::V128);
                self.b.ins().bitselect(a, b, c)
            }
        }
    }

    /// Lanes shifted to the left, and to the right by the rest of their width, together.
    fn rotation(&mut self, inst: &Inst) -> Option<Clif> {
        if inst.op != Op::Or {
            return None;
        }
        let (a, b) = (self.region.inst(inst.args[0]), self.region.inst(inst.args[1]));
        let (left, right) = if a.op == Op::VshlImm { (a, b) } else { (b, a) };
        let width = u64::from(left.ty.lane().bits());
        let together = (left.op, right.op) == (Op::VshlImm, Op::VlshrImm)
            && (left.ty, left.args[0]) == (right.ty, right.args[0])
            && left.imm + right.imm == width
            && !matches!(left.imm, 0 | 64);
        if !together {
            return None;
        }
        let value = self.vector_arg(left, 0, left.ty);
        let rotated = self.rotate(value, left.imm);
        if rotated.is_some() || left.imm % 8 != 0 || !self.features.bytes {
            return rotated;
        }
        let (bytes, by) = (width / 8, left.imm / 8);
        let mask = std::array::from_fn(|index| {
            let (lane, byte) = (index as u64 / bytes, index as u64 % bytes);
            (lane * bytes + (byte + bytes - by) % bytes) as u8
        });
        let value = self.cast(value, I8X16);
        Some(self.plain_shuffle(value, value, mask))
    }

    fn lane(&mut self, inst: &Inst) -> Clif {
        let ty = clif_type(inst.ty);
        match inst.op {
            Op::Splat => {
                let lane = self.value(inst.args[0]);
                let shape = self.type_of(lane).by(ty.lane_count()).expect("a shape of scalars");
                let lanes = self.b.ins().splat(shape, lane);
                self.cast(lanes, ty)
            }
            Op::ExtractLane => {
                let a = self.arg(inst, 0);
                self.b.ins().extractlane(a, inst.imm as u8)
            }
            _ => {
                let (a, lane) = (self.arg(inst, 0), self.value(inst.args[1]));
                self.b.ins().insertlane(a, lane, inst.imm as u8)
            }
        }
    }

    fn permutation(&mut self, inst: &Inst) -> Clif {
        match inst.op {
            Op::LaneMask => {
                let a = self.vector_arg(inst, 0, inst.ty.as_int());
                self.b.ins().vhigh_bits(I32, a)
            }
            Op::TableLookup if self.features.bytes => {
                let (a, b) = (self.bytes(inst.args[0]), self.bytes(inst.args[1]));
                let indices = self.table_indices(b);
                self.b.ins().x86_pshufb(a, indices)
            }
            Op::TableLookup => {
                let (a, b) = (self.vector_arg(inst, 0, Ty::I8X16), self.vector_arg(inst, 1, Ty::I8X16));
                self.b.ins().swizzle(a, b)
            }
            _ => {
                let (a, b) = (self.vector_arg(inst, 0, Ty::I8X16), self.vector_arg(inst, 1, Ty::I8X16));
                self.shuffle(a, b, self.region.consts[inst.imm as usize].to_le_bytes())
            }
        }
    }

    /// Bytes out of a and b; from 32 on zeroes, which Cranelift's shuffle does not have.
    fn shuffle(&mut self, a: Clif, b: Clif, mask: [u8; 16]) -> Clif {
        if mask.iter().all(|&index| index < 32) {
            return self.plain_shuffle(a, b, mask);
        }
        if mask.iter().all(|&index| !(16..32).contains(&index)) {
            let zero = self.zero(I8X16);
            return self.plain_shuffle(a, zero, mask.map(|index| index.min(16)));
        }
        if mask.iter().all(|&index| index >= 16) {
            let zero = self.zero(I8X16);
            return self.plain_shuffle(b, zero, mask.map(|index| if index < 32 { index - 16 } else { 16 }));
        }
        let kept = mask.map(|index| if index < 32 { 0xff } else { 0 });
        let shuffled = self.plain_shuffle(a, b, mask.map(|index| index % 32));
        let kept = self.vector_constant(u128::from_le_bytes(kept));
        self.b.ins().band(shuffled, kept)
    }

    pub(super) fn plain_shuffle(&mut self, a: Clif, b: Clif, mask: [u8; 16]) -> Clif {
        let mask = self.b.func.dfg.immediates.push(mask.to_vec().into());
        self.b.ins().shuffle(a, b, mask)
    }

    /// Lanes `first`, `first` + 2, … of a, then of b.
    fn every_second(&mut self, ty: Type, a: Clif, b: Clif, first: u8) -> Clif {
        let bytes = ty.lane_bits() as u8 / 8;
        let mask = std::array::from_fn(|index| {
            let (lane, byte) = (index as u8 / bytes, index as u8 % bytes);
            (2 * lane + first) * bytes + byte
        });
        let (a, b) = (self.cast(a, I8X16), self.cast(b, I8X16));
        let picked = self.plain_shuffle(a, b, mask);
        self.cast(picked, ty)
    }

    fn widen(&mut self, inst: &Inst) -> Clif {
        let a = self.vector_arg(inst, 0, inst.ty.narrower());
        match inst.op {
            Op::WidenLowS => self.b.ins().swiden_low(a),
            Op::WidenHighS => self.b.ins().swiden_high(a),
            Op::WidenLowU => self.b.ins().uwiden_low(a),
            _ => self.b.ins().uwiden_high(a),
        }
    }

    fn narrow(&mut self, inst: &Inst) -> Clif {
        let wide = Ty::int_vector(2 * inst.ty.lane().bits());
        let (a, b) = (self.vector_arg(inst, 0, wide), self.vector_arg(inst, 1, wide));
        let ty = clif_type(inst.ty);
        let max = u64::MAX >> (64 - ty.lane_bits());
        match inst.op {
            Op::Narrow if ty == I32X4 => self.every_second(ty, a, b, 0),
            Op::Narrow => {
                let mask = self.lanes_of(wide, max);
                let (a, b) = (self.b.ins().band(a, mask), self.b.ins().band(b, mask));
                self.b.ins().unarrow(a, b)
            }
            Op::NarrowSatSS if ty != I32X4 => self.b.ins().snarrow(a, b),
            Op::NarrowSatSU if ty != I32X4 => self.b.ins().unarrow(a, b),
            Op::NarrowSatUU => {
                let limit = self.lanes_of(wide, max);
                let (a, b) = (self.b.ins().umin(a, limit), self.b.ins().umin(b, limit));
                if ty == I32X4 { self.every_second(ty, a, b, 0) } else { self.b.ins().unarrow(a, b) }
            }
            _ => {
                let signed = inst.op == Op::NarrowSatSS;
                let (low, high) = if signed { (i64::from(i32::MIN) as u64, max >> 1) } else { (0, max) };
                let (low, high) = (self.lanes_of(wide, low), self.lanes_of(wide, high));
                let [a, b] = [a, b].map(|lanes| {
                    let raised = self.b.ins().smax(lanes, low);
                    self.b.ins().smin(raised, high)
                });
                self.every_second(ty, a, b, 0)
            }
        }
    }

    /// A constant in all lanes of an integer shape.
    fn lanes_of(&mut self, shape: Ty, bits: u64) -> Clif {
        let width = shape.lane().bits();
        let lane = u128::from(bits) & shape.lane().mask();
        let all = (0..shape.lanes()).fold(0, |all, index| all | lane << (index * width));
        let all = self.vector_constant(all);
        self.cast(all, clif_type(shape))
    }

    fn dot_pairs(&mut self, inst: &Inst) -> Option<Clif> {
        let narrow = inst.ty.narrower();
        let (a, b) = (self.vector_arg(inst, 0, narrow), self.vector_arg(inst, 1, narrow));
        let (a_low, b_low) = (self.b.ins().swiden_low(a), self.b.ins().swiden_low(b));
        let low = self.b.ins().imul(a_low, b_low);
        let (a_high, b_high) = (self.b.ins().swiden_high(a), self.b.ins().swiden_high(b));
        let high = self.b.ins().imul(a_high, b_high);
        Some(self.add_pairs(clif_type(inst.ty), low, high))
    }

    fn add_pairs(&mut self, ty: Type, a: Clif, b: Clif) -> Clif {
        if matches!(ty, I16X8 | I32X4) {
            return self.b.ins().iadd_pairwise(a, b);
        }
        let (even, odd) = (self.every_second(ty, a, b, 0), self.every_second(ty, a, b, 1));
        self.b.ins().iadd(even, odd)
    }

    fn shift_imm(&mut self, inst: &Inst) -> Clif {
        let a = self.arg(inst, 0);
        self.shift_by(inst.op, a, inst.imm)
    }

    /// Shifts all lanes by a constant.
    fn shift_by(&mut self, op: Op, a: Clif, amount: u64) -> Clif {
        let ty = self.type_of(a);
        let width = u64::from(ty.lane_bits());
        let arithmetic = matches!(op, Op::VashrImm | Op::Vashr);
        if amount >= width && !arithmetic {
            return self.zero(ty);
        }
        let amount = self.iconst(I32, amount.min(width - 1));
        match op {
            Op::VshlImm | Op::Vshl => self.b.ins().ishl(a, amount),
            Op::VlshrImm | Op::Vlshr => self.b.ins().ushr(a, amount),
            _ => self.b.ins().sshr(a, amount),
        }
    }

    /// Shifts lanes by lanes: by a constant where all are the same, else each on its own where lanes are wide.
    fn shift_lanes(&mut self, inst: &Inst) -> Option<Clif> {
        let a = self.arg(inst, 0);
        let shape = inst.ty;
        if let Some(amounts) = self.region.constant(inst.args[1]) {
            let width = shape.lane().bits();
            let lane = |index: u32| amounts >> (index * width) & shape.lane().mask();
            if (1..shape.lanes()).all(|index| lane(index) == lane(0)) {
                return Some(self.shift_by(inst.op, a, lane(0) as u64));
            }
        }
        if !self.features.avx2 {
            return None;
        }
        let amounts = self.arg(inst, 1);
        Some(self.shift_each(inst.op, a, amounts))
    }

    /// Narrow lanes are shifted as wider ones.
    fn shift_each(&mut self, op: Op, a: Clif, amounts: Clif) -> Clif {
        let ty = self.type_of(a);
        if ty == I64X2 && op == Op::Vashr {
            let sign = self.shift_by(Op::VashrImm, a, 63);
            let inverted = self.b.ins().bxor(a, sign);
            let shifted = self.shift_words(Op::Vlshr, inverted, amounts);
            return self.b.ins().bxor(shifted, sign);
        }
        if ty.lane_bits() >= 32 {
            return self.shift_words(op, a, amounts);
        }
        let (a_low, a_high) = if op == Op::Vashr {
            (self.b.ins().swiden_low(a), self.b.ins().swiden_high(a))
        } else {
            (self.b.ins().uwiden_low(a), self.b.ins().uwiden_high(a))
        };
        let (low, high) = (self.b.ins().uwiden_low(amounts), self.b.ins().uwiden_high(amounts));
        let (low, high) = (self.shift_each(op, a_low, low), self.shift_each(op, a_high, high));
        if op == Op::Vashr {
            return self.b.ins().snarrow(low, high);
        }
        let mask = self.lanes_of(Ty::int_vector(2 * ty.lane_bits()), u64::MAX >> (64 - ty.lane_bits()));
        let (low, high) = (self.b.ins().band(low, mask), self.b.ins().band(high, mask));
        self.b.ins().unarrow(low, high)
    }

    /// Operations on integer lanes, one by one.
    fn lanewise(&mut self, inst: &Inst) -> Option<Clif> {
        let a = self.arg(inst, 0);
        let ty = self.type_of(a);
        match inst.op {
            Op::Neg => return Some(self.b.ins().ineg(a)),
            Op::Abs => return Some(self.b.ins().iabs(a)),
            Op::Popcnt if ty == I8X16 => return Some(self.b.ins().popcnt(a)),
            _ if inst.op.info().takes.len() < 2 => return None,
            _ => (),
        }
        let b = self.arg(inst, 1);
        let small = matches!(ty, I8X16 | I16X8);
        Some(match inst.op {
            Op::Add => self.b.ins().iadd(a, b),
            Op::Sub => self.b.ins().isub(a, b),
            Op::Mul if ty == I8X16 => self.multiply_bytes(a, b),
            Op::Mul => self.b.ins().imul(a, b),
            Op::Umin => self.b.ins().umin(a, b),
            Op::Umax => self.b.ins().umax(a, b),
            Op::Smin => self.b.ins().smin(a, b),
            Op::Smax => self.b.ins().smax(a, b),
            Op::Icmp => self.b.ins().icmp(int_cc(IntCond::from_aux(inst.aux)), a, b),
            Op::AddPairs => self.add_pairs(ty, a, b),
            Op::AddSatS if small => self.b.ins().sadd_sat(a, b),
            Op::AddSatU if small => self.b.ins().uadd_sat(a, b),
            Op::SubSatS if small => self.b.ins().ssub_sat(a, b),
            Op::SubSatU if small => self.b.ins().usub_sat(a, b),
            Op::AddSatS | Op::AddSatU | Op::SubSatS | Op::SubSatU => self.saturate_lanes(inst.op, inst.ty, a, b),
            Op::AvgU if small => self.b.ins().avg_round(a, b),
            Op::AvgU => {
                let (either, differ) = (self.b.ins().bor(a, b), self.b.ins().bxor(a, b));
                let half = self.shift_by(Op::Vlshr, differ, 1);
                self.b.ins().isub(either, half)
            }
            _ => return None,
        })
    }

    /// Bytes are multiplied as 16 bits, in two halves.
    fn multiply_bytes(&mut self, a: Clif, b: Clif) -> Clif {
        let low_bytes = self.lanes_of(Ty::I16X8, 0xff);
        let (a_low, b_low) = (self.b.ins().uwiden_low(a), self.b.ins().uwiden_low(b));
        let (a_high, b_high) = (self.b.ins().uwiden_high(a), self.b.ins().uwiden_high(b));
        let (low, high) = (self.b.ins().imul(a_low, b_low), self.b.ins().imul(a_high, b_high));
        let (low, high) = (self.b.ins().band(low, low_bytes), self.b.ins().band(high, low_bytes));
        self.b.ins().unarrow(low, high)
    }

    /// Saturation of lanes that the host has no instruction for.
    fn saturate_lanes(&mut self, op: Op, shape: Ty, a: Clif, b: Clif) -> Clif {
        let sum = matches!(op, Op::AddSatU | Op::AddSatS);
        let plain = if sum { self.b.ins().iadd(a, b) } else { self.b.ins().isub(a, b) };
        match op {
            Op::AddSatU => {
                let over = self.b.ins().icmp(IntCC::UnsignedLessThan, plain, a);
                self.b.ins().bor(plain, over)
            }
            Op::SubSatU => {
                let fits = self.b.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, a, b);
                self.b.ins().band(plain, fits)
            }
            _ => {
                // Overflow of a sum: the result's sign differs from both; of a difference: from a's, as b's does.
                let other = if sum { plain } else { a };
                let (first, second) = (self.b.ins().bxor(a, plain), self.b.ins().bxor(b, other));
                let both = self.b.ins().band(first, second);
                let width = u64::from(shape.lane().bits());
                let over = self.shift_by(Op::Vashr, both, width - 1);
                let sign = self.shift_by(Op::Vashr, a, width - 1);
                let max = self.lanes_of(shape, u64::MAX >> (65 - width));
                let limit = self.b.ins().bxor(sign, max);
                self.b.ins().bitselect(over, limit, plain)
            }
        }
    }
}
