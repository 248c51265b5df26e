//! Every format of at most 8 bits, of every kind: all codes, all neighbours, all midpoints.

use fewbits_ops::format::{Codec, Format, NF4, Rounding};

use crate::{no_draw, parsed};

const ROUNDINGS: [Rounding; 4] =
    [Rounding::Nearest, Rounding::NearestAway, Rounding::TowardZero, Rounding::Stochastic];

/// Returns every format of at most 8 bits except plain floats, which `exhaustive` covers.
fn formats() -> Vec<String> {
    let mut formats: Vec<String> =
        ["Ternary", "Binary", "Nf4", "Values([3.0, -1.0, 0.25])", "Values([-2.0, -0.5])"]
            .map(str::to_owned)
            .to_vec();
    for name in ["E4M3", "E5M2", "float8_e3m4", "float8_e4m3", "float8_e4m3b11fnuz", "float8_e4m3fn"] {
        formats.push(name.to_owned());
    }
    for name in ["float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float4_e2m1fn"] {
        formats.push(name.to_owned());
    }
    for bits in 2..=8 {
        formats.extend(["Symmetric", "Full"].map(|range| format!("Int(bits: {bits}, range: {range})")));
        formats.push(format!("Int(bits: {bits}, range: Asymmetric)"));
        formats.push(format!("PowerOfTwo({bits})"));
        formats.extend((-2..bits + 2).map(|int| format!("Fixed(int: {int}, frac: {})", bits - 1 - int)));
        formats.push(format!("Mx(Int({bits}))"));
        formats.push(format!("BlockFloat({bits})"));
        for es in 0..bits.min(5) {
            if (bits - 2) << es <= 127 {
                formats.push(format!("Posit(n: {bits}, es: {es})"));
            }
        }
    }
    for (e, m) in [(1, 2), (2, 1), (3, 0), (2, 3), (3, 2), (4, 3), (5, 2), (4, 0)] {
        formats.push(format!("Float(e: {e}, m: {m}, subnormals: Flush)"));
        for specials in ["Ieee", "Ocp", "Fnuz", "P3109"] {
            for overflow in ["Saturate", "Special"] {
                formats.push(format!("Float(e: {e}, m: {m}, specials: {specials}, overflow: {overflow})"));
            }
        }
    }
    for bits in 3..=8 {
        for precision in 1..bits {
            formats.push(format!("P3109(bits: {bits}, precision: {precision}, domain: Finite)"));
        }
    }
    formats
}

/// Returns the finite numbers of a codec in ascending order, each with the code that the encoder writes.
fn numbers(codec: &Codec) -> Vec<(f64, u32)> {
    let table = codec.table();
    let mut numbers: Vec<(f64, u32)> = table
        .iter()
        .zip(0..)
        .filter_map(|(value, code)| Some(((*value)?, code)))
        .filter(|(value, code)| {
            value.is_finite() && codec.encode(*value, Rounding::Nearest, no_draw()) == Some(*code)
        })
        .collect();
    numbers.sort_by(|a, b| a.0.total_cmp(&b.0));
    numbers
}

#[test]
fn every_code_is_rounded_to_itself_and_stands_for_one_number() {
    for text in formats() {
        let codec = parsed(&text).codec().unwrap();
        let numbers = numbers(&codec);
        assert!(numbers.len() >= 2, "{text}");
        assert!(
            numbers
                .windows(2)
                .all(|pair| pair[0].0 < pair[1].0 || pair[0].0.to_bits() != pair[1].0.to_bits())
        );
        for &(value, code) in &numbers {
            for rounding in ROUNDINGS {
                assert_eq!(
                    codec.encode(value, rounding, no_draw()),
                    Some(code),
                    "{text} {value} {rounding:?}"
                );
                let rounded = codec.round(value, rounding, no_draw());
                assert_eq!(rounded.to_bits(), value.to_bits(), "{text} {value} {rounding:?}");
            }
        }
        // A code that the encoder never writes is unused, is special, or duplicates the number of another code.
        for (code, value) in codec.table().into_iter().enumerate() {
            let Some(value) = value else { continue };
            let written = numbers.iter().any(|(_, other)| *other as usize == code);
            let unused =
                matches!(parsed(&text), Format::Int { .. } | Format::Mx { .. }) && codec.limits().0 > value;
            let same = numbers.iter().any(|(other, _)| *other == value);
            assert!(written || !value.is_finite() || unused || same, "{text}: code {code} is {value}");
        }
    }
}

/// Posits round by their bit string; `conformance` tests them.
#[test]
fn midpoints_and_their_neighbours_go_to_the_nearer_number() {
    for text in formats().iter().filter(|text| !text.starts_with("Posit")) {
        let codec = parsed(text).codec().unwrap();
        let mut numbers = numbers(&codec);
        numbers.dedup_by(|a, b| a.0 == b.0);
        for pair in numbers.windows(2) {
            let [(low, low_code), (high, high_code)] = [pair[0], pair[1]];
            let middle = f64::midpoint(low, high);
            let check = |value: f64, rounding, expected: f64| {
                let rounded = codec.round(value, rounding, no_draw());
                assert_eq!(rounded, expected, "{text} {value} {rounding:?} between {low} and {high}");
            };
            for rounding in [Rounding::Nearest, Rounding::NearestAway] {
                check(middle.next_down(), rounding, low);
                check(middle.next_up(), rounding, high);
            }
            check(
                middle,
                Rounding::NearestAway,
                if low >= 0.0 || high > 0.0 && low < 0.0 { high } else { low },
            );
            // Ties go to the even code; for integers to the even integer, and in a float that flushes subnormals to
            // zero.
            let (low_is_even, high_is_even) = match codec {
                Codec::Integer(_) => {
                    let unit = high - low;
                    ((low / unit) % 2.0 == 0.0, (high / unit) % 2.0 == 0.0)
                }
                // Neighbouring codes of a user's codebook may both be even: the lower code decides.
                Codec::Codebook(_) => (low_code % 2 == 0, low_code % 2 == 1),
                _ if text.contains("Flush") && low == 0.0 => (true, false),
                _ if text.contains("Flush") && high == 0.0 => (false, true),
                Codec::Float(_) => (low_code % 2 == 0, high_code % 2 == 0),
            };
            // Without a code for −0 the even neighbour of the greatest negative number is 0.
            assert_ne!(low_is_even, high_is_even, "{text} {low} {high}");
            check(middle, Rounding::Nearest, if low_is_even { low } else { high });
            let toward = if low >= 0.0 {
                low
            } else if high <= 0.0 {
                high
            } else {
                continue;
            };
            check(middle, Rounding::TowardZero, toward);
        }
    }
}

#[test]
fn rounding_never_turns_two_numbers_around() {
    for text in formats() {
        let codec = parsed(&text).codec().unwrap();
        let reach = codec.largest();
        for rounding in [Rounding::Nearest, Rounding::NearestAway, Rounding::TowardZero] {
            let values = (-3000..=3000).map(|i| 1.2 * reach * f64::from(i) / 3000.0);
            let fine = (-3000..=3000).map(|i| reach * 1e-3 * f64::from(i) / 3000.0);
            for values in [values.collect::<Vec<f64>>(), fine.collect()] {
                let rounded = values.iter().map(|value| codec.round(*value, rounding, no_draw()));
                let finite: Vec<f64> = rounded.filter(|rounded| !rounded.is_nan()).collect();
                assert!(finite.is_sorted(), "{text} {rounding:?}");
            }
        }
    }
}

/// Dettmers et al., `QLoRA` (2023), appendix E; the digits are from bitsandbytes 0.50.2, functional.py.
#[test]
#[allow(clippy::unreadable_literal, reason = "as published")]
fn nf4_has_its_published_values() {
    let published = [
        -1.0,
        -0.6961928009986877,
        -0.5250730514526367,
        -0.39491748809814453,
        -0.28444138169288635,
        -0.18477343022823334,
        -0.09105003625154495,
        0.0,
        0.07958029955625534,
        0.16093020141124725,
        0.24611230194568634,
        0.33791524171829224,
        0.44070982933044434,
        0.5626170039176941,
        0.7229568362236023,
        1.0,
    ];
    assert_eq!(NF4.map(f64::from), published);
}

/// The Standard for Posit Arithmetic (2022) for 8 bits and es 2, and the well-known table of introductions.
#[test]
fn posits_have_their_published_ends() {
    let limits = |text: &str| parsed(text).codec().unwrap().limits();
    assert_eq!(limits("Posit(n: 8, es: 2)"), (-(2.0_f64.powi(24)), 2.0_f64.powi(24)));
    assert_eq!(limits("Posit(n: 16, es: 2)").1, 2.0_f64.powi(56));
    let codec = parsed("Posit(n: 4, es: 0)").codec().unwrap();
    let positive: Vec<f64> = codec.table().into_iter().flatten().take(8).collect();
    assert_eq!(positive, [0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0]);
    // Nonzero numbers never round to zero; numbers beyond the largest saturate.
    for rounding in ROUNDINGS {
        assert_eq!(codec.round(1e-30, rounding, no_draw()), 0.25);
        assert_eq!(codec.round(-1e-30, rounding, no_draw()), -0.25);
        assert_eq!(codec.round(1e30, rounding, no_draw()), 4.0);
        assert_eq!(codec.round(0.0, rounding, no_draw()), 0.0);
    }
    assert_eq!(codec.encode(f64::NAN, Rounding::Nearest, no_draw()), Some(8));
    assert_eq!(codec.encode(f64::INFINITY, Rounding::Nearest, no_draw()), Some(8));
}
