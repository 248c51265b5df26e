//! The report of an experiment: one HTML file that needs no other file, no network and no script.
//! Computes no results and knows no file name.

mod confusion;
mod curves;
mod distribution;
mod failures;
mod importance;
mod layers;
mod material;
mod page;
mod provenance;
mod tables;
mod wiring;

pub use confusion::{DrawnConfusions, confusion, confusions};
pub use curves::curves;
pub use material::Material;
pub use page::page;
