//! The clerk: a thread that reads the store for the dashboard and makes its tables, so that no frame waits for either.
//! Follows one run at a time. Knows nothing of keys, views or terminals.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use fewbits_engine::event::Event;
use fewbits_engine::graph::{Graph, TaskId};
use fewbits_engine::journal::Stamped;
use fewbits_engine::plan::Plan;
use fewbits_engine::spec::expression::Expression;
use fewbits_engine::spec::table::{Shape, Table};
use fewbits_engine::table::group::Groups;
use fewbits_engine::table::results::{Results, wants_answers};
use fewbits_engine::text::fault::{Faults, Span};
use fewbits_ops::StandardOps;
use fewbits_store::{Key, Record, RunReader, Store, StoreError};

use super::archive::{is_going, open, past, replan};
use super::comparison;
use super::news::{Ask, News, Wanted};
use super::study::Opened;

/// How often the journal is looked at.
const POLL: Duration = Duration::from_millis(30);
/// Lines told at once.
const BATCH: usize = 4000;
/// A table is made again when this many times what it took has passed: so it costs at most a hundredth of the run.
const REST: u32 = 100;
/// Past runs that are listed.
const RUNS: usize = 500;
/// A run whose process is gone is noticed after so many looks at a journal that says nothing new.
const PATIENCE: u32 = 20;

/// Reads the store.
pub struct Clerk {
    store: Arc<Store>,
    ops: Arc<StandardOps>,
    asks: Receiver<Ask>,
    news: Sender<News>,
    followed: Option<Followed>,
    /// How many times faster than it was a finished run is replayed; none shows its end at once.
    speed: Option<f64>,
}

/// The run that is followed.
struct Followed {
    opened: Opened,
    reader: RunReader,
    /// A line that was read ahead of its time.
    ahead: Option<Stamped>,
    since: Instant,
    ended: bool,
    quiet: u32,
    results: Results,
    /// The run, planned again: the keys of tasks that were cached. Made when first needed.
    plan: Option<Plan>,
    /// Whether the results of those tasks were read.
    cached_read: bool,
    table: Option<Wanted>,
    /// Whether the table is older than the results.
    stale: bool,
    made: Option<(Instant, Duration)>,
}

impl Clerk {
    /// Makes a clerk that answers asks with news.
    #[must_use]
    pub fn new(
        store: Arc<Store>,
        ops: Arc<StandardOps>,
        speed: Option<f64>,
        asks: Receiver<Ask>,
        news: Sender<News>,
    ) -> Self {
        Self { store, ops, asks, news, followed: None, speed }
    }

    /// Works until nobody asks any more.
    pub fn work(mut self) {
        loop {
            match self.asks.recv_timeout(POLL) {
                Ok(ask) => self.answer(ask),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let followed = self.follow().and_then(|()| self.refresh());
            if let Err(error) = followed {
                self.trouble(&error);
            }
        }
    }

    fn tell(&self, news: News) {
        // Nobody listens while the dashboard is being closed.
        let _ = self.news.send(news);
    }

    fn trouble(&self, error: &StoreError) {
        self.tell(News::Trouble(error.to_string()));
    }

    fn answer(&mut self, ask: Ask) {
        let done = match ask {
            Ask::Open(id) => self.open(&id),
            Ask::Table(wanted) => {
                if let Some(followed) = &mut self.followed {
                    (followed.table, followed.stale, followed.made) = (wanted, true, None);
                }
                Ok(())
            }
            Ask::Record { run, task, key } => self.record(&run, task, &key),
            Ask::Runs => past(&self.store, RUNS).map(|past| self.tell(News::Runs(past))),
            Ask::Baseline(id) => self.baseline(&id),
            // These are the pilot's.
            Ask::Copy(_) | Ask::Halt(_) | Ask::Abort | Ask::Suspend | Ask::Redraw | Ask::Leave(_) => Ok(()),
        };
        if let Err(error) = done {
            self.trouble(&error);
        }
    }

    fn open(&mut self, id: &str) -> Result<(), StoreError> {
        match open(&self.store, &self.ops, id)? {
            Ok((mut opened, reader)) => {
                // The clock counts for a run that goes on, not for one that is replayed.
                if self.speed.is_some() || !is_going(&self.store, id)? {
                    opened.began = None;
                }
                self.tell(News::Opened(Box::new(opened.clone())));
                let results = Results::none(opened.graph.len());
                self.followed = Some(Followed {
                    opened,
                    reader,
                    ahead: None,
                    since: Instant::now(),
                    ended: false,
                    quiet: 0,
                    results,
                    plan: None,
                    cached_read: false,
                    table: None,
                    stale: false,
                    made: None,
                });
            }
            Err(why) => self.tell(News::Trouble(why)),
        }
        Ok(())
    }

    /// Tells the lines that were added to the journal.
    fn follow(&mut self) -> Result<(), StoreError> {
        let Some(followed) = self.followed.as_mut().filter(|followed| !followed.ended) else { return Ok(()) };
        let mut lines = vec![];
        let read = followed.take(&mut lines, self.speed, &self.store);
        if !lines.is_empty() {
            followed.quiet = 0;
            let _ = self.news.send(News::Happened(lines));
            return read;
        }
        read?;
        if followed.ended || followed.ahead.is_some() {
            return Ok(());
        }
        followed.quiet += 1;
        if followed.quiet.is_multiple_of(PATIENCE) && !is_going(&self.store, &followed.opened.id)? {
            // It may have said its end just before it was gone.
            followed.ahead = followed.next(None)?;
            if followed.ahead.is_none() {
                followed.ended = true;
                let _ = self.news.send(News::Gone);
            }
        }
        Ok(())
    }

    /// Makes the table again if it is old, and enough time has passed since the last one.
    fn refresh(&mut self) -> Result<(), StoreError> {
        let Some(followed) = &mut self.followed else { return Ok(()) };
        let Some(wanted) = followed.table.filter(|_| followed.stale) else { return Ok(()) };
        if followed.made.is_some_and(|(at, took)| at.elapsed() < took * REST && !followed.ended) {
            return Ok(());
        }
        followed.read_cached(&self.store, &self.ops)?;
        let start = Instant::now();
        let made = make(&followed.opened.graph, &followed.results, wanted);
        followed.made = Some((Instant::now(), start.elapsed()));
        followed.stale = false;
        self.tell(News::Table(wanted, made.map(Arc::new)));
        Ok(())
    }

    fn record(&mut self, run: &str, task: TaskId, key: &str) -> Result<(), StoreError> {
        // What was asked of a run that is no longer followed has no answer.
        let Some(followed) = self.followed.as_mut().filter(|followed| followed.opened.id == run) else {
            return Ok(());
        };
        let key = match key.parse::<Key>() {
            Ok(key) => Some(key),
            Err(_) => {
                followed.plan(&self.store, &self.ops)?.tasks.get(task.index()).and_then(|task| task.key)
            }
        };
        let record = match key {
            Some(key) => self.store.record(&key)?,
            None => None,
        };
        self.tell(News::Record(task, record.map(Arc::new)));
        Ok(())
    }

    fn baseline(&mut self, id: &str) -> Result<(), StoreError> {
        let Some(followed) = &self.followed else { return Ok(()) };
        match open(&self.store, &self.ops, id)? {
            Ok((other, _)) => {
                let baseline = comparison::compare(&self.store, &self.ops, &followed.opened, &other)?;
                self.tell(News::Baseline(Box::new(baseline)));
            }
            Err(why) => self.tell(News::Trouble(why)),
        }
        Ok(())
    }
}

impl Followed {
    /// Takes the lines whose time has come and learns from them; those taken before a fault are not lost.
    fn take(
        &mut self,
        lines: &mut Vec<Stamped>,
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
    fn next(&mut self, speed: Option<f64>) -> Result<Option<Stamped>, StoreError> {
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
    fn learn(&mut self, stamped: &Stamped, store: &Store) -> Result<(), StoreError> {
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

    fn plan(&mut self, store: &Store, ops: &StandardOps) -> Result<&Plan, StoreError> {
        let plan = match self.plan.take() {
            Some(plan) => plan,
            None => replan(store, ops, &self.opened)?,
        };
        Ok(self.plan.insert(plan))
    }

    /// Reads the results of the tasks that were cached when the run began, the first time.
    fn read_cached(&mut self, store: &Store, ops: &StandardOps) -> Result<(), StoreError> {
        if self.cached_read {
            return Ok(());
        }
        let cached: Vec<u32> = self.opened.header.cached.iter().flat_map(Clone::clone).collect();
        let graph = Arc::clone(&self.opened.graph);
        let plan = self.plan(store, ops)?;
        let keys: Vec<(TaskId, Key)> = graph
            .tasks()
            .filter(|task| cached.binary_search(&(task.index() as u32)).is_ok())
            .filter_map(|task| Some((task, plan.of(task).key?)))
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

/// Makes a table from results.
fn make(graph: &Graph<StandardOps>, results: &Results, wanted: Wanted) -> Result<Groups, String> {
    let table = graph.experiment.tables.get(wanted.table).ok_or("there is no such table")?;
    if !wanted.other_cost {
        return Groups::of(graph, results, table);
    }
    let other = other_cost(table).ok_or("the size in this table is neither `bits_per_weight` nor `bytes`")?;
    Groups::of(graph, results, &other)
}

/// Returns a Pareto table over bytes instead of bits per weight, or the other way round.
fn other_cost(table: &Table) -> Option<Table> {
    let Shape::Pareto { minimize, maximize } = &table.shape else { return None };
    let (bits, bytes) = (".bits_per_weight", ".bytes");
    let text = match (minimize.text.contains(bits), minimize.text.contains(bytes)) {
        (true, _) => minimize.text.replace(bits, bytes),
        (false, true) => minimize.text.replace(bytes, bits),
        (false, false) => return None,
    };
    let compile = |text: &str| Expression::compile(text, Span::default(), &mut Faults::default());
    Some(Table {
        name: table.name.clone(),
        span: table.span,
        shape: Shape::Pareto { minimize: compile(&text)?, maximize: compile(&maximize.text)? },
        filter: table.filter.as_ref().and_then(|filter| compile(&filter.text)),
        replicate: table.replicate,
        average: table.average.clone(),
        interval: table.interval,
    })
}
