//! Arrays of `NumPy` archives. Knows nothing of networks.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use npyz::{DType, NpyFile, Order, TypeChar};
use zip::ZipArchive;

use crate::import::error::ImportError;

/// The most bytes of one array.
const LIMIT: u64 = 1 << 30;

/// The most bytes of an array's header.
const HEADER: u64 = 1 << 12;

/// An array, the last dimension fastest.
#[derive(Debug)]
pub struct NumpyArray {
    /// The sides.
    pub shape: Vec<usize>,
    /// The numbers, rounded to binary32.
    pub numbers: Vec<f32>,
}

/// Reads some arrays of an archive as binary32. Errors if one is missing, is too large, or holds
/// none of float32, float64, int8, uint8, int32 and int64.
pub(crate) fn read<const N: usize>(path: &Path, names: [&str; N]) -> Result<[NumpyArray; N], ImportError> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|source| ImportError::Read { file: name.clone(), source })?;
    arrays(file, names).map_err(|what| ImportError::format(&name, what))
}

/// Reads some arrays of an archive as binary32. Errors with what is wrong.
pub fn arrays<const N: usize>(file: impl Read + Seek, names: [&str; N]) -> Result<[NumpyArray; N], String> {
    let mut archive =
        ZipArchive::new(file).map_err(|error| format!("no archive of NumPy arrays: {error}"))?;
    let mut found = vec![];
    for name in names {
        let entry =
            archive.by_name(&format!("{name}.npy")).map_err(|error| format!("array {name:?}: {error}"))?;
        if entry.size() > LIMIT {
            return Err(format!("array {name:?}: {} bytes; at most {LIMIT} are read", entry.size()));
        }
        let array = array(&mut entry.take(LIMIT)).map_err(|what| format!("array {name:?}: {what}"))?;
        found.push(array);
    }
    found.try_into().map_err(|_| "an array is missing".to_owned())
}

/// Reads an array in `NumPy`'s format.
pub(crate) fn array(from: &mut impl Read) -> Result<NumpyArray, String> {
    let mut bytes = vec![];
    from.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    let shape = checked_shape(&bytes)?;
    let file = NpyFile::new(&bytes[..]).map_err(|error| error.to_string())?;
    if file.order() == Order::Fortran && shape.len() > 1 {
        return Err("its columns lie together; save it with numpy.ascontiguousarray".to_owned());
    }
    let DType::Plain(kind) = file.dtype() else { return Err("it is an array of records".to_owned()) };
    let told = |error: std::io::Error| error.to_string();
    let numbers: Vec<f32> = match (kind.type_char(), kind.size_field()) {
        (TypeChar::Float, 4) => file.into_vec::<f32>().map_err(told)?,
        (TypeChar::Float, 8) => {
            file.into_vec::<f64>().map_err(told)?.iter().map(|number| *number as f32).collect()
        }
        (TypeChar::Uint, 1) => {
            file.into_vec::<u8>().map_err(told)?.iter().map(|number| f32::from(*number)).collect()
        }
        (TypeChar::Int, 1) => {
            file.into_vec::<i8>().map_err(told)?.iter().map(|number| f32::from(*number)).collect()
        }
        (TypeChar::Int, 4) => {
            file.into_vec::<i32>().map_err(told)?.iter().map(|number| *number as f32).collect()
        }
        (TypeChar::Int, 8) => {
            file.into_vec::<i64>().map_err(told)?.iter().map(|number| *number as f32).collect()
        }
        _ => return Err(format!("numbers of type {kind} are not read; save it as float32")),
    };
    Ok(NumpyArray { shape, numbers })
}

/// Returns the shape in a header, after a check that the bytes behind the header can hold it: the parser multiplies the
/// sides unchecked.
fn checked_shape(bytes: &[u8]) -> Result<Vec<usize>, String> {
    const NONE: &str = "no NumPy array";
    let (version, sized) = (bytes.get(6).ok_or(NONE)?, bytes.get(8..).ok_or(NONE)?);
    let (length, start) = match version {
        1 => (u64::from(u16::from_le_bytes(*sized.first_chunk().ok_or(NONE)?)), 10),
        _ => (u64::from(u32::from_le_bytes(*sized.first_chunk().ok_or(NONE)?)), 12),
    };
    if length > HEADER {
        return Err(format!("a header of {length} bytes"));
    }
    let header = bytes.get(start..start + length as usize).ok_or(NONE)?;
    let header = std::str::from_utf8(header).map_err(|_| NONE)?;
    // The parser takes the last of several shapes.
    if header.matches("shape").count() != 1 {
        return Err(NONE.to_owned());
    }
    let (_, sides) = header.split_once("'shape'").and_then(|(_, rest)| rest.split_once('(')).ok_or(NONE)?;
    let (sides, _) = sides.split_once(')').ok_or(NONE)?;
    let sides = sides.split(',').map(str::trim).filter(|side| !side.is_empty());
    let shape: Vec<usize> = sides.map(|side| side.parse().map_err(|_| NONE)).collect::<Result<_, _>>()?;
    let count = shape.iter().try_fold(1_usize, |all, side| all.checked_mul(*side));
    count.filter(|count| *count <= bytes.len()).ok_or("its shape does not fit its bytes")?;
    Ok(shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn npy(descr: &str, order: &str, shape: &str, numbers: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': ({shape}), }}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(numbers);
        bytes
    }

    #[test]
    fn arrays_are_read_or_told() {
        let found = array(&mut &npy("<f4", "False", "2, 1", &[0, 0, 128, 63, 0, 0, 0, 192])[..]).unwrap();
        assert_eq!((found.shape, found.numbers), (vec![2, 1], vec![1.0, -2.0]));
        let found = array(&mut &npy("|u1", "False", "3,", &[0, 128, 255])[..]).unwrap();
        assert_eq!(found.numbers, [0.0, 128.0, 255.0]);
        for bad in [
            npy("<f4", "True", "2, 2", &[0; 16]),
            npy("<f4", "False", "2, 2", &[0; 15]),
            npy("<c8", "False", "1,", &[0; 8]),
            npy("<f4", "False", "18446744073709551615, 18446744073709551615", &[]),
            npy("<f4", "False", "-1,", &[]),
            npy("O", "False", "1,", &[0; 8]),
            b"\x93NUMPY\x01\x00\xff\xff".to_vec(),
            b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec(),
            b"PK".to_vec(),
        ] {
            assert!(array(&mut &bad[..]).is_err());
        }
    }
}
