//! Who is compiled when: everything starts in the interpreter, and what runs often is compiled with its surroundings.

use crate::options::Tier;
use crate::runtime::Runtime;

/// The most guest instructions in a block for the interpreter.
pub const BLOCK_LIMIT: usize = 48;
/// The most guest instructions in a compiled region: compile time grows faster than size beyond.
pub const REGION_LIMIT: usize = 200;
/// Executions after which compiling pays: an instruction costs some 5 µs to compile and 50 ns to interpret.
const COMPILE_AFTER: u32 = 64;
/// A neighbour that ran this often belongs to the region of a block that is being compiled.
const NEIGHBOUR_AFTER: u32 = COMPILE_AFTER / 8;

/// Executions after which an address is compiled, or `None` if it never is.
pub fn threshold(tier: Tier) -> Option<u32> {
    match tier {
        Tier::Interp => None,
        Tier::Cranelift => Some(0),
        Tier::Auto => Some(COMPILE_AFTER),
    }
}

/// Whether the block at `pc` belongs to a region that jumps to it.
pub fn belongs(runtime: &Runtime, pc: u64) -> bool {
    match runtime.options.tier {
        Tier::Interp | Tier::Cranelift => true,
        Tier::Auto => runtime.cache.executions(pc) >= NEIGHBOUR_AFTER,
    }
}
