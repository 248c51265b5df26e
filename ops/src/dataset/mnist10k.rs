//! The embedded dataset: the first 10,000 images of MNIST's training set, in their order; see `mnist-10k/README.md`.
//! Knows nothing of the data directory.

use super::error::FileError;
use super::images::Images;
use super::open::DatasetFile;
use super::read;

const IMAGES: &[u8] = include_bytes!("mnist-10k/images-idx3-ubyte.gz");
const LABELS: &[u8] = include_bytes!("mnist-10k/labels-idx1-ubyte.gz");
/// The bytes that the dataset takes in the program.
pub const BYTES: u64 = (IMAGES.len() + LABELS.len()) as u64;
const TRAIN: u32 = 8_000;
const CLASSES: usize = 10;

/// Returns the blake3 hash of the embedded files.
#[must_use]
pub fn digest() -> [u8; 32] {
    *blake3::Hasher::new().update(IMAGES).update(LABELS).finalize().as_bytes()
}

/// Returns the first 8,000 images to train on and the last 2,000 to test on.
pub fn read_embedded() -> Result<[Images; 2], FileError> {
    let images = DatasetFile::bytes("the embedded images", IMAGES)?;
    let labels = DatasetFile::bytes("the embedded labels", LABELS)?;
    let all = read::pair(images, labels, Some(CLASSES))?;
    let count = all.len() as u32;
    let train = TRAIN.min(count);
    let places: Vec<u32> = (0..count).collect();
    Ok([all.select(&places[..train as usize]), all.select(&places[train as usize..])])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_images_are_mnists() {
        let [train, test] = read_embedded().unwrap();
        assert_eq!(
            (train.len(), test.len(), train.shape, train.labels.as_ref().unwrap().classes),
            (8_000, 2_000, [1, 28, 28], 10)
        );
        // The first labels of MNIST's training set, as every tutorial prints them.
        assert_eq!(train.classes()[..10], [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
        // SHA-256 of the decompressed files, as `zcat FILE | sha256sum` gives it.
        let header = [0, 0, 8, 3, 0, 0, 0x27, 0x10, 0, 0, 0, 28, 0, 0, 0, 28];
        let sums = [
            sha256(&[&header[..], train.bytes(), test.bytes()]),
            sha256(&[&[0, 0, 8, 1, 0, 0, 0x27, 0x10], train.classes(), test.classes()]),
        ];
        assert_eq!(sums[0], "2889698e6bc3614913e76901316712919d1998fc2b44512451bfe65bc1e668b1");
        assert_eq!(sums[1], "651e38e2ac0632f5113ec18f1df4977117f953197819034009971a6675a0df78");
    }

    fn sha256(parts: &[&[u8]]) -> String {
        use sha2::{Digest, Sha256};
        hex::encode(Sha256::digest(parts.concat()))
    }
}
