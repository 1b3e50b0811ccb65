//! Executes guest code while it is decoded: each body is told at once, with nothing in between.
//!
//! In: an address and the guest's state. Out: the state behind a block, and what ended it, as the interpreter would
//! leave them after what [`crate::lift_block`] makes of the same bytes.

use crate::lift::{Decoded, Flow, Found, Guest, Lift, LiftError, decode_run};
use crate::{Changes, Fetch, Run};
use philae_ir::now::{Now, Outcome};
use philae_ir::{Builder, ExitReason, Sink};
use std::ops::ControlFlow;

/// Executes `limit` instructions at most, up to the first that transfers control, or writes to memory where that may be the
/// next one.
pub(crate) fn block<G: Guest>(now: Now<'_>, limit: usize, changes: Changes, fetch: Fetch<'_>) -> (Run, Outcome) {
    let pc = now.region().pc;
    let mut lift = Lift::new(Builder { sink: now }, pc);
    let (mut end, mut instructions) = (pc, 0);
    decode_run::<G>(pc, fetch, |at, found| {
        let body = if instructions == 0 { G::execute_arrival } else { G::execute };
        instructions += 1;
        end = at.wrapping_add(found.length());
        loop {
            instruction::<G>(&mut lift, at, &found, body);
            if changes != Changes::Announced || !lift.b.sink.takes_another_round() {
                break;
            }
        }
        let wrote = changes != Changes::Announced && lift.b.sink.wrote();
        if found.flow() != Flow::Next || instructions >= limit || wrote {
            leave(&mut lift, ExitReason::Jump, end);
        }
        if lift.b.sink.outcome().is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let outcome = lift.b.sink.outcome().expect("decoding ends with what leaves");
    (Run { instructions, range: pc..end }, outcome)
}

/// Executes what was found at `at`.
fn instruction<G: Guest>(
    lift: &mut Lift<Now<'_>>,
    at: u64,
    found: &Found<G::Insn>,
    body: fn(&G::Insn, &mut Lift<Now<'_>>) -> Result<(), LiftError>,
) {
    lift.pc = at;
    lift.next = at.wrapping_add(found.length());
    lift.b.insn(at, found.length() as u8);
    match &found.decoded {
        Decoded::Insn { insn, .. } => {
            if body(insn, lift).is_err() {
                debug_assert!(!lift.b.sink.changed(), "what is no instruction has changed something, at {at:#x}");
                leave(lift, ExitReason::Undefined, at);
            }
        }
        Decoded::Undefined | Decoded::Truncated => lift.leave_at_end(at, found),
    }
}

/// Leaves to go on at `pc`, unless something has ended the block already.
fn leave(lift: &mut Lift<Now<'_>>, reason: ExitReason, pc: u64) {
    if lift.b.sink.outcome().is_none() {
        lift.leave(reason, pc);
    }
}
