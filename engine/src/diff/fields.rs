//! The fields in which nodes differ: resolved parameters, wiring, and digests of source files.
//! Knows nothing of results; a change of an input node's content belongs to the input node.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::Serialize;

use super::ComparedExperiment;
use crate::dense::NodeId;
use crate::graph::TaskId;
use crate::ops::Ops;
use crate::plan::PreimageState;
use crate::preimage;

/// A field with its values on both sides, as JSON; an empty list if the field is absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldDifference {
    /// The name: `epochs`, `format.m`.
    pub field: String,
    /// The values in the first.
    pub from: Vec<String>,
    /// The values in the second.
    pub to: Vec<String>,
}

/// A selection of tasks of one node.
pub(super) struct Tasks<'t, O: Ops> {
    pub(super) side: &'t ComparedExperiment<'t, O>,
    pub(super) node: NodeId,
    pub(super) ids: Vec<TaskId>,
}

/// The values of each field, over all tasks at one point.
type Sets = BTreeMap<String, BTreeSet<String>>;

/// Returns the fields that differ between tasks that agree on the named axes. If no tasks agree, all are compared.
pub(super) fn differing<O: Ops>(
    from: &Tasks<'_, O>,
    to: &Tasks<'_, O>,
    axes: &[&str],
) -> Vec<FieldDifference> {
    let [one, other] = [from, to].map(|tasks| tasks.by_point(axes));
    let pairs: Vec<(&Sets, &Sets)> =
        one.iter().filter_map(|(point, sets)| Some((sets, other.get(point)?))).collect();
    if pairs.is_empty() && !axes.is_empty() {
        return differing(from, to, &[]);
    }
    let names: BTreeSet<&String> =
        pairs.iter().flat_map(|(one, other)| one.keys().chain(other.keys())).collect();
    let differs = |name: &String| pairs.iter().any(|(one, other)| one.get(name) != other.get(name));
    let field = |name: &String| FieldDifference {
        field: name.clone(),
        from: values(name, pairs.iter().map(|(one, _)| *one)),
        to: values(name, pairs.iter().map(|(_, other)| *other)),
    };
    // A source file that is missing now is no change of the experiment.
    let is_known = |field: &FieldDifference| {
        !(field.field.starts_with("inputs.") && (field.from.is_empty() || field.to.is_empty()))
    };
    names.into_iter().filter(|name| differs(name)).map(field).filter(is_known).collect()
}

/// Returns a field's values at all points, without duplicates; numbers are sorted by size.
fn values<'s>(name: &str, points: impl Iterator<Item = &'s Sets>) -> Vec<String> {
    let all: BTreeSet<&String> = points.filter_map(|sets| sets.get(name)).flatten().collect();
    let mut all: Vec<String> = all.into_iter().cloned().collect();
    let number = |text: &String| text.parse::<f64>().unwrap_or(f64::INFINITY);
    all.sort_by(|a, b| number(a).total_cmp(&number(b)));
    all
}

impl<'t, O: Ops> Tasks<'t, O> {
    /// Selects all tasks of a node.
    pub(super) fn all(side: &'t ComparedExperiment<'t, O>, node: NodeId) -> Self {
        Self { side, node, ids: side.graph.tasks_of(node).collect() }
    }

    /// Returns the names of the axes that both nodes have and at least one of them names itself.
    pub(super) fn axes_with(&self, other: &Self) -> Vec<&'t str> {
        let [one, two] = [self, other].map(|of| &of.side.graph.experiment.nodes[of.node]);
        let [(all, own), (other_all, other_own)] = [(self, one), (other, two)]
            .map(|(of, node)| (of.side.names(&node.axes), of.side.names(&node.own_axes)));
        let both = all.into_iter().filter(|axis| other_all.contains(axis));
        both.filter(|axis| own.contains(axis) || other_own.contains(axis)).collect()
    }

    /// Gathers the fields of the tasks by their values of these axes.
    fn by_point(&self, axes: &[&str]) -> BTreeMap<Vec<String>, Sets> {
        let mut points: BTreeMap<Vec<String>, Sets> = BTreeMap::new();
        let mut seen = HashSet::new();
        for &task in &self.ids {
            let point: Vec<String> =
                axes.iter().map(|axis| self.side.value(task, axis).unwrap_or_default()).collect();
            // Tasks that differ in their inputs only share a resolved op.
            if seen.insert((point.clone(), std::ptr::from_ref(self.side.graph.resolved_op(task)))) {
                let sets = points.entry(point).or_default();
                for (field, value) in self.fields(task) {
                    sets.entry(field).or_default().insert(value);
                }
            }
        }
        points
    }

    fn fields(&self, task: TaskId) -> BTreeMap<String, String> {
        let (node, work) = (&self.side.graph.experiment.nodes[self.node], self.side.graph.resolved_op(task));
        let known =
            if node.inputs.is_empty() { self.side.planner.preimage(task, |_| None).ok() } else { None };
        let text = match known {
            Some(PreimageState::Known(text)) => text,
            _ => preimage::preimage(work.name, work.version, &work.params, &BTreeMap::new()),
        };
        let own = |(name, value): (String, String)| match name.strip_prefix("params.") {
            Some(own) => Some((own.to_owned(), value)),
            // An empty map of inputs or of parameters is no field.
            None => (name != "inputs" && name != "params").then_some((name, value)),
        };
        let mut fields: BTreeMap<String, String> =
            preimage::fields(&text).into_iter().filter_map(own).collect();
        let inputs = node.kind.all_inputs().zip(&node.inputs).enumerate();
        for (_, ((port, _), &input)) in inputs.filter(|(place, _)| work.reads_input(*place)) {
            fields.insert(port.to_owned(), format!("\"{}\"", self.side.graph.experiment.nodes[input].name));
        }
        fields.insert("keep".to_owned(), self.side.graph.keeps(task).to_string());
        fields
    }
}
