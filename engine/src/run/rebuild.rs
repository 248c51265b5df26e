//! Artifacts of recorded tasks, for inspection: kept ones are read, others are made again from their inputs.
//! Changes nothing in the store.

use std::sync::Arc;

use fewbits_store::{Store, StoreError};

use super::artifacts::Artifacts;
use super::job::{JobError, JobRunner};
use super::supply::Supply;
use crate::context::Context;
use crate::graph::{TaskGraph, TaskId};
use crate::ops::{OpError, Ops};
use crate::plan::{Plan, TaskState};

/// The reason that an artifact is not available.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The task's kind has no artifact.
    #[error("{task}: it leaves nothing that other tasks read; name one whose kind does")]
    NoArtifact {
        /// The name of the task.
        task: String,
    },
    /// The task, or a task it depends on, has no result.
    #[error("{task}: there is no result yet; run the experiment first")]
    NoResult {
        /// The name of the task without a result.
        task: String,
    },
    /// A kept artifact of the task, or of a task it depends on, is missing or damaged.
    #[error("{task}: its result is not in the store any more; run the experiment to make it again")]
    Lost {
        /// The name of the task that kept it.
        task: String,
    },
    /// The artifact that was made again does not match its record.
    #[error(
        "{task}: made again, it came out different from its record, which may be of a build with other numbers; \
         use that build"
    )]
    Differs {
        /// The name of the task.
        task: String,
    },
    /// The op of the task, or of a task it depends on, failed; something outside may be missing.
    #[error("{task}: {error}")]
    Op {
        /// The name of the requested task.
        task: String,
        /// The error of the op.
        error: OpError,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes artifacts again. Artifacts stay in memory for later requests until the rebuilder is dropped.
pub struct Rebuilder<'r, O: Ops> {
    supply: Supply<'r, O>,
    runner: JobRunner<O>,
}

impl<'r, O: Ops> Rebuilder<'r, O> {
    /// Makes a rebuilder from a plan's known results.
    pub fn new((graph, ops, store): (&'r Arc<TaskGraph<O>>, &Arc<O>, &Arc<Store>), plan: Plan) -> Self {
        let artifacts = Arc::new(Artifacts::new());
        let runner = JobRunner::silent((graph, ops, store), Arc::clone(&artifacts));
        Self { supply: Supply::new(graph, plan, artifacts, false), runner }
    }

    /// Returns the graph of the tasks.
    #[must_use]
    pub fn graph(&self) -> &TaskGraph<O> {
        &self.runner.graph
    }

    /// Returns a task's artifact, which matches the digests of its record. It runs on all threads of the caller's
    /// rayon pool; an artifact that is not kept takes as long as its first computation.
    pub fn artifact(&self, task: TaskId) -> Result<Arc<O::Artifact>, RebuildError> {
        let graph = self.graph();
        if graph.kind(task).output.is_none() {
            return Err(RebuildError::NoArtifact { task: graph.name(task) });
        }
        let source = self.supply.source(task).map_err(|unknown| self.unknown(unknown))?;
        self.runner.obtain(&source, &Context::silent()).map_err(|error| match error {
            JobError::Store(error) => error.into(),
            JobError::Lost { task, .. } => RebuildError::Lost { task: graph.name(task) },
            JobError::Differs { task, .. } => RebuildError::Differs { task },
            JobError::Op(error) => RebuildError::Op { task: graph.name(task), error },
            JobError::Changed(what) => {
                RebuildError::Op { task: graph.name(task), error: OpError::Missing(what) }
            }
        })
    }

    /// Returns the error for a task without a result: about itself, or about the first task that it waits for.
    fn unknown(&self, task: TaskId) -> RebuildError {
        if let Some(&input) = self.supply.unknown_inputs(task).first() {
            return self.unknown(input);
        }
        let name = self.graph().name(task);
        match &self.supply.planned(task).state {
            TaskState::Lost => RebuildError::Lost { task: name },
            TaskState::Missing(what) => {
                RebuildError::Op { task: name, error: OpError::Missing(what.clone()) }
            }
            TaskState::Cached | TaskState::SameAs(_) | TaskState::Run | TaskState::Waiting => {
                RebuildError::NoResult { task: name }
            }
        }
    }
}
