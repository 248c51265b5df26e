//! `run`: runs the tasks without a result, shows progress, then prints the tables.
//! Knows nothing of scheduling.

use std::sync::Arc;

use anyhow::{Context, Result};
use fewbits_engine::event::{Event, Summary};
use fewbits_engine::plan::Plan;
use fewbits_engine::run::coordinator::{RunError, Settings};
use fewbits_engine::run::halt::Halt;
use fewbits_engine::run::runner::{Runner, Version};
use fewbits_ops::StandardOps;
use fewbits_store::Store;
use tokio::sync::{mpsc, watch};

use super::detach;
use super::live;
use super::table::ResultTables;
use super::{note, print};
use crate::cli::{Global, RunArgs};
use crate::cluster::on_workers;
use crate::dashboard::driver::{DashboardSetup, VersionListener};
use crate::exit::Exit;
use crate::interrupt::Signals;
use crate::session::{Session, open, panics_in, theme, threads, writer};
use crate::ui::Viewer;
use crate::ui::plain::{LEFT, sentence};

/// Runs an experiment.
pub fn run(args: &RunArgs, global: &Global) -> Result<Exit> {
    let signals = Signals::listen()?;
    if args.cluster.is_given() {
        signals.ask_first();
    }
    if args.watch {
        return live::run(args, global, &signals);
    }
    let session =
        if args.detached { detach::take_over(args, global)? } else { open(&args.file.file, global)? };
    let store = Arc::new(writer(global, args.wait, || signals.asked() > Halt::No)?);
    let view = view(&session, (&store, &signals), args, global, None);
    let runner = runner(&session, &store, args, global)?;
    let mut turn = Turn { session: &session, store, runner, signals: &signals, view };
    let (summary, shown) = turn.run()?;
    turn.view.update(&Event::Finished(summary));
    let Turn { view, store, runner, .. } = turn;
    // The threads of jobs and the exchange end before another process takes over.
    drop(runner);
    if view.is_detached() && summary.skipped > 0 && !signals.came() {
        // The detached process needs the store's lock.
        drop(store);
        return detach::hand_over(args, global, &session.graph.text);
    }
    // Workers that did not come, or that go on by themselves, leave tables without new results.
    let has_nothing_new = args.cluster.is_given()
        && summary.skipped > 0
        && (summary.ran == 0 || signals.asked() == Halt::Leave);
    let is_whole = has_nothing_new || show_tables(&session, &shown, (args, &view), &summary)?;
    if signals.asked() == Halt::Leave && view.had_board() {
        sayln!("{LEFT}");
    }
    // The process ends here. If all tasks are cached, freeing the graph takes as long as the rest of the command. The
    // store is no part of the session: it must be dropped, because that publishes the index.
    std::mem::forget(session);
    Ok(exit_of(&summary, is_whole, &signals))
}

/// Returns the exit code of a run; `is_whole` says whether every table could be made.
pub fn exit_of(summary: &Summary, is_whole: bool, signals: &Signals) -> Exit {
    match summary {
        Summary { skipped: 1.., .. } if signals.asked() > Halt::No => Exit::Interrupted,
        Summary { failed: 0, skipped: 0, .. } if is_whole => Exit::Done,
        _ => Exit::Failed,
    }
}

/// Prints the tables that the experiment shows, and after the dashboard the summary and the best points. Returns whether every table could be made.
pub fn show_tables(
    session: &Session,
    shown: &ResultTables<'_>,
    (args, view): (&RunArgs, &Viewer),
    summary: &Summary,
) -> Result<bool> {
    let mut failed = vec![];
    let mut printed = Ok(());
    if !session.graph.experiment.tables.is_empty() {
        let rendered = shown.shown(&args.file.file)?;
        if !view.is_json() {
            printed = print(&format!("\n{}", rendered.text));
        }
        failed = rendered.failed;
    }
    if view.had_board() {
        say!("\n{}\n{}", sentence(summary), shown.best());
    }
    let is_whole = failed.is_empty();
    // Failed tables are reported even if the others cannot be printed.
    note(failed);
    printed?;
    Ok(is_whole)
}

/// Makes the runner of a run: its tasks run in threads of this process, or on workers.
pub fn runner(
    session: &Session,
    store: &Arc<Store>,
    args: &RunArgs,
    global: &Global,
) -> Result<Runner<StandardOps>> {
    let runner = Runner::new(Arc::clone(&session.ops), Arc::clone(store), settings(args));
    if args.cluster.is_given() {
        return on_workers(runner, &args.cluster, global, (store, &args.file.file, args.jobs));
    }
    Ok(runner)
}

/// Makes the viewer of a run. `versions` receives requests for other versions, if the run follows its file.
pub fn view(
    session: &Session,
    (store, signals): (&Arc<Store>, &Signals),
    args: &RunArgs,
    global: &Global,
    versions: Option<VersionListener>,
) -> Viewer {
    let setup = DashboardSetup {
        store: Arc::clone(store),
        ops: Arc::clone(&session.ops),
        theme: theme(global),
        signals: signals.clone(),
        speed: None,
        versions,
        on_workers: args.cluster.is_given(),
        panics: panics_in().as_deref() == Some("dashboard"),
    };
    Viewer::new(global, &session.graph.experiment, settings(args).jobs, setup)
}

/// Returns the id of a run that starts now.
pub fn run_id() -> String {
    jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S-%3f").to_string()
}

/// Returns the settings of a run.
pub fn settings(args: &RunArgs) -> Settings {
    let threads = threads();
    // Workers say by themselves how many tasks they run.
    let jobs = if args.cluster.is_given() { 0 } else { args.jobs.map_or(threads, usize::from) };
    Settings { jobs, threads, fail_fast: args.fail_fast }
}

/// Returns the error of a run that ended early, with what to do.
pub fn unrecorded(error: RunError) -> anyhow::Error {
    anyhow::Error::from(error).context(
        "results recorded before are kept; make room, or give another folder with --store, and run again",
    )
}

/// Combines the summaries of two turns of one run.
fn both(first: Summary, second: Summary) -> Summary {
    // A task may run in both turns; it counts once.
    let ran = (first.ran + second.ran).min(second.tasks - second.failed - second.skipped);
    let cached = second.tasks.saturating_sub(ran + second.failed + second.skipped);
    Summary { ran, cached, seconds: first.seconds + second.seconds, ..second }
}

/// One or two turns of the runner, with the viewer of their events.
struct Turn<'t> {
    session: &'t Session,
    store: Arc<Store>,
    runner: Runner<StandardOps>,
    signals: &'t Signals,
    view: Viewer,
}

impl<'t> Turn<'t> {
    /// Runs the tasks without a result. Returns the summary and the results.
    fn run(&mut self) -> Result<(Summary, ResultTables<'t>)> {
        let (summary, plan) = self.drive()?;
        let shown = self.results(&plan)?;
        if shown.damaged() == 0 || self.signals.asked() > Halt::No {
            return Ok((summary, shown));
        }
        // Reading and checking the results found damaged records and dropped them. A second turn computes them again.
        let (second, plan) = self.drive()?;
        Ok((both(summary, second), self.results(&plan)?))
    }

    /// Runs the tasks without a result once, and shows every event except the last.
    fn drive(&mut self) -> Result<(Summary, Plan)> {
        let (events, mut inbox) = mpsc::unbounded_channel();
        let id = run_id();
        self.view.begin(&id, &self.session.graph.experiment);
        let version = Version { graph: Arc::clone(&self.session.graph), id, follows: None };
        let newer = watch::channel(0).1;
        let running = self.runner.run(version, events, self.signals.follow(), newer);
        let (view, signals) = (&mut self.view, self.signals);
        let showing = async {
            while let Some(event) = inbox.recv().await {
                view.mute(signals.is_asking());
                if !matches!(event, Event::Finished(_)) {
                    view.update(&event);
                }
            }
        };
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context("no async runtime")?;
        let (ended, ()) = runtime.block_on(async { tokio::join!(running, showing) });
        match ended {
            Ok(ended) => Ok((ended.summary, ended.plan)),
            Err(error) => {
                if let RunError::Record { summary, .. } = &error {
                    self.view.update(&Event::Finished(*summary));
                }
                Err(unrecorded(error))
            }
        }
    }

    /// Reads the results. Warnings go to the viewer, because text on the terminal would overwrite a dashboard.
    fn results(&mut self, plan: &Plan) -> Result<ResultTables<'t>> {
        let shown = ResultTables::tables(self.session, plan, &self.store)?;
        for message in self.store.warnings() {
            self.view.update(&Event::Warned { message });
        }
        Ok(shown)
    }
}
