//! `Import(file, golden: "net.golden.npz", output: "name")`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use fewbits_engine::ops::{Identity, Keeping, Misfit, NodeKind, OpError, Output, SourceContent, TaskSource};
use fewbits_engine::text::fault::Faults;
use fewbits_engine::text::fields::{Fields, FromValue};
use fewbits_store::Digest;
use serde_json::json;

use crate::import::error::ImportError;
use crate::import::{Import, files_beside};
use crate::standard::{Artifact, DatasetPort, ModelPort, Port, StandardOps};

/// The node kind that the engine reads.
pub const KIND: NodeKind = NodeKind {
    name: "Import",
    inputs: &[],
    output: Some("model"),
    parts: &["model"],
    metrics: &["golden_difference", "multiply_accumulates", "parameters"],
    roles: &[],
    seed: None,
    keeping: Keeping::Never,
};

const VERSION: u32 = 1;

/// A network from a file.
#[derive(Debug)]
pub struct ImportOp {
    file: String,
    golden: Option<String>,
    output: Option<String>,
}

/// Reads the parameters of the op.
pub fn read_op(fields: &mut Fields<'_>, faults: &mut Faults) -> Option<ImportOp> {
    let file: Option<String> = fields.required("file", faults);
    let [golden, output] = ["golden", "output"].map(|name| match fields.take(name) {
        Some(value) => String::from_value(value, faults).map(Some),
        None => Some(None),
    });
    fields.otherwise("golden", "no comparison");
    fields.otherwise("output", "the only output");
    Some(ImportOp { file: file?, golden: golden?, output: output? })
}

impl ImportOp {
    /// Paths do not enter a key: files do, by the digests of their content.
    pub(crate) fn identity(&self) -> Identity {
        let params = self.output.as_ref().map_or(json!({}), |output| json!({ "output": output }));
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
        let beside = files_beside(&path).unwrap_or_default();
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
        let port = |shape, layers| {
            let data = DatasetPort { source: "an imported network's dataset", shape, validated: false };
            Port::Model(Arc::new(ModelPort { data, layers }))
        };
        if !path.exists() {
            return Ok(port(None, None));
        }
        let imported = Import::read(&path, self.output.as_deref()).map_err(|error| Misfit {
            field: "file",
            path: vec![],
            message: error.to_string(),
            hint: error.hint(),
        })?;
        let network = imported.model().network();
        let has_weights = |name: &&String| imported.model().tensors().contains_key(&format!("{name}.weight"));
        let layers = network.layers.iter().map(|layer| &layer.name).filter(has_weights).cloned().collect();
        Ok(port(Some((network.input, network.classes)), Some(layers)))
    }

    pub(crate) fn run(&self, ops: &StandardOps) -> Result<Output<Artifact>, OpError> {
        let failed = |error: ImportError| OpError::Failed(error.to_string());
        let imported = Import::read(&place(&self.file, ops), self.output.as_deref()).map_err(failed)?;
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

/// Returns the path of a file: from the experiment's folder, or from the data directory if it is not there.
fn place(file: &str, ops: &StandardOps) -> PathBuf {
    let own = ops.base_dir.join(file);
    let other = ops.data_dir.join(file);
    if !own.exists() && other.exists() { other } else { own }
}
