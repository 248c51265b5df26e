//! The facts that a paper must state of an experiment: its methods, its provenance, and digests of its inputs and
//! results.
//! Knows no words of the text; runs nothing.

pub mod method;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use fewbits_store::{Digest, Key, Record, Store, StoreError};

use crate::dense::AxisId;
use crate::graph::{TaskGraph, TaskId};
use crate::ops::Ops;
use crate::plan::{Plan, TaskState};
use crate::spec::experiment::Experiment;
use crate::statistics::method::Method;
use crate::table::results::Results;
use crate::table::units::ReplicateUnits;
use method::methods;

/// The facts about an experiment for a citation.
#[derive(Clone, Debug, PartialEq)]
pub struct Citation {
    /// The name.
    pub experiment: String,
    /// The description, in the author's words.
    pub about: String,
    /// The number of nodes.
    pub nodes: usize,
    /// The axes, each with the number of its levels.
    pub axes: Vec<(String, usize)>,
    /// The number of tasks.
    pub tasks: usize,
    /// The number of tasks without a result.
    pub missing: usize,
    /// The units of replication of its tables.
    pub replications: Vec<Replication>,
    /// The axes that tables without replication average over.
    pub averaged: BTreeSet<String>,
    /// The statistical methods that its tables use.
    pub methods: BTreeSet<Method>,
    /// The tensors of networks that are quantized, as a sentence without its end.
    pub quantized: Option<&'static str>,
    /// What networks compute with.
    pub activations: &'static str,
    /// The ops' remark for the readers of the tables.
    pub remark: Option<String>,
    /// The digest of the experiment's text.
    pub text: Digest,
    /// The sources of the methods of the ops.
    pub literature: Vec<&'static str>,
    /// The digest of the known keys: sorted, in hex, each followed by a line feed.
    pub keys: Digest,
    /// The number of different keys.
    pub different: usize,
    /// The digest of the results, in the order of their keys; see [`Citation::collect`].
    pub results: Digest,
    /// The provenance of the records: each name with all values found.
    pub provenance: BTreeMap<String, BTreeSet<String>>,
    /// The data: each task without inputs, with the digests of its parts.
    pub data: Vec<(String, Vec<(&'static str, Digest)>)>,
}

/// A unit of replication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replication {
    /// The axis of replication.
    pub axis: String,
    /// The axes averaged within a unit first.
    pub average: Vec<String>,
    /// The smallest and the largest number of units of a value; `None` without results.
    pub units: Option<(usize, usize)>,
}

impl Citation {
    /// Gathers the facts. The digest of the results is the digest of a text with these lines for each different key,
    /// in sorted order: the key; each metric by name, indented by a space, with its name and the bits of its binary64
    /// in 16 hex digits (7ff8000000000000 for NaN); each part by name, with its name and its digest. Seconds and
    /// provenance are not included.
    pub fn collect<O: Ops>(
        graph: &TaskGraph<O>,
        ops: &O,
        plan: &Plan,
        store: &Store,
    ) -> Result<Self, StoreError> {
        let experiment = &graph.experiment;
        let keys: BTreeSet<Key> = plan.tasks.iter().filter_map(|planned| planned.key).collect();
        let read = read_records(graph, plan, store)?;
        let works = graph
            .node_tasks
            .iter()
            .flat_map(|step| &step.resolved_ops)
            .map(|work| &work.op)
            .collect::<Vec<_>>();
        let lines: String = keys.iter().map(|key| format!("{key}\n")).collect();
        Ok(Self {
            experiment: experiment.name.clone(),
            about: experiment.about.clone(),
            nodes: experiment.nodes.len(),
            axes: experiment.written_axes().map(|axis| (axis.name.clone(), axis.levels.len())).collect(),
            tasks: graph.len(),
            missing: graph.tasks().filter(|task| read.results.metrics(*task).is_none()).count(),
            replications: replications(graph, &read.results),
            averaged: averaged(&graph.experiment),
            methods: experiment.tables.iter().flat_map(|table| methods(table, &experiment.nodes)).collect(),
            quantized: ops.quantized(&works),
            activations: ops.activations(&works),
            remark: ops.remark(&works),
            literature: ops.literature(&works),
            text: Digest::hash(graph.text.as_bytes()),
            keys: Digest::hash(lines.as_bytes()),
            different: keys.len(),
            results: Digest::hash(read.text.as_bytes()),
            provenance: read.provenance,
            data: data(graph, plan),
        })
    }
}

/// The contents of an experiment's records.
struct RecordContents {
    results: Results,
    text: String,
    provenance: BTreeMap<String, BTreeSet<String>>,
}

fn read_records<O: Ops>(
    graph: &TaskGraph<O>,
    plan: &Plan,
    store: &Store,
) -> Result<RecordContents, StoreError> {
    let mut tasks: BTreeMap<Key, Vec<TaskId>> = BTreeMap::new();
    for task in graph.tasks().filter(|task| plan.planned(*task).state == TaskState::Cached) {
        if let Some(key) = plan.planned(task).key {
            tasks.entry(key).or_default().push(task);
        }
    }
    let mut said = RecordContents {
        results: Results::none(graph.len()),
        text: String::new(),
        provenance: BTreeMap::new(),
    };
    for (key, tasks) in tasks {
        let Some(record) = store.record(&key)? else { continue };
        write(&key, &record, &mut said.text);
        for (name, value) in &record.provenance {
            said.provenance.entry(name.clone()).or_default().insert(value.clone());
        }
        for &task in &tasks {
            said.results.learn(task, record.metrics.clone(), record.seconds);
        }
    }
    Ok(said)
}

/// Writes the digested part of a record.
fn write(key: &Key, record: &Record, text: &mut String) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{key}");
    for (name, value) in &record.metrics {
        let value = if value.is_nan() { f64::NAN } else { *value };
        let _ = writeln!(text, " {name} {:016x}", value.to_bits());
    }
    for (name, digest) in &record.parts {
        let _ = writeln!(text, " {name} {digest}");
    }
}

fn replications<O: Ops>(graph: &TaskGraph<O>, results: &Results) -> Vec<Replication> {
    let name = |axis: &AxisId| graph.experiment.axes[*axis].name.clone();
    let mut found: Vec<Replication> = vec![];
    for table in &graph.experiment.tables {
        let Some(axis) = table.replicate.as_ref().map(name) else { continue };
        let average: Vec<String> = table.average.iter().map(name).collect();
        let cells = ReplicateUnits::gather(graph, results, table).map_or(vec![], |units| units.points);
        let counts =
            || cells.iter().flat_map(|cell| &cell.values).map(BTreeMap::len).filter(|count| *count > 0);
        let units = counts().min().zip(counts().max());
        match found.iter_mut().find(|of| of.axis == axis && of.average == average) {
            Some(same) => same.units = joined_range(same.units, units),
            None => found.push(Replication { axis, average, units }),
        }
    }
    found
}

/// Returns the axes that tables without replication average over.
fn averaged(experiment: &Experiment) -> BTreeSet<String> {
    let alone = experiment.tables.iter().filter(|table| table.replicate.is_none());
    alone.flat_map(|table| &table.average).map(|&axis| experiment.axes[axis].name.clone()).collect()
}

fn joined_range(one: Option<(usize, usize)>, other: Option<(usize, usize)>) -> Option<(usize, usize)> {
    match (one, other) {
        (Some(one), Some(other)) => Some((one.0.min(other.0), one.1.max(other.1))),
        (one, other) => one.or(other),
    }
}

fn data<O: Ops>(graph: &TaskGraph<O>, plan: &Plan) -> Vec<(String, Vec<(&'static str, Digest)>)> {
    let nodes = graph.experiment.nodes.pairs().filter(|(_, node)| node.inputs.is_empty());
    let tasks = nodes.flat_map(|(node, _)| graph.tasks_of(node));
    let parts = |task: TaskId| {
        let parts = plan.planned(task).parts.as_ref()?;
        Some((graph.name(task), parts.iter().map(|(name, digest)| (name, *digest)).collect()))
    };
    tasks.filter_map(parts).collect()
}
