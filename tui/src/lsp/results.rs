//! The results in the store of the tasks of an open text: how many there are, and how long the others may take.
//! Knows nothing of editors.

use std::path::PathBuf;

use fewbits_engine::dense::{DenseMap, NodeId};
use fewbits_engine::graph::TaskGraph;
use fewbits_engine::plan::Planner;
use fewbits_engine::preview::{NodePreview, estimate, preview};
use fewbits_ops::StandardOps;
use fewbits_store::Store;

use crate::cli::Global;
use crate::render::number::count;
use crate::session::{reader_of, store_dir_of, threads};
use crate::ui::eta::duration;

/// The most tasks that are looked up: with more, an editor would wait.
const MOST_TASKS: usize = 100_000;

/// The results of a text's tasks, as the store had them at the last look.
pub struct Results {
    /// The experiment's file.
    file: PathBuf,
    global: Global,
    /// The store; `None` while its folder does not exist or cannot be read.
    store: Option<Store>,
    /// The length of the store's journal when it was asked last.
    bytes: u64,
    nodes: Option<DenseMap<NodeId, NodePreview>>,
}

impl Results {
    /// Looks for results in the store that a run of the file would use.
    pub fn new(file: PathBuf, global: Global) -> Self {
        Self { file, global, store: None, bytes: 0, nodes: None }
    }

    /// Forgets the last look: the text changed.
    pub fn forget(&mut self) {
        self.nodes = None;
    }

    /// Forgets the last look if the store changed, or came to be, since this was asked last; returns whether it did.
    pub fn forget_outdated(&mut self) -> bool {
        let Some(bytes) = self.journal_bytes() else { return false };
        let is_outdated = std::mem::replace(&mut self.bytes, bytes) != bytes;
        if is_outdated {
            self.nodes = None;
        }
        is_outdated
    }

    /// Looks up the results of a graph's tasks; `None` if there is no store, if it cannot be read, or if the tasks are too
    /// many.
    pub fn of(
        &mut self,
        graph: &TaskGraph<StandardOps>,
        ops: &StandardOps,
    ) -> Option<&DenseMap<NodeId, NodePreview>> {
        if graph.len() > MOST_TASKS {
            return None;
        }
        self.forget_outdated();
        if self.nodes.is_none() {
            self.nodes = self.look(graph, ops);
        }
        self.nodes.as_ref()
    }

    fn look(
        &mut self,
        graph: &TaskGraph<StandardOps>,
        ops: &StandardOps,
    ) -> Option<DenseMap<NodeId, NodePreview>> {
        let store = self.store()?;
        let planner = Planner::new(graph, ops, store);
        let plan = planner.plan().ok()?;
        Some(preview(graph, &plan, &planner, None, store).ok()?.into_iter().collect())
    }

    fn journal_bytes(&mut self) -> Option<u64> {
        self.store()?.journal_bytes().ok()
    }

    fn store(&mut self) -> Option<&Store> {
        if self.store.is_none() {
            let dir = store_dir_of(&self.file, &self.global).ok().filter(|dir| dir.is_dir())?;
            self.store = reader_of(&dir).ok();
        }
        self.store.as_ref()
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
