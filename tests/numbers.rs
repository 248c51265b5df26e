//! Edge cases of numbers: networks without a finite answer, shares of 0 and 1, tensors of zeros, and batches of one
//! image.

use serde_json::Value as Json;

use crate::fixture::Bench;

/// Returns the rows of a table as objects.
fn rows(bench: &Bench, table: &str) -> Vec<Json> {
    let text = bench.stdout(["table", "x.ron", table, "--format", "json"]);
    serde_json::from_str(&text).expect(&text)
}

/// Checks that numbers of a row are equal to the expected ones, bit for bit.
fn check(row: &Json, expected: &[(&str, f64)]) {
    for (name, number) in expected {
        assert_eq!(row[name].as_f64(), Some(*number), "{name} in {row}");
    }
}

/// The weights of `a` and `b` make every logit infinite or NaN. `same` gives the same answers as `net`.
const SILENT: &str = r#"Experiment(
    name: "silent",
    nodes: {
        "data": Dataset(source: Mnist10k, train: 200, test: 27),
        "net": Train(data: "data", model: Mlp(hidden: [12]), epochs: 1, batch: 50),
        "a": Quantize(model: "net", format: Values([-3e38, 3e38])),
        "b": Quantize(model: "net", format: Values([-2.9e38, 2.9e38])),
        "same": Quantize(model: "net", format: Int(bits: 16)),
        "none": Evaluate(model: "a", data: "data"),
        "two": Compare(model: "a", baseline: "b", data: "data"),
        "one": Compare(model: "a", baseline: "net", data: "data"),
        "all": Compare(model: "same", baseline: "net", data: "data"),
    },
    tables: {
        "t": Table(columns: [
            "two.agreement", "two.agreement_low", "two.agreement_high", "two.non_finite", "two.total", "two.lost",
            "two.won", "two.mcnemar_p", "one.agreement", "one.non_finite", "one.won", "all.agreement",
            "all.agreement_low", "all.agreement_high", "all.non_finite",
            "none.accuracy", "none.accuracy_low", "none.non_finite",
        ]),
        "images": Table(columns: {"accuracy": "none.accuracy"}, interval: Images),
    },
)
"#;

/// The expected bounds are Wilson's interval with z = 1.96 for 27 images: from 0 to z²/(27 + z²) for a share of 0, and
/// from 27/(27 + z²) to 1 for a share of 1.
#[test]
fn networks_without_an_answer_agree_with_none_and_intervals_end_at_the_share() {
    let bench = Bench::with(SILENT);
    bench.run_well();
    let row = &rows(&bench, "t")[0];
    check(
        row,
        &[
            ("two.agreement", 0.0),
            ("two.agreement_low", 0.0),
            ("two.non_finite", 27.0),
            ("two.total", 27.0),
            ("two.lost", 0.0),
            ("two.won", 0.0),
            ("two.mcnemar_p", 1.0),
            ("one.agreement", 0.0),
            ("one.non_finite", 27.0),
            ("one.won", 0.0),
            ("all.agreement", 1.0),
            ("all.agreement_high", 1.0),
            ("all.non_finite", 0.0),
            ("none.accuracy", 0.0),
            ("none.accuracy_low", 0.0),
            ("none.non_finite", 27.0),
        ],
    );
    let near = |name: &str, expected: f64| {
        let found = row[name].as_f64().expect(name);
        assert!((found - expected).abs() < 1e-12, "{name} is {found}");
    };
    let square = 1.959_963_984_540_054_f64.powi(2);
    near("two.agreement_high", square / (27.0 + square));
    near("all.agreement_low", 27.0 / (27.0 + square));
    let images = &rows(&bench, "images")[0];
    check(images, &[("accuracy", 0.0), ("accuracy.low", 0.0)]);
}

/// All first-layer weights of `pruned` are 0.
const DEAD: &str = r#"Experiment(
    name: "dead",
    nodes: {
        "data": Dataset(source: Mnist10k, train: 200, test: 100),
        "net": Train(data: "data", model: Mlp(hidden: [16]), epochs: 1),
        "pruned": Quantize(model: "net", format: Values([0.0, -0.25, 0.25]), layers: {"linear2": F32}),
        "small": Quantize(model: "pruned", format: Binary, scale: Real(per: Block(28))),
        "all": Describe(model: "pruned", layer: "linear1"),
        "kept": Describe(model: "small", layer: "linear1"),
    },
    tables: {
        "t": Table(columns: ["all.zeros", "kept.zeros", "kept.abs_max", "small.flushed", "small.mse", "small.max_error"]),
    },
)
"#;

/// After two training steps every first-layer weight is below 0.125, which is half of the smallest nonzero value, so
/// all of them round to 0. Binary must keep these zeros.
#[test]
fn zeros_of_binary_stay_zero_or_fail_with_the_tensors_name() {
    let bench = Bench::with(DEAD);
    bench.run_well();
    let row = &rows(&bench, "t")[0];
    check(row, &[("all.zeros", 1.0), ("kept.zeros", 1.0), ("kept.abs_max", 0.0), ("small.flushed", 0.0)]);
    bench.edit("scale: Real(per: Block(28))", "scale: PowerOfTwo(per: Block(28))");
    let told = bench.run();
    assert_eq!((told.code, told.tasks("failed")), (Some(1), vec!["small"]));
    let error = told.of("failed")[0]["error"].as_str().expect("a sentence");
    let expected = "linear1.weight: elements 0 to 27 are all 0, Binary has no zero, and its scale, stored as E8M0, cannot be 0";
    assert!(error.starts_with(expected), "{error}");
}

const NORM: &str = r#"Experiment(
    name: "norm",
    axes: {
        "batch": [128, 129],
    },
    nodes: {
        "data": Dataset(source: Mnist10k, train: 129, test: 100),
        "net": Train(data: "data", batch: Axis("batch"), epochs: 2,
                     model: Layers([Flatten, Linear(8), BatchNorm(momentum: 1.0), Relu, Linear(10)])),
        "accuracy": Evaluate(model: "net", data: "data"),
    },
    tables: {
        "t": Table(rows: ["batch"], columns: ["net.joined_images", "net.train_loss"]),
    },
)
"#;

/// The 129th image joins the batch of 128 images. That makes the same batch as batch size 129, so both networks are
/// equal and are evaluated once.
#[test]
fn an_image_that_a_batch_normalization_cannot_take_alone_joins_the_batch_before_it() {
    let bench = Bench::with(NORM);
    assert_eq!(bench.run_well().counts(), [5, 4, 1, 0, 0]);
    let rows = rows(&bench, "t");
    assert_eq!(rows[0]["net.train_loss"], rows[1]["net.train_loss"]);
    check(&rows[0], &[("net.joined_images", 1.0)]);
    check(&rows[1], &[("net.joined_images", 0.0)]);
    // With convolutions, one image alone has a variance, so it does not join: 128 gives two steps, and 129 gives one.
    bench.edit(
        "Flatten, Linear(8), BatchNorm(momentum: 1.0), Relu",
        "Conv(out: 2, kernel: 3), BatchNorm, Relu, MaxPool(2), Flatten",
    );
    assert_eq!(bench.run_well().counts(), [5, 4, 1, 0, 0]);
    assert!(self::rows(&bench, "t")[0]["net.joined_images"].is_null());
}

/// The rank of 86.4 % in a block of 375 weights is 324. In blocks of 34 and 12, the three percentiles have the same
/// rank.
#[test]
fn a_percentile_of_the_file_is_the_decimal_number_written_there() {
    let bench = Bench::with(
        r#"Experiment(
    name: "ranks",
    axes: {
        "p": [86.4, 86.39999, 86.40001],
    },
    nodes: {
        "data": Dataset(source: Mnist10k, train: 200, test: 100),
        "net": Train(data: "data", model: Mlp(hidden: [12]), epochs: 1, batch: 50),
        "small": Quantize(model: "net", format: Int(4), scale: Real(per: Block(375), fit: Percentile(Axis("p")))),
    },
    tables: {
        "t": Table(rows: ["p"], columns: ["small.mse"]),
    },
)
"#,
    );
    bench.run_well();
    let rows = rows(&bench, "t");
    // 323.99996 and 324 round up to rank 324, and 324.00004 rounds up to rank 325.
    assert_eq!(rows[0]["small.mse"], rows[1]["small.mse"]);
    assert_ne!(rows[0]["small.mse"], rows[2]["small.mse"]);
}
