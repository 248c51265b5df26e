//! Images of one shape, with or without labels. "Image" is any input of a network: a picture, a spectrogram, a row of features.
//! Knows nothing of files, splits or networks.

use blake3::Hasher;

/// Images of one shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Images {
    /// Channels, height, width.
    pub shape: [usize; 3],
    /// The pixels, image by image, channel by channel, row by row.
    pub pixels: Pixels,
    /// The classes of the images; `None` for unlabelled images.
    pub labels: Option<Labels>,
}

/// The pixels of some images: `images * channels * height * width` bytes or numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum Pixels {
    /// Bytes, which stand for numbers.
    Bytes {
        /// The bytes.
        bytes: Vec<u8>,
        /// Per channel, the number that each of the 256 byte values stands for.
        values: Vec<[f32; 256]>,
    },
    /// Numbers.
    Numbers {
        /// The numbers.
        numbers: Vec<f32>,
        /// Per channel, the number of a stored 0: the color around an image that is moved.
        zeros: Vec<f32>,
    },
}

/// The classes of some images.
#[derive(Clone, Debug, PartialEq)]
pub struct Labels {
    /// The number of classes, 1 to 256.
    pub classes: usize,
    /// The names of the classes; empty if they are called 0, 1, 2, ….
    pub names: Vec<String>,
    /// The class of each image, below `classes`.
    pub numbers: Vec<u8>,
}

impl Images {
    /// Returns the number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        let pixels = match &self.pixels {
            Pixels::Bytes { bytes, .. } => bytes.len(),
            Pixels::Numbers { numbers, .. } => numbers.len(),
        };
        pixels / self.size()
    }

    /// Returns whether there is no image at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the pixels per image: channels × height × width.
    #[must_use]
    pub fn size(&self) -> usize {
        self.shape.iter().product()
    }

    /// Returns the images at these positions, in this order.
    #[must_use]
    pub fn select(&self, places: &[u32]) -> Self {
        let size = self.size();
        let pixels = match &self.pixels {
            Pixels::Bytes { bytes, values } => {
                Pixels::Bytes { bytes: chosen(bytes, size, places), values: values.clone() }
            }
            Pixels::Numbers { numbers, zeros } => {
                Pixels::Numbers { numbers: chosen(numbers, size, places), zeros: zeros.clone() }
            }
        };
        let labels = self.labels.as_ref().map(|labels| Labels {
            classes: labels.classes,
            names: labels.names.clone(),
            numbers: chosen(&labels.numbers, 1, places),
        });
        Self { shape: self.shape, pixels, labels }
    }

    /// Returns the numbers that the pixels of the images at these positions stand for.
    #[must_use]
    pub fn numbers(&self, places: &[u32]) -> Vec<f32> {
        match self.select(places).pixels {
            Pixels::Numbers { numbers, .. } => numbers,
            Pixels::Bytes { bytes, values } => {
                let planes = bytes.chunks_exact(self.shape[1] * self.shape[2]).zip(values.iter().cycle());
                planes
                    .flat_map(|(plane, values)| plane.iter().map(|byte| values[usize::from(*byte)]))
                    .collect()
            }
        }
    }

    /// Keeps only the images at these ascending positions, without copying the rest.
    pub fn keep(&mut self, places: &[u32]) {
        let size = self.size();
        match &mut self.pixels {
            Pixels::Bytes { bytes, .. } => keep(bytes, size, places),
            Pixels::Numbers { numbers, .. } => keep(numbers, size, places),
        }
        if let Some(labels) = &mut self.labels {
            keep(&mut labels.numbers, 1, places);
        }
    }

    /// Returns the blake3 hash of the content: shape, classes, numbers, pixels and labels.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let mut hasher = Hasher::new_derive_key(match self.pixels {
            Pixels::Bytes { .. } => "fewbits images v1",
            Pixels::Numbers { .. } => "fewbits images of numbers v1",
        });
        let classes = self.labels.as_ref().map_or(0, |labels| labels.classes);
        for number in self.shape.iter().chain([&classes, &self.len()]) {
            hasher.update(&(*number as u64).to_le_bytes());
        }
        match &self.pixels {
            Pixels::Bytes { bytes, values } => {
                hash_numbers(&mut hasher, values.as_flattened());
                hasher.update(bytes);
            }
            Pixels::Numbers { numbers, zeros } => {
                hash_numbers(&mut hasher, zeros);
                hash_numbers(&mut hasher, numbers);
            }
        }
        if let Some(labels) = &self.labels {
            hasher.update(&labels.numbers);
            for name in &labels.names {
                hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
            }
        }
        *hasher.finalize().as_bytes()
    }
}

impl Labels {
    /// Makes the labels of classes that are called 0, 1, 2, ….
    #[must_use]
    pub fn numbered(classes: usize, numbers: Vec<u8>) -> Self {
        Self { classes, names: vec![], numbers }
    }

    /// Returns the name of each class.
    #[must_use]
    pub fn class_names(&self) -> Vec<String> {
        if self.names.is_empty() {
            return (0..self.classes).map(|class| class.to_string()).collect();
        }
        self.names.clone()
    }
}

/// Turns images of `size` pixels from pixel by pixel to channel by channel.
pub(crate) fn channels_first<T: Copy>(pixels: &[T], channels: usize, size: usize) -> Vec<T> {
    let mut all = Vec::with_capacity(pixels.len());
    for image in pixels.chunks_exact(size) {
        all.extend((0..channels).flat_map(|channel| image[channel..].iter().step_by(channels)));
    }
    all
}

fn chosen<T: Copy>(all: &[T], size: usize, places: &[u32]) -> Vec<T> {
    let mut chosen = Vec::with_capacity(places.len() * size);
    for &place in places {
        chosen.extend_from_slice(&all[place as usize * size..][..size]);
    }
    chosen
}

fn keep<T: Copy>(all: &mut Vec<T>, size: usize, places: &[u32]) {
    for (to, &from) in places.iter().enumerate() {
        let from = from as usize;
        if from != to {
            all.copy_within(from * size..(from + 1) * size, to * size);
        }
    }
    all.truncate(places.len() * size);
    all.shrink_to_fit();
}

fn hash_numbers(hasher: &mut Hasher, numbers: &[f32]) {
    /// Numbers per call of the hasher, which is fast on long pieces only.
    const PIECE: usize = 1 << 14;
    for piece in numbers.chunks(PIECE) {
        let bytes: Vec<u8> = piece.iter().flat_map(|number| number.to_bits().to_le_bytes()).collect();
        hasher.update(&bytes);
    }
}

/// Short ways for tests with labelled images of bytes.
#[cfg(test)]
impl Images {
    pub(crate) fn of_bytes(
        shape: [usize; 3],
        bytes: Vec<u8>,
        values: Vec<[f32; 256]>,
        labels: Labels,
    ) -> Self {
        Self { shape, pixels: Pixels::Bytes { bytes, values }, labels: Some(labels) }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        let Pixels::Bytes { bytes, .. } = &self.pixels else { panic!("numbers") };
        bytes
    }

    pub(crate) fn image(&self, place: usize) -> &[u8] {
        &self.bytes()[place * self.size()..][..self.size()]
    }

    pub(crate) fn classes(&self) -> &[u8] {
        &self.labels.as_ref().unwrap().numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeping_is_selecting_in_place() {
        let bytes = Pixels::Bytes { bytes: vec![1, 2, 3, 4, 5, 6, 7, 8], values: vec![] };
        let numbers =
            Pixels::Numbers { numbers: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], zeros: vec![0.0] };
        let labels = Labels { classes: 3, names: vec![], numbers: vec![0, 1, 2, 0] };
        for (pixels, labels) in [(bytes, Some(labels)), (numbers, None)] {
            let images = Images { shape: [1, 1, 2], pixels, labels };
            assert_eq!(images.len(), 4);
            for places in [&[][..], &[0], &[1, 3], &[0, 2, 3], &[0, 1, 2, 3]] {
                let mut kept = images.clone();
                kept.keep(places);
                assert_eq!(kept, images.select(places));
            }
            match images.select(&[1, 3]).pixels {
                Pixels::Bytes { bytes, .. } => assert_eq!(bytes, [3, 4, 7, 8]),
                Pixels::Numbers { numbers, .. } => assert_eq!(numbers, [3.0, 4.0, 7.0, 8.0]),
            }
        }
    }

    #[test]
    fn every_part_of_the_content_is_in_the_hash() {
        let labels = |names: &[&str], numbers: &[u8]| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            Some(Labels { classes: 2, names, numbers: numbers.to_vec() })
        };
        let numbers = |numbers: [f32; 2], zeros, labels| {
            let pixels = Pixels::Numbers { numbers: numbers.to_vec(), zeros: vec![zeros] };
            Images { shape: [1, 1, 1], pixels, labels }.hash()
        };
        let bytes = |labels| {
            let pixels = Pixels::Bytes { bytes: vec![1, 2], values: vec![[0.0; 256]] };
            Images { shape: [1, 1, 1], pixels, labels }.hash()
        };
        let all = [
            numbers([1.0, 2.0], 0.0, None),
            numbers([1.0, 3.0], 0.0, None),
            numbers([1.0, 2.0], 1.0, None),
            numbers([1.0, 2.0], 0.0, labels(&[], &[0, 1])),
            numbers([1.0, 2.0], 0.0, labels(&["a", "b"], &[0, 1])),
            numbers([1.0, 2.0], 0.0, labels(&["b", "a"], &[0, 1])),
            bytes(None),
            bytes(labels(&[], &[0, 1])),
            bytes(labels(&[], &[1, 1])),
            bytes(labels(&["a", "b"], &[1, 1])),
        ];
        for (at, hash) in all.iter().enumerate() {
            assert!(!all[..at].contains(hash), "{at}");
        }
    }
}
