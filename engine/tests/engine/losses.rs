//! Losses: artifacts that the store has lost are made again, once.

use crate::bench::{Bench, experiment};

const NODES: &str = r#"
    "n": Number(value: 1), "l": Learn(of: "n"), "b": Scale(of: "l", by: Axis("x")), "s": Show(of: "b"),
"#;
const AXES: &str = r#""x": [1, 2, 3]"#;

#[test]
fn a_lost_object_runs_its_task_and_nothing_else() {
    let (bench, text) = (Bench::new(), experiment(AXES, NODES));
    bench.events(&text);
    assert_eq!(bench.lose_objects(), 1);
    let expected = ["l = 4", "n rebuilt", "b(x=1) reused", "b(x=2) reused", "b(x=3) reused"];
    let mut events = bench.events(&text);
    events.retain(|line| !line.starts_with("s("));
    events[2..].sort();
    assert_eq!(events, expected);
    assert_eq!(bench.events(&text), [""; 0]);
}

/// The plan finds only that an object exists. The first reader finds that it is damaged.
#[test]
fn a_damaged_object_is_found_by_its_readers_and_made_again_once() {
    for jobs in [1, 2, 8] {
        for reads in ["l", "b"] {
            let (mut bench, text) = (Bench::new(), experiment(AXES, NODES));
            bench.events(&text);
            bench.jobs = jobs;
            assert_eq!(bench.damage_objects(), 1);
            let new = format!(r#"{NODES} "t": Scale(of: "{reads}", by: Axis("y")),"#);
            let new = experiment(&format!(r#"{AXES}, "y": [4, 5, 6, 7]"#), &new);
            let before = bench.ops.calls.lock().unwrap()["Learn"];
            let (events, summary) = bench.run(&new);
            let summary = summary.unwrap();
            let tasks = if reads == "l" { 4 } else { 12 };
            let counts = (summary.ran, summary.failed, summary.skipped);
            assert_eq!(counts, (tasks + 1, 0, 0), "{jobs} {reads} {events:#?}");
            assert_eq!(bench.ops.calls.lock().unwrap()["Learn"], before + 1, "{jobs} {reads}");
            let warnings = crate::bench::lines(&events);
            let warnings = warnings.iter().filter(|line| line.starts_with("warned: l:")).count();
            assert_eq!(warnings, 1, "{jobs} {reads}");
            // Readers that start before the damage is known are postponed until `l` has run again: at least one, and at
            // most one per job.
            let postponed = crate::bench::lines(&events);
            let postponed = postponed.iter().filter(|line| line.ends_with(" postponed: l")).count();
            assert!((1..=jobs).contains(&postponed), "{jobs} {reads} {events:#?}");
            assert_eq!(bench.events(&new), [""; 0], "{jobs} {reads}");
        }
    }
}

#[test]
fn what_cannot_be_made_again_fails_its_readers() {
    let (bench, text) =
        (Bench::new(), experiment(AXES, NODES).replace("Number(value: 1)", "File(path: \"f\")"));
    std::fs::write(bench.path("f"), "1").unwrap();
    bench.events(&text);
    bench.damage_objects();
    std::fs::remove_file(bench.path("f")).unwrap();
    let new = text.replace("Show(of: \"b\")", "Show(of: \"b\", offset: 1)");
    let (events, summary) = bench.run(&new);
    let summary = summary.unwrap();
    assert_eq!((summary.ran, summary.failed, summary.skipped), (0, 1, 3), "{events:#?}");
    let told = crate::bench::lines(&events);
    assert_eq!(told.iter().filter(|line| line.ends_with("skipped: l")).count(), 3, "{told:#?}");
    std::fs::write(bench.path("f"), "1").unwrap();
    assert_eq!(bench.summary(&new), [4, 4, 0, 0]);
}

#[test]
fn an_artifact_that_comes_out_different_fails_its_reader_and_drops_the_record() {
    let (bench, text) =
        (Bench::new(), experiment("", r#""n": Number(value: 1), "b": Scale(of: "n", by: 2)"#));
    bench.events(&text);
    *bench.ops.drift.lock().unwrap() = 0.5;
    let new = text.replace("by: 2)", "by: 2), \"s\": Show(of: \"b\")");
    let sentence = "s failed: b: made again, it came out different from its record, which is dropped; run again to \
                    compute it anew";
    assert_eq!(bench.events(&new), ["started s", "n rebuilt", sentence].map(str::to_owned));
    assert_eq!(bench.events(&new), ["b = 2.5", "n rebuilt", "s = 2.5"]);
    assert_eq!(bench.events(&new), [""; 0]);
}

#[test]
fn two_nodes_of_one_key_share_a_loss() {
    let nodes = r#""n": Number(value: 1), "l": Learn(of: "n"), "k": Learn(of: "n")"#;
    let (bench, text) = (Bench::new(), experiment("", nodes));
    bench.events(&text);
    bench.damage_objects();
    let new = format!(r#"{nodes}, "s": Show(of: "l"), "t": Show(of: "k", offset: 1)"#);
    let events = bench.events(&experiment("", &new));
    assert_eq!(events.iter().filter(|line| line.contains("= 4")).count(), 2, "l or k, and s: {events:?}");
    assert_eq!(bench.events(&experiment("", &new)), [""; 0]);
}
