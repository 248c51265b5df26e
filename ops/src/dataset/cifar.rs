//! The binary version of CIFAR-10: six batches of 10,000 records, each a label byte and 3,072 bytes of
//! red, green and blue planes (Krizhevsky 2009). Read from the archive without unpacking it, or from its folder.
//! Knows nothing of the search for the files.

use std::path::PathBuf;

use tar::{Archive, Entry, EntryType};

use super::error::FileError;
use super::images::{Images, Labels, Pixels};
use super::open::DatasetFile;

/// Images in a published batch.
pub const RECORDS: usize = 10_000;
/// The files of the published archive, training batches first.
pub const BATCHES: [&str; 6] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
    "test_batch.bin",
];
const SHAPE: [usize; 3] = [3, 32, 32];
const PIXELS: usize = 3 * 32 * 32;
const CLASSES: usize = 10;
/// The read limit: more than the published archive unpacked (184,380,060 bytes and headers), less than a gzip bomb.
const ARCHIVE_LIMIT: u64 = 1 << 28;

/// Reads an archive, plain or gzipped, into training and test images.
pub fn archive(input: DatasetFile) -> Result<[Images; 2], FileError> {
    read_archive(input, RECORDS)
}

/// Reads the six batch files, in the order of `BATCHES`, into training and test images.
pub fn folder(paths: &[PathBuf]) -> Result<[Images; 2], FileError> {
    read_folder(paths, RECORDS)
}

fn read_folder(paths: &[PathBuf], records: usize) -> Result<[Images; 2], FileError> {
    let mut batches = CifarImages::new(records);
    for (batch, path) in paths.iter().enumerate() {
        let mut input = DatasetFile::file(path)?;
        let name = input.name().to_owned();
        if let Some(length) = input.plain_length() {
            batches.check_length(&name, length)?;
        }
        batches.read_archive(batch, &name, |out| input.fill(out))?;
        input.end()?;
    }
    Ok(batches.images)
}

fn read_archive(input: DatasetFile, records: usize) -> Result<[Images; 2], FileError> {
    let file = input.name().to_owned();
    let mut archive = Archive::new(input.within(ARCHIVE_LIMIT));
    let mut batches = CifarImages::new(records);
    let mut seen = [false; 6];
    if let Err(fault) = each_batch(&mut archive, &file, &mut seen, &mut batches) {
        return Err(match fault {
            CifarFault::File(error) => error,
            CifarFault::Reader(source) => archive.into_inner().fault(source),
        });
    }
    if let Some(batch) = seen.iter().position(|seen| !seen) {
        return Err(FileError::Entry { file, entry: BATCHES[batch].to_owned(), fault: "not in the archive" });
    }
    archive.into_inner().drain()?;
    Ok(batches.images)
}

/// An error that already names its file, or a reader's error that only the input can convert.
enum CifarFault {
    File(FileError),
    Reader(std::io::Error),
}

impl From<FileError> for CifarFault {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl From<std::io::Error> for CifarFault {
    fn from(error: std::io::Error) -> Self {
        Self::Reader(error)
    }
}

fn each_batch(
    archive: &mut Archive<DatasetFile>,
    file: &str,
    seen: &mut [bool; 6],
    batches: &mut CifarImages,
) -> Result<(), CifarFault> {
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        let Some(batch) = batch_of(&entry) else { continue };
        let twice = std::mem::replace(&mut seen[batch], true);
        let plain = matches!(entry.header().entry_type(), EntryType::Regular | EntryType::Continuous);
        if twice || !plain {
            let fault = if twice { "there twice" } else { "not a plain file" };
            let entry = BATCHES[batch].to_owned();
            return Err(FileError::Entry { file: file.to_owned(), entry, fault }.into());
        }
        let name = format!("{file}: {}", BATCHES[batch]);
        batches.check_length(&name, entry.size())?;
        batches.read_archive(batch, &name, |out| {
            std::io::Read::read_exact(&mut entry, out).map_err(CifarFault::from)
        })?;
    }
    Ok(())
}

/// Returns the batch of an entry by the last part of its name; the folder is ignored.
fn batch_of(entry: &Entry<DatasetFile>) -> Option<usize> {
    let path = entry.path_bytes();
    let name = path.rsplit(|&byte| byte == b'/').next()?;
    BATCHES.iter().position(|batch| batch.as_bytes() == name)
}

/// The images of all batches, filled in any order.
struct CifarImages {
    records: usize,
    images: [Images; 2],
}

impl CifarImages {
    fn new(records: usize) -> Self {
        let images = [5 * records, records].map(|count| Images {
            shape: SHAPE,
            pixels: Pixels::Bytes { bytes: vec![0; count * PIXELS], values: vec![] },
            labels: Some(Labels::numbered(CLASSES, vec![0; count])),
        });
        Self { records, images }
    }

    fn check_length(&self, name: &str, found: u64) -> Result<(), FileError> {
        let expected = (self.records * (1 + PIXELS)) as u64;
        if found == expected {
            return Ok(());
        }
        Err(FileError::Batch { file: name.to_owned(), found, expected, records: self.records })
    }

    fn read_archive<E: From<FileError>>(
        &mut self,
        batch: usize,
        name: &str,
        mut fill: impl FnMut(&mut [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let (part, first) = if batch < 5 { (0, batch * self.records) } else { (1, 0) };
        let Images { pixels: Pixels::Bytes { bytes, .. }, labels: Some(labels), .. } = &mut self.images[part]
        else {
            return Ok(());
        };
        let pixels = bytes[first * PIXELS..].chunks_exact_mut(PIXELS);
        for (index, (pixels, label)) in
            pixels.zip(&mut labels.numbers[first..]).take(self.records).enumerate()
        {
            fill(std::slice::from_mut(label))?;
            if usize::from(*label) >= CLASSES {
                let (offset, label) = ((index * (1 + PIXELS)) as u64, *label);
                return Err(
                    FileError::Label { file: name.to_owned(), offset, label, classes: CLASSES }.into()
                );
            }
            fill(pixels)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::open::gzip;
    use super::*;

    const RECORD: usize = 1 + PIXELS;

    /// Two records per batch: label = batch, all pixels = 10 × batch + record.
    fn batch(batch: usize) -> Vec<u8> {
        let record = |index| [vec![batch as u8], vec![(10 * batch + index) as u8; PIXELS]].concat();
        [record(0), record(1)].concat()
    }

    fn pack(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, bytes) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            builder.append_data(&mut header, name, &bytes[..]).unwrap();
        }
        builder.into_inner().unwrap()
    }

    type Named = (&'static str, Vec<u8>);

    fn entries() -> Vec<Named> {
        let mut entries: Vec<_> = BATCHES.iter().enumerate().map(|(i, name)| (*name, batch(i))).collect();
        entries.swap(0, 3);
        entries.push(("cifar-10-batches-bin/batches.meta.txt", b"airplane\n".to_vec()));
        entries
    }

    fn read(bytes: &[u8]) -> Result<[Images; 2], FileError> {
        read_archive(DatasetFile::bytes("a.tar.gz", bytes).unwrap(), 2)
    }

    fn check_images([train, test]: &[Images; 2]) {
        assert_eq!(train.classes(), [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
        assert_eq!((test.classes(), test.image(1)), (&[5, 5][..], &[51; PIXELS][..]));
        assert_eq!((train.image(0), train.image(7)), (&[0; PIXELS][..], &[31; PIXELS][..]));
    }

    #[test]
    fn batches_are_found_by_name_in_any_order() {
        check_images(&read(&pack(&entries())).unwrap());
        check_images(&read(&gzip(&pack(&entries()))).unwrap());
    }

    #[test]
    fn an_unpacked_folder_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let paths = BATCHES.map(|batch| folder.path().join(batch));
        for (i, path) in paths.iter().enumerate() {
            std::fs::write(path, if i == 2 { gzip(&batch(i)) } else { batch(i) }).unwrap();
        }
        check_images(&read_folder(&paths, 2).unwrap());
        std::fs::write(&paths[4], &batch(4)[1..]).unwrap();
        let error = read_folder(&paths, 2).unwrap_err();
        assert!(matches!(error, FileError::Batch { found: 6145, expected: 6146, .. }), "{error}");
        std::fs::write(&paths[4], gzip(&[batch(4), vec![0]].concat())).unwrap();
        assert!(matches!(read_folder(&paths, 2), Err(FileError::Trailing { offset: 6146, .. })));
    }

    fn check(bytes: &[u8], expected: &str) {
        let error = read(bytes).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}\nlacks: {expected}");
    }

    #[test]
    fn each_fault_of_a_batch_has_its_error() {
        let with = |change: &dyn Fn(&mut Vec<Named>), expected| {
            let mut entries = entries();
            change(&mut entries);
            check(&pack(&entries), expected);
        };
        with(&|e| drop(e.remove(2)), "a.tar.gz: data_batch_3.bin: not in the archive");
        with(&|e| e.push(("x/test_batch.bin", batch(5))), "test_batch.bin: there twice");
        with(&|e| e[1].1.truncate(RECORD), "data_batch_2.bin: 3073 bytes, a batch has 6146");
        with(
            &|e| e[1].1[RECORD] = 10,
            "a.tar.gz: data_batch_2.bin: byte 3073: label 10, the classes are 0 to 9",
        );
    }

    #[test]
    fn each_fault_of_an_archive_has_its_error() {
        let whole = pack(&entries());
        let with = |place: usize, bytes: &[u8], summed: bool| {
            let mut changed = whole.clone();
            changed[place..place + bytes.len()].copy_from_slice(bytes);
            if summed {
                tar_checksum(&mut changed);
            }
            changed
        };
        check(&with(156, b"2", true), "data_batch_4.bin: not a plain file");
        check(&with(0, b"x", false), "not a readable tar archive");
        let huge = with(124, b"\x80\0\0\0\0\0\0\xff\0\0\0\0", true);
        check(&huge, "data_batch_4.bin: 1095216660480 bytes");
        check(&whole[..9000], "byte 9000 of the decompressed archive: not a readable tar archive");
        check(&gzip(&whole)[..500], "the gzip stream is broken");
        check(b"", "data_batch_1.bin: not in the archive");
        check(b"no archive at all", "not a readable tar archive");
    }

    #[test]
    fn a_bomb_is_stopped_by_the_limit() {
        let bomb = gzip(&[pack(&entries()), vec![0; 2_000_000]].concat());
        let input = DatasetFile::bytes("a.tar.gz", &bomb).unwrap().within(1_000_000);
        assert!(matches!(read_archive(input, 2), Err(FileError::TooLarge { limit: 1_000_000, .. })));
        let huge_entry = gzip(&pack(&[("other", vec![0; 2_000_000])]));
        let input = DatasetFile::bytes("a.tar.gz", &huge_entry).unwrap().within(1_000_000);
        assert!(matches!(read_archive(input, 2), Err(FileError::TooLarge { limit: 1_000_000, .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn damage_never_panics(places in prop::collection::vec((0_usize..10_000, any::<u8>()), 1..4), cut in 0_usize..60_000) {
            let mut bytes = pack(&entries());
            for (place, byte) in places {
                bytes[place] = byte;
            }
            bytes.truncate(cut.max(1));
            if let Ok([train, test]) = read(&bytes) {
                prop_assert!(train.classes().iter().chain(test.classes()).all(|&label| label < 10));
            }
        }
    }

    /// Writes the sum of the first header's bytes into it, as the format asks.
    fn tar_checksum(bytes: &mut [u8]) {
        bytes[148..156].fill(b' ');
        let sum: u32 = bytes[..512].iter().map(|&byte| u32::from(byte)).sum();
        bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}
