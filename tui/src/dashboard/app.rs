//! The state of the dashboard; frames are drawn from it alone.
//! Knows neither keys nor views; `update.rs` changes it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use fewbits_engine::graph::TaskId;
use fewbits_engine::run::halt::Halt;

use super::keys::{Action, keys_of};
use super::messages::{Baseline, Leave, Notice, PastRun, Request, TableFailure};
use super::overlay::Overlay;
use super::run_curves::RunCurves;
use super::run_model::RunModel;
use super::shown_table::{Pin, ShownTable, TableRequest};
use super::theme::Theme;
use super::versions::ValuesBefore;
use super::view_name::View;
use super::view_state::{CurvesState, ParetoState, RunViewState, RunsState, TablesState, TaskViewState};

/// The state of the dashboard.
pub struct App {
    /// Colours and glyphs.
    pub theme: Theme,
    /// The size of the terminal in columns and rows.
    pub size: (u16, u16),
    /// The current time in seconds of Unix time.
    pub now: f64,
    /// The current view.
    pub view: View,
    /// The overlay above the view.
    pub overlay: Overlay,
    /// The run that the views show; `None` until it is opened.
    pub run: Option<RunModel>,
    /// The id of the run of this process, which can be stopped.
    pub own: Option<String>,
    /// Whether the run of this process follows its file: each saved version is a run.
    pub follows_file: bool,
    /// Whether the tasks of this process's run run on workers.
    pub on_workers: bool,
    /// The notice about the last edit; empty without one.
    pub notice: Notice,
    /// How the shown version stands to the file, if it is not what the file says.
    pub standing: Option<String>,
    /// The run of the newest version.
    pub(super) newest: Option<String>,
    /// The values of the tables of the version before.
    pub(super) values_before: Option<ValuesBefore>,
    /// The text of the status line, and whether it reports a problem.
    pub status: (String, bool),
    /// The tables made so far, or the reason why a table cannot be made.
    pub tables: HashMap<TableRequest, Result<Arc<ShownTable>, TableFailure>>,
    /// The point whose values the other points of its table are compared with.
    pub pin: Option<Pin>,
    /// The past run that tables are compared with.
    pub baseline: Option<Baseline>,
    /// The past runs whose curves are drawn over those of the shown run, in the order in which they were marked.
    pub other_curves: Vec<RunCurves>,
    /// The past runs, newest first; `None` until they are read.
    pub past: Option<Vec<PastRun>>,
    /// State of the run view.
    pub run_view: RunViewState,
    /// State of the training view.
    pub training_view: CurvesState,
    /// State of the view of tables.
    pub tables_view: TablesState,
    /// State of the Pareto view.
    pub pareto_view: ParetoState,
    /// State of the task view.
    pub task_view: TaskViewState,
    /// State of the view of runs.
    pub runs_view: RunsState,
    /// Whether a key was pressed or the mouse used. If so, the dashboard stays open when the run ends.
    pub(super) touched: bool,
    pub(super) came_from: Option<View>,
    pub(super) halted: Halt,
    pub(super) leave: Option<Leave>,
    /// The tasks whose record was requested and has not arrived.
    pub(super) asked: HashSet<TaskId>,
    /// The table that the loader keeps up to date.
    pub(super) table: Option<TableRequest>,
    pub(super) requests: Vec<Request>,
}

impl App {
    /// Creates the state before any update. `own` is the id of the run of this process, if there is one.
    #[must_use]
    pub fn new(theme: Theme, size: (u16, u16), own: Option<String>) -> Self {
        Self {
            theme,
            size,
            now: 0.0,
            view: View::Run,
            overlay: Overlay::None,
            run: None,
            own,
            follows_file: false,
            on_workers: false,
            notice: Notice::default(),
            standing: None,
            newest: None,
            values_before: None,
            status: (format!("{} shows the keys", keys_of(Action::Help)), false),
            tables: HashMap::new(),
            pin: None,
            baseline: None,
            other_curves: vec![],
            past: None,
            run_view: RunViewState::default(),
            training_view: CurvesState::default(),
            tables_view: TablesState::default(),
            pareto_view: ParetoState::default(),
            task_view: TaskViewState::default(),
            runs_view: RunsState::default(),
            touched: false,
            came_from: None,
            halted: Halt::No,
            leave: None,
            asked: HashSet::new(),
            table: None,
            requests: vec![],
        }
    }

    /// Sets the text of the status line.
    pub fn say(&mut self, text: impl Into<String>) {
        self.status = (text.into(), false);
    }

    /// Adds a request for the loader or the driver.
    pub fn ask(&mut self, ask: Request) {
        self.requests.push(ask);
    }

    /// Switches to a view and remembers the current view, so that [`App::go_back`] returns to it.
    pub fn open_view(&mut self, view: View) {
        let from = self.view;
        self.show(view);
        self.came_from = Some(from);
    }

    /// Returns to the view that the current view was opened from; `None` if it was not opened from another view.
    pub fn go_back(&mut self) -> Option<String> {
        let from = self.came_from.take()?;
        self.show(from);
        Some(format!("back to {}", from.title()))
    }

    /// Switches to a view.
    pub fn show(&mut self, view: View) {
        let (before, now) = (self.view == View::Runs, view == View::Runs);
        self.view = view;
        self.came_from = None;
        if before || now {
            self.ask(Request::Runs(now));
        }
    }

    /// Returns whether this process has a run that is not finished, even if another run is shown.
    #[must_use]
    pub fn is_own_going(&self) -> bool {
        let own = |run: &&RunModel| self.own.as_deref() == Some(run.opened.id.as_str());
        self.own.is_some()
            && self.leave.is_none()
            && self.run.as_ref().filter(own).is_none_or(RunModel::is_going)
    }

    /// Returns the approximate number of lines that a list shows at once.
    #[must_use]
    pub fn page(&self) -> usize {
        usize::from(self.size.1.saturating_sub(6)).max(1)
    }
}
