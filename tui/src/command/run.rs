//! `run`: runs what is not known yet, shows it going on, then the tables.

use std::io::{IsTerminal, Write};
use std::sync::Arc;

use anyhow::{Context, Result};
use fewbits_engine::event::{Event, Summary};
use fewbits_engine::plan::Planner;
use fewbits_engine::run::coordinator::{self, RunError, Settings};
use fewbits_store::Store;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::{note, print, table};
use crate::cli::{Format, Global, Run, Ui};
use crate::exit::Exit;
use crate::session::{Session, open, writer};
use crate::ui::live::Live;
use crate::ui::plain::Plain;

/// Runs an experiment.
pub fn run(args: &Run, global: &Global) -> Result<Exit> {
    let session = open(&args.file.file, global)?;
    let store = Arc::new(writer(global)?);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = args.jobs.map_or(threads, usize::from);
    let settings = Settings { jobs, threads, fail_fast: args.fail_fast };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("no async runtime")?;
    let mut ended = runtime.block_on(drive(&session, &store, settings, global))?;
    let mut shown = show(&session, &store)?;
    if shown.damaged > 0 && !ended.interrupted {
        // What is damaged shows when it is read. It has been dropped, so this computes it again.
        ended = runtime.block_on(drive(&session, &store, settings, global))?;
        shown = show(&session, &store)?;
    }
    if global.ui != Ui::Json && !session.graph.experiment.tables.is_empty() {
        print(&format!("\n{}", shown.text))?;
    }
    Ok(match ended {
        _ if ended.interrupted => Exit::Interrupted,
        Ended { summary: Summary { failed: 0, .. }, .. } => Exit::Done,
        Ended { .. } => Exit::Failed,
    })
}

/// How a run ended.
struct Ended {
    summary: Summary,
    interrupted: bool,
}

async fn drive(session: &Session, store: &Arc<Store>, settings: Settings, global: &Global) -> Result<Ended> {
    let (events, mut inbox) = mpsc::unbounded_channel();
    let (cancel, cancelled) = watch::channel(false);
    let interrupts = tokio::spawn(listen(cancel)?);
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
    let mut show = viewer(global, settings.jobs);
    let showing = async {
        while let Some(event) = inbox.recv().await {
            show(&event);
        }
    };
    let (summary, ()) = tokio::join!(running, showing);
    interrupts.abort();
    match summary {
        Ok(summary) => Ok(Ended { summary, interrupted: *cancelled.borrow() && summary.skipped > 0 }),
        Err(error @ RunError::Record { .. }) => Err(anyhow::Error::from(error).context(
            "results could not be recorded; what was recorded before is kept: make room, or give another folder with \
             --store, and run again",
        )),
        Err(error) => Err(error.into()),
    }
}

/// Returns the future that turns the first interrupt into a cancellation; the second ends the program at once.
fn listen(cancel: watch::Sender<bool>) -> Result<impl Future<Output = ()>> {
    let mut kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()]
        .map(|kind| signal(kind).context("signals cannot be received"))
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    Ok(async move {
        for first in [true, false] {
            let [interrupt, terminate, hangup] = kinds.as_mut_slice() else { return };
            tokio::select! {
                _ = interrupt.recv() => (),
                _ = terminate.recv() => (),
                _ = hangup.recv() => (),
            }
            if first {
                let _ = cancel.send(true);
            } else {
                std::process::exit(Exit::Interrupted as i32);
            }
        }
    })
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

/// The tables as text, and how many of the results behind them turned out damaged.
struct Tables {
    text: String,
    damaged: usize,
}

fn show(session: &Session, store: &Arc<Store>) -> Result<Tables> {
    let plan = Planner::new(&session.graph, &*session.ops, store).plan()?;
    let shown = table::Shown::new(session, &plan, store)?;
    note(store.warnings());
    Ok(Tables { text: shown.every(Format::Text)?, damaged: shown.damaged() })
}
