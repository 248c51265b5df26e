//! The experiment engine of fewbits: text → experiment → graph → plan → run → events → tables.
//! Knows no op: it is generic over [`ops::Ops`]. Touches no terminal, home directory or environment.

pub mod cite;
pub mod cluster;
pub mod context;
pub mod dense;
pub mod diff;
pub mod event;
pub mod failures;
pub mod graph;
pub mod job_store;
pub mod json_metrics;
pub mod nearest;
pub mod ops;
pub mod parts;
pub mod plan;
pub mod preimage;
mod preimages;
pub mod preview;
pub mod reading;
pub mod reason;
pub mod run;
pub mod run_log;
pub mod schema;
pub mod spec;
pub mod statistics;
pub mod table;
pub mod text;
pub mod why;
