//! Forest plots: a list's values with their intervals, one line per row.
//! Knows nothing of the statistics.

use fewbits_engine::table::sheet::{Cell, Sheet};
use maud::html;

use super::COLORS;
use super::axis::FigureAxis;
use super::svg::px;
use super::svg::{Figure, text};
use crate::render::number::estimate;
use crate::ui::plain::printable;

/// The height of a line in pixels.
const LINE: f64 = 18.0;

/// The widths of the plot and of the numbers beside it, in pixels.
const PLOT: f64 = 300.0;
const FIGURES: f64 = 130.0;

/// The most lines of a figure.
pub const MOST_LINES: usize = 200;

/// Draws one column of a list, each row labelled by its axis values.
#[must_use]
pub fn draw(sheet: &Sheet, column: usize) -> Figure {
    let rows: Vec<(String, _)> = sheet
        .rows
        .iter()
        .filter_map(|row| match row.get(column) {
            Some(Cell::Value(value)) => Some((printable(&name(sheet, row)), value)),
            _ => None,
        })
        .collect();
    let ends = |(_, value): &(String, &fewbits_engine::statistics::estimate::Estimate)| {
        let (low, high) = value.interval.unwrap_or((value.mean, value.mean));
        [low, value.mean, high]
    };
    let axis = FigureAxis::fit(rows.iter().flat_map(ends), false, 5);
    let left = 14.0 + 6.8 * rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0) as f64;
    let place = |value: f64| axis.share(value).map(|share| left + share * PLOT);
    let bottom = rows.len() as f64 * LINE + 8.0;
    let content = html! {
        g stroke="currentColor" stroke-opacity="0.15" {
            @for (tick, _) in &axis.ticks {
                @if let Some(x) = place(*tick) { line x1=(px(x)) x2=(px(x)) y1="4" y2=(px(bottom)) {} }
            }
        }
        @for (tick, label) in &axis.ticks {
            @if let Some(x) = place(*tick) { (text(x, bottom + 14.0, "middle", label)) }
        }
        @if let Some(zero) = place(0.0) {
            line x1=(px(zero)) x2=(px(zero)) y1="4" y2=(px(bottom)) stroke="currentColor" stroke-opacity="0.6" {}
        }
        (text(left + PLOT / 2.0, bottom + 32.0, "middle", &sheet.headings[column]))
        @for (at, (name, value)) in rows.iter().enumerate() {
            @let y = 4.0 + LINE * (at as f64 + 0.5);
            (text(left - 8.0, y + 4.0, "end", name))
            @if let Some((low, high)) = value.interval && let (Some(low), Some(high)) = (place(low), place(high)) {
                line x1=(px(low)) x2=(px(high)) y1=(px(y)) y2=(px(y)) stroke=(COLORS[0]) stroke-width="2" {}
            }
            @if let Some(x) = place(value.mean) {
                circle.dot cx=(px(x)) cy=(px(y)) r="3.5" fill=(COLORS[0]) { title { (name) ": " (estimate(value)) } }
            }
            (text(left + PLOT + 12.0, y + 4.0, "start", &estimate(value)))
        }
    };
    let label = format!("{} with its intervals", sheet.headings[column]);
    Figure { width: left + PLOT + FIGURES, height: bottom + 40.0, label, content }
}

fn name(sheet: &Sheet, row: &[Cell]) -> String {
    let words = sheet.headings.iter().zip(row).take(sheet.axes).filter_map(|(heading, cell)| match cell {
        Cell::Level { label, .. } => Some(format!("{heading}={label}")),
        Cell::Absent | Cell::Missing | Cell::Failed | Cell::Value(_) => None,
    });
    words.collect::<Vec<_>>().join(" ")
}
