//! Integer networks with drawn codes, biases, scales and zero points: outputs without weights, sums that end in halves, scales at both
//! ends, few bits beside many.

use std::collections::BTreeMap;

use super::networks;
use crate::calibration::{Calibration, Method};
use crate::dataset::images::{Images, Pixels};
use crate::dataset::normalize::Normalize;
use crate::integer::parameters::{IntegerParameters, WeightScales};
use crate::integer::range_fit::{RangeFit, value_scales};
use crate::integer::value_scale::ValueScale;
use crate::network::architecture::LayerSpec;
use crate::network::array::Array;
use crate::network::definition::{INPUT, Network, Parameter, Role};
use crate::network::every_layer;
use crate::network::geometry::{HeightWidth, Padding, PaddingSpec};
use crate::network::model::Model;
use crate::random::Stream;

/// Draws numbers one after the other.
struct Draws {
    stream: Stream,
    next: u64,
    /// The share of scales that are far away: one is enough to make most outputs equal.
    far: f32,
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

    /// Draws a scale near another: a power of two half of the time, so that sums end in halves.
    fn scale(&mut self, near: f32) -> f32 {
        let exponent = if self.unit() < self.far { self.whole(-45, 45) } else { self.whole(-1, 0) };
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

/// Returns the layers of a hostile network: every kind of layer, or few, so that each difference of a code changes the outputs.
fn definition(seed: u64) -> Network {
    let conv = |out| LayerSpec::conv(out, 3).padded(PaddingSpec::Pixels(Padding::all(1)));
    let end = || [LayerSpec::Flatten, LayerSpec::linear(4)];
    let pool = |count_padding| LayerSpec::AvgPool {
        size: HeightWidth::square(3),
        stride: Some(HeightWidth::square(2)),
        padding: PaddingSpec::Pixels(Padding::all(1)),
        count_padding,
    };
    let residual = || LayerSpec::Residual { body: vec![conv(5)], shortcut: vec![] };
    let branches = vec![vec![conv(2)], vec![conv(3), LayerSpec::Sigmoid], vec![LayerSpec::Tanh]];
    let short: Vec<Vec<LayerSpec>> = vec![
        vec![conv(5), LayerSpec::Relu6],
        vec![conv(5), residual(), LayerSpec::Relu],
        vec![conv(5), residual()],
        vec![conv(4), LayerSpec::Relu, pool(false)],
        vec![conv(4), pool(true)],
        vec![LayerSpec::Concat { branches }],
        vec![conv(4), LayerSpec::LeakyRelu { slope: 0.125 }],
        // A weight and a bias for each channel takes this layer's place.
        vec![conv(4), LayerSpec::Relu, LayerSpec::HardSwish],
        vec![conv(6), LayerSpec::max_pool(2)],
    ];
    let at = seed as usize % (short.len() + 4);
    let Some(layers) = short.get(at) else {
        let whole = LayerSpec::Conv {
            out: 4,
            kernel: HeightWidth { height: 7, width: 6 },
            stride: HeightWidth::square(1),
            padding: PaddingSpec::Pixels(Padding::default()),
            dilation: HeightWidth::square(1),
            groups: 1,
            bias: true,
            name: None,
        };
        let layers = match at - short.len() {
            0 => vec![LayerSpec::Flatten, LayerSpec::linear(4), LayerSpec::Sigmoid],
            1 => vec![whole, LayerSpec::Flatten],
            every => return networks()[every - 2].network().clone(),
        };
        return every_layer::model(layers).network().clone();
    };
    let model = every_layer::model(layers.iter().cloned().chain(end()).collect());
    let text = model.network().to_json().unwrap().replace(r#""op":"hard_swish""#, r#""op":"affine""#);
    Network::from_json(&text).unwrap()
}

/// Returns a network with drawn numbers.
pub(crate) fn network(seed: u64) -> Model {
    let far = if seed % 24 >= 18 { 0.1 } else { 0.0 };
    let mut draws = Draws { stream: Stream::new(seed, "test", "hostile"), next: 0, far };
    let network = definition(seed);
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
                    let is_empty = draws.unit() < 0.1;
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
    let model = Model::new(network, tensors).unwrap();
    let images = images(seed);
    let calibration =
        Calibration { method: Method::Direct, images: images.len(), seed: 0, bias_correction: false };
    // Ranges near the fitted ones, so that values keep their differences.
    let mut values = BTreeMap::new();
    let fitted = value_scales(calibration, (8, RangeFit::MinMax), &model, &images, &|| false).unwrap();
    for (name, scale) in fitted {
        let bits = if name == INPUT { 8 } else { [8, 8, 8, 8, 5][draws.whole(0, 4) as usize] };
        let ([low, high], steps) = (scale.centered_limits().map(f64::from), f64::from(scale.scale));
        let same = ValueScale::of_range([low * steps, high * steps], bits);
        let [least, most] = same.limits();
        let perturbed = ValueScale {
            scale: draws.scale(same.scale),
            zero_point: (same.zero_point + draws.whole(-6, 6)).clamp(least, most),
            ..same
        };
        // The codes of the images are their bytes.
        values.insert(name.clone(), if name == INPUT { scale } else { perturbed });
    }
    model.with_integers(IntegerParameters { values, weights }).unwrap()
}

#[test]
fn hostile_numbers_give_the_specified_arithmetic() {
    for seed in 0..72 {
        super::check(&network(seed), &images(seed));
    }
}
