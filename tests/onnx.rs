//! Networks as ONNX files: run by ONNX Runtime, and imported again.

use std::fs;
use std::process::Command;

use serde_json::Value as Json;

use crate::exports::python;
use crate::fixture::Bench;

/// Every kind of layer that a network can have after training.
const LAYERS: &str = r"
    Conv(out: 4, kernel: 3, stride: [2, 1], padding: [1, 2, 0, 1]), BatchNorm, Relu6,
    DepthwiseConv(multiplier: 2, kernel: 3, padding: Same), HardSwish, MaxPool(size: 2, stride: 1, padding: Same),
    BatchNorm, LeakyRelu(slope: 0.125),
    Residual(body: [Conv(out: 8, kernel: 1, bias: false), Sigmoid], shortcut: [Conv(out: 8, kernel: 1), Tanh]),
    Concat([[Relu], [Conv(out: 3, kernel: [1, 3], padding: Same, dilation: [1, 2])], [AvgPool(size: 3, stride: 1, padding: Same, count_padding: true)]]),
    AvgPool(size: 2, padding: 1), GlobalAvgPool, Flatten, Linear(16), Relu, Linear(out: 10, bias: false)
";

fn experiment() -> String {
    format!(
        r#"Experiment(name: "exported", nodes: {{
            "mnist": Dataset(source: Mnist10k, train: 200, test: 100),
            "net": Train(data: "mnist", model: Layers([{LAYERS}]), epochs: 1),
            "full": Evaluate(model: "net", data: "mnist"),
            "small": Quantize(model: "net", format: Int(4), scale: Real(per: Channel)),
            "accuracy": Evaluate(model: "small", data: "mnist"),
        }}, tables: {{ "t": Table(rows: [], columns: {{"full": "full.loss", "small": "accuracy.loss"}}) }})"#
    )
}

fn row(bench: &Bench, file: &str) -> Json {
    let text = bench.stdout(["table", file, "t", "--format", "json"]);
    serde_json::from_str::<Json>(&text).expect(&text)[0].clone()
}

#[test]
fn an_exported_network_is_the_same_in_another_runtime() {
    let bench = Bench::with(&experiment());
    bench.run_well();
    let before = row(&bench, "x.ron");
    for (task, metric) in [("net", "full"), ("small", "small")] {
        bench.stdout(["export", "x.ron", task, "--to", "onnx", "-o", "net.onnx"]);
        let golden = match python("import numpy, onnx, onnxruntime") {
            Some(python) => {
                bench.write("run.py", RUN);
                let ended =
                    Command::new(python).arg("run.py").current_dir(bench.path(".")).output().expect("Python");
                assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
                ", golden: \"golden.npz\""
            }
            None => "",
        };
        let again = format!(
            r#"Experiment(name: "again", nodes: {{
                "mnist": Dataset(source: Mnist10k, train: 200, test: 100),
                "net": Import(file: "net.onnx"{golden}), "full": Evaluate(model: "net", data: "mnist"),
            }}, tables: {{ "t": Table(rows: [], columns: {{"loss": "full.loss"}}) }})"#
        );
        bench.write("y.ron", &again);
        let ended = bench.fewbits(["run", "y.ron", "--ui", "plain"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        // The same numbers in the same order of sums.
        assert_eq!(row(&bench, "y.ron")["loss"], before[metric], "{task}");
        if !golden.is_empty() {
            bench.write("y.ron", again.replace("\"full.loss\"", "\"net.golden_difference\""));
            let difference = row(&bench, "y.ron")["loss"].as_f64().expect("a difference");
            assert!(difference < 1e-4, "{difference}");
        }
    }
    assert!(fs::read(bench.path("net.onnx")).is_ok());
}

/// Formats with a type in ONNX, in every layout of scales, and whether one of two tensors has none.
const TYPED: [(&str, &str); 11] = [
    ("int4", "format: Int(4), scale: Real(per: Channel)"),
    ("int3", "format: Int(3), scale: Real(per: Tensor, store: F16)"),
    ("int5", "format: Int(bits: 5, range: Full), scale: Real(per: Block(8))"),
    ("int6", "format: Int(6), scale: PowerOfTwo(per: Channel)"),
    ("int8", "format: Int(8), scale: Real(per: Block(24))"),
    ("uint", "format: Int(bits: 7, range: Asymmetric), scale: Real(per: Block(16))"),
    ("fixed", "format: Fixed(int: 0, frac: 7)"),
    ("mx", "format: Mx(Int(8))"),
    ("e4m3", "format: E4M3, scale: Real(per: Channel)"),
    ("e5m2", "format: E5M2, tensors: All"),
    ("mixed", "format: float8_e4m3fnuz, layers: {\"conv1\": KMeans(4)}"),
];

#[test]
fn quantized_tensors_keep_their_numbers_in_the_types_of_onnx() {
    let node = |(name, fields): &(&str, &str)| format!("\"{name}\": Quantize(model: \"net\", {fields}),\n");
    let bench = Bench::with(&format!(
        r#"Experiment(name: "typed", nodes: {{
            "mnist": Dataset(source: Mnist10k, train: 200, test: 100),
            "net": Train(data: "mnist", epochs: 1, model: Layers([
                Conv(out: 4, kernel: 3, stride: 2), Relu, Conv(out: 6, kernel: [3, 2]), Relu, MaxPool(2), Flatten, Linear(10),
            ])),
            {}
        }})"#,
        TYPED.iter().map(node).collect::<String>(),
    ));
    bench.run_well();
    let python = python("import numpy, onnx, onnxruntime");
    bench.write("typed.py", RUN_TYPED);
    for (task, _) in TYPED {
        let told = bench.stdout(["export", "x.ron", task, "--to", "onnx", "--typed", "-o", "typed.onnx"]);
        assert_eq!(
            told.contains("binary32, as ONNX has no type for their format: conv1.weight"),
            task == "mixed",
            "{told}"
        );
        bench.stdout(["export", "x.ron", task, "--to", "onnx", "-o", "plain.onnx"]);
        let sizes =
            ["typed.onnx", "plain.onnx"].map(|file| fs::metadata(bench.path(file)).expect("a file").len());
        assert!(sizes[0] < sizes[1], "{task}: {sizes:?}");
        let Some(python) = &python else { continue };
        let ended =
            Command::new(python).arg("typed.py").current_dir(bench.path(".")).output().expect("Python");
        assert!(ended.status.success(), "{task}: {}", String::from_utf8_lossy(&ended.stderr));
    }
    bench.write("y.ron", r#"Experiment(name: "again", nodes: {"net": Import(file: "typed.onnx")})"#);
    for task in ["int4", "int6", "e4m3"] {
        bench.stdout(["export", "x.ron", task, "--to", "onnx", "--typed", "-o", "typed.onnx"]);
        let refused = bench.fewbits(["check", "y.ron"]);
        assert!(refused.code == Some(2) && refused.stderr.contains("quantized already"), "{refused:?}");
    }
    let refused =
        bench.fewbits(["export", "x.ron", "int4", "--to", "packed", "--typed", "-o", "x.safetensors"]);
    assert!(refused.code == Some(2) && refused.stderr.contains("--typed is about --to onnx"), "{refused:?}");
}

/// Compares the logits of both files in ONNX Runtime.
const RUN_TYPED: &str = r#"
import numpy as np, onnx, onnxruntime
onnx.checker.check_model(onnx.load("typed.onnx"), full_check=True)
images = np.random.default_rng(0).random((5, 1, 28, 28), dtype=np.float32)
typed, plain = (onnxruntime.InferenceSession(name).run(["logits"], {"input": images})[0] for name in ("typed.onnx", "plain.onnx"))
assert np.abs(typed - plain).max() <= 1e-4 * np.abs(plain).max(), (typed, plain)
kinds = {node.op_type for node in onnx.load("typed.onnx").graph.node}
assert "DequantizeLinear" in kinds, kinds
"#;

/// Checks the file, and writes an input and the output that ONNX Runtime gives for it.
const RUN: &str = r#"
import numpy as np, onnx, onnxruntime
onnx.checker.check_model(onnx.load("net.onnx"), full_check=True)
images = np.random.default_rng(0).random((5, 1, 28, 28), dtype=np.float32)
session = onnxruntime.InferenceSession("net.onnx")
(logits,) = session.run(["logits"], {"input": images})
np.savez("golden.npz", input=images, output=logits)
"#;
