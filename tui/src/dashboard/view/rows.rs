//! A table as a list: one row per point, with its axes and then its values, each with its interval.
//! Knows nothing of keys.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::tradeoff::{NOTHING, listed, reference, text};
use crate::dashboard::app::App;
use crate::dashboard::paint::{list, put, shorten, top};
use crate::dashboard::run_model::RunModel;
use crate::dashboard::tables::{ShownTable, labels, value};
use crate::render::number::estimate;
use crate::ui::plain::printable;

/// Draws the list.
pub fn draw(app: &App, shown: &ShownTable, area: Rect, buf: &mut Buffer) {
    let Some(study) = app.study.as_ref() else { return };
    let theme = app.theme;
    let rows = listed(app);
    let columns = Columns::new(app, study, shown);
    let (head, body) = top(area, 1);
    put(buf, head.x, head.y, head.width, columns.head(app, shown));
    if rows.is_empty() {
        let text = if app.tradeoff.filter.is_empty() { "no result yet" } else { NOTHING };
        put(buf, body.x, body.y, body.width, Line::from(text).style(theme.dim()));
    }
    list(buf, body, app.tradeoff.cursor, rows.len(), Some(theme.cursor()), |at| {
        columns.row(app, study, shown, rows[at])
    });
}

/// The widths of a list's columns: each axis is as wide as its labels, each value as wide as its heading.
struct Columns {
    axes: Vec<(String, usize)>,
    values: Vec<(String, usize)>,
}

impl Columns {
    fn new(app: &App, study: &RunModel, shown: &ShownTable) -> Self {
        let experiment = study.experiment();
        let axes = shown.groups.axes.iter().map(|&axis| {
            let axis = &experiment.axes[axis];
            let widest = axis.levels.iter().map(|level| level.label.chars().count()).max().unwrap_or(0);
            (axis.name.clone(), widest.clamp(axis.name.len() + 1, 40.max(axis.name.len() + 1)))
        });
        let compared = app.pin.is_some() || app.baseline.is_some();
        let values = shown.groups.headings.iter().map(|heading| {
            (heading.clone(), heading.chars().count().clamp(if compared { 28 } else { 18 }, 40))
        });
        Self { axes: axes.collect(), values: values.collect() }
    }

    fn head(&self, app: &App, shown: &ShownTable) -> Line<'static> {
        let (theme, state) = (app.theme, &app.tradeoff);
        let arrow = if state.descending { theme.pick("▼", "v") } else { theme.pick("▲", "^") };
        let mark = |at: usize| if state.sort == Some(at) { arrow } else { "" };
        let axes = self.axes.iter().enumerate().skip(state.shift).map(|(at, (name, width))| {
            let text = format!("{name}{}", mark(at));
            format!("{text:<width$}  ")
        });
        let values = self.values.iter().enumerate().map(|(at, (name, width))| {
            let text = format!("{name}{}", mark(shown.groups.axes.len() + at));
            format!("{text:>width$}  ")
        });
        Line::from(printable(&axes.chain(values).collect::<String>())).style(theme.dim())
    }

    fn row(&self, app: &App, study: &RunModel, shown: &ShownTable, at: usize) -> Line<'static> {
        let point = &shown.groups.points[at];
        let labels = labels(study.experiment(), &shown.groups, point);
        let axes = labels
            .iter()
            .zip(&self.axes)
            .skip(app.tradeoff.shift)
            .map(|((_, label), (_, width))| format!("{:<width$}  ", shorten(label, *width, app.theme)));
        let values = self.values.iter().enumerate().map(|(column, (_, width))| {
            let mean =
                value(point, column).map_or(app.theme.pick("…", "..").to_owned(), |value| estimate(&value));
            let text = match reference(app, shown, at, column) {
                Some(_) => format!("{mean}  {}", text(app, shown, at, column)),
                None => mean,
            };
            format!("{text:>width$}  ")
        });
        Line::from(printable(&axes.chain(values).collect::<String>()))
    }
}
