//! How a run of this process is shown while it goes on: the dashboard, lines, JSON, or nothing but failures.

pub mod eta;
pub mod plain;

use std::io::{IsTerminal, Stderr, Write};

use fewbits_engine::event::{Event, Summary};
use plain::{Plain, advice, printable};

use crate::cli::{Global, Ui};
use crate::dashboard::driver::{Dashboard, DashboardSetup};
use crate::dashboard::messages::Leave;
use crate::session::variable;

/// Failures that stay on the screen when the dashboard is left.
const FAILURES: usize = 20;

/// Shows the events of a run.
pub enum Viewer {
    /// One JSON event per line on standard output.
    Json,
    /// Failures only.
    Quiet,
    /// A line per event.
    Lines(Plain<Stderr>),
    /// The dashboard.
    Board(Box<Board>),
}

/// A run on a terminal: the dashboard while something runs, lines where it cannot be.
pub struct Board {
    /// What it is opened with; none once it was.
    setup: Option<DashboardSetup>,
    open: Option<Dashboard>,
    run: String,
    /// Follows without a word while the dashboard is open, and speaks when it is left early.
    lines: Plain<Stderr>,
    /// What must not be lost with the dashboard.
    kept: Vec<String>,
    left: Option<Leave>,
}

impl Viewer {
    /// Returns what shows events, as asked for. `setup` is what a dashboard would be opened with.
    #[must_use]
    pub fn new(global: &Global, jobs: usize, setup: DashboardSetup) -> Self {
        let lines = Plain::new(std::io::stderr(), jobs);
        match global.ui {
            Ui::Json => Self::Json,
            _ if global.quiet => Self::Quiet,
            Ui::Plain => Self::Lines(lines),
            Ui::Auto if !is_watched() => Self::Lines(lines),
            Ui::Auto | Ui::Tui => Self::Board(Box::new(Board {
                setup: Some(setup),
                open: None,
                run: String::new(),
                lines,
                kept: vec![],
                left: None,
            })),
        }
    }

    /// A run of this id begins.
    pub fn begin(&mut self, run: &str) {
        if let Self::Board(board) = self {
            run.clone_into(&mut board.run);
        }
    }

    /// Shows an event.
    pub fn update(&mut self, event: &Event) {
        match self {
            Self::Json => {
                if let Ok(line) = serde_json::to_string(event) {
                    let _ = writeln!(std::io::stdout().lock(), "{line}");
                }
            }
            Self::Quiet => match event {
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

    /// Returns whether standard output is for events only.
    #[must_use]
    pub fn is_json(&self) -> bool {
        matches!(self, Self::Json)
    }

    /// Returns whether the dashboard was open to the end, so that nothing was said yet of how the run ended.
    #[must_use]
    pub fn had_board(&self) -> bool {
        matches!(self, Self::Board(board) if board.left.is_some_and(|left| left != Leave::Lines))
    }

    /// Returns whether the run is to go on in a process of its own.
    #[must_use]
    pub fn is_detached(&self) -> bool {
        matches!(self, Self::Board(board) if board.left == Some(Leave::Detach))
    }
}

impl Board {
    fn update(&mut self, event: &Event) {
        self.keep(event);
        match event {
            // A second turn: its journal is there by now.
            Event::Planned { .. } if self.open.is_some() => {
                if let Some(open) = &self.open {
                    open.follow(&self.run);
                }
            }
            Event::Planned { counts, .. } if counts.cached < counts.tasks => self.show(),
            Event::Finished(summary) => return self.finish(summary),
            _ => {}
        }
        if let Some(open) = self.open.take_if(|open| open.is_closed()) {
            let left = open.wait().unwrap_or(Leave::Lines);
            self.left = Some(left);
            self.lines.muted = left != Leave::Lines;
            self.tell_kept();
        }
        self.lines.update(event);
    }

    /// Opens the dashboard: not before there is something to watch.
    fn show(&mut self) {
        let Some(setup) = self.setup.take() else { return };
        // A terminal that cannot be drawn on still shows lines.
        self.open = Dashboard::open(setup, &self.run, true).ok();
        self.lines.muted = self.open.is_some();
    }

    /// The run ended: the dashboard is left when the person leaves it, and what must stay is written below it.
    fn finish(&mut self, summary: &Summary) {
        let Some(open) = self.open.take() else { return self.lines.update(&Event::Finished(*summary)) };
        open.ended(*summary);
        self.left = open.wait().or(Some(Leave::Over));
        self.tell_kept();
        tell_advice(summary);
    }

    /// Writes what happened while the dashboard hid it.
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
    /// An error ends the run: the terminal is given back before anything is said of it.
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

/// Returns whether a person watches: standard error is a terminal that can be drawn on, standard input one to type on.
#[must_use]
pub fn is_watched() -> bool {
    let dumb = variable("TERM").is_none_or(|term| term == "dumb");
    let here = std::io::stderr().is_terminal() && std::io::stdin().is_terminal();
    here && !dumb && variable("CI").is_none()
}
