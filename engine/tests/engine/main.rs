//! The engine as a whole, with ops that compute with single numbers.
//! What a run does is asserted as the list of what happened.

mod arithmetic;
mod bench;
mod cite;
mod decisions;
mod diff;
mod expansion;
mod failures;
mod incremental;
mod losses;
mod memory;
mod properties;
mod rebuild;
mod schema;
mod spec;
mod tables;
mod text;
