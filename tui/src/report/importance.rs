//! The axes that matter most: the share of a value's variance over the sweep that each axis explains.
//! Knows nothing of the statistics.

use fewbits_engine::spec::expression::Expression;
use fewbits_engine::spec::table::{Interval, Table, TableKind};
use fewbits_engine::table::layout::Layout;
use fewbits_engine::table::table_sheets::make;
use fewbits_engine::text::fault::{Faults, Span};
use maud::{Markup, html};

use super::material::Material;
use super::tables;

/// Returns the section; empty if the experiment asks for such a table itself, or has no value to explain.
pub fn section(material: &Material<'_>) -> Markup {
    let graph = material.graph();
    let tables = &graph.experiment.tables;
    let is_asked = tables.iter().any(|table| matches!(table.kind, TableKind::Importance { .. }));
    let Some(value) = value(tables).filter(|_| !is_asked) else { return html! {} };
    let table = Table {
        name: "importance".to_owned(),
        span: Span::default(),
        kind: TableKind::Importance { value },
        filter: None,
        replicate: None,
        average: vec![],
        interval: Interval::Seeds,
    };
    // A value that cannot be evaluated without its table's filter has no section.
    let Ok(made) = make(&*material.session.ops, graph, &material.results, &table, Layout::Grid) else {
        return html! {};
    };
    if made.sheets.iter().all(|sheet| sheet.rows.is_empty()) {
        return html! {};
    }
    tables::one(material, &table, &made)
}

/// Returns the value that the experiment is about: what its first Pareto table maximizes, else the first value of its
/// first table.
fn value(tables: &[Table]) -> Option<Expression> {
    let maximized = tables.iter().find_map(|table| match &table.kind {
        TableKind::Pareto { maximize, .. } => Some(maximize),
        _ => None,
    });
    let first = || tables.first().and_then(|table| table.values().first().copied());
    Expression::compile(&maximized.or_else(first)?.text, Span::default(), &mut Faults::default())
}
