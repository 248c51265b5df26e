//! Dashboards that are left open: they sleep until there is a reason to wake, and then they wake. Reads `/proc`.

use std::fs::read_to_string;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use crate::dashboard::{Background, slow};
use crate::fixture::{Bench, TINY, files, wait_for};
use crate::terminal::Terminal;

/// What a process took: how often its threads went to sleep, and ticks of the processor, a hundred a second.
#[derive(Clone, Copy, Debug)]
struct Usage {
    sleeps: u64,
    ticks: u64,
}

impl Usage {
    fn of(process: u32) -> Self {
        let read = |path: String| read_to_string(&path).expect(&path);
        let stat = read(format!("/proc/{process}/stat"));
        let fields: Vec<&str> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
        let number = |text: &str| text.trim().parse::<u64>().expect(text);
        let ticks = number(fields[11]) + number(fields[12]);
        let mut sleeps = 0;
        for thread in files(Path::new(&format!("/proc/{process}/task"))) {
            let status = read(format!("{}/status", thread.display()));
            let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            sleeps += number(line.expect("a count"));
        }
        Self { sleeps, ticks }
    }

    /// Returns what a process takes in so many seconds.
    fn during(process: u32, seconds: u64) -> Self {
        let before = Self::of(process);
        sleep(Duration::from_secs(seconds));
        let after = Self::of(process);
        // Threads that end take their count with them.
        Self { sleeps: after.sleeps.saturating_sub(before.sleeps), ticks: after.ticks - before.ticks }
    }
}

#[test]
fn a_dashboard_that_is_left_open_after_the_end_sleeps() {
    let bench = slow();
    bench.edit("Range(0, 5)", "[0, 1]");
    let terminal = Terminal::open(&bench, 120, 40);
    terminal.run("fewbits run x.ron");
    terminal.wait_for_dashboard();
    terminal.press("j", "node");
    terminal.wait_for("the end", |text| text.contains("the run is over"));
    // What the end brings with it is drawn by then.
    sleep(Duration::from_secs(2));
    let usage = Usage::during(terminal.front(), 4);
    assert!(usage.sleeps <= 8 && usage.ticks <= 4, "it wakes without a reason: {usage:?} in 4 s");
    // Asleep, it hears keys and notices another size.
    terminal.press("3", "e\\seed");
    terminal.resize(90, 30);
    // The line of keys is the last of the screen: on 30 lines only after the dashboard has drawn itself anew.
    terminal
        .wait_for("the other size", |text| text.lines().nth(29).is_some_and(|line| line.contains("? keys")));
    terminal.press("1", "13 tasks: 13 ran");
    // More than crossterm reads at once, and the last key counts.
    terminal.press(&format!("{}6", "j".repeat(3000)), "runs: 1");
    let usage = Usage::during(terminal.front(), 2);
    assert!(usage.sleeps <= 20, "nothing is left unread: {usage:?} in 2 s");
    terminal.send("q");
    assert_eq!(terminal.wait_for_shell(), 0);
}

#[test]
fn keys_come_from_the_terminal_where_standard_input_is_none() {
    let bench = Bench::with(TINY);
    bench.run_well();
    let terminal = Terminal::open(&bench, 120, 40);
    terminal.run("fewbits watch --ui tui < /dev/null");
    terminal.wait_for_dashboard();
    terminal.wait_for("the end", |text| text.contains("tiny: ✓ done"));
    terminal.press("6", "runs: 1");
    terminal.press("1", "13 tasks: 13 ran");
    sleep(Duration::from_secs(1));
    let usage = Usage::during(terminal.front(), 2);
    assert!(usage.sleeps <= 8 && usage.ticks <= 4, "{usage:?} in 2 s");
    terminal.send("q");
    assert_eq!(terminal.wait_for_shell(), 0);
}

#[test]
fn a_dashboard_waits_for_a_long_training_nearly_asleep() {
    let bench = Bench::with(TINY);
    // An epoch takes longer than the test.
    bench.edit("train: 200", "train: 8000");
    bench.edit("hidden: [8]", "hidden: [4096, 4096]");
    bench.edit("epochs: 1", "epochs: 1000");
    let mut run = Background(bench.start());
    drop(wait_for(&mut run.0, |event| event["event"] == "started" && event["task"] == "net(seed=0)"));
    let terminal = Terminal::open(&bench, 120, 40);
    terminal.run("fewbits watch");
    terminal.wait_for_dashboard();
    terminal.wait_for("the training", |text| text.contains("▶ net(seed=0)"));
    sleep(Duration::from_secs(3));
    let usage = Usage::during(terminal.front(), 4);
    assert!(usage.sleeps <= 60, "the journal is looked at four times a second: {usage:?} in 4 s");
    // The clock still moves, and what is new is still seen.
    let seconds = |text: &str| {
        text.split(" so far").next().and_then(|text| text.rsplit("tasks  ").next()).map(str::to_owned)
    };
    let before = seconds(&terminal.text());
    terminal.wait_for("another second", |text| seconds(text) != before);
    run.0.kill().expect("kill");
    run.0.wait().expect("the run");
    terminal.wait_for("the news", |text| text.contains("its process is gone"));
    let usage = Usage::during(terminal.front(), 3);
    assert!(usage.sleeps <= 8, "a run whose process is gone has no news: {usage:?} in 3 s");
    terminal.send("q");
    assert_eq!(terminal.wait_for_shell(), 0);
}
