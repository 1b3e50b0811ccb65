//! Resource limits that the host must not apply to Philae: RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK of getrlimit(2).
//!
//! In: limits that the guest sets. Out: what it is told, and whether it may map more. The host keeps the limits that
//! Philae was started with; all other limits are the host's alone.

use crate::call::{Call, Reply};
use crate::errno::Errno;
use crate::host;
use crate::uaccess::GuestPtr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// `RLIM_INFINITY`.
const INFINITY: u64 = u64::MAX;
/// The resources that are kept here.
const RESOURCES: [u32; 3] = [libc::RLIMIT_AS, libc::RLIMIT_DATA, libc::RLIMIT_STACK];

/// A soft and a hard limit: `struct rlimit64`.
pub(crate) type Limit = [u64; 2];

/// The limits that a process has set for itself. Without locks, so that a child of fork finds none taken.
#[derive(Debug, Default)]
pub struct Limits {
    set: [AtomicBool; RESOURCES.len()],
    values: [[AtomicU64; 2]; RESOURCES.len()],
}

impl Limits {
    /// The limits of a child.
    pub(crate) fn copy(&self) -> Limits {
        Limits::decode(&self.encode())
    }

    /// The limits as words: for each resource whether it is set, soft, hard.
    pub(crate) fn encode(&self) -> Vec<u64> {
        let word = |index: usize, which: usize| self.values[index][which].load(Ordering::Relaxed);
        let set = |index: usize| u64::from(self.set[index].load(Ordering::Acquire));
        (0..RESOURCES.len()).flat_map(|index| [set(index), word(index, 0), word(index, 1)]).collect()
    }

    /// What [`Limits::encode`] has written; words that are missing leave the limit to the host.
    pub(crate) fn decode(words: &[u64]) -> Limits {
        let limits = Limits::default();
        for (index, entry) in words.chunks_exact(3).take(RESOURCES.len()).enumerate() {
            if entry[0] != 0 {
                limits.set(index, [entry[1], entry[2]]);
            }
        }
        limits
    }

    fn set(&self, index: usize, [soft, hard]: Limit) {
        self.values[index][0].store(soft, Ordering::Relaxed);
        self.values[index][1].store(hard, Ordering::Relaxed);
        self.set[index].store(true, Ordering::Release);
    }

    /// The limit that the guest sees, if it is not the host's.
    pub(crate) fn own(&self, resource: u32) -> Option<Limit> {
        let index = RESOURCES.iter().position(|known| *known == resource)?;
        let [soft, hard] = &self.values[index];
        let limit = [soft.load(Ordering::Relaxed), hard.load(Ordering::Relaxed)];
        self.set[index].load(Ordering::Acquire).then_some(limit)
    }

    /// The limit that the guest sees.
    pub(crate) fn get(&self, resource: u32) -> Limit {
        self.own(resource).unwrap_or_else(|| host_limit(resource))
    }

    /// The stack of the next program in bytes, if the guest has set it.
    pub fn stack(&self) -> Option<u64> {
        self.own(libc::RLIMIT_STACK).map(|[soft, _]| soft).filter(|soft| *soft != INFINITY)
    }

    /// Gives the host these limits, for a program that Philae does not run.
    pub fn apply(&self) {
        for resource in RESOURCES {
            if let Some(limit) = self.own(resource) {
                let args = [0, u64::from(resource), limit.as_ptr() as u64, 0, 0, 0];
                // SAFETY: two words; a limit that is too small concerns the next program.
                let _ = unsafe { host::raw(libc::SYS_prlimit64, args) };
            }
        }
    }
}

fn host_limit(resource: u32) -> Limit {
    let mut limit = [INFINITY; 2];
    let args = [0, u64::from(resource), 0, limit.as_mut_ptr() as u64, 0, 0];
    // SAFETY: the kernel writes two words.
    let _ = unsafe { host::raw(libc::SYS_prlimit64, args) };
    limit
}

/// What a mapping counts as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Private and writable: RLIMIT_DATA too.
    Data,
    /// Anything else.
    Other,
}

/// ENOMEM if `more` bytes of guest memory would be too many.
pub(crate) fn check_room(call: &Call<'_>, more: u64, kind: Kind) -> Result<(), Errno> {
    let limits = &call.task.process.limits;
    let exceeds = |resource: u32, used: &dyn Fn() -> u64| {
        limits.own(resource).is_some_and(|[soft, _]| soft != INFINITY && used().saturating_add(more) > soft)
    };
    let mm = &call.task.mm;
    let too_much = exceeds(libc::RLIMIT_AS, &|| mm.totals().size)
        || kind == Kind::Data && exceeds(libc::RLIMIT_DATA, &|| mm.totals().data);
    if too_much { Err(Errno::ENOMEM) } else { Ok(()) }
}

pub(crate) fn getrlimit(call: &mut Call<'_>, resource: u32, to: GuestPtr<Limit>) -> Reply {
    match call.task.process.limits.own(resource) {
        Some(limit) => to.write(&limit).map(|()| 0),
        None => call.pass(),
    }
}

pub(crate) fn setrlimit(call: &mut Call<'_>, resource: u32, new: GuestPtr<Limit>) -> Reply {
    let Some(index) = RESOURCES.iter().position(|known| *known == resource) else { return call.pass() };
    let new = new.read()?;
    set(call, index, new).map(|()| 0)
}

pub(crate) fn prlimit64(
    call: &mut Call<'_>,
    process: i32,
    resource: u32,
    new: GuestPtr<Limit>,
    old: GuestPtr<Limit>,
) -> Reply {
    let index = RESOURCES.iter().position(|known| *known == resource);
    let Some(index) = index.filter(|_| process == 0 || process as u32 == host::getpid()) else { return call.pass() };
    let before = call.task.process.limits.get(resource);
    if let Some(new) = new.optional() {
        let new = new.read()?;
        set(call, index, new)?;
    }
    if let Some(old) = old.optional() {
        old.write(&before)?;
    }
    Ok(0)
}

/// The kernel's rules: EINVAL for a soft limit above the hard one, EPERM for a higher hard one without
/// CAP_SYS_RESOURCE.
fn set(call: &Call<'_>, index: usize, new: Limit) -> Result<(), Errno> {
    if new[0] > new[1] {
        return Err(Errno::EINVAL);
    }
    const CAP_SYS_RESOURCE: u32 = 24;
    if new[1] > call.task.process.limits.get(RESOURCES[index])[1] && !host::is_capable(CAP_SYS_RESOURCE) {
        return Err(Errno::EPERM);
    }
    call.task.process.limits.set(index, new);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_travel() {
        let limits = Limits::default();
        limits.set(2, [1 << 20, INFINITY]);
        let copy = limits.copy();
        assert_eq!(copy.own(libc::RLIMIT_STACK), Some([1 << 20, INFINITY]));
        assert_eq!(copy.own(libc::RLIMIT_AS), None);
        assert_eq!((copy.stack(), Limits::default().stack()), (Some(1 << 20), None));
    }
}
