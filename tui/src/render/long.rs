//! Flat objects as CSV or as a plain text table: the long table, and any table for programs.

use anyhow::{Context, Result};
use comfy_table::{ContentArrangement, presets};
use serde_json::{Map, Value as Json};

use super::number::number;

/// Returns objects as comma-separated values; the columns are all keys, in the order they first come.
pub fn csv(objects: &[Map<String, Json>]) -> Result<String> {
    let columns = columns(objects);
    let mut writer = csv::Writer::from_writer(vec![]);
    writer.write_record(&columns)?;
    for object in objects {
        writer.write_record(columns.iter().map(|column| match object.get(*column) {
            None | Some(Json::Null) => String::new(),
            Some(Json::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }))?;
    }
    String::from_utf8(writer.into_inner()?).context("the table is not text")
}

/// Returns objects as a table for people.
#[must_use]
pub fn text(objects: &[Map<String, Json>], markdown: bool) -> String {
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

fn columns(objects: &[Map<String, Json>]) -> Vec<&str> {
    let mut columns: Vec<&str> = vec![];
    let mut seen = std::collections::HashSet::new();
    for key in objects.iter().flat_map(Map::keys) {
        if seen.insert(key) {
            columns.push(key);
        }
    }
    columns
}
