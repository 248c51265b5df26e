//! The column names of an exported table: axes, headings, and the columns of interval, deviation, p-value and count.
//! Each name is used once, so that no two columns of CSV, JSON or Parquet collide.
//! Knows no result.

use std::collections::HashMap;

use super::axis::Axes;
use super::node::Nodes;
use super::table::{Table, TableKind};
use crate::dense::AxisId;
use crate::text::fault::Faults;

/// The suffixes of the columns that exports add for each value, with the contents of each column.
pub const VALUE_SUFFIXES: [(&str, &str); 5] = [
    ("low", "lower end"),
    ("high", "upper end"),
    ("sd", "standard deviation"),
    ("p", "p-value"),
    ("n", "number of values"),
];

/// The column of a `Choose` table that marks the chosen point.
pub const PART_COLUMN: &str = "part";

/// Reports headings that equal the name of another column of the same table.
pub(super) fn report_taken(table: &Table, axes: &Axes, nodes: &Nodes, faults: &mut Faults) {
    let mut taken: HashMap<String, String> = HashMap::new();
    let pooled: Vec<AxisId> = table.replicate.iter().chain(&table.average).copied().collect();
    for axis in table.axes(axes, nodes).into_iter().filter(|axis| !pooled.contains(axis)) {
        taken.insert(axes[axis].name.clone(), "it is the name of an axis".to_owned());
    }
    if matches!(table.kind, TableKind::Choose(_)) {
        let other = taken.insert(PART_COLUMN.to_owned(), "`part` says which point is chosen".to_owned());
        if other.is_some() {
            let message = format!("axis `{PART_COLUMN}` has the name of a column of table `{}`", table.name);
            faults.add(
                table.span,
                message,
                "rename the axis: `Choose` has a column `part`, which marks the chosen point",
            );
        }
    }
    let hint = table.heading_hint();
    for (heading, span) in table.headings() {
        if let Some(why) = taken.get(&heading) {
            faults.add(span, format!("heading `{heading}` is taken: {why}"), hint);
            continue;
        }
        let name = |suffix: &str| format!("{heading}.{suffix}");
        if let Some((suffix, what)) =
            VALUE_SUFFIXES.iter().find(|(suffix, _)| taken.contains_key(&name(suffix)))
        {
            let message =
                format!("heading `{heading}` needs `{}` for its {what}, which is taken", name(suffix));
            faults.add(span, message, hint);
            continue;
        }
        for (suffix, what) in VALUE_SUFFIXES {
            taken.insert(name(suffix), format!("exports name the {what} of `{heading}` so"));
        }
        taken.insert(heading, "another column has it".to_owned());
    }
}
