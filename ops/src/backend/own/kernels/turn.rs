//! The transposition of sixteen lines in registers: sixteen numbers of sixteen images become one line per image.
//! Knows nothing of layers. Compilers make gathers and scatters of the plain loops, which are several times slower.

use pulp::{Simd, bytemuck};

use crate::backend::own::kernels::lanes::{LANES, Lanes};
use crate::backend::own::kernels::tile::load;

/// Vectors of sixteen lines, each of V vectors.
type Square<F, const V: usize> = [[F; V]; LANES];

/// Transposes at most 16 lines to one line per image. Numbers of missing lines are 0.
#[inline(always)]
pub(crate) fn turn<S: Simd, const V: usize>(simd: S, from: &[Lanes], to: &mut [Lanes; LANES]) {
    let mut square: Square<S::f32s, V> = [[simd.splat_f32s(0.0); V]; LANES];
    for (vectors, line) in square.iter_mut().zip(from) {
        *vectors = load::<S, V>(line);
    }
    // A transposition exchanges the numbers of a line and of a place in it; it can do so bit by bit.
    exchange::<S, V, 8>(simd, &mut square);
    exchange::<S, V, 4>(simd, &mut square);
    exchange::<S, V, 2>(simd, &mut square);
    exchange::<S, V, 1>(simd, &mut square);
    for (line, vectors) in to.iter_mut().zip(square) {
        bytemuck::cast_slice_mut::<f32, S::f32s>(&mut line.0).copy_from_slice(&vectors);
    }
}

/// Exchanges one bit of the numbers of lines and places: line i, place j with the bit set only in j changes with line
/// i + BIT, place j − BIT. The loops are plain, because the compiler does not inline closures of array functions here.
#[inline(always)]
fn exchange<S: Simd, const V: usize, const BIT: usize>(simd: S, square: &mut Square<S::f32s, V>) {
    let lanes = S::F32_LANES;
    let mut flags = Lanes::ZERO;
    for (place, flag) in flags.0.iter_mut().enumerate() {
        *flag = f32::from(u8::from(place & BIT != 0));
    }
    let is_set = simd.less_than_f32s(simd.splat_f32s(0.5), load::<S, V>(&flags)[0]);
    for line in (0..LANES).filter(|line| line & BIT == 0) {
        if BIT >= lanes {
            // Whole vectors change places.
            let bit = BIT / lanes;
            for at in (0..V).filter(|at| at & bit != 0) {
                let own = square[line][at];
                square[line][at] = square[line | BIT][at ^ bit];
                square[line | BIT][at ^ bit] = own;
            }
            continue;
        }
        #[allow(clippy::needless_range_loop)]
        for at in 0..V {
            let (own, other) = (square[line][at], square[line | BIT][at]);
            square[line][at] = simd.select_f32s(is_set, simd.rotate_right_f32s(other, BIT), own);
            square[line | BIT][at] = simd.select_f32s(is_set, other, simd.rotate_left_f32s(own, BIT));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::array::from_fn;

    use pulp::Scalar;

    use super::*;
    use crate::backend::own::kernels::tile::{VectorKernel, compute};

    struct Turn<'a>(&'a [Lanes], &'a mut [Lanes; LANES]);

    impl VectorKernel for Turn<'_> {
        #[inline(always)]
        fn run<S: Simd, const V: usize>(self, simd: S) {
            turn::<S, V>(simd, self.0, self.1);
        }
    }

    #[test]
    fn lines_become_lanes_on_every_instruction_set() {
        let from: [Lanes; LANES] = from_fn(|i| Lanes(from_fn(|j| (16 * i + j) as f32)));
        for lines in [16, 5] {
            let expected: [Lanes; LANES] =
                from_fn(|i| Lanes(from_fn(|j| if j < lines { (16 * j + i) as f32 } else { 0.0 })));
            let mut found = [Lanes([f32::NAN; LANES]); LANES];
            compute(Turn(&from[..lines], &mut found));
            assert_eq!(found, expected);
            found = [Lanes([f32::NAN; LANES]); LANES];
            turn::<Scalar, 16>(Scalar, &from[..lines], &mut found);
            assert_eq!(found, expected);
        }
    }
}
