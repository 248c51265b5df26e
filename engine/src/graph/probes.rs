//! The probes of an experiment: tasks that the file does not name. An op whose kind has probes reads a number from each of
//! them, beside its inputs. The engine adds a node of probes for each such node, with one task per distinct probe and inputs.
//! Knows no op.

use std::collections::HashMap;
use std::sync::Arc;

use super::expansion::{Ports, resolve_op};
use super::points::Points;
use super::{NodeTasks, ResolvedOp};
use crate::dense::{AxisId, DenseId, DenseMap, NodeId, PointId};
use crate::ops::{NodeKind, Ops, Probe};
use crate::spec::axis::Axis;
use crate::spec::experiment::Experiment;
use crate::spec::node::Node;
use crate::text::fault::Faults;

/// The name of the axis of probes. Names in a file begin with a small letter, so no axis of the file has it.
const AXIS: &str = "Probe";

/// The probes of a node's tasks.
pub(super) struct Probes {
    /// The node that has them; `None` if none is known.
    pub(super) node: Option<NodeId>,
    /// The probes of each task, in the order of [`Ops::probes`]; `None` while they are not known.
    pub(super) of: DenseMap<PointId, Option<Arc<[PointId]>>>,
}

/// Adds the nodes of probes behind those of the file, with their tasks and the axis that tells them apart.
pub(super) fn add_probes<O: Ops>(
    experiment: &mut Experiment,
    tasks: &mut DenseMap<NodeId, NodeTasks<O>>,
    ops: &O,
    ports: &Ports<O>,
    faults: &mut Faults,
) {
    let probed = |node: &Node| node.kind.probe;
    let nodes: Vec<(NodeId, &'static NodeKind)> =
        experiment.nodes.pairs().filter_map(|(at, node)| Some((at, probed(node)?))).collect();
    let drafts: Vec<ProbeDraft<O>> = nodes
        .iter()
        .map(|&(at, kind)| ProbeDraft::new(experiment, at, kind, &tasks[at], ops, ports, faults))
        .collect();
    let mut labels: Vec<String> = vec![];
    let mut levels: HashMap<String, usize> = HashMap::new();
    for label in drafts.iter().flat_map(|draft| &draft.labels) {
        if !levels.contains_key(label) {
            levels.insert(label.clone(), labels.len());
            labels.push(label.clone());
        }
    }
    let axis = AxisId::from_index(experiment.axes.len());
    if !labels.is_empty() {
        experiment.axes.push(Axis::of_probes(AXIS, &labels));
    }
    for draft in drafts {
        draft.finish(experiment, tasks, axis, &levels, faults);
    }
}

/// The probes of a task by their numbers; `None` while they are not known.
type ProbeList = Option<Arc<[u32]>>;

/// The probes of a node before their points are numbered.
struct ProbeDraft<O: Ops> {
    node: NodeId,
    kind: &'static NodeKind,
    /// The axes on which the probes or their inputs depend.
    axes: Vec<AxisId>,
    /// The probes, each once; tasks of different inputs share them.
    resolved: Vec<ResolvedOp<O>>,
    /// The label of each of them.
    labels: Vec<String>,
    /// The probes of each task of the node, by their places in `resolved`; `None` while they are not known.
    of: DenseMap<PointId, ProbeList>,
}

impl<O: Ops> ProbeDraft<O> {
    fn new(
        experiment: &Experiment,
        at: NodeId,
        kind: &'static NodeKind,
        tasks: &NodeTasks<O>,
        ops: &O,
        ports: &Ports<O>,
        faults: &mut Faults,
    ) -> Self {
        let node = &experiment.nodes[at];
        let (mut resolved, mut labels): (Vec<ResolvedOp<O>>, Vec<String>) = (vec![], vec![]);
        let mut numbers: HashMap<(String, String), u32> = HashMap::new();
        // By the op and the ports of its inputs.
        let mut lists: HashMap<(u32, Vec<O::Port>), ProbeList> = HashMap::new();
        let mut list = |point: PointId| {
            let inputs = node.inputs.iter().zip(tasks.inputs_of(point, node.inputs.len()));
            let inputs: Option<Vec<O::Port>> =
                inputs.map(|(&input, &point)| ports.of(input, point).cloned()).collect();
            let combination = (tasks.resolved_of[point], inputs?);
            if let Some(known) = lists.get(&combination) {
                return known.clone();
            }
            let op = &tasks.resolved_ops[combination.0 as usize].op;
            let probes = ops.probes(op, &combination.1.iter().collect::<Vec<_>>());
            let mut number = |Probe { label, op }: Probe<O::Op>| {
                let resolved_op = resolve_op(node.span, op, kind, ops, faults)?;
                let identity = format!("{} {} {}", resolved_op.name, resolved_op.version, resolved_op.params);
                let next = resolved.len() as u32;
                let number = *numbers.entry((label.clone(), identity)).or_insert(next);
                if number == next {
                    resolved.push(resolved_op);
                    labels.push(label);
                }
                Some(number)
            };
            let list: ProbeList = probes.and_then(|probes| probes.into_iter().map(&mut number).collect());
            lists.insert(combination, list.clone());
            list
        };
        let of: DenseMap<PointId, ProbeList> = tasks.points.ids().map(&mut list).collect();
        let axes = needed_axes(experiment, at, &tasks.points, &of);
        Self { node: at, kind, axes, resolved, labels, of }
    }

    /// Adds the node and its tasks. A node without known probes has none.
    fn finish(
        self,
        experiment: &mut Experiment,
        tasks: &mut DenseMap<NodeId, NodeTasks<O>>,
        axis: AxisId,
        levels: &HashMap<String, usize>,
        faults: &mut Faults,
    ) {
        let Self { node: at, kind, axes, resolved, labels, of } = self;
        let owner = &tasks[at];
        let group = |point: PointId| owner.points.agreement(point, &axes);
        // The first task of the node in each group shares its probes with the others.
        let mut first: HashMap<u64, PointId> = HashMap::new();
        for point in owner.points.ids() {
            first.entry(group(point)).or_insert(point);
        }
        // Each probe of each group: a task of the group, and the number of the probe.
        let mut drafts: Vec<(PointId, u32)> = first
            .values()
            .flat_map(|&point| {
                of[point].iter().flat_map(|list| list.iter()).map(move |probe| (point, *probe))
            })
            .collect();
        let place = |(point, probe): &(PointId, u32)| (*point, levels[&labels[*probe as usize]]);
        let Some(points) = owner.points.beside(&axes, (axis, levels.len()), &mut drafts, place) else {
            let hint = "shorten an axis";
            faults.add(
                experiment.nodes[at].span,
                "its axes have too many combinations to number its probes",
                hint,
            );
            return;
        };
        let ids: HashMap<(u64, u32), PointId> = drafts
            .iter()
            .zip(points.ids())
            .map(|((point, probe), id)| ((group(*point), *probe), id))
            .collect();
        let mut shared: HashMap<u64, Option<Arc<[PointId]>>> = HashMap::new();
        let of: DenseMap<PointId, Option<Arc<[PointId]>>> = of
            .pairs()
            .map(|(point, list)| {
                let group = group(point);
                let ids =
                    || list.as_ref().map(|list| list.iter().map(|probe| ids[&(group, *probe)]).collect());
                shared.entry(group).or_insert_with(ids).clone()
            })
            .collect();
        let node = &experiment.nodes[at];
        let count = node.inputs.len();
        let added = Node {
            name: format!("{}.probe", node.name),
            span: node.span,
            kind,
            value: node.value.clone(),
            keep: None,
            inputs: node.inputs.clone(),
            input_spans: node.input_spans.clone(),
            own_axes: vec![axis],
            axes: points.axes.clone(),
            probes: None,
        };
        let own = NodeTasks {
            points,
            resolved_ops: resolved,
            first: tasks.last().map_or(0, |last| last.first + last.points.len() as u32),
            resolved_of: drafts.iter().map(|(_, probe)| *probe).collect(),
            inputs: drafts.iter().flat_map(|(point, _)| owner.inputs_of(*point, count).to_vec()).collect(),
            probes: None,
        };
        let node = (!drafts.is_empty()).then(|| NodeId::from_index(tasks.len()));
        tasks[at].probes = Some(Probes { node, of });
        if node.is_some() {
            tasks.push(own);
            experiment.nodes.push(added);
            experiment.nodes[at].probes = node;
        }
    }
}

/// Returns the axes of a node on which its probes or their inputs depend: points that agree on them have the same probes.
fn needed_axes(
    experiment: &Experiment,
    node: NodeId,
    points: &Points,
    of: &DenseMap<PointId, ProbeList>,
) -> Vec<AxisId> {
    let node = &experiment.nodes[node];
    let mut axes = node.axes.clone();
    let of_inputs: Vec<AxisId> =
        node.inputs.iter().flat_map(|&input| experiment.nodes[input].axes.clone()).collect();
    for axis in node.axes.iter().filter(|axis| !of_inputs.contains(axis)) {
        let without: Vec<AxisId> = axes.iter().copied().filter(|other| other != axis).collect();
        let mut groups: HashMap<u64, &ProbeList> = HashMap::new();
        let is_same = |point: PointId| {
            **groups.entry(points.agreement(point, &without)).or_insert(&of[point]) == of[point]
        };
        if points.ids().all(is_same) {
            axes = without;
        }
    }
    axes
}
