//! Networks that others trained, from their file to the report.

use std::fs;
use std::path::Path;

use crate::fixture::{Bench, Told, data_dir, end};

const IMPORTED: &str = r#"Experiment(
    name: "imported",
    axes: { "bits": [3, 8] },
    nodes: {
        "data": Dataset(source: Idx(train_images: "images", train_labels: "labels", test_images: "images", test_labels: "labels")),
        "net": Import(file: "net.onnx", golden: "net.npz"),
        "full": Evaluate(model: "net", data: "data"),
        "small": Quantize(model: "net", format: Int(Axis("bits")), scale: Real(per: Channel), layers: {"l0": Int(8)}),
        "accuracy": Evaluate(model: "small", data: "data"),
        "agreement": Compare(model: "small", baseline: "net", data: "data"),
        "weights": Describe(model: "small", layer: "l8"),
    },
    tables: {
        "net": Table(rows: [], columns: ["net.parameters", "net.golden_difference", "full.accuracy"]),
        "drop": Pivot(value: "full.accuracy - accuracy.accuracy", rows: ["bits"]),
        "agreement": Pivot(value: "agreement.agreement", rows: ["bits"]),
    },
)"#;

/// Returns a folder with a network of `PyTorch`, its outputs, and forty images for it.
fn bench() -> Bench {
    let bench = Bench::with(IMPORTED);
    let networks = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ops/tests/networks");
    for (from, to) in [
        ("residual.onnx", "net.onnx"),
        ("residual.golden.npz", "net.npz"),
        ("branches.golden.npz", "other.npz"),
    ] {
        fs::copy(networks.join(from), bench.path(to)).expect("a network");
    }
    let images = (0..40 * 216_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8);
    let header = [0, 0, 8, 4, 0, 0, 0, 40, 0, 0, 0, 3, 0, 0, 0, 9, 0, 0, 0, 8];
    bench.write("images", header.into_iter().chain(images).collect::<Vec<u8>>());
    let labels = [0, 0, 8, 1, 0, 0, 0, 40].into_iter().chain((0..40).map(|at| at % 4));
    bench.write("labels", labels.collect::<Vec<u8>>());
    bench
}

#[test]
fn a_network_of_pytorch_goes_all_the_way() {
    let bench = bench();
    bench.run_well();
    let table = bench.stdout(["table", "x.ron", "net"]);
    // Parameters by hand, batch normalizations folded: 112 + 2 · 148 + 222 + 330 + 30 + 28.
    assert!(table.contains(" 1018 "), "{table}");
    let agreement = bench.stdout(["table", "x.ron", "agreement"]);
    assert!(!agreement.contains('…') && !agreement.contains("failed"), "{agreement}");
    bench.stdout(["report", "x.ron", "-o", "x.html"]);
    assert!(fs::read_to_string(bench.path("x.html")).expect("a page").contains("l8.weight"));
    // Results stay when the file is gone; what is new cannot be computed.
    fs::remove_file(bench.path("net.onnx")).expect("the file");
    assert_eq!(bench.stdout(["table", "x.ron", "net"]), table);
    bench.write("y.ron", IMPORTED.replace("[3, 8]", "[3, 4, 8]"));
    let ended = bench.fewbits(["run", "y.ron", "--ui", "plain"]);
    let told = ended.stderr.contains("net.onnx: the file is gone; results made from it are still shown");
    assert!(ended.code == Some(1) && told, "{ended:?}");
}

/// The network of `residual.onnx`, whose weights are also in a safetensors file.
const WEIGHTS: &str = r#"Import(
            file: "net.safetensors",
            golden: "net.npz",
            input: [3, 9, 8],
            model: Layers([
                Conv(out: 4, kernel: 3, padding: 1, name: "l0"), BatchNorm, Relu,
                Residual(body: [
                    Conv(out: 4, kernel: 3, padding: 1, bias: false), BatchNorm, Relu,
                    Conv(out: 4, kernel: 3, padding: 1, bias: false), BatchNorm,
                ]),
                Relu,
                Residual(
                    body: [
                        Conv(out: 6, kernel: 3, stride: 2, padding: 1, bias: false), BatchNorm, Relu,
                        Conv(out: 6, kernel: 3, padding: 1, bias: false), BatchNorm,
                    ],
                    shortcut: [Conv(out: 6, kernel: 1, stride: 2, bias: false), BatchNorm],
                ),
                Relu, GlobalAvgPool, Flatten, Linear(out: 4, name: "l8"),
            ]),
            names: {
                "l0": "0", "batchnorm1": "1", "conv2": "3.body.0", "batchnorm2": "3.body.1", "conv3": "3.body.3",
                "batchnorm3": "3.body.4", "conv4": "4.body.0", "batchnorm4": "4.body.1", "conv5": "4.body.3",
                "batchnorm5": "4.body.4", "conv6": "4.shortcut.0", "batchnorm6": "4.shortcut.1", "l8": "8",
            },
        )"#;

#[test]
fn weights_fill_a_network_that_the_experiment_defines() {
    let bench = bench();
    let networks = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ops/tests/networks");
    fs::copy(networks.join("residual.safetensors"), bench.path("net.safetensors")).expect("weights");
    let import = r#"Import(file: "net.onnx", golden: "net.npz")"#;
    let text = IMPORTED.replace(import, WEIGHTS);
    bench.write("x.ron", &text);
    bench.run_well();
    assert!(bench.stdout(["table", "x.ron", "net"]).contains(" 1018 "));
    let told = |text: String| {
        bench.write("x.ron", text);
        let ended = bench.fewbits(["check", "x.ron"]);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        ended.stderr
    };
    // All faults of the tensors are told together.
    let tensors =
        told(text.replace("\"conv2\": \"3.body.0\", ", "").replace("Linear(out: 4", "Linear(out: 3"));
    for fault in [
        "tensor \"conv2.weight\" is missing",
        "tensor \"8.weight\" has shape [4, 6], its layer wants [3, 6]",
        "tensor \"3.body.0.weight\" belongs to no layer",
    ] {
        assert!(tensors.contains(fault), "{tensors}");
    }
    let name = told(text.replace("\"conv2\":", "\"conv9\":"));
    assert!(name.contains("the network has no layer `conv9`"), "{name}");
    let half = told(text.replace("input: [3, 9, 8],", ""));
    assert!(half.contains("need `model` and `input`"), "{half}");
}

#[test]
fn faults_of_files_are_told_before_anything_runs() {
    let bench = bench();
    let told = |text: &str| {
        bench.write("x.ron", text);
        let ended = bench.fewbits(["check", "x.ron"]);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        ended.stderr
    };
    let wrong_layer = told(&IMPORTED.replace("\"l8\"", "\"l9\""));
    assert!(wrong_layer.contains("the network has no layer `l9` with weights"), "{wrong_layer}");
    let output = told(&IMPORTED.replace("golden: \"net.npz\"", "output: \"logits\""));
    assert!(output.contains("it has no output \"logits\", but \"output\""), "{output}");
    bench.write("net.onnx", "no network");
    let broken = told(IMPORTED);
    assert!(
        broken.contains("net.onnx: no ONNX file: at byte 0: ") && broken.contains("file: \"net.onnx\""),
        "{broken}"
    );
}

#[test]
fn outputs_of_another_network_fail_the_task() {
    let bench = bench();
    bench.write("x.ron", IMPORTED.replace("\"net.npz\"", "\"other.npz\""));
    let ended = bench.fewbits(["run", "x.ron", "--ui", "plain"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stderr.contains("`input` has the shape [5, 2, 7, 6]; the network takes 3 x 9 x 8"),
        "{ended:?}"
    );
}

/// Networks of `MLPerf` Tiny and of qonnx, the first also from its weights alone.
const PUBLISHED: &str = r#"Experiment(
    name: "published",
    nodes: {
        "mnist": Dataset(source: Mnist, normalize: UnitRange),
        "cifar": Dataset(source: Cifar10, normalize: Bytes),
        "qonnx": Import(file: "models/qonnx_mnist_conv.onnx", golden: "models/qonnx_mnist_conv.golden.npz"),
        "resnet8": Import(file: "models/mlperf_tiny_resnet8.onnx", golden: "models/mlperf_tiny_resnet8.golden.npz"),
        "weights": Import(
            file: "models/mlperf_tiny_resnet8.safetensors", golden: "models/mlperf_tiny_resnet8.golden.npz",
            input: [3, 32, 32],
            model: Layers([
                Conv(out: 16, kernel: 3, padding: Same), Relu,
                Residual([Conv(out: 16, kernel: 3, padding: Same), Relu, Conv(out: 16, kernel: 3, padding: Same)]), Relu,
                Residual(
                    body: [
                        Conv(out: 32, kernel: 3, stride: 2, padding: Same), Relu, Conv(out: 32, kernel: 3, padding: Same),
                    ],
                    shortcut: [Conv(out: 32, kernel: 1, stride: 2)],
                ),
                Relu,
                Residual(
                    body: [
                        Conv(out: 64, kernel: 3, stride: 2, padding: Same), Relu, Conv(out: 64, kernel: 3, padding: Same),
                    ],
                    shortcut: [Conv(out: 64, kernel: 1, stride: 2)],
                ),
                Relu, GlobalAvgPool, Flatten, Linear(10),
            ]),
            names: {
                "conv1": "conv2d", "conv2": "conv2d_1", "conv3": "conv2d_2", "conv4": "conv2d_3", "conv5": "conv2d_4",
                "conv6": "conv2d_5", "conv7": "conv2d_6", "conv8": "conv2d_7", "conv9": "conv2d_8", "linear1": "dense",
            },
        ),
        "digits": Evaluate(model: "qonnx", data: "mnist"),
        "from_onnx": Evaluate(model: "resnet8", data: "cifar"),
        "from_weights": Evaluate(model: "weights", data: "cifar"),
    },
)"#;

/// The numbers of images that ONNX Runtime has right.
#[test]
fn published_networks_are_as_good_as_in_another_runtime() {
    let Some(dir) = data_dir() else { return };
    let bench = Bench::with(PUBLISHED);
    let told = Told::from(end(bench.command(["run", "x.ron", "--ui", "json"]).env("FEWBITS_DATA_DIR", dir)));
    assert_eq!(told.code, Some(0), "{told:?}");
    for (task, right) in [("digits", 9_890.0), ("from_onnx", 8_719.0), ("from_weights", 8_719.0)] {
        let done = told.of("completed").into_iter().find(|event| event["task"] == task).expect(task);
        assert_eq!(done["metrics"]["correct"], right, "{task}");
    }
}

#[test]
fn weights_of_an_import_are_exported() {
    let bench = bench();
    bench.run_well();
    let told = bench.stdout(["weights", "x.ron", "net", "-o", "w.npz"]);
    assert!(told.contains("14 tensors of net"), "{told}");
}
