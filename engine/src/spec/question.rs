//! The question of a `Choose` table: what the chosen point has least or most of, and the limits that it keeps.
//! Knows no result; see [`crate::table::answer`] for the answer.

use super::expression::Expression;
use super::table::TableKind;
use super::table_reader::TableReader;
use crate::dense::AxisId;
use crate::text::fault::{Faults, Span};
use crate::text::fields::{Fields, FromValue};
use crate::text::mismatch::mismatch;
use crate::text::value::{Struct, Value, ValueKind};

/// The question for the best point, or for the best point of each group.
#[derive(Clone, Debug)]
pub struct Question {
    /// The order of the points that keep the limits.
    pub goal: Goal,
    /// The size: the value of `minimize`; with `maximize`, the first limited value.
    pub size: Expression,
    /// The value that the choice is based on.
    pub select: Judged,
    /// The value reported for the chosen point; `None` reports the value that the choice is based on.
    pub report: Option<Judged>,
    /// The drop that a point must be significantly below; `None` sets no limit.
    pub max_drop: Option<f64>,
    /// Upper limits on the means of other values of a point.
    pub at_most: Vec<UpperLimit>,
    /// Lower limits on other values of a point.
    pub at_least: Vec<LowerLimit>,
    /// The axes of the groups: one answer for each combination of their levels.
    pub each: Vec<AxisId>,
}

/// The order in which a `Choose` table prefers points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// The smallest size first; among equal sizes, the best selection value.
    Smallest,
    /// The best selection value first.
    Best,
}

/// An upper limit on a value.
#[derive(Clone, Debug)]
pub struct UpperLimit {
    /// The value.
    pub value: Expression,
    /// The limits: the table has an answer for each of them. There is at least one.
    pub most: Vec<f64>,
}

/// A lower limit, which the one-sided 95 % confidence bound of the value must keep.
#[derive(Clone, Debug)]
pub struct LowerLimit {
    /// The value.
    pub value: Expression,
    /// The limit.
    pub least: f64,
}

/// A value of which larger is better, with its baseline.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The value.
    pub value: Expression,
    /// The same value of the float32 network.
    pub baseline: Option<Expression>,
}

impl Judged {
    /// Returns the heading of the drop, baseline minus value; `None` without a baseline.
    #[must_use]
    pub fn drop_heading(&self) -> Option<String> {
        self.baseline.as_ref().map(|baseline| format!("{} - {}", baseline.text, self.value.text))
    }
}

impl Question {
    /// Returns the expressions of a point's values: the size, the judged values each with its baseline, the values with
    /// an upper limit, the values with a lower limit.
    pub(super) fn values(&self) -> Vec<&Expression> {
        let judged = std::iter::once(&self.select).chain(&self.report);
        let judged = judged.flat_map(|judged| std::iter::once(&judged.value).chain(&judged.baseline));
        let upper = self.at_most.iter().map(|limit| &limit.value);
        let lower = self.at_least.iter().map(|limit| &limit.value);
        std::iter::once(&self.size).chain(judged).chain(upper).chain(lower).collect()
    }

    /// Returns the values that are judged, reported or have a lower limit.
    pub(super) fn judged_values(&self) -> Vec<&Expression> {
        let judged = std::iter::once(&self.select).chain(&self.report).map(|judged| &judged.value);
        judged.chain(self.at_least.iter().map(|limit| &limit.value)).collect()
    }

    /// Returns the headings of a point's values: the size, then each judged value with its drop.
    pub(super) fn headings(&self) -> Vec<(String, Span)> {
        let mut headings = vec![(self.size.text.clone(), self.size.span)];
        for judged in std::iter::once(&self.select).chain(&self.report) {
            headings.push((judged.value.text.clone(), judged.value.span));
            headings.extend(judged.drop_heading().map(|heading| (heading, judged.value.span)));
        }
        headings
    }

    /// Returns whether the question is for the smallest point and sets no limit on its quality.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.goal == Goal::Smallest && self.max_drop.is_none() && self.at_least.is_empty()
    }

    /// Returns whether the table has several answers.
    #[must_use]
    pub fn has_groups(&self) -> bool {
        !self.each.is_empty() || self.steps().is_some()
    }

    /// Returns the upper limit with several values, if there is one.
    #[must_use]
    pub fn steps(&self) -> Option<&UpperLimit> {
        self.at_most.iter().find(|limit| limit.most.len() > 1)
    }

    /// Returns whether the report value comes from the same images as the selection value: both use metrics of one
    /// node.
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

impl TableReader<'_> {
    pub(super) fn read_choose(&self, fields: &mut Fields<'_>, faults: &mut Faults) -> Option<TableKind> {
        fields.about(&[
            ("minimize", "What the chosen point has least of, such as `small.bytes`."),
            ("maximize", "What the chosen point has most of, within limits, such as `validation.accuracy`; in place of `minimize` and `select`."),
            ("select", "The value by which points are judged, and the baseline that it may lose against: measured on validation images."),
            ("report", "The value that is reported for the chosen point, with its baseline: measured on test images."),
            ("max_drop", "The most that the value may lose against its baseline, with 95 % confidence: 0.01 is a point of accuracy."),
            ("at_most", "Expressions, each with the most that it may be, such as a budget of bytes; with a list of limits, an answer for each."),
            ("at_least", "Expressions, each with the least that it must surely be, with 95 % confidence, such as an accuracy."),
            ("each", "The axes for each of whose combinations there is an answer."),
        ]);
        // The schema lists fields in the order in which they are asked for.
        for name in ["minimize", "maximize", "select", "report"] {
            fields.has(name);
        }
        let span = fields.span_of("max_drop");
        let sound = |drop: &Option<f64>| drop.is_none_or(|drop| drop >= 0.0);
        let max_drop =
            fields.such_that("max_drop", Some(None), "a number of at least 0, such as 0.01", sound, faults);
        let at_most = fields.take("at_most").map_or(Some(vec![]), |value| self.upper_limits(value, faults));
        let at_least = fields.take("at_least").map_or(Some(vec![]), |value| self.lower_limits(value, faults));
        let goal = self.goal(fields, at_most.as_deref(), at_least.as_deref(), faults);
        let report =
            fields.take("report").map_or(Some(None), |value| self.read_judged(value, faults).map(Some));
        let each = self.axes(fields, "each", faults);
        let ((goal, size, select), max_drop) = (goal?, max_drop?);
        if max_drop.is_some() && select.baseline.is_none() {
            let field = if goal == Goal::Best { "maximize" } else { "select" };
            let hint =
                format!("write `{field}: (value: \"accuracy.accuracy\", baseline: \"full.accuracy\")`");
            faults.add(span, "`max_drop` needs a baseline to lose against", hint);
            return None;
        }
        Some(TableKind::Choose(Box::new(Question {
            goal,
            size,
            select,
            report: report?,
            max_drop,
            at_most: at_most?,
            at_least: at_least?,
            each: each?,
        })))
    }

    /// Reads `minimize` with `select`, or `maximize`. Returns the goal, the size and the selection value. The limits are
    /// `None` if they have faults.
    fn goal(
        &self,
        fields: &mut Fields<'_>,
        at_most: Option<&[UpperLimit]>,
        at_least: Option<&[LowerLimit]>,
        faults: &mut Faults,
    ) -> Option<(Goal, Expression, Judged)> {
        let span = fields.span_of("maximize");
        let Some(maximize) = fields.take_named("maximize") else {
            let size = self.expression(fields, "minimize", faults);
            let select = match (fields.take_named("select"), at_least?.first()) {
                (None, Some(limit)) => Some(Judged { value: limit.value.clone(), baseline: None }),
                (None, None) => fields.required::<Value>("select", faults).and(None),
                (Some(value), _) => self.read_judged(value, faults),
            };
            fields.otherwise("minimize", "`maximize` is required");
            fields.otherwise("select", "`maximize`, or the first value of `at_least`");
            return Some((Goal::Smallest, size?, select?));
        };
        let taken = ["minimize", "select"].map(|field| (field, fields.take_named(field)));
        let mut is_alone = true;
        for (field, _) in taken.iter().filter(|(_, value)| value.is_some()) {
            let hint = match *field {
                "select" => "`maximize` is the value that selects: remove `select`",
                _ => {
                    "a choice has one goal: remove one of the two, and write the other value into `at_most` or `at_least`"
                }
            };
            faults.add(span, format!("a `Choose` has `maximize` or `{field}`, not both"), hint);
            is_alone = false;
        }
        let select = self.read_judged(maximize, faults);
        let Some(first) = at_most?.first() else {
            let hint = "write `at_most: {\"small.bytes\": 32768}`";
            faults.add(span, "`maximize` needs a limit on the size: float32 is the most accurate", hint);
            return None;
        };
        Some((Goal::Best, first.value.clone(), select?)).filter(|_| is_alone)
    }

    /// Reads `"node.metric"`, or `(value: "node.metric", baseline: "node.metric")`.
    fn read_judged(&self, value: &Value, faults: &mut Faults) -> Option<Judged> {
        if matches!(value.kind, ValueKind::Text(_)) {
            return Some(Judged { value: self.compile(value, faults)?, baseline: None });
        }
        let ValueKind::Struct(Struct { name: None, .. }) = &value.kind else {
            mismatch(value, "an expression, or `(value: \"…\", baseline: \"…\")`", faults);
            return None;
        };
        let mut fields = Fields::open(value, "(…)", faults)?;
        fields.about(&[
            ("value", "The expression over `node.metric`."),
            ("baseline", "The value of the network that it is compared with."),
        ]);
        let judged = self.expression(&mut fields, "value", faults);
        let baseline = fields.take("baseline").map(|value| self.compile(value, faults));
        let clean = fields.finish(faults);
        let baseline = baseline.map_or(Some(None), |baseline| baseline.map(Some))?;
        Some(Judged { value: judged?, baseline }).filter(|_| clean)
    }

    /// Reads `{"small.bytes": 49152}`, or `{"small.bytes": [16384, 32768]}`.
    fn upper_limits(&self, value: &Value, faults: &mut Faults) -> Option<Vec<UpperLimit>> {
        let mut limits: Vec<UpperLimit> = vec![];
        for (value, most) in self.limits(
            value,
            "a map of expressions to the most they may be, `{\"small.bytes\": 49152}`",
            faults,
        )? {
            let list =
                if let ValueKind::List(items) = &most.kind { items } else { std::slice::from_ref(most) };
            if let Some(text) = list.iter().find(|item| matches!(item.kind, ValueKind::Text(_))) {
                faults.add(
                    text.span,
                    format!("a limit is a number, not {text}"),
                    "write bytes without a unit: `16384`",
                );
                return None;
            }
            let read = list.iter().map(|item| f64::from_value(item, faults)).collect::<Option<Vec<f64>>>()?;
            if read.is_empty() {
                faults.add(most.span, "this list has no limit", "write one, as in `[16384, 32768]`");
                return None;
            }
            if let Some(twice) = (1..read.len()).find(|&at| read[..at].contains(&read[at])) {
                faults.add(list[twice].span, "this limit stands in the list already", "remove it");
                return None;
            }
            if read.len() > 1 && limits.iter().any(|limit| limit.most.len() > 1) {
                faults.add(most.span, "two values have a list of limits", "give one of them a single limit");
                return None;
            }
            limits.push(UpperLimit { value, most: read });
        }
        Some(limits)
    }

    /// Reads `{"validation.accuracy": 0.85}`.
    fn lower_limits(&self, value: &Value, faults: &mut Faults) -> Option<Vec<LowerLimit>> {
        let form = "a map of expressions to the least they must be, `{\"validation.accuracy\": 0.85}`";
        let limits = self.limits(value, form, faults)?;
        limits
            .into_iter()
            .map(|(value, least)| Some(LowerLimit { value, least: f64::from_value(least, faults)? }))
            .collect()
    }

    /// Reads a map of expressions to limits; `form` describes it in messages.
    fn limits<'v>(
        &self,
        value: &'v Value,
        form: &str,
        faults: &mut Faults,
    ) -> Option<Vec<(Expression, &'v Value)>> {
        let ValueKind::Map(entries) = &value.kind else {
            mismatch(value, form, faults);
            return None;
        };
        entries.iter().map(|(key, limit)| Some((self.compile(key, faults)?, limit))).collect()
    }
}
