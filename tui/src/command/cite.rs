//! `cite`: the facts that a paper needs about an experiment, with digests that identify its results.
//! Runs nothing.

use anyhow::Result;
use fewbits_engine::cite::Citation;
use fewbits_engine::plan::Planner;

use super::{note, print};
use crate::cli::{CiteArgs, Form, Global};
use crate::exit::Exit;
use crate::render;
use crate::session::{open, reader};
use crate::ui::plain::printable;

/// Shows the facts as text or JSON.
pub fn cite(args: &CiteArgs, global: &Global) -> Result<Exit> {
    let session = open(&args.file.file, global)?;
    let (graph, store) = (&*session.graph, reader(global)?);
    let planner = Planner::new(graph, &*session.ops, &store);
    let plan = planner.plan()?;
    let cited = Citation::collect(graph, &*session.ops, &plan, &store)?;
    note(planner.notes().into_iter().chain(store.warnings()));
    print(&match args.format {
        Form::Json => serde_json::to_string_pretty(&render::cite::json(&cited))? + "\n",
        Form::Text => printable(&render::cite::text(&cited)),
    })?;
    Ok(Exit::Done)
}
