//! An ONNX file: its nodes, attributes and constants, and the files beside it that hold weights. Knows nothing of what
//! nodes compute.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use rten_onnx::onnx::{AttributeProto, AttributeType, DataType, ModelProto, NodeProto};

use crate::import::constant::{Constant, Numbers};
use crate::import::error::ImportError;
use crate::import::protobuf;
use crate::import::tensor::{is_beside, location, tensor};

/// The largest file that is read.
pub(super) const LIMIT: u64 = 1 << 29;

/// The most nodes of a graph. Networks for microcontrollers have some hundreds.
const MOST_NODES: usize = 10_000;

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

    /// Returns the constant of a Constant node, or that of `ConstantOfShape`.
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
    let file = path.display().to_string();
    let model = decode(path, &bytes(path)?)?;
    let tensors = model.graph.iter().flat_map(|graph| &graph.initializer);
    let mut names = BTreeSet::new();
    for tensor in tensors.filter(|tensor| is_beside(tensor)) {
        names.insert(location(tensor).map_err(|what| ImportError::format(&file, what))?.0);
    }
    Ok(names.into_iter().map(|name| path.with_file_name(name)).collect())
}

/// Reads an ONNX file. Errors if it is too large, is no ONNX file, has a tensor that is not whole, or names a file with
/// weights that is not a plain file beside it.
pub(crate) fn read(path: &Path) -> Result<OnnxGraph, ImportError> {
    from_bytes(path, &bytes(path)?)
}

/// Reads the bytes of an ONNX file; `path` is the file's place. Errors like [`read`].
pub(crate) fn from_bytes(path: &Path, bytes: &[u8]) -> Result<OnnxGraph, ImportError> {
    let file = path.display().to_string();
    let model = decode(path, bytes)?;
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
    if graph.node.len() > MOST_NODES {
        return Err(fault(format!("{} nodes; at most {MOST_NODES} are read", graph.node.len())));
    }
    let mut constants = BTreeMap::new();
    // Numbers beside the file are bounded like those in it.
    let mut numbers = 0;
    for proto in &graph.initializer {
        let name = proto.name.clone().unwrap_or_default();
        let tensor = tensor(path, proto).map_err(|what| fault(format!("tensor {name:?}: {what}")))?;
        numbers += tensor.numbers.len() as u64;
        if numbers * 4 > LIMIT {
            return Err(fault(format!(
                "its tensors have more than {} numbers, the most that are read",
                LIMIT / 4
            )));
        }
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

/// Returns the bytes of a file. Errors if it cannot be read or is larger than 512 MiB.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, ImportError> {
    let file = path.display().to_string();
    let read_error = |source| ImportError::Read { file: file.clone(), source };
    let opened = File::open(path).map_err(read_error)?;
    let bytes = opened.metadata().map_err(read_error)?.len();
    if bytes > LIMIT {
        return Err(ImportError::TooLarge { file, bytes, limit: LIMIT });
    }
    let mut content = vec![];
    opened.take(LIMIT).read_to_end(&mut content).map_err(read_error)?;
    Ok(content)
}

fn decode(path: &Path, bytes: &[u8]) -> Result<ModelProto, ImportError> {
    let model =
        protobuf::check(bytes).and_then(|()| ModelProto::parse_buf(bytes).map_err(|error| error.to_string()));
    model.map_err(|what| ImportError::format(&path.display().to_string(), format!("no ONNX file: {what}")))
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
            (_, _, _, Some(proto)) if of(AttributeType::TENSOR) && is_beside(&proto) => {
                return Err(format!("{}: a constant that lies in another file is not read", node.title()));
            }
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
