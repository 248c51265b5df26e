//! The dashboard: a run shown on a terminal from its run log, while the run goes on or later.
//!
//! [`app::App`] is the state. Updates (keys, lines of the run log, tables) change it, the views draw it, and it sends
//! requests to two threads: the [`loader`] reads the store and makes tables, the [`driver`] has the terminal. The clock
//! is an input. So every frame can be tested without a terminal, a store or a run.

pub mod app;
mod areas;
pub mod chart;
pub mod column_order;
pub mod comparison;
pub mod cursor;
pub mod driver;
pub mod filter;
pub mod followed_run;
pub mod jobs;
pub mod keyboard;
pub mod keys;
mod line_editor;
pub mod loader;
pub mod log;
pub mod mail;
pub mod messages;
pub mod overlay;
mod overlay_keys;
pub mod paint;
pub mod past_runs;
pub mod rate_limit;
mod requests;
pub mod run_curves;
pub mod run_model;
pub mod screen;
pub mod shown_table;
pub mod task_status;
pub mod terminal;
pub mod theme;
mod update;
mod versions;
pub mod view;
pub mod view_name;
pub mod view_state;

#[cfg(test)]
mod tests;
