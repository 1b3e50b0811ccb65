//! x87 instructions: operands through the region, so that faults are exact; the rest through the unit's helpers.

use super::operand::{Lifted, RAX, X86};
use super::x87_unit::{self as unit, Arithmetic, Constant, Kind, Unary};
use crate::lift::LiftError;
use iced_x86::{ConditionCode, Register};
use philae_ir::{Helper, Sink, Ty, Value};

/// Whether an instruction drops the top of the stack at its end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Keep,
    Pop,
    PopTwice,
}

/// Whether a memory operand is a float or an integer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    Float,
    Integer,
    /// An integer that is truncated (FISTTP).
    Truncated,
    Decimal,
}

/// An operand as helpers take it.
struct Source {
    kind: Value,
    bits: Value,
}

impl<S: Sink> X86<'_, '_, S> {
    fn number(&mut self, number: u64) -> Value {
        self.iconst(Ty::I32, number)
    }

    /// The stack register that operand `n` is.
    fn stack_register(&self, n: u32) -> Option<u64> {
        let number = (self.register(n) as u64).checked_sub(Register::ST0 as u64)?;
        Some(number).filter(|&number| number < 8)
    }

    fn finish(&mut self, then: Then) -> Lifted {
        let pops = match then {
            Then::Keep => 0,
            Then::Pop => 1,
            Then::PopTwice => 2,
        };
        for _ in 0..pops {
            self.call(&unit::POP, &[]);
        }
        Ok(())
    }
}

/// The kind of the memory operand.
fn memory_kind(x: &X86<impl Sink>, memory: Memory) -> Result<Kind, LiftError> {
    match (memory, x.insn.memory_size().size()) {
        (Memory::Float, 4) => Ok(Kind::Single),
        (Memory::Float, 8) => Ok(Kind::Double),
        (Memory::Float, 10) => Ok(Kind::Extended),
        (Memory::Integer, 2) => Ok(Kind::Int16),
        (Memory::Integer, 4) => Ok(Kind::Int32),
        (Memory::Integer, 8) => Ok(Kind::Int64),
        (Memory::Truncated, 2) => Ok(Kind::Truncated16),
        (Memory::Truncated, 4) => Ok(Kind::Truncated32),
        (Memory::Truncated, 8) => Ok(Kind::Truncated64),
        (Memory::Decimal, 10) => Ok(Kind::Decimal),
        _ => Err(LiftError::Undefined),
    }
}

/// The type in memory of a kind of up to 8 bytes.
fn memory_type(kind: Kind) -> Option<Ty> {
    match kind {
        Kind::Int16 | Kind::Truncated16 => Some(Ty::I16),
        Kind::Single | Kind::Int32 | Kind::Truncated32 => Some(Ty::I32),
        Kind::Double | Kind::Int64 | Kind::Truncated64 => Some(Ty::I64),
        Kind::Extended | Kind::Decimal | Kind::Stack => None,
    }
}

/// The last operand: a stack register, or memory.
fn source(x: &mut X86<impl Sink>, memory: Memory) -> Result<Source, LiftError> {
    let last = x.insn.op_count().checked_sub(1);
    if last.is_none_or(|n| x.is_register(n)) {
        // FCOM and its like without an operand mean ST(1).
        let number = match last {
            None => 1,
            Some(n) => x.stack_register(n).ok_or(LiftError::Undefined)?,
        };
        return Ok(Source { kind: x.number(Kind::Stack as u64), bits: x.number(number) });
    }
    let kind = memory_kind(x, memory)?;
    let at = x.address();
    let bits = match (memory_type(kind), memory) {
        (Some(ty), Memory::Integer | Memory::Truncated) => x.load_sext(Ty::I64, ty, at.base, at.offset),
        (Some(ty), Memory::Float | Memory::Decimal) => x.load(ty, at.base, at.offset),
        (None, _) => {
            let low = x.load(Ty::I64, at.base, at.offset);
            let high = x.load_zext(Ty::I64, Ty::I16, at.base, at.offset.wrapping_add(8));
            x.concat(Ty::I128, low, high)
        }
    };
    Ok(Source { kind: x.number(kind as u64), bits })
}

/// FLD, FILD, FBLD.
pub(super) fn load(x: &mut X86<impl Sink>, memory: Memory) -> Lifted {
    let Source { kind, bits } = source(x, memory)?;
    x.call(&unit::LOAD, &[kind, bits]);
    Ok(())
}

pub(super) fn load_constant(x: &mut X86<impl Sink>, constant: Constant) -> Lifted {
    let which = x.number(constant as u64);
    x.call(&unit::LOAD_CONSTANT, &[which]);
    Ok(())
}

/// FST, FSTP, FIST, FISTP, FISTTP, FBSTP: what storing raises is raised when the store has succeeded.
pub(super) fn store(x: &mut X86<impl Sink>, memory: Memory, then: Then) -> Lifted {
    if x.is_register(0) {
        let to = x.stack_register(0).ok_or(LiftError::Undefined)?;
        let to = x.number(to);
        x.call(&unit::STORE, &[to]);
        return x.finish(then);
    }
    let kind = memory_kind(x, memory)?;
    let at = x.address();
    let number = x.number(kind as u64);
    let bits = x.call(&unit::CONVERT, &[number]);
    match memory_type(kind) {
        Some(ty) => {
            let low = x.low(Ty::I128, bits);
            let value = x.trunc_from(Ty::I64, ty, low);
            x.store(ty, at.base, at.offset, value);
        }
        None => {
            let (low, high) = (x.low(Ty::I128, bits), x.high(Ty::I128, bits));
            x.store(Ty::I64, at.base, at.offset, low);
            let high = x.trunc(Ty::I16, high);
            x.store(Ty::I16, at.base, at.offset.wrapping_add(8), high);
        }
    }
    x.call(&unit::CONVERTED, &[number]);
    x.finish(then)
}

/// FADD and its like. With two registers the first is the destination.
pub(super) fn arithmetic(x: &mut X86<impl Sink>, op: Arithmetic, memory: Memory, then: Then) -> Lifted {
    let operation = x.number(op as u64);
    let to = if x.insn.op_count() == 2 { x.stack_register(0) } else { None };
    match to {
        Some(to) if x.register(1) == Register::ST0 => {
            let to = x.number(to);
            x.call(&unit::ARITHMETIC_TO, &[operation, to]);
        }
        _ => {
            let Source { kind, bits } = source(x, memory)?;
            x.call(&unit::ARITHMETIC, &[operation, kind, bits]);
        }
    }
    x.finish(then)
}

/// FCOM, FUCOM and their like, by which helper.
pub(super) fn compare(x: &mut X86<impl Sink>, helper: &'static Helper, memory: Memory, then: Then) -> Lifted {
    let Source { kind, bits } = source(x, memory)?;
    x.call(helper, &[kind, bits]);
    x.finish(then)
}

/// FCOMI, FUCOMI: ZF, PF, CF from the comparison, the others clear.
pub(super) fn compare_into_flags(x: &mut X86<impl Sink>, helper: &'static Helper, then: Then) -> Lifted {
    let with = x.stack_register(1).ok_or(LiftError::Undefined)?;
    let with = x.number(with);
    let relation = x.call(helper, &[with]);
    x.finish(then)?;
    // ZF and CF are bits 2 and 1 of a flags value; PF lies between them.
    let zero = x.and_imm(Ty::I32, relation, 0b100);
    let carry = x.and_imm(Ty::I32, relation, 1);
    let carry = x.shl_imm(Ty::I32, carry, 1);
    let bits = x.or(Ty::I32, zero, carry);
    let flags = x.flags_from_bits(bits);
    x.set_flags(flags);
    let parity = x.lshr_imm(Ty::I32, relation, 1);
    let parity = x.low_bit(Ty::I32, parity);
    x.set_parity_flag(parity);
    x.clear_adjust();
    Ok(())
}

pub(super) fn unary(x: &mut X86<impl Sink>, op: Unary) -> Lifted {
    let op = x.number(op as u64);
    x.call(&unit::UNARY, &[op]);
    Ok(())
}

/// FXCH; FFREE and FFREEP.
pub(super) fn with_register(x: &mut X86<impl Sink>, helper: &'static Helper, then: Then) -> Lifted {
    let last = x.insn.op_count().checked_sub(1).ok_or(LiftError::Undefined)?;
    let which = x.stack_register(last).ok_or(LiftError::Undefined)?;
    let which = x.number(which);
    x.call(helper, &[which]);
    x.finish(then)
}

pub(super) fn fcmov(x: &mut X86<impl Sink>, condition: ConditionCode) -> Lifted {
    let from = x.stack_register(1).ok_or(LiftError::Undefined)?;
    let holds = x.condition(condition);
    let from = x.number(from);
    x.call(&unit::MOVE_IF, &[holds, from]);
    Ok(())
}

/// FNINIT, FNCLEX, EMMS: no operands, no result.
pub(super) fn control(x: &mut X86<impl Sink>, helper: &'static Helper) -> Lifted {
    x.call(helper, &[]);
    Ok(())
}

pub(super) fn fldcw(x: &mut X86<impl Sink>) -> Lifted {
    let control = x.value(0, Ty::I16)?;
    x.call(&unit::SET_CONTROL, &[control]);
    Ok(())
}

pub(super) fn fnstcw(x: &mut X86<impl Sink>) -> Lifted {
    let control = x.call(&unit::CONTROL, &[]);
    x.write_operand(0, Ty::I16, control)
}

pub(super) fn fnstsw(x: &mut X86<impl Sink>) -> Lifted {
    let status = x.call(&unit::STATUS, &[]);
    if x.is_register(0) {
        x.write_gpr(RAX, Ty::I16, status);
        return Ok(());
    }
    x.write_operand(0, Ty::I16, status)
}

/// The length of the environment, whose form is the 32-bit one also in 64-bit mode.
const ENVIRONMENT: i64 = 28;

/// Refuses the 16-bit forms that an operand-size prefix asks for.
fn is_long_form(x: &X86<impl Sink>) -> Lifted {
    match x.insn.memory_size().size() {
        28 | 108 => Ok(()),
        _ => Err(LiftError::Undefined),
    }
}

/// FNSTENV; afterwards all exceptions are masked. Instruction and operand pointers are 0.
pub(super) fn fnstenv(x: &mut X86<impl Sink>) -> Lifted {
    is_long_form(x)?;
    let at = x.address();
    let control = x.call(&unit::CONTROL, &[]);
    let status = x.call(&unit::STATUS, &[]);
    let tags = x.call(&unit::TAG_WORD, &[]);
    for (offset, word) in [(0, control), (4, status), (8, tags)] {
        // The upper halves are reserved and read as ones.
        let wide = x.zext(Ty::I32, word);
        let wide = x.with_imm(Ty::I32, wide, 0xffff_0000, philae_ir::Builder::or);
        x.store(Ty::I32, at.base, at.offset.wrapping_add(offset), wide);
    }
    for offset in [12, 16, 20] {
        let zero = x.number(0);
        x.store(Ty::I32, at.base, at.offset.wrapping_add(offset), zero);
    }
    let last = x.number(0xffff_0000);
    x.store(Ty::I32, at.base, at.offset.wrapping_add(24), last);
    let masks = x.iconst(Ty::I16, 0x3f);
    let masked = x.or(Ty::I16, control, masks);
    x.call(&unit::SET_CONTROL, &[masked]);
    Ok(())
}

/// Control, status and tag word in memory.
fn load_environment(x: &mut X86<impl Sink>) -> Result<[Value; 3], LiftError> {
    is_long_form(x)?;
    let at = x.address();
    Ok([0, 4, 8].map(|offset| x.load(Ty::I16, at.base, at.offset.wrapping_add(offset))))
}

pub(super) fn fldenv(x: &mut X86<impl Sink>) -> Lifted {
    let words = load_environment(x)?;
    x.call(&unit::SET_ENVIRONMENT, &words);
    Ok(())
}

/// FNSAVE: the environment, then the registers from the top of the stack on; then FNINIT.
pub(super) fn fnsave(x: &mut X86<impl Sink>) -> Lifted {
    is_long_form(x)?;
    let at = x.address();
    for i in 0..8 {
        let which = x.number(i);
        let bits = x.call(&unit::REGISTER, &[which]);
        let offset = at.offset.wrapping_add(ENVIRONMENT + 10 * i as i64);
        let (low, high) = (x.low(Ty::I128, bits), x.high(Ty::I128, bits));
        x.store(Ty::I64, at.base, offset, low);
        let high = x.trunc(Ty::I16, high);
        x.store(Ty::I16, at.base, offset.wrapping_add(8), high);
    }
    fnstenv(x)?;
    x.call(&unit::INITIALISE, &[]);
    Ok(())
}

pub(super) fn frstor(x: &mut X86<impl Sink>) -> Lifted {
    let words = load_environment(x)?;
    let at = x.address();
    let registers: [Value; 8] = std::array::from_fn(|i| {
        let offset = at.offset.wrapping_add(ENVIRONMENT + 10 * i as i64);
        let low = x.load(Ty::I64, at.base, offset);
        let high = x.load_zext(Ty::I64, Ty::I16, at.base, offset.wrapping_add(8));
        x.concat(Ty::I128, low, high)
    });
    x.call(&unit::SET_ENVIRONMENT, &words);
    for (i, bits) in registers.into_iter().enumerate() {
        let which = x.number(i as u64);
        x.call(&unit::SET_REGISTER, &[which, bits]);
    }
    Ok(())
}
