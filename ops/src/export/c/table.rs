//! The constant tables of a network in C: codes, scales, zero points, codebooks and binary32 numbers. Knows nothing of layers
//! and of the code that reads the tables.

use std::fmt::Write;

use super::decoder::Decoder;
use super::literal;
use crate::quantize::{Codes, Encoded, PackedTensor};
use crate::scale::ScaleType;

/// A constant table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Table {
    pub name: String,
    pub content: Content,
}

/// The content of a table.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    Bytes(Vec<u8>),
    Words(Vec<u16>),
    Numbers(Vec<f32>),
    SignedBytes(Vec<i8>),
    Integers(Vec<i32>),
    Unsigned(Vec<u32>),
}

impl Content {
    fn words(bytes: &[u8]) -> Self {
        Self::Words(bytes.as_chunks::<2>().0.iter().map(|two| u16::from_le_bytes(*two)).collect())
    }

    /// Returns the C type of an element, and how many elements there are.
    fn shape(&self) -> (&'static str, usize) {
        match self {
            Self::Bytes(bytes) => ("uint8_t", bytes.len()),
            Self::Words(words) => ("uint16_t", words.len()),
            Self::Numbers(numbers) => ("float", numbers.len()),
            Self::SignedBytes(bytes) => ("int8_t", bytes.len()),
            Self::Integers(numbers) => ("int32_t", numbers.len()),
            Self::Unsigned(numbers) => ("uint32_t", numbers.len()),
        }
    }

    fn literals(&self) -> String {
        match self {
            Self::Bytes(bytes) => literal::lines(bytes.iter().map(u8::to_string)),
            Self::Words(words) => literal::lines(words.iter().map(u16::to_string)),
            Self::Numbers(numbers) => literal::lines(numbers.iter().copied().map(literal::float)),
            Self::SignedBytes(bytes) => literal::lines(bytes.iter().map(i8::to_string)),
            Self::Integers(numbers) => literal::lines(numbers.iter().map(i32::to_string)),
            Self::Unsigned(numbers) => literal::lines(numbers.iter().map(|number| format!("{number}u"))),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::SignedBytes(bytes) => bytes.len(),
            Self::Words(words) => 2 * words.len(),
            Self::Numbers(numbers) => 4 * numbers.len(),
            Self::Integers(numbers) => 4 * numbers.len(),
            Self::Unsigned(numbers) => 4 * numbers.len(),
        }
    }
}

impl Table {
    /// Returns the bytes of the content.
    pub(super) fn bytes(&self) -> usize {
        self.content.bytes()
    }

    /// Returns the declaration, without its content.
    pub(super) fn declaration(&self) -> String {
        let (element, count) = self.content.shape();
        format!("extern const {element} {}[{count}];\n", self.name)
    }

    /// Returns the definition.
    pub(super) fn definition(&self) -> String {
        let (element, count) = self.content.shape();
        format!("const {element} {}[{count}] = {{\n{}}};\n", self.name, self.content.literals())
    }
}

/// A tensor in C.
#[derive(Clone, Debug)]
pub(super) struct StoredTensor {
    /// The tensor's name in the network.
    pub name: String,
    /// A description of its format, for people.
    pub format: String,
    /// The decoder of its rows.
    pub decoder: Decoder,
    /// The names of its tables: codes or numbers, then scales, then zero points or a codebook.
    pub parts: [Option<String>; 3],
    /// Numbers in a row, numbers in a group, groups in a row (0 if rows share a group).
    pub rows: [usize; 3],
    /// Whether the numbers are stored as codes.
    pub is_coded: bool,
}

/// The tensors of a network with their tables.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub tensors: Vec<StoredTensor>,
    pub tables: Vec<Table>,
}

impl Tables {
    /// Stores tensors in tables whose names begin with `prefix`.
    pub(super) fn of(prefix: &str, tensors: &[Encoded]) -> Self {
        let mut all = Self::default();
        for tensor in tensors {
            all.add(prefix, tensor);
        }
        all.number_decoders();
        all
    }

    /// Returns the bytes of all tables.
    pub(super) fn bytes(&self) -> usize {
        self.tables.iter().map(Table::bytes).sum()
    }

    /// Returns the tensor of a layer.
    pub(super) fn tensor(&self, layer: &str, word: &str) -> Option<&StoredTensor> {
        self.tensors.iter().find(|tensor| tensor.name.strip_prefix(layer) == Some(word))
    }

    fn add(&mut self, prefix: &str, tensor: &Encoded) {
        // Two underscores, which the network's own name cannot have: the tables of two networks have different names.
        let stem = format!("{prefix}__{}", tensor.name.replace('.', "_"));
        let elements: usize = tensor.shape.iter().product();
        let row = match tensor.shape[..] {
            [rows, _, ..] => elements / rows.max(1),
            _ => elements,
        };
        let Some(codes) = &tensor.codes else {
            self.tables.push(Table { name: stem.clone(), content: Content::Numbers(tensor.weights.clone()) });
            self.tensors.push(StoredTensor {
                name: tensor.name.clone(),
                format: "binary32".to_owned(),
                decoder: Decoder::of_numbers(),
                parts: [Some(stem), None, None],
                rows: [row, row, 0],
                is_coded: false,
            });
            return;
        };
        let decoder = Decoder::of(codes);
        let PackedTensor { scales, zero_points, codebook, codes: packed } = codes.pack();
        let mut named = |word: &str, content: Content| {
            let name = format!("{stem}_{word}");
            self.tables.push(Table { name: name.clone(), content });
            Some(name)
        };
        let of_codes = named("codes", Content::Bytes(packed));
        let store = codes.quantization.scale.store();
        let of_scales = store.and_then(|store| match store {
            ScaleType::F32 => named("scales", Content::Numbers(codes.scales.clone())),
            ScaleType::F16 | ScaleType::Bf16 => named("scales", Content::words(&scales)),
            ScaleType::E4M3 | ScaleType::E8M0 => named("scales", Content::Bytes(scales)),
        });
        let more = if !zero_points.is_empty() {
            named("zero_points", Content::Bytes(zero_points))
        } else if !codebook.is_empty() {
            named("codebook", Content::Numbers(numbers(codes)))
        } else if decoder.reads_codebook {
            Some(self.shared(prefix, &numbers(codes)))
        } else {
            None
        };
        let (block, groups) = (codes.groups.block(), codes.groups.shape());
        let rows = elements / row.max(1);
        // One group for all rows, or groups in each row.
        let in_row = if groups[0] == rows && rows > 0 { groups[1] } else { 0 };
        self.tensors.push(StoredTensor {
            name: tensor.name.clone(),
            format: describe(codes),
            decoder,
            parts: [of_codes, of_scales, more],
            rows: [row, block.min(row), in_row],
            is_coded: true,
        });
    }

    /// Returns the name of a codebook that several tensors share, and adds it once.
    fn shared(&mut self, prefix: &str, numbers: &[f32]) -> String {
        let stem = format!("{prefix}__codebook_of_format_");
        let count = self.tables.iter().filter(|table| table.name.starts_with(&stem)).count();
        let (name, content) = (format!("{stem}{}", count + 1), Content::Numbers(numbers.to_vec()));
        let is_same = |old: &&Table| old.name.starts_with(&stem) && old.content == content;
        if let Some(same) = self.tables.iter().find(is_same) {
            return same.name.clone();
        }
        self.tables.push(Table { name: name.clone(), content });
        name
    }

    /// Gives decoders of one name but other bodies numbers behind their names.
    fn number_decoders(&mut self) {
        let mut seen: Vec<Decoder> = vec![];
        for tensor in &mut self.tensors {
            let wanted = tensor.decoder.name.clone();
            if let Some(same) = seen.iter().find(|old| old.body == tensor.decoder.body) {
                tensor.decoder.name.clone_from(&same.name);
                continue;
            }
            let mut number = 1;
            while seen.iter().any(|old| old.name == tensor.decoder.name) {
                number += 1;
                tensor.decoder.name.clear();
                let _ = write!(tensor.decoder.name, "{wanted}_{number}");
            }
            seen.push(tensor.decoder.clone());
        }
    }
}

/// Returns the number of each code; codes that stand for none decode to 0.
fn numbers(codes: &Codes) -> Vec<f32> {
    codes.codebook.iter().map(|number| if number.is_finite() { *number as f32 } else { 0.0 }).collect()
}

fn describe(codes: &Codes) -> String {
    let format = codes.quantization.format.to_string();
    match codes.quantization.scale.store() {
        None => format,
        Some(store) => {
            let per = match codes.quantization.scale.per() {
                crate::scale::Per::Tensor => "the tensor".to_owned(),
                crate::scale::Per::Channel => "each output".to_owned(),
                crate::scale::Per::Block(block) => format!("each {block} numbers"),
            };
            format!("{format}, a scale ({store:?}) for {per}")
        }
    }
}
