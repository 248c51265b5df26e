//! Networks: how they are written, trained, stored and evaluated.
//!
//! [`architecture`] and [`recipe`] are what a person writes; [`graph`] is a network with every shape known; [`train`]
//! makes a [`model`] of it, which [`inference`] and [`evaluation`] apply to images. Weights, gradients and moments are
//! candle tensors; activations lie sixteen images side by side ([`lanes`]), and what is done with them is checked against
//! candle's autograd.
//!
//! Same configuration, same images, same bits: random numbers are counted, not drawn; work is cut by shape, never by
//! thread; sums have a fixed order; logarithms and exponentials are `libm`'s; no thread's floating-point environment
//! is touched. Everything runs in the rayon pool it is called in.

pub mod architecture;
mod batch;
mod batch_norm;
mod checkpoint;
pub mod container;
mod conv;
mod dropout;
pub mod evaluation;
mod flatten;
mod fold;
pub mod graph;
pub mod inference;
mod lanes;
mod linear;
mod loss;
mod max_pool;
pub mod model;
mod numbers;
pub mod op;
mod optimizer;
#[cfg(test)]
mod oracle;
mod pass;
pub mod recipe;
mod relu;
pub(crate) mod single_number;
mod state;
mod taps;
mod tile;
pub mod train;
#[cfg(test)]
mod trials;
