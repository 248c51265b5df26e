//! A network with every shape known: a graph of layers, their names, parameters and cost. Knows nothing of weight
//! values or of training.

use thiserror::Error;

use crate::network::architecture::Architecture;
use crate::network::layer::LayerOp;
use crate::network::shape::ActivationShape;
use crate::network::wiring::{FoldRole, Foldable, LayerPlace, Source, WiredSpec, wire};

/// The name that stands for the images in the input list of the first layer.
pub(crate) const INPUT: &str = "input";

/// An error in the definition of a network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}{what}", place(layer.as_ref(), kind))]
pub struct ModelError {
    /// Place of the faulty layer in the experiment file or in a model file; `None` if the fault is in the network as a
    /// whole.
    pub layer: Option<LayerPlace>,
    /// Kind of the layer.
    pub kind: &'static str,
    /// Description of the fault and of the fix.
    pub what: String,
}

fn place(layer: Option<&LayerPlace>, kind: &str) -> String {
    layer.map_or("network: ".into(), |layer| format!("layer {layer} ({kind}): "))
}

/// One layer of a [`Network`].
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Name of the layer, unique in the network.
    pub name: String,
    /// Operation of the layer.
    pub op: LayerOp,
    /// What the layer reads: one value, or one for each branch that it joins.
    pub sources: Vec<Source>,
    /// Shape of each input.
    pub inputs: Vec<ActivationShape>,
    /// Shape of the output.
    pub output: ActivationShape,
}

impl Layer {
    /// Returns the shape of the first input.
    #[must_use]
    pub fn input(&self) -> ActivationShape {
        self.inputs[0]
    }
}

impl Foldable for Layer {
    fn role(&self) -> FoldRole {
        self.op.fold_role()
    }

    fn sources(&self) -> &[Source] {
        &self.sources
    }
}

/// A layer before its shapes are known.
#[derive(Clone, Debug)]
pub(crate) struct UnshapedLayer {
    pub name: String,
    pub op: LayerOp,
    pub sources: Vec<Source>,
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
    /// Layers in the order of the forward pass: each reads the images or layers before it, and the last one gives the
    /// logits.
    pub layers: Vec<Layer>,
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
        let mut network = Self::without_layers(input, classes)?;
        let wired = wire(architecture, classes);
        for WiredSpec { spec, name, sources, place } in &wired {
            let kind = spec.written_kind();
            let fault = |what: String| ModelError { layer: Some(place.clone()), kind, what };
            spec.check_branches().map_err(fault)?;
            let first = network.shapes(sources).map_err(fault)?[0];
            let op = LayerOp::from_spec(spec, first).map_err(fault)?;
            network
                .push(UnshapedLayer { name: name.clone(), op, sources: sources.clone() })
                .map_err(fault)?;
        }
        network.check_end(|at| wired[at].place.clone())?;
        Ok(network)
    }

    /// Computes every shape of some layers. Errors like [`Network::resolve`], and if a layer reads no earlier layer or
    /// is read by none.
    pub(crate) fn new(
        input: [usize; 3],
        classes: usize,
        layers: Vec<UnshapedLayer>,
    ) -> Result<Self, ModelError> {
        let mut network = Self::without_layers(input, classes)?;
        for (at, layer) in layers.into_iter().enumerate() {
            let kind = layer.op.kind();
            let fault = |what: String| ModelError { layer: Some(LayerPlace::number(at)), kind, what };
            network.push(layer).map_err(fault)?;
        }
        network.check_end(LayerPlace::number)?;
        Ok(network)
    }

    fn without_layers(input: [usize; 3], classes: usize) -> Result<Self, ModelError> {
        if input.iter().try_fold(1_usize, |all, side| all.checked_mul(*side)).is_none_or(|all| all == 0) {
            return Err(whole(&format!("images of {} x {} x {} hold nothing", input[0], input[1], input[2])));
        }
        Ok(Self { input, classes, layers: vec![] })
    }

    /// Returns the shapes of values. Errors without one, or if a layer is not there yet.
    fn shapes(&self, sources: &[Source]) -> Result<Vec<ActivationShape>, String> {
        let shape = |source: &Source| match source {
            Source::Images => Some(ActivationShape::Image(self.input)),
            Source::Layer(at) => self.layers.get(*at).map(|layer| layer.output),
        };
        let shapes: Option<Vec<ActivationShape>> = sources.iter().map(shape).collect();
        shapes.filter(|shapes| !shapes.is_empty()).ok_or_else(|| "it reads no earlier layer".to_owned())
    }

    fn push(&mut self, UnshapedLayer { name, op, sources }: UnshapedLayer) -> Result<(), String> {
        check_name(&name, &self.layers)?;
        let inputs = self.shapes(&sources)?;
        let output = op.output(&inputs)?;
        self.layers.push(Layer { name, op, sources, inputs, output });
        Ok(())
    }

    /// Returns the number of layers that read each layer.
    #[must_use]
    pub fn readers(&self) -> Vec<usize> {
        let mut readers = vec![0; self.layers.len()];
        for source in self.layers.iter().flat_map(|layer| &layer.sources) {
            if let Source::Layer(at) = source {
                readers[*at] += 1;
            }
        }
        readers
    }

    fn check_end(&self, place: impl Fn(usize) -> LayerPlace) -> Result<(), ModelError> {
        let Some(last) = self.layers.last() else {
            return Err(whole("it has no layers"));
        };
        let fault = |at: usize, what: String| {
            Err(ModelError { layer: Some(place(at)), kind: self.layers[at].op.kind(), what })
        };
        let unread = self.readers().iter().position(|readers| *readers == 0);
        if let Some(at) = unread.filter(|at| at + 1 < self.layers.len()) {
            return fault(at, "no layer reads its output".to_owned());
        }
        let output = last.output;
        if output != ActivationShape::Row(self.classes) {
            let what = match output {
                ActivationShape::Row(n) => {
                    format!("the last layer gives {n} numbers, but there are {} classes", self.classes)
                }
                ActivationShape::Image(_) => {
                    format!("the last layer gives an image; end with Linear({})", self.classes)
                }
            };
            return fault(self.layers.len() - 1, what);
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
            let (weight, bias) = layer.op.parameters(layer.input());
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
        let costs =
            self.layers.iter().map(|layer| layer.op.multiply_accumulates(layer.input(), layer.output));
        costs.fold(0, u64::saturating_add)
    }
}

pub(super) fn whole(what: &str) -> ModelError {
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
    use crate::network::architecture::LayerSpec;
    use crate::network::geometry::{Padding, PaddingSpec};

    fn layers(specs: Vec<LayerSpec>) -> Result<Network, ModelError> {
        Network::resolve(&Architecture::Layers(specs), [3, 32, 32], 10)
    }

    /// The sizes of LeNet-5 come from the literature: 61,706 parameters, 416,520 multiply-accumulates.
    #[test]
    fn the_cost_of_lenet_5_is_the_known_one() {
        let lenet = Architecture::Layers(vec![
            LayerSpec::conv(6, 5).padded(PaddingSpec::Pixels(Padding::all(2))),
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
}
