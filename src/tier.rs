//! Who is compiled when: everything starts in the interpreter, and what runs often is compiled with its surroundings.

use crate::cache::Entry;
use crate::options::Tier;
use crate::runtime::Runtime;
use std::sync::atomic::Ordering;

/// The most guest instructions in a block for the interpreter.
pub const BLOCK_LIMIT: usize = 48;
/// The most guest instructions in a compiled region: compile time grows faster than size beyond. A loop that does not
/// fit is compiled in pieces, each of which is left and entered in every round; vectorised ones have 250 and more.
pub const REGION_LIMIT: usize = 400;
/// Executions after which compiling pays. An instruction costs 6 µs to compile and some 15 ns to interpret: interpreted
/// 400 times it has cost as much as its compiled form. Programs that start and end (bash, python3, perl, git) take least
/// time with 800 to 1,600, kernels that run for a fraction of a second do not notice.
const COMPILE_AFTER: u32 = 1000;
/// A neighbour that ran this often belongs to the region of a block that is being compiled. Which arm of a branch is
/// the common one, and whether the other is taken now and then, shows by the time the block itself is compiled.
const NEIGHBOUR_AFTER: u32 = COMPILE_AFTER / 12;
/// A region of so many guest bytes stays one of its own, which others link to: to compile it again in each of them
/// costs 6 µs an instruction, to go there some nanoseconds.
const APART: u64 = 256;
/// A block is part of so many regions at most: functions that call are entered behind each of their calls.
const MOST_COPIES: u32 = 3;

/// Counts an execution of an entry without code; whether it is time to compile it.
pub fn is_time(tier: Tier, entry: &Entry) -> bool {
    let threshold = match tier {
        Tier::Interp => return false,
        Tier::Cranelift => 0,
        Tier::Auto => COMPILE_AFTER,
    };
    let executions = entry.executions.load(Ordering::Relaxed);
    if executions == Entry::REFUSED {
        return false;
    }
    entry.executions.store(executions.saturating_add(1).min(Entry::REFUSED - 1), Ordering::Relaxed);
    executions >= threshold
}

/// Whether the block at `pc` belongs to a region that jumps to it.
pub fn belongs(runtime: &Runtime, pc: u64) -> bool {
    match runtime.options.tier {
        Tier::Interp | Tier::Cranelift => true,
        Tier::Auto => {
            let known = runtime.cache.standing(pc);
            let apart = known.compiled_bytes >= APART || known.copies >= MOST_COPIES;
            known.executions >= NEIGHBOUR_AFTER && !apart
        }
    }
}
