//! Idle dashboards: they sleep until there is an update, and wake for it. These tests read `/proc`.

use std::fs::read_to_string;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use crate::dashboard::{Background, slow};
use crate::fixture::{Bench, TINY, files, wait_for};
use crate::terminal::Terminal;

/// The resources that a process used: the voluntary context switches of its threads, and processor time in ticks, 100
/// per second.
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

    /// Returns the resources that a process uses during this many seconds.
    fn during(process: u32, seconds: u64) -> Self {
        let before = Self::of(process);
        sleep(Duration::from_secs(seconds));
        let after = Self::of(process);
        // The total can fall, because the count of a thread disappears when the thread ends.
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
    // After two seconds, the frames that the end of the run causes are drawn.
    sleep(Duration::from_secs(2));
    let usage = Usage::during(terminal.front(), 4);
    assert!(usage.sleeps <= 8 && usage.ticks <= 4, "it wakes without a reason: {usage:?} in 4 s");
    // The sleeping dashboard reacts to keys and to a resize.
    terminal.press("3", "e          seed=0");
    terminal.resize(90, 30);
    // The key hints are on the last line of the screen: on line 30 only after a redraw at the new size.
    terminal
        .wait_for("the other size", |text| text.lines().nth(29).is_some_and(|line| line.contains("? keys")));
    terminal.press("1", "13 tasks: 13 ran");
    // The input is longer than one read of crossterm, and its last key must still arrive.
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
    // One epoch takes longer than the test.
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
    // The elapsed time still advances, and the end of the process is still noticed.
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
