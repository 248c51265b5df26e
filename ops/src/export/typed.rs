//! A quantized tensor in the number types of ONNX, as input of `DequantizeLinear`. Knows nothing of layers and files.

use crate::format::{Element, Float, Format, Range};
use crate::quantize::{Codes, Encoded};

/// The number types of ONNX, by their numbers in a file.
const UINT8: i64 = 2;
const INT8: i64 = 3;
const INT4: i64 = 22;
const FLOATS: [(i64, &str); 4] =
    [(17, "float8_e4m3fn"), (18, "float8_e4m3fnuz"), (19, "float8_e5m2"), (20, "float8_e5m2fnuz")];

/// The most bits of an integer that a byte holds.
const BYTE: u32 = 8;

/// A quantized tensor: a number is (element − zero point) · scale.
pub(super) struct TypedTensor {
    /// ONNX's number for the type of the elements and zero points.
    pub kind: i64,
    /// The elements; those of 4 bits two to a byte, the first in the low half.
    pub elements: Vec<u8>,
    /// The scale of each group, exactly that of the weights times the step of the format.
    pub scales: Vec<f32>,
    /// The zero point of each group; empty where it is 0.
    pub zero_points: Vec<u8>,
    /// Rows, and groups in a row.
    pub groups: [usize; 2],
    /// The numbers in a row, and in a group.
    pub row: usize,
    pub block: usize,
}

impl TypedTensor {
    /// Returns a tensor in a type of ONNX; `None` if it is not quantized, or if no type has its numbers.
    pub(super) fn of(tensor: &Encoded) -> Option<Self> {
        let codes = tensor.codes.as_ref()?;
        let (kind, step) = Self::kind(codes)?;
        let elements: Vec<u8> = match kind {
            INT4 => codes
                .codes
                .chunks(2)
                .map(|two| low(two[0]) | two.get(1).map_or(0, |code| low(*code) << 4))
                .collect(),
            INT8 => codes.codes.iter().map(|code| signed(*code, codes.bits) as u8).collect(),
            _ => codes.codes.iter().map(|code| *code as u8).collect(),
        };
        let groups = codes.groups.shape();
        let scale = |scale: f32| (f64::from(scale) * step) as f32;
        let scales: Vec<f32> = if codes.scales.is_empty() {
            vec![scale(1.0); groups.iter().product()]
        } else {
            codes.scales.iter().copied().map(scale).collect()
        };
        let own = codes.scales.iter().copied().chain(std::iter::repeat(1.0));
        if !scales.iter().zip(own).all(|(scale, own)| f64::from(*scale) == f64::from(own) * step) {
            return None;
        }
        Some(Self {
            kind,
            elements,
            scales,
            zero_points: codes.zero_points.iter().map(|point| *point as u8).collect(),
            groups,
            row: codes.codes.len() / groups[0].max(1),
            block: codes.groups.block(),
        })
    }

    /// Returns the type of a tensor's elements, and the step that its scales are multiplied by.
    fn kind(codes: &Codes) -> Option<(i64, f64)> {
        let of_integer = |bits: u32, step: f64| match bits {
            4 => Some((INT4, step)),
            0..=BYTE => Some((INT8, step)),
            _ => None,
        };
        match codes.quantization.format {
            Format::Int { range: Range::Asymmetric, bits } => (bits <= BYTE).then_some((UINT8, 1.0)),
            Format::Int { bits, .. } => of_integer(bits, 1.0),
            Format::Fixed { int, frac } => of_integer((1 + int + frac) as u32, 2_f64.powi(-frac)),
            Format::Mx { element: Element::Int { bits }, .. } => {
                of_integer(bits, 2_f64.powi(2 - bits as i32))
            }
            Format::Float(float) | Format::Mx { element: Element::Float(float), .. } => {
                // The numbers of the codes in use: formats differ in their infinities.
                let has_number = |named: &Float, code: u32| {
                    let [theirs, ours] = [named.value(code), float.value(code)];
                    theirs == ours || (theirs.is_nan() && ours.is_nan())
                };
                let has_numbers = |(_, name): &&(i64, &str)| {
                    Float::named(name).is_some_and(|named| {
                        codes.bits == BYTE && codes.codes.iter().all(|code| has_number(&named, *code))
                    })
                };
                FLOATS.iter().find(has_numbers).map(|(kind, _)| (*kind, 1.0))
            }
            _ => None,
        }
    }
}

fn low(code: u32) -> u8 {
    (code & 15) as u8
}

/// Returns a code in two's complement as a number.
fn signed(code: u32, bits: u32) -> i8 {
    let half = 1_i32 << (bits - 1);
    ((code as i32 ^ half) - half) as i8
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::format::{RandomBits, Rounding};
    use crate::quantize::{Quantization, Quantizer, Tensor, Tensors};
    use crate::scale::{Per, RealFit, Scale, ScaleType};

    /// Returns the numbers that `DequantizeLinear` makes.
    fn dequantized(typed: &TypedTensor, count: usize) -> Vec<f32> {
        let element = |at: usize| match typed.kind {
            INT4 => f32::from(signed(u32::from(typed.elements[at / 2] >> (4 * (at % 2)) & 15), 4)),
            INT8 => f32::from(typed.elements[at] as i8),
            UINT8 => f32::from(typed.elements[at]),
            kind => {
                let (_, name) = FLOATS.iter().find(|(of, _)| *of == kind).unwrap();
                Float::named(name).unwrap().value(u32::from(typed.elements[at])) as f32
            }
        };
        let number = |at: usize| {
            let group = at / typed.row * typed.groups[1] + at % typed.row / typed.block;
            let zero = typed.zero_points.get(group).map_or(0.0, |zero| f32::from(*zero));
            (element(at) - zero) * typed.scales[group] + 0.0
        };
        (0..count).map(number).collect()
    }

    #[test]
    fn dequantized_numbers_are_the_weights() {
        let real = |per, store| Some(Scale::Real { per, fit: RealFit::MaxAbs, store });
        let int = |bits, range| Format::Int { bits, range };
        let float = |name| Format::Float(Float::named(name).unwrap());
        for (format, scale, kind) in [
            (int(4, Range::Symmetric), real(Per::Channel, ScaleType::F32), INT4),
            (int(4, Range::Full), real(Per::Block(6), ScaleType::F16), INT4),
            (int(2, Range::Symmetric), real(Per::Tensor, ScaleType::Bf16), INT8),
            (int(7, Range::Asymmetric), real(Per::Block(4), ScaleType::F32), UINT8),
            (Format::Fixed { int: -2, frac: 9 }, None, INT8),
            (Format::Mx { element: Element::Int { bits: 4 }, block: 8 }, None, INT4),
            (float("E4M3"), real(Per::Channel, ScaleType::F32), 17),
            (float("float8_e5m2fnuz"), None, 20),
        ] {
            // Rows of an odd count of numbers, and a row of its own.
            for shape in [&[3, 5, 3][..], &[15]] {
                let data: Vec<f32> = (0..shape.iter().product())
                    .map(|at: usize| (at * 7919 % 401) as f32 / 200.0 - 1.0)
                    .collect();
                let quantizer = Quantizer {
                    quantization: Quantization::new(format.clone(), Rounding::Nearest, scale).unwrap(),
                    layers: BTreeMap::new(),
                    seed: 0,
                    random_bits: RandomBits::default(),
                    tensors: Tensors::All,
                };
                let tensor =
                    quantizer.encode(&[Tensor { name: "a.weight", shape, data: &data }]).unwrap().remove(0);
                let typed = TypedTensor::of(&tensor).unwrap();
                assert_eq!(typed.kind, kind, "{format:?}");
                let bits =
                    |numbers: &[f32]| numbers.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
                assert_eq!(
                    bits(&dequantized(&typed, data.len())),
                    bits(&tensor.weights),
                    "{format:?} {shape:?}"
                );
            }
        }
    }
}
