//! Reads the files of a source into training and test images, and checks that they hold the expected dataset.
//! Does not search for files, and knows nothing of splits or normalization.

use std::path::{Path, PathBuf};

use super::error::{DatasetError, FileError};
use super::idx::{Idx, IdxKind};
use super::images::Images;
use super::open::DatasetFile;
use super::published::{FASHION_MNIST, MNIST, MNIST_CONTENT, MNIST_COUNTS, Published};
use super::source::DatasetSource;
use super::{cifar, mnist10k};

const KINDS: [IdxKind; 4] = [IdxKind::Images, IdxKind::Labels, IdxKind::Images, IdxKind::Labels];
const SHAPE: [usize; 3] = [1, 28, 28];
/// Bytes before the labels in an IDX file of labels: the magic number and the count.
const LABELS_HEADER: usize = 8;

/// Reads training and test images; their `values` are still empty.
pub fn source(source: &DatasetSource, data_dir: &Path, base_dir: &Path) -> Result<[Images; 2], DatasetError> {
    let paths: Vec<PathBuf> = source.files(data_dir, base_dir)?.into_iter().map(|(_, path)| path).collect();
    let images = match source {
        DatasetSource::Mnist10k => mnist10k::read_embedded(),
        DatasetSource::Mnist => family(&MNIST, &paths),
        DatasetSource::FashionMnist => family(&FASHION_MNIST, &paths),
        DatasetSource::Cifar10 if paths.len() == 1 => cifar::archive(DatasetFile::file(&paths[0])?),
        DatasetSource::Cifar10 => cifar::folder(&paths),
        DatasetSource::Idx { .. } => own(&paths),
    };
    Ok(images?)
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
    check_classes([&train, &test], [&paths[1], &paths[3]])?;
    let classes = train.classes.max(test.classes);
    (train.classes, test.classes) = (classes, classes);
    Ok([train, test])
}

/// Checks the classes: every class up to the largest training label has a training image, and every class up to the
/// largest label of all has an image, because one stray byte in a file of labels would make up to 256 classes. A class
/// may lack test images; a class only in test images must come after the trained classes. `files` are the two files of
/// labels.
fn check_classes(parts: [&Images; 2], files: [&Path; 2]) -> Result<(), FileError> {
    let [train, test] = parts;
    let has = |images: &Images, class| images.labels.iter().any(|&label| usize::from(label) == class);
    let is_missing = |class: &usize| !has(train, *class) && (*class < train.classes || !has(test, *class));
    let classes = train.classes.max(test.classes);
    let Some(missing) = (0..classes).find(is_missing) else { return Ok(()) };
    let (images, file) = if missing < train.classes { (train, files[0]) } else { (test, files[1]) };
    let label = (images.classes - 1) as u8;
    let image = images.labels.iter().position(|&other| other == label).unwrap_or(0);
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
        classes,
        pixels: images.1.bytes,
        labels: labels.1.bytes,
        values: Vec::new(),
    })
}

fn show(shape: [usize; 3]) -> String {
    match shape {
        [1, height, width] => format!("{height} × {width}"),
        [channels, height, width] => format!("{channels} × {height} × {width}"),
    }
}
