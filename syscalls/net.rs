//! Sockets: all pass; the path in an AF_UNIX address is resolved under the sysroot, unix(7), and one that comes back
//! is without it.
//!
//! In: a socket address in guest memory. Out: the host call with the address that the host knows, and the address that
//! the host gave as the guest knows it.

use crate::args::Fd;
use crate::call::{Call, Reply};
use crate::errno::Errno;
use crate::path;
use crate::proc;
use crate::tags::{self, CONTROL, NAME, Part, Tags, VECTOR};
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

pub(crate) fn getsockname(call: &mut Call<'_>, _socket: Fd, address: u64, length: GuestPtr<u32>) -> Reply {
    with_room(call, 1, address, length)
}

pub(crate) fn getpeername(call: &mut Call<'_>, _socket: Fd, address: u64, length: GuestPtr<u32>) -> Reply {
    with_room(call, 1, address, length)
}

pub(crate) fn accept(call: &mut Call<'_>, _socket: Fd, address: u64, length: GuestPtr<u32>) -> Reply {
    with_room(call, 1, address, length)
}

pub(crate) fn recvfrom(
    call: &mut Call<'_>,
    _socket: Fd,
    _buffer: u64,
    _size: u64,
    _flags: u32,
    address: u64,
    length: GuestPtr<u32>,
) -> Reply {
    with_room(call, 4, address, length)
}

/// Words of `struct msghdr`, and of `struct mmsghdr`: name, its length, vector, its length, control, its length, flags;
/// then the bytes that were sent.
const MESSAGE: usize = 7;
const MESSAGES: usize = 8;
const LENGTH: usize = 1;
/// The most messages of one sendmmsg(2).
const MOST_MESSAGES: u32 = libc::UIO_MAXIOV as u32;

pub(crate) fn sendmsg(call: &mut Call<'_>, socket: Fd, message: GuestPtr<[u64; MESSAGE]>, flags: u32) -> Reply {
    if is_plain(call) {
        return call.pass();
    }
    let mut message = message.read()?;
    let parts = tags::remove_from_message(call.task.tags, &mut message)?;
    let name = rename(call, &mut message);
    let reply = call.pass_with([socket.word(), message.as_ptr() as u64, u64::from(flags), 0, 0, 0]);
    drop((name, parts));
    reply
}

pub(crate) fn sendmmsg(
    call: &mut Call<'_>,
    socket: Fd,
    messages: GuestPtr<[u64; MESSAGES]>,
    count: u32,
    flags: u32,
) -> Reply {
    if is_plain(call) {
        return call.pass();
    }
    let mut all = messages.read_array(count.min(MOST_MESSAGES) as usize)?;
    let tags = call.task.tags;
    let parts: Result<Vec<_>, _> = all.iter_mut().map(|message| tags::remove_from_message(tags, message)).collect();
    let parts = parts?;
    let names: Vec<_> = all.iter_mut().map(|message| rename(call, message)).collect();
    let args = [socket.word(), all.as_ptr() as u64, all.len() as u64, u64::from(flags), 0, 0];
    let sent = call.pass_with(args)?;
    drop((names, parts));
    for (index, message) in all.iter().enumerate().take(sent as usize) {
        let length = messages.at(index).address + 8 * MESSAGE as u64;
        GuestPtr::new(length).write(&(message[MESSAGE] as u32))?;
    }
    Ok(sent)
}

pub(crate) fn recvmsg(call: &mut Call<'_>, socket: Fd, message: GuestPtr<[u64; MESSAGE]>, flags: u32) -> Reply {
    if is_plain(call) {
        return call.pass();
    }
    let guest = message.read()?;
    let (mut host, mut room) = (guest, Room::default());
    let parts = room.lend(call, &mut host)?;
    let received = call.pass_with([socket.word(), host.as_mut_ptr() as u64, u64::from(flags), 0, 0, 0])?;
    drop(parts);
    room.give_back(call, &guest, &mut host)?;
    message.write(&host)?;
    Ok(received)
}

pub(crate) fn recvmmsg(
    call: &mut Call<'_>,
    socket: Fd,
    messages: GuestPtr<[u64; MESSAGES]>,
    count: u32,
    flags: u32,
    timeout: u64,
) -> Reply {
    if is_plain(call) {
        return call.pass();
    }
    let guest = messages.read_array(count.min(MOST_MESSAGES) as usize)?;
    let mut host = guest.clone();
    let mut rooms = vec![Room::default(); host.len()];
    let parts: Result<Vec<_>, _> =
        host.iter_mut().zip(&mut rooms).map(|(message, room)| room.lend(call, message)).collect();
    let parts = parts?;
    let args = [socket.word(), host.as_mut_ptr() as u64, host.len() as u64, u64::from(flags), timeout, 0];
    let received = call.pass_with(args)?;
    drop(parts);
    for (index, message) in host.iter_mut().enumerate().take(received as usize) {
        rooms[index].give_back(call, &guest[index], message)?;
        messages.at(index).write(message)?;
    }
    Ok(received)
}

/// Room for an address of any family (`struct sockaddr_storage`).
#[derive(Clone, Debug)]
struct Room([u8; 128]);

impl Default for Room {
    fn default() -> Room {
        Room([0; 128])
    }
}

impl Room {
    /// Makes a message's sender be written here, if the guest wants to know, and its parts be named without tags; what
    /// the header points to then is the result.
    fn lend(&mut self, call: &Call<'_>, message: &mut [u64]) -> Result<Option<Vec<Part>>, Errno> {
        if message[NAME] != 0 {
            message[NAME] = self.0.as_mut_ptr() as u64;
            message[LENGTH] = message[LENGTH] & !0xffff_ffff | self.0.len() as u64;
        }
        tags::remove_from_message(call.task.tags, message)
    }

    /// Puts the guest's pointers back into a message's header and gives the guest the sender where it wants it.
    fn give_back(&self, call: &Call<'_>, guest: &[u64], message: &mut [u64]) -> Result<(), Errno> {
        for pointer in [NAME, VECTOR, CONTROL] {
            message[pointer] = guest[pointer];
        }
        if guest[NAME] != 0 {
            let [length, room] = [message[LENGTH], guest[LENGTH]].map(|word| word as u32);
            let length = give_address(call, &self.0[..], length, guest[NAME], room)?;
            message[LENGTH] = message[LENGTH] & !0xffff_ffff | u64::from(length);
        }
        Ok(())
    }
}

/// Makes the call with room of our own for the address that it gives (argument `index`, the length's address the next).
fn with_room(call: &Call<'_>, index: usize, address: u64, length: GuestPtr<u32>) -> Reply {
    if call.task.fs.sysroot.is_none() || address == 0 {
        return call.pass();
    }
    let room = length.read()?;
    if room > i32::MAX as u32 {
        return Err(Errno::EINVAL);
    }
    let mut host = Room::default();
    let mut host_length = host.0.len() as u32;
    let mut args = call.args;
    args[index] = host.0.as_mut_ptr() as u64;
    args[index + 1] = &raw mut host_length as u64;
    let value = call.pass_with(args)?;
    length.write(&give_address(call, &host.0, host_length, address, room)?)?;
    Ok(value)
}

/// Writes an address that the host gave to the guest's `room` bytes at `address`, as much of it as fits; its length.
fn give_address(call: &Call<'_>, host: &[u8], length: u32, address: u64, room: u32) -> Result<u32, Errno> {
    let host = &host[..host.len().min(length as usize)];
    let guest = guest_address(call, host).unwrap_or_else(|| host.to_vec());
    uaccess::write_bytes(address, &guest[..guest.len().min(room as usize)])?;
    Ok(guest.len() as u32)
}

/// What the guest calls an AF_UNIX address whose path lies in the sysroot.
fn guest_address(call: &Call<'_>, host: &[u8]) -> Option<Vec<u8>> {
    let (family, path) = host.split_at_checked(FAMILY)?;
    if family != (libc::AF_UNIX as u16).to_le_bytes() || path.first() != Some(&b'/') {
        return None;
    }
    let name: Vec<u8> = path.iter().copied().take_while(|byte| *byte != 0).collect();
    let guest = proc::guest_name(call.task, CString::new(name).ok()?);
    Some([family, guest.as_bytes_with_nul()].concat())
}

/// Whether messages can go to the host as they are.
fn is_plain(call: &Call<'_>) -> bool {
    call.task.fs.sysroot.is_none() && call.task.tags == Tags::Refused
}

/// Puts the address that the host knows into a message's header; what it points to is the result.
pub(crate) fn rename(call: &Call<'_>, message: &mut [u64]) -> Option<Vec<u8>> {
    let host = unix_address(call, message[NAME], (message[LENGTH] & 0xffff_ffff) as usize)?;
    message[NAME] = host.as_ptr() as u64;
    message[LENGTH] = host.len() as u64;
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
