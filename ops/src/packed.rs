//! The packed network: a safetensors file with the network, the formats of its tensors, and the bytes that the metric `bytes`
//! counts. `docs/packed.md` defines it; other tools read it as well. Knows nothing of experiments.

use std::collections::{BTreeMap, HashMap};

use fewbits_engine::text::fault::Faults;
use fewbits_engine::text::fields::FromValue;
use fewbits_engine::text::value::Value;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::format::{Format, Packing};
use crate::network::array::Array;
use crate::network::definition::Network;
use crate::network::model::Model;
use crate::quantize::{Encoded, PackedTensor};
use crate::scale::{Per, ScaleType};

/// The key of the description in the metadata. There is one key alone: the order of several would differ from file to file.
const KEY: &str = "fewbits_packed";
/// The version of this layout.
const VERSION: u64 = 1;

/// The parts of a quantized tensor: `conv1.weight.codes`.
const PARTS: [&str; 4] = ["scales", "zero_points", "codebook", "codes"];

/// The widest codes whose numbers are listed.
const MOST_LISTED_BITS: u32 = 16;

/// An error in a packed network, as a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PackedError(String);

/// The description of a packed network, as JSON.
#[derive(Serialize, Deserialize)]
struct Description {
    version: u64,
    /// The network: its layers in order.
    network: Json,
    /// The quantized tensors.
    tensors: BTreeMap<String, StoredTensor>,
    /// The task and its parameters, for people.
    made_of: Json,
}

/// How a quantized tensor is stored.
#[derive(Serialize, Deserialize)]
struct StoredTensor {
    shape: Vec<usize>,
    /// The format, as an experiment has it: `Int(4)`.
    format: String,
    /// The part of a tensor that shares a scale: `Tensor`, `Channel` or `Block(32)`; none without scales.
    #[serde(skip_serializing_if = "Option::is_none")]
    per: Option<String>,
    /// The stored type of a scale; none without scales.
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<String>,
    /// The rows of the tensor and the groups in each, which share a scale or a zero point; the weights in a group, of which
    /// the last one of a row may have fewer. For readers in other languages: they follow from `per`.
    groups: [usize; 2],
    block: usize,
    /// The bits of a code.
    bits: u32,
    /// `bits`: codes of so many bits, the least significant first; `five to a byte`: five codes below 3 as base-3 digits.
    packing: String,
    /// The number of each code, null for codes that stand for none; left out for wide codes, codebooks of a tensor's own and
    /// integers with zero points.
    #[serde(skip_serializing_if = "Option::is_none")]
    numbers: Option<Vec<Option<f64>>>,
}

/// Writes a network with the codes of its tensors. `made_of` describes its origin, for people.
pub fn write(network: &Network, tensors: &[Encoded], made_of: &Json) -> Result<Vec<u8>, PackedError> {
    let mut stored = BTreeMap::new();
    let mut parts: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)> = BTreeMap::new();
    for tensor in tensors {
        let Some(codes) = &tensor.codes else {
            let bytes = tensor.weights.iter().flat_map(|weight| weight.to_le_bytes()).collect();
            parts.insert(tensor.name.clone(), (Dtype::F32, tensor.shape.clone(), bytes));
            continue;
        };
        let packed = codes.pack();
        let scale = codes.quantization.scale;
        let has_own_numbers = !packed.codebook.is_empty() || !packed.zero_points.is_empty();
        let listed = codes.bits <= MOST_LISTED_BITS && !has_own_numbers;
        let words = PARTS.into_iter().zip([packed.scales, packed.zero_points, packed.codebook, packed.codes]);
        for (word, bytes) in words.filter(|(_, bytes)| !bytes.is_empty()) {
            parts.insert(format!("{}.{word}", tensor.name), (Dtype::U8, vec![bytes.len()], bytes));
        }
        let numbers = || codes.codebook.iter().map(|number| number.is_finite().then_some(*number)).collect();
        stored.insert(
            tensor.name.clone(),
            StoredTensor {
                shape: tensor.shape.clone(),
                format: codes.quantization.format.to_string(),
                per: scale.store().map(|_| per_text(scale.per())),
                store: scale.store().map(|store| format!("{store:?}")),
                groups: codes.groups.shape(),
                block: codes.groups.block(),
                bits: codes.bits,
                packing: packing_text(codes.quantization.format.packing()).to_owned(),
                numbers: listed.then(numbers),
            },
        );
    }
    let text = |error: serde_json::Error| PackedError(error.to_string());
    let network = serde_json::from_str(&network.to_json().map_err(text)?).map_err(text)?;
    let description = Description { version: VERSION, network, tensors: stored, made_of: made_of.clone() };
    let metadata = HashMap::from([(KEY.to_owned(), serde_json::to_string(&description).map_err(text)?)]);
    let views = parts.iter().map(|(name, (dtype, shape, bytes))| {
        TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name, view))
    });
    let views = views.collect::<Result<Vec<_>, _>>().map_err(|error| PackedError(error.to_string()))?;
    safetensors::serialize(views, Some(metadata)).map_err(|error| PackedError(error.to_string()))
}

/// Reads a packed network: the weights that its codes stand for. Errors if the bytes are no packed network of this version, if
/// tensors are missing, of another size or of no use, or if a code stands for no finite number.
pub fn read(bytes: &[u8]) -> Result<Model, PackedError> {
    let fault = |what: String| PackedError(what);
    let file =
        SafeTensors::deserialize(bytes).map_err(|error| fault(format!("no safetensors file: {error}")))?;
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| fault(error.to_string()))?;
    let text = metadata.metadata().as_ref().and_then(|all| all.get(KEY)).ok_or_else(|| {
        let hint = "weights of a network that the experiment defines need `model` and `input`";
        fault(format!("its metadata has no `{KEY}`, so it is no packed network; {hint}"))
    })?;
    let unread = |error: serde_json::Error| fault(format!("its metadata `{KEY}`: {error}"));
    let description: Json = serde_json::from_str(text).map_err(unread)?;
    if description["version"] != VERSION {
        let found = &description["version"];
        return Err(fault(format!("it is of version {found}; this program reads version {VERSION}")));
    }
    let Description { network, tensors: stored, .. } = serde_json::from_value(description).map_err(unread)?;
    let network = serde_json_canonicalizer::to_string(&network).map_err(unread)?;
    let network = Network::from_json(&network).map_err(|error| fault(error.to_string()))?;
    let mut used = 0;
    let mut tensors = BTreeMap::new();
    for parameter in network.parameters() {
        let name = parameter.name.clone();
        let numbers = match stored.get(&name) {
            Some(described) => {
                let mut part = |word: &str| {
                    let view = file.tensor(&format!("{name}.{word}")).ok();
                    used += usize::from(view.is_some());
                    view.filter(|view| view.dtype() == Dtype::U8).map_or(vec![], |view| view.data().to_vec())
                };
                let [scales, zero_points, codebook, codes] = PARTS.map(&mut part);
                let packed = PackedTensor { scales, zero_points, codebook, codes };
                unpack(described, &parameter.shape, &packed)
                    .map_err(|what| fault(format!("{name}: {what}")))?
            }
            None => {
                used += 1;
                let view = file.tensor(&name).map_err(|_| fault(format!("it has no tensor {name}")))?;
                if view.dtype() != Dtype::F32 || view.shape() != parameter.shape {
                    let shape = &parameter.shape;
                    return Err(fault(format!(
                        "{name} is {:?} of shape {:?}, not F32 of {shape:?}",
                        view.dtype(),
                        view.shape()
                    )));
                }
                view.data().as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect()
            }
        };
        if let Some(element) = numbers.iter().position(|number: &f32| !number.is_finite()) {
            return Err(fault(format!("{name}: element {element} is {}", numbers[element])));
        }
        let array = Array::new(parameter.shape.clone(), numbers);
        tensors.insert(name.clone(), array.ok_or_else(|| fault(format!("{name} cannot be read")))?);
    }
    if used < file.len() {
        return Err(fault("it has tensors that belong to no layer".to_owned()));
    }
    Model::new(network, tensors).map_err(|error| fault(error.to_string()))
}

/// Returns the weights of a tensor of this shape.
fn unpack(stored: &StoredTensor, shape: &[usize], packed: &PackedTensor) -> Result<Vec<f32>, String> {
    if stored.shape != shape {
        return Err(format!("its shape is {:?}, but the layer's is {shape:?}", stored.shape));
    }
    let format = Format::parse(&stored.format).map_err(|_| format!("`{}` is no format", stored.format))?;
    let per = stored.per.as_deref().map(read_word::<Per>).transpose()?.unwrap_or(Per::Tensor);
    let store = stored.store.as_deref().map(read_word::<ScaleType>).transpose()?;
    packed.decode(&format, per, store, shape)
}

/// Reads a word of the experiment language.
fn read_word<T: FromValue>(text: &str) -> Result<T, String> {
    let mut faults = Faults::default();
    let value = Value::parse(text, &mut faults);
    let read = if faults.is_empty() { T::from_value(&value, &mut faults) } else { None };
    read.filter(|_| faults.is_empty()).ok_or_else(|| format!("`{text}` is not known"))
}

fn per_text(per: Per) -> String {
    match per {
        Per::Tensor => "Tensor".to_owned(),
        Per::Channel => "Channel".to_owned(),
        Per::Block(size) => format!("Block({size})"),
    }
}

fn packing_text(packing: Packing) -> &'static str {
    match packing {
        Packing::Bits(_) => "bits",
        Packing::FiveToAByte => "five to a byte",
    }
}
