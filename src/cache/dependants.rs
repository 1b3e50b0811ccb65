//! Which translations come from which guest bytes.
//!
//! In: the ranges that a block or a compiled region was translated from. Out: what depends on a range that changes,
//! found in the time that it takes to name it. The grain is a line of 64 bytes: the least that a guest invalidates.

use std::collections::BTreeMap;
use std::ops::Range;

const PAGE: u64 = 4096;
const LINE: u64 = 64;
const LINES: usize = (PAGE / LINE) as usize;

/// Something that was translated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Dependant {
    /// The interpreter's block at a guest address.
    Block(u64),
    /// The compiled region at a guest address.
    Region(u64),
}

impl Dependant {
    fn pc(self) -> u64 {
        match self {
            Dependant::Block(pc) | Dependant::Region(pc) => pc,
        }
    }
}

/// What depends on the lines of a page.
#[derive(Debug)]
struct Page {
    lines: [Vec<Dependant>; LINES],
    count: usize,
}

impl Default for Page {
    fn default() -> Page {
        Page { lines: [const { Vec::new() }; LINES], count: 0 }
    }
}

/// What depends on guest memory, by page.
#[derive(Debug, Default)]
pub(super) struct Dependants {
    pages: BTreeMap<u64, Box<Page>>,
}

impl Dependants {
    /// Notes that something comes from these ranges.
    pub(super) fn add(&mut self, dependant: Dependant, ranges: &[Range<u64>]) {
        for line in ranges.iter().flat_map(lines) {
            let page = self.pages.entry(line / LINES as u64).or_default();
            let users = &mut page.lines[line as usize % LINES];
            if !users.contains(&dependant) {
                users.push(dependant);
                page.count += 1;
            }
        }
    }

    /// Takes back what [`Dependants::add`] noted with the same ranges.
    pub(super) fn remove(&mut self, dependant: Dependant, ranges: &[Range<u64>]) {
        for line in ranges.iter().flat_map(lines) {
            let Some(page) = self.pages.get_mut(&(line / LINES as u64)) else { continue };
            let users = &mut page.lines[line as usize % LINES];
            if let Some(index) = users.iter().position(|&user| user == dependant) {
                users.swap_remove(index);
                page.count -= 1;
            }
            if page.count == 0 {
                self.pages.remove(&(line / LINES as u64));
            }
        }
    }

    /// The guest addresses of what depends on the lines of a range, each once.
    pub(super) fn on(&self, range: &Range<u64>) -> Vec<u64> {
        let wanted = lines(range);
        let pages = wanted.start / LINES as u64..wanted.end.div_ceil(LINES as u64);
        let mut found = Vec::new();
        for (number, page) in self.pages.range(pages) {
            let first = number * LINES as u64;
            let from = wanted.start.saturating_sub(first) as usize;
            let to = (wanted.end - first).min(LINES as u64) as usize;
            found.extend(page.lines[from..to].iter().flatten().map(|dependant| dependant.pc()));
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.pages.clear();
    }
}

/// The numbers of the lines that a range touches.
fn lines(range: &Range<u64>) -> Range<u64> {
    if range.is_empty() { 0..0 } else { range.start / LINE..(range.end - 1) / LINE + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_found_and_removed() {
        let mut all = Dependants::default();
        let range = 0x1ff0..0x2010;
        let block = std::slice::from_ref(&range);
        all.add(Dependant::Block(0x1ff0), block);
        all.add(Dependant::Region(0x1ff0), &[0x1ff0..0x2010, 0x5000..0x5004]);
        all.add(Dependant::Block(0x2000), std::slice::from_ref(&(0x2000..0x2004)));
        assert_eq!(all.on(&(0x2008..0x2009)), [0x1ff0, 0x2000]);
        assert_eq!(all.on(&(0x1fc0..0x2000)), [0x1ff0]);
        assert_eq!(all.on(&(0x1000..0x1fc0)), [0; 0]);
        assert_eq!(all.on(&(0x3000..0x5001)), [0x1ff0]);
        assert_eq!(all.on(&(0..u64::MAX)), [0x1ff0, 0x2000]);
        assert_eq!(all.on(&(0x2000..0x2000)), [0; 0]);
        all.remove(Dependant::Region(0x1ff0), &[0x1ff0..0x2010, 0x5000..0x5004]);
        assert_eq!(all.on(&(0x3000..0x6000)), [0; 0]);
        assert_eq!(all.on(&(0x2000..0x2040)), [0x1ff0, 0x2000]);
        all.remove(Dependant::Block(0x1ff0), block);
        all.remove(Dependant::Block(0x2000), std::slice::from_ref(&(0x2000..0x2004)));
        assert!(all.pages.is_empty());
    }
}
