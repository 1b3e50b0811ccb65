//! The code cache: which guest addresses have been translated, and how regions find each other.
//!
//! One cache serves an address space. Everything that changes it happens under its one lock; what translated code
//! itself reads are link slots: one for each guest address that code exits to or starts at, which says where its code
//! is, or that there is none. Each thread's jump cache leads to slots, so that linking and unlinking are stores to the
//! slot. Exits go straight to code of the same compiler where there is some, and those of baseline code to regions: of
//! such code the first eight bytes say whether it runs, or sends who comes that way through its slot.
//!
//! A region that is forgotten is unlinked, and every thread is asked to leave translated code at its next poll or
//! indirect branch and to follow ([`followers`]); its bytes stay as they are. The arena has two halves. When one is
//! full, or holds much code of which little is in use, everything is forgotten and the other half is filled, as soon as
//! every thread has followed since that one went out of use; until then what would be compiled is interpreted. Fault
//! tables live as long as the bytes.
//!
//! The place of the cache's lock among the others is at the head of `spawn.rs`; nothing but the baseline compiler is
//! called while it is held.

mod arena;
mod dependants;
mod followers;
mod history;
mod jump_cache;
mod pc_map;
mod places;
mod units;

use crate::check::Reference;
use crate::translate::{Job, Round};
use arena::{Arena, Entrance};
pub use arena::{Head, Scratch, SlotPointer, contains, end_of_code};
use dependants::{Dependant, Dependants};
use followers::{Changes, Followers};
pub use followers::{Forgotten, Presence};
use history::History;
pub use jump_cache::{EMPTY_JUMP_CACHE, JumpCache};
use pc_map::PcMap;
use philae_backends::baseline::{self, bridge};
use philae_backends::compiled::{Code, CompileError};
use philae_backends::interp::Steps;
use philae_backends::link::{LinkSite, LinkSlot};
use philae_frontends::Coverage;
use philae_ir::Arch;
use philae_ir::state::Control;
use philae_syscalls::loan::{self, by_lender};
use places::{Block, PlaceId, Places};
use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
pub use units::{Maker, Site};

/// The least room for code and slots of one more region: several times what the largest regions take.
const ROOM: usize = 256 << 10;
/// The least limit that a cache works with, in bytes.
pub const LEAST_LIMIT: usize = 4 * ROOM;
/// A cache of a limit knows at most one guest address for so many bytes of it.
const BYTES_PER_ENTRY: usize = 512;

/// How many jump caches are kept for threads to come.
const SPARE_JUMPS: usize = 4;

/// A guest address whose block is interpreted until there is code.
#[derive(Debug)]
pub struct Entry {
    /// The guest address.
    pub pc: u64,
    /// The block, for the interpreter.
    pub steps: Steps,
    /// Its link slot; none if the arena was full.
    pub slot: Option<SlotPointer>,
}

/// How to execute what is at a guest address.
#[derive(Clone, Debug)]
pub enum Found {
    /// There is code.
    Code(SlotPointer),
    /// There is none.
    Block(Arc<Entry>),
}

/// What is known of a guest address that a region may take in.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// Executions left before it is worth compiling.
    pub heat: i32,
    /// In how many compiled regions a block starts there.
    pub copies: u32,
    /// How many guest bytes the compiled region came from that starts there, 0 if there is none.
    pub compiled_bytes: u64,
}

/// Gives the link slot of an exit.
pub type Links<'a> = &'a mut dyn FnMut(LinkSite) -> *const LinkSlot;

/// What becomes of a unit that is to be added.
#[derive(Clone, Copy, Debug)]
pub enum Added {
    /// Its address has code: its own, or that which another thread was quicker to add.
    Code(SlotPointer),
    /// Its guest code has changed meanwhile.
    Outdated,
    /// The arena is full.
    Full,
}

/// Whether code goes to other code without the runtime.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Linking {
    /// It does.
    On,
    /// Every exit leaves translated code.
    Off,
}

#[derive(Debug)]
struct Inner {
    arena: Arena,
    places: Places,
    /// The interpreter's blocks, by guest address.
    entries: PcMap<Arc<Entry>>,
    /// The guest bytes that compiled regions came from, by guest address.
    regions: PcMap<Box<[Range<u64>]>>,
    dependants: Dependants,
    followers: Followers,
    /// Of threads that have ended, with the changes that each has followed: the next threads find them warm.
    spare_jumps: Vec<(JumpCache, u64)>,
    changes: Changes,
    history: History,
    /// How many places have a block.
    blocks: usize,
    slots: usize,
    /// With `--check`, what code is compared with, by its address.
    references: HashMap<u64, Arc<Reference>>,
    settings: Settings,
}

/// What does not change in the life of a cache.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Bytes of code, at least [`LEAST_LIMIT`].
    pub limit: usize,
    /// The heat of an address that was never executed.
    pub heat: i32,
    /// Whose code it is translated from.
    pub arch: Arch,
    /// Whether code is linked.
    pub linking: Linking,
}

impl Settings {
    /// The stub for exits with pinned registers to code that does not expect them.
    fn spill(&self) -> u64 {
        baseline::spill_address(self.arch)
    }
}

/// The code cache of one address space.
#[derive(Debug)]
pub struct Cache {
    inner: Mutex<Inner>,
    generation: AtomicU64,
    changes: AtomicU64,
}

/// How full the cache is.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Guest addresses whose blocks were translated.
    pub entries: usize,
    /// Units and compiled regions, stale ones included.
    pub regions: usize,
    /// Bytes of host code.
    pub code_bytes: usize,
    /// Link slots.
    pub slots: usize,
    /// How often it was full and everything was forgotten.
    pub renewals: u64,
}

impl Cache {
    /// An empty cache.
    pub fn new(settings: Settings) -> io::Result<Cache> {
        let inner = Inner {
            arena: Arena::new(settings.limit)?,
            places: Places::default(),
            entries: PcMap::default(),
            regions: PcMap::default(),
            dependants: Dependants::default(),
            followers: Followers::default(),
            spare_jumps: Vec::new(),
            changes: Changes::new(),
            history: History::default(),
            blocks: 0,
            slots: 0,
            references: HashMap::new(),
            settings,
        };
        Ok(Cache { inner: Mutex::new(inner), generation: AtomicU64::new(0), changes: AtomicU64::new(0) })
    }

    /// Counts invalidations. The inserting calls refuse translations made under an older count if what they came from
    /// was invalidated since.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Counts what was forgotten; a thread follows it before it enters translated code.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    /// What was forgotten since there were `count` changes, and how many there are.
    pub fn forgotten_since(&self, count: u64) -> (Forgotten, u64) {
        by_lender(|| {
            let inner = self.lock();
            (inner.changes.since(count), inner.changes.count())
        })
    }

    /// Has a process that forks pay for fewer pages of code ([`Arena::join_pages`]) and of jump caches.
    pub fn join_pages(&self, head: Head) {
        by_lender(|| {
            let mut inner = self.lock();
            inner.arena.join_pages(head);
            inner.spare_jumps = Vec::new();
        });
    }

    /// The lock, for fork: whoever holds it knows that no other thread is changing the cache.
    pub fn freeze(&self) -> impl Sized + '_ {
        self.guard()
    }

    /// The lock; a child of vfork never takes it.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        debug_assert!(!loan::is_borrower(), "a lock taken in lent memory");
        self.guard()
    }

    fn guard(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// What is known of a guest address.
    pub fn find(&self, pc: u64) -> Option<Found> {
        by_lender(|| {
            let inner = self.lock();
            let place = &inner.places[inner.places.find(pc)?];
            let code = place.slot.filter(|slot| place.block != Block::Unknown && slot.code().is_some());
            match (code, place.block) {
                (Some(slot), _) => Some(Found::Code(slot)),
                (None, Block::Steps) => inner.entries.get(&pc).cloned().map(Found::Block),
                (None, Block::Unknown | Block::Unit) => None,
            }
        })
    }

    /// What region formation goes by; nothing of an address that was never executed.
    pub fn standing(&self, pc: u64) -> Option<Standing> {
        let inner = self.lock();
        let place = &inner.places[inner.places.find(pc)?];
        if place.block == Block::Unknown {
            return None;
        }
        let ranges = inner.regions.get(&pc).into_iter().flatten();
        Some(Standing {
            heat: place.slot?.heat(),
            copies: u32::from(place.copies),
            compiled_bytes: ranges.map(|range| range.end - range.start).sum(),
        })
    }

    /// Adds the interpreter's block, unless its code changed since `generation` was read. What another thread was
    /// quicker to add is as good.
    pub fn insert_block(&self, pc: u64, steps: Steps, range: &Range<u64>, generation: u64) -> Option<Found> {
        let mut inner = self.lock();
        if inner.blocks >= inner.settings.limit / BYTES_PER_ENTRY {
            self.start_anew(&mut inner);
        }
        if !inner.history.spares(std::slice::from_ref(range), generation) {
            return None;
        }
        let id = inner.places.add(pc);
        let slot = inner.slot(id);
        if let Some(slot) = slot.filter(|slot| slot.code().is_some()) {
            return Some(Found::Code(slot));
        }
        if let Some(known) = inner.entries.get(&pc) {
            return Some(Found::Block(known.clone()));
        }
        inner.set_block(id, Block::Steps, range);
        let entry = Arc::new(Entry { pc, steps, slot });
        inner.entries.insert(pc, entry.clone());
        Some(Found::Block(entry))
    }

    /// Compiles a block, which comes from these guest bytes, read under a generation, with `compile`, and links every
    /// exit to its code; `reference` is what it is compared with. `compile` gets the block's own link slot
    /// and what gives those of its exits; it is called with the lock held.
    pub fn add_unit<'a>(
        &self,
        pc: u64,
        (range, generation): (&Range<u64>, u64),
        reference: Option<Arc<Reference>>,
        compile: impl FnOnce(SlotPointer, Links<'_>) -> Result<&'a mut Code, CompileError>,
    ) -> Result<Added, CompileError> {
        let mut inner = self.lock();
        if inner.arena.is_mostly_dead(inner.blocks) {
            self.start_anew(&mut inner);
        }
        if !inner.history.spares(std::slice::from_ref(range), generation) {
            return Ok(Added::Outdated);
        }
        let id = inner.places.add(pc);
        let Some(slot) = inner.slot(id) else { return Ok(Added::Full) };
        if slot.code().is_some() {
            return Ok(Added::Code(slot));
        }
        let mut full = false;
        let mut links = |site: LinkSite| {
            let exit = inner.exit_slot(site.pc);
            full |= exit.is_none();
            exit.unwrap_or(slot).as_ptr()
        };
        let code = compile(slot, &mut links)?;
        if full {
            return Ok(Added::Full);
        }
        let Some(address) = inner.arena.add_code(pc, code, Maker::Baseline) else { return Ok(Added::Full) };
        inner.references.extend(reference.map(|reference| (address, reference)));
        inner.set_block(id, Block::Unit, range);
        inner.places[id].unit = inner.arena.offset(address);
        slot.link_unit(address);
        inner.arena.aim_waiting(slot);
        Ok(Added::Code(slot))
    }

    /// Whether what was translated under `generation` is still what the guest has there.
    pub fn is_current(&self, coverage: &Coverage, generation: u64) -> bool {
        self.lock().history.spares(&coverage.ranges, generation)
    }

    /// The link slot that counts the executions of an address.
    pub fn counting_slot(&self, pc: u64) -> Option<SlotPointer> {
        let inner = self.lock();
        inner.places[inner.places.find(pc)?].slot
    }

    /// Whether there is a compiled region at an address.
    pub fn is_compiled(&self, pc: u64) -> bool {
        self.lock().regions.contains_key(&pc)
    }

    /// Says how many executions of an address are left before it is worth more than it got.
    pub fn set_heat(&self, pc: u64, heat: i32) {
        by_lender(|| {
            let inner = self.lock();
            if let Some(slot) = inner.places.find(pc).and_then(|id| inner.places[id].slot) {
                slot.set_heat(heat);
            }
        })
    }

    /// Whether one more region fits. If not, everything is forgotten to make room, if it can be yet.
    pub fn has_room(&self) -> bool {
        by_lender(|| {
            let mut inner = self.lock();
            let fits = inner.arena.room() >= ROOM;
            if !fits {
                self.start_anew(&mut inner);
            }
            fits
        })
    }

    /// The link slot for exits to `pc`, or `None` when the arena is full. It is good for code that is inserted under
    /// the generation of now.
    pub fn link_slot(&self, pc: u64) -> Option<SlotPointer> {
        let mut inner = self.lock();
        inner.exit_slot(pc)
    }

    /// Publishes the compiled region of an entry and links every exit to it, unless code that it came from changed since
    /// `generation` was read or the arena is full. The region that another thread was quicker to add is as good, but
    /// for one that is compiled again. `heat` is what the entry has from then on.
    pub fn insert_code(&self, mut code: Code, job: Job, heat: i32) -> Option<SlotPointer> {
        let Job { pc, coverage, generation, maker, round, reference, .. } = job;
        let mut inner = self.lock();
        if !inner.history.spares(&coverage.ranges, generation) {
            return None;
        }
        let id = inner.places.find(pc).filter(|&id| inner.places[id].block != Block::Unknown)?;
        let slot = inner.places[id].slot?;
        if round == Round::First && inner.regions.contains_key(&pc) {
            return Some(slot);
        }
        let bridge = bridge::append(&mut code, inner.settings.arch, slot.as_ptr());
        let address = inner.arena.add_code(pc, &mut code, maker)?;
        let outdated = inner.drop_region(id);
        inner.dependants.add(Dependant::region(id), &coverage.ranges);
        for &block in coverage.blocks.iter().filter(|_| round == Round::First) {
            if let Some(id) = inner.places.find(block) {
                let copies = &mut inner.places[id].copies;
                *copies = copies.saturating_add(1);
            }
        }
        inner.regions.insert(pc, coverage.ranges.into_boxed_slice());
        inner.references.extend(reference.map(|reference| (address, reference)));
        let bridge = address + bridge as u64;
        slot.link(address, bridge);
        if inner.places[id].block == Block::Unit {
            inner.arena.replace(inner.places[id].unit, bridge);
        }
        inner.arena.aim_waiting(slot);
        if let Some(entrance) = outdated {
            inner.arena.close_region(entrance);
        }
        slot.set_heat(heat);
        Some(slot)
    }

    /// Forgets what was translated from a range of guest addresses and makes every thread leave translated code; gives
    /// whether there was anything.
    pub fn invalidate(&self, range: Range<u64>) -> bool {
        by_lender(|| {
            let mut inner = self.lock();
            self.count_invalidation(&mut inner, range.clone());
            let before = inner.changes.count();
            for id in inner.dependants.on(&range) {
                inner.forget(id, &range);
            }
            let changed = inner.changes.count() != before;
            if changed {
                self.publish_changes(&inner);
            }
            changed
        })
    }

    /// Forgets all compiled regions, for a change of how they are compiled.
    pub fn discard_code(&self) {
        by_lender(|| {
            let mut inner = self.lock();
            self.count_invalidation(&mut inner, 0..u64::MAX);
            let compiled: Vec<PlaceId> = inner.regions.keys().filter_map(|&pc| inner.places.find(pc)).collect();
            compiled.into_iter().for_each(|id| inner.unlink(id));
            inner.changes.forget_everything();
            self.publish_changes(&inner);
        })
    }

    fn count_invalidation(&self, inner: &mut Inner, range: Range<u64>) {
        inner.history.add(range);
        self.generation.store(inner.history.count(), Ordering::Release);
    }

    /// Behaves as if the arena were full.
    pub fn renew(&self) {
        by_lender(|| self.start_anew(&mut self.lock()))
    }

    /// Forgets everything and fills the other half of the arena, unless a thread may still be in what is there.
    fn start_anew(&self, inner: &mut Inner) {
        if !inner.followers.have_followed(inner.arena.retired()) {
            return;
        }
        self.count_invalidation(inner, 0..u64::MAX);
        inner.changes.forget_everything();
        // Threads keep entries and jump caches, and are in code that exits through the slots.
        let spill = inner.settings.spill();
        inner.places.iter().filter_map(|place| place.slot).for_each(|slot| slot.unlink(spill));
        inner.places = Places::default();
        inner.entries.clear();
        inner.regions.clear();
        inner.dependants.clear();
        inner.references.clear();
        (inner.blocks, inner.slots) = (0, 0);
        inner.arena.turn(inner.changes.count());
        self.publish_changes(inner);
    }

    /// Asks every thread to leave translated code, for no reason.
    pub fn expel(&self) {
        by_lender(|| self.lock().followers.expel())
    }

    fn publish_changes(&self, inner: &Inner) {
        self.changes.store(inner.changes.count(), Ordering::SeqCst);
        inner.followers.expel();
    }

    /// The access that faulted at a host address in translated code.
    pub fn fault_site(&self, host_pc: u64) -> Option<Site> {
        by_lender(|| self.lock().arena.fault_site(host_pc))
    }

    /// The guest address of the region that a host address lies in.
    pub fn region_at(&self, host_pc: u64) -> Option<u64> {
        by_lender(|| self.lock().arena.unit_at(host_pc))
    }

    /// What the code at a slot is compared with, if it is still this.
    pub fn reference(&self, slot: SlotPointer, code: u64) -> Option<Arc<Reference>> {
        let inner = self.lock();
        if slot.code() == Some(code) { inner.references.get(&code).cloned() } else { None }
    }

    /// Adds a thread that will run translated code; its control words and its presence stay where they are until it is
    /// removed.
    pub fn add_thread(&self, control: &Control, presence: &Presence) {
        by_lender(|| self.lock().followers.add(control, presence))
    }

    /// A jump cache for a new thread, and how many changes it has followed.
    pub fn take_jumps(&self) -> (JumpCache, u64) {
        by_lender(|| {
            let spare = self.lock().spare_jumps.pop();
            spare.unwrap_or_else(|| (JumpCache::new(), 0))
        })
    }

    /// The jump cache of a thread that has left, having followed so many changes.
    pub fn give_jumps(&self, jumps: JumpCache, followed: u64) {
        debug_assert!(!loan::is_lent(jumps.address()), "it goes with the child that it was made by");
        by_lender(|| {
            let mut inner = self.lock();
            if inner.spare_jumps.len() < SPARE_JUMPS && !jumps.is_torn() {
                inner.spare_jumps.push((jumps, followed));
            }
        })
    }

    /// Removes a thread.
    pub fn remove_thread(&self, control: &Control) {
        by_lender(|| self.lock().followers.remove(control))
    }

    /// In a child of fork, which has one thread: forgets the others.
    pub fn keep_thread(&self, control: &Control) {
        by_lender(|| {
            let mut inner = self.lock();
            inner.followers.keep(control);
            inner.arena.share();
        })
    }

    /// How full the cache is.
    pub fn usage(&self) -> Usage {
        let inner = self.lock();
        Usage {
            entries: inner.blocks,
            regions: inner.arena.units(),
            code_bytes: inner.arena.code_bytes(),
            slots: inner.slots,
            renewals: inner.arena.turns(),
        }
    }
}

impl Inner {
    /// The link slot of a place, or `None` when the arena is full.
    fn slot(&mut self, id: PlaceId) -> Option<SlotPointer> {
        if self.places[id].slot.is_none() {
            self.places[id].slot = self.new_slot(self.places[id].pc);
        }
        self.places[id].slot
    }

    /// The link slot for exits to `pc`, or `None` when the arena is full: the one that stands for it, or one that nobody
    /// links.
    fn exit_slot(&mut self, pc: u64) -> Option<SlotPointer> {
        match self.settings.linking {
            Linking::On => {
                let id = self.places.add(pc);
                self.slot(id)
            }
            Linking::Off => self.new_slot(pc),
        }
    }

    fn new_slot(&mut self, pc: u64) -> Option<SlotPointer> {
        let slot = self.arena.add_slot(LinkSlot::new(pc, self.settings.spill()))?;
        slot.set_heat(self.settings.heat);
        self.slots += 1;
        Some(slot)
    }

    /// Says what the block of a place is, which comes from these guest bytes.
    fn set_block(&mut self, id: PlaceId, block: Block, range: &Range<u64>) {
        self.drop_block(id);
        let place = &mut self.places[id];
        (place.block, place.length) = (block, (range.end - range.start) as u16);
        self.blocks += 1;
        self.dependants.add(Dependant::block(id), std::slice::from_ref(range));
    }

    fn drop_block(&mut self, id: PlaceId) {
        self.close_unit(id);
        let place = &mut self.places[id];
        match std::mem::replace(&mut place.block, Block::Unknown) {
            Block::Unknown => return,
            Block::Steps => drop(self.entries.remove(&place.pc)),
            Block::Unit => {}
        }
        self.blocks -= 1;
        self.dependants.remove(Dependant::block(id), &[place.range()]);
    }

    /// Exits that go straight to the unit of a place, if there is one, go through its link slot from now on.
    fn close_unit(&mut self, id: PlaceId) {
        let place = &self.places[id];
        if place.block == Block::Unit {
            self.arena.close(place.unit);
        }
    }

    /// Forgets what was translated at a place, as far as it comes from a range.
    fn forget(&mut self, id: PlaceId, range: &Range<u64>) {
        let place = &self.places[id];
        let (pc, bytes) = (place.pc, place.range());
        let overlaps = |r: &Range<u64>| r.start < range.end && range.start < r.end;
        let region = self.regions.get(&pc).is_some_and(|ranges| ranges.iter().any(overlaps));
        let block = place.block != Block::Unknown && overlaps(&bytes);
        if block {
            self.drop_block(id);
        }
        if block || region {
            self.unlink(id);
            self.changes.forget(pc);
        }
    }

    /// Forgets the compiled region at a place, if there is one. Gives its entrance, to be closed once the link slot leads
    /// elsewhere.
    fn drop_region(&mut self, id: PlaceId) -> Option<Entrance> {
        let place = &self.places[id];
        let ranges = self.regions.remove(&place.pc)?;
        self.dependants.remove(Dependant::region(id), &ranges);
        place.slot?.region(&self.arena)
    }

    /// Takes the compiled region of a place out of use: what is left is the block.
    fn unlink(&mut self, id: PlaceId) {
        let outdated = self.drop_region(id);
        let (heat, spill) = (self.settings.heat, self.settings.spill());
        let place = &mut self.places[id];
        place.copies = 0;
        if let Some(slot) = place.slot {
            match place.block {
                Block::Unit => {
                    slot.link_unit(self.arena.address(place.unit));
                    self.arena.open(place.unit, slot);
                    self.arena.aim_waiting(slot);
                }
                Block::Unknown | Block::Steps => slot.unlink(spill),
            }
            slot.set_heat(heat);
        }
        if let Some(entrance) = outdated {
            self.arena.close_region(entrance);
        }
    }
}
