//! Multiplication and division.

use super::operand::{Lifted, Place, RAX, RDX, X86};
use philae_ir::state::LOCALS;
use philae_ir::{ExitReason, IntCond, Op, Sink, Ty, Value};

/// Whether factors and quotients have a sign.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Signed,
    Unsigned,
}

/// MUL, and IMUL of one operand: the whole product into RDX:RAX.
pub(super) fn multiply(x: &mut X86<impl Sink>, sign: Sign) -> Lifted {
    let ty = x.ty(0)?;
    let b = x.value(0, ty)?;
    let a = x.get(ty, RAX);
    let (low, high) = product(x, ty, sign, a, b);
    let overflow = overflows(x, ty, sign, low, high);
    if ty == Ty::I8 {
        x.write(Place::HighByte(RAX), Ty::I8, high);
        x.write_gpr(RAX, Ty::I8, low);
    } else {
        x.write_gpr(RAX, ty, low);
        x.write_gpr(RDX, ty, high);
    }
    product_flags(x, ty, low, overflow);
    Ok(())
}

/// IMUL of two or three operands: the low half of the product.
pub(super) fn imul(x: &mut X86<impl Sink>) -> Lifted {
    let ty = x.ty(0)?;
    let (a, b) = match x.insn.op_count() {
        1 => return multiply(x, Sign::Signed),
        2 => (x.value(0, ty)?, x.value(1, ty)?),
        _ => (x.value(1, ty)?, x.value(2, ty)?),
    };
    let (low, high) = product(x, ty, Sign::Signed, a, b);
    let overflow = overflows(x, ty, Sign::Signed, low, high);
    x.write_operand(0, ty, low)?;
    product_flags(x, ty, low, overflow);
    Ok(())
}

fn product(x: &mut X86<impl Sink>, ty: Ty, sign: Sign, a: Value, b: Value) -> (Value, Value) {
    if ty == Ty::I64 {
        let low = x.mul(ty, a, b);
        let high = match sign {
            Sign::Signed => x.smul_high(ty, a, b),
            Sign::Unsigned => x.umul_high(ty, a, b),
        };
        return (low, high);
    }
    let wide = Ty::int(2 * ty.bits());
    let (a, b) = match sign {
        Sign::Signed => (x.sext(wide, a), x.sext(wide, b)),
        Sign::Unsigned => (x.zext(wide, a), x.zext(wide, b)),
    };
    let whole = x.mul(wide, a, b);
    let high = x.lshr_imm(wide, whole, u64::from(ty.bits()));
    (x.trunc(ty, whole), x.trunc(ty, high))
}

/// Whether the high half says more than the low half.
fn overflows(x: &mut X86<impl Sink>, ty: Ty, sign: Sign, low: Value, high: Value) -> Value {
    let extension = match sign {
        Sign::Signed => x.ashr_imm(ty, low, u64::from(ty.bits()) - 1),
        Sign::Unsigned => x.iconst(ty, 0),
    };
    x.icmp(ty, IntCond::Ne, high, extension)
}

/// CF and OF say whether the product needs its high half; the others are undefined, and follow the low half.
fn product_flags(x: &mut X86<impl Sink>, ty: Ty, low: Value, overflow: Value) {
    x.logic_flags(ty, low);
    let flags = x.flags();
    let flags = x.flags_with_c(flags, overflow);
    let flags = x.flags_with_v(flags, overflow);
    x.set_flags(flags);
}

/// DIV and IDIV. Flags are undefined, and stay.
pub(super) fn divide(x: &mut X86<impl Sink>, sign: Sign) -> Lifted {
    let ty = x.ty(0)?;
    let divisor = x.value(0, ty)?;
    let (quotient, remainder) = match ty {
        Ty::I64 => divide_long(x, sign, divisor),
        _ => divide_short(x, ty, sign, divisor),
    };
    if ty == Ty::I8 {
        x.write(Place::HighByte(RAX), Ty::I8, remainder);
        x.write_gpr(RAX, Ty::I8, quotient);
    } else {
        x.write_gpr(RAX, ty, quotient);
        x.write_gpr(RDX, ty, remainder);
    }
    Ok(())
}

/// Divides in the type of twice the width.
fn divide_short(x: &mut X86<impl Sink>, ty: Ty, sign: Sign, divisor: Value) -> (Value, Value) {
    let wide = Ty::int(2 * ty.bits());
    let zero = x.icmp_imm(ty, IntCond::Eq, divisor, 0);
    x.lift.leave_if(zero, ExitReason::DivideError, Value::NONE);
    let dividend = match ty {
        Ty::I8 => x.get(Ty::I16, RAX),
        _ => {
            let (low, high) = (x.get(ty, RAX), x.get(ty, RDX));
            let (low, high) = (x.zext(wide, low), x.zext(wide, high));
            let high = x.shl_imm(wide, high, u64::from(ty.bits()));
            x.or(wide, low, high)
        }
    };
    let (divide, rest, extend) = operations(sign);
    let divisor = unary(x, extend, wide, divisor);
    let quotient = binary(x, divide, wide, dividend, divisor);
    let remainder = binary(x, rest, wide, dividend, divisor);
    let low = x.trunc(ty, quotient);
    let back = unary(x, extend, wide, low);
    let lost = x.icmp(wide, IntCond::Ne, back, quotient);
    x.lift.leave_if(lost, ExitReason::DivideError, Value::NONE);
    (low, x.trunc(ty, remainder))
}

/// Divides 128 bits by 64, in 64 where the high half is only an extension of the low one.
fn divide_long(x: &mut X86<impl Sink>, sign: Sign, divisor: Value) -> (Value, Value) {
    let ty = Ty::I64;
    let (low, high) = (x.get(ty, RAX), x.get(ty, RDX));
    let (divide, rest, extend) = operations(sign);
    let extension = match sign {
        Sign::Signed => x.ashr_imm(ty, low, 63),
        Sign::Unsigned => x.iconst(ty, 0),
    };
    let zero = x.icmp_imm(ty, IntCond::Eq, divisor, 0);
    x.lift.leave_if(zero, ExitReason::DivideError, Value::NONE);
    let (short, long, join) = (x.new_block(), x.new_block(), x.new_block());
    let is_short = x.icmp(ty, IntCond::Eq, high, extension);
    x.branch(is_short, short, long);

    x.switch_to(short);
    let quotient = binary(x, divide, ty, low, divisor);
    if sign == Sign::Signed {
        // MIN / −1 wraps to MIN: the only negative quotient of two negatives.
        let minus_one = x.icmp_imm(ty, IntCond::Eq, divisor, u64::MAX);
        let wraps = x.icmp_imm(ty, IntCond::Eq, low, 1 << 63);
        let overflow = x.and(Ty::I8, minus_one, wraps);
        x.lift.leave_if(overflow, ExitReason::DivideError, Value::NONE);
    }
    let remainder = binary(x, rest, ty, low, divisor);
    x.set(ty, LOCALS[0], quotient);
    x.set(ty, LOCALS[1], remainder);
    x.jump(join);

    x.switch_to(long);
    let dividend = x.concat(Ty::I128, low, high);
    let wide_divisor = unary(x, extend, Ty::I128, divisor);
    let quotient = binary(x, divide, Ty::I128, dividend, wide_divisor);
    let narrow = x.low(Ty::I128, quotient);
    let back = unary(x, extend, Ty::I128, narrow);
    let lost = x.icmp(Ty::I128, IntCond::Ne, back, quotient);
    x.lift.leave_if(lost, ExitReason::DivideError, Value::NONE);
    let remainder = binary(x, rest, Ty::I128, dividend, wide_divisor);
    let remainder = x.low(Ty::I128, remainder);
    x.set(ty, LOCALS[0], narrow);
    x.set(ty, LOCALS[1], remainder);
    x.jump(join);

    x.switch_to(join);
    (x.get(ty, LOCALS[0]), x.get(ty, LOCALS[1]))
}

/// The operations that divide, leave the remainder, and extend.
fn operations(sign: Sign) -> (Op, Op, Op) {
    match sign {
        Sign::Signed => (Op::Sdiv, Op::Srem, Op::Sext),
        Sign::Unsigned => (Op::Udiv, Op::Urem, Op::Zext),
    }
}

fn unary(x: &mut X86<impl Sink>, op: Op, ty: Ty, a: Value) -> Value {
    x.push(philae_ir::Inst { args: [a, Value::NONE, Value::NONE], ..philae_ir::Inst::new(op, ty) })
}

fn binary(x: &mut X86<impl Sink>, op: Op, ty: Ty, a: Value, b: Value) -> Value {
    x.push(philae_ir::Inst { args: [a, b, Value::NONE], ..philae_ir::Inst::new(op, ty) })
}
