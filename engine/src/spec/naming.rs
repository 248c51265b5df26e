//! The axes that a value names with `Axis("x")` or `Axis("x.field")`, directly or through the values of those axes.
//! Knows no op.

use std::collections::BTreeSet;

use super::axis::Axis;
use super::node::Node;
use crate::dense::{AxisId, DenseId};
use crate::text::fault::{Faults, suggest};
use crate::text::value::Value;

/// Reports invalid `Axis(…)` in values of axes. An axis can only name axes above its own, so that no axis names
/// itself.
pub(super) fn check_axes(axes: &[Axis], faults: &mut Faults) {
    for (at, axis) in axes.iter().enumerate() {
        for level in &axis.levels {
            check(&level.value, axes, at, faults);
        }
    }
}

/// Returns whether a node or a value of an axis contains an invalid `Axis(…)`. Then an axis that seems unused may be
/// the one that is misspelt.
pub(super) fn misspell_axes(nodes: &[Node], axes: &[Axis]) -> bool {
    let bad = |value: &Value, known: &[Axis]| {
        let mut bad = false;
        value.walk(&mut |value| {
            let is_known = || value.axis().is_some_and(|path| place(path, known).is_some());
            bad |= value.stands_for_axis() && !is_known();
        });
        bad
    };
    let mut levels =
        axes.iter().enumerate().flat_map(|(at, axis)| axis.levels.iter().map(move |level| (at, level)));
    nodes.iter().any(|node| bad(&node.value, axes))
        || levels.any(|(at, level)| bad(&level.value, &axes[..at]))
}

/// Returns the axes that a value names and the axes that their values name, ascending; reports unknown names.
pub(super) fn named_axes(value: &Value, axes: &[Axis], faults: &mut Faults) -> Vec<AxisId> {
    check(value, axes, axes.len(), faults);
    let mut named = BTreeSet::new();
    reach(value, axes, &mut named);
    named.into_iter().collect()
}

/// Returns the axes that values of other axes name.
pub(super) fn nested_axes(axes: &[Axis]) -> BTreeSet<AxisId> {
    let mut named = BTreeSet::new();
    for (at, axis) in axes.iter().enumerate() {
        axis.levels.iter().for_each(|level| reach(&level.value, &axes[..at], &mut named));
    }
    named
}

/// Adds the axes that a value names, and the axes named by the values (or their selected fields) of those axes.
fn reach(value: &Value, axes: &[Axis], named: &mut BTreeSet<AxisId>) {
    value.walk(&mut |value| {
        let Some(path) = value.axis() else {
            // An axis in a malformed `Axis(…)` counts as used, so that its fault is not reported twice.
            let meant = Some(value).filter(|value| value.stands_for_axis()).and_then(meant);
            named.extend(meant.and_then(|name| place(name, axes)).map(AxisId::from_index));
            return;
        };
        let Some(at) = place(path, axes) else { return };
        named.insert(AxisId::from_index(at));
        for level in &axes[at].levels {
            let taken = path.split_once('.').map_or(Some(&level.value), |(_, field)| level.field(field));
            if let Some(taken) = taken {
                reach(taken, &axes[..at], named);
            }
        }
    });
}

/// Reports every `Axis(…)` that is malformed, names none of the first `known` axes, or selects a missing field.
fn check(value: &Value, axes: &[Axis], known: usize, faults: &mut Faults) {
    value.walk(&mut |value| match value.axis() {
        Some(path) => check_path(value, path, axes, known, faults),
        None if value.stands_for_axis() => {
            let hint = format!("write `Axis(\"{}\")`", meant(value).unwrap_or("name"));
            faults.add(value.span, "`Axis` takes the name of an axis in quotes", hint);
        }
        None => {}
    });
}

fn check_path(value: &Value, path: &str, axes: &[Axis], known: usize, faults: &mut Faults) {
    let (root, field) = path.split_once('.').map_or((path, None), |(root, field)| (root, Some(field)));
    let Some(at) = place(root, axes) else {
        let valid = axes[..known].iter().map(|axis| axis.name.as_str());
        faults.add(value.span, format!("there is no axis `{root}`"), suggest(root, valid));
        return;
    };
    if at >= known {
        let (message, hint) = if at == known {
            (
                format!("a value of axis `{root}` names the axis itself"),
                "name an axis that stands above it".to_owned(),
            )
        } else {
            let axis = &axes[known].name;
            (
                format!("a value of axis `{axis}` names `{root}`, which stands below it"),
                format!("write `\"{root}\"` above `\"{axis}\"`"),
            )
        };
        faults.add(value.span, message, hint);
        return;
    }
    if let Some(field) = field
        && axes[at].is_readable()
        && let Some(level) = axes[at].levels.iter().find(|level| level.field(field).is_none())
    {
        let fields = axes[at].fields();
        let hint = if fields.contains(&field) {
            format!("other values of the axis have it: add `{field}: …` to this one")
        } else {
            suggest(field, fields)
        };
        let message = format!("the value {} of axis `{root}` has no field `{field}`", level.label);
        faults.add(value.span, message, hint);
    }
}

/// Returns the index of the axis that a path starts with.
fn place(path: &str, axes: &[Axis]) -> Option<usize> {
    let root = path.split('.').next().unwrap_or(path);
    axes.iter().position(|axis| axis.name == root)
}

/// Returns the axis name in an `Axis(…)` without quotes.
fn meant(value: &Value) -> Option<&str> {
    let mut meant = None;
    value.walk(&mut |value| meant = meant.or_else(|| value.bare_name()));
    meant
}
