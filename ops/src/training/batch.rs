//! The images of one step, in the order of the epoch, with augmentation. Knows nothing of
//! networks. The order depends only on (seed, epoch); the augmentation depends only on (seed, epoch, image).

use std::borrow::Cow;
use std::ops::Range;

use rayon::prelude::*;

use crate::dataset::images::{Images, Pixels};
use crate::random::Stream;
use crate::training::config::Augment;

/// The division of an epoch's images into batches of `size`; the last batch has the remainder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batches {
    images: usize,
    size: usize,
    /// Number of batches.
    pub count: usize,
}

impl Batches {
    /// Divides `images` images into batches of `size`; both are at least 1. With `joins`, a last batch of a
    /// single image is merged into the batch before it.
    pub(crate) fn cut(images: usize, size: usize, joins: bool) -> Self {
        let size = size.min(images);
        let is_alone = images % size == 1 && images > size;
        let count = if joins && is_alone { images / size } else { images.div_ceil(size) };
        Self { images, size, count }
    }

    /// Returns the positions in the order of the epoch that batch `batch`, from 0, contains.
    pub(crate) fn range(self, batch: usize) -> Range<usize> {
        let first = batch * self.size;
        let is_last = batch + 1 == self.count;
        first..if is_last { self.images } else { first + self.size }
    }

    /// Returns the number of images in the largest batch.
    pub(crate) fn largest(self) -> usize {
        self.size.max(self.range(self.count - 1).len())
    }

    /// Returns the number of images that were merged into the batch before, 0 or 1.
    pub(crate) fn joined(self) -> usize {
        self.largest() - self.size
    }
}

/// Images per unit of parallel work.
const LEAST: usize = 16;

/// The images of one step, after augmentation.
pub(crate) struct Batch<'a> {
    /// The images that the batch is taken from: all images, or those of the batch after augmentation.
    pub images: Cow<'a, Images>,
    /// Their positions in `images`.
    pub places: Vec<u32>,
    /// The label of each image.
    pub labels: Vec<u8>,
}

/// The order and the augmentation of one epoch.
pub(crate) struct Epoch<'a> {
    images: &'a Images,
    order: Vec<u32>,
    augment: Augment,
    stream: Stream,
}

impl<'a> Epoch<'a> {
    /// Draws the order of an epoch; epochs count from 0.
    pub(crate) fn new(images: &'a Images, augment: Augment, seed: u64, epoch: usize) -> Self {
        let order = Stream::new(seed, "order", &epoch.to_string()).permutation(images.len());
        Self { images, order, augment, stream: Stream::new(seed, "augment", &epoch.to_string()) }
    }

    /// Returns the images at a range of positions in the order of the epoch.
    pub(crate) fn batch(&self, positions: Range<usize>) -> Batch<'a> {
        let places = &self.order[positions];
        let labels = self.images.labels.as_ref().map_or(&[][..], |labels| &labels.numbers);
        let labels = places.iter().map(|place| labels[*place as usize]).collect();
        match self.augment {
            Augment::None => Batch { images: Cow::Borrowed(self.images), places: places.to_vec(), labels },
            Augment::Flip | Augment::Crop { .. } | Augment::FlipCrop { .. } => Batch {
                images: Cow::Owned(self.changed(places)),
                places: (0..places.len() as u32).collect(),
                labels,
            },
        }
    }

    /// Returns images after flip and crop. Pixels outside the original image are black: a stored 0.
    fn changed(&self, places: &[u32]) -> Images {
        let pixels = match &self.images.pixels {
            Pixels::Bytes { bytes, values } => {
                let bytes = self.changed_pixels(bytes, &vec![0; values.len()], places);
                Pixels::Bytes { bytes, values: values.clone() }
            }
            Pixels::Numbers { numbers, zeros } => {
                let numbers = self.changed_pixels(numbers, zeros, places);
                Pixels::Numbers { numbers, zeros: zeros.clone() }
            }
        };
        Images { shape: self.images.shape, pixels, labels: None }
    }

    /// Returns the pixels of images after flip and crop; `black` has one pixel per channel.
    fn changed_pixels<T: Copy + Default + Send + Sync>(
        &self,
        all: &[T],
        black: &[T],
        places: &[u32],
    ) -> Vec<T> {
        let [_, height, width] = self.images.shape;
        let size = self.images.size();
        let padding = self.augment.padding();
        let mut changed = vec![T::default(); places.len() * size];
        let images = changed.par_chunks_exact_mut(size).zip(places).with_min_len(LEAST);
        images.for_each(|(changed, place)| {
            let [flip, down, right, _] = self.stream.block(u64::from(*place));
            let flip = self.augment.flips() && flip >> 31 == 1;
            let drawn = |bits: u32| ((u64::from(bits) * (2 * padding as u64 + 1)) >> 32) as usize;
            let (down, right) = (drawn(down), drawn(right));
            let image = &all[*place as usize * size..][..size];
            let planes = image.chunks_exact(height * width).zip(black);
            for ((plane, black), changed) in planes.zip(changed.chunks_exact_mut(height * width)) {
                for (at, changed) in changed.iter_mut().enumerate() {
                    let (y, x) = (at / width, at % width);
                    let x = if flip { width - 1 - x } else { x };
                    let y = (y + down).checked_sub(padding).filter(|y| *y < height);
                    let x = (x + right).checked_sub(padding).filter(|x| *x < width);
                    *changed = y.zip(x).map_or(*black, |(y, x)| plane[y * width + x]);
                }
            }
        });
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::images::Labels;

    /// Makes `n` images of 1 × 2 × 3 with the bytes 1 to 6 each; every byte stands for the number of equal
    /// value.
    fn images(n: usize) -> Images {
        let bytes = (0..n * 6).map(|i| (i % 6) as u8 + 1).collect();
        let values = vec![std::array::from_fn(|byte| byte as f32)];
        let numbers = (0..n).map(|i| (i % 2) as u8).collect();
        Images::of_bytes([1, 2, 3], bytes, values, Labels::numbered(2, numbers))
    }

    /// Returns the bytes of each image of a batch.
    fn bytes_of(batch: &Batch) -> Vec<Vec<u8>> {
        batch.images.select(&batch.places).bytes().chunks(6).map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn an_image_that_would_be_alone_joins_the_batch_before_it() {
        let check = |images, size, joins, expected: &[usize]| {
            let batches = Batches::cut(images, size, joins);
            let ranges: Vec<_> = (0..batches.count).map(|batch| batches.range(batch)).collect();
            assert_eq!(ranges.iter().map(ExactSizeIterator::len).collect::<Vec<_>>(), expected);
            assert_eq!(ranges.into_iter().flatten().collect::<Vec<_>>(), (0..images).collect::<Vec<_>>());
            assert_eq!(batches.largest(), *expected.iter().max().unwrap());
            assert_eq!(batches.joined(), usize::from(expected.iter().any(|len| *len > size)));
        };
        check(9, 4, false, &[4, 4, 1]);
        check(9, 4, true, &[4, 5]);
        check(5, 4, true, &[5]);
        for joins in [false, true] {
            check(8, 4, joins, &[4, 4]);
            check(10, 4, joins, &[4, 4, 2]);
            check(3, 4, joins, &[3]);
            check(1, 4, joins, &[1]);
            check(3, 1, joins, &[1, 1, 1]);
        }
    }

    #[test]
    fn every_image_comes_once_per_epoch_in_an_order_of_its_own() {
        let images = images(10);
        let labels = |epoch| {
            let epoch = Epoch::new(&images, Augment::None, 1, epoch);
            let batches = Batches::cut(10, 4, false);
            let found: Vec<Batch> =
                (0..batches.count).map(|batch| epoch.batch(batches.range(batch))).collect();
            assert_eq!(found.iter().map(|batch| batch.labels.len()).collect::<Vec<_>>(), [4, 4, 2]);
            assert!(bytes_of(&found[2]).iter().all(|pixels| **pixels == [1, 2, 3, 4, 5, 6]));
            found.iter().flat_map(|batch| batch.labels.clone()).collect::<Vec<u8>>()
        };
        assert_eq!(labels(0).iter().map(|label| u32::from(*label)).sum::<u32>(), 5);
        assert_ne!(labels(0), labels(1));
    }

    #[test]
    fn changed_images_are_the_ones_that_can_be() {
        let images = images(400);
        let seen = |augment| {
            let batch = Epoch::new(&images, augment, 1, 0).batch(0..400);
            let mut kinds = bytes_of(&batch);
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

    #[test]
    fn numbers_change_as_bytes_do_and_black_is_what_a_0_became() {
        let bytes = images(50);
        let number = |byte: u8| (f32::from(byte) - 2.0) * 0.5;
        let numbers = bytes.bytes().iter().map(|byte| number(*byte)).collect();
        let numbers = Images {
            pixels: Pixels::Numbers { numbers, zeros: vec![number(0)] },
            labels: bytes.labels.clone(),
            ..bytes
        };
        let augment = Augment::FlipCrop { padding: 2 };
        let [one, other] = [&bytes, &numbers].map(|images| Epoch::new(images, augment, 1, 0).batch(0..50));
        let Pixels::Numbers { numbers, .. } = &other.images.pixels else { panic!("no numbers") };
        let expected: Vec<f32> = bytes_of(&one).concat().into_iter().map(number).collect();
        assert_eq!(*numbers, expected);
        assert_eq!(one.labels, other.labels);
    }
}
