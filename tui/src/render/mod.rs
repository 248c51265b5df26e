//! Results as people and programs ask for them: tables in their formats, tensors.

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
