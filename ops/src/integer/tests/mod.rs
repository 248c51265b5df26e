//! Integer networks of every kind of layer: the kernels against the arithmetic one number at a time.

pub(crate) mod hostile;
mod numpy;
mod scalar;

use std::collections::BTreeMap;

use super::activation_format::ActivationFormat;
use super::inference::{integer_network, outputs};
use super::parameters::{IntegerParameters, WeightScales};
use super::range_fit::{RangeFit, value_scales};
use super::value_scale::ValueScale;
use crate::backend::own;
use crate::calibration::{Calibration, Method};
use crate::dataset::images::{Images, Pixels};
use crate::format::{Format, RandomBits, Range, Rounding};
use crate::network::architecture::{Architecture, LayerSpec};
use crate::network::array::Array;
use crate::network::definition::Network;
use crate::network::every_layer::{drawn, images, layers, model};
use crate::network::model::Model;
use crate::quantize::{Quantization, Quantizer, Tensor, Tensors};
use crate::random::Stream;
use crate::scale::{Per, RealFit, Scale, ScaleType};

/// Returns a network with weights of some bits and integer activations.
pub(crate) fn integer_model(
    model: &Model,
    bits: u32,
    per: Per,
    activations: ActivationFormat,
    images: &Images,
) -> Model {
    let scale = Scale::Real { per, fit: RealFit::MaxAbs, store: ScaleType::F32 };
    let format = Format::Int { bits, range: Range::Symmetric };
    let quantizer = Quantizer {
        quantization: Quantization::new(format, Rounding::Nearest, Some(scale)).unwrap(),
        layers: BTreeMap::new(),
        seed: 0,
        random_bits: RandomBits::default(),
        tensors: Tensors::Weights,
    };
    let tensors: Vec<Tensor<'_>> = model
        .tensors()
        .iter()
        .map(|(name, array)| Tensor { name, shape: array.shape(), data: array.numbers() })
        .collect();
    let encoded = quantizer.encode(&tensors).unwrap();
    let weights = encoded
        .iter()
        .filter_map(|tensor| {
            let layer = tensor.name.strip_suffix(".weight")?;
            Some((layer.to_owned(), WeightScales { bits, scales: tensor.codes.as_ref()?.scales.clone() }))
        })
        .collect();
    let model =
        model.with(encoded.into_iter().map(|tensor| (tensor.name, tensor.weights)).collect()).unwrap();
    let calibration =
        Calibration { method: Method::Direct, images: images.len(), seed: 0, bias_correction: false };
    let values =
        value_scales(calibration, (activations.bits, activations.fit), &model, images, &|| false).unwrap();
    model.with_integers(IntegerParameters { values, weights }).unwrap()
}

/// Compares the kernels with the arithmetic one number at a time, and the model with the model that its bytes give.
fn check(model: &Model, images: &Images) {
    let integers = integer_network(model).unwrap();
    let found = outputs(model, images, &|| false).unwrap();
    let classes = model.network().classes;
    for (image, row) in found.numbers.chunks_exact(classes).enumerate() {
        assert_eq!(
            scalar::reference(model, &integers, &images.numbers(&[image as u32])),
            row,
            "image {image}"
        );
    }
    let again = Model::decode(&model.encode().unwrap()).unwrap();
    assert_eq!(outputs(&again, images, &|| false).unwrap(), found);
    assert_eq!(again.encode().unwrap(), model.encode().unwrap());
}

/// Returns the network of every layer, and the same with a weight and a bias for each channel in place of an activation function.
pub(crate) fn networks() -> [Model; 2] {
    let first = model(layers());
    let text = first.network().to_json().unwrap().replace(r#""op":"hard_swish""#, r#""op":"affine""#);
    let network = Network::from_json(&text).unwrap();
    let mut tensors = first.tensors().clone();
    for parameter in network.parameters() {
        let drawn =
            || Array::new(parameter.shape.clone(), drawn(parameter.shape.iter().product(), 5)).unwrap();
        tensors.entry(parameter.name.clone()).or_insert_with(drawn);
    }
    [first, Model::new(network, tensors).unwrap()]
}

#[test]
fn kernels_give_the_specified_arithmetic() {
    let images = images();
    for model in networks() {
        for (bits, per, activations, fit) in [
            (8, Per::Channel, 8, RangeFit::MinMax),
            (4, Per::Channel, 8, RangeFit::LeastSquares),
            (2, Per::Tensor, 6, RangeFit::MinMax),
            (5, Per::Tensor, 4, RangeFit::LeastSquares),
        ] {
            let activations = ActivationFormat { bits: activations, fit };
            check(&integer_model(&model, bits, per, activations, &images), &images);
        }
    }
}

#[test]
fn integers_of_8_bits_are_close_to_binary32() {
    let images = images();
    for model in networks() {
        let activations = ActivationFormat { bits: 8, fit: RangeFit::MinMax };
        let small = integer_model(&model, 8, Per::Channel, activations, &images);
        let exact = own::inference::logits(&model, &images, &|| false).unwrap();
        let found = outputs(&small, &images, &|| false).unwrap().logits();
        let most = exact.iter().fold(0.0_f32, |most, logit| most.max(logit.abs()));
        let error = exact.iter().zip(&found).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
        assert!(error < 0.1 * most, "{error} of {most}");
    }
}

/// Images as rows of numbers.
pub(crate) fn rows(features: usize, seed: usize) -> Images {
    let numbers = drawn(20 * features, seed);
    Images {
        shape: [features, 1, 1],
        pixels: Pixels::Numbers { numbers, zeros: vec![0.0; features] },
        labels: None,
    }
}

/// Returns a network of linear layers for rows of numbers.
pub(crate) fn linear(features: usize, layers: Vec<LayerSpec>, weight: impl Fn(usize) -> f32) -> Model {
    let network = Network::resolve(&Architecture::Layers(layers), [features, 1, 1], 2).unwrap();
    let tensors = network.parameters().into_iter().map(|parameter| {
        let numbers = (0..parameter.shape.iter().product()).map(&weight).collect();
        (parameter.name, Array::new(parameter.shape, numbers).unwrap())
    });
    Model::new(network.clone(), tensors.collect()).unwrap()
}

/// Sums beyond 2^24, which binary32 does not hold, take one pass for each digit of the codes.
#[test]
fn large_sums_are_exact() {
    let images = rows(3000, 3);
    let activations = ActivationFormat { bits: 8, fit: RangeFit::MinMax };
    for constant in [true, false] {
        let draws = Stream::new(1, "test", "weights");
        let weight = |at: usize| if constant { 1.0 } else { draws.unit(at as u64) - 0.4 };
        let layers = vec![LayerSpec::Flatten, LayerSpec::linear(3), LayerSpec::Relu, LayerSpec::linear(2)];
        for per in [Per::Tensor, Per::Channel] {
            check(
                &integer_model(&linear(3000, layers.clone(), weight), 8, per, activations, &images),
                &images,
            );
        }
    }
}

/// A mean over as many pixels as binary32 can sum is exact; one over more is refused.
#[test]
fn means_have_as_many_terms_as_are_exact() {
    for (width, is_taken) in [(65_793, true), (65_794, false)] {
        let bytes = vec![255; 2 * width];
        let images = Images {
            shape: [1, 1, width],
            pixels: Pixels::Bytes { bytes, values: vec![std::array::from_fn(|byte| byte as f32)] },
            labels: None,
        };
        let layers = vec![LayerSpec::GlobalAvgPool, LayerSpec::Flatten, LayerSpec::linear(2)];
        let network = Network::resolve(&Architecture::Layers(layers), [1, 1, width], 2).unwrap();
        let tensors = network.parameters().into_iter().map(|parameter| {
            let numbers = vec![1.0; parameter.shape.iter().product()];
            (parameter.name, Array::new(parameter.shape, numbers).unwrap())
        });
        let model = Model::new(network.clone(), tensors.collect()).unwrap();
        let values = ["input", "globalavgpool1"]
            .map(|name| (name.to_owned(), ValueScale { bits: 8, scale: 1.0, zero_point: -128 }));
        let weights = BTreeMap::from([("linear1".to_owned(), WeightScales { bits: 8, scales: vec![1.0] })]);
        let made = model.with_integers(IntegerParameters { values: values.into(), weights });
        match made {
            Ok(model) => {
                assert!(is_taken);
                assert_eq!(outputs(&model, &images, &|| false).unwrap().numbers, [256; 4]);
            }
            Err(error) => {
                assert!(!is_taken && error.to_string().contains("65794 inputs of an output"), "{error}");
            }
        }
    }
}

#[test]
fn channels_without_weights_and_scales_of_all_sizes_give_their_outputs() {
    let images = rows(6, 2);
    let activations = ActivationFormat { bits: 8, fit: RangeFit::MinMax };
    for size in [0.0, 1e-30, 1e-8, 1.0, 1e8, 1e30] {
        // The first output of each layer has weights of this size, the second none.
        let layers = vec![LayerSpec::Flatten, LayerSpec::linear(2), LayerSpec::Relu, LayerSpec::linear(2)];
        let weight = |at: usize| if at < 2 { size * (1.0 - at as f32 / 3.0) } else { 0.0 };
        let model = linear(6, layers, weight);
        check(&integer_model(&model, 8, Per::Channel, activations, &images), &images);
    }
}

#[test]
fn a_residual_takes_branches_of_very_different_scales() {
    let images = rows(6, 2);
    for size in [1e-6, 1e-3, 1.0, 1e3, 1e6] {
        let body = vec![LayerSpec::linear(6)];
        let layers = vec![
            LayerSpec::Flatten,
            LayerSpec::Residual { body, shortcut: vec![] },
            LayerSpec::Relu,
            LayerSpec::linear(2),
        ];
        let model = linear(6, layers, |at| size * ((at * 7 % 5) as f32 - 2.0));
        let activations = ActivationFormat { bits: 8, fit: RangeFit::MinMax };
        let small = integer_model(&model, 8, Per::Channel, activations, &images);
        check(&small, &images);
        let exact = own::inference::logits(&model, &images, &|| false).unwrap();
        let found = outputs(&small, &images, &|| false).unwrap().logits();
        let most = exact.iter().fold(0.0_f32, |most, logit| most.max(logit.abs()));
        let error = exact.iter().zip(&found).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
        assert!(error < 0.05 * most, "{size}: {error} of {most}");
    }
}

#[test]
fn numbers_beyond_the_range_saturate() {
    let images = rows(6, 2);
    let layers = vec![LayerSpec::Flatten, LayerSpec::linear(3), LayerSpec::Relu, LayerSpec::linear(2)];
    let small = integer_model(
        &linear(6, layers, |at| (at % 4) as f32 - 1.0),
        8,
        Per::Channel,
        ActivationFormat { bits: 8, fit: RangeFit::MinMax },
        &images,
    );
    let Pixels::Numbers { numbers, zeros } = images.pixels.clone() else { panic!("bytes") };
    let images_of =
        |numbers| Images { pixels: Pixels::Numbers { numbers, zeros: zeros.clone() }, ..images.clone() };
    let far = images_of(numbers.iter().map(|number| number * 1e20).collect());
    check(&small, &far);
    // The same as the ends of the range; NaN is zero.
    let scale = small.integers().unwrap().values["input"];
    let ends = scale.centered_limits().map(|limit| limit as f32 * scale.scale);
    let end = |number: &f32| if *number < 0.0 { ends[0] } else { ends[1] };
    let outputs = |images: &Images| outputs(&small, images, &|| false).unwrap();
    assert_eq!(outputs(&far), outputs(&images_of(numbers.iter().map(end).collect())));
    let none = vec![f32::NAN; numbers.len()];
    assert_eq!(outputs(&images_of(none)), outputs(&images_of(vec![0.0; numbers.len()])));
}

#[test]
fn parameters_that_do_not_fit_are_refused() {
    let images = images();
    let activations = ActivationFormat { bits: 8, fit: RangeFit::MinMax };
    let good = integer_model(&model(layers()), 4, Per::Channel, activations, &images);
    let parameters = good.integers().unwrap();
    let refused = |change: &dyn Fn(&mut IntegerParameters), expected: &str| {
        let mut parameters = parameters.clone();
        change(&mut parameters);
        let error = good.clone().with_integers(parameters).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    let value = |scale, zero_point| ValueScale { bits: 8, scale, zero_point };
    refused(
        &|all| assert!(all.values.remove("input").is_some()),
        "the integer parameters of input are missing",
    );
    refused(
        &|all| assert!(all.values.insert("relu1".into(), value(0.0, 0)).is_some()),
        "of relu1 are out of range",
    );
    refused(
        &|all| assert!(all.values.insert("relu1".into(), value(1.0, 128)).is_some()),
        "of relu1 are out of range",
    );
    refused(&|all| drop(all.weights.remove("conv1")), "of conv1 are missing");
    refused(&|all| all.weights.get_mut("conv1").unwrap().scales.truncate(2), "of conv1 are out of range");
    refused(&|all| all.weights.get_mut("conv1").unwrap().scales[0] *= 1.5, "layer conv1: weight");
    refused(&|all| all.weights.get_mut("conv1").unwrap().bits = 3, "is no code of 3 bits times its scale");
}
