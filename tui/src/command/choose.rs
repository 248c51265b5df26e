//! `choose`: which point of an experiment to take, from what is in the store; runs nothing.

use anyhow::Result;
use fewbits_engine::graph::Graph;
use fewbits_engine::plan::Planner;
use fewbits_engine::spec::expression::Expression;
use fewbits_engine::spec::table::{Shape, Table};
use fewbits_engine::text::fault::{Faults, Span, suggest};
use fewbits_ops::StandardOps;

use super::table::Shown;
use super::{note, print_bytes};
use crate::cli::{Choose, Format, Global};
use crate::exit::{Coded, Exit};
use crate::question::usual;
use crate::session::{open, reader};

/// Answers which point to choose; exit code 1 if nothing fits.
pub fn choose(args: &Choose, global: &Global) -> Result<Exit> {
    if args.format == Format::Parquet {
        return Err(Coded::usage("an answer is not written as Parquet; use text, md, csv or json"));
    }
    let session = open(&args.file.file, global)?;
    let table = asked(args, &session.graph)?;
    let store = reader(global)?;
    let planner = Planner::new(&session.graph, &*session.ops, &store);
    let plan = planner.plan()?;
    let shown = Shown::new(&session, &plan, &store)?;
    let (text, fits) = shown.choice(&table, args.format)?;
    note(planner.notes().into_iter().chain(store.warnings()));
    print_bytes(&text)?;
    Ok(if fits { Exit::Done } else { Exit::Failed })
}

/// Returns the question: that of the file, else the usual one about its quantized networks; with the user's limits.
fn asked(args: &Choose, graph: &Graph<StandardOps>) -> Result<Table> {
    let file = args.file.file.display();
    let tables = &graph.experiment.tables;
    let mut asking = tables.iter().filter(|table| matches!(table.shape, Shape::Choose(_)));
    let found = match &args.table {
        Some(name) => Some(tables.iter().find(|table| table.name == *name).ok_or_else(|| {
            let hint = suggest(name, asking.map(|table| table.name.as_str()));
            Coded::usage(format!("{file}: there is no table `{name}`; {hint}"))
        })?),
        None => asking.next(),
    };
    let mut table = found.cloned().map_or_else(|| usual(graph), Ok).map_err(|error| {
        Coded::usage(format!("{file}: {error}; add a `Choose` table that says what to compare"))
    })?;
    let Shape::Choose(choose) = &mut table.shape else {
        return Err(Coded::usage(format!("{file}: table `{}` is no `Choose` table", table.name)));
    };
    if let Some(most) = args.max_drop {
        if choose.select.baseline.is_none() {
            let message = "a drop is from a baseline, and the table names none";
            return Err(Coded::usage(format!(
                "{file}: --max-drop: {message}; write `select: (value: …, baseline: …)`"
            )));
        }
        choose.max_drop = Some(most);
    }
    let limits = [("bytes", args.max_bytes.map(|bytes| bytes as f64)), ("code_bits", args.max_bits)];
    for (metric, most) in limits {
        let Some(most) = most else { continue };
        let text = limited(&choose.minimize, metric, graph).ok_or_else(|| {
            let message =
                format!("the size in table `{}` is of a node without the metric `{metric}`", table.name);
            Coded::usage(format!("{file}: {message}; write the limit into its `at_most`"))
        })?;
        let compiled = Expression::compile(&text, Span::default(), &mut Faults::default());
        choose.at_most.extend(compiled.map(|compiled| (compiled, most)));
    }
    Ok(table)
}

/// Returns a metric of the node whose size is to be small.
fn limited(size: &Expression, metric: &str, graph: &Graph<StandardOps>) -> Option<String> {
    let node = size
        .references
        .iter()
        .find_map(|reference| graph.experiment.nodes.iter().find(|node| node.name == reference.root))?;
    node.kind.metrics.contains(&metric).then(|| format!("{}.{metric}", node.name))
}
