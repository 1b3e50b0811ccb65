//! The flow graph of a region: predecessors, an order to visit blocks in, dominators.
//!
//! In: a region whose blocks are closed. Out: facts that hold until a terminator changes.

use crate::region::{BlockId, Region};

/// What is known of a region's flow graph. Blocks that the entry does not reach have no place in it.
#[derive(Clone, Debug)]
pub struct Flow {
    /// The reachable blocks in reverse post-order: the entry first, every block before those it dominates.
    pub order: Vec<BlockId>,
    /// The reachable predecessors of each block; twice if both arms of a branch lead to it.
    pub predecessors: Vec<Vec<BlockId>>,
    /// The place of each block in `order`, or `usize::MAX`.
    position: Vec<usize>,
    /// The immediate dominator of each reachable block; the entry's is itself.
    dominator: Vec<BlockId>,
}

impl Flow {
    /// The flow graph of `region` as it is.
    pub fn new(region: &Region) -> Flow {
        let blocks = region.blocks.len();
        let order = reverse_post_order(region);
        let mut position = vec![usize::MAX; blocks];
        let mut predecessors = vec![Vec::new(); blocks];
        for (place, &block) in order.iter().enumerate() {
            position[block.index()] = place;
            for to in region.block(block).end.successors() {
                predecessors[to.index()].push(block);
            }
        }
        let mut flow = Flow { order, predecessors, position, dominator: vec![BlockId(u32::MAX); blocks] };
        flow.find_dominators();
        flow
    }

    /// Whether the entry reaches `block`.
    pub fn is_reachable(&self, block: BlockId) -> bool {
        self.position[block.index()] != usize::MAX
    }

    /// Whether every way to `below`, which is reachable, leads through `above`.
    pub fn dominates(&self, above: BlockId, below: BlockId) -> bool {
        let mut at = below;
        while self.position[at.index()] > self.position[above.index()] {
            at = self.dominator[at.index()];
        }
        at == above
    }

    /// The closest block, other than itself, that every way to `block` leads through; none for the entry.
    pub fn immediate_dominator(&self, block: BlockId) -> Option<BlockId> {
        (block != BlockId::ENTRY).then(|| self.dominator[block.index()])
    }

    /// Whether the edge goes back: to a block that comes no later in the order.
    pub fn is_back_edge(&self, from: BlockId, to: BlockId) -> bool {
        self.position[to.index()] <= self.position[from.index()]
    }

    /// For each block the blocks where its dominance ends: where a write in it can meet another.
    pub fn dominance_frontiers(&self) -> Vec<Vec<BlockId>> {
        let mut frontiers = vec![Vec::new(); self.predecessors.len()];
        for &join in &self.order {
            for &from in &self.predecessors[join.index()] {
                let mut at = from;
                while !self.strictly_dominates(at, join) {
                    let frontier: &mut Vec<BlockId> = &mut frontiers[at.index()];
                    if !frontier.contains(&join) {
                        frontier.push(join);
                    }
                    match self.immediate_dominator(at) {
                        Some(above) => at = above,
                        None => break,
                    }
                }
            }
        }
        frontiers
    }

    fn strictly_dominates(&self, above: BlockId, below: BlockId) -> bool {
        above != below && self.dominates(above, below)
    }

    // The algorithm is Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm".
    fn find_dominators(&mut self) {
        self.dominator[0] = BlockId::ENTRY;
        let mut changed = true;
        while changed {
            changed = false;
            for place in 1..self.order.len() {
                let block = self.order[place];
                let known = self.predecessors[block.index()].iter().copied();
                let known = known.filter(|from| self.dominator[from.index()].0 != u32::MAX);
                let common = known.reduce(|a, b| self.common_dominator(a, b)).expect("a reachable block has a way in");
                changed |= self.dominator[block.index()] != common;
                self.dominator[block.index()] = common;
            }
        }
    }

    fn common_dominator(&self, mut a: BlockId, mut b: BlockId) -> BlockId {
        while a != b {
            let later = if self.position[a.index()] > self.position[b.index()] { &mut a } else { &mut b };
            *later = self.dominator[later.index()];
        }
        a
    }
}

fn reverse_post_order(region: &Region) -> Vec<BlockId> {
    let mut seen = vec![false; region.blocks.len()];
    let mut order = Vec::with_capacity(region.blocks.len());
    let mut open = vec![(BlockId::ENTRY, region.block(BlockId::ENTRY).end.successors())];
    seen[0] = true;
    while let Some((block, successors)) = open.last_mut() {
        match successors.next() {
            Some(to) if !seen[to.index()] => {
                seen[to.index()] = true;
                open.push((to, region.block(to).end.successors()));
            }
            Some(_) => {}
            None => {
                order.push(*block);
                open.pop();
            }
        }
    }
    order.reverse();
    order
}
