//! Exports: tables of plain rows in every format.
//! Knows nothing of axes and metrics.

use anyhow::Result;
use comfy_table::{ContentArrangement, presets};
use fewbits_engine::table::flat::{Datum, Flat};

use super::markdown;
use super::number::number;
use crate::cli::OutputFormat;
use crate::ui::plain::printable;

/// The first characters that make a spreadsheet treat a cell as a formula, or that it skips before one.
const FORMULA: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\n'];

/// Renders a table in a format. Text ends in a newline.
pub fn render(flat: &Flat, format: OutputFormat) -> Result<Vec<u8>> {
    Ok(match format {
        OutputFormat::Text => printable(&text(flat, false)).into_bytes(),
        OutputFormat::Md => printable(&text(flat, true)).into_bytes(),
        OutputFormat::Csv => csv(flat)?,
        OutputFormat::Json => (serde_json::to_string_pretty(&flat.objects())? + "\n").into_bytes(),
        OutputFormat::Parquet => super::parquet::parquet(flat)?,
    })
}

/// Renders a table as CSV. Infinite numbers are `inf` and `-inf`, undefined ones `NaN`.
fn csv(flat: &Flat) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(vec![]);
    writer.write_record(flat.columns().iter().map(|name| harmless(name)))?;
    for row in flat.rows() {
        writer.write_record(row.map(|datum| match datum {
            None | Some(Datum::Null) => String::new(),
            Some(Datum::Text(text)) => harmless(text),
            Some(Datum::Real(real)) if !real.is_finite() => real.to_string(),
            Some(other) => other.json().to_string(),
        }))?;
    }
    Ok(writer.into_inner()?)
}

/// Escapes a text so that spreadsheets do not run it as a formula and terminals do not obey its control characters.
fn harmless(text: &str) -> String {
    let apostrophe = if text.starts_with(FORMULA) { "'" } else { "" };
    format!("{apostrophe}{}", printable(text))
}

/// Renders a table as text or Markdown.
fn text(flat: &Flat, is_markdown: bool) -> String {
    let write = |text: &str| if is_markdown { markdown::cell(text) } else { text.to_owned() };
    let mut table = comfy_table::Table::new();
    table.load_style(if is_markdown { presets::ASCII_MARKDOWN } else { presets::NOTHING });
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(flat.columns().iter().map(|name| write(name)));
    for row in flat.rows() {
        table.add_row(row.map(|datum| match datum {
            None | Some(Datum::Null) => String::new(),
            Some(Datum::Text(text)) => write(text),
            Some(Datum::Real(real)) => number(*real),
            Some(Datum::Whole(whole)) => whole.to_string(),
            Some(Datum::Truth(truth)) => truth.to_string(),
        }));
    }
    table.to_string().lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}
