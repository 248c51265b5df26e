//! Failures of workers: silence, defects, other builds, orders that do not fit.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fewbits_engine::cluster::message::{Hello, Order, Reply, Undone};
use fewbits_engine::cluster::worker::WorkerEnd;
use fewbits_engine::event::{Event, Summary};
use fewbits_engine::run::halt::Halt;
use fewbits_store::{Exchange, MailReader, MailWriter};
use tokio::sync::watch;

use crate::arithmetic::Arithmetic;
use crate::bench::{experiment, lines};
use crate::cluster_bench::{AXES, Cluster, NODES, Puppet, TWO, has, result};

/// A run whose first task a puppet holds, and what the puppet then says of it.
fn run_with_puppet(
    cluster: &Cluster,
    says: impl FnOnce(&mut Puppet, u64) + Send + 'static,
) -> (Vec<Event>, Summary) {
    let mut puppet = Puppet::come(&cluster.exchange(), "puppet");
    let plays = std::thread::spawn(move || {
        let (number, _) = puppet.job();
        puppet.say(Reply::Began(number));
        says(&mut puppet, number);
        puppet
    });
    let each = |event: &Event| {
        if matches!(event, Event::Started { on: Some(on), .. } if on == "puppet") {
            cluster.work("good", &cluster.ops());
        }
    };
    let (events, summary) = cluster.run_until(&experiment("", KEPT), watch::channel(Halt::No).1, &each);
    drop(plays.join().unwrap());
    (events, summary.unwrap())
}

/// A kept artifact, and a task that reads it.
const KEPT: &str = r#""n": Number(value: 7), "l": Learn(of: "n"), "s": Show(of: "l")"#;

#[test]
fn the_jobs_of_a_silent_worker_go_to_others_and_a_late_result_is_harmless() {
    for value in [7.0, 8.0] {
        let mut cluster = Cluster::new();
        cluster.silence = Duration::from_secs(1);
        let mut puppet = Puppet::come(&cluster.exchange(), "mute");
        let waits = std::thread::spawn(move || {
            let job = puppet.job();
            puppet.say(Reply::Began(job.0));
            (job, puppet)
        });
        let (text, late) = (experiment("", TWO), Mutex::new(Some(waits)));
        let each = |event: &Event| match event {
            Event::WorkerLeft { worker, .. } if worker == "mute" => {
                let ops = cluster.ops();
                // The second task waits until the late result of the first one is there.
                *ops.hook.lock().unwrap() = Some(Box::new(|kind| {
                    if kind == "Show" {
                        std::thread::sleep(Duration::from_secs(2));
                    }
                }));
                cluster.work("n2", &ops);
            }
            Event::Completed { task, .. } if task == "n" => {
                let ((number, preimage), mut puppet) = late.lock().unwrap().take().unwrap().join().unwrap();
                puppet.say(result(number, preimage, value));
            }
            _ => {}
        };
        let (events, summary) = cluster.run_until(&text, watch::channel(Halt::No).1, &each);
        let summary = summary.unwrap();
        assert!(has(&events, &["n returned from mute: it has been silent for 1 s"]), "{events:#?}");
        if value == 7.0 {
            assert_eq!((summary.ran, summary.failed), (2, 0), "{events:#?}");
            assert_eq!(lines(&cluster.run(&text).0), [""; 0]);
        } else {
            assert_eq!((summary.ran, summary.failed), (1, 1), "{events:#?}");
            let words = ["warned: n: n2 and mute computed different results (value 8 instead of 7"];
            assert!(has(&events, &words), "{events:#?}");
            assert_eq!(lines(&cluster.run(&text).0)[0], "n = 7", "the record was dropped");
        }
        cluster.end();
    }
}

#[test]
fn a_job_that_fails_on_one_worker_alone_succeeds_on_another() {
    let cluster = Cluster::new();
    let broken = Arc::new(Arithmetic { base: cluster.bench.path("nowhere"), ..Arithmetic::default() });
    cluster.work("bad", &broken);
    cluster.work("good", &cluster.ops());
    let text = experiment(
        r#""x": [1, 2, 3, 4, 5, 6, 7, 8, 9]"#,
        r#""f": File(path: "f"), "n": Number(value: Axis("x")), "a": Add(left: "n", right: "f")"#,
    );
    let (events, summary) = cluster.run(&text);
    assert_eq!(summary.unwrap().failed, 0, "{events:#?}");
    assert!(has(&events, &["warned:", "failed on bad", "but not on good"]), "{events:#?}");
    // A failure that is the same everywhere is one, and says where it happened.
    let text = experiment("", r#""n": Number(value: 1), "e": Fail(of: "n", when: 1)"#);
    let (events, summary) = cluster.run(&text);
    assert_eq!(summary.unwrap().failed, 1, "{events:#?}");
    assert!(has(&events, &["e failed: 1 is too large (on "]), "{events:#?}");
    cluster.end();
}

#[test]
fn a_worker_of_another_build_is_refused() {
    let cluster = Cluster::new();
    let other = BTreeMap::from([("version".to_owned(), "2".to_owned())]);
    cluster.work_as(Hello { place: "old".to_owned(), jobs: 1, build: other, member: None }, &cluster.ops());
    cluster.work("new", &cluster.ops());
    let (events, summary) = cluster.run(&experiment(AXES, NODES));
    assert_eq!(summary.unwrap().failed, 0);
    let refusal = "it has another build: version 2 instead of 1";
    let on_old = |event: &Event| matches!(event, Event::Started { on: Some(on), .. } if on == "old");
    assert!(!events.iter().any(on_old), "{events:#?}");
    let (stop, thread) = cluster.workers.lock().unwrap().remove(0);
    if has(&events, &["warned: old: this worker gets no jobs", refusal]) {
        assert_eq!(thread.join().unwrap().unwrap(), WorkerEnd::Refused(refusal.to_owned()));
    } else {
        // The run ended before the worker came.
        stop.store(true, Ordering::SeqCst);
    }
    cluster.end();
}

#[test]
fn orders_that_do_not_fit_the_experiment_are_refused() {
    let cluster = Cluster::new();
    let exchange = cluster.exchange();
    cluster.work("n1", &cluster.ops());
    let start = Instant::now();
    let worker = loop {
        assert!(start.elapsed() < Duration::from_secs(30));
        let workers = exchange.workers().unwrap().into_iter();
        let mut greeted = workers.filter(|worker| exchange.results(worker).exists());
        if let Some(worker) = greeted.next() {
            break worker;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let orders = MailReader::new(&exchange.jobs(&worker));
    let mut orders = MailWriter::resume(&orders).unwrap();
    let digest = exchange.put_object(experiment("", TWO).as_bytes()).unwrap();
    let job = |number, task, preimage: &str, experiment| {
        let (preimage, inputs) = (preimage.to_owned(), vec![]);
        Order::Do(Box::new(fewbits_engine::cluster::message::JobOrder {
            number,
            experiment,
            task,
            preimage,
            keep: false,
            inputs,
        }))
    };
    let bad = [
        job(0, 99, "{}", digest),
        job(1, 1, "{}", digest),
        job(2, 0, "{}", digest),
        job(3, 0, "{}", fewbits_store::Digest::hash(b"no text")),
        job(4, 0, "{}", exchange.put_object(b"Experiment(").unwrap()),
    ];
    orders.append(&bad, true).unwrap();
    let mut replies = MailReader::new(&exchange.results(&worker));
    let (mut refused, start) = (vec![], Instant::now());
    while refused.len() < bad.len() && start.elapsed() < Duration::from_secs(30) {
        for reply in replies.read::<Reply>().unwrap().into_iter().flatten() {
            if let Reply::Undone { why, .. } = reply {
                refused.push(format!("{why:?}"));
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let words = [
        "does not fit",
        "does not fit",
        "its key is another one here",
        "missing or damaged",
        "has a fault here",
    ];
    assert_eq!(refused.len(), words.len());
    for (refused, words) in refused.iter().zip(words) {
        assert!(refused.contains(words), "{refused}");
    }
    assert_eq!(cluster.said.lock().unwrap().iter().filter(|line| line.contains("failed")).count(), 4);
    cluster.end();
}

#[test]
fn a_bad_worker_drops_no_record() {
    for is_lost in [true, false] {
        let cluster = Cluster::new();
        // The store has all but the last result, so the puppet's job reads the kept artifact.
        cluster.bench.run(&experiment("", &KEPT.replace(r#", "s": Show(of: "l")"#, ""))).1.unwrap();
        let key: fewbits_store::Key = cluster.bench.results(&experiment("", KEPT))["l"].0.parse().unwrap();
        let (events, summary) = run_with_puppet(&cluster, move |puppet, number| {
            let why = if is_lost { Undone::Lost(key) } else { Undone::Differs { task: "l".to_owned(), key } };
            puppet.say(Reply::Undone { number, why: why.clone() });
            // The first loss is published again, perhaps for the puppet.
            for order in (0..40)
                .flat_map(|_| {
                    std::thread::sleep(Duration::from_millis(50));
                    puppet.orders.read::<Order>().unwrap()
                })
                .collect::<Vec<_>>()
            {
                if let Some(Order::Do(job)) = order {
                    puppet.say(Reply::Undone { number: job.number, why: why.clone() });
                }
            }
        });
        assert_eq!((summary.ran, summary.failed), (1, 0), "{is_lost}: {events:#?}");
        assert!(!has(&events, &["l = "]), "the kept result did not run again: {events:#?}");
        cluster.end();
    }
}

#[test]
fn a_job_that_silences_its_workers_fails() {
    let mut cluster = Cluster::new();
    cluster.silence = Duration::from_secs(1);
    let (exchange, count) = (cluster.exchange(), AtomicBool::new(false));
    let come = |exchange: &Arc<Exchange>| {
        let mut puppet = Puppet::come(exchange, "weak");
        std::thread::spawn(move || {
            let (number, _) = puppet.job();
            puppet.say(Reply::Began(number));
        })
    };
    let players = Mutex::new(vec![come(&exchange)]);
    let each = |event: &Event| {
        let _ = count.load(Ordering::SeqCst);
        if matches!(event, Event::WorkerLeft { .. }) && players.lock().unwrap().len() < 3 {
            players.lock().unwrap().push(come(&exchange));
        }
    };
    let text = experiment("", r#""n": Number(value: 7)"#);
    let (events, summary) = cluster.run_until(&text, watch::channel(Halt::No).1, &each);
    assert_eq!(summary.unwrap().failed, 1, "{events:#?}");
    assert!(has(&events, &["n failed: 3 workers fell silent while they did it"]), "{events:#?}");
}
