//! From the text of an experiment to a tree of values with places, and from the tree to typed parameters.

pub mod fault;
pub mod fields;
pub mod note;
mod number;
mod parse;
mod primitives;
pub mod syntax;
pub mod value;
pub mod variant;
