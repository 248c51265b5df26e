//! `choose`: which point of an experiment to take, from what is in the store; runs nothing.

use anyhow::Result;
use fewbits_engine::graph::TaskGraph;
use fewbits_engine::plan::Planner;
use fewbits_engine::spec::expression::Expression;
use fewbits_engine::spec::table::{Question, Table, TableKind};
use fewbits_engine::text::fault::{Faults, Span, suggest};
use fewbits_ops::StandardOps;

use super::table::ResultTables;
use super::{note, print_bytes};
use crate::cli::{ChooseArgs, Global, OutputFormat};
use crate::exit::{Coded, Exit};
use crate::question::usual;
use crate::session::{open, reader};

/// Answers which point to choose; exit code 1 if nothing fits.
pub fn choose(args: &ChooseArgs, global: &Global) -> Result<Exit> {
    if args.format == OutputFormat::Parquet {
        return Err(Coded::usage("an answer is not written as Parquet; use text, md, csv or json"));
    }
    let session = open(&args.file.file, global)?;
    let table = asked(args, &session.graph)?;
    let store = reader(global)?;
    let planner = Planner::new(&session.graph, &*session.ops, &store);
    let plan = planner.plan()?;
    let shown = ResultTables::new(&session, &plan, &store)?;
    let (text, fits) = shown.choice(&table, args.format)?;
    note(planner.notes().into_iter().chain(store.warnings()));
    print_bytes(&text)?;
    Ok(if fits { Exit::Done } else { Exit::Failed })
}

/// Returns the question: that of the file, else the usual one about its quantized networks; with the user's limits.
fn asked(args: &ChooseArgs, graph: &TaskGraph<StandardOps>) -> Result<Table> {
    let file = args.file.file.display();
    let tables = &graph.experiment.tables;
    let mut asking = tables.iter().filter(|table| matches!(table.shape, TableKind::Choose(_)));
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
    let TableKind::Choose(choose) = &mut table.shape else {
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
        let Some(node) = limited_node(choose, metric, graph) else {
            let message = format!("no node behind table `{}` has the metric `{metric}`", table.name);
            return Err(Coded::usage(format!("{file}: {message}; write the limit into its `at_most`")));
        };
        let limit = Expression::compile(&format!("{node}.{metric}"), Span::default(), &mut Faults::default());
        choose.at_most.retain(|(limited, _)| node_of(limited, metric).is_none());
        choose.at_most.extend(limit.map(|limit| (limit, most)));
    }
    Ok(table)
}

/// Returns the node whose metric an option limits: the node of the file's own limit of that metric, which the option
/// replaces; else the network in `minimize`, else the nearest node that has the metric upstream of the values that are judged.
fn limited_node(choose: &Question, metric: &str, graph: &TaskGraph<StandardOps>) -> Option<String> {
    let own = choose.at_most.iter().find_map(|(limited, _)| node_of(limited, metric));
    let values = [&choose.minimize].into_iter().chain(choose.at_most.iter().map(|(limited, _)| limited));
    let mut values = values.chain([&choose.select.value]);
    own.or_else(|| values.find_map(|value| nearest_node(value, metric, graph))).map(str::to_owned)
}

/// Returns the node whose metric an expression uses, if it uses this metric.
fn node_of<'e>(expression: &'e Expression, metric: &str) -> Option<&'e str> {
    let mut references = expression.references.iter();
    references.find(|of| of.member.as_deref() == Some(metric)).map(|of| of.root.as_str())
}

/// Returns the name of the nearest node that has a metric: one that an expression names, or one upstream of it.
fn nearest_node<'g>(
    expression: &Expression,
    metric: &str,
    graph: &'g TaskGraph<StandardOps>,
) -> Option<&'g str> {
    let nodes = &graph.experiment.nodes;
    let named = expression.references.iter();
    let mut found: Vec<usize> =
        named.filter_map(|reference| nodes.iter().position(|node| node.name == reference.root)).collect();
    let mut at = 0;
    while let Some(&node) = found.get(at) {
        if nodes[node].kind.metrics.contains(&metric) {
            return Some(&nodes[node].name);
        }
        found.extend(
            nodes[node].inputs.iter().filter(|input| !found.contains(input)).copied().collect::<Vec<_>>(),
        );
        at += 1;
    }
    None
}
