//! `Describe(model, layer: All)`: the distribution of the weights of a network, or of one of its layers.

use std::collections::BTreeMap;

use fewbits_engine::ops::{Identity, Keeping, Misfit, NodeKind, Output};
use fewbits_engine::text::fault::{Faults, suggest};
use fewbits_engine::text::fields::{Fields, FromValue};
use fewbits_engine::text::mismatch::unfit;
use fewbits_engine::text::value::{self, Value};
use serde_json::json;

use crate::network::model::Model;
use crate::standard::{Artifact, Port};

/// The node kind that the engine reads.
pub const KIND: NodeKind = NodeKind {
    name: "Describe",
    inputs: &[("model", "model")],
    optional_input: None,
    output: None,
    parts: &[],
    metrics: &[
        "abs_max",
        "abs_p10",
        "abs_p50",
        "abs_p90",
        "abs_p99",
        "excess_kurtosis",
        "mean",
        "std",
        "weights",
        "zeros",
    ],
    roles: &[],
    seed: None,
    keeping: Keeping::Never,
    probe: None,
};

const VERSION: u32 = 1;

/// A description of weights.
#[derive(Debug)]
pub struct DescribeOp {
    layer: LayerChoice,
}

/// The weights to describe.
#[derive(Clone, Debug, PartialEq, Eq)]
enum LayerChoice {
    /// All tensors of two or more dimensions together: the tensors that `Quantize` rounds by default.
    All,
    /// The weight of one layer.
    Named(String),
}

/// Reads the parameters of the op.
pub fn read_op(fields: &mut Fields<'_>, faults: &mut Faults) -> Option<DescribeOp> {
    fields.about(&[
        ("model", "The network whose weights are described."),
        ("layer", "The layer, or `All` weights together."),
    ]);
    fields.optional("layer", LayerChoice::All, faults).map(|layer| DescribeOp { layer })
}

impl DescribeOp {
    pub(crate) fn identity(&self) -> Identity {
        let layer = match &self.layer {
            LayerChoice::All => json!(null),
            LayerChoice::Named(name) => json!(name),
        };
        Identity { op: "describe", version: VERSION, params: json!({"layer": layer}) }
    }

    /// Checks the name of the layer.
    pub(crate) fn port(&self, inputs: &[&Port]) -> Result<Port, Misfit> {
        let (LayerChoice::Named(name), [Port::Model(model)]) = (&self.layer, inputs) else {
            return Ok(Port::Nothing);
        };
        let Some(layers) = &model.layers else { return Ok(Port::Nothing) };
        if layers.contains(name) {
            return Ok(Port::Nothing);
        }
        Err(Misfit {
            field: "layer",
            path: vec![],
            message: format!("the network has no layer `{name}` with weights"),
            hint: suggest(name, layers.iter().map(String::as_str)),
        })
    }

    pub(crate) fn run(&self, model: &Model) -> Output<Artifact> {
        let is_asked = |name: &str, dims: usize| match &self.layer {
            LayerChoice::All => dims >= 2,
            LayerChoice::Named(layer) => name.strip_suffix(".weight") == Some(layer),
        };
        let mut weights = vec![];
        for (name, tensor) in model.tensors() {
            if is_asked(name, tensor.shape().len()) {
                weights.extend(tensor.numbers());
            }
        }
        Output {
            artifact: None,
            parts: BTreeMap::new(),
            metrics: metrics(&weights),
            series: BTreeMap::new(),
            correct: None,
        }
    }
}

/// Returns the moments of the weights and the quantiles of their magnitudes; undefined metrics are absent.
fn metrics(weights: &[f32]) -> BTreeMap<String, f64> {
    let count = weights.len() as f64;
    let share = |sum: f64| (count > 0.0).then(|| sum / count);
    let mean = share(weights.iter().map(|&weight| f64::from(weight)).sum());
    let squares = || {
        weights.iter().map(|&weight| {
            let distance = f64::from(weight) - mean.unwrap_or_default();
            distance * distance
        })
    };
    let variance = share(squares().sum());
    let fourth = share(squares().map(|square| square * square).sum());
    let kurtosis = fourth.zip(variance.filter(|variance| *variance > 0.0));
    let mut magnitudes: Vec<f32> = weights.iter().map(|weight| weight.abs()).collect();
    magnitudes.sort_unstable_by(f32::total_cmp);
    let all = [
        ("abs_max", quantile(&magnitudes, 1.0)),
        ("abs_p10", quantile(&magnitudes, 0.1)),
        ("abs_p50", quantile(&magnitudes, 0.5)),
        ("abs_p90", quantile(&magnitudes, 0.9)),
        ("abs_p99", quantile(&magnitudes, 0.99)),
        ("excess_kurtosis", kurtosis.map(|(fourth, variance)| fourth / (variance * variance) - 3.0)),
        ("mean", mean),
        ("std", variance.map(f64::sqrt)),
        ("weights", Some(count)),
        ("zeros", share(weights.iter().filter(|weight| **weight == 0.0).count() as f64)),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// Returns a quantile of sorted numbers, interpolated linearly between the two nearest, as numpy does by default.
fn quantile(sorted: &[f32], share: f64) -> Option<f64> {
    let place = share * sorted.len().checked_sub(1)? as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    Some(f64::from(low) + (f64::from(high) - f64::from(low)) * place.fract())
}

impl FromValue for LayerChoice {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        match &value.kind {
            value::ValueKind::Text(name) => Some(Self::Named(name.clone())),
            _ if value.bare_name() == Some("All") => Some(Self::All),
            _ => {
                unfit(value, "`All` or the name of a layer in quotes", faults);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_described_as_numpy_and_scipy_do() {
        let metrics = metrics(&[-0.5, 0.0, 0.25, 1.0, -2.0, 0.125]);
        // numpy 2.4.6: quantile(abs(w), p), w.std(); scipy 1.17.1: kurtosis(w).
        let check = |name: &str, value: f64| {
            assert!((metrics[name] - value).abs() < 1e-12, "{name} {}", metrics[name]);
        };
        check("abs_max", 2.0);
        check("abs_p10", 0.0625);
        check("abs_p50", 0.375);
        check("abs_p90", 1.5);
        check("abs_p99", 1.95);
        check("mean", -0.1875);
        check("std", 0.923_506_677_470_895_9);
        check("excess_kurtosis", -0.058_444_146_611_502_66);
        check("zeros", 1.0 / 6.0);
        check("weights", 6.0);
    }

    #[test]
    fn what_no_weights_have_is_absent() {
        assert_eq!(metrics(&[]).into_keys().collect::<Vec<_>>(), ["weights"]);
        assert!(!metrics(&[0.0, 0.0]).contains_key("excess_kurtosis"));
    }
}
