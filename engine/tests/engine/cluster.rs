//! Runs on workers: threads of this process that share nothing with the coordinator but the folder of the exchange.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fewbits_engine::cluster::executor::{ClusterExecutor, ClusterSettings};
use fewbits_engine::cluster::message::{Hello, Order, Reply, Undone};
use fewbits_engine::cluster::recruiter::{Outlook, Recruiter};
use fewbits_engine::cluster::worker::{WorkerEnd, WorkerSettings, serve};
use fewbits_engine::event::{Event, Summary};
use fewbits_engine::run::coordinator::{RunError, Settings};
use fewbits_engine::run::halt::Halt;
use fewbits_engine::run::runner::{Runner, Version};
use fewbits_store::{Exchange, MailReader, MailWriter, Record, StoreError};
use tokio::sync::{mpsc, watch};

use crate::arithmetic::Arithmetic;
use crate::bench::{Bench, experiment, lines};

/// Every kind of artifact: kept, in a record, made again, of two parts; and tasks that share a key.
const NODES: &str = r#"
    "f": File(path: "f"), "n": Number(value: Axis("x")), "l": Learn(of: "n", seed: Axis("s")),
    "a": Add(left: "l", right: "f"), "r": Round(of: "a", to: 2), "b": Scale(of: "r", by: 3),
    "p": Split(of: "b"), "w": Whole(of: "p"), "pick": Pick(of: "l", among: [1, 2, 3], most: 50),
    "show": Show(of: "w"), "seen": Show(of: "pick"),
"#;
const AXES: &str = r#""x": [1, 2, 3, 4, 5], "s": [0, 1, 2]"#;

fn build() -> BTreeMap<String, String> {
    BTreeMap::from([("version".to_owned(), "1".to_owned())])
}

/// A recruiter of workers that the test starts.
struct ByHand;

impl Recruiter for ByHand {
    fn recruit(&mut self) -> Result<String, String> {
        Ok("the test starts workers".to_owned())
    }

    fn outlook(&mut self, _: &[(String, u32)], _: &[(String, u32)]) -> Outlook {
        Outlook::Unchanged
    }

    fn dismiss(&mut self, _: &[(String, u32)]) {}

    fn ends_workers(&self) -> bool {
        false
    }
}

/// A worker's thread, and the flag that ends it.
type RunningWorker = (Arc<AtomicBool>, JoinHandle<Result<WorkerEnd, StoreError>>);

/// An exchange with workers.
struct Cluster {
    bench: Bench,
    silence: Duration,
    workers: Mutex<Vec<RunningWorker>>,
    said: Arc<Mutex<Vec<String>>>,
}

impl Cluster {
    fn new() -> Self {
        let bench = Bench::new();
        std::fs::write(bench.path("f"), "10").unwrap();
        Self { bench, silence: Duration::from_mins(1), workers: Mutex::default(), said: Arc::default() }
    }

    fn root(&self) -> PathBuf {
        self.bench.path("exchange")
    }

    fn exchange(&self) -> Arc<Exchange> {
        Arc::new(Exchange::open(&self.root()).unwrap())
    }

    /// Returns the ops of a worker, which have the files of the coordinator.
    fn ops(&self) -> Arc<Arithmetic> {
        Arc::new(Arithmetic { base: self.bench.ops.base.clone(), ..Arithmetic::default() })
    }

    fn work(&self, place: &str, ops: &Arc<Arithmetic>) {
        self.work_as(Hello { place: place.to_owned(), jobs: 1, build: build(), member: None }, ops);
    }

    fn work_as(&self, hello: Hello, ops: &Arc<Arithmetic>) {
        let (stop, said) = (Arc::new(AtomicBool::new(false)), Arc::clone(&self.said));
        let (stopped, exchange, ops) = (Arc::clone(&stop), self.exchange(), Arc::clone(ops));
        let settings = WorkerSettings { hello, threads: 1, beat: Duration::from_millis(200), idle: None };
        let thread = std::thread::spawn(move || {
            let stops = || stopped.load(Ordering::SeqCst).then(|| "its time is nearly up".to_owned());
            serve(&exchange, &ops, &settings, &stops, &mut |line| said.lock().unwrap().push(line.to_owned()))
        });
        self.workers.lock().unwrap().push((stop, thread));
    }

    /// Ends all workers; returns how each ended.
    fn end(&self) -> Vec<WorkerEnd> {
        let workers = std::mem::take(&mut *self.workers.lock().unwrap());
        for (stop, _) in &workers {
            stop.store(true, Ordering::SeqCst);
        }
        workers.into_iter().map(|(_, thread)| thread.join().unwrap().unwrap()).collect()
    }

    fn run(&self, text: &str) -> (Vec<Event>, Result<Summary, RunError>) {
        self.run_until(text, watch::channel(Halt::No).1, &|_| ())
    }

    /// Runs a text on the workers; `each` sees every event.
    fn run_until(
        &self,
        text: &str,
        halt: watch::Receiver<Halt>,
        each: &dyn Fn(&Event),
    ) -> (Vec<Event>, Result<Summary, RunError>) {
        static RUNS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let (graph, store, exchange) = (self.bench.graph(text), self.bench.store(), self.exchange());
        let (events, mut told) = mpsc::unbounded_channel();
        let settings = Settings { jobs: 1, threads: 1, fail_fast: false };
        let cluster = ClusterSettings { build: build(), silence: self.silence };
        let runner = Runner::new(Arc::clone(&self.bench.ops), Arc::clone(&store), settings);
        let started = runner.with_executor(|report| {
            ClusterExecutor::start(exchange, Arc::clone(&store), Box::new(ByHand), cluster, report)
        });
        let mut runner = match started {
            Ok(runner) => runner,
            Err(error) => return (vec![], Err(error)),
        };
        let id = format!("cluster-{:03}", RUNS.fetch_add(1, Ordering::SeqCst));
        let version = Version { graph, id, follows: None };
        let mut all = vec![];
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let result = runtime.block_on(async {
            let newer = watch::channel(0).1;
            let run = runner.run(version, events, halt, newer);
            let listen = async {
                while let Some(event) = told.recv().await {
                    each(&event);
                    all.push(event);
                }
            };
            tokio::join!(run, listen).0
        });
        (all, result.map(|ended| ended.summary))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for (stop, _) in &*self.workers.lock().unwrap() {
            stop.store(true, Ordering::SeqCst);
        }
    }
}

/// A worker that the test plays.
struct Puppet {
    replies: MailWriter,
    orders: MailReader,
}

impl Puppet {
    fn come(exchange: &Exchange, place: &str) -> Self {
        let mut replies = exchange.enlist(place).unwrap();
        let hello = Hello { place: place.to_owned(), jobs: 1, build: build(), member: None };
        replies.append(&[Reply::Hello(hello)], true).unwrap();
        let orders = MailReader::new(&exchange.jobs(replies.worker()));
        Self { replies, orders }
    }

    /// Waits for a job, alive; returns its number and preimage.
    fn job(&mut self) -> (u64, String) {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(30) {
            for order in self.orders.read::<Order>().unwrap().into_iter().flatten() {
                if let Order::Do(job) = order {
                    return (job.number, job.preimage);
                }
            }
            self.say(Reply::Beat);
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("no job came");
    }

    fn say(&mut self, reply: Reply) {
        self.replies.append(&[reply], true).unwrap();
    }
}

/// Returns the result of a job as a worker writes it.
fn result(number: u64, preimage: String, value: f64) -> Reply {
    let digest = fewbits_store::Digest::hash(&value.to_le_bytes());
    let record = Record {
        preimage,
        metrics: BTreeMap::from([("value".to_owned(), value)]),
        parts: BTreeMap::from([("value".to_owned(), digest)]),
        ..Record::default()
    };
    Reply::Done { number, record: Box::new(record) }
}

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

/// A task without an artifact, behind one that two workers can do.
const TWO: &str = r#""n": Number(value: 7), "s": Show(of: "n")"#;

fn has(events: &[Event], words: &[&str]) -> bool {
    let lines = lines(events);
    lines.iter().any(|line| words.iter().all(|word| line.contains(word)))
}

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
    assert_eq!(ops.calls.lock().unwrap().values().sum::<usize>(), 18, "each task was computed once");
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
