//! Finding the scale of a tensor. Knows a format only by its largest magnitude and by its rounding to nearest, which
//! the fits use whatever rounding the weights then get. All sums are binary64, in the order of elements.

use super::grid::power;
use super::scale::{Percent, PowerFit, RealFit, Scale, StoredScale};

/// Exponents that a stored power of two can have.
const EXPONENTS: (i32, i32) = (-127, 127);

/// The least positive and the greatest binary32, between which a stored real scale lies.
const REALS: (f32, f32) = (f32::from_bits(1), f32::MAX);

/// Candidates whose errors are summed side by side.
const LANES: usize = 8;

/// Returns the scale for finite weights; 1 if all of them are zero.
pub(super) fn fit(scale: Scale, weights: &[f32], largest: f64, nearest: impl Fn(f64) -> f64) -> StoredScale {
    let greatest = f64::from(weights.iter().fold(0.0_f32, |greatest, weight| greatest.max(weight.abs())));
    let zero = greatest == 0.0;
    match scale {
        Scale::None => StoredScale::None,
        Scale::PowerOfTwo { .. } if zero => StoredScale::PowerOfTwo(0),
        Scale::Real { .. } if zero => StoredScale::Real(1.0),
        Scale::PowerOfTwo { fit } => StoredScale::PowerOfTwo(match fit {
            PowerFit::MaxAbs => stored_exponent(covering_exponent(greatest, largest)),
            PowerFit::MaxExponent => stored_exponent(exponent(greatest) - exponent(largest)),
            PowerFit::LeastSquares => {
                let top = covering_exponent(greatest, largest) + 1;
                let scales: Vec<f32> = (0..10).map(|down| stored_power(top - down)).collect();
                exponent(f64::from(least_error(weights, &scales, &nearest).0)) as i8
            }
        }),
        Scale::Real { fit } => StoredScale::Real(match fit {
            RealFit::MaxAbs => stored(greatest / largest),
            RealFit::Percentile(percent) => match percentile(weights, percent) {
                0.0 => stored(greatest / largest),
                magnitude => stored(f64::from(magnitude) / largest),
            },
            RealFit::LeastSquares => least_squares(weights, stored(greatest / largest), &nearest),
        }),
    }
}

/// Returns ⌊log2 x⌋ of a positive binary64 that is not subnormal, as every binary32 is.
fn exponent(x: f64) -> i32 {
    (x.to_bits() >> 52) as i32 - 1023
}

/// Returns the least k with `greatest` ≤ 2^k·`largest`.
fn covering_exponent(greatest: f64, largest: f64) -> i32 {
    let k = exponent(greatest) - exponent(largest);
    if greatest * power(-k) <= largest { k } else { k + 1 }
}

fn stored_exponent(k: i32) -> i8 {
    k.clamp(EXPONENTS.0, EXPONENTS.1) as i8
}

fn stored_power(k: i32) -> f32 {
    power(i32::from(stored_exponent(k))) as f32
}

fn stored(scale: f64) -> f32 {
    (scale as f32).clamp(REALS.0, REALS.1)
}

/// Returns the percentile of the magnitudes by nearest rank; `weights` is not empty.
fn percentile(weights: &[f32], percent: Percent) -> f32 {
    // Magnitudes are ordered as their bit patterns are.
    let mut magnitudes: Vec<u32> = weights.iter().map(|weight| weight.abs().to_bits()).collect();
    let rank = (percent.get() * magnitudes.len() as f64 / 100.0).ceil() as usize;
    let place = rank.clamp(1, magnitudes.len()) - 1;
    f32::from_bits(*magnitudes.select_nth_unstable(place).1)
}

/// Searches s·2^(−k/16) for k from −16 to 128, then goes on from the best to the scale that is best for its codes,
/// ⟨w, q⟩ / ⟨q, q⟩, until the error no longer falls. The error has many local minima, hence the search.
fn least_squares(weights: &[f32], greatest: f32, nearest: impl Fn(f64) -> f64) -> f32 {
    let scales: Vec<f32> =
        (-16..=128).map(|k| stored(f64::from(greatest) * libm::exp2(-f64::from(k) / 16.0))).collect();
    let (mut scale, mut error) = least_error(weights, &scales, &nearest);
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
        let [next_error] = errors(weights, [stored(next)], &nearest);
        if next_error >= error {
            return scale;
        }
        (scale, error) = (stored(next), next_error);
    }
}

/// Returns the first scale of least error, and its error; `scales` is not empty.
fn least_error(weights: &[f32], scales: &[f32], nearest: impl Fn(f64) -> f64) -> (f32, f64) {
    let mut best = (scales[0], f64::INFINITY);
    for lot in scales.chunks(LANES) {
        let mut lanes = [lot[0]; LANES];
        lanes[..lot.len()].copy_from_slice(lot);
        for (scale, error) in lanes.into_iter().zip(errors(weights, lanes, &nearest)) {
            if error < best.1 {
                best = (scale, error);
            }
        }
    }
    best
}

/// Returns Σ(w − ŵ)² for each scale. Each sum is in the order of elements; scales are side by side for speed.
fn errors<const N: usize>(weights: &[f32], scales: [f32; N], nearest: impl Fn(f64) -> f64) -> [f64; N] {
    let scales = scales.map(f64::from);
    let mut sums = [0.0; N];
    for &weight in weights {
        let weight = f64::from(weight);
        for (sum, scale) in sums.iter_mut().zip(scales) {
            let error = weight - f64::from((nearest(weight / scale) * scale) as f32);
            *sum += error * error;
        }
    }
    sums
}
