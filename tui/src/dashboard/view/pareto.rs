//! Accuracy against size: every point of a Pareto table, the front drawn, and a cursor that names the point.

use fewbits_engine::spec::table::Shape;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

use super::tradeoff::{row_of, task_filter};
use super::{Hints, View, task};
use crate::dashboard::app::App;
use crate::dashboard::chart::{Axis, Curve, Plot};
use crate::dashboard::cursor::Cursor;
use crate::dashboard::filter::Filter;
use crate::dashboard::keys::Action;
use crate::dashboard::news::Wanted;
use crate::dashboard::paint::{heading, left, line, list, put, put_all, top, wrap};
use crate::dashboard::study::Study;
use crate::dashboard::tables::{Pin, Shown, labels, mean, value};
use crate::render::number::{estimate, number};
use crate::ui::plain::printable;

/// The keys that matter most here.
pub const HINTS: Hints = &[
    ("↑↓", "points"),
    ("Space", "all/front"),
    ("b", "bits/bytes"),
    ("/", "filter"),
    ("p", "pin"),
    ("y", "log axis"),
    ("c", "copy"),
    ("Enter", "tasks"),
    ("?", "keys"),
];

/// What is remembered of the view.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Which points are shown.
    pub filter: Filter,
    table: usize,
    other_cost: bool,
    /// Whether the cursor walks over all points, not only those on the front.
    all: bool,
    log: bool,
    cursor: Cursor,
}

/// Returns the places of the file's Pareto tables.
fn tables(app: &App) -> Vec<usize> {
    let tables = app.study.iter().flat_map(|study| study.experiment().tables.iter().enumerate());
    tables.filter(|(_, table)| matches!(table.shape, Shape::Pareto { .. })).map(|(at, _)| at).collect()
}

/// Returns the table to be made.
#[must_use]
pub fn wanted(app: &App) -> Option<Wanted> {
    let tables = tables(app);
    let table = *tables.get(app.pareto.table % tables.len().max(1))?;
    Some(Wanted { table, other_cost: app.pareto.other_cost })
}

fn shown(app: &App) -> Option<&Shown> {
    app.tables.get(&wanted(app)?)?.as_ref().ok()
}

/// The points that are shown, and those of them on the front, in the order of size.
struct Points {
    all: Vec<usize>,
    front: Vec<usize>,
}

fn points(app: &App) -> Points {
    let (Some(study), Some(shown)) = (&app.study, shown(app)) else {
        return Points { all: vec![], front: vec![] };
    };
    let of = |at: &usize, column| mean(&shown.groups.points[*at], column);
    let mut all = shown.points(study, &app.pareto.filter, Some((shown.groups.axes.len(), false)));
    all.retain(|at| of(at, 0).is_some() && of(at, 1).is_some());
    let front = shown.front(&all);
    Points { all, front }
}

/// Returns the points that the cursor walks over.
fn walked(app: &App) -> Vec<usize> {
    let points = points(app);
    if app.pareto.all { points.all } else { points.front }
}

fn selected(app: &App) -> Option<usize> {
    let walked = walked(app);
    walked.get(app.pareto.cursor.within(walked.len())).copied()
}

/// Does what a key asks for.
pub fn act(app: &mut App, action: Action) -> Option<String> {
    let count = tables(app).len();
    if count == 0 {
        return Some("the file asks for no Pareto table".to_owned());
    }
    let page = app.page();
    match action {
        Action::Go(_) | Action::Left | Action::Right => {
            use crate::dashboard::cursor::Motion;
            let len = walked(app).len();
            let motion = match action {
                Action::Go(motion) => motion,
                Action::Left => Motion::Up,
                _ => Motion::Down,
            };
            app.pareto.cursor.go(motion, len, page);
            Some(describe(app).unwrap_or_else(|| "no point yet".to_owned()))
        }
        Action::Mark => {
            app.pareto.all = !app.pareto.all;
            app.pareto.cursor = Cursor::default();
            let words = if app.pareto.all {
                "the cursor walks over all points"
            } else {
                "the cursor walks on the front"
            };
            Some(words.to_owned())
        }
        Action::Cost => {
            app.pareto.other_cost = !app.pareto.other_cost;
            Some("the other measure of size".to_owned())
        }
        Action::LogAxis => {
            app.pareto.log = !app.pareto.log;
            Some(if app.pareto.log {
                "size on a logarithmic axis".to_owned()
            } else {
                "size on a linear axis".to_owned()
            })
        }
        Action::NextTable | Action::PreviousTable => {
            let step = if action == Action::NextTable { 1 } else { count - 1 };
            app.pareto.table = (app.pareto.table + step) % count;
            app.pareto.cursor = Cursor::default();
            Some(format!("Pareto table {} of {count}", app.pareto.table + 1))
        }
        Action::Pin => Some(pin(app)),
        Action::Back => {
            app.pareto.filter = Filter::default();
            Some("no filter".to_owned())
        }
        Action::Open => open(app),
        _ => None,
    }
}

fn pin(app: &mut App) -> String {
    let (Some(wanted), Some(at)) = (wanted(app), selected(app)) else { return "no point to pin".to_owned() };
    if app.pin.as_ref().is_some_and(|pin| pin.wanted == wanted && pin.point == at) {
        app.pin = None;
        return "no baseline".to_owned();
    }
    app.pin = Pin::at(app.study.as_ref(), shown(app), wanted, at);
    app.pin.as_ref().map_or("no point to pin".to_owned(), |pin| format!("baseline: {}", pin.name))
}

fn open(app: &mut App) -> Option<String> {
    let study = app.study.as_ref()?;
    let shown = shown(app)?;
    let point = &shown.groups.points[selected(app)?];
    let experiment = study.experiment();
    let table = experiment.tables.get(wanted(app)?.table)?;
    let named =
        experiment.nodes.iter().filter(|node| table.values().iter().any(|value| value.mentions(&node.name)));
    let nodes: Vec<&str> = named.map(|node| node.name.as_str()).collect();
    let filter = task_filter(&nodes, &labels(study.experiment(), &shown.groups, point));
    task::filter_to(app, &filter);
    app.show(View::Task);
    Some(format!("tasks with {filter}"))
}

fn describe(app: &App) -> Option<String> {
    let (study, shown, at) = (app.study.as_ref()?, shown(app)?, selected(app)?);
    let point = &shown.groups.points[at];
    let place = labels(study.experiment(), &shown.groups, point)
        .into_iter()
        .map(|(axis, label)| format!("{axis}={label}"));
    let values = (0..2).filter_map(|column| value(point, column)).map(|value| estimate(&value));
    Some(format!("{}: {}", place.collect::<Vec<_>>().join(" "), values.collect::<Vec<_>>().join(", ")))
}

/// Returns the point under the cursor.
#[must_use]
pub fn row(app: &App) -> Option<Vec<(String, String)>> {
    row_of(app.study.as_ref()?, shown(app)?, selected(app)?)
}

/// Draws the view.
pub fn draw(app: &App, area: Rect, buf: &mut Buffer) {
    let theme = app.theme;
    let Some(study) = &app.study else { return };
    if tables(app).is_empty() {
        let text = "the file asks for no Pareto table; this line in `tables` would: \"pareto\": Pareto(minimize: \"small.bits_per_weight\", maximize: \"accuracy.accuracy\", replicate: \"seed\")";
        put_all(
            buf,
            area,
            wrap(text, usize::from(area.width)).into_iter().map(|text| Line::from(text).style(theme.dim())),
        );
        return;
    }
    let Some(made) = wanted(app).and_then(|wanted| app.tables.get(&wanted)) else {
        put(buf, area.x, area.y, area.width, Line::from("making the table").style(theme.dim()));
        return;
    };
    let shown = match made {
        Ok(shown) => shown,
        Err(error) => {
            put(buf, area.x, area.y, area.width, Line::from(printable(error)).style(theme.bad()));
            return;
        }
    };
    let points = points(app);
    let (chart, panel) = match (area.width, area.height) {
        // Where there is no room for a chart, the front is a list.
        (_, 0..11) => top(area, 0),
        (90.., _) => left(area, area.width * 2 / 3),
        (_, height) => top(area, height - if height >= 16 { 8 } else { 5 }),
    };
    draw_chart(app, shown, &points, chart, buf);
    draw_panel(app, study, shown, &points, panel, buf);
}

fn draw_chart(app: &App, shown: &Shown, points: &Points, area: Rect, buf: &mut Buffer) {
    let theme = app.theme;
    let (cost, gain) = (&shown.groups.headings[0], &shown.groups.headings[1]);
    let scale = if app.pareto.log { ", logarithmic" } else { "" };
    let filter = if app.pareto.filter.is_empty() {
        String::new()
    } else {
        format!("; only {}", app.pareto.filter.text)
    };
    let title = format!("{gain} against {cost}{scale}; the front is over what is shown{filter}");
    let inside = heading(buf, area, &printable(&title), true, theme);
    let at = |at: usize| {
        let point = &shown.groups.points[at];
        (mean(point, 0).unwrap_or(f64::NAN), mean(point, 1).unwrap_or(f64::NAN))
    };
    let values: Vec<(f64, f64)> = points.all.iter().map(|point| at(*point)).collect();
    if values.is_empty() {
        let text = if app.pareto.filter.is_empty() {
            "  no point yet"
        } else {
            "  nothing matches: values are matched whole; Esc drops the filter"
        };
        put(buf, inside.x, inside.y, inside.width, Line::from(text).style(theme.dim()));
        return;
    }
    let x = Axis::fit(values.iter().map(|point| point.0), app.pareto.log, usize::from(inside.width) / 9);
    let y = Axis::fit(values.iter().map(|point| point.1), false, usize::from(inside.height) / 3 + 1);
    let Some(plot) = Plot::frame(inside, x, y, theme, buf) else { return };
    let front: Vec<(f64, f64)> = points.front.iter().map(|point| at(*point)).collect();
    plot.draw(&[Curve { points: steps(&front), style: theme.good(), dotted: false }], theme, buf);
    let mut dot = |(x, y): (f64, f64), glyph: &'static str, style| {
        if let Some((column, row)) = plot.cell(x, y) {
            put(buf, column, row, 1, Line::from(glyph).style(style));
        }
    };
    for point in values {
        dot(point, theme.pick("·", "."), theme.dim());
    }
    for point in front {
        dot(point, theme.pick("●", "o"), theme.good());
    }
    let pin = app.pin.as_ref().filter(|pin| Some(pin.wanted) == wanted(app));
    if let Some(pin) = pin {
        dot(at(pin.point), theme.pick("◆", "P"), theme.notice());
    }
    if let Some(selected) = selected(app) {
        dot(at(selected), theme.pick("◉", "@"), theme.strong().add_modifier(Modifier::REVERSED));
    }
}

/// Returns the front as steps: until the next size that buys more, nothing more is bought.
fn steps(front: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut steps = vec![];
    for pair in front.windows(2) {
        steps.extend([pair[0], (pair[1].0, pair[0].1)]);
    }
    steps.extend(front.last());
    steps
}

fn draw_panel(app: &App, study: &Study, shown: &Shown, points: &Points, area: Rect, buf: &mut Buffer) {
    let theme = app.theme;
    let Some(at) = selected(app) else { return };
    let point = &shown.groups.points[at];
    let walked = if app.pareto.all { &points.all } else { &points.front };
    let place = walked.iter().position(|other| *other == at).map_or(0, |at| at + 1);
    let title =
        format!("point {place} of {}{}", walked.len(), if app.pareto.all { "" } else { " on the front" });
    let inside = heading(buf, area, &title, false, theme);
    let on_front = points.front.contains(&at);
    let pin = app.pin.as_ref().filter(|pin| Some(pin.wanted) == wanted(app));
    let mut lines = vec![];
    for (column, heading) in shown.groups.headings.iter().enumerate() {
        let Some(value) = value(point, column) else { continue };
        let n = if value.n > 1 { format!("  n={}", value.n) } else { String::new() };
        let pinned = pin.and_then(|pin| pin.values.get(column).copied().flatten());
        let difference =
            pinned.map_or(String::new(), |pinned| format!("  {:+.4} from the pinned", value.mean - pinned));
        lines.push(line([
            Span::raw(format!("{} ", printable(heading))),
            Span::styled(format!("{}{n}", estimate(&value)), theme.strong()),
            Span::styled(difference, theme.notice()),
        ]));
    }
    let words =
        if on_front { "on the front: nothing shown beats it" } else { "beaten by a point on the front" };
    lines.push(Line::from(words).style(if on_front { theme.good() } else { theme.dim() }));
    let pairs = labels(study.experiment(), &shown.groups, point).into_iter();
    let narrow = inside.height < 7;
    if narrow {
        let text = pairs.map(|(axis, label)| format!("{axis}={label}")).collect::<Vec<_>>().join(" ");
        lines.insert(0, Line::from(printable(&text)));
    } else {
        lines.extend(pairs.map(|(axis, label)| Line::from(format!("  {axis:<12} {}", printable(label)))));
    }
    if !on_front && let Some(better) = better(shown, points, at) {
        let point = &shown.groups.points[better];
        let place = labels(study.experiment(), &shown.groups, point)
            .into_iter()
            .map(|(axis, label)| format!("{axis}={label}"));
        let values =
            (0..2).filter_map(|column| mean(point, column)).map(number).collect::<Vec<_>>().join(", ");
        let text = format!("better: {} ({values})", place.collect::<Vec<_>>().join(" "));
        lines.extend(
            wrap(&printable(&text), usize::from(inside.width))
                .into_iter()
                .map(|text| Line::from(text).style(theme.dim())),
        );
    }
    let (upper, lower) = top(inside, lines.len() as u16);
    put_all(buf, upper, lines);
    draw_front(app, study, shown, points, at, lower, buf);
}

/// Lists the front, the best buy of each size, where there is room.
fn draw_front(
    app: &App,
    study: &Study,
    shown: &Shown,
    points: &Points,
    selected: usize,
    area: Rect,
    buf: &mut Buffer,
) {
    let theme = app.theme;
    let (title, inside) = top(top(area, 1).1, 1);
    if inside.height == 0 {
        return;
    }
    put(buf, title.x, title.y, title.width, Line::from("the front").style(theme.strong()));
    let cursor = Cursor { at: points.front.iter().position(|at| *at == selected).unwrap_or(0) };
    let style = points.front.contains(&selected).then(|| theme.cursor());
    list(buf, inside, cursor, points.front.len(), style, |row| {
        let point = &shown.groups.points[points.front[row]];
        let means: Vec<String> = (0..2).filter_map(|column| mean(point, column)).map(number).collect();
        let place = labels(study.experiment(), &shown.groups, point)
            .into_iter()
            .map(|(axis, label)| format!("{axis}={label}"));
        Line::from(printable(&format!("{}  {}", means.join("  "), place.collect::<Vec<_>>().join(" "))))
    });
}

/// Returns the point of the front that is no larger and best.
fn better(shown: &Shown, points: &Points, at: usize) -> Option<usize> {
    let cost = |at: usize| mean(&shown.groups.points[at], 0);
    let limit = cost(at)?;
    points.front.iter().copied().rfind(|other| cost(*other).is_some_and(|cost| cost <= limit))
}
