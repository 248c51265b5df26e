//! The conversion of an ONNX graph to a network: every node becomes a layer, a layout or a constant. Knows the meaning of
//! nodes, nothing of files.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use crate::import::constant::Constant;
use crate::import::input_layout::InputLayout;
use crate::import::layer_value::LayerValue;
use crate::import::layers::LayerDrafts;
use crate::import::onnx_file::{Node, OnnxGraph};
use crate::network::geometry::Padding;
use crate::network::model::Model;
use crate::network::shape::ActivationShape;

/// An imported network.
#[derive(Debug)]
pub(crate) struct Imported {
    pub model: Model,
    /// Whether the file's input has the channels last, so that its images must be transposed.
    pub channels_last: bool,
    /// What the file ends with, which the network leaves out.
    pub ending: FinalOp,
}

/// What a network may end with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputRule {
    /// A row of logits.
    Logits,
    /// Anything; images become a row. For tests of nodes by themselves.
    Anything,
}

/// What a file computes from the logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FinalOp {
    Logits,
    Softmax,
    LogSoftmax,
    /// Of a single logit.
    Sigmoid,
}

/// A value of the graph.
#[derive(Clone, Debug)]
pub(super) enum OnnxValue {
    Layer(LayerValue),
    Constant(Constant),
    /// `HardSigmoid` of a value; only its product with the value is a layer.
    HardSigmoid(LayerValue),
    /// A value with zeros around it.
    Padded(LayerValue, Padding),
    /// The logits behind a softmax.
    Ended(LayerValue, FinalOp),
    /// The output of a node that cannot be converted.
    Unknown,
}

/// A graph in conversion.
pub(super) struct Converter<'g> {
    graph: &'g OnnxGraph,
    values: BTreeMap<&'g str, OnnxValue>,
    /// The number of readers of each value, the output of the graph among them.
    readers: BTreeMap<&'g str, usize>,
    pub(super) layers: LayerDrafts,
    /// Whether a node computes with quantized numbers.
    quantized: bool,
    /// The numbers of constants that may still be read, so that a small file cannot take much memory.
    left: Cell<usize>,
}

/// The numbers of constants that nodes may read or compute, each time counted.
const MOST_READ: usize = 1 << 27;

impl OnnxValue {
    /// Returns the reason why a reader cannot take the value.
    pub(super) fn why_not(&self, reader: &str) -> String {
        let why = match self {
            Self::HardSigmoid(_) => "HardSigmoid is supported only as a factor of its own input",
            Self::Padded(..) => "Pad is supported only in front of a convolution or an average pool",
            Self::Ended(..) => "a softmax is supported only at the end",
            Self::Layer(_) | Self::Constant(_) | Self::Unknown => "it cannot read these values",
        };
        format!("{reader}: {why}")
    }

    /// Returns the value, marked if several nodes read it.
    fn shared(self, shared: bool) -> Self {
        let mark = |value: LayerValue| LayerValue { shared: shared || value.shared, ..value };
        match self {
            Self::Layer(value) => Self::Layer(mark(value)),
            other => other,
        }
    }
}

impl Converter<'_> {
    pub(super) fn opset(&self) -> i64 {
        self.graph.opset
    }

    /// Returns an input of a node; `None` if it is left out. Errors if no node gives it.
    pub(super) fn input(&self, node: &Node, at: usize) -> Result<Option<OnnxValue>, String> {
        let Some(name) = node.inputs.get(at).filter(|name| !name.is_empty()) else { return Ok(None) };
        if let Some(value) = self.values.get(name.as_str()) {
            if let OnnxValue::Constant(constant) = value {
                self.spend(constant.numbers.len())?;
            }
            return Ok(Some(value.clone()));
        }
        let constant =
            self.graph.constants.get(name).ok_or_else(|| format!("nothing gives its input {name:?}"))?;
        self.spend(constant.numbers.len())?;
        Ok(Some(OnnxValue::Constant(Constant { name: name.clone(), ..constant.clone() })))
    }

    /// Counts numbers of a constant that is read or computed.
    pub(super) fn spend(&self, numbers: usize) -> Result<(), String> {
        let left = self.left.get().checked_sub(numbers);
        self.left.set(left.ok_or_else(|| format!("constants of more than {MOST_READ} numbers are read"))?);
        Ok(())
    }

    fn finish(
        mut self,
        shape: [usize; 3],
        output: &str,
        channels_last: bool,
        ends: OutputRule,
    ) -> Result<Imported, String> {
        let (logits, ending) = match self.values.remove(output) {
            Some(OnnxValue::Layer(logits)) => (logits, FinalOp::Logits),
            Some(OnnxValue::Ended(logits, ending)) => (logits, ending),
            Some(OnnxValue::Constant(_)) | None => {
                return Err(format!("its output {output:?} does not depend on its input"));
            }
            Some(other) => return Err(other.why_not(&format!("its output {output:?}"))),
        };
        if ends == OutputRule::Logits {
            let order = logits.row_order().map_err(|_| {
                format!("its output has the sides {:?}; a row of logits is expected", logits.sides())
            })?;
            if order.is_some() {
                return Err("its output is transposed".to_owned());
            }
        } else if logits.row_order().is_err() {
            logits.image()?;
        }
        let logits = if ends == OutputRule::Anything { self.layers.with_parameters(logits)? } else { logits };
        // The decision between two classes needs the logit only.
        let before = (ends == OutputRule::Logits).then(|| self.layers.without_sigmoid(&logits)).flatten();
        let (logits, ending) = before.map_or((logits, ending), |logit| (logit, FinalOp::Sigmoid));
        let row = self.layers.row(&logits)?;
        let model = self.layers.finish(shape, row.shape.len())?;
        Ok(Imported { model, channels_last, ending })
    }
}

/// Converts a graph. `output` names one of several outputs. Errors with every node that cannot be converted, or with the
/// fault of the graph as a whole.
pub(crate) fn convert(
    graph: &OnnxGraph,
    output: Option<&str>,
    ends: OutputRule,
) -> Result<Imported, Vec<String>> {
    let whole = |what: String| vec![what];
    let output = output_of(graph, output).map_err(whole)?;
    let wanted = wanted_nodes(graph, output).map_err(whole)?;
    let mut readers: BTreeMap<&str, usize> = BTreeMap::from([(output, 1)]);
    for name in wanted.iter().flat_map(|at| &graph.nodes[*at].inputs) {
        *readers.entry(name).or_insert(0) += 1;
    }
    let input: Vec<_> = graph.inputs.iter().filter(|(name, _)| readers.contains_key(name.as_str())).collect();
    let [(name, sides)] = input[..] else {
        return Err(whole(format!("it has {} inputs that its output needs; one is expected", input.len())));
    };
    let Some((batch, sides)) = sides.split_first() else {
        return Err(whole(format!("input {name:?} has no shape")));
    };
    let sides: Option<Vec<usize>> = sides.iter().copied().collect();
    let open =
        || format!("input {name:?} has sides without a number behind the batch: export it with fixed sides");
    let sides = sides.ok_or_else(open).map_err(whole)?;
    let layout = InputLayout::of(graph, &wanted, name, &sides);
    let channels_last = layout == InputLayout::ChannelsLast;
    let images = layout.images(name, *batch, &sides).map_err(whole)?;
    let ActivationShape::Image(shape) = images.shape else { return Err(whole("it takes no images".into())) };
    let mut converter = Converter {
        graph,
        values: BTreeMap::new(),
        readers,
        layers: LayerDrafts::new(),
        quantized: false,
        left: Cell::new(MOST_READ),
    };
    let shared = converter.readers.get(name.as_str()).is_some_and(|readers| *readers > 1);
    converter.values.insert(name, OnnxValue::Layer(LayerValue { shared, ..images }));
    let mut faults = vec![];
    for at in wanted {
        let node = &graph.nodes[at];
        converter.quantized |=
            ["QLinear", "QuantizeLinear", "DequantizeLinear"].iter().any(|name| node.op.contains(name));
        let found = converter.node(node).unwrap_or_else(|reason| {
            faults.push(format!("{}: {reason}", node.title()));
            converter.values.extend(node.outputs.iter().map(|name| (name.as_str(), OnnxValue::Unknown)));
            OnnxValue::Unknown
        });
        // What follows an output that no node needs is Dropout's mask and the like.
        if let Some(name) = node.outputs.first() {
            let shared = converter.readers.get(name.as_str()).is_some_and(|readers| *readers > 1);
            converter.values.insert(name, found.shared(shared));
        }
    }
    if !faults.is_empty() {
        if converter.quantized {
            faults.insert(
                0,
                "the file is quantized already: export the network with its float weights".to_owned(),
            );
        }
        return Err(faults);
    }
    converter.finish(shape, output, channels_last, ends).map_err(whole)
}

/// Returns the output to compute. Errors if it is not there, or if none is named and there are several.
pub(crate) fn output_of<'g>(graph: &'g OnnxGraph, output: Option<&str>) -> Result<&'g str, String> {
    let all = || graph.outputs.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    match (output, &graph.outputs[..]) {
        (None, [only]) => Ok(only),
        (None, []) => Err("it has no output".to_owned()),
        (None, _) => Err(format!("it has the outputs {}: name one with `output`", all())),
        (Some(wanted), outputs) => outputs
            .iter()
            .find(|name| *name == wanted)
            .map(String::as_str)
            .ok_or_else(|| format!("it has no output {wanted:?}, but {}", all())),
    }
}

/// Returns the nodes that an output needs, each behind those whose values it reads.
fn wanted_nodes(graph: &OnnxGraph, output: &str) -> Result<Vec<usize>, String> {
    let mut givers: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, node) in graph.nodes.iter().enumerate() {
        for name in node.outputs.iter().filter(|name| !name.is_empty()) {
            if givers.insert(name, at).is_some() {
                return Err(format!("two nodes give the value {name:?}"));
            }
        }
    }
    // A node on the stack is met again when everything before it is done.
    let (mut order, mut met, mut done) = (vec![], BTreeSet::new(), BTreeSet::new());
    let mut stack: Vec<usize> = givers.get(output).copied().into_iter().collect();
    while let Some(at) = stack.pop() {
        if !met.insert(at) {
            if done.insert(at) {
                order.push(at);
            }
            continue;
        }
        stack.push(at);
        for before in graph.nodes[at].inputs.iter().rev().filter_map(|name| givers.get(name.as_str())) {
            if met.contains(before) && !done.contains(before) {
                return Err(format!("{} reads its own output", graph.nodes[*before].title()));
            }
            if !done.contains(before) {
                stack.push(*before);
            }
        }
    }
    Ok(order)
}
