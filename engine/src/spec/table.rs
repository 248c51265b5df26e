//! The tables of an experiment, as asked for: which expressions, over which axes.
//! Knows no result; see [`crate::table`] for how they are made.

use std::collections::{BTreeMap, HashMap};

use super::axis::{Axis, check_comparisons};
use super::expression::{Evaluator, Expression};
use super::node::Node;
use crate::text::fault::{Faults, Span, suggest};
use crate::text::read::{Fields, Read, mismatch, variant};
use crate::text::value::{Kind, Value};

/// The metric that every node has: seconds of computing when its record was made.
pub const SECONDS: &str = "seconds";

/// A table as asked for.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Where its name is written.
    pub span: Span,
    /// What it shows.
    pub shape: Shape,
    /// Which rows count.
    pub filter: Option<Expression>,
    /// The axis that is the unit of replication.
    pub replicate: Option<usize>,
    /// The axes averaged within a unit of replication first.
    pub average: Vec<usize>,
}

/// The shapes of tables.
#[derive(Debug)]
pub enum Shape {
    /// A row per combination of axes, a column per expression.
    Table {
        /// The axes that make rows; none given means all that the expressions depend on.
        rows: Option<Vec<usize>>,
        /// Heading and expression.
        columns: Vec<(String, Expression)>,
        /// Column or axis to sort by, and whether descending.
        sort: Vec<(SortKey, bool)>,
    },
    /// One value over two groups of axes, once for each combination of a third.
    Pivot {
        /// The value in each cell.
        value: Expression,
        /// Axes down.
        rows: Vec<usize>,
        /// Axes across.
        columns: Vec<usize>,
        /// Axes of which every combination gets a grid of its own.
        each: Vec<usize>,
    },
    /// The points that nothing else beats in both of two values.
    Pareto {
        /// The value to be small.
        minimize: Expression,
        /// The value to be large.
        maximize: Expression,
    },
}

/// What a table is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortKey {
    /// An axis, in the order of its values.
    Axis(usize),
    /// A column, by number.
    Column(usize),
}

impl Table {
    /// Returns the expressions whose values it shows.
    #[must_use]
    pub fn values(&self) -> Vec<&Expression> {
        match &self.shape {
            Shape::Table { columns, .. } => columns.iter().map(|(_, expression)| expression).collect(),
            Shape::Pivot { value, .. } => vec![value],
            Shape::Pareto { minimize, maximize } => vec![minimize, maximize],
        }
    }

    /// Returns the expressions in the table, its filter among them.
    #[must_use]
    pub fn expressions(&self) -> Vec<&Expression> {
        let mut all = self.values();
        all.extend(&self.filter);
        all
    }

    /// Returns the axes the table spans, ascending: those of its expressions and those it names.
    #[must_use]
    pub fn axes(&self, axes: &[Axis], nodes: &[Node]) -> Vec<usize> {
        let mut all = spanned(&self.expressions(), axes, nodes);
        match &self.shape {
            Shape::Table { rows, .. } => all.extend(rows.iter().flatten()),
            Shape::Pivot { rows, columns, each, .. } => all.extend(rows.iter().chain(columns).chain(each)),
            Shape::Pareto { .. } => {}
        }
        all.extend(self.replicate.iter().chain(&self.average));
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// What an expression must give.
#[derive(Clone, Copy)]
enum Gives {
    Number,
    Truth,
}

/// What names in a table can refer to.
pub struct Scope<'s> {
    /// The axes of the experiment.
    pub axes: &'s [Axis],
    /// Its nodes.
    pub nodes: &'s [Node],
}

impl Scope<'_> {
    /// Reads one table; none if it has faults.
    pub fn read(&self, name: &str, span: Span, value: &Value, faults: &mut Faults) -> Option<Table> {
        let kind = variant(value, "a kind of table", &["Table", "Pivot", "Pareto"], faults)?;
        let mut fields = Fields::open(value, kind, faults)?;
        let shape = match kind {
            "Table" => self.read_table(&mut fields, faults),
            "Pivot" => self.read_pivot(&mut fields, faults),
            _ => {
                let minimize = self.expression(&mut fields, "minimize", faults);
                let maximize = self.expression(&mut fields, "maximize", faults);
                minimize.zip(maximize).map(|(minimize, maximize)| Shape::Pareto { minimize, maximize })
            }
        };
        let filter = fields.take("where").map(|value| self.compile(value, Gives::Truth, faults));
        let replicate = fields.take("replicate").map(|value| self.axis(value, faults));
        let average = self.axes(&mut fields, "average", faults).unwrap_or_default();
        let clean = fields.finish(faults);
        let table = Table {
            name: name.to_owned(),
            span,
            shape: shape?,
            filter: filter.map_or(Some(None), |filter| filter.map(Some))?,
            replicate: replicate.map_or(Some(None), |axis| axis.map(Some))?,
            average,
        };
        // A misspelt field may be the one that says it.
        if clean {
            self.account(&table, value.span, faults);
        }
        Some(table)
    }

    fn read_table(&self, fields: &mut Fields<'_>, faults: &mut Faults) -> Option<Shape> {
        let columns: Option<Value> = fields.required("columns", faults);
        let columns = columns.and_then(|value| self.columns(&value, faults));
        let rows = if fields.has("rows") { Some(self.axes(fields, "rows", faults)?) } else { None };
        let sort = fields.take("sort");
        let columns = columns?;
        let sort = sort.map(|value| self.sort(value, &columns, faults)).unwrap_or_default();
        Some(Shape::Table { rows, columns, sort })
    }

    fn read_pivot(&self, fields: &mut Fields<'_>, faults: &mut Faults) -> Option<Shape> {
        let value = self.expression(fields, "value", faults);
        let rows = self.axes(fields, "rows", faults);
        let columns = self.axes(fields, "columns", faults);
        let each = self.axes(fields, "each", faults);
        Some(Shape::Pivot { value: value?, rows: rows?, columns: columns?, each: each? })
    }

    fn expression(
        &self,
        fields: &mut Fields<'_>,
        name: &'static str,
        faults: &mut Faults,
    ) -> Option<Expression> {
        let value: Value = fields.required(name, faults)?;
        self.compile(&value, Gives::Number, faults)
    }

    /// Compiles an expression and checks every name in it.
    fn compile(&self, value: &Value, gives: Gives, faults: &mut Faults) -> Option<Expression> {
        let text = String::read(value, faults)?;
        let expression = Expression::compile(&text, value.span, faults)?;
        let mut known = check_comparisons(&expression, self.axes, faults);
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
        if known && let Err(error) = self.try_out(&expression, gives) {
            faults.add(value.span, format!("`{text}`: {error}"), "");
            known = false;
        }
        known.then_some(expression)
    }

    /// Evaluates an expression at the first value of every axis with metrics made up, so that types that do not fit
    /// show before anything runs.
    fn try_out(&self, expression: &Expression, gives: Gives) -> Result<(), String> {
        let mut variables: BTreeMap<&str, cel::Value> = BTreeMap::new();
        let mut metrics: BTreeMap<&str, HashMap<String, cel::Value>> = BTreeMap::new();
        for reference in &expression.references {
            match self.axes.iter().find(|axis| axis.name == reference.root) {
                // An axis without values is a fault of its own.
                Some(axis) if axis.levels.is_empty() => return Ok(()),
                Some(axis) => drop(variables.insert(&reference.root, axis.cel(0))),
                None => {
                    let metric = reference.member.clone().unwrap_or_default();
                    metrics.entry(&reference.root).or_default().insert(metric, cel::Value::Float(0.5));
                }
            }
        }
        variables.extend(metrics.into_iter().map(|(node, metrics)| (node, cel::Value::from(metrics))));
        let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value));
        match gives {
            Gives::Number => Evaluator::new().number(expression, variables).map(drop),
            Gives::Truth => Evaluator::new().truth(expression, variables).map(drop),
        }
    }

    fn columns(&self, value: &Value, faults: &mut Faults) -> Option<Vec<(String, Expression)>> {
        let mut columns = vec![];
        match &value.kind {
            Kind::List(items) => {
                for item in items {
                    let expression = self.compile(item, Gives::Number, faults)?;
                    columns.push((expression.text.clone(), expression));
                }
            }
            Kind::Map(entries) => {
                for (heading, item) in entries {
                    columns
                        .push((String::read(heading, faults)?, self.compile(item, Gives::Number, faults)?));
                }
            }
            _ => {
                mismatch(value, "a list of expressions, or a map of headings to expressions", faults);
                return None;
            }
        }
        Some(columns)
    }

    fn sort(
        &self,
        value: &Value,
        columns: &[(String, Expression)],
        faults: &mut Faults,
    ) -> Vec<(SortKey, bool)> {
        let one = std::slice::from_ref(value);
        let items = if let Kind::List(items) = &value.kind { items.as_slice() } else { one };
        let mut keys = vec![];
        for item in items {
            let Some(text) = String::read(item, faults) else { continue };
            let (name, descending) =
                text.strip_prefix('-').map_or((text.as_str(), false), |name| (name, true));
            let column = columns.iter().position(|(heading, _)| heading == name).map(SortKey::Column);
            let axis = self.axes.iter().position(|axis| axis.name == name).map(SortKey::Axis);
            match column.or(axis) {
                Some(key) => keys.push((key, descending)),
                None => {
                    let valid = columns
                        .iter()
                        .map(|(heading, _)| heading)
                        .chain(self.axes.iter().map(|axis| &axis.name));
                    let hint = suggest(name, valid.map(String::as_str));
                    faults.add(item.span, format!("there is no column or axis `{name}` to sort by"), hint);
                }
            }
        }
        keys
    }

    fn axis(&self, value: &Value, faults: &mut Faults) -> Option<usize> {
        let name = String::read(value, faults)?;
        let found = self.axes.iter().position(|axis| axis.name == name);
        if found.is_none() {
            let valid = self.axes.iter().map(|axis| axis.name.as_str());
            faults.add(value.span, format!("there is no axis `{name}`"), suggest(&name, valid));
        }
        found
    }

    fn axes(&self, fields: &mut Fields<'_>, name: &'static str, faults: &mut Faults) -> Option<Vec<usize>> {
        let Some(value) = fields.take(name) else { return Some(vec![]) };
        let Kind::List(items) = &value.kind else {
            mismatch(value, "a list of axes", faults);
            return None;
        };
        let found: Vec<Option<usize>> = items.iter().map(|item| self.axis(item, faults)).collect();
        found.into_iter().collect()
    }

    /// Reports axes that the table's values depend on and the table says nothing about.
    fn account(&self, table: &Table, span: Span, faults: &mut Faults) {
        let mut said: Vec<usize> = table.replicate.iter().chain(&table.average).copied().collect();
        match &table.shape {
            Shape::Table { rows: Some(rows), .. } => said.extend(rows),
            Shape::Pivot { rows, columns, each, .. } => said.extend(rows.iter().chain(columns).chain(each)),
            Shape::Table { rows: None, .. } | Shape::Pareto { .. } => {}
        }
        if let Some(twice) = (1..said.len()).find(|&at| said[..at].contains(&said[at])) {
            let name = &self.axes[said[twice]].name;
            let message = format!("table `{}` names axis `{name}` twice", table.name);
            faults.add(span, message, "an axis has one place in a table: remove the other");
        }
        let depends = spanned(&table.expressions(), self.axes, self.nodes);
        for axis in table.replicate.iter().chain(&table.average).filter(|axis| !depends.contains(axis)) {
            let name = &self.axes[*axis].name;
            let message = format!("no value of table `{}` depends on axis `{name}`", table.name);
            faults.add(span, message, "pooling over it would repeat one result: remove it from the table");
        }
        if matches!(&table.shape, Shape::Table { rows: None, .. } | Shape::Pareto { .. }) {
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

/// Returns the axes that expressions depend on, ascending.
fn spanned(expressions: &[&Expression], axes: &[Axis], nodes: &[Node]) -> Vec<usize> {
    let mut all = vec![];
    for reference in expressions.iter().flat_map(|expression| &expression.references) {
        all.extend(axes.iter().position(|axis| axis.name == reference.root));
        all.extend(nodes.iter().filter(|node| node.name == reference.root).flat_map(|node| &node.axes));
    }
    all.sort_unstable();
    all.dedup();
    all
}
