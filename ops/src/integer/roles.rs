//! The role of each layer's output in integer arithmetic. Knows nothing of numbers.

use crate::network::definition::Network;
use crate::network::layer::LayerOp;
use crate::network::wiring::Source;

/// The role of a layer's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueRole {
    /// A value with a scale of its own.
    Own,
    /// A value with the scale of the layer's input: the layer only chooses or moves numbers.
    OfInput,
    /// No value: the Relu or Relu6 layer behind is computed together with the layer.
    Fused,
    /// The logits: sums of 32 bits.
    Logits,
}

/// Returns the role of each layer's output.
pub(crate) fn value_roles(network: &Network) -> Vec<ValueRole> {
    (0..network.layers.len()).map(|at| role(network, at)).collect()
}

fn role(network: &Network, at: usize) -> ValueRole {
    let op = &network.layers[at].op;
    let is_product = matches!(op, LayerOp::Conv { .. } | LayerOp::Linear { .. } | LayerOp::Affine);
    let mut readers = network.layers.iter().filter(|layer| layer.sources.contains(&Source::Layer(at)));
    let first = readers.next();
    let is_only = readers.next().is_none();
    match (op, first) {
        (_, None) if is_product => ValueRole::Logits,
        (_, Some(reader))
            if is_only
                && (is_product || matches!(op, LayerOp::Add))
                && matches!(reader.op, LayerOp::Relu | LayerOp::Relu6) =>
        {
            ValueRole::Fused
        }
        (LayerOp::MaxPool { .. } | LayerOp::Flatten | LayerOp::Dropout { .. }, _) => ValueRole::OfInput,
        _ => ValueRole::Own,
    }
}
