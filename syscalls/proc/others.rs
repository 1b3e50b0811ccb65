//! Files of other processes that a Philae runs (`maps`, `smaps`, `stat`, `statm`, `status`): the host's, without what is
//! Philae's own.
//!
//! In: a process id. Out: the text, or nothing if no Philae runs that process, or it may not be looked at. Whatever of a
//! Philae's lies in known areas ([`Mm::new`](crate::mm::Mm::new)): around its program file and the code it has made, all
//! that the host may execute, below the top of its host stack, which the kernel places highest, and in the C library's
//! heap. The host does not know what the guest may
//! execute; of a file's mapping, its program headers say so, for all that the host has made one mapping of.

use super::shown::Told;
use super::status::{self, Change, World};
use super::{OtherFile, Scope};
use crate::arch::Fields;
use crate::mm;
use crate::signal::FAULTS;
use crate::vma::Totals;
use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};

/// One line of `maps`, as far as it matters here.
struct Line<'a> {
    range: Range<u64>,
    access: &'a str,
    offset: u64,
    inode: u64,
    path: &'a str,
}

impl<'a> Line<'a> {
    fn parse(text: &'a str) -> Option<Line<'a>> {
        let range = super::memory::addresses(text)?;
        let mut words = text.splitn(6, ' ').skip(1);
        let (access, offset, _, inode) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let path = words.next().unwrap_or_default().trim_start();
        Some(Line { range, access, offset: u64::from_str_radix(offset, 16).ok()?, inode: inode.parse().ok()?, path })
    }
}

/// This file of another process.
pub(super) fn text(process: u32, scope: Scope, file: OtherFile) -> Option<Vec<u8>> {
    let philae = philae_of(process)?;
    let read = |name: &str| std::fs::read(format!("/proc/{process}/{name}")).ok();
    let mappings = |name: &str| shown(&String::from_utf8_lossy(&read(name)?), philae);
    let text = |name: &str| match scope {
        Scope::Process => Some(String::from_utf8_lossy(&read(name)?).into_owned()),
        Scope::Thread(thread) => Some(String::from_utf8_lossy(&read(&format!("task/{thread}/{name}"))?).into_owned()),
    };
    let world = || {
        let stat = text("stat")?;
        Some(world(process, &mappings("maps")?, status::code(&stat)))
    };
    match file {
        OtherFile::Maps => mappings("maps").map(String::into_bytes),
        OtherFile::Smaps => mappings("smaps").map(String::into_bytes),
        OtherFile::Stat => status::stat(&text("stat")?, &world()?),
        OtherFile::Statm => status::statm(&text("statm")?, &world()?),
        OtherFile::Status => status::status(&text("status")?, &world()?),
    }
}

/// The inode of this Philae's program, if another process runs it, too.
fn philae_of(process: u32) -> Option<u64> {
    let philae = std::fs::metadata("/proc/self/exe").ok()?;
    let other = std::fs::metadata(format!("/proc/{process}/exe")).ok()?;
    ((philae.dev(), philae.ino()) == (other.dev(), other.ino())).then(|| philae.ino())
}

/// What another process that this Philae's program runs tells of itself.
pub(super) fn told(process: u32) -> Option<Told> {
    let philae = philae_of(process)?;
    let program = |maps: &str| {
        let text = std::fs::read(maps).ok()?;
        let text = String::from_utf8_lossy(&text);
        text.lines().filter_map(Line::parse).find(|line| line.inode == philae).map(|line| line.range.start)
    };
    Told::by(process, [program(&format!("/proc/{process}/maps"))?, program("/proc/self/maps")?])
}

/// What differs from the host's view of a process that has these mappings.
fn world(process: u32, maps: &str, code: Option<Range<u64>>) -> World<'static> {
    let told = told(process);
    let mut totals = Totals::default();
    for line in maps.lines().filter_map(Line::parse) {
        let bytes = line.range.end - line.range.start;
        let (stack, writable) = (line.path == "[stack]", line.access.contains('w'));
        totals.size += bytes;
        totals.stack += if stack { bytes } else { 0 };
        totals.data += if writable && !stack && line.access.ends_with('p') { bytes } else { 0 };
        totals.code += if line.access.contains('x') && !writable { bytes } else { 0 };
    }
    totals.peak = totals.size;
    World {
        totals,
        code: code.unwrap_or_default(),
        own_threads: told.and_then(|told| told.own_thread(process)).into_iter().count() as u64,
        heap: told.map(|told| told.heap),
        pending: Change::NOTHING,
        blocked: Change::NOTHING,
        ignored: told.map_or(Change::NOTHING, |told| Change { kept: !FAULTS, added: told.ignored_faults }),
        caught: told.map_or(Change::NOTHING, |told| Change { kept: !FAULTS, added: told.caught_faults }),
        layout: None,
        seccomp: None,
    }
}

/// What is left of the host's text without the mappings of the Philae whose file is this inode.
fn shown(text: &str, philae: u64) -> Option<String> {
    let lines = || text.lines().filter_map(Line::parse);
    let file = lines().find(|line| line.inode == philae)?;
    let top = lines().rfind(|line| line.range.end <= mm::HIGHEST + mm::PAGE)?;
    let code = lines().find(|line| line.access.starts_with("rwx")).map_or(file.range.start, |line| line.range.start);
    let own = mm::own_areas(file.range.start, code, top.range.end);
    let mut files = HashMap::new();
    let (mut shown, mut hidden) = (String::new(), true);
    for whole in text.lines() {
        let Some(line) = Line::parse(whole) else {
            // What `smaps` counts of the mapping above.
            if !hidden {
                shown.extend([whole, "\n"]);
            }
            continue;
        };
        let is_hosts = line.path == "[heap]" || line.range.start > mm::HIGHEST;
        hidden = is_hosts || own.iter().any(|area| area.contains(&line.range.start));
        if hidden {
            continue;
        }
        let executable = line.access.starts_with('r') && line.inode != 0 && {
            let code = files.entry(line.path).or_insert_with(|| code_of(line.path));
            let end = line.offset + (line.range.end - line.range.start);
            code.iter().any(|part| part.start < end && line.offset < part.end)
        };
        if executable {
            let access: String = line.access.char_indices().map(|(at, c)| if at == 2 { 'x' } else { c }).collect();
            shown.push_str(&whole.replacen(line.access, &access, 1));
        } else {
            shown.push_str(whole);
        }
        shown.push('\n');
    }
    Some(shown)
}

/// The parts of an ELF file that are mapped for execution, in pages; none of another file.
fn code_of(path: &str) -> Vec<Range<u64>> {
    const LOAD: u32 = 1;
    const EXECUTE: u32 = 1;
    const HEADER: usize = 56;
    let page = |place: u64| place & !(mm::PAGE - 1);
    let parts = || -> std::io::Result<Vec<Range<u64>>> {
        let file = File::open(path)?;
        let mut head = [0; 64];
        file.read_exact_at(&mut head, 0)?;
        if !head.starts_with(b"\x7fELF\x02\x01") {
            return Ok(Vec::new());
        }
        let mut table = vec![0; usize::from(Fields(&head).u16(56)) * HEADER];
        file.read_exact_at(&mut table, Fields(&head).u64(32))?;
        let headers = table.chunks_exact(HEADER).map(Fields);
        let code = headers.filter(|header| header.u32(0) == LOAD && header.u32(4) & EXECUTE != 0);
        Ok(code.map(|header| page(header.u64(8))..header.u64(8) + header.u64(32)).collect())
    };
    parts().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program at 0x400000, an area of its own at 0x660000000000, and one Philae, whose file is inode 77.
    fn text(philae: &str) -> String {
        let mut lines = vec![
            "00400000-0047f000 r--p 00000000 fe:00 12 /none\nSize: 1 kB",
            "55558bf64000-55558bf86000 rw-p 00000000 00:00 0 [heap]",
            "660000000000-660000001000 rw-p 00000000 00:00 0 \nSize: 4 kB",
            "7f511aa00000-7f512aa00000 rwxp 00000000 00:00 0 \nSize: 2 kB",
            "7ffc0936a000-7ffc09b6a000 rw-p 00000000 00:00 0 [stack]\nSize: 3 kB",
            "7ffc49b56000-7ffc49b77000 rw-p 00000000 00:00 0 ",
            "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]",
        ];
        lines.push(philae);
        lines.sort();
        lines.join("\n") + "\n"
    }

    #[test]
    fn what_is_philaes_is_left_out() {
        let left = "00400000-0047f000 r--p 00000000 fe:00 12 /none\nSize: 1 kB\n\
                    660000000000-660000001000 rw-p 00000000 00:00 0 \nSize: 4 kB\n\
                    7ffc0936a000-7ffc09b6a000 rw-p 00000000 00:00 0 [stack]\nSize: 3 kB\n";
        // Among the kernel's mappings, or at a fixed address.
        for philae in [
            "7f512aa00000-7f512aed7000 r--p 00000000 fe:00 77 /philae",
            "550700000000-5507004d7000 r--p 00000000 fe:00 77 /philae",
        ] {
            assert_eq!(shown(&text(philae), 77).as_deref(), Some(left));
            assert_eq!(shown(&text(philae), 78), None);
        }
    }
}
