//! Integer networks with drawn codes, biases, scales and zero points: outputs without weights, sums that end in halves, scales at both
//! ends, few bits beside many.

use std::collections::BTreeMap;

use super::networks;
use crate::dataset::images::{Images, Pixels};
use crate::dataset::normalize::Normalize;
use crate::integer::parameters::{IntegerParameters, WeightScales};
use crate::integer::roles::{ValueRole, value_roles};
use crate::integer::value_scale::ValueScale;
use crate::network::array::Array;
use crate::network::definition::{INPUT, Parameter, Role};
use crate::network::every_layer;
use crate::network::model::Model;
use crate::random::Stream;

/// Draws numbers one after the other.
struct Draws {
    stream: Stream,
    next: u64,
}

impl Draws {
    /// Draws a number from 0 to below 1.
    fn unit(&mut self) -> f32 {
        self.next += 1;
        self.stream.unit(self.next - 1)
    }

    /// Draws a whole number from `low` to `high`.
    fn whole(&mut self, low: i32, high: i32) -> i32 {
        low + ((high - low + 1) as f32 * self.unit()) as i32
    }

    /// Draws a scale near another: a power of two half of the time, so that sums end in halves; far away one time of ten.
    fn scale(&mut self, near: f32) -> f32 {
        let exponent = if self.unit() < 0.1 { self.whole(-45, 45) } else { self.whole(-3, 3) };
        let power = libm::ldexpf(1.0, libm::ilogbf(near) + exponent);
        if self.unit() < 0.5 { power } else { power * (1.0 + self.unit()) }
    }
}

/// Returns the normalization of the images of a hostile network.
pub(crate) fn normalize(seed: u64) -> Normalize {
    [Normalize::Bytes, Normalize::UnitRange, every_layer::normalize()][seed as usize % 3].clone()
}

/// Returns images for a hostile network.
pub(crate) fn images(seed: u64) -> Images {
    let mut images = every_layer::images();
    let Pixels::Bytes { values, .. } = &mut images.pixels else { panic!("numbers") };
    values.clear();
    normalize(seed).apply(&mut images).unwrap();
    images
}

/// Returns a network with drawn numbers.
pub(crate) fn network(seed: u64) -> Model {
    let mut draws = Draws { stream: Stream::new(seed, "test", "hostile"), next: 0 };
    let network = networks()[seed as usize / 3 % 2].network().clone();
    let (mut tensors, mut weights) = (BTreeMap::new(), BTreeMap::new());
    for Parameter { name, shape, layer, role } in network.parameters() {
        let count = shape.iter().product();
        let numbers: Vec<f32> = match role {
            Role::Bias => (0..count).map(|_| 8.0 * draws.unit() - 4.0).collect(),
            // A weight and a bias for each channel: few bits, which a file with scales in binary32 keeps.
            Role::Weight if shape.len() == 1 => (0..count).map(|_| draws.whole(-5, 5) as f32 / 4.0).collect(),
            Role::Weight => {
                let bits = draws.whole(2, 8) as u32;
                let scales: Vec<f32> = if draws.unit() < 0.5 {
                    vec![draws.scale(1.0 / 64.0)]
                } else {
                    (0..shape[0]).map(|_| draws.scale(1.0 / 64.0)).collect()
                };
                let half = 1 << (bits - 1);
                let row = count / shape[0];
                let mut numbers = vec![];
                for output in 0..shape[0] {
                    let is_empty = draws.unit() < 0.2;
                    let scale = scales[output.min(scales.len() - 1)];
                    numbers.extend((0..row).map(|_| match draws.whole(-half, half - 1) {
                        _ if is_empty => 0.0,
                        code => (f64::from(code) * f64::from(scale)) as f32,
                    }));
                }
                weights.insert(network.layers[layer].name.clone(), WeightScales { bits, scales });
                numbers
            }
        };
        tensors.insert(name, Array::new(shape, numbers).unwrap());
    }
    let mut value = |bits: u32| {
        let [low, high] = ValueScale { bits, scale: 1.0, zero_point: 0 }.limits();
        let zero_point = if draws.unit() < 0.3 { low } else { draws.whole(low, high) };
        ValueScale { bits, scale: draws.scale(8.0 / (1 << bits) as f32), zero_point }
    };
    // The images have the codes of their bytes.
    let range = match normalize(seed) {
        Normalize::Bytes => [0.0, 255.0],
        Normalize::UnitRange => [0.0, 1.0],
        _ => [-2.0, 2.2],
    };
    let mut values = BTreeMap::from([(INPUT.to_owned(), ValueScale::of_range(range, 8))]);
    let roles = value_roles(&network);
    for (layer, role) in network.layers.iter().zip(roles) {
        if role == ValueRole::Own {
            let bits = [8, 8, 6, 4, 3][(seed as usize + values.len()) % 5];
            values.insert(layer.name.clone(), value(bits));
        }
    }
    Model::new(network, tensors).unwrap().with_integers(IntegerParameters { values, weights }).unwrap()
}

#[test]
fn hostile_numbers_give_the_specified_arithmetic() {
    for seed in 0..60 {
        super::check(&network(seed), &images(seed));
    }
}
