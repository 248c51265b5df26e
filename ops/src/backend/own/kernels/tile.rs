//! The kernel of every matrix product: a register tile sums a few rows of weights times lines of numbers.
//! Knows nothing of layers.
//!
//! A sum is one chain of fused multiply-adds in the given order, each rounded once, from a start value. The
//! bits of a sum do not depend on the instruction set, the vector width, the division of the work or the
//! other images. Processors without a fused instruction compute the same bits in software, slowly.
//!
//! The only `unsafe` of this crate is in [`add_products`], which reads rows without a bounds check at each
//! step. Before the first step, the function slices every row to the length of the source and panics if a row
//! is shorter.

use pulp::{Arch, Simd, WithSimd, bytemuck};

use crate::backend::own::kernels::lanes::{LANES, Lanes};

/// The sums of a register tile: for each of M rows, V vectors with one sum for each of the
/// [`LANES`](crate::backend::own::kernels::lanes::LANES) images of a block.
pub(crate) type TileSums<F, const M: usize, const V: usize> = [[F; V]; M];

/// Where sums start.
#[derive(Clone, Copy)]
pub(crate) enum Start<'a> {
    Zero,
    /// One number per row.
    Bias(&'a [f32]),
    /// The numbers of the target, which the sums replace.
    Target,
}

impl Start<'_> {
    /// Returns the sums of the rows from `row` on, with their target.
    #[inline(always)]
    pub(crate) fn sums<S: Simd, const M: usize, const V: usize>(
        self,
        simd: S,
        row: usize,
        target: &[Lanes],
    ) -> TileSums<S::f32s, M, V> {
        match self {
            Self::Zero => splat::<S, M, V>(simd, |_| 0.0),
            Self::Bias(bias) => splat::<S, M, V>(simd, |m| bias[row + m]),
            Self::Target => load_all::<S, M, V>(target),
        }
    }
}

/// A computation that runs with the widest vectors of the processor.
pub(crate) trait VectorKernel {
    /// Runs the computation; a line is V vectors. The method and all functions in its body must be inlined,
    /// because the compiler makes vector instructions of inlined code only.
    fn run<S: Simd, const V: usize>(self, simd: S);
}

/// A computation over rows of weights, a register tile of M rows at a time.
pub(crate) trait WeightRows {
    /// The most rows of a tile on processors with 32 registers of 16 lanes: 16 where the weights of a step lie side by
    /// side, 12 where each row needs an address register.
    const MOST: usize = 12;

    /// Processes M rows, starting at row `first`.
    fn tile<S: Simd, const M: usize, const V: usize>(&mut self, simd: S, first: usize);
}

/// Runs a computation with the widest vectors of the processor.
pub(crate) fn compute(work: impl VectorKernel) {
    Arch::new().dispatch(Widest(work));
}

struct Widest<W>(W);

impl<W: VectorKernel> WithSimd for Widest<W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // The conditions are constants, so the compiler keeps only the branch of the instruction set.
        if const { S::F32_LANES == 16 } {
            self.0.run::<S, 1>(simd);
        } else if const { S::F32_LANES == 8 } {
            self.0.run::<S, 2>(simd);
        } else if const { S::F32_LANES == 4 } {
            self.0.run::<S, 4>(simd);
        } else {
            self.0.run::<S, 16>(simd);
        }
    }
}

/// Processes all rows in register tiles of about equal height. The sums of a tile fit the registers of the
/// processor: 16 registers of 8 lanes, or 32 registers of 16 or 4 lanes.
#[inline(always)]
pub(crate) fn tiles<S: Simd, const V: usize>(simd: S, rows: usize, each: &mut impl WeightRows) {
    let most = if const { V == 1 } { most_rows(each) } else { 6 };
    let count = rows.div_ceil(most);
    let mut first = 0;
    for tile in 0..count {
        let height = rows / count + usize::from(tile < rows % count);
        if const { V == 1 } {
            match height {
                7 => each.tile::<S, 7, V>(simd, first),
                8 => each.tile::<S, 8, V>(simd, first),
                9 => each.tile::<S, 9, V>(simd, first),
                10 => each.tile::<S, 10, V>(simd, first),
                11 => each.tile::<S, 11, V>(simd, first),
                12 => each.tile::<S, 12, V>(simd, first),
                13 => each.tile::<S, 13, V>(simd, first),
                14 => each.tile::<S, 14, V>(simd, first),
                15 => each.tile::<S, 15, V>(simd, first),
                16 => each.tile::<S, 16, V>(simd, first),
                _ => {}
            }
        }
        match height {
            1 => each.tile::<S, 1, V>(simd, first),
            2 => each.tile::<S, 2, V>(simd, first),
            3 => each.tile::<S, 3, V>(simd, first),
            4 => each.tile::<S, 4, V>(simd, first),
            5 => each.tile::<S, 5, V>(simd, first),
            6 => each.tile::<S, 6, V>(simd, first),
            _ => {}
        }
        first += height;
    }
}

#[inline(always)]
fn most_rows<W: WeightRows>(_: &W) -> usize {
    W::MOST
}

/// Adds Σₖ columns[k][m] · source[k] to the sums, with k ascending. The shorter of `columns` and `source` ends the sum.
#[inline(always)]
pub(crate) fn add_column_products<S: Simd, const M: usize, const V: usize>(
    simd: S,
    sums: &mut TileSums<S::f32s, M, V>,
    columns: &[[f32; M]],
    source: &[Lanes],
) {
    let mut all = *sums;
    for (column, line) in columns.iter().zip(source) {
        let line = load::<S, V>(line);
        for (sums, weight) in all.iter_mut().zip(column) {
            let weight = simd.splat_f32s(*weight);
            for (sum, numbers) in sums.iter_mut().zip(line) {
                *sum = simd.mul_add_f32s(weight, numbers, *sum);
            }
        }
    }
    *sums = all;
}

/// Adds Σₖ lines[m][k] · source[k] to the sums, with k ascending over the numbers of a line.
#[inline(always)]
pub(crate) fn add_line_products<S: Simd, const M: usize, const V: usize>(
    simd: S,
    sums: &mut TileSums<S::f32s, M, V>,
    lines: &[Lanes],
    source: &[Lanes],
) {
    let (Some(lines), Some(source)) = (lines.first_chunk::<M>(), source.first_chunk::<LANES>()) else {
        return;
    };
    let mut all = *sums;
    for (k, line) in source.iter().enumerate() {
        let line = load::<S, V>(line);
        for (sums, numbers) in all.iter_mut().zip(lines) {
            let number = simd.splat_f32s(numbers.0[k]);
            for (sum, numbers) in sums.iter_mut().zip(line) {
                *sum = simd.mul_add_f32s(number, numbers, *sum);
            }
        }
    }
    *sums = all;
}

/// Adds Σₖ rows[m][k] · source[k] to the sums, with k ascending.
///
/// # Panics
///
/// Panics if a row is shorter than the source.
#[inline(always)]
#[allow(unsafe_code)]
pub(crate) fn add_products<S: Simd, const M: usize, const V: usize>(
    simd: S,
    sums: &mut TileSums<S::f32s, M, V>,
    rows: [&[f32]; M],
    source: &[Lanes],
) {
    let rows = rows.map(|row| &row[..source.len()]);
    let mut all = *sums;
    for (k, line) in source.iter().enumerate() {
        let line = load::<S, V>(line);
        for (sums, row) in all.iter_mut().zip(rows) {
            // SAFETY: k is below the length of `source`, and every row above is a slice of that length. The
            // compiler does not prove the bound and would check M rows at every step, which takes a tenth to
            // a quarter longer.
            let weight = simd.splat_f32s(unsafe { *row.get_unchecked(k) });
            for (sum, numbers) in sums.iter_mut().zip(line) {
                *sum = simd.mul_add_f32s(weight, numbers, *sum);
            }
        }
    }
    *sums = all;
}

/// Returns sums that start at `number(m)` for row m.
#[inline(always)]
pub(crate) fn splat<S: Simd, const M: usize, const V: usize>(
    simd: S,
    number: impl Fn(usize) -> f32,
) -> TileSums<S::f32s, M, V> {
    std::array::from_fn(|m| [simd.splat_f32s(number(m)); V])
}

/// Returns sums that start at the numbers of the lines.
#[inline(always)]
pub(crate) fn load_all<S: Simd, const M: usize, const V: usize>(lines: &[Lanes]) -> TileSums<S::f32s, M, V> {
    let lines = &lines[..M];
    std::array::from_fn(|m| load::<S, V>(&lines[m]))
}

/// Writes sums as lines. With `rectify`, negative sums become 0; NaN stays NaN.
#[inline(always)]
pub(crate) fn store_all<S: Simd, const M: usize, const V: usize>(
    simd: S,
    sums: TileSums<S::f32s, M, V>,
    rectify: bool,
    lines: &mut [Lanes],
) {
    for (line, sums) in lines[..M].iter_mut().zip(sums) {
        let vectors: &mut [S::f32s] = bytemuck::cast_slice_mut(&mut line.0);
        for (vector, sum) in vectors.iter_mut().zip(sums) {
            let zero = simd.splat_f32s(0.0);
            *vector = if rectify { simd.select_f32s(simd.less_than_f32s(sum, zero), zero, sum) } else { sum };
        }
    }
}

/// Returns the vectors of a line.
#[inline(always)]
pub(crate) fn load<S: Simd, const V: usize>(line: &Lanes) -> [S::f32s; V] {
    let vectors: &[S::f32s] = bytemuck::cast_slice(&line.0);
    let vectors = &vectors[..V];
    std::array::from_fn(|v| vectors[v])
}

#[cfg(test)]
mod tests {
    use pulp::Scalar;

    use super::*;
    use crate::backend::own::kernels::lanes::LANES;

    /// Computes the products by definition: each sum is one chain of fused multiply-adds, and negative sums
    /// become 0.
    fn expected(rows: &[Vec<f32>], start: &[f32], source: &[Lanes]) -> Vec<Lanes> {
        let chain = |row: &Vec<f32>, start: f32, lane: usize| {
            row.iter().zip(source).fold(start, |sum, (weight, line)| weight.mul_add(line.0[lane], sum))
        };
        let line = |(row, start): (&Vec<f32>, &f32)| {
            let sums = std::array::from_fn(|lane| chain(row, *start, lane));
            Lanes(sums.map(|sum: f32| if sum < 0.0 { 0.0 } else { sum }))
        };
        rows.iter().zip(start).map(line).collect()
    }

    struct Case<'a> {
        rows: &'a [Vec<f32>],
        start: &'a [f32],
        source: &'a [Lanes],
        out: &'a mut [Lanes],
    }

    impl VectorKernel for Case<'_> {
        #[inline(always)]
        fn run<S: Simd, const V: usize>(mut self, simd: S) {
            let rows = self.rows.len();
            tiles::<S, V>(simd, rows, &mut self);
        }
    }

    impl WeightRows for Case<'_> {
        #[inline(always)]
        fn tile<S: Simd, const M: usize, const V: usize>(&mut self, simd: S, first: usize) {
            let mut sums = splat::<S, M, V>(simd, |m| self.start[first + m]);
            // The second call continues from the stored sums of the first call.
            let half = self.source.len() / 2;
            let rows = |from: usize, to: usize| std::array::from_fn(|m| &self.rows[first + m][from..to]);
            add_products(simd, &mut sums, rows(0, half), &self.source[..half]);
            store_all(simd, sums, false, &mut self.out[first..first + M]);
            sums = load_all::<S, M, V>(&self.out[first..]);
            add_products(simd, &mut sums, rows(half, self.source.len()), &self.source[half..]);
            store_all(simd, sums, true, &mut self.out[first..first + M]);
        }
    }

    #[test]
    fn products_have_the_bits_of_their_definition_on_every_instruction_set() {
        let number = |at: usize| ((at * 7919 % 2003) as f32 - 1001.0) / 300.0;
        for height in 1..30 {
            let rows: Vec<Vec<f32>> =
                (0..height).map(|row| (0..37).map(|k| number(row * 37 + k)).collect()).collect();
            let start: Vec<f32> = (0..height).map(|row| number(row + 5)).collect();
            let source: Vec<Lanes> =
                (0..37).map(|k| Lanes(std::array::from_fn(|lane| number(k * LANES + lane + 11)))).collect();
            let expected = expected(&rows, &start, &source);
            let mut out = vec![Lanes([f32::NAN; LANES]); height];
            compute(Case { rows: &rows, start: &start, source: &source, out: &mut out });
            assert_eq!(out, expected);
            out.fill(Lanes([f32::NAN; LANES]));
            Widest(Case { rows: &rows, start: &start, source: &source, out: &mut out }).with_simd(Scalar);
            assert_eq!(out, expected);
        }
    }

    #[test]
    #[should_panic(expected = "out of range")]
    fn a_row_that_is_too_short_is_refused() {
        let mut out = [Lanes::ZERO];
        let rows = [vec![1.0; 5]];
        compute(Case { rows: &rows, start: &[0.0], source: &[Lanes::ZERO; 6], out: &mut out });
    }
}
