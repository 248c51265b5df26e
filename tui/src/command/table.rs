//! `table`: an experiment's tables from what is in the store; runs nothing.

use anyhow::{Result, anyhow};
use fewbits_engine::graph::Graph;
use fewbits_engine::plan::{Plan, Planner};
use fewbits_engine::spec::table::Table as Wanted;
use fewbits_engine::table::long;
use fewbits_engine::table::results::Results;
use fewbits_engine::table::sheet::{Layout, make};
use fewbits_engine::text::fault::suggest;
use fewbits_ops::StandardOps;
use fewbits_store::Store;

use super::{note, print};
use crate::cli::{Format, Global, Table};
use crate::exit::{Coded, Exit};
use crate::render;
use crate::session::{open, reader};
use crate::ui::plain::printable;

/// Shows one table, or all.
pub fn table(args: &Table, global: &Global) -> Result<Exit> {
    let session = open(&args.file.file, global)?;
    let (graph, store) = (&*session.graph, reader(global)?);
    let planner = Planner::new(graph, &*session.ops, &store);
    let plan = planner.plan()?;
    let text = match (&args.name, args.format) {
        (Some(name), format) => {
            let tables = &graph.experiment.tables;
            let table = tables.iter().find(|table| table.name == *name).ok_or_else(|| {
                let hint = suggest(name, tables.iter().map(|table| table.name.as_str()));
                Coded::usage(format!("{}: there is no table `{name}`; {hint}", args.file.file.display()))
            })?;
            one(&session.ops, graph, &plan, &store, table, format)?
        }
        (None, format @ (Format::Json | Format::Csv)) => all_rows(graph, &plan, &store, format)?,
        (None, format) => all(&session.ops, graph, &plan, &store, format)?,
    };
    note(planner.notes().into_iter().chain(store.warnings()));
    print(&text)?;
    Ok(Exit::Done)
}

/// Returns all tables of an experiment, one after the other; the long table where it asks for none.
pub fn all(
    ops: &StandardOps,
    graph: &Graph<StandardOps>,
    plan: &Plan,
    store: &Store,
    format: Format,
) -> Result<String> {
    if graph.experiment.tables.is_empty() {
        return all_rows(graph, plan, store, format);
    }
    let tables = graph.experiment.tables.iter().map(|table| one(ops, graph, plan, store, table, format));
    Ok(tables.collect::<Result<Vec<_>>>()?.join("\n"))
}

fn all_rows(graph: &Graph<StandardOps>, plan: &Plan, store: &Store, format: Format) -> Result<String> {
    let every: Vec<usize> = (0..graph.steps.len()).collect();
    let rows = long::rows(graph, &Results::read(graph, plan, store, &every)?);
    Ok(match format {
        Format::Json => serde_json::to_string_pretty(&rows)? + "\n",
        Format::Csv => render::long::csv(&rows)?,
        Format::Text => printable(&render::long::text(&rows, false)),
        Format::Md => printable(&render::long::text(&rows, true)),
    })
}

fn one(
    ops: &StandardOps,
    graph: &Graph<StandardOps>,
    plan: &Plan,
    store: &Store,
    table: &Wanted,
    format: Format,
) -> Result<String> {
    let mentioned = |name: &str| table.expressions().iter().any(|expression| expression.mentions(name));
    let nodes = graph.experiment.nodes.iter().enumerate();
    let nodes: Vec<usize> = nodes.filter(|(_, node)| mentioned(&node.name)).map(|(at, _)| at).collect();
    let results = Results::read(graph, plan, store, &nodes)?;
    let layout = if matches!(format, Format::Text | Format::Md) { Layout::Grid } else { Layout::Flat };
    let made = make(ops, graph, &results, table, layout)
        .map_err(|error| anyhow!("table `{}`: {error}", table.name))?;
    let text = render::table::render(&made, format)?;
    Ok(if layout == Layout::Grid { printable(&text) } else { text })
}
