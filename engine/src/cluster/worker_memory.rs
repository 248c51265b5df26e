//! The artifacts in a worker's memory: those that it made or read last, and those of tasks without inputs, such as datasets.
//! Knows no order.

use std::collections::{HashSet, VecDeque};
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

/// The key of an artifact, and whether its task has no inputs.
#[derive(Clone, Copy, Debug)]
pub(super) struct MemoryKey {
    pub(super) key: Key,
    pub(super) is_source: bool,
}

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

    /// Adds the artifact that a job made, and marks those that it read as used. `running` has the artifacts that other jobs read.
    pub(super) fn end(
        &mut self,
        (made, artifact): (MemoryKey, Option<&Arc<O::Artifact>>),
        read: &[MemoryKey],
        running: &HashSet<Key>,
    ) {
        for used in read {
            self.touch(*used);
        }
        if let Some(artifact) = artifact {
            self.artifacts.insert(made.key, Arc::clone(artifact));
            self.touch(made);
        }
        // A job may have read more artifacts than stay.
        let (used, sources) = (&self.used, &self.sources);
        self.artifacts.retain(|key| used.contains(key) || sources.contains(key) || running.contains(key));
    }

    /// Makes an artifact the last used one, and forgets the one whose use is longest ago if there are too many.
    fn touch(&mut self, MemoryKey { key, is_source }: MemoryKey) {
        let (keys, most) = if is_source { (&mut self.sources, SOURCES) } else { (&mut self.used, KEPT) };
        if let Some(at) = keys.iter().position(|used| *used == key) {
            keys.remove(at);
        } else if keys.len() == most {
            keys.pop_front();
        }
        keys.push_back(key);
    }
}

/// Returns the artifacts that a job reads, directly or to make others again.
pub(super) fn inputs_of<O: Ops>(graph: &TaskGraph<O>, job: &Job) -> Vec<MemoryKey> {
    let mut keys = vec![];
    for input in &job.inputs {
        input.walk(&mut |source| {
            keys.push(MemoryKey { key: source.key, is_source: graph.inputs(source.task).is_empty() });
        });
    }
    keys
}
