//! Flat objects in every format: the long table, and any table for programs.
//! Knows nothing of axes and metrics.

use anyhow::Result;
use comfy_table::{ContentArrangement, presets};
use serde_json::{Map, Value as Json};

use super::number::number;
use crate::cli::Format;
use crate::ui::plain::printable;

/// What a spreadsheet takes for the beginning of a formula, or skips before one.
const FORMULA: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\n'];

/// Returns objects in a format; text ends in a newline.
pub fn render(objects: &[Map<String, Json>], format: Format) -> Result<Vec<u8>> {
    Ok(match format {
        Format::Text => printable(&text(objects, false)).into_bytes(),
        Format::Md => printable(&text(objects, true)).into_bytes(),
        Format::Csv => csv(objects)?,
        Format::Json => (serde_json::to_string_pretty(objects)? + "\n").into_bytes(),
        Format::Parquet => super::parquet::parquet(objects)?,
    })
}

/// Returns objects as comma-separated values; the columns are all keys, in the order they first come.
fn csv(objects: &[Map<String, Json>]) -> Result<Vec<u8>> {
    let columns = columns(objects);
    let mut writer = csv::Writer::from_writer(vec![]);
    writer.write_record(columns.iter().map(|name| harmless(name)))?;
    for object in objects {
        writer.write_record(columns.iter().map(|column| match object.get(*column) {
            None | Some(Json::Null) => String::new(),
            Some(Json::String(text)) => harmless(text),
            Some(other) => other.to_string(),
        }))?;
    }
    Ok(writer.into_inner()?)
}

/// Returns a text as a cell in which no spreadsheet finds a formula, and no terminal an order.
fn harmless(text: &str) -> String {
    let apostrophe = if text.starts_with(FORMULA) { "'" } else { "" };
    format!("{apostrophe}{}", printable(text))
}

/// Returns objects as a table for people.
fn text(objects: &[Map<String, Json>], markdown: bool) -> String {
    let columns = columns(objects);
    let mut table = comfy_table::Table::new();
    table.load_style(if markdown { presets::ASCII_MARKDOWN } else { presets::NOTHING });
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(&columns);
    for object in objects {
        table.add_row(columns.iter().map(|column| match object.get(*column) {
            None | Some(Json::Null) => String::new(),
            Some(Json::String(text)) => text.clone(),
            Some(Json::Number(value)) => value.as_f64().map_or_else(|| value.to_string(), number),
            Some(other) => other.to_string(),
        }));
    }
    table.to_string().lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// Returns all keys, in the order they first come.
#[must_use]
pub fn columns(objects: &[Map<String, Json>]) -> Vec<&str> {
    let mut columns: Vec<&str> = vec![];
    let mut seen = std::collections::HashSet::new();
    for key in objects.iter().flat_map(Map::keys) {
        if seen.insert(key) {
            columns.push(key);
        }
    }
    columns
}
