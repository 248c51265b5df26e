//! Convolutions: each output pixel is the sum, over kernel taps and input channels, of weight times input.
//! Knows nothing of neighbouring layers.
//!
//! The gradient at the inputs is a sum of the same kind. The weight gradient is a sum over pixels and images:
//! each part of the batch has a sum of its own, and the sums of the parts are added in order.

use rayon::prelude::*;

use crate::backend::own::kernels::depthwise::Depthwise;
use crate::backend::own::kernels::grouped::Grouped;
use crate::backend::own::kernels::lanes::{Lanes, zeros};
use crate::backend::own::kernels::rescale::Finish;
use crate::backend::own::kernels::taps::Taps;
use crate::backend::own::kernels::tile::Start;
use crate::network::definition::Layer;

/// The largest number of parts of a batch with separate gradient sums. The sums of a part take as much memory
/// as a weight whose outputs per group are rounded up to a multiple of 16.
pub(crate) const GRADIENT_PARTS: usize = 16;

/// Pixels whose numbers are summed channel by channel: few enough that they stay in the first-level cache, where the
/// numbers of a channel often compete for the same places.
const PIXELS: usize = 8;

/// A convolution: sizes, and the kernel that fits them.
#[derive(Clone, Debug)]
pub(crate) struct Conv {
    taps: Taps,
    kernel: ConvKernel,
}

#[derive(Clone, Debug)]
enum ConvKernel {
    Grouped(Grouped),
    Depthwise(Depthwise),
}

/// The weights of a convolution in the order in which its kernel reads weights.
pub(crate) struct Packed(pub Vec<f32>);

/// The sums of the gradients over a part of a batch.
pub(crate) struct ConvPart {
    /// The weight gradient, in the order of the kernel.
    pub dw: Vec<Lanes>,
    /// One line of 16 images per output.
    pub db: Vec<Lanes>,
}

impl Conv {
    /// Returns the convolution of a layer; `None` for any other layer.
    pub(crate) fn new(layer: &Layer) -> Option<Self> {
        let taps = Taps::new(layer)?;
        let kernel = if taps.input[0] == 1 && taps.groups > 1 {
            ConvKernel::Depthwise(Depthwise::new(taps))
        } else {
            ConvKernel::Grouped(Grouped::new(taps))
        };
        Some(Self { taps, kernel })
    }

    /// Copies weights of outputs × inputs × kernel × kernel in the order of the forward pass.
    pub(crate) fn pack(&self, weight: &[f32]) -> Packed {
        match &self.kernel {
            ConvKernel::Grouped(kernel) => kernel.pack(weight),
            ConvKernel::Depthwise(kernel) => kernel.pack(weight),
        }
    }

    /// Writes the outputs of one block of images.
    pub(crate) fn apply(
        &self,
        x: &[Lanes],
        weight: &Packed,
        bias: Option<&[f32]>,
        finish: Finish<'_>,
        y: &mut [Lanes],
    ) {
        let start = bias.map_or(Start::Zero, Start::Bias);
        match &self.kernel {
            ConvKernel::Grouped(kernel) => kernel.apply(x, weight, start, finish, y),
            ConvKernel::Depthwise(kernel) => kernel.apply(x, weight, start, finish, y),
        }
    }

    /// Copies weights in the order of the gradient at the inputs.
    pub(crate) fn pack_backward(&self, weight: &[f32]) -> Packed {
        match &self.kernel {
            ConvKernel::Grouped(kernel) => kernel.pack_backward(weight),
            ConvKernel::Depthwise(kernel) => kernel.pack(weight),
        }
    }

    /// Writes the gradient at the inputs of one block from the gradient at the outputs; with `adds`, adds it to `dx`.
    pub(crate) fn input_gradient(&self, dy: &[Lanes], weight: &Packed, adds: bool, dx: &mut [Lanes]) {
        let start = if adds { Start::Target } else { Start::Zero };
        match &self.kernel {
            ConvKernel::Grouped(kernel) => kernel.apply_backward(dy, weight, start, dx),
            ConvKernel::Depthwise(kernel) => kernel.apply_backward(dy, weight, start, dx),
        }
    }

    /// Returns zeros for the sums of a part.
    pub(crate) fn part(&self, has_bias: bool) -> ConvPart {
        let dw = match &self.kernel {
            ConvKernel::Grouped(kernel) => kernel.gradient_lines(),
            ConvKernel::Depthwise(kernel) => kernel.gradient_lines(),
        };
        let db = if has_bias { self.taps.output[0] * self.taps.groups } else { 0 };
        ConvPart { dw: zeros(dw), db: zeros(db) }
    }

    /// Adds the gradients of one block to the sums of its part.
    pub(crate) fn add_gradients(&self, x: &[Lanes], dy: &[Lanes], part: &mut ConvPart) {
        match &self.kernel {
            ConvKernel::Grouped(kernel) => kernel.add_gradients(x, dy, part),
            ConvKernel::Depthwise(kernel) => kernel.add_gradients(x, dy, part),
        }
    }

    /// Writes the gradients of the weight and the bias from the sums of all parts.
    pub(crate) fn parameter_gradients(&self, parts: &[&ConvPart], dw: &mut [f32], db: Option<&mut [f32]>) {
        let width = self.taps.input[0] * self.taps.kernel.area();
        dw.par_chunks_exact_mut(width).enumerate().for_each(|(out, dw)| {
            for (at, dw) in dw.iter_mut().enumerate() {
                let (line, lane) = match &self.kernel {
                    ConvKernel::Grouped(kernel) => kernel.place(out, at),
                    ConvKernel::Depthwise(kernel) => kernel.place(out, at),
                };
                *dw = parts.iter().fold(0.0, |sum, part| sum + part.dw[line].0[lane]);
            }
        });
        for (at, db) in db.into_iter().flatten().enumerate() {
            let part = |part: &&ConvPart| part.db[at].0.iter().fold(0.0, |sum, number| sum + number);
            *db = parts.iter().map(part).fold(0.0, |sum, part| sum + part);
        }
    }
}

/// Adds the lines of every pixel to one line per channel.
#[inline(always)]
pub(crate) fn bias_sums(dy: &[Lanes], db: &mut [Lanes]) {
    let channels = db.len();
    for pixels in dy.chunks(PIXELS * channels.max(1)) {
        for (channel, db) in db.iter_mut().enumerate() {
            let mut sum = *db;
            for line in pixels.iter().skip(channel).step_by(channels) {
                sum.0.iter_mut().zip(line.0).for_each(|(sum, number)| *sum += number);
            }
            *db = sum;
        }
    }
}
