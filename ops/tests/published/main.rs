//! Published networks have their published sizes.

#[allow(dead_code)]
mod networks;

use fewbits_ops::network::architecture::Architecture;
use fewbits_ops::network::definition::Network;
use fewbits_ops::network::layer::LayerOp;
use networks::{ds_cnn, mobilenet, resnet8};

fn network(architecture: &Architecture, input: [usize; 3], classes: usize) -> Network {
    Network::resolve(architecture, input, classes).unwrap()
}

/// Returns the parameters of the trained network, in which no batch normalization is left.
fn folded_parameters(architecture: &Architecture, network: &Network) -> u64 {
    let kept = architecture.parameter_layers(network.classes);
    let parameters = network.parameters().into_iter();
    let kept = parameters.filter(|of| kept.contains(&network.layers[of.layer].name));
    kept.map(|of| of.shape.iter().product::<usize>() as u64).sum()
}

/// Returns the count that Keras prints: weights, biases, and four numbers per channel of a batch normalization.
fn keras_parameters(network: &Network) -> u64 {
    let norms = network.layers.iter().filter(|layer| matches!(layer.op, LayerOp::BatchNorm { .. }));
    let statistics: usize = norms.map(|layer| 2 * layer.output.channels().0).sum();
    network.parameter_count() + statistics as u64
}

/// 77,706 parameters are those of the published model with its batch normalizations folded, and 12.5 million
/// multiply-accumulates are those of the benchmark's paper (Banbury et al. 2021).
#[test]
fn resnet_8() {
    let (architecture, network) = (resnet8(), network(&resnet8(), [3, 32, 32], 10));
    assert_eq!(folded_parameters(&architecture, &network), 77_706);
    assert_eq!(network.multiply_accumulates(), 12_501_632);
    assert_eq!(network.layers.iter().filter(|layer| layer.op == LayerOp::Add).count(), 3);
}

/// Keras prints 24,908 parameters for the benchmark's model.
#[test]
fn depthwise_separable_network() {
    let (architecture, network) = (ds_cnn(12), network(&ds_cnn(12), [1, 49, 10], 12));
    assert_eq!(keras_parameters(&network), 24_908);
    assert_eq!(folded_parameters(&architecture, &network), 22_604);
    assert_eq!(network.multiply_accumulates(), 2_656_768);
}

/// Keras prints 221,794 parameters for the benchmark's model.
#[test]
fn mobilenet_of_a_quarter_of_the_width() {
    let (architecture, network) = (mobilenet(), network(&mobilenet(), [3, 96, 96], 2));
    assert_eq!(keras_parameters(&network), 221_794);
    assert_eq!(folded_parameters(&architecture, &network), 210_850);
    assert_eq!(network.multiply_accumulates(), 7_489_664);
}
