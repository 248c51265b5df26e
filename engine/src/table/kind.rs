//! The kinds of tables: for each, the axes it keeps, its points and sheets, its test, and its words in the caption.
//! This file and [`crate::spec::table`] are the places to add a kind; a kind that one of them lacks does not compile.

use super::answer::{self, Answer, SAME_SIZE};
use super::cell::{PointRows, WeightedValue, estimate, group_rows};
use super::contrast::{self, compared, effects};
use super::error::TableError;
use super::flat::Datum;
use super::front::front;
use super::layout::{self, Arrangement, Layout, list};
use super::points::{TablePoint, TablePoints};
use super::results::Results;
use super::rows::Rows;
use super::sheet::{Cell, Sheet};
use super::variance::variance_shares;
use crate::dense::AxisId;
use crate::graph::TaskGraph;
use crate::ops::{MetricRole, Ops};
use crate::spec::experiment::Experiment;
use crate::spec::heading::PART_COLUMN;
use crate::spec::node::with_role;
use crate::spec::table::{Interval, Question, Table, TableKind};
use crate::statistics::SIGNIFICANT;
use crate::statistics::estimate::Estimate;
use crate::statistics::holm::holm;
use crate::statistics::method::Method;

/// Returns the axes that a table keeps, in its own order.
pub(super) fn kept<O: Ops>(graph: &TaskGraph<O>, table: &Table) -> Vec<AxisId> {
    match &table.kind {
        TableKind::Table { rows: Some(rows), .. } => rows.clone(),
        TableKind::Pivot { rows, columns, each, .. } => {
            [each, rows, columns].into_iter().flatten().copied().collect()
        }
        // Each row is an axis, not a point.
        TableKind::Importance { .. } => vec![],
        TableKind::Table { rows: None, .. }
        | TableKind::Pareto { .. }
        | TableKind::Contrast { .. }
        | TableKind::Choose(_) => {
            let named = table.named();
            let mut axes = table.axes(&graph.experiment.axes, &graph.experiment.nodes);
            axes.retain(|axis| !named.contains(axis));
            axes
        }
    }
}

/// Makes the points of a table from results; the error contains the expression that cannot be evaluated.
pub fn table_points<O: Ops>(
    graph: &TaskGraph<O>,
    results: &Results,
    table: &Table,
) -> Result<TablePoints, TableError> {
    Ok(points_of(graph, &Rows::new(graph, results, table, &table.values())?, table))
}

/// Answers the question of a `Choose` table; returns `None` for the other kinds. The error contains the expression that
/// cannot be evaluated.
pub fn answer<O: Ops>(
    graph: &TaskGraph<O>,
    results: &Results,
    table: &Table,
) -> Result<Option<Answer>, TableError> {
    let rows = Rows::new(graph, results, table, &table.values())?;
    Ok(Answer::from_rows(&rows, table, &kept(graph, table)))
}

/// Makes the points of a table from its rows.
pub(super) fn points_of<O: Ops>(graph: &TaskGraph<O>, rows: &Rows, table: &Table) -> TablePoints {
    let mut axes = kept(graph, table);
    let (headings, mut points) = points(graph, rows, table, &axes);
    adjust(&mut points, table);
    axes.shrink_to_fit();
    let same_cost = same_cost(&graph.experiment, &table.kind);
    TablePoints { axes, headings, points, same_cost, missing: rows.missing, failed: rows.failed }
}

/// Makes the points of a table over the axes that it keeps, and returns the headings of their values before them.
fn points<O: Ops>(
    graph: &TaskGraph<O>,
    rows: &Rows,
    table: &Table,
    axes: &[AxisId],
) -> (Vec<String>, Vec<TablePoint>) {
    let headings = || table.headings().into_iter().map(|(heading, _)| heading).collect();
    match &table.kind {
        TableKind::Table { .. } | TableKind::Pivot { .. } | TableKind::Pareto { .. } => {
            (headings(), plain(&group_rows(rows, table, axes), table.values().len(), table))
        }
        TableKind::Contrast { between, .. } => {
            let wide: Vec<AxisId> = axes.iter().chain(between).copied().collect();
            let effects = effects(between, &compared(rows, between), &graph.experiment.axes);
            let points = contrast::points(&group_rows(rows, table, &wide), between.len(), &effects, table);
            (effects.into_iter().map(|effect| effect.heading).collect(), points)
        }
        TableKind::Importance { .. } => importance(&graph.experiment, rows),
        TableKind::Choose(choose) => {
            (headings(), answer::points(&group_rows(rows, table, axes), choose, table))
        }
    }
}

/// Returns one point with the share of variance of each axis and pair in percent, under their names.
fn importance(experiment: &Experiment, rows: &Rows) -> (Vec<String>, Vec<TablePoint>) {
    let name = |axes: &[AxisId]| match axes {
        [] => "the rest".to_owned(),
        axes => experiment.axis_names(axes).join(" × "),
    };
    let shares = variance_shares(rows);
    let values: Vec<Option<Estimate>> =
        shares.iter().map(|of| Estimate::from_values(&[100.0 * of.share])).collect();
    let point = TablePoint { levels: vec![], values, units: vec![], is_failed: false };
    let points = if point.values.is_empty() { vec![] } else { vec![point] };
    (shares.iter().map(|of| name(&of.axes)).collect(), points)
}

/// Lists the axes and pairs of an `Importance` table, each with its share of the variance.
fn shares(points: &TablePoints, value: &str) -> Sheet {
    let values = points.points.first().map_or(&[][..], |point| &point.values);
    let row = |(name, value): (&String, &Option<Estimate>)| {
        let label = Cell::Level { label: name.clone(), value: Datum::Text(name.clone()) };
        vec![label, value.map_or(Cell::Absent, Cell::Value)]
    };
    Sheet {
        title: String::new(),
        headings: vec!["axes".to_owned(), format!("% of the variance of {value}")],
        axes: 1,
        rows: points.headings.iter().zip(values).map(row).collect(),
        points: vec![vec![Some(0)]; values.len()],
        values: vec![None],
    }
}

/// Returns the share by which two costs may differ to count as one: sizes within 1 % are no trade-off, because the bytes of
/// a scale do not make a format larger.
fn same_cost(experiment: &Experiment, kind: &TableKind) -> f64 {
    let cost = match kind {
        TableKind::Pareto { minimize, .. } => minimize,
        TableKind::Choose(choose) => &choose.minimize,
        TableKind::Table { .. }
        | TableKind::Pivot { .. }
        | TableKind::Contrast { .. }
        | TableKind::Importance { .. } => return 0.0,
    };
    let is = |role| with_role(cost, &experiment.nodes, role).next().is_some();
    if is(MetricRole::Bytes) || is(MetricRole::BitsPerWeight) { SAME_SIZE } else { 0.0 }
}

/// Returns the estimates of all values, unchanged.
fn plain(cells: &[PointRows<'_>], width: usize, table: &Table) -> Vec<TablePoint> {
    let make = |cell: &PointRows<'_>| TablePoint {
        levels: cell.levels.clone(),
        values: (0..width)
            .map(|value| estimate(&[WeightedValue { weight: 1.0, cell, value }], table))
            .collect(),
        units: (0..width).map(|value| cell.means(value)).collect(),
        is_failed: cell.has_failures(),
    };
    cells.iter().map(make).collect()
}

/// Returns the p-value of a table's own test of a value; `None` for kinds without a test.
fn test(kind: &TableKind, value: &Estimate) -> Option<f64> {
    match kind {
        TableKind::Pivot { margin: Some(margin), .. } => value.p_at_least(*margin),
        TableKind::Contrast { .. } => value.p_zero(),
        TableKind::Table { .. }
        | TableKind::Pivot { .. }
        | TableKind::Pareto { .. }
        | TableKind::Importance { .. }
        | TableKind::Choose(_) => None,
    }
}

/// Returns the arrangement of a table's points in its grids.
pub(super) fn arrangement(kind: &TableKind) -> Arrangement {
    match kind {
        TableKind::Pivot { .. } => Arrangement::Grids,
        TableKind::Pareto { .. } => Arrangement::Front,
        TableKind::Choose(_) => Arrangement::Answer,
        TableKind::Table { .. } | TableKind::Contrast { .. } | TableKind::Importance { .. } => {
            Arrangement::List
        }
    }
}

/// Makes the table's test of every value, and adjusts for their number.
fn adjust(points: &mut [TablePoint], table: &Table) {
    let mut tested: Vec<(&mut Estimate, f64)> = points
        .iter_mut()
        .flat_map(|point| point.values.iter_mut().flatten())
        .filter_map(|value| test(&table.kind, value).map(|p| (value, p)))
        .collect();
    let adjusted = holm(&tested.iter().map(|(_, p)| *p).collect::<Vec<_>>());
    for ((value, _), p) in tested.iter_mut().zip(adjusted) {
        value.adjusted = Some(p);
    }
}

/// Lays out the sheets of a table; `answer` is that of a `Choose` table.
pub(super) fn sheets<O: Ops>(
    graph: &TaskGraph<O>,
    table: &Table,
    points: &TablePoints,
    answer: Option<&Answer>,
    layout: Layout,
) -> Vec<Sheet> {
    let every = || (0..points.points.len()).collect::<Vec<_>>();
    let list = |listed: &[usize]| vec![list(graph, table, points, listed, layout)];
    match (&table.kind, answer.filter(|_| layout == Layout::Grid)) {
        (TableKind::Table { sort, .. }, _) => list(&layout::sorted(points, sort, &graph.experiment.axes)),
        (TableKind::Pivot { rows, columns, each, .. }, _) if layout == Layout::Grid => {
            layout::pivot(graph, table, points, [each, rows, columns])
        }
        (TableKind::Importance { value }, _) => vec![shares(points, &value.text)],
        (TableKind::Pareto { .. }, _) => list(&front(&points.points, points.same_cost)),
        (TableKind::Choose(_), Some(answer)) => vec![parts(graph, table, points, answer)],
        (TableKind::Pivot { .. } | TableKind::Contrast { .. } | TableKind::Choose(_), _) => list(&every()),
    }
}

/// Lists the points in an answer, each with its part in it.
fn parts<O: Ops>(graph: &TaskGraph<O>, table: &Table, points: &TablePoints, answer: &Answer) -> Sheet {
    let place = |candidate: usize| {
        let levels = &answer.candidates[candidate].levels;
        points.points.iter().position(|point| point.levels == *levels)
    };
    let found: Vec<(&str, usize)> =
        answer.parts().into_iter().filter_map(|(part, at)| Some((part, place(at)?))).collect();
    let listed: Vec<usize> = found.iter().map(|(_, at)| *at).collect();
    let mut sheet = list(graph, table, points, &listed, Layout::Flat);
    sheet.headings.insert(0, PART_COLUMN.to_owned());
    sheet.axes += 1;
    for (row, (part, _)) in sheet.rows.iter_mut().zip(found) {
        row.insert(0, Cell::Level { label: part.to_owned(), value: Datum::Text(part.to_owned()) });
    }
    sheet
}

/// Returns the values of a table as the beginning of its caption.
pub(super) fn subject(experiment: &Experiment, table: &Table) -> String {
    let values: Vec<&str> = table.values().iter().map(|value| value.text.as_str()).collect();
    match &table.kind {
        TableKind::Table { .. } | TableKind::Pivot { .. } | TableKind::Pareto { .. } => values.join(", "),
        TableKind::Contrast { between, .. } => {
            let verb = if between.len() == 1 { "changes" } else { "change" };
            let names: Vec<String> =
                experiment.axis_names(between).into_iter().map(|name| format!("`{name}`")).collect();
            format!("{}; what {} {verb}", values.join(", "), names.join(" and "))
        }
        TableKind::Choose(choose) => choose_subject(choose, table),
        TableKind::Importance { .. } => {
            format!(
                "the share of the variance of {} over the sweep that each axis explains, and pairs beyond both",
                values.join(", ")
            )
        }
    }
}

fn choose_subject(choose: &Question, table: &Table) -> String {
    let is_bounded = table.replicate.is_some() || table.interval != Interval::Seeds;
    let how = if is_bounded { "with 95 % confidence" } else { "in this one training" };
    let what = match choose.max_drop {
        Some(most) => format!("that loses at most {most} of {} {how}", choose.select.value.text),
        None => format!("that cannot be told from the best in {}", choose.select.value.text),
    };
    let mut text = format!("the smallest {} {what}", choose.minimize.text);
    for (limit, most) in &choose.at_most {
        text += &format!("; {} at most {most}", limit.text);
    }
    match &choose.report {
        Some(report) if !choose.is_optimistic() => text += &format!("; reported on {}", report.value.text),
        Some(_) | None => text += "; optimistic: chosen and reported on the same images",
    }
    text
}

/// Returns the meaning of the marks in a table, and the rule by which points are left out.
pub(super) fn marks(experiment: &Experiment, table: &Table) -> String {
    let adjusted = format!("Holm-adjusted over the table, {:.0} %", SIGNIFICANT * 100.0);
    match &table.kind {
        TableKind::Pivot { margin: Some(margin), .. } => {
            format!("; * is below {margin} (one-sided t test, {adjusted})")
        }
        TableKind::Contrast { .. } => format!("; * is not zero (two-sided t test, {adjusted})"),
        TableKind::Pareto { .. } => {
            let same =
                if same_cost(experiment, &table.kind) > 0.0 { "; sizes within 1 % count as one" } else { "" };
            format!("; only points for which no other is as good in both means and better in one{same}")
        }
        TableKind::Table { .. }
        | TableKind::Pivot { .. }
        | TableKind::Choose(_)
        | TableKind::Importance { .. } => String::new(),
    }
}

/// Returns the statistical methods that belong to the kind of a table.
pub(crate) fn methods(kind: &TableKind) -> &'static [Method] {
    match kind {
        TableKind::Pivot { margin: Some(_), .. } => &[Method::NonInferiority, Method::Holm],
        TableKind::Contrast { .. } => &[Method::ZeroEffect, Method::Holm],
        TableKind::Choose(choose) if choose.max_drop.is_some() => &[Method::NonInferiority],
        TableKind::Choose(_) => &[Method::MayBeBest],
        TableKind::Importance { .. } => &[Method::VarianceShares],
        TableKind::Table { .. } | TableKind::Pivot { .. } | TableKind::Pareto { .. } => &[],
    }
}
