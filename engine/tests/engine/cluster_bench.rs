//! A bench of runs on workers: threads of this process that share nothing with the coordinator but the folder of the exchange.

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
use crate::bench::{Bench, lines};

/// Every kind of artifact: kept, in a record, made again, of two parts; and tasks that share a key.
pub const NODES: &str = r#"
    "f": File(path: "f"), "n": Number(value: Axis("x")), "l": Learn(of: "n", seed: Axis("s")),
    "a": Add(left: "l", right: "f"), "r": Round(of: "a", to: 2), "b": Scale(of: "r", by: 3),
    "p": Split(of: "b"), "w": Whole(of: "p"), "pick": Pick(of: "l", among: [1, 2, 3], most: 50),
    "show": Show(of: "w"), "seen": Show(of: "pick"),
"#;
pub const AXES: &str = r#""x": [1, 2, 3, 4, 5], "s": [0, 1, 2]"#;

/// A task without an artifact, behind one that two workers can do.
pub const TWO: &str = r#""n": Number(value: 7), "s": Show(of: "n")"#;

pub fn build() -> BTreeMap<String, String> {
    BTreeMap::from([("version".to_owned(), "1".to_owned())])
}

/// A recruiter of workers that the test starts.
pub struct ByHand;

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
pub type RunningWorker = (Arc<AtomicBool>, JoinHandle<Result<WorkerEnd, StoreError>>);

/// An exchange with workers.
pub struct Cluster {
    pub bench: Bench,
    pub silence: Duration,
    pub workers: Mutex<Vec<RunningWorker>>,
    pub said: Arc<Mutex<Vec<String>>>,
}

impl Cluster {
    pub fn new() -> Self {
        let bench = Bench::new();
        std::fs::write(bench.path("f"), "10").unwrap();
        Self { bench, silence: Duration::from_mins(1), workers: Mutex::default(), said: Arc::default() }
    }

    pub fn root(&self) -> PathBuf {
        self.bench.path("exchange")
    }

    pub fn exchange(&self) -> Arc<Exchange> {
        Arc::new(Exchange::open(&self.root()).unwrap())
    }

    /// Returns the ops of a worker, which have the files of the coordinator.
    pub fn ops(&self) -> Arc<Arithmetic> {
        Arc::new(Arithmetic { base: self.bench.ops.base.clone(), ..Arithmetic::default() })
    }

    pub fn work(&self, place: &str, ops: &Arc<Arithmetic>) {
        self.work_as(Hello { place: place.to_owned(), jobs: 1, build: build(), member: None }, ops);
    }

    pub fn work_as(&self, hello: Hello, ops: &Arc<Arithmetic>) {
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
    pub fn end(&self) -> Vec<WorkerEnd> {
        let workers = std::mem::take(&mut *self.workers.lock().unwrap());
        for (stop, _) in &workers {
            stop.store(true, Ordering::SeqCst);
        }
        workers.into_iter().map(|(_, thread)| thread.join().unwrap().unwrap()).collect()
    }

    pub fn run(&self, text: &str) -> (Vec<Event>, Result<Summary, RunError>) {
        self.run_until(text, watch::channel(Halt::No).1, &|_| ())
    }

    /// Runs a text on the workers; `each` sees every event.
    pub fn run_until(
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
pub struct Puppet {
    replies: MailWriter,
    pub orders: MailReader,
}

impl Puppet {
    pub fn come(exchange: &Exchange, place: &str) -> Self {
        let mut replies = exchange.enlist(place).unwrap();
        let hello = Hello { place: place.to_owned(), jobs: 1, build: build(), member: None };
        replies.append(&[Reply::Hello(hello)], true).unwrap();
        let orders = MailReader::new(&exchange.jobs(replies.worker()));
        Self { replies, orders }
    }

    /// Waits for a job, alive; returns its number and preimage.
    pub fn job(&mut self) -> (u64, String) {
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

    pub fn say(&mut self, reply: Reply) {
        self.replies.append(&[reply], true).unwrap();
    }
}

/// Returns the result of a job as a worker writes it.
pub fn result(number: u64, preimage: String, value: f64) -> Reply {
    let digest = fewbits_store::Digest::hash(&value.to_le_bytes());
    let record = Record {
        preimage,
        metrics: BTreeMap::from([("value".to_owned(), value)]),
        parts: BTreeMap::from([("value".to_owned(), digest)]),
        ..Record::default()
    };
    Reply::Done { number, record: Box::new(record) }
}

pub fn has(events: &[Event], words: &[&str]) -> bool {
    let lines = lines(events);
    lines.iter().any(|line| words.iter().all(|word| line.contains(word)))
}
