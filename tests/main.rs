//! End-to-end tests: they drive the binary as a user does and look at what it prints, keeps and returns.

mod choose;
mod cite;
mod commands;
mod crash;
mod dashboard;
mod data;
mod diff;
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
mod incremental;
mod kinds;
mod numbers;
mod report;
mod same_bits;
mod store;
mod tables;
mod terminal;
