//! The range of the numbers that a network takes, as far as it is known before anything runs.
//! Knows no network and no dataset.

/// The least and the largest of some finite numbers. Ports are compared and hashed, so it holds their bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InputRange([u32; 2]);

impl InputRange {
    /// Returns the range of some numbers; `None` without a finite one.
    pub(crate) fn of(numbers: impl IntoIterator<Item = f32>) -> Option<Self> {
        let finite = numbers.into_iter().filter(|number| number.is_finite());
        let ends = finite.fold(None, |ends: Option<(f32, f32)>, number| {
            Some(ends.map_or((number, number), |(low, high)| (low.min(number), high.max(number))))
        });
        ends.map(|(low, high)| Self([low.to_bits(), high.to_bits()]))
    }

    /// Returns the least and the largest number.
    #[must_use]
    pub fn ends(self) -> (f32, f32) {
        (f32::from_bits(self.0[0]), f32::from_bits(self.0[1]))
    }

    /// Returns whether the two ranges probably come from different normalizations: one range is more than four times the
    /// other, or only one has negative numbers that count.
    pub(crate) fn is_unlike(self, other: Self) -> bool {
        /// Numbers above this share of the largest count.
        const SHARE: f32 = 0.05;
        let size = |(low, high): (f32, f32)| low.abs().max(high.abs());
        let (one, two) = (self.ends(), other.ends());
        let is_signed = |ends: (f32, f32)| ends.0 < -SHARE * size(ends);
        size(one) > 4.0 * size(two) || size(two) > 4.0 * size(one) || is_signed(one) != is_signed(two)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_other_preparations_are_unlike() {
        let range = |low, high| InputRange::of([high, low, f32::NAN]).unwrap();
        let (unit, bytes, standard) = (range(0.0, 1.0), range(0.0, 255.0), range(-2.1, 2.6));
        assert_eq!(standard.ends(), (-2.1, 2.6));
        assert!(unit.is_unlike(bytes) && bytes.is_unlike(unit) && unit.is_unlike(standard));
        assert!(!unit.is_unlike(range(0.01, 0.98)) && !standard.is_unlike(range(-3.9, 4.2)));
        assert_eq!(InputRange::of([f32::NAN]), None);
    }
}
