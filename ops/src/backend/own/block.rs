//! Sixteen images of a batch in training: all that a step computes and keeps of them. Knows nothing of layers.

use crate::backend::own::deltas::Deltas;
use crate::backend::own::kernels::lanes::{Lanes, zeros};
use crate::backend::own::kernels::max_pool::MaxPositions;

/// The buffers of a block of images.
pub(crate) struct Block {
    /// The place of the block in the batch.
    pub number: usize,
    /// The number of images, at most sixteen.
    pub images: usize,
    /// The values in the order of their computation; the first are the images.
    pub values: Vec<Vec<Lanes>>,
    /// For each stage, the data that its backward pass needs from its forward pass.
    pub kept: Vec<Kept>,
    pub deltas: Deltas,
}

/// Data that a stage keeps from its forward pass, besides values.
pub(crate) enum Kept {
    Nothing,
    /// The position of every largest number in its window.
    Positions(Vec<MaxPositions>),
    /// The factor of every number of a Dropout layer.
    Factors(Vec<Lanes>),
}

impl Block {
    /// Makes the buffers for values of these numbers of lines.
    pub(crate) fn new(number: usize, sizes: &[usize], kept: Vec<Kept>) -> Self {
        let values = sizes.iter().map(|lines| zeros(*lines)).collect();
        Self { number, images: 0, values, kept, deltas: Deltas::new(sizes.len()) }
    }
}
