//! Errors of datasets and their files.
//! Knows the messages, not the reading.

use std::io;
use std::path::PathBuf;

use super::normalize::NormalizeError;
use super::split::SplitError;

/// An error in one file. Offsets count decompressed bytes.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file cannot be opened or read.
    #[error("{file}: byte {offset}: cannot be read: {source}")]
    Read {
        /// The file.
        file: String,
        /// The offset that reading reached.
        offset: u64,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The gzip stream is cut off or damaged.
    #[error(
        "{file}: byte {offset} of the decompressed file: the gzip stream is broken: {source}; get the file again"
    )]
    Gzip {
        /// The file.
        file: String,
        /// The number of decompressed bytes before the damage.
        offset: u64,
        /// The decoder's error.
        #[source]
        source: io::Error,
    },
    /// The first four bytes are not the magic number of the expected kind of IDX file.
    #[error(
        "{file}: byte 0: the magic number is 0x{found:08x}, an IDX file of {wanted} begins with 0x{expected:08x}{hint}"
    )]
    Magic {
        /// The file.
        file: String,
        /// The number found.
        found: u32,
        /// The number expected.
        expected: u32,
        /// "images" or "labels".
        wanted: &'static str,
        /// A guess at the file's actual kind, beginning with "; ", or empty.
        hint: &'static str,
    },
    /// A dimension is zero.
    #[error("{file}: byte {offset}: a dimension is 0; the file holds nothing")]
    Empty {
        /// The file.
        file: String,
        /// Where the dimension stands.
        offset: u64,
    },
    /// The header or the archive asks for more bytes than the read limit.
    #[error("{file}: {needed} bytes or more; fewbits reads at most {limit} from one file")]
    TooLarge {
        /// The file.
        file: String,
        /// The bytes asked for.
        needed: u64,
        /// The read limit.
        limit: u64,
    },
    /// The header promises more than a compressed file of this size can hold.
    #[error(
        "{file}: the header promises {needed} bytes, a gzip file of this size holds at most {bound}; get the file again"
    )]
    Implausible {
        /// The file.
        file: String,
        /// The bytes promised.
        needed: u64,
        /// The most the file can hold.
        bound: u64,
    },
    /// The file ends too early.
    #[error("{file}: byte {offset}: the file ends here, {needed} bytes were to come; get the file again")]
    Short {
        /// The file.
        file: String,
        /// The offset of the end.
        offset: u64,
        /// The expected length.
        needed: u64,
    },
    /// The file has bytes after its expected end.
    #[error(
        "{file}: byte {offset}: the data end here by the header, and more bytes follow; get the file again"
    )]
    Trailing {
        /// The file.
        file: String,
        /// The offset of the expected end.
        offset: u64,
    },
    /// A published file does not have its published number of images or labels.
    #[error(
        "{file}: byte 4: {found} {wanted}, {dataset} has {expected} here; for files of your own use source: Idx(…)"
    )]
    Count {
        /// The file.
        file: String,
        /// The dataset it should belong to.
        dataset: &'static str,
        /// "images" or "labels".
        wanted: &'static str,
        /// The number found.
        found: usize,
        /// The published number.
        expected: usize,
    },
    /// The images do not have the published size.
    #[error(
        "{file}: byte 8: images of {found} pixels, {dataset} has {expected}; for files of your own use source: Idx(…)"
    )]
    Shape {
        /// The file.
        file: String,
        /// The dataset it should belong to.
        dataset: &'static str,
        /// Height × width found.
        found: String,
        /// Height × width published.
        expected: String,
    },
    /// A file of images and its file of labels have different counts.
    #[error(
        "{images}: byte 4: {image_count} images, but {labels} has {label_count} labels; do the two belong together?"
    )]
    Unpaired {
        /// The file of images.
        images: String,
        /// The file of labels.
        labels: String,
        /// The number of images.
        image_count: usize,
        /// The number of labels.
        label_count: usize,
    },
    /// Test images differ in size from training images.
    #[error("{file}: byte 8: images of {found} pixels, the training images have {expected}")]
    Mixed {
        /// The file of test images.
        file: String,
        /// Height × width of the test images.
        found: String,
        /// Height × width of the training images.
        expected: String,
    },
    /// A label is not a class.
    #[error("{file}: byte {offset}: label {label}, the classes are 0 to {}; get the file again", classes - 1)]
    Label {
        /// The file.
        file: String,
        /// The offset of the label.
        offset: u64,
        /// The label.
        label: u8,
        /// The number of classes.
        classes: usize,
    },
    /// The content of a file of one's own is wrong.
    #[error("{file}: {what}")]
    Content {
        /// The file.
        file: String,
        /// What is wrong, beginning with its place.
        what: String,
    },
    /// A class below the largest label has no training image.
    #[error(
        "{file}: byte {offset}: image {image} has label {label}, the largest there, but no training image has label {missing}; correct the labels: classes are numbered from 0 without gaps"
    )]
    Gap {
        /// The file of labels.
        file: String,
        /// The offset of the first occurrence of the largest label.
        offset: u64,
        /// The image with that label, counted from 0.
        image: usize,
        /// The largest label.
        label: u8,
        /// The least class without a training image.
        missing: usize,
    },
    /// The file holds the content of another dataset.
    #[error(
        "{file}: {found}; move it away and run `fewbits data fetch {name}`, or use source: Idx(…) for files of your own"
    )]
    Impostor {
        /// The file.
        file: String,
        /// The actual content, as a sentence.
        found: &'static str,
        /// The dataset's name on the command line.
        name: &'static str,
    },
    /// A batch of CIFAR-10 does not hold whole records, or not the published number.
    #[error(
        "{file}: {found} bytes, a batch has {expected} ({records} records of 3073 bytes); get the archive again"
    )]
    Batch {
        /// The file, or the archive and the entry in it.
        file: String,
        /// Its bytes.
        found: u64,
        /// The bytes it should have.
        expected: u64,
        /// The records it should have.
        records: usize,
    },
    /// The archive's structure is broken.
    #[error(
        "{file}: byte {offset} of the decompressed archive: not a readable tar archive: {source}; get the archive again"
    )]
    Tar {
        /// The archive.
        file: String,
        /// The offset that reading reached.
        offset: u64,
        /// The reader's error.
        #[source]
        source: io::Error,
    },
    /// An entry of the archive is missing, duplicated, or not a plain file.
    #[error("{file}: {entry}: {fault}; get the archive again")]
    Entry {
        /// The archive.
        file: String,
        /// The entry.
        entry: String,
        /// The problem of the entry.
        fault: &'static str,
    },
}

/// An error in loading a dataset.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// A file of a published dataset is not in the data directory.
    #[error("{dataset}: {wanted} is not in {}; run `fewbits data fetch {name}`, or say with --data-dir or FEWBITS_DATA_DIR where the data are", folder.display())]
    Missing {
        /// The common name of the dataset.
        dataset: &'static str,
        /// The dataset's name on the command line.
        name: &'static str,
        /// The expected file, with its other forms.
        wanted: String,
        /// The data directory searched.
        folder: PathBuf,
    },
    /// One of the user's own files is missing.
    #[error("{part}: {} is not there; a path is taken from the experiment file's folder", path.display())]
    MissingOwn {
        /// The field that names it: `train_images`, …
        part: &'static str,
        /// The expected file.
        path: PathBuf,
    },
    /// A file is invalid.
    #[error(transparent)]
    File(#[from] FileError),
    /// Test images are asked for, and the source has none.
    #[error("there are no test images to choose from: the source has no `test`")]
    NoTest,
    /// The names of classes cannot be used.
    #[error("classes: {0}")]
    Classes(String),
    /// The image counts cannot be met.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// The normalization does not fit the images.
    #[error(transparent)]
    Normalize(#[from] NormalizeError),
}

impl DatasetError {
    /// Returns the field of the dataset that the error is about; `None` for errors of files.
    #[must_use]
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::Missing { .. } | Self::MissingOwn { .. } | Self::File(_) => None,
            Self::NoTest => Some("source"),
            Self::Classes(_) => Some("classes"),
            Self::Normalize(_) => Some("normalize"),
            Self::Split(SplitError::NothingLeft { .. }) => Some("validation"),
            Self::Split(SplitError::TooMany { part, .. } | SplitError::Zero { part }) => Some(part),
        }
    }
}
