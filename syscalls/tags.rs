//! Tags in the top byte of an aarch64 guest's pointers, as system calls see them
//! (Documentation/arch/arm64/tagged-address-abi.rst of Linux).
//!
//! In: a call's arguments. Out: what the host, which knows no tags, is given. Addresses that a call manages may always
//! have tags. Pointers that the kernel follows may have them in a thread that has asked for it (prctl(2),
//! PR_SET_TAGGED_ADDR_CTRL), also those in the vectors of readv(2) and its like and in message headers; else they are
//! EFAULT, as on the host. What [`crate::uaccess`] follows is up to it ([`crate::uaccess::set_tags`]).

use crate::call::{Call, Reply};
use crate::errno::Errno;
use crate::table::Row;
use crate::uaccess::GuestPtr;
use philae_ir::Arch;
use philae_ir::state::aarch64::untagged;

/// Whether system calls accept tags in pointers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tags {
    /// EFAULT.
    #[default]
    Refused,
    /// They are ignored.
    Accepted,
}

/// PR_TAGGED_ADDR_ENABLE of prctl(2).
const ENABLE: u64 = 1;
/// The most elements of a vector.
const MOST_PARTS: u64 = libc::UIO_MAXIOV as u64;

/// Places of what has to do with pointers in `struct msghdr` and `struct mmsghdr`.
pub(crate) const NAME: usize = 0;
pub(crate) const VECTOR: usize = 2;
const COUNT: usize = 3;
pub(crate) const CONTROL: usize = 4;

/// An element of a vector: address and length.
pub(crate) type Part = [u64; 2];

/// `prctl(PR_SET_TAGGED_ADDR_CTRL)` without memory tagging.
pub(crate) fn set(call: &mut Call<'_>, control: u64) -> Reply {
    call.task.tags = match control {
        0 => Tags::Refused,
        ENABLE => Tags::Accepted,
        _ => return Err(Errno::EINVAL),
    };
    Ok(0)
}

/// `prctl(PR_GET_TAGGED_ADDR_CTRL)`.
pub(crate) fn get(call: &Call<'_>) -> Reply {
    Ok(match call.task.tags {
        Tags::Refused => 0,
        Tags::Accepted => ENABLE,
    })
}

/// The arguments of a call, without tags where they may have some.
pub(crate) fn remove(arch: Arch, tags: Tags, row: &Row, mut args: [u64; 6]) -> [u64; 6] {
    if arch != Arch::Aarch64 || args.iter().all(|&word| untagged(word) == word) {
        return args;
    }
    let managed = managed(row.name);
    for (index, letter) in row.args.bytes().enumerate() {
        let followed = tags == Tags::Accepted && matches!(letter, b'x' | b'p' | b's') && !names_place(row.name, index);
        if followed || managed == Some(index) {
            args[index] = untagged(args[index]);
        }
    }
    args
}

/// The argument that is an address of memory to manage.
fn managed(name: &str) -> Option<usize> {
    match name {
        "munmap"
        | "mprotect"
        | "pkey_mprotect"
        | "madvise"
        | "mlock"
        | "mlock2"
        | "munlock"
        | "msync"
        | "mincore"
        | "mbind"
        | "mremap"
        | "mseal"
        | "remap_file_pages"
        | "set_mempolicy_home_node" => Some(0),
        "get_mempolicy" => Some(3),
        _ => None,
    }
}

/// Whether an argument says where memory is to be, which may not have a tag.
fn names_place(name: &str, index: usize) -> bool {
    match name {
        "mmap" | "brk" => index == 0,
        "mremap" => index == 4,
        "shmat" => index == 1,
        "shmdt" => index == 0,
        _ => false,
    }
}

/// Passes a call of a thread that may use tags where the host follows pointers in memory.
pub(crate) fn pass(call: &Call<'_>) -> Reply {
    match call.row.name {
        "readv" | "writev" | "preadv" | "pwritev" | "preadv2" | "pwritev2" | "vmsplice" => with_vectors(call, &[1]),
        "process_vm_readv" | "process_vm_writev" => with_vectors(call, &[1, 3]),
        _ => call.pass(),
    }
}

/// Passes a call with the vectors in these arguments, their lengths being the next, without tags.
fn with_vectors(call: &Call<'_>, places: &[usize]) -> Reply {
    let mut args = call.args;
    let mut vectors = Vec::new();
    for &place in places {
        if let Some(parts) = vector(args[place], args[place + 1])? {
            args[place] = parts.as_ptr() as u64;
            vectors.push(parts);
        }
    }
    let reply = call.pass_with(args);
    drop(vectors);
    reply
}

/// The vector at `address` without tags; `None` if it is too long, which the host is to say.
fn vector(address: u64, count: u64) -> Result<Option<Vec<Part>>, Errno> {
    if count > MOST_PARTS {
        return Ok(None);
    }
    let mut parts = GuestPtr::<Part>::new(address).read_array(count as usize)?;
    parts.iter_mut().for_each(|part| part[0] = untagged(part[0]));
    Ok(Some(parts))
}

/// The vector that the header of a message names, which is put into the header as it is here, and the other pointers of
/// the header without tags. `None` where the thread uses none.
pub(crate) fn remove_from_message(tags: Tags, message: &mut [u64]) -> Result<Option<Vec<Part>>, Errno> {
    if tags == Tags::Refused {
        return Ok(None);
    }
    message[NAME] = untagged(message[NAME]);
    message[CONTROL] = untagged(message[CONTROL]);
    let parts = vector(message[VECTOR], message[COUNT])?;
    if let Some(parts) = &parts {
        message[VECTOR] = parts.as_ptr() as u64;
    }
    Ok(parts)
}
