//! Artifacts of recorded tasks made again, to be looked into: kept ones are read, others made from what they were made
//! from. Changes nothing in the store.

use std::sync::Arc;

use fewbits_store::{Store, StoreError};

use super::artifacts::Artifacts;
use super::context::Context;
use super::job::{JobError, Worker};
use super::supply::Supply;
use crate::graph::{TaskGraph, TaskId};
use crate::ops::{OpError, Ops};
use crate::plan::{Plan, TaskState};

/// Why an artifact cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// Tasks of its kind have none.
    #[error("{task}: it leaves nothing that other tasks read; name one whose kind does")]
    NoArtifact {
        /// The task's name.
        task: String,
    },
    /// It, or a task it depends on, has not been done.
    #[error("{task}: there is no result yet; run the experiment first")]
    NoResult {
        /// The name of the task that was not done.
        task: String,
    },
    /// What it, or a task it depends on, kept is not there, or damaged.
    #[error("{task}: what it kept is not in the store any more; run the experiment to make it again")]
    Lost {
        /// The name of the task that kept it.
        task: String,
    },
    /// What came out is not what was recorded.
    #[error(
        "{task}: made again, it came out different from its record, which may be of a build with other numbers; \
         use that build"
    )]
    Differs {
        /// The task's name.
        task: String,
    },
    /// Its op, or one it depends on, failed; something outside may be missing.
    #[error("{task}: {source}")]
    Op {
        /// The name of the task that was asked for.
        task: String,
        /// What the op says.
        source: OpError,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes artifacts again. What it made or read stays in memory, for those to come, until it is dropped.
pub struct Rebuilder<'r, O: Ops> {
    supply: Supply<'r, O>,
    worker: Worker<O>,
}

impl<'r, O: Ops> Rebuilder<'r, O> {
    /// Takes over what a plan knows of the tasks.
    pub fn new((graph, ops, store): (&'r Arc<TaskGraph<O>>, &Arc<O>, &Arc<Store>), plan: Plan) -> Self {
        let artifacts = Arc::new(Artifacts::new());
        let worker = Worker::silent((graph, ops, store), Arc::clone(&artifacts));
        Self { supply: Supply::new(graph, plan, artifacts), worker }
    }

    /// Returns the graph whose artifacts it makes.
    #[must_use]
    pub fn graph(&self) -> &TaskGraph<O> {
        &self.worker.graph
    }

    /// Returns a task's artifact, which has the digests of its record. Works with all threads of the pool this is
    /// called in; whatever is not kept takes as long as it took to make.
    pub fn artifact(&self, task: TaskId) -> Result<Arc<O::Artifact>, RebuildError> {
        let graph = self.graph();
        if graph.kind(task).output.is_none() {
            return Err(RebuildError::NoArtifact { task: graph.name(task) });
        }
        let recipe = self.supply.recipe(task).map_err(|unknown| self.unknown(unknown))?;
        self.worker.obtain(&recipe, &Context::silent()).map_err(|error| match error {
            JobError::Store(error) => error.into(),
            JobError::Lost(lost) => RebuildError::Lost { task: graph.name(lost) },
            JobError::Differs { task, .. } => RebuildError::Differs { task },
            JobError::Op(source) => RebuildError::Op { task: graph.name(task), source },
            JobError::Changed(what) => {
                RebuildError::Op { task: graph.name(task), source: OpError::Missing(what) }
            }
        })
    }

    /// Says why a task's result is not known: itself, or the first task it waits for.
    fn unknown(&self, task: TaskId) -> RebuildError {
        if let Some(&input) = self.supply.unknown_inputs(task).first() {
            return self.unknown(input);
        }
        let name = self.graph().name(task);
        match &self.supply.planned(task).state {
            TaskState::Lost => RebuildError::Lost { task: name },
            TaskState::Missing(what) => {
                RebuildError::Op { task: name, source: OpError::Missing(what.clone()) }
            }
            TaskState::Cached | TaskState::SameAs(_) | TaskState::Run | TaskState::Waiting => {
                RebuildError::NoResult { task: name }
            }
        }
    }
}
