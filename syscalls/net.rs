//! Sockets: all pass; the path in an AF_UNIX address is resolved under the sysroot, unix(7).
//!
//! In: a socket address in guest memory. Out: the host call with the address that the host knows.

use crate::args::Fd;
use crate::call::{Call, Reply};
use crate::path;
use crate::uaccess::{self, GuestPtr};
use std::ffi::CString;

/// Bytes of `sun_family`, and of the longest `struct sockaddr_un`.
const FAMILY: usize = 2;
const LONGEST: usize = FAMILY + 108;

pub(crate) fn bind(call: &mut Call<'_>, _socket: Fd, address: u64, length: u32) -> Reply {
    with_address(call, 1, address, length)
}

pub(crate) fn connect(call: &mut Call<'_>, _socket: Fd, address: u64, length: u32) -> Reply {
    with_address(call, 1, address, length)
}

pub(crate) fn sendto(
    call: &mut Call<'_>,
    _socket: Fd,
    _buffer: u64,
    _size: u64,
    _flags: u32,
    address: u64,
    length: u32,
) -> Reply {
    with_address(call, 4, address, length)
}

/// Words of `struct msghdr`, and of `struct mmsghdr`: name, its length, vector, its length, control, its length, flags;
/// then the bytes that were sent.
const MESSAGE: usize = 7;
const MESSAGES: usize = 8;
/// UIO_MAXIOV: the most messages of one sendmmsg(2).
const MOST_MESSAGES: u32 = 1024;

pub(crate) fn sendmsg(call: &mut Call<'_>, socket: Fd, message: GuestPtr<[u64; MESSAGE]>, flags: u32) -> Reply {
    if call.task.fs.sysroot.is_none() {
        return call.pass();
    }
    let mut message = message.read()?;
    let name = rename(call, &mut message);
    let reply = call.pass_with([socket.word(), message.as_ptr() as u64, u64::from(flags), 0, 0, 0]);
    drop(name);
    reply
}

pub(crate) fn sendmmsg(
    call: &mut Call<'_>,
    socket: Fd,
    messages: GuestPtr<[u64; MESSAGES]>,
    count: u32,
    flags: u32,
) -> Reply {
    if call.task.fs.sysroot.is_none() {
        return call.pass();
    }
    let mut all = messages.read_array(count.min(MOST_MESSAGES) as usize)?;
    let names: Vec<_> = all.iter_mut().map(|message| rename(call, message)).collect();
    let args = [socket.word(), all.as_ptr() as u64, all.len() as u64, u64::from(flags), 0, 0];
    let sent = call.pass_with(args)?;
    drop(names);
    for (index, message) in all.iter().enumerate().take(sent as usize) {
        let length = messages.at(index).address + 8 * MESSAGE as u64;
        GuestPtr::new(length).write(&(message[MESSAGE] as u32))?;
    }
    Ok(sent)
}

/// Puts the address that the host knows into a message's header; what it points to is the result.
pub(crate) fn rename(call: &Call<'_>, message: &mut [u64]) -> Option<Vec<u8>> {
    let host = unix_address(call, message[0], (message[1] & 0xffff_ffff) as usize)?;
    message[0] = host.as_ptr() as u64;
    message[1] = host.len() as u64;
    Some(host)
}

/// Makes the call with the address (argument `index`, its length the next) as the host knows it.
fn with_address(call: &Call<'_>, index: usize, address: u64, length: u32) -> Reply {
    let Some(host) = unix_address(call, address, length as usize) else { return call.pass() };
    let mut args = call.args;
    args[index] = host.as_ptr() as u64;
    args[index + 1] = host.len() as u64;
    call.pass_with(args)
}

/// The host's address for an AF_UNIX path that lies in the sysroot. One that would be too long there is left to
/// the host as it is.
pub(crate) fn unix_address(call: &Call<'_>, address: u64, length: usize) -> Option<Vec<u8>> {
    call.task.fs.sysroot.as_ref()?;
    if length <= FAMILY || length > LONGEST {
        return None;
    }
    let mut bytes = vec![0; length];
    uaccess::read_bytes(address, &mut bytes).ok()?;
    if bytes[..FAMILY] != (libc::AF_UNIX as u16).to_le_bytes() {
        return None;
    }
    let name: Vec<u8> = bytes[FAMILY..].iter().copied().take_while(|byte| *byte != 0).collect();
    let host = path::translate(call.task, &CString::new(name).ok()?, true)?;
    bytes.truncate(FAMILY);
    bytes.extend_from_slice(host.as_bytes_with_nul());
    (bytes.len() <= LONGEST).then_some(bytes)
}
