//! The change from one version of the experiment to the next: what the reader looked at stays, and values that changed are
//! marked for a while.
//! Knows nothing of files.

use std::collections::{BTreeSet, HashMap};

use fewbits_engine::event::Event;
use fewbits_engine::table::points::{TablePoint, TablePoints};

use super::app::App;
use super::keys::{Action, keys_of};
use super::messages::Notice;
use super::run_model::RunModel;
use super::shown_table::{PointName, ShownSheet, ShownTable, TableRequest, labels, mean};
use super::view::selected_table::{shown_table, table};
use super::view_state::{TablesState, TaskViewState};
use crate::ui::plain::{edit_lines, sentence};

/// The seconds for which changed values are marked after the run has ended.
const MARKED: f64 = 20.0;

/// The values of the tables of the version before, by the names of their points.
#[derive(Clone, Debug, Default)]
pub struct ValuesBefore {
    values: HashMap<PointName, Vec<Option<f64>>>,
    /// The tables that were made.
    tables: BTreeSet<String>,
    /// The time after which they mark nothing; `None` while the run goes on.
    until: Option<f64>,
}

/// Returns the notice about the edit that led to a run.
fn edited(run: &RunModel) -> Notice {
    let name = &run.opened.header.experiment;
    let lines = edit_lines(&run.preview, run.opened.header.jobs);
    Notice { lines: std::iter::once(format!("edit of {name}:")).chain(lines).collect(), is_bad: false }
}

impl App {
    /// Shows the run of the next version. Tables, filters, marks and the cell under the cursor stay, as far as the version
    /// has them.
    pub(super) fn open_version(&mut self, before: &RunModel, run: RunModel) {
        self.say(format!("run {} follows {}", run.opened.id, before.opened.id));
        self.values_before = Some(self.values(before));
        let tables = &before.experiment().tables;
        let name = tables.get(self.tables_view.table).map(|table| table.name.as_str());
        let at = run.experiment().tables.iter().position(|table| Some(table.name.as_str()) == name);
        match at {
            Some(at) => {
                self.tables_view.sought = self.selected_point(before);
                self.tables_view.table = at;
            }
            None => self.tables_view = TablesState::default(),
        }
        let marked = self.training_view.marked.iter();
        let marked: BTreeSet<_> =
            marked.filter_map(|task| run.find(&before.opened.graph.name(*task))).collect();
        self.training_view.marked = marked;
        let kept = std::mem::take(&mut self.task_view);
        self.task_view = TaskViewState {
            filter: kept.filter,
            sort: kept.sort,
            reverse: kept.reverse,
            cursor: kept.cursor,
            ..TaskViewState::default()
        };
        self.run = Some(run);
        self.tables.clear();
        self.asked.clear();
        (self.table, self.pin) = (None, None);
        self.notice = Notice::default();
    }

    /// Returns the number of lines above the status line: of the notice, and how the version stands to the file.
    #[must_use]
    pub fn noticed(&self) -> usize {
        self.notice.lines.len() + usize::from(self.standing.is_some())
    }

    /// Tells what an edit means, and the end of its run.
    pub(super) fn follow(&mut self, event: &Event) {
        match event {
            Event::Edited { .. } => self.notice = self.run.as_ref().map(edited).unwrap_or_default(),
            Event::Finished(summary) => {
                if let Some(before) = &mut self.values_before {
                    before.until.get_or_insert(self.now + MARKED);
                }
                let leaves = keys_of(Action::Quit);
                self.say(format!("{}; saving the file runs the edit; {leaves} leaves", sentence(summary)));
            }
            _ => {}
        }
    }

    /// Returns whether changed values are marked now.
    #[must_use]
    pub fn marks_changes(&self) -> bool {
        self.values_before.as_ref().is_some_and(|before| before.until.is_none_or(|until| self.now < until))
    }

    /// Returns whether a value of the shown table differs from that of the version before. Columns of values are counted
    /// from 0.
    #[must_use]
    pub fn is_changed(&self, shown: &ShownSheet, row: usize, column: usize) -> bool {
        let changed = || {
            let before = self.values_before.as_ref()?;
            let table = table(self)?;
            if !before.tables.contains(&table.name) {
                return None;
            }
            let value = shown.sheet.values.get(column).copied().flatten()?;
            let points = &shown_table(self)?.points;
            let point = points.points.get(shown.sheet.point(row, column)?)?;
            let name = point_name(self.run.as_ref()?, &table.name, points, point);
            let now = mean(point, value)?;
            Some(
                before.values.get(&name).and_then(|values| values.get(value).copied().flatten()) != Some(now),
            )
        };
        self.marks_changes() && changed().unwrap_or(false)
    }

    /// Moves the cursor to the point that it was at in the version before, once the table has it.
    pub(super) fn seek_point(&mut self) {
        let Some(sought) = self.tables_view.sought.take() else { return };
        let place = || {
            let (run, shown) = (self.run.as_ref()?, shown_table(self)?);
            let points = &shown.points;
            let table = &table(self)?.name;
            let is_sought = |point: &TablePoint| point_name(run, table, points, point) == sought;
            let at = points.points.iter().position(is_sought)?;
            let cells = shown.sheets.iter().enumerate().find_map(|(sheet, of)| {
                let rows = 0..of.sheet.rows.len();
                let columns = 0..of.sheet.headings.len() - of.sheet.axes;
                let mut cells = rows.flat_map(|row| columns.clone().map(move |column| (row, column)));
                cells
                    .find(|(row, column)| of.sheet.point(*row, *column) == Some(at))
                    .map(|(row, column)| (sheet, row, column))
            });
            Some((at, cells))
        };
        let Some((at, cell)) = place() else { return };
        self.tables_view.cell = cell.unwrap_or(self.tables_view.cell);
        let listed = super::view::selected_table::listing(self);
        let row = listed.and_then(|listing| {
            listing.rows.iter().position(|row| listing.shown.sheet.point(*row, 0) == Some(at))
        });
        if let Some(row) = row {
            self.tables_view.cursor.at = row;
        }
    }

    /// Returns the name of the point under the cursor of the shown table.
    fn selected_point(&self, run: &RunModel) -> Option<PointName> {
        let wanted = TableRequest { table: self.tables_view.table, other_cost: false };
        let shown = self.tables.get(&wanted)?.as_ref().ok()?;
        let (sheet, row, column) = self.tables_view.cell;
        let in_grid = || shown.sheets.get(sheet)?.sheet.point(row, column);
        let in_list = || {
            let state = &self.tables_view;
            let sort = state.sort.map(|column| (column, state.descending));
            let listing = shown.listing(&state.filter, sort, state.list);
            listing.shown.sheet.point(*listing.rows.get(state.cursor.at)?, 0)
        };
        let at = if super::view::tables::is_grid(shown, &self.tables_view) { in_grid() } else { in_list() };
        let table = run.experiment().tables.get(wanted.table)?;
        Some(point_name(run, &table.name, &shown.points, shown.points.points.get(at?)?))
    }

    /// Returns the means of the tables made so far, by the names of their points.
    fn values(&self, run: &RunModel) -> ValuesBefore {
        // A table that this version had no time to make was seen in the one before.
        let mut before = self.values_before.clone().unwrap_or_default();
        before.until = None;
        for (wanted, made) in &self.tables {
            let (Ok(shown), false) = (made, wanted.other_cost) else { continue };
            let Some(table) = run.experiment().tables.get(wanted.table) else { continue };
            before.values.extend(means(run, &table.name, shown));
            before.tables.insert(table.name.clone());
        }
        before
    }
}

fn means<'s>(
    run: &'s RunModel,
    table: &'s str,
    shown: &'s ShownTable,
) -> impl Iterator<Item = (PointName, Vec<Option<f64>>)> + 's {
    let points = &shown.points;
    points.points.iter().map(move |point| {
        let means = (0..point.values.len()).map(|column| mean(point, column)).collect();
        (point_name(run, table, points, point), means)
    })
}

fn point_name(run: &RunModel, table: &str, points: &TablePoints, point: &TablePoint) -> PointName {
    PointName::new(table, labels(run.experiment(), points, point))
}
