//! The queue of a run: the status of every task, and the order in which ready tasks start.
//! Every change of a task's status is one function here. Knows no op, no store and no thread.

use std::collections::{BinaryHeap, HashMap};

use fewbits_store::{Key, KeyMap};

use crate::event::Summary;
use crate::graph::TaskId;

/// The status of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum QueueStatus {
    /// The task waits for this many results.
    Blocked(u32),
    /// The results of all inputs are known; the task's own key is derived next.
    Settling,
    /// The task takes the result of a task with the same key.
    Following,
    /// The task can start.
    Ready,
    /// A job computes the task.
    Running,
    /// The job returned a result, which the store is writing.
    Saving,
    /// The result is recorded.
    Ran,
    /// The result was in the store, or belongs to another task of the same key.
    Cached,
    /// The task failed.
    Failed,
    /// The task cannot run, or an interrupted run left it.
    Skipped,
}

/// The statuses of all tasks and the order of the ready ones.
///
/// Between calls, a blocked task is among the dependents of as many tasks as it waits for, a following task among the
/// followers of the task that is in flight under its key, and a ready task is in the heap once.
#[derive(Debug)]
pub struct TaskQueue {
    status: Vec<QueueStatus>,
    /// The depth of each task in the graph. Deeper tasks start first: the evaluations of a model follow it directly,
    /// so that its memory is freed early.
    depth: Vec<u32>,
    dependents: HashMap<TaskId, Vec<TaskId>>,
    followers: HashMap<TaskId, Vec<TaskId>>,
    in_flight: KeyMap<TaskId>,
    ready: BinaryHeap<(u32, std::cmp::Reverse<TaskId>)>,
    running: usize,
}

impl TaskQueue {
    /// Makes a queue of tasks with these depths; all count as cached at first.
    #[must_use]
    pub fn new(depth: Vec<u32>) -> Self {
        Self {
            status: vec![QueueStatus::Cached; depth.len()],
            depth,
            dependents: HashMap::new(),
            followers: HashMap::new(),
            in_flight: KeyMap::default(),
            ready: BinaryHeap::new(),
            running: 0,
        }
    }

    /// Blocks a task until these inputs are known; a task without inputs to wait for is settled next.
    pub fn wait(&mut self, task: TaskId, inputs: &[TaskId]) {
        let mut inputs = inputs.to_vec();
        inputs.sort_unstable();
        inputs.dedup();
        let blocked = QueueStatus::Blocked(inputs.len() as u32);
        self.turn(task, if inputs.is_empty() { QueueStatus::Settling } else { blocked });
        for input in inputs {
            self.dependents.entry(input).or_default().push(task);
        }
    }

    /// Makes a task of this key ready, or a follower of the task that is already in flight under the key.
    pub fn make_ready(&mut self, task: TaskId, key: Key) {
        let leader = *self.in_flight.entry(key).or_insert(task);
        if leader != task {
            self.turn(task, QueueStatus::Following);
            self.followers.entry(leader).or_default().push(task);
            return;
        }
        self.turn(task, QueueStatus::Ready);
        self.ready.push((self.depth[task.index()], std::cmp::Reverse(task)));
    }

    /// Starts the next task; deeper tasks come first.
    pub fn start_next(&mut self) -> Option<TaskId> {
        let (_, std::cmp::Reverse(task)) = self.ready.pop()?;
        self.turn(task, QueueStatus::Running);
        Some(task)
    }

    /// Starts the task that leads a key, if it is ready.
    pub fn start_leader(&mut self, key: &Key) -> Option<TaskId> {
        let leader = self.leader(key).filter(|leader| self.status[leader.index()] == QueueStatus::Ready)?;
        self.ready.retain(|(_, std::cmp::Reverse(task))| *task != leader);
        self.turn(leader, QueueStatus::Running);
        Some(leader)
    }

    /// Marks a task's result as known; returns the tasks that have to be settled now.
    pub fn know(&mut self, task: TaskId) -> Vec<TaskId> {
        let mut free = vec![];
        for dependent in self.dependents.remove(&task).unwrap_or_default() {
            if let QueueStatus::Blocked(count) = &mut self.status[dependent.index()] {
                *count -= 1;
                if *count == 0 {
                    self.status[dependent.index()] = QueueStatus::Settling;
                    free.push(dependent);
                }
            }
        }
        free
    }

    /// Marks a task as computed but not yet recorded.
    pub fn save(&mut self, task: TaskId) {
        self.turn(task, QueueStatus::Saving);
    }

    /// Marks a task as cached.
    pub fn cache(&mut self, task: TaskId) {
        self.turn(task, QueueStatus::Cached);
    }

    /// Marks a task's result as recorded.
    pub fn record(&mut self, task: TaskId) {
        self.turn(task, QueueStatus::Ran);
    }

    /// Returns the followers of a task: they take its result.
    #[must_use]
    pub fn followers(&self, task: TaskId) -> &[TaskId] {
        self.followers.get(&task).map_or(&[], Vec::as_slice)
    }

    /// Removes and returns the followers of a task.
    pub fn take_followers(&mut self, task: TaskId) -> Vec<TaskId> {
        self.followers.remove(&task).unwrap_or_default()
    }

    /// Marks a task as failed; returns the tasks that cannot run because of it.
    pub fn fail(&mut self, task: TaskId) -> Vec<TaskId> {
        self.turn(task, QueueStatus::Failed);
        self.strand(task)
    }

    /// Marks a task as skipped; returns the tasks that cannot run because of it.
    pub fn skip(&mut self, task: TaskId) -> Vec<TaskId> {
        self.turn(task, QueueStatus::Skipped);
        self.strand(task)
    }

    /// Marks a task as skipped because its job was cancelled; the tasks that depend on it are left to
    /// [`Self::leave_rest`].
    pub fn leave(&mut self, task: TaskId) {
        self.turn(task, QueueStatus::Skipped);
    }

    /// Returns whether a task gives no result in this run.
    #[must_use]
    pub fn is_out(&self, task: TaskId) -> bool {
        matches!(self.status[task.index()], QueueStatus::Failed | QueueStatus::Skipped)
    }

    /// Returns the leader of a key: the task that is in flight under it.
    #[must_use]
    pub fn leader(&self, key: &Key) -> Option<TaskId> {
        self.in_flight.get(key).copied()
    }

    /// Ends a task's lead of its key; returns its followers, which have to be settled again.
    pub fn retire(&mut self, task: TaskId, key: Key) -> Vec<TaskId> {
        if self.leader(&key) != Some(task) {
            return vec![];
        }
        self.in_flight.remove(&key);
        let followers = self.take_followers(task);
        for follower in &followers {
            self.turn(*follower, QueueStatus::Settling);
        }
        followers
    }

    /// Marks every unfinished task as skipped, at the end of a run.
    pub fn leave_rest(&mut self) {
        for status in &mut self.status {
            if !matches!(status, QueueStatus::Ran | QueueStatus::Cached | QueueStatus::Failed) {
                *status = QueueStatus::Skipped;
            }
        }
    }

    /// Returns the number of running tasks, which is at most the number of jobs.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running
    }

    /// Returns the number of ready tasks.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Checks the invariants, in debug builds.
    pub fn check(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        let mut waits: HashMap<TaskId, u32> = HashMap::new();
        for dependent in self.dependents.values().flatten() {
            *waits.entry(*dependent).or_default() += 1;
        }
        let count = |wanted| self.status.iter().filter(|status| **status == wanted).count();
        for (task, expected) in waits {
            if let QueueStatus::Blocked(count) = self.status[task.index()] {
                debug_assert_eq!(count, expected, "{task:?} waits for other tasks than it is blocked by");
            }
        }
        for (leader, followers) in &self.followers {
            debug_assert!(self.in_flight.values().any(|task| task == leader), "{leader:?} leads no key");
            for follower in followers {
                debug_assert_eq!(self.status[follower.index()], QueueStatus::Following, "{follower:?}");
            }
        }
        debug_assert_eq!(count(QueueStatus::Ready), self.ready.len(), "ready tasks and their heap");
        debug_assert_eq!(count(QueueStatus::Running), self.running, "running tasks and their count");
    }

    /// Counts the tasks by how they ended.
    #[must_use]
    pub fn summary(&self, seconds: f64) -> Summary {
        let count = |wanted| self.status.iter().filter(|status| **status == wanted).count();
        let (ran, cached, failed) =
            (count(QueueStatus::Ran), count(QueueStatus::Cached), count(QueueStatus::Failed));
        let tasks = self.status.len();
        Summary { tasks, ran, cached, failed, skipped: tasks - ran - cached - failed, seconds }
    }

    /// Changes a task's status and keeps the count of running tasks.
    fn turn(&mut self, task: TaskId, status: QueueStatus) {
        let before = std::mem::replace(&mut self.status[task.index()], status);
        self.running += usize::from(status == QueueStatus::Running);
        self.running -= usize::from(before == QueueStatus::Running);
    }

    /// Skips the tasks that wait for a task's result, directly or not.
    fn strand(&mut self, task: TaskId) -> Vec<TaskId> {
        let mut skipped = vec![];
        let mut stack = vec![task];
        while let Some(cause) = stack.pop() {
            let mut affected = self.dependents.remove(&cause).unwrap_or_default();
            affected.extend(self.take_followers(cause));
            for task in affected {
                let status = &mut self.status[task.index()];
                if matches!(status, QueueStatus::Blocked(_) | QueueStatus::Following | QueueStatus::Settling)
                {
                    *status = QueueStatus::Skipped;
                    skipped.push(task);
                    stack.push(task);
                }
            }
        }
        skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes a queue of `depths.len()` pending tasks; each waits for the given inputs.
    fn queue(depths: &[u32], inputs: &[&[usize]]) -> (Vec<TaskId>, TaskQueue) {
        let tasks: Vec<TaskId> = (0..depths.len()).map(TaskId::from_index).collect();
        let mut queue = TaskQueue::new(depths.to_vec());
        for (task, inputs) in inputs.iter().enumerate() {
            queue.wait(tasks[task], &inputs.iter().map(|&input| tasks[input]).collect::<Vec<_>>());
        }
        (tasks, queue)
    }

    fn key(name: &str) -> Key {
        Key::derive(name)
    }

    #[test]
    fn the_deepest_goes_first_and_beside_each_other_the_first() {
        let (tasks, mut queue) = queue(&[0, 1, 2, 1], &[&[], &[], &[], &[]]);
        for (task, name) in tasks.iter().zip(["a", "b", "c", "d"]) {
            queue.make_ready(*task, key(name));
        }
        let order: Vec<TaskId> = std::iter::from_fn(|| queue.start_next()).collect();
        assert_eq!(order, [tasks[2], tasks[1], tasks[3], tasks[0]]);
        assert_eq!((queue.running(), queue.ready()), (4, 0));
    }

    #[test]
    fn a_task_is_free_when_the_last_of_its_inputs_is_known() {
        let (tasks, mut queue) = queue(&[0, 0, 1], &[&[], &[], &[0, 1, 0]]);
        assert_eq!(queue.know(tasks[0]), []);
        assert_eq!(queue.know(tasks[0]), [], "known twice is known once");
        assert_eq!(queue.know(tasks[1]), [tasks[2]]);
    }

    #[test]
    fn a_failure_strands_what_waits_and_what_follows() {
        let (tasks, mut queue) = queue(&[0, 0, 1, 2, 1], &[&[], &[], &[1], &[2], &[]]);
        queue.make_ready(tasks[0], key("same"));
        queue.make_ready(tasks[1], key("same"));
        queue.make_ready(tasks[4], key("other"));
        assert_eq!((queue.ready(), queue.leader(&key("same"))), (2, Some(tasks[0])));
        let mut skipped = queue.fail(tasks[0]);
        skipped.sort_unstable();
        assert_eq!(skipped, [tasks[1], tasks[2], tasks[3]]);
        assert!(queue.is_out(tasks[3]) && !queue.is_out(tasks[4]));
        queue.record(tasks[4]);
        let Summary { tasks, ran, cached, failed, skipped, .. } = queue.summary(0.0);
        assert_eq!((tasks, ran, cached, failed, skipped), (5, 1, 0, 1, 3));
    }

    #[test]
    fn a_task_runs_while_a_job_works_on_it_and_no_longer() {
        type Change = fn(&mut TaskQueue, TaskId);
        let ends: [Change; 6] = [
            TaskQueue::save,
            TaskQueue::leave,
            TaskQueue::record,
            |queue, task| drop(queue.fail(task)),
            |queue, task| drop(queue.skip(task)),
            |queue, task| queue.wait(task, &[]),
        ];
        for end in ends {
            let (tasks, mut queue) = queue(&[0, 0], &[&[], &[]]);
            queue.make_ready(tasks[0], key("a"));
            queue.make_ready(tasks[1], key("b"));
            assert_eq!(queue.running(), 0);
            queue.start_next();
            queue.start_next();
            assert_eq!(queue.running(), 2);
            end(&mut queue, tasks[0]);
            assert_eq!(queue.running(), 1);
            queue.save(tasks[1]);
            queue.record(tasks[1]);
            assert_eq!(queue.running(), 0, "saving and recording count once");
        }
    }

    #[test]
    fn a_leader_starts_out_of_turn_once() {
        let (tasks, mut queue) = queue(&[0, 0, 0], &[&[], &[], &[]]);
        for (task, name) in tasks.iter().zip(["a", "b", "b"]) {
            queue.make_ready(*task, key(name));
        }
        assert_eq!(queue.start_leader(&key("b")), Some(tasks[1]));
        assert_eq!((queue.start_leader(&key("b")), queue.start_leader(&key("c"))), (None, None));
        assert_eq!((queue.running(), queue.ready()), (1, 1));
        queue.check();
        assert_eq!((queue.start_next(), queue.start_next()), (Some(tasks[0]), None));
    }

    #[test]
    fn who_led_a_key_frees_its_followers() {
        let (tasks, mut queue) = queue(&[0, 0, 0], &[&[], &[], &[]]);
        queue.make_ready(tasks[0], key("same"));
        queue.make_ready(tasks[1], key("same"));
        assert_eq!(queue.retire(tasks[1], key("same")), [], "it does not lead");
        assert_eq!(queue.retire(tasks[0], key("same")), [tasks[1]]);
        queue.make_ready(tasks[1], key("same"));
        assert_eq!((queue.leader(&key("same")), queue.ready()), (Some(tasks[1]), 2));
        queue.leave_rest();
        assert_eq!(queue.summary(0.0).skipped, 3);
    }
}
