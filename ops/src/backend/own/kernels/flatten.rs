//! Flatten: reorders the numbers of an image from pixel by pixel to channel by channel. Knows nothing of
//! neighbouring layers.

use crate::backend::own::kernels::lanes::Lanes;
use crate::network::definition::Layer;

/// The sizes of a flattening.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flatten {
    channels: usize,
    plane: usize,
}

impl Flatten {
    /// Returns the flattening of a layer; `None` if both orders are equal, as with one channel or one pixel.
    pub(crate) fn new(layer: &Layer) -> Option<Self> {
        let (channels, plane) = layer.input().channels();
        (channels > 1 && plane > 1).then_some(Self { channels, plane })
    }

    /// Writes the numbers of blocks of images, channel by channel.
    pub(crate) fn apply(&self, x: &[Lanes], y: &mut [Lanes]) {
        let size = self.channels * self.plane;
        for (x, y) in x.chunks_exact(size).zip(y.chunks_exact_mut(size)) {
            for (channel, y) in y.chunks_exact_mut(self.plane).enumerate() {
                y.iter_mut().zip(x[channel..].iter().step_by(self.channels)).for_each(|(y, x)| *y = *x);
            }
        }
    }

    /// Writes the gradient at the inputs from the gradient at the outputs.
    pub(crate) fn backward(&self, dy: &[Lanes], dx: &mut [Lanes]) {
        // The inverse permutation is a flattening with the counts of channels and pixels exchanged.
        Self { channels: self.plane, plane: self.channels }.apply(dy, dx);
    }
}
