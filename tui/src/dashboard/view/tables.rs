//! The view of the experiment's tables, while results arrive: pivots as heat maps, and every table as a list that can
//! be sorted and filtered. Values can be shown as differences from a pinned cell or a past run.
//! Does not know how tables are made.

use fewbits_engine::spec::experiment::Experiment;
use fewbits_engine::spec::node::Node;
use fewbits_engine::spec::table::Table;
use fewbits_engine::table::layout::Arrangement;
use fewbits_engine::table::points::TablePoints;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

use super::heat_map;
use super::rows::{self, ListItem};
use super::selected_table::{graph, listing, shown_table, table, table_request};
use super::{KeyHints, task};
use crate::dashboard::app::App;
use crate::dashboard::column_order::{ColumnOrder, Side};
use crate::dashboard::cursor::{Cursor, Motion};
use crate::dashboard::filter::Filter;
use crate::dashboard::keys::{Action, keys_of};
use crate::dashboard::paint::{cut, line, put, put_all, top, wrap};
use crate::dashboard::run_model::RunModel;
use crate::dashboard::shown_table::{Pin, ShownSheet, ShownTable, labels, value};
use crate::dashboard::view_name::View;
use crate::dashboard::view_state::TablesState;
use crate::render::number::{count, estimate, number};
use crate::render::table::missing;
use crate::ui::plain::printable;

/// The most useful keys of the view.
pub const HINTS: KeyHints = &[
    ("t", "table"),
    ("v", "table/points"),
    ("↑↓←→", "move"),
    ("s S", "sort"),
    ("x", "hide"),
    ("/", "filter"),
    ("p", "pin"),
    ("c", "copy"),
    ("Enter", "tasks"),
];

/// Returns whether the table is shown as heat maps.
fn is_map(app: &App) -> bool {
    shown_table(app).is_some_and(|shown| is_grid(shown, &app.tables_view))
}

/// Returns whether a table is shown as heat maps.
pub(in crate::dashboard) fn is_grid(shown: &ShownTable, state: &TablesState) -> bool {
    // The points that satisfy a filter do not form a grid.
    !state.list && state.filter.is_empty() && shown.arrangement == Arrangement::Grids
}

/// Returns the sheet under the cursor, with the row and the column of values there.
fn selected(app: &App) -> Option<(&ShownSheet, usize, usize)> {
    if is_map(app) {
        let (sheet, row, column) = app.tables_view.cell;
        return Some((shown_table(app)?.sheets.get(sheet)?, row, column));
    }
    let listing = listing(app)?;
    let row = *listing.rows.get(app.tables_view.cursor.within(listing.rows.len()))?;
    Some((listing.shown, row, 0))
}

/// Returns the point under the cursor.
fn point(app: &App) -> Option<usize> {
    let (shown, row, column) = selected(app)?;
    shown.sheet.point(row, column)
}

/// Carries out an action; returns a status text.
pub fn act(app: &mut App, action: Action) -> Option<String> {
    let tables = graph(app)?.experiment.tables.len();
    if tables == 0 {
        return Some("the file asks for no table".to_owned());
    }
    match action {
        Action::NextTable | Action::PreviousTable => {
            let at = table_request(app)?.table;
            let at = if action == Action::NextTable { at + 1 } else { at + tables - 1 } % tables;
            app.tables_view = TablesState { table: at, ..TablesState::default() };
            Some(format!("table {}", table(app)?.name))
        }
        Action::Layout => {
            app.tables_view.list = !app.tables_view.list;
            (app.tables_view.sort, app.tables_view.cursor) = (None, Cursor::default());
            app.tables_view.columns = ColumnOrder::default();
            let words =
                if app.tables_view.list { "every point" } else { "the table as the file asks for it" };
            Some(words.to_owned())
        }
        Action::Go(_) | Action::Left | Action::Right => Some(go(app, action)),
        Action::Sort => sort(app),
        Action::HideColumn | Action::ResetColumns | Action::ShiftLeft | Action::ShiftRight => {
            Some(arrange(app, action))
        }
        Action::Reverse => {
            app.tables_view.descending = !app.tables_view.descending;
            Some(if app.tables_view.descending {
                "largest on top".to_owned()
            } else {
                "smallest on top".to_owned()
            })
        }
        Action::Pin => Some(pin(app)),
        Action::Back => {
            app.tables_view.filter = Filter::default();
            app.tables_view.sort = None;
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
        let Some(listing) = listing(app) else { return "no result there yet".to_owned() };
        let (rows, count) = (listing.rows.len(), listing.shown.column_count());
        let state = &mut app.tables_view;
        match action {
            Action::Left | Action::Right => {
                state.columns.go(count, if action == Action::Left { Side::Left } else { Side::Right });
                return at_column(app).unwrap_or_default();
            }
            Action::Go(motion) => state.cursor.go(motion, rows, page),
            _ => {}
        }
    }
    describe(app).unwrap_or_else(|| "no result there yet".to_owned())
}

/// Moves the cursor in a heat map: within a grid, over its edge into the next grid, or by whole grids.
fn walk(app: &mut App, action: Action) {
    let (mut sheet, mut row, mut column) = app.tables_view.cell;
    let Some(shown) = shown_table(app) else { return };
    let last = shown.sheets.len().saturating_sub(1);
    let size = |sheet: usize| {
        let of = |shown: &ShownSheet| (shown.sheet.rows.len().max(1), heat_map::columns(shown).max(1));
        shown.sheets.get(sheet).map_or((1, 1), of)
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
    app.tables_view.cell = (sheet, row.min(height.saturating_sub(1)), column.min(width.saturating_sub(1)));
}

fn sort(app: &mut App) -> Option<String> {
    // A grid has no column to sort by, so its points are listed.
    let list = app.tables_view.list || is_map(app);
    app.tables_view.list = list;
    let column = app.tables_view.columns.cursor(listing(app)?.shown.column_count())?;
    sort_by(app, column)
}

/// Hides or moves the column under the cursor, or shows all columns.
fn arrange(app: &mut App, action: Action) -> String {
    if is_map(app) {
        return format!("a grid keeps its columns; {} lists its points", keys_of(Action::Layout));
    }
    let Some(shown) = listing(app).map(|listing| listing.shown) else {
        return "no result there yet".to_owned();
    };
    let (count, headings) = (shown.column_count(), shown.sheet.headings.clone());
    let columns = &mut app.tables_view.columns;
    let (done, column, refusal) = match action {
        Action::HideColumn => ("hidden", columns.hide(count), "the last column of values cannot be hidden"),
        Action::ShiftLeft => ("to the left", columns.shift(count, Side::Left), "axes stay before values"),
        Action::ShiftRight => ("to the right", columns.shift(count, Side::Right), "axes stay before values"),
        _ => {
            columns.reset();
            return "all columns, in the order of the table".to_owned();
        }
    };
    let heading = column.and_then(|column| headings.get(column));
    heading.map_or_else(|| refusal.to_owned(), |heading| format!("{heading}: {done}"))
}

/// Returns the column under the cursor in words.
fn at_column(app: &App) -> Option<String> {
    let shown = listing(app)?.shown;
    let column = app.tables_view.columns.cursor(shown.column_count())?;
    let (sort, hide) = (keys_of(Action::Sort), keys_of(Action::HideColumn));
    Some(format!("column {}; {sort} sorts by it, {hide} hides it", shown.sheet.headings.get(column)?))
}

/// Sorts by a column: a value with the largest on top, because users mostly look for the best value; once more reverses
/// the order.
fn sort_by(app: &mut App, column: usize) -> Option<String> {
    let sheet = &listing(app)?.shown.sheet;
    let (is_value, heading) = (column >= sheet.axes, sheet.headings.get(column)?.clone());
    let state = &mut app.tables_view;
    state.columns.select(column);
    state.descending = if state.sort == Some(column) { !state.descending } else { is_value };
    (state.sort, state.cursor) = (Some(column), Cursor::default());
    let order = if state.descending { "largest on top" } else { "smallest on top" };
    Some(format!("sorted by {heading}, {order}"))
}

/// Says what values are compared with once no point is pinned.
pub fn unpinned(app: &App) -> String {
    app.baseline
        .as_ref()
        .map_or("no baseline".to_owned(), |baseline| format!("differences from run {} again", baseline.id))
}

fn pin(app: &mut App) -> String {
    let (Some(wanted), Some(at)) = (table_request(app), point(app)) else {
        return "nothing to pin there".to_owned();
    };
    let pinned = app.pin.as_ref().filter(|pin| pin.request == wanted);
    if pinned.and_then(|pin| pin.place(shown_table(app)?)) == Some(at) {
        app.pin = None;
        return unpinned(app);
    }
    let Some(pin) = Pin::at(app.run.as_ref(), shown_table(app), wanted, at) else {
        return "nothing to pin there".to_owned();
    };
    let said = format!("baseline: {}; values are differences from it, p again unpins", pin.name);
    app.pin = Some(pin);
    said
}

/// Opens the task view with the tasks behind the point under the cursor.
fn open(app: &mut App) -> Option<String> {
    let run = app.run.as_ref()?;
    let points = &shown_table(app)?.points;
    let place = labels(run.experiment(), points, points.points.get(point(app)?)?);
    let filter = task_filter(run.experiment(), table(app)?, &place);
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
    let run = app.run.as_ref()?;
    let points = &shown_table(app)?.points;
    let point = points.points.get(point(app)?)?;
    let place: Vec<String> = labels(run.experiment(), points, point)
        .into_iter()
        .map(|(axis, label)| format!("{axis}={label}"))
        .collect();
    let values = points.headings.iter().enumerate().map(|(column, heading)| {
        let text = value(point, column).map_or("not there yet".to_owned(), |value| {
            let n = if value.n > 1 {
                format!(" (n={}, from {} to {})", value.n, number(value.least), number(value.most))
            } else {
                String::new()
            };
            format!("{}{n}", estimate(&value))
        });
        format!("{heading} {text}")
    });
    Some(format!("{}: {}", place.join(" "), values.collect::<Vec<_>>().join(", ")))
}

/// Selects the point at a position, or sorts by the column whose heading is there.
pub fn click(app: &mut App, area: Rect, at: Position) -> Option<String> {
    let (_, body) = areas(app, area);
    if is_map(app) {
        app.tables_view.cell = heat_map::cell_at(app, body, at)?;
        return describe(app);
    }
    match rows::item(app, body, at)? {
        ListItem::Heading(column) => sort_by(app, column),
        ListItem::Row(row) => {
            app.tables_view.cursor.at = row;
            describe(app)
        }
    }
}

/// Returns the point under the cursor as named values.
#[must_use]
pub fn row(app: &App) -> Option<Vec<(String, String)>> {
    let run = app.run.as_ref()?;
    row_of(run, &shown_table(app)?.points, point(app)?)
}

/// Returns a point as named values: its axes, then its means with their intervals.
#[must_use]
pub fn row_of(run: &RunModel, points: &TablePoints, at: usize) -> Option<Vec<(String, String)>> {
    let point = points.points.get(at)?;
    let axes = labels(run.experiment(), points, point).into_iter();
    let mut row: Vec<(String, String)> =
        axes.map(|(axis, label)| (axis.to_owned(), label.to_owned())).collect();
    for (column, heading) in points.headings.iter().enumerate() {
        let Some(value) = value(point, column) else { continue };
        row.push((heading.clone(), value.mean.to_string()));
        if let Some(half) = value.half_width() {
            row.push((format!("{heading}.half_width"), half.to_string()));
            row.push((format!("{heading}.n"), value.n.to_string()));
        }
    }
    Some(row)
}

/// The most lines of a caption.
const CAPTION: usize = 3;

/// Divides the view into the head and the table.
fn areas(app: &App, area: Rect) -> (Rect, Rect) {
    // A low screen shows more of the table.
    let most = usize::from(area.height / 2);
    top(area, head(app, usize::from(area.width)).len().min(most.max(2)) as u16)
}

/// Draws the view.
pub fn draw(app: &App, area: Rect, buf: &mut Buffer) {
    if table(app).is_none() {
        let text = "the file asks for no table; `tables: { \"drop\": Pivot(…) }` would";
        put(buf, area.x, area.y, area.width, Line::from(text).style(app.theme.dim()));
        return;
    }
    let (above, body) = areas(app, area);
    put_all(buf, above, head(app, usize::from(area.width)));
    match table_request(app).and_then(|wanted| app.tables.get(&wanted)) {
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
        Some(Ok(_)) if is_map(app) => heat_map::draw(app, body, buf),
        Some(Ok(_)) => rows::draw(app, body, buf),
    }
}

/// Returns the lines above the table: the names of the tables, the state of the view, the answer, and the caption.
fn head(app: &App, width: usize) -> Vec<Line<'static>> {
    let theme = app.theme;
    let at = table_request(app).map_or(0, |wanted| wanted.table);
    let names = graph(app).into_iter().flat_map(|graph| &graph.experiment.tables).enumerate();
    let names = names.map(|(other, table)| {
        let style = if other == at { theme.strong().add_modifier(Modifier::UNDERLINED) } else { theme.dim() };
        [Span::styled(table.name.clone(), style), Span::raw("  ")]
    });
    let mut lines = vec![line(names.flatten())];
    let state = state(app).join("; ");
    if !state.is_empty() {
        lines.push(Line::from(cut(&printable(&state), width, theme)).style(theme.notice()));
    }
    let Some(shown) = shown_table(app) else { return lines };
    let answer = shown.answer.iter().flat_map(|sentence| wrap(&printable(sentence), width));
    lines.extend(answer.map(Line::from));
    let mut caption = wrap(&printable(&shown.caption), width);
    if caption.len() > CAPTION {
        caption.truncate(CAPTION);
        if let Some(last) = caption.last_mut() {
            *last = cut(&format!("{last} …"), width, theme);
        }
    }
    lines.extend(caption.into_iter().map(|text| Line::from(text).style(theme.dim())));
    lines
}

/// Returns what distinguishes the view from the printed table: missing results, a comparison, a filter.
fn state(app: &App) -> Vec<String> {
    let mut state = vec![];
    if !app.tables_view.filter.is_empty() {
        state.push(format!("only {}", app.tables_view.filter.text));
    }
    if let Some(pin) = app.pin.as_ref().filter(|pin| Some(pin.request) == table_request(app)) {
        state.push(format!("differences from {}", pin.name));
    } else if let Some(baseline) = &app.baseline {
        state.push(format!("differences from run {}", baseline.id));
    }
    if app.tables_view.list {
        state.push("every point".to_owned());
    }
    if app.tables_view.columns.hidden() > 0 && !is_map(app) {
        let hidden = count(app.tables_view.columns.hidden(), "column");
        state.push(format!("{hidden} hidden, {} shows them", keys_of(Action::ResetColumns)));
    }
    if let Some(shown) = shown_table(app) {
        state.extend(missing(shown.points.missing, shown.points.failed));
    }
    state
}
