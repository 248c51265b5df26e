//! The tensors that training changes: parameters, the optimizer's moments, and running statistics. Knows
//! nothing of update rules.

use std::collections::BTreeMap;

use crate::network::array::Array;
use crate::network::definition::{Layer, Network, Parameter, Role};
use crate::network::layer::LayerOp;
use crate::random::Stream;
use crate::training::config::{Init, Optimizer};

/// The tensors of one training. Every list has the order of [`Network::parameters`]; `running` is a map by
/// layer.
#[derive(Clone, Debug)]
pub(crate) struct TrainingState {
    pub parameters: Vec<Array>,
    /// First moment of each gradient, for SGD its velocity; empty for SGD without momentum.
    pub first: Vec<Array>,
    /// Second moment of each gradient; empty for SGD.
    pub second: Vec<Array>,
    /// Running mean and running variance of each batch normalization, by layer index.
    pub running: BTreeMap<usize, [Array; 2]>,
}

impl TrainingState {
    /// Makes the state before the first step.
    pub(crate) fn new(network: &Network, init: Init, optimizer: Optimizer, seed: u64) -> Self {
        let specs = network.parameters();
        let zeroed = |wanted: bool| -> Vec<Array> {
            specs.iter().filter(|_| wanted).map(|spec| Array::zeros(&spec.shape)).collect()
        };
        let (first, second) = match optimizer {
            Optimizer::Sgd { momentum, .. } => (zeroed(momentum != 0.0), Vec::new()),
            Optimizer::AdamW { .. } => (zeroed(true), zeroed(true)),
        };
        let parameters = specs.iter().map(|spec| begin(network, spec, init, seed)).collect();
        let mut running = BTreeMap::new();
        for (at, layer) in network.layers.iter().enumerate() {
            if let LayerOp::BatchNorm { .. } = layer.op {
                let channels = layer.input().channels().0;
                running.insert(at, [Array::zeros(&[channels]), Array::row(vec![1.0; channels])]);
            }
        }
        Self { parameters, first, second, running }
    }

    /// Returns every tensor with a name that is unique in the state.
    pub(crate) fn named(&self, network: &Network) -> Vec<(String, Array)> {
        let names: Vec<String> = network.parameters().into_iter().map(|spec| spec.name).collect();
        let mut all = Vec::new();
        for (kind, tensors) in
            [("parameter", &self.parameters), ("first", &self.first), ("second", &self.second)]
        {
            let tensors = names.iter().zip(tensors);
            all.extend(tensors.map(|(name, tensor)| (format!("{kind}.{name}"), tensor.clone())));
        }
        for (at, [mean, variance]) in &self.running {
            let name = &network.layers[*at].name;
            all.push((format!("running.{name}.mean"), mean.clone()));
            all.push((format!("running.{name}.variance"), variance.clone()));
        }
        all
    }

    /// Takes over tensors that [`TrainingState::named`] returned. Returns false and changes nothing if a name or a
    /// shape differs.
    pub(crate) fn restore(&mut self, network: &Network, from: &BTreeMap<String, Array>) -> bool {
        let own = self.named(network);
        let fits = |(name, tensor): &(String, Array)| {
            from.get(name).is_some_and(|other| other.shape() == tensor.shape())
        };
        if own.len() != from.len() || !own.iter().all(fits) {
            return false;
        }
        // The order is that of `named`.
        let mut names = own.into_iter().map(|(name, _)| name);
        let lists = [&mut self.parameters, &mut self.first, &mut self.second].into_iter().flatten();
        let running = self.running.values_mut().flatten();
        for tensor in lists.chain(running) {
            if let Some(read) = names.next().and_then(|name| from.get(&name)) {
                *tensor = read.clone();
            }
        }
        true
    }
}

/// Makes the initial value of a parameter.
fn begin(network: &Network, spec: &Parameter, init: Init, seed: u64) -> Array {
    let mut tensor = Array::zeros(&spec.shape);
    let layer = &network.layers[spec.layer];
    let (Some(weight), _) = layer.op.parameters(layer.input()) else { return tensor };
    if !drawn(layer) {
        if spec.role == Role::Weight {
            tensor.numbers_mut().fill(1.0);
        }
        return tensor;
    }
    // The stream's number counts only layers with random weights, so adding any other layer changes no
    // initial weight.
    let number = network.layers[..spec.layer].iter().filter(|layer| drawn(layer)).count();
    let word = if spec.role == Role::Weight { "weight" } else { "bias" };
    let stream = Stream::new(seed, "init", &format!("{number}.{word}"));
    let taps: usize = weight[2..].iter().product();
    let (fan_in, fan_out) = ((weight[1] * taps) as f64, (weight[0] * taps) as f64);
    let numbers = tensor.numbers_mut();
    match (init, spec.role) {
        (Init::KaimingUniform, _) => uniform(stream, 1.0 / fan_in.sqrt(), numbers),
        (Init::XavierUniform, Role::Weight) => uniform(stream, (6.0 / (fan_in + fan_out)).sqrt(), numbers),
        (Init::HeNormal, Role::Weight) => normal(stream, (2.0 / fan_in).sqrt(), numbers),
        (Init::XavierUniform | Init::HeNormal, Role::Bias) => {}
    }
    tensor
}

fn drawn(layer: &Layer) -> bool {
    matches!(layer.op, LayerOp::Conv { .. } | LayerOp::Linear { .. })
}

/// Fills `numbers` from the uniform distribution on [−bound, bound).
fn uniform(stream: Stream, bound: f64, numbers: &mut [f32]) {
    for (block, part) in numbers.chunks_mut(4).enumerate() {
        for (number, bits) in part.iter_mut().zip(stream.block(block as u64)) {
            *number = ((2.0 * unit(bits) - 1.0) * bound) as f32;
        }
    }
}

/// Fills `numbers` from the normal distribution with mean 0 by the method of Box & Muller (1958), which makes
/// two normal numbers from two uniform numbers.
fn normal(stream: Stream, deviation: f64, numbers: &mut [f32]) {
    for (block, part) in numbers.chunks_mut(4).enumerate() {
        let bits = stream.block(block as u64);
        let pair = |first: u32, second: u32| {
            let radius = deviation * (-2.0 * libm::log(1.0 - unit(first))).sqrt();
            let angle = 2.0 * std::f64::consts::PI * unit(second);
            [radius * libm::cos(angle), radius * libm::sin(angle)]
        };
        let [a, b] = [pair(bits[0], bits[1]), pair(bits[2], bits[3])];
        part.iter_mut().zip([a[0], a[1], b[0], b[1]]).for_each(|(number, drawn)| *number = drawn as f32);
    }
}

/// Returns `bits` / 2³², a number in [0, 1).
fn unit(bits: u32) -> f64 {
    f64::from(bits) / 4_294_967_296.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::architecture::{Architecture, LayerSpec};

    fn state(layers: Vec<LayerSpec>, init: Init) -> (Network, TrainingState) {
        let network = Network::resolve(&Architecture::Layers(layers), [1, 16, 16], 10).unwrap();
        let state = TrainingState::new(&network, init, Optimizer::AdamW { lr: 1e-3, weight_decay: 0.01 }, 7);
        (network, state)
    }

    fn numbers(tensor: &Array) -> Vec<f64> {
        tensor.numbers().iter().map(|number| f64::from(*number)).collect()
    }

    fn layers(extra: &[LayerSpec]) -> Vec<LayerSpec> {
        let mut layers = vec![LayerSpec::conv(8, 3), LayerSpec::Flatten];
        layers.extend_from_slice(extra);
        layers.push(LayerSpec::linear(10));
        layers
    }

    #[test]
    fn weights_have_the_spread_of_their_initialization() {
        let check = |init, fan_deviation: f64, bound: f64, biased: bool| {
            let (_, state) = state(layers(&[]), init);
            let weight = numbers(&state.parameters[2]);
            let n = weight.len() as f64;
            let mean = weight.iter().sum::<f64>() / n;
            let deviation = (weight.iter().map(|w| w * w).sum::<f64>() / n).sqrt();
            assert!(mean.abs() < 4.0 * fan_deviation / n.sqrt(), "{init:?} {mean}");
            assert!((deviation / fan_deviation - 1.0).abs() < 0.03, "{init:?} {deviation}");
            assert!(weight.iter().all(|w| w.abs() <= bound));
            assert_eq!(numbers(&state.parameters[3]).iter().any(|b| *b != 0.0), biased);
        };
        let (fan_in, fan_out) = (8.0 * 14.0 * 14.0, 10.0);
        let uniform = |bound: f64| bound / 3.0_f64.sqrt();
        let (kaiming, xavier) = (1.0 / f64::sqrt(fan_in), f64::sqrt(6.0 / (fan_in + fan_out)));
        check(Init::KaimingUniform, uniform(kaiming), kaiming, true);
        check(Init::XavierUniform, uniform(xavier), xavier, false);
        check(Init::HeNormal, f64::sqrt(2.0 / fan_in), f64::INFINITY, false);
    }

    #[test]
    fn layers_that_draw_nothing_move_no_weight() {
        let plain = state(layers(&[]), Init::KaimingUniform).1;
        let more = [LayerSpec::Relu, LayerSpec::Dropout { p: 0.5 }, LayerSpec::batch_norm()];
        let (network, more) = state(layers(&more), Init::KaimingUniform);
        let at = |name: &str| network.parameters().iter().position(|spec| spec.name == name).unwrap();
        assert_eq!(numbers(&plain.parameters[2]), numbers(&more.parameters[at("linear1.weight")]));
        assert_eq!(numbers(&plain.parameters[3]), numbers(&more.parameters[at("linear1.bias")]));
        assert_ne!(numbers(&plain.parameters[0])[..10], numbers(&plain.parameters[2])[..10]);
    }
}
