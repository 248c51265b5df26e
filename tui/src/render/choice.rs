//! The answer to a `Choose` question, in sentences.
//! Knows nothing of the statistics behind it.

use fewbits_engine::ops::MetricRole;
use fewbits_engine::spec::experiment::Experiment;
use fewbits_engine::spec::expression::Expression;
use fewbits_engine::spec::heading::PART_COLUMN;
use fewbits_engine::spec::node::with_role;
use fewbits_engine::spec::question::{Goal, LowerLimit, Question};
use fewbits_engine::spec::table::{Interval, Table, TableKind};
use fewbits_engine::statistics::estimate::Estimate;
use fewbits_engine::table::answer::Answer;
use fewbits_engine::table::candidate::Candidate;
use fewbits_engine::table::kind::step_heading;

use anyhow::Result;
use fewbits_engine::dense::AxisId;
use fewbits_engine::json_metrics::json_number;
use fewbits_engine::table::table_sheets::TableSheets;
use serde_json::{Map, Value as Json, json};

use super::number::{bytes, count, estimate, number, with_error};
use super::table::missing;

/// Writes the answers of a table, one sentence per element. Of several answers, each begins with its group, and its runner-up
/// and next smaller point are left out.
#[must_use]
pub fn answers(answers: &[Answer], table: &Table, experiment: &Experiment) -> Vec<String> {
    let TableKind::Choose(choose) = &table.kind else { return vec![] };
    let of = |choice: &Answer| {
        let mut said = answer(choice, table, experiment);
        if let (Some(group), Some(first)) = (group(choice, choose, experiment), said.first_mut()) {
            *first = format!("{group}: {first}");
        }
        said
    };
    answers.iter().flat_map(of).collect()
}

/// Returns the group of an answer in words; `None` for a question with one answer.
#[must_use]
pub fn group(choice: &Answer, choose: &Question, experiment: &Experiment) -> Option<String> {
    let labels =
        experiment.labels(&choice.axes, &choice.group).map(|(axis, label)| format!("{axis}={label}"));
    let step = choose.steps().zip(choice.step);
    let step = step.map(|(limit, most)| format!("{} {}", step_heading(limit), number(most)));
    let words: Vec<String> = labels.chain(step).collect();
    choose.has_groups().then(|| words.join(", "))
}

/// Writes an answer, one sentence per element: the chosen point with its confidence, the runner-up, the next smaller
/// point.
#[must_use]
pub fn answer(choice: &Answer, table: &Table, experiment: &Experiment) -> Vec<String> {
    let TableKind::Choose(choose) = &table.kind else { return vec![] };
    let teller = Teller { choice, choose, table, experiment };
    let mut said = match (choice.chosen, choice.closest) {
        (Some(chosen), _) => teller.chosen(chosen),
        (None, Some(closest)) => vec![teller.nothing(closest)],
        (None, None) => return vec!["Nothing can be chosen yet: there are no results.".to_owned()],
    };
    let missing = missing(choice.missing, choice.failed);
    said.extend(missing.into_iter().map(|sentence| format!("{sentence}: this may change.")));
    said
}

/// Writes answers as one JSON object: whether each has a point that fits, the sentences, and the points that the table
/// lists, each with the upper bound of its drop.
pub fn json(made: &TableSheets, choose: &Question, sentences: &[String]) -> Result<Json> {
    let parts = made.answers.iter().flat_map(|choice| {
        let parts = choice.listed(choose).into_iter();
        parts.map(|(part, at)| (part, choice.candidates[at].drop()))
    });
    let point = |((part, drop), mut values): ((&str, Option<Estimate>), Map<String, Json>)| {
        values.shift_remove(PART_COLUMN);
        let bound = drop.and_then(|drop| drop.upper_bound()).map_or(Json::Null, json_number);
        json!({ "part": part, "drop_bound": bound, "values": values })
    };
    let points: Vec<Json> = parts.zip(made.flat()?.objects()).map(point).collect();
    let fits = fit(made);
    Ok(json!({ "fits": fits, "sentences": sentences, "points": points }))
}

/// Returns whether every answer has a point that fits.
#[must_use]
pub fn fit(made: &TableSheets) -> bool {
    !made.answers.is_empty() && made.answers.iter().all(|choice| choice.chosen.is_some())
}

/// Returns whether a drop is zero in every unit.
fn is_same(drop: Estimate) -> bool {
    drop.mean == 0.0 && drop.error.is_some_and(|error| error.size == 0.0)
}

struct Teller<'t> {
    choice: &'t Answer,
    choose: &'t Question,
    table: &'t Table,
    experiment: &'t Experiment,
}

impl Teller<'_> {
    fn chosen(&self, at: usize) -> Vec<String> {
        let candidate = &self.choice.candidates[at];
        let mut said = vec![format!(
            "Choose {}: {}, {}{}{}.",
            self.place(at),
            self.size(candidate),
            self.value(candidate),
            self.loss(candidate),
            self.bounds(candidate),
        )];
        if self.choose.is_optimistic() {
            said.push(format!(
                "This is optimistic: {} chose it and reports on it; give `report` images that were not used to choose.",
                self.choose.select.value.text
            ));
        } else if let (Some(most), Some(drop)) = (self.choose.max_drop, candidate.report_drop)
            && drop.upper_bound().is_some_and(|bound| bound > most)
        {
            said.push(format!(
                "On images that were not used to choose, a loss of more than {} cannot be excluded.",
                self.amount(most)
            ));
        }
        if candidate.starts_near_chance {
            said.push(format!(
                "{} is near chance, so this choice means nothing: are the data, their `normalize` and the order of their classes those of the network's training?",
                self.baseline_or_value(candidate)
            ));
        }
        said.extend(self.better_baseline(at));
        if self.choose.goal == Goal::Best && self.choice.rivals > 0 {
            let others = count(self.choice.rivals, "other point");
            said.push(format!("{others} within the limits cannot be told from the best."));
        }
        if self.choose.has_groups() {
            return said;
        }
        if let Some(at) = self.choice.runner_up {
            let other = &self.choice.candidates[at];
            let (place, size) = (self.place(at), self.size(other));
            said.push(format!("Runner-up: {place}: {size}{}.", self.short_loss(other)));
        }
        if let Some(at) = self.choice.smaller {
            let other = &self.choice.candidates[at];
            let (place, size) = (self.place(at), self.size(other));
            said.push(format!("Next smaller: {size} with {place}{}.", self.short_loss(other)));
        }
        said
    }

    fn nothing(&self, at: usize) -> String {
        let candidate = &self.choice.candidates[at];
        let why = match self.choose.max_drop {
            _ if !candidate.keeps_limits() => {
                let surely = if self.choose.at_least.is_empty() { "" } else { "surely " };
                format!("no point {surely}keeps {}", self.limits())
            }
            Some(most) => format!("no point surely loses at most {}", self.amount(most)),
            None => "no point has results".to_owned(),
        };
        let value =
            if candidate.drop().is_some() { String::new() } else { format!(", {}", self.value(candidate)) };
        format!(
            "Nothing fits: {why}. Closest is {}: {}{value}{}{}.",
            self.place(at),
            self.size(candidate),
            self.loss(candidate),
            self.bounds(candidate),
        )
    }

    /// Writes the confidence bounds of the values with a lower limit.
    fn bounds(&self, candidate: &Candidate) -> String {
        let limits = self.choose.at_least.iter().zip(&candidate.bounds);
        let of = |(limit, bound): (&LowerLimit, &Option<f64>)| match bound {
            Some(bound) => format!("; {} is at least {} with {CONFIDENCE}", limit.value.text, number(*bound)),
            None => format!("; {} has no bound", limit.value.text),
        };
        limits.map(of).collect()
    }

    /// Writes the limits of the question.
    fn limits(&self) -> String {
        let upper = self.choose.at_most.iter().map(|limit| {
            let most = self.choice.step.filter(|_| limit.most.len() > 1).unwrap_or(limit.most[0]);
            format!("{} at most {}", limit.value.text, number(most))
        });
        let lower = self.choose.at_least.iter();
        let lower = lower.map(|limit| format!("{} at least {}", limit.value.text, number(limit.least)));
        upper.chain(lower).collect::<Vec<_>>().join(" and ")
    }

    /// Writes the levels of a candidate; those of its group stand before the answer.
    fn place(&self, at: usize) -> String {
        self.place_along(at, |axis| !self.choose.each.contains(&axis))
    }

    /// Writes the levels of a candidate on some axes.
    fn place_along(&self, at: usize, is_named: impl Fn(AxisId) -> bool) -> String {
        let levels = self.choice.axes.iter().zip(&self.choice.candidates[at].levels);
        let levels = levels.filter(|(axis, _)| is_named(**axis));
        let words = levels.map(|(&axis, &level)| {
            let axis = &self.experiment.axes[axis];
            format!("{}={}", axis.name, axis.levels[level].label)
        });
        let words: Vec<String> = words.collect();
        if words.is_empty() { "the only point".to_owned() } else { words.join(" ") }
    }

    fn size(&self, candidate: &Candidate) -> String {
        let (text, size) = (&self.choose.size.text, candidate.size.mean);
        if self.is(&self.choose.size, MetricRole::Bytes) {
            bytes(size.round() as u64)
        } else if self.is(&self.choose.size, MetricRole::BitsPerWeight) {
            format!("{size:.2} bits per weight")
        } else {
            format!("{text} {}", number(size))
        }
    }

    /// Writes the value of a candidate without the unit of its interval.
    fn plain_value(&self, candidate: &Candidate) -> String {
        let told = self.choose.report.as_ref().zip(candidate.report);
        let (of, value) = told.unwrap_or((&self.choose.select, candidate.select));
        format!("{} {}", of.value.text, estimate(&value))
    }

    /// Says so if another point has a better baseline by more than the allowed drop: a drop from a bad network is no
    /// merit.
    fn better_baseline(&self, chosen: usize) -> Option<String> {
        let baseline = |candidate: &Candidate| {
            let reported = candidate.report.zip(candidate.report_drop);
            let (value, drop) = reported.or(Some((candidate.select, candidate.select_drop?)))?;
            Some(value.mean + drop.mean).filter(|baseline| baseline.is_finite())
        };
        let own = baseline(&self.choice.candidates[chosen])?;
        let all = self.choice.candidates.iter().enumerate();
        let (best, most) = all
            .filter_map(|(at, candidate)| Some((at, baseline(candidate)?)))
            .max_by(|(_, a), (_, b)| a.total_cmp(b))?;
        // Means of sums differ by rounding errors.
        let noise = 1e-9 * most.abs();
        // With `maximize`, the value counts, and not its drop.
        if self.choose.goal == Goal::Best || most - own <= self.choose.max_drop.unwrap_or(0.0) + noise {
            return None;
        }
        let axes = self.experiment.nodes_in(&self.choose.select.baseline.iter().collect::<Vec<_>>());
        let axes: Vec<AxisId> =
            axes.into_iter().flat_map(|node| self.experiment.nodes[node].axes.clone()).collect();
        let place = self.place_along(best, |axis| axes.contains(&axis));
        let name = self.baseline(&self.choice.candidates[chosen]);
        Some(format!(
            "The drop is from a baseline that is not the best: {name} is {}, and {} with {place}. Compare the values too.",
            number(own),
            number(most)
        ))
    }

    /// Writes the value of a candidate: the report value, else the selection value.
    fn value(&self, candidate: &Candidate) -> String {
        let told = self.choose.report.as_ref().zip(candidate.report);
        let (of, value) = told.unwrap_or((&self.choose.select, candidate.select));
        let early = if told.is_none() && self.choose.report.is_some() { ", not reported yet" } else { "" };
        format!("{} {}{}{early}", of.value.text, estimate(&value), self.over(value))
    }

    /// Returns the text of the baseline that a drop is measured from.
    fn baseline(&self, candidate: &Candidate) -> &str {
        let report = self.choose.report.as_ref().filter(|_| candidate.report_drop.is_some());
        let baseline = report.unwrap_or(&self.choose.select).baseline.as_ref();
        baseline.map_or("its baseline", |baseline| &baseline.text)
    }

    /// Describes the unit of the interval: seeds, images, or both.
    fn over(&self, value: Estimate) -> String {
        let axis = self.table.replicate.map(|axis| self.experiment.axes[axis].name.as_str());
        let many = axis.map(|axis| format!("{} values of {axis}", value.n));
        match (self.table.interval, many) {
            _ if value.interval.is_none() && value.n == 1 => {
                " (one training: how sure this is, nobody knows)".to_owned()
            }
            _ if value.interval.is_none() => format!(" (the same in all {})", value.n),
            (Interval::Seeds, Some(many)) => format!(" (95 % t interval over {many})"),
            (Interval::Images, _) => " (95 % interval over images, for this network)".to_owned(),
            (Interval::Both, Some(many)) => format!(" (95 % interval over {many} and images)"),
            (Interval::Seeds | Interval::Both, None) => String::new(),
        }
    }

    /// Writes the drop or gain from the baseline and its confidence bound.
    fn loss(&self, candidate: &Candidate) -> String {
        let Some(drop) = candidate.drop() else { return String::new() };
        let (verb, mean) = changed(drop.mean);
        let size = match drop.half_width().filter(|half| *half > 0.0) {
            Some(half) => with_error(self.scale() * mean, self.scale() * half) + self.unit(),
            None => self.amount(mean),
        };
        let bound = match drop.upper_bound() {
            None => String::new(),
            Some(_) if is_same(drop) => self.without_difference(),
            Some(bound) if bound <= 0.0 => format!(", and loses nothing with {CONFIDENCE}"),
            Some(bound) if verb == LOSES => format!(", at most {} with {CONFIDENCE}", self.amount(bound)),
            Some(bound) => format!(", and loses at most {} with {CONFIDENCE}", self.amount(bound)),
        };
        format!("; it {verb} {size} against {}{bound}", self.baseline(candidate))
    }

    fn short_loss(&self, candidate: &Candidate) -> String {
        let Some(drop) = candidate.drop() else {
            return format!(", {}", self.value(candidate));
        };
        let (verb, mean) = changed(drop.mean);
        let bound = match drop.upper_bound() {
            None => String::new(),
            Some(_) if is_same(drop) => self.without_difference(),
            Some(bound) if bound <= 0.0 => " (surely no loss)".to_owned(),
            Some(bound) if verb == LOSES => format!(" (at most {})", self.amount(bound)),
            Some(bound) => format!(" (at worst a loss of {})", self.amount(bound)),
        };
        format!(", {}, {verb} {}{bound}", self.plain_value(candidate), self.amount(mean))
    }

    /// Describes a drop of zero without any variation, which is no evidence that others would not differ.
    fn without_difference(&self) -> String {
        match self.table.interval {
            Interval::Seeds => " in every training".to_owned(),
            Interval::Images | Interval::Both => " on these images".to_owned(),
        }
    }

    /// Returns the text of the baseline of a candidate's drop, or of its value if there is none.
    fn baseline_or_value(&self, candidate: &Candidate) -> &str {
        let report = self.choose.report.as_ref();
        let value = report.unwrap_or(&self.choose.select);
        if candidate.drop().is_some() { self.baseline(candidate) } else { &value.value.text }
    }

    /// Writes a drop; a drop in accuracy in points.
    fn amount(&self, loss: f64) -> String {
        let loss = self.scale() * loss;
        if self.unit().is_empty() {
            return number(loss);
        }
        // At least two decimals and two significant digits, so that a nonzero drop never prints as zero.
        let digits = if loss == 0.0 { 2 } else { (1.0 - loss.abs().log10().floor()).max(2.0) as usize };
        format!("{loss:.digits$}{}", self.unit())
    }

    fn is_share(&self) -> bool {
        self.is(&self.choose.select.value, MetricRole::Accuracy)
    }

    /// Returns whether an expression is a metric with a role, and nothing else.
    fn is(&self, expression: &Expression, role: MetricRole) -> bool {
        expression.plain().is_some() && with_role(expression, &self.experiment.nodes, role).next().is_some()
    }

    fn scale(&self) -> f64 {
        if self.is_share() { 100.0 } else { 1.0 }
    }

    fn unit(&self) -> &'static str {
        if self.is_share() { " points" } else { "" }
    }
}

/// The confidence of a bound.
const CONFIDENCE: &str = "95 % confidence (one-sided)";

/// The verb for a value below its baseline.
const LOSES: &str = "loses";

/// Returns the verb for a drop and its absolute value.
fn changed(drop: f64) -> (&'static str, f64) {
    if drop < 0.0 { ("gains", -drop) } else { (LOSES, drop) }
}
