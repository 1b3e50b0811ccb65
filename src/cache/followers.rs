//! What the cache forgot, and how the threads that run translated code follow.
//!
//! Every guest address whose code is forgotten is one *change*; changes are counted. A thread has followed the count
//! up to which it has taken forgotten addresses out of its own tables; while it is outside, in a system call, it is
//! in no code and counts as having followed all. Code that went out of use with change n may be overwritten when
//! every thread has followed n.
//!
//! What must hold: the count is published before the threads are told to leave, and a thread reads the count once
//! more after it has said that it is inside, with a full barrier between on both sides. Then either the thread sees
//! the new count and follows, or the cache sees the thread inside, and what it tells it is not lost.

use super::jump_cache::EMPTY_JUMP_CACHE;
use philae_ir::state::Control;
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// How many changes are remembered one by one; whoever is further behind forgets everything.
const RECENT: u64 = 1024;

/// The changes up to now.
#[derive(Debug)]
pub(super) struct Changes {
    count: u64,
    recent: Vec<u64>,
}

/// What a thread has to take out of its own tables.
#[derive(PartialEq, Eq, Debug)]
pub enum Forgotten {
    /// These guest addresses.
    Addresses(Vec<u64>),
    /// All of them.
    Everything,
}

impl Changes {
    pub(super) fn new() -> Changes {
        Changes { count: 0, recent: vec![0; RECENT as usize] }
    }

    /// How many there were.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// One more: what was known of `pc` is forgotten.
    pub(super) fn forget(&mut self, pc: u64) {
        self.recent[(self.count % RECENT) as usize] = pc;
        self.count += 1;
    }

    /// Everything is forgotten.
    pub(super) fn forget_everything(&mut self) {
        self.count += RECENT + 1;
    }

    /// What was forgotten since there were `count` changes.
    pub(super) fn since(&self, count: u64) -> Forgotten {
        if self.count - count > RECENT {
            return Forgotten::Everything;
        }
        Forgotten::Addresses((count..self.count).map(|change| self.recent[(change % RECENT) as usize]).collect())
    }
}

/// How far a thread has followed.
#[derive(Debug)]
pub struct Presence(AtomicU64);

impl Presence {
    const OUTSIDE: u64 = u64::MAX;

    /// A thread that is outside.
    pub fn outside() -> Presence {
        Presence(AtomicU64::new(Presence::OUTSIDE))
    }

    /// The thread is in no translated code, and knows no address of any that it will use without following first.
    pub fn leave(&self) {
        self.0.store(Presence::OUTSIDE, Ordering::Release);
    }

    /// The thread has followed `count` changes and may be in translated code from now on, if there are not more of
    /// them by now. A full barrier.
    pub fn enter(&self, count: u64) {
        self.0.store(count, Ordering::Release);
        fence(Ordering::SeqCst);
    }

    fn has_followed(&self, count: u64) -> bool {
        self.0.load(Ordering::Acquire) >= count
    }
}

/// A thread that runs translated code: its control words, and how far it has followed.
#[derive(Debug)]
struct Follower {
    control: *const Control,
    presence: *const Presence,
}

// SAFETY: the pointers are used under the cache's lock only, and only for the structs' atomics; a thread removes them,
// under the same lock, before its state goes away.
unsafe impl Send for Follower {}

/// The threads that run translated code of a cache.
#[derive(Debug, Default)]
pub(super) struct Followers(Vec<Follower>);

impl Followers {
    pub(super) fn add(&mut self, control: &Control, presence: &Presence) {
        self.0.push(Follower { control, presence });
    }

    pub(super) fn remove(&mut self, control: &Control) {
        self.0.retain(|follower| !std::ptr::eq(follower.control, control));
    }

    pub(super) fn keep(&mut self, control: &Control) {
        self.0.retain(|follower| std::ptr::eq(follower.control, control));
    }

    /// Whether nobody is in code that went out of use with this change, or may come to be.
    pub(super) fn have_followed(&self, count: u64) -> bool {
        fence(Ordering::SeqCst);
        // SAFETY: a registered thread's presence is alive (see `Follower`).
        self.0.iter().all(|follower| unsafe { &*follower.presence }.has_followed(count))
    }

    /// Makes every thread leave translated code at its next poll or indirect branch. The count is published.
    pub(super) fn expel(&self) {
        fence(Ordering::SeqCst);
        for follower in &self.0 {
            // SAFETY: a registered thread's control words are alive (see `Follower`).
            let control = unsafe { &*follower.control };
            control.poll.store(1, Ordering::Release);
            control.jump_cache.store(EMPTY_JUMP_CACHE.address(), Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_one_by_one_or_all_at_once() {
        let mut changes = Changes::new();
        changes.forget(0x10);
        changes.forget(0x20);
        assert_eq!(changes.since(0), Forgotten::Addresses(vec![0x10, 0x20]));
        assert_eq!(changes.since(1), Forgotten::Addresses(vec![0x20]));
        let before = changes.count();
        for pc in 0..RECENT {
            changes.forget(pc);
        }
        assert_eq!(changes.since(before), Forgotten::Addresses((0..RECENT).collect()));
        assert_eq!(changes.since(before - 1), Forgotten::Everything);
        let before = changes.count();
        changes.forget_everything();
        assert_eq!(changes.since(before), Forgotten::Everything);
    }

    #[test]
    fn who_is_outside_has_followed() {
        let presence = Presence::outside();
        assert!(presence.has_followed(5));
        presence.enter(4);
        assert!(presence.has_followed(4) && !presence.has_followed(5));
        presence.leave();
        assert!(presence.has_followed(5));
    }
}
