//! What a Philae tells others of the process that it runs, and the host does not know: they read it in its memory.
//!
//! In: from the calling process, each of these whenever it changes. Out: those of another process that the same Philae
//! program runs, as of now. A process that runs in its parent's memory tells nothing: its parent's are there.

use crate::host;
use crate::loan;
use crate::signal::SIG_IGN;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

/// How many descriptors of Philae's own are told of.
const DESCRIPTORS: usize = 8;

static SHOWN: Shown = Shown {
    heap: AtomicU64::new(0),
    caught_faults: AtomicU64::new(0),
    ignored_faults: AtomicU64::new(0),
    thread: AtomicU32::new(0),
    descriptors: [const { AtomicI32::new(-1) }; DESCRIPTORS],
};

#[repr(C)]
struct Shown {
    heap: AtomicU64,
    caught_faults: AtomicU64,
    ignored_faults: AtomicU64,
    thread: AtomicU32,
    descriptors: [AtomicI32; DESCRIPTORS],
}

/// The same, read in another process.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct Told {
    /// Where the guest's heap starts.
    pub(super) heap: u64,
    /// Which signals of faults the guest has handlers for; Philae has one for each.
    pub(super) caught_faults: u64,
    /// Which of these it ignores.
    pub(super) ignored_faults: u64,
    thread: u32,
    descriptors: [i32; DESCRIPTORS],
}

/// The guest's heap starts here.
pub(crate) fn set_heap(start: u64) {
    SHOWN.heap.store(start, Ordering::Relaxed);
}

/// What the guest does about this signal (a bit), of a fault: the address of its handler, SIG_IGN or SIG_DFL.
pub(crate) fn set_fault_handler(signal: u64, handler: u64) {
    if loan::is_borrower() {
        return;
    }
    for (set, has) in [(&SHOWN.caught_faults, handler > SIG_IGN), (&SHOWN.ignored_faults, handler == SIG_IGN)] {
        match has {
            true => set.fetch_or(signal, Ordering::Relaxed),
            false => set.fetch_and(!signal, Ordering::Relaxed),
        };
    }
}

/// The calling host thread is none of the guest's.
pub fn set_own_thread() {
    SHOWN.thread.store(host::gettid(), Ordering::Relaxed);
}

/// These descriptors are Philae's own.
pub(crate) fn set_descriptors(own: &[i32]) {
    let told = own.iter().copied().chain(std::iter::repeat(-1));
    SHOWN.descriptors.iter().zip(told).for_each(|(place, fd)| place.store(fd, Ordering::Relaxed));
}

impl Told {
    /// What another process tells; `program` is where that process, and this one, have Philae's program file. Nothing if
    /// this one may not look (`process_vm_readv(2)`).
    pub(super) fn by(process: u32, program: [u64; 2]) -> Option<Told> {
        let [theirs, ours] = program;
        let mut told = Told::default();
        let from = [(&raw const SHOWN as u64).wrapping_sub(ours).wrapping_add(theirs), size_of::<Told>() as u64];
        let to = [&raw mut told as u64, size_of::<Told>() as u64];
        let args = [u64::from(process), to.as_ptr() as u64, 1, from.as_ptr() as u64, 1, 0];
        // SAFETY: what is written to is as large as what is read, and takes any words.
        let read = unsafe { host::raw(libc::SYS_process_vm_readv, args) };
        (read == Ok(to[1])).then_some(told)
    }

    /// Philae's own thread in that process, if there is one now.
    pub(super) fn own_thread(&self, process: u32) -> Option<u32> {
        let path = format!("/proc/{process}/task/{}", self.thread);
        (self.thread != 0 && std::path::Path::new(&path).exists()).then_some(self.thread)
    }

    /// Philae's own descriptors in that process.
    pub(super) fn own_descriptors(&self) -> impl Iterator<Item = u32> {
        self.descriptors.into_iter().filter_map(|fd| u32::try_from(fd).ok())
    }
}
