//! `watch`: follows a run of another process, or replays one that ended.
//! Takes no lock.

use std::io::{Stdout, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use fewbits_engine::event::Event;
use fewbits_engine::run::halt::Halt;
use fewbits_engine::run_log::LoggedEvent;
use fewbits_engine::text::fault::suggest;
use fewbits_ops::StandardOps;
use fewbits_store::Store;

use super::{note, print};
use crate::cli::{Global, Ui, WatchArgs};
use crate::command::table::ResultTables;
use crate::dashboard::driver::{Dashboard, DashboardSetup};
use crate::dashboard::past_runs::{is_going, open, replan};
use crate::exit::{Coded, Exit};
use crate::interrupt::Signals;
use crate::session::{Session, data_dir, reader, theme};
use crate::ui::is_watched;
use crate::ui::plain::{Plain, sentence};

/// The interval between reads of the run log.
const POLL: Duration = Duration::from_millis(100);

/// Watches a run.
pub fn watch(args: &WatchArgs, global: &Global) -> Result<Exit> {
    let signals = Signals::listen()?;
    let store = Arc::new(reader(global)?);
    let ops = Arc::new(StandardOps::new(data_dir(global), PathBuf::from(".")));
    let run = find(&store, args.run.as_deref())?;
    let board = match global.ui {
        Ui::Tui => true,
        Ui::Auto => is_watched(),
        Ui::Plain | Ui::Json => false,
    };
    if !board {
        return lines(&store, &ops, &run, global.ui == Ui::Json, &signals);
    }
    let setup = DashboardSetup {
        store: Arc::clone(&store),
        ops: Arc::clone(&ops),
        theme: theme(global),
        signals: signals.clone(),
        speed: args.speed,
        versions: None,
        on_workers: false,
        panics: false,
    };
    let open = Dashboard::open(setup, &run, false)
        .map_err(|error| anyhow!("the terminal cannot be drawn on: {error}; --ui plain shows lines"))?;
    if open.wait().is_none() {
        sayln!("the dashboard was closed: the terminal cannot be used any more");
        return Ok(Exit::Failed);
    }
    print(&farewell(&store, ops, &run)?)?;
    note(store.warnings());
    Ok(if signals.came() { Exit::Interrupted } else { Exit::Done })
}

/// Returns the newest run, or the one with this id prefix.
pub fn find(store: &Store, wanted: Option<&str>) -> Result<String> {
    let runs = store.runs()?;
    let Some(wanted) = wanted else {
        let none = || anyhow!("there is no run yet; `fewbits run FILE` makes one");
        return runs.into_iter().next_back().ok_or_else(none);
    };
    let meant: Vec<&String> = runs.iter().filter(|id| id.starts_with(wanted)).collect();
    match meant.as_slice() {
        [id] => Ok((*id).clone()),
        [] => {
            let hint = suggest(wanted, runs.iter().map(String::as_str));
            Err(Coded::usage(format!("there is no run `{wanted}`; {hint}; `fewbits runs` lists them")))
        }
        [first, ..] => Err(Coded::usage(format!(
            "`{wanted}` means {} runs, `{first}` among them: give more of its id",
            meant.len()
        ))),
    }
}

/// Shows a run as lines, until it ends, its process is gone, or standard output is closed.
fn lines(store: &Store, ops: &StandardOps, run: &str, json: bool, signals: &Signals) -> Result<Exit> {
    let (opened, mut run_log) = open(store, ops, run)?.map_err(|error| Coded::usage(error.to_string()))?;
    let mut plain = Plain::new(std::io::stdout(), &opened.graph.experiment, opened.header.jobs);
    let mut gone = false;
    while signals.asked() == Halt::No && !plain.broken {
        let Some(line) = run_log.next_line()? else {
            if gone {
                sayln!("the run did not finish: its process is gone; run the experiment again to go on");
                return Ok(Exit::Done);
            }
            // The process may have logged its end just before it ended, so the log is read once more.
            gone = !is_going(store, run)?;
            if !gone {
                std::thread::sleep(POLL);
            }
            continue;
        };
        let Ok(stamped) = serde_json::from_str::<LoggedEvent>(&line) else { continue };
        if !tell(&stamped.event, json, &mut plain) || matches!(stamped.event, Event::Finished(_)) {
            return Ok(Exit::Done);
        }
    }
    if plain.broken {
        return Ok(Exit::Done);
    }
    Ok(Exit::Interrupted)
}

/// Shows an event. Returns whether standard output is still open.
fn tell(event: &Event, json: bool, plain: &mut Plain<Stdout>) -> bool {
    if !json {
        plain.update(event);
        return !plain.broken;
    }
    serde_json::to_string(event).is_ok_and(|line| writeln!(std::io::stdout().lock(), "{line}").is_ok())
}

/// Returns the state of the run, and its best points so far.
fn farewell(store: &Store, ops: Arc<StandardOps>, run: &str) -> Result<String> {
    let Ok((opened, _)) = open(store, &ops, run)? else { return Ok(String::new()) };
    let last = store.last_line_of_run(run)?.and_then(|line| serde_json::from_str::<LoggedEvent>(&line).ok());
    let name = &opened.header.experiment;
    let state = match last.map(|line| line.event) {
        Some(Event::Finished(summary)) => sentence(&summary),
        _ if is_going(store, run)? => "the run goes on".to_owned(),
        _ => "the run did not finish".to_owned(),
    };
    let plan = replan(store, &ops, &opened)?;
    let session = Session { graph: Arc::clone(&opened.graph), ops };
    let best = ResultTables::new(&session, &plan, store, &session.graph.experiment.tables)?.best();
    Ok(crate::ui::plain::printable(&format!("{name}: {state}\n{best}")))
}
