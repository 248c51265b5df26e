//! Labelled images, kept as bytes, with the normalization that turns bytes into numbers.
//! Knows nothing of files, splits or networks.

use blake3::Hasher;

/// Images of one shape with a label each.
#[derive(Clone, Debug, PartialEq)]
pub struct Images {
    /// Channels, height, width.
    pub shape: [usize; 3],
    /// Number of classes; every label is below it.
    pub classes: usize,
    /// `len() * channels * height * width` bytes, image by image, channel by channel, row by row.
    pub pixels: Vec<u8>,
    /// One label per image.
    pub labels: Vec<u8>,
    /// Per channel, the number that each of the 256 byte values stands for.
    pub values: Vec<[f32; 256]>,
}

impl Images {
    /// Returns the number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Returns whether there is no image at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Returns the bytes per image: channels × height × width.
    #[must_use]
    pub fn size(&self) -> usize {
        self.shape.iter().product()
    }

    /// Returns the bytes of one image.
    #[must_use]
    pub fn image(&self, index: usize) -> &[u8] {
        &self.pixels[index * self.size()..(index + 1) * self.size()]
    }

    /// Returns the images at these positions, in this order.
    #[must_use]
    pub fn select(&self, places: &[u32]) -> Self {
        let mut pixels = Vec::with_capacity(places.len() * self.size());
        for &place in places {
            pixels.extend_from_slice(self.image(place as usize));
        }
        let labels = places.iter().map(|&place| self.labels[place as usize]).collect();
        Self { shape: self.shape, classes: self.classes, pixels, labels, values: self.values.clone() }
    }

    /// Keeps only the images at these ascending positions, without copying the rest.
    pub fn keep(&mut self, places: &[u32]) {
        let size = self.size();
        for (to, &from) in places.iter().enumerate() {
            let from = from as usize;
            if from != to {
                self.pixels.copy_within(from * size..(from + 1) * size, to * size);
                self.labels[to] = self.labels[from];
            }
        }
        self.pixels.truncate(places.len() * size);
        self.labels.truncate(places.len());
        self.pixels.shrink_to_fit();
        self.labels.shrink_to_fit();
    }

    /// Returns the blake3 hash of the content: shape, classes, numbers, pixels and labels.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let mut hasher = Hasher::new_derive_key("fewbits images v1");
        for number in self.shape.iter().chain([&self.classes, &self.len()]) {
            hasher.update(&(*number as u64).to_le_bytes());
        }
        for value in self.values.iter().flatten() {
            hasher.update(&value.to_bits().to_le_bytes());
        }
        hasher.update(&self.pixels);
        hasher.update(&self.labels);
        *hasher.finalize().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeping_is_selecting_in_place() {
        let images = Images {
            shape: [1, 1, 2],
            classes: 3,
            pixels: vec![1, 2, 3, 4, 5, 6, 7, 8],
            labels: vec![0, 1, 2, 0],
            values: Vec::new(),
        };
        for places in [&[][..], &[0], &[1, 3], &[0, 2, 3], &[0, 1, 2, 3]] {
            let mut kept = images.clone();
            kept.keep(places);
            assert_eq!(kept, images.select(places));
        }
        assert_eq!(images.select(&[1, 3]).pixels, [3, 4, 7, 8]);
    }
}
