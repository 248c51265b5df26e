//! The columns of a convolution: each output pixel's inputs, gathered so that the convolution becomes a product.
//! Knows nothing of weights. Row (channel, kernel row, kernel column), column (output row, output column).

use std::ops::Range;

use super::graph::Layer;
use super::op::{Op, Shape};

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

    /// Gathers the columns of one image, zeros where they lie outside it.
    pub(crate) fn gather(&self, image: &[f32], columns: &mut [f32]) {
        for (at, row) in columns.chunks_exact_mut(self.len()).enumerate() {
            let (plane, across, down) = self.place(at, image.len());
            let inside = self.inside(across, self.input[2], self.output[1]);
            for (y, line) in row.chunks_exact_mut(self.output[1]).enumerate() {
                let Some(from) = self.line(y, down).map(|from| &image[plane.clone()][from]) else {
                    line.fill(0.0);
                    continue;
                };
                line[..inside.start].fill(0.0);
                line[inside.end..].fill(0.0);
                let Some(first) = from.get(self.first(across, &inside)..) else { continue };
                let to = &mut line[inside.clone()];
                if self.stride == 1 {
                    to.copy_from_slice(&first[..to.len()]);
                } else {
                    to.iter_mut().zip(first.iter().step_by(self.stride)).for_each(|(to, from)| *to = *from);
                }
            }
        }
    }

    /// Adds the columns to the image, each number where it was gathered from.
    pub(crate) fn scatter(&self, columns: &[f32], image: &mut [f32]) {
        for (at, row) in columns.chunks_exact(self.len()).enumerate() {
            let (plane, across, down) = self.place(at, image.len());
            let inside = self.inside(across, self.input[2], self.output[1]);
            for (y, line) in row.chunks_exact(self.output[1]).enumerate() {
                let Some(into) = self.line(y, down).map(|into| &mut image[plane.clone()][into]) else {
                    continue;
                };
                let Some(first) = into.get_mut(self.first(across, &inside)..) else { continue };
                let from = &line[inside.clone()];
                if self.stride == 1 {
                    first.iter_mut().zip(from).for_each(|(into, from)| *into += from);
                } else {
                    first.iter_mut().step_by(self.stride).zip(from).for_each(|(into, from)| *into += from);
                }
            }
        }
    }

    /// Returns the plane of a row, and how far right and down its place in the kernel is.
    fn place(&self, row: usize, numbers: usize) -> (Range<usize>, usize, usize) {
        let plane = self.input[1] * self.input[2];
        let (channel, tap) = (row / (self.kernel * self.kernel), row % (self.kernel * self.kernel));
        let start = (channel * plane).min(numbers);
        (start..start + plane, tap % self.kernel * self.dilation, tap / self.kernel * self.dilation)
    }

    /// Returns the part of a plane that output line `y` takes, if it is inside the image.
    fn line(&self, y: usize, down: usize) -> Option<Range<usize>> {
        let from = (y * self.stride + down).checked_sub(self.padding).filter(|from| *from < self.input[1])?;
        Some(from * self.input[2]..(from + 1) * self.input[2])
    }

    /// Returns the outputs whose input, `offset` further on, lies within a side of the image.
    fn inside(&self, offset: usize, side: usize, outputs: usize) -> Range<usize> {
        let first = self.padding.saturating_sub(offset).div_ceil(self.stride).min(outputs);
        let end = (side + self.padding).saturating_sub(offset).div_ceil(self.stride).min(outputs);
        first..end.max(first)
    }

    /// Returns the input of the first output inside.
    fn first(&self, offset: usize, inside: &Range<usize>) -> usize {
        (inside.start * self.stride + offset).saturating_sub(self.padding)
    }
}
