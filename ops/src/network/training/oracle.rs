//! Tests of the gradients and of folding against candle's operations and autograd on the same networks.

use candle_core::{DType, Device, Tensor, Var};

use crate::dataset::images::Images;
use crate::network::architecture::{Architecture, LayerSpec};
use crate::network::definition::Network;
use crate::network::evaluation::evaluate;
use crate::network::inference::logits;
use crate::network::kernels::lanes::LANES;
use crate::network::kernels::lanes::fill_block;
use crate::network::kernels::numbers::{read_tensor, write};
use crate::network::layer::{ActivationShape, LayerOp};
use crate::network::loss::backward;
use crate::network::training::config::{Init, Optimizer};
use crate::network::training::fold::fold;
use crate::network::training::pass::Pass;
use crate::network::training::state::TrainingState;
use crate::random::Stream;

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
    LayerSpec::Conv { out, kernel, stride, padding, dilation, groups, bias, name: None }
}

impl Case {
    fn new(layers: &[LayerSpec]) -> Self {
        let mut layers = layers.to_vec();
        layers.extend([LayerSpec::Flatten, LayerSpec::linear(CLASSES)]);
        let network = Network::resolve(&Architecture::Layers(layers), [2, 8, 6], CLASSES).unwrap();
        let optimizer = Optimizer::Sgd { lr: 0.1, momentum: 0.0 };
        let state = TrainingState::new(&network, Init::KaimingUniform, optimizer, 3).unwrap();
        for (spec, tensor) in network.parameters().iter().zip(&state.parameters) {
            if spec.name.starts_with("batchnorm") {
                let drawn = numbers(tensor.elem_count(), &spec.name);
                write(tensor, |own| own.iter_mut().zip(drawn).for_each(|(own, drawn)| *own += 0.3 * drawn))
                    .unwrap();
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
        let images = images();
        let places: Vec<&[u8]> = (0..ROWS).map(|at| images.image(at)).collect();
        for (block, places) in self.pass.input().chunks_mut(96).zip(places.chunks(LANES)) {
            fill_block(&images, places, block);
        }
        self.pass.forward(&self.state, ROWS, 3, "0.0").unwrap();
        let (logits, gradient) = self.pass.output(ROWS);
        let verdicts = backward(CLASSES, logits, &self.labels, gradient);
        self.pass.backward(&self.state, ROWS).unwrap();
        verdicts.iter().map(|verdict| verdict.loss).sum::<f64>() / ROWS as f64
    }

    /// Returns the mean loss and its gradient at every parameter, as computed by candle.
    fn by_candle(&self) -> (f64, Vec<Vec<f32>>) {
        let vars: Vec<Var> = self.state.parameters.iter().map(|p| Var::from_tensor(p).unwrap()).collect();
        let tensors: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
        let logits = forward_by_candle(&self.network, &tensors, None);
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

/// Returns the logits, as computed by candle. With `running`, batch normalizations use the running statistics
/// and Dropout is off; otherwise batch normalizations use the statistics of the batch.
fn forward_by_candle(network: &Network, parameters: &[Tensor], running: Option<&TrainingState>) -> Tensor {
    let [channels, height, width] = network.input;
    let mut x = Tensor::from_vec(pixels(), (ROWS, channels, height, width), &Device::Cpu).unwrap();
    let mut parameters = parameters.iter();
    let mut dropped = 0;
    for (at, layer) in network.layers.iter().enumerate() {
        let (has_weight, has_bias) = layer.op.parameters(layer.input);
        let weight = has_weight.map(|_| parameters.next().unwrap());
        let bias = has_bias.map(|_| parameters.next().unwrap());
        let per_channel = |t: &Tensor| match layer.output {
            ActivationShape::Image(_) => t.reshape((1, (), 1, 1)).unwrap(),
            ActivationShape::Row(_) => t.reshape((1, ())).unwrap(),
        };
        let add_bias =
            |x: Tensor| bias.map_or(x.clone(), |bias| x.broadcast_add(&per_channel(bias)).unwrap());
        x = match layer.op {
            LayerOp::Conv { stride, padding, dilation, groups, .. } => {
                add_bias(x.conv2d(weight.unwrap(), padding, stride, dilation, groups).unwrap())
            }
            LayerOp::Linear { .. } => add_bias(x.matmul(&weight.unwrap().t().unwrap()).unwrap()),
            LayerOp::BatchNorm { eps, .. } => {
                let dims: &[usize] = if x.rank() == 4 { &[0, 2, 3] } else { &[0] };
                let (mean, variance) = if let Some([mean, variance]) =
                    running.map(|state| &state.running[&at])
                {
                    (per_channel(mean), per_channel(variance))
                } else {
                    let mean = x.mean_keepdim(dims).unwrap();
                    let variance = x.broadcast_sub(&mean).unwrap().sqr().unwrap().mean_keepdim(dims).unwrap();
                    (mean, variance)
                };
                let deviation = (variance + eps).unwrap().sqrt().unwrap();
                let normal = x.broadcast_sub(&mean).unwrap().broadcast_div(&deviation).unwrap();
                add_bias(normal.broadcast_mul(&per_channel(weight.unwrap())).unwrap())
            }
            LayerOp::Relu => x.relu().unwrap(),
            LayerOp::MaxPool { size, .. } => max_pool_by_candle(&x, size),
            LayerOp::Flatten => x.flatten_from(1).unwrap(),
            LayerOp::Dropout { .. } if running.is_some() => x,
            LayerOp::Dropout { p } => {
                let products = network.layers[..at]
                    .iter()
                    .filter(|l| matches!(l.op, LayerOp::Conv { .. } | LayerOp::Linear { .. }));
                let stream = Stream::new(3, "dropout", &format!("0.0.{}.{dropped}", products.count()));
                dropped += 1;
                let kept = |e: u64| if f64::from(stream.unit(e)) >= p { 1.0 / (1.0 - p as f32) } else { 0.0 };
                let size = layer.output.len();
                let (channels, plane) = layer.output.channels();
                // Elements are numbered block by block, pixel by pixel, channel by channel, image by image.
                let place = |e: usize| {
                    let (row, number) = (e / size, e % size);
                    let line = number % plane * channels + number / plane;
                    ((row / LANES * size + line) * LANES + row % LANES) as u64
                };
                let mask: Vec<f32> = (0..x.elem_count()).map(|e| kept(place(e))).collect();
                (&x * Tensor::from_vec(mask, x.dims(), &Device::Cpu).unwrap()).unwrap()
            }
            LayerOp::Affine => unreachable!("no one trains it"),
        };
    }
    x
}

/// Computes max-pooling without overlap by reductions, because the gradient of candle's pooling (0.11.1) is
/// too small by a factor of the window size.
fn max_pool_by_candle(x: &Tensor, size: usize) -> Tensor {
    let (n, channels, height, width) = x.dims4().unwrap();
    let (rows, columns) = (height / size, width / size);
    let x = x.narrow(2, 0, rows * size).unwrap().narrow(3, 0, columns * size).unwrap();
    let windows = x.reshape(vec![n, channels, rows, size, columns, size]).unwrap();
    windows.max(5).unwrap().max(3).unwrap()
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

#[test]
fn losses_and_gradients_are_those_of_candles_autograd() {
    for layers in networks() {
        let mut case = Case::new(&layers);
        let loss = case.step();
        let (expected, gradients) = case.by_candle();
        assert!((loss - expected).abs() < 1e-5, "{layers:?}: {loss} {expected}");
        for (spec, (own, theirs)) in
            case.network.parameters().iter().zip(case.pass.gradients.iter().zip(gradients))
        {
            let own = read_tensor(own).unwrap();
            let scale = theirs.iter().fold(1e-3_f32, |most, g| most.max(g.abs()));
            for (at, (own, theirs)) in own.iter().zip(&theirs).enumerate() {
                assert!(
                    (own - theirs).abs() < 2e-4 * scale,
                    "{layers:?}: {} {at}: {own} {theirs}",
                    spec.name
                );
            }
        }
    }
}

/// Compares the slope along a random direction with central differences, for every network and for pools
/// whose stride differs from their size, which candle's autograd does not support.
#[test]
fn gradients_are_slopes() {
    let pool = |size, stride| LayerSpec::MaxPool { size, stride: Some(stride) };
    let mut all = networks();
    all.push(vec![LayerSpec::conv(4, 3), pool(3, 1), conv(3, 2, [1; 4], true)]);
    all.push(vec![LayerSpec::conv(4, 2), pool(2, 3), LayerSpec::batch_norm()]);
    for layers in all {
        let mut case = Case::new(&layers);
        case.step();
        for (at, spec) in case.network.parameters().iter().enumerate() {
            let gradient = read_tensor(&case.pass.gradients[at]).unwrap().to_vec();
            let direction = numbers(gradient.len(), "direction");
            let step = 3e-4_f32;
            let mut moved = |by: f32| {
                let along = |w: &mut [f32]| w.iter_mut().zip(&direction).for_each(|(w, d)| *w += by * d);
                write(&case.state.parameters[at], along).unwrap();
                case.step()
            };
            let (above, below) = (moved(step), moved(-2.0 * step));
            moved(step);
            let slope = (above - below) / (2.0 * f64::from(step));
            let expected: f64 = gradient.iter().zip(&direction).map(|(g, d)| f64::from(g * d)).sum();
            let size: f64 = gradient.iter().map(|g| f64::from(g * g)).sum::<f64>().sqrt();
            assert!(
                (slope - expected).abs() < 0.02 * size + 1e-3,
                "{layers:?}: {}: {slope} {expected}",
                spec.name
            );
        }
    }
}

/// Lanes without an image start as zeros, but a nonzero bias and a batch variance of 0 can turn the zeros
/// into large numbers.
#[test]
fn lanes_without_an_image_count_nowhere() {
    let norm = || LayerSpec::BatchNorm { eps: 1e-12, momentum: 0.1, name: None };
    let mut layers = vec![LayerSpec::Flatten];
    layers.extend((0..8).flat_map(|_| [LayerSpec::linear(6), norm()]));
    layers.push(LayerSpec::linear(CLASSES));
    let network = Network::resolve(&Architecture::Layers(layers), [2, 8, 6], CLASSES).unwrap();
    let state =
        TrainingState::new(&network, Init::KaimingUniform, Optimizer::Sgd { lr: 0.1, momentum: 0.0 }, 3)
            .unwrap();
    let mut pass = Pass::new(&network, 1).unwrap();
    fill_block(&images(), &[images().image(0)], pass.input());
    pass.forward(&state, 1, 3, "0.0").unwrap();
    let (logits, gradient) = pass.output(1);
    backward(CLASSES, logits, &[1], gradient);
    pass.backward(&state, 1).unwrap();
    for gradient in &pass.gradients {
        assert!(read_tensor(gradient).unwrap().iter().all(|number| number.is_finite()));
    }
}

/// The kernel skips long runs of inputs that are 0 in all images of a block, unless a weight is not finite.
#[test]
fn zeros_left_out_change_nothing() {
    let inputs = 1000;
    let layers = vec![LayerSpec::Flatten, LayerSpec::linear(CLASSES)];
    let network = Network::resolve(&Architecture::Layers(layers), [1, 25, 40], CLASSES).unwrap();
    let state =
        TrainingState::new(&network, Init::KaimingUniform, Optimizer::Sgd { lr: 0.1, momentum: 0.0 }, 3)
            .unwrap();
    let values = vec![std::array::from_fn(|byte| byte as f32 / 255.0)];
    // Every input outside four ranges is 0. The sum has three passes of at most 334 inputs: the first two
    // ranges lie in the first pass, the third in the second pass, and the fourth in the last pass.
    let drawn = |at: usize| matches!(at % inputs, 3..=20 | 29..=31 | 480..=520 | 999);
    let bytes = Stream::new(1, "test", "bytes");
    let pixel = |at: usize| if drawn(at) { 1 + (bytes.bits(at as u64) >> 25) as u8 } else { 0 };
    let pixels = (0..ROWS * inputs).map(pixel).collect();
    let images = Images { shape: [1, 25, 40], classes: CLASSES, pixels, labels: vec![0; ROWS], values };
    let check = |finite: bool| {
        let model = fold(&network, &state).unwrap();
        let found = logits(&model, &images, &|| false).unwrap();
        let (weight, bias) =
            (read_tensor(&state.parameters[0]).unwrap(), read_tensor(&state.parameters[1]).unwrap());
        for (at, found) in found.iter().enumerate() {
            let (row, class) = (at / CLASSES, at % CLASSES);
            let numbers = images.image(row).iter().map(|byte| images.values[0][usize::from(*byte)]);
            let weights = &weight[class * inputs..(class + 1) * inputs];
            let sum = numbers.zip(weights).fold(bias[class], |sum, (x, w)| w.mul_add(x, sum));
            assert!(found.to_bits() == sum.to_bits() || (found.is_nan() && sum.is_nan()), "{found} {sum}");
            assert_eq!(found.is_nan(), !finite && class == 1);
        }
    };
    check(true);
    write(&state.parameters[0], |w| w[inputs + 100] = f32::INFINITY).unwrap();
    check(false);
}

#[test]
fn a_folded_network_is_the_network_in_evaluation() {
    for layers in networks() {
        let mut case = Case::new(&layers);
        for _ in 0..3 {
            case.step();
        }
        let model = fold(&case.network, &case.state).unwrap();
        let trained_only = |op: &LayerOp| matches!(op, LayerOp::Dropout { .. } | LayerOp::BatchNorm { .. });
        assert!(model.network().layers.iter().all(|layer| !trained_only(&layer.op)));
        let expected = forward_by_candle(&case.network, &case.state.parameters, Some(&case.state));
        let expected = expected.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let images = images();
        let found = logits(&model, &images, &|| false).unwrap();
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-4, "{layers:?}: {found} {expected}");
        }
        let loss = evaluate(&model, &images, &|| false).unwrap().loss.unwrap();
        assert!(loss > 0.0 && loss.is_finite());
    }
}

/// Makes images whose bytes stand for random numbers, drawn separately for each channel.
fn images() -> Images {
    let drawn = numbers(512, "values");
    let values = drawn.chunks(256).map(|channel| std::array::from_fn(|byte| channel[byte])).collect();
    let bytes = Stream::new(1, "test", "bytes");
    let pixels = (0..ROWS as u64 * 96).map(|at| (bytes.bits(at) >> 24) as u8).collect();
    Images { shape: [2, 8, 6], classes: CLASSES, pixels, labels: vec![0; ROWS], values }
}

/// Returns the numbers of the test images, image by image, channel by channel.
fn pixels() -> Vec<f32> {
    let images = images();
    let number = |(at, byte): (usize, &u8)| images.values[at % 96 / 48][usize::from(*byte)];
    images.pixels.iter().enumerate().map(number).collect()
}

#[test]
fn an_images_logits_do_not_depend_on_the_others() {
    let case = Case::new(&[LayerSpec::conv(4, 3), LayerSpec::Relu, LayerSpec::max_pool(2)]);
    let model = fold(&case.network, &case.state).unwrap();
    let all = logits(&model, &images(), &|| false).unwrap();
    let order: Vec<u32> = (0..1003).map(|at| (at % ROWS) as u32).collect();
    let many = logits(&model, &images().select(&order), &|| false).unwrap();
    let bits = |numbers: &[f32]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    for (at, row) in many.chunks(CLASSES).enumerate() {
        assert_eq!(bits(row), bits(&all[at % ROWS * CLASSES..][..CLASSES]));
    }
    assert!(logits(&model, &images(), &|| true).is_err());
    let other = Images { shape: [2, 6, 8], ..images() };
    assert!(logits(&model, &other, &|| false).unwrap_err().to_string().contains("[2, 8, 6]"));
    assert_eq!(all.len(), ROWS * CLASSES);
    assert!(case.state.parameters.iter().all(|tensor| tensor.dtype() == DType::F32));
}
