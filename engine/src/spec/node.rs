//! The nodes of an experiment: named steps, wired to each other.
//! Knows the kinds of nodes, but no parameter of an op.

use std::collections::BTreeSet;

use petgraph::algo::{tarjan_scc, toposort};
use petgraph::graph::DiGraph;

use super::axis::Axes;
use super::expression::{Expression, Reference};
use super::naming::named_axes;
use crate::dense::{AxisId, DenseId, DenseMap, NodeId};
use crate::ops::{Keeping, MetricRole, NodeKind};
use crate::text::fault::{Faults, Span, suggest};
use crate::text::fields::{Fields, FromValue, InputName};
use crate::text::value::Value;
use crate::text::variant::variant;

/// A named step as written, with its inputs resolved.
#[derive(Debug)]
pub struct Node {
    /// The name.
    pub name: String,
    /// The place of the name.
    pub span: Span,
    /// The kind of the node.
    pub kind: &'static NodeKind,
    /// The node as written, parameters included.
    pub value: Value,
    /// Whether the store keeps the artifact, as the file says; `None` if it does not say.
    pub keep: Option<bool>,
    /// The input nodes, in the order of [`NodeKind::all_inputs`].
    pub inputs: Vec<NodeId>,
    /// The place where each input is named.
    pub input_spans: Vec<Span>,
    /// The axes that the node's own parameters name, directly or through values of axes, by their index in the file,
    /// ascending.
    pub own_axes: Vec<AxisId>,
    /// The node's own axes and the axes of its inputs: the tasks are the points of these axes.
    pub axes: Vec<AxisId>,
    /// The node of its probes, which stands behind those of the file; `None` if it has none.
    pub probes: Option<NodeId>,
}

impl Node {
    /// Returns whether the nodes that it must read are known. If not, a fault says so, and the node lacks their axes.
    pub(super) fn is_wired(&self) -> bool {
        self.inputs.len() >= self.kind.inputs.len()
    }

    /// Returns the nodes that it reads: its inputs, then that of its probes.
    pub fn reads(&self) -> impl Iterator<Item = NodeId> {
        self.inputs.iter().copied().chain(self.probes)
    }
}

/// The nodes of an experiment, in the order of the file; nodes of probes stand behind.
pub type Nodes = DenseMap<NodeId, Node>;

/// A node before its inputs are resolved.
struct UnwiredNode {
    node: Node,
    wanted: Vec<Option<InputName>>,
}

/// Reads the nodes and wires them; returns them in the order of the file, without those that have faults.
pub fn read_nodes(
    entries: &[(String, Span, Value)],
    axes: &Axes,
    kinds: &'static [NodeKind],
    faults: &mut Faults,
) -> Nodes {
    let drafts: Vec<UnwiredNode> = entries
        .iter()
        .filter_map(|(name, span, value)| read_node(name, *span, value, axes, kinds, faults))
        .collect();
    let mut nodes = wire(drafts, entries, faults);
    spread_axes(&mut nodes);
    nodes
}

/// Returns a topological order of the nodes: each node follows its inputs. Empty if the nodes form a cycle.
#[must_use]
pub fn order(nodes: &Nodes) -> Vec<NodeId> {
    toposort(&edges(nodes), None)
        .map_or_else(|_| vec![], |order| order.iter().map(|at| NodeId::from_index(at.index())).collect())
}

/// A node's value while it is read: the engine has taken its own fields, the op's parameters are left.
pub struct OpenedNode<'v> {
    /// The kind of the node.
    pub kind: &'static NodeKind,
    /// The remaining fields: the op's parameters.
    pub fields: Fields<'v>,
    wanted: Vec<Option<InputName>>,
    keep: AskedKeep,
}

/// What a node says about keeping its artifact.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AskedKeep {
    Nothing,
    Keep(bool),
    /// The value is no truth value.
    Faulty,
}

/// Opens a node's value: reads its kind, its inputs and `keep`.
pub fn open<'v>(value: &'v Value, kinds: &'static [NodeKind], faults: &mut Faults) -> Option<OpenedNode<'v>> {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name).collect();
    let name = variant(value, "an op", &names, faults)?;
    let kind = kinds.iter().find(|kind| kind.name == name)?;
    let mut fields = Fields::open(value, kind.name, faults)?;
    let mut wanted: Vec<_> =
        kind.inputs.iter().map(|(port, gives)| fields.input(port, gives, faults)).collect();
    if let Some((port, gives)) = kind.optional_input {
        wanted.push(if fields.has(port) { fields.input(port, gives, faults) } else { None });
        fields.otherwise(port, "left out");
    }
    fields.about(&[("keep", "Whether the store keeps the artifact, so that it need not be made again.")]);
    let asked = fields.take_named("keep");
    fields.otherwise("keep", kind.keeping.words());
    let keep = match asked.map(|value| bool::from_value(value, faults)) {
        None => AskedKeep::Nothing,
        Some(Some(keep)) => AskedKeep::Keep(keep),
        Some(None) => AskedKeep::Faulty,
    };
    if let (Some(value), AskedKeep::Keep(true), Keeping::Never) = (asked, keep, kind.keeping) {
        faults.add(
            value.span,
            format!("the result of `{}` cannot be kept", kind.name),
            "remove `keep`: it is made again when it is needed",
        );
    }
    Some(OpenedNode { kind, fields, wanted, keep })
}

fn read_node(
    name: &str,
    span: Span,
    value: &Value,
    axes: &Axes,
    kinds: &'static [NodeKind],
    faults: &mut Faults,
) -> Option<UnwiredNode> {
    let OpenedNode { kind, wanted, keep, .. } = open(value, kinds, faults)?;
    let keep = match keep {
        AskedKeep::Nothing => None,
        AskedKeep::Keep(keep) => Some(keep),
        AskedKeep::Faulty => return None,
    };
    let own_axes = named_axes(value, axes, faults);
    let node = Node {
        name: name.to_owned(),
        span,
        kind,
        value: value.clone(),
        keep,
        inputs: vec![],
        input_spans: vec![],
        axes: own_axes.clone(),
        own_axes,
        probes: None,
    };
    Some(UnwiredNode { node, wanted })
}

fn wire(drafts: Vec<UnwiredNode>, entries: &[(String, Span, Value)], faults: &mut Faults) -> Nodes {
    let names: Vec<(String, Option<&'static str>)> =
        drafts.iter().map(|draft| (draft.node.name.clone(), draft.node.kind.output)).collect();
    let mut nodes = Nodes::default();
    for UnwiredNode { mut node, wanted } in drafts {
        for (input, (_, expected)) in wanted.iter().zip(node.kind.all_inputs()) {
            let Some(input) = input else { continue };
            let Some(at) = names.iter().position(|(name, _)| *name == input.node) else {
                // A node that is in the file but could not be read has its own fault.
                if !entries.iter().any(|(name, ..)| *name == input.node) {
                    let valid =
                        names.iter().filter(|(name, _)| *name != node.name).map(|(name, _)| name.as_str());
                    faults.add(
                        input.span,
                        format!("there is no node `{}`", input.node),
                        suggest(&input.node, valid),
                    );
                }
                continue;
            };
            if names[at].1 != Some(expected) {
                let gives =
                    names[at].1.map_or("nothing that can be read".to_owned(), |output| format!("a {output}"));
                let valid = names
                    .iter()
                    .filter(|(_, output)| *output == Some(expected))
                    .map(|(name, _)| name.as_str());
                faults.add(
                    input.span,
                    format!(
                        "`{}` of `{}` needs a {expected}, but `{}` gives {gives}",
                        input.port, node.name, input.node
                    ),
                    suggest(&input.node, valid),
                );
            }
            node.inputs.push(NodeId::from_index(at));
            node.input_spans.push(input.span);
        }
        nodes.push(node);
    }
    report_cycles(&nodes, faults);
    nodes
}

fn edges(nodes: &Nodes) -> DiGraph<(), ()> {
    let mut graph = DiGraph::new();
    let at: Vec<_> = nodes.iter().map(|_| graph.add_node(())).collect();
    for (to, node) in nodes.iter().enumerate() {
        for from in node.reads() {
            graph.add_edge(at[from.index()], at[to], ());
        }
    }
    graph
}

fn report_cycles(nodes: &Nodes, faults: &mut Faults) {
    for component in tarjan_scc(&edges(nodes)) {
        let members: Vec<NodeId> = component.iter().map(|at| NodeId::from_index(at.index())).collect();
        let Some(&first) = members.iter().min() else { continue };
        if members.len() == 1 && !nodes[first].inputs.contains(&first) {
            continue;
        }
        // The walk follows inputs within the component until a node repeats, then prints the loop in the data's
        // direction.
        let mut path = vec![first];
        loop {
            let last = path[path.len() - 1];
            let Some(&next) = nodes[last].inputs.iter().find(|input| members.contains(input)) else { break };
            if let Some(start) = path.iter().position(|&seen| seen == next) {
                path.drain(..start);
                path.push(next);
                break;
            }
            path.push(next);
        }
        path.reverse();
        let text: Vec<&str> = path.iter().map(|&at| nodes[at].name.as_str()).collect();
        faults.add(
            nodes[first].span,
            format!("these nodes read each other in a circle: {}", text.join(" → ")),
            "let one of them read another node",
        );
    }
}

fn spread_axes(nodes: &mut Nodes) {
    for at in order(nodes) {
        let mut axes: BTreeSet<AxisId> = nodes[at].own_axes.iter().copied().collect();
        for &input in &nodes[at].inputs {
            axes.extend(&nodes[input].axes);
        }
        nodes[at].axes = axes.into_iter().collect();
    }
}

/// Returns the references of an expression to metrics with the given role.
pub fn with_role<'e>(
    expression: &'e Expression,
    nodes: &'e [Node],
    role: MetricRole,
) -> impl Iterator<Item = &'e Reference> {
    expression.references.iter().filter(move |reference| {
        let node = nodes.iter().find(|node| node.name == reference.root);
        node.zip(reference.member.as_deref()).is_some_and(|(node, metric)| node.kind.has_role(metric, role))
    })
}
