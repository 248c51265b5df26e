//! Folding: turns a network in training into an inference network without Dropout and batch normalization.
//! Knows nothing of optimizers or images.
//!
//! Folding merges a batch normalization into the convolution or linear layer that it alone reads, not counting
//! Dropout layers between them: W ← W·s and b ← (b − mean)·s + β, with s = γ / √(variance + eps), in binary64 and rounded
//! once. Any other batch normalization becomes an affine layer: a weight and a bias per
//! channel.

use std::collections::BTreeMap;

use crate::network::array::Array;
use crate::network::definition::{Network, UnshapedLayer};
use crate::network::layer::LayerOp;
use crate::network::model::{Model, ModelFileError};
use crate::network::wiring::{Source, fold_targets};

/// A layer of the inference network with its parameters.
struct Folded {
    layer: UnshapedLayer,
    weight: Option<Array>,
    bias: Option<Array>,
}

/// Makes the inference network of a network in training from its parameters, in the order of
/// [`Network::parameters`], and from the running mean and variance of each batch normalization, by layer index.
pub(crate) fn fold(
    network: &Network,
    trained: &[Array],
    running: &BTreeMap<usize, [Array; 2]>,
) -> Result<Model, ModelFileError> {
    let mut layers: Vec<Folded> = Vec::new();
    // The value of the inference network for each layer's output.
    let mut values: Vec<Source> = Vec::with_capacity(network.layers.len());
    let targets = fold_targets(&network.layers);
    let parameters = network.parameters();
    for (at, layer) in network.layers.iter().enumerate() {
        let own = parameters.iter().zip(trained).filter(|(spec, _)| spec.layer == at);
        let mut own = own.map(|(_, tensor)| tensor.clone());
        let (weight, bias) = (own.next(), own.next());
        let value = |source: &Source| match source {
            Source::Images => Source::Images,
            Source::Layer(before) => values[*before],
        };
        let sources: Vec<Source> = layer.sources.iter().map(value).collect();
        let unshaped = |op| UnshapedLayer { name: layer.name.clone(), op, sources: sources.clone() };
        let folded = match (layer.op, weight, bias, running.get(&at)) {
            (LayerOp::Dropout { .. }, ..) => {
                values.push(sources[0]);
                continue;
            }
            (LayerOp::BatchNorm { eps, .. }, Some(weight), Some(bias), Some(running)) => {
                let affine = Affine::of(eps, [&weight, &bias], running);
                if let (Some(_), Source::Layer(target)) = (targets[at], sources[0]) {
                    affine.fold_into(&mut layers[target]);
                    values.push(sources[0]);
                    continue;
                }
                affine.alone(unshaped(LayerOp::Affine))
            }
            (op, weight, bias, _) => Folded { layer: unshaped(op), weight, bias },
        };
        values.push(Source::Layer(layers.len()));
        layers.push(folded);
    }
    let unshaped = layers.iter().map(|folded| folded.layer.clone()).collect();
    let network = Network::new(network.input, network.classes, unshaped)?;
    let mut tensors = BTreeMap::new();
    for Folded { layer, weight, bias } in layers {
        for (word, tensor) in [("weight", weight), ("bias", bias)] {
            tensors.extend(tensor.map(|tensor| (format!("{}.{word}", layer.name), tensor)));
        }
    }
    Model::new(network, tensors)
}

/// Returns the shapes of the tensors that [`fold`] makes, by name.
pub(crate) fn folded_shapes(network: &Network) -> BTreeMap<String, Vec<usize>> {
    let targets = fold_targets(&network.layers);
    let mut shapes: BTreeMap<String, Vec<usize>> = network
        .parameters()
        .into_iter()
        .filter(|parameter| targets[parameter.layer].is_none())
        .map(|parameter| (parameter.name, parameter.shape))
        .collect();
    // A layer that takes a normalization in gains a bias.
    for (layer, target) in network.layers.iter().zip(&targets) {
        if let Some(target) = target {
            let (channels, _) = layer.output.channels();
            shapes.insert(format!("{}.bias", network.layers[*target].name), vec![channels]);
        }
    }
    shapes
}

/// An affine map per channel: y = scale·(x − mean) + shift.
struct Affine {
    scale: Vec<f64>,
    mean: Vec<f64>,
    shift: Vec<f64>,
}

impl Affine {
    fn of(eps: f64, [weight, bias]: [&Array; 2], [mean, variance]: &[Array; 2]) -> Self {
        let [weight, shift, mean, variance] = [wide(weight), wide(bias), wide(mean), wide(variance)];
        let scale =
            weight.iter().zip(&variance).map(|(weight, variance)| weight / (variance + eps).sqrt()).collect();
        Self { scale, mean, shift }
    }

    fn fold_into(&self, layer: &mut Folded) {
        let channels = self.scale.len();
        if let Some(weight) = &mut layer.weight {
            let numbers = weight.numbers_mut();
            let row = numbers.len() / channels;
            for (row, scale) in numbers.chunks_mut(row).zip(&self.scale) {
                for weight in row {
                    *weight = (f64::from(*weight) * scale) as f32;
                }
            }
        }
        let bias = layer.bias.as_ref().map_or(vec![0.0; channels], wide);
        layer.bias = Some(self.bias(&bias));
        match &mut layer.layer.op {
            LayerOp::Conv { bias, .. } | LayerOp::Linear { bias, .. } => *bias = true,
            _ => {}
        }
    }

    fn alone(&self, layer: UnshapedLayer) -> Folded {
        let weight = Array::row(self.scale.iter().map(|scale| *scale as f32).collect());
        let bias = self.bias(&vec![0.0; self.scale.len()]);
        Folded { layer, weight: Some(weight), bias: Some(bias) }
    }

    fn bias(&self, bias: &[f64]) -> Array {
        let centred = bias.iter().zip(&self.mean).map(|(bias, mean)| bias - mean);
        let scaled =
            centred.zip(self.scale.iter().zip(&self.shift)).map(|(b, (scale, shift))| b * scale + shift);
        Array::row(scaled.map(|b| b as f32).collect())
    }
}

fn wide(tensor: &Array) -> Vec<f64> {
    tensor.numbers().iter().map(|number| f64::from(*number)).collect()
}
