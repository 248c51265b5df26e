//! Incremental runs: after an edit, exactly the affected tasks run again.

use std::fs;

use fewbits_engine::event::Event;
use fewbits_engine::graph::TaskGraph;
use fewbits_engine::preimage::Change;
use fewbits_engine::reason::Reason;

use crate::arithmetic::Arithmetic;
use crate::bench::{Bench, experiment, lines, reasons};

const AXES: &str = r#""by": [1, 2], "to": [1, 10]"#;
const NODES: &str = r#"
    "a":     Number(value: 3),
    "big":   Scale(of: "a", by: Axis("by")),
    "round": Round(of: "big", to: Axis("to")),
    "show":  Show(of: "round"),
"#;

/// A node that the tested experiments do not have.
const OTHER: &str = r#""other": Number(value: -1)"#;

/// Runs one text and then another; checks the events of the second run, and that a third run does nothing.
fn check(first: &str, second: &str, expected: &[&str]) {
    let bench = Bench::new();
    bench.events(first);
    assert_eq!(bench.events(second), expected, "after\n{first}\nruns\n{second}");
    assert_eq!(bench.events(second), [""; 0], "again");
}

#[test]
fn everything_runs_once_and_then_nothing() {
    let (bench, text) = (Bench::new(), experiment(AXES, NODES));
    let expected = [
        "a = 3",
        "big(by=1) = 3",
        "round(by=1,to=1) = 3",
        "show(by=1,to=1) = 3",
        "round(by=1,to=10) = 0",
        "show(by=1,to=10) = 0",
        "big(by=2) = 6",
        "round(by=2,to=1) = 6",
        "show(by=2,to=1) = 6",
        "round(by=2,to=10) = 10",
        "show(by=2,to=10) = 10",
    ];
    assert_eq!(bench.events(&text), expected);
    let (events, summary) = bench.run(&text);
    assert!(matches!(&*events, [Event::Planned { counts, .. }, Event::Finished(_)] if counts.cached == 11));
    assert_eq!((summary.unwrap().cached, lines(&events)), (11, vec![]));
}

#[test]
fn a_task_starts_is_computed_and_then_recorded() {
    let (mut bench, text) = (Bench::new(), experiment("", r#""a": Number(value: 3), "s": Show(of: "a")"#));
    let kinds = |events: &[Event], wanted: &str| -> Vec<&'static str> {
        let kind = |event: &Event| match event {
            Event::Started { task, .. } if task == wanted => Some("started"),
            Event::Computed { task } if task == wanted => Some("computed"),
            Event::Completed { task, .. } if task == wanted => Some("completed"),
            _ => None,
        };
        events.iter().filter_map(kind).collect()
    };
    let (events, _) = bench.run(&text);
    assert_eq!(kinds(&events, "a"), ["started", "computed", "completed"]);
    assert_eq!(kinds(&events, "s"), ["started", "computed", "completed"]);
    // Every task has one `computed` event, even if results wait for the disk while other tasks run.
    for jobs in [1, 2, 8] {
        bench.jobs = jobs;
        let many = format!(r#""x": Range({}, {})"#, 1000 * jobs, 1000 * jobs + 300);
        let (events, summary) = bench.run(&experiment(&many, r#""n": Number(value: Axis("x"))"#));
        assert_eq!(summary.unwrap().ran, 301);
        let computed = events.iter().filter(|event| matches!(event, Event::Computed { .. })).count();
        assert_eq!(computed, 301, "{jobs}");
    }
}

#[test]
fn an_edited_parameter_runs_what_depends_on_it() {
    let text =
        experiment("", r#""a": Number(value: 3), "b": Number(value: 5), "c": Add(left: "a", right: "b")"#);
    check(&text, &text.replace('5', "6"), &["b = 6", "c = 9", "a rebuilt"]);
    check(&text, &text.replace('5', "6").replace('3', "4"), &["a = 4", "b = 6", "c = 10"]);
    check(&text, &text.replace("value: 5", "value: 5.0"), &[]);
}

#[test]
fn the_same_result_stops_the_change() {
    let text = experiment("", r#""a": Number(value: 3.2), "r": Round(of: "a"), "s": Show(of: "r")"#);
    check(&text, &text.replace("3.2", "3.4"), &["a = 3.4", "r = 3", "s reused"]);
    check(&text, &text.replace("3.2", "3.6"), &["a = 3.6", "r = 4", "s = 4"]);
}

#[test]
fn what_does_not_matter_runs_nothing() {
    let text = experiment(AXES, NODES);
    let reordered_nodes = r#"
        "show": Show(of: "round"), "round": Round(to: Axis("to"), of: "big"),
        "big": Scale(by: Axis("by"), of: "a"), "a": Number(value: 3.0),
    "#;
    for same in [
        experiment(r#""to": [10, 1], "by": [2, 1]"#, NODES),
        experiment(r#""by": {"once": 1, "twice": 2}, "to": Range(1, 10, 9)"#, NODES),
        experiment(AXES, reordered_nodes),
        text.replace("\"test\"", "\"renamed\", about: \"the same\""),
        text.replace("\"a\": ", "/* a number */ \"a\" : ").replace("[1, 2]", "[ 2 , 1, ] // twice\n"),
        text.replace("\"a\"", "\"number\"").replace("\"by\"", "\"factor\""),
    ] {
        check(&text, &same, &[]);
    }
}

#[test]
fn an_added_value_runs_its_own_tasks() {
    let text = experiment(AXES, NODES);
    let added = ["big(by=3) = 9", "a rebuilt", "round(by=3,to=1) = 9", "show(by=3,to=1) = 9"];
    let same = ["round(by=3,to=10) = 10", "show(by=3,to=10) reused"];
    check(&text, &text.replace("[1, 2]", "[1, 2, 3]"), &[&added[..], &same].concat());
    check(&text, &text.replace("[1, 2]", "[2]"), &[]);
}

#[test]
fn a_change_of_one_part_leaves_readers_of_the_other() {
    let text = experiment("", r#""a": Number(value: 3.25), "p": Split(of: "a"), "w": Whole(of: "p")"#);
    check(&text, &text.replace("3.25", "3.5"), &["a = 3.5", "p = 0.5, 3", "w reused"]);
    check(&text, &text.replace("3.25", "4.25"), &["a = 4.25", "p = 0.25, 4", "w = 4"]);
}

#[test]
fn tasks_of_one_key_run_once() {
    let two =
        experiment("", r#""a": Number(value: 3), "b": Number(value: 3.0), "c": Add(left: "a", right: "b")"#);
    check(&experiment("", OTHER), &two, &["a = 3", "b same as a", "c = 6"]);
    // With the nodes in another order, the task that runs is still the one that the plan chose.
    let late = experiment("", r#""s": Show(of: "b"), "b": Number(value: 3), "a": Number(value: 3)"#);
    check(&experiment("", OTHER), &late, &["b = 3", "a same as b", "s = 3"]);
    // The shared key is known only during the run: 3 and 4 round to the same number.
    let text = experiment(
        r#""x": [3, 4]"#,
        r#""n": Number(value: Axis("x")), "r": Round(of: "n", to: 9), "s": Show(of: "r")"#,
    );
    let expected =
        ["n(x=3) = 3", "r(x=3) = 0", "s(x=3) = 0", "s(x=4) same as s(x=3)", "n(x=4) = 4", "r(x=4) = 0"];
    check(&experiment("", OTHER), &text, &expected);
}

#[test]
fn a_task_with_the_key_of_its_own_input_takes_its_result() {
    let nodes = r#""a": Number(value: 3), "b": Scale(of: "a", by: 1), "c": Scale(of: "b", by: 1)"#;
    let text = experiment("", nodes);
    check(&experiment("", OTHER), &text, &["a = 3", "b = 3", "c same as b"]);
    // Neither artifact is kept. A new reader of `c` has its artifact made again once, as `b`; `c` does not wait for its
    // own key.
    let shown = experiment("", &format!(r#"{nodes}, "s": Show(of: "c")"#));
    check(&text, &shown, &["s = 3", "a rebuilt", "b rebuilt"]);
}

#[test]
fn an_artifact_that_is_not_kept_is_made_again_for_a_new_reader() {
    let nodes = r#""a": Number(value: 3), "b": Scale(of: "a", by: 2), "s": Show(of: "b")"#;
    let more = format!(r#"{nodes}, "t": Show(of: "b", offset: 1), "u": Show(of: "b", offset: 2)"#);
    // The artifacts are made again once for both readers.
    check(&experiment("", nodes), &experiment("", &more), &["t = 7", "a rebuilt", "b rebuilt", "u = 8"]);
    let kept = nodes.replace("by: 2", "by: 2, keep: true");
    check(
        &experiment("", &kept),
        &experiment("", &more.replace("by: 2", "by: 2, keep: true")),
        &["t = 7", "u = 8"],
    );
    let bench = Bench::new();
    bench.events(&experiment("", nodes));
    assert_eq!(bench.summary(&experiment("", &more)), [2, 3, 0, 0], "what is rebuilt counts as cached");
}

#[test]
fn what_has_just_run_is_there_for_what_is_made_again() {
    let bench = Bench::new();
    let text = experiment("", r#""f": File(path: "number"), "b": Scale(of: "f", by: 2)"#);
    std::fs::write(bench.path("number"), "3").unwrap();
    bench.events(&text);
    std::fs::write(bench.path("number"), "3.0").unwrap();
    let more = text.replace("by: 2)", "by: 2), \"s\": Show(of: \"b\")");
    assert_eq!(bench.events(&more), ["f = 3", "b reused", "s = 6", "b rebuilt"]);
}

#[test]
fn asking_to_keep_runs_the_task_again_and_only_that() {
    let text = experiment("", r#""a": Number(value: 3), "s": Show(of: "a")"#);
    check(&text, &text.replace("value: 3", "value: 3, keep: true"), &["a = 3", "s reused"]);
    check(&text.replace("value: 3", "value: 3, keep: true"), &text, &[]);
}

#[test]
fn a_source_file_counts_by_its_content() {
    let text = experiment("", r#""f": File(path: "number"), "s": Show(of: "f")"#);
    let bench = Bench::new();
    let path = bench.path("number");
    fs::write(&path, "3").unwrap();
    assert_eq!(bench.events(&text), ["f = 3", "s = 3"]);
    fs::write(&path, "3").unwrap();
    assert_eq!(bench.events(&text), [""; 0], "touched");
    fs::write(&path, "4").unwrap();
    assert_eq!(bench.events(&text), ["f = 4", "s = 4"], "changed");
    fs::rename(&path, bench.path("other")).unwrap();
    assert_eq!(bench.events(&text.replace("\"number\"", "\"other\"")), [""; 0], "moved");
    let gone = bench.events(&text);
    assert!(matches!(&*gone, [line] if line.starts_with("warned: ") && line.contains("gone")), "{gone:?}");
    fs::write(&path, "3").unwrap();
    assert_eq!(bench.events(&text), [""; 0], "back as it was first");
}

#[test]
fn a_file_that_changed_is_named_as_the_reason() {
    let bench = Bench::new();
    let text = experiment("", r#""f": File(path: "number"), "s": Scale(of: "f", by: 1)"#);
    let path = bench.path("number");
    fs::write(&path, "3").unwrap();
    bench.events(&text);
    // A run with nothing to do also stores the digest of the file.
    bench.events(&text);
    fs::write(&path, "4").unwrap();
    let reasons = reasons(&bench.run(&text).0);
    let fields = |reason: &Reason| match reason {
        Reason::Changed { changes, .. } => changes.iter().map(|change| change.field.clone()).collect(),
        _ => vec![],
    };
    assert_eq!(fields(&reasons[0].1).len(), 1, "{reasons:?}");
    assert!(fields(&reasons[0].1)[0].starts_with("inputs."), "{reasons:?}");
    assert_eq!(fields(&reasons[1].1), ["inputs.of.value"]);
}

#[test]
fn tasks_say_why_they_run() {
    let text = experiment(r#""x": [1, 2]"#, r#""n": Number(value: Axis("x")), "s": Scale(of: "n", by: 2)"#);
    let bench = Bench::new();
    let new = reasons(&bench.run(&text).0);
    assert_eq!(new.len(), 4);
    assert!(new.iter().all(|(_, reason)| *reason == Reason::New), "{new:?}");
    let changed = |changes: &[(&str, &str, &str)]| Reason::Changed {
        relative: "the same task in the last run".to_owned(),
        changes: changes
            .iter()
            .map(|(field, from, to)| Change {
                field: (*field).to_owned(),
                from: Some((*from).to_owned()),
                to: Some((*to).to_owned()),
            })
            .collect(),
    };
    let by = changed(&[("params.by", "2", "5")]);
    let edited = reasons(&bench.run(&text.replace("by: 2", "by: 5")).0);
    assert_eq!(edited, [("s(x=1)".to_owned(), by.clone()), ("s(x=2)".to_owned(), by)]);
    // A task that waited for its input also reports the change, in any order of the axes.
    let text = experiment(
        r#""y": [7], "x": [1]"#,
        r#""n": Number(value: Axis("x")), "s": Scale(of: "n", by: 5), "z": Number(value: Axis("y"))"#,
    );
    bench.events(&text);
    let edited =
        reasons(&bench.run(&text.replace("Axis(\"x\")", "Axis(\"y\")").replace(r#", "x": [1]"#, "")).0);
    assert_eq!(edited, [("s(y=7)".to_owned(), Reason::New)], "another point is another task");
    let text = experiment("", r#""n": Number(value: 1), "s": Scale(of: "n", by: 5)"#);
    bench.events(&text);
    let edited = reasons(&bench.run(&text.replace("value: 1", "value: 9")).0);
    assert_eq!(edited[0], ("n".to_owned(), changed(&[("params.value", "1", "9")])));
    assert!(
        matches!(&edited[1], (task, Reason::Changed { changes, .. }) if task == "s" && changes[0].field == "inputs.of.value")
    );
}

#[test]
fn an_optional_input_counts_only_where_it_is_read() {
    let text = |by: &str, value: i64| {
        let nodes = format!(
            r#""a": Number(value: 3), "b": Number(value: {value}), "s": Shift(of: "a", {by}use: Axis("use")), "t": Show(of: "s")"#
        );
        experiment(r#""use": [false, true]"#, &nodes)
    };
    let (bench, first) = (Bench::new(), text(r#"by: "b", "#, 4));
    let all =
        ["a = 3", "s(use=false) = 3", "t(use=false) = 3", "b = 4", "s(use=true) = 7", "t(use=true) = 7"];
    let mut found = bench.events(&first);
    let mut expected = all.map(str::to_owned).to_vec();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    // Another second input leaves the task that does not read it.
    assert_eq!(
        bench.events(&text(r#"by: "b", "#, 5)),
        ["b = 5", "s(use=true) = 8", "a rebuilt", "t(use=true) = 8"]
    );
    // Only the costly artifact is kept.
    let graph = bench.graph(&first);
    let kept: Vec<String> =
        graph.tasks().filter(|task| graph.keeps(*task)).map(|task| graph.name(task)).collect();
    assert_eq!(kept, ["s(use=true)"]);
    let inputs = graph.tasks().map(|task| graph.inputs(task).len()).collect::<Vec<_>>();
    assert_eq!(inputs, [0, 0, 1, 2, 1, 1]);
}

#[test]
fn an_optional_input_must_be_there_where_it_is_read_and_only_there() {
    let faults = |by: &str, uses: &str| -> Vec<String> {
        let nodes = format!(r#""a": Number(value: 3), "s": Shift(of: "a", {by}use: Axis("use"))"#);
        let text = experiment(&format!(r#""use": [{uses}]"#), &nodes);
        let faults = TaskGraph::parse(&text, &Arithmetic::default(), 100).err().unwrap_or_default();
        faults.into_iter().map(|fault| format!("{}; {}", fault.message, fault.hint)).collect()
    };
    assert_eq!(faults(r#"by: "a", "#, "false, true"), [""; 0]);
    assert_eq!(faults("", "false"), [""; 0]);
    assert_eq!(
        faults("", "false, true"),
        ["`Shift` with these fields reads `by`, which is not given; add `by: …`"]
    );
    assert_eq!(
        faults(r#"by: "a", "#, "false"),
        ["no task of `s` reads `by`; remove `by`, or let the node use it"]
    );
    let unknown = faults(r#"by: "z", "#, "true");
    assert!(unknown.len() == 1 && unknown[0].starts_with("there is no node `z`"), "{unknown:?}");
}

#[test]
fn an_op_that_reads_how_its_input_was_made_runs_for_each_way() {
    let bench = Bench::new();
    let text = |value: &str, by: &str| {
        experiment(
            "",
            &format!(
                r#""a": Number(value: {value}), "b": Scale(of: "a", by: {by}), "s": Show(of: "b", by_key: true), "t": Show(of: "b")"#
            ),
        )
    };
    let shown = |text: &str| -> Vec<String> {
        let mut lines = bench.events(text);
        lines.retain(|line| line.starts_with(['s', 't']));
        lines.sort();
        lines
    };
    assert_eq!(shown(&text("6", "2")), ["s = 12", "t = 12"]);
    assert_eq!(shown(&text("6", "2")), [""; 0]);
    // The same number, made otherwise.
    assert_eq!(shown(&text("3", "4")), ["s = 12", "t reused"]);
    assert_eq!(shown(&text("3", "4")), [""; 0]);
}
