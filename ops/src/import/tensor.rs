//! The numbers of a tensor of an ONNX file: in its bytes, in its fields, or in a file beside it.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use rten_onnx::onnx::{DataLocation, DataType, TensorProto};

use crate::import::constant::{Constant, Numbers, count, rank};
use crate::import::onnx_file::LIMIT;

/// Returns the numbers of a tensor.
pub(super) fn tensor(path: &Path, proto: &TensorProto) -> Result<Constant, String> {
    let side = |side: &i64| usize::try_from(*side).map_err(|_| format!("a side of {side}"));
    let shape: Vec<usize> = proto.dims.iter().map(side).collect::<Result<_, _>>()?;
    rank(shape.len())?;
    let count = count(&shape)?;
    let name = proto.name.clone().unwrap_or_default();
    let kind = proto.data_type.unwrap_or(DataType(0));
    let raw = if is_beside(proto) {
        let width = width(kind).ok_or_else(|| unread(kind))?;
        Some(beside(path, proto, count.saturating_mul(width))?)
    } else {
        proto.raw_data.as_ref().map(|raw| raw.borrow().clone())
    };
    let numbers = match raw {
        Some(raw) => of_bytes(kind, &raw)?,
        None => of_fields(kind, proto)?,
    };
    Constant::new(&name, shape, numbers)
}

/// Returns whether the numbers lie in another file.
pub(super) fn is_beside(proto: &TensorProto) -> bool {
    proto.data_location == Some(DataLocation::EXTERNAL)
}

/// Returns the bytes of a number of a type; `None` for a type that is not read.
fn width(kind: DataType) -> Option<usize> {
    Some(match kind {
        DataType::DOUBLE | DataType::INT64 => 8,
        DataType::FLOAT | DataType::INT32 => 4,
        DataType::FLOAT16 | DataType::BFLOAT16 => 2,
        DataType::INT8 | DataType::UINT8 | DataType::BOOL => 1,
        _ => return None,
    })
}

fn unread(kind: DataType) -> String {
    let name = kind.name().unwrap_or("unknown");
    // Networks that are not quantized have no numbers of these types.
    let hint = if name.starts_with("FLOAT8") || name.ends_with("INT4") {
        "; the file is quantized already: export the network with its float weights"
    } else {
        ""
    };
    format!("numbers of type {name} are not read{hint}")
}

fn of_bytes(kind: DataType, raw: &[u8]) -> Result<Numbers, String> {
    let width = width(kind).ok_or_else(|| unread(kind))?;
    if !raw.len().is_multiple_of(width) {
        return Err(format!("{} bytes for numbers of {width}", raw.len()));
    }
    let half = |bytes: &[u8; 2]| half_number(u16::from_le_bytes(*bytes));
    let brain = |bytes: &[u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(*bytes)) << 16);
    Ok(match kind {
        DataType::FLOAT => {
            Numbers::Float(raw.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
        }
        DataType::DOUBLE => {
            Numbers::Float(raw.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32).collect())
        }
        DataType::FLOAT16 => Numbers::Float(raw.as_chunks().0.iter().map(half).collect()),
        DataType::BFLOAT16 => Numbers::Float(raw.as_chunks().0.iter().map(brain).collect()),
        DataType::INT64 => {
            Numbers::Int(raw.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect())
        }
        DataType::INT32 => {
            Numbers::Int(raw.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes).into()).collect())
        }
        DataType::INT8 => Numbers::Int(raw.iter().map(|byte| i64::from(*byte as i8)).collect()),
        _ => Numbers::Int(raw.iter().map(|byte| i64::from(*byte)).collect()),
    })
}

fn of_fields(kind: DataType, proto: &TensorProto) -> Result<Numbers, String> {
    let ints = |numbers: &[i32]| numbers.iter().map(|number| i64::from(*number)).collect();
    Ok(match kind {
        DataType::FLOAT => Numbers::Float(proto.float_data.clone()),
        DataType::DOUBLE => Numbers::Float(proto.double_data.iter().map(|number| *number as f32).collect()),
        DataType::FLOAT16 => {
            Numbers::Float(proto.int32_data.iter().map(|bits| half_number(*bits as u16)).collect())
        }
        DataType::INT64 => Numbers::Int(proto.int64_data.clone()),
        DataType::INT32 | DataType::INT8 | DataType::UINT8 | DataType::BOOL => {
            Numbers::Int(ints(&proto.int32_data))
        }
        _ => return Err(unread(kind)),
    })
}

/// Returns the number of a binary16 pattern.
fn half_number(bits: u16) -> f32 {
    let (exponent, fraction) = (bits >> 10 & 0x1f, f32::from(bits & 0x3ff));
    let size = match exponent {
        0 => fraction * 2_f32.powi(-24),
        0x1f if fraction == 0.0 => f32::INFINITY,
        0x1f => f32::NAN,
        exponent => (1.0 + fraction / 1024.0) * 2_f32.powi(i32::from(exponent) - 15),
    };
    if bits & 0x8000 == 0 { size } else { -size }
}

/// Returns the name of the file that has a tensor's bytes, and their offset and length.
pub(super) fn location(tensor: &TensorProto) -> Result<(String, u64, Option<u64>), String> {
    let entry = |key: &str| {
        let found = tensor.external_data.iter().find(|entry| entry.key.as_deref() == Some(key));
        found.and_then(|entry| entry.value.clone())
    };
    let number = |key: &str| {
        let text = entry(key);
        text.map(|text| text.parse().map_err(|_| format!("its {key} {text:?} is no number"))).transpose()
    };
    let name = entry("location").ok_or("it lies in a file without a name")?;
    let is_plain = !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\', '\0']);
    if !is_plain {
        return Err(format!("it lies in {name:?}; only a file beside the ONNX file is read"));
    }
    Ok((name, number("offset")?.unwrap_or(0), number("length")?))
}

/// Returns the bytes of a tensor that lies in another file.
fn beside(path: &Path, tensor: &TensorProto, needed: usize) -> Result<Vec<u8>, String> {
    let (name, offset, length) = location(tensor)?;
    if needed as u64 > LIMIT {
        return Err(format!("it takes {needed} bytes; at most {LIMIT} are read"));
    }
    if length.is_some_and(|length| length != needed as u64) {
        return Err(format!("it takes {needed} bytes, but {} are given in {name}", length.unwrap_or(0)));
    }
    let path = path.with_file_name(&name);
    let told = |error: std::io::Error| format!("{}: {error}", path.display());
    let about = fs::symlink_metadata(&path).map_err(told)?;
    if !about.is_file() {
        return Err(format!("{} is no plain file", path.display()));
    }
    if offset.checked_add(needed as u64).is_none_or(|end| end > about.len()) {
        return Err(format!(
            "{} has {} bytes, too few for {needed} from {offset} on",
            path.display(),
            about.len()
        ));
    }
    let mut bytes = vec![0; needed];
    let mut file = File::open(&path).map_err(told)?;
    file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut bytes)).map_err(told)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected numbers are `NumPy`'s.
    #[test]
    fn half_precision_is_read_as_it_stands() {
        let expected = [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x0001, 5.960_464_5e-8),
            (0x7bff, 65504.0),
            (0x0400, 6.103_515_6e-5),
        ];
        for (bits, number) in expected {
            assert_eq!(half_number(bits), number);
        }
        assert_eq!(half_number(0xfc00), f32::NEG_INFINITY);
        assert!(half_number(0x7e00).is_nan());
    }
}
