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

/// Checks the file, and writes an input and the output that ONNX Runtime gives for it.
const RUN: &str = r#"
import numpy as np, onnx, onnxruntime
onnx.checker.check_model(onnx.load("net.onnx"), full_check=True)
images = np.random.default_rng(0).random((5, 1, 28, 28), dtype=np.float32)
session = onnxruntime.InferenceSession("net.onnx")
(logits,) = session.run(["logits"], {"input": images})
np.savez("golden.npz", input=images, output=logits)
"#;
