//! The packer: a network's tensors as the bytes that `Size` counts, and back. In the order given, a quantized tensor
//! is its scale and its codes, padded to a whole byte; any other is its elements as little-endian binary32.
//! Knows nothing of names and shapes in a file; who reads has to know them.

use super::{QuantizeError, Quantizer, Tensor, refuse_infinite};
use crate::format::{StoredScale, pack};

impl Quantizer {
    /// Packs tensors; an error if a weight is not finite.
    pub fn pack(&self, tensors: &[Tensor<'_>]) -> Result<Vec<u8>, QuantizeError> {
        let mut bytes = Vec::new();
        for tensor in tensors {
            refuse_infinite(tensor)?;
            if self.tensors.include(tensor.shape) {
                let scale = self.format.fit(self.scale, tensor.data);
                bytes.extend(scale.to_bytes());
                bytes.extend(pack::pack(self.codes(tensor, scale), self.format.code_bits()));
            } else {
                bytes.extend(tensor.data.iter().flat_map(|weight| weight.to_le_bytes()));
            }
        }
        Ok(bytes)
    }

    /// Returns the elements of packed tensors of these shapes, in their order.
    pub fn unpack(&self, shapes: &[&[usize]], bytes: &[u8]) -> Result<Vec<Vec<f32>>, QuantizeError> {
        let (expected, found) = (self.size(shapes.iter().copied()).bytes, bytes.len() as u64);
        let mut rest = bytes;
        let mut data = Vec::with_capacity(shapes.len());
        for shape in shapes {
            let Some(tensor) = self.unpack_one(shape, &mut rest) else { break };
            data.push(tensor);
        }
        if expected == found { Ok(data) } else { Err(QuantizeError::Length { expected, found }) }
    }

    fn codes<'a>(&self, tensor: &Tensor<'a>, scale: StoredScale) -> impl Iterator<Item = u32> + use<'_, 'a> {
        let (draws, scale) = (self.draws(tensor.name), f64::from(scale.value()));
        tensor.data.iter().zip(0..).map(move |(&weight, element)| {
            let quotient = f64::from(weight) / scale;
            // Finite weights have a code in every format.
            self.format.encode(quotient, self.rounding, draws.draw(element)).unwrap_or(0)
        })
    }

    /// Takes one tensor from the front of `rest`; nothing if it is too short.
    fn unpack_one(&self, shape: &[usize], rest: &mut &[u8]) -> Option<Vec<f32>> {
        let count: usize = shape.iter().product();
        if !self.tensors.include(shape) {
            let (front, back) = rest.split_at_checked(4 * count)?;
            *rest = back;
            return Some(front.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect());
        }
        let (scale, back) = StoredScale::from_bytes(self.scale, rest)?;
        let bits = self.format.code_bits();
        let (front, back) = back.split_at_checked(pack::packed_bytes(count, bits) as usize)?;
        *rest = back;
        let scale = f64::from(scale.value());
        let codes = pack::unpack(front, bits, count);
        Some(codes.into_iter().map(|code| (self.format.value(code) * scale) as f32).collect())
    }
}
