//! Rebuilding the artifacts of recorded tasks outside a run.

use std::fs;
use std::sync::Arc;

use fewbits_engine::plan::Planner;
use fewbits_engine::run::rebuild::Rebuilder;
use fewbits_store::Store;

use crate::bench::{Bench, experiment};

const NODES: &str = r#"
    "n": File(path: "f"), "l": Learn(of: "n"), "b": Scale(of: "l", by: Axis("x")), "s": Show(of: "b"),
"#;
const AXES: &str = r#""x": [2, 3]"#;

fn text() -> String {
    experiment(AXES, NODES)
}

/// Returns a bench on which the text has run: the file contains 1, and `l` is 4.
fn done() -> Bench {
    let bench = Bench::new();
    fs::write(bench.path("f"), "1").unwrap();
    assert_eq!(bench.summary(&text()), [6, 0, 0, 0]);
    bench
}

/// Makes the artifacts of these tasks again with one rebuilder, as a reader of the store.
fn rebuild(bench: &Bench, text: &str, tasks: &[&str]) -> Vec<Result<f64, String>> {
    let (graph, store) = (bench.graph(text), Arc::new(Store::open_reader(&bench.root()).unwrap()));
    let plan = Planner::new(&graph, &*bench.ops, &store).plan().unwrap();
    let rebuilder = Rebuilder::new((&graph, &bench.ops, &store), plan);
    let one = |task: &&str| {
        let artifact = rebuilder.artifact(graph.find(task).unwrap());
        artifact.map(|artifact| artifact.value()).map_err(|error| error.to_string())
    };
    tasks.iter().map(one).collect()
}

fn calls(bench: &Bench) -> [usize; 3] {
    let calls = bench.ops.calls.lock().unwrap();
    ["File", "Learn", "Scale"].map(|kind| calls.get(kind).copied().unwrap_or(0))
}

#[test]
fn kept_artifacts_are_read_and_others_made_from_them() {
    let bench = done();
    let before = calls(&bench);
    let made = rebuild(&bench, &text(), &["b(x=3)", "b(x=2)", "l", "n", "b(x=3)"]);
    assert_eq!(made, [12.0, 8.0, 4.0, 1.0, 12.0].map(Ok));
    let after = calls(&bench);
    assert_eq!(after, [before[0] + 1, before[1], before[2] + 2], "each made once, nothing learnt");
    assert_eq!(bench.events(&text()), [""; 0], "nothing changed in the store");
}

#[test]
fn what_was_not_kept_is_made_from_its_source() {
    let (bench, text) = (Bench::new(), text().replace("Learn(of: \"n\")", "Learn(of: \"n\", keep: false)"));
    fs::write(bench.path("f"), "1").unwrap();
    bench.events(&text);
    assert_eq!(rebuild(&bench, &text, &["b(x=3)"]), [Ok(12.0)]);
    fs::remove_file(bench.path("f")).unwrap();
    let told = rebuild(&bench, &text, &["b(x=3)"]).remove(0).unwrap_err();
    assert!(told.starts_with("b(x=3): no number: "), "{told}");
    fs::write(bench.path("f"), "5").unwrap();
    let told = rebuild(&bench, &text, &["b(x=3)"]);
    assert_eq!(told, [Err("n: there is no result yet; run the experiment first".to_owned())]);
}

#[test]
fn what_cannot_be_had_is_told_by_the_task_that_is_the_reason() {
    let check = |change: &dyn Fn(&Bench), task: &str, expected: &str| {
        let bench = done();
        change(&bench);
        assert_eq!(rebuild(&bench, &text(), &[task]), [Err(expected.to_owned())]);
    };
    let nothing = |_: &Bench| ();
    let lost = "l: its result is not in the store any more; run the experiment to make it again";
    check(&nothing, "s(x=2)", "s(x=2): it leaves nothing that other tasks read; name one whose kind does");
    check(&|bench| assert_eq!(bench.lose_objects(), 1), "b(x=2)", lost);
    check(&|bench| assert_eq!(bench.damage_objects(), 1), "b(x=2)", lost);
    check(
        &|bench| *bench.ops.drift.lock().unwrap() = 0.5,
        "b(x=2)",
        "b(x=2): made again, it came out different from its record, which may be of a build with other numbers; \
         use that build",
    );
}

#[test]
fn what_was_never_run_has_no_artifact() {
    let bench = Bench::new();
    fs::write(bench.path("f"), "1").unwrap();
    bench.store();
    let told = |task| rebuild(&bench, &text(), &[task]).remove(0).unwrap_err();
    assert_eq!(told("b(x=2)"), "n: there is no result yet; run the experiment first");
    fs::remove_file(bench.path("f")).unwrap();
    let missing = told("b(x=2)");
    assert!(
        missing.starts_with("n: there is no ") && missing.ends_with(": write a number into it"),
        "{missing}"
    );
}
