//! Which translations come from which guest bytes.
//!
//! In: the ranges that a block or a compiled region was translated from. Out: what depends on a range that changes,
//! found in the time that it takes to look through its pages. The grain is a line of 64 bytes: the least that a guest
//! invalidates.

use super::pc_map::PcMap;
use super::places::PlaceId;
use std::ops::Range;

const PAGE: u64 = 4096;
const LINE: u64 = 64;

/// Something that was translated: the number of its place, and whether it is the block or the compiled region there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Dependant(u32);

impl Dependant {
    /// The block of a place.
    pub(super) fn block(place: PlaceId) -> Dependant {
        Dependant(place.0 << 1)
    }

    /// The compiled region of a place.
    pub(super) fn region(place: PlaceId) -> Dependant {
        Dependant(place.0 << 1 | 1)
    }

    fn place(self) -> PlaceId {
        PlaceId(self.0 >> 1)
    }
}

/// The first and the last of some lines of a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Lines {
    first: u8,
    last: u8,
}

impl Lines {
    /// One bit for each.
    fn bits(self) -> u64 {
        u64::MAX << self.first & u64::MAX >> (63 - self.last)
    }
}

/// What depends on a page: each with the lines that it depends on, and those between.
#[derive(Debug, Default)]
struct Page {
    users: Vec<(Dependant, Lines)>,
    /// The lines that something depends on, or has depended on: a guest tells of many more.
    lines: u64,
}

impl Page {
    fn on(&self, lines: Lines) -> impl Iterator<Item = PlaceId> {
        let users = if self.lines & lines.bits() == 0 { &[] } else { &self.users[..] };
        let touched = move |its: &Lines| its.first <= lines.last && lines.first <= its.last;
        users.iter().filter(move |(_, its)| touched(its)).map(|(dependant, _)| dependant.place())
    }
}

/// What depends on guest memory, by number of page.
#[derive(Debug, Default)]
pub(super) struct Dependants {
    pages: PcMap<Page>,
}

impl Dependants {
    /// Notes that something comes from these ranges.
    pub(super) fn add(&mut self, dependant: Dependant, ranges: &[Range<u64>]) {
        for (page, lines) in ranges.iter().flat_map(pages) {
            let Page { users, lines: all } = self.pages.entry(page).or_default();
            *all |= lines.bits();
            match users.last_mut() {
                Some((last, its)) if *last == dependant => {
                    *its = Lines { first: its.first.min(lines.first), last: its.last.max(lines.last) };
                }
                _ => users.push((dependant, lines)),
            }
        }
    }

    /// Takes back what [`Dependants::add`] noted with the same ranges.
    pub(super) fn remove(&mut self, dependant: Dependant, ranges: &[Range<u64>]) {
        for (page, _) in ranges.iter().flat_map(pages) {
            let Some(Page { users, .. }) = self.pages.get_mut(&page) else { continue };
            // Once at most, and near the end: what a guest rewrites it has mostly just written.
            if let Some(at) = users.iter().rposition(|&(user, _)| user == dependant) {
                users.swap_remove(at);
            }
            if users.is_empty() {
                self.pages.remove(&page);
            }
        }
    }

    /// The places of what depends on the lines of a range, each once, and of some that depend on lines around it.
    pub(super) fn on(&self, range: &Range<u64>) -> Vec<PlaceId> {
        let numbers = numbers(range);
        let mut found = Vec::new();
        if numbers.end - numbers.start <= self.pages.len() as u64 {
            for (number, lines) in pages(range) {
                found.extend(self.pages.get(&number).into_iter().flat_map(|page| page.on(lines)));
            }
        } else {
            for (&number, page) in self.pages.iter().filter(|(number, _)| numbers.contains(number)) {
                found.extend(page.on(lines(range, number)));
            }
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

/// The numbers of the pages that a range touches.
fn numbers(range: &Range<u64>) -> Range<u64> {
    if range.is_empty() { 0..0 } else { range.start / PAGE..(range.end - 1) / PAGE + 1 }
}

/// The pages that a range touches, and which lines of each.
fn pages(range: &Range<u64>) -> impl Iterator<Item = (u64, Lines)> + use<> {
    let range = range.clone();
    numbers(&range).map(move |number| (number, lines(&range, number)))
}

/// The lines of a page that a range touches.
fn lines(range: &Range<u64>, page: u64) -> Lines {
    let first = range.start.saturating_sub(page * PAGE) / LINE;
    let last = (range.end - 1 - page * PAGE).min(PAGE - 1) / LINE;
    Lines { first: first as u8, last: last as u8 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_found_and_removed() {
        let mut all = Dependants::default();
        let (one, two) = (PlaceId(1), PlaceId(2));
        let range = 0x1ff0..0x2010;
        let block = std::slice::from_ref(&range);
        all.add(Dependant::block(one), block);
        all.add(Dependant::region(one), &[0x1ff0..0x2010, 0x5000..0x5004]);
        all.add(Dependant::block(two), std::slice::from_ref(&(0x2000..0x2004)));
        assert_eq!(all.on(&(0x2008..0x2009)), [one, two]);
        assert_eq!(all.on(&(0x1fc0..0x2000)), [one]);
        assert_eq!(all.on(&(0x1000..0x1fc0)), []);
        assert_eq!(all.on(&(0x3000..0x5001)), [one]);
        assert_eq!(all.on(&(0..u64::MAX)), [one, two]);
        assert_eq!(all.on(&(0x2000..0x2000)), []);
        all.remove(Dependant::region(one), &[0x1ff0..0x2010, 0x5000..0x5004]);
        assert_eq!(all.on(&(0x3000..0x6000)), []);
        assert_eq!(all.on(&(0x2000..0x2040)), [one, two]);
        all.remove(Dependant::block(one), block);
        all.remove(Dependant::block(two), std::slice::from_ref(&(0x2000..0x2004)));
        assert!(all.pages.is_empty());
    }
}
