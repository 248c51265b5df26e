//! The text layer: parses an experiment's text into a tree of values with places, and reads typed parameters from it.
//! Knows no parameter and no op.

pub mod fault;
pub mod fields;
pub mod fold;
pub mod layout;
pub mod mismatch;
pub mod note;
mod number;
mod parse;
mod primitives;
pub mod syntax;
pub mod tokens;
pub mod value;
pub mod variant;
