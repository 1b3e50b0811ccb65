//! The flow graph of a region: predecessors, an order to visit blocks in, dominators.
//!
//! In: a region whose blocks are closed. Out: facts that hold until a terminator changes.

use crate::region::{BlockId, Region};

/// The edges of a region's flow graph. Blocks that the entry does not reach have no place in it.
#[derive(Clone, Debug)]
pub struct Flow {
    /// The reachable blocks in reverse post-order: the entry first, every block before those it dominates.
    pub order: Vec<BlockId>,
    /// The place of each block in `order`, or `u32::MAX`.
    position: Vec<u32>,
    /// The reachable predecessors of all blocks, those of block `b` at `first[b]..first[b + 1]`.
    predecessors: Vec<BlockId>,
    first: Vec<u32>,
}

impl Flow {
    /// The flow graph of `region` as it is.
    pub fn new(region: &Region) -> Flow {
        let order = reverse_post_order(region);
        let mut position = vec![u32::MAX; region.blocks.len()];
        for (place, block) in (0..).zip(&order) {
            position[block.index()] = place;
        }
        let (predecessors, first) = predecessors(region, &order);
        Flow { order, position, predecessors, first }
    }

    /// The reachable predecessors of `block`; one of them twice if both arms of its branch lead here.
    pub fn predecessors(&self, block: BlockId) -> &[BlockId] {
        let at = block.index();
        &self.predecessors[self.first[at] as usize..self.first[at + 1] as usize]
    }

    /// Whether the entry reaches `block`.
    pub fn is_reachable(&self, block: BlockId) -> bool {
        self.position[block.index()] != u32::MAX
    }

    /// Whether the edge goes back: to a block that comes no later in the order.
    pub fn is_back_edge(&self, from: BlockId, to: BlockId) -> bool {
        self.position[to.index()] <= self.position[from.index()]
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

/// A list of all predecessors, and where in it those of each block begin.
fn predecessors(region: &Region, order: &[BlockId]) -> (Vec<BlockId>, Vec<u32>) {
    let edges = || order.iter().flat_map(|&from| region.block(from).end.successors().map(move |to| (from, to)));
    let mut first = vec![0; region.blocks.len() + 1];
    for (_, to) in edges() {
        first[to.index() + 1] += 1;
    }
    for block in 0..region.blocks.len() {
        first[block + 1] += first[block];
    }
    let mut next = first.clone();
    let mut list = vec![BlockId::ENTRY; first[region.blocks.len()] as usize];
    for (from, to) in edges() {
        list[next[to.index()] as usize] = from;
        next[to.index()] += 1;
    }
    (list, first)
}

/// Which blocks every way to a block leads through.
#[derive(Clone, Debug)]
pub struct Dominators<'a> {
    flow: &'a Flow,
    /// The immediate dominator of each reachable block; the entry's is itself.
    above: Vec<BlockId>,
}

impl<'a> Dominators<'a> {
    /// The dominators in this flow graph.
    // The algorithm is Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm".
    pub fn new(flow: &'a Flow) -> Dominators<'a> {
        const UNKNOWN: BlockId = BlockId(u32::MAX);
        let mut dominators = Dominators { flow, above: vec![UNKNOWN; flow.position.len()] };
        dominators.above[0] = BlockId::ENTRY;
        let mut changed = true;
        while changed {
            changed = false;
            for &block in &flow.order[1..] {
                let ways = flow.predecessors(block).iter().copied();
                let known = ways.filter(|from| dominators.above[from.index()] != UNKNOWN);
                let common = known.reduce(|a, b| dominators.common(a, b)).expect("a reachable block has a way in");
                changed |= dominators.above[block.index()] != common;
                dominators.above[block.index()] = common;
            }
        }
        dominators
    }

    /// Whether every way to `below`, which is reachable, leads through `above`.
    pub fn dominates(&self, above: BlockId, below: BlockId) -> bool {
        let mut at = below;
        while self.flow.position[at.index()] > self.flow.position[above.index()] {
            at = self.above[at.index()];
        }
        at == above
    }

    /// The closest block, other than itself, that every way to `block` leads through; none for the entry.
    pub fn immediate(&self, block: BlockId) -> Option<BlockId> {
        (block != BlockId::ENTRY).then(|| self.above[block.index()])
    }

    /// The pairs of a block and one where its dominance ends: where a write in the first can meet another.
    pub fn frontiers(&self) -> Vec<(BlockId, BlockId)> {
        let mut pairs = Vec::new();
        for &join in &self.flow.order {
            let ways = self.flow.predecessors(join);
            if ways.len() < 2 && join != BlockId::ENTRY {
                continue;
            }
            for &from in ways {
                let mut at = Some(from);
                while let Some(block) = at.filter(|&at| at == join || !self.dominates(at, join)) {
                    pairs.push((block, join));
                    at = self.immediate(block);
                }
            }
        }
        pairs
    }

    fn common(&self, mut a: BlockId, mut b: BlockId) -> BlockId {
        let position = &self.flow.position;
        while a != b {
            let later = if position[a.index()] > position[b.index()] { &mut a } else { &mut b };
            *later = self.above[later.index()];
        }
        a
    }
}
