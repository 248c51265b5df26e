//! Networks that compute with integers: keys, figures, and what leaves the program. `c.rs` runs them on microcontrollers.

use std::process::Command;

use serde_json::Value as Json;

use crate::exports::python;
use crate::fixture::{Bench, data_dir};

const NETWORKS: &str = r#"Experiment(
    name: "integers",
    axes: {"activations": {"none": None, "8": Int(8), "4": (format: Int(4), fit: LeastSquares)}},
    nodes: {
        "mnist": Dataset(source: Mnist10k, train: 1000, test: 300),
        "net": Train(
            data: "mnist", epochs: 6,
            model: Layers([
                Conv(out: 6, kernel: 5, stride: 2), Relu, Residual(body: [Conv(out: 6, kernel: 3, padding: Same)]), Relu,
                AvgPool(2), Flatten, Linear(30), Tanh, Linear(10),
            ]),
        ),
        "full": Evaluate(model: "net", data: "mnist"),
        "plain": Quantize(model: "net", data: "mnist", format: Int(6), scale: Real(per: Channel), bias_correction: true),
        "small": Quantize(
            model: "net", data: "mnist", format: Int(6), scale: Real(per: Channel), bias_correction: true,
            activations: Axis("activations"), keep: true,
        ),
        "accuracy": Evaluate(model: "small", data: "mnist"),
        "size": Footprint(model: "small"),
        "mixed": Allocate(
            model: "net", data: "mnist", formats: [Int(3), Int(6)], max_bytes: 8000, sensitivity_images: 100,
            activations: Axis("activations"),
        ),
        "mixed_accuracy": Evaluate(model: "mixed", data: "mnist"),
        "faulty": Quantize(
            model: "net", data: "mnist", format: Int(6), scale: Real(per: Channel), activations: Int(8),
            flips: (rate: 0.01, bits: Codes),
        ),
        "faulty_accuracy": Evaluate(model: "faulty", data: "mnist"),
    },
    tables: {
        "t": Table(rows: ["activations"], columns: {
            "accuracy": "accuracy.accuracy", "loss": "accuracy.loss", "mixed": "mixed_accuracy.accuracy", "full": "full.accuracy",
            "faulty": "faulty_accuracy.accuracy", "scratch": "size.scratch_bytes", "bytes": "small.bytes",
        }),
    },
)"#;

fn key(bench: &Bench, task: &str) -> String {
    let why = bench.stdout(["why", "x.ron", task]);
    why.lines().find(|line| line.starts_with("key")).expect("a key").to_owned()
}

fn rows(bench: &Bench) -> Json {
    serde_json::from_str(&bench.stdout(["table", "x.ron", "t", "--format", "json"])).expect("JSON")
}

#[test]
fn networks_in_integers_go_all_the_way() {
    let bench = Bench::with(NETWORKS);
    bench.run_well();
    // Binary32 is the network without the field.
    assert_eq!(key(&bench, "small(activations=none)"), key(&bench, "plain"));
    assert_ne!(key(&bench, "small(activations=8)"), key(&bench, "small(activations=4)"));
    let all = rows(&bench);
    let value = |row: usize, name: &str| all[row][name].as_f64().expect(name);
    assert!((value(1, "accuracy") - value(0, "accuracy")).abs() < 0.02, "{all}");
    assert!((value(1, "mixed") - value(0, "mixed")).abs() < 0.02, "{all}");
    assert!(value(2, "accuracy") > 0.5 && value(1, "faulty") > 0.3, "{all}");
    assert_ne!(value(1, "loss"), value(0, "loss"));
    assert_eq!(value(1, "bytes"), value(0, "bytes"));
    assert!(value(1, "scratch") < 0.35 * value(0, "scratch"), "{all}");
    // What comes later reads the kept networks.
    bench.edit(
        "\"faulty\": Quantize(",
        r#""change": Compare(model: "small", baseline: "net", data: "mnist"),
           "again": Confusion(model: "small", data: "mnist"), "faulty": Quantize("#,
    );
    bench.edit("\"loss\":", "\"agreement\": \"change.agreement\", \"loss\":");
    bench.run_well();
    let all = rows(&bench);
    assert!(all[1]["agreement"].as_f64().expect("agreement") > 0.97, "{all}");
    let told = bench.stdout(["cite", "x.ron"]);
    assert!(told.contains("or integers where the field `activations` says so"), "{told}");
    assert!(told.contains("integer-arithmetic-only inference"), "{told}");
    let refused =
        bench.fewbits(["export", "x.ron", "small(activations=8)", "--to", "packed", "-o", "x.safetensors"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("a packed network has no scales of activations"), "{refused:?}");
    bench.stdout(["weights", "x.ron", "small(activations=8)", "-o", "x.npz"]);
}

#[test]
fn threads_change_no_output() {
    let losses: Vec<Json> = [["1", "1"], ["2", "3"]]
        .iter()
        .map(|[jobs, threads]| {
            let bench = Bench::with(NETWORKS);
            let mut run = bench.command(["run", "x.ron", "--ui", "plain", "--jobs", jobs]);
            assert!(run.env("RAYON_NUM_THREADS", threads).output().expect("a run").status.success());
            rows(&bench)
        })
        .collect();
    assert_eq!(losses[0], losses[1]);
}

/// ONNX Runtime on the exported network of others, beside the accuracy that fewbits records.
#[test]
fn another_runtime_is_as_accurate() {
    let (Some(data), Some(python)) = (data_dir(), python("import numpy, onnx, onnxruntime")) else { return };
    let bench = Bench::with(
        r#"Experiment(name: "resnet8", axes: {"bits": [4, 8], "of": [8, 6]}, only: ["bits == 4 || of == 8"], nodes: {
            "data": Dataset(source: Cifar10, normalize: Bytes),
            "net": Import(file: "models/mlperf_tiny_resnet8.onnx"),
            "small": Quantize(
                model: "net", data: "data", format: Int(Axis("bits")), scale: Real(per: Channel, fit: LeastSquares),
                bias_correction: true, activations: Int(Axis("of")),
            ),
            "accuracy": Evaluate(model: "small", data: "data"),
        }, tables: {"t": Table(rows: ["bits", "of"], columns: {"accuracy": "accuracy.accuracy"})})"#,
    );
    let run = |arguments: &[&str]| {
        let ended = bench.command(arguments).env("FEWBITS_DATA_DIR", &data).output().expect("fewbits");
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        String::from_utf8(ended.stdout).expect("text")
    };
    run(&["run", "x.ron", "--ui", "plain"]);
    let all: Json = serde_json::from_str(&run(&["table", "x.ron", "t", "--format", "json"])).expect("JSON");
    bench.write("run.py", RUN);
    for (row, (bits, of)) in [(4, 6), (4, 8), (8, 8)].into_iter().enumerate() {
        let task = format!("small(bits={bits},of={of})");
        run(&["export", "x.ron", &task, "--to", "onnx", "-o", "net.onnx"]);
        let mut compare = Command::new(&python);
        let ended = compare.arg("run.py").arg(&data).current_dir(bench.path(".")).output().expect("Python");
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        let found: f64 = String::from_utf8_lossy(&ended.stdout).trim().parse().expect("a share");
        let of_fewbits = all
            .as_array()
            .and_then(|rows| rows.iter().find(|row| row["bits"] == bits && row["of"] == of))
            .and_then(|row| row["accuracy"].as_f64())
            .unwrap_or_else(|| panic!("row {row}: {all}"));
        println!("{task}: {of_fewbits} in fewbits, {found} in ONNX Runtime");
        assert!((found - of_fewbits).abs() <= 0.001, "{task}: {found} instead of {of_fewbits}");
    }
}

/// Pools keep codes within their limits; ONNX Runtime loads such files at its default optimization.
#[test]
fn files_with_pools_load_in_another_runtime() {
    let Some(python) = python("import numpy, onnx, onnxruntime") else { return };
    let bench = Bench::with(
        r#"Experiment(name: "pools", axes: {"of": [4, 6, 8]}, nodes: {
            "mnist": Dataset(source: Mnist10k, train: 1000, test: 200),
            "net": Train(data: "mnist", epochs: 2, model: Layers([
                Conv(out: 6, kernel: 5, padding: 2), Relu, MaxPool(2), Conv(out: 10, kernel: 14), Flatten,
            ])),
            "small": Quantize(
                model: "net", data: "mnist", format: Int(4), scale: Real(per: Channel), activations: Int(Axis("of")),
            ),
        })"#,
    );
    bench.run_well();
    let script = "import numpy, onnxruntime\nsession = onnxruntime.InferenceSession('net.onnx')\n\
                  print(session.run(None, {'input': numpy.ones((1, 1, 28, 28), numpy.float32)})[0].shape)\n";
    bench.write("load.py", script);
    for of in [4, 6, 8] {
        bench.stdout(["export", "x.ron", &format!("small(of={of})"), "--to", "onnx", "-o", "net.onnx"]);
        let ended =
            Command::new(&python).arg("load.py").current_dir(bench.path(".")).output().expect("Python");
        assert!(ended.status.success(), "{of}: {}", String::from_utf8_lossy(&ended.stderr));
        assert_eq!(String::from_utf8_lossy(&ended.stdout).trim(), "(1, 10)");
    }
    let refused =
        bench.fewbits(["export", "x.ron", "small(of=4)", "--to", "onnx", "--typed", "-o", "x.onnx"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
}

const RUN: &str = r#"
import pathlib, sys, tarfile
import numpy as np, onnx, onnxruntime
onnx.checker.check_model(onnx.load("net.onnx"), full_check=True)
(archive,) = (pathlib.Path(sys.argv[1]) / "cifar10").glob("*.tar.gz")
with tarfile.open(archive) as files:
    (batch,) = [file for file in files.getmembers() if file.name.endswith("test_batch.bin")]
    rows = np.frombuffer(files.extractfile(batch).read(), np.uint8).reshape(-1, 3073)
images, labels = rows[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32), rows[:, 0]
session = onnxruntime.InferenceSession("net.onnx")
logits = np.concatenate([session.run(None, {"input": part})[0] for part in np.split(images, 20)])
print((logits.argmax(1) == labels).mean())
"#;
