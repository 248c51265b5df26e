//! The engine as a whole, with ops that compute with single numbers.
//! What a run does is asserted as the list of what happened.

mod arithmetic;
mod bench;
mod expansion;
mod failures;
mod incremental;
mod losses;
mod memory;
mod properties;
mod spec;
mod tables;
mod text;
