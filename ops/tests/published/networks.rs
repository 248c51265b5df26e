//! `LeNet-5` and the networks of `MLPerf` Tiny, layer by layer as their published training code has them.

use fewbits_ops::network::architecture::{Architecture, LayerSpec};
use fewbits_ops::network::geometry::{HeightWidth, PaddingSpec};

/// A convolution that keeps the size of the image, or divides it by its stride.
fn conv(out: usize, kernel: [usize; 2], stride: usize) -> LayerSpec {
    LayerSpec::Conv {
        out,
        kernel: kernel.into(),
        stride: HeightWidth::square(stride),
        padding: PaddingSpec::Same,
        dilation: HeightWidth::square(1),
        groups: 1,
        bias: true,
        name: None,
    }
}

fn depthwise(stride: usize) -> LayerSpec {
    LayerSpec::DepthwiseConv {
        multiplier: 1,
        kernel: HeightWidth::square(3),
        stride: HeightWidth::square(stride),
        padding: PaddingSpec::Same,
        dilation: HeightWidth::square(1),
        bias: true,
        name: None,
    }
}

/// A layer with a batch normalization and a Relu behind it.
fn normalized(layer: LayerSpec) -> [LayerSpec; 3] {
    [layer, LayerSpec::batch_norm(), LayerSpec::Relu]
}

fn ending(classes: usize) -> [LayerSpec; 3] {
    [LayerSpec::GlobalAvgPool, LayerSpec::Flatten, LayerSpec::linear(classes)]
}

/// LeNet-5 with Relu and max-pooling, for images of 1 × 28 × 28 in ten classes.
pub fn lenet5() -> Architecture {
    let relu = || LayerSpec::Relu;
    let mut layers = vec![conv(6, [5, 5], 1), relu(), LayerSpec::max_pool(2)];
    layers.extend([LayerSpec::conv(16, 5), relu(), LayerSpec::max_pool(2), LayerSpec::Flatten]);
    layers.extend([LayerSpec::linear(120), relu(), LayerSpec::linear(84), relu(), LayerSpec::linear(10)]);
    Architecture::Layers(layers)
}

/// ResNet-8 for images of 3 × 32 × 32 in ten classes.
pub fn resnet8() -> Architecture {
    let mut layers = normalized(conv(16, [3, 3], 1)).to_vec();
    for (out, stride) in [(16, 1), (32, 2), (64, 2)] {
        let mut body = normalized(conv(out, [3, 3], stride)).to_vec();
        body.extend([conv(out, [3, 3], 1), LayerSpec::batch_norm()]);
        let shortcut = if stride == 1 { vec![] } else { vec![conv(out, [1, 1], stride)] };
        layers.extend([LayerSpec::Residual { body, shortcut }, LayerSpec::Relu]);
    }
    layers.extend(ending(10));
    Architecture::Layers(layers)
}

/// The depthwise separable network for spoken words: spectra of 1 × 49 × 10, in twelve classes.
pub fn ds_cnn(classes: usize) -> Architecture {
    let mut layers = normalized(conv(64, [10, 4], 2)).to_vec();
    layers.push(LayerSpec::Dropout { p: 0.2 });
    for _ in 0..4 {
        layers.extend(normalized(depthwise(1)));
        layers.extend(normalized(conv(64, [1, 1], 1)));
    }
    layers.push(LayerSpec::Dropout { p: 0.4 });
    layers.extend(ending(classes));
    Architecture::Layers(layers)
}

/// `MobileNetV1` of a quarter of the width, for images of 3 × 96 × 96 in two classes.
pub fn mobilenet() -> Architecture {
    let mut layers = normalized(conv(8, [3, 3], 2)).to_vec();
    let wide = [(128, 1); 5];
    let steps = [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2)];
    for (out, stride) in steps.into_iter().chain(wide).chain([(256, 2), (256, 1)]) {
        layers.extend(normalized(depthwise(stride)));
        layers.extend(normalized(conv(out, [1, 1], 1)));
    }
    layers.extend(ending(2));
    Architecture::Layers(layers)
}
