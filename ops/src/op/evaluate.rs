//! `Evaluate(model, data, split: Test, device: Cpu)`.

use std::collections::BTreeMap;

use fewbits_engine::context::Context;
use fewbits_engine::ops::{Identity, Keeping, MetricRole, Misfit, NodeKind, OpError, Output};
use fewbits_engine::statistics::proportion::wilson;
use fewbits_engine::text::fault::Faults;
use fewbits_engine::text::fields::{Fields, FromValue};
use fewbits_engine::text::value::Value;
use fewbits_engine::text::variant::choice;
use fewbits_store::Series;
use serde_json::json;

use crate::backend::Device;
use crate::backend::own::inference::InferenceError;
use crate::dataset::Dataset;
use crate::dataset::images::Images;
use crate::dataset::split::ValidationFrom;
use crate::evaluation::{Evaluation, evaluate};
use crate::network::fit;
use crate::network::model::Model;
use crate::range::InputRange;
use crate::standard::{Artifact, DatasetPort, ModelPort, Port};

/// The node kind that the engine reads.
pub const KIND: NodeKind = NodeKind {
    name: "Evaluate",
    inputs: &[("model", "model"), ("data", "dataset")],
    optional_input: None,
    output: None,
    parts: &[],
    metrics: &[
        "accuracy",
        "accuracy_high",
        "accuracy_low",
        "chance",
        "correct",
        "loss",
        "non_finite",
        "total",
    ],
    roles: &[
        (MetricRole::Accuracy, "accuracy"),
        (MetricRole::Total, "total"),
        (MetricRole::Chance, "chance"),
        (MetricRole::WilsonBound, "accuracy_low"),
        (MetricRole::WilsonBound, "accuracy_high"),
    ],
    seed: None,
    keeping: Keeping::Never,
    probe: None,
};

const VERSION: u32 = 3;

/// An evaluation on a split.
#[derive(Debug)]
pub struct EvaluateOp {
    /// The split whose images count.
    pub split: Split,
    pub(crate) device: Device,
}

/// The split of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// Training images.
    Train,
    /// Images that are kept apart to choose by.
    Validation,
    /// Images to report on.
    Test,
}

impl Split {
    /// Returns the name of the dataset's part.
    pub(crate) fn part(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }

    /// Returns the images of the split.
    #[must_use]
    pub fn images(self, data: &Dataset) -> &Images {
        match self {
            Self::Train => &data.train,
            Self::Validation => &data.validation,
            Self::Test => &data.test,
        }
    }

    /// Returns the warnings about models judged on this split of a dataset; the dataset is the last input.
    pub(crate) fn warnings(self, inputs: &[&Port]) -> Vec<String> {
        let [models @ .., Port::Dataset(data)] = inputs else { return vec![] };
        let mut warnings = vec![];
        for model in models {
            let Port::Model(model) = model else { continue };
            if !model.is_imported {
                continue;
            }
            if self == Self::Validation && data.validation == Some(ValidationFrom::Train) {
                warnings.push(SEEN.to_owned());
            }
            warnings.extend(range_warning(model, data));
        }
        warnings
    }

    /// Checks whether a model can be evaluated on this split of a dataset with labels. The output is no artifact.
    pub(crate) fn port_of_labelled(self, inputs: &[&Port]) -> Result<Port, Misfit> {
        let [Port::Model(trained), Port::Dataset(data)] = inputs else { return Ok(Port::Nothing) };
        data.check_labelled()?;
        self.check(trained, data).map(|()| Port::Nothing)
    }

    /// Checks whether a model can be evaluated on this split of a dataset.
    pub(crate) fn check(self, trained: &ModelPort, data: &DatasetPort) -> Result<(), Misfit> {
        let misfit = |field, message: String, hint: &str| {
            Err(Misfit { field, path: vec![], message, hint: hint.to_owned() })
        };
        if self == Self::Validation && data.validation.is_none() {
            let hint = "set aside some with `validation: 5000` in the Dataset";
            return misfit("split", "this dataset has no validation images".to_owned(), hint);
        }
        if self == Self::Test && !data.has_test {
            let hint = "give the source a file with test images";
            return misfit("split", "this dataset has no test images".to_owned(), hint);
        }
        if overlapping(&trained.data, data) {
            return misfit(
                "data",
                format!("a model trained on {} cannot be judged on {}", trained.data.source, data.source),
                "Mnist10k's images are Mnist's training images: judge a model on the dataset it was trained on",
            );
        }
        if let (Some(takes), Some(gives)) = (trained.data.kind, data.kind)
            && let Err(error) = fit::check(takes, gives)
        {
            return misfit("data", error.to_string(), "name the dataset that the model was trained on");
        }
        Ok(())
    }
}

/// The warning about validation images that an imported network has probably seen.
const SEEN: &str = "the validation images are training images, which the imported network has probably seen: a choice by them \
                    is too hopeful; `validation_from: Test` takes them from the test images";

/// Returns the warning about golden inputs of another range than the images.
fn unlike(golden: InputRange, given: InputRange) -> String {
    let words = |range: InputRange| format!("{} to {}", range.ends().0, range.ends().1);
    format!(
        "the golden inputs of the imported network go from {}, the numbers of this dataset from {}; `golden` does not test the \
         preparation of images: choose `normalize` as in the network's training",
        words(golden),
        words(given)
    )
}

/// Returns a warning about images in another range than the golden inputs of an imported model.
pub(crate) fn range_warning(model: &ModelPort, data: &DatasetPort) -> Option<String> {
    let (golden, given) = model.data.range.zip(data.range).filter(|_| model.is_imported)?;
    golden.is_unlike(given).then(|| unlike(golden, given))
}

/// Reads the parameters of the op.
pub fn read_op(fields: &mut Fields<'_>, faults: &mut Faults) -> Option<EvaluateOp> {
    fields.about(&[
        ("model", "The network that is evaluated."),
        ("data", "The images, with their classes."),
        ("split", "The images: those of the training, for validation, or for the test."),
        ("device", "What computes: the CPU with the own kernels, or candle."),
    ]);
    let split = fields.optional("split", Split::Test, faults);
    let device = fields.optional("device", Device::Cpu, faults);
    Some(EvaluateOp { split: split?, device: device? })
}

impl EvaluateOp {
    pub(crate) fn identity(&self) -> Identity {
        // The split selects a part, and that part's digest is in the key: equal images, equal result.
        let params = self.device.candle_kind().map_or(json!({}), |kind| json!({ "device": kind }));
        Identity { op: "evaluate", version: VERSION, params }
    }

    pub(crate) fn port(&self, inputs: &[&Port]) -> Result<Port, Misfit> {
        if let ([Port::Model(model), ..], Some(_)) = (inputs, self.device.candle_kind())
            && model.is_integer
        {
            let message = "this network computes with integers, which candle does not".to_owned();
            let hint = "remove `device`: integers give the same bits on every machine".to_owned();
            return Err(Misfit { field: "device", path: vec![], message, hint });
        }
        self.split.port_of_labelled(inputs)
    }

    pub(crate) fn run(
        &self,
        model: &Model,
        data: &Dataset,
        context: &Context,
    ) -> Result<Output<Artifact>, OpError> {
        let images = self.split.images(data);
        let judged = evaluate(self.device, model, images, &|| context.cancelled())?;
        let names = images.labels.as_ref().map_or(&[][..], |labels| &labels.names);
        Ok(Output {
            artifact: None,
            parts: BTreeMap::new(),
            metrics: metrics(&judged),
            series: series(&judged, names),
            correct: Some(bits(&judged.correct)),
        })
    }
}

/// Returns whether the evaluation images may include the model's training images.
fn overlapping(trained: &DatasetPort, data: &DatasetPort) -> bool {
    matches!((trained.source, data.source), ("Mnist", "Mnist10k") | ("Mnist10k", "Mnist"))
}

fn metrics(judged: &Evaluation) -> BTreeMap<String, f64> {
    let total = judged.correct.len() as f64;
    let interval = judged.accuracy().map(|accuracy| wilson(accuracy, total));
    let all = [
        ("accuracy", judged.accuracy()),
        ("accuracy_high", interval.map(|(_, high)| high)),
        ("accuracy_low", interval.map(|(low, _)| low)),
        ("chance", judged.chance()),
        ("correct", Some(judged.correct_count() as f64)),
        ("loss", judged.loss),
        ("non_finite", Some(judged.non_finite as f64)),
        ("total", Some(total)),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn series(judged: &Evaluation, names: &[String]) -> BTreeMap<String, Series> {
    let of = |counts: &[u64]| Series {
        along: "class".to_owned(),
        names: names.to_vec(),
        values: counts.iter().map(|&count| count as f64).collect(),
    };
    BTreeMap::from([
        ("class_correct".to_owned(), of(&judged.class_correct)),
        ("class_total".to_owned(), of(&judged.class_total)),
    ])
}

/// Packs truth values eight to a byte, least significant bit first.
pub(super) fn bits(truths: &[bool]) -> Vec<u8> {
    let byte =
        |eight: &[bool]| eight.iter().enumerate().fold(0, |byte, (at, truth)| byte | u8::from(*truth) << at);
    truths.chunks(8).map(byte).collect()
}

impl From<InferenceError> for OpError {
    fn from(error: InferenceError) -> Self {
        match error {
            InferenceError::Cancelled => Self::Cancelled,
            other => Self::Failed(other.to_string()),
        }
    }
}

impl FromValue for Split {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        let choices = [("Train", Self::Train), ("Validation", Self::Validation), ("Test", Self::Test)];
        choice(value, "a split", &choices, faults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_packed_least_significant_first() {
        assert_eq!(bits(&[true, false, false, true, false, false, false, false, true]), [0b1001, 1]);
    }
}
