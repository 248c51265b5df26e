//! One tensor in one format: the fit of its scales and codebook, its rounded weights, its codes. Fitting and rounding
//! are separate steps. Knows nothing of networks and of the other tensors; a tensor's name is for errors only.

use std::borrow::Cow;

use super::{Quantization, QuantizeError, Tensor};
use crate::format::codec::CodecNumbers;
use crate::format::{Codebook, Codec, Draws, Format, Group, Integer, Range, Rounding, k_means, slice};
use crate::scale::{PowerFit, RealFit, Scale, ScaleGroups, fit};

/// A tensor's recipe, its codec and its fit, ready to round.
#[derive(Debug)]
pub struct Prepared<'a> {
    recipe: &'a Quantization,
    codec: Codec,
    fitted: Fitted,
}

impl<'a> Prepared<'a> {
    /// Fits a recipe to a tensor of finite weights. It is an error if the format is invalid, or if a group is all zeros
    /// and neither the format nor the stored type of its scale has a zero.
    pub fn fit(recipe: &'a Quantization, tensor: &Tensor<'_>) -> Result<Self, QuantizeError> {
        let codec = recipe.format.codec()?;
        let fitted = Fitted::to(recipe, &codec, tensor)?;
        Ok(Self { recipe, codec, fitted })
    }

    /// Returns the scale of every group, as stored; empty for a format without scale.
    #[must_use]
    pub fn scales(&self) -> &[f32] {
        &self.fitted.scales
    }

    /// Replaces the tensor's weights by the numbers of their codes.
    pub fn round(&self, weights: &mut [f32], draws: &Draws) {
        self.fitted.round(&self.codec, weights, self.recipe.rounding, draws);
    }
}

/// The fit of a tensor: its scales, zero points and codebook, stored beside the codes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fitted {
    pub(super) groups: ScaleGroups,
    /// The scale of each group, as stored; empty for a format without scale. A scale of 0 belongs to a group of zeros
    /// in a format without zero.
    pub(super) scales: Vec<f32>,
    /// The zero point of each group of asymmetric integers: the code of zero.
    pub(super) zero_points: Vec<u32>,
    /// The fitted codebook, one number for each code.
    pub(super) codebook: Vec<f32>,
    /// The threshold of each group below which ternary weights are zero; empty where rounding decides instead.
    thresholds: Vec<f32>,
}

impl Fitted {
    /// Fits a recipe to a tensor's finite weights; an error if a group is all zeros and neither the format nor the
    /// stored type of its scale has a zero.
    pub(super) fn to(
        recipe: &Quantization,
        codec: &Codec,
        tensor: &Tensor<'_>,
    ) -> Result<Self, QuantizeError> {
        let weights = tensor.data;
        let groups = ScaleGroups::new(recipe.scale.per(), tensor.shape);
        let mut fitted =
            Self { groups, scales: vec![], zero_points: vec![], codebook: vec![], thresholds: vec![] };
        if let Format::KMeans { bits } = recipe.format {
            fitted.codebook = k_means::centres(weights, 1 << bits);
            let last = fitted.codebook.last().copied().unwrap_or(0.0);
            fitted.codebook.resize(1 << bits, last);
        }
        let Some(store) = recipe.scale.store() else { return Ok(fitted) };
        // Computed once, not per block.
        let (numbers, reach, lacks_zero) = (codec.numbers(), codec.reach(), recipe.format.lacks_zero());
        for range in groups.ranges() {
            let group = &weights[range.clone()];
            if lacks_zero && group.iter().all(|weight| *weight == 0.0) {
                if !store.holds_zero() {
                    let (tensor, format) = (tensor.name.to_owned(), recipe.format.name());
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
            match (&recipe.format, recipe.scale, codec) {
                (Format::Int { range: Range::Asymmetric, bits }, scale, Codec::Integer(integer)) => {
                    let (scale, zero_point) = asymmetric(scale, group, *bits, *integer);
                    fitted.scales.push(scale);
                    fitted.zero_points.push(zero_point);
                }
                (Format::Ternary, Scale::Real { fit: RealFit::Mean, store, .. }, _) => {
                    let (scale, threshold) = fit::ternary(group, store);
                    fitted.scales.push(scale);
                    fitted.thresholds.push(threshold);
                }
                (_, scale, _) => fitted.scales.push(symmetric(scale, group, reach, numbers)),
            }
        }
        Ok(fitted)
    }

    /// Makes the fit from the scales, zero points and codebook of a file.
    pub(super) fn stored(
        groups: ScaleGroups,
        scales: Vec<f32>,
        zero_points: Vec<u32>,
        codebook: Vec<f32>,
    ) -> Self {
        Self { groups, scales, zero_points, codebook, thresholds: vec![] }
    }

    /// Replaces weights by the numbers of their codes. Every zero is +0, in any format: a network computes the same
    /// with either zero, and formats that agree on the weights then make the same model.
    pub(super) fn round(&self, codec: &Codec, weights: &mut [f32], rounding: Rounding, draws: &Draws) {
        let scales = self.scales.iter().copied().chain(std::iter::repeat(1.0));
        let groups = self.groups.split(weights).zip(scales);
        let groups = groups.map(|((first, weights), scale)| Group { weights, first, scale });
        if matches!(rounding, Rounding::Nearest | Rounding::NearestAway) && !self.thresholds.is_empty() {
            slice::cut_groups(groups.zip(self.thresholds.iter().copied()));
        } else if let Codec::Integer(integer) = codec
            && !self.zero_points.is_empty()
        {
            for (group, &zero_point) in groups.zip(&self.zero_points) {
                let integer = Codec::Integer(integer.with_zero_point(zero_point));
                integer.round_groups(std::iter::once(group), rounding, draws, 0.0);
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
            self.codec(codec).round_groups(groups, rounding, draws, 0.0);
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
        let mut codes = Vec::with_capacity(weights.len());
        let codec = self.codec(codec);
        for (group, range) in self.groups.ranges().enumerate() {
            let codec = self.of_group(&codec, group);
            let scale = f64::from(self.scales.get(group).copied().unwrap_or(1.0));
            if scale == 0.0 {
                // Every code decodes to zero here; the first code is used, so that draws do not matter.
                codes.resize(range.end, 0);
                continue;
            }
            let threshold = self
                .thresholds
                .get(group)
                .filter(|_| !matches!(rounding, Rounding::TowardZero | Rounding::Stochastic));
            for element in range {
                let weight = weights[element];
                let quotient = match threshold {
                    Some(&threshold) if weight.abs() <= threshold => 0.0,
                    Some(_) => f64::from(weight.signum()),
                    None => f64::from(weight) / scale,
                };
                // Finite weights have a code in every format unless they overflow, and overflow is refused earlier.
                codes.push(codec.encode(quotient, rounding, draws.draw(element as u64)).unwrap_or(0));
            }
        }
        codes
    }

    /// Returns the weights of codes.
    pub(super) fn decode(&self, codec: &Codec, codes: &[u32]) -> Vec<f32> {
        let mut weights = vec![0.0; codes.len()];
        if !self.codebook.is_empty() {
            for (weight, code) in weights.iter_mut().zip(codes) {
                *weight = self.codebook.get(*code as usize).copied().unwrap_or(0.0) + 0.0;
            }
            return weights;
        }
        // The usual decoder is made once; only integers with a zero point need a decoder per group.
        let usual = codec.decoder();
        for (group, range) in self.groups.ranges().enumerate() {
            let scale = f64::from(self.scales.get(group).copied().unwrap_or(1.0));
            let shifted = self.zero_points.get(group).map(|_| self.of_group(codec, group));
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
        let usual = self.codec(codec).limits();
        move |group| {
            let (low, high) = match self.zero_points.get(group) {
                Some(_) => self.of_group(codec, group).limits(),
                None => usual,
            };
            let scale = f64::from(self.scales.get(group).copied().unwrap_or(1.0));
            (low * scale, high * scale)
        }
    }

    /// Returns the codec with the tensor's fitted codebook.
    fn codec<'a>(&self, codec: &'a Codec) -> Cow<'a, Codec> {
        if self.codebook.is_empty() {
            return Cow::Borrowed(codec);
        }
        let mut values = self.codebook.clone();
        values.dedup();
        if values.len() == 1 {
            // A tensor with a single distinct number: the second codebook value is never used by that tensor.
            let other = values[0].next_up();
            values.push(if other.is_finite() { other } else { values[0].next_down() });
        }
        match Codebook::new(&values) {
            Ok(book) => Cow::Owned(Codec::Codebook(Box::new(book))),
            Err(error) => unreachable!("centres are finite, different and at least two: {error}"),
        }
    }

    fn of_group<'a>(&self, codec: &'a Codec, group: usize) -> Cow<'a, Codec> {
        match (codec, self.zero_points.get(group)) {
            (Codec::Integer(integer), Some(&zero_point)) => {
                Cow::Owned(Codec::Integer(integer.with_zero_point(zero_point)))
            }
            _ => Cow::Borrowed(codec),
        }
    }
}

/// Returns the scale of a group in a format without zero point.
fn symmetric(scale: Scale, weights: &[f32], reach: f64, numbers: CodecNumbers<'_>) -> f32 {
    let greatest = f64::from(weights.iter().fold(0.0_f32, |greatest, weight| greatest.max(weight.abs())));
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
fn asymmetric(scale: Scale, weights: &[f32], bits: u32, integer: Integer) -> (f32, u32) {
    let count = f64::from((1_u32 << bits) - 1);
    let (mut low, mut high) =
        weights.iter().fold((0.0_f32, 0.0_f32), |(low, high), weight| (low.min(*weight), high.max(*weight)));
    let mut scale = scale;
    if let Scale::Real { fit: RealFit::Percentile(percent), per, store } = scale {
        let most = fit::percentile(weights, percent);
        if most > 0.0 {
            (low, high) = (low.max(-most), high.min(most));
        }
        scale = Scale::Real { fit: RealFit::MaxAbs, per, store };
    }
    let extent = f64::from(high) - f64::from(low);
    // Fits that search shrink the range around zero, so the zero point comes from the whole range.
    let whole = match scale {
        Scale::Real { per, store, .. } => Scale::Real { fit: RealFit::MaxAbs, per, store },
        Scale::PowerOfTwo { per, fit: PowerFit::LeastSquares } => {
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
