//! Numbers along the two sides of an image: of kernels, strides, dilations and paddings. Knows nothing of
//! layers.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number along the height and one along the width. Its text is one number where both are equal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HeightWidth {
    /// Along the height.
    pub height: usize,
    /// Along the width.
    pub width: usize,
}

impl HeightWidth {
    /// Makes the same number along both sides.
    #[must_use]
    pub const fn square(side: usize) -> Self {
        Self { height: side, width: side }
    }

    /// Returns both numbers, that of the height first.
    #[must_use]
    pub fn both(self) -> [usize; 2] {
        [self.height, self.width]
    }

    /// Returns the product of both numbers, or the largest number that there is.
    #[must_use]
    pub fn area(self) -> usize {
        self.height.saturating_mul(self.width)
    }
}

impl From<[usize; 2]> for HeightWidth {
    fn from([height, width]: [usize; 2]) -> Self {
        Self { height, width }
    }
}

impl fmt::Debug for HeightWidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_short(&self.both(), f)
    }
}

impl Serialize for HeightWidth {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_short(&self.both(), serializer)
    }
}

impl<'de> Deserialize<'de> for HeightWidth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        OneOrEach::deserialize(deserializer).map(|read| read.each().into())
    }
}

/// Pixels that a window sees beyond each edge of an image. Its text is one number where all are equal.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Padding {
    /// Above the image.
    pub top: usize,
    /// Left of the image.
    pub left: usize,
    /// Below the image.
    pub bottom: usize,
    /// Right of the image.
    pub right: usize,
}

impl Padding {
    /// Makes the same padding at every edge.
    #[must_use]
    pub const fn all(pixels: usize) -> Self {
        Self { top: pixels, left: pixels, bottom: pixels, right: pixels }
    }

    /// Returns whether there is no padding.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the pixels in the order top, left, bottom, right.
    #[must_use]
    pub fn edges(self) -> [usize; 4] {
        [self.top, self.left, self.bottom, self.right]
    }

    /// Returns the padding along a side: before its first pixel and behind its last one. Side 0 is the height,
    /// side 1 the width.
    #[must_use]
    pub fn along(self, side: usize) -> [usize; 2] {
        if side == 0 { [self.top, self.bottom] } else { [self.left, self.right] }
    }

    /// Returns the padding for which windows of `reach` pixels, `stride` pixels apart, give
    /// ceil(length / stride) outputs along each side; the odd pixel lies behind. This is the rule of ONNX's
    /// `SAME_UPPER` and of TensorFlow's `SAME`.
    #[must_use]
    pub fn same(length: [usize; 2], reach: [usize; 2], stride: [usize; 2]) -> Self {
        let along = |side: usize| {
            let outputs = length[side].div_ceil(stride[side].max(1));
            let covered = outputs.saturating_sub(1).saturating_mul(stride[side]).saturating_add(reach[side]);
            let pixels = covered.saturating_sub(length[side]);
            [pixels / 2, pixels - pixels / 2]
        };
        let ([top, bottom], [left, right]) = (along(0), along(1));
        Self { top, left, bottom, right }
    }
}

impl From<[usize; 4]> for Padding {
    fn from([top, left, bottom, right]: [usize; 4]) -> Self {
        Self { top, left, bottom, right }
    }
}

impl fmt::Debug for Padding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_short(&self.edges(), f)
    }
}

impl Serialize for Padding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_short(&self.edges(), serializer)
    }
}

impl<'de> Deserialize<'de> for Padding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        OneOrEach::deserialize(deserializer).map(|read| read.each().into())
    }
}

/// A padding as written in an experiment.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
pub enum PaddingSpec {
    /// The padding of [`Padding::same`].
    Same,
    /// These pixels.
    #[serde(untagged)]
    Pixels(Padding),
}

impl Default for PaddingSpec {
    fn default() -> Self {
        Self::Pixels(Padding::default())
    }
}

impl PaddingSpec {
    /// Returns whether there is no padding, whatever the image.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the pixels for an image and windows of `reach` pixels.
    #[must_use]
    pub fn pixels(self, length: [usize; 2], reach: [usize; 2], stride: [usize; 2]) -> Padding {
        match self {
            Self::Pixels(padding) => padding,
            Self::Same => Padding::same(length, reach, stride),
        }
    }
}

impl fmt::Debug for PaddingSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pixels(padding) => padding.fmt(f),
            Self::Same => f.write_str("Same"),
        }
    }
}

/// One number for all sides or edges, or one for each.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrEach<const N: usize>
where
    [usize; N]: for<'d> Deserialize<'d>,
{
    One(usize),
    Each([usize; N]),
}

impl<const N: usize> OneOrEach<N>
where
    [usize; N]: for<'d> Deserialize<'d>,
{
    fn each(self) -> [usize; N] {
        match self {
            Self::One(number) => [number; N],
            Self::Each(numbers) => numbers,
        }
    }
}

fn is_one(numbers: &[usize]) -> bool {
    numbers.iter().all(|number| *number == numbers[0])
}

fn write_short(numbers: &[usize], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if is_one(numbers) { fmt::Debug::fmt(&numbers[0], f) } else { f.debug_list().entries(numbers).finish() }
}

fn serialize_short<S: Serializer>(numbers: &[usize], serializer: S) -> Result<S::Ok, S::Error> {
    if is_one(numbers) { numbers[0].serialize(serializer) } else { numbers.serialize(serializer) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_are_written_as_one() {
        let check = |padding: Padding, text: &str| {
            assert_eq!(serde_json::to_string(&padding).unwrap(), text);
            assert_eq!(serde_json::from_str::<Padding>(text).unwrap(), padding);
            assert_eq!(serde_json::to_string(&PaddingSpec::Pixels(padding)).unwrap(), text);
        };
        check(Padding::all(2), "2");
        check([0, 1, 0, 1].into(), "[0,1,0,1]");
        let kernel = HeightWidth { height: 3, width: 1 };
        assert_eq!(serde_json::to_string(&kernel).unwrap(), "[3,1]");
        assert_eq!(serde_json::from_str::<HeightWidth>("[3,1]").unwrap(), kernel);
        assert_eq!(serde_json::from_str::<HeightWidth>("3").unwrap(), HeightWidth::square(3));
        assert!(serde_json::from_str::<HeightWidth>("[3]").is_err());
        assert_eq!(serde_json::to_string(&PaddingSpec::Same).unwrap(), "\"Same\"");
    }

    /// The expected numbers follow from ONNX's formula for `SAME_UPPER`, by hand.
    #[test]
    fn the_odd_pixel_of_same_lies_behind() {
        let same = |length, reach, stride| Padding::same([length; 2], [reach; 2], [stride; 2]).along(0);
        assert_eq!(same(32, 3, 1), [1, 1]);
        assert_eq!(same(32, 3, 2), [0, 1]);
        assert_eq!(same(32, 1, 2), [0, 0]);
        assert_eq!(same(49, 10, 2), [4, 5]);
        assert_eq!(same(7, 2, 3), [0, 1]);
    }
}
