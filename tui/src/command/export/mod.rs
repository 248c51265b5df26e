//! `export`: writes the network of one task for use elsewhere.
//! Knows nothing of the files' layouts.

mod c;

use anyhow::{Result, anyhow};
use fewbits_ops::export::{onnx, qdq};
use fewbits_ops::packed;
use fewbits_ops::quantize::Encoded;

use super::{note, print};
use crate::cli::{ExportArgs, ExportForm, Global};
use crate::exit::{Coded, Exit};
use crate::found_model::FoundModel;
use crate::output;
use crate::render::number::bytes;
use crate::ui::plain::printable;

/// Writes the network of a task.
pub fn export(args: &ExportArgs, global: &Global) -> Result<Exit> {
    if args.typed && args.to != ExportForm::Onnx {
        return Err(Coded::usage("--typed is about --to onnx; leave it out"));
    }
    if args.to == ExportForm::C {
        return c::export(args, global);
    }
    if args.name.is_some() {
        return Err(Coded::usage("--name names the files and functions of --to c; leave it out"));
    }
    let found = FoundModel::of(&args.file.file, &args.task, global)?;
    let (task, facts, model) = (found.name(), found.facts()?, found.model()?);
    let (of_layer, made_of) = (|what: String| anyhow!("{task}: {what}"), facts.to_string());
    let (content, plain) = match args.to {
        ExportForm::Packed if model.integers().is_some() => {
            return Err(anyhow!(
                "{task}: this network computes with integers, and a packed network has no scales of activations; export it with --to c or --to onnx"
            ));
        }
        ExportForm::Onnx if model.integers().is_some() && args.typed => {
            return Err(Coded::usage(
                "--typed: an integer network has ONNX's types in every ONNX file; leave it out",
            ));
        }
        ExportForm::Onnx if model.integers().is_some() => {
            (qdq::write(model, &made_of).map_err(of_layer)?, vec![])
        }
        ExportForm::Packed => (packed::write(model.network(), &found.tensors, &facts)?, vec![]),
        _ if args.typed => {
            let file = onnx::write_typed(model, &found.tensors, &made_of).map_err(of_layer)?;
            (file.bytes, file.plain)
        }
        _ => (onnx::write(model, &made_of).map_err(of_layer)?, vec![]),
    };
    let size = output::write(&args.output, &found.inputs, |file| Ok(file.write_all(&content)?))?;
    if let Some(size) = size {
        let path = args.output.display();
        let counted: u64 = found.tensors.iter().map(Encoded::bytes).sum();
        let size = match args.to {
            ExportForm::Packed => format!("{} packed, {} with its description", bytes(counted), bytes(size)),
            _ => bytes(size),
        };
        let mut text = format!("{path}: {task}, {size}\n");
        if !plain.is_empty() {
            text += &format!("binary32, as ONNX has no type for their format: {}\n", plain.join(", "));
        }
        print(&printable(&text))?;
    }
    note(found.notes);
    Ok(Exit::Done)
}
