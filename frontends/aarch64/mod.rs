//! The aarch64 guest.

use crate::lift::{Decoded, Guest, Lift, LiftError};
use philae_ir::Arch;

/// The aarch64 guest.
#[derive(Clone, Copy, Debug)]
pub struct Aarch64;

impl Guest for Aarch64 {
    type Insn = ();
    const ARCH: Arch = Arch::Aarch64;
    const MAX_LENGTH: usize = 4;

    fn decode(_pc: u64, _bytes: &[u8]) -> Decoded<()> {
        Decoded::Undefined
    }

    fn lift(_insn: &(), _lift: &mut Lift<'_>) -> Result<(), LiftError> {
        Err(LiftError::Undefined)
    }
}
