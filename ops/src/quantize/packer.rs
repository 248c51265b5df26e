//! The packer: a network's tensors to and from the bytes that `Size` counts. In the order given, a quantized tensor
//! is its scales, its zero points and its codebook, then its codes, each part padded to a whole byte; any other tensor
//! is its elements as little-endian binary32. Stores no names and shapes: a reader must know them.

use super::addition::AdditionKind;
use super::fitted::Fitted;
use super::{QuantizeError, Quantizer, Tensor, refuse_infinite};
use crate::format::{Packing, pack};
use crate::scale::ScaleGroups;

impl Quantizer {
    /// Packs tensors; errors are those of [`Quantizer::quantize`].
    pub fn pack(&self, tensors: &[Tensor<'_>]) -> Result<Vec<u8>, QuantizeError> {
        let mut bytes = Vec::new();
        for tensor in tensors {
            refuse_infinite(tensor)?;
            if self.tensors.include(tensor.shape) {
                self.pack_one(tensor, &mut bytes)?;
            } else {
                bytes.extend(tensor.data.iter().flat_map(|weight| weight.to_le_bytes()));
            }
        }
        Ok(bytes)
    }

    /// Returns the elements of packed tensors of these names and shapes, in their order.
    pub fn unpack(&self, tensors: &[(&str, &[usize])], bytes: &[u8]) -> Result<Vec<Vec<f32>>, QuantizeError> {
        let (expected, found) = (self.size(tensors.iter().copied()).bytes, bytes.len() as u64);
        if expected != found {
            return Err(QuantizeError::Length { expected, found });
        }
        let mut rest = bytes;
        tensors.iter().map(|(name, shape)| self.unpack_one(name, shape, &mut rest)).collect()
    }

    fn pack_one(&self, tensor: &Tensor<'_>, bytes: &mut Vec<u8>) -> Result<(), QuantizeError> {
        let quantization = self.quantization_of(tensor.name);
        let codec = quantization.format.codec()?;
        let fitted = Fitted::to(quantization, &codec, tensor, &[])?;
        if let Some(store) = quantization.scale.store() {
            fitted.scales.iter().for_each(|scale| store.write(*scale, bytes));
        }
        fitted.addition.write(bytes);
        let (_, codes) = self.codes_of(quantization, &codec, &fitted, tensor)?;
        bytes.extend(match quantization.format.packing() {
            Packing::Bits(bits) => pack::pack(codes, bits),
            Packing::FiveToAByte => pack::pack_ternary(&codes),
        });
        Ok(())
    }

    /// Reads one tensor from the front of `rest`, which is long enough.
    fn unpack_one(&self, name: &str, shape: &[usize], rest: &mut &[u8]) -> Result<Vec<f32>, QuantizeError> {
        let count: usize = shape.iter().product();
        let mut take = |bytes: u64| {
            let (front, back) = rest.split_at((bytes as usize).min(rest.len()));
            *rest = back;
            front
        };
        let binary32 = |bytes: &[u8]| -> Vec<f32> {
            bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect()
        };
        if !self.tensors.include(shape) {
            return Ok(binary32(take(4 * count as u64)));
        }
        let quantization = self.quantization_of(name);
        let groups = ScaleGroups::new(quantization.scale.per(), shape);
        let scales = match quantization.scale.store() {
            Some(store) => {
                let bytes = take((groups.count() * store.bytes()) as u64);
                bytes.chunks(store.bytes()).map(|bytes| store.decode(bytes)).collect()
            }
            None => vec![],
        };
        let kind = AdditionKind::of(quantization);
        let addition = kind.read(groups.count(), take(kind.bytes(groups.count())));
        let codes = match quantization.format.packing() {
            Packing::Bits(bits) => pack::unpack(take(quantization.code_bytes(count)), bits, count),
            Packing::FiveToAByte => pack::unpack_ternary(take(quantization.code_bytes(count)), count),
        };
        let codec = quantization.format.codec()?;
        Ok(Fitted { groups, scales, addition }.decode(&codec, &codes))
    }
}
