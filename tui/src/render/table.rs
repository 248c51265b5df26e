//! A table of an experiment as text, Markdown, CSV, JSON or Parquet.

use anyhow::Result;
use comfy_table::{CellAlignment, ContentArrangement, presets};
use fewbits_engine::table::sheet::{Cell, Made, Sheet};
use serde_json::{Map, Value as Json};

use super::number::estimate;
use crate::cli::Format;
use crate::ui::plain::printable;

/// Returns a table in a format; text ends in a newline.
pub fn render(made: &Made, format: Format) -> Result<Vec<u8>> {
    match format {
        Format::Text => Ok(printable(&grids(made, false)).into_bytes()),
        Format::Md => Ok(printable(&grids(made, true)).into_bytes()),
        Format::Csv | Format::Json | Format::Parquet => super::long::render(&objects(made), format),
    }
}

fn grids(made: &Made, markdown: bool) -> String {
    let mut out = if markdown {
        format!("### {}\n\n{}\n", made.name, made.caption)
    } else {
        format!("{}: {}\n", made.name, made.caption)
    };
    if made.missing > 0 {
        out += &format!("{} results are not there yet\n", made.missing);
    }
    for sheet in &made.sheets {
        out.push('\n');
        if !sheet.title.is_empty() {
            out += &if markdown { format!("**{}**\n\n", sheet.title) } else { format!("{}\n", sheet.title) };
        }
        for line in grid(sheet, markdown).lines() {
            out += line.trim_end();
            out.push('\n');
        }
    }
    out
}

fn grid(sheet: &Sheet, markdown: bool) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(if markdown { presets::ASCII_MARKDOWN } else { presets::NOTHING });
    table.set_content_arrangement(ContentArrangement::Disabled);
    // Several axes across, and differences, would make wide columns: one line each.
    let heading = |text: &String| {
        if markdown {
            text.clone()
        } else {
            text.replace(", ", "\n").replace(" - ", "\n- ").replace(" × (", "\n× (")
        }
    };
    table.set_header(sheet.headings.iter().map(heading));
    // A mean over fewer replications than the others must not pass for one of them.
    let n = |cell: &Cell| if let Cell::Value(value) = cell { value.n } else { 0 };
    let most = sheet.rows.iter().flatten().map(n).max().unwrap_or(0);
    for row in &sheet.rows {
        table.add_row(row.iter().map(|cell| match cell {
            Cell::Absent => String::new(),
            Cell::Missing => "…".to_owned(),
            Cell::Level { label, .. } => label.clone(),
            Cell::Value(value) if value.n < most => format!("{} (n={})", estimate(value), value.n),
            Cell::Value(value) => estimate(value),
        }));
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_cell_alignment(if at < sheet.axes { CellAlignment::Left } else { CellAlignment::Right });
    }
    table.to_string()
}

/// Returns a row per point: the axes, then each value with its interval and the number of replications.
fn objects(made: &Made) -> Vec<Map<String, Json>> {
    let mut objects = vec![];
    for sheet in &made.sheets {
        for row in &sheet.rows {
            let mut object = Map::new();
            for (heading, cell) in sheet.headings.iter().zip(row) {
                match cell {
                    Cell::Level { value, .. } => drop(object.insert(heading.clone(), value.clone())),
                    Cell::Absent | Cell::Missing => drop(object.insert(heading.clone(), Json::Null)),
                    Cell::Value(value) => {
                        object.insert(heading.clone(), Json::from(value.mean));
                        let (low, high) = value.interval.unzip();
                        let more =
                            [("low", low), ("high", high), ("sd", value.spread), ("p", value.adjusted)];
                        for (name, number) in more {
                            if let Some(number) = number {
                                object.insert(format!("{heading}.{name}"), Json::from(number));
                            }
                        }
                        object.insert(format!("{heading}.n"), Json::from(value.n));
                    }
                }
            }
            objects.push(object);
        }
    }
    objects
}
