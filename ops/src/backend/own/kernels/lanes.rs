//! The memory layout of activations: sixteen images side by side. Knows nothing of layers.
//!
//! A batch is divided into blocks of [`LANES`] images. A line of a block, one [`Lanes`], holds the same
//! number of all images of the block, so vector instructions process sixteen images for any shape of layer,
//! and the layout mixes no numbers of different images. An image of channels × height × width is stored row
//! by row, pixel by pixel, channel by channel. Lanes without an image, at the end of the last block, start as
//! zeros. Later values in these lanes affect no result: inference ignores the lanes, and their gradient at
//! the logits is zero.

use crate::dataset::images::{Images, Pixels};
use pulp::{Arch, Simd, WithSimd};

/// Images per block.
pub(crate) const LANES: usize = 16;

/// A line: one number of each image of a block. A line has the size of a cache line, 64 bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub(crate) struct Lanes(pub [f32; LANES]);

impl Lanes {
    pub(crate) const ZERO: Self = Self([0.0; LANES]);
}

/// Returns the number of blocks for `images` images.
pub(crate) fn blocks(images: usize) -> usize {
    images.div_ceil(LANES)
}

/// Makes lines of zeros.
pub(crate) fn zeros(lines: usize) -> Vec<Lanes> {
    vec![Lanes::ZERO; lines]
}

/// Copies the numbers of one image from the lines of a block to a row.
pub(crate) fn read_lane(block: &[Lanes], lane: usize, row: &mut [f32]) {
    row.iter_mut().zip(block).for_each(|(number, line)| *number = line.0[lane]);
}

/// Returns the sum of all numbers: per lane over the lines in order, then over the lanes.
#[inline(always)]
pub(crate) fn sum<'a>(lines: impl Iterator<Item = &'a Lanes>) -> f32 {
    let mut sums = Lanes::ZERO;
    for line in lines {
        sums.0.iter_mut().zip(line.0).for_each(|(sum, number)| *sum += number);
    }
    sums.0.iter().fold(0.0, |all, sum| all + sum)
}

/// Calls `work`, compiled for the instruction set of this processor. `work` and all functions in its body
/// must be `#[inline(always)]`.
pub(crate) fn vectorized<T>(with: T, work: impl Fn(T)) {
    Arch::new().dispatch(Call(with, work));
}

struct Call<T, F>(T, F);

impl<T, F: Fn(T)> WithSimd for Call<T, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        (self.1)(self.0);
    }
}

/// Replaces every number of `out` by `change` of that number and the number at the same position in `with`.
pub(crate) fn zip_each(out: &mut [Lanes], with: &[Lanes], change: impl Fn(f32, f32) -> f32) {
    vectorized(
        (out, with),
        #[inline(always)]
        |(out, with): (&mut [Lanes], &[Lanes])| {
            for (out, with) in out.iter_mut().zip(with) {
                for lane in 0..LANES {
                    out.0[lane] = change(out.0[lane], with.0[lane]);
                }
            }
        },
    );
}

/// Writes at most 16 images as numbers to a block, for a network with inputs of the shape `input`; lanes without an image
/// become 0. The images have as many pixels, in the same order: channel by channel, row by row.
pub(crate) fn fill_block(images: &Images, places: &[u32], input: [usize; 3], block: &mut [Lanes]) {
    let values = if let Pixels::Bytes { values, .. } = &images.pixels { &values[..] } else { &[] };
    fill_block_with(images, places, input, (values, |number| number), block);
}

/// Writes images as [`fill_block`] does, with other numbers: `values` has the number of each byte, per channel, and `of_number` makes
/// one of a number.
pub(crate) fn fill_block_with(
    images: &Images,
    places: &[u32],
    input: [usize; 3],
    (values, of_number): (&[[f32; 256]], impl Fn(f32) -> f32),
    block: &mut [Lanes],
) {
    let to = BlockPlaces { shape: images.shape, input, places };
    match &images.pixels {
        Pixels::Bytes { bytes, .. } => {
            to.fill(bytes, block, |channel, byte| values[channel][usize::from(byte)]);
        }
        Pixels::Numbers { numbers, .. } => to.fill(numbers, block, |_, number| of_number(number)),
    }
}

/// The places of images in a block.
struct BlockPlaces<'a> {
    /// Channels, height and width of the images, and of the network's inputs.
    shape: [usize; 3],
    input: [usize; 3],
    /// The positions of the images.
    places: &'a [u32],
}

impl BlockPlaces<'_> {
    /// Writes the numbers that `value` makes of a channel's pixels.
    #[inline(always)]
    fn fill<T: Copy>(&self, all: &[T], block: &mut [Lanes], value: impl Fn(usize, T) -> f32) {
        let plane = self.shape[1] * self.shape[2];
        let (channels, input_plane) = (self.input[0], self.input[1] * self.input[2]);
        let size = self.shape[0] * plane;
        let images: Vec<&[T]> =
            self.places.iter().map(|place| &all[*place as usize * size..][..size]).collect();
        // A run of pixels is in one channel of the image and in one of the input. Lines lie pixel by pixel, channel by
        // channel.
        let run = plane.min(input_plane);
        for first in (0..size).step_by(run) {
            let channel = first / plane;
            let line = first % input_plane * channels + first / input_plane;
            let lines = block[line..].iter_mut().step_by(channels).take(run);
            if let Some(images) = images.first_chunk::<LANES>() {
                for (at, line) in (first..).zip(lines) {
                    line.0 = std::array::from_fn(|lane| value(channel, images[lane][at]));
                }
                continue;
            }
            for (at, line) in (first..).zip(lines) {
                line.0 = std::array::from_fn(|lane| {
                    images.get(lane).map_or(0.0, |image| value(channel, image[at]))
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_an_image() {
        let block: [Lanes; 3] = std::array::from_fn(|i| Lanes(std::array::from_fn(|j| (16 * i + j) as f32)));
        let mut row = [0.0; 3];
        read_lane(&block, 2, &mut row);
        assert_eq!(row, [2.0, 18.0, 34.0]);
        assert_eq!([0, 1, 16, 17].map(blocks), [0, 1, 1, 2]);
    }

    #[test]
    fn pixels_go_to_the_lines_of_their_channels() {
        let numbers: Vec<f32> = (0..24).map(|at| at as f32).collect();
        let pixels = Pixels::Numbers { numbers, zeros: vec![0.0; 2] };
        let images = Images { shape: [2, 1, 3], pixels, labels: None };
        let filled = |images: &Images, input| {
            let mut block = [Lanes([-1.0; LANES]); 6];
            fill_block(images, &[3, 1], input, &mut block);
            assert!(block.iter().all(|line| line.0[2..].iter().all(|number| *number == 0.0)));
            [0, 1].map(|lane| block.map(|line| line.0[lane]))
        };
        assert_eq!(
            filled(&images, [2, 1, 3]),
            [[18.0, 21.0, 19.0, 22.0, 20.0, 23.0], [6.0, 9.0, 7.0, 10.0, 8.0, 11.0]]
        );
        // A row, and data along time saved as images of one channel.
        assert_eq!(filled(&images, [6, 1, 1])[1], [6.0, 7.0, 8.0, 9.0, 10.0, 11.0]);
        let flat = Images { shape: [1, 2, 3], ..images.clone() };
        assert_eq!(filled(&flat, [2, 1, 3]), filled(&images, [2, 1, 3]));
        let bytes = Pixels::Bytes {
            bytes: (0..24).collect(),
            values: vec![
                std::array::from_fn(|byte| byte as f32),
                std::array::from_fn(|byte| 2.0 * byte as f32),
            ],
        };
        let bytes = Images { pixels: bytes, ..images };
        assert_eq!(filled(&bytes, [6, 1, 1])[1], [6.0, 7.0, 8.0, 18.0, 20.0, 22.0]);
        assert_eq!(filled(&bytes, [2, 1, 3])[1], [6.0, 18.0, 7.0, 20.0, 8.0, 22.0]);
    }
}
