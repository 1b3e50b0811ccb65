//! How often values are used.

use crate::region::{BlockId, Region};

/// For each value, of how many instructions and terminators of `blocks` it is an operand, twice where it is twice.
pub fn count_uses(region: &Region, blocks: impl IntoIterator<Item = BlockId>) -> Vec<u32> {
    let mut uses = vec![0; region.insts.len()];
    for id in blocks {
        let block = region.block(id);
        let operands = block.insts.iter().flat_map(|&value| region.inst(value).operands());
        operands.chain(block.end.operands()).for_each(|value| uses[value.index()] += 1);
    }
    uses
}
