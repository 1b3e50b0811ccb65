//! `stat`, `status`, `statm` and `limits` of a process: the host's lines, with the guest's threads, signals and memory in
//! them.
//!
//! In: the host's file and what differs from it ([`World`]). Out: the text. What the host's process has in common with the guest's
//! (ids, times, limits, what is resident) stays as the host says.

use super::{Scope, host_path};
use crate::host;
use crate::signal::SIG_IGN;
use crate::signal::{SIGNALS, bit};
use crate::task::{Layout, Task};
use crate::vma::Totals;
use std::fmt::Write;
use std::ops::Range;

/// Fields of `stat`, counted from 1, proc_pid_stat(5).
const NUM_THREADS: usize = 20;
const VSIZE: usize = 23;
const START_CODE: usize = 26;
const START_STACK: usize = 28;
const SIGNAL_PENDING: usize = 31;
const START_DATA: usize = 45;
pub(super) const START_BRK: usize = 47;
const ARG_START: usize = 48;

/// Splits a line of `stat` behind the name, which may hold anything: what comes before field 3, and the fields from it.
fn split(stat: &str) -> Option<(&str, Vec<&str>)> {
    let end = stat.rfind(')')? + 1;
    Some((&stat[..end], stat[end..].split_whitespace().collect()))
}

/// A numeric field of a line of `stat`.
pub(super) fn field(stat: &str, number: usize) -> Option<u64> {
    split(stat)?.1.get(number - 3)?.parse().ok()
}

/// What differs from the host's view of a process.
pub(super) struct World<'a> {
    pub(super) totals: Totals,
    /// The program's code.
    pub(super) code: Range<u64>,
    /// How many of its threads are Philae's own.
    pub(super) own_threads: u64,
    /// Where its heap starts, if that is known.
    pub(super) heap: Option<u64>,
    pub(super) pending: Change,
    pub(super) blocked: Change,
    pub(super) ignored: Change,
    pub(super) caught: Change,
    /// What the host kernel was not told.
    pub(super) layout: Option<&'a Layout>,
    /// The mode and how many filters there are, if that is known.
    pub(super) seccomp: Option<[u64; 2]>,
}

/// How a set of signals differs from the host's.
#[derive(Clone, Copy)]
pub(super) struct Change {
    pub(super) kept: u64,
    pub(super) added: u64,
}

impl Change {
    /// It does not.
    pub(super) const NOTHING: Change = Change { kept: !0, added: 0 };

    /// It is this set.
    fn to(set: u64) -> Change {
        Change { kept: 0, added: set }
    }

    fn of(self, host: u64) -> u64 {
        host & self.kept | self.added
    }
}

/// The calling process's.
fn own(task: &Task, scope: Scope) -> World<'_> {
    let thread = match scope {
        Scope::Process => host::getpid(),
        Scope::Thread(thread) => thread,
    };
    let matching = |wanted: fn(u64) -> bool| {
        let signals = (1..=SIGNALS).filter(|&signal| wanted(task.sighand.action(signal).handler));
        Change::to(signals.fold(0, |set, signal| set | bit(signal)))
    };
    let info = &task.process.info;
    // Of another thread than the calling one, the host's sets are what is known.
    let calls = thread == task.tid;
    World {
        totals: task.mm.totals(),
        code: info.layout.code.clone(),
        own_threads: task.process.own_threads().len() as u64,
        heap: Some(task.mm.brk_start()),
        pending: if calls { Change { kept: !0, added: task.signals.held_set() } } else { Change::NOTHING },
        blocked: if calls { Change::to(task.signals.mask) } else { Change::NOTHING },
        ignored: matching(|handler| handler == SIG_IGN),
        caught: matching(|handler| handler > SIG_IGN),
        layout: (!info.shown).then_some(&info.layout),
        seccomp: Some([task.seccomp.mode(), task.seccomp.count() as u64]),
    }
}

/// The file of this name of the calling process, made by one of those below.
pub(super) fn own_text(
    task: &Task,
    scope: Scope,
    name: &str,
    text: impl Fn(&str, &World<'_>) -> Option<Vec<u8>>,
) -> Option<Vec<u8>> {
    text(&std::fs::read_to_string(host_path(scope, name)).ok()?, &own(task, scope))
}

/// Where the code of a process is that has this line of `stat`, if it may be known.
pub(super) fn code(stat: &str) -> Option<Range<u64>> {
    Some(field(stat, START_CODE)?..field(stat, START_CODE + 1)?)
}

pub(super) fn stat(host: &str, world: &World<'_>) -> Option<Vec<u8>> {
    let (name, fields) = split(host)?;
    let mut fields: Vec<String> = fields.into_iter().map(str::to_owned).collect();
    let mut set = |number: usize, value: u64| {
        if let Some(field) = fields.get_mut(number - 3) {
            *field = value.to_string();
        }
    };
    // Only the lowest 31 signals show here.
    const SHOWN: u64 = 0x7fff_ffff;
    for (nth, change) in [world.pending, world.blocked, world.ignored, world.caught].into_iter().enumerate() {
        let number = SIGNAL_PENDING + nth;
        set(number, change.of(field(host, number)?) & SHOWN);
    }
    set(NUM_THREADS, threads(world, field(host, NUM_THREADS)?));
    set(VSIZE, world.totals.size);
    if let Some(heap) = world.heap {
        set(START_BRK, heap);
    }
    if let Some(layout) = world.layout {
        for (first, range) in [
            (START_CODE, &layout.code),
            (START_DATA, &layout.data),
            (ARG_START, &layout.arguments),
            (ARG_START + 2, &layout.environment),
        ] {
            set(first, range.start);
            set(first + 1, range.end);
        }
        set(START_STACK, layout.stack);
    }
    Some(format!("{name} {}\n", fields.join(" ")).into_bytes())
}

fn threads(world: &World<'_>, host: u64) -> u64 {
    host.saturating_sub(world.own_threads).max(1)
}

pub(super) fn statm(host: &str, world: &World<'_>) -> Option<Vec<u8>> {
    let mut fields: Vec<String> = host.split_whitespace().map(str::to_owned).collect();
    let totals = &world.totals;
    for (index, bytes) in [(0, totals.size), (3, code_bytes(world)), (5, totals.data + totals.stack)] {
        *fields.get_mut(index)? = (bytes / crate::mm::PAGE).to_string();
    }
    Some(format!("{}\n", fields.join(" ")).into_bytes())
}

fn code_bytes(world: &World<'_>) -> u64 {
    let start = world.code.start & !(crate::mm::PAGE - 1);
    world.code.end.next_multiple_of(crate::mm::PAGE).saturating_sub(start)
}

pub(super) fn status(host: &str, world: &World<'_>) -> Option<Vec<u8>> {
    let totals = &world.totals;
    let code = code_bytes(world);
    let kilobytes = |bytes: u64| Some(format!("{:>8} kB", bytes / 1024));
    let mut text = String::new();
    for line in host.lines() {
        let (key, value) = line.split_once(":\t")?;
        let set = |change: Change| u64::from_str_radix(value, 16).ok().map(|host| format!("{:016x}", change.of(host)));
        let new = match key {
            "VmPeak" => kilobytes(totals.peak),
            "VmSize" => kilobytes(totals.size),
            "VmData" => kilobytes(totals.data),
            "VmStk" => kilobytes(totals.stack),
            "VmExe" => kilobytes(code),
            "VmLib" => kilobytes(totals.code.saturating_sub(code)),
            "Threads" => Some(threads(world, value.trim().parse().ok()?).to_string()),
            "SigPnd" => set(world.pending),
            "SigBlk" => set(world.blocked),
            "SigIgn" => set(world.ignored),
            "SigCgt" => set(world.caught),
            "Seccomp" => world.seccomp.map(|[mode, _]| mode.to_string()),
            "Seccomp_filters" => world.seccomp.map(|[_, count]| count.to_string()),
            _ => None,
        };
        let _ = writeln!(text, "{key}:\t{}", new.as_deref().unwrap_or(value));
    }
    Some(text.into_bytes())
}

/// The limits that are not the host's take their lines' places.
pub(super) fn limits(task: &Task) -> Option<Vec<u8>> {
    const LINES: [(&str, u32); 3] = [
        ("Max address space", libc::RLIMIT_AS),
        ("Max data size", libc::RLIMIT_DATA),
        ("Max stack size", libc::RLIMIT_STACK),
    ];
    let host = std::fs::read_to_string("/proc/self/limits").ok()?;
    let mut text = String::new();
    for line in host.lines() {
        let known = LINES.iter().find(|(name, _)| line.starts_with(name));
        match known.and_then(|(name, resource)| Some((name, task.process.limits.own(*resource)?))) {
            Some((name, limit)) => {
                let [soft, hard] = limit.map(|value| match value {
                    u64::MAX => "unlimited".to_owned(),
                    value => value.to_string(),
                });
                let _ = writeln!(text, "{name:<25} {soft:<20} {hard:<20} {:<10}", "bytes");
            }
            None => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    Some(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_follow_a_name_with_anything_in_it() {
        let stat = "12 (a) b (c)) S 1 2 3";
        assert_eq!(field(stat, 4), Some(1));
        assert_eq!(field(stat, 6), Some(3));
        assert_eq!(field(stat, 7), None);
    }
}
