//! The rows of a table: one per point of its axes, with the values of its expressions.
//! Knows nothing of how rows are grouped.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use rayon::prelude::*;

use super::answers::Answers;
use super::error::TableError;
use super::results::Results;
use crate::dense::{DenseId, PointId};
use crate::graph::points::Points;
use crate::graph::{MIN_BATCH, TaskGraph, TaskId};
use crate::ops::{MetricRole, NodeKind, Ops};
use crate::spec::expression::{Cause, Evaluator, Expression, Unevaluated};
use crate::spec::node::with_role;
use crate::spec::table::{Interval, MOST_ROWS, Table};

/// The share of the range from chance to 1 below which an accuracy counts as near chance. With ten classes the
/// threshold is twice the chance accuracy.
const NEAR_CHANCE: f64 = 1.0 / 9.0;

/// The rows behind a table.
pub struct Rows {
    /// The points that the rows are for.
    pub points: Points,
    /// The rows that satisfy the table's filter.
    pub rows: Vec<Row>,
    /// The points at which the filter cannot be evaluated because a result is missing.
    pub undecided: Vec<UndecidedPoint>,
    /// The number of rows with a missing result, undecided points included.
    pub missing: usize,
    /// The number of those rows that miss the result of a failed task, or of a task behind one.
    pub failed: usize,
}

/// A point at which the filter cannot be evaluated.
pub struct UndecidedPoint {
    /// The point.
    pub point: PointId,
    /// Whether the result is missing because a task failed.
    pub is_failed: bool,
}

/// One row.
pub struct Row {
    /// The point of the row.
    pub point: PointId,
    /// One value per expression; `None` if it is undefined or a result is missing.
    pub values: Vec<Option<f64>>,
    /// The values image by image, for tables with intervals over images; `None` for a value that is not a weighted
    /// sum of accuracies.
    pub answers: Vec<Option<Answers>>,
    /// For each value, whether an accuracy in it is near chance.
    pub near_chance: Vec<bool>,
    /// A number that two rows share if all results behind their values come from the same records; `None` if the table
    /// makes no test.
    pub origin: Option<u64>,
    /// Whether a result that the row needs is missing.
    pub is_missing: bool,
    /// Whether the row misses a result because a task failed.
    pub is_failed: bool,
}

impl Rows {
    /// Evaluates expressions at every point of a table's axes; the error contains the expression that cannot be
    /// evaluated.
    pub fn new<O: Ops>(
        graph: &TaskGraph<O>,
        results: &Results,
        table: &Table,
        expressions: &[&Expression],
    ) -> Result<Self, TableError> {
        let experiment = &graph.experiment;
        let axes = table.axes(&experiment.axes, &experiment.nodes);
        let points = Points::enumerate(&axes, &experiment.axes, &experiment.only, MOST_ROWS)
            .map_err(|_| TableError::TooManyRows { table: table.name.clone(), most: MOST_ROWS })?;
        let row = |evaluator: &mut Evaluator, point: PointId| {
            PointScope { graph, results, points: &points, point }.row(table, expressions, evaluator)
        };
        let all = (0..points.len()).into_par_iter().with_min_len(MIN_BATCH).map(PointId::from_index);
        let read: Vec<FoundRow> = all.map_init(Evaluator::new, row).collect::<Result<_, _>>()?;
        let (mut rows, mut undecided) = (Vec::with_capacity(read.len()), vec![]);
        for (point, found) in points.ids().zip(read) {
            match found {
                FoundRow::Row(row) => rows.push(row),
                FoundRow::Missing => {
                    let scope = PointScope { graph, results, points: &points, point };
                    let is_failed = table.filter.as_ref().is_some_and(|filter| scope.has_failed(filter));
                    undecided.push(UndecidedPoint { point, is_failed });
                }
                FoundRow::LeftOut => {}
            }
        }
        let failed_points = undecided.iter().filter(|undecided| undecided.is_failed);
        let failed = failed_points.count() + rows.iter().filter(|row| row.is_failed).count();
        let missing = undecided.len() + rows.iter().filter(|row| row.is_missing).count();
        Ok(Self { points, rows, undecided, missing, failed })
    }
}

/// A point, with the graph and the results that expressions refer to.
struct PointScope<'a, O: Ops> {
    graph: &'a TaskGraph<O>,
    results: &'a Results,
    points: &'a Points,
    point: PointId,
}

/// The outcome of a table's filter and expressions at a point.
enum FoundRow {
    /// A row that the filter keeps.
    Row(Row),
    /// The filter depends on a missing result.
    Missing,
    /// The filter excludes the point.
    LeftOut,
}

/// The values of an expression's names at a point.
struct Names {
    variables: Vec<(String, cel::Value)>,
    /// The undefined metrics: their task has a result, which does not contain them.
    undefined: Vec<String>,
}

/// The outcome of an expression at a point.
enum Evaluated<T> {
    /// The value.
    Value(T),
    /// The expression depends on an undefined metric.
    Undefined,
    /// The expression depends on a task without a result.
    Missing,
}

impl<O: Ops> PointScope<'_, O> {
    /// Evaluates a table's filter and expressions at this point.
    fn row(
        &self,
        table: &Table,
        expressions: &[&Expression],
        evaluator: &Evaluator,
    ) -> Result<FoundRow, TableError> {
        if let Some(filter) = &table.filter {
            match self.evaluated(filter, None, |variables| evaluator.truth(filter, variables))? {
                Evaluated::Missing => return Ok(FoundRow::Missing),
                Evaluated::Undefined | Evaluated::Value(false) => return Ok(FoundRow::LeftOut),
                Evaluated::Value(true) => {}
            }
        }
        let value = |expression: &&Expression| self.value(expression, evaluator);
        let values = expressions.iter().map(value).collect::<Result<Vec<_>, _>>()?;
        let answers = match table.interval {
            Interval::Seeds => vec![],
            Interval::Images | Interval::Both => expressions
                .iter()
                .map(|expression| self.answers(expression, evaluator))
                .collect::<Result<_, _>>()?,
        };
        let near_chance = expressions.iter().map(|expression| self.is_near_chance(expression)).collect();
        // An undefined metric will not get a value; a missing result may still come.
        let is_missing = values.iter().any(Option::is_none) && expressions.iter().any(|of| self.lacks(of));
        let is_failed = is_missing && expressions.iter().any(|of| self.has_failed(of));
        let origin = table.kind.makes_tests().then(|| self.origin(expressions));
        let point = self.point;
        Ok(FoundRow::Row(Row { point, values, answers, near_chance, origin, is_missing, is_failed }))
    }

    /// Evaluates an expression at this point; `None` if it is undefined or a result is missing.
    fn value(&self, expression: &Expression, evaluator: &Evaluator) -> Result<Option<f64>, TableError> {
        // Most expressions are a single metric and need no evaluation.
        let plain = expression
            .plain()
            .filter(|of| self.graph.experiment.axes.iter().all(|axis| axis.name != of.root));
        if let Some((task, member)) = plain.and_then(|of| Some((self.task(&of.root)?, of.member.as_deref()?)))
        {
            return Ok(self.results.metrics(task).and_then(|metrics| metrics.get(member)).copied());
        }
        match self.evaluated(expression, None, |variables| evaluator.number(expression, variables))? {
            Evaluated::Value(number) => Ok(Some(number)),
            Evaluated::Undefined | Evaluated::Missing => Ok(None),
        }
    }

    /// Evaluates an expression at this point. `accuracy`, if given, replaces the accuracy of each node, by the node's
    /// name. The error contains the expression.
    fn evaluated<T>(
        &self,
        expression: &Expression,
        accuracy: Option<&dyn Fn(&str) -> f64>,
        evaluate: impl Fn(Vec<(String, cel::Value)>) -> Result<T, Unevaluated>,
    ) -> Result<Evaluated<T>, TableError> {
        let Some(Names { variables, undefined }) = self.names(expression, accuracy) else {
            return Ok(Evaluated::Missing);
        };
        match evaluate(variables) {
            Ok(value) => Ok(Evaluated::Value(value)),
            Err(Unevaluated { cause: Cause::Lacks(metric), .. }) if undefined.contains(&metric) => {
                Ok(Evaluated::Undefined)
            }
            Err(reason) => Err(TableError::Expression { expression: expression.text.clone(), reason }),
        }
    }

    /// Returns the values of the names in an expression; `None` while a result is missing.
    fn names(&self, expression: &Expression, accuracy: Option<&dyn Fn(&str) -> f64>) -> Option<Names> {
        let experiment = &self.graph.experiment;
        let (mut variables, mut undefined) = (vec![], vec![]);
        let mut metrics: BTreeMap<&str, HashMap<String, cel::Value>> = BTreeMap::new();
        for reference in &expression.references {
            if let Some(axis) = experiment.axes.find(|axis| axis.name == reference.root) {
                let level = self.points.level(self.point, axis)?;
                variables.push((reference.root.clone(), experiment.axes[axis].cel(level)));
                continue;
            }
            let member = reference.member.clone()?;
            let result = self.results.metrics(self.task(&reference.root)?)?;
            // The map of a node exists even if all its metrics are undefined, so that `has(…)` works.
            let of_node = metrics.entry(&reference.root).or_default();
            let Some(&value) = result.get(&member) else {
                undefined.push(member);
                continue;
            };
            let is_accuracy = |_: &_| self.kind(&reference.root).has_role(&member, MetricRole::Accuracy);
            let value = accuracy.filter(is_accuracy).map_or(value, |given| given(&reference.root));
            of_node.insert(member, cel::Value::Float(value));
        }
        let nodes = metrics.into_iter().map(|(name, metrics)| (name.to_owned(), cel::Value::from(metrics)));
        variables.extend(nodes);
        Some(Names { variables, undefined })
    }

    /// Returns the task of a node at this point.
    fn task(&self, node: &str) -> Option<TaskId> {
        let node = self.graph.experiment.nodes.find(|of| of.name == node)?;
        let point = self.graph.node_tasks[node].points.project(self.points, self.point)?;
        Some(self.graph.task(node, point))
    }

    /// Returns an expression image by image; `None` if it is not a weighted sum of accuracies over the same images.
    fn answers(&self, expression: &Expression, evaluator: &Evaluator) -> Result<Option<Answers>, TableError> {
        let number = |variables| evaluator.number(expression, variables);
        let value =
            |accuracy: Option<&dyn Fn(&str) -> f64>| match self.evaluated(expression, accuracy, number)? {
                Evaluated::Value(value) => Ok::<_, TableError>(Some(value)),
                Evaluated::Undefined | Evaluated::Missing => Ok(None),
            };
        // An expression that cannot be evaluated at other accuracies is not linear; this is not an error.
        let of = |accuracy: &dyn Fn(&str) -> f64| value(Some(accuracy)).ok().flatten();
        let nodes: Vec<&str> = self.accuracies(expression).collect();
        let (Some(actual), Some(constant)) = (value(None)?, of(&|_| 0.0)) else { return Ok(None) };
        let (mut terms, mut sum, mut scale, mut images) = (vec![], constant, constant.abs(), None);
        for node in nodes {
            let is_it = |other: &str| f64::from(u8::from(other == node));
            let weight = of(&is_it).unwrap_or(f64::NAN) - constant;
            let Some(task) = self.task(node) else { return Ok(None) };
            let (Some(metrics), Some(bits)) = (self.results.metrics(task), self.results.answers(task)) else {
                return Ok(None);
            };
            let value = |role| self.kind(node).metric(role).and_then(|name| metrics.get(name)).copied();
            let total = value(MetricRole::Total).map_or(0, |total| total as usize);
            if *images.get_or_insert(total) != total {
                return Ok(None);
            }
            let term = weight * value(MetricRole::Accuracy).unwrap_or(f64::NAN);
            (sum, scale) = (sum + term, scale + term.abs());
            terms.push((weight, bits.clone()));
        }
        // An expression that is not linear in the accuracies is not a mean over images.
        let is_linear = (sum - actual).abs() <= 1e-9 * scale.max(actual.abs());
        Ok(images.filter(|_| is_linear).map(|images| Answers { constant, terms, images }))
    }

    /// Returns a number that two points share if the results that expressions name come from the same records, and the
    /// axes that they name have the same levels.
    fn origin(&self, expressions: &[&Expression]) -> u64 {
        let mut hasher = DefaultHasher::new();
        for reference in expressions.iter().flat_map(|expression| &expression.references) {
            let axis = self.graph.experiment.axes.find(|axis| axis.name == reference.root);
            axis.map(|axis| self.points.level(self.point, axis)).hash(&mut hasher);
            self.task(&reference.root).and_then(|task| self.results.record(task)).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Returns whether a task that an expression names has no result.
    fn lacks(&self, expression: &Expression) -> bool {
        let nodes = &self.graph.experiment.nodes;
        let named = expression.references.iter().filter(|of| nodes.iter().any(|node| node.name == of.root));
        named
            .map(|of| self.task(&of.root))
            .any(|task| task.is_none_or(|task| self.results.metrics(task).is_none()))
    }

    /// Returns whether a task that an expression names has no result because a task failed.
    fn has_failed(&self, expression: &Expression) -> bool {
        let mut tasks = expression.references.iter().filter_map(|of| self.task(&of.root));
        tasks.any(|task| self.results.is_failed(task))
    }

    /// Returns whether an accuracy in the expression is near chance.
    fn is_near_chance(&self, expression: &Expression) -> bool {
        self.accuracies(expression).any(|node| {
            let metrics = self.task(node).and_then(|task| self.results.metrics(task));
            let value = |role| {
                metrics.zip(self.kind(node).metric(role)).and_then(|(all, name)| all.get(name).copied())
            };
            let known = value(MetricRole::Accuracy).zip(value(MetricRole::Chance));
            known.is_some_and(|(accuracy, chance)| accuracy < chance + NEAR_CHANCE * (1.0 - chance))
        })
    }

    /// Returns the kind of a node that an expression names.
    fn kind(&self, node: &str) -> &'static NodeKind {
        let nodes = &self.graph.experiment.nodes;
        nodes.iter().find(|of| of.name == node).map_or(&NodeKind::NONE, |node| node.kind)
    }

    /// Returns the nodes whose accuracy occurs in an expression.
    fn accuracies<'e>(&'e self, expression: &'e Expression) -> impl Iterator<Item = &'e str> {
        let named = with_role(expression, &self.graph.experiment.nodes, MetricRole::Accuracy);
        named.map(|reference| reference.root.as_str())
    }
}
