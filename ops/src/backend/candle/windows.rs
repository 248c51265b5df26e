//! Convolutions and pools of any geometry on candle. Knows nothing of networks.
//!
//! candle 0.11.1 convolves with one stride, padding and dilation for both sides, takes the padding of a convolution's
//! gradient from the height alone, and has the gradient of a pool only where its windows do not overlap. So the images
//! are padded and cut here to the pixels that the windows see, and what candle lacks is a sum over the pixels of a
//! window.

use candle_core::{Result, Tensor};

use crate::network::shape::Window;

/// The images of a batch as windows see them.
pub(crate) struct WindowedImages {
    /// Padded and cut to the pixels between the first and the last one that a window sees.
    images: Tensor,
    window: Window,
    places: [usize; 2],
}

impl WindowedImages {
    /// Pads images of batch × channels × height × width with a number. `places` is the number of places of the window.
    pub(crate) fn new(images: &Tensor, window: Window, places: [usize; 2], padding: f32) -> Result<Self> {
        let mut images = images.clone();
        for (side, places) in places.iter().enumerate() {
            let dim = side + 2;
            images = pad(&images, dim, window.padding.along(side), padding)?;
            let seen = (places - 1) * window.stride.both()[side] + reach(window, side);
            // Pixels behind the last window count for nothing.
            images = images.narrow(dim, 0, seen)?;
        }
        Ok(Self { images, window, places })
    }

    /// Returns the numbers that all windows see at one of their pixels: batch × channels × places.
    fn at(&self, pixel: [usize; 2]) -> Result<Tensor> {
        let mut seen = self.images.clone();
        for (side, pixel) in pixel.iter().enumerate() {
            let (stride, start) =
                (self.window.stride.both()[side], pixel * self.window.dilation.both()[side]);
            let span = (self.places[side] - 1) * stride + 1;
            seen = seen.narrow(side + 2, start, span)?;
            if stride > 1 {
                let places: Vec<u32> = (0..self.places[side]).map(|place| (place * stride) as u32).collect();
                let places = Tensor::from_vec(places, self.places[side], seen.device())?;
                seen = seen.contiguous()?.index_select(&places, side + 2)?;
            }
        }
        Ok(seen)
    }

    /// Returns the pixels of a window, row by row.
    fn pixels(&self) -> impl Iterator<Item = [usize; 2]> + use<> {
        let [rows, columns] = self.window.size.both();
        (0..rows * columns).map(move |at| [at / columns, at % columns])
    }

    /// Convolves with a weight of outputs × inputs per group × height × width.
    pub(crate) fn convolve(&self, weight: &Tensor, groups: usize) -> Result<Tensor> {
        let [stride, dilation] = [self.window.stride, self.window.dilation];
        let (outputs, per_group, ..) = weight.dims4()?;
        if groups > 1 && per_group == 1 && outputs == groups {
            return self.convolve_depthwise(weight);
        }
        if stride.height == stride.width && dilation.height == dilation.width {
            return self.images.contiguous()?.conv2d(weight, 0, stride.height, dilation.height, groups);
        }
        // The numbers of a window as channels, so that the convolution is one of 1 x 1.
        let seen = self.pixels().map(|pixel| self.at(pixel)?.unsqueeze(2)).collect::<Result<Vec<_>>>()?;
        let [batch, channels] = [self.images.dim(0)?, self.images.dim(1)?];
        let [rows, columns] = self.places;
        let seen = Tensor::cat(&seen, 2)?.reshape((batch, channels * seen.len(), rows, columns))?;
        let weight = weight.reshape((outputs, per_group * self.window.size.area(), 1, 1))?;
        seen.conv2d(&weight, 0, 1, 1, groups)
    }

    /// Convolves each channel with its own weight.
    fn convolve_depthwise(&self, weight: &Tensor) -> Result<Tensor> {
        let weight = weight.flatten_from(2)?;
        let product = |(at, pixel)| {
            let weight = weight.narrow(2, at, 1)?.reshape((1, (), 1, 1))?;
            self.at(pixel)?.broadcast_mul(&weight)
        };
        sum(self.pixels().enumerate().map(product))
    }

    /// Returns the largest number of each window.
    pub(crate) fn largest(&self) -> Result<Tensor> {
        let mut all = self.pixels().map(|pixel| self.at(pixel));
        let first = all.next().ok_or_else(no_pixel)??;
        all.try_fold(first, |largest, seen| largest.maximum(&seen?))
    }

    /// Returns the sum of the numbers of each window.
    pub(crate) fn total(&self) -> Result<Tensor> {
        sum(self.pixels().map(|pixel| self.at(pixel)))
    }
}

/// Returns the pixels from the first to the last one that a window sees along a side.
fn reach(window: Window, side: usize) -> usize {
    (window.size.both()[side] - 1) * window.dilation.both()[side] + 1
}

fn pad(images: &Tensor, dim: usize, [before, behind]: [usize; 2], number: f32) -> Result<Tensor> {
    let edge = |pixels: usize| {
        let mut dims = images.dims().to_vec();
        dims[dim] = pixels;
        Tensor::full(number, dims, images.device())
    };
    let mut parts = vec![];
    if before > 0 {
        parts.push(edge(before)?);
    }
    parts.push(images.clone());
    if behind > 0 {
        parts.push(edge(behind)?);
    }
    if parts.len() == 1 { Ok(images.clone()) } else { Tensor::cat(&parts, dim) }
}

fn sum(mut terms: impl Iterator<Item = Result<Tensor>>) -> Result<Tensor> {
    let first = terms.next().ok_or_else(no_pixel)??;
    terms.try_fold(first, |sum, term| sum + term?)
}

fn no_pixel() -> candle_core::Error {
    candle_core::Error::Msg("a window has no pixel".into())
}
