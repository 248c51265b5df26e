//! The expansion of an experiment into tasks: every node at every point of its axes. Each op is read once per
//! combination of its parameters; the inputs of each task are found and checked.
//! Knows no result.

use std::cmp::Reverse;
use std::collections::HashMap;

use rayon::prelude::*;

use super::points::{Points, TooMany};
use super::probes::add_probes;
use super::{MIN_BATCH, NodeTasks, ResolvedOp, trial};
use crate::dense::{DenseId, DenseMap, NodeId, PointId};
use crate::ops::{Identity, Keeping, Misfit, NodeKind, Ops, PathStep};
use crate::preimage::canonical;
use crate::spec::experiment::Experiment;
use crate::spec::node::{Node, order};
use crate::text::fault::{Faults, Span};
use crate::text::fields::Fields;
use crate::text::value::{Value, ValueKind};

/// The steps of an experiment, and the warnings about them.
pub(super) type Expanded<O> = (DenseMap<NodeId, NodeTasks<O>>, Vec<String>);

/// Expands an experiment into one step per node, and reports every fault of its parameters, sizes and inputs; returns
/// `None` after a fault. An experiment of more than `most` tasks is a fault. Adds the nodes of probes to the experiment.
pub(super) fn expand<O: Ops>(
    experiment: &mut Experiment,
    ops: &O,
    most: usize,
    faults: &mut Faults,
) -> Option<Expanded<O>> {
    // Table expressions are evaluated at the values of axes, so those must be free of faults.
    let is_sane = faults.is_empty();
    let mut steps = read_node_tasks(experiment, ops, most, faults)?;
    if is_sane {
        trial::try_out(experiment, &steps, faults);
    }
    if !faults.is_empty() {
        return None;
    }
    for (at, node) in experiment.nodes.pairs() {
        steps[at].inputs = find_inputs(node, &steps[at].points, &steps);
    }
    check_optional_inputs(experiment, &steps, faults);
    if !faults.is_empty() {
        return None;
    }
    let (ports, warnings) = check_ports(experiment, &steps, ops, faults);
    if faults.is_empty() {
        add_probes(experiment, &mut steps, ops, &ports, faults);
        let total: usize = steps.iter().map(|step| step.points.len()).sum();
        if total > most {
            let node = experiment.nodes.iter().find(|node| node.probes.is_some());
            let span = node.map_or(Span::default(), |node| node.span);
            report_too_many(span, total as u128, most, faults);
        }
    }
    Some((steps, warnings))
}

/// Enumerates the points of every node and reads its resolved ops; returns `None` if there are too many points.
fn read_node_tasks<O: Ops>(
    experiment: &Experiment,
    ops: &O,
    most: usize,
    faults: &mut Faults,
) -> Option<DenseMap<NodeId, NodeTasks<O>>> {
    let mut steps: DenseMap<NodeId, NodeTasks<O>> = DenseMap::default();
    let mut total = 0_u128;
    let (mut largest, mut empty) = (None, None);
    // With faults in the names, the number of tasks may be wrong and is not reported. Parameters are still read, so
    // that all their faults come together.
    let named = faults.is_empty();
    for node in &experiment.nodes {
        // Nodes with the same axes have the same points.
        let known = steps.iter().find(|step| step.points.axes == node.axes).map(|step| step.points.clone());
        let points =
            known.map_or_else(|| Points::enumerate(&node.axes, &experiment.axes, &experiment.only, most), Ok);
        match points {
            Ok(points) => {
                empty = empty.or(points.is_empty().then_some(node));
                total += points.len() as u128;
                let (works, work_of) = read_resolved_ops(node, &points, experiment, ops, faults);
                let first = steps.last().map_or(0, |step| step.first + step.points.len() as u32);
                steps.push(NodeTasks {
                    points,
                    resolved_ops: works,
                    first,
                    resolved_of: work_of,
                    inputs: vec![],
                    probes: None,
                });
            }
            Err(TooMany::Points(count)) => {
                total = total.saturating_add(count);
                largest = largest.max(Some((count, Reverse(node.span))));
            }
            // The search is over its limit, and every further node could take as long.
            Err(TooMany::Combinations(count)) => {
                if named {
                    report_combinations(node, count, faults);
                }
                return None;
            }
        }
    }
    if let (true, Some(node)) = (named, empty) {
        report_empty(experiment, node, faults);
    }
    if total <= most as u128 {
        return Some(steps);
    }
    if named {
        let first = experiment.nodes.first().map_or(Span::default(), |node| node.span);
        report_too_many(largest.map_or(first, |(_, span)| span.0), total, most, faults);
    }
    None
}

fn report_too_many(span: Span, count: u128, most: usize, faults: &mut Faults) {
    faults.add(
        span,
        format!("this experiment has {count} tasks, more than the {most} allowed"),
        "shorten an axis, add a constraint to `only`, or raise the cap with `--max-tasks`",
    );
}

fn report_combinations(node: &Node, count: u128, faults: &mut Faults) {
    faults.add(
        node.span,
        format!(
            "the axes of node `{}` have {count} combinations, too many to search for those that `only` leaves",
            node.name
        ),
        "shorten an axis, or constrain axes one by one: those constraints are checked first",
    );
}

/// Reports a node without a task. The fault is at the constraints: they leave no combination.
fn report_empty(experiment: &Experiment, node: &Node, faults: &mut Faults) {
    let named: Vec<String> =
        node.axes.iter().map(|&axis| format!("`{}`", experiment.axes[axis].name)).collect();
    faults.add(
        experiment.only.first().map_or(node.span, |constraint| constraint.span),
        format!("`only` leaves no combination of {} for node `{}`", named.join(", "), node.name),
        "let the constraints hold for some combination of the axes' values",
    );
}

/// Reads the op once per combination of the axes that the node's own parameters name. Returns the resolved ops, and
/// the index of the resolved op of each point.
fn read_resolved_ops<O: Ops>(
    node: &Node,
    points: &Points,
    experiment: &Experiment,
    ops: &O,
    faults: &mut Faults,
) -> (Vec<ResolvedOp<O>>, DenseMap<PointId, u32>) {
    let (first, work_of) = distinct_combinations(node, points);
    let sane = faults.is_empty();
    let read = |point: &PointId| {
        let mut faults = Faults::default();
        let value = written(node, points, *point, experiment);
        // An unknown axis is already reported; the other parameters are still read.
        let value = if sane { value } else { value.without_axes() };
        let work = read_resolved_op(node, &value, ops, &mut faults);
        (work, faults)
    };
    let read: Vec<(Option<ResolvedOp<O>>, Faults)> =
        first.par_iter().with_min_len(MIN_BATCH).map(read).collect();
    let mut works = Vec::with_capacity(read.len());
    for (work, found) in read {
        // A fault prevents the use of the whole graph, so the numbers of the remaining resolved ops do not matter.
        works.extend(work);
        faults.extend(found.into_sorted());
    }
    (works, work_of)
}

/// Numbers the different combinations of the axes that the node's own parameters name, in the order of their first
/// points. Returns the first point of each combination, and the combination of each point.
fn distinct_combinations(node: &Node, points: &Points) -> (Vec<PointId>, DenseMap<PointId, u32>) {
    if node.own_axes == points.axes {
        // Each point is a combination of its own.
        return (points.ids().collect(), (0..points.len() as u32).collect());
    }
    let mut seen: HashMap<u64, u32> = HashMap::new();
    let mut first = vec![];
    let number = |point| {
        *seen.entry(points.agreement(point, &node.own_axes)).or_insert_with(|| {
            first.push(point);
            first.len() as u32 - 1
        })
    };
    let numbers = points.ids().map(number).collect();
    (first, numbers)
}

/// Returns a node's value with every `Axis(…)` replaced by the value of the axis at a point.
fn written(node: &Node, points: &Points, point: PointId, experiment: &Experiment) -> Value {
    node.value.substitute(&|path| resolve(path, experiment, points, point))
}

fn resolve(path: &str, experiment: &Experiment, points: &Points, point: PointId) -> Option<Value> {
    let (root, field) = path.split_once('.').map_or((path, None), |(root, field)| (root, Some(field)));
    let axis = experiment.axes.find(|axis| axis.name == root)?;
    let level = &experiment.axes[axis].levels[points.level(point, axis)?];
    let value = match field {
        Some(field) => level.field(field)?,
        None => &level.value,
    };
    // Values name only axes above their own. The restriction makes the recursion end even in a file with faults.
    let above = |path: &str| {
        let root = path.split('.').next().unwrap_or(path);
        let is_above = experiment.axes.iter().take(axis.index()).any(|axis| axis.name == root);
        is_above.then(|| resolve(path, experiment, points, point)).flatten()
    };
    Some(value.substitute(&above))
}

fn read_resolved_op<O: Ops>(
    node: &Node,
    value: &Value,
    ops: &O,
    faults: &mut Faults,
) -> Option<ResolvedOp<O>> {
    let mut fields = Fields::open(value, node.kind.name, faults)?;
    for (port, _) in node.kind.all_inputs() {
        fields.take(port);
    }
    fields.take_named("keep");
    let op = ops.read_op(node.kind.name, &mut fields, faults);
    fields.finish(faults);
    let op = op?;
    if node.kind.keeping == Keeping::Always && node.keep == Some(false) && !ops.is_exact(&op) {
        faults.add(
            value.span,
            "its device does not give the same bits each time, so its artifact cannot be made again",
            "remove `keep: false`",
        );
        return None;
    }
    resolve_op(value.span, op, node.kind, ops, faults)
}

/// Resolves an op of a kind; the fault of one without an identity is at `span`.
pub(super) fn resolve_op<O: Ops>(
    span: Span,
    op: O::Op,
    kind: &NodeKind,
    ops: &O,
    faults: &mut Faults,
) -> Option<ResolvedOp<O>> {
    let Identity { op: name, version, params } = ops.identity(&op);
    match canonical(&params) {
        Ok(params) => {
            let is_kept = match kind.keeping {
                Keeping::Always => true,
                Keeping::WhenCostly(_) => ops.is_costly(&op),
                Keeping::Never | Keeping::WhenAsked | Keeping::InRecord => false,
            };
            Some(ResolvedOp { reads: ops.reads(&op), is_kept, op, name, version, params })
        }
        Err(error) => {
            faults.add(span, format!("these parameters have no canonical form: {error}"), "");
            None
        }
    }
}

/// The ports of all tasks.
pub(super) struct Ports<O: Ops> {
    /// The different ports.
    ports: Vec<O::Port>,
    /// The number of each task's port; `None` after a fault.
    of_task: DenseMap<NodeId, DenseMap<PointId, Option<u32>>>,
}

impl<O: Ops> Ports<O> {
    /// Returns the port of a node's task; `None` after a fault.
    pub(super) fn of(&self, node: NodeId, point: PointId) -> Option<&O::Port> {
        self.of_task[node][point].map(|port| &self.ports[port as usize])
    }
}

fn find_inputs<O: Ops>(node: &Node, points: &Points, steps: &DenseMap<NodeId, NodeTasks<O>>) -> Vec<PointId> {
    let mut inputs = Vec::with_capacity(points.len() * node.inputs.len());
    for point in points.ids() {
        for &input in &node.inputs {
            // The node's points have all axes and constraints of the input, so the projected point exists.
            inputs.extend(steps[input].points.project(points, point));
        }
    }
    inputs
}

/// Reports optional inputs that an op reads and the node leaves out, and those that no op of the node reads.
fn check_optional_inputs<O: Ops>(
    experiment: &Experiment,
    steps: &DenseMap<NodeId, NodeTasks<O>>,
    faults: &mut Faults,
) {
    for (at, node) in experiment.nodes.pairs() {
        let Some((port, _)) = node.kind.optional_input else { continue };
        let place = node.kind.inputs.len();
        let is_given = node.inputs.len() > place;
        let is_read = steps[at].resolved_ops.iter().any(|work| work.reads_input(place));
        if is_read && !is_given {
            let hint = format!("add `{port}: …`");
            faults.add(
                node.value.span,
                format!("`{}` with these fields reads `{port}`, which is not given", node.kind.name),
                hint,
            );
        }
        if is_given && !is_read {
            let what = format!("no task of `{}` reads `{port}`", node.name);
            faults.add(node.input_spans[place], what, format!("remove `{port}`, or let the node use it"));
        }
    }
}

/// Checks every resolved op against the ports of its inputs, once per combination of resolved op and ports. Returns the
/// ports, and the warnings, each once with all its nodes.
fn check_ports<O: Ops>(
    experiment: &Experiment,
    steps: &DenseMap<NodeId, NodeTasks<O>>,
    ops: &O,
    faults: &mut Faults,
) -> (Ports<O>, Vec<String>) {
    let mut warnings: Vec<(String, Vec<&str>)> = vec![];
    let mut ports: Vec<O::Port> = vec![];
    let mut numbers: HashMap<O::Port, u32> = HashMap::new();
    let mut of_task: DenseMap<NodeId, DenseMap<PointId, Option<u32>>> =
        steps.iter().map(|step| vec![None; step.points.len()].into()).collect();
    for at in order(&experiment.nodes) {
        let (node, step) = (&experiment.nodes[at], &steps[at]);
        let is_shared = step.resolved_ops.len() < step.points.len();
        // The port of each combination: the index of the resolved op, then the indices of its inputs' ports.
        let mut known: HashMap<Vec<u32>, Option<u32>> = HashMap::new();
        let mut combination = vec![];
        for point in step.points.ids() {
            combination.clear();
            combination.push(step.resolved_of[point]);
            let work = &step.resolved_ops[step.resolved_of[point] as usize];
            let inputs = node.inputs.iter().zip(step.inputs_of(point, node.inputs.len())).enumerate();
            let inputs = inputs.filter(|(place, _)| work.reads_input(*place));
            let known_ports: Option<Vec<u32>> =
                inputs.map(|(_, (&input, &place))| of_task[input][place]).collect();
            let Some(known_ports) = known_ports else {
                // An input with a fault causes no further faults.
                continue;
            };
            combination.extend(known_ports);
            if let Some(port) = known.get(&combination) {
                of_task[at][point] = *port;
                continue;
            }
            let inputs: Vec<&O::Port> = combination[1..].iter().map(|&port| &ports[port as usize]).collect();
            let op = &step.resolved_ops[combination[0] as usize].op;
            for warning in ops.warnings(op, &inputs) {
                match warnings.iter_mut().find(|(text, _)| *text == warning) {
                    Some((_, nodes)) if nodes.contains(&node.name.as_str()) => {}
                    Some((_, nodes)) => nodes.push(&node.name),
                    None => warnings.push((warning, vec![&node.name])),
                }
            }
            let port = match ops.port(op, &inputs) {
                Ok(port) => Some(*numbers.entry(port).or_insert_with_key(|port| {
                    ports.push(port.clone());
                    ports.len() as u32 - 1
                })),
                Err(misfit) => {
                    let span = misfit_span(&written(node, &step.points, point, experiment), &misfit);
                    faults.add(span, misfit.message, misfit.hint);
                    None
                }
            };
            // Without shared resolved ops, a combination cannot occur twice.
            if is_shared {
                known.insert(combination.clone(), port);
            }
            of_task[at][point] = port;
        }
    }
    let sentence = |(text, nodes): (String, Vec<&str>)| {
        let names = nodes.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        format!("node{} {names}: {text}", if nodes.len() == 1 { "" } else { "s" })
    };
    (Ports { ports, of_task }, warnings.into_iter().map(sentence).collect())
}

fn misfit_span(value: &Value, misfit: &Misfit) -> Span {
    let Some(mut fields) = Fields::open(value, "", &mut Faults::default()) else { return value.span };
    let span = fields.span_of(misfit.field);
    fields.take(misfit.field).map_or(span, |field| part_span(field, &misfit.path))
}

/// Returns where a part of a value is written, or the innermost value around it.
fn part_span(value: &Value, path: &[PathStep]) -> Span {
    let [step, rest @ ..] = path else { return value.span };
    let part = match (step, &value.kind) {
        (PathStep::Key(name), ValueKind::Map(entries)) => {
            let is_it = |key: &Value| matches!(&key.kind, ValueKind::Text(text) if text == name);
            match entries.iter().find(|(key, _)| is_it(key)) {
                Some((key, _)) if rest.is_empty() => return key.span,
                entry => entry.map(|(_, value)| value),
            }
        }
        (PathStep::Item(at), ValueKind::List(items)) => items.get(*at),
        (PathStep::Item(_), ValueKind::Struct(variant)) => match &variant.positional[..] {
            [list] if matches!(list.kind, ValueKind::List(_)) => return part_span(list, path),
            _ => None,
        },
        (PathStep::Field(name), ValueKind::Struct(variant)) => {
            variant.fields.iter().find(|field| *field.name == **name).map(|field| &field.value)
        }
        _ => None,
    };
    part.map_or(value.span, |part| part_span(part, rest))
}
