//! `Compare(model, baseline, data, split: Test)`: two networks on the same images, image by image.

use std::collections::BTreeMap;

use fewbits_engine::context::Context;
use fewbits_engine::ops::{Identity, Keeping, MetricRole, Misfit, NodeKind, OpError, Output};
use fewbits_engine::statistics::estimate::Estimate;
use fewbits_engine::statistics::mcnemar::mid_p;
use fewbits_engine::statistics::proportion::{NORMAL_QUANTILE, wilson};
use fewbits_engine::text::fault::Faults;
use fewbits_engine::text::fields::Fields;
use serde_json::json;

use super::evaluate::{Split, bits};
use crate::backend::Device;
use crate::dataset::Dataset;
use crate::evaluation::{Evaluation, evaluate, predict};
use crate::network::model::Model;
use crate::standard::{Artifact, Port};

/// The node kind that the engine reads.
pub const KIND: NodeKind = NodeKind {
    name: "Compare",
    inputs: &[("model", "model"), ("baseline", "model"), ("data", "dataset")],
    optional_input: None,
    output: None,
    parts: &[],
    metrics: &[
        "agreement",
        "agreement_high",
        "agreement_low",
        "loss_difference",
        "loss_difference_high",
        "loss_difference_low",
        "lost",
        "mcnemar_p",
        "non_finite",
        "total",
        "won",
    ],
    roles: &[
        (MetricRole::WilsonBound, "agreement_low"),
        (MetricRole::WilsonBound, "agreement_high"),
        (MetricRole::McNemarP, "mcnemar_p"),
    ],
    seed: None,
    keeping: Keeping::Never,
    probe: None,
};

const VERSION: u32 = 2;

/// A comparison of two networks on a split.
#[derive(Debug)]
pub struct CompareOp {
    pub(crate) split: Split,
}

/// Reads the parameters of the op.
pub fn read_op(fields: &mut Fields<'_>, faults: &mut Faults) -> Option<CompareOp> {
    fields.about(&[
        ("model", "The network that is compared."),
        ("baseline", "The network that it is compared with, image by image."),
        ("data", "The images."),
        ("split", "The images: those of the training, for validation, or for the test."),
    ]);
    fields.optional("split", Split::Test, faults).map(|split| CompareOp { split })
}

impl CompareOp {
    pub(crate) fn identity() -> Identity {
        // As with `Evaluate`, the digest of the dataset's part identifies the split.
        Identity { op: "compare", version: VERSION, params: json!({}) }
    }

    pub(crate) fn port(&self, inputs: &[&Port]) -> Result<Port, Misfit> {
        let [Port::Model(model), Port::Model(baseline), Port::Dataset(data)] = inputs else {
            return Ok(Port::Nothing);
        };
        self.split.check(model, data)?;
        self.split.check(baseline, data)?;
        if let [Some(classes), Some(others)] =
            [model, baseline].map(|model| model.data.kind.and_then(|kind| kind.classes))
            && classes.max(2) != others.max(2)
        {
            return Err(Misfit {
                field: "baseline",
                path: vec![],
                message: different(classes, others),
                hint: "compare networks of the same classes".to_owned(),
            });
        }
        Ok(Port::Nothing)
    }

    pub(crate) fn run(
        &self,
        [model, baseline]: [&Model; 2],
        data: &Dataset,
        context: &Context,
    ) -> Result<Output<Artifact>, OpError> {
        let images = self.split.images(data);
        let cancelled = || context.cancelled();
        let (metrics, agrees) = if images.labels.is_some() {
            let judge = |model| evaluate(Device::Cpu, model, images, &cancelled);
            let (model, baseline) = (judge(model)?, judge(baseline)?);
            let pairs = PredictionPairs { model: &model.predictions, baseline: &baseline.predictions };
            let agrees = pairs.agreements();
            (pairs.metrics(&agrees).into_iter().chain(against_labels(&model, &baseline)).collect(), agrees)
        } else {
            let classes = [model, baseline].map(|model| model.network().classes.max(2));
            if classes[0] != classes[1] {
                return Err(OpError::Failed(different(classes[0], classes[1])));
            }
            let predict = |model| predict(model, images, &cancelled);
            let (model, baseline) = (predict(model)?, predict(baseline)?);
            let pairs = PredictionPairs { model: &model, baseline: &baseline };
            let agrees = pairs.agreements();
            (pairs.metrics(&agrees), agrees)
        };
        Ok(Output {
            artifact: None,
            parts: BTreeMap::new(),
            metrics,
            series: BTreeMap::new(),
            correct: Some(bits(&agrees)),
        })
    }
}

fn different(classes: usize, others: usize) -> String {
    format!("one network has {classes} classes, the other {others}")
}

/// The classes that two networks give some images; `None` where a network gives none.
struct PredictionPairs<'a> {
    model: &'a [Option<u32>],
    baseline: &'a [Option<u32>],
}

impl PredictionPairs<'_> {
    fn pairs(&self) -> impl Iterator<Item = (&Option<u32>, &Option<u32>)> {
        self.model.iter().zip(self.baseline)
    }

    /// Returns for each image whether both networks answer, and give the same answer.
    fn agreements(&self) -> Vec<bool> {
        self.pairs().map(|(one, other)| one.is_some() && one == other).collect()
    }

    /// Returns how often both networks give the same answer, and the images without an answer from one or both.
    fn metrics(&self, agrees: &[bool]) -> BTreeMap<String, f64> {
        let total = agrees.len() as f64;
        let agreement = (total > 0.0).then(|| agrees.iter().filter(|agrees| **agrees).count() as f64 / total);
        let interval = agreement.map(|agreement| wilson(agreement, total));
        let non_finite = self.pairs().filter(|(one, other)| one.is_none() || other.is_none()).count();
        defined([
            ("agreement", agreement),
            ("agreement_high", interval.map(|(_, high)| high)),
            ("agreement_low", interval.map(|(low, _)| low)),
            ("non_finite", Some(non_finite as f64)),
            ("total", Some(total)),
        ])
    }
}

/// Returns the images that only one network has right, and the mean loss that the model adds over images with both losses.
/// The added loss has a 95 % normal interval over images: images are many, and the formula gives the same bits everywhere.
fn against_labels(model: &Evaluation, baseline: &Evaluation) -> BTreeMap<String, f64> {
    let only = |one: &Evaluation, other: &Evaluation| {
        one.correct.iter().zip(&other.correct).filter(|(one, other)| **one && !**other).count() as u64
    };
    let (lost, won) = (only(baseline, model), only(model, baseline));
    let losses = model.losses.iter().zip(&baseline.losses);
    let added: Vec<f64> = losses.filter_map(|(model, baseline)| Some((*model)? - (*baseline)?)).collect();
    let added = Estimate::from_values(&added);
    let half = added.and_then(|added| added.error).map(|error| NORMAL_QUANTILE * error.size);
    let end = |sign: f64| Some(added?.mean + sign * half?);
    defined([
        ("loss_difference", added.map(|added| added.mean)),
        ("loss_difference_high", end(1.0)),
        ("loss_difference_low", end(-1.0)),
        ("lost", Some(lost as f64)),
        ("mcnemar_p", Some(mid_p(lost, won))),
        ("won", Some(won as f64)),
    ])
}

fn defined<const N: usize>(metrics: [(&str, Option<f64>); N]) -> BTreeMap<String, f64> {
    metrics.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns an evaluation with these answers; a negative answer stands for none.
    fn judged(answers: &[i32], losses: &[Option<f64>], labels: &[i32]) -> Evaluation {
        Evaluation {
            predictions: answers.iter().map(|answer| u32::try_from(*answer).ok()).collect(),
            correct: answers.iter().zip(labels).map(|(one, other)| one == other).collect(),
            losses: losses.to_vec(),
            loss: None,
            class_correct: vec![],
            class_total: vec![],
            non_finite: 0,
        }
    }

    fn compared(model: &Evaluation, baseline: &Evaluation) -> (Vec<bool>, BTreeMap<String, f64>) {
        let pairs = PredictionPairs { model: &model.predictions, baseline: &baseline.predictions };
        let agrees = pairs.agreements();
        let metrics = pairs.metrics(&agrees).into_iter().chain(against_labels(model, baseline)).collect();
        (agrees, metrics)
    }

    #[test]
    fn two_networks_are_compared_image_by_image() {
        let labels = [0, 1, 2, 3, 4];
        let model = judged(&[0, 1, 0, -1, 1], &[Some(0.5), Some(1.0), Some(2.0), None, Some(3.0)], &labels);
        let full =
            judged(&[0, 0, 2, 3, 1], &[Some(0.1), Some(1.2), Some(1.0), Some(0.0), Some(3.0)], &labels);
        let (agrees, metrics) = compared(&model, &full);
        assert_eq!(agrees, [true, false, false, false, true]);
        assert_eq!((metrics["agreement"], metrics["lost"], metrics["won"]), (0.4, 2.0, 1.0));
        assert_eq!((metrics["non_finite"], metrics["total"]), (1.0, 5.0));
        // Differences 0.4, −0.2, 1.0, 0.0: scipy 1.17.1, norm.interval(0.95, mean, sem).
        assert!((metrics["loss_difference"] - 0.3).abs() < 1e-12);
        assert!((metrics["loss_difference_high"] - 0.818_557_5).abs() < 1e-6, "{metrics:?}");
        // 2 · P(B(3, ½) ≤ 1) − P(B = 1).
        assert!((metrics["mcnemar_p"] - 0.625).abs() < 1e-12);
    }

    /// By hand: of four images the networks answer none, both none, one each, and both the same.
    #[test]
    fn networks_without_an_answer_do_not_agree() {
        let labels = [0, 0, 0, 0];
        let model = judged(&[-1, -1, 0, 0], &[None, None, Some(1.0), Some(1.0)], &labels);
        let full = judged(&[0, -1, -1, 0], &[Some(1.0), None, None, Some(1.0)], &labels);
        let (agrees, found) = compared(&model, &full);
        assert_eq!(agrees, [false, false, false, true]);
        assert_eq!((found["agreement"], found["non_finite"], found["total"]), (0.25, 3.0, 4.0));
        assert_eq!((found["lost"], found["won"]), (1.0, 1.0));
        let silent = judged(&[-1; 4], &[None; 4], &labels);
        let (_, found) = compared(&silent, &silent);
        assert_eq!((found["agreement"], found["agreement_low"], found["non_finite"]), (0.0, 0.0, 4.0));
        assert!(!found.contains_key("loss_difference"));
    }
}
