//! The layers of an imported network, while they are made. Knows nothing of ONNX.
//!
//! A scale and a shift per channel that alone read a convolution or linear layer are merged into its weight and bias, in
//! binary64 and rounded once: W ← W·s and b ← b·s + t. Elsewhere they are an affine layer.

use std::collections::{BTreeMap, BTreeSet};

use crate::import::layer_value::{Dim, LayerValue};
use crate::network::array::Array;
use crate::network::definition::{Network, UnshapedLayer};
use crate::network::layer::LayerOp;
use crate::network::model::Model;
use crate::network::shape::ActivationShape;
use crate::network::wiring::Source;

/// A scale and a shift per channel.
pub(crate) struct Affine {
    pub scale: Vec<f64>,
    pub shift: Vec<f64>,
}

/// The weight and the bias of a layer.
pub(crate) struct Parameters {
    /// The name of the weight in the file.
    pub name: String,
    pub shape: Vec<usize>,
    pub weight: Vec<f32>,
    pub bias: Option<Vec<f32>>,
}

/// A layer with its parameters.
struct Draft {
    layer: UnshapedLayer,
    parameters: Option<Parameters>,
    /// What follows the layer and is merged into it.
    after: Option<Affine>,
}

/// The layers made so far.
pub(crate) struct LayerDrafts {
    drafts: Vec<Draft>,
    names: BTreeSet<String>,
    /// The numbers that were tried behind a name.
    counts: BTreeMap<String, usize>,
}

impl LayerDrafts {
    pub(crate) fn new() -> Self {
        Self { drafts: vec![], names: BTreeSet::from(["input".to_owned()]), counts: BTreeMap::new() }
    }

    /// Appends a layer that reads some values, and returns its output in the layout of the first. Errors with the reason
    /// if the layer cannot take the values.
    pub(crate) fn push(
        &mut self,
        op: LayerOp,
        inputs: &[&LayerValue],
        parameters: Option<Parameters>,
    ) -> Result<LayerValue, String> {
        let shapes: Vec<ActivationShape> = inputs.iter().map(|input| input.shape).collect();
        let shape = op.output(&shapes)?;
        if let (Some(expected), Some(found)) = (op.parameters(shapes[0]).0, &parameters)
            && expected != found.shape
        {
            return Err(format!(
                "its weight has the shape {:?}; for its input {expected:?} is expected",
                found.shape
            ));
        }
        let sources: Vec<Source> = inputs.iter().map(|input| input.source).collect();
        let name = self.name(op, parameters.as_ref());
        self.drafts.push(Draft { layer: UnshapedLayer { name, op, sources }, parameters, after: None });
        let source = Source::Layer(self.drafts.len() - 1);
        let first = inputs[0];
        let dims = match (first.shape, shape) {
            (ActivationShape::Image(_), ActivationShape::Row(_)) => vec![Dim::Batch, Dim::Row(vec![])],
            // A dimension of side 1 may have another name so far; the output counts channels there.
            _ => first.image_dims().unwrap_or(&first.dims).to_vec(),
        };
        Ok(LayerValue { source, shape, dims, batch: first.batch, shared: false })
    }

    /// Applies a scale and a shift per channel to a value.
    pub(crate) fn push_affine(&mut self, input: &LayerValue, affine: Affine) -> Result<LayerValue, String> {
        if let (Source::Layer(at), false) = (input.source, input.shared)
            && matches!(
                self.drafts[at].layer.op,
                LayerOp::Conv { .. } | LayerOp::Linear { .. } | LayerOp::Affine
            )
        {
            let draft = &mut self.drafts[at];
            let Affine { scale, shift } = affine;
            draft.after = Some(match draft.after.take() {
                None => Affine { scale, shift },
                Some(before) => Affine {
                    shift: before.shift.iter().zip(&scale).zip(shift).map(|((b, s), t)| b * s + t).collect(),
                    scale: before.scale.iter().zip(&scale).map(|(before, scale)| before * scale).collect(),
                },
            });
            return Ok(input.clone());
        }
        let channels = input.shape.channels().0;
        let ones = Parameters {
            name: String::new(),
            shape: vec![channels],
            weight: vec![1.0; channels],
            bias: Some(vec![0.0; channels]),
        };
        let output = self.push(LayerOp::Affine, &[input], Some(ones))?;
        if let Some(draft) = self.drafts.last_mut() {
            draft.after = Some(affine);
        }
        Ok(output)
    }

    /// Returns a value, behind a layer that changes nothing if no layer has parameters: every network has some.
    pub(crate) fn with_parameters(&mut self, input: LayerValue) -> Result<LayerValue, String> {
        if self.drafts.iter().any(|draft| draft.parameters.is_some()) {
            return Ok(input);
        }
        let channels = input.shape.channels().0;
        self.push_affine(&input, Affine { scale: vec![1.0; channels], shift: vec![0.0; channels] })
    }

    /// Removes a sigmoid that gives a single number and is the last layer. Returns the value in front of it; `None` if there is
    /// none.
    pub(crate) fn without_sigmoid(&mut self, output: &LayerValue) -> Option<LayerValue> {
        let sigmoid = self.drafts.last().filter(|draft| draft.layer.op == LayerOp::Sigmoid)?;
        let source = sigmoid.layer.sources[0];
        if output.source != Source::Layer(self.drafts.len() - 1) || output.shape.len() != 1 {
            return None;
        }
        self.drafts.pop();
        Some(LayerValue { source, ..output.clone() })
    }

    /// Returns the value as a row in the order channels, height, width.
    pub(crate) fn row(&mut self, input: &LayerValue) -> Result<LayerValue, String> {
        match input.shape {
            ActivationShape::Row(_) => Ok(input.clone()),
            ActivationShape::Image(_) => self.push(LayerOp::Flatten, &[input], None),
        }
    }

    /// Makes the model of all layers, of which the last gives the logits.
    pub(crate) fn finish(self, input: [usize; 3], classes: usize) -> Result<Model, String> {
        let mut tensors = BTreeMap::new();
        let mut layers = vec![];
        for Draft { mut layer, parameters, after } in self.drafts {
            if let Some(mut parameters) = parameters {
                if let Some(after) = after {
                    merge(&mut parameters, &after);
                }
                if let LayerOp::Conv { bias, .. } | LayerOp::Linear { bias, .. } = &mut layer.op {
                    *bias = parameters.bias.is_some();
                }
                let array = |shape, numbers| Array::new(shape, numbers).ok_or("a tensor is not whole");
                if let Some(bias) = parameters.bias {
                    tensors.insert(format!("{}.bias", layer.name), array(vec![bias.len()], bias)?);
                }
                let weight = array(parameters.shape, parameters.weight)?;
                tensors.insert(format!("{}.weight", layer.name), weight);
            }
            layers.push(layer);
        }
        let network = Network::new(input, classes, layers).map_err(|error| error.to_string())?;
        Model::new(network, tensors).map_err(|error| error.to_string())
    }

    /// Returns a name for a layer: that of its weight without `.weight`, else its kind and count.
    fn name(&mut self, op: LayerOp, parameters: Option<&Parameters>) -> String {
        let given = parameters
            .map_or("", |parameters| parameters.name.strip_suffix(".weight").unwrap_or(&parameters.name));
        let name = valid(given);
        let stem = if name.is_empty() { op.kind().to_owned() } else { name.clone() };
        loop {
            let count = self.counts.entry(stem.clone()).or_insert(0);
            *count += 1;
            let tried = match *count {
                count if name.is_empty() => format!("{stem}{count}"),
                1 => stem.clone(),
                count => format!("{stem}_{count}"),
            };
            if self.names.insert(tried.clone()) {
                return tried;
            }
        }
    }
}

/// Returns a name of lowercase letters, digits and `_` that starts with a letter; empty if nothing is left.
fn valid(name: &str) -> String {
    let mut valid = String::new();
    for letter in name.chars().map(|letter| letter.to_ascii_lowercase()) {
        match letter {
            '0'..='9' if valid.is_empty() => valid.extend(['l', letter]),
            'a'..='z' | '0'..='9' => valid.push(letter),
            _ if valid.is_empty() || valid.ends_with('_') => {}
            _ => valid.push('_'),
        }
    }
    valid.trim_end_matches('_').to_owned()
}

fn merge(parameters: &mut Parameters, Affine { scale, shift }: &Affine) {
    let row = parameters.weight.len() / scale.len().max(1);
    for (row, scale) in parameters.weight.chunks_mut(row.max(1)).zip(scale) {
        for weight in row {
            *weight = (f64::from(*weight) * scale) as f32;
        }
    }
    let bias = parameters.bias.take().unwrap_or_else(|| vec![0.0; scale.len()]);
    let merged = bias.iter().zip(scale.iter().zip(shift)).map(|(b, (s, t))| (f64::from(*b) * s + t) as f32);
    parameters.bias = Some(merged.collect());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_valid_and_stay_apart() {
        for (name, expected) in
            [("features.0", "features_0"), ("onnx::MatMul_12", "onnx_matmul_12"), ("/0/W", "l0_w")]
        {
            assert_eq!(valid(name), expected);
        }
        assert_eq!(valid("::"), "");
    }
}
