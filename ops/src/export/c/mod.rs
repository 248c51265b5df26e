//! A network as C99 that computes the bits of Evaluate on any machine. Knows nothing of keys or tasks.

mod decoder;
mod footprint;
mod geometry;
mod integer;
mod literal;
mod name;
mod part;
mod program;
mod schedule;
mod source;
mod table;
#[cfg(test)]
pub(crate) mod tests;

pub use footprint::Footprint;
pub use program::{CError, Export, Program};
