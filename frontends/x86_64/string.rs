//! String operations. A repeated one is a loop inside the region whose every round leaves the state exact: a
//! fault or an interruption in the middle resumes at the instruction itself.

use super::operand::{Lifted, RAX, RCX, RDI, RSI, X86};
use iced_x86::OpKind;
use philae_ir::state::x86_64::DF;
use philae_ir::{BlockId, Carry, Cond, IntCond, Sink, Slot, Ty, Value};

/// What one round knows: the operand's type, that of addresses, and how far pointers move.
#[derive(Clone, Copy)]
struct Round {
    ty: Ty,
    address: Ty,
    step: Value,
}

impl Round {
    /// The pointer in a register, and that register moved on.
    fn pointer(self, x: &mut X86<impl Sink>, slot: Slot) -> (Value, Value) {
        let register = x.get(self.address, slot);
        let step = x.trunc_from(Ty::I64, self.address, self.step);
        let moved = x.add(self.address, register, step);
        (x.zext_from(self.address, Ty::I64, register), moved)
    }

    /// The source's address: its segment can be overridden.
    fn source(self, x: &mut X86<impl Sink>) -> (Value, Value) {
        let (pointer, moved) = self.pointer(x, RSI);
        match x.segment_base() {
            None => (pointer, moved),
            Some(slot) => {
                let base = x.get(Ty::I64, slot);
                (x.add(Ty::I64, base, pointer), moved)
            }
        }
    }
}

/// What else ends a repetition.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// Nothing.
    Counted,
    /// REPE: ZF clear; REPNE: ZF set.
    Compared,
}

/// How many bytes a bulk round moves.
const BULK: u64 = 16;
/// The highest offset in a page at which a bulk access stays inside it: it then faults as a whole or not at all,
/// so that its fault is that of its first element.
const LAST_IN_PAGE: u64 = 4096 - BULK;

/// Many elements at once, where that cannot be told from one by one.
struct Bulk<C, B> {
    /// Beside an upward direction, enough elements and a destination inside a page: what must hold of the source.
    condition: C,
    /// Moves [`BULK`] bytes and the pointers.
    body: B,
}

/// Writes `body` once, or as a loop over RCX under a REP prefix.
fn repeat<S: Sink>(x: &mut X86<S>, ty: Ty, until: Until, body: impl Fn(&mut X86<S>, Round)) {
    repeat_with(x, ty, until, body, None::<Bulk<fn(&mut X86<S>) -> Value, fn(&mut X86<S>)>>);
}

fn repeat_with<S: Sink>(
    x: &mut X86<S>,
    ty: Ty,
    until: Until,
    body: impl Fn(&mut X86<S>, Round),
    bulk: Option<Bulk<impl Fn(&mut X86<S>) -> Value, impl Fn(&mut X86<S>)>>,
) {
    let address = address_size(x);
    let direction = x.get(Ty::I8, DF);
    let (up, down) = (x.c64(u64::from(ty.bytes())), x.c64(u64::from(ty.bytes()).wrapping_neg()));
    let step = x.select(Ty::I64, direction, down, up);
    let round = Round { ty, address, step };
    if !x.insn.has_rep_prefix() && !x.insn.has_repne_prefix() {
        return body(x, round);
    }
    let (head, work, done) = (x.new_block(), x.new_block(), x.new_block());
    x.jump(head);
    x.switch_to(head);
    let count = x.get(address, RCX);
    let finished = x.icmp_imm(address, IntCond::Eq, count, 0);
    x.branch(finished, done, work);
    x.switch_to(work);
    if let (Some(bulk), Ty::I64) = (bulk, address) {
        bulk_round(x, round, count, head, bulk);
    }
    body(x, round);
    let less = x.add_imm(address, count, u64::MAX);
    x.write_gpr(RCX, address, less);
    if until == Until::Compared {
        end_on_comparison(x, done);
    }
    x.lift.poll(x.lift.pc);
    x.jump(head);
    x.switch_to(done);
}

/// Writes a round of [`BULK`] bytes, for when that is possible; goes on in a block for when it is not.
fn bulk_round<S: Sink>(
    x: &mut X86<S>,
    round: Round,
    count: Value,
    head: BlockId,
    bulk: Bulk<impl Fn(&mut X86<S>) -> Value, impl Fn(&mut X86<S>)>,
) {
    let (many, one) = (x.new_block(), x.new_block());
    let elements = BULK / u64::from(round.ty.bytes());
    let enough = x.icmp_imm(Ty::I64, IntCond::Uge, count, elements);
    let upwards = x.icmp_imm(Ty::I64, IntCond::Slt, round.step, 0);
    let upwards = x.bool_not(upwards);
    let destination = inside_page(x, RDI);
    let source = (bulk.condition)(x);
    let possible = [upwards, destination, source].into_iter().fold(enough, |all, this| x.and(Ty::I8, all, this));
    x.branch(possible, many, one);
    x.switch_to(many);
    (bulk.body)(x);
    let less = x.add_imm(Ty::I64, count, elements.wrapping_neg());
    x.set(Ty::I64, RCX, less);
    x.lift.poll(x.lift.pc);
    x.jump(head);
    x.switch_to(one);
}

/// Whether [`BULK`] bytes at the address in a register lie in one page.
fn inside_page(x: &mut X86<impl Sink>, slot: Slot) -> Value {
    let pointer = x.get(Ty::I64, slot);
    let offset = x.and_imm(Ty::I64, pointer, 4095);
    x.icmp_imm(Ty::I64, IntCond::Ule, offset, LAST_IN_PAGE)
}

/// Moves the pointer in a register on by [`BULK`] bytes.
fn advance(x: &mut X86<impl Sink>, slot: Slot) {
    let pointer = x.get(Ty::I64, slot);
    let next = x.add_imm(Ty::I64, pointer, BULK);
    x.set(Ty::I64, slot, next);
}

/// Goes to `done` unless ZF still is what the prefix asks for.
fn end_on_comparison(x: &mut X86<impl Sink>, done: BlockId) {
    let again = x.new_block();
    let wanted = if x.insn.has_repne_prefix() { Cond::Ne } else { Cond::Eq };
    let flags = x.flags();
    let goes_on = x.flags_test(flags, wanted);
    x.branch(goes_on, again, done);
    x.switch_to(again);
}

/// The width of the pointers and the counter.
fn address_size(x: &X86<impl Sink>) -> Ty {
    let is_32 = |n| matches!(x.insn.op_kind(n), OpKind::MemorySegESI | OpKind::MemoryESEDI);
    if is_32(0) || is_32(1) { Ty::I32 } else { Ty::I64 }
}

pub(super) fn movs<S: Sink>(x: &mut X86<S>, ty: Ty) -> Lifted {
    let bulk = Bulk {
        // A destination less than a bulk above the source reads what it has just written.
        condition: |x: &mut X86<S>| {
            let (from, to) = (x.get(Ty::I64, RSI), x.get(Ty::I64, RDI));
            let distance = x.sub(Ty::I64, to, from);
            let apart = x.icmp_imm(Ty::I64, IntCond::Uge, distance, BULK);
            let inside = inside_page(x, RSI);
            x.and(Ty::I8, apart, inside)
        },
        body: |x: &mut X86<S>| {
            let (from, to) = (x.get(Ty::I64, RSI), x.get(Ty::I64, RDI));
            let value = x.load(Ty::V128, from, 0);
            x.store(Ty::V128, to, 0, value);
            advance(x, RSI);
            advance(x, RDI);
        },
    };
    // With a segment base the source's page is another one.
    let bulk = if x.segment_base().is_none() { Some(bulk) } else { None };
    let single = |x: &mut X86<S>, round: Round| {
        let (from, next_from) = round.source(x);
        let (to, next_to) = round.pointer(x, RDI);
        let value = x.load(round.ty, from, 0);
        x.store(round.ty, to, 0, value);
        x.write_gpr(RSI, round.address, next_from);
        x.write_gpr(RDI, round.address, next_to);
    };
    repeat_with(x, ty, Until::Counted, single, bulk);
    Ok(())
}

pub(super) fn stos<S: Sink>(x: &mut X86<S>, ty: Ty) -> Lifted {
    let bulk = Bulk {
        condition: |x: &mut X86<S>| x.bool_const(1),
        body: |x: &mut X86<S>| {
            let element = x.get(ty, RAX);
            let value = x.splat(Ty::int_vector(ty.bits()), element);
            let to = x.get(Ty::I64, RDI);
            x.store(Ty::V128, to, 0, value);
            advance(x, RDI);
        },
    };
    let single = |x: &mut X86<S>, round: Round| {
        let (to, next) = round.pointer(x, RDI);
        let value = x.get(round.ty, RAX);
        x.store(round.ty, to, 0, value);
        x.write_gpr(RDI, round.address, next);
    };
    repeat_with(x, ty, Until::Counted, single, Some(bulk));
    Ok(())
}

pub(super) fn lods(x: &mut X86<impl Sink>, ty: Ty) -> Lifted {
    repeat(x, ty, Until::Counted, |x, round| {
        let (from, next) = round.source(x);
        let value = x.load(round.ty, from, 0);
        x.write_gpr(RAX, round.ty, value);
        x.write_gpr(RSI, round.address, next);
    });
    Ok(())
}

pub(super) fn cmps(x: &mut X86<impl Sink>, ty: Ty) -> Lifted {
    repeat(x, ty, Until::Compared, |x, round| {
        let (first, next_first) = round.source(x);
        let (second, next_second) = round.pointer(x, RDI);
        let a = x.load(round.ty, first, 0);
        let b = x.load(round.ty, second, 0);
        x.write_gpr(RSI, round.address, next_first);
        x.write_gpr(RDI, round.address, next_second);
        compare(x, round.ty, a, b);
    });
    Ok(())
}

pub(super) fn scas(x: &mut X86<impl Sink>, ty: Ty) -> Lifted {
    repeat(x, ty, Until::Compared, |x, round| {
        let (at, next) = round.pointer(x, RDI);
        let b = x.load(round.ty, at, 0);
        let a = x.get(round.ty, RAX);
        x.write_gpr(RDI, round.address, next);
        compare(x, round.ty, a, b);
    });
    Ok(())
}

fn compare(x: &mut X86<impl Sink>, ty: Ty, a: Value, b: Value) {
    let result = x.sub(ty, a, b);
    let flags = x.flags_sub(ty, Carry::Borrow, a, b);
    x.arithmetic_flags(ty, flags, a, b, result);
}
