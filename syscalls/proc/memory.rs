//! `/proc/self/smaps` and `smaps_rollup`: the guest's mappings with what the host counts of them.
//!
//! In: the guest's map and the host's `smaps`. Out: the text. The host cuts and joins mappings where the guest does
//! not: what it counts of one of its mappings goes to the guest's mapping in which that one begins.

use crate::mm::{Mm, PROT_BTI};
use crate::vma::{self, Vma};
use std::fmt::Write;
use std::ops::Range;

/// The counters of `smaps` that are summed, in the host's order, each in kB.
#[derive(Clone, Debug, Default)]
struct Counters(Vec<(String, u64)>);

impl Counters {
    fn add(&mut self, name: &str, kilobytes: u64) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => *sum += kilobytes,
            None => self.0.push((name.to_owned(), kilobytes)),
        }
    }

    fn add_all(&mut self, other: &Counters) {
        for (name, kilobytes) in &other.0 {
            self.add(name, *kilobytes);
        }
    }
}

/// The addresses at the start of a line of `maps`.
pub(super) fn addresses(line: &str) -> Option<Range<u64>> {
    let (start, end) = line.split(' ').next()?.split_once('-')?;
    Some(u64::from_str_radix(start, 16).ok()?..u64::from_str_radix(end, 16).ok()?)
}

/// Is this line of `maps` the mapping that holds `address`?
pub(super) fn line_holds(line: &[u8], address: u64) -> bool {
    let text = String::from_utf8_lossy(&line[..line.len().min(40)]);
    addresses(&text).is_some_and(|range| range.contains(&address))
}

/// What the host counts of each of its mappings.
fn host_counters() -> Option<Vec<(u64, Counters)>> {
    let text = std::fs::read("/proc/self/smaps").ok()?;
    let mut all: Vec<(u64, Counters)> = Vec::new();
    for line in String::from_utf8_lossy(&text).lines() {
        if let Some(range) = addresses(line) {
            all.push((range.start, Counters::default()));
            continue;
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        let kilobytes = value.trim().strip_suffix(" kB").and_then(|number| number.parse().ok());
        if let (Some(kilobytes), Some((_, counters))) = (kilobytes, all.last_mut())
            && !matches!(name, "Size" | "KernelPageSize" | "MMUPageSize")
        {
            counters.add(name, kilobytes);
        }
    }
    Some(all)
}

/// Each mapping of the guest with its counters.
fn counted(mm: &Mm) -> Option<Vec<(Vma, Counters)>> {
    let host = host_counters()?;
    let empty = Counters(host.first()?.1.0.iter().map(|(name, _)| (name.clone(), 0)).collect());
    let counted = mm.vmas().into_iter().map(|vma| {
        let mut counters = empty.clone();
        for (_, host) in host.iter().filter(|(start, _)| vma.range.contains(start)) {
            counters.add_all(host);
        }
        (vma, counters)
    });
    Some(counted.collect())
}

fn write_counters(text: &mut String, counters: &Counters) {
    for (name, kilobytes) in &counters.0 {
        let _ = writeln!(text, "{:<16}{kilobytes:>8} kB", format!("{name}:"));
    }
}

/// The two-letter names of `VmFlags`, proc_pid_smaps(5).
fn flags(vma: &Vma) -> String {
    let has = |bit: i32| vma.prot & bit as u32 != 0;
    let is_guarded = vma.prot & PROT_BTI != 0;
    let all = [
        (has(libc::PROT_READ), "rd"),
        (has(libc::PROT_WRITE), "wr"),
        (has(libc::PROT_EXEC), "ex"),
        (vma.shared, "sh"),
        (true, "mr mw me"),
        (vma.shared && has(libc::PROT_WRITE), "ms"),
        (is_guarded, "bt"),
    ];
    all.iter().filter(|(is, _)| *is).map(|(_, name)| format!("{name} ")).collect()
}

pub(super) fn smaps(mm: &Mm) -> Option<Vec<u8>> {
    let mut text = String::new();
    for (vma, counters) in counted(mm)? {
        text.push_str(&vma::line(&vma));
        let size = (vma.range.end - vma.range.start) / 1024;
        let sizes = [("Size", size), ("KernelPageSize", 4), ("MMUPageSize", 4)];
        write_counters(&mut text, &Counters(sizes.map(|(name, size)| (name.to_owned(), size)).to_vec()));
        write_counters(&mut text, &counters);
        let _ = writeln!(text, "THPeligible:           0\nVmFlags: {}", flags(&vma));
    }
    Some(text.into_bytes())
}

pub(super) fn smaps_rollup(mm: &Mm) -> Option<Vec<u8>> {
    let counted = counted(mm)?;
    let start = counted.first()?.0.range.start;
    let end = counted.last()?.0.range.end;
    let mut sum = Counters::default();
    for (_, counters) in &counted {
        sum.add_all(counters);
    }
    let head = format!("{start:08x}-{end:08x} ---p 00000000 00:00 0 ");
    let mut text = format!("{head:<73}[rollup]\n");
    write_counters(&mut text, &sum);
    Some(text.into_bytes())
}
