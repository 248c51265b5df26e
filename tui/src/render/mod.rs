//! Renderers of results: tables, answers, differences and tensors in their formats.
//! They compute nothing.

pub mod best;
pub mod choice;
pub mod cite;
pub mod diff;
pub mod long;
pub mod markdown;
pub mod npz;
pub mod number;
pub mod parquet;
pub mod table;
