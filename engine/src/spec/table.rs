//! The tables of an experiment as asked for: the expressions and the axes that arrange them.
//! Knows no result; see [`crate::table`] for how tables are made, and [`super::table_reader`] for how they are read.

use super::axis::Axes;
use super::expression::Expression;
use super::node::Nodes;
use super::question::Question;
use crate::dense::AxisId;
use crate::text::fault::Span;

/// The maximum number of rows of a table, before the filter.
pub const MOST_ROWS: usize = 10_000_000;

/// The metric that every node has: the seconds that the computation of its record took.
pub const SECONDS: &str = "seconds";

/// A table as asked for.
#[derive(Clone, Debug)]
pub struct Table {
    /// The name.
    pub name: String,
    /// The place of the name.
    pub span: Span,
    /// The kind of table with its values and axes.
    pub kind: TableKind,
    /// The filter: rows that do not satisfy it are left out.
    pub filter: Option<Expression>,
    /// The axis that is the unit of replication.
    pub replicate: Option<AxisId>,
    /// The axes averaged within a unit of replication first.
    pub average: Vec<AxisId>,
    /// The source of variation that its confidence intervals cover.
    pub interval: Interval,
}

/// The source of variation that the confidence interval of a mean covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// The units of replication: the interval is for other trainings, evaluated on the same images.
    Seeds,
    /// The images: the interval is for the same networks, evaluated on other images.
    Images,
    /// Both: the interval is for other trainings, evaluated on other images.
    Both,
}

/// The kinds of tables.
#[derive(Clone, Debug)]
pub enum TableKind {
    /// A row per combination of axes, a column per expression.
    Table {
        /// The axes that make rows; `None` means all axes that the expressions depend on.
        rows: Option<Vec<AxisId>>,
        /// The columns of values.
        columns: Vec<Column>,
        /// The columns or axes to sort by, each with whether the order is descending.
        sort: Vec<(SortKey, bool)>,
    },
    /// One value over two groups of axes, in one grid per combination of a third group.
    Pivot {
        /// The value in each cell.
        value: Expression,
        /// The axes that make rows.
        rows: Vec<AxisId>,
        /// The axes that make columns.
        columns: Vec<AxisId>,
        /// The axes that make separate grids, one per combination.
        each: Vec<AxisId>,
        /// Cells are marked if their true value is significantly below this; `None` marks no cell.
        margin: Option<f64>,
    },
    /// The points for which no other is as good in both of two values and better in one.
    Pareto {
        /// The value to minimize.
        minimize: Expression,
        /// The value to maximize.
        maximize: Expression,
        /// The axes that make separate fronts, one per combination.
        each: Vec<AxisId>,
    },
    /// The effects of the levels of one or two axes on a value, with their interaction.
    Contrast {
        /// The value.
        value: Expression,
        /// The axes; the first level of each axis that the filter leaves is the baseline of the others.
        between: Vec<AxisId>,
    },
    /// The best point within limits.
    Choose(Box<Question>),
    /// The shares of a value's variance that each axis and pair of axes explain.
    Importance {
        /// The value.
        value: Expression,
    },
}

/// A column of a table: a value under a heading.
#[derive(Clone, Debug)]
pub struct Column {
    /// The heading.
    pub heading: String,
    /// The place of the heading; of the value if the value is its own heading.
    pub span: Span,
    /// The value.
    pub value: Expression,
}

/// A sort key of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortKey {
    /// An axis, in the order of its levels.
    Axis(AxisId),
    /// A column, by its index.
    Column(usize),
}

impl Table {
    /// Returns the expressions of the table's values.
    #[must_use]
    pub fn values(&self) -> Vec<&Expression> {
        match &self.kind {
            TableKind::Table { columns, .. } => columns.iter().map(|column| &column.value).collect(),
            TableKind::Pivot { value, .. }
            | TableKind::Contrast { value, .. }
            | TableKind::Importance { value } => vec![value],
            TableKind::Pareto { minimize, maximize, .. } => vec![minimize, maximize],
            TableKind::Choose(choose) => choose.values(),
        }
    }

    /// Returns the names of [`Self::values`]: the headings of columns, else the texts of the expressions.
    #[must_use]
    pub fn value_names(&self) -> Vec<&str> {
        match &self.kind {
            TableKind::Table { columns, .. } => {
                columns.iter().map(|column| column.heading.as_str()).collect()
            }
            TableKind::Pivot { .. }
            | TableKind::Pareto { .. }
            | TableKind::Contrast { .. }
            | TableKind::Importance { .. }
            | TableKind::Choose(_) => self.values().into_iter().map(|value| value.text.as_str()).collect(),
        }
    }

    /// Returns the axes whose levels the table compares with each other.
    #[must_use]
    pub fn compared(&self) -> &[AxisId] {
        match &self.kind {
            TableKind::Contrast { between, .. } => between,
            TableKind::Table { .. }
            | TableKind::Pivot { .. }
            | TableKind::Pareto { .. }
            | TableKind::Importance { .. }
            | TableKind::Choose(_) => &[],
        }
    }

    /// Returns all expressions of the table, its filter included.
    #[must_use]
    pub fn expressions(&self) -> Vec<&Expression> {
        let mut all = self.values();
        all.extend(&self.filter);
        all
    }

    /// Returns the headings of the values with their places. A `Contrast` has none here: its headings depend on the
    /// levels that its filter leaves.
    #[must_use]
    pub fn headings(&self) -> Vec<(String, Span)> {
        let text = |expression: &Expression| (expression.text.clone(), expression.span);
        match &self.kind {
            TableKind::Table { columns, .. } => {
                columns.iter().map(|column| (column.heading.clone(), column.span)).collect()
            }
            TableKind::Pivot { value, .. } => vec![text(value)],
            TableKind::Pareto { minimize, maximize, .. } => vec![text(minimize), text(maximize)],
            TableKind::Contrast { .. } | TableKind::Importance { .. } => vec![],
            TableKind::Choose(choose) => choose.headings(),
        }
    }

    /// Returns the axes that the table names, with repetitions.
    #[must_use]
    pub fn named(&self) -> Vec<AxisId> {
        let mut named: Vec<AxisId> = self.replicate.iter().chain(&self.average).copied().collect();
        match &self.kind {
            TableKind::Table { rows, .. } => named.extend(rows.iter().flatten()),
            TableKind::Pivot { rows, columns, each, .. } => {
                named.extend(rows.iter().chain(columns).chain(each));
            }
            TableKind::Contrast { between, .. } => named.extend(between),
            TableKind::Pareto { each, .. } => named.extend(each),
            TableKind::Choose(choose) => named.extend(&choose.each),
            TableKind::Importance { .. } => {}
        }
        named
    }

    /// Returns what to do about a heading that is taken.
    pub(super) fn heading_hint(&self) -> &'static str {
        match &self.kind {
            TableKind::Table { .. } => {
                "give each column a heading of its own: `columns: {\"heading\": \"value\"}`"
            }
            TableKind::Pivot { .. }
            | TableKind::Pareto { .. }
            | TableKind::Contrast { .. }
            | TableKind::Importance { .. }
            | TableKind::Choose(_) => {
                "minimize or show another value, or write `1.0 * value` for another heading"
            }
        }
    }

    /// Returns whether every axis that the table does not name makes rows of it.
    #[must_use]
    pub fn keeps_the_rest(&self) -> bool {
        !matches!(&self.kind, TableKind::Table { rows: Some(_), .. } | TableKind::Pivot { .. })
    }

    /// Returns the axes that the table spans, ascending: the axes that its expressions depend on, and the axes it
    /// names.
    #[must_use]
    pub fn axes(&self, axes: &Axes, nodes: &Nodes) -> Vec<AxisId> {
        let mut all = spanned(&self.expressions(), axes, nodes);
        all.extend(self.named());
        all.sort_unstable();
        all.dedup();
        all
    }
}

impl TableKind {
    /// Returns the axes for each of whose combinations a `Pareto` table has a front and a `Choose` table an answer.
    #[must_use]
    pub fn groups(&self) -> &[AxisId] {
        match self {
            Self::Pareto { each, .. } => each,
            Self::Choose(choose) => &choose.each,
            Self::Table { .. } | Self::Pivot { .. } | Self::Contrast { .. } | Self::Importance { .. } => &[],
        }
    }

    /// Returns whether the table tests its values.
    #[must_use]
    pub fn makes_tests(&self) -> bool {
        match self {
            Self::Pivot { margin, .. } => margin.is_some(),
            Self::Contrast { .. } => true,
            Self::Table { .. } | Self::Pareto { .. } | Self::Choose(_) | Self::Importance { .. } => false,
        }
    }

    /// Returns the values that an interval over images is for; they must be made of accuracies.
    pub(super) fn values_over_images(&self) -> Vec<&Expression> {
        match self {
            Self::Pivot { value, .. } | Self::Contrast { value, .. } => vec![value],
            Self::Table { columns, .. } => columns.iter().map(|column| &column.value).collect(),
            Self::Choose(choose) => choose.judged_values(),
            Self::Pareto { maximize, .. } => vec![maximize],
            Self::Importance { .. } => vec![],
        }
    }
}

/// Returns the axes that expressions depend on, ascending.
pub(super) fn spanned(expressions: &[&Expression], axes: &Axes, nodes: &Nodes) -> Vec<AxisId> {
    let mut all: Vec<AxisId> = vec![];
    for reference in expressions.iter().flat_map(|expression| &expression.references) {
        all.extend(axes.find(|axis| axis.name == reference.root));
        all.extend(nodes.iter().filter(|node| node.name == reference.root).flat_map(|node| &node.axes));
    }
    all.sort_unstable();
    all.dedup();
    all
}
