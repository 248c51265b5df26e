//! `diff`: two files, two runs, or two points side by side.

use std::fs;

use serde_json::Value as Json;

use crate::fixture::{Bench, TINY};

/// Returns `TINY` with three trainings, and with a table that replicates over them.
fn replicated() -> String {
    let text = TINY.replace("\"seed\": [0, 1]", "\"seed\": [0, 1, 2]");
    text.replace("columns: [\"seed\"]", "columns: [], replicate: \"seed\"")
}

/// Returns a bench with two experiments that have run: `old.ron`, and `new.ron` with another axis value and another
/// parameter.
fn edited() -> Bench {
    let bench = Bench::with(&replicated());
    bench.run_well();
    fs::copy(bench.path("x.ron"), bench.path("old.ron")).expect("a copy");
    bench.edit("\"e\": [2, 3]", "\"e\": [3, 5]");
    bench.edit("epochs: 1", "epochs: 2");
    bench.run_well();
    fs::rename(bench.path("x.ron"), bench.path("new.ron")).expect("a name");
    bench
}

fn json(bench: &Bench, arguments: &[&str]) -> Json {
    let text = bench.stdout([&["diff", "--format", "json"], arguments].concat());
    serde_json::from_str(&text).expect(&text)
}

fn runs(bench: &Bench) -> Vec<String> {
    let text = bench.stdout(["runs"]);
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// Returns a metric of every seed at a level of `e`, from the long table.
fn metric(bench: &Bench, file: &str, name: &str, e: i64) -> Vec<f64> {
    let text = bench.stdout(["table", file, "--format", "json"]);
    let rows: Vec<Json> = serde_json::from_str(&text).expect(&text);
    rows.iter().filter(|row| row["e"] == e).map(|row| row[name].as_f64().expect(name)).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn close(found: &Json, expected: f64) {
    assert!((found.as_f64().expect("a number") - expected).abs() < 1e-12, "{found} {expected}");
}

#[test]
fn two_files_differ_in_an_axis_a_parameter_and_what_follows() {
    let bench = edited();
    let text = bench.stdout(["diff", "old.ron", "new.ron"]);
    let wanted = [
        "A  old.ron\nB  new.ron\n",
        "  axis e: 2 only in A\n  axis e: 5 only in B\n",
        "  net  epochs: 1 → 2\n",
        "tradeoff: accuracy.accuracy; B − A within each seed, mean and 95 % t interval; * is not zero",
        "1 value only in A\n1 value only in B\n",
    ];
    assert!(wanted.iter().all(|words| text.contains(words)), "{text}");
    let row = |name: &str| {
        text.lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .find(|row| row.first() == Some(&name))
    };
    assert_eq!(row("mnist").expect("a row"), ["mnist", "1", "0", "0"]);
    assert_eq!(row("all").expect("a row"), ["all", "1", "18", "18"]);
    let found = json(&bench, &["old.ron", "new.ron"]);
    assert_eq!(found["parameters"]["fields"][0]["fields"].as_array().map(Vec::len), Some(1));
    let table = &found["tables"][0];
    let cell = &table["cells"][0];
    assert_eq!(
        (&cell["at"]["e"], &cell["paired"], &cell["n"]),
        (&"3".into(), &true.into(), &serde_json::json!([3, 3]))
    );
    let [old, new] = ["old.ron", "new.ron"].map(|file| metric(&bench, file, "accuracy.accuracy", 3));
    close(&cell["from"], mean(&old));
    close(&cell["to"], mean(&new));
    close(&cell["difference"], mean(&new) - mean(&old));
    assert!(cell["p"].is_number() && cell["low"].as_f64() < cell["high"].as_f64(), "{cell}");
    assert_eq!((&table["only_from"], &table["only_to"], &table["equal"]), (&1.into(), &1.into(), &0.into()));
}

#[test]
fn runs_are_compared_as_they_were() {
    let bench = edited();
    let runs = runs(&bench);
    // The current content of the files does not matter.
    bench.write("old.ron", "nothing any more");
    let found = json(&bench, &[&runs[0], &runs[1]]);
    assert_eq!(found["from"], format!("run {}", runs[0]));
    assert_eq!(found["parameters"]["fields"][0]["node"], "net");
    let mixed = json(&bench, &[&runs[1], "new.ron"]);
    assert_eq!(mixed["parameters"]["fields"], Json::Array(vec![]));
    let text = bench.stdout(["diff", &runs[1], "new.ron"]);
    assert!(text.contains("no parameter differs\n"), "{text}");
    assert!(text.contains("all 2 values are equal in every seed\n"), "{text}");
    assert!(text.lines().any(|line| line.split_whitespace().eq(["all", "19", "0", "0"])), "{text}");
}

#[test]
fn other_seeds_are_said_to_be_other_seeds() {
    let bench = edited();
    let text = fs::read_to_string(bench.path("old.ron")).expect("a file");
    bench.write("x.ron", text.replace("[0, 1, 2]", "[2, 3]"));
    bench.run_well();
    let told = bench.stdout(["diff", "old.ron", "x.ron"]);
    assert!(
        told.contains("w: not the same values of seed, difference of means with Welch's interval"),
        "{told}"
    );
    assert!(told.contains("  3, 2 w\n"), "{told}");
}

#[test]
fn two_points_show_every_metric_over_the_seeds() {
    let bench = edited();
    let text = bench.stdout(["diff", "new.ron", "small(e=3)", "small(e=5)"]);
    assert!(text.contains("  e: 3 → 5\n  small  format.Float.e: 3 → 5\n"), "{text}");
    assert!(text.contains("small.code_bits") && text.contains("accuracy.loss"), "{text}");
    // The network is the same at both points.
    assert!(!text.contains("full.") && !text.contains("net."), "{text}");
    let found = json(&bench, &["new.ron", "small(e=3)", "small(e=5)"]);
    let bits =
        found["metrics"].as_array().expect("metrics").iter().find(|of| of["metric"] == "small.code_bits");
    let bits = bits.expect("code_bits");
    assert_eq!((&bits["from"], &bits["to"], &bits["difference"]), (&6.0.into(), &8.0.into(), &2.0.into()));
    let loss =
        found["metrics"].as_array().expect("metrics").iter().find(|of| of["metric"] == "accuracy.loss");
    let [three, five] = [3, 5].map(|e| mean(&metric(&bench, "new.ron", "accuracy.loss", e)));
    close(&loss.expect("loss")["difference"], five - three);
    // Points can also come from a run, and a point can be a single task.
    let run = &runs(&bench)[1];
    assert_eq!(json(&bench, &[run, "small(e=3)", "small(e=5)"])["metrics"], found["metrics"]);
    let one = json(&bench, &["new.ron", "full(seed=0)", "accuracy(seed=0,e=3)"]);
    assert!(one["metrics"].as_array().is_some_and(|all| all.iter().all(|of| of["low"].is_null())), "{one}");
}

#[test]
fn nothing_is_run_and_what_is_missing_is_said() {
    let bench = Bench::with(&replicated());
    let told = bench.fewbits(["diff", "x.ron", "x.ron"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.stderr.contains("warning: x.ron: 19 of 19 tasks have no result\n"), "{told:?}");
    assert!(told.stdout.contains("A: 6 rows are not there yet\n"), "{told:?}");
    assert!(told.stdout.contains("no value to compare\n"), "{told:?}");
    assert!(!bench.path("store").exists(), "diff made a store");
    let point = bench.stdout(["diff", "x.ron", "small(e=2)", "small(e=3)"]);
    assert!(point.contains("A: 6 tasks have no result\n"), "{point}");
}

#[test]
fn mistakes_are_told_in_a_sentence() {
    let bench = edited();
    let check = |arguments: &[&str], words: &[&str]| {
        let told = bench.fewbits([&["diff"], arguments].concat());
        assert_eq!((told.code, told.stdout.as_str()), (Some(2), ""), "{arguments:?}: {told:?}");
        assert!(words.iter().all(|word| told.stderr.contains(word)), "{arguments:?}: {}", told.stderr);
    };
    check(&["old.ron", "missing.ron"], &["missing.ron: ", "name an experiment file"]);
    check(&["nothing", "old.ron"], &["`nothing` is no file", "there is no run `nothing`"]);
    check(&["20", "old.ron"], &["`20` means 2 runs", "give more of its id"]);
    check(&["new.ron", "small", "small(e=3)"], &["`small` leaves `e` open", "`small(seed=0,e=3)`"]);
    check(&["new.ron", "smal(e=3)", "small(e=5)"], &["no node `smal`", "did you mean `small`?"]);
    check(&["new.ron", "small(e=3)", "small(e=9)"], &["axis `e` has no value `9`"]);
    check(&["new.ron"], &["required", "fewbits diff [OPTIONS] <A> <B>"]);
    bench.write("bad.ron", "Experiment(");
    check(&["bad.ron", "new.ron"], &["bad.ron:1", "error"]);
    bench.write("store/runs/20300101-000000-000.jsonl", "torn");
    check(&["2030", "new.ron"], &["run 20300101-000000-000 has no beginning: it was cut off"]);
    let old = "{\"experiment\":\"old\",\"text\":\"Experiment(name: 3)\"}\n";
    bench.write("store/runs/20300101-000000-000.jsonl", old);
    check(
        &["2030", "new.ron"],
        &["the experiment of run 20300101-000000-000 cannot be read by this version"],
    );
}
