//! The code cache: which guest addresses have been translated, and how regions find each other.
//!
//! One cache serves an address space. Everything that changes it happens under its one lock; what translated code
//! itself reads are link slots (one for each guest address that some region exits to, pointing to that address's
//! code or to the resolver) and each thread's jump cache. Linking and unlinking are single stores to a slot.
//! Code is never freed while the process lives, so a thread that is still inside stale code leaves it safely at
//! its next poll or indirect branch, which [`Cache::invalidate`] asks it to do.
//!
//! Lock order: the cache's lock is the last one taken; nothing is called while it is held. Fork takes it.

mod arena;

use crate::jump_cache::EMPTY_JUMP_CACHE;
use arena::Arena;
pub use arena::{Scratch, contains};
use philae_backends::cranelift::{Code, FaultSite, LinkSlot, resolver_address};
use philae_ir::Region;
use philae_ir::state::Control;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

const PAGE: u64 = 4096;

/// A guest address that has been translated at least for the interpreter.
#[derive(Debug)]
pub struct Entry {
    /// The guest address.
    pub pc: u64,
    /// The block that the interpreter runs.
    pub region: Region,
    /// The guest bytes that it came from.
    ranges: Vec<Range<u64>>,
    /// How often the interpreter was sent here; [`Entry::REFUSED`] once compiling was given up.
    pub executions: AtomicU32,
    /// Address of the compiled region that starts here, or 0.
    pub code: AtomicU64,
}

impl Entry {
    /// The count of an entry that is not to be compiled.
    pub const REFUSED: u32 = u32::MAX;
}

/// Guest bytes that a piece of code depends on, beside its entry's own.
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
    /// The ranges of the compiled region of an entry.
    compiled_ranges: HashMap<u64, Vec<Range<u64>>>,
    /// The entries that depend on a guest page.
    pages: HashMap<u64, HashSet<u64>>,
    slots: HashMap<u64, &'static LinkSlot>,
    /// Compiled regions by host address, stale ones included: a thread may still fault in them.
    code: BTreeMap<u64, Compiled>,
    threads: Vec<ThreadControl>,
}

/// A running thread's control words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct ThreadControl(*const Control);

// SAFETY: the pointer is used under the cache's lock only, and only for the struct's atomics; a thread removes it,
// under the same lock, before its state goes away.
unsafe impl Send for ThreadControl {}

/// The code cache of one address space.
#[derive(Debug)]
pub struct Cache {
    inner: Mutex<Inner>,
    generation: AtomicU64,
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
}

impl Cache {
    /// An empty cache.
    pub fn new() -> io::Result<Cache> {
        let inner = Inner {
            arena: Arena::new()?,
            entries: HashMap::new(),
            compiled_ranges: HashMap::new(),
            pages: HashMap::new(),
            slots: HashMap::new(),
            code: BTreeMap::new(),
            threads: Vec::new(),
        };
        Ok(Cache { inner: Mutex::new(inner), generation: AtomicU64::new(0) })
    }

    /// Counts invalidations. Translations made under an older count are refused by the inserting calls.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The lock, for fork: whoever holds it knows that no other thread is changing the cache.
    pub fn freeze(&self) -> Frozen<'_> {
        Frozen { inner: self.lock() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The entry at a guest address.
    pub fn find(&self, pc: u64) -> Option<Arc<Entry>> {
        self.lock().entries.get(&pc).cloned()
    }

    /// Executions of each of these addresses, 0 where nothing is known: what region formation goes by.
    pub fn executions(&self, pc: u64) -> u32 {
        self.lock().entries.get(&pc).map_or(0, |entry| entry.executions.load(Ordering::Relaxed))
    }

    /// Adds the interpreter's block, unless code changed since `generation` was read. The entry that another thread
    /// was quicker to add is as good.
    pub fn insert_block(&self, region: Region, ranges: Vec<Range<u64>>, generation: u64) -> Option<Arc<Entry>> {
        let mut inner = self.lock();
        if generation != self.generation() {
            return None;
        }
        let pc = region.pc;
        if let Some(known) = inner.entries.get(&pc) {
            return Some(known.clone());
        }
        inner.depend(pc, &ranges);
        let (executions, code) = (AtomicU32::new(0), AtomicU64::new(0));
        let entry = Arc::new(Entry { pc, region, ranges, executions, code });
        inner.entries.insert(pc, entry.clone());
        Some(entry)
    }

    /// The link slot for exits to `pc`, or `None` when the arena is full.
    pub fn link_slot(&self, pc: u64) -> Option<&'static LinkSlot> {
        let mut inner = self.lock();
        if let Some(slot) = inner.slots.get(&pc) {
            return Some(slot);
        }
        let target = inner.entries.get(&pc).map_or(0, |entry| entry.code.load(Ordering::Acquire));
        let target = if target == 0 { resolver_address() } else { target };
        let slot = inner.arena.add_slot(LinkSlot { target: AtomicU64::new(target), pc })?;
        inner.slots.insert(pc, slot);
        Some(slot)
    }

    /// Publishes the compiled region of an entry and links every exit to it, unless code changed since `generation`
    /// was read or the arena is full.
    pub fn insert_code(&self, pc: u64, code: Code, ranges: Vec<Range<u64>>, generation: u64) -> Option<u64> {
        let mut inner = self.lock();
        if generation != self.generation() {
            return None;
        }
        let entry = inner.entries.get(&pc)?.clone();
        let base = inner.arena.add_code(&code.bytes)?;
        inner.depend(pc, &ranges);
        inner.compiled_ranges.insert(pc, ranges);
        inner.code.insert(base, Compiled { pc, length: code.bytes.len() as u64, faults: code.faults });
        let address = base + code.entry as u64;
        entry.code.store(address, Ordering::Release);
        if let Some(slot) = inner.slots.get(&pc) {
            slot.target.store(address, Ordering::Release);
        }
        Some(address)
    }

    /// Forgets what was translated from a range of guest addresses and makes every thread leave translated code.
    pub fn invalidate(&self, range: Range<u64>) {
        let mut inner = self.lock();
        self.generation.fetch_add(1, Ordering::AcqRel);
        let stale = inner.dependants(&range);
        if stale.is_empty() {
            return;
        }
        for pc in stale {
            inner.forget(pc, &range);
        }
        inner.expel_threads();
    }

    /// Forgets everything that was compiled, for a change of how code is compiled.
    pub fn discard_code(&self) {
        let mut inner = self.lock();
        self.generation.fetch_add(1, Ordering::AcqRel);
        let entries: Vec<_> = inner.entries.values().cloned().collect();
        for entry in entries {
            inner.unlink(&entry);
        }
        inner.expel_threads();
    }

    /// The guest pc of the access that faulted at a host address in translated code.
    pub fn fault_pc(&self, host_pc: u64) -> Option<u64> {
        let inner = self.lock();
        let (base, compiled) = inner.code.range(..=host_pc).next_back()?;
        let offset = (host_pc - base) as u32;
        if u64::from(offset) >= compiled.length {
            return None;
        }
        compiled.faults.iter().find(|site| site.offset == offset).map(|site| site.pc)
    }

    /// The guest address of the region that a host address lies in.
    pub fn region_at(&self, host_pc: u64) -> Option<u64> {
        let inner = self.lock();
        let (base, compiled) = inner.code.range(..=host_pc).next_back()?;
        (host_pc - base < compiled.length).then_some(compiled.pc)
    }

    /// Adds a thread that will run translated code; its control words stay where they are until it is removed.
    pub fn add_thread(&self, control: &Control) {
        self.lock().threads.push(ThreadControl(control));
    }

    /// Removes a thread.
    pub fn remove_thread(&self, control: &Control) {
        self.lock().threads.retain(|&thread| thread != ThreadControl(control));
    }

    /// How full the cache is.
    pub fn usage(&self) -> Usage {
        let inner = self.lock();
        Usage {
            entries: inner.entries.len(),
            regions: inner.code.len(),
            code_bytes: inner.arena.used().0,
            slots: inner.slots.len(),
        }
    }
}

/// The cache while its lock is held across fork.
pub struct Frozen<'a> {
    inner: MutexGuard<'a, Inner>,
}

impl Frozen<'_> {
    /// In the child, which has one thread: forgets the others.
    pub fn keep_thread(&mut self, control: &Control) {
        self.inner.threads.retain(|&thread| thread == ThreadControl(control));
    }
}

impl Inner {
    fn depend(&mut self, pc: u64, ranges: &[Range<u64>]) {
        for range in ranges {
            for page in range.start / PAGE..=range.end.saturating_sub(1) / PAGE {
                self.pages.entry(page).or_default().insert(pc);
            }
        }
    }

    /// The entries with bytes on the pages of a range.
    fn dependants(&self, range: &Range<u64>) -> HashSet<u64> {
        let pages = range.start / PAGE..range.end.div_ceil(PAGE);
        if pages.end - pages.start > self.pages.len() as u64 {
            let hit = self.pages.iter().filter(|(page, _)| pages.contains(page));
            return hit.flat_map(|(_, users)| users.iter().copied()).collect();
        }
        pages.filter_map(|page| self.pages.get(&page)).flatten().copied().collect()
    }

    fn forget(&mut self, pc: u64, range: &Range<u64>) {
        let Some(entry) = self.entries.get(&pc).cloned() else { return };
        let overlaps = |ranges: &[Range<u64>]| ranges.iter().any(|r| r.start < range.end && range.start < r.end);
        let compiled = self.compiled_ranges.get(&pc).is_some_and(|ranges| overlaps(ranges));
        let block = overlaps(&entry.ranges);
        if !compiled && !block {
            return;
        }
        self.unlink(&entry);
        if block {
            self.entries.remove(&pc);
            for users in self.pages.values_mut() {
                users.remove(&pc);
            }
        }
    }

    /// Takes an entry's compiled region out of use.
    fn unlink(&mut self, entry: &Entry) {
        entry.code.store(0, Ordering::Release);
        entry.executions.store(0, Ordering::Relaxed);
        self.compiled_ranges.remove(&entry.pc);
        if let Some(slot) = self.slots.get(&entry.pc) {
            slot.target.store(resolver_address(), Ordering::Release);
        }
    }

    /// Makes every thread leave translated code at its next poll or indirect branch.
    fn expel_threads(&self) {
        for thread in &self.threads {
            // SAFETY: a registered thread's control words are alive (see `ThreadControl`).
            let control = unsafe { &*thread.0 };
            control.jump_cache.store(EMPTY_JUMP_CACHE.address(), Ordering::Release);
            control.poll.store(1, Ordering::Release);
        }
    }
}
