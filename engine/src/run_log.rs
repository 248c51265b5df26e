//! The lines of a run log: a header with the state at the start, then events with their times.
//! Knows nothing of where the lines are stored.

use std::io;
use std::ops::Range;

use fewbits_store::{Store, StoreError};
use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::graph::{TaskGraph, TaskId};
use crate::ops::Ops;
use crate::plan::{Plan, SourceDigests, TaskState};

/// The header: the first line of a run log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunHeader {
    /// The name of the experiment.
    pub experiment: String,
    /// The text of the experiment.
    pub text: String,
    /// The file that the text was read from; absent in run logs of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The run of the version before, if this run is of an edited text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<String>,
    /// The number of tasks that run at once.
    #[serde(default)]
    pub jobs: usize,
    /// The tasks that were cached at the start, as ranges of their indices in the graph.
    #[serde(default)]
    pub cached: Vec<Range<u32>>,
    /// The digests of the source files at the start, so that the run can be planned again after a file has changed.
    #[serde(default)]
    pub sources: SourceDigests,
}

/// Every further line: an event with its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoggedEvent {
    /// Seconds since the run began.
    #[serde(default)]
    pub at: f64,
    /// The event.
    #[serde(flatten)]
    pub event: Event,
}

impl RunHeader {
    /// Reads the header of a run; `None` if the first line of its run log is missing or is no header.
    pub fn load(store: &Store, run: &str) -> Result<Option<Self>, StoreError> {
        let line = store.open_run(run)?.next_line()?;
        Ok(line.and_then(|line| serde_json::from_str(&line).ok()))
    }

    /// Finds the newest run of an experiment, for `why`: of the same file, else of the same name, as the file may
    /// have been moved. A run log of an earlier version does not contain its file and counts as one of any file.
    pub fn newest<O: Ops>(store: &Store, graph: &TaskGraph<O>) -> Result<Option<(String, Self)>, StoreError> {
        let mut namesake = None;
        for run in store.runs()?.into_iter().rev() {
            let header = match Self::load(store, &run) {
                // Another process has deleted the run in the meantime.
                Err(StoreError::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => continue,
                // With any other error, `gc` must not take an older run for the newest.
                loaded => loaded?,
            };
            let Some(header) = header else { continue };
            if header.experiment != graph.experiment.name {
                continue;
            }
            if header.file.is_none() || graph.file.is_none() || header.file == graph.file {
                return Ok(Some((run, header)));
            }
            namesake.get_or_insert((run, header));
        }
        Ok(namesake)
    }

    /// Makes the header of a run.
    #[must_use]
    pub fn new<O: Ops>(graph: &TaskGraph<O>, plan: &Plan, jobs: usize, sources: SourceDigests) -> Self {
        let cached = graph.tasks().filter(|task| plan.planned(*task).state == TaskState::Cached);
        Self {
            experiment: graph.experiment.name.clone(),
            text: graph.text.clone(),
            file: graph.file.clone(),
            follows: None,
            jobs,
            cached: ranges(cached),
            sources,
        }
    }
}

/// Joins ascending tasks into ranges.
fn ranges(tasks: impl Iterator<Item = TaskId>) -> Vec<Range<u32>> {
    let mut ranges: Vec<Range<u32>> = vec![];
    for task in tasks {
        let at = task.index() as u32;
        match ranges.last_mut() {
            Some(range) if range.end == at => range.end += 1,
            _ => ranges.push(at..at + 1),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn neighbours_make_one_range() {
        let ranges = |tasks: &[usize]| ranges(tasks.iter().map(|&task| TaskId::from_index(task)));
        assert_eq!(ranges(&[]), []);
        assert_eq!(ranges(&[0, 1, 2, 5, 7, 8]), [0..3, 5..6, 7..9]);
    }

    #[test]
    fn a_line_is_an_event_with_a_time() {
        let line = r#"{"at":1.5,"event":"rebuilt","task":"net","seconds":0.5}"#;
        let stamped = LoggedEvent { at: 1.5, event: Event::Rebuilt { task: "net".into(), seconds: 0.5 } };
        assert_eq!(serde_json::from_str::<LoggedEvent>(line).unwrap(), stamped);
        assert_eq!(serde_json::to_string(&stamped).unwrap(), line);
        // Numbers that are not finite survive the round trip; the nulls of earlier run logs are skipped.
        let metrics = BTreeMap::from([("a".to_owned(), f64::NEG_INFINITY), ("b".to_owned(), 0.5)]);
        let event = Event::Progressed { task: "net".into(), done: 1, total: 2, metrics };
        let line = serde_json::to_string(&LoggedEvent { at: 0.5, event: event.clone() }).unwrap();
        assert!(line.contains(r#""metrics":{"a":"-Infinity","b":0.5}"#), "{line}");
        assert_eq!(serde_json::from_str::<LoggedEvent>(&line).unwrap().event, event);
        let old = line.replace(r#""-Infinity""#, "null");
        let read = serde_json::from_str::<LoggedEvent>(&old).unwrap().event;
        assert!(matches!(read, Event::Progressed { metrics, .. } if metrics.len() == 1));
        let computed = LoggedEvent { at: 2.0, event: Event::Computed { task: "net".into() } };
        let line_of_it = r#"{"at":2.0,"event":"computed","task":"net"}"#;
        assert_eq!(serde_json::from_str::<LoggedEvent>(line_of_it).unwrap(), computed);
        assert!(serde_json::from_str::<LoggedEvent>(r#"{"at":2.0,"event":"of a later version"}"#).is_err());
        // Run logs of the first version had no times.
        let line = serde_json::to_string(&stamped).unwrap();
        let old = line.replace(r#""at":1.5,"#, "");
        assert_eq!(serde_json::from_str::<LoggedEvent>(&old).unwrap().event, stamped.event);
    }
}
