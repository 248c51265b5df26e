//! Arrays of `NumPy` archives (`.npz`). Knows nothing of networks or datasets.

use std::fmt::Display;
use std::io::{BufReader, Read, Seek};

use npyz::{DType, Deserialize, NpyFile, Order, TypeChar};
use zip::ZipArchive;

/// The most bytes of an array's header.
const HEADER: u64 = 1 << 12;

/// The maximum expansion of deflate: 258 bytes from 2 bits, without any overhead.
const EXPANSION: u64 = 1032;

/// An array, the last dimension fastest.
#[derive(Debug, PartialEq)]
pub struct NumpyArray {
    /// The sides.
    pub shape: Vec<usize>,
    /// The elements.
    pub elements: Elements,
}

/// The elements of an array.
#[derive(Debug, PartialEq)]
pub enum Elements {
    /// uint8 and bool.
    Bytes(Vec<u8>),
    /// int8 to int64, uint16 and uint32.
    Whole(Vec<i64>),
    /// float32, and float64 rounded to it.
    Real(Vec<f32>),
    /// Text.
    Words(Vec<String>),
}

impl NumpyArray {
    /// Returns the numbers, rounded to binary32; `None` if they are texts.
    #[must_use]
    pub fn into_numbers(self) -> Option<Vec<f32>> {
        match self.elements {
            Elements::Bytes(bytes) => Some(bytes.into_iter().map(f32::from).collect()),
            Elements::Whole(numbers) => Some(numbers.into_iter().map(|number| number as f32).collect()),
            Elements::Real(numbers) => Some(numbers),
            Elements::Words(_) => None,
        }
    }
}

/// An archive of arrays.
pub struct NumpyArchive<R> {
    archive: ZipArchive<R>,
    /// The most bytes of one array.
    limit: u64,
}

impl<R: Read + Seek> NumpyArchive<R> {
    /// Opens an archive, of which arrays of at most `limit` bytes are read. Errors with what is wrong.
    pub fn new(file: R, limit: u64) -> Result<Self, String> {
        let archive =
            ZipArchive::new(file).map_err(|error| format!("no archive of NumPy arrays: {error}"))?;
        Ok(Self { archive, limit })
    }

    /// Returns whether there is an array of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.archive.index_for_name(&format!("{name}.npy")).is_some()
    }

    /// Reads an array. Errors with what is wrong: it is missing, too large, or its elements are of a type that is not read.
    pub fn array(&mut self, name: &str) -> Result<NumpyArray, String> {
        let told = |what: String| format!("array {name:?}: {what}");
        if !self.has(name) {
            let names = self.archive.file_names().take(10).filter_map(Result::ok);
            let names: Vec<_> = names.map(|name| name.trim_end_matches(".npy").to_owned()).collect();
            return Err(told(format!("it is not there; the archive has {}", names.join(", "))));
        }
        let entry = self.archive.by_name(&format!("{name}.npy")).map_err(|error| told(error.to_string()))?;
        let size = entry.size();
        if size > self.limit {
            return Err(told(format!("{size} bytes; at most {} are read", self.limit)));
        }
        if size > entry.compressed_size().saturating_mul(EXPANSION) {
            return Err(told(format!("{size} bytes are promised; the file cannot hold them")));
        }
        array(&mut BufReader::new(entry.take(size)), size).map_err(told)
    }
}

/// Reads an array of so many bytes in `NumPy`'s format.
pub(crate) fn array(from: &mut impl Read, size: u64) -> Result<NumpyArray, String> {
    let header = header(from)?;
    let shape = checked_shape(&header, size)?;
    let file = NpyFile::new((&header[..]).chain(&mut *from)).map_err(words)?;
    if file.order() == Order::Fortran && shape.len() > 1 {
        return Err("its columns lie together; save it with numpy.ascontiguousarray".to_owned());
    }
    let DType::Plain(kind) = file.dtype() else { return Err("it is an array of records".to_owned()) };
    let count: usize = shape.iter().product();
    let elements = match (kind.type_char(), kind.size_field()) {
        (TypeChar::Float, 4) => Elements::Real(file.into_vec::<f32>().map_err(words)?),
        (TypeChar::Float, 8) => Elements::Real(collect::<f64, _>(file, |number| number as f32)?),
        (TypeChar::Uint | TypeChar::Bool, 1) => Elements::Bytes(rest(from, count)?),
        (TypeChar::Int, 1) => Elements::Whole(collect::<i8, _>(file, i64::from)?),
        (TypeChar::Int, 2) => Elements::Whole(collect::<i16, _>(file, i64::from)?),
        (TypeChar::Int, 4) => Elements::Whole(collect::<i32, _>(file, i64::from)?),
        (TypeChar::Int, 8) => Elements::Whole(file.into_vec::<i64>().map_err(words)?),
        (TypeChar::Uint, 2) => Elements::Whole(collect::<u16, _>(file, i64::from)?),
        (TypeChar::Uint, 4) => Elements::Whole(collect::<u32, _>(file, i64::from)?),
        (TypeChar::UnicodeStr, points) => {
            let little = kind.to_string().starts_with('<');
            Elements::Words(texts(
                &rest(from, count.saturating_mul(4 * points as usize))?,
                points as usize,
                little,
            )?)
        }
        _ => return Err(format!("elements of type {kind} are not read; save it as float32 or uint8")),
    };
    Ok(NumpyArray { shape, elements })
}

fn words(error: impl Display) -> String {
    error.to_string()
}

/// Reads all elements, each converted.
fn collect<T: Deserialize, U>(file: NpyFile<impl Read>, convert: impl Fn(T) -> U) -> Result<Vec<U>, String> {
    file.data::<T>().map_err(words)?.map(|element| element.map(&convert).map_err(words)).collect()
}

/// Reads so many bytes.
fn rest(from: &mut impl Read, count: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    from.take(count as u64).read_to_end(&mut bytes).map_err(words)?;
    if bytes.len() == count { Ok(bytes) } else { Err("its shape does not fit its bytes".to_owned()) }
}

/// Returns texts of at most `points` code points of four bytes each, padded with zeros.
fn texts(bytes: &[u8], points: usize, little: bool) -> Result<Vec<String>, String> {
    if points == 0 {
        return Err("it holds no text".to_owned());
    }
    let text = |bytes: &[u8]| -> Result<String, String> {
        let mut text = String::new();
        for point in bytes.as_chunks().0 {
            let point = if little { u32::from_le_bytes(*point) } else { u32::from_be_bytes(*point) };
            text.push(char::from_u32(point).ok_or("it holds no text")?);
        }
        text.truncate(text.trim_end_matches('\0').len());
        Ok(text)
    };
    bytes.chunks_exact(4 * points).map(text).collect()
}

/// Reads the bytes in front of the elements.
fn header(from: &mut impl Read) -> Result<Vec<u8>, String> {
    let mut header = vec![0; 10];
    from.read_exact(&mut header).map_err(|_| NO_ARRAY)?;
    if header[6] != 1 {
        let mut more = [0; 2];
        from.read_exact(&mut more).map_err(|_| NO_ARRAY)?;
        header.extend(more);
    }
    let length = match header[8..] {
        [a, b] => u64::from(u16::from_le_bytes([a, b])),
        [a, b, c, d] => u64::from(u32::from_le_bytes([a, b, c, d])),
        _ => 0,
    };
    if length > HEADER {
        return Err(format!("a header of {length} bytes"));
    }
    let start = header.len();
    header.resize(start + length as usize, 0);
    from.read_exact(&mut header[start..]).map_err(|_| NO_ARRAY)?;
    Ok(header)
}

const NO_ARRAY: &str = "no NumPy array";

/// Returns the shape in a header, after a check that an array of so many bytes can hold it: the parser multiplies the sides
/// unchecked.
fn checked_shape(header: &[u8], size: u64) -> Result<Vec<usize>, String> {
    let start = if header.get(6) == Some(&1) { 10 } else { 12 };
    let header = header.get(start..).ok_or(NO_ARRAY)?;
    let header = std::str::from_utf8(header).map_err(|_| NO_ARRAY)?;
    // The parser takes the last of several shapes.
    if header.matches("shape").count() != 1 {
        return Err(NO_ARRAY.to_owned());
    }
    let (_, sides) =
        header.split_once("'shape'").and_then(|(_, rest)| rest.split_once('(')).ok_or(NO_ARRAY)?;
    let (sides, _) = sides.split_once(')').ok_or(NO_ARRAY)?;
    let sides = sides.split(',').map(str::trim).filter(|side| !side.is_empty());
    let shape: Vec<usize> = sides.map(|side| side.parse().map_err(|_| NO_ARRAY)).collect::<Result<_, _>>()?;
    let count = shape.iter().try_fold(1_usize, |all, side| all.checked_mul(*side));
    count.filter(|count| *count as u64 <= size).ok_or("its shape does not fit its bytes")?;
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
        let read = |bytes: &[u8]| array(&mut &*bytes, bytes.len() as u64);
        let found = read(&npy("<f4", "False", "2, 1", &[0, 0, 128, 63, 0, 0, 0, 192])).unwrap();
        assert_eq!(found, NumpyArray { shape: vec![2, 1], elements: Elements::Real(vec![1.0, -2.0]) });
        let found = read(&npy("|u1", "False", "3,", &[0, 128, 255])).unwrap();
        assert_eq!(found.elements, Elements::Bytes(vec![0, 128, 255]));
        assert_eq!(found.into_numbers(), Some(vec![0.0, 128.0, 255.0]));
        let found = read(&npy("<i2", "False", "1,", &[254, 255])).unwrap();
        assert_eq!(found.elements, Elements::Whole(vec![-2]));
        let text = [b'c', 0, 0, 0, b'a', 0, 0, 0, 0xe9, 0, 0, 0, 0, 0, 0, 0];
        let found = read(&npy("<U2", "False", "2,", &text)).unwrap();
        assert_eq!(found.elements, Elements::Words(vec!["ca".to_owned(), "é".to_owned()]));
        for bad in [
            npy("<f4", "True", "2, 2", &[0; 16]),
            npy("<f4", "False", "2, 2", &[0; 15]),
            npy("<c8", "False", "1,", &[0; 8]),
            npy("|u1", "False", "4,", &[0; 3]),
            npy("<U2", "False", "1,", &[0; 4]),
            npy("<U1", "False", "1,", &[0, 0, 17, 0]),
            npy("<f4", "False", "18446744073709551615, 18446744073709551615", &[]),
            npy("<f4", "False", "-1,", &[]),
            npy("O", "False", "1,", &[0; 8]),
            b"\x93NUMPY\x01\x00\xff\xff".to_vec(),
            b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec(),
            b"PK".to_vec(),
        ] {
            assert!(read(&bad).is_err());
        }
    }
}
