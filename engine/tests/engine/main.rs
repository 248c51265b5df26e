//! Tests of the whole engine, with ops that compute with single numbers. Each run is checked by its list of events.

mod arithmetic;
mod bench;
mod choices;
mod cite;
mod cluster;
mod cluster_bench;
mod cluster_failures;
mod decisions;
mod diff;
mod expansion;
mod failures;
mod incremental;
mod losses;
mod memory;
mod probes;
mod properties;
mod rebuild;
mod schema;
mod spec;
mod tables;
mod text;
mod versions;
