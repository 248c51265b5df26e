//! Whole networks, calibrated.

use std::collections::BTreeMap;

use super::error::CalibrationError;
use super::layers::*;
use super::moments::Products;
use super::rows::LayerRows;
use super::sums::dot;
use super::{Calibration, DAMPING, Method};
use crate::backend::own::activations::Activations;
use crate::backend::own::inference::InferenceError;
use crate::backend::own::kernels::lanes::LANES;
use crate::dataset::images::Images;
use crate::dataset::images::Pixels;
use crate::format::{Format, RandomBits, Rounding};
use crate::network::architecture::{Architecture, LayerSpec};
use crate::network::array::Array;
use crate::network::definition::Network;
use crate::network::geometry::{Padding, PaddingSpec};
use crate::network::model::Model;
use crate::network::wiring::Source;
use crate::quantize::{Quantization, Tensors};
use crate::quantize::{Quantizer, Tensor};
use crate::random::Stream;
use crate::scale::{Per, PowerFit, RealFit, Scale, ScaleType};

fn images(count: usize) -> Images {
    let drawn = Stream::new(2, "test", "images");
    let numbers = (0..count * 2 * 7 * 6).map(|at| drawn.unit(at as u64)).collect();
    Images { shape: [2, 7, 6], pixels: Pixels::Numbers { numbers, zeros: vec![0.0; 2] }, labels: None }
}

/// A network with a grouped convolution without bias, a strided one, and a linear layer.
fn model() -> Model {
    let mut grouped = LayerSpec::conv(4, 3).padded(PaddingSpec::Same);
    if let LayerSpec::Conv { groups, bias, .. } = &mut grouped {
        (*groups, *bias) = (2, false);
    }
    let layers = vec![
        grouped,
        LayerSpec::Relu,
        LayerSpec::conv(5, 3),
        LayerSpec::Relu,
        LayerSpec::Flatten,
        LayerSpec::linear(3),
    ];
    model_of(layers, [2, 7, 6])
}

fn model_of(layers: Vec<LayerSpec>, input: [usize; 3]) -> Model {
    let network = Network::resolve(&Architecture::Layers(layers), input, 3).unwrap();
    let drawn = Stream::new(1, "test", "weights");
    let tensors = network.parameters().into_iter().enumerate().map(|(at, parameter)| {
        let count = parameter.shape.iter().product::<usize>();
        let numbers = (0..count).map(|element| drawn.unit((at * 1000 + element) as u64) - 0.5).collect();
        (parameter.name, Array::new(parameter.shape, numbers).unwrap())
    });
    let tensors = tensors.collect();
    Model::new(network, tensors).unwrap()
}

fn quantizer(format: Format) -> Quantizer {
    let scale = Scale::Real { per: Per::Channel, fit: RealFit::LeastSquares, store: ScaleType::F32 };
    Quantizer {
        quantization: Quantization::new(format, Rounding::Nearest, Some(scale)).unwrap(),
        layers: BTreeMap::new(),
        seed: 0,
        random_bits: RandomBits::new(32).unwrap(),
        tensors: Tensors::Weights,
    }
}

const GPTQ: Method = Method::Gptq { damping: DAMPING };

fn calibrated(method: Method, bias_correction: bool) -> Calibrated {
    let calibration = Calibration { method, images: 40, seed: 3, bias_correction };
    let quantizer = quantizer(Format::parse("Int(3)").unwrap());
    calibrate(calibration, &quantizer, &model(), &images(50), &|| false).unwrap()
}

/// A layer's own outputs on the inputs that the quantized layers give have the same mean with old and with new weights.
#[test]
fn corrected_biases_keep_the_mean_of_every_output() {
    let (before, found) = (model(), calibrated(GPTQ, true));
    let network = found.model.network();
    let mut places = Stream::new(3, "calibration", "").permutation(50);
    places.truncate(40);
    let means = |old: bool| -> Vec<f32> {
        let mut activations = Activations::new(network, &images(50), &places).unwrap();
        let mut means = vec![];
        for (at, layer) in network.layers.iter().enumerate() {
            let name = |word: &str| format!("{}.{word}", layer.name);
            let Some(weight) = found.rounded.get(&name("weight")).map(|tensor| &tensor.numbers) else {
                activations.compute(at, &[], None).unwrap();
                continue;
            };
            let bias = found.model.tensors()[&name("bias")].numbers();
            let own = before
                .tensors()
                .get(&name("bias"))
                .map_or(vec![0.0; bias.len()], |bias| bias.numbers().to_vec());
            let rows = LayerRows::new(layer, at, 40, 3).unwrap();
            let (inputs, of_group) = (rows.inputs(), bias.len() / rows.groups());
            for output in 0..bias.len() {
                let input = input_moments(&rows, output / of_group, &activations, Products::All).means();
                let used = if old { before.tensors()[&name("weight")].numbers() } else { weight };
                let row: Vec<f64> =
                    used[output * inputs..][..inputs].iter().copied().map(f64::from).collect();
                let constant = if old { own[output] } else { bias[output] };
                means.push((dot(&row, &input) + f64::from(constant)) as f32);
            }
            activations.compute(at, weight, Some(bias)).unwrap();
        }
        means
    };
    let (old, new) = (means(true), means(false));
    assert_eq!(old.len(), 12);
    assert!(old.iter().zip(&new).all(|(old, new)| (old - new).abs() < 1e-5), "{old:?} {new:?}");
}

#[test]
fn each_algorithm_is_better_on_its_images_than_the_one_before() {
    let error = |method, fix| {
        calibrated(method, fix).output_errors.iter().filter_map(|(_, error)| *error).sum::<f64>()
    };
    let direct = error(Method::Direct, false);
    assert!(error(Method::Direct, true) < direct);
    let gptq = error(GPTQ, false);
    assert!(gptq < direct && error(GPTQ, true) < gptq);
    assert!(error(Method::CoordinateDescent { passes: 20 }, false) <= gptq * 1.001);
    // Without an error of the weights there is none of the outputs.
    let calibration = Calibration { method: GPTQ, images: 9, seed: 0, bias_correction: true };
    let exact = quantizer(Format::parse("Int(24)").unwrap());
    let found = calibrate(calibration, &exact, &model(), &images(9), &|| false).unwrap();
    assert!(
        found.output_errors.iter().all(|(_, error)| error.is_none_or(|error| error < 1e-9)),
        "{:?}",
        found.output_errors
    );
}

/// Products of the inputs of a group with themselves, from the images by hand: the first layer, its second group.
#[test]
fn inputs_are_those_of_the_window() {
    let (model, images) = (model(), images(3));
    let activations = Activations::new(model.network(), &images, &[2, 0]).unwrap();
    let rows = LayerRows::new(&model.network().layers[0], 0, 2, 0).unwrap();
    let found = input_moments(&rows, 1, &activations, Products::All).products();
    let Pixels::Numbers { numbers, .. } = &images.pixels else { panic!("bytes") };
    let pixel = |image: usize, y: i64, x: i64| {
        let inside = (0..7).contains(&y) && (0..6).contains(&x);
        if inside { f64::from(numbers[(image * 2 + 1) * 42 + (y * 6 + x) as usize]) } else { 0.0 }
    };
    for (i, j) in [(0, 0), (4, 4), (2, 7), (8, 3)] {
        let mut sum = 0.0;
        for (image, y, x) in (0..2 * 42).map(|at| ([2, 0][at / 42], (at / 6 % 7) as i64, (at % 6) as i64)) {
            let at = |tap: i64| pixel(image, y + tap / 3 - 1, x + tap % 3 - 1);
            sum += at(i) * at(j);
        }
        let found = found[(i * 9 + j) as usize];
        assert!((found - sum / 84.0).abs() < 1e-12, "{i} {j} {found} {}", sum / 84.0);
    }
}

/// Weights times the rows that a layer reads are its outputs: with strides, dilation, uneven padding, a convolution of each
/// channel and a join.
#[test]
fn rows_times_weights_are_the_outputs_of_the_layer() {
    let pad = |top, left, bottom, right| PaddingSpec::Pixels(Padding { top, left, bottom, right });
    let mut uneven = LayerSpec::conv(4, 3).padded(pad(2, 0, 1, 1));
    if let LayerSpec::Conv { stride, dilation, kernel, .. } = &mut uneven {
        (*stride, *dilation, *kernel) = ([1, 2].into(), [2, 1].into(), [3, 2].into());
    }
    let depthwise = LayerSpec::DepthwiseConv {
        multiplier: 2,
        kernel: [3, 3].into(),
        stride: [2, 1].into(),
        padding: PaddingSpec::Same,
        dilation: [1, 1].into(),
        bias: true,
        name: None,
    };
    let joined = LayerSpec::Residual {
        body: vec![LayerSpec::conv(4, 3).padded(PaddingSpec::Same), LayerSpec::Tanh],
        shortcut: vec![],
    };
    let layers = vec![
        uneven,
        LayerSpec::Relu,
        joined,
        depthwise,
        LayerSpec::Relu,
        LayerSpec::Flatten,
        LayerSpec::linear(5),
        LayerSpec::Relu,
        LayerSpec::linear(3),
    ];
    let model = model_of(layers, [2, 7, 6]);
    let network = model.network();
    let places: Vec<u32> = (0..19).collect();
    let mut activations = Activations::new(network, &images(19), &places).unwrap();
    let mut seen = 0;
    for (at, layer) in network.layers.iter().enumerate() {
        let tensor = |word: &str| model.tensors().get(&format!("{}.{word}", layer.name)).map(Array::numbers);
        let (weight, bias) = (tensor("weight").unwrap_or_default(), tensor("bias"));
        let mut expected = vec![];
        if let Some(rows) = LayerRows::new(layer, at, 19, 0) {
            let inputs = rows.inputs();
            let outputs = weight.len() / inputs;
            for group in 0..rows.groups() {
                let mut read = vec![0.0; rows.len() * inputs];
                rows.read(&activations, group, 0..rows.len(), &mut read, inputs);
                let of_group = outputs / rows.groups();
                for output in group * of_group..(group + 1) * of_group {
                    let row: Vec<f64> =
                        weight[output * inputs..][..inputs].iter().copied().map(f64::from).collect();
                    let constant = bias.map_or(0.0, |bias| f64::from(bias[output]));
                    expected.extend(read.chunks(inputs).map(|read| dot(read, &row) + constant));
                }
            }
        }
        activations.compute(at, weight, bias).unwrap();
        let reader =
            network.layers.iter().position(|layer| layer.sources.first() == Some(&Source::Layer(at)));
        let (false, Some(reader)) = (expected.is_empty(), reader) else { continue };
        seen += 1;
        let (channels, pixels) = layer.output.channels();
        let positions = 19 * pixels;
        for (at, expected) in expected.iter().enumerate() {
            let (channel, image, pixel) = (at / positions, at % positions / pixels, at % pixels);
            let found = activations.input(reader, image / LANES)[pixel * channels + channel].0[image % LANES];
            assert!((f64::from(found) - expected).abs() < 1e-5, "{} {at} {found} {expected}", layer.name);
        }
    }
    assert_eq!(seen, 4);
}

#[test]
fn every_format_is_the_one_of_its_codes() {
    let coarse = Some(Scale::Real { per: Per::Block(5), fit: RealFit::MaxAbs, store: ScaleType::E8M0 });
    let tried = |store| Some(Scale::Real { per: Per::Channel, fit: RealFit::OutputError, store });
    let (nearest, drawn) = (Rounding::Nearest, Rounding::Stochastic);
    for (text, rounding, scale) in [
        ("Int(3)", nearest, None),
        ("Int(3)", drawn, coarse),
        ("E2M1", drawn, None),
        ("E2M1", nearest, coarse),
        ("Posit(n: 4, es: 1)", nearest, None),
        ("KMeans(2)", nearest, None),
        ("Mx(E2M1)", drawn, None),
        ("Ternary", nearest, None),
        ("Int(bits: 3, range: Asymmetric)", nearest, None),
        ("Nf4", nearest, None),
        ("Int(bits: 3, range: Asymmetric)", nearest, tried(ScaleType::F16)),
        ("Int(bits: 3, range: Full)", nearest, tried(ScaleType::E4M3)),
        ("Int(3)", drawn, tried(ScaleType::F32)),
        ("Ternary", nearest, tried(ScaleType::F32)),
        ("Binary", nearest, tried(ScaleType::E8M0)),
        ("E2M1", nearest, tried(ScaleType::Bf16)),
    ] {
        let format = Format::parse(text).unwrap();
        let mut quantizer = quantizer(Format::parse("Int(3)").unwrap());
        quantizer.quantization = Quantization::new(format, rounding, scale).unwrap();
        let calibration = Calibration { method: GPTQ, images: 20, seed: 0, bias_correction: false };
        let found = calibrate(calibration, &quantizer, &model(), &images(20), &|| false).unwrap();
        let numbers = found.rounded.iter().map(|(name, tensor)| (name.clone(), tensor.numbers.clone()));
        let made = found.model.with(numbers.collect()).unwrap();
        let fits = fits(calibration, &quantizer, [&model(), &made], &images(20)).unwrap();
        for (name, rounded) in &found.rounded {
            let model = model();
            let array = &model.tensors()[name];
            let tensor = Tensor { name, shape: array.shape(), data: array.numbers() };
            let rounded = &rounded.numbers;
            let encoded = quantizer.encode_rounded(&[tensor], &[rounded], &fits).unwrap();
            let codes = encoded[0].codes.as_ref().unwrap();
            let value = |at: usize| {
                let group = codes.groups.group_of(at);
                let scale = codes.scales.get(group).copied().map_or(1.0, f64::from);
                let code = codes.codes[at];
                let number = codes
                    .zero_points
                    .get(group)
                    .map_or_else(|| codes.codebook[code as usize], |zero| f64::from(code) - f64::from(*zero));
                (number * scale) as f32
            };
            assert!(rounded.iter().enumerate().all(|(at, number)| *number == value(at)), "{text} {name}");
        }
    }
}

/// Scales that are fitted to inputs come again from the quantized network alone, and lose less of the outputs.
#[test]
fn scales_are_fitted_to_inputs() {
    let real = |fit| Scale::Real { per: Per::Channel, fit, store: ScaleType::F32 };
    let power = |fit| Scale::PowerOfTwo { per: Per::Block(7), fit };
    let of = |scale, method, bias_correction| {
        let calibration = Calibration { method, images: 40, seed: 3, bias_correction };
        let mut quantizer = quantizer(Format::parse("Int(3)").unwrap());
        quantizer.quantization.scale = scale;
        let found = calibrate(calibration, &quantizer, &model(), &images(50), &|| false).unwrap();
        let numbers = found.rounded.iter().map(|(name, tensor)| (name.clone(), tensor.numbers.clone()));
        let made = found.model.with(numbers.collect()).unwrap();
        let again = fits(calibration, &quantizer, [&model(), &made], &images(50)).unwrap();
        (found, again)
    };
    let tried = Scale::PowerOfTwo { per: Per::Channel, fit: PowerFit::OutputError };
    for scale in
        [real(RealFit::HessianDiagonal), power(PowerFit::HessianDiagonal), real(RealFit::OutputError), tried]
    {
        for (method, bias_correction) in [(Method::Direct, false), (Method::Direct, true), (GPTQ, true)] {
            let (found, again) = of(scale, method, bias_correction);
            let expected: BTreeMap<_, _> =
                found.rounded.into_iter().map(|(name, tensor)| (name, tensor.fitted)).collect();
            assert_eq!(again, expected);
        }
    }
    let (by_inputs, _) = of(real(RealFit::HessianDiagonal), Method::Direct, false);
    let (alike, again) = of(real(RealFit::LeastSquares), Method::Direct, false);
    assert!(again.is_empty());
    assert!(by_inputs.output_errors[0].1 < alike.output_errors[0].1);
    let (by_outputs, _) = of(real(RealFit::OutputError), Method::Direct, false);
    assert!(by_outputs.output_errors[0].1 < by_inputs.output_errors[0].1);
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let mut quantizer = quantizer(Format::parse("Int(3)").unwrap());
    for fit in [RealFit::LeastSquares, RealFit::OutputError] {
        quantizer.quantization.scale = Scale::Real { per: Per::Channel, fit, store: ScaleType::F32 };
        let method = Method::CoordinateDescent { passes: 5 };
        let calibration = Calibration { method, images: 40, seed: 3, bias_correction: true };
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let calibrate = || calibrate(calibration, &quantizer, &model(), &images(50), &|| false);
            let found = pool.install(calibrate).unwrap();
            (found.rounded, found.model.encode().unwrap(), found.output_errors)
        };
        assert_eq!(with(1), with(3));
    }
}

#[test]
fn too_few_images_and_other_images_are_refused() {
    let calibration = Calibration { method: GPTQ, images: 51, seed: 0, bias_correction: false };
    let quantizer = quantizer(Format::parse("Int(3)").unwrap());
    let told = |images: &Images| {
        calibrate(calibration, &quantizer, &model(), images, &|| false).unwrap_err().to_string()
    };
    assert_eq!(
        told(&images(50)),
        "calibration: 51 images wanted, there are 50 training images; set `calibration` to at most 50"
    );
    let other = Images { shape: [2, 6, 7], ..images(60) };
    assert!(told(&other).starts_with("the network takes 2 x 7 x 6 images"));
}

/// Without products of the inputs, biases are corrected and the error of the outputs is not known.
#[test]
fn a_layer_of_very_many_inputs_has_no_products() {
    let model = model_of(vec![LayerSpec::Flatten, LayerSpec::linear(3)], [1, 1, 4097]);
    let numbers = (0..4 * 4097).map(|at| (at % 7) as f32).collect();
    let images =
        Images { shape: [1, 1, 4097], pixels: Pixels::Numbers { numbers, zeros: vec![0.0] }, labels: None };
    let with_fit = |method, fit| {
        let calibration = Calibration { method, images: 4, seed: 0, bias_correction: true };
        let mut quantizer = quantizer(Format::parse("Int(3)").unwrap());
        quantizer.quantization.scale = Scale::Real { per: Per::Channel, fit, store: ScaleType::F32 };
        calibrate(calibration, &quantizer, &model, &images, &|| false)
    };
    let with = |method| with_fit(method, RealFit::LeastSquares);
    let refused = with_fit(Method::Direct, RealFit::OutputError).unwrap_err().to_string();
    assert!(refused.ends_with("use `method: Direct`, and a fit other than `OutputError`"), "{refused}");
    let found = with(Method::Direct).unwrap();
    assert_eq!(found.output_errors, [("linear1".to_owned(), None)]);
    assert_ne!(found.model.tensors()["linear1.bias"], model.tensors()["linear1.bias"]);
    assert!(with(GPTQ).unwrap_err().to_string().starts_with("linear1.weight: 4097 inputs of an output"));
}

#[test]
fn a_layer_without_outputs_has_no_relative_error() {
    let calibration = Calibration { method: GPTQ, images: 9, seed: 0, bias_correction: false };
    let dark =
        Images { pixels: Pixels::Numbers { numbers: vec![0.0; 9 * 84], zeros: vec![0.0; 2] }, ..images(9) };
    let found =
        calibrate(calibration, &quantizer(Format::parse("Int(3)").unwrap()), &model(), &dark, &|| false)
            .unwrap();
    assert_eq!(found.output_errors[0], ("conv1".to_owned(), None));
    assert!(found.output_errors[2].1.is_some());
    let stopped =
        calibrate(calibration, &quantizer(Format::parse("Int(3)").unwrap()), &model(), &dark, &|| true);
    assert!(matches!(stopped, Err(CalibrationError::Inference(InferenceError::Cancelled))));
}

/// The bits on a machine with AVX-512; other instruction sets, and none, must give the same.
#[test]
fn the_bits_are_pinned() {
    let mut hasher = blake3::Hasher::new();
    for method in [Method::Direct, GPTQ, Method::CoordinateDescent { passes: 20 }] {
        let found = calibrated(method, true);
        for number in found.rounded.values().flat_map(|tensor| &tensor.numbers) {
            hasher.update(&number.to_bits().to_le_bytes());
        }
        hasher.update(&found.model.encode().unwrap());
        for (_, error) in &found.output_errors {
            hasher.update(&error.map_or(0, f64::to_bits).to_le_bytes());
        }
    }
    assert_eq!(&hasher.finalize().to_hex()[..16], "42b21c352db8e72b");
}
