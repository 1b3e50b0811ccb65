//! Flags in memory: four bits, or the comparison that they come from, which whoever needs the bits computes.
//!
//! Every exit makes the flags live, and hardly any is read on the other side. So a region that leaves stores what
//! its last producer of flags was: a word of description in the flags' slot, told from four bits by [`MARK`], and
//! the operands in `ctl.flag_operands`. A region that reads the flags of another, and
//! [`enter`](crate::link::enter) when it returns, settle them. Outside of translated code the slot always holds four
//! bits.

use philae_ir::eval::eval_flags;
use philae_ir::ops::SIGNALS;
use philae_ir::state::{NZCV, displacement};
use philae_ir::{Carry, CpuState, Inst, Op, Region, Ty, Value};
use std::mem::offset_of;

/// Set in a description; its other bits are those of a [`Description`].
const MARK: u32 = 1 << 4;

/// The producers that can be described, in the order of their numbers, in bits 5 and 6.
const PRODUCERS: [Op; 4] = [Op::FlagsAdd, Op::FlagsSub, Op::FlagsLogic, Op::FlagsFcmp];

/// Where [`Second`] is in a description.
const SECOND: u32 = 11;

/// The displacement of the flags' slot.
pub(crate) const SLOT: i32 = CpuState::displacement(NZCV);
/// The displacement of the operands of a description, two words.
pub(crate) const OPERANDS: i32 = displacement(offset_of!(CpuState, ctl.flag_operands));

/// Where the operands beside the first are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Second {
    /// Operand 1 is in memory.
    InMemory,
    /// Operand 1 is the constant in the description; in memory is what replaces C.
    IsCarry,
    /// Operand 1 is the constant in the description.
    Constant,
}

impl Second {
    const ALL: [Second; 3] = [Second::InMemory, Second::IsCarry, Second::Constant];
}

/// A producer of flags, as its word in memory says: bits 7–9 the type, 10 `aux`, 11–12 [`Second`], 13 whether it has
/// [`SIGNALS`], 16–31 the relations of floats or the constant.
struct Description {
    op: Op,
    ty: Ty,
    aux: u8,
    second: Second,
    signals: bool,
    imm: u16,
}

impl Description {
    fn encode(&self) -> u32 {
        let producer = PRODUCERS.iter().position(|&op| op == self.op).expect("a producer that can be described");
        MARK | (producer as u32) << 5
            | (self.ty as u32) << 7
            | u32::from(self.aux) << 10
            | (self.second as u32) << SECOND
            | u32::from(self.signals) << 13
            | u32::from(self.imm) << 16
    }

    fn decode(word: u32) -> Description {
        Description {
            op: PRODUCERS[(word >> 5 & 3) as usize],
            ty: Ty::from_aux((word >> 7 & 7) as u8),
            aux: (word >> 10 & 1) as u8,
            second: Second::ALL[(word >> SECOND & 3) as usize],
            signals: word >> 13 & 1 == 1,
            imm: (word >> 16) as u16,
        }
    }
}

/// The word that describes the flags of a sum of two words of 64 bits, the operands in memory.
pub(crate) fn sum_of_words() -> u32 {
    let (op, ty) = (Op::FlagsAdd, Ty::I64);
    Description { op, ty, aux: 0, second: Second::InMemory, signals: false, imm: 0 }.encode()
}

/// The word that describes the flags of an AArch64 guest's comparison of words of type `ty`, the operands in memory.
pub(crate) const fn comparison(ty: Ty) -> u32 {
    const PRODUCER: u32 = 1;
    MARK | PRODUCER << 5 | (ty as u32) << 7 | (Carry::NotBorrow as u32) << 10
}

/// The low half of the word that describes those of a comparison with a constant, which is the high half.
pub(crate) const fn comparison_with_constant(ty: Ty) -> u32 {
    comparison(ty) | (Second::Constant as u32) << SECOND
}

/// Turns a description in the flags' slot into four bits.
pub(crate) fn settle(cpu: &mut CpuState) {
    let word = cpu.get(NZCV) as u32;
    if word & MARK == 0 {
        return;
    }
    let description = Description::decode(word);
    let [first, second] = cpu.ctl.flag_operands.map(|word| u128::from(word) & description.ty.mask());
    let (operand, imm) = match description.second {
        Second::InMemory => {
            let signals = if description.signals { SIGNALS } else { 0 };
            (second, u128::from(u64::from(description.imm) | signals))
        }
        Second::IsCarry | Second::Constant => (u128::from(description.imm), 0),
    };
    let ty = description.ty;
    let mut nzcv = eval_flags(description.op, ty, description.aux, imm, [first, operand]);
    if description.second == Second::IsCarry {
        // As Op::FlagsWithC.
        nzcv = nzcv & !2 | (second & 1) << 1;
    }
    cpu.set(NZCV, nzcv as u64);
}

/// What is stored for a producer's flags: the word of its description and its operands, of any type, as far as they are
/// not in the word.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Described {
    pub(crate) word: u32,
    pub(crate) operands: [Option<Value>; 2],
}

/// How `flags` can be described, if they can; `resolve` finds the producer behind a read of flags.
pub(crate) fn describe(region: &Region, flags: Value, resolve: impl Fn(Value) -> Value) -> Option<Described> {
    let inst = region.inst(flags);
    if inst.op == Op::FlagsWithC {
        return describe_with_carry(region, inst, resolve);
    }
    if !PRODUCERS.contains(&inst.op) || inst.ty.bits() > 64 {
        return None;
    }
    let mut operands = [None; 2];
    for (to, operand) in operands.iter_mut().zip(inst.operands()) {
        *to = Some(operand);
    }
    let Inst { op, ty, aux, imm, .. } = *inst;
    let constant = operands[1].and_then(|operand| region.constant(operand)).and_then(|bits| u16::try_from(bits).ok());
    if let (Op::FlagsAdd | Op::FlagsSub, Some(constant)) = (op, constant) {
        let description = Description { op, ty, aux, second: Second::Constant, signals: false, imm: constant };
        return Some(Described { word: description.encode(), operands: [operands[0], None] });
    }
    let signals = op == Op::FlagsFcmp && imm & SIGNALS != 0;
    let description = Description { op, ty, aux, second: Second::InMemory, signals, imm: imm as u16 };
    Some(Described { word: description.encode(), operands })
}

/// Increments and decrements of x86: flags of a sum with a constant, and the carry of before.
fn describe_with_carry(region: &Region, inst: &Inst, resolve: impl Fn(Value) -> Value) -> Option<Described> {
    let producer = region.inst(resolve(inst.args[0]));
    if !matches!(producer.op, Op::FlagsAdd | Op::FlagsSub) || producer.ty.bits() > 64 {
        return None;
    }
    let imm = u16::try_from(region.constant(producer.args[1])?).ok()?;
    let Inst { op, ty, aux, .. } = *producer;
    let description = Description { op, ty, aux, second: Second::IsCarry, signals: false, imm };
    Some(Described { word: description.encode(), operands: [Some(producer.args[0]), Some(inst.args[1])] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_is_described_as_by_its_fields() {
        for ty in [Ty::I32, Ty::I64] {
            let (op, aux) = (Op::FlagsSub, Carry::NotBorrow as u8);
            let description = Description { op, ty, aux, second: Second::InMemory, signals: false, imm: 0 };
            assert_eq!(comparison(ty), description.encode());
            let description = Description { second: Second::Constant, imm: 0x1234, ..description };
            assert_eq!(comparison_with_constant(ty) | 0x1234 << 16, description.encode());
        }
    }
}
