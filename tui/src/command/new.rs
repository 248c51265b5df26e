//! `new`: writes a new experiment from a template.
//! Never replaces a file.

use std::fs::{File, remove_file};
use std::io::Write;
use std::path::Path;

use anyhow::Result;

use super::print;
use crate::cli::{Global, New};
use crate::exit::{Coded, Exit};
use crate::render::number::count;
use crate::session::parse;
use crate::template::{TEMPLATES, text};
use crate::ui::plain::printable;

/// Writes an experiment, or lists the templates.
pub fn new(args: &New, global: &Global) -> Result<Exit> {
    let Some(file) = args.file.as_deref().filter(|_| !args.list) else {
        print(&list(global)?)?;
        return Ok(Exit::Done);
    };
    let name = quoted(&file.display().to_string());
    write(file, &text(&args.template, &name).unwrap_or_default())?;
    print(&printable(&format!(
        "{} is written from the template {}. Next:\n  fewbits run {name}\n",
        file.display(),
        args.template
    )))?;
    Ok(Exit::Done)
}

/// Writes a file that does not exist yet.
fn write(file: &Path, text: &str) -> Result<()> {
    let told = |error: std::io::Error| {
        let path = file.display();
        Coded::usage(match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                format!(
                    "{path} is there already and is left as it is: choose another name, or remove it first"
                )
            }
            _ => format!("{path}: {error}; choose a file that can be written"),
        })
    };
    let mut new = File::create_new(file).map_err(told)?;
    new.write_all(text.as_bytes()).map_err(|error| {
        // A partial file would make the next attempt fail.
        let _ = remove_file(file);
        told(error)
    })
}

fn list(global: &Global) -> Result<String> {
    let mut lines = String::new();
    for (name, text) in TEMPLATES {
        let graph = parse(text, Path::new(name), global)?.graph;
        lines += &format!("{name:<12} {:>10}  {}\n", count(graph.len(), "task"), graph.experiment.about);
    }
    Ok(lines)
}

/// Quotes a file name for a shell.
fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "._-/+,@".contains(c);
    if name.chars().all(plain) { name.to_owned() } else { format!("'{}'", name.replace('\'', r"'\''")) }
}
