//! The layers that join branches: sums and concatenations along the channels. Knows nothing of the branches.

use crate::backend::own::kernels::lanes::{LANES, Lanes, vectorized};
use crate::backend::own::kernels::relu;

/// Lines of a sum that stay in the first-level cache.
const LINES: usize = 1 << 8;

/// Adds `x` to `y`.
pub(crate) fn add(x: &[Lanes], y: &mut [Lanes]) {
    vectorized(
        y,
        #[inline(always)]
        |y: &mut [Lanes]| {
            for (y, x) in y.iter_mut().zip(x) {
                for lane in 0..LANES {
                    y.0[lane] += x.0[lane];
                }
            }
        },
    );
}

/// Writes the sum of all inputs, from the first to the last. With `rectify`, negative sums become 0.
pub(crate) fn sum(inputs: &[&[Lanes]], rectify: bool, y: &mut [Lanes]) {
    y.chunks_mut(LINES).enumerate().for_each(|(part, y)| {
        // A part stays in the cache while it is written several times.
        let lines = part * LINES..part * LINES + y.len();
        y.copy_from_slice(&inputs[0][lines.clone()]);
        inputs[1..].iter().for_each(|x| add(&x[lines.clone()], y));
        if rectify {
            relu::apply(y);
        }
    });
}

/// The place of one branch among the channels of a concatenation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// The first channel of the branch, and the number of its channels.
    pub first: usize,
    pub channels: usize,
    /// The number of channels of all branches.
    pub all: usize,
}

impl Slot {
    /// Returns the places of branches with these numbers of channels.
    pub(crate) fn of(channels: &[usize]) -> Vec<Self> {
        let all = channels.iter().sum();
        let first = |branch: usize| channels[..branch].iter().sum();
        channels
            .iter()
            .enumerate()
            .map(|(branch, &channels)| Self { first: first(branch), channels, all })
            .collect()
    }

    /// Writes the numbers of the branch to its channels of the concatenation.
    pub(crate) fn apply(self, x: &[Lanes], y: &mut [Lanes]) {
        for (x, y) in x.chunks_exact(self.channels).zip(y.chunks_exact_mut(self.all)) {
            y[self.first..self.first + self.channels].copy_from_slice(x);
        }
    }

    /// Writes the gradient at the branch.
    pub(crate) fn backward(self, dy: &[Lanes], dx: &mut [Lanes]) {
        for (dx, dy) in dx.chunks_exact_mut(self.channels).zip(dy.chunks_exact(self.all)) {
            dx.copy_from_slice(&dy[self.first..self.first + self.channels]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_lie_one_behind_the_other() {
        let line = |number: f32| Lanes([number; LANES]);
        let slots = Slot::of(&[2, 1]);
        let mut y = vec![Lanes::ZERO; 6];
        slots[0].apply(&[1.0, 2.0, 3.0, 4.0].map(line), &mut y);
        slots[1].apply(&[5.0, 6.0].map(line), &mut y);
        assert_eq!(y, [1.0, 2.0, 5.0, 3.0, 4.0, 6.0].map(line));
        let mut dx = vec![Lanes::ZERO; 2];
        slots[1].backward(&y, &mut dx);
        assert_eq!(dx, [5.0, 6.0].map(line));
    }
}
