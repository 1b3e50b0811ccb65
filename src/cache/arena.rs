//! Executable memory: one private mapping, so that a child of fork has its own copy, of two halves, and the counts of their
//! link slots.
//!
//! One half is filled from its low end, with code and with blocks of link slots, each on pages of its own. When it is
//! full, the other one takes its place ([`Arena::turn`]); what must hold then is that nobody is in the code of that other
//! one any more.

use super::jump_cache::EMPTY_JUMP_CACHE;
use super::units::{Maker, Site, Units};
use philae_backends::baseline::{self, REGISTER_ENTRY, bridge};
use philae_backends::compiled::Code;
use philae_backends::cranelift;
use philae_backends::link::{Entry, LARGEST_JUMP_CACHE, LinkSlot, enter, jump_cache_mask, resolver_address};
use philae_ir::CpuState;
use std::io;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// What the start of code is aligned to: cold code takes no more room than it must.
fn alignment(maker: Maker) -> usize {
    match maker {
        Maker::Baseline => baseline::ALIGNMENT,
        Maker::Cranelift | Maker::Watched => cranelift::ALIGNMENT,
    }
}

/// Where the arena is, for the host's signal handler: start and end.
static BOUNDS: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

/// Whether a host address lies in translated code.
pub fn contains(address: u64) -> bool {
    (BOUNDS[0].load(Ordering::Relaxed)..BOUNDS[1].load(Ordering::Relaxed)).contains(&address)
}

/// What was handed out of the arena last ends at this host address.
static END: AtomicU64 = AtomicU64::new(0);

/// Where what was handed out of the arena last ends: whoever finds it unchanged knows that no code was made meanwhile.
pub fn end_of_code() -> u64 {
    END.load(Ordering::Relaxed)
}

/// A link slot in the arena, alive until its half is filled anew.
#[derive(Clone, Copy, Debug)]
pub struct SlotPointer(NonNull<LinkSlot>);

// SAFETY: what is behind the pointer is changed through atomics only.
unsafe impl Send for SlotPointer {}
// SAFETY: as above.
unsafe impl Sync for SlotPointer {}

impl SlotPointer {
    /// Where it is, for translated code.
    pub fn as_ptr(self) -> *const LinkSlot {
        self.0.as_ptr()
    }

    fn slot(&self) -> &LinkSlot {
        // SAFETY: the cache drops its pointers to slots before their half is filled anew, and so does every thread
        // that follows its changes.
        unsafe { self.0.as_ref() }
    }

    /// The code that exits through it go to, if there is any.
    pub fn code(self) -> Option<u64> {
        Some(self.slot().target.load(Ordering::Acquire)).filter(|&target| target != resolver_address())
    }

    /// Where executions are counted.
    pub fn count_address(self) -> u64 {
        (self.0.as_ptr() as u64).wrapping_add_signed(i64::from(self.slot().count))
    }

    fn count(&self) -> &AtomicI32 {
        // SAFETY: a slot of an arena has a count there, alive as long as the slot.
        unsafe { &*(self.count_address() as *const AtomicI32) }
    }

    /// Executions left before the address is worth more than it got. Code counts without an atomic operation: of two
    /// threads' counts one may be lost.
    pub fn heat(self) -> i32 {
        self.count().load(Ordering::Relaxed)
    }

    /// Says how many executions are left.
    pub fn set_heat(self, heat: i32) {
        self.count().store(heat, Ordering::Relaxed);
    }

    /// The slot at this address.
    ///
    /// # Safety
    ///
    /// The address is that of a slot pointer whose slot is alive.
    pub(super) unsafe fn from_address(address: u64) -> SlotPointer {
        // SAFETY: a pointer's address is not null.
        SlotPointer(unsafe { NonNull::new_unchecked(address as *mut LinkSlot) })
    }

    /// Makes exits through it go to code of the optimising compiler, those with pinned registers to `bridge`.
    pub(super) fn link(self, code: u64, bridge: u64) {
        self.slot().register_target.store(bridge, Ordering::Release);
        self.slot().target.store(code, Ordering::Release);
    }

    /// Makes exits through it go to code of the baseline compiler.
    pub(super) fn link_unit(self, code: u64) {
        self.slot().target.store(code, Ordering::Release);
        self.slot().register_target.store(code + REGISTER_ENTRY as u64, Ordering::Release);
    }

    /// The register entry that it leads to, if that is in this arena: of a unit, or the bridge of a region.
    fn register_entry(self, arena: &Arena) -> Option<u64> {
        let target = self.slot().register_target.load(Ordering::Acquire);
        arena.holds(target).then_some(target)
    }

    /// The region that it leads to.
    pub(super) fn region(self, arena: &Arena) -> Option<Entrance> {
        let (start, bridge) = (self.slot().target.load(Ordering::Acquire), self.register_entry(arena)?);
        (bridge != start + REGISTER_ENTRY as u64).then_some(Entrance { start, bridge })
    }

    /// Where exits to such an entry can go straight.
    fn entry(self, to: Entry, arena: &Arena) -> Option<u64> {
        match to {
            Entry::Register => self.register_entry(arena),
            Entry::Memory => self.region(arena).map(|region| region.start),
        }
    }

    /// Makes exits through it leave translated code; `spill` is the stub on the way of those with pinned registers.
    pub(super) fn unlink(self, spill: u64) {
        self.link(resolver_address(), spill);
    }
}

/// Where a region is entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entrance {
    /// With the guest's registers in memory.
    start: u64,
    /// From baseline code.
    bridge: u64,
}

/// A part of the mapping, in bytes from its start.
#[derive(Debug)]
struct Half {
    range: Range<usize>,
    /// What has been handed out ends here.
    end: usize,
    /// The kernel has been asked for the pages below.
    ready: usize,
    /// Room for the slots to come.
    slots: Range<usize>,
    /// All room for counts, and what is left of it: outside of `range`.
    all_counts: Range<usize>,
    counts: Range<usize>,
    /// Room for code to come that is hardly ever run.
    far: Range<usize>,
    code_bytes: usize,
    units: Units,
    waiting: Waiting,
}

/// Fields of jumps that are to go straight to an entry once there is one: for each link slot a list, whose head
/// is in the slot, as all numbers here by one too large, 0 being none.
#[derive(Debug, Default)]
struct Waiting {
    all: Vec<Waiter>,
    free: u32,
}

/// A jump that waits.
#[derive(Clone, Copy, Debug)]
struct Waiter {
    /// The distance of its field from the start of the arena, which is less than 2 GiB, and [`Waiter::MEMORY`].
    jump: u32,
    /// The next one.
    next: u32,
}

impl Waiter {
    /// In `jump`: it can go to memory entries, not to register entries.
    const MEMORY: u32 = 1 << 31;

    fn new(field: u32, to: Entry, next: u32) -> Waiter {
        debug_assert!(field < Waiter::MEMORY, "a field of no arena");
        let mark = match to {
            Entry::Memory => Waiter::MEMORY,
            Entry::Register => 0,
        };
        Waiter { jump: field | mark, next }
    }

    fn field(self) -> u32 {
        self.jump & !Waiter::MEMORY
    }

    /// The entry that it can go to.
    fn to(self) -> Entry {
        if self.jump & Waiter::MEMORY == 0 { Entry::Register } else { Entry::Memory }
    }
}

impl Waiting {
    fn add(&mut self, slot: SlotPointer, field: u32, to: Entry) {
        let head = &slot.slot().waiting;
        let waiter = Waiter::new(field, to, head.load(Ordering::Relaxed));
        let number = self.free;
        if let Some(index) = number.checked_sub(1) {
            self.free = self.all[index as usize].next;
            self.all[index as usize] = waiter;
            head.store(number, Ordering::Relaxed);
        } else {
            self.all.push(waiter);
            head.store(self.all.len() as u32, Ordering::Relaxed);
        }
    }

    /// Takes one out, if there is one.
    fn take(&mut self, slot: SlotPointer) -> Option<Waiter> {
        let head = &slot.slot().waiting;
        let number = head.load(Ordering::Relaxed);
        let waiter = &mut self.all[number.checked_sub(1)? as usize];
        let taken = *waiter;
        head.store(waiter.next, Ordering::Relaxed);
        waiter.next = std::mem::replace(&mut self.free, number);
        Some(taken)
    }
}

/// Less code than this is kept whether it is in use or not.
const MANY: usize = 16 << 20;

/// Makes a large page of small ones (madvise(2), Linux 6.1); the libc crate does not have it.
const MADV_COLLAPSE: i32 = 25;

/// How much memory the kernel is asked for at a time: page by page, as it is touched, costs more.
const STEP: usize = 64 << 10;
/// A large page of the host. It costs the kernel what 70 small ones cost, and one entry of the processor's tables.
const LARGE: usize = 2 << 20;
/// So much is filled before the first large page: small programs need no more.
const HEAD: usize = 256 << 10;
/// Bytes of a block of slots: whole pages, as what is written must not lie beside code.
const SLOTS: usize = 16 << 10;
/// A half has a count for so many of its bytes, a slot and the least code that comes with it.
const BYTES_PER_COUNT: usize = 64;
/// Bytes of a block of code that is hardly ever run: beside what runs, it would take room in the processor's caches.
const FAR: usize = 16 << 10;

impl Half {
    fn new(range: Range<usize>, counts: Range<usize>) -> Half {
        let (start, end) = (range.start, range.end);
        let units = Units::of(end - start);
        let all_counts = counts.clone();
        Half {
            range,
            end: start,
            ready: start,
            slots: 0..0,
            far: 0..0,
            all_counts,
            counts,
            code_bytes: 0,
            units,
            waiting: Waiting::default(),
        }
    }
}

/// What becomes of the [`HEAD`] of a process that forks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Head {
    /// It stays in small pages.
    Kept,
    /// It becomes a large page, too, which is more memory, and takes the kernel as long as some ten forks gain by it.
    Joined,
}

/// The mapping and its halves.
#[derive(Debug)]
pub struct Arena {
    base: NonNull<u8>,
    size: usize,
    /// Large pages begin here.
    large: usize,
    /// What is being filled.
    current: Half,
    /// What is not: its code is on its way out of use, or out of use.
    other: Half,
    /// The change of the cache with which `other` went out of use.
    retired: u64,
    turns: u64,
    /// Code below this is shared with another process: what need not be changed there is not.
    shared: usize,
}

// SAFETY: the arena owns its mapping; all access goes through `&mut self`, or to bytes that are not written again
// before everybody has left them.
unsafe impl Send for Arena {}

impl Arena {
    /// Maps the arena of the process's code cache, of `size` bytes. Relative jumps reach across it.
    pub fn new(size: usize) -> io::Result<Arena> {
        let counts = size_of::<AtomicI32>();
        let half = (size / 2 / (BYTES_PER_COUNT + counts) * BYTES_PER_COUNT).next_multiple_of(4096);
        let mut arena = Arena::map(half, half)?;
        if half >= 4 * LARGE {
            arena.use_large_pages();
        }
        let start = arena.base.as_ptr() as u64;
        BOUNDS[0].store(start, Ordering::Relaxed);
        BOUNDS[1].store(start + arena.size as u64, Ordering::Relaxed);
        Ok(arena)
    }

    /// Maps two halves of so many bytes, and their counts.
    pub(super) fn map(first: usize, second: usize) -> io::Result<Arena> {
        let [counts, more] =
            [first, second].map(|half| (half / BYTES_PER_COUNT * size_of::<AtomicI32>()).next_multiple_of(4096));
        let size = counts + more + first + second;
        let protection = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a fresh mapping at an address of the kernel's choice disturbs nothing.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), size, protection, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).expect("mmap does not map address 0 by itself");
        EMPTY_JUMP_CACHE.prepare();
        // Counts in front, in small pages with the first code.
        let both = counts + more;
        let middle = both + first;
        let (current, other) = (Half::new(both..middle, 0..counts), Half::new(middle..size, counts..both));
        Ok(Arena { base, size, large: size, current, other, retired: 0, turns: 0, shared: 0 })
    }

    /// Has the kernel provide large pages, if it can, behind the first [`HEAD`] bytes.
    fn use_large_pages(&mut self) {
        // No counts are in the large page that the head may become.
        let start = self.current.range.start + LARGE - HEAD;
        let start = start + (LARGE - HEAD).wrapping_sub(self.base.as_ptr() as usize + start) % LARGE;
        self.current = Half::new(start..self.current.range.end, self.current.counts.clone());
        self.large = start + HEAD;
        // Parts of a mapping that was in use are one again once the kernel is told the same of both.
        self.row(0).store(0, Ordering::Relaxed);
        self.advise(0..self.large, libc::MADV_NOHUGEPAGE);
        self.advise(self.large..self.size, libc::MADV_HUGEPAGE);
    }

    /// Makes large pages whole that were cut where a fork's parent or child wrote to them, if the kernel can do that: the
    /// next fork copies one entry for each instead of 512. With the head, what lies in small pages becomes a large one.
    pub fn join_pages(&mut self, head: Head) {
        let page = |at: usize| at - (self.base.as_ptr() as usize + at) % LARGE;
        let first = page(self.current.range.start);
        if head == Head::Joined && self.large == first + LARGE {
            self.large = first;
            self.advise(first..first + LARGE, libc::MADV_HUGEPAGE);
        }
        let first = first.max(self.large);
        let end = page((self.current.end + LARGE - 1).min(self.current.range.end));
        if first < end {
            self.advise(first..end, MADV_COLLAPSE);
        }
    }

    /// Bytes that are free in the half that is being filled.
    pub fn room(&self) -> usize {
        self.current.range.end - self.current.end
    }

    /// Hands out so many bytes of the half that is being filled, or `None` when it is full.
    fn take(&mut self, size: usize, alignment: usize) -> Option<usize> {
        let start = self.current.end.next_multiple_of(alignment);
        let end = start.checked_add(size).filter(|&end| end <= self.current.range.end)?;
        if end > self.current.ready {
            let ready = end.next_multiple_of(STEP).min(self.current.range.end);
            self.advise(self.current.ready..ready, libc::MADV_POPULATE_WRITE);
            self.current.ready = ready;
        }
        self.current.end = end;
        END.store(self.base.as_ptr() as u64 + end as u64, Ordering::Relaxed);
        Some(start)
    }

    /// The change of the cache that every thread must have followed before [`Arena::turn`].
    pub fn retired(&self) -> u64 {
        self.retired
    }

    /// Starts to fill the other half, whose old code nobody is in; the present one goes out of use with `change`.
    pub fn turn(&mut self, change: u64) {
        let fresh = Half::new(self.other.range.clone(), self.other.all_counts.clone());
        self.other = std::mem::replace(&mut self.current, fresh);
        self.retired = change;
        self.turns += 1;
        self.shared = 0;
    }

    /// Another process has copies of all pages that are in use now, which it or this one pays for when they change.
    pub fn share(&mut self) {
        self.shared = self.current.end;
    }

    /// Copies in what was translated from `pc` and gives its address, or `None` when this half is full.
    pub fn add_code(&mut self, pc: u64, code: &mut Code, maker: Maker) -> Option<u64> {
        let far = self.take_far(code.far)?;
        let near = code.near();
        let start = self.take(near, alignment(maker))?;
        self.current.code_bytes += code.bytes.len();
        let address = self.base.as_ptr() as u64 + start as u64;
        code.relocate_parts(address, self.base.as_ptr() as u64 + far as u64);
        self.aim(code, start, maker);
        self.current.units.add(address, near, maker, pc, &code.faults);
        for (at, part) in [(start, &code.bytes[..near]), (far, &code.bytes[near..])] {
            // SAFETY: that much lies there in the mapping, in nothing handed out of this half before, and nobody is in
            // what was there in the past, so nobody executes it.
            unsafe { self.base.add(at).copy_from_nonoverlapping(NonNull::from(part).cast(), part.len()) };
        }
        Some(address)
    }

    /// Hands out so many bytes for code that is hardly ever run.
    fn take_far(&mut self, size: usize) -> Option<usize> {
        if self.current.far.len() < size {
            let block = FAR.max(size);
            let start = self.take(block, 64)?;
            self.current.far = start..start + block;
        }
        let start = self.current.far.start;
        self.current.far.start += size;
        Some(start)
    }

    /// Makes exits of code that is to be placed at a distance from the start go straight to where there is code, and notes
    /// those to where there may be some later.
    fn aim(&mut self, code: &mut Code, start: usize, maker: Maker) {
        let to = match maker {
            Maker::Baseline => Entry::Register,
            Maker::Cranelift | Maker::Watched => Entry::Memory,
        };
        for exit in &code.exits {
            // SAFETY: whoever compiled the code was given the slot by this cache, under the lock that is still held.
            let slot = unsafe { SlotPointer::from_address(exit.slot) };
            let field = start + exit.offset as usize;
            match slot.entry(to, self) {
                Some(entry) => {
                    let distance = self.distance(field, entry).to_le_bytes();
                    code.bytes[exit.offset as usize..][..4].copy_from_slice(&distance);
                }
                None => self.current.waiting.add(slot, field as u32, to),
            }
        }
    }

    /// What a field at a distance from the start of the arena holds that leads to an address in it.
    fn distance(&self, field: usize, to: u64) -> i32 {
        (to.wrapping_sub(self.base.as_ptr() as u64 + field as u64 + 4) as i64) as i32
    }

    /// Makes the exits that have waited for code at a slot go there; those that it is no code for wait on.
    pub fn aim_waiting(&mut self, slot: SlotPointer) {
        let mut others = Vec::new();
        while let Some(waiter) = self.current.waiting.take(slot) {
            let field = waiter.field() as usize;
            let Some(entry) = slot.entry(waiter.to(), self) else {
                others.push(waiter);
                continue;
            };
            if field < self.shared {
                continue;
            }
            let (row, shift) = (self.row(field & !7), 8 * (field & 7));
            let rest = row.load(Ordering::Relaxed) & !(u64::from(u32::MAX) << shift);
            let distance = self.distance(field, entry) as u32;
            row.store(rest | u64::from(distance) << shift, Ordering::Release);
        }
        others.into_iter().for_each(|waiter| self.current.waiting.add(slot, waiter.field(), waiter.to()));
    }

    /// Sends who comes to the register entry of a unit through its link slot.
    pub fn close(&self, unit: u32) {
        self.row(unit as usize).store(baseline::closed(self.head(unit)), Ordering::Release);
    }

    /// Sends who comes to the register entry of a unit to a bridge.
    pub fn replace(&self, unit: u32, bridge: u64) {
        let distance = (bridge.wrapping_sub(self.address(unit)) as i64) as i32;
        self.row(unit as usize).store(baseline::replaced(self.head(unit), distance), Ordering::Release);
    }

    /// Sends who comes straight to a region through the link slot that led to it.
    pub fn close_region(&self, Entrance { start, bridge }: Entrance) {
        for (entry, address) in [(Entry::Memory, start), (Entry::Register, bridge)] {
            let row = self.row(self.offset(address) as usize);
            let before = row.load(Ordering::Relaxed).to_le_bytes();
            row.store(bridge::closed(entry, before, (bridge - start) as usize), Ordering::Release);
        }
    }

    /// Lets those who come to the register entry of a unit in, whose link slot is this.
    pub fn open(&self, unit: u32, slot: SlotPointer) {
        let start = baseline::open(self.head(unit), self.address(unit), slot.count_address());
        self.row(unit as usize).store(start, Ordering::Release);
    }

    fn head(&self, unit: u32) -> [u8; baseline::HEAD] {
        let [low, high] = [0, 8].map(|at| u128::from(self.row(unit as usize + at).load(Ordering::Relaxed)));
        (high << 64 | low).to_le_bytes()
    }

    /// Eight bytes of code at a multiple of eight from the start, which processors read and write as one.
    fn row(&self, at: usize) -> &AtomicU64 {
        assert!(at.is_multiple_of(8) && at + 8 <= self.size);
        // SAFETY: they lie in the mapping, which is aligned to pages; code is written in no other way while it is in use.
        unsafe { self.base.add(at).cast::<AtomicU64>().as_ref() }
    }

    fn holds(&self, address: u64) -> bool {
        address.wrapping_sub(self.base.as_ptr() as u64) < self.size as u64
    }

    /// Tells the kernel how to provide the pages of a range, and when; it does what it can.
    fn advise(&self, range: Range<usize>, advice: i32) {
        // SAFETY: the range lies in the mapping, whose bytes stay as they are.
        unsafe { libc::madvise(self.base.add(range.start).as_ptr().cast(), range.len(), advice) };
    }

    /// How far a host address in it is from its start.
    pub fn offset(&self, address: u64) -> u32 {
        (address - self.base.as_ptr() as u64) as u32
    }

    /// The host address so far from its start.
    pub fn address(&self, offset: u32) -> u64 {
        self.base.as_ptr() as u64 + u64::from(offset)
    }

    fn units_at(&self, host_pc: u64) -> &Units {
        let offset = host_pc.wrapping_sub(self.base.as_ptr() as u64) as usize;
        if self.current.range.contains(&offset) { &self.current.units } else { &self.other.units }
    }

    /// The access whose host instruction starts at a host address.
    pub fn fault_site(&self, host_pc: u64) -> Option<Site> {
        self.units_at(host_pc).fault_site(host_pc)
    }

    /// The guest address of what a host address lies in.
    pub fn unit_at(&self, host_pc: u64) -> Option<u64> {
        self.units_at(host_pc).unit_at(host_pc)
    }

    /// How many translations are in memory, stale ones included.
    pub fn units(&self) -> usize {
        self.current.units.count() + self.other.units.count()
    }

    /// Places a link slot, or gives `None` when this half is full.
    pub fn add_slot(&mut self, slot: LinkSlot) -> Option<SlotPointer> {
        if self.current.slots.is_empty() {
            let start = self.take(SLOTS, 4096)?;
            self.current.slots = start..start + SLOTS;
        }
        let count = self.current.counts.start;
        if count == self.current.counts.end {
            return None;
        }
        self.current.counts.start += size_of::<AtomicI32>();
        let start = self.current.slots.start;
        self.current.slots.start += size_of::<LinkSlot>();
        // SAFETY: start lies in the mapping, is aligned (the block's start and the slot's size are multiples of its
        // alignment), and nobody uses what was there before.
        unsafe {
            let to = self.base.add(start).cast::<LinkSlot>();
            to.write(LinkSlot { count: count.wrapping_sub(start) as i32, ..slot });
            Some(SlotPointer(to))
        }
    }

    /// How often the halves have changed places.
    pub fn turns(&self) -> u64 {
        self.turns
    }

    /// Whether so much of the half that is being filled is code of the past, `live` translations being in use, that
    /// translating those again costs less than keeping it all.
    pub fn is_mostly_dead(&self, live: usize) -> bool {
        self.code_bytes() >= MANY && self.current.units.count() / 4 > live
    }

    /// Bytes of code in the half that is being filled.
    pub fn code_bytes(&self) -> usize {
        self.current.code_bytes
    }
}

/// Executable memory for one piece of code that runs on its own.
#[derive(Debug)]
pub struct Scratch(Arena);

impl Scratch {
    /// Room for `size` bytes of code and link slots.
    pub fn new(size: usize) -> io::Result<Scratch> {
        Arena::map(size, 0).map(Scratch)
    }

    /// A link slot for exits to `pc`, which leads nowhere; null if there is no more room.
    pub fn add_slot(&mut self, pc: u64) -> *const LinkSlot {
        self.0.add_slot(LinkSlot::new(pc, resolver_address())).map_or(std::ptr::null(), SlotPointer::as_ptr)
    }

    /// Runs code, whose links are to slots of these, on these registers until it leaves.
    pub fn execute(&mut self, mut code: Code, maker: Maker, cpu: &mut CpuState) -> io::Result<()> {
        let pc = code.faults.first().map_or(0, |site| site.pc);
        let start = self.0.add_code(pc, &mut code, maker).ok_or(io::ErrorKind::OutOfMemory)?;
        cpu.ctl.jump_cache_mask = jump_cache_mask(LARGEST_JUMP_CACHE);
        cpu.ctl.jump_cache.store(EMPTY_JUMP_CACHE.address(), Ordering::Relaxed);
        // SAFETY: the code is whole and stays mapped while `self` lives; its only links go to the resolver.
        unsafe { enter(start as *const u8, cpu) };
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // SAFETY: nothing refers to the mapping any more.
        unsafe { libc::munmap(self.0.base.as_ptr().cast(), self.0.size) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use philae_backends::compiled::ExitSite;
    use philae_ir::Arch;

    /// Code of nothing but a jump, with a head before it that nobody runs.
    fn jump_to(slot: SlotPointer) -> Code {
        let exits = vec![ExitSite { offset: 24, slot: slot.as_ptr() as u64 }];
        Code { bytes: vec![0x90; 32], exits, ..Code::default() }
    }

    /// Where the exit leads of such code.
    fn aimed_at(arena: &Arena, code: u64) -> u64 {
        let field = arena.row(arena.offset(code) as usize + 24).load(Ordering::Relaxed) as u32;
        code.wrapping_add(28).wrapping_add_signed(i64::from(field as i32))
    }

    #[test]
    fn exits_go_straight_to_code_once_there_is_some() {
        let mut arena = Arena::map(1 << 20, 0).unwrap();
        let slots = [1, 2].map(|pc| arena.add_slot(LinkSlot::new(pc, 0)).unwrap());
        let add = |arena: &mut Arena, to: usize| arena.add_code(9, &mut jump_to(slots[to]), Maker::Baseline).unwrap();
        let nowhere = 0x9090_9090_u32;
        let early = [0, 0, 1].map(|to| add(&mut arena, to));
        for code in early {
            assert_eq!(arena.row(arena.offset(code) as usize + 24).load(Ordering::Relaxed) as u32, nowhere);
        }
        let unit = add(&mut arena, 1);
        slots[0].link_unit(unit);
        arena.aim_waiting(slots[0]);
        let late = add(&mut arena, 0);
        let entry = unit + REGISTER_ENTRY as u64;
        assert_eq!([early[0], early[1], late].map(|code| aimed_at(&arena, code)), [entry; 3]);
        assert_ne!(aimed_at(&arena, early[2]), entry);
        // What a child shares with its parent stays as it is.
        arena.share();
        slots[1].link_unit(late);
        arena.aim_waiting(slots[1]);
        assert_ne!(aimed_at(&arena, early[2]), late + REGISTER_ENTRY as u64);
        let new = add(&mut arena, 1);
        assert_eq!(aimed_at(&arena, new), late + REGISTER_ENTRY as u64);
        assert_eq!(arena.current.waiting.all.len(), 4);
    }

    #[test]
    fn regions_are_reached_straight_until_they_are_closed() {
        let mut arena = Arena::map(1 << 20, 0).unwrap();
        let slot = arena.add_slot(LinkSlot::new(1, 0)).unwrap();
        let add = |arena: &mut Arena, maker| arena.add_code(9, &mut jump_to(slot), maker).unwrap();
        let [unit, region] = [Maker::Baseline, Maker::Cranelift].map(|maker| add(&mut arena, maker));
        let early = aimed_at(&arena, region);
        slot.link_unit(unit);
        arena.aim_waiting(slot);
        assert_eq!(aimed_at(&arena, unit), unit + REGISTER_ENTRY as u64);
        assert_eq!(aimed_at(&arena, region), early, "a unit's memory entry goes out of use when a region comes");
        let mut code = jump_to(slot);
        let bridge = bridge::append(&mut code, Arch::Aarch64, slot.as_ptr()) as u64;
        let start = arena.add_code(9, &mut code, Maker::Cranelift).unwrap();
        slot.link(start, start + bridge);
        arena.replace(arena.offset(unit), start + bridge);
        arena.aim_waiting(slot);
        assert_eq!([region, start].map(|code| aimed_at(&arena, code)), [start; 2]);
        let late = [Maker::Baseline, Maker::Cranelift].map(|maker| add(&mut arena, maker));
        assert_eq!(late.map(|code| aimed_at(&arena, code)), [start + bridge, start]);
        let row = |at: u64| arena.row(arena.offset(at) as usize).load(Ordering::Relaxed).to_le_bytes();
        let [.., d0, d1, d2, d3] = row(unit);
        let distance = i32::from_le_bytes([d0, d1, d2, d3]);
        assert_eq!((row(unit)[3], (unit + 8).wrapping_add_signed(distance.into())), (0xe9, start + bridge));
        let entrance = slot.region(&arena).expect("it leads to a region");
        slot.unlink(0);
        arena.close_region(entrance);
        assert_eq!([start, start + bridge].map(|at| row(at)[0]), [0xe9; 2]);
    }
}
