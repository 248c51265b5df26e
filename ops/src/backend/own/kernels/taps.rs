//! The geometry of a convolution: the receptive field of each output pixel, and the output pixels that use
//! each input pixel. Knows nothing of weight values or arithmetic. Among the files of the convolution kernel,
//! only this file handles padding and dilation. No list contains a position in the padding, so the kernels
//! never multiply by the zeros of the padding.

use std::ops::Range;

use crate::network::definition::Layer;
use crate::network::geometry::{HeightWidth, Padding};
use crate::network::layer::LayerOp;
use crate::network::shape::ActivationShape;

/// A run of weight-input pairs that is contiguous both in a row of weights and in an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TapRun {
    /// Position of the first number in a row of weights.
    pub weight: usize,
    /// Position of the first number in the image.
    pub source: usize,
    /// Number of pairs.
    pub len: usize,
}

/// The runs of every target pixel; the sum of a target pixel is over the pairs of its runs.
#[derive(Clone, Debug)]
pub(crate) struct TapSums {
    runs: Vec<TapRun>,
    ends: Vec<usize>,
}

/// A rectangle of output pixels that use the same weights at the same relative input positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Patch {
    /// Position of the first weight in a row of weights.
    pub weight: usize,
    /// Number of weights.
    pub len: usize,
    /// Rows of the output.
    pub rows: Range<usize>,
    /// Columns of the output.
    pub columns: Range<usize>,
    /// Position in the image of the input for the first weight and for the output pixel at row 0 and the
    /// first column of the rectangle; negative if that input lies above the image.
    pub source: isize,
}

/// For each target position along one side of the image, pairs of a kernel tap and the source position for
/// that tap.
pub(crate) type TapSide = Vec<Vec<[usize; 2]>>;

/// Neighbouring target positions along the width that use the same taps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TapGroup {
    pub positions: Range<usize>,
    /// The taps of the first position, each with its source position.
    pub taps: Vec<[usize; 2]>,
    /// The distance from the sources of a position to those of the next.
    pub step: usize,
}

impl TapGroup {
    /// Returns the groups of all target positions.
    pub(crate) fn of(side: &TapSide) -> Vec<Self> {
        let mut groups: Vec<Self> = vec![];
        for (at, taps) in side.iter().enumerate() {
            if !groups.last_mut().is_some_and(|last| last.extend(at, taps)) {
                groups.push(Self { positions: at..at + 1, taps: taps.clone(), step: 0 });
            }
        }
        groups
    }

    /// Takes the next position into the group, if it fits. The second position fixes the step.
    fn extend(&mut self, at: usize, taps: &[[usize; 2]]) -> bool {
        let distance = at - self.positions.start;
        let moved = |(first, tap): (&[usize; 2], &[usize; 2])| {
            let moved = tap[1].checked_sub(first[1]).filter(|_| first[0] == tap[0]);
            moved.filter(|moved| moved % distance == 0).map(|moved| moved / distance)
        };
        let mut steps = self.taps.iter().zip(taps).map(moved);
        let step = steps.next().unwrap_or(Some(0));
        let fits = taps.len() == self.taps.len()
            && step.is_some()
            && steps.all(|other| other == step)
            && (distance == 1 || step == Some(self.step));
        if fits {
            self.positions.end = at + 1;
            self.step = step.unwrap_or(0);
        }
        fits
    }
}

/// The sizes of a convolution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taps {
    /// Channels of one group, height and width of the image.
    pub input: [usize; 3],
    /// Channels of one group, height and width of the output.
    pub output: [usize; 3],
    pub groups: usize,
    pub kernel: HeightWidth,
    pub stride: HeightWidth,
    padding: Padding,
    dilation: HeightWidth,
}

impl TapSums {
    /// Returns the runs of each target pixel, row by row.
    pub(crate) fn pixels(&self) -> impl Iterator<Item = &[TapRun]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.runs[start..*end])
    }
}

impl Taps {
    /// Returns the taps of a convolution; `None` for any other layer.
    pub(crate) fn new(layer: &Layer) -> Option<Self> {
        match (layer.op, layer.input(), layer.output) {
            (
                LayerOp::Conv { kernel, stride, padding, dilation, groups, .. },
                ActivationShape::Image([channels, height, width]),
                ActivationShape::Image([out, rows, columns]),
            ) => Some(Self {
                input: [channels / groups, height, width],
                output: [out / groups, rows, columns],
                groups,
                kernel,
                stride,
                padding,
                dilation,
            }),
            _ => None,
        }
    }

    /// Returns the taps of a convolution of groups of `input` channels to groups of `outputs` channels, with kernel,
    /// stride and dilation.
    #[cfg(test)]
    pub(crate) fn sized(
        input: [usize; 3],
        outputs: usize,
        groups: usize,
        [kernel, stride, dilation]: [[usize; 2]; 3],
        padding: Padding,
    ) -> Self {
        let side = |side: usize| {
            let padded = input[1 + side] + padding.along(side).iter().sum::<usize>();
            (padded - (kernel[side] - 1) * dilation[side] - 1) / stride[side] + 1
        };
        let output = [outputs, side(0), side(1)];
        let [kernel, stride, dilation] = [kernel, stride, dilation].map(HeightWidth::from);
        Self { input, output, groups, kernel, stride, padding, dilation }
    }

    /// Returns the numbers of an image, of all groups.
    #[cfg(test)]
    pub(crate) fn inputs(&self) -> usize {
        self.groups * self.input.iter().product::<usize>()
    }

    /// Returns the numbers of an image's output, of all groups.
    #[cfg(test)]
    pub(crate) fn outputs(&self) -> usize {
        self.groups * self.output.iter().product::<usize>()
    }

    /// Returns the runs of every output pixel. A row of weights has the order kernel row, kernel column,
    /// input channel.
    pub(crate) fn forward(&self) -> TapSums {
        let [channels, _, width] = self.input;
        let place = |[down, right]: [usize; 2]| down * self.kernel.width + right;
        self.sums(&self.side(0), &self.side(1), channels, width, place)
    }

    /// Returns the runs of the gradient at every input pixel. A row of weights has the order kernel row,
    /// kernel column from right to left, output channel.
    pub(crate) fn backward(&self) -> TapSums {
        let [channels, _, width] = self.output;
        let [rows, columns] = [0, 1].map(|side| self.side_backward(side));
        let columns_of_kernel = self.kernel.width;
        let place = |[down, right]: [usize; 2]| (down + 1) * columns_of_kernel - 1 - right;
        self.sums(&rows, &columns, channels, width, place)
    }

    /// Returns the rectangles of output pixels that share weights. Together, the rectangles contain every use
    /// of every weight exactly once.
    pub(crate) fn patches(&self) -> Vec<Patch> {
        let [channels, _, width] = self.input;
        let all = channels * self.groups;
        let (rows, columns) = (self.side(0), self.side(1));
        let mut patches = vec![];
        for down in 0..self.kernel.height {
            let reached = |taps: &Vec<[usize; 2]>| taps.iter().any(|[tap, _]| *tap == down);
            let Some(top) = rows.iter().position(reached) else { continue };
            let bottom = rows.iter().rposition(reached).map_or(top, |last| last + 1);
            let above = (down * self.dilation.height) as isize - self.padding.top as isize;
            let mut from = 0;
            while from < columns.len() {
                let taps = |column: usize| columns[column].iter().map(|[tap, _]| *tap);
                let to = (from..columns.len()).find(|to| !taps(*to).eq(taps(from))).unwrap_or(columns.len());
                let mut runs = vec![];
                for [right, source] in &columns[from] {
                    let weight = (down * self.kernel.width + right) * channels;
                    self.extend(&mut runs, TapRun { weight, source: source * all, len: channels });
                }
                patches.extend(runs.into_iter().map(|TapRun { weight, source, len }| Patch {
                    weight,
                    len,
                    rows: top..bottom,
                    columns: from..to,
                    source: above * (width * all) as isize + source as isize,
                }));
                from = to;
            }
        }
        patches
    }

    /// Returns the distance in the image between the inputs of two adjacent output pixels: one below the
    /// other, and side by side.
    pub(crate) fn steps(&self) -> [usize; 2] {
        let pixel = self.input[0] * self.groups;
        [self.stride.height * self.input[2] * pixel, self.stride.width * pixel]
    }

    fn sums(
        &self,
        rows: &TapSide,
        columns: &TapSide,
        channels: usize,
        width: usize,
        place: impl Fn([usize; 2]) -> usize,
    ) -> TapSums {
        let mut sums = TapSums { runs: vec![], ends: vec![] };
        for row in rows {
            for column in columns {
                let mut runs = vec![];
                for [down, y] in row {
                    for [right, x] in column {
                        let weight = place([*down, *right]) * channels;
                        let source = (y * width + x) * channels * self.groups;
                        self.extend(&mut runs, TapRun { weight, source, len: channels });
                    }
                }
                sums.runs.append(&mut runs);
                sums.ends.push(sums.runs.len());
            }
        }
        sums
    }

    /// Appends a run. With a single group, a run that continues the last run extends the last run instead.
    fn extend(&self, runs: &mut Vec<TapRun>, next: TapRun) {
        match runs.last_mut() {
            Some(last)
                if self.groups == 1
                    && last.weight + last.len == next.weight
                    && last.source + last.len == next.source =>
            {
                last.len += next.len;
            }
            _ => runs.push(next),
        }
    }

    /// Returns the taps of every input position along the height (0) or the width (1), each with the output position
    /// that uses it, in the order of those positions.
    pub(crate) fn side_backward(&self, side: usize) -> TapSide {
        let mut turned: TapSide = vec![vec![]; self.input[1 + side]];
        for (output, taps) in self.side(side).into_iter().enumerate() {
            for [tap, source] in taps {
                turned[source].push([tap, output]);
            }
        }
        turned
    }

    /// Returns the taps of every output position along the height (0) or the width (1), each with its
    /// position in the image.
    pub(crate) fn side(&self, side: usize) -> TapSide {
        let (input, output) = (self.input[1 + side], self.output[1 + side]);
        let of = |pair: HeightWidth| pair.both()[side];
        let (kernel, stride, dilation) = (of(self.kernel), of(self.stride), of(self.dilation));
        let [before, _] = self.padding.along(side);
        let taps = |output: usize| {
            let places = (0..kernel).map(move |tap| (tap, output * stride + tap * dilation));
            places
                .filter_map(|(tap, place)| Some([tap, place.checked_sub(before)?]))
                .filter(|[_, place]| *place < input)
                .collect()
        };
        (0..output).map(taps).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taps(input: [usize; 3], output: [usize; 3], kernel: usize, padding: usize) -> Taps {
        let (kernel, one) = (HeightWidth::square(kernel), HeightWidth::square(1));
        let padding = Padding::all(padding);
        Taps { input, output, groups: 1, kernel, stride: one, padding, dilation: one }
    }

    #[test]
    fn taps_side_by_side_are_one_run() {
        let taps = taps([2, 3, 4], [1, 3, 4], 3, 1);
        let forward = taps.forward();
        let pixels: Vec<&[TapRun]> = forward.pixels().collect();
        assert_eq!(
            pixels[0],
            [TapRun { weight: 8, source: 0, len: 4 }, TapRun { weight: 14, source: 8, len: 4 }],
            "the corner has two taps in two rows"
        );
        assert_eq!(pixels[5].len(), 3);
        assert_eq!(pixels[5][0], TapRun { weight: 0, source: 0, len: 6 });
        let backward = taps.backward();
        assert_eq!(backward.pixels().nth(5).unwrap()[0], TapRun { weight: 6, source: 0, len: 3 });
    }

    #[test]
    fn every_use_of_a_weight_is_in_one_patch() {
        let cases = [
            // Kernel, stride, padding, dilation, groups.
            ([3, 3], [1, 1], [1, 1, 1, 1], [1, 1], 1),
            ([3, 3], [2, 2], [1, 1, 1, 1], [1, 1], 1),
            ([3, 3], [1, 1], [1, 1, 1, 1], [2, 2], 1),
            ([3, 3], [2, 2], [1, 1, 1, 1], [1, 1], 2),
            ([3, 3], [3, 3], [1, 1, 1, 1], [2, 2], 1),
            ([3, 2], [2, 1], [0, 1, 2, 0], [1, 2], 1),
            ([1, 4], [1, 3], [0, 0, 0, 3], [1, 1], 3),
        ];
        for (kernel, stride, padding, dilation, groups) in cases {
            let padding = Padding::from(padding);
            let taps = Taps::sized([2, 7, 6], 3, groups, [kernel, stride, dilation], padding);
            let mut uses: Vec<[usize; 3]> = vec![];
            for (pixel, runs) in taps.forward().pixels().enumerate() {
                for run in runs {
                    uses.extend((0..run.len).map(|at| [pixel, run.weight + at, run.source + at]));
                }
            }
            let [down, across] = taps.steps();
            let mut found: Vec<[usize; 3]> = vec![];
            for patch in taps.patches() {
                for row in patch.rows.clone() {
                    for column in patch.columns.clone() {
                        let moved = row * down + (column - patch.columns.start) * across;
                        let source = patch.source + moved as isize;
                        let pixel = row * taps.output[2] + column;
                        found.extend(
                            (0..patch.len).map(|at| [pixel, patch.weight + at, source as usize + at]),
                        );
                    }
                }
            }
            uses.sort_unstable();
            found.sort_unstable();
            assert_eq!(uses, found);
        }
    }
}
