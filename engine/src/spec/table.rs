//! The tables of an experiment, as asked for: which expressions, over which axes.
//! Knows no result; see [`crate::table`] for how they are made, and [`super::scope`] for how they are read.

use super::axis::Axis;
use super::expression::Expression;
use super::node::Node;
use crate::text::fault::Span;

/// The most rows of a table, before any is left out.
pub const MOST_ROWS: usize = 10_000_000;

/// The metric that every node has: seconds of computing when its record was made.
pub const SECONDS: &str = "seconds";

/// A table as asked for.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Where its name is written.
    pub span: Span,
    /// What it shows.
    pub shape: TableKind,
    /// Which rows count.
    pub filter: Option<Expression>,
    /// The axis that is the unit of replication.
    pub replicate: Option<usize>,
    /// The axes averaged within a unit of replication first.
    pub average: Vec<usize>,
    /// What its intervals are over.
    pub interval: Interval,
}

/// What the interval of a mean is over: what else could have been drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interval {
    /// The units of replication: other trainings, judged on these images.
    #[default]
    Seeds,
    /// Images: these very networks, judged on others.
    Images,
    /// Other trainings, judged on other images.
    Both,
}

/// The shapes of tables.
#[derive(Clone, Debug)]
pub enum TableKind {
    /// A row per combination of axes, a column per expression.
    Table {
        /// The axes that make rows; none given means all that the expressions depend on.
        rows: Option<Vec<usize>>,
        /// The columns of values.
        columns: Vec<Column>,
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
        /// Cells whose true value is below this beyond doubt are marked; none marks nothing.
        margin: Option<f64>,
    },
    /// The points that nothing else beats in both of two values.
    Pareto {
        /// The value to be small.
        minimize: Expression,
        /// The value to be large.
        maximize: Expression,
    },
    /// What the levels of one or two axes do to a value, and to each other's effect.
    Contrast {
        /// The value.
        value: Expression,
        /// The axes; the first level of each that the filter leaves is what the others are compared with.
        between: Vec<usize>,
    },
    /// The point to choose.
    Choose(Box<Question>),
}

/// A column of a table: a value under a heading.
#[derive(Clone, Debug)]
pub struct Column {
    /// The heading.
    pub heading: String,
    /// Where the heading is written; where the value is, if that is the heading.
    pub span: Span,
    /// The value.
    pub value: Expression,
}

/// The question which point to choose: the smallest that loses little, or the smallest that may be the best.
#[derive(Clone, Debug)]
pub struct Question {
    /// The value to be small: a size.
    pub minimize: Expression,
    /// What the choice is made on.
    pub select: Judged,
    /// What is told of the chosen point; the value it was chosen on where none is given.
    pub report: Option<Judged>,
    /// How much less than its baseline a point may have, beyond doubt; none asks for one that may be the best.
    pub max_drop: Option<f64>,
    /// The most that other values of a point may be.
    pub at_most: Vec<(Expression, f64)>,
}

/// A value that is large where things are good, and what it is compared with.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The value.
    pub value: Expression,
    /// The same of the network in float32.
    pub baseline: Option<Expression>,
}

/// What a table is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortKey {
    /// An axis, in the order of its values.
    Axis(usize),
    /// A column, by number.
    Column(usize),
}

impl Judged {
    /// Returns the heading of the drop, baseline minus value; none without a baseline.
    #[must_use]
    pub fn drop_heading(&self) -> Option<String> {
        self.baseline.as_ref().map(|baseline| format!("{} - {}", baseline.text, self.value.text))
    }
}

impl Table {
    /// Returns the expressions whose values it is made from.
    #[must_use]
    pub fn values(&self) -> Vec<&Expression> {
        match &self.shape {
            TableKind::Table { columns, .. } => columns.iter().map(|column| &column.value).collect(),
            TableKind::Pivot { value, .. } | TableKind::Contrast { value, .. } => vec![value],
            TableKind::Pareto { minimize, maximize } => vec![minimize, maximize],
            TableKind::Choose(choose) => choose.values(),
        }
    }

    /// Returns the expressions in the table, its filter among them.
    #[must_use]
    pub fn expressions(&self) -> Vec<&Expression> {
        let mut all = self.values();
        all.extend(&self.filter);
        all
    }

    /// Returns the headings of its values with their places, as far as they do not depend on results: those of a
    /// `Contrast` are made from the levels that its filter leaves.
    #[must_use]
    pub fn headings(&self) -> Vec<(String, Span)> {
        let text = |expression: &Expression| (expression.text.clone(), expression.span);
        match &self.shape {
            TableKind::Table { columns, .. } => {
                columns.iter().map(|column| (column.heading.clone(), column.span)).collect()
            }
            TableKind::Pivot { value, .. } => vec![text(value)],
            TableKind::Pareto { minimize, maximize } => vec![text(minimize), text(maximize)],
            TableKind::Contrast { .. } => vec![],
            TableKind::Choose(choose) => choose.headings(),
        }
    }

    /// Returns the axes that have a place in the table, as often as it names them.
    #[must_use]
    pub fn named(&self) -> Vec<usize> {
        let mut named: Vec<usize> = self.replicate.iter().chain(&self.average).copied().collect();
        match &self.shape {
            TableKind::Table { rows, .. } => named.extend(rows.iter().flatten()),
            TableKind::Pivot { rows, columns, each, .. } => {
                named.extend(rows.iter().chain(columns).chain(each));
            }
            TableKind::Contrast { between, .. } => named.extend(between),
            TableKind::Pareto { .. } | TableKind::Choose(_) => {}
        }
        named
    }

    /// Returns whether every axis that the table does not name makes rows of it.
    #[must_use]
    pub fn keeps_the_rest(&self) -> bool {
        !matches!(&self.shape, TableKind::Table { rows: Some(_), .. } | TableKind::Pivot { .. })
    }

    /// Returns the axes the table spans, ascending: those of its expressions and those it names.
    #[must_use]
    pub fn axes(&self, axes: &[Axis], nodes: &[Node]) -> Vec<usize> {
        let mut all = spanned(&self.expressions(), axes, nodes);
        all.extend(self.named());
        all.sort_unstable();
        all.dedup();
        all
    }
}

impl Question {
    fn values(&self) -> Vec<&Expression> {
        let judged = std::iter::once(&self.select).chain(&self.report);
        let judged = judged.flat_map(|judged| std::iter::once(&judged.value).chain(&judged.baseline));
        let limits = self.at_most.iter().map(|(expression, _)| expression);
        std::iter::once(&self.minimize).chain(judged).chain(limits).collect()
    }

    /// Returns the headings of a point's values: the size, then each judged value with its drop.
    fn headings(&self) -> Vec<(String, Span)> {
        let mut headings = vec![(self.minimize.text.clone(), self.minimize.span)];
        for judged in std::iter::once(&self.select).chain(&self.report) {
            headings.push((judged.value.text.clone(), judged.value.span));
            headings.extend(judged.drop_heading().map(|heading| (heading, judged.value.span)));
        }
        headings
    }

    /// Returns whether the chosen point is told of by what it was chosen on: by the metrics of one node.
    #[must_use]
    pub fn is_optimistic(&self) -> bool {
        let nodes = |judged: &Judged| {
            let named = judged.value.references.iter().filter(|reference| reference.member.is_some());
            named.map(|reference| reference.root.clone()).collect::<Vec<_>>()
        };
        let chose = nodes(&self.select);
        self.report.as_ref().is_none_or(|report| nodes(report).iter().any(|node| chose.contains(node)))
    }
}

/// Returns the axes that expressions depend on, ascending.
pub(super) fn spanned(expressions: &[&Expression], axes: &[Axis], nodes: &[Node]) -> Vec<usize> {
    let mut all = vec![];
    for reference in expressions.iter().flat_map(|expression| &expression.references) {
        all.extend(axes.iter().position(|axis| axis.name == reference.root));
        all.extend(nodes.iter().filter(|node| node.name == reference.root).flat_map(|node| &node.axes));
    }
    all.sort_unstable();
    all.dedup();
    all
}
