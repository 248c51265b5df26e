//! Tables of an experiment as text, Markdown, CSV, JSON or Parquet.
//! Knows nothing of the statistics.

use anyhow::Result;
use comfy_table::{CellAlignment, ContentArrangement, presets};
use fewbits_engine::table::sheet::{Cell, Sheet};
use fewbits_engine::table::table_sheets::TableSheets;

use super::markdown;
use super::number::{count, estimate};
use crate::cli::OutputFormat;
use crate::ui::plain::printable;

/// Renders a table in a format. Text ends in a newline.
pub fn render(made: &TableSheets, format: OutputFormat) -> Result<Vec<u8>> {
    match format {
        OutputFormat::Text => Ok(printable(&grids(made, false)).into_bytes()),
        OutputFormat::Md => Ok(printable(&grids(made, true)).into_bytes()),
        OutputFormat::Csv | OutputFormat::Json | OutputFormat::Parquet => {
            super::long::render(&made.flat()?, format)
        }
    }
}

fn grids(made: &TableSheets, is_markdown: bool) -> String {
    let mut out = if is_markdown {
        format!("### {}\n\n{}\n", markdown::line(&made.name), markdown::line(&made.caption))
    } else {
        format!("{}: {}\n", made.name, made.caption)
    };
    for sentence in missing(made.missing(), made.failed()) {
        out += &format!("{sentence}\n");
    }
    for sheet in &made.sheets {
        out.push('\n');
        if !sheet.title.is_empty() {
            out += &if is_markdown {
                format!("**{}**\n\n", markdown::line(&sheet.title))
            } else {
                format!("{}\n", sheet.title)
            };
        }
        for line in grid(sheet, is_markdown).lines() {
            out += line.trim_end();
            out.push('\n');
        }
    }
    out
}

fn grid(sheet: &Sheet, is_markdown: bool) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(if is_markdown { presets::ASCII_MARKDOWN } else { presets::NOTHING });
    table.set_content_arrangement(ContentArrangement::Disabled);
    let heading =
        |text: &String| if is_markdown { markdown::cell(text) } else { heading_lines(text).join("\n") };
    table.set_header(sheet.headings.iter().map(heading));
    let most = sheet.most_replicates();
    for row in &sheet.rows {
        table.add_row(row.iter().map(|cell| match cell {
            Cell::Level { label, .. } if is_markdown => markdown::cell(label),
            cell => cell_text(cell, most),
        }));
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_cell_alignment(if at < sheet.axes { CellAlignment::Left } else { CellAlignment::Right });
    }
    table.to_string()
}

/// Says how many rows lack a result, and why; `failed` of the `missing` rows lack it because a task failed.
#[must_use]
pub fn missing(missing: usize, failed: usize) -> Vec<String> {
    let waiting = missing.saturating_sub(failed);
    let mut said = vec![];
    if failed > 0 {
        let verb = if failed == 1 { "has" } else { "have" };
        said.push(format!("{} {verb} no result because a task failed", count(failed, "row")));
    }
    if waiting > 0 {
        let verb = if waiting == 1 { "is" } else { "are" };
        said.push(format!("{} {verb} not there yet", count(waiting, "result")));
    }
    said
}

/// Breaks a heading into lines: each axis and each term of a difference gets its own, because one line would make wide
/// columns.
#[must_use]
pub fn heading_lines(text: &str) -> Vec<String> {
    let broken = text.replace(", ", "\n").replace(" - ", "\n- ").replace(" × (", "\n× (");
    broken.lines().map(str::to_owned).collect()
}

/// Writes a cell; `most` is the largest number of replicates in its sheet. A mean over fewer replicates shows their
/// number.
#[must_use]
pub fn cell_text(cell: &Cell, most: usize) -> String {
    match cell {
        Cell::Absent => String::new(),
        Cell::Missing => "…".to_owned(),
        Cell::Failed => "failed".to_owned(),
        Cell::Level { label, .. } => label.clone(),
        Cell::Value(value) if value.n < most => format!("{} (n={})", estimate(value), value.n),
        Cell::Value(value) => estimate(value),
    }
}
