//! The cursor of a list, and the window of the list around it.
//! Knows nothing of the items.

use std::ops::Range;

/// The cursor of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The index of the selected item.
    pub at: usize,
}

/// A movement of a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Motion {
    /// One item towards the first.
    Up,
    /// One item towards the last.
    Down,
    /// One page towards the first item.
    PageUp,
    /// One page towards the last item.
    PageDown,
    /// To the first item.
    First,
    /// To the last item.
    Last,
}

impl Cursor {
    /// Moves the cursor in a list of `len` items that shows `page` items at once.
    pub fn go(&mut self, motion: Motion, len: usize, page: usize) {
        let last = len.saturating_sub(1);
        let page = page.max(1);
        self.at = match motion {
            Motion::Up => self.at.saturating_sub(1),
            Motion::Down => self.at.saturating_add(1),
            Motion::PageUp => self.at.saturating_sub(page),
            Motion::PageDown => self.at.saturating_add(page),
            Motion::First => 0,
            Motion::Last => last,
        }
        .min(last);
    }

    /// Returns the cursor's index in a list of `len` items, which may have become shorter since the last movement.
    #[must_use]
    pub fn within(self, len: usize) -> usize {
        self.at.min(len.saturating_sub(1))
    }

    /// Returns the items that are visible in `height` lines, with the cursor near the middle.
    #[must_use]
    pub fn window(self, len: usize, height: usize) -> Range<usize> {
        let first = self.within(len).saturating_sub(height / 2).min(len.saturating_sub(height));
        first..len.min(first + height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_stay_in_the_list() {
        let check = |at, motion, len, expected| {
            let mut cursor = Cursor { at };
            cursor.go(motion, len, 10);
            assert_eq!(cursor.at, expected, "{at} {motion:?} {len}");
        };
        check(0, Motion::Up, 5, 0);
        check(4, Motion::Down, 5, 4);
        check(3, Motion::PageDown, 100, 13);
        check(95, Motion::PageDown, 100, 99);
        check(9, Motion::Last, 0, 0);
        check(9, Motion::Up, 3, 2);
    }

    #[test]
    fn the_window_holds_the_place() {
        let check = |at, len, height, expected| {
            assert_eq!(Cursor { at }.window(len, height), expected, "{at} {len} {height}");
        };
        check(0, 100, 10, 0..10);
        check(50, 100, 10, 45..55);
        check(99, 100, 10, 90..100);
        check(2, 3, 10, 0..3);
        check(7, 0, 10, 0..0);
        check(7, 100, 0, 7..7);
    }
}
