//! Every row of the reference vectors, bit for bit. `conformance/README.md` says which programs made them.

use std::io::Read;

use fewbits_ops::format::{Bias, Draw, Draws, Float, RandomBits, Rounding};
use flate2::read::GzDecoder;

use crate::{float, no_draw};

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
        format.round_slice(&mut slice, 1.0, rounding, &draws);
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
