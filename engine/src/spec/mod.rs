//! What an experiment file says, with all names resolved: axes, constraints, nodes and tables.

pub mod axis;
pub mod constraint;
pub mod experiment;
pub mod expression;
pub(crate) mod heading;
mod naming;
pub mod node;
pub mod scope;
mod size_limit;
pub mod table;
mod typing;
