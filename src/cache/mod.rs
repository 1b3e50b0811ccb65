//! The code cache: which guest addresses have been translated, and how regions find each other.
//!
//! One cache serves an address space. Everything that changes it happens under its one lock; what translated code
//! itself reads are link slots (one for each guest address that some region exits to, pointing to that address's
//! code or to the resolver) and each thread's jump cache. Linking and unlinking are single stores to a slot.
//!
//! A region that is forgotten is unlinked, and every thread is asked to leave translated code at its next poll or
//! indirect branch and to follow ([`followers`]); its bytes stay as they are. The arena has two halves. When one is
//! full, everything is forgotten and the other half is filled, as soon as every thread has followed since that one
//! went out of use; until then what would be compiled is interpreted. Fault tables live as long as the bytes.
//!
//! The place of the cache's lock among the others is at the head of `spawn.rs`; nothing is called while it is held.

mod arena;
mod dependants;
mod followers;

use arena::Arena;
pub use arena::{Scratch, SlotPointer, contains};
use dependants::{Dependant, Dependants};
use followers::{Changes, Followers};
pub use followers::{Forgotten, Presence};
use philae_backends::cranelift::{Code, FaultSite, LinkSlot, resolver_address};
use philae_backends::interp::Steps;
use philae_frontends::Coverage;
use philae_ir::state::Control;
use philae_syscalls::uaccess;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// The least room for code and slots of one more region: several times what the largest regions take.
const ROOM: usize = 256 << 10;
/// The least limit that a cache works with, in bytes.
pub const LEAST_LIMIT: usize = 4 * ROOM;
/// A cache of a limit knows at most one guest address for so many bytes of it.
const BYTES_PER_ENTRY: usize = 512;

/// The guest memory that a block was lifted from.
#[derive(Debug)]
pub struct Source {
    /// Where it is.
    pub ranges: Vec<Range<u64>>,
    /// What it was, from the block's address on, if the guest may change it without announcing that.
    pub bytes: Option<Box<[u8]>>,
}

impl Source {
    /// Whether the bytes at `pc`, where the block starts, are others by now.
    fn is_outdated(&self, pc: u64) -> bool {
        let Some(bytes) = &self.bytes else { return false };
        let mut at = pc;
        bytes.chunks(256).any(|old| {
            let mut now = [0; 256];
            let read = uaccess::read_bytes(at, &mut now[..old.len()]);
            at += old.len() as u64;
            read.is_err() || now[..old.len()] != *old
        })
    }
}

/// A guest address that has been translated at least for the interpreter.
#[derive(Debug)]
pub struct Entry {
    /// The guest address.
    pub pc: u64,
    /// The block, for the interpreter.
    pub steps: Steps,
    source: Source,
    /// How often the interpreter was sent here; [`Entry::REFUSED`] once compiling was given up.
    pub executions: AtomicU32,
    /// Address of the compiled region that starts here, or 0.
    pub code: AtomicU64,
    /// In how many compiled regions a block starts here.
    copies: AtomicU32,
}

/// What is known of a guest address that a region may take in.
#[derive(Clone, Copy, Default, Debug)]
pub struct Standing {
    /// How often the interpreter was sent there.
    pub executions: u32,
    /// In how many compiled regions a block starts there.
    pub copies: u32,
    /// How many guest bytes the compiled region came from that starts there, 0 if there is none.
    pub compiled_bytes: u64,
}

impl Entry {
    /// The count of an entry that is not to be compiled.
    pub const REFUSED: u32 = u32::MAX;

    /// Whether the block is no longer what the guest has there; to be asked before each run of it.
    pub fn is_outdated(&self) -> bool {
        self.source.is_outdated(self.pc)
    }
}

/// A compiled region by its bytes: what a fault in them needs.
#[derive(Debug)]
struct Compiled {
    pc: u64,
    length: u64,
    faults: Vec<FaultSite>,
}

#[derive(Debug)]
struct Inner {
    arena: Arena,
    entries: HashMap<u64, Arc<Entry>>,
    /// The guest bytes that the compiled region of an entry came from.
    regions: HashMap<u64, Vec<Range<u64>>>,
    dependants: Dependants,
    slots: HashMap<u64, SlotPointer>,
    /// Compiled regions by host address, stale ones included: a thread may still fault in them.
    code: BTreeMap<u64, Compiled>,
    followers: Followers,
    changes: Changes,
}

/// The code cache of one address space.
#[derive(Debug)]
pub struct Cache {
    inner: Mutex<Inner>,
    generation: AtomicU64,
    changes: AtomicU64,
    most_entries: usize,
}

/// How full the cache is.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Guest addresses known to the interpreter.
    pub entries: usize,
    /// Compiled regions, stale ones included.
    pub regions: usize,
    /// Bytes of host code.
    pub code_bytes: usize,
    /// Link slots.
    pub slots: usize,
    /// How often it was full and everything was forgotten.
    pub renewals: u64,
}

impl Cache {
    /// An empty cache of so many bytes of code, at least [`LEAST_LIMIT`].
    pub fn new(limit: usize) -> io::Result<Cache> {
        let inner = Inner {
            arena: Arena::new(limit)?,
            entries: HashMap::new(),
            regions: HashMap::new(),
            dependants: Dependants::default(),
            slots: HashMap::new(),
            code: BTreeMap::new(),
            followers: Followers::default(),
            changes: Changes::new(),
        };
        let (generation, changes) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Cache { inner: Mutex::new(inner), generation, changes, most_entries: limit / BYTES_PER_ENTRY })
    }

    /// Counts invalidations. Translations made under an older count are refused by the inserting calls.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Counts what was forgotten; a thread follows it before it enters translated code.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    /// What was forgotten since there were `count` changes, and how many there are.
    pub fn forgotten_since(&self, count: u64) -> (Forgotten, u64) {
        let inner = self.lock();
        (inner.changes.since(count), inner.changes.count())
    }

    /// The lock, for fork: whoever holds it knows that no other thread is changing the cache.
    pub fn freeze(&self) -> impl Sized + '_ {
        self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The entry at a guest address.
    pub fn find(&self, pc: u64) -> Option<Arc<Entry>> {
        self.lock().entries.get(&pc).cloned()
    }

    /// What region formation goes by.
    pub fn standing(&self, pc: u64) -> Standing {
        let inner = self.lock();
        let Some(entry) = inner.entries.get(&pc) else { return Standing::default() };
        let region = inner.regions.get(&pc).into_iter().flatten();
        Standing {
            executions: entry.executions.load(Ordering::Relaxed),
            copies: entry.copies.load(Ordering::Relaxed),
            compiled_bytes: region.map(|range| range.end - range.start).sum(),
        }
    }

    /// Adds the interpreter's block, unless code changed since `generation` was read. The entry that another thread
    /// was quicker to add is as good.
    pub fn insert_block(&self, pc: u64, steps: Steps, source: Source, generation: u64) -> Option<Arc<Entry>> {
        let mut inner = self.lock();
        if inner.entries.len() >= self.most_entries {
            self.start_anew(&mut inner);
        }
        if generation != self.generation() {
            return None;
        }
        if let Some(known) = inner.entries.get(&pc) {
            return Some(known.clone());
        }
        inner.dependants.add(Dependant::Block(pc), &source.ranges);
        let (executions, code, copies) = (AtomicU32::new(0), AtomicU64::new(0), AtomicU32::new(0));
        let entry = Arc::new(Entry { pc, steps, source, executions, code, copies });
        inner.entries.insert(pc, entry.clone());
        Some(entry)
    }

    /// Whether one more region fits. If not, everything is forgotten to make room, if it can be yet.
    pub fn has_room(&self) -> bool {
        let mut inner = self.lock();
        let fits = inner.arena.room() >= ROOM;
        if !fits {
            self.start_anew(&mut inner);
        }
        fits
    }

    /// The link slot for exits to `pc`, or `None` when the arena is full. It is good for code that is inserted under
    /// the generation of now.
    pub fn link_slot(&self, pc: u64) -> Option<SlotPointer> {
        let mut inner = self.lock();
        if let Some(&slot) = inner.slots.get(&pc) {
            return Some(slot);
        }
        let target = inner.entries.get(&pc).map_or(0, |entry| entry.code.load(Ordering::Acquire));
        let target = if target == 0 { resolver_address() } else { target };
        let slot = inner.arena.add_slot(LinkSlot { target: AtomicU64::new(target), pc })?;
        inner.slots.insert(pc, slot);
        Some(slot)
    }

    /// Publishes the compiled region of an entry and links every exit to it, unless code changed since `generation`
    /// was read or the arena is full. The region that another thread was quicker to add is as good.
    pub fn insert_code(&self, pc: u64, code: Code, coverage: Coverage, generation: u64) -> Option<u64> {
        let mut inner = self.lock();
        if generation != self.generation() {
            return None;
        }
        let entry = inner.entries.get(&pc)?.clone();
        let known = entry.code.load(Ordering::Acquire);
        if known != 0 {
            return Some(known);
        }
        let base = inner.arena.add_code(&code.bytes)?;
        inner.dependants.add(Dependant::Region(pc), &coverage.ranges);
        inner.regions.insert(pc, coverage.ranges);
        for block in coverage.blocks.iter().filter_map(|block| inner.entries.get(block)) {
            block.copies.fetch_add(1, Ordering::Relaxed);
        }
        inner.code.insert(base, Compiled { pc, length: code.bytes.len() as u64, faults: code.faults });
        let address = base + code.entry as u64;
        entry.code.store(address, Ordering::Release);
        if let Some(slot) = inner.slots.get(&pc) {
            slot.link(address);
        }
        Some(address)
    }

    /// Forgets what was translated from a range of guest addresses and makes every thread leave translated code.
    pub fn invalidate(&self, range: Range<u64>) {
        let mut inner = self.lock();
        self.generation.fetch_add(1, Ordering::AcqRel);
        let before = inner.changes.count();
        for pc in inner.dependants.on(&range) {
            inner.forget(pc, &range);
        }
        if inner.changes.count() != before {
            self.publish_changes(&inner);
        }
    }

    /// Forgets everything that was compiled, for a change of how code is compiled.
    pub fn discard_code(&self) {
        let mut inner = self.lock();
        self.generation.fetch_add(1, Ordering::AcqRel);
        let entries: Vec<_> = inner.entries.values().cloned().collect();
        for entry in entries {
            inner.unlink(&entry);
        }
        inner.changes.forget_everything();
        self.publish_changes(&inner);
    }

    /// Behaves as if the arena were full.
    pub fn renew(&self) {
        self.start_anew(&mut self.lock());
    }

    /// Forgets everything and fills the other half of the arena, unless a thread may still be in what is there.
    fn start_anew(&self, inner: &mut Inner) {
        if !inner.followers.have_followed(inner.arena.retired()) {
            return;
        }
        self.generation.fetch_add(1, Ordering::AcqRel);
        inner.changes.forget_everything();
        // Threads keep entries, and are in code that exits through the slots.
        inner.entries.values().for_each(|entry| entry.code.store(0, Ordering::Release));
        inner.slots.values().for_each(|slot| slot.unlink());
        inner.entries.clear();
        inner.regions.clear();
        inner.dependants.clear();
        inner.slots.clear();
        let reused = inner.arena.turn(inner.changes.count());
        inner.code.retain(|base, _| !reused.contains(base));
        self.publish_changes(inner);
    }

    fn publish_changes(&self, inner: &Inner) {
        self.changes.store(inner.changes.count(), Ordering::SeqCst);
        inner.followers.expel();
    }

    /// The guest pc of the access that faulted at a host address in translated code.
    pub fn fault_pc(&self, host_pc: u64) -> Option<u64> {
        let inner = self.lock();
        let (base, compiled) = inner.code.range(..=host_pc).next_back()?;
        let index = compiled.faults.binary_search_by_key(&(host_pc - base), |site| u64::from(site.offset)).ok()?;
        Some(compiled.faults[index].pc)
    }

    /// The guest address of the region that a host address lies in.
    pub fn region_at(&self, host_pc: u64) -> Option<u64> {
        let inner = self.lock();
        let (base, compiled) = inner.code.range(..=host_pc).next_back()?;
        (host_pc - base < compiled.length).then_some(compiled.pc)
    }

    /// Adds a thread that will run translated code; its control words stay where they are until it is removed.
    pub fn add_thread(&self, control: &Control, presence: Arc<Presence>) {
        self.lock().followers.add(control, presence);
    }

    /// Removes a thread.
    pub fn remove_thread(&self, control: &Control) {
        self.lock().followers.remove(control);
    }

    /// In a child of fork, which has one thread: forgets the others.
    pub fn keep_thread(&self, control: &Control) {
        self.lock().followers.keep(control);
    }

    /// How full the cache is.
    pub fn usage(&self) -> Usage {
        let inner = self.lock();
        Usage {
            entries: inner.entries.len(),
            regions: inner.code.len(),
            code_bytes: inner.arena.code_bytes(),
            slots: inner.slots.len(),
            renewals: inner.arena.turns(),
        }
    }
}

impl Inner {
    /// Forgets what was translated at `pc`, as far as it comes from a range.
    fn forget(&mut self, pc: u64, range: &Range<u64>) {
        let Some(entry) = self.entries.get(&pc).cloned() else { return };
        let overlaps = |ranges: &[Range<u64>]| ranges.iter().any(|r| r.start < range.end && range.start < r.end);
        let region = self.regions.get(&pc).is_some_and(|ranges| overlaps(ranges));
        let block = overlaps(&entry.source.ranges);
        if !region && !block {
            return;
        }
        self.unlink(&entry);
        if block {
            self.entries.remove(&pc);
            self.dependants.remove(Dependant::Block(pc), &entry.source.ranges);
        }
        self.changes.forget(pc);
    }

    /// Takes an entry's compiled region out of use.
    fn unlink(&mut self, entry: &Entry) {
        entry.code.store(0, Ordering::Release);
        entry.executions.store(0, Ordering::Relaxed);
        entry.copies.store(0, Ordering::Relaxed);
        if let Some(ranges) = self.regions.remove(&entry.pc) {
            self.dependants.remove(Dependant::Region(entry.pc), &ranges);
        }
        if let Some(slot) = self.slots.get(&entry.pc) {
            slot.unlink();
        }
    }
}
