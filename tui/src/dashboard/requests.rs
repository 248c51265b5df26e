//! Requests for the tables and records that the current view shows and the state lacks.
//! Does not know how tables are made or records are read.

use fewbits_engine::graph::TaskId;

use super::app::App;
use super::messages::Request;
use super::task_status::TaskStatus;
use super::view::{pareto_scene, selected_table, task, training};
use super::view_name::View;

impl App {
    /// Requests the table and the records that the current view shows and the state lacks.
    pub(super) fn want(&mut self) {
        let table = match self.view {
            View::Tables => selected_table::table_request(self),
            View::Pareto => pareto_scene::table_request(self),
            View::Run | View::Training | View::Task | View::Runs => None,
        };
        if table != self.table {
            self.table = table;
            self.ask(Request::Table(table));
        }
        let tasks: Vec<TaskId> = match self.view {
            View::Task => task::selected(self).into_iter().collect(),
            View::Training => training::picked(self),
            View::Run | View::Tables | View::Pareto | View::Runs => vec![],
        };
        for task in tasks {
            let Some(run) = &self.run else { return };
            let stored = matches!(run.task(task).status, TaskStatus::Done | TaskStatus::Cached);
            if stored && run.record(task).is_none() && self.asked.insert(task) {
                let detail = run.task(task).detail.as_ref();
                let key = detail.map_or(String::new(), |detail| detail.key.clone());
                let run = run.opened.id.clone();
                self.ask(Request::Record { run, task, key });
            }
        }
    }
}
