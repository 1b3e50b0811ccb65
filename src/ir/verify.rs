//! Whether a region is well formed: what every pass and every backend may rely on.
//!
//! In: any region. Out: the first rule that it breaks, in words, with the instruction's text.

use crate::flow::{Dominators, Flow};
use crate::ops::{AuxKind, ImmKind, Op, OpInfo};
use crate::region::{BlockId, ExitReason, Inst, Pc, Region, Terminator, Value};
use crate::text::{aux_name, implied_type};
use crate::ty::Ty;
use std::fmt::{self, Display, Formatter};

/// A rule that a region breaks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifyError {
    /// Where.
    pub block: BlockId,
    /// The instruction or terminator, and what is wrong with it.
    pub message: String,
}

impl Display for VerifyError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.block, self.message)
    }
}

impl std::error::Error for VerifyError {}

/// Checks that blocks are closed and lead somewhere, that operands exist, have the right types and are made on every
/// way to their use, and that parameters are in range.
pub fn verify(region: &Region) -> Result<(), VerifyError> {
    let mut verifier = Verifier { region, home: vec![None; region.insts.len()] };
    verifier.place_instructions()?;
    let flow = Flow::new(region);
    let dominators = Dominators::new(&flow);
    for block in region.block_ids() {
        verifier.block(flow.is_reachable(block).then_some(&dominators), block)?;
    }
    Ok(())
}

/// The dominators, for blocks that the entry reaches.
type Ways<'a> = Option<&'a Dominators<'a>>;

struct Verifier<'a> {
    region: &'a Region,
    /// The block and the place in it of each instruction that is in a block.
    home: Vec<Option<(BlockId, usize)>>,
}

impl Verifier<'_> {
    /// Finds where each instruction is, and that the flow graph can be built.
    fn place_instructions(&mut self) -> Result<(), VerifyError> {
        if self.region.blocks.is_empty() {
            return Err(error(BlockId::ENTRY, "there are no blocks".into()));
        }
        for id in self.region.block_ids() {
            let block = self.region.block(id);
            for (place, &value) in block.insts.iter().enumerate() {
                let Some(home) = self.home.get_mut(value.index()) else {
                    return Err(error(id, format!("{value} does not exist")));
                };
                if home.replace((id, place)).is_some() {
                    return Err(error(id, format!("{value} is there twice")));
                }
            }
            if block.end == Terminator::Open {
                return Err(error(id, "the block has no end".into()));
            }
            if let Some(to) = block.end.successors().find(|to| to.index() >= self.region.blocks.len()) {
                return Err(error(id, format!("`{}`: {to} does not exist", block.end)));
            }
        }
        Ok(())
    }

    fn block(&self, ways: Ways<'_>, id: BlockId) -> Result<(), VerifyError> {
        let block = self.region.block(id);
        for (place, &value) in block.insts.iter().enumerate() {
            let inst = self.region.inst(value);
            let fail = |message| error(id, format!("`{}`: {message}", self.region.inst_text(value)));
            self.instruction(inst).map_err(fail)?;
            for operand in inst.operands() {
                self.available(ways, operand, id, place).map_err(fail)?;
            }
        }
        let fail = |message| error(id, format!("`{}`: {message}", block.end));
        self.terminator(&block.end).map_err(fail)?;
        for operand in block.end.operands() {
            self.available(ways, operand, id, block.insts.len()).map_err(fail)?;
        }
        Ok(())
    }

    fn terminator(&self, end: &Terminator) -> Result<(), String> {
        match *end {
            Terminator::Open | Terminator::Jump(_) => Ok(()),
            Terminator::Branch { cond, .. } => self.expect(cond, Ty::I8),
            Terminator::Exit { reason: ExitReason::Fault, .. } => Err("faults are not written, they happen".into()),
            Terminator::Exit { pc, argument, .. } => {
                if let Pc::Dynamic(pc) = pc {
                    self.expect(pc, Ty::I64)?;
                }
                if argument == Value::NONE { Ok(()) } else { self.expect(argument, Ty::I64) }
            }
        }
    }

    /// The value is made before `place` of `block` on every way there.
    fn available(&self, ways: Ways<'_>, value: Value, block: BlockId, place: usize) -> Result<(), String> {
        let Some((home, at)) = self.home.get(value.index()).copied().flatten() else {
            return Err(format!("{value} is in no block"));
        };
        let before = match ways {
            _ if home == block => at < place,
            Some(dominators) => dominators.dominates(home, block),
            None => true,
        };
        if before { Ok(()) } else { Err(format!("{value} is not made on every way here")) }
    }

    fn type_of(&self, value: Value) -> Result<Ty, String> {
        let inst = self.region.insts.get(value.index()).ok_or_else(|| format!("{value} does not exist"))?;
        inst.result().ok_or_else(|| format!("{value} is no value"))
    }

    fn expect(&self, value: Value, ty: Ty) -> Result<(), String> {
        let found = self.type_of(value)?;
        if found == ty { Ok(()) } else { Err(format!("{value} is {}, not {}", found.name(), ty.name())) }
    }

    fn instruction(&self, inst: &Inst) -> Result<(), String> {
        let row = inst.op.info();
        if !has_type(inst.op, inst.ty) {
            return Err(format!("{} is no type for it", inst.ty.name()));
        }
        self.operands(row, inst)?;
        self.small_parameter(row, inst)?;
        self.wide_parameter(row, inst)
    }

    fn operands(&self, row: &OpInfo, inst: &Inst) -> Result<(), String> {
        let count = match row.imm {
            ImmKind::Helper => self.region.helpers.get(inst.imm as usize).map_or(0, |h| usize::from(h.operands)),
            _ => row.takes.len(),
        };
        if inst.operands().count() != count || inst.args[..count].contains(&Value::NONE) {
            return Err(format!("it takes {count} operands"));
        }
        for (&value, takes) in inst.args[..count].iter().zip(row.takes) {
            match takes.ty(inst.ty) {
                Some(ty) => self.expect(value, ty)?,
                None => {
                    let from = self.type_of(value)?;
                    if !converts(inst.op, from, inst.ty) {
                        return Err(format!("it does not take {}", from.name()));
                    }
                }
            }
        }
        Ok(())
    }

    fn small_parameter(&self, row: &OpInfo, inst: &Inst) -> Result<(), String> {
        let fits = match row.aux {
            AuxKind::None => inst.aux == 0,
            AuxKind::Type => inst.aux < inst.ty as u8,
            kind => aux_name(kind, inst.aux).is_some(),
        };
        if fits { Ok(()) } else { Err(format!("{} is out of range", inst.aux)) }
    }

    fn wide_parameter(&self, row: &OpInfo, inst: &Inst) -> Result<(), String> {
        let fits = match row.imm {
            ImmKind::None => inst.imm == 0,
            ImmKind::Bits => u128::from(inst.imm) & !inst.ty.mask() == 0,
            ImmKind::Offset | ImmKind::Pc => true,
            ImmKind::Slot => return self.slot(inst),
            ImmKind::Lane if matches!(inst.op, Op::ExtractLane | Op::InsertLane) => inst.imm < inst.ty.lanes().into(),
            ImmKind::Lane => inst.imm <= inst.ty.lane().bits().into(),
            ImmKind::Const => inst.imm < self.region.consts.len() as u64,
            ImmKind::Helper => match self.region.helpers.get(inst.imm as usize) {
                Some(helper) => helper.result == inst.ty,
                None => false,
            },
            ImmKind::Relations => inst.imm <= (0xffff | crate::ops::SIGNALS),
        };
        if fits { Ok(()) } else { Err(format!("{:#x} is out of range", inst.imm)) }
    }

    fn slot(&self, inst: &Inst) -> Result<(), String> {
        let Some(info) = self.region.arch.slots().iter().find(|info| u64::from(info.slot.0) == inst.imm) else {
            return Err(format!("slot {} does not exist", inst.imm));
        };
        let flags = (info.ty == Ty::Flags, inst.ty == Ty::Flags);
        if flags.0 != flags.1 || inst.ty.bits() > info.ty.bits() {
            return Err(format!("{} holds {}", info.name, info.ty.name()));
        }
        Ok(())
    }
}

fn error(block: BlockId, message: String) -> VerifyError {
    VerifyError { block, message }
}

/// Whether instructions of this operation may have this type.
pub fn has_type(op: Op, ty: Ty) -> bool {
    implied_type(op.info()).map_or_else(|| is_allowed(op, ty), |implied| ty == implied)
}

/// Whether operand 0 of an instruction of type `to` that takes any may be of type `from`: conversions need a certain
/// relation, helpers do not.
pub fn converts(op: Op, from: Ty, to: Ty) -> bool {
    match op {
        Op::Zext | Op::Sext => from.is_int() && from.bits() < to.bits(),
        Op::Trunc => from.is_int() && from.bits() > to.bits(),
        Op::Bitcast => from.bits() == to.bits() && from != Ty::Flags,
        Op::Fpromote if to == Ty::F64 => from == Ty::F32,
        Op::Fdemote if to == Ty::F32 => from == Ty::F64,
        Op::FtoSint | Op::FtoUint if !to.is_vector() => from.is_float(),
        Op::SintToF | Op::UintToF if !to.is_vector() => from.is_int(),
        Op::Fpromote | Op::Fdemote | Op::FtoSint | Op::FtoUint | Op::SintToF | Op::UintToF => from == Ty::V128,
        _ => true,
    }
}

fn is_allowed(op: Op, ty: Ty) -> bool {
    let word = ty.is_int() && ty != Ty::I128;
    let wide = matches!(ty, Ty::I128 | Ty::V128);
    let int_shape = matches!(ty, Ty::I8X16 | Ty::I16X8 | Ty::I32X4 | Ty::I64X2);
    let float_shape = matches!(ty, Ty::F32X4 | Ty::F64X2);
    match op {
        Op::Const => word || ty.is_float(),
        Op::WideConst | Op::Concat | Op::Low | Op::High => wide,
        Op::Get | Op::Set | Op::SetLow | Op::Call => !int_shape && !float_shape,
        Op::Load | Op::Store => ty != Ty::Flags && !int_shape && !float_shape,
        Op::LoadZext | Op::LoadSext | Op::AtomicLoad | Op::AtomicStore | Op::AtomicRmw | Op::AtomicCas => ty.is_int(),
        Op::Add | Op::Sub | Op::Mul | Op::Neg | Op::Abs | Op::Clz | Op::Ctz | Op::Cls => ty.is_int() || int_shape,
        Op::Popcnt | Op::Rbit | Op::Icmp => ty.is_int() || int_shape,
        Op::Umin | Op::Umax | Op::Smin | Op::Smax => ty.is_int() || int_shape,
        Op::UmulHigh | Op::SmulHigh => word,
        Op::Udiv | Op::Sdiv | Op::Urem | Op::Srem | Op::Bswap => ty.is_int(),
        Op::Shl | Op::Lshr | Op::Ashr | Op::Rotr => ty.is_int(),
        Op::And | Op::Or | Op::Xor | Op::AndNot | Op::Not => ty.is_int() || ty.is_vector(),
        Op::Select => true,
        Op::Zext | Op::Sext | Op::Trunc => ty.is_int(),
        Op::Bitcast => ty != Ty::Flags && !int_shape && !float_shape,
        Op::FlagsAdd | Op::FlagsAdc | Op::FlagsSub | Op::FlagsSbc | Op::FlagsLogic => word,
        Op::FlagsFcmp => ty.is_float(),
        Op::Fadd | Op::Fsub | Op::Fmul | Op::Fdiv | Op::Fsqrt | Op::FmulAdd => ty.is_float() || float_shape,
        Op::Fneg | Op::Fabs | Op::Fmin | Op::Fmax | Op::FminNum | Op::FmaxNum => ty.is_float() || float_shape,
        Op::Fcmp | Op::Fround | Op::SintToF | Op::UintToF => ty.is_float() || float_shape,
        Op::Fpromote => matches!(ty, Ty::F64 | Ty::F64X2),
        Op::Fdemote => matches!(ty, Ty::F32 | Ty::F32X4),
        Op::FpromoteHalf | Op::FwidenHalf | Op::FdemoteHalf => ty == Ty::F32X4,
        Op::FtoSint | Op::FtoUint => ty.is_int() || matches!(ty, Ty::I32X4 | Ty::I64X2),
        Op::Splat | Op::ExtractLane | Op::InsertLane | Op::LaneMask => int_shape || float_shape,
        Op::VshlImm | Op::VlshrImm | Op::VashrImm | Op::Vshl | Op::Vlshr | Op::Vashr => int_shape,
        Op::AddSatS | Op::AddSatU | Op::SubSatS | Op::SubSatU | Op::AvgU | Op::AddPairs => int_shape,
        Op::DotPairsS | Op::WidenLowS | Op::WidenHighS | Op::WidenLowU | Op::WidenHighU => int_shape && ty != Ty::I8X16,
        Op::Narrow | Op::NarrowSatSS | Op::NarrowSatSU | Op::NarrowSatUU => int_shape && ty != Ty::I64X2,
        Op::Prefetch => ty == Ty::I64,
        Op::Insn | Op::PollPending | Op::Fence | Op::FlagsWithC | Op::FlagsWithV | Op::FlagsFromBits => false,
        Op::FlagsToBits | Op::FlagsTest | Op::Shuffle | Op::TableLookup | Op::BitSelect | Op::ClmulLow => false,
        Op::AesRound | Op::AesLastRound | Op::AesMix => false,
        Op::AesInverseRound | Op::AesInverseLastRound | Op::AesInverseMix => false,
    }
}

#[cfg(test)]
mod tests {
    use super::verify;
    use crate::text::parse;

    fn message(body: &str) -> String {
        let text = format!("region aarch64 0x400\n{body}");
        let region = parse(&text, &[]).unwrap_or_else(|error| panic!("{error}\n{text}"));
        verify(&region).err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn a_sound_region_passes() {
        let text = "b0:\n insn 0x400 4\n v0 = get.i64 x0\n v1 = load_zext.i64 i8 v0 -8\n set.i64 x1 v1\n exit jump v1";
        assert_eq!(message(text), "");
    }

    #[test]
    fn broken_regions_are_told_why() {
        let cases = [
            ("b0:\n v0 = get.i64 x0\n", "b0: the block has no end"),
            ("b0:\n jump b7", "b0: `jump b7`: b7 does not exist"),
            ("b0:\n v0 = get.i32 x0\n exit jump v0", "b0: `exit jump v0`: v0 is i32, not i64"),
            ("b0:\n v0 = get.i64 nzcv\n exit jump 0x0", "b0: `v0 = get.i64 nzcv`: nzcv holds flags"),
            (
                "b0:\n v1 = neg.i64 v2\n v2 = get.i64 x0\n exit jump 0x0",
                "b0: `v1 = neg.i64 v2`: v2 is not made on every way here",
            ),
            ("b0:\n v1 = const.i8 0x1ff\n exit jump 0x0", "b0: `v1 = const.i8 0x1ff`: 0x1ff is out of range"),
            (
                "b0:\n v1 = get.v128 v0\n v2 = fadd.v128 arm v1 v1\n exit jump 0x0",
                "b0: `v2 = fadd.v128 arm v1 v1`: v128 is no type for it",
            ),
            (
                "b0:\n v1 = get.i32 x0\n v2 = trunc.i64 v1\n exit jump 0x0",
                "b0: `v2 = trunc.i64 v1`: it does not take i32",
            ),
            (
                "b0:\n v1 = get.i8 x0\n branch v1 b1 b2\nb1:\n v2 = get.i64 x1\n jump b2\nb2:\n exit jump v2",
                "b2: `exit jump v2`: v2 is not made on every way here",
            ),
        ];
        for (body, expected) in cases {
            assert_eq!(message(body), expected);
        }
    }
}
