//! Branches.

use super::flags::holds;
use super::landing;
use super::operand::{Lifted, reg, set_reg, x};
use super::word::Word;
use crate::lift::{Flow, Lift};
use philae_ir::{FlowHint, IntCond, Sink, Ty};

/// Where control goes after the instruction `w` at `pc`, as far as its bits tell.
#[inline]
pub(super) fn flow(pc: u64, w: Word) -> Flow {
    // Branches, exceptions and system instructions have 101 there (Arm ARM C4.1).
    if w.bits(28, 26) == 0b101 { flow_of_group(pc, w) } else { Flow::Next }
}

fn flow_of_group(pc: u64, w: Word) -> Flow {
    match w.bits(31, 24) {
        0x14..=0x17 => Flow::Jump(target_26(pc, w)),
        0x54 | 0x34 | 0x35 | 0xb4 | 0xb5 => Flow::Branch(target_19(pc, w)),
        0x36 | 0x37 | 0xb6 | 0xb7 => Flow::Branch(target_14(pc, w)),
        0x94..=0x97 => Flow::Call(target_26(pc, w)),
        // RET, RETAA, RETAB.
        0xd6 if w.bits(23, 21) == 0b010 => Flow::Return,
        // Other branches to registers.
        0xd6 | 0xd7 => Flow::Computed,
        // Exception generation.
        0xd4 => Flow::Leave,
        // IC IVAU.
        0xd5 if w.0 & !0x1f == 0xd50b_7520 => Flow::Leave,
        _ => Flow::Next,
    }
}

/// The address of the pointer that `ADRP Xm; LDR Xn, [Xm, #offset]; BR Xn` jumps through, perhaps with an addition to Xm before
/// the jump.
pub(super) fn jump_pointer(run: impl DoubleEndedIterator<Item = (u64, Word)>) -> Option<u64> {
    let mut back = run.rev();
    let (_, jump) = back.next()?;
    let (_, mut load) = back.next()?;
    if load.bits(31, 22) == ADD_IMMEDIATE {
        load = back.next()?.1;
    }
    let (pc, page) = back.next()?;
    let is_jump = jump.0 & !(0x1f << 5) == 0xd61f_0000;
    let is_load = load.bits(31, 22) == LDR_X_UNSIGNED && load.rt() == jump.rn();
    let is_page = page.bits(31, 31) == 1 && page.bits(28, 24) == 0b10000 && page.rd() == load.rn();
    let distance = page.signed(23, 5) << 2 | i64::from(page.bits(30, 29));
    let address = (pc & !0xfff).wrapping_add((distance << 12) as u64).wrapping_add(u64::from(load.bits(21, 10)) * 8);
    (is_jump && is_load && is_page).then_some(address)
}

/// Bits 31 to 22 of ADD (immediate) of 64 bits without a shift.
const ADD_IMMEDIATE: u32 = 0b10_0100_0100;
/// Bits 31 to 22 of LDR (immediate, unsigned offset) of 64 bits.
const LDR_X_UNSIGNED: u32 = 0b11_1110_0101;

fn target_26(pc: u64, w: Word) -> u64 {
    pc.wrapping_add((w.signed(25, 0) * 4) as u64)
}

fn target_19(pc: u64, w: Word) -> u64 {
    pc.wrapping_add((w.signed(23, 5) * 4) as u64)
}

fn target_14(pc: u64, w: Word) -> u64 {
    pc.wrapping_add((w.signed(18, 5) * 4) as u64)
}

/// B.
pub(super) fn b(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    l.go(target_26(l.pc, w));
    Ok(())
}

/// BL.
pub(super) fn bl(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    link(l);
    l.call(target_26(l.pc, w));
    Ok(())
}

fn link(l: &mut Lift<impl Sink>) {
    let back = l.b.c64(l.next);
    set_reg(l, Ty::I64, 30, back);
}

/// B.cond.
pub(super) fn b_cond(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let holds = holds(l, w.bits(3, 0));
    l.go_if(holds, target_19(l.pc, w));
    Ok(())
}

/// CBZ, CBNZ.
pub(super) fn compare_branch(w: Word, l: &mut Lift<impl Sink>, cond: IntCond) -> Lifted {
    let ty = w.sf();
    let t = reg(l, ty, w.rt());
    let taken = l.b.icmp_imm(ty, cond, t, 0);
    l.go_if(taken, target_19(l.pc, w));
    Ok(())
}

/// TBZ, TBNZ.
pub(super) fn test_branch(w: Word, l: &mut Lift<impl Sink>, cond: IntCond) -> Lifted {
    let bit = w.bits(31, 31) << 5 | w.bits(23, 19);
    let t = x(l, w.rt());
    let tested = l.b.and_imm(Ty::I64, t, 1 << bit);
    let taken = l.b.icmp_imm(Ty::I64, cond, tested, 0);
    l.go_if(taken, target_14(l.pc, w));
    Ok(())
}

/// BR.
pub(super) fn br(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let target = x(l, w.rn());
    landing::leave_by(l, landing::Branch::Jump(w.rn()));
    l.go_indirect(target, FlowHint::Jump);
    Ok(())
}

/// BLR.
pub(super) fn blr(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let target = x(l, w.rn());
    link(l);
    landing::leave_by(l, landing::Branch::Call);
    l.go_indirect(target, FlowHint::Call);
    Ok(())
}

/// RET.
pub(super) fn ret(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let target = x(l, w.rn());
    l.go_indirect(target, FlowHint::Return);
    Ok(())
}
