//! Images of one's own in `NumPy` archives: the arrays `x` and `y`.
//! Knows nothing of splits or normalization.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use super::error::FileError;
use super::images::{Pixels, channels_first};
use super::labels::LabelColumn;
use super::source::Layout;
use crate::numpy::{Elements, NumpyArchive, NumpyArray};

/// The most bytes of one array.
const LIMIT: u64 = 1 << 32;

/// The images of a file, before their labels are classes and their pixels normalized.
#[derive(Debug)]
pub struct UnlabelledImages {
    /// Channels, height and width.
    pub(super) shape: [usize; 3],
    pub(super) pixels: Pixels,
    pub(super) labels: Option<LabelColumn>,
}

/// Reads an archive.
pub(super) fn read(path: &Path, layout: Layout) -> Result<UnlabelledImages, FileError> {
    let name = path.display().to_string();
    let file =
        File::open(path).map_err(|source| FileError::Read { file: name.clone(), offset: 0, source })?;
    images(file, layout).map_err(|what| FileError::Content { file: name, what })
}

/// Reads the bytes of an archive. Errors with what is wrong.
pub fn images(file: impl Read + Seek, layout: Layout) -> Result<UnlabelledImages, String> {
    let mut archive = NumpyArchive::new(file, LIMIT)?;
    let NumpyArray { shape, elements } = archive.array("x")?;
    let sides = sides(&shape, layout)?;
    let [channels, ..] = sides;
    let size = sides.iter().product();
    let is_last = layout == Layout::Nhwc && shape.len() == 4;
    let numbers = |numbers: Vec<f32>| {
        if let Some(at) = numbers.iter().position(|number| !number.is_finite()) {
            return Err(format!(
                "array \"x\": {} at {:?}; every number is finite",
                numbers[at],
                place(&shape, at)
            ));
        }
        let numbers = if is_last { channels_first(&numbers, channels, size) } else { numbers };
        Ok(Pixels::Numbers { numbers, zeros: vec![] })
    };
    let pixels = match elements {
        Elements::Bytes(bytes) => {
            let bytes = if is_last { channels_first(&bytes, channels, size) } else { bytes };
            Pixels::Bytes { bytes, values: vec![] }
        }
        Elements::Real(found) => numbers(found)?,
        Elements::Whole(found) => numbers(found.into_iter().map(|number| number as f32).collect())?,
        Elements::Words(_) => return Err("array \"x\": it holds texts".to_owned()),
    };
    let labels = if archive.has("y") { Some(labels(archive.array("y")?, shape[0])?) } else { None };
    Ok(UnlabelledImages { shape: sides, pixels, labels })
}

/// Returns channels, height and width of the images in an array of this shape.
fn sides(shape: &[usize], layout: Layout) -> Result<[usize; 3], String> {
    let sides = match (shape, layout) {
        (&[_, features], _) => [features, 1, 1],
        (&[_, height, width], _) => [1, height, width],
        (&[_, channels, height, width], Layout::Nchw) | (&[_, height, width, channels], Layout::Nhwc) => {
            [channels, height, width]
        }
        _ => {
            return Err(format!(
                "array \"x\": its shape is {shape:?}; images are N x C x H x W, N x H x W, N x features, or N x H x W x C with `layout: Nhwc`"
            ));
        }
    };
    if shape.contains(&0) {
        return Err(format!("array \"x\": its shape is {shape:?}; it holds nothing"));
    }
    Ok(sides)
}

fn labels(NumpyArray { shape, elements }: NumpyArray, count: usize) -> Result<LabelColumn, String> {
    let told = |what: String| format!("array \"y\": {what}");
    if let &[_, width] = shape.as_slice()
        && width > 1
    {
        return Err(told(format!(
            "{width} numbers per image; give one label per image, such as y.argmax(1)"
        )));
    }
    let found: usize = shape.iter().product();
    if found != count || shape.len() > 2 {
        return Err(told(format!("its shape is {shape:?}; there are {count} images in \"x\"")));
    }
    let column = match elements {
        Elements::Bytes(labels) => LabelColumn::new(labels.iter().map(u8::to_string)),
        Elements::Whole(labels) => LabelColumn::new(labels.iter().map(i64::to_string)),
        Elements::Words(labels) => LabelColumn::new(labels.into_iter()),
        Elements::Real(labels) => {
            if let Some(image) = labels.iter().position(|label| label.fract() != 0.0) {
                return Err(told(format!(
                    "label {} of image {image}; classes are whole numbers",
                    labels[image]
                )));
            }
            LabelColumn::new(labels.iter().map(f32::to_string))
        }
    };
    column.map_err(told)
}

/// Returns the position of an element in an array.
fn place(shape: &[usize], mut at: usize) -> Vec<usize> {
    let mut place = vec![0; shape.len()];
    for (side, place) in shape.iter().zip(&mut place).rev() {
        *place = at % side;
        at /= side;
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::labels::resolve;

    #[test]
    fn sides_depend_on_rank_and_layout() {
        assert_eq!(sides(&[5, 64], Layout::Nchw), Ok([64, 1, 1]));
        assert_eq!(sides(&[5, 8, 9], Layout::Nhwc), Ok([1, 8, 9]));
        assert_eq!(sides(&[5, 3, 8, 9], Layout::Nchw), Ok([3, 8, 9]));
        assert_eq!(sides(&[5, 8, 9, 3], Layout::Nhwc), Ok([3, 8, 9]));
        assert!(sides(&[5], Layout::Nchw).is_err() && sides(&[0, 4], Layout::Nchw).is_err());
        assert_eq!(place(&[2, 3, 4], 17), [1, 1, 1]);
    }

    #[test]
    fn labels_are_one_per_image() {
        let read = |shape: &[usize], elements| labels(NumpyArray { shape: shape.to_vec(), elements }, 2);
        let [found] = resolve([&read(&[2, 1], Elements::Real(vec![1.0, 0.0])).unwrap()], None).unwrap();
        assert_eq!((found.numbers, found.names), (vec![1, 0], vec![]));
        let told = |shape: &[usize], elements| read(shape, elements).unwrap_err();
        assert_eq!(
            told(&[2, 3], Elements::Bytes(vec![0; 6])),
            "array \"y\": 3 numbers per image; give one label per image, such as y.argmax(1)"
        );
        assert_eq!(
            told(&[3], Elements::Bytes(vec![0; 3])),
            "array \"y\": its shape is [3]; there are 2 images in \"x\""
        );
        assert_eq!(
            told(&[2], Elements::Real(vec![1.0, 0.5])),
            "array \"y\": label 0.5 of image 1; classes are whole numbers"
        );
        assert!(told(&[2], Elements::Real(vec![f32::NAN, 0.5])).contains("NaN of image 0"));
    }
}
