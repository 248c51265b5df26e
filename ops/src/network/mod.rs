//! Networks: what they are, how they are trained, stored and evaluated.
//!
//! A person writes an [`architecture`]; [`layer`] has what one layer computes, its shapes and its cost, and [`definition`] the
//! network with every shape known. [`training`] makes a [`model`] of it, which [`inference`] and [`evaluation`] apply to images.
//! `kernels` computes; weights, gradients and moments are candle tensors, and every kernel is checked against candle's
//! autograd.
//!
//! Same configuration, same images, same bits: random numbers are addressed by element, not drawn in turn; work is cut by
//! shape, never by thread; sums have a fixed order; logarithms and exponentials are `libm`'s; no thread's floating-point
//! environment is touched. Everything runs in the rayon pool of its caller.

pub mod architecture;
pub mod container;
pub mod definition;
pub mod evaluation;
pub mod inference;
mod kernels;
pub mod layer;
mod loss;
pub mod model;
pub mod training;
