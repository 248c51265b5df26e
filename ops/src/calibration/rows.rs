//! The rows of inputs that a layer multiplies by its weights, at some positions of its outputs. Knows nothing of their use.

use rayon::prelude::*;

use crate::backend::own::activations::Activations;
use crate::backend::own::kernels::lanes::LANES;
use crate::network::definition::Layer;
use crate::network::geometry::Padding;
use crate::network::layer::LayerOp;
use crate::network::shape::{ActivationShape, Window};
use crate::random::Stream;

/// The most positions of a layer.
const MOST_POSITIONS: usize = 24_000;

/// A weighted layer whose inputs are read.
pub(super) struct LayerRows {
    at: usize,
    window: Window,
    /// Channels, height and width of the inputs, of which each group reads a part of the channels.
    input: [usize; 3],
    groups: usize,
    /// The height and width of the outputs.
    outputs: [usize; 2],
    /// The chosen positions: (image · height + y) · width + x, ascending.
    positions: Vec<u32>,
}

impl LayerRows {
    /// Chooses positions of a convolution or linear layer for some images; `None` for other layers.
    pub(super) fn new(layer: &Layer, at: usize, images: usize, seed: u64) -> Option<Self> {
        let (window, groups) = match layer.op {
            LayerOp::Conv { kernel, stride, padding, dilation, groups, .. } => {
                (Window { size: kernel, stride, padding, dilation }, groups)
            }
            LayerOp::Linear { .. } => {
                let one = [1, 1].into();
                (Window { size: one, stride: one, padding: Padding::default(), dilation: one }, 1)
            }
            _ => return None,
        };
        let side = |shape: ActivationShape| match shape {
            ActivationShape::Image(sides) => sides,
            ActivationShape::Row(n) => [n, 1, 1],
        };
        let (input, [_, height, width]) = (side(layer.input()), side(layer.output));
        let all = images * height * width;
        let positions = if all <= MOST_POSITIONS {
            (0..all as u32).collect()
        } else {
            Stream::new(seed, "calibration positions", &layer.name).sample(all, MOST_POSITIONS)
        };
        Some(Self { at, window, input, groups, outputs: [height, width], positions })
    }

    /// Returns the number of groups of the layer.
    pub(super) fn groups(&self) -> usize {
        self.groups
    }

    /// Returns the number of inputs of an output.
    pub(super) fn inputs(&self) -> usize {
        self.input[0] / self.groups * self.window.size.area()
    }

    /// Returns the number of rows.
    pub(super) fn len(&self) -> usize {
        self.positions.len()
    }

    /// Writes the inputs of a group at some of the positions to rows of `width` numbers, in the order of the weights:
    /// channels, then height and width of the kernel.
    pub(super) fn read(
        &self,
        from: &Activations<'_>,
        group: usize,
        range: std::ops::Range<usize>,
        rows: &mut [f64],
        width: usize,
    ) {
        let positions = &self.positions[range];
        // Short rows are not worth another thread.
        let rows = rows.par_chunks_mut(width).with_min_len(1024 / width + 1);
        rows.zip(positions).for_each(|(row, position)| {
            self.read_row(from, group, *position as usize, row);
        });
    }

    fn read_row(&self, from: &Activations<'_>, group: usize, position: usize, row: &mut [f64]) {
        let [channels, height, width] = self.input;
        let [rows, columns] = self.outputs;
        let (image, y, x) = (position / (rows * columns), position / columns % rows, position % columns);
        let (block, lane) = (from.input(self.at, image / LANES), image % LANES);
        let Window { size, stride, padding, dilation } = self.window;
        let of_group = channels / self.groups;
        let mut numbers = row.iter_mut();
        for channel in group * of_group..(group + 1) * of_group {
            for down in 0..size.height {
                let line = (y * stride.height + down * dilation.height)
                    .checked_sub(padding.top)
                    .filter(|line| *line < height);
                for right in 0..size.width {
                    let pixel = (x * stride.width + right * dilation.width)
                        .checked_sub(padding.left)
                        .filter(|pixel| *pixel < width);
                    let Some(number) = numbers.next() else { return };
                    *number = line.zip(pixel).map_or(0.0, |(line, pixel)| {
                        f64::from(block[(line * width + pixel) * channels + channel].0[lane])
                    });
                }
            }
        }
    }
}
