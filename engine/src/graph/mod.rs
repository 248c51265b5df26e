//! The graph of tasks: every node at every point of its axes, with its op resolved and its inputs found.
//! Knows nothing of what has run.

pub mod name;
pub mod points;
mod trial;

use std::cmp::Reverse;
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use rayon::prelude::*;

use crate::ops::{Identity, Kind, Misfit, Ops};
use crate::preimage::canonical;
use crate::spec::experiment::Experiment;
use crate::spec::node::{Node, order};
use crate::text::fault::{Fault, Faults, Span};
use crate::text::read::Fields;
use crate::text::value::{self, Value};
use points::{Points, TooMany};

/// The most tasks of one experiment, unless the user says more.
pub const MOST_TASKS: usize = 100_000;

/// Things that a thread looks at in one go, at least; fewer are not worth waking another.
pub(crate) const ENOUGH: usize = 256;

/// A task: its place among all tasks of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(u32);

impl TaskId {
    #[cfg(test)]
    pub(crate) fn from_index(index: usize) -> Self {
        Self(index as u32)
    }

    /// Returns the place as an index.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// All tasks of an experiment.
pub struct Graph<O: Ops> {
    /// The experiment they come from.
    pub experiment: Experiment,
    /// Its text, as read.
    pub text: String,
    /// The file that the text was read from, where the caller says so: it tells experiments of one name apart.
    pub file: Option<String>,
    /// One step per node, in the order of the file.
    pub steps: Vec<Step<O>>,
    /// The steps in an order in which each comes after its inputs.
    pub order: Vec<usize>,
}

/// The tasks of one node.
pub struct Step<O: Ops> {
    /// The points of the node's axes; the tasks are numbered as they are.
    pub points: Points,
    /// The different works of its tasks.
    pub works: Vec<Work<O>>,
    first: u32,
    work_of: Vec<u32>,
    /// Per task, the points of the inputs, in the order of the node's inputs.
    inputs: Vec<u32>,
}

/// An op with its parameters resolved, shared by the tasks that differ in their inputs only.
pub struct Work<O: Ops> {
    /// The op.
    pub op: O::Op,
    /// The op's name in the preimage.
    pub name: &'static str,
    /// The op's version.
    pub version: u32,
    /// All parameters that matter, as canonical JSON.
    pub params: String,
    /// The parts it reads: the input's place and the part's name.
    pub reads: Vec<(usize, &'static str)>,
}

impl<O: Ops> Graph<O> {
    /// Reads an experiment and expands it into tasks; or returns every fault there is.
    pub fn read(text: &str, ops: &O, most: usize) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let Some(experiment) = Experiment::read(text, ops.kinds(), &mut faults) else {
            return Err(faults.into_sorted());
        };
        // Expressions of tables are tried at the values of axes: with a fault in those, there are none to try.
        let mut tried = Faults::default();
        if faults.is_empty() {
            trial::try_out(&experiment, &mut tried);
        }
        let steps = expand(&experiment, ops, most, &mut faults);
        faults.extend(tried.into_sorted());
        if !faults.is_empty() {
            return Err(faults.into_sorted());
        }
        let mut order = order(&experiment.nodes);
        let depths = depths(&experiment.nodes, &order);
        // Beside each other, nodes come as in the file.
        order.sort_by_key(|&node| (depths[node], node));
        Ok(Self { experiment, text: text.to_owned(), file: None, steps, order })
    }

    /// Returns the number of tasks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.steps.iter().map(|step| step.points.len()).sum()
    }

    /// Returns whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns all tasks, node by node.
    pub fn tasks(&self) -> impl Iterator<Item = TaskId> + use<O> {
        (0..self.len() as u32).map(TaskId)
    }

    /// Returns the tasks of a node.
    pub fn tasks_of(&self, node: usize) -> impl Iterator<Item = TaskId> + use<O> {
        let Range { start, end } = self.range(node);
        (start..end).map(TaskId)
    }

    /// Returns the node of a task.
    #[must_use]
    pub fn node(&self, task: TaskId) -> usize {
        self.steps.partition_point(|step| {
            step.first <= task.0 && step.first as usize + step.points.len() <= task.index()
        })
    }

    /// Returns a task's node and its place among the node's points.
    #[must_use]
    pub fn place(&self, task: TaskId) -> (usize, usize) {
        let node = self.node(task);
        (node, (task.0 - self.steps[node].first) as usize)
    }

    /// Returns the task of a node at one of its points.
    #[must_use]
    pub fn task(&self, node: usize, point: usize) -> TaskId {
        TaskId(self.steps[node].first + point as u32)
    }

    /// Returns the kind of a task's node.
    #[must_use]
    pub fn kind(&self, task: TaskId) -> &'static Kind {
        self.experiment.nodes[self.node(task)].kind
    }

    /// Returns the work of a task.
    #[must_use]
    pub fn work(&self, task: TaskId) -> &Work<O> {
        let (node, point) = self.place(task);
        let step = &self.steps[node];
        &step.works[step.work_of[point] as usize]
    }

    /// Returns the tasks that a task reads, in the order of its node's inputs.
    #[must_use]
    pub fn inputs(&self, task: TaskId) -> Vec<TaskId> {
        let (node, point) = self.place(task);
        let nodes = &self.experiment.nodes[node].inputs;
        let points = &self.steps[node].inputs[point * nodes.len()..(point + 1) * nodes.len()];
        nodes.iter().zip(points).map(|(&input, &at)| self.task(input, at as usize)).collect()
    }

    /// Returns how many steps each task is away from those that read nothing.
    #[must_use]
    pub fn depths(&self) -> Vec<u32> {
        let of_node = depths(&self.experiment.nodes, &self.order);
        self.tasks().map(|task| of_node[self.node(task)]).collect()
    }

    fn range(&self, node: usize) -> Range<u32> {
        let step = &self.steps[node];
        step.first..step.first + step.points.len() as u32
    }
}

/// Returns the folder that relative paths in an experiment file start from.
#[must_use]
pub fn base_of(file: &Path) -> &Path {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn depths(nodes: &[Node], order: &[usize]) -> Vec<u32> {
    let mut depths = vec![0_u32; nodes.len()];
    for &node in order {
        let inputs = nodes[node].inputs.iter();
        depths[node] = inputs.map(|&input| depths[input] + 1).max().unwrap_or(0);
    }
    depths
}

fn expand<O: Ops>(experiment: &Experiment, ops: &O, most: usize, faults: &mut Faults) -> Vec<Step<O>> {
    let mut steps: Vec<Step<O>> = vec![];
    let mut total = 0_u128;
    let mut largest = None;
    // With faults in the names there may be no task to speak of, yet parameters are still read: all faults come
    // together.
    let named = faults.is_empty();
    for node in &experiment.nodes {
        match Points::enumerate(&node.axes, &experiment.axes, &experiment.only, most) {
            Ok(points) => {
                total += points.len() as u128;
                let (works, work_of) = read_works(node, &points, experiment, ops, faults);
                let first = steps.last().map_or(0, |step| step.first + step.points.len() as u32);
                steps.push(Step { points, works, first, work_of, inputs: vec![] });
            }
            Err(TooMany::Points(count)) => {
                total = total.saturating_add(count);
                largest = largest.max(Some((count, Reverse(node.span))));
            }
            // Every further node could take as long.
            Err(TooMany::Combinations(count)) => {
                if named {
                    report_combinations(node, count, faults);
                }
                return vec![];
            }
        }
    }
    if named && total > most as u128 {
        let first = experiment.nodes.first().map_or(Span::default(), |node| node.span);
        report_too_many(largest.map_or(first, |(_, span)| span.0), total, most, faults);
    }
    if named {
        report_empty(experiment, &steps, faults);
    }
    if !faults.is_empty() {
        return vec![];
    }
    for (at, node) in experiment.nodes.iter().enumerate() {
        steps[at].inputs = find_inputs(node, &steps[at].points, &steps);
    }
    check_ports(experiment, &steps, ops, faults);
    steps
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
            "the axes of node `{}` have {count} combinations, too many to look through for those that `only` leaves",
            node.name
        ),
        "shorten an axis, or constrain axes one by one: those constraints are checked first",
    );
}

/// Reports nodes without a task: where the constraints leave no combination, the mistake is in them.
fn report_empty<O: Ops>(experiment: &Experiment, steps: &[Step<O>], faults: &mut Faults) {
    let nodes = experiment.nodes.iter().zip(steps);
    let Some((node, _)) = nodes.into_iter().find(|(_, step)| step.points.is_empty()) else { return };
    let named: Vec<String> =
        node.axes.iter().map(|&axis| format!("`{}`", experiment.axes[axis].name)).collect();
    faults.add(
        experiment.only.first().map_or(node.span, |constraint| constraint.span),
        format!("`only` leaves no combination of {} for node `{}`", named.join(", "), node.name),
        "let the constraints hold for some combination of the axes' values",
    );
}

/// Reads the op of each different combination of the axes that the node's own parameters name.
/// Returns the works, and the work of each point.
fn read_works<O: Ops>(
    node: &Node,
    points: &Points,
    experiment: &Experiment,
    ops: &O,
    faults: &mut Faults,
) -> (Vec<Work<O>>, Vec<u32>) {
    let mut seen: HashMap<u64, u32> = HashMap::new();
    let mut first = vec![];
    let mut work_of = Vec::with_capacity(points.len());
    for point in 0..points.len() {
        work_of.push(*seen.entry(points.agreement(point, &node.own_axes)).or_insert_with(|| {
            first.push(point);
            first.len() as u32 - 1
        }));
    }
    let sane = faults.is_empty();
    let read = |point: &usize| {
        let mut faults = Faults::default();
        let value = written(node, points, *point, experiment);
        // An axis that is not there is reported already; what stands beside it is still read.
        let value = if sane { value } else { value.without_axes() };
        let work = read_work(node, &value, ops, &mut faults);
        (work, faults)
    };
    let read: Vec<(Option<Work<O>>, Faults)> = first.par_iter().with_min_len(ENOUGH).map(read).collect();
    let mut works = Vec::with_capacity(read.len());
    for (work, found) in read {
        // A work with faults keeps the whole graph from being used, so its number does not matter.
        works.extend(work);
        faults.extend(found.into_sorted());
    }
    (works, work_of)
}

/// Returns a node as written, with its axes' values at a point.
fn written(node: &Node, points: &Points, point: usize, experiment: &Experiment) -> Value {
    node.value.substitute(&|path| resolve(path, experiment, points, point))
}

fn resolve(path: &str, experiment: &Experiment, points: &Points, point: usize) -> Option<Value> {
    let (root, field) = path.split_once('.').map_or((path, None), |(root, field)| (root, Some(field)));
    let axis = experiment.axes.iter().position(|axis| axis.name == root)?;
    let level = &experiment.axes[axis].levels[points.level(point, axis)?];
    let value = match field {
        Some(field) => level.field(field)?,
        None => &level.value,
    };
    // Values name axes above their own; others are not looked up, so that this ends in a file with faults, too.
    let above = |path: &str| {
        let root = path.split('.').next().unwrap_or(path);
        let is_above = experiment.axes[..axis].iter().any(|axis| axis.name == root);
        is_above.then(|| resolve(path, experiment, points, point)).flatten()
    };
    Some(value.substitute(&above))
}

fn read_work<O: Ops>(node: &Node, value: &Value, ops: &O, faults: &mut Faults) -> Option<Work<O>> {
    let mut fields = Fields::open(value, node.kind.name, faults)?;
    for (port, _) in node.kind.inputs {
        fields.take(port);
    }
    fields.take_named("keep");
    let op = ops.read(node.kind.name, &mut fields, faults);
    fields.finish(faults);
    let op = op?;
    let Identity { op: name, version, params } = ops.identity(&op);
    match canonical(&params) {
        Ok(params) => Some(Work { reads: ops.reads(&op), op, name, version, params }),
        Err(error) => {
            faults.add(value.span, format!("these parameters have no canonical form: {error}"), "");
            None
        }
    }
}

fn find_inputs<O: Ops>(node: &Node, points: &Points, steps: &[Step<O>]) -> Vec<u32> {
    let mut inputs = Vec::with_capacity(points.len() * node.inputs.len());
    for point in 0..points.len() {
        for &input in &node.inputs {
            // The input's axes and constraints are among the node's, so its point is there.
            inputs.push(steps[input].points.project(points, point).unwrap_or_default() as u32);
        }
    }
    inputs
}

/// Checks every work against what is known of its inputs, once per different combination.
fn check_ports<O: Ops>(experiment: &Experiment, steps: &[Step<O>], ops: &O, faults: &mut Faults) {
    let mut ports: Vec<O::Port> = vec![];
    let mut numbers: HashMap<O::Port, u32> = HashMap::new();
    let mut of_task: Vec<Vec<Option<u32>>> = steps.iter().map(|step| vec![None; step.points.len()]).collect();
    for at in order(&experiment.nodes) {
        let (node, step) = (&experiment.nodes[at], &steps[at]);
        // The number of the work, and those of its inputs' ports.
        let mut known: HashMap<Vec<u32>, Option<u32>> = HashMap::new();
        let mut combination = vec![];
        for point in 0..step.points.len() {
            combination.clear();
            combination.push(step.work_of[point]);
            let inputs = node.inputs.iter().zip(&step.inputs[point * node.inputs.len()..]);
            combination.extend(inputs.filter_map(|(&input, &place)| of_task[input][place as usize]));
            if combination.len() <= node.inputs.len() {
                // An input with a fault makes no further ones.
                continue;
            }
            if let Some(port) = known.get(&combination) {
                of_task[at][point] = *port;
                continue;
            }
            let inputs: Vec<&O::Port> = combination[1..].iter().map(|&port| &ports[port as usize]).collect();
            let port = match ops.port(&step.works[combination[0] as usize].op, &inputs) {
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
            known.insert(combination.clone(), port);
            of_task[at][point] = port;
        }
    }
}

fn misfit_span(value: &Value, misfit: &Misfit) -> Span {
    let Some(mut fields) = Fields::open(value, "", &mut Faults::default()) else { return value.span };
    let span = fields.span_of(misfit.field);
    let (Some(entry), Some(field)) = (&misfit.entry, fields.take(misfit.field)) else { return span };
    let value::Kind::Map(entries) = &field.kind else { return span };
    let is_it = |key: &Value| matches!(&key.kind, value::Kind::Text(text) if text == entry);
    entries.iter().find(|(key, _)| is_it(key)).map_or(span, |(key, _)| key.span)
}
