//! The points that the Pareto view shows: all of them, those on the front, and the selected one.
//! Knows nothing of keys and positions.

use fewbits_engine::spec::experiment::Experiment;
use fewbits_engine::spec::table::TableKind;
use fewbits_engine::table::front::means;

use crate::dashboard::app::App;
use crate::dashboard::shown_table::{Pin, ShownTable, TableRequest, labels};
use crate::figure::table::gain_is_accuracy;

/// Returns the indices of the experiment's Pareto tables.
pub(super) fn tables(app: &App) -> Vec<usize> {
    let tables = app.run.iter().flat_map(|run| run.experiment().tables.iter().enumerate());
    tables.filter(|(_, table)| matches!(table.kind, TableKind::Pareto { .. })).map(|(at, _)| at).collect()
}

/// Returns the table that the view shows.
#[must_use]
pub fn table_request(app: &App) -> Option<TableRequest> {
    let tables = tables(app);
    let table = *tables.get(app.pareto_view.table % tables.len().max(1))?;
    Some(TableRequest { table, other_cost: app.pareto_view.other_cost })
}

pub(super) fn shown(app: &App) -> Option<&ShownTable> {
    app.tables.get(&table_request(app)?)?.as_deref().ok()
}

/// The data for one frame or one key, derived from the state.
pub struct ParetoScene<'a> {
    /// The experiment of the run.
    pub experiment: &'a Experiment,
    /// The shown table.
    pub shown: &'a ShownTable,
    /// The shown points, in the order of size.
    pub all: Vec<usize>,
    /// The shown points that are on the front.
    pub front: Vec<usize>,
    /// The point under the cursor.
    pub selected: Option<usize>,
    /// Whether the gain is an accuracy, which is drawn as an error on a logarithmic axis.
    pub is_error: bool,
}

impl<'a> ParetoScene<'a> {
    pub(super) fn new(app: &'a App) -> Option<Self> {
        let (run, shown) = (app.run.as_ref()?, shown(app)?);
        let mut all = shown.by_cost(&app.pareto_view.filter);
        all.retain(|at| means(&shown.points.points[*at]).is_some());
        let front = shown.front(&all);
        let experiment = run.experiment();
        let table = experiment.tables.get(table_request(app)?.table)?;
        let is_error = gain_is_accuracy(experiment, table);
        let mut scene = Self { experiment, shown, all, front, selected: None, is_error };
        let walked = scene.walked(app);
        scene.selected = walked.get(app.pareto_view.cursor.within(walked.len())).copied();
        Some(scene)
    }

    /// Returns the points that the cursor moves over.
    #[must_use]
    pub fn walked(&self, app: &App) -> &[usize] {
        if app.pareto_view.all { &self.all } else { &self.front }
    }

    /// Returns the size and the accuracy of a point.
    #[must_use]
    pub fn means(&self, at: usize) -> Option<(f64, f64)> {
        means(self.shown.points.points.get(at)?)
    }

    /// Returns the coordinates of a point in the chart: its size, and its gain or error.
    #[must_use]
    pub fn drawn(&self, at: usize) -> Option<(f64, f64)> {
        let (cost, gain) = self.means(at)?;
        Some((cost, if self.is_error { 1.0 - gain } else { gain }))
    }

    /// Returns the axes of a point, each with the label of its level.
    #[must_use]
    pub fn labels(&self, at: usize) -> Vec<(&'a str, &'a str)> {
        labels(self.experiment, &self.shown.points, &self.shown.points.points[at])
    }

    /// Returns the axes and labels of a point as text.
    #[must_use]
    pub fn place(&self, at: usize) -> String {
        let pairs = self.labels(at).into_iter().map(|(axis, label)| format!("{axis}={label}"));
        pairs.collect::<Vec<_>>().join(" ")
    }
}

/// Returns the pinned point, if it belongs to the shown table.
#[must_use]
pub fn pinned(app: &App) -> Option<&Pin> {
    app.pin.as_ref().filter(|pin| Some(pin.request) == table_request(app))
}
