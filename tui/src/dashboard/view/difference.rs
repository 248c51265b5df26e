//! A value of a table as it is, or as its difference from the pinned point or from a past run.
//! Knows nothing of positions on the screen.

use fewbits_engine::table::points::TablePoint;
use fewbits_engine::table::sheet::Cell;

use super::selected_table::{shown_table, table, table_request};
use crate::dashboard::app::App;
use crate::dashboard::shown_table::PointName;
use crate::dashboard::shown_table::{Pin, ShownSheet, labels, mean};
use crate::render::number::{estimate, short};

/// Returns whether the shown table is compared with a pinned point or a past run.
#[must_use]
pub fn is_compared(app: &App) -> bool {
    app.baseline.is_some() || app.pin.as_ref().is_some_and(|pin| Some(pin.request) == table_request(app))
}

/// Returns the mean in a past run that a value is compared with.
fn reference(app: &App, shown: &ShownSheet, row: usize, column: usize) -> Option<f64> {
    let value = shown.sheet.values.get(column).copied().flatten()?;
    let experiment = app.run.as_ref()?.experiment();
    let points = &shown_table(app)?.points;
    let place = labels(experiment, points, points.points.get(shown.sheet.point(row, column)?)?);
    let name = PointName::new(&table(app)?.name, place);
    app.baseline.as_ref()?.values.get(&name)?.get(value).copied().flatten()
}

/// Returns the difference of a cell from the value that it is compared with; `None` without both. Columns of values are
/// counted from 0.
#[must_use]
pub fn difference(app: &App, shown: &ShownSheet, row: usize, column: usize) -> Option<String> {
    let Cell::Value(value) = shown.sheet.rows.get(row)?.get(shown.sheet.axes + column)? else { return None };
    let pin = app.pin.as_ref().filter(|pin| Some(pin.request) == table_request(app));
    if let Some(pin) = pin {
        let value_of_table = shown.sheet.values.get(column).copied().flatten()?;
        let point = shown_table(app)?.points.points.get(shown.sheet.point(row, column)?)?;
        return from_pinned(point, pin, value_of_table, shown.range);
    }
    let reference = reference(app, shown, row, column)?;
    Some(plain(value.mean - reference, shown.range))
}

/// Returns the difference of a point's value from that of the pinned point, with the interval of the mean difference
/// within units of replication.
#[must_use]
pub fn from_pinned(point: &TablePoint, pin: &Pin, value: usize, range: Option<(f64, f64)>) -> Option<String> {
    match point.minus(&pin.point, value) {
        Some(difference) if difference.half_width().is_some_and(|half| half > 0.0) => {
            let text = estimate(&difference);
            Some(if difference.mean > 0.0 { format!("+{text}") } else { text })
        }
        Some(difference) => Some(plain(difference.mean, range)),
        None => Some(plain(mean(point, value)? - mean(&pin.point, value)?, range)),
    }
}

fn plain(difference: f64, range: Option<(f64, f64)>) -> String {
    if difference == 0.0 { "=".to_owned() } else { short(difference, range, true) }
}
