//! The statistical methods that a table uses.
//! Knows no word of the text that names them.

use std::collections::BTreeSet;

use crate::ops::MetricRole;
use crate::spec::node::{Node, with_role};
use crate::spec::table::{Interval, Table};
use crate::statistics::method::Method;
use crate::table::kind;

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
    found.extend(kind::methods(table));
    found.extend(has(MetricRole::WilsonBound).then_some(Method::Wilson));
    found.extend(has(MetricRole::McNemarP).then_some(Method::McNemar));
    found
}
