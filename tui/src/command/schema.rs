//! `schema`: the language of experiments, field by field, from the code that reads it.
//! Knows no field by name.

use std::path::PathBuf;

use anyhow::Result;
use fewbits_engine::schema::{ChoiceSchema, FieldSchema, Schema, VariantSchema};
use fewbits_engine::text::fault::suggest;
use fewbits_ops::StandardOps;

use super::print;
use crate::cli;
use crate::exit::{Coded, Exit};

/// The greatest length of a value that widens the column of values.
const WIDE: usize = 48;

/// The width of a list of names, in characters.
const WIDTH: usize = 96;

/// Shows the whole language, or the part that a name belongs to.
pub fn schema(args: &cli::SchemaArgs) -> Result<Exit> {
    let mut schema = all();
    if let Some(name) = &args.name {
        let hint = suggest(name, schema.names());
        schema.keep(name);
        if schema.choices.is_empty() {
            return Err(Coded::usage(format!("`{name}` is no word of the language; {hint}")));
        }
    }
    print(&match args.format {
        cli::SchemaFormat::Text => schema.choices.iter().map(choice).collect::<Vec<_>>().join("\n"),
        cli::SchemaFormat::Json => serde_json::to_string_pretty(&schema)? + "\n",
    })?;
    Ok(Exit::Done)
}

/// Describes the language of this program's ops.
pub fn all() -> Schema {
    Schema::describe(&StandardOps::new(PathBuf::new(), PathBuf::new()))
}

fn choice(choice: &ChoiceSchema) -> String {
    let words = if choice.words.is_empty() { String::new() } else { format!(": {}", choice.words) };
    let (bare, rich): (Vec<&VariantSchema>, Vec<&VariantSchema>) =
        choice.variants.iter().partition(|variant| variant.fields.is_empty());
    let bare: Vec<&str> = bare.iter().map(|variant| &*variant.name).collect();
    let rich: String = rich.into_iter().map(variant).collect();
    format!("{}{words}\n{rich}{}", choice.what, wrapped("  ", &bare))
}

fn variant(variant: &VariantSchema) -> String {
    let rows: Vec<[String; 3]> = variant.fields.iter().map(row).collect();
    let width = |column: usize, most: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.filter(|width| *width <= most).max().unwrap_or(0)
    };
    let (names, values) = (width(0, usize::MAX), width(1, WIDE));
    let mut text = format!("  {}\n", variant.name);
    for ([name, value, need], field) in rows.iter().zip(&variant.fields) {
        text += format!("    {name:names$}  {value:values$}  {need}").trim_end();
        text += &format!("\n      {}\n", field.about);
    }
    if !variant.metrics.is_empty() {
        text += &wrapped("    metrics: ", variant.metrics);
    }
    text
}

fn row(field: &FieldSchema) -> [String; 3] {
    [field.name.to_owned(), field.type_words(), field.need.to_string()]
}

/// Breaks a list of names into lines of at most [`WIDTH`] characters. The first line starts with `start`, the others
/// are indented to it.
fn wrapped(start: &str, names: &[&str]) -> String {
    if names.is_empty() {
        return String::new();
    }
    let indent = " ".repeat(start.chars().count());
    let (mut text, mut line) = (String::new(), start.to_owned());
    for (at, name) in names.iter().enumerate() {
        let piece = if at + 1 == names.len() { (*name).to_owned() } else { format!("{name}, ") };
        if line.len() > indent.len() && line.len() + piece.len() > WIDTH {
            text += &format!("{}\n", line.trim_end());
            line.clone_from(&indent);
        }
        line += &piece;
    }
    text + &line + "\n"
}
