//! Scales and their fits, against searches that follow their definition.

use fewbits_ops::format::{Bias, Draws, Float, Format, RandomBits, Rounding};
use fewbits_ops::quantize::{Prepared, Quantization, Tensor};
use fewbits_ops::scale::{Per, Percent, PowerFit, RealFit, Scale, ScaleType};
use proptest::prelude::*;

use crate::{float, round_slice};

fn error(format: &Float, weights: &[f32], scale: f32) -> f64 {
    let mut rounded = weights.to_vec();
    let draws = Draws::new(0, "unused", RandomBits::default());
    round_slice(format, &mut rounded, scale, Rounding::Nearest, &draws);
    let squares = weights.iter().zip(rounded).map(|(w, q)| (f64::from(*w) - f64::from(q)).powi(2));
    squares.fold(0.0, |sum, square| sum + square)
}

fn fit(format: Float, scale: Scale, weights: &[f32]) -> f32 {
    let quantization = Quantization::new(Format::Float(format), Rounding::Nearest, Some(scale)).unwrap();
    let tensor = Tensor { name: "w", shape: &[1, weights.len()], data: weights };
    // A tensor without elements has no group, so no scale.
    Prepared::fit(&quantization, &tensor).unwrap().scales().first().copied().unwrap_or(1.0)
}

fn power(format: Float, fit_by: PowerFit, weights: &[f32]) -> i32 {
    let scale = fit(format, Scale::PowerOfTwo { per: Per::Tensor, fit: fit_by }, weights);
    let exponent = f64::from(scale).log2();
    assert_eq!(exponent.fract(), 0.0, "{scale} is no power of two");
    exponent as i32
}

fn real(format: Float, fit_by: RealFit, weights: &[f32]) -> f32 {
    fit(format, Scale::Real { per: Per::Tensor, fit: fit_by, store: ScaleType::F32 }, weights)
}

/// Worked by hand: e2m1 reaches 6 = 1.5·2^2.
#[test]
fn powers_of_two_meet_worked_examples() {
    let e2m1 = float(2, 1, Bias::Ieee);
    let check = |greatest: f32, covering, exponent| {
        assert_eq!(power(e2m1, PowerFit::MaxAbs, &[0.1, -greatest]), covering, "{greatest}");
        assert_eq!(power(e2m1, PowerFit::MaxExponent, &[0.1, -greatest]), exponent, "{greatest}");
    };
    check(6.0, 0, 0);
    check(6.000_001, 1, 0);
    check(8.0, 1, 1);
    check(3.0, -1, -1);
    check(0.46, -3, -4);
    // Beyond the stored exponents −127 to 127.
    check(f32::MAX, 126, 125);
    assert_eq!(power(e2m1, PowerFit::MaxAbs, &[f32::from_bits(1)]), -127);
    let tiny = float(3, 0, Bias::Exactly(150));
    assert_eq!(power(tiny, PowerFit::MaxAbs, &[1.0, f32::MAX]), 127);
}

#[test]
fn a_tensor_of_zeros_has_a_scale_of_1() {
    for weights in [&[][..], &[0.0, -0.0]] {
        for fit_by in [PowerFit::MaxAbs, PowerFit::MaxExponent, PowerFit::LeastSquares] {
            assert_eq!(power(float(3, 0, Bias::Ieee), fit_by, weights), 0);
        }
        for fit_by in
            [RealFit::MaxAbs, RealFit::Percentile(Percent::new(99.0).unwrap()), RealFit::LeastSquares]
        {
            assert_eq!(real(float(3, 0, Bias::Ieee), fit_by, weights), 1.0);
        }
    }
}

/// Nearest rank, by hand: of 1, 2, … 10 the 95th percentile is the 10th, the 90th the 9th.
#[test]
fn percentiles_are_by_nearest_rank() {
    let weights: Vec<f32> = (1..=10).map(|i| if i % 2 == 0 { i as f32 } else { -i as f32 }).collect();
    let e2m1 = float(2, 1, Bias::Ieee);
    let check = |weights: &[f32], percent, expected: f32| {
        let fit_by = RealFit::Percentile(Percent::new(percent).unwrap());
        assert_eq!(real(e2m1, fit_by, weights), expected / 6.0, "{percent}");
    };
    check(&weights, 95.0, 10.0);
    check(&weights, 90.0, 9.0);
    check(&weights, 90.1, 10.0);
    check(&weights, 1e-9, 1.0);
    check(&weights, 100.0, 10.0);
    check(&[0.0, 0.0, 0.0, 12.0], 50.0, 12.0);
    // 86.4 % of 375 are 324, though in binary64 375·86.4/100 is more; 17.6 % of 875 are 154.
    let many: Vec<f32> = (1..=876).map(|i| (i * 389 % 877) as f32).collect();
    let lowest = |count: f32| many.iter().copied().filter(|weight| *weight <= count).collect::<Vec<_>>();
    check(&lowest(375.0), 86.4, 324.0);
    check(&lowest(875.0), 17.6, 154.0);
    assert_eq!(real(e2m1, RealFit::MaxAbs, &weights), 10.0 / 6.0);
}

/// The greatest weight over the largest code can be outside binary32: the scale stays positive and finite.
#[test]
fn a_real_scale_stays_in_binary32() {
    assert_eq!(real(float(8, 23, Bias::Ieee), RealFit::MaxAbs, &[1e-20]), f32::from_bits(1));
    assert_eq!(real(float(3, 0, Bias::Exactly(150)), RealFit::MaxAbs, &[1e30]), f32::MAX);
}

/// NUMERICS' bias shift: numbers of bias b at scale 2^k equal unscaled numbers of bias b − k.
#[test]
fn a_power_of_two_scale_is_a_bias_shift() {
    let weights: Vec<f32> = (0..3000).map(|i| (i as f32 * 1.3).sin() * 0.3).collect();
    let draws = Draws::new(8, "w", RandomBits::default());
    for (e, m) in [(0, 3), (1, 2), (2, 1), (3, 0), (4, 3)] {
        let format = float(e, m, Bias::Ieee);
        for k in -6..=3 {
            let shifted = float(e, m, Bias::Exactly(format.bias() - k));
            for rounding in
                [Rounding::Nearest, Rounding::NearestAway, Rounding::TowardZero, Rounding::Stochastic]
            {
                let (mut scaled, mut plain) = (weights.clone(), weights.clone());
                round_slice(&format, &mut scaled, 2.0_f32.powi(k), rounding, &draws);
                round_slice(&shifted, &mut plain, 1.0, rounding, &draws);
                assert_eq!(scaled, plain, "{format:?} 2^{k} {rounding:?}");
            }
        }
    }
}

fn weights() -> impl Strategy<Value = Vec<f32>> {
    let weight = (-1.0_f32..1.0).prop_map(|x| x * x * x);
    (prop::collection::vec(weight, 1..60), 1e-4_f32..1e4)
        .prop_map(|(weights, size)| weights.iter().map(|weight| weight * size).collect())
}

fn four_bits() -> impl Strategy<Value = Float> {
    prop::sample::select(vec![(0, 3), (1, 2), (2, 1), (3, 0)]).prop_map(|(e, m)| float(e, m, Bias::Ieee))
}

proptest! {
    #[test]
    fn maxima_cover_and_do_not_waste(format in four_bits(), weights in weights()) {
        let greatest = weights.iter().fold(0.0_f64, |greatest, w| greatest.max(f64::from(w.abs())));
        prop_assume!(greatest > 0.0);
        let reach = |k: i32| 2.0_f64.powi(k) * f64::from(format.largest());
        let k = power(format, PowerFit::MaxAbs, &weights);
        prop_assert!(greatest <= reach(k) && greatest > reach(k - 1));
        let octave = greatest.log2().floor() - f64::from(format.largest()).log2().floor();
        prop_assert_eq!(f64::from(power(format, PowerFit::MaxExponent, &weights)), octave);
    }

    #[test]
    fn the_least_squares_power_is_the_best_of_ten(format in four_bits(), weights in weights()) {
        let top = power(format, PowerFit::MaxAbs, &weights) + 1;
        let errors: Vec<f64> = (0..10).map(|down| error(&format, &weights, 2.0_f32.powi(top - down))).collect();
        let best = errors.iter().copied().fold(f64::INFINITY, f64::min);
        let first = errors.iter().position(|e| *e == best).unwrap() as i32;
        prop_assume!(weights.iter().any(|w| *w != 0.0));
        prop_assert_eq!(power(format, PowerFit::LeastSquares, &weights), top - first);
    }

    #[test]
    fn the_least_squares_scale_beats_every_candidate_and_its_own_improvement(
        format in four_bits(), weights in weights(),
    ) {
        prop_assume!(weights.iter().any(|w| *w != 0.0));
        let scale = real(format, RealFit::LeastSquares, &weights);
        let found = error(&format, &weights, scale).sqrt();
        // Scales that differ by one unit in the last place give weights with a relative difference of at most 2^−22.
        let slack = 2.0_f64.powi(-22) * weights.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>().sqrt();
        let greatest = f64::from(real(format, RealFit::MaxAbs, &weights));
        for k in -16..=128 {
            let candidate = (greatest * 2.0_f64.powf(-f64::from(k) / 16.0)) as f32;
            prop_assert!(found <= error(&format, &weights, candidate).sqrt() + slack, "k = {}", k);
        }
        let mut codes = weights.clone();
        let draws = Draws::new(0, "unused", RandomBits::default());
        round_slice(&format, &mut codes, scale, Rounding::Nearest, &draws);
        let sum = |of: &dyn Fn(f64, f64) -> f64| -> f64 {
            weights.iter().zip(&codes).map(|(w, q)| of(f64::from(*w), f64::from(*q))).sum()
        };
        let improved = f64::from(scale) * sum(&|w, q| w * q) / sum(&|_, q| q * q);
        prop_assert!(found <= error(&format, &weights, improved as f32).sqrt() + slack);
    }
}
