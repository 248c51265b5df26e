//! Differences as JSON, one object each.
//! Knows nothing of the comparison.

use fewbits_engine::diff::Comparison;
use fewbits_engine::diff::delta::Delta;
use fewbits_engine::diff::points::PointsDiff;
use fewbits_engine::diff::tables::{CellDelta, TableDiff};
use fewbits_engine::json_metrics::json_number;
use serde_json::{Map, Value as Json, json};

/// Renders the differences between two experiments.
#[must_use]
pub fn experiments(names: &[String; 2], diff: &Comparison) -> Json {
    json!({
        "from": names[0],
        "to": names[1],
        "parameters": diff.structure,
        "tasks": diff.tasks,
        "tables": diff.tables.iter().map(table).collect::<Vec<_>>(),
    })
}

/// Renders the differences between two points.
#[must_use]
pub fn points(names: &[String; 2], diff: &PointsDiff) -> Json {
    let metric = |name: &str, of: &Delta| {
        let mut object = delta(of);
        object.shift_insert(0, "metric".to_owned(), json!(name));
        object
    };
    json!({
        "from": names[0],
        "to": names[1],
        "axes": diff.axes,
        "fields": diff.fields,
        "replicate": diff.replicate,
        "missing": diff.missing,
        "equal": diff.equal,
        "metrics": diff.changed.iter().map(|of| metric(&of.metric, &of.delta)).collect::<Vec<_>>(),
    })
}

fn table(table: &TableDiff) -> Json {
    json!({
        "table": table.name,
        "axes": table.axes,
        "values": table.values,
        "replicate": table.replicate,
        "missing": table.missing,
        "equal": table.equal,
        "only_from": table.apart[0],
        "only_to": table.apart[1],
        "cells": table.changed.iter().map(|of| cell(table, of)).collect::<Vec<_>>(),
    })
}

fn cell(table: &TableDiff, cell: &CellDelta) -> Json {
    let at: Map<String, Json> =
        table.axes.iter().cloned().zip(cell.labels.iter().map(|label| json!(label))).collect();
    let mut object = delta(&cell.delta);
    object.shift_insert(0, "at".to_owned(), Json::from(at));
    object.shift_insert(1, "value".to_owned(), json!(table.values[cell.value]));
    Json::from(object)
}

/// Returns a number, or null for `None`.
fn number(value: Option<f64>) -> Json {
    value.map_or(Json::Null, json_number)
}

/// Returns the fields of a difference; unknown figures are null.
fn delta(delta: &Delta) -> Map<String, Json> {
    let (low, high) = delta.change.interval.unzip();
    let fields = [
        ("from", json_number(delta.from)),
        ("to", json_number(delta.to)),
        ("difference", json_number(delta.change.mean)),
        ("low", number(low)),
        ("high", number(high)),
        ("p", number(delta.change.adjusted)),
        ("paired", json!(delta.is_paired)),
        ("n", json!(delta.units)),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
