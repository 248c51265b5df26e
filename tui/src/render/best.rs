//! The best points of an experiment in a few lines, for the end of a run.
//! Knows nothing of the front's computation.

use fewbits_engine::table::sheet::{Cell, Sheet};
use fewbits_engine::table::table_sheets::TableSheets;

use super::number::estimate;

/// The most points in the list.
const MOST: usize = 5;

/// Lists the points on the fronts of a Pareto table, one per line, from the last row of each front on, which has the
/// greatest gain.
#[must_use]
pub fn best(pareto: &TableSheets) -> String {
    let sheets: Vec<&Sheet> = pareto.sheets.iter().filter(|sheet| !sheet.rows.is_empty()).collect();
    let Some(first) = sheets.first() else { return String::new() };
    let values = first.headings[first.axes..].join(" → ");
    let mut text = format!("best of `{}`, {values}:\n", pareto.name);
    for (sheet, row) in sheets.iter().flat_map(|sheet| best_rows(sheet, sheets.len())) {
        let means = row.iter().filter_map(|cell| match cell {
            Cell::Value(value) => Some(estimate(value)),
            Cell::Absent | Cell::Missing | Cell::Failed | Cell::Level { .. } => None,
        });
        let place = sheet.headings.iter().zip(row).filter_map(|(heading, cell)| match cell {
            Cell::Level { label, .. } => Some(format!("{heading}={label}")),
            Cell::Absent | Cell::Missing | Cell::Failed | Cell::Value(_) => None,
        });
        let title = Some(sheet.title.clone()).filter(|title| !title.is_empty());
        let (means, place) = (means.collect::<Vec<_>>(), title.into_iter().chain(place).collect::<Vec<_>>());
        text += &format!("  {}  {}\n", means.join(" → "), place.join(" "));
    }
    text
}

/// Returns the best rows of one of several fronts, each with its sheet.
fn best_rows(sheet: &Sheet, fronts: usize) -> impl Iterator<Item = (&Sheet, &Vec<Cell>)> {
    let share = (MOST / fronts).max(1);
    sheet.rows.iter().rev().take(share).map(move |row| (sheet, row))
}
