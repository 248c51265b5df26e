//! Networks as published on both backends: one step of training, and logits.

#[path = "../../../tests/published/networks.rs"]
mod networks;

use crate::backend::{CandleDevice, Device as Backend, Step, trainer};
use crate::dataset::images::{Images, Labels};
use crate::network::array::Array;
use crate::network::definition::Network;
use crate::network::fold::fold;
use crate::random::Stream;
use crate::training::batch::Batch;
use crate::training::config::{Init, Optimizer};
use crate::training::state::TrainingState;
use std::borrow::Cow;

/// Makes images of noise.
fn noise(count: usize, shape: [usize; 3], classes: usize) -> Images {
    let bytes = Stream::new(7, "test", "noise");
    let pixels = (0..(count * shape.iter().product::<usize>()) as u64).map(|at| (bytes.bits(at) >> 24) as u8);
    let values = vec![std::array::from_fn(|byte| byte as f32 / 255.0); shape[0]];
    let labels = (0..count).map(|at| (at * 7 % classes) as u8).collect();
    Images::of_bytes(shape, pixels.collect(), values, Labels::numbered(classes, labels))
}

/// Whole networks on both backends: the weights after a step of plain SGD within 1e-5, the gradients behind it within
/// 1e-4 of the largest of their tensor, and the logits of the folded network within 1e-4 of the largest.
#[test]
fn whole_networks_agree_on_both_backends() {
    let rule = Optimizer::Sgd { lr: 0.1, momentum: 0.0 };
    let candle = Backend::Candle(CandleDevice::Cpu);
    let cases = [
        (networks::lenet5(), [1, 28, 28], 10),
        (networks::resnet8(), [3, 32, 32], 10),
        (networks::ds_cnn(12), [1, 49, 10], 12),
    ];
    for (architecture, shape, classes) in cases {
        let network = Network::resolve(&architecture, shape, classes).unwrap();
        // Among many numbers one lies so near to the kink of a Relu that rounding decides its side.
        let images = noise(4, shape, classes);
        let places = (0..images.len() as u32).collect();
        let batch = Batch { images: Cow::Borrowed(&images), places, labels: images.classes().to_vec() };
        let before = TrainingState::new(&network, Init::KaimingUniform, rule, 5);
        let after = |device: Backend| {
            let mut training = trainer(device, &network, before.clone(), rule, images.len()).unwrap();
            let step = Step { seed: 5, moment: [0, 0], number: 1, optimizer: rule, factor: 1.0 };
            let figures = training.step(&batch, step).unwrap();
            (figures, training.state().unwrap())
        };
        let [(own_figures, own), (their_figures, theirs)] = [Backend::Cpu, candle].map(after);
        assert!((own_figures.loss - their_figures.loss).abs() < 1e-4 * own_figures.loss);
        let names = network.parameters().into_iter().map(|spec| spec.name);
        let arrays = own.parameters.iter().zip(&theirs.parameters).zip(&before.parameters);
        for (name, ((own, theirs), before)) in names.zip(arrays) {
            let gradient = |after: &Array| -> Vec<f32> {
                before.numbers().iter().zip(after.numbers()).map(|(old, new)| (old - new) / 0.1).collect()
            };
            let gradients = [gradient(own), gradient(theirs)];
            // Where a sum is zero but for rounding, as before a batch normalization, 1e-3 is the scale.
            let largest = gradients[1].iter().fold(1e-3_f32, |most, number| most.max(number.abs()));
            for (own, theirs) in gradients[0].iter().zip(&gradients[1]) {
                // The difference of weights near 1 is rounded to 6e-8, that is 6e-7 of a gradient.
                assert!((own - theirs).abs() <= 1e-4 * largest + 1e-6, "{name}: {own} {theirs} of {largest}");
            }
            for (own, theirs) in own.numbers().iter().zip(theirs.numbers()) {
                assert!((own - theirs).abs() <= 1e-5, "{name}: {own} {theirs}");
            }
        }
        assert_logits_agree(&network, &own, &images);
    }
}

fn assert_logits_agree(network: &Network, state: &TrainingState, images: &Images) {
    let model = fold(network, &state.parameters, &state.running).unwrap();
    let logits = |device| crate::backend::logits(device, &model, images, &|| false).unwrap();
    let [own, theirs] = [Backend::Cpu, Backend::Candle(CandleDevice::Cpu)].map(logits);
    let largest = theirs.iter().fold(0.0_f32, |most, logit| most.max(logit.abs()));
    assert!(own.iter().zip(&theirs).all(|(own, theirs)| (own - theirs).abs() <= 1e-4 * largest));
}

/// Rounding decides too many kinks of this network's many Relus for a comparison of its gradients.
#[test]
fn logits_of_mobilenet_agree() {
    let network = Network::resolve(&networks::mobilenet(), [3, 96, 96], 2).unwrap();
    let rule = Optimizer::Sgd { lr: 0.1, momentum: 0.0 };
    let state = TrainingState::new(&network, Init::KaimingUniform, rule, 5);
    assert_logits_agree(&network, &state, &noise(4, [3, 96, 96], 2));
}
