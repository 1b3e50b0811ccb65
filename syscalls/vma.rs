//! The map of guest memory: which ranges are mapped, how, and from what.
//!
//! In: what the calls of [`crate::mm`] have done, and descriptors of files. Out: look-ups, gaps, and the text of `/proc/self/maps`.
//! Ranges never overlap; neighbours that differ in nothing are one.

use crate::host;
use crate::mm::PROT_BTI;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;

/// The file behind a mapping.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Backing {
    /// Its path, or what `/proc/self/maps` shows instead.
    pub path: String,
    /// Its device number.
    pub device: u64,
    /// Its inode number.
    pub inode: u64,
}

impl Backing {
    /// The file behind `fd`, as `/proc/self/maps` would name it; `known` if it is that one.
    pub(crate) fn of(fd: i32, known: Option<&Arc<Backing>>) -> Option<Arc<Backing>> {
        // SAFETY: all-zero is a valid struct stat.
        let mut stat: libc::stat = unsafe { std::mem::zeroed() };
        // SAFETY: the struct is the kernel's layout and writable.
        unsafe { host::raw(libc::SYS_fstat, [fd as u64, &mut stat as *mut libc::stat as u64, 0, 0, 0, 0]) }.ok()?;
        let is_same = |known: &&Arc<Backing>| (known.device, known.inode) == (stat.st_dev, stat.st_ino);
        // System V segments are numbered by themselves.
        if let Some(known) = known.filter(is_same).filter(|known| !known.path.starts_with("/SYSV")) {
            return Some(known.clone());
        }
        let path = std::fs::read_link(format!("/proc/self/fd/{fd}"))
            .map_or_else(|_| String::new(), |path| path.to_string_lossy().into_owned());
        Some(Arc::new(Backing { path, device: stat.st_dev, inode: stat.st_ino }))
    }
}

/// A range of guest memory that is mapped in one way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Vma {
    /// Its addresses, page-aligned.
    pub range: Range<u64>,
    /// PROT_READ, PROT_WRITE, PROT_EXEC, on AArch64 PROT_BTI, as the guest asked.
    pub prot: u32,
    /// Is it MAP_SHARED?
    pub shared: bool,
    /// The file, if it is not anonymous; or a name such as `[heap]`.
    pub backing: Option<Arc<Backing>>,
    /// The offset in the file of its first byte.
    pub offset: u64,
    /// May it not be changed any more (`mseal(2)`)?
    pub sealed: bool,
}

impl Vma {
    fn size(&self) -> u64 {
        self.range.end - self.range.start
    }

    fn continued_by(&self, next: &Vma) -> bool {
        let offset_continues = self.backing.as_ref().is_none_or(|backing| backing.inode == 0)
            || self.offset + (self.range.end - self.range.start) == next.offset;
        self.range.end == next.range.start
            && self.prot == next.prot
            && self.shared == next.shared
            && self.sealed == next.sealed
            && self.backing == next.backing
            && offset_continues
    }

    /// The part of it inside `range`, if any.
    fn clip(&self, range: &Range<u64>) -> Option<Vma> {
        let start = self.range.start.max(range.start);
        let end = self.range.end.min(range.end);
        let offset = if self.backing.is_some() { self.offset + (start.saturating_sub(self.range.start)) } else { 0 };
        (start < end).then(|| Vma { range: start..end, offset, ..self.clone() })
    }
}

/// All of them, by start address.
#[derive(Debug, Default)]
pub(crate) struct VmaMap {
    by_start: BTreeMap<u64, Vma>,
    /// Bytes mapped now, and the most that were.
    size: u64,
    peak: u64,
    /// What [`VmaMap::guarded`] has said since the last change.
    guarded: Option<Arc<[Range<u64>]>>,
}

/// Bytes of guest memory by kind, as `/proc/self/status` has them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Totals {
    /// All.
    pub(crate) size: u64,
    /// The most that was mapped at once.
    pub(crate) peak: u64,
    /// Private and writable, without the stack.
    pub(crate) data: u64,
    /// The stack.
    pub(crate) stack: u64,
    /// Executable and not writable.
    pub(crate) code: u64,
}

impl VmaMap {
    /// The mapping that holds `address`.
    pub(crate) fn find(&self, address: u64) -> Option<&Vma> {
        let (_, vma) = self.by_start.range(..=address).next_back()?;
        vma.range.contains(&address).then_some(vma)
    }

    /// Mappings that touch `range`, ascending, cut to it.
    pub(crate) fn parts(&self, range: &Range<u64>) -> Vec<Vma> {
        let first = self.find(range.start).map_or(range.start, |vma| vma.range.start);
        self.by_start.range(first..range.end.max(first)).filter_map(|(_, vma)| vma.clip(range)).collect()
    }

    /// Is every byte of `range` mapped?
    pub(crate) fn covers(&self, range: &Range<u64>) -> bool {
        self.parts(range).iter().map(|vma| vma.range.end - vma.range.start).sum::<u64>() == range.end - range.start
    }

    /// Forgets `range`; mappings across its ends are cut. Returns what was there.
    pub(crate) fn remove(&mut self, range: &Range<u64>) -> Vec<Vma> {
        self.guarded = None;
        let parts = self.parts(range);
        let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return parts };
        for address in [first.range.start, last.range.start] {
            let Some(whole) = self.find(address).cloned() else { continue };
            self.by_start.remove(&whole.range.start);
            for side in [whole.range.start..range.start, range.end..whole.range.end] {
                if let Some(rest) = whole.clip(&side) {
                    self.by_start.insert(rest.range.start, rest);
                }
            }
        }
        for part in &parts {
            if range.contains(&part.range.start) {
                self.by_start.remove(&part.range.start);
            }
            self.size -= part.size();
        }
        parts
    }

    /// Records `vma` in place of what was there.
    pub(crate) fn insert(&mut self, mut vma: Vma) {
        if vma.range.is_empty() {
            return;
        }
        self.remove(&vma.range);
        self.size += vma.size();
        self.peak = self.peak.max(self.size);
        if let Some((_, before)) = self.by_start.range(..vma.range.start).next_back()
            && before.continued_by(&vma)
        {
            let start = before.range.start;
            vma = Vma { range: start..vma.range.end, offset: before.offset, ..vma };
            self.by_start.remove(&start);
        }
        if let Some(after) = self.by_start.get(&vma.range.end)
            && vma.continued_by(after)
        {
            let end = after.range.end;
            self.by_start.remove(&vma.range.end);
            vma.range.end = end;
        }
        self.by_start.insert(vma.range.start, vma);
    }

    /// The highest address at or below `top` and not below `bottom` where `length` bytes are free of mappings
    /// and of the `reserved` ranges (ascending).
    pub(crate) fn gap_below(&self, bottom: u64, top: u64, length: u64, reserved: &[Range<u64>]) -> Option<u64> {
        let mut end = top;
        let mut mapped = self.by_start.range(..top).rev().map(|(_, vma)| vma.range.clone()).peekable();
        let mut kept = reserved.iter().rev().filter(|range| range.start < top).cloned().peekable();
        loop {
            let next = match (mapped.peek(), kept.peek()) {
                (Some(a), Some(b)) if a.end >= b.end => mapped.next(),
                (_, Some(_)) => kept.next(),
                (_, None) => mapped.next(),
            };
            let floor = next.as_ref().map_or(0, |range| range.end).max(bottom);
            if end >= floor && end - floor >= length {
                return Some(end - length);
            }
            end = end.min(next?.start);
            if end <= bottom {
                return None;
            }
        }
    }

    /// The ranges with PROT_EXEC and PROT_BTI, ascending.
    pub(crate) fn guarded(&mut self) -> Arc<[Range<u64>]> {
        const GUARDED: u32 = libc::PROT_EXEC as u32 | PROT_BTI;
        let by_start = &self.by_start;
        let guarded = || by_start.values().filter(|vma| vma.prot & GUARDED == GUARDED).map(|vma| vma.range.clone());
        self.guarded.get_or_insert_with(|| guarded().collect()).clone()
    }

    /// Every mapping, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Vma> {
        self.by_start.values()
    }

    /// How many bytes are mapped.
    pub(crate) fn totals(&self) -> Totals {
        const WRITE: u32 = libc::PROT_WRITE as u32;
        const EXEC: u32 = libc::PROT_EXEC as u32;
        let mut totals = Totals { size: self.size, peak: self.peak, ..Totals::default() };
        for vma in self.iter() {
            let is_stack = vma.backing.as_ref().is_some_and(|backing| backing.path == "[stack]");
            match vma.prot & (WRITE | EXEC) {
                _ if is_stack => totals.stack += vma.size(),
                EXEC => totals.code += vma.size(),
                prot if prot & WRITE != 0 && !vma.shared => totals.data += vma.size(),
                _ => {}
            }
        }
        totals
    }

    /// The text of `/proc/self/maps`, proc_pid_maps(5).
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for vma in self.iter() {
            text.push_str(&line(vma));
        }
        text
    }
}

/// A line of `/proc/self/maps`.
pub(crate) fn line(vma: &Vma) -> String {
    let flag = |bit: i32, name: char| if vma.prot & bit as u32 != 0 { name } else { '-' };
    let (device, inode, path) =
        vma.backing.as_ref().map_or((0, 0, ""), |backing| (backing.device, backing.inode, backing.path.as_str()));
    let mut line = format!(
        "{:08x}-{:08x} {}{}{}{} {:08x} {:02x}:{:02x} {} ",
        vma.range.start,
        vma.range.end,
        flag(libc::PROT_READ, 'r'),
        flag(libc::PROT_WRITE, 'w'),
        flag(libc::PROT_EXEC, 'x'),
        if vma.shared { 's' } else { 'p' },
        if inode == 0 { 0 } else { vma.offset },
        libc::major(device),
        libc::minor(device),
        inode,
    );
    if !path.is_empty() {
        // The kernel starts names in column 73.
        let _ = write!(line, "{:width$}{path}", "", width = 73usize.saturating_sub(line.len()));
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vma(range: Range<u64>, prot: u32) -> Vma {
        Vma { range, prot, shared: false, backing: None, offset: 0, sealed: false }
    }

    fn ranges(map: &VmaMap) -> Vec<(Range<u64>, u32)> {
        map.iter().map(|vma| (vma.range.clone(), vma.prot)).collect()
    }

    #[test]
    fn neighbours_merge_and_holes_split() {
        let mut map = VmaMap::default();
        map.insert(vma(0x1000..0x3000, 1));
        map.insert(vma(0x5000..0x6000, 1));
        map.insert(vma(0x3000..0x5000, 1));
        assert_eq!(ranges(&map), [(0x1000..0x6000, 1)]);
        let removed = map.remove(&(0x2000..0x3000));
        assert_eq!(removed.len(), 1);
        assert_eq!(ranges(&map), [(0x1000..0x2000, 1), (0x3000..0x6000, 1)]);
        assert!(map.guarded().is_empty());
        map.insert(vma(0x8000..0x9000, 5 | PROT_BTI));
        assert_eq!((map.guarded().len(), map.guarded()[0].clone()), (1, 0x8000..0x9000));
        map.insert(vma(0x8000..0x9000, 5));
        assert!(map.guarded().is_empty());
        map.remove(&(0x8000..0x9000));
        map.insert(vma(0x1800..0x4000, 3));
        assert_eq!(ranges(&map), [(0x1000..0x1800, 1), (0x1800..0x4000, 3), (0x4000..0x6000, 1)]);
        assert!(map.covers(&(0x1000..0x6000)));
        assert!(!map.covers(&(0x1000..0x7000)));
        map.remove(&(0..0x10000));
        assert_eq!(ranges(&map), []);
    }

    #[test]
    fn file_offsets_follow_cuts() {
        let backing = Some(Arc::new(Backing { path: "/f".into(), device: 1, inode: 2 }));
        let mut map = VmaMap::default();
        map.insert(Vma { backing: backing.clone(), offset: 0x4000, ..vma(0x10000..0x20000, 1) });
        map.remove(&(0x12000..0x13000));
        assert_eq!(map.find(0x13000).unwrap().offset, 0x7000);
        map.insert(Vma { backing, offset: 0x6000, ..vma(0x12000..0x13000, 1) });
        assert_eq!(map.iter().count(), 1);
        assert!(map.text().starts_with("00010000-00020000 r--p 00004000 00:01 2 "));
    }

    #[test]
    fn gaps_come_from_the_top() {
        let mut map = VmaMap::default();
        let reserved = std::array::from_fn::<_, 1, _>(|_| 0x8000..0x9000);
        assert_eq!(map.gap_below(0x1000, 0xa000, 0x1000, &reserved), Some(0x9000));
        assert_eq!(map.gap_below(0x1000, 0xa000, 0x2000, &reserved), Some(0x6000));
        map.insert(vma(0x6000..0x8000, 1));
        assert_eq!(map.gap_below(0x1000, 0xa000, 0x2000, &reserved), Some(0x4000));
        assert_eq!(map.gap_below(0x1000, 0xa000, 0x6000, &reserved), None);
        assert_eq!(map.gap_below(0x1000, 0xa000, 0x5000, &reserved), Some(0x1000));
    }
}
