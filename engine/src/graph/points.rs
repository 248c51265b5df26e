//! The points of a node: the combinations of its axes' levels that satisfy the constraints.
//! A point is stored as its rank in the full product, so points are ordered and take eight bytes each.
//! Knows no parameter and no task.

use crate::dense::{AxisId, DenseId, PointId};
use crate::spec::axis::Axes;
use crate::spec::constraint::Constraint;

/// The points of some axes, in order.
#[derive(Clone, Debug)]
pub struct Points {
    /// The axes, by their index in the file, ascending; the last varies fastest.
    pub axes: Vec<AxisId>,
    /// The levels of each axis that satisfy the constraints over that axis alone, ascending; the same in all points
    /// of an experiment.
    allowed: Vec<Vec<u32>>,
    /// The stride of each axis: the difference in rank between two neighbouring allowed levels.
    strides: Vec<u64>,
    /// The points, ascending, as ranks in the product of allowed levels.
    ranks: Vec<u64>,
}

/// The reason that points cannot be enumerated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TooMany {
    /// The number of points, which is more than allowed.
    Points(u128),
    /// The number of combinations, which is too large to search for points.
    Combinations(u128),
}

/// The maximum number of combinations that are searched; it takes about half a second.
const MOST_COMBINATIONS: u64 = 50_000_000;

impl Points {
    /// Enumerates the points that satisfy every constraint whose axes are all among `axes`; more than `most` points
    /// are an error.
    pub fn enumerate(axes: &[AxisId], all: &Axes, only: &[Constraint], most: usize) -> Result<Self, TooMany> {
        let search = PointSearch::new(axes, all, only);
        let sizes = search.allowed.iter().map(|levels| levels.len().max(1) as u64);
        let mut strides = vec![];
        let product = sizes.rev().try_fold(1_u64, |stride, size| {
            strides.insert(0, stride);
            stride.checked_mul(size)
        });
        product.ok_or(TooMany::Combinations(search.combinations()))?;
        let parts: Vec<GroupPoints> = search
            .groups()
            .iter()
            .map(|group| search.part(group, &strides, most))
            .collect::<Result<_, _>>()?;
        let free = || (0..axes.len()).filter(|at| search.is_free(*at));
        let counts = parts.iter().map(|part| u128::from(part.count));
        let count: u128 = counts.chain(free().map(|at| search.allowed[at].len() as u128)).product();
        if count > most as u128 {
            return Err(TooMany::Points(count));
        }
        let mut ranks = vec![0];
        if count == 0 {
            ranks.clear();
        }
        for at in free() {
            let own: Vec<u64> = (0..search.allowed[at].len() as u64).map(|rank| rank * strides[at]).collect();
            ranks = sums(&ranks, &own);
        }
        for part in &parts {
            ranks = sums(&ranks, &part.ranks);
        }
        ranks.sort_unstable();
        let PointSearch { allowed, .. } = search;
        Ok(Self { axes: axes.to_vec(), allowed, strides, ranks })
    }

    /// Returns points of some of the axes, with another axis behind them: `place` has a point of `self` for each of `items`, and
    /// its level on the other axis, of so many. Sorts the items into the order of the points. `None` if there are more
    /// combinations than ranks.
    pub fn beside<T>(
        &self,
        axes: &[AxisId],
        (other, levels): (AxisId, usize),
        items: &mut [T],
        place: impl Fn(&T) -> (PointId, usize),
    ) -> Option<Self> {
        let own: Vec<usize> = axes.iter().filter_map(|axis| self.axes.binary_search(axis).ok()).collect();
        let mut strides = vec![1_u64];
        let sizes = own.iter().map(|&at| self.allowed[at].len()).skip(1).chain([levels]);
        for size in sizes.collect::<Vec<_>>().into_iter().rev().take(own.len()) {
            strides.insert(0, strides[0].checked_mul(size.max(1) as u64)?);
        }
        let rank = |item: &T| {
            let (point, level) = place(item);
            let shares = own.iter().map(|&at| self.share(point, at)).chain([level as u64]);
            shares.zip(&strides).map(|(share, stride)| share * stride).sum::<u64>()
        };
        // The greatest rank fits as well.
        strides[0].checked_mul(own.first().map_or(levels, |&at| self.allowed[at].len()).max(1) as u64)?;
        items.sort_by_key(rank);
        let allowed = own.iter().map(|&at| self.allowed[at].clone()).chain([(0..levels as u32).collect()]);
        Some(Self {
            axes: axes.iter().copied().chain([other]).collect(),
            allowed: allowed.collect(),
            ranks: items.iter().map(rank).collect(),
            strides,
        })
    }

    /// Returns the number of points.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ranks.len()
    }

    /// Returns the ids of all points, in order.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = PointId> + use<> {
        (0..self.len()).map(PointId::from_index)
    }

    /// Returns whether there is no point.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranks.is_empty()
    }

    /// Returns the level of an axis at a point; `None` if the points do not have that axis.
    #[must_use]
    pub fn level(&self, point: PointId, axis: AxisId) -> Option<usize> {
        let at = self.axes.binary_search(&axis).ok()?;
        Some(self.allowed[at][self.share(point, at) as usize] as usize)
    }

    /// Returns the index of a point's level among the allowed levels; `at` is the index of the axis in these points.
    fn share(&self, point: PointId, at: usize) -> u64 {
        self.ranks[point.index()] / self.strides[at] % self.allowed[at].len() as u64
    }

    /// Returns a number that two points share if and only if they agree on these axes; axes that the points lack are
    /// ignored.
    #[must_use]
    pub fn agreement(&self, point: PointId, axes: &[AxisId]) -> u64 {
        let places = axes.iter().filter_map(|axis| self.axes.binary_search(axis).ok());
        places.fold(0, |number, at| number * self.allowed[at].len() as u64 + self.share(point, at))
    }

    /// Returns the point of `self` that agrees with a point of `other`, which has all axes of `self`.
    #[must_use]
    pub fn project(&self, other: &Self, point: PointId) -> Option<PointId> {
        if self.axes == other.axes {
            return self.place_of(other.ranks[point.index()]);
        }
        let mut rank = 0;
        for (axis, stride) in self.axes.iter().zip(&self.strides) {
            rank += other.share(point, other.axes.binary_search(axis).ok()?) * stride;
        }
        self.place_of(rank)
    }

    fn place_of(&self, rank: u64) -> Option<PointId> {
        self.ranks.binary_search(&rank).ok().map(PointId::from_index)
    }
}

/// Returns every sum of one number from each list.
fn sums(one: &[u64], other: &[u64]) -> Vec<u64> {
    one.iter().flat_map(|a| other.iter().map(move |b| a + b)).collect()
}

/// The search for the combinations of levels that satisfy the constraints. Groups of axes that no constraint connects
/// are searched separately: the points are the product of the groups' combinations.
struct PointSearch<'s> {
    axes: &'s [AxisId],
    /// The constraints over two or more of the axes.
    constraints: Vec<&'s Constraint>,
    /// The levels of each axis that satisfy the constraints over that axis alone.
    allowed: Vec<Vec<u32>>,
}

/// The combinations of a group of axes.
struct GroupPoints {
    /// The number of combinations.
    count: u64,
    /// The contributions of the combinations to the rank; complete only if the number is within the limit.
    ranks: Vec<u64>,
}

impl<'s> PointSearch<'s> {
    fn new(axes: &'s [AxisId], all: &Axes, only: &'s [Constraint]) -> Self {
        let counts = only.iter().filter(|constraint| constraint.axes.iter().all(|axis| axes.contains(axis)));
        let (single, constraints): (Vec<_>, Vec<_>) =
            counts.partition(|constraint| constraint.axes.len() == 1);
        let allowed = |&axis: &AxisId| {
            let own: Vec<_> = single.iter().filter(|constraint| constraint.axes[0] == axis).collect();
            let holds = |level: &u32| own.iter().all(|constraint| constraint.holds(|_| *level as usize));
            (0..all[axis].levels.len() as u32).filter(holds).collect()
        };
        Self { axes, constraints, allowed: axes.iter().map(allowed).collect() }
    }

    /// Returns the number of combinations of allowed levels.
    fn combinations(&self) -> u128 {
        self.allowed.iter().fold(1, |product: u128, levels| product.saturating_mul(levels.len() as u128))
    }

    /// Returns whether no constraint connects this axis with another.
    fn is_free(&self, at: usize) -> bool {
        !self.constraints.iter().any(|constraint| constraint.axes.contains(&self.axes[at]))
    }

    /// Returns the connected axes, group by group, each in the order of search: the group starts with the axis of the
    /// fewest levels; each next axis completes the most constraints.
    fn groups(&self) -> Vec<Vec<usize>> {
        let mut left: Vec<usize> = (0..self.axes.len()).filter(|&at| !self.is_free(at)).collect();
        left.sort_by_key(|&at| (self.allowed[at].len(), at));
        let mut groups = vec![];
        while !left.is_empty() {
            let mut group = vec![left.remove(0)];
            while let Some(next) = self.next(&group, &left) {
                group.push(left.remove(next));
            }
            groups.push(group);
        }
        groups
    }

    /// Returns the next axis for a group, as an index into `left`; `None` if no constraint connects one with the
    /// group.
    fn next(&self, group: &[usize], left: &[usize]) -> Option<usize> {
        let value = |at: usize| {
            let with = |axis: &AxisId| {
                *axis == self.axes[at] || group.iter().any(|&in_it| self.axes[in_it] == *axis)
            };
            let own =
                || self.constraints.iter().filter(|constraint| constraint.axes.contains(&self.axes[at]));
            let connected = own().any(|of| group.iter().any(|&in_it| of.axes.contains(&self.axes[in_it])));
            connected.then(|| own().filter(|constraint| constraint.axes.iter().all(with)).count())
        };
        let valued = left.iter().enumerate().filter_map(|(place, &at)| Some((value(at)?, place)));
        // Ties go to the axis with the fewest levels, which comes first.
        valued.max_by_key(|&(value, place)| (value, std::cmp::Reverse(place))).map(|(_, place)| place)
    }

    /// Searches the combinations of a group of axes.
    fn part(&self, group: &[usize], strides: &[u64], most: usize) -> Result<GroupPoints, TooMany> {
        // A constraint is checked as soon as the last of its axes has a level.
        let checks = (0..group.len()).map(|depth| {
            let axis = |place: usize| self.axes[group[place]];
            let is_due = |constraint: &&&Constraint| {
                let known = |of: &AxisId| (0..=depth).any(|place| axis(place) == *of);
                constraint.axes.contains(&axis(depth)) && constraint.axes.iter().all(known)
            };
            self.constraints.iter().filter(is_due).copied().collect()
        });
        let checks: Vec<Vec<&Constraint>> = checks.collect();
        let mut levels = vec![0_usize; self.axes.len()];
        let mut walk =
            Walk { search: self, group, checks: &checks, strides, most: most as u64, looked_at: 0 };
        let mut part = GroupPoints { count: 0, ranks: vec![] };
        walk.descend(0, 0, &mut levels, &mut part)?;
        Ok(part)
    }
}

/// The state of the depth-first search through the combinations of a group.
struct Walk<'w> {
    search: &'w PointSearch<'w>,
    group: &'w [usize],
    checks: &'w [Vec<&'w Constraint>],
    strides: &'w [u64],
    most: u64,
    looked_at: u64,
}

impl Walk<'_> {
    fn descend(
        &mut self,
        depth: usize,
        rank: u64,
        levels: &mut [usize],
        part: &mut GroupPoints,
    ) -> Result<(), TooMany> {
        let Some(&at) = self.group.get(depth) else {
            part.count += 1;
            if part.count <= self.most {
                part.ranks.push(rank);
            }
            return Ok(());
        };
        let search = self.search;
        for (share, &level) in search.allowed[at].iter().enumerate() {
            self.looked_at += 1;
            if self.looked_at > MOST_COMBINATIONS {
                return Err(TooMany::Combinations(search.combinations()));
            }
            levels[at] = level as usize;
            let place = |axis: AxisId| search.axes.binary_search(&axis).map_or(0, |at| levels[at]);
            if self.checks[depth].iter().all(|constraint| constraint.holds(place)) {
                self.descend(depth + 1, rank + share as u64 * self.strides[at], levels, part)?;
            }
        }
        Ok(())
    }
}
