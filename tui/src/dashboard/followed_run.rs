//! The run that the loader follows: its run log, read line by line, and the results for its tables.
//! Knows nothing of the state that the lines update.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fewbits_engine::event::Event;
use fewbits_engine::graph::TaskId;
use fewbits_engine::plan::Plan;
use fewbits_engine::run_log::LoggedEvent;
use fewbits_engine::table::results::{Results, want_answers};
use fewbits_ops::StandardOps;
use fewbits_store::{Key, RunReader, Store, StoreError};

use super::past_runs::{is_going, replan};
use super::rate_limit::RateLimit;
use super::run_model::OpenedRun;
use super::shown_table::TableRequest;

/// The least pause between two looks at a run log. It doubles with every look that finds no new line, up to [`DOZE`].
const POLL: Duration = Duration::from_millis(30);
/// The longest pause between two looks at a run log.
const DOZE: Duration = Duration::from_millis(250);
/// The least time between two checks of the run's process, while the run log does not grow.
const ALIVE: Duration = Duration::from_secs(1);
/// The wait before the next check of the process, as a multiple of the time of the last one: at most a thousandth of
/// the time.
const REST: u32 = 1000;
/// The most lines per look.
const BATCH: usize = 4000;

/// The run that the loader follows.
pub struct FollowedRun {
    /// The run's header, graph and task names.
    pub opened: OpenedRun,
    reader: RunReader,
    /// A line that was read before it is due in the replay.
    ahead: Option<LoggedEvent>,
    since: Instant,
    /// Whether the run log is complete: no more lines will come.
    pub ended: bool,
    looked: Instant,
    pause: Duration,
    alive: RateLimit,
    /// The results of the events so far.
    pub results: Results,
    /// The plan of the run, which has the keys of cached tasks; made when it is first needed.
    plan: Option<Plan>,
    /// The results to read from the store.
    unread: Vec<(TaskId, Key)>,
    /// Tasks with the key of another task of the run.
    twins: Vec<(TaskId, TaskId)>,
    /// Whether the results of cached tasks are read, or about to be.
    cached_read: bool,
    /// The table that is kept up to date.
    pub table: Option<TableRequest>,
    /// Whether results have arrived since the table was made.
    pub stale: bool,
    /// The time at which the table was last made.
    pub made: Option<RateLimit>,
    /// The time at which reading the table's results failed; `None` if the last read succeeded.
    pub failed: Option<RateLimit>,
}

impl FollowedRun {
    /// Starts before the first event.
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
            unread: vec![],
            twins: vec![],
            cached_read: false,
            table: None,
            stale: false,
            made: None,
            failed: None,
        }
    }

    /// Returns the time until the next look at the run log is due; `None` once the run log is complete.
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

    /// Reads the run log: appends the lines that are due to `lines`, and takes over their results. Lines that were
    /// appended before an error stay there. Returns whether the run's process ended without finishing the run.
    pub fn look(
        &mut self,
        lines: &mut Vec<LoggedEvent>,
        speed: Option<f64>,
        store: &Store,
    ) -> Result<bool, StoreError> {
        let read = self.take(lines, speed);
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
        // The process may have written its last events just before it ended, after they were looked for above.
        self.ahead = self.next(None)?;
        self.ended = self.ahead.is_none();
        Ok(self.ended)
    }

    /// Appends the lines that are due to `lines`, and takes over their results. Lines appended before an error stay
    /// there.
    fn take(&mut self, lines: &mut Vec<LoggedEvent>, speed: Option<f64>) -> Result<(), StoreError> {
        while lines.len() < BATCH {
            let Some(logged) = self.next(speed)? else { break };
            lines.push(logged);
            if let Some(logged) = lines.last() {
                self.learn(logged);
            }
        }
        Ok(())
    }

    /// Returns the next line that is due.
    fn next(&mut self, speed: Option<f64>) -> Result<Option<LoggedEvent>, StoreError> {
        let now = speed.map(|speed| self.since.elapsed().as_secs_f64() * speed);
        let line = match self.ahead.take() {
            Some(line) => Some(line),
            None => loop {
                // A line that cannot be parsed comes from a newer version or is damaged. The other lines are still
                // valid.
                match self.reader.next_line()? {
                    None => break None,
                    Some(line) => {
                        if let Ok(logged) = serde_json::from_str(&line) {
                            break Some(logged);
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

    /// Takes over the result that a line reports, or remembers to read it.
    fn learn(&mut self, logged: &LoggedEvent) {
        let task = |name: &String| self.opened.names.get(name).copied();
        match &logged.event {
            Event::Completed { task: name, key, metrics, seconds } => {
                let Some(task) = task(name) else { return };
                self.results.learn(task, metrics.clone(), *seconds);
                // The event lacks the answers to images.
                if want_answers(&self.opened.graph.experiment.tables) {
                    self.unread.extend(key.parse().ok().map(|key| (task, key)));
                }
                self.stale = true;
            }
            Event::Reused { task: name, key, same_as } => {
                let Some(id) = task(name) else { return };
                self.unread.extend(key.parse().ok().map(|key| (id, key)));
                self.twins.extend(same_as.as_ref().and_then(task).map(|other| (id, other)));
                self.stale = true;
            }
            Event::Failed { task: name, .. } | Event::Skipped { task: name, .. } => {
                self.results.mark_failed(task(name));
                self.stale = true;
            }
            Event::Finished(_) => self.ended = true,
            _ => {}
        }
    }

    /// Returns the plan of the run, and makes it when it is first needed.
    pub fn plan(&mut self, store: &Store, ops: &StandardOps) -> Result<&Plan, StoreError> {
        let plan = match self.plan.take() {
            Some(plan) => plan,
            None => replan(store, ops, &self.opened)?,
        };
        Ok(self.plan.insert(plan))
    }

    /// Reads the results that have not been read yet: those of the tasks that were cached when the run began, and those
    /// that the run log has named since.
    pub fn read_results(&mut self, store: &Store, ops: &StandardOps) -> Result<(), StoreError> {
        if !self.cached_read {
            let cached: Vec<u32> = self.opened.header.cached.iter().flat_map(Clone::clone).collect();
            let graph = Arc::clone(&self.opened.graph);
            let plan = self.plan(store, ops)?;
            let keys: Vec<(TaskId, Key)> = graph
                .tasks()
                .filter(|task| cached.binary_search(&(task.index() as u32)).is_ok())
                .filter_map(|task| Some((task, plan.planned(task).key?)))
                .collect();
            self.unread.extend(keys);
            self.cached_read = true;
        }
        // A result without a record any more is missing, as in every table.
        self.results.read(store, &self.unread, want_answers(&self.opened.graph.experiment.tables))?;
        self.unread.clear();
        for (task, same_as) in self.twins.drain(..) {
            if self.results.metrics(task).is_none() {
                self.results.share(task, same_as);
            }
        }
        Ok(())
    }
}
