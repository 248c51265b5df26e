//! `export`: writes the network of one task for use elsewhere.
//! Knows nothing of the files' layouts.

use anyhow::{Result, anyhow};
use fewbits_ops::export::onnx;
use fewbits_ops::quantize::Encoded;
use fewbits_ops::{Artifact, packed};

use super::weights::FoundModel;
use super::{note, print};
use crate::cli::{ExportArgs, ExportForm, Global};
use crate::exit::Exit;
use crate::output;
use crate::render::number::bytes;
use crate::ui::plain::printable;

/// Writes the network of a task.
pub fn export(args: &ExportArgs, global: &Global) -> Result<Exit> {
    let found = FoundModel::of(&args.file.file, &args.task, global)?;
    let FoundModel { task, tensors, model, made_of, inputs, notes } = found;
    let Artifact::Model(model) = &*model else { return Err(anyhow!("only networks are exported")) };
    let content = match args.to {
        ExportForm::Packed => packed::write(model.network(), &tensors, &made_of)?,
        ExportForm::Onnx => {
            onnx::write(model, &made_of.to_string()).map_err(|what| anyhow!("{task}: {what}"))?
        }
    };
    let size = output::write(&args.output, &inputs, |file| Ok(file.write_all(&content)?))?;
    note(notes);
    if let Some(size) = size {
        let path = args.output.display();
        let counted: u64 = tensors.iter().map(Encoded::bytes).sum();
        let size = match args.to {
            ExportForm::Packed => format!("{} packed, {} with its description", bytes(counted), bytes(size)),
            ExportForm::Onnx => bytes(size),
        };
        print(&printable(&format!("{path}: {task}, {size}\n")))?;
    }
    Ok(Exit::Done)
}
