//! Networks with branches, from their training to the report.

use crate::fixture::Bench;

/// A small `ResNet` and a depthwise separable network, each rounded layer by layer.
const BRANCHED: &str = r#"Experiment(
    name: "branched",
    axes: {
        "network": {
            "resnet": Layers([
                Conv(out: 4, kernel: 3, stride: 2, padding: Same), BatchNorm, Relu,
                Residual(body: [Conv(out: 4, kernel: 3, padding: Same), BatchNorm, Relu, Conv(out: 4, kernel: 3, padding: Same), BatchNorm]),
                Relu,
                Residual(
                    body: [Conv(out: 8, kernel: 3, stride: 2, padding: Same), BatchNorm],
                    shortcut: [Conv(out: 8, kernel: 1, stride: 2)],
                ),
                Relu, GlobalAvgPool, Flatten, Linear(10),
            ]),
            "separable": Layers([
                Conv(out: 4, kernel: [5, 3], stride: 2, padding: Same), BatchNorm, HardSwish,
                DepthwiseConv(kernel: 3, padding: Same, name: "conv2"), BatchNorm, Relu6,
                Concat([[Conv(out: 4, kernel: 1, name: "joined")], [Sigmoid], [Tanh]]), AvgPool(2), Flatten, Linear(10),
            ]),
        },
        "bits": [3, 8],
    },
    nodes: {
        "data": Dataset(source: Mnist10k, train: 400, test: 200),
        "net": Train(data: "data", model: Axis("network"), epochs: 2, batch: 50),
        "small": Quantize(model: "net", format: Int(Axis("bits")), scale: Real(per: Channel), layers: {"conv2": Int(8)}, first: Int(8)),
        "full": Evaluate(model: "net", data: "data"),
        "accuracy": Evaluate(model: "small", data: "data"),
        "weights": Describe(model: "small", layer: "conv2"),
    },
    tables: {
        "drop": Pivot(value: "full.accuracy - accuracy.accuracy", rows: ["network"], columns: ["bits"]),
        "sizes": Table(rows: ["network"], columns: ["net.parameters", "net.multiply_accumulates", "full.accuracy"]),
    },
)"#;

#[test]
fn networks_with_branches_go_all_the_way() {
    let bench = Bench::with(BRANCHED);
    bench.run_well();
    let sizes = bench.stdout(["table", "x.ron", "sizes"]);
    // Parameters by hand, batch normalizations folded: 40 + 2 · 148 + 296 + 40 + 90, and 64 + 40 + 20 + 5890.
    let of = |network: &str| {
        let row = sizes.lines().find(|line| line.trim_start().starts_with(network)).expect(&sizes);
        row.split_whitespace().nth(1).expect(row).parse::<f64>().expect(row)
    };
    assert_eq!((of("resnet"), of("separable")), (762.0, 6014.0), "{sizes}");
    let drop = bench.stdout(["table", "x.ron", "drop"]);
    assert!(!drop.contains('…') && !drop.contains("failed"), "{drop}");
    bench.stdout(["report", "x.ron", "-o", "x.html"]);
    let page = std::fs::read_to_string(bench.path("x.html")).expect("a page");
    assert!(page.contains("conv2.weight"), "layer by layer");
    // The same run again computes nothing, with one job as with several.
    let ended = bench.fewbits(["run", "x.ron", "--ui", "plain"]);
    assert!(ended.stderr.contains("0 ran") || ended.stdout.contains("0 ran"), "{ended:?}");
    let other = Bench::with(BRANCHED);
    assert_eq!(other.fewbits(["run", "x.ron", "--jobs", "1"]).code, Some(0));
    assert_eq!(other.stdout(["table", "x.ron", "drop"]), drop);
}

/// A perceptron on both backends, and on a device that no test has.
const BACKENDS: &str = r#"Experiment(
    name: "backends",
    axes: { "seed": [0, 1, 2], "device": [Cpu, Candle] },
    nodes: {
        "data": Dataset(source: Mnist10k, train: 2000, test: 1000),
        "net": Train(data: "data", model: Mlp(hidden: [32], dropout: 0.2), epochs: 3, seed: Axis("seed"), device: Axis("device")),
        "small": Quantize(model: "net", format: Int(4), scale: Real(per: Channel)),
        "own": Evaluate(model: "small", data: "data"),
        "candle": Evaluate(model: "small", data: "data", device: Candle),
    },
    tables: {
        "accuracy": Table(rows: ["device"], columns: ["own.accuracy", "candle.accuracy"], replicate: "seed"),
    },
)"#;

#[test]
fn candle_is_a_backend_with_records_of_its_own() {
    let bench = Bench::with(BACKENDS);
    bench.run_well();
    let rows: serde_json::Value =
        serde_json::from_str(&bench.stdout(["table", "x.ron", "accuracy", "--format", "json"]))
            .expect("JSON");
    let accuracy = |row: usize, column: &str| rows[row][column].as_f64().expect(column);
    // Over three seeds, the mean accuracies of the backends differ by less than their noise of about a percent.
    assert!((accuracy(0, "own.accuracy") - accuracy(1, "own.accuracy")).abs() < 0.03, "{rows}");
    // The same network is judged alike, but for an image or two whose logits are nearly equal.
    for row in 0..2 {
        assert!((accuracy(row, "own.accuracy") - accuracy(row, "candle.accuracy")).abs() < 0.003, "{rows}");
    }
    let why = bench.stdout(["why", "x.ron", "net(device=Candle,seed=0)"]);
    assert!(why.contains("candle-cpu"), "{why}");
    // Nothing of candle is computed again to be compared bit by bit.
    let verified = bench.fewbits(["store", "verify", "--recompute", "100%", "x.ron"]);
    let said = verified.stdout.clone() + &verified.stderr;
    assert!(verified.code == Some(0) && said.contains("does not give the same bits each time"), "{said}");
    // A device that is not there is told in a sentence, before anything trains.
    bench.edit("[Cpu, Candle]", "[Candle(Cuda(0))]");
    let ended = bench.fewbits(["run", "x.ron", "--ui", "plain"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let said = ended.stdout + &ended.stderr;
    assert!(said.contains("CUDA device 0 cannot be used") && said.contains("--features cuda"), "{said}");
}
