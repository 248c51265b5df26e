//! `run`: runs what is not known yet, shows it going on, then the tables.

use std::io::{IsTerminal, Write};
use std::sync::Arc;

use anyhow::{Context, Result};
use fewbits_engine::event::{Event, Summary};
use fewbits_engine::plan::Planner;
use fewbits_engine::run::coordinator::{self, RunError, Settings};
use fewbits_store::Store;
use tokio::sync::{mpsc, watch};

use super::table::Shown;
use super::{note, print};
use crate::cli::{Format, Global, Run, Ui};
use crate::exit::Exit;
use crate::interrupt;
use crate::session::{Session, open, writer};
use crate::ui::live::Live;
use crate::ui::plain::Plain;

/// Runs an experiment.
pub fn run(args: &Run, global: &Global) -> Result<Exit> {
    let cancelled = interrupt::listen()?;
    let session = open(&args.file.file, global)?;
    let store = Arc::new(writer(global)?);
    let threads = threads();
    let jobs = args.jobs.map_or(threads, usize::from);
    let settings = Settings { jobs, threads, fail_fast: args.fail_fast };
    let mut view = viewer(global, jobs);
    let mut summary = drive(&session, &store, settings, &cancelled, &mut view)?;
    let mut shown = results(&session, &store)?;
    if shown.damaged() > 0 && !*cancelled.borrow() {
        // What is damaged shows when it is read. It has been dropped, so this computes it again.
        summary = both(summary, drive(&session, &store, settings, &cancelled, &mut view)?);
        shown = results(&session, &store)?;
    }
    view(&Event::Finished(summary));
    if global.ui != Ui::Json && !session.graph.experiment.tables.is_empty() {
        print(&format!("\n{}", shown.every(Format::Text)?))?;
    }
    Ok(match summary {
        Summary { skipped: 1.., .. } if *cancelled.borrow() => Exit::Interrupted,
        Summary { failed: 0, skipped: 0, .. } => Exit::Done,
        _ => Exit::Failed,
    })
}

/// Returns the threads that all tasks share: `RAYON_NUM_THREADS` where it is set, else one per core.
fn threads() -> usize {
    let asked = std::env::var("RAYON_NUM_THREADS").ok().and_then(|threads| threads.parse().ok());
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    asked.filter(|threads| *threads > 0).unwrap_or_else(cores)
}

/// Returns how a run ended that took two turns.
fn both(first: Summary, second: Summary) -> Summary {
    let ran = first.ran + second.ran;
    let cached = second.tasks - ran.min(second.tasks) - second.failed - second.skipped;
    Summary { ran, cached, seconds: first.seconds + second.seconds, ..second }
}

/// Runs what is not known yet and shows every event but the last.
fn drive(
    session: &Session,
    store: &Arc<Store>,
    settings: Settings,
    cancelled: &watch::Receiver<bool>,
    view: &mut dyn FnMut(&Event),
) -> Result<Summary> {
    let (events, mut inbox) = mpsc::unbounded_channel();
    let id = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S-%3f").to_string();
    let running = coordinator::run(
        Arc::clone(&session.graph),
        Arc::clone(&session.ops),
        Arc::clone(store),
        &id,
        settings,
        events,
        cancelled.clone(),
    );
    let showing = async {
        while let Some(event) = inbox.recv().await {
            if !matches!(event, Event::Finished(_)) {
                view(&event);
            }
        }
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("no async runtime")?;
    let (summary, ()) = runtime.block_on(async { tokio::join!(running, showing) });
    match summary {
        Ok(summary) => Ok(summary),
        Err(error) => {
            if let RunError::Record { summary, .. } = &error {
                view(&Event::Finished(*summary));
            }
            Err(anyhow::Error::from(error).context(
                "what was recorded before is kept; make room, or give another folder with --store, and run again",
            ))
        }
    }
}

/// Returns what shows events, as asked for.
fn viewer(global: &Global, jobs: usize) -> Box<dyn FnMut(&Event)> {
    match global.ui {
        Ui::Json => Box::new(|event| {
            if let Ok(line) = serde_json::to_string(event) {
                let _ = writeln!(std::io::stdout().lock(), "{line}");
            }
        }),
        _ if global.quiet => Box::new(|event| {
            if let Event::Failed { task, error } = event {
                eprintln!("{task} failed: {error}");
            }
        }),
        Ui::Plain => plain(jobs),
        Ui::Auto if !live_terminal() => plain(jobs),
        Ui::Auto | Ui::Tui => match Live::open(jobs) {
            Ok(mut live) => Box::new(move |event| live.update(event)),
            // A terminal that does not answer still shows lines.
            Err(_) => plain(jobs),
        },
    }
}

fn plain(jobs: usize) -> Box<dyn FnMut(&Event)> {
    let mut plain = Plain::new(std::io::stderr(), jobs);
    Box::new(move |event| plain.update(event))
}

/// Returns whether standard error is a terminal that can be drawn on, watched by a person.
fn live_terminal() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    std::io::stderr().is_terminal() && std::io::stdin().is_terminal() && !dumb && !set("CI")
}

fn results<'s>(session: &'s Session, store: &Arc<Store>) -> Result<Shown<'s>> {
    let plan = Planner::new(&session.graph, &*session.ops, store).plan()?;
    let shown = Shown::new(session, &plan, store)?;
    note(store.warnings());
    Ok(shown)
}
