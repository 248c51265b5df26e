//! The answers of a `Choose` table: for each group of points the smallest one within the limits, the smallest that is not
//! significantly worse than the best, or the best one within the limits. The choice uses one value, the report may use
//! another.
//! Knows nothing of the words in which an answer is shown.

use std::collections::BTreeMap;

use super::cell::{PointRows, WeightedValue, estimate, group_rows};
use super::points::TablePoint;
use super::rows::Rows;
use crate::dense::AxisId;
use crate::spec::question::{Goal, Question};
use crate::spec::table::{Table, TableKind};
use crate::statistics::best::may_be_best;
use crate::statistics::estimate::Estimate;

/// Sizes within this relative difference count as equal: the bytes of a scale per tensor do not make a format larger.
pub(super) const SAME_SIZE: f64 = 0.01;

/// An answer to the question for the best point.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The axes of a candidate's levels: first the axes of the groups, then the others.
    pub axes: Vec<AxisId>,
    /// The level of each axis of the groups.
    pub group: Vec<usize>,
    /// The limit of the value that has several; `None` if none has.
    pub step: Option<f64>,
    /// The candidates: every point of the group that has results.
    pub candidates: Vec<Candidate>,
    /// The chosen candidate; `None` if no candidate is good enough.
    pub chosen: Option<usize>,
    /// The runner-up: the candidate that would be chosen instead. It differs from the chosen one in some value.
    pub runner_up: Option<usize>,
    /// The best candidate of the next smaller size, if the smallest size is the goal.
    pub smaller: Option<usize>,
    /// The candidate that comes closest to the limits; only if none is chosen.
    pub closest: Option<usize>,
    /// The number of rows with missing results.
    pub missing: usize,
    /// The number of those rows that miss a result because a task failed.
    pub failed: usize,
}

/// A point that can be chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The level of each axis.
    pub levels: Vec<usize>,
    /// The size: the value to minimize, or the first limited value.
    pub size: Estimate,
    /// The value that the choice is based on.
    pub select: Estimate,
    /// The drop of the selection value: baseline minus value.
    pub select_drop: Option<Estimate>,
    /// The value that is reported.
    pub report: Option<Estimate>,
    /// The drop of the reported value: baseline minus value.
    pub report_drop: Option<Estimate>,
    /// The largest ratio of a limited value to its upper limit, and of a lower limit to the confidence bound of its
    /// value; the limits hold if it is at most 1.
    pub excess: f64,
    /// Whether the drop is significantly within its limit. Without any limit on the quality, whether the candidate is
    /// not significantly worse than the best.
    pub is_enough: bool,
    /// Whether the baseline of the stated drop is near chance; without one, the stated value.
    pub starts_near_chance: bool,
}

impl Answer {
    /// Returns the candidates that the answer names, each with its part in it.
    #[must_use]
    pub fn parts(&self) -> Vec<(&'static str, usize)> {
        let parts = [
            ("chosen", self.chosen),
            ("runner-up", self.runner_up),
            ("next smaller", self.smaller),
            ("closest", self.closest),
        ];
        parts.into_iter().filter_map(|(part, at)| Some((part, at?))).collect()
    }

    /// Answers the question of a `Choose` table over the axes that it keeps, once for each group of points and each step
    /// of a limit; returns nothing for the other kinds.
    pub(super) fn from_rows(rows: &Rows, table: &Table, axes: &[AxisId]) -> Vec<Self> {
        let TableKind::Choose(choose) = &table.kind else { return vec![] };
        let cells = group_rows(rows, table, axes);
        let group = |cell: &PointRows<'_>| cell.levels[..choose.each.len()].to_vec();
        let mut answers = vec![];
        for cells in cells.chunk_by(|one, other| group(one) == group(other)) {
            let measured = measure(cells, choose, table);
            for step in steps(choose) {
                let candidates = candidates(&measured, choose, step);
                let answer = Self::among(candidates, choose.goal, axes.to_vec());
                let (missing, failed) = (rows.missing, rows.failed);
                answers.push(Self { group: group(&cells[0]), step, missing, failed, ..answer });
            }
        }
        answers
    }

    fn among(candidates: Vec<Candidate>, goal: Goal, axes: Vec<AxisId>) -> Self {
        let mut good: Vec<usize> = (0..candidates.len()).filter(|&at| candidates[at].is_good()).collect();
        match goal {
            Goal::Smallest => smallest_first(&mut good, &candidates),
            Goal::Best => good.sort_by(|&a, &b| {
                let (one, other) = (&candidates[a], &candidates[b]);
                let best = other.select.mean.total_cmp(&one.select.mean);
                best.then(one.size.mean.total_cmp(&other.size.mean)).then(a.cmp(&b))
            }),
        }
        let chosen = good.first().copied();
        // Formats that agree on all weights make one network, so the runner-up must differ in some value.
        let runner_up = good
            .iter()
            .copied()
            .find(|&at| chosen.is_some_and(|chosen| !candidates[at].is_twin_of(&candidates[chosen])));
        let smaller = chosen
            .filter(|_| goal == Goal::Smallest)
            .and_then(|chosen| smaller(&candidates, candidates[chosen].size.mean));
        let closest = if chosen.is_some() { None } else { closest(&candidates) };
        let (group, step) = (vec![], None);
        Self { axes, group, step, candidates, chosen, runner_up, smaller, closest, missing: 0, failed: 0 }
    }
}

/// Sorts candidates by their sizes; among candidates of one size, the best comes first.
fn smallest_first(good: &mut [usize], candidates: &[Candidate]) {
    good.sort_by(|&a, &b| candidates[a].size.mean.total_cmp(&candidates[b].size.mean).then(a.cmp(&b)));
    let mut rest = good;
    while let Some(&first) = rest.first() {
        let least = candidates[first].size.mean;
        let is_same = |at: &&mut usize| candidates[**at].size.mean - least <= SAME_SIZE * least.abs();
        let same = rest.iter_mut().take_while(is_same).count();
        let (of_one_size, larger) = rest.split_at_mut(same);
        of_one_size.sort_by(|&a, &b| candidates[b].select.mean.total_cmp(&candidates[a].select.mean));
        rest = larger;
    }
}

/// Returns the limits of the value that has several; one `None` if no value has.
fn steps(choose: &Question) -> Vec<Option<f64>> {
    choose.steps().map_or(vec![None], |limit| limit.most.iter().copied().map(Some).collect())
}

impl Candidate {
    /// Returns the drop that the answer states: that of the reported value, else that of the selection value.
    #[must_use]
    pub fn drop(&self) -> Option<Estimate> {
        self.report_drop.or(self.select_drop)
    }

    fn is_good(&self) -> bool {
        self.excess <= 1.0 && self.is_enough
    }

    /// Returns a number that is smaller for better candidates: the upper bound of the drop, or minus the selection
    /// value.
    fn bound(&self) -> f64 {
        let bound = self.select_drop.map(|drop| drop.upper_bound().unwrap_or(drop.mean));
        bound.unwrap_or(-self.select.mean)
    }

    fn is_twin_of(&self, other: &Self) -> bool {
        self.size == other.size && self.select == other.select && self.report == other.report
    }
}

/// Returns the best candidate of the next smaller size, among those that satisfy the limits.
fn smaller(candidates: &[Candidate], size: f64) -> Option<usize> {
    let fits = |at: usize| candidates[at].excess <= 1.0;
    let below =
        |most: f64| (0..candidates.len()).filter(move |&at| fits(at) && candidates[at].size.mean < most);
    let next = below(size * (1.0 - SAME_SIZE)).map(|at| candidates[at].size.mean).fold(f64::NAN, f64::max);
    below(size * (1.0 - SAME_SIZE))
        .filter(|&at| candidates[at].size.mean >= next * (1.0 - SAME_SIZE))
        .max_by(|&a, &b| candidates[a].select.mean.total_cmp(&candidates[b].select.mean).then(b.cmp(&a)))
}

/// Returns the candidate with the smallest excess over the limits; among those within the limits, the one with the
/// smallest bound.
fn closest(candidates: &[Candidate]) -> Option<usize> {
    // A limit that is exceeded by less than the tolerance of sizes counts as kept here: a network of 2.0002 bits is
    // closer to a limit of 2 than one that loses everything.
    let beyond = |excess: f64| if excess <= 1.0 + SAME_SIZE { 1.0 } else { excess };
    let key = |at: usize| (beyond(candidates[at].excess), candidates[at].bound());
    let order = |a: (f64, f64), b: (f64, f64)| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1));
    (0..candidates.len()).min_by(|&a, &b| order(key(a), key(b)))
}

/// A candidate with the values that have limits.
struct Measured {
    /// The candidate; its limits are not decided yet.
    candidate: Candidate,
    /// The mean of each value with an upper limit.
    upper: Vec<Option<f64>>,
    /// The estimate of each value with a lower limit.
    lower: Vec<Option<Estimate>>,
    /// The selection value by unit of replication.
    units: BTreeMap<usize, f64>,
}

fn measure(cells: &[PointRows<'_>], choose: &Question, table: &Table) -> Vec<Measured> {
    let (columns, limits) = columns(choose);
    let measured = |cell: &PointRows<'_>| {
        let value = |column: &AnswerColumn| column.estimate(cell, table);
        let mut drops = [None; 2];
        let mut judged = [None; 2];
        for column in &columns[1..] {
            let place = usize::from(column.is_report);
            let into = if column.less.is_some() { &mut drops[place] } else { &mut judged[place] };
            *into = value(column);
        }
        let limited = |value: usize| estimate(&[WeightedValue { weight: 1.0, cell, value }], table);
        let lower = limits + choose.at_most.len();
        let [select_drop, report_drop] = drops;
        let candidate = Candidate {
            levels: cell.levels.clone(),
            size: value(&columns[0]).filter(|size| size.mean.is_finite())?,
            select: judged[0].filter(|select| !select.mean.is_nan())?,
            select_drop,
            report: judged[1],
            report_drop,
            excess: 1.0,
            is_enough: true,
            starts_near_chance: columns.last().is_some_and(|column| cell.is_near_chance(column.value)),
        };
        Some(Measured {
            candidate,
            upper: (limits..lower).map(|at| limited(at).map(|value| value.mean)).collect(),
            lower: (lower..lower + choose.at_least.len()).map(limited).collect(),
            units: cell.means(SELECT),
        })
    };
    cells.iter().filter_map(measured).collect()
}

/// Returns the candidates, each with whether it keeps the limits; `step` is the limit of the value that has several.
fn candidates(measured: &[Measured], choose: &Question, step: Option<f64>) -> Vec<Candidate> {
    let units = |at: usize| measured.iter().filter_map(|of| Some(of.lower[at]?.n)).max().unwrap_or(0);
    let most_units: Vec<usize> = (0..choose.at_least.len()).map(units).collect();
    let excess = |of: &Measured| {
        let upper = of.upper.iter().zip(&choose.at_most).map(|(value, limit)| {
            let most = step.filter(|_| limit.most.len() > 1).unwrap_or(limit.most[0]);
            value.map_or(f64::INFINITY, |value| over(value, most))
        });
        let lower =
            of.lower.iter().zip(&choose.at_least).zip(&most_units).map(|((value, (_, least)), units)| {
                let value = value.filter(|value| value.n == *units);
                value
                    .and_then(|value| known_bound(value, *units))
                    .map_or(f64::INFINITY, |bound| under(bound, *least))
            });
        upper.chain(lower).fold(0.0, f64::max)
    };
    let made = |of: &Measured| Candidate { excess: excess(of), ..of.candidate.clone() };
    let mut candidates: Vec<Candidate> = measured.iter().map(made).collect();
    match (choose.max_drop, choose.goal) {
        (Some(most), _) => mark_small_losses(&mut candidates, most),
        (None, Goal::Smallest) if choose.at_least.is_empty() => mark_best(&mut candidates, measured),
        // A lower limit says what is good enough, and the best one is.
        (None, Goal::Smallest | Goal::Best) => mark_replicated(&mut candidates),
    }
    candidates
}

/// Returns the lower bound of a value with 95 % confidence. With one unit of replication, only an interval over images
/// gives a bound; without it the mean counts, and the answer says so. Values that do not vary have no bound.
fn known_bound(value: Estimate, units: usize) -> Option<f64> {
    value.lower_bound().or((units == 1).then_some(value.mean))
}

/// Returns the ratio of a lower limit to a value, and 1 if the value keeps the limit; infinite for NaN, and for other
/// values of 0 or less.
fn under(value: f64, least: f64) -> f64 {
    if value >= least {
        1.0
    } else if value > 0.0 && least.is_finite() {
        least / value
    } else {
        f64::INFINITY
    }
}

/// Returns the ratio of a value to its limit, and 1 within the limit; infinite for NaN, and for other values above a
/// limit of 0 or less.
fn over(value: f64, most: f64) -> f64 {
    if value <= most {
        1.0
    } else if value.is_finite() && most > 0.0 {
        value / most
    } else {
        f64::INFINITY
    }
}

/// Marks the candidates whose drop is at most `most` with 95 % confidence. A candidate with fewer units of
/// replication than another within the limits is not marked: a bound over few seeds, or no bound, is not comparable
/// with one over many.
fn mark_small_losses(candidates: &mut [Candidate], most: f64) {
    let fits = candidates.iter().filter(|candidate| candidate.excess <= 1.0);
    let replications = fits.filter_map(|candidate| Some(candidate.select_drop?.n)).max().unwrap_or(0);
    for candidate in candidates {
        candidate.is_enough = candidate.select_drop.is_some_and(|drop| {
            // With one training, only an interval over images gives a bound; without it the mean counts, and the
            // answer says so. Drops that do not vary have no bound.
            let bound = drop.upper_bound().or((replications == 1).then_some(drop.mean));
            drop.n == replications && bound.is_some_and(|bound| bound <= most)
        });
    }
}

/// Marks the candidates with as many units of replication as any within the limits: the mean of fewer trainings may be luck.
fn mark_replicated(candidates: &mut [Candidate]) {
    let fits = candidates.iter().filter(|candidate| candidate.excess <= 1.0);
    let most = fits.map(|candidate| candidate.select.n).max().unwrap_or(0);
    for candidate in candidates {
        candidate.is_enough = candidate.select.n == most;
    }
}

/// Marks the candidates within the limits that are not significantly worse than the best, over the units that all of
/// them have.
fn mark_best(candidates: &mut [Candidate], measured: &[Measured]) {
    let means = |at: usize| &measured[at].units;
    let fitting = || (0..candidates.len()).filter(|&at| candidates[at].excess <= 1.0);
    let most = fitting().map(|at| means(at).len()).max().unwrap_or(0);
    let fits: Vec<usize> = fitting().filter(|&at| means(at).len() == most).collect();
    let shared = |unit: &usize| fits.iter().all(|&at| means(at).contains_key(unit));
    let units: Vec<usize> =
        fits.first().map_or(vec![], |&at| means(at).keys().copied().filter(shared).collect());
    let values: Vec<Vec<f64>> =
        fits.iter().map(|&at| units.iter().map(|unit| means(at)[unit]).collect()).collect();
    let best = if units.len() > 1 {
        may_be_best(&values)
    } else {
        // One training gives no estimate of the variation: the largest mean wins.
        let mean = |at: &usize| candidates[*at].select.mean;
        let largest = fits.iter().map(mean).fold(f64::NEG_INFINITY, f64::max);
        fits.iter().map(|at| mean(at) == largest).collect()
    };
    for candidate in candidates.iter_mut() {
        candidate.is_enough = false;
    }
    for (&at, best) in fits.iter().zip(best) {
        candidates[at].is_enough = best;
    }
}

/// The index of the selection value among a table's values.
const SELECT: usize = 1;

/// A column of a `Choose` table: a value, or the drop to its baseline.
struct AnswerColumn {
    value: usize,
    less: Option<usize>,
    is_report: bool,
}

impl AnswerColumn {
    fn estimate(&self, cell: &PointRows<'_>, table: &Table) -> Option<Estimate> {
        let value = WeightedValue { weight: 1.0, cell, value: self.value };
        match self.less {
            None => estimate(&[value], table),
            Some(less) => estimate(&[value, WeightedValue { weight: -1.0, cell, value: less }], table),
        }
    }
}

/// Returns the columns of a `Choose` table, size first, and the index of the first limit among the table's values.
fn columns(choose: &Question) -> (Vec<AnswerColumn>, usize) {
    let mut columns = vec![AnswerColumn { value: 0, less: None, is_report: false }];
    let mut next = SELECT;
    for (is_report, judged) in [(false, Some(&choose.select)), (true, choose.report.as_ref())] {
        let Some(judged) = judged else { continue };
        columns.push(AnswerColumn { value: next, less: None, is_report });
        if judged.baseline.is_some() {
            columns.push(AnswerColumn { value: next + 1, less: Some(next), is_report });
            next += 1;
        }
        next += 1;
    }
    (columns, next)
}

/// Returns a point for every candidate.
pub(super) fn points(cells: &[PointRows<'_>], choose: &Question, table: &Table) -> Vec<TablePoint> {
    let (columns, _) = columns(choose);
    let make = |cell: &PointRows<'_>| TablePoint {
        levels: cell.levels.clone(),
        values: columns.iter().map(|column| column.estimate(cell, table)).collect(),
        units: vec![],
        is_failed: cell.has_failures(),
    };
    cells.iter().map(make).collect()
}
