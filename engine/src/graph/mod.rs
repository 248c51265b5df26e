//! The graph of tasks: every node at every point of its axes, with its resolved op and its inputs.
//! Knows nothing of results or runs.

mod expansion;
pub mod name;
pub mod points;
mod probes;
mod trial;

use std::ops::Range;
use std::path::Path;

use crate::dense::{DenseId, DenseMap, NodeId, PointId};
use crate::ops::{NodeKind, Ops};
use crate::spec::experiment::Experiment;
use crate::spec::node::{Nodes, order};
use crate::text::fault::{Fault, Faults};
use points::Points;
use probes::Probes;

/// The maximum number of tasks of one experiment, unless the user raises it.
pub const MOST_TASKS: usize = 100_000;

/// The minimum number of items per parallel batch; for smaller batches a second thread does not pay.
pub(crate) const MIN_BATCH: usize = 256;

/// A task, as its index among all tasks of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(u32);

impl TaskId {
    pub(crate) fn from_index(index: usize) -> Self {
        Self(index as u32)
    }

    /// Returns the index.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The tasks of an experiment.
pub struct TaskGraph<O: Ops> {
    /// The experiment that the tasks belong to.
    pub experiment: Experiment,
    /// The text of the experiment, as read.
    pub text: String,
    /// The file that the text was read from, if the caller sets it; it distinguishes experiments of the same name.
    pub file: Option<String>,
    /// One step per node, in the order of the file.
    pub node_tasks: DenseMap<NodeId, NodeTasks<O>>,
    /// The warnings about ops and their inputs, a sentence each.
    pub warnings: Vec<String>,
    /// The steps in topological order: each step follows its inputs.
    pub order: Vec<NodeId>,
}

/// The tasks of one node.
pub struct NodeTasks<O: Ops> {
    /// The points of the node's axes; the tasks have the same order.
    pub points: Points,
    /// The resolved ops of the node, each once.
    pub resolved_ops: Vec<ResolvedOp<O>>,
    first: u32,
    resolved_of: DenseMap<PointId, u32>,
    /// The point of each input, per task, in the order of the node's inputs.
    inputs: Vec<PointId>,
    /// The probes of its tasks; `None` if its kind has none.
    probes: Option<Probes>,
}

/// An op with its parameters resolved, shared by the tasks that differ in their inputs only.
pub struct ResolvedOp<O: Ops> {
    /// The op.
    pub op: O::Op,
    /// The op's name in the preimage.
    pub name: &'static str,
    /// The op's version.
    pub version: u32,
    /// All parameters that affect the result, as canonical JSON (RFC 8785).
    pub params: String,
    /// The parts that the op reads, as pairs of the input's index and the part's name.
    pub reads: Vec<(usize, &'static str)>,
    /// Whether the store keeps the artifact unless the file says otherwise.
    pub is_kept: bool,
}

impl<O: Ops> ResolvedOp<O> {
    /// Returns whether the op reads an input of its node.
    #[must_use]
    pub fn reads_input(&self, input: usize) -> bool {
        self.reads.iter().any(|(place, _)| *place == input)
    }
}

impl<O: Ops> TaskGraph<O> {
    /// Parses an experiment and expands it into tasks; the error contains every fault found.
    pub fn parse(text: &str, ops: &O, most: usize) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let Some(mut experiment) = Experiment::parse(text, ops.kinds(), &mut faults) else {
            return Err(faults.into_sorted());
        };
        let expanded = expansion::expand(&mut experiment, ops, most, &mut faults);
        let Some((steps, warnings)) = expanded.filter(|_| faults.is_empty()) else {
            return Err(faults.into_sorted());
        };
        let mut order = order(&experiment.nodes);
        let depths = depths(&experiment.nodes, &order);
        // Nodes of the same depth keep the order of the file.
        order.sort_by_key(|&node| (depths[node], node));
        Ok(Self { experiment, text: text.to_owned(), file: None, node_tasks: steps, warnings, order })
    }

    /// Returns the number of tasks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.node_tasks.iter().map(|step| step.points.len()).sum()
    }

    /// Returns whether the graph has no task.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns all tasks, node by node.
    pub fn tasks(&self) -> impl Iterator<Item = TaskId> + use<O> {
        (0..self.len() as u32).map(TaskId)
    }

    /// Returns the tasks of a node.
    pub fn tasks_of(&self, node: NodeId) -> impl Iterator<Item = TaskId> + use<O> {
        let Range { start, end } = self.range(node);
        (start..end).map(TaskId)
    }

    /// Returns the node of a task.
    #[must_use]
    pub fn node(&self, task: TaskId) -> NodeId {
        NodeId::from_index(self.node_tasks.partition_point(|step| {
            step.first <= task.0 && step.first as usize + step.points.len() <= task.index()
        }))
    }

    /// Returns a task's node and its point of that node.
    #[must_use]
    pub fn place(&self, task: TaskId) -> (NodeId, PointId) {
        let node = self.node(task);
        (node, PointId::from_index((task.0 - self.node_tasks[node].first) as usize))
    }

    /// Returns the task of a node at one of its points.
    #[must_use]
    pub fn task(&self, node: NodeId, point: PointId) -> TaskId {
        TaskId(self.node_tasks[node].first + point.index() as u32)
    }

    /// Returns the kind of a task's node.
    #[must_use]
    pub fn kind(&self, task: TaskId) -> &'static NodeKind {
        self.experiment.nodes[self.node(task)].kind
    }

    /// Returns the resolved op of a task.
    #[must_use]
    pub fn resolved_op(&self, task: TaskId) -> &ResolvedOp<O> {
        let (node, point) = self.place(task);
        let step = &self.node_tasks[node];
        &step.resolved_ops[step.resolved_of[point] as usize]
    }

    /// Returns whether the store keeps a task's artifact.
    #[must_use]
    pub fn keeps(&self, task: TaskId) -> bool {
        self.experiment.nodes[self.node(task)].keep.unwrap_or_else(|| self.resolved_op(task).is_kept)
    }

    /// Returns the tasks that a task reads: its inputs in the order of its node's, then its probes.
    #[must_use]
    pub fn inputs(&self, task: TaskId) -> Vec<TaskId> {
        let mut inputs = self.named_inputs(task);
        inputs.extend(self.probes(task).into_iter().flatten());
        inputs
    }

    /// Returns the probes of a task, in the order of [`Ops::probes`]; `None` if they are not known.
    #[must_use]
    pub fn probes(&self, task: TaskId) -> Option<Vec<TaskId>> {
        let (node, point) = self.place(task);
        let Some(probes) = &self.node_tasks[node].probes else { return Some(vec![]) };
        let ids = probes.of[point].as_ref()?;
        probes.node.map(|node| ids.iter().map(|&at| self.task(node, at)).collect())
    }

    /// Returns the label of a task that is a probe: its value on the axis of probes.
    #[must_use]
    pub fn label_of_probe(&self, task: TaskId) -> &str {
        self.point(task).last().map_or("", |(_, label)| label)
    }

    /// Returns the tasks of the inputs that a task reads, in the order of its node's inputs.
    fn named_inputs(&self, task: TaskId) -> Vec<TaskId> {
        let (node, point) = self.place(task);
        let nodes = &self.experiment.nodes[node].inputs;
        let points = self.node_tasks[node].inputs_of(point, nodes.len());
        let work = self.resolved_op(task);
        let inputs = nodes.iter().zip(points).enumerate().filter(|(place, _)| work.reads_input(*place));
        inputs.map(|(_, (&input, &at))| self.task(input, at)).collect()
    }

    /// Returns the port of a task's artifact; `None` if an input's port is not known.
    #[must_use]
    pub fn port(&self, task: TaskId, ops: &O) -> Option<O::Port> {
        let inputs: Option<Vec<O::Port>> =
            self.named_inputs(task).into_iter().map(|input| self.port(input, ops)).collect();
        ops.port(&self.resolved_op(task).op, &inputs?.iter().collect::<Vec<_>>()).ok()
    }

    /// Returns the depth of each task: the length of the longest path from a task without inputs.
    #[must_use]
    pub fn depths(&self) -> Vec<u32> {
        let of_node = depths(&self.experiment.nodes, &self.order);
        self.tasks().map(|task| of_node[self.node(task)]).collect()
    }

    fn range(&self, node: NodeId) -> Range<u32> {
        let step = &self.node_tasks[node];
        step.first..step.first + step.points.len() as u32
    }
}

impl<O: Ops> NodeTasks<O> {
    /// Returns the point of each of the node's `count` inputs.
    fn inputs_of(&self, point: PointId, count: usize) -> &[PointId] {
        &self.inputs[point.index() * count..][..count]
    }
}

/// Returns the folder that relative paths in an experiment file start from.
#[must_use]
pub fn base_of(file: &Path) -> &Path {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn depths(nodes: &Nodes, order: &[NodeId]) -> DenseMap<NodeId, u32> {
    let mut depths = DenseMap::from(vec![0_u32; nodes.len()]);
    for &node in order {
        depths[node] = nodes[node].reads().map(|input| depths[input] + 1).max().unwrap_or(0);
    }
    depths
}
