//! The normalization of pixels: the number that each byte stands for.
//! Knows nothing of images; computes one table of 256 numbers per channel.

use serde::Serialize;

/// The mapping from bytes to numbers. Computed in binary64, rounded to binary32 once.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub enum Normalize {
    /// p / 255: 0 to 1.
    #[default]
    UnitRange,
    /// p: 0 to 255.
    Bytes,
    /// (p / 255 − mean) / std, with one mean and one standard deviation per channel, in units of p / 255.
    Standard {
        /// Mean per channel.
        mean: Vec<f64>,
        /// Standard deviation per channel, above 0.
        std: Vec<f64>,
    },
}

/// An invalid normalization.
#[derive(Debug, PartialEq, thiserror::Error)]
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
    /// An unusable mean or standard deviation.
    #[error(
        "normalize.{field}: {value} for channel {channel} cannot be used; means are finite, standard deviations positive, in units where a byte is 0 to 1"
    )]
    Value {
        /// `mean` or `std`.
        field: &'static str,
        /// The channel, from 0.
        channel: usize,
        /// The number.
        value: f64,
    },
}

impl Normalize {
    /// Returns, per channel, the number that each byte value stands for.
    pub fn values(&self, channels: usize) -> Result<Vec<[f32; 256]>, NormalizeError> {
        match self {
            Self::UnitRange => Ok(vec![table(0.0, 1.0); channels]),
            Self::Bytes => Ok(vec![std::array::from_fn(|byte| byte as f32); channels]),
            Self::Standard { mean, std } => {
                for (field, found) in [("mean", mean.len()), ("std", std.len())] {
                    if found != channels {
                        return Err(NormalizeError::Channels { field, found, channels });
                    }
                }
                let pairs = mean.iter().zip(std).enumerate();
                pairs.map(|(channel, (&mean, &std))| standard(channel, mean, std)).collect()
            }
        }
    }
}

fn standard(channel: usize, mean: f64, std: f64) -> Result<[f32; 256], NormalizeError> {
    if !mean.is_finite() {
        return Err(NormalizeError::Value { field: "mean", channel, value: mean });
    }
    let values = table(mean, std);
    // A positive standard deviation can still be so small or so large that the image is lost.
    if !std.is_finite()
        || std <= 0.0
        || !values.iter().all(|value| value.is_finite())
        || values[0] == values[255]
    {
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
    fn what_does_not_fit_is_refused() {
        let refused = |mean: &[f64], std: &[f64]| {
            Normalize::Standard { mean: mean.to_vec(), std: std.to_vec() }.values(1).unwrap_err().to_string()
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
