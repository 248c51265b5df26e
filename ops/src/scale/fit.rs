//! Fits the scale of a group of weights. Knows a format only by its largest magnitude and its rounding to nearest,
//! which the fits use even if the weights are rounded in another mode. Sums are binary64, in the order of elements.

use pulp::Arch;

use super::{Percent, PowerFit, RealFit, Scale, ScaleType};
use crate::format::grid::power;

/// The exponents of a stored power of two.
const EXPONENTS: (i32, i32) = (-127, 127);

/// The number of candidates whose errors are summed side by side.
const LANES: usize = 8;

/// The threshold of ternary weights as a share of mean|w| (Li et al. 2016, eq. 6); weights within it are zero.
const TERNARY_SHARE: f64 = 0.7;

/// Returns the scale of finite weights; 1 if all of them are zero. The scale maps `extent` to `largest`: `extent` is
/// max|w|, or a wider range if zero is not its middle. `RealFit::Mean` returns the scale of `mean`.
pub(crate) fn fit(
    scale: Scale,
    weights: &[f32],
    extent: f64,
    largest: f64,
    nearest: impl Fn(f64) -> f64 + Copy,
) -> f32 {
    let zero = extent == 0.0;
    match scale {
        Scale::None => 1.0,
        Scale::PowerOfTwo { .. } | Scale::Real { .. } if zero => 1.0,
        Scale::PowerOfTwo { fit, .. } => match fit {
            PowerFit::MaxAbs => stored_power(covering_exponent(extent, largest)),
            PowerFit::MaxExponent => stored_power(exponent(extent) - exponent(largest)),
            PowerFit::LeastSquares => {
                let top = covering_exponent(extent, largest) + 1;
                let scales: Vec<f32> = (0..10).map(|down| stored_power(top - down)).collect();
                least_error(weights, &scales, nearest).0
            }
        },
        Scale::Real { fit, store, .. } => match fit {
            RealFit::MaxAbs => store.round(extent / largest),
            RealFit::Percentile(percent) => match percentile(weights, percent) {
                0.0 => store.round(extent / largest),
                magnitude => store.round(extent.min(f64::from(magnitude)) / largest),
            },
            RealFit::LeastSquares => least_squares(weights, extent / largest, store, nearest),
            RealFit::Mean => mean(weights, 0.0, store).0,
        },
    }
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

/// Searches s·2^(−k/16) for k from −16 to 128, then improves the best: ⟨w, q⟩ / ⟨q, q⟩ is the best scale for given
/// codes, and the step repeats until the error stops falling. The error has many local minima, hence the search.
fn least_squares(
    weights: &[f32],
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
        for &weight in weights {
            let weight = f64::from(weight);
            let code = nearest(weight / f64::from(scale));
            across += weight * code;
            along += code * code;
        }
        let next = across / along;
        if !next.is_finite() {
            return scale;
        }
        let next = store.round(next);
        let [next_error] = errors(weights, [next], nearest);
        if next_error >= error {
            return scale;
        }
        (scale, error) = (next, next_error);
    }
}

/// Returns the first scale of least error, and its error; `scales` is not empty.
fn least_error(weights: &[f32], scales: &[f32], nearest: impl Fn(f64) -> f64 + Copy) -> (f32, f64) {
    let mut best = (scales[0], f64::INFINITY);
    for lot in scales.chunks(LANES) {
        let mut lanes = [lot[0]; LANES];
        lanes[..lot.len()].copy_from_slice(lot);
        for (scale, error) in lanes.into_iter().zip(errors(weights, lanes, nearest)) {
            if error < best.1 {
                best = (scale, error);
            }
        }
    }
    best
}

/// Returns Σ(w − ŵ)² for each scale. Each sum is in the order of elements; scales run side by side for speed.
fn errors<const N: usize>(
    weights: &[f32],
    scales: [f32; N],
    nearest: impl Fn(f64) -> f64 + Copy,
) -> [f64; N] {
    let scales = scales.map(f64::from);
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let mut sums = [0.0; N];
            for &weight in weights {
                let weight = f64::from(weight);
                for (sum, scale) in sums.iter_mut().zip(scales) {
                    let error = weight - f64::from((nearest(weight / scale) * scale) as f32);
                    *sum += error * error;
                }
            }
            sums
        },
    )
}
