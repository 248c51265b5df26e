//! Quantization of a network's tensors: which of them are rounded, to what, what that costs and what it saves.
//! Knows nothing of layers and of where tensors come from; a tensor is a name, a shape and binary32 numbers.

mod distortion;
mod packer;

use serde::{Serialize, Serializer};
use thiserror::Error;

use crate::format::{Draws, Format, RandomBits, Rounding, Scale, StoredScale, pack::packed_bytes};
pub use distortion::Distortion;
use distortion::Tally;

/// A tensor to read from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tensor<'a> {
    /// The name, unique in its network; it addresses the draws.
    pub name: &'a str,
    /// The dimensions; their product is the number of elements.
    pub shape: &'a [usize],
    /// The elements, row by row.
    pub data: &'a [f32],
}

/// Which tensors are quantized; the others stay binary32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Tensors {
    /// Those of two or more dimensions.
    Weights,
    /// All.
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

/// How the tensors of a network are quantized. Serialized without seed and random bits where rounding draws nothing,
/// so that equal descriptions mean equal results.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantizer {
    /// What weights are rounded to.
    pub format: Format,
    /// How they are rounded.
    pub rounding: Rounding,
    /// The seed of stochastic rounding's draws.
    pub seed: u64,
    /// The random bits of a draw.
    pub random_bits: RandomBits,
    /// The scale of each tensor.
    pub scale: Scale,
    /// Which tensors are quantized.
    pub tensors: Tensors,
}

/// Quantized tensors, with what was lost and what they take.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantized {
    /// The elements of every tensor, in the order given; those not quantized unchanged.
    pub data: Vec<Vec<f32>>,
    /// One report per quantized tensor, in the order given.
    pub reports: Vec<Report>,
    /// What was lost over all quantized tensors together.
    pub overall: Distortion,
    /// What all tensors take.
    pub size: Size,
}

/// What became of one quantized tensor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The tensor's name.
    pub name: String,
    /// The scale in use.
    pub scale: StoredScale,
    /// What was lost.
    pub distortion: Distortion,
}

/// What a network's tensors take when they are packed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Size {
    /// The nominal bits of a code.
    pub code_bits: u32,
    /// Bytes of codes, scales, unquantized tensors and padding: as many as the packer writes.
    pub bytes: u64,
    /// 8·bytes over the elements of all tensors, quantized or not; 0 without elements.
    pub bits_per_weight: f64,
}

/// Why tensors cannot be quantized or unpacked.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum QuantizeError {
    /// A weight that is infinite or not a number.
    #[error("{tensor}: element {element} is {value}; only finite weights are quantized")]
    Weight {
        /// The tensor.
        tensor: String,
        /// The element in the flattened tensor.
        element: usize,
        /// Its value.
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
        /// Its value.
        value: f32,
        /// What it was rounded to.
        result: f32,
    },
    /// Packed tensors that have another length than their shapes ask for.
    #[error("packed tensors: {found} bytes, but their shapes take {expected}")]
    Length {
        /// Bytes that the shapes take.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
}

impl Quantizer {
    /// Quantizes tensors; an error if a weight, quantized or not, or a result is not finite.
    pub fn quantize(&self, tensors: &[Tensor<'_>]) -> Result<Quantized, QuantizeError> {
        let (mut data, mut reports, mut overall) =
            (Vec::with_capacity(tensors.len()), Vec::new(), Tally::default());
        for tensor in tensors {
            refuse_infinite(tensor)?;
            if !self.tensors.include(tensor.shape) {
                data.push(tensor.data.to_vec());
                continue;
            }
            let scale = self.format.fit(self.scale, tensor.data);
            let mut rounded = tensor.data.to_vec();
            self.format.round_slice(&mut rounded, scale, self.rounding, &self.draws(tensor.name));
            if let Some(element) = rounded.iter().position(|result| !result.is_finite()) {
                let (value, result) = (tensor.data[element], rounded[element]);
                return Err(QuantizeError::Result { tensor: tensor.name.to_owned(), element, value, result });
            }
            let tally = Tally::of(tensor.data, &rounded, scale.value(), self.format.largest());
            overall.add(&tally);
            reports.push(Report { name: tensor.name.to_owned(), scale, distortion: tally.distortion() });
            data.push(rounded);
        }
        let size = self.size(tensors.iter().map(|tensor| tensor.shape));
        Ok(Quantized { data, reports, overall: overall.distortion(), size })
    }

    /// Returns what tensors of these shapes take; it does not depend on their elements.
    #[must_use]
    pub fn size<'a>(&self, shapes: impl IntoIterator<Item = &'a [usize]>) -> Size {
        let code_bits = self.format.code_bits();
        let (mut bytes, mut elements) = (0, 0);
        for shape in shapes {
            let count = shape.iter().product();
            elements += count as u64;
            bytes += if self.tensors.include(shape) {
                packed_bytes(count, code_bits) + self.scale.bytes()
            } else {
                4 * count as u64
            };
        }
        let bits_per_weight = if elements == 0 { 0.0 } else { 8.0 * bytes as f64 / elements as f64 };
        Size { code_bits, bytes, bits_per_weight }
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

impl Serialize for Quantizer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename = "Quantizer")]
        struct Described<'a> {
            format: &'a Format,
            rounding: Rounding,
            #[serde(skip_serializing_if = "Option::is_none")]
            seed: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            random_bits: Option<RandomBits>,
            scale: Scale,
            tensors: Tensors,
        }
        let random = self.rounding.is_random();
        Described {
            format: &self.format,
            rounding: self.rounding,
            seed: random.then_some(self.seed),
            random_bits: random.then_some(self.random_bits),
            scale: self.scale,
            tensors: self.tensors,
        }
        .serialize(serializer)
    }
}
