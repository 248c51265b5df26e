//! The comparison of an imported network with outputs that another runtime computed.

use std::path::Path;

use crate::backend::own::inference::logits_of_numbers;
use crate::import::convert::{FinalOp, Imported};
use crate::import::error::ImportError;
use crate::import::npz;
use crate::loss::{exponential, largest};

/// The largest difference relative to the largest output with which a network counts as the same.
const MOST: f64 = 1e-3;

/// Runs a network on the array `input` of an archive. Returns the largest difference from the array `output`, relative to
/// its largest number. Errors if the archive does not fit the network, or if the difference is above 1e-3.
pub(crate) fn compare(imported: &Imported, path: &Path) -> Result<f64, ImportError> {
    let file = path.display().to_string();
    let [input, output] = npz::read(path, ["input", "output"])?;
    let [channels, height, width] = imported.model.network().input;
    let size = channels * height * width;
    let classes = imported.model.network().classes;
    let count = input.numbers.len() / size;
    let sides: usize = input.shape.iter().skip(1).product();
    if count == 0 || sides != size || input.shape.first() != Some(&count) {
        return Err(ImportError::format(
            &file,
            format!(
                "`input` has the shape {:?}; the network takes {channels} x {height} x {width}",
                input.shape
            ),
        ));
    }
    if output.numbers.len() != count * classes {
        let shape = output.shape;
        return Err(ImportError::format(
            &file,
            format!(
                "`output` has the shape {shape:?} for {count} inputs of a network with {classes} outputs"
            ),
        ));
    }
    let numbers =
        if imported.channels_last { channels_first(&input.numbers, [channels, size]) } else { input.numbers };
    let mut found = logits_of_numbers(&imported.model, &numbers)
        .map_err(|error| ImportError::format(&file, error.to_string()))?;
    for row in found.chunks_exact_mut(classes) {
        end(row, imported.ending);
    }
    let difference = relative_difference(&found, &output.numbers);
    if difference <= MOST {
        return Ok(difference);
    }
    Err(ImportError::Golden { file, difference, limit: MOST })
}

/// Returns the largest difference of some numbers from expected ones, relative to the largest of these; infinite if one
/// is no number.
pub(super) fn relative_difference(found: &[f32], expected: &[f32]) -> f64 {
    let largest = expected.iter().fold(0.0_f64, |largest, number| largest.max(f64::from(*number).abs()));
    let difference = found.iter().zip(expected).map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs());
    let worst =
        difference.fold(0.0_f64, |worst, next| if next.is_nan() { f64::INFINITY } else { worst.max(next) });
    if largest > 0.0 { worst / largest } else { worst }
}

/// Computes what the file computes from logits.
pub(super) fn end(row: &mut [f32], ending: FinalOp) {
    if ending == FinalOp::Logits {
        return;
    }
    let most = largest(row).1;
    let exponentials: Vec<f64> = row.iter().map(|logit| exponential(*logit, most)).collect();
    let total: f64 = exponentials.iter().sum();
    for (number, exponential) in row.iter_mut().zip(exponentials) {
        let share = exponential / total;
        *number = if ending == FinalOp::Softmax { share } else { libm::log(share) } as f32;
    }
}

/// Turns images of `size` numbers from pixel by pixel to channel by channel.
pub(super) fn channels_first(numbers: &[f32], [channels, size]: [usize; 2]) -> Vec<f32> {
    let of_image = |image: &[f32]| -> Vec<f32> {
        (0..channels).flat_map(|channel| image[channel..].iter().step_by(channels)).copied().collect()
    };
    numbers.chunks_exact(size).flat_map(of_image).collect()
}
