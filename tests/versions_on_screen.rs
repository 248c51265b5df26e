//! `run --watch` on a terminal: the dashboard follows the file.

use std::time::Duration;

use crate::fixture::{Bench, TINY};
use crate::terminal::Terminal;

#[test]
fn the_dashboard_follows_the_file() {
    let bench = Bench::with(TINY);
    let terminal = Terminal::open(&bench, 110, 40);
    terminal.run("fewbits run x.ron --watch");
    terminal.wait_for_dashboard();
    terminal.wait_for("the end", |text| text.contains("saving the file runs the edit"));
    terminal.press("3", "e          seed=0");
    terminal.press("\x1b[C", "e=2 seed=1: accuracy.accuracy");
    // An edit keeps the table and the cell.
    bench.edit("\"e\": [2, 3]", "\"e\": [1, 2, 3]");
    let edited = terminal.wait_for("the edit", |text| text.contains("small: 6 tasks, 4 cached, 2 to run"));
    assert!(edited.contains("edit of tiny:"), "{edited}");
    terminal.wait_for("the end", |text| text.contains("17 tasks: 4 ran, 13 cached"));
    terminal.press("\x1b[C", "e=2 seed=1: accuracy.accuracy");
    // A fault has its place, and the table stays.
    bench.edit("epochs: 1", "epochs: one");
    let faulty = terminal.wait_for("the fault", |text| text.contains("^^^"));
    assert!(faulty.contains("error: ") && faulty.contains("e          seed=0"), "{faulty}");
    terminal.press("\x1b", "the notice is closed");
    terminal.wait_for("what stays", |text| text.contains("the file has faults") && !text.contains("^^^"));
    terminal.press("r", "^^^");
    bench.edit("epochs: one", "epochs: 2");
    terminal.wait_for("the edit", |text| text.contains("net: 2 tasks, 0 cached, 2 to run: epochs: 1 → 2"));
    terminal.wait_for("the end", |text| text.contains("saving the file runs the edit"));
    // The version before as baseline: the edit as differences. Then back to it, and forth.
    terminal.press("B", "differences from run");
    terminal.press("u", "17 tasks: 0 ran, 17 cached");
    terminal.wait_for("where we are", |text| {
        text.contains("version 2 of 3, not what the file says: r runs the newest")
    });
    terminal.wait_for("the notice", |text| text.contains("every result is there"));
    terminal.press("\x1b", "the notice is closed");
    terminal.press("r", "every result is there");
    terminal.send("q");
    let text = terminal.wait_for("the tables", |text| text.contains("17 tasks: 0 ran, 17 cached"));
    assert!(text.contains("seed=0"), "{text}");
    assert_eq!(terminal.wait_for_shell(), 0);
}

#[test]
fn an_edit_waits_for_consent() {
    let bench = Bench::with(TINY);
    bench.run_well();
    let terminal = Terminal::open(&bench, 110, 40);
    terminal.run("fewbits run x.ron --watch --ask");
    terminal.wait_for_dashboard();
    terminal.wait_for("the end", |text| text.contains("saving the file runs the edit"));
    bench.edit("epochs: 1", "epochs: 2");
    let waits = terminal
        .wait_for("the question", |text| text.contains("an edit of the file waits: r runs it, u drops it"));
    assert!(waits.contains("net: 2 tasks, 0 cached, 2 to run: epochs: 1 → 2"), "{waits}");
    terminal.press("r", "13 tasks: 12 ran, 1 cached");
    // What is cached needs no consent.
    bench.edit("epochs: 2", "epochs: 1");
    terminal.wait_for("the edit", |text| text.contains("every result is there"));
    terminal.send("q");
    assert_eq!(terminal.wait_for_shell(), 0);
    let ended = bench.fewbits(["run", "x.ron", "--watch", "--ask", "--ui", "plain"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("--ask waits for a key of the dashboard"), "{ended:?}");
}

#[test]
fn back_and_forth_in_a_hurry_and_a_dropped_edit() {
    let bench = Bench::with(TINY);
    bench.run_well();
    let terminal = Terminal::open(&bench, 110, 40);
    terminal.run("fewbits run x.ron --watch --ask=1h");
    terminal.wait_for_dashboard();
    terminal.wait_for("the end", |text| text.contains("saving the file runs the edit"));
    terminal.press("u", "there is no version before");
    // Less than an hour needs no consent.
    bench.edit("\"e\": [2, 3]", "\"e\": [2, 3, 4]");
    terminal.wait_for("the end", |text| text.contains("17 tasks: 4 ran, 13 cached"));
    // Versions with nothing to do take less than a millisecond each.
    for _ in 0..15 {
        terminal.send("ur");
    }
    terminal.send("q");
    assert_eq!(terminal.wait_for_shell(), 0);
    terminal.clear();
    terminal.run("fewbits run x.ron --watch --ask");
    terminal.wait_for_dashboard();
    terminal.wait_for("the end", |text| text.contains("saving the file runs the edit"));
    bench.edit("epochs: 1", "epochs: 2");
    terminal.wait_for("the question", |text| text.contains("this edit waits"));
    terminal.press("u", "the edit is dropped");
    terminal
        .wait_for("what stays", |text| text.contains("the file keeps the edit that was dropped: r runs it"));
    // What is saved without a change is no version, and takes the notice away.
    bench.edit("epochs: 2", "epochs: 3");
    terminal.wait_for("the question", |text| text.contains("this edit waits"));
    bench.edit("epochs: 3", "epochs: 1");
    terminal.wait_for("no notice", |text| !text.contains("this edit waits"));
    terminal.send("q");
    assert_eq!(terminal.wait_for_shell(), 0);
}

#[test]
fn a_run_that_follows_its_file_can_go_on_in_the_background() {
    let bench = crate::dashboard::slow();
    let terminal = Terminal::open(&bench, 110, 40);
    terminal.run("fewbits run x.ron --watch");
    terminal.wait_for_dashboard();
    terminal.wait_for("a training", |text| text.contains("epoch"));
    bench.edit("\"e\": [2, 3]", "\"e\": [3]");
    terminal.wait_for("the edit", |text| text.contains("edit of tiny"));
    terminal.press("q", "how shall the run go on?");
    let start = std::time::Instant::now();
    terminal.send("d");
    assert_eq!(terminal.wait_for_shell(), 0);
    assert!(start.elapsed() < Duration::from_secs(10), "the store is free at once: {:?}", start.elapsed());
    let text = terminal.scrollback();
    assert!(text.contains("the run goes on as process"), "{text}");
    // The background run has the edited text: the value that the edit took away never ran.
    bench.stdout(["run", "x.ron", "--wait", "--quiet"]);
    bench.edit("\"e\": [3]", "\"e\": [2, 3]");
    let plan = bench.stdout(["plan", "x.ron", "--all"]);
    let to_run = |value: &str| plan.lines().filter(|line| line.contains(&format!("e={value})"))).count();
    assert!(to_run("3") == 0 && to_run("2") > 0, "{plan}");
}
