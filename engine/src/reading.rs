//! The reading of a text that is being edited: its value, its faults, and what the readers expect at each place. The readers
//! are those of `check`; their notes say which fields and variants they know.
//! Knows no field by name, and nothing of editors.

use crate::graph::TaskGraph;
use crate::ops::Ops;
use crate::spec::axis::Axis;
use crate::spec::experiment::Experiment;
use crate::spec::node::open;
use crate::text::fault::{Fault, Faults, Span};
use crate::text::note::{Asked, Note};
use crate::text::value::{Value, ValueKind};

/// The most values of an axis that a node is read with.
const LEVELS: usize = 64;

/// The reading of a text.
pub struct Reading<O: Ops> {
    /// What the readers expect in it.
    pub expects: Expectations,
    /// The experiment, without the parts that have faults.
    pub experiment: Option<Experiment>,
    /// The tasks; the error has the faults, as `check` reports them.
    pub graph: Result<TaskGraph<O>, Vec<Fault>>,
}

impl<O: Ops> Reading<O> {
    /// Reads a text. An experiment has at most `most` tasks.
    pub fn new(text: &str, ops: &O, most: usize) -> Self {
        let graph = TaskGraph::parse(text, ops, most);
        let (value, experiment, notes) = noted(text, ops);
        Self { expects: Expectations { value, notes }, experiment, graph }
    }
}

/// What the readers expect in a text that may have mistakes: its value, and their notes.
pub struct Expectations {
    /// The whole value; unreadable if the text has mistakes that cannot be repaired.
    pub value: Value,
    notes: Vec<(Span, Note)>,
}

impl Expectations {
    /// Runs the readers on a text.
    pub fn new<O: Ops>(text: &str, ops: &O) -> Self {
        let (value, _, notes) = noted(text, ops);
        Self { value, notes }
    }

    /// Returns the fields that a reader asks for in the struct at a place.
    #[must_use]
    pub fn fields(&self, span: Span) -> Vec<&Asked> {
        fields_of(&self.notes, span)
    }

    /// Returns the type that a reader expects of the value at a place, and the names of its variants.
    #[must_use]
    pub fn expected(&self, span: Span) -> Option<(&str, &[String])> {
        expected_of(&self.notes, span)
    }
}

fn fields_of(notes: &[(Span, Note)], span: Span) -> Vec<&Asked> {
    let mut fields: Vec<&Asked> = vec![];
    for (_, note) in notes.iter().filter(|(of, _)| *of == span) {
        let Note::Fields(asked) = note else { continue };
        for asked in asked {
            if fields.iter().all(|known| known.name != asked.name) {
                fields.push(asked);
            }
        }
    }
    fields
}

fn expected_of(notes: &[(Span, Note)], span: Span) -> Option<(&str, &[String])> {
    // A choice says more than a type.
    let expected = |note: &'_ Note| matches!(note, Note::Expected { variants, .. } if !variants.is_empty());
    let of = || notes.iter().filter(|(of, _)| *of == span).map(|(_, note)| note);
    match of()
        .find(|note| expected(note))
        .or_else(|| of().find(|note| matches!(note, Note::Expected { .. })))?
    {
        Note::Expected { what, variants } => Some((what, variants)),
        Note::Fields(_) => None,
    }
}

/// Runs the readers on a text, and takes their notes: of the experiment, its nodes and tables, and of the ops, with the values
/// of the axes that they name.
fn noted<O: Ops>(text: &str, ops: &O) -> (Value, Option<Experiment>, Vec<(Span, Note)>) {
    let kinds = ops.kinds();
    let mut faults = Faults::noting();
    let value = Value::parse(text, &mut faults);
    let experiment = Experiment::from_value(&value, kinds, &mut faults);
    let axes: &[Axis] = experiment.as_ref().map_or(&[], |experiment| &experiment.axes);
    let nodes = match value.field("nodes").map(|nodes| &nodes.kind) {
        Some(ValueKind::Map(entries)) => entries.as_slice(),
        _ => &[],
    };
    for (_, node) in nodes {
        for node in with_levels(node, axes) {
            if let Some(mut opened) = open(&node, kinds, &mut faults) {
                ops.read_op(opened.kind.name, &mut opened.fields, &mut faults);
                opened.fields.finish(&mut faults);
            }
        }
    }
    (value, experiment, faults.into_notes())
}

/// Returns a node's value with the first value of each axis that it names, and once more with each other value of each.
fn with_levels(node: &Value, axes: &[Axis]) -> Vec<Value> {
    let mut named: Vec<usize> = vec![];
    node.walk(&mut |value| {
        let root = value.axis().map(|path| path.split('.').next().unwrap_or(path));
        let at = root.and_then(|root| axes.iter().position(|axis| axis.name == root));
        named.extend(at.filter(|at| !named.contains(at)));
    });
    let first = substituted(node, axes, None);
    let others = named.iter().flat_map(|&axis| {
        let levels = 1..axes[axis].levels.len().min(LEVELS);
        levels.map(move |level| substituted(node, axes, Some((axis, level))))
    });
    std::iter::once(first).chain(others).collect()
}

/// Returns a value with the first value of each axis that it names, and of one axis with another.
fn substituted(value: &Value, axes: &[Axis], other: Option<(usize, usize)>) -> Value {
    value.substitute(&|path| {
        let (root, field) = path.split_once('.').map_or((path, None), |(root, field)| (root, Some(field)));
        let at = axes.iter().position(|axis| axis.name == root)?;
        let level = other.filter(|(axis, _)| *axis == at).map_or(0, |(_, level)| level);
        let level = axes[at].levels.get(level)?;
        let value = field.map_or(Some(&level.value), |field| level.field(field))?;
        // Values name only axes above their own.
        Some(substituted(value, &axes[..at], other))
    })
}
