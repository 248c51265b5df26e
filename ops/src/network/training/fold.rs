//! Folding: turns a network in training into an inference network without Dropout and batch normalization.
//! Knows nothing of optimizers or images.
//!
//! Folding merges a batch normalization into the convolution or linear layer directly before it, not counting
//! Dropout layers: W ← W·s and b ← (b − mean)·s + β, with s = γ / √(variance + eps), in binary64 and rounded
//! once. A batch normalization after any other layer becomes an affine layer: a weight and a bias per
//! channel.

use std::collections::BTreeMap;

use candle_core::Tensor;

use crate::network::definition::{Layer, Network};
use crate::network::kernels::numbers::{from, read_tensor};
use crate::network::layer::LayerOp;
use crate::network::model::{Model, ModelFileError};
use crate::network::training::state::TrainingState;

/// A layer of the inference network with its parameters.
struct Folded {
    name: String,
    op: LayerOp,
    weight: Option<Tensor>,
    bias: Option<Tensor>,
}

/// Makes the inference network of a network in training. Uses the running statistics of each batch
/// normalization.
pub(crate) fn fold(network: &Network, state: &TrainingState) -> Result<Model, ModelFileError> {
    let mut layers: Vec<Folded> = Vec::new();
    let parameters = network.parameters();
    for (at, layer) in network.layers.iter().enumerate() {
        let own = parameters.iter().zip(&state.parameters).filter(|(spec, _)| spec.layer == at);
        // The model holds copies, because the next training step overwrites the tensors of the state.
        let mut own =
            own.map(|(_, tensor)| tensor.copy()).collect::<candle_core::Result<Vec<_>>>()?.into_iter();
        let (weight, bias) = (own.next(), own.next());
        match (layer.op, weight, bias, state.running.get(&at)) {
            (LayerOp::Dropout { .. }, ..) => {}
            (LayerOp::BatchNorm { eps, .. }, Some(weight), Some(bias), Some(running)) => {
                let affine = Affine::of(eps, [&weight, &bias], running)?;
                match layers.last_mut() {
                    Some(last) if matches!(last.op, LayerOp::Conv { .. } | LayerOp::Linear { .. }) => {
                        affine.fold_into(last)?;
                    }
                    _ => layers.push(affine.alone(layer)?),
                }
            }
            (op, weight, bias, _) => layers.push(Folded { name: layer.name.clone(), op, weight, bias }),
        }
    }
    let ops = layers.iter().map(|layer| (layer.op, Some(layer.name.clone()))).collect();
    let network = Network::chain(network.input, network.classes, ops)?;
    let mut tensors = BTreeMap::new();
    for layer in layers {
        for (word, tensor) in [("weight", layer.weight), ("bias", layer.bias)] {
            tensors.extend(tensor.map(|tensor| (format!("{}.{word}", layer.name), tensor)));
        }
    }
    Model::new(network, tensors)
}

/// An affine map per channel: y = scale·(x − mean) + shift.
struct Affine {
    scale: Vec<f64>,
    mean: Vec<f64>,
    shift: Vec<f64>,
}

impl Affine {
    fn of(
        eps: f64,
        [weight, bias]: [&Tensor; 2],
        [mean, variance]: &[Tensor; 2],
    ) -> candle_core::Result<Self> {
        let [weight, shift, mean, variance] = [wide(weight)?, wide(bias)?, wide(mean)?, wide(variance)?];
        let scale =
            weight.iter().zip(&variance).map(|(weight, variance)| weight / (variance + eps).sqrt()).collect();
        Ok(Self { scale, mean, shift })
    }

    fn fold_into(&self, layer: &mut Folded) -> candle_core::Result<()> {
        let channels = self.scale.len();
        if let Some(weight) = &layer.weight {
            let numbers = wide(weight)?;
            let row = numbers.len() / channels;
            let folded = numbers
                .chunks(row)
                .zip(&self.scale)
                .flat_map(|(row, scale)| row.iter().map(move |w| w * scale));
            layer.weight = Some(from(folded.map(|w| w as f32).collect(), weight.dims())?);
        }
        let bias = layer.bias.as_ref().map_or(Ok(vec![0.0; channels]), wide)?;
        layer.bias = Some(self.bias(&bias, channels)?);
        match &mut layer.op {
            LayerOp::Conv { bias, .. } | LayerOp::Linear { bias, .. } => *bias = true,
            _ => {}
        }
        Ok(())
    }

    fn alone(&self, layer: &Layer) -> candle_core::Result<Folded> {
        let channels = self.scale.len();
        let weight = from(self.scale.iter().map(|scale| *scale as f32).collect(), &[channels])?;
        let bias = self.bias(&vec![0.0; channels], channels)?;
        Ok(Folded { name: layer.name.clone(), op: LayerOp::Affine, weight: Some(weight), bias: Some(bias) })
    }

    fn bias(&self, bias: &[f64], channels: usize) -> candle_core::Result<Tensor> {
        let centred = bias.iter().zip(&self.mean).map(|(bias, mean)| bias - mean);
        let scaled =
            centred.zip(self.scale.iter().zip(&self.shift)).map(|(b, (scale, shift))| b * scale + shift);
        from(scaled.map(|b| b as f32).collect(), &[channels])
    }
}

fn wide(tensor: &Tensor) -> candle_core::Result<Vec<f64>> {
    Ok(read_tensor(tensor)?.iter().map(|number| f64::from(*number)).collect())
}
