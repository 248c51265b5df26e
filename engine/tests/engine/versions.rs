//! One version of an experiment after the other in one process: what goes on, what stops, what is kept.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fewbits_engine::event::Event;
use fewbits_engine::preview::NodePreview;
use fewbits_engine::run::coordinator::Settings;
use fewbits_engine::run::halt::Halt;
use fewbits_engine::run::runner::{Ended, Runner, Version};
use fewbits_store::Store;
use proptest::prelude::*;
use tokio::sync::{mpsc, watch};

use crate::arithmetic::Arithmetic;
use crate::bench::{Bench, experiment, lines};

/// A runner, and its versions so far.
struct Live<'b> {
    bench: &'b Bench,
    runner: Runner<Arithmetic>,
    newer: watch::Sender<u64>,
    versions: usize,
}

impl<'b> Live<'b> {
    fn new(bench: &'b Bench, store: Arc<Store>) -> Self {
        let settings = Settings { jobs: bench.jobs, threads: 2, fail_fast: false };
        let runner = Runner::new(Arc::clone(&bench.ops), store, settings).keeping_sources();
        Self { bench, runner, newer: watch::channel(0).0, versions: 0 }
    }

    /// Runs a text; `each` sees every event and says whether a newer version takes over then.
    async fn run(&mut self, text: &str, mut each: impl FnMut(&Event) -> bool) -> (Vec<Event>, Ended) {
        let graph = self.bench.graph(text);
        let follows = self.versions.checked_sub(1).map(|before| format!("live-{before:03}"));
        let id = format!("live-{:03}", self.versions);
        self.versions += 1;
        let (events, mut told) = mpsc::unbounded_channel();
        let (halt, newer) = (watch::channel(Halt::No), self.newer.subscribe());
        let running = self.runner.run(Version { graph, id, follows }, events, halt.1, newer);
        let sender = self.newer.clone();
        let hearing = async {
            let mut all = vec![];
            while let Some(event) = told.recv().await {
                if each(&event) {
                    sender.send_modify(|version| *version += 1);
                }
                all.push(event);
            }
            all
        };
        let (ended, all) = tokio::join!(running, hearing);
        (all, ended.unwrap())
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn is_start(event: &Event, wanted: &str) -> bool {
    matches!(event, Event::Started { task, .. } if task == wanted)
}

/// Makes every `Learn` wait until the flag is set.
fn gate(bench: &Bench) -> Arc<AtomicBool> {
    let open = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&open);
    *bench.ops.hook.lock().unwrap() = Some(Box::new(move |kind| {
        while kind == "Learn" && !gate.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
    }));
    open
}

#[test]
fn a_running_task_that_the_next_version_wants_goes_on() {
    let bench = Bench::new();
    let open = gate(&bench);
    let text = experiment("", r#""n": Number(value: 1), "l": Learn(of: "n"), "s": Show(of: "l")"#);
    // Another name, another neighbour, the same work.
    let edited = experiment(
        "",
        r#""n": Number(value: 1), "other": Learn(of: "n"), "s": Show(of: "other", offset: 1)"#,
    );
    let mut live = Live::new(&bench, bench.store());
    block_on(async {
        let (events, ended) = live.run(&text, |event| is_start(event, "l")).await;
        assert!(ended.is_superseded);
        assert_eq!(lines(&events), ["n = 1", "started l", "superseded"]);
        let (events, ended) = live
            .run(&edited, |event| {
                open.fetch_or(is_start(event, "other"), Ordering::SeqCst);
                false
            })
            .await;
        assert!(!ended.is_superseded);
        assert_eq!(lines(&events), ["other = 4", "s = 5"]);
        let [ran, cached] = [ended.summary.ran, ended.summary.cached];
        assert_eq!([ran, cached], [2, 1]);
        let nodes = events.iter().find_map(|event| match event {
            Event::Edited { nodes } => Some(nodes.clone()),
            _ => None,
        });
        let nodes = nodes.expect("an edit is previewed");
        assert_eq!(nodes.iter().map(NodePreview::to_run).collect::<Vec<_>>(), [0, 1, 1]);
    });
    assert_eq!(bench.ops.calls.lock().unwrap()["Learn"], 1);
    drop(live);
    assert_eq!(bench.ops.live.now(), 0);
}

#[test]
fn a_running_task_that_the_next_version_does_not_want_stops_and_keeps_its_checkpoint() {
    let bench = Bench::new();
    let text = experiment("", r#""n": Number(value: 1), "l": Learn(of: "n", steps: 5, stop_at: 4)"#);
    let edited = experiment("", r#""n": Number(value: 1), "l": Learn(of: "n", steps: 6)"#);
    let partial = bench.root().join("partial");
    let mut live = Live::new(&bench, bench.store());
    block_on(async {
        let third = |event: &Event| matches!(event, Event::Progressed { done: 3, .. });
        let (events, ended) = live.run(&text, third).await;
        assert!(ended.is_superseded && lines(&events).contains(&"superseded".to_owned()));
        let (events, _) = live.run(&edited, |_| false).await;
        assert_eq!(lines(&events), ["l = 7"]);
        assert_eq!(fs::read_dir(&partial).unwrap().count(), 1);
        // The version before goes on where it stopped.
        let (events, _) = live.run(&text, |_| false).await;
        assert_eq!(lines(&events), ["l = 6"]);
        let steps =
            |event: &Event| if let Event::Progressed { done, .. } = event { Some(*done) } else { None };
        assert_eq!(events.iter().filter_map(steps).collect::<Vec<_>>(), [4, 5]);
        // What has no inputs stays in memory, as long as a version has it.
        assert_eq!(bench.ops.live.now(), 1);
        live.run(&edited.replace("value: 1", "value: 2"), |_| false).await;
        assert_eq!(bench.ops.live.now(), 1);
    });
    assert_eq!(fs::read_dir(&partial).unwrap().count(), 0);
}

#[test]
fn a_task_that_the_next_version_keeps_runs_again_if_it_was_not_to_be_kept() {
    let bench = Bench::new();
    let open = gate(&bench);
    let text = experiment("", r#""n": Number(value: 1), "l": Learn(of: "n", keep: false)"#);
    let mut live = Live::new(&bench, bench.store());
    block_on(async {
        let (_, ended) = live.run(&text, |event| is_start(event, "l")).await;
        assert!(ended.is_superseded);
        open.store(true, Ordering::SeqCst);
        let (events, _) = live.run(&text.replace(", keep: false", ""), |_| false).await;
        assert_eq!(lines(&events).last().map(String::as_str), Some("l = 4"));
    });
    assert_eq!(bench.objects().len(), 1);
}

#[test]
fn a_version_with_nothing_to_do_stops_what_ran() {
    let bench = Bench::new();
    let text = experiment("", r#""n": Number(value: 1), "l": Learn(of: "n", stop_at: 2)"#);
    let mut live = Live::new(&bench, bench.store());
    block_on(async {
        let (_, ended) = live.run(&text, |event| is_start(event, "l")).await;
        assert!(ended.is_superseded);
        let (events, ended) = live.run(&experiment("", r#""n": Number(value: 1)"#), |_| false).await;
        assert!(lines(&events).is_empty() && ended.summary.cached == 1);
        // What has no inputs stays, and nothing else: the job that stops has let go of the rest.
        while bench.ops.live.now() > 1 {
            tokio::task::yield_now().await;
        }
    });
    drop(live);
    assert_eq!(bench.ops.live.now(), 0);
}

/// Texts that share some of their tasks.
fn text(offset: u8, steps: u8, levels: u8) -> String {
    let levels: Vec<String> = (0..=levels).map(|level| level.to_string()).collect();
    experiment(
        &format!("\"x\": [{}]", levels.join(", ")),
        &format!(
            r#""n": Number(value: Axis("x")), "r": Round(of: "n", to: 2), "l": Learn(of: "r", steps: {steps}), "s": Show(of: "l", offset: {offset})"#
        ),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever the edits and their moments, the results of the last version are those of a run by itself, and no key is
    /// recorded twice.
    #[test]
    fn edits_at_any_moment_lose_nothing(
        edits in prop::collection::vec((0..2_u8, 1..3_u8, 0..4_u8, 0..12_usize), 1..8),
        jobs in 1..3_usize,
    ) {
        let mut bench = Bench::new();
        bench.jobs = jobs;
        let mut recorded = BTreeSet::new();
        let mut live = Live::new(&bench, bench.store());
        let mut last = String::new();
        block_on(async {
            for (offset, steps, levels, moment) in &edits {
                last = text(*offset, *steps, *levels);
                let mut count = 0;
                let (events, _) = live.run(&last, |_| { count += 1; count == moment + 1 }).await;
                for event in events {
                    if let Event::Completed { key, .. } = event {
                        assert!(recorded.insert(key), "a result is recorded twice");
                    }
                }
            }
            let (_, ended) = live.run(&last, |_| false).await;
            assert_eq!(ended.summary.failed + ended.summary.skipped, 0);
        });
        drop(live);
        prop_assert_eq!(bench.ops.live.now(), 0);
        let alone = Bench::new();
        alone.summary(&last);
        prop_assert_eq!(bench.results(&last), alone.results(&last));
    }
}

#[test]
fn a_failure_with_fail_fast_does_not_hold_up_the_next_version() {
    let mut bench = Bench::new();
    (bench.jobs, bench.fail_fast) = (2, true);
    let text = experiment(
        "",
        r#""n": Number(value: 1), "f": Fail(of: "n", when: 0), "l": Learn(of: "n", steps: 5, stop_at: 4)"#,
    );
    let mut live = Live::new(&bench, bench.store());
    block_on(async {
        let third = |event: &Event| matches!(event, Event::Progressed { done: 3, .. });
        let (events, ended) = live.run(&text, third).await;
        assert!(ended.is_superseded, "{:?}", lines(&events));
        let (events, ended) =
            live.run(&text.replace("when: 0", "when: 9").replace("5, stop_at: 4", "6"), |_| false).await;
        assert_eq!(ended.summary.failed + ended.summary.skipped, 0, "{:?}", lines(&events));
    });
}

/// The inputs of a job that goes on have other places in the next version.
#[test]
fn a_loss_that_a_job_of_the_version_before_finds_is_that_of_its_input() {
    let bench = Bench::new();
    let first = experiment("", r#""n": Number(value: 1), "l": Learn(of: "n"), "z": Number(value: 7)"#);
    bench.summary(&first);
    // The job of `a` makes `z` again, and waits there. Then it reads `l`, which is gone.
    let open = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&open);
    *bench.ops.hook.lock().unwrap() = Some(Box::new(move |kind| {
        while kind == "Number" && !gate.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
    }));
    let text = experiment(
        "",
        r#""n": Number(value: 1), "l": Learn(of: "n"), "z": Number(value: 7), "a": Add(left: "z", right: "l")"#,
    );
    let mut live = Live::new(&bench, bench.store());
    block_on(async {
        let (_, ended) = live.run(&text, |event| is_start(event, "a")).await;
        assert!(ended.is_superseded);
        let moved = experiment(
            "",
            r#""y": Round(of: "z"), "z": Number(value: 7), "n": Number(value: 1), "l": Learn(of: "n"), "a": Add(left: "z", right: "l")"#,
        );
        let (events, ended) = live
            .run(&moved, |event| {
                if is_start(event, "a") && !open.load(Ordering::SeqCst) {
                    assert_eq!(bench.lose_objects(), 1);
                    open.store(true, Ordering::SeqCst);
                }
                false
            })
            .await;
        assert_eq!(ended.summary.failed + ended.summary.skipped, 0, "{:?}", lines(&events));
        assert!(lines(&events).contains(&"a = 11".to_owned()), "{:?}", lines(&events));
    });
}
