//! Constraints over axes: the combinations of levels that make tasks.
//! Knows nothing of nodes.

use super::axis::{Axes, check_comparisons};
use super::expression::{Evaluator, Expression};
use crate::dense::AxisId;
use crate::text::fault::{Fault, Faults, Span, suggest};

/// The maximum number of combinations that one constraint is evaluated for.
const MOST_COMBINATIONS: usize = 10_000_000;

/// A constraint, evaluated once per combination of the axes it names.
#[derive(Debug)]
pub struct Constraint {
    /// The axes that the constraint names, by their index in the file, ascending.
    pub axes: Vec<AxisId>,
    /// The constraint as written.
    pub text: String,
    /// The place of the constraint in the text.
    pub span: Span,
    sizes: Vec<usize>,
    holds: Vec<bool>,
}

impl Constraint {
    /// Compiles a constraint and evaluates it; reports a fault if either fails, or if no combination satisfies it.
    pub fn compile(text: &str, span: Span, axes: &Axes, faults: &mut Faults) -> Option<Self> {
        let expression = Expression::compile(text, span, faults)?;
        let mut named = vec![];
        for reference in &expression.references {
            let Some(axis) = axes.find(|axis| axis.name == reference.root) else {
                let valid = axes.iter().map(|axis| axis.name.as_str());
                let hint = if reference.root.starts_with(|c: char| c.is_ascii_uppercase()) {
                    format!("names of variants stand in single quotes here: `'{}'`", reference.root)
                } else {
                    suggest(&reference.root, valid)
                };
                faults.add(span, format!("there is no axis `{}`", reference.root), hint);
                return None;
            };
            named.push(axis);
        }
        named.sort_unstable();
        named.dedup();
        if named.is_empty() {
            faults.add(span, "this constraint names no axis", "name one, or remove the constraint");
            return None;
        }
        if !named.iter().all(|&axis| axes[axis].is_readable())
            || !check_comparisons(&expression, axes, faults)
        {
            return None;
        }
        let constraint = match evaluate(&expression, named, axes) {
            Ok(constraint) => constraint,
            Err(fault) => {
                faults.add(fault.span, fault.message, fault.hint);
                return None;
            }
        };
        if !constraint.holds.contains(&true) {
            let names: Vec<String> =
                constraint.axes.iter().map(|&axis| format!("`{}`", axes[axis].name)).collect();
            let every = if names.len() == 1 { "value" } else { "combination" };
            let message = format!("this constraint is false for every {every} of {}", names.join(", "));
            faults.add(span, message, "change it so that at least one value satisfies it, or remove it");
            return None;
        }
        Some(constraint)
    }

    /// Returns whether the constraint holds; `level` returns the level of each axis that it names.
    #[must_use]
    pub fn holds(&self, level: impl Fn(AxisId) -> usize) -> bool {
        let place =
            self.axes.iter().zip(&self.sizes).fold(0, |place, (&axis, size)| place * size + level(axis));
        self.holds[place]
    }
}

fn evaluate(expression: &Expression, named: Vec<AxisId>, axes: &Axes) -> Result<Constraint, Fault> {
    let fault = |message: String| Fault { span: expression.span, message, hint: String::new() };
    let combinations = |count: u128, &axis: &AxisId| count.saturating_mul(axes[axis].levels.len() as u128);
    let combinations = named.iter().fold(1_u128, combinations);
    let sizes: Vec<usize> = named.iter().map(|&axis| axes[axis].levels.len()).collect();
    let count = sizes.iter().try_fold(1_usize, |count, size| count.checked_mul(*size));
    let Some(count) = count.filter(|count| *count <= MOST_COMBINATIONS) else {
        let message = format!(
            "this constraint is over {combinations} combinations of values, more than the {MOST_COMBINATIONS} allowed"
        );
        let hint = "shorten an axis, or constrain axes one by one".to_owned();
        return Err(Fault { span: expression.span, message, hint });
    };
    let values: Vec<Vec<cel::Value>> = named
        .iter()
        .map(|&axis| (0..axes[axis].levels.len()).map(|level| axes[axis].cel(level)).collect())
        .collect();
    let evaluator = Evaluator::new();
    let mut holds = Vec::with_capacity(count);
    for place in 0..count {
        let mut rest = place;
        let mut variables = Vec::with_capacity(named.len());
        for (at, size) in sizes.iter().enumerate().rev() {
            variables.push((axes[named[at]].name.clone(), values[at][rest % size].clone()));
            rest /= size;
        }
        let truth = evaluator.truth(expression, variables);
        holds.push(truth.map_err(|error| fault(format!("constraint `{}`: {error}", expression.text)))?);
    }
    Ok(Constraint { axes: named, text: expression.text.clone(), span: expression.span, sizes, holds })
}
