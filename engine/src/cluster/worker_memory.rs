//! The artifacts in a worker's memory: those that it made or read last, and those of tasks without inputs, such as datasets.
//! Knows no order.

use std::collections::VecDeque;
use std::sync::Arc;

use fewbits_store::Key;

use crate::graph::TaskGraph;
use crate::ops::Ops;
use crate::run::artifacts::Artifacts;
use crate::run::job::Job;

/// The number of artifacts that stay, beside those of tasks without inputs. The coordinator supposes as many results.
const KEPT: usize = 64;
/// The number of artifacts of tasks without inputs that stay.
const SOURCES: usize = 8;

/// The artifacts in a worker's memory.
pub(super) struct WorkerMemory<O: Ops> {
    artifacts: Arc<Artifacts<O::Artifact>>,
    /// The keys of artifacts, the last used one last.
    used: VecDeque<Key>,
    sources: VecDeque<Key>,
}

impl<O: Ops> Default for WorkerMemory<O> {
    fn default() -> Self {
        Self { artifacts: Arc::default(), used: VecDeque::new(), sources: VecDeque::new() }
    }
}

impl<O: Ops> WorkerMemory<O> {
    /// Returns the artifacts.
    pub(super) fn artifacts(&self) -> Arc<Artifacts<O::Artifact>> {
        Arc::clone(&self.artifacts)
    }

    /// Notes that a job reads its inputs, which come into memory if they are not there.
    pub(super) fn use_inputs(&mut self, graph: &TaskGraph<O>, job: &Job) {
        for input in &job.inputs {
            input.walk(&mut |source| {
                self.touch(source.key, graph.inputs(source.task).is_empty());
            });
        }
    }

    /// Adds the artifact that a job made. `is_source` tells whether its task has no inputs.
    pub(super) fn made(&mut self, key: Key, is_source: bool, artifact: Option<&Arc<O::Artifact>>) {
        if let Some(artifact) = artifact {
            self.artifacts.insert(key, Arc::clone(artifact));
            self.touch(key, is_source);
        }
    }

    /// Makes an artifact the last used one, and removes the one whose use is longest ago if there are too many.
    fn touch(&mut self, key: Key, is_source: bool) {
        let (keys, most) = if is_source { (&mut self.sources, SOURCES) } else { (&mut self.used, KEPT) };
        if let Some(at) = keys.iter().position(|used| *used == key) {
            keys.remove(at);
        } else if keys.len() == most
            && let Some(oldest) = keys.pop_front()
        {
            self.artifacts.remove(&oldest);
        }
        keys.push_back(key);
    }
}
