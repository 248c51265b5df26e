//! An ONNX file: its nodes, attributes and constants, and the files beside it that hold weights. Knows nothing of what
//! nodes compute.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use rten_onnx::onnx::{
    AttributeProto, AttributeType, DataLocation, DataType, ModelProto, NodeProto, TensorProto,
};

use crate::import::constant::{Constant, Numbers, count};
use crate::import::error::ImportError;
use crate::import::protobuf;

/// The largest file that is read.
const LIMIT: u64 = 1 << 29;

/// The oldest set of operators whose nodes are read.
const OLDEST_OPSET: i64 = 6;

/// A network as an ONNX file has it.
#[derive(Debug)]
pub(crate) struct OnnxGraph {
    pub nodes: Vec<Node>,
    /// The constants by the name of their value.
    pub constants: BTreeMap<String, Constant>,
    /// The inputs that are no constants, with their dimensions; `None` for a dimension without a number.
    pub inputs: Vec<(String, Vec<Option<usize>>)>,
    pub outputs: Vec<String>,
    pub opset: i64,
}

/// A node: an operation with the names of the values that it reads and gives.
#[derive(Debug)]
pub(crate) struct Node {
    pub op: String,
    pub name: String,
    /// An empty name stands for an input that is left out.
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    attributes: BTreeMap<String, Attribute>,
}

/// The value of an attribute.
#[derive(Debug)]
enum Attribute {
    Float(f32),
    Int(i64),
    Text(String),
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    Tensor(Constant),
    Other,
}

impl Node {
    /// Returns the node for messages: `node "conv_7"`.
    pub(crate) fn title(&self) -> String {
        let name = if self.name.is_empty() { self.outputs.first() } else { Some(&self.name) };
        format!("node {:?}", name.map_or("", String::as_str))
    }

    /// Returns an attribute that is a whole number.
    pub(crate) fn int(&self, name: &str, default: i64) -> i64 {
        match self.attributes.get(name) {
            Some(Attribute::Int(number)) => *number,
            _ => default,
        }
    }

    /// Returns an attribute that is a number.
    pub(crate) fn float(&self, name: &str) -> Option<f32> {
        match self.attributes.get(name) {
            Some(Attribute::Float(number)) => Some(*number),
            _ => None,
        }
    }

    /// Returns an attribute that is a list of whole numbers.
    pub(crate) fn ints(&self, name: &str) -> Option<&[i64]> {
        match self.attributes.get(name) {
            Some(Attribute::Ints(numbers)) => Some(numbers),
            _ => None,
        }
    }

    /// Returns an attribute that is a text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.attributes.get(name) {
            Some(Attribute::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Returns the constant of a Constant node, or that of ConstantOfShape.
    pub(crate) fn constant(&self) -> Option<Constant> {
        let output = self.outputs.first().map_or("", String::as_str);
        let named = |constant: Constant| Constant { name: output.to_owned(), ..constant };
        let vector =
            |numbers: Numbers, count: usize| Constant { name: String::new(), shape: vec![count], numbers };
        Some(named(match self.attributes.iter().find(|(name, _)| name.starts_with("value"))?.1 {
            Attribute::Tensor(constant) => constant.clone(),
            Attribute::Int(number) => Constant { shape: vec![], ..Constant::ints(vec![*number]) },
            Attribute::Ints(numbers) => Constant::ints(numbers.clone()),
            Attribute::Float(number) => {
                Constant { shape: vec![], ..vector(Numbers::Float(vec![*number]), 1) }
            }
            Attribute::Floats(numbers) => vector(Numbers::Float(numbers.clone()), numbers.len()),
            Attribute::Text(_) | Attribute::Other => return None,
        }))
    }
}

/// Returns the files beside an ONNX file that hold its weights, each once. Errors like [`read`].
pub(crate) fn files_beside(path: &Path) -> Result<Vec<PathBuf>, ImportError> {
    let (file, model) = parse(path)?;
    let tensors = model.graph.iter().flat_map(|graph| &graph.initializer);
    let mut names = BTreeSet::new();
    for tensor in tensors.filter(|tensor| tensor.data_location == Some(DataLocation::EXTERNAL)) {
        names.insert(location(tensor).map_err(|what| ImportError::format(&file, what))?.0);
    }
    Ok(names.into_iter().map(|name| path.with_file_name(name)).collect())
}

/// Reads an ONNX file. Errors if it is too large, is no ONNX file, has a tensor that is not whole, or names a file with
/// weights that is not a plain file beside it.
pub(crate) fn read(path: &Path) -> Result<OnnxGraph, ImportError> {
    let (file, model) = parse(path)?;
    let fault = |what: String| ImportError::format(&file, what);
    let opset =
        model.opset_import.iter().find(|set| matches!(set.domain.as_deref(), None | Some("" | "ai.onnx")));
    let opset =
        opset.and_then(|set| set.version).ok_or_else(|| fault("it names no set of operators".into()))?;
    if opset < OLDEST_OPSET {
        return Err(fault(format!(
            "operators of version {opset}; export it with version {OLDEST_OPSET} or a newer one"
        )));
    }
    let graph = model.graph.ok_or_else(|| fault("it has no graph".into()))?;
    let mut constants = BTreeMap::new();
    for proto in &graph.initializer {
        let name = proto.name.clone().unwrap_or_default();
        let tensor = tensor(path, proto).map_err(|what| fault(format!("tensor {name:?}: {what}")))?;
        constants.insert(name, tensor);
    }
    let mut inputs = vec![];
    for input in &graph.input {
        let name = input.name.clone().unwrap_or_default();
        if constants.contains_key(&name) {
            continue;
        }
        let kind = input.r#type.as_ref().and_then(|of| of.tensor_type.as_ref()?.elem_type);
        if let Some(kind) =
            kind.filter(|kind| ![DataType::FLOAT, DataType::FLOAT16, DataType::BFLOAT16].contains(kind))
        {
            let kind = kind.name().unwrap_or("unknown");
            return Err(fault(format!(
                "input {name:?} is of type {kind}; export it with inputs of type FLOAT"
            )));
        }
        let shape = input.r#type.as_ref().and_then(|of| of.tensor_type.as_ref()?.shape.as_ref());
        let side =
            |dim: &rten_onnx::onnx::Dimension| usize::try_from(dim.dim_value?).ok().filter(|side| *side > 0);
        inputs.push((name, shape.map_or(vec![], |shape| shape.dim.iter().map(side).collect())));
    }
    let outputs = graph.output.iter().filter_map(|output| output.name.clone()).collect();
    let node = |proto: NodeProto| node(path, proto).map_err(&fault);
    let nodes = graph.node.into_iter().map(node).collect::<Result<_, _>>()?;
    Ok(OnnxGraph { nodes, constants, inputs, outputs, opset })
}

/// Reads and parses a file. Returns its name for messages, too.
fn parse(path: &Path) -> Result<(String, ModelProto), ImportError> {
    let file = path.display().to_string();
    let read_error = |source| ImportError::Read { file: file.clone(), source };
    let opened = File::open(path).map_err(read_error)?;
    let bytes = opened.metadata().map_err(read_error)?.len();
    if bytes > LIMIT {
        return Err(ImportError::TooLarge { file, bytes, limit: LIMIT });
    }
    let mut content = vec![];
    opened.take(LIMIT).read_to_end(&mut content).map_err(read_error)?;
    let model =
        decode(&content).map_err(|what| ImportError::format(&file, format!("no ONNX file: {what}")))?;
    Ok((file, model))
}

/// Decodes the bytes of an ONNX file.
pub(crate) fn decode(bytes: &[u8]) -> Result<ModelProto, String> {
    protobuf::check(bytes)?;
    ModelProto::parse_buf(bytes).map_err(|error| error.to_string())
}

fn node(path: &Path, proto: NodeProto) -> Result<Node, String> {
    let domain = proto.domain.filter(|domain| !matches!(domain.as_str(), "" | "ai.onnx"));
    let op = proto.op_type.unwrap_or_default();
    let mut node = Node {
        op: domain.map_or(op.clone(), |domain| format!("{domain}.{op}")),
        name: proto.name.unwrap_or_default(),
        inputs: proto.input,
        outputs: proto.output,
        attributes: BTreeMap::new(),
    };
    for AttributeProto { name, f, s, i, t, floats, ints, r#type, .. } in proto.attribute {
        // Old files leave the type out.
        let of = |wanted: AttributeType| r#type.is_none_or(|found| found == wanted);
        let value = match (f, s, i, t) {
            (Some(number), ..) if of(AttributeType::FLOAT) => Attribute::Float(number),
            (_, Some(text), ..) if of(AttributeType::STRING) => Attribute::Text(text),
            (_, _, Some(number), _) if of(AttributeType::INT) => Attribute::Int(number),
            (_, _, _, Some(proto)) if of(AttributeType::TENSOR) => {
                Attribute::Tensor(tensor(path, &proto).map_err(|what| format!("{}: {what}", node.title()))?)
            }
            // Numbers that are 0 may be left out.
            _ if r#type == Some(AttributeType::FLOAT) => Attribute::Float(0.0),
            _ if r#type == Some(AttributeType::INT) => Attribute::Int(0),
            _ if !floats.is_empty() || r#type == Some(AttributeType::FLOATS) => Attribute::Floats(floats),
            _ if !ints.is_empty() || r#type == Some(AttributeType::INTS) => Attribute::Ints(ints),
            _ => Attribute::Other,
        };
        node.attributes.insert(name.unwrap_or_default(), value);
    }
    Ok(node)
}

/// Returns the numbers of a tensor.
pub(super) fn tensor(path: &Path, proto: &TensorProto) -> Result<Constant, String> {
    let side = |side: &i64| usize::try_from(*side).map_err(|_| format!("a side of {side}"));
    let shape: Vec<usize> = proto.dims.iter().map(side).collect::<Result<_, _>>()?;
    let count = count(&shape)?;
    let name = proto.name.clone().unwrap_or_default();
    let kind = proto.data_type.unwrap_or(DataType(0));
    let external = proto.data_location == Some(DataLocation::EXTERNAL);
    let raw = if external {
        let width = width(kind).ok_or_else(|| unread(kind))?;
        Some(beside(path, proto, count.saturating_mul(width))?)
    } else {
        proto.raw_data.as_ref().map(|raw| raw.borrow().clone())
    };
    let numbers = match raw {
        Some(raw) => from_bytes(kind, &raw)?,
        None => from_fields(kind, proto)?,
    };
    Constant::new(&name, shape, numbers)
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
    format!("numbers of type {} are not read", kind.name().unwrap_or("unknown"))
}

fn from_bytes(kind: DataType, raw: &[u8]) -> Result<Numbers, String> {
    let width = width(kind).ok_or_else(|| unread(kind))?;
    if raw.len() % width != 0 {
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

fn from_fields(kind: DataType, proto: &TensorProto) -> Result<Numbers, String> {
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
fn location(tensor: &TensorProto) -> Result<(String, u64, Option<u64>), String> {
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

    /// The expected numbers are NumPy's.
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
