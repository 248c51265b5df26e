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
    let is_product = is_product(op);
    match (op, only_reader(network, at)) {
        (LayerOp::Flatten, _) if ends_with_sums(network, at) => ValueRole::Logits,
        (_, Readers::None) if is_product => ValueRole::Logits,
        (_, Readers::One(reader)) if is_product && ends_with_sums(network, reader) => ValueRole::Logits,
        (_, Readers::One(reader))
            if (is_product || matches!(op, LayerOp::Add))
                && matches!(network.layers[reader].op, LayerOp::Relu | LayerOp::Relu6) =>
        {
            ValueRole::Fused
        }
        (LayerOp::MaxPool { .. } | LayerOp::Flatten | LayerOp::Dropout { .. }, _) => ValueRole::OfInput,
        _ => ValueRole::Own,
    }
}

fn is_product(op: &LayerOp) -> bool {
    matches!(op, LayerOp::Conv { .. } | LayerOp::Linear { .. } | LayerOp::Affine)
}

/// The layers that read a layer.
enum Readers {
    None,
    One(usize),
    Several,
}

fn only_reader(network: &Network, at: usize) -> Readers {
    let reads = |reader: &usize| network.layers[*reader].sources.contains(&Source::Layer(at));
    let mut readers = (0..network.layers.len()).filter(reads);
    match (readers.next(), readers.next()) {
        (None, _) => Readers::None,
        (Some(only), None) => Readers::One(only),
        (Some(_), Some(_)) => Readers::Several,
    }
}

/// Returns whether a layer is a last Flatten that moves nothing, and alone reads a layer with weights.
fn ends_with_sums(network: &Network, at: usize) -> bool {
    let layer = &network.layers[at];
    let (channels, pixels) = layer.input().channels();
    let (LayerOp::Flatten, Source::Layer(before)) = (layer.op, layer.sources[0]) else { return false };
    at + 1 == network.layers.len()
        && (channels == 1 || pixels == 1)
        && is_product(&network.layers[before].op)
        && matches!(only_reader(network, before), Readers::One(_))
}
