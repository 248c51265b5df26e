//! The progress of a task and the entries of the log in words.
//! Knows nothing of positions on the screen.

use fewbits_engine::graph::TaskId;
use fewbits_engine::ops::MetricRole;

use crate::dashboard::log::{LogEntry, LogEvent};
use crate::dashboard::run_model::RunModel;
use crate::ui::eta::duration;
use crate::ui::plain::{at, because};

/// Returns the progress of a task: its epochs, and the training loss of the last one.
#[must_use]
pub fn progress(run: &RunModel, task: TaskId) -> String {
    let Some(detail) = &run.task(task).detail else { return String::new() };
    let Some((done, total)) = detail.progress else { return String::new() };
    let loss = last_loss(run, task).map_or(String::new(), |loss| format!(" loss {loss:.4}"));
    format!("epoch {done}/{total}{loss}")
}

/// Returns the training loss of a task's last epoch.
#[must_use]
pub fn last_loss(run: &RunModel, task: TaskId) -> Option<f64> {
    let metric = run.opened.graph.kind(task).metric(MetricRole::TrainLoss)?;
    let (_, metrics) = run.task(task).detail.as_deref()?.curve.last()?;
    metrics.get(metric).copied()
}

/// Returns the text of a log entry.
#[must_use]
pub fn words(run: &RunModel, entry: &LogEntry) -> String {
    let task = entry.task.map_or(String::new(), |task| name(run, task));
    let detail = entry.task.and_then(|task| run.task(task).detail.as_deref());
    match &entry.what {
        LogEvent::Started => {
            let reason = detail.and_then(|detail| detail.reason.as_ref());
            let on = at(detail.and_then(|detail| detail.on.as_deref()));
            format!("{task} started{on}{}", reason.map_or(String::new(), because))
        }
        LogEvent::Done => {
            let seconds = entry.task.and_then(|task| run.task(task).seconds).unwrap_or(0.0);
            let metric = entry.task.and_then(|task| run.opened.graph.kind(task).metric(MetricRole::Accuracy));
            let accuracy = detail.zip(metric).and_then(|(detail, name)| detail.metrics.get(name));
            let accuracy = accuracy.map_or(String::new(), |value| format!(", accuracy {value:.4}"));
            format!("{task} done in {}{accuracy}", duration(seconds))
        }
        LogEvent::Postponed(lost) => {
            let lost = lost.map_or("an input".to_owned(), |lost| name(run, lost));
            format!("{task} waits until {lost}, whose stored result is lost, has run again")
        }
        LogEvent::Reused => match detail.and_then(|detail| detail.same_as) {
            Some(other) => format!("{task} same as {}", name(run, other)),
            None => format!("{task} cached"),
        },
        LogEvent::Rebuilt(seconds) => format!("{task} made again in {}", duration(*seconds)),
        LogEvent::Failed => {
            let error = detail.and_then(|detail| detail.error.as_deref()).unwrap_or_default();
            format!("{task} failed: {error}")
        }
        LogEvent::Skips(count) => format!("{count} skipped: {task} failed"),
        LogEvent::Note(text, true) => format!("warning: {text}"),
        LogEvent::Note(text, false) => text.clone(),
    }
}

pub(super) fn name(run: &RunModel, task: TaskId) -> String {
    run.opened.graph.name(task)
}
