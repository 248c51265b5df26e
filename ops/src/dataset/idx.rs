//! The IDX format of the MNIST family: a magic number, big-endian dimensions, then one unsigned byte per element.
//! Format: <http://yann.lecun.com/exdb/mnist/>. Does not know the dataset of a file.

use super::error::FileError;
use super::open::DatasetFile;

/// The two kinds of IDX file in a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdxKind {
    /// Images × height × width, or images × channels × height × width.
    Images,
    /// One label per image.
    Labels,
}

impl IdxKind {
    /// Returns the first four bytes of such a file as a number: type 8 (unsigned byte), then the dimensions.
    #[must_use]
    pub fn magic(self) -> u32 {
        match self {
            Self::Images => 0x0803,
            Self::Labels => 0x0801,
        }
    }

    /// Returns whether a file of this kind may begin with these four bytes.
    fn takes(self, magic: u32) -> bool {
        magic == self.magic() || (self == Self::Images && magic == WITH_CHANNELS)
    }

    /// Returns the word for the content of such a file.
    #[must_use]
    pub fn noun(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Labels => "labels",
        }
    }
}

/// The first four bytes of a file of images with channels: four dimensions.
const WITH_CHANNELS: u32 = 0x0804;

/// The content of an IDX file.
#[derive(Clone, Debug, PartialEq)]
pub struct Idx {
    /// The bytes before the data.
    pub header: Vec<u8>,
    /// The dimensions: count, height, width; or count, channels, height, width; or count.
    pub dims: Vec<usize>,
    /// The elements, in order.
    pub bytes: Vec<u8>,
}

impl Idx {
    /// Reads a file of this kind to its end.
    pub fn parse(input: &mut DatasetFile, kind: IdxKind) -> Result<Self, FileError> {
        let mut header = input.take(4)?;
        let found = number(&header);
        if !kind.takes(found) {
            let (file, hint) = (input.name().to_owned(), hint(found, kind));
            return Err(FileError::Magic { file, found, expected: kind.magic(), wanted: kind.noun(), hint });
        }
        let rank = found & 0xff;
        header.extend(input.take(4 * u64::from(rank))?);
        let dims: Vec<usize> = header[4..].chunks_exact(4).map(|bytes| number(bytes) as usize).collect();
        if let Some(place) = dims.iter().position(|&dim| dim == 0) {
            return Err(FileError::Empty { file: input.name().to_owned(), offset: 4 + 4 * place as u64 });
        }
        let count = dims.iter().fold(1_u64, |product, &dim| product.saturating_mul(dim as u64));
        let bytes = input.take(count)?;
        input.end()?;
        Ok(Self { header, dims, bytes })
    }

    /// Returns the number of images or labels.
    #[must_use]
    pub fn count(&self) -> usize {
        self.dims[0]
    }

    /// Returns channels, height and width of a file of images.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        match self.dims[1..] {
            [channels, height, width] => [channels, height, width],
            [height, width] => [1, height, width],
            _ => [1; 3],
        }
    }

    /// Returns the blake3 hash of the file's decompressed bytes.
    #[must_use]
    pub fn digest(&self) -> blake3::Hash {
        blake3::Hasher::new().update(&self.header).update(&self.bytes).finalize()
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, &byte| number << 8 | u32::from(byte))
}

fn hint(found: u32, kind: IdxKind) -> &'static str {
    let kinds = [IdxKind::Images, IdxKind::Labels];
    match kinds.into_iter().find(|other| *other != kind && other.magic() == found) {
        Some(IdxKind::Images) => "; this is a file of images: are the two files swapped?",
        Some(IdxKind::Labels) => "; this is a file of labels: are the two files swapped?",
        None if found >> 16 == 0 && found >> 8 != 8 => "; only unsigned bytes (type 8) are read",
        None if found >> 8 == 8 => "; the last byte is the number of dimensions",
        None => "; this is no IDX file",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::open::gzip;
    use super::*;

    fn file(magic: u32, dims: &[u32], bytes: &[u8]) -> Vec<u8> {
        let numbers = [&[magic], dims].concat();
        numbers.iter().flat_map(|number| number.to_be_bytes()).chain(bytes.iter().copied()).collect()
    }

    fn read(bytes: &[u8], kind: IdxKind) -> Result<Idx, FileError> {
        Idx::parse(&mut DatasetFile::bytes("f", bytes).unwrap(), kind)
    }

    #[test]
    fn a_file_is_read_plain_or_gzipped() {
        let plain = file(0x0803, &[2, 1, 3], b"abcdef");
        let (head, tail) = plain.split_at(9);
        for bytes in [&plain, &gzip(&plain), &[gzip(head), gzip(tail)].concat()] {
            let idx = read(bytes, IdxKind::Images).unwrap();
            assert_eq!((idx.count(), idx.shape(), &idx.bytes[..]), (2, [1, 1, 3], &b"abcdef"[..]));
            assert_eq!(idx.digest(), blake3::hash(&plain));
        }
        let colours = read(&file(0x0804, &[1, 3, 1, 2], b"abcdef"), IdxKind::Images).unwrap();
        assert_eq!((colours.count(), colours.shape()), (1, [3, 1, 2]));
        assert_eq!(read(&file(0x0801, &[2], b"\x05\x00"), IdxKind::Labels).unwrap().bytes, [5, 0]);
    }

    #[test]
    fn each_fault_has_its_error() {
        let good = file(0x0803, &[2, 1, 3], b"abcdef");
        let mut flipped = gzip(&good);
        let last = flipped.len() - 6;
        flipped[last] ^= 1;
        let cut = gzip(&good)[..20].to_vec();
        let cases: Vec<(Vec<u8>, &str)> = vec![
            (vec![], "f: byte 0: the file ends here, 4 bytes were to come"),
            (vec![0, 0, 8], "f: byte 3: the file ends here, 4 bytes were to come"),
            (
                file(0x0801, &[2], b"ab"),
                "magic number is 0x00000801, an IDX file of images begins with 0x00000803; this is a file of labels",
            ),
            (
                file(0x0d03, &[2, 1, 3], b""),
                "0x00000d03, an IDX file of images begins with 0x00000803; only unsigned bytes",
            ),
            (file(0x0805, &[2, 1, 3], b""), "the last byte is the number of dimensions"),
            (b"<!DOCTYPE html>".to_vec(), "this is no IDX file"),
            (file(0x0803, &[2, 0, 3], b""), "f: byte 8: a dimension is 0"),
            (file(0x0804, &[2, 1, 3], b""), "f: byte 16: the file ends here, 20 bytes"),
            (file(0x0803, &[2, 1], b""), "f: byte 12: the file ends here, 16 bytes"),
            (good[..20].to_vec(), "f: byte 20: the file ends here, 22 bytes"),
            ([&good[..], b"!"].concat(), "f: byte 22: the data end here by the header"),
            (gzip(&[&good[..], b"!"].concat()), "f: byte 22: the data end here by the header"),
            (gzip(&good[..20]), "f: byte 20: the file ends here, 22 bytes"),
            (file(0x0803, &[u32::MAX; 3], b""), "fewbits reads at most 4294967296"),
            (file(0x0803, &[60_000, 28, 28], b""), "f: byte 16: the file ends here, 47040016 bytes"),
            (
                gzip(&file(0x0803, &[60_000, 200, 200], b"")),
                "the header promises 2400000016 bytes, a gzip file of this size holds at most",
            ),
            (flipped, "the gzip stream is broken"),
            (cut, "the gzip stream is broken"),
        ];
        for (bytes, expected) in cases {
            let error = read(&bytes, IdxKind::Images).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}\nlacks: {expected}");
        }
    }

    #[test]
    fn a_bomb_is_stopped_by_its_header() {
        let bomb = gzip(&[file(0x0801, &[10], &[1; 10]), vec![1; 50_000_000]].concat());
        assert!(matches!(read(&bomb, IdxKind::Labels), Err(FileError::Trailing { offset: 18, .. })));
    }

    #[test]
    fn a_missing_file_and_a_folder_are_read_errors() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(DatasetFile::file(&folder.path().join("no")), Err(FileError::Read { .. })));
        assert!(matches!(DatasetFile::file(folder.path()), Err(FileError::Read { .. })));
    }

    proptest! {
        #[test]
        fn damage_never_panics_and_a_good_read_is_whole(at in 0_usize..40, byte: u8, cut in 0_usize..60, zip: bool) {
            let good = file(0x0803, &[2, 3, 4], &[9; 24]);
            let mut bytes = if zip { gzip(&good) } else { good.clone() };
            let place = at % bytes.len();
            bytes[place] = byte;
            bytes.truncate(cut.max(1));
            if let Ok(idx) = read(&bytes, IdxKind::Images) {
                prop_assert_eq!(idx.dims.iter().product::<usize>(), idx.bytes.len());
                prop_assert_eq!(idx.header.len(), 4 + 4 * idx.dims.len());
            }
        }
    }
}
