//! The results in the store of the tasks of an open text: how many there are, and how long the others may take.
//! Knows nothing of editors.

use std::path::PathBuf;

use fewbits_engine::dense::{DenseMap, NodeId};
use fewbits_engine::graph::TaskGraph;
use fewbits_engine::plan::Planner;
use fewbits_engine::preview::{NodePreview, estimate, preview};
use fewbits_ops::StandardOps;
use fewbits_store::{Store, StoreError};

use crate::render::number::count;
use crate::session::{reader_of, threads};
use crate::ui::eta::duration;

/// The most tasks that are looked up: with more, an editor would wait.
const MOST_TASKS: usize = 100_000;

/// The results of a text's tasks, as the store had them at the last look.
pub struct Results {
    dir: PathBuf,
    store: Option<Store>,
    /// The length of the store's journal at the last look.
    bytes: u64,
    nodes: Option<DenseMap<NodeId, NodePreview>>,
}

impl Results {
    /// Looks for results in a store's folder, which may not exist yet.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir, store: None, bytes: 0, nodes: None }
    }

    /// Forgets the last look: the text changed.
    pub fn forget(&mut self) {
        self.nodes = None;
    }

    /// Whether the store changed since the last look.
    pub fn is_outdated(&mut self) -> bool {
        let before = self.bytes;
        self.nodes.is_some() && self.journal_bytes().is_ok_and(|bytes| bytes != before)
    }

    /// Looks up the results of a graph's tasks; `None` if the store cannot be read, or the tasks are too many.
    pub fn of(
        &mut self,
        graph: &TaskGraph<StandardOps>,
        ops: &StandardOps,
    ) -> Option<&DenseMap<NodeId, NodePreview>> {
        if graph.len() > MOST_TASKS {
            return None;
        }
        if self.nodes.is_none() || self.is_outdated() {
            self.nodes = self.look(graph, ops).ok();
        }
        self.nodes.as_ref()
    }

    fn look(
        &mut self,
        graph: &TaskGraph<StandardOps>,
        ops: &StandardOps,
    ) -> Result<DenseMap<NodeId, NodePreview>, StoreError> {
        self.bytes = self.journal_bytes()?;
        let store = self.store()?;
        let planner = Planner::new(graph, ops, store);
        let plan = planner.plan()?;
        Ok(preview(graph, &plan, &planner, None, store)?.into_iter().collect())
    }

    fn journal_bytes(&mut self) -> Result<u64, StoreError> {
        self.store()?.journal_bytes()
    }

    fn store(&mut self) -> Result<&Store, StoreError> {
        match &mut self.store {
            Some(store) => Ok(store),
            none => Ok(none.insert(reader_of(&self.dir)?)),
        }
    }
}

/// Writes the number of a node's tasks: `320 tasks, 300 cached`.
pub fn tasks(node: &NodePreview) -> String {
    format!("{}, {} cached", count(node.counts.tasks, "task"), node.counts.cached)
}

/// Writes how many of a node's tasks are stored, and how long the others may take.
pub fn stored(node: &NodePreview) -> String {
    let cached = format!("\n\n{} of {} cached", node.counts.cached, node.counts.tasks);
    let Some(median) = node.seconds.filter(|_| node.to_run() > 0) else { return cached };
    let jobs = threads();
    let (seconds, _) = estimate(std::slice::from_ref(node), jobs);
    format!(
        "{cached}; the others take about {} on {}, by the median of {} a task",
        duration(seconds),
        count(jobs, "core"),
        duration(median)
    )
}
