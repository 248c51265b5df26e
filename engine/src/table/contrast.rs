//! What the levels of an axis do to a value, and what those of two axes do to each other's effect.
//! Each effect is taken within a unit of replication first, so that what units have in common cancels.

use std::collections::BTreeMap;

use super::cell::{Cell, Term, estimate};
use super::group::Point;
use crate::spec::axis::Axis;
use crate::spec::table::Table;

/// A weighted sum over the levels of the axes that are compared.
pub(super) struct Effect {
    /// What it is called.
    pub(super) heading: String,
    /// The levels of those axes, in their order, and the weight of the cell there.
    weights: Vec<(Vec<usize>, f64)>,
}

/// Returns the effects of one or two axes: of each level against the first, in the mean over the levels of the other
/// axis; then how much of an effect is due to both (their interaction).
pub(super) fn effects(between: &[usize], axes: &[Axis]) -> Vec<Effect> {
    let levels = |axis: usize| axes[axis].levels.len();
    let label = |axis: usize, level: usize| axes[axis].levels[level].label.as_str();
    let against = |axis: usize, level: usize| format!("{} − {}", label(axis, level), label(axis, 0));
    let (mut effects, mut both) = (vec![], vec![]);
    match *between {
        [one] => {
            for level in 1..levels(one) {
                let heading = format!("{}: {}", axes[one].name, against(one, level));
                effects.push(Effect { heading, weights: vec![(vec![level], 1.0), (vec![0], -1.0)] });
            }
        }
        [one, two] => {
            for (at, axis, other) in [(0, one, two), (1, two, one)] {
                let share = 1.0 / levels(other) as f64;
                let place =
                    |own: usize, beside: usize| if at == 0 { vec![own, beside] } else { vec![beside, own] };
                for level in 1..levels(axis) {
                    let pair = |beside| [(place(level, beside), share), (place(0, beside), -share)];
                    let heading = format!("{}: {}", axes[axis].name, against(axis, level));
                    effects.push(Effect { heading, weights: (0..levels(other)).flat_map(pair).collect() });
                }
            }
            for (a, b) in (1..levels(one)).flat_map(|a| (1..levels(two)).map(move |b| (a, b))) {
                let heading = format!(
                    "{} × {}: ({}) × ({})",
                    axes[one].name,
                    axes[two].name,
                    against(one, a),
                    against(two, b)
                );
                let weights =
                    vec![(vec![a, b], 1.0), (vec![0, b], -1.0), (vec![a, 0], -1.0), (vec![0, 0], 1.0)];
                both.push(Effect { heading, weights });
            }
        }
        _ => {}
    }
    effects.extend(both);
    effects
}

/// Returns a point for each combination of the other axes. `cells` keep those first, then the `compared` ones.
pub(super) fn points(cells: &[Cell<'_>], compared: usize, effects: &[Effect], table: &Table) -> Vec<Point> {
    let mut groups: BTreeMap<&[usize], BTreeMap<&[usize], &Cell<'_>>> = BTreeMap::new();
    for cell in cells {
        let (rest, levels) = cell.levels.split_at(cell.levels.len() - compared);
        groups.entry(rest).or_default().insert(levels, cell);
    }
    let value = |group: &BTreeMap<&[usize], &Cell<'_>>, effect: &Effect| {
        let term = |(levels, weight): &(Vec<usize>, f64)| {
            Some(Term { weight: *weight, cell: group.get(levels.as_slice())?, value: 0 })
        };
        let terms: Vec<Term<'_, '_>> = effect.weights.iter().map(term).collect::<Option<_>>()?;
        estimate(&terms, table)
    };
    let point = |(levels, group): (&[usize], BTreeMap<_, _>)| Point {
        levels: levels.to_vec(),
        values: effects.iter().map(|effect| value(&group, effect)).collect(),
    };
    groups.into_iter().map(point).collect()
}
