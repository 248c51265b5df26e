//! What workers cost: the time per task that does nothing, and the time from the end of a task to its record.
//! docs/cluster.md has the figures.
//!
//! `cargo bench -p fewbits-engine --bench workers [-- TASKS…]`

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fewbits_engine::cluster::executor::{ClusterExecutor, ClusterSettings};
use fewbits_engine::cluster::message::{Hello, Reply};
use fewbits_engine::cluster::recruiter::{Outlook, Recruiter};
use fewbits_engine::cluster::worker::{WorkerSettings, serve};
use fewbits_engine::event::Event;
use fewbits_engine::graph::TaskGraph;
use fewbits_engine::run::coordinator::Settings;
use fewbits_engine::run::halt::Halt;
use fewbits_engine::run::runner::{Runner, Version};
use fewbits_store::{Exchange, Key, MailReader, Store};
use tokio::sync::{mpsc, watch};

#[allow(dead_code)]
#[path = "../tests/engine/arithmetic.rs"]
mod arithmetic;

use arithmetic::Arithmetic;

/// The number of workers.
const WORKERS: usize = 3;

/// Workers that the benchmark starts, and that end with the run.
struct Started;

impl Recruiter for Started {
    fn recruit(&mut self) -> Result<String, String> {
        Ok(String::new())
    }

    fn outlook(&mut self, _: &[(String, u32)], _: &[(String, u32)]) -> Outlook {
        Outlook::Unchanged
    }

    fn dismiss(&mut self, _: &[(String, u32)]) {}

    fn ends_workers(&self) -> bool {
        true
    }
}

/// Serves an exchange as a process of its own. Each task takes `millis` milliseconds, and its record says when it ended.
fn work(exchange: &str, millis: u64) {
    let exchange = Arc::new(Exchange::open(Path::new(exchange)).expect("an exchange"));
    let ops = Arc::new(Arithmetic { is_timed: true, ..Arithmetic::default() });
    if millis > 0 {
        let pause = Duration::from_millis(millis);
        *ops.hook.lock().expect("a hook") = Some(Box::new(move |_| std::thread::sleep(pause)));
    }
    let hello = Hello { place: "here".to_owned(), jobs: 1, build: BTreeMap::new(), member: None };
    let settings = WorkerSettings {
        hello,
        threads: 1,
        beat: Duration::from_secs(2),
        idle: Some(Duration::from_mins(1)),
    };
    serve(&exchange, &ops, &settings, &|| None, &mut |_| ()).expect("a worker");
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs_f64()
}

/// Runs `tasks` tasks of `millis` milliseconds on workers; prints the time per task and the median time to the record.
fn measure(tasks: usize, millis: u64) {
    let dir = tempfile::tempdir().expect("a folder");
    let exchange = Arc::new(Exchange::open(&dir.path().join("exchange")).expect("an exchange"));
    let store = Arc::new(Store::open_writer(&dir.path().join("store")).expect("a store"));
    let program = std::env::current_exe().expect("this program");
    let mut workers: Vec<Child> = (0..WORKERS)
        .map(|_| {
            let mut command = Command::new(&program);
            command.arg("worker").arg(exchange.root()).arg(millis.to_string());
            command.spawn().expect("a worker")
        })
        .collect();
    let ops = Arc::new(Arithmetic::default());
    let text = format!(
        r#"Experiment(name: "workers", axes: {{"x": Range(1, {tasks})}}, nodes: {{"n": Number(value: Axis("x"))}})"#
    );
    let graph = TaskGraph::parse(&text, &*ops, usize::MAX).unwrap_or_else(|faults| panic!("{faults:?}"));
    let settings = Settings { jobs: 1, threads: 1, fail_fast: false };
    let cluster = ClusterSettings { build: BTreeMap::new(), silence: Duration::from_mins(1) };
    let kept = Arc::clone(&store);
    let root = exchange.root().to_owned();
    let runner = Runner::new(ops, Arc::clone(&store), settings)
        .with_executor(|report| ClusterExecutor::start(exchange, kept, Box::new(Started), cluster, report));
    let mut runner = runner.unwrap_or_else(|error| panic!("{error}"));
    let (events, mut told) = mpsc::unbounded_channel();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let version = Version { graph: Arc::new(graph), id: "run".to_owned(), follows: None };
    let (mut completed, mut began) = (HashMap::new(), None);
    let ended = runtime.block_on(async {
        let run = runner.run(version, events, watch::channel(Halt::No).1, watch::channel(0).1);
        let listen = async {
            while let Some(event) = told.recv().await {
                match event {
                    Event::Started { .. } => drop(began.get_or_insert_with(Instant::now)),
                    Event::Completed { key, .. } => drop(completed.insert(key, now())),
                    _ => {}
                }
            }
        };
        tokio::join!(run, listen).0
    });
    let seconds = began.expect("a start").elapsed().as_secs_f64();
    let summary = ended.unwrap_or_else(|error| panic!("{error}")).summary;
    assert_eq!((summary.ran, summary.failed), (tasks, 0));
    let bytes: u64 = walk(&root);
    drop(runner);
    for worker in &mut workers {
        worker.wait().expect("an end");
    }
    let to_record = |(key, recorded): (&String, &f64)| {
        let key: Key = key.parse().expect("a key");
        let record = store.record(&key).expect("a store").expect("a record");
        recorded - record.provenance["ended"].parse::<f64>().expect("a time")
    };
    let mut delays: Vec<f64> = completed.iter().map(to_record).collect();
    delays.sort_unstable_by(f64::total_cmp);
    let computing = tasks as f64 * millis as f64 / 1e3 / WORKERS as f64;
    println!(
        "{tasks} tasks of {millis} ms on {WORKERS} workers: {seconds:.2} s, {:.2} ms of overhead per task; from the end of a \
         task to its record {:.0} ms in the median, {:.0} ms at most; {} bytes in the exchange per task",
        (seconds - computing) * 1e3 / tasks as f64,
        delays[delays.len() / 2] * 1e3,
        delays[delays.len() - 1] * 1e3,
        bytes / tasks as u64
    );
}

/// Prints the time of one look at the mailboxes of many workers that have nothing to say.
fn measure_look(workers: usize) {
    let dir = tempfile::tempdir().expect("a folder");
    let exchange = Exchange::open(&dir.path().join("exchange")).expect("an exchange");
    let mut readers: Vec<MailReader> = (0..workers)
        .map(|_| MailReader::new(&exchange.results(exchange.enlist("worker").expect("a worker").worker())))
        .collect();
    let start = Instant::now();
    for reader in &mut readers {
        assert!(reader.read::<Reply>().expect("a mailbox").is_empty());
    }
    let micros = start.elapsed().as_secs_f64() * 1e6;
    let start = Instant::now();
    assert_eq!(exchange.workers().expect("a folder").len(), workers);
    let listed = start.elapsed().as_secs_f64() * 1e6;
    println!(
        "a look at {workers} workers: {:.1} us for each, {listed:.0} us for their list",
        micros / workers as f64
    );
}

/// Returns the bytes of all files below a folder.
fn walk(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| {
            entry.metadata().map_or(0, |meta| if meta.is_dir() { walk(&entry.path()) } else { meta.len() })
        })
        .sum()
}

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    if let [word, exchange, millis] = &arguments[..]
        && word == "worker"
    {
        return work(exchange, millis.parse().expect("milliseconds"));
    }
    let sizes: Vec<usize> = arguments.iter().map(|size| size.parse().expect("a number of tasks")).collect();
    for tasks in if sizes.is_empty() { vec![1000, 10_000] } else { sizes } {
        measure(tasks, 0);
    }
    measure(60, 300);
    measure_look(10);
    measure_look(1000);
}
