//! End-to-end tests: they run the binary as a user does, and check its output, its files and its exit codes.

mod calibration;
mod choose;
mod cite;
mod commands;
mod crash;
mod dashboard;
mod data;
mod diff;
mod documents;
mod editor;
mod explain;
mod exports;
mod faults;
mod fixture;
mod formats;
mod golden;
mod help;
mod housekeeping;
#[cfg(target_os = "linux")]
mod idle;
mod import;
mod incremental;
mod kinds;
mod lsp;
mod networks;
mod numbers;
mod own_data;
mod picture;
mod report;
mod report_in_browser;
mod same_bits;
mod store;
mod tables;
mod terminal;
mod versions;
mod versions_on_screen;
