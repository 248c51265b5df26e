//! The dispatcher: the coordinator's thread that assigns jobs to workers, reads their replies and notices their silence.
//! It alone reads and writes the mailboxes of the coordinator's side. Knows no state of the run.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use fewbits_store::{Exchange, Key, Record, Store, StoreError};

use super::executor::ClusterSettings;
use super::message::Order;
use super::orders::OrderWriter;
use super::recruiter::Recruiter;
use super::roster::{InHand, Presence, RosterEntry};
use super::takeover::Takeover;
use crate::ops::{OpError, Ops};
use crate::run::executor::{Assignment, FoundJob, Report};
use crate::run::runner::OnReport;

/// The shortest and the longest pause between two looks at the mailboxes. The pause doubles while nothing happens.
const PAUSES: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(250)];
/// The time between two looks for new workers, and between two signs of life to workers.
const BETWEEN_ROLL_CALLS: Duration = Duration::from_millis(500);
const BETWEEN_BEATS: Duration = Duration::from_secs(20);
/// The time after which trouble with the exchange is reported.
const BRIEF: Duration = Duration::from_secs(5);

/// A command of the coordinator.
pub(super) enum Command<O: Ops> {
    /// Tasks are ready.
    Want,
    /// Take over a job.
    Assign(Box<Assignment<O>>),
    /// End the jobs that no worker has begun.
    Drain,
    /// Every result is recorded.
    Settle,
}

/// A job of the coordinator.
pub(super) struct OpenJob<O: Ops> {
    pub(super) assignment: Assignment<O>,
    /// The workers on which it failed, with what happened there.
    pub(super) failures: Vec<(String, Failure)>,
    /// The time of the last failure.
    pub(super) failed_at: Option<Instant>,
    /// Whether a lost input was published again for it.
    pub(super) is_resent: bool,
    /// The number of times that files of the exchange could not be read for it, and the time before which it waits for them.
    pub(super) unreadable: usize,
    pub(super) not_before: Option<Instant>,
    /// The number of workers that fell silent while they did it.
    pub(super) silenced: usize,
}

/// The failure of a job on a worker.
pub(super) enum Failure {
    /// It failed with this message.
    Message(String),
    /// An input that was made again differs from its record: the task that made the input, and its key.
    Differs(String, Key),
}

/// A job that an earlier coordinator assigned, before the run cares for it.
pub(super) struct Found {
    pub(super) key: Key,
    pub(super) keep: bool,
    cancelled: Arc<AtomicBool>,
    /// The place of the worker that began it.
    pub(super) began: Option<String>,
    /// Whether its result was reported before the run cared for it.
    pub(super) has_ended: bool,
}

/// A result that another worker may give once more.
pub(super) struct Closed {
    pub(super) task: String,
    pub(super) place: String,
    /// The result, to compare a second one with; `None` if the op does not give the same bits on every device.
    pub(super) record: Option<Record>,
}

/// Whether further jobs can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prospect {
    /// Workers are there, or may come.
    Good,
    /// No worker will come any more.
    NoWorkers,
    /// The exchange cannot be used any more: its workers are left to a later coordinator.
    Broken,
}

/// Assigns jobs to workers.
pub(super) struct Dispatcher<O: Ops> {
    pub(super) exchange: Arc<Exchange>,
    pub(super) settings: ClusterSettings,
    pub(super) report: OnReport<O::Artifact>,
    pub(super) roster: BTreeMap<String, RosterEntry>,
    pub(super) open: HashMap<u64, OpenJob<O>>,
    pub(super) found: HashMap<u64, Found>,
    pub(super) closed: HashMap<u64, Closed>,
    /// The jobs that no worker has.
    pub(super) waiting: VecDeque<u64>,
    /// The results whose objects are not readable yet: the time of arrival, the worker, the job, the record.
    pub(super) arriving: Vec<(Instant, String, u64, Box<Record>)>,
    pub(super) orders: OrderWriter,
    pub(super) recruiter: Box<dyn Recruiter>,
    capacity: Arc<AtomicUsize>,
    pub(super) has_left: Arc<AtomicBool>,
    pub(super) is_wanted: bool,
    pub(super) prospect: Prospect,
    /// The number of times that workers were recruited.
    pub(super) recruitments: usize,
    /// Whether jobs that have not begun are dropped.
    pub(super) is_draining: bool,
    pub(super) is_settled: bool,
    /// The time at which operations on the exchange began to fail, and whether this was reported.
    trouble: Option<(Instant, bool)>,
    roll_called: Option<Instant>,
    beaten: Instant,
    pub(super) told: Option<String>,
}

impl<O: Ops> Dispatcher<O> {
    /// Takes over an exchange. Returns the dispatcher and the jobs of an earlier coordinator.
    pub(super) fn take_over(
        exchange: Arc<Exchange>,
        store: Arc<Store>,
        recruiter: Box<dyn Recruiter>,
        settings: ClusterSettings,
        report: OnReport<O::Artifact>,
        (capacity, has_left): (Arc<AtomicUsize>, Arc<AtomicBool>),
    ) -> Result<(Self, Vec<FoundJob>), StoreError> {
        let Takeover { roster, open, warnings, .. } = Takeover::read(&exchange, &store)?;
        for message in warnings {
            report(Report::Warned(message));
        }
        let orders = OrderWriter::new(Arc::clone(&exchange), store);
        let mut dispatcher = Self {
            exchange,
            settings,
            report,
            roster,
            open: HashMap::new(),
            found: HashMap::new(),
            closed: HashMap::new(),
            waiting: VecDeque::new(),
            arriving: vec![],
            orders,
            recruiter,
            capacity,
            has_left,
            is_wanted: false,
            prospect: Prospect::Good,
            recruitments: 0,
            is_draining: false,
            is_settled: false,
            trouble: None,
            roll_called: None,
            beaten: Instant::now(),
            told: None,
        };
        let mut jobs = vec![];
        for order in open {
            let number = dispatcher.find(&mut jobs, order.key, order.keep);
            let (worker, at) = order.hand;
            if let Some(entry) = dispatcher.roster.get_mut(&worker) {
                entry.hand.insert(at, InHand::new(number, order.has_begun));
                let on = order.has_begun.then(|| entry.place().to_owned());
                dispatcher.found.entry(number).and_modify(|found| found.began = on);
            }
        }
        Ok((dispatcher, jobs))
    }

    fn find(&mut self, jobs: &mut Vec<FoundJob>, key: Key, keep: bool) -> u64 {
        let (number, cancelled) = (jobs.len() as u64, Arc::new(AtomicBool::new(false)));
        jobs.push(FoundJob { number, key, keep, cancelled: Arc::clone(&cancelled) });
        self.found.insert(number, Found { key, keep, cancelled, began: None, has_ended: false });
        number
    }

    /// Serves the coordinator until it drops the sender of its commands.
    pub(super) fn serve(mut self, commands: &Receiver<Command<O>>) {
        let mut pause = PAUSES[0];
        loop {
            let mut is_busy = match commands.recv_timeout(pause) {
                Ok(command) => {
                    self.obey(command);
                    true
                }
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            while let Ok(command) = commands.try_recv() {
                self.obey(command);
            }
            match self.look() {
                Ok(is_news) => {
                    is_busy |= is_news;
                    self.trouble = None;
                }
                Err(error) => self.suffer(error),
            }
            pause = if is_busy { PAUSES[0] } else { (pause * 2).min(PAUSES[1]) };
        }
        self.end();
    }

    fn obey(&mut self, command: Command<O>) {
        match command {
            Command::Want => {
                // Another version of the experiment may find other workers.
                (self.is_wanted, self.told) = (true, None);
                if self.prospect == Prospect::NoWorkers {
                    self.prospect = Prospect::Good;
                }
            }
            Command::Drain => {
                self.is_draining = true;
                for number in std::mem::take(&mut self.waiting) {
                    self.drop_job(number);
                }
                self.roster.values_mut().for_each(RosterEntry::recall_all);
            }
            Command::Settle => {
                self.is_settled = true;
                for entry in self.roster.values_mut().filter(|entry| entry.presence != Presence::Departed) {
                    entry.settle();
                }
            }
            Command::Assign(assignment) => {
                self.is_settled = false;
                let number = assignment.number;
                let found = self.found.remove(&number);
                if found.as_ref().is_some_and(|found| found.has_ended) {
                    return;
                }
                let job = OpenJob {
                    assignment: *assignment,
                    failures: vec![],
                    failed_at: None,
                    is_resent: false,
                    unreadable: 0,
                    not_before: None,
                    silenced: 0,
                };
                self.open.insert(number, job);
                let is_held = self.has_hand(number, |entry| {
                    matches!(entry.presence, Presence::Present | Presence::Unheard)
                });
                match found.and_then(|found| found.began) {
                    _ if !is_held => self.waiting.push_back(number),
                    Some(on) => (self.report)(Report::Began { number, on }),
                    None => {}
                }
            }
        }
    }

    /// Looks at all mailboxes once, and acts on the replies. Returns whether there were any.
    fn look(&mut self) -> Result<bool, StoreError> {
        // A run that stops must end even if the exchange is gone.
        self.cancel();
        if self.roll_called.is_none_or(|at| at.elapsed() >= BETWEEN_ROLL_CALLS) {
            self.call_roll()?;
            self.roll_called = Some(Instant::now());
        }
        let mut is_news = self.hear();
        is_news |= self.receive_arriving();
        self.notice_silence();
        self.place()?;
        self.share();
        if self.beaten.elapsed() >= BETWEEN_BEATS {
            self.beaten = Instant::now();
            for entry in self.roster.values_mut().filter(|entry| entry.presence != Presence::Departed) {
                entry.outbox.push(Order::Beat);
            }
        }
        self.send()?;
        let capacity = self.roster.values().map(RosterEntry::capacity).sum();
        if self.capacity.swap(capacity, Ordering::Relaxed) != capacity {
            (self.report)(Report::CapacityChanged);
        }
        self.recruit();
        Ok(is_news)
    }

    /// Drops the jobs that the coordinator cancelled.
    fn cancel(&mut self) {
        if self.has_left.load(Ordering::Relaxed) {
            return;
        }
        let open = self.open.iter().filter(|(_, job)| job.assignment.context.cancelled());
        let found = self
            .found
            .iter()
            .filter(|(_, found)| found.cancelled.load(Ordering::Relaxed) && !found.has_ended);
        let numbers: Vec<u64> =
            open.map(|(number, _)| *number).chain(found.map(|(number, _)| *number)).collect();
        for number in numbers {
            self.drop_job(number);
        }
    }

    /// Ends a job as cancelled.
    pub(super) fn drop_job(&mut self, number: u64) {
        self.open.remove(&number);
        self.found.remove(&number);
        self.waiting.retain(|waiting| *waiting != number);
        self.call_off(number);
        (self.report)(Report::Ended(number, Err(OpError::Cancelled.into())));
    }

    /// Writes the orders of all outboxes.
    pub(super) fn send(&mut self) -> Result<(), StoreError> {
        let mut failed = None;
        for entry in self.roster.values_mut().filter(|entry| !entry.outbox.is_empty()) {
            match entry.send() {
                Ok(()) => {}
                // The worker gave up and its folder was removed, or is being removed.
                Err(StoreError::Io { cause, .. }) if cause.kind() == std::io::ErrorKind::NotFound => {
                    entry.outbox.clear();
                }
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Handles an error of the exchange: it may be brief, as on a network file system.
    fn suffer(&mut self, error: StoreError) {
        if self.prospect != Prospect::Good {
            return;
        }
        if matches!(error, StoreError::Claimed { .. }) {
            self.prospect = Prospect::Broken;
            return (self.report)(Report::Broken(error));
        }
        let (since, is_told) = *self.trouble.get_or_insert((Instant::now(), false));
        if since.elapsed() > self.settings.silence {
            self.prospect = Prospect::Broken;
            (self.report)(Report::Broken(error));
        } else if since.elapsed() > BRIEF && !is_told {
            self.trouble = Some((since, true));
            (self.report)(Report::Warned(format!("{error}; the run goes on once this works again")));
        }
    }
}
