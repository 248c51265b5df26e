//! The fold over events: where tasks stand, and what is derived from that.

use fewbits_engine::event::{Event, Summary};

use super::bench::{BEGAN, Bench};
use crate::dashboard::news::News;
use crate::dashboard::standing::Status;
use crate::dashboard::study::Course;

#[test]
fn counts_follow_the_events() {
    let bench = Bench::new((80, 24), 10);
    let study = bench.app.study.as_ref().expect("a study");
    let total = study.total();
    assert_eq!((total.tasks, total.done, total.cached, total.running, total.waiting()), (229, 9, 1, 2, 217));
    assert_eq!(study.nodes[1].done, 6);
    assert_eq!(study.task(bench.graph.task(0, 0)).status, Status::Cached);
    assert_eq!(study.task(bench.graph.task(1, 0)).seconds, Some(0.9));
}

#[test]
fn what_an_interrupt_leaves_is_skipped() {
    let mut bench = Bench::new((80, 24), 10);
    bench.happen(30.0, Event::Interrupted);
    let summary = Summary { tasks: 229, ran: 9, cached: 1, failed: 0, skipped: 219, seconds: 31.0 };
    bench.happen(31.0, Event::Finished(summary));
    let study = bench.app.study.as_ref().expect("a study");
    assert_eq!((study.total().skipped, study.total().running), (219, 0));
    assert_eq!(study.course, Course::Ended(summary));
    assert_eq!(study.elapsed(BEGAN + 500.0), 31.0);
    assert!(bench.frame().contains("study: interrupted"), "{}", bench.frame());
}

#[test]
fn a_run_whose_process_is_gone_says_so() {
    let mut bench = Bench::new((80, 24), 10);
    bench.tell(News::Gone);
    assert!(bench.frame().contains("study: not finished"), "{}", bench.frame());
    assert!(bench.frame().contains("its process is gone; run the experiment again"), "{}", bench.frame());
    assert_eq!(bench.app.study.as_ref().expect("a study").total().skipped, 219);
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
    let (told, waiting) = (bench.graph.task(1, 0), bench.graph.task(1, 5));
    let study = bench.app.study.as_ref().expect("a study");
    assert_eq!(study.curve(told, "train_loss").len(), 3);
    assert_eq!(study.curve(waiting, "train_loss"), []);
    bench.press(&["2"]);
    // As in a run in which the training was cached.
    let (record, task) = (bench.graph.task(1, 5), bench.graph.name(waiting));
    bench.happen(5.0, Event::Reused { task, key: String::new(), same_as: None });
    bench.press(&["G"]);
    let study = bench.app.study.as_ref().expect("a study");
    assert_eq!(study.curve(record, "train_loss"), [(1.0, 0.7), (2.0, 0.3), (3.0, 0.2), (4.0, 0.1)]);
}
