//! The Pareto view: accuracy against size, with the front and a cursor that names the selected point.
//! Does not know how its table is made.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;

use super::pareto_scene::{ParetoScene, pinned, shown, table_request, tables};
use super::tables::{row_of, task_filter, unpinned};
use super::{KeyHints, front, task};
use crate::dashboard::app::App;
use crate::dashboard::cursor::{Cursor, Motion};
use crate::dashboard::filter::Filter;
use crate::dashboard::keys::Action;
use crate::dashboard::paint::{put, put_all, wrap};
use crate::dashboard::shown_table::{Pin, value};
use crate::dashboard::view_name::View;
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
        return unpinned(app);
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
