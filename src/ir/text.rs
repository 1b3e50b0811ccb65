//! Regions as text, and text as regions: for dumps, and for tests that are files.
//!
//! ```text
//! region aarch64 0x400000
//! b0:
//!   insn 0x400000 4
//!   v1 = get.i64 x0
//!   v2 = const.i64 0x1
//!   v3 = flags_sub.i64 not_borrow v1 v2
//!   v4 = flags_test ne v3
//!   branch v4 b1 b2
//! ```
//!
//! An instruction is its operation and type, then its small parameter, the slot or helper that it names, its
//! operands, and its wide parameter. Values keep their numbers in both directions.

mod parse;

pub use parse::{ParseError, parse};

use crate::ops::{AuxKind, ImmKind, Makes, Op, OpInfo, Takes};
use crate::ops::{Barrier, Carry, Cond, FloatCond, IntCond, NanRule, Ordering, RmwOp, Rounding};
use crate::region::{Block, BlockId, Inst, Pc, Region, Terminator, Value};
use crate::ty::Ty;
use std::fmt::{self, Display, Formatter, Write};

/// The type that instructions of this row have when nothing in the row depends on it; text leaves it out.
pub(crate) fn implied_type(row: &OpInfo) -> Option<Ty> {
    let takes = |what| row.takes.contains(&what);
    let depends = takes(Takes::Same)
        || takes(Takes::Lane)
        || matches!(row.makes, Makes::Same | Makes::Mask | Makes::Lane)
        || row.imm == ImmKind::Slot
        || row.op == Op::LaneMask;
    if depends {
        return None;
    }
    Some(match row.makes {
        _ if takes(Takes::Flags) => Ty::Flags,
        Makes::Flags => Ty::Flags,
        Makes::V128 => Ty::V128,
        Makes::Bool => Ty::I8,
        _ => Ty::I64,
    })
}

/// The name of a small parameter; none if its number is out of range.
pub(crate) fn aux_name(kind: AuxKind, aux: u8) -> Option<&'static str> {
    fn at<T: Copy>(all: &[T], aux: u8, name: fn(T) -> &'static str) -> Option<&'static str> {
        all.get(aux as usize).map(|&value| name(value))
    }
    match kind {
        AuxKind::None | AuxKind::Length => Some(""),
        AuxKind::IntCond => at(IntCond::ALL, aux, IntCond::name),
        AuxKind::FloatCond => at(FloatCond::ALL, aux, FloatCond::name),
        AuxKind::Cond => at(Cond::ALL, aux, Cond::name),
        AuxKind::Rounding => at(Rounding::ALL, aux, Rounding::name),
        AuxKind::Nan => at(NanRule::ALL, aux, NanRule::name),
        AuxKind::Carry => at(Carry::ALL, aux, Carry::name),
        AuxKind::Rmw => at(RmwOp::ALL, aux, RmwOp::name),
        AuxKind::Ordering => at(Ordering::ALL, aux, Ordering::name),
        AuxKind::Barrier => at(Barrier::ALL, aux, Barrier::name),
        AuxKind::Type => Ty::NAMES.get(aux as usize).map(|(_, name)| *name),
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

impl Display for BlockId {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "b{}", self.0)
    }
}

impl Display for Pc {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Pc::Const(pc) => write!(f, "{pc:#x}"),
            Pc::Dynamic(value) => value.fmt(f),
        }
    }
}

impl Display for Terminator {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Terminator::Open => f.write_str("open"),
            Terminator::Jump(to) => write!(f, "jump {to}"),
            Terminator::Branch { cond, then, other } => write!(f, "branch {cond} {then} {other}"),
            Terminator::Exit { reason, pc, argument: Value::NONE } => write!(f, "exit {} {pc}", reason.name()),
            Terminator::Exit { reason, pc, argument } => write!(f, "exit {} {pc} {argument}", reason.name()),
        }
    }
}

impl Display for Region {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "region {} {:#x}", self.arch.name(), self.pc)?;
        for id in self.block_ids() {
            let Block { insts, end } = self.block(id);
            writeln!(f, "{id}:")?;
            for &value in insts {
                writeln!(f, "  {}", self.inst_text(value))?;
            }
            writeln!(f, "  {end}")?;
        }
        Ok(())
    }
}

impl Region {
    /// One instruction as text.
    pub fn inst_text(&self, value: Value) -> String {
        let mut text = String::new();
        let inst = self.inst(value);
        self.write_inst(&mut text, value, inst).expect("a String takes everything");
        text
    }

    fn write_inst(&self, to: &mut String, value: Value, inst: &Inst) -> fmt::Result {
        let row = inst.op.info();
        if inst.result().is_some() {
            write!(to, "{value} = ")?;
        }
        to.write_str(row.name)?;
        if implied_type(row).is_none() {
            write!(to, ".{}", inst.ty.name())?;
        }
        match aux_name(row.aux, inst.aux) {
            Some("") => {}
            Some(name) => write!(to, " {name}")?,
            None => write!(to, " aux{}", inst.aux)?,
        }
        match row.imm {
            ImmKind::Slot => write!(to, " {}", self.slot_text(inst))?,
            ImmKind::Helper => write!(to, " {}", self.helpers.get(inst.imm as usize).map_or("?", |h| h.name))?,
            _ => {}
        }
        for operand in inst.operands() {
            write!(to, " {operand}")?;
        }
        match row.imm {
            ImmKind::None | ImmKind::Slot | ImmKind::Helper => {}
            ImmKind::Bits | ImmKind::Pc | ImmKind::Relations => write!(to, " {:#x}", inst.imm)?,
            ImmKind::Offset => write!(to, " {}", inst.imm as i64)?,
            ImmKind::Lane => write!(to, " {}", inst.imm)?,
            ImmKind::Const => match self.consts.get(inst.imm as usize) {
                Some(bits) => write!(to, " {bits:#x}")?,
                None => write!(to, " ?")?,
            },
        }
        match row.aux {
            AuxKind::Length => write!(to, " {}", inst.aux),
            _ => Ok(()),
        }
    }

    fn slot_text(&self, inst: &Inst) -> &'static str {
        let slot = inst.slot();
        self.arch.slots().iter().find(|info| info.slot == slot).map_or("?", |info| info.name)
    }
}
