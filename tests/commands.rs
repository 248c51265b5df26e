//! The rest of the command line: plain progress, JSON events, escape codes, and wrong usage.

use std::collections::BTreeSet;
use std::fs;

use crate::fixture::{Bench, TINY, end, events};

#[test]
fn plain_progress_counts_up_to_the_summary() {
    let bench = Bench::with(TINY);
    let told = bench.fewbits(["run", "x.ron", "--jobs", "1"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    let lines: Vec<&str> = told.stderr.lines().collect();
    assert_eq!(lines[0], "tiny: 13 tasks, 0 cached, 1 to run, 12 waiting for their inputs");
    assert!(lines.iter().any(|line| line.starts_with("[13/13] ")), "{}", told.stderr);
    assert!(lines.iter().any(|line| line.contains("net(seed=0) 1/1 ")), "{}", told.stderr);
    assert!(lines[lines.len() - 1].starts_with("13 tasks: 13 ran, 0 cached, 0 failed, 0 skipped in "));
    assert!(told.stdout.contains("tradeoff"), "{}", told.stdout);
}

#[test]
fn quiet_leaves_the_tables_alone() {
    let bench = Bench::with(TINY);
    let told = bench.fewbits(["run", "x.ron", "--quiet"]);
    assert_eq!((told.code, told.stderr.as_str()), (Some(0), ""));
    assert!(told.stdout.contains("tradeoff"), "{}", told.stdout);
}

#[test]
fn nothing_but_a_terminal_gets_escape_codes() {
    let bench = Bench::with(TINY);
    for arguments in [["run", "x.ron"], ["plan", "x.ron"], ["table", "x.ron"], ["check", "missing.ron"]] {
        let mut command = bench.command(arguments);
        command.env_remove("NO_COLOR").env("TERM", "xterm-256color").env("COLORTERM", "truecolor");
        let told = end(&mut command);
        assert!(!told.stdout.contains('\u{1b}') && !told.stderr.contains('\u{1b}'), "{told:?}");
    }
    bench.write("bad.ron", "Experiment(");
    let mut command = bench.command(["check", "bad.ron"]);
    assert!(!end(command.env_remove("NO_COLOR")).stderr.contains('\u{1b}'));
    let colored = bench.fewbits(["check", "bad.ron", "--color", "always"]);
    assert!(colored.stderr.contains('\u{1b}'), "{colored:?}");
}

#[test]
fn names_from_a_file_do_nothing_to_the_terminal() {
    let bench = Bench::with(TINY);
    bench.edit("\"tiny\"", "\"\\u{1b}[31mred\"");
    for command in ["run", "plan", "check", "table"] {
        let told = bench.fewbits([command, "x.ron"]);
        assert!(!told.stdout.contains('\u{1b}') && !told.stderr.contains('\u{1b}'), "{command}: {told:?}");
    }
}

#[test]
fn the_last_line_of_json_is_the_summary() {
    let bench = Bench::with(TINY);
    let told = bench.run_well();
    let last = told.events.last().expect("a line").as_object().expect("an object");
    let names: Vec<&str> = last.keys().map(String::as_str).collect();
    assert_eq!(names, ["event", "tasks", "ran", "cached", "failed", "skipped", "seconds"]);
    let [tasks, ran, cached, failed, skipped] = told.counts();
    assert_eq!(tasks, ran + cached + failed + skipped);
    assert_eq!(told.stderr, "");
    assert!(last["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0));
}

#[test]
fn at_no_event_do_more_tasks_run_than_there_are_jobs() {
    let bench = Bench::with(TINY);
    // Each task computes for a fraction of the time that writing its result takes.
    bench.edit("\"e\": [2, 3]", "\"e\": Range(1, 8), \"m\": Range(0, 6)");
    bench.edit("m: 2", "m: Axis(\"m\")");
    bench.edit("rows: [\"e\"]", "rows: [\"e\", \"m\"]");
    let ended = bench.fewbits(["run", "x.ron", "--ui", "json", "--jobs", "2"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let (mut running, mut saving, mut most) = (BTreeSet::new(), BTreeSet::new(), 0);
    for event in events(&ended.stdout) {
        let task = event["task"].as_str().unwrap_or_default().to_owned();
        match event["event"].as_str() {
            Some("started") => assert!(running.insert(task), "{event}"),
            Some("computed") => assert!(running.remove(&task) && saving.insert(task), "{event}"),
            Some("completed") => assert!(saving.remove(&task), "{event}"),
            _ => {}
        }
        most = most.max(running.len());
        assert!(running.len() <= 2, "{running:?}");
    }
    assert_eq!((running.len(), saving.len(), most), (0, 0, 2));
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let bench = Bench::with(TINY);
    let check = |arguments: &[&str], words: &str| {
        let told = bench.fewbits(arguments);
        assert_eq!(told.code, Some(2), "{arguments:?}: {told:?}");
        assert!(told.stderr.contains(words) && told.stdout.is_empty(), "{arguments:?}: {told:?}");
    };
    check(&["rnu", "x.ron"], "run");
    check(&["run"], "FILE");
    check(&["run", "x.ron", "--jobs", "0"], "--jobs");
    check(&["run", "nowhere.ron"], "nowhere.ron: ");
    check(&["run", "."], ".: ");
    check(&["data", "fetch", "imagenet"], "mnist, fashion-mnist and cifar10");
    bench.write("binary.ron", [0x80, 0xfe, 0x00]);
    check(&["check", "binary.ron"], "not a text file in UTF-8; save it as UTF-8");
    // PowerShell's `>` writes UTF-16 with a byte-order mark.
    bench.write(
        "wide.ron",
        TINY.encode_utf16().fold(vec![0xff, 0xfe], |mut bytes, unit| {
            bytes.extend(unit.to_le_bytes());
            bytes
        }),
    );
    check(&["check", "wide.ron"], "a text file in UTF-16; save it as UTF-8");
}

#[test]
fn a_command_without_the_results_that_it_needs_fails_with_1() {
    let bench = Bench::with(TINY);
    for arguments in [
        &["choose", "x.ron"][..],
        &["plot", "x.ron", "pareto", "-o", "x.svg"],
        &["plot", "x.ron", "net", "-o", "x.svg"],
        &["weights", "x.ron", "net(seed=0)", "-o", "x.npz"],
        &["store", "export", "-o", "x.fbx"],
        &["watch"],
    ] {
        let ended = bench.fewbits(arguments);
        assert_eq!(ended.code, Some(1), "{arguments:?}: {ended:?}");
        assert!(
            ended.stderr.contains("yet") || ended.stdout.contains("no results"),
            "{arguments:?}: {ended:?}"
        );
    }
    // A list of what is known is empty, and no error.
    for arguments in [&["table", "x.ron"][..], &["cite", "x.ron"], &["runs"], &["store", "info"]] {
        assert_eq!(bench.fewbits(arguments).code, Some(0), "{arguments:?}");
    }
}

#[test]
fn a_layout_keeps_comments_and_keys() {
    let bench = Bench::with(TINY);
    bench.run_well();
    // Another layout of the same experiment.
    let other = TINY
        .replace("    ", " ")
        .replace(", ", ",")
        .replace("\"seed\": [0,1],", "\"seed\":[0,1,], // both\n\n\n");
    bench.write("x.ron", &other);
    let checked = bench.fewbits(["fmt", "--check", "x.ron"]);
    assert_eq!(
        (checked.code, checked.stdout.as_str()),
        (Some(1), "x.ron: would be laid out\n"),
        "{checked:?}"
    );
    assert_eq!(fs::read_to_string(bench.path("x.ron")).expect("the file"), other);
    assert_eq!(bench.stdout(["fmt", "x.ron"]), "x.ron: laid out\n");
    let laid = fs::read_to_string(bench.path("x.ron")).expect("the file");
    assert!(laid.contains("\n        \"seed\": [0, 1],  // both\n\n        \"e\":    [2, 3],\n"), "{laid}");
    assert_eq!(bench.stdout(["fmt", "x.ron"]), "");
    bench.fewbits(["fmt", "--check", "x.ron"]).code.filter(|code| *code == 0).expect("laid out");
    assert_eq!(bench.run_well().count("ran"), 0);
    // A mistake of syntax is told at its place, and no file is written.
    bench.write("y.ron", "Experiment(name: \"y\" nodes: {})");
    bench.write("z.ron", &other);
    let ended = bench.fewbits(["fmt", "z.ron", "y.ron"]);
    assert!(ended.code == Some(2) && ended.stderr.contains("y.ron:1:"), "{ended:?}");
    assert_eq!(fs::read_to_string(bench.path("z.ron")).expect("the file"), other);
}
