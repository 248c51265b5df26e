//! The dashboard of the real binary on a pseudo-terminal: opened, used, left in every way, and interrupted by failures.

use std::process::Child;
use std::thread::sleep;
use std::time::Duration;

use crate::fixture::{Bench, TINY, wait_for};
use crate::terminal::Terminal;

/// Returns an experiment whose training does not end by itself.
fn endless() -> Bench {
    let bench = Bench::with(TINY);
    bench.edit("train: 200", "train: 2000");
    bench.edit("epochs: 1", "epochs: 100000");
    bench
}

/// Returns an experiment with six trainings of about a second each.
pub fn slow() -> Bench {
    let bench = Bench::with(TINY);
    bench.edit("\"seed\": [0, 1]", "\"seed\": Range(0, 5)");
    bench.edit("train: 200", "train: 2000");
    bench.edit("epochs: 1", "epochs: 120");
    bench
}

/// A run in another process, which is killed at the end of the test.
pub struct Background(pub Child);

impl Background {
    fn start(bench: &Bench) -> Self {
        let mut run = Self(bench.start());
        drop(wait_for(&mut run.0, |event| event["event"] == "progressed"));
        run
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn every_view_of_a_past_run_can_be_seen_and_used() {
    let bench = Bench::with(TINY);
    bench.run_well();
    let terminal = Terminal::open(&bench, 120, 40);
    terminal.run("fewbits watch");
    terminal.wait_for_dashboard();
    terminal.wait_for("the end", |text| text.contains("tiny: ✓ done"));
    let run = terminal.press("1", "progress, nodes");
    for node in ["mnist", "└ net", "├ full", "└ small", "└ accuracy"] {
        assert!(run.contains(node), "{node}\n{run}");
    }
    assert!(run.contains("✓ 13 done") && run.contains("13 tasks: 13 ran"), "{run}");
    terminal.press("2", "loss by epoch");
    terminal.press("3", "e          seed=0");
    terminal.press("p", "baseline: e=2 seed=0");
    terminal.press("\x1b[C", "e=2 seed=1: accuracy.accuracy");
    terminal.press("v", "every point");
    terminal.press("s", "sorted by accuracy.accuracy");
    terminal.press("/", "filter: _");
    terminal.press("e=3 seed>=1", "e=3 seed>=1_");
    let filtered = terminal.press("\r", "only e=3 seed>=1");
    assert_eq!(filtered.lines().filter(|line| line.starts_with("3  ")).count(), 1, "{filtered}");
    terminal.press("c", "sent to the terminal's clipboard");
    let copied = std::fs::read_to_string(bench.path("store/copied.tsv")).expect("the copy");
    assert!(copied.starts_with("e=3\tseed=1\taccuracy.accuracy="), "{copied}");
    assert_eq!(terminal.copied().len(), 1, "OSC 52");
    terminal.press("4", "on the front");
    terminal.press("b", "small.bytes");
    terminal.press("5", "13 tasks");
    terminal.press("/", "filter: _");
    terminal.send("node=net seed=1\r");
    let task =
        terminal.wait_for("a task", |text| text.contains("1 of 13 tasks") && text.contains("numerics"));
    assert!(task.contains("it ran because it is new") && task.contains("epochs: 1"), "{task}");
    terminal.press("6", "runs: 1");
    terminal.press("?", "next view");
    terminal.press("\x1b", "keys closed");
    terminal.send("q");
    assert_eq!(terminal.wait_for_shell(), 0);
    let left = terminal.scrollback();
    assert!(left.contains("tiny: 13 tasks: 13 ran, 0 cached") && left.contains("best of `pareto`"), "{left}");
}

#[test]
fn a_run_that_nobody_touches_leaves_by_itself_with_its_results() {
    let bench = slow();
    let terminal = Terminal::open(&bench, 100, 30);
    terminal.run("fewbits run x.ron");
    terminal.wait_for_dashboard();
    assert_eq!(terminal.wait_for_shell(), 0);
    let left = terminal.scrollback();
    for text in ["tradeoff: accuracy.accuracy", "37 tasks: 37 ran, 0 cached, 0 failed", "best of `pareto`"] {
        assert!(left.contains(text), "{text}\n{left}");
    }
    // If all tasks are cached, no dashboard opens.
    terminal.clear();
    terminal.run("fewbits run x.ron; echo over");
    let again = terminal.wait_for("the end", |text| text.contains("\nover\n"));
    assert!(again.contains("tradeoff: accuracy.accuracy"), "{again}");
}

#[test]
fn the_list_of_runs_notices_new_runs_while_it_is_looked_at() {
    let bench = Bench::with(TINY);
    bench.run_well();
    let terminal = Terminal::open(&bench, 120, 40);
    terminal.run("fewbits watch");
    terminal.wait_for_dashboard();
    terminal.press("6", "runs: 1");
    bench.edit("epochs: 1", "epochs: 2");
    bench.run_well();
    terminal.wait_for("the new run", |text| text.contains("runs: 2"));
    terminal.wait_for("its end", |text| text.matches("13 tasks: ").count() == 2);
    terminal.send("q");
    assert_eq!(terminal.wait_for_shell(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_watcher_that_is_told_to_end_leaves_the_terminal_and_says_that_it_was_interrupted() {
    let bench = Bench::with(TINY);
    bench.run_well();
    let terminal = Terminal::open(&bench, 100, 30);
    terminal.run("fewbits watch");
    terminal.wait_for_dashboard();
    terminal.wait_for("the end", |text| text.contains("tiny: ✓ done"));
    // The time limit for closing starts at the signal, even if the dashboard was open for longer before.
    sleep(Duration::from_millis(2500));
    let other = Terminal::open(&bench, 80, 24);
    other.send(&format!("kill -TERM {}\r", terminal.front()));
    assert_eq!(terminal.wait_for_shell(), 130, "{}", terminal.scrollback());
}

#[test]
fn another_process_watches_a_run_and_leaves_it_alone() {
    let bench = endless();
    let mut run = Background::start(&bench);
    let terminal = Terminal::open(&bench, 100, 30);
    terminal.run("fewbits watch");
    terminal.wait_for_dashboard();
    let epoch = |text: &str| -> Option<u32> {
        let rest = text.split("epoch ").nth(1)?;
        rest.split('/').next()?.parse().ok()
    };
    let first = terminal.wait_for("an epoch", |text| epoch(text).is_some());
    terminal.wait_for("more epochs", |text| epoch(text) > epoch(&first));
    terminal.press("2", "loss by epoch");
    terminal.press("6", "going on");
    terminal.send("q");
    assert_eq!(terminal.wait_for_shell(), 0);
    assert!(terminal.scrollback().contains("tiny: the run goes on"), "{}", terminal.scrollback());
    assert!(run.0.try_wait().expect("the run").is_none(), "the run ended");
    // A killed run writes no further event, and the watching dashboard reports that.
    terminal.run("fewbits watch");
    terminal.wait_for_dashboard();
    run.0.kill().expect("kill");
    run.0.wait().expect("the run");
    terminal.wait_for("the news", |text| text.contains("its process is gone"));
    terminal.send("q");
    assert_eq!(terminal.wait_for_shell(), 0);
    let lines = bench.fewbits(["watch"]);
    assert!(lines.stdout.contains("net(seed=0) started"), "{lines:?}");
    assert!(lines.stderr.contains("the run did not finish"), "{lines:?}");
}

#[test]
fn a_run_can_be_left_in_every_way() {
    let bench = slow();
    let terminal = Terminal::open(&bench, 100, 30);
    let open = || {
        terminal.clear();
        terminal.run("fewbits run x.ron --jobs 1");
        terminal.wait_for_dashboard();
        terminal.wait_for("a training", |text| text.contains("▶ net("));
        terminal.press("q", "how shall the run go on?");
    };
    open();
    terminal.press("\x1b", "the run goes on");
    terminal.press("q", "stop after the running tasks");
    terminal.press("a", "after");
    assert_eq!(terminal.wait_for_shell(), 130);
    let after = bench.stdout(["plan", "x.ron"]);
    assert!(!after.contains(": 0 cached"), "what was running counts: {after}");
    open();
    terminal.send("n");
    assert_eq!(terminal.wait_for_shell(), 130);
    assert!(terminal.text().contains(" skipped in "), "{}", terminal.text());
    open();
    terminal.send("l");
    terminal.wait_for("lines", |text| {
        text.contains("] net(seed=") && text.contains("epoch") || text.contains("] full(")
    });
    assert!(!terminal.is_raw());
    terminal.send("\x03");
    assert_eq!(terminal.wait_for_shell(), 130);
    open();
    terminal.send("d");
    terminal.wait_for("the other process", |text| text.contains("the run goes on as process"));
    assert_eq!(terminal.wait_for_shell(), 0);
    // The other process finishes the run, and no result is lost.
    terminal.wait_for("its end", |_| {
        sleep(Duration::from_millis(200));
        bench.stdout(["runs"]).lines().last().is_some_and(|line| line.contains("0 failed, 0 skipped"))
    });
    assert!(bench.stdout(["plan", "x.ron"]).contains("37 tasks: 37 cached"));
}

#[test]
fn the_terminal_is_sane_after_signals() {
    for signal in ["TERM", "INT", "HUP"] {
        let bench = endless();
        let terminal = Terminal::open(&bench, 100, 30);
        terminal.run("fewbits run x.ron");
        terminal.wait_for_dashboard();
        terminal.wait_for("a training", |text| text.contains("▶ net("));
        terminal.press("3", "tradeoff");
        let other = Terminal::open(&bench, 80, 24);
        other.send(&format!("kill -{signal} $(sed -n 's/pid //p' store/lock)\r"));
        assert_eq!(terminal.wait_for_shell(), 130, "{signal}");
        assert!(terminal.scrollback().contains("0 failed"), "{}", terminal.scrollback());
    }
}

#[test]
fn the_second_interrupt_ends_at_once_and_the_terminal_is_sane() {
    let bench = endless();
    let terminal = Terminal::open(&bench, 100, 30);
    terminal.run("fewbits run x.ron");
    terminal.wait_for_dashboard();
    terminal.wait_for("a training", |text| text.contains("▶ net("));
    terminal.send("\x03\x03");
    assert_eq!(terminal.wait_for_shell(), 130);
}

#[test]
fn a_panic_in_an_op_leaves_the_terminal_sane_and_names_the_task() {
    let bench = Bench::with(TINY);
    let terminal = Terminal::open(&bench, 100, 30);
    terminal.run("FEWBITS_PANIC_IN=evaluate fewbits run x.ron");
    assert_eq!(terminal.wait_for_shell(), 1);
    let left = terminal.scrollback();
    assert!(left.contains("full(seed=0) failed: a fault in fewbits itself (asked for by a test)"), "{left}");
    assert!(left.contains("13 tasks: 7 ran"), "{left}");
    assert!(left.contains("failed tasks are not kept: the next `run` runs them again"), "{left}");
}

#[test]
fn a_panic_in_the_dashboard_leaves_the_run_alone() {
    let bench = slow();
    let terminal = Terminal::open(&bench, 100, 30);
    terminal.run("FEWBITS_PANIC_IN=dashboard fewbits run x.ron");
    terminal.wait_for_dashboard();
    terminal.send("j");
    terminal.wait_for("lines", |text| text.contains("please report it") && text.contains("] "));
    assert_eq!(terminal.wait_for_shell(), 0);
    assert!(terminal.scrollback().contains("37 tasks: 37 ran"), "{}", terminal.scrollback());
}

#[test]
fn the_shell_gets_the_terminal_back_for_a_while() {
    let bench = endless();
    let terminal = Terminal::open(&bench, 100, 30);
    terminal.run("fewbits run x.ron");
    terminal.wait_for_dashboard();
    terminal.wait_for("a training", |text| text.contains("▶ net("));
    terminal.send("\x1a");
    // The shell names the stopped job, and the exit code is that of a stopped process.
    assert!(terminal.wait_for_shell() > 128);
    assert!(!terminal.is_raw());
    terminal.send("fg\r");
    terminal.wait_for_dashboard();
    terminal.press("5", "everything about one task");
    assert!(terminal.is_raw());
    terminal.press("q", "how shall the run go on?");
    terminal.send("n");
    assert_eq!(terminal.wait_for_shell(), 130);
}

#[test]
fn sizes_may_change_like_a_storm() {
    let bench = Bench::with(TINY);
    bench.run_well();
    let terminal = Terminal::open(&bench, 120, 40);
    terminal.run("fewbits watch");
    terminal.wait_for_dashboard();
    for (at, view) in "123456".chars().cycle().take(60).enumerate() {
        let at = at as u16;
        terminal.send(&view.to_string());
        terminal.resize(1 + at * 47 % 299, 1 + at * 31 % 69);
        sleep(Duration::from_millis(3));
    }
    terminal.resize(100, 30);
    terminal.wait_for("the last size", |text| text.starts_with(" 1 Run  2 Training"));
    terminal.press("1", "13 tasks: 13 ran");
    terminal.send("q");
    assert_eq!(terminal.wait_for_shell(), 0);
}

#[test]
fn where_there_is_no_terminal_watching_is_lines() {
    let bench = Bench::with(TINY);
    let none = bench.fewbits(["watch"]);
    assert_eq!(none.code, Some(1), "{none:?}");
    assert!(none.stderr.contains("no run yet"), "{none:?}");
    let told = bench.run_well();
    let lines = bench.stdout(["watch"]);
    assert!(lines.contains("13 tasks: 13 ran, 0 cached, 0 failed, 0 skipped"), "{lines}");
    let json = bench.stdout(["watch", "--ui", "json"]);
    assert_eq!(crate::fixture::events(&json), told.events, "what was told is what is replayed");
    let wrong = bench.fewbits(["watch", "1999"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.stderr.contains("there is no run `1999`"), "{wrong:?}");
    assert_eq!(bench.fewbits(["watch", "--speed", "0"]).code, Some(2));
}

#[test]
fn a_past_run_can_be_replayed_and_compared_with() {
    let bench = Bench::with(TINY);
    bench.run_well();
    bench.edit("epochs: 1", "epochs: 2");
    bench.run_well();
    let terminal = Terminal::open(&bench, 120, 40);
    terminal.run("fewbits watch --speed 1000");
    terminal.wait_for_dashboard();
    terminal.wait_for("the end", |text| text.contains("tiny: ✓ done"));
    terminal.press("5", "13 tasks");
    terminal.press("j", "epochs: 1 → 2");
    terminal.press("6", "runs: 2");
    terminal.send("jp");
    let compared = terminal.wait_for("a comparison", |text| text.contains("in 2 tasks"));
    assert!(compared.contains("net: epochs: 1 → 2"), "{compared}");
    terminal.press("3", "differences from run");
    terminal.press("6", "baseline");
    terminal.send("\r");
    terminal.wait_for("the first run", |text| text.contains("of tiny; ? shows the keys"));
    terminal.send("q");
    assert_eq!(terminal.wait_for_shell(), 0);
}

#[test]
fn tables_hold_what_was_cached_whatever_was_looked_at_before() {
    let bench = Bench::with(TINY);
    bench.run_well();
    bench.edit("\"seed\": [0, 1]", "\"seed\": [0, 1, 2]");
    bench.run_well();
    let terminal = Terminal::open(&bench, 120, 40);
    terminal.run("fewbits watch");
    terminal.wait_for_dashboard();
    terminal.press("5", "19 tasks");
    // The record of a cached task is read before the table is made.
    terminal.press("j", "computed in");
    let table = terminal.press("3", "e          seed=0");
    assert!(!table.contains("not there yet"), "{table}");
    assert!(!table.contains('…'), "{table}");
    terminal.send("q");
    assert_eq!(terminal.wait_for_shell(), 0);
}

#[test]
fn a_terminal_that_goes_away_takes_nothing_with_it() {
    let bench = endless();
    let mut terminal = Terminal::open(&bench, 100, 30);
    terminal.run("fewbits run x.ron");
    terminal.wait_for_dashboard();
    terminal.wait_for("a training", |text| text.contains("▶ net("));
    terminal.close();
    // The process ends by itself and releases the store.
    let start = std::time::Instant::now();
    loop {
        let runs = bench.stdout(["runs"]);
        if runs.contains("skipped in") {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{runs}");
        sleep(Duration::from_millis(50));
    }
    bench.edit("epochs: 100000", "epochs: 1");
    let start = std::time::Instant::now();
    while bench.run().code == Some(3) {
        assert!(start.elapsed() < Duration::from_secs(10), "the store is still in use");
        sleep(Duration::from_millis(50));
    }
}
