//! Networks in C: compiled by gcc and clang, checked by sanitizers, and run on emulated microcontrollers with the files of `docs/c.md`.
//! Each test says what it leaves out where a compiler or the emulator is missing.

use std::fs;
use std::process::Command;

use serde_json::Value as Json;

use crate::c_folder::{CORES, Folder, M4, STRICT, all_equal, done, has, has_boards};
use crate::fixture::{Bench, data_dir};

const LENET: &str = r#"Experiment(name: "lenet", axes: {"seed": [0, 1]}, nodes: {
    "mnist": Dataset(source: Mnist10k, train: 2000, test: 200),
    "net": Train(
        data: "mnist", epochs: 1, seed: Axis("seed"),
        model: Layers([
            Conv(out: 6, kernel: 5, padding: 2), Relu, MaxPool(2), Conv(out: 16, kernel: 5), Relu, MaxPool(2),
            Flatten, Linear(120), Relu, Linear(84), Relu, Linear(10),
        ]),
    ),
    "int": Quantize(model: "net", format: Int(4), scale: Real(per: Channel, fit: LeastSquares)),
    "kmeans": Quantize(model: "net", format: KMeans(4)),
    "whole": Quantize(
        model: "net", data: "mnist", format: Int(4), scale: Real(per: Channel, fit: LeastSquares), activations: Int(8),
    ),
    "accuracy": Evaluate(model: "int", data: "mnist"),
    "kmeans_accuracy": Evaluate(model: "kmeans", data: "mnist"),
    "whole_accuracy": Evaluate(model: "whole", data: "mnist"),
}, tables: {"t": Table(rows: [], columns: {"accuracy": "accuracy.accuracy"}, replicate: "seed")})"#;

const RESNET8: &str = r#"Experiment(name: "resnet8", nodes: {
    "data": Dataset(source: Cifar10, train: 500, test: 100, normalize: Bytes),
    "net": Import(file: "models/mlperf_tiny_resnet8.onnx"),
    "int": Quantize(model: "net", format: Int(4), scale: Real(per: Channel, fit: LeastSquares)),
    "whole": Quantize(
        model: "net", data: "data", format: Int(4), scale: Real(per: Channel, fit: LeastSquares), bias_correction: true,
        activations: Int(8),
    ),
    "mixed": Allocate(
        model: "net", data: "data", max_bytes: 40000, sensitivity_images: 32,
        formats: [Int(3), Int(6), (format: KMeans(4), scale: Own), E2M1, (format: Mx(E2M1), scale: Own)], scale: Real(per: Channel),
    ),
    "accuracy": Evaluate(model: "mixed", data: "data"),
})"#;

#[test]
fn lenet_gives_the_same_bits_on_every_processor() {
    let bench = Bench::with(LENET);
    bench.run_well();
    let int = Folder::export(&bench, "int(seed=0)", "int");
    let kmeans = Folder::export(&bench, "kmeans(seed=1)", "kmeans");
    let whole = Folder::export(&bench, "whole(seed=1)", "whole");
    for folder in [&int, &kmeans, &whole] {
        if has("make") && has("cc") {
            all_equal(&done(Command::new("make").args(["-s", "test"]).current_dir(&folder.path)), "make");
        }
        for compiler in ["gcc", "clang"].into_iter().filter(|compiler| has(compiler)) {
            folder.test_here(compiler, &["-O2"]);
        }
        if has("gcc") {
            folder.test_here("gcc", &["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover"]);
        }
        if has_boards() {
            for core in &CORES {
                folder.test_on(core);
            }
            let [tables, code] = folder.sizes();
            assert!(tables <= 32 << 10 && code <= 6 << 10, "{}: {tables} + {code}", folder.name);
        }
    }
    if has_boards() {
        let lenet = Folder::export(&bench, "net(seed=0)", "lenet");
        let counts = [
            int.instructions(None),
            kmeans.instructions(None),
            whole.instructions(None),
            lenet.instructions(Some("LENET")),
        ];
        println!(
            "instructions of LeNet-5 in Int(4), in KMeans(4), in integers, and plain: {counts:?}; sizes {:?}, in integers {:?} and {} of scratch",
            int.sizes(),
            whole.sizes(),
            whole.scratch_bytes()
        );
        assert!(counts[..3].iter().all(|count| *count < counts[3]), "{counts:?}");
    }
}

#[test]
fn resnet8_with_formats_of_its_layers_runs_on_a_microcontroller() {
    let Some(dir) = data_dir() else { return };
    let bench = Bench::with(RESNET8);
    done(bench.command(["run", "x.ron", "--ui", "plain"]).env("FEWBITS_DATA_DIR", dir));
    let mixed = Folder::export(&bench, "mixed", "mixed");
    if has("gcc") {
        mixed.test_here("gcc", &["-O2"]);
    }
    if has_boards() {
        mixed.test_on(&M4);
        let int = Folder::export(&bench, "int", "int");
        let [tables, code] = int.sizes();
        assert!(tables <= 42 << 10 && code <= 10 << 10, "{tables} + {code}");
        let net = Folder::export(&bench, "net", "resnet8");
        let whole = Folder::export(&bench, "whole", "whole");
        for core in &CORES {
            whole.test_on(core);
        }
        let [tables, code] = whole.sizes();
        let scratch = whole.scratch_bytes();
        assert!(
            tables <= 42 << 10 && code <= 12 << 10 && scratch <= 52 << 10,
            "{tables} + {code}, {scratch} of scratch"
        );
        let counts = [
            int.instructions(None),
            mixed.instructions(None),
            whole.instructions(None),
            net.instructions(Some("RESNET8")),
        ];
        println!(
            "instructions of ResNet-8 in Int(4), by layer, in integers, and plain: {counts:?}; sizes {:?}, in integers {:?} and {scratch} of scratch",
            int.sizes(),
            whole.sizes()
        );
        assert!(counts[..3].iter().all(|count| *count < counts[3]), "{counts:?}");
    }
}

#[test]
fn footprints_are_those_of_the_export_in_every_format_of_the_same_weights() {
    let text = LENET.replace(
        "    \"accuracy\":",
        r#"    "wide": Quantize(model: "int", format: F32),
    "mixed": Allocate(model: "net", data: "mnist", max_bytes: 40000, formats: [Int(3), KMeans(5)], sensitivity_images: 50),
    "accuracy":"#,
    );
    let bench = Bench::with(&text.replace("fit: LeastSquares))", "fit: LeastSquares), keep: true)"));
    bench.run_well();
    // The networks are in the store when the question comes.
    bench.edit(
        "    \"accuracy\":",
        r#"    "int_footprint": Footprint(model: "int"), "wide_footprint": Footprint(model: "wide"),
    "mixed_footprint": Footprint(model: "mixed"), "net_footprint": Footprint(model: "net"),
    "accuracy":"#,
    );
    bench.edit(
        "tables: {",
        r#"tables: {
        "choice": Choose(
            minimize: "int_footprint.flash_bytes", select: (value: "accuracy.accuracy"), replicate: "seed", max_drop: None,
            at_most: {"int_footprint.flash_bytes": 40000, "int_footprint.scratch_bytes": 30000},
        ),
        "f": Table(rows: ["seed"], columns: {
            "int": "int_footprint.table_bytes", "wide": "wide_footprint.table_bytes", "mixed": "mixed_footprint.table_bytes",
            "net": "net_footprint.table_bytes", "scratch": "int_footprint.scratch_bytes", "flash": "int_footprint.flash_bytes",
        }),"#,
    );
    bench.run_well();
    let rows: Json =
        serde_json::from_str(&bench.stdout(["table", "x.ron", "f", "--format", "json"])).expect("JSON");
    let value = |name: &str| rows[0][name].as_f64().expect(name) as u64;
    for (task, name) in [("int", "int"), ("wide", "wide"), ("mixed", "mixed"), ("net", "net")] {
        let folder = Folder::export(&bench, &format!("{task}(seed=0)"), name);
        let manifest = fs::read(folder.path.join("manifest.json")).expect("a file");
        let manifest: Json = serde_json::from_slice(&manifest).expect("JSON");
        assert_eq!(manifest["weight_bytes"].as_u64(), Some(value(name)), "{task}");
        assert_eq!(
            manifest["scratch_bytes"].as_u64().filter(|_| name == "int"),
            (name == "int").then(|| value("scratch"))
        );
        if name == "int" && has("arm-none-eabi-gcc") {
            let compiled = folder.sizes().iter().sum::<u64>() as f64;
            let share = value("flash") as f64 / compiled;
            assert!((0.98..1.02).contains(&share), "{share} of {compiled}");
        }
    }
    assert!(value("wide") > 7 * value("int"), "the same weights in another format: {rows}");
    let told = bench.stdout(["choose", "x.ron", "--table", "choice"]);
    assert!(
        told.contains("C of one of these 2 networks:  fewbits export x.ron 'int(seed=0)' --to c -o int-c\n"),
        "{told}"
    );
}

#[test]
fn two_networks_link_into_one_program() {
    let bench = Bench::with(LENET);
    bench.run_well();
    let folders =
        [Folder::export(&bench, "int(seed=0)", "a"), Folder::export(&bench, "kmeans(seed=0)", "a_b")];
    if !has("gcc") {
        return;
    }
    bench.write(
        "both.c",
        r#"#include "a/a.h"
#include "a_b/a_b.h"
#include <stdio.h>
static float scratch[(A_SCRATCH_BYTES > A_B_SCRATCH_BYTES ? A_SCRATCH_BYTES : A_B_SCRATCH_BYTES) / sizeof(float)];
int main(void)
{
    static const float image[A_INPUTS] = { 0.5f };
    float one[A_OUTPUTS], other[A_B_OUTPUTS];
    a_infer(image, one, scratch);
    a_b_infer(image, other, scratch);
    printf("%s %s\n", a_classes[9], a_b_classes[0]);
    return one[0] == other[0];
}
"#,
    );
    let program = bench.path("both");
    let mut compile = Command::new("gcc");
    compile.args(STRICT).arg("-o").arg(&program).arg(bench.path("both.c"));
    compile.args(folders.iter().flat_map(|folder| folder.sources(false))).arg("-lm");
    done(&mut compile);
    assert_eq!(done(&mut Command::new(program)), "9 0\n");
    // C++ and the option that changes the order of sums.
    let include = |compiler: &str, option: &str| {
        Command::new(compiler)
            .args(["-fsyntax-only", option, "-x", "c++"])
            .arg(bench.path("a/a.h"))
            .output()
            .expect("gcc")
    };
    assert!(include("gcc", "-Wall").status.success() || !has("g++"));
    let refused = Command::new("gcc")
        .args(["-ffast-math", "-fsyntax-only"])
        .arg(bench.path("a/a.c"))
        .output()
        .expect("gcc");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("compile without -ffast-math and its parts"));
}

#[test]
fn the_command_says_which_network_it_wrote() {
    let bench = Bench::with(LENET);
    bench.run_well();
    let told = bench.stdout(["export", "x.ron", "int(seed=1)", "--to", "c", "-o", "net"]);
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].starts_with("net: int(seed=1) as C99: 31"), "{told}");
    assert!(lines[1].starts_with("accuracy(seed=1): accuracy 0."), "{told}");
    assert_eq!(lines[2], "tables average over several networks; this is the one with seed=1");
    assert!(lines[3].starts_with("`make -C net test` compiles it here"), "{told}");
    let manifest: Json =
        serde_json::from_slice(&fs::read(bench.path("net/manifest.json")).expect("a file")).expect("JSON");
    assert_eq!(manifest["task"], "int(seed=1)");
    assert_eq!(manifest["tensors"]["conv1.weight"], "Int(4), a scale (F32) for each output");
    assert!(manifest["metrics"]["accuracy(seed=1)"]["accuracy"].as_f64().is_some());
    assert!(manifest["sources"]["mnist"]["embedded"].as_str().is_some(), "{manifest:#}");
    assert!(manifest["key"].as_str().is_some_and(|key| key.len() == 64));
}

#[test]
fn what_is_no_network_and_no_folder_is_refused() {
    let bench = Bench::with(LENET);
    bench.run_well();
    bench.write("file", "x");
    fs::create_dir(bench.path("full")).expect("a folder");
    bench.write("full/x", "x");
    for (task, output, name, expected) in [
        ("accuracy(seed=0)", "net", "a", "accuracy(seed=0): it has no weights; name a task of a Train"),
        (
            "int(seed=0)",
            "full",
            "a",
            "full: this folder is not empty; name a new or empty folder with -o DIR",
        ),
        ("int(seed=0)", "file", "a", "file: this is not a folder that can be read"),
        ("int(seed=0)", "no/such/net", "a", "no/such/net: the folder no/such is not there; make it"),
        ("int(seed=0)", "-", "a", "--to c writes several files; name a new folder with -o DIR"),
        ("int(seed=0)", "net", "5a", "--name: \"5a\" cannot name the C files"),
        ("int", "net", "a", "`int` means 2 tasks"),
    ] {
        let ended = bench.fewbits(["export", "x.ron", task, "--to", "c", "-o", output, "--name", name]);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(expected), "{ended:?}");
    }
    let ended =
        bench.fewbits(["export", "x.ron", "int(seed=0)", "--to", "onnx", "-o", "x.onnx", "--name", "a"]);
    assert!(
        ended.code == Some(2) && ended.stderr.contains("--name names the files and functions of --to c"),
        "{ended:?}"
    );
    assert!(!bench.path("net").exists() && !bench.path("x.onnx").exists());
    assert_eq!(fs::read_dir(bench.path("full")).expect("a folder").count(), 1);
}
