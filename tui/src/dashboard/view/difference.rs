//! A value of a table as it is, or as its difference from the pinned point or from a past run.
//! Knows nothing of positions on the screen.

use fewbits_engine::table::sheet::Cell;

use super::selected_table::{shown_table, table, table_request};
use crate::dashboard::app::App;
use crate::dashboard::shown_table::PointName;
use crate::dashboard::shown_table::{ShownSheet, labels};
use crate::render::number::short;

/// Returns whether the shown table is compared with a pinned point or a past run.
#[must_use]
pub fn is_compared(app: &App) -> bool {
    app.baseline.is_some() || app.pin.as_ref().is_some_and(|pin| Some(pin.request) == table_request(app))
}

/// Returns the value that the value in a cell is compared with; `None` without a comparison. Columns of values are
/// counted from 0.
fn reference(app: &App, shown: &ShownSheet, row: usize, column: usize) -> Option<f64> {
    let wanted = table_request(app)?;
    let value = shown.sheet.values.get(column).copied().flatten()?;
    if let Some(pin) = app.pin.as_ref().filter(|pin| pin.request == wanted) {
        return pin.values.get(value).copied().flatten();
    }
    let experiment = app.run.as_ref()?.experiment();
    let points = &shown_table(app)?.points;
    let place = labels(experiment, points, points.points.get(shown.sheet.point(row, column)?)?);
    let name = PointName::new(&table(app)?.name, place);
    app.baseline.as_ref()?.values.get(&name)?.get(value).copied().flatten()
}

/// Returns the difference of a cell from the value that it is compared with; `None` without both.
#[must_use]
pub fn difference(app: &App, shown: &ShownSheet, row: usize, column: usize) -> Option<String> {
    let Cell::Value(value) = shown.sheet.rows.get(row)?.get(shown.sheet.axes + column)? else { return None };
    let reference = reference(app, shown, row, column)?;
    Some(if value.mean == reference {
        "=".to_owned()
    } else {
        short(value.mean - reference, shown.range, true)
    })
}
