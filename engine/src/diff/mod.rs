//! What differs between two experiments, or two points of one: parameters, tasks, and values with their noise.
//! Runs nothing; knows nothing of how it is shown.

pub mod delta;
pub mod error;
pub mod fields;
pub mod points;
pub mod structure;
pub mod tables;
pub mod tasks;

use error::DiffError;
use serde::Serialize;

use crate::graph::{TaskGraph, TaskId};
use crate::ops::Ops;
use crate::plan::{Plan, Planner};
use crate::table::results::Results;
use structure::Structure;
use tables::TableDiff;
use tasks::NodeTaskCounts;

/// An experiment with what is known of it.
pub struct ComparedExperiment<'s, O: Ops> {
    /// Its tasks.
    pub graph: &'s TaskGraph<O>,
    /// What planned them; it knows what source files hold.
    pub planner: &'s Planner<'s, O>,
    /// Their states.
    pub plan: &'s Plan,
    /// Their metrics.
    pub results: &'s Results,
}

/// What only one of two experiments has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Apart {
    /// Only the first.
    pub from: Vec<String>,
    /// Only the second.
    pub to: Vec<String>,
}

/// What differs between two experiments.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Their parameters.
    pub structure: Structure,
    /// Their tasks, by node.
    pub tasks: Vec<NodeTaskCounts>,
    /// The tables that both have.
    pub tables: Vec<TableDiff>,
}

impl Comparison {
    /// Compares two experiments; the error says which expression of a table does not fit.
    pub fn between<O: Ops>(
        from: &ComparedExperiment<'_, O>,
        to: &ComparedExperiment<'_, O>,
    ) -> Result<Self, DiffError> {
        Ok(Self {
            structure: Structure::between(from, to),
            tasks: tasks::between(from, to),
            tables: tables::between(from, to)?,
        })
    }
}

impl Apart {
    /// Sorts out what only one of two lists has, in the order of the lists.
    #[must_use]
    pub fn between(from: &[String], to: &[String]) -> Self {
        let without = |of: &[String], other: &[String]| {
            of.iter().filter(|item| !other.contains(item)).cloned().collect()
        };
        Self { from: without(from, to), to: without(to, from) }
    }

    /// Returns whether both have the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.from.is_empty() && self.to.is_empty()
    }
}

impl<O: Ops> ComparedExperiment<'_, O> {
    /// Returns a task's value of an axis as text, if its node has that axis.
    fn value(&self, task: TaskId, axis: &str) -> Option<String> {
        let (node, point) = self.graph.place(task);
        let at = self.graph.experiment.axes.iter().position(|of| of.name == axis)?;
        let level = self.graph.steps[node].points.level(point, at)?;
        Some(self.graph.experiment.axes[at].levels[level].value.to_string())
    }

    /// Returns the place of a node.
    fn node(&self, name: &str) -> Option<usize> {
        self.graph.experiment.nodes.iter().position(|node| node.name == name)
    }

    /// Returns the names of axes.
    fn names(&self, axes: &[usize]) -> Vec<&str> {
        axes.iter().map(|&axis| self.graph.experiment.axes[axis].name.as_str()).collect()
    }
}
