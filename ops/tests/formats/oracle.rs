//! Every format against a slow oracle: a search over the format's numbers, and a decision in binary64.

use fewbits_ops::format::{Bias, Draw, Draws, Float, RandomBits, Rounding};
use proptest::prelude::*;

use crate::{float, round_slice};

const ROUNDINGS: [Rounding; 4] =
    [Rounding::Nearest, Rounding::NearestAway, Rounding::TowardZero, Rounding::Stochastic];

/// Returns the number that a magnitude rounds to. The oracle knows a format only by its values, which
/// `values_are_those_of_the_definition` checks.
fn oracle(format: &Float, magnitude: f64, rounding: Rounding, draw: Draw) -> f64 {
    let is_binary32 = |value: f64| f64::from(value as f32) == value && value.is_finite();
    let mut top = (1_u32 << (format.bits() - 1)) - 1;
    // The loop skips at most 2^23 codes, and only under a bias that exceeds binary32's range.
    while !is_binary32(format.value(top)) {
        top -= 1;
    }
    if magnitude >= format.value(top) {
        return format.value(top);
    }
    let (mut below, mut above) = (0, top);
    while above - below > 1 {
        let middle = below.midpoint(above);
        if format.value(middle) <= magnitude { below = middle } else { above = middle }
    }
    let (low, high) = (format.value(below), format.value(above));
    let position = (magnitude - low) / (high - low);
    let away = match rounding {
        Rounding::Nearest => position > 0.5 || position == 0.5 && below % 2 == 1,
        Rounding::NearestAway => position >= 0.5,
        Rounding::TowardZero => false,
        Rounding::Stochastic => {
            let one = 2.0_f64.powi(draw.bits().get() as i32);
            f64::from(draw.number()) + (position * one).round_ties_even() >= one
        }
    };
    if away { high } else { low }
}

fn any_format() -> impl Strategy<Value = Float> {
    (0_u32..=8, 0_u32..=14, -6..=6).prop_filter_map("a sign alone", |(e, m, shift)| {
        let ieee = Float::new(e, m, Bias::Ieee).ok()?.bias();
        Float::new(e, m, Bias::Exactly(ieee + shift)).ok()
    })
}

fn any_finite() -> impl Strategy<Value = f32> {
    use prop::num::f32::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
    POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO
}

/// Returns a number `place` 256ths of a step above a code, plus `off` units in the last place; also beyond the largest
/// code.
fn near(format: &Float, code: u32, place: u32, off: i64) -> f64 {
    let code = code % format.largest_code();
    let (low, high) = (format.value(code), format.value(code + 1));
    let value = low + (high - low) * f64::from(place) / 256.0;
    f64::from_bits((value.to_bits() as i64 + off).max(0) as u64)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn numbers_near_codes_go_where_the_oracle_says(
        format in any_format(), code: u32, place in 0_u32..512, kind in 0..3, off in -2_i64..=2,
        number: u32, bits in 1_u32..=32, rounding in prop::sample::select(&ROUNDINGS),
    ) {
        let draw = Draw::new(number >> (32 - bits), RandomBits::new(bits).unwrap()).unwrap();
        let value = near(&format, code, if kind == 0 { place } else { 128 }, off);
        let expected = oracle(&format, value, rounding, draw);
        prop_assert_eq!(format.round(value, rounding, draw), expected);
        prop_assert_eq!(format.round(-value, rounding, draw).to_bits(), (-expected).to_bits());
        let encoded = format.encode(value, rounding, draw).unwrap();
        prop_assert_eq!(format.value(encoded), expected);
    }

    #[test]
    fn weights_over_scales_go_where_the_oracle_says(
        format in any_format(), weight in any_finite(), scale in 1e-6_f32..1e6,
        rounding in prop::sample::select(&ROUNDINGS),
    ) {
        let draws = Draws::new(9, "w", RandomBits::default());
        for scale in [1.0, scale] {
            let mut rounded = [weight];
            round_slice(&format, &mut rounded, scale, rounding, &draws);
            let quotient = f64::from(weight) / f64::from(scale);
            let magnitude = oracle(&format, quotient.abs(), rounding, draws.draw(0));
            let expected = (magnitude.copysign(quotient) * f64::from(scale)) as f32;
            prop_assert_eq!(rounded[0].to_bits(), expected.to_bits());
        }
    }

    #[test]
    fn binary32_is_rounded_to_itself(weight in any_finite(), rounding in prop::sample::select(&ROUNDINGS)) {
        let bits = weight.to_bits();
        let (format, draws) = (float(8, 23, Bias::Ieee), Draws::new(0, "w", RandomBits::default()));
        let mut rounded = [weight];
        round_slice(&format, &mut rounded, 1.0, rounding, &draws);
        prop_assert_eq!(rounded[0].to_bits(), bits);
        prop_assert_eq!(format.encode(f64::from(weight), rounding, draws.draw(0)), Some(bits));
        prop_assert_eq!(format.decode(bits).to_bits(), bits);
    }

    #[test]
    fn subnormal_binary32_and_codes_below_it_are_exact(
        e in 3_u32..=8, m in 0_u32..=12, below in 0..20, mantissa in 0_u32..0x80_0000,
        rounding in prop::sample::select(&ROUNDINGS),
    ) {
        // The greatest exponent is −149 + m + `below`, so every number is a binary32 subnormal.
        let format = float(e, m, Bias::Exactly((1 << e) - 1 + 149 - below));
        let draws = Draws::new(1, "w", RandomBits::default());
        let mut rounded = [f32::from_bits(mantissa)];
        round_slice(&format, &mut rounded, 1.0, rounding, &draws);
        let expected = oracle(&format, f64::from(f32::from_bits(mantissa)), rounding, draws.draw(0));
        prop_assert_eq!(f64::from(rounded[0]), expected);
    }
}
