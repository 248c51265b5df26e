//! The axes of an experiment: named lists of values to sweep.
//! Knows nothing of which node uses them.

use std::collections::HashMap;
use std::sync::Arc;

use super::expression::{Comparison, Expression};
use crate::text::fault::{Faults, Span, suggest};
use crate::text::read::{Read, mismatch};
use crate::text::value::{Kind, Struct, Value};

/// The longest axis; a longer one is taken for a mistake.
const MOST_VALUES: usize = 1_000_000;

/// A named list of values.
#[derive(Clone, Debug)]
pub struct Axis {
    /// Its name.
    pub name: String,
    /// Where its name is written.
    pub span: Span,
    /// Its values, in the order written.
    pub levels: Vec<Level>,
    /// How constraints and tables see the values.
    typing: Typing,
}

/// One value of an axis.
#[derive(Clone, Debug)]
pub struct Level {
    /// The value.
    pub value: Value,
    /// What headings and task names call it: its label, else the value as text.
    pub label: String,
}

/// The type that an axis has in expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Typing {
    /// Whole numbers only.
    Int,
    /// Numbers, not all whole.
    Double,
    /// Names, texts, truth values, lists: each as it is.
    Plain,
    /// At least one struct: maps with `kind` and the fields.
    Struct,
}

/// Reports comparisons that can never be true: of an axis of structs with a text, or with a misspelt value.
/// Returns whether there was none.
pub fn check_comparisons(expression: &Expression, axes: &[Axis], faults: &mut Faults) -> bool {
    let of = |comparison: &Comparison| {
        let axis = axes.iter().find(|axis| axis.name == comparison.root)?;
        axis.never_equals(&comparison.text)
    };
    let found: Vec<(String, String)> = expression.comparisons.iter().filter_map(of).collect();
    for (message, hint) in &found {
        faults.add(expression.span, message.clone(), hint.clone());
    }
    found.is_empty()
}

impl Axis {
    /// Returns why, and what to do, if no value of the axis can equal a text that seems to be meant for one. A value
    /// that was taken from the axis is no fault of the expression.
    fn never_equals(&self, text: &str) -> Option<(String, String)> {
        let name = &self.name;
        match self.typing {
            Typing::Struct => {
                let message = format!("`{name}` has values with fields, which are never equal to '{text}'");
                Some((message, format!("compare their name: `{name}.kind == '{text}'`")))
            }
            Typing::Int | Typing::Double => None,
            Typing::Plain => {
                let texts = self.levels.iter().filter_map(|level| match &level.value.kind {
                    Kind::Text(text) => Some(text.as_str()),
                    _ => level.value.bare_name(),
                });
                let texts: Vec<&str> = texts.collect();
                let hint = suggest(text, texts.iter().copied());
                let is_misspelt = !texts.contains(&text) && hint.starts_with("did you mean");
                is_misspelt.then(|| (format!("`{name}` has no value '{text}'"), hint))
            }
        }
    }

    /// Reads an axis: a list, a `Range`, or a map of labels to values. One with faults stands for a single value
    /// that cannot be read, so that nobody who names it is told that it is not there.
    pub fn read(name: &str, span: Span, value: &Value, faults: &mut Faults) -> Self {
        Self::read_levels(name, span, value, faults).unwrap_or_else(|| {
            let unreadable = Value { span: value.span, kind: Kind::Unreadable };
            let levels = vec![Level { value: unreadable, label: "?".to_owned() }];
            Self { name: name.to_owned(), span, levels, typing: Typing::Plain }
        })
    }

    /// Returns whether all its values could be read.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        !self.levels.iter().any(|level| matches!(level.value.kind, Kind::Unreadable))
    }

    fn read_levels(name: &str, span: Span, value: &Value, faults: &mut Faults) -> Option<Self> {
        let levels = match &value.kind {
            Kind::List(items) => items.iter().map(|item| Level::new(item, None)).collect(),
            Kind::Map(entries) => entries
                .iter()
                .filter_map(|(label, item)| Some(Level::new(item, Some(String::read(label, faults)?))))
                .collect(),
            Kind::Struct(Struct { name: Some(kind), .. }) if &**kind == "Range" => read_range(value, faults)?,
            _ => {
                mismatch(value, "a list, `Range(first, last)` or a map of labels to values", faults);
                return None;
            }
        };
        if levels.is_empty() {
            faults.add(
                value.span,
                format!("axis `{name}` has no value"),
                "give it at least one value, or remove it",
            );
            return None;
        }
        report_duplicates(name, &levels, faults);
        let typing = typing(&levels);
        Some(Self { name: name.to_owned(), span, levels, typing })
    }

    /// Returns a level's value as expressions see it.
    #[must_use]
    pub fn cel(&self, level: usize) -> cel::Value {
        cel_value(&self.levels[level].value, self.typing)
    }

    /// Returns the names of the fields that the axis's struct values have, each once.
    #[must_use]
    pub fn fields(&self) -> Vec<&str> {
        let mut names: Vec<&str> = vec![];
        for level in &self.levels {
            if let Kind::Struct(body) = &level.value.kind {
                for field in &body.fields {
                    if !names.contains(&&*field.name) {
                        names.push(&field.name);
                    }
                }
            }
        }
        names
    }
}

impl Level {
    fn new(value: &Value, label: Option<String>) -> Self {
        Self { value: value.clone(), label: label.unwrap_or_else(|| label_of(value)) }
    }

    /// Returns one field of a struct value.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.value.field(name)
    }
}

fn label_of(value: &Value) -> String {
    match &value.kind {
        Kind::Text(text) => text.clone(),
        _ => value.to_string(),
    }
}

fn read_range(value: &Value, faults: &mut Faults) -> Option<Vec<Level>> {
    let Kind::Struct(Struct { positional, fields, .. }) = &value.kind else { return None };
    let mut numbers: Vec<i64> = vec![];
    for item in positional {
        numbers.push(i64::read(item, faults)?);
    }
    let (first, last, step) = match (numbers.as_slice(), fields.is_empty()) {
        (&[first, last], true) => (first, last, 1),
        (&[first, last, step], true) => (first, last, step),
        _ => {
            faults.add(
                value.span,
                "a range is `Range(first, last)` or `Range(first, last, step)`",
                "both ends are in it",
            );
            return None;
        }
    };
    if step < 1 {
        faults.add(value.span, format!("the step of a range must be at least 1, not {step}"), "");
        return None;
    }
    let count = if last < first { 0 } else { (last.abs_diff(first) / step.unsigned_abs()).saturating_add(1) };
    if count > MOST_VALUES as u64 {
        faults.add(
            value.span,
            format!("this range has {count} values, more than the {MOST_VALUES} that an axis may have"),
            "",
        );
        return None;
    }
    let at = |index: u64| Value { span: value.span, kind: Kind::Int(first + step * index as i64) };
    Some((0..count).map(|index| Level::new(&at(index), None)).collect())
}

fn report_duplicates(name: &str, levels: &[Level], faults: &mut Faults) {
    let mut texts = HashMap::new();
    let mut labels = HashMap::new();
    for (index, level) in levels.iter().enumerate() {
        let text = level.value.to_string();
        if texts.insert(text.clone(), index).is_some() {
            faults.add(
                level.value.span,
                format!("axis `{name}` has the value {text} twice"),
                "remove one of the two",
            );
        } else if labels.insert(&level.label, index).is_some() {
            faults.add(
                level.value.span,
                format!("axis `{name}` has the label `{}` twice", level.label),
                "rename one of the two",
            );
        }
    }
}

fn typing(levels: &[Level]) -> Typing {
    let kinds = || levels.iter().map(|level| &level.value.kind);
    let bare = |level: &Level| level.value.bare_name().is_some();
    if kinds().all(|kind| matches!(kind, Kind::Int(_))) {
        Typing::Int
    } else if kinds().all(|kind| matches!(kind, Kind::Int(_) | Kind::Real(_))) {
        Typing::Double
    } else if levels.iter().any(|level| matches!(level.value.kind, Kind::Struct(_)) && !bare(level)) {
        Typing::Struct
    } else {
        Typing::Plain
    }
}

fn cel_value(value: &Value, typing: Typing) -> cel::Value {
    match &value.kind {
        Kind::Bool(value) => cel::Value::Bool(*value),
        Kind::Int(value) if typing == Typing::Double => cel::Value::Float(*value as f64),
        Kind::Int(value) => cel::Value::Int(*value),
        Kind::Real(value) => cel::Value::Float(*value),
        Kind::Text(text) => cel::Value::String(Arc::new(text.clone())),
        Kind::List(items) => {
            cel::Value::List(Arc::new(items.iter().map(|item| cel_value(item, Typing::Plain)).collect()))
        }
        Kind::Struct(body) => match value.bare_name() {
            Some(name) if typing != Typing::Struct => cel::Value::String(Arc::new(name.to_owned())),
            _ => cel_map(body),
        },
        Kind::Map(_) | Kind::Unreadable => cel::Value::Null,
    }
}

fn cel_map(body: &Struct) -> cel::Value {
    let kind =
        body.name.iter().map(|name| ("kind".to_owned(), cel::Value::String(Arc::new(name.to_string()))));
    // What a field takes from another axis is asked of that axis: here it is not there.
    let fields = body.fields.iter().filter(|field| !field.value.stands_for_axis());
    let fields = fields.map(|field| (field.name.to_string(), cel_value(&field.value, Typing::Plain)));
    cel::Value::from(kind.chain(fields).collect::<HashMap<String, cel::Value>>())
}
