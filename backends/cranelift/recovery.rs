//! Exact registers at a fault without a cost before it.
//!
//! In loops an exact access does not write the guest's registers back first. It is followed by a branch that is
//! never taken to code which does, and leaves; the branch keeps the values where that code expects them. Here,
//! where the branch stands directly behind the access in the machine code, it becomes a no-op that holds the
//! distance to its target, and a fault of the access continues at the target: no register has changed since. Moves that
//! the register allocator put between the two are made on the way. Where the branch stands elsewhere, the region is
//! compiled again with that access writing the registers back itself.

use super::x86_64;
use cranelift_codegen::ir::SourceLoc;
use philae_ir::Value;
use std::ops::Range;

/// Where a signal handler continues after a fault in translated code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Continuation {
    /// At this address, with all registers as they are: the code there brings the guest's registers up to date.
    Recover(u64),
    /// At this address, with the state's address in the first argument register: the guest's registers are.
    Leave(u64),
}

/// Where to continue after a fault at the host program counter `pc`; [`enter`](crate::link::enter) then returns. Safe to call in
/// a signal handler.
///
/// # Safety
///
/// `pc` is in translated code.
pub unsafe fn fault_continuation(pc: u64) -> Continuation {
    // SAFETY: behind code there is other code, or the room and the link slots at the end of its arena.
    let bytes = unsafe { std::slice::from_raw_parts(pc as *const u8, LONGEST) };
    match x86_64::recovery_offset(bytes) {
        Some(offset) => Continuation::Recover(pc.wrapping_add_signed(offset)),
        None => Continuation::Leave(crate::link::fault_exit_address()),
    }
}

/// The longest instruction, the most moves and the no-op.
const LONGEST: usize = 15 + x86_64::MOST_MOVES * x86_64::LONGEST_MOVE + x86_64::RECOVERY_LENGTH;

/// Turns the branches behind `accesses`, each where it was and where it is, into no-ops; returns the accesses where that cannot
/// be, by `locations`, the source locations of the code as it was.
pub(super) fn mark(
    bytes: &mut Vec<u8>,
    accesses: impl Iterator<Item = (usize, usize)>,
    locations: &[(Range<usize>, SourceLoc)],
) -> Vec<Value> {
    let mut failed = Vec::new();
    for (was, is) in accesses {
        if !x86_64::mark_recovery(bytes, is) {
            let location = locations.iter().find(|(range, _)| range.contains(&was));
            failed.extend(location.map(|(_, location)| Value(location.bits())));
        }
    }
    failed
}
