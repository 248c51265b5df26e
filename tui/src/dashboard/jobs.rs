//! The job slots of a run, and the task that runs in each. A task keeps its slot from its start to its end, so that its
//! line on the screen does not move.
//! Knows nothing of results or time.

use fewbits_engine::graph::TaskId;

/// The job slots of a run, by number.
#[derive(Clone, Debug, Default)]
pub struct Jobs {
    slots: Vec<Option<TaskId>>,
    /// The number of jobs in the run's header; 0 if the header does not have it.
    width: usize,
}

impl Jobs {
    /// Creates `width` idle slots.
    #[must_use]
    pub fn new(width: usize) -> Self {
        // The number comes from a run log, which may be damaged, so memory is allocated only when tasks start.
        Self { slots: vec![], width }
    }

    /// Puts a task into the first idle slot. Run logs of older versions do not report the end of a job, so more tasks
    /// than slots may appear to run; the surplus tasks get further slots.
    pub fn start(&mut self, task: TaskId) {
        if self.slots.contains(&Some(task)) {
            return;
        }
        match self.slots.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => *slot = Some(task),
            None => self.slots.push(Some(task)),
        }
    }

    /// Frees the slot of a task that no longer runs.
    pub fn end(&mut self, task: TaskId) {
        for slot in self.slots.iter_mut().filter(|slot| **slot == Some(task)) {
            *slot = None;
        }
        while self.slots.last().is_some_and(Option::is_none) {
            self.slots.pop();
        }
    }

    /// Frees all slots.
    pub fn clear(&mut self) {
        self.slots.clear();
    }

    /// Returns the number of slots, idle or not.
    #[must_use]
    pub fn count(&self) -> usize {
        self.width.max(self.slots.len())
    }

    /// Returns the task in a slot; `None` if the slot is idle.
    #[must_use]
    pub fn task(&self, job: usize) -> Option<TaskId> {
        self.slots.get(job).copied().flatten()
    }

    /// Returns the number of running tasks.
    #[must_use]
    pub fn running(&self) -> usize {
        self.slots.iter().flatten().count()
    }
}
