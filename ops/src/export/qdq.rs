//! An integer network as an ONNX file in the form of quantize-dequantize pairs: binary32 operations between `QuantizeLinear` and
//! `DequantizeLinear`, which runtimes merge into operations on integers. Weights are INT8, or INT4 up to 4 bits.

use super::onnx::{Graph, INPUT, OUTPUT, TYPED_IR_VERSION, TYPED_OPSET, file, number, raw, tensor};
use crate::integer::inference::integer_network;
use crate::integer::network::StepOp;
use crate::integer::product::Product;
use crate::integer::roles::{ValueRole, value_roles};
use crate::integer::value_scale::ValueScale;
use crate::network::definition::{INPUT as IMAGES, Layer};
use crate::network::layer::LayerOp;
use crate::network::model::Model;
use crate::network::shape::ActivationShape;
use crate::network::wiring::Source;

/// The number types of ONNX, by their numbers in a file.
const INT8: i64 = 3;
const INT32: i64 = 6;
const INT4: i64 = 22;

/// The widest codes that are INT4.
const NARROW: u32 = 4;

/// Returns an integer network as the bytes of an ONNX file. `made_of` describes its origin, for people. The error says which parameters
/// are missing or do not fit.
pub fn write(model: &Model, made_of: &str) -> Result<Vec<u8>, String> {
    let integers = integer_network(model).map_err(|error| error.to_string())?;
    let parameters = model.integers().ok_or("it does not compute with integers")?;
    let network = model.network();
    let scale = |name: &str| parameters.values.get(name).copied().ok_or(format!("value {name} has no scale"));
    let mut graph = Graph::new(model, &[]);
    let images = graph.quantized(INPUT, (scale(IMAGES)?, true), None);
    // The name and the scale of each layer's output.
    let mut values: Vec<(String, ValueScale)> = vec![];
    let roles = value_roles(network);
    for (at, layer) in network.layers.iter().enumerate() {
        let value = |source: &Source| match source {
            Source::Images => Ok((images.clone(), scale(IMAGES)?)),
            Source::Layer(at) => Ok::<_, String>(values[*at].clone()),
        };
        let inputs = layer.sources.iter().map(value).collect::<Result<Vec<_>, _>>()?;
        let names: Vec<String> = inputs.iter().map(|(name, _)| name.clone()).collect();
        let product = integers.steps.iter().find(|step| step.layer == at).map(|step| &step.op);
        if let Some(StepOp::Product(product)) = product {
            graph.weights(layer, product, inputs[0].1);
        }
        let is_last = at + 1 == network.layers.len();
        let of_output = match roles[at] {
            ValueRole::Own => Some(scale(&layer.name)?),
            ValueRole::OfInput => Some(inputs[0].1),
            ValueRole::Fused | ValueRole::Logits => None,
        };
        let Some(of_output) = of_output else {
            let output = if is_last { OUTPUT.to_owned() } else { graph.names.unique(&layer.name) };
            graph.layer(layer, &names, &output)?;
            values.push((output, inputs[0].1));
            continue;
        };
        let output = graph.names.unique(&layer.name);
        graph.layer(layer, &names, &output)?;
        let last = is_last.then_some(OUTPUT);
        // Layers that only choose or move codes keep to the limits; runtimes do not expect a Clip behind them.
        let form = (of_output, roles[at] == ValueRole::Own);
        values.push((graph.quantized(&output, form, last), of_output));
    }
    Ok(file(graph, made_of, [TYPED_IR_VERSION, TYPED_OPSET]).bytes)
}

impl Graph<'_> {
    /// Adds the nodes that round a value to codes and back, and returns the name of their output: the given one, if one is. With `limits`, numbers can
    /// be beyond the codes.
    fn quantized(
        &mut self,
        value: &str,
        (scale, limits): (ValueScale, bool),
        output: Option<&str>,
    ) -> String {
        let [clipped, scales, zero, codes] = ["clipped", "scale", "zero_point", "codes"]
            .map(|word| self.names.unique(&format!("{value}.{word}")));
        let made = output.map_or_else(|| self.names.unique(&format!("{value}.rounded")), str::to_owned);
        self.initializers.push(tensor(&scales, &[], &[scale.scale]));
        self.initializers.push(raw(&zero, &[], INT8, vec![scale.zero_point as i8 as u8]));
        let mut from = value.to_owned();
        // ONNX's codes have 8 bits; fewer bits have smaller limits.
        if scale.bits < 8 && limits {
            let ends = ["least", "most"].map(|word| self.names.unique(&format!("{value}.{word}")));
            for (end, limit) in ends.iter().zip(scale.centered_limits()) {
                let limit = (f64::from(limit) * f64::from(scale.scale)) as f32;
                self.initializers.push(tensor(end, &[], &[limit]));
            }
            let [least, most] = ends;
            self.node("Clip", &[from, least, most], &clipped, []);
            from = clipped;
        }
        let parameters = [scales, zero];
        let reads = |from: String| -> Vec<String> { [from].into_iter().chain(parameters.clone()).collect() };
        self.node("QuantizeLinear", &reads(from), &codes, []);
        self.node("DequantizeLinear", &reads(codes), &made, []);
        made
    }

    /// Adds the weight and the bias of a layer as codes, with the nodes that dequantize them.
    fn weights(&mut self, layer: &Layer, product: &Product, input: ValueScale) {
        let outputs = product.biases.len();
        let (weight_shape, bias_shape) = match (layer.op, layer.input()) {
            // A number for each channel, which stands before height and width.
            (LayerOp::Affine, ActivationShape::Image(_)) => (vec![outputs, 1, 1], vec![outputs, 1, 1]),
            _ => (layer.op.parameters(layer.input()).0.unwrap_or_default(), vec![outputs]),
        };
        let bytes: Vec<u8> = product.codes.iter().map(|code| *code as u8).collect();
        let (kind, codes) = if product.bits <= NARROW {
            let pair = |pair: &[u8]| pair[0] & 0xf | pair.get(1).map_or(0, |high| high << 4);
            (INT4, bytes.chunks(2).map(pair).collect())
        } else {
            (INT8, bytes)
        };
        // The scales of an output without weights are those of its bias.
        let scales: Vec<f32> =
            product.scales.iter().map(|scale| (scale / f64::from(input.scale)) as f32).collect();
        let weight = self.dequantized(layer, "weight", raw_of(&weight_shape, kind, codes), &scales);
        self.given.insert(format!("{}.weight", layer.name), weight);
        if self.model.tensors().contains_key(&format!("{}.bias", layer.name)) {
            let scales: Vec<f32> = product.scales.iter().map(|scale| *scale as f32).collect();
            let bytes = product.biases.iter().flat_map(|bias| bias.to_le_bytes()).collect();
            let bias = self.dequantized(layer, "bias", raw_of(&bias_shape, INT32, bytes), &scales);
            self.given.insert(format!("{}.bias", layer.name), bias);
        }
    }

    fn dequantized(
        &mut self,
        layer: &Layer,
        word: &str,
        codes: impl FnOnce(&str) -> super::wire::Message,
        scales: &[f32],
    ) -> String {
        let output = self.names.unique(&format!("{}.{word}", layer.name));
        let [of_codes, of_scales] =
            ["codes", "scales"].map(|word| self.names.unique(&format!("{output}.{word}")));
        self.initializers.push(codes(&of_codes));
        self.initializers.push(tensor(&of_scales, &[scales.len()], scales));
        self.node("DequantizeLinear", &[of_codes, of_scales], &output, [number("axis", 0)]);
        output
    }
}

/// Returns a function that makes an initializer under a name.
fn raw_of(shape: &[usize], kind: i64, bytes: Vec<u8>) -> impl FnOnce(&str) -> super::wire::Message {
    move |name| raw(name, shape, kind, bytes)
}
