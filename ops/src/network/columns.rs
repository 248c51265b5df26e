//! The columns of a convolution: each output pixel's inputs, gathered so that the convolution becomes a product.
//! Knows nothing of weights. Row (channel, kernel row, kernel column), column (output row, output column). They are made
//! for some output rows at a time, few enough to stay in the cache until they are used.

use std::ops::Range;

use super::graph::Layer;
use super::op::{Op, Shape};

/// Numbers of columns to make at a time: 256 KiB.
const TILE: usize = 1 << 16;

/// Where the inputs of a convolution's outputs lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns {
    /// Channels of one group, height and width of the image.
    input: [usize; 3],
    /// Height and width of the output.
    output: [usize; 2],
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
}

/// What one place of the kernel takes of one channel.
struct Tap {
    /// The outputs of a line whose input is inside the image.
    inside: Range<usize>,
    /// The output rows, counted from the tile's first, whose input is inside the image.
    lines: Range<usize>,
    /// The place in the channel of the first of all these inputs.
    first: usize,
}

impl Columns {
    /// The columns of one group of a convolution; none for any other layer.
    pub(crate) fn of(layer: &Layer) -> Option<(Self, usize)> {
        match (layer.op, layer.input, layer.output) {
            (
                Op::Conv { kernel, stride, padding, dilation, groups, .. },
                Shape::Image([channels, height, width]),
                Shape::Image([_, rows, columns]),
            ) => {
                let input = [channels / groups, height, width];
                Some((Self { input, output: [rows, columns], kernel, stride, padding, dilation }, groups))
            }
            _ => None,
        }
    }

    /// Returns how many inputs an output has.
    pub(crate) fn rows(&self) -> usize {
        self.input[0] * self.kernel * self.kernel
    }

    /// Returns how many outputs a channel has.
    pub(crate) fn len(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Returns how many numbers the inputs of a group have.
    pub(crate) fn size(&self) -> usize {
        self.input.iter().product()
    }

    /// Returns the output rows, in parts small enough for the cache.
    pub(crate) fn tiles(&self) -> impl Iterator<Item = Range<usize>> {
        let (all, each) = (self.output[0], self.tile());
        (0..all).step_by(each).map(move |first| first..all.min(first + each))
    }

    /// Returns the output pixels of some output rows.
    pub(crate) fn pixels(&self, rows: &Range<usize>) -> Range<usize> {
        rows.start * self.output[1]..rows.end * self.output[1]
    }

    /// Returns how many numbers the columns of a tile have at most.
    pub(crate) fn scratch(&self) -> usize {
        self.rows() * self.tile() * self.output[1]
    }

    /// Gathers the columns of some output rows, zeros where they lie outside the image.
    pub(crate) fn gather(&self, image: &[f32], rows: &Range<usize>, columns: &mut [f32]) {
        let (width, stride) = (self.output[1], self.stride);
        for (at, tap) in self.taps(rows).enumerate() {
            let (length, lines) = (tap.inside.len(), tap.lines.start * width..tap.lines.end * width);
            let rows =
                columns.chunks_exact_mut(rows.len() * width).skip(at).step_by(self.kernel * self.kernel);
            for (row, plane) in rows.zip(image.chunks_exact(self.input[1] * self.input[2])) {
                row[..lines.start].fill(0.0);
                row[lines.end..].fill(0.0);
                let lines = row[lines.clone()].chunks_exact_mut(width);
                for (line, from) in lines.zip(plane[tap.first..].chunks(self.input[2] * stride)) {
                    line[..tap.inside.start].fill(0.0);
                    line[tap.inside.end..].fill(0.0);
                    let to = &mut line[tap.inside.clone()];
                    if stride == 1 {
                        to.copy_from_slice(&from[..length]);
                    } else {
                        to.iter_mut().zip(from.iter().step_by(stride)).for_each(|(to, from)| *to = *from);
                    }
                }
            }
        }
    }

    /// Adds the columns of some output rows to the image, each number where it was gathered from.
    pub(crate) fn scatter(&self, columns: &[f32], rows: &Range<usize>, image: &mut [f32]) {
        let (width, stride) = (self.output[1], self.stride);
        for (at, tap) in self.taps(rows).enumerate() {
            let lines = tap.lines.start * width..tap.lines.end * width;
            let rows = columns.chunks_exact(rows.len() * width).skip(at).step_by(self.kernel * self.kernel);
            for (row, plane) in rows.zip(image.chunks_exact_mut(self.input[1] * self.input[2])) {
                let into = plane[tap.first..].chunks_mut(self.input[2] * stride);
                for (line, into) in row[lines.clone()].chunks_exact(width).zip(into) {
                    let from = &line[tap.inside.clone()];
                    if stride == 1 {
                        into.iter_mut().zip(from).for_each(|(into, from)| *into += from);
                    } else {
                        into.iter_mut().step_by(stride).zip(from).for_each(|(into, from)| *into += from);
                    }
                }
            }
        }
    }

    /// Returns what each place of the kernel takes of a channel, for some output rows.
    fn taps(&self, rows: &Range<usize>) -> impl Iterator<Item = Tap> {
        let [_, height, width] = self.input;
        (0..self.kernel * self.kernel).map(move |tap| {
            let (down, right) = (tap / self.kernel * self.dilation, tap % self.kernel * self.dilation);
            let inside = self.inside(right, width, self.output[1]);
            let lines = self.inside(down, height, self.output[0]);
            let lines = lines.start.clamp(rows.start, rows.end)..lines.end.clamp(rows.start, rows.end);
            let from =
                |output: usize, offset: usize| (output * self.stride + offset).saturating_sub(self.padding);
            let first = from(lines.start, down) * width + from(inside.start, right);
            let lines = lines.start - rows.start..lines.end - rows.start;
            // A place that is outside the image for every output takes nothing, from anywhere.
            Tap { inside, lines, first: first.min(height * width) }
        })
    }

    /// Returns how many output rows a tile has.
    fn tile(&self) -> usize {
        (TILE / (self.rows() * self.output[1])).clamp(1, self.output[0])
    }

    /// Returns the outputs whose input, `offset` further on, lies within a side of the image.
    fn inside(&self, offset: usize, side: usize, outputs: usize) -> Range<usize> {
        let first = self.padding.saturating_sub(offset).div_ceil(self.stride).min(outputs);
        let end = (side + self.padding).saturating_sub(offset).div_ceil(self.stride).min(outputs);
        first..end.max(first)
    }
}
