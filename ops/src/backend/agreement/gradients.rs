//! Gradients of every layer against candle's autograd and against finite differences.

use super::{Case, conv, graphs, networks, numbers, smooth};
use crate::network::architecture::LayerSpec;
use crate::network::geometry::{HeightWidth, PaddingSpec};

#[test]
fn losses_and_gradients_are_those_of_candles_autograd() {
    for layers in networks().into_iter().chain(graphs()) {
        let mut case = Case::new(&layers);
        let loss = case.step();
        let (expected, gradients) = case.by_candle();
        assert!((loss - expected).abs() < 1e-5, "{layers:?}: {loss} {expected}");
        for (spec, (own, theirs)) in
            case.network.parameters().iter().zip(case.pass.gradients.iter().zip(gradients))
        {
            let scale = theirs.iter().fold(1e-3_f32, |most, g| most.max(g.abs()));
            for (at, (own, theirs)) in own.iter().zip(&theirs).enumerate() {
                assert!(
                    (own - theirs).abs() < 1e-4 * scale,
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
    let pool = |size: usize, stride: usize| LayerSpec::MaxPool {
        size: HeightWidth::square(size),
        stride: Some(HeightWidth::square(stride)),
        padding: PaddingSpec::default(),
    };
    let mut all = networks();
    all.extend(graphs().into_iter().map(smooth));
    all.push(vec![LayerSpec::conv(4, 3), pool(3, 1), conv(3, 2, [1; 4], true)]);
    all.push(vec![LayerSpec::conv(4, 2), pool(2, 3), LayerSpec::batch_norm()]);
    for layers in all {
        let mut case = Case::new(&layers);
        case.step();
        for (at, spec) in case.network.parameters().iter().enumerate() {
            let gradient = case.pass.gradients[at].clone();
            let direction = numbers(gradient.len(), "direction");
            let step = 3e-4_f32;
            let mut moved = |by: f32| {
                let weights = case.state.parameters[at].numbers_mut();
                weights.iter_mut().zip(&direction).for_each(|(w, d)| *w += by * d);
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
