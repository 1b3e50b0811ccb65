//! What Philae tells about its own work: the log, the counters, the dumps.

use crate::options::{Dump, DumpItem};
use philae_syscalls::loan::by_lender;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

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
        let _ = by_lender(|| match &self.file {
            Some(file) => file.lock().unwrap_or_else(|p| p.into_inner()).write_all(text.as_bytes()),
            None => io::stderr().write_all(text.as_bytes()),
        });
    }
}

impl Dump {
    /// Whether this item of the region at `pc` is to be printed.
    pub fn wants(&self, item: DumpItem, pc: u64) -> bool {
        self.items.contains(&item) && self.at.is_none_or(|at| at == pc)
    }
}

/// How the value of a counter is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Unit {
    /// As a number.
    Count,
    /// Nanoseconds, as milliseconds and as a share of all times of its section.
    Time,
    /// The most nanoseconds at one go, as milliseconds.
    Longest,
}

/// Writes a section of `--stats`: the rows whose value is not 0.
fn write_section(f: &mut fmt::Formatter<'_>, title: &str, rows: &[(Unit, u64, &str)]) -> fmt::Result {
    let rows: Vec<_> = rows.iter().filter(|(_, value, _)| *value != 0).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let time: u64 = rows.iter().filter(|(unit, ..)| *unit == Unit::Time).map(|(_, value, _)| value).sum();
    writeln!(f, "  {title}")?;
    for (unit, value, text) in rows {
        match unit {
            Unit::Count => writeln!(f, "{value:>16}           {text}")?,
            Unit::Longest => writeln!(f, "{:>16.3} ms        {text}", *value as f64 / 1e6)?,
            Unit::Time => {
                let (milliseconds, share) = (*value as f64 / 1e6, 100.0 * *value as f64 / time as f64);
                writeln!(f, "{milliseconds:>16.3} ms {share:>5.1} %  {text}")?;
            }
        }
    }
    Ok(())
}

macro_rules! counters {
    ($($title:literal { $($(#[$doc:meta])* $name:ident $unit:ident $text:literal;)* })*) => {
        /// The counters of `--stats`, all threads together that have ended or end with the process.
        #[derive(Debug, Default)]
        pub struct Stats { $($($(#[$doc])* pub $name: Counter),*),* }

        impl Stats {
            /// Starts again, for a child of fork.
            pub fn clear(&self) {
                $($(self.$name.0.store(0, Ordering::Relaxed);)*)*
            }
        }

        impl fmt::Display for Stats {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(write_section(f, $title, &[$((Unit::$unit, self.$name.get(), $text)),*])?;)*
                Ok(())
            }
        }
    };
}

counters! {
    "where the guest's threads were" {
        /// Threads that are counted below.
        threads Count "threads";
        /// In code of either compiler.
        guest_nanos Time "in translated guest code";
        /// At blocks that are executed without code.
        without_code_nanos Time "executing without code, decoding included";
        /// Translating.
        translating_nanos Time "translating: lifting, compiling, waiting for a compiler";
        /// In system calls.
        call_nanos Time "in system calls, waiting included";
        /// Everywhere else.
        runtime_nanos Time "elsewhere in the runtime: look-ups, signals, threads and processes";
    }
    "the longest that one of them was kept from its own code, by the clock on the wall" {
        /// Translating, at one go.
        longest_translating Longest "translating";
        /// In the runtime, at one go: look-ups, locks, following what was forgotten.
        longest_runtime Longest "elsewhere in the runtime";
        /// Forgetting code, at one go; whoever wants to translate waits for it.
        longest_invalidating Longest "forgetting code of a range";
    }
    "what they did there" {
        /// Entries into compiled code from the runtime.
        entered Count "entries into translated code";
        /// Exits through link slots that were not linked.
        unlinked Count "exits from it that were not linked";
        /// Executions of blocks at once or by the interpreter.
        without_code Count "blocks executed without code";
        /// System calls.
        system_calls Count "system calls";
        /// Addresses looked up in the code cache.
        misses Count "look-ups in the code cache";
        /// Ranges of code declared stale.
        invalidations Count "invalidations";
    }
    "translating, by all threads, the background compiler's included" {
        /// Nanoseconds spent lifting and optimising.
        lift_nanos Time "lifting and optimising";
        /// Nanoseconds spent compiling blocks.
        baseline_nanos Time "in the baseline compiler";
        /// Nanoseconds spent compiling regions.
        compile_nanos Time "in Cranelift";
        /// Blocks lifted, for the interpreter or the baseline compiler.
        blocks Count "blocks lifted, for the interpreter or the baseline compiler";
        /// Guest instructions in them.
        block_instructions Count "guest instructions in them";
        /// Regions compiled.
        regions Count "regions compiled by Cranelift (tier-ups)";
        /// Guest instructions in them.
        region_instructions Count "guest instructions in them";
        /// Regions that could not be compiled.
        refused Count "blocks and regions refused by a compiler";
    }
    "--check" {
        /// Runs of code that were compared.
        check_compared Count "runs of translated code compared";
        /// Runs of regions that read a clock.
        check_clocks Count "runs not compared: they read a clock";
        /// Runs of loops that the rehearsal did not see the end of.
        check_endless Count "runs not compared: a long loop";
        /// Runs that were asked to leave before their end.
        check_interrupted Count "runs not compared: interrupted";
        /// Runs during which the kernel or another process wrote or mapped memory.
        check_raced Count "runs not compared: memory changed meanwhile";
    }
}

/// Where a guest thread is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// In code of either compiler.
    Guest,
    /// At a block that is executed without code.
    WithoutCode,
    /// Translating.
    Translating,
    /// In a system call.
    Call,
    /// Elsewhere.
    Runtime,
}

/// A thread's clock for `--stats`: how long it was where.
#[derive(Debug)]
pub struct Clock {
    /// When it came to where it is; never looked at without `--stats`.
    since: Option<Instant>,
    place: Place,
    nanos: [u64; Place::Runtime as usize + 1],
    /// The most at one go.
    longest: [u64; Place::Runtime as usize + 1],
}

impl Clock {
    /// A clock that starts in the runtime if it `runs`.
    pub fn new(runs: Option<Instant>) -> Clock {
        Clock { since: runs, place: Place::Runtime, nanos: [0; _], longest: [0; _] }
    }

    /// The thread goes to another place; gives the one where it was.
    pub fn go(&mut self, to: Place) -> Place {
        if let Some(since) = &mut self.since {
            let now = Instant::now();
            let (spent, place) = ((now - *since).as_nanos() as u64, self.place as usize);
            self.nanos[place] += spent;
            self.longest[place] = self.longest[place].max(spent);
            *since = now;
        }
        std::mem::replace(&mut self.place, to)
    }

    /// Adds what it has measured to the counters, and starts again.
    pub fn report(&mut self, stats: &Stats) {
        self.go(self.place);
        if self.since.is_none() {
            return;
        }
        stats.threads.add(1);
        let counters = [
            (Place::Guest, &stats.guest_nanos),
            (Place::WithoutCode, &stats.without_code_nanos),
            (Place::Translating, &stats.translating_nanos),
            (Place::Call, &stats.call_nanos),
            (Place::Runtime, &stats.runtime_nanos),
        ];
        for (place, counter) in counters {
            counter.add(std::mem::take(&mut self.nanos[place as usize]));
        }
        stats.longest_translating.raise(self.longest[Place::Translating as usize]);
        stats.longest_runtime.raise(self.longest[Place::Runtime as usize]);
        self.longest = [0; _];
    }
}

/// One counter.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Makes it `n` if it is less.
    pub fn raise(&self, n: u64) {
        self.0.fetch_max(n, Ordering::Relaxed);
    }

    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
