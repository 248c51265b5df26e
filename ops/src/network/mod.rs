//! Neural networks: definition, training, encoding, inference and evaluation. Knows nothing of experiments,
//! number formats or the engine.
//!
//! An experiment file describes an [`architecture`]. [`layer`] defines the operation, shapes and cost of one
//! layer, and [`definition`] holds the network with every shape known. [`training`] turns a definition into a
//! [`model`]; [`inference`] and [`evaluation`] apply a model to images. `kernels` computes the forward and
//! backward passes, and tests compare every kernel with candle's autograd.
//!
//! The same configuration and the same images give the same bits. Random numbers are addressed by element,
//! not drawn in sequence; the order of every sum depends on shapes, never on the number of threads;
//! logarithms and exponentials come from `libm`; no function changes a thread's floating-point environment.
//! All work runs in the rayon pool of the caller.

pub mod architecture;
pub mod array;
pub mod container;
pub mod definition;
pub mod evaluation;
pub mod geometry;
pub mod inference;
mod kernels;
pub mod layer;
mod loss;
pub mod model;
pub mod shape;
mod stored;
pub mod training;
pub mod wiring;
