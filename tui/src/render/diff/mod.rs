//! Differences as text: between two experiments, or between two points. The first side is called A, the second B.
//! Knows nothing of the comparison.

pub mod json;

use comfy_table::{CellAlignment, ContentArrangement, presets};
use fewbits_engine::diff::delta::Delta;
use fewbits_engine::diff::fields::FieldDifference;
use fewbits_engine::diff::points::PointsDiff;
use fewbits_engine::diff::structure::{AxisChange, NodeFields, Structure};
use fewbits_engine::diff::tables::TableDiff;
use fewbits_engine::diff::tasks::NodeTaskCounts;
use fewbits_engine::diff::{Apart, Comparison};
use fewbits_engine::statistics::SIGNIFICANT;

use super::number::{estimate, number};
use crate::render::number::count;

/// Renders the differences between two experiments.
#[must_use]
pub fn experiments(names: &[String; 2], diff: &Comparison) -> String {
    let parameters = if diff.structure.is_empty() {
        "no parameter differs\n".to_owned()
    } else {
        format!("parameters\n{}", structure(&diff.structure))
    };
    let tables: String = diff.tables.iter().map(|of| format!("\n{}", table(of))).collect();
    format!("{}\n{parameters}\n{}{tables}", heading(names), tasks(&diff.tasks))
}

/// Renders the differences between two points.
#[must_use]
pub fn points(names: &[String; 2], diff: &PointsDiff) -> String {
    let mut text = format!("{}\n", heading(names));
    text += &diff.axes.iter().map(|axis| format!("  {}\n", field(axis))).collect::<String>();
    text += &nodes(&diff.fields);
    if diff.axes.is_empty() && diff.fields.is_empty() {
        text += "no parameter differs\n";
    }
    text += "\nmetrics: B − A";
    let deltas: Vec<&Delta> = diff.changed.iter().map(|metric| &metric.delta).collect();
    text += &format!("{}\n", method(&deltas, diff.replicate.as_deref()));
    text += &missing(diff.missing, "task", "has no result", "have no result");
    let rows = diff.changed.iter().map(|of| (vec![of.metric.clone()], &of.delta));
    text += &grid(&["metric".to_owned()], rows);
    text + &rest(diff.equal, diff.changed.len(), diff.replicate.as_deref(), "metric")
}

fn heading([from, to]: &[String; 2]) -> String {
    format!("A  {from}\nB  {to}\n")
}

fn structure(of: &Structure) -> String {
    let mut text: String = of.axes.iter().map(axis).collect();
    text += &apart("constraint", &of.only);
    text += &apart("node", &of.nodes);
    text += &apart("table", &of.tables);
    text += &nodes(&of.fields);
    let otherwise = |name: &String| format!("  table {name} asks for something else, and is not compared\n");
    text + &of.asked_otherwise.iter().map(otherwise).collect::<String>()
}

fn axis(change: &AxisChange) -> String {
    let AxisChange { axis, is_shared, values } = change;
    let side = |values: &[String], side: &str| match (values, is_shared) {
        ([], _) => String::new(),
        (values, true) => format!("  axis {axis}: {} only in {side}\n", values.join(", ")),
        (values, false) => format!("  axis {axis} only in {side}: {}\n", values.join(", ")),
    };
    side(&values.from, "A") + &side(&values.to, "B")
}

fn apart(what: &str, apart: &Apart) -> String {
    let sides = [(&apart.from, "A"), (&apart.to, "B")];
    let lines = sides.iter().flat_map(|(names, side)| names.iter().map(move |name| (name, side)));
    lines.map(|(name, side)| format!("  {what} {name} only in {side}\n")).collect()
}

fn nodes(nodes: &[NodeFields]) -> String {
    let lines = nodes.iter().flat_map(|node| node.fields.iter().map(|of| (&node.node, of)));
    lines.map(|(node, of)| format!("  {node}  {}\n", field(of))).collect()
}

/// Writes the old and the new value of a field.
fn field(of: &FieldDifference) -> String {
    let name = &of.field;
    if let Some(source) = name.strip_prefix("inputs.") {
        return format!("other content of {source}");
    }
    let (from, to) = (of.from.join(", "), of.to.join(", "));
    match (of.from.as_slice(), of.to.as_slice()) {
        ([], _) => format!("{name}: {to} is new"),
        (_, []) => format!("{name}: {from} is gone"),
        _ => format!("{name}: {from} → {to}"),
    }
}

fn tasks(nodes: &[NodeTaskCounts]) -> String {
    let has_unknown = nodes.iter().any(|node| node.unknown > 0);
    let mut table = plain();
    let headings = ["tasks", "shared", "only in A", "only in B", "no key yet"];
    table.set_header(&headings[..4 + usize::from(has_unknown)]);
    let sum = |of: fn(&NodeTaskCounts) -> usize| nodes.iter().map(of).sum();
    let all = NodeTaskCounts {
        node: "all".to_owned(),
        renamed: None,
        shared: sum(|node| node.shared),
        only_from: sum(|node| node.only_from),
        only_to: sum(|node| node.only_to),
        unknown: sum(|node| node.unknown),
    };
    for node in nodes.iter().chain([&all]) {
        let counts = [node.shared, node.only_from, node.only_to, node.unknown];
        let counts = counts.iter().take(3 + usize::from(has_unknown)).map(ToString::to_string);
        let renamed = node.renamed.as_ref().map_or(String::new(), |name| format!(" → {name}"));
        table.add_row(std::iter::once(format!("{}{renamed}", node.node)).chain(counts));
    }
    shown(&mut table, 1)
}

fn table(of: &TableDiff) -> String {
    let deltas: Vec<&Delta> = of.changed.iter().map(|cell| &cell.delta).collect();
    let values = of.values.join(", ");
    let mut text = format!("{}: {values}; B − A{}\n", of.name, method(&deltas, of.replicate.as_deref()));
    text += &missing(of.missing, "row", "is not there yet", "are not there yet");
    // A table with a single value expression needs no column for its name.
    let several = of.values.len() > 1;
    let mut headings = of.axes.clone();
    headings.extend(several.then(|| "value".to_owned()));
    let rows = of.changed.iter().map(|cell| {
        let mut labels = cell.labels.clone();
        labels.extend(several.then(|| of.values[cell.value].clone()));
        (labels, &cell.delta)
    });
    text += &grid(&headings, rows);
    text += &rest(of.equal, of.changed.len(), of.replicate.as_deref(), "value");
    for (number, side) in of.apart.iter().zip(["A", "B"]).filter(|(number, _)| **number > 0) {
        text += &format!("{} only in {side}\n", count(*number, "value"));
    }
    text
}

/// Describes how differences are taken, and the marks in the table.
fn method(deltas: &[&Delta], replicate: Option<&str>) -> String {
    let unit = replicate.unwrap_or("unit");
    let sure = |paired: bool| {
        deltas.iter().any(|delta| delta.is_paired == paired && delta.change.interval.is_some())
    };
    let mut text = String::new();
    if sure(true) {
        text += &format!(" within each {unit}, mean and 95 % t interval");
    }
    if deltas.iter().any(|delta| !delta.is_paired) {
        text += &format!("; w: not the same values of {unit}, difference of means with Welch's interval");
    }
    if sure(true) || sure(false) {
        let level = SIGNIFICANT * 100.0;
        text += &format!("; * is not zero (two-sided t test, Holm-adjusted over all, {level:.0} %)");
    }
    text
}

fn missing(missing: [usize; 2], what: &str, one: &str, several: &str) -> String {
    let sides = missing.into_iter().zip(["A", "B"]).filter(|(number, _)| *number > 0);
    let verb = |number| if number == 1 { one } else { several };
    sides.map(|(number, side)| format!("{side}: {} {}\n", count(number, what), verb(number))).collect()
}

fn rest(equal: usize, changed: usize, replicate: Option<&str>, what: &str) -> String {
    let every = replicate.map_or(String::new(), |axis| format!(" in every {axis}"));
    match (equal, changed) {
        (0, 0) => format!("no {what} to compare\n"),
        (0, _) => String::new(),
        (1, 0) => format!("the only {what} is equal{every}\n"),
        (equal, 0) => format!("all {equal} {what}s are equal{every}\n"),
        (1, _) => format!("1 other {what} is equal{every}\n"),
        (equal, _) => format!("{equal} other {what}s are equal{every}\n"),
    }
}

fn grid<'d>(headings: &[String], rows: impl Iterator<Item = (Vec<String>, &'d Delta)>) -> String {
    let mut table = plain();
    table.set_header(headings.iter().map(String::as_str).chain(["A", "B", "B − A", "n"]));
    for (labels, delta) in rows {
        let n = match (delta.is_paired, delta.units) {
            (true, [n, _]) => n.to_string(),
            (false, [one, other]) => format!("{one}, {other} w"),
        };
        let values = [number(delta.from), number(delta.to), estimate(&delta.change), n];
        table.add_row(labels.into_iter().chain(values));
    }
    if table.is_empty() { String::new() } else { shown(&mut table, headings.len()) }
}

fn plain() -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table
}

/// Renders a table as text; the columns behind the labels are right-aligned.
fn shown(table: &mut comfy_table::Table, labels: usize) -> String {
    for column in table.column_iter_mut().skip(labels) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string().lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}
