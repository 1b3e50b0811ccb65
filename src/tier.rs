//! Who is compiled when: everything starts in the interpreter, and what runs often is compiled with its surroundings.

use crate::cache::SlotPointer;
use crate::options::Tier;
use crate::runtime::Runtime;

/// The most guest instructions in a block for the interpreter.
pub const BLOCK_LIMIT: usize = 48;
/// The most guest instructions in a compiled region: compile time grows faster than size beyond. A loop that does not
/// fit is compiled in pieces, each of which is left and entered in every round; vectorised ones have 250 and more.
pub const REGION_LIMIT: usize = 400;
/// Executions after which compiling pays. An instruction costs 6 µs to compile and some 15 ns to interpret: interpreted
/// 400 times it has cost as much as its compiled form. Programs that start and end (bash, python3, perl, git) take least
/// time with 800 to 1,600, kernels that run for a fraction of a second do not notice.
const COMPILE_AFTER: i32 = 1000;
/// A neighbour that ran this often belongs to the region of a block that is being compiled. Which arm of a branch is
/// the common one, and whether the other is taken now and then, shows by the time the block itself is compiled.
const NEIGHBOUR_AFTER: i32 = COMPILE_AFTER / 12;
/// A region of so many guest bytes stays one of its own, which others link to: to compile it again in each of them
/// costs 6 µs an instruction, to go there some nanoseconds.
const APART: u64 = 256;
/// A block is part of so many regions at most: functions that call are entered behind each of their calls.
const MOST_COPIES: u32 = 3;

/// The parts of a region lie no farther than this from its start: tables of them hold distances of 32 bits.
const FARTHEST: u64 = 1 << 30;

/// The heat of an address whose region could not be compiled now, but later.
pub const SOON: i32 = COMPILE_AFTER / 4;
/// The heat of an address that is not to be compiled, or not again.
pub const SETTLED: i32 = i32::MAX;

/// Executions before an address that was never executed is compiled.
pub fn first_heat(tier: Tier) -> i32 {
    match tier {
        Tier::Interp => SETTLED,
        Tier::Cranelift => 0,
        Tier::Auto => COMPILE_AFTER,
    }
}

/// Counts an execution of an address without code; whether it is time to compile it.
pub fn is_time(slot: SlotPointer) -> bool {
    let heat = slot.heat();
    if heat <= 0 {
        return true;
    }
    if heat != SETTLED {
        slot.set_heat(heat - 1);
    }
    false
}

/// Whether the block at `pc` belongs to the region that starts at `start` and jumps to it.
pub fn belongs(runtime: &Runtime, start: u64, pc: u64) -> bool {
    if pc.abs_diff(start) > FARTHEST {
        return false;
    }
    match runtime.options.tier {
        Tier::Interp | Tier::Cranelift => true,
        Tier::Auto => runtime.cache.standing(pc).is_some_and(|known| {
            let often = known.heat == SETTLED || COMPILE_AFTER - known.heat >= NEIGHBOUR_AFTER;
            often && known.compiled_bytes < APART && known.copies < MOST_COPIES
        }),
    }
}
