//! Datasets: labelled images from a source, split and normalized.
//! Knows nothing of keys, tasks or networks; callers pass every path.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use images::Images;
use normalize::Normalize;
use source::DatasetSource;
use split::{Count, SplitSpec, ValidationFrom};

pub mod cifar;
mod download;
mod error;
pub mod fetch;
pub mod idx;
pub mod images;
pub mod mnist10k;
pub mod normalize;
pub mod open;
pub mod published;
mod read;
pub mod source;
pub mod split;

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
    /// The number that each byte stands for.
    pub normalize: Normalize,
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
    /// Makes the configuration of a whole source: all images, no validation, bytes as 0 to 1.
    #[must_use]
    pub fn new(source: DatasetSource) -> Self {
        let normalize = Normalize::UnitRange;
        Self {
            source,
            train: Count::All,
            test: Count::All,
            validation: 0,
            validation_from: ValidationFrom::Train,
            seed: 0,
            normalize,
        }
    }

    /// Checks the configuration without reading files.
    pub fn check(&self) -> Result<(), DatasetError> {
        if let Some([channels, ..]) = self.source.shape() {
            self.normalize.values(channels)?;
        }
        if let Some(counts) = self.source.counts() {
            self.wanted().check(counts)?;
        }
        Ok(())
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
    config.check()?;
    let [mut train, mut test] = read::source(&config.source, data_dir, base_dir)?;
    let places = config.wanted().choose(&train.labels, &test.labels)?;
    train.values = config.normalize.values(train.shape[0])?;
    test.values.clone_from(&train.values);
    let from = if config.validation_from == ValidationFrom::Train { &train } else { &test };
    let validation = Arc::new(from.select(&places.validation));
    train.keep(&places.train);
    test.keep(&places.test);
    Ok(Dataset { train: Arc::new(train), validation, test: Arc::new(test) })
}

#[cfg(test)]
mod tests;
