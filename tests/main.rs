//! End-to-end tests: they drive the binary as a user does and look at what it prints, keeps and returns.

mod commands;
mod crash;
mod dashboard;
mod data;
mod explain;
mod faults;
mod fixture;
mod formats;
mod housekeeping;
mod incremental;
mod same_bits;
mod store;
mod tables;
mod terminal;
