//! `--chaos SEED`: what other threads and chance do to a guest thread now and then, done often.
//!
//! In: a seed. Out: decisions that the loop of a guest thread asks for at its own safe points: to forget the code
//! where it is, all compiled code, or everything; to be asked to leave at the next poll, alone or with all other
//! threads wherever they are; to interpret what is compiled or compile what is cold; to wait between compiling and
//! publishing; to fork a child that ends at once; to put a system call off as if a signal had come first. What must
//! hold: no guest can tell. A thread's decisions depend on the seed and on nothing else; the threads' order remains the
//! host's.

use std::time::Duration;

/// The source of one thread's disturbances.
#[derive(Debug)]
pub struct Chaos {
    state: u64,
}

/// What happens to the code cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disturbance {
    /// Nothing.
    Nothing,
    /// The code where the guest is was changed.
    Forget,
    /// All compiled code goes.
    Discard,
    /// The cache is full.
    Renew,
    /// Every thread is asked to leave translated code.
    Expel,
    /// The process forks.
    Fork,
}

/// How a block is executed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flip {
    /// As the tiers say.
    Nothing,
    /// By the interpreter, compiled or not.
    Interpret,
    /// Compiled, cold or not.
    Compile,
}

impl Chaos {
    /// The disturbances of the thread with this id.
    pub fn new(seed: u64, thread: u32) -> Chaos {
        let mut chaos = Chaos { state: seed ^ u64::from(thread) << 32 };
        chaos.next();
        chaos
    }

    /// The next number of splitmix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ self.state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// What happens to the code cache now.
    pub fn disturbance(&mut self) -> Disturbance {
        match self.next() % 4096 {
            0 => Disturbance::Renew,
            1..4 => Disturbance::Discard,
            4..64 => Disturbance::Forget,
            64..256 => Disturbance::Expel,
            256..260 => Disturbance::Fork,
            _ => Disturbance::Nothing,
        }
    }

    /// Whether the thread is asked to leave translated code at its next poll.
    pub fn leaves(&mut self) -> bool {
        self.next().is_multiple_of(2)
    }

    /// How the next block is executed.
    pub fn flip(&mut self) -> Flip {
        match self.next() % 512 {
            0 => Flip::Compile,
            1..32 => Flip::Interpret,
            _ => Flip::Nothing,
        }
    }

    /// Whether the next system call is interrupted before it starts, and made again.
    pub fn puts_off_call(&mut self) -> bool {
        self.next().is_multiple_of(16)
    }

    /// How long new code waits before it is published.
    pub fn delay(&mut self) -> Duration {
        if self.next().is_multiple_of(64) { Duration::from_micros(self.next() % 1000) } else { Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_again() {
        let decisions = |seed| {
            let mut chaos = Chaos::new(seed, 7);
            (0..10_000).map(|_| (chaos.disturbance(), chaos.leaves(), chaos.flip(), chaos.delay())).collect::<Vec<_>>()
        };
        let all = decisions(1);
        assert_eq!(all, decisions(1));
        assert_ne!(all, decisions(2));
        for wanted in
            [Disturbance::Forget, Disturbance::Discard, Disturbance::Renew, Disturbance::Expel, Disturbance::Fork]
        {
            assert!(all.iter().any(|(disturbance, ..)| *disturbance == wanted), "{wanted:?}");
        }
    }
}
