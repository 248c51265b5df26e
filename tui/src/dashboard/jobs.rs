//! The jobs of a run and the task that each of them works on. A task keeps its job from its start to its end, so that its
//! line on the screen stays where it is. Knows nothing of results or time.

use fewbits_engine::graph::TaskId;

/// The jobs of a run, by number.
#[derive(Clone, Debug, Default)]
pub struct Jobs {
    slots: Vec<Option<TaskId>>,
    /// The number of jobs in the run's header; 0 if the header has none.
    width: usize,
}

impl Jobs {
    /// Makes `width` idle jobs.
    #[must_use]
    pub fn new(width: usize) -> Self {
        // The number comes from a journal, which may be damaged: slots are made when tasks start.
        Self { slots: vec![], width }
    }

    /// A task starts: the first idle job works on it. Journals of older versions do not say when a job ends, so more tasks
    /// than jobs may appear to run; those get further slots.
    pub fn start(&mut self, task: TaskId) {
        if self.slots.contains(&Some(task)) {
            return;
        }
        match self.slots.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => *slot = Some(task),
            None => self.slots.push(Some(task)),
        }
    }

    /// A task does not run any more: its job is idle.
    pub fn end(&mut self, task: TaskId) {
        for slot in self.slots.iter_mut().filter(|slot| **slot == Some(task)) {
            *slot = None;
        }
        while self.slots.last().is_some_and(Option::is_none) {
            self.slots.pop();
        }
    }

    /// All jobs become idle.
    pub fn clear(&mut self) {
        self.slots.clear();
    }

    /// Returns how many jobs there are, idle or not.
    #[must_use]
    pub fn count(&self) -> usize {
        self.width.max(self.slots.len())
    }

    /// Returns the task of a job; none if the job is idle.
    #[must_use]
    pub fn task(&self, job: usize) -> Option<TaskId> {
        self.slots.get(job).copied().flatten()
    }

    /// Returns how many tasks run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.slots.iter().flatten().count()
    }
}
