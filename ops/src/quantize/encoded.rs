//! Quantized tensors as codes: the code of every weight, and the scales, zero points and codebook that decode it.
//! Knows nothing of bytes and files.

use std::collections::BTreeMap;

use super::addition::{Addition, AdditionKind};
use super::fitted::Fitted;
use super::{Quantization, QuantizeError, Quantizer, Tensor, refuse_infinite, refuse_results};
use crate::format::Codec;
use crate::scale::ScaleGroups;

/// The widest codes with a codebook table; wider codes have none.
const MOST_BITS: u32 = 16;

/// A tensor of a quantized network.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoded {
    /// The tensor's name.
    pub name: String,
    /// The tensor's dimensions.
    pub shape: Vec<usize>,
    /// The elements as the network uses them, row by row.
    pub weights: Vec<f32>,
    /// The codes of the elements; `None` for a tensor that is not quantized.
    pub codes: Option<Codes>,
}

/// The codes of a tensor. A weight is the binary32 number nearest to the product of its code's number and its group's
/// scale; every zero is +0.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// The format, rounding and scale of the tensor.
    pub quantization: Quantization,
    /// The bits of a code, 1 to 32; ternary codes have 2, although five of them are packed into a byte.
    pub bits: u32,
    /// The code of each element, row by row.
    pub codes: Vec<u32>,
    /// The groups of elements that share a scale.
    pub groups: ScaleGroups,
    /// The scale of each group, as stored; empty for a format without scale.
    pub scales: Vec<f32>,
    /// The zero point of each group of asymmetric integers: the code of zero, subtracted from the codes. Empty for
    /// other formats.
    pub zero_points: Vec<u32>,
    /// The exact number of every code, NaN for unused codes. Empty for formats with zero points, and for codes of more
    /// than 16 bits.
    pub codebook: Vec<f64>,
}

impl Encoded {
    /// Returns the bytes of the packed tensor.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let count = self.weights.len();
        self.codes.as_ref().map_or(4 * count as u64, |codes| {
            codes.quantization.side_bytes(&self.shape) + codes.quantization.code_bytes(count)
        })
    }
}

impl Encoded {
    /// Makes a tensor of zeros, which has the size of every tensor of this shape and format.
    pub(crate) fn blank(
        name: String,
        shape: Vec<usize>,
        quantization: Option<&Quantization>,
    ) -> Result<Self, QuantizeError> {
        let count = shape.iter().product();
        let codes = quantization.map(|quantization| Codes::blank(quantization, &shape)).transpose()?;
        Ok(Self { name, shape, weights: vec![0.0; count], codes })
    }
}

impl Codes {
    fn blank(quantization: &Quantization, shape: &[usize]) -> Result<Self, QuantizeError> {
        let codec = quantization.format.codec()?;
        let groups = ScaleGroups::new(quantization.scale.per(), shape);
        let has_scales = quantization.scale.store().is_some();
        let kind = AdditionKind::of(quantization);
        let addition = match kind {
            AdditionKind::Codebook(bits) => Addition::Codebook(vec![0.0; 1 << bits]),
            _ => kind.read(groups.count(), &vec![0; kind.bytes(groups.count()) as usize]),
        };
        let scales = if has_scales { vec![1.0; groups.count()] } else { vec![] };
        let fitted = Fitted { groups, scales, addition };
        let codebook = numbers(&codec, &fitted);
        let Fitted { groups, scales, addition } = fitted;
        Ok(Self {
            quantization: quantization.clone(),
            bits: codec.bits(),
            codes: vec![0; shape.iter().product()],
            groups,
            scales,
            zero_points: addition.zero_points().to_vec(),
            codebook,
        })
    }
}

impl Quantizer {
    /// Quantizes tensors as [`Quantizer::quantize`] does, and keeps their codes; errors are the same.
    pub fn encode(&self, tensors: &[Tensor<'_>]) -> Result<Vec<Encoded>, QuantizeError> {
        tensors.iter().map(|tensor| self.encode_one(tensor, None, None)).collect()
    }

    /// Returns the codes of tensors that are rounded already: `rounded` has the numbers of each, `fits` the fits by name; the
    /// fit of any other tensor needs its numbers only. Errors like [`Quantizer::quantize`].
    pub fn encode_rounded(
        &self,
        tensors: &[Tensor<'_>],
        rounded: &[&[f32]],
        fits: &BTreeMap<String, Fitted>,
    ) -> Result<Vec<Encoded>, QuantizeError> {
        let pairs = tensors.iter().zip(rounded);
        pairs.map(|(tensor, rounded)| self.encode_one(tensor, Some(rounded), fits.get(tensor.name))).collect()
    }

    fn encode_one(
        &self,
        tensor: &Tensor<'_>,
        rounded: Option<&[f32]>,
        fitted: Option<&Fitted>,
    ) -> Result<Encoded, QuantizeError> {
        let (name, shape) = (tensor.name.to_owned(), tensor.shape.to_vec());
        refuse_infinite(tensor)?;
        if !self.tensors.include(tensor.shape) {
            let weights = rounded.unwrap_or(tensor.data).to_vec();
            return Ok(Encoded { name, shape, weights, codes: None });
        }
        let quantization = self.quantization_of(tensor.name);
        let codec = quantization.format.codec()?;
        let fitted = match fitted {
            Some(fitted) => fitted.clone(),
            None => Fitted::to(quantization, &codec, tensor, &[])?,
        };
        let (weights, codes) = match rounded {
            Some(rounded) => {
                let codes = fitted.encode_rounded(&codec, rounded);
                (fitted.decode(&codec, &codes), codes)
            }
            None => self.codes_of(quantization, &codec, &fitted, tensor)?,
        };
        let codebook = numbers(&codec, &fitted);
        let Fitted { groups, scales, addition } = fitted;
        let zero_points = addition.zero_points().to_vec();
        let bits = codec.bits();
        let codes =
            Codes { quantization: quantization.clone(), bits, codes, groups, scales, zero_points, codebook };
        Ok(Encoded { name, shape, weights, codes: Some(codes) })
    }

    /// Returns a tensor's weights in a format fitted to it, and the code of each weight.
    pub(super) fn codes_of(
        &self,
        quantization: &Quantization,
        codec: &Codec,
        fitted: &Fitted,
        tensor: &Tensor<'_>,
    ) -> Result<(Vec<f32>, Vec<u32>), QuantizeError> {
        let draws = self.draws(tensor.name);
        let rounded = fitted.rounded(codec, tensor.data, quantization.rounding, &draws);
        refuse_results(tensor, &rounded)?;
        Ok((rounded, fitted.encode(codec, tensor.data, quantization.rounding, &draws)))
    }
}

/// Returns the number of every code, for formats with one table for the whole tensor.
fn numbers(codec: &Codec, fitted: &Fitted) -> Vec<f64> {
    match &fitted.addition {
        Addition::ZeroPoints(..) => vec![],
        Addition::Codebook(numbers) => numbers.iter().copied().map(f64::from).collect(),
        Addition::None | Addition::Thresholds(_) if codec.bits() > MOST_BITS => vec![],
        Addition::None | Addition::Thresholds(_) => {
            codec.table().into_iter().map(|number| number.unwrap_or(f64::NAN)).collect()
        }
    }
}
