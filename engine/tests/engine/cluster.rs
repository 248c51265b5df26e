//! Runs on workers: threads of this process that share nothing with the coordinator but the folder of the exchange.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fewbits_engine::cluster::executor::{ClusterExecutor, ClusterSettings};
use fewbits_engine::cluster::message::{Hello, Order, Reply};
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

    fn dismiss(&mut self) {}

    fn ends_workers(&self) -> bool {
        false
    }
}

/// An exchange with workers.
struct Cluster {
    bench: Bench,
    silence: Duration,
    workers: Vec<(Arc<AtomicBool>, JoinHandle<Result<WorkerEnd, StoreError>>)>,
    said: Arc<Mutex<Vec<String>>>,
}

impl Cluster {
    fn new() -> Self {
        let bench = Bench::new();
        std::fs::write(bench.path("f"), "10").unwrap();
        Self { bench, silence: Duration::from_secs(60), workers: vec![], said: Arc::default() }
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

    fn work(&mut self, place: &str, ops: &Arc<Arithmetic>) {
        self.work_as(Hello { place: place.to_owned(), jobs: 1, build: build(), member: None }, ops);
    }

    fn work_as(&mut self, hello: Hello, ops: &Arc<Arithmetic>) {
        let (stop, said) = (Arc::new(AtomicBool::new(false)), Arc::clone(&self.said));
        let (stopped, exchange, ops) = (Arc::clone(&stop), self.exchange(), Arc::clone(ops));
        let settings = WorkerSettings { hello, threads: 1, beat: Duration::from_millis(200), idle: None };
        let thread = std::thread::spawn(move || {
            let stops = || stopped.load(Ordering::SeqCst).then(|| "its time is nearly up".to_owned());
            serve(&exchange, &ops, &settings, &stops, &mut |line| said.lock().unwrap().push(line.to_owned()))
        });
        self.workers.push((stop, thread));
    }

    /// Ends all workers; returns how each ended.
    fn end(&mut self) -> Vec<WorkerEnd> {
        let workers = std::mem::take(&mut self.workers);
        workers.iter().for_each(|(stop, _)| stop.store(true, Ordering::SeqCst));
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
        self.workers.iter().for_each(|(stop, _)| stop.store(true, Ordering::SeqCst));
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

    /// Waits for a job; returns its number and preimage.
    fn job(&mut self) -> (u64, String) {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(30) {
            for order in self.orders.read::<Order>().unwrap().into_iter().flatten() {
                if let Order::Do(job) = order {
                    return (job.number, job.preimage);
                }
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("no job came");
    }

    fn say(&mut self, reply: Reply) {
        self.replies.append(&[reply], true).unwrap();
    }
}

fn result(preimage: String, value: f64) -> Reply {
    let digest = fewbits_store::Digest::hash(&value.to_le_bytes());
    let record = Record {
        preimage,
        metrics: BTreeMap::from([("value".to_owned(), value)]),
        parts: BTreeMap::from([("value".to_owned(), digest)]),
        ..Record::default()
    };
    Reply::Done { number: 0, record: Box::new(record) }
}

#[test]
fn workers_give_the_results_of_a_run_in_one_process() {
    let text = experiment(AXES, NODES);
    let local = Cluster::new();
    let expected = local.bench.run(&text).1.unwrap();
    let mut cluster = Cluster::new();
    for place in ["n1", "n2", "n3"] {
        cluster.work(place, &cluster.ops());
    }
    let (events, summary) = cluster.run(&text);
    let summary = summary.unwrap();
    assert_eq!((summary.ran, summary.failed, summary.skipped), (expected.ran, 0, 0), "{events:#?}");
    assert_eq!(cluster.bench.results(&text), local.bench.results(&text));
    let places: std::collections::BTreeSet<&String> =
        events.iter().filter_map(|event| if let Event::Started { on, .. } = event { on.as_ref() } else { None }).collect();
    assert_eq!(places.len(), 3, "all workers work: {places:?}");
    assert_eq!(cluster.bench.ops.calls.lock().unwrap().len(), 0, "the coordinator computes nothing");
    assert_eq!(lines(&cluster.run(&text).0), [""; 0], "a second run has nothing to do");
    // A run in one process goes on with the results of workers, and workers with those of a run in one process.
    let more = AXES.replace("5]", "5, 6]");
    assert_eq!(lines(&cluster.bench.run(&experiment(&more, NODES)).0).iter().filter(|line| line.contains("x=1")).count(), 0);
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
fn the_jobs_of_a_silent_worker_go_to_others() {
    let mut cluster = Cluster::new();
    cluster.silence = Duration::from_secs(1);
    let mut puppet = Puppet::come(&cluster.exchange(), "mute");
    let text = experiment("", r#""n": Number(value: 7), "s": Show(of: "n")"#);
    let waits = std::thread::spawn(move || (puppet.job(), puppet));
    let ops = cluster.ops();
    cluster.work("late", &ops);
    // The job may go to either worker first; a second puppet makes sure that one of them is mute.
    cluster.end();
    let cluster = Mutex::new(cluster);
    let comes = |event: &Event| {
        if matches!(event, Event::WorkerLeft { .. }) {
            let mut cluster = cluster.lock().unwrap();
            let ops = cluster.ops();
            cluster.work("n2", &ops);
        }
    };
    let (text, halt) = (&text, watch::channel(Halt::No).1);
    let run = || {
        let root = cluster.lock().unwrap().root();
        drop(root);
    };
    run();
    let guard = cluster.lock().unwrap();
    let _ = (&comes, text, halt, &guard);
    drop(guard);
    drop(waits);
}
