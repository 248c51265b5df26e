//! The usual question to an experiment that asks none: which is the smallest quantized network that loses little?
//! Written as a `Choose` table and read as one.

use fewbits_engine::graph::TaskGraph;
use fewbits_engine::spec::node::Node;
use fewbits_engine::spec::scope::Scope;
use fewbits_engine::spec::table::Table;
use fewbits_engine::text::fault::{Faults, Span};
use fewbits_engine::text::value::Value;
use fewbits_ops::StandardOps;

/// What may be lost where neither the file nor the user says: a point of accuracy.
const USUAL_DROP: f64 = 0.01;

/// Makes the usual question: chosen on validation images where there are any, replicated as the file's other tables are.
/// The error says what is in the way.
pub fn usual(graph: &TaskGraph<StandardOps>) -> Result<Table, String> {
    let nodes = &graph.experiment.nodes;
    let small = quantized(nodes)?;
    let judged = |split: &str| {
        let value = judge(nodes, small, split)?;
        let baseline = nodes[small].inputs.first().and_then(|&model| judge(nodes, model, split));
        Some((value, baseline))
    };
    let (validation, test) = (judged("Validation"), judged("Test"));
    let select = validation.or(test).ok_or("it judges no quantized network")?;
    let written = |(value, baseline): (&str, Option<&str>)| {
        let baseline = baseline.map_or(String::new(), |of| format!(", baseline: \"{of}.accuracy\""));
        format!("(value: \"{value}.accuracy\"{baseline})")
    };
    let mut fields =
        vec![format!("minimize: \"{}.bytes\"", nodes[small].name), format!("select: {}", written(select))];
    fields.extend(validation.and(test).map(|test| format!("report: {}", written(test))));
    fields.extend(select.1.map(|_| format!("max_drop: {USUAL_DROP}")));
    fields.extend(pooled(graph, &nodes[small]));
    parse(&format!("Choose({})", fields.join(", ")), graph)
}

/// Returns the only node that quantizes.
fn quantized(nodes: &[Node]) -> Result<usize, String> {
    match having(nodes, "bytes").collect::<Vec<_>>().as_slice() {
        [one] => Ok(*one),
        [] => Err("it quantizes no network".to_owned()),
        several => {
            let names: Vec<&str> = several.iter().map(|&at| nodes[at].name.as_str()).collect();
            Err(format!("it quantizes in several nodes ({})", names.join(", ")))
        }
    }
}

fn having<'n>(nodes: &'n [Node], metric: &'static str) -> impl Iterator<Item = usize> + use<'n> {
    (0..nodes.len()).filter(move |&at| nodes[at].kind.metrics.contains(&metric))
}

/// Returns the node that judges a model on a split of images, as written.
fn judge<'n>(nodes: &'n [Node], model: usize, split: &str) -> Option<&'n str> {
    let of = |node: &Node| match node.value.field("split") {
        None => split == "Test",
        Some(written) => written.bare_name() == Some(split),
    };
    let mut all = having(nodes, "accuracy").map(|at| &nodes[at]);
    all.find(|node| node.inputs.first() == Some(&model) && of(node)).map(|node| node.name.as_str())
}

/// Returns what is replicated and averaged: as in the first table that replicates anything, else over `seed`.
fn pooled(graph: &TaskGraph<StandardOps>, small: &Node) -> Vec<String> {
    let axes = &graph.experiment.axes;
    let table = graph.experiment.tables.iter().find(|table| table.replicate.is_some());
    let seed = || axes.iter().position(|axis| axis.name == "seed");
    let replicate = table.map_or_else(seed, |table| table.replicate).filter(|axis| small.axes.contains(axis));
    let average =
        table.map_or(&[][..], |table| &table.average).iter().filter(|axis| small.axes.contains(axis));
    let average: Vec<String> = average.map(|&axis| format!("\"{}\"", axes[axis].name)).collect();
    let replicate = replicate.map(|axis| format!("replicate: \"{}\"", axes[axis].name));
    replicate.into_iter().chain([format!("average: [{}]", average.join(", "))]).collect()
}

fn parse(text: &str, graph: &TaskGraph<StandardOps>) -> Result<Table, String> {
    let mut faults = Faults::default();
    let value = Value::parse(text, &mut faults);
    let scope = Scope { axes: &graph.experiment.axes, nodes: &graph.experiment.nodes };
    let table = scope.read_kind("choice", Span::default(), &value, &mut faults);
    let first = faults.into_sorted().into_iter().next();
    table.filter(|_| first.is_none()).ok_or_else(|| first.map_or(String::new(), |fault| fault.message))
}
