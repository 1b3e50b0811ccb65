//! The passes: a region in, a region of the same behaviour out, in place.
//!
//! Guest memory accesses are never dropped, merged, forwarded or reordered. What a pass may do to slots depends on
//! [`Exactness`]. In debug builds every pass hands over a region that verifies.

mod arms;
mod dead;
mod fold;
mod liveness;
mod raising;
mod ranges;
mod sink;
mod slots;
mod usual;

use crate::helper::HelperEffect;
use crate::ops::{Effect, Op};
use crate::region::{BlockId, Inst, Pc, Region, Terminator, Value};
use crate::verify::verify;
use std::collections::HashMap;

/// When the guest's state has to be in its slots.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Exactness {
    /// At every exit, and before every access that can fault.
    Exact,
    /// At every exit; where an access faults, slots may be out of date.
    Relaxed,
}

/// One step of [`optimise`].
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// Its name, as in `testdata/ir`.
    pub name: &'static str,
    /// What it does.
    pub run: fn(&mut Region, Exactness),
}

/// Every pass, once.
pub static PASSES: [Pass; 6] = [
    Pass { name: "slots", run: slots::run },
    Pass { name: "fold", run: fold::run },
    Pass { name: "dead", run: dead::run },
    Pass { name: "sink", run: sink::run },
    Pass { name: "arms", run: arms::run },
    Pass { name: "usual", run: usual::run },
];

/// Runs the passes in the order that pays: straight runs become one block first, what sinks leaves dead code behind.
pub fn optimise(region: &mut Region, exactness: Exactness) {
    for pass in [dead::run, slots::run, fold::run, sink::run, arms::run, usual::run, dead::run] {
        pass(region, exactness);
        if cfg!(debug_assertions)
            && let Err(error) = verify(region)
        {
            panic!("a pass broke the region: {error}\n{region}");
        }
    }
}

/// Whether guest memory is touched, so that the guest may see a fault here.
fn may_fault(op: Op) -> bool {
    matches!(op.info().effect, Effect::Load | Effect::Store | Effect::Atomic)
}

/// Whether a helper is called that knows the guest's state; it is taken to read and write every guest slot.
fn calls_state_helper(region: &Region, inst: &Inst) -> bool {
    inst.op == Op::Call && region.helpers[inst.imm as usize].effect == HelperEffect::State
}

/// Whether the instruction may be dropped, copied and moved: a function of its operands, helpers included.
fn is_pure(region: &Region, inst: &Inst) -> bool {
    match inst.op.info().effect {
        Effect::Pure => true,
        Effect::Helper => !calls_state_helper(region, inst),
        _ => false,
    }
}

/// The instruction with the copies of its operands where there are some.
fn renamed(inst: &Inst, copies: &HashMap<Value, Value>) -> Inst {
    Inst { args: inst.args.map(|operand| copies.get(&operand).copied().unwrap_or(operand)), ..*inst }
}

/// The terminator with `f` applied to the values it uses.
fn map_operands(end: Terminator, f: impl Fn(Value) -> Value) -> Terminator {
    let argument_of = |argument| if argument == Value::NONE { argument } else { f(argument) };
    match end {
        Terminator::Branch { cond, then, other } => Terminator::Branch { cond: f(cond), then, other },
        Terminator::Exit { reason, pc: Pc::Dynamic(pc), argument } => {
            Terminator::Exit { reason, pc: Pc::Dynamic(f(pc)), argument: argument_of(argument) }
        }
        Terminator::Exit { reason, pc, argument } => Terminator::Exit { reason, pc, argument: argument_of(argument) },
        Terminator::Open | Terminator::Jump(_) => end,
    }
}

/// The terminator with `f` applied to the blocks it leads to.
fn map_successors(end: Terminator, f: impl Fn(BlockId) -> BlockId) -> Terminator {
    match end {
        Terminator::Jump(to) => Terminator::Jump(f(to)),
        Terminator::Branch { cond, then, other } => Terminator::Branch { cond, then: f(then), other: f(other) },
        Terminator::Open | Terminator::Exit { .. } => end,
    }
}
