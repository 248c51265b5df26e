//! The answers of a `Choose` table: for each group of points the smallest one within the limits, the smallest that is not
//! significantly worse than the best, or the best one within the limits. The choice uses one value, the report may use
//! another.
//! Knows nothing of the words in which an answer is shown.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::candidate::{Candidate, measure};
use super::cell::group_rows;
use super::limits::candidates;
use super::rows::Rows;
use crate::dense::{AxisId, PointId};
use crate::spec::experiment::Experiment;
use crate::spec::question::{Goal, LowerLimit, Question};
use crate::spec::table::{Table, TableKind};

/// Sizes within this relative difference count as equal: the bytes of a scale per tensor do not make a format larger.
pub(super) const SAME_SIZE: f64 = 0.01;

/// An answer to the question for the best point.
#[derive(Clone, Debug, Default, PartialEq)]
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
    /// The number of different candidates beside the chosen one that may be the best, where the best one is the goal.
    pub rivals: usize,
    /// The best candidate of the next smaller size, if the smallest size is the goal.
    pub smaller: Option<usize>,
    /// The candidate that comes closest to the limits; only if none is chosen.
    pub closest: Option<usize>,
    /// The number of rows of the group with missing results.
    pub missing: usize,
    /// The number of those rows that miss a result because a task failed.
    pub failed: usize,
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

    /// Returns the parts that a table lists: all of them; of a question with several answers the first one, which is the
    /// chosen candidate, or the closest.
    #[must_use]
    pub fn listed(&self, choose: &Question) -> Vec<(&'static str, usize)> {
        let mut parts = self.parts();
        parts.truncate(if choose.has_groups() { 1 } else { usize::MAX });
        parts
    }

    /// Answers the question of a `Choose` table over the axes that it keeps, once for each group of points and each step
    /// of a limit; returns nothing for the other kinds. A table without a point has one answer, or one for each step.
    pub(super) fn from_rows(
        experiment: &Experiment,
        rows: &Rows,
        table: &Table,
        axes: &[AxisId],
    ) -> Vec<Self> {
        let TableKind::Choose(choose) = &table.kind else { return vec![] };
        let cells = group_rows(rows, table, axes);
        let (replicate, at_least) = (table.replicate, choose.at_least.iter());
        let is_constant =
            |of: &LowerLimit| replicate.is_some_and(|axis| !experiment.axes_of(&of.value).contains(&axis));
        let is_constant: Vec<bool> = at_least.map(is_constant).collect();
        let mut answers = vec![];
        for (group, unknown) in groups(rows, &choose.each) {
            let members = cells.iter().filter(|cell| cell.levels.starts_with(&group)).collect::<Vec<_>>();
            let measured = measure(&members, choose, table);
            for step in steps(choose) {
                let candidates = candidates(&measured, (choose, &is_constant), step);
                let Unknown { missing, failed } = unknown;
                answers.push(Self {
                    axes: axes.to_vec(),
                    group: group.clone(),
                    step,
                    missing,
                    failed,
                    ..Self::among(candidates, choose.goal)
                });
            }
        }
        answers
    }

    fn among(candidates: Vec<Candidate>, goal: Goal) -> Self {
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
        let rivals = chosen.map_or(0, |chosen| rivals(&candidates, chosen));
        let closest = if chosen.is_some() { None } else { closest(&candidates) };
        Self { candidates, chosen, runner_up, rivals, smaller, closest, ..Self::default() }
    }
}

/// The rows of a group without a value.
#[derive(Clone, Copy, Default)]
struct Unknown {
    /// The number of rows with missing results.
    missing: usize,
    /// The number of those rows that miss a result because a task failed.
    failed: usize,
}

/// Returns the groups of a table's rows by their levels on these axes, at least one; also the groups of rows whose filter
/// is not decided yet.
fn groups(rows: &Rows, each: &[AxisId]) -> BTreeMap<Vec<usize>, Unknown> {
    let levels = |point: PointId| -> Vec<usize> {
        each.iter().map(|&axis| rows.points.level(point, axis).unwrap_or_default()).collect()
    };
    let mut groups: BTreeMap<Vec<usize>, Unknown> = BTreeMap::new();
    for row in &rows.rows {
        let unknown = groups.entry(levels(row.point)).or_default();
        unknown.missing += usize::from(row.is_missing);
        unknown.failed += usize::from(row.is_failed);
    }
    for undecided in &rows.undecided {
        let unknown = groups.entry(levels(undecided.point)).or_default();
        unknown.missing += 1;
        unknown.failed += usize::from(undecided.is_failed);
    }
    if groups.is_empty() {
        groups.insert(vec![], Unknown::default());
    }
    groups
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

/// Returns the best candidate of the next smaller size, among those that keep the upper limits.
fn smaller(candidates: &[Candidate], size: f64) -> Option<usize> {
    let fits = |at: usize| candidates[at].excess <= 1.0;
    let below =
        |most: f64| (0..candidates.len()).filter(move |&at| fits(at) && candidates[at].size.mean < most);
    let next = below(size * (1.0 - SAME_SIZE)).map(|at| candidates[at].size.mean).fold(f64::NAN, f64::max);
    below(size * (1.0 - SAME_SIZE))
        .filter(|&at| candidates[at].size.mean >= next * (1.0 - SAME_SIZE))
        .max_by(|&a, &b| candidates[a].select.mean.total_cmp(&candidates[b].select.mean).then(b.cmp(&a)))
}

/// Returns the number of different candidates beside the chosen one that may be the best. Formats that agree on all weights
/// make one network and count once.
fn rivals(candidates: &[Candidate], chosen: usize) -> usize {
    let mut different = vec![chosen];
    for at in 0..candidates.len() {
        let is_new = || different.iter().all(|&other| !candidates[at].is_twin_of(&candidates[other]));
        if candidates[at].may_be_best && is_new() {
            different.push(at);
        }
    }
    different.len() - 1
}

/// Returns the candidate with the smallest excess over the upper limits; among those that keep them, the one with the
/// smallest shortfall below the lower limits, then with the smallest bound.
fn closest(candidates: &[Candidate]) -> Option<usize> {
    // A limit that is exceeded by less than the tolerance of sizes counts as kept here: a network of 2.0002 bits is
    // closer to a limit of 2 than one that loses everything.
    let beyond = |excess: f64| if excess <= 1.0 + SAME_SIZE { 1.0 } else { excess };
    let key = |at: usize| [beyond(candidates[at].excess), candidates[at].shortfall, candidates[at].bound()];
    let order = |a: [f64; 3], b: [f64; 3]| {
        let pairs = a.iter().zip(&b).map(|(a, b)| a.total_cmp(b));
        pairs.fold(Ordering::Equal, Ordering::then)
    };
    (0..candidates.len()).min_by(|&a, &b| order(key(a), key(b)))
}
