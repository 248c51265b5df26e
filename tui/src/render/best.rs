//! The best points of an experiment in a few lines, for the end of a run.
//! Knows nothing of the front's computation.

use fewbits_engine::table::sheet::Cell;
use fewbits_engine::table::table_sheets::TableSheets;

use super::number::estimate;

/// The most points in the list.
const MOST: usize = 5;

/// Lists the points on the front of a Pareto table, one per line, from the last row on, which has the greatest gain.
#[must_use]
pub fn best(pareto: &TableSheets) -> String {
    let Some(sheet) = pareto.sheets.first().filter(|sheet| !sheet.rows.is_empty()) else {
        return String::new();
    };
    let values = sheet.headings[sheet.axes..].join(" → ");
    let mut text = format!("best of `{}`, {values}:\n", pareto.name);
    for row in sheet.rows.iter().rev().take(MOST) {
        let means = row.iter().filter_map(|cell| match cell {
            Cell::Value(value) => Some(estimate(value)),
            Cell::Absent | Cell::Missing | Cell::Failed | Cell::Level { .. } => None,
        });
        let place = sheet.headings.iter().zip(row).filter_map(|(heading, cell)| match cell {
            Cell::Level { label, .. } => Some(format!("{heading}={label}")),
            Cell::Absent | Cell::Missing | Cell::Failed | Cell::Value(_) => None,
        });
        let (means, place) = (means.collect::<Vec<_>>(), place.collect::<Vec<_>>());
        text += &format!("  {}  {}\n", means.join(" → "), place.join(" "));
    }
    text
}
