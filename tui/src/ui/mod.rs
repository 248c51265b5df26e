//! The display of a run in this process: the dashboard, lines, JSON, or failures only.
//! Knows nothing of scheduling.

pub mod eta;
pub mod plain;

use std::io::{IsTerminal, Stderr, Write};

use fewbits_engine::event::{Event, Summary};
use fewbits_engine::spec::experiment::Experiment;
use plain::{Plain, advice, edit_lines, printable};

use crate::cli::{Global, Ui};
use crate::dashboard::driver::{Dashboard, DashboardSetup};
use crate::dashboard::messages::{Leave, Notice};
use crate::session::variable;

/// The most failures that are printed after the dashboard is closed.
const FAILURES: usize = 20;

/// Shows the events of a run.
pub enum Viewer {
    /// One JSON event per line on standard output; whether it is closed.
    Json(bool),
    /// Failures only.
    Quiet,
    /// A line per event.
    Lines(Plain<Stderr>),
    /// The dashboard.
    Board(Box<Board>),
}

/// Shows a run on a terminal: the dashboard while tasks run, lines if the dashboard is closed early or cannot be
/// opened.
pub struct Board {
    /// The setup of the dashboard; `None` after the attempt to open it.
    setup: Option<DashboardSetup>,
    open: Option<Dashboard>,
    run: String,
    /// Counts events silently while the dashboard is open, and writes lines if it is closed early.
    lines: Plain<Stderr>,
    /// The failures and warnings to print after the dashboard is closed.
    kept: Vec<String>,
    left: Option<Leave>,
    /// The number of tasks that run at once.
    jobs: usize,
    /// Whether the run follows its file: the dashboard stays open between the versions.
    follows_file: bool,
}

impl Viewer {
    /// Makes the viewer that the options ask for. `setup` is for a dashboard.
    #[must_use]
    pub fn new(global: &Global, experiment: &Experiment, jobs: usize, setup: DashboardSetup) -> Self {
        let lines = Plain::new(std::io::stderr(), experiment, jobs);
        match global.ui {
            Ui::Json => Self::Json(false),
            _ if global.quiet => Self::Quiet,
            Ui::Plain => Self::Lines(lines),
            Ui::Auto if !is_watched() => Self::Lines(lines),
            Ui::Auto | Ui::Tui => Self::Board(Box::new(Board {
                follows_file: setup.versions.is_some(),
                jobs,
                setup: Some(setup),
                open: None,
                run: String::new(),
                lines,
                kept: vec![],
                left: None,
            })),
        }
    }

    /// Tells the viewer the id of the run that starts, and its experiment.
    pub fn begin(&mut self, run: &str, experiment: &Experiment) {
        match self {
            Self::Board(board) => {
                run.clone_into(&mut board.run);
                board.lines.renew(experiment);
                // What failed in a version before may be mended in this one.
                board.kept.clear();
            }
            Self::Lines(lines) => lines.renew(experiment),
            Self::Json(_) | Self::Quiet => {}
        }
    }

    /// Takes note of the end of the dashboard; returns whether the process goes on with lines.
    pub fn closed(&mut self) -> bool {
        match self {
            Self::Board(board) => {
                board.close_ended();
                board.left == Some(Leave::Lines)
            }
            Self::Json(_) | Self::Quiet | Self::Lines(_) => true,
        }
    }

    /// Keeps lines of progress back, or shows them again.
    pub fn mute(&mut self, is_muted: bool) {
        if let Self::Lines(lines) = self {
            lines.muted = is_muted;
        }
    }

    /// Shows an event.
    pub fn update(&mut self, event: &Event) {
        match self {
            Self::Json(is_closed) => {
                if let Ok(line) = serde_json::to_string(event) {
                    *is_closed |= writeln!(std::io::stdout().lock(), "{line}").is_err();
                }
            }
            Self::Quiet => match event {
                Event::Refused { message } => sayln!("{}", printable(message)),
                Event::Failed { task, error } => {
                    sayln!("{}", printable(&format!("{task} failed: {error}")));
                }
                Event::Finished(summary) => tell_advice(summary),
                _ => {}
            },
            Self::Lines(lines) => lines.update(event),
            Self::Board(board) => board.update(event),
        }
    }

    /// Whether nobody reads the events any more.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        match self {
            Self::Json(is_closed) => *is_closed,
            Self::Lines(lines) => lines.broken,
            Self::Quiet | Self::Board(_) => false,
        }
    }

    /// Shows lines about an edit above the status line of the dashboard; without lines, closes them.
    pub fn notify(&self, lines: Vec<String>) {
        if let Self::Board(board) = self {
            board.notify(lines, false);
        }
    }

    /// Shows for as long as it holds that the shown version is not what the file says.
    pub fn stand(&self, standing: Option<String>) {
        if let Self::Board(board) = self
            && let Some(open) = &board.open
        {
            open.stand(standing);
        }
    }

    /// Waits for a dashboard that closes because the run was asked to end.
    pub fn join(&mut self, summary: &Summary) {
        if let Self::Board(board) = self
            && let Some(open) = board.open.take()
        {
            board.left = open.wait().or(Some(Leave::Over));
            board.tell_kept();
            tell_advice(summary);
        }
    }

    /// Whether standard output is for events only.
    #[must_use]
    pub fn is_json(&self) -> bool {
        matches!(self, Self::Json(_))
    }

    /// Whether the dashboard was open to the end: then no line has reported the end of the run yet.
    #[must_use]
    pub fn had_board(&self) -> bool {
        matches!(self, Self::Board(board) if board.left.is_some_and(|left| left != Leave::Lines))
    }

    /// Whether the user asked to detach the run.
    #[must_use]
    pub fn is_detached(&self) -> bool {
        matches!(self, Self::Board(board) if board.left == Some(Leave::Detach))
    }
}

impl Board {
    fn update(&mut self, event: &Event) {
        self.keep(event);
        match event {
            // The second turn has a run log of its own, which exists by now.
            Event::Planned { .. } if self.open.is_some() => {
                if let Some(open) = &self.open {
                    open.follow(&self.run);
                }
            }
            Event::Planned { counts, .. } if counts.cached < counts.tasks || self.follows_file => self.show(),
            Event::Finished(summary) => match &self.open {
                Some(open) if self.follows_file => open.ended(*summary),
                _ => return self.finish(summary),
            },
            Event::Refused { message } => self.notify(message.lines().map(str::to_owned).collect(), true),
            Event::Proposed { nodes } => {
                let head = "this edit waits:".to_owned();
                let lines = edit_lines(nodes, self.jobs);
                self.notify(std::iter::once(head).chain(lines).collect(), false);
            }
            _ => {}
        }
        self.close_ended();
        self.lines.update(event);
    }

    fn notify(&self, lines: Vec<String>, is_bad: bool) {
        if let Some(open) = &self.open {
            open.notice(Notice { lines, is_bad });
        }
    }

    /// Takes note of a dashboard that was closed.
    fn close_ended(&mut self) {
        if let Some(open) = self.open.take_if(|open| open.is_closed()) {
            let left = open.wait().unwrap_or(Leave::Lines);
            self.left = Some(left);
            self.lines.muted = left != Leave::Lines;
            self.tell_kept();
        }
    }

    /// Opens the dashboard; called when there are tasks to run.
    fn show(&mut self) {
        let Some(setup) = self.setup.take() else { return };
        // A terminal that cannot show the dashboard still shows lines.
        self.open = Dashboard::open(setup, &self.run, true).ok();
        self.lines.muted = self.open.is_some();
    }

    /// Handles the end of the run: waits until the user closes the dashboard, then prints the failures and warnings.
    fn finish(&mut self, summary: &Summary) {
        let Some(open) = self.open.take() else { return self.lines.update(&Event::Finished(*summary)) };
        open.ended(*summary);
        self.left = open.wait().or(Some(Leave::Over));
        self.tell_kept();
        tell_advice(summary);
    }

    /// Prints the failures and warnings that the dashboard covered.
    fn tell_kept(&mut self) {
        let kept = std::mem::take(&mut self.kept);
        for line in kept.iter().take(FAILURES) {
            sayln!("{}", printable(line));
        }
        if let Some(more) = kept.len().checked_sub(FAILURES).filter(|more| *more > 0) {
            sayln!("and {more} more");
        }
    }

    fn keep(&mut self, event: &Event) {
        match event {
            _ if self.open.is_none() => {}
            Event::Failed { task, error } => self.kept.push(format!("{task} failed: {error}")),
            Event::Warned { message } => self.kept.push(format!("warning: {message}")),
            _ => {}
        }
    }
}

impl Drop for Board {
    /// After an error, the terminal is restored before the error is printed.
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            open.close();
        }
    }
}

fn tell_advice(summary: &Summary) {
    if let Some(advice) = advice(summary) {
        sayln!("{advice}");
    }
}

/// Whether a person watches: standard error and input are a terminal that can draw, and the variable `CI` is not set.
#[must_use]
pub fn is_watched() -> bool {
    let dumb = variable("TERM").is_none_or(|term| term == "dumb");
    let here = std::io::stderr().is_terminal() && std::io::stdin().is_terminal();
    here && !dumb && variable("CI").is_none()
}
