//! The packer: a quantized tensor to and from the bytes that the metric `bytes` counts. Scales, zero points, codebook and codes
//! are a part each, padded to a whole byte.

use super::addition::AdditionKind;
use super::encoded::Codes;
use super::fitted::Fitted;
use super::{Encoded, Quantization, QuantizeError, Quantizer, Tensor};
use crate::format::{Format, Packing, Rounding, pack};
use crate::scale::{Per, RealFit, Scale, ScaleGroups, ScaleType};

/// The parts of a packed tensor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackedTensor {
    /// The scale of each group, in its stored type, least significant byte first; empty without scales.
    pub scales: Vec<u8>,
    /// The zero point of each group, as wide as a code, least significant bit first; empty without zero points.
    pub zero_points: Vec<u8>,
    /// The number of each code as binary32, least significant byte first, of formats whose numbers are fitted to the tensor.
    pub codebook: Vec<u8>,
    /// The codes, least significant bit first, or five ternary codes to a byte.
    pub codes: Vec<u8>,
}

impl Codes {
    /// Packs the codes of a tensor.
    #[must_use]
    pub fn pack(&self) -> PackedTensor {
        let Quantization { format, scale, .. } = &self.quantization;
        let mut packed = PackedTensor::default();
        if let Some(store) = scale.store() {
            self.scales.iter().for_each(|scale| store.write(*scale, &mut packed.scales));
        }
        match AdditionKind::of(&self.quantization) {
            AdditionKind::ZeroPoints(bits) => {
                packed.zero_points = pack::pack(self.zero_points.iter().copied(), bits);
            }
            AdditionKind::Codebook(_) => {
                let numbers = self.codebook.iter().map(|number| (*number as f32).to_le_bytes());
                packed.codebook = numbers.flatten().collect();
            }
            AdditionKind::None | AdditionKind::Thresholds => {}
        }
        packed.codes = match format.packing() {
            Packing::Bits(bits) => pack::pack(self.codes.iter().copied(), bits),
            Packing::FiveToAByte => pack::pack_ternary(&self.codes),
        };
        packed
    }
}

/// The length of each part of a packed tensor, in bytes.
struct PartBytes {
    scales: u64,
    zero_points: u64,
    codebook: u64,
    codes: u64,
}

impl PartBytes {
    fn of(quantization: &Quantization, shape: &[usize]) -> Self {
        let groups = ScaleGroups::new(quantization.scale.per(), shape).count();
        let kind = AdditionKind::of(quantization);
        let own = |wanted: bool| if wanted { kind.bytes(groups) } else { 0 };
        let is_codebook = matches!(kind, AdditionKind::Codebook(_));
        Self {
            scales: quantization.scale.store().map_or(0, |store| groups * store.bytes()) as u64,
            zero_points: own(!is_codebook),
            codebook: own(is_codebook),
            codes: quantization.code_bytes(shape.iter().product()),
        }
    }
}

impl PackedTensor {
    /// Returns the weights of a tensor of this shape in a format; `store` is the type of its scales, if it has some. The error
    /// says which part has another length.
    pub fn decode(
        &self,
        format: &Format,
        per: Per,
        store: Option<ScaleType>,
        shape: &[usize],
    ) -> Result<Vec<f32>, String> {
        // How scales were fitted does not matter any more.
        let scale = store.map_or(Scale::None, |store| Scale::Real { per, fit: RealFit::MaxAbs, store });
        let quantization = Quantization { format: format.clone(), rounding: Rounding::Nearest, scale };
        let expected = PartBytes::of(&quantization, shape);
        for (what, found, expected) in [
            ("scales", &self.scales, expected.scales),
            ("zero points", &self.zero_points, expected.zero_points),
            ("codebook", &self.codebook, expected.codebook),
            ("codes", &self.codes, expected.codes),
        ] {
            if found.len() as u64 != expected {
                return Err(format!("its {what} have {} bytes, not {expected}", found.len()));
            }
        }
        self.decoded(&quantization, shape).map_err(|error| error.to_string())
    }

    /// Returns the weights of parts that have the right lengths.
    pub(super) fn decoded(
        &self,
        quantization: &Quantization,
        shape: &[usize],
    ) -> Result<Vec<f32>, QuantizeError> {
        let count = shape.iter().product();
        let groups = ScaleGroups::new(quantization.scale.per(), shape);
        let scales = quantization.scale.store().map_or(vec![], |store| {
            self.scales.chunks(store.bytes()).map(|bytes| store.decode(bytes)).collect()
        });
        let fitted = if self.codebook.is_empty() { &self.zero_points } else { &self.codebook };
        let addition = AdditionKind::of(quantization).read(groups.count(), fitted);
        let codes = match quantization.format.packing() {
            Packing::Bits(bits) => pack::unpack(&self.codes, bits, count),
            Packing::FiveToAByte => pack::unpack_ternary(&self.codes, count),
        };
        let codec = quantization.format.codec()?;
        Ok(Fitted { groups, scales, addition }.decode(&codec, &codes))
    }

    /// Returns all bytes: scales, zero points, codebook, codes.
    fn into_bytes(self) -> Vec<u8> {
        [self.scales, self.zero_points, self.codebook, self.codes].concat()
    }
}

impl Quantizer {
    /// Packs tensors, one after the other, those that are not quantized as little-endian binary32; errors are those of
    /// [`Quantizer::quantize`]. Names and shapes are not stored.
    pub fn pack(&self, tensors: &[Tensor<'_>]) -> Result<Vec<u8>, QuantizeError> {
        let bytes = |encoded: Encoded| match &encoded.codes {
            Some(codes) => codes.pack().into_bytes(),
            None => encoded.weights.iter().flat_map(|weight| weight.to_le_bytes()).collect(),
        };
        Ok(self.encode(tensors)?.into_iter().flat_map(bytes).collect())
    }

    /// Returns the elements of packed tensors of these names and shapes, in their order.
    pub fn unpack(&self, tensors: &[(&str, &[usize])], bytes: &[u8]) -> Result<Vec<Vec<f32>>, QuantizeError> {
        let (expected, found) = (self.size(tensors.iter().copied()).bytes, bytes.len() as u64);
        if expected != found {
            return Err(QuantizeError::Length { expected, found });
        }
        let mut rest = bytes;
        let mut take = |bytes: u64| {
            let (front, back) = rest.split_at((bytes as usize).min(rest.len()));
            rest = back;
            front.to_vec()
        };
        let mut one = |(name, shape): &(&str, &[usize])| {
            if !self.tensors.include(shape) {
                let bytes = take(4 * shape.iter().product::<usize>() as u64);
                return Ok(bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect());
            }
            let quantization = self.quantization_of(name);
            let PartBytes { scales, zero_points, codebook, codes } = PartBytes::of(quantization, shape);
            let [scales, zero_points, codebook, codes] =
                [scales, zero_points, codebook, codes].map(&mut take);
            PackedTensor { scales, zero_points, codebook, codes }.decoded(quantization, shape)
        };
        tensors.iter().map(&mut one).collect()
    }
}
