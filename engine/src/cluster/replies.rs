//! The effects of workers' replies, of their silence and of their end on the jobs that they have in hand.
//! Knows neither orders nor recruiters.

use std::time::{Duration, Instant};

use fewbits_store::{Key, Record};

use super::dispatcher::{Closed, Dispatcher, Failure, OpenJob};
use super::message::{Hello, Order, Reply, Undone, task_at};
use super::roster::{InHand, Presence, RosterEntry};
use super::takeover::objects_of;
use crate::ops::{Keeping, OpError, Ops};
use crate::run::executor::{Assignment, Report};
use crate::run::job::{JobError, JobResult};

/// The number of workers on which a job fails before it counts as failed.
const TRIES: usize = 2;
/// The number of jobs that fail on one worker alone before it gets no more.
const MOST_BLAMED: usize = 3;
/// The number of workers that may fall silent while they do a job: one that needs too much memory would end them all.
const MOST_SILENCED: usize = 3;
/// The number of times that a job waits for files of the exchange that cannot be read, and the time before the next try.
const MOST_UNREADABLE: usize = 5;
const BEFORE_NEXT_TRY: Duration = Duration::from_secs(2);
/// The time that an object may take to be readable after the reply that names it. A network file system may remember for a
/// minute that a file is missing.
const ARRIVAL: Duration = Duration::from_secs(90);

impl<O: Ops> Dispatcher<O> {
    /// Reads and handles all new replies. Returns whether there were any beside signs of life. A mailbox that cannot be read counts
    /// as silence of its worker.
    pub(super) fn hear(&mut self) -> bool {
        let mut is_news = false;
        let living = self.roster.iter().filter(|(_, entry)| entry.presence != Presence::Departed);
        let workers: Vec<String> = living.map(|(name, _)| name.clone()).collect();
        for worker in workers {
            let Some(entry) = self.roster.get_mut(&worker) else { continue };
            let Ok(replies) = entry.hear() else { continue };
            is_news |= replies.iter().any(|reply| !matches!(reply, Some(Reply::Beat)));
            if !replies.is_empty() && entry.presence == Presence::Silent {
                entry.presence = Presence::Unheard;
            }
            for reply in replies {
                self.handle(&worker, reply);
            }
        }
        is_news
    }

    fn handle(&mut self, worker: &str, reply: Option<Reply>) {
        let Some(entry) = self.roster.get_mut(worker) else { return };
        if entry.presence == Presence::Departed {
            return;
        }
        if entry.presence == Presence::Unheard {
            // The first message tells whether the others can be understood.
            let greeting =
                if let Some(Reply::Hello(hello)) = &reply { hello.within_limits() } else { Hello::default() };
            let hello = entry.hello.get_or_insert(greeting);
            if let Some(differences) = hello.differences(&self.settings.build) {
                return self.refuse(worker, &format!("it has another build: {differences}"));
            }
            self.welcome(worker);
        }
        let number_of =
            |at: u64| self.roster.get(worker).and_then(|entry| entry.hand.get(&at)).map(|job| job.number);
        match reply {
            Some(Reply::Began(at)) => {
                let Some(number) = number_of(at) else { return };
                if let Some(job) = self.roster.get_mut(worker).and_then(|entry| entry.hand.get_mut(&at)) {
                    job.has_begun = true;
                }
                let on = self.place_of(worker);
                if let Some(found) = self.found.get_mut(&number) {
                    found.began = Some(on);
                } else if self.open.contains_key(&number) {
                    (self.report)(Report::Began { number, on });
                }
            }
            Some(Reply::Progressed { number, done, total, metrics }) => {
                if let Some(open) = number_of(number).and_then(|number| self.open.get(&number)) {
                    open.assignment.context.report(done, total, metrics);
                }
            }
            Some(Reply::Rebuilt { number, task, seconds }) => {
                if let Some(open) = number_of(number).and_then(|number| self.open.get(&number)) {
                    let runner = &open.assignment.runner;
                    if let Some(task) = task_at(&runner.graph, task) {
                        (runner.rebuilt)(task, seconds);
                    }
                }
            }
            Some(Reply::Done { number, record }) => {
                let job = self.roster.get_mut(worker).and_then(|entry| entry.hand.remove(&number));
                if let Some(job) = job {
                    self.done(Instant::now(), worker, job.number, record);
                }
            }
            Some(Reply::Undone { number, why }) => {
                let job = self.roster.get_mut(worker).and_then(|entry| entry.hand.remove(&number));
                if let Some(job) = job {
                    self.undone(worker, job.number, job.has_begun, why);
                }
            }
            Some(Reply::Left(because)) => self.depart(worker, &because),
            Some(Reply::Hello(_) | Reply::Beat) | None => {}
        }
    }

    /// Tries again to read the objects of results. Returns whether one arrived.
    pub(super) fn receive_arriving(&mut self) -> bool {
        let before = self.arriving.len();
        for (since, worker, number, record) in std::mem::take(&mut self.arriving) {
            self.done(since, &worker, number, record);
        }
        self.arriving.len() < before
    }

    /// Handles the result of a job, which arrived at `since`.
    fn done(&mut self, since: Instant, worker: &str, number: u64, record: Box<Record>) {
        let key = Key::derive(&record.preimage);
        let wanted = match (self.open.get(&number), self.found.get(&number)) {
            (Some(open), _) => (open.assignment.job.key, open.assignment.job.keep),
            (None, Some(found)) if !found.has_ended => (found.key, found.keep),
            (None, _) => return self.compare(worker, number, &record),
        };
        if wanted != (key, record.kept) {
            let message = "its result is of another task; please report it".to_owned();
            return self.undone(worker, number, true, Undone::Failed(message));
        }
        // A network file system may show an object late, or fail for a moment.
        let Ok(Some(objects)) = objects_of(&self.exchange, &record) else {
            if since.elapsed() < ARRIVAL {
                self.arriving.push((since, worker.to_owned(), number, record));
            } else {
                let message = "the content of its result cannot be read; check the folder of the workers";
                self.undone(worker, number, true, Undone::Unreadable(message.to_owned()));
            }
            return;
        };
        if let Some(entry) = self.roster.get_mut(worker) {
            entry.made(key);
        }
        self.waiting.retain(|waiting| *waiting != number);
        let open = self.open.remove(&number);
        let is_found = self.found.get_mut(&number).map(|found| found.has_ended = true).is_some();
        let keeping =
            open.as_ref().map(|open| open.assignment.runner.graph.kind(open.assignment.job.task).keeping);
        // What cannot be published now is published with the first order that reads it.
        let _ = self.orders.note(is_found || keeping == Some(Keeping::InRecord), key, &record);
        self.exchange.remove_checkpoint(&key);
        if let Some(open) = open {
            self.close(worker, number, &open, &record);
        }
        let result = JobResult { record: *record, artifact: None, objects };
        (self.report)(Report::Ended(number, Ok(result)));
    }

    /// Closes a job: other workers that have it in hand stop, and those on which it failed are blamed.
    fn close(&mut self, worker: &str, number: u64, open: &OpenJob<O>, record: &Record) {
        let (task, place) = (name_of(open), self.place_of(worker));
        if self.has_hand(number, |_| true) {
            self.call_off(number);
            let Assignment { job, runner, .. } = &open.assignment;
            let is_exact = runner.ops.is_exact(&runner.graph.resolved_op(job.task).op);
            let record = is_exact.then(|| record.clone());
            let closed = Closed { task: task.clone(), place: place.clone(), record };
            self.closed.insert(number, closed);
        }
        for (other, failure) in &open.failures {
            let (blamed, message) = (self.place_of(other), failure.words());
            (self.report)(Report::Warned(format!(
                "{task}: failed on {blamed} ({message}), but not on {place}"
            )));
            let Some(entry) = self.roster.get_mut(other) else { continue };
            entry.blamed += 1;
            if entry.blamed == MOST_BLAMED {
                let why = format!("{MOST_BLAMED} tasks failed there that others did; check the machine");
                self.refuse(other, &why);
            }
        }
    }

    /// Compares a second result with the first one of the same job.
    fn compare(&mut self, worker: &str, number: u64, record: &Record) {
        let place = self.place_of(worker);
        let closed = self.closed.get(&number).and_then(|closed| Some((closed, closed.record.as_ref()?)));
        if let Some((closed, first_record)) = closed.filter(|(_, first)| !first.says_the_same_as(record)) {
            let (task, first) = (&closed.task, &closed.place);
            let differences = first_record.differences(record).join(", ");
            let message = format!(
                "{task}: {first} and {place} computed different results ({differences}); the record is dropped, run again, and \
                 please report it"
            );
            (self.report)(Report::Differing { key: Key::derive(&record.preimage), message });
        }
        self.let_go(number);
    }

    /// Forgets a closed job that no worker has in hand any more.
    fn let_go(&mut self, number: u64) {
        if !self.has_hand(number, |_| true) {
            self.closed.remove(&number);
        }
    }

    /// Handles a job that a worker ended without a result.
    fn undone(&mut self, worker: &str, number: u64, has_begun: bool, why: Undone) {
        let place = self.place_of(worker);
        let Some(open) = self.open.get_mut(&number) else { return self.let_go(number) };
        let is_input = |key: &Key| open.assignment.job.input_of(key).is_some();
        let failure = match why {
            Undone::Cancelled if self.is_draining => return self.drop_job(number),
            Undone::Cancelled => {
                return self.return_job(number, has_begun, place.clone(), &format!("{place} dropped it"));
            }
            Undone::Unreadable(message) if open.unreadable < MOST_UNREADABLE => {
                open.unreadable += 1;
                open.not_before = Some(Instant::now() + BEFORE_NEXT_TRY);
                return self.return_job(number, has_begun, place, &message);
            }
            Undone::Lost(key) if !open.is_resent && is_input(&key) => {
                open.is_resent = true;
                self.orders.forget(&open.assignment.job, &key);
                return self.return_job(number, has_begun, place, "an input was not readable there");
            }
            // The store has the input: the orders see to that.
            Undone::Lost(_) => Failure::Message("an input is lost or damaged there".to_owned()),
            Undone::Differs { task, key } if is_input(&key) => Failure::Differs(task, key),
            Undone::Differs { task, .. } => Failure::Message(format!("{task} came out different there")),
            Undone::Failed(message) | Undone::Unreadable(message) => Failure::Message(message),
        };
        let because = format!("it failed there: {}", failure.words());
        open.failures.push((worker.to_owned(), failure));
        open.failed_at = Some(Instant::now());
        if open.failures.len() >= TRIES {
            return self.give_up(number);
        }
        self.return_job(number, has_begun, place, &because);
    }

    /// Reports the failure of a job that no other worker can try.
    pub(super) fn give_up(&mut self, number: u64) {
        let Some(open) = self.open.remove(&number) else { return };
        self.call_off(number);
        let places: Vec<String> = open.failures.iter().map(|(worker, _)| self.place_of(worker)).collect();
        // A record is wrong, and not a worker, only if two workers agree.
        let error = match &open.failures[..] {
            [(_, Failure::Differs(task, key)), (_, Failure::Differs(_, other)), ..] if key == other => {
                JobError::Differs { task: task.clone(), key: *key }
            }
            failures => {
                let message = failures.first().map_or_else(
                    || {
                        format!(
                            "{} workers fell silent while they did it; it may need more memory than they have",
                            open.silenced
                        )
                    },
                    |(_, failure)| format!("{} (on {})", failure.words(), places.join(" and on ")),
                );
                OpError::Failed(message).into()
            }
        };
        (self.report)(Report::Ended(number, Err(error)));
    }

    /// Returns a job to those that wait for a worker. The run hears of it only if the worker had begun.
    fn return_job(&mut self, number: u64, has_begun: bool, from: String, because: &str) {
        if self.open.contains_key(&number) && !self.waiting.contains(&number) {
            self.waiting.push_front(number);
            if has_begun {
                (self.report)(Report::Returned { number, from, because: because.to_owned() });
            }
        }
    }

    /// Returns the jobs of workers that were silent for too long.
    pub(super) fn notice_silence(&mut self) {
        let limit = self.settings.silence;
        let is_lost = |entry: &RosterEntry| {
            matches!(entry.presence, Presence::Present | Presence::Unheard) && entry.is_silent_for(limit)
        };
        let lost: Vec<String> =
            self.roster.iter().filter(|(_, entry)| is_lost(entry)).map(|(name, _)| name.clone()).collect();
        for worker in lost {
            let because = format!("it has been silent for {} s", limit.as_secs());
            self.part(&worker, Presence::Silent, &because);
        }
    }

    /// Handles the end of a worker.
    fn depart(&mut self, worker: &str, because: &str) {
        self.part(worker, Presence::Departed, because);
        if let Some(entry) = self.roster.get_mut(worker) {
            entry.outbox.clear();
            let hand = std::mem::take(&mut entry.hand);
            for job in hand.into_values() {
                self.let_go(job.number);
            }
        }
    }

    /// Tells a worker to end, because it cannot serve the run.
    fn refuse(&mut self, worker: &str, why: &str) {
        let place = self.place_of(worker);
        (self.report)(Report::Warned(format!("{place}: this worker gets no jobs: {why}")));
        self.depart(worker, why);
        if let Some(entry) = self.roster.get_mut(worker) {
            entry.outbox.push(Order::Refuse(why.to_owned()));
        }
    }

    fn part(&mut self, worker: &str, presence: Presence, because: &str) {
        let Some(entry) = self.roster.get_mut(worker) else { return };
        let (jobs, was_present) = (entry.jobs(), entry.presence == Presence::Present);
        entry.presence = presence;
        let (place, hand) = (entry.place().to_owned(), entry.hand.values().copied().collect::<Vec<InHand>>());
        for InHand { number, has_begun, .. } in hand.into_iter().rev() {
            if let Some(open) =
                self.open.get_mut(&number).filter(|_| has_begun && presence == Presence::Silent)
            {
                open.silenced += 1;
                if open.silenced >= MOST_SILENCED {
                    self.give_up(number);
                    continue;
                }
            }
            if !self.has_hand(number, |entry| entry.presence == Presence::Present) {
                self.return_job(number, has_begun, place.clone(), because);
            }
        }
        if was_present {
            (self.report)(Report::WorkerLeft { worker: place, jobs, because: because.to_owned() });
        }
    }

    /// Counts a worker as present.
    fn welcome(&mut self, worker: &str) {
        let Some(entry) = self.roster.get_mut(worker) else { return };
        entry.presence = Presence::Present;
        let (worker, jobs) = (entry.place().to_owned(), entry.jobs());
        (self.report)(Report::WorkerJoined { worker, jobs });
    }

    fn place_of(&self, worker: &str) -> String {
        self.roster.get(worker).map_or_else(|| worker.to_owned(), |entry| entry.place().to_owned())
    }
}

fn name_of<O: Ops>(open: &OpenJob<O>) -> String {
    let assignment = &open.assignment;
    assignment.runner.graph.name(assignment.job.task)
}

impl Failure {
    fn words(&self) -> String {
        match self {
            Self::Message(message) => message.clone(),
            Self::Differs(task, _) => format!("{task}, made again, came out different from its record"),
        }
    }
}
