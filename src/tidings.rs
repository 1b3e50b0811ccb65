//! What children of fork had to translate, or to look for, told to their parent: a child's own code is its copy alone, so that each
//! child would translate anew what its parent never executes, the way from fork to exec above all.
//!
//! In: guest addresses that a child translated or looked for, in a page that it shares with its parent. Out: the same, to the parent
//! when it forks again, which translates them for the next child. They are hints: what is at such an address in the
//! parent may be something else, or nothing, and they may be lost or torn out of order.

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// Addresses that fit into a page beside their count.
const ROOM: usize = 511;

/// The shared page.
#[repr(C)]
struct Page {
    count: AtomicU32,
    addresses: [AtomicU64; ROOM],
}

/// A thread's two pages, each there once it is needed: a child has the thread that forked alone, and finds this where
/// it writes anyway.
#[derive(Debug, Default)]
pub struct Tidings {
    to_parent: AtomicPtr<Page>,
    from_children: AtomicPtr<Page>,
}

impl Tidings {
    /// A child tells that it has translated what is at `pc`, or had to look for its code, if a parent may want to know.
    pub fn tell(&self, pc: u64) {
        let Some(page) = page(&self.to_parent) else { return };
        let index = page.count.fetch_add(1, Ordering::Relaxed) as usize;
        match page.addresses.get(index) {
            Some(address) => address.store(pc, Ordering::Relaxed),
            None => self.to_parent.store(ptr::null_mut(), Ordering::Relaxed),
        }
    }

    /// Before fork: what children have told since the last one. Those of the next fork have where to tell it to.
    pub fn collect(&self) -> Vec<u64> {
        let Some(page) = page(&self.from_children) else {
            self.from_children.store(map(), Ordering::Relaxed);
            return Vec::new();
        };
        let count = page.count.load(Ordering::Relaxed) as usize;
        if count == 0 {
            return Vec::new();
        }
        let told = page.addresses[..count.min(ROOM)].iter().map(|address| address.load(Ordering::Relaxed)).collect();
        page.count.store(0, Ordering::Relaxed);
        told
    }

    /// In a child of fork: its parent's page for children is what it tells to.
    pub fn become_child(&self) {
        let page = self.from_children.swap(ptr::null_mut(), Ordering::Relaxed);
        let before = self.to_parent.swap(page, Ordering::Relaxed);
        unmap(before);
    }
}

impl Drop for Tidings {
    fn drop(&mut self) {
        for page in [&self.to_parent, &self.from_children] {
            unmap(page.load(Ordering::Relaxed));
        }
    }
}

fn unmap(page: *mut Page) {
    if !page.is_null() {
        // SAFETY: the mapping is this process's own, and known to this thread alone.
        unsafe { libc::munmap(page.cast(), size_of::<Page>()) };
    }
}

fn page(pointer: &AtomicPtr<Page>) -> Option<&Page> {
    // SAFETY: null, or a mapping of this size that stays as long as its thread, which is the calling one, knows it.
    unsafe { pointer.load(Ordering::Relaxed).as_ref() }
}

/// A page that children of fork share; null if there is no memory for it.
fn map() -> *mut Page {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    // SAFETY: a fresh mapping at an address of the kernel's choice disturbs nothing; all-zero is an empty page.
    let page = unsafe { libc::mmap(ptr::null_mut(), size_of::<Page>(), protection, flags, -1, 0) };
    if page == libc::MAP_FAILED { ptr::null_mut() } else { page.cast() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::ManuallyDrop;

    /// A process and its child, which has what fork copies, but the page is the same one.
    fn family() -> (Tidings, ManuallyDrop<Tidings>) {
        let parent = Tidings::default();
        assert_eq!(parent.collect(), []);
        let shared = parent.from_children.load(Ordering::Relaxed);
        let child = Tidings { to_parent: AtomicPtr::default(), from_children: AtomicPtr::new(shared) };
        child.become_child();
        (parent, ManuallyDrop::new(child))
    }

    #[test]
    fn a_parent_learns_what_its_child_translated() {
        let (parent, child) = family();
        parent.tell(1);
        child.tell(2);
        child.tell(3);
        assert_eq!(parent.collect(), [2, 3]);
        assert_eq!(parent.collect(), []);
    }

    #[test]
    fn a_child_that_has_much_to_tell_stops() {
        let (parent, child) = family();
        (0..2 * ROOM as u64).for_each(|pc| child.tell(pc));
        assert_eq!(parent.collect().len(), ROOM);
        child.tell(7);
        assert_eq!(parent.collect(), []);
    }
}
