//! The trial of table expressions before anything runs: at combinations of axis values, with made-up metrics.
//! Knows no result.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::NodeTasks;
use super::points::{Points, TooMany};
use crate::dense::{AxisId, DenseMap, NodeId, PointId};
use crate::ops::Ops;
use crate::spec::experiment::Experiment;
use crate::spec::expression::{Cause, Evaluator, Expression, Unevaluated};
use crate::spec::table::{MOST_ROWS, Table};
use crate::text::fault::Faults;

/// The maximum number of combinations of axis values at which one expression is evaluated.
const MOST_COMBINATIONS: usize = 10_000;

/// The rounds of a trial: each maps the index of a metric, scaled to 0 to 1, to a made-up value. An expression over
/// metrics is a fault only if it fails in all rounds, because a condition on a metric may guard the failing part.
/// Equal, unequal, ascending and descending metrics decide most conditions both ways.
const ROUNDS: [fn(f64) -> f64; 6] =
    [|_| 0.5, |place| place, |place| 1.0 - place, |_| 0.0, |_| -1e300, |_| 1e300];

/// Reports each expression that fails at some point of its table, once, with the point.
pub(super) fn try_out<O: Ops>(
    experiment: &Experiment,
    steps: &DenseMap<NodeId, NodeTasks<O>>,
    faults: &mut Faults,
) {
    if !experiment.axes.iter().all(crate::spec::axis::Axis::is_readable) {
        return;
    }
    for table in &experiment.tables {
        let axes = table.axes(&experiment.axes, &experiment.nodes);
        // Most tables span the axes of one node.
        let known = steps.iter().map(|step| &step.points).find(|points| points.axes == axes);
        let points = match known.filter(|points| points.len() <= MOST_ROWS) {
            Some(points) => Ok(Cow::Borrowed(points)),
            None => Points::enumerate(&axes, &experiment.axes, &experiment.only, MOST_ROWS).map(Cow::Owned),
        };
        let (message, hint) = match points {
            Ok(points) => {
                Trial { experiment, points: &points, evaluator: Evaluator::new() }.try_table(table, faults);
                continue;
            }
            Err(TooMany::Points(count)) => (
                format!("table `{}` has {count} rows, more than the {MOST_ROWS} allowed", table.name),
                "let its values depend on fewer axes",
            ),
            Err(TooMany::Combinations(count)) => (
                format!(
                    "the axes of table `{}` have {count} combinations, too many to search for those that `only` leaves",
                    table.name
                ),
                "let its values depend on fewer axes, or constrain axes one by one: those constraints are checked first",
            ),
        };
        faults.add(table.span, message, hint);
    }
}

/// The context of a trial: the experiment, the points of a table, and an evaluator.
struct Trial<'t> {
    experiment: &'t Experiment,
    points: &'t Points,
    evaluator: Evaluator,
}

/// Whether the filter may keep a point, by the point's [`Points::agreement`] on the filter's axes.
type Kept = HashMap<u64, bool>;

impl Trial<'_> {
    fn try_table(&self, table: &Table, faults: &mut Faults) {
        let mut kept = Kept::new();
        if let Some(filter) = &table.filter {
            let axes = self.axes(filter);
            for point in self.distinct_points(&axes) {
                let tried = self.try_at(filter, point, Evaluator::truth);
                match tried {
                    Ok(truths) => drop(kept.insert(self.points.agreement(point, &axes), truths)),
                    Err(error) => return self.report(filter, &axes, point, &error, faults),
                }
            }
        }
        let filter_axes = table.filter.as_ref().map(|filter| self.axes(filter)).unwrap_or_default();
        for value in table.values() {
            let axes = self.axes(value);
            let mut wide = [axes.as_slice(), &filter_axes].concat();
            wide.sort_unstable();
            wide.dedup();
            for point in self.distinct_points(&wide) {
                let is_kept = || kept.get(&self.points.agreement(point, &filter_axes)) == Some(&true);
                if table.filter.is_some() && !is_kept() {
                    continue;
                }
                let tried = self.try_at(value, point, |evaluator, value, variables| {
                    evaluator.number(value, variables).map(|_| true)
                });
                if let Err(error) = tried {
                    self.report(value, &axes, point, &error, faults);
                    break;
                }
            }
        }
    }

    fn report(
        &self,
        expression: &Expression,
        axes: &[AxisId],
        point: PointId,
        error: &Unevaluated,
        faults: &mut Faults,
    ) {
        let level = |&axis: &AxisId| {
            let level = self.points.level(point, axis)?;
            let axis = &self.experiment.axes[axis];
            Some(format!("{}={}", axis.name, axis.levels[level].label))
        };
        let place: Vec<String> = axes.iter().filter_map(level).collect();
        let place = if place.is_empty() { String::new() } else { format!(" at {}", place.join(" ")) };
        faults.add(expression.span, format!("`{}`{place}: {error}", expression.text), "");
    }

    /// Evaluates an expression at a point, in rounds until one returns `true`; returns whether one does. The error is
    /// that of the first round, if all rounds fail and no other metric could help.
    fn try_at(
        &self,
        expression: &Expression,
        point: PointId,
        evaluate: impl Fn(&Evaluator, &Expression, Vec<(String, cel::Value)>) -> Result<bool, Unevaluated>,
    ) -> Result<bool, Unevaluated> {
        let axes = &self.experiment.axes;
        let has_metrics =
            expression.references.iter().any(|reference| axes.iter().all(|axis| axis.name != reference.root));
        let rounds = if has_metrics { ROUNDS.as_slice() } else { &ROUNDS[..1] };
        let mut first = None;
        let mut may_hold = false;
        for round in rounds {
            match evaluate(&self.evaluator, expression, self.variables(expression, point, *round)) {
                Ok(true) => return Ok(true),
                Ok(false) => may_hold = true,
                // A number that does not fit may depend on a metric, which is unknown before the run.
                Err(error) if has_metrics && error.cause == Cause::Number => may_hold = true,
                Err(error) => drop(first.get_or_insert(error)),
            }
        }
        first.filter(|_| !may_hold).map_or(Ok(false), Err)
    }

    /// Returns the variables of an expression; `metric` maps the scaled index of a metric to its value.
    fn variables(
        &self,
        expression: &Expression,
        point: PointId,
        metric: fn(f64) -> f64,
    ) -> Vec<(String, cel::Value)> {
        let mut variables = vec![];
        let mut metrics: BTreeMap<&str, HashMap<String, cel::Value>> = BTreeMap::new();
        let last = expression.references.len().saturating_sub(1).max(1) as f64;
        for (at, reference) in expression.references.iter().enumerate() {
            match self.experiment.axes.find(|axis| axis.name == reference.root) {
                Some(axis) => {
                    let level = self.points.level(point, axis).unwrap_or_default();
                    variables.push((reference.root.clone(), self.experiment.axes[axis].cel(level)));
                }
                None => {
                    let member = reference.member.clone().unwrap_or_default();
                    let value = cel::Value::Float(metric(at as f64 / last));
                    metrics.entry(&reference.root).or_default().insert(member, value);
                }
            }
        }
        variables
            .extend(metrics.into_iter().map(|(node, metrics)| (node.to_owned(), cel::Value::from(metrics))));
        variables
    }

    /// Returns the axes that an expression names.
    fn axes(&self, expression: &Expression) -> Vec<AxisId> {
        let axes = &self.experiment.axes;
        axes.ids().filter(|&axis| expression.mentions(&axes[axis].name)).collect()
    }

    /// Returns a point for each combination of these axes' levels, at most [`MOST_COMBINATIONS`].
    fn distinct_points(&self, axes: &[AxisId]) -> Vec<PointId> {
        let sizes = axes.iter().map(|&axis| self.experiment.axes[axis].levels.len());
        let all = sizes.fold(1_usize, usize::saturating_mul).min(MOST_COMBINATIONS);
        let mut seen = std::collections::HashSet::new();
        let new = |point: &PointId| seen.insert(self.points.agreement(*point, axes));
        // Once `all` combinations are found, the remaining points cannot add another.
        self.points.ids().filter(new).take(all).collect()
    }
}
