//! The display of a run as lines: one per change of a task's state, with the tasks done and the time left.
//! Knows nothing of the stream it writes to.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;

use fewbits_engine::event::{Event, Summary};
use fewbits_engine::ops::MetricRole;
use fewbits_engine::preimage::Change;
use fewbits_engine::preview::{NodePreview, estimate};
use fewbits_engine::reason::Reason;
use fewbits_engine::spec::experiment::Experiment;
use fewbits_engine::spec::node::Node;

use super::eta::{Eta, duration};
use crate::render::number::count;

/// The most fields in the line of a node.
const FIELDS: usize = 4;

/// Writes the events of a run as lines.
pub struct Plain<W> {
    out: W,
    jobs: usize,
    eta: Eta,
    done: usize,
    total: usize,
    /// The names of the nodes with an accuracy, each with the metric.
    accuracies: Vec<(String, &'static str)>,
    /// The number of skipped tasks, by the failed task.
    skipped: BTreeMap<String, usize>,
    /// Whether events are only counted, while the dashboard shows them.
    pub muted: bool,
    /// Whether a line could not be written, because the stream is closed.
    pub broken: bool,
}

impl<W: Write> Plain<W> {
    /// Makes the view of a run of an experiment with `jobs` tasks at once.
    pub fn new(out: W, experiment: &Experiment, jobs: usize) -> Self {
        Self {
            out,
            jobs,
            eta: Eta::new(jobs),
            done: 0,
            total: 0,
            accuracies: accuracies(experiment),
            skipped: BTreeMap::new(),
            muted: false,
            broken: false,
        }
    }

    /// Shows another version of the experiment from now on.
    pub fn renew(&mut self, experiment: &Experiment) {
        self.accuracies = accuracies(experiment);
        self.eta = Eta::new(self.jobs);
        self.skipped.clear();
    }

    /// Shows an event.
    pub fn update(&mut self, event: &Event) {
        self.eta.update(event);
        let line = match event {
            Event::Planned { experiment, counts, .. } => {
                (self.total, self.done) = (counts.tasks, counts.cached);
                let known = if counts.cached == counts.tasks { "all" } else { &counts.cached.to_string() };
                format!(
                    "{experiment}: {}, {known} cached, {} to run, {} waiting for their inputs",
                    count(counts.tasks, "task"),
                    counts.run,
                    counts.waiting
                )
            }
            Event::Refused { message } => {
                for line in message.lines() {
                    self.say(line);
                }
                "the last version stays".to_owned()
            }
            Event::Edited { nodes } | Event::Proposed { nodes } => {
                for line in edit_lines(nodes, self.jobs) {
                    self.say(&line);
                }
                return;
            }
            Event::Superseded => "the file has changed: the new version takes over".to_owned(),
            Event::Started { task, reason, on, .. } => {
                self.counted(&format!("{task} started{}{}", at(on.as_deref()), because(reason)))
            }
            Event::Returned { task, from, because } => {
                self.counted(&format!("{task} returned from {from}: {because}"))
            }
            Event::WorkerJoined { worker, jobs } => joined(worker, *jobs),
            Event::WorkerLeft { worker, because, .. } => format!("worker {worker} left: {because}"),
            Event::Noted { message } => message.clone(),
            Event::Left => LEFT.to_owned(),
            Event::Progressed { task, done, total, metrics } => {
                let metrics: Vec<String> =
                    metrics.iter().map(|(name, value)| format!("{name} {value:.4}")).collect();
                self.counted(&format!("{task} {done}/{total} {}", metrics.join(" ")))
            }
            // A result counts once it is recorded; `Completed` then has the line.
            Event::Computed { .. } => return,
            Event::Postponed { task, because } => self.counted(&format!(
                "{task} waits until {because}, whose stored result is lost, has run again"
            )),
            Event::Completed { task, metrics, seconds, .. } => {
                self.done += 1;
                let node = task.split('(').next().unwrap_or(task);
                let metric = self.accuracies.iter().find(|(name, _)| name == node).map(|(_, metric)| *metric);
                let accuracy = metric.and_then(|metric| metrics.get(metric));
                let accuracy = accuracy.map_or(String::new(), |value| format!(", accuracy {value:.4}"));
                self.counted(&format!("{task} done in {}{accuracy}", duration(*seconds)))
            }
            Event::Reused { task, same_as, .. } => {
                self.done += 1;
                let whose = same_as.as_ref().map_or("cached".to_owned(), |other| format!("same as {other}"));
                self.counted(&format!("{task} {whose}"))
            }
            Event::Rebuilt { task, seconds } => {
                self.counted(&format!("{task} made again in {}", duration(*seconds)))
            }
            Event::Failed { task, error } => {
                self.done += 1;
                self.counted(&format!("{task} failed: {error}"))
            }
            Event::Skipped { because, .. } => {
                // All tasks that one failure skips share one line, at the end of the run.
                self.done += 1;
                *self.skipped.entry(because.clone()).or_default() += 1;
                return;
            }
            Event::Draining => "ending after the running tasks".to_owned(),
            Event::Warned { message } => format!("warning: {message}"),
            Event::Interrupted => {
                "interrupted: running tasks are dropped, finished results are kept".to_owned()
            }
            Event::Finished(summary) => {
                for (because, count) in std::mem::take(&mut self.skipped) {
                    self.say(&format!("{count} skipped: {because} failed"));
                }
                if let Some(advice) = advice(summary) {
                    self.say(advice);
                }
                sentence(summary)
            }
        };
        self.say(&line);
    }

    fn say(&mut self, line: &str) {
        if !self.muted {
            // A closed stream must not end the run.
            self.broken |= writeln!(self.out, "{}", printable(line)).is_err();
        }
    }

    fn counted(&self, text: &str) -> String {
        let mut line = format!("[{}/{}] {text}", self.done.min(self.total), self.total);
        if let Some(remaining) = self.eta.remaining().filter(|remaining| remaining.seconds >= 1.0) {
            let _ = write!(line, " · {remaining}");
        }
        line
    }
}

/// The words for a run that leaves its tasks to workers.
pub const LEFT: &str = "the workers go on with what they have; run again to take over their results (`scancel` ends a Slurm array)";

/// Returns the words for a worker that joined.
#[must_use]
pub fn joined(worker: &str, jobs: usize) -> String {
    format!("worker {worker} joined: {} at once", count(jobs, "task"))
}

/// Returns the place of a task's worker, as it stands behind `started`.
#[must_use]
pub fn at(on: Option<&str>) -> String {
    on.map_or(String::new(), |on| format!(" on {on}"))
}

/// Returns the nodes with an accuracy, each with the metric.
fn accuracies(experiment: &Experiment) -> Vec<(String, &'static str)> {
    let accuracy = |node: &Node| Some((node.name.clone(), node.kind.metric(MetricRole::Accuracy)?));
    experiment.nodes.iter().filter_map(accuracy).collect()
}

/// Returns a line for each node of which tasks run, and the time that they may take.
#[must_use]
pub fn edit_lines(nodes: &[NodePreview], jobs: usize) -> Vec<String> {
    let line = |node: &NodePreview| {
        let counts = node.counts;
        let mut line = format!("  {}: {}, {} cached", node.node, count(counts.tasks, "task"), counts.cached);
        if counts.run > 0 {
            let _ = write!(line, ", {} to run", counts.run);
        }
        if counts.waiting > 0 {
            let _ = write!(line, ", {} waiting", counts.waiting);
        }
        let mut fields = changed_fields(&node.changes);
        let more = fields.len().saturating_sub(FIELDS);
        fields.truncate(FIELDS);
        if !fields.is_empty() {
            let _ = write!(line, ": {}", fields.join(", "));
        }
        if more > 0 {
            let _ = write!(line, " and {} more", count(more, "field"));
        }
        line
    };
    let running: Vec<&NodePreview> = nodes.iter().filter(|node| node.to_run() > 0).collect();
    if running.is_empty() {
        return vec!["  every result is there".to_owned()];
    }
    let (seconds, is_lower_bound) = estimate(nodes, jobs);
    let word = if is_lower_bound { "at least" } else { "about" };
    let time = (seconds > 0.0).then(|| format!("  {word} {} of computing", duration(seconds)));
    running.into_iter().map(line).chain(time).collect()
}

/// Describes the change of each field: one change of it, and how many others there are.
fn changed_fields(changes: &[Change]) -> Vec<String> {
    let by_field = changes.chunk_by(|one, other| one.field == other.field);
    let words = |of: &[Change]| {
        let mut words: Vec<String> = of.iter().map(change).collect();
        // Digests of other content differ, their words do not.
        words.dedup();
        match words.as_slice() {
            [one] => one.clone(),
            all => format!("{} (and {} more like it)", all[0], all.len() - 1),
        }
    };
    by_field.map(words).collect()
}

/// Summarizes a run in one sentence.
#[must_use]
pub fn sentence(summary: &Summary) -> String {
    format!(
        "{}: {} ran, {} cached, {} failed, {} skipped in {}",
        count(summary.tasks, "task"),
        summary.ran,
        summary.cached,
        summary.failed,
        summary.skipped,
        duration(summary.seconds)
    )
}

/// Returns the advice about failed tasks; `None` if no task failed.
#[must_use]
pub fn advice(summary: &Summary) -> Option<&'static str> {
    (summary.failed > 0).then_some("failed tasks are not kept: the next `run` runs them again")
}

/// Writes the reason for running a task in a few words; empty if the reason is plain.
#[must_use]
pub fn because(reason: &Reason) -> String {
    match reason {
        Reason::Changed { changes, .. } => {
            let shown: Vec<String> = changes.iter().take(3).map(change).collect();
            let more =
                if changes.len() > 3 { format!(" and {} more", changes.len() - 3) } else { String::new() };
            format!(" ({}{more})", shown.join(", "))
        }
        Reason::Lost => " (its result was lost)".to_owned(),
        Reason::New
        | Reason::Unfinished
        | Reason::Cached
        | Reason::SameAs { .. }
        | Reason::Missing { .. }
        | Reason::Waiting { .. } => String::new(),
    }
}

/// Describes the change of a field.
#[must_use]
pub fn change(change: &Change) -> String {
    let field = change.field.strip_prefix("params.").unwrap_or(&change.field);
    if let Some(part) = field.strip_prefix("inputs.") {
        return format!("other content of {part}");
    }
    match (&change.from, &change.to) {
        (Some(from), Some(to)) => format!("{field}: {from} → {to}"),
        (None, Some(to)) => format!("{field}: {to} is new"),
        (Some(from), None) => format!("{field}: {from} is gone"),
        (None, None) => field.to_owned(),
    }
}

/// Replaces control characters other than line breaks, so that a text cannot control the terminal.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}
