//! `/proc/self/stat`, `status`, `statm` and `limits`: the host's lines, with the guest's threads, signals and memory in them.
//!
//! In: the host's file and the guest's state. Out: the text. What the host's process has in common with the guest's
//! (ids, times, limits, what is resident) stays as the host says.

use super::{Scope, host_path};
use crate::host;
use crate::signal::SIG_IGN;
use crate::signal::{SIGNALS, bit};
use crate::task::Task;
use std::fmt::Write;

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

/// The sets of signals that `stat` and `status` show.
struct Sets {
    /// None for a thread that is not the calling one: the host's set is what is known.
    own: Option<[u64; 2]>,
    ignored: u64,
    caught: u64,
}

fn sets(task: &Task, scope: Scope) -> Sets {
    let thread = match scope {
        Scope::Process => host::getpid(),
        Scope::Thread(thread) => thread,
    };
    let matching = |wanted: fn(u64) -> bool| {
        let signals = (1..=SIGNALS).filter(|&signal| wanted(task.sighand.action(signal).handler));
        signals.fold(0, |set, signal| set | bit(signal))
    };
    Sets {
        own: (thread == task.tid).then(|| [task.signals.held_set(), task.signals.mask]),
        ignored: matching(|handler| handler == SIG_IGN),
        caught: matching(|handler| handler > SIG_IGN),
    }
}

pub(super) fn stat(task: &Task, scope: Scope) -> Option<Vec<u8>> {
    let host = std::fs::read_to_string(host_path(scope, "stat")).ok()?;
    let (name, fields) = split(&host)?;
    let mut fields: Vec<String> = fields.into_iter().map(str::to_owned).collect();
    let mut set = |number: usize, value: u64| {
        if let Some(field) = fields.get_mut(number - 3) {
            *field = value.to_string();
        }
    };
    let Sets { own, ignored, caught } = sets(task, scope);
    // Only the lowest 31 signals show here.
    const SHOWN: u64 = 0x7fff_ffff;
    if let Some([held, blocked]) = own {
        let pending = field(&host, SIGNAL_PENDING)? | held;
        set(SIGNAL_PENDING, pending & SHOWN);
        set(SIGNAL_PENDING + 1, blocked & SHOWN);
    }
    set(SIGNAL_PENDING + 2, ignored & SHOWN);
    set(SIGNAL_PENDING + 3, caught & SHOWN);
    set(NUM_THREADS, threads(task, field(&host, NUM_THREADS)?));
    set(VSIZE, task.mm.totals().size);
    let layout = &task.process.info.layout;
    set(START_BRK, task.mm.brk_start());
    if !task.process.info.shown {
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

fn threads(task: &Task, host: u64) -> u64 {
    host.saturating_sub(task.process.own_threads().len() as u64).max(1)
}

pub(super) fn statm(task: &Task) -> Option<Vec<u8>> {
    let host = std::fs::read_to_string("/proc/self/statm").ok()?;
    let mut fields: Vec<String> = host.split_whitespace().map(str::to_owned).collect();
    let totals = task.mm.totals();
    for (index, bytes) in [(0, totals.size), (3, code_bytes(task)), (5, totals.data + totals.stack)] {
        *fields.get_mut(index)? = (bytes / crate::mm::PAGE).to_string();
    }
    Some(format!("{}\n", fields.join(" ")).into_bytes())
}

fn code_bytes(task: &Task) -> u64 {
    let code = &task.process.info.layout.code;
    let start = code.start & !(crate::mm::PAGE - 1);
    code.end.next_multiple_of(crate::mm::PAGE).saturating_sub(start)
}

pub(super) fn status(task: &Task, scope: Scope) -> Option<Vec<u8>> {
    let host = std::fs::read_to_string(host_path(scope, "status")).ok()?;
    let totals = task.mm.totals();
    let Sets { own, ignored, caught } = sets(task, scope);
    let code = code_bytes(task);
    let kilobytes = |bytes: u64| Some(format!("{:>8} kB", bytes / 1024));
    let set = |set: u64| Some(format!("{set:016x}"));
    let mut text = String::new();
    for line in host.lines() {
        let (key, value) = line.split_once(":\t")?;
        let new = match key {
            "VmPeak" => kilobytes(totals.peak),
            "VmSize" => kilobytes(totals.size),
            "VmData" => kilobytes(totals.data),
            "VmStk" => kilobytes(totals.stack),
            "VmExe" => kilobytes(code),
            "VmLib" => kilobytes(totals.code.saturating_sub(code)),
            "Threads" => Some(threads(task, value.trim().parse().ok()?).to_string()),
            "SigPnd" => own.and_then(|[held, _]| set(u64::from_str_radix(value, 16).ok()? | held)),
            "SigBlk" => own.and_then(|[_, blocked]| set(blocked)),
            "Seccomp" => Some(task.seccomp.mode().to_string()),
            "Seccomp_filters" => Some(task.seccomp.count().to_string()),
            "SigIgn" => set(ignored),
            "SigCgt" => set(caught),
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
