//! What all threads of a guest process share, beside what its kernel keeps.

use crate::background::Background;
use crate::cache::{Cache, Linking, Settings};
use crate::check::Check;
use crate::options::Options;
use crate::perf_map::PerfMap;
use crate::tier;
use crate::trace::{Log, Stats};
use philae_backends::cranelift::{Compiler, Exactness};
use philae_ir::{Arch, Floats, Tags};
use std::fs::File;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// What [`Runtime`] knows of tags: none was used; one was; code takes them away.
const NO_TAGS: u8 = 0;
const TAG_SEEN: u8 = 1;
const TAGS_REMOVED: u8 = 2;

/// The translator's side of a guest process.
pub struct Runtime {
    /// The guest.
    pub arch: Arch,
    /// The command line.
    pub options: Options,
    /// What `--check` needs, if it is on.
    pub check: Option<Arc<Check>>,
    /// The code cache.
    pub cache: Cache,
    /// The optimising compiler of guest threads that compile for themselves; made when the first one does.
    pub compiler: Mutex<Option<Compiler>>,
    /// The one that compiles for them.
    pub background: Background,
    /// Where traces go.
    pub log: Log,
    /// What perf is told, if it is.
    pub perf_map: Option<PerfMap>,
    /// The counters.
    pub stats: Stats,
    /// Philae's own program file, for execve; `None` where it could not be opened.
    pub own_file: Option<File>,
    /// The guest's, which nobody is to write to.
    pub program_file: Option<File>,
    exact: AtomicBool,
    floats: AtomicU8,
    tags: AtomicU8,
    /// The process whose memory it is in; a child of vfork runs in its parent's.
    process: AtomicU32,
}

impl Runtime {
    /// A runtime that has translated nothing yet.
    pub fn new(arch: Arch, options: Options, log: Log, own_file: Option<File>) -> std::io::Result<Runtime> {
        let heat = tier::first_heat(options.tier);
        let linking = if options.check { Linking::Off } else { Linking::On };
        let settings = Settings { limit: options.cache_size, heat, arch, linking };
        let perf_map = options.perf_map.then(PerfMap::new).transpose()?;
        Ok(Runtime {
            arch,
            check: options.check.then(Arc::default),
            cache: Cache::new(settings)?,
            options,
            compiler: Mutex::new(None),
            background: Background::new(),
            log,
            perf_map,
            stats: Stats::default(),
            own_file,
            program_file: None,
            exact: AtomicBool::new(false),
            floats: AtomicU8::new(Floats::Plain as u8),
            tags: AtomicU8::new(NO_TAGS),
            process: AtomicU32::new(std::process::id()),
        })
    }

    /// In a child of fork: starts to count anew.
    pub fn change_process(&self) {
        if self.options.stats {
            self.process.store(std::process::id(), Ordering::Relaxed);
            self.stats.clear();
        }
        self.perf_map.iter().for_each(PerfMap::change_process);
    }

    /// Prints the counters if they are asked for, and are the calling process's.
    pub fn print_stats(&self) {
        let process = std::process::id();
        if !self.options.stats || self.process.load(Ordering::Relaxed) != process {
            return;
        }
        let usage = self.cache.usage();
        let full = [
            (usage.entries, "guest addresses known"),
            (usage.regions, "compiled blocks and regions in memory"),
            (usage.code_bytes, "bytes of host code"),
            (usage.slots, "link slots"),
            (usage.renewals as usize, "times the code cache was full"),
        ];
        let full: String = full.iter().map(|(count, what)| format!("{count:>16}           {what}\n")).collect();
        let title = format!("philae: counters of process {process}");
        self.log.write(&format!("{title}\n{}  the code cache at the end\n{full}", self.stats));
    }

    /// What compiled code owes a fault: everything once the guest can see its registers in a handler, the pc before.
    pub fn exactness(&self) -> Exactness {
        if self.exact.load(Ordering::Acquire) { Exactness::Exact } else { Exactness::Relaxed }
    }

    /// How floating point is lifted: in full once the guest has written its flags or chosen an unusual mode.
    pub fn floats(&self) -> Floats {
        let now = self.floats.load(Ordering::Acquire);
        [Floats::Plain, Floats::Flushing, Floats::Modes, Floats::Exact][usize::from(now)]
    }

    /// The guest writes its floating-point flags or chooses an unusual mode: what was lifted with less goes.
    pub fn require_floats(&self, floats: Floats) {
        if self.floats.fetch_max(floats as u8, Ordering::AcqRel) < floats as u8 {
            self.cache.invalidate(0..u64::MAX);
        }
    }

    /// How addresses are lifted: with their tags removed once the guest has used one.
    pub fn tags(&self) -> Tags {
        if self.tags.load(Ordering::Acquire) == TAGS_REMOVED { Tags::Removed } else { Tags::Fault }
    }

    /// The guest has accessed memory through an address with a tag. Async-signal-safe.
    pub fn note_tag(&self) {
        self.tags.fetch_max(TAG_SEEN, Ordering::AcqRel);
    }

    /// If that has happened since: what was lifted for addresses without tags goes.
    pub fn follow_tags(&self) {
        let seen = self.tags.load(Ordering::Relaxed) == TAG_SEEN;
        if seen && self.tags.swap(TAGS_REMOVED, Ordering::AcqRel) == TAG_SEEN {
            self.cache.invalidate(0..u64::MAX);
        }
    }

    /// Guest memory changes: what was translated from this range goes, if anything was.
    pub fn forget(&self, range: Range<u64>) -> bool {
        self.stats.invalidations.add(1);
        let start = self.options.stats.then(Instant::now);
        let changed = self.cache.invalidate(range);
        self.stats.longest_invalidating.raise(start.map_or(0, |start| start.elapsed().as_nanos() as u64));
        changed
    }

    /// The guest has installed a handler for faults: code compiled without exact registers goes.
    pub fn require_exactness(&self) {
        if !self.exact.swap(true, Ordering::AcqRel) {
            self.cache.discard_code();
        }
    }
}
