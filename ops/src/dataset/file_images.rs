//! The images of one of a user's own files, before their labels are classes and their pixels numbers.
//! Knows nothing of the formats of files.

use std::path::PathBuf;

use super::error::FileError;
use super::images::{Images, Labels, Pixels};
use super::labels::{LabelColumn, resolve};

/// The images of a file.
#[derive(Debug)]
pub struct FileImages {
    /// Channels, height and width.
    pub(super) shape: [usize; 3],
    pub(super) pixels: Pixels,
    /// The labels as they are written; `None` without labels.
    pub(super) labels: Option<LabelColumn>,
}

/// Turns the labels of training images and, if there are any, of test images into classes. `paths` are the files of both.
/// Errors if the two do not fit each other, or if a label is none of the classes.
pub(super) fn join(
    parts: Vec<FileImages>,
    paths: &[PathBuf],
    names: Option<&[String]>,
) -> Result<[Images; 2], FileError> {
    let file = |at: usize| paths[at].display().to_string();
    let content = |at: usize, what: &str| FileError::Content { file: file(at), what: what.to_owned() };
    let mut parts = parts.into_iter();
    let Some(train) = parts.next() else { return Err(content(0, "it holds no images")) };
    let test = parts.next();
    if let Some(test) = &test {
        check_alike(&train, test).map_err(|what| content(1, &what))?;
    }
    let at_place = |(at, what): (usize, String)| content(at, &what);
    let labels = match (train.labels.as_ref(), test.as_ref().and_then(|test| test.labels.as_ref())) {
        (Some(train), Some(test)) => resolve([train, test], names).map_err(at_place)?.map(Some),
        (Some(train), None) => {
            let [train] = resolve([train], names).map_err(at_place)?;
            let none = Labels { numbers: vec![], ..train.clone() };
            [Some(train), Some(none)]
        }
        (None, _) => [None, None],
    };
    let none = match &train.pixels {
        Pixels::Bytes { .. } => Pixels::Bytes { bytes: vec![], values: vec![] },
        Pixels::Numbers { .. } => Pixels::Numbers { numbers: vec![], zeros: vec![] },
    };
    let (shape, [train_labels, test_labels]) = (train.shape, labels);
    let test_pixels = test.map_or(none, |test| test.pixels);
    Ok([
        Images { shape, pixels: train.pixels, labels: train_labels },
        Images { shape, pixels: test_pixels, labels: test_labels },
    ])
}

fn check_alike(train: &FileImages, test: &FileImages) -> Result<(), String> {
    if test.shape != train.shape {
        let [found, expected] = [test.shape, train.shape].map(show);
        return Err(format!("images of {found} pixels, the training images have {expected}"));
    }
    if matches!(test.pixels, Pixels::Bytes { .. }) != matches!(train.pixels, Pixels::Bytes { .. }) {
        return Err("one of the two files has bytes, the other has floats; save both in one type".to_owned());
    }
    if test.labels.is_some() != train.labels.is_some() {
        return Err("one of the two files has labels, the other has none".to_owned());
    }
    Ok(())
}

/// Writes a shape.
pub(super) fn show(shape: [usize; 3]) -> String {
    match shape {
        [1, height, width] => format!("{height} × {width}"),
        [channels, height, width] => format!("{channels} × {height} × {width}"),
    }
}
