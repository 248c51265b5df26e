//! The tables that two experiments both have, cell by cell.
//! Matches cells by the values of their axes, in any order; knows nothing of tasks.

use std::collections::{BTreeMap, HashMap};

use super::ComparedExperiment;
use super::delta::{self, Delta, ValuesByUnit};
use super::error::DiffError;
use crate::dense::AxisId;
use crate::ops::Ops;
use crate::spec::expression::Expression;
use crate::spec::table::Table;
use crate::table::error::TableError;
use crate::table::units::{PointUnits, ReplicateUnits, cell_axes};

/// A table that both experiments have.
#[derive(Clone, Debug, PartialEq)]
pub struct TableDiff {
    /// Its name.
    pub name: String,
    /// The axes of its cells.
    pub axes: Vec<String>,
    /// The headings of its values.
    pub values: Vec<String>,
    /// The axis of replication in the first experiment, if there is one.
    pub replicate: Option<String>,
    /// The values that differ.
    pub changed: Vec<CellDelta>,
    /// The number of values that are equal in every unit.
    pub equal: usize,
    /// The number of values that only the first has, and that only the second has.
    pub apart: [usize; 2],
    /// The number of rows with missing results, in each experiment.
    pub missing: [usize; 2],
}

/// A value that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct CellDelta {
    /// The label of its cell on each axis.
    pub labels: Vec<String>,
    /// The index of the value in the table.
    pub value: usize,
    /// The difference.
    pub delta: Delta,
}

/// A cell with its values by unit of replication, ready for comparison.
struct NamedPoint {
    /// The value of each axis, as text.
    point: Vec<String>,
    labels: Vec<String>,
    /// The values of the table, each by unit.
    values: Vec<ValuesByUnit>,
}

/// Returns whether two tables ask for the same: expressions, filter, axes, replication and averaging.
pub(super) fn are_alike<O: Ops>(
    from: (&ComparedExperiment<'_, O>, &Table),
    to: (&ComparedExperiment<'_, O>, &Table),
) -> bool {
    let asked = |(side, table): (&ComparedExperiment<'_, O>, &Table)| {
        let texts: Vec<String> = table.expressions().into_iter().map(|of| of.text.clone()).collect();
        let mut axes =
            side.names(&cell_axes(side.graph, table)).into_iter().map(str::to_owned).collect::<Vec<_>>();
        axes.sort_unstable();
        let names =
            |axes: &[AxisId]| axes.iter().map(|&axis| side.names(&[axis]).join("")).collect::<Vec<_>>();
        let (replicate, average) = (names(table.replicate.as_slice()), names(&table.average));
        (texts, table.filter.is_some(), axes, replicate, average)
    };
    asked(from) == asked(to)
}

/// Compares the tables that are alike; the error contains the expression that cannot be evaluated.
pub(super) fn between<O: Ops>(
    from: &ComparedExperiment<'_, O>,
    to: &ComparedExperiment<'_, O>,
) -> Result<Vec<TableDiff>, DiffError> {
    let mut found = vec![];
    for table in &from.graph.experiment.tables {
        let other = to.graph.experiment.tables.iter().find(|other| other.name == table.name);
        if let Some(other) = other.filter(|other| are_alike((from, table), (to, other))) {
            let error = |error| DiffError::Table { table: table.name.clone(), error };
            found.push(compare((from, table), (to, other)).map_err(error)?);
        }
    }
    Ok(found)
}

fn compare<O: Ops>(
    from: (&ComparedExperiment<'_, O>, &Table),
    to: (&ComparedExperiment<'_, O>, &Table),
) -> Result<TableDiff, TableError> {
    let (side, table) = from;
    let axes = side.names(&cell_axes(side.graph, table));
    let (one, missing_from) = cells(from, &axes)?;
    let (other, missing_to) = cells(to, &axes)?;
    let count =
        |cells: &[NamedPoint]| cells.iter().flat_map(|cell| &cell.values).filter(|of| !of.is_empty()).count();
    let mut apart = [count(&one), count(&other)];
    let other: HashMap<Vec<String>, Vec<ValuesByUnit>> =
        other.into_iter().map(|cell| (cell.point, cell.values)).collect();
    let rounding = rounding(table, &one.iter().map(|cell| &cell.values).chain(other.values()));
    let mut all = vec![];
    for NamedPoint { point, labels, values } in one {
        for (value, (from, to)) in values.iter().zip(other.get(&point).into_iter().flatten()).enumerate() {
            if let Some(delta) = Delta::between(from, &without_rounding(from, to, rounding[value])) {
                all.push(CellDelta { labels: labels.clone(), value, delta });
            }
        }
    }
    // A compared value belongs to both sides.
    apart = apart.map(|count| count - all.len());
    delta::adjust(all.iter_mut().map(|cell| &mut cell.delta));
    let compared = all.len();
    all.retain(|cell| !cell.delta.is_equal());
    Ok(TableDiff {
        name: table.name.clone(),
        axes: axes.into_iter().map(str::to_owned).collect(),
        values: table.value_names().into_iter().map(str::to_owned).collect(),
        replicate: table.replicate.map(|axis| side.graph.experiment.axes[axis].name.clone()),
        equal: compared - all.len(),
        changed: all,
        apart,
        missing: [missing_from, missing_to],
    })
}

/// Returns the largest difference of each of a table's values that may be the rounding of a calculation: none for a
/// metric itself, else a small share of the value's largest number.
fn rounding<'v>(table: &Table, values: &(impl Iterator<Item = &'v Vec<ValuesByUnit>> + Clone)) -> Vec<f64> {
    const SHARE: f64 = 1e-13;
    let largest = |value: usize| {
        let numbers = values.clone().filter_map(|of| of.get(value)).flat_map(BTreeMap::values);
        numbers
            .filter(|number| number.is_finite())
            .fold(0.0, |largest: f64, number| largest.max(number.abs()))
    };
    let of = |(value, expression): (usize, &&Expression)| {
        if expression.plain().is_some() { 0.0 } else { SHARE * largest(value) }
    };
    table.values().iter().enumerate().map(of).collect()
}

/// Returns the values of `to`; one that differs from its counterpart in `from` by `rounding` or less is replaced by it.
fn without_rounding(from: &ValuesByUnit, to: &ValuesByUnit, rounding: f64) -> ValuesByUnit {
    let near = |unit: &String, value: f64| {
        from.get(unit).copied().filter(|other| (other - value).abs() <= rounding).unwrap_or(value)
    };
    to.iter().map(|(unit, &value)| (unit.clone(), near(unit, value))).collect()
}

/// Returns the cells of a table by the values of these axes, in the order of the levels, and the number of rows with
/// missing results.
fn cells<O: Ops>(
    (side, table): (&ComparedExperiment<'_, O>, &Table),
    axes: &[&str],
) -> Result<(Vec<NamedPoint>, usize), TableError> {
    let made = ReplicateUnits::gather(side.graph, side.results, table)?;
    let all = &side.graph.experiment.axes;
    // The indices of `axes` among the axes of a cell.
    let places: Vec<usize> =
        axes.iter().filter_map(|name| made.axes.iter().position(|&axis| all[axis].name == *name)).collect();
    let level = |cell: &PointUnits, place: usize| &all[made.axes[place]].levels[cell.levels[place]];
    let unit = |level: &usize| {
        table.replicate.map_or(String::new(), |axis| all[axis].levels[*level].value.to_string())
    };
    // A question names some values twice, such as the size that is limited; each is compared once.
    let texts: Vec<&str> = table.values().iter().map(|value| value.text.as_str()).collect();
    let by_unit = |(value, of): (usize, &BTreeMap<usize, f64>)| {
        let is_first = !texts[..value].contains(&texts[value]);
        of.iter().filter(|_| is_first).map(|(at, value)| (unit(at), *value)).collect()
    };
    let named = |cell: &PointUnits| NamedPoint {
        point: places.iter().map(|&place| level(cell, place).value.to_string()).collect(),
        labels: places.iter().map(|&place| level(cell, place).label.clone()).collect(),
        values: cell.values.iter().enumerate().map(by_unit).collect(),
    };
    Ok((made.points.iter().map(named).collect(), made.missing))
}
