//! The shape of activations, and the number of windows that fit on an image. Knows nothing of layers.

use std::fmt;

use crate::network::geometry::{HeightWidth, Padding};

/// The largest number of outputs per image that a layer may have. A larger output comes from a mistake or a
/// hostile file.
const MOST: usize = 1 << 24;

/// The shape of the activations of one image between two layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivationShape {
    /// An image: channels, height, width.
    Image([usize; 3]),
    /// A row of numbers.
    Row(usize),
}

impl fmt::Display for ActivationShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image([channels, height, width]) => write!(f, "{channels} x {height} x {width}"),
            Self::Row(n) => write!(f, "a row of {n}"),
        }
    }
}

impl ActivationShape {
    /// Returns the number of elements.
    #[must_use]
    pub fn len(self) -> usize {
        match self {
            Self::Image(sides) => sides.iter().product(),
            Self::Row(n) => n,
        }
    }

    /// Returns whether the shape has no elements.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Returns the shape of the sum of some shapes, at least one. Errors if they differ.
    pub(crate) fn sum(inputs: &[Self]) -> Result<Self, String> {
        match inputs.iter().find(|input| **input != inputs[0]) {
            None => Ok(inputs[0]),
            Some(other) => Err(format!(
                "its branches give {} and {}; the shapes of a sum must be equal: change the stride or the number of \
             outputs of one branch, or give the shortcut a convolution of 1 x 1",
                inputs[0], other
            )),
        }
    }

    /// Returns the shape of some shapes, at least one, one behind the other along the channels. Errors if their
    /// heights or widths differ.
    pub(crate) fn concatenation(inputs: &[Self]) -> Result<Self, String> {
        let mut all = inputs[0];
        for input in &inputs[1..] {
            all = match (all, *input) {
                (Self::Image([more, height, width]), Self::Image([channels, h, w]))
                    if (h, w) == (height, width) =>
                {
                    Self::Image([more.saturating_add(channels), height, width])
                }
                (Self::Row(more), Self::Row(n)) => Self::Row(more.saturating_add(n)),
                (_, other) => {
                    return Err(format!(
                        "its branches give {} and {other}; they must have the same height and width",
                        inputs[0]
                    ));
                }
            };
        }
        Ok(all)
    }

    /// Returns the number of channels and the count of numbers per channel. Each number of a row is a
    /// channel.
    #[must_use]
    pub fn channels(self) -> (usize, usize) {
        match self {
            Self::Image([channels, height, width]) => (channels, height * width),
            Self::Row(n) => (n, 1),
        }
    }
}

/// A window that moves over an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// Number of pixels that the window sees.
    pub size: HeightWidth,
    /// Pixels between neighbouring places of the window.
    pub stride: HeightWidth,
    /// Pixels beyond the image.
    pub padding: Padding,
    /// Pixels between neighbouring pixels that the window sees.
    pub dilation: HeightWidth,
}

impl Window {
    /// Returns the pixels from the first to the last one that a window sees, along both sides. Errors if the
    /// window is empty or too large.
    pub(crate) fn reach(&self) -> Result<[usize; 2], String> {
        let along = |size: usize, dilation: usize| {
            let reach = size.checked_sub(1).and_then(|gaps| gaps.checked_mul(dilation)?.checked_add(1));
            reach.ok_or_else(|| "it is too large".to_owned())
        };
        Ok([along(self.size.height, self.dilation.height)?, along(self.size.width, self.dilation.width)?])
    }

    /// Returns the number of places of the window on an image of these sides. Errors if it does not fit.
    pub(crate) fn places(&self, image: [usize; 2]) -> Result<[usize; 2], String> {
        let reach = self.reach()?;
        let mut places = [0; 2];
        for side in 0..2 {
            let [before, behind] = self.padding.along(side);
            let pixels = image[side].checked_add(before).and_then(|pixels| pixels.checked_add(behind));
            let pixels = pixels.ok_or("its padding is too large")?;
            if reach[side] > pixels {
                return Err(format!(
                    "its window of {} pixels is larger than the image's {pixels}",
                    reach[side]
                ));
            }
            places[side] = (pixels - reach[side]) / self.stride.both()[side] + 1;
        }
        Ok(places)
    }
}

/// Checks that numbers are at least 1.
pub(crate) fn positive(fields: &[(&str, usize)]) -> Result<(), String> {
    fields
        .iter()
        .find(|(_, value)| *value == 0)
        .map_or(Ok(()), |(name, _)| Err(format!("{name} must be at least 1")))
}

/// Checks that a shape is not larger than a layer may give.
pub(crate) fn bounded(shape: ActivationShape) -> Result<(), String> {
    let sides = match shape {
        ActivationShape::Image(sides) => sides,
        ActivationShape::Row(n) => [n, 1, 1],
    };
    let numbers =
        sides.iter().try_fold(1_usize, |all, side| all.checked_mul(*side)).filter(|all| *all <= MOST);
    numbers.map(|_| ()).ok_or_else(|| format!("it gives more than {MOST} numbers per image"))
}
