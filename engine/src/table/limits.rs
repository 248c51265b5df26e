//! The limits of a `Choose` table: which candidates keep them, and which of those may be chosen.
//! Knows nothing of the order among the candidates that may be chosen.

use super::candidate::{Candidate, Measured};
use crate::spec::question::{Goal, Question};
use crate::statistics::best::may_be_best;
use crate::statistics::estimate::Estimate;

/// Returns the candidates, each with whether it keeps the limits; `step` is the limit of the value that has several.
/// `is_constant` says of each value with a lower limit whether it does not depend on the axis of replication.
pub(super) fn candidates(
    measured: &[Measured],
    (choose, is_constant): (&Question, &[bool]),
    step: Option<f64>,
) -> Vec<Candidate> {
    let upper = |of: &Measured| {
        let excess = of.upper.iter().zip(&choose.at_most).map(|(value, limit)| {
            let most = step.filter(|_| limit.most.len() > 1).unwrap_or(limit.most[0]);
            value.map_or(f64::INFINITY, |value| over(value, most))
        });
        excess.fold(0.0, f64::max)
    };
    let fitting: Vec<&Measured> = measured.iter().filter(|of| upper(of) <= 1.0).collect();
    let units = |at: usize| fitting.iter().filter_map(|of| Some(of.lower[at]?.n)).max().unwrap_or(0);
    let units: Vec<usize> = (0..choose.at_least.len()).map(units).collect();
    let made = |of: &Measured| {
        let bounds: Vec<Option<f64>> = of
            .lower
            .iter()
            .enumerate()
            .map(|(at, value)| {
                let value = value.filter(|value| value.n >= units[at]);
                value.and_then(|value| known_bound(value, is_constant[at]))
            })
            .collect();
        let shortfall = bounds
            .iter()
            .zip(&choose.at_least)
            .map(|(bound, limit)| bound.map_or(f64::INFINITY, |bound| under(bound, limit.least)));
        let shortfall = shortfall.fold(0.0, f64::max);
        Candidate { excess: upper(of), shortfall, bounds, ..of.candidate.clone() }
    };
    let mut candidates: Vec<Candidate> = measured.iter().map(made).collect();
    // The comparison with the best takes time with many candidates, and other questions do not need it.
    if choose.goal == Goal::Best || choose.is_open() {
        for (at, is_best) in best(&candidates, measured) {
            candidates[at].may_be_best = is_best;
        }
    }
    match (choose.max_drop, choose.goal) {
        (Some(most), _) => mark_small_losses(&mut candidates, most),
        _ if choose.is_open() => mark_best(&mut candidates),
        // A lower limit says what is good enough, and the best one is.
        (None, Goal::Smallest | Goal::Best) => mark_replicated(&mut candidates),
    }
    candidates
}

/// Returns the lower bound of a value with 95 % confidence. With one unit of replication, only an interval over images
/// gives a bound; without it the mean counts, and the caption says so. The mean also counts for a value that cannot vary,
/// such as a size; a value that happens to be the same in all units has no bound.
fn known_bound(value: Estimate, is_constant: bool) -> Option<f64> {
    value.lower_bound().or((value.n == 1 || is_constant).then_some(value.mean))
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
    let fits = candidates.iter().filter(|candidate| candidate.keeps_limits());
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
    let fits = candidates.iter().filter(|candidate| candidate.keeps_limits());
    let most = fits.map(|candidate| candidate.select.n).max().unwrap_or(0);
    for candidate in candidates {
        candidate.is_enough = candidate.select.n == most;
    }
}

/// Marks the candidates that are not significantly worse than the best. With one training, which gives no estimate of the
/// variation, the largest mean wins.
fn mark_best(candidates: &mut [Candidate]) {
    let has_test = candidates.iter().any(|candidate| candidate.may_be_best);
    let fits = candidates.iter().filter(|candidate| candidate.keeps_limits());
    let largest = fits.map(|candidate| candidate.select.mean).fold(f64::NEG_INFINITY, f64::max);
    for candidate in candidates {
        candidate.is_enough = if has_test { candidate.may_be_best } else { candidate.select.mean == largest };
    }
}

/// Returns the candidates within the limits that have the most units of replication, each with whether it is not
/// significantly worse than the best, over the units that all of them have; nothing below two units.
fn best(candidates: &[Candidate], measured: &[Measured]) -> Vec<(usize, bool)> {
    let means = |at: usize| &measured[at].units;
    let fitting = || (0..candidates.len()).filter(|&at| candidates[at].keeps_limits());
    let most = fitting().map(|at| means(at).len()).max().unwrap_or(0);
    let fits: Vec<usize> = fitting().filter(|&at| means(at).len() == most).collect();
    let shared = |unit: &usize| fits.iter().all(|&at| means(at).contains_key(unit));
    let units: Vec<usize> =
        fits.first().map_or(vec![], |&at| means(at).keys().copied().filter(shared).collect());
    if units.len() < 2 {
        return vec![];
    }
    let values: Vec<Vec<f64>> =
        fits.iter().map(|&at| units.iter().map(|unit| means(at)[unit]).collect()).collect();
    let best = may_be_best(&values);
    fits.into_iter().zip(best).collect()
}
