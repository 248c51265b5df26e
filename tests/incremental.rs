//! Incremental runs: after an edit, only the tasks that the edit affects run again.

use crate::fixture::{Bench, TINY};

#[test]
fn a_second_run_does_nothing() {
    let bench = Bench::with(TINY);
    let first = bench.run_well();
    assert_eq!(first.counts(), [13, 13, 0, 0, 0]);
    let again = bench.run_well();
    assert_eq!(again.kinds(), ["planned", "finished"]);
    assert_eq!(again.counts(), [13, 0, 13, 0, 0]);
}

#[test]
fn another_value_of_an_axis_runs_no_old_task() {
    let bench = Bench::with(TINY);
    bench.run_well();
    bench.edit("\"e\": [2, 3]", "\"e\": [3, 4, 2]");
    let told = bench.run_well();
    let new = ["accuracy(seed=0,e=4)", "accuracy(seed=1,e=4)", "small(seed=0,e=4)", "small(seed=1,e=4)"];
    assert_eq!(told.tasks("started"), new);
    assert_eq!(told.tasks("completed"), new);
    assert_eq!(told.counts(), [17, 4, 13, 0, 0]);
}

#[test]
fn order_comments_labels_and_names_mean_nothing() {
    let bench = Bench::with(TINY);
    bench.run_well();
    bench.write(
        "y.ron",
        r#"
        /* the same, /* written */ otherwise */
        Experiment(
            about: "another name",
            tables: {},
            nodes: {
                "good": Evaluate(data: "images", model: "fewer", split: Test()),
                "fewer": Quantize(scale: PowerOfTwo(fit: MaxAbs), seed: 7, format: Float(m: 2, e: Axis("bits")), model: "net"),
                "whole": Evaluate(data: "images", model: "net", ),
                "net": Train(epochs: 1, seed: Axis("seed"), batch: 0x32, model: Mlp(dropout: -0.0, hidden: [8]), data: "images"),
                "images": Dataset(test: 100, train: 2_00, source: Mnist10k()), // no trailing word
            },
            axes: { "bits": {"wide": 3, "narrow": 2}, "seed": {"b": 1, "a": 0} },
            name: "renamed",
        )"#,
    );
    let told = bench.stdout(["run", "y.ron", "--ui", "json"]);
    assert_eq!(told.lines().count(), 2, "{told}");
    assert!(told.contains(r#""tasks":13,"ran":0,"cached":13"#), "{told}");
}

#[test]
fn fewer_test_images_retrain_nothing() {
    let bench = Bench::with(TINY);
    bench.run_well();
    bench.edit("test: 100", "test: 50");
    let told = bench.run_well();
    let done = told.tasks("completed");
    assert!(done.iter().all(|task| !task.starts_with("net") && !task.starts_with("small")), "{done:?}");
    assert_eq!(told.counts(), [13, 7, 6, 0, 0]);
    let total = |row: &serde_json::Value| row["full.total"].as_f64();
    assert!(bench.long().as_array().expect("rows").iter().all(|row| total(row) == Some(50.0)));
}

#[test]
fn more_epochs_retrain_and_what_changes_follows() {
    let bench = Bench::with(TINY);
    bench.run_well();
    bench.edit("epochs: 1", "epochs: 2");
    let told = bench.run_well();
    assert_eq!(told.counts(), [13, 12, 1, 0, 0]);
    assert_eq!(told.tasks("rebuilt"), ["mnist"]);
    let started = told.of("started");
    let net = started.iter().find(|event| event["task"] == "net(seed=0)").expect("a training");
    let change = serde_json::json!([{"field": "params.epochs", "from": "1", "to": "2"}]);
    assert_eq!(net["reason"]["why"], "changed");
    assert_eq!(net["reason"]["changes"], change);
    let epochs: Vec<u64> = told
        .of("progressed")
        .iter()
        .filter(|event| event["task"] == "net(seed=0)")
        .filter_map(|event| event["done"].as_u64())
        .collect();
    assert_eq!(epochs, [1, 2]);
    bench.edit("epochs: 2", "epochs: 1");
    assert_eq!(bench.run_well().count("ran"), 0, "the old results are still there");
}

#[test]
fn a_network_that_comes_out_the_same_reruns_nothing() {
    // 200 images make one batch of at most 200, and one batch of at most 300.
    let bench = Bench::with(TINY);
    bench.edit("batch: 50", "batch: 200");
    bench.run_well();
    bench.edit("batch: 200", "batch: 300");
    let told = bench.run_well();
    assert_eq!(told.tasks("completed"), ["net(seed=0)", "net(seed=1)"]);
    assert_eq!(told.tasks("reused").len(), 10);
    assert_eq!(told.counts(), [13, 2, 11, 0, 0]);
}

#[test]
fn other_training_images_and_back_again_run_nothing() {
    let bench = Bench::with(TINY);
    bench.run_well();
    bench.edit("train: 200", "train: 300");
    assert!(bench.run_well().tasks("completed").contains(&"net(seed=0)"));
    bench.edit("train: 300", "train: 200");
    assert_eq!(bench.run_well().kinds(), ["planned", "finished"]);
}

#[test]
fn binary32_as_a_format_shares_the_evaluation_of_the_network() {
    let bench = Bench::with(TINY);
    bench.edit("[2, 3]", "[8]");
    bench.edit("m: 2)", "m: 23)");
    bench.edit(", scale: PowerOfTwo", "");
    let told = bench.run_well();
    for seed in [0, 1] {
        let pair = [format!("accuracy(seed={seed},e=8)"), format!("full(seed={seed})")];
        let of =
            |kind| told.tasks(kind).into_iter().filter(|task| pair.contains(&(*task).to_owned())).count();
        assert_eq!((of("completed"), of("reused")), (1, 1), "{:?}", told.events);
    }
    assert_eq!(told.counts(), [9, 7, 2, 0, 0]);
    let rows = bench.long();
    for row in rows.as_array().expect("rows") {
        assert_eq!(row["full.loss"], row["accuracy.loss"]);
        assert_eq!(row["small.mse"], 0.0);
    }
}

#[test]
fn formats_that_agree_on_the_weights_share_an_evaluation() {
    // All weights are below 0.375: unscaled, both formats have only the values 0 and ±0.25 in that range.
    let bench = Bench::with(TINY);
    bench.edit("\"e\": [2, 3]", "\"format\": [Float(e: 1, m: 3), Float(e: 2, m: 2)]");
    bench.edit("Float(e: Axis(\"e\"), m: 2), scale: PowerOfTwo", "Axis(\"format\")");
    bench.edit("rows: [\"e\"]", "rows: [\"format\"]");
    let told = bench.run_well();
    let of =
        |kind: &str, node: &str| told.tasks(kind).into_iter().filter(|task| task.starts_with(node)).count();
    assert_eq!((of("completed", "small"), of("completed", "accuracy"), of("reused", "accuracy")), (4, 2, 2));
    let reused = told.of("reused");
    assert!(
        reused.iter().all(|event| event["same_as"].as_str().is_none_or(|task| task.starts_with("accuracy")))
    );
    assert_eq!(told.counts(), [13, 11, 2, 0, 0]);
}

#[test]
fn two_experiments_share_their_results() {
    let bench = Bench::with(TINY);
    bench.run_well();
    bench.edit("\"tiny\"", "\"other\"");
    bench.edit("\"seed\": [0, 1]", "\"seed\": Range(0, 2)");
    let told = bench.run_well();
    assert!(told.tasks("started").iter().all(|task| task.contains("seed=2")), "{told:?}");
    assert_eq!(told.count("cached"), 13);
}

/// A node with `keep: true` shares its keys with a node without it.
#[test]
fn a_twin_that_is_kept_runs_with_what_reads_it() {
    let bench = Bench::with(TINY);
    bench.run_well();
    let best = r#"
        "best": Quantize(model: "net", format: Float(e: Axis("e"), m: 2), scale: PowerOfTwo, keep: true),
        "judged": Evaluate(model: "best", data: "mnist", split: Train),
        "small":"#;
    bench.edit("\"small\":", best.trim_start());
    let told = bench.run_well();
    assert_eq!((told.count("failed"), told.count("skipped")), (0, 0), "{told:?}");
    assert_eq!(told.of("completed").len(), 8, "four kept anew, four judged: {told:?}");
    assert_eq!(bench.run_well().count("ran"), 0);
}

#[test]
fn twins_of_which_one_is_kept_are_trained_once() {
    let bench = Bench::with(TINY);
    let twin = r#"
        "lost": Train(data: "mnist", model: Mlp(hidden: [8]), batch: 50, epochs: 1, seed: Axis("seed"), keep: false),
        "net":"#;
    bench.edit("\"net\":", twin.trim_start());
    let told = bench.run_well();
    assert_eq!(told.counts(), [15, 13, 2, 0, 0]);
    assert_eq!(bench.run_well().counts(), [15, 0, 15, 0, 0]);
}
