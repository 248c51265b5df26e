//! A network as an ONNX file: its layers in order, its weights as binary32 initializers. The output has the logits.

use std::collections::BTreeSet;

use super::wire::Message;
use crate::network::array::Array;
use crate::network::definition::Layer;
use crate::network::geometry::{HeightWidth, Padding};
use crate::network::layer::LayerOp;
use crate::network::model::Model;
use crate::network::shape::ActivationShape;
use crate::network::wiring::Source;

/// The version of the file's layout, and of the set of operators: the first with `HardSwish`.
const IR_VERSION: i64 = 7;
const OPSET: i64 = 14;

/// The name of the images, and of the logits.
const INPUT: &str = "input";
const OUTPUT: &str = "logits";

/// ONNX's number for binary32.
const FLOAT: i64 = 1;

/// Returns a network as the bytes of an ONNX file. `made_of` describes its origin, for people. The error is a layer that occurs
/// in training only.
pub fn write(model: &Model, made_of: &str) -> Result<Vec<u8>, String> {
    let network = model.network();
    let mut graph = Graph { model, names: Names::default(), nodes: vec![], initializers: vec![] };
    let mut values: Vec<String> = vec![];
    for (at, layer) in network.layers.iter().enumerate() {
        let inputs: Vec<String> = layer
            .sources
            .iter()
            .map(|source| match source {
                Source::Images => INPUT.to_owned(),
                Source::Layer(at) => values[*at].clone(),
            })
            .collect();
        let is_last = at + 1 == network.layers.len();
        let output = if is_last { OUTPUT.to_owned() } else { graph.names.unique(&layer.name) };
        graph.layer(layer, &inputs, &output)?;
        values.push(output);
    }
    let [channels, height, width] = network.input;
    let body = Message::default()
        .messages(1, graph.nodes)
        .bytes(2, "fewbits")
        .messages(5, graph.initializers)
        .messages(11, [value(INPUT, &[channels, height, width])])
        .messages(12, [value(OUTPUT, &[network.classes])]);
    let operators = Message::default().bytes(1, "").number(2, OPSET);
    let described = Message::default().bytes(1, "made_of").bytes(2, made_of);
    let file = Message::default()
        .number(1, IR_VERSION)
        .bytes(2, "fewbits")
        .bytes(3, env!("CARGO_PKG_VERSION"))
        .message(7, &body)
        .message(8, &operators)
        .message(14, &described);
    Ok(file.into_bytes())
}

/// The names in use, so that every value has one of its own.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl Names {
    /// Returns the name of a value: the wanted one, unless something else has it.
    fn unique(&mut self, wanted: &str) -> String {
        let is_reserved = |name: &str| name == INPUT || name == OUTPUT;
        let mut name = wanted.to_owned();
        while is_reserved(&name) || !self.0.insert(name.clone()) {
            name.push('_');
        }
        name
    }
}

struct Graph<'m> {
    model: &'m Model,
    names: Names,
    nodes: Vec<Message>,
    initializers: Vec<Message>,
}

impl Graph<'_> {
    /// Adds the nodes of a layer.
    fn layer(&mut self, layer: &Layer, inputs: &[String], output: &str) -> Result<(), String> {
        let input = inputs[0].as_str();
        match &layer.op {
            LayerOp::Conv { kernel, stride, padding, dilation, groups, .. } => {
                let mut reads = vec![input.to_owned(), self.parameter(layer, "weight", None)?];
                reads.extend(self.parameter(layer, "bias", None).ok());
                let attributes = [
                    numbers("kernel_shape", both(*kernel)),
                    numbers("strides", both(*stride)),
                    numbers("dilations", both(*dilation)),
                    numbers("pads", edges(*padding)),
                    number("group", *groups),
                ];
                self.node("Conv", &reads, output, attributes);
            }
            LayerOp::Linear { .. } => {
                let mut reads = vec![input.to_owned(), self.parameter(layer, "weight", None)?];
                reads.extend(self.parameter(layer, "bias", None).ok());
                self.node("Gemm", &reads, output, [number("transB", 1)]);
            }
            LayerOp::Affine => {
                // A number for each channel, which stands before height and width.
                let spread = match layer.input() {
                    ActivationShape::Image([channels, ..]) => Some(vec![channels, 1, 1]),
                    ActivationShape::Row(_) => None,
                };
                let product = self.names.unique(&format!("{}.product", layer.name));
                let weight = self.parameter(layer, "weight", spread.clone())?;
                self.node("Mul", &[input.to_owned(), weight], &product, []);
                let bias = self.parameter(layer, "bias", spread)?;
                self.node("Add", &[product, bias], output, []);
            }
            LayerOp::Relu => self.node("Relu", inputs, output, []),
            LayerOp::Relu6 => {
                let ends = [("least", 0.0), ("most", 6.0)].map(|(word, end)| {
                    let name = self.names.unique(&format!("{}.{word}", layer.name));
                    self.initializers.push(tensor(&name, &[], &[end]));
                    name
                });
                let reads: Vec<String> = std::iter::once(input.to_owned()).chain(ends).collect();
                self.node("Clip", &reads, output, []);
            }
            LayerOp::LeakyRelu { slope } => {
                self.node("LeakyRelu", inputs, output, [float("alpha", *slope as f32)]);
            }
            LayerOp::Sigmoid => self.node("Sigmoid", inputs, output, []),
            LayerOp::Tanh => self.node("Tanh", inputs, output, []),
            LayerOp::HardSwish => self.node("HardSwish", inputs, output, []),
            LayerOp::MaxPool { size, stride, padding } => {
                let attributes = [
                    numbers("kernel_shape", both(*size)),
                    numbers("strides", both(*stride)),
                    numbers("pads", edges(*padding)),
                ];
                self.node("MaxPool", inputs, output, attributes);
            }
            LayerOp::AvgPool { size, stride, padding, count_padding } => {
                let attributes = [
                    numbers("kernel_shape", both(*size)),
                    numbers("strides", both(*stride)),
                    numbers("pads", edges(*padding)),
                    number("count_include_pad", usize::from(*count_padding)),
                ];
                self.node("AveragePool", inputs, output, attributes);
            }
            LayerOp::GlobalAvgPool => self.node("GlobalAveragePool", inputs, output, []),
            LayerOp::Flatten => self.node("Flatten", inputs, output, [number("axis", 1)]),
            LayerOp::Add => self.sum(layer, inputs, output),
            LayerOp::Concat => self.node("Concat", inputs, output, [number("axis", 1)]),
            LayerOp::BatchNorm { .. } | LayerOp::Dropout { .. } => {
                return Err(format!("layer {}: {} occurs in training only", layer.name, layer.op.kind()));
            }
        }
        Ok(())
    }

    /// Adds inputs one after the other, as fewbits does.
    fn sum(&mut self, layer: &Layer, inputs: &[String], output: &str) {
        let mut sum = inputs[0].clone();
        for (at, input) in inputs.iter().enumerate().skip(1) {
            let name = if at + 1 == inputs.len() {
                output.to_owned()
            } else {
                self.names.unique(&format!("{}.sum{at}", layer.name))
            };
            self.node("Add", &[sum, input.clone()], &name, []);
            sum = name;
        }
    }

    fn node(
        &mut self,
        op: &str,
        inputs: &[String],
        output: &str,
        attributes: impl IntoIterator<Item = Message>,
    ) {
        let node = inputs.iter().fold(Message::default(), |node, input| node.bytes(1, input));
        self.nodes.push(node.bytes(2, output).bytes(3, output).bytes(4, op).messages(5, attributes));
    }

    /// Adds a parameter of a layer, in another shape if one is given, and returns its name.
    fn parameter(&mut self, layer: &Layer, word: &str, shape: Option<Vec<usize>>) -> Result<String, String> {
        let name = format!("{}.{word}", layer.name);
        let array: &Array =
            self.model.tensors().get(&name).ok_or_else(|| format!("there is no tensor {name}"))?;
        let unique = self.names.unique(&name);
        let shape = shape.unwrap_or_else(|| array.shape().to_vec());
        self.initializers.push(tensor(&unique, &shape, array.numbers()));
        Ok(unique)
    }
}

/// Returns the two numbers of a window.
fn both(of: HeightWidth) -> Vec<usize> {
    of.both().to_vec()
}

/// Returns the edges in ONNX's order: the beginnings of both sides, then their ends.
fn edges(padding: Padding) -> Vec<usize> {
    vec![padding.top, padding.left, padding.bottom, padding.right]
}

fn tensor(name: &str, shape: &[usize], data: &[f32]) -> Message {
    let bytes: Vec<u8> = data.iter().flat_map(|number| number.to_le_bytes()).collect();
    Message::default().numbers(1, shape.iter().copied()).number(2, FLOAT).bytes(8, name).bytes(9, bytes)
}

/// Describes an input or output: any number of images, then this shape.
fn value(name: &str, shape: &[usize]) -> Message {
    let images = Message::default().bytes(2, "images");
    let sides = shape.iter().map(|side| Message::default().number(1, *side as i64));
    let shape = Message::default().messages(1, std::iter::once(images).chain(sides));
    let kind = Message::default().number(1, FLOAT).message(2, &shape);
    Message::default().bytes(1, name).message(2, &Message::default().message(1, &kind))
}

// The types of attributes are ONNX's: 1 a binary32 number, 2 a whole number, 7 whole numbers.

fn number(name: &str, value: usize) -> Message {
    Message::default().bytes(1, name).number(3, value as i64).number(20, 2)
}

fn float(name: &str, value: f32) -> Message {
    Message::default().bytes(1, name).float(2, value).number(20, 1)
}

fn numbers(name: &str, values: Vec<usize>) -> Message {
    Message::default().bytes(1, name).numbers(8, values).number(20, 7)
}
