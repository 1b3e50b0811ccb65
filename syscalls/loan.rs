//! Memory on loan: what a child of vfork, which runs in its parent's memory and may be killed at any instruction, leaves
//! to the host thread that waits for it.
//!
//! In: from the child, closures that take locks or build what others will find ([`by_lender`]). Out: their results; to
//! the lender, that the child is gone. The lender waits on a futex that the kernel clears when the child has left the
//! memory, by exec, exit or a signal (`CLONE_CHILD_CLEARTID`).
//!
//! What must hold: the child takes none of the locks that it shares with its parent, and allocates nothing in the C
//! library's heap: it has a heap of its own beside its stack ([`Allocator`]), nothing of which outlives the loan. Then
//! wherever it is killed, nothing of its parent's is half done. Child and lender have the same thread-local data: of the
//! two, only one runs at a time, and the other waits in the kernel.

use crate::allocator::Side;
use crate::errno::Errno;
use crate::host;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The word's values: the child has left (the kernel writes that), it runs, it waits for the lender, it runs while the
/// lender holds locks for it.
const GONE: u32 = 0;
const RUNS: u32 = 1;
const ASKS: u32 = 2;
const HELD: u32 = 3;

/// Bytes of a place, and of the stack at its low end, whose lowest page is not accessible.
const PLACE: u64 = 32 << 20;
const STACK: u64 = 2 << 20;
const PAGE: u64 = 4096;
/// How many children can run in one memory; the next one waits.
const PLACES: u32 = 16;

/// Where the places are, once one was needed, and which are taken.
static BASE: AtomicU64 = AtomicU64::new(0);
static TAKEN: AtomicU32 = AtomicU32::new(0);

thread_local! {
    // `const` and without a destructor: read by the allocator and in signal handlers.
    static LOAN: Cell<*const Loan> = const { Cell::new(ptr::null()) };
}

type Request = (unsafe fn(*mut libc::c_void), *mut libc::c_void);

/// One child's loan.
pub(crate) struct Loan {
    word: AtomicU32,
    request: Cell<Option<Request>>,
    place: u64,
    /// What is free of the child's heap, and what was allocated last.
    free: Cell<u64>,
    last: Cell<u64>,
    /// The lender's own loan, if it is a child of vfork itself, and who it is.
    outer: *const Loan,
    lender: [u32; 2],
    /// The child's id, once the lender knows it.
    child: Cell<u32>,
}

/// Does the calling thread run in memory that another process lends it?
pub fn is_borrower() -> bool {
    !LOAN.get().is_null()
}

/// Calls `f`: at once, or, in a child of vfork, on the host thread that waits for the child. That thread finishes what it
/// has begun though the child be killed meanwhile. Async-signal-safe if `f` is.
pub fn by_lender<R>(f: impl FnOnce() -> R) -> R {
    let loan = LOAN.get();
    if loan.is_null() {
        return f();
    }
    let mut job = Job { call: Some(f), result: None };
    // SAFETY: the loan lasts as long as its child, which is the caller; the job is not touched here until it is done.
    unsafe { (*loan).ask((run_job(&job), (&raw mut job).cast())) };
    job.result.expect("the lender has called it")
}

struct Job<F, R> {
    call: Option<F>,
    result: Option<R>,
}

fn run_job<F: FnOnce() -> R, R>(_: &Job<F, R>) -> unsafe fn(*mut libc::c_void) {
    unsafe fn run<F: FnOnce() -> R, R>(job: *mut libc::c_void) {
        // SAFETY: `by_lender` passes its own job, and waits.
        let job = unsafe { &mut *job.cast::<Job<F, R>>() };
        job.result = job.call.take().map(|call| call());
    }
    run::<F, R>
}

/// Clones the calling process, which runs on a loan, while the lender holds for it what must be free in the copy: the
/// copy gives back its own, the lender the original's, though the caller be killed meanwhile.
pub(crate) fn clone_with<H, F: FnOnce() -> H, G: Fn(H, Side)>(
    take: F,
    clone: impl FnOnce() -> Result<u32, Errno>,
    give_back: G,
) -> Result<u32, Errno> {
    // SAFETY: the loan lasts as long as its child, which is the caller.
    let loan = unsafe { &*LOAN.get() };
    let mut held = Held { loan, take: Some(take), held: None, give_back };
    // What is held lies here, where both find it; the caller stays until the lender is done with it.
    loan.ask((hold::<H, F, G>, (&raw mut held).cast()));
    let child = clone();
    if child == Ok(0) {
        held.give_back(Side::Child);
    } else {
        loan.ask_again();
    }
    child
}

struct Held<'a, H, F, G> {
    loan: &'a Loan,
    take: Option<F>,
    held: Option<H>,
    give_back: G,
}

impl<H, F, G: Fn(H, Side)> Held<'_, H, F, G> {
    fn give_back(&mut self, side: Side) {
        self.held.take().into_iter().for_each(|held| (self.give_back)(held, side));
    }
}

/// What the lender does: takes, waits until the child asks again or is gone, and gives back.
unsafe fn hold<H, F: FnOnce() -> H, G: Fn(H, Side)>(held: *mut libc::c_void) {
    // SAFETY: `clone_with` passes its own, and does not touch it between `ask` and `ask_again`, but in a copy.
    let held = unsafe { &mut *held.cast::<Held<'_, H, F, G>>() };
    held.held = held.take.take().map(|take| take());
    held.loan.let_run_while_held();
    held.give_back(Side::Parent);
}

/// A process of its own, copied from one that ran on a loan, has its memory for itself.
pub(crate) fn become_owner() {
    // What is written to is a page to copy.
    if is_borrower() {
        LOAN.set(ptr::null());
    }
}

impl Loan {
    /// A place for a child. Until [`Loan::serve`] comes back, or the loan is dropped, the calling thread's thread-local
    /// data is the child's.
    pub(crate) fn new() -> Result<Loan, Errno> {
        let outer = LOAN.get();
        let place = take_place()?;
        let heap = place + STACK;
        let lender = [host::getpid(), host::gettid()];
        let (word, request) = (AtomicU32::new(RUNS), Cell::new(None));
        let (free, last, child) = (Cell::new(heap), Cell::new(0), Cell::new(0));
        Ok(Loan { word, request, place, free, last, outer, lender, child })
    }

    /// The address that the kernel clears.
    pub(crate) fn word(&self) -> u64 {
        self.word.as_ptr() as u64
    }

    /// The upper end of the child's stack.
    pub(crate) fn stack(&self) -> u64 {
        self.place + STACK
    }

    /// The calling thread's data is the child's from now on.
    pub(crate) fn begin(&self) {
        LOAN.set(self);
    }

    /// It is the thread's own again.
    pub(crate) fn end(&self) {
        LOAN.set(self.outer);
    }

    /// Does what the child of this id asks for until it is gone.
    pub(crate) fn serve(&self, child: u32) {
        self.child.set(child);
        while self.wait_while(RUNS) == ASKS {
            self.answer();
        }
        self.end();
    }

    /// Waits until the word is another one or the child is gone; says which it is then.
    fn wait_while(&self, state: u32) -> u32 {
        loop {
            match self.word.load(Ordering::Acquire) {
                now if now != state => return now,
                _ => wait(&self.word, state),
            }
            if self.word.load(Ordering::Acquire) == state && has_left(self.child.get()) {
                return GONE;
            }
        }
    }

    /// On the lender's side, in the middle of an answer: lets the child run until it asks again.
    fn let_run_while_held(&self) {
        let lenders = LOAN.replace(self);
        if self.word.compare_exchange(ASKS, HELD, Ordering::Release, Ordering::Relaxed).is_ok() {
            wake(&self.word);
            self.wait_while(HELD);
        }
        LOAN.set(lenders);
    }

    fn answer(&self) {
        if let Some((call, data)) = self.request.take() {
            LOAN.set(self.outer);
            // SAFETY: the child has left the call and its data, which lies in the loan's place, and waits.
            by_lender(|| unsafe { call(data) });
            LOAN.set(self);
        }
        // The kernel's word that it is gone meanwhile stays.
        if self.word.compare_exchange(ASKS, RUNS, Ordering::Release, Ordering::Relaxed).is_ok() {
            wake(&self.word);
        }
    }

    fn ask(&self, request: Request) {
        self.request.set(Some(request));
        self.ask_again();
    }

    /// Lets the lender do what it is asked for, or go on with it, while this child waits.
    fn ask_again(&self) {
        self.word.store(ASKS, Ordering::Release);
        wake(&self.word);
        while self.word.load(Ordering::Acquire) == ASKS {
            wait(&self.word, ASKS);
            if self.word.load(Ordering::Acquire) == ASKS && self.is_orphan() {
                // The lender was killed with its process, and what is to be done may be half done.
                // SAFETY: the child ends.
                let _ =
                    unsafe { host::raw(libc::SYS_kill, [u64::from(host::getpid()), libc::SIGKILL as u64, 0, 0, 0, 0]) };
            }
        }
    }

    fn is_orphan(&self) -> bool {
        let [pid, tid] = self.lender.map(u64::from);
        // SAFETY: signal 0 only asks.
        let asked = unsafe { host::raw(libc::SYS_tgkill, [pid, tid, 0, 0, 0, 0]) };
        asked == Err(Errno::ESRCH)
    }

    /// Memory of the child's own heap.
    fn allocate(&self, layout: Layout) -> *mut u8 {
        let start = self.free.get().next_multiple_of(layout.align() as u64);
        let end = start.saturating_add(layout.size() as u64);
        if end > self.place + PLACE {
            return ptr::null_mut();
        }
        self.free.set(end);
        self.last.set(start);
        start as *mut u8
    }

    /// More of it where it is, if nothing comes behind.
    fn extend(&self, address: u64, size: u64) -> bool {
        let end = address.saturating_add(size);
        let fits = address == self.last.get() && end <= self.place + PLACE;
        if fits {
            self.free.set(end);
        }
        fits
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        // SAFETY: the child is gone, and what it allocated with it.
        let _ = unsafe {
            host::raw(libc::SYS_madvise, [self.place + PAGE, PLACE - PAGE, libc::MADV_DONTNEED as u64, 0, 0, 0])
        };
        TAKEN.fetch_and(!(1 << ((self.place - BASE.load(Ordering::Relaxed)) / PLACE)), Ordering::Release);
    }
}

/// Does a process run in other memory than the caller's, or not at all? The kernel has not said so in the word if it was
/// told to say it elsewhere (`set_tid_address(2)`). No, if it does not tell (`kcmp(2)`).
fn has_left(process: u32) -> bool {
    const KCMP_VM: u64 = 1;
    let args = [u64::from(host::getpid()), u64::from(process), KCMP_VM, 0, 0, 0];
    // SAFETY: comparing changes nothing.
    match unsafe { host::raw(libc::SYS_kcmp, args) } {
        Ok(order) => order != 0,
        Err(error) => error == Errno::ESRCH,
    }
}

/// Waits while the word has this value, a second at most: the kernel's wake-up, which is not private, must be seen.
fn wait(word: &AtomicU32, value: u32) {
    let second = [1u64, 0];
    let args = [word.as_ptr() as u64, libc::FUTEX_WAIT as u64, u64::from(value), second.as_ptr() as u64, 0, 0];
    // SAFETY: both addresses are ours.
    let _ = unsafe { host::raw(libc::SYS_futex, args) };
}

fn wake(word: &AtomicU32) {
    // SAFETY: waking changes no memory.
    let _ = unsafe { host::raw(libc::SYS_futex, [word.as_ptr() as u64, libc::FUTEX_WAKE as u64, 1, 0, 0, 0]) };
}

/// The start of a place that nobody else has.
fn take_place() -> Result<u64, Errno> {
    let base = base()?;
    loop {
        let taken = TAKEN.load(Ordering::Relaxed);
        let index = taken.trailing_ones();
        if index == PLACES {
            std::thread::yield_now();
            continue;
        }
        if TAKEN.compare_exchange(taken, taken | 1 << index, Ordering::Acquire, Ordering::Relaxed).is_err() {
            continue;
        }
        let place = base + u64::from(index) * PLACE;
        let access = (libc::PROT_READ | libc::PROT_WRITE) as u64;
        // SAFETY: the place is this loan's. Its lowest page stops a stack that grows too far.
        return match unsafe { host::raw(libc::SYS_mprotect, [place + PAGE, PLACE - PAGE, access, 0, 0, 0]) } {
            Ok(_) => Ok(place),
            Err(error) => {
                TAKEN.fetch_and(!(1 << index), Ordering::Release);
                Err(error)
            }
        };
    }
}

/// Where the places are; reserves their addresses the first time.
fn base() -> Result<u64, Errno> {
    let known = BASE.load(Ordering::Acquire);
    if known != 0 {
        return Ok(known);
    }
    let kind = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE) as u64;
    let size = u64::from(PLACES) * PLACE;
    // SAFETY: a fresh mapping at an address of the kernel's choice disturbs nothing.
    let fresh = unsafe { host::raw(libc::SYS_mmap, [0, size, libc::PROT_NONE as u64, kind, u64::MAX, 0]) }?;
    match BASE.compare_exchange(0, fresh, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => Ok(fresh),
        Err(other) => {
            // SAFETY: nobody knows of it.
            let _ = unsafe { host::raw(libc::SYS_munmap, [fresh, size, 0, 0, 0, 0]) };
            Ok(other)
        }
    }
}

/// Is this in the heap of some child?
pub fn is_lent(address: u64) -> bool {
    let base = BASE.load(Ordering::Relaxed);
    base != 0 && address.wrapping_sub(base) < u64::from(PLACES) * PLACE
}

/// The C library's heap, but for children of vfork, each of which has its own, where nothing is ever freed: what they
/// allocate is little, and goes with them. What they free of their parents' stays: their parents' heap is not theirs to
/// change.
#[derive(Debug)]
pub struct Allocator;

// SAFETY: each block is the C library's, or lies in a child's heap alone, with the layout that was asked for.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let loan = LOAN.get();
        if loan.is_null() {
            // SAFETY: the caller's promise.
            return unsafe { System.alloc(layout) };
        }
        // SAFETY: the loan lasts as long as its child, which is the caller.
        unsafe { (*loan).allocate(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let loan = LOAN.get();
        if loan.is_null() {
            // SAFETY: the caller's promise.
            return unsafe { System.alloc_zeroed(layout) };
        }
        // SAFETY: as in `alloc`. A heap that shrinks at its end may have been written to.
        unsafe {
            let block = (*loan).allocate(layout);
            if !block.is_null() {
                block.write_bytes(0, layout.size());
            }
            block
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if LOAN.get().is_null() && !is_lent(block as u64) {
            // SAFETY: the caller's promise.
            unsafe { System.dealloc(block, layout) }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let loan = LOAN.get();
        if loan.is_null() && !is_lent(block as u64) {
            // SAFETY: the caller's promise.
            return unsafe { System.realloc(block, layout, size) };
        }
        // SAFETY: as in `alloc`; the caller's promise for the rest.
        unsafe {
            if !loan.is_null() && (*loan).extend(block as u64, size as u64) {
                return block;
            }
            let fresh = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !fresh.is_null() {
                fresh.copy_from_nonoverlapping(block, size.min(layout.size()));
            }
            fresh
        }
    }
}
