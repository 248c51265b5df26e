//! The placement of jobs: which worker gets which job, and which jobs go to another worker.
//! Knows no reply.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use fewbits_store::{Key, StoreError};

use super::dispatcher::Dispatcher;
use super::message::Order;
use super::orders::NoOrder;
use super::roster::{InHand, Presence, RosterEntry};
use crate::ops::Ops;
use crate::run::executor::{Assignment, Report};
use crate::run::job::JobError;

/// The number of jobs per job at once that a worker gets from a coordinator that leaves.
const ON_LEAVE: usize = 100;

/// The time that a job waits for another worker than those on which it failed.
const GRACE: Duration = Duration::from_secs(5);

impl<O: Ops> Dispatcher<O> {
    /// Returns whether a worker that `counts` has a job in hand.
    pub(super) fn has_hand(&self, number: u64, counts: impl Fn(&RosterEntry) -> bool) -> bool {
        self.roster.values().any(|entry| counts(entry) && entry.has(number))
    }

    /// Tells every worker that has a job in hand to stop it.
    pub(super) fn call_off(&mut self, number: u64) {
        for entry in self.roster.values_mut() {
            let hands: Vec<u64> =
                entry.hand.iter().filter(|(_, job)| job.number == number).map(|(at, _)| *at).collect();
            entry.outbox.extend(hands.into_iter().map(Order::Cancel));
        }
    }

    /// Gives waiting jobs to workers with room.
    pub(super) fn place(&mut self) -> Result<(), StoreError> {
        // An error leaves the rest waiting.
        for _ in 0..self.waiting.len() {
            let Some(number) = self.waiting.pop_front() else { break };
            let Some(open) = self.open.get(&number) else { continue };
            if open.not_before.is_some_and(|moment| Instant::now() < moment) {
                self.waiting.push_back(number);
                continue;
            }
            let is_here = |entry: &RosterEntry| entry.presence == Presence::Present;
            if self.has_hand(number, is_here) {
                continue;
            }
            let has_failed = |name: &String| open.failures.iter().any(|(worker, _)| worker == name);
            let mut present = self.roster.iter().filter(|(_, entry)| is_here(entry)).peekable();
            let is_alone = present.peek().is_some() && present.all(|(name, _)| has_failed(name));
            if is_alone && open.failed_at.is_some_and(|at| at.elapsed() > GRACE) {
                self.give_up(number);
                continue;
            }
            let inputs: Vec<Key> = open.assignment.job.inputs.iter().map(|input| input.key).collect();
            let has_left = self.has_left.load(Ordering::Relaxed);
            let most =
                |entry: &RosterEntry| if has_left { entry.jobs() * ON_LEAVE } else { entry.capacity() };
            let has_room = |entry: &RosterEntry| entry.hand.len() < most(entry);
            let free = self
                .roster
                .iter()
                .filter(|(name, entry)| is_here(entry) && has_room(entry) && !has_failed(name));
            let best = free.min_by_key(|(_, entry)| entry.preference(&inputs)).map(|(name, _)| name.clone());
            match best {
                Some(worker) => self.hand_out(number, &worker)?,
                None => self.waiting.push_back(number),
            }
        }
        Ok(())
    }

    fn hand_out(&mut self, number: u64, worker: &str) -> Result<(), StoreError> {
        let (Some(open), Some(entry)) = (self.open.get(&number), self.roster.get_mut(worker)) else {
            return Ok(());
        };
        let Assignment { job, runner, .. } = &open.assignment;
        match self.orders.order(&runner.graph, job, entry.next) {
            Ok(order) => {
                entry.hand.insert(entry.next, InHand::new(number, false));
                entry.next = entry.next.saturating_add(1);
                entry.outbox.push(Order::Do(Box::new(order)));
            }
            Err(NoOrder::Lost(task, key)) => {
                self.open.remove(&number);
                (self.report)(Report::Ended(number, Err(JobError::Lost { task, key })));
            }
            Err(NoOrder::Store(error)) => {
                self.waiting.push_back(number);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Lets idle workers have jobs that wait in the hands of others. Without this, the worker that came first could keep trainings
    /// of an hour in its queue while later ones have nothing to do.
    pub(super) fn share(&mut self) {
        if !self.waiting.is_empty() || self.has_left.load(Ordering::Relaxed) {
            return;
        }
        let idle = self.roster.values().filter(|entry| entry.is_idle()).count();
        let recalled: usize = self.roster.values().map(RosterEntry::recalled).sum();
        // A job that failed somewhere stays where it is, because the idle worker may be the one.
        let open = &self.open;
        let may_move = |number: u64| open.get(&number).is_some_and(|job| job.failures.is_empty());
        for _ in recalled..idle {
            let with_jobs = self.roster.values_mut().filter(|entry| entry.has_waiting(&may_move));
            let Some(busiest) = with_jobs.max_by_key(|entry| entry.hand.len()) else { return };
            busiest.recall(&may_move);
        }
    }
}
