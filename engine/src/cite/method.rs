//! The statistical methods that tables use, so that a text about a table can name each method with its source.
//! Knows no source and no word of that text; the module docs of [`crate::statistics`] have the sources.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::ops::MetricRole;
use crate::spec::node::{Node, with_role};
use crate::spec::table::{Interval, Table, TableKind};

/// A statistical method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Student's t interval over units of replication.
    TInterval,
    /// Wilson's confidence interval of a share of images, for one network.
    Wilson,
    /// The confidence interval of a mean over images, for the given networks.
    Images,
    /// The confidence interval over networks and images at once.
    NetworksAndImages,
    /// The one-sided t test that a drop is below a margin.
    NonInferiority,
    /// The two-sided t test that an effect is zero.
    ZeroEffect,
    /// Holm's adjustment for all tests of a table.
    Holm,
    /// The set of points that are not significantly worse than the best.
    MayBeBest,
    /// The paired test of two networks on the same images (`McNemar`), in its mid-p form.
    McNemar,
}

/// Returns the methods that a table uses.
#[must_use]
pub fn methods(table: &Table, nodes: &[Node]) -> BTreeSet<Method> {
    let mut found = BTreeSet::new();
    let expressions = table.expressions();
    let has = |role| expressions.iter().any(|of| with_role(of, nodes, role).next().is_some());
    match (table.interval, table.replicate) {
        (Interval::Seeds, None) => {}
        (Interval::Seeds, Some(_)) => drop(found.insert(Method::TInterval)),
        (Interval::Images, _) => drop(found.insert(Method::Images)),
        (Interval::Both, _) => drop(found.insert(Method::NetworksAndImages)),
    }
    match &table.shape {
        TableKind::Pivot { margin: Some(_), .. } => found.extend([Method::NonInferiority, Method::Holm]),
        TableKind::Contrast { .. } => found.extend([Method::ZeroEffect, Method::Holm]),
        TableKind::Choose(choose) if choose.max_drop.is_some() => drop(found.insert(Method::NonInferiority)),
        TableKind::Choose(_) => drop(found.insert(Method::MayBeBest)),
        TableKind::Table { .. } | TableKind::Pivot { .. } | TableKind::Pareto { .. } => {}
    }
    found.extend(has(MetricRole::WilsonBound).then_some(Method::Wilson));
    found.extend(has(MetricRole::McNemarP).then_some(Method::McNemar));
    found
}
