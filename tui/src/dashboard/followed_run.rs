//! The run that the clerk follows: its journal read line by line, and the results that its tables are made from.
//! Knows nothing of the dashboard that the lines go to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fewbits_engine::event::Event;
use fewbits_engine::graph::TaskId;
use fewbits_engine::plan::Plan;
use fewbits_engine::run_log::LoggedEvent;
use fewbits_engine::table::results::{Results, wants_answers};
use fewbits_ops::StandardOps;
use fewbits_store::{Key, Record, RunReader, Store, StoreError};

use super::messages::TableRequest;
use super::past_runs::{is_going, replan};
use super::rate_limit::RateLimit;
use super::run_model::OpenedRun;

/// The pause between looks at a journal that grows. It doubles with every look that finds nothing new, up to [`DOZE`].
const POLL: Duration = Duration::from_millis(30);
/// The pause between looks at a journal that has not grown for a while.
const DOZE: Duration = Duration::from_millis(250);
/// The least time between two looks for the process of a run whose journal does not grow.
const ALIVE: Duration = Duration::from_secs(1);
/// A look for the process takes at most a thousandth of the time.
const REST: u32 = 1000;
/// Lines told at once.
const BATCH: usize = 4000;

/// The run that is followed.
pub struct FollowedRun {
    /// The run's header, graph and task names.
    pub opened: OpenedRun,
    reader: RunReader,
    /// A line that was read ahead of its time.
    ahead: Option<LoggedEvent>,
    since: Instant,
    /// Whether nothing more comes.
    pub ended: bool,
    looked: Instant,
    pause: Duration,
    alive: RateLimit,
    /// The results so far.
    pub results: Results,
    /// The run, planned again: the keys of tasks that were cached. Made when first needed.
    plan: Option<Plan>,
    /// Whether the results of those tasks were read.
    cached_read: bool,
    /// The table that is kept fresh.
    pub table: Option<TableRequest>,
    /// Whether the table is older than the results.
    pub stale: bool,
    /// When the table was made last.
    pub made: Option<RateLimit>,
    /// When its results could not be read, if that was the last time.
    pub failed: Option<RateLimit>,
}

impl FollowedRun {
    /// Starts with the first event.
    #[must_use]
    pub fn new(opened: OpenedRun, reader: RunReader) -> Self {
        let now = Instant::now();
        Self {
            results: Results::none(opened.graph.len()),
            opened,
            reader,
            ahead: None,
            since: now,
            ended: false,
            looked: now,
            pause: Duration::ZERO,
            alive: RateLimit::after(now),
            plan: None,
            cached_read: false,
            table: None,
            stale: false,
            made: None,
            failed: None,
        }
    }

    /// Returns how long there is nothing to look for in the journal; none once nothing more comes.
    #[must_use]
    pub fn patience(&self, speed: Option<f64>) -> Option<Duration> {
        if self.ended {
            return None;
        }
        let pause = self.pause.saturating_sub(self.looked.elapsed());
        let (Some(line), Some(speed)) = (&self.ahead, speed) else { return Some(pause) };
        let due = Duration::try_from_secs_f64(line.at / speed).unwrap_or(Duration::MAX);
        Some(due.saturating_sub(self.since.elapsed()).max(pause))
    }

    /// Looks at the journal: adds the lines whose time has come to `lines`, and learns from them; those added before a fault
    /// are not lost. Returns whether the run's process is gone without a word.
    pub fn look(
        &mut self,
        lines: &mut Vec<LoggedEvent>,
        speed: Option<f64>,
        store: &Store,
    ) -> Result<bool, StoreError> {
        let read = self.take(lines, speed, store);
        self.looked = Instant::now();
        self.pause = match lines.len() {
            BATCH.. => Duration::ZERO,
            // A line read ahead has its own due time (`patience`).
            0 if self.ahead.is_none() => (self.pause * 2).clamp(POLL, DOZE),
            _ => POLL,
        };
        read?;
        if !lines.is_empty() || self.ended || self.ahead.is_some() {
            return Ok(false);
        }
        if !self.alive.left(ALIVE, REST).is_zero() {
            return Ok(false);
        }
        if is_going(store, &self.opened.id)? {
            self.alive = RateLimit::after(self.looked);
            return Ok(false);
        }
        // The process may have written its last events just before it ended.
        self.ahead = self.next(None)?;
        self.ended = self.ahead.is_none();
        Ok(self.ended)
    }

    /// Takes the lines whose time has come and learns from them; those taken before a fault are not lost.
    fn take(
        &mut self,
        lines: &mut Vec<LoggedEvent>,
        speed: Option<f64>,
        store: &Store,
    ) -> Result<(), StoreError> {
        while lines.len() < BATCH {
            let Some(stamped) = self.next(speed)? else { break };
            lines.push(stamped);
            if let Some(stamped) = lines.last() {
                self.learn(stamped, store)?;
            }
        }
        Ok(())
    }

    /// Returns the next line whose time has come.
    fn next(&mut self, speed: Option<f64>) -> Result<Option<LoggedEvent>, StoreError> {
        let now = speed.map(|speed| self.since.elapsed().as_secs_f64() * speed);
        let line = match self.ahead.take() {
            Some(line) => Some(line),
            None => loop {
                // A line that cannot be read is of a newer program, or damaged: the others still count.
                match self.reader.next_line()? {
                    None => break None,
                    Some(line) => {
                        if let Ok(stamped) = serde_json::from_str(&line) {
                            break Some(stamped);
                        }
                    }
                }
            },
        };
        let Some(line) = line else { return Ok(None) };
        if now.is_some_and(|now| line.at > now) {
            self.ahead = Some(line);
            return Ok(None);
        }
        Ok(Some(line))
    }

    /// Takes in what a line says of results.
    fn learn(&mut self, stamped: &LoggedEvent, store: &Store) -> Result<(), StoreError> {
        let task = |name: &String| self.opened.names.get(name).copied();
        match &stamped.event {
            Event::Completed { task: name, metrics, seconds, .. } => {
                if let Some(task) = task(name) {
                    self.results.learn(task, metrics.clone(), *seconds);
                    self.stale = true;
                }
            }
            Event::Reused { task: name, key, same_as } => {
                let Some(id) = task(name) else { return Ok(()) };
                match same_as.as_ref().and_then(task) {
                    Some(other) => self.results.share(id, other),
                    None => {
                        let record = key.parse::<Key>().ok().map(|key| store.record(&key)).transpose()?;
                        if let Some(Record { metrics, seconds, .. }) = record.flatten() {
                            self.results.learn(id, metrics, seconds);
                        }
                    }
                }
                self.stale = true;
            }
            Event::Finished(_) => self.ended = true,
            _ => {}
        }
        Ok(())
    }

    /// Returns the run planned again.
    pub fn plan(&mut self, store: &Store, ops: &StandardOps) -> Result<&Plan, StoreError> {
        let plan = match self.plan.take() {
            Some(plan) => plan,
            None => replan(store, ops, &self.opened)?,
        };
        Ok(self.plan.insert(plan))
    }

    /// Reads the results of the tasks that were cached when the run began, the first time.
    pub fn read_cached(&mut self, store: &Store, ops: &StandardOps) -> Result<(), StoreError> {
        if self.cached_read {
            return Ok(());
        }
        let cached: Vec<u32> = self.opened.header.cached.iter().flat_map(Clone::clone).collect();
        let graph = Arc::clone(&self.opened.graph);
        let plan = self.plan(store, ops)?;
        let keys: Vec<(TaskId, Key)> = graph
            .tasks()
            .filter(|task| cached.binary_search(&(task.index() as u32)).is_ok())
            .filter_map(|task| Some((task, plan.planned(task).key?)))
            .collect();
        let with_answers = wants_answers(&graph);
        for (task, key) in keys {
            if let Some(record) = store.record(&key)? {
                self.results.learn_record(task, record.into(), with_answers);
            }
        }
        self.cached_read = true;
        Ok(())
    }
}
