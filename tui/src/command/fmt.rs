//! `fmt`: lays out experiment files.
//! Knows nothing of the layout.

use std::path::Path;

use anyhow::Result;
use fewbits_engine::text::fault::Faults;
use fewbits_engine::text::layout::{is_same, layout};
use fewbits_engine::text::value::Value;

use super::print;
use crate::cli::{FmtArgs, Global};
use crate::exit::{Coded, Exit};
use crate::inputs::Inputs;
use crate::output;
use crate::session::{faulty, read};

/// Lays out files, or names those that are not laid out.
pub fn fmt(args: &FmtArgs, global: &Global) -> Result<Exit> {
    let mut others = vec![];
    // All files are read before one is written.
    let texts = args.files.iter().map(|file| Ok((file, laid_out(file, global)?)));
    for (file, laid) in texts.collect::<Result<Vec<_>>>()? {
        let Some(laid) = laid else { continue };
        if !args.check {
            output::write(file, &Inputs::default(), |to| Ok(to.write_all(laid.as_bytes())?))?;
        }
        others.push(file);
    }
    for file in &others {
        let word = if args.check { "would be laid out" } else { "laid out" };
        print(&format!("{}: {word}\n", file.display()))?;
    }
    Ok(if args.check && !others.is_empty() { Exit::Failed } else { Exit::Done })
}

/// Returns the text of a file in its layout; `None` if it has that layout.
fn laid_out(file: &Path, global: &Global) -> Result<Option<String>> {
    let text = read(file)?;
    let mut faults = Faults::default();
    let _ = Value::parse(&text, &mut faults);
    let faults = faults.into_sorted();
    if !faults.is_empty() {
        return Err(faulty(&faults, &text, &file.display().to_string(), global));
    }
    let laid = layout(&text).filter(|laid| is_same(&text, laid)).ok_or_else(|| {
        Coded::usage(format!(
            "{}: comments stand where fmt cannot keep them; move them to lines of their own",
            file.display()
        ))
    })?;
    Ok((laid != text).then_some(laid))
}
