//! A network as an ONNX file: its layers in order, its weights as binary32 initializers, or in ONNX's types with the nodes that
//! dequantize them. The output has the logits.

use std::collections::{BTreeMap, BTreeSet};

use super::typed::TypedTensor;
use super::wire::Message;
use crate::network::array::Array;
use crate::network::definition::Layer;
use crate::network::geometry::{HeightWidth, Padding};
use crate::network::layer::LayerOp;
use crate::network::model::Model;
use crate::network::shape::ActivationShape;
use crate::network::wiring::Source;
use crate::quantize::Encoded;

/// The version of the file's layout, and of the set of operators: the first with `HardSwish`.
const IR_VERSION: i64 = 7;
const OPSET: i64 = 14;

/// The versions of files with quantized tensors: the first with integers of 4 bits and with blocks.
pub(super) const TYPED_IR_VERSION: i64 = 10;
pub(super) const TYPED_OPSET: i64 = 21;

/// The name of the images, and of the logits.
pub(super) const INPUT: &str = "input";
pub(super) const OUTPUT: &str = "logits";

/// ONNX's numbers for binary32 and for whole numbers of 64 bits.
const FLOAT: i64 = 1;
const INT64: i64 = 7;

/// An ONNX file with quantized tensors.
pub struct TypedFile {
    /// The file.
    pub bytes: Vec<u8>,
    /// The quantized tensors that are binary32 in the file, as ONNX has no type for them.
    pub plain: Vec<String>,
}

/// Returns a network as the bytes of an ONNX file. `made_of` describes its origin, for people. The error is a layer that occurs
/// in training only.
pub fn write(model: &Model, made_of: &str) -> Result<Vec<u8>, String> {
    Ok(write_with(model, &[], made_of, [IR_VERSION, OPSET])?.bytes)
}

/// Returns a network as an ONNX file as [`write`] does, with its quantized tensors in ONNX's types as far as they exist.
pub fn write_typed(model: &Model, tensors: &[Encoded], made_of: &str) -> Result<TypedFile, String> {
    write_with(model, tensors, made_of, [TYPED_IR_VERSION, TYPED_OPSET])
}

fn write_with(
    model: &Model,
    tensors: &[Encoded],
    made_of: &str,
    [ir_version, opset]: [i64; 2],
) -> Result<TypedFile, String> {
    let network = model.network();
    let mut graph = Graph::new(model, tensors);
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
    Ok(file(graph, made_of, [ir_version, opset]))
}

/// Returns the file of a graph.
pub(super) fn file(graph: Graph<'_>, made_of: &str, [ir_version, opset]: [i64; 2]) -> TypedFile {
    let network = graph.model.network();
    let [channels, height, width] = network.input;
    let body = Message::default()
        .messages(1, graph.nodes)
        .bytes(2, "fewbits")
        .messages(5, graph.initializers)
        .messages(11, [value(INPUT, &[channels, height, width])])
        .messages(12, [value(OUTPUT, &[network.classes])]);
    let operators = Message::default().bytes(1, "").number(2, opset);
    let described = Message::default().bytes(1, "made_of").bytes(2, made_of);
    let file = Message::default()
        .number(1, ir_version)
        .bytes(2, "fewbits")
        .bytes(3, env!("CARGO_PKG_VERSION"))
        .message(7, &body)
        .message(8, &operators)
        .message(14, &described);
    TypedFile { bytes: file.into_bytes(), plain: graph.plain }
}

/// The names in use, so that every value has one of its own.
#[derive(Default)]
pub(super) struct Names(BTreeSet<String>);

impl Names {
    /// Returns the name of a value: the wanted one, unless something else has it.
    pub(super) fn unique(&mut self, wanted: &str) -> String {
        let is_reserved = |name: &str| name == INPUT || name == OUTPUT;
        let mut name = wanted.to_owned();
        while is_reserved(&name) || !self.0.insert(name.clone()) {
            name.push('_');
        }
        name
    }
}

/// The nodes and initializers of a file.
pub(super) struct Graph<'m> {
    pub model: &'m Model,
    /// The quantized tensors by name; none if the file has binary32 alone.
    tensors: BTreeMap<&'m str, &'m Encoded>,
    /// The values that stand for parameters, by the parameters' names.
    pub given: BTreeMap<String, String>,
    pub names: Names,
    nodes: Vec<Message>,
    pub initializers: Vec<Message>,
    plain: Vec<String>,
}

impl<'m> Graph<'m> {
    pub(super) fn new(model: &'m Model, tensors: &'m [Encoded]) -> Self {
        Self {
            model,
            tensors: tensors.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect(),
            given: BTreeMap::new(),
            names: Names::default(),
            nodes: vec![],
            initializers: vec![],
            plain: vec![],
        }
    }

    /// Adds the nodes of a layer.
    pub(super) fn layer(&mut self, layer: &Layer, inputs: &[String], output: &str) -> Result<(), String> {
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

    pub(super) fn node(
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
        if let Some(given) = self.given.get(&name) {
            return Ok(given.clone());
        }
        let array: &Array =
            self.model.tensors().get(&name).ok_or_else(|| format!("there is no tensor {name}"))?;
        let unique = self.names.unique(&name);
        let shape = shape.unwrap_or_else(|| array.shape().to_vec());
        if let Some(of) = self.tensors.get(name.as_str()).filter(|of| of.codes.is_some()) {
            match TypedTensor::of(of) {
                Some(typed) => {
                    self.dequantize(&typed, &shape, &unique);
                    return Ok(unique);
                }
                None => self.plain.push(name),
            }
        }
        self.initializers.push(tensor(&unique, &shape, array.numbers()));
        Ok(unique)
    }

    /// Adds a quantized tensor and the nodes that make its numbers.
    fn dequantize(&mut self, typed: &TypedTensor, shape: &[usize], output: &str) {
        let [rows, in_row] = typed.groups;
        // One scale, one for each row, or one for each block of a row, in which the shape is rows x numbers.
        let (of_scales, attributes, is_flat) = match (rows, in_row) {
            (1, 1) => (vec![], vec![], false),
            (_, 1) if shape.first() == Some(&rows) => (vec![rows], vec![number("axis", 0)], false),
            (_, 1) => (vec![rows], vec![number("axis", 0)], true),
            _ => (vec![rows, in_row], vec![number("axis", 1), number("block_size", typed.block)], true),
        };
        let of_codes = if is_flat { vec![rows, typed.row] } else { shape.to_vec() };
        let [codes, scales, zero_points, made, sides] = ["codes", "scales", "zero_points", "rows", "shape"]
            .map(|word| self.names.unique(&format!("{output}.{word}")));
        self.initializers.push(raw(&codes, &of_codes, typed.kind, typed.elements.clone()));
        self.initializers.push(tensor(&scales, &of_scales, &typed.scales));
        let mut reads = vec![codes, scales];
        if !typed.zero_points.is_empty() {
            self.initializers.push(raw(&zero_points, &of_scales, typed.kind, typed.zero_points.clone()));
            reads.push(zero_points);
        }
        if !is_flat || of_codes == shape {
            self.node("DequantizeLinear", &reads, output, attributes);
            return;
        }
        self.node("DequantizeLinear", &reads, &made, attributes);
        let bytes = shape.iter().flat_map(|side| (*side as i64).to_le_bytes()).collect();
        self.initializers.push(raw(&sides, &[shape.len()], INT64, bytes));
        self.node("Reshape", &[made, sides], output, []);
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

pub(super) fn tensor(name: &str, shape: &[usize], data: &[f32]) -> Message {
    raw(name, shape, FLOAT, data.iter().flat_map(|number| number.to_le_bytes()).collect())
}

/// Returns an initializer of a type with its numbers as bytes.
pub(super) fn raw(name: &str, shape: &[usize], kind: i64, bytes: Vec<u8>) -> Message {
    Message::default().numbers(1, shape.iter().copied()).number(2, kind).bytes(8, name).bytes(9, bytes)
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

pub(super) fn number(name: &str, value: usize) -> Message {
    Message::default().bytes(1, name).number(3, value as i64).number(20, 2)
}

fn float(name: &str, value: f32) -> Message {
    Message::default().bytes(1, name).float(2, value).number(20, 1)
}

fn numbers(name: &str, values: Vec<usize>) -> Message {
    Message::default().bytes(1, name).numbers(8, values).number(20, 7)
}
