//! A first look at a user's own files, so that a check knows their content before anything runs.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use super::error::FileError;
use super::images::{Images, Pixels};
use super::source::DatasetSource;
use super::{DatasetConfig, DatasetError, load_within};
use crate::network::fit::ImageKind;
use crate::range::InputRange;

/// The most bytes of files that a check waits for, as they are and decompressed.
const MOST: u64 = 1 << 25;

/// The content of files.
#[derive(Clone, Debug)]
pub(crate) struct Survey {
    /// The shape of the images, and the number of their classes.
    pub kind: ImageKind,
    /// The range of the numbers of the training images.
    pub range: Option<InputRange>,
}

/// The surveys so far. An editor asks for them with every change of a text, while the files stay as they are.
#[derive(Debug, Default)]
pub(crate) struct Surveys(Mutex<HashMap<String, (Vec<FileState>, Surveyed)>>);

/// What a look at files showed; nothing if it does not look at them, or the message about their fault.
type Surveyed = Result<Option<Survey>, String>;

/// A file's length and the time of its last change; `None` if it is not there.
type FileState = Option<(u64, Option<SystemTime>)>;

impl Surveys {
    /// Looks at a user's files, if they changed since the last look. The error is a message.
    pub fn of(&self, config: &DatasetConfig, data_dir: &Path, base_dir: &Path) -> Surveyed {
        let survey = || Survey::of(config, data_dir, base_dir).map_err(|error| error.to_string());
        let (Ok(files), Ok(key)) = (config.source.files(data_dir, base_dir), serde_json::to_string(config))
        else {
            return survey();
        };
        let state = |path: &Path| path.metadata().ok().map(|data| (data.len(), data.modified().ok()));
        let states: Vec<FileState> = files.iter().map(|(_, path)| state(path)).collect();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(&key) {
            Some((of, survey)) if *of == states => survey.clone(),
            _ => {
                let survey = survey();
                known.insert(key, (states, survey.clone()));
                survey
            }
        }
    }
}

impl Survey {
    /// Looks at a user's files; `None` if they are not there, too large for a check, or published. Errors like [`load`].
    fn of(config: &DatasetConfig, data_dir: &Path, base_dir: &Path) -> Result<Option<Self>, DatasetError> {
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
