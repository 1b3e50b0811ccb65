//! System instructions: exceptions, barriers, cache maintenance, system registers.
//!
//! Registers of EL1 that Linux lets EL0 read (its documented "cpu-feature-registers") read as constants that
//! announce what the processor's model has.

use super::exact;
use super::helpers;
use super::operand::{Lifted, set_reg, x};
use super::word::Word;
use crate::lift::{Lift, LiftError};
use philae_ir::processor::{Feature, Features, IdRegister};
use philae_ir::state::NZCV;
use philae_ir::state::aarch64::{DIT, FPCR, PSTATE, SSBS, TPIDR, X};
use philae_ir::{Barrier, ExitReason, IntCond, Sink, Ty, Value};

/// Bytes in a cache line, and in the block that DC ZVA clears.
const LINE: u64 = 64;
/// CTR_EL0: 64-byte lines, PIPT, IDC = 1 (data caches need no cleaning), DIC = 0 (IC IVAU is needed).
const CTR: u64 = 0x9444_c004;
/// DCZID_EL0: DC ZVA is allowed, block size 2^4 words.
const DCZID: u64 = 4;
/// MPIDR_EL1 as Linux shows it to user code: RES1 alone.
const MPIDR: u64 = 1 << 31;
/// FPCR bits that can be written: AHP, DN, FZ, RMode, FZ16.
const FPCR_MASK: u64 = 0x07c8_0000;
/// FPSR bits that can be written: QC, IDC, IXC, UFC, OFC, DZC, IOC.
const FPSR_MASK: u64 = 0x0800_009f;

/// SVC.
pub(super) fn svc(_w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    l.leave(ExitReason::Syscall, l.next);
    Ok(())
}

/// BRK.
pub(super) fn brk(_w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    l.leave(ExitReason::Breakpoint, l.pc);
    Ok(())
}

/// Instructions without an effect that a program can see: HINT (NOP, YIELD, WFE, SEV; BTI once control has arrived), PRFM
/// (literal), ISB and SB, as translated code is in program order and does not speculate.
pub(super) fn no_effect(_w: Word, _l: &mut Lift<impl Sink>) -> Lifted {
    Ok(())
}

/// DMB, DSB.
pub(super) fn barrier(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    l.b.fence(match w.bits(9, 8) {
        1 => Barrier::Load,
        2 => Barrier::Store,
        _ => Barrier::Full,
    });
    Ok(())
}

/// DC ZVA.
pub(super) fn dc_zva(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let address = x(l, w.rt());
    let block = l.b.and_imm(Ty::I64, address, !(LINE - 1));
    let zero = l.b.wide_const(Ty::V128, 0);
    for offset in (0..LINE as i64).step_by(16) {
        l.b.store(Ty::V128, block, offset, zero);
    }
    Ok(())
}

/// CNTD X0, as libgcc's unwinder has it in a place that it only reaches with SVE: a vector of 128 bits.
pub(super) fn cntd(_w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let doublewords = l.b.c64(2);
    set_reg(l, Ty::I64, 0, doublewords);
    Ok(())
}

/// DC CVAC, CVAU, CVAP, CVADP, CIVAC: no effect but the fault on an address that cannot be read.
pub(super) fn dc_clean(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let address = x(l, w.rt());
    l.b.load(Ty::I8, address, 0);
    Ok(())
}

/// IC IVAU.
pub(super) fn ic_ivau(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let address = x(l, w.rt());
    l.leave_with(ExitReason::StaleCode, l.next, address);
    Ok(())
}

/// op0, op1, CRn, CRm and op2 of a system register in one number, in this order.
const fn register(op0: u32, op1: u32, crn: u32, crm: u32, op2: u32) -> u32 {
    op0 << 14 | op1 << 11 | crn << 7 | crm << 3 | op2
}

const TPIDR_EL0: u32 = register(3, 3, 13, 0, 2);
const TPIDRRO_EL0: u32 = register(3, 3, 13, 0, 3);
const NZCV_REGISTER: u32 = register(3, 3, 4, 2, 0);
const FPCR_REGISTER: u32 = register(3, 3, 4, 4, 0);
const FPSR_REGISTER: u32 = register(3, 3, 4, 4, 1);
const CTR_EL0: u32 = register(3, 3, 0, 0, 1);
const DCZID_EL0: u32 = register(3, 3, 0, 0, 7);
const CNTFRQ_EL0: u32 = register(3, 3, 14, 0, 0);
const CNTVCT_EL0: u32 = register(3, 3, 14, 0, 2);
/// IMPLEMENTATION DEFINED: the runtime's own, in its page of the guest's code.
const RUNTIME_CALL: u32 = register(3, 3, 15, 0, 0);
const MIDR_EL1: u32 = register(3, 0, 0, 0, 0);
const MPIDR_EL1: u32 = register(3, 0, 0, 0, 5);
const REVIDR_EL1: u32 = register(3, 0, 0, 0, 6);
const CNTVCTSS_EL0: u32 = register(3, 3, 14, 0, 6);
const RNDR: u32 = register(3, 3, 2, 4, 0);
const RNDRRS: u32 = register(3, 3, 2, 4, 1);
const DIT_REGISTER: u32 = register(3, 3, 4, 2, 5);
const SSBS_REGISTER: u32 = register(3, 3, 4, 2, 6);
const ID_AA64PFR0_EL1: u32 = register(3, 0, 0, 4, 0);
const ID_AA64PFR1_EL1: u32 = register(3, 0, 0, 4, 1);
const ID_AA64ISAR0_EL1: u32 = register(3, 0, 0, 6, 0);
const ID_AA64ISAR1_EL1: u32 = register(3, 0, 0, 6, 1);
const ID_AA64MMFR0_EL1: u32 = register(3, 0, 0, 7, 0);
/// ID registers that Linux emulates and that announce nothing: CRm 4 to 7.
const ID_FIRST: u32 = register(3, 0, 0, 4, 0);
const ID_LAST: u32 = register(3, 0, 0, 7, 7);

/// The system register that an MRS or MSR names; op0 is 2 or 3.
fn named(w: Word) -> u32 {
    1 << 15 | w.bits(19, 5)
}

/// MRS.
pub(super) fn mrs(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let model = l.b.region().processor;
    let has = |feature| model.features.contain(Features::NONE.with(feature));
    let value = match named(w) {
        TPIDR_EL0 => l.b.get(Ty::I64, TPIDR),
        TPIDRRO_EL0 | REVIDR_EL1 => l.b.c64(0),
        NZCV_REGISTER => {
            let flags = l.b.get(Ty::Flags, NZCV);
            let bits = l.b.flags_to_bits(flags);
            let wide = l.b.zext(Ty::I64, bits);
            l.b.shl_imm(Ty::I64, wide, 28)
        }
        FPCR_REGISTER => word_slot(l, FPCR),
        FPSR_REGISTER if exact::keeps_flags(l) => {
            let word = exact::status(l);
            l.b.zext(Ty::I64, word)
        }
        // Flags are kept from the first write on; until then, to read them is to save them or to ask what has been
        // raised since the program began, and the host's units know.
        FPSR_REGISTER => {
            let register = l.b.c64(w.rt() as u64);
            l.leave_with(ExitReason::FloatStatus, l.next, register);
            return Ok(());
        }
        CTR_EL0 => l.b.c64(CTR),
        DCZID_EL0 => l.b.c64(DCZID),
        CNTFRQ_EL0 => l.b.c64(helpers::COUNTER_HZ),
        CNTVCT_EL0 => l.b.call(&helpers::VIRTUAL_COUNT, &[]),
        CNTVCTSS_EL0 if has(Feature::Ecv) => l.b.call(&helpers::VIRTUAL_COUNT, &[]),
        RNDR | RNDRRS if has(Feature::Rng) => {
            let register = l.b.c64(w.rt() as u64);
            l.leave_with(ExitReason::RandomNumber, l.next, register);
            return Ok(());
        }
        DIT_REGISTER if has(Feature::Dit) => state_bit(l, DIT),
        SSBS_REGISTER if has(Feature::Ssbs) => state_bit(l, SSBS),
        MIDR_EL1 => l.b.c64(model.midr.into()),
        MPIDR_EL1 => l.b.c64(MPIDR),
        ID_AA64PFR0_EL1 => l.b.c64(model.id_register(IdRegister::Pfr0)),
        ID_AA64PFR1_EL1 => l.b.c64(model.id_register(IdRegister::Pfr1)),
        ID_AA64ISAR0_EL1 => l.b.c64(model.id_register(IdRegister::Isar0)),
        ID_AA64ISAR1_EL1 => l.b.c64(model.id_register(IdRegister::Isar1)),
        ID_AA64MMFR0_EL1 => l.b.c64(model.id_register(IdRegister::Mmfr0)),
        RUNTIME_CALL => runtime_call(l)?,
        other if (ID_FIRST..=ID_LAST).contains(&other) => l.b.c64(0),
        _ => return Err(LiftError::Undefined),
    };
    set_reg(l, Ty::I64, w.rt(), value);
    Ok(())
}

/// Asks the runtime what W9 and W0 say, in its page: a word, and one in X11.
fn runtime_call(l: &mut Lift<impl Sink>) -> Result<Value, LiftError> {
    let helper = l.runtime_call().ok_or(LiftError::Undefined)?;
    let question = [9, 0].map(|register| l.b.get(Ty::I32, X[register]));
    let answer = l.b.call(helper, &question);
    let high = l.b.extract_lane(Ty::I64X2, answer, 1);
    l.b.set(Ty::I64, X[11], high);
    Ok(l.b.extract_lane(Ty::I64X2, answer, 0))
}

/// A bit of the processor's state, where MRS shows it.
fn state_bit(l: &mut Lift<impl Sink>, bit: u64) -> Value {
    let state = l.b.get(Ty::I64, PSTATE);
    l.b.and_imm(Ty::I64, state, bit)
}

fn set_state_bit(l: &mut Lift<impl Sink>, bit: u64, value: Value) {
    let state = l.b.get(Ty::I64, PSTATE);
    let others = l.b.and_imm(Ty::I64, state, !bit);
    let new = l.b.and_imm(Ty::I64, value, bit);
    let all = l.b.or(Ty::I64, others, new);
    l.b.set(Ty::I64, PSTATE, all);
}

/// MSR (immediate) of a bit of the processor's state: the lowest bit of CRm.
pub(super) fn msr_immediate(w: Word, l: &mut Lift<impl Sink>, bit: u64) -> Lifted {
    let value = l.b.c64(if w.is_set(8) { bit } else { 0 });
    set_state_bit(l, bit, value);
    Ok(())
}

fn word_slot(l: &mut Lift<impl Sink>, slot: philae_ir::Slot) -> Value {
    let word = l.b.get(Ty::I32, slot);
    l.b.zext(Ty::I64, word)
}

/// MSR (register).
pub(super) fn msr(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let value = x(l, w.rt());
    let features = l.b.region().processor.features;
    let has = |feature| features.contain(Features::NONE.with(feature));
    match named(w) {
        DIT_REGISTER if has(Feature::Dit) => set_state_bit(l, DIT, value),
        SSBS_REGISTER if has(Feature::Ssbs) => set_state_bit(l, SSBS, value),
        TPIDR_EL0 => l.b.set(Ty::I64, TPIDR, value),
        NZCV_REGISTER => {
            let down = l.b.lshr_imm(Ty::I64, value, 28);
            let bits = l.b.trunc(Ty::I32, down);
            let bits = l.b.and_imm(Ty::I32, bits, 15);
            let flags = l.b.flags_from_bits(bits);
            super::flags::set(l, flags);
        }
        FPCR_REGISTER => {
            if let Some(special) = exact::unfollowed(l) {
                let special = l.b.and_imm(Ty::I64, value, special);
                let special = l.b.icmp_imm(Ty::I64, IntCond::Ne, special, 0);
                l.leave_if(special, ExitReason::FloatModes, value);
            }
            set_word_slot(l, FPCR, FPCR_MASK, value);
            // What follows may round differently: the runtime has to see the new control word first.
            l.leave(ExitReason::Interrupted, l.next);
        }
        FPSR_REGISTER if exact::keeps_flags(l) => {
            let word = l.b.trunc(Ty::I32, value);
            let word = l.b.and_imm(Ty::I32, word, FPSR_MASK);
            exact::set_status(l, word);
        }
        FPSR_REGISTER => {
            let status = l.b.and_imm(Ty::I64, value, FPSR_MASK);
            l.leave_with(ExitReason::ExactFloats, l.pc, status);
        }
        _ => return Err(LiftError::Undefined),
    }
    Ok(())
}

fn set_word_slot(l: &mut Lift<impl Sink>, slot: philae_ir::Slot, mask: u64, value: Value) {
    let word = l.b.trunc(Ty::I32, value);
    let word = l.b.and_imm(Ty::I32, word, mask);
    l.b.set(Ty::I32, slot, word);
}
