//! A test bench: a store in a temporary folder, and its runs as lists of lines.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fewbits_engine::dense::NodeId;
use fewbits_engine::event::{Event, Summary};
use fewbits_engine::graph::{MOST_TASKS, TaskGraph};
use fewbits_engine::plan::{Plan, Planner};
use fewbits_engine::reason::Reason;
use fewbits_engine::run::coordinator::{RunError, Settings, run};
use fewbits_engine::run::halt::Halt;
use fewbits_engine::table::layout::Layout;
use fewbits_engine::table::long;
use fewbits_engine::table::results::Results;
use fewbits_engine::table::table_sheets::{TableSheets, make};
use fewbits_store::Store;
use tokio::sync::{mpsc, watch};

use crate::arithmetic::Arithmetic;

/// A store and the arithmetic ops that write to it.
pub struct Bench {
    dir: tempfile::TempDir,
    pub ops: Arc<Arithmetic>,
    pub jobs: usize,
    pub fail_fast: bool,
    runs: AtomicUsize,
}

impl Bench {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ops = Arc::new(Arithmetic { base: dir.path().to_owned(), ..Arithmetic::default() });
        Self { dir, ops, jobs: 1, fail_fast: false, runs: AtomicUsize::new(0) }
    }

    /// Returns a path in the folder in which `File` nodes look for their files.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn root(&self) -> PathBuf {
        self.path("store")
    }

    pub fn store(&self) -> Arc<Store> {
        Arc::new(Store::open_writer(&self.root()).unwrap())
    }

    pub fn graph(&self, text: &str) -> Arc<TaskGraph<Arithmetic>> {
        match TaskGraph::parse(text, &*self.ops, MOST_TASKS) {
            Ok(graph) => Arc::new(graph),
            Err(faults) => panic!("{faults:#?}\n{text}"),
        }
    }

    /// Runs a text; returns the events in order, and the result of the run.
    pub fn run(&self, text: &str) -> (Vec<Event>, Result<Summary, RunError>) {
        self.run_until(text, watch::channel(Halt::No).1)
    }

    pub fn run_until(
        &self,
        text: &str,
        halt: watch::Receiver<Halt>,
    ) -> (Vec<Event>, Result<Summary, RunError>) {
        let settings = Settings { jobs: self.jobs, threads: 2, fail_fast: self.fail_fast };
        let id = format!("run-{:03}", self.runs.fetch_add(1, Ordering::SeqCst));
        let (events, mut told) = mpsc::unbounded_channel();
        let (graph, store) = (self.graph(text), self.store());
        let running = run(graph, Arc::clone(&self.ops), Arc::clone(&store), &id, settings, events, halt);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let result = runtime.block_on(running).map(|(summary, _)| summary);
        let mut all = vec![];
        while let Ok(event) = told.try_recv() {
            all.push(event);
        }
        if let Some(Event::Finished(summary)) = all.last() {
            let Summary { tasks, ran, cached, failed, skipped, .. } = *summary;
            assert_eq!(tasks, ran + cached + failed + skipped, "{summary:?}");
        }
        let left = working(&all, self.jobs);
        let cut = result.is_err() || all.contains(&Event::Interrupted);
        assert!(cut || left == 0, "{left} tasks started and never ended: {all:#?}");
        (all, result)
    }

    /// Runs a text; returns its events as compact text, as [`lines`] does.
    pub fn events(&self, text: &str) -> Vec<String> {
        lines(&self.run(text).0)
    }

    /// Runs a text; returns its summary as `ran cached failed skipped`.
    pub fn summary(&self, text: &str) -> [usize; 4] {
        let summary = self.run(text).1.unwrap();
        [summary.ran, summary.cached, summary.failed, summary.skipped]
    }

    /// Plans a text as a reader of the store.
    pub fn plan<T>(&self, text: &str, with: impl FnOnce(&TaskGraph<Arithmetic>, &Plan, &Store) -> T) -> T {
        let (graph, store) = (self.graph(text), Store::open_reader(&self.root()).unwrap());
        let plan = Planner::new(&graph, &*self.ops, &store).plan().unwrap();
        with(&graph, &plan, &store)
    }

    /// Returns the key and the metrics of every task whose result is stored, by name.
    pub fn results(&self, text: &str) -> BTreeMap<String, (String, BTreeMap<String, f64>)> {
        self.plan(text, |graph, plan, store| {
            let stored = |task| {
                let key = plan.planned(task).key?;
                let record = store.record(&key).unwrap()?;
                Some((graph.name(task), (key.to_string(), record.metrics)))
            };
            graph.tasks().filter_map(stored).collect()
        })
    }

    /// Makes the first table of a text from the stored results.
    pub fn table(&self, text: &str, layout: Layout) -> Result<TableSheets, String> {
        self.plan(text, |graph, plan, store| {
            let nodes: Vec<NodeId> = graph.node_tasks.ids().collect();
            let results = Results::load(graph, plan, store, &nodes, &graph.experiment.tables).unwrap();
            make(&*self.ops, graph, &results, &graph.experiment.tables[0], layout)
                .map_err(|error| error.to_string())
        })
    }

    /// Returns the long table as JSON, without seconds.
    pub fn long(&self, text: &str) -> serde_json::Value {
        self.plan(text, |graph, plan, store| {
            let nodes: Vec<NodeId> = graph.node_tasks.ids().collect();
            let results = Results::load(graph, plan, store, &nodes, &graph.experiment.tables).unwrap();
            let mut rows = long::long_table(graph, &results).unwrap().objects();
            for row in &mut rows {
                row.retain(|name, _| !name.ends_with(".seconds"));
            }
            rows.into_iter().map(serde_json::Value::Object).collect()
        })
    }

    /// Removes every object from the store; returns their number.
    pub fn lose_objects(&self) -> usize {
        self.objects().iter().map(|path| fs::remove_file(path).unwrap()).count()
    }

    /// Overwrites every object with other content; returns their number.
    pub fn damage_objects(&self) -> usize {
        self.objects().iter().map(|path| fs::write(path, b"rubbish!").unwrap()).count()
    }

    pub fn objects(&self) -> Vec<PathBuf> {
        let list = |dir: &Path| fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        let folders = list(&self.root().join("objects")).filter(|path| path.is_dir());
        folders.flat_map(|folder| list(&folder).collect::<Vec<_>>()).collect()
    }
}

/// Returns the text of an experiment with these axes and nodes.
pub fn experiment(axes: &str, nodes: &str) -> String {
    format!("Experiment(name: \"test\", axes: {{{axes}}}, nodes: {{{nodes}}})")
}

/// Returns the events as lines, in an order that does not depend on the speed of the disk. A task that ran is one line
/// at its start, and the tasks that share its result follow it. The plan and the summary are left out, so that a run
/// with nothing to do is `[]`.
pub fn lines(events: &[Event]) -> Vec<String> {
    let mut lines: Vec<String> = vec![];
    for event in events {
        match event {
            Event::Planned { .. }
            | Event::Edited { .. }
            | Event::Refused { .. }
            | Event::Proposed { .. }
            | Event::Progressed { .. }
            | Event::Computed { .. }
            | Event::Noted { .. }
            | Event::WorkerJoined { .. }
            | Event::WorkerLeft { .. }
            | Event::Finished(_) => {}
            Event::Returned { task, from, because } => {
                lines.push(format!("{task} returned from {from}: {because}"));
            }
            Event::Left => lines.push("left".to_owned()),
            Event::Superseded => lines.push("superseded".to_owned()),
            Event::Started { task, .. } => lines.push(format!("started {task}")),
            Event::Completed { task, metrics, .. } => {
                let start = format!("started {task}");
                let at = lines.iter().rposition(|line| *line == start).expect("started before");
                let value: Vec<String> = metrics.values().map(ToString::to_string).collect();
                lines[at] = format!("{task} = {}", value.join(", "));
            }
            Event::Reused { task, same_as: Some(other), .. } => {
                let (result, takes) = (format!("{other} = "), format!(" same as {other}"));
                let at = lines.iter().rposition(|line| line.starts_with(&result)).expect("completed before");
                let after = lines[at + 1..].iter().take_while(|line| line.ends_with(&takes)).count();
                lines.insert(at + 1 + after, format!("{task}{takes}"));
            }
            Event::Reused { task, same_as: None, .. } => lines.push(format!("{task} reused")),
            Event::Postponed { task, because } => lines.push(format!("{task} postponed: {because}")),
            Event::Rebuilt { task, .. } => lines.push(format!("{task} rebuilt")),
            Event::Failed { task, error } => lines.push(format!("{task} failed: {error}")),
            Event::Skipped { task, because } => lines.push(format!("{task} skipped: {because}")),
            Event::Warned { message } => lines.push(format!("warned: {message}")),
            Event::Draining => lines.push("draining".to_owned()),
            Event::Interrupted => lines.push("interrupted".to_owned()),
        }
    }
    lines
}

/// Follows every task from its start to the record of its result. Panics if more tasks run than there are jobs, or if a
/// result is recorded whose job has not ended. Returns the number of tasks that run or wait for the disk after the last
/// event.
fn working(events: &[Event], jobs: usize) -> usize {
    let (mut running, mut saving) = (BTreeSet::new(), BTreeSet::new());
    for event in events {
        match event {
            Event::Started { task, .. } => assert!(running.insert(task), "{task} started twice"),
            Event::Computed { task } => {
                assert!(running.remove(task) && saving.insert(task), "{task} does not run");
            }
            Event::Completed { task, .. } => assert!(saving.remove(task), "{task} is not computed"),
            Event::Postponed { task, .. } => assert!(running.remove(task), "{task} does not run"),
            Event::Returned { task, .. } => drop(running.remove(task)),
            Event::Failed { task, .. } => {
                running.remove(task);
                saving.remove(task);
            }
            Event::Planned { .. }
            | Event::Edited { .. }
            | Event::Superseded
            | Event::Refused { .. }
            | Event::Proposed { .. }
            | Event::Progressed { .. }
            | Event::Reused { .. }
            | Event::Rebuilt { .. }
            | Event::Skipped { .. }
            | Event::Warned { .. }
            | Event::Noted { .. }
            | Event::WorkerJoined { .. }
            | Event::WorkerLeft { .. }
            | Event::Left
            | Event::Draining
            | Event::Interrupted
            | Event::Finished(_) => {}
        }
        assert!(running.len() <= jobs, "{running:?} run with {jobs} jobs");
    }
    running.len() + saving.len()
}

/// Returns the reason of each task that started.
pub fn reasons(events: &[Event]) -> Vec<(String, Reason)> {
    let started = |event: &Event| match event {
        Event::Started { task, reason, .. } => Some((task.clone(), reason.clone())),
        _ => None,
    };
    events.iter().filter_map(started).collect()
}
