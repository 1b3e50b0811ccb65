//! Guarded pages of an AArch64 guest, as lifting knows them: in, their ranges; out, whether an address is in one.

use std::ops::Range;
use std::sync::Arc;

/// The pages of code that branches to registers may enter at landing pads alone (Arm ARM D8.4.7, FEAT_BTI; PROT_BTI of
/// mprotect(2)).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Guards {
    /// There are none, and lifted code does not know what kind of branch came to it.
    #[default]
    Unknown,
    /// These, ascending; lifted code keeps [`crate::state::aarch64::BTYPE`].
    Pages(Arc<[Range<u64>]>),
}

impl Guards {
    /// Whether an address is in a guarded page.
    pub fn contain(&self, pc: u64) -> bool {
        match self {
            Guards::Unknown => false,
            Guards::Pages(ranges) => {
                let next = ranges.partition_point(|range| range.start <= pc);
                next > 0 && ranges[next - 1].contains(&pc)
            }
        }
    }
}
