//! What was invalidated lately: whether a translation that was begun some time ago is still one of the guest's code.
//!
//! Invalidations are counted; the count is the cache's *generation*. Whoever translates reads it before the guest's
//! bytes, and the translation is good if nothing that it came from was invalidated since.

use std::collections::VecDeque;
use std::ops::Range;

/// How many ranges are remembered; a translation that is older than all of them is refused.
const RECENT: usize = 512;

/// The latest invalidations.
#[derive(Debug, Default)]
pub(super) struct History {
    count: u64,
    /// Ranges, each with the count after the last invalidation in it, ascending.
    recent: VecDeque<(u64, Range<u64>)>,
    /// The count up to which not all is remembered.
    lost: u64,
}

impl History {
    /// How many there were.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// One more, of this range of guest addresses. One that continues the last is one with it: a guest goes through
    /// what it has written line by line.
    pub(super) fn add(&mut self, range: Range<u64>) {
        self.count += 1;
        if let Some((until, last)) = self.recent.back_mut()
            && last.end == range.start
        {
            (*until, last.end) = (self.count, range.end);
            return;
        }
        if self.recent.len() == RECENT
            && let Some((until, _)) = self.recent.pop_front()
        {
            self.lost = until;
        }
        self.recent.push_back((self.count, range));
    }

    /// Whether no address of `ranges` was invalidated since there were `count` invalidations.
    pub(super) fn spares(&self, ranges: &[Range<u64>], count: u64) -> bool {
        let touches = |gone: &Range<u64>| ranges.iter().any(|r| r.start < gone.end && gone.start < r.end);
        let since = self.recent.iter().rev().take_while(|(until, _)| *until > count);
        count >= self.lost && !since.into_iter().any(|(_, gone)| touches(gone))
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
        history.add(0x3001..0x3002);
        assert!(!history.spares(&mine, 0) && !history.spares(&mine, 1) && history.spares(&mine, 2));
        history.add(0x3002..0x3003);
        assert!(!history.spares(&mine, 2) && history.spares(&mine, 3));
        (0..RECENT - 1).for_each(|_| history.add(0..1));
        assert!(history.spares(&mine, 3) && !history.spares(&mine, 2));
        (0..2).for_each(|_| history.add(0..1));
        assert!(!history.spares(&mine, 3) && history.spares(&mine, 4));
    }
}
