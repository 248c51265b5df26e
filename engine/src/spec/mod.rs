//! The specification of an experiment: axes, constraints, nodes and tables, with all names resolved.
//! Knows no task and no result.

pub mod axis;
pub mod constraint;
pub mod experiment;
pub mod expression;
pub mod heading;
mod naming;
pub mod node;
pub mod question;
mod size_limit;
pub mod table;
pub mod table_reader;
mod typing;
