//! Exported networks, compiled by gcc and compared with Evaluate's logits.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use serde_json::json;

use super::Export;
use crate::dataset::images::{Images, Pixels};
use crate::dataset::normalize::Normalize;
use crate::format::Bias::{Exactly, Ieee};
use crate::format::{Element, Float, Format, RandomBits, Range, Rounding};
use crate::network::architecture::{Architecture, LayerSpec};
use crate::network::array::Array;
use crate::network::definition::Network;
use crate::network::geometry::{HeightWidth, Padding, PaddingSpec};
use crate::network::model::Model;
use crate::quantize::{Quantization, Quantizer, Tensor, Tensors};
use crate::scale::{Per, RealFit, Scale, ScaleType};

/// Every kind of layer of a trained network.
fn layers() -> Vec<LayerSpec> {
    let square = HeightWidth::square;
    let pixels = |n| PaddingSpec::Pixels(Padding::all(n));
    let strided = LayerSpec::Conv {
        out: 8,
        kernel: HeightWidth { height: 3, width: 2 },
        stride: HeightWidth { height: 1, width: 2 },
        padding: pixels(1),
        dilation: HeightWidth { height: 1, width: 2 },
        groups: 2,
        bias: false,
        name: None,
    };
    let depthwise = LayerSpec::DepthwiseConv {
        multiplier: 1,
        kernel: square(3),
        stride: square(1),
        padding: pixels(1),
        dilation: square(1),
        bias: true,
        name: None,
    };
    let pool = |count_padding| LayerSpec::AvgPool {
        size: square(2),
        stride: None,
        padding: pixels(1),
        count_padding,
    };
    vec![
        LayerSpec::conv(6, 3).padded(pixels(1)),
        LayerSpec::Relu,
        LayerSpec::max_pool(2).padded(pixels(1)),
        strided,
        LayerSpec::Relu6,
        LayerSpec::Residual { body: vec![depthwise, LayerSpec::LeakyRelu { slope: 0.1 }], shortcut: vec![] },
        LayerSpec::Concat {
            branches: vec![
                vec![LayerSpec::conv(3, 1), LayerSpec::Sigmoid],
                vec![LayerSpec::conv(5, 1), LayerSpec::Tanh],
                vec![],
            ],
        },
        LayerSpec::HardSwish,
        pool(true),
        pool(false),
        LayerSpec::Flatten,
        LayerSpec::linear(9),
        LayerSpec::Relu,
        LayerSpec::linear(4),
    ]
}

/// Draws numbers from −1 to 1.
fn drawn(count: usize, seed: usize) -> Vec<f32> {
    let number = |at: usize| ((at + seed * 977) * 7919 % 20_011) as f32 / 10_005.5 - 1.0;
    (0..count).map(number).collect()
}

fn model(layers: Vec<LayerSpec>) -> Model {
    let network = Network::resolve(&Architecture::Layers(layers), [3, 7, 6], 4).unwrap();
    let tensor = |(seed, parameter): (usize, crate::network::definition::Parameter)| {
        let numbers = drawn(parameter.shape.iter().product(), seed);
        (parameter.name, Array::new(parameter.shape, numbers).unwrap())
    };
    let tensors = network.parameters().into_iter().enumerate().map(tensor).collect();
    Model::new(network, tensors).unwrap()
}

fn quantizations() -> Vec<Quantization> {
    let made = |format, scale| Quantization::new(format, Rounding::Nearest, scale).unwrap();
    let real = |per, store| Some(Scale::Real { per, fit: RealFit::MaxAbs, store });
    let int = |bits, range| Format::Int { bits, range };
    let named = |name| Format::Float(Float::named(name).unwrap());
    let float = |e, m, bias| Format::Float(Float::new(e, m, bias).unwrap());
    vec![
        made(int(4, Range::Symmetric), None),
        made(int(3, Range::Full), real(Per::Channel, ScaleType::F16)),
        made(int(5, Range::Asymmetric), real(Per::Block(7), ScaleType::Bf16)),
        made(int(8, Range::Symmetric), real(Per::Channel, ScaleType::E4M3)),
        made(int(24, Range::Symmetric), real(Per::Tensor, ScaleType::E8M0)),
        made(float(3, 2, Ieee), None),
        made(float(0, 5, Ieee), None),
        made(float(8, 4, Exactly(130)), None),
        made(float(8, 20, Ieee), None),
        made(float(5, 2, Exactly(160)), real(Per::Channel, ScaleType::F32)),
        made(named("F32"), None),
        made(named("E4M3"), real(Per::Block(5), ScaleType::F32)),
        made(named("float8_e5m2fnuz"), None),
        made(Format::Fixed { int: 1, frac: 6 }, None),
        made(Format::PowerOfTwo { bits: 4 }, None),
        made(Format::Posit { n: 4, es: 1 }, None),
        made(Format::Posit { n: 9, es: 2 }, None),
        made(Format::Ternary, real(Per::Channel, ScaleType::F32)),
        made(Format::Binary, None),
        made(Format::Nf4 { block: 16 }, None),
        made(Format::KMeans { bits: 3 }, None),
        made(Format::Values(vec![-0.75, -0.25, 0.0, 0.3, 0.9]), None),
        made(Format::Mx { element: Element::Float(Float::named("E2M1").unwrap()), block: 32 }, None),
        made(Format::Mx { element: Element::Int { bits: 8 }, block: 32 }, None),
        made(Format::BlockFloat { bits: 5, block: 16 }, None),
    ]
}

fn images() -> Images {
    let bytes: Vec<u8> = (0..16 * 126).map(|at| (at * 31 % 251) as u8).collect();
    let mut images =
        Images { shape: [3, 7, 6], pixels: Pixels::Bytes { bytes, values: vec![] }, labels: None };
    normalize().apply(&mut images).unwrap();
    images
}

fn normalize() -> Normalize {
    Normalize::Standard { mean: vec![0.49, 0.48, 0.45], std: vec![0.24, 0.25, 0.26] }
}

#[test]
fn exported_networks_give_the_bits_of_evaluate() {
    if Command::new("gcc").arg("--version").output().is_err() {
        eprintln!("gcc is missing: no exported network is compiled");
        return;
    }
    let model = model(layers());
    for (at, quantization) in quantizations().into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let tensors: Vec<Tensor<'_>> = model
            .tensors()
            .iter()
            .map(|(name, array)| Tensor { name, shape: array.shape(), data: array.numbers() })
            .collect();
        let quantizer = Quantizer {
            quantization: quantization.clone(),
            layers: BTreeMap::new(),
            seed: 0,
            random_bits: RandomBits::default(),
            tensors: if at % 2 == 0 { Tensors::Weights } else { Tensors::All },
        };
        let encoded = quantizer.encode(&tensors).unwrap();
        let weights = encoded.iter().map(|tensor| (tensor.name.clone(), tensor.weights.clone())).collect();
        let small = model.with(weights).unwrap();
        let export = Export {
            name: "small",
            model: &small,
            tensors: &encoded,
            images: &images(),
            normalize: Some(&normalize()),
            classes: &["a", "b", "c\"?", "é"].map(str::to_owned),
            about: "A network of a test.",
            facts: &json!({"task": "test"}),
        };
        let program = export.program().unwrap();
        for (name, text) in program.files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let compiled = Command::new("gcc")
            .args(["-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-pedantic", "-o", "test"])
            .args(["small.c", "small_weights.c", "small_golden.c", "test.c", "-lm"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&compiled.stderr);
        assert!(compiled.status.success(), "{quantization:?}: {errors}");
        let ran = Command::new(folder.path().join("test")).output().unwrap();
        let text = String::from_utf8_lossy(&ran.stdout);
        assert!(text.ends_with("16 of 16 images equal to the bit\n"), "{quantization:?}: {text}");
    }
}

#[test]
fn names_are_identifiers() {
    for good in ["small", "a", "lenet_5"] {
        Export::check_name(good).unwrap();
    }
    for bad in ["", "5a", "_a", "a-b", "test", "ü", "a__b", "a_", &"a".repeat(41)] {
        assert!(Export::check_name(bad).is_err(), "{bad}");
    }
    let made =
        [("small", "small"), ("a-b (c)", "a_b_c"), ("5bit", "net_5bit"), ("test", "net_test"), ("é", "net")];
    for (text, name) in made.into_iter().chain([("__", "net")]) {
        assert_eq!(Export::name_of(text), name);
    }
    Export::check_name(&Export::name_of(&"ab ".repeat(40))).unwrap();
}
