//! The sources of images, and the files of each source in the data directory.
//! Checks whether files exist; does not read them.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::cifar;
use super::error::{DatasetError, FileError};
use super::published::{CIFAR10, FASHION_MNIST, MNIST, MNIST_LICENCE, Published};

/// A source of images, cut into training images and, if there are any, test images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum DatasetSource {
    /// The first 10,000 MNIST training images, embedded: 8,000 to train, 2,000 to test.
    Mnist10k,
    /// MNIST.
    Mnist,
    /// Fashion-MNIST.
    FashionMnist,
    /// CIFAR-10.
    Cifar10,
    /// The user's own four IDX files. Paths do not enter a key: see [`DatasetSource::kind`].
    Idx {
        /// Path of the training images.
        train_images: String,
        /// Path of the training labels.
        train_labels: String,
        /// Path of the test images.
        test_images: String,
        /// Path of the test labels.
        test_labels: String,
    },
    /// The user's own `NumPy` archives.
    Npz {
        /// Path of the training images.
        train: String,
        /// Path of the test images; `None` if there are none.
        test: Option<String>,
        /// The order of the sides of images with channels.
        order: SideOrder,
    },
    /// The user's own comma-separated files.
    Csv {
        /// Path of the training rows.
        train: String,
        /// Path of the test rows; `None` if there are none.
        test: Option<String>,
        /// The column with the labels; `None` if there are none.
        label: Option<String>,
    },
}

/// The order of the sides of images with channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum SideOrder {
    /// Channels, height, width.
    #[default]
    Nchw,
    /// Height, width, channels.
    Nhwc,
}

/// The parts of a source of IDX files.
pub const IDX_FIELDS: [&str; 4] = ["train_images", "train_labels", "test_images", "test_labels"];

/// The folder inside CIFAR-10's archive.
const CIFAR_FOLDER: &str = "cifar-10-batches-bin";

impl DatasetSource {
    /// Returns the kind of the source, which stands for it in a key. Files enter a key by the digests of their content.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Mnist10k => "Mnist10k",
            Self::Mnist => "Mnist",
            Self::FashionMnist => "FashionMnist",
            Self::Cifar10 => "Cifar10",
            Self::Idx { .. } => "Idx",
            Self::Npz { .. } => "Npz",
            Self::Csv { .. } => "Csv",
        }
    }

    /// Returns the name on the command line, which is also the folder in the data directory.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Mnist10k => "mnist-10k",
            Self::Idx { .. } => "idx",
            Self::Npz { .. } => "npz",
            Self::Csv { .. } => "csv",
            Self::Mnist | Self::FashionMnist | Self::Cifar10 => self.published().map_or("", |p| p.name),
        }
    }

    /// Returns the licence of the images.
    #[must_use]
    pub fn licence(&self) -> &'static str {
        match self {
            Self::Mnist10k => MNIST_LICENCE,
            Self::Idx { .. } | Self::Npz { .. } | Self::Csv { .. } => "your own files",
            Self::Mnist | Self::FashionMnist | Self::Cifar10 => self.published().map_or("", |p| p.licence),
        }
    }

    /// Returns channels, height and width; `None` for a source whose files determine them.
    #[must_use]
    pub fn shape(&self) -> Option<[usize; 3]> {
        match self {
            Self::Mnist10k | Self::Mnist | Self::FashionMnist => Some([1, 28, 28]),
            Self::Cifar10 => Some([3, 32, 32]),
            Self::Idx { .. } | Self::Npz { .. } | Self::Csv { .. } => None,
        }
    }

    /// Returns the names of the classes, if the publisher gives some; the labels in the files are numbers.
    #[must_use]
    pub fn class_names(&self) -> Option<[&'static str; 10]> {
        match self {
            Self::FashionMnist => Some([
                "T-shirt/top",
                "Trouser",
                "Pullover",
                "Dress",
                "Coat",
                "Sandal",
                "Shirt",
                "Sneaker",
                "Bag",
                "Ankle boot",
            ]),
            Self::Cifar10 => Some([
                "airplane",
                "automobile",
                "bird",
                "cat",
                "deer",
                "dog",
                "frog",
                "horse",
                "ship",
                "truck",
            ]),
            Self::Mnist10k | Self::Mnist | Self::Idx { .. } | Self::Npz { .. } | Self::Csv { .. } => None,
        }
    }

    /// Returns the number of classes; `None` for a source whose files determine it.
    #[must_use]
    pub fn classes(&self) -> Option<usize> {
        match self {
            Self::Mnist10k | Self::Mnist | Self::FashionMnist | Self::Cifar10 => Some(10),
            Self::Idx { .. } | Self::Npz { .. } | Self::Csv { .. } => None,
        }
    }

    /// Returns the numbers of training and test images; `None` for a source whose files determine them.
    #[must_use]
    pub fn counts(&self) -> Option<[usize; 2]> {
        match self {
            Self::Mnist10k => Some([8_000, 2_000]),
            Self::Mnist | Self::FashionMnist => Some([60_000, 10_000]),
            Self::Cifar10 => Some([50_000, 10_000]),
            Self::Idx { .. } | Self::Npz { .. } | Self::Csv { .. } => None,
        }
    }

    /// Returns whether the pixels are bytes; `None` for a source whose files determine it.
    #[must_use]
    pub fn are_bytes(&self) -> Option<bool> {
        match self {
            Self::Mnist10k | Self::Mnist | Self::FashionMnist | Self::Cifar10 | Self::Idx { .. } => {
                Some(true)
            }
            Self::Npz { .. } => None,
            Self::Csv { .. } => Some(false),
        }
    }

    /// Returns whether there are test images.
    #[must_use]
    pub fn has_test(&self) -> bool {
        !matches!(self, Self::Npz { test: None, .. } | Self::Csv { test: None, .. })
    }

    /// Returns the user's own files, by the fields that name them; `None` for the other sources.
    fn own_files(&self) -> Option<Vec<(&'static str, &String)>> {
        match self {
            Self::Mnist10k | Self::Mnist | Self::FashionMnist | Self::Cifar10 => None,
            Self::Idx { train_images, train_labels, test_images, test_labels } => Some(
                IDX_FIELDS.into_iter().zip([train_images, train_labels, test_images, test_labels]).collect(),
            ),
            Self::Npz { train, test, .. } | Self::Csv { train, test, .. } => {
                Some([("train", train)].into_iter().chain(test.iter().map(|test| ("test", test))).collect())
            }
        }
    }

    /// Returns the files with their contents: `train_images`, …; for CIFAR-10 `archive`, or the six batches.
    /// Own paths are relative to `base_dir`, the experiment file's folder. A missing file is an error.
    pub fn files(
        &self,
        data_dir: &Path,
        base_dir: &Path,
    ) -> Result<Vec<(&'static str, PathBuf)>, DatasetError> {
        match self {
            Self::Mnist10k => Ok(Vec::new()),
            Self::Mnist => idx_files(&MNIST, data_dir),
            Self::FashionMnist => idx_files(&FASHION_MNIST, data_dir),
            Self::Cifar10 => cifar_files(data_dir),
            Self::Idx { .. } | Self::Npz { .. } | Self::Csv { .. } => {
                let own = self.own_files().unwrap_or_default().into_iter();
                own.map(|(part, path)| own_file(part, &base_dir.join(path))).collect()
            }
        }
    }

    /// Returns the first paths searched for the files, whether the files exist or not.
    #[must_use]
    pub fn expected_files(&self, data_dir: &Path, base_dir: &Path) -> Vec<(&'static str, PathBuf)> {
        let published = |of: &Published, parts: &[&'static str]| {
            let path = |file: &str| data_dir.join(of.name).join(file);
            parts.iter().copied().zip(of.files.iter().map(|file| path(file.name))).collect()
        };
        match self {
            Self::Mnist10k => Vec::new(),
            Self::Mnist => published(&MNIST, &IDX_FIELDS),
            Self::FashionMnist => published(&FASHION_MNIST, &IDX_FIELDS),
            Self::Cifar10 => published(&CIFAR10, &["archive"]),
            Self::Idx { .. } | Self::Npz { .. } | Self::Csv { .. } => {
                let own = self.own_files().unwrap_or_default().into_iter();
                own.map(|(part, path)| (part, base_dir.join(path))).collect()
            }
        }
    }

    /// Returns the facts of a published source.
    #[must_use]
    pub fn published(&self) -> Option<&'static Published> {
        match self {
            Self::Mnist10k | Self::Idx { .. } | Self::Npz { .. } | Self::Csv { .. } => None,
            Self::Mnist => Some(&MNIST),
            Self::FashionMnist => Some(&FASHION_MNIST),
            Self::Cifar10 => Some(&CIFAR10),
        }
    }
}

fn own_file(part: &'static str, path: &Path) -> Result<(&'static str, PathBuf), DatasetError> {
    if exists(path)? {
        return Ok((part, path.to_owned()));
    }
    Err(DatasetError::MissingOwn { part, path: path.to_owned() })
}

fn idx_files(of: &Published, data_dir: &Path) -> Result<Vec<(&'static str, PathBuf)>, DatasetError> {
    let find = |(part, file): (&'static str, &str)| {
        let plain = file.trim_end_matches(".gz");
        for name in [file, plain] {
            let path = data_dir.join(of.name).join(name);
            if exists(&path)? {
                return Ok((part, path));
            }
        }
        Err(missing(of, format!("{}/{file} (or without .gz)", of.name), data_dir))
    };
    IDX_FIELDS.into_iter().zip(of.files.iter().map(|file| file.name)).map(find).collect()
}

fn cifar_files(data_dir: &Path) -> Result<Vec<(&'static str, PathBuf)>, DatasetError> {
    let home = data_dir.join(CIFAR10.name);
    let archive = CIFAR10.files[0].name;
    for name in [archive, archive.trim_end_matches(".gz")] {
        let path = home.join(name);
        if exists(&path)? {
            return Ok(vec![("archive", path)]);
        }
    }
    let folder = home.join(CIFAR_FOLDER);
    if !exists(&folder)? {
        let wanted = format!("{}/{archive} (or the .tar, or {CIFAR_FOLDER}/)", CIFAR10.name);
        return Err(missing(&CIFAR10, wanted, data_dir));
    }
    let find = |batch: &'static str| {
        let path = folder.join(batch);
        if exists(&path)? {
            return Ok((batch.trim_end_matches(".bin"), path));
        }
        Err(missing(&CIFAR10, format!("{}/{CIFAR_FOLDER}/{batch}", CIFAR10.name), data_dir))
    };
    cifar::BATCHES.into_iter().map(find).collect()
}

fn missing(of: &Published, wanted: String, data_dir: &Path) -> DatasetError {
    DatasetError::Missing { dataset: of.title, name: of.name, wanted, folder: data_dir.to_owned() }
}

fn exists(path: &Path) -> Result<bool, FileError> {
    path.try_exists().map_err(|source| FileError::Read {
        file: path.display().to_string(),
        offset: 0,
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn place(root: &Path, files: &[&str]) {
        for file in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"").unwrap();
        }
    }

    fn names(source: &DatasetSource, root: &Path) -> Result<Vec<(&'static str, String)>, String> {
        let files = source.files(root, root).map_err(|error| error.to_string())?;
        let name = |path: &Path| path.strip_prefix(root).unwrap().display().to_string();
        Ok(files.iter().map(|(part, path)| (*part, name(path))).collect())
    }

    #[test]
    fn published_files_are_found_plain_or_gzipped() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let error = names(&DatasetSource::FashionMnist, root).unwrap_err();
        let start = "Fashion-MNIST: fashion-mnist/train-images-idx3-ubyte.gz (or without .gz) is not in ";
        assert!(error.starts_with(start), "{error}");
        assert!(error.contains("`fewbits data fetch fashion-mnist`"), "{error}");
        place(root, &["mnist/train-images-idx3-ubyte", "mnist/train-labels-idx1-ubyte.gz"]);
        assert!(names(&DatasetSource::Mnist, root).unwrap_err().contains("mnist/t10k-images-idx3-ubyte.gz"));
        place(root, &["mnist/t10k-images-idx3-ubyte.gz", "mnist/t10k-labels-idx1-ubyte"]);
        let found = names(&DatasetSource::Mnist, root).unwrap();
        assert_eq!(found[0], ("train_images", "mnist/train-images-idx3-ubyte".to_owned()));
        assert_eq!(found[2], ("test_images", "mnist/t10k-images-idx3-ubyte.gz".to_owned()));
    }

    #[test]
    fn cifar_is_found_in_each_form() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        assert!(names(&DatasetSource::Cifar10, root).unwrap_err().contains("cifar10/cifar-10-binary.tar.gz"));
        place(root, &["cifar10/cifar-10-batches-bin/data_batch_1.bin"]);
        assert!(names(&DatasetSource::Cifar10, root).unwrap_err().contains("bin/data_batch_2.bin is not in"));
        let batches = cifar::BATCHES.map(|batch| format!("cifar10/cifar-10-batches-bin/{batch}"));
        place(root, &batches.each_ref().map(String::as_str));
        let found = names(&DatasetSource::Cifar10, root).unwrap();
        assert_eq!(found[5], ("test_batch", batches[5].clone()));
        place(root, &["cifar10/cifar-10-binary.tar"]);
        let found = names(&DatasetSource::Cifar10, root).unwrap();
        assert_eq!(found, [("archive", "cifar10/cifar-10-binary.tar".to_owned())]);
    }

    #[test]
    fn own_paths_begin_at_the_base_and_never_enter_a_key() {
        let source = DatasetSource::Idx {
            train_images: "a".to_owned(),
            train_labels: "b".to_owned(),
            test_images: "sub/c".to_owned(),
            test_labels: "d".to_owned(),
        };
        let root = tempfile::tempdir().unwrap();
        place(root.path(), &["a", "b", "sub/c"]);
        let error = source.files(Path::new("/nowhere"), root.path()).unwrap_err();
        assert!(matches!(error, DatasetError::MissingOwn { part: "test_labels", .. }));
        place(root.path(), &["d"]);
        assert_eq!(names(&source, root.path()).unwrap()[2], ("test_images", "sub/c".to_owned()));
        assert_eq!(source.kind(), "Idx");
    }
}
