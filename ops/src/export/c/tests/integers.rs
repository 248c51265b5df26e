//! Integer networks in C, compiled and compared with the outputs of fewbits.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rayon::prelude::*;
use serde_json::json;

use super::{SOURCES, compilers, done};
use crate::dataset::images::{Images, Pixels};
use crate::dataset::normalize::Normalize;
use crate::dataset::source::DatasetSource;
use crate::dataset::{DatasetConfig, load};
use crate::export::c::{Export, Footprint};
use crate::import::Import;
use crate::integer::activation_format::ActivationFormat;
use crate::integer::inference::outputs;
use crate::integer::range_fit::RangeFit;
use crate::integer::tests::{hostile, integer_model, linear, networks, rows};
use crate::network::architecture::LayerSpec;
use crate::network::every_layer::{images, normalize};
use crate::network::model::Model;
use crate::scale::Per;

/// Writes an integer network as C into a folder.
pub(crate) fn export(model: &Model, images: &Images, normalize: Option<&Normalize>, folder: &Path) {
    let classes: Vec<String> = (0..model.network().classes).map(|class| class.to_string()).collect();
    let export = Export {
        name: "small",
        model,
        tensors: &[],
        images,
        normalize,
        classes: &classes,
        about: "A network of a test.",
        facts: &json!({"task": "test"}),
    };
    for (name, text) in export.program().unwrap().files {
        fs::write(folder.join(name), text).unwrap();
    }
}

/// Compiles the files of a folder with every compiler that is there, and runs the test.
fn check(folder: &Path, images: usize, what: &str) {
    let equal = |text: &str, which: &str| {
        let end = format!("{images} of {images} images equal to the bit\n");
        assert!(text.ends_with(&end), "{what}, {which}: {text}");
    };
    for (compiler, options) in compilers() {
        let mut compile = Command::new(compiler);
        compile.args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-o", "test"]).args(options);
        done(compile.args(SOURCES).current_dir(folder));
        equal(&done(&mut Command::new(folder.join("test"))), compiler);
    }
    let is_long = std::env::var("FEWBITS_TORTURE").is_ok_and(|value| value == "long");
    let board = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/mcu/run");
    if is_long && board.exists() {
        for core in ["m0", "m3", "m4", "m7"] {
            let mut run = Command::new(&board);
            run.arg(core).args(SOURCES).env("CFLAGS", "-std=c99 -Wall -Wextra -Werror");
            equal(&done(run.current_dir(folder)), core);
        }
    }
}

/// Weights of some bits, and activations.
const WIDTHS: [(u32, Per, u32, RangeFit); 5] = [
    (8, Per::Channel, 8, RangeFit::MinMax),
    (4, Per::Tensor, 8, RangeFit::LeastSquares),
    (3, Per::Channel, 6, RangeFit::MinMax),
    (7, Per::Channel, 4, RangeFit::LeastSquares),
    (2, Per::Tensor, 5, RangeFit::MinMax),
];

#[test]
fn integer_networks_give_the_outputs_of_fewbits() {
    let (networks, images) = (networks(), images());
    WIDTHS.into_par_iter().for_each(|(bits, per, activations, fit)| {
        for model in &networks {
            let activations = ActivationFormat { bits: activations, fit };
            let folder = tempfile::tempdir().unwrap();
            export(
                &integer_model(model, bits, per, activations, &images),
                &images,
                Some(&normalize()),
                folder.path(),
            );
            check(folder.path(), 16, &format!("{bits} bits, {activations:?}"));
            let code = fs::read_to_string(folder.path().join("small.c")).unwrap();
            assert!(!code.contains("float") && !code.contains("double"), "{code}");
        }
    });
}

#[test]
fn hostile_numbers_give_the_outputs_of_fewbits() {
    (0..12_u64).into_par_iter().for_each(|seed| {
        let folder = tempfile::tempdir().unwrap();
        let (model, images) = (hostile::network(seed), hostile::images(seed));
        export(&model, &images, Some(&hostile::normalize(seed)), folder.path());
        check(folder.path(), 16, &format!("seed {seed}"));
    });
}

#[test]
fn images_of_numbers_become_the_same_codes() {
    let images = rows(6, 2);
    let layers = vec![
        LayerSpec::Flatten,
        LayerSpec::linear(5),
        LayerSpec::Tanh,
        LayerSpec::linear(2),
        LayerSpec::Sigmoid,
    ];
    let model = linear(6, layers, |at| (at % 7) as f32 / 3.0 - 1.0);
    let activations = ActivationFormat { bits: 8, fit: RangeFit::MinMax };
    let model = integer_model(&model, 8, Per::Channel, activations, &images);
    // Numbers beyond the range, and halves between two codes.
    let step = model.integers().unwrap().values["input"].scale;
    let Pixels::Numbers { numbers, zeros } = images.pixels.clone() else { panic!("bytes") };
    let other = |(at, number): (usize, &f32)| match at % 3 {
        0 => *number,
        1 => (at as f32 - 60.5) * step,
        _ => number * 10_f32.powi(at as i32 % 36),
    };
    let numbers = numbers.iter().enumerate().map(other).collect();
    let folder = tempfile::tempdir().unwrap();
    let images = Images { pixels: Pixels::Numbers { numbers, zeros }, ..images };
    export(&model, &images, None, folder.path());
    check(folder.path(), 20, "numbers");
}

#[test]
fn footprints_of_integer_networks_are_those_of_a_compiler() {
    if Command::new("arm-none-eabi-gcc").arg("--version").output().is_err() {
        eprintln!("arm-none-eabi-gcc is missing: no footprint is measured");
        return;
    }
    // Bytes that are codes; a table from bytes to codes depends on the images.
    let mut images = images();
    let Pixels::Bytes { values, .. } = &mut images.pixels else { panic!("numbers") };
    values.fill(std::array::from_fn(|byte| byte as f32));
    for model in networks() {
        let activations = ActivationFormat { bits: 8, fit: RangeFit::MinMax };
        let model = integer_model(&model, 4, Per::Channel, activations, &images);
        let folder = tempfile::tempdir().unwrap();
        export(&model, &images, Some(&Normalize::Bytes), folder.path());
        let Footprint { table_bytes, code_bytes, scratch_bytes } = Footprint::of_integers(&model).unwrap();
        let mut compile = Command::new("arm-none-eabi-gcc");
        compile.args(["-std=c99", "-Os", "-mthumb", "-mcpu=cortex-m4", "-c"]);
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
        assert!(names < 96, "{tables} of tables, {table_bytes} estimated");
        let share = code_bytes as f64 / (code + names) as f64;
        println!("{code} {code_bytes} {share:.2}");
        assert!((0.85..1.15).contains(&share), "{code} bytes of code, {code_bytes} estimated");
    }
}

/// Reads images from standard input, and writes their outputs.
const FILTER: &str = r#"
#include "small.h"
#include <stdio.h>
static uint8_t image[SMALL_INPUTS];
static int8_t input[SMALL_INPUTS], scratch[SMALL_SCRATCH_BYTES];
int main(void)
{
    int32_t output[SMALL_OUTPUTS];
    while (fread(image, sizeof image, 1, stdin) == 1) {
        small_quantize_input(image, input);
        small_infer(input, output, scratch);
        fwrite(output, sizeof output, 1, stdout);
    }
    return 0;
}
"#;

/// `ResNet-8` of `MLPerf` Tiny on 500 test images of CIFAR-10, on all 10,000 with `FEWBITS_TORTURE=long`.
#[test]
fn a_network_of_others_gives_the_same_outputs_for_every_image() {
    let Some(data) = std::env::var_os("FEWBITS_DATA_DIR").map(PathBuf::from) else {
        eprintln!("FEWBITS_DATA_DIR is not set: no network of others is compared");
        return;
    };
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(data);
    let file = data.join("models/mlperf_tiny_resnet8.onnx");
    let config = DatasetConfig { normalize: Normalize::Bytes, ..DatasetConfig::new(DatasetSource::Cifar10) };
    let (true, Ok(dataset), Some((compiler, _))) =
        (file.exists(), load(&config, &data, &data), compilers().first().copied())
    else {
        eprintln!("the network, its images or a compiler is missing: no network of others is compared");
        return;
    };
    let is_long = std::env::var("FEWBITS_TORTURE").is_ok_and(|value| value == "long");
    let count = if is_long { dataset.test.len() } else { 500 };
    let [training, images, golden] = [(&dataset.train, 64), (&dataset.test, count), (&dataset.test, 1)]
        .map(|(images, count)| images.select(&(0..count as u32).collect::<Vec<_>>()));
    let model = Import::read(&file, None).unwrap().into_model();
    [(8, 8), (4, 8), (3, 5)].into_par_iter().for_each(|(bits, activations)| {
        let activations = ActivationFormat { bits: activations, fit: RangeFit::MinMax };
        let model = integer_model(&model, bits, Per::Channel, activations, &training);
        let folder = tempfile::tempdir().unwrap();
        export(&model, &golden, Some(&Normalize::Bytes), folder.path());
        fs::write(folder.path().join("filter.c"), FILTER).unwrap();
        let mut compile = Command::new(compiler);
        compile.args(["-std=c99", "-O2", "-o", "filter", "small.c", "small_weights.c", "filter.c"]);
        done(compile.current_dir(folder.path()));
        fs::write(folder.path().join("images"), images.bytes()).unwrap();
        let given = fs::File::open(folder.path().join("images")).unwrap();
        let ended = Command::new(folder.path().join("filter")).stdin(given).output().unwrap();
        assert!(ended.status.success());
        let found: Vec<i32> =
            ended.stdout.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect();
        let expected = outputs(&model, &images, &|| false).unwrap().numbers;
        assert_eq!(expected.len(), count * 10);
        assert!(found == expected, "{bits} bits");
    });
}
