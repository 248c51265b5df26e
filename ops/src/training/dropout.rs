//! The addresses of dropout masks among the random numbers of a training. Knows nothing of backends.

use crate::network::definition::{Layer, Network};
use crate::network::layer::LayerOp;
use crate::random::Stream;

/// Returns the random numbers of a Dropout layer at a step: the epoch and the step within it, from 0.
pub(crate) fn dropout_stream(seed: u64, [epoch, step]: [usize; 2], address: &str) -> Stream {
    Stream::new(seed, "dropout", &format!("{epoch}.{step}.{address}"))
}

/// Returns the address of a Dropout layer among the random numbers of a step: the number of convolutions and linear layers before it, and the
/// number of Dropout layers since the last of these layers. A Dropout layer added before the last of these
/// layers, or after this Dropout layer, does not change the mask.
pub(crate) fn dropout_address(network: &Network, at: usize) -> String {
    let before = &network.layers[..at];
    let last = before.iter().rposition(is_product).unwrap_or(0);
    let since = before[last..].iter().filter(|layer| matches!(layer.op, LayerOp::Dropout { .. })).count();
    format!("{}.{since}", before.iter().filter(|layer| is_product(layer)).count())
}

fn is_product(layer: &Layer) -> bool {
    matches!(layer.op, LayerOp::Conv { .. } | LayerOp::Linear { .. })
}
