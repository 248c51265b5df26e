//! The images of one batch as numbers, in the order of an epoch, changed at random if asked to.
//! Knows nothing of networks. The order depends on (seed, epoch) alone, an image's change on (seed, epoch, image).

use rayon::prelude::*;

use super::recipe::Augment;
use crate::dataset::images::Images;
use crate::random::Stream;

/// Images that a thread takes at least.
const IMAGES: usize = 8;

/// One epoch's order and changes.
pub(crate) struct Epoch<'a> {
    images: &'a Images,
    order: Vec<u32>,
    augment: Augment,
    stream: Stream,
}

impl<'a> Epoch<'a> {
    /// Draws the order of an epoch, counted from 0.
    pub(crate) fn new(images: &'a Images, augment: Augment, seed: u64, epoch: usize) -> Self {
        let order = Stream::new(seed, "order", &epoch.to_string()).permutation(images.len());
        Self { images, order, augment, stream: Stream::new(seed, "augment", &epoch.to_string()) }
    }

    /// Writes the numbers of one batch's images and returns their labels; the last batch may have fewer.
    pub(crate) fn gather(&self, step: usize, batch: usize, out: &mut [f32]) -> Vec<u8> {
        let first = (step * batch).min(self.order.len());
        let places = &self.order[first..self.order.len().min(first + batch)];
        let out = out.par_chunks_exact_mut(self.images.size()).zip(places).with_min_len(IMAGES);
        out.for_each(|(out, place)| match self.augment {
            Augment::None => self.images.read(*place as usize, out),
            Augment::Flip | Augment::Crop { .. } | Augment::FlipCrop { .. } => {
                self.read_changed(*place as usize, out);
            }
        });
        places.iter().map(|place| self.images.labels[*place as usize]).collect()
    }

    /// Writes an image mirrored and moved; what comes from outside it is black, the number of byte 0.
    fn read_changed(&self, place: usize, out: &mut [f32]) {
        let [_, height, width] = self.images.shape;
        let [flip, down, right, _] = self.stream.block(place as u64);
        let flip = self.augment.flips() && flip >> 31 == 1;
        let padding = self.augment.padding();
        let drawn = |bits: u32| ((u64::from(bits) * (2 * padding as u64 + 1)) >> 32) as usize;
        let (down, right) = (drawn(down), drawn(right));
        let planes =
            self.images.image(place).chunks_exact(height * width).zip(out.chunks_exact_mut(height * width));
        for ((from, to), values) in planes.zip(&self.images.values) {
            for (at, number) in to.iter_mut().enumerate() {
                let (y, x) = (at / width, at % width);
                let x = if flip { width - 1 - x } else { x };
                let y = (y + down).checked_sub(padding).filter(|y| *y < height);
                let x = (x + right).checked_sub(padding).filter(|x| *x < width);
                let byte = y.zip(x).map_or(0, |(y, x)| from[y * width + x]);
                *number = values[usize::from(byte)];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Images of 1 × 2 × 3, whose bytes are 1, 2, 3, …; the number of a byte is itself.
    fn images(n: usize) -> Images {
        let pixels = (0..n * 6).map(|i| (i % 6) as u8 + 1).collect();
        let values = vec![std::array::from_fn(|byte| byte as f32)];
        Images {
            shape: [1, 2, 3],
            classes: 2,
            pixels,
            labels: (0..n).map(|i| (i % 2) as u8).collect(),
            values,
        }
    }

    #[test]
    fn every_image_comes_once_per_epoch_in_an_order_of_its_own() {
        let images = images(10);
        let labels = |epoch| {
            let epoch = Epoch::new(&images, Augment::None, 1, epoch);
            let mut out = [0.0; 24];
            let labels: Vec<Vec<u8>> = (0..3).map(|step| epoch.gather(step, 4, &mut out)).collect();
            assert_eq!(labels.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2]);
            assert_eq!(out[..6], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
            labels.concat()
        };
        assert_eq!(labels(0).iter().map(|label| u32::from(*label)).sum::<u32>(), 5);
        assert_ne!(labels(0), labels(1));
    }

    #[test]
    fn changed_images_are_the_ones_that_can_be() {
        let images = images(400);
        let seen = |augment| {
            let mut out = vec![0.0; 400 * 6];
            Epoch::new(&images, augment, 1, 0).gather(0, 400, &mut out);
            let mut kinds: Vec<Vec<u8>> =
                out.chunks(6).map(|image| image.iter().map(|x| *x as u8).collect()).collect();
            kinds.sort_unstable();
            kinds.dedup();
            kinds
        };
        assert_eq!(seen(Augment::Flip), [[1, 2, 3, 4, 5, 6], [3, 2, 1, 6, 5, 4]]);
        let moved = seen(Augment::Crop { padding: 1 });
        assert_eq!(moved.len(), 9);
        assert!(moved.contains(&vec![0, 0, 0, 0, 1, 2]) && moved.contains(&vec![5, 6, 0, 0, 0, 0]));
        let both = seen(Augment::FlipCrop { padding: 1 });
        assert_eq!(both.len(), 18);
        assert!(moved.iter().all(|image| both.contains(image)));
    }
}
