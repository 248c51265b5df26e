//! `Import(file, golden: "net.golden.npz", output: "name")` of an ONNX file, `Import(file, golden, model: Layers([…]), input:
//! [3, 32, 32], names: {"conv1": "features.0"})` of a safetensors file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fewbits_engine::ops::{Identity, Keeping, Misfit, NodeKind, OpError, Output, SourceContent, TaskSource};
use fewbits_engine::text::fault::{Faults, suggest};
use fewbits_engine::text::fields::{Fields, FromValue};
use fewbits_engine::text::mismatch::mismatch;
use fewbits_engine::text::value::{Value, ValueKind};
use fewbits_store::Digest;
use serde_json::json;

use crate::import::error::ImportError;
use crate::import::golden;
use crate::import::{Import, files_beside};
use crate::network::architecture::{Architecture, LayerSpec};
use crate::network::definition::{ModelError, Network};
use crate::network::fit::ImageKind;
use crate::network::fold::folded_shapes;
use crate::op::train::path_of;
use crate::standard::{Artifact, DatasetPort, ModelPort, Port, StandardOps};

/// The node kind that the engine reads.
pub const KIND: NodeKind = NodeKind {
    name: "Import",
    inputs: &[],
    optional_input: None,
    output: Some("model"),
    parts: &["model"],
    metrics: &["golden_difference", "multiply_accumulates", "parameters"],
    roles: &[],
    seed: None,
    keeping: Keeping::Never,
    probe: None,
};

const VERSION: u32 = 2;

/// A network from a file.
#[derive(Debug)]
pub struct ImportOp {
    file: String,
    golden: Option<String>,
    network: NetworkSource,
}

/// What defines the network.
#[derive(Debug)]
enum NetworkSource {
    /// The file; `output` names one of several outputs.
    File { output: Option<String> },
    /// The experiment; the file has the weights.
    Experiment(Box<DefinedNetwork>),
}

/// A network that the experiment defines.
#[derive(Debug)]
struct DefinedNetwork {
    architecture: Architecture,
    /// Channels, height and width of the images, and the number of outputs.
    input: [usize; 3],
    classes: usize,
    /// The network; an error if its layers do not fit.
    network: Result<Network, ModelError>,
    /// The name in the file of each layer that is called otherwise there.
    names: BTreeMap<String, String>,
}

/// Reads the parameters of the op.
pub fn read_op(fields: &mut Fields<'_>, faults: &mut Faults) -> Option<ImportOp> {
    fields.about(&[
        (
            "file",
            "The ONNX or safetensors file of the network, relative to the experiment or in the data folder.",
        ),
        (
            "golden",
            "An .npz file with an input and the output that the network gave there, to check the import.",
        ),
        ("output", "The output of the network that has the logits, if it has several."),
        ("model", "The layers of a safetensors file, which has weights only."),
        ("input", "The channels, height and width of the images of a safetensors file's network."),
        ("names", "The names in the file of layers that have other names here."),
    ]);
    let file: Option<String> = fields.required("file", faults);
    let [golden, output] = ["golden", "output"].map(|name| match fields.take(name) {
        Some(value) => String::from_value(value, faults).map(Some),
        None => Some(None),
    });
    let written = fields.take("model");
    let model = written.map(|value| Architecture::from_value(value, faults));
    let input = fields.take("input").map(|value| Vec::<i64>::from_value(value, faults));
    let renamed = fields.take("names");
    let names = renamed.map_or(Some(BTreeMap::new()), |value| read_names(value, faults));
    fields.otherwise("golden", "no comparison");
    fields.otherwise("output", "the only output");
    fields.otherwise("model", "that of the file");
    fields.otherwise("input", "that of the file");
    fields.otherwise("names", "the names of the layers");
    let span = fields.span();
    let network = match (model, input, output?, names?) {
        (None, None, output, names) if names.is_empty() => NetworkSource::File { output },
        (Some(architecture), Some(input), None, names) => {
            let (architecture, input) = (architecture?, input?);
            let place = written.map_or(span, |value| value.span);
            let (input, classes) =
                sides(&architecture, &input).map_err(|what| faults.add(place, what, "")).ok()?;
            let network = Network::resolve(&architecture, input, classes);
            if let Ok(network) = &network {
                let layers = || network.layers.iter().map(|layer| layer.name.as_str());
                if let Some(name) = names.keys().find(|name| layers().all(|layer| layer != name.as_str())) {
                    let place = renamed.map_or(span, |value| value.span);
                    faults.add(place, format!("the network has no layer `{name}`"), suggest(name, layers()));
                    return None;
                }
            }
            NetworkSource::Experiment(Box::new(DefinedNetwork {
                architecture,
                input,
                classes,
                network,
                names,
            }))
        }
        (Some(_), Some(_), Some(_), _) => {
            faults.add(span, "weights of a safetensors file have no outputs", "leave out `output`");
            return None;
        }
        _ => {
            let what =
                "an ONNX file defines its network; weights of a safetensors file need `model` and `input`";
            faults.add(
                span,
                what,
                "give both `model: Layers([…])` and `input: [channels, height, width]`, or none of `model`, `input` and `names`",
            );
            return None;
        }
    };
    Some(ImportOp { file: file?, golden: golden?, network })
}

/// Returns the shape of the images and the number of outputs. Errors if they are not written.
fn sides(architecture: &Architecture, input: &[i64]) -> Result<([usize; 3], usize), String> {
    let sides: Option<Vec<usize>> = input.iter().map(|side| usize::try_from(*side).ok()).collect();
    let Some(&[channels, height, width]) = sides.as_deref() else {
        return Err("`input` has three whole numbers: channels, height and width".to_owned());
    };
    let last = match architecture {
        Architecture::Layers(layers) => layers.iter().rev().find_map(|layer| match layer {
            LayerSpec::Linear { out, .. } => Some(*out),
            _ => None,
        }),
        Architecture::Mlp { .. } => None,
    };
    let classes = last.ok_or("`model` is `Layers([…])` with a linear layer at its end")?;
    Ok(([channels, height, width], classes))
}

fn read_names(value: &Value, faults: &mut Faults) -> Option<BTreeMap<String, String>> {
    let ValueKind::Map(entries) = &value.kind else {
        mismatch(value, "a map from layers to names in the file, `{\"conv1\": \"features.0\"}`", faults);
        return None;
    };
    let mut names = BTreeMap::new();
    let mut whole = true;
    for (key, value) in entries {
        match (String::from_value(key, faults), String::from_value(value, faults)) {
            (Some(layer), Some(_)) if names.contains_key(&layer) => {
                faults.add(key.span, format!("layer `{layer}` is there twice"), "remove one of the two");
                whole = false;
            }
            (Some(layer), Some(name)) => drop(names.insert(layer, name)),
            _ => whole = false,
        }
    }
    whole.then_some(names)
}

impl ImportOp {
    /// Paths do not enter a key: files do, by the digests of their content.
    pub(crate) fn identity(&self) -> Identity {
        let params = match &self.network {
            NetworkSource::File { output: None } => json!({}),
            NetworkSource::File { output: Some(output) } => json!({ "output": output }),
            NetworkSource::Experiment(defined) => {
                let mut params = json!({
                    "input": defined.input,
                    "model": defined.architecture.resolved(defined.classes),
                });
                if !defined.names.is_empty() {
                    params["names"] = json!(defined.names);
                }
                params
            }
        };
        Identity { op: "import", version: VERSION, params }
    }

    /// Returns the files that the op reads.
    pub(crate) fn sources(&self, ops: &StandardOps) -> Vec<TaskSource> {
        let path = place(&self.file, ops);
        let source = |name: String, path: PathBuf| {
            let missing = format!(
                "{} is not there; a path starts from the experiment's folder, then from --data-dir",
                path.display()
            );
            TaskSource { name, content: SourceContent::File { path, missing } }
        };
        // A file with a fault names no others; the run or the check tells the fault.
        let beside = match self.network {
            NetworkSource::File { .. } if is_packed(&path) => vec![],
            NetworkSource::File { .. } => files_beside(&path).unwrap_or_default(),
            NetworkSource::Experiment(_) => vec![],
        };
        let mut sources = vec![source("file.network".to_owned(), path)];
        sources
            .extend(self.golden.as_ref().map(|golden| source("file.golden".to_owned(), place(golden, ops))));
        sources.extend(
            beside.into_iter().enumerate().map(|(at, path)| source(format!("file.weights{at}"), path)),
        );
        sources
    }

    /// Returns the layers of the network. A file that is not there is no fault of the experiment.
    pub(crate) fn port(&self, ops: &StandardOps) -> Result<Port, Misfit> {
        let path = place(&self.file, ops);
        // A golden file with a fault is told when the task runs.
        let range = self.golden.as_ref().and_then(|golden| golden::input_range(&place(golden, ops)));
        let known = |shape, classes| Some(ImageKind { shape, classes: Some(classes) });
        let port = |kind, layers, tensors| {
            let data = DatasetPort {
                source: "an imported network's dataset",
                kind,
                validation: None,
                range,
                has_test: false,
                has_labels: true,
            };
            Port::Model(Arc::new(ModelPort { data, layers, tensors, is_imported: true, is_integer: false }))
        };
        if let NetworkSource::Experiment(defined) = &self.network {
            let DefinedNetwork { architecture, input, classes, network, .. } = &**defined;
            if let Err(error) = network {
                return Err(Misfit {
                    field: "model",
                    path: path_of(architecture, error.layer.as_ref()),
                    message: error.to_string(),
                    hint: format!("the images are {} x {} x {}", input[0], input[1], input[2]),
                });
            }
            if !path.exists() {
                let layers = architecture.parameter_layers(*classes);
                return Ok(port(
                    known(*input, *classes),
                    Some(layers),
                    network.as_ref().ok().map(folded_shapes),
                ));
            }
        }
        if !path.exists() {
            return Ok(port(None, None, None));
        }
        let imported = self.read(&path).map_err(|error| Misfit {
            field: if matches!(error, ImportError::Output { .. }) { "output" } else { "file" },
            path: vec![],
            message: error.to_string(),
            hint: error.hint(),
        })?;
        let network = imported.model().network();
        let has_weights = |name: &&String| imported.model().tensors().contains_key(&format!("{name}.weight"));
        let layers = network.layers.iter().map(|layer| &layer.name).filter(has_weights).cloned().collect();
        let tensors = imported.model().tensors().iter();
        let tensors = tensors.map(|(name, tensor)| (name.clone(), tensor.shape().to_vec())).collect();
        Ok(port(known(network.input, network.classes), Some(layers), Some(tensors)))
    }

    fn read(&self, path: &Path) -> Result<Import, ImportError> {
        match &self.network {
            NetworkSource::File { output: None } if is_packed(path) => Import::packed(path),
            NetworkSource::File { output } => Import::read(path, output.as_deref()),
            NetworkSource::Experiment(defined) => {
                let network = defined.network.as_ref();
                let network = network.map_err(|error| ImportError::format("model", error.to_string()))?;
                Import::weights(path, network, &defined.names)
            }
        }
    }

    pub(crate) fn run(&self, ops: &StandardOps) -> Result<Output<Artifact>, OpError> {
        let failed = |error: ImportError| OpError::Failed(error.to_string());
        let imported = self.read(&place(&self.file, ops)).map_err(failed)?;
        let golden = self.golden.as_ref().map(|golden| imported.golden_difference(&place(golden, ops)));
        let golden = golden.transpose().map_err(failed)?;
        let model = imported.into_model();
        let bytes = model.encode().map_err(|error| OpError::Failed(error.to_string()))?;
        let network = model.network();
        let metrics = [
            ("golden_difference", golden),
            ("multiply_accumulates", Some(network.multiply_accumulates() as f64)),
            ("parameters", Some(network.parameter_count() as f64)),
        ];
        Ok(Output {
            parts: BTreeMap::from([("model".to_owned(), Digest::hash(&bytes))]),
            metrics: metrics
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value?)))
                .collect(),
            artifact: Some(Arc::new(Artifact::Model(model))),
            series: BTreeMap::new(),
            correct: None,
        })
    }
}

/// Whether a file that defines its network is a packed one: a safetensors file.
fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "safetensors")
}

/// Returns the path of a file: from the experiment's folder, or from the data directory if it is not there.
fn place(file: &str, ops: &StandardOps) -> PathBuf {
    let own = ops.base_dir.join(file);
    let other = ops.data_dir.join(file);
    if !own.exists() && other.exists() { other } else { own }
}
