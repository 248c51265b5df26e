//! Logits of every layer and folding, and what the own backend promises about them.

use super::{CLASSES, Case, ROWS, graphs, image_tensor, images, networks, running, tensors};
use crate::backend::candle::forward::{Mode, forward};
use crate::backend::own::inference::logits;
use crate::backend::own::loss::backward;
use crate::backend::own::pass::Pass;
use crate::backend::{CandleDevice, Device as Backend};
use crate::dataset::images::{Images, Labels, Pixels};
use crate::evaluation::evaluate;
use crate::network::architecture::{Architecture, LayerSpec};
use crate::network::definition::Network;
use crate::network::fold::{fold, folded_shapes};
use crate::network::layer::LayerOp;
use crate::random::Stream;
use crate::training::config::{Init, Optimizer};
use crate::training::state::TrainingState;

/// Lanes without an image start as zeros, but a nonzero bias and a batch variance of 0 can turn the zeros
/// into large numbers.
#[test]
fn lanes_without_an_image_count_nowhere() {
    let norm = || LayerSpec::BatchNorm { eps: 1e-12, momentum: 0.1, name: None };
    let mut layers = vec![LayerSpec::Flatten];
    layers.extend((0..8).flat_map(|_| [LayerSpec::linear(6), norm()]));
    layers.push(LayerSpec::linear(CLASSES));
    let network = Network::resolve(&Architecture::Layers(layers), [2, 8, 6], CLASSES).unwrap();
    let mut state =
        TrainingState::new(&network, Init::KaimingUniform, Optimizer::Sgd { lr: 0.1, momentum: 0.0 }, 3);
    let mut pass = Pass::new(&network, 1).unwrap();
    pass.fill(&images(), &[0]);
    pass.forward(&mut state, 3, [0, 0]);
    backward(pass.outputs(), &[1]);
    pass.backward(&state);
    for gradient in &pass.gradients {
        assert!(gradient.iter().all(|number| number.is_finite()));
    }
}

/// The kernel skips long runs of inputs that are 0 in all images of a block, unless a weight is not finite.
#[test]
fn zeros_left_out_change_nothing() {
    let inputs = 1000;
    let layers = vec![LayerSpec::Flatten, LayerSpec::linear(CLASSES)];
    let network = Network::resolve(&Architecture::Layers(layers), [1, 25, 40], CLASSES).unwrap();
    let mut state =
        TrainingState::new(&network, Init::KaimingUniform, Optimizer::Sgd { lr: 0.1, momentum: 0.0 }, 3);
    let values = vec![std::array::from_fn(|byte| byte as f32 / 255.0)];
    // Every input outside four ranges is 0. The sum has three passes of at most 334 inputs: the first two
    // ranges lie in the first pass, the third in the second pass, and the fourth in the last pass.
    let drawn = |at: usize| matches!(at % inputs, 3..=20 | 29..=31 | 480..=520 | 999);
    let bytes = Stream::new(1, "test", "bytes");
    let pixel = |at: usize| if drawn(at) { 1 + (bytes.bits(at as u64) >> 25) as u8 } else { 0 };
    let labels = Labels::numbered(CLASSES, vec![0; ROWS]);
    let images = Images::of_bytes([1, 25, 40], (0..ROWS * inputs).map(pixel).collect(), values, labels);
    let check = |state: &TrainingState, finite: bool| {
        let model = fold(&network, &state.parameters, &state.running).unwrap();
        let found = logits(&model, &images, &|| false).unwrap();
        let (weight, bias) = (state.parameters[0].numbers(), state.parameters[1].numbers());
        for (at, found) in found.iter().enumerate() {
            let (row, class) = (at / CLASSES, at % CLASSES);
            let numbers = images.numbers(&[row as u32]).into_iter();
            let weights = &weight[class * inputs..(class + 1) * inputs];
            let sum = numbers.zip(weights).fold(bias[class], |sum, (x, w)| w.mul_add(x, sum));
            assert!(found.to_bits() == sum.to_bits() || (found.is_nan() && sum.is_nan()), "{found} {sum}");
            assert_eq!(found.is_nan(), !finite && class == 1);
        }
    };
    check(&state, true);
    state.parameters[0].numbers_mut()[inputs + 100] = f32::INFINITY;
    check(&state, false);
}

#[test]
fn a_folded_network_is_the_network_in_evaluation() {
    for layers in networks().into_iter().chain(graphs()) {
        let mut case = Case::new(&layers);
        for _ in 0..3 {
            case.step();
        }
        let model = fold(&case.network, &case.state.parameters, &case.state.running).unwrap();
        let shapes = model.tensors().iter().map(|(name, tensor)| (name.clone(), tensor.shape().to_vec()));
        assert_eq!(folded_shapes(&case.network), shapes.collect());
        let trained_only = |op: &LayerOp| matches!(op, LayerOp::Dropout { .. } | LayerOp::BatchNorm { .. });
        assert!(model.network().layers.iter().all(|layer| !trained_only(&layer.op)));
        let running = running(&case.state);
        let images_of_case = image_tensor(&case.network);
        let mode = Mode::Evaluation(&running);
        let expected = forward(&case.network, &tensors(&case.state), &images_of_case, mode).unwrap();
        let expected = expected.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let images = images();
        let found = logits(&model, &images, &|| false).unwrap();
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-4, "{layers:?}: {found} {expected}");
        }
        let loss = evaluate(Backend::Cpu, &model, &images, &|| false).unwrap().loss.unwrap();
        assert!(loss > 0.0 && loss.is_finite());
    }
}

#[test]
fn an_images_logits_do_not_depend_on_the_others() {
    let case = Case::new(&[LayerSpec::conv(4, 3), LayerSpec::Relu, LayerSpec::max_pool(2)]);
    let model = fold(&case.network, &case.state.parameters, &case.state.running).unwrap();
    let all = logits(&model, &images(), &|| false).unwrap();
    let order: Vec<u32> = (0..1003).map(|at| (at % ROWS) as u32).collect();
    let many = logits(&model, &images().select(&order), &|| false).unwrap();
    let bits = |numbers: &[f32]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    for (at, row) in many.chunks(CLASSES).enumerate() {
        assert_eq!(bits(row), bits(&all[at % ROWS * CLASSES..][..CLASSES]));
    }
    assert!(logits(&model, &images(), &|| true).is_err());
    let other = Images { shape: [2, 6, 8], ..images() };
    assert!(logits(&model, &other, &|| false).unwrap_err().to_string().contains("takes 2 x 8 x 6 images"));
    assert_eq!(all.len(), ROWS * CLASSES);
}

/// Images for networks that take their numbers in another shape, and for a network of one output, on both backends.
#[test]
fn numbers_in_another_shape_give_the_same_logits_on_both_backends() {
    let row = vec![LayerSpec::Flatten, LayerSpec::linear(5), LayerSpec::Relu];
    let along = vec![LayerSpec::conv(4, 1), LayerSpec::Relu, LayerSpec::Flatten];
    let cases = [
        // The network's input, the shape of the images, the layers, the outputs.
        ([96, 1, 1], [2, 8, 6], row.clone(), CLASSES),
        ([4, 1, 6], [1, 4, 6], along.clone(), CLASSES),
        ([4, 6, 1], [1, 4, 6], along, 1),
        ([2, 8, 6], [2, 8, 6], row, 1),
    ];
    for (input, shape, mut layers, outputs) in cases {
        layers.push(LayerSpec::linear(outputs));
        let network = Network::resolve(&Architecture::Layers(layers), input, outputs).unwrap();
        let rule = Optimizer::Sgd { lr: 0.1, momentum: 0.0 };
        let state = TrainingState::new(&network, Init::KaimingUniform, rule, 3);
        let model = fold(&network, &state.parameters, &state.running).unwrap();
        let size: usize = shape.iter().product();
        let numbers = super::numbers(7 * size, "rows");
        let pixels = Pixels::Numbers { numbers, zeros: vec![0.0; shape[0]] };
        let images = Images { shape, pixels, labels: None };
        let logits = |device| crate::backend::logits(device, &model, &images, &|| false).unwrap();
        let [own, theirs] = [Backend::Cpu, Backend::Candle(CandleDevice::Cpu)].map(logits);
        assert_eq!(own.len(), 7 * outputs.max(2));
        assert!(own.iter().zip(&theirs).all(|(own, theirs)| (own - theirs).abs() < 1e-5), "{input:?}");
        // The same numbers as images of the network's own shape.
        let same = Images { shape: input, ..images };
        assert_eq!(crate::backend::logits(Backend::Cpu, &model, &same, &|| false).unwrap(), own);
        if outputs == 1 {
            assert!(own.chunks(2).all(|pair| pair[0] == 0.0));
        }
    }
}
