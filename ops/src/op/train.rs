//! `Train(data, model, optimizer: AdamW(lr: 1e-3), schedule: Constant, init: KaimingUniform, batch: 128, epochs: 10,
//! augment: None, seed: 0, device: Cpu)`.

use std::collections::BTreeMap;
use std::sync::Arc;

use fewbits_engine::context::Context;
use fewbits_engine::ops::{Identity, Keeping, MetricRole, Misfit, NodeKind, OpError, Output, PathStep};
use fewbits_engine::text::fault::Faults;
use fewbits_engine::text::fields::Fields;
use fewbits_store::{Digest, Series};
use serde_json::{Value as Json, json};

use crate::backend::Device;
use crate::backend::own::memory::training_bytes;
use crate::dataset::Dataset;
use crate::network::architecture::Architecture;
use crate::network::definition::Network;
use crate::network::fit::ImageKind;
use crate::network::fold::folded_shapes;
use crate::network::model::Model;
use crate::network::wiring::{LayerPlace, PlaceStep};
use crate::standard::{Artifact, ModelPort, Port};
use crate::training::config::{Augment, Init, LearningRateSchedule, Optimizer, TrainConfig};
use crate::training::single_number::{may_have_single_number_norm, single_number_norm};
use crate::training::{self, EpochFigures, Observer, TrainError};

const ONE_CLASS: &str = "all images are of one class, and a network learns to tell at least two apart";

/// The node kind that the engine reads.
pub const KIND: NodeKind = NodeKind {
    name: "Train",
    inputs: &[("data", "dataset")],
    optional_input: None,
    output: Some("model"),
    parts: &["model"],
    metrics: &[
        "joined_images",
        "multiply_accumulates",
        "parameters",
        "train_accuracy",
        "train_loss",
        "validation_accuracy",
        "validation_loss",
    ],
    roles: &[
        (MetricRole::TrainLoss, "train_loss"),
        (MetricRole::TrainAccuracy, "train_accuracy"),
        (MetricRole::ValidationLoss, "validation_loss"),
        (MetricRole::ValidationAccuracy, "validation_accuracy"),
    ],
    seed: Some("seed"),
    keeping: Keeping::Always,
    probe: None,
};

/// The version of all networks except those of [`JOINING`].
const VERSION: u32 = 2;
/// The version of networks with a batch normalization that may see one number per channel. The number of images decides
/// whether such a last batch joins the previous one, and is unknown when the key is made.
const JOINING: u32 = 3;

/// The version of networks with a depthwise convolution whose taps lie apart: the gradients of its weight were wrong.
const DILATED_DEPTHWISE: u32 = 4;

/// The maximum memory of one training; a larger need counts as a mistake.
const MOST_BYTES: u64 = 8 << 30;
/// The size of the largest published training set, which bounds the batch.
const MOST_IMAGES: usize = 60_000;

/// A training of a network.
#[derive(Debug)]
pub struct TrainOp {
    config: TrainConfig,
}

/// Reads the parameters of the op.
pub fn read_op(fields: &mut Fields<'_>, faults: &mut Faults) -> Option<TrainOp> {
    fields.about(&[
        ("data", "The dataset; its training images are used, and its validation images watched."),
        ("model", "The network."),
        ("optimizer", "How weights follow the gradient."),
        ("schedule", "How the learning rate changes over the epochs."),
        ("init", "How weights are drawn at first."),
        ("batch", "The images of a step."),
        ("epochs", "The passes over the training images."),
        ("augment", "How training images are varied."),
        ("seed", "The seed of the weights, the order of images, DropOut and variation."),
        ("device", "What computes: the CPU with the own kernels, or candle."),
    ]);
    let model: Option<Architecture> = fields.required("model", faults);
    let optimizer = fields.optional("optimizer", Optimizer::AdamW { lr: 1e-3, weight_decay: 0.01 }, faults);
    let schedule = fields.optional("schedule", LearningRateSchedule::Constant, faults);
    let init = fields.optional("init", Init::KaimingUniform, faults);
    let batch = fields.whole("batch", 1..=i64::MAX, Some(128), faults);
    let epochs = fields.whole("epochs", 1..=1_000_000, Some(10), faults);
    let augment = fields.optional("augment", Augment::None, faults);
    let seed = fields.whole("seed", 0..=i64::MAX, Some(0), faults);
    let device = fields.optional("device", Device::Cpu, faults);
    let config = TrainConfig {
        model: model?,
        optimizer: optimizer?,
        schedule: schedule?,
        init: init?,
        batch: batch? as usize,
        epochs: epochs? as usize,
        augment: augment?.resolved(),
        seed: seed? as u64,
        device: device?,
    };
    Some(TrainOp { config })
}

impl TrainOp {
    pub(crate) fn device(&self) -> Device {
        self.config.device
    }

    pub(crate) fn epochs(&self) -> f64 {
        self.config.epochs as f64
    }

    pub(crate) fn identity(&self) -> Identity {
        let mut params = json!(self.config);
        params["model"] = canonical(&self.config.model);
        // The own kernels are not named, so that keys from before there was another backend hold.
        if let Some(kind) = self.config.device.candle_kind() {
            params["device"] = json!(kind);
        }
        let version = if self.config.model.has_dilated_depthwise() {
            DILATED_DEPTHWISE
        } else if may_have_single_number_norm(&self.config.model) {
            JOINING
        } else {
            VERSION
        };
        Identity { op: "train", version, params }
    }

    pub(crate) fn port(&self, inputs: &[&Port]) -> Result<Port, Misfit> {
        let [Port::Dataset(data)] = inputs else { return Ok(Port::Nothing) };
        data.check_labelled()?;
        let mut tensors = None;
        if let Some(ImageKind { shape, classes: Some(classes) }) = data.kind {
            if classes < 2 {
                let (field, path) = ("data", vec![]);
                return Err(Misfit { field, path, message: ONE_CLASS.to_owned(), hint: String::new() });
            }
            let graph = Network::resolve(&self.config.model, shape, classes).map_err(|error| Misfit {
                field: "model",
                path: path_of(&self.config.model, error.layer.as_ref()),
                message: error.to_string(),
                hint: format!(
                    "the images are {} x {} x {} in {classes} classes",
                    shape[0], shape[1], shape[2]
                ),
            })?;
            if let (Some(norm), 1) = (single_number_norm(&graph), self.config.batch) {
                return Err(Misfit {
                    field: "batch",
                    path: vec![],
                    message: format!("`{}` cannot be trained in batches of one image", norm.name),
                    hint: "one number per channel has no variance: take batches of 2 or more".to_owned(),
                });
            }
            tensors = Some(folded_shapes(&graph));
            let bytes = training_bytes(&graph, self.config.batch.min(MOST_IMAGES));
            if bytes > MOST_BYTES {
                let (takes, most) = (bytes.div_ceil(1 << 30), MOST_BYTES >> 30);
                return Err(Misfit {
                    field: "model",
                    path: vec![],
                    message: format!(
                        "training this network in batches of {} takes {takes} GiB",
                        self.config.batch
                    ),
                    hint: format!(
                        "at most {most} GiB are allowed: take fewer or smaller layers, or a smaller batch"
                    ),
                });
            }
        }
        // Layer names do not depend on the number of classes.
        let layers = self.config.model.parameter_layers(data.kind.and_then(|kind| kind.classes).unwrap_or(1));
        let (data, layers) = (data.clone(), Some(layers));
        Ok(Port::Model(Arc::new(ModelPort { data, layers, tensors, is_imported: false, is_integer: false })))
    }

    pub(crate) fn run(&self, data: &Dataset, context: &Context) -> Result<Output<Artifact>, OpError> {
        let labels = data.train.labels.as_ref();
        let labels =
            labels.ok_or_else(|| failed("the training images have no labels, and training needs them"))?;
        if labels.classes < 2 {
            return Err(failed(ONE_CLASS));
        }
        let graph = Network::resolve(&self.config.model, data.train.shape, labels.classes).map_err(failed)?;
        let mut watch = TrainingObserver { context };
        let attempt = |resume: Option<&[u8]>, watch: &mut TrainingObserver<'_>| {
            training::train(&self.config, &graph, &data.train, &data.validation, resume, watch)
        };
        let mut trained = attempt(context.checkpoint().as_deref(), &mut watch);
        if let Err(TrainError::Checkpoint { .. }) = trained {
            trained = attempt(None, &mut watch);
        }
        let trained = trained.map_err(|error| match error {
            TrainError::Cancelled => OpError::Cancelled,
            other => failed(other),
        })?;
        let bytes = trained.model.encode().map_err(failed)?;
        let series = &trained.series;
        let last = |values: &[f64]| values.last().copied();
        let metrics = [
            ("joined_images", trained.joined.map(|joined| joined as f64)),
            ("multiply_accumulates", Some(graph.multiply_accumulates() as f64)),
            ("parameters", Some(trained.model.network().parameter_count() as f64)),
            ("train_accuracy", last(&series.accuracy)),
            ("train_loss", last(&series.loss)),
            ("validation_accuracy", last(&series.validation_accuracy)),
            ("validation_loss", series.validation_loss.last().copied().flatten()),
        ];
        Ok(Output {
            parts: BTreeMap::from([("model".to_owned(), Digest::hash(&bytes))]),
            artifact: Some(Arc::new(Artifact::Model(trained.model))),
            metrics: metrics
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value?)))
                .collect(),
            series: curves(series),
            correct: None,
        })
    }
}

/// Returns the network as it enters a key. A perceptron without dropout omits the field, and a list of layers omits
/// layers that do nothing.
fn canonical(model: &Architecture) -> Json {
    match model {
        Architecture::Mlp { hidden, dropout } if *dropout == 0.0 => json!({ "Mlp": { "hidden": hidden } }),
        Architecture::Mlp { .. } => json!(model),
        // Only an Mlp depends on the number of classes.
        Architecture::Layers(_) => json!(model.resolved(0)),
    }
}

fn curves(series: &training::TrainingCurves) -> BTreeMap<String, Series> {
    let losses: Vec<f64> = series.validation_loss.iter().map(|loss| loss.unwrap_or(f64::NAN)).collect();
    let all = [
        ("train_loss", &series.loss),
        ("train_accuracy", &series.accuracy),
        ("validation_loss", &losses),
        ("validation_accuracy", &series.validation_accuracy),
    ];
    all.into_iter()
        .filter(|(_, values)| !values.is_empty())
        .map(|(name, values)| {
            (name.to_owned(), Series { along: "epoch".to_owned(), names: vec![], values: values.clone() })
        })
        .collect()
}

pub(crate) fn encode(model: &Model) -> BTreeMap<String, Vec<u8>> {
    // The model was already encoded for its digest, so encoding succeeds.
    model.encode().map(|bytes| BTreeMap::from([("model".to_owned(), bytes)])).unwrap_or_default()
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Model, OpError> {
    Model::decode(bytes).map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> OpError {
    OpError::Failed(error.to_string())
}

/// Forwards a training's progress to the run.
struct TrainingObserver<'c> {
    context: &'c Context,
}

impl Observer for TrainingObserver<'_> {
    fn cancelled(&self) -> bool {
        self.context.cancelled()
    }

    fn epoch_ended(&mut self, figures: &EpochFigures) {
        let all = [
            ("train_loss", Some(figures.loss)),
            ("train_accuracy", Some(figures.accuracy)),
            ("validation_loss", figures.validation_loss),
            ("validation_accuracy", figures.validation_accuracy),
        ];
        let metrics = all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        self.context.report(figures.epoch as u64, figures.epochs as u64, metrics);
    }

    fn checkpoint_due(&self) -> bool {
        self.context.checkpoint_due()
    }

    fn checkpoint(&mut self, bytes: Vec<u8>) {
        self.context.save_checkpoint(&bytes);
    }
}

/// Returns the way from the field `model` to a layer. A perceptron is written without layers.
pub(super) fn path_of(model: &Architecture, layer: Option<&LayerPlace>) -> Vec<PathStep> {
    let (Architecture::Layers(_), Some(layer)) = (model, layer) else { return vec![] };
    let step = |step: &PlaceStep| match step {
        PlaceStep::Layer(at) | PlaceStep::Branch(at) => PathStep::Item(*at),
        PlaceStep::Body => PathStep::Field("body"),
        PlaceStep::Shortcut => PathStep::Field("shortcut"),
    };
    layer.steps().iter().map(step).collect()
}
