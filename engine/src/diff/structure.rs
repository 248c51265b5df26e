//! The changes of an experiment's file: axes, constraints, nodes, tables.
//! Ignores comments, order, labels and the experiment's name. Knows nothing of results.

use serde::Serialize;

use super::fields::{FieldDifference, Tasks, differing};
use super::tables::are_alike;
use super::{Apart, ComparedExperiment};
use crate::ops::Ops;
use crate::spec::axis::Axis;

/// The differences between two experiments as written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Structure {
    /// The axes whose values differ, and those in one experiment only.
    pub axes: Vec<AxisChange>,
    /// The constraints in one experiment only.
    pub only: Apart,
    /// The nodes in one experiment only.
    pub nodes: Apart,
    /// The nodes of both experiments whose fields differ.
    pub fields: Vec<NodeFields>,
    /// The tables in one experiment only.
    pub tables: Apart,
    /// The names of tables in both experiments with different contents.
    pub asked_otherwise: Vec<String>,
}

/// An axis that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AxisChange {
    /// Its name.
    pub axis: String,
    /// Whether both experiments have the axis.
    pub is_shared: bool,
    /// The labels of the values in one experiment only.
    pub values: Apart,
}

/// A node that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeFields {
    /// Its name.
    pub node: String,
    /// The fields that differ.
    pub fields: Vec<FieldDifference>,
}

impl Structure {
    /// Compares the parameters of two experiments.
    pub(super) fn between<O: Ops>(from: &ComparedExperiment<'_, O>, to: &ComparedExperiment<'_, O>) -> Self {
        let [one, other] = [from, to].map(|side| &side.graph.experiment);
        let named = |names: Vec<&String>| names.into_iter().cloned().collect::<Vec<_>>();
        let apart = |one: Vec<&String>, other| Apart::between(&named(one), &named(other));
        let asked_otherwise = one.tables.iter().filter(|table| {
            let same = other.tables.iter().find(|of| of.name == table.name);
            same.is_some_and(|of| !are_alike((from, table), (to, of)))
        });
        Self {
            axes: axes(&one.written_axes().collect::<Vec<_>>(), &other.written_axes().collect::<Vec<_>>()),
            only: apart(
                one.only.iter().map(|of| &of.text).collect(),
                other.only.iter().map(|of| &of.text).collect(),
            ),
            nodes: apart(
                one.nodes.iter().map(|node| &node.name).collect(),
                other.nodes.iter().map(|node| &node.name).collect(),
            ),
            fields: fields(from, to),
            tables: apart(
                one.tables.iter().map(|table| &table.name).collect(),
                other.tables.iter().map(|table| &table.name).collect(),
            ),
            asked_otherwise: asked_otherwise.map(|table| table.name.clone()).collect(),
        }
    }

    /// Returns whether there is no difference.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let apart = [&self.only, &self.nodes, &self.tables];
        self.axes.is_empty()
            && self.fields.is_empty()
            && self.asked_otherwise.is_empty()
            && apart.iter().all(|apart| apart.is_empty())
    }
}

fn axes(from: &[&Axis], to: &[&Axis]) -> Vec<AxisChange> {
    let without = |axis: &Axis, other: Option<&Axis>| -> Vec<String> {
        let texts: Vec<String> =
            other.iter().flat_map(|axis| &axis.levels).map(|level| level.value.to_string()).collect();
        let alone = axis.levels.iter().filter(|level| !texts.contains(&level.value.to_string()));
        alone.map(|level| level.label.clone()).collect()
    };
    let find = |axes: &'_ [&Axis], name: &str| axes.iter().position(|axis| axis.name == name);
    let mut found = vec![];
    for axis in from {
        let other = find(to, &axis.name).map(|at| to[at]);
        let values = Apart {
            from: without(axis, other),
            to: other.map_or(vec![], |other| without(other, Some(axis))),
        };
        found.push(AxisChange { axis: axis.name.clone(), is_shared: other.is_some(), values });
    }
    for axis in to.iter().filter(|axis| find(from, &axis.name).is_none()) {
        let values = Apart { from: vec![], to: without(axis, None) };
        found.push(AxisChange { axis: axis.name.clone(), is_shared: false, values });
    }
    found.retain(|change| !change.values.is_empty());
    found
}

/// Returns the nodes of both experiments whose fields differ at points that agree on the common axes.
fn fields<O: Ops>(from: &ComparedExperiment<'_, O>, to: &ComparedExperiment<'_, O>) -> Vec<NodeFields> {
    let mut found = vec![];
    for (at, node) in from.graph.experiment.nodes.pairs() {
        let Some(other) = to.node(&node.name) else { continue };
        let [one, other] = [(from, at), (to, other)].map(|(side, node)| Tasks::all(side, node));
        let fields = differing(&one, &other, &one.axes_with(&other));
        if !fields.is_empty() {
            found.push(NodeFields { node: node.name.clone(), fields });
        }
    }
    found
}
