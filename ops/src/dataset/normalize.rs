//! The normalization of pixels: the number that each byte stands for, or that each stored number becomes.
//! Knows nothing of files or labels.

use serde::Serialize;

use super::images::{Images, Pixels};
use crate::range::InputRange;

/// The mapping from stored pixels p to numbers. Computed in binary64, rounded to binary32 once.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub enum Normalize {
    /// `UnitRange` of bytes, `None` of numbers.
    #[default]
    Default,
    /// p / 255 of a byte p: 0 to 1.
    UnitRange,
    /// p of a byte p: 0 to 255.
    Bytes,
    /// p of a number p.
    None,
    /// (p / 255 − mean) / std of a byte, (p − mean) / std of a number, with one mean and one standard deviation per channel.
    Standard {
        /// Mean per channel; for bytes in units of p / 255.
        mean: Vec<f64>,
        /// Standard deviation per channel, above 0, in the same units.
        std: Vec<f64>,
    },
}

/// An invalid normalization.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NormalizeError {
    /// The count of numbers differs from the number of channels.
    #[error("normalize.{field}: {found} numbers for images of {channels} channel(s); give one per channel")]
    Channels {
        /// `mean` or `std`.
        field: &'static str,
        /// The numbers given.
        found: usize,
        /// The number of channels.
        channels: usize,
    },
    /// A normalized number is not finite.
    #[error(
        "normalize.std: a number of channel {channel} becomes infinite with {std:e}; choose a larger one"
    )]
    Infinite {
        /// The channel.
        channel: usize,
        /// Its standard deviation.
        std: f64,
    },
    /// An unusable mean or standard deviation.
    #[error(
        "normalize.{field}: {value} for channel {channel} cannot be used; means are finite, standard deviations positive, and a byte counts as 0 to 1"
    )]
    Value {
        /// `mean` or `std`.
        field: &'static str,
        /// The channel, from 0.
        channel: usize,
        /// The number.
        value: f64,
    },
    /// The pixels are numbers, and the normalization is of bytes.
    #[error(
        "normalize: UnitRange and Bytes are of bytes, these pixels are floating-point numbers; leave it out, or use Standard(mean: […], std: […])"
    )]
    Numbers,
    /// The pixels are bytes, and the normalization is of numbers.
    #[error(
        "normalize: None is of floating-point numbers, these pixels are bytes; `Bytes` keeps them as 0 to 255"
    )]
    Bytes,
}

impl Normalize {
    /// Returns the normalization of stored bytes or numbers that this one stands for.
    #[must_use]
    pub fn resolved(&self, are_bytes: bool) -> Self {
        match self {
            Self::Default if are_bytes => Self::UnitRange,
            Self::Default => Self::None,
            Self::UnitRange | Self::Bytes | Self::None | Self::Standard { .. } => self.clone(),
        }
    }

    /// Checks whether it can be applied to stored bytes or numbers of so many channels, as far as both are known.
    pub fn check(&self, are_bytes: Option<bool>, channels: Option<usize>) -> Result<(), NormalizeError> {
        match (self, are_bytes) {
            (Self::UnitRange | Self::Bytes, Some(false)) => Err(NormalizeError::Numbers),
            (Self::None, Some(true)) => Err(NormalizeError::Bytes),
            (Self::Standard { mean, std }, _) => {
                let channels = channels.unwrap_or(mean.len());
                for (field, found) in [("mean", mean.len()), ("std", std.len())] {
                    if found != channels {
                        return Err(NormalizeError::Channels { field, found, channels });
                    }
                }
                let mut pairs = mean.iter().zip(std).enumerate();
                pairs.try_for_each(|(channel, (&mean, &std))| match are_bytes {
                    Some(true) => standard(channel, mean, std).map(drop),
                    Some(false) | None => usable(channel, mean, std),
                })
            }
            (Self::Default | Self::UnitRange | Self::Bytes | Self::None, _) => Ok(()),
        }
    }

    /// Returns the range of the numbers that bytes become.
    pub(crate) fn range_of_bytes(&self) -> Option<InputRange> {
        let channels = if let Self::Standard { mean, .. } = self { mean.len() } else { 1 };
        let values = self.values(channels).ok()?;
        InputRange::of(values.iter().flat_map(|values| [values[0], values[255]]))
    }

    /// Turns the stored pixels of some images into numbers.
    pub fn apply(&self, images: &mut Images) -> Result<(), NormalizeError> {
        let [channels, height, width] = images.shape;
        let are_bytes = matches!(images.pixels, Pixels::Bytes { .. });
        self.check(Some(are_bytes), Some(channels))?;
        if let Pixels::Bytes { bytes, .. } = &images.pixels
            && height * width == 1
        {
            // A table of values per feature would be larger than the features.
            images.pixels = self.rows_of_bytes(bytes, channels)?;
            return Ok(());
        }
        match &mut images.pixels {
            Pixels::Bytes { values, .. } => *values = self.values(channels)?,
            Pixels::Numbers { numbers, zeros } => {
                *zeros = vec![0.0; channels];
                let Self::Standard { mean, std } = self else { return Ok(()) };
                let normalized =
                    |channel: usize, number: f32| ((f64::from(number) - mean[channel]) / std[channel]) as f32;
                for (channel, zero) in zeros.iter_mut().enumerate() {
                    *zero = normalized(channel, 0.0);
                }
                for (at, plane) in numbers.chunks_exact_mut(height * width).enumerate() {
                    let channel = at % channels;
                    for number in plane {
                        *number = normalized(channel, *number);
                        if !number.is_finite() {
                            return Err(NormalizeError::Infinite { channel, std: std[channel] });
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Returns the numbers of rows of bytes.
    fn rows_of_bytes(&self, bytes: &[u8], features: usize) -> Result<Pixels, NormalizeError> {
        let (mut numbers, mut zeros) = (vec![0.0; bytes.len()], vec![0.0; features]);
        for (feature, zero) in zeros.iter_mut().enumerate() {
            let values = match self {
                Self::Standard { mean, std } => standard(feature, mean[feature], std[feature])?,
                Self::Default | Self::UnitRange => table(0.0, 1.0),
                Self::Bytes | Self::None => std::array::from_fn(|byte| byte as f32),
            };
            *zero = values[0];
            let column = numbers.iter_mut().zip(bytes).skip(feature).step_by(features);
            column.for_each(|(number, byte)| *number = values[usize::from(*byte)]);
        }
        Ok(Pixels::Numbers { numbers, zeros })
    }

    /// Returns, per channel, the number that each byte value stands for.
    fn values(&self, channels: usize) -> Result<Vec<[f32; 256]>, NormalizeError> {
        match self {
            Self::Default | Self::UnitRange => Ok(vec![table(0.0, 1.0); channels]),
            Self::Bytes | Self::None => Ok(vec![std::array::from_fn(|byte| byte as f32); channels]),
            Self::Standard { mean, std } => {
                let pairs = mean.iter().zip(std).enumerate();
                pairs.map(|(channel, (&mean, &std))| standard(channel, mean, std)).collect()
            }
        }
    }
}

fn usable(channel: usize, mean: f64, std: f64) -> Result<(), NormalizeError> {
    if !mean.is_finite() {
        return Err(NormalizeError::Value { field: "mean", channel, value: mean });
    }
    if !std.is_finite() || std <= 0.0 {
        return Err(NormalizeError::Value { field: "std", channel, value: std });
    }
    Ok(())
}

fn standard(channel: usize, mean: f64, std: f64) -> Result<[f32; 256], NormalizeError> {
    usable(channel, mean, std)?;
    let values = table(mean, std);
    // A positive standard deviation can still be so small or so large that the image is lost.
    if !values.iter().all(|value| value.is_finite()) || values[0] == values[255] {
        return Err(NormalizeError::Value { field: "std", channel, value: std });
    }
    Ok(values)
}

fn table(mean: f64, std: f64) -> [f32; 256] {
    std::array::from_fn(|byte| ((byte as f64 / 255.0 - mean) / std) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_range_ends_at_0_and_1() {
        let values = Normalize::UnitRange.values(3).unwrap();
        assert_eq!((values.len(), values[2][0], values[2][255]), (3, 0.0, 1.0));
        // 51 / 255 is one fifth exactly, so the table holds binary32's nearest to it.
        assert_eq!(values[0][51], 0.2);
        let bytes = Normalize::Bytes.values(2).unwrap();
        assert_eq!((bytes.len(), bytes[1][0], bytes[1][255]), (2, 0.0, 255.0));
    }

    #[test]
    fn channels_are_shifted_and_scaled_apart() {
        let normalize = Normalize::Standard { mean: vec![0.5, 0.0], std: vec![0.25, 0.5] };
        let values = normalize.values(2).unwrap();
        assert_eq!([values[0][0], values[0][255], values[1][0], values[1][255]], [-2.0, 2.0, 0.0, 2.0]);
    }

    #[test]
    fn numbers_are_kept_or_shifted_and_scaled() {
        let numbers = |normalize: &Normalize| {
            let pixels = Pixels::Numbers { numbers: vec![1.0, 2.0, 3.0, 4.0], zeros: vec![] };
            let mut images = Images { shape: [2, 1, 1], pixels, labels: None };
            normalize.apply(&mut images).map(|()| images.pixels)
        };
        let kept = Pixels::Numbers { numbers: vec![1.0, 2.0, 3.0, 4.0], zeros: vec![0.0; 2] };
        assert_eq!(numbers(&Normalize::Default).unwrap(), kept);
        assert_eq!(numbers(&Normalize::None).unwrap(), kept);
        let standard = Normalize::Standard { mean: vec![1.0, 2.0], std: vec![0.5, 4.0] };
        let shifted = Pixels::Numbers { numbers: vec![0.0, 0.0, 4.0, 0.5], zeros: vec![-2.0, -0.5] };
        assert_eq!(numbers(&standard).unwrap(), shifted);
        assert_eq!(numbers(&Normalize::UnitRange), Err(NormalizeError::Numbers));
        assert_eq!(numbers(&Normalize::Bytes), Err(NormalizeError::Numbers));
        assert_eq!(Normalize::None.check(Some(true), None), Err(NormalizeError::Bytes));
    }

    #[test]
    fn rows_of_bytes_become_numbers() {
        let numbers = |normalize: &Normalize| {
            let pixels = Pixels::Bytes { bytes: vec![0, 51, 255, 102], values: vec![] };
            let mut images = Images { shape: [2, 1, 1], pixels, labels: None };
            normalize.apply(&mut images).unwrap();
            images.pixels
        };
        let of = |numbers: [f32; 4], zeros: [f32; 2]| Pixels::Numbers {
            numbers: numbers.to_vec(),
            zeros: zeros.to_vec(),
        };
        assert_eq!(numbers(&Normalize::Default), of([0.0, 0.2, 1.0, 0.4], [0.0, 0.0]));
        let standard = Normalize::Standard { mean: vec![0.0, 0.2], std: vec![0.5, 0.1] };
        assert_eq!(numbers(&standard), of([0.0, 0.0, 2.0, 2.0], [0.0, -2.0]));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |mean: &[f64], std: &[f64]| {
            let normalize = Normalize::Standard { mean: mean.to_vec(), std: std.to_vec() };
            normalize.check(Some(true), Some(1)).unwrap_err().to_string()
        };
        assert!(
            refused(&[0.0, 1.0], &[1.0]).starts_with("normalize.mean: 2 numbers for images of 1 channel")
        );
        assert!(refused(&[0.0], &[]).starts_with("normalize.std: 0 numbers"));
        assert!(refused(&[f64::NAN], &[1.0]).starts_with("normalize.mean: NaN for channel 0"));
        for std in [0.0, -1.0, f64::INFINITY, f64::NAN, 1e-300, 1e300] {
            assert!(refused(&[0.0], &[std]).starts_with("normalize.std: "), "{std}");
        }
    }
}
