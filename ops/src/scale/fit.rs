//! Fits the scale of a group of weights, or lists the scales to try. Knows a format only by its largest magnitude and its
//! rounding to nearest, which the fits use even if the weights are rounded in another mode. Sums are binary64, in the order of elements.

use pulp::Arch;

use super::{Percent, PowerFit, RealFit, Scale, ScaleType};
use crate::format::grid::power;

/// The exponents of a stored power of two.
const EXPONENTS: (i32, i32) = (-127, 127);

/// The number of candidates whose errors are summed side by side.
const LANES: usize = 8;

/// The threshold of ternary weights as a share of mean|w| (Li et al. 2016, eq. 6); weights within it are zero.
const TERNARY_SHARE: f64 = 0.7;

/// The octaves below the scale of `MaxAbs` in which `OutputError` tries scales, and the real scales of an octave.
const OCTAVES: u32 = 4;
const STEPS: u32 = 8;

/// The weights of a group. A fit of least error sums `importance` · (w − ŵ)².
#[derive(Clone, Copy)]
pub(crate) struct Weights<'a> {
    pub(crate) numbers: &'a [f32],
    /// The importance of each weight, at least 0; empty if all are alike.
    pub(crate) importance: &'a [f64],
}

/// Returns the scale of finite weights; 1 if all of them are zero. The scale maps `extent` to `largest`: `extent` is
/// max|w|, or a wider range if zero is not its middle. `RealFit::Mean` returns the scale of `mean`. Weights without any
/// importance are fitted as if all were alike.
pub(crate) fn fit(
    scale: Scale,
    weights: Weights<'_>,
    extent: f64,
    largest: f64,
    nearest: impl Fn(f64) -> f64 + Copy,
) -> f32 {
    let zero = extent == 0.0;
    let numbers = weights.numbers;
    let is_weighed = weights.importance.iter().any(|importance| *importance > 0.0);
    let alike = numbers.iter().map(|weight| (f64::from(*weight), 1.0));
    let weighed =
        numbers.iter().zip(weights.importance).map(|(weight, importance)| (f64::from(*weight), *importance));
    let powers = || -> Vec<f32> {
        let top = covering_exponent(extent, largest) + 1;
        (0..10).map(|down| stored_power(top - down)).collect()
    };
    match scale {
        Scale::None => 1.0,
        Scale::PowerOfTwo { .. } | Scale::Real { .. } if zero => 1.0,
        Scale::PowerOfTwo { fit, .. } => match fit {
            // The largest of the scales to try.
            PowerFit::MaxAbs | PowerFit::OutputError => stored_power(covering_exponent(extent, largest)),
            PowerFit::MaxExponent => stored_power(exponent(extent) - exponent(largest)),
            PowerFit::HessianDiagonal if is_weighed => least_error(&weighed, &powers(), nearest).0,
            PowerFit::LeastSquares | PowerFit::HessianDiagonal => least_error(&alike, &powers(), nearest).0,
        },
        Scale::Real { fit, store, .. } => match fit {
            RealFit::MaxAbs | RealFit::OutputError => store.round(extent / largest),
            RealFit::Percentile(percent) => match percentile(numbers, percent) {
                0.0 => store.round(extent / largest),
                magnitude => store.round(extent.min(f64::from(magnitude)) / largest),
            },
            RealFit::HessianDiagonal if is_weighed => {
                least_squares(&weighed, extent / largest, store, nearest)
            }
            RealFit::LeastSquares | RealFit::HessianDiagonal => {
                least_squares(&alike, extent / largest, store, nearest)
            }
            RealFit::Mean => mean(numbers, 0.0, store).0,
        },
    }
}

/// Returns the scales that a fit of least error of the outputs tries, the largest first; `None` for other fits. `largest` is the
/// scale that [`fit`] gives, that of `MaxAbs`.
pub(crate) fn scales_to_try(scale: Scale, largest: f32) -> Option<Vec<f32>> {
    let store = scale.store().filter(|_| scale.tries_scales())?;
    // Zeros of a format without zero.
    if largest == 0.0 {
        return Some(vec![0.0]);
    }
    let steps = if matches!(scale, Scale::PowerOfTwo { .. }) { 1 } else { STEPS };
    let below = |i: u32| store.round(f64::from(largest) * libm::exp2(-f64::from(i) / f64::from(steps)));
    let mut scales: Vec<f32> = (0..=OCTAVES * steps).map(below).collect();
    scales.dedup();
    Some(scales)
}

/// Returns the scale of ternary weights, and the threshold: the largest binary32 within 0.7·mean|w|.
pub(crate) fn ternary(weights: &[f32], store: ScaleType) -> (f32, f32) {
    let sum = weights.iter().fold(0.0, |sum, weight| sum + f64::from(weight.abs()));
    let threshold = TERNARY_SHARE * sum / weights.len().max(1) as f64;
    mean(weights, threshold, store)
}

/// Returns the mean of the magnitudes above a threshold, or 1 if all magnitudes are zero, and the largest binary32
/// at or below the threshold.
fn mean(weights: &[f32], threshold: f64, store: ScaleType) -> (f32, f32) {
    let near = threshold as f32;
    let cut = if f64::from(near) > threshold { near.next_down() } else { near };
    let beyond = weights.iter().map(|weight| weight.abs()).filter(|weight| *weight > cut || threshold == 0.0);
    let (sum, count) = beyond.fold((0.0, 0.0), |(sum, count), weight| (sum + f64::from(weight), count + 1.0));
    (if sum == 0.0 { 1.0 } else { store.round(sum / count) }, cut)
}

/// Returns ⌊log2 x⌋ of a positive normal binary64, which every positive binary32 is.
fn exponent(x: f64) -> i32 {
    (x.to_bits() >> 52) as i32 - 1023
}

/// Returns the least k with `greatest` ≤ 2^k·`largest`.
fn covering_exponent(greatest: f64, largest: f64) -> i32 {
    let k = exponent(greatest) - exponent(largest);
    if greatest * power(-k) <= largest { k } else { k + 1 }
}

fn stored_power(k: i32) -> f32 {
    power(k.clamp(EXPONENTS.0, EXPONENTS.1)) as f32
}

/// Returns the percentile of the magnitudes by nearest rank; `weights` is not empty.
pub(crate) fn percentile(weights: &[f32], percent: Percent) -> f32 {
    // Magnitudes have the order of their bit patterns.
    let mut magnitudes: Vec<u32> = weights.iter().map(|weight| weight.abs().to_bits()).collect();
    let rank = percent.rank(magnitudes.len());
    f32::from_bits(*magnitudes.select_nth_unstable(rank - 1).1)
}

/// Searches s·2^(−k/16) for k from −16 to 128, then improves the best: ⟨w, q⟩ / ⟨q, q⟩, each term times its importance, is
/// the best scale for given codes, and the step repeats until the error stops falling. The error has many local minima,
/// hence the search.
fn least_squares(
    weights: &(impl Iterator<Item = (f64, f64)> + Clone),
    greatest: f64,
    store: ScaleType,
    nearest: impl Fn(f64) -> f64 + Copy,
) -> f32 {
    let mut scales: Vec<f32> =
        (-16..=128).map(|k| store.round(greatest * libm::exp2(-f64::from(k) / 16.0))).collect();
    scales.dedup();
    let (mut scale, mut error) = least_error(weights, &scales, nearest);
    loop {
        let (mut across, mut along) = (0.0, 0.0);
        for (weight, importance) in weights.clone() {
            let code = nearest(weight / f64::from(scale));
            across += importance * (weight * code);
            along += importance * (code * code);
        }
        let next = across / along;
        if !next.is_finite() {
            return scale;
        }
        let next = store.round(next);
        let [next_error] = errors(weights.clone(), [next], nearest);
        if next_error >= error {
            return scale;
        }
        (scale, error) = (next, next_error);
    }
}

/// Returns the first scale of least error, and its error; `scales` is not empty.
fn least_error(
    weights: &(impl Iterator<Item = (f64, f64)> + Clone),
    scales: &[f32],
    nearest: impl Fn(f64) -> f64 + Copy,
) -> (f32, f64) {
    let mut best = (scales[0], f64::INFINITY);
    for lot in scales.chunks(LANES) {
        let mut lanes = [lot[0]; LANES];
        lanes[..lot.len()].copy_from_slice(lot);
        for (scale, error) in lanes.into_iter().zip(errors(weights.clone(), lanes, nearest)) {
            if error < best.1 {
                best = (scale, error);
            }
        }
    }
    best
}

/// Returns Σ h·(w − ŵ)² for each scale, over pairs of a weight w and its importance h. Each sum is in the order of elements;
/// scales run side by side for speed.
fn errors<const N: usize>(
    weights: impl Iterator<Item = (f64, f64)>,
    scales: [f32; N],
    nearest: impl Fn(f64) -> f64 + Copy,
) -> [f64; N] {
    let scales = scales.map(f64::from);
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let mut sums = [0.0; N];
            for (weight, importance) in weights {
                for (sum, scale) in sums.iter_mut().zip(scales) {
                    let error = weight - f64::from((nearest(weight / scale) * scale) as f32);
                    *sum += importance * (error * error);
                }
            }
            sums
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;
    use crate::scale::Per;

    /// A weight of importance n counts as n equal weights; without any importance, weights are alike.
    #[test]
    fn importance_is_a_number_of_weights() {
        let drawn = Stream::new(1, "test", "weights");
        let numbers: Vec<f32> = (0..40).map(|at| drawn.unit(at) - 0.5).collect();
        let counts: Vec<usize> = (0..40).map(|at| (drawn.bits(100 + at) % 5) as usize).collect();
        let repeated: Vec<f32> =
            numbers.iter().zip(&counts).flat_map(|(number, count)| vec![*number; *count]).collect();
        let importance: Vec<f64> = counts.iter().map(|count| *count as f64).collect();
        let greatest = numbers.iter().fold(0.0_f32, |most, number| most.max(number.abs()));
        let found = |scale, numbers: &[f32], importance: &[f64]| {
            let nearest = |x: f64| x.round_ties_even().clamp(-3.0, 3.0);
            fit(scale, Weights { numbers, importance }, f64::from(greatest), 3.0, nearest)
        };
        let real = |fit| Scale::Real { per: Per::Tensor, fit, store: ScaleType::F32 };
        let power = |fit| Scale::PowerOfTwo { per: Per::Tensor, fit };
        for [weighed, alike] in [
            [real(RealFit::HessianDiagonal), real(RealFit::LeastSquares)],
            [power(PowerFit::HessianDiagonal), power(PowerFit::LeastSquares)],
        ] {
            let (one, other) = (found(weighed, &numbers, &importance), found(alike, &repeated, &[]));
            assert!((one / other - 1.0).abs() < 1e-6, "{one} {other}");
            for none in [&[][..], &[0.0; 40]] {
                assert_eq!(found(weighed, &numbers, none), found(alike, &numbers, &[]));
            }
        }
        let by_inputs = found(real(RealFit::HessianDiagonal), &numbers, &importance);
        assert_ne!(by_inputs, found(real(RealFit::LeastSquares), &numbers, &[]));
    }
}
