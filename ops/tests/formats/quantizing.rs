//! The quantizer: the choice of tensors, the reports, and the packer's output, whose length matches the reported bytes.

use std::collections::BTreeMap;

use fewbits_ops::format::{Bias, Format, RandomBits, Range, Rounding};
use fewbits_ops::network::architecture::{Architecture, LayerSpec};
use fewbits_ops::network::definition::Network;
use fewbits_ops::packed;
use fewbits_ops::quantize::{Codes, Quantization, QuantizeError, Quantizer, Tensor, Tensors};
use fewbits_ops::scale::{Per, Percent, PowerFit, RealFit, Scale, ScaleType};
use proptest::prelude::*;

use crate::float;

fn quantizer(e: u32, m: u32) -> Quantizer {
    of(Format::Float(float(e, m, Bias::Ieee)), Rounding::Nearest, None)
}

fn of(format: Format, rounding: Rounding, scale: Option<Scale>) -> Quantizer {
    Quantizer {
        quantization: Quantization::new(format, rounding, scale).unwrap(),
        layers: BTreeMap::new(),
        seed: 0,
        random_bits: RandomBits::default(),
        tensors: Tensors::Weights,
    }
}

const MAX_ABS: Scale = Scale::Real { per: Per::Tensor, fit: RealFit::MaxAbs, store: ScaleType::F32 };

const WEIGHT: Tensor<'_> =
    Tensor { name: "linear1.weight", shape: &[2, 3], data: &[0.1, -0.3, 5.0, 40.0, -0.0, 0.7] };
const BIAS: Tensor<'_> = Tensor { name: "linear1.bias", shape: &[2], data: &[0.11, 0.26] };

/// Decodes a code as documented; `None` for codes too wide for a table.
fn read(codes: &Codes, group: usize, code: u32) -> Option<f32> {
    let scale = f64::from(codes.scales.get(group).copied().unwrap_or(1.0));
    let number = match codes.zero_points.get(group) {
        Some(zero_point) => f64::from(code) - f64::from(*zero_point),
        None => *codes.codebook.get(code as usize)?,
    };
    Some((number * scale) as f32 + 0.0)
}

/// Worked by hand: the first row's scale is 40 / 7, the second row's is 0.7 / 7; codes are two's complement.
#[test]
fn codes_and_scales_stand_beside_the_weights() {
    let scale = Scale::Real { per: Per::Channel, fit: RealFit::MaxAbs, store: ScaleType::F32 };
    let format = Format::Int { bits: 4, range: Range::Symmetric };
    let weight = Tensor { data: &[40.0, -12.0, 0.0, -0.7, 0.21, -0.0], ..WEIGHT };
    let encoded = of(format, Rounding::Nearest, Some(scale)).encode(&[weight, BIAS]).unwrap();
    let [weight, bias] = &encoded[..] else { panic!("{encoded:?}") };
    assert_eq!((bias.weights.as_slice(), &bias.codes), (BIAS.data, &None));
    let codes = weight.codes.as_ref().unwrap();
    assert_eq!(codes.codes, [7, 14, 0, 9, 2, 0]);
    assert_eq!(codes.scales, [40.0 / 7.0, 0.7 / 7.0]);
    assert_eq!((codes.bits, codes.groups.shape(), codes.groups.block()), (4, [2, 1], 3));
    assert_eq!(codes.codebook[..8], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    assert_eq!(codes.codebook[9..], [-7.0, -6.0, -5.0, -4.0, -3.0, -2.0, -1.0]);
    assert_eq!(weight.weights[1], -2.0 * (40.0_f32 / 7.0));
}

/// Worked by hand with e3m0 = 0 .25 .5 1 2 4 8 16; 0.1 → 0, 5 → 4, 40 → 16, 0.7 → 0.5.
#[test]
fn weights_are_rounded_and_biases_are_not() {
    let quantized = quantizer(3, 0).quantize(&[WEIGHT, BIAS]).unwrap();
    assert_eq!(quantized.data[0], [0.0, -0.25, 4.0, 16.0, 0.0, 0.5]);
    // Every zero of the network is +0.
    assert!(quantized.data[0][0].is_sign_positive() && quantized.data[0][4].is_sign_positive());
    assert_eq!(quantized.data[1], BIAS.data);
    let [report] = &quantized.reports[..] else { panic!("{:?}", quantized.reports) };
    assert_eq!((report.name.as_str(), report.scale), ("linear1.weight", 1.0));
    assert_eq!(report.distortion, quantized.overall);
    assert_eq!(quantized.overall.max_error, 24.0);
    assert_eq!(quantized.overall.flushed, 1.0 / 5.0);
    assert_eq!(quantized.overall.saturated, 1.0 / 6.0);
    // Six codes of four bits, and two biases of four bytes.
    assert_eq!((quantized.size.bytes, quantized.size.code_bits), (3 + 8, 4.0));
    assert_eq!(quantized.size.bits_per_weight, 88.0 / 8.0);
}

#[test]
fn all_means_biases_too_each_its_own_tensor() {
    let all = Quantizer {
        tensors: Tensors::All,
        ..of(Format::Float(float(3, 0, Bias::Ieee)), Rounding::Nearest, Some(MAX_ABS))
    };
    let quantized = all.quantize(&[WEIGHT, BIAS]).unwrap();
    let scales: Vec<f32> = quantized.reports.iter().map(|report| report.scale).collect();
    assert_eq!(scales, [2.5, 0.26 / 16.0]);
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
    // f32::MAX lies below 16·2^124, and is nearer to that number than to 8·2^124; but 16·2^124 is 2^128.
    let scale = Scale::PowerOfTwo { per: Per::Tensor, fit: PowerFit::MaxAbs };
    let tensor = Tensor { name: "w", shape: &[1, 1], data: &[f32::MAX] };
    let error = of(Format::Float(float(3, 0, Bias::Ieee)), Rounding::Nearest, Some(scale))
        .quantize(&[tensor])
        .unwrap_err();
    assert!(matches!(error, QuantizeError::Result { tensor, element: 0, .. } if tensor == "w"));
}

/// Rastegari et al., *XNOR-Net* (2016), eq. 4: a scale is the mean magnitude, so zeros have the scale 0 and stay zero.
/// By hand: the first row has s = 0.5 and the errors 0, 0.25 and 0.25; Σw² = 0.875.
#[test]
fn zeros_of_binary_have_a_scale_of_0_and_stay_zero() {
    let weight = Tensor { data: &[0.5, -0.25, 0.75, 0.0, -0.0, 0.0], ..WEIGHT };
    for store in [ScaleType::F32, ScaleType::F16, ScaleType::Bf16, ScaleType::E4M3] {
        for (per, rounding) in [Per::Channel, Per::Block(3)].into_iter().flat_map(|per| {
            [Rounding::Nearest, Rounding::NearestAway, Rounding::TowardZero].map(|rounding| (per, rounding))
        }) {
            let scale = Scale::Real { per, fit: RealFit::Mean, store };
            let binary = of(Format::Binary, rounding, Some(scale));
            let quantized = binary.quantize(&[weight]).unwrap();
            assert_eq!(quantized.data[0], [0.5, -0.5, 0.5, 0.0, 0.0, 0.0], "{store:?} {rounding:?}");
            let lost = quantized.overall;
            assert_eq!((lost.mse, lost.max_error, lost.flushed), (0.125 / 6.0, 0.25, 0.0));
            assert_eq!(lost.saturated, 1.0 / 6.0);
            // 10·log10(0.875 / 0.125) = 10·log10(7).
            assert!((lost.sqnr_db.unwrap() - 8.450_980).abs() < 1e-5);
            let encoded = binary.encode(&[weight]).unwrap();
            let codes = encoded[0].codes.as_ref().unwrap();
            assert_eq!(
                (codes.scales.as_slice(), codes.codes.as_slice()),
                (&[0.5, 0.0][..], &[0, 1, 0, 0, 0, 0][..])
            );
        }
    }
}

#[test]
fn zeros_of_binary_stay_zero_under_every_fit_and_rounding_and_through_the_packer() {
    let zeros = Tensor { data: &[0.0, -0.0, 0.0, 0.0, -0.0, 0.0], ..WEIGHT };
    let fits = [
        RealFit::MaxAbs,
        RealFit::Mean,
        RealFit::LeastSquares,
        RealFit::Percentile(Percent::new(50.0).unwrap()),
    ];
    for (fit, rounding) in fits.into_iter().flat_map(|fit| {
        [Rounding::Nearest, Rounding::NearestAway, Rounding::TowardZero, Rounding::Stochastic]
            .map(|rounding| (fit, rounding))
    }) {
        for per in [Per::Tensor, Per::Channel, Per::Block(2)] {
            let scale = Scale::Real { per, fit, store: ScaleType::E4M3 };
            let binary = Quantizer { seed: 9, ..of(Format::Binary, rounding, Some(scale)) };
            let quantized = binary.quantize(&[zeros]).unwrap();
            assert!(quantized.data[0].iter().all(|weight| weight.to_bits() == 0), "{:?}", quantized.data);
            assert_eq!((quantized.reports[0].scale, quantized.overall.sqnr_db), (0.0, None));
            assert_eq!((quantized.overall.saturated, quantized.overall.flushed), (0.0, 0.0));
            // Scales and codes are zeros, too.
            let bytes = binary.pack(&[zeros]).unwrap();
            assert!(bytes.iter().all(|byte| *byte == 0), "{bytes:?}");
            let unpacked = binary.unpack(&[(zeros.name, zeros.shape)], &bytes).unwrap();
            assert!(unpacked[0].iter().all(|weight| weight.to_bits() == 0), "{unpacked:?}");
        }
    }
}

#[test]
fn zeros_of_binary_are_refused_where_the_scale_has_no_zero() {
    let weight = Tensor { data: &[0.5, -0.25, 0.75, 0.0, -0.0, 0.0], ..WEIGHT };
    let power = |fit| Scale::PowerOfTwo { per: Per::Channel, fit };
    let real = Scale::Real { per: Per::Channel, fit: RealFit::Mean, store: ScaleType::E8M0 };
    let expected = "linear1.weight: elements 3 to 5 are all 0, Binary has no zero, and its scale, stored as E8M0, cannot be 0; \
                    store the scale as F32, F16, Bf16 or E4M3 (`scale: Real(…)`), or choose a format with a zero";
    for scale in [power(PowerFit::MaxAbs), power(PowerFit::LeastSquares), real] {
        let binary = of(Format::Binary, Rounding::Nearest, Some(scale));
        assert_eq!(binary.quantize(&[weight]).unwrap_err().to_string(), expected);
        assert_eq!(binary.pack(&[weight]).unwrap_err().to_string(), expected);
        assert_eq!(binary.encode(&[weight]).unwrap_err().to_string(), expected);
        // Without the channel of zeros the quantizer has no error.
        assert!(binary.quantize(&[Tensor { data: &[0.5, 1.0, 1.0, 0.0, 0.0, 1.0], ..WEIGHT }]).is_ok());
    }
}

/// Formats with a zero and the user's own codebooks have a scale of 1 for zeros. Zeros round to the nearest number, and
/// ties go to the even code.
#[test]
fn zeros_of_other_formats_have_a_scale_of_1() {
    let zeros = Tensor { data: &[0.0; 6], ..WEIGHT };
    let check = |text: &str, expected: f32| {
        let quantized = of(crate::parsed(text), Rounding::Nearest, Some(MAX_ABS)).quantize(&[zeros]).unwrap();
        assert_eq!(
            (quantized.data[0].as_slice(), quantized.reports[0].scale),
            (&[expected; 6][..], 1.0),
            "{text}"
        );
    };
    check("Ternary", 0.0);
    check("Int(2)", 0.0);
    check("E2M1", 0.0);
    check("Values([-0.5, 0.5])", -0.5);
    check("Values([0.25, -0.5])", 0.25);
}

#[test]
fn a_description_without_randomness_has_no_seed() {
    let text = |quantizer: &Quantizer| serde_json::to_string(quantizer).unwrap();
    let nearest = quantizer(3, 0);
    let stochastic = of(nearest.quantization.format.clone(), Rounding::Stochastic, None);
    let format = r#""format":{"Float":{"e":3,"m":0,"bias":"Ieee"}}"#;
    let rest = r#""tensors":"Weights""#;
    assert_eq!(text(&nearest), format!(r#"{{{format},"rounding":"Nearest","scale":"None",{rest}}}"#));
    let seed = r#""rounding":"Stochastic","scale":"None","seed":0,"random_bits":32"#;
    assert_eq!(text(&stochastic), format!("{{{format},{seed},{rest}}}"));
    assert_eq!(text(&Quantizer { seed: 7, ..nearest.clone() }), text(&nearest));
}

#[test]
fn packed_bytes_of_another_length_are_refused() {
    let quantizer = quantizer(3, 0);
    let bytes = quantizer.pack(&[WEIGHT, BIAS]).unwrap();
    for found in [0, 2, 10] {
        let error = quantizer
            .unpack(&[(WEIGHT.name, WEIGHT.shape), (BIAS.name, BIAS.shape)], &bytes[..found])
            .unwrap_err();
        assert_eq!(error, QuantizeError::Length { expected: 11, found: found as u64 });
    }
    assert!(quantizer.unpack(&[(WEIGHT.name, WEIGHT.shape)], &bytes).is_err());
}

/// Returns any format; its parameters may be invalid.
fn any_format() -> impl Strategy<Value = Format> {
    let float = (0_u32..=8, 0_u32..=23).prop_map(|(e, m)| format!("Float(e: {e}, m: {m})"));
    let special = (
        2_u32..=5,
        1_u32..=4,
        prop::sample::select(vec!["Ieee", "Ocp", "Fnuz", "P3109"]),
        prop::sample::select(vec!["subnormals: Flush", "overflow: Special"]),
    )
        .prop_map(|(e, m, specials, rule)| format!("Float(e: {e}, m: {m}, specials: {specials}, {rule})"));
    let int = (2_u32..=16, prop::sample::select(vec!["Symmetric", "Full", "Asymmetric"]))
        .prop_map(|(bits, range)| format!("Int(bits: {bits}, range: {range})"));
    let fixed = (-3_i32..5, 0_i32..9).prop_map(|(int, frac)| format!("Fixed(int: {int}, frac: {frac})"));
    let posit = (2_u32..=12, 0_u32..3).prop_map(|(n, es)| format!("Posit(n: {n}, es: {es})"));
    let one = (2_u32..=8, prop::sample::select(vec!["PowerOfTwo", "KMeans", "BlockFloat"]))
        .prop_map(|(bits, name)| format!("{name}({bits})"));
    let blocks = (1_usize..9, prop::sample::select(vec!["E2M1", "E4M3", "Int(3)", "Float(e: 0, m: 4)"]))
        .prop_map(|(block, element)| format!("Mx(element: {element}, block: {block})"));
    let plain = prop::sample::select(vec!["Ternary", "Binary", "Nf4(block: 3)", "Values([0.5, -1, 0.125])"]);
    prop_oneof![float, special, int, fixed, posit, one, blocks, plain.prop_map(str::to_owned)]
        .prop_filter_map("no format", |text| Format::parse(&text).ok())
}

fn any_scale() -> impl Strategy<Value = Option<Scale>> {
    let per = prop_oneof![Just(Per::Tensor), Just(Per::Channel), (1_usize..9).prop_map(Per::Block)];
    let store = prop::sample::select(vec![
        ScaleType::F32,
        ScaleType::F16,
        ScaleType::Bf16,
        ScaleType::E4M3,
        ScaleType::E8M0,
    ]);
    let percent = Percent::new(80.0).unwrap();
    let fits = vec![RealFit::MaxAbs, RealFit::LeastSquares, RealFit::Percentile(percent), RealFit::Mean];
    let powers = vec![PowerFit::MaxAbs, PowerFit::MaxExponent, PowerFit::LeastSquares];
    prop_oneof![
        Just(None),
        Just(Some(Scale::None)),
        (per.clone(), prop::sample::select(powers))
            .prop_map(|(per, fit)| Some(Scale::PowerOfTwo { per, fit })),
        (per, prop::sample::select(fits), store).prop_map(|(per, fit, store)| Some(Scale::Real {
            per,
            fit,
            store
        })),
    ]
}

/// Returns any quantization; a scale that the format does not accept is dropped.
fn any_quantization() -> impl Strategy<Value = Quantization> {
    let roundings = [Rounding::Nearest, Rounding::NearestAway, Rounding::TowardZero, Rounding::Stochastic];
    (any_format(), prop::sample::select(roundings.to_vec()), any_scale()).prop_map(
        |(format, rounding, scale)| {
            Quantization::new(format.clone(), rounding, scale)
                .unwrap_or_else(|_| Quantization::new(format, rounding, None).unwrap())
        },
    )
}

fn any_quantizer() -> impl Strategy<Value = Quantizer> {
    let tensors = prop::sample::select(vec![Tensors::Weights, Tensors::All]);
    (any_quantization(), any_quantization(), tensors).prop_map(|(quantization, other, tensors)| Quantizer {
        quantization,
        layers: BTreeMap::from([("t1".to_owned(), other)]),
        seed: 3,
        random_bits: RandomBits::default(),
        tensors,
    })
}

/// Returns a tensor of any shape with ordinary, tiny, huge, equal or zero weights.
fn any_tensor() -> impl Strategy<Value = (Vec<usize>, Vec<f32>)> {
    let size = prop::sample::select(vec![1.0_f32, 1.0, 1.0, 0.0, 1e-30, 1e-44, 1e30, f32::MAX / 2.0]);
    (prop::collection::vec(0_usize..6, 1..4), size, any::<bool>()).prop_flat_map(|(shape, size, equal)| {
        let count = shape.iter().product::<usize>();
        let data = prop::collection::vec(-2.0_f32..2.0, count).prop_map(move |data| {
            let first = data.first().copied().unwrap_or(0.0);
            data.into_iter().map(|weight| if equal { first } else { weight } * size).collect()
        });
        (Just(shape), data)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_is_packed_is_what_was_quantized_in_as_many_bytes_as_predicted(
        quantizer in any_quantizer(), contents in prop::collection::vec(any_tensor(), 0..4),
    ) {
        let names: Vec<String> = (0..contents.len()).map(|index| format!("t{index}.weight")).collect();
        let tensors: Vec<Tensor<'_>> = contents.iter().zip(&names)
            .map(|((shape, data), name)| Tensor { name, shape, data }).collect();
        let bytes = match quantizer.pack(&tensors) {
            Ok(bytes) => bytes,
            // Some numbers are too large for some formats: quantizer and packer then give the same error.
            Err(error) => {
                prop_assert_eq!(quantizer.quantize(&tensors).unwrap_err().to_string(), error.to_string());
                return Ok(());
            }
        };
        let quantized = quantizer.quantize(&tensors).unwrap();
        prop_assert_eq!(bytes.len() as u64, quantized.size.bytes);
        let shapes: Vec<(&str, &[usize])> = tensors.iter().map(|tensor| (tensor.name, tensor.shape)).collect();
        let unpacked = quantizer.unpack(&shapes, &bytes).unwrap();
        let bits = |data: &[Vec<f32>]| -> Vec<u32> { data.iter().flatten().map(|x| x.to_bits()).collect() };
        prop_assert_eq!(bits(&unpacked), bits(&quantized.data));
    }

    #[test]
    fn codes_are_read_as_the_weights_that_quantizing_gives(
        quantizer in any_quantizer(), (shape, data) in any_tensor(),
    ) {
        let tensor = [Tensor { name: "t.weight", shape: &shape, data: &data }];
        let (Ok(encoded), Ok(quantized)) = (quantizer.encode(&tensor), quantizer.quantize(&tensor)) else {
            prop_assert!(quantizer.quantize(&tensor).is_err() && quantizer.encode(&tensor).is_err());
            return Ok(());
        };
        let bits = |data: &[f32]| -> Vec<u32> { data.iter().map(|x| x.to_bits()).collect() };
        prop_assert_eq!(bits(&encoded[0].weights), bits(&quantized.data[0]));
        let Some(codes) = &encoded[0].codes else { return Ok(()) };
        prop_assert_eq!(codes.codes.len(), data.len());
        prop_assert_eq!(codes.groups.shape()[0] * codes.groups.shape()[1], codes.groups.count());
        for (group, range) in codes.groups.ranges().enumerate() {
            for element in range {
                let code = codes.codes[element];
                prop_assert!(u64::from(code) < 1 << codes.bits);
                if let Some(weight) = read(codes, group, code) {
                    prop_assert_eq!(weight.to_bits(), encoded[0].weights[element].to_bits(), "{}", element);
                } else {
                    prop_assert!(codes.bits > 16);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Whatever the formats, a packed network is the network again, in as many bytes as its tensors count.
    #[test]
    fn a_packed_network_is_read_as_it_was_written(
        quantizer in any_quantizer(), seed in prop::collection::vec(-2.0_f32..2.0, 70), size in prop::sample::select(vec![1.0_f32, 1e-30, 1e30]),
    ) {
        let layers = vec![LayerSpec::Flatten, LayerSpec::linear(6), LayerSpec::linear(4)];
        let network = Network::resolve(&Architecture::Layers(layers), [1, 2, 3], 4).unwrap();
        let contents: Vec<(String, Vec<usize>, Vec<f32>)> = network
            .parameters()
            .into_iter()
            .map(|parameter| {
                let count = parameter.shape.iter().product::<usize>();
                (parameter.name, parameter.shape, seed.iter().cycle().take(count).map(|number| number * size).collect())
            })
            .collect();
        let tensors: Vec<Tensor<'_>> =
            contents.iter().map(|(name, shape, data)| Tensor { name, shape, data }).collect();
        // Some numbers are too large for some formats.
        let Ok(encoded) = quantizer.encode(&tensors) else { return Ok(()) };
        let file = packed::write(&network, &encoded, &serde_json::json!({})).unwrap();
        let read = packed::read(&file).unwrap();
        for tensor in &encoded {
            let found: Vec<u32> = read.tensors()[&tensor.name].numbers().iter().map(|number| number.to_bits()).collect();
            let expected: Vec<u32> = tensor.weights.iter().map(|weight| weight.to_bits()).collect();
            prop_assert_eq!(found, expected, "{}", tensor.name);
        }
        prop_assert_eq!(read.network(), &network);
    }
}
