//! Encoding of named binary32 tensors and one text in the safetensors format; equal content gives equal
//! bytes. Knows nothing of networks or of the meaning of the text.

use std::collections::{BTreeMap, HashMap};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError, SafeTensors};
use thiserror::Error;

use crate::network::array::Array;

/// An error in the bytes of a container.
#[derive(Debug, Error)]
pub enum ContainerError {
    /// The bytes are not a safetensors file.
    #[error("not a safetensors file")]
    Format(#[from] SafeTensorError),
    /// The metadata has no text under the expected key.
    #[error("its metadata has no {key:?}")]
    NoText {
        /// Metadata key of the text.
        key: &'static str,
    },
    /// The element type of a tensor is not binary32.
    #[error("tensor {name:?} is {dtype}, not F32")]
    Dtype {
        /// Name of the tensor.
        name: String,
        /// Element type of the tensor.
        dtype: String,
    },
    /// The shape of a tensor does not hold its numbers.
    #[error("tensor {name:?} cannot be read")]
    Shape {
        /// Name of the tensor.
        name: String,
    },
}

/// Encodes tensors, sorted by name, and a text under a metadata key.
pub(crate) fn encode<'a>(
    tensors: impl Iterator<Item = (&'a str, &'a Array)>,
    key: &str,
    text: String,
) -> Result<Vec<u8>, ContainerError> {
    let mut parts = BTreeMap::new();
    for (name, tensor) in tensors {
        let bytes: Vec<u8> = tensor.numbers().iter().flat_map(|number| number.to_le_bytes()).collect();
        parts.insert(name, (tensor.shape().to_vec(), bytes));
    }
    let views: Result<Vec<_>, SafeTensorError> = parts
        .iter()
        .map(|(name, (shape, bytes))| Ok((*name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect();
    Ok(safetensors::serialize(views?, Some(HashMap::from([(key.to_owned(), text)])))?)
}

/// Decodes the output of [`encode`]: the text and the tensors by name.
pub(crate) fn decode(
    bytes: &[u8],
    key: &'static str,
) -> Result<(String, BTreeMap<String, Array>), ContainerError> {
    let (_, metadata) = SafeTensors::read_metadata(bytes)?;
    let text =
        metadata.metadata().as_ref().and_then(|all| all.get(key)).ok_or(ContainerError::NoText { key })?;
    let mut tensors = BTreeMap::new();
    for (name, view) in SafeTensors::deserialize(bytes)?.tensors() {
        if view.dtype() != Dtype::F32 {
            return Err(ContainerError::Dtype { name, dtype: format!("{:?}", view.dtype()) });
        }
        let (words, _) = view.data().as_chunks::<4>();
        let numbers = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
        match Array::new(view.shape().to_vec(), numbers) {
            Some(tensor) => tensors.insert(name, tensor),
            None => return Err(ContainerError::Shape { name }),
        };
    }
    Ok((text.clone(), tensors))
}
