//! The memory of a training. Knows nothing of numbers.

use crate::backend::own::kernels::conv::GRADIENT_PARTS;
use crate::backend::own::kernels::lanes::{LANES, blocks};
use crate::network::definition::{Layer, Network};
use crate::network::layer::LayerOp;

/// Returns an estimate of the memory of a training, in bytes. The estimate counts parameters, gradients
/// and two moments; the partial weight gradients of convolutions; and the outputs of all layers with
/// their gradients, for a batch rounded up to whole blocks.
pub(crate) fn training_bytes(network: &Network, batch: usize) -> u64 {
    let add = |all: u64, layer: &Layer| all.saturating_add(layer.output.len() as u64);
    let images = (blocks(batch) * LANES) as u64;
    let activations = network.layers.iter().fold(0, add).saturating_mul(2).saturating_mul(images);
    let weights = network.layers.iter().filter(|layer| matches!(layer.op, LayerOp::Conv { .. }));
    let weights = weights.filter_map(|layer| Some(layer.op.parameters(layer.input()).0?.iter().product()));
    let weights = weights.fold(0, |all: u64, count: usize| all.saturating_add(count as u64));
    let parts = weights.saturating_mul(blocks(batch).min(GRADIENT_PARTS) as u64);
    let parameters = network.parameter_count().saturating_mul(4).saturating_add(parts);
    parameters.saturating_add(activations).saturating_mul(4)
}
