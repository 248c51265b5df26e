//! The results that an experiment reaches in the store: the keys of its plan.
//! Experiments come from files or from the run logs of past runs.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use fewbits_engine::graph::TaskGraph;
use fewbits_engine::plan::{Plan, Planner, SourceDigests, TaskState};
use fewbits_engine::run_log::RunHeader;
use fewbits_ops::StandardOps;
use fewbits_store::{Key, Store, StoreError};

use crate::cli::Global;
use crate::recorded::{self, Unreadable};
use crate::session::{Session, data_dir, open};

/// Holds a planned experiment.
pub struct Reach {
    /// The name for messages: the file or the run.
    pub name: String,
    pub graph: Arc<TaskGraph<StandardOps>>,
    pub ops: Arc<StandardOps>,
    /// The digests of the source files at the time of the run; empty for a file.
    pub sources: SourceDigests,
    pub plan: Plan,
}

impl Reach {
    /// Plans an experiment file.
    pub fn of_file(file: &Path, store: &Store, global: &Global) -> Result<Self> {
        let session = open(file, global)?;
        Ok(Self::plan(file.display().to_string(), session, SourceDigests::new(), store)?)
    }

    /// Plans a past run with the experiment text and the source digests of its log. The inner error says why the text
    /// cannot be parsed.
    pub fn of_run(id: &str, store: &Store, global: &Global) -> Result<Result<Self, Unreadable>> {
        // The log holds no base folder, so relative paths start from the working folder, as in the dashboard.
        let ops = Arc::new(StandardOps::new(data_dir(global), PathBuf::from(".")));
        match recorded::parse(id, RunHeader::load(store, id)?, &ops) {
            Ok((header, graph)) => {
                let session = Session { graph: Arc::new(graph), ops };
                Ok(Ok(Self::plan(format!("run {id}"), session, header.sources, store)?))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    fn plan(
        name: String,
        session: Session,
        sources: SourceDigests,
        store: &Store,
    ) -> Result<Self, StoreError> {
        let Session { graph, ops } = session;
        let plan = Planner::remembering(&graph, &*ops, store, sources.clone()).plan()?;
        Ok(Self { name, graph, ops, sources, plan })
    }

    /// Returns the keys of all tasks that have one.
    pub fn keys(&self) -> HashSet<Key> {
        self.plan.tasks.iter().filter_map(|planned| planned.key).collect()
    }

    /// Describes how many tasks have no result; `None` if all have one. The keys of tasks that depend on these are not
    /// known.
    pub fn unfinished(&self) -> Option<String> {
        let missing = self.plan.tasks.iter().filter(|planned| planned.state != TaskState::Cached).count();
        let all = self.plan.tasks.len();
        (missing > 0).then(|| format!("{}: {missing} of {all} tasks have no result", self.name))
    }
}

/// Identifies the newest run of an experiment.
pub struct NewestRun {
    /// The name of the experiment.
    pub experiment: String,
    /// The file of the experiment; `None` if the run log does not name it.
    pub file: Option<String>,
    pub run: String,
}

/// Returns the newest run of every experiment, sorted by name. Two files with the same name for their experiment are
/// two experiments. A file that no longer exists counts as moved: a later run of the same name replaces its run.
pub fn newest_runs(store: &Store) -> Result<Vec<NewestRun>, StoreError> {
    let mut newest: HashMap<(String, Option<String>), NewestRun> = HashMap::new();
    for run in store.runs()? {
        let Some(RunHeader { experiment, file, .. }) = RunHeader::load(store, &run)? else { continue };
        newest.insert((experiment.clone(), file.clone()), NewestRun { experiment, file, run });
    }
    let mut newest: Vec<NewestRun> = newest.into_values().collect();
    newest.sort_by(|one, other| one.run.cmp(&other.run));
    // A later run of the same name replaces one without a file.
    let mut last: HashMap<String, String> = HashMap::new();
    last.extend(newest.iter().map(|of| (of.experiment.clone(), of.run.clone())));
    let is_there = |of: &NewestRun| of.file.as_ref().is_some_and(|file| Path::new(file).exists());
    newest.retain(|of| last.get(&of.experiment) == Some(&of.run) || is_there(of));
    newest.sort_by(|one, other| one.experiment.cmp(&other.experiment));
    Ok(newest)
}
