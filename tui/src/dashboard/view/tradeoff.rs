//! The view of the experiment's tables, while results arrive: pivots as heat maps, and every table as a list that can
//! be sorted and filtered. Values can be shown as differences from a pinned cell or a past run.
//! Does not know how tables are made.

use fewbits_engine::graph::TaskGraph;
use fewbits_engine::spec::experiment::Experiment;
use fewbits_engine::spec::node::Node;
use fewbits_engine::spec::table::{Table, TableKind};
use fewbits_ops::StandardOps;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

use super::heat_map::{self, CellPosition};
use super::{KeyHints, View, rows, task};
use crate::dashboard::app::App;
use crate::dashboard::cursor::{Cursor, Motion};
use crate::dashboard::filter::Filter;
use crate::dashboard::keys::Action;
use crate::dashboard::messages::{PointName, TableRequest};
use crate::dashboard::paint::{item_at, line, put, put_all, top};
use crate::dashboard::run_model::RunModel;
use crate::dashboard::tables::{Pin, ShownTable, labels, mean, value};
use crate::render::number::{estimate, number};
use crate::ui::plain::printable;

/// The most useful keys of the view.
pub const HINTS: KeyHints = &[
    ("t", "table"),
    ("v", "map/list"),
    ("↑↓←→", "move"),
    ("s S", "sort"),
    ("/", "filter"),
    ("p", "pin"),
    ("c", "copy"),
    ("Enter", "tasks"),
];

/// The state of the view.
#[derive(Clone, Debug, Default)]
pub struct TradeoffState {
    /// The filter of the listed rows.
    pub filter: Filter,
    table: usize,
    list: bool,
    pub(super) cursor: Cursor,
    /// The first visible column of the list.
    pub(super) shift: usize,
    pub(super) sort: Option<usize>,
    pub(super) descending: bool,
    /// The cell under the cursor of a heat map: grid, row, column.
    pub(super) cell: CellPosition,
}

/// Returns the table that the view shows.
#[must_use]
pub fn wanted(app: &App) -> Option<TableRequest> {
    let tables = &app.study.as_ref()?.opened.graph.experiment.tables;
    (!tables.is_empty())
        .then(|| TableRequest { table: app.tradeoff.table.min(tables.len() - 1), other_cost: false })
}

fn graph(app: &App) -> Option<&TaskGraph<StandardOps>> {
    Some(&app.study.as_ref()?.opened.graph)
}

pub(super) fn table(app: &App) -> Option<&Table> {
    graph(app)?.experiment.tables.get(wanted(app)?.table)
}

pub(super) fn shown(app: &App) -> Option<&ShownTable> {
    app.tables.get(&wanted(app)?)?.as_ref().ok()
}

/// Returns whether the table is shown as heat maps.
fn is_map(app: &App) -> bool {
    // The points that satisfy a filter do not form a grid.
    !app.tradeoff.list
        && app.tradeoff.filter.is_empty()
        && shown(app).is_some_and(|shown| !shown.sheets.is_empty())
}

/// Returns the points of the list, filtered and sorted. A Pareto table lists only the points on the front.
pub(super) fn listed(app: &App) -> Vec<usize> {
    let (Some(study), Some(shown), Some(table)) = (&app.study, shown(app), table(app)) else { return vec![] };
    let state = &app.tradeoff;
    let points = shown.points(study, &state.filter, state.sort.map(|column| (column, state.descending)));
    match table.kind {
        TableKind::Pareto { .. } => {
            let front = shown.front(&points);
            if state.sort.is_none() {
                front
            } else {
                points.into_iter().filter(|at| front.contains(at)).collect()
            }
        }
        TableKind::Table { .. }
        | TableKind::Pivot { .. }
        | TableKind::Contrast { .. }
        | TableKind::Choose(_) => points,
    }
}

/// Returns the point under the cursor.
fn point(app: &App) -> Option<usize> {
    if is_map(app) {
        let (sheet, row, column) = app.tradeoff.cell;
        return shown(app)?.sheets.get(sheet)?.cell(row, column);
    }
    let rows = listed(app);
    rows.get(app.tradeoff.cursor.within(rows.len())).copied()
}

/// Carries out an action; returns a status text.
pub fn act(app: &mut App, action: Action) -> Option<String> {
    let tables = graph(app)?.experiment.tables.len();
    if tables == 0 {
        return Some("the file asks for no table".to_owned());
    }
    match action {
        Action::NextTable | Action::PreviousTable => {
            let at = wanted(app)?.table;
            let at = if action == Action::NextTable { at + 1 } else { at + tables - 1 } % tables;
            app.tradeoff = TradeoffState { table: at, list: app.tradeoff.list, ..TradeoffState::default() };
            Some(format!("table {}", table(app)?.name))
        }
        Action::Layout => {
            app.tradeoff.list = !app.tradeoff.list;
            Some(if is_map(app) { "heat map".to_owned() } else { "list".to_owned() })
        }
        Action::Go(_) | Action::Left | Action::Right => Some(go(app, action)),
        Action::Sort => sort(app),
        Action::Reverse => {
            app.tradeoff.descending = !app.tradeoff.descending;
            Some(if app.tradeoff.descending {
                "largest on top".to_owned()
            } else {
                "smallest on top".to_owned()
            })
        }
        Action::Pin => Some(pin(app)),
        Action::Back => {
            app.tradeoff.filter = Filter::default();
            app.tradeoff.sort = None;
            Some("no filter, the order of the file".to_owned())
        }
        Action::Open => open(app),
        _ => None,
    }
}

fn go(app: &mut App, action: Action) -> String {
    let page = app.page();
    if is_map(app) {
        walk(app, action);
    } else {
        let (rows, columns) = (listed(app).len(), shown(app).map_or(0, |shown| shown.groups.axes.len()));
        let state = &mut app.tradeoff;
        match action {
            Action::Left => state.shift = state.shift.saturating_sub(1),
            Action::Right => state.shift = (state.shift + 1).min(columns),
            Action::Go(motion) => state.cursor.go(motion, rows, page),
            _ => {}
        }
    }
    describe(app).unwrap_or_else(|| "no result there yet".to_owned())
}

/// Moves the cursor in a heat map: within a grid, over its edge into the next grid, or by whole grids.
fn walk(app: &mut App, action: Action) {
    let (mut sheet, mut row, mut column) = app.tradeoff.cell;
    let Some(shown) = shown(app) else { return };
    let last = shown.sheets.len().saturating_sub(1);
    let size = |sheet: usize| {
        shown.sheets.get(sheet).map_or((1, 1), |sheet| (sheet.rows.len(), sheet.columns.len()))
    };
    let (height, width) = size(sheet);
    match action {
        Action::Left if column > 0 => column -= 1,
        Action::Left if sheet > 0 => (sheet, column) = (sheet - 1, size(sheet - 1).1 - 1),
        Action::Right if column + 1 < width => column += 1,
        Action::Right if sheet < last => (sheet, column) = (sheet + 1, 0),
        Action::Go(Motion::Up) if row > 0 => row -= 1,
        Action::Go(Motion::Up) if sheet > 0 => (sheet, row) = (sheet - 1, size(sheet - 1).0 - 1),
        Action::Go(Motion::Down) if row + 1 < height => row += 1,
        Action::Go(Motion::Down) if sheet < last => (sheet, row) = (sheet + 1, 0),
        Action::Go(Motion::PageUp) => sheet = sheet.saturating_sub(1),
        Action::Go(Motion::PageDown) => sheet = (sheet + 1).min(last),
        Action::Go(Motion::First) => (sheet, row, column) = (0, 0, 0),
        Action::Go(Motion::Last) => (sheet, row, column) = (last, usize::MAX, usize::MAX),
        _ => {}
    }
    let (height, width) = size(sheet);
    app.tradeoff.cell = (sheet, row.min(height.saturating_sub(1)), column.min(width.saturating_sub(1)));
}

fn sort(app: &mut App) -> Option<String> {
    let groups = &shown(app)?.groups;
    let names: Vec<String> = groups
        .axes
        .iter()
        .map(|axis| graph(app).map_or(String::new(), |graph| graph.experiment.axes[*axis].name.clone()))
        .chain(groups.headings.iter().cloned())
        .collect();
    let (axes, state) = (groups.axes.len(), &mut app.tradeoff);
    // The first press sorts by the first value with the largest on top, because users mostly look for the best value.
    let next = state.sort.map_or(axes, |column| (column + 1) % names.len().max(1));
    (state.sort, state.descending, state.list) = (Some(next), next >= axes, true);
    state.cursor = Cursor::default();
    Some(format!("sorted by {}", names.get(next)?))
}

fn pin(app: &mut App) -> String {
    let (Some(wanted), Some(at)) = (wanted(app), point(app)) else {
        return "nothing to pin there".to_owned();
    };
    let pinned = app.pin.as_ref().filter(|pin| pin.wanted == wanted);
    if pinned.and_then(|pin| pin.place(shown(app)?)) == Some(at) {
        app.pin = None;
        return "no baseline".to_owned();
    }
    let Some(pin) = Pin::at(app.study.as_ref(), shown(app), wanted, at) else {
        return "nothing to pin there".to_owned();
    };
    let said = format!("baseline: {}; values are differences from it, p again unpins", pin.name);
    app.pin = Some(pin);
    said
}

/// Opens the task view with the tasks behind the point under the cursor.
fn open(app: &mut App) -> Option<String> {
    let study = app.study.as_ref()?;
    let shown = shown(app)?;
    let point = &shown.groups.points[point(app)?];
    let place = labels(study.experiment(), &shown.groups, point);
    let filter = task_filter(study.experiment(), table(app)?, &place);
    task::filter_to(app, &filter);
    app.open_view(View::Task);
    Some(format!("tasks with {filter}"))
}

/// Returns the filter for the tasks behind a point of a table. Labels with spaces or commas are left out, because a
/// filter cannot contain them.
#[must_use]
pub fn task_filter(experiment: &Experiment, table: &Table, point: &[(&str, &str)]) -> String {
    let named = |node: &&Node| table.values().iter().any(|value| value.mentions(&node.name));
    let nodes: Vec<&str> = experiment.nodes.iter().filter(named).map(|node| node.name.as_str()).collect();
    let pairs =
        point.iter().filter(|(_, label)| !label.contains(char::is_whitespace) && !label.contains(','));
    let pairs = pairs.map(|(axis, label)| format!("{axis}={label}"));
    [format!("node={}", nodes.join(","))].into_iter().chain(pairs).collect::<Vec<_>>().join(" ")
}

/// Returns the point under the cursor as text.
fn describe(app: &App) -> Option<String> {
    let study = app.study.as_ref()?;
    let shown = shown(app)?;
    let point = &shown.groups.points[point(app)?];
    let place: Vec<String> = labels(study.experiment(), &shown.groups, point)
        .into_iter()
        .map(|(axis, label)| format!("{axis}={label}"))
        .collect();
    let values = shown.groups.headings.iter().enumerate().map(|(column, heading)| {
        let text = value(point, column).map_or("not there yet".to_owned(), |value| {
            let n = if value.n > 1 {
                format!(" (n={}, {}–{})", value.n, number(value.least), number(value.most))
            } else {
                String::new()
            };
            format!("{}{n}", estimate(&value))
        });
        format!("{heading} {text}")
    });
    Some(format!("{}: {}", place.join(" "), values.collect::<Vec<_>>().join(", ")))
}

/// Selects the point at a position.
pub fn click(app: &mut App, area: Rect, at: Position) -> Option<String> {
    let body = top(area, HEAD).1;
    if is_map(app) {
        let (sheet, row, column) = heat_map::cell_at(app, body, at)?;
        app.tradeoff.cell = (sheet, row, column);
    } else {
        let rows = listed(app);
        app.tradeoff.cursor.at = item_at(top(body, 1).1, app.tradeoff.cursor, rows.len(), at.y)?;
    }
    describe(app)
}

/// Returns the point under the cursor as named values.
#[must_use]
pub fn row(app: &App) -> Option<Vec<(String, String)>> {
    let study = app.study.as_ref()?;
    row_of(study, shown(app)?, point(app)?)
}

/// Returns a point as named values: its axes, then its means with their intervals.
#[must_use]
pub fn row_of(study: &RunModel, shown: &ShownTable, at: usize) -> Option<Vec<(String, String)>> {
    let point = shown.groups.points.get(at)?;
    let axes = labels(study.experiment(), &shown.groups, point).into_iter();
    let mut row: Vec<(String, String)> =
        axes.map(|(axis, label)| (axis.to_owned(), label.to_owned())).collect();
    for (column, heading) in shown.groups.headings.iter().enumerate() {
        let Some(value) = value(point, column) else { continue };
        row.push((heading.clone(), value.mean.to_string()));
        if let Some(half) = value.half_width() {
            row.push((format!("{heading}.half_width"), half.to_string()));
            row.push((format!("{heading}.n"), value.n.to_string()));
        }
    }
    Some(row)
}

/// The text for a filter that no item satisfies.
pub const NOTHING: &str = "nothing matches: values are matched whole; Esc drops the filter";

/// The number of lines above the table.
const HEAD: u16 = 3;

/// Draws the view.
pub fn draw(app: &App, area: Rect, buf: &mut Buffer) {
    let (head, body) = top(area, HEAD);
    let Some(table) = table(app) else {
        let text = "the file asks for no table; `tables: { \"drop\": Pivot(…) }` would";
        put(buf, area.x, area.y, area.width, Line::from(text).style(app.theme.dim()));
        return;
    };
    draw_head(app, table, head, buf);
    match wanted(app).and_then(|wanted| app.tables.get(&wanted)) {
        None => put(buf, body.x, body.y, body.width, Line::from("making the table").style(app.theme.dim())),
        Some(Err(error)) => {
            put(
                buf,
                body.x,
                body.y,
                body.width,
                Line::from(printable(&error.to_string())).style(app.theme.bad()),
            );
        }
        Some(Ok(shown)) if is_map(app) => heat_map::draw(app, body, buf),
        Some(Ok(shown)) => rows::draw(app, shown, body, buf),
    }
}

fn draw_head(app: &App, table: &Table, area: Rect, buf: &mut Buffer) {
    let theme = app.theme;
    let at = wanted(app).map_or(0, |wanted| wanted.table);
    let names = graph(app).into_iter().flat_map(|graph| &graph.experiment.tables).enumerate();
    let names = names.map(|(other, table)| {
        let style = if other == at { theme.strong().add_modifier(Modifier::UNDERLINED) } else { theme.dim() };
        [Span::styled(table.name.clone(), style), Span::raw("  ")]
    });
    let missing = shown(app).map_or(0, |shown| shown.groups.missing);
    let mut words =
        vec![table.values().iter().map(|value| value.text.as_str()).collect::<Vec<_>>().join(", ")];
    if let Some(axis) = table.replicate.and_then(|axis| graph(app)?.experiment.axes.get(axis)) {
        words.push(format!("mean and 95 % t interval over {}", axis.name));
    }
    if missing > 0 {
        words.push(format!("{missing} results are not there yet"));
    }
    let mut compared = vec![];
    if let Some(pin) = app.pin.as_ref().filter(|pin| Some(pin.wanted) == wanted(app)) {
        compared.push(format!("differences from {}", pin.name));
    } else if let Some(baseline) = &app.baseline {
        compared.push(format!("differences from run {}", baseline.id));
    }
    if !app.tradeoff.filter.is_empty() {
        compared.push(format!("only {}", app.tradeoff.filter.text));
    }
    let lines = [
        line(names.flatten()),
        Line::from(printable(&words.join("; "))).style(theme.dim()),
        Line::from(printable(&compared.join("; "))).style(theme.notice()),
    ];
    put_all(buf, area, lines);
}

/// Returns the value that the value in a cell is compared with; `None` without a comparison.
pub(super) fn reference(app: &App, shown: &ShownTable, at: usize, column: usize) -> Option<f64> {
    let wanted = wanted(app)?;
    if let Some(pin) = app.pin.as_ref().filter(|pin| pin.wanted == wanted) {
        return pin.values.get(column).copied().flatten();
    }
    let experiment = app.study.as_ref()?.experiment();
    let place = labels(experiment, &shown.groups, shown.groups.points.get(at)?);
    app.baseline
        .as_ref()?
        .values
        .get(&PointName::new(&table(app)?.name, place))?
        .get(column)
        .copied()
        .flatten()
}

/// Returns the text of a cell: its value, or the difference from the value that it is compared with.
pub(super) fn text(app: &App, shown: &ShownTable, at: usize, column: usize) -> String {
    let Some(mean) = shown.groups.points.get(at).and_then(|point| mean(point, column)) else {
        return app.theme.pick("…", "..").to_owned();
    };
    match reference(app, shown, at, column) {
        None => short(mean, shown.range(column), false),
        Some(reference) if mean == reference => "=".to_owned(),
        Some(reference) => short(mean - reference, shown.range(column), true),
    }
}

fn signed(value: f64, sign: bool) -> String {
    let plus = if sign && value > 0.0 { "+" } else { "" };
    format!("{plus}{}", number(value))
}

/// Returns a short form of a number, with decimals chosen for the largest value in the range.
fn short(value: f64, range: Option<(f64, f64)>, sign: bool) -> String {
    let size = range.map_or(value.abs(), |(low, high)| low.abs().max(high.abs()));
    let decimals = match size {
        0.0..10.0 => 4,
        10.0..1e3 => 2,
        1e3..1e7 => 0,
        _ => return signed(value, sign),
    };
    if size < 1e-3 {
        return signed(value, sign);
    }
    // A value that rounds to zero is written without a sign.
    let value = if value.abs() < 0.5 * 10_f64.powi(-(decimals as i32)) { 0.0 } else { value };
    if sign { format!("{value:+.decimals$}") } else { format!("{value:.decimals$}") }
}
