//! The Pareto view: accuracy against size, with the front and a cursor that names the selected point.
//! Does not know how its table is made.

use fewbits_engine::spec::experiment::Experiment;
use fewbits_engine::spec::table::TableKind;
use fewbits_engine::table::front::means;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;

use super::tables::{row_of, task_filter};
use super::{KeyHints, View, front, task};
use crate::dashboard::app::App;
use crate::dashboard::cursor::{Cursor, Motion};
use crate::dashboard::filter::Filter;
use crate::dashboard::keys::Action;
use crate::dashboard::paint::{put, put_all, wrap};
use crate::dashboard::shown_table::TableRequest;
use crate::dashboard::shown_table::{Pin, ShownTable, labels, value};
use crate::render::number::estimate;
use crate::ui::plain::printable;

/// The most useful keys of the view.
pub const HINTS: KeyHints = &[
    ("↑↓", "points"),
    ("Space", "all/front"),
    ("b", "bits/bytes"),
    ("/", "filter"),
    ("p", "pin"),
    ("y", "log axis"),
    ("c", "copy"),
    ("Enter", "tasks"),
];

/// The state of the view.
#[derive(Clone, Debug, Default)]
pub struct ParetoState {
    /// The filter of the shown points.
    pub filter: Filter,
    table: usize,
    other_cost: bool,
    /// Whether the cursor moves over all points instead of the front only.
    pub(super) all: bool,
    pub(super) log: bool,
    cursor: Cursor,
}

/// Returns the indices of the experiment's Pareto tables.
fn tables(app: &App) -> Vec<usize> {
    let tables = app.run.iter().flat_map(|run| run.experiment().tables.iter().enumerate());
    tables.filter(|(_, table)| matches!(table.kind, TableKind::Pareto { .. })).map(|(at, _)| at).collect()
}

/// Returns the table that the view shows.
#[must_use]
pub fn table_request(app: &App) -> Option<TableRequest> {
    let tables = tables(app);
    let table = *tables.get(app.pareto_view.table % tables.len().max(1))?;
    Some(TableRequest { table, other_cost: app.pareto_view.other_cost })
}

fn shown(app: &App) -> Option<&ShownTable> {
    app.tables.get(&table_request(app)?)?.as_deref().ok()
}

/// The data for one frame or one key, derived from the state.
pub struct ParetoScene<'a> {
    experiment: &'a Experiment,
    /// The shown table.
    pub shown: &'a ShownTable,
    /// The shown points, in the order of size.
    pub all: Vec<usize>,
    /// The shown points that are on the front.
    pub front: Vec<usize>,
    /// The point under the cursor.
    pub selected: Option<usize>,
}

impl<'a> ParetoScene<'a> {
    fn new(app: &'a App) -> Option<Self> {
        let (run, shown) = (app.run.as_ref()?, shown(app)?);
        let mut all = shown.by_cost(&app.pareto_view.filter);
        all.retain(|at| means(&shown.points.points[*at]).is_some());
        let front = shown.front(&all);
        let mut scene = Self { experiment: run.experiment(), shown, all, front, selected: None };
        let walked = scene.walked(app);
        scene.selected = walked.get(app.pareto_view.cursor.within(walked.len())).copied();
        Some(scene)
    }

    /// Returns the points that the cursor moves over.
    #[must_use]
    pub fn walked(&self, app: &App) -> &[usize] {
        if app.pareto_view.all { &self.all } else { &self.front }
    }

    /// Returns the size and the accuracy of a point.
    #[must_use]
    pub fn means(&self, at: usize) -> Option<(f64, f64)> {
        means(self.shown.points.points.get(at)?)
    }

    /// Returns the axes of a point, each with the label of its level.
    #[must_use]
    pub fn labels(&self, at: usize) -> Vec<(&'a str, &'a str)> {
        labels(self.experiment, &self.shown.points, &self.shown.points.points[at])
    }

    /// Returns the axes and labels of a point as text.
    #[must_use]
    pub fn place(&self, at: usize) -> String {
        let pairs = self.labels(at).into_iter().map(|(axis, label)| format!("{axis}={label}"));
        pairs.collect::<Vec<_>>().join(" ")
    }
}

/// Returns the pinned point, if it belongs to the shown table.
#[must_use]
pub fn pinned(app: &App) -> Option<&Pin> {
    app.pin.as_ref().filter(|pin| Some(pin.request) == table_request(app))
}

/// Carries out an action; returns a status text.
pub fn act(app: &mut App, action: Action) -> Option<String> {
    let count = tables(app).len();
    if count == 0 {
        return Some("the file asks for no Pareto table".to_owned());
    }
    let page = app.page();
    match action {
        Action::Go(_) | Action::Left | Action::Right => {
            let len = ParetoScene::new(app).map_or(0, |scene| scene.walked(app).len());
            let motion = match action {
                Action::Go(motion) => motion,
                Action::Left => Motion::Up,
                _ => Motion::Down,
            };
            app.pareto_view.cursor.go(motion, len, page);
            Some(describe(app).unwrap_or_else(|| "no point yet".to_owned()))
        }
        Action::Mark => {
            app.pareto_view.all = !app.pareto_view.all;
            app.pareto_view.cursor = Cursor::default();
            let words = if app.pareto_view.all {
                "the cursor walks over all points"
            } else {
                "the cursor walks on the front"
            };
            Some(words.to_owned())
        }
        Action::Cost => {
            app.pareto_view.other_cost = !app.pareto_view.other_cost;
            Some("the other measure of size".to_owned())
        }
        Action::LogAxis => {
            app.pareto_view.log = !app.pareto_view.log;
            Some(if app.pareto_view.log {
                "size on a logarithmic axis".to_owned()
            } else {
                "size on a linear axis".to_owned()
            })
        }
        Action::NextTable | Action::PreviousTable => {
            let step = if action == Action::NextTable { 1 } else { count - 1 };
            app.pareto_view.table = (app.pareto_view.table + step) % count;
            app.pareto_view.cursor = Cursor::default();
            Some(format!("Pareto table {} of {count}", app.pareto_view.table + 1))
        }
        Action::Pin => Some(pin(app)),
        Action::Back => {
            app.pareto_view.filter = Filter::default();
            Some("no filter".to_owned())
        }
        Action::Open => open(app),
        _ => None,
    }
}

fn pin(app: &mut App) -> String {
    let selected = ParetoScene::new(app).and_then(|scene| scene.selected);
    let (Some(wanted), Some(at)) = (table_request(app), selected) else {
        return "no point to pin".to_owned();
    };
    if pinned(app).and_then(|pin| pin.place(shown(app)?)) == Some(at) {
        app.pin = None;
        return "no baseline".to_owned();
    }
    app.pin = Pin::at(app.run.as_ref(), shown(app), wanted, at);
    app.pin.as_ref().map_or("no point to pin".to_owned(), |pin| format!("baseline: {}", pin.name))
}

fn open(app: &mut App) -> Option<String> {
    let scene = ParetoScene::new(app)?;
    let table = scene.experiment.tables.get(table_request(app)?.table)?;
    let filter = task_filter(scene.experiment, table, &scene.labels(scene.selected?));
    task::filter_to(app, &filter);
    app.open_view(View::Task);
    Some(format!("tasks with {filter}"))
}

fn describe(app: &App) -> Option<String> {
    let scene = ParetoScene::new(app)?;
    let at = scene.selected?;
    let point = &scene.shown.points.points[at];
    let values = (0..2).filter_map(|column| value(point, column)).map(|value| estimate(&value));
    Some(format!("{}: {}", scene.place(at), values.collect::<Vec<_>>().join(", ")))
}

/// Selects the point nearest to a position.
pub fn click(app: &mut App, area: Rect, at: Position) -> Option<String> {
    let scene = ParetoScene::new(app)?;
    app.pareto_view.cursor.at = front::point_at(app, &scene, area, at)?;
    describe(app)
}

/// Returns the point under the cursor as named values.
#[must_use]
pub fn row(app: &App) -> Option<Vec<(String, String)>> {
    let scene = ParetoScene::new(app)?;
    row_of(app.run.as_ref()?, &scene.shown.points, scene.selected?)
}

/// Draws the view.
pub fn draw(app: &App, area: Rect, buf: &mut Buffer) {
    let theme = app.theme;
    if tables(app).is_empty() {
        let text = "the file asks for no Pareto table; this line in `tables` would: \"pareto\": Pareto(minimize: \"small.bits_per_weight\", maximize: \"accuracy.accuracy\", replicate: \"seed\")";
        let lines = wrap(text, usize::from(area.width)).into_iter();
        return put_all(buf, area, lines.map(|text| Line::from(text).style(theme.dim())));
    }
    match table_request(app).and_then(|wanted| app.tables.get(&wanted)) {
        None => put(buf, area.x, area.y, area.width, Line::from("making the table").style(theme.dim())),
        Some(Err(error)) => {
            put(
                buf,
                area.x,
                area.y,
                area.width,
                Line::from(printable(&error.to_string())).style(theme.bad()),
            );
        }
        Some(Ok(_)) => {
            if let Some(scene) = ParetoScene::new(app) {
                front::draw(app, &scene, area, buf);
            }
        }
    }
}
