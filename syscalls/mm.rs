//! The guest's address space.
//!
//! In: memory calls of the guest and of the loader. Out: host mappings at addresses chosen here, and a map of
//! them with the protections that the guest asked for.
//!
//! Guest addresses are host addresses. Philae's own memory lies in a few ranges that are read once, with room
//! for it to grow, and never handed out: a rule, not a reservation. No guest page is executable on the host;
//! pages that the guest may execute are readable, so that they can be translated.
//!
//! What must hold: when executable memory changes, whoever translated it forgets that ([`Forget`]) before the lock of
//! the address space is free: nobody gets an address anew, or writes to a page that was watched, while the cache
//! still has what was there.

use crate::errno::Errno;
use crate::host;
use crate::loan::{self, by_lender};
use crate::vma::{Backing, Totals, Vma, VmaMap};
use crate::{proc, uaccess, vdso};
use philae_ir::{Arch, Guards};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// Bytes in a page of the guest, and of the host.
pub const PAGE: u64 = 4096;

/// The lowest address that is handed out (mmap_min_addr).
const LOWEST: u64 = 0x1_0000;
/// One past the highest user address of a 47-bit address space.
pub(crate) const HIGHEST: u64 = 0x7fff_ffff_f000;
/// Room on both sides of where the host kernel puts new mappings of ours.
const OWN_ROOM: u64 = 32 << 30;
/// More than the heap of Philae's C library has when the guest's address space is made, and room for it to grow.
const HEAP_START: u64 = 16 << 20;
const HEAP_ROOM: u64 = 1 << 30;
/// More than there is of the pages of code and data that the kernel gives every program.
const VDSO_ROOM: u64 = 64 << 10;
/// `getauxval(3)`, AT_SYSINFO_EHDR: where that code is. The libc crate does not have it.
const AT_SYSINFO_EHDR: u64 = 33;

const READ: u32 = libc::PROT_READ as u32;
const WRITE: u32 = libc::PROT_WRITE as u32;
const EXEC: u32 = libc::PROT_EXEC as u32;
const RWX: u32 = (libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC) as u32;
/// PROT_BTI of mprotect(2): branches to registers need landing pads there. Only on AArch64; whoever asks has it.
pub const PROT_BTI: u32 = 0x10;
/// PROT_SEM of mprotect(2), which means nothing on either machine.
const PROT_SEM: u32 = 0x8;
/// PROT_GROWSDOWN and PROT_GROWSUP of mprotect(2).
const PROT_GROWS: u32 = 0x0300_0000;

const MAP_FIXED: u32 = libc::MAP_FIXED as u32;
const MAP_FIXED_NOREPLACE: u32 = libc::MAP_FIXED_NOREPLACE as u32;
const MAP_ANONYMOUS: u32 = libc::MAP_ANONYMOUS as u32;
const MAP_TYPE: u32 = 0xf;
const MAP_PRIVATE: u32 = libc::MAP_PRIVATE as u32;
const MAP_SHARED_VALIDATE: u32 = libc::MAP_SHARED_VALIDATE as u32;
const MAP_32BIT: u32 = 0x40;

/// Rounds up to a whole page; None if that is beyond 64 bits.
pub(crate) fn page_up(value: u64) -> Option<u64> {
    Some(value.checked_add(PAGE - 1)? & !(PAGE - 1))
}

/// Forgets what was translated from a range of guest addresses. Called with the lock of the address space held.
pub type Forget = Box<dyn Fn(Range<u64>) + Send + Sync>;

/// The guest's address space.
#[derive(Debug)]
pub struct Mm {
    arch: Arch,
    space: Mutex<Space>,
    /// Whether `Space::lock_future` may say anything.
    locks_future: AtomicBool,
    sigreturn: AtomicU64,
    vdso: AtomicU64,
    /// Whether any page that can be executed is guarded, or was.
    has_guards: AtomicBool,
}

struct Space {
    forget: Forget,
    vmas: VmaMap,
    /// Philae's own memory, ascending.
    own: Vec<Range<u64>>,
    /// Guest mappings inside it, which the host kernel insists on placing itself.
    lent: Vec<Range<u64>>,
    /// Where the search for free addresses starts, downward.
    top: u64,
    brk: Brk,
    /// Pages that the guest may write and the host keeps read-only because code was translated from what they hold,
    /// each with the pages where that code is executed.
    watched: BTreeMap<u64, BTreeSet<u64>>,
    /// How often the guest was caught at writing to pages that it executes.
    caught: BTreeMap<u64, u32>,
    /// After mlockall(2) with MCL_FUTURE: how new mappings are locked, the flags of mlock2(2).
    lock_future: Option<u64>,
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Space").field("vmas", &self.vmas).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Brk {
    start: u64,
    end: u64,
}

impl Mm {
    /// An empty address space. Philae's own memory is what is mapped now.
    pub fn new(arch: Arch, forget: Forget) -> Arc<Mm> {
        let (own, top) = own_memory();
        let space = Space {
            forget,
            vmas: VmaMap::default(),
            own,
            lent: Vec::new(),
            top,
            brk: Brk::default(),
            watched: BTreeMap::new(),
            caught: BTreeMap::new(),
            lock_future: None,
        };
        Arc::new(Mm {
            arch,
            space: Mutex::new(space),
            locks_future: AtomicBool::new(false),
            sigreturn: AtomicU64::new(0),
            vdso: AtomicU64::new(0),
            has_guards: AtomicBool::new(false),
        })
    }

    /// The guest's machine.
    pub fn arch(&self) -> Arch {
        self.arch
    }

    /// The lock; a child of vfork never takes it.
    fn lock(&self) -> MutexGuard<'_, Space> {
        debug_assert!(!loan::is_borrower(), "a lock taken in lent memory");
        self.guard()
    }

    fn guard(&self) -> MutexGuard<'_, Space> {
        self.space.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// `mmap(2)`: `address` is a hint unless `flags` has MAP_FIXED or MAP_FIXED_NOREPLACE; `fd` is −1 with
    /// MAP_ANONYMOUS. Returns the address.
    pub fn map(&self, address: u64, length: u64, prot: u32, flags: u32, fd: i32, offset: u64) -> Result<u64, Errno> {
        if length == 0 {
            return Err(Errno::EINVAL);
        }
        let length = page_up(length).filter(|length| *length <= HIGHEST).ok_or(Errno::ENOMEM)?;
        let request = Request { length, prot, flags, fd, offset };
        let mut space = self.lock();
        let address = if flags & (MAP_FIXED | MAP_FIXED_NOREPLACE) != 0 {
            let range = space.fixed_range(address, length, flags)?;
            space.check_unsealed(&range)?;
            space.forget_code(&range);
            request.perform(range.start, 0)?;
            range.start
        } else {
            let below_2g = self.arch == Arch::X86_64 && flags & MAP_32BIT != 0;
            match space.place(address, length, below_2g, |at| request.perform_where_free(at)) {
                Err(Errno::EINVAL) if is_io_uring(fd) => space.borrow_room(&request)?,
                placed => placed?,
            }
        };
        let is_file = flags & MAP_ANONYMOUS == 0;
        // The parts of a library lie side by side.
        let beside = space.vmas.find(address).or_else(|| space.vmas.find(address.wrapping_sub(1)));
        let backing = is_file.then(|| Backing::of(fd, beside.and_then(|vma| vma.backing.as_ref()))).flatten();
        space.vmas.insert(Vma {
            range: address..address + length,
            prot: prot & self.protections(),
            shared: flags & MAP_TYPE != MAP_PRIVATE,
            backing,
            offset,
            sealed: false,
        });
        space.lock_new(&(address..address + length));
        self.note_guards(prot, &space);
        Ok(address)
    }

    /// Names a range in `/proc/self/maps`, such as `[stack]`.
    pub fn set_name(&self, range: Range<u64>, name: &str) {
        let mut space = self.lock();
        let backing = Arc::new(Backing { path: name.to_owned(), device: 0, inode: 0 });
        for part in space.vmas.parts(&range) {
            space.vmas.insert(Vma { backing: Some(backing.clone()), ..part });
        }
    }

    /// `munmap(2)`; pieces that are Philae's own are skipped.
    pub fn unmap(&self, address: u64, length: u64) -> Result<(), Errno> {
        let range = aligned_range(address, length, Errno::EINVAL)?;
        if range.is_empty() {
            return Err(Errno::EINVAL);
        }
        let mut space = self.lock();
        space.check_unsealed(&range)?;
        space.forget_code(&range);
        for piece in space.without_own(&range) {
            munmap(&piece)?;
        }
        space.vmas.remove(&range);
        space.take_back(&range);
        Ok(())
    }

    /// `mprotect(2)`.
    pub fn protect(&self, address: u64, length: u64, prot: u32) -> Result<(), Errno> {
        if prot & !(self.protections() | PROT_SEM | PROT_GROWS) != 0 {
            return Err(Errno::EINVAL);
        }
        let range = aligned_range(address, length, Errno::ENOMEM)?;
        let mut space = self.lock();
        if range.is_empty() {
            return Ok(());
        }
        if space.touches_own(&range) {
            return Err(Errno::ENOMEM);
        }
        if let Some(sealed) = space.vmas.parts(&range).into_iter().find(|vma| vma.sealed) {
            // The kernel goes from mapping to mapping.
            drop(space);
            self.protect(range.start, sealed.range.start - range.start, prot)?;
            return Err(Errno::EPERM);
        }
        space.forget_code(&range);
        let prot_word = u64::from(host_prot(prot & RWX) | prot & PROT_GROWS);
        // SAFETY: the range holds nothing of ours.
        let done = unsafe { host::raw(libc::SYS_mprotect, [range.start, range.end - range.start, prot_word, 0, 0, 0]) };
        let covered = space.vmas.covers(&range);
        match done {
            Err(Errno::ENOMEM) if !covered => {}
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        // The kernel changes what lies before the first hole, and says ENOMEM.
        let mut end = range.start;
        for part in space.vmas.parts(&range) {
            if part.range.start != end && done.is_err() {
                break;
            }
            end = part.range.end;
            space.vmas.insert(Vma { prot: prot & self.protections(), ..part });
        }
        self.note_guards(prot, &space);
        done.map(|_| ())
    }

    /// The protections that mappings of this guest keep.
    fn protections(&self) -> u32 {
        match self.arch {
            Arch::Aarch64 => RWX | PROT_BTI,
            Arch::X86_64 => RWX,
        }
    }

    /// After a mapping got this protection: what was translated before the first guarded page does not know how
    /// branches arrive.
    fn note_guards(&self, prot: u32, space: &Space) {
        let guards = prot & self.protections() & (EXEC | PROT_BTI) == EXEC | PROT_BTI;
        if guards && !self.has_guards.swap(true, Ordering::Release) {
            (space.forget)(0..u64::MAX);
        }
    }

    /// Whether there may be guarded pages, so that lifted code keeps PSTATE.BTYPE.
    pub fn has_guards(&self) -> bool {
        self.has_guards.load(Ordering::Acquire)
    }

    /// The guarded pages that the guest may execute.
    pub fn guards(&self) -> Guards {
        if self.has_guards() { Guards::Pages(by_lender(|| self.lock().vmas.guarded())) } else { Guards::Unknown }
    }

    /// `mremap(2)`.
    pub fn remap(&self, old: u64, old_length: u64, new_length: u64, flags: u32, new: u64) -> Result<u64, Errno> {
        let (may_move, fixed, keep) = (flags & 1 != 0, flags & 2 != 0, flags & 4 != 0);
        if flags & !7 != 0 || (fixed || keep) && !may_move || !old.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        let old_range = aligned_range(old, old_length, Errno::EINVAL)?;
        let new_length = page_up(new_length).filter(|length| *length <= HIGHEST).ok_or(Errno::EINVAL)?;
        if new_length == 0 {
            return Err(Errno::EINVAL);
        }
        let mut space = self.lock();
        if space.touches_own(&old_range) {
            return Err(Errno::EFAULT);
        }
        space.check_unsealed(&old_range)?;
        let length = old_range.end - old_range.start;
        let args = |flags: u64, to: u64| [old, length, new_length, flags, to, 0];
        if fixed {
            let target = space.fixed_range(new, new_length, MAP_FIXED)?;
            space.check_unsealed(&target)?;
            space.forget_code(&old_range);
            space.forget_code(&target);
            // SAFETY: neither range holds anything of ours.
            unsafe { host::raw(libc::SYS_mremap, args(u64::from(flags), target.start)) }?;
            space.moved(&old_range, target, keep);
            return Ok(new);
        }
        let grown = old..old.checked_add(new_length).ok_or(Errno::EINVAL)?;
        if !keep && length != 0 && !space.touches_own(&grown) {
            space.forget_code(&(grown.end.min(old_range.end)..old_range.end));
            // SAFETY: neither range holds anything of ours.
            match unsafe { host::raw(libc::SYS_mremap, args(0, 0)) } {
                Ok(_) => {
                    space.resized(&old_range, grown);
                    return Ok(old);
                }
                Err(Errno::ENOMEM) if may_move => {}
                Err(error) => return Err(error),
            }
        }
        if !may_move {
            return Err(Errno::ENOMEM);
        }
        // The target is taken with a reservation first: the kernel has no "move, but not over anything".
        let reserve = Request::reservation(new_length);
        let to = space.place(0, new_length, false, |at| reserve.perform(at, MAP_FIXED_NOREPLACE))?;
        let target = to..to + new_length;
        space.forget_code(&old_range);
        // SAFETY: the target was just reserved for this, the source is the guest's.
        if let Err(error) = unsafe { host::raw(libc::SYS_mremap, args(u64::from(flags | 2), to)) } {
            let _ = munmap(&target);
            return Err(error);
        }
        space.moved(&old_range, target, keep);
        Ok(to)
    }

    /// `madvise(2)`.
    pub fn advise(&self, address: u64, length: u64, advice: u64) -> Result<(), Errno> {
        let range = aligned_range(address, length, Errno::EINVAL)?;
        let mut space = self.lock();
        if space.touches_own(&range) {
            return Err(Errno::ENOMEM);
        }
        const DISCARDING: [i32; 4] =
            [libc::MADV_DONTNEED, libc::MADV_REMOVE, libc::MADV_FREE, libc::MADV_DONTNEED_LOCKED];
        let discards = DISCARDING.iter().any(|discarding| *discarding as u64 == advice);
        if discards {
            space.check_discardable(&range)?;
            space.forget_code(&range);
        }
        // SAFETY: the range holds nothing of ours.
        unsafe { host::raw(libc::SYS_madvise, [address, length, advice, 0, 0, 0]) }.map(|_| ())
    }

    /// `mseal(2)`: the mappings of a range cannot be changed any more. ENOMEM if there is a hole in it.
    pub(crate) fn seal(&self, address: u64, length: u64) -> Result<(), Errno> {
        let range = aligned_range(address, length, Errno::EINVAL)?;
        let mut space = self.lock();
        if !space.vmas.covers(&range) {
            return Err(Errno::ENOMEM);
        }
        for part in space.vmas.parts(&range) {
            space.vmas.insert(Vma { sealed: true, ..part });
        }
        Ok(())
    }

    /// `mlockall(2)`: locks what the guest has mapped, or gives it free; `locked` are the flags, 0 for munlockall(2).
    pub(crate) fn lock_all(&self, locked: u64) -> Result<(), Errno> {
        const CURRENT: u64 = libc::MCL_CURRENT as u64;
        const FUTURE: u64 = libc::MCL_FUTURE as u64;
        const ONFAULT: u64 = 4;
        let mut space = self.lock();
        let on_fault = u64::from(locked & ONFAULT != 0);
        space.lock_future = (locked & FUTURE != 0).then_some(on_fault);
        self.locks_future.store(locked & FUTURE != 0, Ordering::Relaxed);
        if locked != 0 && locked & CURRENT == 0 {
            return Ok(());
        }
        let ranges: Vec<Range<u64>> = space.vmas.iter().map(|vma| vma.range.clone()).collect();
        for range in ranges {
            let args = [range.start, range.end - range.start, on_fault, 0, 0, 0];
            let number = if locked == 0 { libc::SYS_munlock } else { libc::SYS_mlock2 };
            // SAFETY: the range is the guest's. Pages that nobody can read are locked without being there: ENOMEM, as
            // mlockall(2) itself ignores it.
            match unsafe { host::raw(number, args) } {
                Err(error) if error != Errno::ENOMEM => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// A child of fork does not inherit mlockall(2).
    pub(crate) fn forget_locks(&self) {
        if self.locks_future.load(Ordering::Relaxed) {
            self.locks_future.store(false, Ordering::Relaxed);
            self.lock().lock_future = None;
        }
    }

    /// Sets where the heap starts: the page after the program's data.
    pub fn set_brk(&self, start: u64) {
        let start = page_up(start).unwrap_or(start);
        self.lock().brk = Brk { start, end: start };
        proc::set_heap(start);
    }

    /// `brk(2)`: moves the end of the heap if it can, and returns where it is.
    pub fn brk(&self, wanted: u64) -> u64 {
        let mut space = self.lock();
        let Brk { start, end } = space.brk;
        let (Some(old), Some(new)) = (page_up(end), page_up(wanted)) else { return end };
        if wanted < start || new > HIGHEST {
            return end;
        }
        if new > old {
            let grown = old..new;
            let heap = Request {
                length: new - old,
                prot: (libc::PROT_READ | libc::PROT_WRITE) as u32,
                flags: MAP_PRIVATE | MAP_ANONYMOUS,
                fd: -1,
                offset: 0,
            };
            if space.touches_own(&grown) || heap.perform(old, MAP_FIXED_NOREPLACE).is_err() {
                return end;
            }
            let backing = Arc::new(Backing { path: "[heap]".to_owned(), device: 0, inode: 0 });
            space.lock_new(&grown);
            space.vmas.insert(Vma {
                range: grown,
                prot: heap.prot,
                shared: false,
                backing: Some(backing),
                offset: 0,
                sealed: false,
            });
        } else if new < old {
            let cut = new..old;
            if space.check_unsealed(&cut).is_err() {
                return end;
            }
            space.forget_code(&cut);
            if munmap(&cut).is_err() {
                return end;
            }
            space.vmas.remove(&cut);
        }
        space.brk.end = wanted;
        wanted
    }

    /// `shmat(2)`: attaches segment `id`, whose size is `size`, at an address chosen here unless one is given.
    pub(crate) fn attach(&self, id: u64, address: u64, flags: u64, size: u64) -> Result<u64, Errno> {
        const SHM_RDONLY: u64 = 0o10000;
        const SHM_EXEC: u64 = 0o100000;
        let length = page_up(size).ok_or(Errno::EINVAL)?;
        let host_flags = flags & !SHM_EXEC;
        let attach = |at: u64| {
            // SAFETY: without SHM_REMAP the kernel attaches over nothing; with it the range was checked.
            unsafe { host::raw(libc::SYS_shmat, [id, at, host_flags, 0, 0, 0]) }
        };
        let mut space = self.lock();
        let at = if address == 0 {
            // EINVAL is what shmat says when the place is taken.
            let attach = |at| attach(at).map_err(|error| if error == Errno::EINVAL { Errno::EEXIST } else { error });
            space.place(0, length, false, attach)?
        } else {
            let at = if flags & 0o20000 != 0 { address & !(PAGE - 1) } else { address };
            let range = at..at.checked_add(length).ok_or(Errno::EINVAL)?;
            if space.touches_own(&range) {
                return Err(Errno::EINVAL);
            }
            space.check_unsealed(&range)?;
            space.forget_code(&range);
            attach(at)?
        };
        let write = if flags & SHM_RDONLY != 0 { 0 } else { libc::PROT_WRITE as u32 };
        let exec = if flags & SHM_EXEC != 0 { EXEC } else { 0 };
        let backing = Arc::new(Backing { path: format!("/SYSV{id:08x}"), device: 1, inode: id });
        space.vmas.insert(Vma {
            range: at..at + length,
            prot: READ | write | exec,
            shared: true,
            backing: Some(backing),
            offset: 0,
            sealed: false,
        });
        Ok(at)
    }

    /// `shmdt(2)`: detaches what [`Mm::attach`] put at `address`.
    pub(crate) fn detach(&self, address: u64) -> Result<(), Errno> {
        let mut space = self.lock();
        let attached = |vma: &&Vma| vma.backing.as_ref().is_some_and(|backing| backing.path.starts_with("/SYSV"));
        let vma = space.vmas.find(address).filter(attached).cloned().ok_or(Errno::EINVAL)?;
        let range = address..vma.range.end;
        space.check_unsealed(&range)?;
        space.forget_code(&range);
        // SAFETY: the address is of a segment that the guest attached.
        unsafe { host::raw(libc::SYS_shmdt, [address, 0, 0, 0, 0, 0]) }?;
        space.vmas.remove(&range);
        Ok(())
    }

    /// Makes the host catch writes to the pages of a range, through every mapping that the guest may write them by,
    /// before code is translated from them: the guest of a machine with coherent instruction fetch does not announce
    /// that it changes code. Gives whether there are any.
    pub fn watch_code(&self, range: &Range<u64>) -> bool {
        let mut space = self.lock();
        let mut any = false;
        for page in (range.start & !(PAGE - 1)..range.end).step_by(PAGE as usize) {
            for (alias, prot) in space.writable_aliases(page) {
                let watched = space.watched.entry(alias).or_default();
                if watched.is_empty() {
                    protect_page(alias, host_prot(prot) & !WRITE);
                }
                watched.insert(page);
                any = true;
            }
        }
        any
    }

    /// May the guest write what it executes in a range, through any of its mappings?
    pub fn is_changeable(&self, range: &Range<u64>) -> bool {
        let space = self.lock();
        // As most code lies, and as each block that is translated asks.
        if let Some(vma) = space.vmas.find(range.start)
            && range.end <= vma.range.end
            && (vma.prot & WRITE != 0 || !vma.shared)
        {
            return vma.prot & WRITE != 0;
        }
        let mut pages = (range.start & !(PAGE - 1)..range.end).step_by(PAGE as usize);
        pages.any(|page| !space.writable_aliases(page).is_empty())
    }

    /// Gives up watching the page of `address`, which the guest wants to write, and forgets the code that changes with
    /// it. False if the guest may not write it: then the fault is the guest's own.
    pub fn unwatch_code(&self, address: u64) -> bool {
        by_lender(|| {
            let page = address & !(PAGE - 1);
            let mut space = self.lock();
            for code in space.watched.get(&page).cloned().unwrap_or_default() {
                *space.caught.entry(code).or_default() += 1;
            }
            space.unwatch(page)
        })
    }

    /// How often the guest was caught at writing to the page of an address, which held code that was watched.
    pub fn times_caught(&self, address: u64) -> u32 {
        by_lender(|| self.lock().caught.get(&(address & !(PAGE - 1))).copied().unwrap_or(0))
    }

    /// Gives up watching the pages of a range, which the kernel is going to write for the guest.
    pub(crate) fn unwatch_range(&self, range: &Range<u64>) {
        by_lender(|| {
            let mut space = self.lock();
            if !space.watched.is_empty() && !range.is_empty() {
                let pages: Vec<u64> =
                    space.watched.range(range.start & !(PAGE - 1)..range.end).map(|(page, _)| *page).collect();
                for page in pages {
                    space.unwatch(page);
                }
            }
        })
    }

    /// Forgets the code in a range that the kernel is going to discard for the guest; false if any of it is Philae's.
    pub(crate) fn forget_discarded(&self, range: &Range<u64>) -> bool {
        by_lender(|| {
            let mut space = self.lock();
            let is_guests = !space.touches_own(range);
            if is_guests {
                space.forget_code(range);
            }
            is_guests
        })
    }

    /// Gives up watching all pages, for a system call that the host refused, perhaps for one of them; false if there
    /// is none.
    pub fn unwatch_all_code(&self) -> bool {
        by_lender(|| {
            let mut space = self.lock();
            let watched: Vec<u64> = space.watched.keys().copied().collect();
            for &page in &watched {
                space.unwatch(page);
            }
            !watched.is_empty()
        })
    }

    /// The mapping that holds `address`.
    pub fn find(&self, address: u64) -> Option<Vma> {
        by_lender(|| self.lock().vmas.find(address).cloned())
    }

    /// The range around `address` that the guest may execute: what instruction fetch may read.
    pub fn executable_range(&self, address: u64) -> Option<Range<u64>> {
        by_lender(|| self.lock().vmas.find(address).filter(|vma| vma.prot & EXEC != 0).map(|vma| vma.range.clone()))
    }

    /// May the guest execute the byte at `address`?
    pub fn is_executable(&self, address: u64) -> bool {
        self.executable_range(address).is_some()
    }

    /// Holds the map still, for the length of a fork.
    pub(crate) fn freeze(&self) -> impl Sized + '_ {
        self.guard()
    }

    /// The text of `/proc/self/maps`: the guest's own world.
    pub fn maps_text(&self) -> String {
        by_lender(|| self.lock().vmas.text())
    }

    /// Every mapping, ascending.
    pub(crate) fn vmas(&self) -> Vec<Vma> {
        by_lender(|| self.lock().vmas.iter().cloned().collect())
    }

    /// How many bytes are mapped.
    pub(crate) fn totals(&self) -> Totals {
        by_lender(|| self.lock().vmas.totals())
    }

    /// Where the heap starts.
    pub(crate) fn brk_start(&self) -> u64 {
        by_lender(|| self.lock().brk.start)
    }

    /// Does `range` touch Philae's own memory?
    pub fn touches_own(&self, range: &Range<u64>) -> bool {
        by_lender(|| self.lock().touches_own(range))
    }

    /// Maps the page of code that the kernel gives every program; gives its address. It is sealed, as by a kernel with
    /// CONFIG_MSEAL_SYSTEM_MAPPINGS.
    pub fn map_vdso(&self) -> Result<u64, Errno> {
        let image = vdso::image(self.arch);
        let writable = (libc::PROT_READ | libc::PROT_WRITE) as u32;
        let address = self.map(0, PAGE, writable, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)?;
        uaccess::write_bytes(address, image)?;
        self.protect(address, PAGE, READ | EXEC)?;
        self.set_name(address..address + PAGE, "[vdso]");
        self.seal(address, PAGE)?;
        if let Some(offset) = vdso::sigreturn_offset(self.arch) {
            self.sigreturn.store(address + offset as u64, Ordering::Release);
        }
        self.vdso.store(address, Ordering::Release);
        Ok(address)
    }

    /// The page of [`Mm::map_vdso`].
    pub fn vdso(&self) -> Option<Range<u64>> {
        let address = self.vdso.load(Ordering::Acquire);
        (address != 0).then_some(address..address + PAGE)
    }

    /// Where an aarch64 handler without a restorer returns to; 0 before [`Mm::map_vdso`].
    pub fn sigreturn(&self) -> u64 {
        self.sigreturn.load(Ordering::Acquire)
    }
}

/// A mapping that is about to be made.
struct Request {
    length: u64,
    prot: u32,
    flags: u32,
    fd: i32,
    offset: u64,
}

impl Request {
    /// One of a place alone.
    fn reservation(length: u64) -> Request {
        Request { length, prot: 0, flags: MAP_PRIVATE | MAP_ANONYMOUS, fd: -1, offset: 0 }
    }

    /// Makes it on the host at `address`, where nothing may be.
    fn perform_where_free(&self, address: u64) -> Result<u64, Errno> {
        if self.flags & MAP_TYPE != MAP_SHARED_VALIDATE {
            return self.perform(address, MAP_FIXED_NOREPLACE);
        }
        // That flag would be one that the file does not know.
        let at = Request::reservation(self.length).perform(address, MAP_FIXED_NOREPLACE)?;
        self.perform(at, MAP_FIXED).inspect_err(|_| {
            let _ = munmap(&(at..at + self.length));
        })
    }

    /// Makes it on the host at `address`, with `more` flags.
    fn perform(&self, address: u64, more: u32) -> Result<u64, Errno> {
        let flags = self.flags & !MAP_32BIT | more;
        let prot = u64::from(host_prot(self.prot) | self.prot & !(RWX | PROT_BTI));
        let fd = i64::from(self.fd) as u64;
        let args = [address, self.length, prot, u64::from(flags), fd, self.offset];
        // SAFETY: the caller has checked that nothing of ours is in the range, or asks for NOREPLACE.
        unsafe { host::raw(libc::SYS_mmap, args) }
    }
}

impl Space {
    fn touches_own(&self, range: &Range<u64>) -> bool {
        let is_lent = || self.lent.iter().any(|lent| lent.start <= range.start && range.end <= lent.end);
        self.own.iter().any(|own| own.start < range.end && range.start < own.end) && !is_lent()
    }

    /// Makes a mapping where the host kernel wants it, which is in the room that it has for Philae's own.
    fn borrow_room(&mut self, request: &Request) -> Result<u64, Errno> {
        let address = request.perform(0, 0)?;
        self.lent.push(address..address + request.length);
        Ok(address)
    }

    /// What was lent of a range is not the guest's any more.
    fn take_back(&mut self, range: &Range<u64>) {
        let lent = std::mem::take(&mut self.lent);
        let outside = |lent: Range<u64>| [lent.start..lent.end.min(range.start), lent.start.max(range.end)..lent.end];
        self.lent = lent.into_iter().flat_map(outside).filter(|rest| !rest.is_empty()).collect();
    }

    /// EPERM if any of the range is sealed.
    fn check_unsealed(&self, range: &Range<u64>) -> Result<(), Errno> {
        if self.vmas.parts(range).iter().any(|vma| vma.sealed) { Err(Errno::EPERM) } else { Ok(()) }
    }

    /// EPERM for sealed memory that the guest could not overwrite either: private and not writable.
    fn check_discardable(&self, range: &Range<u64>) -> Result<(), Errno> {
        let refused = |vma: &Vma| vma.sealed && !vma.shared && vma.prot & WRITE == 0;
        if self.vmas.parts(range).iter().any(refused) { Err(Errno::EPERM) } else { Ok(()) }
    }

    /// Locks a new mapping if mlockall(2) wants it; one that cannot be locked stays as it is.
    fn lock_new(&self, range: &Range<u64>) {
        let Some(flags) = self.lock_future else { return };
        // SAFETY: the range is the guest's.
        let _ = unsafe { host::raw(libc::SYS_mlock2, [range.start, range.end - range.start, flags, 0, 0, 0]) };
    }

    /// The pages by which the guest may write what it executes at `page`, with their protection: that page, and those
    /// that share its part of a file.
    fn writable_aliases(&self, page: u64) -> Vec<(u64, u32)> {
        let Some(vma) = self.vmas.find(page) else { return Vec::new() };
        let mut aliases = Vec::new();
        if vma.prot & WRITE != 0 {
            aliases.push((page, vma.prot));
        }
        let Some(backing) = vma.backing.as_ref().filter(|_| vma.shared) else { return aliases };
        let offset = vma.offset + (page - vma.range.start);
        for other in self.vmas.iter().filter(|other| other.shared && other.prot & WRITE != 0) {
            let same = other.backing.as_ref().is_some_and(|b| (b.device, b.inode) == (backing.device, backing.inode));
            let within = other.offset..other.offset + (other.range.end - other.range.start);
            if same && within.contains(&offset) {
                aliases.push((other.range.start + (offset - other.offset), other.prot));
            }
        }
        aliases.dedup();
        aliases
    }

    /// The range of a MAP_FIXED or MAP_FIXED_NOREPLACE request.
    fn fixed_range(&self, address: u64, length: u64, flags: u32) -> Result<Range<u64>, Errno> {
        if !address.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        let end = address.checked_add(length).filter(|end| *end <= HIGHEST).ok_or(Errno::ENOMEM)?;
        let range = address..end;
        match self.touches_own(&range) {
            true if flags & MAP_FIXED_NOREPLACE != 0 => Err(Errno::EEXIST),
            true => Err(Errno::ENOMEM),
            false => Ok(range),
        }
    }

    /// Chooses an address for `length` bytes, at `hint` if that is free, and has `perform` use it. `perform`
    /// says EEXIST if the host has something there after all.
    fn place(
        &mut self,
        hint: u64,
        length: u64,
        below_2g: bool,
        perform: impl Fn(u64) -> Result<u64, Errno>,
    ) -> Result<u64, Errno> {
        let top = if below_2g { 1 << 31 } else { self.top };
        let hint = hint & !(PAGE - 1);
        let wanted = hint..hint.saturating_add(length);
        let hint_fits = hint >= LOWEST
            && wanted.end <= if below_2g { top } else { HIGHEST }
            && !self.touches_own(&wanted)
            && self.vmas.parts(&wanted).is_empty();
        if hint_fits {
            match perform(hint) {
                Err(Errno::EEXIST) => {}
                done => return done,
            }
        }
        let mut search = top;
        loop {
            let at = self.vmas.gap_below(LOWEST, search, length, &self.own).ok_or(Errno::ENOMEM)?;
            match perform(at) {
                // Something of the host's that nobody told us of: look below it.
                Err(Errno::EEXIST) => {
                    search = at.saturating_add(length).saturating_sub(PAGE.max(length / 2)) & !(PAGE - 1)
                }
                done => return done,
            }
        }
    }

    /// `range` without Philae's own memory, as far as that is not lent.
    fn without_own(&self, range: &Range<u64>) -> Vec<Range<u64>> {
        let mut pieces = Vec::new();
        let mut start = range.start;
        for own in self.own.iter().filter(|own| own.start < range.end && range.start < own.end) {
            if start < own.start {
                pieces.push(start..own.start);
            }
            start = start.max(own.end);
        }
        if start < range.end {
            pieces.push(start..range.end);
        }
        let lent = self.lent.iter().map(|lent| lent.start.max(range.start)..lent.end.min(range.end));
        pieces.extend(lent.filter(|piece| !piece.is_empty()));
        pieces
    }

    /// Forgets the code in a range that is about to change, and gives up watching its pages: the host's protection is
    /// the guest's again. Who wants to translate from it waits for the lock.
    fn forget_code(&mut self, range: &Range<u64>) {
        let executable: Vec<Vma> = self.vmas.parts(range).into_iter().filter(|vma| vma.prot & EXEC != 0).collect();
        if let (Some(first), Some(last)) = (executable.first(), executable.last()) {
            (self.forget)(first.range.start..last.range.end);
        }
        let watched: Vec<u64> =
            self.watched.range(range.start..range.end.max(range.start)).map(|(page, _)| *page).collect();
        for page in watched {
            self.unwatch(page);
        }
        self.caught.retain(|page, _| !range.contains(page));
    }

    /// Lets the guest write a watched page again, and forgets the code that changes with it. False if the guest may not
    /// write the page; a page that is not watched any more has just been written by another thread.
    fn unwatch(&mut self, page: u64) -> bool {
        let prot = self.vmas.find(page).map_or(0, |vma| vma.prot);
        let Some(code) = self.watched.remove(&page) else { return prot & WRITE != 0 };
        for code in code {
            (self.forget)(code..code + PAGE);
        }
        protect_page(page, host_prot(prot));
        true
    }

    /// Records that `old` has been moved to `new`; `keep` leaves the old range mapped.
    fn moved(&mut self, old: &Range<u64>, new: Range<u64>, keep: bool) {
        // An empty old range duplicates a shared mapping from its start.
        let source = self.vmas.find(old.start).cloned();
        let parts = if keep || old.is_empty() { self.vmas.parts(old) } else { self.vmas.remove(old) };
        self.vmas.remove(&new);
        if !keep {
            self.take_back(old);
        }
        let Some(source) = source else { return };
        let offset = if source.backing.is_some() { source.offset + (old.start - source.range.start) } else { 0 };
        let template = parts.first().cloned().unwrap_or(Vma { offset, ..source });
        self.vmas.insert(Vma { range: new, ..template });
    }

    /// Records that the mapping of `old` is now `new`, at the same address.
    fn resized(&mut self, old: &Range<u64>, new: Range<u64>) {
        let last = self.vmas.find(old.end - 1).cloned();
        if new.end < old.end {
            self.vmas.remove(&(new.end..old.end));
        } else if let Some(last) = last {
            self.vmas.insert(Vma { range: last.range.start..new.end, ..last });
        }
    }
}

/// The host's protection for what the guest asked: never executable, readable if executable.
fn host_prot(prot: u32) -> u32 {
    if prot & EXEC != 0 { prot & RWX & !EXEC | READ } else { prot & RWX }
}

fn protect_page(page: u64, prot: u32) {
    // SAFETY: the page is the guest's; the host's protection is never wider than what the guest asked for. A page
    // that has gone meanwhile has nothing to be protected.
    let _ = unsafe { host::raw(libc::SYS_mprotect, [page, PAGE, u64::from(prot), 0, 0, 0]) };
}

/// A range that starts at a page and is rounded up to pages; EINVAL if it does not, `too_long` if it wraps.
fn aligned_range(address: u64, length: u64, too_long: Errno) -> Result<Range<u64>, Errno> {
    if !address.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    let length = page_up(length).ok_or(too_long)?;
    let end = address.checked_add(length).filter(|end| *end <= HIGHEST).ok_or(too_long)?;
    Ok(address..end)
}

fn munmap(range: &Range<u64>) -> Result<(), Errno> {
    // SAFETY: the caller has taken out what is ours.
    unsafe { host::raw(libc::SYS_munmap, [range.start, range.end - range.start, 0, 0, 0, 0]) }.map(|_| ())
}

/// Whether the kernel takes no address for mappings of `fd`.
fn is_io_uring(fd: i32) -> bool {
    fd >= 0 && Backing::of(fd, None).is_some_and(|backing| backing.path == "anon_inode:[io_uring]")
}

/// Philae's own memory with room to grow, ascending, and where the search for guest addresses starts. What the kernel and
/// the C library have mapped so far lies at places that tell themselves: no file of the host's is needed.
fn own_memory() -> (Vec<Range<u64>>, u64) {
    let probe = probe_address();
    let around =
        |address: u64, room: u64| address.saturating_sub(room)..address.saturating_add(room).min(HIGHEST + PAGE);
    let stack = &raw const probe as u64;
    // SAFETY: both calls only report.
    let (heap, vdso) = unsafe { (host::raw(libc::SYS_brk, [0; 6]), libc::getauxval(AT_SYSINFO_EHDR)) };
    let mut own = vec![around(probe, OWN_ROOM), stack_room(stack), code_room(own_memory as *const () as usize as u64)];
    own.extend(heap.ok().map(|end| end.saturating_sub(HEAP_START)..end + HEAP_ROOM));
    own.extend((vdso != 0).then(|| around(vdso, VDSO_ROOM)));
    let own = merged(own);
    // Below the topmost cluster: new mappings of ours then have the room above.
    let top = own.last().map_or(HIGHEST, |last| if last.end > HIGHEST / 2 { last.start } else { HIGHEST });
    (own, top)
}

/// What a Philae keeps below and above an address of its host stack.
fn stack_room(address: u64) -> Range<u64> {
    address.saturating_sub(1 << 30)..(address + (1 << 20)).min(HIGHEST + PAGE)
}

/// What a Philae keeps around an address of its program.
fn code_room(address: u64) -> Range<u64> {
    address.saturating_sub(64 << 20)..address + (64 << 20)
}

/// Where another Philae's own memory is, whose program file is mapped at `file`, beside what the kernel maps, which has
/// translated code at `code`, and whose host stack ends at `stack`.
pub(crate) fn own_areas(file: u64, code: u64, stack: u64) -> [Range<u64>; 3] {
    // The middle of its room is near the code, but not there.
    let room = OWN_ROOM - (1 << 30);
    [code.saturating_sub(room)..code.saturating_add(room), code_room(file), stack_room(stack)]
}

fn merged(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::new();
    let pages = |range: Range<u64>| range.start & !(PAGE - 1)..range.end.next_multiple_of(PAGE);
    for range in ranges.into_iter().map(pages) {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// Where the host kernel puts a new mapping of ours.
fn probe_address() -> u64 {
    let args = [0, PAGE, 0, u64::from(MAP_PRIVATE | MAP_ANONYMOUS), u64::MAX, 0];
    // SAFETY: a fresh page, given back at once.
    unsafe {
        let Ok(address) = host::raw(libc::SYS_mmap, args) else { return HIGHEST - OWN_ROOM };
        let _ = host::raw(libc::SYS_munmap, [address, PAGE, 0, 0, 0, 0]);
        address
    }
}
