//! Every code of every format of at most 8 bits, with known values and the limits of valid parameters.

use fewbits_ops::format::{Bias, Draws, Float, Format, FormatError, RandomBits, Rounding};

use crate::{float, no_draw, round_slice};

/// Returns every format of at most 8 bits, with the IEEE bias and with biases around it.
pub fn small_formats() -> Vec<Float> {
    let mut formats = Vec::new();
    for (e, m) in (0..=7).flat_map(|e| (0..=7 - e).map(move |m| (e, m))).filter(|(e, m)| e + m > 0) {
        let ieee = float(e, m, Bias::Ieee).bias();
        formats.extend([0, -3, 1, 10].map(|shift| float(e, m, Bias::Exactly(ieee + shift))));
    }
    formats
}

/// Computes a number by its definition, written as in the reference: (M / 2^m)·2^(1−bias) or
/// (1 + M / 2^m)·2^(E−bias).
fn defined(format: &Float, magnitude: u32) -> f64 {
    let (m, two) = (format.mantissa_bits() as i32, 2.0_f64);
    let fraction = f64::from(magnitude % (1 << m)) / two.powi(m);
    match (magnitude >> m) as i32 {
        0 => fraction * two.powi(1 - format.bias()),
        field => (1.0 + fraction) * two.powi(field - format.bias()),
    }
}

fn magnitudes(format: &Float) -> Vec<f64> {
    (0..1 << (format.bits() - 1)).map(|code| format.value(code)).collect()
}

#[test]
fn values_are_those_of_the_definition() {
    for format in small_formats() {
        let half = 1_u32 << (format.bits() - 1);
        let values: Vec<(u32, f64)> = values(&format);
        assert_eq!(values.len() as u32, 2 * half);
        for (code, value) in values {
            let (negative, magnitude) = (code >= half, code % half);
            let expected = if negative { -defined(&format, magnitude) } else { defined(&format, magnitude) };
            assert_eq!(value.to_bits(), expected.to_bits(), "{format:?} code {code}");
        }
    }
}

/// OCP Microscaling Formats 1.0 for E2M1; the other rows follow from the definition with every code finite.
#[test]
fn known_formats_have_their_known_values() {
    let check = |e, m, expected: &[f64]| assert_eq!(magnitudes(&float(e, m, Bias::Ieee)), expected);
    check(2, 1, &[0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]);
    check(3, 0, &[0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0]);
    check(1, 2, &[0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5]);
    check(0, 2, &[0.0, 0.5, 1.0, 1.5]);
    // The largest numbers of OCP's E3M2 and E2M3, and of e4m3 and e5m2 with every code finite.
    for (e, m, largest) in [(3, 2, 28.0), (2, 3, 7.5), (4, 3, 480.0), (5, 2, 114_688.0)] {
        assert_eq!(float(e, m, Bias::Ieee).largest(), largest);
    }
}

#[test]
fn every_code_is_rounded_to_itself_and_larger_codes_are_larger() {
    for format in small_formats() {
        let magnitudes = magnitudes(&format);
        assert!(magnitudes.is_sorted_by(|a, b| a < b), "{format:?}");
        for (code, value) in values(&format) {
            for rounding in
                [Rounding::Nearest, Rounding::NearestAway, Rounding::TowardZero, Rounding::Stochastic]
            {
                assert_eq!(format.encode(value, rounding, no_draw()), Some(code), "{format:?} {value}");
            }
        }
    }
}

#[test]
fn midpoints_and_their_neighbours_go_where_they_should() {
    for format in small_formats() {
        let sign = 1 << (format.bits() - 1);
        let check = |value: f64, rounding, expected: u32| {
            assert_eq!(
                format.encode(value, rounding, no_draw()),
                Some(expected),
                "{format:?} {value} {rounding:?}"
            );
            assert_eq!(
                format.encode(-value, rounding, no_draw()),
                Some(expected | sign),
                "{format:?} −{value}"
            );
        };
        for (code, pair) in (0..).zip(magnitudes(&format).windows(2)) {
            let middle = f64::midpoint(pair[0], pair[1]);
            check(middle, Rounding::Nearest, code + code % 2);
            check(middle, Rounding::NearestAway, code + 1);
            for rounding in [Rounding::Nearest, Rounding::NearestAway] {
                check(middle.next_down(), rounding, code);
                check(middle.next_up(), rounding, code + 1);
            }
            check(pair[1].next_down(), Rounding::TowardZero, code);
            check(pair[0].next_up(), Rounding::TowardZero, code);
        }
    }
}

#[test]
fn beyond_the_largest_code_lies_the_largest_code() {
    let draw = fewbits_ops::format::Draw::new(u32::MAX, RandomBits::default()).unwrap();
    for format in small_formats() {
        let (largest, code) = (f64::from(format.largest()), format.largest_code());
        assert_eq!(code, (1 << (format.bits() - 1)) - 1);
        for value in [largest, largest.next_up(), 3.0 * largest, f64::from(f32::MAX), f64::INFINITY] {
            for rounding in
                [Rounding::Nearest, Rounding::NearestAway, Rounding::TowardZero, Rounding::Stochastic]
            {
                assert_eq!(format.encode(value, rounding, draw), Some(code), "{format:?} {value}");
                assert_eq!(format.round(-value, rounding, draw), -largest, "{format:?} −{value}");
            }
        }
    }
}

#[test]
fn nan_has_no_code_and_stays() {
    let format = float(3, 2, Bias::Ieee);
    for rounding in [Rounding::Nearest, Rounding::NearestAway, Rounding::TowardZero, Rounding::Stochastic] {
        assert_eq!(format.encode(f64::NAN, rounding, no_draw()), None);
        assert!(format.round(f64::NAN, rounding, no_draw()).is_nan());
    }
}

/// If a shifted bias exceeds binary32's range, the largest number is the number of the largest code in binary32.
#[test]
fn the_largest_number_is_a_finite_binary32() {
    let check = |e, m, bias, code, largest: f32| {
        let format = float(e, m, bias);
        assert_eq!((format.largest_code(), format.largest()), (code, largest), "{format:?}");
        for value in [f64::from(largest), f64::INFINITY] {
            assert_eq!(format.encode(value, Rounding::Nearest, no_draw()), Some(code), "{format:?}");
        }
    };
    let two = |k: i32| 2.0_f64.powi(k) as f32;
    check(8, 23, Bias::Ieee, 0x7f7f_ffff, f32::MAX);
    check(8, 7, Bias::Ieee, 0x7f7f, f32::from_bits(0x7f7f_0000));
    check(4, 1, Bias::Exactly(-120), 15, 1.5 * two(127));
    // Only one code above zero is a binary32: at 2^127, and at 2^−149, the least binary32.
    check(3, 2, Bias::Exactly(-128), 1, two(127));
    check(0, 4, Bias::Exactly(-130), 1, two(127));
    check(3, 0, Bias::Exactly(156), 7, two(-149));
    check(3, 2, Bias::Exactly(156), 28, two(-149));
    check(0, 4, Bias::Exactly(149), 8, two(-149));
    // 1.9375·2^−145 is 31·2^−149; the codes above it are finer than binary32.
    check(8, 7, Bias::Exactly(400), 0x7ff8, 1.9375 * two(-145));
}

#[test]
fn impossible_formats_say_why() {
    let check = |e, m, bias, expected: &str| {
        assert_eq!(Float::new(e, m, bias).unwrap_err().to_string(), expected);
    };
    let wide = "more bits than binary32 has; e can be 0 to 8, m 0 to 23";
    check(9, 2, Bias::Ieee, &format!("Float(e: 9, m: 2): {wide}"));
    check(2, 24, Bias::Ieee, &format!("Float(e: 2, m: 24): {wide}"));
    let alone = "Float(e: 0, m: 0): a sign alone has no value but 0; give it an exponent or a mantissa bit";
    check(0, 0, Bias::Ieee, alone);
    let reach = "binary32's range; the bias can be -129 to 164";
    for (bias, side) in [(-130, "above"), (165, "below"), (i32::MIN, "above"), (i32::MAX, "below")] {
        let text = format!("Float(e: 4, m: 3, bias: Exactly({bias})): every code but 0 is {side} {reach}");
        check(4, 3, Bias::Exactly(bias), &text);
    }
    assert!(Float::new(4, 3, Bias::Exactly(-129)).is_ok());
    assert!(Float::new(4, 3, Bias::Exactly(164)).is_ok());
    assert_eq!(Float::new(0, 0, Bias::Exactly(1)), Err(FormatError::SignAlone));
}

#[test]
fn one_format_has_one_description() {
    let text = |format: Float| serde_json::to_string(&Format::Float(format)).unwrap();
    assert_eq!(text(float(3, 0, Bias::Ieee)), r#"{"Float":{"e":3,"m":0,"bias":"Ieee"}}"#);
    assert_eq!(text(float(3, 0, Bias::Exactly(4))), r#"{"Float":{"e":3,"m":0,"bias":{"Exactly":4}}}"#);
    assert_eq!(float(3, 0, Bias::Exactly(3)), float(3, 0, Bias::Ieee));
    assert_eq!(float(0, 3, Bias::Exactly(0)), float(0, 3, Bias::Ieee));
}

#[test]
fn a_slice_is_rounded_as_its_elements_are() {
    let draws = Draws::new(5, "w", RandomBits::default());
    let format = float(3, 2, Bias::Ieee);
    let weights: Vec<f32> = (0..1300).map(|i| (i as f32 * 0.37).sin() * 0.9).collect();
    for rounding in [Rounding::Nearest, Rounding::NearestAway, Rounding::TowardZero, Rounding::Stochastic] {
        for scale in [1.0_f32, 0.25, 0.031] {
            let mut rounded = weights.clone();
            round_slice(&format, &mut rounded, scale, rounding, &draws);
            for ((weight, result), element) in weights.iter().zip(rounded).zip(0..) {
                let quotient = f64::from(*weight) / f64::from(scale);
                let code = format.encode(quotient, rounding, draws.draw(element)).unwrap();
                let expected = (format.value(code) * f64::from(scale)) as f32;
                assert_eq!(result.to_bits(), expected.to_bits(), "{rounding:?} {scale} {element}");
            }
        }
    }
}

/// Returns the exact number of every code.
fn values(format: &Float) -> Vec<(u32, f64)> {
    (0..1_u32 << format.bits()).map(|code| (code, format.value(code))).collect()
}
