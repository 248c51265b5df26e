//! A value that is a weighted sum of accuracies, image by image: so intervals can be over images.
//! Knows nothing of tables.

use std::sync::Arc;

/// The answers of a network to images: one bit for each, least significant first, 1 where it was right.
pub type Bits = Arc<[u8]>;

/// A weighted sum of answers.
#[derive(Clone, Debug)]
pub struct Answers {
    /// What is added for every image.
    pub constant: f64,
    /// The weight of a right answer, and the answers.
    pub terms: Vec<(f64, Bits)>,
    /// The number of images.
    pub images: usize,
}

impl Answers {
    /// Adds the value of each image to sums; none if they are sums over another number of images.
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
