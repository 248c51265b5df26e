//! `cite`: the methods behind an experiment, and digests that readers can check.

use std::fs;

use serde_json::Value as Json;

use crate::fixture::{Bench, TINY};

fn json(bench: &Bench, file: &str) -> Json {
    let text = bench.stdout(["cite", file, "--format", "json"]);
    serde_json::from_str(&text).expect(&text)
}

fn done() -> Bench {
    let bench = Bench::with(TINY);
    bench.run_well();
    bench
}

#[test]
fn the_block_names_methods_versions_digests_and_papers() {
    let bench = done();
    let text = bench.stdout(["cite", "x.ron"]);
    // The spaces that align columns are removed.
    let text: Vec<String> =
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n").collect();
    let (text, digest) = (text.concat(), blake3::hash(TINY.as_bytes()));
    let wanted = [
        "tiny\n\nMethod\nThe experiment has 13 tasks in 5 nodes over seed (2), e (2).\n",
        "The unit of replication is seed (n = 2).\n",
        "95 % t intervals (Student 1908)",
        "activations are binary32.\n",
        "numerics fma-1 ",
        "mnist train blake3 ",
        &format!("\nexperiment blake3 {digest}\n"),
        "Student (1908). The probable error of a mean.",
        "@software{fewbits,\n",
        "{Performance Trade-offs in Weight Quantization for Memory-Efficient Inference}",
    ];
    let missing: Vec<&&str> = wanted.iter().filter(|words| !text.contains(**words)).collect();
    assert!(missing.is_empty(), "{missing:?} in {text}");
    // The experiment makes no test, so no test is named.
    assert!(!text.contains("Holm") && !text.contains("unfinished"), "{text}");
}

#[test]
fn the_tests_of_tables_are_named_with_their_sources() {
    let bench = Bench::with(TINY);
    bench.edit(
        "    tables: {",
        "    tables: {\n        \"effect\": Contrast(value: \"accuracy.accuracy\", between: [\"e\"], replicate: \"seed\"),\n        \"images\": Table(columns: [\"accuracy.accuracy\"], rows: [\"e\"], replicate: \"seed\", interval: Both),",
    );
    bench.edit("scale: PowerOfTwo", "scale: Axis(\"scale\")");
    bench.edit("\"e\": [2, 3],", "\"e\": [2, 3],\n        \"scale\": [None, PowerOfTwo],");
    bench.edit("columns: [\"seed\"]", "columns: [\"seed\", \"scale\"]");
    bench.edit("rows: [\"e\"], replicate", "rows: [\"e\", \"scale\"], replicate");
    let text = bench.stdout(["cite", "x.ron"]);
    for words in
        ["(Holm 1979)", "Holm, S. (1979)", "Dorfman, D. D.", "Hillis, S. L. (2007)", "seed (no results yet)"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(text.contains("binary32; scaled and unscaled formats are side by side."), "{text}");
    assert!(text.contains("21 tasks without a result: keys and results will change"), "{text}");
}

#[test]
fn results_have_one_digest_in_every_store() {
    let (one, other) = (done(), Bench::with(TINY));
    other.run_well();
    let [here, there] = [&one, &other].map(|bench| json(bench, "x.ron"));
    assert_eq!(here, there);
    assert_eq!((&here["tasks"], &here["missing"]), (&13.into(), &0.into()));
    // A name is part of the text only, so the other digests stay the same.
    one.edit("\"tiny\"", "\"renamed\"");
    let renamed = json(&one, "x.ron");
    assert_ne!(renamed["blake3"]["text"], here["blake3"]["text"]);
    assert_eq!(
        (&renamed["blake3"]["keys"], &renamed["blake3"]["results"]),
        (&here["blake3"]["keys"], &here["blake3"]["results"])
    );
    // Another parameter changes the keys and the results.
    one.edit("epochs: 1", "epochs: 2");
    one.run_well();
    let edited = json(&one, "x.ron");
    assert!(edited["blake3"]["results"] != here["blake3"]["results"], "{edited}");
    assert_eq!(edited["data"], here["data"]);
}

#[test]
fn mistakes_are_told() {
    let bench = Bench::new();
    let told = bench.fewbits(["cite", "x.ron"]);
    assert_eq!(told.code, Some(2), "{told:?}");
    bench.write("x.ron", TINY);
    let before = bench.stdout(["cite", "x.ron"]);
    assert!(before.contains("13 tasks without a result") && !bench.path("store").exists(), "{before}");
    assert!(fs::read_dir(bench.path(".")).expect("a folder").count() == 1);
}
