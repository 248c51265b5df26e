//! The memory layout of activations: sixteen images side by side. Knows nothing of layers.
//!
//! A batch is divided into blocks of [`LANES`] images. A line of a block, one [`Lanes`], holds the same
//! number of all images of the block, so vector instructions process sixteen images for any shape of layer,
//! and the layout mixes no numbers of different images. An image of channels × height × width is stored row
//! by row, pixel by pixel, channel by channel. Lanes without an image, at the end of the last block, start as
//! zeros. Later values in these lanes affect no result: inference ignores the lanes, and their gradient at
//! the logits is zero.

use crate::dataset::images::Images;
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

/// Writes at most 16 images as numbers to a block; lanes without an image become 0. `bytes` has the bytes of
/// each image, and the value table of the images maps bytes to numbers.
pub(crate) fn fill_block(images: &Images, bytes: &[&[u8]], block: &mut [Lanes]) {
    let [channels, height, width] = images.shape;
    let plane = height * width;
    for (channel, values) in images.values.iter().enumerate() {
        let lines = block.iter_mut().skip(channel).step_by(channels);
        let rows: Vec<&[u8]> = bytes.iter().map(|bytes| &bytes[channel * plane..][..plane]).collect();
        if let Some(rows) = rows.first_chunk::<LANES>() {
            for (pixel, line) in lines.take(plane).enumerate() {
                line.0 = std::array::from_fn(|lane| values[usize::from(rows[lane][pixel])]);
            }
            continue;
        }
        for (pixel, line) in lines.take(plane).enumerate() {
            let row = |lane: usize| rows.get(lane).map_or(0.0, |row| values[usize::from(row[pixel])]);
            line.0 = std::array::from_fn(row);
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
}
