//! The memory of a training. Knows nothing of numbers.

use crate::backend::own::kernels::conv::GRADIENT_PARTS;
use crate::backend::own::kernels::lanes::{LANES, blocks};
use crate::network::definition::Network;
use crate::network::layer::LayerOp;
use crate::network::wiring::Source;

/// Returns an estimate of the memory of a training, in bytes. The estimate counts parameters, gradients
/// and two moments; the partial weight gradients of convolutions; the outputs of all layers; and the most gradients of
/// outputs that are open at the same time, for a batch rounded up to whole blocks.
pub(crate) fn training_bytes(network: &Network, batch: usize) -> u64 {
    let images = (blocks(batch) * LANES) as u64;
    let sizes: Vec<u64> = network.layers.iter().map(|layer| layer.output.len() as u64).collect();
    let outputs = sizes.iter().fold(0, |all: u64, size| all.saturating_add(*size));
    let activations = outputs.saturating_add(open_gradients(network, &sizes)).saturating_mul(images);
    let weights = network.layers.iter().filter(|layer| matches!(layer.op, LayerOp::Conv { .. }));
    let weights = weights.filter_map(|layer| Some(layer.op.parameters(layer.input()).0?.iter().product()));
    let weights = weights.fold(0, |all: u64, count: usize| all.saturating_add(count as u64));
    let parts = weights.saturating_mul(blocks(batch).min(GRADIENT_PARTS) as u64);
    let parameters = network.parameter_count().saturating_mul(4).saturating_add(parts);
    parameters.saturating_add(activations).saturating_mul(4)
}

/// Returns the most numbers of gradients that a backward pass holds for one image: the gradient at an output is open
/// from the layer's last reader to the layer.
fn open_gradients(network: &Network, sizes: &[u64]) -> u64 {
    let mut open = 0_u64;
    let mut closed = vec![true; sizes.len()];
    let mut most = 0;
    for (at, layer) in network.layers.iter().enumerate().rev() {
        let mut begin = |layer: usize| {
            if std::mem::replace(&mut closed[layer], false) {
                open = open.saturating_add(sizes[layer]);
            }
        };
        begin(at);
        for source in &layer.sources {
            if let Source::Layer(before) = source {
                begin(*before);
            }
        }
        most = most.max(open);
        open = open.saturating_sub(sizes[at]);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::architecture::{Architecture, LayerSpec};

    /// Layers of 10 × 10 pixels: the sum's gradient is open beside those of both branches.
    #[test]
    fn a_gradient_is_open_from_the_last_reader_to_the_layer() {
        let body = vec![LayerSpec::conv(2, 1), LayerSpec::conv(1, 1)];
        let layers = vec![
            LayerSpec::conv(1, 1),
            LayerSpec::Residual { body, shortcut: vec![] },
            LayerSpec::Flatten,
            LayerSpec::linear(2),
        ];
        let network = Network::resolve(&Architecture::Layers(layers), [1, 10, 10], 2).unwrap();
        let sizes: Vec<u64> = network.layers.iter().map(|layer| layer.output.len() as u64).collect();
        assert_eq!(sizes, [100, 200, 100, 100, 100, 2]);
        // At the second convolution of the body: its own gradient, that of its input, and that of the shortcut.
        assert_eq!(open_gradients(&network, &sizes), 400);
    }
}
