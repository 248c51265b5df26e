//! A first look at a user's own files, so that a check knows their content before anything runs.

use std::path::Path;

use super::error::FileError;
use super::images::{Images, Pixels};
use super::source::DatasetSource;
use super::{DatasetConfig, DatasetError, load_within};
use crate::network::fit::ImageKind;
use crate::range::InputRange;

/// The most bytes of files that a check waits for, as they are and decompressed.
const MOST: u64 = 1 << 25;

/// The content of files.
#[derive(Debug)]
pub(crate) struct Survey {
    /// The shape of the images, and the number of their classes.
    pub kind: ImageKind,
    /// The range of the numbers of the training images.
    pub range: Option<InputRange>,
}

impl Survey {
    /// Looks at a user's files; `None` if they are not there, too large for a check, or published. Errors like [`load`].
    pub(crate) fn of(
        config: &DatasetConfig,
        data_dir: &Path,
        base_dir: &Path,
    ) -> Result<Option<Self>, DatasetError> {
        if !matches!(config.source, DatasetSource::Npz { .. } | DatasetSource::Csv { .. }) {
            return Ok(None);
        }
        let Ok(files) = config.source.files(data_dir, base_dir) else { return Ok(None) };
        let bytes = files.iter().map(|(_, path)| path.metadata().map_or(0, |data| data.len()));
        if bytes.fold(0, u64::saturating_add) > MOST {
            return Ok(None);
        }
        let train = match load_within(config, data_dir, base_dir, MOST) {
            Ok(data) => data.train,
            Err(DatasetError::File(FileError::TooLarge { .. })) => return Ok(None),
            Err(error) => return Err(error),
        };
        let classes = train.labels.as_ref().map(|labels| labels.classes);
        Ok(Some(Self { kind: ImageKind { shape: train.shape, classes }, range: range(&train) }))
    }
}

/// Returns the range of the numbers of some images.
fn range(images: &Images) -> Option<InputRange> {
    match &images.pixels {
        Pixels::Numbers { numbers, .. } => InputRange::of(numbers.iter().copied()),
        Pixels::Bytes { bytes, values } => {
            let planes = bytes.chunks(images.shape[1] * images.shape[2]).zip(values.iter().cycle());
            let ends = |(plane, values): (&[u8], &[f32; 256])| {
                let (least, most) = (plane.iter().min(), plane.iter().max());
                [least, most].map(|byte| byte.map_or(f32::NAN, |byte| values[usize::from(*byte)]))
            };
            InputRange::of(planes.flat_map(ends))
        }
    }
}
