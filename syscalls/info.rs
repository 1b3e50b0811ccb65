//! What the guest is told about the machine and itself: uname(2), prctl(2), arch_prctl(2), personality(2).
//!
//! In: the guest's arguments. Out: the host's answers, where they are true for the guest too.

use crate::call::{Call, Reply};
use crate::errno::Errno;
use crate::uaccess::{self, GuestPtr};
use crate::{host, pauth, proc, seccomp, tags};
use philae_ir::Arch;
use philae_ir::state::x86_64::{FS_BASE, GS_BASE};

/// Bytes in each of the six fields of `struct new_utsname`.
const UTS_FIELD: usize = 65;
const UTS_RELEASE: usize = 2;
const UTS_MACHINE: usize = 4;

pub(crate) fn uname(call: &mut Call<'_>, to: u64) -> Reply {
    let mut names = [[0u8; UTS_FIELD]; 6];
    call.host(libc::SYS_uname, [names.as_mut_ptr() as u64, 0, 0, 0, 0, 0])?;
    set_field(&mut names[UTS_MACHINE], call.task.arch.name());
    if let Some(release) = &call.task.process.info.release {
        set_field(&mut names[UTS_RELEASE], release);
    }
    uaccess::write_bytes(to, names.as_flattened())?;
    Ok(0)
}

fn set_field(field: &mut [u8; UTS_FIELD], text: &str) {
    let length = text.len().min(UTS_FIELD - 1);
    *field = [0; UTS_FIELD];
    field[..length].copy_from_slice(&text.as_bytes()[..length]);
}

/// Flags that say nothing about memory; the others (READ_IMPLIES_EXEC, another execution domain) would change
/// the rules for Philae's own memory.
pub(crate) fn personality(call: &mut Call<'_>, persona: u32) -> Reply {
    const QUERY: u32 = 0xffff_ffff;
    const HARMLESS: i32 = libc::ADDR_NO_RANDOMIZE
        | libc::UNAME26
        | libc::ADDR_COMPAT_LAYOUT
        | libc::STICKY_TIMEOUTS
        | libc::WHOLE_SECONDS
        | libc::SHORT_INODE;
    if persona != QUERY && persona & !(HARMLESS as u32) != 0 {
        return Err(Errno::EINVAL);
    }
    call.pass()
}

const ARCH_SET_GS: i32 = 0x1001;
const ARCH_SET_FS: i32 = 0x1002;
const ARCH_GET_FS: i32 = 0x1003;
const ARCH_GET_GS: i32 = 0x1004;
/// One past the highest user address.
const USER_END: u64 = 0x7fff_ffff_f000;

pub(crate) fn arch_prctl(call: &mut Call<'_>, option: i32, address: u64) -> Reply {
    match option {
        ARCH_SET_FS | ARCH_SET_GS if address >= USER_END => Err(Errno::EPERM),
        ARCH_SET_FS => {
            call.cpu.set(FS_BASE, address);
            Ok(0)
        }
        ARCH_SET_GS => {
            call.cpu.set(GS_BASE, address);
            Ok(0)
        }
        ARCH_GET_FS => GuestPtr::new(address).write(&call.cpu.get(FS_BASE)).map(|()| 0),
        ARCH_GET_GS => GuestPtr::new(address).write(&call.cpu.get(GS_BASE)).map(|()| 0),
        _ => Err(Errno::EINVAL),
    }
}

// Options of linux/prctl.h that the C library of this build does not name.
const PR_GET_TSC: i32 = 25;
const PR_GET_TID_ADDRESS: i32 = 40;
const PR_PAC_RESET_KEYS: i32 = 54;
const PR_SET_TAGGED_ADDR_CTRL: i32 = 55;
const PR_GET_TAGGED_ADDR_CTRL: i32 = 56;
const PR_PAC_SET_ENABLED_KEYS: i32 = 60;
const PR_PAC_GET_ENABLED_KEYS: i32 = 61;
const PR_SET_IO_FLUSHER: i32 = 57;
const PR_GET_IO_FLUSHER: i32 = 58;
const PR_SCHED_CORE: i32 = 62;
const PR_GET_MDWE: i32 = 66;
const PR_SET_MEMORY_MERGE: i32 = 67;
const PR_GET_MEMORY_MERGE: i32 = 68;
const PR_TIMER_CREATE_RESTORE_IDS: i32 = 77;
const PR_FUTEX_HASH: i32 = 78;
const PR_GET_AUXV: i32 = 0x4155_5856;
const PR_SET_VMA: i32 = 0x5356_4d41;

/// Options that mean the same for the guest's process and for its host's.
const PASSED_PRCTLS: &[i32] = &[
    libc::PR_SET_PDEATHSIG,
    libc::PR_GET_PDEATHSIG,
    libc::PR_GET_DUMPABLE,
    libc::PR_SET_DUMPABLE,
    libc::PR_GET_KEEPCAPS,
    libc::PR_SET_KEEPCAPS,
    libc::PR_GET_TIMING,
    libc::PR_SET_TIMING,
    libc::PR_SET_NAME,
    libc::PR_GET_NAME,
    libc::PR_CAPBSET_READ,
    libc::PR_CAPBSET_DROP,
    libc::PR_GET_SECUREBITS,
    libc::PR_SET_SECUREBITS,
    libc::PR_SET_TIMERSLACK,
    libc::PR_GET_TIMERSLACK,
    libc::PR_MCE_KILL,
    libc::PR_MCE_KILL_GET,
    libc::PR_SET_PTRACER,
    libc::PR_SET_CHILD_SUBREAPER,
    libc::PR_GET_CHILD_SUBREAPER,
    libc::PR_SET_NO_NEW_PRIVS,
    libc::PR_GET_NO_NEW_PRIVS,
    libc::PR_SET_THP_DISABLE,
    libc::PR_GET_THP_DISABLE,
    libc::PR_CAP_AMBIENT,
    libc::PR_GET_SPECULATION_CTRL,
    libc::PR_SET_SPECULATION_CTRL,
    PR_SET_IO_FLUSHER,
    PR_GET_IO_FLUSHER,
    PR_SCHED_CORE,
    PR_SET_MEMORY_MERGE,
    PR_GET_MEMORY_MERGE,
    PR_TIMER_CREATE_RESTORE_IDS,
    PR_FUTEX_HASH,
    libc::PR_TASK_PERF_EVENTS_DISABLE,
    libc::PR_TASK_PERF_EVENTS_ENABLE,
    PR_SET_VMA,
];

/// EINVAL, as from a kernel or a processor without the option, for what would apply to Philae instead of the guest.
pub(crate) fn prctl(call: &mut Call<'_>, option: i32, second: u64, third: u64, fourth: u64, fifth: u64) -> Reply {
    let rest_is_zero = third == 0 && fourth == 0 && fifth == 0;
    match option {
        PR_GET_TID_ADDRESS => GuestPtr::new(second).write(&call.task.clear_child_tid).map(|()| 0),
        PR_GET_AUXV => {
            let auxv = &call.task.process.info.auxv;
            uaccess::write_bytes(second, &auxv[..auxv.len().min(third as usize)])?;
            Ok(auxv.len() as u64)
        }
        libc::PR_GET_SECCOMP => Ok(call.task.seccomp.mode()),
        libc::PR_SET_SECCOMP => seccomp::set_by_prctl(call, second, third),
        libc::PR_SET_MM => set_mm(call, second, third, fourth, fifth),
        // Nothing is denied, and the time stamp can be read.
        PR_GET_MDWE if second == 0 && rest_is_zero => Ok(0),
        PR_SET_TAGGED_ADDR_CTRL if call.task.arch == Arch::Aarch64 && rest_is_zero => tags::set(call, second),
        PR_GET_TAGGED_ADDR_CTRL if call.task.arch == Arch::Aarch64 && second == 0 && rest_is_zero => tags::get(call),
        PR_PAC_RESET_KEYS if rest_is_zero => pauth::reset_keys(call, second),
        PR_PAC_GET_ENABLED_KEYS if second == 0 && rest_is_zero => pauth::enabled_keys(call),
        PR_PAC_SET_ENABLED_KEYS if fourth == 0 && fifth == 0 => pauth::enable_keys(call, second, third),
        PR_GET_TSC if call.task.arch == Arch::X86_64 => GuestPtr::new(second).write(&libc::PR_TSC_ENABLE).map(|()| 0),
        _ if PASSED_PRCTLS.contains(&option) => call.pass(),
        _ => Err(Errno::EINVAL),
    }
}

/// `PR_SET_MM`: what only informs. The heap stays where Philae's C library has it, the program its own file.
fn set_mm(call: &mut Call<'_>, field: u64, address: u64, size: u64, fifth: u64) -> Reply {
    const CAP_SYS_RESOURCE: u32 = 24;
    const MAP_SIZE: u64 = 15;
    const INFORMING: std::ops::RangeInclusive<u64> = 8..=12;
    const MM_MAP_BYTES: u64 = size_of::<proc::MmMap>() as u64;
    if fifth != 0 {
        return Err(Errno::EINVAL);
    }
    match field {
        proc::PR_SET_MM_MAP if size == MM_MAP_BYTES => {
            let map = GuestPtr::<proc::MmMap>::new(address).read()?;
            if map.exe_fd != u32::MAX { Err(Errno::EBUSY) } else { proc::set_mm_map(map) }
        }
        MAP_SIZE => GuestPtr::new(address).write(&(MM_MAP_BYTES as u32)).map(|()| 0),
        // ARG_START to ENV_END, AUXV.
        field if INFORMING.contains(&field) => call.pass(),
        _ if !host::is_capable(CAP_SYS_RESOURCE) => Err(Errno::EPERM),
        _ => Err(Errno::EINVAL),
    }
}
