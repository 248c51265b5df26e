//! The explanation of a task's state: the fields of its preimage that changed, with their old and new values.
//! Knows nothing of how the explanation is shown. The comparison is with the same task in the last run of the
//! experiment, planned again from its text and its source digests, or with the nearest stored preimage of the same
//! op.

use std::collections::HashMap;

use fewbits_store::{Key, Store, StoreError};

use crate::graph::{TaskGraph, TaskId};
use crate::nearest::NearestPreimage;
use crate::ops::Ops;
use crate::plan::{Plan, Planner, PreimageState, TaskState};
use crate::preimage::changes;
use crate::reason::Reason;
use crate::run_log::RunHeader;

/// The tasks of an experiment's last run, by name.
pub struct History {
    tasks: HashMap<String, PastTask>,
}

/// A task of an earlier run.
struct PastTask {
    preimage: String,
    /// The work of its op: see [`Ops::work`].
    work: f64,
}

/// The explainer of a plan's states.
pub struct Explainer<'e, O: Ops> {
    graph: &'e TaskGraph<O>,
    plan: &'e Plan,
    planner: &'e Planner<'e, O>,
    store: &'e Store,
    history: Option<History>,
}

impl<'e, O: Ops> Explainer<'e, O> {
    /// Makes an explainer; it compares with the newest run of this experiment, if there is one.
    pub fn new(
        graph: &'e TaskGraph<O>,
        plan: &'e Plan,
        planner: &'e Planner<'e, O>,
        ops: &O,
        store: &'e Store,
    ) -> Self {
        let history = History::last(graph, ops, store);
        Self { graph, plan, planner, store, history }
    }

    /// Returns the reason for a task's state; the comparison is with the last run only.
    pub fn reason(&self, task: TaskId) -> Result<Reason, StoreError> {
        Ok(match &self.plan.planned(task).state {
            TaskState::Cached => Reason::Cached,
            TaskState::SameAs(other) => Reason::SameAs { task: self.graph.name(*other) },
            TaskState::Lost => Reason::Lost,
            TaskState::Missing(what) => Reason::Missing { what: what.clone() },
            TaskState::Waiting => Reason::Waiting { task: self.awaited(task) },
            TaskState::Run => match self.preimage(task)? {
                Some(now) => {
                    self.history.as_ref().map_or(Reason::New, |last| last.compare(self.graph, task, &now))
                }
                None => Reason::New,
            },
        })
    }

    /// Returns the reason for a task's state. If the last run does not have the task, the comparison is with the
    /// stored preimage of the same op that differs in the fewest fields.
    pub fn closest_reason(&self, task: TaskId) -> Result<Reason, StoreError> {
        let reason = self.reason(task)?;
        let Some(now) = (reason == Reason::New).then(|| self.preimage(task)).transpose()?.flatten() else {
            return Ok(reason);
        };
        let mut nearest = NearestPreimage::new(&now);
        self.store
            .each_preimage(self.graph.resolved_op(task).name, &mut |preimage| nearest.compare(preimage))?;
        let relative = "the nearest stored result of the same op".to_owned();
        Ok(nearest.into_changes().map_or(Reason::New, |changes| Reason::Changed { relative, changes }))
    }

    /// Returns the preimage of a task; `None` while it is not known.
    pub fn preimage(&self, task: TaskId) -> Result<Option<String>, StoreError> {
        let known = self.planner.preimage(task, |input| Some(self.plan.planned(input)))?;
        Ok(if let PreimageState::Known(text) = known { Some(text) } else { None })
    }

    fn awaited(&self, task: TaskId) -> String {
        let waits = |task: &TaskId| self.plan.planned(*task).parts.is_none();
        self.graph.inputs(task).into_iter().find(waits).map_or(String::new(), |input| self.graph.name(input))
    }
}

impl History {
    /// Plans the newest run of this experiment again; `None` if there is none, or its text can no longer be read.
    pub fn last<O: Ops>(graph: &TaskGraph<O>, ops: &O, store: &Store) -> Option<Self> {
        let (_, header) = RunHeader::newest(store, graph).ok()??;
        Self::from_header(header, ops, store)
    }

    /// Plans a run again; `None` if its text can no longer be read.
    pub fn of<O: Ops>(run: &str, ops: &O, store: &Store) -> Option<Self> {
        Self::from_header(RunHeader::load(store, run).ok()??, ops, store)
    }

    /// Returns the reason that a task without a result runs; `now` is its preimage.
    #[must_use]
    pub fn compare<O: Ops>(&self, graph: &TaskGraph<O>, task: TaskId, now: &str) -> Reason {
        match self.tasks.get(&graph.sorted_name(task)).map(|past| past.preimage.as_str()) {
            None => Reason::New,
            Some(before) if before == now => Reason::Unfinished,
            Some(before) => Reason::Changed {
                relative: "the same task in the last run".to_owned(),
                changes: changes(before, now),
            },
        }
    }

    /// Returns the keys and the work of at most `most` tasks of a node, in the order of their names.
    #[must_use]
    pub fn measured(&self, node: &str, most: usize) -> Vec<(Key, f64)> {
        let is_of =
            |name: &str| name.strip_prefix(node).is_some_and(|rest| rest.is_empty() || rest.starts_with('('));
        let mut of: Vec<(&String, &PastTask)> = self.tasks.iter().filter(|(name, _)| is_of(name)).collect();
        of.sort_unstable_by_key(|(name, _)| *name);
        of.into_iter().take(most).map(|(_, past)| (Key::derive(&past.preimage), past.work)).collect()
    }

    fn from_header<O: Ops>(header: RunHeader, ops: &O, store: &Store) -> Option<Self> {
        let graph = TaskGraph::parse(&header.text, ops, usize::MAX).ok()?;
        let planner = Planner::remembering(&graph, ops, store, header.sources);
        let plan = planner.plan().ok()?;
        let mut tasks = HashMap::new();
        for task in graph.tasks() {
            if let Ok(PreimageState::Known(text)) = planner.preimage(task, |input| Some(plan.planned(input)))
            {
                tasks.insert(graph.sorted_name(task), PastTask { preimage: text, work: planner.work(task) });
            }
        }
        Some(Self { tasks })
    }
}
