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
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use super::detach;
use super::run::{exit_of, run_id, settings, show_tables, unrecorded, view};
use super::table::ResultTables;
use crate::cli::{Color, Global, RunArgs, Ui};
use crate::dashboard::messages::VersionRequest;
use crate::exit::{Coded, Exit};
use crate::file_watch::FileWatch;
use crate::inputs::source_files;
use crate::interrupt::Signals;
use crate::session::{Session, open, writer};
use crate::ui::{Viewer, is_watched};

/// The time between two looks for signals while there is no text to run.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// The most versions to go back to.
const MOST_VERSIONS: usize = 20;

/// A message to the loop over versions.
enum Message {
    /// Files changed, and the text was read again; else the reason why the last version stays.
    Saved(Result<Box<Saved>, String>),
    /// The user asked for a version.
    Wanted(VersionRequest),
    /// The dashboard was closed.
    Closed,
}

/// A version that was saved.
struct Saved {
    session: Session,
    /// The preview of the edit, if it needs the user's consent.
    proposal: Option<Vec<NodePreview>>,
    /// Whether no other file than the experiment's changed.
    is_text_alone: bool,
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
    // Faults are told before the store is waited for.
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
    let view = view(&session, (&store, signals), settings.jobs, global, Some(listener));
    let runner = Runner::new(Arc::clone(&session.ops), Arc::clone(&store), settings).keeping_sources();
    let desk = Desk {
        view,
        inbox,
        newer: watch::channel(0).0,
        versions: vec![session],
        at: 0,
        next: None,
        proposed: None,
        is_refused: false,
        signals: signals.clone(),
        is_over: false,
    };
    let file = args.file.file.clone();
    let mut live = Live { store, runner, desk, file, files, signals, run, repaired: None };
    let (summary, plan) = live.work()?;
    live.conclude(args, global, &summary, &plan)
}

/// Waits until the file can be read, and tells its faults each time it is saved with some. A file that does not exist is
/// an error: the name may be misspelt.
fn wait_for_text(file: &Path, global: &Global, signals: &Signals) -> Result<()> {
    let (tell, told) = channel();
    let saved = FileWatch::start(vec![file.to_path_buf()], move |_| {
        let _ = tell.send(());
    });
    let _watch = saved.context("files cannot be watched")?;
    loop {
        match open(file, global) {
            Ok(_) => return Ok(()),
            Err(error) if !file.exists() => return Err(error),
            Err(error) => sayln!("{error:#}\n\nwaiting until {} is saved without faults", file.display()),
        }
        while let Err(RecvTimeoutError::Timeout) = told.recv_timeout(BETWEEN_LOOKS) {
            if signals.asked() > Halt::No {
                let message = format!("interrupted while it waited for {}", file.display());
                return Err(Coded { exit: Exit::Interrupted, message }.into());
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
    desk: Desk,
    /// The experiment's file.
    file: PathBuf,
    files: FileWatch,
    signals: &'l Signals,
    /// The id of the last run.
    run: Arc<Mutex<Option<String>>>,
    /// The version that ran again because records of it were damaged.
    repaired: Option<usize>,
}

/// The versions, and the messages about them.
struct Desk {
    view: Viewer,
    inbox: UnboundedReceiver<Message>,
    /// Tells a run that there is a newer version.
    newer: watch::Sender<u64>,
    /// The versions that ran or will run, oldest first.
    versions: Vec<Session>,
    /// The version that runs or ran last.
    at: usize,
    /// The version to run next.
    next: Option<usize>,
    /// The version that waits for the user's consent.
    proposed: Option<Session>,
    /// Whether the last saved text was refused.
    is_refused: bool,
    signals: Signals,
    is_over: bool,
}

impl Live<'_> {
    /// Runs one version after the other, until the user leaves. Returns the end of the last one.
    fn work(&mut self) -> Result<(Summary, Plan)> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context("no async runtime")?;
        loop {
            let (summary, plan) = self.turn(&runtime)?;
            if self.desk.next.is_none() && self.is_damaged(&plan)? {
                self.desk.next = Some(self.desk.at);
            }
            if self.signals.asked() == Halt::No && !self.desk.is_over && self.desk.next.is_none() {
                let mut halt = self.signals.follow();
                runtime.block_on(self.desk.wait(&mut halt));
            }
            let next = self.desk.next.take();
            match next.filter(|_| self.signals.asked() == Halt::No && !self.desk.is_over) {
                Some(next) => self.desk.at = next,
                None => return Ok((summary, plan)),
            }
            self.files.set(files_of(&self.file, &self.desk.versions[self.desk.at]));
        }
    }

    /// Runs the current version, until it ends or a newer one takes over.
    fn turn(&mut self, runtime: &Runtime) -> Result<(Summary, Plan)> {
        let (events, mut inbox) = unbounded_channel();
        let session = &self.desk.versions[self.desk.at];
        let graph: Arc<TaskGraph<StandardOps>> = Arc::clone(&session.graph);
        let follows = self.run.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut id = run_id();
        // Two versions with nothing to do may fall into one millisecond.
        while follows.as_ref().is_some_and(|before| id <= *before) {
            std::thread::sleep(Duration::from_millis(1));
            id = run_id();
        }
        *self.run.lock().unwrap_or_else(PoisonError::into_inner) = Some(id.clone());
        self.desk.view.begin(&id, &graph.experiment);
        let version = Version { graph, id, follows };
        let (halt, newer) = (self.signals.follow(), self.desk.newer.subscribe());
        let (runner, desk) = (&mut self.runner, &mut self.desk);
        let running = runner.run(version, events, halt, newer);
        let showing = async {
            loop {
                tokio::select! {
                    event = inbox.recv() => match event {
                        Some(event) => desk.show(&event),
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

    /// Returns whether records of a version that ended were found damaged and dropped. It then runs once more.
    fn is_damaged(&mut self, plan: &Plan) -> Result<bool> {
        if self.signals.asked() > Halt::No || self.repaired == Some(self.desk.at) {
            return Ok(false);
        }
        let session = &self.desk.versions[self.desk.at];
        let is_damaged = ResultTables::tables(session, plan, &self.store)?.damaged() > 0;
        self.repaired = is_damaged.then_some(self.desk.at);
        for message in self.store.warnings() {
            self.desk.show(&Event::Warned { message });
        }
        Ok(is_damaged)
    }

    /// Hands the run to another process, or shows the tables of the last version.
    fn conclude(self, args: &RunArgs, global: &Global, summary: &Summary, plan: &Plan) -> Result<Exit> {
        let Self { store, runner, desk, files, signals, .. } = self;
        // The jobs in flight end, and all threads release the store.
        drop((runner, files));
        let Desk { mut view, mut versions, at, .. } = desk;
        view.join(summary);
        let session = versions.swap_remove(at);
        if view.is_detached() && summary.skipped > 0 && !signals.came() {
            drop(store);
            return detach::hand_over(args, global, &session.graph.text);
        }
        let shown = ResultTables::tables(&session, plan, &store)?;
        let is_whole = if view.had_board() { show_tables(&session, &shown, &view, summary)? } else { true };
        Ok(exit_of(summary, is_whole, signals))
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

    /// Shows an event. If nobody reads the events, the run ends as by Ctrl-C.
    fn show(&mut self, event: &Event) {
        self.view.update(event);
        if self.view.is_unread() {
            self.is_over = true;
            self.signals.ask(Halt::Now);
        }
    }

    fn receive(&mut self, message: Message) {
        // The version that runs next, or runs.
        let at = self.next.unwrap_or(self.at);
        match message {
            Message::Saved(Err(message)) => {
                (self.proposed, self.is_refused) = (None, true);
                self.show(&Event::Refused { message });
            }
            Message::Saved(Ok(saved)) => self.saved(*saved, at),
            Message::Wanted(VersionRequest::Newest) => match self.proposed.take() {
                Some(session) => self.add(session, at),
                None if at + 1 < self.versions.len() => self.run_next(self.versions.len() - 1),
                None => self.view.notify(vec!["this is the newest version".to_owned()]),
            },
            Message::Wanted(VersionRequest::Before) => match (self.proposed.take(), at.checked_sub(1)) {
                (Some(_), _) => self.view.notify(vec!["the edit is dropped; the file keeps it".to_owned()]),
                (None, Some(before)) => self.run_next(before),
                (None, None) => self.view.notify(vec!["there is no version before".to_owned()]),
            },
            Message::Closed => {
                if !self.view.closed() {
                    self.is_over = true;
                    // A version may have begun while the dashboard closed.
                    self.signals.ask(Halt::Now);
                }
            }
        }
    }

    /// Runs a saved version, or proposes it.
    fn saved(&mut self, saved: Saved, at: usize) {
        let Saved { session, proposal, is_text_alone } = saved;
        let was_noticed = self.proposed.take().is_some() | std::mem::take(&mut self.is_refused);
        if is_text_alone && session.graph.text == self.versions[at].graph.text {
            // The text is as it was: saved without a change, or a change was taken back.
            if was_noticed {
                self.view.notify(vec![]);
            }
            return;
        }
        match proposal {
            Some(nodes) => {
                self.proposed = Some(session);
                self.show(&Event::Proposed { nodes });
            }
            None => self.add(session, at),
        }
    }

    /// Adds a version behind the one that runs, or runs next, and runs it. Newer ones are forgotten, as in an editor's
    /// history.
    fn add(&mut self, session: Session, behind: usize) {
        self.versions.truncate(self.at.max(behind) + 1);
        self.versions.push(session);
        if self.versions.len() > MOST_VERSIONS && self.at > 0 {
            self.versions.remove(0);
            self.at -= 1;
        }
        self.run_next(self.versions.len() - 1);
    }

    /// Lets a version take over from the running one.
    fn run_next(&mut self, next: usize) {
        self.next = Some(next);
        self.newer.send_modify(|version| *version += 1);
    }
}
