//! The windows of a pooling: the pixels of the image that each output pixel sees. Knows nothing of numbers.

use crate::network::definition::Layer;
use crate::network::geometry::{HeightWidth, Padding};
use crate::network::layer::LayerOp;
use crate::network::shape::ActivationShape;

/// The sizes of a pooling.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows {
    pub channels: usize,
    pub input: [usize; 2],
    pub output: [usize; 2],
    pub size: HeightWidth,
    pub stride: HeightWidth,
    pub padding: Padding,
}

impl Windows {
    /// Returns the windows of a pooling layer; `None` for any other layer.
    pub(crate) fn new(layer: &Layer) -> Option<Self> {
        let (ActivationShape::Image([channels, height, width]), ActivationShape::Image([_, rows, columns])) =
            (layer.input(), layer.output)
        else {
            return None;
        };
        let (size, stride, padding) = match layer.op {
            LayerOp::MaxPool { size, stride, padding } | LayerOp::AvgPool { size, stride, padding, .. } => {
                (size, stride, padding)
            }
            LayerOp::GlobalAvgPool => {
                let all = HeightWidth { height, width };
                (all, all, Padding::default())
            }
            _ => return None,
        };
        Some(Self { channels, input: [height, width], output: [rows, columns], size, stride, padding })
    }

    /// Returns the index of the first channel of each pixel of the image in the window of output pixel `pixel`, row by
    /// row.
    #[inline(always)]
    pub(crate) fn pixels(&self, pixel: usize) -> impl ExactSizeIterator<Item = usize> + Clone + use<> {
        let [rows, columns] = [pixel / self.output[1], pixel % self.output[1]];
        let (top, bottom) = self.range(0, rows);
        let (left, right) = self.range(1, columns);
        let (width, channels, wide) = (self.input[1], self.channels, right - left);
        let place = move |at: usize| ((top + at / wide) * width + left + at % wide) * channels;
        (0..(bottom - top) * wide).map(place)
    }

    /// Returns the number of pixels that the mean of output pixel `pixel` is over.
    #[inline(always)]
    pub(crate) fn count(&self, pixel: usize, count_padding: bool) -> usize {
        if count_padding { self.padded_len(pixel) } else { self.pixels(pixel).len() }
    }

    /// Returns the number of pixels in the window of output pixel `pixel`, those of the padding included.
    fn padded_len(&self, pixel: usize) -> usize {
        let len = |side: usize, place: usize| {
            let [before, behind] = self.padding.along(side);
            let start = place * self.stride.both()[side];
            let end = (start + self.size.both()[side]).min(self.input[side] + before + behind);
            end - start
        };
        len(0, pixel / self.output[1]) * len(1, pixel % self.output[1])
    }

    /// Returns the first pixel along a side in the window at a place, and the pixel behind the last one.
    #[inline(always)]
    fn range(&self, side: usize, place: usize) -> (usize, usize) {
        let (start, [before, _]) = (place * self.stride.both()[side], self.padding.along(side));
        let end = (start + self.size.both()[side]).saturating_sub(before).min(self.input[side]);
        (start.saturating_sub(before), end)
    }
}
