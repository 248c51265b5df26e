//! The loader: a thread that reads the store for the dashboard and makes its tables, so that no frame waits for them.
//! Follows one run at a time. Knows nothing of keys, views or terminals.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use fewbits_engine::graph::{TaskGraph, TaskId};
use fewbits_engine::ops::MetricRole;
use fewbits_engine::spec::expression::Expression;
use fewbits_engine::spec::node::{Node, with_role};
use fewbits_engine::spec::table::{Table, TableKind};
use fewbits_engine::table::layout::Layout;
use fewbits_engine::table::results::Results;
use fewbits_engine::table::table_sheets;
use fewbits_engine::text::fault::{Faults, Span};
use fewbits_ops::{StandardOps, weights};
use fewbits_store::{Key, Store, StoreError};

use super::comparison;
use super::followed_run::FollowedRun;
use super::mail::Mail;
use super::messages::{PastRun, Request, TableFailure, Update};
use super::past_runs::{is_going, open, past_since};
use super::rate_limit::RateLimit;
use super::run_curves::RunCurves;
use super::shown_table::ShownTable;
use super::shown_table::TableRequest;

/// The wait before a table is made again, as a multiple of the time it took. So tables take at most a hundredth of the
/// time.
const REST: u32 = 100;
/// The wait before results that could not be read are read again.
const RETRY: Duration = Duration::from_secs(10);
/// The most past runs in the list.
const RUNS: usize = 500;
/// The wait before the list of past runs is read again while it is shown.
const RUNS_AGAIN: Duration = Duration::from_secs(2);
/// The wait before the list is read again, as a multiple of the time it took: at most a thousandth of the time.
const RUNS_REST: u32 = 1000;

/// Carries out the requests that need the store.
pub struct Loader {
    store: Arc<Store>,
    ops: Arc<StandardOps>,
    asks: Receiver<Request>,
    update: Mail<Update>,
    followed: Option<FollowedRun>,
    listed: Option<Listed>,
    /// The speed of a replay, as a multiple of the run's own speed; `None` reads all events of a finished run at once.
    speed: Option<f64>,
}

/// The past runs as last read, while the list is shown.
struct Listed {
    runs: Vec<PastRun>,
    read: RateLimit,
}

impl Loader {
    /// Creates a loader that receives requests and sends updates.
    #[must_use]
    pub fn new(
        store: Arc<Store>,
        ops: Arc<StandardOps>,
        speed: Option<f64>,
        asks: Receiver<Request>,
        update: Mail<Update>,
    ) -> Self {
        Self { store, ops, asks, update, followed: None, listed: None, speed }
    }

    /// Carries out requests until the driver has dropped the sender of requests.
    pub fn work(mut self) {
        loop {
            let asked = match self.patience() {
                Some(patience) => self.asks.recv_timeout(patience),
                None => self.asks.recv().map_err(RecvTimeoutError::from),
            };
            match asked {
                Ok(ask) => self.answer(ask),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let worked = self.follow().and_then(|()| self.refresh()).and_then(|()| self.list_again());
            if let Err(error) = worked {
                self.trouble(&error);
            }
        }
    }

    /// Returns the time until the next scheduled work; `None` if only a request can cause work.
    fn patience(&self) -> Option<Duration> {
        let followed = self.followed.as_ref();
        let run_log = followed.and_then(|followed| followed.patience(self.speed));
        let table = followed.and_then(Self::until_table);
        let runs = self.listed.as_ref().map(|listed| listed.read.left(RUNS_AGAIN, RUNS_REST));
        [run_log, table, runs].into_iter().flatten().min()
    }

    /// Returns the time until the table must be made again; `None` if the table is up to date.
    fn until_table(followed: &FollowedRun) -> Option<Duration> {
        followed.table.filter(|_| followed.stale)?;
        if let Some(failed) = &followed.failed {
            return Some(failed.left(RETRY, REST));
        }
        let rest = followed.made.filter(|_| !followed.ended);
        Some(rest.map_or(Duration::ZERO, |made| made.left(Duration::ZERO, REST)))
    }

    fn tell(&self, update: Update) {
        self.update.send(update);
    }

    fn trouble(&self, error: &StoreError) {
        self.tell(Update::Trouble(error.to_string()));
    }

    fn answer(&mut self, ask: Request) {
        let done = match ask {
            Request::Open(id) => self.open(&id),
            Request::Table(wanted) => {
                if let Some(followed) = &mut self.followed {
                    (followed.table, followed.stale, followed.made, followed.failed) =
                        (wanted, true, None, None);
                }
                Ok(())
            }
            Request::Record { run, task, key } => self.record(&run, task, &key),
            Request::Runs(true) => self.list(),
            Request::Runs(false) => {
                self.listed = None;
                Ok(())
            }
            Request::Baseline(id) => self.baseline(&id),
            Request::Curves(id) => self.curves(&id),
            // The driver carries out these requests.
            Request::Copy(_)
            | Request::Halt(_)
            | Request::Version(_)
            | Request::Abort
            | Request::Suspend
            | Request::Redraw
            | Request::Leave(_) => Ok(()),
        };
        if let Err(error) = done {
            self.trouble(&error);
        }
    }

    fn open(&mut self, id: &str) -> Result<(), StoreError> {
        match open(&self.store, &self.ops, id)? {
            Ok((mut opened, reader)) => {
                // The elapsed time moves with the clock only if the run is going on and is not replayed.
                if self.speed.is_some() || !is_going(&self.store, id)? {
                    opened.began = None;
                }
                self.tell(Update::Opened(Box::new(opened.clone())));
                self.followed = Some(FollowedRun::new(opened, reader));
            }
            Err(why) => self.tell(Update::Trouble(why.to_string())),
        }
        Ok(())
    }

    /// Sends the lines that were added to the run log, if a look at it is due.
    fn follow(&mut self) -> Result<(), StoreError> {
        let Some(followed) = &mut self.followed else { return Ok(()) };
        if followed.patience(self.speed).is_none_or(|patience| !patience.is_zero()) {
            return Ok(());
        }
        let mut lines = vec![];
        let looked = followed.look(&mut lines, self.speed, &self.store);
        if !lines.is_empty() {
            self.tell(Update::Happened(lines));
        }
        if looked? {
            self.tell(Update::Gone);
        }
        Ok(())
    }

    /// Makes the table again if it is out of date and enough time has passed since the last time.
    fn refresh(&mut self) -> Result<(), StoreError> {
        let Some(followed) = &mut self.followed else { return Ok(()) };
        let is_due = Self::until_table(followed).is_some_and(|rest| rest.is_zero());
        let Some(wanted) = followed.table.filter(|_| is_due) else { return Ok(()) };
        let start = Instant::now();
        let read = followed.read_results(&self.store, &self.ops);
        followed.failed = read.is_err().then(|| RateLimit::after(start));
        read?;
        followed.stale = false;
        let start = Instant::now();
        let made = make(&followed.opened.graph, &self.ops, &followed.results, wanted);
        followed.made = Some(RateLimit::after(start));
        self.tell(Update::Table(wanted, made.map(Arc::new)));
        Ok(())
    }

    /// Lists the past runs, and starts refreshing the list until [`Request::Runs`] stops that.
    fn list(&mut self) -> Result<(), StoreError> {
        let start = Instant::now();
        let known = self.listed.take().map_or(vec![], |listed| listed.runs);
        let runs = past_since(&self.store, RUNS, &known)?;
        self.tell(Update::Runs(runs.clone()));
        self.listed = Some(Listed { runs, read: RateLimit::after(start) });
        Ok(())
    }

    /// Refreshes the list of runs if that is due, and sends it if it has changed.
    fn list_again(&mut self) -> Result<(), StoreError> {
        let Some(listed) = &mut self.listed else { return Ok(()) };
        if !listed.read.left(RUNS_AGAIN, RUNS_REST).is_zero() {
            return Ok(());
        }
        let start = Instant::now();
        let runs = past_since(&self.store, RUNS, &listed.runs);
        listed.read = RateLimit::after(start);
        let runs = runs?;
        if listed.runs != runs {
            listed.runs.clone_from(&runs);
            self.tell(Update::Runs(runs));
        }
        Ok(())
    }

    fn record(&mut self, run: &str, task: TaskId, key: &str) -> Result<(), StoreError> {
        // A request about a run that is no longer followed gets no answer.
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
        let graph = &followed.opened.graph;
        let op = &graph.resolved_op(task).op;
        let port = graph.port(task, &self.ops);
        let tensors = port.map_or(vec![], |port| weights::sizes(op, &port, record.as_ref()));
        self.tell(Update::Record(task, record.map(Arc::new), tensors));
        Ok(())
    }

    fn curves(&mut self, id: &str) -> Result<(), StoreError> {
        match open(&self.store, &self.ops, id)? {
            Ok((run, _)) => {
                let curves = RunCurves::read(&self.store, &self.ops, &run)?;
                self.tell(Update::Curves(Box::new(curves)));
            }
            Err(why) => self.tell(Update::Trouble(why.to_string())),
        }
        Ok(())
    }

    fn baseline(&mut self, id: &str) -> Result<(), StoreError> {
        let Some(followed) = &self.followed else { return Ok(()) };
        match open(&self.store, &self.ops, id)? {
            Ok((other, _)) => {
                let baseline = comparison::compare(&self.store, &self.ops, &followed.opened, &other)?;
                self.tell(Update::Baseline(Box::new(baseline)));
            }
            Err(why) => self.tell(Update::Trouble(why.to_string())),
        }
        Ok(())
    }
}

/// Makes a table from results, with the code of `fewbits table`.
pub fn make(
    graph: &TaskGraph<StandardOps>,
    ops: &StandardOps,
    results: &Results,
    wanted: TableRequest,
) -> Result<ShownTable, TableFailure> {
    let table = graph.experiment.tables.get(wanted.table).ok_or(TableFailure::NoTable)?;
    let other = wanted.other_cost.then(|| other_cost(table, &graph.experiment.nodes));
    let table = match &other {
        None => table,
        Some(Some(other)) => other,
        Some(None) => return Err(TableFailure::NoOtherSize),
    };
    let made = table_sheets::make(ops, graph, results, table, Layout::Grid).map_err(TableFailure::Results)?;
    Ok(ShownTable::new(graph, table, made))
}

/// Returns a Pareto table over bytes instead of bits per weight, or the other way round.
fn other_cost(table: &Table, nodes: &[Node]) -> Option<Table> {
    let TableKind::Pareto { minimize, maximize, each } = &table.kind else { return None };
    let costs = [MetricRole::BitsPerWeight, MetricRole::Bytes];
    let exchanged = |[from, to]: [MetricRole; 2]| {
        let (root, metric) =
            with_role(minimize, nodes, from).find_map(|of| Some((&of.root, of.member.as_ref()?)))?;
        let kind = nodes.iter().find(|node| node.name == *root)?.kind;
        Some(minimize.text.replace(&format!("{root}.{metric}"), &format!("{root}.{}", kind.metric(to)?)))
    };
    let text = exchanged(costs).or_else(|| exchanged([costs[1], costs[0]]))?;
    let compile = |text: &str| Expression::compile(text, Span::default(), &mut Faults::default());
    Some(Table {
        name: table.name.clone(),
        span: table.span,
        kind: TableKind::Pareto {
            minimize: compile(&text)?,
            maximize: compile(&maximize.text)?,
            each: each.clone(),
        },
        filter: table.filter.as_ref().and_then(|filter| compile(&filter.text)),
        replicate: table.replicate,
        average: table.average.clone(),
        interval: table.interval,
    })
}
