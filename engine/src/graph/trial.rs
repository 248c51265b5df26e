//! Tries out the expressions of tables before anything runs: at every combination of axis values, with metrics made up.
//! Knows no result.

use std::collections::{BTreeMap, HashMap};

use super::points::{Points, TooMany};
use crate::spec::experiment::Experiment;
use crate::spec::expression::{Evaluator, Expression, Unevaluated};
use crate::spec::table::Table;
use crate::table::frame::MOST_ROWS;
use crate::text::fault::Faults;

/// The most combinations of axis values that one expression is tried at.
const MOST_COMBINATIONS: usize = 10_000;

/// What metrics are made up to be. An expression that fails with one of them may be one that a condition over metrics
/// guards; an expression that fails with all of them does not fit.
const METRICS: [f64; 3] = [0.5, 0.0, 1e6];

/// Reports expressions that have no value at some point of their table, each once, with the point.
pub(super) fn try_out(experiment: &Experiment, faults: &mut Faults) {
    if !experiment.axes.iter().all(crate::spec::axis::Axis::is_readable) {
        return;
    }
    for table in &experiment.tables {
        let axes = table.axes(&experiment.axes, &experiment.nodes);
        match Points::enumerate(&axes, &experiment.axes, &experiment.only, MOST_ROWS) {
            Ok(points) => Trial { experiment, points, evaluator: Evaluator::new() }.of(table, faults),
            // Where a node spans as much, its tasks are too many already.
            Err(_)
                if experiment.nodes.iter().any(|node| axes.iter().all(|axis| node.axes.contains(axis))) => {}
            Err(TooMany::Points(count) | TooMany::Combinations(count)) => faults.add(
                table.span,
                format!("table `{}` spans {count} points, more than the {MOST_ROWS} allowed", table.name),
                "let its values depend on fewer axes",
            ),
        }
    }
}

/// What a trial of an expression needs.
struct Trial<'t> {
    experiment: &'t Experiment,
    points: Points,
    evaluator: Evaluator,
}

/// Whether a point of a table may have a row.
type Kept = HashMap<u64, bool>;

impl Trial<'_> {
    fn of(&self, table: &Table, faults: &mut Faults) {
        let mut kept = Kept::new();
        if let Some(filter) = &table.filter {
            let axes = self.axes(filter);
            for point in self.different(&axes) {
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
            for point in self.different(&wide) {
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
        axes: &[usize],
        point: usize,
        error: &Unevaluated,
        faults: &mut Faults,
    ) {
        let level = |&axis: &usize| {
            let level = self.points.level(point, axis)?;
            let axis = &self.experiment.axes[axis];
            Some(format!("{}={}", axis.name, axis.levels[level].label))
        };
        let place: Vec<String> = axes.iter().filter_map(level).collect();
        let place = if place.is_empty() { String::new() } else { format!(" at {}", place.join(" ")) };
        faults.add(expression.span, format!("`{}`{place}: {error}", expression.text), "");
    }

    /// Evaluates an expression at a point with every made-up metric; the error is that of all of them. Returns whether
    /// any of them gives `true`.
    fn try_at(
        &self,
        expression: &Expression,
        point: usize,
        evaluate: impl Fn(&Evaluator, &Expression, Vec<(String, cel::Value)>) -> Result<bool, Unevaluated>,
    ) -> Result<bool, Unevaluated> {
        let tried = METRICS
            .map(|metric| evaluate(&self.evaluator, expression, self.variables(expression, point, metric)));
        if let [Err(error), Err(_), Err(_)] = &tried {
            return Err(error.clone());
        }
        Ok(tried.into_iter().flatten().any(|truth| truth))
    }

    /// Returns the values of the names in an expression.
    fn variables(&self, expression: &Expression, point: usize, metric: f64) -> Vec<(String, cel::Value)> {
        let mut variables = vec![];
        let mut metrics: BTreeMap<&str, HashMap<String, cel::Value>> = BTreeMap::new();
        for reference in &expression.references {
            match self.experiment.axes.iter().position(|axis| axis.name == reference.root) {
                Some(axis) => {
                    let level = self.points.level(point, axis).unwrap_or_default();
                    variables.push((reference.root.clone(), self.experiment.axes[axis].cel(level)));
                }
                None => {
                    let member = reference.member.clone().unwrap_or_default();
                    metrics.entry(&reference.root).or_default().insert(member, cel::Value::Float(metric));
                }
            }
        }
        variables
            .extend(metrics.into_iter().map(|(node, metrics)| (node.to_owned(), cel::Value::from(metrics))));
        variables
    }

    /// Returns the axes that an expression names.
    fn axes(&self, expression: &Expression) -> Vec<usize> {
        let axes = &self.experiment.axes;
        (0..axes.len()).filter(|&axis| expression.mentions(&axes[axis].name)).collect()
    }

    /// Returns a point for each combination of these axes' values, up to [`MOST_COMBINATIONS`].
    fn different(&self, axes: &[usize]) -> Vec<usize> {
        let mut seen = std::collections::HashSet::new();
        let new = |point: &usize| seen.insert(self.points.agreement(*point, axes));
        (0..self.points.len()).filter(new).take(MOST_COMBINATIONS).collect()
    }
}
