//! The rows of a table gathered by the axes it keeps and by unit of replication, with estimates from them.
//! Knows nothing of which values are compared.

use std::collections::{BTreeMap, BTreeSet};

use super::answers::Answers;
use super::rows::{Row, Rows};
use crate::dense::AxisId;
use crate::spec::table::{Interval, Table};
use crate::statistics::crossed;
use crate::statistics::estimate::{Estimate, mean, pooled};
use crate::statistics::proportion::wilson;
use crate::statistics::sum_of;

/// One cell: a combination of levels of the axes that the table keeps.
pub(super) struct PointRows<'f> {
    /// The level of each of those axes.
    pub(super) levels: Vec<usize>,
    /// The rows of each unit of replication, by its level. Without replication all rows are one unit.
    units: BTreeMap<usize, Vec<&'f Row>>,
}

/// A term of a weighted sum: one value of one cell with its weight.
#[derive(Clone, Copy)]
pub(super) struct WeightedValue<'c, 'f> {
    pub(super) weight: f64,
    pub(super) cell: &'c PointRows<'f>,
    /// The index of the value.
    pub(super) value: usize,
}

/// The results behind a value: a number for each row, which rows share if all their results come from the same records.
pub(super) type Origin = Vec<u64>;

impl<'f> WeightedValue<'_, 'f> {
    /// Returns the rows of a unit that have the value.
    fn rows(&self, unit: usize) -> Vec<&'f Row> {
        let rows = self.cell.units.get(&unit).into_iter().flatten().copied();
        rows.filter(|row| row.values[self.value].is_some()).collect()
    }
}

/// Gathers rows by the levels of the axes in `kept`, in the order of the levels.
pub(super) fn group_rows<'f>(rows_of_table: &'f Rows, table: &Table, kept: &[AxisId]) -> Vec<PointRows<'f>> {
    let level = |row: &Row, axis: AxisId| rows_of_table.points.level(row.point, axis).unwrap_or_default();
    let mut cells: BTreeMap<Vec<usize>, BTreeMap<usize, Vec<&Row>>> = BTreeMap::new();
    for row in &rows_of_table.rows {
        let levels = kept.iter().map(|&axis| level(row, axis)).collect();
        let unit = table.replicate.map_or(0, |axis| level(row, axis));
        cells.entry(levels).or_default().entry(unit).or_default().push(row);
    }
    cells.into_iter().map(|(levels, units)| PointRows { levels, units }).collect()
}

impl PointRows<'_> {
    /// Returns the mean of a value within each unit that has it.
    pub(super) fn means(&self, value: usize) -> BTreeMap<usize, f64> {
        let of_unit =
            |rows: &Vec<&Row>| mean(&rows.iter().filter_map(|row| row.values[value]).collect::<Vec<_>>());
        self.units.iter().filter_map(|(&unit, rows)| Some((unit, of_unit(rows)?))).collect()
    }

    /// Returns the standard deviation of a value within units, pooled over them; `None` if each unit has one row.
    fn spread(&self, value: usize) -> Option<f64> {
        let values = |rows: &Vec<&Row>| rows.iter().filter_map(|row| row.values[value]).collect();
        let units: Vec<Vec<f64>> = self.units.values().map(values).collect();
        pooled(&units)
    }

    /// Returns a value image by image for each unit, averaged within the unit; `None` if a row lacks the answers.
    fn scores(&self, value: usize) -> Option<BTreeMap<usize, Vec<f64>>> {
        let mut all = BTreeMap::new();
        for (&unit, rows) in &self.units {
            // As in means, rows without a value are ignored.
            let rows: Vec<&&Row> = rows.iter().filter(|row| row.values[value].is_some()).collect();
            let mut sums: Vec<f64> = vec![];
            for row in &rows {
                row.answers.get(value)?.as_ref()?.add_to(&mut sums)?;
            }
            if !rows.is_empty() {
                all.insert(unit, sums.into_iter().map(|sum| sum / rows.len() as f64).collect());
            }
        }
        Some(all)
    }

    /// Returns the results behind the values, for tables with tests.
    pub(super) fn origin(&self) -> Origin {
        self.units.values().flatten().filter_map(|row| row.origin).collect()
    }

    /// Returns whether a row misses a result because a task failed.
    pub(super) fn has_failures(&self) -> bool {
        self.units.values().flatten().any(|row| row.is_failed)
    }

    /// Returns whether an accuracy in a value is near chance in every row.
    pub(super) fn is_near_chance(&self, value: usize) -> bool {
        self.units.values().flatten().all(|row| row.near_chance[value])
    }
}

/// Estimates a weighted sum from the units that have all of its terms; `None` if there is no such unit.
pub(super) fn estimate(terms: &[WeightedValue<'_, '_>], table: &Table) -> Option<Estimate> {
    let means: Vec<_> = terms.iter().map(|term| term.cell.means(term.value)).collect();
    let units: BTreeSet<usize> = means.first()?.keys().copied().collect();
    let sum = |unit: &usize| {
        let part = |(term, means): (&WeightedValue<'_, '_>, &BTreeMap<usize, f64>)| {
            Some(term.weight * means.get(unit)?)
        };
        let parts: Vec<f64> = terms.iter().zip(&means).map(part).collect::<Option<_>>()?;
        Some(sum_of(&parts))
    };
    let values: Vec<f64> = units.iter().filter_map(sum).collect();
    let estimate = Estimate {
        spread: match terms {
            [term] if !table.average.is_empty() => term.cell.spread(term.value),
            _ => None,
        },
        // An interval over images is valid near chance, too.
        near_chance: table.interval == Interval::Seeds
            && terms.iter().all(|term| term.cell.is_near_chance(term.value)),
        ..Estimate::from_values(&values)?
    };
    if table.interval == Interval::Seeds {
        return Some(estimate);
    }
    // A value that is not made of accuracies keeps the interval over units.
    if !terms.iter().all(|term| term.cell.is_made_of_answers(term.value)) {
        return Some(estimate);
    }
    if table.interval == Interval::Both {
        return Some(estimate.with(crossed::both(&scores(terms, &units).unwrap_or_default())));
    }
    let sum = sum_of_units(terms, &units);
    let error = sum.as_ref().and_then(Answers::error);
    Some(match sum.filter(Answers::is_share) {
        // The accuracy of a single network has Wilson's interval.
        Some(share) => {
            let interval = Some(wilson(estimate.mean, share.images as f64));
            Estimate { interval, ..estimate.with(error) }
        }
        None => estimate.with(error),
    })
}

/// Returns the mean of a weighted sum over units and the rows within each, image by image; `None` if the number of images
/// differs or a row lacks the answers.
fn sum_of_units(terms: &[WeightedValue<'_, '_>], units: &BTreeSet<usize>) -> Option<Answers> {
    // As in the estimate, a unit that lacks a term is ignored.
    let whole = units.iter().filter(|unit| terms.iter().all(|term| !term.rows(**unit).is_empty()));
    let whole: Vec<usize> = whole.copied().collect();
    let mut parts = vec![];
    for &unit in &whole {
        for term in terms {
            let rows = term.rows(unit);
            let weight = term.weight / rows.len() as f64 / whole.len() as f64;
            for row in rows {
                parts.push((weight, row.answers.get(term.value)?.as_ref()?));
            }
        }
    }
    Answers::sum(parts)
}

impl PointRows<'_> {
    fn is_made_of_answers(&self, value: usize) -> bool {
        self.units.values().flatten().any(|row| row.answers.get(value).is_some_and(Option::is_some))
    }
}

/// Returns a weighted sum image by image for each unit that has all terms; `None` if the number of images differs.
fn scores(terms: &[WeightedValue<'_, '_>], units: &BTreeSet<usize>) -> Option<Vec<Vec<f64>>> {
    let parts: Vec<_> = terms.iter().map(|term| term.cell.scores(term.value)).collect::<Option<_>>()?;
    let mut sums = vec![];
    for unit in units {
        let Some(of_unit) = parts.iter().map(|part| part.get(unit)).collect::<Option<Vec<_>>>() else {
            continue;
        };
        let images = of_unit.first()?.len();
        if of_unit.iter().any(|scores| scores.len() != images) {
            return None;
        }
        let score =
            |image: usize| of_unit.iter().zip(terms).map(|(scores, term)| term.weight * scores[image]).sum();
        sums.push((0..images).map(score).collect());
    }
    Some(sums)
}
