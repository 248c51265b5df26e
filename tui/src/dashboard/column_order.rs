//! The columns of a list as the reader arranges them: their order, the hidden ones, and the one under the cursor.
//! Columns of axes stay before those of values. Knows nothing of the content of columns.

use std::collections::BTreeSet;

/// The order of a list's columns. Columns are named by their index in the list's sheet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnOrder {
    /// The columns that the reader has moved, and all columns that were before or after them.
    order: Vec<usize>,
    hidden: BTreeSet<usize>,
    cursor: Option<usize>,
}

/// The number of columns of a list: all of them, and those of axes, which come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnCount {
    pub axes: usize,
    pub all: usize,
}

/// A direction in a row of columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

impl ColumnOrder {
    /// Returns all columns in order: axes, then values.
    fn every(&self, count: ColumnCount) -> Vec<usize> {
        let mut every: Vec<usize> = self.order.iter().copied().filter(|&column| column < count.all).collect();
        every.extend((0..count.all).filter(|column| !self.order.contains(column)));
        every.sort_by_key(|&column| column >= count.axes);
        every
    }

    /// Returns the columns that are not hidden, in order: axes, then values.
    #[must_use]
    pub fn visible(&self, count: ColumnCount) -> Vec<usize> {
        self.every(count).into_iter().filter(|column| !self.hidden.contains(column)).collect()
    }

    /// Returns the column under the cursor: by default the first one of values. `None` without columns.
    #[must_use]
    pub fn cursor(&self, count: ColumnCount) -> Option<usize> {
        let visible = self.visible(count);
        let default = || visible.iter().copied().find(|&column| column >= count.axes);
        self.cursor
            .filter(|column| visible.contains(column))
            .or_else(default)
            .or_else(|| visible.first().copied())
    }

    /// Returns the number of hidden columns.
    #[must_use]
    pub fn hidden(&self) -> usize {
        self.hidden.len()
    }

    /// Puts the cursor on a column.
    pub fn select(&mut self, column: usize) {
        self.cursor = Some(column);
    }

    /// Moves the cursor to the next visible column, if there is one.
    pub fn go(&mut self, count: ColumnCount, side: Side) {
        let visible = self.visible(count);
        self.cursor = self.cursor(count).and_then(|at| beside(&visible, at, side)).or(self.cursor);
    }

    /// Hides the column under the cursor, and puts the cursor on the next one. Returns the hidden column; `None` if it
    /// is the last visible one of values.
    pub fn hide(&mut self, count: ColumnCount) -> Option<usize> {
        let (visible, column) = (self.visible(count), self.cursor(count)?);
        let is_value = |column: &usize| *column >= count.axes;
        if is_value(&column) && visible.iter().filter(|column| is_value(column)).count() == 1 {
            return None;
        }
        self.cursor = beside(&visible, column, Side::Right).or_else(|| beside(&visible, column, Side::Left));
        self.hidden.insert(column);
        Some(column)
    }

    /// Shows all columns again, in the order of the sheet.
    pub fn reset(&mut self) {
        *self = Self { cursor: self.cursor, ..Self::default() };
    }

    /// Moves the column under the cursor past the next visible one. Returns the moved column; `None` if it is the
    /// first or the last one among the axes, or among the values.
    pub fn shift(&mut self, count: ColumnCount, side: Side) -> Option<usize> {
        let column = self.cursor(count)?;
        let other = beside(&self.visible(count), column, side)?;
        if (column < count.axes) != (other < count.axes) {
            return None;
        }
        let mut order = self.every(count);
        let place = |order: &[usize], wanted: usize| order.iter().position(|&at| at == wanted);
        let from = place(&order, column)?;
        order.remove(from);
        let to = place(&order, other)? + usize::from(side == Side::Right);
        order.insert(to, column);
        (self.order, self.cursor) = (order, Some(column));
        Some(column)
    }
}

/// Returns the neighbour of a column.
fn beside(columns: &[usize], column: usize, side: Side) -> Option<usize> {
    let at = columns.iter().position(|&other| other == column)?;
    let next = match side {
        Side::Left => at.checked_sub(1)?,
        Side::Right => at + 1,
    };
    columns.get(next).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two axes and three values.
    const COUNT: ColumnCount = ColumnCount { axes: 2, all: 5 };

    #[test]
    fn the_cursor_starts_at_the_values_and_stays_inside() {
        let mut order = ColumnOrder::default();
        assert_eq!(order.cursor(COUNT), Some(2));
        for expected in [1, 0, 0] {
            order.go(COUNT, Side::Left);
            assert_eq!(order.cursor(COUNT), Some(expected));
        }
        for expected in [1, 2, 3, 4, 4] {
            order.go(COUNT, Side::Right);
            assert_eq!(order.cursor(COUNT), Some(expected));
        }
        assert_eq!(order.cursor(ColumnCount { axes: 0, all: 0 }), None);
        assert_eq!(order.cursor(ColumnCount { axes: 1, all: 2 }), Some(1), "a list with fewer columns");
    }

    #[test]
    fn columns_are_hidden_but_for_the_last_value() {
        let mut order = ColumnOrder::default();
        assert_eq!(order.hide(COUNT), Some(2));
        assert_eq!((order.visible(COUNT), order.cursor(COUNT)), (vec![0, 1, 3, 4], Some(3)));
        assert_eq!(order.hide(COUNT), Some(3));
        assert_eq!(order.hide(COUNT), None);
        order.select(0);
        assert_eq!((order.hide(COUNT), order.visible(COUNT), order.hidden()), (Some(0), vec![1, 4], 3));
        order.reset();
        assert_eq!((order.visible(COUNT), order.hidden()), (vec![0, 1, 2, 3, 4], 0));
    }

    #[test]
    fn columns_move_among_their_kind_past_hidden_ones() {
        let mut order = ColumnOrder::default();
        assert_eq!(order.shift(COUNT, Side::Left), None, "a value stays behind the axes");
        order.select(3);
        order.hide(COUNT);
        order.select(2);
        assert_eq!(order.shift(COUNT, Side::Right), Some(2));
        assert_eq!((order.visible(COUNT), order.cursor(COUNT)), (vec![0, 1, 4, 2], Some(2)));
        assert_eq!(order.shift(COUNT, Side::Right), None);
        order.select(1);
        assert_eq!(order.shift(COUNT, Side::Left), Some(1));
        assert_eq!(order.visible(COUNT), [1, 0, 4, 2]);
        assert_eq!(order.shift(COUNT, Side::Left), None);
    }
}
