//! Futexes: futex(2) and its kin pass, on the guest's own words. The robust list, and what its death means.
//!
//! In: the list's head in guest memory. Out: marked words and woken waiters when a thread ends. The host kernel
//! has the list as well, for threads that are killed; an orderly end walks it here, because the guest may reuse
//! the memory before the host thread is gone.

use crate::call::{Call, Reply};
use crate::errno::Errno;
use crate::host;
use crate::task::Task;
use crate::uaccess::{GuestPtr, compare_exchange};

const HEAD_SIZE: u64 = 24;
const FUTEX_TID_MASK: u32 = 0x3fff_ffff;
const FUTEX_OWNER_DIED: u32 = 0x4000_0000;
const FUTEX_WAITERS: u32 = 0x8000_0000;
/// ROBUST_LIST_LIMIT of the kernel.
const LIMIT: usize = 2048;

pub(crate) fn set_robust_list(call: &mut Call<'_>, head: u64, size: u64) -> Reply {
    if size != HEAD_SIZE {
        return Err(Errno::EINVAL);
    }
    call.pass()?;
    call.task.robust_list = head;
    Ok(0)
}

/// Marks every robust futex that the thread holds and wakes a waiter of each; forgets the list.
pub(crate) fn release_robust_list(task: &mut Task) {
    let head = std::mem::take(&mut task.robust_list);
    // SAFETY: forgetting the list changes no memory.
    let _ = unsafe { host::raw(libc::SYS_set_robust_list, [0, HEAD_SIZE, 0, 0, 0, 0]) };
    if head != 0 {
        // A list that cannot be read ends there, as in the kernel.
        let _ = walk(head, task.tid);
    }
}

/// The kernel's exit_robust_list(): entries are linked by their first word; bit 0 marks PI futexes.
fn walk(head: u64, tid: u32) -> Result<(), Errno> {
    let [first, offset, pending] = GuestPtr::<[u64; 3]>::new(head).read()?;
    let mut entry = first;
    for _ in 0..LIMIT {
        if entry & !1 == head {
            break;
        }
        // Read before the owner's death is published: a waiter may unlink the entry then.
        let next = GuestPtr::<u64>::new(entry & !1).read();
        if entry & !1 != pending & !1 {
            mark(entry, offset, tid, Wake::IfWaited)?;
        }
        entry = next?;
    }
    if pending & !1 != 0 { mark(pending, offset, tid, Wake::EvenIfFree) } else { Ok(()) }
}

/// Who is woken for an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wake {
    IfWaited,
    /// The thread was taking or releasing it: an unlocked word may have lost its wake-up.
    EvenIfFree,
}

fn mark(entry: u64, offset: u64, tid: u32, wake_when: Wake) -> Result<(), Errno> {
    let address = (entry & !1).wrapping_add(offset);
    let priority_inheritance = entry & 1 != 0;
    let mut seen = GuestPtr::<u32>::new(address).read()?;
    if wake_when == Wake::EvenIfFree && !priority_inheritance && seen & FUTEX_TID_MASK == 0 {
        wake(address, 1);
        return Ok(());
    }
    while seen & FUTEX_TID_MASK == tid {
        let now = compare_exchange(address, seen, seen & FUTEX_WAITERS | FUTEX_OWNER_DIED)?;
        if now == seen {
            if seen & FUTEX_WAITERS != 0 && !priority_inheritance {
                wake(address, 1);
            }
            break;
        }
        seen = now;
    }
    Ok(())
}

/// Wakes up to `count` waiters of any process on the word at `address`.
pub(crate) fn wake(address: u64, count: u64) {
    // SAFETY: waking touches no memory.
    let _ = unsafe { host::raw(libc::SYS_futex, [address, libc::FUTEX_WAKE as u64, count, 0, 0, 0]) };
}
