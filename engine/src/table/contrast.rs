//! The effects of the levels of one or two axes on a value, and their interactions.
//! Each effect is computed within each unit of replication first, so that the common part of a unit cancels. Knows
//! nothing of how effects are shown.

use std::collections::{BTreeMap, BTreeSet};

use super::cell::{Origin, PointRows, WeightedValue, estimate};
use super::points::TablePoint;
use super::rows::Rows;
use crate::dense::AxisId;
use crate::spec::axis::Axes;
use crate::spec::table::Table;

/// A weighted sum over the levels of the axes that are compared.
pub(super) struct Effect {
    /// The heading of the effect.
    pub(super) heading: String,
    /// The levels of the compared axes, in their order, with the weight of that cell.
    weights: Vec<(Vec<usize>, f64)>,
}

/// Returns the levels of each axis that the filter leaves, or may leave once all results are known.
pub(super) fn compared(rows_of_table: &Rows, between: &[AxisId]) -> Vec<Vec<usize>> {
    let points = || {
        rows_of_table
            .rows
            .iter()
            .map(|row| row.point)
            .chain(rows_of_table.undecided.iter().map(|of| of.point))
    };
    let of = |&axis: &AxisId| points().filter_map(|point| rows_of_table.points.level(point, axis)).collect();
    between.iter().map(of).map(|levels: BTreeSet<usize>| levels.into_iter().collect()).collect()
}

/// Returns the effects of one or two axes at these levels: the main effects of every level against the first,
/// averaged over the levels of the other axis, then the interactions.
pub(super) fn effects(between: &[AxisId], levels: &[Vec<usize>], axes: &Axes) -> Vec<Effect> {
    let name = |axis: AxisId| axes[axis].name.as_str();
    let label = |axis: AxisId, level: usize| axes[axis].levels[level].label.as_str();
    let against = |axis: AxisId, (level, first): (usize, usize)| {
        format!("{} − {}", label(axis, level), label(axis, first))
    };
    let mut effects = vec![];
    for (at, (&axis, own)) in between.iter().zip(levels).enumerate() {
        // With one axis there is one cell per level.
        let beside = levels.get(1 - at);
        for pair in against_first(own) {
            let heading = format!("{}: {}", name(axis), against(axis, pair));
            effects.push(Effect { heading, weights: main_effect(pair, at, beside) });
        }
    }
    let ([one, two], [of_one, of_two]) = (between, levels) else { return effects };
    for a in against_first(of_one) {
        for b in against_first(of_two) {
            let parts = (against(*one, a), against(*two, b));
            let heading = format!("{} × {}: ({}) × ({})", name(*one), name(*two), parts.0, parts.1);
            let weights = vec![
                (vec![a.0, b.0], 1.0),
                (vec![a.1, b.0], -1.0),
                (vec![a.0, b.1], -1.0),
                (vec![a.1, b.1], 1.0),
            ];
            effects.push(Effect { heading, weights });
        }
    }
    effects
}

/// Returns the weights of the difference between a level and the first, averaged over the levels of the other axis;
/// `at` is the index of the axis.
fn main_effect(
    (level, first): (usize, usize),
    at: usize,
    beside: Option<&Vec<usize>>,
) -> Vec<(Vec<usize>, f64)> {
    let Some(beside) = beside else { return vec![(vec![level], 1.0), (vec![first], -1.0)] };
    let share = 1.0 / beside.len() as f64;
    let place = |own: usize, other: usize| if at == 0 { vec![own, other] } else { vec![other, own] };
    beside.iter().flat_map(|&other| [(place(level, other), share), (place(first, other), -share)]).collect()
}

/// Pairs each level with the first.
fn against_first(levels: &[usize]) -> impl Iterator<Item = (usize, usize)> {
    let first = levels.first().copied().unwrap_or_default();
    levels.iter().skip(1).map(move |&level| (level, first))
}

/// Returns a point for each combination of the other axes. The levels of `cells` start with those axes and end with
/// the `compared` ones.
pub(super) fn points(
    cells: &[PointRows<'_>],
    compared: usize,
    effects: &[Effect],
    table: &Table,
) -> Vec<TablePoint> {
    let value = |group: &Compared<'_, '_>, effect: &Effect| {
        let term = |(levels, weight): &(Vec<usize>, f64)| {
            Some(WeightedValue { weight: *weight, cell: group.get(levels.as_slice())?, value: 0 })
        };
        let terms: Vec<WeightedValue<'_, '_>> = effect.weights.iter().map(term).collect::<Option<_>>()?;
        estimate(&terms, table)
    };
    let point = |(levels, group): (&[usize], Compared<'_, '_>)| TablePoint {
        levels: levels.to_vec(),
        values: effects.iter().map(|effect| value(&group, effect)).collect(),
        units: vec![],
        is_failed: group.values().any(|cell| cell.has_failures()),
    };
    grouped(cells, compared).into_iter().map(point).collect()
}

/// Returns the origins of each effect of each point.
pub(super) fn origins(cells: &[PointRows<'_>], compared: usize, effects: &[Effect]) -> Vec<Vec<Origin>> {
    let origin = |group: &Compared<'_, '_>, effect: &Effect| {
        let cells = effect.weights.iter().filter_map(|(levels, _)| group.get(levels.as_slice()));
        cells.flat_map(|cell| cell.origin()).collect()
    };
    let origins = |group: Compared<'_, '_>| effects.iter().map(|effect| origin(&group, effect)).collect();
    grouped(cells, compared).into_values().map(origins).collect()
}

/// The cells of one point by the levels of the compared axes.
type Compared<'c, 'f> = BTreeMap<&'c [usize], &'c PointRows<'f>>;

/// Gathers cells by the levels of the axes that are not compared.
fn grouped<'c, 'f>(cells: &'c [PointRows<'f>], compared: usize) -> BTreeMap<&'c [usize], Compared<'c, 'f>> {
    let mut groups: BTreeMap<&[usize], Compared<'_, '_>> = BTreeMap::new();
    for cell in cells {
        let (rest, levels) = cell.levels.split_at(cell.levels.len() - compared);
        groups.entry(rest).or_default().insert(levels, cell);
    }
    groups
}
