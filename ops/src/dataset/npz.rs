//! Images of a user in `NumPy` archives: the arrays `x` and `y`.
//! Knows nothing of splits or normalization.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use super::error::FileError;
use super::file_images::FileImages;
use super::images::{Pixels, channels_first};
use super::labels::LabelColumn;
use super::source::SideOrder;
use crate::limits::DATA_FILE;
use crate::numpy::{Numbers, NumpyArchive};

/// The most features of a row.
pub(super) const MOST_FEATURES: usize = 1 << 16;

/// Reads an archive whose arrays take at most `limit` bytes, decompressed.
pub(super) fn read(path: &Path, order: SideOrder, limit: u64) -> Result<FileImages, FileError> {
    let name = path.display().to_string();
    let file =
        File::open(path).map_err(|source| FileError::Read { file: name.clone(), offset: 0, source })?;
    let content = |what| FileError::Content { file: name.clone(), what };
    let mut archive = NumpyArchive::new(file, DATA_FILE).map_err(content)?;
    let needed = archive.bytes(&["x", "y"]);
    if needed > limit {
        return Err(FileError::TooLarge { file: name, needed, limit });
    }
    images_of(&mut archive, order).map_err(content)
}

/// Reads the bytes of an archive. The error is a sentence.
pub fn images(file: impl Read + Seek, order: SideOrder) -> Result<FileImages, String> {
    images_of(&mut NumpyArchive::new(file, DATA_FILE)?, order)
}

fn images_of(archive: &mut NumpyArchive<impl Read + Seek>, order: SideOrder) -> Result<FileImages, String> {
    let (shape, numbers) = archive.numbers("x")?;
    let sentence = |what: String| format!("array \"x\": {what}");
    let sides = sides(&shape, order).map_err(sentence)?;
    let (channels, size) = (sides[0], sides.iter().product());
    let is_last = order == SideOrder::Nhwc;
    let pixels = match numbers {
        Numbers::Bytes(bytes) => {
            let bytes = if is_last { channels_first(&bytes, channels, size) } else { bytes };
            Pixels::Bytes { bytes, values: vec![] }
        }
        Numbers::Floats(floats) => {
            if let Some(at) = floats.iter().position(|number| !number.is_finite()) {
                let (number, place) = (floats[at], place(&shape, at));
                return Err(sentence(format!("{number} at {place:?}; every number must be finite")));
            }
            let numbers = if is_last { channels_first(&floats, channels, size) } else { floats };
            Pixels::Numbers { numbers, zeros: vec![] }
        }
    };
    let mut labels = archive.has("y").then(LabelColumn::default);
    if let Some(labels) = &mut labels {
        archive.texts("y", shape[0], |label| labels.push(label))?;
    }
    Ok(FileImages { shape: sides, pixels, labels })
}

/// Returns channels, height and width of the images in an array of this shape.
fn sides(shape: &[usize], order: SideOrder) -> Result<[usize; 3], String> {
    let sides = match (shape, order) {
        (&[_, features], SideOrder::Nchw) => [features, 1, 1],
        (&[_, height, width], SideOrder::Nchw) => [1, height, width],
        (&[_, channels, height, width], SideOrder::Nchw)
        | (&[_, height, width, channels], SideOrder::Nhwc) => [channels, height, width],
        (_, SideOrder::Nchw) => {
            return Err(format!(
                "its shape is {shape:?}; images are N x C x H x W, N x H x W or N x features, or N x H x W x C with `layout: Nhwc`"
            ));
        }
        (_, SideOrder::Nhwc) => {
            return Err(format!(
                "its shape is {shape:?}; images are N x H x W x C with `layout: Nhwc`, and without it N x C x H x W, N x H x W or N x features"
            ));
        }
    };
    if shape.contains(&0) {
        return Err(format!("its shape is {shape:?}; it holds nothing"));
    }
    if sides[0] > MOST_FEATURES {
        return Err(format!("{} features or channels; at most {MOST_FEATURES} are read", sides[0]));
    }
    Ok(sides)
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

    #[test]
    fn sides_depend_on_rank_and_order() {
        assert_eq!(sides(&[5, 64], SideOrder::Nchw), Ok([64, 1, 1]));
        assert_eq!(sides(&[5, 8, 9], SideOrder::Nchw), Ok([1, 8, 9]));
        assert_eq!(sides(&[5, 3, 8, 9], SideOrder::Nchw), Ok([3, 8, 9]));
        assert_eq!(sides(&[5, 8, 9, 3], SideOrder::Nhwc), Ok([3, 8, 9]));
        let refused = |shape: &[usize], order| sides(shape, order).is_err();
        assert!(refused(&[5], SideOrder::Nchw) && refused(&[0, 4], SideOrder::Nchw));
        assert!(refused(&[5, 16, 16], SideOrder::Nhwc) && refused(&[1, 1 << 20], SideOrder::Nchw));
        assert_eq!(place(&[2, 3, 4], 17), [1, 1, 1]);
    }
}
