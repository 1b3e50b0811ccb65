//! What Philae tells about its own work: the log, the counters, the dumps.

use crate::options::{Dump, DumpItem};
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where traces go: a file, or standard error.
#[derive(Debug)]
pub struct Log {
    file: Option<Mutex<File>>,
}

impl Log {
    /// A log into `path`, or to standard error.
    pub fn open(path: Option<&Path>) -> io::Result<Log> {
        let file = path.map(|path| File::options().create(true).append(true).open(path)).transpose()?;
        Ok(Log { file: file.map(Mutex::new) })
    }

    /// Holds the log still, for the length of a fork.
    pub fn freeze(&self) -> impl Sized + '_ {
        (io::stderr().lock(), self.file.as_ref().map(|file| file.lock().unwrap_or_else(|p| p.into_inner())))
    }

    /// Writes text in one piece. A log that cannot be written is no reason to stop the guest.
    pub fn write(&self, text: &str) {
        let _ = match &self.file {
            Some(file) => file.lock().unwrap_or_else(|p| p.into_inner()).write_all(text.as_bytes()),
            None => io::stderr().write_all(text.as_bytes()),
        };
    }
}

impl Dump {
    /// Whether this item of the region at `pc` is to be printed.
    pub fn wants(&self, item: DumpItem, pc: u64) -> bool {
        self.items.contains(&item) && self.at.is_none_or(|at| at == pc)
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident $text:literal;)*) => {
        /// The counters of `--stats`, all threads together.
        #[derive(Debug, Default)]
        pub struct Stats { $($(#[$doc])* pub $name: Counter),* }

        impl fmt::Display for Stats {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(writeln!(f, "{:>14}  {}", self.$name.get(), $text)?;)*
                Ok(())
            }
        }
    };
}

counters! {
    /// Blocks lifted, for the interpreter or the baseline compiler.
    blocks "blocks lifted";
    /// Guest instructions in them.
    block_instructions "guest instructions in them";
    /// Executions by the interpreter.
    interpreted "blocks interpreted";
    /// Regions compiled.
    regions "regions compiled (tier-ups)";
    /// Guest instructions in them.
    region_instructions "guest instructions in them";
    /// Regions that could not be compiled.
    refused "regions refused by the compiler";
    /// Entries into compiled code from the runtime.
    entered "entries into compiled code";
    /// Exits through link slots that were not linked.
    unlinked "exits that were not linked";
    /// Addresses looked up in the code cache.
    misses "look-ups in the code cache";
    /// System calls.
    system_calls "system calls";
    /// Ranges of code declared stale.
    invalidations "invalidations";
    /// Nanoseconds spent lifting and optimising.
    lift_nanos "ns lifting and optimising";
    /// Nanoseconds spent compiling blocks.
    baseline_nanos "ns in the baseline compiler";
    /// Nanoseconds spent compiling regions.
    compile_nanos "ns compiling regions";
    /// Runs of compiled regions that `--check` compared.
    check_compared "runs of regions compared";
    /// Runs of regions that read a clock.
    check_clocks "runs not compared: they read a clock";
    /// Runs of loops that the rehearsal did not see the end of.
    check_endless "runs not compared: a long loop";
    /// Runs that were asked to leave before their end.
    check_interrupted "runs not compared: interrupted";
    /// Runs during which the kernel or another process wrote or mapped memory.
    check_raced "runs not compared: memory changed meanwhile";
}

/// One counter.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
