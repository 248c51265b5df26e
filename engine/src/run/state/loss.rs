//! The effects of losses and failures on the state of a run: tasks that are sent back, failed or skipped.

use fewbits_store::StoreError;

use super::RunState;
use crate::event::Event;
use crate::graph::TaskId;
use crate::ops::Ops;

impl<O: Ops> RunState<'_, O> {
    /// Handles a kept artifact that a task found lost: the input runs again, once, and the task after it.
    pub fn lost(&mut self, task: TaskId, input: TaskId) -> Result<(), StoreError> {
        if !self.sent_back.insert((task, input)) {
            let input = self.graph.name(input);
            self.failed(task, format!("{input}: its stored result cannot be read back; check the disk"));
            return Ok(());
        }
        let name = self.graph.name(input);
        self.announcer.tell(Event::Postponed { task: self.graph.name(task), because: name.clone() });
        // Other tasks may find the same loss even after the artifact was made again.
        if self.lost.insert(input) {
            let message = format!("{name}: its stored result is gone or damaged; it runs again");
            self.announcer.tell(Event::Warned { message });
            self.supply.hold(input);
            let mut freed = vec![input];
            if let Some(key) = self.supply.planned(input).key {
                self.drop_record(&key)?;
                freed.extend(self.queue.retire(input, key));
            }
            self.advance(freed)?;
        }
        let unknown = self.supply.known(input).parts.is_none().then_some(input);
        self.send_back(task, unknown)
    }

    /// Settles a task that was about to start again, once a needed result is known.
    pub fn send_back(&mut self, task: TaskId, needed: Option<TaskId>) -> Result<(), StoreError> {
        let key = self.supply.planned(task).key;
        let mut freed = key.map(|key| self.queue.retire(task, key)).unwrap_or_default();
        match needed {
            Some(needed) => self.postpone(task, &[needed]),
            None => freed.push(task),
        }
        self.advance(freed)
    }

    /// Blocks a task until these results are known; skips or fails it if that is impossible.
    pub(super) fn postpone(&mut self, task: TaskId, needed: &[TaskId]) {
        if let Some(&out) = needed.iter().find(|needed| self.queue.is_out(**needed)) {
            self.skip(task, out);
        } else if needed.is_empty() {
            self.failed(task, "an input has not the part that is read; please report it".to_owned());
        } else {
            self.queue.wait(task, needed);
        }
    }

    /// Fails a task, and skips the tasks that depend on it.
    pub fn failed(&mut self, task: TaskId, error: String) {
        self.failures = true;
        self.announcer.tell(Event::Failed { task: self.graph.name(task), error });
        let skipped = self.queue.fail(task);
        self.out(task);
        self.skipped(&skipped, task);
    }

    /// Skips a task, and the tasks that depend on it, because of another task.
    pub(super) fn skip(&mut self, task: TaskId, because: TaskId) {
        let skipped = self.queue.skip(task);
        self.skipped(&[task], because);
        self.skipped(&skipped, because);
    }

    fn skipped(&mut self, tasks: &[TaskId], because: TaskId) {
        for &task in tasks {
            let because = self.graph.name(because);
            self.announcer.tell(Event::Skipped { task: self.graph.name(task), because });
            self.out(task);
        }
    }

    /// Withdraws a task that gives no result in this run: it releases its key and its inputs.
    fn out(&mut self, task: TaskId) {
        if let Some(key) = self.supply.planned(task).key {
            // Its followers were skipped before.
            self.queue.retire(task, key);
        }
        self.supply.lose(task);
        self.supply.let_go(task);
    }
}
