//! The views. Each has a state, functions that apply actions to it, and a drawing that is a function of the state.
//! A view does not know the keys of its actions or the source of its data.

mod confusion;
mod detail;
mod difference;
mod front;
mod heat_map;
mod log_words;
pub mod pareto;
pub mod pareto_scene;
mod rows;
pub mod run;
pub mod runs;
pub mod selected_table;
pub mod tables;
pub mod task;
pub mod training;
mod tree;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::app::App;
use super::filter::Filter;
use super::keys::Action;
use super::task_status::TaskStatus;
use super::view_name::View;

/// All task statuses, in the order in which their counts are shown.
pub const STATUSES: [TaskStatus; 7] = [
    TaskStatus::Done,
    TaskStatus::Cached,
    TaskStatus::Running,
    TaskStatus::Saving,
    TaskStatus::Waiting,
    TaskStatus::Failed,
    TaskStatus::Skipped,
];

/// Keys with short descriptions of their actions, for the last line of the screen.
pub type KeyHints = &'static [(&'static str, &'static str)];

impl View {
    /// Carries out an action; returns a status text, or `None` if the action has no meaning in the view.
    pub fn act(self, app: &mut App, action: Action) -> Option<String> {
        match self {
            Self::Run => run::act(app, action),
            Self::Training => training::act(app, action),
            Self::Tables => tables::act(app, action),
            Self::Pareto => pareto::act(app, action),
            Self::Task => task::act(app, action),
            Self::Runs => runs::act(app, action),
        }
    }

    /// Selects the item at a position; returns a status text, or `None` if there is no item.
    pub fn click(self, app: &mut App, area: Rect, at: Position) -> Option<String> {
        match self {
            Self::Run => run::click(app, area, at),
            Self::Training => training::click(app, area, at),
            Self::Tables => tables::click(app, area, at),
            Self::Pareto => pareto::click(app, area, at),
            Self::Task => task::click(app, area, at),
            Self::Runs => runs::click(app, area, at),
        }
    }

    /// Draws the view.
    pub fn draw(self, app: &App, area: Rect, buf: &mut Buffer) {
        match self {
            Self::Run => run::draw(app, area, buf),
            Self::Training => training::draw(app, area, buf),
            Self::Tables => tables::draw(app, area, buf),
            Self::Pareto => pareto::draw(app, area, buf),
            Self::Task => task::draw(app, area, buf),
            Self::Runs => runs::draw(app, area, buf),
        }
    }

    /// Returns the view's filter, if it has one.
    pub fn filter(self, app: &mut App) -> Option<&mut Filter> {
        match self {
            Self::Run => None,
            Self::Training => Some(&mut app.training_view.filter),
            Self::Tables => Some(&mut app.tables_view.filter),
            Self::Pareto => Some(&mut app.pareto_view.filter),
            Self::Task => Some(&mut app.task_view.filter),
            Self::Runs => Some(&mut app.runs_view.filter),
        }
    }

    /// Returns the row under the cursor as named values.
    #[must_use]
    pub fn row(self, app: &App) -> Option<Vec<(String, String)>> {
        match self {
            Self::Run => run::row(app),
            Self::Training => training::row(app),
            Self::Tables => tables::row(app),
            Self::Pareto => pareto::row(app),
            Self::Task => task::row(app),
            Self::Runs => runs::row(app),
        }
    }

    /// Returns the most useful keys of the view.
    #[must_use]
    pub fn hints(self) -> KeyHints {
        match self {
            Self::Run => run::HINTS,
            Self::Training => training::HINTS,
            Self::Tables => tables::HINTS,
            Self::Pareto => pareto::HINTS,
            Self::Task => task::HINTS,
            Self::Runs => runs::HINTS,
        }
    }
}
