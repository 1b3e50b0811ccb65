//! The loops of a region.
//!
//! In: its flow graph. Out: which blocks can be reached from themselves, and which edges leave a loop. In loops that
//! can be entered in several places the answers may name blocks outside of them too, which costs speed at most.

use philae_ir::flow::Flow;
use philae_ir::{BlockId, Region};

/// The natural loops of all back edges, those that lead to the same block as one.
#[derive(Debug)]
pub(super) struct Loops {
    /// For each loop where it is entered, and which blocks are in it; inner loops before those around them.
    loops: Vec<(BlockId, Vec<bool>)>,
}

impl Loops {
    /// Finds the loops of `region`.
    pub(super) fn new(region: &Region, flow: &Flow) -> Loops {
        let mut loops: Vec<(BlockId, Vec<bool>)> = Vec::new();
        for &from in &flow.order {
            for head in region.block(from).end.successors().filter(|&to| flow.is_back_edge(from, to)) {
                let place = loops.iter().position(|known| known.0 == head).unwrap_or_else(|| {
                    let mut members = vec![false; region.blocks.len()];
                    members[head.index()] = true;
                    loops.push((head, members));
                    loops.len() - 1
                });
                add_ways(flow, from, &mut loops[place].1);
            }
        }
        loops.sort_by_key(|(_, members)| members.iter().filter(|&&inside| inside).count());
        Loops { loops }
    }

    /// Whether there is one.
    pub(super) fn exist(&self) -> bool {
        !self.loops.is_empty()
    }

    /// Whether a block is in one.
    pub(super) fn contain(&self, block: BlockId) -> bool {
        self.loops.iter().any(|(_, members)| members[block.index()])
    }

    /// Whether control comes back to `from`, a block of a loop, sooner by `then` than by `other`: loops within each other
    /// that are entered at the same block, or in the middle, are one for [`Loops::are_left`].
    pub(super) fn are_shorter(&self, region: &Region, from: BlockId, then: BlockId, other: BlockId) -> bool {
        if !self.contain(from) {
            return false;
        }
        let [then, other] = [then, other].map(|to| distance(region, to, from));
        then.is_some_and(|then| other.is_none_or(|other| then < other))
    }

    /// Whether the edge leaves the innermost loop that `from` is in.
    pub(super) fn are_left(&self, from: BlockId, to: BlockId) -> bool {
        let innermost = self.loops.iter().find(|(_, members)| members[from.index()]);
        innermost.is_some_and(|(_, members)| !members[to.index()])
    }

    /// The loops that no other is in: where each is entered, and which blocks are in it.
    pub(super) fn innermost(&self) -> impl Iterator<Item = (BlockId, &[bool])> {
        let heads = || self.loops.iter().map(|&(head, _)| head);
        let is_innermost = move |(head, members): &&(BlockId, Vec<bool>)| {
            heads().all(|other| other == *head || !members[other.index()])
        };
        self.loops.iter().filter(is_innermost).map(|(head, members)| (*head, &members[..]))
    }
}

/// How many edges lead from `start` to `end` by the shortest way.
fn distance(region: &Region, start: BlockId, end: BlockId) -> Option<usize> {
    let mut seen = vec![false; region.blocks.len()];
    seen[start.index()] = true;
    let mut front = vec![start];
    for distance in 0.. {
        if front.contains(&end) {
            return Some(distance);
        }
        if front.is_empty() {
            break;
        }
        let next = front.iter().flat_map(|&block| region.block(block).end.successors());
        front = next.filter(|to| !std::mem::replace(&mut seen[to.index()], true)).collect();
    }
    None
}

/// Adds the blocks from which control comes to `from` without passing one that is a member already.
fn add_ways(flow: &Flow, from: BlockId, members: &mut [bool]) {
    let mut open = vec![from];
    while let Some(block) = open.pop() {
        if !std::mem::replace(&mut members[block.index()], true) {
            open.extend(flow.predecessors(block));
        }
    }
}
