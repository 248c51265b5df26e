//! Bit flips: faults of the memory that holds a packed network. Knows nothing of networks; a tensor's name addresses the draws.

use serde::Serialize;

use super::encoded::{Codes, Encoded};
use super::packer::PackedTensor;
use super::{QuantizeError, addition::AdditionKind};
use crate::format::{Packing, pack};
use crate::random::Stream;

/// The purpose of the draws.
const PURPOSE: &str = "flip";

/// Independent flips of the bits of packed tensors.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Flips {
    /// The bits that can flip.
    pub bits: FlippedBits,
    /// The probability that a bit flips, from 0 to 1; in steps of 2⁻³².
    pub rate: f64,
    /// The seed of the draws.
    pub seed: u64,
}

/// The bits that can flip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum FlippedBits {
    /// Every bit of the packed network, tensors that are not quantized included.
    All,
    /// The bits of codes.
    Codes,
    /// The bits of what decodes the codes: scales, zero points, codebooks.
    Scales,
}

impl Flips {
    /// Returns the flips if bits can flip at all.
    #[must_use]
    pub fn if_any(self) -> Option<Self> {
        Some(self).filter(|flips| flips.rate > 0.0)
    }

    /// Flips bits of a tensor and decodes its weights again. Returns how many bits flipped.
    ///
    /// Whether a bit flips depends on seed, tensor, part and place alone, so that a higher rate flips the bits of a lower one and
    /// more, and `All` those of `Codes` and `Scales`. Weights can become infinite or NaN.
    pub fn apply(&self, tensor: &mut Encoded) -> Result<u64, QuantizeError> {
        let Encoded { name, shape, weights, codes } = tensor;
        let Some(codes) = codes else {
            let mut bytes: Vec<u8> = weights.iter().flat_map(|weight| weight.to_le_bytes()).collect();
            let flipped = self.flip(name, "numbers", self.bits == FlippedBits::All, &mut bytes);
            *weights =
                bytes.as_chunks::<4>().0.iter().map(|four| with_one_nan(f32::from_le_bytes(*four))).collect();
            return Ok(flipped);
        };
        let mut packed = codes.pack();
        let PackedTensor { codes: of_codes, scales, zero_points, codebook } = &mut packed;
        let is_code = self.bits != FlippedBits::Scales;
        let is_scale = self.bits != FlippedBits::Codes;
        let flipped = self.flip(name, "codes", is_code, of_codes)
            + self.flip(name, "scales", is_scale, scales)
            + self.flip(name, "zero_points", is_scale, zero_points)
            + self.flip(name, "codebook", is_scale, codebook);
        *weights = packed.decoded(&codes.quantization, shape)?.into_iter().map(with_one_nan).collect();
        codes.read(&packed, weights.len());
        Ok(flipped)
    }

    /// Flips bits of a part, if it is one of those that can flip.
    fn flip(&self, tensor: &str, part: &str, can_flip: bool, bytes: &mut [u8]) -> u64 {
        if !can_flip {
            return 0;
        }
        let stream = Stream::new(self.seed, PURPOSE, &format!("{tensor}/{part}"));
        let below = (self.rate * 4_294_967_296.0) as u64;
        let mut draws = [0; 8];
        let mut flipped = 0;
        for (at, byte) in bytes.iter_mut().enumerate() {
            stream.fill(8 * at as u64, &mut draws);
            for (bit, draw) in draws.iter().enumerate() {
                if u64::from(*draw) < below {
                    *byte ^= 1 << bit;
                    flipped += 1;
                }
            }
        }
        flipped
    }
}

impl Codes {
    /// Replaces codes, scales, zero points and codebook by those of a packed tensor of `count` numbers.
    fn read(&mut self, packed: &PackedTensor, count: usize) {
        let format = &self.quantization.format;
        self.codes = match format.packing() {
            Packing::Bits(bits) => pack::unpack(&packed.codes, bits, count),
            Packing::FiveToAByte => pack::unpack_ternary(&packed.codes, count),
        };
        if let Some(store) = self.quantization.scale.store() {
            self.scales = packed.scales.chunks(store.bytes()).map(|bytes| store.decode(bytes)).collect();
        }
        match AdditionKind::of(&self.quantization) {
            AdditionKind::ZeroPoints(bits) => {
                self.zero_points = pack::unpack(&packed.zero_points, bits, self.zero_points.len());
            }
            AdditionKind::Codebook(_) => {
                let numbers = packed.codebook.as_chunks::<4>().0.iter();
                self.codebook = numbers.map(|four| f64::from(f32::from_le_bytes(*four))).collect();
            }
            AdditionKind::None | AdditionKind::Thresholds => {}
        }
    }
}

/// Returns a number, with one bit pattern for every NaN: processors make NaNs of different patterns.
fn with_one_nan(number: f32) -> f32 {
    if number.is_nan() { f32::from_bits(0x7fc0_0000) } else { number }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::format::{Float, Format, RandomBits, Range, Rounding};
    use crate::quantize::{Quantization, Quantizer, Tensor, Tensors};
    use crate::scale::{Per, RealFit, Scale, ScaleType};

    fn encoded(format: Format, scale: Option<Scale>) -> Encoded {
        let quantizer = Quantizer {
            quantization: Quantization::new(format, Rounding::Nearest, scale).unwrap(),
            layers: BTreeMap::new(),
            seed: 0,
            random_bits: RandomBits::default(),
            tensors: Tensors::Weights,
        };
        let data: Vec<f32> = (0..400).map(|at| (at * 7919 % 401) as f32 / 200.0 - 1.0).collect();
        let tensor = Tensor { name: "linear1.weight", shape: &[20, 20], data: &data };
        quantizer.encode(&[tensor]).unwrap().remove(0)
    }

    fn flips(rate: f64, bits: FlippedBits) -> Flips {
        Flips { rate, seed: 3, bits }
    }

    fn scaled(store: ScaleType) -> Scale {
        Scale::Real { per: Per::Channel, fit: RealFit::MaxAbs, store }
    }

    #[test]
    fn every_bit_flips_at_rate_1() {
        let before = encoded(Format::Int { bits: 4, range: Range::Symmetric }, Some(scaled(ScaleType::F32)));
        let mut after = before.clone();
        assert_eq!(flips(1.0, FlippedBits::Codes).apply(&mut after).unwrap(), 1600);
        let (old, new) = (before.codes.unwrap(), after.codes.as_ref().unwrap());
        assert_eq!(new.codes, old.codes.iter().map(|code| code ^ 15).collect::<Vec<_>>());
        assert_eq!(new.scales, old.scales);
        // The complement of a two's complement: −1 − x. The code of 7 becomes that of −8, which rounding never writes.
        let number = |code: u32| f64::from((code ^ 8) as i32 - 8);
        for (at, (weight, code)) in after.weights.iter().zip(&old.codes).enumerate() {
            let scale = f64::from(old.scales[at / 20]);
            assert_eq!(*weight, ((-1.0 - number(*code)) * scale) as f32 + 0.0);
        }
    }

    #[test]
    fn a_higher_rate_flips_the_bits_of_a_lower_one_and_more() {
        let before = encoded(Format::KMeans { bits: 4 }, None);
        let at = |rate: f64, bits| {
            let mut after = before.clone();
            let count = flips(rate, bits).apply(&mut after).unwrap();
            (count, after.codes.unwrap())
        };
        let changed = |codes: &Codes| -> Vec<u32> {
            codes
                .codes
                .iter()
                .zip(&before.codes.as_ref().unwrap().codes)
                .map(|(new, old)| new ^ old)
                .collect()
        };
        let (few, low) = at(0.01, FlippedBits::Codes);
        let (many, high) = at(0.1, FlippedBits::Codes);
        // 1600 bits: 16 and 160 are expected, with standard deviations of 4 and 12.
        assert!((4..=28).contains(&few) && (124..=196).contains(&many), "{few} {many}");
        for (low, high) in changed(&low).into_iter().zip(changed(&high)) {
            assert_eq!(low & high, low);
        }
        let (of_scales, scales) = at(0.1, FlippedBits::Scales);
        assert_eq!(changed(&scales), vec![0; 400]);
        let (all, both) = at(0.1, FlippedBits::All);
        assert_eq!(all, many + of_scales);
        assert_eq!((both.codes, both.codebook.len()), (high.codes, 16));
        assert_eq!(both.codebook, scales.codebook);
    }

    #[test]
    fn what_rounding_never_writes_decodes() {
        // E4M3's all ones are NaN, and a scale of binary16 with all bits set is NaN too: one NaN, whatever the processor makes.
        let nan = f32::from_bits(0x7fc0_0000).to_bits();
        let mut after = encoded(Format::Float(Float::named("E4M3").unwrap()), None);
        after.codes.as_mut().unwrap().codes.fill(0);
        flips(1.0, FlippedBits::Codes).apply(&mut after).unwrap();
        assert!(after.weights.iter().all(|weight| weight.to_bits() == nan));
        let mut after = encoded(Format::Posit { n: 4, es: 0 }, None);
        after.codes.as_mut().unwrap().codes.fill(7);
        flips(1.0, FlippedBits::Codes).apply(&mut after).unwrap();
        assert!(after.weights.iter().all(|weight| weight.to_bits() == nan), "NaR");
        let mut after = encoded(Format::Values(vec![-1.0, 0.0, 0.5]), None);
        after.codes.as_mut().unwrap().codes.fill(0);
        flips(1.0, FlippedBits::Codes).apply(&mut after).unwrap();
        assert_eq!(after.weights[0], 0.0, "code 3 of three numbers");
        let mut after = encoded(Format::Int { bits: 3, range: Range::Full }, Some(scaled(ScaleType::F16)));
        after.codes.as_mut().unwrap().scales.fill(0.0);
        flips(1.0, FlippedBits::Scales).apply(&mut after).unwrap();
        assert!(after.weights.iter().all(|weight| weight.to_bits() == nan));
        let mut after = encoded(Format::Ternary, Some(scaled(ScaleType::F32)));
        after.codes.as_mut().unwrap().codes.fill(0);
        flips(1.0, FlippedBits::Codes).apply(&mut after).unwrap();
        // A byte above 242 has base-3 digits as any other: 255 = 0 + 1·3 + 1·9 + 0·27 + 3·81, and 3 mod 3 = 0.
        assert_eq!(after.codes.unwrap().codes[..5], [0, 1, 1, 0, 0]);
    }

    #[test]
    fn tensors_that_are_not_quantized_flip_with_all_bits_only() {
        let bias =
            || Encoded { name: "b".into(), shape: vec![3], weights: vec![1.0, -2.0, 0.5], codes: None };
        for (bits, flipped) in [(FlippedBits::All, 96), (FlippedBits::Codes, 0), (FlippedBits::Scales, 0)] {
            let mut tensor = bias();
            assert_eq!(flips(1.0, bits).apply(&mut tensor).unwrap(), flipped);
            let expected = |weight: f32| if flipped > 0 { f32::from_bits(!weight.to_bits()) } else { weight };
            assert_eq!(tensor.weights, bias().weights.into_iter().map(expected).collect::<Vec<_>>());
        }
    }
}
