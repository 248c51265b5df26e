//! The messages between a coordinator and a worker.
//! Bytes of the exchange are foreign to their reader: tasks are checked against the graph, and contents against their digests.

use std::collections::BTreeMap;

use fewbits_store::{Digest, Key, Record};
use serde::{Deserialize, Serialize};

use crate::graph::{TaskGraph, TaskId};
use crate::ops::Ops;
use crate::parts::Parts;
use crate::run::job::{ArtifactPath, ArtifactSource};

/// The greatest length of the name of a worker's machine in characters, and the most jobs that one worker does at once.
const PLACE_LIMIT: usize = 64;
const JOBS_LIMIT: u32 = 4096;

/// A message of the coordinator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Order {
    /// Do a job.
    Do(Box<JobOrder>),
    /// Stop the job with this number.
    Cancel(u64),
    /// The coordinator is there.
    Beat,
    /// Every result of a job with a lower number is recorded or dropped: a later coordinator does not take it over.
    Settled(u64),
    /// End, for the reason in this sentence: the worker cannot serve this run.
    Refuse(String),
    /// End: there is nothing more to do.
    End,
}

/// A job for a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobOrder {
    /// The job's number among those of the worker.
    pub number: u64,
    /// The object with the text of the experiment.
    pub experiment: Digest,
    /// The index of the task in the graph of that text.
    pub task: u32,
    /// The preimage of the task's key. The worker derives the same one, or refuses the job.
    pub preimage: String,
    /// Whether the artifact's parts become objects.
    pub keep: bool,
    /// The sources of the input artifacts.
    pub inputs: Vec<SourceOrder>,
}

/// The source of an input artifact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceOrder {
    /// The index of the task that made it.
    pub task: u32,
    /// That task's key.
    pub key: Key,
    /// The digests of its parts, by name.
    pub parts: BTreeMap<String, Digest>,
    /// The way to get it.
    pub way: SourceWay,
}

/// The way to get an input artifact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum SourceWay {
    /// Its parts are objects; this object is its encoded record.
    Kept(Digest),
    /// These metrics of its record say it all.
    InRecord(BTreeMap<String, f64>),
    /// It is made again from these inputs.
    Made(Vec<SourceOrder>),
}

/// A message of a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// The worker is there; always the first message.
    Hello(Hello),
    /// The worker lives.
    Beat,
    /// The job with this number runs.
    Began(u64),
    /// A job made progress.
    Progressed {
        /// The job's number.
        number: u64,
        /// The steps done.
        done: u64,
        /// Steps in all.
        total: u64,
        /// The metrics at this step.
        metrics: BTreeMap<String, f64>,
    },
    /// An artifact was made again for a job.
    Rebuilt {
        /// The job's number.
        number: u64,
        /// The index of the task whose artifact it is.
        task: u32,
        /// Seconds of computing.
        seconds: f64,
    },
    /// A job has a result. Kept parts are objects.
    Done {
        /// The job's number.
        number: u64,
        /// The result.
        record: Box<Record>,
    },
    /// A job ended without a result.
    Undone {
        /// The job's number.
        number: u64,
        /// The reason.
        why: Undone,
    },
    /// The worker ends, for the reason in this clause; always the last message.
    Left(String),
}

/// What a worker says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// The name of the machine.
    pub place: String,
    /// The number of jobs that it does at once.
    pub jobs: u32,
    /// The build, by name: program version, digest of the program, `numerics` label. A coordinator of another build refuses the
    /// worker.
    pub build: BTreeMap<String, String>,
    /// The member of the scheduler's array that it is: the array's id and the index; `None` for a worker started by hand.
    pub member: Option<(String, u32)>,
}

/// The reason that a job has no result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Undone {
    /// It was cancelled.
    Cancelled,
    /// It failed, or the worker refuses it. Contains a sentence.
    Failed(String),
    /// Files of the exchange could not be read. Contains a sentence.
    Unreadable(String),
    /// A kept artifact is missing or damaged: the one of this key.
    Lost(Key),
    /// An artifact that was made again does not match its record.
    Differs {
        /// The name of the task that made it.
        task: String,
        /// The key of the record.
        key: Key,
    },
}

impl SourceOrder {
    /// Checks the source of an input of the task `expected` against the graph, and returns it. `None` if it does not fit.
    pub(super) fn decode<O: Ops>(&self, graph: &TaskGraph<O>, expected: TaskId) -> Option<ArtifactSource> {
        let task = task_at(graph, self.task)?;
        let kind = graph.kind(task);
        // A task that stands in for another one of the same key is of the same kind.
        if !std::ptr::eq(kind, graph.kind(expected)) {
            return None;
        }
        let parts = Parts::from_record(kind.parts, &self.parts);
        if parts.iter().count() != self.parts.len() {
            return None;
        }
        let way = match &self.way {
            SourceWay::Kept(_) => ArtifactPath::Kept,
            SourceWay::InRecord(_) => ArtifactPath::InRecord,
            SourceWay::Made(inputs) => ArtifactPath::Made(decode_all(inputs, graph, task)?),
        };
        Some(ArtifactSource { task, key: self.key, parts, way })
    }

    /// Calls `visit` with this source and, recursively, the sources of its inputs.
    pub(super) fn walk(&self, visit: &mut impl FnMut(&Self)) {
        visit(self);
        if let SourceWay::Made(inputs) = &self.way {
            for input in inputs {
                input.walk(visit);
            }
        }
    }
}

/// Checks the sources of all inputs of a task against the graph, and returns them. `None` if they do not fit.
pub(super) fn decode_all<O: Ops>(
    inputs: &[SourceOrder],
    graph: &TaskGraph<O>,
    task: TaskId,
) -> Option<Vec<ArtifactSource>> {
    let expected = graph.inputs(task);
    if expected.len() != inputs.len() {
        return None;
    }
    inputs.iter().zip(expected).map(|(input, expected)| input.decode(graph, expected)).collect()
}

/// Returns the task with an index, if the graph has one.
pub(super) fn task_at<O: Ops>(graph: &TaskGraph<O>, index: u32) -> Option<TaskId> {
    ((index as usize) < graph.len()).then(|| TaskId::from_index(index as usize))
}

impl Hello {
    /// Returns what a worker said of itself without names and numbers that no worker has.
    pub(super) fn within_limits(&self) -> Self {
        let place = self.place.chars().filter(|c| !c.is_control()).take(PLACE_LIMIT).collect();
        Self { place, jobs: self.jobs.min(JOBS_LIMIT), ..self.clone() }
    }

    /// Describes how the worker's build differs from another; `None` if it does not.
    pub(super) fn differences(&self, other: &BTreeMap<String, String>) -> Option<String> {
        let names: std::collections::BTreeSet<&String> = self.build.keys().chain(other.keys()).collect();
        let word = |build: &BTreeMap<String, String>, name: &str| {
            build.get(name).map_or("none".to_owned(), |value| value.chars().take(40).collect())
        };
        let differing = names.into_iter().filter(|name| self.build.get(*name) != other.get(*name));
        let words: Vec<String> = differing
            .map(|name| format!("{name} {} instead of {}", word(&self.build, name), word(other, name)))
            .collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}
