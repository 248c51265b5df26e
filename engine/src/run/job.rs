//! The unit handed to an executor: a task with its preimage, and for every input the way to get it, back to kept
//! objects and sources. It needs nothing else of the graph's state, so it could be done elsewhere.
//! Knows nothing of threads or order.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;
use std::time::Instant;

use fewbits_store::{Digest, Key, Record, SourceState, Store, StoreError};

use super::artifacts::Artifacts;
use super::context::Context;
use crate::graph::{TaskGraph, TaskId};
use crate::ops::{OpError, Ops, SourceContent};
use crate::parts::Parts;

/// A task to be done.
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
    /// How to get its inputs.
    pub inputs: Vec<ArtifactSource>,
}

/// How to get an artifact that may not be in memory.
#[derive(Clone, Debug)]
pub struct ArtifactSource {
    /// The task that made it.
    pub task: TaskId,
    /// That task's key.
    pub key: Key,
    /// The digests its parts must have.
    pub parts: Parts,
    /// Where it comes from.
    pub way: ArtifactPath,
}

/// Where an artifact comes from.
#[derive(Clone, Debug)]
pub enum ArtifactPath {
    /// Its parts are objects of the store.
    Kept,
    /// It is made again from these inputs.
    Made(Vec<ArtifactSource>),
}

impl ArtifactSource {
    /// Calls `visit` with this recipe and those of its inputs.
    pub fn walk(&self, visit: &mut impl FnMut(&Self)) {
        visit(self);
        if let ArtifactPath::Made(inputs) = &self.way {
            for input in inputs {
                input.walk(visit);
            }
        }
    }
}

/// What a job gave.
pub struct JobResult<A> {
    /// What the store keeps.
    pub record: Record,
    /// The artifact, for tasks that read it.
    pub artifact: Option<Arc<A>>,
    /// The objects to be kept.
    pub objects: Vec<Vec<u8>>,
}

/// Why a job gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The op failed or was cancelled.
    #[error(transparent)]
    Op(#[from] OpError),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file that is read holds something else than planned; says which.
    #[error("{0}; run again")]
    Changed(String),
    /// A kept artifact of this task is not in the store any more, or damaged.
    #[error("a kept artifact is lost")]
    Lost(TaskId),
    /// An artifact made again is not what was recorded.
    #[error(
        "{task}: made again, it came out different from its record, which is dropped; run again to compute it anew"
    )]
    Differs {
        /// The task's name.
        task: String,
        /// Its key, whose record is wrong or from a build with other numbers.
        key: Key,
    },
}

/// Does jobs; shared by all threads of an executor.
pub struct Worker<O: Ops> {
    /// The graph the jobs are of.
    pub graph: Arc<TaskGraph<O>>,
    /// The ops.
    pub ops: Arc<O>,
    /// The store that kept artifacts are read from.
    pub store: Arc<Store>,
    /// The artifacts in memory.
    pub artifacts: Arc<Artifacts<O::Artifact>>,
    /// Told of every artifact that was made again, with the seconds it took.
    pub rebuilt: Box<dyn Fn(TaskId, f64) + Send + Sync>,
}

impl<O: Ops> Worker<O> {
    /// Makes a worker outside a run: nobody is told of what it makes again.
    pub fn silent(
        (graph, ops, store): (&Arc<TaskGraph<O>>, &Arc<O>, &Arc<Store>),
        artifacts: Arc<Artifacts<O::Artifact>>,
    ) -> Self {
        Self {
            graph: Arc::clone(graph),
            ops: Arc::clone(ops),
            store: Arc::clone(store),
            artifacts,
            rebuilt: Box::new(|_, _| ()),
        }
    }

    /// Does a job. `context` is its link to the run, `quiet` that of artifacts made again on the way.
    pub fn work(
        &self,
        job: &Job,
        context: &Context,
        quiet: &Context,
    ) -> Result<JobResult<O::Artifact>, JobError> {
        let inputs =
            job.inputs.iter().map(|input| self.obtain(input, quiet)).collect::<Result<Vec<_>, _>>()?;
        let start = Instant::now();
        let output = self.ops.run(&self.graph.work(job.task).op, &inputs, context)?;
        let seconds = start.elapsed().as_secs_f64();
        self.check_sources(job)?;
        let objects = match (&output.artifact, job.keep) {
            (Some(artifact), true) => self.ops.encode(artifact).into_values().collect(),
            _ => vec![],
        };
        let record = Record {
            preimage: job.preimage.clone(),
            metrics: output.metrics,
            series: output.series,
            parts: output.parts,
            kept: job.keep,
            correct: output.correct,
            seconds,
            provenance: self.ops.provenance(self.graph.work(job.task).name),
        };
        Ok(JobResult { record, artifact: output.artifact, objects })
    }

    /// Makes sure that the files read are still those of the key.
    fn check_sources(&self, job: &Job) -> Result<(), JobError> {
        for source in self.ops.sources(&self.graph.work(job.task).op)? {
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

    /// Returns an artifact: from memory, from the store, or made again, with the digests of its recipe.
    pub fn obtain(&self, recipe: &ArtifactSource, quiet: &Context) -> Result<Arc<O::Artifact>, JobError> {
        self.artifacts.get_or_make(recipe.key, || match &recipe.way {
            ArtifactPath::Kept => self.load(recipe),
            ArtifactPath::Made(inputs) => self.make_again(recipe, inputs, quiet),
        })
    }

    fn load(&self, recipe: &ArtifactSource) -> Result<Arc<O::Artifact>, JobError> {
        let mut parts = BTreeMap::new();
        for (name, digest) in recipe.parts.iter() {
            let bytes = self.store.object(digest)?.ok_or(JobError::Lost(recipe.task))?;
            parts.insert(name.to_owned(), bytes);
        }
        // The bytes are what their digest says; if they cannot be read, they are of no use.
        self.ops.decode(parts).map(Arc::new).map_err(|_| JobError::Lost(recipe.task))
    }

    fn make_again(
        &self,
        recipe: &ArtifactSource,
        inputs: &[ArtifactSource],
        quiet: &Context,
    ) -> Result<Arc<O::Artifact>, JobError> {
        let inputs = inputs.iter().map(|input| self.obtain(input, quiet)).collect::<Result<Vec<_>, _>>()?;
        let start = Instant::now();
        let output = self.ops.run(&self.graph.work(recipe.task).op, &inputs, quiet)?;
        let differs = || JobError::Differs { task: self.graph.name(recipe.task), key: recipe.key };
        if Parts::from_record(self.graph.kind(recipe.task).parts, &output.parts) != recipe.parts {
            return Err(differs());
        }
        (self.rebuilt)(recipe.task, start.elapsed().as_secs_f64());
        output.artifact.ok_or_else(differs)
    }
}
