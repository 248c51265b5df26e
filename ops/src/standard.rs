//! The ops of fewbits as the engine sees them: Dataset, Import, Train, Quantize, Allocate, Evaluate, Compare,
//! Confusion, Describe, Footprint.
//! Only dispatches to each op's own file; computes no numbers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use fewbits_engine::context::Context;
use fewbits_engine::ops::{Identity, Misfit, NodeKind, OpError, Ops, Output, Probe, TaskSource};
use fewbits_engine::text::fault::Faults;
use fewbits_engine::text::fields::Fields;
use fewbits_engine::text::variant::VariantReader;
use fewbits_store::Record;

use crate::backend::Device;
use crate::dataset::Dataset;
use crate::dataset::split::ValidationFrom;
use crate::dataset::survey::Surveys;
use crate::network::fit::ImageKind;
use crate::network::model::Model;
use crate::op::{
    allocate, compare, confusion, dataset, describe, evaluate, footprint, import, quantize, sensitivity,
    train,
};
use crate::provenance;
use crate::range::InputRange;
use crate::wording;

/// The ops, with the folders of their data.
#[derive(Debug)]
pub struct StandardOps {
    /// The folder of the published datasets.
    pub(crate) data_dir: PathBuf,
    /// The folder that relative paths in the experiment are resolved against.
    pub(crate) base_dir: PathBuf,
    /// What first looks at users' data showed.
    pub(crate) surveys: Surveys,
    /// The op that panics when it runs, for tests.
    panics_in: Option<String>,
}

/// The op of a node.
#[derive(Debug)]
pub enum Op {
    /// Loads and splits images and labels.
    Dataset(dataset::DatasetOp),
    /// Reads a network that others trained.
    Import(import::ImportOp),
    /// Trains a network.
    Train(train::TrainOp),
    /// Rounds a network's weights to a number format.
    Quantize(quantize::QuantizeOp),
    /// Chooses a format for each layer within a number of bytes.
    Allocate(allocate::AllocateOp),
    /// Measures the loss of a network with one layer quantized: a probe of `Allocate`.
    Sensitivity(sensitivity::SensitivityOp),
    /// Evaluates a network on images.
    Evaluate(evaluate::EvaluateOp),
    /// Compares two networks image by image.
    Compare(compare::CompareOp),
    /// Counts which classes a network gives to images of each class.
    Confusion(confusion::ConfusionOp),
    /// Describes a network's weights.
    Describe(describe::DescribeOp),
    /// Tells the flash and RAM of a network as C.
    Footprint,
}

/// The facts about an artifact that are known before its task runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Port {
    /// A dataset.
    Dataset(DatasetPort),
    /// A model, shared by the ops that read it.
    Model(Arc<ModelPort>),
    /// An output that no op reads.
    Nothing,
}

/// The facts about a dataset that are known before it is read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DatasetPort {
    /// The kind of the dataset's source: `Mnist`.
    pub source: &'static str,
    /// The shape of the images, and the number of their classes; `None` if it is not known.
    pub kind: Option<ImageKind>,
    /// The images that validation images are taken from; `None` if there are no validation images.
    pub validation: Option<ValidationFrom>,
    /// The range of the numbers that the images give; `None` if it is not known.
    pub range: Option<InputRange>,
    /// Whether the dataset has test images.
    pub has_test: bool,
    /// Whether the images have labels, as far as it is known.
    pub has_labels: bool,
}

/// The facts about a model that are known before its training.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelPort {
    /// The dataset that the model is trained on, as far as it is known.
    pub data: DatasetPort,
    /// The model's layers with parameters, in order; `None` if its file is not there.
    pub layers: Option<Vec<String>>,
    /// The shape of each tensor of the model, by name; `None` if it is not known.
    pub tensors: Option<BTreeMap<String, Vec<usize>>>,
    /// Whether others trained the model.
    pub is_imported: bool,
    /// Whether the model computes with integers.
    pub is_integer: bool,
}

/// A task's output in memory.
#[derive(Debug)]
pub enum Artifact {
    /// A dataset.
    Dataset(Dataset),
    /// A model: trained, or trained and quantized.
    Model(Model),
    /// The loss that a probe measured.
    Loss(f64),
}

/// The kinds of nodes, each with the reader of its op.
const KINDS_AND_READERS: [(NodeKind, VariantReader<Op>); 10] = [
    (dataset::KIND, |fields, faults| dataset::read_op(fields, faults).map(Op::Dataset)),
    (import::KIND, |fields, faults| import::read_op(fields, faults).map(Op::Import)),
    (train::KIND, |fields, faults| train::read_op(fields, faults).map(Op::Train)),
    (quantize::KIND, |fields, faults| quantize::read_op(fields, faults).map(Op::Quantize)),
    (allocate::KIND, |fields, faults| allocate::read_op(fields, faults).map(Op::Allocate)),
    (evaluate::KIND, |fields, faults| evaluate::read_op(fields, faults).map(Op::Evaluate)),
    (compare::KIND, |fields, faults| compare::read_op(fields, faults).map(Op::Compare)),
    (confusion::KIND, |fields, faults| confusion::read_op(fields, faults).map(Op::Confusion)),
    (describe::KIND, |fields, faults| describe::read_op(fields, faults).map(Op::Describe)),
    (footprint::KIND, |fields, _| {
        footprint::read_op(fields);
        Some(Op::Footprint)
    }),
];

static KINDS: [NodeKind; KINDS_AND_READERS.len()] = {
    let mut kinds = [dataset::KIND; KINDS_AND_READERS.len()];
    let mut at = 0;
    while at < kinds.len() {
        kinds[at] = KINDS_AND_READERS[at].0;
        at += 1;
    }
    kinds
};

impl StandardOps {
    /// Makes the ops. `data_dir` holds the published datasets; relative paths are resolved against `base_dir`.
    #[must_use]
    pub fn new(data_dir: PathBuf, base_dir: PathBuf) -> Self {
        Self { data_dir, base_dir, surveys: Surveys::default(), panics_in: None }
    }

    /// Makes the op of this name in preimages panic when it runs, so that tests see the effect of a panic on a run.
    #[must_use]
    pub fn panicking_in(self, op: Option<String>) -> Self {
        Self { panics_in: op, ..self }
    }
}

impl Ops for StandardOps {
    type Op = Op;
    type Port = Port;
    type Artifact = Artifact;

    fn kinds(&self) -> &'static [NodeKind] {
        &KINDS
    }

    fn read_op(&self, kind: &str, fields: &mut Fields<'_>, faults: &mut Faults) -> Option<Op> {
        let (_, read) = KINDS_AND_READERS.iter().find(|(of, _)| of.name == kind)?;
        read(fields, faults)
    }

    fn port(&self, op: &Op, inputs: &[&Port]) -> Result<Port, Misfit> {
        match op {
            Op::Dataset(op) => Ok(Port::Dataset(op.port(self))),
            Op::Import(op) => op.port(self),
            Op::Train(op) => op.port(inputs),
            Op::Quantize(op) => op.port(inputs),
            Op::Allocate(op) => op.port(inputs),
            Op::Sensitivity(_) | Op::Footprint => Ok(Port::Nothing),
            Op::Evaluate(op) => op.port(inputs),
            Op::Compare(op) => op.port(inputs),
            Op::Confusion(op) => op.port(inputs),
            Op::Describe(op) => op.port(inputs),
        }
    }

    fn warnings(&self, op: &Op, inputs: &[&Port]) -> Vec<String> {
        match op {
            Op::Dataset(op) => op.warnings(self),
            Op::Evaluate(op) => op.split.warnings(inputs),
            Op::Compare(op) => op.split.warnings(inputs),
            Op::Confusion(op) => op.split.warnings(inputs),
            Op::Quantize(_) | Op::Allocate(_) => quantize::QuantizeOp::warnings(inputs),
            Op::Import(_) | Op::Train(_) | Op::Sensitivity(_) | Op::Describe(_) | Op::Footprint => vec![],
        }
    }

    fn is_costly(&self, op: &Op) -> bool {
        matches!(op, Op::Quantize(op) if op.is_calibrated())
    }

    fn work(&self, op: &Op) -> f64 {
        if let Op::Train(op) = op { op.epochs() } else { 1.0 }
    }

    fn identity(&self, op: &Op) -> Identity {
        match op {
            Op::Dataset(op) => op.identity(),
            Op::Import(op) => op.identity(),
            Op::Train(op) => op.identity(),
            Op::Quantize(op) => op.identity(),
            Op::Allocate(op) => op.identity(),
            Op::Sensitivity(op) => op.identity(),
            Op::Evaluate(op) => op.identity(),
            Op::Compare(_) => compare::CompareOp::identity(),
            Op::Confusion(_) => confusion::ConfusionOp::identity(),
            Op::Describe(op) => op.identity(),
            Op::Footprint => footprint::identity(),
        }
    }

    fn reads(&self, op: &Op) -> Vec<(usize, &'static str)> {
        match op {
            Op::Dataset(_) | Op::Import(_) => vec![],
            Op::Train(_) => vec![(0, "train"), (0, "validation")],
            Op::Quantize(op) if op.is_calibrated() => vec![(0, "model"), (1, "train")],
            Op::Allocate(_) | Op::Sensitivity(_) => vec![(0, "model"), (1, "train")],
            Op::Quantize(_) | Op::Describe(_) => vec![(0, "model")],
            Op::Footprint => footprint::READS.to_vec(),
            Op::Evaluate(op) => vec![(0, "model"), (1, op.split.part())],
            Op::Confusion(op) => vec![(0, "model"), (1, op.split.part())],
            Op::Compare(op) => vec![(0, "model"), (1, "model"), (2, op.split.part())],
        }
    }

    fn sources(&self, op: &Op) -> Result<Vec<TaskSource>, OpError> {
        match op {
            Op::Dataset(op) => Ok(op.sources(self)),
            Op::Import(op) => Ok(op.sources(self)),
            Op::Train(_)
            | Op::Quantize(_)
            | Op::Allocate(_)
            | Op::Sensitivity(_)
            | Op::Evaluate(_)
            | Op::Compare(_)
            | Op::Confusion(_)
            | Op::Describe(_)
            | Op::Footprint => Ok(vec![]),
        }
    }

    fn run(&self, op: &Op, inputs: &[Arc<Artifact>], context: &Context) -> Result<Output<Artifact>, OpError> {
        assert!(self.panics_in.as_deref() != Some(self.identity(op).op), "asked for by a test");
        let inputs: Vec<&Artifact> = inputs.iter().map(AsRef::as_ref).collect();
        match (op, inputs.as_slice()) {
            (Op::Dataset(op), []) => op.run(self),
            (Op::Import(op), []) => op.run(self),
            (Op::Train(op), [Artifact::Dataset(data)]) => op.run(data, context),
            (Op::Quantize(op), [Artifact::Model(model)]) => op.run(model, None, context),
            (Op::Quantize(op), [Artifact::Model(model), Artifact::Dataset(data)]) => {
                op.run(model, Some(data), context)
            }
            (Op::Sensitivity(op), [Artifact::Model(model), Artifact::Dataset(data)]) => {
                op.run(model, data, context)
            }
            (Op::Allocate(op), [Artifact::Model(model), Artifact::Dataset(data), probes @ ..]) => {
                op.run(model, data, &losses(probes.iter().copied()), context)
            }
            (Op::Describe(op), [Artifact::Model(model)]) => Ok(op.run(model)),
            (Op::Footprint, [Artifact::Model(model)]) => footprint::run(model),
            (Op::Evaluate(op), [Artifact::Model(model), Artifact::Dataset(data)]) => {
                op.run(model, data, context)
            }
            (Op::Confusion(op), [Artifact::Model(model), Artifact::Dataset(data)]) => {
                op.run(model, data, context)
            }
            (
                Op::Compare(op),
                [Artifact::Model(model), Artifact::Model(baseline), Artifact::Dataset(data)],
            ) => op.run([model, baseline], data, context),
            _ => Err(OpError::Failed(
                "a fault in fewbits itself (inputs of another type); please report it".into(),
            )),
        }
    }

    fn encode(&self, artifact: &Artifact) -> BTreeMap<String, Vec<u8>> {
        match artifact {
            // Datasets and losses are never stored as objects.
            Artifact::Dataset(_) | Artifact::Loss(_) => BTreeMap::new(),
            Artifact::Model(model) => train::encode(model),
        }
    }

    fn decode(
        &self,
        op: &Op,
        record: &Record,
        parts: BTreeMap<String, Vec<u8>>,
    ) -> Result<Artifact, OpError> {
        let bytes =
            parts.get("model").ok_or_else(|| OpError::Failed("the kept model has no content".into()))?;
        let model = train::decode(bytes)?;
        Ok(Artifact::Model(match op {
            Op::Quantize(op) => op.with_quantizations(model),
            Op::Allocate(op) => op.with_quantizations(model, record),
            _ => model,
        }))
    }

    fn decode_metrics(&self, metrics: &BTreeMap<String, f64>) -> Result<Artifact, OpError> {
        let loss = metrics.get("loss").copied();
        loss.map(Artifact::Loss).ok_or_else(|| OpError::Failed("the record has no loss".into()))
    }

    fn probes(&self, op: &Op, inputs: &[&Port]) -> Option<Vec<Probe<Op>>> {
        let Op::Allocate(op) = op else { return None };
        let probe = |Probe { label, op }| Probe { label, op: Op::Sensitivity(op) };
        Some(op.probes(inputs)?.into_iter().map(probe).collect())
    }

    fn activations(&self, ops: &[&Op]) -> &'static str {
        wording::activations(ops)
    }

    fn quantized(&self, ops: &[&Op]) -> Option<&'static str> {
        wording::quantized(ops)
    }

    fn remark(&self, ops: &[&Op]) -> Option<String> {
        wording::remark(ops)
    }

    fn literature(&self, ops: &[&Op]) -> Vec<&'static str> {
        wording::literature(ops)
    }

    fn is_exact(&self, op: &Op) -> bool {
        device(op) == Device::Cpu
    }

    fn provenance(&self, name: &str, op: &Op) -> BTreeMap<String, String> {
        provenance::provenance(name, device(op))
    }
}

/// Returns the device that computes an op.
fn device(op: &Op) -> Device {
    match op {
        Op::Train(op) => op.device(),
        Op::Evaluate(op) => op.device,
        Op::Dataset(_)
        | Op::Import(_)
        | Op::Quantize(_)
        | Op::Allocate(_)
        | Op::Sensitivity(_)
        | Op::Compare(_)
        | Op::Confusion(_)
        | Op::Describe(_)
        | Op::Footprint => Device::Cpu,
    }
}

/// Returns the losses that probes measured, in order.
pub(crate) fn losses<'a>(probes: impl Iterator<Item = &'a Artifact>) -> Vec<f64> {
    probes.filter_map(|probe| if let Artifact::Loss(loss) = probe { Some(*loss) } else { None }).collect()
}
