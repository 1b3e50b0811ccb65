//! A guest thread: its registers, its kernel side, and what it needs to find translated code quickly.

use crate::cache::{Entry, Forgotten, Head, JumpCache, Presence, SlotPointer, end_of_code};
use crate::chaos::Chaos;
use crate::check::Check;
use crate::fault;
use crate::host;
use crate::runtime::Runtime;
use crate::tidings::Tidings;
use crate::trace::Clock;
use crate::translate::Workshop;
use philae_backends::baseline;
use philae_backends::interp::Interpreter;
use philae_ir::CpuState;
use philae_ir::went::Went;
use philae_syscalls::loan::{by_lender, is_borrower};
use philae_syscalls::{Task, signal};
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

const _: () = assert!(size_of::<Thread>() == 4096, "fork copies a page more");

/// The stack on which the host's signal handler runs.
const HANDLER_STACK: usize = 64 << 10;

/// A guest thread, on the host thread that runs it. It stays where it is: translated code and the signal handler
/// know its address. In one page: a child of fork copies what it writes to.
#[repr(align(4096))]
pub struct Thread {
    /// The registers.
    pub cpu: CpuState,
    /// The kernel side.
    pub task: Task,
    /// What it shares with the other threads of the process.
    pub runtime: Arc<Runtime>,
    /// Runs cold code.
    pub interpreter: Interpreter,
    /// Where blocks are translated.
    pub workshop: Workshop,
    /// Whether the last system call was interrupted and waits for [`signal::deliver`] to say how it goes on.
    pub restarts: bool,
    /// With `--chaos`, what disturbs it.
    pub chaos: Option<Chaos>,
    /// With `--check`, and unless it borrows another process's memory, what its process needs for that.
    pub check: Option<Arc<Check>>,
    /// What it counted; the process's counters get it when the thread ends.
    pub counts: Counts,
    /// Where it spent its time; the process's counters get that, too.
    pub clock: Clock,
    /// What it found in the code cache lately.
    pub table: Table,
    /// What it and its relatives tell each other to translate.
    pub tidings: Tidings,
    /// Whether flags of floating point are kept in its registers alone ([`philae_ir::Floats::Exact`]), and not in the
    /// host's units.
    pub keeps_float_flags: bool,
    /// Whether the last exit was through a link slot: such an address need not be remembered for indirect branches.
    pub through_link: bool,
    /// Where code ended at the last fork, and how many forks before had found it there.
    forks: (u64, u32),
    /// Where its baseline code notes where computed jumps go.
    pub went: Box<Went>,
    /// Another thread's again when this one is gone.
    jump_cache: ManuallyDrop<JumpCache>,
    presence: Presence,
    /// How many of the cache's changes its tables have followed.
    followed: u64,
    handler_stack: HandlerStack,
}

/// Counters that change too often to be shared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Blocks executed without code.
    pub without_code: u64,
    /// Entries into compiled code.
    pub entered: u64,
    /// Exits through link slots that were not linked.
    pub unlinked: u64,
    /// Look-ups in the code cache.
    pub misses: u64,
    /// System calls.
    pub system_calls: u64,
}

impl Thread {
    /// A thread that is to start with these registers.
    pub fn new(runtime: Arc<Runtime>, task: Task, mut cpu: CpuState) -> Box<Thread> {
        let workshop = Workshop::new(runtime.arch);
        baseline::prepare(&mut cpu.ctl, runtime.arch);
        let chaos = runtime.options.chaos.map(|seed| Chaos::new(seed, task.tid));
        let went = Box::<Went>::default();
        cpu.ctl.went = went.address();
        let (jump_cache, followed) = runtime.cache.take_jumps();
        Box::new(Thread {
            cpu,
            task,
            interpreter: Interpreter::default(),
            workshop,
            restarts: false,
            chaos,
            check: runtime.check.clone(),
            counts: Counts::default(),
            clock: Clock::new(runtime.options.stats.then(Instant::now)),
            table: Table::default(),
            tidings: Tidings::default(),
            keeps_float_flags: false,
            through_link: false,
            forks: (0, 0),
            went,
            jump_cache: ManuallyDrop::new(jump_cache),
            presence: Presence::outside(),
            followed,
            runtime,
            handler_stack: HandlerStack::new(),
        })
    }

    /// Before a fork: if there were some already between which no code was made, there will be more like them, and it
    /// pays to have little that a fork copies.
    pub fn expect_forks(&mut self) {
        const MANY: u32 = 4;
        let end = end_of_code();
        let (known, calm) = self.forks;
        self.forks = (end, if end == known { calm.saturating_add(1) } else { 0 });
        // Again after as many: what threads leave behind can be given back once they are gone.
        if self.forks.1 >= MANY && self.forks.1.is_power_of_two() && !is_borrower() {
            self.leave_little();
        }
    }

    /// What it needs of the stack would otherwise be between what each fork uses.
    #[cold]
    #[inline(never)]
    fn leave_little(&mut self) {
        const VERY_MANY: u32 = 16;
        let head = if self.forks.1 >= VERY_MANY { Head::Joined } else { Head::Kept };
        self.runtime.cache.join_pages(head);
        self.workshop = Workshop::new(self.runtime.arch);
        host::give_back_memory();
    }

    /// Makes the calling host thread the one that runs this thread.
    pub fn attach(&mut self) {
        self.handler_stack.install();
        self.runtime.cache.add_thread(&self.cpu.ctl, &self.presence);
        self.reset_jump_cache();
        fault::attach_thread(self);
        signal::attach_thread(&self.task, &self.cpu);
    }

    /// The calling host thread runs no guest thread any more.
    pub fn detach(&mut self) {
        signal::detach_thread();
        fault::detach_thread();
        self.handler_stack.uninstall();
        self.runtime.cache.remove_thread(&self.cpu.ctl);
        self.report_counts();
    }

    /// Once a child is gone that has run in this process's memory as this thread: forgets what it has built. That lies
    /// in its own heap, which is gone with it, or was half done when it was killed.
    pub fn forget_what_was_built(&mut self) {
        std::mem::forget(std::mem::take(&mut self.table));
        std::mem::forget(std::mem::take(&mut self.interpreter));
        std::mem::forget(std::mem::replace(&mut self.workshop, Workshop::new(self.runtime.arch)));
    }

    /// Adds this thread's counts to the process's.
    pub fn report_counts(&mut self) {
        let counts = std::mem::take(&mut self.counts);
        let stats = &self.runtime.stats;
        self.clock.report(stats);
        stats.without_code.add(counts.without_code);
        stats.entered.add(counts.entered);
        stats.unlinked.add(counts.unlinked);
        stats.misses.add(counts.misses);
        stats.system_calls.add(counts.system_calls);
    }

    /// Follows what the cache has forgotten, and undoes what made translated code leave.
    pub fn synchronise(&mut self) {
        loop {
            if self.runtime.cache.changes() != self.followed {
                self.follow_changes();
            }
            self.cpu.ctl.poll.store(0, Ordering::Release);
            self.reset_jump_cache();
            // The barrier in it: either the count below is the new one, or this thread is told to leave after this.
            self.presence.enter(self.followed);
            if self.runtime.cache.changes() == self.followed {
                return;
            }
        }
    }

    /// The thread uses no address of translated code until it synchronises.
    pub fn leave_translated_code(&self) {
        self.presence.leave();
    }

    fn follow_changes(&mut self) {
        let (forgotten, changes) = self.runtime.cache.forgotten_since(self.followed);
        match forgotten {
            Forgotten::Everything => {
                self.table.clear();
                by_lender(|| self.jump_cache.clear());
            }
            Forgotten::Addresses(all) => all.into_iter().for_each(|pc| self.table.remove(pc)),
        }
        // Not before: whoever takes over the jump cache of a child that was killed here must still clear it.
        self.followed = changes;
    }

    fn reset_jump_cache(&mut self) {
        if self.jump_cache.is_crowded() {
            by_lender(|| self.jump_cache.make_room());
        }
        self.cpu.ctl.jump_cache_mask = self.jump_cache.mask();
        self.cpu.ctl.jump_cache.store(self.jump_cache.address(), Ordering::Release);
    }

    /// The link slot of `pc`, if an indirect branch has been there lately.
    pub fn remembered_slot(&self, pc: u64) -> Option<SlotPointer> {
        self.jump_cache.get(pc)
    }

    /// Makes indirect branches to `pc` find its link slot without leaving translated code.
    pub fn remember_slot(&mut self, pc: u64, slot: SlotPointer) {
        self.jump_cache.insert(pc, slot);
        if self.jump_cache.is_crowded() {
            // Whoever points translated code to the empty table must not find another one in its place: the table
            // grows where the thread synchronises.
            self.cpu.ctl.poll.store(1, Ordering::Release);
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // SAFETY: the thread does not use it any more.
        let jump_cache = unsafe { ManuallyDrop::take(&mut self.jump_cache) };
        self.runtime.cache.give_jumps(jump_cache, self.followed);
    }
}

/// A direct-mapped table from guest addresses to entries of the code cache. It has no room before something is put
/// into it.
#[derive(Debug, Default)]
pub struct Table(Vec<Option<Arc<Entry>>>);

impl Table {
    const BITS: u32 = 14;

    /// Fibonacci hashing: programs and libraries lie at like distances.
    fn index(pc: u64) -> usize {
        (pc.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - Table::BITS)) as usize
    }

    /// The entry at `pc`, if it is here.
    pub fn get(&self, pc: u64) -> Option<&Entry> {
        let entry = self.0.get(Table::index(pc))?.as_deref()?;
        (entry.pc == pc).then_some(entry)
    }

    /// Puts an entry in the place of whatever is there.
    pub fn insert(&mut self, entry: Arc<Entry>) -> &Entry {
        if self.0.is_empty() {
            self.0.resize(1 << Table::BITS, None);
        }
        let index = Table::index(entry.pc);
        self.0[index].insert(entry)
    }

    fn remove(&mut self, pc: u64) {
        if self.get(pc).is_some() {
            self.0[Table::index(pc)] = None;
        }
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

/// The alternate stack of a host thread, unmapped with it; a thread that goes on uninstalls it before.
struct HandlerStack(NonNull<u8>);

// SAFETY: it owns its mapping, which any thread may install or unmap.
unsafe impl Send for HandlerStack {}

impl HandlerStack {
    fn new() -> HandlerStack {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a fresh mapping at an address of the kernel's choice disturbs nothing.
        let base = unsafe {
            libc::mmap(std::ptr::null_mut(), HANDLER_STACK, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
        };
        assert_ne!(base, libc::MAP_FAILED, "no memory for a signal stack");
        HandlerStack(NonNull::new(base.cast()).expect("mmap does not map address 0 by itself"))
    }

    /// Makes it the calling host thread's.
    fn install(&self) {
        let stack = libc::stack_t { ss_sp: self.0.as_ptr().cast(), ss_flags: 0, ss_size: HANDLER_STACK };
        // SAFETY: the mapping lives until the thread that uses it has ended or blocked all signals.
        unsafe { libc::sigaltstack(&stack, std::ptr::null_mut()) };
    }

    /// Leaves the calling host thread without one.
    fn uninstall(&self) {
        let none = libc::stack_t { ss_sp: std::ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
        // SAFETY: the handler then runs on the stack of what it interrupts.
        unsafe { libc::sigaltstack(&none, std::ptr::null_mut()) };
    }
}

impl Drop for HandlerStack {
    fn drop(&mut self) {
        // SAFETY: the thread that used it has uninstalled it, or is gone.
        unsafe { libc::munmap(self.0.as_ptr().cast(), HANDLER_STACK) };
    }
}
