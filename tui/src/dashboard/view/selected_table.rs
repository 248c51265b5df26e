//! The table that the view of tables shows, and its listed rows.
//! Knows nothing of keys and positions.

use fewbits_engine::graph::TaskGraph;
use fewbits_engine::spec::table::Table;
use fewbits_ops::StandardOps;

use crate::dashboard::app::App;
use crate::dashboard::filter::Filter;
use crate::dashboard::shown_table::{ListedRows, ShownTable, TableRequest};

/// Returns the reason why a table shows no item.
pub(super) fn why_empty(shown: &ShownTable, filter: &Filter) -> String {
    let unknown = filter.names().find(|name| shown.every.column(name).is_none());
    match unknown {
        Some(name) => {
            let columns = shown.every.sheet.headings.join(", ");
            format!("there is no column {name}; Esc drops the filter. Columns: {columns}")
        }
        None if !filter.is_empty() => {
            "nothing matches: values are matched whole; Esc drops the filter".to_owned()
        }
        None if shown.points.failed > 0 => {
            "no result: tasks behind this table failed, see the log".to_owned()
        }
        None => "no result yet".to_owned(),
    }
}

/// Returns the table that the view shows.
#[must_use]
pub fn table_request(app: &App) -> Option<TableRequest> {
    let tables = &app.run.as_ref()?.opened.graph.experiment.tables;
    (!tables.is_empty())
        .then(|| TableRequest { table: app.tables_view.table.min(tables.len() - 1), other_cost: false })
}

pub(super) fn graph(app: &App) -> Option<&TaskGraph<StandardOps>> {
    Some(&app.run.as_ref()?.opened.graph)
}

pub(in crate::dashboard) fn table(app: &App) -> Option<&Table> {
    graph(app)?.experiment.tables.get(table_request(app)?.table)
}

pub(in crate::dashboard) fn shown_table(app: &App) -> Option<&ShownTable> {
    app.tables.get(&table_request(app)?)?.as_deref().ok()
}

/// Returns the rows of the list, filtered and sorted.
pub(in crate::dashboard) fn listing(app: &App) -> Option<ListedRows<'_>> {
    let state = &app.tables_view;
    let sort = state.sort.map(|column| (column, state.descending));
    Some(shown_table(app)?.listing(&state.filter, sort, state.list))
}
