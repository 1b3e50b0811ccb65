//! The host calls that Philae makes for itself, not for the guest, and that the standard library does not have.

use super::MOVED;
use super::free_stacks;
use philae_syscalls::host as kernel;
use std::ffi::{CStr, CString, OsStr, c_char};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::AtomicU32;

/// A page of the host.
const PAGE: usize = 4096;

/// Takes over a descriptor that a parent Philae has left for this process alone.
pub fn adopt_descriptor(fd: i32) -> File {
    // SAFETY: the parent made the descriptor for this purpose; nothing else in this process knows it.
    unsafe { File::from_raw_fd(fd) }
}

/// An anonymous file that survives execve (`memfd_create(2)`).
pub fn anonymous_file(name: &CStr) -> io::Result<File> {
    // SAFETY: the name is a string.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), 0) };
    if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(adopt_descriptor(fd)) }
}

/// The same file at a descriptor of at least `least`, closed by execve; or as it was if there is no room.
pub fn move_above(file: File, least: i32) -> File {
    // SAFETY: duplicating a descriptor that is ours.
    let high = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, least) };
    if high < 0 { file } else { adopt_descriptor(high) }
}

/// Whether execve closes a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AcrossExec {
    /// It stays open.
    Kept,
    /// It is closed.
    Closed,
}

/// Says what execve does to a descriptor.
pub fn set_across_exec(fd: i32, what: AcrossExec) {
    let flags = if what == AcrossExec::Kept { 0 } else { libc::FD_CLOEXEC };
    // SAFETY: the call changes a flag of a descriptor that is ours.
    unsafe { libc::fcntl(fd, libc::F_SETFD, flags) };
}

/// `execveat(2)`; comes back with the error.
pub fn execute(directory: i32, path: &CStr, argv: &[CString], envp: &[CString], flags: i32) -> io::Error {
    let pointers = |strings: &[CString]| {
        let mut all: Vec<*const c_char> = strings.iter().map(|string| string.as_ptr()).collect();
        all.push(std::ptr::null());
        all
    };
    let (argv, envp) = (pointers(argv), pointers(envp));
    // SAFETY: the arrays end in null and their strings are alive.
    unsafe { libc::syscall(libc::SYS_execveat, directory, path.as_ptr(), argv.as_ptr(), envp.as_ptr(), flags) };
    io::Error::last_os_error()
}

/// A random number of the kernel's (`getrandom(2)`); `None` where it has none yet.
pub fn random_number() -> Option<u64> {
    let mut bytes = [0; 8];
    // SAFETY: the call fills the bytes.
    let length = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), libc::GRND_NONBLOCK) };
    (length == 8).then(|| u64::from_le_bytes(bytes))
}

/// The path that Philae was executed by (AT_EXECFN), for when there is no /proc.
pub fn own_name() -> PathBuf {
    // SAFETY: AT_EXECFN points to a string for as long as the process lives.
    let name = unsafe {
        let address = libc::getauxval(libc::AT_EXECFN);
        (address != 0).then(|| CStr::from_ptr(address as *const c_char))
    };
    name.map_or_else(PathBuf::new, |name| PathBuf::from(OsStr::from_bytes(name.to_bytes())))
}

/// Whether the kernel knows a thread of this process by this id (`tgkill(2)` with signal 0).
pub fn has_thread(tid: u32) -> bool {
    // SAFETY: no signal is sent.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, 0) == 0 }
}

unsafe extern "C" {
    fn pthread_getcpuclockid(thread: libc::pthread_t, clock: *mut libc::clockid_t) -> i32;
}

/// The id of a thread of the C library's that has not ended, whose clock the kernel names by it (`pthread_getcpuclockid(3)`;
/// `clock_getcpuclockid(3)`, notes: the bits above the lowest three, inverted).
pub fn thread_id(thread: libc::pthread_t) -> Option<u32> {
    let mut clock = 0;
    // SAFETY: the thread's handle is valid as long as nobody joined or detached it; the clock is writable.
    let error = unsafe { pthread_getcpuclockid(thread, &mut clock) };
    (error == 0).then_some(!(clock >> 3) as u32)
}

/// Sleeps until somebody wakes those who wait for this word, if it holds `value`; may come back early (`futex(2)`).
pub fn wait_while(word: &AtomicU32, value: u32) {
    let none: *const libc::timespec = std::ptr::null();
    // SAFETY: the word is alive as long as the call lasts.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, value, none) };
}

/// Wakes everybody who waits for this word.
pub fn wake_all(word: &AtomicU32) {
    // SAFETY: the kernel only uses the address.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
}

/// Ends the process, all its threads, with this status.
pub fn exit_process(status: i32) -> ! {
    let args = [status as u64, 0, 0, 0, 0, 0];
    loop {
        // SAFETY: nothing of this process is used afterwards; exit handlers of the C library are none of the guest's.
        let _ = unsafe { kernel::raw(libc::SYS_exit_group, args) };
    }
}

/// Has the C library's allocator make do with the memory of two: one more for each thread that allocates is what fork
/// copies and nobody gives back. Before there are threads.
pub fn limit_allocator() {
    const MOST: i32 = 2;
    // SAFETY: the call changes a number that the allocator reads when it makes another arena.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, MOST) };
}

/// Bytes of heap that every start uses.
const FIRST_HEAP: usize = 192 << 10;
/// Bytes of stack that every start uses.
const FIRST_STACK: usize = 48 << 10;

/// Has the kernel provide the memory that every start touches in two calls, as each page costs seven times as much if it
/// is provided when it is touched. Before anything is allocated.
pub fn prepare_memory() {
    // SAFETY: the call changes a number that the allocator reads when it extends the heap.
    unsafe { libc::mallopt(libc::M_TOP_PAD, FIRST_HEAP as i32) };
    let first = Box::new(0u8);
    let (heap, stack) = (&raw const *first as usize, &raw const first as usize);
    for range in [heap & !(PAGE - 1)..heap + FIRST_HEAP, stack - FIRST_STACK..stack] {
        let start = range.start & !(PAGE - 1);
        // SAFETY: what the pages hold stays; of pages that are not there, nothing is made.
        unsafe {
            libc::madvise(start as *mut libc::c_void, (range.end & !(PAGE - 1)) - start, libc::MADV_POPULATE_WRITE)
        };
    }
}

/// Bytes of stack below the caller's frame that calls to come soon may use.
const NEAR_STACK: usize = 8 << 10;

/// Gives back what memory the process has and does not use: free pages of the heap, stacks of threads that are gone, and
/// what this thread's stack held in deeper calls. Whoever calls it has time.
pub fn give_back_memory() {
    if kernel::is_alone() {
        free_stacks();
    }
    // SAFETY: the allocator gives back free memory alone.
    unsafe { libc::malloc_trim(0) };
    let here = 0u8;
    let end = (&raw const here as usize - NEAR_STACK) & !(PAGE - 1);
    // SAFETY: nothing that is in use lies below this frame, and the stacks of Philae's threads reach far below it.
    unsafe { libc::madvise((end - FIRST_STACK) as *mut libc::c_void, FIRST_STACK, libc::MADV_DONTNEED) };
}

/// Ends the calling thread alone; the process goes on.
pub fn exit_thread() -> ! {
    loop {
        // SAFETY: the thread's guest side is gone, and nothing of its host side is used afterwards.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    }
}

/// Puts code at `place`, or in a page of its own where that is 0; gives its place, or `None` where there is no memory.
/// Async-signal-safe.
pub fn put_moved_code(place: u64, code: &[u8; MOVED]) -> Option<u64> {
    let mut page = place as *mut libc::c_void;
    if page.is_null() {
        let all = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
        // SAFETY: a fresh mapping at an address of the kernel's choice disturbs nothing.
        page = unsafe { libc::mmap(page, PAGE, all, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) };
    }
    if page == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: the page is the calling thread's, which does not execute it now.
    unsafe { page.cast::<[u8; MOVED]>().write(*code) };
    Some(page as u64)
}

/// Gives the page back, if there is one.
pub fn unmap_moved_code(place: u64) {
    if place != 0 {
        // SAFETY: the page is the calling thread's, which does not execute it any more.
        unsafe { libc::munmap(place as *mut libc::c_void, PAGE) };
    }
}
