//! `export`: writes the network of one task for use elsewhere.
//! Knows nothing of the files' layouts.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use fewbits_engine::plan::Planner;
use fewbits_engine::run::rebuild::Rebuilder;
use fewbits_ops::export::onnx;
use fewbits_ops::quantize::Encoded;
use fewbits_ops::{Artifact, packed};

use super::weights::{find_model, meta, tensors};
use super::{note, print};
use crate::cli::{ExportArgs, ExportForm, Global};
use crate::exit::Exit;
use crate::inputs::Inputs;
use crate::output;
use crate::render::number::bytes;
use crate::session::{Session, open, reader};
use crate::ui::plain::printable;

/// Writes the network of a task.
pub fn export(args: &ExportArgs, global: &Global) -> Result<Exit> {
    let session = open(&args.file.file, global)?;
    let Session { graph, ops } = &session;
    let store = Arc::new(reader(global)?);
    let planner = Planner::new(graph, &**ops, &store);
    let plan = planner.plan()?;
    let task = find_model(graph, &plan, &args.task)?;
    let key = plan.planned(task).key;
    let (tensors, artifact) = tensors(task, &Rebuilder::new((graph, ops, &store), plan))?;
    let Artifact::Model(model) = &*artifact else { return Err(anyhow!("only networks are exported")) };
    let name = graph.name(task);
    let made_of = meta(&name, key, &store, &tensors)?.to_string();
    let content = match args.to {
        ExportForm::Packed => packed::write(model.network(), &tensors, made_of)?,
        ExportForm::Onnx => onnx::write(model, &made_of).map_err(|what| anyhow!("{name}: {what}"))?,
    };
    let inputs = Inputs::collect(graph, ops, &args.file.file, global)?;
    let size = output::write(&args.output, &inputs, |file| Ok(file.write_all(&content)?))?;
    note(planner.notes().into_iter().chain(store.warnings()));
    if let Some(size) = size {
        let path = args.output.display();
        let counted: u64 = tensors.iter().map(Encoded::bytes).sum();
        let size = match args.to {
            ExportForm::Packed => format!("{} packed, {} with its description", bytes(counted), bytes(size)),
            ExportForm::Onnx => bytes(size),
        };
        print(&printable(&format!("{path}: {name}, {size}\n")))?;
    }
    Ok(Exit::Done)
}
