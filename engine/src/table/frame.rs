//! The rows behind a table: one per point of its axes, with the values of its expressions.
//! Knows nothing of how rows are grouped.

use std::collections::{BTreeMap, HashMap};

use super::results::Results;
use crate::graph::Graph;
use crate::graph::points::Points;
use crate::ops::Ops;
use crate::spec::expression::{Evaluator, Expression};
use crate::spec::table::Table;

/// The most points that one table may span.
pub const MOST_ROWS: usize = 10_000_000;

/// The rows behind a table.
pub struct Frame {
    /// The points that the rows are for.
    pub points: Points,
    /// The rows left by the table's filter.
    pub rows: Vec<Row>,
    /// Rows left out because a result they need is not there.
    pub missing: usize,
}

/// One row.
pub struct Row {
    /// Its point.
    pub point: usize,
    /// One value per expression; none where it is undefined.
    pub values: Vec<Option<f64>>,
}

impl Frame {
    /// Evaluates expressions at every point of a table's axes; the error names the expression that does not fit.
    pub fn new<O: Ops>(
        graph: &Graph<O>,
        results: &Results,
        table: &Table,
        expressions: &[&Expression],
    ) -> Result<Self, String> {
        let experiment = &graph.experiment;
        let axes = table.axes(&experiment.axes, &experiment.nodes);
        let points = Points::enumerate(&axes, &experiment.axes, &experiment.only, MOST_ROWS)
            .map_err(|_| format!("table `{}` spans more than {MOST_ROWS} points", table.name))?;
        let evaluator = Evaluator::new();
        let (mut rows, mut missing) = (vec![], 0);
        for point in 0..points.len() {
            let at = At { graph, results, points: &points, point };
            if let Some(filter) = &table.filter {
                match at.variables(filter) {
                    None => {
                        missing += 1;
                        continue;
                    }
                    Some(variables) => {
                        let truth = evaluator.truth(filter, variables);
                        if !truth.map_err(|error| format!("`{}`: {error}", filter.text))? {
                            continue;
                        }
                    }
                }
            }
            let values = expressions
                .iter()
                .map(|expression| match at.variables(expression) {
                    None => Ok(None),
                    Some(variables) => {
                        let number = evaluator.number(expression, variables);
                        number.map(Some).map_err(|error| format!("`{}`: {error}", expression.text))
                    }
                })
                .collect::<Result<Vec<_>, _>>()?;
            missing += usize::from(values.iter().all(Option::is_none));
            rows.push(Row { point, values });
        }
        Ok(Self { points, rows, missing })
    }
}

/// A point with all that expressions may refer to there.
struct At<'a, O: Ops> {
    graph: &'a Graph<O>,
    results: &'a Results,
    points: &'a Points,
    point: usize,
}

impl<O: Ops> At<'_, O> {
    /// Returns the values of the names in an expression; none if a metric is not there.
    fn variables(&self, expression: &Expression) -> Option<Vec<(String, cel::Value)>> {
        let experiment = &self.graph.experiment;
        let mut variables = vec![];
        let mut metrics: BTreeMap<&str, HashMap<String, cel::Value>> = BTreeMap::new();
        for reference in &expression.references {
            if let Some(axis) = experiment.axes.iter().position(|axis| axis.name == reference.root) {
                let level = self.points.level(self.point, axis)?;
                variables.push((reference.root.clone(), experiment.axes[axis].cel(level)));
                continue;
            }
            let node = experiment.nodes.iter().position(|node| node.name == reference.root)?;
            let point = self.graph.steps[node].points.project(self.points, self.point)?;
            let member = reference.member.clone()?;
            let value = *self.results.of(self.graph.task(node, point))?.get(&member)?;
            metrics.entry(&reference.root).or_default().insert(member, cel::Value::Float(value));
        }
        let nodes = metrics.into_iter().map(|(name, metrics)| (name.to_owned(), cel::Value::from(metrics)));
        variables.extend(nodes);
        Some(variables)
    }
}
