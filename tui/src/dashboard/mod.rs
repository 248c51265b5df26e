//! The dashboard: a run watched on a terminal, while it goes on or later, from its journal.
//!
//! News come in (keys, lines of the journal, answers), [`app::App`] is folded over them, the views draw it, and what
//! it asks for is done outside: by the [`clerk`], who reads the store and makes tables, and the [`pilot`], who has
//! the terminal. The clock is an input. So every frame can be tested without a terminal, a store or a run.

pub mod app;
pub mod archive;
pub mod chart;
pub mod clerk;
pub mod comparison;
pub mod cursor;
pub mod filter;
pub mod followed;
pub mod jobs;
pub mod keyboard;
pub mod keys;
pub mod log;
pub mod mail;
pub mod news;
pub mod overlay;
pub mod paint;
pub mod pilot;
pub mod rest;
pub mod screen;
pub mod standing;
pub mod study;
pub mod tables;
pub mod terminal;
pub mod theme;
pub mod view;
mod want;

#[cfg(test)]
mod tests;
