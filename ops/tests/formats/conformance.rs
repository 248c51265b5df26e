//! Every row of the reference vectors, bit for bit. `conformance/README.md` names the programs that made them.

use std::io::Read;

use fewbits_ops::format::{Bias, Codec, Domain, Draw, Draws, Float, Format, Overflow, RandomBits, Rounding};
use flate2::read::GzDecoder;

use crate::{float, no_draw, round_slice};

fn read(compressed: &[u8]) -> String {
    let mut text = String::new();
    GzDecoder::new(compressed).read_to_string(&mut text).unwrap();
    text
}

fn hex(text: &str) -> f32 {
    f32::from_bits(u32::from_str_radix(text, 16).unwrap())
}

fn format(fields: &[&str]) -> Float {
    let [e, m] = [0, 1].map(|at: usize| fields[at].parse().unwrap());
    float(e, m, Bias::Exactly(fields[2].parse().unwrap()))
}

/// Checks a file of deterministic roundings and returns its rows.
fn check(compressed: &[u8]) -> usize {
    let draws = Draws::new(0, "unused", RandomBits::default());
    let text = read(compressed);
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let format = format(&fields);
        let rounding = match fields[3] {
            "nearest-even" => Rounding::Nearest,
            "nearest-away" => Rounding::NearestAway,
            "toward-zero" => Rounding::TowardZero,
            other => panic!("unknown rounding {other}"),
        };
        let (input, output) = (hex(fields[4]), hex(fields[5]));
        let mut slice = [input];
        round_slice(&format, &mut slice, 1.0, rounding, &draws);
        assert_eq!(slice[0].to_bits(), output.to_bits(), "{line}");
        let code = format.encode(f64::from(input), rounding, no_draw()).unwrap();
        assert_eq!(format.decode(code).to_bits(), output.to_bits(), "{line}");
    }
    text.lines().count() - 1
}

#[test]
fn deterministic_roundings_meet_gfloat_and_ml_dtypes() {
    assert_eq!(check(include_bytes!("../conformance/small_float.csv.gz")), 125_048);
}

#[test]
fn fixed_point_wide_formats_and_shifted_biases_meet_gfloat() {
    assert_eq!(check(include_bytes!("../conformance/more_float.csv.gz")), 16_512);
}

#[test]
fn stochastic_rounding_meets_gfloat() {
    let text = read(include_bytes!("../conformance/stochastic.csv.gz"));
    let mut rows = 0;
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let bits = RandomBits::new(fields[3].parse().unwrap()).unwrap();
        let draw = Draw::new(fields[4].parse().unwrap(), bits).unwrap();
        let rounded = format(&fields).round(f64::from(hex(fields[5])), Rounding::Stochastic, draw);
        assert_eq!((rounded as f32).to_bits(), hex(fields[6]).to_bits(), "{line}");
        rows += 1;
    }
    assert_eq!(rows, 8_000);
}

/// Checks rows of name, input and output under rounding to nearest even, NaN and overflow included.
fn check_named(compressed: &[u8]) -> usize {
    let text = read(compressed);
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let format = Float::named(fields[0]).unwrap_or_else(|| panic!("no format {}", fields[0]));
        let (input, output) = (hex(fields[1]), hex(fields[2]));
        check_nearest(&format, input, output, line);
    }
    text.lines().count() - 1
}

/// Checks the number and, if it has a code, that the code decodes to it.
fn check_nearest(format: &Float, input: f32, output: f32, line: &str) {
    let rounded = format.round(f64::from(input), Rounding::Nearest, no_draw());
    assert_eq!((rounded as f32).to_bits(), output.to_bits(), "{line}");
    if let Some(code) = format.encode(f64::from(input), Rounding::Nearest, no_draw()) {
        assert_eq!(format.decode(code).to_bits(), output.to_bits(), "{line}: code {code:#x}");
    }
    if input.is_finite() {
        let mut slice = [input];
        let draws = Draws::new(0, "unused", RandomBits::default());
        round_slice(format, &mut slice, 1.0, Rounding::Nearest, &draws);
        assert!(slice[0].to_bits() == output.to_bits() || slice[0].is_nan() && output.is_nan(), "{line}");
    }
}

#[test]
fn named_formats_meet_ml_dtypes() {
    assert_eq!(check_named(include_bytes!("../conformance/named_formats.csv.gz")), 8_652);
    assert_eq!(check_named(include_bytes!("../conformance/more_named.csv.gz")), 9_866);
}

fn p3109(fields: &[&str], overflow: Overflow) -> Float {
    let [bits, precision] = [0, 1].map(|at: usize| fields[at].parse().unwrap());
    let domain = if fields[2] == "extended" { Domain::Extended } else { Domain::Finite };
    Float::p3109(bits, precision, domain, overflow).unwrap()
}

#[test]
fn p3109_formats_meet_gfloat() {
    let text = read(include_bytes!("../conformance/p3109.csv.gz"));
    let mut rows = 0;
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let overflow = if fields[3] == "1" { Overflow::Saturate } else { Overflow::Special };
        let (input, output) = (hex(fields[4]), hex(fields[5]));
        let rounded = p3109(&fields, overflow).round(f64::from(input), Rounding::Nearest, no_draw()) as f32;
        // gfloat's NaN has no sign; our NaN has the sign of its code.
        let same = rounded.to_bits() == output.to_bits() || rounded.is_nan() && output.is_nan();
        assert!(same, "{line}: {rounded}");
        rows += 1;
    }
    assert_eq!(rows, 60_312);
}

#[test]
fn codes_stand_for_what_gfloat_and_ml_dtypes_say() {
    let same = |value: f64, expected: f32, line: &str| {
        let both_nan = value.is_nan() && expected.is_nan();
        assert!((value as f32).to_bits() == expected.to_bits() || both_nan, "{line}: {value}");
    };
    let text = read(include_bytes!("../conformance/p3109_values.csv.gz"));
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let format = p3109(&fields, Overflow::Saturate);
        same(format.value(fields[3].parse().unwrap()), hex(fields[4]), line);
    }
    let text = read(include_bytes!("../conformance/specials_values.csv.gz"));
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let name = match fields[0] {
            "ocp_e5m2" => "E5M2",
            "ocp_e4m3" => "E4M3",
            "ocp_e3m2" => "E3M2",
            "ocp_e2m3" => "E2M3",
            "ocp_e2m1" => "E2M1",
            "ocp_int8" => "Mx(Int(8))",
            name => name,
        };
        let table = crate::parsed(name).codec().unwrap().table();
        same(table[fields[1].parse::<usize>().unwrap()].unwrap(), hex(fields[2]), line);
    }
}

/// The rows hold every number of a code and of a code of one more bit: the ties, and their neighbours.
#[test]
fn posits_meet_sgposit_and_softposit() {
    let text = read(include_bytes!("../conformance/posit.csv.gz"));
    let mut rows = 0;
    let mut known: Option<(u32, u32, Codec)> = None;
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let [n, es] = [0, 1].map(|at: usize| fields[at].parse().unwrap());
        if known.as_ref().is_none_or(|known| (known.0, known.1) != (n, es)) {
            known = Some((n, es, Format::Posit { n, es }.codec().unwrap()));
        }
        let codec = &known.as_ref().unwrap().2;
        let code = codec.encode(f64::from(hex(fields[2])), Rounding::Nearest, no_draw());
        assert_eq!(code, fields[3].parse().ok(), "{line}");
        rows += 1;
    }
    assert_eq!(rows, 34_204);
}
