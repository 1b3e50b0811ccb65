//! Exclusives, acquire and release, and the atomics of FEAT_LSE.
//!
//! The exclusive monitor is three slots: address, size and the value that the load saw. A store-exclusive is one
//! compare-and-swap against them, and clears the monitor. What is not naturally aligned is refused, as without FEAT_LSE2.

use super::loadstore::Extend;
use super::operand::{Lifted, reg, require, set_reg, x_or_sp};
use super::word::Word;
use crate::lift::Lift;
use philae_ir::state::LOCALS;
use philae_ir::state::aarch64::{EXCLUSIVE_ADDRESS, EXCLUSIVE_SIZE, EXCLUSIVE_VALUE};
use philae_ir::{ExitReason, IntCond, Ordering, RmwOp, Sink, Ty, Value};

/// The address in Rn, where it is a multiple of the `bytes` accessed; else the region is left.
fn aligned(w: Word, l: &mut Lift<impl Sink>, bytes: u32) -> Value {
    let address = x_or_sp(l, w.rn());
    check(l, address, bytes)
}

/// As [`aligned`], for the address in Rn plus imm9, bits 20:12.
fn aligned_unscaled(w: Word, l: &mut Lift<impl Sink>, bytes: u32) -> Value {
    let base = x_or_sp(l, w.rn());
    let address = l.b.add_imm(Ty::I64, base, w.signed(20, 12) as u64);
    check(l, address, bytes)
}

fn check(l: &mut Lift<impl Sink>, address: Value, bytes: u32) -> Value {
    if bytes > 1 {
        let low = l.b.and_imm(Ty::I64, address, u64::from(bytes - 1));
        let misaligned = l.b.icmp_imm(Ty::I64, IntCond::Ne, low, 0);
        l.leave_if(misaligned, ExitReason::Misaligned, address);
    }
    address
}

/// As [`aligned`], without a tag: the monitor is one of places.
fn monitored(w: Word, l: &mut Lift<impl Sink>, bytes: u32) -> Value {
    let address = aligned(w, l, bytes);
    l.b.without_tag(address)
}

fn reserve(l: &mut Lift<impl Sink>, address: Value, bytes: u32) {
    l.b.set(Ty::I64, EXCLUSIVE_ADDRESS, address);
    let size = l.b.c64(u64::from(bytes));
    l.b.set(Ty::I64, EXCLUSIVE_SIZE, size);
}

fn clear(l: &mut Lift<impl Sink>) {
    let none = l.b.c64(0);
    l.b.set(Ty::I64, EXCLUSIVE_SIZE, none);
}

/// LDXR, LDAXR and their B and H forms.
pub(super) fn load_exclusive(w: Word, l: &mut Lift<impl Sink>, ordering: Ordering) -> Lifted {
    let ty = w.access();
    let address = monitored(w, l, ty.bytes());
    let value = l.b.atomic_load(ty, ordering, address);
    reserve(l, address, ty.bytes());
    l.b.set(ty, EXCLUSIVE_VALUE, value);
    set_reg(l, ty, w.rt(), value);
    Ok(())
}

/// LDXP, LDAXP. The pair of X registers is read in two steps: only a store-exclusive that succeeds vouches for both.
pub(super) fn load_exclusive_pair(w: Word, l: &mut Lift<impl Sink>, ordering: Ordering) -> Lifted {
    require(w.rt() != w.rt2())?;
    if w.is_set(30) {
        let address = monitored(w, l, 16);
        let low = l.b.atomic_load(Ty::I64, ordering, address);
        let next = l.b.add_imm(Ty::I64, address, 8);
        let high = l.b.atomic_load(Ty::I64, ordering, next);
        let both = l.b.concat(Ty::I128, low, high);
        reserve(l, address, 16);
        l.b.set(Ty::I128, EXCLUSIVE_VALUE, both);
        set_reg(l, Ty::I64, w.rt(), low);
        set_reg(l, Ty::I64, w.rt2(), high);
    } else {
        let address = monitored(w, l, 8);
        let both = l.b.atomic_load(Ty::I64, ordering, address);
        reserve(l, address, 8);
        l.b.set(Ty::I64, EXCLUSIVE_VALUE, both);
        let low = l.b.trunc(Ty::I32, both);
        let high = l.b.lshr_imm(Ty::I64, both, 32);
        set_reg(l, Ty::I32, w.rt(), low);
        set_reg(l, Ty::I64, w.rt2(), high);
    }
    Ok(())
}

/// STXR, STLXR and their B and H forms.
pub(super) fn store_exclusive(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let ty = w.access();
    let address = monitored(w, l, ty.bytes());
    let new = reg(l, ty, w.rt());
    store_if_reserved(w, l, ty, address, new);
    Ok(())
}

/// STXP, STLXP.
pub(super) fn store_exclusive_pair(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let ty = if w.is_set(30) { Ty::I128 } else { Ty::I64 };
    let address = monitored(w, l, ty.bytes());
    let new = pair(l, ty, w.rt(), w.rt2());
    store_if_reserved(w, l, ty, address, new);
    Ok(())
}

/// Two registers as one value of type `ty`, the first at the bottom.
fn pair(l: &mut Lift<impl Sink>, ty: Ty, first: usize, second: usize) -> Value {
    let (low, high) = (reg(l, Ty::I64, first), reg(l, Ty::I64, second));
    if ty == Ty::I128 {
        return l.b.concat(ty, low, high);
    }
    let low = l.b.and_imm(Ty::I64, low, 0xffff_ffff);
    let high = l.b.shl_imm(Ty::I64, high, 32);
    l.b.or(Ty::I64, low, high)
}

/// Stores `new` and writes 0 to Rs if the monitor covers this access and memory still holds what it saw; else
/// writes 1. The monitor is clear afterwards.
fn store_if_reserved(w: Word, l: &mut Lift<impl Sink>, ty: Ty, address: Value, new: Value) {
    let failed = LOCALS[0];
    let reserved_address = l.b.get(Ty::I64, EXCLUSIVE_ADDRESS);
    let reserved_size = l.b.get(Ty::I64, EXCLUSIVE_SIZE);
    let same_address = l.b.icmp(Ty::I64, IntCond::Eq, address, reserved_address);
    let same_size = l.b.icmp_imm(Ty::I64, IntCond::Eq, reserved_size, u64::from(ty.bytes()));
    let reserved = l.b.and(Ty::I8, same_address, same_size);
    let one = l.b.c64(1);
    l.b.set(Ty::I64, failed, one);
    let attempt = l.b.new_block();
    let done = l.b.new_block();
    l.b.branch(reserved, attempt, done);

    l.b.switch_to(attempt);
    let expected = l.b.get(ty, EXCLUSIVE_VALUE);
    let old = l.b.atomic_cas(ty, address, expected, new);
    let changed = l.b.icmp(ty, IntCond::Ne, old, expected);
    let changed = l.b.zext(Ty::I64, changed);
    l.b.set(Ty::I64, failed, changed);
    l.b.jump(done);

    l.b.switch_to(done);
    let status = l.b.get(Ty::I64, failed);
    set_reg(l, Ty::I64, w.rs(), status);
    clear(l);
}

/// CLREX.
pub(super) fn clrex(_w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    clear(l);
    Ok(())
}

/// LDAR, LDAPR, LDLAR and their B and H forms.
pub(super) fn load_acquire(w: Word, l: &mut Lift<impl Sink>, ordering: Ordering) -> Lifted {
    let ty = w.access();
    let address = aligned(w, l, ty.bytes());
    let value = l.b.atomic_load(ty, ordering, address);
    set_reg(l, ty, w.rt(), value);
    Ok(())
}

/// STLR, STLLR and their B and H forms.
pub(super) fn store_release(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let ty = w.access();
    let address = aligned(w, l, ty.bytes());
    let value = reg(l, ty, w.rt());
    l.b.atomic_store(ty, Ordering::SeqCst, address, value);
    Ok(())
}

/// LDAPUR, LDAPURB, LDAPURH, LDAPURSB, LDAPURSH, LDAPURSW.
pub(super) fn load_acquire_unscaled(w: Word, l: &mut Lift<impl Sink>, extend: Extend) -> Lifted {
    let memory = w.access();
    let address = aligned_unscaled(w, l, memory.bytes());
    let value = l.b.atomic_load(memory, Ordering::Acquire, address);
    let (value, ty) = match extend {
        Extend::Zero => (value, memory),
        Extend::Sign32 => (l.b.sext(Ty::I32, value), Ty::I32),
        Extend::Sign64 => (l.b.sext(Ty::I64, value), Ty::I64),
    };
    set_reg(l, ty, w.rt(), value);
    Ok(())
}

/// STLUR, STLURB, STLURH.
pub(super) fn store_release_unscaled(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let ty = w.access();
    let address = aligned_unscaled(w, l, ty.bytes());
    let value = reg(l, ty, w.rt());
    l.b.atomic_store(ty, Ordering::SeqCst, address, value);
    Ok(())
}

/// LDADD, LDCLR, LDEOR, LDSET, LDSMAX, LDSMIN, LDUMAX, LDUMIN, SWP in all sizes and orderings.
pub(super) fn read_modify_write(w: Word, l: &mut Lift<impl Sink>, op: RmwOp) -> Lifted {
    let ty = w.access();
    let address = aligned(w, l, ty.bytes());
    let operand = reg(l, ty, w.rs());
    let old = l.b.atomic_rmw(ty, op, address, operand);
    set_reg(l, ty, w.rt(), old);
    Ok(())
}

/// CAS in all sizes and orderings.
pub(super) fn compare_and_swap(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let ty = w.access();
    let address = aligned(w, l, ty.bytes());
    let expected = reg(l, ty, w.rs());
    let new = reg(l, ty, w.rt());
    let old = l.b.atomic_cas(ty, address, expected, new);
    set_reg(l, ty, w.rs(), old);
    Ok(())
}

/// CASP in both sizes and all orderings.
pub(super) fn compare_and_swap_pair(w: Word, l: &mut Lift<impl Sink>) -> Lifted {
    let (s, t) = (w.rs(), w.rt());
    require(s % 2 == 0 && t % 2 == 0)?;
    let ty = if w.is_set(30) { Ty::I128 } else { Ty::I64 };
    let address = aligned(w, l, ty.bytes());
    let expected = pair(l, ty, s, s + 1);
    let new = pair(l, ty, t, t + 1);
    let old = l.b.atomic_cas(ty, address, expected, new);
    if ty == Ty::I128 {
        let (low, high) = (l.b.low(ty, old), l.b.high(ty, old));
        set_reg(l, Ty::I64, s, low);
        set_reg(l, Ty::I64, s + 1, high);
    } else {
        let low = l.b.trunc(Ty::I32, old);
        let high = l.b.lshr_imm(Ty::I64, old, 32);
        set_reg(l, Ty::I32, s, low);
        set_reg(l, Ty::I64, s + 1, high);
    }
    Ok(())
}
