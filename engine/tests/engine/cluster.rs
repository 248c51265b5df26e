//! Runs on workers: their results, and how they are left and taken over.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fewbits_engine::cluster::message::Reply;
use fewbits_engine::cluster::worker::WorkerEnd;
use fewbits_engine::event::Event;
use fewbits_engine::run::coordinator::RunError;
use fewbits_engine::run::halt::Halt;
use fewbits_store::StoreError;
use tokio::sync::watch;

use crate::bench::{experiment, lines};
use crate::cluster_bench::{AXES, Cluster, NODES, Puppet, TWO, has};

#[test]
fn workers_give_the_results_of_a_run_in_one_process() {
    let text = experiment(AXES, NODES);
    let local = Cluster::new();
    let expected = local.bench.run(&text).1.unwrap();
    let cluster = Cluster::new();
    for place in ["n1", "n2", "n3"] {
        cluster.work(place, &cluster.ops());
    }
    let (events, summary) = cluster.run(&text);
    let summary = summary.unwrap();
    assert_eq!((summary.ran, summary.failed, summary.skipped), (expected.ran, 0, 0), "{events:#?}");
    assert_eq!(cluster.bench.results(&text), local.bench.results(&text));
    let places: std::collections::BTreeSet<&String> = events
        .iter()
        .filter_map(|event| if let Event::Started { on, .. } = event { on.as_ref() } else { None })
        .collect();
    assert_eq!(places.len(), 3, "all workers work: {places:?}");
    assert_eq!(cluster.bench.ops.calls.lock().unwrap().len(), 0, "the coordinator computes nothing");
    assert_eq!(lines(&cluster.run(&text).0), [""; 0], "a second run has nothing to do");
    // A run in one process goes on with the results of workers, and workers with those of a run in one process.
    let more = AXES.replace("5]", "5, 6]");
    assert_eq!(
        lines(&cluster.bench.run(&experiment(&more, NODES)).0)
            .iter()
            .filter(|line| line.contains("x=1"))
            .count(),
        0
    );
    let most = AXES.replace("5]", "5, 6, 7]").replace("2]", "2, 3]");
    let (events, summary) = cluster.run(&experiment(&most, NODES));
    assert_eq!(summary.unwrap().failed, 0, "{events:#?}");
    cluster.bench.lose_objects();
    let (events, summary) = cluster.run(&experiment(&most, &NODES.replace("by: 3", "by: 4")));
    assert_eq!(summary.unwrap().failed, 0, "{events:#?}");
    let ends = cluster.end();
    assert!(ends.iter().all(|end| *end == WorkerEnd::Left("its time is nearly up".to_owned())), "{ends:?}");
}

#[test]
fn a_run_that_leaves_comes_back_to_the_results_of_its_workers() {
    let cluster = Cluster::new();
    let ops = cluster.ops();
    *ops.hook.lock().unwrap() = Some(Box::new(|_| std::thread::sleep(Duration::from_millis(20))));
    cluster.work("n1", &ops);
    let text = experiment(
        r#""x": [1, 2, 3, 4, 5, 6, 7, 8, 9]"#,
        r#""n": Number(value: Axis("x")), "s": Learn(of: "n")"#,
    );
    let (ask, halt) = watch::channel(Halt::No);
    let each = |event: &Event| {
        if matches!(event, Event::Completed { .. }) {
            ask.send_if_modified(|asked| std::mem::replace(asked, Halt::Leave) == Halt::No);
        }
    };
    let (events, summary) = cluster.run_until(&text, halt, &each);
    assert!(has(&events, &["left"]) && summary.unwrap().skipped > 0, "{events:#?}");
    // The worker goes on with all ready tasks while nobody coordinates.
    std::thread::sleep(Duration::from_secs(1));
    let before: usize = ops.calls.lock().unwrap().values().sum();
    assert!(before >= 9, "the worker did {before} jobs by itself");
    let (events, summary) = cluster.run(&text);
    let summary = summary.unwrap();
    assert_eq!((summary.failed, summary.skipped), (0, 0), "{events:#?}");
    // A job that the worker begins at the moment at which it is recalled starts twice. An artifact that the worker no longer
    // holds is made again.
    let starts = ops.calls.lock().unwrap().values().sum::<usize>();
    let rebuilt = events.iter().filter(|event| matches!(event, Event::Rebuilt { .. })).count();
    assert!(
        (18..=19).contains(&(starts - rebuilt)),
        "{starts} starts of 18 tasks, {rebuilt} rebuilt: {events:#?}"
    );
    assert_eq!(cluster.bench.results(&text).len(), 18);
    cluster.end();
}

#[test]
fn a_second_coordinator_is_refused() {
    let cluster = Cluster::new();
    let _claim = cluster.exchange().claim().unwrap();
    let error = cluster.run(&experiment("", TWO)).1.unwrap_err();
    assert!(matches!(error, RunError::Store(StoreError::Claimed { .. })), "{error}");
}

#[test]
fn a_worker_that_comes_late_gets_jobs_that_wait_elsewhere() {
    let cluster = Cluster::new();
    let slow = || {
        let ops = cluster.ops();
        *ops.hook.lock().unwrap() = Some(Box::new(|_| std::thread::sleep(Duration::from_millis(1500))));
        ops
    };
    cluster.work("early", &slow());
    let is_first = AtomicBool::new(true);
    let each = |event: &Event| {
        if matches!(event, Event::Started { .. }) && is_first.swap(false, Ordering::SeqCst) {
            cluster.work("late", &slow());
        }
    };
    let text = experiment(r#""x": [1, 2, 3]"#, r#""n": Number(value: Axis("x"))"#);
    let (events, summary) = cluster.run_until(&text, watch::channel(Halt::No).1, &each);
    assert_eq!(summary.unwrap().failed, 0, "{events:#?}");
    let on_late = |event: &&Event| matches!(event, Event::Started { on: Some(on), .. } if on == "late");
    assert_eq!(events.iter().filter(on_late).count(), 1, "{events:#?}");
    assert!(!has(&events, &["returned"]), "a job that nobody had begun moves silently: {events:#?}");
    cluster.end();
}

#[test]
fn a_found_job_whose_worker_leaves_is_done_by_another() {
    let cluster = Cluster::new();
    let text = experiment("", r#""n": Number(value: 7)"#);
    let mut puppet = Puppet::come(&cluster.exchange(), "puppet");
    let plays = std::thread::spawn(move || {
        let (number, _) = puppet.job();
        puppet.say(Reply::Began(number));
        puppet
    });
    // The first run leaves the job to the puppet.
    let (ask, halt) = watch::channel(Halt::No);
    let leave = |event: &Event| {
        if matches!(event, Event::Started { .. }) {
            ask.send_replace(Halt::Leave);
            // A stronger request does not cancel what was left.
            ask.send_replace(Halt::Now);
        }
    };
    let (events, summary) = cluster.run_until(&text, halt, &leave);
    assert!(summary.unwrap().skipped == 1, "{events:#?}");
    let mut puppet = plays.join().unwrap();
    // The second run hears that the puppet leaves while it plans.
    puppet.say(Reply::Beat);
    let late = Mutex::new(Some(puppet));
    let each = |event: &Event| {
        if matches!(event, Event::Planned { .. }) {
            if let Some(mut puppet) = late.lock().unwrap().take() {
                puppet.say(Reply::Left("its time is up".to_owned()));
            }
            cluster.work("good", &cluster.ops());
        }
    };
    let (events, summary) = cluster.run_until(&text, watch::channel(Halt::No).1, &each);
    let summary = summary.unwrap();
    assert_eq!((summary.ran, summary.failed, summary.skipped), (1, 0, 0), "{events:#?}");
    cluster.end();
}
