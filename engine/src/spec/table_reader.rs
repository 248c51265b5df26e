//! The reader of an experiment's tables: resolves the names in them, and checks that every axis has a place.
//! Knows no result.

use super::axis::{Axes, check_comparisons};
use super::expression::{Expression, Literal, LiteralComparison};
use super::heading::report_taken;
use super::naming::misspell_axes;
use super::node::{Node, Nodes, with_role};
use super::table::{Column, Interval, SECONDS, SortKey, Table, TableKind, spanned};
use crate::dense::AxisId;
use crate::ops::MetricRole;
use crate::text::fault::{Faults, Span, suggest};
use crate::text::fields::{Fields, FromValue};
use crate::text::mismatch::mismatch;
use crate::text::value::{Value, ValueKind};
use crate::text::variant::{choice, variant};

/// The axes and nodes that names in a table can refer to.
pub struct TableReader<'s> {
    /// The axes of the experiment.
    pub axes: &'s Axes,
    /// The nodes of the experiment.
    pub nodes: &'s Nodes,
}

/// The reader of the fields of one kind of table.
type KindReader = fn(&TableReader<'_>, &mut Fields<'_>, &mut Faults) -> Option<TableKind>;

/// The kinds of tables, each with its reader.
const KINDS: [(&str, KindReader); 6] = [
    ("Table", |scope, fields, faults| scope.read_table(fields, faults)),
    ("Pivot", |scope, fields, faults| scope.read_pivot(fields, faults)),
    ("Pareto", |scope, fields, faults| scope.read_pareto(fields, faults)),
    ("Contrast", |scope, fields, faults| scope.read_contrast(fields, faults)),
    ("Choose", |scope, fields, faults| scope.read_choose(fields, faults)),
    ("Importance", |scope, fields, faults| scope.read_importance(fields, faults)),
];

impl TableReader<'_> {
    /// Reads one table; returns `None` if it has faults.
    pub fn read(&self, name: &str, span: Span, value: &Value, faults: &mut Faults) -> Option<Table> {
        let names = KINDS.map(|(name, _)| name);
        let name_of_kind = variant(value, "a kind of table", &names, faults)?;
        let (_, read) = KINDS.iter().find(|(name, _)| *name == name_of_kind)?;
        let mut fields = Fields::open(value, name_of_kind, faults)?;
        fields.about(&[
            ("where", "An expression over axes and metrics: only the results that satisfy it are in the table."),
            ("replicate", "The axis over which means and intervals are taken, such as the seeds of trainings."),
            ("average", "Axes over which values are averaged first, within each replicate, such as draws of stochastic rounding."),
            ("interval", "What the 95 % interval is over: other replicates, other images, or both."),
        ]);
        let kind = read(self, &mut fields, faults);
        let filter = fields.take("where").map(|value| self.compile(value, faults));
        let replicate = fields.take("replicate").map(|value| self.axis(value, faults));
        let average = self.axes(&mut fields, "average", faults).unwrap_or_default();
        fields.otherwise(
            "interval",
            "`Seeds` with `replicate`; without it `Images`, where values are made of accuracies",
        );
        let interval = fields.take("interval").map(|value| self.interval(value, kind.as_ref(), faults));
        let has_units = replicate.is_some();
        let clean = fields.finish(faults);
        let table = Table {
            name: name.to_owned(),
            span,
            interval: match interval {
                Some(read) => read?,
                None => self.usual_interval(kind.as_ref()?, has_units),
            },
            kind: kind?,
            filter: filter.map_or(Some(None), |filter| filter.map(Some))?,
            replicate: replicate.map_or(Some(None), |axis| axis.map(Some))?,
            average,
        };
        // With a misspelt field, a missing axis may be named in that field.
        if clean {
            self.account(&table, value.span, faults);
            report_taken(&table, self.axes, self.nodes, faults);
        }
        Some(table)
    }

    fn read_pareto(&self, fields: &mut Fields<'_>, faults: &mut Faults) -> Option<TableKind> {
        fields.about(&[
            ("minimize", "The cost, such as `small.bytes`: less is better."),
            ("maximize", "The value, such as `accuracy.accuracy`: more is better."),
            ("each", "The axes for each of whose combinations there is a front."),
        ]);
        let minimize = self.expression(fields, "minimize", faults);
        let maximize = self.expression(fields, "maximize", faults);
        let each = self.axes(fields, "each", faults);
        Some(TableKind::Pareto { minimize: minimize?, maximize: maximize?, each: each? })
    }

    fn read_table(&self, fields: &mut Fields<'_>, faults: &mut Faults) -> Option<TableKind> {
        fields.about(&[
            ("columns", "The expressions over `node.metric` that the columns have, as a list, or as a map from headings."),
            ("rows", "The axes that make rows; without it, all axes of the columns."),
            ("sort", "The axes and headings by which rows are sorted, the first one first."),
        ]);
        let columns: Option<Value> = fields.required("columns", faults);
        let columns = columns.and_then(|value| self.columns(&value, faults));
        let rows = if fields.has("rows") { Some(self.axes(fields, "rows", faults)?) } else { None };
        let sort = fields.take("sort");
        let columns = columns?;
        let sort = sort.map(|value| self.sort(value, &columns, faults)).unwrap_or_default();
        Some(TableKind::Table { rows, columns, sort })
    }

    fn read_pivot(&self, fields: &mut Fields<'_>, faults: &mut Faults) -> Option<TableKind> {
        fields.about(&[
            ("value", "The expression over `node.metric` in each cell."),
            ("rows", "The axes that make rows."),
            ("columns", "The axes that make columns."),
            ("each", "The axes for each of whose combinations there is a grid."),
            ("margin", "A cell is marked if its value is surely below this."),
        ]);
        let value = self.expression(fields, "value", faults);
        let rows = self.axes(fields, "rows", faults);
        let columns = self.axes(fields, "columns", faults);
        let each = self.axes(fields, "each", faults);
        let margin = fields.optional("margin", None, faults);
        Some(TableKind::Pivot { value: value?, rows: rows?, columns: columns?, each: each?, margin: margin? })
    }

    fn read_contrast(&self, fields: &mut Fields<'_>, faults: &mut Faults) -> Option<TableKind> {
        fields.about(&[
            ("value", "The expression over `node.metric` whose change is measured."),
            (
                "between",
                "One or two axes: the effect of each, and with two whether they depend on each other.",
            ),
        ]);
        let value = self.expression(fields, "value", faults);
        let span = fields.span_of("between");
        if !fields.has("between") {
            fields.required::<Value>("between", faults);
            return None;
        }
        let between = self.axes(fields, "between", faults)?;
        if !(1..=2).contains(&between.len()) {
            faults.add(
                span,
                "a contrast is between the levels of one axis, or of two",
                "name one or two axes",
            );
            return None;
        }
        if let Some(axis) = between.iter().map(|&axis| &self.axes[axis]).find(|axis| axis.levels.len() < 2) {
            let message = format!("axis `{}` has one value, and nothing to compare it with", axis.name);
            faults.add(span, message, "give it another value, or leave out the contrast");
            return None;
        }
        Some(TableKind::Contrast { value: value?, between })
    }

    fn read_importance(&self, fields: &mut Fields<'_>, faults: &mut Faults) -> Option<TableKind> {
        fields.about(&[(
            "value",
            "The expression over `node.metric` whose variance is divided among the axes.",
        )]);
        Some(TableKind::Importance { value: self.expression(fields, "value", faults)? })
    }

    /// Reads the source of variation of confidence intervals; `Images` and `Both` need a value made of accuracies.
    fn interval(&self, value: &Value, kind: Option<&TableKind>, faults: &mut Faults) -> Option<Interval> {
        let choices = [("Seeds", Interval::Seeds), ("Images", Interval::Images), ("Both", Interval::Both)];
        let interval = choice(value, "a kind of interval", &choices, faults)?;
        if interval != Interval::Seeds && !self.is_made_of_accuracies(kind?) {
            let message = "an interval over images needs a value made of accuracies";
            faults.add(
                value.span,
                message,
                "as in `full.accuracy - accuracy.accuracy`, in a Table, Pivot, Pareto, Contrast or Choose",
            );
            return None;
        }
        Some(interval)
    }

    /// Returns the source of variation of a table that names none: the units of replication; without them the images,
    /// where values are made of accuracies.
    fn usual_interval(&self, kind: &TableKind, has_units: bool) -> Interval {
        if !has_units && self.is_made_of_accuracies(kind) { Interval::Images } else { Interval::Seeds }
    }

    fn is_made_of_accuracies(&self, kind: &TableKind) -> bool {
        let is_share =
            |value: &Expression| with_role(value, self.nodes, MetricRole::Accuracy).next().is_some();
        kind.values_over_images().into_iter().any(is_share)
    }

    pub(super) fn expression(
        &self,
        fields: &mut Fields<'_>,
        name: &'static str,
        faults: &mut Faults,
    ) -> Option<Expression> {
        let value: Value = fields.required(name, faults)?;
        self.compile(&value, faults)
    }

    /// Compiles an expression and checks every name in it.
    pub(super) fn compile(&self, value: &Value, faults: &mut Faults) -> Option<Expression> {
        let text = String::from_value(value, faults)?;
        let expression = Expression::compile(&text, value.span, faults)?;
        let mut known = check_comparisons(&expression, self.axes, faults);
        for LiteralComparison { path, literal } in &expression.comparisons {
            let is_metric = self.nodes.iter().any(|node| node.name == path[0]);
            if is_metric && !matches!(literal, Literal::Number(_)) {
                let message = format!("`{}` is a number, which never equals {literal}", path.join("."));
                faults.add(value.span, message, "compare it with a number, such as `0.5`");
                known = false;
            }
        }
        for reference in &expression.references {
            if self.axes.iter().any(|axis| axis.name == reference.root) {
                continue;
            }
            let Some(node) = self.nodes.iter().find(|node| node.name == reference.root) else {
                let names =
                    self.nodes.iter().map(|node| &node.name).chain(self.axes.iter().map(|axis| &axis.name));
                let hint = suggest(&reference.root, names.map(String::as_str));
                faults.add(value.span, format!("there is no node or axis `{}`", reference.root), hint);
                known = false;
                continue;
            };
            let metrics = node.kind.metrics.iter().copied().chain([SECONDS]);
            let member = reference.member.as_deref().unwrap_or("");
            if !metrics.clone().any(|metric| metric == member) {
                let message = match &reference.member {
                    Some(member) => format!("`{}` has no metric `{member}`", node.name),
                    None => format!("`{}` is a node: name one of its metrics, `{}.…`", node.name, node.name),
                };
                faults.add(value.span, message, suggest(member, metrics));
                known = false;
            }
        }
        known.then_some(expression)
    }

    fn columns(&self, value: &Value, faults: &mut Faults) -> Option<Vec<Column>> {
        let mut columns = vec![];
        match &value.kind {
            ValueKind::List(items) => {
                for item in items {
                    let value = self.compile(item, faults)?;
                    columns.push(Column { heading: value.text.clone(), span: item.span, value });
                }
            }
            ValueKind::Map(entries) => {
                for (heading, item) in entries {
                    let (text, value) = (String::from_value(heading, faults)?, self.compile(item, faults)?);
                    columns.push(Column { heading: text, span: heading.span, value });
                }
            }
            _ => {
                mismatch(value, "a list of expressions, or a map of headings to expressions", faults);
                return None;
            }
        }
        Some(columns)
    }

    fn sort(&self, value: &Value, columns: &[Column], faults: &mut Faults) -> Vec<(SortKey, bool)> {
        let one = std::slice::from_ref(value);
        let items = if let ValueKind::List(items) = &value.kind { items.as_slice() } else { one };
        let mut keys = vec![];
        for item in items {
            let Some(text) = String::from_value(item, faults) else { continue };
            let key = |name: &str| {
                let column = columns.iter().position(|column| column.heading == name);
                let axis = || self.axes.find(|axis| axis.name == name);
                column.map(SortKey::Column).or_else(|| axis().map(SortKey::Axis))
            };
            // A heading may begin with `-`, which otherwise asks for descending order, so the whole text is tried
            // first.
            let descending = text.strip_prefix('-');
            let found = key(&text).map(|key| (key, false));
            match found.or_else(|| descending.and_then(key).map(|key| (key, true))) {
                Some(key) => keys.push(key),
                None => {
                    let name = descending.unwrap_or(&text);
                    let headings = columns.iter().map(|column| &column.heading);
                    let valid = headings.chain(self.axes.iter().map(|axis| &axis.name));
                    let hint = suggest(name, valid.map(String::as_str));
                    faults.add(item.span, format!("there is no column or axis `{name}` to sort by"), hint);
                }
            }
        }
        keys
    }

    fn axis(&self, value: &Value, faults: &mut Faults) -> Option<AxisId> {
        let name = String::from_value(value, faults)?;
        let found = self.axes.find(|axis| axis.name == name);
        if found.is_none() {
            let valid = self.axes.iter().map(|axis| axis.name.as_str());
            faults.add(value.span, format!("there is no axis `{name}`"), suggest(&name, valid));
        }
        found
    }

    pub(super) fn axes(
        &self,
        fields: &mut Fields<'_>,
        name: &'static str,
        faults: &mut Faults,
    ) -> Option<Vec<AxisId>> {
        let Some(value) = fields.take(name) else { return Some(vec![]) };
        let ValueKind::List(items) = &value.kind else {
            mismatch(value, "a list of axes", faults);
            return None;
        };
        let found: Vec<Option<AxisId>> = items.iter().map(|item| self.axis(item, faults)).collect();
        found.into_iter().collect()
    }

    /// Reports axes that a table names twice, pools over without effect, or does not mention although its values
    /// depend on them.
    fn account(&self, table: &Table, span: Span, faults: &mut Faults) {
        let said = table.named();
        if let Some(twice) = (1..said.len()).find(|&at| said[..at].contains(&said[at])) {
            let name = &self.axes[said[twice]].name;
            let message = format!("table `{}` names axis `{name}` twice", table.name);
            faults.add(span, message, "an axis has one place in a table: remove the other");
        }
        let depends = spanned(&table.expressions(), self.axes, self.nodes);
        // If the name of an axis is misspelt where it is used, or the input of a node, that fault is already reported.
        let is_clear = !misspell_axes(self.nodes, self.axes) && self.nodes.iter().all(Node::is_wired);
        for axis in table.kind.groups().iter().filter(|axis| is_clear && !depends.contains(axis)) {
            let name = &self.axes[*axis].name;
            let message = format!("no value of table `{}` depends on axis `{name}`", table.name);
            faults.add(span, message, "every group would be the same: remove it from `each`");
        }
        let pooled = table.replicate.iter().chain(&table.average).chain(table.compared());
        for axis in pooled.filter(|axis| is_clear && !depends.contains(axis)) {
            let name = &self.axes[*axis].name;
            let message = format!("no value of table `{}` depends on axis `{name}`", table.name);
            faults.add(span, message, "pooling over it would repeat one result: remove it from the table");
        }
        if table.keeps_the_rest() {
            return;
        }
        for axis in depends {
            if !said.contains(&axis) {
                let name = &self.axes[axis].name;
                let message = format!("table `{}` does not say what to do with axis `{name}`", table.name);
                faults.add(
                    span,
                    message,
                    format!("name `{name}` in `rows`, `columns`, `each`, `replicate` or `average`"),
                );
            }
        }
    }
}
