//! Landing pads: what branches to registers leave behind, and what they find in guarded pages (Arm ARM D8.4.7, FEAT_BTI).
//!
//! PSTATE.BTYPE has a slot, written by branches to registers and zero after every other instruction. It can be another
//! number only where such a branch may arrive, so it is looked at and cleared there alone; and not at all as long as
//! the program has no guarded page.

use super::features::{self, Known};
use super::lift::Target;
use super::operand::Lifted;
use super::word::Word;
use super::{Insn, branch};
use crate::lift::{Flow, Lift, LiftError};
use philae_ir::processor::{Feature, Features};
use philae_ir::state::aarch64::{BTYPE, BTYPE_CALL};
use philae_ir::{ExitReason, Guards, IntCond, Sink, Ty, Value};

/// BTYPE after BR through X16 or X17, or out of a page that is not guarded.
const BY_VENEER: u64 = 0b01;
/// BTYPE after any other BR.
const BY_JUMP: u64 = 0b11;

/// A branch to a register that is no return.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Branch {
    /// BR and its like, through this register.
    Jump(usize),
    /// BLR and its like.
    Call,
}

/// Which branches an instruction of a guarded page takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pad {
    /// None.
    No,
    /// All but this kind.
    But(u64),
    /// All.
    All,
}

/// What an instruction is to branches. PACIASP and PACIBSP take what BTI c takes, as Linux sets SCTLR_EL1.BT0.
fn pad(word: Word, features: Features) -> Pad {
    const BTI_C: u32 = 0xd503_245f;
    const BTI_J: u32 = 0xd503_249f;
    const BTI_JC: u32 = 0xd503_24df;
    const PACIASP: u32 = 0xd503_233f;
    const PACIBSP: u32 = 0xd503_237f;
    const BRK: u32 = 0xd420_0000;
    match word.0 {
        BTI_C => Pad::But(BY_JUMP),
        BTI_J => Pad::But(BTYPE_CALL),
        BTI_JC => Pad::All,
        PACIASP | PACIBSP if features.contain(Features::NONE.with(Feature::Pauth)) => Pad::But(BY_JUMP),
        // The breakpoint comes first.
        other if other & 0xffe0_001f == BRK => Pad::All,
        _ => Pad::No,
    }
}

/// Notes what kind of branch the current instruction is.
pub(super) fn leave_by(l: &mut Lift<impl Sink>, branch: Branch) {
    let guards = &l.b.region().guards;
    if *guards == Guards::Unknown {
        return;
    }
    let kind = match branch {
        Branch::Call => BTYPE_CALL,
        Branch::Jump(16 | 17) => BY_VENEER,
        Branch::Jump(_) if guards.contain(l.pc) => BY_JUMP,
        Branch::Jump(_) => BY_VENEER,
    };
    set(l, kind);
}

fn set(l: &mut Lift<impl Sink>, kind: u64) {
    let kind = l.b.c64(kind);
    l.b.set(Ty::I64, BTYPE, kind);
}

/// Says what an instruction means that such a branch may have come to.
pub(super) fn say(insn: &Insn, l: &mut Lift<impl Target>) -> Lifted {
    if l.b.region().guards == Guards::Unknown { super::say(insn, l) } else { say_guarded(insn, l) }
}

/// The same where there are guarded pages; apart, as hardly any program has them.
#[inline(never)]
fn say_guarded(insn: &Insn, l: &mut Lift<impl Target>) -> Lifted {
    let features = l.b.region().processor.features;
    if features::known(features, insn.row, insn.word) == Known::No {
        return Err(LiftError::Undefined);
    }
    let pad = pad(insn.word, features);
    if l.b.region().guards.contain(l.pc) {
        refuse(l, pad);
        if pad == Pad::No {
            return super::say(insn, l);
        }
    }
    // A fault shows the branch's kind; what leaves the block cannot clear it afterwards.
    if branch::flow(l.pc, insn.word) != Flow::Next {
        set(l, 0);
        return super::say(insn, l);
    }
    super::say(insn, l)?;
    if !l.b.is_closed() {
        set(l, 0);
    }
    Ok(())
}

/// Leaves where a branch has come that the instruction does not take.
fn refuse(l: &mut Lift<impl Sink>, pad: Pad) {
    let (cond, kind) = match pad {
        Pad::All => return,
        Pad::But(kind) => (IntCond::Eq, kind),
        Pad::No => (IntCond::Ne, 0),
    };
    let came_by = l.b.get(Ty::I64, BTYPE);
    let refused = l.b.icmp_imm(Ty::I64, cond, came_by, kind);
    l.leave_if(refused, ExitReason::BranchTarget, Value::NONE);
}
