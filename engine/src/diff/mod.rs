//! The differences between two experiments, or two points of one: parameters, tasks, and values with intervals.
//! Runs nothing; knows nothing of how a difference is shown.

pub mod delta;
pub mod error;
pub mod fields;
pub mod points;
pub mod structure;
pub mod tables;
pub mod tasks;

use error::DiffError;
use serde::Serialize;

use crate::dense::{AxisId, NodeId};
use crate::graph::{TaskGraph, TaskId};
use crate::ops::Ops;
use crate::plan::{Plan, Planner};
use crate::table::results::Results;
use structure::Structure;
use tables::TableDiff;
use tasks::NodeTaskCounts;

/// An experiment with its plan and its results.
pub struct ComparedExperiment<'s, O: Ops> {
    /// The graph of its tasks.
    pub graph: &'s TaskGraph<O>,
    /// The planner of its plan, which has the digests of source files.
    pub planner: &'s Planner<'s, O>,
    /// The states of its tasks.
    pub plan: &'s Plan,
    /// The metrics of its tasks.
    pub results: &'s Results,
}

/// The items that only one of two experiments has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Apart {
    /// The items in the first only.
    pub from: Vec<String>,
    /// The items in the second only.
    pub to: Vec<String>,
}

/// The differences between two experiments.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The differences of the files.
    pub structure: Structure,
    /// The shared tasks, by node.
    pub tasks: Vec<NodeTaskCounts>,
    /// The tables that both experiments have.
    pub tables: Vec<TableDiff>,
}

impl Comparison {
    /// Compares two experiments; the error contains the table and the expression that cannot be evaluated.
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
    /// Returns the items in only one of two lists, in the order of the lists.
    #[must_use]
    pub fn between(from: &[String], to: &[String]) -> Self {
        let without = |of: &[String], other: &[String]| {
            of.iter().filter(|item| !other.contains(item)).cloned().collect()
        };
        Self { from: without(from, to), to: without(to, from) }
    }

    /// Returns whether both lists have the same items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.from.is_empty() && self.to.is_empty()
    }
}

impl<O: Ops> ComparedExperiment<'_, O> {
    /// Returns a task's value of an axis as text; `None` if its node does not have the axis.
    fn value(&self, task: TaskId, axis: &str) -> Option<String> {
        let (node, point) = self.graph.place(task);
        let at = self.graph.experiment.axes.find(|of| of.name == axis)?;
        let level = self.graph.node_tasks[node].points.level(point, at)?;
        Some(self.graph.experiment.axes[at].levels[level].value.to_string())
    }

    /// Returns the index of a node.
    fn node(&self, name: &str) -> Option<NodeId> {
        self.graph.experiment.nodes.find(|node| node.name == name)
    }

    /// Returns the names of axes.
    fn names(&self, axes: &[AxisId]) -> Vec<&str> {
        axes.iter().map(|&axis| self.graph.experiment.axes[axis].name.as_str()).collect()
    }
}
