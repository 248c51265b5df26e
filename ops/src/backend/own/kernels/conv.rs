//! Convolutions: each output pixel is the sum, over kernel taps and input channels, of weight times input.
//! Knows nothing of neighbouring layers.
//!
//! The gradient at the inputs is a sum of the same kind. The weight gradient is a sum over pixels and images:
//! each part of the batch has a sum of its own, and the sums of the parts are added in order.

use rayon::prelude::*;

use crate::backend::own::kernels::depthwise::Depthwise;
use crate::backend::own::kernels::grouped::Grouped;
use crate::backend::own::kernels::lanes::{Lanes, zeros};
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

    /// Writes the outputs of one block of images, on the calling thread. With `rectify`, negative outputs
    /// become 0.
    pub(crate) fn apply(
        &self,
        x: &[Lanes],
        weight: &Packed,
        bias: Option<&[f32]>,
        rectify: bool,
        y: &mut [Lanes],
    ) {
        let start = bias.map_or(Start::Zero, Start::Bias);
        match &self.kernel {
            ConvKernel::Grouped(kernel) => kernel.apply(x, weight, start, rectify, y),
            ConvKernel::Depthwise(kernel) => kernel.apply(x, weight, start, rectify, y),
        }
    }

    /// Writes the outputs of every block, in parallel. With `rectify`, negative outputs become 0.
    pub(crate) fn forward(
        &self,
        x: &[Lanes],
        weight: &[f32],
        bias: Option<&[f32]>,
        rectify: bool,
        y: &mut [Lanes],
    ) {
        let weight = self.pack(weight);
        let blocks = x.par_chunks_exact(self.taps.inputs()).zip(y.par_chunks_exact_mut(self.taps.outputs()));
        blocks.for_each(|(x, y)| self.apply(x, &weight, bias, rectify, y));
    }

    /// Writes the gradient at the inputs from the gradient at the outputs; with `adds`, adds it to `dx`.
    pub(crate) fn input_gradient(&self, dy: &[Lanes], weight: &[f32], adds: bool, dx: &mut [Lanes]) {
        let start = if adds { Start::Target } else { Start::Zero };
        let weight = match &self.kernel {
            ConvKernel::Grouped(kernel) => kernel.pack_backward(weight),
            ConvKernel::Depthwise(kernel) => kernel.pack(weight),
        };
        let blocks =
            dy.par_chunks_exact(self.taps.outputs()).zip(dx.par_chunks_exact_mut(self.taps.inputs()));
        blocks.for_each(|(dy, dx)| match &self.kernel {
            ConvKernel::Grouped(kernel) => kernel.apply_backward(dy, &weight, start, dx),
            ConvKernel::Depthwise(kernel) => kernel.apply_backward(dy, &weight, start, dx),
        });
    }

    /// Writes the gradients of the weight and the bias.
    pub(crate) fn parameter_gradients(
        &self,
        x: &[Lanes],
        dy: &[Lanes],
        dw: &mut [f32],
        db: Option<&mut [f32]>,
    ) {
        let (inputs, outputs) = (self.taps.inputs(), self.taps.outputs());
        // The division depends on the batch size alone, so the bits do not depend on the number of threads.
        let blocks = (x.len() / inputs).div_ceil(GRADIENT_PARTS);
        let parts = x.par_chunks(blocks * inputs).zip(dy.par_chunks(blocks * outputs));
        let biases = db.as_ref().map_or(0, |db| db.len());
        let gradients = |(x, dy)| {
            let mut db = zeros(biases);
            let dw = match &self.kernel {
                ConvKernel::Grouped(kernel) => kernel.part_gradients(x, dy, &mut db),
                ConvKernel::Depthwise(kernel) => kernel.part_gradients(x, dy, &mut db),
            };
            (dw, db)
        };
        let parts: Vec<(Vec<Lanes>, Vec<Lanes>)> = parts.map(gradients).collect();
        let width = self.taps.input[0] * self.taps.kernel.area();
        dw.par_chunks_exact_mut(width).enumerate().for_each(|(out, dw)| {
            for (at, dw) in dw.iter_mut().enumerate() {
                let (line, lane) = match &self.kernel {
                    ConvKernel::Grouped(kernel) => kernel.place(out, at),
                    ConvKernel::Depthwise(kernel) => kernel.place(out, at),
                };
                *dw = parts.iter().fold(0.0, |sum, (part, _)| sum + part[line].0[lane]);
            }
        });
        for (at, db) in db.into_iter().flatten().enumerate() {
            let part = |(_, part): &(_, Vec<Lanes>)| part[at].0.iter().fold(0.0, |sum, number| sum + number);
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
