//! The end of a sum: nothing, Relu, or the rescaling of integer arithmetic. Knows nothing of the sums.

use crate::backend::own::kernels::lanes::{LANES, Lanes, vectorized};
use crate::integer::multiplier::Multiplier;

/// What becomes of sums before they are stored.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Finish<'a> {
    /// They stay.
    Plain,
    /// Negative sums become 0.
    Rectify,
    /// The rescaling of each output, and the smallest and the largest output.
    Rescale(&'a [Rescaling], [f32; 2]),
}

/// A bias and a multiplier in binary64: an output is ⌊sum · factor + offset⌋.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rescaling {
    factor: f64,
    /// The bias times the factor, and the half that rounds.
    offset: f64,
}

impl Rescaling {
    /// Makes a rescaling. Both numbers are exact: a bias has 31 bits, a multiplier 22.
    pub(crate) fn new(bias: i32, multiplier: Multiplier) -> Self {
        let factor = multiplier.number();
        Self { factor, offset: f64::from(bias).mul_add(factor, 0.5) }
    }

    /// Replaces sums by their outputs. Every step is exact, as far as outputs are within limits.
    #[inline(always)]
    fn apply(self, [low, high]: [f32; 2], line: &mut Lanes) {
        // One operation on all lanes after the other becomes vector instructions of full width.
        let mut wide = [0.0; LANES];
        for (wide, number) in wide.iter_mut().zip(&line.0) {
            *wide = f64::from(*number);
        }
        for wide in &mut wide {
            *wide = wide.mul_add(self.factor, self.offset).floor();
        }
        for (number, wide) in line.0.iter_mut().zip(wide) {
            *number = wide as f32;
        }
        for number in &mut line.0 {
            *number = within(*number, low, high);
        }
    }
}

impl Finish<'_> {
    /// Returns Relu, or nothing.
    pub(crate) fn relu(rectify: bool) -> Self {
        if rectify { Self::Rectify } else { Self::Plain }
    }

    /// Returns whether negative sums become 0.
    #[inline(always)]
    pub(crate) fn rectifies(self) -> bool {
        matches!(self, Self::Rectify)
    }

    /// Returns the end of the sums of a group of outputs.
    #[inline(always)]
    pub(crate) fn of_group(self, group: usize, outputs: usize) -> Self {
        match self {
            Self::Rescale(all, limits) => Self::Rescale(&all[group * outputs..(group + 1) * outputs], limits),
            other => other,
        }
    }

    /// Rescales the lines of the outputs from `first` on, if there is a rescaling.
    #[inline(always)]
    pub(crate) fn rescale(self, first: usize, lines: &mut [Lanes]) {
        if let Self::Rescale(rescalings, limits) = self {
            for (line, rescaling) in lines.iter_mut().zip(&rescalings[first..]) {
                rescaling.apply(limits, line);
            }
        }
    }
}

/// Replaces sums by their outputs, pixel by pixel; there is a rescaling for each output.
pub(crate) fn rescale(y: &mut [Lanes], rescalings: &[Rescaling], limits: [f32; 2]) {
    vectorized(
        y,
        #[inline(always)]
        |y: &mut [Lanes]| {
            for pixel in y.chunks_exact_mut(rescalings.len().max(1)) {
                Finish::Rescale(rescalings, limits).rescale(0, pixel);
            }
        },
    );
}

/// Returns the number, or the limit beyond which it is. Unlike `clamp`, it is two instructions.
#[inline(always)]
pub(crate) fn within<T: PartialOrd>(number: T, low: T, high: T) -> T {
    let number = if number < low { low } else { number };
    if number > high { high } else { number }
}
