//! What the engine takes per task that does next to nothing: to read and expand, to plan, to run, to find it done.
//! docs/performance.md has the figures.
//!
//! `cargo bench -p fewbits-engine --bench tasks [-- TASKS…]`

use std::sync::Arc;
use std::time::Instant;

use fewbits_engine::event::Summary;
use fewbits_engine::graph::TaskGraph;
use fewbits_engine::plan::{Planner, TaskState};
use fewbits_engine::reason::Reason;
use fewbits_engine::run::coordinator::{Settings, run};
use fewbits_engine::run::halt::Halt;
use fewbits_engine::table::results::Results;
use fewbits_engine::why::Explainer;
use fewbits_store::Store;
use tokio::sync::{mpsc, watch};

#[allow(dead_code)]
#[path = "../tests/engine/arithmetic.rs"]
mod arithmetic;

use arithmetic::Arithmetic;

/// Half the tasks have parameters of their own, as quantizations do, and half share them, as evaluations do. No two
/// products are equal, or they would share a result.
fn experiment(tasks: usize) -> String {
    format!(
        r#"Experiment(name: "tasks", axes: {{"x": Range(1000001, 1000050), "y": Range(1, {})}}, nodes: {{
            "n": Number(value: Axis("x")),
            "scaled": Scale(of: "n", by: Axis("y")),
            "shown": Show(of: "scaled", offset: 1),
        }})"#,
        tasks / 100
    )
}

/// Runs all that is not done; returns how it ended and the seconds it took.
fn run_all(graph: &Arc<TaskGraph<Arithmetic>>, ops: &Arc<Arithmetic>, store: &Arc<Store>) -> (Summary, f64) {
    let start = Instant::now();
    let (events, mut told) = mpsc::unbounded_channel();
    let settings = Settings { jobs: 2, threads: 2, fail_fast: false };
    let halt = watch::channel(Halt::No).1;
    let id = format!("run-{}", start.elapsed().as_nanos());
    let running = run(Arc::clone(graph), Arc::clone(ops), Arc::clone(store), &id, settings, events, halt);
    let drained = async { while told.recv().await.is_some() {} };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (ended, ()) = runtime.block_on(async { tokio::join!(running, drained) });
    (ended.expect("a run").0, start.elapsed().as_secs_f64())
}

/// Returns the seconds that it takes to find the stored result that is most like a task that never ran. It is one of the
/// last, so that nearly all of the op are read: half of all records.
fn nearest(tasks: usize, ops: &Arithmetic, store: &Store) -> f64 {
    let text = format!(
        r#"Experiment(name: "another", nodes: {{
            "n": Number(value: 1000050),
            "scaled": Scale(of: "n", by: {}),
            "shown": Show(of: "scaled", offset: 7),
        }})"#,
        tasks / 100
    );
    let graph = TaskGraph::parse(&text, ops, usize::MAX).unwrap_or_else(|faults| panic!("{faults:?}"));
    let planner = Planner::new(&graph, ops, store);
    let plan = planner.plan().expect("a plan");
    let task = graph.tasks().find(|task| plan.planned(*task).state == TaskState::Run).expect("a task");
    let explainer = Explainer::new(&graph, &plan, &planner, ops, store);
    let start = Instant::now();
    let reason = explainer.closest_reason(task).expect("a reason");
    assert!(matches!(reason, Reason::Changed { .. }), "{reason:?}");
    start.elapsed().as_secs_f64()
}

fn measure(tasks: usize) {
    let dir = tempfile::tempdir().expect("a folder");
    let root = dir.path().join("store");
    let ops = Arc::new(Arithmetic { base: dir.path().to_owned(), ..Arithmetic::default() });
    let store = Arc::new(Store::open_writer(&root).expect("a store"));
    let text = experiment(tasks);
    let start = Instant::now();
    let graph = TaskGraph::parse(&text, &*ops, usize::MAX).unwrap_or_else(|faults| panic!("{faults:?}"));
    let (graph, read) = (Arc::new(graph), start.elapsed().as_secs_f64());
    let (summary, cold) = run_all(&graph, &ops, &store);
    assert_eq!((summary.ran, summary.tasks), (graph.len(), graph.len()));
    drop(store);
    let start = Instant::now();
    let store = Arc::new(Store::open_writer(&root).expect("a store"));
    let opened = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let plan = Planner::new(&graph, &*ops, &store).plan().expect("a plan");
    let planned = start.elapsed().as_secs_f64();
    let (summary, hit) = run_all(&graph, &ops, &store);
    assert_eq!(summary.cached, graph.len());
    let start = Instant::now();
    Results::none(graph.len())
        .check(&graph, &plan, &store, &graph.node_tasks.ids().collect::<Vec<_>>())
        .expect("records");
    let checked = start.elapsed().as_secs_f64();
    let nearest = nearest(tasks, &ops, &store) * 1e3;
    let n = graph.len();
    let micros = |seconds: f64| seconds * 1e6 / n as f64;
    println!(
        "{n:>9} tasks, each: read {:.2} µs, run {:.1} µs, open {:.2} µs, plan {:.2} µs, run again {:.2} µs, check {:.2} µs; the nearest result in {nearest:.1} ms",
        micros(read),
        micros(cold),
        micros(opened),
        micros(planned),
        micros(hit),
        micros(checked),
    );
}

fn main() {
    // cargo passes `--bench`.
    let asked: Vec<usize> = std::env::args().skip(1).filter_map(|tasks| tasks.parse().ok()).collect();
    let tasks = if asked.is_empty() { vec![10_000, 100_000] } else { asked };
    tasks.into_iter().for_each(measure);
}
