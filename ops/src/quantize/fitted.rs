//! One tensor in one format: the fit of its scales and codebook, its rounded weights, its codes. Fitting and rounding
//! are separate steps. Knows nothing of networks and of the other tensors; a tensor's name is for errors only.

use super::addition::{Addition, AdditionKind};
use super::{Quantization, QuantizeError, Tensor};
use crate::format::codec::CodecNumbers;
use crate::format::{Codec, Draw, Draws, Group, Integer, Rounding, k_means, slice};
use crate::scale::{PowerFit, RealFit, Scale, ScaleGroups, fit};

/// A tensor's quantization, its codec and its fit, ready to round.
#[derive(Debug)]
pub struct Prepared<'a> {
    quantization: &'a Quantization,
    codec: Codec,
    fitted: Fitted,
}

impl<'a> Prepared<'a> {
    /// Fits a quantization to a tensor of finite weights. It is an error if the format is invalid, or if a group is all zeros
    /// and neither the format nor the stored type of its scale has a zero.
    pub fn fit(quantization: &'a Quantization, tensor: &Tensor<'_>) -> Result<Self, QuantizeError> {
        let codec = quantization.format.codec()?;
        let fitted = Fitted::to(quantization, &codec, tensor, &[])?;
        Ok(Self { quantization, codec, fitted })
    }

    /// Returns the scale of every group, as stored; empty for a format without scale.
    #[must_use]
    pub fn scales(&self) -> &[f32] {
        &self.fitted.scales
    }

    /// Replaces the tensor's weights by the numbers of their codes.
    pub fn round(&self, weights: &mut [f32], draws: &Draws) {
        self.fitted.round(&self.codec, weights, self.quantization.rounding, draws);
    }
}

/// The fit of a tensor: its scales, zero points and codebook, stored beside the codes.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    pub(super) groups: ScaleGroups,
    /// The scale of each group, as stored; empty for a format without scale. A scale of 0 belongs to a group of zeros
    /// in a format without zero.
    pub(super) scales: Vec<f32>,
    /// The numbers that the format fits beside the scales.
    pub(super) addition: Addition,
}

impl Fitted {
    /// Fits a quantization to a tensor's finite weights. `importance` has a number for each weight, by which a fit can
    /// weigh errors, or is empty. It is an error if a group is all zeros and neither the format nor the stored type of its
    /// scale has a zero.
    pub(super) fn to(
        quantization: &Quantization,
        codec: &Codec,
        tensor: &Tensor<'_>,
        importance: &[f64],
    ) -> Result<Self, QuantizeError> {
        let weights = tensor.data;
        let groups = ScaleGroups::new(quantization.scale.per(), tensor.shape);
        let kind = AdditionKind::of(quantization);
        let addition = match kind {
            AdditionKind::Codebook(bits) => {
                let mut numbers = k_means::centres(weights, 1 << bits);
                let last = numbers.last().copied().unwrap_or(0.0);
                numbers.resize(1 << bits, last);
                Addition::Codebook(numbers)
            }
            AdditionKind::ZeroPoints(bits) => Addition::ZeroPoints(bits, vec![]),
            AdditionKind::Thresholds => Addition::Thresholds(vec![]),
            AdditionKind::None => Addition::None,
        };
        let mut fitted = Self { groups, scales: vec![], addition };
        let Some(store) = quantization.scale.store() else { return Ok(fitted) };
        // Computed once, not per block.
        let (numbers, reach, lacks_zero) = (codec.numbers(), codec.reach(), quantization.format.lacks_zero());
        for range in groups.ranges() {
            let group = &weights[range.clone()];
            if lacks_zero && group.iter().all(|weight| *weight == 0.0) {
                if !store.holds_zero() {
                    let (tensor, format) = (tensor.name.to_owned(), quantization.format.name());
                    return Err(QuantizeError::Zeros {
                        tensor,
                        first: range.start,
                        last: range.end - 1,
                        format,
                    });
                }
                fitted.scales.push(0.0);
                continue;
            }
            let importance = importance.get(range).unwrap_or_default();
            let weights = fit::Weights { numbers: group, importance };
            let scale = match (&mut fitted.addition, quantization.scale, codec) {
                (Addition::ZeroPoints(bits, points), scale, Codec::Integer(integer)) => {
                    let (scale, point) = asymmetric(scale, weights, *bits, *integer);
                    points.push(point);
                    scale
                }
                (Addition::Thresholds(thresholds), Scale::Real { store, .. }, _) => {
                    let (scale, threshold) = fit::ternary(group, store);
                    thresholds.push(threshold);
                    scale
                }
                (_, scale, _) => symmetric(scale, weights, reach, numbers),
            };
            fitted.scales.push(scale);
        }
        Ok(fitted)
    }

    /// Replaces weights by the numbers of their codes. Every zero is +0, in any format: a network computes the same
    /// with either zero, and formats that agree on the weights then make the same model.
    pub(super) fn round(&self, codec: &Codec, weights: &mut [f32], rounding: Rounding, draws: &Draws) {
        let scales = self.scales.iter().copied().chain(std::iter::repeat(1.0));
        let groups = self.groups.split(weights).zip(scales);
        let groups = groups.map(|((first, weights), scale)| Group { weights, first, scale });
        let thresholds = self.addition.thresholds(rounding);
        if !thresholds.is_empty() {
            slice::cut_groups(groups.zip(thresholds.iter().copied()));
        } else if self.addition.differs_by_group() {
            for (at, group) in groups.enumerate() {
                self.addition.codec(codec, at).round_groups(std::iter::once(group), rounding, draws, 0.0);
            }
        } else {
            // A group of zeros can have a scale of 0, which cannot be a divisor.
            let groups = groups.filter_map(|group| {
                if group.scale > 0.0 {
                    return Some(group);
                }
                group.weights.fill(0.0);
                None
            });
            self.addition.codec(codec, 0).round_groups(groups, rounding, draws, 0.0);
        }
    }

    /// Returns the weights that [`Fitted::round`] makes.
    pub(super) fn rounded(
        &self,
        codec: &Codec,
        weights: &[f32],
        rounding: Rounding,
        draws: &Draws,
    ) -> Vec<f32> {
        let mut rounded = weights.to_vec();
        self.round(codec, &mut rounded, rounding, draws);
        rounded
    }

    /// Returns the code of every weight.
    pub(super) fn encode(
        &self,
        codec: &Codec,
        weights: &[f32],
        rounding: Rounding,
        draws: &Draws,
    ) -> Vec<u32> {
        let thresholds = self.addition.thresholds(rounding);
        self.encode_by(codec, weights, |codec, element, group, scale| {
            let weight = weights[element];
            let quotient = match thresholds.get(group) {
                Some(&threshold) if weight.abs() <= threshold => 0.0,
                Some(_) => f64::from(weight.signum()),
                None => f64::from(weight) / scale,
            };
            codec.encode(quotient, rounding, draws.draw(element as u64))
        })
    }

    /// Returns the codes of weights that are numbers of codes: the code nearest to such a number is its own.
    pub(super) fn encode_rounded(&self, codec: &Codec, weights: &[f32]) -> Vec<u32> {
        self.encode_by(codec, weights, |codec, element, _, scale| {
            codec.encode(f64::from(weights[element]) / scale, Rounding::Nearest, Draw::none())
        })
    }

    /// Returns the code that `encode` gives each element, from the codec of its group, its place, its group and its scale.
    fn encode_by(
        &self,
        codec: &Codec,
        weights: &[f32],
        encode: impl Fn(&Codec, usize, usize, f64) -> Option<u32>,
    ) -> Vec<u32> {
        let mut codes = Vec::with_capacity(weights.len());
        let usual = self.addition.codec(codec, 0);
        for (group, range) in self.groups.ranges().enumerate() {
            let own = self.addition.differs_by_group().then(|| self.addition.codec(codec, group));
            let codec = own.as_ref().unwrap_or(&usual);
            let scale = f64::from(self.scales.get(group).copied().unwrap_or(1.0));
            if scale == 0.0 {
                // Every code decodes to zero here; the first code is used, so that draws do not matter.
                codes.resize(range.end, 0);
                continue;
            }
            // Finite weights have a code in every format unless they overflow, and overflow is refused earlier.
            codes.extend(range.map(|element| encode(codec, element, group, scale).unwrap_or(0)));
        }
        codes
    }

    /// Returns the weights of codes.
    pub(super) fn decode(&self, codec: &Codec, codes: &[u32]) -> Vec<f32> {
        let mut weights = vec![0.0; codes.len()];
        if let Addition::Codebook(numbers) = &self.addition {
            for (weight, code) in weights.iter_mut().zip(codes) {
                *weight = numbers.get(*code as usize).copied().unwrap_or(0.0) + 0.0;
            }
            return weights;
        }
        // The usual decoder is made once; only integers with a zero point need a decoder per group.
        let usual = codec.decoder();
        for (group, range) in self.groups.ranges().enumerate() {
            let scale = f64::from(self.scales.get(group).copied().unwrap_or(1.0));
            let shifted = self.addition.differs_by_group().then(|| self.addition.codec(codec, group));
            let own = shifted.as_ref().map(|codec| codec.decoder());
            for element in range {
                let value = own.as_ref().map_or_else(|| usual(codes[element]), |own| own(codes[element]));
                weights[element] = (value * scale) as f32 + 0.0;
            }
        }
        weights
    }

    /// Returns a function from a group to the lowest and the highest number of the format, times the group's scale.
    pub(super) fn limits(&self, codec: &Codec) -> impl Fn(usize) -> (f64, f64) {
        let usual = self.addition.codec(codec, 0).limits();
        move |group| {
            let is_own = self.addition.differs_by_group();
            let (low, high) = if is_own { self.addition.codec(codec, group).limits() } else { usual };
            let scale = f64::from(self.scales.get(group).copied().unwrap_or(1.0));
            (low * scale, high * scale)
        }
    }
}

/// Returns the scale of a group in a format without zero point.
fn symmetric(scale: Scale, weights: fit::Weights<'_>, reach: f64, numbers: CodecNumbers<'_>) -> f32 {
    let greatest =
        f64::from(weights.numbers.iter().fold(0.0_f32, |greatest, weight| greatest.max(weight.abs())));
    macro_rules! by {
        ($value:ident => $nearest:expr) => {
            fit::fit(
                scale,
                weights,
                greatest,
                reach,
                #[inline(always)]
                |$value| $nearest,
            )
        };
    }
    match numbers {
        CodecNumbers::Grid(grid) if grid.has_even_steps() => by!(x => grid.nearest_step(x)),
        CodecNumbers::Grid(grid) => by!(x => grid.nearest(x)),
        CodecNumbers::Table(book) => by!(x => book.nearest(x)),
    }
}

/// Returns the scale and zero point of a group of asymmetric integers: its range, extended to zero, in 2^b − 1 steps.
fn asymmetric(scale: Scale, weights: fit::Weights<'_>, bits: u32, integer: Integer) -> (f32, u32) {
    let count = f64::from((1_u32 << bits) - 1);
    let (mut low, mut high) = weights
        .numbers
        .iter()
        .fold((0.0_f32, 0.0_f32), |(low, high), weight| (low.min(*weight), high.max(*weight)));
    let mut scale = scale;
    if let Scale::Real { fit: RealFit::Percentile(percent), per, store } = scale {
        let most = fit::percentile(weights.numbers, percent);
        if most > 0.0 {
            (low, high) = (low.max(-most), high.min(most));
        }
        scale = Scale::Real { fit: RealFit::MaxAbs, per, store };
    }
    let extent = f64::from(high) - f64::from(low);
    // Fits that search shrink the range around zero, so the zero point comes from the whole range.
    let whole = match scale {
        Scale::Real { per, store, .. } => Scale::Real { fit: RealFit::MaxAbs, per, store },
        Scale::PowerOfTwo { per, fit: PowerFit::LeastSquares | PowerFit::HessianDiagonal } => {
            Scale::PowerOfTwo { per, fit: PowerFit::MaxAbs }
        }
        other => other,
    };
    let grid = integer.grid();
    let zero_point =
        |scale: f32| (-f64::from(low) / f64::from(scale)).round_ties_even().clamp(0.0, count) as u32;
    let step = fit::fit(whole, weights, extent, count, |x| grid.nearest_step(x));
    let found = zero_point(step);
    let grid = integer.with_zero_point(found).grid();
    (
        fit::fit(
            scale,
            weights,
            extent,
            count,
            #[inline(always)]
            |x| grid.nearest_step(x),
        ),
        found,
    )
}
