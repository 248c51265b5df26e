//! The tables of a report: sortable lists, pivots as heat maps, fronts with their figure.
//! Knows nothing of the statistics.

use fewbits_engine::spec::table::Table;
use fewbits_engine::table::layout::Arrangement;
use fewbits_engine::table::sheet::{Cell, Sheet};
use fewbits_engine::table::table_sheets::TableSheets;
use maud::{Markup, html};

use super::material::Material;
use crate::figure::{self, shade};
use crate::render::choice::answer;
use crate::render::table::cell_text;
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

fn one(material: &Material<'_>, table: &Table, made: &TableSheets) -> Markup {
    let experiment = &material.graph().experiment;
    // The sheets of the other tables are pictures themselves.
    let is_trade_off = matches!(made.arrangement, Arrangement::Front | Arrangement::Answer);
    let figure = if is_trade_off { figure::table::draw(experiment, table, made).ok() } else { None };
    let is_map = made.arrangement == Arrangement::Grids;
    let rows: usize = made.sheets.iter().map(|sheet| sheet.rows.len()).sum();
    html! {
        h3 id=(format!("table-{}", table.name)) { (table.name) }
        p.dim { (printable(&made.caption)) }
        @if made.missing() > 0 { p { (made.missing()) " results are not there yet." } }
        @if let Some(choice) = &made.choice {
            div.answer { @for sentence in answer(choice, table, experiment) { p { (printable(&sentence)) } } }
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
        table.data {
            thead { tr {
                @for (at, heading) in sheet.headings.iter().enumerate() {
                    th scope="col" class=[(at < sheet.axes).then_some("a")] { (printable(&heading.replace(", ", " · "))) }
                }
            } }
            tbody { @for row in &sheet.rows { tr { @for cell in row { (data(cell, most, colors)) } } } }
        }
    }
}

fn data(cell: &Cell, most: usize, colors: Option<(f64, f64)>) -> Markup {
    let text = printable(&cell_text(cell, most));
    match (cell, colors) {
        (Cell::Level { .. }, _) => html! { td.a { (text) } },
        (Cell::Value(value), Some(range)) => {
            let (ground, ink) = shade::colors(shade::step(value.mean, range));
            html! { td style=(format!("background:{ground};color:{ink}")) { (text) } }
        }
        (Cell::Absent | Cell::Missing | Cell::Value(_), _) => html! { td { (text) } },
    }
}
