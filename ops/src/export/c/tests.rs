//! Exported networks, compiled by gcc and compared with Evaluate's logits.

mod fused;
pub(crate) mod integers;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use rayon::prelude::*;
use serde_json::json;

use super::{Export, Footprint};
use crate::dataset::images::{Images, Labels};
use crate::format::Bias::{Exactly, Ieee};
use crate::format::{Element, Float, Format, RandomBits, Range, Rounding};
use crate::network::architecture::{Architecture, LayerSpec};
use crate::network::array::Array;
use crate::network::definition::Network;
use crate::network::every_layer::{drawn, images, layers, model, normalize};
use crate::network::model::Model;
use crate::quantize::{Encoded, Quantization, Quantizer, Tensor, Tensors};
use crate::scale::{Per, RealFit, Scale, ScaleType};

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
        made(named("Bf16"), None),
        made(Format::parse("P3109(bits: 7, precision: 3)").unwrap(), real(Per::Channel, ScaleType::F32)),
        made(Format::parse("Float(e: 4, m: 3, subnormals: Flush)").unwrap(), None),
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

/// Returns the compilers that are there, each with its options; says which are missing.
fn compilers() -> Vec<(&'static str, &'static [&'static str])> {
    let all: [(&str, &[&str]); 3] = [
        ("gcc", &["-O2"]),
        ("gcc", &["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover"]),
        ("clang", &["-O2"]),
    ];
    let is_there = |(compiler, _): &(&str, _)| {
        let is_there = Command::new(compiler).arg("--version").output().is_ok();
        if !is_there {
            eprintln!("{compiler} is missing: it compiles no exported network");
        }
        is_there
    };
    all.into_iter().filter(is_there).collect()
}

/// Runs a command that must succeed, and returns its standard output.
fn done(command: &mut Command) -> String {
    let ended = command.output().unwrap();
    assert!(ended.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ended.stderr));
    String::from_utf8(ended.stdout).unwrap()
}

/// Writes a network in a format as C into a folder.
fn export(model: &Model, quantization: &Quantization, tensors: Tensors, folder: &Path) {
    let arrays: Vec<Tensor<'_>> = model
        .tensors()
        .iter()
        .map(|(name, array)| Tensor { name, shape: array.shape(), data: array.numbers() })
        .collect();
    let quantizer = Quantizer {
        quantization: quantization.clone(),
        layers: BTreeMap::new(),
        seed: 0,
        random_bits: RandomBits::default(),
        tensors,
    };
    let encoded = quantizer.encode(&arrays).unwrap();
    let weights = encoded.iter().map(|tensor| (tensor.name.clone(), tensor.weights.clone())).collect();
    let export = Export {
        name: "small",
        model: &model.with(weights).unwrap(),
        tensors: &encoded,
        images: &images(),
        normalize: Some(&normalize()),
        classes: &["a", "b", "c\"?", "é"].map(str::to_owned),
        about: "A network of a test.",
        facts: &json!({"task": "test"}),
    };
    for (name, text) in export.program().unwrap().files {
        fs::write(folder.join(name), text).unwrap();
    }
}

const SOURCES: [&str; 4] = ["small.c", "small_weights.c", "small_golden.c", "test.c"];

#[test]
fn exported_networks_give_the_bits_of_evaluate() {
    let (compilers, model) = (compilers(), model(layers()));
    let is_long = std::env::var("FEWBITS_TORTURE").is_ok_and(|value| value == "long");
    let board = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/mcu/run");
    if is_long && !board.exists() {
        eprintln!("{} is missing: no format runs on an emulated microcontroller", board.display());
    }
    quantizations().into_par_iter().enumerate().for_each(|(at, quantization)| {
        let folder = tempfile::tempdir().unwrap();
        let tensors = if at % 2 == 0 { Tensors::Weights } else { Tensors::All };
        export(&model, &quantization, tensors, folder.path());
        let equal = |text: &str, which: &str| {
            assert!(
                text.ends_with("16 of 16 images equal to the bit\n"),
                "{quantization:?}, {which}: {text}"
            );
        };
        for (compiler, options) in &compilers {
            let mut compile = Command::new(compiler);
            compile
                .args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-o", "test"])
                .args(*options);
            done(compile.args(SOURCES).arg("-lm").current_dir(folder.path()));
            equal(&done(&mut Command::new(folder.path().join("test"))), compiler);
        }
        if is_long && board.exists() {
            for core in ["m0", "m3", "m4", "m7"] {
                let mut run = Command::new(&board);
                run.arg(core).args(SOURCES).env("CFLAGS", "-std=c99 -Wall -Wextra -Werror");
                equal(&done(run.current_dir(folder.path())), core);
            }
        }
    });
}

#[test]
fn footprints_are_those_of_a_compiler() {
    if Command::new("arm-none-eabi-gcc").arg("--version").output().is_err() {
        eprintln!("arm-none-eabi-gcc is missing: no footprint is measured");
        return;
    }
    let model = model(layers());
    quantizations().into_par_iter().enumerate().for_each(|(at, quantization)| {
        let folder = tempfile::tempdir().unwrap();
        let tensors = if at % 2 == 0 { Tensors::Weights } else { Tensors::All };
        export(&model, &quantization, tensors, folder.path());
        let shape = |name: &str| model.tensors()[name].shape().to_vec();
        let of = |name: &str| tensors.include(&shape(name)).then_some(&quantization);
        let Footprint { table_bytes, code_bytes, scratch_bytes } =
            Footprint::of(model.network(), of).unwrap();
        let mut compile = Command::new("arm-none-eabi-gcc");
        compile.args([
            "-std=c99",
            "-Os",
            "-mthumb",
            "-mcpu=cortex-m4",
            "-mfpu=fpv4-sp-d16",
            "-mfloat-abi=hard",
            "-c",
        ]);
        done(compile.args(["small.c", "small_weights.c"]).current_dir(folder.path()));
        let size = |object: &str| -> usize {
            let text = done(Command::new("arm-none-eabi-size").arg(folder.path().join(object)));
            text.lines().nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap()
        };
        let [code, tables] = [size("small.o"), size("small_weights.o")];
        let header = fs::read_to_string(folder.path().join("small.h")).unwrap();
        assert!(
            header.contains(&format!("SMALL_SCRATCH_BYTES {scratch_bytes}\n")),
            "{scratch_bytes}: {header}"
        );
        // Beside the tables there are the names of four classes, and padding between tables.
        let names = tables.checked_sub(table_bytes).unwrap();
        assert!(names < 96, "{quantization:?}: {tables} of tables, {table_bytes} estimated");
        let share = code_bytes as f64 / (code + names) as f64;
        println!("{code} {code_bytes} {share:.2} {quantization:?}");
        assert!(
            (0.85..1.15).contains(&share),
            "{quantization:?}: {code} bytes of code, {code_bytes} estimated"
        );
    });
}

#[test]
fn a_network_with_one_output_tells_two_classes_apart() {
    let Some((compiler, _)) = compilers().first().copied() else { return };
    let layers = Architecture::Layers(vec![LayerSpec::Flatten, LayerSpec::linear(1)]);
    let network = Network::resolve(&layers, [3, 7, 6], 1).unwrap();
    let tensors = network.parameters().into_iter().enumerate().map(|(seed, parameter)| {
        let numbers = drawn(parameter.shape.iter().product(), seed);
        (parameter.name, Array::new(parameter.shape, numbers).unwrap())
    });
    let model = Model::new(network.clone(), tensors.collect()).unwrap();
    let labels = Labels::numbered(2, (0..16).map(|at| at % 2).collect());
    let export = Export {
        name: "one",
        model: &model,
        tensors: &plain(&model),
        images: &Images { labels: Some(labels), ..images() },
        normalize: Some(&normalize()),
        classes: &["no", "yes"].map(str::to_owned),
        about: "A network of a test.",
        facts: &json!({}),
    };
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in export.program().unwrap().files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let mut compile = Command::new(compiler);
    compile.args(["-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-pedantic", "-o", "test"]);
    done(
        compile.args(["one.c", "one_weights.c", "one_golden.c", "test.c", "-lm"]).current_dir(folder.path()),
    );
    let told = done(&mut Command::new(folder.path().join("test")));
    assert!(told.contains(": yes, labelled no") || told.contains(": yes, labelled yes"), "{told}");
    assert!(told.ends_with("16 of 16 images equal to the bit\n"), "{told}");
}

/// Returns the tensors of a network that is not quantized.
fn plain(model: &Model) -> Vec<Encoded> {
    let tensor = |(name, array): (&String, &Array)| Encoded {
        name: name.clone(),
        shape: array.shape().to_vec(),
        weights: array.numbers().to_vec(),
        codes: None,
    };
    model.tensors().iter().map(tensor).collect()
}

#[test]
fn names_are_identifiers() {
    for good in ["small", "a", "lenet_5"] {
        Export::check_name(good).unwrap();
    }
    for bad in ["", "5a", "_a", "a-b", "test", "ü", "a__b", "a_", "Main", "stdint", &"a".repeat(41)] {
        assert!(Export::check_name(bad).is_err(), "{bad}");
    }
    let made =
        [("small", "small"), ("a-b (c)", "a_b_c"), ("5bit", "net_5bit"), ("test", "net_test"), ("é", "net")];
    for (text, name) in made.into_iter().chain([("__", "net")]) {
        assert_eq!(Export::name_of(text), name);
    }
    Export::check_name(&Export::name_of(&"ab ".repeat(40))).unwrap();
}
