//! The unit handed to an executor: a task with its preimage, and a source for every input artifact that leads back to
//! kept objects and sources. It needs nothing else of the run's state, so a worker on another machine can do it.
//! Knows nothing of threads or order.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;
use std::time::Instant;

use fewbits_store::{Digest, Key, Record, SourceState, Store, StoreError};

use super::artifacts::Artifacts;
use crate::context::Context;
use crate::graph::{TaskGraph, TaskId};
use crate::job_store::JobStore;
use crate::ops::{OpError, Ops, SourceContent};
use crate::parts::Parts;
use crate::reason::Reason;

/// A task to be computed.
#[derive(Clone, Debug)]
pub struct Job {
    /// The task.
    pub task: TaskId,
    /// Its key.
    pub key: Key,
    /// The preimage of its key.
    pub preimage: String,
    /// Whether its artifact goes into the store.
    pub keep: bool,
    /// The sources of its input artifacts.
    pub inputs: Vec<ArtifactSource>,
    /// The reason that the task runs.
    pub reason: Reason,
}

/// The source of an artifact that may not be in memory.
#[derive(Clone, Debug)]
pub struct ArtifactSource {
    /// The task that made it.
    pub task: TaskId,
    /// That task's key.
    pub key: Key,
    /// The digests its parts must have.
    pub parts: Parts,
    /// The way to get the artifact.
    pub way: ArtifactPath,
}

/// The way to get an artifact that is not in memory.
#[derive(Clone, Debug)]
pub enum ArtifactPath {
    /// Its parts are objects of the store.
    Kept,
    /// Its record says it all.
    InRecord,
    /// It is made again from these inputs.
    Made(Vec<ArtifactSource>),
}

impl Job {
    /// Returns the task on the way to the job's inputs whose result has this key.
    #[must_use]
    pub fn input_of(&self, key: &Key) -> Option<TaskId> {
        let mut found = None;
        for input in &self.inputs {
            input.walk(&mut |source| {
                if source.key == *key {
                    found = Some(source.task);
                }
            });
        }
        found
    }
}

impl ArtifactSource {
    /// Calls `visit` with this source and, recursively, the sources of its inputs.
    pub fn walk(&self, visit: &mut impl FnMut(&Self)) {
        visit(self);
        if let ArtifactPath::Made(inputs) = &self.way {
            for input in inputs {
                input.walk(visit);
            }
        }
    }
}

/// The result of a job.
pub struct JobResult<A> {
    /// The record for the store.
    pub record: Record,
    /// The artifact, for the tasks that read it.
    pub artifact: Option<Arc<A>>,
    /// The bytes of the parts that the store keeps.
    pub objects: Vec<Vec<u8>>,
}

/// The reason that a job has no result.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The op failed or was cancelled.
    #[error(transparent)]
    Op(#[from] OpError),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A source file has changed since the plan. Contains the message.
    #[error("{0}; run again")]
    Changed(String),
    /// A kept artifact is missing from the store or damaged.
    #[error("a stored result is lost")]
    Lost {
        /// The task that made it, in the runner's graph.
        task: TaskId,
        /// Its key.
        key: Key,
    },
    /// An artifact that was made again does not match its record.
    #[error(
        "{task}: made again, it came out different from its record, which is dropped; run again to compute it anew"
    )]
    Differs {
        /// The task's name.
        task: String,
        /// The key of a record that is wrong or comes from a build with other numbers.
        key: Key,
    },
}

/// Does the jobs of a graph; the threads of an executor share it.
pub struct JobRunner<O: Ops> {
    /// The graph of the jobs' tasks.
    pub graph: Arc<TaskGraph<O>>,
    /// The ops.
    pub ops: Arc<O>,
    /// The kept artifacts.
    pub store: Arc<dyn JobStore>,
    /// The artifacts in memory.
    pub artifacts: Arc<Artifacts<O::Artifact>>,
    /// The callback for every artifact that was made again, with the seconds it took.
    pub rebuilt: Box<dyn Fn(TaskId, f64) + Send + Sync>,
}

impl<O: Ops> JobRunner<O> {
    /// Makes a runner outside a run, without a callback for artifacts made again.
    pub fn silent(
        (graph, ops, store): (&Arc<TaskGraph<O>>, &Arc<O>, &Arc<Store>),
        artifacts: Arc<Artifacts<O::Artifact>>,
    ) -> Self {
        Self {
            graph: Arc::clone(graph),
            ops: Arc::clone(ops),
            store: Arc::clone(store) as Arc<dyn JobStore>,
            artifacts,
            rebuilt: Box::new(|_, _| ()),
        }
    }

    /// Does a job. `context` is its link to the run; `quiet` is the context of artifacts that are made again for it.
    pub fn work(
        &self,
        job: &Job,
        context: &Context,
        quiet: &Context,
    ) -> Result<JobResult<O::Artifact>, JobError> {
        let inputs =
            job.inputs.iter().map(|input| self.obtain(input, quiet)).collect::<Result<Vec<_>, _>>()?;
        let start = Instant::now();
        let output = self.ops.run(&self.graph.resolved_op(job.task).op, &inputs, context)?;
        let seconds = start.elapsed().as_secs_f64();
        self.check_sources(job)?;
        let objects = match (&output.artifact, job.keep) {
            (Some(artifact), true) => self.ops.encode(artifact).into_values().collect(),
            _ => vec![],
        };
        let resolved = self.graph.resolved_op(job.task);
        let record = Record {
            preimage: job.preimage.clone(),
            metrics: output.metrics,
            series: output.series,
            parts: output.parts,
            kept: job.keep,
            correct: output.correct,
            seconds,
            provenance: self.ops.provenance(resolved.name, &resolved.op),
        };
        Ok(JobResult { record, artifact: output.artifact, objects })
    }

    /// Checks that the source files still have the digests in the preimage.
    fn check_sources(&self, job: &Job) -> Result<(), JobError> {
        for source in self.ops.sources(&self.graph.resolved_op(job.task).op)? {
            let SourceContent::File { path, .. } = source.content else { continue };
            let path = std::path::absolute(&path).unwrap_or(path);
            let now = match self.store.source_digest(&path)? {
                SourceState::Known(digest) => Some(digest),
                SourceState::Unknown => File::open(&path).and_then(Digest::of_reader).ok(),
                SourceState::Gone(_) => None,
            };
            let planned =
                |digest: Digest| job.preimage.contains(&format!("\"{}\":\"{digest}\"", source.name));
            if !now.is_some_and(planned) {
                let what = format!("{}: this is not the file that it was when the run began", path.display());
                return Err(JobError::Changed(what));
            }
        }
        Ok(())
    }

    /// Returns an artifact: from memory, from the store, or made again. Its digests match the source's.
    pub fn obtain(&self, source: &ArtifactSource, quiet: &Context) -> Result<Arc<O::Artifact>, JobError> {
        self.artifacts.get_or_make(source.key, || match &source.way {
            ArtifactPath::Kept => self.load(source),
            ArtifactPath::InRecord => {
                let lost = || JobError::Lost { task: source.task, key: source.key };
                let record = self.store.record(&source.key)?.ok_or_else(lost)?;
                if Parts::from_record(self.graph.kind(source.task).parts, &record.parts) != source.parts {
                    return Err(lost());
                }
                self.ops.decode_metrics(&record.metrics).map(Arc::new).map_err(|_| lost())
            }
            ArtifactPath::Made(inputs) => self.make_again(source, inputs, quiet),
        })
    }

    fn load(&self, source: &ArtifactSource) -> Result<Arc<O::Artifact>, JobError> {
        let lost = || JobError::Lost { task: source.task, key: source.key };
        let mut parts = BTreeMap::new();
        for (name, digest) in source.parts.iter() {
            let bytes = self.store.object(digest)?.ok_or_else(lost)?;
            parts.insert(name.to_owned(), bytes);
        }
        let record = self.store.record(&source.key)?.ok_or_else(lost)?;
        // The digest of the bytes is right, so bytes that cannot be decoded are of no use: the artifact counts as
        // lost.
        let op = &self.graph.resolved_op(source.task).op;
        self.ops.decode(op, &record, parts).map(Arc::new).map_err(|_| lost())
    }

    fn make_again(
        &self,
        source: &ArtifactSource,
        inputs: &[ArtifactSource],
        quiet: &Context,
    ) -> Result<Arc<O::Artifact>, JobError> {
        let inputs = inputs.iter().map(|input| self.obtain(input, quiet)).collect::<Result<Vec<_>, _>>()?;
        let start = Instant::now();
        let output = self.ops.run(&self.graph.resolved_op(source.task).op, &inputs, quiet)?;
        let differs = || JobError::Differs { task: self.graph.name(source.task), key: source.key };
        if Parts::from_record(self.graph.kind(source.task).parts, &output.parts) != source.parts {
            return Err(differs());
        }
        (self.rebuilt)(source.task, start.elapsed().as_secs_f64());
        output.artifact.ok_or_else(differs)
    }
}
