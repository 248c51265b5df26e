//! Tables in every format, and the long table of all results.

use serde_json::Value as Json;

use crate::fixture::{Bench, TINY};

fn done() -> Bench {
    let bench = Bench::with(TINY);
    bench.run_well();
    bench
}

fn json(bench: &Bench, arguments: &[&str]) -> Vec<Json> {
    let text = bench.stdout([&["table", "x.ron"], arguments, &["--format", "json"]].concat());
    serde_json::from_str(&text).expect(&text)
}

#[test]
fn the_long_table_has_every_axis_and_every_metric() {
    let bench = done();
    let rows = json(&bench, &[]);
    assert_eq!(rows.len(), 4);
    let points: Vec<(Option<i64>, Option<i64>)> =
        rows.iter().map(|row| (row["seed"].as_i64(), row["e"].as_i64())).collect();
    assert_eq!(points, [(Some(0), Some(2)), (Some(0), Some(3)), (Some(1), Some(2)), (Some(1), Some(3))]);
    for row in &rows {
        for name in ["mnist.train_images", "net.parameters", "full.accuracy", "small.bytes", "accuracy.loss"]
        {
            assert!(row[name].is_number(), "{name}: {row}");
        }
        for node in ["mnist", "net", "full", "small", "accuracy"] {
            assert!(row[format!("{node}.seconds")].as_f64().is_some_and(|seconds| seconds >= 0.0), "{row}");
        }
        assert_eq!(row["mnist.train_images"], 200.0);
        // Without validation images, this metric is undefined.
        assert_eq!(row["net.validation_accuracy"], Json::Null);
        // The network has 784·8 + 8·10 weights and 18 biases.
        assert_eq!(row["net.parameters"], 6370.0);
        assert!(
            row.as_object().expect("an object").values().all(|value| !value.is_object() && !value.is_array())
        );
    }
    // The values of a node with fewer axes are repeated over the other axes.
    assert_eq!(rows[0]["full.loss"], rows[1]["full.loss"]);
    assert_ne!(rows[0]["full.loss"], rows[2]["full.loss"]);
}

#[test]
fn a_pivot_is_the_same_in_all_formats() {
    let bench = done();
    let rows = json(&bench, &[]);
    let value = |seed: i64, e: i64| {
        let row = rows.iter().find(|row| row["seed"] == seed && row["e"] == e).expect("a row");
        row["accuracy.accuracy"].as_f64().expect("a number")
    };
    let flat = json(&bench, &["tradeoff"]);
    assert_eq!(flat.len(), 4);
    let csv = bench.stdout(["table", "x.ron", "tradeoff", "--format", "csv"]);
    assert_eq!(csv.lines().count(), 5, "{csv}");
    let cells =
        |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    // One network each: the interval is over the images.
    let shown = |seed, e| format!("{:.3} ±", value(seed, e));
    let md = bench.stdout(["table", "x.ron", "tradeoff", "--format", "md"]);
    let text = bench.stdout(["table", "x.ron", "tradeoff"]);
    assert!(md.lines().any(|line| cells(line) == ["e", "seed=0", "seed=1"]), "{md}");
    for e in [2, 3] {
        let begins = |row: &[String]| {
            row.len() == 3
                && row[0] == e.to_string()
                && row[1].starts_with(&shown(0, e))
                && row[2].starts_with(&shown(1, e))
        };
        assert!(md.lines().any(|line| begins(&cells(line))), "{md}");
        let words = |line: &str| {
            line.split("  ")
                .map(|word| word.trim().to_owned())
                .filter(|word| !word.is_empty())
                .collect::<Vec<_>>()
        };
        assert!(text.lines().any(|line| begins(&words(line))), "{text}");
        for seed in [0, 1] {
            assert!(csv.contains(&format!("\n{e},{seed},{},", value(seed, e))), "{csv}");
            let found = flat.iter().filter(|row| row["accuracy.accuracy"] == value(seed, e));
            assert!(found.count() > 0, "{flat:?}");
        }
    }
}

#[test]
fn a_pareto_table_averages_over_its_replication() {
    let bench = done();
    let rows = json(&bench, &["pareto"]);
    assert!((1..=2).contains(&rows.len()), "{rows:?}");
    let text = bench.stdout(["table", "x.ron", "pareto"]);
    assert!(text.contains("mean and 95 % t interval over seed"), "{text}");
}

#[test]
fn without_a_name_all_tables_are_shown() {
    let bench = done();
    let text = bench.stdout(["table", "x.ron"]);
    assert!(text.contains("tradeoff") && text.contains("pareto"), "{text}");
    let ran = bench.stdout(["run", "x.ron"]);
    assert!(ran.contains(&text), "a run ends with the tables: {ran}");
}

#[test]
fn a_run_prints_the_tables_that_the_file_names() {
    let bench = done();
    bench.edit("    tables:", "    show: [\"pareto\"],\n    tables:");
    let ran = bench.stdout(["run", "x.ron"]);
    let pareto = bench.stdout(["table", "x.ron", "pareto"]);
    let others = "\n1 more table: tradeoff. Show one with `fewbits table x.ron NAME`, all without a name.\n";
    assert!(ran.ends_with(&format!("{pareto}{others}")), "{ran}");
    // Without names the first five are printed.
    let copies: String =
        (0..5).map(|at| format!("\"t{at}\": Table(columns: [\"full.loss\"]),\n        ")).collect();
    bench.edit("    show: [\"pareto\"],\n    tables: {", &format!("    tables: {{\n        {copies}"));
    let ran = bench.stdout(["run", "x.ron"]);
    assert!(ran.contains("\nt4: full.loss") && !ran.contains("\npareto: "), "{ran}");
    assert!(ran.contains("2 more tables: tradeoff, pareto."), "{ran}");
}

#[test]
fn a_table_before_the_run_says_what_is_missing() {
    let bench = Bench::with(TINY);
    let text = bench.stdout(["table", "x.ron"]);
    assert!(text.contains("4 results are not there yet"), "{text}");
    let rows = json(&bench, &[]);
    assert_eq!(rows.len(), 4);
    assert!(rows.iter().all(|row| row["accuracy.accuracy"].is_null()));
}

#[test]
fn an_unknown_table_is_refused_with_the_nearest_name() {
    let told = Bench::with(TINY).fewbits(["table", "x.ron", "tradeof"]);
    assert_eq!(told.code, Some(2));
    assert!(told.stderr.contains("there is no table `tradeof`; did you mean `tradeoff`?"), "{}", told.stderr);
}

#[test]
fn structs_on_an_axis_have_a_column_per_field() {
    let bench = Bench::with(TINY);
    bench.edit(
        "\"seed\": [0, 1]",
        "\"setting\": {\"short\": (batch: 50, seed: 3), \"long\": (batch: 25, seed: 4)}",
    );
    bench.edit(
        "batch: 50, epochs: 1, seed: Axis(\"seed\")",
        "batch: Axis(\"setting.batch\"), epochs: 1, seed: Axis(\"setting.seed\")",
    );
    bench.edit("[\"seed\"]", "[\"setting\"]");
    bench.edit("replicate: \"seed\"", "replicate: \"setting\"");
    let told = bench.run_well();
    assert!(told.tasks("completed").contains(&"net(setting=long)"), "{told:?}");
    let rows = json(&bench, &[]);
    assert_eq!(rows[0]["setting"], "short");
    assert_eq!((&rows[0]["setting.batch"], &rows[2]["setting.seed"]), (&Json::from(50), &Json::from(4)));
    let text = bench.stdout(["table", "x.ron", "tradeoff"]);
    assert!(text.contains("setting=short"), "{text}");
}

#[test]
fn columns_of_a_value_stand_side_by_side() {
    let bench = Bench::with(TINY);
    // The first row has the same value in each training, and so no interval.
    bench.edit(
        "    tables: {",
        "    tables: {\n        \"list\": Table(rows: [\"e\"], columns: {\"a\": \"e == 2 ? 1.0 : accuracy.loss\", \"b\": \"e\"}, replicate: \"seed\"),",
    );
    bench.run_well();
    let csv = bench.stdout(["table", "x.ron", "list", "--format", "csv"]);
    assert_eq!(csv.lines().next(), Some("e,a,a.low,a.high,a.n,b,b.n"), "{csv}");
}

#[test]
fn columns_are_sorted_and_filtered() {
    let bench = Bench::with(TINY);
    bench.edit(
        "    tables: {",
        "    tables: {\n        \"list\": Table(rows: [\"seed\", \"e\"], columns: {\"cost\": \"small.mse\", \"drop\": \"full.loss - accuracy.loss\"}, sort: \"-cost\", where: \"e > 0\"),",
    );
    bench.run_well();
    let rows = json(&bench, &["list"]);
    let cost: Vec<f64> = rows.iter().filter_map(|row| row["cost"].as_f64()).collect();
    assert_eq!(cost.len(), 4, "{rows:?}");
    assert!(cost.is_sorted_by(|a, b| a >= b), "{cost:?}");
    bench.edit("e > 0", "e == 3");
    assert_eq!(json(&bench, &["list"]).len(), 2);
}
