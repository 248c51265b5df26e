//! The tables of a report: sortable lists, pivots as heat maps, fronts with their figure.
//! Knows nothing of the statistics.

use fewbits_engine::spec::table::Table;
use fewbits_engine::table::flat::Datum;
use fewbits_engine::table::layout::Arrangement;
use fewbits_engine::table::sheet::{Cell, Sheet};
use fewbits_engine::table::table_sheets::TableSheets;
use maud::{Markup, html};

use super::material::Material;
use crate::figure::options::FigureOptions;
use crate::figure::{self, shade};
use crate::render::choice::answers;
use crate::render::table::{cell_text, missing};
use crate::ui::plain::printable;

/// A table with more rows may be split between printed pages.
const LONG: usize = 40;

/// Returns all tables of the file.
pub fn section(material: &Material<'_>) -> Markup {
    html! {
        @for (table, made) in &material.tables { (one(material, table, made)) }
        @for (table, error) in &material.failed {
            h3 id=(format!("table-{}", table.name)) { (table.name) }
            p { "This table cannot be made: " (printable(&error.to_string())) }
        }
    }
}

/// Returns one table.
pub(super) fn one(material: &Material<'_>, table: &Table, made: &TableSheets) -> Markup {
    let experiment = &material.graph().experiment;
    // The sheets of the other tables are pictures themselves.
    let is_trade_off = matches!(made.arrangement, Arrangement::Front | Arrangement::Answer);
    let figure = if is_trade_off {
        figure::table::draw(experiment, table, made, &FigureOptions::default()).ok()
    } else {
        None
    };
    let is_map = made.arrangement == Arrangement::Grids;
    let rows: usize = made.sheets.iter().map(|sheet| sheet.rows.len()).sum();
    html! {
        h3 id=(format!("table-{}", table.name)) { (table.name) }
        p.dim { (printable(&made.caption)) }
        @for sentence in missing(made.missing(), made.failed()) { p { (sentence) "." } }
        @if !made.answers.is_empty() {
            div.answer {
                @for sentence in answers(&made.answers, table, experiment) { p { (printable(&sentence)) } }
            }
        }
        @if let Some(figure) = figure { figure { (figure.on_page()) } }
        @for sheet in &made.sheets {
            figure.long[rows > LONG] {
                @if !sheet.title.is_empty() { figcaption { (printable(&sheet.title)) } }
                div.tools {}
                div.scroll { (grid(sheet, sheet.range().filter(|_| is_map))) }
            }
        }
    }
}

fn grid(sheet: &Sheet, colors: Option<(f64, f64)>) -> Markup {
    let most = sheet.most_replicates();
    html! {
        table.data style=[fit(sheet, most)] {
            thead { tr {
                @for (at, heading) in sheet.headings.iter().enumerate() {
                    th scope="col" class=[(at < sheet.axes).then_some("a")] { (printable(&heading.replace(", ", " · "))) }
                }
            } }
            tbody { @for row in &sheet.rows { tr { @for cell in row { (data(cell, most, colors)) } } } }
        }
    }
}

/// The characters of a line of a printed page, at the usual size of letters.
const LINE: f64 = 96.0;

/// The characters of a label or heading from which on it is broken into lines on a printed page.
const LABEL: usize = 20;

/// Returns the share of the usual size of letters at which a wide sheet fits on a printed page; at less than 0.4, its
/// cells are broken into lines.
fn fit(sheet: &Sheet, most: usize) -> Option<String> {
    let widest = |column: usize| {
        let heading =
            sheet.headings[column].split(", ").map(|part| part.chars().count() + 2).max().unwrap_or(0);
        let cells =
            sheet.rows.iter().filter_map(|row| Some(cell_text(row.get(column)?, most).chars().count()));
        // Labels and headings may take several lines; numbers may not.
        let cells =
            if column < sheet.axes { cells.max().unwrap_or(0).min(LABEL) } else { cells.max().unwrap_or(0) };
        heading.min(LABEL).max(cells) + 2
    };
    let total: usize = (0..sheet.headings.len()).map(widest).sum();
    let share = LINE / total.max(1) as f64;
    (share < 1.0).then(|| format!("--fit:{:.2}", share.max(0.4)))
}

/// Returns a cell; `data-v` has the exact value of a number, by which the page sorts and filters.
fn data(cell: &Cell, most: usize, colors: Option<(f64, f64)>) -> Markup {
    let text = printable(&cell_text(cell, most));
    match cell {
        Cell::Level { value, .. } => {
            let is_long = text.chars().count() > LABEL;
            html! { td.a.long[is_long] data-v=[exact(value)] { (text) } }
        }
        Cell::Value(value) => {
            let colors = colors.map(|range| shade::colors(shade::step(value.mean, range)));
            let style = colors.map(|(ground, ink)| format!("background:{ground};color:{ink}"));
            html! { td data-v=(number_text(value.mean)) style=[style] { (text) } }
        }
        Cell::Absent => html! { td {} },
        Cell::Missing | Cell::Failed => html! { td.none { (text) } },
    }
}

fn exact(value: &Datum) -> Option<String> {
    match value {
        Datum::Whole(value) => Some(value.to_string()),
        Datum::Real(value) => Some(number_text(*value)),
        Datum::Null | Datum::Truth(_) | Datum::Text(_) => None,
    }
}

/// Writes a number in full, as JavaScript reads it.
fn number_text(value: f64) -> String {
    match value {
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        _ => value.to_string(),
    }
}
