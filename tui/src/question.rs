//! The usual question about an experiment without a `Choose` table: the smallest quantized network that loses little.
//! The question is written as a `Choose` table and parsed as one.

use std::collections::BTreeSet;

use fewbits_engine::dense::NodeId;
use fewbits_engine::graph::TaskGraph;
use fewbits_engine::ops::MetricRole;
use fewbits_engine::spec::node::{Node, Nodes};
use fewbits_engine::spec::table::Table;
use fewbits_engine::spec::table_reader::TableReader;
use fewbits_engine::text::fault::{Faults, Span};
use fewbits_engine::text::value::Value;
use fewbits_ops::StandardOps;

/// The greatest accepted drop if neither the file nor the user gives one: a point of accuracy.
const USUAL_DROP: f64 = 0.01;

/// The reason why there is no usual question for an experiment.
#[derive(Debug, thiserror::Error)]
pub enum NoQuestion {
    /// No node evaluates a quantized network.
    #[error("it evaluates no quantized network")]
    NoEvaluation,
    /// No node quantizes.
    #[error("it quantizes no network")]
    NoQuantization,
    /// Several nodes quantize different networks: these.
    #[error("it quantizes different networks in several nodes ({0})")]
    SeveralNetworks(String),
    /// The question has a fault.
    #[error("{0}")]
    Fault(String),
}

/// Makes the usual question about each node that quantizes and is evaluated. It selects on validation images if a node
/// evaluates on them, and replicates and averages as the file's tables do. The error names the missing part.
pub fn usual(graph: &TaskGraph<StandardOps>) -> Result<Vec<Table>, NoQuestion> {
    let nodes = &graph.experiment.nodes;
    let small: Vec<NodeId> = having(nodes, MetricRole::Bytes).collect();
    // Answers about one network compete; those about others have nothing in common.
    let networks: BTreeSet<Option<&NodeId>> = small.iter().map(|&at| nodes[at].inputs.first()).collect();
    if networks.len() > 1 {
        let names: Vec<&str> = small.iter().map(|&at| nodes[at].name.as_str()).collect();
        return Err(NoQuestion::SeveralNetworks(names.join(", ")));
    }
    let name = |at: NodeId| if small.len() == 1 { "choice" } else { nodes[at].name.as_str() };
    let questions = small.iter().map(|&small| question(graph, small, name(small)));
    let (questions, faults): (Vec<_>, Vec<_>) = questions.partition(Result::is_ok);
    match faults.into_iter().find_map(Result::err) {
        Some(fault) if questions.is_empty() => Err(fault),
        None if small.is_empty() => Err(NoQuestion::NoQuantization),
        _ => Ok(questions.into_iter().flatten().collect()),
    }
}

/// Makes the usual question about a node that quantizes, under this name.
fn question(graph: &TaskGraph<StandardOps>, small: NodeId, name: &str) -> Result<Table, NoQuestion> {
    let nodes = &graph.experiment.nodes;
    let judged = |split: &str| {
        let value = judge(nodes, small, split)?;
        let baseline = nodes[small].inputs.first().and_then(|&model| judge(nodes, model, split));
        Some((value, baseline))
    };
    let (validation, test) = (judged("Validation"), judged("Test"));
    let select = validation.as_ref().or(test.as_ref()).ok_or(NoQuestion::NoEvaluation)?;
    let written = |(value, baseline): &(String, Option<String>)| {
        let baseline = baseline.as_deref();
        let baseline = baseline.map_or(String::new(), |of| format!(", baseline: \"{of}\""));
        format!("(value: \"{value}\"{baseline})")
    };
    let size = metric_of(&nodes[small], MetricRole::Bytes).ok_or(NoQuestion::NoQuantization)?;
    let mut fields = vec![format!("minimize: \"{size}\""), format!("select: {}", written(select))];
    fields.extend(validation.as_ref().and(test.as_ref()).map(|test| format!("report: {}", written(test))));
    fields.extend(select.1.as_ref().map(|_| format!("max_drop: {USUAL_DROP}")));
    fields.extend(pooled(graph, &nodes[small]));
    parse(&format!("Choose({})", fields.join(", ")), name, graph)
}

fn having(nodes: &Nodes, role: MetricRole) -> impl Iterator<Item = NodeId> {
    nodes.ids().filter(move |&at| nodes[at].kind.metric(role).is_some())
}

/// Returns the metric of a node with a role, as `node.metric`.
fn metric_of(node: &Node, role: MetricRole) -> Option<String> {
    Some(format!("{}.{}", node.name, node.kind.metric(role)?))
}

/// Returns the accuracy of a model on a split of images, as `node.metric`; none if no node evaluates it.
fn judge(nodes: &Nodes, model: NodeId, split: &str) -> Option<String> {
    let of = |node: &Node| match node.value.field("split") {
        None => split == "Test",
        Some(written) => written.bare_name() == Some(split),
    };
    let mut all = having(nodes, MetricRole::Accuracy).map(|at| &nodes[at]);
    let node = all.find(|node| node.inputs.first() == Some(&model) && of(node))?;
    metric_of(node, MetricRole::Accuracy)
}

/// Returns the axes that are replicated and averaged: those of the first table that replicates, else the axis of the
/// trainings' seeds.
fn pooled(graph: &TaskGraph<StandardOps>, small: &Node) -> Vec<String> {
    let axes = &graph.experiment.axes;
    let table = graph.experiment.tables.iter().find(|table| table.replicate.is_some());
    let seeded = |node: &Node| {
        let axis = node.value.field(node.kind.seed?)?.axis()?.to_owned();
        axes.find(|of| of.name == axis)
    };
    let seed = || graph.experiment.nodes.iter().find_map(seeded);
    let replicate = table.map_or_else(seed, |table| table.replicate).filter(|axis| small.axes.contains(axis));
    let average =
        table.map_or(&[][..], |table| &table.average).iter().filter(|axis| small.axes.contains(axis));
    let average: Vec<String> = average.map(|&axis| format!("\"{}\"", axes[axis].name)).collect();
    let replicate = replicate.map(|axis| format!("replicate: \"{}\"", axes[axis].name));
    replicate.into_iter().chain([format!("average: [{}]", average.join(", "))]).collect()
}

fn parse(text: &str, name: &str, graph: &TaskGraph<StandardOps>) -> Result<Table, NoQuestion> {
    let mut faults = Faults::default();
    let value = Value::parse(text, &mut faults);
    let scope = TableReader { axes: &graph.experiment.axes, nodes: &graph.experiment.nodes };
    let table = scope.read(name, Span::default(), &value, &mut faults);
    let first = faults.into_sorted().into_iter().next();
    let message = first.as_ref().map_or(String::new(), |fault| fault.message.clone());
    table.filter(|_| first.is_none()).ok_or(NoQuestion::Fault(message))
}
