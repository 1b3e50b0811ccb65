//! epoll(7): `struct epoll_event` is packed on x86_64 and not elsewhere. poll(2) and select(2) pass.
//!
//! In: events in the guest's layout. Out: events in the host's, and back.

use crate::arch::{self, Bytes, Fields};
use crate::args::Fd;
use crate::call::{Call, Reply};
use crate::errno::Errno;
use crate::uaccess;

/// Bytes in the host's `struct epoll_event`, and the offset of its `data`.
const HOST_EVENT: usize = 12;
const HOST_DATA: usize = 4;
/// Events taken with one call; a caller who has room for more calls again.
const AT_ONCE: usize = 1024;

pub(crate) fn epoll_ctl(call: &mut Call<'_>, epoll: Fd, operation: i32, fd: Fd, event: u64) -> Reply {
    let (size, data) = arch::epoll_event_layout(call.task.arch);
    let fd = call.guest_fd(fd)?;
    if size == HOST_EVENT || operation == libc::EPOLL_CTL_DEL {
        return call.pass();
    }
    let mut guest = vec![0; size];
    uaccess::read_bytes(event, &mut guest)?;
    let mut host = Bytes::default();
    host.u32(Fields(&guest).u32(0)).u64(Fields(&guest).u64(data));
    call.pass_with([epoll.word(), operation as u64, fd.word(), host.0.as_ptr() as u64, 0, 0])
}

pub(crate) fn epoll_wait(call: &mut Call<'_>, _epoll: Fd, events: u64, room: i32) -> Reply {
    wait(call, events, room)
}

pub(crate) fn epoll_pwait(call: &mut Call<'_>, _epoll: Fd, events: u64, room: i32) -> Reply {
    wait(call, events, room)
}

pub(crate) fn epoll_pwait2(call: &mut Call<'_>, _epoll: Fd, events: u64, room: i32) -> Reply {
    wait(call, events, room)
}

/// Makes the call with a buffer of the host's layout in place of its second argument.
fn wait(call: &Call<'_>, events: u64, room: i32) -> Reply {
    let (size, data) = arch::epoll_event_layout(call.task.arch);
    if size == HOST_EVENT || room <= 0 {
        return call.pass();
    }
    let room = (room as usize).min(AT_ONCE);
    let mut host = vec![0; room * HOST_EVENT];
    let mut args = call.args;
    args[1] = host.as_mut_ptr() as u64;
    args[2] = room as u64;
    let count = call.pass_with(args)? as usize;
    let mut guest = Bytes::default();
    for event in host.chunks_exact(HOST_EVENT).take(count) {
        let start = guest.0.len();
        guest.u32(Fields(event).u32(0)).pad_to(start + data).u64(Fields(event).u64(HOST_DATA)).pad_to(start + size);
    }
    uaccess::write_bytes(events, &guest.0).map_err(|_| Errno::EFAULT)?;
    Ok(count as u64)
}
