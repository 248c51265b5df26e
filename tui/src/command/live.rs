//! `run --watch`: runs each saved version of an experiment, in one process.
//! Knows nothing of scheduling, and of files only that they change.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use fewbits_engine::event::{Event, Summary};
use fewbits_engine::graph::TaskGraph;
use fewbits_engine::plan::{Plan, Planner};
use fewbits_engine::preview::{NodePreview, estimate, preview};
use fewbits_engine::run::coordinator::{RunError, Settings, Version};
use fewbits_engine::run::halt::Halt;
use fewbits_engine::run::runner::Runner;
use fewbits_engine::why::History;
use fewbits_ops::StandardOps;
use fewbits_store::{Store, StoreError};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use super::detach;
use super::run::{run_id, show_tables, threads, unrecorded, view};
use super::table::ResultTables;
use crate::cli::{Color, Global, RunArgs, Ui};
use crate::dashboard::messages::VersionRequest;
use crate::exit::{Coded, Exit};
use crate::file_watch::FileWatch;
use crate::inputs::source_files;
use crate::interrupt::Signals;
use crate::session::{Session, open, writer};
use crate::ui::{Viewer, is_watched};

/// The most versions to go back to.
const MOST_VERSIONS: usize = 20;

/// A message to the loop over versions.
enum Message {
    /// Files changed, the experiment's or its sources; the text was read again. The proposal is there if the user is asked
    /// before it runs.
    Saved(Result<(Session, Option<Vec<NodePreview>>), String>),
    /// The user asked for a version.
    Wanted(VersionRequest),
    /// The dashboard was closed.
    Closed,
}

/// Runs an experiment, and each version of it that is saved.
pub fn run(args: &RunArgs, global: &Global, signals: &Signals) -> Result<Exit> {
    let has_board = match global.ui {
        Ui::Tui => true,
        Ui::Auto => !global.quiet && is_watched(),
        Ui::Plain | Ui::Json => false,
    };
    if args.ask.is_some() && !has_board {
        return Err(Coded::usage(
            "--ask waits for a key of the dashboard, which needs a terminal; leave it out",
        ));
    }
    let session = open(&args.file.file, global)?;
    let store = Arc::new(writer(global, args.wait, || signals.asked() > Halt::No)?);
    let threads = threads();
    let jobs = args.jobs.map_or(threads, usize::from);
    let settings = Settings { jobs, threads, fail_fast: args.fail_fast };
    let (messages, inbox) = unbounded_channel();
    let told = messages.clone();
    let listener = Box::new(move |wanted: Option<VersionRequest>| {
        let _ = told.send(wanted.map_or(Message::Closed, Message::Wanted));
    });
    let view = view(&session, (&store, signals), jobs, global, Some(listener));
    let runner = Runner::new(Arc::clone(&session.ops), Arc::clone(&store), settings).keeping_sources();
    let files = watch_files(args, global, (&session, &store), jobs, messages)?;
    let desk = Desk {
        view,
        inbox,
        newer: watch::channel(0).0,
        versions: vec![session],
        at: 0,
        next: None,
        proposed: None,
        is_over: false,
    };
    let file = args.file.file.clone();
    let mut live = Live { store, runner, desk, file, files, signals, run: None };
    let (summary, plan) = live.work()?;
    live.conclude(args, global, &summary, &plan)
}

/// Reads the experiment again whenever one of its files changes.
fn watch_files(
    args: &RunArgs,
    global: &Global,
    (session, store): (&Session, &Arc<Store>),
    jobs: usize,
    messages: UnboundedSender<Message>,
) -> Result<FileWatch> {
    let (file, ask, store) = (args.file.file.clone(), args.ask, Arc::clone(store));
    // The dashboard shows faults in its own colours.
    let plain = Global { color: Color::Never, ..global.clone() };
    let files = files_of(&file, session);
    let read = move |_: &[PathBuf]| {
        if !file.exists() {
            return Err(format!(
                "{}: the file is gone; the last version stays until it is back",
                file.display()
            ));
        }
        let session = open(&file, &plain).map_err(|error| error.to_string())?;
        let proposal = match ask {
            Some(limit) => {
                let nodes = previewed(&session, &store).map_err(|error| error.to_string())?;
                let (seconds, is_lower_bound) = estimate(&nodes, jobs);
                let runs = nodes.iter().any(|node| node.to_run() > 0);
                (runs && (is_lower_bound || seconds >= limit.as_secs_f64())).then_some(nodes)
            }
            None => None,
        };
        Ok((session, proposal))
    };
    FileWatch::start(files, move |changed| drop(messages.send(Message::Saved(read(changed)))))
        .context("files cannot be watched")
}

fn files_of(file: &Path, session: &Session) -> Vec<PathBuf> {
    let sources = source_files(&session.graph, &session.ops);
    std::iter::once(file.to_path_buf()).chain(sources).collect()
}

fn previewed(session: &Session, store: &Store) -> Result<Vec<NodePreview>, StoreError> {
    let (graph, ops) = (&*session.graph, &*session.ops);
    let planner = Planner::new(graph, ops, store);
    let plan = planner.plan()?;
    let history = History::last(graph, ops, store);
    preview(graph, &plan, &planner, history.as_ref(), store)
}

/// The loop over the versions of an experiment.
struct Live<'l> {
    store: Arc<Store>,
    runner: Runner<StandardOps>,
    desk: Desk,
    /// The experiment's file.
    file: PathBuf,
    files: FileWatch,
    signals: &'l Signals,
    /// The id of the last run.
    run: Option<String>,
}

/// The versions, and the messages about them.
struct Desk {
    view: Viewer,
    inbox: UnboundedReceiver<Message>,
    /// Tells a run that there is a newer version.
    newer: watch::Sender<u64>,
    /// The versions that ran, oldest first.
    versions: Vec<Session>,
    /// The version that runs or ran last.
    at: usize,
    /// The version to run next.
    next: Option<Next>,
    /// The version that waits for the user's consent.
    proposed: Option<Session>,
    is_over: bool,
}

/// A version to run.
enum Next {
    /// A version that was saved.
    Saved(Box<Session>),
    /// One of those that ran.
    At(usize),
}

impl Live<'_> {
    /// Runs one version after the other, until the user leaves. Returns the end of the last one.
    fn work(&mut self) -> Result<(Summary, Plan)> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context("no async runtime")?;
        loop {
            let ended = self.turn(&runtime)?;
            if self.signals.asked() == Halt::No && !self.desk.is_over && self.desk.next.is_none() {
                let mut halt = self.signals.follow();
                runtime.block_on(self.desk.wait(&mut halt));
            }
            let next = self.desk.next.take();
            match next.filter(|_| self.signals.asked() == Halt::No && !self.desk.is_over) {
                Some(next) => self.desk.take(next),
                None => return Ok(ended),
            }
            self.files.set(files_of(&self.file, &self.desk.versions[self.desk.at]));
        }
    }

    /// Runs the current version, until it ends or a newer one takes over.
    fn turn(&mut self, runtime: &Runtime) -> Result<(Summary, Plan)> {
        let (events, mut inbox) = unbounded_channel();
        let session = &self.desk.versions[self.desk.at];
        let graph: Arc<TaskGraph<StandardOps>> = Arc::clone(&session.graph);
        let id = run_id();
        self.desk.view.begin(&id, &graph.experiment);
        let version = Version { graph, id: id.clone(), follows: self.run.replace(id) };
        let (halt, newer) = (self.signals.follow(), self.desk.newer.subscribe());
        let (runner, desk) = (&mut self.runner, &mut self.desk);
        let running = runner.run(version, events, halt, newer);
        let showing = async {
            loop {
                tokio::select! {
                    event = inbox.recv() => match event {
                        Some(event) => desk.view.update(&event),
                        None => return,
                    },
                    Some(message) = desk.inbox.recv() => desk.receive(message),
                }
            }
        };
        let (ended, ()) = runtime.block_on(async { tokio::join!(running, showing) });
        match ended {
            Ok(ended) => Ok((ended.summary, ended.plan)),
            Err(error) => {
                if let RunError::Record { summary, .. } = &error {
                    self.desk.view.update(&Event::Finished(*summary));
                }
                Err(unrecorded(error))
            }
        }
    }

    /// Hands the run to another process, or shows the tables of the last version.
    fn conclude(self, args: &RunArgs, global: &Global, summary: &Summary, plan: &Plan) -> Result<Exit> {
        let Self { store, runner, desk, signals, .. } = self;
        // The jobs in flight end, and the threads release the store.
        drop(runner);
        let Desk { mut view, mut versions, at, .. } = desk;
        view.join();
        let session = versions.swap_remove(at);
        if view.is_detached() && summary.skipped > 0 && !signals.came() {
            drop(store);
            return detach::hand_over(args, global, &session.graph.text);
        }
        let shown = ResultTables::tables(&session, plan, &store)?;
        let is_whole = if view.had_board() { show_tables(&session, &shown, &view, summary)? } else { true };
        Ok(match summary {
            Summary { skipped: 1.., .. } if signals.asked() > Halt::No => Exit::Interrupted,
            Summary { failed: 0, skipped: 0, .. } if is_whole => Exit::Done,
            _ => Exit::Failed,
        })
    }
}

impl Desk {
    /// Waits for a version to run, a request to end, or the end of the dashboard.
    async fn wait(&mut self, halt: &mut watch::Receiver<Halt>) {
        while self.next.is_none() && !self.is_over {
            tokio::select! {
                Some(message) = self.inbox.recv() => self.receive(message),
                Ok(()) = halt.changed() => {
                    if *halt.borrow_and_update() > Halt::No {
                        return;
                    }
                }
            }
        }
    }

    fn receive(&mut self, message: Message) {
        match message {
            Message::Saved(Ok((session, None))) => self.run_next(Next::Saved(Box::new(session))),
            Message::Saved(Ok((session, Some(nodes)))) => {
                self.proposed = Some(session);
                self.view.update(&Event::Proposed { nodes });
            }
            Message::Saved(Err(message)) => {
                self.proposed = None;
                self.view.update(&Event::Refused { message });
            }
            Message::Wanted(VersionRequest::Newest) => match self.proposed.take() {
                Some(session) => self.run_next(Next::Saved(Box::new(session))),
                None if self.at + 1 < self.versions.len() => self.run_next(Next::At(self.versions.len() - 1)),
                None => {}
            },
            Message::Wanted(VersionRequest::Before) => {
                if let (None, Some(before)) = (self.proposed.take(), self.at.checked_sub(1)) {
                    self.run_next(Next::At(before));
                }
            }
            Message::Closed => self.is_over = !self.view.closed(),
        }
    }

    /// Lets a version take over from the running one.
    fn run_next(&mut self, next: Next) {
        self.next = Some(next);
        self.newer.send_modify(|version| *version += 1);
    }

    /// Makes a version the current one.
    fn take(&mut self, next: Next) {
        match next {
            Next::Saved(session) => {
                self.versions.push(*session);
                if self.versions.len() > MOST_VERSIONS {
                    self.versions.remove(0);
                }
                self.at = self.versions.len() - 1;
            }
            Next::At(at) => self.at = at,
        }
    }
}
