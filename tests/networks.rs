//! Networks with branches, from their training to the report.

use crate::fixture::Bench;

/// A small ResNet and a depthwise separable network, each rounded layer by layer.
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
