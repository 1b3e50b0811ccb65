//! Floating point of SSE, SSE2 and SSE3. Rounding follows MXCSR, which the runtime loads; its exception flags are
//! not raised.

use super::operand::{Lifted, X86};
use crate::lift::LiftError;
use iced_x86::OpKind;
use philae_ir::state::x86_64::PARITY;
use philae_ir::{FloatCond, NanRule, Op, Rounding, Sink, Ty, Value};

/// The NaN that operations make of numbers is the rule's; which operand's NaN survives, too.
const NAN: NanRule = NanRule::X86;

impl<S: Sink> X86<'_, '_, S> {
    /// Operand `n` as a scalar: the low bits of an XMM register, or memory.
    fn scalar(&mut self, n: u32, ty: Ty) -> Result<Value, LiftError> {
        if let Some(slot) = self.xmm(n) {
            return Ok(self.get(ty, slot));
        }
        if self.insn.op_kind(n) != OpKind::Memory {
            return Err(LiftError::Undefined);
        }
        let at = self.address();
        Ok(self.load(ty, at.base, at.offset))
    }

    /// Writes the low bits of XMM operand 0 and keeps the others.
    fn set_scalar(&mut self, ty: Ty, value: Value) -> Lifted {
        let slot = self.xmm(0).ok_or(LiftError::Undefined)?;
        self.set_low(ty, slot, value);
        Ok(())
    }

    /// The low 64 bits of vector operand `n`, or as much memory.
    fn low64(&mut self, n: u32) -> Result<Value, LiftError> {
        match self.mm(n) {
            Some(number) => Ok(self.read_mm(number)),
            None => self.scalar(n, Ty::I64),
        }
    }

    /// A float constant.
    fn fconst(&mut self, ty: Ty, value: f64) -> Value {
        let bits = if ty == Ty::F32 { u64::from((value as f32).to_bits()) } else { value.to_bits() };
        self.iconst(ty, bits)
    }
}

/// MOVSS and MOVSD: a load clears what is above, a move between registers keeps it.
pub(super) fn mov_scalar(x: &mut X86<impl Sink>, ty: Ty) -> Lifted {
    let value = x.scalar(1, ty)?;
    match (x.xmm(0), x.is_register(1)) {
        (Some(slot), true) => x.set_low(ty, slot, value),
        (Some(slot), false) => x.set(ty, slot, value),
        (None, _) => {
            let at = x.address();
            x.store(ty, at.base, at.offset, value);
        }
    }
    Ok(())
}

/// MOVLPS, MOVLPD: the low half against memory.
pub(super) fn mov_low(x: &mut X86<impl Sink>) -> Lifted {
    let value = x.scalar(1, Ty::I64)?;
    if let Some(slot) = x.xmm(0) {
        x.set_low(Ty::I64, slot, value);
        return Ok(());
    }
    let at = x.address();
    x.store(Ty::I64, at.base, at.offset, value);
    Ok(())
}

/// MOVHPS, MOVHPD: the high half against memory.
pub(super) fn mov_high(x: &mut X86<impl Sink>) -> Lifted {
    if let Some(slot) = x.xmm(0) {
        let high = x.scalar(1, Ty::I64)?;
        let low = x.get(Ty::I64, slot);
        let value = x.concat(Ty::V128, low, high);
        x.set(Ty::V128, slot, value);
        return Ok(());
    }
    let whole = x.vector(1)?;
    let high = x.high(Ty::V128, whole);
    let at = x.address();
    x.store(Ty::I64, at.base, at.offset, high);
    Ok(())
}

pub(super) fn movhlps(x: &mut X86<impl Sink>) -> Lifted {
    let whole = x.vector(1)?;
    let high = x.high(Ty::V128, whole);
    x.set_scalar(Ty::I64, high)
}

pub(super) fn movlhps(x: &mut X86<impl Sink>) -> Lifted {
    let (high, low) = (x.scalar(1, Ty::I64)?, x.scalar(0, Ty::I64)?);
    let value = x.concat(Ty::V128, low, high);
    x.set_vector(value)
}

/// MOVDDUP, MOVSLDUP, MOVSHDUP: a fixed shuffle of operand 1, of which MOVDDUP reads 64 bits.
pub(super) fn duplicate(x: &mut X86<impl Sink>, mask: [u8; 16]) -> Lifted {
    let a = x.vector(1)?;
    let value = x.shuffle(a, a, mask);
    x.set_vector(value)
}

/// Two operands, all lanes.
pub(super) fn packed(x: &mut X86<impl Sink>, op: Op, ty: Ty) -> Lifted {
    let b = x.vector(1)?;
    let a = x.vector(0)?;
    let value = x.float2(op, ty, NAN, a, b);
    x.set_vector(value)
}

/// Two operands, the lowest lane.
pub(super) fn scalar(x: &mut X86<impl Sink>, op: Op, ty: Ty) -> Lifted {
    let b = x.scalar(1, ty)?;
    let a = x.scalar(0, ty)?;
    let value = x.float2(op, ty, NAN, a, b);
    x.set_scalar(ty, value)
}

pub(super) fn sqrt_packed(x: &mut X86<impl Sink>, ty: Ty) -> Lifted {
    let a = x.vector(1)?;
    let value = x.fsqrt(ty, NAN, a);
    x.set_vector(value)
}

pub(super) fn sqrt_scalar(x: &mut X86<impl Sink>, ty: Ty) -> Lifted {
    let a = x.scalar(1, ty)?;
    let value = x.fsqrt(ty, NAN, a);
    x.set_scalar(ty, value)
}

/// MIN and MAX: operand 1 unless operand 0 is strictly below (above) it, so also for NaNs and zeroes.
pub(super) fn extreme_packed(x: &mut X86<impl Sink>, ty: Ty, cond: FloatCond) -> Lifted {
    let b = x.vector(1)?;
    let a = x.vector(0)?;
    let first = x.fcmp(ty, cond, a, b);
    let value = x.bit_select(first, a, b);
    x.set_vector(value)
}

/// MIN and MAX of the lowest lane.
pub(super) fn extreme_scalar(x: &mut X86<impl Sink>, ty: Ty, cond: FloatCond) -> Lifted {
    let b = x.scalar(1, ty)?;
    let a = x.scalar(0, ty)?;
    let first = x.fcmp(ty, cond, a, b);
    let value = x.select(ty, first, a, b);
    x.set_scalar(ty, value)
}

/// The predicates of CMPPS and its like (SDM volume 2, table 3-1): the relation, and whether it is inverted.
fn predicate(immediate: u8) -> (FloatCond, bool) {
    let relation = match immediate & 3 {
        0 => FloatCond::Eq,
        1 => FloatCond::Lt,
        2 => FloatCond::Le,
        _ => FloatCond::Un,
    };
    (relation, immediate & 4 != 0)
}

/// CMPPS and CMPPD.
pub(super) fn compare_packed(x: &mut X86<impl Sink>, ty: Ty) -> Lifted {
    let (relation, inverted) = predicate(x.insn.immediate8());
    let b = x.vector(1)?;
    let a = x.vector(0)?;
    let mut mask = x.fcmp(ty, relation, a, b);
    if inverted {
        mask = x.not(Ty::V128, mask);
    }
    x.set_vector(mask)
}

/// CMPSS and CMPSD.
pub(super) fn compare_scalar(x: &mut X86<impl Sink>, ty: Ty) -> Lifted {
    let (relation, inverted) = predicate(x.insn.immediate8());
    let b = x.scalar(1, ty)?;
    let a = x.scalar(0, ty)?;
    let mut holds = x.fcmp(ty, relation, a, b);
    if inverted {
        holds = x.bool_not(holds);
    }
    let bits = ty.as_int();
    let wide = x.zext(bits, holds);
    let mask = x.neg(bits, wide);
    x.set_scalar(bits, mask)
}

/// COMIS and UCOMIS: ZF, PF, CF say equal, unordered, less; unordered sets all three.
pub(super) fn compare_into_flags(x: &mut X86<impl Sink>, ty: Ty) -> Lifted {
    let b = x.scalar(1, ty)?;
    let a = x.scalar(0, ty)?;
    let flags = x.flags_fcmp(ty, a, b, [0b0010, 0b0100, 0, 0b0110]);
    x.set_flags(flags);
    let unordered = x.fcmp(ty, FloatCond::Un, a, b);
    let byte = x.bool_not(unordered);
    x.set(Ty::I8, PARITY, byte);
    x.clear_adjust();
    Ok(())
}

/// What a conversion to integers does with fractions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fraction {
    /// CVT: rounds to nearest even.
    Round,
    /// CVTT: truncates.
    Drop,
}

/// A scalar as a signed integer; what does not fit becomes the most negative one, "integer indefinite".
fn to_integer(x: &mut X86<impl Sink>, from: Ty, to: Ty, fraction: Fraction, value: Value) -> Value {
    let value = match fraction {
        Fraction::Round => x.fround(from, Rounding::Current, value),
        Fraction::Drop => value,
    };
    let integer = x.fto_sint(to, Rounding::Zero, value);
    // Too small saturates to the most negative one already; too large and NaN are left to see to.
    let bound = x.fconst(from, 2f64.powi(to.bits() as i32 - 1));
    let fits = x.fcmp(from, FloatCond::Lt, value, bound);
    let indefinite = x.iconst(to, 1 << (to.bits() - 1));
    x.select(to, fits, integer, indefinite)
}

/// CVTSS2SI, CVTSD2SI and the truncating ones.
pub(super) fn scalar_to_integer(x: &mut X86<impl Sink>, from: Ty, fraction: Fraction) -> Lifted {
    let to = x.ty(0)?;
    let value = x.scalar(1, from)?;
    let integer = to_integer(x, from, to, fraction, value);
    x.write_operand(0, to, integer)
}

/// CVTSI2SS and CVTSI2SD.
pub(super) fn integer_to_scalar(x: &mut X86<impl Sink>, to: Ty) -> Lifted {
    let from = x.ty(1)?;
    let integer = x.value(1, from)?;
    let value = x.sint_to_f(to, integer);
    x.set_scalar(to, value)
}

/// CVTPS2DQ and CVTTPS2DQ.
pub(super) fn ps_to_dq(x: &mut X86<impl Sink>, fraction: Fraction) -> Lifted {
    let ty = Ty::F32X4;
    let mut value = x.vector(1)?;
    if fraction == Fraction::Round {
        value = x.fround(ty, Rounding::Current, value);
    }
    let integers = x.fto_sint(Ty::I32X4, Rounding::Zero, value);
    let bound = x.splat64(0x4f00_0000_4f00_0000);
    let fits = x.fcmp(ty, FloatCond::Lt, value, bound);
    let indefinite = x.splat64(0x8000_0000_8000_0000);
    let integers = x.bit_select(fits, integers, indefinite);
    x.set_vector(integers)
}

/// Two floats of type `ty` as the two 32-bit integers of one `i64`.
fn two_to_integers(x: &mut X86<impl Sink>, ty: Ty, fraction: Fraction, pair: Value) -> Value {
    let halves = [0, 1].map(|lane| {
        let shape = if ty == Ty::F32 { Ty::F32X4 } else { Ty::F64X2 };
        let value = x.extract_lane(shape, pair, lane);
        let integer = to_integer(x, ty, Ty::I32, fraction, value);
        x.zext(Ty::I64, integer)
    });
    let high = x.shl_imm(Ty::I64, halves[1], 32);
    x.or(Ty::I64, halves[0], high)
}

/// CVTPD2DQ and CVTTPD2DQ: the upper half becomes 0.
pub(super) fn pd_to_dq(x: &mut X86<impl Sink>, fraction: Fraction) -> Lifted {
    let value = x.vector(1)?;
    let integers = two_to_integers(x, Ty::F64, fraction, value);
    let whole = x.low_vector(integers);
    x.set_vector(whole)
}

/// CVTPS2PI, CVTPD2PI and the truncating ones.
pub(super) fn to_pi(x: &mut X86<impl Sink>, from: Ty, fraction: Fraction) -> Lifted {
    let value = x.vector(1)?;
    let integers = two_to_integers(x, from, fraction, value);
    let number = x.mm(0).ok_or(LiftError::Undefined)?;
    x.write_mm(number, integers);
    Ok(())
}

/// CVTPI2PS: the upper half stays.
pub(super) fn pi_to_ps(x: &mut X86<impl Sink>) -> Lifted {
    let integers = x.low64(1)?;
    let integers = x.low_vector(integers);
    let floats = x.sint_to_f(Ty::F32X4, integers);
    let low = x.low(Ty::V128, floats);
    x.set_scalar(Ty::I64, low)
}

/// CVTDQ2PS.
pub(super) fn dq_to_ps(x: &mut X86<impl Sink>) -> Lifted {
    let integers = x.vector(1)?;
    let floats = x.sint_to_f(Ty::F32X4, integers);
    x.set_vector(floats)
}

/// CVTDQ2PD and CVTPI2PD.
pub(super) fn dq_to_pd(x: &mut X86<impl Sink>) -> Lifted {
    let integers = x.low64(1)?;
    let integers = x.low_vector(integers);
    let wide = x.widen_low_s(Ty::I64X2, integers);
    let floats = x.sint_to_f(Ty::F64X2, wide);
    x.set_vector(floats)
}

/// CVTPS2PD.
pub(super) fn ps_to_pd(x: &mut X86<impl Sink>) -> Lifted {
    let low = x.low64(1)?;
    let pair = x.low_vector(low);
    let value = x.fpromote(Ty::F64X2, pair);
    x.set_vector(value)
}

/// CVTPD2PS: the upper half becomes 0.
pub(super) fn pd_to_ps(x: &mut X86<impl Sink>) -> Lifted {
    let pair = x.vector(1)?;
    let value = x.fdemote(Ty::F32X4, pair);
    x.set_vector(value)
}

/// CVTSS2SD.
pub(super) fn ss_to_sd(x: &mut X86<impl Sink>) -> Lifted {
    let value = x.scalar(1, Ty::F32)?;
    let value = x.fpromote(Ty::F64, value);
    x.set_scalar(Ty::F64, value)
}

/// CVTSD2SS.
pub(super) fn sd_to_ss(x: &mut X86<impl Sink>) -> Lifted {
    let value = x.scalar(1, Ty::F64)?;
    let value = x.fdemote(Ty::F32, value);
    x.set_scalar(Ty::F32, value)
}

/// RCPPS, RCPSS, RSQRTPS, RSQRTSS: the architecture asks for 11 bits or more; this gives all of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Estimate {
    Reciprocal,
    ReciprocalRoot,
}

fn estimate(x: &mut X86<impl Sink>, ty: Ty, kind: Estimate, one: Value, value: Value) -> Value {
    let divisor = match kind {
        Estimate::Reciprocal => value,
        Estimate::ReciprocalRoot => x.fsqrt(ty, NAN, value),
    };
    x.float2(Op::Fdiv, ty, NAN, one, divisor)
}

pub(super) fn estimate_packed(x: &mut X86<impl Sink>, kind: Estimate) -> Lifted {
    let value = x.vector(1)?;
    let one = x.splat64(0x3f80_0000_3f80_0000);
    let result = estimate(x, Ty::F32X4, kind, one, value);
    x.set_vector(result)
}

pub(super) fn estimate_scalar(x: &mut X86<impl Sink>, kind: Estimate) -> Lifted {
    let value = x.scalar(1, Ty::F32)?;
    let one = x.fconst(Ty::F32, 1.0);
    let result = estimate(x, Ty::F32, kind, one, value);
    x.set_scalar(Ty::F32, result)
}

/// Even and odd lanes of two vectors, operand 0's below operand 1's.
fn neighbours(x: &mut X86<impl Sink>, ty: Ty) -> Result<(Value, Value), LiftError> {
    let b = x.vector(1)?;
    let a = x.vector(0)?;
    let bytes = ty.lane().bytes() as u8;
    let [even, odd] = [0, 1].map(|odd| {
        let mask = std::array::from_fn(|i| {
            let (lane, byte) = (i as u8 / bytes, i as u8 % bytes);
            (2 * lane + odd) * bytes + byte
        });
        x.shuffle(a, b, mask)
    });
    Ok((even, odd))
}

/// HADD and HSUB.
pub(super) fn horizontal(x: &mut X86<impl Sink>, op: Op, ty: Ty) -> Lifted {
    let (even, odd) = neighbours(x, ty)?;
    let value = x.float2(op, ty, NAN, even, odd);
    x.set_vector(value)
}

/// ADDSUB: even lanes subtract, odd lanes add.
pub(super) fn addsub(x: &mut X86<impl Sink>, ty: Ty) -> Lifted {
    let b = x.vector(1)?;
    let a = x.vector(0)?;
    let difference = x.float2(Op::Fsub, ty, NAN, a, b);
    let sum = x.float2(Op::Fadd, ty, NAN, a, b);
    let bytes = ty.lane().bytes() as u8;
    let mask = std::array::from_fn(|i| i as u8 + if i as u8 / bytes % 2 == 1 { 16 } else { 0 });
    let value = x.shuffle(difference, sum, mask);
    x.set_vector(value)
}
