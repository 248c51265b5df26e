//! Datasets: images from a source, with or without labels, split and normalized.
//! Knows nothing of keys, tasks or networks; callers pass every path.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use crate::limits::DATA_FILE;
use crate::range::InputRange;

use images::Images;
use normalize::Normalize;
use source::DatasetSource;
use split::{Count, SplitSpec, ValidationFrom};

pub mod cifar;
pub mod csv;
mod download;
mod error;
pub mod fetch;
mod file_images;
pub mod idx;
pub mod images;
mod labels;
pub mod mnist10k;
pub mod normalize;
pub mod npz;
pub mod open;
pub mod published;
mod read;
pub mod source;
pub mod split;
pub(crate) mod survey;

pub use error::{DatasetError, FileError};

/// The configuration of a dataset: source, split and normalization.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DatasetConfig {
    /// The source of the images.
    pub source: DatasetSource,
    /// Training images, out of those left after validation.
    pub train: Count,
    /// Test images.
    pub test: Count,
    /// Validation images, taken first.
    pub validation: usize,
    /// The images that they are taken from.
    pub validation_from: ValidationFrom,
    /// The seed of the choice.
    pub seed: u64,
    /// The number that each stored pixel stands for.
    pub normalize: Normalize,
    /// The names of the classes; `None` for the labels as they are written.
    pub classes: Option<Vec<String>>,
}

/// The three parts of a dataset.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Images to train on.
    pub train: Arc<Images>,
    /// Images for choices such as a format; can be empty.
    pub validation: Arc<Images>,
    /// Images to report on.
    pub test: Arc<Images>,
}

impl DatasetConfig {
    /// Makes the configuration of a whole source: all images, no validation, bytes as 0 to 1 and numbers as they are.
    #[must_use]
    pub fn new(source: DatasetSource) -> Self {
        Self {
            source,
            train: Count::All,
            test: Count::All,
            validation: 0,
            validation_from: ValidationFrom::Train,
            seed: 0,
            normalize: Normalize::Default,
            classes: None,
        }
    }

    /// Checks the configuration without reading files.
    pub fn check(&self) -> Result<(), DatasetError> {
        let channels = self.source.shape().map(|[channels, ..]| channels);
        self.normalize.check(self.source.are_bytes(), channels)?;
        if let Some(counts) = self.source.counts() {
            self.wanted().check(counts)?;
        }
        if !self.source.has_test()
            && (self.test != Count::All || self.validation_from == ValidationFrom::Test)
        {
            return Err(DatasetError::NoTest);
        }
        self.check_classes()
    }

    /// Returns the range of the numbers that the images give; `None` if it is not known without the files.
    #[must_use]
    pub(crate) fn range(&self) -> Option<InputRange> {
        let are_bytes = match self.normalize {
            Normalize::UnitRange | Normalize::Bytes => true,
            Normalize::Default | Normalize::None | Normalize::Standard { .. } => self.source.are_bytes()?,
        };
        if are_bytes { self.normalize.resolved(true).range_of_bytes() } else { None }
    }

    fn check_classes(&self) -> Result<(), DatasetError> {
        let Some(names) = &self.classes else { return Ok(()) };
        let fault = |what: String| Err(DatasetError::Classes(what));
        if let Some(name) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
            return fault(format!("{:?} is there twice", name.1));
        }
        match self.source.classes() {
            Some(classes) if classes != names.len() => {
                fault(format!("{} names for {classes} classes; name each class", names.len()))
            }
            None if names.is_empty() || names.len() > 256 => {
                fault(format!("{} names; 1 to 256 classes are possible", names.len()))
            }
            _ => Ok(()),
        }
    }

    /// Returns whether the seed affects the choice: it does not if all images are used and none validates.
    #[must_use]
    pub fn seed_matters(&self) -> bool {
        self.validation > 0 || self.train != Count::All || self.test != Count::All
    }

    fn wanted(&self) -> SplitSpec {
        let Self { train, test, validation, validation_from, seed, .. } = *self;
        SplitSpec { train, test, validation, validation_from, seed }
    }
}

/// Loads a dataset. `data_dir` holds the published datasets; the user's relative paths are resolved against `base_dir`.
pub fn load(config: &DatasetConfig, data_dir: &Path, base_dir: &Path) -> Result<Dataset, DatasetError> {
    load_within(config, data_dir, base_dir, DATA_FILE)
}

/// Loads a dataset as [`load`] does, if each file of a user's arrays or rows has at most `limit` bytes, decompressed.
fn load_within(
    config: &DatasetConfig,
    data_dir: &Path,
    base_dir: &Path,
    limit: u64,
) -> Result<Dataset, DatasetError> {
    config.check()?;
    let [mut train, mut test] =
        read::source(&config.source, config.classes.as_deref(), data_dir, base_dir, limit)?;
    let [train_labels, test_labels] = [&train, &test].map(|images| {
        // Without labels, all images are of one class.
        images
            .labels
            .as_ref()
            .map_or_else(|| Cow::Owned(vec![0; images.len()]), |labels| Cow::Borrowed(&labels.numbers))
    });
    let places = config.wanted().choose(&train_labels, &test_labels)?;
    config.normalize.apply(&mut train)?;
    config.normalize.apply(&mut test)?;
    let from = if config.validation_from == ValidationFrom::Train { &train } else { &test };
    let validation = Arc::new(from.select(&places.validation));
    train.keep(&places.train);
    test.keep(&places.test);
    Ok(Dataset { train: Arc::new(train), validation, test: Arc::new(test) })
}

#[cfg(test)]
mod tests;
