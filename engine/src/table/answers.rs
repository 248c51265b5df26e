//! A value as a weighted sum of accuracies, image by image; confidence intervals over images are computed from it.
//! Knows nothing of tables.

use std::sync::Arc;

use crate::statistics::NOISE;
use crate::statistics::estimate::Error;

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

    /// Returns the weighted sum of several sums; `None` if there is none, or their images differ.
    pub(super) fn sum<'a>(parts: impl IntoIterator<Item = (f64, &'a Self)>) -> Option<Self> {
        let mut total: Option<Self> = None;
        for (weight, part) in parts {
            let total = total.get_or_insert(Self { constant: 0.0, terms: vec![], images: part.images });
            if total.images != part.images {
                return None;
            }
            total.constant += weight * part.constant;
            for (own, bits) in &part.terms {
                // Terms of one network are one term: a network minus itself is exactly 0.
                match total.terms.iter_mut().find(|(_, of)| Arc::ptr_eq(of, bits)) {
                    Some((sum, _)) => *sum += weight * own,
                    None => total.terms.push((weight * own, bits.clone())),
                }
            }
        }
        total
    }

    /// Returns whether the sum is the share of correct answers of one network.
    pub(super) fn is_share(&self) -> bool {
        self.constant == 0.0 && matches!(self.terms.as_slice(), [(weight, _)] if *weight == 1.0)
    }

    /// Returns the standard error of the mean over images, s / √n; `None` below two images, and for a value that is the same
    /// for all images but not zero. The variance of the sum is that of its terms and their pairs, counted in bits:
    /// `Σ w_i·w_j·(n·n_ij − n_i·n_j) / n²`, with `n_ij` the images that both networks classify correctly.
    pub(super) fn error(&self) -> Option<Error> {
        let n = self.images as f64;
        if self.images < 2 || self.terms.iter().any(|(_, bits)| bits.len() * 8 < self.images) {
            return None;
        }
        let alone: Vec<f64> = self.terms.iter().map(|(_, bits)| both(bits, bits, self.images)).collect();
        let (mut squares, mut magnitude) = (0.0_f64, 0.0_f64);
        for (i, (weight, bits)) in self.terms.iter().enumerate() {
            for (j, (other, others)) in self.terms[..i].iter().enumerate() {
                let (shared, apart) = (n * both(bits, others, self.images), alone[i] * alone[j]);
                squares += 2.0 * weight * other * (shared - apart);
                magnitude += 2.0 * (weight * other).abs() * (shared + apart);
            }
            squares += weight * weight * alone[i] * (n - alone[i]);
            magnitude += weight * weight * alone[i] * n;
        }
        // What rounding leaves of squares that cancel is no variance.
        let squares = if squares <= NOISE * magnitude { 0.0 } else { squares };
        let size = (squares / (n * n * (n - 1.0))).sqrt();
        let largest = self.constant.abs() + self.terms.iter().map(|(weight, _)| weight.abs()).sum::<f64>();
        if size > NOISE * largest {
            return Some(Error { size, freedom: n - 1.0 });
        }
        let sums = self.terms.iter().zip(&alone).map(|((weight, _), count)| weight * count / n);
        let mean = self.constant + sums.sum::<f64>();
        (mean.abs() <= NOISE * largest).then_some(Error { size: 0.0, freedom: n - 1.0 })
    }
}

/// Returns the number of images that two networks both classify correctly.
fn both(one: &[u8], other: &[u8], images: usize) -> f64 {
    let whole = images / 8;
    let (one, other) = (&one[..images.div_ceil(8)], &other[..images.div_ceil(8)]);
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap_or_default());
    let words = one[..whole].chunks_exact(8).zip(other[..whole].chunks_exact(8));
    let of_words: u32 = words.map(|(a, b)| (word(a) & word(b)).count_ones()).sum();
    let rest = whole / 8 * 8;
    let of_bytes: u32 =
        one[rest..whole].iter().zip(&other[rest..whole]).map(|(a, b)| (a & b).count_ones()).sum();
    let last = one.get(whole).zip(other.get(whole)).map_or(0, |(a, b)| a & b & ((1 << (images % 8)) - 1));
    f64::from(of_words + of_bytes + last.count_ones())
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

    fn answers(terms: &[(f64, &str)]) -> Answers {
        let pack = |text: &str| -> Bits {
            let byte = |bits: &[u8]| bits.iter().rev().fold(0, |byte, bit| 2 * byte + u8::from(*bit == b'1'));
            text.as_bytes().chunks(8).map(byte).collect::<Vec<u8>>().into()
        };
        let images = terms[0].1.len();
        let terms = terms.iter().map(|(weight, text)| (*weight, pack(text))).collect();
        Answers { constant: 0.0, terms, images }
    }

    /// scipy 1.17.1: `sem([0, 0, 1, 1, 1, 1, 1, 1])` = 0.163663417676994. The others are compared with the definition.
    #[test]
    fn the_error_over_images_is_that_of_the_sums() {
        let check = |terms: &[(f64, &str)]| {
            let answers = answers(terms);
            let mut sums = vec![];
            answers.add_to(&mut sums).unwrap();
            let n = sums.len() as f64;
            let mean = sums.iter().sum::<f64>() / n;
            let deviation = sums.iter().map(|sum| (sum - mean).powi(2)).sum::<f64>() / (n - 1.0);
            let (found, expected) = (answers.error().unwrap().size, (deviation / n).sqrt());
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
            found
        };
        let (a, b) = ("00111111", "10111000");
        assert!((check(&[(1.0, a)]) - 0.163_663_417_676_994).abs() < 1e-12);
        check(&[(1.0, a), (-1.0, b)]);
        check(&[(0.5, a), (0.5, b), (-0.25, a)]);
        let long = "1011".repeat(33) + "011";
        check(&[(100.0, &long), (-100.0, &"0".repeat(135))]);
        for weight in [1.0, 100.0, 1.0 / 3.0, 100.0 / 3.0, 0.1] {
            // Other bits with the same content, as two records of equal networks have them.
            let same = answers(&[(weight, a), (-weight, a)]);
            assert_eq!(same.error().map(|error| error.size), Some(0.0), "{weight}");
        }
        assert_eq!(answers(&[(1.0, a), (-1.0, a)]).error().map(|error| error.size), Some(0.0));
        assert_eq!(answers(&[(1.0, "11111111")]).error(), None);
    }
}
