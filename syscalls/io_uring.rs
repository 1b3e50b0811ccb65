//! io_uring(7): the host's rings, with what is put into them converted on the way.
//!
//! In: the guest's rings, which lie in memory that it shares with the host kernel. Out: the host's calls. The rings are
//! the same for every machine; submission queue entries that name paths, open flags, AF_UNIX addresses, epoll events or
//! descriptors of Philae's own are put as the host has to see them just before `io_uring_enter` has it read them, and put
//! back behind it: the guest may submit them again.
//!
//! What must hold: the kernel reads entries only while a thread is in `io_uring_enter`, so there is no polling thread
//! (IORING_SETUP_SQPOLL is EPERM, as for who may not have one); it has copied all that an entry points to when it has
//! taken the entry (IORING_FEAT_SUBMIT_STABLE); and where the entries are is known from the guest's own mmap(2). What
//! this file does not know is refused as a kernel does that is older: EINVAL.

use crate::arch::{self, Bytes, Fields};
use crate::args::Fd;
use crate::call::{Call, Reply};
use crate::errno::Errno;
use crate::path::{self, HostPath};
use crate::proc::{self, OwnFile, View};
use crate::uaccess::{self, GuestPtr};
use crate::{fs, net};
use std::collections::BTreeMap;
use std::ops::Range;

/// Setup flags of linux/io_uring.h: those that have a meaning here, and those that are known.
const SETUP_SQPOLL: u32 = 1 << 1;
const SETUP_SQE128: u32 = 1 << 10;
const SETUP_NO_MMAP: u32 = 1 << 14;
const SETUP_REGISTERED_FD_ONLY: u32 = 1 << 15;
const SETUP_NO_SQARRAY: u32 = 1 << 16;
const SETUP_KNOWN: u32 = (1 << 19) - 1;
/// IORING_FEAT_SUBMIT_STABLE.
const FEAT_SUBMIT_STABLE: u32 = 1 << 2;
/// Flags of io_uring_enter(2).
const ENTER_GETEVENTS: u32 = 1;
const ENTER_REGISTERED_RING: u32 = 1 << 4;
/// Where mmap(2) finds the rings and the entries.
const OFF_SQ_RING: u64 = 0;
const OFF_SQES: u64 = 0x1000_0000;
/// Operations of io_uring_register(2).
const REGISTER_PROBE: u32 = 8;
const REGISTER_RING_FDS: u32 = 20;
const UNREGISTER_RING_FDS: u32 = 21;
const REGISTER_RESIZE_RINGS: u32 = 33;
const REGISTER_LAST: u32 = 34;
const REGISTER_USE_REGISTERED_RING: u32 = 1 << 31;

/// `struct io_uring_params` in words of 32 bits, and the places of what is read from it.
const PARAMS: usize = 30;
const FLAGS: usize = 2;
const FEATURES: usize = 5;
const SQ_ENTRIES: usize = 0;
const SQ_HEAD: usize = 10;
const SQ_TAIL: usize = 11;
const SQ_ARRAY: usize = 16;
const SQ_USER_ADDRESS: usize = 18;
const CQ_USER_ADDRESS: usize = 28;

/// Bytes of an entry that are read here; with IORING_SETUP_SQE128 as many follow.
const ENTRY: usize = 64;

/// Where a ring's submission queue is.
#[derive(Clone, Copy, Debug, Default)]
struct Ring {
    entries: u32,
    /// Distances from the start of the rings.
    head: u64,
    tail: u64,
    /// None with IORING_SETUP_NO_SQARRAY: entries are taken in their order.
    array: Option<u64>,
    /// Bytes from an entry to the next.
    stride: u64,
    /// Guest addresses, once the guest has mapped them.
    rings: Option<u64>,
    submissions: Option<u64>,
}

/// The rings that the descriptors of a table stand for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rings {
    by_fd: BTreeMap<i32, Ring>,
    /// Those that a thread has registered (IORING_REGISTER_RING_FDS), by its id and the ring's index.
    registered: BTreeMap<(u32, u32), Ring>,
}

impl Rings {
    /// Descriptor `new` is a duplicate of `old`.
    pub(crate) fn duplicate(&mut self, old: i32, new: i32) {
        let ring = self.by_fd.get(&old).copied();
        self.by_fd.remove(&new);
        self.by_fd.extend(ring.map(|ring| (new, ring)));
    }

    /// These descriptors have been closed.
    pub(crate) fn close(&mut self, fds: Range<i64>) {
        self.by_fd.retain(|fd, _| !fds.contains(&i64::from(*fd)));
    }

    /// What is at this offset of a descriptor has been mapped at an address.
    pub(crate) fn mapped(&mut self, fd: i32, offset: u64, address: u64) {
        let Some(ring) = self.by_fd.get_mut(&fd) else { return };
        match offset {
            OFF_SQ_RING => ring.rings = Some(address),
            OFF_SQES => ring.submissions = Some(address),
            _ => {}
        }
    }
}

pub(crate) fn io_uring_setup(call: &mut Call<'_>, entries: u32, params: GuestPtr<[u32; PARAMS]>) -> Reply {
    let mut words = params.read()?;
    let flags = words[FLAGS];
    if flags & SETUP_SQPOLL != 0 {
        return Err(Errno::EPERM);
    }
    if flags & !SETUP_KNOWN != 0 || flags & SETUP_REGISTERED_FD_ONLY != 0 {
        return Err(Errno::EINVAL);
    }
    let fd = call.pass_with([u64::from(entries), words.as_mut_ptr() as u64, 0, 0, 0, 0])?;
    let usable = if words[FEATURES] & FEAT_SUBMIT_STABLE == 0 { Err(Errno::ENOSYS) } else { params.write(&words) };
    if let Err(error) = usable {
        let _ = call.prepare(libc::SYS_close, [fd, 0, 0, 0, 0, 0]);
        return Err(error);
    }
    let at = |index: usize| u64::from(words[index]);
    let address = |index: usize| (flags & SETUP_NO_MMAP != 0).then(|| at(index) | at(index + 1) << 32);
    let ring = Ring {
        entries: words[SQ_ENTRIES],
        head: at(SQ_HEAD),
        tail: at(SQ_TAIL),
        array: (flags & SETUP_NO_SQARRAY == 0).then(|| at(SQ_ARRAY)),
        stride: if flags & SETUP_SQE128 != 0 { 2 * ENTRY as u64 } else { ENTRY as u64 },
        rings: address(CQ_USER_ADDRESS),
        submissions: address(SQ_USER_ADDRESS),
    };
    call.task.files.rings().by_fd.insert(fd as i32, ring);
    Ok(fd)
}

pub(crate) fn io_uring_enter(call: &mut Call<'_>, fd: Fd, count: u32, least: u32, flags: u32) -> Reply {
    if count == 0 {
        return call.pass();
    }
    let ring = {
        let rings = call.task.files.rings();
        match flags & ENTER_REGISTERED_RING {
            0 => rings.by_fd.get(&fd.0).copied(),
            _ => rings.registered.get(&(call.task.tid, fd.0 as u32)).copied(),
        }
    };
    let Some(ring) = ring else {
        // The kernel says what is wrong with the descriptor. If nothing is, the ring came from another process.
        call.pass_with([fd.word(), 0, 0, u64::from(flags & !ENTER_GETEVENTS), 0, 0])?;
        return Err(Errno::EBADF);
    };
    let batch = Batch::convert(call, &ring, count);
    if batch.changed.is_empty() {
        return call.pass();
    }
    let submit = flags & !ENTER_GETEVENTS;
    let submitted = call.pass_with([fd.word(), u64::from(count), 0, u64::from(submit), 0, 0]);
    batch.restore();
    let submitted = submitted?;
    if submitted == u64::from(count) && flags & ENTER_GETEVENTS != 0 {
        // As the kernel has it, what was submitted is the result whatever becomes of the wait.
        let _ = call.pass_with([fd.word(), 0, u64::from(least), u64::from(flags), call.args[4], call.args[5]]);
    }
    Ok(submitted)
}

pub(crate) fn io_uring_register(call: &mut Call<'_>, fd: Fd, operation: u32, argument: u64, count: u32) -> Reply {
    match operation & !REGISTER_USE_REGISTERED_RING {
        // A queue of another size would be elsewhere.
        REGISTER_RESIZE_RINGS => Err(Errno::EINVAL),
        REGISTER_PROBE => {
            let value = call.pass()?;
            hide_refused(call, argument, count)?;
            Ok(value)
        }
        REGISTER_RING_FDS => register_rings(call, fd, argument, count),
        UNREGISTER_RING_FDS => {
            let indices = updates(argument, count)?;
            let done = call.pass()?;
            let tid = call.task.tid;
            let mut rings = call.task.files.rings();
            for [index, _] in indices.iter().take(done as usize) {
                rings.registered.remove(&(tid, *index));
            }
            Ok(done)
        }
        0..=REGISTER_LAST => call.pass(),
        _ => Err(Errno::EINVAL),
    }
}

/// `struct io_uring_rsrc_update`: its offset, and the descriptor in its data.
fn updates(address: u64, count: u32) -> Result<Vec<[u32; 2]>, Errno> {
    /// IO_RINGFD_REG_MAX.
    const MOST: u32 = 16;
    let all = GuestPtr::<[u32; 4]>::new(address).read_array(count.min(MOST) as usize)?;
    Ok(all.into_iter().map(|[offset, _, data, _]| [offset, data]).collect())
}

fn register_rings(call: &mut Call<'_>, _fd: Fd, argument: u64, count: u32) -> Reply {
    let done = call.pass()?;
    // The kernel has chosen the indices that were left to it.
    let registered = updates(argument, count)?;
    let tid = call.task.tid;
    let mut rings = call.task.files.rings();
    for [index, fd] in registered.into_iter().take(done as usize) {
        if let Some(ring) = rings.by_fd.get(&(fd as i32)).copied() {
            rings.registered.insert((tid, index), ring);
        }
    }
    Ok(done)
}

/// Takes what is refused here out of what the kernel says that it can do: `struct io_uring_probe`, 16 bytes and 8 for
/// each operation, of which the third starts its flags.
fn hide_refused(call: &Call<'_>, probe: u64, count: u32) -> Result<(), Errno> {
    for operation in 0..count.min(256) as u8 {
        if refuses(call, operation) {
            GuestPtr::new(probe + 16 + 8 * u64::from(operation) + 2).write(&0u16)?;
        }
    }
    Ok(())
}

/// Operations of linux/io_uring.h that need something here.
mod op {
    pub(super) const READV: u8 = 1;
    pub(super) const READ_FIXED: u8 = 4;
    pub(super) const SENDMSG: u8 = 9;
    pub(super) const CONNECT: u8 = 16;
    pub(super) const OPENAT: u8 = 18;
    pub(super) const CLOSE: u8 = 19;
    pub(super) const STATX: u8 = 21;
    pub(super) const READ: u8 = 22;
    pub(super) const MADVISE: u8 = 25;
    pub(super) const SEND: u8 = 26;
    pub(super) const RECV: u8 = 27;
    pub(super) const OPENAT2: u8 = 28;
    pub(super) const EPOLL_CTL: u8 = 29;
    pub(super) const RENAMEAT: u8 = 35;
    pub(super) const UNLINKAT: u8 = 36;
    pub(super) const MKDIRAT: u8 = 37;
    pub(super) const SYMLINKAT: u8 = 38;
    pub(super) const LINKAT: u8 = 39;
    pub(super) const SETXATTR: u8 = 42;
    pub(super) const GETXATTR: u8 = 44;
    pub(super) const SEND_ZC: u8 = 47;
    pub(super) const SENDMSG_ZC: u8 = 48;
    pub(super) const BIND: u8 = 56;
    pub(super) const EPOLL_WAIT: u8 = 59;
    pub(super) const PIPE: u8 = 62;
    /// The last one that this file knows of.
    pub(super) const LAST: u8 = PIPE;
    /// None: the kernel says EINVAL.
    pub(super) const INVALID: u8 = 255;
}

/// Whether an operation is EINVAL for this guest: epoll_wait(2) gives events in the host's layout at any time later.
fn refuses(call: &Call<'_>, operation: u8) -> bool {
    let foreign_events = arch::epoll_event_layout(call.task.arch) != arch::epoll_event_layout(philae_ir::Arch::X86_64);
    operation > op::LAST || operation == op::EPOLL_WAIT && foreign_events
}

/// Entries that are about to be submitted.
#[derive(Default)]
struct Batch {
    /// Where those are that were changed, what the guest had put there, and what the host sees.
    changed: Vec<(u64, [u8; ENTRY], [u8; ENTRY])>,
    /// What changed entries point to.
    kept: Vec<Kept>,
}

#[expect(dead_code, reason = "kept for the kernel to read")]
enum Kept {
    Path(HostPath),
    Bytes(Vec<u8>),
    Words(Box<[u64; 7]>),
}

impl Batch {
    /// Converts the next `count` entries of a ring. What cannot be read is left for the kernel to find.
    fn convert(call: &mut Call<'_>, ring: &Ring, count: u32) -> Batch {
        let mut batch = Batch::default();
        let _ = batch.convert_all(call, ring, count);
        batch
    }

    fn convert_all(&mut self, call: &mut Call<'_>, ring: &Ring, count: u32) -> Result<(), Errno> {
        let (Some(rings), Some(submissions)) = (ring.rings, ring.submissions) else { return Ok(()) };
        let word = |offset: u64| GuestPtr::<u32>::new(rings + offset).read();
        let (head, tail) = (word(ring.head)?, word(ring.tail)?);
        let mask = ring.entries.wrapping_sub(1);
        for place in 0..count.min(tail.wrapping_sub(head)).min(ring.entries) {
            let place = head.wrapping_add(place) & mask;
            let index = match ring.array {
                Some(array) => word(array + 4 * u64::from(place))?,
                None => place,
            };
            if index >= ring.entries {
                continue;
            }
            let address = submissions + ring.stride * u64::from(index);
            let mut before = [0; ENTRY];
            uaccess::read_bytes(address, &mut before)?;
            let mut entry = Entry(before);
            if self.convert_entry(call, &mut entry).is_ok() && entry.0 != before {
                uaccess::write_bytes(address, &entry.0)?;
                self.changed.push((address, before, entry.0));
            }
        }
        Ok(())
    }

    /// Puts the guest's entries back.
    fn restore(&self) {
        for (address, before, after) in self.changed.iter().rev() {
            let mut now = [0; ENTRY];
            if uaccess::read_bytes(*address, &mut now).is_ok() && now == *after {
                let _ = uaccess::write_bytes(*address, before);
            }
        }
    }

    fn convert_entry(&mut self, call: &mut Call<'_>, entry: &mut Entry) -> Result<(), Errno> {
        let follow = |bit: i32| entry.u32(Entry::OP_FLAGS) & bit as u32 != 0;
        let (no_follow, follow_links) = (!follow(libc::AT_SYMLINK_NOFOLLOW), follow(libc::AT_SYMLINK_FOLLOW));
        match entry.0[0] {
            op::OPENAT => {
                let flags = arch::open_flags_to_host(call.task.arch, u64::from(entry.u32(Entry::OP_FLAGS)));
                self.open(call, entry, flags)?;
                entry.set_u32(Entry::OP_FLAGS, flags as u32);
            }
            op::OPENAT2 => self.openat2(call, entry)?,
            op::STATX => self.path(call, entry, Entry::ADDRESS, no_follow)?,
            op::RENAMEAT => {
                self.path(call, entry, Entry::ADDRESS, false)?;
                self.path(call, entry, Entry::OFFSET, false)?;
            }
            op::LINKAT => {
                self.path(call, entry, Entry::ADDRESS, follow_links)?;
                self.path(call, entry, Entry::OFFSET, false)?;
            }
            op::UNLINKAT | op::MKDIRAT => self.path(call, entry, Entry::ADDRESS, false)?,
            op::SYMLINKAT => self.path(call, entry, Entry::OFFSET, false)?,
            op::SETXATTR | op::GETXATTR => self.path(call, entry, Entry::ADDRESS3, true)?,
            op::CLOSE if call.task.files.is_own(Fd(entry.u32(Entry::FD) as i32)) => entry.set_u32(Entry::FD, u32::MAX),
            op::EPOLL_CTL => self.epoll_ctl(call, entry)?,
            op::CONNECT | op::BIND => {
                let length = entry.u64(Entry::OFFSET);
                if let Some(length) = self.address(call, entry, Entry::ADDRESS, length) {
                    entry.set_u64(Entry::OFFSET, length);
                }
            }
            op::SEND | op::SEND_ZC => {
                let length = u64::from(entry.u32(Entry::LENGTH2) & 0xffff);
                if let Some(length) = self.address(call, entry, Entry::OFFSET, length) {
                    entry.set_u32(Entry::LENGTH2, entry.u32(Entry::LENGTH2) & !0xffff | length as u32);
                }
            }
            op::SENDMSG | op::SENDMSG_ZC => {
                let mut message = Box::new(GuestPtr::<[u64; 7]>::new(entry.u64(Entry::ADDRESS)).read()?);
                if let Some(name) = net::rename(call, &mut *message) {
                    entry.set_u64(Entry::ADDRESS, message.as_ptr() as u64);
                    self.kept.extend([Kept::Bytes(name), Kept::Words(message)]);
                }
            }
            op::PIPE => {
                let flags = arch::open_flags_to_host(call.task.arch, u64::from(entry.u32(Entry::OP_FLAGS)));
                entry.set_u32(Entry::OP_FLAGS, flags as u32);
            }
            op::READ | op::READ_FIXED | op::RECV => {
                let start = entry.u64(Entry::ADDRESS);
                call.task.mm.unwatch_range(&(start..start.saturating_add(u64::from(entry.u32(Entry::LENGTH)))));
            }
            op::READV => {
                let count = entry.u32(Entry::LENGTH).min(libc::UIO_MAXIOV as u32) as usize;
                for [start, length] in GuestPtr::<[u64; 2]>::new(entry.u64(Entry::ADDRESS)).read_array(count)? {
                    call.task.mm.unwatch_range(&(start..start.saturating_add(length)));
                }
            }
            op::MADVISE => madvise(call, entry),
            other if refuses(call, other) => entry.0[0] = op::INVALID,
            _ => {}
        }
        Ok(())
    }

    /// Puts the path whose address is at `place` as the host knows it.
    fn path(&mut self, call: &Call<'_>, entry: &mut Entry, place: usize, follow: bool) -> Result<(), Errno> {
        let host = HostPath::of(call.task, entry.u64(place), follow)?;
        entry.set_u64(place, host.word());
        self.kept.push(Kept::Path(host));
        Ok(())
    }

    /// The path of a file that is to be opened. One that would have to be made for the guest first is EINVAL.
    fn open(&mut self, call: &Call<'_>, entry: &mut Entry, flags: u64) -> Result<(), Errno> {
        match proc::view_at(Fd(entry.u32(Entry::FD) as i32), entry.u64(Entry::ADDRESS)) {
            Some(View::Own(_, OwnFile::Exe) | View::OtherExe(_)) | None => {}
            Some(view) if proc::text(call.task, view).is_none() => {}
            Some(_) => entry.0[0] = op::INVALID,
        }
        self.path(call, entry, Entry::ADDRESS, fs::follows(flags))
    }

    fn openat2(&mut self, call: &Call<'_>, entry: &mut Entry) -> Result<(), Errno> {
        let size = entry.u32(Entry::LENGTH) as usize;
        let mut how = vec![0; size.clamp(24, path::PATH_MAX)];
        uaccess::read_bytes(entry.u64(Entry::OFFSET), &mut how)?;
        let flags = arch::open_flags_to_host(call.task.arch, Fields(&how).u64(0));
        how[..8].copy_from_slice(&flags.to_le_bytes());
        if Fields(&how).u64(16) & fs::RESOLVE_INSIDE == 0 {
            self.open(call, entry, flags)?;
        }
        entry.set_u64(Entry::OFFSET, how.as_ptr() as u64);
        self.kept.push(Kept::Bytes(how));
        Ok(())
    }

    /// `epoll_ctl(2)`: the operation is in the length, the descriptor in the offset.
    fn epoll_ctl(&mut self, call: &Call<'_>, entry: &mut Entry) -> Result<(), Errno> {
        if call.task.files.is_own(Fd(entry.u64(Entry::OFFSET) as i32)) {
            entry.set_u64(Entry::OFFSET, Fd(-1).word());
        }
        let (size, data) = arch::epoll_event_layout(call.task.arch);
        if entry.u32(Entry::LENGTH) == libc::EPOLL_CTL_DEL as u32 {
            return Ok(());
        }
        let mut guest = vec![0; size];
        uaccess::read_bytes(entry.u64(Entry::ADDRESS), &mut guest)?;
        let mut host = Bytes::default();
        host.u32(Fields(&guest).u32(0)).u64(Fields(&guest).u64(data));
        entry.set_u64(Entry::ADDRESS, host.0.as_ptr() as u64);
        self.kept.push(Kept::Bytes(host.0));
        Ok(())
    }

    /// Puts a socket address, whose own address is at `place`, as the host knows it; gives its length if it is another.
    fn address(&mut self, call: &Call<'_>, entry: &mut Entry, place: usize, length: u64) -> Option<u64> {
        let host = net::unix_address(call, entry.u64(place), length as usize)?;
        let length = host.len() as u64;
        entry.set_u64(place, host.as_ptr() as u64);
        self.kept.push(Kept::Bytes(host));
        Some(length)
    }
}

/// Memory of Philae's own is not there; code in what is discarded is forgotten.
fn madvise(call: &Call<'_>, entry: &mut Entry) {
    let (start, long) = (entry.u64(Entry::ADDRESS), entry.u64(Entry::OFFSET));
    let length = if long != 0 { long } else { u64::from(entry.u32(Entry::LENGTH)) };
    let range = start..start.saturating_add(length);
    if !call.task.mm.forget_discarded(&range) {
        entry.0[0] = op::INVALID;
    }
}

/// `struct io_uring_sqe`.
struct Entry([u8; ENTRY]);

impl Entry {
    const FD: usize = 4;
    const OFFSET: usize = 8;
    const ADDRESS: usize = 16;
    const LENGTH: usize = 24;
    const OP_FLAGS: usize = 28;
    const LENGTH2: usize = 44;
    const ADDRESS3: usize = 48;

    fn u32(&self, at: usize) -> u32 {
        Fields(&self.0).u32(at)
    }

    fn u64(&self, at: usize) -> u64 {
        Fields(&self.0).u64(at)
    }

    fn set_u32(&mut self, at: usize, value: u32) {
        self.0[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    fn set_u64(&mut self, at: usize, value: u64) {
        self.0[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
}
