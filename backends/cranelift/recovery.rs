//! Exact registers at a fault without a cost before it.
//!
//! In loops an exact access does not write the guest's registers back first. Beside it is a branch that is never taken to
//! code which does, and leaves; the branch keeps the values where that code expects them. Here, where the branch stands
//! directly beside the access in the machine code, it is taken away, and a fault of the access continues at its target: no
//! register has changed since, as an access that faults writes none. In front of a load the branch leaves the register to
//! it that what it replaces is in; behind an access there may be moves between the two that the register allocator put
//! there, which are made on the way. Where the branch stands elsewhere, the region is compiled again with another way for
//! that access, at last with one that writes the registers back itself.

use super::CompileError;
use super::lower::Lower;
use super::places::{PlaceId, Plan};
use super::recovery_branch::{JUMP, RecoveryBranch, recovery_branch_before, recovery_branch_behind};
use super::rounds::{Recipe, Recovered, Tell};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, SourceLoc, Value as Clif};
use philae_ir::Value;
use rustc_hash::{FxHashMap, FxHashSet};
use std::num::NonZeroU32;
use std::ops::Range;

/// Where the branch of an access is to its recovery.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Branch {
    /// Before the access, a load.
    Before,
    /// Behind it.
    Behind,
}

/// Accesses where the branch did not come to stand beside them.
pub(super) type Failures = FxHashSet<(Value, Branch)>;

/// The accesses of a function that recover, by their offsets.
#[derive(Default)]
pub(super) struct Recoveries(FxHashMap<usize, RecoveryBranch>);

impl Recoveries {
    /// Finds the branches beside `accesses`, which are told by `locations`, the source locations of the code; where there
    /// is none, says which failed instead.
    pub(super) fn find(
        bytes: &[u8],
        accesses: impl Iterator<Item = usize>,
        locations: &[(Range<usize>, SourceLoc)],
        plan: &Plan,
    ) -> Result<Result<Recoveries, Failures>, CompileError> {
        let mut found = FxHashMap::default();
        let mut failures = Failures::default();
        for access in accesses {
            let before = locations.partition_point(|(range, _)| range.start <= access);
            let location = locations[..before].last().filter(|(range, _)| range.contains(&access));
            let value = location.map(|(_, location)| Value(location.bits()));
            let Some((value, branch)) = value.and_then(|value| Some((value, plan.recovery(value)?))) else {
                return Err(CompileError::Cranelift("an access is not where it was put".to_owned()));
            };
            let way = match branch {
                Branch::Before => recovery_branch_before(bytes, access),
                Branch::Behind => recovery_branch_behind(bytes, access),
            };
            match way {
                Some(way) => drop(found.insert(access, way)),
                None => drop(failures.insert((value, branch))),
            }
        }
        Ok(if failures.is_empty() { Ok(Recoveries(found)) } else { Err(failures) })
    }

    /// Where the branches are, with their tests, and where they lead.
    pub(super) fn branches(&self) -> FxHashMap<usize, usize> {
        self.0.values().map(|branch| (branch.test, branch.target)).collect()
    }

    /// Where the access at an offset of the code as it was, `old`, recovers in the code as it is, `new`, if it does. `place`
    /// tells where instructions have gone.
    pub(super) fn place(
        &self,
        access: usize,
        old: &[u8],
        new: &mut Vec<u8>,
        place: impl Fn(usize) -> Option<usize>,
    ) -> Option<NonZeroU32> {
        let branch = self.0.get(&access)?;
        let target = place(branch.target)?;
        let start = if branch.moves.is_empty() {
            target
        } else {
            let start = new.len();
            new.extend_from_slice(&old[branch.moves.clone()]);
            new.push(JUMP);
            let distance = target as i64 - (new.len() as i64 + 4);
            new.extend((distance as i32).to_le_bytes());
            start
        };
        NonZeroU32::new(start as u32)
    }
}

impl Lower<'_, '_> {
    /// Makes an access, which says by its source location where it is if it recovers.
    pub(super) fn recovering<T>(&mut self, value: Value, access: impl FnOnce(&mut Self) -> T) -> T {
        let (inst, recovery) = (self.region.inst(value), self.plan.recovery(value));
        if recovery == Some(Branch::Before) {
            self.recover(value);
        }
        if recovery.is_some() {
            self.b.set_srcloc(SourceLoc::new(value.0));
        }
        let result = access(self);
        self.b.set_srcloc(SourceLoc::default());
        self.note_access(inst, recovery.is_some());
        match recovery {
            Some(Branch::Before) => self.start_block(),
            Some(Branch::Behind) => self.recover(value),
            None => (),
        }
        result
    }

    /// Gives the access `value` the code that writes the state if it faults, reached by a branch that is never
    /// taken. [`Recoveries::find`] finds the two side by side in the machine code, and the branch is taken away.
    fn recover(&mut self, value: Value) {
        // What is tested does not matter, but nothing may come between: the state is in a register nearly always, an
        // address often is the access's operand and nowhere else.
        let state = self.state;
        let never = self.compare_with(IntCC::Equal, state, 0);
        let (fault, on) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(fault);
        self.b.ins().brif(never, fault, &[], on, &[]);
        self.b.seal_block(fault);
        self.b.seal_block(on);
        self.aside(|this| {
            this.b.switch_to_block(fault);
            this.store_recovered(value);
            let leave = *this.fault_exit.get_or_insert_with(|| this.b.create_block());
            this.b.ins().jump(leave, &[]);
        });
        self.b.switch_to_block(on);
    }

    /// Writes the dirty places to the state at a fault of the access `value`.
    fn store_recovered(&mut self, value: Value) {
        // What is made of others may be made of what memory still holds from before the loop.
        let derived = self.plan.rounds.recovered(value).map_or(Vec::new(), |recovered| self.derive_places(recovered));
        let mut places = self.plan.to_store(&self.dirty);
        places.subtract(&self.plan.rounds.derived(value));
        self.store_all(&places);
        for (place, held) in derived {
            let (state, offset) = (self.state, self.plan.places[place].offset);
            self.b.ins().store(MemFlagsData::trusted(), held, state, offset);
        }
    }

    /// Makes the places that a recovery makes of others: what they held where the loop was entered in the first round, what
    /// their recipes say in all others.
    fn derive_places(&mut self, recovered: &Recovered) -> Vec<(PlaceId, Clif)> {
        let is_first = match recovered.tell {
            Tell::Counter(counter, by) => {
                let begun = self.above(counter, by.wrapping_neg());
                let start = self.entry_value(recovered, counter);
                self.b.ins().icmp(IntCC::Equal, begun, start)
            }
            Tell::Sign => {
                let sign = self.signs[recovered.round].expect("a variable for each sign");
                let sign = self.b.use_var(sign);
                self.compare_with(IntCC::Equal, sign, 0)
            }
        };
        let mut derive = |&(place, recipe): &(PlaceId, Recipe)| {
            let entry = self.entry_value(recovered, place);
            let made = match recipe {
                Recipe::Constant(constant) => self.iconst(self.plan.places[place].ty, constant),
                Recipe::Sum(of, more) => self.above(of, more),
                Recipe::Before(value, more) => {
                    let value = self.value(value);
                    let wide = self.zero_extend(value, I64);
                    self.plus(wide, more)
                }
            };
            (place, self.b.ins().select(is_first, entry, made))
        };
        recovered.derived.iter().map(&mut derive).collect()
    }

    /// So much more than a place holds.
    fn above(&mut self, place: PlaceId, more: u64) -> Clif {
        let value = self.whole(place);
        self.plus(value, more)
    }

    fn plus(&mut self, value: Clif, more: u64) -> Clif {
        if more == 0 {
            return value;
        }
        let more = self.iconst(I64, more);
        self.b.ins().iadd(value, more)
    }

    /// What a place held where the loop of an access was entered.
    fn entry_value(&mut self, recovered: &Recovered, place: PlaceId) -> Clif {
        if !self.plan.rounds.is_dirty_at_entry(recovered, place) {
            return self.load_place(place);
        }
        let variable = self.entry_values[place].expect("a variable for each value that a recovery needs");
        self.b.use_var(variable)
    }
}
