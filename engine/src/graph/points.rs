//! The points of a node: the combinations of its axes' values that the constraints leave.
//! A point is its rank in the full product, so that points are ordered and take eight bytes.

use crate::spec::axis::Axis;
use crate::spec::constraint::Constraint;

/// The points of some axes, in order.
#[derive(Clone, Debug)]
pub struct Points {
    /// The axes, by their place in the file, ascending; the last varies fastest.
    pub axes: Vec<usize>,
    strides: Vec<u64>,
    sizes: Vec<u64>,
    ranks: Vec<u64>,
}

/// More points than were allowed: at least this many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany(pub u64);

/// Counting stops here; a larger count teaches nobody anything.
const MOST_COUNTED: u64 = 100_000_000;

impl Points {
    /// Enumerates the points that satisfy every constraint whose axes are all among `axes`.
    pub fn enumerate(
        axes: &[usize],
        all: &[Axis],
        only: &[Constraint],
        most: usize,
    ) -> Result<Self, TooMany> {
        let sizes: Vec<u64> = axes.iter().map(|&axis| all[axis].levels.len() as u64).collect();
        let product = sizes.iter().try_fold(1_u64, |product, size| product.checked_mul(*size));
        if product.is_none() {
            return Err(TooMany(u64::MAX));
        }
        let mut strides = vec![1; sizes.len()];
        for at in (1..sizes.len()).rev() {
            strides[at - 1] = strides[at] * sizes[at];
        }
        let mut points = Self { axes: axes.to_vec(), strides, sizes, ranks: vec![] };
        // A constraint is checked as soon as the last of its axes has a value.
        let checks: Vec<Vec<&Constraint>> = axes
            .iter()
            .map(|axis| {
                let here =
                    |c: &&Constraint| c.axes.last() == Some(axis) && c.axes.iter().all(|a| axes.contains(a));
                only.iter().filter(here).collect()
            })
            .collect();
        let mut count = 0;
        let mut levels = vec![0; axes.len()];
        points.descend(0, &mut levels, &checks, most as u64, &mut count);
        if count > most as u64 || count >= MOST_COUNTED { Err(TooMany(count)) } else { Ok(points) }
    }

    /// Returns the number of points.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ranks.len()
    }

    /// Returns whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranks.is_empty()
    }

    /// Returns the level of an axis at a point, if the points have that axis.
    #[must_use]
    pub fn level(&self, point: usize, axis: usize) -> Option<usize> {
        let at = self.axes.binary_search(&axis).ok()?;
        Some((self.ranks[point] / self.strides[at] % self.sizes[at]) as usize)
    }

    /// Returns a number that two points share if they agree on these axes; those that the points do not have count for
    /// nothing.
    #[must_use]
    pub fn agreement(&self, point: usize, axes: &[usize]) -> u64 {
        let places = axes.iter().filter_map(|axis| self.axes.binary_search(axis).ok());
        places.fold(0, |number, at| {
            number * self.sizes[at] + self.ranks[point] / self.strides[at] % self.sizes[at]
        })
    }

    /// Returns the point of `self` that agrees with a point of `other`, which has all axes of `self`.
    #[must_use]
    pub fn project(&self, other: &Self, point: usize) -> Option<usize> {
        if self.axes == other.axes {
            return self.ranks.binary_search(&other.ranks[point]).ok();
        }
        let mut rank = 0;
        for (axis, stride) in self.axes.iter().zip(&self.strides) {
            rank += other.level(point, *axis)? as u64 * stride;
        }
        self.ranks.binary_search(&rank).ok()
    }

    fn descend(
        &mut self,
        depth: usize,
        levels: &mut Vec<usize>,
        checks: &[Vec<&Constraint>],
        most: u64,
        count: &mut u64,
    ) {
        if depth == self.axes.len() {
            *count += 1;
            if *count <= most {
                self.ranks.push(
                    levels.iter().zip(&self.strides).map(|(&level, stride)| level as u64 * stride).sum(),
                );
            }
            return;
        }
        for level in 0..self.sizes[depth] as usize {
            levels[depth] = level;
            let axes = &self.axes;
            let place = |axis: usize| axes.binary_search(&axis).map_or(0, |at| levels[at]);
            if *count < MOST_COUNTED && checks[depth].iter().all(|constraint| constraint.holds(place)) {
                self.descend(depth + 1, levels, checks, most, count);
            }
        }
    }
}
