//! One run as far as it is known: a fold over the lines of its journal, whether it goes on or ended long ago.
//! Knows nothing of keys, views or the store.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use fewbits_engine::event::{Event, Summary};
use fewbits_engine::graph::{TaskGraph, TaskId};
use fewbits_engine::plan::Counts;
use fewbits_engine::run_log::{LoggedEvent, RunHeader};
use fewbits_engine::spec::experiment::Experiment;
use fewbits_ops::StandardOps;
use fewbits_store::Record;

use super::jobs::Jobs;
use super::log::{LogEntry, What};
use super::paint::shorten;
use super::task_status::{Detail, StatusCounts, TaskDetail, TaskStatus, tally};
use super::theme::Theme;
use crate::ui::eta::Eta;
use crate::ui::plain::{printable, sentence};

/// Lines of the log that are remembered.
const LOG: usize = 10_000;
/// Records that are remembered.
const RECORDS: usize = 256;

/// A run, opened: what it set out from.
#[derive(Clone)]
pub struct OpenedRun {
    /// Its id.
    pub id: String,
    /// When it began, in seconds of Unix time; none if its id does not tell.
    pub began: Option<f64>,
    /// The first line of its journal.
    pub header: RunHeader,
    /// Its tasks.
    pub graph: Arc<TaskGraph<StandardOps>>,
    /// The tasks by name.
    pub names: Arc<HashMap<String, TaskId>>,
}

/// How the run itself stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RunProgress {
    /// It has not said what it will do.
    Planning,
    /// It goes on.
    Going,
    /// It ends after what is running.
    Draining,
    /// It drops what is running.
    Interrupted,
    /// It ended.
    Ended(Summary),
    /// Its process is gone.
    Gone,
}

/// One run as far as it is known.
pub struct RunModel {
    /// What it set out from.
    pub opened: OpenedRun,
    /// What is known of each task.
    pub tasks: Vec<TaskDetail>,
    /// How many tasks of each node stand where.
    pub nodes: Vec<StatusCounts>,
    /// What happened, oldest first.
    pub log: VecDeque<LogEntry>,
    /// How long it still takes.
    pub eta: Eta,
    /// How it stands.
    pub course: RunProgress,
    /// The time of the newest event, in seconds of the run.
    pub at: f64,
    /// The tasks that run.
    pub jobs: Jobs,
    /// Counts events, so that what is derived from them knows when it is old.
    pub version: u64,
    records: HashMap<TaskId, Option<Arc<Record>>>,
}

impl RunModel {
    /// Starts with what a run set out from.
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
        let nodes = (0..graph.steps.len()).map(|node| tally(&tasks, graph.tasks_of(node))).collect();
        let (eta, jobs) = (Eta::new(opened.header.jobs), Jobs::new(opened.header.jobs));
        Self {
            tasks,
            nodes,
            log: VecDeque::new(),
            eta,
            course: RunProgress::Planning,
            at: 0.0,
            jobs,
            version: 0,
            records: HashMap::new(),
            opened,
        }
    }

    /// Takes in a line of the journal.
    pub fn update(&mut self, stamped: &LoggedEvent) {
        self.version += 1;
        self.at = self.at.max(stamped.at);
        self.eta.update(&stamped.event);
        let at = stamped.at;
        match &stamped.event {
            Event::Planned { counts, .. } => self.planned(at, counts),
            Event::Started { task, key, reason } => {
                let Some(id) = self.turn(task, TaskStatus::Running) else { return };
                self.tasks[id.index()].started = Some(at);
                // A second start in one run begins anew.
                *self.detail(id) =
                    Detail { key: key.clone(), reason: Some(reason.clone()), ..Detail::default() };
                self.enter(at, Some(id), What::Started);
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
                self.enter(at, Some(id), What::Done);
            }
            Event::Reused { task, key, same_as } => {
                let Some(id) = self.turn(task, TaskStatus::Cached) else { return };
                let same_as = same_as.as_ref().and_then(|name| self.find(name));
                let detail = self.detail(id);
                (detail.key, detail.same_as) = (key.clone(), same_as);
                self.enter(at, Some(id), What::Reused);
            }
            Event::Postponed { task, because } => {
                let Some(id) = self.turn(task, TaskStatus::Waiting) else { return };
                self.tasks[id.index()].started = None;
                self.enter(at, Some(id), What::Postponed(self.find(because)));
            }
            Event::Rebuilt { task, seconds } => {
                let Some(id) = self.find(task) else { return };
                self.detail(id).rebuilt = true;
                self.enter(at, Some(id), What::Rebuilt(*seconds));
            }
            Event::Failed { task, error } => {
                let Some(id) = self.turn(task, TaskStatus::Failed) else { return };
                self.detail(id).error = Some(error.clone());
                self.enter(at, Some(id), What::Failed);
            }
            Event::Skipped { task, because } => self.skipped(at, task, because),
            Event::Warned { message } => self.enter(at, None, What::Note(message.clone(), true)),
            Event::Draining => {
                self.course = RunProgress::Draining;
                self.note(at, "ending after what is running");
            }
            Event::Interrupted => {
                self.course = RunProgress::Interrupted;
                self.note(at, "interrupted: dropping what is running, keeping what is done");
            }
            Event::Finished(summary) => self.finished(at, *summary),
        }
    }

    /// The run ended, as its process says; its journal says so too, unless it could not be written.
    pub fn ended(&mut self, summary: Summary) {
        if self.is_going() {
            self.course = RunProgress::Ended(summary);
            self.leave_rest();
        }
    }

    /// The run's process is gone without a word.
    pub fn gone(&mut self) {
        if !matches!(self.course, RunProgress::Ended(_)) {
            self.course = RunProgress::Gone;
            self.leave_rest();
        }
    }

    /// Returns its experiment.
    #[must_use]
    pub fn experiment(&self) -> &Experiment {
        &self.opened.graph.experiment
    }

    /// Returns the task of a name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<TaskId> {
        self.opened.names.get(name).copied()
    }

    /// Returns the name of a task in at most `width` characters: whole, else without the names of its axes, else cut.
    #[must_use]
    pub fn short_name(&self, task: TaskId, width: usize, theme: Theme) -> String {
        let graph = &self.opened.graph;
        let name = printable(&graph.name(task));
        if name.chars().count() <= width {
            return name;
        }
        let labels: Vec<&str> = graph.point(task).map(|(_, label)| label).collect();
        let node = &graph.experiment.nodes[graph.node(task)].name;
        shorten(&printable(&format!("{node}({})", labels.join(","))), width, theme)
    }

    /// Returns what is known of a task.
    #[must_use]
    pub fn task(&self, task: TaskId) -> &TaskDetail {
        &self.tasks[task.index()]
    }

    /// Returns the counts of all nodes together.
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

    /// Returns whether the run goes on.
    #[must_use]
    pub fn is_going(&self) -> bool {
        !matches!(self.course, RunProgress::Ended(_) | RunProgress::Gone)
    }

    /// Returns whether times of the run move with the clock: not those of a replay, which move with its events.
    #[must_use]
    pub fn ticks(&self) -> bool {
        self.is_going() && self.opened.began.is_some()
    }

    /// Returns the seconds the run has taken by `now`, in seconds of Unix time.
    #[must_use]
    pub fn elapsed(&self, now: f64) -> f64 {
        match (self.course, self.opened.began) {
            (RunProgress::Ended(summary), _) => summary.seconds,
            (RunProgress::Gone, _) | (_, None) => self.at,
            (_, Some(began)) => (now - began).max(self.at),
        }
    }

    /// Remembers the record of a task; none if there is none.
    pub fn remember(&mut self, task: TaskId, record: Option<Arc<Record>>) {
        if self.records.len() >= RECORDS {
            self.records.clear();
        }
        self.records.insert(task, record);
        self.version += 1;
    }

    /// Returns the record of a task, if it was asked for; the inner one is none if the store has none.
    #[must_use]
    pub fn record(&self, task: TaskId) -> Option<&Option<Arc<Record>>> {
        self.records.get(&task)
    }

    /// Returns the values of a metric by step, from what was reported or from the record, whichever has more.
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
        // A training that went on from a checkpoint reported its last epochs only.
        if kept.len() > points.len() { kept } else { points }
    }

    /// Returns the metrics of a task, from what was told, else from the record.
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
        self.course = RunProgress::Going;
        self.note(
            at,
            &format!(
                "{} tasks: {} cached, {} to run, {} waiting for their inputs",
                counts.tasks, counts.cached, counts.run, counts.waiting
            ),
        );
    }

    fn skipped(&mut self, at: f64, task: &str, because: &str) {
        let Some(id) = self.turn(task, TaskStatus::Skipped) else { return };
        self.detail(id).because = Some(because.to_owned());
        let culprit = self.find(because);
        // All that one failure takes with it is one line.
        match self.log.back_mut() {
            Some(LogEntry { task, what: What::Skips(count), .. }) if *task == culprit => *count += 1,
            _ => self.enter(at, culprit, What::Skips(1)),
        }
    }

    fn finished(&mut self, at: f64, summary: Summary) {
        self.course = RunProgress::Ended(summary);
        self.leave_rest();
        self.note(at, &sentence(&summary));
    }

    /// What has not ended by the end of the run is left.
    fn leave_rest(&mut self) {
        for task in &mut self.tasks {
            if matches!(task.status, TaskStatus::Waiting | TaskStatus::Running | TaskStatus::Saving) {
                task.status = TaskStatus::Skipped;
            }
        }
        self.jobs.clear();
        let graph = &self.opened.graph;
        for (node, counts) in self.nodes.iter_mut().enumerate() {
            *counts = tally(&self.tasks, graph.tasks_of(node));
        }
        self.version += 1;
    }

    /// Every change of a task's status.
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
        self.enter(at, None, What::Note(text.to_owned(), false));
    }

    fn enter(&mut self, at: f64, task: Option<TaskId>, what: What) {
        if self.log.len() >= LOG {
            self.log.pop_front();
        }
        self.log.push_back(LogEntry { at, task, what });
    }
}
