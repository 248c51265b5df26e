//! Quantization of a network's tensors: the choice of tensors, their rounding, the error it adds and the bytes it
//! saves. Knows nothing of layers and of the source of tensors; a tensor is a name, a shape and binary32 numbers.

mod addition;
mod distortion;
mod encoded;
mod fitted;
mod flips;
mod packer;
mod place;
mod quantization;

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use thiserror::Error;

use crate::format::{Codec, Draws, Format, FormatError, RandomBits};
pub use distortion::Distortion;
use distortion::DistortionSums;
pub use encoded::{Codes, Encoded};
pub use fitted::{Fitted, Prepared};
pub use flips::{FlippedBits, Flips};
pub use packer::PackedTensor;
pub use place::PlaceRounder;
pub use quantization::Quantization;

/// A borrowed tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tensor<'a> {
    /// The name, unique in its network; it addresses the draws.
    pub name: &'a str,
    /// The dimensions; their product is the number of elements.
    pub shape: &'a [usize],
    /// The elements, row by row.
    pub data: &'a [f32],
}

/// The tensors to quantize; all others stay binary32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Tensors {
    /// The tensors of two or more dimensions.
    Weights,
    /// All tensors.
    All,
}

impl Tensors {
    /// Returns whether a tensor of this shape is quantized.
    #[must_use]
    pub fn include(self, shape: &[usize]) -> bool {
        match self {
            Self::Weights => shape.len() >= 2,
            Self::All => true,
        }
    }
}

/// The quantization of a network's tensors. Serialization omits seed and random bits if no rounding is stochastic, so
/// equal descriptions mean equal results.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantizer {
    /// The quantization of every tensor without a quantization of its own.
    pub quantization: Quantization,
    /// Recipes of the tensors of single layers, by the layer's name.
    pub layers: BTreeMap<String, Quantization>,
    /// The seed of stochastic rounding's draws.
    pub seed: u64,
    /// The random bits of a draw.
    pub random_bits: RandomBits,
    /// The tensors to quantize.
    pub tensors: Tensors,
}

/// Quantized tensors, with their distortion and packed size.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantized {
    /// The elements of every tensor, in the order given; tensors that are not quantized are unchanged.
    pub data: Vec<Vec<f32>>,
    /// One report per quantized tensor, in the order given.
    pub reports: Vec<TensorReport>,
    /// The distortion over all quantized tensors together.
    pub overall: Distortion,
    /// The packed size of all tensors.
    pub size: PackedSize,
}

/// A tensor that is rounded already.
#[derive(Clone, Debug, PartialEq)]
pub struct RoundedTensor {
    /// The numbers of its codes.
    pub numbers: Vec<f32>,
    /// The fit that its codes are numbers of.
    pub fitted: Fitted,
}

/// The report on one quantized tensor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TensorReport {
    /// The tensor's name.
    pub name: String,
    /// The greatest scale of the tensor; 1 for a format without scale.
    pub scale: f32,
    /// The tensor's distortion.
    pub distortion: Distortion,
}

/// The format and the packed size of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorSize {
    /// The tensor's name.
    pub name: String,
    /// The format of its numbers; `None` for binary32 that is not quantized.
    pub format: Option<Format>,
    /// The count of its numbers.
    pub numbers: usize,
    /// The bytes of its codes, scales, zero points and codebook, or of its binary32 numbers.
    pub bytes: u64,
}

/// The packed size of a network's tensors.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PackedSize {
    /// The nominal bits of a weight, for layers without a quantization of their own.
    pub code_bits: f64,
    /// The bytes of codes, scales, codebooks, unquantized tensors and padding: exactly the packer's output.
    pub bytes: u64,
    /// 8·bytes over the elements of all tensors, quantized or not; 0 without elements.
    pub bits_per_weight: f64,
}

/// An error in quantizing or unpacking tensors.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum QuantizeError {
    /// An invalid format.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// A weight that is infinite or not a number.
    #[error("{tensor}: element {element} is {value}; only finite weights are quantized")]
    Weight {
        /// The tensor.
        tensor: String,
        /// The element in the flattened tensor.
        element: usize,
        /// The element's value.
        value: f32,
    },
    /// A result that is infinite or not a number.
    #[error(
        "{tensor}: element {element} is {value} and becomes {result}; choose a scale or format that keeps it finite"
    )]
    Result {
        /// The tensor.
        tensor: String,
        /// The element in the flattened tensor.
        element: usize,
        /// The element's value.
        value: f32,
        /// The result of rounding.
        result: f32,
    },
    /// A tensor, channel or block of zeros, although neither the format nor the stored type of its scale has a zero.
    #[error(
        "{tensor}: elements {first} to {last} are all 0, {format} has no zero, and its scale, stored as E8M0, cannot be 0; store the scale as F32, F16, Bf16 or E4M3 (`scale: Real(…)`), or choose a format with a zero"
    )]
    Zeros {
        /// The tensor.
        tensor: String,
        /// The first element of the tensor, channel or block in the flattened tensor.
        first: usize,
        /// The last element.
        last: usize,
        /// The format.
        format: &'static str,
    },
    /// Packed tensors whose length differs from the length of their shapes.
    #[error("packed tensors: {found} bytes, but their shapes take {expected}")]
    Length {
        /// The bytes that the shapes take.
        expected: u64,
        /// The bytes given.
        found: u64,
    },
}

impl Quantizer {
    /// Quantizes tensors; an error if a weight, quantized or not, or a result is not finite, or if zeros cannot stay
    /// zero.
    pub fn quantize(&self, tensors: &[Tensor<'_>]) -> Result<Quantized, QuantizeError> {
        self.quantize_with(tensors, &BTreeMap::new())
    }

    /// Quantizes tensors, of which some are rounded already: `rounded` has them by name. Errors like
    /// [`Quantizer::quantize`].
    pub fn quantize_with(
        &self,
        tensors: &[Tensor<'_>],
        rounded: &BTreeMap<String, RoundedTensor>,
    ) -> Result<Quantized, QuantizeError> {
        let mut quantized = Quantized {
            data: Vec::with_capacity(tensors.len()),
            reports: Vec::new(),
            overall: DistortionSums::default().distortion(),
            size: self.size(tensors.iter().map(|tensor| (tensor.name, tensor.shape))),
        };
        let mut overall = DistortionSums::default();
        // A codec can hold a large table, so consecutive tensors reuse it.
        let mut last: Option<(&Quantization, Codec)> = None;
        for tensor in tensors {
            refuse_infinite(tensor)?;
            if !self.tensors.include(tensor.shape) {
                quantized.data.push(tensor.data.to_vec());
                continue;
            }
            let quantization = self.quantization_of(tensor.name);
            let codec = match last.take() {
                Some((of, codec)) if of == quantization => codec,
                _ => quantization.format.codec()?,
            };
            let (numbers, report, tally) =
                self.quantize_one(quantization, &codec, tensor, rounded.get(tensor.name))?;
            last = Some((quantization, codec));
            overall.add(&tally);
            quantized.reports.push(report);
            quantized.data.push(numbers);
        }
        quantized.overall = overall.distortion();
        Ok(quantized)
    }

    fn quantize_one(
        &self,
        quantization: &Quantization,
        codec: &Codec,
        tensor: &Tensor<'_>,
        rounded: Option<&RoundedTensor>,
    ) -> Result<(Vec<f32>, TensorReport, DistortionSums), QuantizeError> {
        let RoundedTensor { numbers: rounded, fitted } = match rounded {
            Some(rounded) => rounded.clone(),
            None => {
                let fitted = Fitted::to(quantization, codec, tensor, &[])?;
                let draws = self.draws(tensor.name);
                let numbers = fitted.rounded(codec, tensor.data, quantization.rounding, &draws);
                RoundedTensor { numbers, fitted }
            }
        };
        refuse_results(tensor, &rounded)?;
        let mut tally = DistortionSums::default();
        let limits = fitted.limits(codec);
        for (group, range) in fitted.groups.ranges().enumerate() {
            tally.add(&DistortionSums::measure(&tensor.data[range.clone()], &rounded[range], limits(group)));
        }
        let scale = fitted.scales.iter().copied().reduce(f32::max).unwrap_or(1.0);
        let report = TensorReport { name: tensor.name.to_owned(), scale, distortion: tally.distortion() };
        Ok((rounded, report, tally))
    }

    /// Returns the packed size of tensors of these names and shapes; it does not depend on their elements.
    #[must_use]
    pub fn size<'a>(&self, tensors: impl IntoIterator<Item = (&'a str, &'a [usize])>) -> PackedSize {
        let code_bits = self.quantization.format.code_bits();
        let (mut bytes, mut elements) = (0, 0);
        for (name, shape) in tensors {
            elements += shape.iter().product::<usize>() as u64;
            bytes += self.tensor_size(name, shape).bytes;
        }
        let bits_per_weight = if elements == 0 { 0.0 } else { 8.0 * bytes as f64 / elements as f64 };
        PackedSize { code_bits, bytes, bits_per_weight }
    }

    /// Returns the format and the packed size of a tensor.
    #[must_use]
    pub fn tensor_size(&self, name: &str, shape: &[usize]) -> TensorSize {
        let numbers = shape.iter().product();
        let quantization = self.tensors.include(shape).then(|| self.quantization_of(name));
        let bytes = quantization.map_or(4 * numbers as u64, |quantization| {
            quantization.side_bytes(shape) + quantization.code_bytes(numbers)
        });
        let format = quantization.map(|quantization| quantization.format.clone());
        TensorSize { name: name.to_owned(), format, numbers, bytes }
    }

    /// Returns the quantization of a tensor: the quantization of its layer, whose name is the tensor's name up to the last dot.
    pub(crate) fn quantization_of(&self, tensor: &str) -> &Quantization {
        let layer = tensor.rsplit_once('.').map_or(tensor, |(layer, _)| layer);
        self.layers.get(layer).unwrap_or(&self.quantization)
    }

    fn draws(&self, tensor: &str) -> Draws {
        Draws::new(self.seed, tensor, self.random_bits)
    }
}

fn refuse_infinite(tensor: &Tensor<'_>) -> Result<(), QuantizeError> {
    match tensor.data.iter().position(|weight| !weight.is_finite()) {
        None => Ok(()),
        Some(element) => {
            let value = tensor.data[element];
            Err(QuantizeError::Weight { tensor: tensor.name.to_owned(), element, value })
        }
    }
}

pub(crate) fn refuse_results(tensor: &Tensor<'_>, rounded: &[f32]) -> Result<(), QuantizeError> {
    match rounded.iter().position(|result| !result.is_finite()) {
        None => Ok(()),
        Some(element) => {
            let (value, result) = (tensor.data[element], rounded[element]);
            Err(QuantizeError::Result { tensor: tensor.name.to_owned(), element, value, result })
        }
    }
}

impl Serialize for Quantizer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename = "Quantizer")]
        struct Described<'a> {
            #[serde(flatten)]
            quantization: &'a Quantization,
            #[serde(skip_serializing_if = "BTreeMap::is_empty")]
            layers: &'a BTreeMap<String, Quantization>,
            #[serde(skip_serializing_if = "Option::is_none")]
            seed: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            random_bits: Option<RandomBits>,
            tensors: Tensors,
        }
        let random = std::iter::once(&self.quantization)
            .chain(self.layers.values())
            .any(|quantization| quantization.rounding.is_random());
        Described {
            quantization: &self.quantization,
            layers: &self.layers,
            seed: random.then_some(self.seed),
            random_bits: random.then_some(self.random_bits),
            tensors: self.tensors,
        }
        .serialize(serializer)
    }
}
