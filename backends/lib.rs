//! Regions in, behaviour out: the interpreter, which is the oracle, and the compilers.
//!
//! Every backend ends in an [`Exit`]: translated code never calls the kernel, it leaves with a reason. Guest memory is
//! touched directly; a fault leaves the guest's registers as they were before the instruction that faulted.

pub mod baseline;
mod callouts;
pub mod compiled;
pub mod cranelift;
#[cfg(target_arch = "x86_64")]
#[path = "faster_x86_64.rs"]
mod faster;
#[cfg(target_arch = "x86_64")]
#[path = "float_control_x86_64.rs"]
mod float_control;
pub mod interp;
#[cfg(target_arch = "x86_64")]
#[path = "known_features_x86_64.rs"]
mod known_features;
pub mod link;
mod stored_flags;

pub use float_control::{FloatControl, Raised};

use philae_ir::ExitReason;

/// Why execution left a region; the guest goes on at the pc in its state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exit {
    /// Why.
    pub reason: ExitReason,
    /// The reason's argument: the address of a fault, a misaligned access or stale code; else 0.
    pub argument: u64,
}
