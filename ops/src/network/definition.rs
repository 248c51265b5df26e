//! A network with every shape known: layers in order, names, parameters and cost. Knows nothing of weight
//! values or of training.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::network::architecture::{Architecture, LayerSpec};
use crate::network::kernels::conv::GRADIENT_PARTS;
use crate::network::kernels::lanes::{LANES, blocks};
use crate::network::layer::{ActivationShape, LayerOp};

/// The name that stands for the images in the input list of the first layer.
const INPUT: &str = "input";

/// An error in the definition of a network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}{what}", place(*layer, kind))]
pub struct ModelError {
    /// Index of the faulty layer, from 0, in the experiment file's list of layers, or in the resolved list
    /// for a multilayer perceptron or a model file; `None` if the fault is in the network as a whole.
    pub layer: Option<usize>,
    /// Kind of the layer.
    pub kind: &'static str,
    /// Description of the fault and of the fix.
    pub what: String,
}

fn place(layer: Option<usize>, kind: &str) -> String {
    layer.map_or("network: ".into(), |layer| format!("layer {} ({kind}): ", layer + 1))
}

/// One layer of a [`Network`].
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Name of the layer, unique in the network.
    pub name: String,
    /// Operation of the layer.
    pub op: LayerOp,
    /// Shape of the input.
    pub input: ActivationShape,
    /// Shape of the output.
    pub output: ActivationShape,
}

/// The role of a parameter in its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Factor of the inputs.
    Weight,
    /// Term added to the outputs.
    Bias,
}

/// One parameter tensor of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Name: `layer.weight` or `layer.bias`.
    pub name: String,
    /// Dimensions, outputs first.
    pub shape: Vec<usize>,
    /// Index of the layer that has the parameter.
    pub layer: usize,
    /// Role in the layer.
    pub role: Role,
}

/// A network with every shape known.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// Channels, height and width of the images.
    pub input: [usize; 3],
    /// Number of logits.
    pub classes: usize,
    /// Layers in order; the input of each layer is the output of the layer before it.
    pub layers: Vec<Layer>,
}

/// The JSON form of a network in a model file.
#[derive(Serialize, Deserialize)]
struct Stored {
    input: [usize; 3],
    classes: usize,
    layers: Vec<StoredLayer>,
}

#[derive(Serialize, Deserialize)]
struct StoredLayer {
    name: String,
    inputs: Vec<String>,
    #[serde(flatten)]
    op: LayerOp,
}

impl Network {
    /// Computes every shape of a network for images of shape `input` and `classes` classes. Errors at the
    /// first layer that cannot take its input, has a bad field or has a bad name, or if the last layer does
    /// not give `classes` numbers.
    pub fn resolve(
        architecture: &Architecture,
        input: [usize; 3],
        classes: usize,
    ) -> Result<Self, ModelError> {
        let resolved = architecture.resolved(classes);
        let Architecture::Layers(layers) = &resolved else {
            return Err(whole("it does not resolve to layers"));
        };
        // A fault carries the layer's index in the experiment file, where Dropout layers of p = 0 count.
        let written: Vec<usize> = match architecture {
            Architecture::Layers(specs) => {
                (0..specs.len()).filter(|at| !matches!(specs[*at], LayerSpec::Dropout { p: 0.0 })).collect()
            }
            Architecture::Mlp { .. } => (0..layers.len()).collect(),
        };
        let network = Self::chain(input, classes, layers.iter().map(LayerOp::from_spec).collect());
        network.map_err(|fault| ModelError { layer: fault.layer.map(|at| written[at]), ..fault })
    }

    /// Computes every shape of a chain of layers. The default name of a layer is its kind and its count
    /// within that kind.
    pub(crate) fn chain(
        input: [usize; 3],
        classes: usize,
        ops: Vec<(LayerOp, Option<String>)>,
    ) -> Result<Self, ModelError> {
        let mut shape = ActivationShape::Image(input);
        if input.iter().try_fold(1_usize, |all, side| all.checked_mul(*side)).is_none_or(|all| all == 0) {
            return Err(whole(&format!("images of {} x {} x {} hold nothing", input[0], input[1], input[2])));
        }
        let mut layers: Vec<Layer> = Vec::with_capacity(ops.len());
        for (at, (op, name)) in ops.into_iter().enumerate() {
            let fault = |what: String| ModelError { layer: Some(at), kind: op.kind(), what };
            let count = layers.iter().filter(|layer| layer.op.kind() == op.kind()).count() + 1;
            let name = name.unwrap_or_else(|| format!("{}{count}", op.kind()));
            check_name(&name, &layers).map_err(fault)?;
            let output = op.output(shape).map_err(fault)?;
            layers.push(Layer { name, op, input: shape, output });
            shape = output;
        }
        let network = Self { input, classes, layers };
        network.check_end(shape)?;
        Ok(network)
    }

    fn check_end(&self, output: ActivationShape) -> Result<(), ModelError> {
        let Some(last) = self.layers.last() else {
            return Err(whole("it has no layers"));
        };
        if output != ActivationShape::Row(self.classes) {
            let what = match output {
                ActivationShape::Row(n) => {
                    format!("the last layer gives {n} numbers, but there are {} classes", self.classes)
                }
                ActivationShape::Image(_) => {
                    format!("the last layer gives an image; end with Linear({})", self.classes)
                }
            };
            return Err(ModelError { layer: Some(self.layers.len() - 1), kind: last.op.kind(), what });
        }
        if self.parameters().is_empty() {
            return Err(whole("it has no parameters to train"));
        }
        Ok(())
    }

    /// Returns the parameters, layer by layer, each weight before its bias.
    #[must_use]
    pub fn parameters(&self) -> Vec<Parameter> {
        let mut parameters = Vec::new();
        for (at, layer) in self.layers.iter().enumerate() {
            let (weight, bias) = layer.op.parameters(layer.input);
            for (role, word, shape) in [(Role::Weight, "weight", weight), (Role::Bias, "bias", bias)] {
                if let Some(shape) = shape {
                    parameters.push(Parameter {
                        name: format!("{}.{word}", layer.name),
                        shape,
                        layer: at,
                        role,
                    });
                }
            }
        }
        parameters
    }

    /// Returns the total count of numbers in all parameters.
    #[must_use]
    pub fn parameter_count(&self) -> u64 {
        self.parameters().iter().map(|parameter| parameter.shape.iter().product::<usize>() as u64).sum()
    }

    /// Returns the number of multiply-accumulates of convolutions and linear layers for one image.
    #[must_use]
    pub fn multiply_accumulates(&self) -> u64 {
        let costs = self.layers.iter().map(|layer| layer.op.multiply_accumulates(layer.input, layer.output));
        costs.fold(0, u64::saturating_add)
    }

    /// Returns an estimate of the memory of a training, in bytes. The estimate counts parameters, gradients
    /// and two moments; the partial weight gradients of convolutions; and the outputs of all layers with
    /// their gradients, for a batch rounded up to whole blocks.
    #[must_use]
    pub fn training_bytes(&self, batch: usize) -> u64 {
        let add = |all: u64, layer: &Layer| all.saturating_add(layer.output.len() as u64);
        let images = (blocks(batch) * LANES) as u64;
        let activations = self.layers.iter().fold(0, add).saturating_mul(2).saturating_mul(images);
        let weights = self.layers.iter().filter(|layer| matches!(layer.op, LayerOp::Conv { .. }));
        let weights = weights.filter_map(|layer| Some(layer.op.parameters(layer.input).0?.iter().product()));
        let weights = weights.fold(0, |all: u64, count: usize| all.saturating_add(count as u64));
        let parts = weights.saturating_mul(blocks(batch).min(GRADIENT_PARTS) as u64);
        let parameters = self.parameter_count().saturating_mul(4).saturating_add(parts);
        parameters.saturating_add(activations).saturating_mul(4)
    }

    /// Returns the network as canonical JSON (RFC 8785): input, classes, and a list of layers with named
    /// inputs.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let inputs = std::iter::once(INPUT).chain(self.layers.iter().map(|layer| layer.name.as_str()));
        let layers = self.layers.iter().zip(inputs).map(|(layer, input)| StoredLayer {
            name: layer.name.clone(),
            inputs: vec![input.into()],
            op: layer.op,
        });
        let stored = Stored { input: self.input, classes: self.classes, layers: layers.collect() };
        serde_json_canonicalizer::to_string(&stored)
    }

    /// Decodes the output of [`Network::to_json`]. Errors for any other text, even for another spelling of
    /// the same network.
    pub fn from_json(text: &str) -> Result<Self, ModelError> {
        let stored: Stored = serde_json::from_str(text).map_err(|fault| whole(&fault.to_string()))?;
        let ops = stored.layers.into_iter().map(|layer| (layer.op, Some(layer.name))).collect();
        let network = Self::chain(stored.input, stored.classes, ops)?;
        match network.to_json() {
            Ok(canonical) if canonical == text => Ok(network),
            _ => Err(whole("its JSON is not in canonical form, or its layers are not a chain")),
        }
    }
}

fn whole(what: &str) -> ModelError {
    ModelError { layer: None, kind: "network", what: what.into() }
}

fn check_name(name: &str, before: &[Layer]) -> Result<(), String> {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if !name.as_bytes().first().is_some_and(u8::is_ascii_lowercase) || !name.bytes().all(word) {
        return Err(format!("name {name:?} must be a lowercase letter, then lowercase letters, digits or _"));
    }
    if name == INPUT || before.iter().any(|layer| layer.name == name) {
        return Err(format!("name {name:?} is taken; name each layer differently"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(specs: Vec<LayerSpec>) -> Result<Network, ModelError> {
        Network::resolve(&Architecture::Layers(specs), [3, 32, 32], 10)
    }

    /// The sizes of LeNet-5 come from the literature: 61,706 parameters, 416,520 multiply-accumulates.
    #[test]
    fn the_cost_of_lenet_5_is_the_known_one() {
        let lenet = Architecture::Layers(vec![
            LayerSpec::Conv {
                out: 6,
                kernel: 5,
                stride: 1,
                padding: 2,
                dilation: 1,
                groups: 1,
                bias: true,
                name: None,
            },
            LayerSpec::Relu,
            LayerSpec::max_pool(2),
            LayerSpec::conv(16, 5),
            LayerSpec::Relu,
            LayerSpec::max_pool(2),
            LayerSpec::Flatten,
            LayerSpec::linear(120),
            LayerSpec::Relu,
            LayerSpec::linear(84),
            LayerSpec::Relu,
            LayerSpec::linear(10),
        ]);
        let network = Network::resolve(&lenet, [1, 28, 28], 10).unwrap();
        assert_eq!((network.parameter_count(), network.multiply_accumulates()), (61_706, 416_520));
        let parameters = network.parameters();
        assert_eq!(
            (parameters[2].name.as_str(), parameters[2].shape.as_slice()),
            ("conv2.weight", &[16, 6, 5, 5][..])
        );
        let text = network.to_json().unwrap();
        assert_eq!(Network::from_json(&text).unwrap(), network);
        assert!(
            text.contains(r#"{"bias":true,"inputs":["flatten1"],"name":"linear1","op":"linear","out":120}"#)
        );
    }

    #[test]
    fn faults_say_the_layer_and_what_to_do() {
        let check = |specs: Vec<LayerSpec>, expected: &str| {
            assert_eq!(layers(specs).unwrap_err().to_string(), expected);
        };
        let named = |name: &str| LayerSpec::Linear { out: 10, bias: true, name: Some(name.into()) };
        check(vec![], "network: it has no layers");
        check(
            vec![LayerSpec::linear(10)],
            "layer 1 (linear): its input is an image of 3 x 32 x 32; put Flatten before it",
        );
        check(
            vec![LayerSpec::Dropout { p: 0.0 }, LayerSpec::Flatten, LayerSpec::linear(9)],
            "layer 3 (linear): the last layer gives 9 numbers, but there are 10 classes",
        );
        check(vec![LayerSpec::Relu], "layer 1 (relu): the last layer gives an image; end with Linear(10)");
        check(
            vec![LayerSpec::Flatten, named("a"), named("a")],
            "layer 3 (linear): name \"a\" is taken; name each layer differently",
        );
        check(
            vec![LayerSpec::Flatten, named("linear2"), LayerSpec::linear(10)],
            "layer 3 (linear): name \"linear2\" is taken; name each layer differently",
        );
        check(
            vec![LayerSpec::Flatten, named("A")],
            "layer 2 (linear): name \"A\" must be a lowercase letter, then lowercase letters, digits or _",
        );
        let bare =
            Network::resolve(&Architecture::Layers(vec![LayerSpec::Flatten]), [1, 2, 5], 10).unwrap_err();
        assert_eq!(bare.to_string(), "network: it has no parameters to train");
    }

    /// The models in existing stores contain this JSON form, so a change makes these models unreadable. The
    /// text has every kind of layer with every field.
    #[test]
    fn the_stored_form_of_every_layer_is_pinned() {
        let text = concat!(
            r#"{"classes":10,"input":[1,12,12],"layers":["#,
            r#"{"bias":false,"dilation":2,"groups":1,"inputs":["input"],"kernel":3,"name":"first","op":"conv","out":4,"padding":1,"stride":2},"#,
            r#"{"eps":0.001,"inputs":["first"],"momentum":0.5,"name":"norm","op":"batch_norm"},"#,
            r#"{"inputs":["norm"],"name":"affine1","op":"affine"},"#,
            r#"{"inputs":["affine1"],"name":"relu1","op":"relu"},"#,
            r#"{"inputs":["relu1"],"name":"maxpool1","op":"max_pool","size":2,"stride":1},"#,
            r#"{"inputs":["maxpool1"],"name":"flatten1","op":"flatten"},"#,
            r#"{"inputs":["flatten1"],"name":"dropout1","op":"dropout","p":0.125},"#,
            r#"{"bias":true,"inputs":["dropout1"],"name":"last","op":"linear","out":10}]}"#
        );
        let network = Network::from_json(text).unwrap();
        assert_eq!(network.to_json().unwrap(), text);
        let kinds = network.layers.iter().map(|layer| layer.op.kind()).collect::<Vec<_>>();
        assert_eq!(kinds, ["conv", "batchnorm", "affine", "relu", "maxpool", "flatten", "dropout", "linear"]);
    }

    #[test]
    fn foreign_json_is_refused() {
        let network = layers(vec![LayerSpec::Flatten, LayerSpec::linear(10)]).unwrap();
        let text = network.to_json().unwrap();
        for (from, to) in [
            ("\"inputs\":[\"flatten1\"]", "\"inputs\":[\"input\"]"),
            ("\"classes\"", "\"more\":1,\"classes\""),
            ("\"classes\"", " \"classes\""),
            ("[3,32,32]", "[3,32,0]"),
            ("[3,32,32]", "[4294967296,4294967296,4294967296]"),
            ("\"out\":10", "\"out\":-10"),
            ("\"op\":\"linear\"", "\"op\":\"linearr\""),
        ] {
            let bad = text.replacen(from, to, 1);
            assert_ne!(bad, text);
            assert!(Network::from_json(&bad).is_err(), "{bad}");
        }
    }
}
