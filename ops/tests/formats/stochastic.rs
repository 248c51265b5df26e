//! The statistics of stochastic rounding, and the pairing of its draws. Seeds are fixed, so a test always passes or
//! always fails; the stated false-alarm rate is the chance that a correct program fails for a random seed.

use fewbits_ops::format::{Bias, Draw, Draws, Float, RandomBits, Rounding};

use crate::{float, parsed, round_slice};

fn rounded(format: &Float, weights: &[f32], seed: u64, bits: RandomBits) -> Vec<f32> {
    let mut result = weights.to_vec();
    round_slice(format, &mut result, 1.0, Rounding::Stochastic, &Draws::new(seed, "w", bits));
    result
}

/// The number of draws away from zero is binomial. A deviation of 6.5 standard deviations has a chance of 8e-11, and
/// the test checks 500 cells: 4e-8 in all.
#[test]
fn the_mean_is_the_number_itself() {
    const N: usize = 1 << 16;
    let formats = [(0, 3), (2, 1), (3, 0), (3, 2), (1, 2)].map(|(e, m)| float(e, m, Bias::Ieee));
    for (format, seed) in formats.iter().zip(0..) {
        let values: Vec<f64> = (0..=format.largest_code()).map(|code| format.value(code)).collect();
        for pair in values.windows(2) {
            for position in [0.001, 0.3, 0.5, 0.91] {
                let weight = (pair[0] + (pair[1] - pair[0]) * position) as f32;
                let exact = (f64::from(weight) - pair[0]) / (pair[1] - pair[0]);
                let results = rounded(format, &vec![weight; N], seed, RandomBits::default());
                let away = results.iter().filter(|result| f64::from(**result) == pair[1]).count();
                let low = results.iter().filter(|result| f64::from(**result) == pair[0]).count();
                assert_eq!(away + low, N, "{format:?} {weight}: a result that is no neighbour");
                let deviation = (away as f64 - N as f64 * exact) / (N as f64 * exact * (1.0 - exact)).sqrt();
                assert!(deviation.abs() < 6.5, "{format:?} {weight}: {deviation} standard deviations");
            }
        }
    }
}

/// With r bits the probability is not f but round-half-even(f·2^r) / 2^r; the test uses all draws, no sample.
#[test]
fn few_random_bits_are_biased_as_stated() {
    // Positions between 1 and 2 of e3m0, random bits, and the number of the 2^r draws that round away from zero.
    let cases = [
        (0.25, 1, 0), // 0.5 is a tie, to 0
        (0.75, 1, 2), // 1.5 is a tie, to 2: always away
        (0.3, 2, 1),
        (0.125, 2, 0), // 0.5 again
        (0.375, 2, 2), // 1.5 again
        (0.9, 2, 4),
        (0.3, 5, 10),
        (0.3, 10, 307),
        (0.0, 4, 0),
    ];
    let format = float(3, 0, Bias::Ieee);
    for (position, bits, expected) in cases {
        let bits = RandomBits::new(bits).unwrap();
        let goes = |number| {
            format.round(1.0 + position, Rounding::Stochastic, Draw::new(number, bits).unwrap()) == 2.0
        };
        let away = (0..1_u32 << bits.get()).filter(|number| goes(*number)).count();
        assert_eq!(away, expected, "{position} with {bits:?}");
    }
}

#[test]
fn formats_that_agree_on_the_weights_give_the_same_result() {
    let weights: Vec<f32> = (0..5000).map(|i| (i as f32 * 0.77).sin() * 0.46).collect();
    let bits = RandomBits::default();
    // All of these formats have 0, 0.25 and 0.5 as their first numbers, or 0, 0.125, … 0.5.
    for formats in [[(1, 3), (2, 2), (3, 0)], [(1, 4), (2, 3), (3, 1)]] {
        let [first, second, third] = formats.map(|(e, m)| float(e, m, Bias::Ieee));
        let expected = rounded(&first, &weights, 2, bits);
        assert_eq!(rounded(&second, &weights, 2, bits), expected);
        assert_eq!(rounded(&third, &weights, 2, bits), expected);
        assert_ne!(rounded(&first, &weights, 3, bits), expected);
    }
}

/// Both formats have 0 and one code above it, at 1 and at 1/8: at the same relative position the same u decides.
#[test]
fn draws_are_the_same_for_every_format_and_scale() {
    let (large, tiny) = (float(0, 1, Bias::Ieee), float(0, 1, Bias::Exactly(3)));
    let weights: Vec<f32> = (0..1000).map(|i| i as f32 / 1000.0).collect();
    let small: Vec<f32> = weights.iter().map(|weight| weight / 8.0).collect();
    let bits = RandomBits::default();
    let eighth: Vec<f32> = rounded(&tiny, &small, 4, bits).iter().map(|result| result * 8.0).collect();
    assert_eq!(eighth, rounded(&large, &weights, 4, bits));
}

/// Like `the_mean_is_the_number_itself`, for integers and codebooks: the same false-alarm rate of 8e-11 for each of 320
/// cells, 3e-8 in all. Numbers between zero and the least posit are left out: by design they never round to zero.
#[test]
fn the_mean_is_the_number_itself_in_integers_and_codebooks() {
    const N: usize = 1 << 14;
    let formats = ["Int(4)", "Fixed(int: -1, frac: 4)", "Nf4", "Posit(n: 5, es: 1)", "Binary", "Ternary"];
    let own = ["Values([-0.7, -0.2, 0.1, 0.4])", "Int(bits: 3, range: Full)", "PowerOfTwo(4)", "Mx(Int(4))"];
    for (format, seed) in formats.iter().chain(&own).zip(0..) {
        let codec = parsed(format).codec().unwrap();
        let mut values: Vec<f64> =
            codec.table().into_iter().flatten().filter(|value| value.is_finite()).collect();
        values.retain(|value| codec.limits().0 <= *value);
        values.sort_by(f64::total_cmp);
        values.dedup_by(|a, b| *a == *b);
        let draws = Draws::new(seed, "w", RandomBits::default());
        for pair in values.windows(2) {
            if format.starts_with("Posit") && (pair[0] == 0.0 || pair[1] == 0.0) {
                continue;
            }
            for position in [0.03, 0.5, 0.8] {
                let weight = (pair[0] + (pair[1] - pair[0]) * position) as f32;
                let exact = (f64::from(weight) - pair[0]) / (pair[1] - pair[0]);
                let mut results = vec![weight; N];
                codec.round_slice(&mut results, 1.0, Rounding::Stochastic, &draws);
                let up = results.iter().filter(|result| f64::from(**result) == pair[1]).count();
                let down = results.iter().filter(|result| f64::from(**result) == pair[0]).count();
                assert_eq!(up + down, N, "{format} {weight}: a result that is no neighbour");
                let deviation = (up as f64 - N as f64 * exact) / (N as f64 * exact * (1.0 - exact)).sqrt();
                assert!(deviation.abs() < 6.5, "{format} {weight}: {deviation} standard deviations");
            }
        }
        for beyond in [2.0 * codec.limits().0, 2.0 * codec.limits().1] {
            let mut results = vec![beyond as f32; 64];
            codec.round_slice(&mut results, 1.0, Rounding::Stochastic, &draws);
            let limit = if beyond < 0.0 { codec.limits().0 } else { codec.limits().1 };
            assert!(results.iter().all(|result| f64::from(*result) == limit), "{format} {beyond}");
        }
    }
}

/// In a codebook round-half-even(f·2^r) of the 2^r draws go away from zero, for either sign; the test uses all draws.
#[test]
fn few_random_bits_are_biased_as_stated_in_codebooks() {
    let codec = parsed("Values([-4, -1, 0, 1, 4])").codec().unwrap();
    for (value, bits, expected) in
        [(1.75, 1, 0), (3.25, 1, 2), (1.9, 2, 1), (2.5, 3, 4), (1.9, 10, 307), (0.3, 5, 10)]
    {
        let bits = RandomBits::new(bits).unwrap();
        for sign in [1.0, -1.0] {
            let goes = |number| {
                let draw = Draw::new(number, bits).unwrap();
                codec.round(sign * value, Rounding::Stochastic, draw).abs() > value
            };
            let away = (0..1_u32 << bits.get()).filter(|number| goes(*number)).count();
            assert_eq!(away, expected, "{} with {bits:?}", sign * value);
        }
    }
}
