//! Regions with control flow inside: what direct jumps, calls and returns reach from an address.
//!
//! In: the address, what is wanted, and a limit. Out: the region. A function that is called is taken in once for each
//! call, in a frame of its own that knows where it returns; returns compare where they go with that. What the
//! region's own function reaches by jumps comes first, so that calls do not break its loops. Frames make no cycle:
//! every cycle of a region is one of jumps, which are polled. Straight code is not cut anywhere: each piece of a loop
//! would make other blocks of what follows, and each of these a piece.

use crate::lift::{Decoded, Flow, Found, Guest, Lift, RegionLift, Ways, append, decode_run};
use crate::{Coverage, Fetch, Room};
use philae_ir::{BlockId, ExitReason, Region, RegionBuilder};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::ControlFlow;

/// The most instructions of a function that is taken in where it is called.
const CALLEE_LIMIT: usize = 64;
/// How deep calls are followed.
const DEEPEST: usize = 3;

/// What is worth taking in.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// Whether a block that is jumped to is.
    pub(crate) wanted: &'a dyn Fn(u64) -> bool,
    /// Whether one that is called, or belongs to a function that is, is.
    pub(crate) called: &'a dyn Fn(u64) -> bool,
    /// Whether straight code ends in front of a place.
    pub(crate) ends: &'a dyn Fn(u64, Room) -> bool,
    /// The pointer at an address, as far as jumps through it are expected to find it again.
    pub(crate) pointer: &'a dyn Fn(u64) -> Option<u64>,
    /// Where the jump to a computed address at an address went.
    pub(crate) went: &'a dyn Fn(u64) -> Option<u64>,
}

/// The number of a frame.
type FrameId = usize;
/// An instruction or a block: the same address in two frames is two.
type Place = (FrameId, u64);

/// A function, as it is taken in at one call; the first is where the region starts.
struct Frame {
    /// Where it returns.
    back: Option<Place>,
    /// How deep in calls.
    depth: usize,
    /// Instructions so far.
    instructions: usize,
}

/// What belongs to a region.
struct Discovery<I> {
    found: BTreeMap<Place, Found<I>>,
    /// Where its blocks start, entry first.
    leaders: Vec<Place>,
    frames: Vec<Frame>,
    /// The calls that were met and not followed: where, to where, and where they return.
    calls: VecDeque<(Place, u64, u64)>,
    /// The calls that were followed, and the places they go to.
    followed: BTreeMap<Place, Place>,
    /// Where jumps to computed addresses are expected to go.
    expected: BTreeMap<Place, u64>,
}

/// Lifts what is reached from the address of `region`, which is empty.
pub(crate) fn lift<G: Guest>(region: &mut Region, limit: usize, wanted: Wanted<'_>, fetch: Fetch<'_>) -> Coverage {
    let pc = region.pc;
    let discovery = discover::<G>(pc, limit, wanted, fetch);
    let mut builder = RegionBuilder::new(region);
    let block_of = |&leader: &Place| (leader, if leader == (0, pc) { BlockId::ENTRY } else { builder.new_block() });
    let in_order: Vec<(Place, BlockId)> = discovery.leaders.iter().map(block_of).collect();
    let blocks: BTreeMap<Place, BlockId> = in_order.iter().copied().collect();
    let tables: Vec<Tables> =
        (0..discovery.frames.len()).map(|frame| Tables::new(&discovery, frame, &blocks)).collect();
    let mut lift = Lift::new(builder, pc);
    for (leader, block) in in_order {
        lift.set_ways(tables[leader.0].ways());
        lift.b.switch_to(block);
        if leader == (0, pc) || tables[leader.0].expects(leader.1) {
            lift.arrive();
        }
        lift_block::<G>(&mut lift, leader, &discovery.found);
    }
    coverage(&discovery)
}

fn discover<G: Guest>(pc: u64, limit: usize, wanted: Wanted<'_>, fetch: Fetch<'_>) -> Discovery<G::Insn> {
    let mut discovery = Discovery {
        found: BTreeMap::new(),
        leaders: vec![(0, pc)],
        frames: vec![Frame { back: None, depth: 0, instructions: 0 }],
        calls: VecDeque::new(),
        followed: BTreeMap::new(),
        expected: BTreeMap::new(),
    };
    let mut next_leader = 0;
    while discovery.found.len() < limit {
        if let Some(&leader) = discovery.leaders.get(next_leader) {
            next_leader += 1;
            discovery.run::<G>(leader, limit, wanted, fetch);
        } else if let Some((from, target, next)) = discovery.calls.pop_front() {
            discovery.follow_call(from, target, next);
        } else {
            break;
        }
    }
    let Discovery { leaders, found, .. } = &mut discovery;
    leaders.retain(|leader| found.contains_key(leader));
    discovery
}

impl<I: Copy> Discovery<I> {
    /// Takes in the instructions from a leader on.
    fn run<G: Guest<Insn = I>>(&mut self, leader: Place, limit: usize, wanted: Wanted<'_>, fetch: Fetch<'_>) {
        let (frame, pc) = leader;
        let most = if frame == 0 { limit + limit / 2 } else { CALLEE_LIMIT };
        let mut run = Vec::new();
        decode_run::<G>(pc, fetch, |at, here| {
            let room = if self.found.len() < limit { Room::Left } else { Room::Used };
            let full = self.found.len() == limit + limit / 2 || self.frames[frame].instructions == most;
            let ends = frame == 0 && at != pc && (wanted.ends)(at, room);
            if full || ends || self.found.contains_key(&(frame, at)) {
                return ControlFlow::Break(());
            }
            let (flow, next) = (here.flow(), at.wrapping_add(here.length()));
            if let Decoded::Insn { insn, .. } = &here.decoded {
                run.push((at, *insn));
            }
            self.found.insert((frame, at), here);
            self.frames[frame].instructions += 1;
            if flow == Flow::Next {
                return ControlFlow::Continue(());
            }
            let pointer = if flow == Flow::Computed { G::jump_pointer(&run).and_then(wanted.pointer) } else { None };
            if let Some(target) = pointer.or_else(|| foreseen((frame, at), flow, wanted)) {
                self.expected.insert((frame, at), target);
                self.go_on((frame, at), Flow::Jump(target), next, wanted);
            } else {
                self.go_on((frame, at), flow, next, wanted);
            }
            ControlFlow::Break(())
        });
    }

    /// Notes where control goes from an instruction.
    fn go_on(&mut self, (frame, at): Place, flow: Flow, next: u64, Wanted { wanted, called, .. }: Wanted<'_>) {
        let belongs = |target: u64| if frame == 0 { wanted(target) } else { called(target) };
        let mut jump = |target: u64| {
            if belongs(target) {
                self.add_leader((frame, target));
            }
        };
        match flow {
            Flow::Next | Flow::Computed | Flow::Leave => {}
            Flow::Jump(target) => jump(target),
            Flow::Branch(target) => {
                jump(next);
                jump(target);
            }
            Flow::Call(target) => {
                if self.frames[frame].depth < DEEPEST && called(target) {
                    self.calls.push_back(((frame, at), target, next));
                }
            }
            Flow::Return => {
                if let Some(back) = self.frames[frame].back {
                    self.add_leader(back);
                }
            }
        }
    }

    fn add_leader(&mut self, leader: Place) {
        if !self.leaders.contains(&leader) {
            self.leaders.push(leader);
        }
    }

    /// Takes the function in that is called at `from`.
    fn follow_call(&mut self, from: Place, target: u64, next: u64) {
        let callee = (self.frames.len(), target);
        let depth = self.frames[from.0].depth + 1;
        self.frames.push(Frame { back: Some((from.0, next)), depth, instructions: 0 });
        self.followed.insert(from, callee);
        self.leaders.push(callee);
    }
}

/// Where a jump to a computed address goes as before, if the region's own function makes it and goes on there: one that is
/// taken in knows where it returns.
fn foreseen((frame, at): Place, flow: Flow, wanted: Wanted<'_>) -> Option<u64> {
    let computed = frame == 0 && matches!(flow, Flow::Computed | Flow::Return);
    computed.then(|| (wanted.went)(at))?.filter(|&target| (wanted.wanted)(target))
}

/// The ways inside a region from the places of one frame.
struct Tables {
    blocks: Vec<(u64, BlockId)>,
    calls: Vec<(u64, BlockId)>,
    back: Option<(u64, BlockId)>,
    expected: Vec<(u64, u64)>,
}

impl Tables {
    fn new<I>(discovery: &Discovery<I>, frame: FrameId, blocks: &BTreeMap<Place, BlockId>) -> Tables {
        let own = (frame, 0)..=(frame, u64::MAX);
        let calls = discovery.followed.range(own.clone());
        let back = discovery.frames[frame].back;
        Tables {
            blocks: blocks.range(own.clone()).map(|(&(_, pc), &block)| (pc, block)).collect(),
            calls: calls.filter_map(|(&(_, pc), callee)| Some((pc, *blocks.get(callee)?))).collect(),
            back: back.and_then(|back| Some((back.1, *blocks.get(&back)?))),
            expected: discovery.expected.range(own).map(|(&(_, pc), &target)| (pc, target)).collect(),
        }
    }

    /// Whether a jump to a computed address is expected to go there.
    fn expects(&self, pc: u64) -> bool {
        self.expected.iter().any(|&(_, target)| target == pc)
    }

    fn ways(&self) -> Ways<'_> {
        Ways { blocks: &self.blocks, calls: &self.calls, back: self.back, expected: &self.expected }
    }
}

/// Appends the instructions from `leader` up to the next leader or transfer of control.
fn lift_block<G: Guest>(lift: &mut RegionLift<'_>, leader: Place, found: &BTreeMap<Place, Found<G::Insn>>) {
    let (frame, mut at) = leader;
    loop {
        let Some(here) = found.get(&(frame, at)) else {
            return lift.leave(ExitReason::Jump, at);
        };
        if append::<G>(lift, at, here).is_break() {
            return;
        }
        at = lift.next;
        if let Some(block) = lift.next_block() {
            return lift.b.jump(block);
        }
    }
}

/// What was found. Blocks of functions that are called count as theirs.
fn coverage<I>(discovery: &Discovery<I>) -> Coverage {
    let blocks = discovery.leaders.iter().filter(|leader| leader.0 == 0).map(|leader| leader.1).collect();
    let mut coverage = Coverage { instructions: discovery.found.len(), ranges: Vec::new(), blocks };
    let pieces: BTreeSet<(u64, u64)> = discovery.found.iter().map(|(&(_, pc), found)| (pc, found.length())).collect();
    for (pc, length) in pieces {
        let end = pc.wrapping_add(length);
        match coverage.ranges.last_mut() {
            Some(last) if last.end >= pc => last.end = last.end.max(end),
            _ => coverage.ranges.push(pc..end),
        }
    }
    coverage
}
