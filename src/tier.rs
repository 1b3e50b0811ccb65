//! Who is compiled when: everything starts in the baseline compiler's code, or in the interpreter where that cannot
//! be, and what runs often is compiled with its surroundings.

use crate::cache::{SlotPointer, Standing};
use crate::options::Tier;
use crate::runtime::Runtime;
use crate::translate::Round;
use philae_frontends::Room;
use std::time::Duration;

/// The most guest instructions in a block.
pub const BLOCK_LIMIT: usize = 48;
/// Blocks behind calls that are translated with the block that calls, one behind the other.
pub const RETURNS_AHEAD: usize = 2;
/// Blocks that are translated with the block whose only way leads there, one behind the other.
pub const WAYS_AHEAD: usize = 8;
/// So many blocks of a thread make nothing at their first execution even where code leads to them. Half of what the start of
/// a small program would have compiled is executed once: `bash -c :` starts in 4 % less time than with a thousand. Large
/// programs gain nothing by more.
pub const FIRST_AT_ONCE: u64 = 4096;
/// The most guest instructions in a compiled region: compile time grows faster than size beyond. A loop that does not
/// fit is compiled in pieces, each of which is left and entered in every round; vectorised ones have 250 and more.
pub const REGION_LIMIT: usize = 400;
/// Executions after which compiling pays. An instruction of a large program costs 12 µs to compile, and what that saves
/// is a quarter of a nanosecond for each time its baseline code would have run. With 16,000, node and java take a tenth
/// more time to start and cc1 of half a second natively as much as a third; interpreters and kernels of half a second do
/// not notice the difference, nor that to 100,000.
const COMPILE_AFTER: i32 = 50_000;
/// A neighbour that ran this often belongs to the region of a block that is being compiled. Which arm of a branch is
/// the common one, and whether the other is taken now and then, shows by the time the block itself is compiled.
const NEIGHBOUR_AFTER: i32 = COMPILE_AFTER / 12;
/// A region of so many guest bytes stays one of its own, which others link to: to compile it again in each of them
/// costs 6 µs an instruction, to go there some nanoseconds.
const APART: u64 = 256;
/// A block is part of so many regions at most: functions that call are entered behind each of their calls.
const MOST_COPIES: u32 = 3;

/// A block is compiled at the latest after [`COMPILE_AFTER`] executions doubled so many times.
const MOST_DOUBLINGS: u32 = 8;

/// Entries of a compiled region after which it is compiled anew, larger: with the functions that it calls, and with what
/// had not run often enough, or was a large region of its own. That costs some milliseconds and saves some nanoseconds for
/// each time that control would have left it. With 300,000, cc1 takes a tenth more time than without this; kernels and
/// interpreters gain as much with 3,000,000.
const AGAIN_AFTER: i32 = 3_000_000;

/// The parts of a region lie no farther than this from its start: tables of them hold distances of 32 bits.
const FARTHEST: u64 = 1 << 30;

/// The heat of an address whose region could not be compiled now, but later.
pub const SOON: i32 = COMPILE_AFTER / 4;
/// So many requests are put off, each for [`SOON`] executions, before Cranelift compiles anything: its first regions
/// cost some 5 ms, in pages of its own code and tables, and that is what it saves in so many executions.
pub const FIRST_PUT_OFF: u32 = 320;
/// The longest that requests are put off for that: a block of instructions that the baseline compiler calls helpers for
/// takes a hundred times as long for each execution as others. The start of python3 takes 50 ms and has
/// none: after 30, it paid those 5 ms for nothing.
pub const FIRST_PUT_OFF_FOR: Duration = Duration::from_millis(100);
/// The heat of an address that is not to be compiled, or not again.
pub const SETTLED: i32 = i32::MAX;

/// Executions before an address that was never executed is compiled.
pub fn first_heat(tier: Tier) -> i32 {
    match tier {
        Tier::Interp | Tier::Baseline => SETTLED,
        Tier::Cranelift => 0,
        Tier::Auto => COMPILE_AFTER,
    }
}

/// Whether blocks become code at their first execution.
pub fn starts_in_baseline(tier: Tier) -> bool {
    match tier {
        Tier::Interp | Tier::Cranelift => false,
        Tier::Baseline | Tier::Auto => true,
    }
}

/// Whether a block is executed once before it becomes code, unless it was translated with another one. Of what
/// a program executes that starts and ends, 30 to 50 % is executed once: it is not worth code.
pub fn starts_without_code(tier: Tier) -> bool {
    match tier {
        Tier::Interp | Tier::Baseline | Tier::Cranelift => false,
        Tier::Auto => true,
    }
}

/// Counts an execution, as code of the baseline compiler does; below 0, the address is worth more than it got.
pub fn count(slot: SlotPointer) -> i32 {
    let heat = slot.heat().wrapping_sub(1);
    slot.set_heat(heat);
    heat
}

/// Executions before a block is compiled that the guest may write, and was caught at writing so many times since its
/// page held compiled code: twice as many each time, so that a page which changes again and again is compiled rarely.
pub fn heat_of_written(tier: Tier, times_caught: u32) -> i32 {
    match tier {
        Tier::Interp | Tier::Baseline | Tier::Cranelift => first_heat(tier),
        Tier::Auto => COMPILE_AFTER << times_caught.min(MOST_DOUBLINGS),
    }
}

/// Whether the code of a region counts how often it is entered.
pub fn counts_entries(tier: Tier, round: Round) -> bool {
    match tier {
        Tier::Interp | Tier::Baseline | Tier::Cranelift => false,
        Tier::Auto => round == Round::First,
    }
}

/// The heat of an address whose region has been compiled.
pub fn compiled_heat(tier: Tier, round: Round) -> i32 {
    if counts_entries(tier, round) { AGAIN_AFTER } else { SETTLED }
}

/// Whether the block at `pc` belongs to the region that starts at `start` and jumps to it.
pub fn belongs(runtime: &Runtime, start: u64, pc: u64, round: Round) -> bool {
    if pc.abs_diff(start) > FARTHEST {
        return false;
    }
    match runtime.options.tier {
        Tier::Interp | Tier::Baseline | Tier::Cranelift => true,
        Tier::Auto => runtime.cache.standing(pc).is_some_and(|known| {
            let new = !is_apart(runtime, pc) && known.copies < MOST_COPIES;
            runs_often(&known) && (new || round == Round::Again)
        }),
    }
}

/// Whether the block at `pc`, which a function called by the region that starts at `start` begins with or goes to, is
/// taken in there: it saves what a call and a return cost, which is some nanoseconds.
pub fn is_worth_inlining(runtime: &Runtime, start: u64, pc: u64, round: Round) -> bool {
    if pc.abs_diff(start) > FARTHEST {
        return false;
    }
    match runtime.options.tier {
        Tier::Interp | Tier::Baseline | Tier::Cranelift => true,
        Tier::Auto if round == Round::First => false,
        Tier::Auto => {
            runtime.cache.standing(pc).is_some_and(|known| runs_often(&known) && known.compiled_bytes < APART)
        }
    }
}

/// Whether straight code of the region that starts at `start` ends in front of `pc`: at a large region, and, once it is as
/// large as it may be, where other code starts.
pub fn ends(runtime: &Runtime, start: u64, pc: u64, room: Room, round: Round) -> bool {
    match (runtime.options.tier, room) {
        (Tier::Interp | Tier::Baseline | Tier::Cranelift, _) => room == Room::Used,
        (Tier::Auto, Room::Used) => runtime.cache.standing(pc).is_some(),
        (Tier::Auto, Room::Left) => round == Round::First && pc != start && is_apart(runtime, pc),
    }
}

/// Whether a large region starts at `pc`, or waits to be compiled.
fn is_apart(runtime: &Runtime, pc: u64) -> bool {
    let compiled = runtime.cache.standing(pc).is_some_and(|known| known.compiled_bytes >= APART);
    compiled || runtime.background.waiting_bytes(pc) >= APART
}

fn runs_often(known: &Standing) -> bool {
    let settled = known.heat > COMPILE_AFTER << MOST_DOUBLINGS;
    known.compiled_bytes > 0 || settled || COMPILE_AFTER - known.heat >= NEIGHBOUR_AFTER
}
