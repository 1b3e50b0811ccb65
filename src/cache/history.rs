//! What was invalidated lately: whether a translation that was begun some time ago is still one of the guest's code.
//!
//! Invalidations are counted; the count is the cache's *generation*. Whoever translates reads it before the guest's
//! bytes, and the translation is good if nothing that it came from was invalidated since.

use std::ops::Range;

/// How many invalidations are remembered; a translation that took longer is refused.
const RECENT: u64 = 512;

/// The latest invalidations.
#[derive(Debug, Default)]
pub(super) struct History {
    count: u64,
    recent: Vec<Range<u64>>,
}

impl History {
    /// How many there were.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// One more, of this range of guest addresses.
    pub(super) fn add(&mut self, range: Range<u64>) {
        let place = (self.count % RECENT) as usize;
        match self.recent.get_mut(place) {
            Some(oldest) => *oldest = range,
            None => self.recent.push(range),
        }
        self.count += 1;
    }

    /// Whether no address of `ranges` was invalidated since there were `count` invalidations.
    pub(super) fn spares(&self, ranges: &[Range<u64>], count: u64) -> bool {
        let since = self.count - count;
        let touches = |gone: &Range<u64>| ranges.iter().any(|r| r.start < gone.end && gone.start < r.end);
        since <= RECENT && (count..self.count).all(|n| !touches(&self.recent[(n % RECENT) as usize]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_invalidated_since_is_known_or_assumed() {
        let mut history = History::default();
        let mine = [0x1000..0x1010, 0x3000..0x3004];
        assert!(history.spares(&mine, 0));
        history.add(0x1010..0x3000);
        assert!(history.spares(&mine, 0));
        history.add(0x3000..0x3001);
        assert!(!history.spares(&mine, 0) && !history.spares(&mine, 1) && history.spares(&mine, 2));
        (0..RECENT).for_each(|_| history.add(0..1));
        assert!(history.spares(&mine, 2));
        history.add(0..1);
        assert!(!history.spares(&mine, 2));
    }
}
