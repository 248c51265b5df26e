//! Weights per second of every format on one core: fitting of scales and rounding of weights, measured separately.
//! `cargo bench -p fewbits-ops --bench formats`, or with a part of a name behind `--`.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use fewbits_ops::format::{Draws, Format, RandomBits, Rounding};
use fewbits_ops::quantize::{Prepared, Quantization, Tensor};
use fewbits_ops::random::Stream;
use fewbits_ops::scale::{Per, PowerFit, RealFit, Scale, ScaleType};

/// The weights in the tensor, 1.3 million.
const SHAPE: [usize; 2] = [1300, 1000];

/// One format for each codec and kind of scale.
const FORMATS: [&str; 18] = [
    "E3M2",
    "Float(e: 3, m: 0)",
    "Float(e: 3, m: 2, subnormals: Flush)",
    "float8_e4m3fn",
    "Int(4)",
    "Int(bits: 4, range: Asymmetric)",
    "Fixed(int: 0, frac: 3)",
    "PowerOfTwo(4)",
    "Posit(n: 4, es: 0)",
    "Posit(n: 8, es: 2)",
    "Posit(n: 16, es: 1)",
    "Ternary",
    "Binary",
    "Nf4",
    "Values([-0.2, -0.1, -0.05, -0.02, 0, 0.02, 0.05, 0.1, 0.2])",
    "KMeans(4)",
    "Mx(E2M1)",
    "BlockFloat(bits: 4, block: 16)",
];

fn main() {
    divan::main();
}

/// Returns weights distributed as in a trained layer: sums of uniform numbers, in −0.2 to 0.2.
fn weights() -> Vec<f32> {
    let stream = Stream::new(1, "bench", "weights");
    let uniform = |element: u64| stream.unit(element) - 0.5;
    (0..(SHAPE[0] * SHAPE[1]) as u64).map(|i| 0.1 * (0..4).map(|j| uniform(4 * i + j)).sum::<f32>()).collect()
}

fn quantization(format: &str, scale: Option<Scale>, rounding: Rounding) -> Quantization {
    let format = Format::parse(format).unwrap_or_else(|faults| panic!("{format}: {}", faults[0].message));
    Quantization::new(format, rounding, scale).unwrap()
}

fn round(bencher: Bencher<'_, '_>, quantization: &Quantization) {
    let weights = weights();
    let tensor = Tensor { name: "linear1.weight", shape: &SHAPE, data: &weights };
    let prepared = Prepared::fit(quantization, &tensor).unwrap();
    let draws = Draws::new(0, tensor.name, RandomBits::default());
    // Every iteration reuses the same memory, so that the time is rounding, not page allocation by the system.
    let mut rounded = weights.clone();
    bencher.counter(ItemsCount::new(weights.len())).bench_local(|| {
        rounded.copy_from_slice(&weights);
        prepared.round(black_box(&mut rounded), &draws);
    });
}

fn fit(bencher: Bencher<'_, '_>, quantization: &Quantization) {
    let weights = weights();
    let tensor = Tensor { name: "linear1.weight", shape: &SHAPE, data: &weights };
    bencher
        .counter(ItemsCount::new(weights.len()))
        .bench_local(|| Prepared::fit(quantization, black_box(&tensor)).unwrap());
}

#[divan::bench]
fn copy_alone(bencher: Bencher<'_, '_>) {
    let weights = weights();
    let mut copy = weights.clone();
    bencher
        .counter(ItemsCount::new(weights.len()))
        .bench_local(|| black_box(&mut copy).copy_from_slice(&weights));
}

#[divan::bench(args = FORMATS)]
fn round_nearest(bencher: Bencher<'_, '_>, format: &str) {
    round(bencher, &quantization(format, None, Rounding::Nearest));
}

#[divan::bench(args = FORMATS)]
fn round_stochastic(bencher: Bencher<'_, '_>, format: &str) {
    round(bencher, &quantization(format, None, Rounding::Stochastic));
}

#[divan::bench(args = ["E3M2", "Float(e: 3, m: 0)", "Nf4", "Posit(n: 8, es: 2)"])]
fn round_toward_zero(bencher: Bencher<'_, '_>, format: &str) {
    round(bencher, &quantization(format, None, Rounding::TowardZero));
}

#[divan::bench(args = ["real tensor", "real channel", "real block 32", "power tensor", "power block 32"])]
fn round_e3m2_at_scale(bencher: Bencher<'_, '_>, scale: &str) {
    let real = |per| Scale::Real { per, fit: RealFit::MaxAbs, store: ScaleType::F32 };
    let power = |per| Scale::PowerOfTwo { per, fit: PowerFit::MaxAbs };
    let scale = match scale {
        "real tensor" => real(Per::Tensor),
        "real channel" => real(Per::Channel),
        "real block 32" => real(Per::Block(32)),
        "power tensor" => power(Per::Tensor),
        _ => power(Per::Block(32)),
    };
    round(bencher, &quantization("E3M2", Some(scale), Rounding::Nearest));
}

/// Fits the default scale; `fit_codebook` measures the formats that take seconds.
#[divan::bench(args = FORMATS.into_iter().filter(|format| !format.starts_with("KMeans")))]
fn fit_own_scale(bencher: Bencher<'_, '_>, format: &str) {
    fit(bencher, &quantization(format, None, Rounding::Nearest));
}

#[divan::bench(args = ["E3M2", "Int(4)", "Posit(n: 4, es: 0)"], sample_count = 3, sample_size = 1)]
fn fit_least_squares(bencher: Bencher<'_, '_>, format: &str) {
    let scale = Scale::Real { per: Per::Tensor, fit: RealFit::LeastSquares, store: ScaleType::F32 };
    fit(bencher, &quantization(format, Some(scale), Rounding::Nearest));
}

#[divan::bench(args = ["KMeans(2)", "KMeans(4)"], sample_count = 1, sample_size = 1)]
fn fit_codebook(bencher: Bencher<'_, '_>, format: &str) {
    fit(bencher, &quantization(format, None, Rounding::Nearest));
}
