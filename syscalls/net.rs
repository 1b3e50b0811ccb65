//! Sockets: all pass; the path in an AF_UNIX address is resolved under the sysroot, unix(7).
//!
//! In: a socket address in guest memory. Out: the host call with the address that the host knows.

use crate::args::Fd;
use crate::call::{Call, Reply};
use crate::path;
use crate::uaccess;
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
fn unix_address(call: &Call<'_>, address: u64, length: usize) -> Option<Vec<u8>> {
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
