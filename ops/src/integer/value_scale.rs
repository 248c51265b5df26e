//! The scale and zero point of a value: the image or a layer's output. Knows nothing of layers.

use serde::{Deserialize, Serialize};

/// The bits of the images: bytes enter without a loss.
pub const IMAGE_BITS: u32 = 8;

/// How the codes q of a value stand for numbers: scale · (q − zero point).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValueScale {
    /// The bits of a code, 2 to 8: codes are −2^(bits−1) to 2^(bits−1) − 1.
    pub bits: u32,
    /// The distance of neighbouring numbers, positive and not subnormal.
    pub scale: f32,
    /// The code of zero.
    pub zero_point: i32,
}

impl ValueScale {
    /// Returns the scale whose codes reach from `low` to `high`, or a little less at one end; zero is always among the numbers.
    /// The scale is (high − low) / (2^bits − 1), computed in binary64 and rounded to binary32; a value that is always zero has
    /// the scale 1.
    #[must_use]
    pub fn of_range([low, high]: [f64; 2], bits: u32) -> Self {
        let (low, high) = (low.min(0.0), high.max(0.0));
        let steps = f64::from((1_u32 << bits) - 1);
        let scale = if low == high { 1.0 } else { ((high - low) / steps) as f32 };
        let scale = scale.clamp(f32::MIN_POSITIVE, f32::MAX);
        let least = Self { bits, scale, zero_point: 0 }.limits()[0];
        let below = (-low / f64::from(scale)).round_ties_even().min(steps) as i32;
        Self { bits, scale, zero_point: least + below }
    }

    /// Returns the smallest and the largest code.
    #[must_use]
    pub fn limits(self) -> [i32; 2] {
        let half = 1 << (self.bits - 1);
        [-half, half - 1]
    }

    /// Returns the smallest and the largest code, the zero point subtracted.
    #[must_use]
    pub fn centered_limits(self) -> [i32; 2] {
        self.limits().map(|limit| limit - self.zero_point)
    }

    /// Returns the code of a number: the nearest, ties to even, between the limits. NaN has the code of zero.
    #[must_use]
    pub fn code(self, number: f64) -> i32 {
        let [low, high] = self.centered_limits().map(f64::from);
        let steps = (number / f64::from(self.scale)).round_ties_even().clamp(low, high);
        // NaN becomes 0.
        steps as i32 + self.zero_point
    }

    /// Returns whether the fields are in their ranges.
    #[must_use]
    pub fn is_sound(self) -> bool {
        (2..=8).contains(&self.bits)
            && self.scale.is_normal()
            && self.scale > 0.0
            && (self.limits()[0]..=self.limits()[1]).contains(&self.zero_point)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_a_code_and_bytes_enter_as_they_are() {
        let check = |range, bits, scale: f32, zero_point| {
            assert_eq!(ValueScale::of_range(range, bits), ValueScale { bits, scale, zero_point });
        };
        check([0.0, 255.0], 8, 1.0, -128);
        check([3.0, 7.0], 3, 1.0, -4);
        check([-8.0, -1.0], 3, 8.0 / 7.0, 3);
        check([-1.0, 1.0], 8, 2.0 / 255.0, -1);
        check([0.0, 0.0], 4, 1.0, -8);
        check([0.0, 1e-44], 4, f32::MIN_POSITIVE, -8);
        let unit = ValueScale::of_range([0.0, 1.0], 8);
        for byte in 0..256 {
            assert_eq!(unit.code(f64::from((f64::from(byte) / 255.0) as f32)), byte - 128);
        }
        assert_eq!([-9.0, 9.0, f64::NAN, 0.5].map(|number| unit.code(number)), [-128, 127, -128, -1]);
    }
}
