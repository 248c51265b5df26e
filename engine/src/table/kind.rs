//! The kinds of tables: for each, the axes it keeps, its points and sheets, its test, and its words in the caption.
//! This file and [`crate::spec::table`] are the places to add a kind; a kind that one of them lacks does not compile.

use super::answer::{Answer, SAME_SIZE};
use super::candidate;
use super::cell::{Origin, PointRows, WeightedValue, estimate, group_rows};
use super::contrast::{self, compared, effects};
use super::error::TableError;
use super::flat::Datum;
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
use crate::spec::expression::Expression;
use crate::spec::heading::PART_COLUMN;
use crate::spec::node::with_role;
use crate::spec::question::{Goal, LowerLimit, Question, UpperLimit};
use crate::spec::table::{Interval, Table, TableKind};
use crate::statistics::SIGNIFICANT;
use crate::statistics::estimate::Estimate;
use crate::statistics::holm::{self, Test};
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
            [table.kind.groups(), &axes].concat()
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

/// Answers the question of a `Choose` table, for each group; returns nothing for the other kinds. The error contains the
/// expression that cannot be evaluated.
pub fn answers<O: Ops>(
    graph: &TaskGraph<O>,
    results: &Results,
    table: &Table,
) -> Result<Vec<Answer>, TableError> {
    let rows = Rows::new(graph, results, table, &table.values())?;
    Ok(Answer::from_rows(&graph.experiment, &rows, table, &kept(graph, table)))
}

/// Makes the points of a table from its rows.
pub(super) fn points_of<O: Ops>(graph: &TaskGraph<O>, rows: &Rows, table: &Table) -> TablePoints {
    let mut axes = kept(graph, table);
    let Made { headings, mut points, origins } = made(graph, rows, table, &axes);
    adjust(&mut points, origins, table);
    axes.shrink_to_fit();
    let same_cost = same_cost(&graph.experiment, &table.kind);
    let group_axes = table.kind.groups().len();
    TablePoints { axes, group_axes, headings, points, same_cost, missing: rows.missing, failed: rows.failed }
}

/// The points of a table before its tests are adjusted.
struct Made {
    headings: Vec<String>,
    points: Vec<TablePoint>,
    /// The results behind each value of each point; empty for kinds without tests.
    origins: Vec<Vec<Origin>>,
}

/// Makes the points of a table over the axes that it keeps.
fn made<O: Ops>(graph: &TaskGraph<O>, rows: &Rows, table: &Table, axes: &[AxisId]) -> Made {
    let headings = table.headings().into_iter().map(|(heading, _)| heading).collect();
    let untested = |headings, points| Made { headings, points, origins: vec![] };
    match &table.kind {
        TableKind::Table { .. } | TableKind::Pivot { .. } | TableKind::Pareto { .. } => {
            let cells = group_rows(rows, table, axes);
            let origins = cells.iter().map(|cell| vec![cell.origin()]).collect();
            Made { origins, ..untested(headings, plain(&cells, table.values().len(), table)) }
        }
        TableKind::Contrast { between, .. } => {
            let wide: Vec<AxisId> = axes.iter().chain(between).copied().collect();
            let effects = effects(between, &compared(rows, between), &graph.experiment.axes);
            let cells = group_rows(rows, table, &wide);
            let points = contrast::points(&cells, between.len(), &effects, table);
            let origins = contrast::origins(&cells, between.len(), &effects);
            Made { headings: effects.into_iter().map(|effect| effect.heading).collect(), points, origins }
        }
        TableKind::Importance { .. } => {
            let (headings, points) = importance(&graph.experiment, rows);
            untested(headings, points)
        }
        TableKind::Choose(choose) => {
            untested(headings, candidate::points(&group_rows(rows, table, axes), choose, table))
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
        TableKind::Choose(choose) => &choose.size,
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
fn adjust(points: &mut [TablePoint], origins: Vec<Vec<Origin>>, table: &Table) {
    let mut tests = vec![];
    for (point, origins) in points.iter_mut().zip(origins) {
        for (at, (value, origin)) in point.values.iter_mut().zip(origins).enumerate() {
            let Some(value) = value else { continue };
            if let Some(p) = test(&table.kind, value) {
                // Effects in different columns are different hypotheses, even about the same results.
                tests.push(Test { estimate: value, p, origin: (at, origin) });
            }
        }
    }
    holm::adjust(tests);
}

/// Lays out the sheets of a table; `answers` are those of a `Choose` table.
pub(super) fn sheets<O: Ops>(
    graph: &TaskGraph<O>,
    table: &Table,
    points: &TablePoints,
    answers: &[Answer],
    layout: Layout,
) -> Vec<Sheet> {
    let list = |listed: &[usize]| vec![list(graph, table, points, listed, layout)];
    match (&table.kind, layout) {
        (TableKind::Table { sort, .. }, _) => list(&layout::sorted(points, sort, &graph.experiment.axes)),
        (TableKind::Pivot { rows, columns, each, .. }, Layout::Grid) => {
            layout::pivot(graph, table, points, [each, rows, columns])
        }
        (TableKind::Importance { value }, _) => vec![shares(points, &value.text)],
        (TableKind::Pareto { .. }, Layout::Grid) => {
            let fronts = points.fronts(&points.all()).into_iter();
            fronts.map(|front| layout::list_group(graph, table, points, &front)).collect()
        }
        (TableKind::Pareto { .. }, Layout::Flat) => list(&points.fronts(&points.all()).concat()),
        (TableKind::Choose(choose), Layout::Grid) => vec![parts(graph, table, choose, points, answers)],
        (TableKind::Pivot { .. } | TableKind::Contrast { .. } | TableKind::Choose(_), _) => {
            list(&points.all())
        }
    }
}

/// Lists the points in the answers, each with its part. Of several answers, only the chosen points are listed, or those
/// that come closest.
fn parts<O: Ops>(
    graph: &TaskGraph<O>,
    table: &Table,
    choose: &Question,
    points: &TablePoints,
    answers: &[Answer],
) -> Sheet {
    let place = |levels: &[usize]| points.points.iter().position(|point| point.levels == *levels);
    let of_answer = |answer: &Answer| {
        let parts = answer.listed(choose).into_iter();
        let found =
            parts.filter_map(|(part, at)| Some((part, answer.step, place(&answer.candidates[at].levels)?)));
        found.collect::<Vec<_>>()
    };
    let found: Vec<(&str, Option<f64>, usize)> = answers.iter().flat_map(of_answer).collect();
    let listed: Vec<usize> = found.iter().map(|(.., at)| *at).collect();
    let mut sheet = list(graph, table, points, &listed, Layout::Flat);
    let mut insert = |heading: String, cells: Vec<Cell>| {
        sheet.headings.insert(0, heading);
        sheet.axes += 1;
        for (row, cell) in sheet.rows.iter_mut().zip(cells) {
            row.insert(0, cell);
        }
    };
    if let Some(limit) = choose.steps() {
        let number = |step: f64| Cell::Level { label: step.to_string(), value: Datum::Real(step) };
        let cells = found.iter().map(|(_, step, _)| step.map_or(Cell::Absent, number)).collect();
        insert(step_heading(limit), cells);
    }
    let cells = found
        .iter()
        .map(|(part, ..)| Cell::Level { label: (*part).to_owned(), value: Datum::Text((*part).to_owned()) });
    insert(PART_COLUMN.to_owned(), cells.collect());
    sheet
}

/// Returns the heading of a limit with several values: `small.bytes at most`.
#[must_use]
pub fn step_heading(limit: &UpperLimit) -> String {
    format!("{} at most", limit.value.text)
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
        TableKind::Choose(choose) => choose_subject(experiment, choose, table),
        TableKind::Importance { .. } => {
            format!(
                "the share of the variance of {} over the sweep that each axis explains, and pairs beyond both",
                values.join(", ")
            )
        }
    }
}

fn choose_subject(experiment: &Experiment, choose: &Question, table: &Table) -> String {
    let how = |value: &Expression| {
        let is_of_images = with_role(value, &experiment.nodes, MetricRole::Accuracy).next().is_some();
        let is_bounded = table.replicate.is_some() || table.interval != Interval::Seeds && is_of_images;
        if is_bounded { "with 95 % confidence" } else { "in this one training" }
    };
    let of_drop = how(&choose.select.value);
    let (size, select) = (&choose.size.text, &choose.select.value.text);
    let mut text = match (choose.goal, choose.max_drop) {
        (Goal::Smallest, Some(most)) => {
            format!("the smallest {size} that loses at most {most} of {select} {of_drop}")
        }
        (Goal::Smallest, None) if choose.is_open() => match table.replicate {
            Some(_) => format!("the smallest {size} that cannot be told from the best in {select}"),
            None => format!("the smallest {size} of those with the largest {select}"),
        },
        (Goal::Smallest, None) => format!("the smallest {size}"),
        (Goal::Best, Some(most)) => format!("the largest {select}, which loses at most {most} {of_drop}"),
        (Goal::Best, None) => format!("the largest {select}"),
    };
    for limit in &choose.at_most {
        let most: Vec<String> = limit.most.iter().map(f64::to_string).collect();
        text += &format!("; {} at most {}", limit.value.text, most.join(", "));
    }
    for LowerLimit { value, least } in &choose.at_least {
        text += &format!("; {} at least {least} {}", value.text, how(value));
    }
    match &choose.report {
        Some(report) if !choose.is_optimistic() => text += &format!("; reported on {}", report.value.text),
        Some(_) | None => text += "; optimistic: chosen and reported on the same images",
    }
    text
}

/// Returns the words on the groups of a table: the axes of its fronts or answers.
pub(super) fn groups(experiment: &Experiment, kind: &TableKind) -> String {
    let what = match kind {
        TableKind::Pareto { .. } => "a front",
        TableKind::Choose(_) => "an answer",
        TableKind::Table { .. }
        | TableKind::Pivot { .. }
        | TableKind::Contrast { .. }
        | TableKind::Importance { .. } => return String::new(),
    };
    match experiment.axis_names(kind.groups()).as_slice() {
        [] => String::new(),
        names => format!("; {what} for each {}", names.join(", ")),
    }
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
pub(crate) fn methods(table: &Table) -> Vec<Method> {
    match &table.kind {
        TableKind::Pivot { margin: Some(_), .. } => vec![Method::NonInferiority, Method::Holm],
        TableKind::Contrast { .. } => vec![Method::ZeroEffect, Method::Holm],
        TableKind::Choose(choose) => {
            let drop = choose.max_drop.map(|_| Method::NonInferiority);
            let lower = (!choose.at_least.is_empty()).then_some(Method::LowerBound);
            let best = (choose.is_open() && table.replicate.is_some()).then_some(Method::MayBeBest);
            [drop, lower, best].into_iter().flatten().collect()
        }
        TableKind::Importance { .. } => vec![Method::VarianceShares],
        TableKind::Table { .. } | TableKind::Pivot { .. } | TableKind::Pareto { .. } => vec![],
    }
}
