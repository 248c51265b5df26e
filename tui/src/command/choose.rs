//! `choose`: recommends a point of an experiment from the results in the store.
//! Runs nothing.

use anyhow::Result;
use fewbits_engine::dense::NodeId;
use fewbits_engine::graph::TaskGraph;
use fewbits_engine::ops::MetricRole;
use fewbits_engine::plan::Planner;
use fewbits_engine::spec::expression::Expression;
use fewbits_engine::spec::node::{Node, Nodes, with_role};
use fewbits_engine::spec::question::{Goal, Question, UpperLimit};
use fewbits_engine::spec::table::{Table, TableKind};
use fewbits_engine::text::fault::{Faults, Span, suggest};
use fewbits_ops::StandardOps;

use super::note;
use super::table::{ResultTables, ToldChoice};
use crate::cli::{ChooseArgs, Global, OutputFormat};
use crate::exit::{Coded, Exit};
use crate::output::print_bytes;
use crate::question::usual;
use crate::session::{open, reader};

/// Answers a `Choose` question. If several nodes quantize, the smallest of their answers comes first. Exit code 1 if no point
/// fits; of a question with several answers, if a group has none.
pub fn choose(args: &ChooseArgs, global: &Global) -> Result<Exit> {
    if args.format == OutputFormat::Parquet {
        return Err(Coded::usage("an answer is not written as Parquet; use text, md, csv or json"));
    }
    let session = open(&args.file.file, global)?;
    let tables = asked(args, &session.graph)?;
    let store = reader(global)?;
    let planner = Planner::new(&session.graph, &*session.ops, &store);
    let plan = planner.plan()?;
    let shown = ResultTables::new(&session, &plan, &store, &tables)?;
    let answer = |table: &Table| Ok((table.name.clone(), shown.choice(table, args.format)?));
    let mut answers = tables.iter().map(answer).collect::<Result<Vec<_>>>()?;
    let size = |(_, told): &(String, ToldChoice)| told.size.unwrap_or(f64::INFINITY);
    answers.sort_by(|one, other| size(one).total_cmp(&size(other)));
    note(planner.notes().into_iter().chain(store.warnings()));
    let is_text = matches!(args.format, OutputFormat::Text | OutputFormat::Md);
    let several = answers.len() > 1;
    let fits = answers.first().is_some_and(|(_, told)| told.size.is_some());
    // A table or an object for programs is about one network.
    for (at, (node, told)) in answers.into_iter().take(if is_text { usize::MAX } else { 1 }).enumerate() {
        if is_text && several {
            print_bytes(format!("{}{node}\n\n", if at > 0 { "\n" } else { "" }).as_bytes())?;
        }
        print_bytes(&told.text)?;
    }
    Ok(if fits { Exit::Done } else { Exit::Failed })
}

/// Returns the question, with the limits of the command line: the file's `Choose` table, else the usual questions about
/// its quantized networks.
fn asked(args: &ChooseArgs, graph: &TaskGraph<StandardOps>) -> Result<Vec<Table>> {
    let file = args.file.file.display();
    let tables = &graph.experiment.tables;
    let mut asking = tables.iter().filter(|table| matches!(table.kind, TableKind::Choose(_)));
    let found = match &args.table {
        Some(name) => Some(tables.iter().find(|table| table.name == *name).ok_or_else(|| {
            let hint = suggest(name, asking.map(|table| table.name.as_str()));
            Coded::usage(format!("{file}: there is no table `{name}`; {hint}"))
        })?),
        None => asking.next(),
    };
    let mut tables =
        found.cloned().map_or_else(|| usual(graph), |table| Ok(vec![table])).map_err(|error| {
            Coded::usage(format!("{file}: {error}; add a `Choose` table that names the values to compare"))
        })?;
    // Of several questions, those about nodes without the metric that an option limits are left out.
    let mut fault = None;
    tables.retain_mut(|table| {
        limit(table, args, &graph.experiment.nodes).map_err(|error| fault = Some(error)).is_ok()
    });
    fault.filter(|_| tables.is_empty()).map_or(Ok(tables), Err)
}

/// Gives a question the limits of the command line.
fn limit(table: &mut Table, args: &ChooseArgs, nodes: &Nodes) -> Result<()> {
    let file = args.file.file.display();
    let TableKind::Choose(choose) = &mut table.kind else {
        return Err(Coded::usage(format!("{file}: table `{}` is no `Choose` table", table.name)));
    };
    if let Some(most) = args.max_drop {
        if choose.select.baseline.is_none() {
            let message = "a drop is from a baseline, and the table names none";
            let field = if choose.goal == Goal::Best { "maximize" } else { "select" };
            return Err(Coded::usage(format!(
                "{file}: --max-drop: {message}; write `{field}: (value: …, baseline: …)`"
            )));
        }
        choose.max_drop = Some(most);
    }
    let limits = [
        (MetricRole::Bytes, "--max-bytes", args.max_bytes.map(|bytes| bytes as f64)),
        (MetricRole::CodeBits, "--max-bits", args.max_bits),
    ];
    for (role, option, most) in limits {
        let Some(most) = most else { continue };
        let Some(limited) = limited_metric(choose, role, nodes) else {
            let message = format!("no node behind table `{}` has a metric that {option} limits", table.name);
            return Err(Coded::usage(format!("{file}: {message}; write the limit into its `at_most`")));
        };
        let limit = Expression::compile(&limited, Span::default(), &mut Faults::default());
        choose.at_most.retain(|limited| with_role(&limited.value, nodes, role).next().is_none());
        choose.at_most.extend(limit.map(|value| UpperLimit { value, most: vec![most] }));
    }
    Ok(())
}

/// Returns the metric that an option limits, as `node.metric`: that of the file's own limit, which the option replaces;
/// else of the network whose size counts, else of the nearest node upstream of the values that select.
fn limited_metric(choose: &Question, role: MetricRole, nodes: &Nodes) -> Option<String> {
    let own = choose.at_most.iter().find_map(|limit| with_role(&limit.value, nodes, role).next());
    let own = own.and_then(|of| nodes.iter().find(|node| node.name == of.root));
    let values = [&choose.size].into_iter().chain(choose.at_most.iter().map(|limit| &limit.value));
    let mut values = values.chain([&choose.select.value]);
    let node = own.or_else(|| values.find_map(|value| nearest_node(value, role, nodes)))?;
    Some(format!("{}.{}", node.name, node.kind.metric(role)?))
}

/// Returns the nearest node that has a metric with a role: one that an expression names, or one upstream of it.
fn nearest_node<'n>(expression: &Expression, role: MetricRole, nodes: &'n Nodes) -> Option<&'n Node> {
    let named = expression.references.iter();
    let mut found: Vec<NodeId> =
        named.filter_map(|reference| nodes.find(|node| node.name == reference.root)).collect();
    let mut at = 0;
    while let Some(&node) = found.get(at) {
        if nodes[node].kind.metric(role).is_some() {
            return Some(&nodes[node]);
        }
        let inputs = nodes[node].inputs.iter().filter(|input| !found.contains(input));
        found.extend(inputs.copied().collect::<Vec<_>>());
        at += 1;
    }
    None
}
