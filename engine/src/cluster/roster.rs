//! The roster: the workers of an exchange as the coordinator knows them, with the jobs that each has in hand.
//! Knows no job's content and no result.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use fewbits_store::{Key, MailReader, MailWriter, StoreError};

use super::message::{Hello, Order, Reply};

/// The number of jobs that a worker has in hand beyond those that it does, so that it never waits for the coordinator.
const AHEAD: usize = 2;
/// The number of results that the coordinator supposes in the memory of a worker.
const RECENT: usize = 64;

/// The time after which a job that waits in a worker's hand may go to an idle one. Short tasks are done by then.
const LONG: Duration = Duration::from_secs(1);

/// Whether a worker is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// It has a folder, but has not been heard since the coordinator began.
    Unheard,
    /// It has been heard within the time limit.
    Present,
    /// It has not been heard for longer.
    Silent,
    /// It ended, or was told to end.
    Departed,
}

/// A job in the hand of a worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct InHand {
    /// The coordinator's number of the job.
    pub(super) number: u64,
    /// Whether the worker has begun it.
    pub(super) has_begun: bool,
    /// Whether the worker was told to give it back.
    is_recalled: bool,
    since: Instant,
}

impl InHand {
    pub(super) fn new(number: u64, has_begun: bool) -> Self {
        Self { number, has_begun, is_recalled: false, since: Instant::now() }
    }
}

/// A worker of the roster.
pub(super) struct RosterEntry {
    /// What the worker said of itself.
    pub(super) hello: Option<Hello>,
    pub(super) presence: Presence,
    /// The jobs in hand by the worker's numbers.
    pub(super) hand: BTreeMap<u64, InHand>,
    /// The number of the next job.
    pub(super) next: u64,
    /// The orders that are not written yet.
    pub(super) outbox: Vec<Order>,
    /// The number of jobs that failed here alone.
    pub(super) blamed: usize,
    replies: MailReader,
    orders: Option<MailWriter>,
    heard: Instant,
    /// The keys of the newest results, whose artifacts the worker may have in memory.
    recent: VecDeque<Key>,
}

impl RosterEntry {
    pub(super) fn new(replies: MailReader, orders: Option<MailWriter>) -> Self {
        Self {
            hello: None,
            presence: Presence::Unheard,
            hand: BTreeMap::new(),
            next: 0,
            outbox: vec![],
            blamed: 0,
            replies,
            orders,
            heard: Instant::now(),
            recent: VecDeque::new(),
        }
    }

    /// Returns the name of the worker's machine.
    pub(super) fn place(&self) -> &str {
        self.hello.as_ref().map_or("a worker", |hello| &hello.place)
    }

    /// Returns the number of jobs that the worker does at once; 0 unless it is present.
    pub(super) fn jobs(&self) -> usize {
        match (&self.hello, self.presence) {
            (Some(hello), Presence::Present) => (hello.jobs as usize).max(1),
            _ => 0,
        }
    }

    /// Returns the number of jobs that the worker may have in hand.
    pub(super) fn capacity(&self) -> usize {
        if self.jobs() == 0 { 0 } else { self.jobs() + AHEAD }
    }

    /// Returns the number of waiting jobs that stay in the worker's hand when another coordinator takes over.
    pub(super) fn first_of_queue(&self) -> usize {
        AHEAD + self.hello.as_ref().map_or(1, |hello| hello.jobs as usize)
    }

    /// Returns the order of preference of this worker for a job that reads the artifacts of these keys; the least is best. An idle
    /// worker is better than one with the inputs in memory, because a job that waits costs more than an artifact made again.
    pub(super) fn preference(&self, inputs: &[Key]) -> (bool, bool, usize) {
        let has_inputs = inputs.iter().any(|key| self.recent.contains(key));
        (self.hand.len() >= self.jobs(), !has_inputs, self.hand.len() / self.jobs().max(1))
    }

    /// Returns whether the worker has a job in hand.
    pub(super) fn has(&self, number: u64) -> bool {
        self.hand.values().any(|job| job.number == number)
    }

    /// Returns whether the worker could begin a job at once.
    pub(super) fn is_idle(&self) -> bool {
        self.hand.len() < self.jobs()
    }

    /// Returns whether jobs that may move wait in the worker's hand for long.
    pub(super) fn has_waiting(&self, may_move: &impl Fn(u64) -> bool) -> bool {
        self.presence == Presence::Present
            && self.hand.values().any(|job| is_waiting(job) && may_move(job.number))
    }

    /// Returns the number of jobs that the worker was told to give back.
    pub(super) fn recalled(&self) -> usize {
        self.hand.values().filter(|job| job.is_recalled).count()
    }

    /// Returns whether the worker is there.
    pub(super) fn is_present(&self) -> bool {
        self.presence == Presence::Present
    }

    /// Tells the worker to give back all jobs that it has not begun.
    pub(super) fn recall_all(&mut self) {
        let waiting = self.hand.iter_mut().filter(|(_, job)| !job.has_begun && !job.is_recalled);
        for (&at, job) in waiting {
            job.is_recalled = true;
            self.outbox.push(Order::Cancel(at));
        }
    }

    /// Tells the worker to give back the last job that waits in its hand and may move.
    pub(super) fn recall(&mut self, may_move: &impl Fn(u64) -> bool) {
        let mut jobs = self.hand.iter_mut().rev();
        if let Some((&at, job)) = jobs.find(|(_, job)| is_waiting(job) && may_move(job.number)) {
            job.is_recalled = true;
            self.outbox.push(Order::Cancel(at));
        }
    }

    /// Notes that the worker made the artifact of a key.
    pub(super) fn made(&mut self, key: Key) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(key);
    }

    /// Notes in the worker's mailbox that the results of all jobs but those in hand are recorded or dropped.
    pub(super) fn settle(&mut self) {
        let first = self.hand.keys().next().copied().unwrap_or(self.next);
        self.outbox.push(Order::Settled(first));
    }

    /// Reads the new replies, and notes that the worker lives if there are any.
    pub(super) fn hear(&mut self) -> Result<Vec<Option<Reply>>, StoreError> {
        let replies = self.replies.read()?;
        if !replies.is_empty() {
            self.heard = Instant::now();
        }
        Ok(replies)
    }

    /// Returns whether the worker has not been heard for this time.
    pub(super) fn is_silent_for(&self, limit: Duration) -> bool {
        self.heard.elapsed() > limit
    }

    /// Writes the orders of the outbox.
    pub(super) fn send(&mut self) -> Result<(), StoreError> {
        let Some(orders) = self.orders.as_mut().filter(|_| !self.outbox.is_empty()) else { return Ok(()) };
        orders.append(&self.outbox, true)?;
        self.outbox.clear();
        Ok(())
    }
}

/// Returns whether a job waits in a worker's hand for long.
fn is_waiting(job: &InHand) -> bool {
    !job.has_begun && !job.is_recalled && job.since.elapsed() > LONG
}
