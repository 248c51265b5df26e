//! A network with every kind of layer that a file can name, and images for it, for tests.

use super::architecture::{Architecture, LayerSpec};
use super::array::Array;
use super::definition::{Network, Parameter};
use super::geometry::{HeightWidth, Padding, PaddingSpec};
use super::model::Model;
use crate::dataset::images::{Images, Pixels};
use crate::dataset::normalize::Normalize;

/// Every kind of layer of a trained network.
pub(crate) fn layers() -> Vec<LayerSpec> {
    let square = HeightWidth::square;
    let pixels = |n| PaddingSpec::Pixels(Padding::all(n));
    let strided = LayerSpec::Conv {
        out: 8,
        kernel: HeightWidth { height: 3, width: 2 },
        stride: HeightWidth { height: 1, width: 2 },
        padding: pixels(1),
        dilation: HeightWidth { height: 1, width: 2 },
        groups: 2,
        bias: false,
        name: None,
    };
    let depthwise = LayerSpec::DepthwiseConv {
        multiplier: 1,
        kernel: square(3),
        stride: square(1),
        padding: pixels(1),
        dilation: square(1),
        bias: true,
        name: None,
    };
    let pool = |count_padding| LayerSpec::AvgPool {
        size: square(2),
        stride: None,
        padding: pixels(1),
        count_padding,
    };
    vec![
        LayerSpec::conv(6, 3).padded(pixels(1)),
        LayerSpec::Relu,
        LayerSpec::max_pool(2).padded(pixels(1)),
        strided,
        LayerSpec::Relu6,
        LayerSpec::Residual { body: vec![depthwise, LayerSpec::LeakyRelu { slope: 0.1 }], shortcut: vec![] },
        LayerSpec::Concat {
            branches: vec![
                vec![LayerSpec::conv(3, 1), LayerSpec::Sigmoid],
                vec![LayerSpec::conv(5, 1), LayerSpec::Tanh],
                vec![],
            ],
        },
        LayerSpec::HardSwish,
        pool(true),
        pool(false),
        LayerSpec::Flatten,
        LayerSpec::linear(9),
        LayerSpec::Relu,
        LayerSpec::linear(4),
    ]
}

/// Draws numbers from −1 to 1.
pub(crate) fn drawn(count: usize, seed: usize) -> Vec<f32> {
    let number = |at: usize| ((at + seed * 977) * 7919 % 20_011) as f32 / 10_005.5 - 1.0;
    (0..count).map(number).collect()
}

/// Makes a network of layers for images of 3 x 7 x 6 and four classes, with drawn parameters.
pub(crate) fn model(layers: Vec<LayerSpec>) -> Model {
    let network = Network::resolve(&Architecture::Layers(layers), [3, 7, 6], 4).unwrap();
    let tensor = |(seed, parameter): (usize, Parameter)| {
        let numbers = drawn(parameter.shape.iter().product(), seed);
        (parameter.name, Array::new(parameter.shape, numbers).unwrap())
    };
    let tensors = network.parameters().into_iter().enumerate().map(tensor).collect();
    Model::new(network, tensors).unwrap()
}

/// Returns sixteen images.
pub(crate) fn images() -> Images {
    let bytes: Vec<u8> = (0..16 * 126).map(|at| (at * 31 % 251) as u8).collect();
    let mut images =
        Images { shape: [3, 7, 6], pixels: Pixels::Bytes { bytes, values: vec![] }, labels: None };
    normalize().apply(&mut images).unwrap();
    images
}

/// Returns the normalization of the images.
pub(crate) fn normalize() -> Normalize {
    Normalize::Standard { mean: vec![0.49, 0.48, 0.45], std: vec![0.24, 0.25, 0.26] }
}
