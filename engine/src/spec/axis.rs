//! The axes of an experiment: named lists of values to sweep.
//! Knows nothing of the nodes that use an axis.

use std::collections::{HashMap, HashSet};

use super::expression::{Expression, ITEM, LiteralComparison};
use super::typing::Typing;
use crate::dense::{AxisId, DenseMap};
use crate::text::fault::{Faults, Span};
use crate::text::fields::FromValue;
use crate::text::mismatch::mismatch;
use crate::text::value::{Struct, Value, ValueKind};

/// The maximum number of values of a `Range`; a longer one is probably a mistake.
const MOST_VALUES: usize = 1_000_000;

/// The most parts of a value, the parts of the axes that the value names included; a codebook may have 65,536.
const MOST_PARTS: usize = 200_000;

/// A named list of values.
#[derive(Clone, Debug)]
pub struct Axis {
    /// The name.
    pub name: String,
    /// The place of the name.
    pub span: Span,
    /// The levels, in the order written.
    pub levels: Vec<Level>,
    /// The type of the values in constraints and tables.
    typing: Typing,
}

/// One value of an axis.
#[derive(Clone, Debug)]
pub struct Level {
    /// The value.
    pub value: Value,
    /// The name of the level in headings and task names: its label, else the value as text.
    pub label: String,
}

/// The axes of an experiment, in the order of the file.
pub type Axes = DenseMap<AxisId, Axis>;

/// Reports comparisons that can never be true: an axis of structs or of numbers with a text, or any axis with a
/// misspelt value. Returns whether there is none.
pub fn check_comparisons(expression: &Expression, axes: &[Axis], faults: &mut Faults) -> bool {
    let of = |comparison: &LiteralComparison| {
        let (root, path) = comparison.path.split_first()?;
        let axis = axes.iter().find(|axis| axis.name == *root)?;
        let name = comparison.path.join(".").replace(&format!(".{ITEM}"), ITEM);
        axis.typing.never_equals(&name, path, &comparison.literal)
    };
    let found: Vec<(String, String)> = expression.comparisons.iter().filter_map(of).collect();
    for (message, hint) in &found {
        faults.add(expression.span, message.clone(), hint.clone());
    }
    found.is_empty()
}

impl Axis {
    /// Reads the axes of a file. Values that name other axes, which name others in turn, may grow beyond any bound: such an axis
    /// is a fault, told once. Returns the axes, and whether there is no such fault.
    pub fn read_all(entries: &[(String, Span, Value)], faults: &mut Faults) -> (Axes, bool) {
        let mut axes = Axes::default();
        // The parts of an axis's largest value, once the axes that it names are put in.
        let mut parts: HashMap<&str, usize> = HashMap::new();
        let mut is_told = false;
        for (name, span, value) in entries {
            let mut axis = Self::from_value(name, *span, value, faults);
            let of = |level: &Level| {
                let mut count = 0_usize;
                level.value.walk(&mut |part| {
                    let root = part.axis().map(|path| path.split('.').next().unwrap_or(path));
                    let named = root.and_then(|root| parts.get(root)).copied().unwrap_or(0);
                    count = count.saturating_add(1).saturating_add(named);
                });
                count
            };
            let most = axis.levels.iter().map(of).max().unwrap_or(0);
            let is_too_large = most > MOST_PARTS;
            // The others that are too large name this one, or grow in the same way.
            if is_too_large && !is_told {
                let message = format!(
                    "the values of axis `{name}` have more than {MOST_PARTS} parts, with those of the axes that they name"
                );
                faults.add(*span, message, "let a value name fewer axes");
                is_told = true;
            }
            if is_too_large {
                axis = Self::unreadable(name, *span, value.span);
            }
            parts.insert(name, most.min(MOST_PARTS));
            axes.push(axis);
        }
        (axes, !is_told)
    }

    /// Reads an axis: a list, a `Range`, or a map of labels to values. An axis with faults gets a single unreadable
    /// value, so that references to it are not reported as unknown.
    pub fn from_value(name: &str, span: Span, value: &Value, faults: &mut Faults) -> Self {
        Self::read_levels(name, span, value, faults)
            .unwrap_or_else(|| Self::unreadable(name, span, value.span))
    }

    fn unreadable(name: &str, span: Span, place: Span) -> Self {
        let unreadable = Value { span: place, kind: ValueKind::Unreadable };
        let levels = vec![Level { value: unreadable, label: "?".to_owned() }];
        let typing = Typing::infer(&[&levels[0].value]);
        Self { name: name.to_owned(), span, levels, typing }
    }

    /// Makes the axis of probes: its values are their labels.
    #[must_use]
    pub fn of_probes(name: &str, labels: &[String]) -> Self {
        let value = |label: &String| Value { span: Span::default(), kind: ValueKind::Text(label.clone()) };
        let levels: Vec<Level> =
            labels.iter().map(|label| Level { value: value(label), label: label.clone() }).collect();
        let typing = Typing::infer(&levels.iter().map(|level| &level.value).collect::<Vec<_>>());
        Self { name: name.to_owned(), span: Span::default(), levels, typing }
    }

    /// Returns whether the axis is that of probes, which no file has.
    #[must_use]
    pub fn is_of_probes(&self) -> bool {
        self.span == Span::default()
    }

    /// Returns whether all values could be read.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.levels.iter().all(|level| level.value.is_readable())
    }

    fn read_levels(name: &str, span: Span, value: &Value, faults: &mut Faults) -> Option<Self> {
        let levels = match &value.kind {
            ValueKind::List(items) => items.iter().map(|item| Level::new(item, None)).collect(),
            ValueKind::Map(entries) => entries
                .iter()
                .filter_map(|(label, item)| Some(Level::new(item, Some(String::from_value(label, faults)?))))
                .collect(),
            ValueKind::Struct(Struct { name: Some(kind), .. }) if &**kind == "Range" => {
                read_range(value, faults)?
            }
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
        let typing = Typing::infer(&levels.iter().map(|level| &level.value).collect::<Vec<_>>());
        Some(Self { name: name.to_owned(), span, levels, typing })
    }

    /// Returns a level's value as expressions see it.
    #[must_use]
    pub fn cel(&self, level: usize) -> cel::Value {
        self.typing.cel(&self.levels[level].value)
    }

    /// Returns the field names of the axis's struct values, each once.
    #[must_use]
    pub fn fields(&self) -> Vec<&str> {
        let mut names: Vec<&str> = vec![];
        for level in &self.levels {
            if let ValueKind::Struct(body) = &level.value.kind {
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

    /// Returns the value as a number, if it is one.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self.value.kind {
            ValueKind::Int(whole) => Some(whole as f64),
            ValueKind::Real(real) => Some(real),
            _ => None,
        }
    }

    /// Returns the value of a field of a struct.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.value.field(name)
    }
}

fn label_of(value: &Value) -> String {
    match &value.kind {
        ValueKind::Text(text) => text.clone(),
        _ => value.to_string(),
    }
}

fn read_range(value: &Value, faults: &mut Faults) -> Option<Vec<Level>> {
    let ValueKind::Struct(Struct { positional, fields, .. }) = &value.kind else { return None };
    let mut numbers: Vec<i64> = vec![];
    for item in positional {
        numbers.push(i64::from_value(item, faults)?);
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
    if last < first {
        let hint = format!("write the smaller end first: `Range({last}, {first})`");
        faults.add(value.span, format!("this range ends at {last}, below its beginning {first}"), hint);
        return None;
    }
    let count = (last.abs_diff(first) / step.unsigned_abs()).saturating_add(1);
    if count > MOST_VALUES as u64 {
        faults.add(
            value.span,
            format!("this range has {count} values, more than the {MOST_VALUES} that an axis may have"),
            "",
        );
        return None;
    }
    let at = |index: u64| Value { span: value.span, kind: ValueKind::Int(first + step * index as i64) };
    Some((0..count).map(|index| Level::new(&at(index), None)).collect())
}

fn report_duplicates(name: &str, levels: &[Level], faults: &mut Faults) {
    let mut texts = HashSet::new();
    let mut labels = HashSet::new();
    for level in levels.iter().filter(|level| level.value.is_readable()) {
        let (written, text) = (level.value.to_string(), level.value.with_whole_numbers().to_string());
        let hint = if written == text {
            "remove one of the two".to_owned()
        } else {
            format!("{written} equals {text}: remove one of the two")
        };
        if !texts.insert(text.clone()) {
            faults.add(level.value.span, format!("axis `{name}` has the value {text} twice"), hint);
        } else if !labels.insert(&level.label) {
            faults.add(
                level.value.span,
                format!("axis `{name}` has the label `{}` twice", level.label),
                "rename one of the two",
            );
        }
    }
}
