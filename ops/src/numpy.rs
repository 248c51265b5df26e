//! Arrays of `NumPy` archives (`.npz`). Knows nothing of networks or datasets.
//!
//! The headers are parsed by a library, the elements here: as numbers or as texts, while they are read, so that no array
//! takes more memory than it has to.

use std::fmt::Display;
use std::io::{BufReader, Read, Seek};

use npyz::{DType, NpyHeader, Order, TypeChar};
use zip::ZipArchive;

use crate::limits::DEFLATE_EXPANSION;

/// The most bytes of an array's header.
const HEADER: u64 = 1 << 12;

/// The most code points of a text.
const TEXT: usize = 1 << 10;

/// The elements of an array, the last dimension fastest.
#[derive(Debug, PartialEq)]
pub enum Numbers {
    /// uint8.
    Bytes(Vec<u8>),
    /// All other numbers, rounded to binary32; false is 0 and true 1.
    Floats(Vec<f32>),
}

impl Numbers {
    /// Returns all of them as binary32.
    #[must_use]
    pub fn into_floats(self) -> Vec<f32> {
        match self {
            Self::Bytes(bytes) => bytes.into_iter().map(f32::from).collect(),
            Self::Floats(floats) => floats,
        }
    }
}

/// An archive of arrays.
pub struct NumpyArchive<R> {
    archive: ZipArchive<R>,
    /// The most bytes of one array, in the file and in memory.
    limit: u64,
}

impl<R: Read + Seek> NumpyArchive<R> {
    /// Opens an archive, of which arrays of at most `limit` bytes are read. The error is a sentence.
    pub fn new(file: R, limit: u64) -> Result<Self, String> {
        let archive = ZipArchive::new(file)
            .map_err(|error| format!("no archive of NumPy arrays, as numpy.savez writes it: {error}"))?;
        Ok(Self { archive, limit })
    }

    /// Returns the bytes that arrays of these names promise to have, decompressed.
    pub fn bytes(&mut self, names: &[&str]) -> u64 {
        let size = |name: &&str| self.archive.by_name(&format!("{name}.npy")).map_or(0, |entry| entry.size());
        names.iter().map(size).fold(0, u64::saturating_add)
    }

    /// Returns whether there is an array of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.archive.index_for_name(&format!("{name}.npy")).is_some()
    }

    /// Reads the shape and the numbers of an array. The error is a sentence: the array is missing, too large, or its
    /// elements are no numbers.
    pub fn numbers(&mut self, name: &str) -> Result<(Vec<usize>, Numbers), String> {
        let limit = self.limit;
        self.read(name, |reader, size| numbers(reader, size, limit))
    }

    /// Reads the elements of an array with one element for each of `count` images as texts: whole numbers and words. The
    /// error is a sentence, also that of `each`.
    pub fn texts(
        &mut self,
        name: &str,
        count: usize,
        mut each: impl FnMut(&str) -> Result<(), String>,
    ) -> Result<(), String> {
        self.read(name, |reader, size| texts(reader, size, count, &mut each))
    }

    fn read<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut dyn Read, u64) -> Result<T, String>,
    ) -> Result<T, String> {
        let sentence = |what: String| format!("array {name:?}: {what}");
        if !self.has(name) {
            let names = self.archive.file_names().take(10).filter_map(Result::ok);
            let names: Vec<_> = names.map(|name| name.trim_end_matches(".npy").to_owned()).collect();
            return Err(sentence(format!("it is not there; the archive has {}", names.join(", "))));
        }
        let entry =
            self.archive.by_name(&format!("{name}.npy")).map_err(|error| sentence(error.to_string()))?;
        let size = entry.size();
        if size > self.limit {
            return Err(sentence(format!("{size} bytes; at most {} are read", self.limit)));
        }
        if size > entry.compressed_size().saturating_mul(DEFLATE_EXPANSION) {
            return Err(sentence(format!("{size} bytes are promised; the file cannot hold them")));
        }
        read(&mut BufReader::new(entry.take(size)), size).map_err(sentence)
    }
}

/// The shape and the type of an array's elements.
struct Header {
    shape: Vec<usize>,
    kind: TypeChar,
    /// The bytes of an element.
    size: usize,
    is_little_endian: bool,
    /// The type as `NumPy` writes it.
    text: String,
}

impl Header {
    /// Reads the bytes in front of the elements of an array of `size` bytes.
    fn read(from: &mut dyn Read, size: u64) -> Result<Self, String> {
        let bytes = header(from)?;
        check_shape(&bytes, size)?;
        let header = NpyHeader::from_reader(&bytes[..]).map_err(|_| NO_ARRAY)?;
        let shape: Option<Vec<usize>> =
            header.shape().iter().map(|side| usize::try_from(*side).ok()).collect();
        let shape = shape.ok_or(NO_ARRAY)?;
        if header.order() == Order::Fortran && shape.len() > 1 {
            return Err("its columns lie together; save it with numpy.ascontiguousarray".to_owned());
        }
        let DType::Plain(kind) = header.dtype() else { return Err(RECORDS.to_owned()) };
        let text = kind.to_string();
        let size = kind.num_bytes().ok_or_else(|| unread(&text))?;
        let is_little_endian = !text.starts_with('>');
        Ok(Self { shape, kind: kind.type_char(), size, is_little_endian, text })
    }

    /// Returns the number of elements, of which `size` bytes can hold each.
    fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// Returns an element as a number; `None` if its type is not read.
    fn number(&self, bytes: &[u8]) -> Option<f32> {
        match (self.kind, self.size) {
            (TypeChar::Float, 4 | 8) => Some(self.float(bytes) as f32),
            (TypeChar::Bool, 1) => Some(f32::from(u8::from(bytes[0] != 0))),
            (TypeChar::Int, _) => Some(self.signed(bytes) as f32),
            (TypeChar::Uint, _) => Some(self.unsigned(bytes) as f32),
            _ => None,
        }
    }

    /// Returns an element as a label; an error if its type is not read, or if it is no whole number.
    fn label(&self, bytes: &[u8]) -> Result<String, String> {
        match (self.kind, self.size) {
            (TypeChar::Float, 4 | 8) => {
                // Adding 0 turns −0 into 0.
                let number = self.float(bytes) + 0.0;
                if number.fract() == 0.0 {
                    Ok(number.to_string())
                } else {
                    Err(format!("label {number}; classes are whole numbers or texts"))
                }
            }
            (TypeChar::Bool | TypeChar::Uint, _) => Ok(self.unsigned(bytes).to_string()),
            (TypeChar::Int, _) => Ok(self.signed(bytes).to_string()),
            (TypeChar::UnicodeStr, _) if self.size <= 4 * TEXT => self.text(bytes),
            _ => Err(unread(&self.text)),
        }
    }

    fn float(&self, bytes: &[u8]) -> f64 {
        let bits = self.unsigned(bytes);
        if self.size == 4 { f64::from(f32::from_bits(bits as u32)) } else { f64::from_bits(bits) }
    }

    fn signed(&self, bytes: &[u8]) -> i64 {
        let unused = 64 - 8 * bytes.len().clamp(1, 8) as u32;
        (self.unsigned(bytes) << unused).cast_signed() >> unused
    }

    /// Returns the bits of an element of at most eight bytes.
    fn unsigned(&self, bytes: &[u8]) -> u64 {
        let join = |bits: u64, byte: &u8| bits << 8 | u64::from(*byte);
        if self.is_little_endian { bytes.iter().rev().fold(0, join) } else { bytes.iter().fold(0, join) }
    }

    /// Returns a text of code points of four bytes each, padded with zeros.
    fn text(&self, bytes: &[u8]) -> Result<String, String> {
        let mut text = String::new();
        for point in bytes.chunks_exact(4) {
            let point = u32::try_from(self.unsigned(point)).ok().and_then(char::from_u32);
            text.push(point.ok_or("it holds no text")?);
        }
        text.truncate(text.trim_end_matches('\0').len());
        Ok(text)
    }
}

/// Reads the shape and the numbers of an array of `size` bytes that take at most `limit` bytes of memory.
fn numbers(from: &mut dyn Read, size: u64, limit: u64) -> Result<(Vec<usize>, Numbers), String> {
    let header = Header::read(from, size)?;
    let count = header.count();
    if (header.kind, header.size) == (TypeChar::Uint, 1) {
        let mut bytes = Vec::new();
        from.take(count as u64).read_to_end(&mut bytes).map_err(words)?;
        return if bytes.len() == count {
            Ok((header.shape, Numbers::Bytes(bytes)))
        } else {
            Err(SHORT.into())
        };
    }
    if count as u64 > limit / size_of::<f32>() as u64 {
        return Err(format!("{count} numbers; at most {} are read", limit / size_of::<f32>() as u64));
    }
    let mut floats = vec![];
    elements(from, &header, |bytes| {
        floats.push(header.number(bytes).ok_or_else(|| unread(&header.text))?);
        Ok(())
    })?;
    Ok((header.shape, Numbers::Floats(floats)))
}

/// Reads the elements of an array of `size` bytes as texts.
fn texts(
    from: &mut dyn Read,
    size: u64,
    count: usize,
    each: &mut dyn FnMut(&str) -> Result<(), String>,
) -> Result<(), String> {
    let header = Header::read(from, size)?;
    match header.shape[..] {
        [found] | [found, 1] if found == count => {}
        [_, width] if width > 1 => {
            return Err(format!("{width} numbers per image; give one label per image, such as y.argmax(1)"));
        }
        _ => return Err(format!("its shape is {:?}; there are {count} images", header.shape)),
    }
    let mut image = 0;
    elements(from, &header, |bytes| {
        let label = header.label(bytes).map_err(|what| format!("image {image}: {what}"))?;
        image += 1;
        each(&label)
    })
}

/// Reads the bytes of each element.
fn elements(
    from: &mut dyn Read,
    header: &Header,
    mut each: impl FnMut(&[u8]) -> Result<(), String>,
) -> Result<(), String> {
    /// Elements that are read together.
    const PIECE: usize = 1 << 12;
    if header.size == 0 || header.size > 4 * TEXT {
        return Err(unread(&header.text));
    }
    let mut left = header.count();
    let mut buffer = vec![0; PIECE * header.size];
    while left > 0 {
        let piece = &mut buffer[..left.min(PIECE) * header.size];
        from.read_exact(piece).map_err(|_| SHORT)?;
        piece.chunks_exact(header.size).try_for_each(&mut each)?;
        left -= left.min(PIECE);
    }
    Ok(())
}

fn words(error: impl Display) -> String {
    error.to_string()
}

fn unread(kind: &str) -> String {
    format!("elements of type {kind} are not read; save numbers as float32 or uint8, texts with .astype(str)")
}

const RECORDS: &str = "it is an array of records";
const NO_ARRAY: &str = "no NumPy array";
const SHORT: &str = "its shape does not fit its bytes";

/// Reads the bytes in front of the elements.
fn header(from: &mut dyn Read) -> Result<Vec<u8>, String> {
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

/// Checks that an array of so many bytes can hold the shape of a header: the parser multiplies the sides unchecked, and its
/// time doubles with each level of nested lists.
fn check_shape(header: &[u8], size: u64) -> Result<(), String> {
    let start = if header.get(6) == Some(&1) { 10 } else { 12 };
    let header = header.get(start..).ok_or(NO_ARRAY)?;
    let header = std::str::from_utf8(header).map_err(|_| NO_ARRAY)?;
    if header.contains('[') {
        return Err(RECORDS.to_owned());
    }
    // A dictionary and a tuple.
    if header.matches(['{', '(']).count() != 2 {
        return Err(NO_ARRAY.to_owned());
    }
    // The parser takes the last of several shapes.
    if header.matches("shape").count() != 1 {
        return Err(NO_ARRAY.to_owned());
    }
    let (_, rest) = header.split_once("'shape':").ok_or(NO_ARRAY)?;
    let sides = rest.trim_start().strip_prefix('(').ok_or(NO_ARRAY)?;
    let (sides, _) = sides.split_once(')').ok_or(NO_ARRAY)?;
    let sides = sides.split(',').map(str::trim).filter(|side| !side.is_empty());
    let sides: Vec<usize> = sides.map(|side| side.parse().ok()).collect::<Option<_>>().ok_or(NO_ARRAY)?;
    // An empty array must not overflow either.
    let count = sides.iter().try_fold(1_usize, |all, side| all.checked_mul(*side.max(&1))).ok_or(NO_ARRAY)?;
    if count as u64 <= size || sides.contains(&0) { Ok(()) } else { Err(SHORT.to_owned()) }
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
        const LIMIT: u64 = 1 << 20;
        let read = |bytes: &[u8]| numbers(&mut &*bytes, bytes.len() as u64, LIMIT);
        let found = read(&npy("<f4", "False", "2, 1", &[0, 0, 128, 63, 0, 0, 0, 192])).unwrap();
        assert_eq!(found, (vec![2, 1], Numbers::Floats(vec![1.0, -2.0])));
        let (_, found) = read(&npy("|u1", "False", "3,", &[0, 128, 255])).unwrap();
        assert_eq!(found, Numbers::Bytes(vec![0, 128, 255]));
        assert_eq!(found.into_floats(), [0.0, 128.0, 255.0]);
        let floats =
            |descr, shape, bytes: &[u8]| read(&npy(descr, "False", shape, bytes)).unwrap().1.into_floats();
        assert_eq!(floats("<i2", "2,", &[254, 255, 1, 0]), [-2.0, 1.0]);
        assert_eq!(floats(">i4", "1,", &[255, 255, 255, 253]), [-3.0]);
        assert_eq!(floats("<u8", "1,", &[0, 1, 0, 0, 0, 0, 0, 0]), [256.0]);
        assert_eq!(floats("|b1", "2,", &[0, 1]), [0.0, 1.0]);
        assert_eq!(floats(">f8", "1,", &[0xc0, 4, 0, 0, 0, 0, 0, 0]), [-2.5]);
        let labels = |descr, count, bytes: &[u8]| {
            let mut found = vec![];
            let bytes = npy(descr, "False", "2,", bytes);
            let mut each = |label: &str| {
                found.push(label.to_owned());
                Ok(())
            };
            texts(&mut &bytes[..], bytes.len() as u64, count, &mut each).map(|()| found.join(" "))
        };
        let text = [b'c', 0, 0, 0, b'a', 0, 0, 0, 0xe9, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(labels("<U2", 2, &text).unwrap(), "ca é");
        assert_eq!(labels("<f4", 2, &[0, 0, 0, 128, 0, 0, 128, 63]).unwrap(), "0 1");
        assert_eq!(labels("|i1", 2, &[255, 7]).unwrap(), "-1 7");
        assert_eq!(
            labels("<f4", 2, &[0, 0, 0, 0, 0, 0, 0, 63]).unwrap_err(),
            "image 1: label 0.5; classes are whole numbers or texts"
        );
        assert_eq!(labels("|i1", 3, &[1, 2]).unwrap_err(), "its shape is [2]; there are 3 images");
        let list = [
            &b"\x93NUMPY\x01\x00\x3f\x00"[..],
            b"{'descr': '<f4', 'fortran_order': False, 'shape': [2], 'x': (2, 4)}",
            &[0; 8],
        ];
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
            npy("<f4", "False", "0, 4294967296, 4294967296", &[]),
            npy(&format!("<f4', 'x': {}, 'y': '", "[".repeat(64)), "False", "1,", &[0; 4]),
            npy(&format!("<f4', 'x': {}, 'y': '", "(".repeat(64)), "False", "1,", &[0; 4]),
            list.concat(),
            b"\x93NUMPY\x01\x00\xff\xff".to_vec(),
            b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec(),
            b"PK".to_vec(),
        ] {
            assert!(read(&bad).is_err());
        }
    }
}
