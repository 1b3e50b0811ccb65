//! SysV and POSIX IPC: semctl(2), mq_open(3). The rest passes.
//!
//! In: structs and flags of the guest. Out: the host's. `struct semid64_ds` has two unused words on x86_64
//! (arch/x86/include/uapi/asm/sembuf.h) that asm-generic does not have.

use crate::arch;
use crate::call::{Call, Reply};
use crate::uaccess;
use philae_ir::Arch;

/// Bytes of the two layouts.
const X86_64_SEMID: usize = 104;
const GENERIC_SEMID: usize = 88;
/// For each field: offset on x86_64, offset in asm-generic, bytes. Permissions, otime, ctime, nsems.
const SEMID_FIELDS: [(usize, usize, usize); 4] = [(0, 0, 48), (48, 48, 8), (64, 56, 8), (80, 64, 8)];

const SEM_STAT: i32 = 18;
const SEM_STAT_ANY: i32 = 20;

pub(crate) fn semctl(call: &mut Call<'_>, id: i32, number: i32, command: i32, arg: u64) -> Reply {
    match call.task.arch {
        Arch::X86_64 => return call.pass(),
        Arch::Aarch64 => {}
    }
    let mut host = [0; X86_64_SEMID];
    let words = [id as u64, number as u64, command as u64, host.as_mut_ptr() as u64, 0, 0];
    match command {
        libc::IPC_STAT | SEM_STAT | SEM_STAT_ANY => {
            let value = call.pass_with(words)?;
            let mut guest = [0; GENERIC_SEMID];
            for (from, to, size) in SEMID_FIELDS {
                guest[to..to + size].copy_from_slice(&host[from..from + size]);
            }
            uaccess::write_bytes(arg, &guest)?;
            Ok(value)
        }
        libc::IPC_SET => {
            let mut guest = [0; GENERIC_SEMID];
            uaccess::read_bytes(arg, &mut guest)?;
            for (to, from, size) in SEMID_FIELDS {
                host[to..to + size].copy_from_slice(&guest[from..from + size]);
            }
            call.pass_with(words)
        }
        _ => call.pass(),
    }
}

pub(crate) fn mq_open(call: &mut Call<'_>, name: u64, flags: u32, mode: u32, attributes: u64) -> Reply {
    let flags = arch::open_flags_to_host(call.task.arch, u64::from(flags));
    call.pass_with([name, flags, u64::from(mode), attributes, 0, 0])
}
