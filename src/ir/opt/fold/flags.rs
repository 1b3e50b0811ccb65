//! Tests of flags whose producer is known become comparisons of the producer's operands.

use super::{Fold, Rewrite, binary, icmp};
use crate::ops::{Carry, Cond, FloatCond, IntCond, Op};
use crate::region::{Inst, Value};
use crate::ty::Ty;

/// What a condition comes to.
enum Test {
    /// A relation of the producer's operands.
    Operands(IntCond),
    /// A relation of the producer's result and zero.
    Result(IntCond),
}

impl Fold<'_> {
    /// One step of simplification of a `FlagsTest`.
    pub(super) fn flags_test(&mut self, inst: &Inst) -> Option<Rewrite> {
        let flags = *self.region.inst(inst.args[0]);
        let cond = Cond::from_aux(inst.aux);
        match flags.op {
            Op::FlagsSub => {
                let test = after_subtraction(Carry::from_aux(flags.aux), cond)?;
                self.comparison_for(test, Op::Sub, &flags)
            }
            Op::FlagsAdd => self.after_addition(cond, &flags),
            Op::FlagsLogic => self.after_logic(cond, &flags),
            Op::FlagsFcmp => self.after_float_comparison(cond, &flags),
            Op::FlagsWithC => match cond {
                Cond::Cs => Some(Rewrite::Same(flags.args[1])),
                Cond::Cc => self.complement_of(flags.args[1]),
                _ => (!reads_c(cond)).then(|| self.retest(inst, flags.args[0])),
            },
            Op::FlagsWithV => match cond {
                Cond::Vs => Some(Rewrite::Same(flags.args[1])),
                Cond::Vc => self.complement_of(flags.args[1]),
                _ => (!reads_v(cond)).then(|| self.retest(inst, flags.args[0])),
            },
            Op::FlagsFromBits => {
                let bits = self.region.constant(flags.args[0])?;
                Some(self.truth(cond.holds(bits as u8)))
            }
            Op::Select => {
                let [choice, a, b] = flags.args;
                let a = self.emit(Op::FlagsTest, Ty::Flags, inst.aux, &[a]);
                let b = self.emit(Op::FlagsTest, Ty::Flags, inst.aux, &[b]);
                Some(Rewrite::Become(Inst { args: [choice, a, b], ..Inst::new(Op::Select, Ty::I8) }))
            }
            _ => None,
        }
    }

    fn retest(&self, inst: &Inst, flags: Value) -> Rewrite {
        Rewrite::Become(Inst { args: [flags, Value::NONE, Value::NONE], ..*inst })
    }

    fn truth(&mut self, holds: bool) -> Rewrite {
        Rewrite::Become(self.constant_inst(Ty::I8, holds.into()))
    }

    fn complement_of(&mut self, truth: Value) -> Option<Rewrite> {
        let one = self.constant(Ty::I8, 1);
        Some(Rewrite::Become(binary(Op::Xor, Ty::I8, truth, one)))
    }

    /// `flags` are those of `op` of two operands.
    fn comparison_for(&mut self, test: Test, op: Op, flags: &Inst) -> Option<Rewrite> {
        let (ty, [a, b, _]) = (flags.ty, flags.args);
        Some(match test {
            Test::Operands(cond) => Rewrite::Become(icmp(cond, ty, a, b)),
            Test::Result(cond) => {
                let result = self.emit(op, ty, 0, &[a, b]);
                let zero = self.constant(ty, 0);
                Rewrite::Become(icmp(cond, ty, result, zero))
            }
        })
    }

    fn after_addition(&mut self, cond: Cond, flags: &Inst) -> Option<Rewrite> {
        let carry = match cond {
            Cond::Cs => IntCond::Ult,
            Cond::Cc => IntCond::Uge,
            _ => return self.comparison_for(sign_or_zero(cond)?, Op::Add, flags),
        };
        let (ty, [a, b, _]) = (flags.ty, flags.args);
        let sum = self.emit(Op::Add, ty, 0, &[a, b]);
        Some(Rewrite::Become(icmp(carry, ty, sum, a)))
    }

    /// C and V are clear: every condition is one on the result.
    fn after_logic(&mut self, cond: Cond, flags: &Inst) -> Option<Rewrite> {
        let relation = match cond {
            Cond::Cs | Cond::Vs | Cond::Hi => return Some(self.truth(false)),
            Cond::Cc | Cond::Vc | Cond::Ls => return Some(self.truth(true)),
            Cond::Eq | Cond::Be => IntCond::Eq,
            Cond::Ne | Cond::A => IntCond::Ne,
            Cond::Mi | Cond::Lt => IntCond::Slt,
            Cond::Pl | Cond::Ge => IntCond::Sge,
            Cond::Gt => IntCond::Sgt,
            Cond::Le => IntCond::Sle,
        };
        let zero = self.constant(flags.ty, 0);
        Some(Rewrite::Become(icmp(relation, flags.ty, flags.args[0], zero)))
    }

    fn after_float_comparison(&mut self, cond: Cond, flags: &Inst) -> Option<Rewrite> {
        let holds = |place: u32| u32::from(cond.holds((flags.imm >> (4 * place)) as u8 & 15)) << place;
        let relations = (0..4).map(holds).sum();
        match relations {
            0 => return Some(self.truth(false)),
            0b1111 => return Some(self.truth(true)),
            _ => {}
        }
        if let Some(cond) = float_relation(relations) {
            return Some(Rewrite::Become(Inst { op: Op::Fcmp, aux: cond as u8, imm: 0, ..*flags }));
        }
        let cond = float_relation(!relations & 0b1111)?;
        let inverted = self.emit(Op::Fcmp, flags.ty, cond as u8, &flags.args[..2]);
        self.complement_of(inverted)
    }
}

/// The relation that holds for exactly these: bit 0 for less, 1 for equal, 2 for greater, 3 for unordered.
fn float_relation(relations: u32) -> Option<FloatCond> {
    match relations {
        0b0010 => Some(FloatCond::Eq),
        0b0001 => Some(FloatCond::Lt),
        0b0011 => Some(FloatCond::Le),
        0b0100 => Some(FloatCond::Gt),
        0b0110 => Some(FloatCond::Ge),
        0b1000 => Some(FloatCond::Un),
        0b1101 => Some(FloatCond::Ne),
        _ => None,
    }
}

fn after_subtraction(sense: Carry, cond: Cond) -> Option<Test> {
    let borrow = match sense {
        Carry::Borrow => (IntCond::Ult, IntCond::Uge),
        Carry::NotBorrow => (IntCond::Uge, IntCond::Ult),
    };
    let relation = match (cond, sense) {
        (Cond::Eq, _) => IntCond::Eq,
        (Cond::Ne, _) => IntCond::Ne,
        (Cond::Cs, _) => borrow.0,
        (Cond::Cc, _) => borrow.1,
        (Cond::Ge, _) => IntCond::Sge,
        (Cond::Lt, _) => IntCond::Slt,
        (Cond::Gt, _) => IntCond::Sgt,
        (Cond::Le, _) => IntCond::Sle,
        (Cond::Hi, Carry::NotBorrow) | (Cond::A, Carry::Borrow) => IntCond::Ugt,
        (Cond::Ls, Carry::NotBorrow) | (Cond::Be, Carry::Borrow) => IntCond::Ule,
        // Equal operands do not borrow, so Z says nothing beside C.
        (Cond::Hi, Carry::Borrow) | (Cond::A, Carry::NotBorrow) => IntCond::Ult,
        (Cond::Ls, Carry::Borrow) | (Cond::Be, Carry::NotBorrow) => IntCond::Uge,
        (Cond::Mi | Cond::Pl, _) => return sign_or_zero(cond),
        (Cond::Vs | Cond::Vc, _) => return None,
    };
    Some(Test::Operands(relation))
}

fn sign_or_zero(cond: Cond) -> Option<Test> {
    match cond {
        Cond::Eq => Some(Test::Result(IntCond::Eq)),
        Cond::Ne => Some(Test::Result(IntCond::Ne)),
        Cond::Mi => Some(Test::Result(IntCond::Slt)),
        Cond::Pl => Some(Test::Result(IntCond::Sge)),
        Cond::Cs | Cond::Cc | Cond::Vs | Cond::Vc | Cond::Hi | Cond::Ls => None,
        Cond::Ge | Cond::Lt | Cond::Gt | Cond::Le | Cond::Be | Cond::A => None,
    }
}

fn reads_c(cond: Cond) -> bool {
    matches!(cond, Cond::Cs | Cond::Cc | Cond::Hi | Cond::Ls | Cond::Be | Cond::A)
}

fn reads_v(cond: Cond) -> bool {
    matches!(cond, Cond::Vs | Cond::Vc | Cond::Ge | Cond::Lt | Cond::Gt | Cond::Le)
}
