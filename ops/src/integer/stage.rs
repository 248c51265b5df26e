//! A step of an integer network on the own kernels. Knows nothing of buffers and of other steps.
//!
//! Centered codes are small whole numbers, and the kernels for binary32 add products of whole numbers exactly as long as no sum
//! exceeds 2^24. Where the codes of a weight allow larger sums, they are divided into digits: each digit has a pass of its own, and
//! the sums are put together in 32 bits. Everything else is integer arithmetic.

use super::multiplier::{Multiplier, SharedMultiplier};
use super::network::{IntegerNetwork, Step, StepOp};
use super::product::Product;
use crate::backend::own::kernels::avg_pool::AvgPool;
use crate::backend::own::kernels::conv::{Conv, Packed};
use crate::backend::own::kernels::flatten::Flatten;
use crate::backend::own::kernels::join::Slot;
use crate::backend::own::kernels::lanes::{LANES, Lanes, vectorized};
use crate::backend::own::kernels::linear::{Linear, Weight};
use crate::backend::own::kernels::max_pool::MaxPool;
use crate::backend::own::kernels::rescale::{Finish, Rescaling, rescale, within};
use crate::network::definition::Layer;
use crate::network::layer::LayerOp;

/// The largest whole number up to which binary32 holds all.
const EXACT: i64 = 1 << 24;

/// A line of sums: one for each image of a block.
pub(super) type Sums = [i32; LANES];

/// A step with its kernel.
pub(super) struct IntegerStage<'a> {
    pub step: &'a Step,
    kernel: Kernel<'a>,
    /// The number of lines of each input.
    from: Vec<usize>,
    /// The number of lines of the output.
    pub to: usize,
    /// The slot of each input.
    slots: Vec<usize>,
    /// The slot of the output.
    pub slot: usize,
}

enum Kernel<'a> {
    Product(ProductKernel<'a>, Weighted<'a>),
    Add(&'a SharedMultiplier),
    Concat(Vec<(Slot, &'a SharedMultiplier)>),
    MaxPool(MaxPool),
    Mean(AvgPool, Vec<Multiplier>),
    Flatten(Flatten),
    Table { codes: &'a [i8], least: i32, zero_point: i32 },
}

/// The kernel of a step with weights, with the weight of each digit of the codes, the lowest first.
enum ProductKernel<'a> {
    Conv(Box<Conv>, Vec<Packed>),
    Linear(Linear, Vec<Vec<f32>>),
    /// The code of each channel.
    Affine(&'a [i8]),
}

/// The numbers of a step with weights.
struct Weighted<'a> {
    product: &'a Product,
    /// The rescaling of each output.
    rescalings: Vec<Rescaling>,
}

impl<'a> Weighted<'a> {
    fn new(product: &'a Product) -> Self {
        let pairs = product.biases.iter().zip(&product.multipliers);
        Self { product, rescalings: pairs.map(|(bias, of)| Rescaling::new(*bias, *of)).collect() }
    }
}

impl<'a> Kernel<'a> {
    /// Returns the kernel of a step; `None` for a layer of another kind.
    fn of(layer: &'a Layer, step: &'a Step, integers: &'a IntegerNetwork) -> Option<Self> {
        let scale_of = |value: usize| integers.values[value].scale;
        Some(match &step.op {
            StepOp::Product(product) => {
                let [low, high] = scale_of(step.inputs[0]).centered_limits();
                let digits = digits(product, [low, high].map(i64::from));
                let kernel = match Conv::new(layer) {
                    Some(conv) => {
                        let packed = digits.iter().map(|weight| conv.pack(weight)).collect();
                        ProductKernel::Conv(Box::new(conv), packed)
                    }
                    None if layer.op == LayerOp::Affine => ProductKernel::Affine(&product.codes),
                    None => ProductKernel::Linear(Linear::new(layer), digits),
                };
                Self::Product(kernel, Weighted::new(product))
            }
            StepOp::Add(factors) => Self::Add(factors),
            StepOp::Concat(factors) => {
                let channels: Vec<usize> = layer.inputs.iter().map(|input| input.channels().0).collect();
                Self::Concat(Slot::of(&channels).into_iter().zip(factors).collect())
            }
            StepOp::MaxPool => Self::MaxPool(MaxPool::new(layer)?),
            StepOp::Mean(multipliers) => {
                let (pool, pixels) = (AvgPool::new(layer)?, layer.output.channels().1);
                let of = |pixel| multipliers.get(&pool.count(pixel)).copied();
                Self::Mean(pool, (0..pixels).map(of).collect::<Option<_>>()?)
            }
            StepOp::Flatten => Self::Flatten(Flatten::new(layer)?),
            StepOp::Table(codes) => {
                let input = scale_of(step.inputs[0]);
                let zero_point = step.output.map_or(0, |output| scale_of(output).zero_point);
                Self::Table { codes, least: input.centered_limits()[0], zero_point }
            }
        })
    }
}

/// Returns the digits of codes as binary32 numbers, the lowest first: one if no sum exceeds 2^24, else as many of as many bits as keep the sums
/// of each digit below. The highest digit has the sign.
fn digits(product: &Product, [low, high]: [i64; 2]) -> Vec<Vec<f32>> {
    let width = |digits: u32| 8_u32.div_ceil(digits);
    let digit = |code: i8, at: u32, digits: u32| -> i64 {
        let shifted = i64::from(code) >> (at * width(digits));
        if at + 1 == digits { shifted } else { shifted & ((1 << width(digits)) - 1) }
    };
    let is_exact = |digits: u32| {
        (0..digits).all(|at| {
            let mut rows = product.codes.chunks_exact(product.row().max(1));
            rows.all(|row| {
                let digits = || row.iter().map(|code| digit(*code, at, digits));
                let above: i64 = digits().filter(|digit| *digit > 0).sum();
                let below: i64 = digits().filter(|digit| *digit < 0).sum();
                // Every partial sum lies between these two.
                above * low + below * high >= -EXACT && above * high + below * low <= EXACT
            })
        })
    };
    let count = [1, 2, 4].into_iter().find(|count| is_exact(*count)).unwrap_or(8);
    let of = |at| product.codes.iter().map(|code| digit(*code, at, count) as f32).collect();
    (0..count).map(of).collect()
}

impl ProductKernel<'_> {
    /// Returns the number of digits.
    fn digits(&self) -> usize {
        match self {
            Self::Conv(_, digits) => digits.len(),
            Self::Linear(_, digits) => digits.len(),
            Self::Affine(_) => 1,
        }
    }

    /// Writes the sums of a digit for blocks of `from` lines into blocks of `to` lines.
    fn pass(&self, digit: usize, finish: Finish<'_>, [from, to]: [usize; 2], x: &[Lanes], y: &mut [Lanes]) {
        match self {
            Self::Conv(conv, digits) => {
                for (x, y) in x.chunks_exact(from).zip(y.chunks_exact_mut(to)) {
                    conv.apply(x, &digits[digit], None, finish, y);
                }
                return;
            }
            Self::Linear(linear, digits) => {
                let x: Vec<&[Lanes]> = x.chunks_exact(from).collect();
                let mut y: Vec<&mut [Lanes]> = y.chunks_exact_mut(to).collect();
                let weight = Weight { numbers: &digits[digit], finite: true };
                linear.apply(&x, weight, None, false, &mut y);
            }
            Self::Affine(codes) => {
                for (y, x) in y.chunks_exact_mut(codes.len()).zip(x.chunks_exact(codes.len())) {
                    for ((y, x), code) in y.iter_mut().zip(x).zip(*codes) {
                        y.0.iter_mut().zip(x.0).for_each(|(y, x)| *y = x * f32::from(*code));
                    }
                }
            }
        }
        if let Finish::Rescale(rescalings, limits) = finish {
            rescale(y, rescalings, limits);
        }
    }
}

impl<'a> IntegerStage<'a> {
    /// Makes the stage of a step whose inputs and output lie in these slots; `None` for a layer of another kind than the step's.
    pub(super) fn new(
        layer: &'a Layer,
        step: &'a Step,
        integers: &'a IntegerNetwork,
        (slots, slot): (Vec<usize>, usize),
    ) -> Option<Self> {
        let kernel = Kernel::of(layer, step, integers)?;
        let from = step.inputs.iter().map(|value| integers.values[*value].shape.len()).collect();
        Some(Self { step, kernel, from, to: layer.output.len(), slots, slot })
    }

    /// Applies the step to blocks of images.
    pub(super) fn run(&self, blocks: usize, slots: &[Vec<Lanes>], sums: &mut [Sums], y: &mut [Lanes]) {
        let input = |at: usize| &slots[self.slots[at]][..blocks * self.from[at]];
        let x = || input(0).chunks_exact(self.from[0]);
        let limits = self.step.limits;
        match &self.kernel {
            Kernel::Product(kernel, weighted) => self.product(kernel, weighted, input(0), (sums, y)),
            Kernel::Add(factors) => {
                if self.slots[0] != self.slot {
                    y.copy_from_slice(input(0));
                }
                let others: Vec<&[Lanes]> = (1..self.from.len()).map(input).collect();
                add(factors, &others, limits, y);
            }
            Kernel::Concat(branches) => {
                for (at, (slot, factor)) in branches.iter().enumerate() {
                    let mut scaled = input(at).to_vec();
                    add(factor, &[], limits, &mut scaled);
                    slot.apply(&scaled, y);
                }
            }
            Kernel::MaxPool(pool) => x().zip(y.chunks_exact_mut(self.to)).for_each(|(x, y)| pool.apply(x, y)),
            Kernel::Mean(pool, multipliers) => {
                let channels = self.to / multipliers.len().max(1);
                for (x, y) in x().zip(y.chunks_exact_mut(self.to)) {
                    pool.sum(x, y);
                    for (y, multiplier) in y.chunks_exact_mut(channels).zip(multipliers) {
                        rescale(y, &[Rescaling::new(0, *multiplier)], self.limits());
                    }
                }
            }
            Kernel::Flatten(flatten) => flatten.apply(input(0), y),
            Kernel::Table { codes, least, zero_point } => {
                for (y, x) in y.iter_mut().zip(input(0)) {
                    let code = |u: f32| codes.get((u as i32 - least) as usize).copied().unwrap_or_default();
                    y.0.iter_mut().zip(x.0).for_each(|(y, u)| *y = (i32::from(code(u)) - zero_point) as f32);
                }
            }
        }
    }

    /// Returns the smallest and the largest output.
    fn limits(&self) -> [f32; 2] {
        self.step.limits.map(|limit| limit as f32)
    }

    /// Puts the sums of the digits together, and writes the outputs. Logits go to `sums`.
    fn product(
        &self,
        kernel: &ProductKernel<'_>,
        Weighted { product, rescalings }: &Weighted<'_>,
        x: &[Lanes],
        (sums, y): (&mut [Sums], &mut [Lanes]),
    ) {
        let sizes = [self.from[0], self.to];
        let digits = kernel.digits();
        if digits == 1 && self.step.output.is_some() {
            kernel.pass(0, Finish::Rescale(rescalings, self.limits()), sizes, x, y);
            return;
        }
        let sums = &mut sums[..y.len()];
        sums.fill([0; LANES]);
        let width = 8 / digits;
        for digit in 0..digits {
            kernel.pass(digit, Finish::Plain, sizes, x, y);
            for (sum, y) in sums.iter_mut().zip(&*y) {
                sum.iter_mut().zip(y.0).for_each(|(sum, y)| *sum += (y as i32) << (digit * width));
            }
        }
        let outputs = product.biases.len();
        for pixel in sums.chunks_exact_mut(outputs) {
            for ((output, sums), bias) in pixel.iter_mut().enumerate().zip(&product.biases) {
                for sum in sums {
                    *sum += bias;
                    if let Some(multiplier) = product.multipliers.get(output) {
                        let [low, high] = self.step.limits.map(i64::from);
                        *sum = multiplier.apply(*sum).clamp(low, high) as i32;
                    }
                }
            }
        }
        if self.step.output.is_some() {
            for (y, sums) in y.iter_mut().zip(sums) {
                y.0.iter_mut().zip(sums).for_each(|(y, sum)| *y = *sum as f32);
            }
        }
    }
}

/// Returns a whole number below 2^22 as an integer: the sum with 1.5 · 2^23 has it in its lowest bits.
#[inline(always)]
fn whole(number: f32) -> i32 {
    const SHIFTED: f32 = 12_582_912.0;
    (number + SHIFTED).to_bits().wrapping_sub(SHIFTED.to_bits()) as i32
}

/// Replaces the first input by the rounded sum of all inputs times their factors, within limits.
fn add(factors: &SharedMultiplier, others: &[&[Lanes]], [low, high]: [i32; 2], y: &mut [Lanes]) {
    let half = 1 << (factors.shift - 1);
    let Some((first, of_others)) = factors.factors.split_first() else { return };
    vectorized(
        y,
        #[inline(always)]
        |y: &mut [Lanes]| {
            for (at, line) in y.iter_mut().enumerate() {
                let mut sums: Sums = [half; LANES];
                for (sum, number) in sums.iter_mut().zip(&line.0) {
                    *sum += whole(*number) * first;
                }
                for (input, factor) in others.iter().zip(of_others) {
                    for (sum, number) in sums.iter_mut().zip(&input[at].0) {
                        *sum += whole(*number) * factor;
                    }
                }
                for (number, sum) in line.0.iter_mut().zip(sums) {
                    *number = within(sum >> factors.shift, low, high) as f32;
                }
            }
        },
    );
}
