//! The scale of a tensor's codes: its choice, its granularity and its stored type.
//! Knows formats by their numbers only.

pub(crate) mod fit;
mod groups;
mod of_format;
mod scale_type;

use serde::Serialize;

use crate::format::FormatError;
pub use groups::ScaleGroups;
pub use scale_type::ScaleType;

/// A scale as the user asks for it: weights are divided by numbers s before rounding.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum Scale {
    /// s = 1, and nothing is stored.
    None,
    /// s = 2^k, stored as `E8M0`.
    PowerOfTwo {
        /// The part of the tensor that shares a scale.
        #[serde(skip_serializing_if = "is_tensor")]
        per: Per,
        /// The rule that chooses k.
        fit: PowerFit,
    },
    /// Any s that the stored type holds.
    Real {
        /// The part of the tensor that shares a scale.
        #[serde(skip_serializing_if = "is_tensor")]
        per: Per,
        /// The rule that chooses s.
        fit: RealFit,
        /// The stored type of s.
        #[serde(skip_serializing_if = "is_f32")]
        store: ScaleType,
    },
}

/// The part of a tensor that shares a scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub enum Per {
    /// The whole tensor.
    #[default]
    Tensor,
    /// Each index of the first dimension (per-channel scale); the whole tensor if it has only one dimension.
    Channel,
    /// Each block of this many weights, at least 1, in a row of the flattened dimensions after the first. A row's last
    /// block may be shorter. A tensor of one dimension is one row.
    Block(usize),
}

/// The rule that chooses the exponent k of a power-of-two scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum PowerFit {
    /// The least 2^k with max|w| ≤ 2^k·largest: nothing saturates.
    MaxAbs,
    /// ⌊log2 max|w|⌋ − ⌊log2 largest⌋: the rule of OCP's Microscaling Formats 1.0, 6.3. The largest weights may
    /// saturate.
    MaxExponent,
    /// The least squared error under rounding to nearest, from one octave above `MaxAbs` to eight below; ties go to the
    /// larger scale.
    LeastSquares,
    /// Like `LeastSquares`, with the squared error of each weight times the mean square of its input on the calibration
    /// images: the diagonal of the Hessian of the squared error of the layer's outputs.
    HessianDiagonal,
    /// Like the real fit of this name: the scale of `MaxAbs`, or one of the four octaves below.
    OutputError,
}

/// The rule that chooses a real scale.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum RealFit {
    /// max|w| / largest.
    MaxAbs,
    /// This percentile of |w| / largest; larger weights saturate. A percentile whose value is 0 falls back to `MaxAbs`.
    Percentile(Percent),
    /// The least squared error under rounding to nearest, of 145 candidates around `MaxAbs`, then improved iteratively;
    /// ties go to the larger scale.
    LeastSquares,
    /// Like `LeastSquares`, with the squared error of each weight times the mean square of its input on the calibration
    /// images: the diagonal of the Hessian of the squared error of the layer's outputs.
    HessianDiagonal,
    /// The scale with which the method of rounding changes the output of a channel least on the calibration images, by the damped
    /// H of GPTQ: of that of `MaxAbs` times 2^(−i/8), for i from 0 to 32. Ties go to the larger scale.
    OutputError,
    /// For `Binary` mean|w| (Rastegari et al., *XNOR-Net*, 2016). For `Ternary` mean|w| over the weights beyond the
    /// threshold 0.7·mean|w|; the other weights are zero (Li et al., *Ternary Weight Networks*, 2016).
    Mean,
}

/// A percentile, above 0 and at most 100, by nearest rank: of n numbers the ⌈n·p/100⌉th in ascending order. p is a
/// decimal number: the shortest one that parses to the binary64.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Percent(f64);

impl Percent {
    /// Makes a percentile; an error unless it is above 0 and at most 100.
    pub fn new(percent: f64) -> Result<Self, FormatError> {
        if percent > 0.0 && percent <= 100.0 {
            Ok(Self(percent))
        } else {
            Err(FormatError::Percentile { percent })
        }
    }

    /// Returns the percentile.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    /// Returns ⌈count·p/100⌉, 1 to `count`, by integer arithmetic on the digits of p: 86.4 % of 375 is the 324th,
    /// although the binary64 nearest to 86.4 is slightly larger. `count` is at least 1.
    #[must_use]
    pub fn rank(self, count: usize) -> usize {
        let (digits, decimals) = self.decimal();
        let product = u128::from(digits) * count as u128;
        // The 100 of the percent are two decimals more. Beyond 10^38 the quotient is below 1.
        let rank = 10_u128.checked_pow(decimals + 2).map_or(1, |unit| product.div_ceil(unit));
        (rank as usize).clamp(1, count)
    }

    /// Returns whether p is a multiple of 1/1024. For such p ⌈count·p/100⌉ is the same in binary64: the product is
    /// exact, and a non-integer quotient is further from an integer than the rounding error.
    pub(crate) fn has_few_bits(self) -> bool {
        (self.0 * 1024.0).fract() == 0.0
    }

    /// Returns p's digits as an integer below 10^17, and the number of decimals: p is digits / 10^decimals. 100 has −2
    /// decimals, which stand for its two zeros.
    fn decimal(self) -> (u64, u32) {
        let text = format!("{:e}", self.0);
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: u64 = format!("{whole}{fraction}").parse().unwrap_or(0);
        let decimals = fraction.len() as i32 - exponent.parse::<i32>().unwrap_or(0);
        (digits * 10_u64.pow((-decimals).max(0) as u32), decimals.max(0) as u32)
    }
}

impl Scale {
    /// Returns the part of the tensor that shares a scale.
    #[must_use]
    pub fn per(self) -> Per {
        match self {
            Self::None => Per::Tensor,
            Self::PowerOfTwo { per, .. } | Self::Real { per, .. } => per,
        }
    }

    /// Returns whether the fit weighs the error of each weight by its input.
    #[must_use]
    pub fn weighs_inputs(self) -> bool {
        self.has_fit(PowerFit::HessianDiagonal, RealFit::HessianDiagonal)
    }

    /// Returns whether the fit rounds with several scales, to compare the outputs of the layer.
    #[must_use]
    pub fn tries_scales(self) -> bool {
        self.has_fit(PowerFit::OutputError, RealFit::OutputError)
    }

    fn has_fit(self, power: PowerFit, real: RealFit) -> bool {
        match self {
            Self::None => false,
            Self::PowerOfTwo { fit, .. } => fit == power,
            Self::Real { fit, .. } => fit == real,
        }
    }

    /// Returns whether the fit depends on the inputs of the layer.
    #[must_use]
    pub fn reads_inputs(self) -> bool {
        self.weighs_inputs() || self.tries_scales()
    }

    /// Returns the stored type of scales; `None` if no scale is stored.
    #[must_use]
    pub fn store(self) -> Option<ScaleType> {
        match self {
            Self::None => None,
            Self::PowerOfTwo { .. } => Some(ScaleType::E8M0),
            Self::Real { store, .. } => Some(store),
        }
    }
}

fn is_tensor(per: &Per) -> bool {
    *per == Per::Tensor
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_f32(store: &ScaleType) -> bool {
    *store == ScaleType::F32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_above_0_and_at_most_100() {
        for percent in [0.0, -1.0, 100.5, f64::NAN] {
            assert!(Percent::new(percent).is_err(), "{percent}");
        }
        assert_eq!(Percent::new(100.0).map(Percent::get), Ok(100.0));
    }

    /// By hand: n·p/100 in decimal, rounded up.
    #[test]
    fn ranks_are_those_of_the_decimal_number() {
        let check = |percent: f64, count, expected| {
            assert_eq!(Percent::new(percent).unwrap().rank(count), expected, "{percent} % of {count}");
        };
        check(86.4, 375, 324);
        check(86.4, 374, 324);
        check(86.4, 376, 325);
        check(99.9, 1000, 999);
        check(99.9, 1001, 1000);
        check(0.1, 1000, 1);
        check(0.1, 1001, 2);
        check(8.2, 500, 41);
        check(16.4, 250, 41);
        check(99.99, 10_000, 9_999);
        check(99.999_999_999_999, 1, 1);
        check(100.0, 7, 7);
        check(50.0, 7, 4);
        check(99.5, 200, 199);
        check(1e-9, 100_000_000_000, 1);
        check(1e-9, 100_000_000_001, 2);
        check(f64::MIN_POSITIVE, 1 << 40, 1);
        check(100.0_f64.next_down(), 1 << 40, 1 << 40);
    }

    /// Every percentile with one decimal of every count up to 1,000: ⌈count·tenths / 1000⌉.
    #[test]
    fn tenths_of_a_percent_have_the_ranks_of_whole_arithmetic() {
        for tenths in 1..=1000_usize {
            // The binary64 nearest to the decimal number, as a reader of files gives it.
            let percent = Percent::new(format!("{}.{}", tenths / 10, tenths % 10).parse().unwrap()).unwrap();
            for count in 1..=1000 {
                assert_eq!(percent.rank(count), (count * tenths).div_ceil(1000), "{percent:?} of {count}");
            }
        }
    }

    #[test]
    fn percentiles_of_few_bits_need_no_decimal_arithmetic() {
        let of = |percent| Percent::new(percent).unwrap();
        for few in [100.0, 99.5, 99.25, 0.0625, 1.0 / 1024.0] {
            assert!(of(few).has_few_bits());
            for count in (1..100_000).step_by(7) {
                assert_eq!(
                    of(few).rank(count),
                    (few * count as f64 / 100.0).ceil() as usize,
                    "{few} {count}"
                );
            }
        }
        for many in [86.4, 99.9, 0.1, 1e-9, 1.0 / 2048.0] {
            assert!(!of(many).has_few_bits());
        }
    }

    #[test]
    fn scales_are_written_without_what_is_usual() {
        let check = |scale: Scale, expected: &str| {
            assert_eq!(serde_json::to_string(&scale).unwrap(), expected);
        };
        check(Scale::None, r#""None""#);
        let power = Scale::PowerOfTwo { per: Per::Tensor, fit: PowerFit::MaxExponent };
        check(power, r#"{"PowerOfTwo":{"fit":"MaxExponent"}}"#);
        let fit = RealFit::Percentile(Percent::new(99.5).unwrap());
        let real = Scale::Real { per: Per::Tensor, fit, store: ScaleType::F32 };
        check(real, r#"{"Real":{"fit":{"Percentile":99.5}}}"#);
        let blocks = Scale::Real { per: Per::Block(16), fit: RealFit::MaxAbs, store: ScaleType::E4M3 };
        check(blocks, r#"{"Real":{"per":{"Block":16},"fit":"MaxAbs","store":"E4M3"}}"#);
    }
}
