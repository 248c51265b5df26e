//! An experiment: its name, axes, constraints, nodes and tables, read from the text of a file.
//! Knows nothing of tasks or parameters; see [`crate::graph`] for both.

use std::collections::HashSet;

use super::axis::{Axes, Axis};
use super::constraint::Constraint;
use super::expression::Expression;
use super::naming::{check_axes, misspell_axes, nested_axes};
use super::node::{Node, Nodes, read_nodes};
use super::table::{Table, spanned};
use super::table_reader::TableReader;
use crate::dense::{AxisId, NodeId};
use crate::ops::NodeKind;
use crate::text::fault::{Faults, Span, suggest};
use crate::text::fields::{Fields, FromValue};
use crate::text::mismatch::mismatch;
use crate::text::value::{Struct, Value, ValueKind};

/// The reserved words of the expression language (CEL).
const RESERVED: [&str; 21] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "void",
    "while",
];

/// One experiment file.
#[derive(Debug)]
pub struct Experiment {
    /// The name.
    pub name: String,
    /// The description, in the author's words.
    pub about: String,
    /// The axes, in the order of the file.
    pub axes: Axes,
    /// The constraints that restrict the combinations.
    pub only: Vec<Constraint>,
    /// The nodes, in the order of the file.
    pub nodes: Nodes,
    /// The tables, in the order of the file.
    pub tables: Vec<Table>,
    /// The names of the tables that a run prints; `None` prints the first [`MOST_SHOWN`].
    pub show: Option<Vec<String>>,
}

/// The number of tables that a run prints if the experiment does not name any.
pub const MOST_SHOWN: usize = 5;

impl Experiment {
    /// Returns the axes that the file has; the axis of probes is not among them.
    pub fn written_axes(&self) -> impl Iterator<Item = &Axis> {
        self.axes.iter().filter(|axis| !axis.is_of_probes())
    }

    /// Parses an experiment and reports every fault found; the result leaves out the parts with faults. Returns
    /// `None` if the text is not an `Experiment(…)`.
    pub fn parse(text: &str, kinds: &'static [NodeKind], faults: &mut Faults) -> Option<Self> {
        Self::from_value(&Value::parse(text, faults), kinds, faults)
    }

    /// Reads an experiment from its value, as [`Self::parse`] does.
    pub fn from_value(value: &Value, kinds: &'static [NodeKind], faults: &mut Faults) -> Option<Self> {
        if let ValueKind::Struct(Struct { name: Some(name), .. }) = &value.kind
            && &**name != "Experiment"
        {
            let hint = "a file is one `Experiment(name: …, nodes: {…})`";
            faults.add(value.span, format!("`{name}` is not an experiment"), hint);
            return None;
        }
        let mut fields = Fields::open(value, "Experiment", faults)?;
        fields.about(&[
            ("name", "The name of the experiment, in run logs, reports and file names."),
            ("about", "A description, for reports."),
            ("axes", "The lists of values that are varied. A node runs once for each combination of the axes that it, or a node it reads, names."),
            ("only", "Expressions over axes that a combination must satisfy; all others are left out."),
            ("nodes", "The steps, by names of your choice. A node names the nodes that it reads."),
            ("tables", "The tables of the results, by names of your choice."),
            ("show", "The names of the tables that `run` prints, in this order."),
        ]);
        let name = fields.required("name", faults).unwrap_or_default();
        let about = fields.optional("about", String::new(), faults).unwrap_or_default();
        let axes = entries(fields.take("axes"), "axis", faults);
        let (axes, are_bounded) = Axis::read_all(&axes, faults);
        check_axes(&axes, faults);
        let only = read_only(fields.take("only"), &axes, faults);
        let drafts: Option<Value> = fields.required("nodes", faults);
        let drafts = match &drafts {
            Some(value) if matches!(&value.kind, ValueKind::Map(map) if map.is_empty()) => {
                faults.add(
                    value.span,
                    "this experiment has no node",
                    "add one: `\"data\": Dataset(source: Mnist10k)`",
                );
                vec![]
            }
            other => entries(other.as_ref(), "node", faults),
        };
        report_clashes(&axes, &drafts, faults);
        let nodes = read_nodes(&drafts, &axes, kinds, faults);
        let tables = entries(fields.take("tables"), "table", faults);
        fields.otherwise("show", "the first five tables");
        let show = fields.take("show").map(|value| read_show(value, &tables, faults));
        // Tables refer to nodes; if a node is missing, faults of the tables would only repeat the fault of the node.
        let whole = nodes.len() == drafts.len();
        let scope = TableReader { axes: &axes, nodes: &nodes };
        let tables = tables
            .iter()
            .filter(|_| whole)
            .filter_map(|(name, span, value)| scope.read(name, *span, value, faults))
            .collect();
        fields.finish(faults);
        let experiment = Self { name, about, axes, only, nodes, tables, show };
        // An axis that is too large does not say which ones it names.
        if whole && are_bounded {
            experiment.report_unused_axes(faults);
        }
        Some(experiment)
    }

    /// Returns the node with a name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<NodeId> {
        self.nodes.find(|node| node.name == name)
    }

    /// Returns the axis with a name.
    #[must_use]
    pub fn axis(&self, name: &str) -> Option<AxisId> {
        self.axes.find(|axis| axis.name == name)
    }

    /// Returns the table with a name.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// Returns the tables that a run prints.
    #[must_use]
    pub fn shown_tables(&self) -> Vec<&Table> {
        match &self.show {
            Some(names) => names.iter().filter_map(|name| self.table(name)).collect(),
            None => self.tables.iter().take(MOST_SHOWN).collect(),
        }
    }

    /// Returns the names of axes.
    #[must_use]
    pub fn axis_names(&self, axes: &[AxisId]) -> Vec<&str> {
        axes.iter().map(|&axis| self.axes[axis].name.as_str()).collect()
    }

    /// Returns axes, each with its name and the label of its level at a point; `levels` has a level per axis.
    pub fn labels(&self, axes: &[AxisId], levels: &[usize]) -> impl Iterator<Item = (&str, &str)> {
        axes.iter().zip(levels).filter_map(|(&axis, &level)| {
            let axis = self.axes.get(axis)?;
            Some((axis.name.as_str(), axis.levels.get(level)?.label.as_str()))
        })
    }

    /// Returns the nodes whose metrics some expressions name.
    #[must_use]
    pub fn nodes_in(&self, expressions: &[&Expression]) -> Vec<NodeId> {
        let is_named = |node: &Node| expressions.iter().any(|of| of.mentions(&node.name));
        self.nodes.pairs().filter(|(_, node)| is_named(node)).map(|(id, _)| id).collect()
    }

    /// Returns the axes that an expression depends on, ascending.
    #[must_use]
    pub fn axes_of(&self, expression: &Expression) -> Vec<AxisId> {
        spanned(&[expression], &self.axes, &self.nodes)
    }

    fn report_unused_axes(&self, faults: &mut Faults) {
        // If the name of an axis is misspelt where it is used, that fault is already reported.
        if misspell_axes(&self.nodes, &self.axes) {
            return;
        }
        // An axis that is named only by the values of an unused axis is not reported: the fault of the unused axis
        // covers it.
        let nested = nested_axes(&self.axes);
        for (at, axis) in self.axes.pairs() {
            let is_used = self.nodes.iter().any(|node| node.own_axes.contains(&at));
            if !is_used && !nested.contains(&at) {
                let hint = format!("write `Axis(\"{}\")` in a node, or remove the axis", axis.name);
                faults.add(axis.span, format!("no node uses axis `{}`", axis.name), hint);
            }
        }
    }
}

/// Returns the entries of a map of names; reports names that are invalid or occur twice.
fn entries(value: Option<&Value>, what: &str, faults: &mut Faults) -> Vec<(String, Span, Value)> {
    let Some(value) = value else { return vec![] };
    let ValueKind::Map(map) = &value.kind else {
        mismatch(value, &format!("a map, `{{\"{what}\": …}}`"), faults);
        return vec![];
    };
    let mut seen = HashSet::new();
    let mut read = vec![];
    for (key, value) in map {
        let Some(name) = String::from_value(key, faults) else { continue };
        if let Err((message, hint)) = check_name(&name, what) {
            faults.add(key.span, message, hint);
        }
        if seen.insert(name.clone()) {
            read.push((name, key.span, value.clone()));
        } else {
            faults.add(
                key.span,
                format!("there are two {what} entries named `{name}`"),
                "rename one of the two",
            );
        }
    }
    read
}

/// Reads the names of the tables that a run prints; each must be one of `tables`, and stand once.
fn read_show(value: &Value, tables: &[(String, Span, Value)], faults: &mut Faults) -> Vec<String> {
    let ValueKind::List(items) = &value.kind else {
        mismatch(value, "a list of tables, `[\"drop\", \"pareto\"]`", faults);
        return vec![];
    };
    let mut names: Vec<String> = vec![];
    for item in items {
        let Some(name) = String::from_value(item, faults) else { continue };
        if names.contains(&name) {
            faults.add(item.span, format!("`show` names table `{name}` twice"), "remove the other");
        } else if tables.iter().any(|(table, ..)| *table == name) {
            names.push(name);
        } else {
            let hint = suggest(&name, tables.iter().map(|(table, ..)| table.as_str()));
            faults.add(item.span, format!("there is no table `{name}`"), hint);
        }
    }
    names
}

fn read_only(value: Option<&Value>, axes: &Axes, faults: &mut Faults) -> Vec<Constraint> {
    let Some(value) = value else { return vec![] };
    let ValueKind::List(items) = &value.kind else {
        mismatch(value, "a list of constraints", faults);
        return vec![];
    };
    items
        .iter()
        .filter_map(|item| Constraint::compile(&String::from_value(item, faults)?, item.span, axes, faults))
        .collect()
}

fn report_clashes(axes: &[Axis], nodes: &[(String, Span, Value)], faults: &mut Faults) {
    for (name, span, _) in nodes {
        if axes.iter().any(|axis| axis.name == *name) {
            faults.add(
                *span,
                format!("`{name}` names an axis and a node"),
                "rename one: tables could not tell them apart",
            );
        }
    }
}

/// Checks the name of an axis, node or table (`what`); the error is a message and a hint.
pub fn check_name(name: &str, what: &str) -> Result<(), (String, &'static str)> {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(word) {
        let article = if what == "axis" { "an" } else { "a" };
        let hint = "names start with a small letter and go on with small letters, digits and `_`";
        return Err((format!("`{name}` cannot name {article} {what}"), hint));
    }
    if RESERVED.contains(&name) {
        return Err((format!("`{name}` is a word of the expression language"), "choose another name"));
    }
    Ok(())
}
