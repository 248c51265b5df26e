//! The report of an experiment: one HTML file that needs nothing else, neither network nor script.
//! Reads what is in the store and runs nothing; knows no file name.

mod curves;
mod distribution;
mod layers;
mod material;
mod page;
mod provenance;
mod tables;
mod wiring;

pub use curves::curves;
pub use material::Material;
pub use page::page;
pub use tables::trade_off;
