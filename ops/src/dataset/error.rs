//! What can be wrong with a dataset and its files.
//! Knows the words for it, not the reading.

use std::io;
use std::path::PathBuf;

use super::normalize::NormalizeError;
use super::split::SplitError;

/// What is wrong with one file. Offsets count decompressed bytes.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file cannot be opened or read.
    #[error("{file}: byte {offset}: cannot be read: {source}")]
    Read {
        /// The file.
        file: String,
        /// How far reading came.
        offset: u64,
        /// What the system said.
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
        /// How many decompressed bytes were good.
        offset: u64,
        /// What the decoder said.
        #[source]
        source: io::Error,
    },
    /// The first four bytes are not those of the kind of IDX file wanted.
    #[error(
        "{file}: byte 0: the magic number is 0x{found:08x}, an IDX file of {wanted} begins with 0x{expected:08x}{hint}"
    )]
    Magic {
        /// The file.
        file: String,
        /// The number found.
        found: u32,
        /// The number wanted.
        expected: u32,
        /// "images" or "labels".
        wanted: &'static str,
        /// What it seems to be instead, beginning with "; ", or nothing.
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
    /// The header or the archive asks for more than is ever read.
    #[error("{file}: {needed} bytes or more; fewbits reads at most {limit} from one file")]
    TooLarge {
        /// The file.
        file: String,
        /// The bytes asked for.
        needed: u64,
        /// The most that is read.
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
    /// The file ends before it should.
    #[error("{file}: byte {offset}: the file ends here, {needed} bytes were to come; get the file again")]
    Short {
        /// The file.
        file: String,
        /// Where it ends.
        offset: u64,
        /// The full length it should have.
        needed: u64,
    },
    /// There is more after the end.
    #[error(
        "{file}: byte {offset}: the data end here by the header, and more bytes follow; get the file again"
    )]
    Trailing {
        /// The file.
        file: String,
        /// Where it should end.
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
    /// A file of images and its file of labels disagree.
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
        /// Where the label stands.
        offset: u64,
        /// The label.
        label: u8,
        /// The number of classes.
        classes: usize,
    },
    /// No image to train on is of a class below the largest label.
    #[error(
        "{file}: byte {offset}: image {image} has label {label}, the largest there, but no training image has label {missing}; correct the labels: classes are numbered from 0 without gaps"
    )]
    Gap {
        /// The file of labels.
        file: String,
        /// Where the largest label first stands.
        offset: u64,
        /// The image that has it, counted from 0.
        image: usize,
        /// The largest label.
        label: u8,
        /// The least class without a training image.
        missing: usize,
    },
    /// The content is not that of the dataset whose place the file has.
    #[error(
        "{file}: {found}; move it away and run `fewbits data fetch {name}`, or use source: Idx(…) for files of your own"
    )]
    Impostor {
        /// The file.
        file: String,
        /// What it is instead, as a sentence.
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
        /// How far reading came.
        offset: u64,
        /// What the reader said.
        #[source]
        source: io::Error,
    },
    /// An entry of the archive is missing, there twice, or no plain file.
    #[error("{file}: {entry}: {fault}; get the archive again")]
    Entry {
        /// The archive.
        file: String,
        /// The entry.
        entry: String,
        /// What is wrong with it.
        fault: &'static str,
    },
}

/// Why a dataset could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// A file of a published dataset is not in the data directory.
    #[error("{dataset}: {wanted} is not in {}; run `fewbits data fetch {name}`, or say with --data-dir or FEWBITS_DATA_DIR where the data are", folder.display())]
    Missing {
        /// The dataset as people call it.
        dataset: &'static str,
        /// The dataset's name on the command line.
        name: &'static str,
        /// The file looked for, with its other forms.
        wanted: String,
        /// Where it was looked for: the data directory.
        folder: PathBuf,
    },
    /// A file of one's own is not there.
    #[error("{part}: {} is not there; a path is taken from the experiment file's folder", path.display())]
    MissingOwn {
        /// The field that names it: `train_images`, …
        part: &'static str,
        /// The file looked for.
        path: PathBuf,
    },
    /// A file is there but not good.
    #[error(transparent)]
    File(#[from] FileError),
    /// The counts cannot be met.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// The normalization does not fit the images.
    #[error(transparent)]
    Normalize(#[from] NormalizeError),
}
