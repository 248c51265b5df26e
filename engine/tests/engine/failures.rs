//! Failures: a failed task affects only the tasks that depend on it.

use std::fs;
use std::sync::Mutex;

use fewbits_engine::event::Event;
use fewbits_engine::reason::Reason;
use fewbits_engine::run::coordinator::RunError;
use fewbits_engine::run::halt::Halt;
use tokio::sync::watch;

use crate::bench::{Bench, experiment, lines, reasons};

const FAILING: &str = r#"
    "n": Number(value: Axis("x")), "f": Fail(of: "n", when: 2), "s": Show(of: "f"), "t": Show(of: "n", offset: 1),
"#;

#[test]
fn a_failure_skips_its_dependents_and_the_others_go_on() {
    let text = experiment(r#""x": [1, 2, 3]"#, FAILING);
    let bench = Bench::new();
    let expected = [
        "n(x=1) = 1",
        "f(x=1) = 1",
        "s(x=1) = 1",
        "t(x=1) = 2",
        "n(x=2) = 2",
        "started f(x=2)",
        "f(x=2) failed: 2 is too large",
        "s(x=2) skipped: f(x=2)",
        "t(x=2) = 3",
        "n(x=3) = 3",
        "started f(x=3)",
        "f(x=3) failed: 3 is too large",
        "s(x=3) skipped: f(x=3)",
        "t(x=3) = 4",
    ];
    assert_eq!(bench.events(&text), expected);
    // Failures are not recorded, but results are. The artifacts of `n(x=2)` and `n(x=3)` are made again for the tasks
    // that failed.
    assert_eq!(bench.summary(&text), [0, 8, 2, 2]);
    assert_eq!(bench.summary(&text.replace("when: 2", "when: 5")), [5, 7, 0, 0]);
}

#[test]
fn fail_fast_starts_nothing_more() {
    let mut bench = Bench::new();
    bench.fail_fast = true;
    let text = experiment(r#""x": [1, 2, 3]"#, FAILING);
    assert_eq!(bench.summary(&text), [5, 0, 1, 6]);
    assert_eq!(bench.summary(&text.replace("when: 2", "when: 5")), [8, 4, 0, 0]);
}

#[test]
fn those_that_wait_for_the_same_key_are_skipped_with_it() {
    let nodes = r#""n": Number(value: 2), "f": Fail(of: "n", when: 1), "g": Fail(of: "n", when: 1), "s": Show(of: "g")"#;
    let bench = Bench::new();
    let expected = ["n = 2", "started f", "f failed: 2 is too large", "g skipped: f", "s skipped: f"];
    assert_eq!(bench.events(&experiment("", nodes)), expected);
}

#[test]
fn a_panic_fails_its_own_task() {
    let text = experiment(r#""x": [1, 2]"#, &FAILING.replace("when: 2", "when: 2, panic: true"));
    let bench = Bench::new();
    let events = bench.events(&text);
    let fault = "f(x=2) failed: a fault in fewbits itself (a bug in the op); please report it";
    assert!(events.iter().any(|line| line == fault), "{events:?}");
    assert_eq!(bench.summary(&text), [0, 6, 1, 1]);
}

#[test]
fn a_missing_source_says_what_to_do() {
    let text = experiment("", r#""f": File(path: "nowhere"), "s": Show(of: "f"), "n": Number(value: 1)"#);
    let bench = Bench::new();
    let expected = ["f failed: there is no nowhere: write a number into it", "s skipped: f", "n = 1"];
    assert_eq!(bench.events(&text), expected);
    fs::write(bench.path("nowhere"), "5").unwrap();
    assert_eq!(bench.events(&text), ["f = 5", "s = 5"]);
    // The metrics of `f` are recorded, but a new reader of its artifact needs the file.
    fs::remove_file(bench.path("nowhere")).unwrap();
    let more = text.replace("Number(value: 1)", "Show(of: \"f\", offset: 1)");
    let events = bench.events(&more);
    assert!(events[0].starts_with("warned: "), "{events:?}");
    assert!(events[2].starts_with("n failed: no number"), "{events:?}");
}

/// Runs a text and interrupts the run when an op of this kind starts; returns the events.
fn interrupted(bench: &Bench, text: &str, kind: &'static str) -> Vec<Event> {
    halted(bench, text, kind, Halt::Now)
}

/// Runs a text and halts the run in this way when an op of this kind starts; returns the events.
fn halted(bench: &Bench, text: &str, kind: &'static str, halt: Halt) -> Vec<Event> {
    let (stop, cancel) = watch::channel(Halt::No);
    let stop = Mutex::new(Some(stop));
    *bench.ops.hook.lock().unwrap() = Some(Box::new(move |name| {
        if let Some(stop) = stop.lock().unwrap().take_if(|_| name == kind) {
            stop.send(halt).unwrap();
            drop(stop);
        }
    }));
    let (events, result) = bench.run_until(text, cancel);
    *bench.ops.hook.lock().unwrap() = None;
    assert_eq!(result.unwrap().failed, 0);
    events
}

/// Returns the reported steps.
fn steps(events: &[Event]) -> Vec<u64> {
    let step = |event: &Event| match event {
        Event::Progressed { done, .. } => Some(*done),
        _ => None,
    };
    events.iter().filter_map(step).collect()
}

#[test]
fn an_interrupted_run_keeps_what_is_done_and_the_next_one_goes_on() {
    let nodes =
        r#""n": Number(value: Axis("x")), "l": Learn(of: "n", steps: 5, stop_at: 4), "s": Show(of: "l")"#;
    let text = experiment(r#""x": [1, 2, 3]"#, nodes);
    let mut bench = Bench::new();
    let events = interrupted(&bench, &text, "Learn");
    assert_eq!(lines(&events), ["n(x=1) = 1", "started l(x=1)", "interrupted"]);
    let Some(Event::Finished(summary)) = events.last() else { panic!("{events:?}") };
    assert_eq!((summary.ran, summary.cached, summary.skipped), (1, 0, 8));
    assert_eq!(steps(&events)[..], [1, 2, 3][..steps(&events).len()]);

    let without = text.replace(", stop_at: 4", "").replace("[1, 2, 3]", "[1]");
    let (events, _) = bench.run(&without);
    assert_eq!(lines(&events), ["l(x=1) = 6", "n(x=1) rebuilt", "s(x=1) = 6"]);
    let resumed = steps(&events);
    assert_eq!(resumed.last(), Some(&5));
    bench.jobs = 2;
    assert_eq!(bench.summary(&text.replace(", stop_at: 4", "")), [6, 3, 0, 0]);
}

#[test]
fn a_checkpoint_is_saved_taken_up_and_removed() {
    let bench = Bench::new();
    let text = experiment("", r#""n": Number(value: 1), "l": Learn(of: "n", steps: 5, stop_at: 4)"#);
    let (stop, cancel) = watch::channel(Halt::No);
    let partial = bench.root().join("partial");
    std::thread::scope(|scope| {
        let saved = || fs::read_dir(&partial).map_or(0, Iterator::count);
        scope.spawn(move || {
            // The file of the checkpoint exists from the first saved step on. At the fourth step the op waits until it
            // is cancelled.
            while saved() == 0 {
                std::thread::yield_now();
            }
            stop.send(Halt::Now).unwrap();
        });
        let (events, _) = bench.run_until(&text, cancel);
        let before = steps(&events);
        let after = steps(&bench.run(&text).0);
        assert_eq!([before, after.clone()].concat(), [1, 2, 3, 4, 5]);
        assert!(after.len() < 5);
    });
    assert_eq!(fs::read_dir(&partial).unwrap().count(), 0);
    assert_eq!(bench.results(&text)["l"].1["value"], 6.0);
}

#[test]
fn a_run_that_drains_ends_after_what_is_running() {
    let bench = Bench::new();
    let text = experiment(r#""x": Range(1, 5)"#, r#""n": Number(value: Axis("x")), "s": Show(of: "n")"#);
    let events = halted(&bench, &text, "Show", Halt::AfterRunning);
    let shown = lines(&events);
    assert!(shown.contains(&"draining".to_owned()), "{shown:?}");
    assert_eq!(shown.iter().filter(|line| line.starts_with("s(")).count(), 1, "{shown:?}");
    let Some(Event::Finished(summary)) = events.last() else { panic!("{events:?}") };
    assert_eq!((summary.failed, summary.ran + summary.skipped), (0, 10), "{summary:?}");
    assert!(summary.skipped > 0, "{summary:?}");
    // Results of tasks that were running at the halt are kept: these tasks do not run again.
    let [ran, cached, ..] = bench.summary(&text);
    assert_eq!((ran, cached), (summary.skipped, summary.ran));
}

#[test]
fn the_task_of_an_interrupted_run_is_unfinished_and_not_lost() {
    let bench = Bench::new();
    let text = experiment("", r#""n": Number(value: 1), "l": Learn(of: "n", steps: 2, stop_at: 1)"#);
    interrupted(&bench, &text, "Learn");
    let (events, _) = bench.run(&text.replace(", stop_at: 1", ""));
    assert_eq!(reasons(&events), [("l".to_owned(), Reason::Unfinished)]);
}

#[test]
fn results_that_cannot_be_recorded_end_the_run() {
    let bench = Bench::new();
    let root = bench.root();
    let broken = Mutex::new(false);
    *bench.ops.hook.lock().unwrap() = Some(Box::new(move |kind| {
        // A file takes the place of the folder of objects.
        if kind == "Learn" && !std::mem::replace(&mut *broken.lock().unwrap(), true) {
            fs::remove_dir_all(root.join("objects")).unwrap();
            fs::write(root.join("objects"), "").unwrap();
        }
    }));
    let text = experiment(
        r#""x": [1, 2]"#,
        r#""n": Number(value: 1), "l": Learn(of: "n", seed: Axis("x")), "s": Show(of: "l"), "k": Learn(of: "l"), "m": Learn(of: "n", seed: Axis("x"))"#,
    );
    let (events, result) = bench.run(&text);
    let Err(RunError::Record { message, summary }) = result else { panic!("{result:?}") };
    assert!(message.contains("objects"), "{message}");
    assert!(summary.failed >= 1 && summary.ran >= 1, "{summary:?}");
    assert_eq!(summary.cached, 0, "what takes a result that is not recorded has none: {events:#?}");
    assert!(matches!(events.last(), Some(Event::Finished(_))));
    *bench.ops.hook.lock().unwrap() = None;
    fs::remove_file(bench.root().join("objects")).unwrap();
    let [_, cached, failed, skipped] = bench.summary(&text);
    assert_eq!((cached > 0, failed, skipped), (true, 0, 0));
}
