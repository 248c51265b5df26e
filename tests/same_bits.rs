//! The same key gives the same bits, independent of threads, jobs and order.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::fixture::{Bench, TINY, Told, end};

/// A perceptron and a convolutional network, both with dropout, and with rounding to nearest and stochastic rounding.
const BOTH: &str = r#"Experiment(
    name: "both",
    axes: {
        "arch": {
            "mlp": Mlp(hidden: [24], dropout: 0.5),
            "cnn": Layers([Conv(out: 4, kernel: 5, stride: 2), BatchNorm, Relu, MaxPool(2), Flatten, Dropout(0.25), Linear(10)]),
        },
        "seed": [0, 1],
        "rounding": [Nearest, Stochastic],
    },
    nodes: {
        "mnist": Dataset(source: Mnist10k, train: 96, test: 64, validation: 32),
        "net": Train(data: "mnist", model: Axis("arch"), batch: 32, epochs: 2, seed: Axis("seed"), optimizer: Sgd(lr: 0.05, momentum: 0.9), schedule: Cosine),
        "small": Quantize(model: "net", format: Float(e: 3, m: 1), rounding: Axis("rounding"), tensors: All, scale: Real(fit: LeastSquares)),
        "accuracy": Evaluate(model: "small", data: "mnist", split: Validation),
    },
)
"#;

fn keys(told: &Told) -> BTreeMap<String, (Json, Json)> {
    let of = |event: &&Json| (event["task"].to_string(), (event["key"].clone(), event["metrics"].clone()));
    told.of("completed").iter().map(of).collect()
}

#[test]
fn threads_and_jobs_change_no_bit() {
    let run = |jobs: &str, threads: &str| {
        let bench = Bench::with(BOTH);
        let mut command = bench.command(["run", "x.ron", "--ui", "json", "--jobs", jobs]);
        let told = Told::from(end(command.env("RAYON_NUM_THREADS", threads)));
        assert_eq!(told.code, Some(0), "{told:?}");
        let names: Vec<_> =
            bench.objects().iter().map(|path| path.file_name().map(ToOwned::to_owned)).collect();
        (keys(&told), names, bench.long())
    };
    let one = run("1", "1");
    assert_eq!((one.0.len(), one.1.len()), (21, 4), "every task has a result of its own");
    assert_eq!(one, run("2", "2"));
    assert_eq!(one, run("3", "1"));
    assert_eq!(one, run("1", "2"));
}

/// The second run is in another process and another folder, and its axes and levels are in another order.
#[test]
fn keys_are_the_same_everywhere() {
    let bench = Bench::with(TINY);
    let first = bench.run_well();
    let other = Bench::with(TINY);
    other.edit("\"seed\": [0, 1],\n        \"e\": [2, 3]", "\"e\": [3, 2],\n        \"seed\": [1, 0]");
    let second = other.run_well();
    let set = |told: &Told| keys(told).into_values().map(|(key, _)| key.to_string()).collect::<Vec<_>>();
    let sorted = |mut keys: Vec<String>| {
        keys.sort_unstable();
        keys
    };
    assert_eq!(sorted(set(&first)), sorted(set(&second)));
    assert_eq!(bench.objects().len(), 2);
}
