//! The state of one run, built from the lines of its run log, whether the run is going on or ended long ago.
//! Knows nothing of keys, views or the store.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use fewbits_engine::dense::{DenseMap, NodeId};
use fewbits_engine::event::{Event, Summary};
use fewbits_engine::graph::{TaskGraph, TaskId};
use fewbits_engine::plan::Counts;
use fewbits_engine::preview::NodePreview;
use fewbits_engine::run_log::{LoggedEvent, RunHeader};
use fewbits_engine::spec::experiment::Experiment;
use fewbits_ops::StandardOps;
use fewbits_ops::quantize::TensorSize;
use fewbits_store::Record;

use super::jobs::Jobs;
use super::log::{LogEntry, LogEvent};
use super::paint::shorten;
use super::task_status::{Detail, StatusCounts, TaskDetail, TaskStatus, status_counts};
use super::theme::Theme;
use crate::render::number::count;
use crate::ui::eta::Eta;
use crate::ui::plain::{LEFT, joined, printable, sentence};

/// The number of log entries that are kept.
const LOG: usize = 10_000;
/// The number of records that are kept.
const RECORDS: usize = 256;

/// A run as it is opened: the data that does not change while the run goes on.
#[derive(Clone)]
pub struct OpenedRun {
    /// The run's id.
    pub id: String,
    /// The start in seconds of Unix time; `None` if the run is replayed, or its id has no time.
    pub began: Option<f64>,
    /// The header of its run log.
    pub header: RunHeader,
    /// The experiment's tasks.
    pub graph: Arc<TaskGraph<StandardOps>>,
    /// The tasks by name.
    pub names: Arc<HashMap<String, TaskId>>,
}

/// The progress of the run as a whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RunProgress {
    /// The plan is not made yet.
    Planning,
    /// The run is going on.
    Going,
    /// The run stops after the running tasks.
    Draining,
    /// The run drops the running tasks and stops.
    Interrupted,
    /// The run ended.
    Ended(Summary),
    /// The run's process ended without finishing the run.
    Gone,
}

/// The state of one run.
pub struct RunModel {
    /// The data that does not change.
    pub opened: OpenedRun,
    /// The details of each task.
    pub tasks: Vec<TaskDetail>,
    /// The counts of task statuses for each node.
    pub nodes: DenseMap<NodeId, StatusCounts>,
    /// The log, oldest entry first.
    pub log: VecDeque<LogEntry>,
    /// The estimate of the remaining time.
    pub eta: Eta,
    /// The progress of the run as a whole.
    pub progress: RunProgress,
    /// The time of the newest event, in seconds since the start of the run.
    pub at: f64,
    /// The jobs and their running tasks.
    pub jobs: Jobs,
    /// The workers of a cluster, each with the number of tasks that it runs at once; empty without a cluster.
    pub workers: Vec<(String, usize)>,
    /// What the edit means that led to this run, node by node; empty if no edit did.
    pub preview: Vec<NodePreview>,
    /// The number of changes so far. A value derived from the model is out of date when this number differs.
    pub version: u64,
    records: HashMap<TaskId, Option<Arc<Record>>>,
    /// The tensors of the networks that tasks quantize; kept as long as the records.
    tensors: HashMap<TaskId, Vec<TensorSize>>,
}

impl RunModel {
    /// Creates the state of a run before its first event.
    #[must_use]
    pub fn new(opened: OpenedRun) -> Self {
        let graph = &opened.graph;
        let waiting = TaskDetail { status: TaskStatus::Waiting, started: None, seconds: None, detail: None };
        let mut tasks = vec![waiting; graph.len()];
        for range in &opened.header.cached {
            let range = range.start.min(range.end) as usize..range.end as usize;
            for task in tasks.iter_mut().take(range.end).skip(range.start) {
                task.status = TaskStatus::Cached;
            }
        }
        let nodes = graph.node_tasks.ids().map(|node| status_counts(&tasks, graph.tasks_of(node))).collect();
        let (eta, jobs) = (Eta::new(opened.header.jobs), Jobs::new(opened.header.jobs));
        Self {
            tasks,
            nodes,
            log: VecDeque::new(),
            eta,
            progress: RunProgress::Planning,
            at: 0.0,
            jobs,
            workers: vec![],
            preview: vec![],
            version: 0,
            records: HashMap::new(),
            tensors: HashMap::new(),
            opened,
        }
    }

    /// Applies a line of the run log.
    pub fn update(&mut self, logged: &LoggedEvent) {
        self.version += 1;
        self.at = self.at.max(logged.at);
        self.eta.update(&logged.event);
        let at = logged.at;
        match &logged.event {
            Event::Planned { counts, .. } => self.planned(at, counts),
            Event::Started { task, key, reason, on } => {
                let Some(id) = self.turn(task, TaskStatus::Running) else { return };
                self.tasks[id.index()].started = Some(at);
                // A task that starts a second time in one run starts from nothing.
                *self.detail(id) = Detail {
                    key: key.clone(),
                    reason: Some(reason.clone()),
                    on: on.clone(),
                    ..Detail::default()
                };
                self.enter(at, Some(id), LogEvent::Started);
            }
            Event::Progressed { task, done, total, metrics } => {
                let Some(id) = self.find(task) else { return };
                let detail = self.detail(id);
                detail.progress = Some((*done, *total));
                detail.curve.push((*done, metrics.clone()));
            }
            Event::Computed { task } => {
                self.turn(task, TaskStatus::Saving);
            }
            Event::Completed { task, key, metrics, seconds } => {
                let Some(id) = self.turn(task, TaskStatus::Done) else { return };
                self.tasks[id.index()].seconds = Some(*seconds);
                let detail = self.detail(id);
                (detail.key, detail.metrics) = (key.clone(), metrics.clone());
                self.enter(at, Some(id), LogEvent::Done);
            }
            Event::Reused { task, key, same_as } => {
                let Some(id) = self.turn(task, TaskStatus::Cached) else { return };
                let same_as = same_as.as_ref().and_then(|name| self.find(name));
                let detail = self.detail(id);
                (detail.key, detail.same_as) = (key.clone(), same_as);
                self.enter(at, Some(id), LogEvent::Reused);
            }
            Event::Postponed { task, because } => {
                let Some(id) = self.turn(task, TaskStatus::Waiting) else { return };
                self.tasks[id.index()].started = None;
                self.enter(at, Some(id), LogEvent::Postponed(self.find(because)));
            }
            Event::Returned { task, from, because } => {
                let Some(id) = self.turn(task, TaskStatus::Waiting) else { return };
                self.tasks[id.index()].started = None;
                self.note(at, &format!("{task} returned from {from}: {because}"));
            }
            Event::WorkerJoined { worker, jobs } => {
                self.workers.push((worker.clone(), *jobs));
                self.note(at, &joined(worker, *jobs));
            }
            Event::WorkerLeft { worker, because, .. } => {
                let at_list = self.workers.iter().position(|(place, _)| place == worker);
                at_list.map(|place| self.workers.remove(place));
                self.enter(at, None, LogEvent::Note(format!("worker {worker} left: {because}"), false));
            }
            Event::Rebuilt { task, seconds } => {
                let Some(id) = self.find(task) else { return };
                self.detail(id).rebuilt = true;
                self.enter(at, Some(id), LogEvent::Rebuilt(*seconds));
            }
            Event::Failed { task, error } => {
                let Some(id) = self.turn(task, TaskStatus::Failed) else { return };
                self.detail(id).error = Some(error.clone());
                self.enter(at, Some(id), LogEvent::Failed);
            }
            Event::Skipped { task, because } => self.skipped(at, task, because),
            Event::Warned { message } => self.enter(at, None, LogEvent::Note(message.clone(), true)),
            Event::Noted { message } => self.note(at, message),
            Event::Left => {
                self.progress = RunProgress::Draining;
                self.note(at, LEFT);
            }
            Event::Edited { nodes } => self.preview.clone_from(nodes),
            // What was not run is no part of a run.
            Event::Refused { .. } | Event::Proposed { .. } => {}
            Event::Superseded => self.note(at, "the file has changed: the new version takes over"),
            Event::Draining => {
                self.progress = RunProgress::Draining;
                self.note(at, "ending after the running tasks");
            }
            Event::Interrupted => {
                self.progress = RunProgress::Interrupted;
                self.note(at, "interrupted: running tasks are dropped, finished results are kept");
            }
            Event::Finished(summary) => self.finished(at, *summary),
        }
    }

    /// Marks the run as ended, as its process reports. The run log reports the same, unless it could not be written.
    pub fn ended(&mut self, summary: Summary) {
        if self.is_going() {
            self.progress = RunProgress::Ended(summary);
            self.leave_rest();
        }
    }

    /// Marks the run as gone: its process ended without finishing the run.
    pub fn gone(&mut self) {
        if !matches!(self.progress, RunProgress::Ended(_)) {
            self.progress = RunProgress::Gone;
            self.leave_rest();
        }
    }

    /// Returns the run's experiment.
    #[must_use]
    pub fn experiment(&self) -> &Experiment {
        &self.opened.graph.experiment
    }

    /// Returns the task with a name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<TaskId> {
        self.opened.names.get(name).copied()
    }

    /// Returns the name of a task in at most `width` characters: in full, else without axis names, else cut in the
    /// middle.
    #[must_use]
    pub fn short_name(&self, task: TaskId, width: usize, theme: Theme) -> String {
        let graph = &self.opened.graph;
        let name = printable(&graph.name(task));
        if super::paint::width(&name) <= width {
            return name;
        }
        let labels: Vec<&str> = graph.point(task).map(|(_, label)| label).collect();
        let node = &graph.experiment.nodes[graph.node(task)].name;
        shorten(&printable(&format!("{node}({})", labels.join(","))), width, theme)
    }

    /// Returns the details of a task.
    #[must_use]
    pub fn task(&self, task: TaskId) -> &TaskDetail {
        &self.tasks[task.index()]
    }

    /// Returns the counts of all nodes added up.
    #[must_use]
    pub fn total(&self) -> StatusCounts {
        self.nodes.iter().fold(StatusCounts::default(), |sum, node| StatusCounts {
            tasks: sum.tasks + node.tasks,
            done: sum.done + node.done,
            cached: sum.cached + node.cached,
            running: sum.running + node.running,
            saving: sum.saving + node.saving,
            failed: sum.failed + node.failed,
            skipped: sum.skipped + node.skipped,
        })
    }

    /// Returns whether the run is going on.
    #[must_use]
    pub fn is_going(&self) -> bool {
        !matches!(self.progress, RunProgress::Ended(_) | RunProgress::Gone)
    }

    /// Returns whether the run's times move with the clock. The times of a replay move with its events instead.
    #[must_use]
    pub fn ticks(&self) -> bool {
        self.is_going() && self.opened.began.is_some()
    }

    /// Returns the duration of the run in seconds up to `now`, which is in seconds of Unix time.
    #[must_use]
    pub fn elapsed(&self, now: f64) -> f64 {
        match (self.progress, self.opened.began) {
            (RunProgress::Ended(summary), _) => summary.seconds,
            (RunProgress::Gone, _) | (_, None) => self.at,
            (_, Some(began)) => (now - began).max(self.at),
        }
    }

    /// Stores the record of a task, `None` if the store has no record of it, and the tensors of the network that it quantizes.
    pub fn remember(&mut self, task: TaskId, record: Option<Arc<Record>>, tensors: Vec<TensorSize>) {
        if self.records.len() >= RECORDS {
            self.records.clear();
            self.tensors.clear();
        }
        self.records.insert(task, record);
        self.tensors.insert(task, tensors);
        self.version += 1;
    }

    /// Returns the stored record of a task. The outer option is `None` if no record was read, the inner one if the
    /// store has none.
    #[must_use]
    pub fn record(&self, task: TaskId) -> Option<&Option<Arc<Record>>> {
        self.records.get(&task)
    }

    /// Returns the tensors of the network that a task quantizes; none for other tasks, and before they were read.
    #[must_use]
    pub fn tensors(&self, task: TaskId) -> &[TensorSize] {
        self.tensors.get(&task).map_or(&[], Vec::as_slice)
    }

    /// Returns the values of a metric by step, from the progress events or from the record: the longer of the two.
    #[must_use]
    pub fn curve(&self, task: TaskId, metric: &str) -> Vec<(f64, f64)> {
        let reported = self.task(task).detail.iter().flat_map(|detail| &detail.curve);
        let points: Vec<(f64, f64)> =
            reported.filter_map(|(step, metrics)| Some((*step as f64, *metrics.get(metric)?))).collect();
        let record = self.record(task).and_then(Option::as_ref);
        let series =
            record.and_then(|record| record.series.get(metric)).filter(|series| series.along == "epoch");
        let values = series.into_iter().flat_map(|series| &series.values);
        let kept: Vec<(f64, f64)> =
            values.enumerate().map(|(step, value)| ((step + 1) as f64, *value)).collect();
        // A training that resumed from a checkpoint reported only its last epochs.
        if kept.len() > points.len() { kept } else { points }
    }

    /// Returns the metrics of a task, from its event in the run log, else from its record.
    #[must_use]
    pub fn metrics(&self, task: TaskId) -> Option<&BTreeMap<String, f64>> {
        let of = |task: TaskId| {
            let told = self.task(task).detail.as_ref().map(|detail| &detail.metrics);
            told.filter(|metrics| !metrics.is_empty())
        };
        let same_as = self.task(task).detail.as_ref().and_then(|detail| detail.same_as);
        let kept = || self.record(task).and_then(|record| record.as_ref()).map(|record| &record.metrics);
        of(task).or_else(|| same_as.and_then(of)).or_else(kept)
    }

    fn planned(&mut self, at: f64, counts: &Counts) {
        self.progress = RunProgress::Going;
        self.note(
            at,
            &format!(
                "{}: {} cached, {} to run, {} waiting for their inputs",
                count(counts.tasks, "task"),
                counts.cached,
                counts.run,
                counts.waiting
            ),
        );
    }

    fn skipped(&mut self, at: f64, task: &str, because: &str) {
        let Some(id) = self.turn(task, TaskStatus::Skipped) else { return };
        self.detail(id).because = Some(because.to_owned());
        let culprit = self.find(because);
        // All tasks that are skipped because of the same failure share one log entry.
        match self.log.back_mut() {
            Some(LogEntry { task, what: LogEvent::Skips(count), .. }) if *task == culprit => *count += 1,
            _ => self.enter(at, culprit, LogEvent::Skips(1)),
        }
    }

    fn finished(&mut self, at: f64, summary: Summary) {
        self.progress = RunProgress::Ended(summary);
        self.leave_rest();
        self.note(at, &sentence(&summary));
    }

    /// Marks every task without a result as skipped.
    fn leave_rest(&mut self) {
        for task in &mut self.tasks {
            if matches!(task.status, TaskStatus::Waiting | TaskStatus::Running | TaskStatus::Saving) {
                task.status = TaskStatus::Skipped;
            }
        }
        self.jobs.clear();
        let graph = &self.opened.graph;
        for node in graph.node_tasks.ids() {
            self.nodes[node] = status_counts(&self.tasks, graph.tasks_of(node));
        }
        self.version += 1;
    }

    /// Changes a task's status, and keeps the counts and the jobs in step with it.
    fn turn(&mut self, name: &str, status: TaskStatus) -> Option<TaskId> {
        let id = self.find(name)?;
        let node = self.opened.graph.node(id);
        let before = std::mem::replace(&mut self.tasks[id.index()].status, status);
        self.nodes[node].update(before, false);
        self.nodes[node].update(status, true);
        if status == TaskStatus::Running {
            self.jobs.start(id);
        } else {
            self.jobs.end(id);
        }
        Some(id)
    }

    fn detail(&mut self, task: TaskId) -> &mut Detail {
        self.tasks[task.index()].detail.get_or_insert_default()
    }

    fn note(&mut self, at: f64, text: &str) {
        self.enter(at, None, LogEvent::Note(text.to_owned(), false));
    }

    fn enter(&mut self, at: f64, task: Option<TaskId>, what: LogEvent) {
        if self.log.len() >= LOG {
            self.log.pop_front();
        }
        self.log.push_back(LogEntry { at, task, what });
    }
}
