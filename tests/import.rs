//! Networks that others trained, from their file to the report.

use std::fs;
use std::path::Path;

use crate::fixture::Bench;

const IMPORTED: &str = r#"Experiment(
    name: "imported",
    axes: { "bits": [3, 8] },
    nodes: {
        "data": Dataset(source: Idx(train_images: "images", train_labels: "labels", test_images: "images", test_labels: "labels")),
        "net": Import(file: "net.onnx", golden: "net.npz"),
        "full": Evaluate(model: "net", data: "data"),
        "small": Quantize(model: "net", format: Int(Axis("bits")), scale: Real(per: Channel), layers: {"l0": Int(8)}),
        "agreement": Compare(model: "small", baseline: "net", data: "data"),
        "weights": Describe(model: "small", layer: "l8"),
    },
    tables: {
        "net": Table(rows: [], columns: ["net.parameters", "net.golden_difference", "full.accuracy"]),
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
    let plan = bench.stdout(["plan", "y.ron"]);
    assert!(plan.contains("net.onnx is not there; a path starts from the experiment's folder"), "{plan}");
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
        ended.stdout.contains("`input` has the shape [5, 2, 7, 6]; the network takes 3 x 9 x 8"),
        "{ended:?}"
    );
}
