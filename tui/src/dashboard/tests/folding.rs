//! Updates to the run model: task statuses, and the values derived from them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use fewbits_engine::dense::{DenseId, NodeId};
use fewbits_engine::event::{Event, Summary};
use fewbits_engine::graph::TaskId;
use fewbits_engine::run::coordinator::{Settings, run};
use fewbits_engine::run::halt::Halt;
use fewbits_ops::StandardOps;
use fewbits_store::Store;
use tokio::sync::{mpsc, watch};

use super::bench::{BEGAN, Bench, RUN, STUDY, graph, task};
use crate::dashboard::jobs::Jobs;
use crate::dashboard::messages::Update;
use crate::dashboard::past_runs::open;
use crate::dashboard::run_model::RunProgress;
use crate::dashboard::task_status::TaskStatus;

#[test]
fn counts_follow_the_events() {
    let bench = Bench::new((80, 24), 10);
    let run = bench.app.run.as_ref().expect("a study");
    let total = run.total();
    assert_eq!((total.tasks, total.done, total.cached, total.running, total.waiting()), (229, 9, 1, 2, 217));
    assert_eq!(run.nodes[NodeId::from_index(1)].done, 6);
    assert_eq!(run.task(task(&bench.graph, 0, 0)).status, TaskStatus::Cached);
    assert_eq!(run.task(task(&bench.graph, 1, 0)).seconds, Some(0.9));
}

#[test]
fn what_an_interrupt_leaves_is_skipped() {
    let mut bench = Bench::new((80, 24), 10);
    bench.happen(30.0, Event::Interrupted);
    let summary = Summary { tasks: 229, ran: 9, cached: 1, failed: 0, skipped: 219, seconds: 31.0 };
    bench.happen(31.0, Event::Finished(summary));
    let run = bench.app.run.as_ref().expect("a study");
    assert_eq!((run.total().skipped, run.total().running), (219, 0));
    assert_eq!(run.progress, RunProgress::Ended(summary));
    assert_eq!(run.elapsed(BEGAN + 500.0), 31.0);
    assert!(bench.frame().contains("study: interrupted"), "{}", bench.frame());
}

#[test]
fn a_run_whose_process_is_gone_says_so() {
    let mut bench = Bench::new((80, 24), 10);
    bench.tell(Update::Gone);
    assert!(bench.frame().contains("study: not finished"), "{}", bench.frame());
    assert!(bench.frame().contains("its process is gone; run the experiment again"), "{}", bench.frame());
    assert_eq!(bench.app.run.as_ref().expect("a study").total().skipped, 219);
}

#[test]
fn the_clock_is_an_input() {
    let mut bench = Bench::new((120, 40), 10);
    bench.app.now = BEGAN + 75.0;
    assert!(bench.frame().contains("1 min 15 s so far"), "{}", bench.frame());
    bench.app.now = BEGAN + 76.0;
    assert!(bench.frame().contains("1 min 16 s so far"), "{}", bench.frame());
}

#[test]
fn curves_come_from_events_else_from_the_record() {
    let mut bench = Bench::new((120, 40), 2);
    let (told, waiting) = (task(&bench.graph, 1, 0), task(&bench.graph, 1, 5));
    let run = bench.app.run.as_ref().expect("a study");
    assert_eq!(run.curve(told, "train_loss").len(), 3);
    assert_eq!(run.curve(waiting, "train_loss"), []);
    bench.press(&["2"]);
    // The next event is that of a cached training, as in a run that did not train.
    let (record, task) = (task(&bench.graph, 1, 5), bench.graph.name(waiting));
    bench.happen(5.0, Event::Reused { task, key: String::new(), same_as: None });
    bench.press(&["G"]);
    let run = bench.app.run.as_ref().expect("a study");
    assert_eq!(run.curve(record, "train_loss"), [(1.0, 0.7), (2.0, 0.3), (3.0, 0.2), (4.0, 0.1)]);
}

#[test]
fn a_task_keeps_its_job_and_the_next_task_gets_the_first_idle_one() {
    let tasks: Vec<TaskId> = graph(STUDY).tasks().take(5).collect();
    let mut jobs = Jobs::new(2);
    assert_eq!((jobs.count(), jobs.running(), jobs.task(0)), (2, 0, None));
    jobs.start(tasks[3]);
    jobs.start(tasks[1]);
    jobs.start(tasks[1]);
    assert_eq!((jobs.task(0), jobs.task(1), jobs.running()), (Some(tasks[3]), Some(tasks[1]), 2));
    jobs.end(tasks[3]);
    assert_eq!((jobs.count(), jobs.task(0), jobs.task(1)), (2, None, Some(tasks[1])));
    jobs.start(tasks[2]);
    assert_eq!(jobs.task(0), Some(tasks[2]));
    // Run logs of older versions have no event at the end of a job.
    jobs.start(tasks[4]);
    assert_eq!((jobs.count(), jobs.running()), (3, 3));
    jobs.end(tasks[4]);
    assert_eq!(jobs.count(), 2);
    jobs.end(tasks[0]);
    jobs.clear();
    assert_eq!((jobs.count(), jobs.running()), (2, 0));
}

#[test]
fn a_result_that_waits_for_the_disk_does_not_run() {
    let mut bench = Bench::new((120, 40), 10);
    let running: Vec<TaskId> = bench.graph.tasks().skip(10).take(2).collect();
    for &task in &running {
        let task = bench.graph.name(task);
        bench.happen(20.0, Event::Computed { task });
    }
    let frame = bench.frame();
    assert!(frame.contains("▶ 0 running  ↓ 2 saving  · 217 waiting"), "{frame}");
    assert!(frame.contains("running: 0 of 2 jobs") && frame.matches("  idle").count() == 2, "{frame}");
    let next = bench.graph.tasks().nth(12).expect("a task");
    bench.start(next);
    let total = bench.app.run.as_ref().expect("a study").total();
    assert_eq!((total.running, total.saving, total.waiting()), (1, 2, 216));
    let name = bench.graph.name(running[0]);
    bench.happen(
        21.0,
        Event::Completed { task: name, key: String::new(), metrics: BTreeMap::new(), seconds: 0.1 },
    );
    let total = bench.app.run.as_ref().expect("a study").total();
    assert_eq!((total.done, total.running, total.saving), (10, 1, 1));
}

/// Reads the run log of a real run, in which writing results takes longer than computing them.
#[test]
fn a_real_run_never_shows_more_running_tasks_than_jobs() {
    let text = r#"Experiment(
        name: "many",
        axes: { "e": Range(1, 6), "m": Range(0, 5), "seed": [0, 1] },
        nodes: {
            "mnist": Dataset(source: Mnist10k, train: 60, test: 20),
            "net": Train(data: "mnist", model: Mlp(hidden: [4]), epochs: 1, seed: Axis("seed")),
            "small": Quantize(model: "net", format: Float(e: Axis("e"), m: Axis("m")), scale: PowerOfTwo),
        },
    )"#;
    let dir = tempfile::tempdir().expect("a folder");
    let store = Arc::new(Store::open_writer(dir.path()).expect("a store"));
    let ops = Arc::new(StandardOps::new(PathBuf::new(), PathBuf::new()));
    let settings = Settings { jobs: 2, threads: 2, fail_fast: false };
    let (events, _told) = mpsc::unbounded_channel();
    let halt = watch::channel(Halt::No).1;
    let running = run(graph(text), Arc::clone(&ops), Arc::clone(&store), RUN, settings, events, halt);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    assert_eq!(runtime.block_on(running).expect("a run").0.ran, 75);
    let (opened, mut journal) = open(&store, &ops, RUN).expect("the store").expect("the run");
    let mut bench = Bench::planned((120, 40));
    bench.tell(Update::Opened(Box::new(opened)));
    let (mut most, mut saving) = (0, 0);
    while let Some(line) = journal.next_line().expect("a line") {
        bench.tell(Update::Happened(vec![serde_json::from_str(&line).expect(&line)]));
        let run = bench.app.run.as_ref().expect("a study");
        let total = run.total();
        assert_eq!((total.running, run.jobs.count()), (run.jobs.running(), 2), "{line}");
        (most, saving) = (most.max(total.running), saving.max(total.saving));
    }
    assert_eq!(most, 2, "both jobs worked at once");
    assert!(saving > 0, "results are shown on their way to the disk");
    assert_eq!(bench.app.run.as_ref().expect("a study").total().done, 75);
}

#[test]
fn a_journal_without_the_ends_of_jobs_is_replayed_as_it_always_was() {
    let mut bench = Bench::planned((120, 40));
    let tasks: Vec<TaskId> = bench.graph.tasks().skip(1).take(3).collect();
    for &task in &tasks {
        bench.start(task);
    }
    let run = bench.app.run.as_ref().expect("a study");
    assert_eq!((run.total().running, run.jobs.count()), (3, 3), "three tasks, two jobs");
    assert!(bench.frame().contains("running: 3\n"), "{}", bench.frame());
    bench.complete(tasks[0]);
    let run = bench.app.run.as_ref().expect("a study");
    assert_eq!((run.total().done, run.total().running), (1, 2));
    assert!(bench.frame().contains("running: 2 of 2 jobs"), "{}", bench.frame());
}

#[test]
fn a_task_whose_input_is_lost_waits_again() {
    let mut bench = Bench::new((120, 40), 10);
    let again = bench.graph.tasks().nth(10).expect("a task");
    let (name, lost) = (bench.graph.name(again), bench.graph.name(task(&bench.graph, 1, 0)));
    bench.happen(20.0, Event::Postponed { task: name.clone(), because: lost.clone() });
    let run = bench.app.run.as_ref().expect("a study");
    assert_eq!((run.total().running, run.task(again).status), (1, TaskStatus::Waiting));
    let words = format!("{name} waits until {lost}, whose stored result is lost, has run again");
    assert!(bench.frame().contains(&words), "{}", bench.frame());
}

#[test]
fn only_what_moves_with_the_clock_is_drawn_anew_each_second() {
    let mut bench = Bench::new((120, 40), 10);
    for (view, ticks) in [("1", true), ("2", false), ("3", false), ("4", false), ("5", false), ("6", false)] {
        bench.press(&[view]);
        assert_eq!(bench.app.ticks(), ticks, "{view}");
    }
    bench.press(&["1", "Right", "Enter"]);
    assert!(bench.app.ticks(), "its elapsed time is shown:\n{}", bench.frame());
    bench.press(&["1"]);
    bench.finish();
    assert!(!bench.app.ticks(), "after the end no time moves");
}
