//! The comparison of an imported network with outputs that another runtime computed.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use crate::backend::own::inference::{InferenceError, logits};
use crate::dataset::images::{Images, Pixels, channels_first};
use crate::import::convert::{FinalOp, Imported};
use crate::import::error::ImportError;
use crate::loss::{exponential, largest};
use crate::numpy::NumpyArchive;
use crate::range::InputRange;

/// The most bytes of one array.
const LIMIT: u64 = 1 << 30;

/// The most bytes of an array that a check reads.
const CHECK_LIMIT: u64 = 1 << 26;

/// The largest difference relative to the largest output with which a network counts as the same.
const MOST: f64 = 1e-3;

/// Returns the range of the array `input` of an archive; `None` if it cannot be read, or is so large that a check should not
/// wait for it.
pub(crate) fn input_range(path: &Path) -> Option<InputRange> {
    let mut archive = NumpyArchive::new(File::open(path).ok()?, CHECK_LIMIT).ok()?;
    let (_, numbers) = archive.numbers("input").ok()?;
    InputRange::of(numbers.into_floats())
}

/// Runs a network on the array `input` of an archive. Returns the largest difference from the array `output`, relative to
/// its largest number. Errors if the archive does not fit the network, or if the difference is above 1e-3.
pub(crate) fn compare(imported: &Imported, path: &Path) -> Result<f64, ImportError> {
    let file = path.display().to_string();
    let Golden { input_shape, input, output_shape: shape, output } = Golden::read(path)?;
    let [channels, height, width] = imported.model.network().input;
    let size = channels * height * width;
    let classes = imported.model.network().classes;
    let count = input.len() / size;
    let sides: usize = input_shape.iter().skip(1).product();
    if count == 0 || sides != size || input_shape.first() != Some(&count) {
        return Err(ImportError::format(
            &file,
            format!(
                "`input` has the shape {input_shape:?}; the network takes {channels} x {height} x {width}"
            ),
        ));
    }
    if output.len() != count * classes {
        return Err(ImportError::format(
            &file,
            format!(
                "`output` has the shape {shape:?} for {count} inputs of a network with {classes} outputs"
            ),
        ));
    }
    let found = imported.outputs(input).map_err(|error| ImportError::format(&file, error.to_string()))?;
    let difference = relative_difference(&found, &output);
    if difference <= MOST {
        return Ok(difference);
    }
    Err(ImportError::Golden { file, difference, limit: MOST })
}

/// Inputs, and the outputs that another runtime computed.
#[derive(Debug)]
pub struct Golden {
    input_shape: Vec<usize>,
    input: Vec<f32>,
    output_shape: Vec<usize>,
    output: Vec<f32>,
}

impl Golden {
    fn read(path: &Path) -> Result<Self, ImportError> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|source| ImportError::Read { file: name.clone(), source })?;
        Self::of(file).map_err(|what| ImportError::format(&name, what))
    }

    /// Reads the arrays `input` and `output` of an archive. Errors with what is wrong.
    pub fn of(file: impl Read + Seek) -> Result<Self, String> {
        let mut archive = NumpyArchive::new(file, LIMIT)?;
        let mut array =
            |name: &str| archive.numbers(name).map(|(shape, numbers)| (shape, numbers.into_floats()));
        let ((input_shape, input), (output_shape, output)) = (array("input")?, array("output")?);
        Ok(Self { input_shape, input, output_shape, output })
    }
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

impl Imported {
    /// Returns what the file computes from inputs as it takes them.
    pub(super) fn outputs(&self, input: Vec<f32>) -> Result<Vec<f32>, InferenceError> {
        let network = self.model.network();
        let (shape, size) = (network.input, network.input.iter().product());
        let numbers = if self.channels_last { channels_first(&input, shape[0], size) } else { input };
        let pixels = Pixels::Numbers { numbers, zeros: vec![0.0; shape[0]] };
        let mut found = logits(&self.model, &Images { shape, pixels, labels: None }, &|| false)?;
        for row in found.chunks_exact_mut(network.classes) {
            end(row, self.ending);
        }
        Ok(found)
    }
}

/// Computes what the file computes from logits.
fn end(row: &mut [f32], ending: FinalOp) {
    match ending {
        FinalOp::Logits => {}
        FinalOp::Sigmoid => {
            for number in row {
                *number = (1.0 / (1.0 + libm::exp(-f64::from(*number)))) as f32;
            }
        }
        FinalOp::Softmax | FinalOp::LogSoftmax => {
            let most = largest(row).1;
            let total: f64 = row.iter().map(|logit| exponential(*logit, most)).sum();
            for number in row {
                let share = exponential(*number, most) / total;
                *number = if ending == FinalOp::Softmax { share } else { libm::log(share) } as f32;
            }
        }
    }
}
