//! The quantizer: which tensors, what is reported, and that the packer writes as many bytes as are reported.

use fewbits_ops::format::{Bias, Format, PowerFit, RandomBits, RealFit, Rounding, Scale, StoredScale};
use fewbits_ops::quantize::{QuantizeError, Quantizer, Tensor, Tensors};
use proptest::prelude::*;

use crate::float;

fn quantizer(e: u32, m: u32) -> Quantizer {
    Quantizer {
        format: Format::Float(float(e, m, Bias::Ieee)),
        rounding: Rounding::Nearest,
        seed: 0,
        random_bits: RandomBits::default(),
        scale: Scale::None,
        tensors: Tensors::Weights,
    }
}

const WEIGHT: Tensor<'_> =
    Tensor { name: "linear1.weight", shape: &[2, 3], data: &[0.1, -0.3, 5.0, 40.0, -0.0, 0.7] };
const BIAS: Tensor<'_> = Tensor { name: "linear1.bias", shape: &[2], data: &[0.11, 0.26] };

/// Worked by hand with e3m0 = 0 .25 .5 1 2 4 8 16; 0.1 → 0, 5 → 4, 40 → 16, 0.7 → 0.5.
#[test]
fn weights_are_rounded_and_biases_are_not() {
    let quantized = quantizer(3, 0).quantize(&[WEIGHT, BIAS]).unwrap();
    assert_eq!(quantized.data[0], [0.0, -0.25, 4.0, 16.0, 0.0, 0.5]);
    assert!(quantized.data[0][4].is_sign_negative());
    assert_eq!(quantized.data[1], BIAS.data);
    let [report] = &quantized.reports[..] else { panic!("{:?}", quantized.reports) };
    assert_eq!((report.name.as_str(), report.scale), ("linear1.weight", StoredScale::None));
    assert_eq!(report.distortion, quantized.overall);
    assert_eq!(quantized.overall.max_error, 24.0);
    assert_eq!(quantized.overall.flushed, 1.0 / 5.0);
    assert_eq!(quantized.overall.saturated, 1.0 / 6.0);
    // Six codes of four bits, and two biases of four bytes.
    assert_eq!((quantized.size.bytes, quantized.size.code_bits), (3 + 8, 4));
    assert_eq!(quantized.size.bits_per_weight, 88.0 / 8.0);
}

#[test]
fn all_means_biases_too_each_its_own_tensor() {
    let scale = Scale::Real { fit: RealFit::MaxAbs };
    let all = Quantizer { tensors: Tensors::All, scale, ..quantizer(3, 0) };
    let quantized = all.quantize(&[WEIGHT, BIAS]).unwrap();
    let scales: Vec<StoredScale> = quantized.reports.iter().map(|report| report.scale).collect();
    assert_eq!(scales, [StoredScale::Real(2.5), StoredScale::Real(0.26 / 16.0)]);
    assert_eq!(quantized.data[1], [0.13, 0.26]);
    assert_eq!(quantized.size.bytes, 3 + 4 + 1 + 4);
}

#[test]
fn binary32_loses_nothing_and_takes_32_bits() {
    let quantized = quantizer(8, 23).quantize(&[WEIGHT, BIAS]).unwrap();
    assert_eq!(quantized.data[0], WEIGHT.data);
    assert_eq!(quantized.overall.sqnr_db, None);
    assert_eq!(quantized.size.bits_per_weight, 32.0);
}

#[test]
fn weights_that_are_not_finite_are_refused() {
    let check = |tensor: Tensor<'_>, expected: &str| {
        let error = quantizer(3, 0).quantize(&[WEIGHT, tensor]).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    let advice = "only finite weights are quantized";
    check(Tensor { data: &[1.0, f32::NAN], ..BIAS }, &format!("linear1.bias: element 1 is NaN; {advice}"));
    let weight = Tensor { name: "conv1.weight", shape: &[1, 2], data: &[f32::NEG_INFINITY, 0.0] };
    check(weight, &format!("conv1.weight: element 0 is -inf; {advice}"));
}

#[test]
fn results_that_are_not_finite_are_refused() {
    // f32::MAX lies below 16·2^124, and is nearer to it than to 8·2^124; but 16·2^124 is 2^128.
    let scale = Scale::PowerOfTwo { fit: PowerFit::MaxAbs };
    let tensor = Tensor { name: "w", shape: &[1, 1], data: &[f32::MAX] };
    let error = Quantizer { scale, ..quantizer(3, 0) }.quantize(&[tensor]).unwrap_err();
    assert!(matches!(error, QuantizeError::Result { tensor, element: 0, .. } if tensor == "w"));
}

#[test]
fn a_description_without_randomness_has_no_seed() {
    let text = |quantizer: &Quantizer| serde_json::to_string(quantizer).unwrap();
    let nearest = quantizer(3, 0);
    let stochastic = Quantizer { rounding: Rounding::Stochastic, ..nearest.clone() };
    let format = r#""format":{"Float":{"e":3,"m":0,"bias":"Ieee"}}"#;
    let rest = r#""scale":"None","tensors":"Weights""#;
    assert_eq!(text(&nearest), format!(r#"{{{format},"rounding":"Nearest",{rest}}}"#));
    let seed = r#""rounding":"Stochastic","seed":0,"random_bits":32"#;
    assert_eq!(text(&stochastic), format!("{{{format},{seed},{rest}}}"));
    assert_eq!(text(&Quantizer { seed: 7, ..nearest.clone() }), text(&nearest));
}

#[test]
fn packed_bytes_of_another_length_are_refused() {
    let quantizer = quantizer(3, 0);
    let bytes = quantizer.pack(&[WEIGHT, BIAS]).unwrap();
    for found in [0, 2, 10] {
        let error = quantizer.unpack(&[WEIGHT.shape, BIAS.shape], &bytes[..found]).unwrap_err();
        assert_eq!(error, QuantizeError::Length { expected: 11, found: found as u64 });
    }
    assert!(quantizer.unpack(&[WEIGHT.shape], &bytes).is_err());
}

fn any_quantizer() -> impl Strategy<Value = Quantizer> {
    let roundings = [Rounding::Nearest, Rounding::NearestAway, Rounding::TowardZero, Rounding::Stochastic];
    let scales = [
        Scale::None,
        Scale::PowerOfTwo { fit: PowerFit::MaxAbs },
        Scale::PowerOfTwo { fit: PowerFit::LeastSquares },
        Scale::Real { fit: RealFit::MaxAbs },
        Scale::Real { fit: RealFit::LeastSquares },
    ];
    let float = (0_u32..=8, 0_u32..=23).prop_filter("a sign alone", |(e, m)| e + m > 0);
    let tensors = prop::sample::select(vec![Tensors::Weights, Tensors::All]);
    (float, prop::sample::select(roundings.to_vec()), prop::sample::select(scales.to_vec()), tensors)
        .prop_map(|((e, m), rounding, scale, tensors)| Quantizer {
            rounding,
            scale,
            tensors,
            ..quantizer(e, m)
        })
}

fn any_tensor() -> impl Strategy<Value = (Vec<usize>, Vec<f32>)> {
    prop::collection::vec(0_usize..6, 1..4).prop_flat_map(|shape| {
        let count = shape.iter().product::<usize>();
        (Just(shape), prop::collection::vec(-2.0_f32..2.0, count))
    })
}

proptest! {
    #[test]
    fn what_is_packed_is_what_was_quantized_in_as_many_bytes_as_predicted(
        quantizer in any_quantizer(), contents in prop::collection::vec(any_tensor(), 0..4),
    ) {
        let names: Vec<String> = (0..contents.len()).map(|index| format!("t{index}")).collect();
        let tensors: Vec<Tensor<'_>> = contents.iter().zip(&names)
            .map(|((shape, data), name)| Tensor { name, shape, data }).collect();
        let quantized = quantizer.quantize(&tensors).unwrap();
        let bytes = quantizer.pack(&tensors).unwrap();
        prop_assert_eq!(bytes.len() as u64, quantized.size.bytes);
        let shapes: Vec<&[usize]> = tensors.iter().map(|tensor| tensor.shape).collect();
        let unpacked = quantizer.unpack(&shapes, &bytes).unwrap();
        let bits = |data: &[Vec<f32>]| -> Vec<u32> { data.iter().flatten().map(|x| x.to_bits()).collect() };
        prop_assert_eq!(bits(&unpacked), bits(&quantized.data));
    }
}
