//! Artifacts are dropped from memory once no task needs them.

use crate::bench::{Bench, experiment};

#[test]
fn nothing_stays_and_little_is_there_at_once() {
    let values: Vec<String> = (1..=40).map(|value| value.to_string()).collect();
    let axes = format!(r#""x": [{}], "y": [1, 100, 10000]"#, values.join(", "));
    let nodes = r#"
        "n": Number(value: Axis("x")), "l": Learn(of: "n"), "b": Scale(of: "l", by: Axis("y")), "s": Show(of: "b"),
    "#;
    let bench = Bench::new();
    assert_eq!(bench.summary(&experiment(&axes, nodes)), [40 + 40 + 240, 0, 0, 0]);
    assert_eq!(bench.ops.live.now(), 0);
    // Without kept artifacts no result waits for the disk, so at most a task's input and its output are in memory.
    let bench = Bench::new();
    assert_eq!(bench.summary(&experiment(&axes, &nodes.replace("Learn", "Round"))), [40 + 40 + 240, 0, 0, 0]);
    assert_eq!((bench.ops.live.now(), bench.ops.live.most()), (0, 2));
}

#[test]
fn what_is_kept_stays_until_the_disk_has_it() {
    let bench = Bench::new();
    *bench.ops.hook.lock().unwrap() = Some(Box::new(|kind| {
        if kind == "Learn" {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }));
    let nodes = r#""n": Number(value: 1), "l": Learn(of: "n", seed: Axis("x")), "s": Show(of: "l")"#;
    assert_eq!(bench.summary(&experiment(r#""x": Range(1, 40)"#, nodes)), [81, 0, 0, 0]);
    assert!(bench.ops.live.most() < 20, "{} of 41 at once", bench.ops.live.most());
}

#[test]
fn what_turns_out_to_have_no_reader_goes_too() {
    let nodes = r#""n": Number(value: Axis("x")), "b": Scale(of: "n", by: 1.001), "r": Round(of: "b"), "s": Show(of: "r")"#;
    let text = experiment(r#""x": Range(1, 30)"#, nodes);
    let bench = Bench::new();
    bench.events(&text);
    // Every result rounds to the same number as before.
    assert_eq!(bench.summary(&text.replace("1.001", "1.002")), [60, 60, 0, 0]);
    assert_eq!((bench.ops.live.now(), bench.ops.live.most()), (0, 2));
}

#[test]
fn what_is_made_again_goes_too() {
    let nodes = r#""n": Number(value: 1), "b": Scale(of: "n", by: Axis("x")), "s": Show(of: "b")"#;
    let text = experiment(r#""x": Range(1, 30)"#, nodes);
    let bench = Bench::new();
    bench.events(&text);
    assert_eq!(bench.summary(&text.replace("Show(of: \"b\")", "Show(of: \"b\", offset: 1)")), [30, 31, 0, 0]);
    assert_eq!((bench.ops.live.now(), bench.ops.live.most()), (0, 2));
    assert_eq!(bench.ops.calls.lock().unwrap()["Number"], 2, "made again once for all");
}

#[test]
fn an_artifact_stays_for_those_that_take_its_result() {
    // `b` has the key of `a`. The readers of both find the artifact in memory.
    let nodes = r#"
        "a": Number(value: 3), "b": Number(value: 3), "p": Show(of: "a"), "q": Show(of: "b", offset: 1),
        "r": Scale(of: "b", by: 2), "s": Show(of: "r"), "t": Show(of: "r", offset: 2),
    "#;
    let bench = Bench::new();
    let events = bench.events(&experiment("", nodes));
    assert!(!events.iter().any(|line| line.ends_with("rebuilt")), "{events:?}");
    assert_eq!((bench.ops.live.now(), bench.ops.live.most()), (0, 2));
}
