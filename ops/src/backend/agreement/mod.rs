//! Tests that hold the own backend against candle: the same networks, images and weights on both. This file makes them.

mod evaluation;
mod gradients;
mod whole_networks;

use crate::backend::candle::forward::{Mode, Statistics, forward};
use crate::backend::own::kernels::lanes::LANES;
use crate::backend::own::loss::backward;
use crate::backend::own::pass::Pass;
use crate::dataset::images::{Images, Labels};
use crate::network::architecture::{Architecture, LayerSpec};
use crate::network::array::Array;
use crate::network::definition::{Layer, Network};
use crate::network::geometry::{HeightWidth, Padding, PaddingSpec};
use crate::network::layer::LayerOp;
use crate::network::shape::ActivationShape;
use crate::random::Stream;
use crate::training::config::{Init, Optimizer};
use crate::training::state::TrainingState;
use candle_core::{Device, Tensor, Var};
use std::collections::BTreeMap;

const ROWS: usize = 19;
const CLASSES: usize = 3;

/// A network with the data for one step.
struct Case {
    network: Network,
    state: TrainingState,
    pass: Pass,
    labels: Vec<u8>,
}

fn numbers(n: usize, name: &str) -> Vec<f32> {
    let stream = Stream::new(1, "test", name);
    (0..n as u64).map(|at| 2.0 * stream.unit(at) - 1.0).collect()
}

fn conv(out: usize, kernel: usize, sides: [usize; 4], bias: bool) -> LayerSpec {
    let [stride, padding, dilation, groups] = sides;
    LayerSpec::Conv {
        out,
        kernel: HeightWidth::square(kernel),
        stride: HeightWidth::square(stride),
        padding: PaddingSpec::Pixels(Padding::all(padding)),
        dilation: HeightWidth::square(dilation),
        groups,
        bias,
        name: None,
    }
}

/// Makes a convolution whose sides differ: kernel, stride, dilation, and padding top, left, bottom, right.
fn uneven(out: usize, sides: [[usize; 2]; 3], padding: [usize; 4], groups: usize) -> LayerSpec {
    let [kernel, stride, dilation] = sides.map(HeightWidth::from);
    let padding = PaddingSpec::Pixels(padding.into());
    LayerSpec::Conv { out, kernel, stride, padding, dilation, groups, bias: true, name: None }
}

fn depthwise(multiplier: usize, kernel: usize, stride: usize) -> LayerSpec {
    LayerSpec::DepthwiseConv {
        multiplier,
        kernel: HeightWidth::square(kernel),
        stride: HeightWidth::square(stride),
        padding: PaddingSpec::Same,
        dilation: HeightWidth::square(1),
        bias: true,
        name: None,
    }
}

fn avg_pool(size: [usize; 2], stride: [usize; 2], padding: [usize; 4], count_padding: bool) -> LayerSpec {
    LayerSpec::AvgPool {
        size: size.into(),
        stride: Some(stride.into()),
        padding: PaddingSpec::Pixels(padding.into()),
        count_padding,
    }
}

impl Case {
    fn new(layers: &[LayerSpec]) -> Self {
        let mut layers = layers.to_vec();
        layers.extend([LayerSpec::Flatten, LayerSpec::linear(CLASSES)]);
        let network = Network::resolve(&Architecture::Layers(layers), [2, 8, 6], CLASSES).unwrap();
        let optimizer = Optimizer::Sgd { lr: 0.1, momentum: 0.0 };
        let mut state = TrainingState::new(&network, Init::KaimingUniform, optimizer, 3);
        for (spec, tensor) in network.parameters().iter().zip(&mut state.parameters) {
            if spec.name.starts_with("batchnorm") {
                let drawn = numbers(tensor.numbers().len(), &spec.name);
                tensor.numbers_mut().iter_mut().zip(drawn).for_each(|(own, drawn)| *own += 0.3 * drawn);
            }
        }
        // The buffers have room for one more image, because a batch in training may be smaller than the
        // buffers.
        let pass = Pass::new(&network, ROWS + 1).unwrap();
        let labels = (0..ROWS).map(|row| (row % CLASSES) as u8).collect();
        Self { network, state, pass, labels }
    }

    /// Runs the forward and the backward pass of a step. Returns the mean loss.
    fn step(&mut self) -> f64 {
        self.pass.fill(&images(), &(0..ROWS as u32).collect::<Vec<_>>());
        self.pass.forward(&mut self.state, 3, [0, 0]);
        let verdicts = backward(self.pass.outputs(), &self.labels);
        self.pass.backward(&self.state);
        verdicts.iter().map(|verdict| verdict.loss).sum::<f64>() / ROWS as f64
    }

    /// Returns the mean loss and its gradient at every parameter, as computed by candle.
    fn by_candle(&self) -> (f64, Vec<Vec<f32>>) {
        let vars: Vec<Var> = tensors(&self.state).iter().map(|p| Var::from_tensor(p).unwrap()).collect();
        let tensors: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
        let (mut measured, factors) = (Statistics::new(), factors(&self.network));
        let mode = Mode::Training { measured: &mut measured, factors: &factors };
        let logits = forward(&self.network, &tensors, &image_tensor(&self.network), mode).unwrap();
        let largest = logits.max_keepdim(1).unwrap().detach();
        let shifted = logits.broadcast_sub(&largest).unwrap();
        let total = shifted.exp().unwrap().sum_keepdim(1).unwrap().log().unwrap();
        let labels: Vec<u32> = self.labels.iter().map(|label| u32::from(*label)).collect();
        let labels = Tensor::from_vec(labels, (ROWS, 1), &Device::Cpu).unwrap();
        let loss = shifted
            .broadcast_sub(&total)
            .unwrap()
            .gather(&labels, 1)
            .unwrap()
            .mean_all()
            .unwrap()
            .neg()
            .unwrap();
        let gradients = loss.backward().unwrap();
        let gradient =
            |var: &Var| gradients.get(var).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        (f64::from(loss.to_scalar::<f32>().unwrap()), vars.iter().map(gradient).collect())
    }
}

fn image_tensor(network: &Network) -> Tensor {
    let [channels, height, width] = network.input;
    Tensor::from_vec(pixels(), (ROWS, channels, height, width), &Device::Cpu).unwrap()
}

/// Returns the factors of every Dropout layer for the step of these tests, by layer index.
fn factors(network: &Network) -> BTreeMap<usize, Tensor> {
    let mut all = BTreeMap::new();
    for (at, layer) in network.layers.iter().enumerate() {
        let LayerOp::Dropout { p } = layer.op else { continue };
        let before = &network.layers[..at];
        let products = |layers: &[Layer]| {
            layers.iter().filter(|l| matches!(l.op, LayerOp::Conv { .. } | LayerOp::Linear { .. })).count()
        };
        let dropped = before
            .iter()
            .rev()
            .take_while(|l| products(std::slice::from_ref(l)) == 0)
            .filter(|l| matches!(l.op, LayerOp::Dropout { .. }));
        let stream = Stream::new(3, "dropout", &format!("0.0.{}.{}", products(before), dropped.count()));
        let kept = |e: u64| if f64::from(stream.unit(e)) >= p { 1.0 / (1.0 - p as f32) } else { 0.0 };
        let size = layer.output.len();
        let (channels, plane) = layer.output.channels();
        // Elements are numbered block by block, pixel by pixel, channel by channel, image by image.
        let place = |e: usize| {
            let (row, number) = (e / size, e % size);
            let line = number % plane * channels + number / plane;
            ((row / LANES * size + line) * LANES + row % LANES) as u64
        };
        let dims: Vec<usize> = match layer.output {
            ActivationShape::Image([channels, height, width]) => vec![ROWS, channels, height, width],
            ActivationShape::Row(n) => vec![ROWS, n],
        };
        let mask: Vec<f32> = (0..ROWS * size).map(|e| kept(place(e))).collect();
        all.insert(at, Tensor::from_vec(mask, dims, &Device::Cpu).unwrap());
    }
    all
}

fn tensor(array: &Array) -> Tensor {
    Tensor::from_slice(array.numbers(), array.shape(), &Device::Cpu).unwrap()
}

/// Returns the parameters as the candle backend takes them.
fn tensors(state: &TrainingState) -> Vec<Tensor> {
    state.parameters.iter().map(tensor).collect()
}

/// Returns running statistics as the candle backend takes them.
fn running(state: &TrainingState) -> Statistics {
    state.running.iter().map(|(at, of)| (*at, of.each_ref().map(tensor))).collect()
}

fn networks() -> Vec<Vec<LayerSpec>> {
    let dropout = |p| LayerSpec::Dropout { p };
    vec![
        vec![],
        vec![LayerSpec::Flatten, LayerSpec::linear(7), LayerSpec::Relu, dropout(0.4), dropout(0.2)],
        vec![
            LayerSpec::Flatten,
            LayerSpec::linear(7),
            LayerSpec::batch_norm(),
            LayerSpec::Relu,
            LayerSpec::linear(4),
        ],
        vec![LayerSpec::conv(4, 3), LayerSpec::Relu, LayerSpec::max_pool(2), conv(3, 2, [1; 4], false)],
        vec![conv(4, 3, [1, 1, 1, 1], true), LayerSpec::Relu, conv(5, 3, [2, 1, 1, 1], true)],
        vec![conv(4, 1, [1, 0, 1, 1], true), conv(6, 3, [1, 2, 2, 1], true)],
        vec![conv(4, 1, [1, 0, 1, 1], true), conv(6, 3, [1, 1, 1, 2], true), conv(6, 2, [2, 1, 1, 6], true)],
        vec![
            conv(4, 3, [1; 4], false),
            LayerSpec::batch_norm(),
            LayerSpec::Relu,
            LayerSpec::max_pool(2),
            dropout(0.3),
        ],
        vec![LayerSpec::batch_norm(), LayerSpec::Relu, LayerSpec::conv(2, 2)],
        vec![LayerSpec::Relu, dropout(0.2), conv(4, 3, [1, 4, 1, 1], true)],
        // The linear layer of 53 outputs has more inputs than one pass of the sum and more outputs than one
        // unit of work. The convolutions here and below have more outputs per group than a register tile and
        // a set of 16.
        vec![conv(36, 3, [1, 8, 1, 2], true), LayerSpec::Relu, LayerSpec::Flatten, LayerSpec::linear(53)],
        vec![conv(20, 3, [1, 7, 1, 1], true), LayerSpec::Relu, conv(18, 2, [1; 4], true)],
    ]
}

/// Networks with branches, and with layers whose sides differ.
fn graphs() -> Vec<Vec<LayerSpec>> {
    let (norm, relu) = (LayerSpec::batch_norm, || LayerSpec::Relu);
    let one = || conv(4, 1, [1, 0, 1, 1], true);
    let residual = |body: Vec<LayerSpec>, shortcut: Vec<LayerSpec>| LayerSpec::Residual { body, shortcut };
    let same = |out| conv(out, 3, [1, 1, 1, 1], false);
    let max_pool = |size: [usize; 2], stride: [usize; 2], padding: [usize; 4]| LayerSpec::MaxPool {
        size: size.into(),
        stride: Some(stride.into()),
        padding: PaddingSpec::Pixels(padding.into()),
    };
    vec![
        vec![uneven(5, [[3, 2], [2, 1], [1, 2]], [0, 1, 2, 0], 1), relu()],
        vec![one(), uneven(6, [[1, 4], [1, 3], [1, 1]], [0, 0, 0, 3], 2)],
        vec![one(), depthwise(1, 3, 1), relu(), depthwise(2, 3, 2), one()],
        vec![depthwise(3, 5, 1), norm(), LayerSpec::Relu6, one()],
        vec![one(), LayerSpec::Sigmoid, one(), LayerSpec::Tanh, LayerSpec::Dropout { p: 0.3 }],
        vec![one(), norm(), LayerSpec::LeakyRelu { slope: 0.2 }, one(), norm(), LayerSpec::HardSwish],
        vec![one(), norm(), LayerSpec::Relu6, LayerSpec::Dropout { p: 0.2 }, one()],
        vec![one(), max_pool([3, 2], [2, 1], [1, 0, 1, 1]), one()],
        vec![one(), avg_pool([3, 2], [2, 1], [1, 0, 1, 1], false), one()],
        vec![one(), avg_pool([3, 3], [1, 2], [1, 1, 1, 1], true), relu(), LayerSpec::GlobalAvgPool],
        // The block of ResNet: a sum with the input itself, then one with a strided shortcut.
        vec![
            same(4),
            norm(),
            relu(),
            residual(vec![same(4), norm(), relu(), same(4), norm()], vec![]),
            relu(),
            residual(
                vec![conv(6, 3, [2, 1, 1, 1], true), norm(), relu(), same(6)],
                vec![conv(6, 1, [2, 0, 1, 1], true)],
            ),
            relu(),
            LayerSpec::GlobalAvgPool,
        ],
        // Branches that start with layers that otherwise work in place.
        vec![one(), residual(vec![relu(), one()], vec![LayerSpec::Dropout { p: 0.4 }]), relu()],
        vec![
            one(),
            residual(vec![norm()], vec![]),
            LayerSpec::Concat { branches: vec![vec![relu()], vec![], vec![one(), relu()]] },
        ],
        vec![
            LayerSpec::Concat { branches: vec![vec![one()], vec![same(3), relu()]] },
            residual(
                vec![LayerSpec::Concat { branches: vec![vec![one()], vec![conv(3, 1, [1, 0, 1, 1], true)]] }],
                vec![],
            ),
            LayerSpec::Flatten,
            LayerSpec::Concat {
                branches: vec![vec![LayerSpec::linear(5)], vec![LayerSpec::linear(4), relu()]],
            },
        ],
    ]
}

/// Replaces Relu by the hyperbolic tangent: with many numbers near the kink, differences are no slopes.
fn smooth(layers: Vec<LayerSpec>) -> Vec<LayerSpec> {
    let each = |layer| match layer {
        LayerSpec::Relu => LayerSpec::Tanh,
        LayerSpec::Residual { body, shortcut } => {
            LayerSpec::Residual { body: smooth(body), shortcut: smooth(shortcut) }
        }
        LayerSpec::Concat { branches } => {
            LayerSpec::Concat { branches: branches.into_iter().map(smooth).collect() }
        }
        other => other,
    };
    layers.into_iter().map(each).collect()
}

/// Makes images whose bytes stand for random numbers, drawn separately for each channel.
fn images() -> Images {
    let drawn = numbers(512, "values");
    let values = drawn.chunks(256).map(|channel| std::array::from_fn(|byte| channel[byte])).collect();
    let bytes = Stream::new(1, "test", "bytes");
    let pixels = (0..ROWS as u64 * 96).map(|at| (bytes.bits(at) >> 24) as u8).collect();
    Images::of_bytes([2, 8, 6], pixels, values, Labels::numbered(CLASSES, vec![0; ROWS]))
}

/// Returns the numbers of the test images, image by image, channel by channel.
fn pixels() -> Vec<f32> {
    images().numbers(&(0..ROWS as u32).collect::<Vec<_>>())
}
