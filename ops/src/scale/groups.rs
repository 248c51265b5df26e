//! The groups of a tensor that share a scale: consecutive elements, in their order.
//! Knows nothing of scales and weights.

use std::ops::Range;

use super::Per;

/// The division of a tensor into groups: rows, each cut into blocks; the last block of a row may be shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScaleGroups {
    elements: usize,
    row: usize,
    block: usize,
}

impl ScaleGroups {
    /// Returns the groups of a tensor.
    #[must_use]
    pub fn new(per: Per, shape: &[usize]) -> Self {
        let elements: usize = shape.iter().product();
        let row = match shape {
            [] | [_] => elements,
            [_, rest @ ..] => rest.iter().product(),
        };
        let (row, block) = match per {
            Per::Tensor => (elements, elements),
            Per::Channel => (row, row),
            Per::Block(block) => (row, block),
        };
        Self { elements, row: row.max(1), block: block.max(1) }
    }

    /// Returns the number of groups; 0 for a tensor without elements.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shape().iter().product()
    }

    /// Returns the number of rows, and the number of groups in each.
    #[must_use]
    pub fn shape(&self) -> [usize; 2] {
        [self.elements / self.row, self.row.div_ceil(self.block)]
    }

    /// Returns the number of elements in a group; the last group of a row may have fewer.
    #[must_use]
    pub fn block(&self) -> usize {
        self.block
    }

    /// Returns the group of an element.
    #[must_use]
    pub fn group_of(&self, element: usize) -> usize {
        let [_, of_row] = self.shape();
        element / self.row * of_row + element % self.row / self.block
    }

    /// Returns the range of elements of each group.
    pub fn ranges(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let Self { elements, row, block } = *self;
        (0..elements).step_by(row).flat_map(move |start| {
            (start..start + row).step_by(block).map(move |from| from..(from + block).min(start + row))
        })
    }

    /// Returns the groups of a slice that holds the tensor, each with the position of its first element.
    pub(crate) fn split<'a>(
        &self,
        slice: &'a mut [f32],
    ) -> impl Iterator<Item = (u64, &'a mut [f32])> + use<'a> {
        let block = self.block;
        slice.chunks_mut(self.row).zip((0..).step_by(self.row)).flat_map(move |(row, start)| {
            row.chunks_mut(block).zip((start..).step_by(block)).map(|(group, first)| (first, group))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::single_range_in_vec_init, reason = "one group is a list of one range")]
    fn groups_are_rows_and_blocks_within_them() {
        let check = |per, shape: &[usize], expected: &[Range<usize>]| {
            let groups = ScaleGroups::new(per, shape);
            assert_eq!(groups.ranges().collect::<Vec<_>>(), expected, "{per:?} of {shape:?}");
            assert_eq!(groups.count(), expected.len());
            let mut slice = vec![0.0; shape.iter().product()];
            let split: Vec<_> = groups.split(&mut slice).map(|(first, group)| (first, group.len())).collect();
            let same: Vec<_> = expected.iter().map(|range| (range.start as u64, range.len())).collect();
            assert_eq!(split, same);
        };
        check(Per::Tensor, &[2, 5], &[0..10]);
        check(Per::Channel, &[2, 5], &[0..5, 5..10]);
        check(Per::Channel, &[2, 2, 3], &[0..6, 6..12]);
        check(Per::Channel, &[7], &[0..7]);
        check(Per::Block(3), &[2, 5], &[0..3, 3..5, 5..8, 8..10]);
        check(Per::Block(4), &[2, 2, 2], &[0..4, 4..8]);
        check(Per::Block(4), &[6], &[0..4, 4..6]);
        check(Per::Block(100), &[2, 2], &[0..2, 2..4]);
        check(Per::Block(4), &[0, 3], &[]);
        check(Per::Tensor, &[3, 0], &[]);
    }
}
