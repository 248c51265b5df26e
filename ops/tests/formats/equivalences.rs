//! Formats that equal another format, to the last bit.

use fewbits_ops::format::{Draws, RandomBits, Rounding};
use fewbits_ops::quantize::{Prepared, Quantization, Tensor};
use fewbits_ops::scale::{Per, PowerFit, RealFit, Scale, ScaleType};

use crate::parsed;

const SHAPE: [usize; 2] = [30, 70];

fn weights() -> Vec<f32> {
    (0..2100).map(|i| (i as f32 * 1.3).sin() * 0.3 * (i as f32 * 0.01).cos()).collect()
}

fn rounded(format: &str, scale: Option<Scale>, rounding: Rounding) -> Vec<u32> {
    let (quantization, weights) = (Quantization::new(parsed(format), rounding, scale).unwrap(), weights());
    let tensor = Tensor { name: "w", shape: &SHAPE, data: &weights };
    let mut rounded = weights.clone();
    let draws = Draws::new(8, "w", RandomBits::default());
    Prepared::fit(&quantization, &tensor).unwrap().round(&mut rounded, &draws);
    rounded.into_iter().map(f32::to_bits).collect()
}

const ROUNDINGS: [Rounding; 4] =
    [Rounding::Nearest, Rounding::NearestAway, Rounding::TowardZero, Rounding::Stochastic];

#[test]
fn integers_are_fixed_point_at_the_same_scale() {
    let fits = [RealFit::MaxAbs, RealFit::LeastSquares];
    for bits in 2..=8 {
        for (fit, rounding) in fits.iter().flat_map(|fit| ROUNDINGS.map(|rounding| (*fit, rounding))) {
            for per in [Per::Tensor, Per::Channel, Per::Block(32)] {
                let scale = Some(Scale::Real { per, fit, store: ScaleType::F32 });
                let [int, float] = [format!("Int({bits})"), format!("Float(e: 0, m: {})", bits - 1)];
                assert_eq!(
                    rounded(&int, scale, rounding),
                    rounded(&float, scale, rounding),
                    "{int} {rounding:?}"
                );
            }
        }
    }
}

#[test]
fn mx_is_its_element_at_an_ocp_scale_for_each_block() {
    let scale = Some(Scale::PowerOfTwo { per: Per::Block(32), fit: PowerFit::MaxExponent });
    for rounding in ROUNDINGS {
        for element in ["E2M1", "E3M2", "E2M3", "E4M3", "E5M2"] {
            assert_eq!(rounded(&format!("Mx({element})"), None, rounding), rounded(element, scale, rounding));
        }
        // INT8 is fixed point of one integer bit, without its least number; block floating point is the same.
        assert_eq!(rounded("Mx(Int(8))", None, rounding), rounded("BlockFloat(8)", None, rounding));
        assert_eq!(rounded("Mx(Int(4))", None, rounding), rounded("Float(e: 0, m: 3)", scale, rounding));
    }
}

#[test]
fn powers_of_two_are_a_float_without_mantissa() {
    for rounding in ROUNDINGS {
        let float = "Float(e: 3, m: 0, bias: Exactly(7))";
        assert_eq!(rounded("PowerOfTwo(4)", None, rounding), rounded(float, None, rounding));
        assert_eq!(
            rounded("Float(e: 3, m: 0, bias: Exactly(6), subnormals: Flush)", None, Rounding::TowardZero),
            rounded("Float(e: 3, m: 0, bias: Exactly(6))", None, Rounding::TowardZero),
        );
    }
}

#[test]
fn a_codebook_of_a_formats_numbers_is_the_format() {
    let values = "Values([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.5, -1, -1.5, -2, -3, -4, -6])";
    let scale = Some(Scale::Real { per: Per::Channel, fit: RealFit::MaxAbs, store: ScaleType::F16 });
    for rounding in [Rounding::NearestAway, Rounding::TowardZero, Rounding::Stochastic] {
        assert_eq!(rounded(values, scale, rounding), rounded("E2M1", scale, rounding), "{rounding:?}");
    }
}

/// OCP Microscaling Formats 1.0, 5.1 and 6.3, by hand. The largest magnitude is 0.5 = 2^−1, E2M1's emax is 2, so the
/// shared exponent is −3, stored as 124. Over 2^−3: 4, −0.8 → −1, 0.2 → 0, 2.5 → 2 (a tie, to the even code), 3.6 → 4.
#[test]
fn mx_meets_an_example_worked_by_hand() {
    use fewbits_ops::quantize::{Quantizer, Tensors};
    let weights = [0.5, -0.1, 0.025, 0.3125, 0.45];
    let quantization = Quantization::new(parsed("Mx(E2M1)"), Rounding::Nearest, None).unwrap();
    let quantizer = Quantizer {
        quantization,
        layers: std::collections::BTreeMap::new(),
        seed: 0,
        random_bits: RandomBits::default(),
        tensors: Tensors::Weights,
    };
    let tensor = Tensor { name: "w", shape: &[1, 5], data: &weights };
    let quantized = quantizer.quantize(&[tensor]).unwrap();
    assert_eq!(quantized.data[0], [0.5, -0.125, 0.0, 0.25, 0.5]);
    // Codes 6, 10, 0, 4, 6, lowest bits first.
    assert_eq!(quantizer.pack(&[tensor]).unwrap(), [124, 0xa6, 0x40, 0x06]);
    assert_eq!(quantized.size.code_bits, 4.25);
}

/// Li et al. (2016): Δ = 0.7·mean|w|, α the mean magnitude beyond Δ. By hand: mean 0.5, Δ = 0.35,
/// α = (0.4 + 0.6 + 0.9)/3.
#[test]
fn ternary_and_binary_meet_worked_examples() {
    let of = |format: &str, weights: &[f32]| {
        let quantization = Quantization::new(parsed(format), Rounding::Nearest, None).unwrap();
        let tensor = Tensor { name: "w", shape: &[1, weights.len()], data: weights };
        let mut rounded = weights.to_vec();
        let draws = Draws::new(0, "w", RandomBits::default());
        Prepared::fit(&quantization, &tensor).unwrap().round(&mut rounded, &draws);
        rounded
    };
    let alpha = ((f64::from(0.4_f32) + f64::from(0.6_f32) + f64::from(0.9_f32)) / 3.0) as f32;
    assert_eq!(of("Ternary", &[0.4, -0.6, 0.1, -0.9]), [alpha, -alpha, 0.0, -alpha]);
    assert_eq!(of("Binary", &[0.5, -0.25, 0.0, -1.25]), [0.5, -0.5, 0.5, -0.5]);
    // Symmetric integers of 3 bits: s = 0.25; 0.375 and 0.125 are ties and round to even, 2 and 0.
    assert_eq!(of("Int(3)", &[0.75, 0.375, -0.125, -0.2]), [0.75, 0.5, 0.0, -0.25]);
    // Asymmetric integers of 2 bits over −1 … 2: s = 1, zero point 1.
    assert_eq!(of("Int(bits: 2, range: Asymmetric)", &[-1.0, 2.0, 0.4, 1.6]), [-1.0, 2.0, 0.0, 2.0]);
}

#[test]
fn powers_of_two_are_the_codebook_of_their_numbers() {
    let values = "Values([0, 1, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, \
                  -1, -0.5, -0.25, -0.125, -0.0625, -0.03125, -0.015625])";
    for rounding in [Rounding::NearestAway, Rounding::TowardZero, Rounding::Stochastic] {
        assert_eq!(rounded("PowerOfTwo(4)", None, rounding), rounded(values, None, rounding), "{rounding:?}");
    }
}

/// For any range of weights, the least-squares search is at least as good as the range itself.
#[test]
fn asymmetric_integers_lose_no_more_by_least_squares_than_by_their_range() {
    let error = |low: f32, high: f32, scale: Scale| {
        let weights: Vec<f32> =
            (0..1000).map(|i| low + (high - low) * (i as f32 * 0.618_034).fract()).collect();
        let quantization =
            Quantization::new(parsed("Int(bits: 4, range: Asymmetric)"), Rounding::Nearest, Some(scale))
                .unwrap();
        let tensor = Tensor { name: "w", shape: &[10, 100], data: &weights };
        let mut rounded = weights.clone();
        let draws = Draws::new(0, "w", RandomBits::default());
        Prepared::fit(&quantization, &tensor).unwrap().round(&mut rounded, &draws);
        weights.iter().zip(rounded).map(|(w, q)| (f64::from(*w) - f64::from(q)).powi(2)).sum::<f64>()
    };
    for (low, high) in [(-0.85, 0.05), (-0.2, 0.7), (0.1, 0.9), (-1.0, -0.5), (-0.5, 0.5)] {
        for per in [Per::Tensor, Per::Channel] {
            let real = |fit| error(low, high, Scale::Real { per, fit, store: ScaleType::F32 });
            assert!(real(RealFit::LeastSquares) <= real(RealFit::MaxAbs) * (1.0 + 1e-6), "{low} {high}");
            let power = |fit| error(low, high, Scale::PowerOfTwo { per, fit });
            assert!(power(PowerFit::LeastSquares) <= power(PowerFit::MaxAbs), "{low} {high} power of two");
        }
    }
}
