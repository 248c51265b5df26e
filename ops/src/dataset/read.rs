//! Reads the files of a source into training and test images, and checks that they hold the expected dataset.
//! Does not search for files, and knows nothing of splits or normalization.

use std::path::{Path, PathBuf};

use super::error::{DatasetError, FileError};
use super::file_images::{self, show};
use super::idx::{Idx, IdxKind};
use super::images::{Images, Labels, Pixels};
use super::open::DatasetFile;
use super::published::{FASHION_MNIST, MNIST, MNIST_CONTENT, MNIST_COUNTS, Published};
use super::source::DatasetSource;
use super::{cifar, csv, mnist10k, npz};

const KINDS: [IdxKind; 4] = [IdxKind::Images, IdxKind::Labels, IdxKind::Images, IdxKind::Labels];
const SHAPE: [usize; 3] = [1, 28, 28];
/// Bytes before the labels in an IDX file of labels: the magic number and the count.
const LABELS_HEADER: usize = 8;

/// Reads training and test images, which are still without normalization. `classes` are the names of the classes; each file
/// of a user's arrays or rows has at most `limit` bytes, decompressed.
pub fn source(
    source: &DatasetSource,
    classes: Option<&[String]>,
    data_dir: &Path,
    base_dir: &Path,
    limit: u64,
) -> Result<[Images; 2], DatasetError> {
    let paths: Vec<PathBuf> = source.files(data_dir, base_dir)?.into_iter().map(|(_, path)| path).collect();
    let images = match source {
        DatasetSource::Mnist10k => mnist10k::read_embedded(),
        DatasetSource::Mnist => family(&MNIST, &paths),
        DatasetSource::FashionMnist => family(&FASHION_MNIST, &paths),
        DatasetSource::Cifar10 if paths.len() == 1 => cifar::archive(DatasetFile::file(&paths[0])?),
        DatasetSource::Cifar10 => cifar::folder(&paths),
        DatasetSource::Idx { .. } => own(&paths),
        DatasetSource::Npz { order, .. } => {
            let parts = paths.iter().map(|path| npz::read(path, *order, limit)).collect::<Result<_, _>>()?;
            return Ok(file_images::join(parts, &paths, classes)?);
        }
        DatasetSource::Csv { label, .. } => {
            let parts = paths
                .iter()
                .map(|path| csv::read(path, label.as_deref(), limit))
                .collect::<Result<Vec<_>, _>>()?;
            check_columns(&parts, &paths)?;
            let parts = parts.into_iter().map(|rows| rows.images).collect();
            return Ok(file_images::join(parts, &paths, classes)?);
        }
    };
    let mut images = images?;
    if let Some(names) = classes {
        images.iter_mut().try_for_each(|images| rename(images, names))?;
    }
    Ok(images)
}

/// Names the classes of images whose labels are numbers.
fn rename(images: &mut Images, names: &[String]) -> Result<(), DatasetError> {
    let Some(labels) = &mut images.labels else { return Ok(()) };
    if labels.classes != names.len() {
        let what = format!("{} names for {} classes; name each class", names.len(), labels.classes);
        return Err(DatasetError::Classes(what));
    }
    labels.names = names.to_vec();
    Ok(())
}

/// Checks that test rows have the columns of training rows.
fn check_columns(parts: &[csv::CsvRows], paths: &[PathBuf]) -> Result<(), FileError> {
    let [train, test] = parts else { return Ok(()) };
    let differ = train.features.iter().zip(&test.features).find(|(train, test)| train != test);
    let what = match differ {
        Some((train, test)) => {
            format!("line 1: column {test:?} stands where the training rows have {train:?}; the order counts")
        }
        None if train.features.len() != test.features.len() => {
            let [train, test] = [train, test].map(|rows| rows.features.len());
            format!("line 1: {test} columns with features, the training rows have {train}")
        }
        None => return Ok(()),
    };
    Err(FileError::Content { file: paths[1].display().to_string(), what })
}

/// Reads one file of MNIST or Fashion-MNIST, the `part`th of its published files.
pub fn published(of: &Published, part: usize, path: &Path) -> Result<Idx, FileError> {
    let mut input = DatasetFile::file(path)?;
    let kind = KINDS[part];
    let idx = Idx::parse(&mut input, kind)?;
    let (file, dataset) = (input.name().to_owned(), of.title);
    let (found, expected) = (idx.count(), MNIST_COUNTS[part]);
    if found != expected {
        return Err(FileError::Count { file, dataset, wanted: kind.noun(), found, expected });
    }
    if kind == IdxKind::Images && idx.shape() != SHAPE {
        let (found, expected) = (show(idx.shape()), show(SHAPE));
        return Err(FileError::Shape { file, dataset, found, expected });
    }
    let digest = idx.digest().to_hex();
    let is_mnist = MNIST_CONTENT.contains(&digest.as_str());
    let found = match (of == &MNIST, is_mnist) {
        (true, false) => "this is not MNIST's content (Fashion-MNIST has the same file names)",
        (false, true) => "this is MNIST, not Fashion-MNIST (the two have the same file names)",
        (true, true) | (false, false) => return Ok(idx),
    };
    Err(FileError::Impostor { file, found, name: of.name })
}

fn family(of: &Published, paths: &[PathBuf]) -> Result<[Images; 2], FileError> {
    let read = |part: usize| Ok((paths[part].display().to_string(), published(of, part, &paths[part])?));
    let train = join(read(0)?, read(1)?, Some(10))?;
    Ok([train, join(read(2)?, read(3)?, Some(10))?])
}

fn own(paths: &[PathBuf]) -> Result<[Images; 2], FileError> {
    let mut train = pair(DatasetFile::file(&paths[0])?, DatasetFile::file(&paths[1])?, None)?;
    let mut test = pair(DatasetFile::file(&paths[2])?, DatasetFile::file(&paths[3])?, None)?;
    if train.shape != test.shape {
        let [found, expected] = [&test, &train].map(|images| show(images.shape));
        return Err(FileError::Mixed { file: paths[2].display().to_string(), found, expected });
    }
    if let (Some(train), Some(test)) = (&mut train.labels, &mut test.labels) {
        check_classes([train, test], [&paths[1], &paths[3]])?;
        let classes = train.classes.max(test.classes);
        (train.classes, test.classes) = (classes, classes);
    }
    Ok([train, test])
}

/// Checks the classes: every class up to the largest training label has a training image, and every class up to the
/// largest label of all has an image, because one stray byte in a file of labels would make up to 256 classes. A class
/// may lack test images; a class only in test images must come after the trained classes. `files` are the two files of
/// labels.
fn check_classes(parts: [&Labels; 2], files: [&Path; 2]) -> Result<(), FileError> {
    let [train, test] = parts;
    let has = |labels: &Labels, class| labels.numbers.iter().any(|&label| usize::from(label) == class);
    let is_missing = |class: &usize| !has(train, *class) && (*class < train.classes || !has(test, *class));
    let classes = train.classes.max(test.classes);
    let Some(missing) = (0..classes).find(is_missing) else { return Ok(()) };
    let (labels, file) = if missing < train.classes { (train, files[0]) } else { (test, files[1]) };
    let label = (labels.classes - 1) as u8;
    let image = labels.numbers.iter().position(|&other| other == label).unwrap_or(0);
    let offset = (LABELS_HEADER + image) as u64;
    Err(FileError::Gap { file: file.display().to_string(), offset, image, label, missing })
}

/// Reads a file of images and its file of labels. Without `classes` the labels determine the number of classes.
pub fn pair(
    mut images: DatasetFile,
    mut labels: DatasetFile,
    classes: Option<usize>,
) -> Result<Images, FileError> {
    let pixels = Idx::parse(&mut images, IdxKind::Images)?;
    let numbers = Idx::parse(&mut labels, IdxKind::Labels)?;
    join((images.name().to_owned(), pixels), (labels.name().to_owned(), numbers), classes)
}

fn join(images: (String, Idx), labels: (String, Idx), classes: Option<usize>) -> Result<Images, FileError> {
    let (image_count, label_count) = (images.1.count(), labels.1.count());
    if image_count != label_count {
        let (images, labels) = (images.0, labels.0);
        return Err(FileError::Unpaired { images, labels, image_count, label_count });
    }
    let highest = labels.1.bytes.iter().max().map_or(0, |&label| usize::from(label));
    let classes = classes.unwrap_or(highest + 1);
    if highest >= classes {
        let place = labels.1.bytes.iter().position(|&label| usize::from(label) >= classes).unwrap_or(0);
        let (offset, label) = ((labels.1.header.len() + place) as u64, labels.1.bytes[place]);
        return Err(FileError::Label { file: labels.0, offset, label, classes });
    }
    Ok(Images {
        shape: images.1.shape(),
        pixels: Pixels::Bytes { bytes: images.1.bytes, values: vec![] },
        labels: Some(Labels::numbered(classes, labels.1.bytes)),
    })
}
