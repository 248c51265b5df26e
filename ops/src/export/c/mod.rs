//! A network as C99 that computes the bits of Evaluate on any machine. Knows nothing of keys or tasks.

mod decoder;
mod literal;
mod program;
mod schedule;
mod source;
mod table;
#[cfg(test)]
mod tests;

pub use program::{CError, Export, Program};
