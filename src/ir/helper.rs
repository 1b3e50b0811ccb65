//! Helpers: what guest code calls of Philae's own.
//!
//! In: operands, and for some the guest's state. Out: a result, and for those the state after it. Whoever compiles a call
//! goes by what the helper says it does beside.

use crate::state::CpuState;
use crate::ty::Ty;

/// What a helper may do to the guest, beside making its result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HelperEffect {
    /// Nothing: equal operands give equal results.
    Pure,
    /// Reads and writes slots that instructions never name (such as the x87 registers), and depends on them.
    State,
}

/// A guest operation too rare or too large for operations of its own, as a function in Rust.
#[derive(Debug)]
pub struct Helper {
    /// Its name in text.
    pub name: &'static str,
    /// How many of the three operands it uses.
    pub operands: u8,
    /// The type of its result; a helper without one makes an `i64` that nobody uses.
    pub result: Ty,
    /// What it does beside.
    pub effect: HelperEffect,
    /// The function. Operands and result are zero-extended.
    pub function: fn(&mut CpuState, [u128; 3]) -> u128,
}
