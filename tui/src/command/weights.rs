//! `weights`: writes the weights of one task's model, and their codes, to a file.
//! Knows nothing of the file's format.

use anyhow::Result;

use super::{note, print};
use crate::cli::{Global, Weights};
use crate::exit::Exit;
use crate::found_model::FoundModel;
use crate::output;
use crate::render::npz;
use crate::render::number::{bytes, count};
use crate::ui::plain::printable;

/// Writes the weights of a task.
pub fn weights(args: &Weights, global: &Global) -> Result<Exit> {
    let found = FoundModel::of(&args.file.file, &args.task, global)?;
    let facts = found.facts()?;
    let size = output::write(&args.output, &found.inputs, |file| npz::write(&found.tensors, &facts, file))?;
    let task = found.name();
    note(found.notes);
    if let Some(size) = size {
        let (path, tensors) = (args.output.display(), count(found.tensors.len(), "tensor"));
        print(&printable(&format!("{path}: {tensors} of {task}, {}\n", bytes(size))))?;
    }
    Ok(Exit::Done)
}
