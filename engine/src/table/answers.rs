//! A value as a weighted sum of accuracies, image by image; confidence intervals over images are computed from it.
//! Knows nothing of tables.

use std::sync::Arc;

/// The answers of a network, one bit per image, least significant first: 1 if the image is classified correctly.
pub type Bits = Arc<[u8]>;

/// A weighted sum of answers.
#[derive(Clone, Debug)]
pub struct Answers {
    /// The constant that is added for every image.
    pub constant: f64,
    /// The terms: the weight of a correct answer, with the answers of a network.
    pub terms: Vec<(f64, Bits)>,
    /// The number of images.
    pub images: usize,
}

impl Answers {
    /// Adds the value of each image to `sums`; returns `None` if the number of images differs.
    pub(super) fn add_to(&self, sums: &mut Vec<f64>) -> Option<()> {
        if sums.is_empty() {
            sums.resize(self.images, 0.0);
        }
        if sums.len() != self.images || self.terms.iter().any(|(_, bits)| bits.len() * 8 < self.images) {
            return None;
        }
        for (image, sum) in sums.iter_mut().enumerate() {
            *sum += self.constant;
            for (weight, bits) in &self.terms {
                if bits[image / 8] >> (image % 8) & 1 == 1 {
                    *sum += weight;
                }
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drop_is_known_for_every_image() {
        let bits = |byte: u8| Bits::from([byte].as_slice());
        let drop =
            Answers { constant: 0.0, terms: vec![(100.0, bits(0b0111)), (-100.0, bits(0b1101))], images: 4 };
        let mut sums = vec![];
        assert!(drop.add_to(&mut sums).is_some());
        assert_eq!(sums, [0.0, 100.0, 0.0, -100.0]);
        assert!(drop.add_to(&mut vec![0.0; 5]).is_none());
        assert!(Answers { images: 9, ..drop }.add_to(&mut vec![]).is_none());
    }
}
