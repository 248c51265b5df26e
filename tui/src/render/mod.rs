//! Results as text: tables in the formats people and programs ask for.

pub mod best;
pub mod long;
pub mod number;
pub mod table;
