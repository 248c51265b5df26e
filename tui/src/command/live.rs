//! `run --watch`: runs each saved version of an experiment, in one process.
//! Knows nothing of scheduling, and of files only that they change.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use fewbits_engine::event::{Event, Summary};
use fewbits_engine::graph::TaskGraph;
use fewbits_engine::plan::{Plan, Planner};
use fewbits_engine::preview::{NodePreview, estimate, preview};
use fewbits_engine::run::coordinator::RunError;
use fewbits_engine::run::halt::Halt;
use fewbits_engine::run::runner::{Runner, Version};
use fewbits_engine::why::History;
use fewbits_ops::StandardOps;
use fewbits_store::{Store, StoreError};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use super::detach;
use super::run::{exit_of, run_id, runner, settings, show_tables, unrecorded, view};
use super::table::ResultTables;
use super::version_queue::{Message, Saved, VersionQueue};
use crate::cli::{Color, Global, RunArgs, Ui};
use crate::dashboard::messages::VersionRequest;
use crate::exit::{Coded, Exit};
use crate::file_watch::FileWatch;
use crate::inputs::source_files;
use crate::interrupt::Signals;
use crate::session::{Session, open, writer};
use crate::ui::is_watched;

/// The time between two looks for signals while there is no text to run.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// The looks for signals between two readings of a file with faults.
const LOOKS_PER_READING: usize = 10;

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
    // Faults of the file are reported before the wait for the store's lock.
    wait_for_text(&args.file.file, global, signals)?;
    let store = Arc::new(writer(global, args.wait, || signals.asked() > Halt::No)?);
    let settings = settings(args);
    let (messages, inbox) = unbounded_channel();
    let told = messages.clone();
    let listener = Box::new(move |wanted: Option<VersionRequest>| {
        let _ = told.send(wanted.map_or(Message::Closed, Message::Wanted));
    });
    let run = Arc::new(Mutex::new(None));
    // The watch begins before the file is read, so that no save is missed.
    let files = watch_files(args, global, (&store, &run), settings.jobs, messages)?;
    let session = open(&args.file.file, global)?;
    files.set(files_of(&args.file.file, &session));
    let view = view(&session, (&store, signals), args, global, Some(listener));
    let runner = runner(&session, &store, args, global)?.keeping_sources();
    let queue = VersionQueue {
        view,
        inbox,
        newer: watch::channel(0).0,
        versions: vec![session],
        at: 0,
        next: None,
        proposed: None,
        dropped: None,
        refused: None,
        signals: signals.clone(),
        is_over: false,
    };
    let file = args.file.file.clone();
    let mut live = Live { store, runner, queue, file, files, signals, run, repaired: None };
    let (summary, plan) = live.work()?;
    live.conclude(args, global, &summary, &plan)
}

/// Waits until the file can be read, and reports its faults each time it is saved with some. The fault may be in another file
/// that it names, so it is read again every second. A file that does not exist is an error: the name may be misspelt.
fn wait_for_text(file: &Path, global: &Global, signals: &Signals) -> Result<()> {
    let (tell, told) = channel();
    let saved = FileWatch::start(vec![file.to_path_buf()], move |_| {
        let _ = tell.send(());
    });
    let _watch = saved.context("files cannot be watched")?;
    let mut reported = String::new();
    loop {
        match open(file, global) {
            Ok(_) => return Ok(()),
            Err(error) if !file.exists() => return Err(error),
            Err(error) => {
                let faults = format!("{error:#}");
                if faults != reported {
                    sayln!("{faults}\n\nwaiting until {} has no faults", file.display());
                    reported = faults;
                }
            }
        }
        for _ in 0..LOOKS_PER_READING {
            match told.recv_timeout(BETWEEN_LOOKS) {
                Err(RecvTimeoutError::Timeout) if signals.asked() > Halt::No => {
                    let message = format!("interrupted while it waited for {}", file.display());
                    return Err(Coded { exit: Exit::Interrupted, message }.into());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
    }
}

/// Reads the experiment again whenever one of its files changes. `run` is the last run, whose version an edit is compared with.
fn watch_files(
    args: &RunArgs,
    global: &Global,
    (store, run): (&Arc<Store>, &Arc<Mutex<Option<String>>>),
    jobs: usize,
    messages: UnboundedSender<Message>,
) -> Result<FileWatch> {
    let (file, ask, store, run) = (args.file.file.clone(), args.ask, Arc::clone(store), Arc::clone(run));
    // The dashboard shows faults in its own colours.
    let plain = Global { color: Color::Never, ..global.clone() };
    let files = vec![file.clone()];
    let read = move |changed: &[PathBuf]| {
        if !file.exists() {
            return Err(format!(
                "{}: the file is gone; the last version stays until it is back",
                file.display()
            ));
        }
        let session = open(&file, &plain).map_err(|error| error.to_string())?;
        let mut proposal = None;
        if let Some(limit) = ask {
            let before = run.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let nodes = previewed(&session, before.as_deref(), &store).map_err(|error| error.to_string())?;
            let (seconds, is_lower_bound) = estimate(&nodes, jobs);
            let runs = nodes.iter().any(|node| node.to_run() > 0);
            proposal = (runs && (is_lower_bound || seconds >= limit.as_secs_f64())).then_some(nodes);
        }
        Ok(Saved { session, proposal, is_text_alone: changed == [file.clone()] })
    };
    FileWatch::start(files, move |changed| drop(messages.send(Message::Saved(read(changed).map(Box::new)))))
        .context("files cannot be watched")
}

fn files_of(file: &Path, session: &Session) -> Vec<PathBuf> {
    let sources = source_files(&session.graph, &session.ops);
    std::iter::once(file.to_path_buf()).chain(sources).collect()
}

fn previewed(session: &Session, before: Option<&str>, store: &Store) -> Result<Vec<NodePreview>, StoreError> {
    let (graph, ops) = (&*session.graph, &*session.ops);
    let planner = Planner::new(graph, ops, store);
    let plan = planner.plan()?;
    let history = before.and_then(|before| History::of(before, ops, store));
    preview(graph, &plan, &planner, history.as_ref(), store)
}

/// The loop over the versions of an experiment.
struct Live<'l> {
    store: Arc<Store>,
    runner: Runner<StandardOps>,
    queue: VersionQueue,
    /// The experiment's file.
    file: PathBuf,
    files: FileWatch,
    signals: &'l Signals,
    /// The id of the last run.
    run: Arc<Mutex<Option<String>>>,
    /// The version that ran again because records of it were damaged.
    repaired: Option<Arc<TaskGraph<StandardOps>>>,
}

impl Live<'_> {
    /// Runs one version after the other, until the user leaves. Returns the end of the last one.
    fn work(&mut self) -> Result<(Summary, Plan)> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context("no async runtime")?;
        loop {
            let (summary, plan) = self.turn(&runtime)?;
            if self.queue.next.is_none() && self.is_damaged(&plan)? {
                self.queue.next = Some(self.queue.at);
            }
            if self.signals.asked() == Halt::No && !self.queue.is_over && self.queue.next.is_none() {
                let mut halt = self.signals.follow();
                runtime.block_on(self.queue.wait(&mut halt));
            }
            let next = self.queue.next.take();
            match next.filter(|_| self.signals.asked() == Halt::No && !self.queue.is_over) {
                Some(next) => self.queue.at = next,
                None => return Ok((summary, plan)),
            }
            self.files.set(files_of(&self.file, &self.queue.versions[self.queue.at]));
        }
    }

    /// Runs the current version, until it ends or a newer one takes over.
    fn turn(&mut self, runtime: &Runtime) -> Result<(Summary, Plan)> {
        let (events, mut inbox) = unbounded_channel();
        let session = &self.queue.versions[self.queue.at];
        let graph: Arc<TaskGraph<StandardOps>> = Arc::clone(&session.graph);
        let follows = self.run.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut id = run_id();
        // Two versions with nothing to do may fall into one millisecond.
        while follows.as_ref().is_some_and(|before| id <= *before) {
            std::thread::sleep(Duration::from_millis(1));
            id = run_id();
        }
        *self.run.lock().unwrap_or_else(PoisonError::into_inner) = Some(id.clone());
        self.queue.view.begin(&id, &graph.experiment);
        let version = Version { graph, id, follows };
        let (halt, newer) = (self.signals.follow(), self.queue.newer.subscribe());
        let (runner, queue) = (&mut self.runner, &mut self.queue);
        let running = runner.run(version, events, halt, newer);
        let showing = async {
            loop {
                tokio::select! {
                    event = inbox.recv() => match event {
                        Some(event) => queue.show(&event),
                        None => return,
                    },
                    Some(message) = queue.inbox.recv() => queue.receive(message),
                }
            }
        };
        let (ended, ()) = runtime.block_on(async { tokio::join!(running, showing) });
        match ended {
            Ok(ended) => Ok((ended.summary, ended.plan)),
            Err(error) => {
                if let RunError::Record { summary, .. } = &error {
                    self.queue.view.update(&Event::Finished(*summary));
                }
                Err(unrecorded(error))
            }
        }
    }

    /// Returns whether records of a version that ended were found damaged and dropped. It then runs once more.
    fn is_damaged(&mut self, plan: &Plan) -> Result<bool> {
        let session = &self.queue.versions[self.queue.at];
        let is_repaired = self.repaired.as_ref().is_some_and(|graph| Arc::ptr_eq(graph, &session.graph));
        if self.signals.asked() > Halt::No || is_repaired {
            return Ok(false);
        }
        let is_damaged = ResultTables::tables(session, plan, &self.store)?.damaged() > 0;
        self.repaired = is_damaged.then(|| Arc::clone(&session.graph));
        for message in self.store.warnings() {
            self.queue.show(&Event::Warned { message });
        }
        Ok(is_damaged)
    }

    /// Hands the run to another process, or shows the tables of the last version.
    fn conclude(self, args: &RunArgs, global: &Global, summary: &Summary, plan: &Plan) -> Result<Exit> {
        let Self { store, runner, queue, files, signals, .. } = self;
        // The jobs in flight end, and all threads release the store.
        drop((runner, files));
        let standing = queue.unlike();
        let VersionQueue { mut view, mut versions, at, .. } = queue;
        view.join(summary);
        let session = versions.swap_remove(at);
        if view.is_detached() && summary.skipped > 0 && !signals.came() {
            drop(store);
            return detach::hand_over(args, global, &session.graph.text);
        }
        if let Some(standing) = standing {
            sayln!("{standing}");
        }
        let shown = ResultTables::tables(&session, plan, &store)?;
        let is_whole =
            if view.had_board() { show_tables(&session, &shown, (args, &view), summary)? } else { true };
        Ok(exit_of(summary, is_whole, signals))
    }
}
