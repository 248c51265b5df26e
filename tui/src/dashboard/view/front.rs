//! The chart of a Pareto table: its points, the front as steps, and the selected point in words.
//! Knows nothing of keys.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

use super::difference::from_pinned;
use super::pareto_scene::{ParetoScene, pinned};
use crate::dashboard::app::App;
use crate::dashboard::chart::{Curve, PlotArea};
use crate::dashboard::cursor::Cursor;
use crate::dashboard::paint::{cut, heading, left, line, list, put, put_all, top, wrap};
use crate::dashboard::shown_table::{mean, value};
use crate::figure::axis::FigureAxis;
use crate::render::number::{count, estimate, number};
use crate::ui::plain::printable;

/// The longest distance, in columns, between a click and the point that it selects.
const NEAR: u16 = 6;

/// Divides the view into the chart and the panel.
fn areas(area: Rect) -> (Rect, Rect) {
    match (area.width, area.height) {
        // A low area has no room for a chart, so the panel shows the front as a list.
        (_, 0..11) => top(area, 0),
        (90.., _) => left(area, area.width * 2 / 3),
        (_, height) => top(area, height - if height >= 16 { 8 } else { 5 }),
    }
}

/// Draws the chart and the panel.
pub fn draw(app: &App, scene: &ParetoScene<'_>, area: Rect, buf: &mut Buffer) {
    let (chart, panel) = areas(area);
    draw_chart(app, scene, chart, buf);
    draw_panel(app, scene, panel, buf);
}

/// Returns the position, in the order of the cursor, of the selectable point nearest to a position on the chart.
#[must_use]
pub fn point_at(app: &App, scene: &ParetoScene<'_>, area: Rect, at: Position) -> Option<usize> {
    let chart = areas(area).0;
    let plot = plot(app, scene, top(chart, 1).1, &mut Buffer::empty(chart))?;
    let distance = |point: usize| {
        let (x, y) = scene.drawn(point)?;
        let (column, row) = plot.cell(x, y)?;
        // A cell is about twice as high as it is wide.
        Some(column.abs_diff(at.x) + 2 * row.abs_diff(at.y))
    };
    let near =
        scene.walked(app).iter().enumerate().filter_map(|(order, point)| Some((distance(*point)?, order)));
    near.filter(|(distance, _)| *distance <= NEAR).min().map(|(_, order)| order)
}

/// Draws axes that cover the shown points.
fn plot(app: &App, scene: &ParetoScene<'_>, area: Rect, buf: &mut Buffer) -> Option<PlotArea> {
    let drawn = || scene.all.iter().filter_map(|point| scene.drawn(*point));
    let x = FigureAxis::fit(drawn().map(|point| point.0), app.pareto_view.log, usize::from(area.width) / 9);
    let gains = drawn().map(|point| point.1);
    let y = if scene.is_error {
        FigureAxis::fit_decades(gains).reversed()
    } else {
        FigureAxis::fit(gains, false, usize::from(area.height) / 3 + 1)
    };
    PlotArea::frame(area, x, y, app.theme, buf)
}

fn draw_chart(app: &App, scene: &ParetoScene<'_>, area: Rect, buf: &mut Buffer) {
    let theme = app.theme;
    let headings = &scene.shown.points.headings;
    let scale = if app.pareto_view.log { ", logarithmic" } else { "" };
    let filter = &app.pareto_view.filter;
    let only = if filter.is_empty() { String::new() } else { format!("; only {}", filter.text) };
    let gain = if scene.is_error { format!("1 − {}", headings[1]) } else { headings[1].clone() };
    let title = format!("{gain} against {}{scale}{only}{}", headings[0], lost(app, scene));
    let inside = heading(buf, area, &printable(&title), true, theme);
    let at = |point: usize| scene.drawn(point).unwrap_or((f64::NAN, f64::NAN));
    let values: Vec<(f64, f64)> = scene.all.iter().map(|point| at(*point)).collect();
    if values.is_empty() {
        let why = super::selected_table::why_empty(scene.shown, filter);
        let lines = wrap(&printable(&why), usize::from(inside.width)).into_iter();
        put_all(buf, inside, lines.map(|text| Line::from(text).style(theme.dim())));
        return;
    }
    let Some(plot) = plot(app, scene, inside, buf) else { return };
    let front: Vec<(f64, f64)> = scene.front.iter().map(|point| at(*point)).collect();
    let line = |members: Vec<usize>| {
        let points = steps(&members.into_iter().map(at).collect::<Vec<_>>());
        Curve { points, style: theme.good(), dotted: false }
    };
    // Each group has a front of its own.
    let groups = scene.shown.points.by_group(&scene.front).into_iter();
    plot.draw(&groups.map(line).collect::<Vec<_>>(), theme, buf);
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
    if let Some(pinned) = pinned(app).and_then(|pin| pin.place(scene.shown)) {
        dot(at(pinned), theme.pick("◆", "P"), theme.notice());
    }
    if let Some(selected) = scene.selected {
        dot(at(selected), theme.pick("◉", "@"), theme.strong().add_modifier(Modifier::REVERSED));
    }
}

/// Says how many points a logarithmic axis leaves out.
fn lost(app: &App, scene: &ParetoScene<'_>) -> String {
    let drawn = || scene.all.iter().filter_map(|&point| scene.drawn(point));
    let costs = drawn().filter(|(cost, _)| app.pareto_view.log && *cost <= 0.0).count();
    let gains = drawn().filter(|(_, error)| scene.is_error && *error <= 0.0).count();
    let of = |number: usize, what: &str| match number {
        0 => String::new(),
        number => format!("; {} of {what} cannot be drawn", count(number, "point")),
    };
    of(costs, "size 0 or less") + &of(gains, "accuracy 1")
}

/// Returns the front as steps. Between two sizes, the value of the smaller one holds.
fn steps(front: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut steps = vec![];
    for pair in front.windows(2) {
        steps.extend([pair[0], (pair[1].0, pair[0].1)]);
    }
    steps.extend(front.last());
    steps
}

fn draw_panel(app: &App, scene: &ParetoScene<'_>, area: Rect, buf: &mut Buffer) {
    let theme = app.theme;
    let Some(selected) = scene.selected else { return };
    let walked = scene.walked(app);
    let place = walked.iter().position(|other| *other == selected).map_or(0, |at| at + 1);
    let of = if app.pareto_view.all { "" } else { " on the front" };
    let inside = heading(buf, area, &format!("point {place} of {}{of}", walked.len()), false, theme);
    let (upper, lower) = {
        let mut lines = values(app, scene, selected, usize::from(inside.width));
        let labels = scene.labels(selected);
        if inside.height < 7 {
            let text = labels.iter().map(|(axis, label)| format!("{axis}={label}")).collect::<Vec<_>>();
            lines.insert(0, Line::from(printable(&text.join(" "))));
        } else {
            let pair =
                |(axis, label): &(&str, &str)| Line::from(format!("  {axis:<12} {}", printable(label)));
            lines.extend(labels.iter().map(pair));
        }
        let better = better(scene, selected).unwrap_or_default();
        let dim = |text: String| Line::from(text).style(theme.dim());
        lines.extend(wrap(&printable(&better), usize::from(inside.width)).into_iter().map(dim));
        let (upper, lower) = top(inside, lines.len() as u16);
        put_all(buf, upper, lines);
        (upper, lower)
    };
    if lower.height > 2 && upper.height > 0 {
        draw_front(app, scene, selected, top(lower, 1).1, buf);
    }
}

/// Returns the values of a point as lines, and whether it is on the front.
fn values(app: &App, scene: &ParetoScene<'_>, selected: usize, width: usize) -> Vec<Line<'static>> {
    let theme = app.theme;
    let points = &scene.shown.points;
    let mut lines = vec![];
    for (column, heading) in points.headings.iter().enumerate() {
        let Some(value) = value(&points.points[selected], column) else { continue };
        let n = if value.n > 1 { format!("  n={}", value.n) } else { String::new() };
        let figures = format!("{}{n}", estimate(&value));
        let name = cut(&printable(heading), width.saturating_sub(figures.chars().count() + 1), theme);
        lines.push(line([Span::raw(format!("{name} ")), Span::styled(figures, theme.strong())]));
        let difference = pinned(app).and_then(|pin| from_pinned(&points.points[selected], pin, column, None));
        lines.extend(difference.map(|difference| {
            Line::from(cut(&format!("  {difference} from the pinned"), width, theme)).style(theme.notice())
        }));
    }
    let on_front = match scene.shown.points.group_axes {
        0 => "on the front: nothing shown is as good in both and better in one",
        _ => "on the front of its group: nothing shown of the group is as good in both and better in one",
    };
    let (words, style) = if scene.front.contains(&selected) {
        (on_front, theme.good())
    } else {
        ("not on the front: a point there is as good in both and better in one", theme.dim())
    };
    lines.extend(wrap(words, width).into_iter().map(|text| Line::from(text).style(style)));
    lines
}

/// Names the best point of the group's front that is no larger than the selected point; `None` if the selected point is
/// on the front.
fn better(scene: &ParetoScene<'_>, selected: usize) -> Option<String> {
    if scene.front.contains(&selected) {
        return None;
    }
    let limit = scene.means(selected)?.0;
    let points = &scene.shown.points;
    let fits = |at: &usize| {
        points.group(*at) == points.group(selected) && scene.means(*at).is_some_and(|(cost, _)| cost <= limit)
    };
    let better = scene.front.iter().copied().rfind(fits)?;
    let (cost, gain) = scene.means(better)?;
    Some(format!("better: {} ({}, {})", scene.place(better), number(cost), number(gain)))
}

/// Draws the front as a list, group by group.
fn draw_front(app: &App, scene: &ParetoScene<'_>, selected: usize, area: Rect, buf: &mut Buffer) {
    let theme = app.theme;
    let (title, inside) = top(area, 1);
    put(buf, title.x, title.y, title.width, Line::from("the front").style(theme.strong()));
    let place = scene.front.iter().position(|at| *at == selected);
    let style = place.map(|_| theme.cursor());
    list(buf, inside, Cursor { at: place.unwrap_or(0) }, scene.front.len(), style, |row| {
        let at = scene.front[row];
        let point = &scene.shown.points.points[at];
        let means: Vec<String> = (0..2).filter_map(|column| mean(point, column)).map(number).collect();
        let means = means.join("  ");
        let place = scene.place(at);
        // If the names of the axes do not fit, only the labels are shown; the details above have the names.
        let fits = means.len() + 2 + place.chars().count() <= usize::from(inside.width);
        let values = || scene.labels(at).into_iter().map(|(_, label)| label).collect::<Vec<_>>().join(" ");
        Line::from(printable(&format!("{means}  {}", if fits { place } else { values() })))
    });
}
