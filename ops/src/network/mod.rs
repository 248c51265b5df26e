//! Neural networks: definition, weights, folding and encoding. Knows nothing of experiments, number formats, training
//! or the engine.
//!
//! An experiment file describes an [`architecture`]. [`layer`] defines the operation, shapes and cost of one
//! layer, and [`definition`] holds the network with every shape known: a graph, as [`wiring`] reads it from the
//! architecture. A [`model`] is a network with its weights.

pub mod architecture;
pub mod array;
pub mod container;
pub mod definition;
#[cfg(test)]
pub(crate) mod every_layer;
pub mod fit;
pub(crate) mod fold;
pub mod geometry;
pub mod layer;
pub mod model;
pub mod shape;
mod stored;
pub(crate) mod windows;
pub mod wiring;
